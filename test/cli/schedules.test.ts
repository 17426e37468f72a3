/**
 * Schedules from the terminal. Each command and each supervisor is a process of its own, on the clock of the machine.
 */
import { Database } from "bun:sqlite"
import { readFileSync, writeFileSync } from "node:fs"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder } from "./Fixture.ts"

let place: Folder
beforeEach(() => {
  place = folder()
  writeFileSync(
    place.file("beat.ts"),
    `import { appendFileSync } from "node:fs"
import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
export default Smithers.createWorkflow({ name: "beat", input: Schema.Struct({ n: Schema.Number }) }).build(($) =>
  $.step("only", { output: Schema.String, run: ({ runId }) => {
    appendFileSync("beats.txt", runId + "\\n")
    return runId
  } }))
`,
  )
})
afterEach(() => place.remove())

const runs = (): ReadonlyArray<{ readonly run_id: string; readonly status: string }> => {
  const database = new Database(place.file("smithers.db"), { readonly: true })
  try {
    database.run("PRAGMA busy_timeout = 5000")
    return database.query<{ run_id: string; status: string }, []>("SELECT run_id, status FROM smithers_runs ORDER BY run_id").all()
  } finally {
    database.close()
  }
}

const until = async (isSo: () => boolean | Promise<boolean>, forMs: number): Promise<void> => {
  for (const end = performance.now() + forMs; !(await isSo()); await Bun.sleep(50))
    if (performance.now() > end) throw new Error(`not within ${forMs} ms`)
}

describe("a schedule", () => {
  it("fires each tick once, with two supervisors of which one is killed as it fires", async () => {
    expect((await place.run("schedule", "add", "beat.ts", "--cron", "* * * * *", "--input", '{"n":1}')).code).toBe(0)
    const first = place.start(["supervise"])
    const second = place.start(["supervise"])
    await until(() => [first, second].every((one) => one.said().stdout.includes("watching")), 20_000)
    // The tick comes within the minute.
    const hasFired = (one: typeof first) => /fired|resumed/.test(one.said().stdout)
    await until(() => hasFired(first) || hasFired(second), 75_000)
    const [killed, other] = hasFired(first) ? [first, second] : [second, first]
    killed.kill("SIGKILL")
    await until(() => runs().length > 0 && runs().every(({ status }) => status === "finished"), 40_000)
    other.kill("SIGTERM")
    await Promise.all([killed.result, other.result])
    const { value } = await place.json("schedule", "show", "beat")
    const { last } = value as { readonly last: ReadonlyArray<{ readonly runId: string | null; readonly tick: number }> }
    expect(new Set(last.map(({ tick }) => tick)).size).toBe(last.length)
    // Each step ran once, whichever process had the run.
    const beats = readFileSync(place.file("beats.txt"), "utf8").trim().split("\n")
    expect(beats.toSorted()).toEqual(runs().map(({ run_id }) => run_id))
    expect(runs().map(({ run_id }) => run_id)).toEqual(last.flatMap(({ runId }) => (runId === null ? [] : [runId])).sort())
  }, 150_000)

  it("tells what becomes of ticks, is paused and removed, and names what is wrong with its options", async () => {
    const add = ["schedule", "add", "beat.ts", "--cron", "30 2 1 1 *", "--tz", "Europe/Berlin", "--overlap", "queue"]
    const missing = await place.run(...add)
    expect([missing.code, missing.stderr]).toEqual([4, expect.stringContaining("n: is missing")])
    const wrong = await place.run("schedule", "add", "beat.ts", "--cron", "30 2 1", "--input", '{"n":1}')
    expect([wrong.code, wrong.stderr]).toEqual([4, expect.stringMatching(/^--cron is "30 2 1": it must be five fields/)])
    const added = await place.run(...add, "--input", '{"n":1}')
    expect(added.stdout).toMatch(/^Added schedule beat. Next: \d{4}-01-01 02:30 GMT\+1\.\n/)
    expect((await place.run(...add, "--input", '{"n":2}', "--on-existing", "refuse")).code).toBe(4)
    expect((await place.run(...add, "--input", '{"n":1}')).stdout).toContain("Stored schedule beat")
    expect((await place.run("schedule", "list")).stdout).toMatch(/beat +beat +30 2 1 1 \* +Europe\/Berlin/)
    const one = await place.json("schedule", "run-now", "beat")
    expect(one.value).toMatchObject({ tick: { outcome: "started" } })
    expect((await place.json("schedule", "run-now", "beat")).value).toMatchObject({ tick: { outcome: "queued" } })
    expect((await place.run("schedule", "pause", "beat")).stdout).toContain("is paused")
    expect((await place.run("supervise", "--once")).code).toBe(0)
    // A queued tick waits for the end of the pause.
    expect(runs().map(({ status }) => status)).toEqual(["finished"])
    expect((await place.run("schedule", "show", "beat")).stdout).toMatch(/^Schedule beat, paused\n(?:.*\n)* {2}queued: 1 tick\n/)
    expect((await place.run("schedule", "unpause", "beat")).stdout).toMatch(/Next: \d{4}-01-01/)
    await place.run("supervise", "--once")
    await place.run("supervise", "--once")
    expect(runs().map(({ status }) => status)).toEqual(["finished", "finished"])
    expect((await place.run("schedule", "rm", "beat")).code).toBe(0)
    const gone = await place.run("schedule", "show", "beat")
    expect([gone.code, gone.stderr]).toEqual([4, expect.stringContaining('There is no schedule "beat"')])
    expect(runs()).toHaveLength(2)
  }, 60_000)
})

describe("a run that starts later", () => {
  it("is listed and explained until then, without a process, and is started by a supervisor", async () => {
    const up = ["up", "beat.ts", "--input", '{"n":1}']
    for (const [wrong, said] of [
      [["--delay", "soon"], '--delay must be a time such as 2h, not "soon"'],
      [["--start-at", "soon"], '--start-at must be a date such as 2030-01-31T18:00Z, not "soon"'],
      [["--delay", "2h", "--start-at", "2030-01-31T18:00Z"], "Give --start-at or --delay, not both"],
    ] as const) {
      const { code, stderr } = await place.run(...up, ...wrong)
      expect([code, stderr]).toEqual([4, expect.stringContaining(said)])
    }
    const started = await place.run(...up, "--run-id", "late", "--delay", "6s")
    expect([started.code, started.stdout]).toEqual([3, expect.stringContaining("start of the run")])
    expect((await place.run("ps")).stdout).toMatch(/late +beat +waiting-timer .*start of the run: its time, in /)
    expect((await place.run("why", "late")).stdout).toMatch(/waits for a time: its start is due in .*; it has to be resumed then\./)
    await place.run(...up, "--run-id", "never", "--start-at", "2030-01-31T18:00Z")
    expect((await place.run("cancel", "never")).code).toBe(0)
    const supervised = place.start(["supervise"])
    await until(() => runs().some(({ run_id, status }) => run_id === "late" && status === "finished"), 30_000)
    supervised.kill("SIGTERM")
    await supervised.result
    expect(runs()).toContainEqual({ run_id: "never", status: "cancelled" })
  }, 60_000)
})
