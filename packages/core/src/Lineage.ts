/**
 * Reads what a fork inherits and only its original stores: snapshots of files, and conversations of agents. An attempt
 * is inherited if it had begun by the cut.
 */
import * as Effect from "effect/Effect"
import type { AgentJournalShape, RecordedConversation } from "./AgentJournal.ts"
import type { RunNotFound, StoreError } from "./Errors.ts"
import * as RunState from "./RunState.ts"
import type { RunStoreShape } from "./RunStore.ts"
import type { Snapshot, SnapshotFilter, SnapshotsShape } from "./Snapshots.ts"

/** A run, which may be a fork. */
type Run = Pick<RunState.RunState, "runId" | "fork">

/** The port that the states of a lineage are read from. */
interface States {
  readonly store: Pick<RunStoreShape, "load">
}

/** Reads rows of a run, and before them, of a fork, those that it has inherited. */
const rowsOf = <A>(
  { store }: States,
  { runId, fork }: Run,
  own: (runId: string) => Effect.Effect<ReadonlyArray<A>, StoreError>,
  inherit: (row: A, cut: RunState.RunState, fork: RunState.Fork) => ReadonlyArray<A>,
): Effect.Effect<ReadonlyArray<A>, StoreError | RunNotFound> =>
  Effect.gen(function* () {
    const rows = yield* own(runId)
    if (fork === undefined) return rows
    const cut = yield* store.load(fork.runId, { seq: fork.seq })
    const earlier = yield* rowsOf({ store }, cut, own, inherit)
    return [...earlier.flatMap((row) => inherit(row, cut, fork)), ...rows]
  })

/**
 * Reads snapshots of a run, in the order in which they were taken, and before them, of a fork, those of the attempts that it has inherited.
 * They name the run that has taken them.
 */
export const snapshots = (
  ports: States & { readonly snapshots: Pick<SnapshotsShape, "snapshots"> },
  run: Run,
  filter: Omit<SnapshotFilter, "runId"> = {},
): Effect.Effect<ReadonlyArray<Snapshot>, StoreError | RunNotFound> =>
  rowsOf(
    ports,
    run,
    (runId) => ports.snapshots.snapshots({ ...filter, runId }),
    (row, cut) => {
      const { attempt = 0, status } = RunState.step(cut, row.nodeId, row.iteration) ?? {}
      // The files after an attempt in flight at the cut are those of the original.
      const isInherited = row.attempt < attempt || (row.attempt === attempt && (row.moment === "before" || status !== "running"))
      return isInherited ? [row] : []
    },
  )

/** A conversation, and the run that holds it: of what a fork has inherited, the one that it comes from. */
export interface ConversationOfRun extends RecordedConversation {
  readonly runId: string
}

/** Reads the conversations of a run, and before them, of a fork, those of the attempts that it has inherited, up to the cut. */
export const conversations = (
  ports: States & { readonly journal: Pick<AgentJournalShape, "conversations"> },
  run: Run,
  filter: { readonly nodeId?: string; readonly iteration?: number } = {},
): Effect.Effect<ReadonlyArray<ConversationOfRun>, StoreError | RunNotFound> =>
  rowsOf(
    ports,
    run,
    (runId) =>
      Effect.map(ports.journal.conversations({ ...filter, runId }), (found) =>
        found.map((one): ConversationOfRun => ({ ...one, runId })),
      ),
    (row, cut, { at: cutAt }) => {
      const { attempt: last = 0, status } = RunState.step(cut, row.nodeId, row.iteration) ?? {}
      const isInherited = (attempt: number, at: number): boolean =>
        attempt < last || (attempt === last && (status !== "running" || at <= cutAt))
      const entries = row.entries.filter(({ attempt, at }) => isInherited(attempt, at))
      const calls = row.calls.filter(({ attempt, startedAt }) => isInherited(attempt, startedAt))
      // A fork does not continue it.
      return entries.length === 0 && calls.length === 0 ? [] : [{ ...row, entries, calls, isCurrent: false }]
    },
  )
