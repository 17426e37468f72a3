/**
 * One attempt at a step, as an Effect that never fails. It calls the step's code with its context, enforces its limits,
 * validates its output, and returns the result, including the time of the next attempt. It knows nothing of frames or storage.
 */

import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { AgentTurn } from "./Agent.ts"
import * as AgentIdentity from "./AgentIdentity.ts"
import { type AttemptDecision, type AttemptJournal, type AttemptRequest, AttemptSuspended, type SlotError } from "./AgentJournal.ts"
import { AgentRunner } from "./AgentRunner.ts"
import { decodeShared, type Issues, isUnstorable, type Json, type SharedValue } from "./Codec.ts"
import * as DeclaredError from "./DeclaredError.ts"
import { canonicalText } from "./Digest.ts"
import * as EffectVersion from "./EffectVersion.ts"
import { cutIssues, type ErrorInfo, type NotRetried } from "./ErrorInfo.ts"
import {
  AgentFailed,
  BudgetExceeded,
  InvalidDelay,
  InvalidError,
  InvalidLimit,
  InvalidOutput,
  InvalidTimeout,
  MissingNeed,
  NoAgentRunner,
  NonRetryable,
  type StoreError,
  ToolRightsExceeded,
  UnknownLimit,
} from "./Errors.ts"
import { idempotencyKey } from "./Ids.ts"
import type { StepRights } from "./Isolation.ts"
import { toJson } from "./internal/json.ts"
import * as Jumps from "./internal/jumps.ts"
import { giveJson } from "./internal/sharedValue.ts"
import * as StepMemory from "./internal/stepMemory.ts"
import { directoryKey, type Opened } from "./internal/workplace.ts"
import type { Queue } from "./Limits.ts"
import * as Memory from "./Memory.ts"
import * as Millis from "./Millis.ts"
import type * as Plan from "./Plan.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as RunState from "./RunState.ts"
import type { CachedOutput } from "./RunStore.ts"
import { PatchConflict, SandboxFailed, type StepSandbox, stepSandbox } from "./Sandboxes.ts"
import * as Secrets from "./Secrets.ts"
import { defined } from "./Struct.ts"
import * as Thrown from "./Thrown.ts"
import * as Transaction from "./Transaction.ts"
import { WorktreeFailed } from "./Worktrees.ts"

/** The context of every step's code, beside its needs. */
export interface StepContext<Input> {
  /** The decoded input of the run. */
  readonly input: Input
  /**
   * Reports that the attempt is alive. The next attempt can read the details as `lastHeartbeat`, even after a crash. Details
   * must be JSON; the latest ones are stored at most every half second.
   */
  readonly heartbeat: (details?: unknown) => void
  /** Details of the last heartbeat of previous attempts. */
  readonly lastHeartbeat: unknown
  /** Aborted when the attempt is interrupted: timeout, cancellation, shutdown. */
  readonly signal: AbortSignal
  readonly runId: string
  readonly stepId: string
  /** Pass of the innermost loop around the step, from 0; 0 outside loops. */
  readonly iteration: number
  /** Number of this attempt, from 1. Attempts cut short by a crash count too. */
  readonly attempt: number
  /**
   * `<runId>:<stepId>:<iteration>`, the same for all attempts. Pass it to external services to deduplicate by. If a finished
   * step runs again, after a compensation or a retry, `:<generation>` is added. Printable ASCII, at most 255 characters; other
   * characters of the ids are percent-encoded.
   */
  readonly idempotencyKey: string
  /** The directory that the step works in: that of its worktree or sandbox; otherwise the working directory of the process. */
  readonly cwd: string
  /** The sandbox around the step, where there is one. */
  readonly sandbox: StepSandbox | undefined
  /** For `Sql.transaction`. */
  readonly [Transaction.attemptKey]?: Transaction.Attempt | undefined
}

/** The state of an attempt that ends. */
export interface Ending {
  /** `true` once its code has ended; later calls of its context have no effect. */
  isOver: boolean
  isAborted: boolean
  /** Made when the code reads its `signal`. */
  controller: AbortController | undefined
  /** The output that a transaction of its code stored. */
  settled: Transaction.Settled | undefined
  /** The promise that its code returned. */
  promised: PromiseLike<unknown> | undefined
  /** Calls that wait for slots of limits, since when, and the time that such waits took before. Monotonic time. */
  readonly slotWaits: { count: number; since: number; totalMs: number }
}

/** The ending of an attempt before it begins. */
export const ending = (): Ending => ({
  isOver: false,
  isAborted: false,
  controller: undefined,
  settled: undefined,
  promised: undefined,
  slotWaits: { count: 0, since: 0, totalMs: 0 },
})

