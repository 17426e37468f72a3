/**
 * Forks of runs: a new run that begins as a copy of another, as of one of its events. Its records are copied, its earlier history is
 * that of the original, and nothing of the original is changed or committed again. The new run is planned with today's code.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { AgentJournal } from "./AgentJournal.ts"
import type * as Budget from "./Budget.ts"
import * as Changes from "./Changes.ts"
import { decodeShared, type Json } from "./Codec.ts"
import type { Definition } from "./Definition.ts"
import {
  InvalidFork,
  InvalidInput,
  InvalidRunId,
  type InvalidSetting,
  type InvalidWorkflow,
  NodeNotFound,
  type RenderFailed,
  type RunFailure,
  type RunIdTaken,
  type RunNotFound,
  type StoreError,
  WorkflowMismatch,
} from "./Errors.ts"
import { compositeKey, generateRunId, isChildRunId, isId, type NodeId, type NodeKey, nodeKey, storable } from "./Ids.ts"
import type { Command, InboxMessage, Response } from "./Inbox.ts"
import { toJson } from "./internal/json.ts"
import * as Recovery from "./internal/recovery.ts"
import * as Rerun from "./internal/rerun.ts"
import * as Restore from "./internal/restore.ts"
import * as View from "./internal/view.ts"
import * as Millis from "./Millis.ts"
import * as Pauses from "./Pauses.ts"
import * as PlanText from "./PlanText.ts"
import * as Records from "./Records.ts"
import type { RunEvent, WaitKind } from "./RunEvent.ts"
import { type LoggedEvent, RunReader, type RunReaderShape } from "./RunReader.ts"
import * as RunState from "./RunState.ts"
import { RunStore, type RunStoreShape } from "./RunStore.ts"
import { valuesOf } from "./Scheduler.ts"
import * as Secrets from "./Secrets.ts"
import * as Settings from "./Settings.ts"
import * as Status from "./Status.ts"
import { defined } from "./Struct.ts"

/** Options of a fork. Of `frame`, `before` and `fromFailure` at most one is given. Default: as the run is now. */
export interface ForkOptions {
  /** Forks the run as it was right after this frame. */
  readonly frame?: number
  /** Forks the run as it was right before this node first began, in the given or its last iteration. */
  readonly before?: string
  /** Iteration of `before`. Default: the last. */
  readonly iteration?: number
  /** Forks a failed run as it was right before the failure that ended it. */
  readonly fromFailure?: boolean
  /** Another input. Steps that are kept have read the old one. */
  readonly input?: unknown
  /** Outputs of steps by node id, as JSON in the stored form of their schemas. What has read them runs again. */
  readonly set?: { readonly [nodeId: string]: unknown }
  /** `true` to ask people again what they had decided or answered by then. Default: false. */
  readonly reask?: boolean
  /** `"adopt"` takes the result of a child run that was at work, if it has ended since; `"new"` starts a new one. Default: `"new"`. */
  readonly children?: "new" | "adopt"
  /** `true` to send the signals to the fork, too, that the original got after the cut. Default: false. */
  readonly replaySignals?: boolean
  /** `true` to keep the times at which timers and waits end. Default: false, they have as long as they had at the cut. */
  readonly keepDeadlines?: boolean
  /** `true` if sagas of the fork also undo steps that the original did. Default: false, the original undoes its own. */
  readonly ownEffects?: boolean
  /** Id of the new run. Default: a new one. */
  readonly runId?: string
  /** Author, for the log. */
  readonly by?: string
  /** `true` to change nothing, and only return what the fork would keep and run again. Default: false. */
  readonly dryRun?: boolean
}

const optionNames: Settings.Names<ForkOptions> = {
  frame: true,
  before: true,
  iteration: true,
  fromFailure: true,
  input: true,
  set: true,
  reask: true,
  children: true,
  replaySignals: true,
  keepDeadlines: true,
  ownEffects: true,
  runId: true,
  by: true,
  dryRun: true,
}

/** A node of a fork, in one iteration. */
export interface ForkedNode {
  readonly nodeId: NodeId
  readonly iteration: number
  readonly kind: "step" | WaitKind
}

