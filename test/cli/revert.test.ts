import { execFileSync } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { afterEach, beforeEach, expect, it } from "vitest"
import * as Fixture from "./Fixture.ts"
import { inTerminal } from "./Terminal.ts"

let folder: Fixture.Folder
const git = (...args: ReadonlyArray<string>) =>
  execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], { cwd: folder.path, encoding: "utf8" })
const read = (name: string) => (existsSync(folder.file(name)) ? readFileSync(folder.file(name), "utf8") : undefined)
const refs = () => git("for-each-ref", "--format=%(refname)", "refs/smithers")

beforeEach(() => {
  folder = Fixture.folder()
  writeFileSync(
    folder.file("work.ts"),
    `import { writeFileSync } from "node:fs"
     import { Schema } from "effect"
     import { Smithers } from "smithers-orchestrator"
     export default Smithers.createWorkflow({ name: "work", input: Schema.Struct({}), snapshots: true }).build(($) => {
       const step = (id, needs = {}) =>
         $.step(id, {
           needs,
           output: Schema.String,
           run: () => {
             writeFileSync(id + ".txt", id)
             return id
           },
         })
       const plan = step("plan")
       const review = step("review", { plan })
       return $.sequence(plan, review)
     })`,
  )
  git("init", "-q", "-b", "main")
  writeFileSync(folder.file(".gitignore"), "smithers.db*\n.smithers\nnode_modules\n")
  git("add", "-A")
  git("commit", "-qm", "first")
})
afterEach(() => folder.remove())

it("revert and up go as the documents have them: files and outputs go back, the rest runs again, and an undo brings them back", async () => {
  expect((await folder.run("up", "work.ts", "--run-id", "r")).code).toBe(0)
  expect((await folder.run("inspect", "r")).stdout).toMatch(/Snapshots +4/)
  expect((await folder.run("node", "r", "review")).stdout).toMatch(/snapshot before: [0-9a-f]{12}, /)

  expect((await folder.run("diff", "r", "1")).stdout).toMatch(/Files\n(.*\n)*? +\+ review\.txt \(\+1 -0\)/)

  const preview = await folder.run("revert", "work.ts", "--run-id", "r", "--node-id", "review", "--dry-run")
  expect(preview.stdout).toContain('Reverting run r to before attempt 1 of "review" would mean:')
  expect(preview.stdout).toContain("- review.txt")
  expect(preview.stdout).toContain("Nothing was changed.")
  expect(read("review.txt")).toBe("review")

  const reverted = await folder.run(
    "revert",
    "work.ts",
    "--run-id",
    "r",
    "--node-id",
    "review",
    "--attempt",
    "1",
    "--iteration",
    "0",
  )
  expect([reverted.code, reverted.stderr]).toEqual([0, ""])
  expect(reverted.stdout).toContain("runs again  1: review")
  expect(reverted.stdout).toContain("Resume it: smithers up work.ts --run-id r --resume true")
  expect([read("plan.txt"), read("review.txt")]).toEqual(["plan", undefined])
  expect((await folder.run("logs", "r")).stdout).toContain("reverted to before review attempt 1, with its files")

  const undone = await folder.json("revert", "work.ts", "--run-id", "r", "--undo")
  expect(undone.value).toMatchObject({ undoes: 1, restored: [{ nodeId: "review", iteration: 0 }] })
  expect(read("review.txt")).toBe("review")
  await folder.run("revert", "work.ts", "--run-id", "r", "--node-id", "review", "--attempt", "1")
  expect((await folder.run("up", "work.ts", "--run-id", "r", "--resume", "true")).code).toBe(0)
  expect((await folder.json("output", "r")).value).toMatchObject({ output: "review" })
})

it("revert says what is missing or refused, and changes nothing", async () => {
  // The same steps, without asking for snapshots.
  writeFileSync(folder.file("work.ts"), readFileSync(folder.file("work.ts"), "utf8").replace(", snapshots: true", ""))
  await folder.run("up", "work.ts", "--run-id", "r")
  const refused = async (...args: ReadonlyArray<string>) => (await folder.run("revert", "work.ts", ...args)).stderr
  expect(await refused("--node-id", "review")).toContain("Give the run: --run-id <id>")
  expect(await refused("--run-id", "r")).toContain("--node-id <node>")
  expect(await refused("--run-id", "r", "--node-id", "none")).toContain("none")
  expect(await refused("--run-id", "r", "--node-id", "review", "--files")).toContain("there is no snapshot of the files")
  expect(await refused("--run-id", "r", "--node-id", "review", "--files", "--no-files")).toContain("not both")
  expect(await refused("--run-id", "r", "--undo")).toContain("it was never reverted")
  expect((await folder.json("inspect", "r")).value).toMatchObject({ run: { status: "finished" } })
  const left = await folder.json("revert", "work.ts", "--run-id", "r", "--node-id", "review")
  expect(left.value).toMatchObject({ files: null, resets: [{ nodeId: "review", iteration: 0 }] })
})

it("db prune removes the refs of the runs that it deletes, and leaves those of others", async () => {
  // A run that waits is not deleted, however old it is.
  const waits = readFileSync(folder.file("work.ts"), "utf8")
    .replace("$.sequence(plan, review)", `$.sequence(plan, review, $.approval("ok", { request: () => ({ title: "Go on?" }) }))`)
    .replace('name: "work"', 'name: "waits"')
  writeFileSync(folder.file("waits.ts"), waits)
  expect((await folder.run("up", "waits.ts", "--run-id", "waiting")).code).toBe(3)
  const kept = refs()
  expect((await folder.run("up", "work.ts", "--run-id", "old")).code).toBe(0)
  const all = refs()
  expect(all.trim().split("\n")).toHaveLength(2)
  await new Promise((resolve) => setTimeout(resolve, 1200))
  expect((await folder.run("db", "prune", "--older-than", "1s", "--dry-run")).code).toBe(0)
  expect(refs()).toBe(all)
  expect((await folder.json("db", "prune", "--older-than", "1s")).value).toMatchObject({ pruned: ["old"] })
  expect(refs()).toBe(kept)
})

it("revert in a terminal shows what would happen and asks: no changes nothing, yes reverts", async () => {
  expect((await folder.run("up", "work.ts", "--run-id", "r")).code).toBe(0)
  const revert = async (reply: string) => {
    const terminal = inTerminal(folder, "revert", "work.ts", "--run-id", "r", "--node-id", "review")
    await terminal.sees("Revert it?")
    expect(terminal.seen()).toContain("- review.txt")
    expect(read("review.txt")).toBe("review")
    terminal.type(reply)
    return terminal.ended
  }
  // A reply that is no is an end without success, as where nobody can be asked.
  expect(await revert("n")).toBe(4)
  expect(read("review.txt")).toBe("review")
  expect(await revert("y")).toBe(0)
  expect(read("review.txt")).toBeUndefined()
})
