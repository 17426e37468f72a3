/**
 * Numbers about a whole store, for metrics.
 */
import { statSync } from "node:fs"
import type { StoreStatistics } from "@smithers/core/RunReader"
import type { Claims } from "./claims.ts"
import type { Connection } from "./connection.ts"
import type { Queries } from "./queries.ts"

/** Returns the size of a database in bytes, including its log. */
export const sizeOf = (filename: string): number =>
  [filename, `${filename}-wal`].reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0)

/** Counts what a store holds. */
export const read = (
  { file }: Pick<Connection, "file">,
  queries: Pick<Queries, "statistics">,
  claims: Pick<Claims, "countDue">,
  now: number,
): StoreStatistics => ({
  ...queries.statistics(now),
  due: claims.countDue(now),
  bytes: file === undefined ? null : sizeOf(file),
})
