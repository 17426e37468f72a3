/**
 * Signals that stop the command line, with real processes and real signals.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder, until } from "./Fixture.ts"

const bin = join(import.meta.dirname, "..", "..", "packages", "smithers", "src", "bin.ts")

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place.remove())

const source = (run: string): string => `import { Smithers } from "smithers-orchestrator"
import { spawn } from "node:child_process"
import { existsSync, writeFileSync } from "node:fs"
import { Effect, Schema } from "effect"
export default Smithers.createWorkflow({ name: "signals", input: Schema.Void }).build(($) => $.step("one", {
  output: Schema.Number, run: ${run} }))
`

/** A step that starts a program, stops it when it is to stop itself, and ends once there is a file. */
const helped = source(`({ signal, attempt }) => new Promise((resolve, reject) => {
  const child = spawn("sleep", ["1000"], { signal })
  writeFileSync("pid-" + attempt, String(child.pid))
  child.on("error", reject)
  setInterval(() => existsSync("open") && child.kill() && resolve(attempt), 20)
})`)

/** A step that never lets the process hear anything again. */
const spinning = source(`() => { writeFileSync("spins", ""); for (;;); }`)

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  const status = `/proc/${pid}/status`
  return !(existsSync(status) && /^State:\s*Z/m.test(readFileSync(status, "utf8")))
}

const pidIn = async (name: string): Promise<number> => {
  await until(() => existsSync(place.file(name)) && readFileSync(place.file(name), "utf8") !== "", `${name} is there`)
  return Number(readFileSync(place.file(name), "utf8"))
}

const reasons = async (): Promise<ReadonlyArray<unknown>> =>
  (await place.run("events", "r", "--type", "AttemptInterrupted")).stdout
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { readonly event: { readonly reason: unknown } }).event.reason)

describe("a closed terminal", () => {
  it("stops a run in order each time, and what its steps have started: it is no crash", async () => {
    writeFileSync(place.file("helped.ts"), helped)
    for (let attempt = 1; attempt <= 5; attempt++) {
      const up = place.start(["up", ...(attempt === 1 ? ["helped.ts", "--run-id", "r"] : ["--resume", "r"])])
      const helper = await pidIn(`pid-${attempt}`)
      up.kill("SIGHUP")
      expect((await up.result).code).toBe(129)
      await until(() => !isRunning(helper), "what the step has started has ended")
    }
    expect(await reasons()).toEqual(["shutdown", "shutdown", "shutdown", "shutdown", "shutdown"])
    writeFileSync(place.file("open"), "")
    expect(await place.json("up", "--resume", "r")).toMatchObject({ code: 0, value: { output: 6 } })
  })

  it("stops what can be written to it no more", async () => {
    writeFileSync(place.file("helped.ts"), helped)
    const { CI: _, SMITHERS_DB: __, ...env } = process.env
    const terminal = new Bun.Terminal({ cols: 80, rows: 24 })
    const up = Bun.spawn([process.execPath, bin, "up", "helped.ts", "--run-id", "r"], {
      cwd: place.path,
      env: { ...env, TERM: "xterm" },
      terminal,
    })
    const helper = await pidIn("pid-1")
    terminal.close()
    up.kill("SIGHUP")
    expect(await up.exited).toBe(129)
    await until(() => !isRunning(helper), "what the step has started has ended")
    expect(await reasons()).toEqual(["shutdown"])
  })

  it("does not stop what was started with nohup", async () => {
    writeFileSync(place.file("helped.ts"), helped)
    const { SMITHERS_DB: _, ...env } = process.env
    const up = Bun.spawn(["nohup", process.execPath, bin, "up", "helped.ts", "--run-id", "r"], {
      cwd: place.path,
      env,
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    })
    await pidIn("pid-1")
    up.kill("SIGHUP")
    await Bun.sleep(200)
    writeFileSync(place.file("open"), "")
    expect(await up.exited).toBe(0)
  })

  it("stops a supervisor in order, and with it the runs that it works on", async () => {
    writeFileSync(place.file("helped.ts"), helped)
    const up = place.start(["up", "helped.ts", "--run-id", "r"])
    await pidIn("pid-1")
    up.kill("SIGTERM")
    expect((await up.result).code).toBe(143)
    const supervisor = place.start(["supervise"])
    const helper = await pidIn("pid-2")
    supervisor.kill("SIGHUP")
    expect((await supervisor.result).code).toBe(129)
    expect(isRunning(helper)).toBe(false)
    expect((await place.json("inspect", "r")).value).toMatchObject({ run: { status: "suspended", owner: null } })
    expect(await reasons()).toEqual(["shutdown", "shutdown"])
  })
})

describe("a second Ctrl-C", () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it(`ends a process at once whose step never lets it hear the first, sent as ${signal}`, async () => {
      writeFileSync(place.file("spinning.ts"), spinning)
      const up = place.start(["up", "spinning.ts", "--run-id", "r"])
      await until(() => existsSync(place.file("spins")), "the step spins")
      up.kill(signal)
      await Bun.sleep(300)
      expect(isRunning(up.pid), "the first one is for the run to be let go of in order").toBe(true)
      up.kill(signal)
      const { code, stderr } = await up.result
      expect(code).toBe(signal === "SIGINT" ? 130 : 143)
      expect(stderr).toContain("Run r was not released. Finished steps are stored. Resume it: smithers up --resume r\n")
    })
  }

  it("ends a process at once whose file never ends to load", async () => {
    writeFileSync(place.file("loading.ts"), `${source("() => 1")}\nrequire("node:fs").writeFileSync("spins", ""); for (;;);`)
    const up = place.start(["check", "loading.ts"])
    await until(() => existsSync(place.file("spins")), "the file is loaded")
    up.kill("SIGINT")
    await Bun.sleep(300)
    up.kill("SIGINT")
    expect((await up.result).code).toBe(130)
  })

  it("is not what a wrapper makes of the first by sending it on", async () => {
    writeFileSync(place.file("helped.ts"), helped)
    const up = place.start(["up", "helped.ts", "--run-id", "r"])
    await pidIn("pid-1")
    Bun.spawnSync(["sh", "-c", `kill -INT ${up.pid}; kill -INT ${up.pid}`])
    expect((await up.result).code).toBe(130)
    expect(await reasons()).toEqual(["shutdown"])
  })
})
