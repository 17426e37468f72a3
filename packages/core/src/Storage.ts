/**
 * The port through which runs are kept. Each method is one atomic transition or one query; there is no begin and commit to
 * forget. An adapter must make every write carry the epoch under which the run was claimed, and refuse it with `RunFenced`
 * once another process has claimed the run.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { AgentTurn } from "./Agent.ts"
import type { Changes } from "./Changes.ts"
import type { Json, JsonSchema } from "./Codec.ts"
import {
  ErrorInfo,
  type RunEnded,
  RunFailure,
  type RunFenced,
  type RunNotFound,
  type StoreError,
  type Uncompensated,
  type Unheard,
  type WaitExpired,
  type WorkflowMismatch,
} from "./Errors.ts"
import type { Moment } from "./History.ts"
import type { Millis } from "./Millis.ts"
import { RestKind, RunEvent, StrayRead, type WaitKind } from "./RunEvent.ts"
import type { Parent, RunState } from "./RunState.ts"
import * as Status from "./Status.ts"

/** What a run is created from. `input` is its stored form. */
export interface NewRun {
  readonly workflow: string
  readonly version: string | undefined
  readonly input: Json | undefined
  /** Digest of what the caller gave as the input, before defaults and transforms; where that is JSON. */
  readonly given?: string | undefined
  readonly tags: ReadonlyArray<string>
  /** Where its code is, for whoever has to load it: a path, as its starter says it. */
  readonly source?: string | undefined
  readonly parent?: Parent | undefined
}

/**
 * The field of a new run that could not be listed as it is, and why; `undefined` where there is none. A store asks before it writes a run, so
 * that whatever stands in a list can be read.
 */
export const unlistable = ({ workflow, version, tags, source, parent }: NewRun): string | undefined => {
  const isText = (value: unknown): boolean => typeof value === "string"
  const isMissingOr = (value: unknown, is: (value: unknown) => boolean): boolean => value === undefined || is(value)
  const isParent = (value: unknown): boolean =>
    isText((value as Parent).runId) && isText((value as Parent).nodeId) && Number.isInteger((value as Parent).iteration)
  if (!isText(workflow)) return "workflow is no text"
  if (!isMissingOr(version, isText)) return "version is no text"
  if (!Array.isArray(tags) || !tags.every(isText)) return "tags is no array of texts"
  if (!isMissingOr(source, isText)) return "source is no text"
  return isMissingOr(parent, isParent) ? undefined : "parent is no node of a run"
}

/** Asks for a run: to create it, where `create` is given and the id is free, and to own it from now on. */
export interface OpenRequest {
  readonly runId: string
  readonly create: NewRun | undefined
  /** Take it even if it has ended as failed or cancelled, in order to continue it. A finished run is never taken. */
  readonly revive: ReadonlyArray<Status.ReopenableStatus>
  /** How long the claim holds without being renewed, in milliseconds. */
  readonly leaseMs: Millis
  readonly now: Millis
}

/** What came of an {@link OpenRequest}; only `Created` and `Claimed` give ownership, until the lease ends, under `epoch`. */
export type Opened =
  | { readonly _tag: "Created"; readonly epoch: number }
  | { readonly _tag: "Claimed"; readonly epoch: number }
  /** A live process owns it. Its lease, unless renewed, ends at `until` (epoch ms). */
  | { readonly _tag: "Owned"; readonly until: number }
  /** It has ended. */
  | { readonly _tag: "Ended" }
  /** The id is taken by a run with another input that was given another one, too, or of another workflow. Nothing was claimed. */
  | { readonly _tag: "Mismatch"; readonly workflow: string }

/**
 * One step forward of a run: events in order, the records as they are after them, and the text of the plan where it has changed. Committed
 * whole or not at all.
 */
