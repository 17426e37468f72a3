/** A cancellation is carried out once, and taken back only by its own word. Each command is a process of its own. */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder, until } from "./Fixture.ts"

let place: Folder
beforeEach(() => {
  place = folder()
  // A saga that pays, and then asks; each payment and each refund is a line.
  writeFileSync(
    place.file("trip.ts"),
    `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
import { appendFileSync } from "node:fs"
const note = (line: string) => appendFileSync(${JSON.stringify(place.file("account"))}, line + "\\n")
const on = ($) => $.saga(
    $.step("pay", { output: Schema.String, run: () => { note("paid"); return "paid" },
      compensate: () => { note("refunded") } }),
    $.approval("ok", { request: () => ({ title: "Go?" }) }))
export default Smithers.createWorkflow({ name: "trip", input: Schema.Struct({}) }).build(on)
`,
  )
})
afterEach(() => place.remove())

const account = () => (existsSync(place.file("account")) ? readFileSync(place.file("account"), "utf8").trim().split("\n") : [])
const begin = async () => expect((await place.run("up", "trip.ts", "--run-id", "t")).code).toBe(3)

describe("a cancellation of a run that nobody works on", () => {
  it("is carried out by cancel --wait, and resuming the run as before does not take it back", async () => {
    await begin()
    const cancelled = await place.json("cancel", "t", "--reason", "rain", "--wait")
    expect(cancelled).toMatchObject({ code: 0, value: { runId: "t", isDelivered: true, next: [] } })
    expect(account()).toEqual(["paid", "refunded"])
    const resumed = {
      code: 2,
      value: { runId: "t", status: "cancelled", reason: "rain", next: ["smithers up --resume t --uncancel"] },
    }
    expect(await place.json("up", "--resume", "t")).toEqual(resumed)
    expect(await place.json("up", "trip.ts", "--run-id", "t", "--resume")).toEqual(resumed)
    const said = await place.run("up", "--resume", "t")
    expect(said.stdout).toBe(
      "Run t was cancelled: rain.\nRevert the cancellation, and run again what was undone: smithers up --resume t --uncancel\n",
    )
    expect((await place.json("why", "t")).value).toMatchObject({
      reason: "cancelled",
      commands: ["smithers up --resume t --uncancel"],
    })
    expect(account()).toEqual(["paid", "refunded"])
    expect((await place.run("up", "--resume", "t", "--uncancel")).code).toBe(3)
    expect(account()).toEqual(["paid", "refunded", "paid"])
    expect(await place.json("up", "--resume", "t", "--uncancel")).toMatchObject({
      code: 4,
      value: { error: { tag: "InvalidUsage" } },
    })
  })

  it("is said to be to come, with the command that carries it out, whose advice run twice pays nothing again", async () => {
    await begin()
    const asked = await place.json("cancel", "t", "--reason", "rain")
    const next = ["smithers cancel t --wait", "smithers supervise"]
    expect(asked).toMatchObject({ code: 0, value: { isDelivered: false, next } })
    expect((await place.json("why", "t")).value).toMatchObject({
      reason: "cancelling",
      sentence: "Run t is being cancelled (rain): no process works on it, and it must undo or end steps first.",
      commands: next,
    })
    // What is asked is nothing to decide on any more, and it is not taken back before it has happened.
    expect(await place.json("approve", "t")).toMatchObject({
      code: 4,
      value: { error: { tag: "NotWaiting", reason: "cancelled" } },
    })
    expect((await place.run("up", "--resume", "t", "--uncancel")).stderr).toContain("Carry out the cancellation first")
    for (let time = 0; time < 2; time++) expect((await place.run("cancel", "t", "--wait")).code).toBe(0)
    expect(account()).toEqual(["paid", "refunded"])
  })

  it("is carried out by a supervisor, or by whoever resumes the run, once", async () => {
    await begin()
    await place.run("cancel", "t")
    const supervised = await place.run("supervise", "--once")
    expect(supervised.stdout).toContain("settled t (trip): cancelled")
    for (let time = 0; time < 2; time++) expect((await place.run("up", "--resume", "t")).code).toBe(2)
    expect(account()).toEqual(["paid", "refunded"])
    expect((await place.run("up", "trip.ts", "--run-id", "u")).code).toBe(3)
    expect((await place.json("down")).value).toMatchObject({
      runs: ["u"],
      pending: ["u"],
      next: ["smithers supervise --once"],
    })
    const resumed = await place.run("up", "--resume", "u")
    expect([resumed.code, resumed.stderr]).toEqual([2, expect.stringContaining("This command carries out the cancellation.")])
    expect((await place.run("up", "--resume", "u")).code).toBe(2)
    expect(account()).toEqual(["paid", "refunded", "paid", "refunded"])
  })

  it("that cannot be carried out says why, and is still to come", async () => {
    await begin()
    const source = readFileSync(place.file("trip.ts"), "utf8")
    writeFileSync(place.file("trip.ts"), "export default (")
    const failed = await place.run("cancel", "t", "--wait")
    expect([failed.code, failed.stderr]).toEqual([1, expect.stringContaining("cannot be parsed")])
    expect((await place.json("why", "t")).value).toMatchObject({ reason: "cancelling" })
    writeFileSync(place.file("trip.ts"), source)
    expect((await place.run("cancel", "t", "--wait")).code).toBe(0)
    expect(account()).toEqual(["paid", "refunded"])
  })
})

