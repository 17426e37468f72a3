/** The project that `init` writes, as its owner has it: its tests, its check, and a run by the command, all without a model. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { init } from "@smithers/cli/actions/init"
import * as Effect from "effect/Effect"
import { loggedInAgent } from "smithers-orchestrator/agents"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "..", "..")
const bin = join(root, "packages", "smithers", "src", "bin.ts")
let folder = ""

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "smithers-templates-"))
  await Effect.runPromise(init({ folder, template: [], list: false, force: false }) as Effect.Effect<unknown, never>)
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const run = (...argv: ReadonlyArray<string>) => {
  const { SMITHERS_DB: _, NODE_ENV: __, ...env } = process.env
  const began = performance.now()
  const child = Bun.spawnSync([process.execPath, ...argv], {
    cwd: folder,
    env: { ...env, NO_COLOR: "1", CI: "1", SMITHERS_AGENT: "stand-in" },
  })
  const said = `${child.stdout}${child.stderr}`
  return { code: child.exitCode, said, stdout: child.stdout.toString(), seconds: (performance.now() - began) / 1000 }
}
const smithers = (...argv: ReadonlyArray<string>) => run(bin, ...argv)

describe("a project of init", () => {
  it("passes its tests, which need neither a key nor ten seconds", () => {
    const { code, said, seconds } = run("test")
    expect(code, said).toBe(0)
    expect(said).toMatch(/ 0 fail/)
    expect(said).not.toContain("WARN")
    expect(seconds).toBeLessThan(10)
  })

  // What each asks a person, in order, and the answer; `null` approves.
  const flows: ReadonlyArray<
    readonly [name: string, input: object, answers: ReadonlyArray<readonly [node: string, value: object | null]>]
  > = [
    ["kanban", {}, [["start", null]]],
    [
      "mission",
      { rounds: 1 },
      [
        ["go", null],
        ["inventory:advice", { goOn: false }],
      ],
    ],
    ["research-plan-implement", {}, [["approve-plan", { approved: true }]]],
    [
      "plan-prd",
      { folder: "out" },
      [
        ["answers", { answers: "Families." }],
        ["approve", null],
      ],
    ],
    ["grill-me", { questions: 1 }, [["answer", { answer: "To both." }]]],
  ]

  it.each(flows)("%s runs to its end by the command, and waits where a person belongs", (name, input, answers) => {
    const checked = smithers("check", `workflows/${name}.tsx`)
    expect(checked.code, checked.said).toBe(0)
    let last = smithers("workflow", "run", name, "--run-id", name, "--input", JSON.stringify(input))
    for (const [node, value] of answers) {
      expect(last.code, last.said).toBe(3)
      const decided =
        value === null
          ? smithers("approve", name, "--node", node)
          : smithers("answer", name, node, "--value", JSON.stringify(value))
      expect(decided.code, decided.said).toBe(0)
      last = smithers("up", "--resume", name, "--json")
    }
    expect(JSON.parse(last.stdout)).toMatchObject({ status: "finished", output: expect.anything() })
  })

  it("writes the document that was approved", () => {
    expect(readFileSync(join(folder, "out", "shared-lists.md"), "utf8")).toContain(
      "- [ ] rights: Let the owner say who may edit (after link)",
    )
  })
})

describe("an agent that is logged in", () => {
  it("is the first of the programs that says so; none is one that is not installed or not logged in", async () => {
    const home = join(folder, "home")
    const path = join(folder, "bin")
    for (const made of [home, path]) mkdirSync(made)
    const program = (name: string, code: number) =>
      writeFileSync(join(path, name), `#!/bin/sh\n[ "$1" = --version ] && echo 1.2.3 && exit 0\nexit ${code}\n`, { mode: 0o755 })
    const env = { PATH: `${path}:/usr/bin:/bin`, HOME: home, SMITHERS_ISOLATION: "none" }
    expect(await loggedInAgent(undefined, env)).toBeUndefined()
    program("codex", 1)
    expect(await loggedInAgent(["claude", "codex"], env)).toBeUndefined()
    program("codex", 0)
    expect(await loggedInAgent(["claude", "codex"], env)).toBe("codex")
  })
})
