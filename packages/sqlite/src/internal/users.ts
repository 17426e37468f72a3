/**
 * Other processes that work on runs of a database, one of which may hold its lock. SQLite does not reveal the holder.
 */
import type { StoreUser } from "@smithers/core/Errors"
import type { Connection } from "./connection.ts"
import * as Owner from "./owner.ts"

/** Maximum number of runs that are listed. */
const most = 20

/**
 * Creates a function that lists them, for a connection that cannot write. A process on this machine is listed while it is alive,
 * since a stopped one lets its lease expire; a process elsewhere until its lease expires.
 */
export const make = (connection: Connection): (() => ReadonlyArray<StoreUser>) => {
  const select = connection.prepare<[runId: string, owner: string, leaseUntil: number | null]>(
    "SELECT run_id, owner, lease_until FROM smithers_runs WHERE owner IS NOT NULL ORDER BY lease_until, run_id",
  )
  return () => {
    const now = Date.now()
    try {
      const others = select.values().flatMap(([runId, owner, leaseUntil]) => {
        const found = Owner.read(owner)
        const isLeased = leaseUntil !== null && leaseUntil > now && !Owner.isDead(owner) && found?.pid !== process.pid
        return found !== undefined && (Owner.isSeen(owner) || isLeased) ? [{ runId, pid: found.pid, host: found.host }] : []
      })
      return others.slice(0, most)
    } catch {
      // An unreadable database is still locked.
      return []
    }
  }
}
