/**
 * Texts for agents: the prompt of a task with the required form of its answer, and the correction of a refused answer.
 */
import type { Question } from "@smithers/core/AgentRunner"
import type { Issues, JsonSchema } from "@smithers/core/Codec"
import { kindOf } from "@smithers/core/JsonSchema"
import type * as Reply from "./Reply.ts"

/** Form in which the value is read from a reply, which determines the instructions. */
export type Form = "anything" | "text" | "json"

/** A task for an agent. */
export interface Task {
  readonly form: Form
  readonly prompt: string
  readonly schema: JsonSchema | undefined
  /** Returns `true` for a value of the type that the schema requires. */
  readonly fits: Reply.Fits
}

/** Creates the task of a call. */
export const make = ({ prompt, output, isText, feedback }: Question): Task => {
  const schema = isText ? undefined : rootOf(output.inputSchema)
  const form = isText ? "anything" : schema?.type === "string" ? "text" : "json"
  const parts = [prompt, instruction(form, schema), feedback.length === 0 ? undefined : refusal(feedback)]
  return { form, schema, fits: kindOf(schema), prompt: parts.filter((part) => part !== undefined).join("\n\n") }
}

/** Removes parts of a schema that say nothing about the value, and inlines a root that is among the definitions. */
const rootOf = (document: JsonSchema | undefined): JsonSchema | undefined => {
  if (document === undefined) return undefined
  const { $schema: _dialect, ...schema } = document
  const [, keyword, name] = /^#\/(\$defs|definitions)\/([^/]+)$/.exec(String(schema.$ref)) ?? []
  if (keyword === undefined || name === undefined) return schema
  const definitions = schema[keyword]
  const root = isSchema(definitions) ? definitions[name.replaceAll("~1", "/").replaceAll("~0", "~")] : undefined
  if (!isSchema(root)) return schema
  const { $ref: _root, ...rest } = schema
  const areNeeded = JSON.stringify(definitions).includes('"$ref"')
  return areNeeded ? { ...rest, ...root } : root
}

const isSchema = (value: unknown): value is JsonSchema => typeof value === "object" && value !== null

const instruction = (form: Form, schema: JsonSchema | undefined): string | undefined => {
  if (form === "anything") return undefined
  if (form === "text") {
    const isPlain = Object.keys(schema ?? {}).every((keyword) => keyword === "type")
    return isPlain
      ? undefined
      : `Your whole reply is taken as the value, without quotes. It must match this JSON Schema:\n${print(schema)}`
  }
  const must = "Your reply must end with one JSON value, with nothing after it"
  return schema === undefined ? `${must}.` : `${must}. The value must match this JSON Schema:\n${print(schema)}`
}

/** Maximum line length of a printed schema, in characters, which keeps shown prompts readable. */
const lineWidth = 100

/** Formats JSON with short values on one line: as readable as indented JSON, with a fraction of its tokens. */
const print = (value: unknown, indent = ""): string => {
  const line = JSON.stringify(value)
  if (typeof value !== "object" || value === null || line.length + indent.length <= lineWidth) return line
  const inner = `${indent}  `
  const members = Array.isArray(value)
    ? value.map((item) => inner + print(item, inner))
    : Object.entries(JSON.parse(line)).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${print(item, inner)}`)
  return Array.isArray(value) ? `[\n${members.join(",\n")}\n${indent}]` : `{\n${members.join(",\n")}\n${indent}}`
}

/**
 * Maximum number of issues sent to an agent, and of characters of each. A list of a thousand bad items says no more than its start.
 */
const maxIssues = 20
const maxIssueLength = 500

/** Truncates a list of issues. */
export const shorten = (issues: Issues): Issues => {
  const told = issues
    .slice(0, maxIssues)
    .map((issue) => (issue.length > maxIssueLength ? `${issue.slice(0, maxIssueLength)} …` : issue))
  return issues.length > maxIssues ? [...told, `and ${issues.length - maxIssues} more like these`] : told
}

const refusal = (issues: Issues): string =>
  `Your previous reply was not accepted:\n${shorten(issues)
    .map((issue) => `- ${issue}`)
    .join("\n")}`

/** Creates the prompt that asks for a corrected reply, with the issues of the last one. */
export const correction = (form: Form, issues: Issues): string =>
  `${refusal(issues)}\n\nReply again with the whole ${form === "json" ? "JSON value, corrected," : "text, corrected,"} and nothing else.`
