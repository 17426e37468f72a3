/**
 * Events, schedules and delayed starts in several real processes on one store, of which one is killed at a bad moment.
 */
import { Database } from "bun:sqlite"
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"

let folder: string
const children = new Set<Bun.Subprocess>()
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "smithers-killed-"))
})
afterEach(async () => {
  for (const child of children) {
    child.kill("SIGKILL")
    await child.exited
  }
  children.clear()
  rmSync(folder, { recursive: true, force: true })
})

const start = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) => {
  const script = join(import.meta.dirname, "fixtures", "elsewhere.ts")
  const [what = "", ...rest] = args
  const child = Bun.spawn(["bun", script, join(folder, "test.db"), what, ...rest], {
    env: { ...process.env, ...env },
    stdout: "pipe",
    stderr: "pipe",
  })
  children.add(child)
  const lines: Array<string> = []
  const errors = new Response(child.stderr).text()
  const reading = (async () => {
    let text = ""
    const decoder = new TextDecoder()
    for await (const chunk of child.stdout) {
      const parts = (text + decoder.decode(chunk, { stream: true })).split("\n")
      text = parts.pop() ?? ""
      lines.push(...parts)
    }
  })()
  const ended = Promise.all([child.exited, reading]).then(async () => ({ code: child.exitCode, lines, errors: await errors }))
  return { lines, ended, kill: () => child.kill("SIGKILL") }
}

const run = async (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}): Promise<void> => {
  const { code, errors } = await start(args, env).ended
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}: ${errors}`)
}

const rows = <Row>(sql: string): ReadonlyArray<Row> => {
  const database = new Database(join(folder, "test.db"), { readonly: true })
  try {
    database.run("PRAGMA busy_timeout = 5000")
    return database.query<Row, []>(sql).all()
  } finally {
    database.close()
  }
}

const until = async (isSo: () => boolean, what: string, forMs = 40_000): Promise<void> => {
  for (const end = performance.now() + forMs; !isSo(); await Bun.sleep(20))
    if (performance.now() > end) throw new Error(`waited in vain until ${what}`)
}

const beats = (): ReadonlyArray<string> => {
  const path = join(folder, "beats.txt")
  return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : []
}

interface Tick {
  readonly tick_at: number
  readonly outcome: string
  readonly started_run: string | null
}
const ticks = () => rows<Tick>("SELECT tick_at, outcome, started_run FROM smithers_schedule_ticks ORDER BY tick_at")
const runs = () => rows<{ run_id: string; status: string }>("SELECT run_id, status FROM smithers_runs ORDER BY run_id")

const startedRuns = () => ticks().flatMap(({ started_run }) => (started_run === null ? [] : [started_run]))

describe("events that race the opening of their waits", () => {
  it("are each taken exactly once, however often their publisher is killed between, before and after two of them", async () => {
    const count = 120
    const orders = start(["orders", String(count)])
    const said = new Set<string>()
    // From before the first event until the last; the moments move on with each process.
    for (let killed = 0; ; killed++) {
      const publisher = start(["events", String(count)])
      const goal = Math.floor((killed + 1) * 7.3)
      void until(() => publisher.lines.length >= goal, "it has published", 20_000).then(
        async () => {
          await Bun.sleep((killed % 7) / 2)
          publisher.kill()
        },
        () => {},
      )
      const { code, lines } = await publisher.ended
      for (const line of lines) said.add(line)
      if (code === 0) break
      expect(killed).toBeLessThan(40)
    }
    const { code, lines, errors } = await orders.ended
    expect([code, errors]).toEqual([0, ""])
    expect(lines.toSorted()).toEqual(Array.from({ length: count }, (_, index) => `o${index} for o${index}`).toSorted())
    expect(said.size).toBe(count)
    // Each was taken by the one run that waited for it, by one row and one signal.
    const taken = rows<{ id: string; runs: string; count: number }>(
      "SELECT id, group_concat(run_id) AS runs, count(*) AS count FROM smithers_published_runs GROUP BY id",
    )
    expect(taken.filter(({ id, runs, count }) => count !== 1 || id !== `e-${runs}`)).toEqual([])
    expect(taken).toHaveLength(count)
    const signals = rows<{ count: number }>(
      "SELECT count(*) AS count FROM smithers_events WHERE type = 'SignalReceived' GROUP BY run_id HAVING count(*) > 1",
    )
    expect(signals).toEqual([])
  }, 150_000)
})

describe("a supervisor that is killed as it fires a tick", () => {
  it.each([
    ["before", 0],
    ["after", 1],
  ] as const)(
    "right %s the commit leaves %d runs, and the next one makes it exactly one",
    async (when, left) => {
      await run(["schedule"])
      const { code } = await start(["dying", when]).ended
      expect(code).not.toBe(0)
      expect([runs().length, startedRuns().length]).toEqual([left, left])
      const others = [start(["supervise"]), start(["supervise"])]
      await until(() => runs().length > 0 && runs().every(({ status }) => status === "finished"), "its run has finished")
      for (const other of others) other.kill()
      await Promise.all(others.map(({ ended }) => ended))
      const started = ticks().flatMap(({ started_run }) => (started_run === null ? [] : [started_run]))
      expect(started.toSorted()).toEqual(runs().map(({ run_id }) => run_id))
      expect(
        beats()
          .map((line) => line.split(" ")[0])
          .toSorted(),
      ).toEqual(runs().map(({ run_id }) => run_id))
    },
    90_000,
  )
})

describe("a run that starts later", () => {
  it("is started once and at its time, after the process that made it was killed", async () => {
    const maker = start(["late"])
    await until(() => maker.lines.includes("waiting"), "the run waits for its start")
    maker.kill()
    await maker.ended
    expect(beats()).toEqual([])
    const [created] = rows<{ at: number }>("SELECT created_at AS at FROM smithers_runs")
    const others = [start(["supervise"]), start(["supervise"])]
    await until(() => runs()[0]?.status === "finished", "the run has finished")
    for (const other of others) other.kill()
    await Promise.all(others.map(({ ended }) => ended))
    expect(beats()).toHaveLength(1)
    expect(Number(beats()[0]?.split(" ")[1]) - (created?.at ?? 0)).toBeGreaterThanOrEqual(3000)
  }, 90_000)
})

/** Where Debian's package `faketime` puts the library. */
const library = (existsSync("/usr/lib") ? readdirSync("/usr/lib") : [])
  .map((name) => `/usr/lib/${name}/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path))

