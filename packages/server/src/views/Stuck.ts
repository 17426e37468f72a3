/**
 * Runs that make no progress though they should: their process has died, none takes them up, they cannot be loaded, or a step fails
 * again and again.
 */
import type { StoreError } from "@smithers/core/Errors"
import type { RunFilter, RunReaderShape, RunSummary } from "@smithers/core/RunReader"
import * as Status from "@smithers/core/Status"
import * as Effect from "effect/Effect"

/** A stuck run, and the time since which it is (epoch ms). */
export interface StuckRun {
  readonly run: RunSummary
  readonly since: number
}

const left: ReadonlySet<Status.ShownStatus> = new Set(Status.stalledStatuses)

/**
 * Returns the time since which a run is stuck; `undefined` if it is not. `failedAt` is when the last attempt failed of a step that
 * waits for its next one.
 */
const stuckSince = (run: RunSummary, failedAt: number | undefined): number | undefined => {
  const { status, stuck, updatedAt } = run
  if (status === "running") return failedAt
  if (stuck !== null) return Math.min(stuck.since, failedAt ?? stuck.since)
  return left.has(status) ? updatedAt : failedAt
}

/**
 * Reads one page of the stuck runs of a filter, stuck longest first. Its `changedBefore` is compared with the time since which a run is
 * stuck, and a run of `before` that is stuck no more begins from the first. The cost grows with the number of runs that have not ended.
 */
export const stuckRuns = (
  reader: Pick<RunReaderShape, "runs" | "waits">,
  { changedBefore, before, limit = 100, status, ...filter }: RunFilter,
): Effect.Effect<ReadonlyArray<StuckRun>, StoreError> =>
  Effect.gen(function* () {
    const all = { limit: Number.MAX_SAFE_INTEGER }
    const failed = new Map<string, number>()
    // The oldest comes first.
    for (const { runId, since } of yield* reader.waits({ kind: ["retry"], ...all })) {
      if (!failed.has(runId)) failed.set(runId, since)
    }
    const wanted = [...left].filter((one) => status === undefined || status.includes(one))
    const waiting = wanted.length === 0 ? [] : yield* reader.runs({ ...filter, ...all, status: wanted })
    const retrying = [...failed.keys()].filter((runId) => filter.runIds?.includes(runId) ?? true)
    const others =
      retrying.length === 0
        ? []
        : yield* reader.runs({ ...filter, ...all, runIds: retrying, ...(status === undefined ? {} : { status }) })
    const found = new Map([...waiting, ...others].map((run) => [run.runId, run]))
    const stuck = [...found.values()]
      .flatMap((run): ReadonlyArray<StuckRun> => {
        const since = stuckSince(run, failed.get(run.runId))
        return since === undefined || (changedBefore !== undefined && since >= changedBefore) ? [] : [{ run, since }]
      })
      .sort((a, b) => a.since - b.since || (a.run.runId < b.run.runId ? -1 : 1))
    const start = before === undefined ? 0 : stuck.findIndex(({ run }) => run.runId === before) + 1
    return stuck.slice(start, start + limit)
  })