/** A fork, and what is to come of it. Lists are in document order of the records. */
export interface Forked {
  readonly runId: string
  /** The run that holds its history, and the last frame and event of it. */
  readonly from: string
  readonly frame: number
  readonly seq: number
  /** Ended nodes, with their outputs, decisions and answers. */
  readonly kept: ReadonlyArray<ForkedNode>
  /** Steps and child runs that the original has run, and that run again. */
  readonly rerun: ReadonlyArray<ForkedNode>
  /** Approvals and human tasks of the original that people are asked again. */
  readonly requested: ReadonlyArray<ForkedNode>
  /** Timers and signals that are waited for. */
  readonly waiting: ReadonlyArray<ForkedNode>
  /** Steps whose outputs were given. */
  readonly set: ReadonlyArray<ForkedNode>
  /** Kept outputs that do not match the schemas of the code. Resuming fails with them, unless their nodes are to run again. */
  readonly incompatible: ReadonlyArray<Restore.Incompatible>
  readonly isDryRun: boolean
}

/** The errors of a fork. Nothing was changed. */
export type ForkError =
  | StoreError
  | RunNotFound
  | RunIdTaken
  | InvalidFork
  | InvalidInput
  | InvalidRunId
  | InvalidSetting
  | InvalidWorkflow
  | NodeNotFound
  | RenderFailed
  | WorkflowMismatch

/** The cut: an event of the run that has logged it. */
interface Cut {
  readonly runId: string
  readonly seq: number
}

const eventPage = 10_000

/** The events of a run itself, without those of the run that it was forked from. */
const eventsOf = (reader: RunReaderShape, runId: string) =>
  Effect.gen(function* () {
    const events: Array<LoggedEvent> = []
    for (let afterSeq = 0; ; ) {
      const page = yield* reader.events(runId, { afterSeq, limit: eventPage })
      for (const event of page) events.push(event)
      const last = page.at(-1)
      if (last === undefined || page.length < eventPage) return events
      afterSeq = last.seq
    }
  })

/** The node whose failure ended a run, if there is one. */
const failedNode = (failure: RunFailure | undefined): { readonly nodeId: NodeId; readonly iteration?: number } | undefined => {
  if (failure === undefined) return undefined
  if (failure._tag === "CompensationFailed") return failedNode(failure.cause)
  if (!("nodeId" in failure) || failure.nodeId === undefined) return undefined
  return { nodeId: failure.nodeId, ...defined({ iteration: failure.iteration }) }
}

/** Number of the first event of the failure that ended a run. */
const failureSeq = (events: ReadonlyArray<LoggedEvent>, failure: RunFailure | undefined): number | undefined => {
  const failed = failedNode(failure)
  const isOf = ({ event }: LoggedEvent): boolean =>
    failed !== undefined &&
    "nodeId" in event &&
    event.nodeId === failed.nodeId &&
    (failed.iteration === undefined || event.iteration === failed.iteration)
  const isEnd = ({ event }: LoggedEvent): boolean =>
    event._tag === "NodeFailed" || event._tag === "WaitEnded" || (event._tag === "AttemptFailed" && event.retryAt === undefined)
  const index = events.findLastIndex((logged) => isOf(logged) && isEnd(logged))
  const found = events[index]
  if (found === undefined) return events.findLast(({ event }) => event._tag === "RunFailed")?.seq
  if (found.event._tag !== "WaitEnded") return found.seq
  // The decision, the answer or the end of the child run comes before the end of its wait.
  const earlier = events.slice(0, index).filter(isOf)
  const asked = earlier.findLastIndex(({ event }) => event._tag === "WaitStarted")
  return earlier[asked + 1]?.seq ?? found.seq
}