describe("a cancellation of a run that a process works on", () => {
  it("is heard there, and cancel --wait stays until it has happened", async () => {
    const up = place.start(["up", "trip.ts", "--run-id", "t", "--wait"])
    await until(async () => (await place.run("inbox")).stdout.includes("ok: approval"), "it asks")
    expect((await place.run("cancel", "t", "--wait")).stdout).toBe("Run t is cancelled.\n")
    expect((await up.result).code).toBe(2)
    expect(account()).toEqual(["paid", "refunded"])
  })

  it("of a run that has ended is refused, or has happened", async () => {
    await begin()
    await place.run("approve", "t")
    expect((await place.run("up", "--resume", "t")).code).toBe(0)
    expect(await place.json("cancel", "t", "--wait")).toMatchObject({ code: 4, value: { error: { tag: "RunEnded" } } })
    expect(account()).toEqual(["paid"])
  })
})

describe("a cancellation by force", () => {
  it("ends a run whose undoing hangs in another process, which stops, and says what was not undone", async () => {
    writeFileSync(
      place.file("stuck.ts"),
      `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
import { appendFileSync } from "node:fs"
const note = (line: string) => appendFileSync(${JSON.stringify(place.file("account"))}, line + "\\n")
const step = ($, id, undo) => $.step(id, { output: Schema.String, run: () => { note(id); return id }, compensate: async () => { note("undo " + id); await undo() } })
const on = ($) => $.saga(
    step($, "first", async () => {}),
    step($, "second", () => new Promise(() => {})),
    $.timer("t", { duration: "1 hour" }))
export default Smithers.createWorkflow({ name: "stuck", input: Schema.Struct({}) }).build(on)
`,
    )
    const child = place.start(["up", "stuck.ts", "--run-id", "s", "--wait"])
    await until(() => account().includes("second"), "both steps ran")
    expect((await place.run("cancel", "s")).code).toBe(0)
    await until(() => account().includes("undo second"), "the undoing hangs")
    const forced = await place.json("cancel", "s", "--force")
    expect(forced).toMatchObject({
      code: 0,
      value: {
        isDelivered: true,
        next: [],
        uncompensated: [{ nodeId: "first" }, { nodeId: "second" }],
      },
    })
    const said = await place.run("cancel", "s", "--force")
    expect(said.stdout).toContain("Run s is cancelled by force")
    expect(said.stdout).toContain("first")
    expect((await place.json("why", "s")).value).toMatchObject({ reason: "cancelled" })
    // It learns it with the next renewal of its lease, and gives up what does not end.
    expect((await child.result).code).not.toBe(0)
    expect(account()).toEqual(["first", "second", "undo second"])
  }, 120_000)
})
