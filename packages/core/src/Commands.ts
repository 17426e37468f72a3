/**
 * The commands that people and programs send to runs. Each is checked against the waits of the run and stored durably. The
 * owner folds it into the next frame: at once, or when the run resumes. A repeated command counts once.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Decision from "./Decision.ts"
import {
  AlreadyDecided,
  AlreadyLeft,
  EventIdTaken,
  InvalidAnswer,
  InvalidCommand,
  InvalidSetting,
  NodeEnded,
  NodeNotFound,
  NotAnApprover,
  NotWaiting,
  RequestChanged,
  RunEnded,
  type RunNotFound,
  SignalIdTaken,
  type StoreError,
  WaitExpired,
  type WorkflowMismatch,
} from "./Errors.ts"
import { compositeKey, generateRunId, keptId, type NodeId, storable } from "./Ids.ts"
import { type Command, Inbox, type InboxMessage, type Response } from "./Inbox.ts"
import { canonical, type Json, toJson } from "./internal/json.ts"
import * as Leaving from "./internal/leaving.ts"
import { issuesOf } from "./JsonSchema.ts"
import * as Millis from "./Millis.ts"
import * as Names from "./Names.ts"
import * as PlanText from "./PlanText.ts"
import type { PublishedEvent, PublishedFilter } from "./Published.ts"
import { undoneBy } from "./Records.ts"
import type { NewRun } from "./RunOwnership.ts"
import { RunReader, requestSeqOf, type WaitSummary } from "./RunReader.ts"
import * as Secrets from "./Secrets.ts"
import * as Settings from "./Settings.ts"
import * as Status from "./Status.ts"
import { defined } from "./Struct.ts"

/** Options of a decision. */
export interface DecisionOptions {
  /** Iteration of the node, as in its rows. Default: the open one. */
  readonly iteration?: number
  /**
   * Id of the request that was shown (`WaitSummary.requestId`). If it is not the current one, the decision fails with
   * `RequestChanged`, so no one decides on content they have not seen. A node asks again in each pass of a loop, after a retry,
   * and if edited code changes the request. Default: the current request.
   */
  readonly request?: string
  readonly note?: string
  readonly by?: string
}

/** Options of an approval. */
export interface ApproveOptions extends DecisionOptions {
  /** Key of the option to select. Required by a request that has options, and refused by any other. */
  readonly choose?: string
}

/** A stored decision or answer. */
export interface DecisionReceipt {
  readonly runId: string
  readonly nodeId: NodeId
  readonly iteration: number
  readonly requestId: string | null
  /** The content of the request. */
  readonly request: unknown
  readonly by?: string
  readonly note?: string
  /** Key of the option that was selected. */
  readonly selected?: string
  /** Epoch ms. */
  readonly at: number
}

/**
 * The errors of a command that was not stored; the run is unchanged.
 * - The store failed: `StoreError`.
 * - The run does not exist or has ended: `RunNotFound`, `RunEnded`.
 * - It does not wait for the command: `NotWaiting`, `RequestChanged`, `AlreadyDecided`, `WaitExpired`, `NotAnApprover`.
 * - The node does not exist, has ended or is being left: `NodeNotFound`, `NodeEnded`, `AlreadyLeft`.
 * - The content is invalid: `InvalidAnswer`, `InvalidCommand`.
 * - Another signal has the id: `SignalIdTaken`.
 */
export type CommandError =
  | StoreError
  | RunNotFound
  | RunEnded
  | NotWaiting
  | RequestChanged
  | NotAnApprover
  | NodeNotFound
  | NodeEnded
  | AlreadyLeft
  | AlreadyDecided
  | WaitExpired
  | InvalidAnswer
  | InvalidCommand
  | SignalIdTaken

/**
 * Approves a request, of an approval or before a step. Fails with `NotWaiting`, `RequestChanged`, `WaitExpired` or
 * `NotAnApprover`. A second decision fails with `AlreadyDecided`, even if it is the same. The approval is durable before this
 * completes; the run applies it at once, or when it resumes. A request with options needs one of them as `choose`; another one, or
 * none, fails with `InvalidAnswer`.
 */
export const approve = Effect.fn("Commands.approve")((runId: string, nodeId: string, options?: ApproveOptions) =>
  decide(runId, nodeId, true, options),
)

