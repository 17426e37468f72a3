/**
 * What is given as `@file` or on the standard input, whatever it turns out to be.
 */
import { closeSync, constants, mkdirSync, openSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder, until } from "./Fixture.ts"

const bin = join(import.meta.dirname, "..", "..", "packages", "smithers", "src", "bin.ts")

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place.remove())

const refusal = async (given: string, stdin?: string) => {
  const args = ["up", "workflow.ts", "--input", given, "--json"]
  const { code, stdout } = await place.start(args, stdin === undefined ? {} : { stdin }).result
  return { code, ...(JSON.parse(stdout) as { error: { tag: string; message: string } }).error }
}

const accepted = { code: 3, value: { status: "waiting-approval" } }

describe("a value from a file", () => {
  it("that cannot be one is refused with what it is", { timeout: 60_000 }, async () => {
    const utf16 = (text: string) => Buffer.from(`\ufeff${text}`, "utf16le")
    mkdirSync(place.file("folder"))
    const server = createServer().listen(place.file("socket"))
    const files = {
      "bom.json": ['\ufeff{"spec":"x"}', "bom.json begins with a byte order mark (UTF-8); save it as UTF-8 without one"],
      "wide.json": [utf16('{"spec":"x"}'), "wide.json begins with a byte order mark (UTF-16); save it as UTF-8 without one"],
      "latin.json": [Buffer.from([0x22, 0xe9, 0x22]), "latin.json is not UTF-8 text"],
      "empty.json": ["", "empty.json is empty"],
      "half.json": ['{"spec":', "in half.json"],
    } as const
    for (const [name, [content]] of Object.entries(files)) writeFileSync(place.file(name), content)
    const cases = [
      ...Object.entries(files).map(([name, [, problem]]) => [name, problem] as const),
      ["folder", "folder is a folder, not a file"],
      ["socket", "socket is a socket, not a file"],
      ["nope.json", "nope.json cannot be read: ENOENT"],
      ["/dev/null", "/dev/null is empty"],
    ] as const
    for (const [name, problem] of cases) {
      expect([name, await refusal(`@${name}`)]).toMatchObject([
        name,
        { code: 4, tag: "InvalidJson", message: expect.stringContaining(problem) },
      ])
    }
    server.close()
  })

  it("is read to 64 MB, of a device that has no end, of a large file and of an endless program alike", {
    timeout: 60_000,
  }, async () => {
    const tooLong = { code: 4, tag: "InvalidJson", message: expect.stringContaining("is longer than 64 MB") }
    expect(await refusal("@/dev/zero")).toMatchObject(tooLong)
    writeFileSync(place.file("large.json"), "")
    Bun.spawnSync(["truncate", "--size=5G", place.file("large.json")])
    expect(statSync(place.file("large.json")).size).toBe(5 * 2 ** 30)
    expect(await refusal("@large.json")).toMatchObject(tooLong)
    rmSync(place.file("large.json"))
    const endless = Bun.spawnSync(["sh", "-c", `yes | "${process.execPath}" "${bin}" up workflow.ts --input -`], {
      cwd: place.path,
    })
    expect([endless.exitCode, endless.stderr.toString()]).toEqual([
      4,
      expect.stringContaining("standard input is longer than 64 MB"),
    ])
    writeFileSync(place.file("input.json"), JSON.stringify({ spec: "x".repeat(10_000_000) }))
    expect((await place.json("up", "workflow.ts", "--input", "@input.json")).code).toBe(3)
  })

  it("may be a pipe, which is waited for and does not keep the command from being stopped", { timeout: 60_000 }, async () => {
    Bun.spawnSync(["mkfifo", place.file("pipe")])
    // Succeeds once somebody reads from the pipe, whose end does not come as long as this is open.
    const write = async (): Promise<number> => {
      let descriptor = -1
      const isRead = () => {
        try {
          descriptor = openSync(place.file("pipe"), constants.O_WRONLY | constants.O_NONBLOCK)
          return true
        } catch {
          return false
        }
      }
      await until(isRead, "the pipe is read")
      return descriptor
    }
    const late = place.start(["up", "workflow.ts", "--input", "@pipe", "--json"])
    const writer = await write()
    writeSync(writer, '{"spec":')
    writeSync(writer, '"x"}')
    closeSync(writer)
    const { code, stdout } = await late.result
    expect({ code, value: JSON.parse(stdout) as unknown }).toMatchObject(accepted)
    const stopped = place.start(["up", "workflow.ts", "--input", "@pipe"])
    const held = await write()
    stopped.kill("SIGINT")
    expect((await stopped.result).code).toBe(130)
    closeSync(held)
    const substituted = Bun.spawnSync(
      ["bash", "-c", `"${process.execPath}" "${bin}" up workflow.ts --json --input @<(echo '{"spec":"x"}')`],
      { cwd: place.path },
    )
    expect({ code: substituted.exitCode, value: JSON.parse(substituted.stdout.toString()) as unknown }).toMatchObject(accepted)
  })
})

