/** The demo that the README begins with, as a process. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "vitest"

it("the demo kills a review half-way, and another process resumes it without a finished step done again", async () => {
  const folder = mkdtempSync(join(tmpdir(), "smithers-demo-"))
  try {
    const script = join(import.meta.dirname, "../../examples/demo.ts")
    const child = Bun.spawn(["bun", script], { cwd: folder, stdout: "pipe", stderr: "pipe" })
    const said = await new Response(child.stdout).text()
    expect(await child.exited, said).toBe(0)
    expect(said).toContain("killed with SIGKILL")
    expect(Number(/(\d+) finished steps are kept/.exec(said)?.[1])).toBeGreaterThanOrEqual(5)
    expect(said).toMatch(/ran again +read:/)
    expect(said).toMatch(/repeated +0 finished steps/)
    expect(said).toContain("# Review of")
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}, 120_000)