/** Moves the clock of the processes to a time. */
const set = (time: string): void => {
  const offset = Math.round((Date.parse(time) - Date.now()) / 1000)
  writeFileSync(join(folder, "clock.next"), `${offset < 0 ? "" : "+"}${offset}\n`)
  renameSync(join(folder, "clock.next"), join(folder, "clock"))
}

describe.skipIf(library === undefined)(
  `a supervisor through changes of clocks${library === undefined ? " (skipped: libfaketime is not there; apt-get install faketime)" : ""}`,
  () => {
    const clock = () => ({
      ...{ LD_PRELOAD: library ?? "", FAKETIME_TIMESTAMP_FILE: join(folder, "clock"), FAKETIME_NO_CACHE: "1" },
      ...{ FAKETIME_DONT_FAKE_MONOTONIC: "1" },
    })

    it("fires a time of day that is shown twice at the first, and not again at the second", async () => {
      set("2026-10-25T00:29:00Z")
      await run(["nightly", "30 2 * * *", "Europe/Berlin"], clock())
      const supervisor = start(["supervise"], clock())
      await until(() => supervisor.lines.includes("supervising"), "it supervises")
      set("2026-10-25T00:30:01Z")
      await until(() => runs().length === 1, "the first 02:30 has fired")
      set("2026-10-25T01:29:58Z")
      await Bun.sleep(1500)
      set("2026-10-25T01:30:05Z")
      await Bun.sleep(3000)
      expect(ticks().map(({ tick_at }) => new Date(tick_at).toISOString())).toEqual(["2026-10-25T00:30:00.000Z"])
      set("2026-10-26T01:30:01Z")
      await until(() => runs().length === 2, "the next night has fired")
      expect(ticks().map(({ tick_at }) => new Date(tick_at).toISOString())).toEqual([
        "2026-10-25T00:30:00.000Z",
        "2026-10-26T01:30:00.000Z",
      ])
    }, 90_000)

    it("fires a time of day that is left out as long after the change as it would have been, once", async () => {
      set("2027-03-28T00:59:00Z")
      await run(["nightly", "30 2 * * *", "Europe/Berlin"], clock())
      const supervisor = start(["supervise"], clock())
      await until(() => supervisor.lines.includes("supervising"), "it supervises")
      set("2027-03-28T01:29:57Z")
      await Bun.sleep(1000)
      expect(ticks()).toEqual([])
      set("2027-03-28T01:30:01Z")
      await until(() => runs().length === 1, "03:30 has fired")
      expect(ticks().map(({ tick_at }) => new Date(tick_at).toISOString())).toEqual(["2027-03-28T01:30:00.000Z"])
    }, 90_000)
  },
)
