/**
 * Reads what agents have used.
 */
import { AgentJournal } from "@smithers/core/AgentJournal"
import { Account } from "@smithers/core/Budget"
import { UsageRow } from "@smithers/core/Charges"
import { RunReader } from "@smithers/core/RunReader"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { define } from "./Operation.ts"
import { RunInput } from "./runs.ts"

export const readCosts = define({
  name: "read_costs",
  title: "Reads what the agents of a run have used, and its budgets.",
  scope: "read",
  input: RunInput,
  output: Schema.Struct({ usage: Schema.Array(UsageRow), budgets: Schema.Array(Account) }),
  run: ({ runId }) =>
    Effect.gen(function* () {
      yield* (yield* RunReader).run(runId)
      const journal = yield* AgentJournal
      return { usage: yield* journal.usage({ runIds: [runId] }), budgets: yield* journal.budgets(runId) }
    }),
})

/** What calls of models have used together. */
const Spent = Schema.Struct({
  /** A workflow, or a day in UTC such as `2026-01-31`. */
  name: Schema.String,
  calls: Schema.Number,
  tokens: Schema.Number,
  /** Sum of the known costs, in US dollars. */
  cost: Schema.Number,
  /** Calls without a known price, and calls whose use is not known. */
  unpriced: Schema.Number,
  unknown: Schema.Number,
})
type Spent = typeof Spent.Type

const dayMs = 86_400_000

/** Days of a table, with today. */
const days = 30

const spent = (name: string, rows: ReadonlyArray<UsageRow>): Spent => {
  const models = rows.filter(({ kind }) => kind === "model")
  const sum = (of: (row: UsageRow) => number): number => models.reduce((total, row) => total + of(row), 0)
  return {
    name,
    calls: sum(({ calls }) => calls),
    tokens: sum(({ inputTokens, outputTokens }) => inputTokens + outputTokens),
    cost: sum(({ cost }) => cost),
    unpriced: sum(({ unpriced }) => unpriced),
    unknown: sum(({ unknown }) => unknown),
  }
}

/** Rounds away what adding and subtracting has left behind the ninth place. */
const exact = (cost: number): number => Math.round(cost * 1e9) / 1e9

const minus = (one: Spent, other: Spent): Spent => ({
  name: one.name,
  calls: one.calls - other.calls,
  tokens: one.tokens - other.tokens,
  cost: exact(one.cost - other.cost),
  unpriced: one.unpriced - other.unpriced,
  unknown: one.unknown - other.unknown,
})

export const readAllCosts = define({
  name: "read_all_costs",
  title: "Reads what the agents of all runs have used: by workflow, or by day of the last thirty.",
  scope: "read",
  input: Schema.Struct({
    by: Schema.optional(Schema.Literal("workflow", "day")),
    /** Epoch milliseconds. Default: the beginning, or thirty days ago. */
    since: Schema.optional(Schema.Number),
  }),
  output: Schema.Struct({ by: Schema.Literal("workflow", "day"), rows: Schema.Array(Spent) }),
  run: ({ by = "workflow", since }) =>
    Effect.gen(function* () {
      const { usage } = yield* AgentJournal
      if (by === "workflow") {
        const groups = Map.groupBy(yield* usage(since === undefined ? {} : { since }), ({ workflow }) => workflow)
        const rows = [...groups].map(([workflow, all]) => spent(workflow, all))
        return { by, rows: rows.toSorted((one, other) => other.cost - one.cost || (one.name < other.name ? -1 : 1)) }
      }
      const today = Math.floor((yield* Clock.currentTimeMillis) / dayMs)
      const first = Math.max(today - days + 1, since === undefined ? 0 : Math.ceil(since / dayMs))
      const rows: Array<Spent> = []
      // The sums since each day, newest first, less those since the day after.
      let later = spent("", [])
      for (let day = today; day >= first; day--) {
        const name = new Date(day * dayMs).toISOString().slice(0, 10)
        const until = spent(name, yield* usage({ since: day * dayMs }))
        rows.push(minus(until, later))
        later = until
      }
      return { by, rows: rows.filter(({ calls }) => calls > 0).toReversed() }
    }),
})
