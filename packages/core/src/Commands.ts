/**
 * What people and programs tell a run from outside. Each command is checked against what the run waits for, kept durably, and folded into
 * the run's next frame by whoever works on it, at once or when it is taken up again. A command that is given twice counts once.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import {
  AlreadyDecided,
  AlreadyLeft,
  InvalidAnswer,
  InvalidCommand,
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
import { type Command, Inbox, type Instruction, type Response } from "./Inbox.ts"
import { canonical, type Json, toJson } from "./internal/json.ts"
import * as Leaving from "./internal/leaving.ts"
import { issuesOf } from "./JsonSchema.ts"
import * as Millis from "./Millis.ts"
import * as PlanText from "./PlanText.ts"
import { undoneBy } from "./Records.ts"
import type { NewRun } from "./RunOwnership.ts"
import { askedOf, RunReader, type WaitSummary } from "./RunReader.ts"
import * as Status from "./Status.ts"
import { defined } from "./Struct.ts"

/** Who decides, and of what. */
export interface DecisionOptions {
  /** Iteration of the node as its rows show it. Default: the open one. */
  readonly iteration?: number
  /**
   * The request that was shown, as `WaitSummary.requestId` names it. Any other fails with `RequestChanged`, so that nothing is decided that nobody
   * has looked at: a node asks again in each pass of a loop, after a retry, and where edited code asks for something else. Default: whatever is asked.
   */
  readonly request?: string
  readonly note?: string
  readonly by?: string
}

/** A decision, or an answer, as it was kept. */
export interface Decided {
  readonly runId: string
  readonly nodeId: NodeId
  readonly iteration: number
  readonly requestId: string | null
  /** What was shown. */
  readonly request: unknown
  readonly by?: string
  readonly note?: string
  /** Epoch ms. */
  readonly at: number
}

/**
 * Why a command was not kept; the run is as it was then. What the store cannot do is a `StoreError`. The run is not there (`RunNotFound`) or
 * has ended (`RunEnded`); it does not wait for that (`NotWaiting`, `RequestChanged`), does not any more (`AlreadyDecided`, `WaitExpired`), or
 * not from this person (`NotAnApprover`); the node is not one of its (`NodeNotFound`), is over (`NodeEnded`) or is left already (`AlreadyLeft`); what is said does not fit what was asked (`InvalidAnswer`), or is
 * not well formed (`InvalidCommand`); the id of a signal is that of another one (`SignalIdTaken`).
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
 * Approves what a run asks for, in an approval or before a step. Fails with `NotWaiting`, `RequestChanged`, `WaitExpired` or `NotAnApprover`,
 * and with `AlreadyDecided` where anybody has decided before, also in the same way. What was approved is kept before this completes, so
 * that a crash loses none of it: the run hears of it at once, or when it is taken up again.
 */
export const approve = Effect.fn("Commands.approve")((runId: string, nodeId: string, options?: DecisionOptions) =>
  decide(runId, nodeId, true, options),
)

/** Denies what a run asks for. What that means is the workflow's to say (`onDeny`). Fails as {@link approve} does, and is kept like that. */
export const deny = Effect.fn("Commands.deny")((runId: string, nodeId: string, options?: DecisionOptions) =>
  decide(runId, nodeId, false, options),
)

/**
 * Answers a person's task. An answer that does not match the JSON Schema that was asked with fails with `InvalidAnswer`, and the task stays
 * open. What a JSON Schema cannot say the run checks when it folds the answer in: what it refuses then is in its log (`AnswerRefused`), and
 * the task stays open, too. One that is no JSON is `InvalidCommand`; a task that is not open is `NotWaiting`, `RequestChanged`, `WaitExpired`
 * or `AlreadyDecided`, also while an answer before it is still to be checked. The answer is kept before this completes, and is heard of at once, or when the run is taken up again.
 */
