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
  $.map({ id: "files", items: () => ["a", "b", "c"], maxConcurrency: 2, body: () => ask($, "look"), settled: true }),
  $.step("after", { output: Schema.String, run: () => "done" }),
)`

describe("parts of a run", () => {
  it("are left from the command line, and every command says how", async () => {
    write("flow", flow)
    expect((await place.run("up", "flow.ts", "--run-id", "r")).code).toBe(3)
    const asked = await place.run("cancel-node", "r", "region", "--reason", "too late", "--by", "ann")
    expect([asked.code, asked.stdout]).toEqual([
      0,
      'Asked run r to leave "region" as cancelled.\nNo process works on the run. Resume it: smithers up --resume r\n',
    ])
    expect((await place.json("cancel-node", "r", "region")).value).toMatchObject({
      ...{ command: "cancel-node", nodeId: "region", isDelivered: false },
      next: ["smithers up --resume r"],
    })
    const other = await place.run("complete-node", "r", "region")
    expect([other.code, other.stderr]).toEqual([
      4,
      expect.stringContaining('is already being left as cancelled: ann asked for that ("too late")'),
    ])
    const nodes = await place.run("cancel-node", "r", "regoin")
    expect([nodes.code, nodes.stderr]).toEqual([4, expect.stringContaining("What can be left: region, race, files.")])
    expect((await place.run("up", "--resume", "r")).code).toBe(3)
    expect((await place.run("cancel-node", "r", "region")).code).toBe(0)
    expect((await place.json("signal", "r", "fast", "--data", '"yes"')).code).toBe(0)
    expect((await place.run("up", "--resume", "r")).code).toBe(3)
    const item = await place.json("complete-node", "r", "files", "--key", "a", "--by", "bob")
    expect(item).toMatchObject({ code: 0, value: { command: "complete-node", nodeId: "files[a]" } })
    expect((await place.run("cancel-node", "r", "files", "--key", "d")).stderr).toContain(
      'has no branch or item "d". It has a, b, c.',
    )
    expect((await place.run("why", "r")).stdout).toContain('("files[a]" is to be left as completed, by bob)')
    expect((await place.run("up", "--resume", "r")).code).toBe(3)
    const log = (await place.run("logs", "r")).stdout
    expect(log).toContain("● region (iteration 0) to be left as cancelled, by ann (too late)")
    expect(log).toContain("■ region (iteration 0) left: someone asked for it, by ann (too late), as cancelled")
    expect(log).toContain("◦ timeout of region (iteration 0) waits for its time")
    expect(log).toContain("● race (iteration 0) won by fast")
    const inspected = (await place.run("inspect", "r")).stdout.replaceAll(/ +/g, " ")
    expect(inspected).toContain("region 0 cancelled, left: someone asked for it, by ann (too late)")
    expect(inspected).toContain("race 0 finished, 1 done, 1 left, won by fast")
    expect(inspected).toContain("files 0 running, 1 left, 2 open")
    expect(inspected).toContain("timeout of region 0 superseded")
    const node = (await place.run("node", "r", "files[a]")).stdout
    expect(node).toContain("files[a] (iteration 0): completed, left: someone asked for it, by bob")
    const tree = (await place.run("graph", "r")).stdout
    expect(tree).toContain("- scope region (cancelled; left: someone asked for it, by ann (too late))")
    expect(tree).toContain("race race (the first wins; 1 done, 1 left; won by fast; finished)")
    expect(tree).toContain("list files (2 at once; 1 left, 2 open; running)")
    expect(tree).toContain("part a (completed; left: someone asked for it, by bob)")
    expect(tree).toContain("timeout of region")
    const { nodes: rows } = (await place.json("inspect", "r")).value as {
      readonly nodes: ReadonlyArray<{ readonly nodeId: string }>
    }
    expect(rows.find(({ nodeId }) => nodeId === "region")).toMatchObject({
      status: "cancelled",
      left: { outcome: "cancelled", trigger: "request", reason: "too late", by: "ann" },
    })
  })

  it("that are many are counted, and only those shown that need somebody or have failed", async () => {
    write(
      "many",
      `$.map({ id: "files", items: () => Array.from({ length: 2000 }, (_, index) => index), maxConcurrency: 1, settled: true, body: (item) =>
        $.sequence($.step("read", { needs: { item }, output: Schema.Number, retry: false, run: ({ item }) => {
          if (item === 3) throw new Error("unreadable")
          return item
        } }), $.branch({ needs: { item }, when: ({ item }) => item === 9, then: ask($, "look"), else: $.step("skip", { output: Schema.Null, run: () => null }) })) })`,
    )
    expect((await place.run("up", "many.ts", "--run-id", "m")).code).toBe(3)
    const tree = (await place.run("graph", "m")).stdout
    expect(tree).toContain("list files (1 at once; 8 done, 1 failed, 1 open, 1990 not begun; running)")
    expect(tree.split("\n").length).toBeLessThan(25)
    const inspected = (await place.run("inspect", "m")).stdout
    expect(inspected).toContain("running, 8 done, 1 failed, 1 open, 1990 not begun")
    expect(inspected).toContain("files[9].look")
    expect(inspected).toContain("files[3].read")
    expect(inspected).not.toContain("files[5].read")
    expect(inspected.split("\n").length).toBeLessThan(40)
    expect((await place.run("node", "m", "files")).stdout).toContain(
      "files (iteration 0): running, 8 done, 1 failed, 1 open, 1990 not begun",
    )
  })

  it("that wait are shown up to a number, and counted beyond", async () => {
    write(
      "crowd",
      `$.map({ id: "files", items: () => Array.from({ length: 30 }, (_, index) => index), body: () => ask($, "look") })`,
    )
    const up = await place.run("up", "crowd.ts", "--run-id", "c")
    expect([up.code, up.stdout]).toEqual([3, expect.stringContaining("  and 10 other waits: smithers inspect c --json")])
    expect(up.stdout).toContain("files[19].look: ")
    expect(up.stdout).not.toContain("files[20].look: ")
    expect((await place.run("inspect", "c")).stdout).toContain("  and 10 other waits: smithers inspect c --json")
  })
})