/** Denies a request; the workflow defines the consequence (`onDeny`). Fails like {@link approve}, and is as durable. */
export const deny = Effect.fn("Commands.deny")((runId: string, nodeId: string, options?: DecisionOptions) =>
  decide(runId, nodeId, false, options),
)

/**
 * Answers a human task.
 *
 * Fails with `InvalidAnswer` if the answer does not match the JSON Schema of the task, and with `InvalidCommand` if it is no
 * JSON. A task that is not open fails with `NotWaiting`, `RequestChanged`, `WaitExpired` or `AlreadyDecided`, even if an
 * earlier answer is not validated yet. The answer is durable before this completes; the run applies it at once, or when it
 * resumes.
 *
 * The run validates the answer with the schema itself, which may be stricter. A rejected answer is logged (`AnswerRefused`),
 * and the task stays open.
 */
export const answer = Effect.fn("Commands.answer")(function* (
  given: string,
  name: string,
  value: unknown,
  options: Omit<DecisionOptions, "note"> = {},
): Effect.fn.Return<DecisionReceipt, CommandError, Inbox | RunReader> {
  // A request that is named is one of the run that made it.
  const runId = options.request === undefined ? yield* newest(given) : given
  yield* checkNames(runId, "answer", options, answerNames)
  yield* checkTexts(runId, { by: options.by, request: options.request })
  const found = yield* openWait(runId, name, "human", options)
  const { nodeId } = found
  if (found.status === "finished" || found.isAnswered) return yield* alreadyDecided(found)
  yield* checkTime(found)
  const copied = toJson(value)
  if (Either.isLeft(copied)) {
    const { path, problem } = copied.left
    return yield* new InvalidCommand({ runId, problem: `an answer must be JSON: ${path} ${problem}` })
  }
  yield* checkSecrets(runId, "the answer", copied.right)
  const { iteration } = found
  const schema = schemaOf(found)
  const issues = schema === undefined ? [] : yield* issuesOf(schema, copied.right)
  if (issues.length > 0) return yield* new InvalidAnswer({ runId, nodeId, iteration, issues })
  const by = defined({ by: options.by })
  // One command per request, plus one after each rejected answer.
  const id = compositeKey("answer", nodeId, iteration, found.requestSeq, found.refusals)
  return yield* decided(found, id, { _tag: "Answer", nodeId, iteration, value: copied.right, ...shownBy(found), ...by })
})

/** The JSON Schema of the answer, stored with the request. */
const schemaOf = ({ request }: WaitSummary): { readonly [keyword: string]: Json } | undefined => {
  const { schema } = (request ?? {}) as { readonly schema?: Json }
  return typeof schema === "object" && schema !== null && !Array.isArray(schema)
    ? (schema as { readonly [keyword: string]: Json })
    : undefined
}

/** Options of a signal. */
export interface SignalOptions {
  /** JSON that matches the schema of the wait. */
  readonly payload?: unknown
  /** Distinguishes signals of one name; only a wait with the same correlation takes it. */
  readonly correlation?: string
  /**
   * Id to deduplicate by: an equal signal with the same id is ignored, a different one fails with `SignalIdTaken`. Default: a
   * new id for each call.
   */
  readonly id?: string
}

/**
 * Sends a signal. A signal without a wait is kept, in order; each is taken by one wait. Fails with `RunEnded` if no wait can
 * follow, with `InvalidCommand` if the payload is no JSON, and with `SignalIdTaken` if another signal has the `id`. The signal
 * is durable before this completes. After a crash of the sender, repeat it with the same `id` to send it exactly once.
 */
export const signal = Effect.fn("Commands.signal")(function* (
  runId: string,
  name: string,
  options: SignalOptions = {},
): Effect.fn.Return<void, StoreError | RunNotFound | RunEnded | InvalidCommand | SignalIdTaken, Inbox | RunReader> {
  yield* checkNames(runId, "signal", options, signalNames)
  const inbox = yield* Inbox
  const sent = yield* signalOf(runId, name, options)
  yield* checkSignal(sent, yield* inbox.deliver(sent))
})

