/**
 * A store in memory, for the life of its layer: for tests, and for runs that need not outlive the process. It keeps the folded
 * states themselves, so it is also the shortest description of a store's behaviour.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import {
  type AttemptOfClaim,
  type Conversation,
  type JournalWrite,
  progressKinds,
  type RecordedConversation,
  type ToolCallRecord,
  type TranscriptEntry,
  type TranscriptFilter,
} from "./AgentJournal.ts"
import type * as Budget from "./Budget.ts"
import * as Changes from "./Changes.ts"
import * as Charges from "./Charges.ts"
import type { Json } from "./Codec.ts"
import type { StoredGeneration } from "./CodeGeneration.ts"
import * as DerivedStatus from "./DerivedStatus.ts"
import {
  RunEnded,
  RunFenced,
  RunIdTaken,
  RunNotFound,
  StaleFrame,
  StoreFailed,
  StoreRefused,
  WaitExpired,
  WorkflowMismatch,
} from "./Errors.ts"
import * as History from "./History.ts"
import { compositeKey, nodeKey } from "./Ids.ts"
import { type Command, childCommand, type InboxMessage, type Response } from "./Inbox.ts"
import { canonical } from "./internal/json.ts"
import * as MemorySlots from "./internal/memorySlots.ts"
import * as VersionSignal from "./internal/versionSignal.ts"
import { defaultLimit, type Fact, type FactWrite, newest, search } from "./Memory.ts"
import * as Millis from "./Millis.ts"
import * as Pauses from "./Pauses.ts"
import * as Published from "./Published.ts"
import * as Records from "./Records.ts"
import * as RedactedStorage from "./RedactedStorage.ts"
import { type Exclusion, mergeStuck, type NewRun, newRunProblem, type OpenResult } from "./RunOwnership.ts"
import {
  type AttemptSummary,
  hidesContinued,
  type LoggedEvent,
  lowered,
  type RunDetails,
  type RunFilter,
  type RunOverview,
  type RunSummary,
  type WaitSummary,
  withoutContent,
} from "./RunReader.ts"
import * as RunState from "./RunState.ts"
import { type Frame, type Heartbeat, isStaleFrame } from "./RunStore.ts"
import * as Schedules from "./Schedules.ts"
import { defaultLimit as mostScores, type Score, type ScoreKey } from "./Scores.ts"
import * as Snapshots from "./Snapshots.ts"
import * as Status from "./Status.ts"
import * as Storage from "./Storage.ts"
import { defined } from "./Struct.ts"
import { nodeSummary, waitSummaries } from "./Summaries.ts"
import { NoSqlStore, StaleAttempt } from "./Transaction.ts"

/** A run as stored. */
interface Row extends Omit<RunSummary, "status" | "isPaused" | "children"> {
  readonly status: Status.RunStatus
}

interface Stored {
  readonly created: NewRun
  /** Claims in a row that made no progress and were not released, the current one included. */
  crashes: number
  run: Row
  state: RunState.RunState
  /** All events, with the content that the log leaves out. */
  readonly events: Array<LoggedEvent>
  /** Attempts that have ended. */
  readonly attempts: Array<Changes.AttemptRecord>
  readonly generations: Array<StoredGeneration>
  readonly replacedOutputs: Array<Changes.ReplacedOutput>
  readonly replacedWaits: Array<Changes.WaitRecord>
  readonly beats: Array<Beat>
  readonly plans: Array<{ readonly frame: number; readonly text: string }>
  readonly conversations: Map<string, Conversation>
  readonly charges: Map<string, Charges.Charge>
  readonly entries: Array<TranscriptEntry>
  readonly calls: Map<string, ToolCallRecord>
  /** In the order in which they were taken; those before attempts that have none after them are open. */
  readonly snapshots: Array<Snapshots.Snapshot & { readonly isOpen: boolean }>
  readonly reverts: Map<number, Snapshots.StoredRevert>
}

/** The details of a heartbeat. `seq` is the number of the next event. */
interface Beat extends Omit<Heartbeat, "runId" | "epoch"> {
  readonly seq: number
}

/** The claim of a run that was never owned. */
const unowned = { epoch: 0, owner: null, leaseUntil: null }

interface Cached {
  /** The row of the output. */
  readonly row: string
  readonly runId: string
  readonly at: number
  /** Number of the event that gave it. */
  readonly seq: number
  readonly output: Json | undefined
}

/** The key of a cached output in the map of all. */
const cacheKeyOf = (workflow: string, nodeId: string, key: string, isShared = false): string =>
  canonical(isShared ? [key] : [workflow, nodeId, key])

const isEnded = (run: Row): boolean => Status.isEnded(run.status)

const isOwned = ({ leaseUntil }: Row, now: number): boolean => leaseUntil !== null && leaseUntil > now

/** Tells whether a run is paused. A cancellation proceeds in a paused run. */
const isPaused = ({ pausedAt, cancel }: RunState.RunState): boolean => pausedAt !== undefined && cancel === undefined

const isOpenWait = ({ kind, status }: WaitSummary): boolean => status === "open" && kind !== "retry"

const oldestFirst = (left: WaitSummary, right: WaitSummary): number =>
  left.since - right.since ||
  (left.runId < right.runId ? -1 : left.runId > right.runId ? 1 : left.requestSeq - right.requestSeq || byNode(left, right))

const openWaitsOf = (entry: Stored): ReadonlyArray<WaitSummary> =>
  waitSummaries(entry.run, RunState.pending(entry.state)).filter(isOpenWait).sort(oldestFirst)

const text = (value: Json | undefined): string => (value === undefined ? "" : canonical(value))

const isSameCall = (one: NewRun, other: NewRun): boolean =>
  (one.inputDigest !== undefined && one.inputDigest === other.inputDigest) || text(one.input) === text(other.input)

const scoreKey = ({ runId, nodeId, iteration, scorer }: Omit<ScoreKey, "attempt">): string =>
  canonical([runId, nodeId, iteration, scorer])

/** Number of stores made, to identify each. */
let made = 0

/** Makes an empty store. */
export const make = (): Storage.StorageShape => RedactedStorage.make(bare())

