/**
 * Waits that edited code no longer has, under a supervisor: real processes and an edited file.
 */
import { writeFileSync } from "node:fs"
import { afterEach, beforeEach, expect, it } from "vitest"
import { type Folder, folder } from "./Fixture.ts"

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place.remove())

const source = (timer: string): string => `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
export default Smithers.createWorkflow({ name: "renamed", input: Schema.Void }).build(($) => $.sequence(
  $.timer("${timer}", { duration: ${timer === "nap" ? '"2 seconds"' : '"1 hour"'} }),
  $.approval("ok", { request: () => ({ title: "Go on?" }) })))
`

it("a timer that was renamed is due never again: a supervisor leaves its run alone, and nobody is asked for it", async () => {
  writeFileSync(place.file("nap.ts"), source("nap"))
  expect((await place.run("up", "nap.ts", "--run-id", "r")).code).toBe(3)
  writeFileSync(place.file("nap.ts"), source("rest"))
  expect(await place.json("up", "--resume", "r")).toMatchObject({ code: 3, value: { waits: [{ nodeId: "rest" }] } })
  const frames = async () => ((await place.json("inspect", "r")).value as { run: { epoch: number } }).run.epoch
  const before = await frames()
  const supervisor = place.start(["supervise"])
  // Past the time of the timer that is gone.
  await Bun.sleep(5000)
  supervisor.kill("SIGTERM")
  const { stderr, stdout } = await supervisor.result
  expect(await frames()).toBe(before)
  expect(`${stdout}${stderr}`).not.toMatch(/resum/i)
  expect((await place.json("inspect", "r")).value).toMatchObject({
    waits: [
      { nodeId: "nap", status: "withdrawn", reason: "left-plan", deadline: null },
      { nodeId: "rest", status: "open" },
    ],
  })
  expect((await place.json("inbox")).value).toMatchObject({ waits: [] })
})