/** Sends a signal like {@link signal}, and creates the run if it does not exist: both or nothing. */
export const signalOrCreate = Effect.fn("Commands.signalOrCreate")(function* (
  runId: string,
  name: string,
  options: SignalOptions,
  create: NewRun,
): Effect.fn.Return<void, StoreError | RunEnded | WorkflowMismatch | InvalidCommand | SignalIdTaken, Inbox | RunReader> {
  const inbox = yield* Inbox
  const sent = yield* signalOf(runId, name, options)
  yield* checkSignal(sent, yield* inbox.deliverOrCreate(sent, create))
})

/** Options of {@link publish}. */
export interface PublishOptions {
  /** JSON that matches the schema of the waits. */
  readonly payload?: unknown
  /** Only waits with the same correlation take the event. */
  readonly correlation?: string
  /** Id to deduplicate by, and id of the signals. An equal event with the same id is ignored, a different one fails with `EventIdTaken`. */
  readonly id: string
  /** Time for which the event is kept for a wait to come, if no wait is open. Default: `"1 day"`. */
  readonly keep?: Millis.DurationLike
}

const publishNames: Settings.Names<PublishOptions> = { payload: true, correlation: true, id: true, keep: true }

/**
 * Publishes an event to every run with an open wait for a signal of this name and correlation. If there is none, it is kept, and the first
 * such wait to open takes it. Returns the event with the runs that took it. Durable before this completes; repeat it with the same `id` after
 * a crash. Fails with `InvalidSetting` or `EventIdTaken`.
 */
export const publish = Effect.fn("Commands.publish")(function* (
  name: string,
  options: PublishOptions,
): Effect.fn.Return<PublishedEvent, StoreError | InvalidSetting | EventIdTaken, Inbox> {
  yield* Settings.only("publish", options, publishNames)
  const keepMs = yield* Settings.duration("keep", options.keep, "1 day", Millis.zero)
  const named = storable(yield* Settings.filled("name", name, "the name of an event"))
  const id = storable(yield* Settings.filled("id", options.id, "an id to deduplicate by"))
  const correlation = yield* Settings.text("correlation", options.correlation)
  const copied = options.payload === undefined ? undefined : toJson(options.payload)
  if (copied !== undefined && Either.isLeft(copied)) {
    const { path, problem } = copied.left
    return yield* new InvalidSetting({
      setting: "payload",
      received: Millis.show(options.payload),
      expected: `JSON: ${path} ${problem}`,
    })
  }
  const secret = Secrets.problemIn([copied?.right ?? null, named, correlation ?? null, id])
  if (secret !== undefined)
    return yield* new InvalidSetting({ setting: "payload", received: "refused", expected: `without secrets: ${secret.problem}` })
  const at = yield* Millis.now
  const event = {
    ...{ id, name: named, at, keptUntil: Millis.after(at, keepMs) },
    ...(correlation === undefined ? {} : { correlation: storable(correlation) }),
    ...(copied === undefined ? {} : { payload: copied.right }),
  }
  const kept = yield* (yield* Inbox).publish(event)
  const contentOf = (one: { readonly name: string; readonly correlation?: string | null; readonly payload?: unknown }) =>
    canonical([one.name, one.correlation ?? null, (one.payload ?? null) as Json])
  return contentOf(kept) === contentOf(event) ? kept : yield* new EventIdTaken({ id, name: kept.name })
})

/** Lists published events, the latest first, with the runs that took them. Read only. */
export const published = (filter: PublishedFilter = {}): Effect.Effect<ReadonlyArray<PublishedEvent>, StoreError, Inbox> =>
  Effect.flatMap(Inbox, (inbox) => inbox.published(filter))

type Signal = Extract<Command, { readonly _tag: "Signal" }>

/** Fails with `SignalIdTaken` if a different signal is stored under the same id. */
const checkSignal = ({ runId, command }: InboxMessage<Signal>, kept: Command): Effect.Effect<void, SignalIdTaken> => {
  if (kept._tag !== "Signal" || canonical(kept) === canonical(command)) return Effect.void
  const { id = "", name, correlation } = kept
  return new SignalIdTaken({ runId, id, signal: name, ...defined({ correlation }) })
}