describe("the file of a workflow", () => {
  it("is no folder and no pipe: what it is, and which files there are, is said", async () => {
    mkdirSync(place.file("flows"))
    writeFileSync(place.file("flows/a.tsx"), "")
    Bun.spawnSync(["mkfifo", place.file("pipe.ts")])
    const said = async (...args: ReadonlyArray<string>) => (await place.json(...args)).value
    const error = (message: string) => ({ error: { tag: "InvalidWorkflowFile", reason: "unknown", message } })
    const flows = place.file("flows")
    expect(await said("up", "./flows")).toMatchObject(
      error(`${flows} is a folder, not a workflow file. Name one of its files: ${flows}/a.tsx.`),
    )
    rmSync(place.file("flows/a.tsx"))
    expect(await said("check", "flows/")).toMatchObject(
      error(`${flows} is a folder, not a workflow file. It contains no workflow file.`),
    )
    expect(await said("up", "pipe.ts")).toMatchObject(
      error(`${place.file("pipe.ts")} is a device, a pipe or a socket, not a regular file.`),
    )
  })
})

describe("what nobody sees", () => {
  it("is escaped in JSON, which says the same, and shown to people", { timeout: 60_000 }, async () => {
    // C1 controls, turns of direction, a mark of a byte order, tags, and a text that is fine.
    const nasty = "a\u009b31m\u0085\u202egnp.exe\u2066\u061c\u2028\ufeff\u{e0041}\u001b[2J é 日本 👩‍👧"
    await place.run("up", "workflow.ts", "--input", JSON.stringify({ spec: nasty }), "--run-id", "n")
    await place.run("deny", "n", "--note", nasty)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what must not be there.
    const raw = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\u{e0000}-\u{e007f}]/u
    for (const args of [
      ["inspect", "n"],
      ["events", "n"],
      ["logs", "n"],
      ["node", "n", "ok"],
      ["ps"],
      ["why", "n"],
      ["graph", "n", "--format", "json"],
    ]) {
      for (const more of [[], ["--json"]]) {
        const { stdout, stderr } = await place.run(...args, ...more)
        expect([args, raw.exec(stdout), raw.exec(stderr)]).toEqual([args, null, null])
      }
    }
    const { stdout } = await place.run("inspect", "n", "--json")
    expect(stdout).toContain("\\u009b31m\\u0085\\u202egnp.exe\\u2066\\u061c\\u2028\\ufeff\\udb40\\udc41\\u001b[2J é 日本 👩‍👧")
    expect(JSON.parse(stdout)).toMatchObject({ input: { spec: nasty } })
    expect((await place.run("inspect", "n")).stdout).toContain("\\u009b31m")
    // Events are JSON for people as well.
    const lines = (await place.run("events", "n")).stdout.trimEnd().split("\n")
    expect(lines.map((line) => JSON.parse(line) as unknown)).toHaveLength(lines.length)
    const wrong = await place.run("up", `no\u009b\u202e.ts`, "--json")
    expect([raw.exec(wrong.stdout), JSON.parse(wrong.stdout)]).toMatchObject([
      null,
      { error: { path: place.file("no\u009b\u202e.ts") } },
    ])
  })
})
