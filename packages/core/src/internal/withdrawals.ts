/**
 * Withdrawals of what waits in the state and not in the schedule: it has left the plan, or the part of the plan that it is in was given up. A
 * row that is open is so one that somebody can end.
 */
import * as HashMap from "effect/HashMap"
import type * as Plan from "../Plan.ts"
import type * as Records from "../Records.ts"
import type { Withdrawal } from "../Status.ts"
import type { Agenda } from "./agenda.ts"
import type { Journal } from "./journal.ts"
import { Phase } from "./phase.ts"
import type { View } from "./view.ts"

/** The schedule that withdrawals are a part of. */
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
}

export interface Withdrawals {
  /** Has everything looked through once the walk is done, since something may have left. */
  readonly request: () => void
  /** Looks through everything that waits, where that was asked for. */
  readonly run: () => void
  readonly close: (record: Records.StepRecord, reason: Withdrawal) => void
}

/** The withdrawals of a schedule. A new one looks through everything once. */
export const make = ({ plan, view, phases, journal, agenda, isHalted, isRunHalted }: Host): Withdrawals => {
  const { state, emit, isPaused } = journal
  let isRequested = true
  const close: Withdrawals["close"] = ({ nodeId, iteration, status }, reason) => {
    const isKept = status === "waiting" && reason === "given-up" && isRunHalted()
    emit({ _tag: "NodeWithdrawn", nodeId, iteration, reason, ...(isKept ? { isKept } : {}) })
  }
  const reasonFor = (record: Records.StepRecord): Withdrawal | undefined => {
    const { nodeId, iteration, status, wait } = record
    // A child run is awaited like an attempt in flight.
    if (status === "waiting" && wait?.kind === "subflow" && wait.child === undefined) return undefined
    const position = plan.positions.get(nodeId)
    if (position === undefined) return "left-plan"
    // What undoes a step is not in the tree, and is called for by its saga.
    if (position >= plan.size) return undefined
    const around = plan.loopOf(position)
    const rows = around < 0 ? 1 : view.passesOf(around)
    if (iteration !== view.iterationOf(position) && (around < 0 || iteration < rows)) return "superseded"
    if (status === "interrupted" || isPaused()) return undefined
    const phase = phases[position]
    if (status === "waiting" ? phase === Phase.waiting : phase === Phase.retrying || phase === Phase.ready) return undefined
    return isHalted(position) ? "given-up" : "left-plan"
  }
  return {
    request: () => {
      isRequested = true
    },
    close,
    run: () => {
      if (!isRequested || journal.isStale() || (agenda.isWalking() && !isPaused())) return
      // While the run is paused, nothing has been come to that the plan does have.
      isRequested = isPaused()
      for (const key of state().unfinished) {
        const record = HashMap.unsafeGet(state().nodes, key)
        const reason = record.kind === "step" ? reasonFor(record) : undefined
        if (record.kind === "step" && reason !== undefined) close(record, reason)
      }
    },
  }
}