const signalOf = Effect.fnUntraced(function* (runId: string, name: string, { payload, correlation, id: givenId }: SignalOptions) {
  if (typeof name !== "string" || name === "") return yield* new InvalidCommand({ runId, problem: "a signal has a name" })
  yield* checkTexts(runId, { correlation, id: givenId })
  const copied = payload === undefined ? undefined : toJson(payload)
  if (copied !== undefined && Either.isLeft(copied)) {
    const { path, problem } = copied.left
    return yield* new InvalidCommand({ runId, problem: `a payload must be JSON: ${path} ${problem}` })
  }
  yield* checkSecrets(runId, "the payload", copied?.right)
  yield* checkSecrets(runId, "the signal", [name, correlation, givenId])
  const kept = {
    ...(copied === undefined ? {} : { payload: copied.right }),
    ...(correlation === undefined ? {} : { correlation: storable(correlation) }),
  }
  const id = givenId === undefined ? yield* generateRunId : storable(givenId)
  const command: Signal = { _tag: "Signal", id, name: storable(name), ...kept }
  return { id: compositeKey("signal", id), runId, at: yield* Millis.now, command } satisfies InboxMessage<Signal>
})

/**
 * Requests the cancellation of a run, without waiting for it. Attempts are interrupted, sagas are compensated, and the run ends
 * as `cancelled`. Fails with `RunEnded` if it has finished or failed.
 */
export const cancel = Effect.fn("Commands.cancel")(function* (
  runId: string,
  { reason }: { readonly reason?: string } = {},
): Effect.fn.Return<void, CommandError, Inbox | RunReader> {
  yield* checkTexts(runId, { reason })
  yield* Effect.catchIf(
    deliver(runId, { _tag: "Cancel", ...defined({ reason }) }),
    (error) => error._tag === "RunEnded" && error.status === "cancelled",
    () => Effect.void,
  )
})

/**
 * Pauses a run: attempts in flight finish and are kept, nothing new starts, and no timer fires until it is unpaused. It stays
 * paused across crashes and resumes; running it returns `paused`. Pausing a paused run does nothing. Fails with `RunEnded` if
 * it has ended.
 */
export const pause = Effect.fn("Commands.pause")(function* (
  runId: string,
  options: { readonly by?: string } = {},
): Effect.fn.Return<void, CommandError, Inbox | RunReader> {
  yield* checkNames(runId, "pause", options, actorNames)
  const { by } = options
  yield* checkTexts(runId, { by })
  yield* deliver(runId, { _tag: "Pause", ...defined({ by }) })
})

/**
 * Unpauses a run. Deadlines of waits move by the length of the pause. Timers keep their time, and those due meanwhile fire.
 * Does nothing if the run is not paused. A run without an owner continues when it is resumed. Fails with `RunEnded` if it has
 * ended. Fails with `InvalidCommand` if a parent that waits for it is paused: unpause that one.
 */
export const unpause = Effect.fn("Commands.unpause")(function* (
  runId: string,
  options: { readonly by?: string } = {},
): Effect.fn.Return<void, CommandError, Inbox | RunReader> {
  yield* checkNames(runId, "unpause", options, actorNames)
  const { by } = options
  yield* checkTexts(runId, { by })
  const reader = yield* RunReader
  let paused: string | undefined
  for (let { parent } = (yield* reader.run(runId)).run; parent?.isAttached === true; ) {
    const { run } = yield* reader.run(parent.runId)
    if (Status.isEnded(run.status)) break
    if (run.status === "paused") paused = run.runId
    parent = run.parent
  }
  if (paused !== undefined) {
    const problem = `its ancestor run "${paused}" is paused: unpause that one, and its child runs continue with it`
    return yield* new InvalidCommand({ runId, problem })
  }
  yield* deliver(runId, { _tag: "Unpause", ...defined({ by }) })
})

/**
 * Runs a node again with a fresh budget, and everything that depends on it: nodes that need its output, and nodes that the plan
 * has because of it. Their outputs are removed. A failed or cancelled run is reopened and continues once it is resumed; its
 * other failed steps have a fresh budget too. In a loop only the current pass can run again. Fails with `RunEnded` if the run
 * has finished, and with `NodeNotFound` if it has not reached the node.
 */
