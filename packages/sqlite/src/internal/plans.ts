/**
 * Plans as they are kept: once per distinct content, and a plan that grew out of another as what differs between them. A run
 * whose plan gains a node with every frame so grows by that node's line, and not by the whole plan each time.
 */
import type { Frame } from "@smithers/core/Storage"
import type { Connection } from "./connection.ts"

type Row = [content: string, base: string | null, prefix: number, suffix: number]

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

/** The plans of a connection. */
export const make = ({ prepare }: Connection): Plans => {
  const insert = prepare(
    "INSERT OR IGNORE INTO smithers_plans (hash, content, base, prefix, suffix, depth) VALUES (?, ?, ?, ?, ?, ?)",
  )
  const selectDepth = prepare<[depth: number]>("SELECT depth FROM smithers_plans WHERE hash = ?")
  const select = prepare<Row>("SELECT content, base, prefix, suffix FROM smithers_plans WHERE hash = ?")

  return {
    keep: ({ text, base }) => {
      const key = hash(text)
      const baseKey = base === undefined ? undefined : hash(base)
      const depth = baseKey === undefined ? undefined : selectDepth.values(baseKey)[0]?.[0]
      if (base !== undefined && baseKey !== undefined && depth !== undefined && depth < longestChain) {
        const { prefix, suffix } = common(base, text)
        if (prefix + suffix > text.length / 2) {
          insert.run(key, text.slice(prefix, text.length - suffix), baseKey, prefix, suffix, depth + 1)
          return key
        }
      }
      insert.run(key, text, null, 0, 0, 0)
      return key
    },
    read: (key) => {
      const differences: Array<{ readonly content: string; readonly prefix: number; readonly suffix: number }> = []
      for (let at = key; ; ) {
        const [content, base, prefix, suffix]: Row = select.values(at)[0] ?? ["", null, 0, 0]
        if (base === null) {
          return differences.reduceRight(
            (text, difference) =>
              text.slice(0, difference.prefix) + difference.content + text.slice(text.length - difference.suffix),
            content,
          )
        }
        differences.push({ content, prefix, suffix })
        at = base
      }
    },
  }
}
