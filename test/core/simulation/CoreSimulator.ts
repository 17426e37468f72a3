/**
 * Runs a scenario on the pure core alone: `Scheduler` decides, `RunState` folds, and what an engine would perform is picked
 * from a stream of random numbers. A process that dies takes everything with it but the committed events. After every frame
 * the schedule is compared with one made afresh, and what it started with what the plan allows.
 */
import type { Json } from "@smithers/core/Codec"
import { type ErrorInfo, StepFailed } from "@smithers/core/Errors"
import { type NodeKey, nodeKey } from "@smithers/core/Ids"
import type { Command } from "@smithers/core/Inbox"
import * as Millis from "@smithers/core/Millis"
import * as Plan from "@smithers/core/Plan"
import type * as Records from "@smithers/core/Records"
import type { RunEvent } from "@smithers/core/RunEvent"
import * as RunState from "@smithers/core/RunState"
import * as Scheduler from "@smithers/core/Scheduler"
import * as Random from "@smithers/testing/Random"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as CommandEvents from "../../../packages/core/src/internal/commandEvents.ts"
import * as Behaviour from "./Behaviour.ts"
import * as Ledger from "./Ledger.ts"
import type { Ending } from "./Reference.ts"
import { branchesOf, type Fault, index, type Scenario, type StepSpec } from "./Scenario.ts"
import * as World from "./World.ts"

export interface Simulated {
  readonly state: RunState.RunState
  readonly ending: Ending
  /** Commits of the process that ended the run. */
  readonly commits: number
  readonly processes: number
}

interface InFlight {
  readonly start: Scheduler.Start
  readonly needs: Record<string, unknown>
  readonly missing: string | undefined
  isInterrupted: boolean
}

/** Runs the scenario to its end. Throws a `Violation` where the core does what it must not. */
export const simulate = (plan: Plan.Plan, scenario: Scenario, order: number): Simulated => {
  const ledger = Ledger.make(scenario)
  const random = Random.make(Random.hash(scenario.seed, "order", order))
  const clock = { now: Millis.make(1_000_000) }
  for (let processes = 1; processes < 20; processes++) {
    const commits = live({ plan, scenario, ledger, random, clock, fault: scenario.faults[processes - 1] })
    if (!ledger.isEnded()) continue
    return { ...conclude(plan, scenario, ledger), commits, processes }
  }
  throw new Ledger.Violation("the run does not end")
}

/** Commits every event text and back, as a store would. */
const recover = (ledger: Ledger.Ledger): RunState.RunState => {
  let state = RunState.empty("run")
  for (const { at, event } of JSON.parse(JSON.stringify(ledger.entries)) as ReadonlyArray<Ledger.Entry>) {
    state = RunState.apply(state, event, Millis.make(at))
  }
  return { ...state, frame: ledger.frames() }
}

const restore = (state: RunState.RunState): Map<NodeKey, unknown> => {
  const outputs = new Map<NodeKey, unknown>()
  for (const [key, record] of state.nodes) {
    if (record.kind !== "step" || record.status !== "finished") continue
    const stored = record.output as { readonly row?: string } | undefined
    outputs.set(key, stored?.row === undefined ? stored : { ...stored, row: Number(stored.row) })
  }
  return outputs
}

const conclude = (plan: Plan.Plan, scenario: Scenario, ledger: Ledger.Ledger): Pick<Simulated, "state" | "ending"> => {
  const state = recover(ledger)
  const { failures } = ledger
  if (state.status === "failed") {
    const failure = state.failure as StepFailed
    return {
      state,
      ending: { status: "failed", failedAt: nodeKey(failure.nodeId, failure.iteration), output: undefined, failures },
    }
  }
  const schedule = Scheduler.make(plan, { input: { seed: scenario.seed }, outputs: restore(state) }, { maxConcurrency: 1 })
  schedule.advance(state, [], Millis.zero)
  return { state, ending: { status: "finished", failedAt: undefined, output: schedule.value(0), failures } }
}

interface Process {
  readonly plan: Plan.Plan
  readonly scenario: Scenario
  readonly ledger: Ledger.Ledger
  readonly random: Random.Random
  readonly clock: { now: Millis.Millis }
  readonly fault: Fault | undefined
}

