/**
 * Measures loads of the state of a run as of a frame, and forks of it, in a process of its own:
 * `bun bench/lookback.ts <make|load|fork> <steps> <file>`. `make` runs a workflow of that many steps; `load` and `fork` open the file and
 * take frames spread over the run. They print one line of JSON: the first of the process, at the last frame, then the median and the slowest of the
 * others. `fork` also prints what the rows of all steps take as plain SQL, with the same sync.
 */
import { Database } from "bun:sqlite"
import { Storage } from "@smithers/core/Storage"
import { SqliteStorage } from "@smithers/sqlite"
import { Effect } from "effect"
import { Smithers } from "smithers-orchestrator"
import * as workflows from "./workflows.ts"

const [what, stepsText, filename = ""] = process.argv.slice(2)
const steps = Number(stepsText)
const runId = "long"

/** Frames that are loaded after the first one. */
const loads = 200

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const begin = performance.now()
    yield* effect
    return performance.now() - begin
  })

const measure = Effect.gen(function* () {
  const storage = yield* Storage
  const { frame } = yield* storage.load(runId)
  const firstMs = yield* timed(storage.load(runId, { frame }))
  // Spread over the run, without an order.
  const frames = Array.from({ length: loads }, (_, index) => 1 + ((index * 7919) % frame))
  const times = yield* Effect.forEach(frames, (at) => timed(storage.load(runId, { frame: at })))
  const sorted = times.toSorted((left, right) => left - right)
  console.log(JSON.stringify({ frame, firstMs, ms: sorted[loads >> 1], worstMs: sorted.at(-1) }))
})

/** Frames that are forked after the first one. */
const forks = 20

/** Copies the rows of the run's steps as plain SQL: what a fork as of its last frame cannot do without. */
const copying = () => {
  const database = new Database(filename)
  database.run("PRAGMA synchronous = FULL")
  const outputs = database.query<{ readonly name: string }, []>("SELECT table_name AS name FROM smithers_outputs").all()
  const tables = new Set(["smithers_nodes", "smithers_attempt_rows", ...outputs.map(({ name }) => name)])
  const copies = [...tables].map((table) => {
    const names = database.query<{ readonly name: string }, []>(`SELECT name FROM pragma_table_info('${table}')`).all()
    const columns = names.flatMap(({ name }) => (name === "run_id" ? [] : [`"${name}"`])).join(", ")
    return database.prepare(
      `INSERT INTO "${table}" (run_id, ${columns}) SELECT ?1, ${columns} FROM "${table}" WHERE run_id = '${runId}'`,
    )
  })
  return database.transaction((as: string) => {
    for (const copy of copies) copy.run(as)
  })
}

const forking = Effect.gen(function* () {
  const storage = yield* Storage
  const { frame } = yield* storage.load(runId)
  const flow = workflows.sequential(steps)
  const firstMs = yield* timed(flow.fork(runId, { frame }))
  const frames = Array.from({ length: forks }, (_, index) => 1 + ((index * 7919) % frame))
  const times = yield* Effect.forEach(frames, (at) => timed(flow.fork(runId, { frame: at })))
  const sorted = times.toSorted((left, right) => left - right)
  const copy = copying()
  const raw = yield* Effect.forEach(frames, (at) => timed(Effect.sync(() => copy(`raw-${at}`))))
  const rawMs = raw.toSorted((left, right) => left - right)[forks >> 1]
  console.log(JSON.stringify({ frame, firstMs, ms: sorted[forks >> 1], worstMs: sorted.at(-1), rawMs }))
})

const begin = workflows.sequential(steps).execute({ count: steps }, { runId })
await (what === "make"
  ? Effect.runPromise(Effect.provide(begin, Smithers.sqlite({ filename })))
  : Effect.runPromise(Effect.provide(what === "fork" ? forking : measure, SqliteStorage.layer({ filename }))))
