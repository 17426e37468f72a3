/**
 * What a person decides on is what the person was shown: the whole request wherever one decides, and commands that are about it alone. Each
 * command is a process of its own.
 */
import { writeFileSync } from "node:fs"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder, until } from "./Fixture.ts"
import { inTerminal } from "./Terminal.ts"

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place.remove())

const write = (name: string, body: string) =>
  writeFileSync(
    place.file(`${name}.ts`),
    `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
export default Smithers.createWorkflow({ name: "${name}", input: Schema.Struct({}) }).build(($) => ${body})
`,
  )

/** Asks in three passes, in the same words. */
const rounds = `$.loop({ id: "rounds", maxIterations: 3, until: () => false, body:
  $.approval("ok", { onDeny: "continue", request: () => ({
    title: "Deploy?\\nTo production.", summary: "Two files", details: { files: ["a.ts", "b.ts"] }, risk: "low" }) }) })`

interface Wait {
  readonly nodeId: string
  readonly iteration: number
  readonly requestId: string
  readonly commands: ReadonlyArray<string>
}

const inbox = async () => ((await place.json("inbox")).value as { readonly waits: ReadonlyArray<Wait> }).waits

/** Runs a command line that was printed, as one copies it, with something added. */
const copied = (line: string, ...more: ReadonlyArray<string>) => place.json(...line.split(" ").slice(1), ...more)

