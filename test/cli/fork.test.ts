/**
 * `smithers fork` with real processes: of runs that failed, that wait, and whose code was edited since.
 */
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder } from "./Fixture.ts"

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place.remove())

const source = (greeting: string, isBroken = false): string => `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
import { appendFileSync } from "node:fs"
const note = (text) => appendFileSync("done.txt", text + "\\n")
export default Smithers.createWorkflow({ name: "greet", input: Schema.Struct({ who: Schema.String }) }).build(($) => {
  const name = $.step("name", { output: Schema.Struct({ name: Schema.String }), run: ({ input }) => { note("name"); return { name: input.who.toUpperCase() } } })
  const ok = $.approval("ok", { request: () => ({ title: "Greet?" }) })
  const hello = $.step("hello", { needs: { name }, retry: false, output: Schema.String, run: ({ name }) => {
    note("hello")
    ${isBroken ? 'throw new Error("no")' : `return "${greeting} " + name.name`}
  } })
  return $.sequence(name, ok, hello)
})
`

const done = (): ReadonlyArray<string> => readFileSync(place.file("done.txt"), "utf8").trim().split("\n")

describe("fork", () => {
  const begin = async (code: string) => {
    writeFileSync(place.file("greet.ts"), code)
    expect((await place.run("up", "greet.ts", "--run-id", "r", "--input", '{"who":"ann"}')).code).toBe(3)
    expect((await place.run("approve", "r", "ok")).code).toBe(0)
    return place.run("up", "--resume", "r")
  }

  it("says what it keeps and runs again before anything runs, and the fork goes on with today's code", async () => {
    await begin(source("hello"))
    writeFileSync(place.file("greet.ts"), source("goodbye"))
    const dry = await place.run("fork", "r", "--before", "hello", "--dry-run")
    expect(dry).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/kept +2: name, ok\n +runs again +1: hello\nNothing was changed\./),
    })
    const { value, code } = await place.json("fork", "r", "--before", "hello", "--run-id", "f")
    expect([code, value]).toMatchObject([0, { runId: "f", from: "r", isDryRun: false, next: ["smithers up --resume f"] }])
    expect(done()).toEqual(["name", "hello"])
    expect(await place.json("up", "--resume", "f")).toMatchObject({ code: 0, value: { output: "goodbye ANN" } })
    expect(done()).toEqual(["name", "hello", "hello"])
    expect(await place.json("output", "r")).toMatchObject({ code: 0 })
    expect((await place.run("inspect", "f")).stdout).toMatch(/^Forked +from r, as of frame \d+$/m)
    expect((await place.json("ps", "--forked-from", "r")).value).toMatchObject({
      runs: [{ runId: "f", forkedFrom: { runId: "r" } }],
    })
  })

  it("forks a failed run from its failure, with another input and with outputs from a file", async () => {
    expect((await begin(source("hello", true))).code).toBe(1)
    writeFileSync(place.file("greet.ts"), source("hi"))
    writeFileSync(place.file("set.json"), '{"name":{"name":"BOB"}}')
    const forked = await place.json(
      "fork",
      "r",
      "--from-failure",
      "--set",
      "@set.json",
      "--input",
      '{"who":"bob"}',
      "--run-id",
      "f",
    )
    expect(forked).toMatchObject({ code: 0, value: { set: [{ nodeId: "name" }], kept: [{ nodeId: "ok" }] } })
    expect(await place.json("up", "--resume", "f")).toMatchObject({ code: 0, value: { output: "hi BOB" } })
  })

  it("restores files as of that moment on request, and says which", async () => {
    execFileSync("git", ["init", "-q"], { cwd: place.path })
    writeFileSync(place.file(".gitignore"), "*.ts\nsmithers.db*\n")
    writeFileSync(
      place.file("files.ts"),
      `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
import { writeFileSync } from "node:fs"
const write = ($, id) => $.step(id, { output: Schema.String, run: () => { writeFileSync(id + ".txt", id); return id } })
export default Smithers.createWorkflow({ name: "files", input: Schema.Struct({}), snapshots: true }).build(($) => $.sequence(write($, "one"), write($, "two")))
`,
    )
    expect((await place.run("up", "files.ts", "--run-id", "r", "--input", "{}")).code).toBe(0)
    const dry = await place.run("fork", "r", "--before", "two", "--files", "--dry-run")
    expect(dry).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/files +1 file below .*\n +- two\.txt\nNothing was changed\./),
    })
    const { code, value } = await place.json("fork", "r", "--before", "two", "--files", "--run-id", "f")
    expect([code, value]).toMatchObject([0, { files: [{ changes: [{ path: "two.txt", change: "remove" }] }] }])
    expect([existsSync(place.file("one.txt")), existsSync(place.file("two.txt"))]).toEqual([true, false])
  })

  it("asks people again on request", async () => {
    await begin(source("hello"))
    expect((await place.run("fork", "r", "--reask", "--run-id", "f")).code).toBe(0)
    expect((await place.run("up", "--resume", "f")).code).toBe(3)
    expect((await place.json("inbox")).value).toMatchObject({ waits: [{ runId: "f", nodeId: "ok" }] })
  })

  it("refuses what it cannot do, says what to do, and changes nothing", async () => {
    await begin(source("hello"))
    for (const [args, code, said] of [
      [["--frame", "99"], 4, /it has no frame 99: its frames are 1 to \d+/],
      [["--before", "nobody"], 4, /nobody/],
      [["--set", "[1]"], 4, /--set must be a JSON object/],
      [["--set", '{"name":{"name":1}}'], 4, /the value of "name" does not match its schema/],
      [["--input", '{"who":1}'], 4, /who/],
      [["--run-id", "r"], 4, /The id "r" is taken/],
      [["--from-failure"], 4, /it has not failed; it is finished/],
    ] as const) {
      const { code: exit, stderr } = await place.run("fork", "r", ...args)
      expect([exit, stderr]).toEqual([code, expect.stringMatching(said)])
    }
    expect((await place.json("ps")).value).toMatchObject({ runs: [{ runId: "r" }] })
  })
})
