/**
 * Computes the events that recover a resumed run, or reset nodes for a retry. Pure functions of the plan and the state.
 */
import * as Bounds from "../Bounds.ts"
import type { ErrorInfo, NodeFailureName } from "../Errors.ts"
import { type NodeId, type NodeKey, nodeKey, parseNodeKey } from "../Ids.ts"
import * as Plan from "../Plan.ts"
import * as Records from "../Records.ts"
import type { RunEvent } from "../RunEvent.ts"
import * as RunState from "../RunState.ts"
import { defined } from "../Struct.ts"
import * as View from "./view.ts"

/** Crashes of one attempt in a row after which the step is taken to kill its process. Deploys rarely hit one step five times. */
export const crashLoopLimit = Bounds.limitOf("interruptions")

const viewOf = (plan: Plan.Plan, state: RunState.RunState): View.View =>
  View.make({ plan, values: { input: undefined, outputs: new Map() }, state: () => state, armOf: () => -1 })

const resetOf = ({ nodeId, iteration }: Records.NodeRecord) => ({ _tag: "NodeReset", nodeId, iteration }) as const

/** Tells whether a node has failed by a denial, which stays until someone retries the node. */
const isDenied = (plan: Plan.Plan, view: View.View, record: Records.NodeRecord): boolean => {
  if (record.kind !== "step" || record.status !== "failed" || record.isSoft === true) return false
  if (record.error?.notRetried !== "denied") return false
  const node = plan.find(record.nodeId)
  const asked = node?._tag === "Step" ? node.gate : node?._tag === "Wait" ? node : undefined
  // If edited code treats a denial differently, approval is requested again.
  return asked?.target.kind === "approval" && asked.target.onDeny === "fail" && !isCaught(plan, view, record)
}

/** The outermost try that had caught a failure in its body, and whose `catch` failed then; -1 if there is none. */
const caughtBefore = (plan: Plan.Plan, view: View.View, nodeId: NodeId): number => {
  let found = -1
  let inner = plan.positions.get(nodeId) ?? -1
  for (let up = inner < 0 ? -1 : plan.parent(inner); up >= 0; inner = up, up = plan.parent(up)) {
    if (plan.nodes[up]?._tag === "TryCatch" && inner === up + 1 && view.boundaryRecord(up)?.caught !== undefined) found = up
  }
  return found
}

/**
 * Computes the events that recover a resumed run. Attempts that the last process left in flight are interrupted. If an ended
 * run is reopened (`isRevived`), its failed nodes get a fresh budget. The boundaries that the failure left start again, and so
 * do their compensated steps. A denied node that is not `retried` keeps all of that ended: the run fails again by the denial.
 * If a try had caught the denial and its `catch` failed, only that starts again.
 */
