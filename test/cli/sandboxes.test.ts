/** The sandboxes of runs that nobody resumes. */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { Effect, Schema } from "effect"
import { createSmithers, Sandbox, Smithers, Task } from "smithers-orchestrator"
import { jsx } from "smithers-orchestrator/jsx-runtime"
import { expect, it } from "vitest"
import { z } from "zod"
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

it("db prune finds sandboxes below other roots: of another program, and of worktrees", async () => {
  const [folder, elsewhere] = [Fixture.folder(), Fixture.folder()]
  try {
    execFileSync("git", ["init", "-q"], { cwd: elsewhere.path })
    execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "first", "--allow-empty"], {
      cwd: elsewhere.path,
    })
    const failing = { output: Schema.Void, retry: false, run: () => Effect.fail(new Error("no")) } as const
    const built = Smithers.createWorkflow({ name: "built", input: Schema.Struct({}) }).build(($) =>
      $.worktree({ id: "tree", path: "trees/one", body: $.sandbox({ id: "copy", body: $.step("work", failing) }) }),
    )
    const { smithers, Workflow, outputs } = createSmithers({ done: z.string() })
    const work = () => Effect.fail(new Error("no"))
    const drawn = smithers(() =>
      jsx(Workflow, {
        name: "drawn",
        children: jsx(Sandbox, {
          id: "copy",
          children: jsx(Task, { id: "work", output: outputs.done, noRetry: true, children: work }),
        }),
      }),
    )
    const runtime = Smithers.sqlite({ filename: folder.file("smithers.db"), tools: { root: elsewhere.path } })
    await Effect.runPromise(
      Effect.all([Effect.exit(built.execute({}, { runId: "b" })), Effect.exit(drawn.execute({}, { runId: "d" }))]).pipe(
        Effect.provide(runtime),
      ),
    )
    const left = [elsewhere.file("trees/one/.smithers/sandboxes/b/copy"), elsewhere.file(".smithers/sandboxes/d/copy")]
    expect(left.map((directory) => existsSync(directory))).toEqual([true, true])
    const { value } = await folder.json("db", "prune", "--older-than", "0s")
    const { sandboxes } = value as { readonly sandboxes: ReadonlyArray<{ readonly runId: string; readonly directory: string }> }
    expect(sandboxes.toSorted((one, other) => one.runId.localeCompare(other.runId))).toEqual([
      { runId: "b", directory: left[0] },
      { runId: "d", directory: left[1] },
    ])
    expect(left.map((directory) => existsSync(directory))).toEqual([false, false])
  } finally {
    folder.remove()
    elsewhere.remove()
  }
})
