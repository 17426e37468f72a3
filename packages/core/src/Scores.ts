/**
 * Scores of outputs. The frame that finishes a step stores which scorers are due; they run after it, without holding up the run. A
 * score that a crash has cut off is due again for the next process that has the workflow's code.
 */

import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ErrorInfo } from "./ErrorInfo.ts"
import type { StoreError } from "./Errors.ts"
import { digest } from "./internal/digest.ts"
import * as Later from "./Later.ts"

/** `due` has not ended, `finished` has a score, `failed` an error. */
export const ScoreStatus = Schema.Literal("due", "finished", "failed")
export type ScoreStatus = typeof ScoreStatus.Type

/** A score of one output by one scorer. Times are epoch milliseconds. */
export const Score = Schema.Struct({
  runId: Schema.String,
  nodeId: Schema.String,
  iteration: Schema.Number,
  /** The attempt that gave the output. */
  attempt: Schema.Number,
  scorer: Schema.String,
  status: ScoreStatus,
  /** From 0 to 1. */
  score: Schema.NullOr(Schema.Number),
  reason: Schema.NullOr(Schema.String),
  error: Schema.NullOr(ErrorInfo),
  /** Number of processes that have begun it. */
  tries: Schema.Number,
  dueAt: Schema.Number,
  endedAt: Schema.NullOr(Schema.Number),
})
export interface Score extends Schema.Schema.Type<typeof Score> {}

/** The place of a score: an output and a scorer. */
export interface ScoreKey {
  readonly runId: string
  readonly nodeId: string
  readonly iteration: number
  readonly attempt: number
  readonly scorer: string
}

/** Selects scores. */
export interface ScoreFilter {
  readonly runId?: string
  readonly nodeId?: string
  readonly status?: ScoreStatus
  /** Default: 1,000. */
  readonly limit?: number
}

/** Most scores that are read at once, if no limit is given. */
export const defaultLimit = 1000

/** The end of a score. */
export type ScoreEnd =
  | { readonly status: "finished"; readonly score: number; readonly reason: string | null }
  | { readonly status: "failed"; readonly error: ErrorInfo }

/** A result of a scorer that is no score. */
export class InvalidScore extends Later.TaggedError<InvalidScore>()("InvalidScore", {
  scorer: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `Scorer "${this.scorer}" ${this.problem}`
  }
}

/** Times that a scorer is begun before it counts as failed: it ends its process each time. */
export const mostTries = 3

/**
 * Tells whether an output is scored. The same for the same place in any process, so that a resumed run scores what it would have
 * scored.
 */
export const isSampled = (sampling: number, { runId, nodeId, iteration, scorer }: Omit<ScoreKey, "attempt">): boolean =>
  sampling >= 1 ||
  (sampling > 0 && Number.parseInt(digest(JSON.stringify([runId, nodeId, iteration, scorer])).slice(0, 8), 16) / 2 ** 32 < sampling)

/** The port through which scores are stored and read. */
export interface ScoresShape {
  /** Identifies the store: the same for all of its ports. */
  readonly storeId: string
  /** Reads scores, in the order in which they became due. */
  readonly scores: (filter: ScoreFilter) => Effect.Effect<ReadonlyArray<Score>, StoreError>
  /**
   * Claims a score that is due until a time (epoch ms), unless a living process has it. Returns how often it was claimed, and
   * `undefined` if it cannot be claimed.
   */
  readonly claimScore: (
    key: ScoreKey & { readonly now: number; readonly until: number },
  ) => Effect.Effect<number | undefined, StoreError>
  /** Stores the end of a score, unless it has ended or its output was replaced. */
  readonly endScore: (key: ScoreKey & { readonly now: number; readonly end: ScoreEnd }) => Effect.Effect<void, StoreError>
  /** Gives a claimed score back: it is due. */
  readonly releaseScore: (key: ScoreKey) => Effect.Effect<void, StoreError>
}

/** Stores and reads scores. */
export class Scores extends Context.Tag("@smithers/core/Scores")<Scores, ScoresShape>() {}
