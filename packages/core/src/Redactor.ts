/**
 * Replaces secrets in texts and values by their names: `[secret ANTHROPIC_API_KEY]`. A secret is found as it is, escaped for JSON,
 * URLs and HTML, and encoded as base64 (at any offset, also wrapped) or hexadecimal. Pure; `Secrets` knows the secrets of a process.
 *
 * Not found: a secret that is reversed, encrypted, compressed or split by other text.
 */
import * as Schema from "effect/Schema"
import * as Automaton from "./internal/automaton.ts"
import { isPlainObject, setOwn } from "./internal/json.ts"

/** A secret of a value: its name, and its path in the value, such as `headers.authorization` or `items[0]`; empty for the value itself. */
export const Found = Schema.Struct({ name: Schema.String, path: Schema.String })
export interface Found extends Schema.Schema.Type<typeof Found> {}

/** Replaces secrets in a text that comes in chunks. */
export interface Stream {
  /** Returns what can be passed on after a chunk. The end of the text that may begin a secret is held back. */
  readonly push: (chunk: string) => string
  /** Returns the rest. The stream may be used for another text then. */
  readonly end: () => string
}

/** Replaces the secrets that it was made of. */
export interface Redactor {
  /** `true` if there are no secrets: everything is returned as it is. */
  readonly isEmpty: boolean
  /** Replaces the secrets in a text. */
  readonly text: (text: string) => string
  /**
   * Replaces the secrets in the texts and keys of arrays and plain objects. Returns the same value where there are none, and
   * leaves other objects as they are.
   */
  readonly value: <A>(value: A) => A
  /** Finds the first secret in the texts and keys of arrays and plain objects. */
  readonly find: (value: unknown) => Found | undefined
  /** Makes a stream. */
  readonly stream: () => Stream
}

/** Shortest secret: shorter values occur by chance. */
export const shortestSecret = 8

/** Values that stand in many texts without being secret. */
const common = new Set(
  "password changeme administrator undefined localhost 127.0.0.1 anonymous development production staging disabled enabled example postgres required username database testtest secretkey anything".split(
    " ",
  ),
)

/** The reason a value cannot be a secret: replacing it would destroy other texts. `undefined` if it can. */
export const weakness = (value: string): string | undefined => {
  const bare = value.trim()
  if (bare.length < shortestSecret) return `is shorter than ${shortestSecret} characters`
  if (common.has(bare.toLowerCase())) return "is a common word"
  if (new Set(bare).size < 3) return "consists of fewer than three different characters"
  return /^[0-9]{1,9}$/.test(bare) ? "is a short number" : undefined
}

/** The replacement of a secret. It is the same in JSON, in URLs it is longer. */
export const placeholder = (name: string): string => `[secret ${name}]`

/** Makes a redactor of secrets by their names. Values that are {@link weakness weak} are the caller's to leave out. */
export const make = (secrets: Iterable<{ readonly name: string; readonly value: string }>): Redactor => {
  const names: Array<string> = []
  const patterns = new Map<string, Automaton.Pattern>()
  for (const { name, value } of secrets) {
    // Its replacement must be valid in JSON, and must not hold the secret itself.
    const label = names.push(/^[\w .:/-]{1,100}$/.test(name) && !name.includes(value) ? placeholder(name) : "[secret]") - 1
    for (const { text, isWrapped } of formsOf(value)) {
      if (!patterns.has(text)) patterns.set(text, { text, label, isWrapped })
    }
  }
  if (names.length === 0) return none
  return withAutomaton(Automaton.make([...patterns.values()]), names)
}

const noStream: Stream = { push: (chunk) => chunk, end: () => "" }

/** A redactor without secrets. */
export const none: Redactor = {
  isEmpty: true,
  text: (text) => text,
  value: (value) => value,
  find: () => undefined,
  stream: () => noStream,
}

const noSpans: ReadonlyArray<Automaton.Span> = []

