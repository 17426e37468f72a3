/**
 * Boundaries, which handle propagating failures and cancellations, and scopes, which are also left early without either.
 * Nothing more starts in a part of the plan that is given up. Its attempts in flight are awaited and kept. Then its boundaries
 * are left from the inside out: their steps are compensated, their `catch` and `finally` run. A scope that is left interrupts
 * its attempts, like a cancellation of the run; no `catch` inside sees that, and nothing outside has failed. All of it is
 * recorded in the state, so that another schedule can continue.
 */
import type { ErrorInfo } from "../ErrorInfo.ts"
import type { NodeFailureName } from "../Errors.ts"
import { parseNodeKey } from "../Ids.ts"
import * as Plan from "../Plan.ts"
import * as Records from "../Records.ts"
import type { FailureCause, Leaving } from "../RunEvent.ts"
import * as RunState from "../RunState.ts"
import { defined } from "../Struct.ts"
import type { Agenda } from "./agenda.ts"
import type { Conditions } from "./conditions.ts"
import type { Interrupt, Journal } from "./journal.ts"
import type { OpenWaits } from "./openWaits.ts"
import { Phase } from "./phase.ts"
import type { Starts } from "./starts.ts"
import { errorOf, type View } from "./view.ts"
import type { Withdrawals } from "./withdrawals.ts"

/** A boundary that has begun and has not ended. */
interface Open {
  /** The current part: its body, its `catch`, its `finally`, or its compensations. */
  part: "body" | "catch" | "finally" | "undoing"
  /** `true` if nothing more starts in this part; the next part begins when its attempts have ended. */
  isHalting: boolean
  isCaught: boolean
  cause: FailureCause | undefined
  /** Set for a scope that is left early. */
  left: Leaving | undefined
  /** Rows still to compensate, the one that finished last at the end. */
  undo?: Array<Undo>
  /** `true` if a compensation failed. */
  isStuck?: boolean
}

/** A row of a step to compensate. */
interface Undo {
  readonly order: number
  readonly compensation: number
  readonly row: number
}

/** The schedule that boundaries belong to. */
export interface Host {
  readonly plan: Plan.Plan
  readonly view: View
  readonly phases: Uint8Array
  readonly journal: Journal
  readonly agenda: Pick<Agenda, "begin" | "complete" | "settle">
  readonly conditions: Pick<Conditions, "passedOn">
  readonly openWaits: Pick<OpenWaits, "drop" | "reattach">
  readonly starts: Pick<Starts, "orphans">
  readonly withdrawals: Pick<Withdrawals, "request" | "close">
  /** The outcome and reason of leaving a scope that has just begun, if it must be left. */
  readonly leavingOf: (position: number, scope: Plan.Scope) => Leaving | undefined
  /** Continues the parts that an ended scope keeps running beside the next nodes. */
  readonly goOnBeside: (position: number) => void
}

export interface Boundaries {
  /** Begins a boundary, or continues it. */
  readonly begin: (position: number, node: Plan.Boundary) => void
  /** Handles the end of a part of a boundary, at `part`. */
  readonly finishPart: (position: number, node: Plan.Boundary, part: number) => void
  /** Leaves an open scope; does nothing if it is closed or being left. */
  readonly leave: (position: number, left: Leaving) => void
  /** Leaves a part of a race or a list in which nothing has begun. */
  readonly discard: (position: number) => void
  /** Tells whether a boundary has begun, and has neither ended nor been given up. */
  readonly isGoingOn: (position: number) => boolean
  /** Tells whether a node is in a scope that is being left early, and not on its way out. */
  readonly isLeft: (position: number) => boolean
  /** Continues a saga after a compensation has ended. Returns whether the node was one. */
  readonly finishUndoing: (position: number) => boolean
  /** Propagates a failure from a node. */
  readonly propagateFailure: (position: number, cause: FailureCause) => void
  /** Gives up the whole run, through its boundaries; without a cause, it is cancelled. */
  readonly haltRun: (cause: FailureCause | undefined) => void
  /** Tells whether nothing may start at a node. */
  readonly isHalted: (position: number) => boolean
  /** Restores the failure of a run that has failed already, before the walk. */
  readonly restoreFailure: () => void
  /** Interrupts attempts beside the failures in the state, after the walk. */
  readonly interruptBeside: () => void
  /** Performs the next action on the way out, of the innermost boundary. Returns whether there was one. */
  readonly unwind: () => boolean
  /** Tells whether the whole run is given up. */
  readonly isRunHalted: () => boolean
  /** The failure of the run. */
  readonly failure: () => FailureCause | undefined
  /** Tells whether a boundary has begun and has not ended. */
  readonly isAnyOpen: () => boolean
}

