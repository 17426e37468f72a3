/**
 * Drives one claimed run: fold what happened, plan, schedule, commit one frame, and only then start what the frame says was
 * started. All of a run's changes go through here, one frame after another. The driver can be interrupted only while it waits
 * for something to happen; it then interrupts its attempts, keeps what they still finished, and gives the claim back.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HashMap from "effect/HashMap"
import * as Metric from "effect/Metric"
import type { Span } from "effect/Tracer"
import type { Codec, Json } from "./Codec.ts"
import {
  CrashLoop,
  type ErrorInfo,
  IncompatibleOutput,
  InvalidInput,
  type InvalidWorkflow,
  LoopLimitReached,
  type RunFailure,
  RunFenced,
  type RunNotFound,
  StepFailed,
  StepTimedOut,
  type StoreError,
} from "./Errors.ts"
import { type NodeId, type NodeKey, nodeKey } from "./Ids.ts"
import { canonical, toJson } from "./internal/json.ts"
import * as Mailbox from "./internal/mailbox.ts"
import * as Ticker from "./internal/ticker.ts"
import * as Metrics from "./Metrics.ts"
import type { Plan } from "./Plan.ts"
import type { Driver } from "./RetryPolicy.ts"
import type { RunEvent } from "./RunEvent.ts"
import * as RunState from "./RunState.ts"
import * as Scheduler from "./Scheduler.ts"
import * as StepProgram from "./StepProgram.ts"
import type { Command, Frame, NewRun, OutputTable, StorageShape } from "./Storage.ts"

/** Where the plan comes from: a pure function of what is known of the run. */
export interface Planner {
  /** May throw `InvalidWorkflow`. */
  readonly plan: (state: RunState.RunState, values: Scheduler.Values) => Plan
  /** Whether these events, just folded, may change the plan. */
  readonly isStale: (events: ReadonlyArray<RunEvent>) => boolean
}

/** What is run. `R` is what its steps need. */
export interface Definition<out R = never> {
  readonly name: string
  readonly version: string | undefined
  readonly input: Codec<unknown, unknown>
  readonly planner: Planner
  /** The codec of a node's output; `undefined` when the workflow no longer has the node. */
  readonly codecOf: (nodeId: NodeId, table: string) => Codec<unknown, unknown> | undefined
  readonly tables: ReadonlyArray<OutputTable>
  readonly maxConcurrency: number | undefined
  readonly _R?: (_: never) => R
}

/** How a run stopped. */
export type Settlement =
  | { readonly _tag: "Finished"; readonly output: unknown }
  | { readonly _tag: "Failed"; readonly failure: RunFailure }
  | { readonly _tag: "Cancelled"; readonly reason: string | undefined }

export type DriverError = StoreError | RunNotFound | RunFenced | IncompatibleOutput | InvalidInput | InvalidWorkflow

/** What the world outside may tell a driver. */
export interface Control {
  readonly deliver: (command: Command) => void
  /** Says that another process has the run now. */
  readonly fence: () => void
  /** Set while the run is claimed. */
  epoch: number | undefined
  /** Ticks with each committed frame. */
  readonly commits: Ticker.Ticker
  readonly mailbox: Mailbox.Mailbox<Item>
}

type Item =
  | { readonly _tag: "Exit"; readonly key: NodeKey; readonly exit: Exit.Exit<StepProgram.AttemptResult> }
  | { readonly _tag: "Beat"; readonly key: NodeKey }
  | { readonly _tag: "Command"; readonly command: Command }
  | { readonly _tag: "Fenced" }

/** Makes the control of a driver that is about to begin. */
export const control = (): Control => {
  const mailbox = Mailbox.make<Item>()
  return {
    deliver: (command) => mailbox.push({ _tag: "Command", command }),
    fence: () => mailbox.push({ _tag: "Fenced" }),
    epoch: undefined,
    commits: Ticker.make(),
    mailbox,
  }
}

export interface DriveOptions {
  readonly runId: string
  readonly epoch: number
  /** Set when the run was just created from this. */
  readonly created: NewRun | undefined
  readonly onIncompatible: "fail" | "rerun"
  readonly maxConcurrency: number
  readonly control: Control
}

/** An attempt that dies with its process this often in a row is taken to be what kills it. A deploy rarely meets one step five times. */
const crashLoopLimit = 5