export interface Frame {
  readonly runId: string
  readonly epoch: number
  /** Number of the frame, from 1 without gaps. */
  readonly frame: number
  /** Number of the first event in the run, from 1 without gaps. */
  readonly firstSeq: number
  readonly at: Millis
  readonly events: ReadonlyArray<RunEvent>
  /** The records that the events change, as they are after the frame. */
  readonly changes: Changes
  /** Text of the plan; only where it differs from that of the frame before, which is `base` where there was one. */
  readonly plan: { readonly text: string; readonly base: string | undefined } | undefined
  /** Outputs to keep for other runs: stored under the key, for this workflow and node. */
  readonly cache: ReadonlyArray<{ readonly nodeId: string; readonly iteration: number; readonly key: string }>
  /** Ids of the inbox commands that these events take care of. */
  readonly consumed: ReadonlyArray<string>
  /** Runs that these events start. Each is created, owned by nobody, unless its id is taken. */
  readonly spawned?: ReadonlyArray<{ readonly runId: string; readonly create: NewRun }>
  /** What these events tell other runs. What has ended, or is not there, is told nothing. */
  readonly sent?: ReadonlyArray<Command>
}

/** Details of a heartbeat, to be readable by the next attempt even if this process dies. */
export interface Heartbeat {
  readonly runId: string
  readonly epoch: number
  readonly nodeId: string
  readonly iteration: number
  readonly attempt: number
  readonly at: Millis
  readonly details: Json
}

/** The table of an output: its name and the JSON Schema its columns follow. */
export interface OutputTable {
  readonly name: string
  readonly jsonSchema: JsonSchema | undefined
  /** The only node that writes here. Nodes with the same columns may then share one table, and the name may be a view. */
  readonly nodeId: string | undefined
}

/** What can be told to a run from outside. Fields that are not given are absent. */
export type Instruction =
  | { readonly _tag: "Cancel"; readonly reason?: string }
  | {
      readonly _tag: "Decide"
      readonly nodeId: string
      readonly iteration: number
      readonly approved: boolean
      /** Number of the event that asked, and digest of what was shown: the decision is of that, and of nothing that is asked later. */
      readonly asked?: number
      readonly digest?: string
      readonly note?: string
      readonly by?: string
    }
  | {
      readonly _tag: "Answer"
      readonly nodeId: string
      readonly iteration: number
      readonly value: Json
      readonly asked?: number
      readonly digest?: string
      readonly by?: string
    }
  | { readonly _tag: "Pause"; readonly by?: string }
  | { readonly _tag: "Unpause"; readonly by?: string }
  /** Runs a node again, and what depends on it. */
  | { readonly _tag: "Retry"; readonly nodeId: string; readonly iteration: number }
  /** From a child run to its parent. */
  | {
      readonly _tag: "ChildEnded"
      readonly childRunId: string
      readonly nodeId: string
      readonly iteration: number
      readonly status: Status.EndedStatus
      readonly output?: Json
      readonly error?: ErrorInfo
      /** What it could not undo, with the ids of the runs that did it. */
      readonly uncompensated?: ReadonlyArray<Uncompensated>
    }
  /** `id` is that of the signal, unique in its run; where it is left out, the signal has the id of its command. */
  | { readonly _tag: "Signal"; readonly id?: string; readonly name: string; readonly correlation?: string; readonly payload?: Json }

/** Said by a person of an open wait, and so possibly too late. */
export type Response = Extract<Instruction, { readonly _tag: "Decide" | "Answer" }>

/** An instruction on its way. Delivered once per run and `id`, folded into the run's next frame by its owner. */
export interface Command<I extends Instruction = Instruction> {
  /** Unique in its run. An id that is made of several texts is a `compositeKey`. */
  readonly id: string
  readonly runId: string
  readonly at: Millis
  readonly command: I
}

/** What a run was begun with, and how it stands. */
export interface Origin extends Pick<NewRun, "workflow" | "input" | "given"> {
  readonly status: Status.RunStatus
}

const fields = { runId: Schema.String, nodeId: Schema.String, iteration: Schema.Number }

/**
 * Why a run could not be resumed when it was tried last: its code does not load or draw a plan, what is stored does not fit it, or its
 * process ended too early. Gone once the run goes on. Times are epoch milliseconds.
 */
