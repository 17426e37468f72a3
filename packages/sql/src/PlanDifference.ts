/**
 * Difference between two texts of a plan, for a plan derived from another: the lines between their common prefix and suffix, or the
 * order of moved lines.
 */

/**
 * Maximum number of consecutive differences before a plan is stored in full again. Reading a plan walks them. A hundred short rows
 * read in well under a millisecond, and a full plan among a hundred differences takes little more space than they do.
 */
export const longestChain = 100

/** A text as the difference to its base. */
export interface PlanDifference {
  /** Text between the common parts or, with `isMoved`, the lines as positions in the base. */
  readonly content: string
  /** Number of common characters at the start and at the end. */
  readonly prefix: number
  readonly suffix: number
  readonly isMoved: boolean
}

/** Returns the number of common characters at the start and at the end, in whole lines. */
const common = (left: string, right: string): { readonly prefix: number; readonly suffix: number } => {
  const shorter = Math.min(left.length, right.length)
  let prefix = 0
  while (prefix < shorter && left.charCodeAt(prefix) === right.charCodeAt(prefix)) prefix++
  prefix = prefix === 0 ? 0 : left.lastIndexOf("\n", prefix - 1) + 1
  const [leftEnd, rightEnd] = [left.length - 1, right.length - 1]
  let suffix = 0
  while (suffix < shorter - prefix && left.charCodeAt(leftEnd - suffix) === right.charCodeAt(rightEnd - suffix)) suffix++
  const line = suffix === 0 ? -1 : left.indexOf("\n", left.length - suffix)
  return { prefix, suffix: line < 0 ? 0 : left.length - line }
}

/**
 * Encodes a text as lines of another one: `from count` for consecutive lines, `from -count` for lines in reverse order, `+line` for
 * a new one. A reordered plan is thus stored as its moves.
 */
const moves = (base: string, text: string): string => {
  const positions = new Map<string, Array<number>>()
  for (const [index, line] of base.split("\n").entries()) {
    const known = positions.get(line)
    if (known === undefined) positions.set(line, [index])
    else known.push(index)
  }
  const written: Array<string> = []
  let from = 0
  let count = 0
  const end = (): void => {
    if (count !== 0) written.push(`${from} ${count}`)
    count = 0
  }
  for (const line of text.split("\n")) {
    const found = positions.get(line)
    const [next, previous] = [from + count, from + count]
    // Equal lines, as of groups, are matched where the previous line leads to.
    if (found !== undefined && count >= 1 && found.includes(next)) count++
    else if (found !== undefined && count <= -1 && found.includes(previous)) count--
    else if (found !== undefined && count === 1 && found.includes(from - 1)) count = -2
    else {
      end()
      if (found === undefined) written.push(`+${line}`)
      else {
        from = found[0] as number
        count = 1
      }
    }
  }
  end()
  return written.join("\n")
}

/** Decodes the result of {@link moves}. */
const moved = (base: string, content: string): string => {
  const lines = base.split("\n")
  const text: Array<string> = []
  for (const entry of content.split("\n")) {
    if (entry.startsWith("+")) {
      text.push(entry.slice(1))
      continue
    }
    const [from = 0, count = 0] = entry.split(" ").map(Number)
    for (let index = 0; index < Math.abs(count); index++) text.push(lines[from + Math.sign(count) * index] as string)
  }
  return text.join("\n")
}

/** Returns the difference of a text to a base; `undefined` if it saves less than half of the text. */
export const between = (base: string, text: string): PlanDifference | undefined => {
  const { prefix, suffix } = common(base, text)
  if (prefix + suffix > text.length / 2)
    return { content: text.slice(prefix, text.length - suffix), prefix, suffix, isMoved: false }
  const content = moves(base, text)
  return content.length < text.length / 2 ? { content, prefix: 0, suffix: 0, isMoved: true } : undefined
}

/** Applies a difference to its base. */
export const apply = (base: string, { content, prefix, suffix, isMoved }: PlanDifference): string =>
  isMoved ? moved(base, content) : base.slice(0, prefix) + content + base.slice(base.length - suffix)
