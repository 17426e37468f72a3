/**
 * Exact replacements in a text. Nothing is guessed: text that looks like what is to be replaced and is not the same was edited in the wrong place too often.
 * Only the ends of lines may differ, since models write `\n` whatever the file has.
 */
import * as Endings from "./Endings.ts"

/** A replacement of the only place where a text stands, or of all with `replaceAll`. */
export interface Edit {
  readonly old: string
  readonly new: string
  readonly replaceAll?: boolean | undefined
}

/** An edited text with its changes as a diff, or why nothing was changed. */
export type Edited = { readonly text: string; readonly diff: string } | { readonly problem: string }

/** Lines around a change in a diff. */
const context = 2

/** Lines of a diff that are shown. */
const longestDiff = 80

/** Line numbers that are listed of places. */
const mostPlaces = 8

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")

/** Finds a text whatever ends the lines have. */
const patternOf = (text: string): RegExp => new RegExp(escaped(text.replaceAll("\r\n", "\n")).replaceAll("\n", "\\r?\\n"), "g")

const lineOf = (text: string, index: number): number => text.slice(0, index).split("\n").length

/** Applies all edits in turn, or none. */
export const apply = (text: string, edits: ReadonlyArray<Edit>): Edited => {
  let edited = text
  const diffs: Array<string> = []
  for (const [number, edit] of edits.entries()) {
    const which = edits.length === 1 ? "" : `Edit ${number + 1} of ${edits.length}: `
    const refuse = (problem: string) => ({ problem: `${which}${problem} Nothing was changed.` })
    if (edit.old === "") return refuse('"old" is empty: give the text that is to be replaced.')
    if (edit.old === edit.new) return refuse('"old" and "new" are the same.')
    const matches = [...edited.matchAll(patternOf(edit.old))]
    if (matches.length === 0) return refuse(`"old" does not stand in the file.${nearest(edited, edit.old)}`)
    if (matches.length > 1 && edit.replaceAll !== true) {
      const lines = matches.slice(0, mostPlaces).map(({ index }) => lineOf(edited, index))
      const more = matches.length > mostPlaces ? ", …" : ""
      return refuse(
        `"old" stands in ${matches.length} places, in lines ${lines.join(", ")}${more}: give more of the text around it, or replaceAll.`,
      )
    }
    const before = edited
    const replacement = (old: string, index: number): string => Endings.fitted(before, index, old, edit.new)
    // A function, since `$` in a replacement text would mean parts of the match.
    edited = edited.replaceAll(patternOf(edit.old), replacement)
    const [first] = matches
    if (first !== undefined) diffs.push(diffOf(before, first.index, first[0], replacement(first[0], first.index), matches.length))
  }
  return { text: edited, diff: diffs.join("\n") }
}

/** A change with the lines around it. Of several places the first is shown. */
const diffOf = (before: string, index: number, old: string, replacement: string, count: number): string => {
  const start = before.lastIndexOf("\n", index - 1) + 1
  const stop = before.indexOf("\n", index + old.length)
  const end = stop < 0 ? before.length : stop
  const lines = (text: string): ReadonlyArray<string> => text.split("\n").map((line) => line.replace(/\r$/, ""))
  const above = start === 0 ? [] : lines(before.slice(0, start - 1)).slice(-context)
  const below = stop < 0 ? [] : lines(before.slice(stop + 1)).slice(0, context)
  const removed = lines(before.slice(start, end))
  const added = lines(before.slice(start, index) + replacement + before.slice(index + old.length, end))
  const shown = [
    `@@ line ${lineOf(before, index)}${count > 1 ? `, the first of ${count} places` : ""} @@`,
    ...above.map((line) => ` ${line}`),
    ...removed.map((line) => `-${line}`),
    ...added.map((line) => `+${line}`),
    ...below.map((line) => ` ${line}`),
  ]
  return shown.length > longestDiff
    ? [...shown.slice(0, longestDiff), `… ${shown.length - longestDiff} more lines`].join("\n")
    : shown.join("\n")
}

/** Pairs of neighbouring characters of a line, without regard to its spaces. */
const pairs = (line: string): ReadonlyArray<string> => {
  const letters = [...line.replaceAll(/\s+/g, "")]
  return letters.slice(1).map((letter, index) => `${letters[index]}${letter}`)
}

/** The share of pairs that two lines have in common (Dice's coefficient). */
const likeness = (left: ReadonlyMap<string, number>, size: number, line: string): number => {
  const right = pairs(line)
  const rest = new Map(left)
  let common = 0
  for (const pair of right) {
    const count = rest.get(pair) ?? 0
    if (count > 0) {
      common++
      rest.set(pair, count - 1)
    }
  }
  return right.length + size === 0 ? 0 : (2 * common) / (right.length + size)
}

/** Lines that are compared: more would take longer than the model's next call. */
const mostLines = 20_000

/** The line that is most like the first line of a text, for the model to see what it has misread. */
const nearest = (text: string, wanted: string): string => {
  const first = wanted.split("\n").find((line) => line.trim() !== "")
  if (first === undefined) return ""
  const counts = new Map<string, number>()
  const own = pairs(first)
  for (const pair of own) counts.set(pair, (counts.get(pair) ?? 0) + 1)
  let best = { score: 0.5, line: "", number: 0 }
  for (const [index, line] of text.split("\n", mostLines).entries()) {
    const score = likeness(counts, own.length, line)
    if (score > best.score) best = { score, line: line.replace(/\r$/, ""), number: index + 1 }
  }
  return best.number === 0
    ? " No line is like its first."
    : ` The nearest line is ${best.number}: ${JSON.stringify(best.line.slice(0, 300))}.`
}