/** One process: takes the run up and works on it until the run has ended or the fault comes. Answers with its commits. */
const live = ({ plan, scenario, ledger, random, clock, fault }: Process): number => {
  if (fault?.commit === 0) return 0
  const { find } = index(scenario.root)
  let state = recover(ledger)
  const outputs = restore(state)
  const values = { input: { seed: scenario.seed }, outputs }
  const inFlight = new Map<NodeKey, InFlight>()
  const world = World.make(scenario, random)
  let events: Array<RunEvent> = []
  let commits = 0

  const append = (event: RunEvent): void => {
    events.push(event)
    state = RunState.apply(state, event, clock.now)
  }
  const commit = (): void => {
    state = { ...state, frame: state.frame + 1 }
    ledger.commit(state.frame, state.seq - events.length + 1, clock.now, events)
    events = []
  }

  const complete = (key: NodeKey): void => {
    const { start, needs, missing, isInterrupted } = inFlight.get(key) as InFlight
    inFlight.delete(key)
    const at = { nodeId: start.step.id, iteration: start.iteration, attempt: start.attempt }
    if (isInterrupted && random.chance(0.5)) return append({ _tag: "AttemptInterrupted", ...at, reason: "fail-fast" })
    const [label, beside] = Ledger.locate(start.step.id)
    const isUndo = beside === "undo"
    const spec = find(label) as StepSpec
    const failures = RunState.step(state, at.nodeId, at.iteration)?.failures.length ?? 0
    const behave = isUndo ? Behaviour.undo : Behaviour.attempt
    const result =
      missing === undefined
        ? behave(scenario.seed, spec, ledger.place(label, at.iteration), failures, needs)
        : ({ _tag: "Fails", message: `${missing}, which has no output`, isRetryable: false } as const)
    if (result._tag === "Succeeds") {
      outputs.set(key, result.value)
      const output = result.stored === undefined ? {} : { output: result.stored }
      const table = isUndo ? {} : { table: start.step.table as string }
      return append({ _tag: "AttemptSucceeded", ...at, ...table, ...output })
    }
    const error: ErrorInfo = { name: "Error", message: result.message, retryable: result.isRetryable }
    if (result.isRetryable && failures + 1 < spec.maxAttempts) {
      return append({ _tag: "AttemptFailed", ...at, error, retryAt: Millis.make(clock.now + spec.delayMs) })
    }
    append({ _tag: "AttemptFailed", ...at, error, ...(spec.isSoft && !isUndo ? { isSoft: true } : {}) })
  }

  /** Regions that go on, and parts of them. */
  const going = (): ReadonlyArray<World.Leavable> =>
    RunState.records(state).flatMap((record) => {
      if (record.kind !== "boundary" || record.status !== "running") return []
      const { nodeId: label, iteration } = record
      const region = find(label)
      const inside = region.kind === "race" || region.kind === "list" ? branchesOf(region) : []
      return [{ label, iteration }, ...inside.map((part) => ({ label: part.label, iteration }))]
    })
  const leaving = ({ label, iteration, as }: NonNullable<ReturnType<World.World["leave"]>>): Command => ({
    ...{ _tag: "Leave", nodeId: label, iteration, outcome: as, by: "ann" },
  })
  /** Has the world say something. Answers with whether it did. */
  const hear = (): boolean => {
    const open = RunState.records(state).flatMap((record) => {
      if (record.kind !== "step" || record.status !== "waiting") return []
      const { nodeId, iteration, wait } = record
      return [{ nodeId, iteration, isAnswered: wait?.decision !== undefined || wait?.answers !== undefined }]
    })
    const leave = world.leave(going())
    const said = leave === undefined ? world.say(open, state.pausedAt !== undefined) : leaving(leave)
    if (said === undefined) return false
    const command = { id: `said ${state.seq}`, runId: state.runId, at: clock.now, command: said }
    for (const event of CommandEvents.of(command, state)) append(event)
    return true
  }
  /** Checks what the world gave, and keeps it. */
  const accept: Scheduler.ScheduleOptions["accept"] = ({ codec }, key, given) => {
    const checked = Effect.flatMap(codec.encode(given), (stored) =>
      Effect.map(codec.decode(stored), (value) => ({ stored, value })),
    ) as Effect.Effect<{ readonly stored: Json | undefined; readonly value: unknown }, ReadonlyArray<string>>
    const accepted = Effect.runSync(Effect.either(checked))
    return Either.map(accepted, ({ stored, value }) => {
      outputs.set(key, value)
      return stored
    })
  }

  if (state.seq === 0) append({ _tag: "RunStarted", workflow: plan.workflow, input: values.input })
  else {
    append({ _tag: "RunResumed", epoch: 0, kept: 0, added: 0, removed: 0 })
    for (const record of state.nodes.values()) {
      if (record.kind !== "step" || record.status !== "running") continue
      const { nodeId, iteration, attempt } = record
      append({ _tag: "AttemptInterrupted", nodeId, iteration, attempt, reason: "crash" })
    }
    // What was said while nobody was there.
    if (random.chance(0.3)) hear()
  }

  const schedule = Scheduler.make(plan, values, { maxConcurrency: scenario.maxConcurrency, accept })
  const audit = makeAudit(plan, values, scenario.maxConcurrency)
  for (let absorbed: ReadonlyArray<RunEvent> = []; ; ) {
    const consequences = schedule.advance(state, absorbed, clock.now)
    state = consequences.state
    events.push(...consequences.events)
    for (const { key } of consequences.interrupts) {
      const attempt = inFlight.get(key)
      if (attempt !== undefined) attempt.isInterrupted = true
    }
    const runningBefore = schedule.active().running
    const decision = schedule.next()
    state = decision.state
    events.push(...decision.events)

    const { outcome } = decision
    if (outcome?.status === "finished") {
      const output = schedule.stored(0)
      append({ _tag: "RunFinished", ...(output === undefined ? {} : { output: output as Json }) })
    } else if (outcome?.status === "failed") {
      const { nodeId, iteration, reason } = outcome
      const error = reason._tag === "Error" ? reason.error : { name: reason._tag, message: "", retryable: false }
      const failure = new StepFailed({ runId: "run", nodeId, iteration, attempts: 0, error })
      append({ _tag: "RunFailed", failure: { ...failure, _tag: "StepFailed" } as StepFailed })
    }
    const isChanged = events.length > 0
    const isFatal = isChanged && commits + 1 === fault?.commit
    if (isFatal && (fault.edge === "before" || fault.edge === "paused")) return commits
    const decided = state
    if (isChanged) {
      commit()
      commits++
    }
    for (const [key, { isInterrupted }] of inFlight)
      if (!isInterrupted && ledger.isCut(key)) throw new Ledger.Violation(`${key} goes on in a region that is left`)
    if (outcome === undefined) audit(schedule, decided, decision, clock.now, runningBefore, ledger.isHalting())
    if (outcome !== undefined || (isFatal && fault.edge === "after")) return commits

    for (const start of decision.starts) {
      const key = nodeKey(start.step.id, start.iteration)
      const { values: needs, missing } = schedule.needs(start.position)
      ledger.begin(key, start.attempt, needs)
      inFlight.set(key, { start, needs, missing, isInterrupted: false })
    }

    if (isFatal) {
      for (const [key, { start }] of inFlight) {
        const { iteration, attempt } = start
        if (random.chance(0.3)) complete(key)
        else append({ _tag: "AttemptInterrupted", nodeId: start.step.id, iteration, attempt, reason: "shutdown" })
      }
      if (events.length > 0) commit()
      return commits
    }

    if (decision.isPartial) {
      absorbed = []
      continue
    }
    const { wakeAt } = decision
    const isStill = inFlight.size === 0 && wakeAt === undefined
    const isDelivered = (isStill || random.chance(0.2)) && hear()
    if (isStill && !isDelivered) throw new Ledger.Violation("nothing runs, nothing is due, and the run goes on")
    clock.now = Millis.make(clock.now + random.int(4))
    if (wakeAt !== undefined && (inFlight.size === 0 || random.chance(0.3))) clock.now = Millis.make(Math.max(clock.now, wakeAt))
    const isDue = wakeAt !== undefined && wakeAt <= clock.now
    const count = Math.max(isDue || isDelivered ? 0 : 1, random.pick([1, 1, 1, 2, inFlight.size, isDue ? 0 : 1]))
    for (const key of random.shuffle([...inFlight.keys()]).slice(0, count)) complete(key)
    absorbed = events.slice()
  }
}

