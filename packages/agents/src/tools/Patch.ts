/**
 * Patches as models of OpenAI write them: files by name, changes by lines around them and not by numbers. Nothing is guessed: lines that are kept or removed
 * must stand in the file exactly, and in one place. Only the ends of lines may differ.
 */
import * as Endings from "./Endings.ts"

/** A change of lines in a file. */
interface Hunk {
  /** A line of the file above the change, which tells places apart. */
  readonly below: string | undefined
  readonly old: ReadonlyArray<string>
  readonly new: ReadonlyArray<string>
  /** `true` for a change of the last lines. */
  readonly isAtEnd: boolean
}

/** The change of one file. */
export type FilePatch =
  | { readonly kind: "add"; readonly path: string; readonly text: string }
  | { readonly kind: "delete"; readonly path: string }
  | { readonly kind: "update"; readonly path: string; readonly to: string | undefined; readonly hunks: ReadonlyArray<Hunk> }

type Problem = { readonly problem: string }

const nothing = "Nothing was changed."

const header = /^\*\*\* (Add|Update|Delete) File: (.+?)\s*$/

/** Reads a patch, or says what is wrong with it. */
export const parse = (text: string): ReadonlyArray<FilePatch> | Problem => {
  const lines = text.trim().split(/\r?\n/)
  if (lines[0]?.trim() !== "*** Begin Patch" || lines.at(-1)?.trim() !== "*** End Patch")
    return { problem: `A patch begins with "*** Begin Patch" and ends with "*** End Patch", each on a line of its own. ${nothing}` }
  const files: Array<FilePatch> = []
  const inner = lines.slice(1, -1)
  for (let at = 0; at < inner.length; ) {
    const line = inner[at] ?? ""
    const [, kind, path] = header.exec(line) ?? []
    const refuse = (problem: string, number = at): Problem => ({
      problem: `Line ${number + 2} of the patch ${problem}. ${nothing}`,
    })
    if (kind === undefined || path === undefined)
      return refuse(`names no file: write "*** Update File: <path>", "*** Add File: <path>" or "*** Delete File: <path>"`)
    if (files.some((file) => file.path === path || (file.kind === "update" && file.to === path)))
      return refuse(`names ${path} again: put all changes of a file together`)
    const next = inner.findIndex((other, index) => index > at && header.test(other))
    const body = inner.slice(at + 1, next < 0 ? inner.length : next)
    if (kind === "Delete") {
      if (body.some((other) => other.trim() !== "")) return refuse("deletes a file, and has lines below it")
      files.push({ kind: "delete", path })
    } else if (kind === "Add") {
      const wrong = body.findIndex((other) => !other.startsWith("+"))
      if (wrong >= 0) return refuse("is of a new file and does not begin with +", at + 1 + wrong)
      files.push({ kind: "add", path, text: body.map((other) => `${other.slice(1)}\n`).join("") })
    } else {
      const [, to] = /^\*\*\* Move to: (.+?)\s*$/.exec(body[0] ?? "") ?? []
      const start = to === undefined ? 0 : 1
      const hunks = hunksOf(body.slice(start))
      if (typeof hunks === "number") return refuse("begins with none of space, -, + and @@", at + 1 + start + hunks)
      if (hunks.length === 0 && to === undefined) return refuse(`changes nothing of ${path}`)
      files.push({ kind: "update", path, to, hunks })
    }
    at += body.length + 1
  }
  return files.length === 0 ? { problem: `The patch names no file. ${nothing}` } : files
}

/** The changes of one file, or the index of the line that is none. */
const hunksOf = (lines: ReadonlyArray<string>): ReadonlyArray<Hunk> | number => {
  const hunks: Array<Hunk> = []
  let now: { below: string | undefined; old: Array<string>; new: Array<string>; isAtEnd: boolean } | undefined
  const close = (): void => {
    if (now !== undefined && (now.old.length > 0 || now.new.length > 0)) hunks.push(now)
    now = undefined
  }
  for (const [index, line] of lines.entries()) {
    if (line.startsWith("@@")) {
      close()
      const below = line.replace(/^@@\s?/, "").replace(/\s*@@$/, "")
      now = { below: below.trim() === "" ? undefined : below, old: [], new: [], isAtEnd: false }
      continue
    }
    now ??= { below: undefined, old: [], new: [], isAtEnd: false }
    const [sign, rest] = [line[0], line.slice(1)]
    if (line.startsWith("*** End of File")) {
      now.isAtEnd = true
      close()
    } else if (line === "" || sign === " ") {
      // Models leave the space of an empty line out.
      now.old.push(rest)
      now.new.push(rest)
    } else if (sign === "-") now.old.push(rest)
    else if (sign === "+") now.new.push(rest)
    else return index
  }
  close()
  return hunks
}

