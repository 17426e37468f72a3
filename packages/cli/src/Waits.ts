/**
 * What runs wait for, one answer for every command: of a child run that a run waits for what that one waits for, where that is known.
 */
import type { StoreError } from "@smithers/core/Errors"
import type { RunReaderShape, WaitSummary } from "@smithers/core/RunReader"
import * as Effect from "effect/Effect"

/** The open waits of runs, and of their child runs, by the run that waits. What has come is left out, also where nobody has taken it up. */
export const awaited = (
  reader: RunReaderShape,
  runIds: ReadonlyArray<string>,
): Effect.Effect<ReadonlyMap<string, ReadonlyArray<WaitSummary>>, StoreError> =>
  Effect.gen(function* () {
    const own = new Map<string, ReadonlyArray<WaitSummary>>()
    for (let wanted = runIds; wanted.length > 0; ) {
      const waits = yield* reader.waits({ runIds: wanted, isAnswered: false, limit: Number.MAX_SAFE_INTEGER })
      const found = Map.groupBy(waits, ({ runId }) => runId)
      for (const runId of wanted) own.set(runId, found.get(runId) ?? [])
      wanted = [...new Set(waits.flatMap(childOf))].filter((child) => !own.has(child))
    }
    const all = new Map<string, ReadonlyArray<WaitSummary>>()
    const waitsOf = (runId: string, above: ReadonlySet<string>): ReadonlyArray<WaitSummary> => {
      const known = all.get(runId)
      if (known !== undefined) return known
      const path = new Set([...above, runId])
      const found = (own.get(runId) ?? []).flatMap((wait) => {
        const inside = childOf(wait).flatMap((child) => (path.has(child) ? [] : waitsOf(child, path)))
        return inside.length === 0 ? [wait] : inside
      })
      all.set(runId, found)
      return found
    }
    return new Map(runIds.map((runId) => [runId, waitsOf(runId, new Set())]))
  })

/** The child run that a wait is for. */
const childOf = ({ kind, name }: WaitSummary): ReadonlyArray<string> => (kind === "subflow" && name !== null ? [name] : [])

/** The same of one run. */
export const awaitedBy = (reader: RunReaderShape, runId: string): Effect.Effect<ReadonlyArray<WaitSummary>, StoreError> =>
  Effect.map(awaited(reader, [runId]), (waits) => waits.get(runId) ?? [])
