import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder, maskTimes, until } from "./Fixture.ts"

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place.remove())

/** A workflow as users write it: JSX, without a pragma, with a prompt in a file, and no package installed beside it. */
const jsx = `import { Approval, createSmithers, Sequence } from "smithers-orchestrator"
import { z } from "zod"
import Prompt from "./prompt.mdx"

const { Workflow, Task, smithers, outputs } = createSmithers(
  { diff: z.object({ text: z.string() }), done: z.object({ asked: z.string() }) },
  { input: z.object({ spec: z.string() }) },
)
const agent = { generate: async ({ prompt }) => ({ text: JSON.stringify({ asked: prompt.split("\\n")[0] }) }) }

export default smithers((ctx) => (
  <Workflow name="ship">
    <Sequence>
      <Task id="implement" output={outputs.diff}>{() => ({ text: "adds " + ctx.input.spec })}</Task>
      <Approval id="ok" request={{ title: "Ship it?" }} />
      <Task id="announce" output={outputs.done} agent={agent}><Prompt spec={ctx.input.spec} /></Task>
    </Sequence>
  </Workflow>
))
`

const statusOf = async (runId: string): Promise<string | undefined> => {
  if (!existsSync(place.file("smithers.db"))) return undefined
  const { value } = await place.json("ps")
  return (value as { runs: ReadonlyArray<{ runId: string; status: string }> }).runs.find((run) => run.runId === runId)?.status
}