export const answer = Effect.fn("Commands.answer")(function* (
  runId: string,
  name: string,
  value: unknown,
  options: Omit<DecisionOptions, "note"> = {},
): Effect.fn.Return<Decided, CommandError, Inbox | RunReader> {
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
  const { iteration } = found
  const schema = schemaOf(found)
  const issues = schema === undefined ? [] : yield* issuesOf(schema, copied.right)
  if (issues.length > 0) return yield* new InvalidAnswer({ runId, nodeId, iteration, issues })
  const by = defined({ by: options.by })
  // One command per question, and after each answer that the run has refused one more.
  const id = compositeKey("answer", nodeId, iteration, found.asked, found.refusals)
  return yield* decided(found, id, { _tag: "Answer", nodeId, iteration, value: copied.right, ...shownBy(found), ...by })
})

/** The JSON Schema of the answer, as it is stored with the question. */
const schemaOf = ({ request }: WaitSummary): { readonly [keyword: string]: Json } | undefined => {
  const { schema } = (request ?? {}) as { readonly schema?: Json }
  return typeof schema === "object" && schema !== null && !Array.isArray(schema)
    ? (schema as { readonly [keyword: string]: Json })
    : undefined
}

/** What a signal is sent with. */
export interface SignalOptions {
  /** JSON that matches the schema of whoever waits for it. */
  readonly payload?: unknown
  /** Tells signals of one name apart; only a wait with the same correlation takes it. */
  readonly correlation?: string
  /**
   * A signal sent again under one id counts once; another signal under the same id is refused with `SignalIdTaken`. Default: a new id for
   * each call.
   */
  readonly id?: string
}

/**
 * Sends a signal. One that nobody waits for yet is kept, in order; each is taken by one wait. Fails with `RunEnded` where nothing will ever
 * wait for it, with `InvalidCommand` where the payload is no JSON, and with `SignalIdTaken` where its `id` is that of another signal. It is
 * kept before this completes: after a crash of the sender, sending it again under the same `id` makes sure that it was sent once.
 */
export const signal = Effect.fn("Commands.signal")(function* (
  runId: string,
  name: string,
  options: SignalOptions = {},
): Effect.fn.Return<void, StoreError | RunNotFound | RunEnded | InvalidCommand | SignalIdTaken, Inbox | RunReader> {
  const inbox = yield* Inbox
  const sent = yield* signalOf(runId, name, options)
  yield* checkSignal(sent, yield* inbox.deliver(sent))
})

/** Sends a signal as {@link signal} does, and makes the run where there is none: both or nothing. */
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

type Signal = Extract<Instruction, { readonly _tag: "Signal" }>

/** Fails where another signal was kept under the same id. */
const checkSignal = ({ runId, command }: Command<Signal>, kept: Instruction): Effect.Effect<void, SignalIdTaken> => {
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
  const kept = {
    ...(copied === undefined ? {} : { payload: copied.right }),
    ...(correlation === undefined ? {} : { correlation: storable(correlation) }),
  }
  const id = givenId === undefined ? yield* generateRunId : storable(givenId)
  const command: Signal = { _tag: "Signal", id, name: storable(name), ...kept }
  return { id: compositeKey("signal", id), runId, at: yield* Millis.now, command } satisfies Command<Signal>
})

/**
 * Asks for a run to be cancelled, and does not wait for it. What runs is interrupted, sagas are undone, and the run ends as `cancelled`.
 * Fails with `RunEnded` where it has finished or failed.
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
 * Pauses a run: what is in flight ends and is kept, nothing new starts and no timer fires until it is unpaused. Fails with `RunEnded` where it
 * has ended; pausing again does nothing. The run stays paused across crashes and resumes: run again, it answers `paused`.
 */
export const pause = Effect.fn("Commands.pause")(function* (
  runId: string,
  { by }: { readonly by?: string } = {},
): Effect.fn.Return<void, CommandError, Inbox | RunReader> {
  yield* checkTexts(runId, { by })
  yield* deliver(runId, { _tag: "Pause", ...defined({ by }) })
})

/**
 * Lets a paused run go on. Its time has stood still: what it waits for has the time that was left. Timers keep theirs, and those that were due
 * meanwhile fire. Fails with `RunEnded` where it has ended, and with `InvalidCommand` where a run is paused that has started it and waits for it: that is
 * the one to unpause. One that is not paused is as it was.
 * Where nobody works on the run, it goes on once someone takes it up.
 */