export const retryNode = Effect.fn("Commands.retryNode")(function* (
  given: string,
  name: string,
  options: { readonly iteration?: number } = {},
): Effect.fn.Return<void, CommandError, Inbox | RunReader> {
  const runId = yield* newest(given)
  yield* checkNames(runId, "retryNode", options, retryNames)
  const reader = yield* RunReader
  const { run, nodes } = yield* reader.inspect(runId)
  if (run.status === "finished") return yield* new RunEnded({ runId, status: run.status })
  const nodeId = resolveNodeId(name, nodes)
  if (undoneBy(nodeId) !== undefined) {
    const problem = `"${nodeId}" is a compensation, which its saga runs; resuming a failed run restarts the saga`
    return yield* new InvalidCommand({ runId, problem })
  }
  const undoing = nodes.find((node) => undoneBy(node.nodeId) !== undefined && !Status.isEnded(node.status))
  if (undoing !== undefined && !Status.isEnded(run.status)) {
    const problem = `it is being compensated ("${undoing.nodeId}"): retry the node once the run has ended`
    return yield* new InvalidCommand({ runId, problem })
  }
  const rows = nodes.filter((node) => node.nodeId === nodeId).map(({ iteration }) => iteration)
  const known = rows.length > 0 ? rows : [...new Set(nodes.map((node) => node.nodeId))]
  const last = rows.at(-1)
  const iteration = options.iteration ?? last
  if (last === undefined || iteration === undefined || !rows.includes(iteration)) {
    return yield* new NodeNotFound({
      runId,
      nodeId,
      known,
      ...defined({ iteration: options.iteration }),
    })
  }
  if (iteration !== last) {
    const problem = `the loop around "${nodeId}" has moved on since iteration ${iteration}; only its last iteration, ${last}, can run again`
    return yield* new InvalidCommand({ runId, problem })
  }
  yield* deliver(runId, { _tag: "Retry", nodeId, iteration }, { reopen: true })
})

/** Options of leaving a scope, race or list. */
export interface LeaveOptions {
  /** Iteration of the node, as in its rows. Default: the open one; before it begins, that of the current pass of its loop. */
  readonly iteration?: number
  /** The branch of a race, or the key of an item of a list: the only part to leave. */
  readonly key?: string
  readonly reason?: string
  readonly by?: string
}

/**
 * Leaves a scope, race or list as cancelled, or with `key` one branch or item. It gives no value, and the run continues after
 * it. Attempts in it are interrupted and awaited, waits are withdrawn, child runs are cancelled, sagas are compensated, and
 * each `finally` runs; no `catch` sees it. A scope that has not begun is left when the run reaches it.
 *
 * The request is durable before this completes. The run carries it out at once, when it resumes, or when it is unpaused.
 * Repeating a request does nothing. Fails with:
 * - `AlreadyLeft` if its completion was requested before;
 * - `NodeEnded` if it has ended;
 * - `NodeNotFound` if the plan does not have it;
 * - `InvalidCommand` if the node cannot be left, or the run is to be cancelled;
 * - `RunEnded` if the run has ended.
 */
export const cancelNode = Effect.fn("Commands.cancelNode")((runId: string, node: string, options?: LeaveOptions) =>
  leave(runId, node, "cancelled", options),
)

/** Leaves a scope, race or list as completed, with its current value. Otherwise like {@link cancelNode}. */
export const completeNode = Effect.fn("Commands.completeNode")((runId: string, node: string, options?: LeaveOptions) =>
  leave(runId, node, "completed", options),
)