export const recover = (
  plan: Plan.Plan,
  state: RunState.RunState,
  records: ReadonlyArray<Records.NodeRecord>,
  isRevived: boolean,
  reason: "crash" | "shutdown",
  retried: ReadonlyArray<NodeId>,
  hasProgress: (record: Records.StepRecord) => boolean,
): ReadonlyArray<RunEvent> => {
  const view = viewOf(plan, state)
  const denied = isRevived ? records.filter((record) => isDenied(plan, view, record)) : []
  const lifted = denied.length === 0 || retried.length === 0 ? undefined : resetForRetry(plan, state, retried).nodeIds
  const standing = denied.filter(({ nodeId }) => lifted?.has(nodeId) !== true)
  /** Tries that stay with the denial that they have caught. */
  const kept = new Set(standing.map(({ nodeId }) => caughtBefore(plan, view, nodeId)))
  const isStanding = kept.delete(-1)
  const isKept = ({ nodeId }: Records.NodeRecord): boolean => {
    const position = plan.positions.get(nodeId) ?? -1
    const inside = position < plan.size ? position : plan.undone(position)
    for (const around of kept) if (around < inside && inside < plan.end(around + 1)) return true
    return false
  }
  const isTried = (boundary: number): boolean => isToWin(plan, view, boundary)
  const events: Array<RunEvent> = []
  const catches: Array<RunEvent> = []
  for (const record of records) {
    if (record.kind === "step" && record.status === "running") events.push(...interrupted(record, plan, reason, hasProgress))
    if (!isRevived || isStanding || isKept(record)) continue
    // Its tasks have fixed ids now, or it fails again after as many more.
    if (record.kind === "loop" && (record.mounting?.count ?? 0) > Records.mostMountings) {
      const { nodeId, iteration, mounting } = record
      events.push({ _tag: "LoopMounted", nodeId, iteration, mounted: mounting?.omitted ?? [], mountCount: 1 })
    }
    if (record.kind === "step" && record.status === "failed" && record.isSoft !== true && !isCaught(plan, view, record, isTried)) {
      events.push(resetOf(record))
    }
    const position = plan.positions.get(record.nodeId) ?? -1
    if (record.kind !== "boundary" || !(isLeftByFailure(record) || isTried(position))) continue
    if (isCaught(plan, view, record, isTried)) continue
    if (kept.has(position)) catches.push(...catchAgain(plan, view, state, position, record))
    else events.push(...restart(plan, view, state, record))
  }
  if (!isRevived || isStanding) return events
  // Results derived from a node that runs again are computed again.
  const undone = events.flatMap((event) => {
    const record = event._tag === "NodeReset" ? RunState.step(state, event.nodeId, event.iteration) : undefined
    return record?.status === "finished" && Records.undoneBy(record.nodeId) === undefined ? [record.nodeId] : []
  })
  if (undone.length > 0) events.push(...readersOf(plan, state, view, undone))
  return effective(plan, [...events, ...catches])
}

/** Starts the `catch` of a try again, with its body as it was left: the failed nodes of the `catch` are reset beside it. */
const catchAgain = (
  plan: Plan.Plan,
  view: View.View,
  state: RunState.RunState,
  position: number,
  record: Records.BoundaryRecord,
): ReadonlyArray<RunEvent> => {
  const { nodeId, iteration, caught } = record
  const halted = { _tag: "BoundaryHalted", nodeId, iteration, isCaught: true, ...defined({ cause: caught }) } as const
  const node = plan.nodes[position]
  const last = node?._tag === "TryCatch" ? Plan.tryParts(plan, position, node).finally : undefined
  return [resetOf(record), halted, ...(last === undefined ? [] : resetAll(plan, view, state, position, last))]
}

/** Removes repeated resets, and what the reset of a loop or a handler around it makes obsolete. */
const effective = (plan: Plan.Plan, events: ReadonlyArray<RunEvent>): ReadonlyArray<RunEvent> => {
  const positionOf = (nodeId: NodeId): number => {
    const position = plan.positions.get(nodeId) ?? -1
    return position < plan.size ? position : plan.undone(position)
  }
  const loops = events.flatMap((event) => {
    const position = event._tag === "NodeReset" ? positionOf(event.nodeId) : -1
    return plan.nodes[position]?._tag === "Loop" ? [position] : []
  })
  /** Parts of tries that begin again as a whole. */
  const handlers = events.flatMap((event) => {
    const position = event._tag === "NodeReset" ? positionOf(event.nodeId) : -1
    return plan.nodes[position]?._tag === "TryCatch" ? [{ from: plan.end(position + 1), to: plan.end(position) }] : []
  })
  const seen = new Set<string>()
  return events.filter((event) => {
    if (event._tag !== "NodeReset" && event._tag !== "LoopAdvanced" && event._tag !== "PartsDecided") return true
    const position = positionOf(event.nodeId)
    if (event._tag === "LoopAdvanced" && loops.includes(position)) return false
    if (event._tag === "PartsDecided" && handlers.some(({ from, to }) => from <= position && position < to)) return false
    if (loops.some((loop) => loop < position && position < plan.end(loop))) return false
    const key = `${event._tag} ${nodeKey(event.nodeId, event.iteration)}`
    return !seen.has(key) && seen.add(key) !== undefined
  })
}

/** Tells whether another crash of an attempt would be the last one allowed. */
export const isAtCrashLimit = (record: Records.NodeRecord): record is Records.StepRecord =>
  record.kind === "step" && record.status === "running" && record.interruptions + 1 >= crashLoopLimit

