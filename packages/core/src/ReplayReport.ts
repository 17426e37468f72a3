/** The result of a replay, apart from what makes it, which few programs load. */
import type { NodeKey } from "./Ids.ts"
import type { ReplayFinding } from "./ReplayFinding.ts"
import type { RunStatus } from "./Status.ts"

/** The result of a replay. */
export interface ReplayReport {
  readonly runId: string
  readonly workflow: string
  /** Status of the recorded run. */
  readonly status: RunStatus
  /** In the order of the recording. */
  readonly findings: ReadonlyArray<ReplayFinding>
  /** Number of tasks and waits, in all iterations, that were compared. */
  readonly compared: number
  /** Recorded tasks and waits (`<node>/<iteration>`) that were not compared, since they depend on something that differs. */
  readonly unreached: ReadonlyArray<NodeKey>
  /** Tasks whose prompt cannot be compared, with the reason. */
  readonly uncompared: ReadonlyArray<{ readonly key: NodeKey; readonly reason: string }>
  /** Its child runs, each replayed with its own code. */
  readonly children: ReadonlyArray<ReplayReport>
}

/** Tells whether today's code would have changed a run, or one of its child runs. A function that differs from itself is no change. */
export const hasChanged = ({ findings, children }: ReplayReport): boolean =>
  findings.some(({ _tag }) => _tag !== "Unsteady") || children.some(hasChanged)
