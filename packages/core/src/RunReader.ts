/**
 * Queries about runs, for people, programs and pages. They need neither the code of a workflow nor a claim.
 */

import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { AgentTurn } from "./Agent.ts"
import { StoredGeneration } from "./CodeGeneration.ts"
import { ErrorInfo, RunFailure, type RunNotFound, type StoreError } from "./Errors.ts"
import type { InboxMessage } from "./Inbox.ts"
import * as Later from "./Later.ts"
import { isTransient } from "./Records.ts"
import { LeaveRequest, Leaving, PendingKind, RunEvent, StrayRead, type WaitKind } from "./RunEvent.ts"
import { type NewRun, Stuck } from "./RunOwnership.ts"
import { SlotWait } from "./Slots.ts"
import { Snapshot } from "./Snapshots.ts"
import * as Status from "./Status.ts"

/** The initial data of a run, and its status. */
export interface Origin extends Pick<NewRun, "workflow" | "input" | "inputDigest"> {
  readonly status: Status.RunStatus
}

const fields = { runId: Schema.String, nodeId: Schema.String, iteration: Schema.Number }

/** A run as listed. Times are epoch milliseconds. */
export const RunSummary = Schema.Struct({
  runId: Schema.String,
  workflow: Schema.String,
  version: Schema.NullOr(Schema.String),
  /** Derived from the stored status, the life of the owner and the unapplied commands. */
  status: Status.ShownStatus,
  /** `true` if the run is paused; its deadlines move meanwhile. */
  isPaused: Schema.Boolean,
  tags: Schema.Array(Schema.String),
  createdAt: Schema.Number,
  updatedAt: Schema.Number,
  finishedAt: Schema.NullOr(Schema.Number),
  /** Number of claims so far, the process of the last one, and the end of its lease. */
  epoch: Schema.Number,
  owner: Schema.NullOr(Schema.String),
  leaseUntil: Schema.NullOr(Schema.Number),
  /** Path of its code, as its starter passed it. */
  source: Schema.NullOr(Schema.String),
  /** The node of another run that started it, and whether that node waits for it. */
  parent: Schema.NullOr(Schema.Struct({ ...fields, isAttached: Schema.Boolean })),
  /** Number of runs that it started. */
  children: Schema.Number,
  /** The run that it was forked from, and the last frame and event of it that are history of both. */
  forkedFrom: Schema.NullOr(Schema.Struct({ runId: Schema.String, frame: Schema.Number, seq: Schema.Number })),
  /** The reason it could not be resumed, if the last try failed. */
  stuck: Schema.NullOr(Stuck),
  /** The run that it goes on as. */
  continuedAs: Schema.optional(Schema.String),
  /** Of a run that another goes on as: the first of them, and the number of runs between. */
  chain: Schema.optional(Schema.Struct({ first: Schema.String, generation: Schema.Number })),
})

export type RunSummary = typeof RunSummary.Type

/**
 * A step, a loop or a boundary (scope, saga, try) of a run, in one iteration. Races and lists are the scopes that hold their
 * parts. A step that was running when its process died or was stopped is `interrupted`. A wait whose decision or answer is not
 * applied yet is `decided` or `answered`.
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
  /** `true` if the failure is tolerated: the run continues without the output, and resuming does not run the node again. */
  isSoft: Schema.Boolean,
  /** Of a loop: the number of passes started. */
  passes: Schema.NullOr(Schema.Number),
  /** Of a loop: `true` if it ended after all its passes, without its `until` holding. */
  isExhausted: Schema.NullOr(Schema.Boolean),
  /** Of a scope, race, list or part: the request to leave it. */
  leaveRequest: Schema.optional(LeaveRequest),
  /** The outcome and reason of leaving it early. */
  left: Schema.optional(Leaving),
  /** Of a race: the branches that have won so far, in order. */
  winners: Schema.optional(Schema.Array(Schema.String)),
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
  /** Id of the run whose output was taken over from the cache. */
  cachedFrom: Schema.NullOr(Schema.String),
  /** The code that it ran; absent for the code that the run began with. */
  codeGeneration: Schema.optional(Schema.Number),
  /** Calls of agents with their prompts and replies; empty for a step without an agent. */
  turns: Schema.Array(AgentTurn),
})

export type AttemptSummary = typeof AttemptSummary.Type

