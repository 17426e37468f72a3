/** Deadlines of runs from the terminal. Each command is a process of its own. */
import { writeFileSync } from "node:fs"
import { afterEach, beforeEach, expect, it } from "vitest"
import { type Folder, folder } from "./Fixture.ts"

let place: Folder
beforeEach(() => {
  place = folder()
  writeFileSync(
    place.file("ask.ts"),
    `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
export default Smithers.createWorkflow({ name: "ask", input: Schema.Struct({}) }).build(($) => $.sequence(
  $.step("first", { output: Schema.String, run: () => "first" }),
  $.approval("ok", { request: () => ({ title: "Go?" }) })))
`,
  )
})
afterEach(() => place.remove())

it("up --deadline ends the run as failed, why and inspect say when, and resuming with a later one goes on", async () => {
  const waiting = await place.run("up", "ask.ts", "--run-id", "a", "--deadline", "1h")
  expect(waiting.code).toBe(3)
  expect((await place.run("why", "a")).stdout).toMatch(/Its deadline is in (59m|1h)/)
  expect((await place.run("inspect", "a")).stdout).toMatch(/^Deadline +\d{4}-/m)
  const ended = await place.json("up", "ask.ts", "--run-id", "b", "--deadline", "1s", "--wait")
  expect(ended).toMatchObject({ code: 1, value: { status: "failed", error: { _tag: "RunTimedOut" } } })
  expect((await place.run("why", "b")).stdout).toContain('Run "b" has reached its deadline')
  const again = await place.json("up", "--resume", "b")
  expect(again).toMatchObject({ code: 1, value: { error: { _tag: "RunTimedOut" } } })
  expect((await place.run("up", "--resume", "b", "--deadline", "2h")).code).toBe(3)
  expect((await place.run("approve", "b")).code).toBe(0)
  expect((await place.run("up", "--resume", "b")).code).toBe(0)
}, 120_000)

it("a deadline that is neither a time nor a date is refused, and nothing begins", async () => {
  const refused = await place.json("up", "ask.ts", "--run-id", "a", "--deadline", "soon")
  expect(refused).toMatchObject({ code: 4, value: { error: { tag: "InvalidUsage" } } })
  expect((await place.run("inspect", "a")).code).not.toBe(0)
}, 60_000)
