/**
 * The log of a run as a stream: its events in order, from every process that commits them.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { RunNotFound, StoreError } from "./Errors.ts"
import type { InboxShape } from "./Inbox.ts"
import type { LoggedEvent, RunReaderShape } from "./RunReader.ts"
import * as Status from "./Status.ts"

/** Events per read. */
export const pageSize = 500

/** Streams the stored events after `afterSeq`, and ends. */
export const read = (
  storage: Pick<RunReaderShape, "events">,
  runId: string,
  { afterSeq = 0 }: { readonly afterSeq?: number } = {},
): Stream.Stream<LoggedEvent, StoreError | RunNotFound> =>
  Stream.unfoldChunkEffect(afterSeq, (seen) =>
    Effect.map(storage.events(runId, { afterSeq: seen, limit: pageSize }), (events) =>
      Option.map(Option.fromNullable(events.at(-1)), (last) => [Chunk.unsafeFromArray([...events]), last.seq] as const),
    ),
  )

/** Options of {@link follow}. */
export interface FollowOptions<E> {
  /** Number of the last known event. Default: 0. */
  readonly afterSeq?: number
  /** Ends the stream when it completes, after all events committed by then; fails it when it fails. Default: never. */
  readonly until?: Effect.Effect<unknown, E>
  /** Completes with the number of frames committed in this process once it is above the given one. Default: unknown. */
  readonly commits?: (after: number) => Effect.Effect<number>
}

/** The change that woke a follower. */
interface News<E> {
  readonly here?: number
  readonly anywhere?: number
  readonly exit?: Exit.Exit<unknown, E>
}

/** Streams the events of a run, including future ones, and those of the runs that it goes on as. The run may not exist yet. */
export const follow = <E = never>(
  storage: Pick<RunReaderShape, "events"> & Pick<InboxShape, "changes">,
  runId: string,
  { afterSeq = 0, until = Effect.never, commits = () => Effect.never }: FollowOptions<E> = {},
): Stream.Stream<LoggedEvent, E | StoreError> => {
  const ended = Effect.map(Effect.exit(until), (exit): News<E> => ({ exit }))
  return Stream.unfoldChunkEffect({ runId, seen: afterSeq }, ({ runId, seen }) =>
    Effect.gen(function* () {
      let [here, anywhere] = [-1, -1]
      let end: Exit.Exit<unknown, E> | undefined
      for (;;) {
        const found = yield* storage
          .events(runId, { afterSeq: seen, limit: pageSize })
          .pipe(Effect.catchTag("RunNotFound", () => Effect.succeed([])))
        const last = found.at(-1)
        if (last !== undefined) {
          const next = last.event._tag === "RunContinued" ? { runId: last.event.successor, seen: 0 } : { runId, seen: last.seq }
          return Option.some([Chunk.unsafeFromArray([...found]), next] as const)
        }
        if (end !== undefined) return Exit.isSuccess(end) ? Option.none() : yield* Effect.as(end, Option.none())
        const news = Effect.raceFirst(
          Effect.map(commits(here), (here): News<E> => ({ here })),
          Effect.map(storage.changes(anywhere), (anywhere): News<E> => ({ anywhere })),
        )
        const heard = yield* Effect.raceFirst(ended, news)
        here = heard.here ?? here
        anywhere = heard.anywhere ?? anywhere
        end = heard.exit
      }
    }),
  )
}

/** Completes once a run has ended, with all runs that it goes on as. */
export const ended = (
  storage: Pick<RunReaderShape, "run" | "newest"> & Pick<InboxShape, "changes">,
  runId: string,
): Effect.Effect<void, StoreError | RunNotFound> =>
  Effect.gen(function* () {
    for (let version = -1; ; ) {
      const { run } = yield* storage.run(yield* storage.newest(runId))
      if (Status.isEnded(run.status)) return
      version = yield* storage.changes(version)
    }
  })
