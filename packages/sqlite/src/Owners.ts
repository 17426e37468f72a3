/**
 * The process that works on a run.
 */
import * as Owner from "./internal/owner.ts"

/**
 * Whether a run with this `owner` and this lease (epoch ms) is being worked on, as far as this process can tell: one that died on
 * the same machine is noticed at once, any other when its lease is up.
 */
export const isAlive = Owner.isWorking

/** Whether a run's process is certainly there, whatever its lease says. */
export const isSeen = ({ owner }: { readonly owner: string | null }): boolean => owner !== null && Owner.isSeen(owner)

/** The host and the process id in an `owner`. The id means something on that machine. */
export const placeOf = Owner.read

/** Whether this process has made a claim. */
export const isMine = (owner: string): boolean => Owner.isOwn(owner)

/** The process id in an `owner`, which means something on the machine of that process. */
export const pidOf = (owner: string): number | undefined => Owner.read(owner)?.pid
