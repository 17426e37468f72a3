/**
 * Ends of lines. Models write `\n` whatever a file has, and some files have both: a change keeps the ends of the lines that it keeps, and new lines end as
 * those that they replace or stand beside.
 */

/** A text as its lines without their ends, and the ends; the last line may have none. */
interface Lines {
  readonly lines: ReadonlyArray<string>
  /** One less than the lines. */
  readonly ends: ReadonlyArray<string>
}

const split = (text: string): Lines => ({ lines: text.split(/\r?\n/), ends: [...text.matchAll(/\r?\n/g)].map(([end]) => end) })

const join = ({ lines, ends }: Lines): string => lines.map((line, index) => line + (ends[index] ?? "")).join("")

/** The end of the line at a place: the next one after it, or the last one before it. */
const endAt = (text: string, from: number, to: number): string =>
  /\r?\n/.exec(text.slice(to))?.[0] ?? /\r?\n(?=[^\n]*$)/.exec(text.slice(0, from))?.[0] ?? "\n"

/** The text to put in place of a part of another, which begins at an index, with the ends of the lines of that part. */
export const fitted = (whole: string, index: number, old: string, replacement: string): string => {
  const [before, after] = [split(old), split(replacement)]
  let head = 0
  while (head < Math.min(before.ends.length, after.ends.length) && before.lines[head] === after.lines[head]) head++
  const rest = Math.min(before.lines.length, after.lines.length) - head
  let tail = 0
  while (tail < rest && before.lines.at(-1 - tail) === after.lines.at(-1 - tail)) tail++
  // The last line has no end.
  const kept = Math.max(0, tail - 1)
  const replaced = before.ends.slice(head, before.ends.length - kept)
  const beside = replaced.at(-1) ?? before.ends[head - 1] ?? before.ends.at(-kept) ?? endAt(whole, index, index + old.length)
  const ends = after.ends.map((_, at) => {
    const fromEnd = after.ends.length - at
    if (at < head) return before.ends[at] ?? beside
    return (fromEnd <= kept ? before.ends.at(-fromEnd) : replaced[at - head]) ?? beside
  })
  return join({ lines: after.lines, ends })
}