/**
 * Aborts the `signal` of an attempt. Call it when its fiber is to be interrupted, not afterwards: its finalizers may wait for
 * work that only the signal ends.
 */
export const abort = (ending: Ending): void => {
  ending.isAborted = true
  ending.controller?.abort()
}

/** The parameters of an attempt. */
export interface Attempt {
  readonly step: Plan.Step
  readonly runId: string
  /** The row's iteration, counted over the whole run. */
  readonly iteration: number
  /** Number of resets after the step had finished. */
  readonly generation: number
  /** The iteration shown to the step, counted in its innermost loop. */
  readonly pass: number
  readonly attempt: number
  readonly input: unknown
  readonly needs: { readonly [name: string]: unknown }
  /** The state of the run as the attempt starts. */
  readonly state: RunState.RunState
  /** A need without a value. */
  readonly missing: string | undefined
  readonly lastHeartbeat: Json | undefined
  /** The position of the retry policy, advanced by earlier failures of this process; `undefined` to restore it from `failures`. */
  readonly driver: RetryPolicy.Driver<unknown> | undefined
  /** The retry policy by which its failure is judged: that of its step, unless other code has taken its place meanwhile. */
  readonly retry: () => RetryPolicy.RetryPolicy<unknown>
  readonly failures: ReadonlyArray<{ readonly at: number; readonly error: ErrorInfo }>
  readonly clock: Clock.Clock
  readonly ending: Ending
  /** Calls the code of the step on behalf of its run. */
  readonly enter: <A>(body: () => A) => A
  /** Longest time to wait for a promise of an interrupted attempt (ms). */
  readonly graceMs: number
  /** Receives the details of heartbeats. */
  readonly onHeartbeat: (details: Json) => void
  /** Receives the turns of agents. */
  readonly onTurn: (turn: AgentTurn) => void
  /** Receives the reads of its code. */
  readonly onRead: Plan.NoteRead
  /** Epoch of the claim that drives the run. */
  readonly epoch: number
  readonly transact: Transaction.Transact
  readonly journal: Omit<AttemptJournal, "decision">
  /** The reason the attempt cannot begin: it holds no slot of the limit that its step names, or its place cannot be opened. */
  readonly refusal: SlotError | WorktreeFailed | SandboxFailed | undefined
  /** The worktree or the sandbox around the step. */
  readonly place: Opened | undefined
  /** Looks up an output of an earlier run, and derives the key to store this one under. */
  readonly cache: CacheEntry | undefined
  readonly workflow: string
  readonly readFacts: (filter: Memory.FactFilter) => Effect.Effect<ReadonlyArray<Memory.Fact>, StoreError>
}

/** The cache of outputs, as one attempt uses it. */
export interface CacheEntry {
  readonly declared: Plan.Cache
  /** What the step is given, or the author's key; may throw. */
  readonly key: () => unknown
  /** What the scope adds to the key. */
  readonly within: Json
  /** Number of rows that the attempt has read so far, without its needs. */
  readonly countReads: () => number
  readonly find: (key: string) => Effect.Effect<Option.Option<CachedOutput>, StoreError>
}

export type AttemptResult =
  /** It has to wait. The next attempt continues it. */
  | { readonly _tag: "Suspended"; readonly request: AttemptRequest }
  | {
      readonly _tag: "Succeeded"
      readonly output: Json | undefined
      readonly value: SharedValue
      /** Id of the run that the output was taken over from. */
      readonly cachedFrom: string | undefined
      /** The key to cache the output under. */
      readonly cacheKey: string | undefined
      /** Facts to remember with the output. */
      readonly facts?: ReadonlyArray<Memory.FactWrite>
    }
  | {
      readonly _tag: "Failed"
      readonly error: ErrorInfo
      /** The error itself, for callers in this process. */
      readonly cause: unknown
      readonly retryAt: Millis.Millis | undefined
      /** Lead of the monotonic clock over the wall clock when `retryAt` was computed (ms). */
      readonly lead: number
      readonly driver: RetryPolicy.Driver<unknown>
    }

/** The attempt exceeded a limit. Internal: it becomes an `ErrorInfo`. */
class LimitExceeded {
  readonly kind: "timeout" | "heartbeatTimeout"
  readonly limitMs: number
  constructor(kind: "timeout" | "heartbeatTimeout", limitMs: number) {
    this.kind = kind
    this.limitMs = limitMs
  }
}

/** Runs the attempt. It is interrupted, not failed, when its fiber is. */
export const run = (attempt: Attempt): Effect.Effect<AttemptResult, never, unknown> =>
  judged(attempt, attempt.step.memory?.remember === undefined ? produce(attempt) : remembering(attempt))

