/**
 * Drives one claimed run: folds events, plans, schedules, commits one frame, and only then starts what the frame records as
 * started. All changes of a run go through here, one frame after another. The driver can be interrupted only while it waits. It
 * then interrupts its attempts, stores those that still finish, and releases the claim.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { limitsOf } from "./Agent.ts"
import type { AttemptName } from "./AgentJournal.ts"
import type * as Budget from "./Budget.ts"
import { decodeSharedNow, encodeNow } from "./Codec.ts"
import * as CodeGeneration from "./CodeGeneration.ts"
import type { Definition } from "./Definition.ts"
import {
  type DriverError,
  IncompatibleOutput,
  InvalidWorkflow,
  ReloadRefused,
  RunFenced,
  type RunNotFound,
  type StaleFrame,
  type StoreError,
  type StoreRefused,
  UnknownLimit,
  WorkflowMismatch,
} from "./Errors.ts"
import { type NodeKey, nodeKey, shownId } from "./Ids.ts"
import type { Command, InboxMessage, InboxShape } from "./Inbox.ts"
import * as Attempts from "./internal/attempts.ts"
import type * as Callers from "./internal/callers.ts"
import * as Capture from "./internal/capture.ts"
import * as Claims from "./internal/claims.ts"
import * as CommandEvents from "./internal/commandEvents.ts"
import * as Control from "./internal/control.ts"
import * as FrameBuilder from "./internal/frameBuilder.ts"
import * as Intervals from "./internal/intervals.ts"
import * as Jumps from "./internal/jumps.ts"
import * as Limited from "./internal/limited.ts"
import * as Outbox from "./internal/outbox.ts"
import * as Outcome from "./internal/outcome.ts"
import * as Patience from "./internal/patience.ts"
import * as Recovery from "./internal/recovery.ts"
import * as Refusal from "./internal/refusal.ts"
import * as Reload from "./internal/reload.ts"
import * as Rerun from "./internal/rerun.ts"
import * as Restore from "./internal/restore.ts"
import type * as Scoring from "./internal/scoring.ts"
import type { SlotQueue } from "./internal/slotQueue.ts"
import type * as Suspects from "./internal/suspects.ts"
import * as Tracing from "./internal/tracing.ts"
import * as Turn from "./internal/turn.ts"
import * as Workplace from "./internal/workplace.ts"
import * as Metrics from "./Metrics.ts"
import * as Millis from "./Millis.ts"
import type * as Plan from "./Plan.ts"
import * as PlanText from "./PlanText.ts"
import { type RunEvent, strayReadMessage } from "./RunEvent.ts"
import type { NewRun } from "./RunOwnership.ts"
import type { EndedResult } from "./RunResult.ts"
import * as RunResult from "./RunResult.ts"
import * as RunState from "./RunState.ts"
import type { Frame, OutputTable, RunStoreShape } from "./RunStore.ts"
import * as Scheduler from "./Scheduler.ts"
import * as Scores from "./Scores.ts"
import * as Status from "./Status.ts"
import type { RunPorts } from "./Storage.ts"
import { defined } from "./Struct.ts"
import * as Thrown from "./Thrown.ts"

export interface DriveOptions {
  readonly runId: string
  readonly epoch: number
  /** Set if the run was just created from this. */
  readonly created: NewRun | undefined
  readonly onIncompatible: "fail" | "rerun"
  /** Time by which a resumed run must finish (epoch ms). Default: as before. */
  readonly deadline: Millis.Millis | undefined
  /** `true` if that is only for a run that is reopened. */
  readonly isForReopened: boolean
  /** Default of its workflow. */
  readonly maxConcurrency: number
  /** The code that it is driven with, if that is watched. */
  readonly code: CodeGeneration.CodeGeneration | undefined
  /** Reports the code that the run goes on with. */
  readonly onCode: (code: CodeGeneration.CodeGeneration) => void
  readonly control: Control.Control
  /** Longest time an interrupted attempt may take to clean up (ms). */
  readonly graceMs: number
  /** `false` if steps run although their outputs are cached. */
  readonly readsCache: boolean
  /** `true` takes snapshots around each attempt, `false` takes none. */
  readonly snapshots: boolean | undefined
  readonly dailyBudget: Budget.Budget | undefined
  /** The places that the run works in, as the run says that started it here. `undefined` if it is driven without that. */
  readonly places: Workplace.Chain | undefined
  /** Tracks which runs the code of steps waits for. */
  readonly callers: Pick<Callers.Callers, "entering">
  /** Holds back steps that are suspected of killing their process. */
  readonly suspects: Suspects.Suspects
  /** Scores outputs beside the run. */
  readonly scoring: Scoring.Scoring
  /** Slots of limits. */
  readonly slots: SlotQueue
  /** Starts to drive a child run in this process. Called for each that begins, and for the open ones of a resumed run. */
  readonly startChild: (started: Outbox.StartedChild) => Effect.Effect<void, never, unknown>
}

export type { StartedChild } from "./internal/outbox.ts"

/**
 * Most plans per frame, each made from the consequences of the previous one. A plan takes about a millisecond. Then the frame
 * is committed, so that a run whose plan never settles can be cancelled.
 */
const plansPerFrame = 16

const initial = (runId: string, { budgets = noBudgets, deadline, depth = 0, startAt, chain }: NewRun): RunState.RunState => ({
  ...RunState.empty(runId),
  budgets,
  deadline,
  depth,
  startAt,
  chain,
})

const none: ReadonlyArray<never> = []

const noBudgets: ReadonlyArray<Budget.Claim> = []

const isSignalAwaited = (event: RunEvent): boolean => event._tag === "WaitStarted" && event.kind === "signal"

/** Delivers kept events to waits that are open. What fails here is made up for by the next one who calls it, such as a supervisor. */
const deliverPublished = (inbox: InboxShape, now: Millis.Millis): Effect.Effect<void> =>
  Effect.catchAll(Effect.asVoid(inbox.deliverPublished(now)), (error) =>
    Effect.logWarning(`published events could not be delivered: ${error.message}`),
  )

