/** Isolation by `@anthropic-ai/sandbox-runtime`, besides its conformance. It runs as an ordinary user, since root is refused. */
import { chmodSync, mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { hasSandboxRuntime, ordinary } from "./fixtures/here.ts"

const program = join(import.meta.dirname, "fixtures", "hosts.ts")

describe.skipIf(!hasSandboxRuntime)("sandbox-runtime (needs the Debian packages bubblewrap, socat and ripgrep)", () => {
  let root = ""
  let found: Record<string, unknown> = {}
  beforeAll(() => {
    root = realpathSync(mkdtempSync(join(tmpdir(), "smithers-srt-")))
    chmodSync(root, 0o777)
    const env = { ...process.env, HOME: "/tmp", XDG_CACHE_HOME: "/tmp" }
    const child = Bun.spawnSync([...ordinary, process.execPath, program, root], { cwd: "/tmp", env })
    expect(child.stderr.toString()).toBe("")
    found = JSON.parse(child.stdout.toString())
  })
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  it("opens the hosts of a policy to its command alone, at their ports alone", () => {
    expect(found.listed).toEqual({ exitCode: 0, stdout: "served\n" })
    for (const which of ["unlisted", "otherPort"]) expect(JSON.stringify(found[which])).not.toContain("served")
  })

  it("refuses a network without bounds, which it cannot give", () => {
    expect(found.open).toMatchObject({ error: "InvalidPolicy", message: expect.stringContaining("list hosts") })
  })

  it("gives a command its words as they are, none of them to a shell", () => {
    expect(found.words).toEqual({ exitCode: 0, stdout: "a'b|$(id)|; echo x|$HOME|`id`|two\nlines|" })
  })

  it("shows a program that is missing as the command's own failure", () => {
    expect(found.missing).toEqual({ exitCode: 127, stdout: "" })
  })

  it("gives each command a directory of its own, which goes with it, and none that commands share", () => {
    expect(found.tmp).toEqual({ exitCode: 1, stdout: "x\n" })
    expect([found.left, found.own]).toEqual([0, []])
  })
})
