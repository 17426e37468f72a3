/**
 * The commands that runs receive from outside, and their delivery to the owner.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Json } from "./Codec.ts"
import type { ErrorInfo, RunEnded, RunNotFound, StoreError, Uncompensated, WaitExpired, WorkflowMismatch } from "./Errors.ts"
import type { Millis } from "./Millis.ts"
import type { NewEvent, PublishedEvent, PublishedFilter } from "./Published.ts"
import type { NewRun } from "./RunOwnership.ts"
import type * as Status from "./Status.ts"

/** A command to a run. Optional fields are absent, never undefined. */
export type Command =
  | { readonly _tag: "Cancel"; readonly reason?: string }
  | {
      readonly _tag: "Decide"
      readonly nodeId: string
      readonly iteration: number
      readonly approved: boolean
      /** Key of the option that was selected. */
      readonly selected?: string
      /** Number of the event of the request, and digest of its content: the decision is for this request only. */
      readonly requestSeq?: number
      readonly digest?: string
      readonly note?: string
      readonly by?: string
    }
  | {
      readonly _tag: "Answer"
      readonly nodeId: string
      readonly iteration: number
      readonly value: Json
      readonly requestSeq?: number
      readonly digest?: string
      readonly by?: string
    }
  /** Leaves a scope. */
  | {
      readonly _tag: "Leave"
      readonly nodeId: string
      readonly iteration: number
      readonly outcome: Status.LeaveOutcome
      readonly reason?: string
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
      readonly status: Status.OutcomeStatus
      readonly output?: Json
      readonly error?: ErrorInfo
      /** Steps that it could not undo, with the ids of their runs. */
      readonly uncompensated?: ReadonlyArray<Uncompensated>
    }
  /** `id` is unique in its run. Default: the id of the command. */
  | { readonly _tag: "Signal"; readonly id?: string; readonly name: string; readonly correlation?: string; readonly payload?: Json }

/** Instructions of a person about an open wait, which may arrive too late. */
export type Response = Extract<Command, { readonly _tag: "Decide" | "Answer" }>

/**
 * The instruction that attached child runs receive with one of their parent, in the same transaction. So nothing starts in a
 * family after an ancestor is to be cancelled or paused. A child run in a `finally` is not cancelled with its parent.
 * `undefined` if the instruction is for the run alone.
 */
export const childCommand = (runId: string, instruction: Command): Command | undefined => {
  switch (instruction._tag) {
    case "Cancel":
      return { _tag: "Cancel", reason: `by run "${runId}", which started it` }
    case "Pause":
    case "Unpause":
      return { _tag: instruction._tag }
    default:
      return undefined
  }
}

/** An instruction to a run. Delivered once per run and `id`; the owner folds it into the next frame. */
export interface InboxMessage<I extends Command = Command> {
  /** Unique in its run. Build an id of several texts with `compositeKey`. */
  readonly id: string
  readonly runId: string
  readonly at: Millis
  readonly command: I
}

/** Commands on their way to runs, and notifications of changes to a store. */
export interface InboxShape {
  /** Identifies the store: the same for all of its ports. */
  readonly storeId: string
  /**
   * Puts a command into the inbox of its run. Fails with `RunEnded` if the run has ended.
   *
   * With `reopen`, a failed or cancelled run is reopened; it is paused if an ancestor is. All attached descendants that have
   * not ended receive the instruction of {@link childCommand} in the same transaction. A second delivery with the same id does
   * nothing, even after the run has ended. Returns the instruction stored under this id: this one, or an earlier one, even if
   * that was applied already.
   */
  readonly deliver: (
    command: InboxMessage<Exclude<Command, Response>>,
    options?: { readonly reopen?: boolean },
  ) => Effect.Effect<Command, StoreError | RunNotFound | RunEnded>
  /** Delivers a command, and creates the run without an owner if it does not exist: both or nothing. */
  readonly deliverOrCreate: (
    command: InboxMessage<Exclude<Command, Response>>,
    create: NewRun,
  ) => Effect.Effect<Command, StoreError | RunEnded | WorkflowMismatch>
  /**
   * Delivers a decision or an answer. Fails with `WaitExpired` after the deadline, with pauses counted that the run has not
   * applied yet.
   */
  readonly deliverResponse: (
    command: InboxMessage<Response>,
  ) => Effect.Effect<Command, StoreError | RunNotFound | RunEnded | WaitExpired>
  /**
   * Stores an event and delivers it as a signal to each run that has an open wait with its name and correlation: all or nothing. If there is
   * none, the first such wait that opens until `keptUntil` takes it. An event with a known id does nothing. Returns the stored event.
   */
  readonly publish: (event: NewEvent) => Effect.Effect<PublishedEvent, StoreError>
  /** Delivers kept events to waits that have opened since, and returns their number. Engines and supervisors call it. */
  readonly deliverPublished: (now: Millis) => Effect.Effect<number, StoreError>
  readonly published: (filter: PublishedFilter) => Effect.Effect<ReadonlyArray<PublishedEvent>, StoreError>
  /** Commands for runs that this process owns, oldest first. A frame that consumes them deletes them. */
  readonly pending: Effect.Effect<ReadonlyArray<InboxMessage>, StoreError>
  /**
   * Completes with the version of the store once it is above `version`. It rises when a command is delivered, when a run is
   * released or ends here, and when another process writes. Start with -1; no change between two calls is missed.
   */
  readonly changes: (version: number) => Effect.Effect<number, StoreError>
}

/** Commands on their way to runs, and notifications of changes to a store. */
export class Inbox extends Context.Tag("@smithers/core/Inbox")<Inbox, InboxShape>() {}
