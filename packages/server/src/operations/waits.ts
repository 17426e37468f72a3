/**
 * Reads requests to people, decides about them, and sends signals. A decision names the id and the digest of the request that was
 * shown, so that nobody decides about content they have not seen.
 */
import * as BudgetCommands from "@smithers/core/BudgetCommands"
import * as Commands from "@smithers/core/Commands"
import type { RunNotFound, StoreError } from "@smithers/core/Errors"
import type * as Millis from "@smithers/core/Millis"
import { PublishedEvent } from "@smithers/core/Published"
import { PendingKind } from "@smithers/core/RunEvent"
import { RunReader, type RunSummary, WaitSummary } from "@smithers/core/RunReader"
import { defined } from "@smithers/core/Struct"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Caller } from "./Caller.ts"
import { OwnRequest, StaleRequest } from "./Errors.ts"
import { define } from "./Operation.ts"
import { limitField, RunInput } from "./runs.ts"

const Waits = Schema.Struct({ waits: Schema.Array(WaitSummary) })

export const readWaits = define({
  name: "read_waits",
  title: "Reads the waits of a run, oldest first: open and closed, or only open ones.",
  scope: "read",
  input: Schema.Struct({ ...RunInput.fields, all: Schema.optional(Schema.Boolean) }),
  output: Waits,
  run: ({ runId, all = true }) =>
    Effect.gen(function* () {
      const reader = yield* RunReader
      yield* reader.run(runId)
      return { waits: yield* reader.waits({ runId, all, limit: Number.MAX_SAFE_INTEGER }) }
    }),
})

const people: ReadonlyArray<typeof PendingKind.Type> = ["approval", "human"]

export const readInbox = define({
  name: "read_inbox",
  title: "Reads the open requests to people, of all runs, oldest first.",
  scope: "read",
  input: Schema.Struct({ kind: Schema.optional(Schema.Array(PendingKind)), limit: limitField }),
  output: Schema.Struct({
    ...Waits.fields,
    /** `true` if there are later ones beyond the limit. */
    hasMore: Schema.Boolean,
  }),
  run: ({ kind = people, limit = 100 }) =>
    Effect.gen(function* () {
      const waits = yield* (yield* RunReader).waits({ kind, isAnswered: false, limit: limit + 1 })
      return { waits: waits.slice(0, limit), hasMore: waits.length > limit }
    }),
})

const asked = {
  runId: Schema.String,
  node: Schema.String,
  iteration: Schema.optional(Schema.Number),
  requestId: Schema.String,
  digest: Schema.String,
}

const Receipt = Schema.Struct({
  runId: Schema.String,
  nodeId: Schema.String,
  iteration: Schema.Number,
  requestId: Schema.NullOr(Schema.String),
  by: Schema.String,
  /** Epoch milliseconds. */
  at: Schema.Number,
})

interface Named {
  readonly runId: string
  readonly node: string
  readonly iteration?: number | undefined
  readonly requestId: string
  readonly digest: string
}

/** The first of the runs that go on as one another. Together they are one run to whoever works in it. */
const firstOf = ({ runId, chain }: Pick<RunSummary, "runId" | "chain">): string => chain?.first ?? runId

/** Returns `true` if a run is one that began as `first`, or descends of it: as a child run or as a fork. */
const descends = (reader: RunReader["Type"], runId: string, first: string): Effect.Effect<boolean, StoreError | RunNotFound> =>
  Effect.gen(function* () {
    const { run } = yield* reader.run(runId)
    if (runId === first || firstOf(run) === first) return true
    for (const above of [run.parent?.runId, run.forkedFrom?.runId])
      if (above !== undefined && (yield* descends(reader, above, first))) return true
    return false
  }).pipe(
    // The original of a fork may have been deleted.
    Effect.catchTag("RunNotFound", (error) => (error.runId === runId ? Effect.succeed(runId === first) : Effect.fail(error))),
  )

/** Fails if a run is that of the caller, goes on as it or from it, or descends of it. */
export const refuseOwn = (runId: string) =>
  Effect.gen(function* () {
    const { runId: callerRunId } = yield* Caller
    if (callerRunId === undefined) return
    const reader = yield* RunReader
    const first = yield* reader.run(callerRunId).pipe(
      Effect.map(({ run }) => firstOf(run)),
      Effect.catchTag("RunNotFound", () => Effect.succeed(callerRunId)),
    )
    if (yield* descends(reader, runId, first)) return yield* new OwnRequest({ runId, callerRunId })
  })

