/**
 * Finds the known name that an unknown one probably means.
 */

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

const normal = (name: string): string => name.toLowerCase().replaceAll(/[\s_.:-]+/g, "-")

const letters = (name: string): string => name.replaceAll(/\d+/g, "#")

const at = (line: ReadonlyArray<number>, column: number): number => line[column] ?? 0

/** Returns the edit distance, with transpositions (Damerau-Levenshtein). */
const distance = (left: string, right: string): number => {
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