/**
 * Begins an attempt whose code stands alone, without limits, cache, memory or agents: calls it. Returns the result if it is known by
 * then, and otherwise the program that is left, to be forked in an uninterruptible region. `undefined` if something stands around the
 * code: {@link run} it.
 */
export const begin = (attempt: Attempt): { readonly result: AttemptResult } | { readonly rest: Program } | undefined => {
  const { step, cache, refusal, missing } = attempt
  if (refusal !== undefined || missing !== undefined || cache !== undefined) return undefined
  if (step.agentSpec !== undefined || step.memory?.remember !== undefined) return undefined
  if (step.timeoutMs !== undefined || step.computeTimeout !== undefined || step.heartbeatTimeoutMs !== undefined) return undefined
  // A returned value may throw when it is looked at.
  const called = andThen(Either.void, () => enter(attempt, () => {}))
  const accepted = Either.isEither(called)
    ? andThen(called as Either.Either<unknown, unknown>, (returned) => accept(attempt, returned, undefined))
    : Effect.flatMap(called, (returned) => accept(attempt, returned, undefined))
  if (Either.isEither(accepted) && Either.isRight(accepted)) return { result: accepted.right as AttemptResult }
  const rest = Effect.interruptible(judged(attempt, accepted))
  // It may be interrupted before it begins to wait.
  const { ending, graceMs } = attempt
  const giveUp = Effect.suspend(() => {
    if (ending.isOver) return Effect.void
    ending.isOver = true
    abort(ending)
    return ending.promised === undefined ? Effect.void : ended(ending.promised, graceMs)
  })
  return { rest: Effect.onInterrupt(rest, () => giveUp) }
}

type Program = Effect.Effect<AttemptResult, never, unknown>

/** Continues at once after what is known already. What is thrown then is a defect, as it would be in an Effect. */
const andThen = <A, B, E, E2, R>(
  before: Either.Either<A, E>,
  next: (value: A) => Effect.Effect<B, E2, R>,
): Effect.Effect<B, E | E2, R> => {
  if (Either.isLeft(before)) return Either.left(before.left)
  try {
    return next(before.right)
  } catch (thrown) {
    return Effect.die(thrown)
  }
}

const judged = (
  attempt: Attempt,
  produced: Effect.Effect<AttemptResult, unknown, unknown>,
): Effect.Effect<AttemptResult, never, unknown> =>
  Effect.catchAllCause(produced, (cause) => {
    const [raised] = Cause.failures(cause)
    if (raised instanceof AttemptSuspended) return Effect.succeed<AttemptResult>({ _tag: "Suspended", request: raised.request })
    const failed = explain(cause, attempt.step)
    const judged = Effect.suspend(() => judge(attempt, failed))
    return Effect.catchAllCause(judged, (thrown) => Effect.succeed(unjudged(attempt, failed, thrown)))
  })

const judge = (attempt: Attempt, failed: Explained): Effect.Effect<AttemptResult, InvalidDelay, unknown> => {
  const { error, cause } = failed
  const [now, steady] = [Millis.unsafeNow(attempt.clock), Millis.unsafeSteady(attempt.clock)]
  const lead = steady - now
  const tell = (told: ErrorInfo) => DeclaredError.tell(attempt.step.error, told)
  const earlier = () => attempt.failures.map((failure) => ({ at: failure.at, error: tell(failure.error) }))
  const policy = attempt.retry()
  const isSame = policy === attempt.step.retry
  const driver = isSame && attempt.driver !== undefined ? attempt.driver : RetryPolicy.replay(policy, earlier())
  return Effect.flatMap(Effect.isEffect(driver) ? driver : Effect.succeed(driver), (before) => {
    if (!error.retryable)
      return Effect.succeed<AttemptResult>({ _tag: "Failed", error, cause, retryAt: undefined, lead, driver: before })
    return Effect.map(RetryPolicy.next(before, now, tell(error), steady), ({ driver, retryAt }): AttemptResult => {
      if (retryAt === undefined) {
        return { _tag: "Failed", error: { ...error, notRetried: RetryPolicy.whyEnded(driver) }, cause, driver, retryAt, lead }
      }
      const earliest = Millis.after(now, retryAfterOf(cause, policy.longestAskedMs))
      return { _tag: "Failed", error, cause, driver, lead, retryAt: Math.max(retryAt, earliest) as Millis.Millis }
    })
  })
}

