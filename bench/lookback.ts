/**
 * Measures loads of the state of a run as of a frame, in a process of its own: `bun bench/lookback.ts <make|load> <steps> <file>`.
 * `make` runs a workflow of that many steps; `load` opens the file and loads frames spread over the run. Prints one line of JSON:
 * the first load of the process, at the last frame, then the median and the slowest of the others.
 */
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

const begin = workflows.sequential(steps).execute({ count: steps }, { runId })
await (what === "make"
  ? Effect.runPromise(Effect.provide(begin, Smithers.sqlite({ filename })))
  : Effect.runPromise(Effect.provide(measure, SqliteStorage.layer({ filename }))))
