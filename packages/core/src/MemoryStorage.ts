/**
 * A store that lasts as long as its layer: for tests, and for runs that need not outlive the process. It keeps the folded
 * states themselves, so it is also the shortest description of what a store has to do.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { Json } from "./Codec.ts"
import { RunEnded, RunFenced, RunNotFound, StoreFailed, StoreRefused, Unheard, WaitExpired, WorkflowMismatch } from "./Errors.ts"
import { compositeKey, nodeKey } from "./Ids.ts"
import { canonical } from "./internal/json.ts"
import * as VersionSignal from "./internal/versionSignal.ts"
import * as Millis from "./Millis.ts"
import * as Pauses from "./Pauses.ts"
import * as RunState from "./RunState.ts"
import * as Shown from "./Shown.ts"
import * as Status from "./Status.ts"
import {
  type AttemptSummary,
  type Command,
  type Frame,
  type Instruction,
  isUnheard,
  type LoggedEvent,
  logged,
  type NewRun,
  type NodeSummary,
  type Opened,
  type Response,
  type RunDetails,
  type RunSummary,
  requestIdOf,
  Storage,
  type StorageShape,
  stuckAgain,
  unlistable,
  type WaitSummary,
} from "./Storage.ts"

/** A run as it is kept. */
interface Row extends Omit<RunSummary, "status" | "isPaused" | "children"> {
  readonly status: Status.RunStatus
}

interface Stored {
  readonly created: NewRun
  /** Claims in a row of which nothing came and that were not given back, the present one included. */
  deaths: number
  run: Row
  state: RunState.RunState
  readonly log: Array<LoggedEvent>
  readonly attempts: Map<string, AttemptSummary>
  readonly waits: Map<string, WaitSummary>
  readonly plans: Array<{ readonly frame: number; readonly text: string }>
  /** When a node began and ended, which the state does not keep. */
  readonly times: Map<string, { startedAt: number | null; finishedAt: number | null }>
}

/** The claim of a run that nobody has worked on. */
const unowned = { epoch: 0, owner: null, leaseUntil: null }

interface Cached {
  /** The row it is of. */
  readonly row: string
  readonly at: number
  readonly output: Json | undefined
}

const isEnded = (run: Row): boolean => Status.isEnded(run.status)

const isOwned = ({ leaseUntil }: Row, now: number): boolean => leaseUntil !== null && leaseUntil > now

/** A cancellation goes on in a run that is paused. */
const isPaused = ({ pausedAt, cancel }: RunState.RunState): boolean => pausedAt !== undefined && cancel === undefined

const openWaitsOf = ({ waits }: Stored): ReadonlyArray<WaitSummary> =>
  [...waits.values()].filter(({ status }) => status === "open").sort((left, right) => left.since - right.since)

const text = (value: Json | undefined): string => (value === undefined ? "" : canonical(value))

const isSameCall = (one: NewRun, other: NewRun): boolean =>
  (one.given !== undefined && one.given === other.given) || text(one.input) === text(other.input)

/** Stores made so far, each a place of its own. */
let made = 0