const undecided = {
  starts: [],
  wakeAt: undefined,
  waiting: [],
  isPaused: false,
  outcome: undefined,
  isPartial: false,
  isShort: false,
}

/**
 * The result of a run that has ended; `undefined` if it has not, or is being reopened. Plans nothing: the stored output is
 * decoded with the current schemas of its nodes. Values that no longer match are returned encoded.
 */
export const recall = <R>(
  store: RunStoreShape,
  definition: Definition<R>,
  runId: string,
): Effect.Effect<EndedResult<unknown> | undefined, StoreError | RunNotFound, R> =>
  Effect.gen(function* () {
    const state = yield* store.load(runId)
    const stored = RunResult.ofState(state)
    if (stored?.status !== "finished") return stored
    const output = yield* Restore.output(definition, state)
    return RunResult.finished(state, () => Restore.give(output))
  }) as Effect.Effect<EndedResult<unknown> | undefined, StoreError | RunNotFound, R>

/** An output to score. */
interface Unscored {
  readonly scorers: NonNullable<Plan.Step["scorers"]>
  readonly output: unknown
  readonly input: unknown
  readonly budgets: ReadonlyArray<Budget.Claim>
}

const scoreOne = (
  scoring: Scoring.Scoring,
  state: RunState.RunState,
  { runId, nodeId, iteration, attempt, scorer: name }: Scores.ScoreKey,
  { scorers, output, input, budgets }: Unscored,
): Effect.Effect<void, never, unknown> => {
  const scorer = scorers[name]
  const key = { runId, nodeId, iteration, attempt, scorer: name }
  const record = RunState.step(state, nodeId, iteration)
  const { attemptedAt, finishedAt } = record?.attempt === attempt ? record : {}
  const latencyMs = attemptedAt === undefined || finishedAt === undefined ? undefined : finishedAt - attemptedAt
  return scorer === undefined ? Effect.void : scoring.start({ key, scorer, input, output, latencyMs, budgets })
}

/** Makes scores that are due, as far as the plan has their scorers and the outputs are there. */
const scoreDue = (
  { scores }: Pick<RunPorts, "scores">,
  scoring: Scoring.Scoring,
  state: () => RunState.RunState,
  plan: () => Effect.Effect<Plan.Plan, unknown, unknown>,
  values: Scheduler.Values,
): Effect.Effect<void, never, unknown> =>
  Effect.gen(function* () {
    const { runId } = state()
    const due = yield* scores.scores({ runId, status: "due" })
    if (due.length === 0) return
    const drawn = yield* plan()
    for (const scoreKey of due) {
      const position = drawn.positions.get(scoreKey.nodeId) ?? -1
      const step = drawn.nodes[position]
      const key = nodeKey(scoreKey.nodeId, scoreKey.iteration)
      if (step?._tag !== "Step" || step.scorers === undefined || !values.outputs.has(key)) continue
      const output = values.outputs.get(key)
      yield* scoreOne(scoring, state(), scoreKey, {
        scorers: step.scorers,
        output,
        input: values.input,
        budgets: Claims.aroundOf(drawn, position, state()),
      })
    }
  }).pipe(Effect.catchAll((error) => Effect.logWarning(`scores of run ${state().runId} are left to others`, error)))

/** Makes the scores of a run that has ended which are due. */
export const scoreEnded = (
  { store, scores }: Pick<RunPorts, "store" | "scores">,
  definition: Definition<unknown>,
  runId: string,
  scoring: Scoring.Scoring,
): Effect.Effect<void, never, unknown> =>
  Effect.gen(function* () {
    const due = yield* scores.scores({ runId, status: "due", limit: 1 })
    if (due.length === 0) return
    const state = yield* store.load(runId)
    const { outputs } = yield* Restore.outputs(definition, RunState.records(state))
    const values = Scheduler.valuesOf(yield* Restore.input(definition, state.workflow, state.input), outputs)
    yield* scoreDue(
      { scores },
      scoring,
      () => state,
      () => Restore.plan(definition.planner(), state, values),
      values,
    )
  }).pipe(Effect.catchAll((error) => Effect.logWarning(`scores of run ${runId} are left to others`, error)))

interface Family {
  readonly store: RunStoreShape
  readonly definition: Definition<unknown>
  readonly values: Scheduler.Values
  readonly runId: string
}

/**
 * Finds a child run by the plan as of when it started, since it may have left the plan. None if the current code does not have
 * it either; a process with its code can resume it alone.
 */
const childOf = (
  { store, definition, values, runId }: Family,
  child: { readonly runId: string; readonly since: number },
): Effect.Effect<ReadonlyArray<Outbox.StartedChild>, never, unknown> =>
  Effect.gen(function* () {
    const then = yield* store.load(runId, { seq: child.since })
    const plan = yield* Restore.plan(definition.planner(), then, Restore.valuesAt(values, then))
    return Outbox.startedBy(plan, then, child.runId)
  }).pipe(Effect.catchAll((error) => Effect.as(Effect.logDebug(`child run ${child.runId} is left to others`, error), [])))

/** Detached child runs that have not ended. */
const openDetached = (reader: RunPorts["reader"], state: RunState.RunState) =>
  Effect.filter(Outbox.detached(state), ({ runId }) =>
    Effect.match(reader.run(runId), { onFailure: () => false, onSuccess: ({ run }) => run.finishedAt === null }),
  )

