/**
 * Finds the JSON value in what an agent wrote. Models wrap it in prose and in code fences, and quote other JSON beside it; what
 * they were asked for is to end with it, so that the last value of the kind that was asked for is meant: no list of footnotes where an
 * object is wanted. Code blocks of other languages are not looked at. A value that is broken or cut off is never passed over for an
 * earlier one, nor for a part of itself: those were not meant as the answer.
 */
import * as Either from "effect/Either"

export interface Found {
  /** What could be meant, most likely first. */
  readonly values: ReadonlyArray<unknown>
  /** Why what looks like the answer could not be parsed. */
  readonly problem: string | undefined
}

/** Tells whether a value is of the kind that was asked for. */
export type Fits = (value: unknown) => boolean

/** Reads the whole text, its last code block, and its last object or array that stands in no other: each the last that fits. */
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

/** Reads a text that is nothing but JSON, such as one that was cut off and must not be searched for parts. */
export const findWhole = (text: string): Found => {
  const whole = parse(text)
  return { values: Either.isRight(whole) ? [whole.right] : [], problem: undefined }
}

/** A part of the text that may be JSON, and where it is. */
interface Part {
  readonly text: string
  readonly at: number
}

/** `Left` says what is wrong with a text that looks like JSON. */
const parse = (text: string): Either.Either<unknown, string | undefined> => {
  try {
    return Either.right(JSON.parse(text.trim()) as unknown)
  } catch (error) {
    const problem = `the JSON in the reply cannot be parsed (${(error as Error).message})`
    return Either.left(looksLikeJson(text) ? problem : undefined)
  }
}

/** An object with a quoted first key, or arrays around one: nobody writes that in prose. */
const looksLikeJson = (text: string): boolean => /^\s*(?:\[\s*)*\{\s*"[^"\\]*(?:\\.[^"\\]*)*"\s*:/.test(text)

/** The last part that is JSON of the kind that was asked for, or was meant to be; or else the last that is JSON at all. */
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

/** A fenced code block. */
interface Block extends Part {
  readonly language: string
  readonly start: number
}

const isJson = ({ language }: Block): boolean => /^(?:|json[5c]?)$/i.test(language)

/** A text with blanks in place of the code in other languages. */
const without = (text: string, all: ReadonlyArray<Block>): string => {
  let kept = text
  for (const block of all) {
    if (isJson(block)) continue
    const end = block.start + block.text.length
    kept = kept.slice(0, block.start) + " ".repeat(end - block.start) + kept.slice(end)
  }
  // A box to be ticked is no list.
  return kept.replaceAll(/^(\s*(?:[-*+]|\d+[.)])\s+)\[ \](?=\s)/gm, "$1   ")
}

/** The fenced code blocks, and where they end. A block that is not closed reaches to the end of the text. */
const blocks = (text: string): ReadonlyArray<Block> => {
  const found: Array<Block> = []
  let open: { readonly fence: string; readonly start: number; readonly language: string } | undefined
  for (const line of text.matchAll(/^.*$/gm)) {
    const [, fence, info = ""] = /^\s*(`{3,}|~{3,})(.*)$/.exec(line[0]) ?? []
    if (fence === undefined) continue
    if (open === undefined) {
      // Backticks after backticks on one line are code within the line, not a block.
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
 * How many brackets that are never closed are followed to the end of the text. Each may cost a walk through all of it; prose has a
 * handful, and beyond this the text is something else. Not to be tuned by users.
 */
const maxWalks = 100

/** The objects and arrays that stand in no other, and, where the text ends inside one, that one too. */
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
    // What stands in a value that was cut off is a part of it. A bracket in prose is passed by.
    if (looksLikeJson(rest)) return [...found, { text: rest, at }]
    if (++walks === maxWalks) return []
    for (const position of walk.unclosed) unclosed.add(position)
  }
  return found
}

/** Where the bracket at `start` is closed, or the brackets that are open where it turns out that it never is. */
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
