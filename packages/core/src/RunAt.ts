/**
 * A run as of an earlier moment: its plan, its nodes with their outputs, and its waits. It needs neither the code of the workflow
 * nor a claim.
 */

import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as DerivedStatus from "./DerivedStatus.ts"
import { NoSuchMoment, RunFailure, type RunNotFound, type StoreError } from "./Errors.ts"
import type { Moment } from "./History.ts"
import { parseNodeKey } from "./Ids.ts"
import * as Later from "./Later.ts"
import * as PlanText from "./PlanText.ts"
import type * as Records from "./Records.ts"
import { NodeSummary, type RunReaderShape, WaitSummary } from "./RunReader.ts"
import * as RunState from "./RunState.ts"
import type { RunStoreShape } from "./RunStore.ts"
import * as Status from "./Status.ts"
import { defined } from "./Struct.ts"
import { nodeSummary, waitSummaries } from "./Summaries.ts"

/** A node as of then, with its output in stored form if it had one. */
export const NodeAt = Schema.Struct({
  ...NodeSummary.fields,
  output: Schema.optional(Schema.Unknown),
  /** Ids of the nodes whose outputs it has read, and `*` where it has read so many that they are not named; absent without reads. */
  reads: Schema.optional(Schema.Array(Schema.String)),
})
export type NodeAt = typeof NodeAt.Type

/** A run as of a moment. Times are epoch milliseconds. */
export const RunAt = Later.schema(() =>
  Schema.Struct({
    runId: Schema.String,
    workflow: Schema.String,
    version: Schema.NullOr(Schema.String),
    /** Numbers of the frame and of its last event, and its time; `null` before the first event. */
    frame: Schema.Number,
    seq: Schema.Number,
    at: Schema.NullOr(Schema.Number),
    /** The status of a run that a process works on. */
    status: Status.ShownStatus,
    isPaused: Schema.Boolean,
    /** Time at which it ends as failed unless it has finished before, if it has one. */
    deadline: Schema.optional(Schema.Number),
    /** Set once a cancellation was requested. */
    cancel: Schema.NullOr(Schema.Struct({ reason: Schema.NullOr(Schema.String) })),
    input: Schema.optional(Schema.Unknown),
    output: Schema.optional(Schema.Unknown),
    failure: Schema.NullOr(RunFailure),
    /** The text of the plan, a line per node. */
    plan: Schema.String,
    /** In the order of the plan. Nodes that had left it come last. */
    nodes: Schema.Array(NodeAt),
    /** Open and closed waits, oldest first. */
    waits: Schema.Array(WaitSummary),
    /** Signals that no wait had taken, in order of arrival. */
    signals: Schema.Array(
      Schema.Struct({
        id: Schema.String,
        name: Schema.String,
        correlation: Schema.optional(Schema.String),
        payload: Schema.optional(Schema.Unknown),
        at: Schema.Number,
      }),
    ),
  }),
)

export type RunAt = typeof RunAt.Type

type Ports = Pick<RunStoreShape, "load"> & Pick<RunReaderShape, "plan" | "events">

/**
 * Loads the state of a run right after a frame or an event. Default: after the last event. Fails with `NoSuchMoment` if the run
 * has not got there.
 */
export const load = (
  storage: Ports,
  runId: string,
  moment?: Moment,
): Effect.Effect<RunState.RunState, StoreError | RunNotFound | NoSuchMoment> =>
  Effect.gen(function* () {
    const { frame, seq }: { readonly frame?: number; readonly seq?: number } = moment ?? {}
    const wanted = frame ?? seq ?? 0
    const isNumber = Number.isSafeInteger(wanted) && wanted >= 0
    const state = yield* storage.load(runId, isNumber ? moment : undefined)
    const last = frame === undefined ? state.seq : state.frame
    if (!isNumber || last < wanted) return yield* new NoSuchMoment({ runId, ...defined({ frame, seq }), last })
    return state
  })

/** Reads a run as of a moment. Default: after the last event. */
export const read = (
  storage: Ports,
  runId: string,
  moment?: Moment,
): Effect.Effect<RunAt, StoreError | RunNotFound | NoSuchMoment> =>
  Effect.gen(function* () {
    const state = yield* load(storage, runId, moment)
    const plan = yield* storage.plan(runId, state.frame)
    const [last] = state.seq === 0 ? [] : yield* storage.events(runId, { afterSeq: state.seq - 1, limit: 1 })
    return make(state, plan, last?.at ?? null)
  })

/** Makes the view of a state, with the plan of its frame. */
export const make = (state: RunState.RunState, plan: string, at: number | null): RunAt => {
  const { runId, workflow, version, frame, seq, input, output, failure, cancel, pausedAt, deadline } = state
  const records = RunState.records(state)
  const waits = waitSummaries({ runId, workflow }, records).toSorted(
    (left, right) => left.since - right.since || left.requestSeq - right.requestSeq,
  )
  return {
    ...{ runId, workflow, version: version ?? null, frame, seq, at },
    status: statusOf(state, waits),
    isPaused: pausedAt !== undefined && cancel === undefined,
    ...defined({ deadline }),
    cancel: cancel === undefined ? null : { reason: cancel.reason ?? null },
    ...defined({ input, output }),
    ...{ failure: failure ?? null, plan },
    nodes: inOrder(records, PlanText.decode(plan)).map((record) => ({
      ...nodeSummary(runId, record),
      ...(record.kind === "step" ? defined({ output: record.output }) : {}),
      ...readsOf(record),
    })),
    waits,
    signals: state.signals.map(({ id, name, correlation, payload, at }) => ({
      ...{ id, name, at },
      ...defined({ correlation, payload }),
    })),
  }
}

const readsOf = (record: Records.NodeRecord): Pick<NodeAt, "reads"> =>
  "reads" in record && record.reads !== undefined && record.reads.length > 0
    ? { reads: [...new Set(record.reads.map((key) => parseNodeKey(key).nodeId))] }
    : {}

/** What it waited for is known from its own waits alone: those of child runs are at another moment. */
const statusOf = (state: RunState.RunState, waits: ReadonlyArray<WaitSummary>): Status.ShownStatus => {
  const open = waits.filter(({ status }) => status === "open")
  const facts: DerivedStatus.Facts = {
    stored: state.status,
    owner: RunState.isEnded(state) ? "none" : "alive",
    isPaused: state.pausedAt !== undefined && state.cancel === undefined,
    commands: [],
    waits: open.filter(({ kind }) => kind !== "retry"),
    isQueued: false,
    isRetrying: open.some(({ kind }) => kind === "retry"),
    isActive: () => RunState.records(state).some(({ kind, status }) => kind === "step" && status === "running"),
  }
  const lookup: DerivedStatus.Lookup = (runIds) => new Map(runIds.includes(state.runId) ? [[state.runId, facts]] : [])
  return DerivedStatus.statuses([state.runId], lookup).get(state.runId) ?? "running"
}

const inOrder = (
  records: ReadonlyArray<Records.NodeRecord>,
  { positions, size }: PlanText.PlanText,
): ReadonlyArray<Records.NodeRecord> => {
  const placeOf = ({ nodeId }: Records.NodeRecord) => positions.get(nodeId) ?? size
  return records.toSorted(
    (left, right) => placeOf(left) - placeOf(right) || left.nodeId.localeCompare(right.nodeId) || left.iteration - right.iteration,
  )
}
