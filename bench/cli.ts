/**
 * Measures how long the command line takes: whole processes, from their start to their end.
 */
import { Database } from "bun:sqlite"
import { join } from "node:path"
import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

/** A figure, and what was to be reached. */
export interface CliFigure {
  readonly goal: string
  readonly ms: number
  readonly limitMs: number
}

const bin = join(import.meta.dir, "..", "packages", "smithers", "src", "bin.ts")

const processMs = (args: ReadonlyArray<string>): number => {
  const begin = performance.now()
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, bin, ...args])
  if (exitCode !== 0) throw new Error(`smithers ${args.join(" ")} ended with ${exitCode}: ${stderr}`)
  return performance.now() - begin
}

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((left, right) => left - right)[values.length >> 1] as number

/** Makes a database of many runs, which are copies of one. */
export const fill = async (file: string, runs: number): Promise<void> => {
  const workflow = Smithers.createWorkflow({ name: "bench", input: Schema.Struct({}) }).build(($) =>
    $.step("one", { output: Schema.Int, run: () => 1 }),
  )
  await Effect.runPromise(Effect.provide(workflow.execute({}, { runId: "r" }), Smithers.sqlite({ filename: file })))
  const db = new Database(file)
  for (const table of ["smithers_runs", "smithers_frames", "smithers_nodes", "smithers_attempt_rows", "smithers_events"]) {
    const columns = db.query<{ name: string }, [string]>("SELECT name FROM pragma_table_info(?)").all(table)
    const values = columns.map(({ name }) => (name === "run_id" ? "'r' || n" : name === "created_at" ? "created_at + n" : name))
    db.run(
      `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${runs - 1})
       INSERT INTO ${table} (${columns.map(({ name }) => name).join(", ")})
       SELECT ${values.join(", ")} FROM numbers, ${table} WHERE run_id = 'r'`,
    )
  }
  db.close()
}

/** Measures it on a new file. */
export const cliFigures = async (file: string, repeats: number): Promise<ReadonlyArray<CliFigure>> => {
  await fill(file, 10_000)
  const measure = (...args: ReadonlyArray<string>) => median(Array.from({ length: repeats * 3 }, () => processMs(args)))
  return [
    { goal: "`smithers --version` under 150 ms, whole process", ms: measure("--version"), limitMs: 150 },
    { goal: "`smithers ps` on 10,000 runs under 300 ms, whole process", ms: measure("ps", "--db", file), limitMs: 300 },
  ]
}