export const Stuck = Schema.Struct({
  /** When it was first tried in vain. */
  since: Schema.Number,
  /** How many times in a row it was tried in vain. */
  tries: Schema.Number,
  /** When whoever tried it last tries it again. */
  again: Schema.Number,
  error: Schema.Struct({ name: Schema.String, message: Schema.String }),
})
export type Stuck = typeof Stuck.Type

/** A note on a run that has one already. */
export const stuckAgain = (before: Stuck | null, { since, tries, again, error }: Stuck): Stuck => ({
  since: Math.min(before?.since ?? since, since),
  tries: Math.max((before?.tries ?? 0) + 1, tries),
  again,
  error,
})

/** A run as listed. Times are epoch milliseconds. */
export const RunSummary = Schema.Struct({
  runId: Schema.String,
  workflow: Schema.String,
  version: Schema.NullOr(Schema.String),
  /** By its row, the life of its owner and what it was told that nobody has taken up. */
  status: Status.ShownStatus,
  /** Whether someone has paused it: time stands still then. */
  isPaused: Schema.Boolean,
  tags: Schema.Array(Schema.String),
  createdAt: Schema.Number,
  updatedAt: Schema.Number,
  finishedAt: Schema.NullOr(Schema.Number),
  /** Claims so far; the process that made the last one, and until when its lease holds. */
  epoch: Schema.Number,
  owner: Schema.NullOr(Schema.String),
  leaseUntil: Schema.NullOr(Schema.Number),
  /** Where its code is, as its starter said it. */
  source: Schema.NullOr(Schema.String),
  /** The node of another run that started it, and whether that node waits for it. */
  parent: Schema.NullOr(Schema.Struct({ ...fields, isAttached: Schema.Boolean })),
  /** Runs that it has started. */
  children: Schema.Number,
  /** Why it could not be resumed, where that is so. */
  stuck: Schema.NullOr(Stuck),
})
export type RunSummary = typeof RunSummary.Type

/**
 * A step, a loop or a boundary (a saga, a try) of a run, in one iteration. One that was at work when its process died, or was stopped, is
 * `interrupted`; one that waits for what has been said, and that nobody has taken up yet, is `decided` or `answered`.
 */
export const NodeSummary = Schema.Struct({
  ...fields,
  kind: Schema.Literal("step", "loop", "boundary"),
  status: Status.NodeStatus,
  attempt: Schema.Number,
  startedAt: Schema.NullOr(Schema.Number),
  finishedAt: Schema.NullOr(Schema.Number),
  retryAt: Schema.NullOr(Schema.Number),
  table: Schema.NullOr(Schema.String),
  error: Schema.NullOr(ErrorInfo),
  /** The failure is tolerated: the run goes on without the output, and resuming it does not run the node again. */
  isSoft: Schema.Boolean,
  /** Loops: passes begun. */
  passes: Schema.NullOr(Schema.Number),
  /** Loops: whether it is over because it made all its passes, and not because its `until` holds. */
  isExhausted: Schema.NullOr(Schema.Boolean),
})
export type NodeSummary = typeof NodeSummary.Type

/** An attempt at a step. */
export const AttemptSummary = Schema.Struct({
  ...fields,
  attempt: Schema.Number,
  status: Status.AttemptStatus,
  startedAt: Schema.NullOr(Schema.Number),
  finishedAt: Schema.NullOr(Schema.Number),
  error: Schema.NullOr(ErrorInfo),
  heartbeat: Schema.NullOr(Schema.Unknown),
  heartbeatAt: Schema.NullOr(Schema.Number),
  /** What was said to agents, and what they replied; empty where the work is not an agent's. */
  turns: Schema.Array(AgentTurn),
})
export type AttemptSummary = typeof AttemptSummary.Type

/**
 * A wait of a run, open or over; or, of kind `retry`, a step that is tried again later, which is open until then: `since` its attempt has
 * failed. Times are epoch milliseconds.
 */
