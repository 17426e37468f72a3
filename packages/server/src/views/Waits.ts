/**
 * Open waits of runs, for every command. A wait for a child run stands for the waits of that run, or of the latest one that it goes on as,
 * if they are known.
 */
import type { StoreError } from "@smithers/core/Errors"
import type { RunReaderShape, WaitSummary } from "@smithers/core/RunReader"
import * as Effect from "effect/Effect"

/**
 * Returns the open waits of runs and of their child runs, by the id of the waiting run. Omits waits whose event has already
 * arrived.
 */
export const awaited = (
  reader: RunReaderShape,
  runIds: ReadonlyArray<string>,
): Effect.Effect<ReadonlyMap<string, ReadonlyArray<WaitSummary>>, StoreError> =>
  Effect.gen(function* () {
    const own = new Map<string, ReadonlyArray<WaitSummary>>()
    /** Child runs that go on as others, and the latest of those. */
    const latest = new Map<string, string>()
    const latestOf = (runId: string): string => latest.get(runId) ?? runId
    for (let wanted = runIds; wanted.length > 0; ) {
      const waits = yield* reader.waits({ runIds: wanted, isAnswered: false, limit: Number.MAX_SAFE_INTEGER })
      const found = Map.groupBy(waits, ({ runId }) => runId)
      for (const runId of wanted) own.set(runId, found.get(runId) ?? [])
      const children = [...new Set(waits.flatMap(childOf))].filter((child) => !own.has(child))
      if (children.length > 0)
        for (const { runId } of yield* reader.runs({ runIds: children, status: ["continued"], limit: children.length }))
          latest.set(runId, yield* reader.newest(runId))
      wanted = children.map(latestOf)
    }
    const all = new Map<string, ReadonlyArray<WaitSummary>>()
    const waitsOf = (runId: string, above: ReadonlySet<string>): ReadonlyArray<WaitSummary> => {
      const known = all.get(runId)
      if (known !== undefined) return known
      const path = new Set([...above, runId])
      const found = (own.get(runId) ?? []).flatMap((wait) => {
        const inside = childOf(wait)
          .map(latestOf)
          .flatMap((child) => (path.has(child) ? [] : waitsOf(child, path)))
        return inside.length === 0 ? [wait] : inside
      })
      all.set(runId, found)
      return found
    }
    return new Map(runIds.map((runId) => [runId, waitsOf(runId, new Set())]))
  })

/** Returns the child run of a wait. */
const childOf = ({ kind, name }: WaitSummary): ReadonlyArray<string> => (kind === "subflow" && name !== null ? [name] : [])

/** Returns the open waits of one run. */
export const awaitedBy = (reader: RunReaderShape, runId: string): Effect.Effect<ReadonlyArray<WaitSummary>, StoreError> =>
  Effect.map(awaited(reader, [runId]), (waits) => waits.get(runId) ?? [])
