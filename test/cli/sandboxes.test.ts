/** The sandboxes of runs that nobody resumes. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { expect, it } from "vitest"
import * as Fixture from "./Fixture.ts"

it("db prune removes the sandboxes of the runs that it deletes, says so before, and keeps those of runs that go on", async () => {
  const folder = Fixture.folder()
  try {
    writeFileSync(
      folder.file("fix.ts"),
      `import { Schema } from "effect"
       import { Smithers } from "smithers-orchestrator"
       export default Smithers.createWorkflow({ name: "fix", input: Schema.Struct({ fails: Schema.Boolean }) }).build(($) =>
         $.sandbox({
           id: "copy",
           body: $.step("work", { output: Schema.Void, retry: false, run: ({ input }) => { if (input.fails) throw new Error("no") } }),
           review: () => new Promise(() => {}),
         }),
       )`,
    )
    const up = (runId: string, fails: boolean) =>
      folder.run("up", "fix.ts", "--run-id", runId, "--input", JSON.stringify({ fails }))
    await up("failed", true)
    const sandboxes = folder.file(".smithers/sandboxes")
    expect(readdirSync(sandboxes).sort()).toEqual([".git", ".gitignore", "failed"])
    // One of a run that this database does not have.
    mkdirSync(`${sandboxes}/other/copy`, { recursive: true })
    const dry = await folder.run("db", "prune", "--older-than", "0s", "--dry-run")
    expect(dry.stdout).toContain("Would delete 1 sandbox that they have left.")
    expect(existsSync(`${sandboxes}/failed/copy`)).toBe(true)
    const { value } = await folder.json("db", "prune", "--older-than", "0s")
    expect(value).toMatchObject({ pruned: ["failed"], sandboxes: [{ runId: "failed", directory: `${sandboxes}/failed/copy` }] })
    expect(readdirSync(sandboxes).sort()).toEqual([".git", ".gitignore", "other"])
  } finally {
    folder.remove()
  }
})