export const WaitSummary = Schema.Struct({
  ...fields,
  workflow: Schema.String,
  kind: RestKind,
  status: Status.WaitStatus,
  /** Why it was withdrawn: as its node says, or since the node is to run again (`reset`). */
  reason: Schema.NullOr(Schema.Literal(...Status.Withdrawal.literals, "reset")),
  since: Schema.Number,
  /** Number of the event that asked for it last, and how many have. */
  asked: Schema.Number,
  timesAsked: Schema.Number,
  deadline: Schema.NullOr(Schema.Number),
  /** Of what a person is asked: tells this request from all others of the run. It is what a decision names. */
  requestId: Schema.NullOr(Schema.String),
  /** What people are shown, as the author gave it; for a person's task with the JSON Schema of the answer. */
  request: Schema.NullOr(Schema.Unknown),
  digest: Schema.NullOr(Schema.String),
  /** Of a signal; of a subflow the id of its run. */
  name: Schema.NullOr(Schema.String),
  correlation: Schema.NullOr(Schema.String),
  /** What was decided or answered, by whom and when; also where the run has not heard of it. */
  approved: Schema.NullOr(Schema.Boolean),
  note: Schema.NullOr(Schema.String),
  by: Schema.NullOr(Schema.String),
  decidedAt: Schema.NullOr(Schema.Number),
  endedAt: Schema.NullOr(Schema.Number),
  /** Whether it is open only because nobody has taken the run up since it was decided or answered, or its signal or child run came. */
  isAnswered: Schema.Boolean,
  /** How many answers the run has refused, and what was wrong with the last of them. */
  refusals: Schema.Number,
  refused: Schema.NullOr(Schema.Array(Schema.String)),
})
export type WaitSummary = typeof WaitSummary.Type

/** Digits of a digest that people are shown. */
const shownDigits = 12

/**
 * The id of what a person is asked: the number of the event that asked, and the beginning of the digest of what is shown. The number alone is
 * never given to anything else in the run, so that no request can be made to pass for another.
 */
export const requestIdOf = ({ kind, asked, digest }: Pick<WaitSummary, "kind" | "asked" | "digest">): string | null =>
  kind === "approval" || kind === "human" ? `${asked}-${(digest ?? "").slice(0, shownDigits)}` : null

/** The number of the event that a request is named by; -1 where it is no request's name. */
export const askedOf = (requestId: string): number => Number(/^(\d{1,15})-/.exec(requestId)?.[1] ?? -1)

/** A wait, as far as it matters for whether a command is for it. */
export type OpenWait = Pick<
  WaitSummary,
  "nodeId" | "iteration" | "kind" | "status" | "since" | "asked" | "deadline" | "digest" | "name" | "correlation"
>

/** What a command says to an open wait, if it is for that: of what a person is asked now, the signal it waits for, or the end of its child run. */
export const answerTo = (
  { command, at }: Pick<Command, "command" | "at">,
  wait: OpenWait,
): (Pick<WaitSummary, "isAnswered" | "decidedAt"> & Partial<Pick<WaitSummary, "by" | "approved" | "note">>) | undefined => {
  if (wait.status !== "open") return undefined
  const isAt = ({ nodeId, iteration }: { readonly nodeId: string; readonly iteration: number }) =>
    nodeId === wait.nodeId && iteration === wait.iteration
  const came = { isAnswered: true, decidedAt: at }
  switch (command._tag) {
    case "Decide":
    case "Answer": {
      if (wait.kind !== (command._tag === "Decide" ? "approval" : "human") || !isAt(command)) return undefined
      const { asked = wait.asked, digest = wait.digest, by = null } = command
      if (asked !== wait.asked || digest !== wait.digest) return undefined
      return command._tag === "Decide" ? { ...came, by, approved: command.approved, note: command.note ?? null } : { ...came, by }
    }
    case "Signal": {
      const { name, correlation = null } = command
      return wait.kind === "signal" && name === wait.name && correlation === wait.correlation ? came : undefined
    }
    case "ChildEnded":
      return wait.kind === "subflow" && isAt(command) && command.childRunId === wait.name ? came : undefined
    default:
      return undefined
  }
}