/** The open detached child runs of a run that has ended. */
export const detached = (
  { store, reader }: RunPorts,
  definition: Definition<unknown>,
  runId: string,
): Effect.Effect<ReadonlyArray<Outbox.StartedChild>, StoreError | RunNotFound, unknown> =>
  Effect.gen(function* () {
    const state = yield* store.load(runId)
    const open = yield* openDetached(reader, state)
    if (open.length === 0) return []
    const { outputs } = yield* Restore.outputs(definition, RunState.records(state))
    const input = yield* Effect.option(Restore.input(definition, state.workflow, state.input))
    if (Option.isNone(input)) return []
    const values = Scheduler.valuesOf(input.value, outputs)
    return (yield* Effect.forEach(open, (child) => childOf({ store, definition, values, runId }, child))).flat()
  })

/** Drives a claimed run until it ends, goes on as another run, is interrupted or is fenced. Call it uninterruptible. */
export const drive = <R>(
  ports: RunPorts,
  definition: Definition<R>,
  options: DriveOptions,
): Effect.Effect<EndedResult<unknown> | RunResult.Continued, DriverError, R> =>
  Effect.suspend(() => {
    const { control, runId, epoch } = options
    control.epoch = epoch
    const status = (): Status.ReleasedStatus => {
      // A run that made no progress, since its code cannot be loaded, keeps its status: a crash that is not recorded yet is
      // recorded later.
      const { stood } = control
      if (stood === "waiting" || stood === "paused" || stood === "running") return stood
      return control.isPaused ? "paused" : control.waiting.length > 0 ? "waiting" : "suspended"
    }
    const release = Effect.flatMap(Millis.now, (now) => ports.ownership.release(runId, epoch, now, status()))
    return Effect.onExit(loop(ports, definition, options), (exit) => {
      control.epoch = undefined
      options.suspects.releaseAll(runId)
      if (Exit.isSuccess(exit)) return Effect.void
      const released = Exit.isInterrupted(exit) ? release : Patience.retryWhileBusy(release, Control.noteOutage(control, runId))
      // It is free once its lease has ended.
      return Effect.catchAll(released, (error) => Effect.logWarning(`run ${runId} could not be released`, error))
    }) as Effect.Effect<EndedResult<unknown> | RunResult.Continued, DriverError, R>
  })

