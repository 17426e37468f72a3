/** Runs that wait for slots of limits, from the terminal. Each command is a process of its own. */
import { existsSync, rmSync, writeFileSync } from "node:fs"
import { afterEach, beforeEach, expect, it } from "vitest"
import { type Folder, folder } from "./Fixture.ts"

let place: Folder
beforeEach(() => {
  place = folder()
  writeFileSync(
    place.file("flow.ts"),
    `import { existsSync, writeFileSync } from "node:fs"
import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
export default Smithers.createWorkflow({ name: "flow", input: Schema.Struct({ n: Schema.Number }) }).build(($) =>
  $.step("call", { output: Schema.String, limit: "hub", run: async ({ input }) => {
    if (input.n === 0) {
      writeFileSync("begun", "")
      while (existsSync("begun")) await Bun.sleep(20)
    }
    return "called " + input.n
  } }))
`,
  )
  writeFileSync(
    place.file("plain.ts"),
    `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
export default Smithers.createWorkflow({ name: "plain", input: Schema.Struct({}) }).build(($) =>
  $.step("only", { output: Schema.String, run: () => "done" }))
`,
  )
})
afterEach(() => place.remove())

it("up leaves a run that waits for a slot, ps, why and inspect say for which, and supervise resumes it in its turn", async () => {
  // The database is there with its first run.
  expect((await place.run("up", "plain.ts")).code).toBe(0)
  expect((await place.run("limit", "set", "hub", "--concurrency", "1")).code).toBe(0)
  const holder = place.run("up", "flow.ts", "--run-id", "holder", "--input", '{"n":0}')
  while (!existsSync(place.file("begun"))) await Bun.sleep(20)
  const waiting = await Promise.all([1, 2].map((n) => place.run("up", "flow.ts", "--run-id", `r${n}`, "--input", `{"n":${n}}`)))
  for (const { code, stdout } of waiting) {
    expect(code).toBe(3)
    expect(stdout).toMatch(/call: a slot of hub, (none|1) before it/)
  }
  const listed = await place.json("ps")
  const runs = (listed.value as { runs: ReadonlyArray<{ runId: string; status: string; owner: unknown; slots?: unknown }> }).runs
  const resting = runs.filter(({ runId }) => ["r1", "r2"].includes(runId))
  expect(resting).toHaveLength(2)
  for (const run of resting) expect(run).toMatchObject({ status: "waiting-quota", owner: null, slots: [{ name: "hub" }] })
  expect((await place.run("ps")).stdout).toMatch(/r1 .*waiting-quota .*call: a slot of hub/)
  const why = await place.run("why", "r1")
  expect(why.stdout).toMatch(/"call" waits for a slot of hub, (none|1) before it, for .*; it has to be resumed then/)
  expect(why.stdout).toContain("smithers supervise")
  expect((await place.run("inspect", "r1")).stdout).toMatch(/"call" waits for a slot of hub, (none|1) before it/)
  const supervised = place.start(["supervise"])
  rmSync(place.file("begun"))
  expect((await holder).code).toBe(0)
  const ended = async (runId: string): Promise<boolean> => {
    const { value } = await place.json("inspect", runId)
    return (value as { run: { status: string } }).run.status === "finished"
  }
  while (!((await ended("r1")) && (await ended("r2")))) await Bun.sleep(200)
  supervised.kill("SIGINT")
  await supervised.result
}, 300_000)
