/**
 * What can be told to a run from outside, and how its owner hears of it.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Json } from "./Codec.ts"
import type { ErrorInfo, RunEnded, RunNotFound, StoreError, Uncompensated, WaitExpired, WorkflowMismatch } from "./Errors.ts"
import type { Millis } from "./Millis.ts"
import type { NewRun } from "./RunOwnership.ts"
import type * as Status from "./Status.ts"

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
  /** Leaves a scope. */
  | {
      readonly _tag: "Leave"
      readonly nodeId: string
      readonly iteration: number
      readonly as: Status.LeftAs
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

/**
 * What a run's attached child runs are told with it, in the same transaction: nothing of a family begins once an ancestor is to be cancelled or paused,
 * whoever works on which of them. A child run in a `finally` is cancelled by nobody but itself. `undefined` where the instruction is for the run alone.
 */
export const toChildOf = (runId: string, instruction: Instruction): Instruction | undefined => {
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

/** An instruction on its way. Delivered once per run and `id`, folded into the run's next frame by its owner. */
export interface Command<I extends Instruction = Instruction> {
  /** Unique in its run. An id that is made of several texts is a `compositeKey`. */
  readonly id: string
  readonly runId: string
  readonly at: Millis
  readonly command: I
}

/**
 * Commands on their way to runs, and news of a store.
 */
export interface InboxShape {
  /** Names the place of the runs: the same for every port of one store. */
  readonly place: string
  /**
   * Puts a command into the inbox of its run, unless the run has ended. With `reopen` it is also put into that of a run that has failed or
   * was cancelled, which thereby has not ended any more; where an ancestor is paused it is paused, too. What {@link toChildOf} says is put into the
   * inboxes of all attached descendants that have not ended, at once. A second delivery to the same run with the same id does nothing, also when the
   * run has ended meanwhile. Answers with what stands under this id in this run: the command itself, or one that came before, also where
   * that was taken care of already.
   */
  readonly deliver: (
    command: Command<Exclude<Instruction, Response>>,
    options?: { readonly reopen?: boolean },
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
  readonly pending: Effect.Effect<ReadonlyArray<Command>, StoreError>
  /**
   * Completes with the current version of the store once it is above `version`: when a command was delivered or a run was
   * released or ended here, or when another process wrote anything. Start with -1; nothing between two calls is missed.
   */
  readonly changes: (version: number) => Effect.Effect<number, StoreError>
}

/** What can be told to a run from outside, and how its owner hears of it. */
export class Inbox extends Context.Tag("@smithers/core/Inbox")<Inbox, InboxShape>() {}
