/**
 * Canaries: values that are registered as secrets, planted in every place of a run, and searched for in everything that comes out. The search
 * shares nothing with the product: it knows how a value can be written, and finds a half of it too.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

/** A secret that must not be found anywhere. */
export interface Canary {
  readonly name: string
  readonly value: string
}

const random = (length: number): string =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(length)))
    .toString("base64url")
    .slice(0, length)

/** Canaries of several shapes. The names are random too, so that suites of one process do not meet. */
export const make = (): ReadonlyArray<Canary> => {
  const shapes = {
    PLAIN: `sk-ant-${random(40)}`,
    QUOTED: `q"${random(12)}\\n'${random(8)}"`,
    UNICODE: `schlüssel-${random(10)}-é🔑${random(6)}`,
    URL: `p@ss/${random(8)}?a=${random(6)}&b=%20+${random(6)}`,
    HTML: `<${random(10)}>&"'${random(10)}`,
    LONG: `eyJ${random(700)}`,
    LINES: `-----BEGIN KEY-----\n${random(64)}\n${random(64)}\n-----END KEY-----`,
  }
  const mark = random(4)
    .replaceAll(/[^A-Za-z]/g, "X")
    .toUpperCase()
  return Object.entries(shapes).map(([name, value]) => ({ name: `CANARY_${mark}_${name}`, value }))
}

/** The middle of an encoded text, without the characters that it shares with its neighbours. */
const core = (text: string): string => text.slice(4, -4)

const lines = (value: string): ReadonlyArray<string> => {
  const parts = value.split("\n").filter((line) => line.length > 20 && !line.startsWith("-----"))
  return parts.length === 0 ? [value] : parts
}

/** Spellings of a canary, each by its name. */
const spellings = (value: string): ReadonlyArray<readonly [spelling: string, text: string]> =>
  lines(value).flatMap((line) => {
    const bytes = Buffer.from(line)
    const shifted = ["", "x", "xy"].map((before) => Buffer.concat([Buffer.from(before), bytes]))
    const json = JSON.stringify(line).slice(1, -1)
    const half = Math.floor(line.length / 2)
    return [
      ["plain", line],
      ["JSON", json],
      ["JSON in JSON", JSON.stringify(json).slice(1, -1)],
      ["a URL", encodeURIComponent(line)],
      ["a form", new URLSearchParams({ a: line }).toString().slice(2)],
      [
        "HTML",
        line
          .replaceAll("&", "&amp;")
          .replaceAll("<", "&lt;")
          .replaceAll(">", "&gt;")
          .replaceAll('"', "&quot;")
          .replaceAll("'", "&#39;"),
      ],
      ["hex", bytes.toString("hex")],
      ["HEX", bytes.toString("hex").toUpperCase()],
      ...shifted.map((one, index) => [`base64 at ${index}`, core(one.toString("base64").replaceAll("=", ""))] as const),
      ...shifted.map((one, index) => [`base64url at ${index}`, core(one.toString("base64url"))] as const),
      ["its first half", line.slice(0, half)],
      ["its second half", line.slice(-half)],
    ] as const
  })

/** What is found of canaries in a text: the name of each, and how it is written. */
export const leaks = (canaries: ReadonlyArray<Canary>, given: string | Uint8Array): ReadonlyArray<string> => {
  const bytes = typeof given === "string" ? Buffer.from(given) : Buffer.from(given.buffer, given.byteOffset, given.byteLength)
  return canaries.flatMap(({ name, value }) =>
    spellings(value).flatMap(([spelling, text]) => {
      const at = bytes.indexOf(text)
      if (at < 0) return []
      const around = bytes
        .subarray(Math.max(0, at - 80), at)
        .toString("latin1")
        .replaceAll(/[^\x20-\x7e]+/g, " ")
      return [`${name} as ${spelling} after "${around}"`]
    }),
  )
}

/** What is found of canaries in the files below a folder, by file: databases with their logs, copies, logs of processes. */
export const leaksBelow = (
  canaries: ReadonlyArray<Canary>,
  folder: string,
  except: ReadonlyArray<string> = [],
): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    if (!entry.isFile() || except.includes(entry.name)) return []
    return leaks(canaries, readFileSync(join(entry.parentPath, entry.name))).map((leak) => `${entry.name}: ${leak}`)
  })
