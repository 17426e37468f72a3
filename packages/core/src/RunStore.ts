/**
 * The port through which the owner of a run keeps it: frames, the state they led to, and outputs.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { Changes } from "./Changes.ts"
import type { Json, JsonSchema } from "./Codec.ts"
import type { RunFenced, RunNotFound, StoreError, Unheard } from "./Errors.ts"
import type { Moment } from "./History.ts"
import type { Command } from "./Inbox.ts"
import type { Millis } from "./Millis.ts"
import type { RunEvent } from "./RunEvent.ts"
import type { NewRun } from "./RunOwnership.ts"
import type { RunState } from "./RunState.ts"
import type { Transact } from "./Transaction.ts"

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

/** Whether a frame ends a wait as timed out. */
export const hasTimedOut = ({ events }: Frame): boolean =>
  events.some((event) => event._tag === "WaitEnded" && event.how === "timed-out")

/** Whether a frame begins an attempt or a child run, or draws on the end of one. */
export const isOnward = ({ events }: Frame): boolean =>
  events.some(
    (event) =>
      event._tag === "AttemptStarted" ||
      event._tag === "SubflowEnded" ||
      (event._tag === "WaitStarted" && event.kind === "subflow"),
  )

/**
 * Whether a frame would have another content if its run had read all commands: it goes {@link isOnward onward}, and the run is to be cancelled or
 * paused; or it ends a wait as timed out, and there is an answer or a decision.
 */
export const isUnheard = (frame: Frame, commands: ReadonlyArray<Pick<Command, "id" | "command">>): boolean => {
  const unread = commands.filter(({ id }) => !frame.consumed.includes(id)).map(({ command }) => command)
  if (unread.some(({ _tag }) => _tag === "Cancel" || _tag === "Pause") && isOnward(frame)) return true
  return frame.events.some(
    (event) =>
      event._tag === "WaitEnded" &&
      event.how === "timed-out" &&
      unread.some(
        (command) =>
          (command._tag === "Decide" || command._tag === "Answer") &&
          command.nodeId === event.nodeId &&
          command.iteration === event.iteration,
      ),
  )
}

/**
 * Frames and states of runs. Each call is one transition, and is kept when it completes: a crash leaves all of it or nothing.
 * Whatever changes a run says with which claim (`epoch`), and a claim that is lost changes nothing (`RunFenced`). A `StoreError` says that nothing was done.
 */
export interface RunStoreShape {
  /** Names the place of the runs: the same for every port of one store. */
  readonly place: string
  /**
   * Reads the state of a run. Costs as much as the run has nodes. With `at`, the state is the one that it gave right after that frame, or
   * event, and costs as much as there are events up to then.
   */
  readonly load: (runId: string, at?: Moment) => Effect.Effect<RunState, StoreError | RunNotFound>
  /**
   * Commits a frame. A frame that ends the run also gives up the claim. One that ends a wait as timed out although a decision or an answer to
   * it is in the inbox is `Unheard`, and so is one that begins something although a cancellation or a pause is; nothing is written: whoever was told
   * that it is kept finds it counting.
   */
  readonly commit: (frame: Frame) => Effect.Effect<void, StoreError | RunFenced | Unheard>
  /** Keeps heartbeat details. */
  readonly heartbeat: (heartbeat: Heartbeat) => Effect.Effect<void, StoreError | RunFenced>
  /** Makes a transaction of an attempt. Fails with `NoSqlStore` where statements cannot be made in the store. */
  readonly transact: Transact
  /** Makes sure that the tables of these outputs exist with the columns they need. */
  readonly prepareOutputs: (workflow: string, tables: ReadonlyArray<OutputTable>) => Effect.Effect<void, StoreError>
  /** An output that an earlier run left under this key, at or after `notBefore` (epoch ms). */
  readonly cached: (
    workflow: string,
    nodeId: string,
    key: string,
    notBefore: number,
  ) => Effect.Effect<Option.Option<Json | undefined>, StoreError>
}

/** The port through which the owner of a run keeps it. */
export class RunStore extends Context.Tag("@smithers/core/RunStore")<RunStore, RunStoreShape>() {}