/** Heartbeat details are written at most this often per attempt (ms): often enough to resume from, rare enough to cost nothing. */
const heartbeatIntervalMs = 500

/** Timers overflow above 2^31 ms; longer waits are made of days. */
const longestSleepMs = 86_400_000

interface InFlight {
  readonly start: Scheduler.Start
  readonly startedAt: number
  readonly fiber: Fiber.RuntimeFiber<StepProgram.AttemptResult>
  stop: "fail-fast" | "cancelled" | undefined
}

interface Beat {
  details: Json
  isWritten: boolean
  isWriting: boolean
}

/** Outputs read back under the current schemas. */
const restore = (definition: Definition<unknown>, state: RunState.RunState) =>
  Effect.gen(function* () {
    const outputs = new Map<NodeKey, unknown>()
    const incompatible: Array<{ readonly nodeId: string; readonly iteration: number; readonly issues: ReadonlyArray<string> }> = []
    for (const [key, record] of state.nodes) {
      if (record.kind !== "step" || record.status !== "finished") continue
      const codec = definition.codecOf(record.nodeId, record.table ?? "")
      if (codec === undefined) continue
      const exit = yield* Effect.either(codec.restore(record.output))
      if (exit._tag === "Right") outputs.set(key, exit.right)
      else incompatible.push({ nodeId: record.nodeId, iteration: record.iteration, issues: exit.left })
    }
    return { outputs, incompatible }
  })

const readInput = (definition: Definition<unknown>, stored: Json | undefined) =>
  Effect.mapError(definition.input.restore(stored), (issues) => new InvalidInput({ workflow: definition.name, issues }))

/** How a run that has ended, ended: its output is read back through the plan. */
export const recall = <R>(
  storage: StorageShape,
  definition: Definition<R>,
  runId: string,
): Effect.Effect<Settlement, DriverError, R> =>
  Effect.gen(function* () {
    const state = yield* storage.load(runId)
    if (state.status === "cancelled") return { _tag: "Cancelled", reason: state.cancel?.reason } as const
    if (state.failure !== undefined) return { _tag: "Failed", failure: state.failure } as const
    const { outputs, incompatible } = yield* restore(definition, state)
    if (incompatible.length > 0) return yield* new IncompatibleOutput({ runId, nodes: incompatible })
    const values = { input: yield* readInput(definition, state.input), outputs }
    const plan = yield* makePlan(definition, state, values)
    const schedule = Scheduler.make(plan, values, { maxConcurrency: 1 })
    schedule.advance(state, [], 0)
    return { _tag: "Finished", output: schedule.value(0) } as const
  }) as Effect.Effect<Settlement, DriverError, R>

const makePlan = (definition: Definition<unknown>, state: RunState.RunState, values: Scheduler.Values) =>
  Effect.try({ try: () => definition.planner.plan(state, values), catch: (thrown) => thrown as InvalidWorkflow })

/** Drives a claimed run until it ends, or until it is interrupted or fenced. It must be called uninterruptible. */
export const drive = <R>(
  storage: StorageShape,
  definition: Definition<R>,
  options: DriveOptions,
): Effect.Effect<Settlement, DriverError, R> =>
  Effect.suspend(() => {
    const { control, runId, epoch } = options
    control.epoch = epoch
    const release = Effect.flatMap(Clock.currentTimeMillis, (now) => storage.release(runId, epoch, now))
    return Effect.onExit(loop(storage, definition, options), (exit) => {
      control.epoch = undefined
      return Exit.isSuccess(exit) ? Effect.void : Effect.ignore(release)
    }) as Effect.Effect<Settlement, DriverError, R>
  })