/** The delay that the refusing party requested, up to the limit of the policy. */
const retryAfterOf = (cause: unknown, longestMs: Millis.Millis): Millis.Millis => {
  const wanted = typeof cause === "object" && cause !== null && "retryAfterMs" in cause ? cause.retryAfterMs : undefined
  if (typeof wanted !== "number" || !(wanted > 0)) return Millis.zero
  // A delay beyond the range of dates exceeds the limit of any policy.
  return Either.match(Millis.span(wanted), { onLeft: () => longestMs, onRight: (ms) => (ms < longestMs ? ms : longestMs) })
}

/**
 * A Schedule is the author's code too. If it throws, the attempt must not look interrupted, since that would be repeated at
 * once.
 */
const unjudged = ({ step }: Attempt, failed: Explained, thrown: Cause.Cause<unknown>): AttemptResult => {
  const cause = Thrown.fromCause(thrown)?.error
  const raised = Thrown.describe(cause, [failed.cause])
  const message = cause instanceof InvalidDelay ? raised.message : `its "retry" threw: ${raised.message}`
  const error: ErrorInfo = { ...raised, message, retryable: false, notRetried: "policy" }
  return { _tag: "Failed", error, cause, retryAt: undefined, lead: 0, driver: RetryPolicy.start(step.retry) }
}

const produce = (attempt: Attempt): Effect.Effect<AttemptResult, unknown, unknown> => {
  const { step, cache } = attempt
  if (attempt.refusal !== undefined) return Effect.fail(attempt.refusal)
  if (attempt.missing !== undefined) return Effect.fail(new MissingNeed({ nodeId: step.id, need: attempt.missing }))
  if (cache === undefined) return Effect.flatMap(limited(attempt), (returned) => accept(attempt, returned, undefined))
  return Effect.gen(function* () {
    // The default key of an agent holds its prompt, which is not made yet.
    const isLater = step.agentSpec !== undefined && !cache.declared.isOwnKey
    const looked = isLater ? undefined : yield* lookUp(attempt, cache, undefined)
    if (looked?.hit !== undefined) return looked.hit
    const known = cache.countReads()
    const returned = yield* limited(attempt)
    if (returned instanceof PromptLookedUp) {
      const { hit, key } = returned.looked
      return hit ?? (yield* accept(attempt, returned.answer, key))
    }
    if (!cache.declared.isOwnKey && cache.countReads() > known) {
      yield* Effect.logWarning(
        `step "${step.id}" is not cached: it has read outputs that are no part of its key. Declare them as needs or deps, or give "cache" a key`,
      )
      return yield* accept(attempt, returned, undefined)
    }
    return yield* accept(attempt, returned, looked?.key)
  })
}

/** Produces the output, and the facts that are remembered of it. */
const remembering = (attempt: Attempt): Effect.Effect<AttemptResult, unknown, unknown> =>
  Effect.flatMap(produce(attempt), (result) => {
    const { step, input, needs, runId, pass, state, onRead } = attempt
    if (result._tag !== "Succeeded" || step.memory === undefined) return Effect.succeed(result)
    const context = { input, runId, iteration: pass, ...needs, output: result.value.give() }
    const asked = { ...context, workflow: attempt.workflow }
    return Effect.map(StepMemory.factsOf(step.memory, asked, state, onRead), (facts) => ({ ...result, facts }))
  })

/** The prompt, with the facts that the step recalls. */
const recalling = (attempt: Attempt, prompt: string): Effect.Effect<string, unknown> =>
  Effect.gen(function* () {
    const { step, input, needs, runId, pass, state, onRead } = attempt
    if (step.memory?.recall === undefined) return prompt
    const context = { input, runId, iteration: pass, ...needs }
    const filter = yield* StepMemory.filterOf(step.memory, { ...context, workflow: attempt.workflow }, prompt, state, onRead)
    return Memory.intoPrompt(prompt, yield* attempt.readFacts(filter))
  })

/** What a look into the cache has found. */
interface LookedUp {
  readonly key: string
  readonly hit: AttemptResult | undefined
}

/** The answer of an agent after a look into the cache by its prompt. */
class PromptLookedUp {
  readonly looked: LookedUp
  readonly answer: unknown
  constructor(looked: LookedUp, answer: unknown) {
    this.looked = looked
    this.answer = answer
  }
}