export const unpause = Effect.fn("Commands.unpause")(function* (
  runId: string,
  { by }: { readonly by?: string } = {},
): Effect.fn.Return<void, CommandError, Inbox | RunReader> {
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
    const problem = `run "${paused}", which it belongs to, is paused: unpause that, and what belongs to it goes on with it`
    return yield* new InvalidCommand({ runId, problem })
  }
  yield* deliver(runId, { _tag: "Unpause", ...defined({ by }) })
})

/**
 * Has a node run again, with a fresh budget, and with it what depends on it: what needs its output, and what the plan has only because of
 * it. Their outputs go. A run that failed or was cancelled goes on by that, once someone takes it up, as if it were resumed: what else had
 * failed has a fresh budget, too. One that has finished is `RunEnded`.
 * Of a node in a loop only the pass the loop is in can run again. A node that the run has not come to is `NodeNotFound`.
 */
export const retryNode = Effect.fn("Commands.retryNode")(function* (
  runId: string,
  name: string,
  options: { readonly iteration?: number } = {},
): Effect.fn.Return<void, CommandError, Inbox | RunReader> {
  const reader = yield* RunReader
  const { run, nodes } = yield* reader.inspect(runId)
  if (run.status === "finished") return yield* new RunEnded({ runId, status: run.status })
  const nodeId = nodeNamed(name, nodes)
  if (undoneBy(nodeId) !== undefined) {
    const problem = `"${nodeId}" undoes a step and is run by its saga; resuming a run that has failed begins the saga anew`
    return yield* new InvalidCommand({ runId, problem })
  }
  const undoing = nodes.find((node) => undoneBy(node.nodeId) !== undefined && !Status.isEnded(node.status))
  if (undoing !== undefined && !Status.isEnded(run.status)) {
    const problem = `what it has done is being undone ("${undoing.nodeId}"): run the node again once the run has ended`
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
    const problem = `the loop around "${nodeId}" has gone on since iteration ${iteration}; only its last, ${last}, can run again`
    return yield* new InvalidCommand({ runId, problem })
  }
  yield* deliver(runId, { _tag: "Retry", nodeId, iteration }, { reopen: true })
})

/** Which scope, race or list is left, and what is noted of it. */
export interface LeaveOptions {
  /** Iteration of the node as its rows show it. Default: the open one or, where it has not begun, that of the pass the loop around it is in. */
  readonly iteration?: number
  /** Of a race the name of a branch, of a list the key of an item: only that is left. */
  readonly key?: string
  readonly reason?: string
  readonly by?: string
}

/**
 * Leaves a scope, a race or a list as cancelled, or with `key` a branch or an item of one: it gives no value, and the run goes on behind it. What is in
 * flight there is interrupted and awaited, waits are withdrawn, child runs are cancelled, sagas are undone, and `finally` runs; no `catch` sees it. One that has
 * not begun is left when the run comes to it.
 *
 * The run has it durably before this completes, and carries it out at once, when it is taken up, or when it is unpaused. Asking again for the same does nothing.
 * Fails with `AlreadyLeft` where someone has asked for it to be completed, with `NodeEnded` where it is over, with `NodeNotFound` where the plan has none such, with
 * `InvalidCommand` where the node is none that can be left, or the run is to be cancelled, and with `RunEnded` where the run has ended.
 */
export const cancelNode = Effect.fn("Commands.cancelNode")((runId: string, node: string, options?: LeaveOptions) =>
  leave(runId, node, "cancelled", options),
)

/** Leaves a scope, a race or a list as completed, with the value that is there by now. All else is as {@link cancelNode} has it. */
export const completeNode = Effect.fn("Commands.completeNode")((runId: string, node: string, options?: LeaveOptions) =>
  leave(runId, node, "completed", options),
)