const withAutomaton = (automaton: Automaton.Automaton, names: ReadonlyArray<string>): Redactor => {
  const replaced = (text: string, spans: ReadonlyArray<Automaton.Span>, until: number): string => {
    let [out, from] = ["", 0]
    for (const { start, end, label } of spans) {
      out += text.slice(from, start) + (names[label] ?? "[secret]")
      from = end
    }
    return out + text.slice(from, until)
  }
  const spansIn = (text: string): ReadonlyArray<Automaton.Span> => {
    if (text.length < automaton.shortest) return noSpans
    const spans: Array<Automaton.Span> = []
    automaton.scan(text, 0, 0, spans)
    return spans
  }
  const text = (value: string): string => {
    const spans = spansIn(value)
    return spans.length === 0 ? value : replaced(value, spans, value.length)
  }
  // On the path of each commit: nothing is allocated where nothing is found.
  const inArray = (items: ReadonlyArray<unknown>): ReadonlyArray<unknown> => {
    let copy: Array<unknown> | undefined
    for (let index = 0; index < items.length; index++) {
      const kept = clean(items[index])
      if (kept === items[index]) continue
      copy ??= [...items]
      copy[index] = kept
    }
    return copy ?? items
  }
  const inObject = (object: { readonly [key: string]: unknown }): object => {
    let copy: Record<string, unknown> | undefined
    for (const key in object) {
      const [name, kept] = [text(key), clean(object[key])]
      if (copy === undefined) {
        if (name === key && kept === object[key]) continue
        copy = {}
        for (const before in object) {
          if (before === key) break
          setOwn(copy, before, object[before])
        }
      }
      let free = name
      for (let count = 2; Object.hasOwn(copy, free); count++) free = `${name} ${count}`
      setOwn(copy, free, kept)
    }
    return copy ?? object
  }
  const clean = (value: unknown): unknown => {
    if (typeof value === "string") return text(value)
    if (typeof value !== "object" || value === null) return value
    if (Array.isArray(value)) return inArray(value)
    return isPlainObject(value) ? inObject(value) : value
  }
  const find = (value: unknown, path: string): Found | undefined => {
    if (typeof value === "string") {
      const [span] = spansIn(value)
      // The name without the words around it.
      return span && { name: (names[span.label] ?? "").replace(/^\[secret ?|\]$/g, ""), path: text(path) }
    }
    if (typeof value !== "object" || value === null) return undefined
    if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) {
        const found = find(item, `${path}[${index}]`)
        if (found !== undefined) return found
      }
      return undefined
    }
    if (!isPlainObject(value)) return undefined
    for (const key of Object.keys(value)) {
      const inside = path === "" ? key : `${path}.${key}`
      const found = find(key, inside) ?? find(value[key], inside)
      if (found !== undefined) return found
    }
    return undefined
  }
  const stream = (): Stream => {
    let [held, state] = ["", 0]
    let spans: Array<Automaton.Span> = []
    return {
      push: (chunk) => {
        const from = held.length
        held += chunk
        state = automaton.scan(held, from, state, spans)
        const last = spans.at(-1)
        let until = automaton.undecidedFrom(held, state)
        // What follows may make the last match longer.
        if (last !== undefined && last.end > until) until = Math.min(until, last.start)
        const passed = spans.filter(({ end }) => end <= until)
        const out = replaced(held.slice(0, until), passed, until)
        spans = spans.slice(passed.length).map(({ start, end, label }) => ({ start: start - until, end: end - until, label }))
        held = held.slice(until)
        return out
      },
      end: () => {
        const out = replaced(held, spans, held.length)
        held = ""
        state = 0
        spans = []
        return out
      },
    }
  }
  return { isEmpty: false, text, value: (value) => clean(value) as typeof value, find: (value) => find(value, ""), stream }
}

/** A spelling of a secret. */
interface Form {
  readonly text: string
  readonly isWrapped: boolean
}

/** Shortest line of a secret of several lines that is a secret of its own, such as in a private key. */
const shortestLine = 20

/** Levels of JSON in JSON that are recognized. */
const deepestJson = 3

/** All spellings of a secret, the plain one first. */
export const formsOf = (secret: string): ReadonlyArray<Form> => {
  const bare = secret.trim()
  const value = bare === "" ? secret : bare
  const lines = value.split(/[\r\n]+/).map((line) => line.trim())
  const parts = lines.length === 1 ? [] : lines.filter((line) => line.length >= shortestLine && !line.startsWith("-----"))
  const texts = new Set<string>()
  const wrapped = new Set<string>()
  for (const part of [value, ...parts]) {
    for (const text of [part, ...escaped(part)]) texts.add(text)
    const bytes = new TextEncoder().encode(part)
    for (const text of encoded(bytes)) wrapped.add(text)
  }
  return [
    ...Array.from(texts, (text) => ({ text, isWrapped: false })),
    ...Array.from(wrapped, (text) => ({ text, isWrapped: true })).filter(({ text }) => text.length >= shortestSecret),
  ]
}

const inJson = (text: string): string => JSON.stringify(text).slice(1, -1)

const asciiOnly = (text: string, hex: (digits: string) => string): string =>
  text.replace(/[\u007f-\uffff]/g, (one) => `\\u${hex(one.charCodeAt(0).toString(16).padStart(4, "0"))}`)

/** The text in notations that replace some of its characters. */
const escaped = (text: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  let level = [text]
  for (let depth = 0; depth < deepestJson; depth++) {
    level = level.flatMap((one) => {
      const json = inJson(one)
      return [
        json,
        json.replaceAll("/", "\\/"),
        asciiOnly(json, (digits) => digits),
        asciiOnly(json, (digits) => digits.toUpperCase()),
      ]
    })
    level = [...new Set(level)].filter((one) => one !== text)
    found.push(...level)
  }
  // Literals of JavaScript, as consoles print them, and of shells.
  const literal = text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r").replaceAll("\t", "\\t")
  for (const quote of ["'", "`"]) found.push(literal.replaceAll(quote, `\\${quote}`))
  found.push(literal, text.replaceAll("'", "'\\''"))
  const url = encodeURIComponent(text.toWellFormed())
  const strict = url.replace(/[!'()*~]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)
  const form = new URLSearchParams({ "": text.toWellFormed() }).toString().slice(1)
  const loose = encodeURI(text.toWellFormed())
  for (const one of [url, strict, form, loose, url.replaceAll("%20", "+")]) {
    found.push(
      one,
      one.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    )
  }
  const quotes = [
    ["&quot;", "&#39;"],
    ["&quot;", "&#x27;"],
    ["&#34;", "&#39;"],
    ["&quot;", "&apos;"],
    ['"', "'"],
  ]
  const html = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
  for (const [double = "", single = ""] of quotes) found.push(html.replaceAll('"', double).replaceAll("'", single))
  return found
}

/** The text as base64 at the three offsets that it may have in other data, in both alphabets, and as hexadecimal digits. */
const encoded = (bytes: Uint8Array): ReadonlyArray<string> => {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
  const found = [hex, hex.toUpperCase()]
  for (const offset of [0, 1, 2]) {
    const shifted = new Uint8Array(offset + bytes.length)
    shifted.set(bytes, offset)
    const whole = btoa(Array.from(shifted, (byte) => String.fromCharCode(byte)).join(""))
    // Characters that other bytes share are left out.
    const text = whole.slice([0, 2, 3][offset], Math.floor((shifted.length * 8) / 6))
    found.push(text, text.replaceAll("+", "-").replaceAll("/", "_"))
  }
  return found
}
