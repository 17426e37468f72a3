/**
 * Reads runs.
 */
import { StoredGeneration } from "@smithers/core/CodeGeneration"
import { parseNodeKey } from "@smithers/core/Ids"
import { PendingKind } from "@smithers/core/RunEvent"
import { RunDetails, RunOverview, RunReader, RunSummary, WaitSummary } from "@smithers/core/RunReader"
import * as RunState from "@smithers/core/RunState"
import { RunStore } from "@smithers/core/RunStore"
import * as Status from "@smithers/core/Status"
import { defined } from "@smithers/core/Struct"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { deniedBy } from "../views/Denials.ts"
import { Failure, failureOf } from "../views/Failure.ts"
import { nameOf } from "../views/Parts.ts"
import { stuckRuns } from "../views/Stuck.ts"
import { awaited, awaitedBy } from "../views/Waits.ts"
import * as Why from "../views/Why.ts"
import { define } from "./Operation.ts"
import { Processes } from "./Processes.ts"

export const RunInput = Schema.Struct({ runId: Schema.String })

/** Most rows of a page. */
export const mostRows = 1000

export const limitField = Schema.optional(Schema.Int.pipe(Schema.between(1, mostRows)))

const ListedRun = Schema.Struct({
  ...RunSummary.fields,
  /** What it waits for, or why it is stuck, in a few words; empty if it does neither. */
  sentence: Schema.String,
  /** Time since which it is stuck (epoch ms), in a list of stuck runs. */
  stuckSince: Schema.optional(Schema.Number),
}).annotations({ identifier: "ListedRun" })

export const listRuns = define({
  name: "list_runs",
  title: "Lists runs, newest first.",
  scope: "read",
  input: Schema.Struct({
    status: Schema.optional(Schema.Array(Status.ShownStatus)),
    workflow: Schema.optional(Schema.String),
    tag: Schema.optional(Schema.String),
    parent: Schema.optional(Schema.String),
    forkedFrom: Schema.optional(Schema.String),
    /** Text in the id, the name of the workflow or a tag. ASCII letters match in either case. */
    q: Schema.optional(Schema.String),
    /** Only runs that have not ended, and of which nothing has come since this time (epoch ms). */
    changedBefore: Schema.optional(Schema.Int),
    /**
     * Only runs that make no progress though they should, longest first: no process works on them, they cannot be loaded, or a step of
     * theirs is retried. `changedBefore` is then compared with the time since which they are stuck.
     */
    stuck: Schema.optional(Schema.Boolean),
    waiting: Schema.optional(Schema.Array(PendingKind)),
    before: Schema.optional(Schema.String),
    limit: limitField,
  }),
  output: Schema.Struct({
    runs: Schema.Array(ListedRun),
    /** Last run of the page if there are older ones. */
    next: Schema.NullOr(Schema.String),
  }),
  run: ({ status, workflow, tag, parent, forkedFrom, q, changedBefore, stuck: isStuck = false, waiting, before, limit = 50 }) =>
    Effect.gen(function* () {
      const reader = yield* RunReader
      // A page after a run that is not there would look like the end of the list.
      if (before !== undefined) yield* reader.run(before)
      const { isWorking } = yield* Processes
      const waits =
        waiting === undefined || waiting.length === 0
          ? undefined
          : yield* reader.waits({ kind: waiting, limit: Number.MAX_SAFE_INTEGER })
      const runIds = waits === undefined ? undefined : [...new Set(waits.map(({ runId }) => runId))]
      const text = q === "" ? undefined : q
      const filter = {
        ...(status === undefined || status.length === 0 ? {} : { status }),
        ...defined({ workflow, tag, parent, forkedFrom, before, runIds, text, changedBefore }),
        limit: limit + 1,
      }
      const stuckOnes = isStuck ? yield* stuckRuns(reader, filter) : []
      const since = new Map(stuckOnes.map(({ run, since }) => [run.runId, since]))
      const page = isStuck ? stuckOnes.map(({ run }) => run) : yield* reader.runs(filter)
      const shown = page.slice(0, limit)
      const now = yield* Clock.currentTimeMillis
      const open = yield* awaited(
        reader,
        shown.flatMap(({ runId, status }) => (Status.isEnded(status) ? [] : [runId])),
      )
      const runs = shown.map((run) => {
        const [wait] = open.get(run.runId) ?? []
        const stuck = isWorking(run, now) ? null : run.stuck
        const waitsFor = wait === undefined ? "" : `${nameOf(wait.nodeId)}: ${Why.waitLine(wait, now)}`
        const sentence = stuck === null ? waitsFor : `stuck: ${stuck.error.message}`
        return { ...run, sentence, ...defined({ stuckSince: since.get(run.runId) }) }
      })
      return { runs, next: page.length > limit ? (shown.at(-1)?.runId ?? null) : null }
    }),
})

