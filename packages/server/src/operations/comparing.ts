/**
 * Compares runs, frames and attempts, with the files that they left.
 */
import * as Comparison from "@smithers/core/Comparison"
import * as Lineage from "@smithers/core/Lineage"
import { RunReader } from "@smithers/core/RunReader"
import { RunStore } from "@smithers/core/RunStore"
import { type Snapshot, type SnapshotFilter, Snapshots } from "@smithers/core/Snapshots"
import { defined } from "@smithers/core/Struct"
import { ChangedFile, Workspaces } from "@smithers/core/Workspaces"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { define } from "./Operation.ts"

/** Files that differ between two snapshots of a directory. */
export const FilesBetween = Schema.Struct({
  root: Schema.String,
  /** Commits of git. */
  from: Schema.String,
  to: Schema.String,
  files: Schema.Array(ChangedFile),
  /** The differences as a unified patch. */
  patch: Schema.String,
  /** `true` if the patch was cut. */
  isTruncated: Schema.Boolean,
})
export type FilesBetween = typeof FilesBetween.Type

/** Set if snapshots were taken on both sides, and git still has them. */
const files = { files: Schema.optional(FilesBetween) }

/** The snapshots of a run, with those that it has inherited. */
const snapshotsOf = (runId: string, filter: Omit<SnapshotFilter, "runId"> = {}) =>
  Effect.gen(function* () {
    const [store, snapshots] = [yield* RunStore, yield* Snapshots]
    const taken = yield* Lineage.snapshots({ store, snapshots }, yield* store.load(runId), filter)
    return taken.filter(({ commit }) => commit !== null)
  })

const between = (before: Snapshot | undefined, after: Snapshot | undefined) =>
  Effect.gen(function* () {
    const { root, commit: from = null } = before ?? {}
    const to = after?.commit ?? null
    if (root === undefined || from === null || to === null || root !== after?.root) return undefined
    const found = yield* (yield* Workspaces).diff({ root, from, to })
    return { root, from, to, ...found } satisfies FilesBetween
  }).pipe(Effect.catchAll((error) => Effect.as(Effect.logWarning(`The files cannot be compared: ${error.message}`), undefined)))

/** The ports that runs are compared with. */
const reading = Effect.gen(function* () {
  return { ...(yield* RunReader), load: (yield* RunStore).load }
})

const Position = Schema.Int.pipe(Schema.nonNegative())
const Side = Schema.Struct({ runId: Schema.String, frame: Schema.optional(Position) })

export const compareRuns = define({
  name: "compare_runs",
  title: "Compares two runs, or two frames of one, with the files of their tasks.",
  scope: "read",
  input: Schema.Struct({ a: Side, b: Side }),
  output: Schema.Struct({ ...Comparison.Comparison.fields, ...files }),
  run: ({ a, b }) =>
    Effect.gen(function* () {
      const nameOf = ({ runId, frame }: typeof Side.Type) => ({ runId, ...defined({ frame }) })
      const found = yield* Comparison.runs(yield* reading, nameOf(a), nameOf(b))
      /** The files as of a moment: those of the last snapshot before it, otherwise those of the first one after it. */
      const snapshotOf = ({ runId, at }: typeof found.before) =>
        Effect.map(snapshotsOf(runId), (taken) => taken.findLast((one) => one.at <= (at ?? 0)) ?? taken[0])
      return { ...found, ...defined({ files: yield* between(yield* snapshotOf(found.before), yield* snapshotOf(found.after)) }) }
    }),
})

export const compareAttempts = define({
  name: "compare_attempts",
  title: "Compares two attempts at a step, with the files that they left.",
  scope: "read",
  input: Schema.Struct({
    runId: Schema.String,
    nodeId: Schema.String,
    iteration: Schema.optional(Position),
    a: Position,
    b: Position,
  }),
  output: Schema.Struct({ runId: Schema.String, ...Comparison.NodeDifference.fields, ...files }),
  run: ({ runId, nodeId, iteration, a, b }) =>
    Effect.gen(function* () {
      const name = { runId, nodeId, attempts: [a, b] as const, ...defined({ iteration }) }
      const found = yield* Comparison.attempts(yield* reading, name)
      const snapshotOf = (attempt: number) =>
        Effect.map(snapshotsOf(runId, { nodeId, iteration: found.iteration, attempt }), (taken) => taken.at(-1))
      return { runId, ...found, ...defined({ files: yield* between(yield* snapshotOf(a), yield* snapshotOf(b)) }) }
    }),
})