describe("a decision from the command line", () => {
  it("is about what its command was printed with: the same line, run by a second person, does not decide the next pass", async () => {
    write("rounds", rounds)
    expect((await place.run("up", "rounds.ts", "--run-id", "r")).code).toBe(3)
    const [first] = await inbox()
    const [line = ""] = first?.commands ?? []
    expect(line).toBe(`smithers approve r --node ok --iteration 0 --request ${first?.requestId}`)
    expect(await copied(line, "--by", "ann", "--note", "fine")).toMatchObject({
      code: 0,
      value: {
        command: "approve",
        nodeId: "ok",
        iteration: 0,
        requestId: first?.requestId,
        request: { title: "Deploy?\nTo production.", risk: "low" },
        approved: true,
        by: "ann",
        note: "fine",
        at: expect.any(Number),
      },
    })
    const told = { code: 4, value: { error: { tag: "AlreadyDecided", approved: true, by: "ann", note: "fine", iteration: 0 } } }
    // Nobody has taken the run up, then somebody has, and it asks for the next pass.
    expect(await copied(line, "--by", "bob")).toMatchObject(told)
    expect((await place.run("up", "--resume", "r")).code).toBe(3)
    expect(await copied(line, "--by", "bob")).toMatchObject(told)
    expect(await copied(line.replace("approve", "deny"), "--by", "bob")).toMatchObject(told)
    const [second] = await inbox()
    expect(second).toMatchObject({ iteration: 1, isAnswered: false, approved: null })
    const stale = line.replace("--iteration 0", "--iteration 1")
    expect(await copied(stale)).toMatchObject({
      code: 4,
      value: { error: { tag: "RequestChanged", requestId: first?.requestId, currentRequestId: second?.requestId } },
    })
  })

  it("takes the node as second argument, as an answer does, or as an option, and not two that differ", async () => {
    write("two", `$.parallel($.approval("a", { request: { title: "A?" } }), $.approval("b", { request: { title: "B?" } }))`)
    expect((await place.run("up", "two.ts", "--run-id", "t")).code).toBe(3)
    const differing = await place.run("approve", "t", "a", "--node", "b")
    expect([differing.code, differing.stderr]).toEqual([
      4,
      expect.stringContaining('The argument names the node "a", and --node names "b": give one of them'),
    ])
    expect(await place.json("approve", "t", "a")).toMatchObject({ code: 0, value: { nodeId: "a", approved: true } })
    expect(await place.json("deny", "t", "--node", "b")).toMatchObject({ code: 0, value: { nodeId: "b", approved: false } })
  })

  it("selects one of the options that were shown, and no other", async () => {
    write(
      "paint",
      `$.approval("colour", { request: { title: "Which?" }, options: ["green", { key: "blue", summary: "as the sky" }] })`,
    )
    expect((await place.run("up", "paint.ts", "--run-id", "p")).code).toBe(3)
    const [wait] = await inbox()
    expect(wait?.commands[0]).toMatch(/^smithers approve p --node colour --iteration 0 --request \S+ --choose KEY$/)
    expect((await place.run("inbox")).stdout).toContain("│ Options:\n    │   green\n    │   blue: as the sky\n")
    const refused = await place.json("approve", "p", "--choose", "red")
    expect(refused).toMatchObject({
      code: 4,
      value: { error: { tag: "InvalidAnswer", issues: ['"red" is not one of "green", "blue"'] } },
    })
    const chosen = await place.run("approve", "p", "--choose", "blue", "--by", "ann")
    expect(chosen.stdout).toContain('Approved "colour" of run p, with "blue" selected by ann.')
    const resumed = await place.run("up", "--resume", "p")
    expect(resumed.stderr + resumed.stdout).toContain("colour (iteration 0) approved, with blue selected by ann")
    expect(resumed.stdout).toContain('"selected": "blue"')
  })

  it("that names nothing is refused where another may have been shown, with what is asked and how to name it", async () => {
    write("rounds", rounds)
    await place.run("up", "rounds.ts", "--run-id", "r")
    // There was only one so far.
    const approved = await place.run("approve", "r", "--by", "ann", "--note", "go on")
    expect(approved.stdout.split("\n").slice(0, 4)).toEqual([
      'Approved "ok" of run r by ann, with the note "go on".',
      "    │ Deploy?",
      "    │ To production.",
      "    │",
    ])
    await place.run("up", "--resume", "r")
    for (const words of [
      ["approve", "r"],
      ["approve", "r", "--node", "ok"],
      ["deny", "r", "--node", "ok"],
    ]) {
      const refused = await place.run(...words)
      expect([refused.code, refused.stdout]).toEqual([4, ""])
      expect(refused.stderr).toContain("Run the command of the one you mean")
      expect(refused.stderr).toContain("    │ Deploy?\n    │ To production.\n")
      const line = refused.stderr.split("\n").find((line) => line.startsWith("    smithers"))
      expect(line).toContain(`smithers ${words[0]} r --node ok --iteration 1 --request `)
    }
    expect((await inbox())[0]).toMatchObject({ iteration: 1, isAnswered: false })
    // Who says which pass has looked at it.
    expect((await place.run("approve", "r", "--node", "ok", "--iteration", "1")).code).toBe(0)
  })

  it("that names nothing is shown requests of any length whole, with the commands after them", async () => {
    const long = "x".repeat(10_000)
    write(
      "long",
      `$.loop({ id: "l", maxIterations: 2, until: () => false, body: $.approval("ok", { onDeny: "continue", request: () => ({ title: "Go?", details: "${long}" }) }) })`,
    )
    await place.run("up", "long.ts", "--run-id", "r")
    await place.run("approve", "r")
    await place.run("up", "--resume", "r")
    const { stderr } = await place.run("approve", "r")
    expect(stderr).toContain(long)
    expect(stderr.trimEnd().split("\n").at(-1)).toMatch(/^ {4}smithers approve r --node ok --iteration 1 --request \S+$/)
  })

  it("of a run that is paused comes with the commands that let it go on, and they do", async () => {
    write("asks", `$.approval("ok", { request: () => ({ title: "?" }) })`)
    await place.run("up", "asks.ts", "--run-id", "r")
    await place.run("pause", "r")
    expect((await place.run("up", "--resume", "r")).code).toBe(3)
    const approved = await place.run("approve", "r")
    const next = ["smithers unpause r", "smithers up --resume r"]
    expect(approved.stdout).toContain(`The run is paused. Unpause it: ${next[0]}\nThen resume it: ${next[1]}\n`)
    expect((await place.json("why", "r")).value).toMatchObject({
      reason: "pending-command",
      commands: [...next, "smithers supervise"],
    })
    expect((await copied(next[0] ?? "")).code).toBe(0)
    expect((await copied(next[1] ?? "")).code).toBe(0)
  })

  it("that edited code asks in other words is not given by a command for the words before", async () => {
    const asks = (title: string) => write("asks", `$.approval("ok", { request: () => ({ title: "${title}" }) })`)
    asks("Delete the copy?")
    await place.run("up", "asks.ts", "--run-id", "r")
    const [line = ""] = (await inbox())[0]?.commands ?? []
    asks("Delete the original?")
    await place.run("up", "--resume", "r")
    expect(await copied(line)).toMatchObject({ code: 4, value: { error: { tag: "RequestChanged" } } })
    expect(await place.json("approve", "r", "--node", "ok", "--iteration", "0")).toMatchObject({
      code: 4,
      value: { error: { tag: "SeveralWaits", open: [{ question: ["│ Delete the original?"] }] } },
    })
  })

  it("is made once, however many make it at the same moment, and everybody else is told by whom", async () => {
    write("asks", `$.approval("ok", { request: () => ({ title: "?" }) })`)
    const waiter = place.start(["up", "asks.ts", "--run-id", "r", "--wait"])
    await until(async () => (await place.run("inbox")).stdout.includes("ok: approval"), "it waits")
    const names = ["ann", "bob", "cat", "dan"]
    const said = await Promise.all(names.map((by, index) => place.json(index % 2 === 0 ? "approve" : "deny", "r", "--by", by)))
    const first = said.findIndex(({ code }) => code === 0)
    expect(said.filter(({ code }) => code === 0)).toHaveLength(1)
    for (const { code, value } of said.filter((_, index) => index !== first))
      expect({ code, value }).toMatchObject({ code: 4, value: { error: { tag: "AlreadyDecided", by: names[first] } } })
    expect((await waiter.result).code).toBe(first % 2 === 0 ? 0 : 1)
  })

  it("that comes too late says so: after its time, after the end, and where nothing is asked", async () => {
    write(
      "timed",
      `$.approval("ok", { request: () => ({ title: "?" }), timeout: "100 millis", onTimeout: "deny", onDeny: "continue" })`,
    )
    await place.run("up", "timed.ts", "--run-id", "t")
    await Bun.sleep(150)
    expect(await place.json("approve", "t")).toMatchObject({ code: 4, value: { error: { tag: "WaitExpired", nodeId: "ok" } } })
    expect((await place.run("up", "--resume", "t")).code).toBe(0)
    expect(await place.json("approve", "t")).toMatchObject({ code: 4, value: { error: { tag: "WaitExpired" } } })
    expect((await place.run("node", "t", "ok")).stdout).toContain("not decided in time")
    write("quick", `$.step("done", { output: Schema.String, run: () => "x" })`)
    await place.run("up", "quick.ts", "--run-id", "q")
    for (const words of [
      ["approve", "q"],
      ["approve", "q", "--node", "ok"],
      ["deny", "q"],
    ])
      expect(await place.json(...words)).toMatchObject({ code: 4, value: { error: { tag: "RunEnded", status: "finished" } } })
    await place.run("up", "workflow.ts#nap", "--run-id", "n")
    const nothing = await place.json("approve", "n")
    expect(nothing).toMatchObject({
      code: 4,
      value: { error: { tag: "NotWaiting", message: 'Run "n" has no open request. It waits for timer "rest".' } },
    })
    expect(nothing.value).not.toHaveProperty("error.nodeId")
  })

  it("is made on the whole request, with its lines, its details and who may decide, wherever one decides", async () => {
    const long = "x".repeat(5000)
    write(
      "asks",
      `$.parallel($.approval("ok", { approvers: ["ann", "bob"], request: () => ({
        title: "Deploy?", summary: "First line\\nsecond line", details: { diff: "${long}" }, "smithers approve": "smithers deny r" }) }),
      $.human("rate", { prompt: "How bad is it?\\n\\n  1. not\\n  2. very", output: Schema.Int }))`,
    )
    const up = await place.run("up", "asks.ts", "--run-id", "r")
    const question = [
      "│ Deploy?",
      "│",
      "│ First line",
      "│ second line",
      "│",
      "│ {",
      `│   "diff": "${long}"`,
      "│ }",
      "│",
      "│ smithers approve: smithers deny r",
      "Approvers: ann or bob.",
    ]
    const prompt = ["│ How bad is it?", "│", "│   1. not", "│   2. very"]
    const shown = (text: string) => text.split("\n").map((line) => line.trim().replace(/^│ {3}/, "│   "))
    const holds = (text: string, block: ReadonlyArray<string>) => expect(shown(text).join("\n")).toContain(block.join("\n"))
    for (const text of [up.stdout, (await place.run("inbox")).stdout, (await place.run("inspect", "r")).stdout]) {
      holds(text, question)
      holds(text, prompt)
    }
    holds((await place.run("why", "r")).stdout, question)
    holds((await place.run("node", "r", "ok")).stdout, question)
    holds((await place.run("node", "r", "rate")).stdout, prompt)
    expect((await place.json("why", "r")).value).toMatchObject({
      requests: [{ nodeId: "ok", request: { details: { diff: long } }, requestId: expect.any(String) }],
    })
    holds((await place.run("deny", "r", "--by", "bob")).stdout, question)
    const answered = await place.run("answer", "r", "rate", "--value", "2", "--by", "ann")
    holds(answered.stdout, ['Answered "rate" of run r by ann.', ...prompt])
  })

  it("is shown and confirmed in a terminal where the command does not name it", async () => {
    write("rounds", rounds)
    await place.run("up", "rounds.ts", "--run-id", "r")
    await place.run("approve", "r")
    await place.run("up", "--resume", "r")
    const answered = async (key: string) => {
      const approve = inTerminal(place, "approve", "r", "--by", "ann")
      await approve.sees("Approve this?")
      expect(approve.seen()).toContain("│ Deploy?")
      approve.type(key)
      return approve.ended
    }
    expect(await answered("n")).toBe(4)
    expect((await inbox())[0]).toMatchObject({ iteration: 1, isAnswered: false })
    expect(await answered("y")).toBe(0)
    expect((await place.json("node", "r", "ok")).value).toMatchObject({ waits: [{}, { iteration: 1, approved: true, by: "ann" }] })
  })
})
