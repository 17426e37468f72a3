/** The difference of two texts by lines: Myers' algorithm, with a bound beyond which the middle is simply replaced. */

export interface Line {
  readonly kind: "same" | "added" | "removed"
  readonly text: string
}

/** Edits beyond this are not looked for: old lines are removed, new ones added. */
const mostEdits = 2_000

export const diff = (before: string, after: string): ReadonlyArray<Line> => {
  const [old, now] = [linesOf(before), linesOf(after)]
  const least = Math.min(old.length, now.length)
  let begin = 0
  while (begin < least && old[begin] === now[begin]) begin++
  let end = 0
  while (end < least - begin && old[old.length - 1 - end] === now[now.length - 1 - end]) end++
  return [
    ...old.slice(0, begin).map(same),
    ...middle(old.slice(begin, old.length - end), now.slice(begin, now.length - end)),
    ...old.slice(old.length - end).map(same),
  ]
}

const linesOf = (text: string): ReadonlyArray<string> => (text === "" ? [] : text.split("\n"))
const same = (text: string): Line => ({ kind: "same", text })
const added = (text: string): Line => ({ kind: "added", text })
const removed = (text: string): Line => ({ kind: "removed", text })

const middle = (old: ReadonlyArray<string>, now: ReadonlyArray<string>): ReadonlyArray<Line> => {
  if (old.length === 0) return now.map(added)
  if (now.length === 0) return old.map(removed)
  const most = Math.min(old.length + now.length, mostEdits)
  const reach = new Int32Array(2 * most + 2)
  const traces: Array<Int32Array> = []
  for (let edits = 0; edits <= most; edits++) {
    traces.push(reach.slice(most - edits, most + edits + 2))
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      const down = diagonal === -edits || (diagonal !== edits && at(reach, most + diagonal - 1) < at(reach, most + diagonal + 1))
      let x = down ? at(reach, most + diagonal + 1) : at(reach, most + diagonal - 1) + 1
      while (x < old.length && x - diagonal < now.length && old[x] === now[x - diagonal]) x++
      reach[most + diagonal] = x
      if (x >= old.length && x - diagonal >= now.length) return walkBack(traces, old, now)
    }
  }
  return [...old.map(removed), ...now.map(added)]
}

const at = (list: Int32Array, index: number): number => list[index] ?? 0

const walkBack = (
  traces: ReadonlyArray<Int32Array>,
  old: ReadonlyArray<string>,
  now: ReadonlyArray<string>,
): ReadonlyArray<Line> => {
  const lines: Array<Line> = []
  let [x, y] = [old.length, now.length]
  for (let edits = traces.length - 1; edits >= 0; edits--) {
    const trace = traces[edits] as Int32Array
    const diagonal = x - y
    const read = (k: number): number => at(trace, k + edits)
    const down = diagonal === -edits || (diagonal !== edits && read(diagonal - 1) < read(diagonal + 1))
    const before = down ? diagonal + 1 : diagonal - 1
    const fromX = edits === 0 ? 0 : read(before)
    const fromY = edits === 0 ? 0 : fromX - before
    while (x > fromX && y > fromY && old[x - 1] === now[y - 1]) {
      lines.push(same(old[x - 1] as string))
      x--
      y--
    }
    if (edits === 0) break
    if (down) lines.push(added(now[--y] as string))
    else lines.push(removed(old[--x] as string))
  }
  return lines.reverse()
}

/** Leaves out what is the same for long, keeping `context` lines around each change. `null` stands for lines left out. */
export const shorten = (lines: ReadonlyArray<Line>, context = 3): ReadonlyArray<Line | null> => {
  const keep = new Uint8Array(lines.length)
  for (const [index, { kind }] of lines.entries()) {
    if (kind === "same") continue
    for (let near = Math.max(0, index - context); near <= Math.min(lines.length - 1, index + context); near++) keep[near] = 1
  }
  const found: Array<Line | null> = []
  for (const [index, line] of lines.entries()) {
    if (keep[index] === 1) found.push(line)
    else if (found.length === 0 || found.at(-1) !== null) found.push(null)
  }
  return found
}
