/** The front matter of a prompt file: what is between the two lines of `---` it begins with. */
import { isMap, isNode, isScalar, isSeq, LineCounter, type Pair, parseDocument } from "yaml"
import type { Input, Inputs, InputType } from "../PromptInput.ts"

/** A problem in the front matter, with its position. Lines and columns count from 1. */
export class Malformed extends Error {
  readonly line: number
  readonly column: number
  constructor(reason: string, line: number, column: number) {
    super(reason)
    this.line = line
    this.column = column
  }
}

export interface Frontmatter {
  /** `undefined` if the front matter declares none. */
  readonly inputs?: Inputs
  readonly others: { readonly [name: string]: unknown }
  /** Text after the front matter, with empty lines before it, so that line numbers stay. */
  readonly body: string
}

/** Parses the front matter of a file whose lines end in `\n`. Throws {@link Malformed}. */
export const split = (source: string): Frontmatter => {
  const opening = /^---[ \t]*(?:\n|$)/.exec(source)
  if (opening === null) return { others: {}, body: source }
  const rest = source.slice(opening[0].length)
  const closing = /(?:^|\n)---[ \t]*(?:\n|$)/.exec(rest)
  if (closing === null) throw new Malformed("the front matter is not closed: a second line of --- is missing", 1, 1)
  const end = closing.index + closing[0].length
  const yaml = `${rest.slice(0, closing.index)}\n`
  const lines = (opening[0] + rest.slice(0, end)).split("\n").length - 1
  return { ...read(yaml), body: "\n".repeat(lines) + rest.slice(end) }
}

const read = (source: string): Pick<Frontmatter, "inputs" | "others"> => {
  const lineCounter = new LineCounter()
  const document = parseDocument(withQuotedUnions(source), { lineCounter })
  const fail = (reason: string, offset: number): never => {
    const { line, col } = lineCounter.linePos(offset)
    throw new Malformed(reason, line + 1, col)
  }
  const [error] = document.errors
  if (error !== undefined) {
    const { line, col } = error.linePos?.[0] ?? { line: 1, col: 1 }
    const [reason = "it is not YAML"] = error.message.split(/ at line \d+|\n/)
    throw new Malformed(`the front matter cannot be read: ${reason}`, line + 1, col)
  }
  const { contents } = document
  if (contents === null) return { others: {} }
  const offsetOf = (node: unknown, fallback: number): number => (isNode(node) ? node.range?.[0] : undefined) ?? fallback
  if (!isMap(contents)) return fail("the front matter must be a map, such as `inputs:`", offsetOf(contents, 0))

  const fields = (map: unknown, at: number): Inputs => {
    if (map === null || (isScalar(map) && map.value === null)) return {}
    if (!isMap(map)) return fail("inputs must be a map of names to types, such as `repo: string`", offsetOf(map, at))
    return Object.fromEntries(map.items.map(field))
  }
  const field = ({ key, value }: Pair<unknown, unknown>): readonly [string, Input] => {
    const at = offsetOf(key, 0)
    const written = isScalar(key) ? `${key.value}` : fail("the name of an input must be plain text", at)
    const name = written.replace(/\?$/, "")
    const isOptional = name !== written
    if (name === "children" || name === "components") fail(`"${name}" cannot be an input: it is passed to every prompt`, at)
    if (name === "key" || name === "ref") fail(`"${name}" cannot be an input: React reserves it`, at)
    const { type, isOptional: isOptionalType } = typeOf(name, value, at)
    return [name, { type, isOptional: isOptional || isOptionalType }]
  }
  const typeOf = (name: string, node: unknown, at: number): Input => {
    if (isMap(node)) return { type: { kind: "fields", fields: fields(node, at) }, isOptional: false }
    if (isSeq(node) && node.items.length === 1) {
      const { type } = typeOf(name, node.items[0], at)
      return { type: { kind: "array", of: type }, isOptional: false }
    }
    const text = isScalar(node) && node.value !== null ? `${node.value}` : ""
    if (text === "") return fail(`input "${name}" has no type: write ${known}`, offsetOf(node, at))
    return parseType(text) ?? fail(`input "${name}" is of unknown type ${text}: write ${known}`, offsetOf(node, at))
  }

  const others: { readonly [name: string]: unknown } = document.toJS()
  const declared = contents.items.find(({ key }) => isScalar(key) && key.value === "inputs")
  if (declared === undefined) return { others }
  const { inputs: _, ...rest } = others
  return { inputs: fields(declared.value, offsetOf(declared.key, 0)), others: rest }
}

const known =
  'string, number, boolean, object, any, any of them with [], a union such as "a" | "b", or a map of names to types; ? at the end makes it optional'

/** Quotes unions such as `level: "low" | "high"`, which are not valid YAML. Line numbers stay. */
const withQuotedUnions = (yaml: string): string =>
  yaml.replace(
    /^([ \t]*(?:- +)?[^\s:#][^:\n]*:[ \t]+)((?:"[^"\n]*"|'[^'\n]*')[ \t]*(?:\||\?|\[\])[^#\n]*?)([ \t]*(?: #.*)?)$/gm,
    (_, name: string, type: string, end: string) => `${name}'${type.replaceAll("'", "''")}'${end}`,
  )

const token = /\s*(?:("(?:[^"\\]|\\.)*"|'[^']*')|(-?\d+(?:\.\d+)?)|([A-Za-z]+)|(\[\])|([|()?]))/y

/** Parses a type in TypeScript notation, as far as prompts support it; `undefined` if it is invalid. */
const parseType = (text: string): Input | undefined => {
  const tokens: Array<string> = []
  token.lastIndex = 0
  const source = text.trim()
  while (token.lastIndex < source.length) {
    const match = token.exec(source)
    if (match === null) return undefined
    tokens.push(match[0].trim())
  }
  const isOptional = tokens.at(-1) === "?"
  if (isOptional) tokens.pop()
  const union = (): InputType | undefined => {
    const of: Array<InputType> = []
    do {
      const member = array()
      if (member === undefined) return undefined
      of.push(member)
    } while (tokens[0] === "|" && tokens.shift() !== undefined)
    const [only] = of
    return of.length === 1 ? only : { kind: "union", of }
  }
  const array = (): InputType | undefined => {
    let type = single()
    while (type !== undefined && tokens[0] === "[]") {
      tokens.shift()
      type = { kind: "array", of: type }
    }
    return type
  }
  const single = (): InputType | undefined => {
    const first = tokens.shift()
    switch (first) {
      case undefined:
        return undefined
      case "(": {
        const inner = union()
        return tokens.shift() === ")" ? inner : undefined
      }
      case "string":
      case "number":
      case "boolean":
      case "object":
      case "any":
        return { kind: first }
      case "true":
      case "false":
        return { kind: "literal", value: first === "true" }
      case "null":
        return { kind: "literal", value: null }
      default: {
        if (/^-?\d/.test(first)) return { kind: "literal", value: Number(first) }
        return /^["']/.test(first) ? { kind: "literal", value: first.slice(1, -1).replace(/\\(["\\])/g, "$1") } : undefined
      }
    }
  }
  const type = union()
  return type === undefined || tokens.length > 0 ? undefined : { type, isOptional }
}
