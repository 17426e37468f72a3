/**
 * The process that owns a run.
 */
import * as Owner from "./internal/owner.ts"

/**
 * Returns `true` if a process works on a run with this `owner` and this lease (epoch ms), as far as this process can tell. The
 * death of a process on the same machine is noticed at once, of any other when its lease expires.
 */
export const isAlive = Owner.isWorking

/** Returns `true` if the process of a run is certainly alive, whatever its lease. */
export const isSeen = ({ owner }: { readonly owner: string | null }): boolean => owner !== null && Owner.isSeen(owner)

/** Returns the host and the process id in an `owner`. The id is valid on that host. */
export const placeOf = Owner.read

/** Returns `true` if this process made a claim. */
export const isMine = (owner: string): boolean => Owner.isOwn(owner)

/** Returns the process id in an `owner`, valid on its host. */
export const pidOf = (owner: string): number | undefined => Owner.read(owner)?.pid
