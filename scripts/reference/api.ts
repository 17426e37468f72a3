/**
 * The table of the HTTP API, from its description as OpenAPI.
 */
import * as OpenApi from "@effect/platform/OpenApi"
import { Api } from "@smithers/server/http/Api"
import { cell, code, table } from "./source.ts"

interface Field {
  readonly name: string
  readonly required: boolean
}

const named = ({ name, required }: Field): string => code(required ? name : `${name}?`)

interface ObjectSchema {
  readonly $ref?: string
  readonly properties?: { readonly [name: string]: unknown }
  readonly required?: ReadonlyArray<string>
}

interface Content {
  readonly content?: { readonly "application/json"?: { readonly schema: ObjectSchema } }
}

interface Described {
  readonly summary: string
  readonly description: string
  readonly parameters?: ReadonlyArray<Field & { readonly in: string }>
  readonly requestBody?: Content
  readonly responses: { readonly [status: string]: Content }
}

/** The paths of the API, with what each takes and gives. */
export const api = (): string => {
  const spec = OpenApi.fromApi(Api)
  const schemas = (spec.components?.schemas ?? {}) as { readonly [name: string]: ObjectSchema }
  const fieldsOf = (given: Content | undefined): ReadonlyArray<Field> => {
    const schema = given?.content?.["application/json"]?.schema ?? {}
    const { properties = {}, required = [] } =
      schema.$ref === undefined ? schema : (schemas[schema.$ref.split("/").at(-1) ?? ""] ?? {})
    return Object.keys(properties).map((name) => ({ name, required: required.includes(name) }))
  }
  const rows = Object.entries(spec.paths).flatMap(([path, methods]) =>
    Object.entries(methods as unknown as { readonly [method: string]: Described }).map(([method, endpoint]) => {
      const { summary, description, parameters = [], requestBody, responses } = endpoint
      const takes = [...parameters.filter((one) => one.in === "query"), ...fieldsOf(requestBody)].map(named).join(", ")
      const gives = fieldsOf(responses["200"]).map(named).join(", ")
      const scope = /Scope: (\w+)\.$/.exec(description)?.[1] ?? ""
      const line = `${method.toUpperCase()} ${path.replace("/api/v1", "").replaceAll(/\{(\w+)\}/g, ":$1")}`
      return [code(line), cell(summary), code(scope), takes, gives]
    }),
  )
  return table(["method and path", "what", "scope", "takes", "gives"], rows)
}
