/**
 * Events of a run as they are committed, by whoever commits them.
 */
import type { RunNotFound, StoreError } from "@smithers/core/Errors"
import type { LoggedEvent } from "@smithers/core/RunReader"
import type { StorageShape } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"

/** Events read at once. */
const pageSize = 500

/** Reads what there is after `seen`, page by page, and moves it on. */
export const drain = <E, R>(
  storage: StorageShape,
  runId: string,
  seen: Ref.Ref<number>,
  each: (events: ReadonlyArray<LoggedEvent>) => Effect.Effect<void, E, R>,
): Effect.Effect<void, E | StoreError | RunNotFound, R> =>
  Effect.gen(function* () {
    for (;;) {
      const events = yield* storage.events(runId, { afterSeq: yield* Ref.get(seen), limit: pageSize })
      const last = events.at(-1)
      if (last === undefined) return
      yield* each(events)
      yield* Ref.set(seen, last.seq)
    }
  })

/** The same, again whenever something was written, until it is interrupted or `isOver` says so. The run need not be there yet. */
export const follow = <E, R>(
  storage: StorageShape,
  runId: string,
  seen: Ref.Ref<number>,
  each: (events: ReadonlyArray<LoggedEvent>) => Effect.Effect<void, E, R>,
  isOver: () => boolean = () => false,
): Effect.Effect<void, E | StoreError, R> =>
  Effect.gen(function* () {
    for (let version = -1; ; version = yield* storage.changes(version)) {
      yield* drain(storage, runId, seen, each).pipe(
        Effect.catchIf(
          (error): error is RunNotFound => (error as { readonly _tag?: unknown })._tag === "RunNotFound",
          () => Effect.void,
        ),
      )
      if (isOver()) return
    }
  }) as Effect.Effect<void, E | StoreError, R>
