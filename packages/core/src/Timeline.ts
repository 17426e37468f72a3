/**
 * The timeline of a run: its frames in order, each with its events, what it changed of the plan, and the child runs that it started.
 */

import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { AttemptName } from "./AgentJournal.ts"
import type { RunNotFound, StoreError } from "./Errors.ts"
import { compositeKey } from "./Ids.ts"
import type { InboxShape } from "./Inbox.ts"
import * as Later from "./Later.ts"
import * as PlanText from "./PlanText.ts"
import { RunEvent } from "./RunEvent.ts"
import * as RunLog from "./RunLog.ts"
import type { LoggedEvent, RunReaderShape } from "./RunReader.ts"
import { Snapshot, type SnapshotMoment, type SnapshotsShape } from "./Snapshots.ts"

const ids = Schema.Array(Schema.String)

/** A frame of a run. Frames without events are left out: they only took commands that changed nothing. */
export const TimelineFrame = Later.schema(() =>
  Schema.Struct({
    runId: Schema.String,
    frame: Schema.Number,
    /** Time of its commit, in epoch milliseconds. */
    at: Schema.Number,
    /** Numbers of its first and last event. */
    fromSeq: Schema.Number,
    lastSeq: Schema.Number,
    /** Without inputs and outputs, as in the log. */
    events: Schema.Array(RunEvent),
    /** Ids of nodes that it added to the plan, removed from it, or changed in it. The first frame adds the whole plan. */
    plan: Schema.Struct({ added: ids, removed: ids, changed: ids }),
    /** Child runs that it started. */
    children: Schema.Array(Schema.Struct({ runId: Schema.String, nodeId: Schema.String, iteration: Schema.Number })),
    /** Ids of the runs that were forked as of it. */
    forks: ids,
    /** Snapshots of workspaces around the attempts that it started or ended. */
    snapshots: Schema.Array(Snapshot),
  }),
)

export type TimelineFrame = typeof TimelineFrame.Type

/** Options of {@link read}. */
export interface TimelineOptions {
  /** Only frames whose last event has a higher number. Default: 0. */
  readonly afterSeq?: number
}

type Reader = Pick<RunReaderShape, "events" | "plan" | "runs"> & Pick<SnapshotsShape, "snapshots">

/** Streams the stored frames of a run, and ends. It reads page by page, so the length of the run does not matter. */
export const read = (
  storage: Reader,
  runId: string,
  { afterSeq = 0 }: TimelineOptions = {},
): Stream.Stream<TimelineFrame, StoreError | RunNotFound> => frames(storage, RunLog.read(storage, runId, { afterSeq }))

/** Streams the frames of a run, also those that are committed later, until it has ended, or goes on as another. */
export const follow = (
  storage: Reader & Pick<RunReaderShape, "run" | "newest"> & Pick<InboxShape, "changes">,
  runId: string,
  { afterSeq = 0 }: TimelineOptions = {},
): Stream.Stream<TimelineFrame, StoreError | RunNotFound> =>
  frames(
    storage,
    RunLog.follow(storage, runId, { afterSeq, until: RunLog.ended(storage, runId) }).pipe(
      Stream.takeUntil(({ event }) => event._tag === "RunContinued"),
    ),
  )

type Events = ReadonlyArray<LoggedEvent>

const frames = <E>(
  storage: Reader,
  events: Stream.Stream<LoggedEvent, E>,
): Stream.Stream<TimelineFrame, E | StoreError | RunNotFound> =>
  Stream.map(Stream.chunks(events), Option.some).pipe(
    Stream.concat(Stream.succeed(Option.none())),
    Stream.mapAccum<Events, Option.Option<Chunk.Chunk<LoggedEvent>>, ReadonlyArray<Events>>([], (held, page) => {
      const all = [...held, ...Option.getOrElse(page, () => Chunk.empty<LoggedEvent>())]
      // A full page may end within a frame, which the next one completes.
      const isCut = Option.isSome(page) && Chunk.size(page.value) >= RunLog.pageSize
      const last = isCut ? all.at(-1)?.frame : undefined
      const complete = Map.groupBy(
        all.filter(({ frame }) => frame !== last),
        ({ frame }) => frame,
      )
      return [all.filter(({ frame }) => frame === last), [...complete.values()]]
    }),
    Stream.mapEffect((page) => rowsOf(storage, page)),
    Stream.flattenIterables,
  )

