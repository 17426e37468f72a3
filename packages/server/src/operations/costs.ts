/**
 * Reads what agents have used.
 */
import { AgentJournal } from "@smithers/core/AgentJournal"
import { Account } from "@smithers/core/Budget"
import { UsageRow } from "@smithers/core/Charges"
import { RunReader } from "@smithers/core/RunReader"
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

export const readAllCosts = define({
  name: "read_all_costs",
  title: "Reads what the agents of all runs have used since a time.",
  scope: "read",
  input: Schema.Struct({ since: Schema.optional(Schema.Number) }),
  output: Schema.Struct({ usage: Schema.Array(UsageRow) }),
  run: ({ since }) =>
    Effect.gen(function* () {
      const journal = yield* AgentJournal
      return { usage: yield* journal.usage(since === undefined ? {} : { since }) }
    }),
})
