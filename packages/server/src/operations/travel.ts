/**
 * Looks back: plans, states, frames and events.
 */
import { Inbox } from "@smithers/core/Inbox"
import * as PlanText from "@smithers/core/PlanText"
import * as RunAt from "@smithers/core/RunAt"
import { LoggedEvent, RunReader } from "@smithers/core/RunReader"
import { RunStore } from "@smithers/core/RunStore"
import { Snapshots } from "@smithers/core/Snapshots"
import * as Timeline from "@smithers/core/Timeline"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Failure, failureOf } from "../views/Failure.ts"
import * as PlanTree from "../views/PlanTree.ts"
import { describe } from "../views/Progress.ts"
import { define } from "./Operation.ts"
import { limitField } from "./runs.ts"

const Position = Schema.Int.pipe(Schema.nonNegative())
const AtFrame = Schema.Struct({
  runId: Schema.String,
  frame: Schema.optional(Position),
  at: Schema.optional(Position).annotations({
    description: "As of its last frame at this time, in epoch milliseconds. Not used beside a frame",
  }),
})

/** Finds the last frame of a run at a time, by halves of its log; 0 before its first event. */
const frameAt = (runId: string, at: number) =>
  Effect.gen(function* () {
    const reader = yield* RunReader
    let [low, high, frame] = [0, (yield* reader.run(runId)).seq, 0]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      const [event] = yield* reader.events(runId, { afterSeq: middle - 1, limit: 1 })
      if (event !== undefined && event.at <= at) {
        low = middle
        frame = event.frame
      } else high = middle - 1
    }
    return frame
  })

const at = ({ runId, frame, at: time }: typeof AtFrame.Type) =>
  Effect.gen(function* () {
    const [reader, store] = [yield* RunReader, yield* RunStore]
    const wanted = frame ?? (time === undefined ? undefined : yield* frameAt(runId, time))
    return yield* RunAt.read({ ...reader, load: store.load }, runId, wanted === undefined ? undefined : { frame: wanted })
  })

/** The last of the runs that a run goes on as; with a time, the last one that was there then. */
const latestOf = (runId: string, at: number | undefined) =>
  Effect.gen(function* () {
    const reader = yield* RunReader
    const isThere = ({ createdAt }: { readonly createdAt: number }) => at === undefined || createdAt <= at
    const newest = yield* reader.newest(runId)
    if (newest === runId || isThere((yield* reader.run(newest)).run)) return newest
    for (let found = runId; ; ) {
      const { continuedAs } = (yield* reader.run(found)).run
      if (continuedAs === undefined || !isThere((yield* reader.run(continuedAs)).run)) return found
      found = continuedAs
    }
  })

export const readPlan = define({
  name: "read_plan",
  title: "Reads the plan of a run as a tree, with the status of each node.",
  scope: "read",
  input: Schema.Struct({
    ...AtFrame.fields,
    latest: Schema.optional(Schema.Boolean).annotations({
      description: "Of a run that goes on as others, read the latest one; with `at`, the latest one then. Not used beside a frame",
    }),
  }),
  output: Schema.Struct({
    /** The run whose plan it is. */
    runId: Schema.String,
    frame: Schema.Number,
    seq: Schema.Number,
    nodes: Schema.Array(PlanTree.GraphNode),
  }),
  run: ({ latest = false, ...input }) =>
    Effect.gen(function* () {
      const runId = latest && input.frame === undefined ? yield* latestOf(input.runId, input.at) : input.runId
      const { frame, seq, plan, nodes, waits } = yield* at({ ...input, runId })
      return { runId, frame, seq, nodes: PlanTree.parse(PlanText.decode(plan), nodes, waits) }
    }),
})

export const readState = define({
  name: "read_state",
  title: "Reads a run as of a frame: its nodes with their outputs, and its waits.",
  scope: "read",
  input: AtFrame,
  output: Schema.Struct({ ...RunAt.RunAt.fields, failure: Schema.NullOr(Failure) }),
  run: (input) =>
    Effect.map(at(input), ({ failure, ...found }) => ({ ...found, failure: failure === null ? null : failureOf(failure) })),
})

const After = Schema.Struct({ runId: Schema.String, after: Schema.optional(Position), limit: limitField })

/** A frame, and its events in words, one line each. */
export const ShownFrame = Schema.Struct({ ...Timeline.TimelineFrame.fields, texts: Schema.Array(Schema.String) })

export interface FramesWanted {
  readonly runId: string
  /** Number of the last known event. Default: 0. */
  readonly after?: number
  /** `true` to wait for frames that are committed later, until the run has ended. Default: false. */
  readonly follow?: boolean
}

/** Streams the frames of a run after an event, oldest first. Fails if there is no such run. */
export const frames = ({ runId, after = 0, follow = false }: FramesWanted) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const [reader, { snapshots }, { changes }] = [yield* RunReader, yield* Snapshots, yield* Inbox]
      yield* reader.run(runId)
      const read = follow ? Timeline.follow : Timeline.read
      return Stream.map(read({ ...reader, snapshots, changes }, runId, { afterSeq: after }), (frame): typeof ShownFrame.Type => ({
        ...frame,
        texts: frame.events.map((event, index) => describe({ ...frame, seq: frame.fromSeq + index, event })),
      }))
    }),
  )

export const readTimeline = define({
  name: "read_timeline",
  title: "Reads the frames of a run after an event, oldest first.",
  scope: "read",
  input: After,
  output: Schema.Struct({
    frames: Schema.Array(ShownFrame),
    /** Number of the last event of the page if there are later ones. */
    next: Schema.NullOr(Schema.Number),
  }),
  run: ({ runId, after = 0, limit = 100 }) =>
    Effect.gen(function* () {
      const found = Chunk.toReadonlyArray(yield* Stream.runCollect(Stream.take(frames({ runId, after }), limit + 1)))
      const page = found.slice(0, limit)
      return { frames: page, next: found.length > limit ? (page.at(-1)?.lastSeq ?? null) : null }
    }),
})

export const readEvents = define({
  name: "read_events",
  title: "Reads events of a run after an event, oldest first.",
  scope: "read",
  input: After,
  output: Schema.Struct({
    events: Schema.Array(Schema.Struct({ ...LoggedEvent.fields, text: Schema.String })),
    next: Schema.NullOr(Schema.Number),
  }),
  run: ({ runId, after = 0, limit = 100 }) =>
    Effect.gen(function* () {
      const found = yield* (yield* RunReader).events(runId, { afterSeq: after, limit: limit + 1 })
      const events = found.slice(0, limit).map((event) => ({ ...event, text: describe(event) }))
      return { events, next: found.length > limit ? (events.at(-1)?.seq ?? null) : null }
    }),
})
