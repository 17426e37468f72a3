/**
 * Decides the next actions, given a plan and a state. Pure functions, no Effect. {@link decide} is the definition: a walk over
 * the whole plan. {@link Schedule} is the same function kept up to date event by event, so that a frame costs as much as its
 * changes. Both share their code: `decide` is a fresh schedule, settled once.
 *
 * A schedule holds one phase per node of the plan, and an agenda: the checks, starts and completions to do, and the items due
 * later. One loop drains it. The other parts have modules of their own: attempts (`internal/starts`), open waits
 * (`internal/openWaits`), boundaries, passes of loops, conditions, reads, and withdrawals.
 */

import type { Json, SharedValue } from "./Codec.ts"
import { type NodeId, type NodeKey, nodeKey } from "./Ids.ts"
import * as Agenda from "./internal/agenda.ts"
import * as Boundaries from "./internal/boundaries.ts"
import * as Conditions from "./internal/conditions.ts"
import type * as Intervals from "./internal/intervals.ts"
import * as Journal from "./internal/journal.ts"
import type { Rest } from "./internal/limited.ts"
import * as OpenWaits from "./internal/openWaits.ts"
import * as Passes from "./internal/passes.ts"
import { Phase } from "./internal/phase.ts"
import * as Places from "./internal/places.ts"
import * as ReadTracker from "./internal/readTracker.ts"
import * as Regions from "./internal/regions.ts"
import * as Starts from "./internal/starts.ts"
import * as View from "./internal/view.ts"
import type { Accepted, EncodeInput } from "./internal/waits.ts"
import * as Withdrawals from "./internal/withdrawals.ts"
import type * as Millis from "./Millis.ts"
import * as Plan from "./Plan.ts"
import type * as Records from "./Records.ts"
import type { FailureCause, OutputSource, RunEvent } from "./RunEvent.ts"
import type { Waiting } from "./RunResult.ts"
import type * as RunState from "./RunState.ts"
import { defined } from "./Struct.ts"

/**
 * Decoded values that predicates and steps read. Outputs are keyed like the records of the state. Each read may return another
 * copy.
 */
export interface Values {
  readonly input: unknown
  readonly outputs: Pick<ReadonlyMap<NodeKey, unknown>, "get" | "has">
}

/** Decoded values of a run. */
export const valuesOf = (input: SharedValue, outputs: Values["outputs"]): Values => ({
  get input() {
    return input.give()
  },
  outputs,
})

/** A failure that nothing in the plan tolerates or catches. */
export interface Failed extends FailureCause {
  readonly status: "failed"
}

/** The end of a run: nothing is in flight, and all boundaries have ended. */
export type Outcome = { readonly status: "finished" } | { readonly status: "cancelled" } | Failed

/** Consequences of events by the plan alone, before anything starts. */
export interface Consequences {
  /** The state with `events` folded in. */
  readonly state: RunState.RunState
  /** Skips, loop passes and failed predicates. */
  readonly events: ReadonlyArray<RunEvent>
  readonly interrupts: ReadonlyArray<Journal.Interrupt>
  /** `true` if more follows from the same events: advance again, without events. */
  readonly isPartial: boolean
  /** `true` if the last event may have changed the plan, so that nothing more was derived from this one. */
  readonly isStale: boolean
}

/**
 * Most events of one `advance`, not counting ends of waits, which end once. A loop whose passes run nothing could otherwise
 * keep its run from being committed or cancelled.
 */
const eventsPerAdvance = 1000

export interface Decision {
  /** The state with `events` folded in. */
  readonly state: RunState.RunState
  /** The `AttemptStarted` of each start. */
  readonly events: ReadonlyArray<RunEvent>
  readonly starts: ReadonlyArray<Starts.Start>
  /** Epoch ms, by the current clock, of the next retry, timer or deadline. */
  readonly wakeAt: number | undefined
  /** Waits and retries of the run, in document order, if it can do nothing else; otherwise empty. */
  readonly waiting: ReadonlyArray<Waiting>
  /** `true` if the run is idle because it is paused. */
  readonly isPaused: boolean
  readonly outcome: Outcome | undefined
  /** `true` if more follows: advance again, without events. */
  readonly isPartial: boolean
  /** Something is ready and waits for the slot of a child run. */
  readonly isShort: boolean
}