const leave = Effect.fnUntraced(function* (
  given: string,
  name: string,
  outcome: Status.LeaveOutcome,
  options: LeaveOptions = {},
): Effect.fn.Return<void, CommandError, Inbox | RunReader> {
  const runId = yield* newest(given)
  yield* checkNames(runId, outcome === "completed" ? "completeNode" : "cancelNode", options, leaveNames)
  const { iteration, key, reason, by } = options
  yield* checkTexts(runId, { node: name, key, reason, by })
  const find = Effect.gen(function* () {
    const reader = yield* RunReader
    const details = yield* reader.inspect(runId)
    if (Status.isEnded(details.run.status)) return yield* new RunEnded({ runId, status: details.run.status })
    const plan = PlanText.decode(yield* reader.plan(runId))
    const nodeId = resolveNodeId(name, [...details.nodes, ...[...plan.positions.keys()].map((nodeId) => ({ nodeId }))])
    const found = yield* Leaving.find({ ...details, plan }, nodeId, defined({ iteration, key }))
    return { ...found, isCancelled: details.cancel !== null }
  })
  /** Tells whether the same request was made before. Fails if another one was, or there is nothing to leave. */
  const isAsked = Effect.fnUntraced(function* ({ nodeId, iteration, leaveRequest, ended, left }: Leaving.Found) {
    if (leaveRequest?.outcome === outcome) return true
    const key = { runId, nodeId, iteration }
    if (leaveRequest !== undefined) return yield* new AlreadyLeft({ ...key, ...leaveRequest })
    if (ended === undefined) return false
    return yield* new NodeEnded({ ...key, status: ended, ...defined({ outcome: left?.outcome, trigger: left?.trigger }) })
  })
  const found = yield* find
  if (yield* isAsked(found)) return
  if (found.isCancelled) {
    const problem = "the run is being cancelled, with everything in it"
    return yield* new InvalidCommand({ runId, problem })
  }
  const said = { nodeId: found.nodeId, iteration: found.iteration, outcome, ...defined({ reason, by }) }
  yield* deliver(runId, { _tag: "Leave", ...said })
  // Of two concurrent requests the first counts. A scope that ended meanwhile, or whose run did, is left too.
  yield* find.pipe(
    Effect.flatMap(isAsked),
    Effect.catchTags({ NodeEnded: () => Effect.void, NodeNotFound: () => Effect.void, RunEnded: () => Effect.void }),
  )
})

const decide = Effect.fnUntraced(function* (
  given: string,
  name: string,
  approved: boolean,
  options: ApproveOptions = {},
): Effect.fn.Return<DecisionReceipt, CommandError, Inbox | RunReader> {
  // A request that is named is one of the run that made it.
  const runId = options.request === undefined ? yield* newest(given) : given
  yield* checkNames(runId, approved ? "approve" : "deny", options, approved ? approveNames : decisionNames)
  const { request, note, by, choose } = options
  yield* checkTexts(runId, { request, note, by, choose })
  const found = yield* openWait(runId, name, "approval", options)
  const { nodeId, iteration } = found
  const { approvers } = (found.request ?? {}) as { readonly approvers?: ReadonlyArray<string> }
  if (approvers !== undefined && found.status === "open" && !(by !== undefined && approvers.includes(by))) {
    const who = defined({ by })
    return yield* new NotAnApprover({ runId, nodeId, iteration, approvers, ...who })
  }
  if (found.approved !== null && found.status !== "withdrawn") return yield* alreadyDecided(found)
  yield* checkTime(found)
  if (approved) yield* checkChoice(found, choose)
  const said = defined({ selected: choose, note, by })
  const id = compositeKey("decide", nodeId, iteration, found.requestSeq)
  return yield* decided(found, id, { _tag: "Decide", nodeId, iteration, approved, ...shownBy(found), ...said })
})

/** Refuses an approval that does not select one of the options of the request. */
const checkChoice = ({ runId, nodeId, iteration, request }: WaitSummary, choose: string | undefined) => {
  const options = Decision.optionsIn(request)
  if (options === undefined && choose === undefined) return Effect.void
  if (options === undefined)
    return new InvalidCommand({ runId, problem: `the request of "${nodeId}" has no options to choose from` })
  if (options.some(({ key }) => key === choose)) return Effect.void
  const keys = options.map(({ key }) => JSON.stringify(key)).join(", ")
  const issue = choose === undefined ? `choose one of ${keys}` : `${JSON.stringify(choose)} is not one of ${keys}`
  return new InvalidAnswer({ runId, nodeId, iteration, issues: [issue] })
}