const loop = (
  storage: StorageShape,
  definition: Definition<unknown>,
  options: DriveOptions,
): Effect.Effect<Settlement, DriverError, unknown> =>
  Effect.gen(function* () {
    const { runId, epoch, created } = options
    const { mailbox } = options.control
    const clock = yield* Effect.clock
    let now = clock.unsafeCurrentTimeMillis()

    yield* storage.prepareOutputs(definition.name, definition.tables)
    let state = created === undefined ? yield* storage.load(runId) : RunState.empty(runId)
    const { outputs, incompatible } = yield* restore(definition, state)
    if (incompatible.length > 0 && options.onIncompatible === "fail") {
      return yield* new IncompatibleOutput({ runId, nodes: incompatible })
    }
    const values: Scheduler.Values = {
      input: yield* readInput(definition, created === undefined ? state.input : created.input),
      outputs,
    }

    const inFlight = new Map<NodeKey, InFlight>()
    const drivers = new Map<NodeKey, Driver<unknown>>()
    const beats = new Map<NodeKey, Beat>()
    const causes = new Map<NodeKey, unknown>()
    /** Of steps that began in this process and have not ended; their attempts are inside. */
    const spans = new Map<NodeKey, Span>()
    const seen = new Set<string>()
    /** Of the frame being made. */
    let events: Array<RunEvent> = []
    let consumed: Array<string> = []
    let cache: Array<Frame["cache"][number]> = []
    const cacheKeys = new Map<NodeKey, string>()

    const happen = (event: RunEvent): void => {
      events.push(event)
      state = RunState.apply(state, event, now)
    }

    /** Turns what came in into events. */
    const absorb = (item: Item): void => {
      switch (item._tag) {
        case "Exit":
          return absorbExit(item.key, item.exit)
        case "Command": {
          if (seen.has(item.command.id)) return
          seen.add(item.command.id)
          consumed.push(item.command.id)
          const { reason } = item.command.command
          if (state.cancel === undefined) happen({ _tag: "CancelRequested", ...(reason === undefined ? {} : { reason }) })
        }
      }
    }
    const absorbExit = (key: NodeKey, exit: Exit.Exit<StepProgram.AttemptResult>): void => {
      const attempt = inFlight.get(key)
      if (attempt === undefined) return
      inFlight.delete(key)
      const { start } = attempt
      const at = { nodeId: start.step.id, iteration: start.iteration, attempt: start.attempt }
      const beat = beats.get(key)
      beats.delete(key)
      const heartbeat = beat === undefined ? {} : { heartbeat: beat.details }
      Metrics.attemptDuration.unsafeUpdate(now - attempt.startedAt, [])
      const result = Exit.isSuccess(exit) ? exit.value : undefined
      if (result === undefined || result._tag === "Succeeded" || result.retryAt === undefined) {
        spans.get(key)?.end(clock.unsafeCurrentTimeNanos(), result?._tag === "Failed" ? Exit.fail(result.cause) : exit)
        spans.delete(key)
      }
      if (result === undefined) {
        Metrics.attemptsInterrupted.unsafeUpdate(1, [])
        return happen({ _tag: "AttemptInterrupted", ...at, reason: attempt.stop ?? "shutdown", ...heartbeat })
      }
      if (result._tag === "Succeeded") {
        Metrics.attemptsSucceeded.unsafeUpdate(1, [])
        drivers.delete(key)
        outputs.set(key, result.value)
        const cacheKey = cacheKeys.get(key)
        if (cacheKey !== undefined && !result.isCached) cache.push({ nodeId: at.nodeId, iteration: at.iteration, key: cacheKey })
        const output = result.output === undefined ? {} : { output: result.output }
        const isCached = result.isCached ? { isCached: true } : {}
        return happen({ _tag: "AttemptSucceeded", ...at, table: start.step.table, ...output, ...isCached })
      }
      Metrics.attemptsFailed.unsafeUpdate(1, [])
      const retryAt = result.retryAt === undefined ? {} : { retryAt: Math.ceil(result.retryAt) }
      const soft = result.retryAt === undefined && start.step.continueOnFail ? { soft: true } : {}
      if (result.retryAt === undefined) causes.set(key, result.cause)
      else drivers.set(key, result.driver)
      happen({ _tag: "AttemptFailed", ...at, error: result.error, ...retryAt, ...soft, ...heartbeat })
    }

    const commit = (plan: string | undefined): Effect.Effect<void, StoreError | RunFenced> => {
      if (events.length === 0 && consumed.length === 0) return Effect.void
      const frame: Frame = {
        runId,
        epoch,
        frame: state.frame + 1,
        firstSeq: state.seq - events.length + 1,
        at: now,
        events,
        plan,
        cache,
        consumed,
      }
      state = { ...state, frame: frame.frame }
      events = []
      consumed = []
      cache = []
      Metrics.frames.unsafeUpdate(1, [])
      return Effect.map(storage.commit(frame), options.control.commits.tick)
    }

    const stop = (key: NodeKey, reason: "fail-fast" | "cancelled"): Effect.Effect<void> => {
      const attempt = inFlight.get(key)
      if (attempt === undefined || attempt.stop !== undefined) return Effect.void
      attempt.stop = reason
      return Fiber.interruptFork(attempt.fiber)
    }

    const launch = (start: Scheduler.Start): Effect.Effect<void, never, unknown> => {
      const { step, iteration, position } = start
      const key = nodeKey(step.id, iteration)
      const record = RunState.step(state, step.id, iteration)
      const needs = schedule.needs(position)
      const found = step.cache === undefined ? undefined : cacheEntry(step.cache, step, { input: values.input, ...needs.values })
      if (found !== undefined) cacheKeys.set(key, found.key)
      const program = StepProgram.run({
        step,
        runId,
        iteration,
        pass: schedule.pass(position),
        attempt: start.attempt,
        input: values.input,
        needs: needs.values,
        missing: needs.missing,
        lastHeartbeat: record?.heartbeat,
        driver: drivers.get(key),
        failures: record?.failures ?? [],
        onHeartbeat: (details) => {
          const beat = beats.get(key) ?? { details, isWritten: false, isWriting: false }
          beat.details = details
          beat.isWritten = false
          beats.set(key, beat)
          if (!beat.isWriting) {
            beat.isWriting = true
            mailbox.push({ _tag: "Beat", key })
          }
        },
        cache: found,
      }).pipe(
        Effect.onExit((exit) => Effect.sync(() => mailbox.push({ _tag: "Exit", key, exit }))),
        Effect.interruptible,
      )
      Metrics.attemptsStarted.unsafeUpdate(1, [])
      const attributes = { "smithers.run_id": runId, "smithers.step": step.id, "smithers.iteration": iteration }
      const known = spans.get(key)
      return Effect.flatMap(
        known === undefined ? Effect.makeSpan("smithers.step", { attributes }) : Effect.succeed(known),
        (span) => {
          spans.set(key, span)
          const attempt = { parent: span, attributes: { ...attributes, "smithers.attempt": start.attempt } }
          return Effect.map(Effect.fork(Effect.withSpan(program, "smithers.attempt", attempt)), (fiber) => {
            inFlight.set(key, { start, startedAt: now, fiber, stop: undefined })
          })
        },
      )
    }

    const cacheEntry = (
      declared: NonNullable<Scheduler.Start["step"]["cache"]>,
      step: Scheduler.Start["step"],
      context: Record<string, unknown>,
    ): StepProgram.CacheEntry | undefined => {
      const copied = toJson(declared.key(context))
      if ("refused" in copied) return undefined
      const key = canonical(copied.json)
      const notBefore = declared.ttlMs === undefined ? 0 : now - declared.ttlMs
      return { key, find: Effect.orDie(storage.cached(definition.name, step.id, key, notBefore)) }
    }

    /** Writes the latest heartbeat details of an attempt, and again while newer ones come in. */
    const writeBeats = (key: NodeKey): Effect.Effect<void> =>
      Effect.gen(function* () {
        for (;;) {
          const [beat, attempt] = [beats.get(key), inFlight.get(key)]
          if (beat === undefined || attempt === undefined) return
          if (beat.isWritten) {
            beat.isWriting = false
            return
          }
          beat.isWritten = true
          const { step, iteration } = attempt.start
          const at = yield* Clock.currentTimeMillis
          const node = { runId, epoch, nodeId: step.id, iteration, attempt: attempt.start.attempt }
          yield* storage.heartbeat({ ...node, at, details: beat.details })
          yield* Effect.sleep(heartbeatIntervalMs)
        }
      }).pipe(Effect.catchAll((error) => Effect.logDebug("a heartbeat could not be written", error)))

    /** Interrupts what is in flight, keeps what still finished, and leaves the run resumable. */
    const suspend = Effect.gen(function* () {
      yield* Fiber.interruptAll([...inFlight.values()].map((attempt) => attempt.fiber))
      now = clock.unsafeCurrentTimeMillis()
      for (const item of mailbox.drain()) if (item._tag === "Exit") absorb(item)
      yield* commit(undefined)
    }).pipe(Effect.catchAll((error) => Effect.logDebug("the run could not be suspended in order", error)))

    // How the run begins, or where it was.
    if (created !== undefined) {
      const version = created.version === undefined ? {} : { version: created.version }
      const input = created.input === undefined ? {} : { input: created.input }
      happen({ _tag: "RunStarted", workflow: created.workflow, ...version, ...input })
    }
    let plan = yield* makePlan(definition, state, values)
    let knownPlan = created === undefined ? undefined : ""
    if (created === undefined) {
      const isRevived = RunState.isEnded(state)
      happen({ _tag: "RunResumed", epoch, ...compare(plan, state) })
      for (const { nodeId, iteration } of incompatible) happen({ _tag: "NodeReset", nodeId, iteration })
      for (const record of HashMap.values(state.nodes)) {
        if (record.kind === "step") for (const event of recover(record, isRevived, plan)) happen(event)
      }
      for (const command of yield* storage.inbox) if (command.runId === runId) options.control.deliver(command)
      for (const item of mailbox.drain()) absorb(item)
      if (definition.planner.isStale(events)) plan = yield* makePlan(definition, state, values)
    }
    let schedule = Scheduler.make(plan, values, options)
    let absorbed: ReadonlyArray<RunEvent> = []
    const replan = Effect.gen(function* () {
      const before = plan
      plan = yield* makePlan(definition, state, values)
      schedule = Scheduler.make(plan, values, options)
      absorbed = []
      if (plan.text !== before.text) happen(difference(before, plan))
    })

    for (;;) {
      // Fold, and plan again as long as what follows from the plan changes the plan.
      for (;;) {
        const consequences = schedule.advance(state, absorbed, now)
        state = consequences.state
        for (const event of consequences.events) events.push(event)
        for (const key of consequences.interrupts) yield* stop(key, "fail-fast")
        if (consequences.events.length === 0 || !definition.planner.isStale(consequences.events)) break
        yield* replan
      }
      const decision = schedule.next()
      state = decision.state
      for (const event of decision.events) events.push(event)

      let settlement: Settlement | undefined
      if (decision.outcome?._tag === "Finished") {
        const output = schedule.stored(0)
        settlement = { _tag: "Finished", output: schedule.value(0) }
        happen({ _tag: "RunFinished", ...(output === undefined ? {} : { output }) })
      } else if (state.cancel !== undefined && inFlight.size === 0) {
        const { reason } = state.cancel
        settlement = { _tag: "Cancelled", reason }
        happen({ _tag: "RunCancelled", ...(reason === undefined ? {} : { reason }) })
      } else if (state.cancel === undefined && decision.outcome !== undefined) {
        const failure = failureOf(runId, decision.outcome, plan, state)
        settlement = {
          _tag: "Failed",
          failure: withCause(failure, causes.get(nodeKey(decision.outcome.nodeId, decision.outcome.iteration))),
        }
        happen({ _tag: "RunFailed", failure })
      }

      const changed = plan.text === knownPlan ? undefined : plan.text
      knownPlan = plan.text
      yield* commit(changed)
      if (settlement !== undefined) {
        const count = { Finished: Metrics.runsFinished, Failed: Metrics.runsFailed, Cancelled: Metrics.runsCancelled }
        yield* Metric.increment(count[settlement._tag])
        return settlement
      }
      for (const start of decision.starts) yield* launch(start)
      if (state.cancel !== undefined) for (const key of inFlight.keys()) yield* stop(key, "cancelled")

      // Wait until something happens or the next retry is due.
      for (let isNews = false; !isNews; ) {
        const { wakeAt } = decision
        const wait = wakeAt === undefined ? mailbox.filled : Effect.raceFirst(mailbox.filled, sleepUntil(wakeAt))
        yield* Effect.onInterrupt(Effect.interruptible(wait), () => suspend)
        now = clock.unsafeCurrentTimeMillis()
        for (const item of mailbox.drain()) {
          if (item._tag === "Fenced") return yield* new RunFenced({ runId, epoch })
          if (item._tag === "Beat") yield* Effect.fork(Effect.interruptible(writeBeats(item.key)))
          else absorb(item)
        }
        isNews = events.length > 0 || consumed.length > 0 || (wakeAt !== undefined && wakeAt <= now)
      }
      absorbed = events.slice()
      if (definition.planner.isStale(absorbed)) yield* replan
    }
  })