/** Which waits to list. Oldest first. */
export interface WaitFilter {
  readonly runId?: string
  /** Only of these runs: those of a page. */
  readonly runIds?: ReadonlyArray<string>
  readonly kind?: ReadonlyArray<RestKind>
  /** Also those that are over. */
  readonly all?: boolean
  /** Only those for which nothing has come yet. */
  readonly isAnswered?: false
  /** At most this many, 100 unless told. */
  readonly limit?: number
}

/** Names a wait of a run. */
export interface WaitName {
  readonly runId: string
  readonly nodeId: string
  readonly kind: WaitKind
  /** Default: the iteration of the one that is open, or else of the last. */
  readonly iteration?: number | undefined
  /** Only the one that this event has asked for last. */
  readonly asked?: number | undefined
}

/** An event as logged: inputs and outputs are left out, they stand in tables of their own. */
export const LoggedEvent = Schema.Struct({
  runId: Schema.String,
  seq: Schema.Number,
  frame: Schema.Number,
  at: Schema.Number,
  event: RunEvent,
})
export type LoggedEvent = typeof LoggedEvent.Type

/** A run without its nodes: what its own row, its open waits and its inbox say. */
export const RunStanding = Schema.Struct({
  run: RunSummary,
  /** Whether something was told to it that nobody has taken up yet. */
  isTold: Schema.Boolean,
  /** That it is to be cancelled and has not ended yet; `isHeard` once whoever works on it has begun with that. */
  cancel: Schema.NullOr(Schema.Struct({ reason: Schema.NullOr(Schema.String), isHeard: Schema.Boolean })),
})
export type RunStanding = typeof RunStanding.Type

/** Everything about one run. */
export const RunDetails = Schema.Struct({
  ...RunStanding.fields,
  input: Schema.Unknown,
  output: Schema.Unknown,
  failure: Schema.NullOr(RunFailure),
  /** Of a run that has ended: what it read in vain, where there is any. */
  strayReads: Schema.optional(Schema.Array(StrayRead)),
  nodes: Schema.Array(NodeSummary),
  attempts: Schema.Array(AttemptSummary),
})
export type RunDetails = typeof RunDetails.Type

/** Which runs to list. Newest first; `before` continues after the last run of the page before. */
export interface RunFilter {
  readonly status?: ReadonlyArray<Status.ShownStatus>
  readonly workflow?: string
  readonly tag?: string
  /** Only runs that other runs have started, or only those that none has. */
  readonly isChild?: boolean
  /** Only runs that this one started. */
  readonly parent?: string
  /** Only these runs. */
  readonly runIds?: ReadonlyArray<string>
  /** Runs created before this one. */
  readonly before?: string
  /** At most this many, 100 unless told. */
  readonly limit?: number
}

/** What is not looked for, so that it does not stand in the way of the rest. */
export interface Except {
  readonly workflows?: ReadonlyArray<string>
  readonly runIds?: ReadonlyArray<string>
}

/** A run that someone should work on. */
export interface Due {
  readonly runId: string
  readonly workflow: string
  readonly source: string | null
  /**
   * How many times in a row its process died before anything came of its claim. A claim that was given back in order does not count, and
   * neither does one of which a frame came.
   */
  readonly deaths: number
  /** What there is to go on from. The same as before where nothing came of the claims since, and the run was told nothing. */
  readonly mark: string
}

/**
 * What a store does. Times are epoch milliseconds. Each call is one transition, and is kept when it completes: a crash leaves all of it or
 * nothing. Whatever changes a run says with which claim (`epoch`), and a claim that is lost changes nothing (`RunFenced`). A `StoreError`
 * says that nothing was done.
 */
