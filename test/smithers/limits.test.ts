/** Limits across processes: real ones, on one file, some of which are killed. */
import { Database } from "bun:sqlite"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"
import { afterEach, beforeEach, expect, it } from "vitest"

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "smithers-limits-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Milliseconds for one test: a busy machine may take ten times as long for each process. */
const timeout = 300_000

const read = <Row>(file: string, sql: string): Array<Row> => {
  if (!existsSync(join(folder, file))) return []
  const db = new Database(join(folder, file), { readonly: true })
  try {
    db.run("PRAGMA busy_timeout = 5000")
    return db.query(sql).all() as Array<Row>
  } catch {
    // The tables may not be there yet.
    return []
  } finally {
    db.close()
  }
}

const spawn = (first: number, count: number) =>
  Bun.spawn(
    [
      "bun",
      join(import.meta.dirname, "fixtures/limited.ts"),
      join(folder, "runs.db"),
      join(folder, "witness.db"),
      `${first}`,
      `${count}`,
    ],
    { stdout: "pipe", stderr: "pipe" },
  )

const seen = () => read<{ step: string; others: number }>("witness.db", "SELECT step, others FROM seen")
const until = async (condition: () => boolean, what: string) => {
  for (const since = performance.now(); !condition(); await Bun.sleep(3))
    if (performance.now() - since > 120_000) throw new Error(`waited in vain until ${what}`)
}

it(
  "processes on one store never exceed a limit together, and the slots of those that are killed come back",
  async () => {
    const count = 6
    const processes = Array.from({ length: 4 }, (_, index) => ({ first: index * count, child: spawn(index * count, count) }))
    let kills = 0
    for (let steps = 6; kills < 4; kills++, steps += 8) {
      await until(() => seen().length >= steps, `${steps} steps began`)
      const victim = processes[kills % processes.length]
      if (victim === undefined) break
      victim.child.kill("SIGKILL")
      await victim.child.exited
      victim.child = spawn(victim.first, count)
    }
    for (const { child } of processes) {
      const output = await new Response(child.stdout).text()
      expect([await child.exited, output, await new Response(child.stderr).text()]).toEqual([0, "done\n", ""])
    }
    const all = seen()
    expect(new Set(all.map(({ step }) => step)).size).toBe(4 * count * 4)
    expect(Math.max(...all.map(({ others }) => others))).toBe(3)
    expect(read("runs.db", "SELECT * FROM smithers_slots WHERE status <> 'spent'")).toEqual([])
  },
  timeout,
)

it(
  "slots that a process held when it was killed are counted by rates, and are free for the next",
  async () => {
    const filename = join(folder, "runs.db")
    const child = spawn(0, 1)
    await until(() => seen().length > 0, "a step began")
    child.kill("SIGKILL")
    await child.exited
    const held = read<{ n: number }>("runs.db", "SELECT count(*) AS n FROM smithers_slots WHERE granted_at IS NOT NULL")[0]?.n ?? 0
    expect(held).toBeGreaterThan(0)
    const Next = Smithers.createWorkflow({ name: "next", input: Schema.Struct({}) }).build(($) =>
      $.step("call", { output: Schema.String, limit: "hub", run: () => "called" }),
    )
    const on = (limits: Smithers.RuntimeOptions["limits"]) =>
      Smithers.sqlite({ filename, ...(limits === undefined ? {} : { limits }) })
    const ran = Effect.provide(Next.execute({}, { runId: "free" }), on({ hub: { concurrency: 1, perHour: held + 1 } }))
    expect(await Effect.runPromise(ran)).toBe("called")
    // Those of the last hour are as many as the limit says, by the process that is gone.
    const kept = Effect.provide(
      Effect.timeoutTo(Next.execute({}, { runId: "late" }), {
        duration: "1500 millis",
        onSuccess: () => "ran",
        onTimeout: () => "waits",
      }),
      on({ hub: { perHour: held + 1 } }),
    )
    expect(await Effect.runPromise(kept)).toBe("waits")
  },
  timeout,
)
