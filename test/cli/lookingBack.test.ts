import { writeFileSync } from "node:fs"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import * as Fixture from "./Fixture.ts"

let folder: Fixture.Folder
beforeEach(() => {
  folder = Fixture.folder()
  writeFileSync(
    folder.file("letter.ts"),
    `import { Schema } from "effect"
     import { Smithers } from "smithers-orchestrator"
     const child = Smithers.createWorkflow({ name: "child", input: Schema.Struct({}) }).build(($) =>
       $.step("inner", { output: Schema.String, run: () => "of the child" }))
     export default Smithers.createWorkflow({ name: "letter", input: Schema.Struct({ to: Schema.String }) }).build(($) =>
       $.sequence(
         $.step("draft", { output: Schema.Struct({ text: Schema.String }), run: ({ input }) => ({ text: "Dear " + input.to }) }),
         $.subflow("kid", { workflow: child, input: {} }),
         $.approval("go", { request: () => ({ title: "Send?" }) }),
         $.step("send", { output: Schema.String, run: () => "sent" }),
       ))`,
  )
})
afterEach(() => folder.remove())

interface Frame {
  readonly frame: number
  readonly texts: ReadonlyArray<string>
  readonly lastSeq: number
}

const start = async () => {
  expect((await folder.run("up", "letter.ts", "--run-id", "r", "--input", '{"to":"ann"}')).code).toBe(3)
}
const framesOf = async (...args: ReadonlyArray<string>): Promise<ReadonlyArray<Frame>> => {
  const { stdout } = await folder.run("timeline", "r", ...args, "--json")
  return stdout
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Frame)
}
const frameOf = (frames: ReadonlyArray<Frame>, words: string): number =>
  frames.find((frame) => frame.texts.some((line) => line.includes(words)))?.frame ?? 0

describe("timeline", () => {
  it("prints a frame with its number, time, events in words and what it changed of the plan", async () => {
    await start()
    const { stdout } = await folder.run("timeline", "r")
    const lines = stdout.split("\n")
    expect(lines[0]).toMatch(/^ {4}1 {2}\[00:00:0\d\] ▶ letter started$/)
    expect(lines[1]).toBe(`${" ".repeat(18)}⟳ plan: + draft, kid, go, send`)
    expect(stdout).toContain("◦ kid (iteration 0) waits for child run r~kid~0")
    expect(stdout).toContain("◦ go (iteration 0) waits for approval: Send?")
    // The child run has a timeline of its own.
    expect((await folder.run("timeline", "r~kid~0")).stdout).toContain("▶ child started")
  })

  it("prints one row per frame as JSON, and only those that are asked for", async () => {
    await start()
    const frames = await framesOf()
    expect(frames[0]).toMatchObject({ plan: { added: ["draft", "kid", "go", "send"] }, events: [{ _tag: "RunStarted" }, {}] })
    expect(await framesOf("--limit", "2")).toEqual(frames.slice(-2))
    expect(await framesOf("--since", String(frames[0]?.lastSeq))).toEqual(frames.slice(1))
    const waits = await framesOf("--type", "WaitStarted")
    expect(waits.map(({ frame }) => frame)).toEqual([
      frameOf(frames, "kid (iteration 0) waits"),
      frameOf(frames, "go (iteration 0) waits"),
    ])
  })

  it("follows a run until it has ended", async () => {
    await start()
    const following = folder.start(["timeline", "r", "--follow", "--limit", "1"])
    expect((await folder.run("approve", "r", "go")).code).toBe(0)
    expect((await folder.run("up", "--resume", "r")).code).toBe(0)
    const { code, stdout } = await following.result
    expect(code).toBe(0)
    expect(stdout).toContain("✓ send (attempt 1, iteration 0)")
    expect(stdout.trimEnd().endsWith("✓ finished")).toBe(true)
  })
})

describe("show", () => {
  it("shows plan, nodes, outputs and waits as they were, whatever has become of the run since", async () => {
    await start()
    const frames = await framesOf()
    const asked = String(frameOf(frames, "go (iteration 0) waits"))
    const before = (await folder.json("show", "r", "--frame", asked)).value
    const { stdout: shown } = await folder.run("show", "r", "--frame", asked)
    expect((await folder.run("approve", "r", "go")).code).toBe(0)
    expect((await folder.run("up", "--resume", "r")).code).toBe(0)
    expect((await folder.json("show", "r", "--frame", asked)).value).toEqual(before)
    expect((await folder.run("show", "r", "--frame", asked)).stdout).toBe(shown)
    expect(before).toMatchObject({
      frame: Number(asked),
      status: "waiting-approval",
      nodes: [{ nodeId: "draft", output: { text: "Dear ann" } }, { nodeId: "kid" }, { nodeId: "go", status: "waiting" }],
      roots: [
        { kind: "sequence", children: [{ id: "draft", status: "finished" }, {}, { id: "go" }, { id: "send", status: null }] },
      ],
    })
    expect(shown).toContain("✓ step draft (finished)")
    expect(shown).toMatch(/draft +0 +finished +1 +\{"text":"Dear ann"\}/)
    expect(shown).toContain("Waited for\n  go: approval: Send?")
    const { stdout: last } = await folder.run("show", "r")
    expect(last).toContain("Status    finished")
    expect(last.trimEnd().endsWith("Output\nsent")).toBe(true)
  })

  it("shows a moment within a frame by the number of an event", async () => {
    await start()
    const value = (await folder.json("show", "r", "--seq", "1")).value
    expect(value).toMatchObject({ seq: 1, frame: 1, nodes: [] })
  })

  it("refuses a frame that the run has not, and two moments at once", async () => {
    await start()
    const missing = await folder.run("show", "r", "--frame", "99")
    expect(missing.code).not.toBe(0)
    expect(missing.stderr).toMatch(/^Run "r" has no frame 99: its last one is \d+\. Give a whole number from 0 to \d+\.\n$/)
    const both = await folder.run("show", "r", "--frame", "1", "--seq", "1")
    expect(both.code).toBe(4)
    expect(both.stderr).toContain("--frame and --seq name two moments: give one of them. See: smithers show --help")
  })
})

describe("diff", () => {
  it("compares frames, runs and attempts, and refuses what it does not understand", async () => {
    await start()
    const frames = await framesOf()
    const last = String(frameOf(frames, "go (iteration 0) waits"))
    const { stdout } = await folder.run("diff", "r", "1", last)
    expect(stdout).toContain(`r at frame 1 (running) → r at frame ${last} (waiting-approval)`)
    expect(stdout).toContain("~ draft (iteration 0): running, attempt 1 → finished, attempt 1")
    expect(stdout).toContain('+ value: {"text":"Dear ann"}')
    expect((await folder.json("diff", "r", "1", last)).value).toMatchObject({ before: { frame: 1 }, plan: { added: [] } })
    expect((await folder.run("up", "letter.ts", "--run-id", "s", "--input", '{"to":"bob"}')).code).toBe(3)
    const runs = (await folder.run("diff", "r", "s")).stdout
    expect(runs).toContain('~ .to: "ann" → "bob"')
    expect(runs).toContain('~ .text: "Dear ann" → "Dear bob"')
    expect((await folder.json("diff", "r", "--node", "draft", "--attempts", "1,1")).value).toMatchObject({ output: [] })
    const wrong = await folder.run("diff", "r", "--node", "draft", "--attempts", "1,9")
    expect([wrong.code, wrong.stderr]).toEqual([4, expect.stringContaining("it has 1. Choose one of them")])
    expect((await folder.run("diff", "r")).stderr).toContain("name a frame, two frames, or another run")
  })
})
