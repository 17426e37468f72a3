/**
 * The port through which the owner of a run stores it: frames, the resulting state, and outputs.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { Account } from "./Budget.ts"
import type { Changes } from "./Changes.ts"
import type { Json, JsonSchema } from "./Codec.ts"
import type { CodeGeneration } from "./CodeGeneration.ts"
import type { RunFenced, RunIdTaken, RunNotFound, StaleFrame, StoreError } from "./Errors.ts"
import type { Moment, RunHistory } from "./History.ts"
import type { Command, InboxMessage, Response } from "./Inbox.ts"
import type { FactWrite } from "./Memory.ts"
import type { Millis } from "./Millis.ts"
import type { RunEvent } from "./RunEvent.ts"
import type { NewRun } from "./RunOwnership.ts"
import type { Fork, RunState } from "./RunState.ts"
import type { ScoreKey } from "./Scores.ts"
import type { StoredRevert } from "./Snapshots.ts"
import type { Transact } from "./Transaction.ts"

/**
 * One transaction of a run: its events in order, the records after them, and the text of the plan if it changed. Committed
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
  /** The records that the events change, as of the end of the frame. */
  readonly changes: Changes
  /** Text of the plan; only if it differs from that of the previous frame, which is `base` if there was one. */
  readonly plan: { readonly text: string; readonly base: string | undefined } | undefined
  /** Outputs to cache, each under its key, this workflow and the node. */
  readonly cache: ReadonlyArray<{
    readonly nodeId: string
    readonly iteration: number
    readonly key: string
    /** `true` to cache it for all steps of the store. */
    readonly isShared?: boolean
  }>
  /** Facts that the steps which end remember. */
  readonly facts?: ReadonlyArray<FactWrite & { readonly nodeId: string; readonly iteration: number }>
  /** Scores of the outputs that the steps which end give, as due. */
  readonly scores?: ReadonlyArray<Omit<ScoreKey, "runId">>
  /** The code that the run goes on with. */
  readonly generation?: CodeGeneration
  /** Ids of the inbox commands that these events apply. */
  readonly consumed: ReadonlyArray<string>
  /**
   * Child runs that these events start. Each is created without an owner, unless its id is taken. One with a `chain` is what the run goes
   * on as: it has the tags, the source and `isFinal` of this one, and the frame is refused if its id is taken.
   */
  readonly spawned?: ReadonlyArray<{ readonly runId: string; readonly create: NewRun }>
  /** Commands to other runs. Those to runs that have ended or do not exist are dropped. */
  readonly sent?: ReadonlyArray<InboxMessage>
}

/** A run to make as a copy of another, with its first frame. */
export interface ForkRequest {
  readonly runId: string
  /** Names the run that it is forked from, and the cut. */
  readonly create: NewRun & { readonly fork: Fork }
  /** The state of the original at the cut: its records are copied. */
  readonly inherited: RunState
  /** The first frame, after the cut. Its epoch is 0. */
  readonly frame: Frame
  /** Accounts of the original, under keys of the fork. What was spent after the cut is taken off. */
  readonly accounts: ReadonlyArray<{ readonly from: string; readonly account: Account }>
  /** Commands for its inbox. */
  readonly messages: ReadonlyArray<InboxMessage<Exclude<Command, Response>>>
  /** Intents to restore its files. With any the fork is claimed by this process, under epoch 1, for `leaseMs`. */
  readonly restores: { readonly intents: ReadonlyArray<StoredRevert>; readonly leaseMs: Millis }
}

/** A look into the cache of outputs. */
export interface CacheQuery {
  readonly workflow: string
  readonly nodeId: string
  readonly key: string
  /** Earliest time at which the output was stored (epoch ms). */
  readonly notBefore: number
  /** `true` to look among those of all steps of the store. */
  readonly isShared?: boolean
  /**
   * The run that asks. If it is a fork, or a child run of one, what the runs that the fork comes from have stored after the cut is left
   * out, and what their child runs have.
   */
  readonly runId?: string
}

/** A cached output, and the run that gave it. */
export interface CachedOutput {
  readonly runId: string
  readonly output: Json | undefined
}

/** Details of a heartbeat, stored for the next attempt in case this process dies. */
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
  /** Id of the only node that writes here. Nodes with the same columns may then share one table, and the name may be a view. */
  readonly nodeId: string | undefined
}