/**
 * A wait of a run, open or closed. A step that waits for its next attempt is listed as one of kind `retry`; its `since` is when
 * the last attempt failed. Times are epoch milliseconds.
 */
export const WaitSummary = Schema.Struct({
  ...fields,
  workflow: Schema.String,
  kind: PendingKind,
  status: Status.WaitStatus,
  /** The reason it was withdrawn: that of its node, or `reset` if the node is to run again. */
  reason: Schema.NullOr(Schema.Literal(...Status.Withdrawal.literals, "reset")),
  since: Schema.Number,
  /** Number of the event of the current request, and number of requests so far. */
  requestSeq: Schema.Number,
  requestCount: Schema.Number,
  deadline: Schema.NullOr(Schema.Number),
  /** Id of a request to a person, unique in the run. Decisions name it. */
  requestId: Schema.NullOr(Schema.String),
  /** The content of a request, as the author's function returned it; for a human task with the JSON Schema of the answer. */
  request: Schema.NullOr(Schema.Unknown),
  digest: Schema.NullOr(Schema.String),
  /** Name of the signal, or id of the child run. */
  name: Schema.NullOr(Schema.String),
  correlation: Schema.NullOr(Schema.String),
  /** The decision or answer, its author and its time; set even before the run has applied it. */
  approved: Schema.NullOr(Schema.Boolean),
  note: Schema.NullOr(Schema.String),
  by: Schema.NullOr(Schema.String),
  decidedAt: Schema.NullOr(Schema.Number),
  /** `true` if it ended because no decision, answer or signal arrived in time. */
  timedOut: Schema.Boolean,
  endedAt: Schema.NullOr(Schema.Number),
  /** `true` if its decision, answer, signal or child result is in the inbox, and the run has not applied it yet. */
  isAnswered: Schema.Boolean,
  /** Number of rejected answers, and the issues of the last one. */
  refusals: Schema.Number,
  refused: Schema.NullOr(Schema.Array(Schema.String)),
})

export type WaitSummary = typeof WaitSummary.Type

/** Digits of a digest in a request id. */
const shownDigits = 12

/**
 * Builds the id of a request to a person: the number of its event and the start of the digest of its content. The number alone
 * is unique in the run, so no request can pass for another.
 */
export const requestIdOf = ({ kind, requestSeq, digest }: Pick<WaitSummary, "kind" | "requestSeq" | "digest">): string | null =>
  kind === "approval" || kind === "human" ? `${requestSeq}-${(digest ?? "").slice(0, shownDigits)}` : null

/** The event number in a request id; -1 if the text is no request id. */
export const requestSeqOf = (requestId: string): number => Number(/^(\d{1,15})-/.exec(requestId)?.[1] ?? -1)

/** Tells whether a closed wait timed out: an approval without a decision, or a question or signal that ended without an output. */
export const isTimedOut = ({ kind, status, decidedAt }: Pick<WaitSummary, "kind" | "status" | "decidedAt">): boolean => {
  if (decidedAt !== null || status === "open" || status === "withdrawn") return false
  return kind === "approval" || ((kind === "human" || kind === "signal") && status !== "finished")
}

/** The fields of a wait that decide whether a command is for it. */
export type OpenWait = Pick<
  WaitSummary,
  "nodeId" | "iteration" | "kind" | "status" | "since" | "requestSeq" | "deadline" | "digest" | "name" | "correlation" | "request"
>

/**
 * The effect of a command on an open wait; `undefined` if it is not for it. A command is for a wait if it names the current
 * request, the signal or the child run.
 */
export const responseTo = (
  { command, at }: Pick<InboxMessage, "command" | "at">,
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
      const { requestSeq = wait.requestSeq, digest = wait.digest, by = null } = command
      if (requestSeq !== wait.requestSeq || digest !== wait.digest) return undefined
      return command._tag === "Decide" ? { ...came, by, approved: command.approved, note: command.note ?? null } : { ...came, by }
    }
    case "Signal": {
      const { name, correlation = null } = command
      const isMeant = wait.kind === "signal" && name === wait.name && correlation === wait.correlation
      return isMeant && (!isTransient(wait) || at >= wait.since) ? came : undefined
    }
    case "ChildEnded":
      return wait.kind === "subflow" && isAt(command) && command.childRunId === wait.name ? came : undefined
    default:
      return undefined
  }
}