/** Delivers a response. Of two responses to one request, the second finds the first stored. */
const decided = Effect.fnUntraced(function* (found: WaitSummary, id: string, said: Response) {
  const inbox = yield* Inbox
  const { runId, nodeId, iteration, requestId, request } = found
  const at = yield* Millis.now
  const kept = yield* inbox.deliverResponse({ id, runId, at, command: said })
  if (kept !== said) return yield* alreadyDecided((yield* sameWait(found)) ?? found, kept)
  yield* checkHeard(found)
  const who = defined({ by: said.by })
  const note = said._tag === "Decide" ? defined({ note: said.note, selected: said.selected }) : {}
  // As it is stored.
  return Secrets.value({ runId, nodeId, iteration, requestId, request, ...who, ...note, at } satisfies DecisionReceipt)
})

/** The earlier response, from the wait or, if the run has not applied it, from the inbox. */
const alreadyDecided = ({ runId, nodeId, iteration, ...wait }: WaitSummary, kept?: Command) => {
  const said = kept?._tag === "Decide" || kept?._tag === "Answer" ? kept : undefined
  const known = (value: string | null | undefined): string | undefined => value ?? undefined
  const by = known(wait.by) ?? said?.by
  const decision = said?._tag === "Decide" ? said : undefined
  const approved = wait.approved ?? decision?.approved
  const note = known(wait.note) ?? decision?.note
  return new AlreadyDecided({
    runId,
    nodeId,
    iteration,
    ...defined({ approved, by }),
    ...(wait.decidedAt === null ? {} : { at: wait.decidedAt }),
    ...defined({ note }),
  })
}

const deliver = Effect.fnUntraced(function* (
  runId: string,
  command: Exclude<Command, Response>,
  options?: { readonly reopen?: boolean },
): Effect.fn.Return<Command, StoreError | RunNotFound | RunEnded, Inbox | RunReader> {
  const inbox = yield* Inbox
  return yield* inbox.deliver({ id: yield* generateRunId, runId, at: yield* Millis.now, command }, options)
})

/** The names of the options of commands. */
const actorNames: Settings.Names<{ readonly by?: string }> = { by: true }
const answerNames: Settings.Names<Omit<DecisionOptions, "note">> = { ...actorNames, iteration: true, request: true }
const decisionNames: Settings.Names<DecisionOptions> = { ...answerNames, note: true }
const approveNames: Settings.Names<ApproveOptions> = { ...decisionNames, choose: true }
const retryNames: Settings.Names<{ readonly iteration?: number }> = { iteration: true }
const leaveNames: Settings.Names<LeaveOptions> = { ...actorNames, iteration: true, key: true, reason: true }
export const signalNames: Settings.Names<SignalOptions> = { payload: true, correlation: true, id: true }

/** The newest of the runs that a run goes on as, or the run itself. */
const newest = (runId: string) => Effect.flatMap(RunReader, (reader) => reader.newest(runId))

/** Refuses options that are no object, or have a name that the command does not have. */
const checkNames = <O>(runId: string, command: string, options: unknown, names: Settings.Names<O>) => {
  const known = Object.keys(names)
  const isObject = typeof options === "object" && options !== null && !Array.isArray(options)
  const problem = isObject
    ? Names.problemOf(options, known)
    : `takes an object of ${known.join(", ")}, and got ${Millis.show(options)}`
  return problem === undefined ? Effect.void : new InvalidCommand({ runId, problem: `${command} ${problem}` })
}

/** Untyped callers may pass anything; a value that is no text could be stored, but not read back. */
const checkTexts = (runId: string, texts: { readonly [name: string]: unknown }): Effect.Effect<void, InvalidCommand> => {
  const wrong = Object.entries(texts).find(([, value]) => value !== undefined && typeof value !== "string")
  return wrong === undefined ? Effect.void : new InvalidCommand({ runId, problem: `"${wrong[0]}" must be a text` })
}

/** Refuses a value with a secret: stored without it, the run would take its name for the value. */
const checkSecrets = (runId: string, of: string, value: unknown): Effect.Effect<void, InvalidCommand> => {
  const found = Secrets.problemIn(value)
  return found === undefined ? Effect.void : new InvalidCommand({ runId, problem: `${of}: ${found.problem}`, secret: found.secret })
}

