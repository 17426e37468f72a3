/**
 * The attempts of one run that are in flight in this process. Also the state that outlives a single attempt: the position of a
 * step's retry policy, its span and its last heartbeat.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as Tracer from "effect/Tracer"
import type { AgentTurn } from "../Agent.ts"
import type { AgentJournalShape, AttemptRequest, SlotError } from "../AgentJournal.ts"
import type * as Budget from "../Budget.ts"
import type { Json } from "../Codec.ts"
import { isTransient } from "../Errors.ts"
import { type NodeId, type NodeKey, nodeKey } from "../Ids.ts"
import type { Queue } from "../Limits.ts"
import type { MemoryShape } from "../Memory.ts"
import * as Metrics from "../Metrics.ts"
import * as Millis from "../Millis.ts"
import type * as Plan from "../Plan.ts"
import type { StepRecord } from "../Records.ts"
import type { Driver, RetryPolicy } from "../RetryPolicy.ts"
import type { RunEvent } from "../RunEvent.ts"
import type { RunState } from "../RunState.ts"
import type { RunStoreShape } from "../RunStore.ts"
import type { Start } from "../Scheduler.ts"
import * as Secrets from "../Secrets.ts"
import * as StepProgram from "../StepProgram.ts"
import type { Transact } from "../Transaction.ts"
import * as Claims from "./claims.ts"
import { toleranceMs } from "./intervals.ts"
import * as Patience from "./patience.ts"
import * as Tracing from "./tracing.ts"
import * as Turn from "./turn.ts"
import * as Workplace from "./workplace.ts"

/**
 * Least time between two writes of an attempt's heartbeat details (ms): often enough to resume from, and rare enough to be
 * cheap.
 */
const heartbeatIntervalMs = 500

const noReads: ReadonlyArray<NodeKey> = []

/** The reason an attempt is interrupted although its run continues or ends in order. */
type Stop = "fail-fast" | "cancelled" | "reset"

interface InFlight {
  readonly start: Start
  /** Monotonic time. */
  readonly startedAt: number
  /** `undefined` if its code has ended within the call that began it. */
  readonly fiber: Fiber.RuntimeFiber<StepProgram.AttemptResult> | undefined
  readonly ending: StepProgram.Ending
  readonly turns: ReadonlyArray<AgentTurn>
  readonly beat: Beat
  readonly reads: Reads
  /** The code that it began with. */
  readonly codeGeneration: number
  stop: Stop | undefined
}

/** Rows that the code of an attempt has read. */
interface Reads {
  readonly before: ReadonlyArray<NodeKey>
  made: Set<NodeKey> | undefined
}

/** The last heartbeat of an attempt. */
interface Beat {
  details: Json | undefined
  isWritten: boolean
  isWriting: boolean
}

/** The result of an attempt. */
interface Settled {
  /** In order; the first ends the attempt. */
  readonly events: readonly [RunEvent, ...ReadonlyArray<RunEvent>]
  readonly key: NodeKey
  readonly result: StepProgram.AttemptResult | undefined
  /** `true` if it began with code that the run has left. */
  readonly isOld: boolean
  /** `true` if its output is cached for all steps of the store. */
  readonly isShared?: boolean
  /** Scorers of its output. */
  readonly scorers?: Plan.Step["scorers"] | undefined
}