const bare = (): Storage.StorageShape => {
  const stored = new Map<string, Stored>()
  /** Commands by run and id. */
  const inbox = new Map<string, InboxMessage>()
  /** Applied commands, by run and id: delivering one again does nothing. */
  const consumed = new Map<string, Command>()
  const cache = new Map<string, Cached>()
  const facts = new Map<string, Fact>()
  const scores = new Map<string, { readonly score: Score; readonly leaseUntil: number | undefined }>()
  const schedules = new Map<string, Schedules.Schedule>()
  /** Published events by id, in the order in which they came. */
  const events = new Map<string, Published.PublishedEvent>()
  /** Ticks of schedules, in the order in which they were made. */
  const ticks = new Map<string, ReadonlyArray<Schedules.Tick>>()
  const dueScore = (key: ScoreKey) => {
    const found = scores.get(scoreKey(key))
    return found?.score.status === "due" && found.score.attempt === key.attempt ? found : undefined
  }
  const news = VersionSignal.make()
  news.bump()
  const slots = MemorySlots.make((runId, epoch, now) => {
    const run = stored.get(runId)?.run
    if (run === undefined || (isEnded(run) && run.owner === null)) return "over"
    if (run.owner === null) return run.status === "waiting" ? "released" : "lost"
    return run.epoch === epoch && isOwned(run, now) ? "current" : "lost"
  })

  const find = (runId: string): Effect.Effect<Stored, RunNotFound> =>
    Effect.suspend(() => {
      const found = stored.get(runId)
      return found === undefined ? new RunNotFound({ runId }) : Effect.succeed(found)
    })
  const owned = (runId: string, epoch: number): Effect.Effect<Stored, RunFenced> =>
    Effect.suspend(() => {
      const found = stored.get(runId)
      if (found === undefined || found.run.epoch !== epoch || found.run.owner === null) return new RunFenced({ runId, epoch })
      return Effect.succeed(found)
    })

  /** The run of an attempt that writes to its journal. */
  const attempting = ({
    runId,
    epoch,
    nodeId,
    iteration,
    attempt,
    score,
  }: AttemptOfClaim & Pick<JournalWrite, "score">): Effect.Effect<Stored, RunFenced | StaleAttempt> => {
    const entry = stored.get(runId)
    if (score !== undefined && entry !== undefined)
      return dueScore(score)?.score.tries === score.tries
        ? Effect.succeed(entry)
        : new StaleAttempt({ runId, nodeId, iteration, attempt })
    return Effect.filterOrFail(
      owned(runId, epoch),
      (entry) => {
        const record = RunState.step(entry.state, nodeId, iteration)
        return record?.status === "running" && record.attempt === attempt
      },
      () => new StaleAttempt({ runId, nodeId, iteration, attempt }),
    )
  }
  const withBusy = (schedule: Schedules.Schedule): Schedules.DueSchedule => {
    const last = schedule.lastRunId === null ? undefined : stored.get(newestOf(schedule.lastRunId))?.run
    return { schedule, isBusy: last !== undefined && (!isEnded(last) || last.owner !== null) }
  }
  const accountRows = new Map<string, Budget.Account>()
  const accounts: Charges.Accounts = {
    find: (key) => accountRows.get(key),
    put: (account) => void accountRows.set(account.key, account),
  }
  const putRows = (entry: Stored, { conversations = [], entries = [], calls = [], charges = [] }: JournalWrite): void => {
    for (const each of conversations) entry.conversations.set(conversationKey(each), each)
    entry.entries.push(...entries)
    for (const each of calls) entry.calls.set(compositeKey(conversationKey(each), each.ordinal, each.index), each)
    for (const charge of charges) {
      const key = chargeKey(charge)
      const settled = Charges.settle(accounts, entry.charges.get(key), charge)
      if (settled !== undefined) entry.charges.set(key, settled)
    }
  }
  /** Some runs, and those below them. */
  const familyOf = (runIds: ReadonlyArray<string>): ReadonlyArray<string> => {
    const family = new Set(runIds)
    for (const runId of family) for (const { run } of stored.values()) if (run.parent?.runId === runId) family.add(run.runId)
    return [...family]
  }

  const consume = (runId: string, id: string): void => {
    const key = compositeKey(runId, id)
    const command = inbox.get(key)
    if (command === undefined) return
    inbox.delete(key)
    consumed.set(key, command.command)
  }

  const insert = (
    runId: string,
    create: NewRun,
    now: Millis.Millis,
    status: Status.RunStatus,
    claim: Pick<RunSummary, "epoch" | "owner" | "leaseUntil">,
  ): Stored => {
    const { workflow, version, tags, source = null, parent } = create
    const times = { createdAt: now, updatedAt: now, finishedAt: null }
    const forkedFrom =
      create.fork === undefined ? null : { runId: create.fork.runId, frame: create.fork.frame, seq: create.fork.seq }
    const from = { source, parent: parent ?? null, forkedFrom, stuck: null }
    const run: Row = { runId, workflow, version: version ?? null, status, tags, ...times, ...claim, ...from }
    const state = {
      ...RunState.empty(runId),
      workflow,
      version,
      input: create.input,
      status,
      parent,
      budgets: create.budgets ?? [],
      deadline: create.deadline,
      depth: create.depth ?? 0,
      startAt: create.startAt,
      fork: create.fork,
      chain: create.chain,
    }
    const rows = {
      events: [],
      attempts: [],
      generations: [],
      replacedOutputs: [],
      replacedWaits: [],
      beats: [],
      plans: [],
      conversations: new Map(),
      entries: [],
      calls: new Map(),
      snapshots: [],
      reverts: new Map(),
      charges: new Map(),
    }
    const entry: Stored = { created: create, crashes: 0, run, state, ...rows }
    stored.set(runId, entry)
    return entry
  }
  /** The newest of the runs that a run goes on as, or the run itself. */
  const newestOf = (runId: string): string => {
    const { created, state } = stored.get(runId) ?? {}
    if (state?.continuedAs === undefined) return runId
    const first = created?.chain?.first ?? runId
    let [newest, most] = [runId, 0]
    for (const [id, entry] of stored) {
      const { chain } = entry.created
      if (chain?.first === first && chain.generation > most) [newest, most] = [id, chain.generation]
    }
    return newest
  }
  /** Tells whether two runs are generations of one. */
  const isSameChain = (one: string, other: string): boolean =>
    (stored.get(one)?.created.chain?.first ?? one) === (stored.get(other)?.created.chain?.first ?? other)
  const spawn = (runId: string, create: NewRun, now: Millis.Millis): void => {
    if (!stored.has(runId)) insert(runId, create, now, "suspended", unowned)
  }
  const stands = (runId: string): Either.Either<Stored, RunNotFound> =>
    Either.fromNullable(stored.get(runId), () => new RunNotFound({ runId }))
  const inTime = (): Either.Either<void> => Either.void
  const delivering = <E>(put: () => Either.Either<Command, E>): Effect.Effect<Command, E> =>
    Effect.suspend(() => {
      const delivered = put()
      news.bump()
      return delivered
    })
  /** A command that an earlier generation of a run has taken. */
  const saidBefore = ({ created, run }: Stored, id: string): Command | undefined => {
    if (created.chain === undefined) return undefined
    for (const other of stored.keys()) {
      const command = isSameChain(other, run.runId) ? consumed.get(compositeKey(other, id)) : undefined
      if (command !== undefined) return command
    }
    return undefined
  }
  /** Puts a command into an inbox, unless its run has ended or it comes too late. */
  const put = <E>(
    entry: Stored,
    command: InboxMessage,
    reopen: boolean,
    checkTime: () => Either.Either<void, E>,
  ): Either.Either<Command, RunEnded | E> => {
    const { runId } = command
    const { status, owner } = entry.run
    const key = compositeKey(runId, command.id)
    const known = inbox.get(key)?.command ?? consumed.get(key) ?? saidBefore(entry, command.id)
    if (known !== undefined) return Either.right(known)
    // An ended run with an owner is being reopened, and will read its inbox.
    if (Status.isEnded(status) && owner === null) {
      if (!reopen || !Status.isReopenable(status)) return Either.left(new RunEnded({ runId, status }))
      entry.run = { ...entry.run, status: "suspended", updatedAt: command.at, finishedAt: null }
      entry.state = { ...entry.state, status: "suspended", failure: undefined, cancel: undefined }
      pauseWithAncestors(entry, command.at)
    }
    return Either.map(checkTime(), () => {
      inbox.set(key, command)
      passOn(command)
      return command.command
    })
  }
  /** Runs with an open wait for an event, that with the oldest wait first. */
  const awaiting = ({ name, correlation }: Pick<Published.PublishedEvent, "name" | "correlation">): ReadonlyArray<string> => {
    const waits = [...stored.values()].flatMap((entry) => openWaitsOf(entry))
    const meant = waits.filter((wait) => wait.kind === "signal" && wait.name === name && wait.correlation === correlation)
    return [...new Set(meant.sort(oldestFirst).map(({ runId }) => runId))]
  }
  /** Delivers an event to runs, and notes it. A run that has ended meanwhile takes nothing. */
  const hand = (event: Published.PublishedEvent, runIds: ReadonlyArray<string>, at: Millis.Millis): Published.PublishedEvent => {
    const taken = runIds.filter((runId) => {
      const message = { id: compositeKey("signal", event.id), runId, at, command: Published.signalOf(event) }
      return Either.isRight(Either.flatMap(stands(runId), (entry) => put(entry, message, false, inTime)))
    })
    const given = { ...event, takenBy: [...event.takenBy, ...taken.map((runId) => ({ runId, at }))] }
    events.set(event.id, given)
    if (taken.length > 0) news.bump()
    return given
  }
  const commandsOf = (runId: string): ReadonlyArray<InboxMessage> =>
    [...inbox.values()].filter((command) => command.runId === runId)
  /** Delivers the instruction of {@link childCommand} to the attached descendants of a run. */
  const passOn = ({ id, runId, at, command }: InboxMessage): void => {
    const passed = childCommand(runId, command)
    if (passed === undefined) return
    for (const { run, created } of stored.values()) {
      if (created.parent?.runId !== runId || !created.parent.isAttached || (isEnded(run) && run.owner === null)) continue
      if (passed._tag !== "Cancel" || created.isFinal !== true)
        put(stored.get(run.runId) as Stored, { id, runId: run.runId, at, command: passed }, false, inTime)
    }
  }
  /** Pauses a reopened run if one of its ancestors is paused. */
  const pauseWithAncestors = (entry: Stored, at: Millis.Millis): void => {
    const { runId, epoch } = entry.run
    for (let { parent } = entry.created; parent?.isAttached === true; ) {
      const above = stored.get(parent.runId)
      if (above === undefined) return
      if (!isEnded(above.run) && Pauses.isPaused(above.state.pausedAt !== undefined, commandsOf(parent.runId))) {
        const id = compositeKey("paused-with", parent.runId, epoch, at)
        inbox.set(compositeKey(runId, id), { id, runId, at, command: { _tag: "Pause" } })
        return
      }
      parent = above.created.parent
    }
  }
  /** Fails if a response comes after its deadline. */
  const checkDeadline = (entry: Stored, { runId, at, command }: InboxMessage<Response>): Either.Either<void, WaitExpired> => {
    const { nodeId, iteration } = command
    const { status, wait } = RunState.step(entry.state, nodeId, iteration) ?? {}
    if (status !== "waiting" || wait?.deadline === undefined) return Either.void
    const { deadline } = wait
    const isTooLate = Pauses.isTooLate({ ...wait, deadline }, at, entry.state.pausedAt, commandsOf(runId))
    return isTooLate ? Either.left(new WaitExpired({ runId, nodeId, iteration, deadline })) : Either.void
  }

  const answersOf = (entry: Stored, waits: ReadonlyArray<WaitSummary>): ReadonlyMap<WaitSummary, InboxMessage> =>
    DerivedStatus.answers(waits, commandsOf(entry.run.runId))
  const factsOf = (entry: Stored, now: number): DerivedStatus.Facts => {
    const { run, state } = entry
    const steps = () => RunState.records(state).filter(({ kind }) => kind === "step")
    return {
      stored: run.status,
      owner: run.owner === null ? "none" : isOwned(run, now) ? "alive" : "gone",
      isPaused: isPaused(state),
      commands: commandsOf(run.runId),
      waits: openWaitsOf(entry),
      isRetrying: RunState.pending(state).some(({ status }) => status === "retrying"),
      ...(run.status === "continued" ? { newest: newestOf(run.runId) } : {}),
      isQueued: run.owner === null && slots.waits(run.runId, now).length > 0,
      isActive: () => steps().some(({ status }) => status === "running"),
    }
  }
  const summariesOf = (rows: ReadonlyArray<Row>, now: number): ReadonlyArray<RunSummary> => {
    const lookup: DerivedStatus.Lookup = (runIds) =>
      new Map(
        runIds.flatMap((runId) => {
          const entry = stored.get(runId)
          return entry === undefined ? [] : [[runId, factsOf(entry, now)] as const]
        }),
      )
    const shown = DerivedStatus.statuses(
      rows.map(({ runId }) => runId),
      lookup,
    )
    const children = new Map<string, number>()
    for (const { run } of stored.values()) {
      if (run.parent !== null) children.set(run.parent.runId, (children.get(run.parent.runId) ?? 0) + 1)
    }
    return rows.map((run) => ({
      ...run,
      status: shown.get(run.runId) as RunSummary["status"],
      isPaused: isPaused((stored.get(run.runId) as Stored).state),
      children: children.get(run.runId) ?? 0,
      ...defined({ continuedAs: stored.get(run.runId)?.state.continuedAs, chain: stored.get(run.runId)?.created.chain }),
    }))
  }

  const standingOf = (entry: Stored, now: number): RunOverview => ({
    run: summariesOf([entry.run], now)[0] as RunSummary,
    seq: entry.state.seq,
    hasPendingCommands: commandsOf(entry.run.runId).length > 0,
    leaving: DerivedStatus.leaving(commandsOf(entry.run.runId)),
    cancel: cancelOf(entry),
    ...defined({ deadline: entry.state.deadline }),
  })

  /** The runs that no process drives and that could continue now, and when the next one could. */
  const runnable = (now: number, { workflows = [], runIds = [] }: Exclusion = {}) => {
    // An ended run with an owner is being reopened.
    const isOpen = (run: Row) => !isEnded(run) || run.owner !== null
    const free = [...stored.values()].filter(({ run }) => isOpen(run) && (run.leaseUntil === null || run.leaseUntil <= now))
    const told = new Set([...inbox.values()].map((command) => command.runId))
    const deadlines = (entry: Stored) =>
      waitSummaries(entry.run, RunState.pending(entry.state)).flatMap(({ status, deadline }) =>
        status === "open" && deadline !== null ? [deadline] : [],
      )
    const queued = slots.due(now)
    const endsAt = ({ state: { deadline } }: Stored) => (deadline === undefined ? [] : [deadline])
    const canGoOn = (entry: Stored) =>
      !Status.isIdle(entry.run.status) ||
      endsAt(entry).some((deadline) => deadline <= now) ||
      told.has(entry.run.runId) ||
      (entry.run.status === "waiting" && queued.runIds.includes(entry.run.runId)) ||
      (entry.run.status === "waiting" && deadlines(entry).some((deadline) => deadline <= now))
    const resting = free.filter((entry) => Status.isIdle(entry.run.status) && !canGoOn(entry))
    const timed = resting.flatMap((entry) => [...endsAt(entry), ...(entry.run.status === "waiting" ? deadlines(entry) : [])])
    const later = queued.opensAt === undefined ? timed : [...timed, queued.opensAt]
    const isWanted = ({ run }: Stored) => !workflows.includes(run.workflow) && !runIds.includes(run.runId)
    const unscored = [...scores.values()].flatMap(({ score, leaseUntil }) => {
      const entry = score.status === "due" && (leaseUntil ?? 0) <= now ? stored.get(score.runId) : undefined
      return entry !== undefined && !isOpen(entry.run) ? [entry] : []
    })
    const goingOn = [...free.filter(canGoOn), ...new Set(unscored)]
    const runs = goingOn.filter(isWanted).map(({ run, crashes, events }) => {
      const { runId, workflow, source } = run
      const last = events.findLast(({ event }) => event._tag !== "RunResumed")
      const pending = [...inbox.values()].findLast((command) => command.runId === runId)
      const ended = isOpen(run) ? {} : { hasEnded: true as const }
      return { runId, workflow, source, crashes, revision: JSON.stringify([last?.seq ?? 0, pending?.id ?? null]), ...ended }
    })
    return { runs, nextAt: later.length === 0 ? undefined : Math.min(...later) }
  }

  const forget = (row: string): void => {
    for (const [key, cached] of cache) if (cached.row === row) cache.delete(key)
  }

  const putFact = ({ namespace, key, value, ttlMs, runId, nodeId, at }: FactWrite & { readonly at: number }): Fact => {
    const factKey = canonical([namespace, key])
    const before = facts.get(factKey)
    const isExpired = before?.expiresAt != null && before.expiresAt <= at
    const version = before === undefined || isExpired ? 1 : before.version + 1
    const expiresAt = ttlMs === undefined ? null : at + ttlMs
    const fact = { namespace, key, value, version, at, expiresAt, runId: runId ?? null, nodeId: nodeId ?? null }
    facts.set(factKey, fact)
    return fact
  }

  const commit = (entry: Stored, frame: Frame): void => {
    const { runId, frame: number, at, changes } = frame
    for (const [index, event] of frame.events.entries())
      entry.events.push({ runId, seq: frame.firstSeq + index, frame: number, at, event })
    const patched = Changes.patch(entry.state, changes, number, frame.firstSeq + frame.events.length - 1)
    for (const attempt of changes.attempts) {
      entry.attempts.push(attempt)
      const { nodeId, iteration, heartbeat, finishedAt, seq } = attempt
      if (heartbeat === undefined) continue
      entry.beats.push({ nodeId, iteration, attempt: attempt.attempt, at: finishedAt, details: heartbeat, seq })
    }
    entry.state = entry.beats.length === 0 ? patched : changes.nodes.reduce(withHeartbeat(entry.beats), patched)
    for (const wait of changes.replacedWaits) entry.replacedWaits.push(wait)
    for (const replaced of changes.replacedOutputs) {
      entry.replacedOutputs.push(replaced)
      forget(canonical([runId, replaced.nodeId, replaced.iteration]))
    }
    entry.crashes = 0
    entry.run = { ...entry.run, stuck: null }
    for (const { runId, create } of frame.spawned ?? []) {
      const { tags, source, isFinal } = entry.created
      spawn(runId, create.chain === undefined ? create : { ...create, tags, ...defined({ source, isFinal }) }, frame.at)
    }
    for (const command of frame.sent ?? []) {
      const to = newestOf(command.runId)
      Either.map(stands(to), (entry) => put(entry, { ...command, runId: to }, false, inTime))
    }
    if (frame.spawned !== undefined || frame.sent !== undefined) news.bump()
    if (frame.generation !== undefined) entry.generations.push({ ...frame.generation, at: frame.at })
    if (frame.plan !== undefined) entry.plans.push({ frame: frame.frame, text: frame.plan.text })
    entry.run = { ...entry.run, status: entry.state.status, updatedAt: frame.at, finishedAt: null }
    for (const id of frame.consumed) consume(frame.runId, id)
    for (const due of frame.scores ?? []) {
      const score = { ...due, runId, status: "due", score: null, reason: null, error: null, tries: 0 } as const
      scores.set(scoreKey(score), { score: { ...score, dueAt: frame.at, endedAt: null }, leaseUntil: undefined })
    }
    for (const fact of frame.facts ?? []) putFact({ ...fact, runId, at: frame.at })
    for (const { nodeId, iteration, key, isShared } of frame.cache) {
      const record = RunState.step(entry.state, nodeId, iteration)
      const row = canonical([frame.runId, nodeId, iteration])
      const cached = { row, runId, at: frame.at, seq: record?.finishedSeq ?? 0, output: record?.output }
      cache.set(cacheKeyOf(entry.run.workflow, nodeId, key, isShared), cached)
    }
    if (isEnded(entry.run)) {
      entry.run = { ...entry.run, finishedAt: frame.at, owner: null, leaseUntil: null }
      for (const command of [...inbox.values()]) if (command.runId === frame.runId) consume(frame.runId, command.id)
      news.bump()
    }
  }

  /** The cancellation of a run that has not ended. */
  const cancelOf = ({ run, state }: Stored): RunDetails["cancel"] => {
    if (isEnded(run)) return null
    if (state.cancel !== undefined) {
      const { reason = null, deadline } = state.cancel
      return { reason, isDelivered: true, ...defined({ deadline }) }
    }
    for (const { command } of commandsOf(run.runId))
      if (command._tag === "Cancel") return { reason: command.reason ?? null, isDelivered: false }
    return null
  }

  const putSnapshot = (snapshot: Snapshots.Snapshot, isOpen: (was: boolean) => boolean): void => {
    const { snapshots } = stored.get(snapshot.runId) ?? {}
    const at = snapshots?.findIndex((one) => Snapshots.isSameAttempt(one, snapshot) && one.moment === snapshot.moment) ?? -1
    const row = { ...snapshot, isOpen: isOpen(snapshots?.[at]?.isOpen === true) }
    if (at < 0) snapshots?.push(row)
    else snapshots?.splice(at, 1, row)
  }

  /** The state right after a moment. Of a fork, that of the original before the cut. */
  const stateAt = (entry: Stored, at: History.Moment): Effect.Effect<RunState.RunState, RunNotFound> => {
    const { created, events, beats } = entry
    const { runId } = entry.run
    const { fork } = created
    const earlier = History.inOriginal(fork, at)
    if (fork !== undefined && earlier !== undefined) return Effect.flatMap(find(fork.runId), (entry) => stateAt(entry, earlier))
    const before =
      fork === undefined ? Effect.succeed(undefined) : Effect.flatMap(find(fork.runId), (entry) => stateAt(entry, fork))
    const upTo = events.filter(History.isUpTo(at))
    const { seq, frame: last } = upTo.at(-1) ?? { seq: fork?.seq ?? 0, frame: fork?.frame ?? 0 }
    const frame = "frame" in at ? Math.min(at.frame, entry.state.frame) : last
    return Effect.map(before, (state) => History.stateAt(runId, created, { seq, frame, events: upTo, beats }, state))
  }

  /** A run, and those above it. */
  const lineOf = (runId: string): ReadonlyArray<Stored> => {
    const line: Array<Stored> = []
    for (let entry = stored.get(runId); entry !== undefined; ) {
      line.push(entry)
      const { parent } = entry.created
      entry = parent === undefined ? undefined : stored.get(parent.runId)
    }
    return line
  }

  /** Tells whether a run that a fork comes from, or a child run of it, has cached an output after the cut. */
  const isAfterCut = (found: { readonly runId: string; readonly seq: number; readonly at: number }, runId: string): boolean => {
    const lineage = lineOf(runId).at(-1)?.created.fork?.lineage ?? []
    return lineage.some((cut) => {
      if (found.runId === cut.runId) return found.seq > cut.seq
      const above = lineOf(found.runId).find((one) => one.run.runId === cut.runId)
      const at = above?.events.findLast(({ seq }) => seq <= cut.seq)?.at
      return at !== undefined && found.at > at
    })
  }

  const planAt = ({ plans, created: { fork } }: Stored, frame: number): string => {
    const original = fork !== undefined && frame <= fork.frame ? stored.get(fork.runId) : undefined
    return original === undefined ? (plans.findLast((plan) => plan.frame <= frame)?.text ?? "") : planAt(original, frame)
  }

  return {
    storeId: `memory ${++made}`,
    open: ({ runId, create, reopen, leaseMs, now, isForced = false }) =>
      Effect.suspend((): Effect.Effect<OpenResult, RunNotFound | StoreRefused> => {
        const detail = create === undefined ? undefined : newRunProblem(create)
        if (detail !== undefined) return new StoreRefused({ operation: "open", detail })
        const entry = stored.get(runId)
        const claim = { owner: "memory", leaseUntil: Millis.after(now, leaseMs) }
        if (entry === undefined) {
          if (create === undefined) return new RunNotFound({ runId })
          insert(runId, create, now, "running", { epoch: 1, ...claim })
          return Effect.succeed({ _tag: "Created", epoch: 1 })
        }
        const { run, created } = entry
        if (create !== undefined && (create.workflow !== run.workflow || !isSameCall(create, created))) {
          return Effect.succeed({ _tag: "Mismatch", workflow: run.workflow })
        }
        if (entry.state.continuedAs !== undefined) {
          const newest = newestOf(runId)
          return newest === runId
            ? new RunNotFound({ runId: entry.state.continuedAs })
            : Effect.succeed({ _tag: "Continued", runId: newest })
        }
        // An ended run with an owner is being reopened, even if that owner died before its first frame.
        const isOver = isEnded(run) && run.owner === null
        if (isOver && !reopen.some((status) => status === run.status)) return Effect.succeed({ _tag: "Ended" })
        if (!isForced && run.leaseUntil !== null && run.leaseUntil > now)
          return Effect.succeed({ _tag: "Owned", until: run.leaseUntil })
        const epoch = run.epoch + 1
        if (isOver) pauseWithAncestors(entry, now)
        entry.run = { ...run, ...claim, epoch }
        entry.crashes++
        return Effect.succeed({ _tag: "Claimed", epoch })
      }),
    origin: (runId) =>
      Effect.sync(() => {
        const entry = stored.get(runId)
        if (entry === undefined) return undefined
        const { workflow, input, inputDigest } = entry.created
        return { workflow, input, inputDigest, status: entry.run.status }
      }),
    load: (runId, at) =>
      Effect.flatMap(find(runId), (entry) => (at === undefined ? Effect.succeed(entry.state) : stateAt(entry, at))),
    fork: (request) =>
      Effect.suspend((): Effect.Effect<void, RunIdTaken | RunNotFound | StoreRefused> => {
        const { runId, create, inherited, frame, accounts: opened, messages, restores } = request
        const { fork } = create
        const detail = newRunProblem(create)
        if (detail !== undefined) return new StoreRefused({ operation: "fork", detail })
        if (stored.has(runId)) return new RunIdTaken({ runId })
        const original = stored.get(fork.runId)
        if (original === undefined) return new RunNotFound({ runId: fork.runId })
        const entry = insert(runId, create, frame.at, "suspended", unowned)
        const hasEnded = ({ nodeId, iteration, attempt }: Changes.AttemptRecord): boolean => {
          const record = RunState.step(inherited, nodeId, iteration)
          return record !== undefined && (attempt < record.attempt || (attempt === record.attempt && record.status !== "running"))
        }
        entry.attempts.push(...original.attempts.filter(hasEnded))
        entry.beats.push(...original.beats.filter(({ seq }) => seq <= fork.seq))
        entry.generations.push(...original.generations.filter(({ at }) => at <= fork.at))
        entry.state = inherited
        commit(entry, frame)
        entry.run = { ...entry.run, status: "suspended" }
        entry.state = { ...entry.state, status: "suspended" }
        const later = familyOf([fork.runId]).flatMap((of) =>
          [...(stored.get(of)?.charges.values() ?? [])].filter(({ endedAt = 0 }) => endedAt > fork.at),
        )
        for (const { from, account } of opened) {
          const { spent, unpriced } = accountRows.get(from) ?? account
          accounts.put(Charges.without({ ...account, spent, unpriced }, from, later))
        }
        for (const message of messages) put(entry, message, false, inTime)
        if (restores.intents.length > 0) {
          entry.run = { ...entry.run, owner: "memory", leaseUntil: Millis.after(frame.at, restores.leaseMs), epoch: 1 }
          entry.crashes++
        }
        for (const intent of restores.intents) entry.reverts.set(intent.number, intent)
        news.bump()
        return Effect.void
      }),
    history: (runId) =>
      Effect.map(find(runId), ({ created: { workflow, version, input, parent, budgets, depth, fork, chain }, events }) => ({
        ...{ runId, workflow, version, input, parent, budgets, depth, fork, chain },
        entries: [...events],
      })),
    commit: (frame) =>
      Effect.flatMap(owned(frame.runId, frame.epoch), (entry): Effect.Effect<void, StoreFailed | StoreRefused | StaleFrame> => {
        if (frame.frame !== entry.state.frame + 1 || frame.firstSeq !== entry.state.seq + 1) {
          const detail = `frame ${frame.frame} of run ${frame.runId} does not follow frame ${entry.state.frame}`
          return new StoreFailed({ operation: "commit", detail })
        }
        const detail = "a time is no whole millisecond"
        if (!Millis.is(frame.at)) return new StoreFailed({ operation: "commit", detail })
        if (inbox.size > 0 && isStaleFrame(frame, commandsOf(frame.runId))) return new StaleFrame({ runId: frame.runId })
        const taken = frame.spawned?.find(({ runId, create }) => create.chain !== undefined && stored.has(runId))
        if (taken !== undefined) {
          const event = frame.events.findIndex(({ _tag }) => _tag === "RunContinued")
          const detail = `the run cannot go on as "${taken.runId}", which is the id of another run`
          return new StoreRefused({ operation: "commit", detail, event })
        }
        const event = frame.events.findIndex((event) => !Millis.is(timeOf(event) ?? frame.at))
        return event < 0 ? Effect.sync(() => commit(entry, frame)) : new StoreRefused({ operation: "commit", detail, event })
      }),
    heartbeat: ({ runId, epoch, nodeId, iteration, attempt, at, details }) =>
      Effect.map(owned(runId, epoch), (entry) => {
        const record = RunState.step(entry.state, nodeId, iteration)
        if (record === undefined || record.status !== "running" || record.attempt !== attempt) return
        entry.state = RunState.put(entry.state, { ...record, heartbeat: details })
        entry.beats.push({ nodeId, iteration, attempt, at, details, seq: entry.state.seq + 1 })
      }),
    record: (write) =>
      Effect.map(attempting(write), (entry) => {
        putRows(entry, write)
      }),
    reserve: (write) =>
      Effect.map(attempting(write), (entry) => {
        const { charge, budgets, now, isFinal = false, extension } = write
        const reservation = Charges.reserve(accounts, charge, budgets, { now, isFinal, extension })
        if (reservation._tag === "Reached") return reservation
        putRows(entry, write)
        entry.charges.set(chargeKey(charge), charge)
        return reservation
      }),
    usage: ({ runIds, since = 0 }) =>
      Effect.sync(() => {
        const wanted = runIds === undefined ? [...stored.keys()] : familyOf(runIds)
        return wanted.flatMap((runId) => {
          const entry = stored.get(runId)
          return entry === undefined ? [] : usageOf(entry, since)
        })
      }),
    adjustBudget: (change) => Effect.sync(() => Charges.adjust(accounts, change)),
    budgets: (runId) => Effect.sync(() => [...accountRows.values()].filter((account) => account.runId === runId)),
    progress: (runId) =>
      Effect.sync(() => (stored.get(runId)?.entries ?? []).filter(({ kind }) => progressKinds.some((made) => made === kind))),
    conversations: (filter) =>
      Effect.sync(() => {
        const entry = stored.get(filter.runId)
        return entry === undefined ? [] : conversationsOf(entry, filter)
      }),
    transact: () => new NoSqlStore(),
    configureLimits: (limits, now) => Effect.sync(() => slots.configure(limits, now)).pipe(Effect.tap(() => news.bump())),
    limits: Effect.sync(slots.limits),
    requestSlot: (request) => Effect.suspend(() => slots.request(request)),
    leaveSlots: (places, isUsed, now) =>
      Effect.sync(() => {
        if (slots.leave(places, isUsed, now)) news.bump()
      }),
    pollSlots: (places, now) => Effect.sync(() => slots.poll(places, now)),
    slotWaits: (runId) => Effect.map(Millis.now, (now) => slots.waits(runId, now)),
    newest: (runId) => Effect.sync(() => newestOf(runId)),
    renew: (claims, leaseUntil) =>
      Effect.sync(() =>
        claims.flatMap(({ runId, epoch }) => {
          const entry = stored.get(runId)
          if (entry === undefined || entry.run.epoch !== epoch) return [runId]
          if (entry.run.owner !== null) entry.run = { ...entry.run, leaseUntil }
          return []
        }),
      ),
    runnable: (now, exclude) =>
      Effect.sync(() => {
        const { runs, nextAt } = runnable(now, exclude)
        return { runs: runs.slice(0, 100), nextAt }
      }),
    noteStuck: (runId, note, now) =>
      Effect.sync(() => {
        const entry = stored.get(runId)
        if (entry === undefined || isEnded(entry.run) || (entry.run.leaseUntil !== null && entry.run.leaseUntil > now)) return
        entry.run = { ...entry.run, stuck: mergeStuck(entry.run.stuck, note) }
      }),
    release: (runId, epoch, now, released = "suspended") =>
      Effect.sync(() => {
        const entry = stored.get(runId)
        if (entry === undefined || entry.run.epoch !== epoch || entry.run.owner === null) return
        const status = isEnded(entry.run) ? entry.run.status : released
        entry.run = { ...entry.run, status, owner: null, leaseUntil: null, updatedAt: now }
        entry.state = { ...entry.state, status }
        entry.crashes = Math.max(0, entry.crashes - 1)
        if (status === "waiting") slots.rest(runId, epoch)
        news.bump()
      }),
    scores: ({ runId, nodeId, status, limit = mostScores }) =>
      Effect.sync(() =>
        [...scores.values()]
          .filter(
            ({ score }) =>
              (runId === undefined || score.runId === runId) &&
              (nodeId === undefined || score.nodeId === nodeId) &&
              (status === undefined || score.status === status),
          )
          .map(({ score }) => score)
          .sort((one, other) => one.dueAt - other.dueAt || (scoreKey(one) < scoreKey(other) ? -1 : 1))
          .slice(0, limit),
      ),
    claimScore: ({ now, until, ...key }) =>
      Effect.sync(() => {
        const found = dueScore(key)
        if (found === undefined || (found.leaseUntil !== undefined && found.leaseUntil > now)) return undefined
        const score = { ...found.score, tries: found.score.tries + 1 }
        scores.set(scoreKey(key), { score, leaseUntil: until })
        return score.tries
      }),
    endScore: ({ now, end, ...key }) =>
      Effect.sync(() => {
        const found = dueScore(key)
        if (found !== undefined)
          scores.set(scoreKey(key), { score: { ...found.score, ...end, endedAt: now }, leaseUntil: undefined })
      }),
    releaseScore: (key) =>
      Effect.sync(() => {
        const found = dueScore(key)
        if (found !== undefined)
          scores.set(scoreKey(key), { score: { ...found.score, tries: found.score.tries - 1 }, leaseUntil: undefined })
      }),
    schedules: ({ scheduleId }) =>
      Effect.sync(() =>
        [...schedules.values()]
          .filter((schedule) => scheduleId === undefined || schedule.scheduleId === scheduleId)
          .sort((left, right) => (left.scheduleId < right.scheduleId ? -1 : 1))
          .map(withBusy),
      ),
    dueSchedules: (now) =>
      Effect.sync(() => {
        const all = [...schedules.values()].map(withBusy)
        const isDue = ({ schedule: { dueAt, queued, isPaused, decidedAt }, isBusy }: Schedules.DueSchedule): boolean =>
          (dueAt !== null && (dueAt <= now || decidedAt > now + Schedules.setBackMs)) || (queued.length > 0 && !isBusy && !isPaused)
        const later = all.flatMap(({ schedule: { dueAt } }) => (dueAt !== null && dueAt > now ? [dueAt] : []))
        return { schedules: all.filter(isDue).slice(0, 100), nextAt: later.length === 0 ? undefined : Math.min(...later) }
      }),
    writeSchedule: ({ schedule, starts, cancels, ticks: made }) =>
      Effect.suspend((): Effect.Effect<Schedules.Written, StoreRefused> => {
        const { scheduleId, revision, decidedAt: at } = schedule
        if ((schedules.get(scheduleId)?.revision ?? 0) !== revision) return Effect.succeed({ _tag: "Stale" })
        for (const { runId, create } of starts) {
          const detail = newRunProblem(create)
          if (detail !== undefined) return new StoreRefused({ operation: "writeSchedule", detail })
          const found = stored.get(runId)
          if (found !== undefined && found.run.workflow !== create.workflow) return Effect.succeed({ _tag: "Taken", runId })
        }
        for (const { runId, create } of starts) spawn(runId, create, at)
        for (const runId of cancels) {
          const id = compositeKey("schedule", scheduleId, revision)
          Either.map(stands(runId), (to) => put(to, { id, runId, at, command: Schedules.cancelOf(scheduleId) }, false, inTime))
        }
        schedules.set(scheduleId, { ...schedule, revision: revision + 1 })
        const replaced = new Set(made.map(({ tick }) => tick))
        const before = (ticks.get(scheduleId) ?? []).filter(({ tick }) => !replaced.has(tick))
        const last = [...new Map(made.map((tick) => [tick.tick, tick])).values()]
        const all = [...before, ...last].sort((left, right) => left.tick - right.tick)
        ticks.set(scheduleId, all.slice(-Schedules.keptTicks))
        news.bump()
        return Effect.succeed({ _tag: "Written" })
      }),
    deleteSchedule: (scheduleId) =>
      Effect.sync(() => {
        ticks.delete(scheduleId)
        return schedules.delete(scheduleId)
      }),
    scheduleTicks: (scheduleId, limit) => Effect.sync(() => (ticks.get(scheduleId) ?? []).toReversed().slice(0, limit)),
    recordSnapshot: ({ epoch, ...write }) =>
      Effect.map(attempting({ epoch, ...write }), (entry) => {
        const open = [...stored.values()].flatMap(({ run, state, snapshots }) =>
          snapshots.filter(({ isOpen, nodeId, iteration, attempt }) => {
            const record = isOpen && run.owner !== null ? RunState.step(state, nodeId, iteration) : undefined
            return record?.status === "running" && record.attempt === attempt
          }),
        )
        const { sharedWith, others } = Snapshots.sharing(write, open)
        for (const other of others) putSnapshot(other, (isOpen) => isOpen)
        const earlier = entry.snapshots.filter((one) => isSameKey(one, write))
        for (const one of earlier) putSnapshot(one, () => false)
        putSnapshot({ ...write, sharedWith }, () => write.moment === "before")
      }),
    snapshots: ({ runId, nodeId, iteration, attempt, attempts }) =>
      Effect.sync(() =>
        (stored.get(runId)?.snapshots ?? [])
          .filter(
            (one) =>
              (nodeId ?? one.nodeId) === one.nodeId &&
              (iteration ?? one.iteration) === one.iteration &&
              (attempt ?? one.attempt) === one.attempt &&
              (attempts?.some((name) => Snapshots.isSameAttempt({ ...name, runId }, one)) ?? true),
          )
          .map(({ isOpen: _, ...snapshot }) => snapshot)
          .sort((left, right) => left.at - right.at || byNode(left, right) || left.attempt - right.attempt),
      ),
    putRevert: ({ epoch, ...revert }) =>
      Effect.map(owned(revert.runId, epoch), ({ reverts }) => {
        reverts.set(revert.number, revert)
      }),
    reverts: (runId) => Effect.sync(() => [...(stored.get(runId)?.reverts.values() ?? [])]),
    facts: ({ namespace, keys, query, limit = defaultLimit, now }) =>
      Effect.sync(() => {
        const found = [...facts.values()].filter(
          (fact) =>
            (namespace === undefined || fact.namespace === namespace) &&
            (keys === undefined || keys.includes(fact.key)) &&
            (fact.expiresAt === null || fact.expiresAt > now),
        )
        return (query === undefined ? found.sort(newest) : search(found, query)).slice(0, limit)
      }),
    putFact: (write) => Effect.sync(() => putFact(write)),
    deleteFacts: ({ namespace, key }) =>
      Effect.sync(() => {
        const found = [...facts].filter(([, fact]) => fact.namespace === namespace && (key === undefined || fact.key === key))
        for (const [factKey] of found) facts.delete(factKey)
        return found.length
      }),
    prepareOutputs: () => Effect.void,
    cached: ({ workflow, nodeId, key, notBefore, isShared, runId }) =>
      Effect.sync(() => {
        const found = cache.get(cacheKeyOf(workflow, nodeId, key, isShared))
        if (found === undefined || found.at < notBefore) return Option.none()
        if (runId !== undefined && isAfterCut(found, runId)) return Option.none()
        return Option.some({ runId: found.runId, output: found.output })
      }),
    deliver: (given, { reopen = false } = {}) =>
      delivering(() => {
        const command = { ...given, runId: newestOf(given.runId) }
        return Either.flatMap(stands(command.runId), (entry) => put(entry, command, reopen, inTime))
      }),
    deliverOrCreate: (given, create) =>
      delivering((): Either.Either<Command, StoreRefused | WorkflowMismatch | RunEnded> => {
        const command = { ...given, runId: newestOf(given.runId) }
        const { runId, at } = command
        const detail = newRunProblem(create)
        if (detail !== undefined) return Either.left(new StoreRefused({ operation: "deliverOrCreate", detail }))
        const entry = stored.get(runId) ?? insert(runId, create, at, "suspended", unowned)
        const { workflow } = entry.run
        if (create.workflow !== workflow)
          return Either.left(new WorkflowMismatch({ runId, workflow: create.workflow, stored: workflow }))
        return put(entry, command, false, inTime)
      }),
    deliverResponse: (command) =>
      delivering(() =>
        Either.flatMap(stands(command.runId), (entry) => put(entry, command, false, () => checkDeadline(entry, command))),
      ),
    publish: ({ correlation = null, ...event }) =>
      Effect.sync(() => {
        for (const [id, { keptUntil }] of events) if (keptUntil < event.at - Published.knownForMs) events.delete(id)
        const known = events.get(event.id)
        if (known !== undefined) return known
        const made: Published.PublishedEvent = { ...event, correlation, takenBy: [] }
        return hand(made, awaiting(made), event.at)
      }),
    deliverPublished: (now) =>
      Effect.sync(() => {
        let count = 0
        for (const event of [...events.values()]) {
          if (event.takenBy.length > 0 || event.keptUntil <= now) continue
          if (awaiting(event).some((runId) => hand(event, [runId], now).takenBy.length > 0)) count++
        }
        return count
      }),
    published: ({ id, limit = 100 }) =>
      Effect.sync(() =>
        [...events.values()]
          .filter((event) => id === undefined || event.id === id)
          .sort((left, right) => right.at - left.at || (left.id < right.id ? -1 : 1))
          .slice(0, limit),
      ),
    pending: Effect.sync(() => [...inbox.values()]),
    changes: news.after,
    runs: (filter) =>
      Effect.map(Millis.now, (now) => {
        const {
          status,
          workflow,
          tag,
          isChild,
          parent,
          forkedFrom,
          forkedAt,
          runIds,
          text,
          changedBefore,
          before,
          limit = 100,
        } = filter
        const isForkAt = (
          { runId, first, last }: NonNullable<RunFilter["forkedAt"]>,
          { forkedFrom }: Pick<RunSummary, "forkedFrom">,
        ) => forkedFrom?.runId === runId && forkedFrom.frame >= first && forkedFrom.frame <= last
        const wanted = text === undefined ? undefined : lowered(text)
        const newestFirst = [...stored.values()].map(({ run }) => run).reverse()
        const start = before === undefined ? 0 : newestFirst.findIndex(({ runId }) => runId === before) + 1
        const found = newestFirst
          .slice(start)
          .filter((run) => !hidesContinued(filter) || run.status !== "continued")
          .filter((run) => workflow === undefined || run.workflow === workflow)
          .filter((run) => tag === undefined || run.tags.includes(tag))
          .filter((run) => isChild === undefined || (run.parent !== null) === isChild)
          .filter((run) => parent === undefined || run.parent?.runId === parent)
          .filter((run) => forkedFrom === undefined || run.forkedFrom?.runId === forkedFrom)
          .filter((run) => forkedAt === undefined || isForkAt(forkedAt, run))
          .filter((run) => runIds === undefined || runIds.includes(run.runId))
          .filter(
            (run) => wanted === undefined || [run.runId, run.workflow, ...run.tags].some((one) => lowered(one).includes(wanted)),
          )
        return summariesOf(found, now)
          .filter((run) => changedBefore === undefined || (run.finishedAt === null && run.updatedAt < changedBefore))
          .filter((run) => status === undefined || status.includes(run.status))
          .slice(0, limit)
      }),
    waits: ({ runId, runIds, kind, all = false, isAnswered, limit = 100 }) =>
      Effect.sync(() => {
        const isMeant = (id: string) => (runId === undefined || id === runId) && (runIds === undefined || runIds.includes(id))
        return [...stored.values()]
          .filter(({ run }) => isMeant(run.runId))
          .flatMap((entry) => {
            const waits = waitSummaries(entry.run, RunState.records(entry.state))
            const answers = answersOf(entry, waits.filter(isOpenWait).sort(oldestFirst))
            return waits.map((wait) => ({
              ...wait,
              ...DerivedStatus.answered(wait, answers.get(wait)),
            }))
          })
          .filter((wait) => isAnswered === undefined || wait.isAnswered === isAnswered)
          .filter((wait) => kind === undefined || kind.includes(wait.kind))
          .filter(({ status }) => all || status === "open")
          .sort(oldestFirst)
          .slice(0, limit)
          .map((wait) => ({ ...wait, request: structuredClone(wait.request) }))
      }),
    statistics: Effect.map(Millis.now, (now) => {
      const runs = summariesOf(
        [...stored.values()].map(({ run }) => run),
        now,
      )
      const open = [...stored.values()].flatMap((entry) =>
        waitSummaries(entry.run, RunState.pending(entry.state)).filter(({ status }) => status === "open"),
      )
      const times = [...inbox.values()].map(({ at }) => at)
      return {
        at: now,
        runs: [...Map.groupBy(runs, ({ workflow, status }) => canonical([workflow, status])).values()].flatMap((group) =>
          group.slice(0, 1).map(({ workflow, status }) => ({ workflow, status, count: group.length })),
        ),
        waits: [...Map.groupBy(open, ({ kind }) => kind)].map(([kind, group]) => ({
          kind,
          count: group.length,
          oldestSince: Math.min(...group.map(({ since }) => since)),
        })),
        due: runnable(now).runs.length,
        pendingCommands: times.length,
        oldestCommandAt: times.length === 0 ? null : Math.min(...times),
        bytes: null,
      }
    }),
    plan: (runId, frame = Number.POSITIVE_INFINITY) => Effect.map(find(runId), (entry) => planAt(entry, frame)),
    find: (prefix, limit) =>
      Effect.sync(() =>
        [...stored.keys()]
          .filter((runId) => runId.startsWith(prefix))
          .sort()
          .slice(0, limit),
      ),
    run: (runId) => Effect.zipWith(find(runId), Millis.now, standingOf),
    wait: ({ runId, nodeId, kind, iteration, requestSeq }) =>
      Effect.sync(() => {
        const entry = stored.get(runId)
        if (entry === undefined) return undefined
        const records = RunState.records(entry.state).filter((record) => record.nodeId === nodeId)
        const meant = waitSummaries(entry.run, records)
          .filter(
            (wait) =>
              wait.kind === kind &&
              (iteration ?? wait.iteration) === wait.iteration &&
              (requestSeq ?? wait.requestSeq) === wait.requestSeq,
          )
          .sort((left, right) => left.since - right.since || left.iteration - right.iteration)
        const found = meant.find(({ status }) => status === "open") ?? meant.at(-1)
        if (found === undefined) return undefined
        const answers = [...answersOf(entry, openWaitsOf(entry))]
        const answer = answers.find(([wait]) => wait.nodeId === nodeId && wait.iteration === found.iteration)?.[1]
        return { ...found, ...DerivedStatus.answered(found, answer), request: structuredClone(found.request) }
      }),
    inspect: (runId) =>
      Effect.zipWith(find(runId), Millis.now, (entry, now) => {
        const answers = answersOf(entry, openWaitsOf(entry))
        const answerTo = new Map([...answers].map(([wait, command]) => [nodeKey(wait.nodeId, wait.iteration), command]))
        const isWorked = isOwned(entry.run, now)
        const waits = slots.waits(runId, now)
        const nodes = RunState.records(entry.state).map((record) => {
          const node = nodeSummary(entry.run.runId, record)
          const answer = answerTo.get(nodeKey(node.nodeId, node.iteration))
          return { ...node, status: DerivedStatus.nodeStatus(node, isWorked, answer) }
        })
        const attempts = attemptsOf(entry).map((attempt) =>
          attempt.status === "running" && !isWorked ? { ...attempt, status: "interrupted" as const } : attempt,
        )
        return {
          ...standingOf(entry, now),
          input: structuredClone(entry.created.input),
          output: structuredClone(entry.state.output),
          failure: entry.state.failure ?? null,
          ...(entry.state.strayReads === undefined ? {} : { strayReads: entry.state.strayReads }),
          nodes: nodes.sort(byNode),
          attempts: attempts.sort((left, right) => byNode(left, right) || left.attempt - right.attempt),
          ...(entry.generations.length === 0 ? {} : { generations: [...entry.generations] }),
          ...(waits.length === 0 ? {} : { slots: waits }),
          ...Snapshots.shownOf(entry.snapshots.map(({ isOpen: _, ...snapshot }) => snapshot)),
        }
      }),
    generations: (runId) => Effect.sync(() => [...(stored.get(runId)?.generations ?? [])]),
    events: (runId, { afterSeq = 0, limit = 1000 } = {}) =>
      Effect.map(find(runId), ({ events }) =>
        events
          .filter(({ seq }) => seq > afterSeq)
          .slice(0, limit)
          .map((logged) => ({ ...logged, event: withoutContent(logged.event) })),
      ),
  }
}

