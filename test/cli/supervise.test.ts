/**
 * Supervising with real processes: deploys that are broken for a while, runs with odd names, steps that never return.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder, until } from "./Fixture.ts"

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place.remove())

/** Milliseconds for what takes a process a second or two, on a machine that is busy. */
const patienceMs = 100_000

interface Line {
  readonly at: number
  readonly action: string
  readonly runId: string | null
  readonly message: string
}

/** Starts a supervisor, and reads what it says. */
const supervise = (...args: ReadonlyArray<string>) => {
  const process = place.start(["supervise", "--interval", "1s", "--json", ...args])
  const lines = (): ReadonlyArray<Line> =>
    process
      .said()
      .stdout.split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line)
  return { ...process, lines }
}

const statuses = async (): Promise<{ readonly [runId: string]: string }> => {
  const { value } = await place.json("ps", "--limit", "100")
  const { runs } = value as { readonly runs: ReadonlyArray<{ readonly runId: string; readonly status: string }> }
  return Object.fromEntries(runs.map(({ runId, status }) => [runId, status]))
}

const source = (steps: string, more = ""): string => `import { Smithers } from "smithers-orchestrator"
import { existsSync, writeFileSync } from "node:fs"
import { Effect, Schema } from "effect"
${more}
export default Smithers.createWorkflow({ name: "deployed", input: Schema.Struct({}) }).build(($) => $.sequence(${steps}))
`

const first = (output: string) => `$.step("first", { output: ${output}, run: () => ({ text: "one" }) })`
const rest = `$.signal("go", { name: "go", payload: Schema.Struct({}) }), $.step("last", { output: Schema.String, run: () => "done" })`
const good = source(`${first("Schema.Struct({ text: Schema.String })")}, ${rest}`)

/** What a broken deploy looks like, and what is said of it. */
const broken: ReadonlyArray<readonly [source: string, said: RegExp]> = [
  [good.replace("export default", "export default ("), /cannot be parsed/],
  [source(rest, `import { nothing } from "./not-there.ts"\nnothing()`), /cannot be loaded.*not-there/s],
  [source(rest, `throw new Error("no key")`), /no key/],
  [
    source(`${first("Schema.Struct({ text: Schema.Number })")}, ${rest}`),
    /has column "text" as TEXT, and the schema now wants REAL/,
  ],
  [source(`${first("Schema.Struct({ text: Schema.String.pipe(Schema.minLength(9)) })")}, ${rest}`), /outputs that do not fit/],
  [good.replace(`name: "deployed"`, `name: "renamed"`), /belongs to workflow "deployed"/],
  [good.replace("export default", "export const another = 1\nconst unused ="), /no default export/],
  [source(`$.step("first", { output: Schema.String, run: 1 })`), /cannot be built/],
]