export const readRun = define({
  name: "read_run",
  title: "Reads a run: its status, input, output, failure and relatives.",
  scope: "read",
  input: RunInput,
  output: Schema.Struct({
    ...RunOverview.fields,
    input: Schema.optional(Schema.Unknown),
    output: Schema.optional(Schema.Unknown),
    failure: Schema.NullOr(Failure),
    children: Schema.Array(RunSummary),
    forks: Schema.Array(RunSummary),
  }),
  run: ({ runId }) =>
    Effect.gen(function* () {
      const reader = yield* RunReader
      const overview = yield* reader.run(runId)
      const { input, output, failure } = yield* (yield* RunStore).load(runId)
      const children = yield* reader.runs({ parent: runId, limit: mostRows })
      const forks = yield* reader.runs({ forkedFrom: runId, limit: mostRows })
      return {
        ...overview,
        ...defined({ input, output }),
        failure: failure === undefined ? null : failureOf(failure),
        children,
        forks,
      }
    }),
})

export const runDetails = define({
  name: "run_details",
  title: "Reads everything about a run: its nodes, attempts, waits for slots and snapshots.",
  scope: "read",
  input: RunInput,
  output: Schema.Struct({
    ...RunDetails.fields,
    input: Schema.optional(Schema.Unknown),
    output: Schema.optional(Schema.Unknown),
    failure: Schema.NullOr(Failure),
  }),
  run: ({ runId }) =>
    Effect.map(
      Effect.flatMap(RunReader, (reader) => reader.inspect(runId)),
      ({ failure, ...details }) => ({ ...details, failure: failure === null ? null : failureOf(failure) }),
    ),
})

/** Something that a person can do so that a run goes on. */
const Action = Schema.Struct({
  kind: Schema.Literal("approve", "deny", "answer", "signal", "retry", "resume", "cancel", "unpause"),
  runId: Schema.String,
  nodeId: Schema.optional(Schema.String),
  iteration: Schema.optional(Schema.Number),
  requestId: Schema.optional(Schema.String),
  digest: Schema.optional(Schema.String),
  /** Name and correlation of a signal. */
  name: Schema.optional(Schema.String),
  correlation: Schema.optional(Schema.String),
})
type Action = typeof Action.Type

const ofWait = (wait: WaitSummary): ReadonlyArray<Action> => {
  const { runId, nodeId, iteration, requestId, digest, name, correlation, kind } = wait
  const place = { runId, nodeId, iteration }
  const asked = { ...place, ...(requestId === null ? {} : { requestId }), ...(digest === null ? {} : { digest }) }
  if (kind === "approval")
    return [
      { kind: "approve", ...asked },
      { kind: "deny", ...asked },
    ]
  if (kind === "human") return [{ kind: "answer", ...asked }]
  if (kind === "signal" && name !== null)
    return [{ kind: "signal", ...place, name, ...(correlation === null ? {} : { correlation }) }]
  return []
}

export const explainRun = define({
  name: "explain_run",
  title: "Explains why a run has not finished, and what continues it.",
  scope: "read",
  input: RunInput,
  output: Schema.Struct({
    runId: Schema.String,
    status: Status.ShownStatus,
    reason: Why.WhyReason,
    sentence: Schema.String,
    /** Command lines that continue it, best first. */
    commands: Schema.Array(Schema.String),
    requests: Schema.Array(WaitSummary),
    actions: Schema.Array(Action),
    signals: Schema.Array(
      Schema.Struct({
        id: Schema.String,
        name: Schema.String,
        correlation: Schema.NullOr(Schema.String),
        refusals: Schema.Array(
          Schema.Struct({ nodeId: Schema.String, iteration: Schema.Number, issues: Schema.Array(Schema.String) }),
        ),
      }),
    ),
    /** The code that it is at work with, or was, if that was watched. */
    code: Schema.optional(StoredGeneration),
  }),
  run: ({ runId }) => Effect.map(explain(runId, undefined), ({ generations: _, ...explained }) => explained),
})

/** Explains a run. `db` is the value of `--db` for the commands. */
export const explain = (runId: string, db: string | undefined) =>
  Effect.gen(function* () {
    const reader = yield* RunReader
    const { isWorking } = yield* Processes
    const now = yield* Clock.currentTimeMillis
    const details = yield* reader.inspect(runId)
    const waits = yield* awaitedBy(reader, runId)
    const state = yield* (yield* RunStore).load(runId)
    const isOwnerAlive = isWorking(details.run, now)
    const denied = yield* deniedBy(reader, details.failure)
    const uncompensated = RunState.uncompensated(state)
    const found = Why.why({ details, waits, now, isOwnerAlive, uncompensated, denied, signals: state.signals, ...defined({ db }) })
    const signals = state.signals.map(({ id, name, correlation = null, refusedBy = [] }) => ({
      ...{ id, name, correlation },
      refusals: refusedBy.map(({ key, issues }) => ({ ...parseNodeKey(key), issues })),
    }))
    const { status } = details.run
    const again: ReadonlyArray<Action> =
      denied === undefined ? [] : [{ kind: "retry", runId: denied.runId, nodeId: denied.nodeId, iteration: denied.iteration }]
    const isOver = status === "finished"
    const actions: ReadonlyArray<Action> = [
      ...waits.filter(({ isAnswered }) => !isAnswered).flatMap(ofWait),
      ...again,
      ...(details.run.isPaused ? [{ kind: "unpause", runId } as const] : []),
      ...(isOver || isOwnerAlive || status === "cancelled" ? [] : [{ kind: "resume", runId } as const]),
      ...(Status.isEnded(status) ? [] : [{ kind: "cancel", runId } as const]),
    ]
    const { generations } = details
    return { runId, status, ...found, actions, signals, generations, ...defined({ code: generations?.at(-1) }) }
  })
