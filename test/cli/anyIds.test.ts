/** Runs and nodes that are called by any text, from the command line: shown as that text, on one line, and named by it. */
import { readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder } from "./Fixture.ts"

let place: Folder
beforeEach(() => {
  place = folder()
  writeFileSync(place.file("any.tsx"), workflow)
  // What is printed as a command is typed as it is printed.
  writeFileSync(place.file("smithers"), `#!/bin/sh\nexec "${process.execPath}" "${bin}" "$@"\n`, { mode: 0o755 })
})
afterEach(() => place.remove())

const bin = join(import.meta.dirname, "..", "..", "packages", "smithers", "src", "bin.ts")

const workflow = `import { Approval, createSmithers, HumanTask, Parallel, Subflow } from "smithers-orchestrator"
import { existsSync } from "node:fs"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ note: z.string() }, { input: z.object({ files: z.array(z.string()) }) })

export const child = smithers(() => (
  <Workflow name="child of / any"><Task id="in it">{() => 1}</Task></Workflow>
))

export default smithers((ctx) => (
  <Workflow name="any / name">
    <Parallel>
      {ctx.input.files.map((file) => (
        <Task key={file} id={\`fix \${file}\`} output={outputs.note} noRetry>
          {() => {
            if (file === "b/ü.ts" && !existsSync("repaired")) throw new Error("broken")
            return file
          }}
        </Task>
      ))}
      <Subflow id="sub / flow" workflow={child} input={{ files: [] }} />
    </Parallel>
    <Approval id={\`ship \${ctx.input.files[0]}?\`} request={{ title: "Ship it?" }} />
    <HumanTask id="it's [rated]" output={outputs.note} prompt="How?" />
  </Workflow>
))
`

const runId = "fix/it's ü.ts 1"
const files = ["src/a (b).ts", "b/ü.ts", "forged\n[00:00:00] ✓ deploy \u001b[2J", "cut \ud83d"]

