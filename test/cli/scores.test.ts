import { rmSync, writeFileSync } from "node:fs"
import { afterEach, beforeEach, expect, it } from "vitest"
import * as Fixture from "./Fixture.ts"

let folder: Fixture.Folder
beforeEach(() => {
  folder = Fixture.folder()
  writeFileSync(
    folder.file("scored.ts"),
    `import { existsSync } from "node:fs"
     import { Schema } from "effect"
     import { Smithers } from "smithers-orchestrator"
     export default Smithers.createWorkflow({ name: "scored", input: Schema.Struct({}) }).build(($) =>
       $.step("write", {
         output: Schema.String,
         run: () => "three short words",
         scorers: {
           brevity: async ({ output }) => {
             while (existsSync("hang")) await new Promise((resolve) => setTimeout(resolve, 20))
             return { score: 1 / output.split(" ").length, reason: "counted" }
           },
           broken: () => { throw new Error("no ruler") },
         },
       }),
     )`,
  )
})
afterEach(() => folder.remove())

const statusOf = async () => {
  const { code, value } = await folder.json("scores", "r")
  return code === 0 ? (value as { readonly scores: ReadonlyArray<object> }).scores : []
}

it("up stays until the scores are made, which are listed with their reasons", async () => {
  expect((await folder.run("up", "scored.ts", "--run-id", "r")).code).toBe(0)
  const { stdout } = await folder.run("scores", "r")
  expect(stdout).toMatch(/write +0 +brevity +0\.33 +counted/)
  expect(stdout).toMatch(/write +0 +broken +failed +.*no ruler/)
  expect((await folder.json("scores", "r", "other")).value).toEqual({ runId: "r", scores: [] })
})

it("a scorer that SIGKILL cuts off after its run has finished is made when the run is resumed", { timeout: 120_000 }, async () => {
  writeFileSync(folder.file("hang"), "")
  const process = folder.start(["up", "scored.ts", "--run-id", "r"])
  await expect.poll(statusOf, { timeout: 60_000, interval: 200 }).toMatchObject([
    { scorer: "brevity", status: "due", tries: 1 },
    { scorer: "broken", status: "failed" },
  ])
  expect((await folder.json("inspect", "r")).value).toMatchObject({ run: { status: "finished" } })
  process.kill("SIGKILL")
  await process.result
  rmSync(folder.file("hang"))
  expect(await statusOf()).toMatchObject([{ status: "due" }, { status: "failed" }])
  expect((await folder.run("up", "--resume", "r")).code).toBe(0)
  expect(await statusOf()).toMatchObject([
    { scorer: "brevity", status: "finished", reason: "counted", tries: 2 },
    { scorer: "broken", status: "failed", tries: 1 },
  ])
  // No score is made twice.
  expect((await folder.run("up", "--resume", "r")).code).toBe(0)
  expect(await statusOf()).toMatchObject([{ tries: 2 }, { tries: 1 }])
})

it("pruning a run deletes its scores, and the database is sound", async () => {
  await folder.run("up", "scored.ts", "--run-id", "r")
  await folder.run("db", "prune", "--older-than", "0s")
  const check = await folder.run("db", "check")
  expect([check.code, check.stdout]).toEqual([0, expect.stringContaining("nothing wrong")])
})
