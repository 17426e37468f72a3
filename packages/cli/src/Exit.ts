/**
 * Exit codes of the commands. Scripts and agents can branch on them without reading any output.
 */
import { isEnded, type ResultStatus } from "@smithers/core/Status"

/** Exit codes. Signals have the codes that shells use: 129 (SIGHUP), 130 (SIGINT), 141 (SIGPIPE) and 143 (SIGTERM). */
export const Exit = {
  /** The run finished, or the command succeeded. */
  finished: 0,
  /** The run failed, or the database could not be used. */
  failed: 1,
  /** The run was cancelled. */
  cancelled: 2,
  /** The run waits for a person, a signal or a time, or is paused. It continues when resumed. */
  waiting: 3,
  /** Invalid input: an option, an input, a file, an id. Nothing was changed. */
  input: 4,
  hungUp: 129,
  interrupted: 130,
  /** Standard output was closed while the command streamed. */
  unread: 141,
  terminated: 143,
} as const

export type ExitCode = (typeof Exit)[keyof typeof Exit]

/** Returns the exit code for the status in which a command leaves a run. */
export const exitOf = (status: ResultStatus | "suspended"): ExitCode => (isEnded(status) ? Exit[status] : Exit.waiting)
