import * as SqlClient from "@effect/sql/SqlClient"
import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"
import { Sql } from "smithers-orchestrator/sql"

const Pay = Smithers.createWorkflow({
  name: "pay",
  input: Schema.Struct({ from: Schema.String, to: Schema.String, amount: Schema.Number }),
}).build(($) =>
  $.step("pay", {
    output: Schema.Struct({ left: Schema.Number }),
    run: (step) =>
      Sql.transaction(
        step,
        Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          yield* sql`UPDATE accounts SET balance = balance - ${step.input.amount} WHERE id = ${step.input.from}`
          yield* sql`UPDATE accounts SET balance = balance + ${step.input.amount} WHERE id = ${step.input.to}`
          const [row] = yield* sql<{ readonly left: number }>`SELECT balance AS left FROM accounts WHERE id = ${step.input.from}`
          return { left: row?.left ?? 0 }
        }),
      ),
  }),
)

// Tables of yours are made outside of steps, by statements or by a Migrator of @effect/sql.
const tables = Sql.atomic(
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE IF NOT EXISTS accounts (id TEXT PRIMARY KEY, balance INTEGER NOT NULL) STRICT`
    yield* sql`INSERT OR IGNORE INTO accounts VALUES ('a', 10), ('b', 0)`
  }),
)

const program = Effect.zipRight(tables, Pay.execute({ from: "a", to: "b", amount: 3 }, { runId: "p1" }))
console.log(await Effect.runPromise(program.pipe(Effect.provide(Smithers.sqlite({ filename: "smithers.db" })))))