export interface StorageShape {
  /** Names the place of the runs: the same for every store in this process that holds them, such as the real path of a file. */
  readonly place: string
  /**
   * Creates, claims or refuses a run, in one transition. A run that is {@link unlistable} is `StoreRefused`. A process that died on this machine is not waited for. Claiming leaves
   * the status as it was, so that `load` still tells how the run stopped; the owner's `RunResumed` event changes it.
   */
  readonly open: (request: OpenRequest) => Effect.Effect<Opened, StoreError | RunNotFound>
  /** What a run was begun with; `undefined` where there is none of this id. */
  readonly origin: (runId: string) => Effect.Effect<Origin | undefined, StoreError>
  /**
   * Reads the state of a run. Costs as much as the run has nodes. With `at`, the state is the one that it gave right after that frame, or
   * event, and costs as much as there are events up to then.
   */
  readonly load: (runId: string, at?: Moment) => Effect.Effect<RunState, StoreError | RunNotFound>
  /**
   * Commits a frame. A frame that ends the run also gives up the claim. One that ends a wait as timed out although a decision or an answer to
   * it is in the inbox is `Unheard`, and nothing is written: whoever was told that it is kept finds it counting.
   */
  readonly commit: (frame: Frame) => Effect.Effect<void, StoreError | RunFenced | Unheard>
  /** Keeps heartbeat details. */
  readonly heartbeat: (heartbeat: Heartbeat) => Effect.Effect<void, StoreError | RunFenced>
  /** Extends the leases of runs this process owns; answers with those it has lost. */
  readonly renew: (
    claims: ReadonlyArray<{ readonly runId: string; readonly epoch: number }>,
    leaseUntil: Millis,
  ) => Effect.Effect<ReadonlyArray<string>, StoreError>
  /**
   * Notes why a run could not be resumed, and when it is tried again. What was noted before makes `since` earlier and counts in `tries`. Does
   * nothing where somebody works on the run, it has ended or there is none. The first frame of the next claim takes the note away.
   */
  readonly noteStuck: (runId: string, note: Stuck, now: Millis) => Effect.Effect<void, StoreError>
  /** Gives up the claim on a run that has not ended, `suspended` unless told. Does nothing when it is lost already. */
  readonly release: (runId: string, epoch: number, now: Millis, status?: Status.ReleasedStatus) => Effect.Effect<void, StoreError>
  /**
   * Runs that nobody works on and that can go on, at most a hundred: suspended ones, those whose owner is gone, waiting and paused ones
   * that were told something, and waiting ones whose time, or whose next attempt, has come, but for those of `except`. `nextAt` (epoch ms) is when the time of the next waiting one comes.
   */
  readonly due: (
    now: number,
    except?: Except,
  ) => Effect.Effect<{ readonly runs: ReadonlyArray<Due>; readonly nextAt: number | undefined }, StoreError>
  /** Makes sure that the tables of these outputs exist with the columns they need. */
  readonly prepareOutputs: (workflow: string, tables: ReadonlyArray<OutputTable>) => Effect.Effect<void, StoreError>
  /** An output that an earlier run left under this key, at or after `notBefore` (epoch ms). */
  readonly cached: (
    workflow: string,
    nodeId: string,
    key: string,
    notBefore: number,
  ) => Effect.Effect<Option.Option<Json | undefined>, StoreError>
  /**
   * Puts a command into the inbox of its run, unless the run has ended. With `revive` it is also put into that of a run that has failed or
   * was cancelled, which thereby has not ended any more. A second delivery to the same run with the same id does nothing, also when the
   * run has ended meanwhile. Answers with what stands under this id in this run: the command itself, or one that came before, also where
   * that was taken care of already.
   */
  readonly deliver: (
    command: Command<Exclude<Instruction, Response>>,
    options?: { readonly revive?: boolean },
  ) => Effect.Effect<Instruction, StoreError | RunNotFound | RunEnded>
  /** Delivers a command, and creates the run, owned by nobody, if there is none of its id: both or nothing. */
  readonly deliverOrCreate: (
    command: Command<Exclude<Instruction, Response>>,
    create: NewRun,
  ) => Effect.Effect<Instruction, StoreError | RunEnded | WorkflowMismatch>
  /** Delivers what is said of an open wait. Fails with `WaitExpired` after its time, pauses that the run has not heard of counted. */
  readonly deliverResponse: (
    command: Command<Response>,
  ) => Effect.Effect<Instruction, StoreError | RunNotFound | RunEnded | WaitExpired>
  /** Commands waiting for runs that this process owns, oldest first. They go when a frame consumes them. */
  readonly inbox: Effect.Effect<ReadonlyArray<Command>, StoreError>
  /**
   * Completes with the current version of the store once it is above `version`: when a command was delivered or a run was
   * released or ended here, or when another process wrote anything. Start with -1; nothing between two calls is missed.
   */
  readonly changes: (version: number) => Effect.Effect<number, StoreError>
  /** Runs that match, newest first, as of one moment; a page of them where there are more than `limit`. */
  readonly runs: (filter: RunFilter) => Effect.Effect<ReadonlyArray<RunSummary>, StoreError>
  /** Waits that match, oldest first; only open ones, also of runs that nobody works on, unless told. */
  readonly waits: (filter: WaitFilter) => Effect.Effect<ReadonlyArray<WaitSummary>, StoreError>
  /** The plan of a run as text, one line per node, as of its last frame or of a given one. */
  readonly plan: (runId: string, frame?: number) => Effect.Effect<string, StoreError | RunNotFound>
  /** Reads one run, as of one moment, without its nodes: its cost does not grow with them. */
  readonly run: (runId: string) => Effect.Effect<RunStanding, StoreError | RunNotFound>
  /** Reads the open wait of this name or, where none is open, the last that is over; `undefined` where there is none. Its cost does not grow with the run. */
  readonly wait: (name: WaitName) => Effect.Effect<WaitSummary | undefined, StoreError>
  /** Everything about one run, as of one moment: its input and output in their encoded form, its nodes and their attempts. */
  readonly inspect: (runId: string) => Effect.Effect<RunDetails, StoreError | RunNotFound>
  /** Events after `afterSeq`, oldest first, at most `limit`. */
  readonly events: (
    runId: string,
    options?: { readonly afterSeq?: number; readonly limit?: number },
  ) => Effect.Effect<ReadonlyArray<LoggedEvent>, StoreError | RunNotFound>
}

