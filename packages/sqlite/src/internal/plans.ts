/**
 * Stores plans: once per distinct content, and a plan derived from another as its difference to it. A run whose plan gains a node
 * per frame thus grows by one line per frame rather than by the whole plan.
 */
import type { Frame } from "@smithers/core/RunStore"
import * as PlanDifference from "@smithers/sql/PlanDifference"
import type { Connection } from "./connection.ts"

type Row = [content: string, base: string | null, prefix: number, suffix: number, isMoved: number | null]

export interface Plans {
  /** Stores a plan unless it exists, and returns its hash. */
  readonly keep: (plan: NonNullable<Frame["plan"]>) => string
  /** Returns the text of a stored plan. */
  readonly read: (hash: string) => string
}

/** SHA-256 of a text. Bun's own needs no module of Node, which takes a process three milliseconds to load. */
export const hash = (text: string): string =>
  process.versions.bun === undefined
    ? process.getBuiltinModule("node:crypto").createHash("sha256").update(text).digest("hex")
    : new Bun.CryptoHasher("sha256").update(text).digest("hex")

/** Creates the plans of a connection. */
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
      if (base !== undefined && baseKey !== undefined && depth !== undefined && depth < PlanDifference.longestChain) {
        const difference = PlanDifference.between(base, text)
        if (difference !== undefined) {
          const { content, prefix, suffix, isMoved } = difference
          insert.run(key, content, baseKey, prefix, suffix, depth + 1, isMoved ? 1 : null)
          return key
        }
      }
      insert.run(key, text, null, 0, 0, 0, null)
      return key
    },
    read: (key) => {
      const differences: Array<PlanDifference.PlanDifference> = []
      for (let at = key; ; ) {
        const [content, base, prefix, suffix, isMoved]: Row = select.values(at)[0] ?? ["", null, 0, 0, null]
        if (base === null) return differences.reduceRight(PlanDifference.apply, content)
        differences.push({ content, prefix, suffix, isMoved: isMoved === 1 })
        at = base
      }
    },
  }
}