const settled: ReadonlySet<string> = new Set(["finished", "skipped", "failed", "superseded"])

/** Checks a decision against the whole plan and state, the slow and simple way. */
const makeAudit = (plan: Plan.Plan, values: Scheduler.Values, maxConcurrency: number) => {
  const position = (nodeId: string): number => plan.positions.get(nodeId) as number
  const isIn = (group: number, inner: number): boolean => plan.contains(group, inner)
  const branchOf = (group: number, inner: number): number => {
    let branch = inner
    while (plan.parent(branch) !== group) branch = plan.parent(branch)
    return branch
  }
  /** Groups with a limit that no branch needs another one in: those may begin beyond it. */
  const groups = plan.nodes.flatMap((node, position) => {
    if ((node._tag !== "Parallel" && node._tag !== "ForEach") || node.maxConcurrency === undefined) return []
    for (let inner = position + 1; inner < plan.end(position); inner++) {
      // What goes on beside a race that is over has given its place back.
      const inside = plan.node(inner)
      if ((inside._tag === "Race" || inside._tag === "ForEach") && inside.rest === "keep") return []
      for (const { target } of plan.needs(inner))
        if (isIn(position, target) && branchOf(position, target) !== branchOf(position, inner)) return []
    }
    return [{ position, cap: node.maxConcurrency }]
  })
  const isAtWork = ({ status }: Records.StepRecord): boolean =>
    status === "running" || status === "waiting" || status === "retrying"
  /** Refuses more branches of a group that are begun and not over than it has places for. */
  const checkPlaces = (state: RunState.RunState): void => {
    if (groups.length === 0) return
    const working = RunState.records(state).flatMap((record) => {
      const at = record.kind === "step" && isAtWork(record) ? position(record.nodeId) : -1
      return at >= 0 && at < plan.size ? [at] : []
    })
    for (const { position, cap } of groups) {
      const branches = new Set(working.filter((inner) => isIn(position, inner)).map((inner) => branchOf(position, inner)))
      if (branches.size > cap) refuse(`${branches.size} branches of #${position} are at work, and it has ${cap} places`)
    }
  }
  /** Refuses a step that waits for a place in a group that has one. */
  const checkParked = (state: RunState.RunState, parked: number): void => {
    const around = groups.filter((group) => isIn(group.position, parked))
    const [group] = around
    if (group === undefined || !isOnlyLimit(group.position, parked)) return
    const leaves = RunState.records(state).flatMap((record) =>
      record.kind === "step" && plan.positions.has(record.nodeId) ? [{ record, at: position(record.nodeId) }] : [],
    )
    const rows = new Map(leaves.map(({ record, at }) => [at, record]))
    const isOpen = (branch: number): boolean => {
      const inside = Array.from({ length: plan.end(branch) - branch }, (_, index) => branch + index)
      const begun = inside.some((at) => (rows.get(at)?.attempt ?? 0) > 0 || rows.get(at)?.wait !== undefined)
      return begun && inside.some((at) => Plan.isLeaf(plan.node(at)) && !isSettled(rows.get(at)))
    }
    const branches: Array<number> = []
    for (let branch = group.position + 1; branch < plan.end(group.position); branch = plan.end(branch)) branches.push(branch)
    if (isOpen(branchOf(group.position, parked)) || plan.loopOf(parked) >= 0) return
    const open = branches.filter(isOpen).length
    if (open < group.cap)
      refuse(`#${parked} waits for one of ${group.cap} places of #${group.position}, of which ${open} are taken`)
  }
  const isSettled = (record: Records.StepRecord | undefined): boolean => record !== undefined && settled.has(record.status)
  const isOnlyLimit = (group: number, inner: number): boolean => {
    for (let up = plan.parent(inner); up >= 0; up = plan.parent(up)) {
      const node = plan.node(up)
      const isLimited = (node._tag === "Parallel" || node._tag === "ForEach") && node.maxConcurrency !== undefined
      if (isLimited && up !== group) return false
    }
    return true
  }
  const isFull = (running: ReadonlyArray<number>): boolean => running.length >= maxConcurrency
  const refuse = (problem: string): never => {
    throw new Ledger.Violation(problem)
  }
  const list = (ids: ReadonlyArray<string>): string => [...ids].sort().join(", ")

  /** Whether what runs would not be started again were it interrupted: of a predicate that threw nothing else tells. */
  const isFailing = (state: RunState.RunState, now: Millis.Millis): boolean => {
    const running = RunState.records(state).filter((record) => record.kind === "step" && record.status === "running")
    let stopped = state
    for (const { nodeId, iteration, attempt } of running as ReadonlyArray<Records.StepRecord>) {
      stopped = RunState.apply(stopped, { _tag: "AttemptInterrupted", nodeId, iteration, attempt, reason: "crash" }, now)
    }
    const afresh = Scheduler.make(plan, values, { maxConcurrency })
    const { events } = afresh.advance(stopped, [], now)
    const { ready } = afresh.active()
    const isHalted = events.some((event) => event._tag === "BoundaryHalted" && !event.isCaught)
    return isHalted || afresh.next().outcome?.status === "failed" || running.some(({ nodeId }) => !ready.includes(nodeId))
  }

  return (
    schedule: Scheduler.Schedule,
    state: RunState.RunState,
    decision: Scheduler.Decision,
    now: Millis.Millis,
    runningBefore: ReadonlyArray<string>,
    isHalting: boolean,
  ): void => {
    const fresh = Scheduler.make(plan, values, { maxConcurrency })
    const consequences = fresh.advance(state, [], now)
    const again = fresh.next()
    // More is to follow before anything can be said.
    if (decision.isPartial || again.isPartial) return
    if (again.outcome?.status !== decision.outcome?.status) {
      refuse(`the outcome is ${decision.outcome?.status}, and ${again.outcome?.status} when decided afresh`)
    }
    if (again.starts.length > 0) refuse(`${list(again.starts.map(({ step }) => step.id))} would start only when decided afresh`)
    // A schedule made while the run is paused begins to walk when it goes on.
    if (isHalting || isFailing(state, now) || state.pausedAt !== undefined) return

    if (consequences.events.length > 0) refuse(`${consequences.events[0]?._tag} follows only when decided afresh`)
    const [kept, made] = [schedule.active(), fresh.active()]
    for (const kind of ["ready", "running", "retrying"] as const) {
      if (list(kept[kind]) !== list(made[kind]))
        refuse(`${kind} are [${list(kept[kind])}], and [${list(made[kind])}] decided afresh`)
    }
    if (again.wakeAt !== decision.wakeAt)
      refuse(`the next retry is due at ${decision.wakeAt}, and at ${again.wakeAt} decided afresh`)
    const running = [...state.nodes].filter(([, record]) => record.kind === "step" && record.status === "running").length
    if (kept.running.length !== running) refuse(`${running} attempts run, and the schedule knows of ${kept.running.length}`)

    if (state.pausedAt !== undefined) {
      if (decision.starts.length > 0) refuse(`${list(decision.starts.map(({ step }) => step.id))} started while the run was paused`)
      return
    }
    const busy = runningBefore.map(position)
    // What a group has no place for waits, whatever room there is.
    const isFree = (inner: number): boolean => {
      for (let up = inner; up >= 0; up = plan.parent(up)) {
        const node = plan.node(up)
        if ((node._tag === "Parallel" || node._tag === "ForEach") && node.maxConcurrency !== undefined) return false
      }
      return true
    }
    const ready = kept.ready.map(position).filter(isFree)
    // What undoes a step goes before all others.
    const rank = (position: number): number => (position < plan.size ? position : position - plan.nodes.length)
    let last = Number.NEGATIVE_INFINITY
    for (const { position } of decision.starts) {
      if (rank(position) <= last) refuse(`#${position} started after rank ${last}`)
      last = rank(position)
      for (const other of ready) if (rank(other) < last) refuse(`#${position} started before #${other}, which was ready`)
      if (isFull(busy)) refuse(`#${position} started although the run was full`)
      busy.push(position)
    }
    for (const other of ready) if (!isFull(busy)) refuse(`#${other} is ready and there is room, but it did not start`)
    checkPlaces(state)
    if (!isFull(busy)) for (const other of kept.ready.map(position)) checkParked(state, other)
  }
}

/** What two runs of a scenario that finish must have in common: everything but the times and the interruptions. */
export const essence = ({ state, ending }: Pick<Simulated, "state" | "ending">): unknown => {
  // What had begun where a failure was met depends on the order.
  if (RunState.records(state).some((record) => record.kind === "boundary" && record.status !== "finished")) {
    return [ending.status, ending.output, state.output]
  }
  const nodes = state.nodes
    .values()
    .map((record) =>
      record.kind === "loop"
        ? [record.nodeId, record.iteration, record.status, record.base, record.passes]
        : record.kind === "boundary"
          ? [record.nodeId, record.iteration, record.status]
          : [
              record.nodeId,
              record.iteration,
              record.status,
              record.output,
              record.isSoft,
              record.error?.message,
              record.failures.length,
            ],
    )
  const passes = [...state.loopPasses].sort(([left], [right]) => (left < right ? -1 : 1))
  const ordered = nodes.sort((left, right) => (String(left) < String(right) ? -1 : 1))
  return [ending.status, ending.output, state.output, ordered, passes, [...(ending.failures ?? [])].sort()]
}