const loop = (
  { store, inbox, reader, journal, slots, memory, scores, snapshots }: RunPorts,
  begun: Definition<unknown>,
  options: DriveOptions,
): Effect.Effect<EndedResult<unknown> | RunResult.Continued, DriverError, unknown> =>
  Effect.gen(function* () {
    /** The code of the run; other code may take its place at a frame boundary. */
    let definition = begun
    const { runId, epoch, created } = options
    const { intake, deliver, commits } = options.control
    const onOutage = Control.noteOutage(options.control, runId)
    let planner = definition.planner()
    const clock = yield* Effect.clock
    let now = Millis.unsafeNow(clock)

    const loaded = created === undefined ? yield* store.load(runId) : initial(runId, created)
    if (created === undefined) options.control.stood = loaded.status
    const { workflow } = created ?? loaded
    if (definition.name !== undefined && definition.name !== workflow) {
      return yield* new WorkflowMismatch({ runId, workflow: definition.name, stored: workflow })
    }
    const outer = options.places ?? (yield* Workplace.inherited(store, (created ?? loaded).parent))
    const isTraced = yield* Tracing.isTraced
    if (isTraced) yield* Effect.annotateCurrentSpan("workflow", workflow)
    // A run that its parent or a signal created starts with its first claim.
    const counter = epoch === 1 ? Metrics.runsStarted : Metrics.runsResumed
    counter.unsafeUpdate(1, Metrics.tagged(workflow))
    yield* store.prepareOutputs(workflow, definition.tables)
    let added: ReadonlyArray<OutputTable> | undefined
    const prepareAdded = Effect.suspend(() => {
      const tables = planner.tables?.()
      if (tables === undefined || tables === added) return Effect.void
      added = tables
      return Patience.retryWhileBusy(store.prepareOutputs(workflow, tables), onOutage)
    })
    const records = RunState.records(loaded)
    const restored = yield* Restore.outputs(definition, records)
    const { incompatible } = restored
    let { outputs } = restored
    if (incompatible.length > 0 && options.onIncompatible === "fail") {
      return yield* new IncompatibleOutput({ runId, nodes: incompatible })
    }
    const stored = created === undefined ? loaded.input : created.input
    let values = Scheduler.valuesOf(yield* Restore.input(definition, workflow, stored), outputs)
    const services = yield* Effect.context<unknown>()
    const look = () => intake.push({ _tag: "Turn" })
    const limited = Limited.make({
      slots: options.slots,
      runId,
      epoch,
      compute: (start) => computeLimit(start),
      wake: look,
      now: () => Millis.unsafeNow(clock),
      patienceMs: Scheduler.patienceMs,
    })
    /** Snapshots as the workflow or the engine says. */
    const capturing = (): boolean | undefined => planner.snapshots?.() ?? definition.snapshots ?? options.snapshots
    const attempts = Attempts.make({
      store,
      journal,
      memory,
      capture: (start, program, worktree) =>
        Capture.around({ snapshots, onOutage, runId, epoch, start, worktree, graceMs: options.graceMs }, capturing(), program),
      isCaptured: ({ step }) => Capture.isWanted(step, capturing()),
      onOutage,
      graceMs: options.graceMs,
      dailyBudget: options.dailyBudget,
      clock,
      isTraced,
      workflow,
      version: () => definition.version,
      retryOf: (nodeId) => {
        const step = plan.find(nodeId)
        return step?._tag === "Step" ? step.retry : undefined
      },
      readsCache: options.readsCache,
      runId,
      epoch,
      onExit: (key, exit) => intake.push({ _tag: "Exit", key, exit }),
      onBeat: (key) => intake.push({ _tag: "Beat", key }),
      enter: options.callers.entering(runId),
      slot: limited.call,
      onIdle: look,
      onSettled: (key) => {
        options.suspects.release(runId, key)
        limited.end(key)
      },
    })

    const frame = FrameBuilder.make(runId, epoch, loaded)
    // A run that begins with this claim has no code on record.
    const generations = created === undefined ? yield* reader.generations(runId) : []
    const generation = CodeGeneration.begun(generations.at(-1), options.code)
    let codeGeneration = generation?.generation ?? 0
    const goOnWith = (code: CodeGeneration.CodeGeneration): void => {
      frame.goOnWith(code)
      options.onCode(code)
    }
    if (generation !== undefined && generation !== generations.at(-1)) goOnWith(generation)
    attempts.renew(codeGeneration)
    /** Code that is offered, to be judged at the next frame boundary. */
    let offers: Array<Reload.Offer> = []
    /** Outputs to score once their frame is stored. */
    const unscored = new Map<NodeKey, Omit<Unscored, "input" | "budgets">>()
    const score = (keys: NonNullable<Frame["scores"]>) =>
      Effect.forEach(
        keys,
        (scoreKey) => {
          const key = nodeKey(scoreKey.nodeId, scoreKey.iteration)
          const found = unscored.get(key)
          if (found === undefined) return Effect.void
          const position = plan.positions.get(scoreKey.nodeId)
          const budgets = position === undefined ? frame.state.budgets : Claims.aroundOf(plan, position, frame.state)
          return scoreOne(options.scoring, frame.state, { runId, ...scoreKey }, { ...found, input: values.input, budgets })
        },
        { discard: true },
      )
    /** The refusal of the run's output, if it cannot be stored. */
    let refused: StoreRefused | undefined
    /** Nodes that a command asks to run again. */
    let wanted: Array<Extract<Command, { readonly _tag: "Retry" }>> = []

    const append = (event: RunEvent): void => {
      frame.append(event, now)
      if (event._tag === "NodeReset") outputs.delete(nodeKey(event.nodeId, event.iteration))
    }
    const hear = (command: InboxMessage): void => {
      if (frame.consume(command, now) && command.command._tag === "Retry") wanted.push(command.command)
    }
    /** Gives the run up once its deadline has passed, like a cancellation: through its boundaries. */
    const expire = (): void => {
      const { deadline, cancel } = frame.state
      const isCancelled = cancel !== undefined && cancel.continuation === undefined
      if (deadline !== undefined && deadline <= now && !isCancelled) append({ _tag: "CancelRequested", deadline })
    }
    /** Turns incoming items into events. */
    const ingest = (item: Control.Item): void => {
      if (item._tag === "Command") hear(item.command)
      if (item._tag === "Code") offers.push(item.offer)
      if (item._tag !== "Exit") return
      const settled = attempts.settle(item.key, item.exit)
      if (settled === undefined) return
      for (const event of settled.events) append(event)
      const [event] = settled.events
      if (settled.result?._tag !== "Succeeded" || event._tag !== "AttemptSucceeded") return
      const { nodeId, iteration } = event
      outputs.set(item.key, settled.result.value)
      if (settled.isOld) {
        // The current code reads it as it reads stored outputs.
        const codec = definition.codecOf(nodeId, event.table ?? "")
        const reread = codec === undefined ? undefined : decodeSharedNow(codec, settled.result.output, services)
        if (codec === undefined) outputs.delete(item.key)
        else if (reread !== undefined && Either.isRight(reread)) outputs.set(item.key, reread.right)
        else if (options.onIncompatible === "rerun") append({ _tag: "NodeReset", nodeId, iteration })
      }
      const { cacheKey } = settled.result
      if (settled.result.facts !== undefined) frame.remember(settled.result.facts.map((fact) => ({ ...fact, nodeId, iteration })))
      const { scorers } = settled
      if (scorers !== undefined && settled.result.cachedFrom === undefined) {
        const { attempt } = event
        const due = Object.entries(scorers).flatMap(([scorer, { sampling }]) => {
          const key = { nodeId, iteration, attempt, scorer }
          return Scores.isSampled(sampling, { runId, nodeId, iteration, scorer }) ? [key] : []
        })
        frame.score(due)
        if (due.length > 0) unscored.set(item.key, { scorers, output: settled.result.value.give() })
      }
      const shared = settled.isShared === true ? { isShared: true } : {}
      if (cacheKey !== undefined) frame.cache({ nodeId, iteration, key: cacheKey, ...shared })
    }
    const commit = (
      changed: Frame["plan"],
    ): Effect.Effect<ReadonlyArray<Outbox.StartedChild>, StoreError | RunFenced | StaleFrame> => {
      if (frame.isEmpty) return Effect.succeed(none)
      const { spawned, sent, started } = Outbox.make(plan, frame, now)
      const built = frame.build({ at: now, plan: changed, spawned, sent })
      options.control.stood = undefined
      Metrics.frames.unsafeUpdate(1, Metrics.tagged(workflow))
      const committed = Effect.map(Patience.retryWhileBusy(store.commit(built), onOutage), () => {
        frame.accept()
        return started
      })
      const { scores: due } = built
      const scored =
        due === undefined
          ? committed
          : Effect.tap(committed, () => {
              const begun = Effect.provide(score(due), services)
              return Effect.map(begun, () => {
                for (const { nodeId, iteration } of due) unscored.delete(nodeKey(nodeId, iteration))
              })
            })
      const delivered = built.events.some(isSignalAwaited) ? Effect.tap(scored, () => deliverPublished(inbox, now)) : scored
      return isTraced ? Effect.tap(delivered, () => Tracing.waits(frame.state, built.events)) : delivered
    }
    /** Rolls back a frame whose content the store refuses, except for the events it was given, and fails the node at fault. */
    const takeBack = (error: StoreRefused): Effect.Effect<void, StoreRefused> =>
      Effect.suspend(() => {
        const culprit = Refusal.culprit(frame.received(), frame.pending?.events ?? [], error, plan)
        if (culprit === undefined) return error
        if (culprit._tag === "Output") refused = error
        const key = culprit._tag === "Node" ? nodeKey(culprit.nodeId, culprit.iteration) : undefined
        frame.takeBack((entry) => nodeKey(entry.nodeId, entry.iteration) !== key)
        for (const event of culprit.events) append(event)
        if (key !== undefined) outputs.delete(key)
        return Effect.void
      })
    /** Rolls back a frame that contradicts a command, except for the events it was given, and applies the commands. */
    const listen: Effect.Effect<void, StoreError> = Effect.map(inbox.pending, (commands) => {
      const received = frame.received()
      frame.takeBack()
      for (const event of received) append(event)
      for (const command of commands) if (command.runId === runId) hear(command)
    })
    /** Interrupts the attempts, stores those that still finish, and leaves the run resumable. */
    const suspend = Effect.gen(function* () {
      limited.keep()
      yield* attempts.interrupt
      const { pending } = frame
      // The store may be back by now; there is no later try.
      if (pending !== undefined)
        yield* Effect.matchEffect(store.commit(pending), {
          onSuccess: () => Effect.sync(frame.accept),
          onFailure: (error) => (error._tag === "StaleFrame" ? listen : Effect.fail(error)),
        })
      now = Millis.unsafeNow(clock)
      for (const item of intake.drain()) if (item._tag === "Exit") ingest(item)
      for (let isKept = false; !isKept; ) {
        frame.mark()
        isKept = yield* Effect.as(commit(undefined), true).pipe(
          Effect.catchTags({
            StoreRefused: (error) => Effect.as(takeBack(error), false),
            StaleFrame: () => Effect.as(listen, false),
          }),
        )
      }
    }).pipe(Effect.catchAll((error) => Effect.logWarning(`run ${runId} could not be suspended in order: ${error.message}`)))

    // Begins the run, or continues it.
    if (frame.state.seq === 0) {
      // Also if its creator died before the first frame: the next claim begins it.
      const trace = isTraced ? yield* Tracing.currentTrace : undefined
      append({ ...CommandEvents.started({ ...(created ?? frame.state), workflow }), ...defined({ trace }) })
    } else if (isTraced) {
      const [first] = yield* reader.events(runId, { limit: 1 })
      if (first?.event._tag === "RunStarted" && first.event.trace !== undefined) yield* Tracing.linkTo(first.event.trace)
    }
    const readPlan = Effect.map(reader.plan(runId), PlanText.decode)
    const drawnBefore = created === undefined && planner.recall !== undefined ? yield* readPlan : undefined
    if (drawnBefore !== undefined) planner.recall?.(drawnBefore)
    let plan = yield* Restore.plan(planner, frame.state, values)
    yield* prepareAdded
    yield* checkLimits(slots, plan, workflow)
    if (frame.state.seq === 1) {
      const deadline = deadlineOf(
        frame.state,
        planner.deadlineMs?.() ?? definition.deadlineMs,
        Millis.make(Math.max(now, frame.state.startAt ?? 0)),
      )
      if (deadline !== undefined) append({ _tag: "DeadlineSet", deadline })
    }
    let knownPlan: string | undefined
    if (created === undefined) {
      // It was released in order, perhaps before its attempts were recorded: they did not kill its process.
      const reason = frame.state.status === "running" ? "crash" : "shutdown"
      yield* deliverPublished(inbox, now)
      const commands = (yield* inbox.pending).filter((command) => command.runId === runId)
      // A command to run a node again reopens the run.
      const retried = commands.flatMap(({ command }) => (command._tag === "Retry" ? [command.nodeId] : []))
      const isEnded = RunState.isEnded(frame.state)
      const isRevived = isEnded || retried.length > 0
      // A run that is only to be cancelled keeps its outputs.
      const isToBeCancelled = commands.some(({ command }) => command._tag === "Cancel")
      const isStopping = isToBeCancelled || (frame.state.cancel !== undefined && !isRevived)
      const stuck = incompatible.filter(({ nodeId }) => plan.loopOf(plan.positions.get(nodeId) ?? -1) >= 0)
      if (stuck.length > 0 && !isStopping) return yield* new IncompatibleOutput({ runId, nodes: stuck })
      const compared = Restore.compare(plan, records)
      yield* Effect.logDebug(`run ${runId} resumed: ${compared.kept} kept, ${compared.added} new, ${compared.removed} removed`)
      append({ _tag: "RunResumed", epoch, ...compared })
      if (options.deadline !== undefined && (isEnded || !options.isForReopened))
        append({ _tag: "DeadlineSet", deadline: options.deadline })
      for (const { nodeId, iteration } of isStopping ? [] : incompatible) append({ _tag: "NodeReset", nodeId, iteration })
      const isClose = records.some(Recovery.isAtCrashLimit)
      const made = isClose ? yield* journal.progress(runId) : []
      // One of the attempts that count towards the limit had got on: its process was not killed by the step.
      const hasProgress = ({ nodeId, iteration, attempt }: AttemptName): boolean =>
        made.some((one) => one.nodeId === nodeId && one.iteration === iteration && one.attempt > attempt - Recovery.crashLoopLimit)
      for (const event of Recovery.recover(plan, frame.state, records, isRevived, reason, retried, hasProgress)) append(event)
      for (const command of commands) deliver(command)
      for (const item of intake.drain()) ingest(item)
      if (planner.observe(frame.events)) plan = yield* Restore.plan(planner, frame.state, values)
    }
    expire()
    const observe = (event: RunEvent): boolean => planner.observe([event])
    /** Validates input from outside synchronously, in the middle of scheduling. */
    const accept = (wait: Plan.Wait, key: NodeKey, value: unknown): Scheduler.Accepted => {
      const accepted = Either.flatMap(encodeNow(wait.codec, value, services), (stored) =>
        Either.map(decodeSharedNow(wait.codec, stored, services), (kept) => ({ stored, kept })),
      )
      return Either.map(accepted, ({ stored, kept }) => {
        outputs.set(key, kept)
        return stored
      })
    }
    /** Encodes the input of the run that this one goes on as. */
    const encodeInput: Scheduler.EncodeInput = (value) => encodeNow(definition.input, value, services)
    const intervals = Intervals.make(clock)
    const admit = (key: NodeKey): boolean => options.suspects.admit(runId, key, () => intake.push({ _tag: "Turn" }))
    /** Child runs that rest, or are not worked on here, by the nodes that started them. */
    const resting = new Set<NodeKey>()
    const { grant, rest: queued } = limited
    const schedulingOf = () => ({
      ...{ resting, observe, accept, encodeInput, running: attempts.keys, intervals, admit, grant, queued },
      maxConcurrency: definition.maxConcurrency ?? options.maxConcurrency,
      codeGeneration: codeGeneration === 0 ? undefined : codeGeneration,
    })
    let scheduling = schedulingOf()
    let hasLoops = plan.nodes.some(({ _tag }) => _tag === "Loop")
    // The stored plan of a resumed run is the one at its release.
    const drawn = created === undefined && plan.isRendered && hasLoops ? (drawnBefore ?? (yield* readPlan)) : undefined
    let schedule = Scheduler.make(plan, values, { ...scheduling, ...defined({ before: drawn }) })
    const computeLimit = ({ step, position }: Scheduler.Start): unknown =>
      typeof step.limit === "function"
        ? step.limit(
            { input: values.input, runId, iteration: schedule.pass(position), ...schedule.needs(position).values },
            frame.state,
            unnoted,
          )
        : undefined
    let absorbed: ReadonlyArray<RunEvent> = []
    /** Runs nodes again that a command named, with the nodes that depend on them. */
    const runAgain = Effect.gen(function* () {
      const was = plan
      const chosen = wanted.flatMap(({ nodeId, iteration }) =>
        Recovery.canRetry(plan, frame.state, nodeId, iteration) ? [nodeId] : [],
      )
      wanted = []
      yield* Rerun.make(plan, chosen, {
        ...{ state: () => frame.state, append, readsInFlight: attempts.reads },
        abandon: (before, resets) => attempts.abandon(Recovery.cutShort(before, resets, attempts.keys())),
        replan: (resets) =>
          Effect.gen(function* () {
            const before = plan
            planner.observe(resets)
            plan = yield* Restore.plan(planner, frame.state, values)
            yield* prepareAdded
            if (plan.text !== before.text) append(planChanged(before, plan))
            return plan
          }),
      })
      schedule = Scheduler.make(plan, values, { ...scheduling, before: was })
      absorbed = []
    }).pipe(Effect.tapErrorCause(() => suspend))
    const replan = Effect.gen(function* () {
      const before = plan
      plan = yield* Restore.plan(planner, frame.state, values)
      yield* prepareAdded
      schedule = Scheduler.make(plan, values, { ...scheduling, before })
      absorbed = []
      if (plan.text !== before.text) append(planChanged(before, plan))
    }).pipe(Effect.tapErrorCause(() => suspend)) // What has happened was not the plan's fault, and is kept.

    /** Plans with new code, which changes nothing of the run. */
    const planWith = (next: Definition<unknown>) =>
      Effect.gen(function* () {
        const changed = Reload.changedOutputs(definition.tables, next.tables)
        if (changed.length > 0) {
          const problem = `the schema of the output ${changed.join(" and that of the output ")} changed, which needs a restart`
          return yield* new ReloadRefused({ runId, reason: "restart", problem })
        }
        const records = RunState.records(frame.state)
        const { outputs, incompatible } = yield* Restore.outputs(next, records)
        const values = Scheduler.valuesOf(yield* Restore.input(next, workflow, frame.state.input), outputs)
        const resets = incompatible.map(({ nodeId, iteration }): RunEvent => ({ _tag: "NodeReset", nodeId, iteration }))
        const state = resets.reduce((before, event) => RunState.apply(before, event, now), frame.state)
        const planner = next.planner()
        planner.recall?.(PlanText.decode(plan.text))
        const planned = yield* Restore.plan(planner, state, values)
        yield* checkLimits(slots, planned, workflow)
        const stuck =
          options.onIncompatible === "fail"
            ? incompatible
            : incompatible.filter(({ nodeId }) => planned.loopOf(planned.positions.get(nodeId) ?? -1) >= 0)
        if (stuck.length > 0) {
          const { message: problem } = new IncompatibleOutput({ runId, nodes: stuck })
          return yield* new ReloadRefused({ runId, reason: "incompatible", problem })
        }
        return { definition: next, planner, planned, outputs, values, resets, counts: Restore.compareCode(plan, planned, records) }
      }).pipe(
        Effect.catchAllCause((cause) => {
          const [known] = Cause.failures(cause)
          if (known instanceof ReloadRefused) return known
          const thrown = Cause.squash(cause)
          return new ReloadRefused({ runId, reason: "plan", problem: Thrown.describe(thrown, []).message, cause: thrown })
        }),
      )
    /** Answers an offer of code. Returns `true` if the run goes on with it. */
    const answer = ({ definition: next, generation, code, reply }: Reload.Offer) =>
      Effect.gen(function* () {
        const before = codeGeneration
        const { planner: fresh, planned, counts, resets, ...made } = yield* planWith(next)
        if (generation !== undefined) {
          const beside = fresh.tables?.()
          const tables = beside === undefined ? next.tables : [...next.tables, ...beside]
          yield* Patience.retryWhileBusy(store.prepareOutputs(workflow, tables), onOutage)
          // From here on nothing fails: the code is taken over as a whole.
          added = beside
          ;({ definition, outputs, values } = made)
          planner = fresh
          codeGeneration = generation
          append({ _tag: "CodeReloaded", codeGeneration, ...counts })
          for (const event of resets) append(event)
          goOnWith({ generation, code })
          attempts.renew(codeGeneration)
          const was = plan
          plan = planned
          hasLoops = plan.nodes.some(({ _tag }) => _tag === "Loop")
          scheduling = schedulingOf()
          schedule = Scheduler.make(plan, values, { ...scheduling, before: was })
          if (plan.text !== was.text) append(planChanged(was, plan))
        }
        yield* Deferred.succeed(reply, { ...counts, before, children: Outbox.family(planned, frame.state) })
        return generation !== undefined
      }).pipe(
        Effect.catchAll((error) => {
          const refused =
            error instanceof ReloadRefused
              ? error
              : new ReloadRefused({ runId, reason: "plan", problem: error.message, cause: error })
          return Effect.as(Deferred.fail(reply, refused), false)
        }),
      )

    const decide = (): Scheduler.Decision => {
      limited.begin()
      const decision = schedule.next()
      limited.sweep()
      frame.appendAll(decision)
      return decision
    }

    const startChildren = (children: ReadonlyArray<Outbox.StartedChild>) =>
      Effect.forEach(
        children,
        ({ places, ...child }) => {
          const within = child.parent.isAttached ? [...outer, ...places] : []
          return Effect.provide(options.startChild({ ...child, places: within }), services)
        },
        { discard: true },
      )

    /** Begins a frame again that the store did not commit, from a new plan of the state before it. */
    const beginAgain = (error: StoreRefused | StaleFrame) =>
      Effect.gen(function* () {
        yield* error._tag === "StaleFrame" ? Patience.retryWhileBusy(listen, onOutage) : takeBack(error)
        planner = definition.planner()
        const drawn = planner.recall !== undefined || (plan.isRendered && hasLoops) ? yield* readPlan : undefined
        if (drawn !== undefined) planner.recall?.(drawn)
        plan = yield* Restore.plan(planner, frame.state, values)
        yield* prepareAdded
        knownPlan = undefined
        // The new nodes of a pass are those that the plan of the last committed frame lacks.
        schedule = Scheduler.make(plan, values, { ...scheduling, ...defined({ before: drawn }) })
        absorbed = []
        if (wanted.length > 0) yield* runAgain
      })

    const goOn = Effect.gen(function* () {
      if (created === undefined)
        yield* scoreDue(
          { scores },
          options.scoring,
          () => frame.state,
          () => Effect.succeed(plan),
          values,
        )
      if (wanted.length > 0) yield* runAgain
      const strays = created === undefined ? Outbox.strays(plan, frame.state) : []
      const others = created === undefined ? [...strays, ...(yield* openDetached(reader, frame.state))] : []
      const found =
        others.length === 0 ? [] : yield* Effect.forEach(others, (other) => childOf({ store, definition, values, runId }, other))
      // A process with the code of a child run drives it.
      for (const [index, { key }] of strays.entries()) if (found[index]?.length === 0) resting.add(key)
      let adopted: ReadonlyArray<Outbox.StartedChild> = [...Outbox.open(plan, frame.state), ...found.flat()]
      for (;;) {
        frame.mark()
        // Folds and plans until the plan settles, but not for ever without a commit.
        let consequences = schedule.advance(frame.state, absorbed, now)
        let isStale = false
        for (let plans = 0; ; plans++) {
          frame.appendAll(consequences)
          for (const interrupt of consequences.interrupts) {
            frame.interrupt(interrupt)
            yield* attempts.stop(interrupt.key, interrupt.reason)
          }
          isStale = consequences.isStale
          if (!isStale || plans === plansPerFrame) break
          yield* replan
          consequences = schedule.advance(frame.state, absorbed, now)
        }
        // A stale plan starts nothing.
        const decision: Omit<Scheduler.Decision, "state" | "events"> = isStale ? undecided : decide()

        const ending = Outcome.of({ outcome: decision.outcome, state: frame.state, plan, schedule, attempts, refused })
        if (ending !== undefined) {
          const strayReads = planner.strayReads?.(frame.state) ?? []
          append({ ...ending.event, ...(strayReads.length === 0 ? {} : { strayReads }) })
        }
        const changed = plan.text === knownPlan ? undefined : { text: plan.text, base: knownPlan }
        knownPlan = plan.text
        type Committed = Effect.Effect<ReadonlyArray<Outbox.StartedChild> | undefined, DriverError>
        const children = yield* Effect.catchAll(
          commit(changed),
          (error): Committed =>
            error._tag === "StoreRefused" || error._tag === "StaleFrame"
              ? Effect.as(beginAgain(error), undefined)
              : Effect.fail(error),
        )
        if (children === undefined) continue
        options.control.waiting = decision.waiting
        options.control.isPaused = decision.isPaused
        if (adopted.length > 0 || children.length > 0) yield* startChildren([...adopted, ...children])
        adopted = none
        commits.bump()
        if (ending !== undefined) {
          const { status } = frame.state
          if (Status.isEnded(status)) Metrics.runsEnded.unsafeUpdate(1, Metrics.tagged(workflow, status))
          for (const stray of frame.state.strayReads ?? []) yield* Effect.logWarning(`Run "${runId}": ${strayReadMessage(stray)}`)
          return ending.result(frame.state)
        }
        // Here, so that attempts may begin at once after it.
        if (decision.starts.length > 0 && Turn.isDue(clock)) yield* Turn.turn
        for (const start of decision.starts) {
          const record = RunState.step(frame.state, start.step.id, start.iteration)
          const [pass, needs] = [schedule.pass(start.position), schedule.needs(start.position)]
          const refusal = limited.launch(start)
          const isAsking = start.step.agentSpec !== undefined
          const budgets = isAsking ? Claims.of(plan, start.position, frame.state, start.iteration) : noBudgets
          const places = Workplace.around(plan, start.position, runId, outer)
          const context = { record, pass, needs, input: values.input, state: frame.state, now, budgets, refusal, places }
          const launched = attempts.launch(start, context)
          if (launched !== undefined) yield* launched
        }
        // A plan that does not settle cannot decide which attempts to stop.
        if (frame.state.cancel !== undefined && isStale) yield* attempts.stopAll("cancelled")

        // Waits until something happens or the next retry is due, unless more work follows already.
        const { cancel } = frame.state
        const deadline = cancel === undefined || cancel.continuation !== undefined ? frame.state.deadline : undefined
        const wakeAt = earliest(decision.wakeAt, earliest(deadline, limited.restAt()))
        const isPartial = isStale || consequences.isPartial || decision.isPartial || offers.length > 0
        const news = wakeAt === undefined ? intake.filled : Effect.raceFirst(intake.filled, Jumps.pauseUntil(wakeAt))
        let [hasJumped, isTurn, isReloaded] = [false, false, false]
        for (let isNews = false; !isNews; ) {
          if (!(intake.isFilled() && Turn.mayBeginMany(clock)))
            yield* Effect.interruptible(Turn.beforeMany(clock, isPartial ? Effect.yieldNow() : news))
          // Attempts that end at the same moment go into one frame, and all that were started begin before one of them ends.
          if (attempts.size() > 1 && attempts.working() > 0) yield* Effect.yieldNow()
          now = Millis.unsafeNow(clock)
          // After a clock jump, due times change.
          if (wakeAt !== undefined && intervals.look()) hasJumped = true
          for (const item of intake.drain()) {
            if (item._tag === "Turn") isTurn = true
            if (item._tag === "Rest") {
              if (item.isIdle) resting.add(item.key)
              else resting.delete(item.key)
              schedule.noteRest(item.key)
              // A ready step may take its slot.
              if (decision.isShort) isTurn = true
            }
            if (item._tag === "Fenced") return yield* new RunFenced({ runId, epoch })
            if (item._tag === "Lost") return yield* item.error
            if (item._tag === "Obstructed") return yield* Effect.failCause(item.cause)
            if (item._tag === "Beat") yield* Effect.fork(Effect.interruptible(attempts.writeBeats(item.key)))
            else ingest(item)
          }
          const isDue = hasJumped || (wakeAt !== undefined && wakeAt <= now)
          // A command that arrived in time counts before a deadline passes, even if this process has not read it yet.
          if (isDue) {
            for (const command of yield* Effect.orElseSucceed(inbox.pending, () => [])) if (command.runId === runId) hear(command)
          }
          if (isDue) expire()
          const offered = offers
          offers = []
          for (const offer of offered) if (yield* answer(offer)) isReloaded = true
          isNews = isPartial || !frame.isEmpty || isDue || isTurn
        }
        options.control.waiting = []
        options.control.isPaused = false
        absorbed = isReloaded ? [] : frame.events.slice()
        if (wanted.length > 0) {
          planner.observe(absorbed)
          yield* runAgain
        } else if ((absorbed.length > 0 && planner.observe(absorbed)) || isStale) yield* replan
        else if (hasJumped) {
          schedule = Scheduler.make(plan, values, scheduling)
          absorbed = []
        }
      }
    })
    // Whatever stops the driver, its attempts end before the claim is released and callers are notified.
    const stopped = Effect.onExit(goOn, (exit) => {
      if (Exit.isSuccess(exit)) return Effect.void
      return Exit.isInterrupted(exit) ? suspend : attempts.interrupt
    }).pipe(Effect.ensuring(Effect.sync(limited.close)))
    return yield* isTraced ? Effect.ensuring(stopped, Effect.sync(attempts.endSpans)) : stopped
  })

