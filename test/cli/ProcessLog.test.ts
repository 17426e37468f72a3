import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { basename } from "node:path"
import * as ProcessLog from "@smithers/cli/ProcessLog"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder } from "./Fixture.ts"

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place.remove())

const logs = () => place.file(".smithers/logs")
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)
const detach = (runId: string) => place.json("up", "workflow.ts#nap", "--run-id", runId, "--detach")

describe("the log of a run", () => {
  it("is for its owner only, as is its folder, also where they were open to all before", { timeout: 60_000 }, async () => {
    expect((await detach("first")).value).toMatchObject({ log: `${logs()}/first.log` })
    expect([mode(logs()), mode(`${logs()}/first.log`)]).toEqual(["700", "600"])
    chmodSync(logs(), 0o777)
    writeFileSync(`${logs()}/second.log`, "before\n", { mode: 0o666 })
    chmodSync(`${logs()}/second.log`, 0o666)
    expect((await detach("second")).code).toBe(0)
    expect([mode(logs()), mode(`${logs()}/second.log`)]).toEqual(["700", "600"])
    expect(readFileSync(`${logs()}/second.log`, "utf8")).toMatch(/^before\n/)
    // A supervisor writes to the same.
    await place.run("up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "third")
    await place.run("approve", "third")
    expect((await place.run("supervise", "--once")).code).toBe(0)
    expect(mode(`${logs()}/third.log`)).toBe("600")
  })

  it("is refused where a link, a pipe or a folder is in its place, and nothing is written to where that leads", {
    timeout: 60_000,
  }, async () => {
    const refused = async (runId: string, problem: string) => {
      const { code, value } = await detach(runId)
      expect([code, value]).toMatchObject([1, { error: { tag: "CannotWrite", message: expect.stringContaining(problem) } }])
      expect((await place.json("inspect", runId)).code, "nothing was started").toBe(4)
    }
    mkdirSync(logs(), { recursive: true })
    writeFileSync(place.file("precious"), "keep")
    chmodSync(place.file("precious"), 0o644)
    symlinkSync("../../precious", `${logs()}/link.log`)
    await refused("link", "it is a symbolic link")
    symlinkSync("../../nothing", `${logs()}/dangling.log`)
    await refused("dangling", "it is a symbolic link")
    Bun.spawnSync(["mkfifo", `${logs()}/pipe.log`])
    await refused("pipe", "pipe.log cannot be written")
    mkdirSync(`${logs()}/folder.log`)
    await refused("folder", "folder.log cannot be written")
    expect([readFileSync(place.file("precious"), "utf8"), mode(place.file("precious"))]).toEqual(["keep", "644"])
    expect(existsSync(place.file("nothing"))).toBe(false)
    await place.run("up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "link2")
    await place.run("approve", "link2")
    symlinkSync("../../precious", `${logs()}/link2.log`)
    expect((await place.run("supervise", "--once")).stdout).toContain("it is a symbolic link")
    expect(readFileSync(place.file("precious"), "utf8")).toBe("keep")
  })

  it("is refused where its folder is a link", { timeout: 60_000 }, async () => {
    mkdirSync(place.file("elsewhere"))
    mkdirSync(place.file(".smithers"))
    symlinkSync("../elsewhere", logs())
    const { value } = await detach("r")
    expect(value).toMatchObject({ error: { tag: "CannotWrite", message: expect.stringContaining("is a symbolic link") } })
    expect(readdirSync(place.file("elsewhere"))).toEqual([])
    expect(mode(place.file("elsewhere"))).not.toBe("700")
  })

  it("has a name of its own for each id, whatever the id and the file system", { timeout: 60_000 }, async () => {
    const ids = [
      "a:b",
      "a_b",
      "a@b",
      "A_b",
      "a_B",
      "a~b",
      "a~b~0",
      ".",
      "..",
      "x".repeat(200),
      `${"x".repeat(199)}y`,
      `${"x".repeat(160)}:`,
    ]
    const names = ids.map((runId) => basename(ProcessLog.pathOf("/folder/smithers.db", runId)))
    expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(ids.length)
    expect(Math.max(...names.map((name) => name.length))).toBeLessThan(200)
    expect(names[1]).toBe("a_b.log")
    for (const name of names) expect(name).toMatch(/^[\w.@+-]+\.log$/)
    await detach("a:b")
    await detach("a_b")
    expect(readdirSync(logs())).toHaveLength(2)
  })
})