describe("a run from the command line", () => {
  it("waits, is listed, says why, is approved by another process, and is resumed by its id alone", async () => {
    writeFileSync(place.file("ship.tsx"), jsx)
    writeFileSync(place.file("prompt.mdx"), "Tell everybody about {props.spec}\n")
    const first = await place.run("up", "ship.tsx", "--input", '{"spec":"a login"}', "--run-id", "ship-1", "--tag", "demo")
    expect(maskTimes(first.stderr, place.path)).toBe(
      [
        "▶ run ship-1",
        "[<clock>] ▶ ship started",
        "[<clock>] → implement (attempt 1, iteration 0)",
        "[<clock>] ✓ implement (attempt 1, iteration 0)",
        "[<clock>] ◦ ok (iteration 0) waits for approval: Ship it?",
        "",
      ].join("\n"),
    )
    expect(first.stdout.split("\n")).toEqual([
      "Run ship-1 waits for:",
      "  ok: approval: Ship it?",
      "      │ Ship it?",
      expect.stringMatching(/^ {6}smithers approve ship-1 --node ok --iteration 0 --request \d+-[0-9a-f]{12}$/),
      expect.stringMatching(/^ {6}smithers deny ship-1 --node ok --iteration 0 --request \d+-[0-9a-f]{12}$/),
      "Then resume it: smithers up --resume ship-1",
      "",
    ])
    expect(first.code).toBe(3)
    const listed = await place.run("ps", "--tag", "demo")
    expect(listed.stdout).toMatch(/^ship-1 +ship +waiting-approval .*ok: approval: Ship it\?$/m)
    const why = await place.run("why", "sh")
    const [, question, approve = ""] = why.stdout.split("\n")
    expect([question, approve]).toEqual([
      "  │ Ship it?",
      expect.stringContaining("  smithers approve ship-1 --node ok --iteration 0"),
    ])
    expect((await place.run(...approve.trim().split(" ").slice(1))).code).toBe(0)
    const resumed = await place.run("up", "--resume", "ship-1")
    expect(maskTimes(resumed.stdout, place.path)).toBe(
      'Run ship-1 finished after <time>.\n{\n  "asked": "Tell everybody about a login"\n}\n',
    )
    expect(resumed.code).toBe(0)
    const again = await place.json("up", "ship.tsx", "--run-id", "ship-1", "--resume", "true")
    expect(again).toEqual({
      code: 0,
      value: { runId: "ship-1", status: "finished", output: { asked: "Tell everybody about a login" }, next: [] },
    })
  })

  it("with --wait stays in one process until another approves", async () => {
    const waiter = place.start(["up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "w", "--wait"])
    await until(async () => (await place.run("inbox")).stdout.includes("ok: approval"), "it waits")
    const told = await place.json("approve", "w", "--by", "ann")
    expect(told).toMatchObject({ code: 0, value: { isDelivered: true, next: [] } })
    const { code, stdout } = await waiter.result
    expect(code).toBe(0)
    expect(stdout).toContain("shipped: adds x")
  })

  it("that was answered is not asked again before it is taken up, and what is left to answer needs no name", async () => {
    writeFileSync(
      place.file("two.ts"),
      `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
export default Smithers.createWorkflow({ name: "two", input: Schema.Void }).build(($) =>
  $.parallel($.approval("left", { request: () => ({ title: "Left?" }) }), $.approval("right", { request: () => ({ title: "Right?" }) })))
`,
    )
    expect((await place.run("up", "two.ts", "--run-id", "two")).code).toBe(3)
    expect(await place.json("approve", "two")).toMatchObject({ code: 4, value: { error: { tag: "SeveralWaits" } } })
    expect((await place.run("approve", "two", "--node", "left")).code).toBe(0)
    expect((await place.json("inbox")).value).toMatchObject({ waits: [{ nodeId: "right" }] })
    expect((await place.json("why", "two")).value).toMatchObject({
      reason: "pending-command",
      commands: [
        "smithers up --resume two",
        "smithers supervise",
        expect.stringContaining("smithers approve two --node right --iteration 0 --request "),
        expect.stringContaining("smithers deny two --node right --iteration 0 --request "),
      ],
    })
    expect((await place.json("approve", "two")).value).toMatchObject({ nodeId: "right" })
    expect((await place.run("inbox")).stdout).toBe("No open requests.\n")
    expect((await place.run("up", "--resume", "two")).code).toBe(0)
    // The same of a run that was paused.
    await place.run("up", "workflow.ts#nap", "--run-id", "nap")
    await place.run("pause", "nap")
    expect((await place.run("up", "--resume", "nap")).code).toBe(3)
    expect((await place.json("why", "nap")).value).toMatchObject({ reason: "paused", commands: ["smithers unpause nap"] })
    await place.run("unpause", "nap")
    expect((await place.json("why", "nap")).value).toMatchObject({
      reason: "pending-command",
      commands: ["smithers up --resume nap", "smithers supervise"],
    })
  })

  it("that some may decide says who, wherever it asks, and how", async () => {
    writeFileSync(
      place.file("guarded.ts"),
      `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
export default Smithers.createWorkflow({ name: "guarded", input: Schema.Void }).build(($) =>
  $.approval("ok", { request: () => ({ title: "Ship it?" }), approvers: ["ann", "bob", "cat"] }))
`,
    )
    const command = /smithers approve g --node ok --iteration 0 --request \S+ --by ann\n/
    const up = await place.run("up", "guarded.ts", "--run-id", "g")
    expect(up.stdout).toContain(`  ok: approval: Ship it? (approvers: ann, bob or cat)\n      │ Ship it?\n`)
    expect(up.stdout).toMatch(command)
    for (const view of ["why", "inspect"]) {
      const { stdout } = await place.run(view, "g")
      expect(stdout).toContain("ann, bob or cat")
      expect(stdout).toMatch(command)
    }
    expect((await place.run("inbox")).stdout).toContain("Approvers: ann, bob or cat.")
    expect(await place.json("approve", "g")).toMatchObject({ code: 4, value: { error: { tag: "NotAnApprover" } } })
    expect((await place.run("approve", "g", "--by", "bob")).code).toBe(0)
  })

  it("knows who decides also where the shell does not say", async () => {
    expect((await place.run("up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "r")).code).toBe(3)
    expect((await place.start(["approve", "r"], { env: { USER: "", LOGNAME: "" } }).result).code).toBe(0)
    expect((await place.run("up", "--resume", "r")).code).toBe(0)
    const name = Bun.spawnSync(["id", "-un"]).stdout.toString().trim()
    expect((await place.json("node", "r", "ok")).value).toMatchObject({ waits: [{ by: name }] })
  })

  it("taken up by two processes is worked on by one, and the other follows it to its end", async () => {
    const first = place.start(["up", "workflow.ts#slow", "--input", '{"gate":"open"}', "--run-id", "two"])
    await until(async () => (await statusOf("two")) === "running", "it runs")
    const second = place.start(["up", "--resume", "two"])
    await until(() => second.said().stderr.includes("works on run two. This process follows it"), "the other follows it")
    writeFileSync(place.file("open"), "")
    const followed = await second.result
    expect(followed.code).toBe(0)
    expect(followed.stdout).toContain("two")
    expect((await first.result).code).toBe(0)
    expect((await place.json("inspect", "two")).value).toMatchObject({ run: { epoch: 1 } })
  })

  it("left to a process of its own and killed with SIGKILL is finished by supervise --once", async () => {
    const args = ["up", "workflow.ts", "--export", "slow", "--detach", "--run-id", "bg", "--input", '{"gate":"open"}']
    const { code, value } = await place.json(...args)
    expect(code).toBe(0)
    const { runId, pid, log } = value as { runId: string; pid: number; log: string }
    expect(runId).toBe("bg")
    await until(async () => (await place.run("logs", "bg")).stdout.includes("→ second"), "the second step began")
    expect(readFileSync(log, "utf8")).toContain("▶ run bg")
    process.kill(pid, "SIGKILL")
    writeFileSync(place.file("open"), "")
    await until(async () => (await place.run("why", "bg")).stdout.includes("its process has died"), "its end is noticed")
    const dry = await place.run("supervise", "--dry-run")
    expect(maskTimes(dry.stdout, place.path)).toBe("[<clock>] would-resume bg (slow)\n[<clock>] summary: 1 would-resume\n")
    const { stdout } = await place.run("supervise", "--once")
    expect(maskTimes(stdout, place.path)).toBe(
      "[<clock>] resumed bg (slow)\n[<clock>] settled bg (slow): finished\n[<clock>] summary: 1 resumed, 1 settled\n",
    )
    const lines = (await place.run("logs", "bg")).stdout
    expect(lines.match(/→ first/g)?.length, "what was finished is not run again").toBe(1)
    expect((await place.run("output", "bg")).stdout).toBe("two\n")
  })

  it("is settled for a supervisor however large its output is, in whatever alphabet", async () => {
    writeFileSync(place.file("input.json"), JSON.stringify({ spec: "é".repeat(1_000_001) }))
    expect((await place.run("up", "workflow.ts", "--input", "@input.json", "--run-id", "big")).code).toBe(3)
    expect((await place.run("approve", "big")).code).toBe(0)
    const { code, stdout } = await place.run("supervise", "--once")
    expect(maskTimes(stdout, place.path)).toBe(
      "[<clock>] resumed big (ship)\n[<clock>] settled big (ship): finished\n[<clock>] summary: 1 resumed, 1 settled\n",
    )
    expect(code).toBe(0)
  })

  it("left to a process of its own needs no more input than one that is watched", async () => {
    writeFileSync(
      place.file("quiet.ts"),
      `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
export default Smithers.createWorkflow({ name: "quiet", input: Schema.Void }).build(($) => $.step("one", { output: Schema.Int, run: () => 1 }))
`,
    )
    for (const [file, input] of [["quiet.ts"], ["workflow.ts#nap"], ["workflow.ts#poll", '{"fail":false}']]) {
      const { code, value } = await place.json("up", `${file}`, "--detach", ...(input === undefined ? [] : ["--input", input]))
      expect([code, value]).toMatchObject([0, { runId: expect.any(String) }])
    }
  })

  it("stopped with Ctrl-C is resumable and says how; a second one stops at once", async () => {
    const args = ["up", "workflow.ts#slow", "--input", '{"gate":"never"}', "--run-id", "long"]
    const first = place.start(args)
    await until(
      async () => (await statusOf("long")) === "running" && (await place.run("logs", "long")).stdout.includes("→ second"),
      "it runs",
    )
    first.kill("SIGINT")
    const stopped = await first.result
    expect(stopped.code).toBe(130)
    expect(stopped.stderr).toContain("Resume the run: smithers up --resume long")
    const json = place.start(["up", "--resume", "long", "--json"])
    await until(async () => (await place.run("logs", "long")).stdout.includes("→ second (attempt 2"), "it goes on")
    json.kill("SIGINT")
    const said = await json.result
    expect([said.code, JSON.parse(said.stdout)]).toMatchObject([
      130,
      { error: { tag: "Interrupted", runId: "long", next: ["smithers up --resume long"] } },
    ])
    expect(await statusOf("long")).toBe("suspended")
    const second = place.start(["up", "--resume", "long"])
    await until(async () => (await place.run("logs", "long")).stdout.includes("→ second (attempt 3"), "it goes on")
    second.kill("SIGTERM")
    expect((await second.result).code).toBe(143)
    const third = place.start(["up", "--resume", "long"])
    await until(async () => (await place.run("logs", "long")).stdout.includes("→ second (attempt 4"), "it goes on")
    third.kill("SIGINT")
    third.kill("SIGINT")
    expect((await third.result).code).toBe(130)
  })

  it("is cancelled from another process, with exit code 2", async () => {
    const running = place.start(["up", "workflow.ts#slow", "--input", '{"gate":"never"}', "--run-id", "c"])
    await until(async () => (await statusOf("c")) === "running", "it runs")
    expect((await place.json("cancel", "c", "--reason", "enough")).value).toMatchObject({ isDelivered: true })
    const { code, stdout } = await running.result
    expect([code, stdout]).toEqual([
      2,
      "Run c was cancelled: enough.\nRevert the cancellation, and run again what was undone: smithers up --resume c --uncancel\n",
    ])
  })

  it("that waits for a child run says what that waits for, and goes on wherever either is taken up", async () => {
    const first = await place.run("up", "workflow.ts#family", "--run-id", "fam")
    expect(first.code).toBe(3)
    expect(first.stdout).toContain(
      "sure: approval: Sure?\n      │ Sure?\n      smithers approve 'fam~inner~0' --node sure --iteration 0",
    )
    expect((await place.run("why", "fam")).stdout).toContain("smithers approve 'fam~inner~0' --node sure")
    const approved = await place.json("approve", "fam~inner~0", "--by", "ann")
    expect(approved.value, "the one that waits for it takes it up").toMatchObject({ next: ["smithers up --resume fam"] })
    const alone = await place.run("up", "--resume", "fam~inner~0")
    expect([alone.code, alone.stdout]).toEqual([0, expect.stringContaining('"approved": true')])
    const { stdout } = await place.run("supervise", "--once")
    expect(maskTimes(stdout, place.path)).toContain("settled fam (family): finished")
    expect((await place.run("output", "fam")).stdout).toBe("true\n")
  })

  it("that only a render has the code of is taken up with the run that started it", async () => {
    writeFileSync(
      place.file("pair.tsx"),
      `import { Approval, createSmithers, Sequence, Subflow, Workflow } from "smithers-orchestrator"
import { z } from "zod"
const made = createSmithers({ done: z.object({ ok: z.boolean() }) })
const child = made.smithers(() => <Workflow name="asks"><Approval id="sure" request={{ title: "Sure?" }} /></Workflow>)
export default made.smithers(() => (
  <Workflow name="pair"><Sequence>
    <Subflow id="inner" workflow={child} input={{}} />
    <made.Task id="after" output={made.outputs.done}>{{ ok: true }}</made.Task>
  </Sequence></Workflow>
))
`,
    )
    expect((await place.run("up", "pair.tsx", "--run-id", "pair")).code).toBe(3)
    expect((await place.run("approve", "pair~inner~0")).code).toBe(0)
    const { stdout } = await place.run("supervise", "--once")
    expect(maskTimes(stdout, place.path)).toContain("settled pair~inner~0 (asks): finished")
    expect((await place.json("output", "pair")).value).toMatchObject({ output: { ok: true } })
  })

  it("says of a loop that is exhausted that it is, wherever the run is looked at", async () => {
    const loop = (props: string) => `/** @jsxImportSource smithers-orchestrator */
import { createSmithers, Loop } from "smithers-orchestrator"
import { z } from "zod"
const { Workflow, Task, smithers, outputs } = createSmithers({ ok: z.boolean() })
export default smithers(() => (
  <Workflow name="rounds">
    <Loop id="review" until={(ctx) => ctx.latest(outputs.ok)}${props}><Task id="ask" output={outputs.ok}>{() => false}</Task></Loop>
  </Workflow>
))
`
    writeFileSync(place.file("rounds.tsx"), loop(" maxIterations={2}"))
    const said = 'loop "review" reached maxIterations (2) before its "until" held'
    const first = await place.run("up", "rounds.tsx", "--run-id", "rounds")
    expect([first.code, first.stdout]).toEqual([0, expect.stringContaining(`. But ${said}.`)])
    // The store answers as the run did.
    const again = await place.json("up", "--resume", "rounds")
    const exhausted = [{ nodeId: "review", iteration: 0, passes: 2 }]
    expect(again).toMatchObject({ code: 0, value: { status: "finished", exhausted } })
    expect((await place.run("why", "rounds")).stdout).toContain(said)
    expect((await place.run("inspect", "rounds")).stdout).toMatch(/review +0 +exhausted, 2 passes/)
    expect((await place.json("inspect", "rounds")).value).toMatchObject({
      nodes: [{ nodeId: "review", isExhausted: true }, {}, {}],
    })
    expect((await place.run("logs", "rounds")).stdout).toContain("■ review loop exhausted")
    // One whose author has not said how often.
    writeFileSync(place.file("rounds.tsx"), loop(""))
    const endless = await place.json("up", "rounds.tsx", "--run-id", "endless")
    const error = { _tag: "LoopLimitReached", nodeId: "review", maxIterations: 5, isDefault: true }
    expect(endless).toMatchObject({ code: 1, value: { status: "failed", error } })
    expect((await place.run("why", "endless")).stdout).toContain("Set maxIterations (Infinity for no limit), or onMaxReached")
    writeFileSync(place.file("rounds.tsx"), loop(" maxIterations={Infinity}"))
    expect((await place.run("graph", "rounds.tsx")).stdout).toContain("loop review (without a limit)")
  })

  it("fails with exit code 1, and resuming it tries again", async () => {
    const failed = await place.json("up", "workflow.ts#poll", "--input", '{"fail":true}', "--run-id", "f")
    expect(failed).toMatchObject({ code: 1, value: { runId: "f", status: "failed", error: { _tag: "StepFailed", nodeId: "end" } } })
    const again = await place.run("up", "--resume", "f")
    expect(again.code).toBe(1)
    expect(again.stderr).not.toContain("→ look")
    expect(again.stderr).toContain("→ end (attempt 2")
  })

  it("a supervisor survives workflows that fail to load and steps that kill their process, and leaves one line per action", {
    timeout: 120_000,
  }, async () => {
    await place.run("up", "workflow.ts#nap", "--input", "{}", "--run-id", "nap")
    writeFileSync(place.file("broken.ts"), readFileSync(place.file("workflow.ts"), "utf8"))
    await place.run("up", "broken.ts", "--input", '{"spec":"y"}', "--run-id", "broken")
    await place.run("approve", "broken")
    writeFileSync(place.file("broken.ts"), "export default (")
    const killed = await place.run("up", "workflow.ts#slow", "--input", '{"dies":true}', "--run-id", "killer")
    expect(killed.code).not.toBe(0)
    await until(async () => (await place.run("why", "killer")).stdout.includes("its process has died"), "its end is noticed")
    const supervisor = place.start(["supervise", "--interval", "1s", "--json"])
    const patienceMs = 100_000
    await until(() => supervisor.said().stdout.includes("cannot be parsed"), "it cannot be loaded")
    const answers = { code: 4, value: { error: { tag: "AlreadyDecided" } } }
    expect(await place.json("approve", "broken"), "it can still be asked").toMatchObject(answers)
    await until(async () => (await statusOf("killer")) === "finished", "the killed run is finished", patienceMs)
    expect((await place.json("why", "broken")).value).toMatchObject({ reason: "stuck" })
    // Repaired, it goes on, and what was said to it is kept.
    writeFileSync(place.file("broken.ts"), readFileSync(place.file("workflow.ts"), "utf8"))
    await until(async () => (await statusOf("broken")) === "finished", "the repaired run is finished", patienceMs)
    // It says so once the process of the run has ended.
    const isSaid = () =>
      supervisor
        .said()
        .stdout.split("\n")
        .some((line) => /"settled"/.test(line) && /"broken"/.test(line))
    await until(isSaid, "the supervisor says that it has settled")
    supervisor.kill("SIGTERM")
    const { code, stdout } = await supervisor.result
    expect(code).toBe(143)
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { action: string; runId: string | null; message: string })
    expect(lines.find(({ action, runId }) => action === "refused" && runId === "broken")?.message).toContain("cannot be parsed")
    expect(lines.filter(({ runId }) => runId === "broken").at(-1)?.action).toBe("settled")
    expect(lines.find(({ action, runId }) => action === "settled" && runId === "killer")?.message).toBe("finished")
    expect(
      lines.some(({ runId }) => runId === "nap"),
      "whose time has not come",
    ).toBe(false)
  })

  it("takes its input from a file or the standard input, and options in either form", async () => {
    writeFileSync(place.file("input.json"), '{"spec":"file"}')
    const file = await place.json("up", "workflow.ts", "--input=@input.json", "--run-id", "i1", "--wait", "false")
    expect(file).toMatchObject({ code: 3, value: { status: "waiting-approval" } })
    const piped = await place.start(["up", "workflow.ts", "--input", "-", "--run-id", "i2", "--json", "true"], {
      stdin: '{"spec":"pipe"}',
    }).result
    expect(piped.code).toBe(3)
    expect((await place.json("inspect", "i2")).value).toMatchObject({ input: { spec: "pipe" }, run: { source: "workflow.ts" } })
  })

  it("follows another process's run as it goes on", async () => {
    const running = place.start(["up", "workflow.ts#slow", "--input", '{"gate":"open"}', "--run-id", "s"])
    await until(async () => (await statusOf("s")) !== undefined, "it is there")
    const following = place.start(["events", "s", "--follow", "--type", "AttemptSucceeded", "--type", "RunFinished"])
    const tags = () =>
      following
        .said()
        .stdout.split("\n")
        .slice(0, -1)
        .map((line) => (JSON.parse(line) as { event: { _tag: string } }).event._tag)
    await until(() => tags().length > 0, "it follows")
    expect(tags()).toEqual(["AttemptSucceeded"])
    writeFileSync(place.file("open"), "")
    expect((await following.result).code).toBe(0)
    expect(tags()).toEqual(["AttemptSucceeded", "AttemptSucceeded", "RunFinished"])
    expect((await running.result).code).toBe(0)
  })
})