/** Finds the cut. Events before the one of a fork are those of the run that it was forked from. */
const findCut = (
  reader: RunReaderShape,
  store: RunStoreShape,
  latest: RunState.RunState,
  { frame, before, iteration, fromFailure = false }: ForkOptions,
): Effect.Effect<Cut, StoreError | RunNotFound | InvalidFork | NodeNotFound> =>
  Effect.gen(function* () {
    const { runId } = latest
    const invalid = (problem: string) => new InvalidFork({ runId, problem })
    if ([frame !== undefined, before !== undefined, fromFailure].filter(Boolean).length > 1)
      return yield* invalid(`of "frame", "before" and "fromFailure" only one can be given`)
    if (iteration !== undefined && before === undefined) return yield* invalid(`"iteration" is that of "before", which is missing`)
    if (frame !== undefined) {
      if (!Number.isInteger(frame) || frame < 1 || frame > latest.frame)
        return yield* invalid(`it has no frame ${frame}: its frames are 1 to ${latest.frame}`)
      return yield* inLineage(store, latest, { runId, seq: (yield* store.load(runId, { frame })).seq })
    }
    if (before !== undefined) {
      const rows = RunState.records(latest).filter(({ nodeId }) => nodeId === before)
      const of = iteration ?? Math.max(-1, ...rows.map((row) => row.iteration))
      for (let at = latest; ; ) {
        const first = (yield* eventsOf(reader, at.runId)).find(
          ({ seq, event }) =>
            seq <= latest.seq && "nodeId" in event && event.nodeId === before && event.iteration === of && isBeginning(event),
        )
        if (first !== undefined) return yield* inLineage(store, at, { runId: at.runId, seq: first.seq - 1 })
        if (at.fork === undefined) {
          const iterations = rows.map((row) => row.iteration).sort((left, right) => left - right)
          const known = rows.length > 0 ? iterations : [...new Set(RunState.records(latest).map((row) => row.nodeId))].sort()
          return yield* new NodeNotFound({ runId, nodeId: before, known, ...defined({ iteration }) })
        }
        at = yield* store.load(at.fork.runId)
      }
    }
    if (!fromFailure) return yield* inLineage(store, latest, { runId, seq: latest.seq })
    if (latest.status !== "failed") return yield* invalid(`it has not failed; it is ${latest.status}`)
    const seq = failureSeq(yield* eventsOf(reader, runId), latest.failure) ?? latest.seq
    return yield* inLineage(store, latest, { runId, seq: seq - 1 })
  })

const isBeginning = ({ _tag }: RunEvent): boolean =>
  _tag === "AttemptStarted" ||
  _tag === "WaitStarted" ||
  _tag === "LoopAdvanced" ||
  _tag === "BoundaryStarted" ||
  _tag === "NodeSkipped"

/** The run of a lineage that has logged an event. */
const inLineage = (store: RunStoreShape, state: RunState.RunState, { seq }: Cut): Effect.Effect<Cut, StoreError | RunNotFound> =>
  state.fork === undefined || seq > state.fork.seq
    ? Effect.succeed({ runId: state.runId, seq })
    : Effect.flatMap(store.load(state.fork.runId), (original) => inLineage(store, original, { runId: original.runId, seq }))

/** The place of a record in lists. */
const placeOf = (record: Records.StepRecord): ForkedNode => ({
  nodeId: record.nodeId,
  iteration: record.iteration,
  kind: record.wait === undefined || record.attempt > 0 || record.wait.isOfAttempt === true ? "step" : record.wait.kind,
})

const stepsOf = (state: RunState.RunState): ReadonlyArray<Records.StepRecord> =>
  RunState.records(state)
    .filter((record) => record.kind === "step")
    .filter(({ nodeId }) => Records.undoneBy(nodeId) === undefined)
    .sort((left, right) => (left.startedAt ?? 0) - (right.startedAt ?? 0) || (left.finishedSeq ?? 0) - (right.finishedSeq ?? 0))

/** Tells whether a person has decided about a step, or answered it. */
const isDecided = ({ wait, approved }: Records.StepRecord): boolean =>
  approved !== undefined ||
  ((wait?.kind === "approval" || wait?.kind === "human") && wait.isOfAttempt !== true && wait.status !== "open")

