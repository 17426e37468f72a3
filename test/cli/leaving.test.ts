/** Scopes, races and lists on the command line: left from outside, and shown. Each command is a process of its own. */
import { writeFileSync } from "node:fs"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder } from "./Fixture.ts"

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
const ask = ($, id) => $.approval(id, { request: () => ({ title: id + "?" }) })
export default Smithers.createWorkflow({ name: "${name}", input: Schema.Struct({}) }).build(($) => ${body})
`,
  )

/** A scope that asks, then a race, then a list of which each item asks, then work. */
const flow = `$.sequence(
  $.scope({ id: "region", timeout: "1 hour", body: ask($, "ok") }),
  $.race({ fast: $.signal("fast", { name: "fast", payload: Schema.String }), slow: ask($, "slow") }, { id: "race" }),
  $.map({ id: "files", items: () => ["a", "b", "c"], concurrency: 2, body: () => ask($, "look"), settled: true }),
  $.step("after", { output: Schema.String, run: () => "done" }),
)`

describe("parts of a run", () => {
  it("are left from the command line, and every command says how", async () => {
    write("flow", flow)
    expect((await place.run("up", "flow.ts", "--run-id", "r")).code).toBe(3)
    const asked = await place.run("cancel-node", "r", "region", "--reason", "too late", "--by", "ann")
    expect([asked.code, asked.stdout]).toEqual([
      0,
      '"region" of run r is to be left as cancelled.\nNobody works on the run. Take it up: smithers up --resume r\n',
    ])
    expect((await place.json("cancel-node", "r", "region")).value).toMatchObject({
      ...{ command: "cancel-node", nodeId: "region", isHeard: false },
      next: ["smithers up --resume r"],
    })
    const other = await place.run("complete-node", "r", "region")
    expect([other.code, other.stderr]).toEqual([
      1,
      expect.stringContaining('is left as cancelled already: ann asked for that ("too late")'),
    ])
    const nodes = await place.run("cancel-node", "r", "regoin")
    expect([nodes.code, nodes.stderr]).toEqual([1, expect.stringContaining("What can be left: region, race, files.")])
    expect((await place.run("up", "--resume", "r")).code).toBe(3)
    expect((await place.run("cancel-node", "r", "region")).code).toBe(0)
    expect((await place.json("signal", "r", "fast", "--data", '"yes"')).code).toBe(0)
    expect((await place.run("up", "--resume", "r")).code).toBe(3)
    const item = await place.json("complete-node", "r", "files", "--key", "a", "--by", "bob")
    expect(item).toMatchObject({ code: 0, value: { command: "complete-node", nodeId: "files[a]" } })
    expect((await place.run("cancel-node", "r", "files", "--key", "d")).stderr).toContain(
      'has no branch or item "d". It has a, b, c.',
    )
    expect((await place.run("up", "--resume", "r")).code).toBe(3)
  })
})