const earliest = (one: number | undefined, other: number | undefined): number | undefined =>
  one === undefined || other === undefined ? (one ?? other) : Math.min(one, other)

/** The deadline of a run that begins: as its caller asks, or by its workflow; for a child run the earlier of both. */
const deadlineOf = (
  { deadline, parent }: RunState.RunState,
  ownMs: Millis.Millis | undefined,
  now: Millis.Millis,
): Millis.Millis | undefined => {
  const own = ownMs === undefined ? undefined : Millis.after(now, ownMs)
  if (deadline === undefined || own === undefined) return deadline ?? own
  return parent !== undefined && own < deadline ? own : deadline
}

/** What the key of a limit was computed of changes nothing that the step does. */
const unnoted: Plan.NoteRead = () => {}

/** Refuses a plan that names a limit which the store has not. Functions, and steps of later plans, are checked when they are ready. */
const checkLimits = (
  slots: RunPorts["slots"],
  plan: Plan.Plan,
  workflow: string,
): Effect.Effect<void, StoreError | InvalidWorkflow> => {
  const mayName = (node: Plan.Node): node is Plan.Step =>
    node._tag === "Step" && (node.limit !== undefined || node.agentSpec !== undefined)
  if (!plan.nodes.some(mayName)) return Effect.void
  const named = plan.nodes.flatMap((node) => {
    if (!mayName(node)) return []
    const own = typeof node.limit === "object" ? [node.limit.name] : []
    const ofAgents = (node.agentSpec?.agents ?? []).flatMap((agent) => limitsOf(agent))
    return [...own, ...ofAgents].map((name) => ({ name, nodeId: node.id }))
  })
  if (named.length === 0) return Effect.void
  return Effect.flatMap(slots.limits, (stored) => {
    const known = stored.map(({ name }) => name)
    const stray = named.find(({ name }) => !known.includes(name))
    if (stray === undefined) return Effect.void
    const { message: problem } = new UnknownLimit({ limit: stray.name, known })
    return new InvalidWorkflow({ workflow, where: `step ${shownId(stray.nodeId)}`, problem: problem.replace(/\.$/, "") })
  })
}

/** The difference between two plans, by id. */
const planChanged = (before: Plan.Plan, after: Plan.Plan): RunEvent => {
  const changes = PlanText.diff(before, after)
  return {
    _tag: "PlanChanged",
    mounted: PlanText.changed(changes, "added"),
    unmounted: PlanText.changed(changes, "removed"),
    changed: PlanText.changed(changes, "changed", "moved"),
  }
}
