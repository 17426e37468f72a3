/**
 * What to do next, given a plan and a state. Plain functions, no Effect: {@link decide} is the definition, a walk over the
 * whole plan; {@link Schedule} is the same function kept up to date event by event, so that a frame costs as much as what
 * changed in it. Both are the same code: `decide` is a fresh schedule settled once.
 *
 * A schedule holds one cell per node of the plan (passes of a loop follow each other, so one is enough) and three queues:
 * ready steps in document order per concurrency group, retries by due time, and work of the walk itself, which is a list and
 * not recursion, so that no plan is too deep or too long.
 */
import * as HashMap from "effect/HashMap"
import type { Json } from "./Codec.ts"
import type { ErrorInfo } from "./Errors.ts"
import { type NodeId, type NodeKey, nodeKey } from "./Ids.ts"
import * as Groups from "./internal/groups.ts"
import * as Heap from "./internal/heap.ts"
import * as Raised from "./internal/raised.ts"
import * as View from "./internal/view.ts"
import type { Accepted } from "./internal/waits.ts"
import * as Waits from "./internal/waits.ts"
import * as Plan from "./Plan.ts"
import type { FailureCause, RunEvent, WaitKind } from "./RunEvent.ts"
import * as RunState from "./RunState.ts"

/** Decoded values: what predicates and steps read. Outputs are keyed like the records of the state. */
export interface Values {
  readonly input: unknown
  readonly outputs: ReadonlyMap<NodeKey, unknown>
}

/** An attempt to start. */
export interface Start {
  readonly position: number
  readonly step: Plan.Step
  readonly iteration: number
  readonly attempt: number
}

/** A failure that nothing in the plan tolerates or catches. */
export interface Failed extends FailureCause {
  readonly _tag: "Failed"
}

/** How the run ends: nothing is in flight any more, and every boundary is left. */
export type Outcome = { readonly _tag: "Finished" } | { readonly _tag: "Cancelled" } | Failed

/** A wait that is open. */
export interface Waiting {
  readonly nodeId: NodeId
  readonly iteration: number
  readonly kind: WaitKind
  /** Epoch ms when its timer fires, or its time is over. */
  readonly deadline: number | undefined
  /** Of a subflow: the run that it waits for. */
  readonly childRunId?: string
}

/** An attempt, or the child run of a subflow, that is not to go on. */
export interface Interrupt {
  readonly key: NodeKey
  /** A sibling in a `failFast` group failed, or the run is cancelled. */
  readonly reason: "fail-fast" | "cancelled"
}

/** What follows from events by the plan alone, before anything is started. */
export interface Consequences {
  /** The state with `events` folded in. */
  readonly state: RunState.RunState
  /** Skips, loop passes and failed predicates. */
  readonly events: ReadonlyArray<RunEvent>
  readonly interrupts: ReadonlyArray<Interrupt>
  /** There is more to follow from the same events: advance again, with none. */
  readonly isPartial: boolean
  /** The last of the events may have changed the plan, so that nothing more was drawn from this one. */
  readonly isStale: boolean
}

/**
 * Events that one `advance` makes happen before it hands over. A loop whose passes run nothing could otherwise go on for ever
 * without its run being committed, or cancelled, in between.
 */
const eventsPerAdvance = 1000

export interface Decision {
  /** The state with `events` folded in. */
  readonly state: RunState.RunState
  /** The `AttemptStarted` of each start. */
  readonly events: ReadonlyArray<RunEvent>
  readonly starts: ReadonlyArray<Start>
  /** Epoch ms at which the next retry or timer is due, or a wait is over. */
  readonly wakeAt: number | undefined
  /** What the run waits for, in document order, where nothing else can go on; otherwise empty. */
  readonly waiting: ReadonlyArray<Waiting>
  /** Nothing goes on because the run is paused. */
  readonly isPaused: boolean
  readonly outcome: Outcome | undefined
}

export interface Schedule {
  /** Takes events that are already folded into `state`, and draws their consequences at `now`. */
  readonly advance: (state: RunState.RunState, events: ReadonlyArray<RunEvent>, now: number) => Consequences
  /** Decides what to start or to wait for, after `advance`. */
  readonly next: () => Decision
  /** The needs of a step in its current iteration, by name; `missing` names one that has no value to give. */
  readonly needs: (position: number) => { readonly values: Record<string, unknown>; readonly missing: string | undefined }
  /** The value of a node: its output, its last child's, a tuple, the taken arm's, or the last pass's. */
  readonly value: (position: number) => unknown
  /** The same in stored form. */
  readonly stored: (position: number) => Json | undefined
  /** The pass a node is in, counted from 0 in its innermost loop; 0 outside loops. */
  readonly pass: (position: number) => number
  /** Ids of the steps that are ready, running and waiting to retry: what two schedules of one state must agree on. */
  readonly active: () => { readonly ready: Array<NodeId>; readonly running: Array<NodeId>; readonly retrying: Array<NodeId> }
}

export interface ScheduleOptions {
  /** Attempts in flight at once. */
  readonly maxConcurrency: number
  /** Is told of the events that the plan itself makes happen; with `true` for one that may change the plan, the schedule halts. */
  readonly observe?: (event: RunEvent) => boolean
  /** The attempts in flight, by whoever knows them; otherwise all records are looked through for them once. */
  readonly running?: () => Iterable<NodeKey>
  /** Checks what the world gave for a wait, and keeps it as the node's output. Answers with its stored form. */
  readonly accept?: (wait: Plan.Wait, key: NodeKey, given: unknown) => Accepted
}

export type { Accepted } from "./internal/waits.ts"