/** The text of a file with changes, or why there is none. */
export const apply = (text: string, hunks: ReadonlyArray<Hunk>): { readonly text: string } | Problem => {
  let patched = text
  /** Changes come in the order of the file. */
  let from = 0
  for (const [number, hunk] of hunks.entries()) {
    const which = hunks.length === 1 ? "" : `Change ${number + 1} of ${hunks.length}: `
    const refuse = (problem: string): Problem => ({ problem: `${which}${problem} ${nothing}` })
    const below = hunk.below === undefined ? from : after(patched, hunk.below, from)
    if (typeof below === "string") return refuse(below)
    const position = placeOf(patched, hunk, below)
    if (typeof position === "string") return refuse(position)
    const old = patched.slice(position.start, position.end)
    const added = hunk.new.map((line) => `${line}\n`).join("")
    // The last line of a file may have no end, and then keeps none.
    const isOpen = old !== "" && !old.endsWith("\n")
    const opening = old === "" && position.start > 0 && patched[position.start - 1] !== "\n" ? "\n" : ""
    const fit = Endings.fitted(patched, position.start, old, opening + (isOpen ? added.replace(/\n$/, "") : added))
    patched = patched.slice(0, position.start) + fit + patched.slice(position.end)
    from = position.start + fit.length
  }
  return { text: patched }
}

/** Indexes at which lines begin. */
const startsOf = (text: string): ReadonlyArray<number> => [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)]

const lineAt = (text: string, start: number): string => /^[^\r\n]*(?:\r(?!\n)[^\r\n]*)*/.exec(text.slice(start))?.[0] ?? ""

const numberOf = (text: string, index: number): number => text.slice(0, index).split("\n").length

/** The start of the line after one with this text, which is unique. */
const after = (text: string, wanted: string, from: number): number | string => {
  const starts = startsOf(text).filter((start) => start >= from)
  const exact = starts.filter((start) => lineAt(text, start) === wanted)
  const found = exact.length > 0 ? exact : starts.filter((start) => lineAt(text, start).trim() === wanted.trim())
  const [position] = found
  if (position === undefined) return `the line after @@, ${JSON.stringify(wanted)}, does not stand in the file.`
  if (found.length > 1)
    return `the line after @@, ${JSON.stringify(wanted)}, stands in lines ${found.map((start) => numberOf(text, start)).join(", ")}.`
  const end = text.indexOf("\n", position)
  return end < 0 ? text.length : end + 1
}

/** The only place where the old lines of a change stand, from an index on. */
const placeOf = (
  text: string,
  { old, isAtEnd, below }: Hunk,
  from: number,
): { readonly start: number; readonly end: number } | string => {
  if (old.length === 0) {
    if (isAtEnd) return { start: text.length, end: text.length }
    if (below !== undefined || text === "") return { start: from, end: from }
    return "it has only lines that are added: give lines around them, or @@ with the line above."
  }
  const found: Array<{ readonly start: number; readonly end: number }> = []
  for (const start of startsOf(text)) {
    if (start < from) continue
    const end = endOf(text, start, old)
    if (end !== undefined && (!isAtEnd || end === text.length)) found.push({ start, end })
  }
  const [position] = found
  const first = JSON.stringify(old.find((line) => line.trim() !== "") ?? "")
  if (position === undefined) return `the lines from ${first} on do not stand in the file${from > 0 ? " there" : ""} as they are.`
  if (found.length === 1) return position
  const lines = found.slice(0, 8).map(({ start }) => numberOf(text, start))
  return `the lines from ${first} on stand in ${found.length} places, in lines ${lines.join(", ")}: give more of the lines around them, or @@ with the line above.`
}

/** Where lines end that begin at an index; `undefined` if others stand there. */
const endOf = (text: string, start: number, lines: ReadonlyArray<string>): number | undefined => {
  let at = start
  for (const [index, line] of lines.entries()) {
    if (at === text.length && (index > 0 || line !== "")) return undefined
    if (!text.startsWith(line, at)) return undefined
    at += line.length
    if (at === text.length) {
      if (index < lines.length - 1) return undefined
      continue
    }
    if (text.startsWith("\r\n", at)) at += 2
    else if (text[at] === "\n") at += 1
    else return undefined
  }
  return at
}
