/**
 * The words for how a run stands. Everything that names one takes it from here: types, SQL, JSON Schemas, the options of the command line.
 */
import * as Schema from "effect/Schema"

/** How a run stops that waits: for a person, for a signal or a child run, or for a time. */
export const Waiting = Schema.Literal("waiting-approval", "waiting-event", "waiting-timer")
export type Waiting = typeof Waiting.Type

/** How a run ends. */
export const Ended = Schema.Literal("finished", "failed", "cancelled")
export type Ended = typeof Ended.Type

/** How a run stops: it has ended, is paused, or waits. */
export const Result = Schema.Literal(...Ended.literals, "paused", ...Waiting.literals)
export type Result = typeof Result.Type

/**
 * What is shown of a run: how it has stopped, or who works on it. A living process works on one that is `running`. Nobody works on one that
 * is `suspended`, which was put down in order and can go on, or `orphaned`, whose process died or lost its lease.
 */
export const Shown = Schema.Literal("running", "suspended", "orphaned", ...Result.literals)
export type Shown = typeof Shown.Type

/** Whether a run has ended. */
export const isEnded = (status: string): status is Ended => Ended.literals.some((ended) => ended === status)

/** Whether a run waits for something from outside. */
export const isWaiting = (status: string): status is Waiting => Waiting.literals.some((waiting) => waiting === status)

/**
 * What a run waits for, by the kinds of its open waits and of those of its child runs. People come first, since someone has to be told; a
 * timer and a retry need nobody. A child run stands for what it waits for itself.
 */
export const ofWaits = (all: ReadonlyArray<{ readonly kind: string }>): Waiting => {
  const kinds = new Set(all.map(({ kind }) => kind))
  if (kinds.size > 1) kinds.delete("subflow")
  if (kinds.has("approval") || kinds.has("human")) return "waiting-approval"
  return kinds.size > 0 && [...kinds].every((kind) => kind === "timer" || kind === "retry") ? "waiting-timer" : "waiting-event"
}
