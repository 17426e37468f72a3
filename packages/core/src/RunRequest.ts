/**
 * Requests to work on a run: what an engine is asked for. One constructor for each way to ask, so that nobody chooses by hand whether a run that
 * has ended is continued.
 */

import type { NewRun } from "./RunOwnership.ts"
import * as Status from "./Status.ts"

/** A request to work on a run. */
export interface RunRequest {
  readonly runId: string
  /** What to start it from if it does not exist; without it the run must exist. */
  readonly create: NewRun | undefined
  /** The ends after which the run is continued, with a fresh budget for its failed nodes. Any other end is the answer. */
  readonly reopen: ReadonlyArray<Status.ReopenableStatus>
  /** What to do about stored outputs that the current schemas do not accept: fail, or run their nodes again. */
  readonly onIncompatible: "fail" | "rerun"
  /** Whether to wait for a run that another process works on; otherwise it is `RunFenced`. */
  readonly waitForOwner: boolean
}

/** Choices that a caller has. */
export interface Options extends Partial<Pick<RunRequest, "reopen" | "onIncompatible">> {}

const request = (
  runId: string,
  { create, reopen = [], onIncompatible = "fail", waitForOwner = true }: Partial<Omit<RunRequest, "runId">>,
): RunRequest => ({ runId, create, reopen, onIncompatible, waitForOwner })

/** Starts a run or, where there is one of this id, resumes or joins it. One that has ended answers with its result. */
export const start = (runId: string, create: NewRun, options: Options = {}): RunRequest => request(runId, { ...options, create })

/** Joins a run that exists, or resumes it where nobody works on it. One that has ended answers with its result. */
export const join = (runId: string, options: Options = {}): RunRequest => request(runId, options)

/** Resumes a run that exists, also one that has failed or was cancelled. */
export const resume = (runId: string, options: Omit<Options, "reopen"> = {}): RunRequest =>
  request(runId, { ...options, reopen: Status.ReopenableStatus.literals })

/** Resumes a run that exists, unless another process works on it. One that has ended answers with its result. */
export const claim = (runId: string): RunRequest => request(runId, { waitForOwner: false })
