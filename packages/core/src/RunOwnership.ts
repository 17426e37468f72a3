/**
 * Ownership of runs: create, claim, renew and release, and the runs that need an owner.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Budget from "./Budget.ts"
import type { Json } from "./Codec.ts"
import type { RunNotFound, StoreError } from "./Errors.ts"
import type { Millis } from "./Millis.ts"
import type { Parent } from "./Records.ts"
import type { Chain, Fork } from "./RunState.ts"
import type * as Status from "./Status.ts"

/** The initial data of a run. `input` is encoded. */
export interface NewRun {
  readonly workflow: string
  readonly version: string | undefined
  readonly input: Json | undefined
  /** Digest of the input as the caller passed it, before defaults and transforms; absent if that is not JSON. */
  readonly inputDigest?: string | undefined
  readonly tags: ReadonlyArray<string>
  /** Path of the workflow's code as its starter passed it, for processes that load it. */
  readonly source?: string | undefined
  readonly parent?: Parent | undefined
  /** Time at which it ends as failed unless it has finished before (epoch ms): that of its starter, or as its caller asks. */
  readonly deadline?: Millis | undefined
  /** Time before which nothing of it begins (epoch ms). */
  readonly startAt?: Millis | undefined
  /** `true` for a child run in a `finally` of its parent, which runs to completion even if the parent is cancelled. */
  readonly isFinal?: true | undefined
  /** Budgets that its calls draw on besides those of its plan. */
  readonly budgets?: ReadonlyArray<Budget.Claim> | undefined
  /** Number of runs above it. Default: 0. */
  readonly depth?: number | undefined
  /** Set for a run that another goes on as. */
  readonly chain?: Chain | undefined
  /** The run that it is forked from. */
  readonly fork?: Fork | undefined
}

/**
 * Returns the invalid field of a new run and its problem; `undefined` if all can be listed. A store checks it before it writes
 * a run, so that every row of a list can be read.
 */
export const newRunProblem = ({ workflow, version, tags, source, parent }: NewRun): string | undefined => {
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

/** A request to own a run, and to create it if `create` is given and the id is free. */
export interface OpenRequest {
  readonly runId: string
  readonly create: NewRun | undefined
  /** Final statuses to reopen the run from. Only a revert reopens a finished run. */
  readonly reopen: ReadonlyArray<Status.EndedStatus>
  /** Lease of the claim if it is not renewed, in milliseconds. */
  readonly leaseMs: Millis
  readonly now: Millis
  /** `true` to take a claim from a process that lives. Only to end the run. */
  readonly isForced?: true
}

/** The result of an {@link OpenRequest}. `Created` and `Claimed` give ownership under `epoch` until the lease ends. */
export type OpenResult =
  | { readonly _tag: "Created"; readonly epoch: number }
  | { readonly _tag: "Claimed"; readonly epoch: number }
  /** A live process owns the run. Unless renewed, its lease ends at `until` (epoch ms). */
  | { readonly _tag: "Owned"; readonly until: number }
  /** The run goes on as others, of which `runId` is the newest. Nothing was claimed. */
  | { readonly _tag: "Continued"; readonly runId: string }
  /** The run has ended. */
  | { readonly _tag: "Ended" }
  /** The id belongs to a run of another workflow, or of another input, both as passed and encoded. Nothing was claimed. */
  | { readonly _tag: "Mismatch"; readonly workflow: string }

/**
 * The reason the last try to resume a run failed: code that does not load or render, stored state that does not fit, or an
 * early death of its process. Removed when the run makes progress. Times are epoch milliseconds.
 */
export const Stuck = Schema.Struct({
  /** Time of the first failed try. */
  since: Schema.Number,
  /** Failed tries in a row. */
  failureCount: Schema.Number,
  /** Time of the next try. */
  retryAt: Schema.Number,
  error: Schema.Struct({ name: Schema.String, message: Schema.String }),
})

export type Stuck = typeof Stuck.Type

/** Merges a new note with the one that a run has. */
export const mergeStuck = (before: Stuck | null, { since, failureCount, retryAt, error }: Stuck): Stuck => ({
  since: Math.min(before?.since ?? since, since),
  failureCount: Math.max((before?.failureCount ?? 0) + 1, failureCount),
  retryAt,
  error,
})

/** Workflows and runs to leave out, so that they do not hold up the rest. */
export interface Exclusion {
  readonly workflows?: ReadonlyArray<string>
  readonly runIds?: ReadonlyArray<string>
}

/** A run that needs an owner. */
export interface RunnableRun {
  readonly runId: string
  readonly workflow: string
  readonly source: string | null
  /**
   * Processes in a row that died under a claim of the run before it made progress. Claims that were released, or that committed
   * a frame, do not count.
   */
  readonly crashes: number
  /** A mark of the run's progress: unchanged as long as no claim makes progress and no command arrives. */
  readonly revision: string
  /** The run has ended, and scores of its outputs are due that no process makes. */
  readonly hasEnded?: true
}

/**
 * The port for claims of runs. Times are epoch milliseconds. Each claim has a number, the epoch. Writes under a lost claim fail
 * with `RunFenced`.
 */
export interface RunOwnershipShape {
  /** Identifies the store: the same for all of its ports. */
  readonly storeId: string
  /**
   * Creates, claims or refuses a run, in one transaction. Fails with `StoreRefused` for a run that is {@link newRunProblem}. The
   * lease of a process that died on this machine is not waited for. A claim does not change the status, so `load` still shows
   * how the run stopped; the owner's `RunResumed` event changes it.
   */
  readonly open: (request: OpenRequest) => Effect.Effect<OpenResult, StoreError | RunNotFound>
  /** Extends the leases of runs that this process owns. Returns the ids of those it has lost. */
  readonly renew: (
    claims: ReadonlyArray<{ readonly runId: string; readonly epoch: number }>,
    leaseUntil: Millis,
  ) => Effect.Effect<ReadonlyArray<string>, StoreError>
  /** Releases the claim on a run that has not ended. Does nothing if the claim is lost. Default of `status`: `suspended`. */
  readonly release: (runId: string, epoch: number, now: Millis, status?: Status.ReleasedStatus) => Effect.Effect<void, StoreError>
  /**
   * Records why a run could not be resumed, and when the next try is. An earlier note is merged: its `since` is kept and its
   * `tries` count. Does nothing if the run is owned, has ended or does not exist. The first frame of the next claim deletes the
   * note.
   */
  readonly noteStuck: (runId: string, note: Stuck, now: Millis) => Effect.Effect<void, StoreError>
  /**
   * Reads up to a hundred runs that have no owner and can continue:
   * - suspended runs, and runs whose owner is gone;
   * - waiting and paused runs with commands in the inbox;
   * - waiting runs with a wait or retry that is due, or that could get the slot of a limit they wait for;
   * - runs that have ended, with scores that are due.
   *
   * Leaves out those in `exclude`. `nextAt` (epoch ms) is when the next wait or retry is due.
   */
  readonly runnable: (
    now: number,
    exclude?: Exclusion,
  ) => Effect.Effect<{ readonly runs: ReadonlyArray<RunnableRun>; readonly nextAt: number | undefined }, StoreError>
}

/** The port for claims of runs. */
export class RunOwnership extends Context.Tag("@smithers/core/RunOwnership")<RunOwnership, RunOwnershipShape>() {}
