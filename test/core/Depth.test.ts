/**
 * Plans thousands of levels deep. Their code must not need a stack as deep: Node's is smaller than Bun's, which would hide it.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

/** Milliseconds: some kinds take seconds, and a busy machine takes ten times as long. */
const timeout = 300_000

let folder: string
let bundle: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "smithers-test-"))
  bundle = join(folder, "deep.mjs")
  const fixture = join(import.meta.dirname, "fixtures", "deep.ts")
  const built = Bun.spawn(["bun", "build", "--target", "node", fixture, "--outfile", bundle], { stdout: "ignore", stderr: "pipe" })
  expect(await built.exited, await new Response(built.stderr).text()).toBe(0)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const node = Bun.which("node")

const runtimes = [["Bun", "bun"] as const, ...(node === null ? [] : [["Node", node] as const])]

describe.each(runtimes)(`on %s${node === null ? " (on Node skipped: there is none)" : ""}`, (_, command) => {
  const run = async (kind: string, depth: number): Promise<unknown> => {
    const child = Bun.spawn([command, bundle, kind, String(depth)], { stdout: "pipe", stderr: "pipe" })
    const [output, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
    expect(await child.exited, errors.slice(0, 2000)).toBe(0)
    return JSON.parse(output)
  }

  // What loops and names cost grows with the square of their depth.
  it.each([
    ["sequence", 20_000],
    ["parallel", 20_000],
    ["limited", 20_000],
    ["branch", 20_000],
    ["otherwise", 20_000],
    ["saga", 2000],
    ["try", 2000],
    ["unnamed", 5000],
    ["loop", 300],
  ])("a plan of %s in %s levels runs, is recalled, is a child run, and fails", { timeout }, async (kind, depth) => {
    const value = "2026-01-01T00:00:00.000Z"
    expect(await run(kind, depth)).toMatchObject({ first: value, again: value, byParent: value, failed: "failed" })
  })

  it("a plan that is drawn, of sequences in 8,000 levels, is scheduled", { timeout }, async () => {
    expect(await run("drawn", 8000)).toEqual({ outcome: "finished" })
  })
})
