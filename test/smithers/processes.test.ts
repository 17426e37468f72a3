import { Database } from "bun:sqlite"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "smithers-test-"))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const fixture = (name: string) => join(import.meta.dirname, "fixtures", name)

const spawn = (name: string, ...args: Array<string>) => {
  const child = Bun.spawn(["bun", fixture(name), ...args], { cwd: folder, stdout: "pipe", stderr: "pipe" })
  const output = new Response(child.stdout).text()
  return { child, output }
}

const query = <Row>(sql: string, file = "test.db"): Array<Row> => {
  const db = new Database(join(folder, file), { readonly: true })
  try {
    return db.query(sql).all() as Array<Row>
  } finally {
    db.close()
  }
}

const log = () => join(folder, "begun.log")
const begun = (): Array<{ readonly key: string; readonly pid: number }> =>
  (existsSync(log()) ? readFileSync(log(), "utf8").split("\n") : []).filter(Boolean).map((line) => {
    const [key = "", , pid] = line.split(" ")
    return { key, pid: Number(pid) }
  })
const finished = () =>
  query<{ key: string }>(
    "SELECT node_id || '/' || iteration AS key FROM smithers_nodes WHERE kind = 'step' AND status = 'finished'",
  ).map(({ key }) => key)

/** Waits for something that another process does. Polls, since nothing tells this process. */
const until = async (condition: () => boolean, what: string) => {
  for (let waited = 0; !condition(); waited += 5) {
    if (waited > 20_000) throw new Error(`waited in vain until ${what}`)
    await Bun.sleep(5)
  }
}

const expected = () => {
  const keys = new Set(["taken/0"])
  for (let index = 0; index < 60; index++) keys.add(`wide-${index}/0`).add(`long-${index}/0`)
  for (let index = 0; index < 5; index++) keys.add(`outer-step/${index}`)
  for (let index = 0; index < 25; index++) keys.add(`inner-step/${index}`)
  return keys
}

/** Park–Miller: the moments of the kills are the same in every run of the suite. */
const random = (seed: number) => () => {
  seed = (seed * 48_271) % 2_147_483_647
  return seed / 2_147_483_647
}

