/**
 * Ten transfers between two accounts, in tables beside the run itself. Stop it at any moment, also with `kill -9`, and start it again: each transfer is
 * made once. `bun examples/transfers.ts [run id]`
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"
import { Sql } from "smithers-orchestrator/sql"

const tables = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE IF NOT EXISTS accounts (id TEXT PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0)) STRICT`
  yield* sql`INSERT OR IGNORE INTO accounts VALUES ('ann', 100), ('bob', 0)`
})

const transfer = (amount: number) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`UPDATE accounts SET balance = balance - ${amount} WHERE id = 'ann'`
    yield* sql`UPDATE accounts SET balance = balance + ${amount} WHERE id = 'bob'`
    const [row] = yield* sql<{ readonly balance: number }>`SELECT balance FROM accounts WHERE id = 'bob'`
    return { bob: row?.balance ?? 0 }
  })

const Transfers = Smithers.createWorkflow({ name: "transfers", input: Schema.Struct({ amount: Schema.Number }) }).build(($) =>
  $.loop({
    id: "transfers",
    body: $.step("transfer", {
      output: Schema.Struct({ bob: Schema.Number }),
      run: (step) =>
        Sql.transaction(step, transfer(step.input.amount)).pipe(
          Effect.tap(({ bob }) => Effect.log(`bob has ${bob}`)),
          Effect.delay("500 millis"),
        ),
    }),
    until: ({ iteration }) => iteration === 10,
    maxIterations: 10,
  }),
)

const [runId = "transfers"] = process.argv.slice(2)
const filename = "transfers.db"
const program = Effect.zipRight(Sql.atomic(tables), Transfers.execute({ amount: 1 }, { runId }))
await Effect.runPromise(Effect.provide(program, Smithers.sqlite({ filename })))

const rows = await Effect.runPromise(Effect.provide(Sql.rows(Transfers, "transfer", { runId }), Sql.reader({ filename })))
console.log(rows.map(({ iteration, output }) => `${iteration}: bob ${output.bob}`).join(", "))
