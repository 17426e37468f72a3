/**
 * When a process counts as warm: the same rule for the runtime and for the program that is its limit.
 */

/** Steps after which what runs in a loop has been compiled. */
const warmSteps = 8000

/** How often a workload of so many steps is repeated. */
export const roundsOf = (steps: number): number => Math.max(2, Math.ceil(warmSteps / steps))

/** The median of the second half of some times, in the order in which they were measured. */
export const warm = (times: ReadonlyArray<number>): number => {
  const later = times.slice(times.length >> 1).sort((left, right) => left - right)
  return later[later.length >> 1] as number
}

/** Now, in milliseconds that two processes of one machine count alike. */
export const wallClock = (): number => performance.timeOrigin + performance.now()
