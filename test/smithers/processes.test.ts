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
    db.run("PRAGMA busy_timeout = 5000")
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

/** How many steps have an output that is stored, in all runs, with those that undo others. */
const stored = () =>
  query<{ count: number }>("SELECT count(*) AS count FROM smithers_events WHERE type = 'AttemptSucceeded'")[0]?.count ?? 0

/** Milliseconds for one test: dozens of processes start in some, and a busy machine may take ten times as long for each. */
const timeout = 600_000

/** Waits for something that another process does. Polls, since nothing tells this process. */
const until = async (condition: () => boolean, what: string) => {
  for (const since = performance.now(); ; ) {
    let problem: unknown
    try {
      if (condition()) return
    } catch (thrown) {
      // The file or its tables may not be there yet.
      problem = thrown
    }
    if (performance.now() - since > 120_000) throw new Error(`waited in vain until ${what}`, { cause: problem })
    await Bun.sleep(5)
  }
}

/** Whether a write could begin at once. */
const isUnlocked = (): boolean => {
  const db = new Database(join(folder, "test.db"))
  try {
    db.run("PRAGMA busy_timeout = 0")
    db.run("BEGIN IMMEDIATE")
    db.run("ROLLBACK")
    return true
  } catch {
    return false
  } finally {
    db.close()
  }
}

