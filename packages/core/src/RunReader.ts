/**
 * What is read of runs by people, programs and pages. Nothing here needs the code of a workflow, or a claim.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { AgentTurn } from "./Agent.ts"
import { ErrorInfo, RunFailure, type RunNotFound, type StoreError } from "./Errors.ts"
import type { Command } from "./Inbox.ts"
import { LeaveRequest, Leaving, RestKind, RunEvent, StrayRead, type WaitKind } from "./RunEvent.ts"
import { type NewRun, Stuck } from "./RunOwnership.ts"
import * as Status from "./Status.ts"

/** What a run was begun with, and how it stands. */
export interface Origin extends Pick<NewRun, "workflow" | "input" | "given"> {
  readonly status: Status.RunStatus
}

const fields = { runId: Schema.String, nodeId: Schema.String, iteration: Schema.Number }

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
 * A step, a loop or a boundary (a scope, a saga, a try) of a run, in one iteration. Races and lists are the scopes that hold their parts. One that was at work when its process died, or was stopped, is
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
  /** Scopes, races, lists, and their parts: how someone asked for it to be left. */
  asked: Schema.optional(LeaveRequest),
  /** How and why it is left early, or was. */
  left: Schema.optional(Leaving),
  /** Races: the branches that have won so far, in order. */
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
  /** It is over since nobody decided, answered or sent what it waited for in time. */
  timedOut: Schema.Boolean,
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

/**
 * Tells whether the time of a wait that is over was over before somebody said something: an approval of which nothing was decided, or a question or a
 * signal that ended without an output.
 */
export const isTimedOut = ({ kind, status, decidedAt }: Pick<WaitSummary, "kind" | "status" | "decidedAt">): boolean => {
  if (decidedAt !== null || status === "open" || status === "withdrawn") return false
  return kind === "approval" || ((kind === "human" || kind === "signal") && status !== "finished")
}

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
  /** Number of its last event; 0 before the first. */
  seq: Schema.Number,
  /** Whether something was told to it that nobody has taken up yet. */
  hasPendingCommands: Schema.Boolean,
  /** That it is to be cancelled and has not ended yet; `isHeard` once whoever works on it has begun with that. */
  cancel: Schema.NullOr(Schema.Struct({ reason: Schema.NullOr(Schema.String), isHeard: Schema.Boolean })),
  /** Scopes that are to be left, as was told to the run and nobody has taken up yet. Of those of one node the first counts. */
  leaving: Schema.Array(Schema.Struct({ nodeId: Schema.String, iteration: Schema.Number, ...LeaveRequest.fields })),
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

/**
 * Queries, each as of one moment.
 */
export interface RunReaderShape {
  /** Names the place of the runs: the same for every port of one store. */
  readonly place: string
  /** What a run was begun with; `undefined` where there is none of this id. */
  readonly origin: (runId: string) => Effect.Effect<Origin | undefined, StoreError>
  /** Finds the ids of runs that begin with a text, in order, at most `limit`. */
  readonly find: (prefix: string, limit: number) => Effect.Effect<ReadonlyArray<string>, StoreError>
  /** Reads one run, as of one moment, without its nodes: its cost does not grow with them. */
  readonly run: (runId: string) => Effect.Effect<RunStanding, StoreError | RunNotFound>
  /** Reads the open wait of this name or, where none is open, the last that is over; `undefined` where there is none. Its cost does not grow with the run. */
  readonly wait: (name: WaitName) => Effect.Effect<WaitSummary | undefined, StoreError>
  /** Runs that match, newest first, as of one moment; a page of them where there are more than `limit`. */
  readonly runs: (filter: RunFilter) => Effect.Effect<ReadonlyArray<RunSummary>, StoreError>
  /** Waits that match, oldest first; only open ones, also of runs that nobody works on, unless told. */
  readonly waits: (filter: WaitFilter) => Effect.Effect<ReadonlyArray<WaitSummary>, StoreError>
  /** The plan of a run as text, one line per node, as of its last frame or of a given one. */
  readonly plan: (runId: string, frame?: number) => Effect.Effect<string, StoreError | RunNotFound>
  /** Everything about one run, as of one moment: its input and output in their encoded form, its nodes and their attempts. */
  readonly inspect: (runId: string) => Effect.Effect<RunDetails, StoreError | RunNotFound>
  /** Events after `afterSeq`, oldest first, at most `limit`. */
  readonly events: (
    runId: string,
    options?: { readonly afterSeq?: number; readonly limit?: number },
  ) => Effect.Effect<ReadonlyArray<LoggedEvent>, StoreError | RunNotFound>
}

/** What is read of runs by people, programs and pages. Nothing here needs the code of a workflow, or a claim. */
export class RunReader extends Context.Tag("@smithers/core/RunReader")<RunReader, RunReaderShape>() {}