/** Whether a frame ends a wait as timed out. */
export const hasTimedOut = ({ events }: Frame): boolean =>
  events.some((event) => event._tag === "WaitEnded" && event.how === "timed-out")

/** Whether a frame ends a wait as timed out to which an answer or a decision is among the commands that it has not read. */
export const isUnheard = ({ events, consumed }: Frame, commands: ReadonlyArray<Pick<Command, "id" | "command">>): boolean =>
  events.some(
    (event) =>
      event._tag === "WaitEnded" &&
      event.how === "timed-out" &&
      commands.some(
        ({ id, command }) =>
          (command._tag === "Decide" || command._tag === "Answer") &&
          command.nodeId === event.nodeId &&
          command.iteration === event.iteration &&
          !consumed.includes(id),
      ),
  )

/** The store of runs. */
export class Storage extends Context.Tag("@smithers/core/Storage")<Storage, StorageShape>() {}

/** An event as the log shows it: without inputs, outputs, turns and reads, which stand in tables of their own. */
export const withoutContent = (event: RunEvent): RunEvent => {
  if (!("reads" in event)) return withoutValues(event)
  const { reads: _, ...rest } = event
  return withoutValues(rest as RunEvent)
}

const withoutValues = (event: RunEvent): RunEvent => {
  switch (event._tag) {
    case "RunStarted": {
      const { input: _, ...rest } = event
      return rest
    }
    case "SubflowEnded":
    case "WaitEnded": {
      const { output: _, ...rest } = event
      return rest
    }
    case "AttemptSucceeded": {
      const { output: _, turns: __, ...rest } = event
      return rest
    }
    case "RunFinished": {
      const { output: _, ...rest } = event
      return rest
    }
    case "AttemptFailed":
    case "AttemptInterrupted": {
      if (event.turns === undefined) return event
      const { turns: _, ...rest } = event
      return rest
    }
    default:
      return event
  }
}
