import { execFileSync } from "node:child_process"
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const root = mkdtempSync(join(tmpdir(), "work-"))
const git = (...args: string[]) =>
  execFileSync("git", ["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "user.name=bot", "-c", "user.email=bot@localhost", ...args], { cwd: root, encoding: "utf8" })
git("init", "--quiet")

const fix = Smithers.createWorkflow({ name: "fix", input: Schema.Struct({}) }).build(($) => {
  // An agent in its place, such as ClaudeCodeAgent(), has the same root.
  const work = $.step("work", { output: Schema.String, run: () => (writeFileSync(join(root, "a.txt"), "done\n"), "Write a.txt") })
  const commit = $.step("commit", {
    needs: { work },
    output: Schema.String,
    run: ({ work }) => {
      git("add", "--all")
      if (git("status", "--porcelain") !== "") git("commit", "--quiet", "--message", work)
      return git("log", "--format=%s").trim()
    },
  })
  return $.sequence(work, commit)
})
console.log(await Effect.runPromise(fix.execute({}).pipe(Effect.provide(Smithers.memory))))
