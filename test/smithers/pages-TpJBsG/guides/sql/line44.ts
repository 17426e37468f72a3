import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlSchema from "@effect/sql/SqlSchema"
import { Effect, Schema } from "effect"
import { Sql } from "smithers-orchestrator/sql"
import { Review } from "./review.ts"

const program = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const all = yield* Sql.rows(Review, "analyze")
  const high = yield* Sql.rows(Review, "analyze", { where: sql`risk = ${"high"}`, limit: 100 })
  const execute = (runId: string) => sql`SELECT * FROM review_analyze WHERE run_id = ${runId}`
  const one = yield* SqlSchema.findOne({ Request: Schema.String, Result: Sql.row(Review, "analyze"), execute })("r1")
  return [all.length, high[0]?.output.summary, one._tag]
})
console.log(await Effect.runPromise(program.pipe(Effect.provide(Sql.reader({ filename: "smithers.db" })))))
