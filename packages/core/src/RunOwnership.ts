/**
 * Who works on a run: creating, claiming, renewing and giving up, and which runs somebody should work on.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Json } from "./Codec.ts"
import type { RunNotFound, StoreError } from "./Errors.ts"
import type { Millis } from "./Millis.ts"
import type { Parent } from "./Records.ts"
import type * as Status from "./Status.ts"

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
  /** It stands in a `finally` of its parent, which goes on when that is cancelled. */
  readonly isFinal?: true | undefined
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
  readonly reopen: ReadonlyArray<Status.ReopenableStatus>
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

/** What is not looked for, so that it does not stand in the way of the rest. */
export interface Exclusion {
  readonly workflows?: ReadonlyArray<string>
  readonly runIds?: ReadonlyArray<string>
}

/** A run that someone should work on. */
export interface RunnableRun {
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
 * Claims of runs. Times are epoch milliseconds. A claim has a number, the epoch; one that is lost changes nothing any more (`RunFenced`).
 */
export interface RunOwnershipShape {
  /** Names the place of the runs: the same for every port of one store. */
  readonly place: string
  /**
   * Creates, claims or refuses a run, in one transition. A run that is {@link unlistable} is `StoreRefused`. A process that died on this machine is not waited for. Claiming leaves
   * the status as it was, so that `load` still tells how the run stopped; the owner's `RunResumed` event changes it.
   */
  readonly open: (request: OpenRequest) => Effect.Effect<Opened, StoreError | RunNotFound>
  /** Extends the leases of runs this process owns; answers with those it has lost. */
  readonly renew: (
    claims: ReadonlyArray<{ readonly runId: string; readonly epoch: number }>,
    leaseUntil: Millis,
  ) => Effect.Effect<ReadonlyArray<string>, StoreError>
  /** Gives up the claim on a run that has not ended, `suspended` unless told. Does nothing when it is lost already. */
  readonly release: (runId: string, epoch: number, now: Millis, status?: Status.ReleasedStatus) => Effect.Effect<void, StoreError>
  /**
   * Notes why a run could not be resumed, and when it is tried again. What was noted before makes `since` earlier and counts in `tries`. Does
   * nothing where somebody works on the run, it has ended or there is none. The first frame of the next claim takes the note away.
   */
  readonly noteStuck: (runId: string, note: Stuck, now: Millis) => Effect.Effect<void, StoreError>
  /**
   * Runs that nobody works on and that can go on, at most a hundred: suspended ones, those whose owner is gone, waiting and paused ones
   * that were told something, and waiting ones whose time, or whose next attempt, has come, but for those of `exclude`. `nextAt` (epoch ms) is when the time of the next waiting one comes.
   */
  readonly runnable: (
    now: number,
    exclude?: Exclusion,
  ) => Effect.Effect<{ readonly runs: ReadonlyArray<RunnableRun>; readonly nextAt: number | undefined }, StoreError>
}

/** Who works on a run. */
export class RunOwnership extends Context.Tag("@smithers/core/RunOwnership")<RunOwnership, RunOwnershipShape>() {}