/** Selects waits. Oldest first. */
export interface WaitFilter {
  readonly runId?: string
  /** Only waits of these runs, such as those of a page. */
  readonly runIds?: ReadonlyArray<string>
  readonly kind?: ReadonlyArray<PendingKind>
  /** Include closed waits. Default: false. */
  readonly all?: boolean
  /** Only waits without a decision, answer, signal or child result in the inbox. */
  readonly isAnswered?: false
  /** Most waits to return. Default: 100. */
  readonly limit?: number
}

/** Names a wait of a run. */
export interface WaitName {
  readonly runId: string
  readonly nodeId: string
  readonly kind: WaitKind
  /** Default: the iteration of the open wait, otherwise of the last one. */
  readonly iteration?: number | undefined
  /** Only a wait whose current request has this event number. */
  readonly requestSeq?: number | undefined
}

/** An event as logged. Inputs and outputs are left out; they have tables of their own. */
export const LoggedEvent = Later.schema(() =>
  Schema.Struct({
    runId: Schema.String,
    seq: Schema.Number,
    frame: Schema.Number,
    at: Schema.Number,
    event: RunEvent,
  }),
)

export type LoggedEvent = typeof LoggedEvent.Type

/** A run without its nodes: its own row, its open waits and its inbox. */
export const RunOverview = Schema.Struct({
  run: RunSummary,
  /** Number of its last event; 0 before the first. */
  seq: Schema.Number,
  /** `true` if it has commands that are not applied yet. */
  hasPendingCommands: Schema.Boolean,
  /** The cancellation of a run that has not ended; `isDelivered` once the owner has begun with it. */
  cancel: Schema.NullOr(
    Schema.Struct({
      reason: Schema.NullOr(Schema.String),
      isDelivered: Schema.Boolean,
      /** Set if its deadline has passed: it then ends as failed. */
      deadline: Schema.optional(Schema.Number),
    }),
  ),
  /** Time at which it ends as failed unless it has finished before, if it has one. */
  deadline: Schema.optional(Schema.Number),
  /** Requests to leave scopes that are not applied yet. Of several for one node the first counts. */
  leaving: Schema.Array(Schema.Struct({ nodeId: Schema.String, iteration: Schema.Number, ...LeaveRequest.fields })),
})

export type RunOverview = typeof RunOverview.Type

/** Everything about one run. */
export const RunDetails = Later.schema(() =>
  Schema.Struct({
    ...RunOverview.fields,
    input: Schema.Unknown,
    output: Schema.Unknown,
    failure: Schema.NullOr(RunFailure),
    /** Reads of an ended run that found no node, if there are any. */
    strayReads: Schema.optional(Schema.Array(StrayRead)),
    nodes: Schema.Array(NodeSummary),
    attempts: Schema.Array(AttemptSummary),
    /** Generations of its code, oldest first, if they are on record. */
    generations: Schema.optional(Schema.Array(StoredGeneration)),
    /** Slots of limits that steps and calls of agents wait for, if there are any. */
    slots: Schema.optional(Schema.Array(SlotWait)),
    /** Snapshots of workspaces around its attempts, if there are any. */
    snapshots: Schema.optional(Schema.Array(Snapshot)),
  }),
)

export type RunDetails = typeof RunDetails.Type

/** Numbers about a whole store, as of one moment. Times are epoch milliseconds. */
export const StoreStatistics = Schema.Struct({
  at: Schema.Number,
  /** Runs by workflow and shown status. */
  runs: Schema.Array(Schema.Struct({ workflow: Schema.String, status: Status.ShownStatus, count: Schema.Number })),
  /** Open waits by kind, and the time at which the oldest one began. */
  waits: Schema.Array(Schema.Struct({ kind: PendingKind, count: Schema.Number, oldestSince: Schema.Number })),
  /** Number of runs that no process drives and that could continue now. */
  due: Schema.Number,
  /** Number of commands that no run has applied yet, and the time of the oldest one. */
  pendingCommands: Schema.Number,
  oldestCommandAt: Schema.NullOr(Schema.Number),
  /** Size of its files, for a store that has files. */
  bytes: Schema.NullOr(Schema.Number),
})

export type StoreStatistics = typeof StoreStatistics.Type