/** Tells whether a frame ends a wait as timed out. */
export const hasTimedOut = ({ events }: Frame): boolean =>
  events.some((event) => event._tag === "WaitEnded" && event.reason === "timed-out")

/** Tells whether a frame ends its run for a successor. */
export const isContinued = ({ events }: Pick<Frame, "events">): boolean => events.some(({ _tag }) => _tag === "RunContinued")

/** Tells whether a frame starts an attempt or a child run, uses the result of one, or finishes the run. */
export const isOnward = ({ events }: Frame): boolean =>
  events.some(
    (event) =>
      event._tag === "AttemptStarted" ||
      event._tag === "RunFinished" ||
      event._tag === "SubflowEnded" ||
      (event._tag === "WaitStarted" && event.kind === "subflow"),
  )

/**
 * Tells whether a frame contradicts commands that it has not read. Either it makes {@link isOnward progress} or finishes the run although a
 * cancellation or a pause is among them. Or it ends a wait as timed out although a decision or an answer is. Or it ends the run for
 * a successor, which any of them was for. The frame of a revert does neither: what
 * it says has happened before.
 */
export const isStaleFrame = (frame: Frame, commands: ReadonlyArray<Pick<InboxMessage, "id" | "command">>): boolean => {
  if (frame.events[0]?._tag === "RunReverted") return false
  const unread = commands.filter(({ id }) => !frame.consumed.includes(id)).map(({ command }) => command)
  if (unread.length > 0 && isContinued(frame)) return true
  if (unread.some(({ _tag }) => _tag === "Cancel" || _tag === "Pause") && isOnward(frame)) return true
  return frame.events.some(
    (event) =>
      event._tag === "WaitEnded" &&
      event.reason === "timed-out" &&
      unread.some(
        (command) =>
          (command._tag === "Decide" || command._tag === "Answer") &&
          command.nodeId === event.nodeId &&
          command.iteration === event.iteration,
      ),
  )
}

/**
 * Frames and states of runs. Each call is one durable transaction: a crash leaves all of it or nothing. Writes name their claim
 * (`epoch`) and fail with `RunFenced` once it is lost. After a `StoreError` nothing was written.
 */
export interface RunStoreShape {
  /** Identifies the store: the same for all of its ports. */
  readonly storeId: string
  /**
   * Reads the state of a run, at a cost proportional to its nodes. With `at`, reads the state right after that frame or event,
   * at a cost proportional to the events up to it.
   */
  readonly load: (runId: string, at?: Moment) => Effect.Effect<RunState, StoreError | RunNotFound>
  /** Reads the whole log of a run with the content of its events; that of a fork begins at the cut. */
  readonly history: (runId: string) => Effect.Effect<RunHistory, StoreError | RunNotFound>
  /**
   * Commits a frame. A frame that ends the run also releases the claim. Fails with `StaleFrame`, and writes nothing, if the frame
   * contradicts a command in the inbox ({@link isStaleFrame}): a command that was acknowledged always counts.
   */
  readonly commit: (frame: Frame) => Effect.Effect<void, StoreError | RunFenced | StaleFrame>
  /**
   * Creates a run as a copy of another, suspended, and without an owner unless files are to be restored. Inherited outputs are marked in their tables. The original
   * is not changed. Fails with `RunIdTaken` if the id is that of a run.
   */
  readonly fork: (request: ForkRequest) => Effect.Effect<void, StoreError | RunNotFound | RunIdTaken>
  /** Stores the details of a heartbeat. */
  readonly heartbeat: (heartbeat: Heartbeat) => Effect.Effect<void, StoreError | RunFenced>
  /** Runs a transaction of an attempt. Fails with `NoSqlStore` if the store has no SQL database. */
  readonly transact: Transact
  /** Creates or extends the tables of these outputs, so that they have the columns they need. */
  readonly prepareOutputs: (workflow: string, tables: ReadonlyArray<OutputTable>) => Effect.Effect<void, StoreError>
  /** Reads the output that was stored last under a key. */
  readonly cached: (query: CacheQuery) => Effect.Effect<Option.Option<CachedOutput>, StoreError>
}

/** The port through which the owner of a run stores it. */
export class RunStore extends Context.Tag("@smithers/core/RunStore")<RunStore, RunStoreShape>() {}
