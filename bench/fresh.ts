/**
 * Workloads as a process meets them that has just begun, where most of the time goes to loading and compiling. Each figure is a
 * process of its own: `bun bench/fresh.ts <workload> <size> <synchronous> <file>`, which prints what it measured as one line of
 * JSON. Thirty steps are run before the clock starts, except where the start of the process is what is measured.
 */
import { Database } from "bun:sqlite"
import { Effect } from "effect"
import { Smithers } from "smithers-orchestrator"
import { peakBytes } from "./peak.ts"
import { wallClock } from "./warm.ts"
import * as workflows from "./workflows.ts"

const [workload, sizeText, synchronous, filename = ""] = process.argv.slice(2)
const size = Number(sizeText)
const warmUp = 30

const onFile = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) =>
  Effect.runPromise(
    effect.pipe(Effect.provide(Smithers.sqlite({ filename, synchronous: synchronous === "full" ? "full" : "normal" }))),
  )

const report = (measured: Record<string, number>) => console.log(JSON.stringify({ ...measured, peakBytes: peakBytes() }))

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    yield* workflows.sequential(warmUp).execute({ count: warmUp })
    const cpu = process.cpuUsage()
    const begin = performance.now()
    yield* effect
    const ms = performance.now() - begin
    const { user, system } = process.cpuUsage(cpu)
    report({ ms, cpuMs: (user + system) / 1000 })
  })

/** Commits `size` times the least rows that such a promise needs: a state, an output and a line of a log. */
const threeRows = () => {
  const database = new Database(filename)
  database.run("PRAGMA journal_mode = WAL")
  database.run(`PRAGMA synchronous = ${synchronous === "full" ? "FULL" : "NORMAL"}`)
  database.run(
    "CREATE TABLE state (run_id TEXT, node_id TEXT, status TEXT, at INTEGER, PRIMARY KEY (run_id, node_id)) STRICT, WITHOUT ROWID",
  )
  database.run(
    "CREATE TABLE output (run_id TEXT, node_id TEXT, value INTEGER, PRIMARY KEY (run_id, node_id)) STRICT, WITHOUT ROWID",
  )
  database.run("CREATE TABLE log (run_id TEXT, seq INTEGER, event TEXT, PRIMARY KEY (run_id, seq)) STRICT, WITHOUT ROWID")
  const prepared = (sql: string) => database.prepare<unknown, Array<string | number>>(sql)
  const begin = prepared("BEGIN IMMEDIATE")
  const commit = prepared("COMMIT")
  const state = prepared("INSERT INTO state VALUES (?, ?, ?, ?)")
  const output = prepared("INSERT INTO output VALUES (?, ?, ?)")
  const log = prepared("INSERT INTO log VALUES (?, ?, ?)")
  const step = (runId: string, index: number) => {
    begin.run()
    state.run(runId, `step-${index}`, "finished", Date.now())
    output.run(runId, `step-${index}`, index)
    log.run(runId, index, JSON.stringify({ _tag: "AttemptSucceeded", nodeId: `step-${index}`, attempt: 1 }))
    commit.run()
  }
  for (let index = 0; index < warmUp; index++) step("warm", index)
  const cpu = process.cpuUsage()
  const started = performance.now()
  for (let index = 0; index < size; index++) step("run", index)
  const ms = performance.now() - started
  const { user, system } = process.cpuUsage(cpu)
  report({ ms, cpuMs: (user + system) / 1000 })
}

/** Each of `size` runs waits 150 ms; then it is sent a signal. From sending it to the beginning of its next step. */
const signalled = Effect.gen(function* () {
  const begun: Array<number> = []
  const workflow = workflows.told("signal", (index) => {
    begun[index] = performance.now()
  })
  const times: Array<number> = []
  for (let index = 0; index < size; index++) {
    const handle = yield* workflow.start({ index }, { runId: `r${index}` })
    yield* handle.waiting
    yield* Effect.sleep(150)
    const sentAt = performance.now()
    yield* Smithers.signal(`r${index}`, "news")
    yield* handle.await
    times.push((begun[index] as number) - sentAt)
  }
  const sorted = times.toSorted((left, right) => left - right)
  report({ ms: sorted[sorted.length >> 1] as number, worstMs: sorted.at(-1) as number })
})

switch (workload) {
  case "rows":
    threeRows()
    break
  case "sequential":
    await onFile(timed(workflows.sequential(size).execute({ count: size })))
    break
  case "parallel":
    await onFile(timed(workflows.parallel(size).execute({ count: size })))
    break
  case "many":
    await onFile(timed(workflows.many(size, 3)))
    break
  case "signal":
    await onFile(signalled)
    break
  case "one":
    await onFile(workflows.sequential(1).execute({ count: 1 }))
    report({ ms: performance.now() })
    break
  case "interrupted": {
    // Says when half is done, so that the parent can kill; resuming says when its first new step began.
    let isFirst = true
    const workflow = workflows.sequential(size, (index) => {
      if (isFirst && index > 0) console.log(JSON.stringify({ at: wallClock(), sinceStartMs: performance.now() }))
      isFirst = false
      if (index === size / 2) console.log("half")
    })
    await onFile(workflow.execute({ count: size }, { runId: "interrupted" }))
    break
  }
  default:
    throw new Error(`no workload "${workload}"`)
}