/** Looks for an output under everything that the one of this attempt depends on. */
const lookUp = (
  { step, input }: Attempt,
  { declared, key: customKey, within, find }: CacheEntry,
  prompt: string | undefined,
): Effect.Effect<LookedUp, unknown, unknown> =>
  Effect.gen(function* () {
    const agents =
      step.agentSpec === undefined ? [] : yield* Effect.forEach(step.agentSpec.agents, (one) => AgentIdentity.of(one, input))
    const { allowTools } = step.agentSpec?.rights ?? {}
    const own = prompt ?? (yield* Effect.try({ try: customKey, catch: (thrown) => thrown }))
    const copied = declared.isOwnKey ? toJson(own) : Either.right(own)
    if (Either.isLeft(copied)) {
      return yield* Effect.fail(new TypeError(`a cache key must be JSON: ${copied.left.path} ${copied.left.problem}`))
    }
    const { version } = declared
    const schema = step.codec.jsonSchema
    const key = canonicalText({ given: copied.right, within, agents, ...defined({ allowTools, schema, version }) })
    const found = yield* find(key)
    if (Option.isNone(found)) return { key, hit: undefined }
    const { output, runId } = found.value
    // An entry that does not match the current schema does not count, nor does one that holds a secret.
    const restored = yield* Effect.option(decodeShared(step.codec, output))
    if (Option.isNone(restored) || Secrets.problemIn(output) !== undefined) return { key, hit: undefined }
    return { key, hit: { _tag: "Succeeded", output, value: restored.value, cachedFrom: runId, cacheKey: undefined } }
  })

const accept = (
  { step, ending: { settled } }: Attempt,
  returned: unknown,
  cacheKey: string | undefined,
): Effect.Effect<AttemptResult, InvalidOutput, unknown> => {
  if (settled !== undefined && Object.is(settled.returned, returned)) {
    // It was validated when it was stored, and a transform must not be applied twice.
    const { output, value } = settled
    return Effect.succeed({ _tag: "Succeeded", output, value, cachedFrom: undefined, cacheKey })
  }
  const refused = (issues: Issues) => {
    const isFinal = step.isConstant === true || isUnstorable(issues)
    return new InvalidOutput({ nodeId: step.id, issues, ...(isFinal ? { isFinal } : {}) })
  }
  const encoded = step.codec.encode(returned)
  const store = (output: Json | undefined): Effect.Effect<AttemptResult, InvalidOutput, unknown> => {
    const found = Secrets.problemIn(output)
    if (found !== undefined)
      return Either.left(new InvalidOutput({ nodeId: step.id, issues: [found.problem], isFinal: true, secret: found.secret }))
    const succeeded = (value: SharedValue): AttemptResult => ({ _tag: "Succeeded", output, value, cachedFrom: undefined, cacheKey })
    const shared = decodeShared(step.codec, output)
    return Either.isEither(shared)
      ? Either.mapBoth(shared as Either.Either<SharedValue, Issues>, { onLeft: refused, onRight: succeeded })
      : Effect.mapBoth(shared, { onFailure: refused, onSuccess: succeeded })
  }
  if (!Either.isEither(encoded)) return Effect.flatMap(Effect.mapError(encoded, refused), store)
  return Either.flatMap(Either.mapLeft(encoded as Either.Either<Json | undefined, Issues>, refused), store as never)
}

/** Calls the step's code within its limits; a `timeout` function is called first. */
const limited = (attempt: Attempt): Effect.Effect<unknown, unknown, unknown> => {
  const { computeTimeout, timeoutMs } = attempt.step
  return computeTimeout === undefined
    ? within(attempt, timeoutMs)
    : Effect.flatMap(timeoutOf(attempt, computeTimeout), (timeoutMs) => within(attempt, timeoutMs))
}

const timeoutOf = (attempt: Attempt, computeTimeout: Plan.Computation): Effect.Effect<Millis.Millis, InvalidTimeout> =>
  Effect.suspend(() => {
    const { step, runId, pass, input, needs, state, onRead } = attempt
    const refuse = (problem: string) => new InvalidTimeout({ nodeId: step.id, problem })
    try {
      const duration = Millis.positiveDuration(computeTimeout({ input, runId, iteration: pass, ...needs }, state, onRead))
      return Either.mapLeft(duration, ({ received, problem }) => refuse(`gave ${received}, which ${problem}`))
    } catch (thrown) {
      return refuse(`threw: ${Thrown.describe(thrown).message}`)
    }
  })