const sleepUntil = (at: number): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    at <= now ? Effect.void : Effect.zipRight(Effect.sleep(Math.min(at - now, longestSleepMs)), sleepUntil(at)),
  )

/** What was mounted, unmounted and changed between two plans, by id. */
const difference = (before: Plan, after: Plan): Extract<RunEvent, { readonly _tag: "PlanChanged" }> => {
  const [old, lines] = [before.text.split("\n"), after.text.split("\n")]
  const mounted: Array<NodeId> = []
  const changed: Array<NodeId> = []
  for (const [nodeId, position] of after.positions) {
    const was = before.positions.get(nodeId)
    if (was === undefined) mounted.push(nodeId)
    else if (old[was] !== lines[position]) changed.push(nodeId)
  }
  const unmounted = [...before.positions.keys()].filter((nodeId) => !after.positions.has(nodeId))
  return { _tag: "PlanChanged", mounted, unmounted, changed }
}

/** What becomes of a step that the last process left unfinished. */
const recover = (record: RunState.StepRecord, isRevived: boolean, plan: Plan): ReadonlyArray<RunEvent> => {
  const { nodeId, iteration } = record
  if (record.status === "failed" && isRevived && record.soft !== true) return [{ _tag: "NodeReset", nodeId, iteration }]
  if (record.status !== "running") return []
  const interrupted = { _tag: "AttemptInterrupted", nodeId, iteration, attempt: record.attempt, reason: "crash" } as const
  const interruptions = record.interruptions + 1
  if (interruptions < crashLoopLimit) return [interrupted]
  const message = `the process died ${interruptions} times in a row while it ran`
  const error: ErrorInfo = { name: "CrashLoop", message, retryable: false, kind: "crashLoop" }
  const step = plan.nodes[plan.positions.get(nodeId) ?? -1]
  const soft = step?._tag === "Step" && step.continueOnFail ? { soft: true } : {}
  return [interrupted, { _tag: "NodeFailed", nodeId, iteration, error, ...soft }]
}

