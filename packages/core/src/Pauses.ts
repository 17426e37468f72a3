/**
 * How a pause moves the time of what a run waits for. While a run is paused its time stands still: nothing is too late, and a deadline ends
 * later by as long as the pause took. Timers go by the clock of the world and keep their time; those of scopes do not.
 */

import type { Instruction } from "./Inbox.ts"
import * as Millis from "./Millis.ts"

/** The time of a wait, as far as pauses are concerned. */
interface Timed {
  readonly kind: string
  /** Of a timer: `timeout` where it is a scope's. */
  readonly name?: string
  /** Epoch ms at which it began. */
  readonly since: number
  /** Epoch ms at which it is over. */
  readonly deadline: Millis.Millis
}

/** The name of a timer that a scope is left by. */
export const timeout = "timeout"

/** The deadline of a wait of a run that was paused from `pausedAt` until `until` (epoch ms). One that was over before stays over. */
export const moved = ({ kind, name, since, deadline }: Timed, pausedAt: number, until: number): Millis.Millis => {
  if ((kind === "timer" && name !== timeout) || deadline < pausedAt) return deadline
  const paused = until - Math.max(pausedAt, since)
  return paused > 0 ? Millis.after(deadline, Millis.make(paused)) : deadline
}

/**
 * Whether what is said of a wait `at` (epoch ms) is too late. `pausedAt` is when the run was paused, as far as it has heard; what it has not
 * heard of yet stands in `commands`, in order.
 */
export const isTooLate = (
  wait: Timed,
  at: number,
  pausedAt: number | undefined,
  commands: Iterable<{ readonly at: number; readonly command: Pick<Instruction, "_tag"> }>,
): boolean => {
  let { deadline } = wait
  let since = pausedAt
  for (const { at, command } of commands) {
    if (command._tag === "Pause") since ??= at
    if (command._tag !== "Unpause" || since === undefined) continue
    deadline = moved({ ...wait, deadline }, since, at)
    since = undefined
  }
  return deadline < at && (since === undefined || deadline < since)
}

/** Whether a run is paused once it has heard all `commands`, in order. `isPausedNow` is how it stands before that. */
export const isPaused = (isPausedNow: boolean, commands: Iterable<{ readonly command: Pick<Instruction, "_tag"> }>): boolean => {
  let isPaused = isPausedNow
  for (const { command } of commands) {
    if (command._tag === "Pause") isPaused = true
    if (command._tag === "Unpause") isPaused = false
  }
  return isPaused
}