const interrupted = (
  record: Records.StepRecord,
  plan: Plan.Plan,
  reason: "crash" | "shutdown",
  hasProgress: (record: Records.StepRecord) => boolean,
): ReadonlyArray<RunEvent> => {
  const { nodeId, iteration, interruptions } = record
  const cut = { _tag: "AttemptInterrupted", nodeId, iteration, attempt: record.attempt, reason } as const
  if (reason === "shutdown" || !isAtCrashLimit(record)) return [cut]
  if (hasProgress(record)) return [{ ...cut, hasProgress: true }]
  const message = `the process died ${interruptions + 1} times in a row while it ran`
  const error: ErrorInfo = { name: "CrashLoop", message, retryable: false, notRetried: "crashLoop", kind: "crashLoop" }
  const step = plan.find(nodeId)
  const soft = step?._tag === "Step" && step.continueOnFail ? { isSoft: true } : {}
  return [cut, { _tag: "NodeFailed", nodeId, iteration, error, ...soft }]
}

const isLeftByFailure = ({ status, isCaught, left }: Records.BoundaryRecord): boolean =>
  status === "failed" || (status === "halted" && isCaught !== true) || (status === "cancelled" && left === undefined)

/** Tells whether a branch has dropped out of a race that is lost now, and may win once its failure is mended. A denial stands. */
const isToWin = (plan: Plan.Plan, view: View.View, part: number): boolean => {
  const race = plan.parent(part)
  if (race < 0 || plan.nodes[race]?._tag !== "Race") return false
  const lost = view.boundaryRecord(plan.parent(race))
  const reason = lost?.cause?.nodeId === lost?.nodeId ? lost?.cause?.reason : undefined
  if (lost?.isCaught === true || reason?._tag !== "Error" || reason.error.name !== ("RaceLost" satisfies NodeFailureName))
    return false
  const { isCaught, left, cause } = view.boundaryRecord(part) ?? {}
  const isDenial = cause?.reason._tag === "Error" && cause.reason.error.notRetried === "denied"
  return isCaught === true && left === undefined && !isDenial
}

/** Tells whether a boundary has handled the failure of a node, or its pass is over. `isPast` tells of handlers that do not count. */
const isCaught = (
  plan: Plan.Plan,
  view: View.View,
  record: Records.NodeRecord,
  isPast: (boundary: number) => boolean = () => false,
): boolean => {
  const position = plan.positions.get(record.nodeId)
  // A compensation starts again with its saga.
  if (position === undefined || position >= plan.size) return position !== undefined
  if (view.iterationOf(position) !== record.iteration) return true
  for (let up = plan.parent(position); up >= 0; up = plan.parent(up)) {
    if (Plan.isBoundary(plan.nodes[up]) && view.boundaryRecord(up)?.isCaught === true && !isPast(up)) return true
  }
  return false
}

/** Resets a boundary: its compensated steps run again, and so do its handlers. */
const restart = (
  plan: Plan.Plan,
  view: View.View,
  state: RunState.RunState,
  record: Records.BoundaryRecord,
): ReadonlyArray<RunEvent> => {
  const position = plan.positions.get(record.nodeId)
  const node = plan.nodes[position ?? -1]
  if (position === undefined || !Plan.isBoundary(node) || view.iterationOf(position) !== record.iteration) return []
  const events: Array<RunEvent> = [resetOf(record), ...decisionOf(plan, position, record)]
  plan.undoes.forEach((undone) => {
    if (undone < position || undone >= plan.end(position)) return
    const id = plan.id(undone)
    for (const row of view.rowsIn(position, undone)) {
      const undo = RunState.step(state, Records.compensationId(id), row)
      if (undo === undefined) continue
      events.push(resetOf(undo))
      // A failed compensation leaves its step in effect. A step with an unknown state counts as undone.
      if (undo.status !== "failed")
        events.push({ _tag: "NodeReset", nodeId: id, iteration: row }, ...beginAgain(plan, view, state, position, undone))
    }
  })
  if (record.left !== undefined) events.push(...restartLeft(plan, view, state, position))
  // It has all its time again.
  if (node._tag === "Scope" && node.timeout !== undefined)
    events.push(...resetAll(plan, view, state, position, plan.end(position + 1)))
  if (node._tag === "TryCatch") {
    const parts = Plan.tryParts(plan, position, node)
    for (const part of [parts.catch, parts.finally])
      if (part !== undefined) events.push(...resetAll(plan, view, state, position, part))
  }
  return events
}

