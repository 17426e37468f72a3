/**
 * Runs in which nothing is left but a later attempt, in processes of their own.
 */
import { writeFileSync } from "node:fs"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder, until } from "./Fixture.ts"

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place.remove())

const source = `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
const make = (name, build) => Smithers.createWorkflow({ name, input: Schema.Void }).build(build)
export const limited = make("limited", ($) => $.step("call", {
  output: Schema.Number,
  retry: { maxDelay: "2 hours" },
  run: ({ attempt }) => {
    if (attempt === 1) throw Object.assign(new Error("429 Too Many Requests"), { retryAfterMs: 600_000 })
    return attempt
  },
}))
export const nap = make("nap", ($) => $.timer("rest", { duration: "1500 millis" }))
`

describe("a provider that asks to be left alone for long", () => {
  it("makes the run wait: up exits with 3, and every view says what is tried again, when and why", async () => {
    writeFileSync(place.file("limits.ts"), source)
    const up = await place.json("up", "limits.ts#limited", "--run-id", "r")
    expect(up).toMatchObject({
      code: 3,
      value: { status: "waiting-timer", waits: [{ nodeId: "call", iteration: 0, kind: "retry", deadline: expect.any(Number) }] },
    })
    const { deadline = 0 } = (up.value as { waits: Array<{ deadline?: number }> }).waits[0] ?? {}
    expect(Math.abs(deadline - Date.now() - 600_000)).toBeLessThan(60_000)
    expect((await place.run("up", "limits.ts#limited", "--run-id", "r")).stdout).toMatch(/call: its next attempt, in (9m|10m)/)
    const why = await place.json("why", "r")
    expect(why.value).toMatchObject({
      reason: "retrying",
      sentence: expect.stringMatching(
        /^Run r retries "call" in (9m \d+s|10m) after Error: 429 Too Many Requests.*\(1 attempt so far\); it has to be resumed then\.$/,
      ),
      commands: ["smithers supervise", "smithers up --resume r"],
    })
    expect((await place.json("ps")).value).toMatchObject({ runs: [{ runId: "r", waits: [{ kind: "retry", deadline }] }] })
    expect((await place.json("inspect", "r")).value).toMatchObject({ waits: [{ kind: "retry", status: "open", deadline }] })
    expect((await place.json("inbox")).value).toMatchObject({ waits: [] })
  })

  it("does not hold the slots of a supervisor", async () => {
    writeFileSync(place.file("limits.ts"), source)
    for (const id of ["a", "b"]) expect((await place.run("up", "limits.ts#limited", "--run-id", id)).code).toBe(3)
    expect((await place.run("up", "limits.ts#nap", "--run-id", "n")).code).toBe(3)
    const supervisor = place.start(["supervise", "--max-concurrent", "1"])
    const isDone = async () => JSON.stringify((await place.json("ps", "--status", "finished")).value).includes('"n"')
    await until(isDone, "the other run goes on")
    supervisor.kill("SIGTERM")
    await supervisor.result
    expect((await place.json("inspect", "a")).value).toMatchObject({ nodes: [{ nodeId: "call", attempt: 1, status: "retrying" }] })
  })
})