/** Stops a process between two of its writes. One that is stopped during a write keeps all others out until it goes on. */
const putToSleep = async (pid: number) => {
  for (let tries = 0; tries < 1000; tries++) {
    process.kill(pid, "SIGSTOP")
    await Bun.sleep(10)
    if (isUnlocked()) return
    process.kill(pid, "SIGCONT")
    await Bun.sleep(1)
  }
  throw new Error("each stop came during a write")
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

/**
 * Starts a program that is told how many of its steps may end, and kills it, again and again. As those that come after never end, it is
 * not over however late it is killed. Every other process is killed a moment after it began its first step; the others a moment
 * after they stored as many as may run at once, and so all that ran at the crash before: one that runs at crash after crash is given up.
 */
const killed = async (
  { kills, atOnce, more, seed }: { readonly kills: number; readonly atOnce: number; readonly more: number; readonly seed: number },
  start: (ends: number) => ReturnType<typeof spawn>,
  check: (kill: number, before: number) => void = () => {},
) => {
  const next = random(seed)
  const below = (count: number) => Math.floor(next() * count)
  for (let kill = 0; kill < kills; kill++) {
    const isEarly = kill % 2 === 0
    const before = begun().length
    const storedBefore = kill === 0 ? 0 : stored()
    const ends = isEarly ? 1 + below(atOnce) : atOnce + below(more + 1)
    const wanted = storedBefore + atOnce + below(ends - atOnce + 1)
    const { child } = start(ends)
    if (isEarly) await until(() => begun().length > before, "a step began")
    else await until(() => stored() >= wanted, "the outputs of some steps were stored")
    await Bun.sleep(next() * 25)
    child.kill("SIGKILL")
    expect(await child.exited, "the run must not be over before the last kill").not.toBe(0)
    check(kill, before)
  }
}

describe("processes", () => {
  it("a run killed with SIGKILL at 25 random moments runs no finished step again", { timeout }, async () => {
    const args = [join(folder, "test.db"), log(), "killed", "10", "30000"]
    let kept: Array<string> = []
    // 99 of its 151 steps end at most.
    await killed(
      { kills: 25, atOnce: 3, more: 2, seed: 20_260_101 },
      (ends) => spawn("pipeline.ts", ...args, `${ends}`),
      (kill, before) => {
        const again = begun()
          .slice(before)
          .filter(({ key }) => kept.includes(key))
        expect(again, `after kill ${kill}`).toEqual([])
        kept = finished()
      },
    )
    expect(kept.length).toBeGreaterThanOrEqual(36)
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
    timeout,
  }, async () => {
    const args = [join(folder, "test.db"), log(), "adaptive", "40"]
    let kept: Array<string> = []
    // 18 of its 20 tasks end at most.
    await killed(
      { kills: 9, atOnce: 2, more: 0, seed: 20_260_102 },
      (ends) => spawn("adaptive.tsx", ...args, `${ends}`),
      (kill, before) => {
        const again = begun()
          .slice(before)
          .filter(({ key }) => kept.includes(key))
        expect(again, `after kill ${kill}`).toEqual([])
        kept = finished()
      },
    )
    expect(kept.length).toBeGreaterThanOrEqual(8)
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
    const asked = "SELECT prompt, reply, finish_reason, input_tokens, output_tokens FROM smithers_turns"
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
    timeout,
  }, async () => {
    const db = join(folder, "test.db")
    const isOpen = () => query("SELECT 1 FROM smithers_waits WHERE status = 'open'").length === 1
    const waiter = spawn("waiting.ts", db, "wait")
    await until(isOpen, "it waits")
    const approving = spawn("waiting.ts", db, "approve")
    expect(await approving.child.exited).toBe(0)
    const { now: told } = JSON.parse(await approving.output)
    expect(await waiter.child.exited).toBe(0)
    const { output: heard } = JSON.parse((await waiter.output).split("\n")[1] ?? "")
    // It looks every 20 ms. Half the lease leaves a busy machine time, and rules out that anything but looking told it.
    expect(heard - told).toBeLessThan(15_000)

    rmSync(db)
    for (const suffix of ["-wal", "-shm"]) rmSync(`${db}${suffix}`, { force: true })
    const dying = spawn("waiting.ts", db, "wait")
    await until(isOpen, "it waits")
    dying.child.kill("SIGKILL")
    await dying.child.exited
    const supervisor = spawn("waiting.ts", db, "supervise")
    try {
      await until(() => query<{ status: string }>("SELECT status FROM smithers_runs")[0]?.status === "waiting", "it is taken up")
      expect(await spawn("waiting.ts", db, "approve").child.exited).toBe(0)
      await until(() => query<{ status: string }>("SELECT status FROM smithers_runs")[0]?.status === "finished", "it is over")
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
    timeout,
  }, async () => {
    const db = join(folder, "test.db")
    const isOver = () => query<{ status: string }>("SELECT status FROM smithers_runs WHERE run_id = 'r'")[0]?.status === "finished"
    // 20 of the 21 things that it does and undoes at most.
    await killed({ kills: 10, atOnce: 2, more: 0, seed: 4711 }, (ends) => spawn("family.ts", db, "run", `${ends}`))
    expect(isOver()).toBe(false)
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

  it("a process that slept through its lease is fenced and changes nothing", { timeout }, async () => {
    const args = [join(folder, "test.db"), log(), "fenced", "20", "1000"]
    const first = spawn("pipeline.ts", ...args, "40")
    await until(() => begun().length > 10, "some steps began")
    await putToSleep(first.child.pid)
    const second = spawn("pipeline.ts", ...args)
    expect(await second.child.exited).toBe(0)
    const rows = () => [
      query("SELECT * FROM smithers_runs"),
      query("SELECT * FROM smithers_nodes"),
      query("SELECT * FROM smithers_events"),
      query("SELECT DISTINCT frame FROM smithers_events"),
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

  it("a run asked for by two processes is worked on by one, and both get the output", { timeout }, async () => {
    const args = [join(folder, "test.db"), log(), "shared", "2"]
    const both = [spawn("pipeline.ts", ...args), spawn("pipeline.ts", ...args)]
    for (const { child, output } of both) {
      expect(await child.exited).toBe(0)
      expect(JSON.parse(await output)).toEqual({ value: 5 })
    }
    expect(new Set(begun().map(({ pid }) => pid)).size).toBe(1)
    expect(begun().length).toBe(expected().size)
  })

  it("processes share one file, each with runs of its own", { timeout }, async () => {
    const children = ["a", "b", "c"].map((runId) => spawn("pipeline.ts", join(folder, "test.db"), log(), runId, "1"))
    for (const { child } of children) expect(await child.exited).toBe(0)
    expect(query("SELECT run_id, status FROM smithers_runs ORDER BY run_id")).toEqual(
      ["a", "b", "c"].map((run_id) => ({ run_id, status: "finished" })),
    )
    expect(finished().length).toBe(3 * expected().size)
  })

  it("SIGTERM leaves the run suspended and unowned, and the next process resumes it", { timeout }, async () => {
    const args = [join(folder, "test.db"), log(), "stopped", "10", "30000"]
    const first = spawn("pipeline.ts", ...args, "40")
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

  it("the review workflow runs as written, is killed, and is resumed by its id", { timeout }, async () => {
    const { child } = spawn("review.ts")
    const attempts = () => query("SELECT 1 FROM smithers_heartbeats", "smithers.db")
    await until(() => attempts().length > 0, "the first step gave a heartbeat")
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
