/**
 * What the exit code of a command says. Scripts and agents branch on it without reading any output.
 */
import { isEnded, type ResultStatus } from "@smithers/core/Status"

/** Exit codes. The signals that stop a process have those that shells give them: 129 (SIGHUP), 130 (SIGINT), 141 (SIGPIPE) and 143 (SIGTERM). */
export const Exit = {
  /** The run finished, or the command did what it was asked for. */
  finished: 0,
  /** The run failed, or the database could not be used. */
  failed: 1,
  /** The run was cancelled. */
  cancelled: 2,
  /** The run waits for a person, a signal or a time, or it is paused: it goes on when it is taken up again. */
  waiting: 3,
  /** What was given cannot be used: an option, an input, a file, an id. Nothing was changed. */
  input: 4,
  hungUp: 129,
  interrupted: 130,
  /** Nobody reads any more what it was to print for as long as it goes on. */
  unread: 141,
  terminated: 143,
} as const

/** One of the codes of {@link Exit}. */
export type ExitCode = (typeof Exit)[keyof typeof Exit]

/** The code of a command about a run that was left with this status. */
export const exitOf = (status: ResultStatus | "suspended"): ExitCode => (isEnded(status) ? Exit[status] : Exit.waiting)