const leave = Effect.fnUntraced(function* (
  runId: string,
  name: string,
  as: Status.LeftAs,
  { iteration, key, reason, by }: LeaveOptions = {},
): Effect.fn.Return<void, CommandError, Inbox | RunReader> {
  yield* checkTexts(runId, { node: name, key, reason, by })
  const find = Effect.gen(function* () {
    const reader = yield* RunReader
    const details = yield* reader.inspect(runId)
    if (Status.isEnded(details.run.status)) return yield* new RunEnded({ runId, status: details.run.status })
    const plan = PlanText.decode(yield* reader.plan(runId))
    const nodeId = nodeNamed(name, [...details.nodes, ...[...plan.positions.keys()].map((nodeId) => ({ nodeId }))])
    const found = yield* Leaving.find({ ...details, plan }, nodeId, defined({ iteration, key }))
    return { ...found, isCancelled: details.cancel !== null }
  })
  /** Tells whether it was asked for before. Fails where something else was, or there is nothing to leave. */
  const isAsked = Effect.fnUntraced(function* ({ nodeId, iteration, asked, ended, left }: Leaving.Found) {
    if (asked?.as === as) return true
    const place = { runId, nodeId, iteration }
    if (asked !== undefined) return yield* new AlreadyLeft({ ...place, ...asked })
    if (ended === undefined) return false
    return yield* new NodeEnded({ ...place, status: ended, ...defined({ as: left?.as, because: left?.because }) })
  })
  const found = yield* find
  if (yield* isAsked(found)) return
  if (found.isCancelled) {
    const problem = "the run is to be cancelled, and all that is in it with it"
    return yield* new InvalidCommand({ runId, problem })
  }
  const said = { nodeId: found.nodeId, iteration: found.iteration, as, ...defined({ reason, by }) }
  yield* deliver(runId, { _tag: "Leave", ...said })
  // Of two who ask at once the first counts. One that was over by then is, and a run that has ended has left it.
  yield* find.pipe(
    Effect.flatMap(isAsked),
    Effect.catchTags({ NodeEnded: () => Effect.void, NodeNotFound: () => Effect.void, RunEnded: () => Effect.void }),
  )
})

const decide = Effect.fnUntraced(function* (
  runId: string,
  name: string,
  approved: boolean,
  options: DecisionOptions = {},
): Effect.fn.Return<Decided, CommandError, Inbox | RunReader> {
  const { request, note, by } = options
  yield* checkTexts(runId, { request, note, by })
  const found = yield* openWait(runId, name, "approval", options)
  const { nodeId, iteration } = found
  const { approvers } = (found.request ?? {}) as { readonly approvers?: ReadonlyArray<string> }
  if (approvers !== undefined && found.status === "open" && !(by !== undefined && approvers.includes(by))) {
    const who = defined({ by })
    return yield* new NotAnApprover({ runId, nodeId, iteration, approvers, ...who })
  }
  if (found.approved !== null && found.status !== "withdrawn") return yield* alreadyDecided(found)
  yield* checkTime(found)
  const said = defined({ note, by })
  const id = compositeKey("decide", nodeId, iteration, found.asked)
  return yield* decided(found, id, { _tag: "Decide", nodeId, iteration, approved, ...shownBy(found), ...said })
})

/** What a person says, to be kept: of two who say something of one request before the run hears of either, the second finds the first. */
const decided = Effect.fnUntraced(function* (found: WaitSummary, id: string, said: Response) {
  const inbox = yield* Inbox
  const { runId, nodeId, iteration, requestId, request } = found
  const at = yield* Millis.now
  const kept = yield* inbox.deliverResponse({ id, runId, at, command: said })
  if (kept !== said) return yield* alreadyDecided((yield* sameWait(found)) ?? found, kept)
  yield* checkHeard(found)
  const who = defined({ by: said.by })
  const note = said._tag === "Decide" && said.note !== undefined ? { note: said.note } : {}
  return { runId, nodeId, iteration, requestId, request, ...who, ...note, at } satisfies Decided
})

/** Who has said what before, by the wait or, where that has not heard of it, by what was kept. */
const alreadyDecided = ({ runId, nodeId, iteration, ...wait }: WaitSummary, kept?: Instruction) => {
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
  command: Exclude<Instruction, Response>,
  options?: { readonly reopen?: boolean },
): Effect.fn.Return<Instruction, StoreError | RunNotFound | RunEnded, Inbox | RunReader> {
  const inbox = yield* Inbox
  return yield* inbox.deliver({ id: yield* generateRunId, runId, at: yield* Millis.now, command }, options)
})