/** Keeps the winners of a race that starts again, so that no other branch wins in their place. */
const decisionOf = (plan: Plan.Plan, position: number, record: Records.BoundaryRecord): ReadonlyArray<RunEvent> => {
  const { nodeId, iteration, winners = [] } = record
  const race = plan.nodes[position + 1]
  if (race?._tag !== "Race" || winners.length === 0) return []
  const keys = View.childPositions(plan, position + 1).map((part) => View.partOf(plan.node(part)).key)
  if (!winners.every((key) => keys.includes(key))) return []
  // One that was lost may be won by what is mended.
  return [{ _tag: "PartsDecided", nodeId, iteration, winners, ...(winners.length < race.count ? {} : { isDecided: true }) }]
}

/** Resets the boundaries in a scope that were given up when it was left, so that they continue where they were. */
const restartLeft = (plan: Plan.Plan, view: View.View, state: RunState.RunState, scope: number): ReadonlyArray<RunEvent> => {
  const events: Array<RunEvent> = []
  for (let position = scope + 1; position < plan.end(scope); position++) {
    const record = Plan.isBoundary(plan.nodes[position]) ? view.boundaryRecord(position) : undefined
    if (record === undefined) continue
    // Of one that was left by itself, or that caught a failure, nothing is begun again.
    if (record.isCaught === true) position = plan.end(position) - 1
    else if (isLeftByFailure(record)) events.push(...restart(plan, view, state, record))
  }
  return events
}

/** Resets the nodes between a boundary that starts again and a compensated step inside, so that it reaches that step again. */
const beginAgain = (
  plan: Plan.Plan,
  view: View.View,
  state: RunState.RunState,
  around: number,
  undone: number,
): ReadonlyArray<RunEvent> => {
  const between = outwards(plan, undone, around)
  // A loop is reset as a whole, with everything inside.
  const from = between.findLastIndex((up) => plan.nodes[up]?._tag === "Loop")
  const events: Array<RunEvent> = []
  for (const up of between.slice(Math.max(from, 0))) {
    const record =
      up === between[from] ? view.loopRecord(up) : Plan.isBoundary(plan.nodes[up]) ? view.boundaryRecord(up) : undefined
    if (record?.kind === "loop") events.push(resetOf(record))
    if (record?.kind === "boundary") events.push(...restart(plan, view, state, record))
  }
  return events
}

/** Nodes between a node and one around it, the innermost first. */
const outwards = (plan: Plan.Plan, position: number, around: number): ReadonlyArray<number> => {
  const found: Array<number> = []
  for (let up = plan.parent(position); up > around; up = plan.parent(up)) found.push(up)
  return found
}

/** Resets everything in a part of a plan, in the current instance of a node around it. */
const resetAll = (
  plan: Plan.Plan,
  view: View.View,
  state: RunState.RunState,
  around: number,
  part: number,
): ReadonlyArray<RunEvent> => {
  const events: Array<RunEvent> = []
  for (let position = part; position < plan.end(part); position++) {
    const node = plan.node(position)
    if (!("id" in node)) continue
    for (const row of view.rowsIn(around, position)) {
      const record =
        RunState.step(state, node.id, row) ?? RunState.loop(state, node.id, row) ?? RunState.boundary(state, node.id, row)
      if (record !== undefined) events.push(resetOf(record))
    }
  }
  return events
}

/** Tells whether a node can be retried: the iteration is its current one, and no saga around it is compensating. */
export const canRetry = (plan: Plan.Plan, state: RunState.RunState, nodeId: NodeId, iteration: number): boolean => {
  const position = plan.positions.get(nodeId)
  if (position === undefined || position >= plan.size || state.cancel !== undefined) return false
  const view = viewOf(plan, state)
  for (let up = plan.parent(position); up >= 0; up = plan.parent(up)) {
    if (plan.nodes[up]?._tag === "Saga" && view.boundaryRecord(up)?.status === "halted") return false
  }
  return view.iterationOf(position) === iteration
}