/** The failure of a scope that has timed out. */
const timedOut = ({ timeout }: Plan.Scope): ErrorInfo => {
  const due =
    timeout?.target.kind === "timer" && typeof timeout.target.due === "number" ? ` within ${timeout.target.due} ms` : " in time"
  return { name: "ScopeTimedOut" satisfies NodeFailureName, message: `it was not over${due}`, retryable: true, notRetried: "wait" }
}

/** The boundaries of a schedule. */
export const make = (host: Host): Boundaries => {
  const { plan, view, phases, journal, agenda, conditions, openWaits, starts, withdrawals, leavingOf, goOnBeside } = host
  const { node: at, parent, end, size } = plan
  const { iterationOf } = view
  const { state, emit } = journal
  const open = new Map<number, Open>()
  /** Open boundaries in which nothing more starts. */
  const halting = new Set<number>()
  /** Running compensations, and their sagas. */
  const undoing = new Map<number, number>()
  /** `true` if nothing more starts except on the way out of boundaries. */
  let isRootHalted = false
  let failure: FailureCause | undefined
  const failFast: Array<number> = []
  for (let position = 0; position < size; position++) {
    const node = plan.node(position)
    // A race that one branch loses is lost at once.
    if ((node._tag === "Parallel" && node.failFast) || node._tag === "Race") failFast.push(position)
  }

  const openAt = (position: number): Open => {
    const boundary = open.get(position)
    if (boundary === undefined) throw new Error(`boundary ${view.nameOf(position)} has not begun, or is left`)
    return boundary
  }
  const propagateFailure = (position: number, cause: FailureCause): void => {
    interruptAround(position, haltOutwards(position, cause))
  }
  /** Propagates a failure from a node. Returns the boundary that catches it, or -1. */
  const haltOutwards = (position: number, raised: FailureCause): number => {
    let cause = raised
    let catcher = -1
    let outermost = -1
    let isHaltedBeyond = false
    for (let inner = position, up = parent(position); up >= 0; inner = up, up = parent(up)) {
      const boundary = open.get(up)
      if (boundary === undefined) continue
      if (boundary.isHalting) {
        isHaltedBeyond = true
        break
      }
      const passed = boundary.part === "body" && inner === up + 1 ? passedOn(up, cause) : cause
      if (passed === undefined) {
        catcher = up
        break
      }
      cause = passed
      outermost = up
    }
    if (catcher >= 0) {
      halt(catcher + 1, end(catcher + 1), cause, position)
      haltBoundary(catcher, cause, true)
    } else if (isHaltedBeyond || isRootHalted) {
      // A node on the way out of a wider failure has failed itself.
      if (outermost >= 0) halt(outermost, end(outermost), cause, position)
    } else {
      isRootHalted = true
      failure = cause
      halt(0, size, cause, position)
    }
    return catcher
  }
  /** The failure that a boundary propagates for a failure in its body; `undefined` if it catches it. */
  const passedOn = (position: number, cause: FailureCause): FailureCause | undefined => {
    const node = plan.boundary(position)
    if (node._tag === "Scope") return node.part?.isCatching === true ? undefined : cause
    if (node._tag === "Saga") return node.onCompensated === "continue" ? undefined : cause
    return node.catch === undefined ? cause : conditions.passedOn(position, node, cause)
  }

  /**
   * Stops everything in a part of the plan from starting, except the way out of boundaries inside. That is a `finally` that is
   * not halted itself, and a whole boundary that runs its `finally` or compensates. One pass in document order, since boundaries
   * may be nested deeply.
   */
  const halt = (from: number, to: number, cause: FailureCause | undefined, origin: number): void => {
    withdrawals.request()
    const isIn = (position: number): boolean => position <= origin && origin < end(position)
    /** The `finally`s ahead, the next one at the end. */
    const lasts: Array<{ readonly at: number; readonly boundary: number }> = []
    for (let position = from; position < to; position++) {
      const last = lasts.at(-1)
      if (last?.at === position) {
        lasts.pop()
        if (!isIn(position) && view.boundaryRecord(last.boundary)?.isFinallySkipped !== true) {
          position = end(position) - 1
          continue
        }
      }
      const node = at(position)
      if (Plan.isBoundary(node)) {
        resumeFinally(position, node)
        const part = open.get(position)?.part
        if ((part === "finally" || part === "undoing") && !(position < origin && isIn(position))) {
          position = end(position) - 1
          continue
        }
        // A part without a record gets no event: the boundary around it awaits its attempts.
        if (isUntold(position, node)) open.delete(position)
        else if (part !== undefined || isOpenByState(position)) haltBoundary(position, cause, false)
        const ahead = node._tag === "TryCatch" ? Plan.tryParts(plan, position, node).finally : undefined
        if (ahead !== undefined) lasts.push({ at: ahead, boundary: position })
        continue
      }
      const phase = phases[position]
      if (phase === Phase.waiting && !Plan.isAttachedChild(node)) openWaits.drop(position)
      if (phase === Phase.ready || phase === Phase.retrying || phase === Phase.blocked || phase === Phase.parked)
        phases[position] = Phase.idle
    }
  }
  /** Continues a try whose `finally` a new schedule has not reached: by the state, nothing before it is left to do. */
  const resumeFinally = (position: number, node: Plan.Boundary): void => {
    if (node._tag !== "TryCatch" || open.has(position) || view.boundaryRecord(position)?.status !== "running") return
    const { finally: last } = Plan.tryParts(plan, position, node)
    if (last === undefined || !view.hasBegun(last)) return
    open.set(position, { part: "finally", isHalting: false, isCaught: false, cause: undefined, left: undefined })
    agenda.begin(last)
  }
  const isUntold = (position: number, node: Plan.Node): boolean => {
    const record = view.boundaryRecord(position)
    if (!open.has(position) && Records.isToBeLeft(record)) return !view.hasBegun(position + 1)
    return Plan.isPart(node) && record === undefined
  }
  const isOpenByState = (position: number): boolean => {
    const status = view.boundaryRecord(position)?.status
    return status === "running" || status === "halted"
  }
  const haltBoundary = (position: number, cause: FailureCause | undefined, isCaught: boolean, leaving?: Leaving): void => {
    const record = view.boundaryRecord(position)
    const isLast = open.get(position)?.part === "finally"
    const isHaltedSo = record?.status === "halted" && record.isCaught === isCaught
    const isNoted = isHaltedSo && (!isLast || record.isFinallySkipped === true)
    const why = isHaltedSo ? record.cause : cause
    const left = isCaught ? (record?.left ?? leaving) : undefined
    open.set(position, Object.assign(open.get(position) ?? reopened(record), { isHalting: true, isCaught, cause: why, left }))
    halting.add(position)
    // What is lost by it is lost at once.
    if (isCaught && Plan.isPart(plan.boundary(position))) agenda.settle(parent(position))
    if (!isNoted) {
      const id = plan.id(position)
      const told = { ...defined({ cause: why }), ...(isLast ? { isFinallySkipped: true } : {}), ...defined({ left }) }
      emit({ _tag: "BoundaryHalted", nodeId: id, iteration: iterationOf(position), isCaught, ...told })
    }
    reattach(position + 1, end(position))
  }
  const reopened = (record: Records.BoundaryRecord | undefined): Open => {
    const isLeavingCatch = record?.isCaught !== true && record?.caught !== undefined
    const part = record?.isFinallySkipped === true ? "finally" : isLeavingCatch ? "catch" : "body"
    return { part, isHalting: true, isCaught: false, cause: undefined, left: undefined }
  }

  /** Interrupts the attempts beside a failure in the outermost `failFast` group around it, unless a boundary between catches it. */
  const interruptAround = (position: number, catcher: number): void => {
    const group = failFast.find((candidate) => candidate > catcher && candidate < position && position < end(candidate))
    if (group === undefined) return
    // Attempts on the way out continue.
    for (let inside = group; inside < end(group); inside++) if (isHalted(inside)) interrupt(inside, "fail-fast")
  }
  const interrupt = (position: number, reason: Interrupt["reason"]): void => {
    const node = at(position)
    if (node._tag !== "Step" && !Plan.isAttachedChild(node)) return
    // By the state instead of the phases, since a new schedule has not reached all nodes yet.
    const status = view.stepRecord(position)?.status
    if (status === (node._tag === "Step" ? "running" : "waiting")) journal.interrupt(view.keyOf(position), reason)
  }

  /** Tells whether nothing may start at a node. */
  const isHalted = (position: number): boolean => {
    if (position >= size || (!isRootHalted && open.size === 0)) return false
    for (let inner = position, up = parent(position); up >= 0; inner = up, up = parent(up)) {
      const boundary = open.get(up)
      if (boundary === undefined) continue
      if (boundary.isHalting || inner !== partAt(up, boundary.part, inner)) return true
      // A `finally` runs to completion even if an outer boundary fails.
      if (boundary.part === "finally") return false
    }
    return isRootHalted
  }
  const partAt = (position: number, part: Open["part"], inner: number): number => {
    const node = at(position)
    // The timer of a scope belongs to its body.
    if (node._tag === "Scope") return inner
    if (node._tag !== "TryCatch") return part === "body" ? position + 1 : -1
    const parts = Plan.tryParts(plan, position, node)
    return (part === "catch" ? parts.catch : part === "finally" ? parts.finally : parts.try) ?? -1
  }

  // Boundaries.
  const beginBoundary = (position: number, node: Plan.Boundary): void => {
    phases[position] = Phase.running
    const record = view.boundaryRecord(position)
    switch (record?.status) {
      case "finished":
        goOnBeside(position)
        return agenda.complete(position)
      case "caught":
      case "compensated":
      case "completed":
      case "cancelled":
        return agenda.complete(position)
      case "failed":
        if (record.cause !== undefined) haltOutwards(position, record.cause)
        return
      case "halted": {
        const isCaught = record.isCaught === true
        if (isCaught) halt(position + 1, end(position + 1), record.cause, -1)
        else halt(position, end(position), record.cause, -1)
        const caught = isCaught && node._tag === "TryCatch" ? Plan.tryParts(plan, position, node).catch : undefined
        // It began once nothing else was in flight. What goes on in it, such as a child run, must not hold it up.
        if (caught !== undefined && view.hasBegun(caught)) {
          open.set(position, { part: "catch", isHalting: false, isCaught, cause: record.cause, left: undefined })
          return agenda.begin(caught)
        }
        haltBoundary(position, record.cause, isCaught)
        // A failure that it does not catch was propagated when it happened.
        if (!isCaught && record.cause !== undefined) haltOutwards(position, record.cause)
        return
      }
      default: {
        // One that a left scope held, or that the run had gone past, begins as if nothing were known of it.
        if (record === undefined ? !Plan.isPart(node) : Records.isUnbegun(record))
          emit({ _tag: "BoundaryStarted", nodeId: node.id, iteration: iterationOf(position) })
        open.set(position, { part: "body", isHalting: false, isCaught: false, cause: undefined, left: undefined })
        const left = node._tag === "Scope" ? leavingOf(position, node) : undefined
        // Its condition may have thrown.
        if (phases[position] !== Phase.running) return
        const hasBegun = left !== undefined && view.hasBegun(position + 1)
        const isOfItems = left?.outcome === "completed" && hasBegun && holdsSettledList(position)
        // What came for its waits before the request to leave it counts before it.
        const isRequested = left?.trigger === "request" && hasBegun
        if (left !== undefined && !isOfItems && !isRequested) return leaveScope(position, left)
        agenda.begin(position + 1)
        if (node._tag === "Scope" && node.timeout !== undefined) agenda.begin(end(position + 1))
        // It is left when the walk has found which of the items are over.
        if (isOfItems || isRequested) agenda.settle(position)
      }
    }
  }
  const leaveScope = (position: number, left: Leaving): void => {
    const scope = open.get(position)
    if (scope === undefined || scope.isHalting) return
    halt(position + 1, end(position), undefined, -1)
    haltBoundary(position, undefined, true, left)
    if (left.outcome === "completed") cancelItems(position, left.trigger)
    const to = end(position)
    for (let inside = position + 1; inside < to; inside++) if (isHalted(inside)) interrupt(inside, "cancelled")
    for (const key of starts.orphans) {
      const inside = plan.positions.get(parseNodeKey(key).nodeId) ?? -1
      if (position < inside && inside < to) journal.interrupt(key, "cancelled")
    }
  }
  const holdsSettledList = (scope: number): boolean => {
    for (let inside = scope + 1; inside < end(scope); inside++) {
      const node = at(inside)
      if (node._tag === "ForEach" && node.isSettled) return true
    }
    return false
  }
  /** Says of items that are not over, of settled lists in a scope that is left with its value: nothing else tells them from those that are. */
  const cancelItems = (scope: number, trigger: Leaving["trigger"]): void => {
    for (let inside = scope + 1; inside < end(scope); inside++) {
      const list = at(parent(inside))
      if (list._tag !== "ForEach" || !list.isSettled || phases[inside] !== Phase.running) continue
      const record = view.boundaryRecord(inside)
      if ((record !== undefined && record.status !== "running") || !view.hasBegun(inside) || !isHalted(inside)) continue
      // It ends once what is on its way out in it has ended.
      haltBoundary(inside, undefined, true, { outcome: "cancelled", trigger })
    }
  }
  const isLeft = (position: number): boolean => {
    for (let up = parent(position); up >= 0; up = parent(up)) {
      const node = at(up)
      const record = node._tag === "Scope" ? view.boundaryRecord(up) : undefined
      if (record?.left !== undefined) return record.status !== "halted" || isHalted(position)
    }
    return false
  }
  const isCaughtByState = (position: number): boolean => view.boundaryRecord(position)?.isCaught === true

  /** Awaits running child runs in a halted part that a new schedule has not reached. */
  const reattach = (from: number, to: number): void => {
    for (let inside = from; inside < to; inside++) {
      if (!Plan.isAttachedChild(at(inside)) || phases[inside] === Phase.waiting) continue
      if (view.stepRecord(inside)?.status === "waiting") openWaits.reattach(inside)
    }
  }

  /** Performs the next action on the way out, of the innermost boundary. Returns whether there was one. */
  const unwind = (): boolean => {
    let innermost = -1
    for (const position of halting) if (position > innermost && isQuiet(position)) innermost = position
    if (innermost < 0) return false
    leavePart(innermost)
    return true
  }
  /** Tells whether nothing is in flight in the part that a boundary leaves. */
  const isQuiet = (position: number): boolean => {
    const node = at(position)
    const part = open.get(position)?.part
    // Its `catch` counts as part of its body: a new schedule does not know whether it had begun.
    const last = node._tag === "TryCatch" ? Plan.tryParts(plan, position, node).finally : undefined
    const from = part === "finally" && last !== undefined ? last : position + 1
    const to = part === "finally" ? end(position) : (last ?? end(position))
    for (let inside = from; inside < to; inside++) {
      const node = at(inside)
      if (open.has(inside)) return false
      if (node._tag === "Step" && phases[inside] === Phase.running) return false
      if (phases[inside] === Phase.waiting && Plan.isAttachedChild(node)) return false
    }
    for (const key of starts.orphans) {
      const inside = plan.positions.get(parseNodeKey(key).nodeId) ?? -1
      if (from <= inside && inside < to) return false
    }
    return true
  }
  const leavePart = (position: number): void => {
    const boundary = openAt(position)
    const node = plan.boundary(position)
    boundary.isHalting = false
    halting.delete(position)
    if (node._tag === "Scope") return leave(position)
    if (node._tag === "Saga") {
      boundary.part = "undoing"
      return undoNext(position)
    }
    const parts = Plan.tryParts(plan, position, node)
    if (boundary.part === "body" && boundary.isCaught && parts.catch !== undefined) return beginPart(position, "catch", parts.catch)
    if (boundary.part !== "finally" && parts.finally !== undefined) return beginPart(position, "finally", parts.finally)
    leave(position)
  }
  const beginPart = (position: number, part: "catch" | "finally", first: number): void => {
    openAt(position).part = part
    phases.fill(Phase.idle, first, end(first))
    agenda.begin(first)
  }
  /** Handles the end of a part of a boundary. */
  const finishPart = (position: number, node: Plan.Boundary, part: number): void => {
    if (node._tag === "Scope")
      return part === position + 1 ? leave(position) : leaveScope(position, { outcome: "cancelled", trigger: "timeout" })
    const { finally: last } = node._tag === "TryCatch" ? Plan.tryParts(plan, position, node) : { finally: undefined }
    if (last !== undefined && open.get(position)?.part !== "finally") return beginPart(position, "finally", last)
    leave(position)
  }
  const leave = (position: number): void => {
    const boundary = openAt(position)
    const node = plan.boundary(position)
    const { id, _tag } = node
    const iteration = iterationOf(position)
    if (_tag === "Scope") endTimeout(position, node)
    if (_tag === "Scope" && boundary.left?.trigger === "timeout" && node.onTimeout === "fail") {
      boundary.isCaught = false
      boundary.cause = { nodeId: id, iteration, reason: { _tag: "Error", error: timedOut(node) } }
      emit({ _tag: "BoundaryHalted", nodeId: id, iteration, cause: boundary.cause, isCaught: false })
    }
    const { isCaught, cause, left } = boundary
    const record = view.boundaryRecord(position)
    const isGivenUp = !isCaught && record?.status === "halted"
    const caught = left?.outcome ?? (_tag === "Saga" ? "compensated" : "caught")
    // In a scope that is left nothing has failed.
    const givenUp = cause === undefined && isLeft(position) ? "cancelled" : "failed"
    const status = isCaught ? caught : isGivenUp ? givenUp : "finished"
    open.delete(position)
    if (record !== undefined) emit({ _tag: "BoundaryEnded", nodeId: id, iteration, status })
    if (!isGivenUp) return agenda.complete(position)
    phases[position] = Phase.failed
    // Propagates a failure that has not been propagated: the boundary's own, or one from before the plan changed.
    if (cause !== undefined && !isHalted(position)) propagateFailure(position, cause)
  }
  /** Closes the timer of a scope that has ended. */
  const endTimeout = (position: number, { timeout }: Plan.Scope): void => {
    const timer = end(position + 1)
    if (timeout === undefined) return
    // It may wait for a place.
    if (phases[timer] === Phase.parked) phases[timer] = Phase.idle
    if (phases[timer] !== Phase.waiting) return
    openWaits.drop(timer)
    const record = view.stepRecord(timer)
    if (record?.status === "waiting") withdrawals.close(record, "left")
  }

  /** Rows that a saga has to compensate, the one that finished last at the end. */
  const undoList = (position: number): Array<Undo> => {
    const list: Array<Undo> = []
    plan.undoes.forEach((undone, index) => {
      if (undone < position || undone >= end(position)) return
      const id = plan.id(undone)
      for (const row of view.rowsIn(position, undone)) {
        const record = RunState.step(state(), id, row)
        if (record?.status === "finished" && RunState.ownsEffect(state(), record))
          list.push({ order: record.finishedSeq ?? 0, compensation: size + index, row })
      }
    })
    return list.sort((left, right) => left.order - right.order)
  }
  const undoOf = ({ compensation, row }: Undo): Records.StepRecord | undefined => RunState.step(state(), plan.id(compensation), row)
  /** Compensates the last finished step of a saga that is not compensated yet, or leaves the saga. */
  const undoNext = (position: number): void => {
    const boundary = openAt(position)
    boundary.undo ??= undoList(position)
    for (let next = boundary.undo.pop(); next !== undefined; next = boundary.undo.pop()) {
      const status = undoOf(next)?.status
      if (status === "failed") boundary.isStuck = true
      if (status === "finished" || status === "failed") continue
      // It is checked again after it has ended.
      boundary.undo.push(next)
      view.undo(next.compensation, next.row)
      undoing.set(next.compensation, position)
      phases[next.compensation] = Phase.running
      return agenda.begin(next.compensation)
    }
    if (boundary.isCaught && boundary.isStuck === true) {
      // A run must not continue after a partial compensation, so the failure propagates after all.
      boundary.isCaught = false
      const { cause } = boundary
      const told = defined({ cause })
      const id = plan.id(position)
      emit({ _tag: "BoundaryHalted", nodeId: id, iteration: iterationOf(position), ...told, isCaught: false })
    }
    leave(position)
  }

  const interruptBeside = (record: Records.NodeRecord): void => {
    if (record.kind !== "step" || record.status !== "failed" || record.isSoft === true) return
    const position = plan.positions.get(record.nodeId)
    if (position === undefined || position >= size || iterationOf(position) !== record.iteration) return
    let catcher = parent(position)
    while (catcher >= 0 && !(Plan.isBoundary(at(catcher)) && isCaughtByState(catcher))) catcher = parent(catcher)
    interruptAround(position, catcher)
  }
  /** Restores the failure of the run from the state before the walk, so that no node before it in the plan starts after it. */
  const restoreFailure = (): void => {
    if (state().failureCount === 0) return
    for (let position = 0; position < size; position++) {
      const raised = causeAt(position)
      const cause = raised === undefined ? undefined : passedByAll(position, raised)
      if (cause === undefined) continue
      isRootHalted = true
      failure = cause
      // A failure in a `finally` is handled again when the walk reaches it.
      halt(0, size, cause, -1)
      return reattach(0, size)
    }
  }
  /** The permanent failure of a node in the state, unless the node caught it. */
  const causeAt = (position: number): FailureCause | undefined => {
    const node = at(position)
    if (Plan.isBoundary(node)) {
      const record = view.boundaryRecord(position)
      return record?.isCaught === true || record?.status === "finished" ? undefined : record?.cause
    }
    const record = Plan.isLeaf(node) ? view.stepRecord(position) : undefined
    if (record?.status !== "failed" || record.isSoft === true) return undefined
    return { nodeId: record.nodeId, iteration: record.iteration, reason: { _tag: "Error", error: errorOf(record) } }
  }
  /** The failure of the run that a failure of a node leads to; `undefined` if a boundary around the node catches it. */
  const passedByAll = (position: number, raised: FailureCause): FailureCause | undefined => {
    let cause: FailureCause | undefined = raised
    for (let inner = position, up = parent(position); up >= 0; inner = up, up = parent(up)) {
      const node = at(up)
      if (!Plan.isBoundary(node)) continue
      const record = view.boundaryRecord(up)
      const isUnbegun = record !== undefined && Records.isUnbegun(record)
      const isOpen = record?.status === "running" || isUnbegun || isUntold(up, node)
      if (isCaughtByState(up)) return undefined
      if (isOpen && inner === up + 1) cause = passedOn(up, cause)
      if (cause === undefined) return undefined
    }
    return cause
  }

  const haltRun = (cause: FailureCause | undefined): void => {
    isRootHalted = true
    failure = cause
    halt(0, size, cause, -1)
    if (cause !== undefined) return
    for (let position = 0; position < size; position++) if (isHalted(position)) interrupt(position, "cancelled")
  }

  return {
    begin: beginBoundary,
    finishPart,
    finishUndoing: (position) => {
      const saga = undoing.get(position)
      if (saga === undefined) return false
      undoing.delete(position)
      undoNext(saga)
      return true
    },
    propagateFailure,
    leave: leaveScope,
    discard: (position) => {
      open.delete(position)
      halting.delete(position)
      halt(position + 1, end(position), undefined, -1)
      phases[position] = Phase.done
    },
    isGoingOn: (position) => open.get(position)?.isHalting === false,
    isLeft,
    haltRun,
    isHalted,
    restoreFailure,
    interruptBeside: () => {
      // The walk stops at the first failure; there may be others, in groups of their own.
      if (failFast.length > 0) for (const record of state().nodes.values()) interruptBeside(record)
    },
    unwind,
    isRunHalted: () => isRootHalted,
    failure: () => failure,
    isAnyOpen: () => open.size > 0,
  }
}