describe("processes", () => {
  it("a run killed with SIGKILL at 25 random moments runs no finished step again", { timeout: 120_000 }, async () => {
    const next = random(20_260_101)
    // Undisturbed, these steps take well over a second; the 25 lives last two thirds of one together.
    const args = [join(folder, "test.db"), log(), "killed", "10"]
    let kept: Array<string> = []
    for (let kill = 0; kill < 25; kill++) {
      const before = begun().length
      const { child } = spawn("pipeline.ts", ...args)
      await until(() => begun().length > before, "a step began")
      await Bun.sleep(4 + next() * 45)
      child.kill("SIGKILL")
      expect(await child.exited, "the run must not be over before the last kill").not.toBe(0)
      const again = begun()
        .slice(before)
        .filter(({ key }) => kept.includes(key))
      expect(again, `after kill ${kill}`).toEqual([])
      kept = finished()
    }
    const before = begun().length
    const { child, output } = spawn("pipeline.ts", ...args)
    expect(await child.exited).toBe(0)
    expect(JSON.parse(await output)).toEqual({ value: 5 })
    expect(
      begun()
        .slice(before)
        .filter(({ key }) => kept.includes(key)),
    ).toEqual([])
    expect(new Set(finished())).toEqual(expected())
    const outputs = query<{ count: number }>("SELECT count(*) AS count FROM smithers_events WHERE type = 'AttemptSucceeded'")
    expect(outputs).toEqual([{ count: expected().size }])
  })

  it("an adaptive run of components killed with SIGKILL again and again asks and drafts nothing twice", {
    timeout: 120_000,
  }, async () => {
    const next = random(20_260_102)
    const args = [join(folder, "test.db"), log(), "adaptive", "40"]
    let kept: Array<string> = []
    let kills = 0
    for (; kills < 20; kills++) {
      const before = begun().length
      const { child } = spawn("adaptive.tsx", ...args)
      await until(() => begun().length > before || child.exitCode !== null, "a task began")
      await Bun.sleep(next() * 90)
      child.kill("SIGKILL")
      if ((await child.exited) === 0) break
      expect(
        begun()
          .slice(before)
          .filter(({ key }) => kept.includes(key)),
      ).toEqual([])
      kept = finished().map((key) => key)
    }
    expect(kills, "the run must not be over at once").toBeGreaterThan(3)
    const { child, output } = spawn("adaptive.tsx", ...args)
    expect(await child.exited).toBe(0)
    expect(JSON.parse(await output)).toMatchObject({ status: "finished", runId: "adaptive", output: "a: 2, b: 2, c: 2" })
    const passes = ["a", "b", "c"].flatMap((id) => [0, 1, 2].flatMap((pass) => [`draft-${id}/${pass}`, `review-${id}/${pass}`]))
    expect(new Set(finished())).toEqual(new Set(["discover/0", "report/0", ...passes]))
    expect(query("SELECT count(*) AS count FROM smithers_events WHERE type = 'AttemptSucceeded'")).toEqual([{ count: 20 }])
    expect(query("SELECT node_id, iteration, approved FROM review WHERE node_id = 'review-b' ORDER BY iteration")).toEqual([
      { node_id: "review-b", iteration: 0, approved: 0 },
      { node_id: "review-b", iteration: 1, approved: 0 },
      { node_id: "review-b", iteration: 2, approved: 1 },
    ])
    const asked = "SELECT prompt, reply, finish_reason, input_tokens, output_tokens FROM smithers_attempts"
    expect(query(`${asked} WHERE node_id = 'review-c' AND iteration = 1 AND status = 'succeeded'`)).toEqual([
      {
        prompt: expect.stringMatching(/^Review c in pass 1: draft of c\n/),
        reply: '{"approved":false}',
        finish_reason: "stop",
        input_tokens: 3,
        output_tokens: 2,
      },
    ])
  })

  it("a run that waits in one process goes on at once when another approves, and wherever a supervisor is if that one died", {
    timeout: 60_000,
  }, async () => {
    const db = join(folder, "test.db")
    const isOpen = () => existsSync(db) && query("SELECT 1 FROM smithers_waits WHERE status = 'open'").length === 1
    const until = async (condition: () => boolean) => {
      for (let waited = 0; waited < 10_000; waited += 5) {
        try {
          if (condition()) return
        } catch {
          // The tables are not there yet.
        }
        await Bun.sleep(5)
      }
      throw new Error("waited in vain")
    }
    const waiter = spawn("waiting.ts", db, "wait")
    await until(isOpen)
    const approving = spawn("waiting.ts", db, "approve")
    expect(await approving.child.exited).toBe(0)
    const { now: told } = JSON.parse(await approving.output)
    expect(await waiter.child.exited).toBe(0)
    const { output: heard } = JSON.parse((await waiter.output).split("\n")[1] ?? "")
    // 20 ms between two looks, and a machine that has other things to do.
    expect(heard - told).toBeLessThan(500)

    rmSync(db)
    for (const suffix of ["-wal", "-shm"]) rmSync(`${db}${suffix}`, { force: true })
    const dying = spawn("waiting.ts", db, "wait")
    await until(isOpen)
    dying.child.kill("SIGKILL")
    await dying.child.exited
    const supervisor = spawn("waiting.ts", db, "supervise")
    try {
      await until(() => query<{ status: string }>("SELECT status FROM smithers_runs")[0]?.status === "waiting")
      expect(await spawn("waiting.ts", db, "approve").child.exited).toBe(0)
      await until(() => query<{ status: string }>("SELECT status FROM smithers_runs")[0]?.status === "finished")
      expect(query("SELECT approved, decided_by, status FROM smithers_waits")).toEqual([
        { approved: 1, decided_by: "ann", status: "finished" },
      ])
      expect(query("SELECT count(*) AS count FROM smithers_events WHERE type = 'AttemptSucceeded'")).toEqual([{ count: 2 }])
    } finally {
      supervisor.child.kill()
      await supervisor.child.exited
    }
  })

  it("a saga around a child run, killed with SIGKILL again and again, is undone once, in reverse order, by whoever supervises", {
    timeout: 120_000,
  }, async () => {
    const db = join(folder, "test.db")
    const next = random(4711)
    const lines = () => (existsSync(log()) ? readFileSync(log(), "utf8").split("\n").filter(Boolean) : [])
    const isOver = () => {
      try {
        return query<{ status: string }>("SELECT status FROM smithers_runs WHERE run_id = 'r'")[0]?.status === "finished"
      } catch {
        return false
      }
    }
    // Each process lives a little longer than it takes to start, and is killed somewhere in the middle.
    for (let kills = 0; kills < 12 && !isOver(); kills++) {
      const before = lines().length
      const { child } = spawn("family.ts", db, "run")
      await until(() => lines().length > before + Math.floor(next() * 3) || child.exitCode !== null, "it has done something")
      child.kill("SIGKILL")
      await child.exited
    }
    const supervisor = spawn("family.ts", db, "supervise")
    try {
      await until(isOver, "the run is finished")
    } finally {
      supervisor.child.kill("SIGKILL")
      await supervisor.child.exited
    }
    expect(query("SELECT run_id, status FROM smithers_runs ORDER BY run_id")).toEqual([
      { run_id: "r", status: "finished" },
      { run_id: "r~child~0", status: "finished" },
    ])
    const ends = query<{ node: string; iteration: number }>(
      "SELECT node_id AS node, iteration FROM smithers_events WHERE run_id = 'r' AND type = 'AttemptSucceeded' ORDER BY seq",
    ).map(({ node, iteration }) => `${node}/${iteration}`)
    expect(new Set(ends).size).toBe(ends.length)
    const done = ends.filter((key) => /^[abcd]\//.test(key))
    expect(done).toHaveLength(8)
    expect(ends.slice(done.length)).toEqual([
      ...done.toReversed().map((key) => key.replace("/", "~compensate/")),
      "guard:catch/0",
      "last/0",
    ])
    const child = query("SELECT 1 FROM smithers_events WHERE run_id = 'r~child~0' AND type = 'AttemptSucceeded'")
    expect(child).toHaveLength(3)
    expect(query("SELECT output FROM smithers_runs WHERE run_id = 'r'")).toEqual([{ output: '"no"' }])
  })

  it("a process that slept through its lease is fenced and changes nothing", { timeout: 60_000 }, async () => {
    const args = [join(folder, "test.db"), log(), "fenced", "20", "1000"]
    const first = spawn("pipeline.ts", ...args)
    await until(() => begun().length > 10, "some steps began")
    process.kill(first.child.pid, "SIGSTOP")
    const second = spawn("pipeline.ts", ...args)
    expect(await second.child.exited).toBe(0)
    const rows = () => [
      query("SELECT * FROM smithers_runs"),
      query("SELECT * FROM smithers_nodes"),
      query("SELECT * FROM smithers_events"),
      query("SELECT * FROM smithers_frames"),
    ]
    const after = rows()
    process.kill(first.child.pid, "SIGCONT")
    expect(await first.child.exited).toBe(1)
    expect(await first.output).toContain("RunFenced")
    expect(rows()).toEqual(after)
    expect(query("SELECT epoch, status FROM smithers_runs")).toEqual([{ epoch: 2, status: "finished" }])
    const succeeded = query<{ count: number }>("SELECT count(*) AS count FROM smithers_events WHERE type = 'AttemptSucceeded'")
    expect(succeeded).toEqual([{ count: expected().size }])
  })

  it("a run asked for by two processes is worked on by one, and both get the output", { timeout: 60_000 }, async () => {
    const args = [join(folder, "test.db"), log(), "shared", "2"]
    const both = [spawn("pipeline.ts", ...args), spawn("pipeline.ts", ...args)]
    for (const { child, output } of both) {
      expect(await child.exited).toBe(0)
      expect(JSON.parse(await output)).toEqual({ value: 5 })
    }
    expect(new Set(begun().map(({ pid }) => pid)).size).toBe(1)
    expect(begun().length).toBe(expected().size)
  })

  it("processes share one file, each with runs of its own", { timeout: 60_000 }, async () => {
    const children = ["a", "b", "c"].map((runId) => spawn("pipeline.ts", join(folder, "test.db"), log(), runId, "1"))
    for (const { child } of children) expect(await child.exited).toBe(0)
    expect(query("SELECT run_id, status FROM smithers_runs ORDER BY run_id")).toEqual(
      ["a", "b", "c"].map((run_id) => ({ run_id, status: "finished" })),
    )
    expect(finished().length).toBe(3 * expected().size)
  })

  it("SIGTERM leaves the run suspended and unowned, and the next process resumes it", { timeout: 60_000 }, async () => {
    const args = [join(folder, "test.db"), log(), "stopped", "10"]
    const first = spawn("pipeline.ts", ...args)
    await until(() => begun().length > 20, "some steps began")
    first.child.kill("SIGTERM")
    expect(await first.child.exited).toBe(1)
    expect(query("SELECT status, owner FROM smithers_runs")).toEqual([{ status: "suspended", owner: null }])
    const reasons = query(
      "SELECT DISTINCT json_extract(payload, '$.reason') AS reason FROM smithers_events WHERE type = 'AttemptInterrupted'",
    )
    expect(reasons).toEqual([{ reason: "shutdown" }])
    const kept = finished()
    const before = begun().length
    expect(await spawn("pipeline.ts", ...args).child.exited).toBe(0)
    expect(
      begun()
        .slice(before)
        .filter(({ key }) => kept.includes(key)),
    ).toEqual([])
  })

  it("the review workflow runs as written, is killed, and is resumed by its id", { timeout: 60_000 }, async () => {
    const { child } = spawn("review.ts")
    const attempts = () =>
      existsSync(join(folder, "smithers.db"))
        ? query("SELECT 1 FROM smithers_attempts WHERE heartbeat IS NOT NULL", "smithers.db")
        : []
    await until(() => {
      try {
        return attempts().length > 0
      } catch {
        return false
      }
    }, "the first step gave a heartbeat")
    child.kill("SIGKILL")
    await child.exited
    const [run] = query<{ run_id: string }>("SELECT run_id FROM smithers_runs", "smithers.db")
    const resumed = spawn("review.ts", run?.run_id ?? "")
    expect(await resumed.child.exited).toBe(0)
    expect(await resumed.output).toContain("# Review\\n\\nacme/api@abc123")
    expect(query("SELECT node_id, attempt, status FROM smithers_attempts ORDER BY node_id, attempt", "smithers.db")).toEqual([
      { node_id: "analyze", attempt: 1, status: "interrupted" },
      { node_id: "analyze", attempt: 2, status: "succeeded" },
      { node_id: "report", attempt: 1, status: "succeeded" },
    ])
    expect(query<{ risk: string }>("SELECT risk FROM review_analyze", "smithers.db")).toEqual([{ risk: "low" }])
  })
})
