/** How runs have ended, and what is left of them, is said by every command that shows it. Each command is a process of its own. */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder } from "./Fixture.ts"

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place.remove())

const write = (name: string, body: string, before = "") =>
  writeFileSync(
    place.file(`${name}.ts`),
    `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
import { appendFileSync } from "node:fs"
const note = (line) => appendFileSync(${JSON.stringify(place.file("account"))}, line + "\\n")
${before}
export default Smithers.createWorkflow({ name: "${name}", input: Schema.Struct({}) }).build(($) => ${body})
`,
  )
const account = () => (existsSync(place.file("account")) ? readFileSync(place.file("account"), "utf8").trim().split("\n") : [])

const booking = (undo: string) =>
  `$.step("book", { output: Schema.String, run: () => { note("booked"); return "x" }, compensate: () => { ${undo} } })`

describe("what could not be undone", () => {
  it("is said by whoever cancels the run, and by everybody who looks at it from then on", async () => {
    write(
      "trip",
      `$.saga(${booking('throw new Error("the hotel is closed")')}, $.approval("ok", { request: () => ({ title: "Go?" }) }))`,
    )
    expect((await place.run("up", "trip.ts", "--run-id", "t")).code).toBe(3)
    const left = [{ nodeId: "book", iteration: 0, error: { message: "the hotel is closed" } }]
    const said = 'This could not be undone: "book" (Error: the hotel is closed). Undo it by hand.'
    const cancelled = await place.run("cancel", "t", "--wait")
    expect([cancelled.code, cancelled.stdout]).toEqual([0, expect.stringContaining(said)])
    expect(await place.json("cancel", "t", "--wait")).toMatchObject({ code: 0, value: { uncompensated: left } })
    for (const words of [
      ["why", "t"],
      ["inspect", "t"],
      ["logs", "t"],
      ["up", "--resume", "t"],
    ])
      expect((await place.run(...words)).stdout, words.join(" ")).toContain(said)
    expect((await place.json("inspect", "t")).value).toMatchObject({ uncompensated: left })
    expect(await place.json("up", "--resume", "t")).toMatchObject({ code: 2, value: { status: "cancelled", uncompensated: left } })
  })

  it("is said by what runs the workflow, where the run fails and where it finishes all the same", async () => {
    const once = booking('throw new Error("the hotel is closed")').replace("output:", "retry: false, output:")
    const saga = `$.saga(${once}, $.step("pay", { output: Schema.String, retry: false, run: () => { throw new Error("no money") } }))`
    write("fails", saga)
    write("copes", `$.tryCatch({ try: ${saga}, catch: () => "by hand" })`)
    const left = [{ nodeId: "book", iteration: 0, error: { message: "the hotel is closed" } }]
    const said = 'This could not be undone: "book" (Error: the hotel is closed). Undo it by hand.'
    for (const [name, code, status] of [
      ["fails", 1, "failed"],
      ["copes", 0, "finished"],
    ] as const) {
      const shown = await place.run("up", `${name}.ts`, "--run-id", name)
      expect([shown.code, shown.stdout.split(said).length], name).toEqual([code, 2])
      expect(await place.json("up", `${name}.ts`, "--run-id", name)).toMatchObject({ code, value: { status, uncompensated: left } })
      expect((await place.json("inspect", name)).value).toMatchObject({ uncompensated: left })
      expect((await place.run("inspect", name)).stdout).toContain(said)
    }
    expect((await place.run("up", "--resume", "copes")).stdout).toContain(said)
  })

  it("of a child run is said by its parent, with the run that it is of", async () => {
    write(
      "parent",
      `$.subflow("sub", { workflow: child, input: () => ({}) })`,
      `const child = Smithers.createWorkflow({ name: "child", input: Schema.Struct({}) }).build(($) =>
  $.saga(${booking('throw new Error("the hotel is closed")')}, $.approval("ok", { request: () => ({ title: "Go?" }) })))`,
    )
    expect((await place.run("up", "parent.ts", "--run-id", "p")).code).toBe(3)
    expect((await place.run("cancel", "p", "--wait")).stdout).toContain('"book" of run "p~sub~0" (Error: the hotel is closed)')
    expect((await place.json("up", "--resume", "p")).value).toMatchObject({ uncompensated: [{ runId: "p~sub~0", nodeId: "book" }] })
  })
})

