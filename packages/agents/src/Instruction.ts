/**
 * The words for agents: the prompt of a task with the form its answer must have, and the correction of an answer that was refused.
 */
import type { AgentCall } from "@smithers/core/AgentRunner"
import type { Issues, JsonSchema } from "@smithers/core/Codec"
import { kindOf } from "@smithers/core/JsonSchema"
import type * as Reply from "./Reply.ts"

/** The way in which the value is read from a reply, and so what is said of it. */
export type Form = "anything" | "text" | "json"

/** A task as agents are given it. */
export interface Task {
  readonly form: Form
  readonly prompt: string
  readonly schema: JsonSchema | undefined
  /** Tells whether a value is of the kind that the schema asks for. */
  readonly fits: Reply.Fits
}

/** Makes the task of a call. */
export const make = ({ prompt, output, isText, feedback }: AgentCall): Task => {
  const schema = isText ? undefined : rootOf(output.inputSchema)
  const form = isText ? "anything" : schema?.type === "string" ? "text" : "json"
  const parts = [prompt, instruction(form, schema), feedback.length === 0 ? undefined : refusal(feedback)]
  return { form, schema, fits: kindOf(schema), prompt: parts.filter((part) => part !== undefined).join("\n\n") }
}

/** The schema without what says nothing of the value, and with its root in place where it is kept among the definitions. */
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

/** Longest line of a printed schema, in characters, before it is broken up: short enough to read where prompts are shown. */
const lineWidth = 100

/** JSON with what fits on a line on one line: as readable as indented JSON, at a fraction of its tokens. */
const print = (value: unknown, indent = ""): string => {
  const line = JSON.stringify(value)
  if (typeof value !== "object" || value === null || line.length + indent.length <= lineWidth) return line
  const inner = `${indent}  `
  const members = Array.isArray(value)
    ? value.map((item) => inner + print(item, inner))
    : Object.entries(JSON.parse(line)).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${print(item, inner)}`)
  return Array.isArray(value) ? `[\n${members.join(",\n")}\n${indent}]` : `{\n${members.join(",\n")}\n${indent}}`
}

/** As many issues are told to an agent, each with as many characters: a list of a thousand bad items says no more than its start. */
const maxIssues = 20
const maxIssueLength = 500

/** Shortens a list of issues. */
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

/** Asks for a reply once more, and says why the last one was refused. */
export const correction = (form: Form, issues: Issues): string =>
  `${refusal(issues)}\n\nReply again with the whole ${form === "json" ? "JSON value, corrected," : "text, corrected,"} and nothing else.`
