/**
 * The effect of pauses on deadlines. While a run is paused nothing times out, and each deadline moves by the length of the
 * pause. Timers follow the wall clock and keep their time, except those of scopes.
 */

import type { Command } from "./Inbox.ts"
import * as Millis from "./Millis.ts"

/** A wait with a deadline. */
interface Timed {
  readonly kind: string
  /** Of a timer: `timeout` if it is a scope's. */
  readonly name?: string
  /** Epoch ms at which it began. */
  readonly since: number
  /** Epoch ms of the deadline. */
  readonly deadline: Millis.Millis
}

/** The name of a timer that leaves a scope. */
export const timeout = "timeout"

/** The deadline of a wait after a pause from `pausedAt` until `until` (epoch ms). A deadline that passed before the pause stays. */
export const moved = ({ kind, name, since, deadline }: Timed, pausedAt: number, until: number): Millis.Millis => {
  if (kind === "quota" || (kind === "timer" && name !== timeout) || deadline < pausedAt) return deadline
  const paused = until - Math.max(pausedAt, since)
  return paused > 0 ? Millis.after(deadline, Millis.make(paused)) : deadline
}

/**
 * Tells whether a response to a wait at `at` (epoch ms) is too late. `pausedAt` is when the run was paused, as it knows;
 * `commands` are those it has not applied yet, in order.
 */
export const isTooLate = (
  wait: Timed,
  at: number,
  pausedAt: number | undefined,
  commands: Iterable<{ readonly at: number; readonly command: Pick<Command, "_tag"> }>,
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

/** Tells whether a run is paused after it applies all `commands`, in order. `isPausedNow` is its state before. */
export const isPaused = (isPausedNow: boolean, commands: Iterable<{ readonly command: Pick<Command, "_tag"> }>): boolean => {
  let isPaused = isPausedNow
  for (const { command } of commands) {
    if (command._tag === "Pause") isPaused = true
    if (command._tag === "Unpause") isPaused = false
  }
  return isPaused
}
