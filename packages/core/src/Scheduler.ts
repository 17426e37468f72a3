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
import * as Heap from "./internal/heap.ts"
import * as Raised from "./internal/raised.ts"
import type { Accepted } from "./internal/waits.ts"
import * as Waits from "./internal/waits.ts"
import type * as Plan from "./Plan.ts"
import { isLeaf, isProvisional } from "./Plan.ts"
import type { RunEvent, WaitKind } from "./RunEvent.ts"
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

/** A failure that nothing in the plan tolerates. */
export interface Failed {
  readonly _tag: "Failed"
  readonly nodeId: NodeId
  readonly iteration: number
  readonly reason:
    | { readonly _tag: "Error"; readonly error: ErrorInfo }
    | { readonly _tag: "LoopLimit"; readonly maxIterations: number }
    /** Nothing is left to run, and the plan still waits for outputs that it was made without. */
    | { readonly _tag: "Unsettled"; readonly read: Plan.PendingRead }
}

/** How the run ends: nothing is in flight any more. */
export type Outcome = { readonly _tag: "Finished" } | Failed

/** A wait that is open. */
export interface Waiting {
  readonly nodeId: NodeId
  readonly iteration: number
  readonly kind: WaitKind
  /** Epoch ms when its timer fires, or its time is over. */
  readonly deadline: number | undefined
}