export interface Schedule {
  /** Looks again at whether a child run rests. */
  readonly noteRest: (key: NodeKey) => void
  /** Takes events that are already folded into `state`, and derives their consequences at `now`. */
  readonly advance: (state: RunState.RunState, events: ReadonlyArray<RunEvent>, now: Millis.Millis) => Consequences
  /** Decides what to start or to wait for, after `advance`. */
  readonly next: () => Decision
  /** The needs of a step in its current iteration, by name; `missing` names one without a value. */
  readonly needs: (position: number) => { readonly values: Record<string, unknown>; readonly missing: string | undefined }
  /** The value of a node: its output, its last child's, a tuple, the taken arm's, or the last pass's. */
  readonly value: (position: number) => unknown
  /** The value in encoded form. */
  readonly stored: (position: number) => Json | undefined
  /** The rows of the value. */
  readonly source: (position: number) => OutputSource | undefined
  /** The pass of a node, counted from 0 in its innermost loop; 0 outside loops. */
  readonly pass: (position: number) => number
  /**
   * Ids of the steps that are ready or parked, running, and waiting to retry: two schedules of one state must agree on them.
   * Parked steps are known only once a slot is free.
   */
  readonly active: () => { readonly ready: Array<NodeId>; readonly running: Array<NodeId>; readonly retrying: Array<NodeId> }
}

export interface ScheduleOptions {
  /** The previous render, if the plan is rendered while the run proceeds: it shows which nodes of a pass are new. */
  readonly before?: Plan.PlanOutline
  /** Most attempts in flight, and attached child runs at work, at once. */
  readonly maxConcurrency: number
  /** The generation of the code. Default: the one that the run began with. */
  readonly codeGeneration?: number | undefined
  /** Child runs that rest, by the nodes that started them; `noteRest` reports each change. Default: none. */
  readonly resting?: ReadonlySet<NodeKey>
  /** Receives the events of the plan itself. Returns `true` for one that may change the plan, which halts the schedule. */
  readonly observe?: (event: RunEvent) => boolean
  /** Measures intervals within this process. Default: by the clock alone. */
  readonly intervals?: Pick<Intervals.Intervals, "endOf" | "forget">
  /** The attempts in flight. Default: found by a search through all records. */
  readonly running?: () => Iterable<NodeKey>
  /** Admits a step that is suspected of killing its process; called again at each `next`. Default: admits all. */
  readonly admit?: (key: NodeKey) => boolean
  /** A recording to follow: steps, child runs, and waits in groups with a limit begin as it has them begin, and not by slots and places. */
  readonly follows?: {
    /** Tells whether a ready step or child run begins now. */
    readonly begins: (key: NodeKey) => boolean
    /** Tells whether a wait, or the gate of a step, opens now. */
    readonly opens: (key: NodeKey) => boolean
  }
  /** Admits an attempt at a step with a limit, once it holds a slot; called again at each `next`. Default: admits all. */
  readonly grant?: (start: Starts.Start, left: number) => boolean
  /** The waits for slots that the run rests on; `undefined` if a step may soon have one. Called at each `next` that finds nothing to do. Default: none. */
  readonly queued?: () => Rest | undefined
  /** Encodes the input of the run that this one goes on as. Default: as JSON. */
  readonly encodeInput?: EncodeInput
  /** Validates input for a wait, and keeps it as the node's output. Returns its encoded form. */
  readonly accept?: (wait: Plan.Wait, key: NodeKey, value: unknown) => Accepted
}

export type { Interrupt } from "./internal/journal.ts"
export type { Start } from "./internal/starts.ts"
export type { Accepted, EncodeInput } from "./internal/waits.ts"

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
  const events: Array<RunEvent> = []
  for (let from = state; ; ) {
    const consequences = schedule.advance(from, [], now)
    for (const event of consequences.events) events.push(event)
    from = consequences.state
    if (consequences.isPartial) continue
    const decision = schedule.next()
    for (const event of decision.events) events.push(event)
    from = decision.state
    if (!decision.isPartial) return { ...consequences, ...decision, events }
  }
}

