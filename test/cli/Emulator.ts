/**
 * What a terminal shows of what it is sent: as much of one as the command line makes use of.
 */
import { expect } from "vitest"

/** The lines that a terminal shows after it was sent a text, with those that have scrolled away. */
export const shows = (text: string, columns: number): ReadonlyArray<string> => {
  const lines: Array<Array<string>> = [[]]
  let [row, column] = [0, 0]
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a terminal acts upon.
  for (const [all, up, rest, other] of text.matchAll(/\u001b\[(\d*)A|\u001b\[(J)|\u001b\[[\d;?]*[a-zA-Z]|([\s\S])/gu)) {
    if (up !== undefined) row = Math.max(0, row - Number(up || 1))
    else if (rest !== undefined) {
      lines.splice(row + 1)
      lines[row]?.splice(column)
    } else if (other === "\r" || all === "\u001b[G") column = 0
    else if (other === "\n") {
      row++
      lines[row] ??= []
    } else if (other !== undefined) {
      if (column >= columns) {
        row++
        column = 0
        lines[row] ??= []
      }
      const line = lines[row] as Array<string>
      while (line.length < column) line.push(" ")
      line[column++] = other
    } else expect(all.startsWith("\u001b")).toBe(true)
  }
  return lines.map((line) => line.join("").trimEnd())
}