describe("a broken deploy", () => {
  it("ends no run, says why they are stuck, takes what they are told, spins not, and is picked up when repaired", {
    timeout: 400_000,
  }, async () => {
    writeFileSync(place.file("deployed.ts"), good)
    const runIds = ["r1", "r2", "r3"]
    for (const runId of runIds) expect((await place.run("up", "deployed.ts", "--run-id", runId)).code).toBe(3)
    writeFileSync(place.file("deployed.ts"), broken[0]?.[0] ?? "")
    const supervisor = supervise()
    for (const runId of ["r1", "r2"]) expect((await place.run("signal", runId, "go", "--data", "{}")).code).toBe(0)
    for (const [text, said] of broken) {
      writeFileSync(place.file("deployed.ts"), text)
      for (const runId of ["r1", "r2"])
        await until(
          () => supervisor.lines().some((line) => line.action === "refused" && line.runId === runId && said.test(line.message)),
          () => `${said} is said of ${runId}: ${supervisor.said().stdout.slice(-2000)}`,
          patienceMs,
        )
      const { value } = await place.json("why", "r1")
      expect(value).toMatchObject({ reason: "stuck", sentence: expect.stringMatching(said) })
    }
    const stuck = await place.run("ps", "--stuck")
    expect(stuck.stdout).toMatch(/^RUN +WORKFLOW +STATUS +CREATED +TIME +STUCK FOR +WAITS FOR/m)
    expect(stuck.stdout).toMatch(/^r1 +deployed +suspended +\S+ ago +\S+ +\d+(\.\d+)?m?s +stuck: /m)
    const { runs } = (await place.json("ps", "--stuck")).value as {
      readonly runs: ReadonlyArray<{ readonly runId: string; readonly stuckSince: number; readonly createdAt: number }>
    }
    expect(runs.map(({ runId, stuckSince, createdAt }) => [runId, stuckSince > createdAt]).sort()).toEqual([
      ["r1", true],
      ["r2", true],
    ])
    const listed = await place.run("ps")
    expect(listed.stdout).toMatch(/^r1 +deployed +suspended .*stuck: .*threw while it/m)
    expect(listed.stdout).toMatch(/^r3 +deployed +waiting-event /m)
    expect((await place.run("inspect", "r1")).stdout).toMatch(/Stuck: .*threw while[\s\S]*\d+ attempts? to resume it failed in /)
    // It is still told things, also one that only becomes due by them.
    expect((await place.json("signal", "r3", "go", "--data", "{}")).value).toMatchObject({ isDelivered: false })
    await until(() => supervisor.lines().some(({ action, runId }) => action === "refused" && runId === "r3"), "it is tried too")
    const brokenLines = supervisor.lines()
    expect(brokenLines.some(({ action }) => action === "gave-up")).toBe(false)
    writeFileSync(place.file("deployed.ts"), good)
    await until(
      async () => Object.values(await statuses()).every((status) => status === "finished"),
      "all runs are finished",
      patienceMs,
    )
    supervisor.kill("SIGTERM")
    expect((await supervisor.result).code).toBe(143)
    // No run is tried twice within a second, whatever changes and whatever is said meanwhile.
    for (const runId of runIds) {
      const times = supervisor.lines().flatMap((line) => (line.action === "resumed" && line.runId === runId ? [line.at] : []))
      const apart = times.slice(1).map((at, index) => at - (times[index] ?? 0))
      expect(Math.min(...apart)).toBeGreaterThanOrEqual(800)
    }
  })

  it("that lasts is tried less and less often, and is picked up when a package or another file is repaired", {
    timeout: 400_000,
  }, async () => {
    mkdirSync(place.file("lib"))
    writeFileSync(place.file("lib/words.ts"), `import { word } from "./word"\nexport const words = [word]\n`)
    writeFileSync(place.file("lib/word.ts"), `export const word = "one"\n`)
    writeFileSync(place.file("deployed.ts"), source(rest, `import { words } from "./lib/words.ts"\nwords.at(0)`))
    expect((await place.run("up", "deployed.ts", "--run-id", "r")).code).toBe(3)
    rmSync(place.file("lib/word.ts"))
    expect((await place.run("signal", "r", "go", "--data", "{}")).code).toBe(0)
    const supervisor = supervise()
    const resumed = () => supervisor.lines().filter(({ action }) => action === "resumed").length
    await until(() => resumed() >= 4, "it was tried some times", patienceMs)
    const [before, from] = [resumed(), Date.now()]
    await Bun.sleep(12_000)
    expect((resumed() - before) / ((Date.now() - from) / 1000), "processes a second").toBeLessThan(0.2)
    expect(await statuses()).toEqual({ r: "suspended" })
    writeFileSync(place.file("lib/word.ts"), `export const word = "two"\n`)
    await until(async () => (await statuses()).r === "finished", "the run is finished", 20_000)
    supervisor.kill("SIGTERM")
    await supervisor.result
  })

  it("is tried at once by a supervisor that begins", async () => {
    writeFileSync(place.file("deployed.ts"), good)
    expect((await place.run("up", "deployed.ts", "--run-id", "r")).code).toBe(3)
    writeFileSync(place.file("deployed.ts"), "export default (")
    expect((await place.run("signal", "r", "go", "--data", "{}")).code).toBe(0)
    for (let tries = 1; tries <= 6; tries++) {
      const once = await place.run("supervise", "--once")
      expect([once.code, once.stdout]).toEqual([1, expect.stringContaining("cannot be parsed")])
      expect((await place.json("inspect", "r")).value).toMatchObject({
        run: { status: "suspended", stuck: { failureCount: tries } },
        failure: null,
      })
    }
    writeFileSync(place.file("deployed.ts"), good)
    expect((await place.run("supervise", "--once")).code).toBe(0)
    expect(await statuses()).toEqual({ r: "finished" })
  })
})

