/**
 * Names of options, settings and props. Unknown names are reported, with the known name that each probably means. Without this
 * check a mistyped option would be ignored, and its default would apply.
 */

/** An unknown name, and the nearest known one. */
export interface Unknown {
  readonly name: string
  readonly nearest: string | undefined
}

/** Returns the first name of an object that is not among the known names. */
export const unknownIn = (value: object, known: ReadonlySet<string> | ReadonlyArray<string>): Unknown | undefined => {
  const names = known instanceof Set ? known : new Set(known)
  const name = Object.keys(value).find((key) => !names.has(key))
  return name === undefined ? undefined : { name, nearest: nearestTo(name, names) }
}

/** Returns the problem of an object with an unknown name, to append to a subject: `has no option "x"; …`. */
export const problemOf = (
  value: object,
  known: ReadonlySet<string> | ReadonlyArray<string>,
  kind: "option" | "prop" = "option",
): string | undefined => {
  const unknown = unknownIn(value, known)
  if (unknown === undefined) return undefined
  const all = [...known].join(", ")
  const others = unknown.nearest === undefined ? `; there are ${all}` : `; did you mean "${unknown.nearest}"? There are ${all}`
  return `has no ${kind} "${unknown.name}"${others}`
}

/** Returns the nearest of some names: nearly the same letters, and not only different digits. */
export const nearestTo = (name: string, names: Iterable<string>): string | undefined => {
  const written = normal(name)
  let nearest: string | undefined
  let least = Math.max(1, Math.floor(name.length / 4)) + 1
  for (const other of names) {
    const otherWritten = normal(other)
    if (Math.abs(otherWritten.length - written.length) >= least) continue
    // `fix-3` may follow `fix-2`; it is not a slip.
    if (letters(name) === letters(other)) continue
    const cost = distance(written, otherWritten)
    if (cost >= least) continue
    least = cost
    nearest = other
  }
  return nearest
}

/** Returns the word of a list that is nearest to a word, if any is near: one that begins with it, too. */
export const nearestWord = (word: string, words: ReadonlyArray<string>): string | undefined => {
  let best: string | undefined
  let least = Math.max(2, Math.floor(word.length / 3)) + 1
  for (const other of words) {
    const cost = other.startsWith(word) && word.length > 3 ? 1 : distance(word, other)
    if (cost < least) [best, least] = [other, cost]
  }
  return best
}

const normal = (name: string): string => name.toLowerCase().replaceAll(/[\s_.:-]+/g, "-")

const letters = (name: string): string => name.replaceAll(/\d+/g, "#")

const at = (line: ReadonlyArray<number>, column: number): number => line[column] ?? 0

/** Returns the edit distance, with transpositions (Damerau-Levenshtein). */
export const distance = (left: string, right: string): number => {
  let last: ReadonlyArray<number> = []
  let before = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let row = 1; row <= left.length; row++) {
    const line = [row]
    for (let column = 1; column <= right.length; column++) {
      const changed = at(before, column - 1) + (left[row - 1] === right[column - 1] ? 0 : 1)
      const isSwapped = row > 1 && column > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]
      const swapped = isSwapped ? at(last, column - 2) + 1 : changed
      line.push(Math.min(changed, swapped, at(before, column) + 1, at(line, column - 1) + 1))
    }
    last = before
    before = line
  }
  return at(before, right.length)
}