const conversationKey = ({
  nodeId,
  iteration,
  conversation,
}: Pick<Conversation, "nodeId" | "iteration" | "conversation">): string => compositeKey(nodeId, iteration, conversation)

const chargeKey = (charge: Charges.Charge): string =>
  compositeKey(conversationKey(charge), charge.attempt, charge.ordinal, charge.index)

/** What the agents of a run have used since a time, by step, agent and model or tool. */
const usageOf = (entry: Stored, since: number): ReadonlyArray<Charges.UsageRow> => {
  const { runId, workflow } = entry.run
  const models = [...entry.charges.values()].filter(({ kind }) => kind === "model")
  const tools = [...entry.calls.values()].flatMap((call): ReadonlyArray<Charges.Charge> => {
    if (!Charges.isMade(call.status)) return []
    const agent = entry.conversations.get(conversationKey(call))?.agent ?? ""
    return [{ ...call, kind: "tool", status: "settled", agent, name: call.tool, estimate: {}, budgets: [] }]
  })
  const made = [...models, ...tools].filter(({ startedAt }) => startedAt >= since)
  const groups = Map.groupBy(made, ({ nodeId, agent, kind, name = "" }) => JSON.stringify([nodeId, agent, kind, name]))
  return [...groups.values()].map((all) => Charges.usageOf(runId, workflow, all))
}