/** Fails if a wait has ended. The deadline of an open wait is checked by the store when it takes the response. */
const checkTime = Effect.fnUntraced(function* ({ runId, nodeId, iteration, status, reason, deadline, endedAt }: WaitSummary) {
  const { run, cancel } = yield* (yield* RunReader).run(runId)
  // A run to be cancelled does not use a decision on its open waits. Waits of its way out open only after it has applied the
  // cancellation.
  if (status === "open" && cancel?.isDelivered === false)
    return yield* new NotWaiting({ runId, nodeId, iteration, open: [], reason: "cancelled" })
  if (status === "open") return
  if (status !== "withdrawn" && deadline !== null && endedAt !== null && deadline <= endedAt)
    return yield* new WaitExpired({ runId, nodeId, iteration, deadline })
  if (Status.isEnded(run.status)) return yield* new RunEnded({ runId, status: run.status })
  const why = reason === null ? {} : { reason }
  return yield* new NotWaiting({ runId, nodeId, iteration, open: yield* openIn(runId), ...why })
})

/** Fails if a wait ended or was withdrawn before the response could count. */
const checkHeard = Effect.fnUntraced(function* (found: WaitSummary) {
  const wait = yield* sameWait(found)
  if (wait === undefined || wait.status === "finished") return
  // The node has made another request in the meantime.
  if (wait.requestSeq !== found.requestSeq) return yield* changed(wait, found.requestId ?? "")
  if (wait.status === "open") return
  if (wait.status === "withdrawn" || (wait.approved === null && wait.by === null)) yield* checkTime(wait)
})

/** Reads the current state of a wait. */
const sameWait = Effect.fnUntraced(function* ({ runId, nodeId, iteration, kind }: WaitSummary) {
  const reader = yield* RunReader
  return kind === "retry" ? undefined : yield* reader.wait({ runId, nodeId, kind, iteration })
})

/** The request that was shown, for a decision. */
const shownBy = ({ requestSeq, digest }: WaitSummary) => ({ requestSeq, ...(digest === null ? {} : { digest }) })

const changed = ({ runId, nodeId, iteration, status, requestId }: WaitSummary, named: string) => {
  const current = status === "open" && requestId !== null ? { currentRequestId: requestId } : {}
  return new RequestChanged({ runId, nodeId, iteration, requestId: named, ...current })
}

/** The open waits of a run, for errors. */
const openIn = Effect.fnUntraced(function* (runId: string) {
  const reader = yield* RunReader
  const waits = yield* reader.waits({ runId })
  return waits.map(({ kind, nodeId, iteration, name }) => {
    const pass = iteration === 0 ? "" : ` (iteration ${iteration})`
    return `${kind} "${nodeId}"${pass}${kind === "subflow" && name !== null ? ` (run ${name})` : ""}`
  })
})

/**
 * The node that a text names: the author's id or, if there is none, the id as shown. They differ for ids with characters that
 * cannot be typed.
 */
export const resolveNodeId = (text: string, nodes: Iterable<{ readonly nodeId: NodeId }>): NodeId => {
  const kept = keptId(text)
  if (kept === text) return kept
  const ids = new Set(Array.from(nodes, ({ nodeId }) => nodeId))
  return !ids.has(kept) && ids.has(text) ? text : kept
}

/** The wait that a command is for: that of the named request, otherwise the open one, otherwise the one that ended last. */
const openWait = Effect.fnUntraced(function* (
  runId: string,
  name: string,
  kind: "approval" | "human",
  { iteration, request }: DecisionOptions,
) {
  const reader = yield* RunReader
  const kept = keptId(name)
  const waitOf = (nodeId: NodeId) => reader.wait({ runId, nodeId, kind, iteration })
  const found = (yield* waitOf(kept)) ?? (kept === name ? undefined : yield* waitOf(name))
  if (found !== undefined && request !== undefined && found.requestId !== request) {
    const named = yield* reader.wait({ runId, nodeId: found.nodeId, kind, iteration, requestSeq: requestSeqOf(request) })
    return named?.requestId === request ? named : yield* changed(found, request)
  }
  if (found !== undefined) return found
  // Fails with `RunNotFound` or `RunEnded` first.
  const { run } = yield* reader.run(runId)
  if (Status.isEnded(run.status)) return yield* new RunEnded({ runId, status: run.status })
  const open = yield* openIn(runId)
  return yield* new NotWaiting({ runId, nodeId: kept, open, ...defined({ iteration }) })
})
