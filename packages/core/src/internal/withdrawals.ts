/**
 * Withdrawals of what waits in the state and not in the schedule: it has left the plan, or the part of the plan that it is in was given up or left.
 * A row that is open is so one that somebody can end.
 */
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import { type NodeKey, nodeKey } from "../Ids.ts"
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
  /** Tells whether a node stands in a scope that is left early, and does nothing on the way out. */
  readonly isLeft: (position: number) => boolean
}

export interface Withdrawals {
  /** Has everything looked through once the walk is done, since something may have left. */
  readonly request: () => void
  /** Looks through everything that waits, where that was asked for. */
  readonly run: () => void
  readonly close: (record: Records.StepRecord, reason: Withdrawal) => void
  /**
   * Nodes whose child runs are in flight although the schedule does not wait at them: they have left the plan, or the walk has not come to them. Such
   * a child run is awaited like an attempt in flight.
   */
  readonly strays: () => ReadonlyArray<Records.StepRecord>
  /** Tells whether such a child run was cut short by a cancellation of the run. */
  readonly isCutShort: () => boolean
}

/** Tells whether a node waits for a child run that has not ended. */
const isInFlight = (record: Records.NodeRecord | undefined): record is Records.StepRecord =>
  record?.kind === "step" && record.status === "waiting" && record.wait?.kind === "subflow" && record.wait.child === undefined

/** The withdrawals of a schedule. A new one looks through everything once. */
export const make = ({ plan, view, phases, journal, agenda, isHalted, isRunHalted, isLeft }: Host): Withdrawals => {
  const { state, emit, isPaused } = journal
  let isRequested = true
  let isCutShort = false
  const close: Withdrawals["close"] = ({ nodeId, iteration, status, wait }, reason) => {
    const isKept = status === "waiting" && reason === "given-up" && isRunHalted()
    if (wait?.child?.status === "cancelled" && state().cancel !== undefined) isCutShort = true
    emit({ _tag: "NodeWithdrawn", nodeId, iteration, reason, ...(isKept ? { isKept } : {}) })
  }
  const reasonFor = (record: Records.StepRecord): Withdrawal | undefined => {
    const { nodeId, iteration, status } = record
    if (isInFlight(record)) return undefined
    const position = plan.positions.get(nodeId)
    if (position === undefined) return "left-plan"
    // What undoes a step is not in the tree, and is called for by its saga.
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
  const isStray = ({ nodeId, iteration }: Records.StepRecord): boolean => {
    const position = plan.positions.get(nodeId) ?? -1
    return position < 0 || iteration !== view.iterationOf(position) || phases[position] !== Phase.waiting
  }
  /** Those that were found when everything was looked through last. */
  let strays: ReadonlyArray<NodeKey> = []
  return {
    request: () => {
      isRequested = true
    },
    close,
    isCutShort: () => isCutShort,
    strays: () => {
      if (isRequested) strays = [...state().unfinished]
      if (strays.length === 0) return none
      const found = strays.flatMap((key) => {
        const record = Option.getOrUndefined(HashMap.get(state().nodes, key))
        return isInFlight(record) && isStray(record) ? [record] : []
      })
      strays = found.map(({ nodeId, iteration }) => nodeKey(nodeId, iteration))
      return found
    },
    run: () => {
      if (!isRequested || journal.isStale() || (agenda.isWalking() && !isPaused())) return
      // While the run is paused, nothing has been come to that the plan does have.
      isRequested = isPaused()
      const found: Array<NodeKey> = []
      for (const key of state().unfinished) {
        const record = HashMap.unsafeGet(state().nodes, key)
        const reason = record.kind === "step" ? reasonFor(record) : undefined
        if (record.kind === "step" && reason !== undefined) close(record, reason)
        else if (isInFlight(record) && isStray(record)) found.push(key)
      }
      strays = found
    },
  }
}

const none: ReadonlyArray<never> = []
