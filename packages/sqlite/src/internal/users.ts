/**
 * Other processes that work on runs of a database. One of them may hold its lock: SQLite does not tell who does.
 */
import type { StoreUser } from "@smithers/core/Errors"
import type { Connection } from "./connection.ts"
import * as Owner from "./owner.ts"

/** Runs that are named at most. */
const most = 20

/**
 * What tells them, for a connection that cannot write. A process on this machine is named while it is there, since one that is stopped lets its
 * lease run out; one elsewhere until its lease is over.
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
      // A database that cannot be read either is locked all the same.
      return []
    }
  }
}