describe("a signal under an id that is taken", () => {
  it("is refused with what has the id, and the same signal again is one", async () => {
    write("pays", `$.signal("in", { name: "paid", payload: Schema.Struct({ amount: Schema.Number }) })`)
    expect((await place.run("up", "pays.ts", "--run-id", "r")).code).toBe(3)
    const send = (name: string, data: string, ...more: ReadonlyArray<string>) =>
      place.json("signal", "r", name, "--data", data, "--id", "evt-1", ...more)
    expect((await send("paid", '{"amount":3}')).code).toBe(0)
    expect((await send("paid", '{"amount":3}')).code).toBe(0)
    const taken = { code: 4, value: { error: { tag: "SignalIdTaken", id: "evt-1", signal: "paid" } } }
    expect(await send("paid", '{"amount":4}')).toMatchObject(taken)
    expect(await send("refunded", '{"amount":3}')).toMatchObject(taken)
    expect(await send("paid", '{"amount":3}', "--correlation", "o-1")).toMatchObject(taken)
    expect((await place.run("up", "--resume", "r")).code).toBe(0)
    expect((await place.json("output", "r")).value).toMatchObject({ output: { amount: 3 } })
    // After the end, too: it was heard.
    expect((await send("paid", '{"amount":3}')).code).toBe(0)
    expect(await send("paid", '{"amount":4}')).toMatchObject(taken)
  })
})

describe("a denial", () => {
  it("stands when the failed run is resumed, which says so with the command that asks again", async () => {
    write("asks", `$.approval("ok", { request: () => ({ title: "Go?" }) })`)
    await place.run("up", "asks.ts", "--run-id", "r")
    await place.run("deny", "r", "--by", "ann", "--note", "not today")
    for (let time = 0; time < 2; time++) {
      const resumed = await place.run("up", "--resume", "r")
      expect(resumed.code).toBe(1)
      expect(resumed.stdout).toContain("The denial still holds when the run is resumed: retry the node to ask again.")
      expect(resumed.stdout).toContain("Ask again: smithers retry r ok\nThen resume it: smithers up --resume r")
    }
    const told = { code: 4, value: { error: { tag: "AlreadyDecided", approved: false, by: "ann", note: "not today" } } }
    expect(await place.json("approve", "r", "--by", "bob")).toMatchObject(told)
    expect((await place.json("why", "r")).value).toMatchObject({ commands: ["smithers retry r ok", "smithers up --resume r"] })
    expect((await place.run("retry", "r", "ok")).code).toBe(0)
    expect((await place.run("up", "--resume", "r")).code).toBe(3)
    expect((await place.json("inbox")).value).toMatchObject({ waits: [{ runId: "r", nodeId: "ok", requestCount: 2 }] })
  })

  it("in a child run stands for its parent, whose commands retry the node of the child", async () => {
    await place.run("up", "workflow.ts#family", "--run-id", "f")
    await place.run("deny", "f~inner~0", "--by", "ann")
    const failed = await place.json("up", "--resume", "f")
    const next = ["smithers retry 'f~inner~0' sure", "smithers up --resume f"]
    expect(failed).toMatchObject({ code: 1, value: { status: "failed", next } })
    expect((await place.json("why", "f")).value).toMatchObject({
      commands: next,
      sentence: expect.stringContaining("The denial in the child run still holds when this run is resumed"),
    })
    expect((await place.run("up", "--resume", "f")).code).toBe(1)
    expect((await place.run("retry", "f~inner~0", "sure")).code).toBe(0)
    expect((await place.run("up", "--resume", "f")).code).toBe(3)
  })
})

describe("a command that is given twice", () => {
  it("answers with how the run has failed, and does nothing again that was undone, until it is resumed", async () => {
    write(
      "buys",
      `$.saga(${booking('note("undone")')}, $.step("pay", { output: Schema.String, retry: false, run: () => { throw new Error("no money") } }))`,
    )
    const buy = () => place.json("up", "buys.ts", "--run-id", "r")
    const failed = { code: 1, value: { status: "failed", error: { message: expect.stringContaining("no money") } } }
    expect(await buy()).toMatchObject(failed)
    expect(await buy()).toMatchObject(failed)
    expect(account()).toEqual(["booked", "undone"])
    expect((await place.run("up", "--resume", "r")).code).toBe(1)
    expect(account()).toEqual(["booked", "undone", "booked", "undone"])
  })
})
