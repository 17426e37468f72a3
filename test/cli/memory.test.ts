import { writeFileSync } from "node:fs"
import { afterEach, beforeEach, expect, it } from "vitest"
import * as Fixture from "./Fixture.ts"

let folder: Fixture.Folder
beforeEach(() => {
  folder = Fixture.folder()
  writeFileSync(
    folder.file("noting.ts"),
    `import { Schema } from "effect"
     import { Smithers } from "smithers-orchestrator"
     export default Smithers.createWorkflow({ name: "noting", input: Schema.Struct({}) }).build(($) =>
       $.sequence(
         $.step("style", { output: Schema.String, memory: { remember: true }, run: () => "Write briefly." }),
         $.step("own", { output: Schema.Number, memory: { namespace: "run", remember: true }, run: () => 1 }),
       ),
     )`,
  )
})
afterEach(() => folder.remove())

const keysOf = async (...args: ReadonlyArray<string>) => {
  const { value } = await folder.json("memory", ...args)
  return (value as { readonly facts: ReadonlyArray<{ readonly key: string }> }).facts.map(({ key }) => key)
}

it("facts of runs are listed, found, read, changed and deleted, in any process", async () => {
  await folder.run("up", "noting.ts", "--run-id", "r")
  expect(await keysOf("list")).toEqual(["own", "style"])
  expect(await keysOf("list", "workflow:noting")).toEqual(["style"])
  expect(await keysOf("list", "--limit", "1")).toEqual(["own"])
  expect(await keysOf("search", "brief")).toEqual(["style"])
  expect(await keysOf("search", "brief", "--namespace", "run:r")).toEqual([])
  expect((await folder.run("memory", "list")).stdout).toMatch(/workflow:noting +style +Write briefly\./)
  expect((await folder.run("memory", "get", "workflow:noting", "style")).stdout).toBe('"Write briefly."\n')
  const set = await folder.json("memory", "set", "workflow:noting", "style", "--value", '{"tone":"warm"}', "--ttl", "1h")
  expect(set.value).toMatchObject({ fact: { value: { tone: "warm" }, version: 2, runId: null } })
  expect(await keysOf("search", "brief")).toEqual([])
  expect(await keysOf("search", "warm")).toEqual(["style"])
  expect((await folder.run("memory", "delete", "workflow:noting", "style")).code).toBe(0)
  const gone = await folder.json("memory", "get", "workflow:noting", "style")
  expect(gone).toMatchObject({ code: 4, value: { error: { tag: "NoSuchFact", namespace: "workflow:noting", key: "style" } } })
  expect((await folder.run("memory", "delete", "workflow:noting", "style")).code).toBe(4)
  expect((await folder.run("memory", "delete", "run:r")).code).toBe(4)
  expect((await folder.json("memory", "delete", "run:r", "--all")).value).toMatchObject({ count: 1 })
  expect((await folder.run("memory", "set", "n", "k")).code).toBe(4)
  expect((await folder.run("memory", "set", "n", "k", "--value", "no JSON")).code).toBe(4)
})

it("pruning a run deletes the facts of its own namespace, and keeps what it has told others", async () => {
  await folder.run("up", "noting.ts", "--run-id", "r")
  await folder.run("db", "prune", "--older-than", "0s")
  expect(await keysOf("list")).toEqual(["style"])
  expect(await keysOf("search", "brief own")).toEqual(["style"])
  const check = await folder.run("db", "check")
  expect([check.code, check.stdout]).toEqual([0, expect.stringContaining("nothing wrong")])
  await folder.run("up", "noting.ts", "--run-id", "r2")
  expect(await keysOf("search", "brief")).toEqual(["style"])
})
