/**
 * A check of recorded runs for a test: today's code of a workflow would not have changed them. Nothing is run, and nothing is written.
 */
import { InvalidSetting, type RunNotFound, type StoreError, type WorkflowMismatch } from "@smithers/core/Errors"
import * as Replay from "@smithers/core/Replay"
import { RunReader, type RunSummary } from "@smithers/core/RunReader"
import type { RunStore } from "@smithers/core/RunStore"
import * as Settings from "@smithers/core/Settings"
import { defined } from "@smithers/core/Struct"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** Options of {@link unchanged}. */
export interface ReplayOptions {
  /** Only these runs. Default: all runs of the workflow that are no child runs. */
  readonly runIds?: ReadonlyArray<string>
  /** Most runs, the newest first. Default: 1,000. */
  readonly limit?: number
}

const optionNames: Settings.Names<ReplayOptions> = { runIds: true, limit: true }

/** A place at which a recorded run would be another. */
export const ReplayChange = Schema.Struct({ runId: Schema.String, frame: Schema.Number, message: Schema.String })
export type ReplayChange = typeof ReplayChange.Type

/** Today's code would have changed recorded runs. */
export class RunsChanged extends Schema.TaggedError<RunsChanged>()("RunsChanged", {
  workflow: Schema.String,
  changes: Schema.Array(ReplayChange),
}) {
  override get message(): string {
    const runs = new Set(this.changes.map(({ runId }) => runId)).size
    const lines = this.changes.slice(0, 10).map(({ runId, frame, message }) => `  run "${runId}", frame ${frame}: ${message}`)
    const left = this.changes.length > 10 ? [`  and ${this.changes.length - 10} more`] : []
    const head = `Today's code of workflow "${this.workflow}" would have changed ${runs === 1 ? "a recorded run" : `${runs} recorded runs`}:`
    return [head, ...lines, ...left].join("\n")
  }
}

/** The store has no run to check, so nothing is known. */
export class NoRecordedRun extends Schema.TaggedError<NoRecordedRun>()("NoRecordedRun", { workflow: Schema.String }) {
  override get message(): string {
    return `The store has no run of workflow "${this.workflow}". Check the database of the layer and the ids of the runs.`
  }
}

type Errors = RunsChanged | NoRecordedRun | StoreError | RunNotFound | WorkflowMismatch | InvalidSetting

/** A workflow, as {@link unchanged} needs it. */
interface Replayable<R> {
  readonly replay: (
    runId: string,
  ) => Effect.Effect<Replay.ReplayReport, StoreError | RunNotFound | WorkflowMismatch, RunStore | RunReader | R>
  readonly definition: { readonly name: string | undefined }
}

/** Number of runs that are listed at once. */
const page = 100

/**
 * Replays recorded runs with today's code of a workflow, as {@link Replay.replay} does, and returns the reports. Fails with `RunsChanged`,
 * which names each place, if one of them would have been another, and with `NoRecordedRun` if there is none.
 *
 * @example
 * ```ts
 * yield* Replays.unchanged(triage).pipe(Effect.provide(Smithers.sqlite({ filename: "recorded.db" })))
 * ```
 */
export const unchanged = <R>(
  workflow: Replayable<R>,
  options: ReplayOptions = {},
): Effect.Effect<ReadonlyArray<Replay.ReplayReport>, Errors, RunStore | RunReader | R> =>
  Effect.gen(function* () {
    yield* Settings.only("unchanged", options, optionNames)
    const { runIds, limit = 1000 } = options
    if (!Number.isInteger(limit) || limit < 1)
      return yield* new InvalidSetting({ setting: "limit", received: String(limit), expected: "a whole number from 1 on" })
    const name = workflow.definition.name
    const reader = yield* RunReader
    const runs: Array<RunSummary> = []
    for (let isMore = true; isMore && runs.length < limit; ) {
      const before = runs.at(-1)?.runId
      const named = runIds === undefined ? { isChild: false } : { runIds }
      const listed = yield* reader.runs({
        ...named,
        limit: Math.min(page, limit - runs.length),
        ...defined({ workflow: name, before }),
      })
      runs.push(...listed)
      isMore = listed.length === page
    }
    const missing = runIds?.some((runId) => !runs.some((run) => run.runId === runId))
    if (runs.length === 0 || missing === true) return yield* new NoRecordedRun({ workflow: name ?? "" })
    const reports = yield* Effect.forEach(runs, ({ runId }) => workflow.replay(runId))
    const changes = reports.flatMap(changesIn)
    return changes.length === 0 ? reports : yield* new RunsChanged({ workflow: name ?? "", changes })
  })

/** The changes of a run and its child runs. A function that differs from itself is none. */
const changesIn = ({ runId, findings, children }: Replay.ReplayReport): ReadonlyArray<ReplayChange> => [
  ...findings.flatMap((finding) =>
    finding._tag === "Unsteady" ? [] : [{ runId, frame: finding.frame, message: Replay.describe(finding) }],
  ),
  ...children.flatMap(changesIn),
]
