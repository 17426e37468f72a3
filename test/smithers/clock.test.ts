/**
 * A wall clock that jumps, in real processes: libfaketime moves the time of day and leaves the rest of time alone, as somebody does who sets
 * the clock, or a laptop that slept.
 */
import { Database } from "bun:sqlite"
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"

/** Where Debian's package `faketime` puts the library. */
const library = (existsSync("/usr/lib") ? readdirSync("/usr/lib") : [])
  .map((name) => `/usr/lib/${name}/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path))

const timeout = 300_000
let folder: string
const children = new Set<Bun.Subprocess>()
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "smithers-test-"))
  set("+0")
})
afterEach(async () => {
  for (const child of children) {
    child.kill("SIGKILL")
    await child.exited
  }
  children.clear()
  rmSync(folder, { recursive: true, force: true })
})

/** Moves the clock of all processes: `+20m`, `-1h`, `+0`. */
const set = (offset: string): void => {
  writeFileSync(join(folder, "clock.next"), `${offset}\n`)
  renameSync(join(folder, "clock.next"), join(folder, "clock"))
}

interface Line {
  readonly event: string
  readonly ms: number
}

/** A process under the clock. */
const start = (what: string) => {
  const child = Bun.spawn(["bun", join(import.meta.dirname, "fixtures", "clock.ts"), join(folder, "test.db"), what], {
    cwd: folder,
    stdout: "pipe",
    stderr: "pipe",
    env: {
      ...process.env,
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: join(folder, "clock"),
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    },
  })
  children.add(child)
  const errors = new Response(child.stderr).text()
  const lines: Array<Line> = []
  const listening = new Set<() => void>()
  const wake = (): void => {
    for (const listener of listening) listener()
  }
  let isOver = false
  const reading = (async () => {
    let text = ""
    const decoder = new TextDecoder()
    for await (const chunk of child.stdout) {
      text += decoder.decode(chunk, { stream: true })
      const parts = text.split("\n")
      text = parts.pop() ?? ""
      for (const part of parts) lines.push(JSON.parse(part) as Line)
      wake()
    }
    isOver = true
    wake()
  })()
  /** The line that says that something happened. */
  const until = async (event: string): Promise<Line> => {
    for (;;) {
      const found = lines.find((line) => line.event === event)
      if (found !== undefined) return found
      if (isOver) throw new Error(`it ended without "${event}": ${JSON.stringify(lines)} ${await errors}`)
      await new Promise<void>((resolve) => {
        const listener = (): void => {
          listening.delete(listener)
          resolve()
        }
        listening.add(listener)
      })
    }
  }
  return { child, until, lines, ended: reading }
}

const query = <Row>(sql: string): Array<Row> => {
  const db = new Database(join(folder, "test.db"), { readonly: true })
  try {
    db.run("PRAGMA busy_timeout = 5000")
    return db.query(sql).all() as Array<Row>
  } finally {
    db.close()
  }
}

describe.skipIf(library === undefined)(
  `a clock that jumps${library === undefined ? " (skipped: libfaketime is not there; apt-get install faketime)" : ""}`,
  () => {
    it("ahead over a timer fires it within seconds", { timeout }, async () => {
      const run = start("timer")
      const since = await run.until("waiting-timer")
      set("+20m")
      const { ms } = await run.until("finished")
      expect(ms - since.ms).toBeLessThan(10_000)
    })

    it("ahead over the timer of a run that nobody works on has a supervisor take it up within seconds", { timeout }, async () => {
      const first = start("timer")
      await first.until("waiting-timer")
      first.child.kill("SIGTERM")
      await first.child.exited
      const supervisor = start("supervise timer")
      await supervisor.until("supervising")
      await Bun.sleep(500)
      const status = () => query<{ status: string }>("SELECT status FROM smithers_runs")[0]?.status
      expect(status()).not.toBe("finished")
      set("+20m")
      const since = performance.now()
      while (status() !== "finished") {
        expect(performance.now() - since).toBeLessThan(30_000)
        await Bun.sleep(50)
      }
    })

    it.each(["shortTimer", "approval"])("back by an hour makes no limit longer: %s", { timeout }, async (what) => {
      const run = start(what)
      const since = await run.until(what === "approval" ? "waiting-approval" : "waiting-timer")
      set("-1h")
      const { ms } = await run.until("finished")
      expect(ms - since.ms).toBeLessThan(20_000)
      expect(ms - since.ms).toBeGreaterThan(1000)
    })

    it("back by an hour has a retry wait for its second, and not for an hour", { timeout }, async () => {
      const run = start("retry")
      const since = await run.until("attempt 1")
      set("-1h")
      const { ms } = await run.until("attempt 2")
      expect(ms - since.ms).toBeLessThan(20_000)
      expect(ms - since.ms).toBeGreaterThan(900)
      await run.until("finished")
    })

    it("back by an hour does not fire a timer that waits for a time of day", { timeout }, async () => {
      const run = start("until")
      await run.until("waiting-timer")
      set("-1h")
      await Bun.sleep(6000)
      expect(run.lines.map(({ event }) => event)).not.toContain("finished")
      set("+1m")
      await run.until("finished")
    })

    it("back by an hour does not hide the silence of a step", { timeout }, async () => {
      const run = start("silent")
      const since = await run.until("begun")
      set("-1h")
      const { ms } = await run.until("failed")
      await run.until("StepTimedOut")
      expect(ms - since.ms).toBeLessThan(20_000)
    })

    it("ahead by an hour takes no step for silent that gives heartbeats", { timeout }, async () => {
      const run = start("alive")
      await run.until("begun")
      await Bun.sleep(500)
      set("+1h")
      await Promise.race([run.until("finished"), run.ended])
      expect(run.lines.map(({ event }) => event)).toContain("finished")
    })

    it("ahead by an hour takes no run away from a process that lives", { timeout }, async () => {
      const owner = start("long")
      await owner.until("begun")
      const others = [start("lurk long"), start("lurk long")]
      for (const other of others) await other.until("supervising")
      await Bun.sleep(500)
      set("+1h")
      await owner.until("finished")
      expect(query("SELECT epoch, status FROM smithers_runs")).toEqual([{ epoch: 1, status: "finished" }])
      expect(query<{ attempt: number }>("SELECT attempt FROM smithers_attempts")).toEqual([{ attempt: 1 }])
      for (const other of others) expect(other.lines.map(({ event }) => event)).not.toContain("begun")
    })
  },
)