/** Decides from scratch what follows from a state. */
export const decide = (
  plan: Plan.Plan,
  state: RunState.RunState,
  values: Values,
  options: { readonly maxConcurrency: number },
  now: number,
): Consequences & Decision => {
  const schedule = make(plan, values, options)
  let consequences = schedule.advance(state, [], now)
  const events = [...consequences.events]
  while (consequences.isPartial) {
    consequences = schedule.advance(consequences.state, [], now)
    for (const event of consequences.events) events.push(event)
  }
  const decision = schedule.next()
  return { ...consequences, ...decision, events: [...events, ...decision.events] }
}

/** More than any node has needs: what is provisional is not begun by a need that is met. */
const never = 0x7fff_ffff

const Cell = { idle: 0, waiting: 1, ready: 2, running: 3, retrying: 4, done: 5, failed: 6, held: 7 } as const

/** A boundary that has begun and is not left. */
interface Open {
  /** What goes on in it: what it is for, its `catch`, its `finally`, or the undoing of its steps. */
  phase: "body" | "catch" | "finally" | "undoing"
  /** Nothing more starts in this phase; the next one begins when what is in flight has ended. */
  isHalting: boolean
  isCaught: boolean
  cause: FailureCause | undefined
  /** What is left to undo, what finished last at the end. */
  undo?: Array<Undo>
  /** Something could not be undone. */
  isStuck?: boolean
}

/** A row of a step that is to be undone. */
interface Undo {
  readonly order: number
  readonly compensation: number
  readonly row: number
}

/**
 * Builds the schedule of a plan. Its first `advance` takes the state as it is and visits what is active, nothing inside
 * finished loops or arms not taken; later ones visit what the events touch.
 */
