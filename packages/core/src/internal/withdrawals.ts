/**
 * Withdraws waits that are in the state but not in the schedule. They have left the plan, or their part of the plan was given
 * up or left. So every open row can be decided or answered. Requests to leave
 * a scope that the run will not reach end here, too.
 */
import { type NodeKey, nodeKey } from "../Ids.ts"
import type * as Plan from "../Plan.ts"
import * as Records from "../Records.ts"
import type { Withdrawal } from "../Status.ts"
import type { Agenda } from "./agenda.ts"
import type { Journal } from "./journal.ts"
import { Phase } from "./phase.ts"
import type { View } from "./view.ts"

/** The schedule that withdrawals belong to. */
export interface Host {
  readonly plan: Plan.Plan
  readonly view: View
  readonly phases: Uint8Array
  readonly journal: Journal
  readonly agenda: Pick<Agenda, "isWalking">
  /** Tells whether nothing may start at a node. */
  readonly isHalted: (position: number) => boolean
  /** Tells whether the whole run is given up. */
  readonly isRunHalted: () => boolean
  /** Tells whether a node is in a scope that is being left early, and not on its way out. */
  readonly isLeft: (position: number) => boolean
  /** The arm that a branch has taken. */
  readonly armOf: (branch: number) => number
}

export interface Withdrawals {
  /** Requests a search of all waits after the walk, since some may have left. */
  readonly request: () => void
  /** Searches all waits, if requested. */
  readonly run: () => void
  readonly close: (record: Records.StepRecord, reason: Withdrawal) => void
  /**
   * Nodes with running child runs that the schedule does not wait at: they have left the plan, or the walk has not reached
   * them. Their child runs are awaited like attempts in flight.
   */
  readonly strays: () => ReadonlyArray<Records.StepRecord>
  /** Tells whether such a child run was interrupted by a cancellation of the run. */
  readonly isCutShort: () => boolean
}

/** Tells whether a node waits for a child run that has not ended. */
const isInFlight = (record: Records.NodeRecord | undefined): record is Records.StepRecord =>
  record?.kind === "step" && record.status === "waiting" && record.wait?.kind === "subflow" && record.wait.child === undefined

/** The withdrawals of a schedule. A new one searches everything once. */
export const make = ({ plan, view, phases, journal, agenda, isHalted, isRunHalted, isLeft, armOf }: Host): Withdrawals => {
  const { state, emit, isPaused } = journal
  let isRequested = true
  let isCutShort = false
  const close: Withdrawals["close"] = ({ nodeId, iteration, status, wait }, reason) => {
    const isKept = status === "waiting" && reason === "given-up" && isRunHalted()
    const isInterrupted = wait?.child?.status === "cancelled" || (status === "interrupted" && reason === "left-plan")
    if (isInterrupted && state().cancel !== undefined) isCutShort = true
    emit({ _tag: "NodeWithdrawn", nodeId, iteration, reason, ...(isKept ? { isKept } : {}) })
  }
  const reasonFor = (record: Records.StepRecord): Withdrawal | undefined => {
    const { nodeId, iteration, status } = record
    if (isInFlight(record)) return undefined
    const position = plan.positions.get(nodeId)
    if (position === undefined) return "left-plan"
    // A compensation is not in the tree; its saga starts it.
    if (position >= plan.size) return undefined
    const around = plan.loopOf(position)
    const rows = around < 0 ? 1 : view.passesOf(around)
    if (iteration !== view.iterationOf(position) && (around < 0 || iteration < rows)) return "superseded"
    if (isPaused()) return undefined
    if (isLeft(position)) return "left"
    if (status === "interrupted") return undefined
    const phase = phases[position]
    if (status === "waiting" ? phase === Phase.waiting : phase === Phase.retrying || phase === Phase.ready) return undefined
    return isHalted(position) ? "given-up" : "left-plan"
  }
  /** Tells whether the run has gone past a boundary that has not begun. */
  const isPassed = ({ nodeId, iteration }: Records.BoundaryRecord): boolean => {
    const position = plan.positions.get(nodeId)
    if (position === undefined) return true
    const around = plan.loopOf(position)
    if (iteration !== view.iterationOf(position)) return around < 0 || iteration < view.passesOf(around)
    if (isHalted(position)) return true
    // The innermost begun node around it decides, since parts that are kept running outlive the others.
    for (let inner = position, up = plan.parent(position); up >= 0; inner = up, up = plan.parent(up)) {
      const phase = phases[up]
      if (phase === Phase.running && plan.node(up)._tag === "Branch" && armOf(up) !== inner) return true
      if (phase === Phase.done || phase === Phase.failed) return true
      if (phase === Phase.running) return false
    }
    return false
  }
  const isStray = ({ nodeId, iteration }: Records.StepRecord): boolean => {
    const position = plan.positions.get(nodeId) ?? -1
    return position < 0 || iteration !== view.iterationOf(position) || phases[position] !== Phase.waiting
  }
  /** Those found by the last search. */
  let strays: ReadonlyArray<NodeKey> = []
  return {
    request: () => {
      isRequested = true
    },
    close,
    isCutShort: () => isCutShort,
    strays: () => {
      if (isRequested) strays = state().unfinished.keys()
      if (strays.length === 0) return empty
      const found = strays.flatMap((key) => {
        const record = state().nodes.get(key)
        return isInFlight(record) && isStray(record) ? [record] : []
      })
      strays = found.map(({ nodeId, iteration }) => nodeKey(nodeId, iteration))
      return found
    },
    run: () => {
      if (!isRequested || journal.isStale() || (agenda.isWalking() && !isPaused())) return
      // While the run is paused the walk does not reach nodes that the plan has.
      isRequested = isPaused()
      const found: Array<NodeKey> = []
      for (const key of state().unfinished.keys()) {
        const record = state().nodes.get(key)
        if (record === undefined) continue
        if (Records.isToBeLeft(record) && !isPaused()) {
          // It is looked at again with all that happens.
          if (!isPassed(record)) isRequested = true
          else emit({ _tag: "BoundaryEnded", nodeId: record.nodeId, iteration: record.iteration, status: "superseded" })
          continue
        }
        const reason = record.kind === "step" ? reasonFor(record) : undefined
        if (record.kind === "step" && reason !== undefined) close(record, reason)
        else if (isInFlight(record) && isStray(record)) found.push(key)
      }
      strays = found
    },
  }
}

const empty: ReadonlyArray<never> = []
