/**
 * Extracts the JSON value from the reply of an agent. Models wrap it in prose and code fences, and quote other JSON beside it.
 * Since the prompt asks for it at the end, the last value of the required type counts: a list of footnotes does not, if an object
 * is required. Code blocks in other languages are ignored. A broken or truncated value is never skipped in favour of an earlier one
 * or of a part of itself, since those were not meant as the answer.
 */
import * as Either from "effect/Either"

export interface Found {
  /** Candidate values, most likely first. */
  readonly values: ReadonlyArray<unknown>
  /** Parse error of the likely answer. */
  readonly problem: string | undefined
}

/** Returns `true` for a value of the required type. */
export type Fits = (value: unknown) => boolean

/** Searches the whole text, its code blocks, and its outermost objects and arrays, for the last match of each. */
export const find = (text: string, fits: Fits = () => true): Found => {
  const whole = parse(text)
  if (Either.isRight(whole)) return { values: [whole.right], problem: undefined }
  const all = blocks(text)
  const block = lastOf(all.filter(isJson), fits)
  const bare = lastOf(brackets(without(text, all)), fits)
  const isSuperseded = bare.problem !== undefined && bare.at >= block.at
  const values = isSuperseded ? [] : [...block.values, ...bare.values]
  return { values, problem: bare.problem ?? block.problem }
}

/** Parses a text that must be JSON as a whole, such as a truncated one, whose parts do not count. */
export const findWhole = (text: string): Found => {
  const whole = parse(text)
  return { values: Either.isRight(whole) ? [whole.right] : [], problem: undefined }
}

/** A part of the text that may be JSON, with its position. */
interface Part {
  readonly text: string
  readonly at: number
}

/** Parses JSON; `Left` is the problem of a text that looks like JSON. */
const parse = (text: string): Either.Either<unknown, string | undefined> => {
  try {
    return Either.right(JSON.parse(text.trim()) as unknown)
  } catch (error) {
    const problem = `the JSON in the reply cannot be parsed (${(error as Error).message})`
    return Either.left(looksLikeJson(text) ? problem : undefined)
  }
}

/** Returns `true` for an object with a quoted first key, or arrays around one, which prose never contains. */
const looksLikeJson = (text: string): boolean => /^\s*(?:\[\s*)*\{\s*"[^"\\]*(?:\\.[^"\\]*)*"\s*:/.test(text)

/** Returns the last part that is JSON of the required type or looks like it; otherwise the last that is JSON. */
const lastOf = (parts: ReadonlyArray<Part>, fits: Fits): Found & { readonly at: number } => {
  let other: (Found & { readonly at: number }) | undefined
  for (const { text, at } of parts.toReversed()) {
    const parsed = parse(text)
    if (Either.isRight(parsed)) {
      const found = { values: [parsed.right], problem: undefined, at }
      if (fits(parsed.right)) return found
      other ??= found
    } else if (parsed.left !== undefined) return { values: [], problem: parsed.left, at }
  }
  return other ?? { values: [], problem: undefined, at: -1 }
}

interface Block extends Part {
  readonly language: string
  readonly start: number
}

const isJson = ({ language }: Block): boolean => /^(?:|json[5c]?)$/i.test(language)

/** Replaces code in other languages by blanks. */
const without = (text: string, all: ReadonlyArray<Block>): string => {
  let kept = text
  for (const block of all) {
    if (isJson(block)) continue
    const end = block.start + block.text.length
    kept = kept.slice(0, block.start) + " ".repeat(end - block.start) + kept.slice(end)
  }
  // A checkbox is not a list.
  return kept.replaceAll(/^(\s*(?:[-*+]|\d+[.)])\s+)\[ \](?=\s)/gm, "$1   ")
}

/** Returns the fenced code blocks with their ends. An unclosed block extends to the end of the text. */
const blocks = (text: string): ReadonlyArray<Block> => {
  const found: Array<Block> = []
  let open: { readonly fence: string; readonly start: number; readonly language: string } | undefined
  for (const line of text.matchAll(/^.*$/gm)) {
    const [, fence, info = ""] = /^\s*(`{3,}|~{3,})(.*)$/.exec(line[0]) ?? []
    if (fence === undefined) continue
    if (open === undefined) {
      // Backticks after backticks on one line are inline code.
      if (!(fence.startsWith("`") && info.includes("`"))) {
        const [language = ""] = info.trim().split(/[\s{:]/, 1)
        open = { fence, start: line.index + line[0].length, language }
      }
    } else if (fence.startsWith(open.fence) && info.trim() === "") {
      found.push({ ...open, text: text.slice(open.start, line.index), at: line.index })
      open = undefined
    }
  }
  return open === undefined ? found : [...found, { ...open, text: text.slice(open.start), at: text.length }]
}

/**
 * Maximum number of unclosed brackets that are followed to the end of the text. Each may cost a scan of it. Prose has a handful;
 * beyond this, the text is something else. Not a user setting.
 */
const maxWalks = 100

/** Returns the outermost objects and arrays, and one that the text ends in. */
const brackets = (text: string): ReadonlyArray<Part> => {
  const found: Array<Part> = []
  const unclosed = new Set<number>()
  let walks = 0
  for (let at = 0; at < text.length; at++) {
    if ((text[at] !== "{" && text[at] !== "[") || unclosed.has(at)) continue
    const walk = toClosing(text, at)
    if ("end" in walk) {
      found.push({ text: text.slice(at, walk.end), at })
      at = walk.end - 1
      continue
    }
    const rest = text.slice(at)
    // The rest belongs to a truncated value. A bracket in prose is skipped.
    if (looksLikeJson(rest)) return [...found, { text: rest, at }]
    if (++walks === maxWalks) return []
    for (const position of walk.unclosed) unclosed.add(position)
  }
  return found
}

/** Returns the end of the bracket at `start`, or the open brackets if it never closes. */
const toClosing = (text: string, start: number): { readonly end: number } | { readonly unclosed: ReadonlyArray<number> } => {
  const open: Array<number> = []
  let isQuoted = false
  for (let at = start; at < text.length; at++) {
    const char = text[at]
    if (isQuoted) {
      if (char === "\\") at++
      else if (char === '"') isQuoted = false
    } else if (char === '"') {
      isQuoted = true
    } else if (char === "{" || char === "[") {
      open.push(at)
    } else if (char === "}" || char === "]") {
      const opening = open.at(-1) as number
      if (text[opening] !== (char === "}" ? "{" : "[")) return { unclosed: open }
      open.pop()
      if (open.length === 0) return { end: at + 1 }
    }
  }
  return { unclosed: open }
}