export interface Attempts {
  readonly size: () => number
  /** Number of attempts that a fiber works on. */
  readonly working: () => number
  readonly keys: () => Iterable<NodeKey>
  /** Starts attempts with the code of this generation from now on. */
  readonly renew: (codeGeneration: number) => void
  /** Rows that attempts in flight have read so far, if any. */
  readonly reads: () => ReadonlyArray<readonly [reader: NodeKey, reads: Iterable<NodeKey>]>
  /** Starts an attempt: at once if its code does nothing but return a value, otherwise in its own fiber, by the returned effect. */
  readonly launch: (
    start: Start,
    context: {
      readonly record: StepRecord | undefined
      readonly pass: number
      readonly input: unknown
      readonly needs: { readonly values: Record<string, unknown>; readonly missing: string | undefined }
      readonly state: RunState
      readonly now: Millis.Millis
      /** Budgets that its agents draw on. */
      readonly budgets: ReadonlyArray<Budget.Claim>
      readonly refusal: SlotError | undefined
      /** The places around the step. */
      readonly places: Workplace.Chain
    },
  ) => Effect.Effect<void, never, unknown> | undefined
  /** Removes an attempt that has ended, and returns its result. */
  readonly settle: (key: NodeKey, exit: Exit.Exit<StepProgram.AttemptResult>) => Settled | undefined
  /** Interrupts an attempt without waiting for it. */
  readonly stop: (key: NodeKey, reason: Stop) => Effect.Effect<void>
  readonly stopAll: (reason: Stop) => Effect.Effect<void>
  /** Interrupts all attempts and waits until they have ended. */
  readonly interrupt: Effect.Effect<void>
  /** Ends attempts whose steps are to run again, whatever their results. */
  readonly abandon: (keys: ReadonlySet<NodeKey>) => Effect.Effect<ReadonlyArray<RunEvent>>
  /** Ends the spans of steps that have not ended; the next owner of the run makes spans for the rest. */
  readonly endSpans: () => void
  /** Writes the heartbeat details of an attempt, and repeats while newer ones arrive. */
  readonly writeBeats: (key: NodeKey) => Effect.Effect<void>
}

export interface AttemptsOptions {
  readonly store: RunStoreShape
  readonly journal: AgentJournalShape
  readonly memory: MemoryShape
  /** Takes snapshots of the workspace around an attempt, where they are wanted. */
  readonly capture: (
    start: Start,
    attempt: Effect.Effect<StepProgram.AttemptResult, never, unknown>,
    worktree: string | undefined,
  ) => Effect.Effect<StepProgram.AttemptResult, never, unknown>
  /** `true` if snapshots of the workspace are taken around a step. */
  readonly isCaptured: (start: Start) => boolean
  /** Called when the store cannot be read. */
  readonly onOutage: Patience.OnOutage
  readonly graceMs: number
  /** Budget of all runs of the store, per day. */
  readonly dailyBudget: Budget.Budget | undefined
  /** Calls the code of a step. */
  readonly enter: <A>(body: () => A) => A
  /** Takes a slot of a limit for a call of an attempt. */
  readonly slot: (start: Start, queue: Queue, isIdle: () => boolean) => Effect.Effect<() => void, SlotError>
  /** Called when an attempt comes to do nothing but wait for slots. */
  readonly onIdle: () => void
  /** Called for each attempt that has ended. */
  readonly onSettled: (key: NodeKey) => void
  readonly clock: Clock.Clock
  /** `true` if a tracer was provided. */
  readonly isTraced: boolean
  readonly workflow: string
  /** Version of the workflow's code. */
  readonly version: () => string | undefined
  /** The retry policy of a step by the current code. */
  readonly retryOf: (nodeId: NodeId) => RetryPolicy<unknown> | undefined
  /** `false` if steps run although their outputs are cached. */
  readonly readsCache: boolean
  readonly runId: string
  readonly epoch: number
  readonly onExit: (key: NodeKey, exit: Exit.Exit<StepProgram.AttemptResult>) => void
  /** Called for a heartbeat whose details are not written yet. */
  readonly onBeat: (key: NodeKey) => void
}

/** Labels of outcomes, for metrics. */
const outcomes = { Succeeded: "succeeded", Failed: "failed", Suspended: "suspended", Interrupted: "interrupted" } as const

/** The exit of an attempt for its span, with the raised error. */
const asRaised = <A extends StepProgram.AttemptResult, E>(exit: Exit.Exit<A, E>): Exit.Exit<unknown, unknown> =>
  Exit.isSuccess(exit) && exit.value._tag === "Failed" ? Exit.fail(exit.value.cause) : exit

