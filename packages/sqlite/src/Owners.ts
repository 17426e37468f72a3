/**
 * Whether the process that works on a run is there.
 */
import { isDead } from "./internal/owner.ts"

/**
 * Whether a run with this `owner` and this lease (epoch ms) is being worked on, as far as this process can tell: one that died on
 * the same machine is noticed at once, any other when its lease is up.
 */
export const isAlive = (run: { readonly owner: string | null; readonly leaseUntil: number | null }, now: number): boolean =>
  run.owner !== null && run.leaseUntil !== null && run.leaseUntil > now && !isDead(run.owner)

/** The process id in an `owner`, which means something on the machine of that process. */
export const pidOf = (owner: string): number | undefined => {
  const [, pid] = /^.*:(\d+):[^:]*:[^:]*$/.exec(owner) ?? []
  return pid === undefined ? undefined : Number(pid)
}
