import { writeFileSync } from "node:fs"
import { afterEach, beforeEach, expect, it } from "vitest"
import * as Fixture from "./Fixture.ts"

let folder: Fixture.Folder
beforeEach(() => {
  folder = Fixture.folder()
  writeFileSync(
    folder.file("cached.ts"),
    `import { Schema } from "effect"
     import { Smithers } from "smithers-orchestrator"
     export default Smithers.createWorkflow({ name: "cached", input: Schema.Struct({}) }).build(($) =>
       $.step("made", { output: Schema.String, cache: true, run: ({ runId }) => "made by " + runId }),
     )`,
  )
})
afterEach(() => folder.remove())

const outputOf = async (runId: string) => (await folder.json("output", runId)).value

it("an output is taken over from an earlier run, which inspect, node and the log name", async () => {
  await folder.run("up", "cached.ts", "--run-id", "first")
  const second = await folder.run("up", "cached.ts", "--run-id", "second")
  expect(second.stdout + second.stderr).toContain("from the cache of run first")
  expect(await outputOf("second")).toMatchObject({ output: "made by first" })
  expect((await folder.run("inspect", "second")).stdout).toContain("(from the cache of run first)")
  expect((await folder.run("node", "second", "made")).stdout).toMatch(/attempt 1: succeeded.*, from the cache of run first/)
  expect((await folder.run("logs", "second")).stdout).toContain("from the cache of run first")
  expect((await folder.json("node", "second", "made")).value).toMatchObject({ attempts: [{ cachedFrom: "first" }] })
})

it("--no-cache does the work again, also detached, and caches the new output", async () => {
  await folder.run("up", "cached.ts", "--run-id", "first")
  await folder.run("up", "cached.ts", "--run-id", "second", "--no-cache")
  expect(await outputOf("second")).toMatchObject({ output: "made by second" })
  await folder.run("up", "cached.ts", "--run-id", "third")
  expect(await outputOf("third")).toMatchObject({ output: "made by second" })
  expect((await folder.run("up", "cached.ts", "--run-id", "fourth", "--no-cache", "--detach")).code).toBe(0)
  await expect
    .poll(async () => (await folder.json("output", "fourth")).value, { timeout: 60_000 })
    .toMatchObject({ output: "made by fourth" })
})

it("the cache is listed, and forgotten by workflow, node, run and age", async () => {
  await folder.run("up", "cached.ts", "--run-id", "first")
  const entry = { workflow: "cached", nodeId: "made", runId: "first", iteration: 0, isShared: false }
  expect((await folder.json("cache", "list")).value).toMatchObject({ outputs: [entry], hasMore: false })
  expect((await folder.run("cache", "list")).stdout).toMatch(/cached +made +first/)
  expect((await folder.run("cache", "clear")).code).toBe(4)
  expect((await folder.json("cache", "clear", "--workflow", "other")).value).toMatchObject({ count: 0 })
  expect((await folder.json("cache", "clear", "--older-than", "1h")).value).toMatchObject({ count: 0 })
  expect((await folder.json("cache", "clear", "--workflow", "cached", "--node", "made", "--run", "first")).value).toMatchObject({
    count: 1,
  })
  await folder.run("up", "cached.ts", "--run-id", "second")
  expect(await outputOf("second")).toMatchObject({ output: "made by second" })
  expect(await outputOf("first")).toMatchObject({ output: "made by first" })
  expect((await folder.json("cache", "clear", "--all")).value).toMatchObject({ count: 1 })
  expect((await folder.run("cache", "list")).stdout).toContain("No output is cached.")
})

it("cached outputs of pruned runs are gone, and the database is sound", async () => {
  await folder.run("up", "cached.ts", "--run-id", "first")
  await folder.run("db", "prune", "--older-than", "0s")
  expect((await folder.json("cache", "list")).value).toMatchObject({ outputs: [] })
  expect((await folder.run("db", "check")).code).toBe(0)
  await folder.run("up", "cached.ts", "--run-id", "second")
  expect(await outputOf("second")).toMatchObject({ output: "made by second" })
})
