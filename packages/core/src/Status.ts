/**
 * The words for how a run stops. Everything that names one takes it from here: types, JSON Schemas, the command line.
 */
import * as Schema from "effect/Schema"

/** How a run stops that waits: for a person, for a signal or a child run, or for a time. */
export const Waiting = Schema.Literal("waiting-approval", "waiting-event", "waiting-timer")
export type Waiting = typeof Waiting.Type

/** How a run stops: it has ended, is paused, or waits. */
export const Result = Schema.Literal("finished", "failed", "cancelled", ...Waiting.literals, "paused")

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
