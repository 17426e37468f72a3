/**
 * Measures transactional steps in a process of their own: `bun bench/sql.ts <steps|empty|load> <size> <synchronous> <file>`. Prints one line of JSON.
 */
import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"
import { peakBytes } from "./peak.ts"
import { roundsOf, warm } from "./warm.ts"
import * as workflows from "./workflows.ts"

const [what, sizeText, synchronous, filename = ""] = process.argv.slice(2)
const size = Number(sizeText)

// After the facade, as its users load it.
const begin = performance.now()
const [{ Sql }, { SqlClient }] = await Promise.all([import("smithers-orchestrator/sql"), import("@effect/sql/SqlClient")])
const loadMs = performance.now() - begin

const tables = Sql.atomic(
  Effect.gen(function* () {
    const sql = yield* SqlClient
    yield* sql`CREATE TABLE accounts (id TEXT PRIMARY KEY, balance INTEGER NOT NULL) STRICT`
    yield* sql`CREATE TABLE entries (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL) STRICT`
    yield* sql`INSERT INTO accounts VALUES ('a', 0)`
  }),
)

/** One update and one row, as a transfer has them. */
const pay = Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`UPDATE accounts SET balance = balance + 1 WHERE id = 'a'`
  yield* sql`INSERT INTO entries (amount) VALUES (1)`
  return { index: 1 }
})

const transactional = Smithers.createWorkflow({ name: "transactional", input: Schema.Struct({ count: Schema.Number }) }).build(
  ($) =>
    $.sequence(
      ...Array.from({ length: size }, (_, index) =>
        $.step(`step-${index}`, { output: Schema.Struct({ index: Schema.Number }), run: (step) => Sql.transaction(step, pay) }),
      ),
    ),
)

const timed = (workflow: typeof transactional) =>
  Effect.gen(function* () {
    const start = performance.now()
    yield* workflow.execute({ count: size })
    return performance.now() - start
  })

const repeated = (workflow: typeof transactional) => {
  const rounds = roundsOf(size)
  const all = Effect.zipRight(tables, Effect.all(Array.from({ length: rounds }, () => timed(workflow))))
  const mode = synchronous === "full" ? "full" : "normal"
  return Effect.runPromise(Effect.provide(all, Smithers.sqlite({ filename, synchronous: mode }))).then((times) =>
    console.log(JSON.stringify({ firstMs: times[0], ms: warm(times), rounds, peakBytes: peakBytes() })),
  )
}

switch (what) {
  case "steps":
    await repeated(transactional)
    break
  case "empty":
    await repeated(workflows.sequential(size))
    break
  case "load":
    console.log(JSON.stringify({ ms: loadMs }))
    break
  default:
    throw new Error(`nothing is measured as "${what}"`)
}
