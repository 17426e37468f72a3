/**
 * Formats text for people. Text of workflows, agents and the web is inert: its control sequences do not reach the terminal. Long
 * values are cut, with a hint on how to see the rest.
 */
import * as Secrets from "@smithers/core/Secrets"

/**
 * Characters that move the cursor, change colours, ring, reverse the text direction or are invisible. These are controls (C1
 * included), directional marks, line separators other than line ends, and tags.
 */
const unsafe =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to find.
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, "0")

/** Escapes control characters, except tabs and line ends. */
export const neutralise = (text: string): string =>
  text.replaceAll("\r\n", "\n").replaceAll(unsafe, (found) => {
    const code = found.codePointAt(0) as number
    return code <= 0xff ? `\\x${hex(code, 2)}` : code <= 0xffff ? `\\u${hex(code, 4)}` : `\\u{${hex(code, 4)}}`
  })

/** Encodes a value as JSON with such characters escaped. It decodes to the same value. */
export const json = (value: unknown, indent?: number): string | undefined =>
  JSON.stringify(value, undefined, indent)?.replaceAll(unsafe, (found) =>
    Array.from({ length: found.length }, (_, index) => `\\u${hex(found.charCodeAt(index), 4)}`).join(""),
  )

/** Escapes control characters and line ends, for one line. */
export const oneLine = (text: string): string => neutralise(text).replaceAll("\n", "\\n").replaceAll("\t", " ")

/** Truncates a text to `length` characters; the last one is then an ellipsis. */
export const shorten = (whole: string, length: number): string => {
  if (whole.length <= length) return whole
  // Before the cut, which might leave half of a secret.
  const text = Secrets.text(whole)
  if (text.length <= length) return text
  // Never splits a surrogate pair.
  const end = /[\uD800-\uDBFF]$/.test(text.slice(0, length - 1)) ? length - 2 : length - 1
  return `${text.slice(0, end)}…`
}

/** Maximum number of characters, and of lines, of one shown value. */
const longestValue = 4000
const mostLines = 100

/** Maximum number of characters of a run's failure, with its causes and the reason why it was not retried. */
export const longestFailure = 2000

/** Truncates a long text to its beginning, with a hint on how to see all of it. */
export const excerpt = (text: string, hint: string): string => {
  const safe = neutralise(text)
  const lines = safe.split("\n")
  const kept = shorten(lines.slice(0, mostLines).join("\n"), longestValue)
  if (kept === safe) return safe
  return `${kept.replace(/…$/, "")}\n… ${safe.length - kept.length} more characters; ${hint} shows all of it`
}

/** Formats a JSON value for people. */
export const pretty = (value: unknown): string => (typeof value === "string" ? value : (json(value, 2) ?? "none"))

const two = (count: number): string => String(count).padStart(2, "0")

/** Formats milliseconds as `hh:mm:ss`. */
export const clock = (ms: number): string => {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
}

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
] as const

/** Formats milliseconds in their two largest units: `2d 3h`, `4m 5s`, `0.8s`. */
export const span = (ms: number): string => {
  if (ms < 10_000) return `${(Math.max(0, ms) / 1000).toFixed(1)}s`
  let rest = Math.round(ms / 1000) * 1000
  const shown: Array<string> = []
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size)
    rest -= count * size
    if (count > 0 || shown.length > 0) shown.push(`${count}${unit}`)
    if (shown.length === 2) break
  }
  return shown.filter((part, index) => index === 0 || !part.startsWith("0")).join(" ")
}

/** Formats a count: `1 step`, `2 steps`. */
export const plural = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`

const escaped = (character: string): string => {
  if (character === "\\" || character === "'") return `\\${character}`
  const code = character.charCodeAt(0)
  return code <= 0x7f ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`
}

/** Quotes an argument for a shell: bash, zsh or, without control characters, any other. */
export const quoted = (argument: string): string => {
  if (/^[\w@%+:,./-][\w@%+=:,./-]*$/.test(argument)) return argument
  if (oneLine(argument) === argument) return `'${argument.replaceAll("'", `'\\''`)}'`
  return `$'${argument.replaceAll(/[\\']/g, escaped).replaceAll("\n", "\\n").replaceAll("\t", "\\t").replaceAll("\r", "\\r").replaceAll(unsafe, escaped)}'`
}
