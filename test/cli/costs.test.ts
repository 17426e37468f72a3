import { copyFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import * as Fixture from "./Fixture.ts"

let folder: Fixture.Folder
beforeEach(() => {
  folder = Fixture.folder()
  copyFileSync(join(import.meta.dirname, "fixtures/costs.ts"), folder.file("costs.ts"))
})
afterEach(() => folder.remove())

describe("costs of agents", () => {
  it("are shown by step and model, with what is left of budgets, and in the list of runs", async () => {
    expect((await folder.run("up", "costs.ts", "--run-id", "r")).code).toBe(0)
    expect((await folder.run("costs", "r")).stdout).toBe(`RUN  STEP  AGENT   MODEL OR TOOL      CALLS  INPUT  CACHED  OUTPUT  COST
r    read  reader  claude-sonnet-4-5  2      2000   1600    200     $0.004680
r    read  reader  look               1
r    file  clerk   nobody-knows-1     1      1000   800     100     unknown

In all 3 calls of models, 3300 tokens, ≥ $0.004680.
The price of 1 call is not known: add the model to "prices".

BUDGET   SPENT        RESERVED  LIMIT
run "r"  3300 tokens  0 tokens  100000 tokens
`)
    expect((await folder.run("costs", "--since", "1h")).stdout).toContain("costs     reader  claude-sonnet-4-5  2")
    expect((await folder.json("costs", "r")).value).toMatchObject({
      runId: "r",
      total: { calls: 3, tokens: 3300, unpriced: 1, unknown: 0 },
      budgets: [{ name: 'run "r"', spent: { tokens: 3300, agentCalls: 3, toolCalls: 1 }, reserved: {} }],
    })
    const listed = (await folder.run("ps")).stdout
    expect(listed).toContain("TOKENS  COST")
    expect(listed).toContain("3300    ≥ $0.004680")
    expect((await folder.json("ps")).value).toMatchObject({ runs: [{ usage: { tokens: 3300, unpriced: 1 } }] })
    expect((await folder.run("graph", "costs.ts")).stdout).toContain("budget small of 1000 tokens")
  })

  it("are bounded by budgets that are changed later, from the terminal", async () => {
    expect((await folder.run("up", "costs.ts", "--run-id", "a", "--budget", "agentCalls=2")).code).toBe(1)
    expect((await folder.run("budget", "a")).stdout).toMatch(/run "a" +2 calls of models +0 calls of models +2 calls of models/)
    const refused = await folder.json("budget", "a", "--set", "cost=1")
    expect(refused).toMatchObject({ value: { error: { tag: "InvalidCommand" } } })
    const wrong = await folder.json("budget", "a", "--set", "coast=1")
    expect(wrong).toMatchObject({ code: 4, value: { error: { tag: "InvalidUsage" } } })
    const raised = await folder.json("budget", "a", "--set", "agentCalls=50")
    expect(raised).toMatchObject({ code: 0, value: { runId: "a" } })
    expect((await folder.run("budget", "a")).stdout).toMatch(/run "a" .* 50 calls of models/)
    expect((await folder.run("up", "--resume", "a")).code).toBe(0)
  })

  it("are none of a run without agents, and refuse a time that is none", async () => {
    expect((await folder.run("costs", "--since", "soon")).stderr).toContain("--since must be a time such as 12h or 7d")
    expect((await folder.run("up", "costs.ts", "--run-id", "r", "--input", '{"isDry":true}')).code).toBe(0)
    expect((await folder.run("costs", "r")).stdout).toBe("No agent of this run was asked.\n")
    expect((await folder.run("ps")).stdout).not.toContain("COST")
  })

  it("may be given a budget, prices and a budget of the day from outside", async () => {
    const env = { SMITHERS_PRICES: '{"nobody-knows-1":{"input":1,"output":1}}', SMITHERS_DAILY_BUDGET: '{"agentCalls":4}' }
    expect((await folder.run("up", "costs.ts", "--run-id", "a", "--budget", "agentCalls=2")).code).toBe(1)
    expect((await folder.run("why", "a")).stdout).toContain(
      'the budget of run "a" is used up: 2 calls of models of 2 calls of models',
    )
    expect((await folder.start(["up", "costs.ts", "--run-id", "b"], { env }).result).code).toBe(0)
    expect((await folder.json("costs", "b")).value).toMatchObject({ total: { unpriced: 0 } })
    expect((await folder.start(["up", "costs.ts", "--run-id", "c"], { env }).result).code).toBe(1)
    expect((await folder.run("why", "c")).stdout).toContain("the budget of the day")
    const refused = await folder.run("up", "costs.ts", "--run-id", "d", "--budget", "token=5")
    expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining('did you mean "tokens"?')])
    const wrong = await folder.start(["up", "costs.ts", "--run-id", "e"], { env: { SMITHERS_PRICES: "{" } }).result
    expect(wrong.stderr).toContain("SMITHERS_PRICES")
  })

  it("that a budget ends are told by why, with the way on", async () => {
    expect((await folder.run("up", "costs.ts", "--run-id", "r", "--input", '{"tokens":1000}')).code).toBe(1)
    const { stdout } = await folder.run("why", "r")
    expect(stdout).toContain('the budget of "small" is used up: 1100 tokens of 1000 tokens')
    expect(stdout).toContain("Raise the limit (tokens of the budget) and resume the run.")
  })
})
