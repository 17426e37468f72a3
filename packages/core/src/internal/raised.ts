/**
 * What can be told of anything that code has raised. JavaScript lets code throw what it likes, and the run must not fail because of
 * how a step failed: an error without a prototype, or with a `message` that is no text or throws itself, is described as well.
 */
import { toJson } from "./json.ts"

export interface Raised {
  /** The `_tag` of a tagged error, otherwise its `name`, otherwise that of its class. */
  readonly name: string
  readonly message: string
  readonly stack?: string
}

/** Describes anything at all. */
export const describe = (thrown: unknown): Raised => {
  try {
    return read(thrown)
  } catch {
    return { name: "Error", message: "an error that could not be read" }
  }
}

const read = (thrown: unknown): Raised => {
  if (typeof thrown !== "object" || thrown === null) return { name: "Error", message: String(thrown) }
  const { _tag, name: ownName, message: ownMessage } = thrown as { readonly [key: string]: unknown }
  const name = [_tag, ownName, thrown.constructor?.name].find(isText) ?? "Error"
  const message = isText(ownMessage) ? ownMessage : asText(thrown)
  return thrown instanceof Error && isText(thrown.stack) ? { name, message, stack: thrown.stack } : { name, message }
}

const isText = (value: unknown): value is string => typeof value === "string"

const asText = (value: object): string => {
  const copied = toJson(value)
  return "json" in copied ? JSON.stringify(copied.json) : String(value)
}

/** A value in a few words, for messages. */
export const show = (value: unknown): string => {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return "an array"
  return typeof value === "object" ? "an object" : `a ${typeof value}`
}
