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
import * as HashSet from "effect/HashSet"
import type { Json, Kept } from "./Codec.ts"
import { type ErrorInfo, InvalidCondition, InvalidRequest } from "./Errors.ts"
import { type NodeId, type NodeKey, nodeKey, placeOf } from "./Ids.ts"
import * as Boundaries from "./internal/boundaries.ts"
import { Cell } from "./internal/cell.ts"
import * as Groups from "./internal/groups.ts"
import * as Heap from "./internal/heap.ts"
import type * as Intervals from "./internal/intervals.ts"
import * as Passes from "./internal/passes.ts"
import * as Suspects from "./internal/suspects.ts"
import * as View from "./internal/view.ts"
import type { Accepted } from "./internal/waits.ts"
import * as Waits from "./internal/waits.ts"
import * as Millis from "./Millis.ts"
import * as Plan from "./Plan.ts"
import * as Raised from "./Raised.ts"
import type { FailureCause, OutputSource, RestKind, RunEvent } from "./RunEvent.ts"
import * as RunState from "./RunState.ts"
import type { Withdrawal } from "./Status.ts"

/** Decoded values: what predicates and steps read. Outputs are keyed like the records of the state. Each read may give another copy. */
export interface Values {
  readonly input: unknown
  readonly outputs: Pick<ReadonlyMap<NodeKey, unknown>, "get" | "has">
}

/** Decoded values of a run. */
export const valuesOf = (input: Kept, outputs: Values["outputs"]): Values => ({
  get input() {
    return input.give()
  },
  outputs,
})

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

/** A wait that is open, or a step that is tried again later. */
export interface Waiting {
  readonly nodeId: NodeId
  readonly iteration: number
  readonly kind: RestKind
  /** Epoch ms when its timer fires, its time is over, or its next attempt is due. */
  readonly deadline: number | undefined
  /** Of a subflow: the run that it waits for. */
  readonly childRunId?: string
}

/** An attempt, or the child run of a subflow, that is not to go on. */
export interface Interrupt {
  readonly key: NodeKey
  /** A sibling in a `failFast` group failed, or the run is cancelled. */
  readonly reason: Boundaries.Reason
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
  /** Epoch ms, as the clock stands, at which the next retry or timer is due, or a wait is over. */
  readonly wakeAt: number | undefined
  /** What the run waits for, in document order, where nothing else can go on; otherwise empty. */
  readonly waiting: ReadonlyArray<Waiting>
  /** Nothing goes on because the run is paused. */
  readonly isPaused: boolean
  readonly outcome: Outcome | undefined
}

export interface Schedule {
  /** Takes events that are already folded into `state`, and draws their consequences at `now`. */
  readonly advance: (state: RunState.RunState, events: ReadonlyArray<RunEvent>, now: Millis.Millis) => Consequences
  /** Decides what to start or to wait for, after `advance`. */
  readonly next: () => Decision
  /** The needs of a step in its current iteration, by name; `missing` names one that has no value to give. */
  readonly needs: (position: number) => { readonly values: Record<string, unknown>; readonly missing: string | undefined }
  /** The value of a node: its output, its last child's, a tuple, the taken arm's, or the last pass's. */
  readonly value: (position: number) => unknown
  /** The same in stored form. */
  readonly stored: (position: number) => Json | undefined
  /** The rows that it is of. */
  readonly source: (position: number) => OutputSource | undefined
  /** The pass a node is in, counted from 0 in its innermost loop; 0 outside loops. */
  readonly pass: (position: number) => number
  /** Ids of the steps that are ready, running and waiting to retry: what two schedules of one state must agree on. */
  readonly active: () => { readonly ready: Array<NodeId>; readonly running: Array<NodeId>; readonly retrying: Array<NodeId> }
}

export interface ScheduleOptions {
  /** What was drawn before, where the plan is drawn as the run goes on: tells in passes of loops what is new. */
  readonly before?: Plan.Drawing
  /** Attempts in flight at once. */
  readonly maxConcurrency: number
  /** Is told of the events that the plan itself makes happen; with `true` for one that may change the plan, the schedule halts. */
  readonly observe?: (event: RunEvent) => boolean
  /** Measures what is due later within this process; otherwise it goes by the clock alone. */
  readonly intervals?: Pick<Intervals.Intervals, "endOf" | "forget">
  /** The attempts in flight, by whoever knows them; otherwise all records are looked through for them once. */
  readonly running?: () => Iterable<NodeKey>
  /** Whether a step that is suspected of killing its process may begin now; asked again with each `next`. Default: it may. */
  readonly admit?: (key: NodeKey) => boolean
  /** Checks what the world gave for a wait, and keeps it as the node's output. Answers with its stored form. */
  readonly accept?: (wait: Plan.Wait, key: NodeKey, given: unknown) => Accepted
}