const unchanged = { added: [], removed: [], changed: [] }

/** The attempt that an event starts or ends, and the moment of the snapshot that is shown beside it. */
const attemptOf = (event: RunEvent): { readonly name: AttemptName; readonly moment: SnapshotMoment } | undefined => {
  switch (event._tag) {
    case "AttemptStarted":
    case "AttemptSucceeded":
    case "AttemptFailed":
    case "AttemptInterrupted": {
      const { nodeId, iteration, attempt } = event
      return { name: { nodeId, iteration, attempt }, moment: event._tag === "AttemptStarted" ? "before" : "after" }
    }
    default:
      return undefined
  }
}

/** Makes the rows of some frames of one run. */
const rowsOf = (
  storage: Reader,
  page: ReadonlyArray<Events>,
): Effect.Effect<ReadonlyArray<TimelineFrame>, StoreError | RunNotFound> =>
  Effect.gen(function* () {
    const runId = page[0]?.[0]?.runId
    if (runId === undefined) return []
    const frames = page.flatMap(([first]) => (first === undefined ? [] : [first.frame]))
    const [first = 0, last = 0] = [frames[0], frames.at(-1)]
    const forks = yield* storage.runs({ forkedAt: { runId, first, last }, limit: Number.MAX_SAFE_INTEGER })
    const forksAt = Map.groupBy(forks.toReversed(), ({ forkedFrom }) => forkedFrom?.frame)
    const nameOf = ({ nodeId, iteration, attempt }: Pick<Snapshot, "nodeId" | "iteration" | "attempt">, moment: string) =>
      compositeKey(nodeId, iteration, attempt, moment)
    const attempts = page.flatMap((events) => events.flatMap(({ event }) => attemptOf(event)?.name ?? []))
    const taken = attempts.length === 0 ? [] : yield* storage.snapshots({ runId, attempts })
    const snapshots = Map.groupBy(taken, (snapshot) => nameOf(snapshot, snapshot.moment))
    return yield* Effect.forEach(page, (events) =>
      Effect.map(planOf(storage, events), (plan): TimelineFrame => {
        const [first, last] = [events[0] as LoggedEvent, events.at(-1) as LoggedEvent]
        return {
          ...{ runId, frame: first.frame, at: first.at, fromSeq: first.seq, lastSeq: last.seq },
          events: events.map(({ event }) => event),
          plan,
          children: events.flatMap(({ event }) =>
            event._tag === "WaitStarted" && event.kind === "subflow" && event.name !== undefined && event.isKept !== true
              ? [{ runId: event.name, nodeId: event.nodeId, iteration: event.iteration }]
              : [],
          ),
          forks: (forksAt.get(first.frame) ?? []).map((fork) => fork.runId),
          snapshots: events.flatMap(({ event }) => {
            const found = attemptOf(event)
            return found === undefined ? [] : (snapshots.get(nameOf(found.name, found.moment)) ?? [])
          }),
        }
      }),
    )
  })

/** Compares the plan with that of the frame before. */
const planOf = (storage: Reader, events: Events): Effect.Effect<TimelineFrame["plan"], StoreError | RunNotFound> => {
  const { runId, frame } = events[0] as LoggedEvent
  // Only an event of the run changes its plan.
  if (!events.some(({ event }) => mayChangePlan.has(event._tag))) return Effect.succeed(unchanged)
  return Effect.gen(function* () {
    const before = frame === 1 ? "" : yield* storage.plan(runId, frame - 1)
    const after = yield* storage.plan(runId, frame)
    if (before === after) return unchanged
    const changes = PlanText.diff(PlanText.decode(before), PlanText.decode(after))
    return {
      added: PlanText.changed(changes, "added"),
      removed: PlanText.changed(changes, "removed"),
      changed: PlanText.changed(changes, "changed"),
    }
  })
}

const mayChangePlan: ReadonlySet<string> = new Set(["RunStarted", "RunResumed", "PlanChanged", "CodeReloaded", "RunForked"])