/** The result of a child run that has ended since, as the event of its parent. */
const adopted = (reader: RunReaderShape, record: Records.StepRecord): Effect.Effect<RunEvent | undefined, StoreError> => {
  const childRunId = record.wait?.name
  if (childRunId === undefined) return Effect.succeed(undefined)
  return Effect.map(
    Effect.orElseSucceed(reader.inspect(childRunId), () => undefined),
    (child): RunEvent | undefined => {
      const status = child?.run.status
      if (child === undefined || status === undefined || !Status.isEnded(status)) return undefined
      const { nodeId, iteration } = record
      const output = child.output === undefined ? {} : { output: child.output }
      const error =
        child.failure === null ? {} : { error: { name: child.failure._tag, message: child.failure.message, retryable: false } }
      return { _tag: "SubflowEnded", nodeId, iteration, status, ...(status === "finished" ? output : error) }
    },
  )
}

/** Copies what an approval allowed by the cut, under a key of the fork. */
const accountOf = (
  account: Budget.Account,
  runId: string,
  { at, now, granted }: { readonly at: number; readonly now: number; readonly granted: ReadonlySet<string> },
): { readonly from: string; readonly account: Budget.Account } => {
  const [kind, , ...rest] = JSON.parse(account.key) as [string, string, ...ReadonlyArray<string | number>]
  const isOfRun = account.name === `run "${account.runId}"`
  const extensions = Object.fromEntries(Object.entries(account.extensions).filter(([digest]) => granted.has(digest)))
  return {
    from: account.key,
    account: {
      ...account,
      key: compositeKey(kind, runId, ...rest),
      name: isOfRun ? `run "${runId}"` : account.name,
      runId,
      startedAt: account.startedAt + (now - at),
      reserved: {},
      extensions,
    },
  }
}

/** Digests of the requests that were approved by a cut. */
const grantedBy = (events: ReadonlyArray<LoggedEvent>, seq: number): ReadonlySet<string> => {
  const asked = new Map<NodeKey, string>()
  const granted = new Set<string>()
  for (const { seq: of, event } of events) {
    if (of > seq) break
    if (event._tag === "WaitStarted" && event.digest !== undefined) asked.set(nodeKey(event.nodeId, event.iteration), event.digest)
    if (event._tag !== "ApprovalDecided" || !event.approved) continue
    const digest = asked.get(nodeKey(event.nodeId, event.iteration))
    if (digest !== undefined) granted.add(digest)
  }
  return granted
}

/** Another input, as it is stored. */
const inputOf = (definition: Definition<unknown>, workflow: string, value: unknown) =>
  Effect.gen(function* () {
    const stored = yield* Effect.mapError(definition.input.encode(value), (issues) => new InvalidInput({ workflow, issues }))
    const found = Secrets.problemIn(stored)
    if (found !== undefined) return yield* new InvalidInput({ workflow, issues: [found.problem], secret: found.secret })
    return stored
  })

/**
 * Makes a run that begins as a copy of another, and leaves it suspended: resume it, or let a supervisor do so. The original is not
 * changed, and may be at work. Steps in flight at the cut run again with a fresh retry budget, open requests to people are made again,
 * child runs at work are started again under the fork, and budgets have what was left of them. Neither a pause nor a cancellation is
 * inherited. One transaction: a crash leaves the whole fork or none of it.
 */
