/** The end of the process that runs commands, by a signal that it cannot see. */
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { hasBubblewrap, hasSandboxRuntime, ordinary } from "./fixtures/here.ts"

let root: string
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "smithers-kills-")))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

/** Processes that sleep for a time that no other does. */
const sleeping = (mark: string): ReadonlyArray<string> =>
  readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(`sleep\0${mark}`)
    } catch {
      return false
    }
  })

describe.skipIf(!hasBubblewrap)("the end of the process that runs commands (needs the Debian package bubblewrap)", () => {
  const program = join(import.meta.dirname, "fixtures", "forever.ts")
  const killed = async (times: number, start: (mark: string) => Bun.Subprocess): Promise<void> => {
    for (let time = 0; time < times; time++) {
      const mark = `35${(Date.now() % 1_000_000) + time}`
      const child = start(mark)
      for (let waited = 0; waited < 20_000 && sleeping(mark).length < 3; waited += 20) await Bun.sleep(20)
      expect(sleeping(mark).length).toBeGreaterThan(2)
      child.kill("SIGKILL")
      await child.exited
      const since = performance.now()
      while (sleeping(mark).length > 0 && performance.now() - since < 1000) await Bun.sleep(20)
      expect(sleeping(mark)).toEqual([])
    }
  }

  it.skipIf(!hasSandboxRuntime)("ends them under sandbox-runtime too, 5 times", { timeout: 120_000 }, async () => {
    chmodSync(root, 0o777)
    const env = { ...process.env, HOME: "/tmp", XDG_CACHE_HOME: "/tmp" }
    await killed(5, (mark) =>
      Bun.spawn([...ordinary, process.execPath, program, root, mark, "sandbox-runtime"], { cwd: "/tmp", env, stdout: "pipe" }),
    )
  })

  it("by SIGKILL ends every process of its commands within a second, 100 times", { timeout: 600_000 }, async () => {
    await killed(100, (mark) => Bun.spawn([process.execPath, program, root, mark], { stdout: "pipe" }))
    // Control groups of killed processes are removed by the next one.
    const groups = "/sys/fs/cgroup/pids"
    if (!existsSync(groups)) return
    const left = readdirSync(groups).filter((name) => /^smithers-\d+-/.test(name) && !existsSync(`/proc/${name.split("-")[1]}`))
    expect(left.length).toBeLessThan(3)
  })
})