const within = (attempt: Attempt, timeoutMs: Millis.Millis | undefined): Effect.Effect<unknown, unknown, unknown> => {
  const { step, ending } = attempt
  const exceed = (kind: LimitExceeded["kind"], limitMs: number) =>
    Effect.suspend(() => {
      abort(ending)
      return Effect.fail(new LimitExceeded(kind, limitMs))
    })
  let lastBeat: number | undefined
  const onBeat = (): void => {
    lastBeat = Millis.unsafeSteady(attempt.clock)
  }
  let limitedRun = step.agentSpec === undefined ? call(attempt, onBeat) : ask(attempt, step.agentSpec, onBeat)
  const { heartbeatTimeoutMs } = step
  if (heartbeatTimeoutMs !== undefined) {
    const watch = Effect.gen(function* () {
      // Uses the monotonic clock: setting the wall clock must not cause or hide a missed heartbeat.
      const started = yield* Millis.steady
      for (;;) {
        const now = yield* Millis.steady
        const silentSince = Math.max(lastBeat ?? started, lastWaitOf(ending, now))
        const left = silentSince + heartbeatTimeoutMs - now
        if (left <= 0) return yield* exceed("heartbeatTimeout", heartbeatTimeoutMs)
        yield* Jumps.sleep(left)
      }
    })
    limitedRun = Effect.raceFirst(limitedRun, watch)
  }
  if (timeoutMs !== undefined) {
    const watch = Effect.gen(function* () {
      const started = yield* Millis.steady
      for (let left: number = timeoutMs; left > 0; ) {
        yield* Jumps.sleep(left)
        const now = yield* Millis.steady
        left = started + timeoutMs + waitedFor(ending, now) - now
        if (ending.slotWaits.count > 0) left = Math.max(left, leastPauseMs)
      }
      return yield* exceed("timeout", timeoutMs)
    })
    limitedRun = Effect.raceFirst(limitedRun, watch)
  }
  return limitedRun
}

/** Least pause between two looks at an attempt whose time is up but for a wait (ms). */
const leastPauseMs = 50

/** The time that an attempt has waited for slots: no part of its timeout. */
const waitedFor = ({ slotWaits: { count, since, totalMs } }: Ending, now: number): number => totalMs + (count > 0 ? now - since : 0)

/** The last time at which an attempt waited for a slot; 0 if it never did. */
const lastWaitOf = ({ slotWaits: { count, since } }: Ending, now: number): number => (count > 0 ? now : since)

/** Takes a slot for a call, and keeps the time that this takes. */
const takeSlot = (
  { journal, ending: { slotWaits }, clock }: Attempt,
  queue: Queue,
  isIdle: () => boolean,
): Effect.Effect<() => void, SlotError> =>
  Effect.suspend(() => {
    const now = (): number => Millis.unsafeSteady(clock)
    if (slotWaits.count++ === 0) slotWaits.since = now()
    const end = Effect.sync(() => {
      if (--slotWaits.count > 0) return
      slotWaits.totalMs += now() - slotWaits.since
      slotWaits.since = now()
    })
    return Effect.ensuring(journal.slot(queue, isIdle), end)
  })

const call = (attempt: Attempt, onBeat: () => void): Effect.Effect<unknown, unknown, unknown> =>
  Effect.suspend(() => enter(attempt, onBeat))

/** Calls the step's code. A value that it returns at once is a `Right`. */
const enter = (attempt: Attempt, onBeat: () => void): Effect.Effect<unknown, unknown, unknown> => {
  const { step, runId, ending } = attempt
  const context: StepContext<unknown> = {
    ...attempt.needs,
    input: attempt.input,
    heartbeat: (details) => {
      if (ending.isOver) return
      onBeat()
      if (details === undefined) return
      const copied = toJson(details)
      if (Either.isLeft(copied)) throw new TypeError(`heartbeat details must be JSON: ${copied.left.path} ${copied.left.problem}`)
      attempt.onHeartbeat(Secrets.value(copied.right))
    },
    lastHeartbeat: giveJson(attempt.lastHeartbeat),
    get signal() {
      return signalOf(ending)
    },
    runId,
    stepId: step.id,
    iteration: attempt.pass,
    attempt: attempt.attempt,
    get idempotencyKey() {
      return keyOf(attempt)
    },
    get cwd() {
      return attempt.place?.directory ?? process.cwd()
    },
    get sandbox() {
      const { directory, commands } = attempt.place ?? {}
      return directory === undefined || commands === undefined ? undefined : stepSandbox(directory, commands)
    },
    get [directoryKey]() {
      return attempt.place?.directory
    },
    get [Transaction.attemptKey]() {
      return transactional(attempt)
    },
  }
  const end = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
    Effect.sync(() => {
      ending.isOver = true
      if (Exit.isInterrupted(exit)) abort(ending)
    })
  let returned: unknown
  try {
    const run = step.run as (context: StepContext<unknown>, state: RunState.RunState, noteRead: Plan.NoteRead) => unknown
    returned = attempt.enter(() => run(context, attempt.state, attempt.onRead))
  } catch (thrown) {
    ending.isOver = true
    return Effect.fail(thrown)
  }
  if (Effect.isEffect(returned) && step.codec.isValue?.(returned) !== true) {
    const problem = EffectVersion.problemOfEffect(returned)
    if (problem === undefined) return Effect.onExit(returned as Effect.Effect<unknown, unknown, unknown>, end)
    ending.isOver = true
    return Effect.fail(new NonRetryable({ message: `what the step returned cannot be run: ${problem}` }))
  }
  if (EffectVersion.isEffect(returned)) {
    ending.isOver = true
    const message =
      "the step returned an Effect of Effect 4, which Effect 3 cannot run: import effect ^3.22.1 in its file, which this package works with"
    return Effect.fail(new NonRetryable({ message }))
  }
  if (!isThenable(returned)) {
    ending.isOver = true
    return Either.right(returned)
  }
  ending.promised = returned
  return Effect.onExit(settled(returned, attempt.graceMs), end)
}