/** The wait that an attempt requests. */
const requested = (
  { nodeId, iteration }: { readonly nodeId: string; readonly iteration: number },
  asked: AttemptRequest,
  now: Millis.Millis,
): RunEvent => {
  const wait = {
    _tag: "WaitStarted",
    nodeId,
    iteration,
    kind: asked.kind,
    request: Secrets.value(asked.request),
    isOfAttempt: true,
  } as const
  if (asked.kind === "quota") return { ...wait, deadline: Millis.make(Math.max(now, Math.ceil(asked.until))) }
  const { digest, timeoutMs } = asked
  return { ...wait, digest, ...(timeoutMs === undefined ? {} : { deadline: Millis.after(now, Millis.make(Math.ceil(timeoutMs))) }) }
}

/** Makes the attempts of a run, none at first. Their fibers are children of the fiber that calls `launch`. */
export const make = (options: AttemptsOptions): Attempts => {
  const { store, clock, workflow, runId, epoch, onExit, onBeat } = options
  const inFlight = new Map<NodeKey, InFlight>()
  const drivers = new Map<NodeKey, Driver<unknown>>()
  const spans = new Map<NodeKey, Tracer.Span>()
  const annotated = Tracing.ofAttempts()
  let codeGeneration = 0
  /** Number of attempts in flight that have a fiber. */
  let forked = 0

  const heard = (key: NodeKey, beat: Beat) => (details: Json) => {
    beat.details = details
    beat.isWritten = false
    if (beat.isWriting) return
    beat.isWriting = true
    onBeat(key)
  }

  /** Waits for a store that cannot be written now, as frames do; nothing of the transaction was written. */
  const transact: Transact = (request) => {
    const made = Effect.catchAll(Effect.map(store.transact(request), Either.right), (error) =>
      isTransient(error) ? Effect.fail(error) : Effect.succeed(Either.left(error)),
    )
    return Effect.flatten(Patience.retryWhileBusy(made, options.onOutage))
  }

  const launch: Attempts["launch"] = (start, { record, pass, input, needs, state, now, budgets, refusal, places }) => {
    const { step, iteration, attempt } = start
    const key = nodeKey(step.id, iteration)
    const { cache } = step
    const seen = cache === undefined ? undefined : new Set<string>()
    const reads: Reads = { before: record?.reads ?? noReads, made: undefined }
    const onRead: Plan.NoteRead = ({ key: read, nodeId, table }) => {
      if (read === key) return
      seen?.add(read ?? `${nodeId ?? ""}/${table}`)
      if (read === undefined || reads.before.includes(read)) return
      reads.made ??= new Set()
      reads.made.add(read)
    }
    const found = cache && {
      declared: cache,
      key: () => cache.key({ input, runId: state.runId, iteration: pass, ...needs.values }, state, onRead),
      within: cache.scope === "store" ? null : { version: options.version() ?? null, run: cache.scope === "run" ? runId : null },
      countReads: () => seen?.size ?? 0,
      find: (text: string) => {
        if (!options.readsCache) return Effect.succeedNone
        const notBefore = cache.ttlMs === undefined ? 0 : now - cache.ttlMs
        const query = {
          workflow,
          nodeId: step.id,
          key: text,
          notBefore,
          isShared: cache.scope === "store",
          runId,
        }
        return Patience.retryWhileBusy(store.cached(query), options.onOutage)
      },
    }
    const begunWith = codeGeneration
    const ending = StepProgram.ending()
    const turns: Array<AgentTurn> = []
    const beat: Beat = { details: undefined, isWritten: true, isWriting: false }
    const given: Omit<StepProgram.Attempt, "refusal" | "place"> = {
      step,
      runId,
      iteration,
      generation: record?.generation ?? 0,
      pass,
      attempt,
      input,
      needs: needs.values,
      state,
      missing: needs.missing,
      lastHeartbeat: record?.heartbeat,
      driver: drivers.get(key),
      retry: () => (begunWith === codeGeneration ? step.retry : (options.retryOf(step.id) ?? step.retry)),
      failures: record?.failures ?? [],
      clock,
      ending,
      graceMs: options.graceMs,
      enter: options.enter,
      onHeartbeat: heard(key, beat),
      onTurn: (turn) => turns.push(turn),
      onRead,
      epoch,
      transact,
      journal: {
        slot: (queue, isIdle) => options.slot(start, queue, isIdle),
        onIdle: options.onIdle,
        attempt: { nodeId: step.id, iteration, attempt },
        record: (rows) =>
          Patience.retryWhileBusy(
            options.journal.record({ runId, epoch, nodeId: step.id, iteration, attempt, ...rows }),
            options.onOutage,
          ),
        budgets: options.dailyBudget === undefined ? budgets : [...budgets, ...Claims.ofDay(options.dailyBudget, now)],
        reserve: (write) =>
          Effect.flatMap(Millis.now, (now) => {
            const { dailyBudget } = options
            const claims = dailyBudget === undefined ? budgets : [...budgets, ...Claims.ofDay(dailyBudget, now)]
            const attemptKey = { runId, epoch, nodeId: step.id, iteration, attempt }
            const charge = { ...write.charge, budgets: claims.map(({ key }) => key) }
            const reserving = options.journal.reserve({ ...attemptKey, ...write, charge, budgets: claims, now })
            return Patience.retryWhileBusy(reserving, options.onOutage)
          }),
        conversations: Effect.suspend(() =>
          Patience.retryWhileBusy(options.journal.conversations({ runId, nodeId: step.id, iteration }), options.onOutage),
        ),
      },
      cache: found,
      workflow,
      readFacts: (filter) => Patience.retryWhileBusy(options.memory.facts({ ...filter, now }), options.onOutage),
    }
    Metrics.attemptsStarted.unsafeUpdate(1, Metrics.tagged(workflow))
    const begun = (fiber: InFlight["fiber"]): InFlight => {
      const attempt: InFlight = {
        ...{ start, startedAt, fiber, ending, turns, beat, reads },
        codeGeneration: begunWith,
        stop: undefined,
      }
      inFlight.set(key, attempt)
      return attempt
    }
    const startedAt = Millis.unsafeSteady(clock)
    const labels = { runId, workflow, nodeId: step.id, iteration, attempt }
    const fork = (program: Effect.Effect<StepProgram.AttemptResult, never, unknown>) =>
      Effect.flatMap(traced(program, key, labels), (program) =>
        Effect.map(Effect.fork(program), (fiber) => {
          const attempt = begun(fiber)
          forked++
          fiber.addObserver((exit) => (inFlight.get(key) === attempt ? onExit(key, exit) : undefined))
        }),
      )
    const isAtOnce = places.length === 0 && !options.isTraced && Turn.mayBegin(clock) && !options.isCaptured(start)
    const known = isAtOnce ? StepProgram.begin({ ...given, refusal, place: undefined }) : undefined
    if (known !== undefined && "result" in known) {
      begun(undefined)
      onExit(key, Exit.succeed(known.result))
      return undefined
    }
    if (known !== undefined) return fork(known.rest)
    const inPlace = (opened: Workplace.Opened | undefined) => {
      const program = StepProgram.run({ ...given, refusal, place: opened })
      // A sandbox has a patch instead.
      return opened?.commands === undefined ? options.capture(start, program, opened?.directory) : program
    }
    const captured =
      places.length === 0 || refusal !== undefined
        ? inPlace(undefined)
        : Effect.matchEffect(Workplace.open(places), {
            onFailure: (failed) => StepProgram.run({ ...given, refusal: failed, place: undefined }),
            onSuccess: inPlace,
          })
    return fork(Effect.interruptible(Turn.before(clock, captured)))
  }

  /** Runs an attempt with its annotations and, if traced, within the spans of its step and of itself. */
  const traced = <A extends StepProgram.AttemptResult, E, R>(
    program: Effect.Effect<A, E, R>,
    key: NodeKey,
    labels: Required<Tracing.Labels>,
  ) => {
    if (!options.isTraced) return Effect.succeed(annotated(labels, program))
    const { attempt: _, ...attributes } = labels
    const known = spans.get(key)
    const step = known ? Effect.succeed(known) : Effect.makeSpan("smithers.step", { attributes, captureStackTrace: false })
    return Effect.map(step, (parent) => {
      spans.set(key, parent)
      const own = Tracing.within("smithers.attempt", { parent, attributes: { ...labels } }, program, asRaised)
      return Tracing.at(labels, true, own)
    })
  }

  /**
   * Converts a time that was computed at a lead of the monotonic clock to the current wall clock, which may have been set
   * since.
   */
  const asNow = (time: Millis.Millis, lead: number): Millis.Millis => {
    const jump = lead - (Millis.unsafeSteady(clock) - Millis.unsafeNow(clock))
    return Math.abs(jump) <= toleranceMs ? time : Millis.make(Math.max(0, Math.round(time + jump)))
  }

  const settle: Attempts["settle"] = (key, exit) => {
    const attempt = inFlight.get(key)
    if (attempt === undefined) return undefined
    inFlight.delete(key)
    if (attempt.fiber !== undefined) forked--
    options.onSettled(key)
    const { start, startedAt } = attempt
    const at = { nodeId: start.step.id, iteration: start.iteration, attempt: start.attempt }
    const { details } = attempt.beat
    const heartbeat = details === undefined ? {} : { heartbeat: details }
    const turns = attempt.turns.length === 0 ? {} : { turns: attempt.turns }
    const { made, before } = attempt.reads
    const reads = made === undefined ? {} : { reads: [...before, ...made].sort() }
    const result = Exit.isSuccess(exit) ? exit.value : undefined
    const isOld = attempt.codeGeneration !== codeGeneration
    const tags = Metrics.tagged(workflow, outcomes[result?._tag ?? "Interrupted"])
    Metrics.attemptsEnded.unsafeUpdate(1, tags)
    Metrics.attemptDuration.unsafeUpdate((Millis.unsafeSteady(clock) - startedAt) / 1000, tags)
    const willRetry = result?._tag === "Failed" && result.retryAt !== undefined
    if (!willRetry) {
      spans.get(key)?.end(clock.unsafeCurrentTimeNanos(), asRaised(exit))
      spans.delete(key)
      drivers.delete(key)
    }
    if (result === undefined) {
      const reason = attempt.stop ?? "shutdown"
      return { key, result, isOld, events: [{ _tag: "AttemptInterrupted", ...at, reason, ...heartbeat, ...turns }] }
    }
    if (result._tag === "Suspended") {
      const ended = { _tag: "AttemptInterrupted", ...at, reason: attempt.stop ?? "suspended", ...heartbeat, ...turns } as const
      if (attempt.stop !== undefined) return { key, result, isOld, events: [ended] }
      return { key, result, isOld, events: [ended, requested(at, result.request, Millis.unsafeNow(clock))] }
    }
    if (result._tag === "Succeeded") {
      const output = result.output === undefined ? {} : { output: result.output }
      const { cachedFrom } = result
      const isCached = cachedFrom === undefined ? {} : { isCached: true, cachedFrom }
      const { table } = start.step
      const where = table === undefined ? {} : { table }
      const isShared = start.step.cache?.scope === "store"
      return {
        key,
        result,
        isOld,
        isShared,
        scorers: start.step.scorers,
        events: [{ _tag: "AttemptSucceeded", ...at, ...where, ...output, ...isCached, ...turns, ...reads }],
      }
    }
    const failed = { _tag: "AttemptFailed", ...at, error: result.error, ...heartbeat, ...turns } as const
    if (result.retryAt !== undefined) {
      // A policy of code that the run has left is not followed.
      if (!isOld) drivers.set(key, result.driver)
      return { key, result, isOld, events: [{ ...failed, retryAt: asNow(result.retryAt, result.lead) }] }
    }
    if (start.step.continueOnFail) return { key, result, isOld, events: [{ ...failed, isSoft: true, ...reads }] }
    return { key, result, isOld, events: [{ ...failed, ...reads }] }
  }

  /** Interrupts before it aborts the signal, so that a result caused by the signal does not count. */
  const interrupt = ({ fiber, ending }: InFlight): Effect.Effect<void> =>
    Effect.zipRight(
      fiber === undefined ? Effect.void : Fiber.interruptAsFork(fiber, FiberId.none),
      Effect.sync(() => StepProgram.abort(ending)),
    )

  const awaitEnd = ({ fiber }: InFlight): Effect.Effect<unknown> => (fiber === undefined ? Effect.void : Fiber.await(fiber))

  const stop: Attempts["stop"] = (key, reason) => {
    const attempt = inFlight.get(key)
    if (attempt === undefined || attempt.stop !== undefined) return Effect.void
    attempt.stop = reason
    return interrupt(attempt)
  }

  const writeBeats: Attempts["writeBeats"] = (key) =>
    Effect.gen(function* () {
      const attempt = inFlight.get(key)
      if (attempt === undefined) return
      const { beat, start } = attempt
      const node = { runId, epoch, nodeId: start.step.id, iteration: start.iteration, attempt: start.attempt }
      while (inFlight.get(key) === attempt && !beat.isWritten) {
        beat.isWritten = true
        const at = yield* Millis.now
        yield* store.heartbeat({ ...node, at, details: beat.details ?? null }).pipe(
          // A busy store may be free the next time; a lost claim shows at the next frame.
          Effect.catchAll((error) =>
            Effect.zipRight(
              Effect.sync(() => {
                beat.isWritten = false
              }),
              Effect.logDebug("a heartbeat could not be written", error),
            ),
          ),
        )
        yield* Effect.sleep(heartbeatIntervalMs)
      }
      beat.isWriting = false
    })

  return {
    renew: (generation) => {
      if (generation === codeGeneration) return
      codeGeneration = generation
      drivers.clear()
    },
    size: () => inFlight.size,
    working: () => forked,
    keys: () => inFlight.keys(),
    reads: () => [...inFlight].flatMap(([key, { reads }]) => (reads.made === undefined ? [] : [[key, reads.made] as const])),
    launch,
    settle,
    stop,
    stopAll: (reason) => Effect.forEach([...inFlight.keys()], (key) => stop(key, reason), { discard: true }),
    interrupt: Effect.suspend(() => {
      const attempts = [...inFlight.values()]
      return Effect.zipRight(
        Effect.forEach(attempts, interrupt, { discard: true }),
        Effect.forEach(attempts, awaitEnd, { discard: true }),
      )
    }),
    abandon: (keys) =>
      Effect.gen(function* () {
        const events: Array<RunEvent> = []
        for (const [key, attempt] of [...inFlight]) {
          if (!keys.has(key)) continue
          // It is removed before it ends, so that its end is not mistaken for that of the next attempt.
          attempt.stop = "reset"
          const settled = settle(key, Exit.interrupt(FiberId.none))
          if (settled !== undefined) events.push(settled.events[0])
          yield* interrupt(attempt)
          yield* awaitEnd(attempt)
        }
        // A fresh budget restarts the retry policy.
        for (const key of keys) drivers.delete(key)
        return events
      }),
    endSpans: () => {
      for (const span of spans.values()) span.end(clock.unsafeCurrentTimeNanos(), Exit.void)
      spans.clear()
    },
    writeBeats,
  }
}