/**
 * Selects runs. Newest first; `before` is the last run of the previous page. Runs that go on as others are left out, unless `status` or
 * `runIds` names them.
 */
export interface RunFilter {
  readonly status?: ReadonlyArray<Status.ShownStatus>
  readonly workflow?: string
  readonly tag?: string
  /** Only child runs, or only runs that are none. */
  readonly isChild?: boolean
  /** Only runs that this one started. */
  readonly parent?: string
  /** Only runs that were forked from this one. */
  readonly forkedFrom?: string
  /** Only runs that were forked from this one as of one of these frames, both included. */
  readonly forkedAt?: { readonly runId: string; readonly first: number; readonly last: number }
  /** Only these runs. */
  readonly runIds?: ReadonlyArray<string>
  /** Only runs with this text in their id, the name of their workflow or a tag. ASCII letters match in either case. */
  readonly text?: string
  /** Only runs that have not ended, and of which nothing has come since this time (epoch ms). */
  readonly changedBefore?: number
  /** Runs created before this one. */
  readonly before?: string
  /** Most runs to return. Default: 100. */
  readonly limit?: number
}

/** A text with its ASCII letters in lower case, as SQLite's `lower` gives it. */
export const lowered = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())

/** Tells whether a filter leaves out runs that go on as others. */
export const hidesContinued = ({ status, runIds }: RunFilter): boolean =>
  runIds === undefined && status?.includes("continued") !== true

/** An event as the log shows it, without inputs, outputs, turns and reads, which have tables of their own. */
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

/** Queries, each a consistent snapshot. */
export interface RunReaderShape {
  /** Identifies the store: the same for all of its ports. */
  readonly storeId: string
  /** Reads the initial data of a run; `undefined` if it does not exist. */
  readonly origin: (runId: string) => Effect.Effect<Origin | undefined, StoreError>
  /** Finds the newest generation of a run that goes on as others; the id itself of any other run, also of one that does not exist. */
  readonly newest: (runId: string) => Effect.Effect<string, StoreError>
  /** Finds ids of runs by a prefix, in order, at most `limit`. */
  readonly find: (prefix: string, limit: number) => Effect.Effect<ReadonlyArray<string>, StoreError>
  /** Reads one run without its nodes. The cost does not grow with the run. */
  readonly run: (runId: string) => Effect.Effect<RunOverview, StoreError | RunNotFound>
  /**
   * Reads the open wait of this name, otherwise the last closed one; `undefined` if there is none. The cost does not grow with
   * the run.
   */
  readonly wait: (name: WaitName) => Effect.Effect<WaitSummary | undefined, StoreError>
  /** Reads one page of the matching runs, newest first. */
  readonly runs: (filter: RunFilter) => Effect.Effect<ReadonlyArray<RunSummary>, StoreError>
  /** Reads one page of the matching waits, oldest first, whether or not their runs have an owner. Default: open ones only. */
  readonly waits: (filter: WaitFilter) => Effect.Effect<ReadonlyArray<WaitSummary>, StoreError>
  /**
   * Counts runs, open waits and pending commands. The cost grows with the number of runs that have not ended; ended ones are
   * counted in an index.
   */
  readonly statistics: Effect.Effect<StoreStatistics, StoreError>
  /** Reads the plan of a run as text, one line per node, of its last frame or a given one. */
  readonly plan: (runId: string, frame?: number) => Effect.Effect<string, StoreError | RunNotFound>
  /** Reads everything about one run: its input and output in encoded form, its nodes and their attempts. */
  readonly inspect: (runId: string) => Effect.Effect<RunDetails, StoreError | RunNotFound>
  /** Reads the generations of the code of a run, oldest first; none if its code was never watched. */
  readonly generations: (runId: string) => Effect.Effect<ReadonlyArray<StoredGeneration>, StoreError>
  /** Reads events after `afterSeq`, oldest first, at most `limit`. */
  readonly events: (
    runId: string,
    options?: { readonly afterSeq?: number; readonly limit?: number },
  ) => Effect.Effect<ReadonlyArray<LoggedEvent>, StoreError | RunNotFound>
}

/** Queries about runs, for people, programs and pages. They need neither the code of a workflow nor a claim. */
export class RunReader extends Context.Tag("@smithers/core/RunReader")<RunReader, RunReaderShape>() {}