/** Reads of attempts in flight, which no record has yet. */
export type InFlight = ReadonlyArray<readonly [reader: NodeKey, reads: Iterable<NodeKey>]>

/**
 * The node to reset in place of a reader, if what it has read is reset: the outermost loop around it that does not hold what was read, if that loop
 * has made passes before, which have read it, too.
 */
const readingWhole = (plan: Plan.Plan, view: View.View, reader: number, target: number): number => {
  let found = reader
  for (let loop = plan.loopOf(reader); loop >= 0; loop = plan.loopOf(loop)) {
    if (loop <= target && target < plan.end(loop)) break
    if ((view.loopRecord(loop)?.passes ?? 0) > 1) found = loop
  }
  return found
}

/**
 * Nodes by the rows that they have read. Since rows are recorded instead of nodes, the passes of a loop can read each other: the output of an
 * earlier pass is not computed again. What an earlier pass has read outside of its loop is a read of the loop.
 */
const readersOfRows = (
  plan: Plan.Plan,
  state: RunState.RunState,
  view: View.View,
  inFlight: InFlight,
): ReadonlyMap<NodeKey, ReadonlyArray<number>> => {
  const readers = new Map<NodeKey, Array<number>>()
  const add = (nodeId: NodeId, iteration: number, reads: Iterable<NodeKey>): void => {
    const reader = plan.positions.get(nodeId)
    if (reader === undefined || reader >= plan.size) return
    const isCurrent = view.iterationOf(reader) === iteration
    for (const key of reads) {
      const target = plan.positions.get(parseNodeKey(key).nodeId)
      const from: number = target === undefined ? reader : readingWhole(plan, view, reader, target)
      if (!isCurrent && from === reader) continue
      const known = readers.get(key)
      if (known === undefined) readers.set(key, [from])
      else known.push(from)
    }
  }
  for (const record of RunState.records(state)) {
    if (record.kind !== "boundary" && record.reads !== undefined) add(record.nodeId, record.iteration, record.reads)
  }
  for (const [key, reads] of inFlight) {
    const { nodeId, iteration } = parseNodeKey(key)
    add(nodeId, iteration, reads)
  }
  return readers
}

/** Tells whether a node that read all settled rows may have read this one: not if it ended before the row, or began before it. */
const mayHaveRead = (reader: Records.NodeRecord | undefined, read: Records.StepRecord | undefined): boolean => {
  if (read === undefined || !Records.isSettled(read) || reader === read) return false
  if (reader?.kind !== "step") return reader?.kind === "loop"
  const isBefore = reader.finishedSeq !== undefined && read.finishedSeq !== undefined && reader.finishedSeq < read.finishedSeq
  return !isBefore && (reader.attemptedAt ?? 0) >= (read.attemptedAt ?? 0)
}

