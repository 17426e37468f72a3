/**
 * Requests to an engine to drive a run. One constructor per purpose sets the options, so that no caller decides by hand whether
 * an ended run is reopened.
 */

import type { Millis } from "./Millis.ts"
import type { NewRun } from "./RunOwnership.ts"
import * as Status from "./Status.ts"

/** A request to drive a run. */
export interface RunRequest {
  readonly runId: string
  /** The initial data of a run that does not exist; without it the run must exist. */
  readonly create: NewRun | undefined
  /**
   * Final statuses to reopen the run from, with a fresh budget for its failed nodes. A run that ended otherwise answers with
   * its result.
   */
  readonly reopen: ReadonlyArray<Status.ReopenableStatus>
  /** Reaction to stored outputs that do not match the current schemas: fail, or run their nodes again. */
  readonly onIncompatible: "fail" | "rerun"
  /** Time by which the run must finish then (epoch ms). Default: as before. */
  readonly deadline: Millis | undefined
  /** `true` if the deadline is only for a run that is reopened. */
  readonly isForReopened: boolean
  /** `true` to wait while another process owns the run; otherwise the request fails with `RunFenced`. */
  readonly waitForOwner: boolean
}

/** The options of callers. */
export interface Options extends Partial<Pick<RunRequest, "reopen" | "onIncompatible" | "deadline" | "isForReopened">> {}

const request = (
  runId: string,
  {
    create,
    reopen = [],
    onIncompatible = "fail",
    deadline,
    isForReopened = false,
    waitForOwner = true,
  }: Partial<Omit<RunRequest, "runId">>,
): RunRequest => ({ runId, create, reopen, onIncompatible, deadline, isForReopened, waitForOwner })

/** Starts a run; if the id exists, resumes or joins it. A run that has ended answers with its result. */
export const start = (runId: string, create: NewRun, options: Options = {}): RunRequest => request(runId, { ...options, create })

/** Joins an existing run, or resumes it if it has no owner. A run that has ended answers with its result. */
export const join = (runId: string, options: Options = {}): RunRequest => request(runId, options)

/** Resumes an existing run, even a failed or cancelled one. */
export const resume = (runId: string, options: Omit<Options, "reopen"> = {}): RunRequest =>
  request(runId, { ...options, reopen: Status.ReopenableStatus.literals })

/** Resumes an existing run, unless another process owns it. A run that has ended answers with its result. */
export const claim = (runId: string): RunRequest => request(runId, { waitForOwner: false })