/** Waits for a promise. It is watched from now on, since a rejection that nobody has seen by then would end the process. */
const settled = (promised: PromiseLike<unknown>, graceMs: number): Effect.Effect<unknown, unknown> => {
  let known: Effect.Effect<unknown, unknown> | undefined
  let waiting: ((known: Effect.Effect<unknown, unknown>) => void) | undefined
  const settle = (as: Effect.Effect<unknown, unknown>): void => {
    known = as
    waiting?.(as)
  }
  promised.then(
    (value) => settle(Effect.succeed(value)),
    (reason: unknown) => settle(Effect.fail(reason)),
  )
  return Effect.async((resume) => {
    if (known !== undefined) return resume(known)
    waiting = resume
    return ended(promised, graceMs)
  })
}

/**
 * Waits until a promise settles, but at most for the grace period. The cleanup of an interrupted attempt must not overlap with
 * later work. Uses platform time, since a promise does not stop with a test clock.
 */
const ended = (promised: PromiseLike<unknown>, graceMs: number): Effect.Effect<void> =>
  Effect.async((resume) => {
    const timer = setTimeout(() => resume(Effect.void), graceMs)
    const end = (): void => {
      clearTimeout(timer)
      resume(Effect.void)
    }
    promised.then(end, end)
  })

/** The rights of a step in its worktree. */
export const rightsIn = (rights: StepRights | undefined, worktree: string | undefined): StepRights | undefined =>
  worktree === undefined ? rights : { ...rights, worktree }

/** Has agents answer the prompt that the step's code returns, within the same limits. */
const ask = (
  attempt: Attempt,
  { agents, isText, corrections, rights: listed, budget }: Plan.AgentSpec,
  onBeat: () => void,
): Effect.Effect<unknown, unknown, unknown> =>
  Effect.gen(function* () {
    const { step, ending, runId } = attempt
    const runner = yield* Effect.serviceOption(AgentRunner)
    if (Option.isNone(runner)) return yield* new NoAgentRunner({ nodeId: step.id })
    const made = yield* call(attempt, onBeat)
    if (typeof made !== "string") {
      return yield* Effect.fail(new TypeError(`the prompt of step "${step.id}" must be text, and is ${Thrown.show(made)}`))
    }
    if (made.trim() === "") {
      return yield* Effect.fail(new TypeError(`the prompt of step "${step.id}" is empty: no agent was asked`))
    }
    const prompt = step.memory?.recall === undefined ? made : yield* recalling(attempt, made)
    const { cache } = attempt
    const looked = cache === undefined || cache.declared.isOwnKey ? undefined : yield* lookUp(attempt, cache, prompt)
    if (looked?.hit !== undefined) return new PromptLookedUp(looked, undefined)
    const services = yield* Effect.context<unknown>()
    const rights = rightsIn(listed, attempt.place?.directory)
    const asked = runner.value.run({
      agents,
      prompt,
      output: {
        inputSchema: step.codec.inputSchema,
        encode: (value) => Effect.tap(Effect.provide(step.codec.encode(value), services), withoutSecrets),
      },
      isText,
      corrections,
      rights,
      ...defined({ commands: attempt.place?.commands }),
      budget,
      context: {
        input: attempt.input,
        runId,
        stepId: step.id,
        iteration: attempt.pass,
        attempt: attempt.attempt,
        idempotencyKey: keyOf(attempt),
      },
      signal: signalOf(ending),
      journal: { ...attempt.journal, slot: (queue, isIdle) => takeSlot(attempt, queue, isIdle), decision: decisionOf(attempt) },
      graceMs: attempt.graceMs,
      feedback: attempt.failures.at(-1)?.error.issues ?? [],
      onTurn: (turn) => {
        onBeat()
        attempt.onTurn(Secrets.value(turn))
      },
    })
    const answer = yield* Effect.onExit(asked, (exit) => Effect.sync(() => (Exit.isInterrupted(exit) ? abort(ending) : undefined)))
    return looked === undefined ? answer : new PromptLookedUp(looked, answer)
  })