/** What follows from events by the plan alone, before anything is started. */
export interface Consequences {
  /** The state with `events` folded in. */
  readonly state: RunState.RunState
  /** Skips, loop passes and failed predicates. */
  readonly events: ReadonlyArray<RunEvent>
  /** Attempts to interrupt, because a sibling in a `failFast` group failed. */
  readonly interrupts: ReadonlyArray<NodeKey>
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

interface Group {
  readonly cap: number
  readonly parent: Group | undefined
  readonly ready: Heap.Heap<number>
  /** Groups directly inside this one that have ready steps. */
  readonly inside: Set<Group>
  running: number
}

/**
 * Builds the schedule of a plan. Its first `advance` takes the state as it is and visits what is active, nothing inside
 * finished loops or arms not taken; later ones visit what the events touch.
 */
export const make = (plan: Plan.Plan, values: Values, options: ScheduleOptions): Schedule => {
  const { nodes, parent, end, loopOf } = plan
  const count = nodes.length
  const cells = new Uint8Array(count)
  /** Sequence: position of the current child. Parallel: children not done. Branch: position of the taken arm, -1 for none. */
  const cursors = new Int32Array(count)
  const waitingFor = new Int32Array(count)

  const newGroup = (cap: number, up: Group | undefined): Group => ({
    cap,
    parent: up,
    ready: Heap.make((position) => position),
    inside: new Set(),
    running: 0,
  })
  const rootGroup = newGroup(options.maxConcurrency, undefined)
  const ownGroups = new Map<number, Group>()
  const groupOf = (position: number): Group => {
    for (let here = parent[position] as number; ownGroups.size > 0 && here >= 0; here = parent[here] as number) {
      const group = ownGroups.get(here)
      if (group !== undefined) return group
    }
    return rootGroup
  }
  const failFast: Array<number> = []
  for (let position = 0; position < count; position++) {
    const node = nodes[position] as Plan.Node
    if (node._tag !== "Parallel") continue
    if (node.maxConcurrency !== undefined) ownGroups.set(position, newGroup(node.maxConcurrency, groupOf(position)))
    if (node.failFast) failFast.push(position)
  }

  let state = RunState.empty("")
  let events: Array<RunEvent> = []
  let interrupts: Array<NodeKey> = []
  let now = 0
  let failure: Failed | undefined
  const retries = Heap.make<{ readonly at: number; readonly position: number }>((retry) => retry.at)
  /** Waits that are open, and when they are over. */
  const held = new Set<number>()
  const deadlines = Heap.make<{ readonly at: number; readonly position: number }>((deadline) => deadline.at)
  const work: Array<number> = []
  /** Attempts in flight of steps that the plan does not have, or does not have active, now. */
  const orphans = new Set<NodeKey>()

  const at = (position: number): Plan.Node => nodes[position] as Plan.Node
  let isStale = false
  const emit = (event: RunEvent): void => {
    events.push(event)
    state = RunState.apply(state, event, now)
    if (options.observe?.(event) === true) isStale = true
  }

  // Where a node stands in its loops follows from the state alone.
  const loopRecord = (position: number): RunState.LoopRecord | undefined =>
    RunState.loop(state, (at(position) as Plan.Loop).id, iterationOf(position))
  const rowOfLoop = (position: number): number => {
    const record = loopRecord(position)
    return record === undefined || record.passes === 0 ? -1 : record.base + record.passes - 1
  }
  const iterationOf = (position: number): number => {
    const around = loopOf[position] as number
    return around < 0 ? 0 : rowOfLoop(around)
  }
  const passOf = (position: number): number => {
    const around = loopOf[position] as number
    return around < 0 ? 0 : (loopRecord(around)?.passes ?? 1) - 1
  }

  const compose = <A>(
    position: number,
    read: (key: NodeKey) => A | undefined,
    tuple: (values: Array<A | undefined>) => A,
  ): A | undefined => {
    const node = at(position)
    switch (node._tag) {
      case "Step":
      case "Wait":
        return read(nodeKey(node.id, iterationOf(position)))
      case "Sequence":
        if (node.skipsAbsent === true) return lastPresent(position, (child) => compose(child, read, tuple))
        return node.children.length === 0 ? undefined : compose(lastChild(position), read, tuple)
      case "Parallel":
        return tuple(childPositions(position).map((child) => compose(child, read, tuple)))
      case "Branch": {
        const arm = cells[position] === Cell.done ? (cursors[position] as number) : takenArm(position, node)
        return arm < 0 ? undefined : compose(arm, read, tuple)
      }
      case "Loop":
        return rowOfLoop(position) < 0 ? undefined : compose(position + 1, read, tuple)
    }
  }
  const value = (position: number): unknown =>
    compose<unknown>(
      position,
      (key) => values.outputs.get(key),
      (tuple) => tuple,
    )
  const stored = (position: number): Json | undefined =>
    compose<Json>(
      position,
      (key) => {
        const record = HashMap.get(state.nodes, key)
        return record._tag === "Some" && record.value.kind === "step" ? record.value.output : undefined
      },
      (tuple) => tuple.map((item) => item ?? null),
    )
  const childPositions = (position: number): Array<number> => {
    const found: Array<number> = []
    for (let child = position + 1; child < (end[position] as number); child = end[child] as number) found.push(child)
    return found
  }
  const lastPresent = <A>(position: number, read: (child: number) => A | undefined): A | undefined => {
    for (const child of childPositions(position).reverse()) {
      const found = read(child)
      if (found !== undefined) return found
    }
    return undefined
  }
  const lastChild = (position: number): number => {
    let last = position + 1
    for (let child = last; child < (end[position] as number); child = end[child] as number) last = child
    return last
  }

  const needs: Schedule["needs"] = (position) => {
    const found: Record<string, unknown> = {}
    let missing: string | undefined
    for (const need of plan.needs[position] as ReadonlyArray<Plan.ResolvedNeed>) {
      if (need.pass === "previous") {
        const target = at(need.target)
        const row = iterationOf(need.target) - 1
        found[need.name] = isLeaf(target) && passOf(need.target) > 0 ? values.outputs.get(nodeKey(target.id, row)) : undefined
      } else {
        const isThere = hasPass(need.target, position)
        if (!isThere && need.gate >= 0) missing ??= need.name
        found[need.name] = isThere ? value(need.target) : undefined
      }
    }
    return { values: found, missing }
  }
  /** Whether every loop from `target` outwards, up to those the reader is inside of, has made a pass. */
  const hasPass = (target: number, reader: number): boolean => {
    for (let around = at(target)._tag === "Loop" ? target : (loopOf[target] as number); around >= 0; ) {
      if (around < reader && reader < (end[around] as number)) return true
      if (rowOfLoop(around) < 0) return false
      around = loopOf[around] as number
    }
    return true
  }
  const context = (position: number): Record<string, unknown> => ({ input: values.input, ...needs(position).values })

  const takenArm = (position: number, branch: Plan.Branch): number => {
    if (branch.when(context(position))) return position + 1
    return branch.else === undefined ? -1 : (end[position + 1] as number)
  }

  /** Runs a predicate of the user's; a throw fails the node it belongs to. */
  const ask = <A>(position: number, predicate: () => A): A | undefined => {
    try {
      return predicate()
    } catch (thrown) {
      failPredicate(position, thrown)
      return undefined
    }
  }
  const failPredicate = (position: number, thrown: unknown): void => {
    const node = at(position)
    const error = predicateError(node, thrown)
    if (isLeaf(node)) {
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
  const walk = (): void => {
    while (work.length > 0 && !isStale && events.length < eventsPerAdvance) {
      const item = work.pop() as number
      if (failure !== undefined) continue
      if (item >= 0) begin(item)
      else finish(~item)
    }
  }

  const begin = (position: number): void => {
    const node = at(position)
    if (isProvisional(node)) {
      cells[position] = Cell.waiting
      waitingFor[position] = never
      return
    }
    if (node._tag === "Sequence") {
      cells[position] = Cell.running
      if (node.children.length === 0) return complete(position)
      cursors[position] = position + 1
      return activate(position + 1)
    }
    if (node._tag === "Parallel") {
      cells[position] = Cell.running
      const inside = childPositions(position)
      cursors[position] = inside.length
      if (inside.length === 0) return complete(position)
      for (let index = inside.length - 1; index >= 0; index--) activate(inside[index] as number)
      return
    }
    let open = 0
    for (const need of plan.needs[position] as ReadonlyArray<Plan.ResolvedNeed>) {
      if (need.gate >= 0 && cells[need.gate] !== Cell.done) open++
    }
    waitingFor[position] = open
    if (open > 0) cells[position] = Cell.waiting
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
    if (record === undefined) return nextPass(position, node)
    if (record.status === "finished") return complete(position)
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
        orphans.delete(nodeKey(step.id, iteration))
        return occupy(position, 1)
      case "retrying":
        cells[position] = Cell.retrying
        return retries.push({ at: record.retryAt as number, position })
      default:
        if ((record === undefined || record.attempt === 0) && isLeftOut(position, step)) return
        enqueue(position)
    }
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
    const iteration = iterationOf(position)
    const record = RunState.step(state, node.id, iteration)
    if (record?.status === "finished" || record?.status === "skipped") return complete(position)
    if (record?.status === "failed") return fail(position, { _tag: "Error", error: record.error as ErrorInfo })
    if (record?.status !== "waiting" && isLeftOut(position, node)) return
    const asked = ask(position, () => Waits.requestOf(node, context(position), now, state))
    if (asked === undefined) return
    if (record?.status !== "waiting" || record.wait?.digest !== asked.digest) {
      const deadline = node.on.kind === "timer" ? asked.due : node.timeoutMs === undefined ? undefined : now + node.timeoutMs
      const { due: _, ...shown } = asked
      const limit = deadline === undefined ? {} : { deadline }
      emit({ _tag: "WaitStarted", nodeId: node.id, iteration, kind: node.on.kind, ...shown, ...limit })
    }
    cells[position] = Cell.held
    held.add(position)
    const { deadline } = RunState.step(state, node.id, iteration)?.wait ?? {}
    if (deadline !== undefined) deadlines.push({ at: deadline, position })
    settleWait(position, node)
  }
  const settleWait = (position: number, node: Plan.Wait): void => {
    const iteration = iterationOf(position)
    const wait = RunState.step(state, node.id, iteration)?.wait
    if (wait === undefined || cells[position] !== Cell.held) return
    const key = nodeKey(node.id, iteration)
    const accept = (given: unknown): Accepted => options.accept?.(node, key, given) ?? { issues: ["there is nobody to check it"] }
    const { refused, ending } = Waits.judge(node, wait, state.signals, now, accept)
    for (const refusal of refused) emit({ ...refusal, nodeId: node.id, iteration })
    if (ending !== undefined) endWait(position, ending)
  }
  const endWait = (position: number, ending: Waits.Ending): void => {
    held.delete(position)
    const { id } = at(position) as Plan.Wait
    emit({ _tag: "WaitEnded", nodeId: id, iteration: iterationOf(position), ...ending })
    if (ending.status === "failed") fail(position, { _tag: "Error", error: ending.error as ErrorInfo })
    else complete(position)
  }

  const nextPass = (position: number, loop: Plan.Loop): void => {
    if (state.cancel !== undefined) return
    const iteration = iterationOf(position)
    const record = loopRecord(position)
    const passes = record?.passes ?? 0
    const output = passes === 0 ? undefined : value(position + 1)
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
    const waiting = plan.dependents.get(position)
    if (waiting !== undefined) {
      for (const dependent of waiting) {
        if (cells[dependent] !== Cell.waiting) continue
        const open = (waitingFor[dependent] as number) - 1
        waitingFor[dependent] = open
        if (open === 0) proceed(dependent)
      }
    }
    const up = parent[position] as number
    if (up < 0) return
    const around = at(up)
    if (around._tag === "Sequence") {
      const next = end[position] as number
      cursors[up] = next
      return next < (end[up] as number) ? activate(next) : complete(up)
    }
    if (around._tag === "Parallel") {
      const open = (cursors[up] as number) - 1
      cursors[up] = open
      return open === 0 ? complete(up) : undefined
    }
    if (around._tag === "Loop") return nextPass(up, around)
    complete(up)
  }

  const fail = (position: number, reason: Failed["reason"]): void => {
    cells[position] = Cell.failed
    const node = at(position)
    const named = "id" in node ? node.id : `#${position}`
    failure ??= { _tag: "Failed", nodeId: named, iteration: iterationOf(position), reason }
    interruptAround(position)
  }
  /** Interrupts what runs beside a failure in the outermost `failFast` group around it. */
  const interruptAround = (position: number): void => {
    const group = failFast.find((candidate) => candidate < position && position < (end[candidate] as number))
    if (group === undefined) return
    for (let inside = group; inside < (end[group] as number); inside++) {
      const step = at(inside)
      if (step._tag !== "Step") continue
      // From the state and not from the cells: a schedule just made has not come to all of them yet.
      const key = nodeKey(step.id, iterationOf(inside))
      const record = RunState.step(state, step.id, iterationOf(inside))
      if (record?.status === "running" && !interrupts.includes(key)) interrupts.push(key)
    }
  }

  // Ready steps, in document order, as far as every group around them has room.
  const enqueue = (position: number): void => {
    cells[position] = Cell.ready
    let group = groupOf(position)
    group.ready.push(position)
    for (let up = group.parent; up !== undefined; up = group.parent) {
      up.inside.add(group)
      group = up
    }
  }
  const occupy = (position: number, change: 1 | -1): void => {
    for (let group: Group | undefined = groupOf(position); group !== undefined; group = group.parent) group.running += change
  }
  const first = (group: Group): Group | undefined => {
    if (group.running >= group.cap) return undefined
    let best: Group | undefined = group.ready.size() > 0 ? group : undefined
    for (const inside of group.inside) {
      const candidate = first(inside)
      if (candidate === undefined) {
        if (inside.ready.size() === 0 && inside.inside.size === 0) group.inside.delete(inside)
      } else if (best === undefined || (candidate.ready.peek() as number) < (best.ready.peek() as number)) best = candidate
    }
    return best
  }

  const startReady = (): Array<Start> => {
    const starts: Array<Start> = []
    if (failure !== undefined || state.cancel !== undefined) return starts
    for (let group = first(rootGroup); group !== undefined; group = first(rootGroup)) {
      const position = group.ready.pop() as number
      const step = at(position) as Plan.Step
      const iteration = iterationOf(position)
      const attempt = (RunState.step(state, step.id, iteration)?.attempt ?? 0) + 1
      cells[position] = Cell.running
      occupy(position, 1)
      emit({ _tag: "AttemptStarted", nodeId: step.id, iteration, attempt })
      starts.push({ position, step, iteration, attempt })
    }
    return starts
  }

  const absorb = (event: RunEvent): void => {
    if (event._tag === "SignalReceived") {
      for (const position of [...held].sort((left, right) => left - right)) settleWait(position, at(position) as Plan.Wait)
      return
    }
    if (event._tag === "ApprovalDecided" || event._tag === "TaskAnswered") {
      const position = plan.positions.get(event.nodeId)
      const node = position === undefined ? undefined : at(position)
      if (position === undefined || node?._tag !== "Wait" || iterationOf(position) !== event.iteration) return
      return settleWait(position, node)
    }
    if (!(event._tag === "AttemptSucceeded" || event._tag === "AttemptFailed" || event._tag === "AttemptInterrupted")) return
    const position = plan.positions.get(event.nodeId)
    if (position === undefined || cells[position] !== Cell.running || iterationOf(position) !== event.iteration) {
      if (orphans.delete(nodeKey(event.nodeId, event.iteration))) rootGroup.running--
      return
    }
    occupy(position, -1)
    if (event._tag === "AttemptSucceeded") complete(position)
    else if (event._tag === "AttemptInterrupted") enqueue(position)
    else if (event.retryAt !== undefined) {
      cells[position] = Cell.retrying
      retries.push({ at: event.retryAt, position })
    } else if (event.soft === true) complete(position)
    else fail(position, { _tag: "Error", error: event.error })
  }

  const isOver = (deadline: { readonly at: number; readonly position: number }): boolean => {
    const node = at(deadline.position)
    if (cells[deadline.position] !== Cell.held || node._tag !== "Wait") return true
    return RunState.step(state, node.id, iterationOf(deadline.position))?.wait?.deadline !== deadline.at
  }
  const isOutdated = (retry: { readonly at: number; readonly position: number }): boolean => cells[retry.position] !== Cell.retrying

  let hasBegun = false
  const beginWalk = (): void => {
    hasBegun = true
    if (options.running !== undefined) for (const key of options.running()) orphans.add(key)
    if (options.running === undefined || failFast.length > 0)
      HashMap.forEach(state.nodes, (record, key) => {
        if (record.kind !== "step") return
        if (record.status === "running") orphans.add(key)
        // The walk stops at the first failure; there may be others, in groups of their own.
        if (failFast.length === 0 || record.status !== "failed" || record.soft === true) return
        const position = plan.positions.get(record.nodeId)
        if (position !== undefined && iterationOf(position) === record.iteration) interruptAround(position)
      })
    activate(0)
    walk()
    rootGroup.running += orphans.size
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
    for (let end = deadlines.peek(); end !== undefined && !isStale && (isOver(end) || end.at <= now); end = deadlines.peek()) {
      deadlines.pop()
      if (!isOver(end)) settleWait(end.position, at(end.position) as Plan.Wait)
      walk()
    }
    return { state, events, interrupts, isPartial: work.length > 0, isStale }
  }

  const next: Schedule["next"] = () => {
    events = []
    const starts = startReady()
    const times = failure === undefined ? [retries.peek()?.at, deadlines.peek()?.at].filter((time) => time !== undefined) : []
    const wakeAt = times.length === 0 ? undefined : Math.min(...times)
    const outcome = rootGroup.running > 0 ? undefined : (failure ?? ending(wakeAt))
    const isIdle = rootGroup.running === 0 && outcome === undefined && retries.size() === 0 && work.length === 0
    return { state, events, starts, wakeAt, waiting: isIdle ? openWaits() : [], outcome }
  }
  const openWaits = (): ReadonlyArray<Waiting> =>
    [...held]
      .sort((left, right) => left - right)
      .map((position) => {
        const node = at(position) as Plan.Wait
        const iteration = iterationOf(position)
        const { deadline } = RunState.step(state, node.id, iteration)?.wait ?? {}
        return { nodeId: node.id, iteration, kind: node.on.kind, deadline }
      })
  const ending = (wakeAt: number | undefined): Outcome | undefined => {
    const [read] = plan.pending
    if (read === undefined) return cells[0] === Cell.done ? finished : undefined
    if (wakeAt !== undefined || work.length > 0 || held.size > 0) return undefined
    return { _tag: "Failed", nodeId: read.nodeId ?? read.table ?? "", iteration: 0, reason: { _tag: "Unsettled", read } }
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
    needs,
    value,
    stored,
    pass: passOf,
    active: () => ({ ready: idsIn(Cell.ready), running: idsIn(Cell.running), retrying: idsIn(Cell.retrying) }),
  }
}

const finished = { _tag: "Finished" } as const

const predicateError = (node: Plan.Node, thrown: unknown): ErrorInfo => {
  const predicate = { Step: "skipIf", Branch: "when", Loop: "until", Sequence: "", Parallel: "", Wait: "request" }[node._tag]
  const raised = Raised.describe(thrown)
  return { ...raised, message: `its "${predicate}" threw: ${raised.message}`, retryable: false }
}
