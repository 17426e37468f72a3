/**
 * The port to the processes that work on runs.
 */

import type { RunSummary } from "@smithers/core/RunReader"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { CannotWork } from "./Errors.ts"

export interface ProcessesShape {
  /** Returns `true` if a process works on a run, or is certainly alive and cannot renew its lease. */
  readonly isWorking: (run: Pick<RunSummary, "owner" | "leaseUntil">, now: number) => boolean
  /** Begins work on a run without an owner. Completes once that has begun, or a supervisor was left to do it. */
  readonly begin: (runId: string) => Effect.Effect<void, CannotWork>
}

/** The processes that work on runs. */
export class Processes extends Context.Tag("@smithers/server/Processes")<Processes, ProcessesShape>() {}