export const fork = <R>(
  definition: Definition<R>,
  from: string,
  options: ForkOptions = {},
): Effect.Effect<Forked, ForkError, RunStore | RunReader | AgentJournal | R> =>
  Effect.gen(function* () {
    yield* Settings.only("fork", options, optionNames)
    const children = yield* Settings.word("children", options.children, ["new", "adopt"])
    const flags = { dryRun: yield* Settings.flag("dryRun", options.dryRun, false) }
    const [store, reader, journal] = [yield* RunStore, yield* RunReader, yield* AgentJournal]
    const runId = options.runId === undefined ? yield* generateRunId : options.runId
    if (!isId(runId) || isChildRunId(runId) || Secrets.problemIn(runId) !== undefined)
      return yield* new InvalidRunId({ runId: Secrets.text(String(runId)) })
    const invalid = (problem: string) => new InvalidFork({ runId: from, problem })

    const latest = yield* store.load(from)
    const { workflow } = latest
    if (definition.name !== undefined && definition.name !== workflow)
      return yield* new WorkflowMismatch({ runId: from, workflow: definition.name, stored: workflow })
    const found = yield* findCut(reader, store, latest, options)
    if (found.seq < 1) return yield* invalid("it had not begun by then")
    const cut = yield* store.load(found.runId, { seq: found.seq })
    const [last] = yield* reader.events(found.runId, { afterSeq: found.seq - 1, limit: 1 })
    const now = yield* Millis.now
    const at = Millis.make(last?.at ?? now)
    const { run: original } = yield* reader.run(found.runId)
    const { inputDigest } = (yield* reader.origin(found.runId)) ?? {}
    const input = options.input === undefined ? cut.input : yield* inputOf(definition, workflow, options.input)
    const lineage = [...(cut.fork?.lineage ?? []), { runId: found.runId, seq: cut.seq }]
    const origin: RunState.Fork = {
      ...{ runId: found.runId, frame: cut.frame, seq: cut.seq, at, lineage },
      ...(options.ownEffects === true ? { ownsEffects: true } : {}),
    }
    /** A time that is as far away as it was at the cut; for what stands still in a pause, as at its beginning. */
    const later = (time: Millis.Millis, since: number = at): Millis.Millis =>
      options.keepDeadlines === true || time < since ? time : Millis.after(now, Millis.make(time - since))
    const pausedAt = Math.min(at, cut.pausedAt ?? at)
    // What a parent allowed is allowed once: the fork has its own account of what was left.
    const isOwn = ({ key }: Budget.Claim): boolean => key.startsWith(JSON.stringify(["given", found.runId]).slice(0, -1))
    const budgets = cut.budgets.map((claim): Budget.Claim => {
      const { isInherited: _, ...rest } = claim
      if (claim.runId === null) return claim
      const key = isOwn(claim) ? compositeKey("given", runId) : compositeKey("forked", runId, claim.key)
      return { ...rest, key, runId, name: isOwn(claim) ? `run "${runId}"` : claim.name }
    })
    const version = definition.version
    const begun = { ...cut, runId, version, input, parent: undefined, budgets, depth: 0, fork: origin }
    const events: Array<RunEvent> = []
    let state: RunState.RunState = begun
    const append = (event: RunEvent): void => {
      events.push(event)
      state = RunState.apply(state, event, now)
    }
    const deadline = cut.deadline === undefined ? undefined : later(cut.deadline)
    const by = yield* Settings.text("by", options.by)
    append({ _tag: "RunForked", from: found.runId, frame: cut.frame, seq: cut.seq, at, ...defined({ deadline, by }) })

    // What was in flight, or open, at the cut.
    const before = PlanText.decode(yield* reader.plan(found.runId, cut.frame))
    const { outputs, incompatible } = yield* Restore.outputs(definition, RunState.records(cut))
    const values = valuesOf(yield* Restore.input(definition, workflow, input), outputs)
    const planner = definition.planner()
    planner.recall?.(before)
    let plan = yield* Restore.plan(planner, begun, values)
    const view = View.make({ plan, values, state: () => state, armOf: () => -1 })
    const isOfDay = (nodeId: NodeId): boolean => {
      const node = plan.find(nodeId)
      return (
        node?._tag === "Wait" &&
        node.target.kind === "timer" &&
        typeof node.target.due === "function" &&
        node.target.isSpan !== true
      )
    }
    for (const record of RunState.records(cut)) {
      if (record.kind !== "step") continue
      const { nodeId, iteration, attempt, status, wait } = record
      const reset = { _tag: "NodeReset", nodeId, iteration } as const
      if (status === "running") append({ _tag: "AttemptInterrupted", nodeId, iteration, attempt, reason: "reset" })
      if (status === "running" || status === "retrying" || status === "interrupted") append(reset)
      else if (status === "withdrawn" && wait?.isKept === true) append(reset)
      else if (status === "waiting" && wait !== undefined) {
        const isTimed = (wait.kind === "timer" || wait.kind === "signal") && wait.isOfAttempt !== true
        if (wait.kind === "subflow" && wait.child === undefined) {
          const ended = children === "adopt" ? yield* adopted(reader, record) : undefined
          append(ended ?? { ...reset, hasNewChild: true })
        } else if (!isTimed) append(reset)
        else if (wait.deadline !== undefined && !isOfDay(nodeId))
          append({
            _tag: "DeadlineMoved",
            nodeId,
            iteration,
            deadline: later(wait.deadline, wait.kind === "timer" && wait.name !== Pauses.timeout ? at : pausedAt),
          })
      }
    }
    if (cut.status === "failed" || cut.status === "cancelled")
      for (const event of Recovery.recover(plan, state, RunState.records(state), true, "shutdown", [], () => false)) append(event)
    for (const event of events) if (event._tag === "NodeReset") outputs.delete(nodeKey(event.nodeId, event.iteration))

    /** Resets nodes with everything that has read them, until the plan settles. */
    const rerun = (nodeIds: ReadonlyArray<NodeId>) =>
      Effect.gen(function* () {
        plan = yield* Rerun.make(plan, nodeIds, {
          state: () => state,
          append: (event) => {
            append(event)
            if (event._tag === "NodeReset") outputs.delete(nodeKey(event.nodeId, event.iteration))
          },
          replan: (resets) =>
            Effect.suspend(() => {
              planner.observe(resets)
              return Restore.plan(planner, state, values)
            }),
        })
      })
    if (options.reask === true) {
      const decided = stepsOf(state).filter(isDecided)
      const unapproved = decided.filter(({ approved }) => approved !== undefined)
      if (decided.length > 0) yield* rerun(decided.map(({ nodeId }) => nodeId))
      for (const { nodeId, iteration } of unapproved) append({ _tag: "NodeReset", nodeId, iteration, isUnapproved: true })
    }
    const set: Array<ForkedNode> = []
    const wanted = Object.entries(options.set ?? {}).map(([name, value]) => [storable(name), value] as const)
    const finished = wanted.flatMap(([nodeId]) =>
      stepsOf(state).some((record) => record.nodeId === nodeId && record.attempt > 0) ? [nodeId] : [],
    )
    if (finished.length > 0) yield* rerun(finished)
    for (const [nodeId, value] of wanted) {
      const node = plan.find(nodeId)
      if (node === undefined) {
        const known = plan.nodes.flatMap((one) => (one._tag === "Step" ? [one.id] : []))
        return yield* new NodeNotFound({ runId: from, nodeId, known })
      }
      if (node._tag !== "Step" || node.table === undefined)
        return yield* invalid(
          `"${nodeId}" is no step, so it has no output to set; what it waits for can be given once the fork asks`,
        )
      const position = plan.positions.get(nodeId) ?? -1
      const iteration = view.iterationOf(position)
      const json = toJson(value)
      if (Either.isLeft(json))
        return yield* invalid(`the value of "${nodeId}" must be JSON: ${json.left.path} ${json.left.problem}`)
      const secret = Secrets.problemIn(json.right)
      if (secret !== undefined) return yield* invalid(`the value of "${nodeId}": ${secret.problem}`)
      const decoded = yield* Effect.mapError(decodeShared(node.codec, json.right), (issues) =>
        invalid(`the value of "${nodeId}" does not match its schema: ${issues.join("; ")}`),
      )
      const attempt = (RunState.step(state, nodeId, iteration)?.attempt ?? 0) + 1
      append({ _tag: "AttemptStarted", nodeId, iteration, attempt })
      append({ _tag: "AttemptSucceeded", nodeId, iteration, attempt, table: node.table, output: json.right, isSet: true })
      outputs.set(nodeKey(nodeId, iteration), decoded)
      set.push({ nodeId, iteration, kind: "step" })
    }
    yield* Effect.map(Restore.plan(planner, state, values), () => undefined)

    const records = stepsOf(state)
    const isSet = (record: Records.StepRecord): boolean =>
      set.some(({ nodeId, iteration }) => record.nodeId === nodeId && record.iteration === iteration)
    const kept = records.filter((record) => Records.isSettled(record) && !isSet(record))
    const keys = new Set([...records.filter(isSet), ...kept].map(({ nodeId, iteration }) => nodeKey(nodeId, iteration)))
    const open = records.filter((record) => Records.openWait(record) !== undefined)
    for (const { nodeId, iteration } of open) keys.add(nodeKey(nodeId, iteration))
    const again = stepsOf(latest).filter(
      (record) => !keys.has(nodeKey(record.nodeId, record.iteration)) && (record.attempt > 0 || record.wait !== undefined),
    )
    const isAsked = ({ wait, approved }: Records.StepRecord): boolean =>
      approved === undefined && (wait?.kind === "approval" || wait?.kind === "human")
    const forked: Forked = {
      runId,
      from: found.runId,
      frame: cut.frame,
      seq: cut.seq,
      kept: kept.map(placeOf),
      rerun: again.filter((record) => placeOf(record).kind === "step" || record.wait?.kind === "subflow").map(placeOf),
      requested: again.filter((record) => placeOf(record).kind !== "step" && isAsked(record)).map(placeOf),
      waiting: open.map(placeOf),
      set,
      incompatible: incompatible.filter(({ nodeId, iteration }) => keys.has(nodeKey(nodeId, iteration))),
      isDryRun: flags.dryRun,
    }
    if (flags.dryRun) return forked

    const accounts = yield* journal.budgets(found.runId)
    const inheritedFrom = new Set(cut.budgets.flatMap(({ runId, key }) => (runId === null || runId === found.runId ? [] : [key])))
    const isDrawnOn = accounts.length > 0 || inheritedFrom.size > 0
    const granted = isDrawnOn ? grantedBy(yield* eventsOf(reader, found.runId), cut.seq) : new Set<string>()
    const others = yield* Effect.forEach([...new Set(cut.budgets.flatMap(({ runId }) => runId ?? []))], (of) =>
      of === found.runId ? Effect.succeed([]) : journal.budgets(of),
    )
    const timing = { at, now, granted }
    const opened = [
      ...accounts.map((account) => accountOf(account, runId, timing)),
      ...others.flat().flatMap((account) =>
        inheritedFrom.has(account.key)
          ? [
              {
                from: account.key,
                account: { ...accountOf(account, runId, timing).account, key: compositeKey("forked", runId, account.key) },
              },
            ]
          : [],
      ),
    ]
    const messages: Array<InboxMessage<Exclude<Command, Response>>> = []
    if (options.replaySignals === true)
      for (const { seq, event } of yield* eventsOf(reader, found.runId)) {
        if (seq <= cut.seq || event._tag !== "SignalReceived") continue
        const { id, name, correlation, payload } = event
        const command = {
          _tag: "Signal",
          id,
          name,
          ...defined({ correlation }),
          ...(payload === undefined ? {} : { payload: payload as Json }),
        } as const
        messages.push({ id: compositeKey("fork", found.runId, id), runId, at: now, command })
      }
    yield* store.prepareOutputs(workflow, definition.tables)
    const added = planner.tables?.()
    if (added !== undefined) yield* store.prepareOutputs(workflow, added)
    yield* store.fork({
      runId,
      create: {
        ...{ workflow, version, input, tags: original.tags, budgets, fork: origin },
        ...defined({ source: original.source ?? undefined, deadline: state.deadline }),
        ...(options.input === undefined ? defined({ inputDigest }) : {}),
      },
      inherited: begun,
      frame: {
        ...{ runId, epoch: 0, frame: cut.frame + 1, firstSeq: cut.seq + 1, at: now, events, changes: Changes.of(state) },
        ...{ plan: { text: before.text, base: undefined }, cache: [], consumed: [] },
      },
      accounts: opened,
      messages,
    })
    return forked
    // Codecs are untyped in a definition; their requirements are those of its steps.
  }) as Effect.Effect<Forked, ForkError, RunStore | RunReader | AgentJournal | R>
