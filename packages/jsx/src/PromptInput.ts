/**
 * Input types of a prompt file, and the validation of its props. Compiled prompts import this module, so it does not import the
 * compiler.
 */
import * as Later from "@smithers/core/Later"
import * as Schema from "effect/Schema"
import { jsx } from "./jsx-runtime.ts"
import { isPending } from "./Pending.ts"

/** Type of an input, parsed from the front matter. */
export type InputType =
  | { readonly kind: "string" | "number" | "boolean" | "object" | "any" }
  | { readonly kind: "literal"; readonly value: string | number | boolean | null }
  | { readonly kind: "array"; readonly of: InputType }
  | { readonly kind: "union"; readonly of: ReadonlyArray<InputType> }
  | { readonly kind: "fields"; readonly fields: Inputs }

/** An input: its type, and whether it is optional. */
export interface Input {
  readonly type: InputType
  readonly isOptional: boolean
}

export interface Inputs {
  readonly [name: string]: Input
}

/** A prompt was rendered with props that do not match its front matter. Not retryable: the workflow must be changed. */
export class PromptInputError extends Later.TaggedError<PromptInputError>()("PromptInputError", {
  /** File of the prompt, as passed to the compiler. */
  file: Schema.String,
  /** Name of the input, with its path (`user.name`, `files[2]`) for a part of one. */
  input: Schema.String,
  expected: Schema.String,
  received: Schema.String,
}) {
  override get message(): string {
    return `${this.file}: input "${this.input}": expected ${this.expected}, received ${this.received}`
  }
}

/** Formats a type in TypeScript notation, which the front matter uses too. */
export const showType = (type: InputType): string => {
  switch (type.kind) {
    case "literal":
      return JSON.stringify(type.value)
    case "array":
      return type.of.kind === "union" ? `(${showType(type.of)})[]` : `${showType(type.of)}[]`
    case "union":
      return type.of.map(showType).join(" | ")
    case "fields":
      return `{ ${Object.entries(type.fields)
        .map(([name, { type: inner, isOptional }]) => `${name}${isOptional ? "?" : ""}: ${showType(inner)}`)
        .join("; ")} }`
    default:
      return type.kind
  }
}

/** Errors that already name their place. */
const placed = new WeakSet<object>()

/** Evaluates an expression of a prompt file. Errors get the line of the expression, and keep their class. */
export const placing =
  (file: string) =>
  <A>(line: number, evaluate: () => A): A => {
    try {
      return evaluate()
    } catch (thrown) {
      if (thrown instanceof Error && !placed.has(thrown)) {
        placed.add(thrown)
        const { message } = thrown
        Object.defineProperty(thrown, "message", { value: `${file}:${line}: ${message}`, configurable: true, writable: true })
      }
      throw thrown
    }
  }

/** Element around the text of a prompt file, so that blocks are separated from what is beside it. */
export const promptElement = "smithers:prompt"

/** Creates a component that validates its props whenever it renders. */
export const prompt = <Props extends object>(
  render: (props: Props) => unknown,
  { name, file, inputs }: { readonly name: string; readonly file: string; readonly inputs?: Inputs },
): ((props: Props) => ReturnType<typeof jsx>) => {
  const checked = (props: Props): ReturnType<typeof jsx> => {
    if (inputs !== undefined) checkProps(file, inputs, props)
    return jsx(promptElement, { children: render(props) })
  }
  return Object.assign(Object.defineProperty(checked, "name", { value: name }), { displayName: name })
}

const alwaysAllowed = new Set(["children", "components"])

const checkProps = (file: string, inputs: Inputs, props: object): void => {
  const wrong = checkFields(inputs, props, "", alwaysAllowed)
  if (wrong !== undefined) throw new PromptInputError({ file, ...wrong })
}

interface Mismatch {
  readonly input: string
  readonly expected: string
  readonly received: string
}

const checkFields = (fields: Inputs, value: object, path: string, allowed?: ReadonlySet<string>): Mismatch | undefined => {
  // Unknown names first: a misspelt input is also missing, and that message would hide the cause.
  for (const name of Object.keys(value)) {
    if (Object.hasOwn(fields, name) || allowed?.has(name)) continue
    const known = Object.keys(fields)
    const expected = known.length === 0 ? "no inputs" : `one of the inputs ${known.join(", ")}`
    return { input: path + name, expected, received: JSON.stringify(name) }
  }
  for (const [name, { type, isOptional }] of Object.entries(fields)) {
    const field: unknown = Reflect.get(value, name)
    if (field === undefined) {
      if (isOptional) continue
      return { input: path + name, expected: showType(type), received: "nothing" }
    }
    const wrong = check(type, field, path + name)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

const check = (type: InputType, value: unknown, path: string): Mismatch | undefined => {
  if (isPending(value)) return undefined
  const mismatch = { input: path, expected: showType(type), received: show(value) }
  switch (type.kind) {
    case "any":
      return undefined
    case "number":
      return typeof value === "number" && !Number.isNaN(value) ? undefined : mismatch
    case "string":
    case "boolean":
      return typeof value === type.kind ? undefined : mismatch
    case "object":
      return isObject(value) ? undefined : mismatch
    case "literal":
      return value === type.value ? undefined : mismatch
    case "union":
      return type.of.some((inner) => check(inner, value, path) === undefined) ? undefined : mismatch
    case "array": {
      if (!Array.isArray(value)) return mismatch
      for (const [index, item] of value.entries()) {
        const wrong = check(type.of, item, `${path}[${index}]`)
        if (wrong !== undefined) return wrong
      }
      return undefined
    }
    case "fields":
      return isObject(value) ? checkFields(type.fields, value, `${path}.`) : mismatch
  }
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null && !Array.isArray(value)

/** Formats a value for a message, truncated. */
const show = (value: unknown): string => {
  if (typeof value === "function" || typeof value === "symbol") return `a ${typeof value}`
  if (typeof value === "bigint" || value === undefined || Number.isNaN(value)) return `${value}`
  let text: string
  try {
    text = JSON.stringify(value)
  } catch {
    // A circular structure.
    text = "an object"
  }
  const shown = text.length > 60 ? `${text.slice(0, 57)}...` : text
  return `${shown} (${Array.isArray(value) ? "array" : value === null ? "null" : typeof value})`
}