/** Nodes with everything that directly or indirectly took or read their outputs. */
const withReaders = (
  plan: Plan.Plan,
  state: RunState.RunState,
  view: View.View,
  nodeIds: Iterable<NodeId>,
  inFlight: InFlight,
  whole: (position: number) => number = (position) => position,
): ReadonlySet<number> => {
  const ofRows = readersOfRows(plan, state, view, inFlight)
  const readers = new Map<number, Array<number>>()
  for (let reader = 0; reader < plan.size; reader++) {
    for (const { target, pass } of plan.needs(reader)) {
      // A loop that reads its own nodes continues from there, and an earlier pass is over.
      const isOwn = reader < target && target < plan.end(reader)
      if (pass === "previous" || pass === "item" || isOwn) continue
      const known = readers.get(target)
      if (known === undefined) readers.set(target, [reader])
      else known.push(reader)
    }
  }
  const chosen = new Set<number>()
  const queue: Array<number> = []
  const choose = (found: number): void => {
    const position = whole(found)
    if (chosen.has(position)) return
    chosen.add(position)
    queue.push(position)
  }
  for (const nodeId of nodeIds) {
    const position = plan.positions.get(nodeId)
    if (position !== undefined && position < plan.size) choose(position)
  }
  const chooseReaders = (target: number): void => {
    for (const reader of readers.get(target) ?? []) {
      // A branch has no record. It chooses again, so the nodes that took its value or that of an arm may get another.
      if (plan.node(reader)._tag === "Branch" || recordAt(plan, state, view, reader) !== undefined)
        choose(readingWhole(plan, view, reader, target))
    }
  }
  for (let position = queue.pop(); position !== undefined; position = queue.pop()) {
    for (let target = plan.parent(position); target >= 0; target = plan.parent(target)) chooseReaders(target)
    // With a loop or a boundary everything inside runs again.
    for (let target = position; target < plan.end(position); target++) {
      chooseReaders(target)
      const node = plan.nodes[target]
      if (ofRows.size === 0 || !Plan.isLeaf(node)) continue
      for (const row of target === position ? [view.iterationOf(target)] : view.rowsIn(position, target)) {
        const record = RunState.step(state, node.id, row)
        for (const reader of ofRows.get(nodeKey(node.id, row)) ?? []) choose(reader)
        for (const reader of ofRows.get(RunState.anyRow) ?? [])
          if (mayHaveRead(recordAt(plan, state, view, reader), record)) choose(reader)
      }
    }
  }
  return chosen
}

/** The record of a node in its current iteration. */
const recordAt = (plan: Plan.Plan, state: RunState.RunState, view: View.View, position: number): Records.NodeRecord | undefined => {
  const node = plan.node(position)
  if (!("id" in node)) return undefined
  const row = view.iterationOf(position)
  return RunState.step(state, node.id, row) ?? RunState.loop(state, node.id, row) ?? RunState.boundary(state, node.id, row)
}

/** Resets finished or waiting nodes that took or read the output of one of these nodes. */
const readersOf = (
  plan: Plan.Plan,
  state: RunState.RunState,
  view: View.View,
  nodeIds: ReadonlyArray<NodeId>,
): ReadonlyArray<RunEvent> =>
  [...withReaders(plan, state, view, nodeIds, [])].flatMap((position): ReadonlyArray<RunEvent> => {
    const node = plan.nodes[position]
    if (node?._tag === "Branch") return reopenAround(plan, view, state, position)
    const record = Plan.isLeaf(node) ? RunState.step(state, node.id, view.iterationOf(position)) : undefined
    // The input of a running child run never changes; other requests must not be answered with outdated content.
    const isAsked = record?.status === "waiting" && record.wait?.kind !== "subflow"
    if (record?.status !== "finished" && record?.status !== "skipped" && !isAsked) return []
    return [...reopenAround(plan, view, state, position), resetOf(record)]
  })

/**
 * Resets nodes in their current iteration, with everything that needs or has read their outputs, and decided races as a whole. `inFlight` adds reads that
 * only attempts in flight know. The loops and boundaries around them are reopened. Only nodes with a record are reset.
 */