/** The decision about a request of an earlier attempt, if this one starts after it. */
const decisionOf = ({ state, step, iteration }: Attempt): AttemptDecision | undefined => {
  const { wait } = RunState.step(state, step.id, iteration) ?? {}
  if (wait?.isOfAttempt !== true || wait.kind !== "approval" || wait.status !== "finished") return undefined
  const { approved = false, note, by } = wait.decision ?? {}
  return { digest: wait.digest ?? "", approved, isTimeout: wait.decision === undefined, ...defined({ note, by }) }
}

/** Refuses an output with a secret. */
const withoutSecrets = (output: Json | undefined): Effect.Effect<void, Issues> => {
  const found = Secrets.problemIn(output)
  return found === undefined ? Effect.void : Effect.fail([found.problem])
}

/** An attempt as its transactions see it. */
const transactional = (attempt: Attempt): Transaction.Attempt => {
  const { runId, step, iteration, epoch, transact, ending } = attempt
  return {
    runId,
    nodeId: step.id,
    iteration,
    attempt: attempt.attempt,
    epoch,
    idempotencyKey: keyOf(attempt),
    codec: step.codec,
    isOver: () => ending.isOver || ending.isAborted,
    transact,
    settle: (settled) => {
      ending.settled = settled
    },
  }
}

const keyOf = ({ runId, step, iteration, generation }: Attempt): string => idempotencyKey(runId, step.id, iteration, generation)

const signalOf = (ending: Ending): AbortSignal => {
  ending.controller ??= new AbortController()
  if (ending.isAborted) ending.controller.abort()
  return ending.controller.signal
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function"

interface Explained {
  readonly error: ErrorInfo
  readonly cause: unknown
}

const explain = (cause: Cause.Cause<unknown>, { id: stepId, error: codec }: Plan.Step): Explained => {
  const { error, isDefect, beside } = Thrown.fromCause(cause) ?? {
    error: new Error(`step "${stepId}" interrupted itself`),
    isDefect: false,
    beside: [],
  }
  const declared = codec === undefined || error instanceof LimitExceeded ? undefined : codec.encode(error)
  if (declared !== undefined && Either.isLeft(declared)) {
    const refused = new InvalidError({ nodeId: stepId, issues: declared.left, cause: error })
    return { error: describe(refused, beside), cause: refused }
  }
  const described = { ...describe(error, beside), ...(declared === undefined ? {} : { declared: Secrets.value(declared.right) }) }
  if (!isDefect || !described.retryable) return { error: described, cause: error }
  return { error: { ...described, retryable: false, notRetried: "defect" }, cause: error }
}

/** The reason another attempt could not help, if there is one: any other error may pass. */
const forbids = (thrown: unknown): NotRetried | undefined => {
  if (thrown instanceof AgentFailed) return thrown.retryable ? undefined : "agent"
  if (thrown instanceof NoAgentRunner) return "runner"
  if (thrown instanceof BudgetExceeded) return "budget"
  if (thrown instanceof InvalidOutput && thrown.isFinal === true) return "unstorable"
  if (thrown instanceof UnknownLimit || thrown instanceof InvalidLimit) return "plan"
  if (thrown instanceof WorktreeFailed || thrown instanceof SandboxFailed) return thrown.isTransient ? undefined : "worktree"
  if (thrown instanceof PatchConflict) return "worktree"
  if (thrown instanceof InvalidTimeout || thrown instanceof ToolRightsExceeded) return "plan"
  if (thrown instanceof InvalidError) return "unstorable"
  if (Thrown.isSlip(thrown) || Transaction.isOfCode(thrown)) return "slip"
  if (!(thrown instanceof Error)) return undefined
  const name = Thrown.nameOf(thrown)
  if (name === "NonRetryable") return "nonRetryable"
  if (name === "RunWaitsForItself") return "slip"
  return name === "MissingNeed" || name === "MissingOutput" ? "missing" : undefined
}

const describe = (thrown: unknown, beside: ReadonlyArray<unknown>): ErrorInfo => {
  if (thrown instanceof LimitExceeded) {
    const what = thrown.kind === "timeout" ? "took longer than" : "gave no heartbeat for"
    return {
      name: "StepTimedOut",
      message: `${what} ${thrown.limitMs} ms`,
      retryable: true,
      kind: thrown.kind,
      limitMs: thrown.limitMs,
    }
  }
  const raised = Thrown.describe(thrown, beside)
  const issues = thrown instanceof InvalidOutput || thrown instanceof InvalidError ? { issues: cutIssues(thrown.issues) } : {}
  const notRetried = forbids(thrown)
  if (notRetried === undefined) return { ...raised, retryable: true, ...issues }
  return { ...raised, retryable: false, notRetried, ...issues }
}