/** Decides about a request if it is the one that was shown. */
const decide = <E extends { readonly _tag: string }, R>(
  { runId, node, iteration, requestId, digest }: Named,
  kind: "approval" | "human",
  say: (options: {
    readonly iteration?: number
    readonly request: string
    readonly by: string
  }) => Effect.Effect<Commands.DecisionReceipt, E, R>,
) =>
  Effect.gen(function* () {
    const reader = yield* RunReader
    const { name: by } = yield* Caller
    yield* reader.run(runId)
    yield* refuseOwn(runId)
    const waits = yield* reader.waits({ runId, kind: [kind], all: true, limit: Number.MAX_SAFE_INTEGER })
    const nodeId = Commands.resolveNodeId(node, waits)
    const mine = waits.filter((wait) => wait.nodeId === nodeId && (iteration === undefined || wait.iteration === iteration))
    const stale = Effect.gen(function* () {
      const current = yield* reader.wait({ runId, nodeId, kind, iteration })
      return yield* new StaleRequest({ runId, nodeId, requestId, current: current?.status === "open" ? current : null })
    })
    const meant = mine.find((wait) => wait.requestId === requestId)
    if (meant === undefined || meant.digest !== digest) return yield* stale
    const said = yield* Effect.catchIf(
      say({ iteration: meant.iteration, request: requestId, by }),
      ({ _tag }) => _tag === "RequestChanged",
      () => stale,
    )
    return { runId, nodeId: said.nodeId, iteration: said.iteration, requestId: said.requestId, by, at: said.at }
  })

export const approve = define({
  name: "approve",
  title: "Approves a request.",
  scope: "decide",
  input: Schema.Struct({
    ...asked,
    note: Schema.optional(Schema.String),
    /** Key of the option, for a request that has options. */
    selected: Schema.optional(Schema.String),
  }),
  output: Receipt,
  run: ({ note, selected, ...input }) =>
    decide(input, "approval", (options) =>
      BudgetCommands.allow(input.runId, input.node, { ...options, ...defined({ note, choose: selected }) }),
    ),
})

export const deny = define({
  name: "deny",
  title: "Denies a request.",
  scope: "decide",
  input: Schema.Struct({ ...asked, note: Schema.optional(Schema.String) }),
  output: Receipt,
  run: ({ note, ...input }) =>
    decide(input, "approval", (options) => Commands.deny(input.runId, input.node, { ...options, ...defined({ note }) })),
})

export const answer = define({
  name: "answer",
  title: "Answers a question.",
  scope: "decide",
  input: Schema.Struct({ ...asked, value: Schema.Unknown }),
  output: Receipt,
  run: ({ value, ...input }) => decide(input, "human", (options) => Commands.answer(input.runId, input.node, value, options)),
})

export const publish = define({
  name: "publish",
  title: "Publishes an event to every run that waits for a signal of its name and correlation. The same id counts once.",
  scope: "operate",
  input: Schema.Struct({
    name: Schema.String,
    id: Schema.String,
    correlation: Schema.optional(Schema.String),
    payload: Schema.optional(Schema.Unknown),
    keep: Schema.optional(Schema.String).annotations({
      description: "Time for which it is kept for a wait to come, such as 12 hours. Default: 1 day",
    }),
  }),
  output: Schema.Struct({ event: PublishedEvent }),
  run: ({ name, id, correlation, payload, keep }) => {
    // A text that is no duration is refused there.
    const kept = keep as Millis.DurationLike | undefined
    return Effect.map(Commands.publish(name, { id, ...defined({ correlation, payload, keep: kept }) }), (event) => ({ event }))
  },
})

export const listPublished = define({
  name: "list_published",
  title: "Lists published events, latest first, with the runs that took them.",
  scope: "read",
  input: Schema.Struct({ id: Schema.optional(Schema.String), limit: limitField }),
  output: Schema.Struct({ events: Schema.Array(PublishedEvent) }),
  run: (filter) => Effect.map(Commands.published(defined(filter)), (events) => ({ events })),
})

export const signal = define({
  name: "signal",
  title: "Sends a signal to a run. The same id counts once.",
  scope: "operate",
  input: Schema.Struct({
    runId: Schema.String,
    name: Schema.String,
    id: Schema.String,
    correlation: Schema.optional(Schema.String),
    payload: Schema.optional(Schema.Unknown),
  }),
  output: RunInput,
  run: ({ runId, name, ...options }) => Effect.as(Commands.signal(runId, name, defined(options)), { runId }),
})