/**
 * Longest time (ms) that a run waits in place for the next attempt of a step. A retry that is due later is a wait like any
 * other, and the run is released. After a short pause a release would only cost a second claim. The pauses of the default
 * policy are shorter.
 */
export const patienceMs = 10_000

/** More needs than any node has: provisional nodes do not start when a need is met. */
const unreachable = 0x7fff_ffff

/**
 * Builds the schedule of a plan. Its first `advance` takes the state as it is and visits only active nodes, not those inside
 * finished loops or other arms. Later ones visit the nodes that the events touch.
 */
export const make = (plan: Plan.Plan, values: Values, options: ScheduleOptions): Schedule => {
  const { node: at, parent, end } = plan
  const phases = new Uint8Array(plan.nodes.length)
  /**
   * Sequence: position of the current child. Parallel: number of children not done. Branch: position of the taken arm, -1 for
   * none.
   */
  const cursors = new Int32Array(plan.nodes.length)
  const unmetNeeds = new Int32Array(plan.nodes.length)
  const intervals = options.intervals ?? byTheClock
  let isCancelled = false
  /** Loops that reached their next pass after a cancellation arrived and before it was carried out. */
  const postponed: Array<number> = []

  const journal = Journal.make((event) => {
    if (event._tag === "WaitEnded" || event._tag === "NodeSkipped" || event._tag === "NodeFailed") regions.touch(event)
    return options.observe?.(event) === true
  })
  const { state, emit, isPaused } = journal
  /** `false` while the run is paused, when deadlines do not pass, unless a cancellation is carried out. */
  const isTicking = (): boolean => state().pausedAt === undefined || isCancelled
  const view = View.make({
    plan,
    values,
    state,
    armOf: (position, branch) => (phases[position] === Phase.done ? (cursors[position] ?? -1) : takenArm(position, branch)),
    isVacant: (position) => passes.isVacant(position),
    isKept: (item) => regions.isKept(item),
  })
  const { iterationOf, keyOf, loopRecord, stepRecord } = view
  /** The time that a node currently waits for. */
  const timeOf = (position: number): Millis.Millis | undefined => {
    if (phases[position] === Phase.retrying) return stepRecord(position)?.retryAt
    return phases[position] === Phase.waiting ? stepRecord(position)?.wait?.deadline : undefined
  }
  const agenda = Agenda.make({ timeOf, rankOf: (position) => openWaits.rankOf(position) }, intervals)
  const { begin: activate, complete } = agenda
  const fail = (position: number, reason: FailureCause["reason"]): void => {
    phases[position] = Phase.failed
    if (boundaries.finishUndoing(position)) return
    // A second failure beside the first changes nothing.
    if (boundaries.isHalted(position)) return
    boundaries.propagateFailure(position, { nodeId: view.nameOf(position), iteration: iterationOf(position), reason })
  }
  const reads = ReadTracker.make(plan, view, state)
  const withdrawals = Withdrawals.make({
    plan,
    view,
    phases,
    journal,
    agenda,
    isHalted: (position) => boundaries.isHalted(position),
    isRunHalted: () => boundaries.isRunHalted(),
    isLeft: (position) => boundaries.isLeft(position),
    armOf: (branch) => cursors[branch] ?? -1,
  })
  const conditions = Conditions.make({ plan, view, journal, agenda, reads, withdrawals, fail })
  const { maxConcurrency, admit, grant, accept } = options
  const { follows } = options
  const places =
    follows === undefined
      ? Places.make({ plan, view, phases, resume: activate })
      : Places.following({ plan, view, phases, resume: activate, opens: follows.opens })
  const starts = Starts.make({
    plan,
    view,
    phases,
    journal,
    reads,
    maxConcurrency,
    codeGeneration: options.codeGeneration,
    resting: options.resting ?? new Set(),
    strays: withdrawals.strays,
    place: places.admit,
    openChild: (position) => {
      const node = at(position)
      if (node._tag === "Wait" && mayAsk(position)) openWaits.openWait(position, node)
    },
    admit: follows === undefined ? admit : follows.begins,
    admitsEach: follows !== undefined,
    grant,
  })
  const openWaits = OpenWaits.make({
    plan,
    view,
    phases,
    journal,
    agenda,
    reads,
    evaluate: conditions.evaluate,
    intervals,
    isTicking,
    accept,
    encodeInput: options.encodeInput,
    enqueue: starts.enqueue,
    countChild: starts.countChild,
    fail: (position, error) => fail(position, { _tag: "Error", error }),
    isLeft: (position) => boundaries.isLeft(position),
    withdrawals,
  })
  const regions = Regions.make({
    plan,
    view,
    phases,
    cursors,
    journal,
    agenda,
    reads,
    conditions,
    places,
    boundaries: () => boundaries,
    fail,
    finish: (position) => {
      if (!boundaries.isHalted(position)) finish(position)
    },
  })
  const boundaries: Boundaries.Boundaries = Boundaries.make({
    plan,
    view,
    phases,
    journal,
    agenda,
    conditions,
    openWaits,
    starts,
    withdrawals,
    leavingOf: regions.leavingOf,
    goOnBeside: regions.goOnBeside,
  })
  const passes: Passes.Passes = Passes.make({
    plan,
    before: options.before,
    view,
    state,
    emit,
    isOver: conditions.isLoopOver,
    readsOf: reads.readsOf,
    fail: (position, nodeIds) => fail(position, { _tag: "EndlessPass", nodeIds }),
    again: (position) => {
      phases.fill(Phase.idle, position + 1, end(position))
      activate(position + 1)
    },
  })

  // The walk. It queues the nodes that it reaches, and `run` performs them.
  const mayWalk = (): boolean => !isPaused() && journal.made() < eventsPerAdvance
  /** Drains the agenda and unwinds boundaries until nothing is left, or the plan may have changed. */
  const run = (): void => {
    while (!journal.isStale()) {
      const item = agenda.next(mayWalk())
      if (item !== undefined) perform(item)
      else if (agenda.isWalking() || isPaused() || !boundaries.unwind()) return
    }
  }
  const perform = ({ position, do: what }: Agenda.Item): void => {
    if (what === "checkWait") return openWaits.evaluateWait(position)
    // An earlier item may have given it up.
    if (what === "retry") return phases[position] === Phase.retrying ? starts.enqueue(position) : undefined
    if (what === "settle") return regions.settle(position)
    // A paused run carries it out once it goes on.
    if (what === "leave") return isPaused() ? agenda.settle(position) : regions.leaveAsRequested(position)
    if (!boundaries.isHalted(position)) return what === "begin" ? begin(position) : finish(position)
    // It is kept, and nothing follows from it.
    if (what === "complete") phases[position] = Phase.idle
  }

  const begin = (position: number): void => {
    if (passes.isOmitted(position)) return complete(position)
    const node = at(position)
    if (Plan.isProvisional(node)) {
      phases[position] = Phase.blocked
      unmetNeeds[position] = unreachable
      return
    }
    switch (node._tag) {
      case "Sequence": {
        phases[position] = Phase.running
        if (node.children.length === 0) return complete(position)
        cursors[position] = position + 1
        return activate(position + 1)
      }
      case "Parallel": {
        phases[position] = Phase.running
        places.open(position)
        const inside = View.childPositions(plan, position)
        cursors[position] = inside.length
        if (inside.length === 0) return complete(position)
        return inside.reverse().forEach(activate)
      }
      case "Race":
        return regions.begin(position, node)
      case "Scope":
      case "Saga":
      case "TryCatch":
        return boundaries.begin(position, node)
    }
    let unmet = 0
    for (const { gate, isLive } of plan.needs(position)) if (!isLive && gate >= 0 && phases[gate] !== Phase.done) unmet++
    unmetNeeds[position] = unmet
    if (unmet > 0) phases[position] = Phase.blocked
    else proceed(position)
  }

  const proceed = (position: number): void => {
    const node = at(position)
    phases[position] = Phase.running
    if (node._tag === "Step") return proceedStep(position, node)
    if (node._tag === "Wait") return proceedWait(position, node)
    if (node._tag === "ForEach") {
      if (conditions.evaluate(position, () => Regions.checkItems(plan.id(parent(position)), node), "items") !== undefined)
        regions.begin(position, node)
      return
    }
    if (node._tag === "Branch") {
      const index = conditions.chosen(position, node)
      if (index === undefined) return
      const arm = armAt(position, index)
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
  /** The position of an arm of a branch; -1 for none. */
  const armAt = (position: number, index: number): number => {
    if (index < 0) return -1
    let arm = position + 1
    for (let before = 0; before < index; before++) arm = end(arm)
    return arm
  }
  const takenArm = (position: number, branch: Plan.Branch): number => armAt(position, conditions.choose(position, branch))

  const proceedStep = (position: number, step: Plan.Step): void => {
    const record = stepRecord(position)
    switch (record?.status) {
      case "finished":
      case "skipped":
        return complete(position)
      case "failed":
        if (record.isSoft === true) return complete(position)
        return fail(position, { _tag: "Error", error: View.errorOf(record) })
      case "running":
        return starts.claimOrphan(keyOf(position))
      case "retrying":
        return retryLater(position, record.retryAt ?? journal.now())
      case "waiting":
        if (record.wait?.isOfAttempt === true) return openWaits.goOn(position)
        if (step.gate !== undefined) return openWaits.openWait(position, step.gate)
        // Its gate was removed while it was open.
        withdrawals.close(record, "left-plan")
        return starts.enqueue(position)
      default: {
        // One that was reset may be given something else than before.
        const isNew = record === undefined || record.attempt === record.budgetAfter
        if (isNew && record?.approved === undefined && conditions.isSkipped(position, step)) return
        if (step.gate !== undefined) return mayAsk(position) ? openWaits.checkGate(position, step.gate) : undefined
        starts.enqueue(position)
      }
    }
  }
  const retryLater = (position: number, at: Millis.Millis): void => {
    phases[position] = Phase.retrying
    const key = keyOf(position)
    agenda.schedule({ do: "retry", position, key, at, due: intervals.endOf(key, at) })
  }
  const proceedWait = (position: number, node: Plan.Wait): void => {
    const record = stepRecord(position)
    if (record?.status === "finished" || record?.status === "skipped") return complete(position)
    if (record?.status === "failed") return fail(position, { _tag: "Error", error: View.errorOf(record) })
    if (record?.status !== "waiting" && conditions.isSkipped(position, node)) return
    if (record?.status === "waiting") return openWaits.openWait(position, node)
    if (Plan.isAttachedChild(node)) return starts.enqueue(position)
    if (mayAsk(position)) openWaits.openWait(position, node)
  }
  /** Tells whether a wait may open. A pending cancellation would only close it again, except on the way out. */
  const mayAsk = (position: number): boolean => {
    if (state().cancel === undefined || isCancelled || isOnWayOut(position)) return places.admit(position)
    phases[position] = Phase.idle
    return false
  }
  const isOnWayOut = (position: number): boolean => {
    for (let inner = position, up = position < plan.size ? parent(position) : -1; up >= 0; inner = up, up = parent(up)) {
      const node = at(up)
      if (node._tag === "TryCatch" && Plan.tryParts(plan, up, node).finally === inner) return true
    }
    return position >= plan.size
  }
  const nextPass = (position: number, loop: Plan.Loop): void => {
    // An endless loop must let a cancellation through; its passes on the way out continue afterwards.
    if (state().cancel !== undefined && !isCancelled) {
      postponed.push(position)
      return
    }
    const iteration = iterationOf(position)
    const record = loopRecord(position)
    const made = record?.passes ?? 0
    const isOver = conditions.isLoopOver(position)
    if (isOver === undefined) return
    if (!isOver && passes.goOn(position)) return
    if (!isOver && made >= loop.maxIterations && loop.onMaxReached === "fail") {
      const isDefault = loop.isDefaultLimit === true ? { isDefault: true } : {}
      return fail(position, { _tag: "LoopLimit", maxIterations: loop.maxIterations, ...isDefault })
    }
    const nodeId = loop.id
    if (isOver || made >= loop.maxIterations) {
      const reason = isOver ? "until" : "maxIterations"
      emit({ _tag: "LoopFinished", nodeId, iteration, reason, ...reads.readsOf(position) })
      return complete(position)
    }
    // Of several that were reset at once, each begins after the rows of those that have begun since.
    const base = record === undefined || made === 0 ? view.passesOf(position) : record.base
    emit({ _tag: "LoopAdvanced", nodeId, iteration, base, pass: made, ...reads.readsOf(position) })
    phases.fill(Phase.idle, position + 1, end(position))
    // Unfinished nodes of a pass end with it.
    if (state().unfinished.size > 0) withdrawals.request()
    passes.begin(position)
    if (journal.isStale() || passes.meet(position)) activate(position + 1)
  }

  const finish = (position: number): void => {
    phases[position] = Phase.done
    if (boundaries.finishUndoing(position)) return
    for (const dependent of plan.dependents.get(position) ?? none) {
      if (phases[dependent] !== Phase.blocked) {
        // The node that kept a list open has ended.
        if (at(dependent)._tag === "ForEach") agenda.settle(dependent)
        continue
      }
      const unmet = (unmetNeeds[dependent] ?? 0) - 1
      unmetNeeds[dependent] = unmet
      if (unmet === 0) proceed(dependent)
    }
    const up = parent(position)
    if (up < 0) return
    const around = at(up)
    // Nodes that continue beside it do not outlive the region around it.
    if ((around._tag === "Loop" || Plan.isBoundary(around)) && regions.isHeld(position)) return
    switch (around._tag) {
      case "Sequence": {
        const next = end(position)
        cursors[up] = next
        return next < end(up) ? activate(next) : complete(up)
      }
      case "Parallel": {
        const left = (cursors[up] ?? 0) - 1
        cursors[up] = left
        places.release(position)
        return left === 0 ? complete(up) : undefined
      }
      case "Race":
      case "ForEach":
        return regions.finishPart(up, position)
      case "Loop":
        return nextPass(up, around)
      case "Scope":
      case "Saga":
      case "TryCatch":
        return boundaries.finishPart(up, around, position)
    }
    complete(up)
  }

  // Incoming events.
  const absorb = (event: RunEvent): void => {
    switch (event._tag) {
      case "SignalReceived":
        return openWaits.positions().forEach(agenda.checkWait)
      case "ApprovalDecided":
      case "TaskAnswered":
      case "SubflowEnded": {
        if (event._tag === "SubflowEnded") starts.countChild(nodeKey(event.nodeId, event.iteration), false)
        const position = positionOf(event)
        if (position === undefined || phases[position] !== Phase.waiting) withdrawals.request()
        return position === undefined ? undefined : agenda.checkWait(position)
      }
      case "LeaveRequested": {
        const position = positionOf(event)
        if (position !== undefined) agenda.settle(position)
        // The run may not come to it, or not any more.
        return withdrawals.request()
      }
      case "DeadlineMoved": {
        const position = positionOf(event)
        if (position !== undefined && phases[position] === Phase.waiting) openWaits.watchTime(position)
        return
      }
      case "AttemptSucceeded":
        openWaits.markStale(event)
        regions.touch(event)
        return endAttempt(event)
      case "AttemptFailed":
      case "AttemptInterrupted":
        return endAttempt(event)
    }
  }
  /** The position of an event's node, if the event is of its current iteration. */
  const positionOf = ({ nodeId, iteration }: { readonly nodeId: NodeId; readonly iteration: number }): number | undefined => {
    const position = plan.positions.get(nodeId)
    return position !== undefined && iterationOf(position) === iteration ? position : undefined
  }
  const endAttempt = (event: AttemptEnd): void => {
    const position = positionOf(event)
    if (position === undefined || phases[position] !== Phase.running) {
      withdrawals.request()
      return starts.endOrphan(nodeKey(event.nodeId, event.iteration))
    }
    starts.end()
    if (event._tag === "AttemptFailed" && event.retryAt === undefined) regions.touch(event)
    if (boundaries.isHalted(position)) {
      // It is kept, and nothing follows from it.
      withdrawals.request()
      const isFailed = event._tag === "AttemptFailed" && event.retryAt === undefined && event.isSoft !== true
      phases[position] = event._tag === "AttemptSucceeded" ? Phase.done : isFailed ? Phase.failed : Phase.idle
    } else if (event._tag === "AttemptSucceeded") complete(position)
    else if (event._tag === "AttemptInterrupted" && event.reason === "suspended") openWaits.goOn(position)
    else if (event._tag === "AttemptInterrupted") starts.enqueue(position)
    else if (event.retryAt !== undefined) retryLater(position, event.retryAt)
    else if (event.isSoft === true) complete(position)
    else fail(position, { _tag: "Error", error: event.error })
  }

  let hasBegun = false
  const beginWalk = (): void => {
    hasBegun = true
    if (options.running !== undefined) for (const key of options.running()) starts.addOrphan(key)
    else for (const [key, record] of state().nodes) if (record.kind === "step" && record.status === "running") starts.addOrphan(key)
    passes.note()
    boundaries.restoreFailure()
    activate(0)
    run()
    boundaries.interruptBeside()
  }
  /** Queues what follows once all input is processed. Returns whether there was any. */
  const followUp = (): boolean =>
    !journal.isStale() &&
    ((isTicking() && agenda.takeDue(journal.now())) ||
      (!isPaused() && openWaits.renewStale()) ||
      cancel() ||
      (!agenda.isWalking() && (places.resume() || starts.openChildren())))
  /** Carries out a cancellation: leaves everything at once, through the boundaries. */
  const cancel = (): boolean => {
    if (state().cancel === undefined || isCancelled || agenda.isWalking()) return false
    isCancelled = true
    for (const { nodeId, iteration } of withdrawals.strays()) journal.interrupt(nodeKey(nodeId, iteration), "cancelled")
    for (const key of starts.orphans) journal.interrupt(key, "cancelled")
    if (phases[0] === Phase.done && !regions.isAnyKept()) return false
    boundaries.haltRun(undefined)
    for (const position of postponed) if (!boundaries.isHalted(position)) nextPass(position, plan.loop(position))
    return true
  }

  const advance: Schedule["advance"] = (folded, absorbed, time) => {
    journal.begin(folded, time)
    if (hasBegun) {
      run()
      // Commands and deadlines count in the order of time.
      let [isSaid, isTimed] = [false, false]
      const followSaid = (): void => {
        if (isTimed && !isSaid) return
        if (!journal.isStale() && isTicking() && !isTimed) agenda.takeDue(journal.now())
        run()
        ;[isSaid, isTimed] = [false, true]
      }
      for (const event of absorbed) {
        const isEnd = isAttemptEnd(event)
        if (isEnd && isSaid) followSaid()
        absorb(event)
        if (isEnd) run()
        else isSaid = true
      }
      followSaid()
    } else beginWalk()
    while (followUp()) run()
    withdrawals.run()
    return {
      state: state(),
      events: journal.events(),
      interrupts: journal.interrupts(),
      isPartial: agenda.isWalking() && !isPaused(),
      isStale: journal.isStale(),
    }
  }

  const next: Schedule["next"] = () => {
    journal.beginEvents()
    const started = starts.start()
    // A branch that has a place, while a child it waits for has none, exceeds the limit of their group.
    const isOverbooked = started.length === 0 && isResting() && places.overbook()
    while (isStuck() && giveUp()) started.push(...starts.start())
    if (!isOverbooked && started.length === 0 && isResting() && regions.giveUpOpen()) {
      run()
      started.push(...starts.start())
    }
    withdrawals.run()
    const wakeAt = isPaused() ? undefined : agenda.nextDue()
    const running = starts.running()
    const mayRest = !agenda.isWalking() && !starts.isHeldBack()
    const isIdle = running === 0 && mayRest && !starts.isQueued()
    // Steps that wait for slots, and attempts that do nothing else, do not keep the run at work.
    const queued = mayRest && !isIdle ? options.queued?.() : undefined
    const isStill = isIdle || queued?.attempts === running
    const isShort = starts.isShort()
    const strays = isStill ? withdrawals.strays() : none
    const outcome = isIdle && strays.length === 0 ? ending() : undefined
    const rests = isPaused() && starts.running() === 0 && outcome === undefined
    // What is ready beside attempts that wait needs their slots of the run.
    const isAtRest = isStill && outcome === undefined && !rests && (!isShort || (queued?.attempts ?? 0) > 0) && isLongRest()
    const waiting = isAtRest ? [...openWaits.waiting(), ...strays.map(strayed), ...(queued?.waiting ?? [])] : []
    const isPartial = isOverbooked || starts.hasRoom()
    const decided = { state: state(), events: journal.events(), starts: started, outcome }
    return { ...decided, wakeAt, waiting, isPaused: rests, isPartial, isShort }
  }
  const strayed = ({ nodeId, iteration, wait }: Records.StepRecord): Waiting => ({
    nodeId,
    iteration,
    kind: "subflow",
    deadline: wait?.deadline,
    ...defined({ childRunId: wait?.name }),
  })
  /** Tells whether no retry is due soon, so that the run can be released. */
  const isLongRest = (): boolean => agenda.retries().every(({ due }) => due > journal.now() + patienceMs)
  /** Pending reads of the plan, except those of nodes left out of a pass. */
  const wantedReads = (): ReadonlyArray<Plan.PendingRead> =>
    plan.pending.filter(({ nodeId }) => nodeId === undefined || !passes.isVacant(plan.positions.get(nodeId) ?? -1))
  /** Tells whether nothing can continue and the plan has pending reads. */
  const isStuck = (): boolean => plan.pending.length > 0 && (!boundaries.isRunHalted() || boundaries.isAnyOpen()) && isResting()
  /** Tells whether nothing is in flight or waits for anything except a need. */
  const isResting = (): boolean =>
    starts.running() === 0 &&
    !starts.isHeldBack() &&
    !starts.isQueued() &&
    !agenda.isWalking() &&
    agenda.nextDue() === undefined &&
    !openWaits.isAnyOpen() &&
    !isPaused() &&
    !starts.isShort()
  /** Fails the node that waits for an output that will never exist: the run, or if that has failed, the way out of a boundary. */
  const giveUp = (): boolean => {
    const isHalted = boundaries.isRunHalted()
    const position = isHalted ? phases.findIndex((phase, inside) => phase === Phase.blocked && !boundaries.isHalted(inside)) : -1
    const wanted = phases[0] === Phase.done ? wantedReads() : plan.pending
    const [read] = !isHalted ? wanted : position < 0 ? none : Plan.pendingOf(at(position))
    if (read === undefined) return false
    const { nodeId, table } = read
    const named = { ...(nodeId === undefined ? {} : { nodeId }), ...(table === undefined ? {} : { table }) }
    const cause: FailureCause = { nodeId: nodeId ?? table ?? "", iteration: 0, reason: { _tag: "Unsettled", read: named } }
    if (isHalted) {
      phases[position] = Phase.failed
      boundaries.propagateFailure(position, cause)
    } else boundaries.haltRun(cause)
    run()
    return true
  }
  const ending = (): Outcome | undefined => {
    if (phases[0] === Phase.done && wantedReads().length === 0 && !regions.isAnyKept())
      return withdrawals.isCutShort() ? { status: "cancelled" } : finished
    if (!boundaries.isRunHalted() || boundaries.isAnyOpen() || openWaits.isAnyOpen()) return undefined
    if (state().cancel !== undefined) return { status: "cancelled" }
    const failure = boundaries.failure()
    return failure && { status: "failed", ...failure }
  }

  const idsIn = (...some: ReadonlyArray<number>): Array<NodeId> =>
    plan.nodes.flatMap((node, position) => (node._tag === "Step" && some.includes(phases[position] ?? -1) ? [node.id] : []))

  return {
    noteRest: starts.noteRest,
    advance,
    next,
    needs: view.needs,
    value: view.value,
    stored: view.stored,
    source: view.source,
    pass: view.passOf,
    active: () => ({ ready: idsIn(Phase.ready, Phase.parked), running: idsIn(Phase.running), retrying: idsIn(Phase.retrying) }),
  }
}

const isAttemptEnd = (event: RunEvent): event is AttemptEnd =>
  event._tag === "AttemptSucceeded" || event._tag === "AttemptFailed" || event._tag === "AttemptInterrupted"

type AttemptEnd = Extract<RunEvent, { readonly _tag: "AttemptSucceeded" | "AttemptFailed" | "AttemptInterrupted" }>

const finished = { status: "finished" } as const

const none: ReadonlyArray<never> = []
