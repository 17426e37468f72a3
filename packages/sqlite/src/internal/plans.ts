/**
 * Plans as they are kept: once per distinct content, and a plan that grew out of another as what differs between them. A run
 * whose plan gains a node with every frame so grows by that node's line, and not by the whole plan each time.
 */
import type { Frame } from "@smithers/core/RunStore"
import type { Connection } from "./connection.ts"

type Row = [content: string, base: string | null, prefix: number, suffix: number, isMoved: number | null]

export interface Plans {
  /** Keeps a plan, unless it is there already, and answers with its hash. */
  readonly keep: (plan: NonNullable<Frame["plan"]>) => string
  /** The text of a plan that is kept. */
  readonly read: (hash: string) => string
}

/**
 * Differences that follow each other before a plan is kept whole again. Reading a plan walks them; a hundred short rows are read
 * in well under a millisecond, and a whole plan among a hundred differences is little more than they are.
 */
const longestChain = 100

export const hash = (text: string): string => new Bun.CryptoHasher("sha256").update(text).digest("hex")

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

/** The plans of a connection. */
export const make = ({ prepare }: Connection): Plans => {
  const insert = prepare(
    "INSERT OR IGNORE INTO smithers_plans (hash, content, base, prefix, suffix, depth, is_moved) VALUES (?, ?, ?, ?, ?, ?, ?)",
  )
  const selectDepth = prepare<[depth: number]>("SELECT depth FROM smithers_plans WHERE hash = ?")
  const select = prepare<Row>("SELECT content, base, prefix, suffix, is_moved FROM smithers_plans WHERE hash = ?")

  return {
    keep: ({ text, base }) => {
      const key = hash(text)
      const baseKey = base === undefined ? undefined : hash(base)
      const depth = baseKey === undefined ? undefined : selectDepth.values(baseKey)[0]?.[0]
      if (base !== undefined && baseKey !== undefined && depth !== undefined && depth < longestChain) {
        const { prefix, suffix } = common(base, text)
        if (prefix + suffix > text.length / 2) {
          insert.run(key, text.slice(prefix, text.length - suffix), baseKey, prefix, suffix, depth + 1, null)
          return key
        }
        const content = moves(base, text)
        if (content.length < text.length / 2) {
          insert.run(key, content, baseKey, 0, 0, depth + 1, 1)
          return key
        }
      }
      insert.run(key, text, null, 0, 0, 0, null)
      return key
    },
    read: (key) => {
      const differences: Array<{
        readonly content: string
        readonly prefix: number
        readonly suffix: number
        readonly isMoved: boolean
      }> = []
      for (let at = key; ; ) {
        const [content, base, prefix, suffix, isMoved]: Row = select.values(at)[0] ?? ["", null, 0, 0, null]
        if (base === null) {
          return differences.reduceRight(
            (text, difference) =>
              difference.isMoved
                ? moved(text, difference.content)
                : text.slice(0, difference.prefix) + difference.content + text.slice(text.length - difference.suffix),
            content,
          )
        }
        differences.push({ content, prefix, suffix, isMoved: isMoved === 1 })
        at = base
      }
    },
  }
}