/** How a plan compares with what is stored: finished and still there, there and not begun, stored and no longer there. */
const compare = (
  plan: Plan,
  state: RunState.RunState,
): { readonly kept: number; readonly added: number; readonly gone: number } => {
  const known = new Set<NodeId>()
  let [kept, gone] = [0, 0]
  for (const record of HashMap.values(state.nodes)) {
    known.add(record.nodeId)
    if (!plan.positions.has(record.nodeId)) gone++
    else if (record.kind === "step" && RunState.isSettled(record)) kept++
  }
  let added = 0
  for (const nodeId of plan.positions.keys()) if (!known.has(nodeId)) added++
  return { kept, added, gone }
}

const failureOf = (runId: string, failed: Scheduler.Failed, plan: Plan, state: RunState.RunState): RunFailure => {
  const node = { runId, nodeId: failed.nodeId, iteration: failed.iteration }
  if (failed.reason._tag === "LoopLimit") return new LoopLimitReached({ ...node, maxIterations: failed.reason.maxIterations })
  const { error } = failed.reason
  const record = RunState.step(state, failed.nodeId, failed.iteration)
  const attempts = record?.attempt ?? 0
  if (error.kind === "crashLoop") return new CrashLoop({ ...node, interruptions: record?.interruptions ?? 0 })
  if (error.kind === undefined) return new StepFailed({ ...node, attempts, error })
  const step = plan.nodes[plan.positions.get(failed.nodeId) ?? -1]
  const limits = step?._tag === "Step" ? { timeout: step.timeoutMs, heartbeatTimeout: step.heartbeatTimeoutMs } : undefined
  return new StepTimedOut({ ...node, attempts, limit: error.kind, timeoutMs: limits?.[error.kind] ?? 0 })
}

const withCause = (failure: RunFailure, cause: unknown): RunFailure =>
  failure._tag === "StepFailed" && cause !== undefined
    ? new StepFailed({
        runId: failure.runId,
        nodeId: failure.nodeId,
        iteration: failure.iteration,
        attempts: failure.attempts,
        error: failure.error,
        cause,
      })
    : failure