export type { Accepted } from "./internal/waits.ts"

/** What is due later. */
interface Timed {
  /** As it is stored. */
  readonly at: Millis.Millis
  /** As the clock stands. */
  readonly due: number
  readonly position: number
  readonly key: NodeKey
}

/** Intervals of a schedule that no process drives. */
const byTheClock: Pick<Intervals.Intervals, "endOf" | "forget"> = { endOf: (_, at) => at, forget: () => {} }

/** Decides from scratch what follows from a state. */
export const decide = (
  plan: Plan.Plan,
  state: RunState.RunState,
  values: Values,
  options: { readonly maxConcurrency: number },
  now: Millis.Millis,
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

/**
 * Ms for which a run waits in place for the next attempt of a step. A retry that is due later is a wait like any other, and the run is let go
 * of; after a short pause most go on at once, and letting go would only cost a second claim. The pauses of the default policy are shorter.
 */
export const patienceMs = 10_000

/** More than any node has needs: what is provisional is not begun by a need that is met. */
const never = 0x7fff_ffff

/**
 * Builds the schedule of a plan. Its first `advance` takes the state as it is and visits what is active, nothing inside
 * finished loops or arms not taken; later ones visit what the events touch.
 */
export const make = (plan: Plan.Plan, values: Values, options: ScheduleOptions): Schedule => {
  const { parent, end, step: stepAt, loop: loopAt, id: idAt } = plan
  const count = plan.nodes.length
  const cells = new Uint8Array(count)
  /** Sequence: position of the current child. Parallel: children not done. Branch: position of the taken arm, -1 for none. */
  const cursors = new Int32Array(count)
  const waitingFor = new Int32Array(count)
  const groups = Groups.make(plan, options.maxConcurrency)

  let state = RunState.empty("")
  let events: Array<RunEvent> = []
  let interrupts: Array<Interrupt> = []
  let now = Millis.zero
  const intervals = options.intervals ?? byTheClock
  const retries = Heap.make<Timed>(({ due }) => due)
  /** Waits that are open, and when they are over. */
  const held = new Set<number>()
  const deadlines = Heap.make<Timed>(({ due }) => due)
  const work: Array<number> = []
  /** Attempts in flight of steps that the plan does not have, or does not have active, now. */
  const orphans = new Set<NodeKey>()
  /** Child runs whose time is over; they are awaited nevertheless. */
  const cancelledChildren = new Set<number>()
  let isCancelled = false
  /** Loops that came to a next pass when a cancellation was known and not acted on yet. */
  const postponed: Array<number> = []

  const at = plan.node
  let isStale = false
  const emit = (event: RunEvent): void => {
    events.push(event)
    state = RunState.apply(state, event, now)
    if (event._tag === "WaitEnded" && askers.size > 0) outdate(event)
    if (options.observe?.(event) === true) isStale = true
  }

  const takenArm = (position: number, branch: Plan.Branch): number => {
    if (holds(position, branch.when(context(position)))) return position + 1
    return branch.else === undefined ? -1 : end(position + 1)
  }
  const view = View.make({
    plan,
    values,
    state: () => state,
    armOf: (position, branch) => (cells[position] === Cell.done ? (cursors[position] as number) : takenArm(position, branch)),
    isVacant: (position) => passes.isVacant(position),
  })
  const { iterationOf, loopRecord, context } = view
  /** What a node waits for: itself, or the gate of a step. */
  const waitOf = (position: number): Plan.Wait => {
    const node = at(position)
    return (node._tag === "Step" ? node.gate : node) as Plan.Wait
  }
  const keyOf = (position: number): NodeKey => nodeKey(idAt(position), iterationOf(position))
  const recordOf = (position: number): RunState.StepRecord | undefined =>
    RunState.step(state, idAt(position), iterationOf(position))

  /** Rows that were read while it was decided about a node, by its own row, until an event says so. */
  const noted = new Map<NodeKey, Set<NodeKey>>()
  /** Whether a row is the node's own, or of what stands in a loop that looks at what it did: it goes on from there. */
  const isOwn = (position: number, key: NodeKey): boolean => {
    const target = plan.positions.get(placeOf(key).nodeId)
    if (target === undefined || target < position || target >= end(position)) return false
    return target > position || key === nodeKey(idAt(position), iterationOf(position))
  }
  const noteReads =
    (position: number): Plan.NoteRead =>
    ({ key }) => {
      if (key === undefined || isOwn(position, key)) return
      const reader = nodeKey(idAt(position), iterationOf(position))
      const known = noted.get(reader)
      if (known === undefined) noted.set(reader, new Set([key]))
      else known.add(key)
    }
  /** What a node has read so far, for the event that says so, where it is more than its record says. */
  const readsOf = (position: number): { readonly reads?: ReadonlyArray<NodeKey> } => {
    const node = at(position) as Plan.Step | Plan.Wait | Plan.Loop
    if (node.reads === undefined && noted.size === 0) return nothing
    const own = nodeKey(node.id, iterationOf(position))
    const before = (node._tag === "Loop" ? loopRecord(position) : recordOf(position))?.reads ?? []
    const reads = new Set(before)
    for (const key of noted.get(own) ?? []) reads.add(key)
    let drawn = 0
    for (const key of reads.has(RunState.allRows) ? [] : (node.reads?.(state) ?? [])) {
      if (isOwn(position, key)) continue
      if (drawn++ === mostReads) {
        reads.add(RunState.allRows)
        break
      }
      reads.add(key)
    }
    noted.delete(own)
    return reads.size === before.length ? nothing : { reads: [...reads].sort() }
  }

  /** Whether a condition holds. Throws where it gave what says nothing of that. */
  const holds = (position: number, given: unknown): boolean => {
    const late = Plan.untrue(given)
    if (late === undefined) return Boolean(given)
    const node = at(position)
    const nodeId = "id" in node ? node.id : `#${position}`
    throw new InvalidCondition({ nodeId, condition: predicates[node._tag], given: late })
  }
  /** Whether the `until` of a loop holds; `undefined` where it threw, and the loop has failed. */
  const isLoopOver = (position: number): boolean | undefined => {
    const { until } = loopAt(position)
    const made = loopRecord(position)?.passes ?? 0
    const output = made === 0 ? undefined : view.value(position + 1)
    return ask(position, () =>
      holds(position, until({ ...context(position), output, iteration: made }, state, noteReads(position))),
    )
  }

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
      const record = recordOf(position)
      if (record?.status === "waiting") close(record, "left-plan")
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
  const isPaused = (): boolean => state.pausedAt !== undefined && state.cancel === undefined
  /** While a run is paused its time stands still; it goes on for what a cancellation has begun. */
  const isTicking = (): boolean => state.pausedAt === undefined || isCancelled
  const walk = (): void => {
    do {
      while (work.length > 0 && !isStale && !isPaused() && events.length < eventsPerAdvance) {
        const item = work.pop() as number
        if (boundaries.isHalted(item >= 0 ? item : ~item)) {
          // It is kept, and nothing follows from it.
          if (item < 0) cells[~item] = Cell.idle
          continue
        }
        if (item >= 0) begin(item)
        else finish(~item)
      }
    } while (work.length === 0 && !isStale && !isPaused() && boundaries.unwind())
  }

  const begin = (position: number): void => {
    if (passes.isLeftOut(position)) return complete(position)
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
        return boundaries.begin(position, node)
    }
    let missing = 0
    for (const need of plan.needs(position)) {
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
    if (record?.status === "finished") {
      passes.recall(position)
      return complete(position)
    }
    if (record === undefined || record.passes === 0) return nextPass(position, node)
    if (passes.meet(position)) activate(position + 1)
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
        return retryLater(position, record.retryAt as Millis.Millis)
      case "waiting":
        if (step.gate !== undefined) return hold(position, step.gate)
        // Its gate was taken away while it was open.
        close(record, "left-plan")
        return enqueue(position)
      default: {
        const isNew = record === undefined || record.attempt === 0
        if (isNew && record?.approved === undefined && isLeftOut(position, step)) return
        if (step.gate !== undefined) return passGate(position, step.gate)
        enqueue(position)
      }
    }
  }
  const retryLater = (position: number, at: Millis.Millis): void => {
    cells[position] = Cell.retrying
    const key = keyOf(position)
    retries.push({ at, due: intervals.endOf(key, at), position, key })
  }
  /** Begins a step if what it asks for is what was approved. Of something else it is asked anew. */
  const passGate = (position: number, gate: Plan.Wait): void => {
    const approved = recordOf(position)?.approved
    if (approved === undefined) return hold(position, gate)
    const asked = ask(position, () => request(position, gate), asking[gate.on.kind])
    if (asked !== undefined) return asked.digest === approved ? enqueue(position) : hold(position, gate)
  }
  /** Whether a node is skipped, or its `skipIf` threw; then it is over. */
  const isLeftOut = (position: number, node: Plan.Step | Plan.Wait): boolean => {
    const { skipIf } = node
    if (skipIf === undefined) return false
    const isSkipped = ask(position, () => holds(position, skipIf(context(position), state, noteReads(position))))
    if (isSkipped !== true) return isSkipped === undefined
    emit({ _tag: "NodeSkipped", nodeId: node.id, iteration: iterationOf(position), ...readsOf(position) })
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
  /** Waits by what they have looked up for what they ask for: nodes, and tables (`/<table>`) that no node had given. */
  const askers = new Map<string, Set<number>>()
  /** Open waits that may ask for something else since an output has come that they had looked for. */
  const outdated = new Set<number>()
  const request = (position: number, node: Plan.Wait) => {
    const note = noteReads(position)
    return Waits.requestOf(node, context(position), now, state, iterationOf(position), (read) => {
      note(read)
      if (doesStand(node)) return
      const wanted = read.nodeId ?? `/${read.table}`
      const others = askers.get(wanted)
      if (others === undefined) askers.set(wanted, new Set([position]))
      else others.add(position)
    })
  }
  /** What a child run was started with stands, and so does a time. */
  const doesStand = ({ on: { kind } }: Plan.Wait): boolean => kind === "subflow" || kind === "timer"
  const outdate = ({ nodeId, table }: { readonly nodeId: NodeId; readonly table?: string | undefined }): void => {
    for (const wanted of [nodeId, `/${table}`]) {
      for (const position of askers.get(wanted) ?? []) if (held.has(position)) outdated.add(position)
    }
  }
  /** Has open waits say what they ask for by now. */
  const askAgain = (): void => {
    while (outdated.size > 0 && !isStale && !isPaused()) {
      for (const position of [...outdated].sort((left, right) => left - right)) {
        if (isStale) return
        settleWait(position)
        outdated.delete(position)
        walk()
      }
    }
  }
  const hold = (position: number, node: Plan.Wait): void => {
    held.delete(position)
    const iteration = iterationOf(position)
    const record = recordOf(position)
    const { kind } = node.on
    const begun = record?.status === "waiting" && record.wait?.kind === kind ? record.wait : undefined
    const kept = record?.status === "withdrawn" && record.kept?.kind === kind ? record.kept : undefined
    // What a child run was started with stands; of anything else it is asked again what it asks for.
    if (begun === undefined || kind !== "subflow") {
      const asked = kind === "subflow" && kept !== undefined ? kept : ask(position, () => request(position, node), asking[kind])
      if (asked === undefined) return
      if (begun === undefined || !Waits.isSame(begun, asked)) {
        const isKept = kept !== undefined && Waits.isSame(kept, asked)
        const limit = node.timeoutMs === undefined ? undefined : Millis.after(now, node.timeoutMs)
        // The time that a timer has begun with stands, too.
        const deadline = "due" in asked ? (isKept ? kept.deadline : asked.due) : limit
        const { request, digest, name, correlation } = asked
        const shown = { ...(request === undefined ? {} : { request }), ...(digest === undefined ? {} : { digest }) }
        const signal = { ...(name === undefined ? {} : { name }), ...(correlation === undefined ? {} : { correlation }) }
        const until = { ...(deadline === undefined ? {} : { deadline }), ...(isKept ? { isKept } : {}) }
        const about = { ...shown, ...signal, ...until, ...readsOf(position) }
        emit({ _tag: "WaitStarted", nodeId: node.id, iteration, kind, ...about })
      }
    }
    cells[position] = Cell.held
    held.add(position)
    watchTime(position)
    settleWait(position)
  }
  const watchTime = (position: number): void => {
    const { deadline } = recordOf(position)?.wait ?? {}
    if (deadline !== undefined) deadlines.push({ at: deadline, due: endOf(position, deadline), position, key: keyOf(position) })
  }
  /** When the time of a wait is over. A timer until a time of day goes by the clock, whatever becomes of that. */
  const endOf = (position: number, deadline: Millis.Millis): number => {
    const { on } = waitOf(position)
    return on.kind === "timer" && typeof on.due === "function" ? deadline : intervals.endOf(keyOf(position), deadline)
  }
  const settleWait = (position: number): void => {
    const node = waitOf(position)
    const iteration = iterationOf(position)
    const wait = recordOf(position)?.wait
    if (wait === undefined || cells[position] !== Cell.held) return
    // What was decided of something else does not count.
    if (outdated.delete(position)) return hold(position, node)
    const key = nodeKey(node.id, iteration)
    const isGate = at(position)._tag === "Step"
    const accept = (given: unknown): Accepted =>
      isGate ? { stored: undefined } : (options.accept?.(node, key, given) ?? { issues: ["there is nobody to check it"] })
    const isOver = isTicking() && wait.deadline !== undefined && endOf(position, wait.deadline) <= now
    const { refused, ending, isGivenUp } = Waits.judge(node, key, wait, state.signals, isOver, accept)
    if (isGivenUp === true && !cancelledChildren.has(position)) {
      cancelledChildren.add(position)
      interrupt(key, "cancelled")
    }
    for (const refusal of refused) emit({ ...refusal, nodeId: node.id, iteration })
    if (ending === undefined) return
    intervals.forget(key)
    held.delete(position)
    cells[position] = Cell.running
    const isPassed = isGate && ending.status === "finished"
    emit({
      _tag: "WaitEnded",
      nodeId: node.id,
      iteration,
      ...ending,
      ...(isPassed ? { status: "passed" } : {}),
      ...(doesStand(node) ? nothing : readsOf(position)),
    })
    if (isPassed) return enqueue(position)
    if (ending.status === "failed") fail(position, { _tag: "Error", error: ending.error as ErrorInfo })
    else complete(position)
  }
  const nextPass = (position: number, loop: Plan.Loop): void => {
    // An endless loop must let a cancellation through; what is done on the way out then goes on with its passes.
    if (state.cancel !== undefined && !isCancelled) {
      postponed.push(position)
      return
    }
    const iteration = iterationOf(position)
    const record = loopRecord(position)
    const made = record?.passes ?? 0
    const isOver = isLoopOver(position)
    if (isOver === undefined) return
    if (!isOver && passes.goOn(position)) return
    if (!isOver && made >= loop.maxIterations && loop.onMaxReached === "fail") {
      const isDefault = loop.isDefaultLimit === true ? { isDefault: true } : nothing
      return fail(position, { _tag: "LoopLimit", maxIterations: loop.maxIterations, ...isDefault })
    }
    if (isOver || made >= loop.maxIterations) {
      emit({ _tag: "LoopFinished", nodeId: loop.id, iteration, reason: isOver ? "until" : "maxIterations", ...readsOf(position) })
      return complete(position)
    }
    const base = record?.base ?? loopPasses(loop.id)
    emit({ _tag: "LoopAdvanced", nodeId: loop.id, iteration, base, pass: made, ...readsOf(position) })
    cells.fill(Cell.idle, position + 1, end(position))
    // What was left unfinished in a pass is past with it.
    mayHaveLeft ||= HashSet.size(state.unfinished) > 0
    passes.begin(position)
    if (isStale || passes.meet(position)) activate(position + 1)
  }
  const loopPasses = (nodeId: NodeId): number => {
    const found = HashMap.get(state.loopPasses, nodeId)
    return found._tag === "Some" ? found.value : 0
  }

  const finish = (position: number): void => {
    cells[position] = Cell.done
    if (boundaries.finishUndoing(position)) return
    const waiting = plan.dependents.get(position)
    if (waiting !== undefined) {
      for (const dependent of waiting) {
        if (cells[dependent] !== Cell.waiting) continue
        const missing = (waitingFor[dependent] as number) - 1
        waitingFor[dependent] = missing
        if (missing === 0) proceed(dependent)
      }
    }
    const up = parent(position)
    if (up < 0) return
    const around = at(up)
    switch (around._tag) {
      case "Sequence": {
        const next = end(position)
        cursors[up] = next
        return next < end(up) ? activate(next) : complete(up)
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
        return boundaries.finishPart(up, around)
    }
    complete(up)
  }

  const interrupt = (key: NodeKey, reason: Boundaries.Reason): void => {
    if (!interrupts.some((known) => known.key === key)) interrupts.push({ key, reason })
  }
  const passes: Passes.Passes = Passes.make({
    plan,
    before: options.before,
    view,
    state: () => state,
    emit,
    isOver: isLoopOver,
    readsOf,
    fail: (position, nodeIds) => fail(position, { _tag: "EndlessPass", nodeIds }),
    again: (position) => {
      cells.fill(Cell.idle, position + 1, end(position))
      activate(position + 1)
    },
  })
  const boundaries = Boundaries.make({
    plan,
    view,
    cells,
    held,
    orphans,
    state: () => state,
    emit,
    onHalt: () => {
      mayHaveLeft = true
    },
    activate,
    complete,
    startCompensation: (position) => proceedStep(position, stepAt(position)),
    settleWait,
    interrupt,
  })

  // Withdrawing. What waits in the state and not here has left the plan, or the part that it is in was given up.
  let mayHaveLeft = true
  const close = ({ nodeId, iteration, status }: RunState.StepRecord, reason: Withdrawal): void => {
    const isKept = status === "waiting" && reason === "given-up" && boundaries.isRunHalted()
    emit({ _tag: "NodeWithdrawn", nodeId, iteration, reason, ...(isKept ? { isKept } : {}) })
  }
  const withdraw = (): void => {
    if (!mayHaveLeft || isStale || (work.length > 0 && !isPaused())) return
    // While the run is paused, nothing has been come to that the plan does have.
    mayHaveLeft = isPaused()
    for (const key of state.unfinished) {
      const record = HashMap.unsafeGet(state.nodes, key) as RunState.StepRecord
      const reason = reasonToWithdraw(record)
      if (reason !== undefined) close(record, reason)
    }
  }
  const reasonToWithdraw = (record: RunState.StepRecord): Withdrawal | undefined => {
    const { nodeId, iteration, status, wait } = record
    // A child run is awaited like an attempt in flight.
    if (status === "waiting" && wait?.kind === "subflow" && wait.child === undefined) return undefined
    const position = plan.positions.get(nodeId)
    if (position === undefined) return "left-plan"
    // What undoes a step is not in the tree, and is called for by its saga.
    if (position >= plan.size) return undefined
    const around = plan.loopOf(position)
    const rows = around < 0 ? 1 : loopPasses(idAt(around))
    if (iteration !== iterationOf(position) && (around < 0 || iteration < rows)) return "superseded"
    if (status === "interrupted" || isPaused()) return undefined
    const cell = cells[position]
    if (status === "waiting" ? cell === Cell.held : cell === Cell.retrying || cell === Cell.ready) return undefined
    return boundaries.isHalted(position) ? "given-up" : "left-plan"
  }

  // Failing. A failure goes outwards to the first boundary that catches it, or to the run. Nothing more starts inside, what is in flight
  // is awaited and kept, and the boundaries on the way are left from the inside out.
  const fail = (position: number, reason: FailureCause["reason"]): void => {
    cells[position] = Cell.failed
    if (boundaries.finishUndoing(position)) return
    // A second failure beside the first changes nothing.
    if (boundaries.isHalted(position)) return
    const node = at(position)
    boundaries.propagate(position, { nodeId: "id" in node ? node.id : `#${position}`, iteration: iterationOf(position), reason })
  }
  const enqueue = (position: number): void => {
    cells[position] = Cell.ready
    if (options.admit !== undefined && Suspects.isSuspect(recordOf(position))) heldBack.push(position)
    else groups.enqueue(position)
  }
  /** Ready steps that may begin when they are admitted. */
  let heldBack: Array<number> = []
  const begun = (position: number): Start => {
    const step = stepAt(position)
    const iteration = iterationOf(position)
    const attempt = (RunState.step(state, step.id, iteration)?.attempt ?? 0) + 1
    cells[position] = Cell.running
    groups.occupy(position, 1)
    emit({ _tag: "AttemptStarted", nodeId: step.id, iteration, attempt, ...readsOf(position) })
    return { position, step, iteration, attempt }
  }
  /** Begins what is admitted of the steps that are suspected, the likeliest first: then it is soon known of the others that they are innocent. */
  const startSuspects = (): Array<Start> => {
    const starts: Array<Start> = []
    const ready = [...new Set(heldBack)].filter((position) => cells[position] === Cell.ready)
    const crashes = (position: number): number => recordOf(position)?.interruptions ?? 0
    heldBack = []
    for (const position of ready.sort((left, right) => crashes(right) - crashes(left) || left - right)) {
      if (groups.hasRoom(position) && options.admit?.(keyOf(position)) === true) starts.push(begun(position))
      else heldBack.push(position)
    }
    return starts
  }
  const startReady = (): Array<Start> => {
    if (isPaused()) return []
    const starts = heldBack.length > 0 ? startSuspects() : []
    for (let position = groups.take(); position !== undefined; position = groups.take()) {
      // It may have been halted since, or enqueued once more.
      if (cells[position] === Cell.ready) starts.push(begun(position))
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
      else mayHaveLeft = true
      return
    }
    if (event._tag === "DeadlineMoved") {
      const position = plan.positions.get(event.nodeId)
      if (position !== undefined && cells[position] === Cell.held && iterationOf(position) === event.iteration) watchTime(position)
      return
    }
    if (!(event._tag === "AttemptSucceeded" || event._tag === "AttemptFailed" || event._tag === "AttemptInterrupted")) return
    if (event._tag === "AttemptSucceeded" && askers.size > 0) outdate(event)
    const position = plan.positions.get(event.nodeId)
    if (position === undefined || cells[position] !== Cell.running || iterationOf(position) !== event.iteration) {
      mayHaveLeft = true
      if (orphans.delete(nodeKey(event.nodeId, event.iteration))) groups.occupy(position ?? -1, -1)
      return
    }
    groups.occupy(position, -1)
    if (boundaries.isHalted(position)) {
      // It is kept, and nothing follows from it.
      mayHaveLeft = true
      const isFailed = event._tag === "AttemptFailed" && event.retryAt === undefined && event.soft !== true
      cells[position] = event._tag === "AttemptSucceeded" ? Cell.done : isFailed ? Cell.failed : Cell.idle
    } else if (event._tag === "AttemptSucceeded") complete(position)
    else if (event._tag === "AttemptInterrupted") enqueue(position)
    else if (event.retryAt !== undefined) {
      retryLater(position, event.retryAt)
    } else if (event.soft === true) complete(position)
    else fail(position, { _tag: "Error", error: event.error })
  }

  const isOver = ({ position, at }: Timed): boolean => cells[position] !== Cell.held || recordOf(position)?.wait?.deadline !== at
  const isOutdated = ({ position }: Timed): boolean => cells[position] !== Cell.retrying

  let hasBegun = false
  const beginWalk = (): void => {
    hasBegun = true
    const addOrphan = (key: NodeKey): void => {
      orphans.add(key)
      groups.occupy(plan.positions.get(placeOf(key).nodeId) ?? -1, 1)
    }
    if (options.running !== undefined) for (const key of options.running()) addOrphan(key)
    if (options.running === undefined)
      HashMap.forEach(state.nodes, (record, key) => {
        if (record.kind === "step" && record.status === "running" && !orphans.has(key)) addOrphan(key)
      })
    passes.note()
    boundaries.meetFailure()
    activate(0)
    walk()
    boundaries.interruptBeside()
  }
  /** What a cancellation comes to: everything is left at once, by way of the boundaries. */
  const cancelAll = (): void => {
    isCancelled = true
    boundaries.haltRun(undefined)
    for (const position of postponed) if (!boundaries.isHalted(position)) nextPass(position, loopAt(position))
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
    for (; due !== undefined && (isOutdated(due) || due.due <= now); due = retries.peek()) {
      retries.pop()
      intervals.forget(due.key)
      if (!isOutdated(due)) enqueue(due.position)
    }
    for (let end = deadlines.peek(); end !== undefined && !isStale && (isOver(end) || (isTicking() && end.due <= now)); ) {
      deadlines.pop()
      if (!isOver(end)) settleWait(end.position)
      walk()
      end = deadlines.peek()
    }
    askAgain()
    if (state.cancel !== undefined && !isCancelled && work.length === 0 && !isStale && cells[0] !== Cell.done) cancelAll()
    withdraw()
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
    withdraw()
    const wakeAt = nextTime()
    const isIdle = groups.running() === 0 && work.length === 0 && heldBack.length === 0
    const outcome = isIdle ? ending() : undefined
    const rests = isPaused() && groups.running() === 0 && outcome === undefined
    const isWaiting =
      isIdle && outcome === undefined && !rests && (retries.peek()?.due ?? Number.POSITIVE_INFINITY) > now + patienceMs
    return { state, events, starts, wakeAt, waiting: isWaiting ? openWaits() : [], isPaused: rests, outcome }
  }
  const nextTime = (): number | undefined => {
    if (isPaused()) return undefined
    const [retry, deadline] = [retries.peek()?.due, deadlines.peek()?.due]
    return retry === undefined || deadline === undefined ? (retry ?? deadline) : Math.min(retry, deadline)
  }
  /** Reads that the plan was made without, but those of what is left out of a loop's pass. */
  const wantedReads = (): ReadonlyArray<Plan.PendingRead> =>
    plan.pending.filter(({ nodeId }) => nodeId === undefined || !passes.isVacant(plan.positions.get(nodeId) ?? -1))
  /** Nothing is left to go on, and the plan was made without what it reads. */
  const isStuck = (): boolean =>
    (!boundaries.isRunHalted() || boundaries.isAnyOpen()) &&
    plan.pending.length > 0 &&
    groups.running() === 0 &&
    heldBack.length === 0 &&
    work.length === 0 &&
    held.size === 0 &&
    retries.size() === 0 &&
    !isPaused()
  /** Fails what waits for a read that will not come: the run or, where that has failed, what a boundary does on the way out. */
  const giveUp = (): boolean => {
    const isHalted = boundaries.isRunHalted()
    const position = isHalted ? cells.findIndex((cell, inside) => cell === Cell.waiting && !boundaries.isHalted(inside)) : -1
    const wanted = cells[0] === Cell.done ? wantedReads() : plan.pending
    const [read] = isHalted ? ((at(position) as Plan.Sequence | undefined)?.pending ?? []) : wanted
    if (read === undefined) return false
    const { nodeId, table } = read
    const named = { ...(nodeId === undefined ? {} : { nodeId }), ...(table === undefined ? {} : { table }) }
    const cause: FailureCause = { nodeId: nodeId ?? table ?? "", iteration: 0, reason: { _tag: "Unsettled", read: named } }
    if (isHalted) {
      cells[position] = Cell.failed
      boundaries.propagate(position, cause)
    } else boundaries.haltRun(cause)
    walk()
    return true
  }
  const openWaits = (): ReadonlyArray<Waiting> => {
    const retried = new Set(retries.items().flatMap((due) => (isOutdated(due) ? [] : [due.position])))
    return [...held, ...retried]
      .sort((left, right) => left - right)
      .map((position) => {
        if (retried.has(position)) {
          const { nodeId, iteration, retryAt } = recordOf(position) as RunState.StepRecord
          return { nodeId, iteration, kind: "retry", deadline: retryAt }
        }
        const { id, on } = waitOf(position)
        const { deadline, name } = recordOf(position)?.wait ?? {}
        const child = on.kind === "subflow" && name !== undefined ? { childRunId: name } : {}
        return { nodeId: id, iteration: iterationOf(position), kind: on.kind, deadline, ...child }
      })
  }
  const ending = (): Outcome | undefined => {
    if (cells[0] === Cell.done && wantedReads().length === 0) return finished
    if (!boundaries.isRunHalted() || boundaries.isAnyOpen() || held.size > 0) return undefined
    const failure = boundaries.failure()
    if (state.cancel !== undefined) return { _tag: "Cancelled" }
    return failure && { _tag: "Failed", ...failure }
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
    source: view.source,
    pass: view.passOf,
    active: () => ({ ready: idsIn(Cell.ready), running: idsIn(Cell.running), retrying: idsIn(Cell.retrying) }),
  }
}

/** Rows named one by one that a node may have been drawn with: more than people read in one component, and half a kilobyte. */
const mostReads = 32

const finished = { _tag: "Finished" } as const

const nothing = {}

const predicates = {
  Step: "skipIf",
  Branch: "when",
  Loop: "until",
  Wait: "skipIf",
  Sequence: "",
  Parallel: "",
  Saga: "",
  TryCatch: "",
}

/** What a wait asks its author. */
const asking = { approval: "request", human: "prompt", signal: "correlation", subflow: "input", timer: "until" }

const predicateError = (name: string, thrown: unknown): ErrorInfo => {
  const raised = { ...Raised.describe(thrown), retryable: false, notRetried: "plan" } as const
  if (thrown instanceof InvalidRequest || thrown instanceof InvalidCondition) return raised
  return { ...raised, message: `its "${name}" threw: ${raised.message}` }
}