/** Makes an empty store. */
export const make = (): StorageShape => {
  const stored = new Map<string, Stored>()
  /** Commands by run and id. */
  const inbox = new Map<string, Command>()
  /** Commands that were taken care of, by run and id: delivering one again does nothing. */
  const consumed = new Map<string, Instruction>()
  const cache = new Map<string, Cached>()
  const news = VersionSignal.make()
  news.bump()

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
    const from = { source, parent: parent ?? null, stuck: null }
    const run: Row = { runId, workflow, version: version ?? null, status, tags, ...times, ...claim, ...from }
    const state = { ...RunState.empty(runId), workflow, version, input: create.input, status, parent }
    const rows = { log: [], attempts: new Map(), waits: new Map(), plans: [], times: new Map() }
    const entry: Stored = { created: create, deaths: 0, run, state, ...rows }
    stored.set(runId, entry)
    return entry
  }
  const spawn = (runId: string, create: NewRun, now: Millis.Millis): void => {
    if (!stored.has(runId)) insert(runId, create, now, "suspended", unowned)
  }
  const stands = (runId: string): Either.Either<Stored, RunNotFound> =>
    Either.fromNullable(stored.get(runId), () => new RunNotFound({ runId }))
  const inTime = (): Either.Either<void> => Either.void
  const delivering = <E>(put: () => Either.Either<Instruction, E>): Effect.Effect<Instruction, E> =>
    Effect.suspend(() => {
      const delivered = put()
      news.bump()
      return delivered
    })
  /** Puts a command into an inbox, unless its run has ended or it comes too late. */
  const put = <E>(
    entry: Stored,
    command: Command,
    revive: boolean,
    checkTime: () => Either.Either<void, E>,
  ): Either.Either<Instruction, RunEnded | E> => {
    const { runId } = command
    const { status, owner } = entry.run
    const key = compositeKey(runId, command.id)
    const known = inbox.get(key)?.command ?? consumed.get(key)
    if (known !== undefined) return Either.right(known)
    // One that has an owner is being taken up again, and hears of it.
    if (Status.isEnded(status) && owner === null) {
      if (!revive || status === "finished") return Either.left(new RunEnded({ runId, status }))
      entry.run = { ...entry.run, status: "suspended", updatedAt: command.at, finishedAt: null }
      entry.state = { ...entry.state, status: "suspended", failure: undefined, cancel: undefined }
    }
    return Either.map(checkTime(), () => {
      inbox.set(key, command)
      return command.command
    })
  }
  const commandsOf = (runId: string): ReadonlyArray<Command> => [...inbox.values()].filter((command) => command.runId === runId)
  /** Fails where what is said of an open wait comes too late. */
  const checkDeadline = (entry: Stored, { runId, at, command }: Command<Response>): Either.Either<void, WaitExpired> => {
    const { nodeId, iteration } = command
    const { status, wait } = RunState.step(entry.state, nodeId, iteration) ?? {}
    if (status !== "waiting" || wait?.deadline === undefined) return Either.void
    const { deadline } = wait
    const isTooLate = Pauses.isTooLate({ ...wait, deadline }, at, entry.state.pausedAt, commandsOf(runId))
    return isTooLate ? Either.left(new WaitExpired({ runId, nodeId, iteration, deadline })) : Either.void
  }

  const answersOf = (entry: Stored): ReadonlyMap<WaitSummary, Command> =>
    Shown.answers(openWaitsOf(entry), commandsOf(entry.run.runId))
  const factsOf = (entry: Stored, now: number): Shown.Facts => {
    const { run, state } = entry
    const steps = () => RunState.records(state).filter(({ kind }) => kind === "step")
    return {
      stored: run.status,
      owner: run.owner === null ? "none" : isOwned(run, now) ? "alive" : "gone",
      isPaused: isPaused(state),
      commands: commandsOf(run.runId),
      waits: openWaitsOf(entry),
      isRetrying: RunState.pending(state).some(({ status }) => status === "retrying"),
      isActive: () => steps().some(({ status }) => status === "running"),
    }
  }
  const summariesOf = (rows: ReadonlyArray<Row>, now: number): ReadonlyArray<RunSummary> => {
    const lookup: Shown.Lookup = (runIds) =>
      new Map(
        runIds.flatMap((runId) => {
          const entry = stored.get(runId)
          return entry === undefined ? [] : [[runId, factsOf(entry, now)] as const]
        }),
      )
    const shown = Shown.statuses(
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
    }))
  }

  const forget = (row: string): void => {
    for (const [key, cached] of cache) if (cached.row === row) cache.delete(key)
  }

  const commit = (entry: Stored, frame: Frame): void => {
    frame.events.forEach((event, index) => {
      if (ends.has(event._tag)) closeAll(entry, frame.at)
      entry.state = RunState.apply(entry.state, event, frame.at)
      entry.log.push({ runId: frame.runId, seq: frame.firstSeq + index, frame: frame.frame, at: frame.at, event: logged(event) })
      note(entry, event, frame.at, frame.firstSeq + index)
      if (event._tag === "NodeReset") forget(canonical([frame.runId, event.nodeId, event.iteration]))
    })
    entry.state = { ...entry.state, frame: frame.frame }
    entry.deaths = 0
    entry.run = { ...entry.run, stuck: null }
    for (const { runId, create } of frame.spawned ?? []) spawn(runId, create, frame.at)
    for (const command of frame.sent ?? []) Either.map(stands(command.runId), (to) => put(to, command, false, inTime))
    if (frame.spawned !== undefined || frame.sent !== undefined) news.bump()
    if (frame.plan !== undefined) entry.plans.push({ frame: frame.frame, text: frame.plan.text })
    entry.run = { ...entry.run, status: entry.state.status, updatedAt: frame.at, finishedAt: null }
    for (const id of frame.consumed) consume(frame.runId, id)
    for (const { nodeId, iteration, key } of frame.cache) {
      const record = RunState.step(entry.state, nodeId, iteration)
      const row = canonical([frame.runId, nodeId, iteration])
      cache.set(canonical([entry.run.workflow, nodeId, key]), { row, at: frame.at, output: record?.output })
    }
    if (isEnded(entry.run)) {
      entry.run = { ...entry.run, finishedAt: frame.at, owner: null, leaseUntil: null }
      for (const command of [...inbox.values()]) if (command.runId === frame.runId) consume(frame.runId, command.id)
      news.bump()
    }
  }

  /** The cancellation that a run has not ended by yet. */
  const cancelOf = ({ run, state }: Stored): RunDetails["cancel"] => {
    if (isEnded(run)) return null
    if (state.cancel !== undefined) return { reason: state.cancel.reason ?? null, isHeard: true }
    for (const { command } of commandsOf(run.runId))
      if (command._tag === "Cancel") return { reason: command.reason ?? null, isHeard: false }
    return null
  }

  return {
    place: `memory ${++made}`,
    open: ({ runId, create, revive, leaseMs, now }) =>
      Effect.suspend((): Effect.Effect<Opened, RunNotFound | StoreRefused> => {
        const detail = create === undefined ? undefined : unlistable(create)
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
        // One that has an owner is being taken up again, also when that owner died before its first frame.
        const isOver = isEnded(run) && run.owner === null
        if (isOver && !revive.some((status) => status === run.status)) return Effect.succeed({ _tag: "Ended" })
        if (run.leaseUntil !== null && run.leaseUntil > now) return Effect.succeed({ _tag: "Owned", until: run.leaseUntil })
        const epoch = run.epoch + 1
        entry.run = { ...run, ...claim, epoch }
        entry.deaths++
        return Effect.succeed({ _tag: "Claimed", epoch })
      }),
    origin: (runId) =>
      Effect.sync(() => {
        const entry = stored.get(runId)
        if (entry === undefined) return undefined
        const { workflow, input, given } = entry.created
        return { workflow, input, given, status: entry.run.status }
      }),
    load: (runId) => Effect.map(find(runId), ({ state }) => state),
    commit: (frame) =>
      Effect.flatMap(owned(frame.runId, frame.epoch), (entry): Effect.Effect<void, StoreFailed | StoreRefused | Unheard> => {
        if (frame.frame !== entry.state.frame + 1 || frame.firstSeq !== entry.state.seq + 1) {
          const detail = `frame ${frame.frame} of run ${frame.runId} does not follow frame ${entry.state.frame}`
          return new StoreFailed({ operation: "commit", detail })
        }
        const detail = "a time is no whole millisecond"
        if (!Millis.is(frame.at)) return new StoreFailed({ operation: "commit", detail })
        if (inbox.size > 0 && isUnheard(frame, commandsOf(frame.runId))) return new Unheard({ runId: frame.runId })
        const event = frame.events.findIndex((event) => !Millis.is(timeOf(event) ?? frame.at))
        return event < 0 ? Effect.sync(() => commit(entry, frame)) : new StoreRefused({ operation: "commit", detail, event })
      }),
    heartbeat: ({ runId, epoch, nodeId, iteration, attempt, at, details }) =>
      Effect.map(owned(runId, epoch), (entry) => {
        const record = RunState.step(entry.state, nodeId, iteration)
        if (record === undefined || record.status !== "running" || record.attempt !== attempt) return
        const key = nodeKey(nodeId, iteration)
        entry.state = { ...entry.state, nodes: HashMap.set(entry.state.nodes, key, { ...record, heartbeat: details }) }
        const summary = entry.attempts.get(`${key}/${attempt}`)
        if (summary !== undefined) entry.attempts.set(`${key}/${attempt}`, { ...summary, heartbeat: details, heartbeatAt: at })
      }),
    renew: (claims, leaseUntil) =>
      Effect.sync(() =>
        claims.flatMap(({ runId, epoch }) => {
          const entry = stored.get(runId)
          if (entry === undefined || entry.run.epoch !== epoch) return [runId]
          if (entry.run.owner !== null) entry.run = { ...entry.run, leaseUntil }
          return []
        }),
      ),
    due: (now, { workflows = [], runIds = [] } = {}) =>
      Effect.sync(() => {
        // One that has ended and has an owner is being taken up again.
        const isOpen = (run: Row) => !isEnded(run) || run.owner !== null
        const free = [...stored.values()].filter(({ run }) => isOpen(run) && (run.leaseUntil === null || run.leaseUntil <= now))
        const told = new Set([...inbox.values()].map((command) => command.runId))
        const deadlines = (entry: Stored) =>
          waitsOf(entry).flatMap(({ status, deadline }) => (status === "open" && deadline !== null ? [deadline] : []))
        const canGoOn = (entry: Stored) =>
          !Status.isResting(entry.run.status) ||
          told.has(entry.run.runId) ||
          (entry.run.status === "waiting" && deadlines(entry).some((deadline) => deadline <= now))
        const later = free.filter((entry) => entry.run.status === "waiting" && !canGoOn(entry)).flatMap(deadlines)
        const isWanted = ({ run }: Stored) => !workflows.includes(run.workflow) && !runIds.includes(run.runId)
        const runs = free
          .filter((entry) => canGoOn(entry) && isWanted(entry))
          .map(({ run: { runId, workflow, source }, deaths, log }) => {
            const last = log.findLast(({ event }) => event._tag !== "RunResumed")
            const pending = [...inbox.values()].findLast((command) => command.runId === runId)
            return { runId, workflow, source, deaths, mark: JSON.stringify([last?.seq ?? 0, pending?.id ?? null]) }
          })
        return { runs: runs.slice(0, 100), nextAt: later.length === 0 ? undefined : Math.min(...later) }
      }),
    noteStuck: (runId, note, now) =>
      Effect.sync(() => {
        const entry = stored.get(runId)
        if (entry === undefined || isEnded(entry.run) || (entry.run.leaseUntil !== null && entry.run.leaseUntil > now)) return
        entry.run = { ...entry.run, stuck: stuckAgain(entry.run.stuck, note) }
      }),
    release: (runId, epoch, now, released = "suspended") =>
      Effect.sync(() => {
        const entry = stored.get(runId)
        if (entry === undefined || entry.run.epoch !== epoch || entry.run.owner === null) return
        const status = isEnded(entry.run) ? entry.run.status : released
        entry.run = { ...entry.run, status, owner: null, leaseUntil: null, updatedAt: now }
        entry.state = { ...entry.state, status }
        entry.deaths = Math.max(0, entry.deaths - 1)
        news.bump()
      }),
    prepareOutputs: () => Effect.void,
    cached: (workflow, nodeId, key, notBefore) =>
      Effect.sync(() => {
        const found = cache.get(canonical([workflow, nodeId, key]))
        return found === undefined || found.at < notBefore ? Option.none() : Option.some(found.output)
      }),
    deliver: (command, { revive = false } = {}) =>
      delivering(() => Either.flatMap(stands(command.runId), (entry) => put(entry, command, revive, inTime))),
    deliverOrCreate: (command, create) =>
      delivering((): Either.Either<Instruction, StoreRefused | WorkflowMismatch | RunEnded> => {
        const { runId, at } = command
        const detail = unlistable(create)
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
    inbox: Effect.sync(() => [...inbox.values()]),
    changes: news.after,
    runs: ({ status, workflow, tag, isChild, parent, runIds, before, limit = 100 }) =>
      Effect.map(Millis.now, (now) => {
        const newestFirst = [...stored.values()].map(({ run }) => run).reverse()
        const start = before === undefined ? 0 : newestFirst.findIndex(({ runId }) => runId === before) + 1
        const found = newestFirst
          .slice(start)
          .filter((run) => workflow === undefined || run.workflow === workflow)
          .filter((run) => tag === undefined || run.tags.includes(tag))
          .filter((run) => isChild === undefined || (run.parent !== null) === isChild)
          .filter((run) => parent === undefined || run.parent?.runId === parent)
          .filter((run) => runIds === undefined || runIds.includes(run.runId))
        return summariesOf(found, now)
          .filter((run) => status === undefined || status.includes(run.status))
          .slice(0, limit)
      }),
    waits: ({ runId, runIds, kind, all = false, isAnswered, limit = 100 }) =>
      Effect.sync(() => {
        const isMeant = (id: string) => (runId === undefined || id === runId) && (runIds === undefined || runIds.includes(id))
        return [...stored.values()]
          .filter(({ run }) => isMeant(run.runId))
          .flatMap((entry) => {
            const answers = answersOf(entry)
            return waitsOf(entry).map((wait) => ({ ...wait, ...Shown.answered(wait, answers.get(wait)) }))
          })
          .filter((wait) => isAnswered === undefined || wait.isAnswered === isAnswered)
          .filter((wait) => kind === undefined || kind.includes(wait.kind))
          .filter(({ status }) => all || status === "open")
          .sort((left, right) => left.since - right.since)
          .slice(0, limit)
          .map((wait) => ({ ...wait, request: structuredClone(wait.request) }))
      }),
    plan: (runId, frame = Number.POSITIVE_INFINITY) =>
      Effect.map(find(runId), ({ plans }) => plans.findLast((plan) => plan.frame <= frame)?.text ?? ""),
    inspect: (runId) =>
      Effect.zipWith(find(runId), Millis.now, (entry, now) => {
        const answers = answersOf(entry)
        const answerTo = new Map([...answers].map(([wait, command]) => [nodeKey(wait.nodeId, wait.iteration), command]))
        const isWorked = isOwned(entry.run, now)
        const nodes = [...HashMap.values(entry.state.nodes)].map((record) => {
          const node = summarize(entry, record)
          const answer = answerTo.get(nodeKey(node.nodeId, node.iteration))
          return { ...node, status: Shown.nodeStatus(node, isWorked, answer) }
        })
        const attempts = [...entry.attempts.values()].map((attempt) =>
          attempt.status === "running" && !isWorked ? { ...attempt, status: "interrupted" as const } : attempt,
        )
        return {
          run: summariesOf([entry.run], now)[0] as RunSummary,
          input: structuredClone(entry.created.input),
          output: structuredClone(entry.state.output),
          failure: entry.state.failure ?? null,
          ...(entry.state.strayReads === undefined ? {} : { strayReads: entry.state.strayReads }),
          nodes: nodes.sort(byNode),
          attempts: attempts.sort((left, right) => byNode(left, right) || left.attempt - right.attempt),
          isTold: commandsOf(runId).length > 0,
          cancel: cancelOf(entry),
        }
      }),
    events: (runId, { afterSeq = 0, limit = 1000 } = {}) =>
      Effect.map(find(runId), ({ log }) => log.filter(({ seq }) => seq > afterSeq).slice(0, limit)),
  }
}

/** The time that an event sets for later. A database refuses one that is none. */
const timeOf = (event: Frame["events"][number]): number | undefined =>
  "deadline" in event ? event.deadline : event._tag === "AttemptFailed" ? event.retryAt : undefined

type Place = { readonly nodeId: string; readonly iteration: number }

const byNode = (left: Place, right: Place): number =>
  left.nodeId === right.nodeId ? left.iteration - right.iteration : left.nodeId < right.nodeId ? -1 : 1

const summarize = (entry: Stored, record: RunState.NodeRecord): NodeSummary => {
  const { nodeId, iteration, kind, status } = record
  const times = entry.times.get(nodeKey(nodeId, iteration)) ?? { startedAt: null, finishedAt: null }
  const place = { runId: entry.run.runId, nodeId, iteration, kind, status, ...times }
  const loop = record.kind === "loop" ? { passes: record.passes, isExhausted: record.isExhausted === true } : notALoop
  if (record.kind !== "step") return { ...place, attempt: 0, retryAt: null, table: null, error: null, isSoft: false, ...loop }
  const { attempt, retryAt = null, table = null, error = null, soft: isSoft = false } = record
  return { ...place, attempt, retryAt, table, error, isSoft, ...notALoop }
}

const notALoop = { passes: null, isExhausted: null }

/** All waits of a run, and the steps that are tried again later. */
const waitsOf = (entry: Stored): ReadonlyArray<WaitSummary> => [
  ...entry.waits.values(),
  ...RunState.pending(entry.state).flatMap((record): ReadonlyArray<WaitSummary> => {
    if (record.status !== "retrying") return []
    const { nodeId, iteration, attempt, retryAt = null } = record
    const since = entry.attempts.get(`${nodeKey(nodeId, iteration)}/${attempt}`)?.finishedAt ?? 0
    const { runId, workflow } = entry.run
    const place = {
      runId,
      workflow,
      nodeId,
      iteration,
      kind: "retry",
      status: "open",
      reason: null,
      since,
      asked: 0,
      timesAsked: attempt,
      deadline: retryAt,
    } as const
    return [{ ...place, ...saysNothing }]
  }),
]

const saysNothing = {
  requestId: null,
  decidedAt: null,
  refusals: 0,
  refused: null,
  request: null,
  digest: null,
  name: null,
  correlation: null,
  approved: null,
  note: null,
  by: null,
  endedAt: null,
  isAnswered: false,
}

/** A wait that nobody can end any more. */
const withdrawn = (wait: WaitSummary, reason: WaitSummary["reason"], at: number): WaitSummary => ({
  ...wait,
  status: "withdrawn",
  reason,
  deadline: null,
  endedAt: at,
})

const ends: ReadonlySet<string> = new Set(["RunFinished", "RunFailed", "RunCancelled"])

/** Closes what a run that ends still waits for. */
const closeAll = (entry: Stored, at: number): void => {
  for (const { nodeId, iteration } of RunState.pending(entry.state)) {
    const key = nodeKey(nodeId, iteration)
    entry.times.set(key, { startedAt: null, ...entry.times.get(key), finishedAt: at })
  }
  for (const [key, wait] of entry.waits) {
    if (wait.status === "open") entry.waits.set(key, withdrawn(wait, "given-up", at))
  }
}

/** Keeps the waits. */
const noteWait = (entry: Stored, event: LoggedEvent["event"], at: number, seq: number): void => {
  if (!("nodeId" in event)) return
  const { nodeId, iteration } = event
  const key = nodeKey(nodeId, iteration)
  const known = entry.waits.get(key)
  if (event._tag === "WaitStarted") {
    const { kind, request = null, digest = null, name = null, correlation = null, deadline = null } = event
    const { runId, workflow } = entry.run
    const place = { runId, workflow, nodeId, iteration, kind, status: "open", reason: null, since: at, deadline } as const
    const kept = event.isKept === true ? known : undefined
    const asked = kept?.asked ?? seq
    entry.waits.set(key, {
      ...place,
      asked,
      timesAsked: kept?.timesAsked ?? (known?.timesAsked ?? 0) + 1,
      requestId: requestIdOf({ kind, asked, digest }),
      request,
      digest,
      name,
      correlation,
      approved: kept?.approved ?? null,
      note: kept?.note ?? null,
      by: kept?.by ?? null,
      decidedAt: kept?.decidedAt ?? null,
      endedAt: null,
      isAnswered: false,
      refusals: kept?.refusals ?? 0,
      refused: kept?.refused ?? null,
    })
  }
  if (known === undefined) return
  if (event._tag === "DeadlineMoved") entry.waits.set(key, { ...known, deadline: event.deadline })
  if (event._tag === "ApprovalDecided") {
    const { approved, note = null, by = null, saidAt = at } = event
    entry.waits.set(key, { ...known, approved, note, by, decidedAt: saidAt })
  }
  if (event._tag === "AnswerRefused") {
    entry.waits.set(key, { ...known, refusals: known.refusals + 1, refused: event.issues })
  }
  if (event._tag === "NodeReset" && known.status === "open") entry.waits.set(key, withdrawn(known, "reset", at))
  if (event._tag === "NodeWithdrawn" && known.status === "open") {
    entry.waits.set(key, withdrawn(known, event.reason, at))
  }
  if (event._tag === "WaitEnded") {
    const status = event.status === "passed" ? "finished" : event.status
    const decidedAt = event.saidAt ?? known.decidedAt
    entry.waits.set(key, { ...known, status, by: event.by ?? known.by, decidedAt, endedAt: at })
  }
}

/** Keeps the attempts and the times of nodes. */
const note = (entry: Stored, event: LoggedEvent["event"], at: number, seq: number): void => {
  if (!("nodeId" in event)) return
  noteWait(entry, event, at, seq)
  const { nodeId, iteration } = event
  const key = nodeKey(nodeId, iteration)
  const times = entry.times.get(key) ?? { startedAt: null, finishedAt: null }
  switch (event._tag) {
    case "AttemptStarted":
    case "BoundaryStarted":
    case "LoopAdvanced":
    case "WaitStarted":
      entry.times.set(key, { startedAt: times.startedAt ?? at, finishedAt: null })
      break
    case "NodeReset":
      entry.times.set(key, { ...times, finishedAt: null })
      break
    case "AttemptInterrupted":
    case "DeadlineMoved":
    case "ApprovalDecided":
    case "TaskAnswered":
    case "AnswerRefused":
    case "SignalRefused":
    case "SubflowEnded":
    case "BoundaryHalted":
    case "LoopMounted":
      break
    case "WaitEnded":
      entry.times.set(key, { ...times, finishedAt: event.status === "passed" ? null : at })
      break
    case "AttemptFailed":
      if (event.retryAt === undefined) entry.times.set(key, { ...times, finishedAt: at })
      break
    default:
      entry.times.set(key, { ...times, finishedAt: at })
  }
  if (!("attempt" in event)) return
  const place = { runId: entry.run.runId, nodeId, iteration, attempt: event.attempt }
  const started = entry.attempts.get(`${key}/${event.attempt}`)
  const fresh = { ...place, startedAt: at, finishedAt: null, error: null, heartbeat: null, heartbeatAt: null, turns: [] }
  const error = event._tag === "AttemptFailed" ? event.error : null
  const beat = "heartbeat" in event && event.heartbeat !== undefined ? { heartbeat: event.heartbeat } : {}
  const turns = "turns" in event && event.turns !== undefined ? { turns: event.turns } : {}
  const status = (
    {
      AttemptStarted: "running",
      AttemptSucceeded: "succeeded",
      AttemptFailed: "failed",
      AttemptInterrupted: "interrupted",
    } as const
  )[event._tag]
  const finishedAt = event._tag === "AttemptStarted" ? null : at
  entry.attempts.set(`${key}/${event.attempt}`, { ...fresh, ...started, status, finishedAt, error, ...beat, ...turns })
}

/** A fresh store for the life of the layer. */
export const layer: Layer.Layer<Storage> = Layer.sync(Storage, make)