/** Runs a line in a shell, as one who copies what was printed. */
const shell = async (line: string) => {
  const child = Bun.spawn(["bash", "-c", line], {
    cwd: place.path,
    env: { ...process.env, PATH: `${place.path}:${process.env.PATH}`, USER: "tester", NO_COLOR: "1" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
  const [code, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { code, stdout, stderr }
}

describe("a run of any id, with nodes of any id", () => {
  it("is resumed, inspected, decided and retried by the texts and by the commands that are printed", async () => {
    const first = await place.run(
      ...["up", "any.tsx", "--run-id", runId, "--input", JSON.stringify({ files })],
      // A slot for each task and for the child run, so that all have begun when one fails.
      ...["--max-concurrency", "8"],
    )
    expect([first.code, first.stdout, first.stderr]).toEqual([
      1,
      expect.stringContaining(`Run ${runId} failed`),
      expect.any(String),
    ])
    // An id forges no line of the log, and does nothing to the terminal.
    expect(first.stderr).not.toContain("\u001b")
    expect(first.stderr.split("\n").filter((line) => line.startsWith("[00:00:00] ✓ deploy"))).toEqual([])
    expect(first.stderr).toContain("fix forged\\n[00:00:00] ✓ deploy \\x1b[2J")

    const inspected = (await place.json("inspect", runId)).value as { nodes: ReadonlyArray<{ nodeId: string; status: string }> }
    const status = Object.fromEntries(inspected.nodes.map(({ nodeId, status }) => [nodeId, status]))
    expect(status).toEqual({
      "fix src/a (b).ts": "finished",
      "fix b/ü.ts": "failed",
      [`fix ${files[2]}`]: "finished",
      "fix cut \\ud83d": "finished",
      "sub / flow": "finished",
    })
    expect((await place.json("output", runId, "fix src/a (b).ts")).value).toMatchObject({ output: "src/a (b).ts" })
    expect((await place.json("output", runId, "fix cut \\ud83d")).value).toMatchObject({ nodeId: "fix cut \\ud83d" })
    expect((await place.json("node", runId, `fix ${files[2]}`)).value).toMatchObject({ nodeId: `fix ${files[2]}` })
    expect((await place.json("inspect", `${runId}~sub / flow~0`)).value).toMatchObject({ run: { workflow: "child of / any" } })
    expect((await place.json("ps", "--workflow", "child of / any")).value).toMatchObject({
      runs: [{ parent: { nodeId: "sub / flow" } }],
    })
    // Runs are found by how their ids begin, also where that is no ASCII.
    expect((await place.json("inspect", "fix/it's ü")).value).toMatchObject({
      error: { tag: "AmbiguousRun", candidates: [runId, `${runId}~sub / flow~0`] },
    })

    writeFileSync(place.file("repaired"), "")
    expect((await place.run("retry", runId, "fix b/ü.ts")).code).toBe(0)
    const why = (await place.json("why", runId)).value as { commands: ReadonlyArray<string> }
    const resumed = await shell(`${why.commands[0]} --json`)
    expect([resumed.code, resumed.stderr]).toEqual([3, ""])
    const { next, waits } = JSON.parse(resumed.stdout) as { next: ReadonlyArray<string>; waits: unknown }
    expect(waits).toEqual([{ nodeId: "ship src/a (b).ts?", iteration: 0, kind: "approval" }])
    const approved = await shell(next[0] as string)
    expect([approved.code, approved.stderr]).toEqual([0, ""])
    expect(approved.stdout).toContain(`Approved "ship src/a (b).ts?" of run ${runId}`)
    const rests = await shell(`${next.at(-1)} --json`)
    const then = JSON.parse(rests.stdout) as { next: ReadonlyArray<string> }
    expect((await shell((then.next[0] as string).replace("JSON", `'"well"'`))).code).toBe(0)
    const last = await shell(then.next.at(-1) as string)
    expect([last.code, last.stdout]).toEqual([0, expect.stringContaining(`Run ${runId} finished`)])
    expect((await place.json("up", "--resume", runId)).value).toMatchObject({ runId, status: "finished" })

    const graph = await place.run("graph", runId)
    expect(graph.stdout).toContain("step fix forged\\n[00:00:00] ✓ deploy \\x1b[2J")
    for (const format of ["mermaid", "dot"]) expect((await place.run("graph", runId, "--format", format)).code).toBe(0)
    expect((await place.run("logs", runId)).stdout.split("\n").filter((line) => !/^\[\d\d:\d\d:\d\d\] ./.test(line))).toEqual([""])
  })

  it("leaves its log in a file of its own, wherever its id would lead", async () => {
    for (const id of ["../../out", ".._.._out"]) {
      const started = await place.json("up", "workflow.ts#nap", "--run-id", id, "--detach")
      expect([started.code, started.value]).toMatchObject([0, { runId: id }])
    }
    const logs = readdirSync(place.file(".smithers/logs")).sort()
    expect(logs).toEqual([expect.stringMatching(/^\.\._\.\._out[-+]\w+\.log$/), ".._.._out.log"])
    expect(readdirSync(place.path)).not.toContain("out.log")
  })

  it("is taken up by a supervisor", async () => {
    for (const id of [runId, "true", "workflow.ts", "--wait"]) {
      expect((await place.run("up", "workflow.ts#slow", "--input", "{}", `--run-id=${id}`)).code).toBe(0)
      expect((await place.run("up", "workflow.ts#nap", `--run-id=nap ${id}`)).code).toBe(3)
      expect((await place.run("cancel", `nap ${id}`)).code).toBe(0)
    }
    expect((await place.run("up", "any.tsx", "--run-id", "a.ts/b", "--input", JSON.stringify({ files: ["b/ü.ts"] }))).code).toBe(1)
    writeFileSync(place.file("repaired"), "")
    expect((await place.run("retry", "a.ts/b", "fix b/ü.ts")).code).toBe(0)
    const supervised = await place.run("supervise", "--once")
    expect([supervised.code, supervised.stdout]).toEqual([0, expect.stringContaining("settled a.ts/b (any / name)")])
    expect((await place.json("why", "a.ts/b")).value).toMatchObject({ reason: "approval" })
  })
})