export const make = (plan: Plan.Plan, values: Values, options: ScheduleOptions): Schedule => {
  const { nodes, parent, end, size } = plan
  const count = nodes.length
  const cells = new Uint8Array(count)
  /** Sequence: position of the current child. Parallel: children not done. Branch: position of the taken arm, -1 for none. */
  const cursors = new Int32Array(count)
  const waitingFor = new Int32Array(count)
  const groups = Groups.make(plan, options.maxConcurrency)
  const failFast: Array<number> = []
  for (let position = 0; position < size; position++) {
    const node = nodes[position] as Plan.Node
    if (node._tag === "Parallel" && node.failFast) failFast.push(position)
  }

  let state = RunState.empty("")
  let events: Array<RunEvent> = []
  let interrupts: Array<Interrupt> = []
  let now = 0
  let failure: Failed | undefined
  const retries = Heap.make<{ readonly at: number; readonly position: number }>((retry) => retry.at)
  /** Waits that are open, and when they are over. */
  const held = new Set<number>()
  const deadlines = Heap.make<{ readonly at: number; readonly position: number }>((deadline) => deadline.at)
  const work: Array<number> = []
  /** Attempts in flight of steps that the plan does not have, or does not have active, now. */
  const orphans = new Set<NodeKey>()
  /** Child runs whose time is over; they are awaited nevertheless. */
  const cancelledChildren = new Set<number>()
  const open = new Map<number, Open>()
  /** Those of them that nothing more starts in. */
  const halting = new Set<number>()
  /** Compensations at work, and their sagas. */
  const undoing = new Map<number, number>()
  /** Nothing more starts but what boundaries do on the way out. */
  let isRootHalted = false
  let isCancelled = false
  /** Loops that came to a next pass when a cancellation was known and not acted on yet. */
  const postponed: Array<number> = []

  const at = (position: number): Plan.Node => nodes[position] as Plan.Node
  let isStale = false
  const emit = (event: RunEvent): void => {
    events.push(event)
    state = RunState.apply(state, event, now)
    if (options.observe?.(event) === true) isStale = true
  }

  const takenArm = (position: number, branch: Plan.Branch): number => {
    if (branch.when(context(position))) return position + 1
    return branch.else === undefined ? -1 : (end[position + 1] as number)
  }
  const view = View.make({
    plan,
    values,
    state: () => state,
    armOf: (position, branch) => (cells[position] === Cell.done ? (cursors[position] as number) : takenArm(position, branch)),
  })
  const { iterationOf, loopRecord, context } = view
  /** What a node waits for: itself, or the gate of a step. */
  const waitOf = (position: number): Plan.Wait => {
    const node = at(position)
    return (node._tag === "Step" ? node.gate : node) as Plan.Wait
  }
  const recordOf = (position: number): RunState.StepRecord | undefined =>
    RunState.step(state, (at(position) as Plan.Step).id, iterationOf(position))

  /** Runs a predicate of the user's; a throw fails the node it belongs to. */
  const ask = <A>(position: number, predicate: () => A, name = predicates[at(position)._tag]): A | undefined => {
    try {
      return predicate()
    } catch (thrown) {
      failPredicate(position, name, thrown)
      return undefined
    }
  }
  const failPredicate = (position: number, name: string, thrown: unknown): void => {
    const node = at(position)
    const error = predicateError(name, thrown)
    if (Plan.isLeaf(node)) {
      const isSoft = node._tag === "Step" && node.continueOnFail
      emit({ _tag: "NodeFailed", nodeId: node.id, iteration: iterationOf(position), error, ...(isSoft ? { soft: true } : {}) })
      if (isSoft) return complete(position)
    }
    fail(position, { _tag: "Error", error })
  }

  // The walk. `activate` and `complete` only queue; `walk` does the work.
  const activate = (position: number): void => {
    work.push(position)
  }
  const complete = (position: number): void => {
    work.push(~position)
  }
  /** Nothing begins while the run is paused; but a cancellation is carried out. */
  const isPaused = (): boolean => state.isPaused && state.cancel === undefined
  const walk = (): void => {
    do {
      while (work.length > 0 && !isStale && !isPaused() && events.length < eventsPerAdvance) {
        const item = work.pop() as number
        if (isHalted(item >= 0 ? item : ~item)) {
          // It is kept, and nothing follows from it.
          if (item < 0) cells[~item] = Cell.idle
          continue
        }
        if (item >= 0) begin(item)
        else finish(~item)
      }
    } while (work.length === 0 && !isStale && !isPaused() && unwind())
  }

  const begin = (position: number): void => {
    const node = at(position)
    if (Plan.isProvisional(node)) {
      cells[position] = Cell.waiting
      waitingFor[position] = never
      return
    }
    switch (node._tag) {
      case "Sequence": {
        cells[position] = Cell.running
        if (node.children.length === 0) return complete(position)
        cursors[position] = position + 1
        return activate(position + 1)
      }
      case "Parallel": {
        cells[position] = Cell.running
        const inside = View.childPositions(plan, position)
        cursors[position] = inside.length
        if (inside.length === 0) return complete(position)
        for (let index = inside.length - 1; index >= 0; index--) activate(inside[index] as number)
        return
      }
      case "Saga":
      case "TryCatch":
        return beginBoundary(position, node)
    }
    let missing = 0
    for (const need of plan.needs[position] as ReadonlyArray<Plan.ResolvedNeed>) {
      if (need.gate >= 0 && cells[need.gate] !== Cell.done) missing++
    }
    waitingFor[position] = missing
    if (missing > 0) cells[position] = Cell.waiting
    else proceed(position)
  }

  const proceed = (position: number): void => {
    const node = at(position)
    cells[position] = Cell.running
    if (node._tag === "Step") return proceedStep(position, node)
    if (node._tag === "Wait") return proceedWait(position, node)
    if (node._tag === "Branch") {
      const arm = ask(position, () => takenArm(position, node))
      if (arm === undefined) return
      cursors[position] = arm
      return arm < 0 ? complete(position) : activate(arm)
    }
    if (node._tag !== "Loop") return
    const record = loopRecord(position)
    if (record?.status === "finished") return complete(position)
    if (record === undefined || record.passes === 0) return nextPass(position, node)
    activate(position + 1)
  }

  const proceedStep = (position: number, step: Plan.Step): void => {
    const iteration = iterationOf(position)
    const record = RunState.step(state, step.id, iteration)
    switch (record?.status) {
      case "finished":
      case "skipped":
        return complete(position)
      case "failed":
        if (record.soft === true) return complete(position)
        return fail(position, { _tag: "Error", error: record.error as ErrorInfo })
      case "running":
        // It is counted from the start.
        orphans.delete(nodeKey(step.id, iteration))
        return
      case "retrying":
        cells[position] = Cell.retrying
        return retries.push({ at: record.retryAt as number, position })
      case "waiting":
        // Its gate was taken away while it was open.
        if (step.gate === undefined) return enqueue(position)
        return hold(position, step.gate)
      default: {
        const isNew = record === undefined || record.attempt === 0
        if (isNew && record?.approved === undefined && isLeftOut(position, step)) return
        if (step.gate !== undefined) return passGate(position, step.gate)
        enqueue(position)
      }
    }
  }
  /** Begins a step if what it asks for is what was approved. Of something else it is asked anew. */
  const passGate = (position: number, gate: Plan.Wait): void => {
    const approved = recordOf(position)?.approved
    if (approved === undefined) return hold(position, gate)
    const asked = ask(position, () => Waits.requestOf(gate, context(position), now, state, iterationOf(position)))
    if (asked !== undefined) return asked.digest === approved ? enqueue(position) : hold(position, gate)
  }
  /** Whether a node is skipped, or its `skipIf` threw; then it is over. */
  const isLeftOut = (position: number, node: Plan.Step | Plan.Wait): boolean => {
    const { skipIf } = node
    if (skipIf === undefined) return false
    const isSkipped = ask(position, () => Boolean(skipIf(context(position), state)))
    if (isSkipped !== true) return isSkipped === undefined
    emit({ _tag: "NodeSkipped", nodeId: node.id, iteration: iterationOf(position) })
    complete(position)
    return true
  }

  // Waits. Everything about one is in its record; what came in is acted on wherever the record is looked at.
  const proceedWait = (position: number, node: Plan.Wait): void => {
    const record = recordOf(position)
    if (record?.status === "finished" || record?.status === "skipped") return complete(position)
    if (record?.status === "failed") return fail(position, { _tag: "Error", error: record.error as ErrorInfo })
    if (record?.status !== "waiting" && isLeftOut(position, node)) return
    hold(position, node)
  }
  const hold = (position: number, node: Plan.Wait): void => {
    const iteration = iterationOf(position)
    const record = recordOf(position)
    const isBegun = record?.status === "waiting"
    // What a child run was started with stands; of anything else it is asked again what it asks for.
    if (!isBegun || node.on.kind !== "subflow") {
      const asked = ask(position, () => Waits.requestOf(node, context(position), now, state, iteration), predicates.Wait)
      if (asked === undefined) return
      if (!isBegun || record.wait?.digest !== asked.digest) {
        const deadline = node.on.kind === "timer" ? asked.due : node.timeoutMs === undefined ? undefined : now + node.timeoutMs
        const { due: _, ...shown } = asked
        const limit = deadline === undefined ? {} : { deadline }
        emit({ _tag: "WaitStarted", nodeId: node.id, iteration, kind: node.on.kind, ...shown, ...limit })
      }
    }
    cells[position] = Cell.held
    held.add(position)
    const { deadline } = recordOf(position)?.wait ?? {}
    if (deadline !== undefined) deadlines.push({ at: deadline, position })
    settleWait(position)
  }
  const settleWait = (position: number): void => {
    const node = waitOf(position)
    const iteration = iterationOf(position)
    const wait = recordOf(position)?.wait
    if (wait === undefined || cells[position] !== Cell.held) return
    const key = nodeKey(node.id, iteration)
    const isGate = at(position)._tag === "Step"
    const accept = (given: unknown): Accepted =>
      isGate ? { stored: undefined } : (options.accept?.(node, key, given) ?? { issues: ["there is nobody to check it"] })
    // While the run is paused its time stands still.
    const time = state.isPaused ? Number.NEGATIVE_INFINITY : now
    const { refused, ending, isGivenUp } = Waits.judge(node, wait, state.signals, time, accept)
    if (isGivenUp === true && !cancelledChildren.has(position)) {
      cancelledChildren.add(position)
      interruptKey(key, "cancelled")
    }
    for (const refusal of refused) emit({ ...refusal, nodeId: node.id, iteration })
    if (ending === undefined) return
    held.delete(position)
    cells[position] = Cell.running
    const isPassed = isGate && ending.status === "finished"
    emit({ _tag: "WaitEnded", nodeId: node.id, iteration, ...ending, ...(isPassed ? { status: "passed" } : {}) })
    if (isPassed) return enqueue(position)
    if (ending.status === "failed") fail(position, { _tag: "Error", error: ending.error as ErrorInfo })
    else complete(position)
  }
  const isChildRun = (node: Plan.Node): node is Plan.Wait =>
    node._tag === "Wait" && node.on.kind === "subflow" && node.on.isAttached

  const nextPass = (position: number, loop: Plan.Loop): void => {
    // An endless loop must let a cancellation through; what is done on the way out then goes on with its passes.
    if (state.cancel !== undefined && !isCancelled) {
      postponed.push(position)
      return
    }
    const iteration = iterationOf(position)
    const record = loopRecord(position)
    const passes = record?.passes ?? 0
    const output = passes === 0 ? undefined : view.value(position + 1)
    const isOver = ask(position, () => Boolean(loop.until({ ...context(position), output, iteration: passes }, state)))
    if (isOver === undefined) return
    if (!isOver && passes >= loop.maxIterations && loop.onMaxReached === "fail") {
      return fail(position, { _tag: "LoopLimit", maxIterations: loop.maxIterations })
    }
    if (isOver || passes >= loop.maxIterations) {
      emit({ _tag: "LoopFinished", nodeId: loop.id, iteration, reason: isOver ? "until" : "maxIterations" })
      return complete(position)
    }
    const base = record?.base ?? loopPasses(loop.id)
    emit({ _tag: "LoopAdvanced", nodeId: loop.id, iteration, base, pass: passes })
    cells.fill(Cell.idle, position + 1, end[position])
    activate(position + 1)
  }
  const loopPasses = (nodeId: NodeId): number => {
    const found = HashMap.get(state.loopPasses, nodeId)
    return found._tag === "Some" ? found.value : 0
  }

  const finish = (position: number): void => {
    cells[position] = Cell.done
    const saga = undoing.get(position)
    if (saga !== undefined) {
      undoing.delete(position)
      return undoNext(saga)
    }
    const waiting = plan.dependents.get(position)
    if (waiting !== undefined) {
      for (const dependent of waiting) {
        if (cells[dependent] !== Cell.waiting) continue
        const missing = (waitingFor[dependent] as number) - 1
        waitingFor[dependent] = missing
        if (missing === 0) proceed(dependent)
      }
    }
    const up = parent[position] as number
    if (up < 0) return
    const around = at(up)
    switch (around._tag) {
      case "Sequence": {
        const next = end[position] as number
        cursors[up] = next
        return next < (end[up] as number) ? activate(next) : complete(up)
      }
      case "Parallel": {
        const left = (cursors[up] as number) - 1
        cursors[up] = left
        return left === 0 ? complete(up) : undefined
      }
      case "Loop":
        return nextPass(up, around)
      case "Saga":
      case "TryCatch":
        return finishPart(up, around)
    }
    complete(up)
  }

  // Failing. A failure goes outwards to the first boundary that catches it, or to the run. Nothing more starts inside, what is in flight
  // is awaited and kept, and the boundaries on the way are left from the inside out.
  const fail = (position: number, reason: FailureCause["reason"]): void => {
    cells[position] = Cell.failed
    const saga = undoing.get(position)
    if (saga !== undefined) {
      undoing.delete(position)
      return undoNext(saga)
    }
    // A second failure beside the first changes nothing.
    if (isHalted(position)) return
    const node = at(position)
    propagate(position, { nodeId: "id" in node ? node.id : `#${position}`, iteration: iterationOf(position), reason })
  }
  const propagate = (position: number, cause: FailureCause): void => {
    interruptAround(position, spread(position, cause))
  }
  /** Has a failure go outwards from a node. Answers with the boundary that catches it, or -1. */
  const spread = (position: number, cause: FailureCause): number => {
    let catcher = -1
    let outermost = -1
    let isHaltedBeyond = false
    for (let inner = position, up = parent[position] as number; up >= 0; inner = up, up = parent[up] as number) {
      const boundary = open.get(up)
      if (boundary === undefined) continue
      if (boundary.isHalting) {
        isHaltedBeyond = true
        break
      }
      if (boundary.phase === "body" && inner === up + 1 && isCatching(at(up))) {
        catcher = up
        break
      }
      outermost = up
    }
    if (catcher >= 0) {
      halt(catcher + 1, end[catcher + 1] as number, cause, position)
      haltBoundary(catcher, cause, true)
    } else if (isHaltedBeyond || isRootHalted) {
      // What does something on the way out of a wider failure has failed itself.
      if (outermost >= 0) halt(outermost, end[outermost] as number, cause, position)
    } else {
      isRootHalted = true
      failure = { _tag: "Failed", ...cause }
      halt(0, size, cause, position)
    }
    return catcher
  }
  const isCatching = (node: Plan.Node): boolean =>
    node._tag === "TryCatch" ? node.catch !== undefined : node._tag === "Saga" && node.onCompensated === "continue"

  /** Stops everything in a part of the plan from starting, but what boundaries inside already do on the way out. */
  const halt = (from: number, to: number, cause: FailureCause | undefined, origin: number): void => {
    for (let position = from; position < to; position++) {
      const node = at(position)
      if (Plan.isBoundary(node)) {
        haltInside(position, node, cause, origin)
        position = (end[position] as number) - 1
        continue
      }
      const cell = cells[position]
      if (cell === Cell.held && isChildRun(node)) continue
      if (cell === Cell.held) held.delete(position)
      if (cell === Cell.held || cell === Cell.ready || cell === Cell.retrying || cell === Cell.waiting) cells[position] = Cell.idle
    }
  }
  const haltInside = (position: number, node: Plan.Boundary, cause: FailureCause | undefined, origin: number): void => {
    const phase = open.get(position)?.phase
    const isOrigin = position < origin && origin < (end[position] as number)
    if ((phase === "finally" || phase === "undoing") && !isOrigin) return
    if (phase !== undefined || isOpenByState(position)) haltBoundary(position, cause, false)
    if (node._tag === "Saga") return halt(position + 1, end[position] as number, cause, origin)
    const { finally: last } = Plan.partsOf(plan, position, node)
    halt(position + 1, last ?? (end[position] as number), cause, origin)
    if (last !== undefined && last <= origin && origin < (end[last] as number)) halt(last, end[last] as number, cause, origin)
  }
  const isOpenByState = (position: number): boolean => {
    const status = view.boundaryRecord(position)?.status
    return status === "running" || status === "halted"
  }
  const haltBoundary = (position: number, cause: FailureCause | undefined, isCaught: boolean): void => {
    const record = view.boundaryRecord(position)
    const isNoted = record?.status === "halted" && record.isCaught === isCaught
    const why = isNoted ? record.cause : cause
    open.set(position, Object.assign(open.get(position) ?? reopened(record), { isHalting: true, isCaught, cause: why }))
    halting.add(position)
    if (!isNoted) {
      const { id } = at(position) as Plan.Boundary
      const told = why === undefined ? {} : { cause: why }
      emit({ _tag: "BoundaryHalted", nodeId: id, iteration: iterationOf(position), ...told, isCaught })
    }
    adopt(position + 1, end[position] as number)
  }
  const reopened = (record: RunState.BoundaryRecord | undefined): Open => {
    const phase = record?.isCaught !== true && record?.caught !== undefined ? "catch" : "body"
    return { phase, isHalting: true, isCaught: false, cause: undefined }
  }

  /** Interrupts what runs beside a failure in the outermost `failFast` group around it, as far as nothing between catches it. */
  const interruptAround = (position: number, catcher: number): void => {
    const group = failFast.find((candidate) => candidate > catcher && candidate < position && position < (end[candidate] as number))
    if (group === undefined) return
    // What is done on the way out goes on.
    for (let inside = group; inside < (end[group] as number); inside++) if (isHalted(inside)) interrupt(inside, "fail-fast")
  }
  const interrupt = (position: number, reason: Interrupt["reason"]): void => {
    const node = at(position)
    if (node._tag !== "Step" && !isChildRun(node)) return
    // From the state and not from the cells: a schedule just made has not come to all of them yet.
    const status = recordOf(position)?.status
    if (status === (node._tag === "Step" ? "running" : "waiting")) interruptKey(nodeKey(node.id, iterationOf(position)), reason)
  }
  const interruptKey = (key: NodeKey, reason: Interrupt["reason"]): void => {
    if (!interrupts.some((known) => known.key === key)) interrupts.push({ key, reason })
  }

  /** Whether nothing may start at a node. */
  const isHalted = (position: number): boolean => {
    if (position >= size || (!isRootHalted && open.size === 0)) return false
    for (let inner = position, up = parent[position] as number; up >= 0; inner = up, up = parent[up] as number) {
      const boundary = open.get(up)
      if (boundary === undefined) continue
      if (boundary.isHalting || inner !== partAt(up, boundary.phase)) return true
      // What is done on the way out is done whatever has happened further out.
      if (boundary.phase === "finally") return false
    }
    return isRootHalted
  }
  const partAt = (position: number, phase: Open["phase"]): number => {
    const node = at(position)
    if (node._tag !== "TryCatch") return phase === "body" ? position + 1 : -1
    const parts = Plan.partsOf(plan, position, node)
    return (phase === "catch" ? parts.catch : phase === "finally" ? parts.finally : parts.try) ?? -1
  }

  // Boundaries.
  const beginBoundary = (position: number, node: Plan.Boundary): void => {
    cells[position] = Cell.running
    const record = view.boundaryRecord(position)
    switch (record?.status) {
      case "finished":
      case "caught":
      case "compensated":
        return complete(position)
      case "failed":
        if (record.cause !== undefined) spread(position, record.cause)
        return
      case "halted": {
        const isCaught = record.isCaught === true
        if (isCaught) halt(position + 1, end[position + 1] as number, record.cause, -1)
        else haltInside(position, node, record.cause, -1)
        haltBoundary(position, record.cause, isCaught)
        // What halted it and does not end here went on outwards when it happened.
        if (!isCaught && record.cause !== undefined) spread(position, record.cause)
        return
      }
      default:
        if (record === undefined) emit({ _tag: "BoundaryStarted", nodeId: node.id, iteration: iterationOf(position) })
        open.set(position, { phase: "body", isHalting: false, isCaught: false, cause: undefined })
        activate(position + 1)
    }
  }
  const isCaughtByState = (position: number): boolean => view.boundaryRecord(position)?.isCaught === true

  /** Takes up the child runs in what is halted that a schedule just made has not come to: their end is awaited. */
  const adopt = (from: number, to: number): void => {
    for (let inside = from; inside < to; inside++) {
      if (!isChildRun(at(inside)) || cells[inside] === Cell.held || recordOf(inside)?.status !== "waiting") continue
      cells[inside] = Cell.held
      held.add(inside)
      settleWait(inside)
    }
  }

  /** The next thing that boundaries do on the way out, the innermost first. Answers with whether there was any. */
  const unwind = (): boolean => {
    let innermost = -1
    for (const position of halting) if (position > innermost && isQuiet(position)) innermost = position
    if (innermost < 0) return false
    leavePhase(innermost)
    return true
  }
  /** Whether nothing is in flight any more in the phase that a boundary leaves. */
  const isQuiet = (position: number): boolean => {
    const node = at(position)
    const { phase } = open.get(position) as Open
    // Its catch counts with what it is for: a schedule just made does not know whether that had begun.
    const last = node._tag === "TryCatch" ? Plan.partsOf(plan, position, node).finally : undefined
    const from = phase === "finally" && last !== undefined ? last : position + 1
    const to = phase === "finally" ? (end[position] as number) : (last ?? (end[position] as number))
    for (let inside = from; inside < to; inside++) {
      const node = at(inside)
      if (open.has(inside)) return false
      if (node._tag === "Step" && cells[inside] === Cell.running) return false
      if (cells[inside] === Cell.held && isChildRun(node)) return false
    }
    for (const key of orphans) {
      const inside = plan.positions.get(key.slice(0, key.lastIndexOf("/"))) ?? -1
      if (from <= inside && inside < to) return false
    }
    return true
  }
  const leavePhase = (position: number): void => {
    const boundary = open.get(position) as Open
    const node = at(position) as Plan.Boundary
    boundary.isHalting = false
    halting.delete(position)
    if (node._tag === "Saga") {
      boundary.phase = "undoing"
      return undoNext(position)
    }
    const parts = Plan.partsOf(plan, position, node)
    if (boundary.phase === "body" && boundary.isCaught && parts.catch !== undefined) {
      closeWaits(position + 1)
      return beginPart(position, "catch", parts.catch)
    }
    if (boundary.phase !== "finally" && parts.finally !== undefined) return beginPart(position, "finally", parts.finally)
    leave(position)
  }
  const beginPart = (position: number, phase: "catch" | "finally", part: number): void => {
    ;(open.get(position) as Open).phase = phase
    cells.fill(Cell.idle, part, end[part])
    activate(part)
  }
  /** A part of a boundary has come to its end. */
  const finishPart = (position: number, node: Plan.Boundary): void => {
    const { finally: last } = node._tag === "TryCatch" ? Plan.partsOf(plan, position, node) : { finally: undefined }
    if (last !== undefined && open.get(position)?.phase !== "finally") return beginPart(position, "finally", last)
    leave(position)
  }
  const leave = (position: number): void => {
    const { isCaught, cause } = open.get(position) as Open
    const { id, _tag } = at(position) as Plan.Boundary
    const isHaltedOnly = !isCaught && view.boundaryRecord(position)?.status === "halted"
    const status = isCaught ? (_tag === "Saga" ? "compensated" : "caught") : isHaltedOnly ? "failed" : "finished"
    open.delete(position)
    emit({ _tag: "BoundaryEnded", nodeId: id, iteration: iterationOf(position), status })
    if (status !== "failed") return complete(position)
    cells[position] = Cell.failed
    // Where nobody further out has been told, as the failure is the boundary's own, or was met before the plan was drawn anew.
    if (cause !== undefined && !isHalted(position)) propagate(position, cause)
  }
  /** Nobody waits any more for what was asked in a part that is given up. */
  const closeWaits = (part: number): void => {
    for (let position = part; position < (end[part] as number); position++) {
      const node = at(position)
      if (!Plan.isLeaf(node) || recordOf(position)?.status !== "waiting") continue
      emit({ _tag: "NodeReset", nodeId: node.id, iteration: iterationOf(position) })
    }
  }

  /** What a saga has to undo, what finished last at the end. */
  const undoList = (position: number): Array<Undo> => {
    const list: Array<Undo> = []
    plan.undoes.forEach((undone, index) => {
      if (undone < position || undone >= (end[position] as number)) return
      const { id } = at(undone) as Plan.Step
      for (const row of view.rowsIn(position, undone)) {
        const record = RunState.step(state, id, row)
        if (record?.status === "finished") list.push({ order: record.order ?? 0, compensation: size + index, row })
      }
    })
    return list.sort((left, right) => left.order - right.order)
  }
  const undoOf = ({ compensation, row }: Undo): RunState.StepRecord | undefined =>
    RunState.step(state, (at(compensation) as Plan.Step).id, row)
  /** Undoes the step of a saga that finished last of those that are not undone yet, or leaves the saga. */
  const undoNext = (position: number): void => {
    const boundary = open.get(position) as Open
    boundary.undo ??= undoList(position)
    for (let next = boundary.undo.pop(); next !== undefined; next = boundary.undo.pop()) {
      const status = undoOf(next)?.status
      if (status === "failed") boundary.isStuck = true
      if (status === "finished" || status === "failed") continue
      // It is looked at once more when it has ended.
      boundary.undo.push(next)
      view.undo(next.compensation, next.row)
      undoing.set(next.compensation, position)
      cells[next.compensation] = Cell.running
      return proceedStep(next.compensation, at(next.compensation) as Plan.Step)
    }
    if (boundary.isCaught && boundary.isStuck === true) {
      // What is half undone is nothing to go on with: the failure goes on outwards after all.
      boundary.isCaught = false
      const { cause } = boundary
      const told = cause === undefined ? {} : { cause }
      const { id } = at(position) as Plan.Saga
      emit({ _tag: "BoundaryHalted", nodeId: id, iteration: iterationOf(position), ...told, isCaught: false })
    } else if (boundary.isCaught) closeWaits(position + 1)
    leave(position)
  }

  const enqueue = (position: number): void => {
    cells[position] = Cell.ready
    groups.enqueue(position)
  }
  const startReady = (): Array<Start> => {
    const starts: Array<Start> = []
    if (isPaused()) return starts
    for (let position = groups.take(); position !== undefined; position = groups.take()) {
      // It may have been halted since, or enqueued once more.
      if (cells[position] !== Cell.ready) continue
      const step = at(position) as Plan.Step
      const iteration = iterationOf(position)
      const attempt = (RunState.step(state, step.id, iteration)?.attempt ?? 0) + 1
      cells[position] = Cell.running
      groups.occupy(position, 1)
      emit({ _tag: "AttemptStarted", nodeId: step.id, iteration, attempt })
      starts.push({ position, step, iteration, attempt })
    }
    return starts
  }

  const absorb = (event: RunEvent): void => {
    if (event._tag === "SignalReceived") {
      for (const position of [...held].sort((left, right) => left - right)) settleWait(position)
      return
    }
    if (event._tag === "ApprovalDecided" || event._tag === "TaskAnswered" || event._tag === "SubflowEnded") {
      const position = plan.positions.get(event.nodeId)
      if (position !== undefined && iterationOf(position) === event.iteration) settleWait(position)
      return
    }
    if (!(event._tag === "AttemptSucceeded" || event._tag === "AttemptFailed" || event._tag === "AttemptInterrupted")) return
    const position = plan.positions.get(event.nodeId)
    if (position === undefined || cells[position] !== Cell.running || iterationOf(position) !== event.iteration) {
      if (orphans.delete(nodeKey(event.nodeId, event.iteration))) groups.occupy(position ?? -1, -1)
      return
    }
    groups.occupy(position, -1)
    if (isHalted(position)) {
      // It is kept, and nothing follows from it.
      const isFailed = event._tag === "AttemptFailed" && event.retryAt === undefined && event.soft !== true
      cells[position] = event._tag === "AttemptSucceeded" ? Cell.done : isFailed ? Cell.failed : Cell.idle
    } else if (event._tag === "AttemptSucceeded") complete(position)
    else if (event._tag === "AttemptInterrupted") enqueue(position)
    else if (event.retryAt !== undefined) {
      cells[position] = Cell.retrying
      retries.push({ at: event.retryAt, position })
    } else if (event.soft === true) complete(position)
    else fail(position, { _tag: "Error", error: event.error })
  }

  const isOver = (deadline: { readonly at: number; readonly position: number }): boolean =>
    cells[deadline.position] !== Cell.held || recordOf(deadline.position)?.wait?.deadline !== deadline.at
  const isOutdated = (retry: { readonly at: number; readonly position: number }): boolean => cells[retry.position] !== Cell.retrying

  let hasBegun = false
  const beginWalk = (): void => {
    hasBegun = true
    const addOrphan = (key: NodeKey): void => {
      orphans.add(key)
      groups.occupy(plan.positions.get(key.slice(0, key.lastIndexOf("/"))) ?? -1, 1)
    }
    if (options.running !== undefined) for (const key of options.running()) addOrphan(key)
    if (options.running === undefined)
      HashMap.forEach(state.nodes, (record, key) => {
        if (record.kind === "step" && record.status === "running" && !orphans.has(key)) addOrphan(key)
      })
    meetFailure()
    activate(0)
    walk()
    // The walk stops at the first failure; there may be others, in groups of their own.
    if (failFast.length > 0) HashMap.forEach(state.nodes, interruptBeside)
  }
  const interruptBeside = (record: RunState.NodeRecord): void => {
    if (record.kind !== "step" || record.status !== "failed" || record.soft === true) return
    const position = plan.positions.get(record.nodeId)
    if (position === undefined || position >= size || iterationOf(position) !== record.iteration) return
    let catcher = parent[position] as number
    while (catcher >= 0 && !(Plan.isBoundary(at(catcher)) && isCaughtByState(catcher))) catcher = parent[catcher] as number
    interruptAround(position, catcher)
  }
  /** What the run has failed of already, found first, so that nothing begins that stands before it and after it in time. */
  const meetFailure = (): void => {
    // Nearly no run has failed, and looking through its records costs a quarter of looking each of them up.
    let hasFailed = false
    HashMap.forEach(state.nodes, ({ kind, status }) => {
      hasFailed ||= status === "failed" || (kind === "boundary" && status === "halted")
    })
    if (!hasFailed) return
    for (let position = 0; position < size; position++) {
      const cause = causeAt(position)
      if (cause === undefined || isMet(position)) continue
      isRootHalted = true
      failure = { _tag: "Failed", ...cause }
      // What a finally has failed of is met again when that is come to.
      halt(0, size, cause, -1)
      return adopt(0, size)
    }
  }
  /** The failure for good that the state has of a node, and which it did not catch. */
  const causeAt = (position: number): FailureCause | undefined => {
    const node = at(position)
    if (Plan.isBoundary(node)) {
      const record = view.boundaryRecord(position)
      return record?.isCaught === true || record?.status === "finished" ? undefined : record?.cause
    }
    const record = Plan.isLeaf(node) ? recordOf(position) : undefined
    if (record?.status !== "failed" || record.soft === true) return undefined
    return { nodeId: record.nodeId, iteration: record.iteration, reason: { _tag: "Error", error: record.error as ErrorInfo } }
  }
  /** Whether a boundary around a node catches what fails there, or will. */
  const isMet = (position: number): boolean => {
    for (let inner = position, up = parent[position] as number; up >= 0; inner = up, up = parent[up] as number) {
      const node = at(up)
      if (!Plan.isBoundary(node)) continue
      const isOpen = view.boundaryRecord(up)?.status === "running"
      if (isCaughtByState(up) || (isOpen && inner === up + 1 && isCatching(node))) return true
    }
    return false
  }
  /** What a cancellation comes to: everything is left at once, by way of the boundaries. */
  const cancelAll = (): void => {
    isCancelled = true
    isRootHalted = true
    halt(0, size, undefined, -1)
    for (let position = 0; position < size; position++) if (isHalted(position)) interrupt(position, "cancelled")
    for (const key of orphans) interruptKey(key, "cancelled")
    for (const position of postponed) if (!isHalted(position)) nextPass(position, at(position) as Plan.Loop)
    walk()
  }

  const advance: Schedule["advance"] = (folded, absorbed, time) => {
    state = folded
    now = time
    events = []
    interrupts = []
    if (hasBegun) {
      walk()
      for (const event of absorbed) {
        absorb(event)
        walk()
      }
    } else beginWalk()
    let due = retries.peek()
    for (; due !== undefined && (isOutdated(due) || due.at <= now); due = retries.peek()) {
      retries.pop()
      if (!isOutdated(due)) enqueue(due.position)
    }
    const isTicking = !state.isPaused
    for (let end = deadlines.peek(); end !== undefined && !isStale && (isOver(end) || (isTicking && end.at <= now)); ) {
      deadlines.pop()
      if (!isOver(end)) settleWait(end.position)
      walk()
      end = deadlines.peek()
    }
    if (state.cancel !== undefined && !isCancelled && work.length === 0 && !isStale && cells[0] !== Cell.done) cancelAll()
    return { state, events, interrupts, isPartial: work.length > 0 && !isPaused(), isStale }
  }

  /** Forgets retries and deadlines of what was halted. */
  const prune = (): void => {
    for (let due = retries.peek(); due !== undefined && isOutdated(due); due = retries.peek()) retries.pop()
    for (let end = deadlines.peek(); end !== undefined && isOver(end); end = deadlines.peek()) deadlines.pop()
  }

  const next: Schedule["next"] = () => {
    events = []
    prune()
    const starts = startReady()
    while (isStuck() && giveUp()) starts.push(...startReady())
    const wakeAt = nextTime()
    const isIdle = groups.running() === 0 && work.length === 0
    const outcome = isIdle ? ending() : undefined
    const rests = isPaused() && groups.running() === 0 && outcome === undefined
    const isWaiting = isIdle && outcome === undefined && !rests && retries.size() === 0
    return { state, events, starts, wakeAt, waiting: isWaiting ? openWaits() : [], isPaused: rests, outcome }
  }
  const nextTime = (): number | undefined => {
    if (isPaused()) return undefined
    const times = [retries.peek()?.at, deadlines.peek()?.at].filter((time) => time !== undefined)
    return times.length === 0 ? undefined : Math.min(...times)
  }
  /** Nothing is left to go on, and the plan was made without what it reads. */
  const isStuck = (): boolean =>
    (!isRootHalted || open.size > 0) &&
    plan.pending.length > 0 &&
    groups.running() === 0 &&
    work.length === 0 &&
    held.size === 0 &&
    retries.size() === 0 &&
    !isPaused()
  /** Fails what waits for a read that will not come: the run or, where that has failed, what a boundary does on the way out. */
  const giveUp = (): boolean => {
    const position = isRootHalted ? cells.findIndex((cell, inside) => cell === Cell.waiting && !isHalted(inside)) : -1
    const [read] = isRootHalted ? ((at(position) as Plan.Sequence | undefined)?.pending ?? []) : plan.pending
    if (read === undefined) return false
    const { nodeId, table } = read
    const named = { ...(nodeId === undefined ? {} : { nodeId }), ...(table === undefined ? {} : { table }) }
    const cause: FailureCause = { nodeId: nodeId ?? table ?? "", iteration: 0, reason: { _tag: "Unsettled", read: named } }
    if (isRootHalted) {
      cells[position] = Cell.failed
      propagate(position, cause)
    } else {
      isRootHalted = true
      failure = { _tag: "Failed", ...cause }
      halt(0, size, cause, -1)
    }
    walk()
    return true
  }
  const openWaits = (): ReadonlyArray<Waiting> =>
    [...held]
      .sort((left, right) => left - right)
      .map((position) => {
        const { id, on } = waitOf(position)
        const { deadline, name } = recordOf(position)?.wait ?? {}
        const child = on.kind === "subflow" && name !== undefined ? { childRunId: name } : {}
        return { nodeId: id, iteration: iterationOf(position), kind: on.kind, deadline, ...child }
      })
  const ending = (): Outcome | undefined => {
    if (cells[0] === Cell.done && plan.pending.length === 0) return finished
    if (!isRootHalted || open.size > 0 || held.size > 0) return undefined
    return state.cancel !== undefined ? { _tag: "Cancelled" } : failure
  }

  const idsIn = (cell: number): Array<NodeId> => {
    const ids: Array<NodeId> = []
    for (let position = 0; position < count; position++) {
      const node = at(position)
      if (node._tag === "Step" && cells[position] === cell) ids.push(node.id)
    }
    return ids
  }

  return {
    advance,
    next,
    needs: view.needs,
    value: view.value,
    stored: view.stored,
    pass: view.passOf,
    active: () => ({ ready: idsIn(Cell.ready), running: idsIn(Cell.running), retrying: idsIn(Cell.retrying) }),
  }
}

const finished = { _tag: "Finished" } as const

const predicates = {
  Step: "skipIf",
  Branch: "when",
  Loop: "until",
  Wait: "request",
  Sequence: "",
  Parallel: "",
  Saga: "",
  TryCatch: "",
}

const predicateError = (name: string, thrown: unknown): ErrorInfo => {
  const raised = Raised.describe(thrown)
  return { ...raised, message: `its "${name}" threw: ${raised.message}`, retryable: false }
}