/** The conversations of a run, oldest first. */
const conversationsOf = (entry: Stored, { nodeId, iteration }: TranscriptFilter): ReadonlyArray<RecordedConversation> =>
  [...entry.conversations.values()]
    .filter((each) => (nodeId ?? each.nodeId) === each.nodeId && (iteration ?? each.iteration) === each.iteration)
    .sort((left, right) => left.startedAt - right.startedAt || byNode(left, right) || left.conversation - right.conversation)
    .map((each) => {
      const key = conversationKey(each)
      const isEnded = entry.attempts.some(
        (attempt) =>
          isSameKey(attempt, each) &&
          attempt.attempt >= each.attempt &&
          (attempt.status !== "interrupted" || attempt.reason === "reset"),
      )
      return {
        ...each,
        entries: entry.entries.filter((other) => conversationKey(other) === key).sort((left, right) => left.seq - right.seq),
        calls: [...entry.calls.values()]
          .filter((other) => conversationKey(other) === key)
          .sort((left, right) => left.ordinal - right.ordinal || left.index - right.index),
        isCurrent: !isEnded,
      }
    })

/** Adds the heartbeat to the record of a node, since it is stored beside frames. */
const withHeartbeat =
  (beats: ReadonlyArray<Beat>) =>
  (state: RunState.RunState, changed: Records.NodeRecord): RunState.RunState => {
    if (changed.kind !== "step" || Records.hasNoHeartbeat(changed.status)) return state
    const beat = beats.findLast((beat) => isSameKey(beat, changed) && beat.attempt > (changed.heartbeatsAfter ?? 0))
    return beat === undefined ? state : RunState.put(state, { ...changed, heartbeat: beat.details })
  }