export const resetForRetry = (
  plan: Plan.Plan,
  state: RunState.RunState,
  nodeIds: Iterable<NodeId>,
  inFlight: InFlight = [],
): { readonly events: ReadonlyArray<RunEvent>; readonly nodeIds: ReadonlySet<NodeId> } => {
  const view = viewOf(plan, state)
  /**
   * The node to reset in place of a node: the race around it if that is decided or the node's branch has won, otherwise itself.
   * A reset of less would leave the race decided as it was.
   */
  const whole = (position: number): number => {
    let found = position
    for (let inner = position, up = plan.parent(position); up >= 0; inner = up, up = plan.parent(up)) {
      if (plan.node(up)._tag !== "Race") continue
      const around = plan.parent(up)
      const branch = plan.node(inner)
      const { isDecided, winners = [] } = view.boundaryRecord(around) ?? {}
      if (isDecided === true || (Plan.isPart(branch) && winners.includes(branch.part.key))) found = around
    }
    return found
  }
  const chosen = withReaders(plan, state, view, nodeIds, inFlight, whole)
  const events: Array<RunEvent> = []
  const resetIds = new Set<NodeId>()
  for (const position of [...chosen].sort((left, right) => left - right)) {
    const record = recordAt(plan, state, view, position)
    // A branch chooses again, so what is around it must come to it again.
    if (record === undefined && plan.node(position)._tag === "Branch") events.push(...reopenAround(plan, view, state, position))
    if (record === undefined) continue
    resetIds.add(record.nodeId)
    const node = plan.node(position)
    const isSubflow = node._tag === "Wait" && node.target.kind === "subflow"
    const reset = isSubflow ? { ...resetOf(record), hasNewChild: true } : resetOf(record)
    events.push(...reopenAround(plan, view, state, position), reset)
    // A boundary with everything inside.
    if (record.kind === "boundary")
      events.push(...restart(plan, view, state, record), ...resetAll(plan, view, state, position, position))
  }
  events.push(...restartBeside(plan, view, state, events))
  /** Tells whether an event keeps the winners of a race that is reset as a whole. */
  const isUndecided = (event: RunEvent): boolean => {
    if (event._tag !== "PartsDecided") return false
    const race = plan.positions.get(event.nodeId) ?? -1
    return [...chosen].some((around) => around <= race && race < plan.end(around))
  }
  return {
    events: effective(
      plan,
      events.filter((event) => !isUndecided(event)),
    ),
    nodeIds: resetIds,
  }
}

/** Resets the boundaries that were given up by the failure of a node that is reset, wherever that was caught. */
const restartBeside = (
  plan: Plan.Plan,
  view: View.View,
  state: RunState.RunState,
  resets: ReadonlyArray<RunEvent>,
): ReadonlyArray<RunEvent> => {
  if (state.failureCount === 0) return []
  const keys = new Set(resets.flatMap((event) => (event._tag === "NodeReset" ? [nodeKey(event.nodeId, event.iteration)] : [])))
  const events: Array<RunEvent> = []
  for (let position = 0; position < plan.size; position++) {
    const record = Plan.isBoundary(plan.nodes[position]) ? view.boundaryRecord(position) : undefined
    if (record?.cause === undefined || !isLeftByFailure(record)) continue
    if (keys.has(nodeKey(record.cause.nodeId, record.cause.iteration))) events.push(...restart(plan, view, state, record))
  }
  return events
}

/** Rows whose attempts end by resets: those that are reset, and those in passes of a loop that is. */
export const cutShort = (plan: Plan.Plan, resets: ReadonlyArray<RunEvent>, inFlight: Iterable<NodeKey>): ReadonlySet<NodeKey> => {
  const keys = new Set<NodeKey>()
  const loops: Array<number> = []
  for (const event of resets) {
    if (event._tag !== "NodeReset") continue
    keys.add(nodeKey(event.nodeId, event.iteration))
    const position = plan.positions.get(event.nodeId) ?? -1
    if (plan.nodes[position]?._tag === "Loop") loops.push(position)
  }
  for (const key of loops.length === 0 ? [] : inFlight) {
    const position = plan.positions.get(parseNodeKey(key).nodeId) ?? -1
    if (loops.some((loop) => loop < position && position < plan.end(loop))) keys.add(key)
  }
  return keys
}

/** Reopens ended loops and boundaries around a node. */
const reopenAround = (plan: Plan.Plan, view: View.View, state: RunState.RunState, position: number): ReadonlyArray<RunEvent> => {
  const events: Array<RunEvent> = []
  for (let up = plan.parent(position); up >= 0; up = plan.parent(up)) {
    const node = plan.node(up)
    const iteration = view.iterationOf(up)
    if (node._tag === "Loop") {
      const record = RunState.loop(state, node.id, iteration)
      if (record?.status !== "finished" || record.passes === 0) continue
      events.unshift({ _tag: "LoopAdvanced", nodeId: node.id, iteration, base: record.base, pass: record.passes - 1 })
    }
    const record = Plan.isBoundary(node) ? view.boundaryRecord(up) : undefined
    if (record !== undefined && record.status !== "running" && record.status !== "interrupted")
      events.unshift(...restart(plan, view, state, record))
  }
  return events
}
