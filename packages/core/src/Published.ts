/**
 * Events that are published to whichever runs wait for them. An event is a row of the store; each run that takes it gets a signal with its
 * id, and has a row of its own.
 */
import * as Schema from "effect/Schema"
import type { Json } from "./Codec.ts"
import * as Millis from "./Millis.ts"

/** An event to publish. */
export interface NewEvent {
  readonly id: string
  readonly name: string
  readonly correlation?: string
  readonly payload?: Json
  readonly at: Millis.Millis
  /** Time until which it is kept for a wait to come, if no wait is open now (epoch ms). */
  readonly keptUntil: Millis.Millis
}

/** A published event, and the runs that took it. Times are epoch milliseconds. */
export const PublishedEvent = Schema.Struct({
  id: Schema.String,
  name: Schema.String,
  correlation: Schema.NullOr(Schema.String),
  payload: Schema.optional(Schema.Unknown),
  at: Millis.Millis,
  keptUntil: Millis.Millis,
  takenBy: Schema.Array(Schema.Struct({ runId: Schema.String, at: Millis.Millis })),
})
export interface PublishedEvent extends Schema.Schema.Type<typeof PublishedEvent> {}

/** The signal that a run is given of an event. */
export const signalOf = ({ id, name, correlation, payload }: PublishedEvent) => ({
  ...({ _tag: "Signal", id, name } as const),
  ...(correlation === null ? {} : { correlation }),
  ...(payload === undefined ? {} : { payload: payload as Json }),
})

/** Time for which events stay after they are kept no longer, so that one that is published again is known (ms). */
export const knownForMs = 30 * 86_400_000

/** Filter of {@link PublishedEvent}s, the latest first. */
export interface PublishedFilter {
  readonly id?: string
  readonly limit?: number
}
