/** Steps of real runs that are worked on by command-line agents: fallback, limits, corrections, and the end of the process in between. */
import { Database } from "bun:sqlite"
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, it } from "vitest"
import { callsIn, left, processesWith, until } from "./fixtures/asking.ts"

let folder = ""
let home = ""
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "smithers-cli-run-")))
  home = join(folder, "home")
  for (const one of [home, join(folder, "root")]) mkdirSync(one)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const start = (behaviours: ReadonlyArray<string>, env: { readonly [name: string]: string } = {}) => {
  const file = new URL("fixtures/cliRun.tsx", import.meta.url).pathname
  const args = [process.execPath, file, join(folder, "runs.db"), join(folder, "root"), ...behaviours]
  return Bun.spawn(args, { env: { PATH: process.env.PATH ?? "", HOME: home, ...env }, stdio: ["ignore", "pipe", "inherit"] })
}

const run = async (...behaviours: ReadonlyArray<string>) => {
  const child = start(behaviours)
  const text = await new Response(child.stdout).text()
  await child.exited
  return JSON.parse(text)
}

const rows = <Row>(sql: string): ReadonlyArray<Row> => {
  const database = new Database(join(folder, "runs.db"), { readonly: true })
  try {
    database.run("PRAGMA busy_timeout = 5000")
    return database.query(sql).all() as ReadonlyArray<Row>
  } finally {
    database.close()
  }
}

it("passes to the next agent where one is not installed, not logged in or not trusted", async () => {
  expect(await run("missing", "success-with-error", "wants-trust", "")).toMatchObject({ status: "finished", output: { n: 1 } })
  expect(rows("SELECT agent, status FROM smithers_conversations ORDER BY conversation")).toEqual([
    { agent: "agent-1", status: "failed" },
    { agent: "agent-2", status: "failed" },
    { agent: "agent-3", status: "failed" },
    { agent: "agent-4", status: "finished" },
  ])
})

it.each([
  ["missing", "npm install -g @anthropic-ai/claude-code"],
  ["zero-on-401", "Log in: claude auth login"],
])("fails at once, without retries and with what repairs it, where there is no other agent: %s", async (how, repair) => {
  const result = await run(how)
  expect(result).toMatchObject({ status: "failed" })
  expect(JSON.stringify(result)).toContain(repair)
  expect(callsIn(home).length).toBe(how === "missing" ? 0 : 1)
})

it("waits for a limit, and passes to another agent at once where there is one", async () => {
  expect(await run("limit", "")).toMatchObject({ status: "finished", output: { n: 1 } })
  rmSync(join(folder, "runs.db"))
  expect(await run("limit")).toMatchObject({ status: "waiting-quota" })
})

it("has an answer corrected in its own conversation", async () => {
  expect(await run("bad-then-good")).toMatchObject({ status: "finished", output: { n: 2 } })
  const [first, second] = callsIn(home)
  expect(second?.args[second.args.indexOf("--resume") + 1]).toBe(first?.args[first.args.indexOf("--session-id") + 1])
  expect(second?.input).toMatch(/^Your previous reply was not accepted/)
  // The program states the cost of the whole session each time; each call is charged with its own part.
  const charges = rows<{ status: string; cost: number }>("SELECT status, cost FROM smithers_charges ORDER BY conversation")
  expect(charges).toEqual([
    { status: "settled", cost: expect.closeTo(0.001, 9) },
    { status: "settled", cost: expect.closeTo(0.001, 9) },
  ])
})

it("shows in the store what an agent does while it does it, and goes on in its session where the process was killed", async () => {
  const mark = `5${Date.now() % 10_000_000}`
  const child = start(["tool-forever"], { STAND_IN_MARK: mark })
  await until(() => processesWith(mark).length > 0)
  await until(() => rows("SELECT 1 FROM smithers_tool_calls WHERE status = 'started'").length > 0)
  expect(rows("SELECT tool, call_id, status FROM smithers_tool_calls")).toEqual([
    { tool: "Bash", call_id: "t1", status: "started" },
  ])
  child.kill("SIGKILL")
  await child.exited
  expect(await left(mark)).toEqual([])
  expect(await run("")).toMatchObject({ status: "finished", output: { n: 2 } })
  const [first, second] = callsIn(home)
  expect(second?.args[second.args.indexOf("--resume") + 1]).toBe(first?.args[first.args.indexOf("--session-id") + 1])
  expect(second?.input).toMatch(/^You have worked on this task before, and were interrupted/)
})
