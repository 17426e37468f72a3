/**
 * What differs between two texts of a plan, as it is kept of one that grew out of another: the lines between their common beginning and end, or
 * which lines stand where.
 */

/**
 * Differences that follow each other before a plan is kept whole again. Reading a plan walks them; a hundred short rows are read
 * in well under a millisecond, and a whole plan among a hundred differences is little more than they are.
 */
export const longestChain = 100

/** A text as it differs from its base. */
export interface PlanDifference {
  /** What stands between the common parts or, where it is moved, the lines by where they stood. */
  readonly content: string
  /** Characters of the base before it, and after it. */
  readonly prefix: number
  readonly suffix: number
  readonly isMoved: boolean
}

/** How many characters two texts have in common at their beginning and at their end, in whole lines. */
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
 * A text as lines of another: `from count` for lines of it, `from -count` for the same upwards, `+line` for a new one. So a plan whose nodes stand in
 * another order is kept as what moved.
 */
const moves = (base: string, text: string): string => {
  const places = new Map<string, Array<number>>()
  for (const [index, line] of base.split("\n").entries()) {
    const known = places.get(line)
    if (known === undefined) places.set(line, [index])
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
    const found = places.get(line)
    const [next, previous] = [from + count, from + count]
    // Lines that are alike, as those of groups are, are looked for where the one before leads to.
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

/** What {@link moves} wrote, as the text again. */
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

/** The difference of a text from a base; `undefined` where it saves less than half of the text. */
export const between = (base: string, text: string): PlanDifference | undefined => {
  const { prefix, suffix } = common(base, text)
  if (prefix + suffix > text.length / 2)
    return { content: text.slice(prefix, text.length - suffix), prefix, suffix, isMoved: false }
  const content = moves(base, text)
  return content.length < text.length / 2 ? { content, prefix: 0, suffix: 0, isMoved: true } : undefined
}

/** The text that a base and a difference make. */
export const apply = (base: string, { content, prefix, suffix, isMoved }: PlanDifference): string =>
  isMoved ? moved(base, content) : base.slice(0, prefix) + content + base.slice(base.length - suffix)