describe("a run whose id looks like something else", () => {
  it("is resumed, approved and explained like any other", { timeout: 400_000 }, async () => {
    mkdirSync(place.file("folder"))
    const ids = ["folder", "workflow.ts", "true", "false", "--wait", "--help", "-h", "-x", "--json", "--db", ".", "..", "-1", "--"]
    for (const runId of ids) {
      const args = ["up", "workflow.ts", "--input", '{"spec":"x"}', `--run-id=${runId}`]
      expect((await place.run(...args)).code, runId).toBe(3)
    }
    const { value } = await place.json("inbox")
    const { waits } = value as { readonly waits: ReadonlyArray<{ readonly commands: ReadonlyArray<string> }> }
    expect(waits).toHaveLength(ids.length)
    for (const { commands } of waits) {
      // As a person copies it.
      const [approve = ""] = commands
      const line = `smithers() { "${process.execPath}" "${place.bin}" "$@"; }\n${approve}`
      const { exitCode, stderr } = Bun.spawnSync(["sh", "-c", line], { cwd: place.path, env: { ...process.env, USER: "ann" } })
      expect([exitCode, stderr.toString()], approve).toEqual([0, ""])
    }
    const { code, stdout } = await place.run("supervise", "--once")
    expect([code, stdout], stdout).toEqual([0, expect.stringContaining(`${ids.length} resumed, ${ids.length} settled`)])
    expect(new Set(Object.values(await statuses()))).toEqual(new Set(["finished"]))
    for (const runId of ids) {
      const { stdout } = await place.run("why", "--", runId)
      expect(stdout.split("\n")[0]).toBe(`Run ${runId} has finished.`)
    }
  })

  it("is left to a process of its own like any other", async () => {
    for (const runId of ["--help", "true"]) {
      const args = ["up", "workflow.ts", "--input", '{"spec":"x"}', `--run-id=${runId}`, "--tag=--wait", "--detach"]
      expect(await place.json(...args)).toMatchObject({ code: 0, value: { runId } })
    }
    await until(async () => Object.values(await statuses()).join() === "waiting-approval,waiting-approval", "both wait")
    const { value } = await place.json("ps", "--tag=--wait")
    expect(value).toMatchObject({ runs: [{ tags: ["--wait"] }, { tags: ["--wait"] }] })
  })
})

describe("a step that never returns", () => {
  const spinning = source(
    `$.step("spin", { output: Schema.Number, run: ({ attempt }) => {
      writeFileSync("attempt-" + attempt, String(process.pid))
      if (!existsSync("stop")) for (;;);
      return attempt
    } })`,
  )
  const isThere = (pid: number): boolean => {
    try {
      process.kill(pid, 0)
      return true
    } catch {
      return false
    }
  }
  const pidOf = async (attempt: number): Promise<number> => {
    const file = place.file(`attempt-${attempt}`)
    await until(() => existsSync(file) && readFileSync(file, "utf8") !== "", "the step spins", patienceMs)
    return Number(readFileSync(file, "utf8"))
  }

  it("has its process killed once the lease is over, and its place given to others", { timeout: 400_000 }, async () => {
    writeFileSync(place.file("spinning.ts"), spinning)
    expect((await place.run("up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "other")).code).toBe(3)
    const up = place.start(["up", "spinning.ts", "--run-id", "spins"])
    await pidOf(1)
    up.kill("SIGKILL")
    await up.result
    const supervisor = supervise("--max-concurrent", "1")
    const pid = await pidOf(2)
    expect((await place.run("approve", "other")).code).toBe(0)
    await until(() => supervisor.lines().some(({ action }) => action === "refused"), "its process is killed", patienceMs)
    writeFileSync(place.file("stop"), "")
    expect(isThere(pid)).toBe(false)
    expect(supervisor.lines().find(({ action }) => action === "refused")?.message).toContain("its lease had been expired for")
    await until(async () => Object.values(await statuses()).join() === "finished,finished", "both are finished", patienceMs)
    supervisor.kill("SIGTERM")
    await supervisor.result
    const { stdout } = await place.run("events", "spins", "--type", "AttemptInterrupted")
    expect(stdout.match(/"reason":"crash"/g)).toHaveLength(2)
  })

  it("is ended with the supervisor by a second Ctrl-C", async () => {
    writeFileSync(place.file("spinning.ts"), spinning)
    const up = place.start(["up", "spinning.ts", "--run-id", "spins"])
    await pidOf(1)
    up.kill("SIGKILL")
    await up.result
    const supervisor = supervise()
    const pid = await pidOf(2)
    supervisor.kill("SIGINT")
    await Bun.sleep(300)
    expect(isThere(supervisor.pid), "the first one is for the runs to be let go of in order").toBe(true)
    const began = Date.now()
    supervisor.kill("SIGINT")
    expect((await supervisor.result).code).toBe(130)
    expect(Date.now() - began, "it waits for nothing").toBeLessThan(5000)
    await until(() => !isThere(pid), "its process has ended")
  })
})