/** The time that an event schedules. A database rejects an invalid one. */
const timeOf = (event: Frame["events"][number]): number | undefined =>
  "deadline" in event ? event.deadline : event._tag === "AttemptFailed" ? event.retryAt : undefined

type RecordKey = { readonly nodeId: string; readonly iteration: number }

const byNode = (left: RecordKey, right: RecordKey): number =>
  left.nodeId === right.nodeId ? left.iteration - right.iteration : left.nodeId < right.nodeId ? -1 : 1

/** The attempts of a run: ended and running ones. */
const attemptsOf = (entry: Stored): ReadonlyArray<AttemptSummary> => {
  const { runId } = entry.run
  const beatOf = (attempt: RecordKey & { readonly attempt: number }): Pick<AttemptSummary, "heartbeat" | "heartbeatAt"> => {
    const beat = entry.beats.findLast((beat) => isSameKey(beat, attempt) && beat.attempt === attempt.attempt)
    return { heartbeat: beat?.details ?? null, heartbeatAt: beat?.at ?? null }
  }
  const ended = entry.attempts.map((record): AttemptSummary => {
    const { nodeId, iteration, attempt, status, startedAt, finishedAt, error = null, cachedFrom = null, turns = [] } = record
    const key = { runId, nodeId, iteration, attempt, ...defined({ codeGeneration: record.codeGeneration }) }
    return { ...key, status, startedAt, finishedAt, error, cachedFrom, turns, ...beatOf(record) }
  })
  const running = RunState.records(entry.state).flatMap((record): ReadonlyArray<AttemptSummary> => {
    if (record.kind !== "step" || record.status !== "running") return []
    const { nodeId, iteration, attempt, status, attemptedAt: startedAt = null } = record
    const key = { runId, nodeId, iteration, attempt, ...defined({ codeGeneration: record.codeGeneration }) }
    return [{ ...key, status, startedAt, finishedAt: null, error: null, cachedFrom: null, turns: [], ...beatOf(record) }]
  })
  return [...ended, ...running]
}

const isSameKey = (one: RecordKey, other: RecordKey): boolean => one.nodeId === other.nodeId && one.iteration === other.iteration

/** A fresh store for the life of the layer. */
export const layer: Layer.Layer<Storage.Ports> = Storage.layer(Effect.sync(make))