/** Callers without types pass what they were sent; what is no text could be kept, but not be read again. */
const checkTexts = (runId: string, given: { readonly [name: string]: unknown }): Effect.Effect<void, InvalidCommand> => {
  const wrong = Object.entries(given).find(([, value]) => value !== undefined && typeof value !== "string")
  return wrong === undefined ? Effect.void : new InvalidCommand({ runId, problem: `"${wrong[0]}" must be a text` })
}

/** Fails where a wait is over. Of one that is open the store knows whether its time is over when it takes what is said. */
const checkTime = Effect.fnUntraced(function* ({ runId, nodeId, iteration, status, reason, deadline, endedAt }: WaitSummary) {
  const { run, cancel } = yield* (yield* RunReader).run(runId)
  // Nothing that is asked now is gone on from; what a cancellation asks on its way out is asked once it is heard.
  if (status === "open" && cancel?.isHeard === false)
    return yield* new NotWaiting({ runId, nodeId, iteration, open: [], reason: "cancelled" })
  if (status === "open") return
  if (status !== "withdrawn" && deadline !== null && endedAt !== null && deadline <= endedAt)
    return yield* new WaitExpired({ runId, nodeId, iteration, deadline })
  if (Status.isEnded(run.status)) return yield* new RunEnded({ runId, status: run.status })
  const why = reason === null ? {} : { reason }
  return yield* new NotWaiting({ runId, nodeId, iteration, open: yield* openIn(runId), ...why })
})

/** Fails where a wait was over, or withdrawn, before what was just said to it could count. */
const checkHeard = Effect.fnUntraced(function* (found: WaitSummary) {
  const wait = yield* sameWait(found)
  if (wait === undefined || wait.status === "finished") return
  // It has asked for something else in the meantime.
  if (wait.asked !== found.asked) return yield* changed(wait, found.requestId ?? "")
  if (wait.status === "open") return
  if (wait.status === "withdrawn" || (wait.approved === null && wait.by === null)) yield* checkTime(wait)
})

/** How a wait stands now. */
const sameWait = Effect.fnUntraced(function* ({ runId, nodeId, iteration, kind }: WaitSummary) {
  const reader = yield* RunReader
  return kind === "retry" ? undefined : yield* reader.wait({ runId, nodeId, kind, iteration })
})

/** What was shown, as a decision names it. */
const shownBy = ({ asked, digest }: WaitSummary) => ({ asked, ...(digest === null ? {} : { digest }) })

const changed = ({ runId, nodeId, iteration, status, requestId }: WaitSummary, named: string) => {
  const asked = status === "open" && requestId !== null ? { asked: requestId } : {}
  return new RequestChanged({ runId, nodeId, iteration, requestId: named, ...asked })
}

/** What a run waits for, as errors name it. */
const openIn = Effect.fnUntraced(function* (runId: string) {
  const reader = yield* RunReader
  const waits = yield* reader.waits({ runId })
  return waits.map(({ kind, nodeId, iteration, name }) => {
    const pass = iteration === 0 ? "" : ` (iteration ${iteration})`
    return `${kind} "${nodeId}"${pass}${kind === "subflow" && name !== null ? ` (run ${name})` : ""}`
  })
})

/**
 * The node, of some, that a text names: as its author gave it or, where none has that, as it is shown. The two differ where an id holds what
 * cannot be typed.
 */
export const nodeNamed = (text: string, nodes: Iterable<{ readonly nodeId: NodeId }>): NodeId => {
  const kept = keptId(text)
  if (kept === text) return kept
  const ids = new Set(Array.from(nodes, ({ nodeId }) => nodeId))
  return !ids.has(kept) && ids.has(text) ? text : kept
}

/** The wait that a command is for: the one that asks for the request that was named, or the open one, or else the one that was over last. */
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
    const named = yield* reader.wait({ runId, nodeId: found.nodeId, kind, iteration, asked: askedOf(request) })
    return named?.requestId === request ? named : yield* changed(found, request)
  }
  if (found !== undefined) return found
  // A run that does not exist or has ended says so.
  const { run } = yield* reader.run(runId)
  if (Status.isEnded(run.status)) return yield* new RunEnded({ runId, status: run.status })
  const open = yield* openIn(runId)
  return yield* new NotWaiting({ runId, nodeId: kept, open, ...defined({ iteration }) })
})
