/** Processes below a command, as the two ways of listing them see them. */

import { expect, it } from "vitest"
import { listed, treeOf } from "../../packages/sandbox/src/internal/processes.ts"

it.skipIf(Bun.which("ps") === null)(
  "ps (of the Debian package procps) lists the same tree as /proc, with sessions of their own in it",
  async () => {
    const child = Bun.spawn(["bash", "-c", "setsid sleep 100 & sleep 100 & wait"], { stdout: "ignore" })
    try {
      const pids = (tree: ReturnType<typeof treeOf>) => tree.map(({ pid }) => pid).sort()
      for (let waited = 0; waited < 5000 && treeOf(child.pid).length < 3; waited += 20) await Bun.sleep(20)
      const tree = treeOf(child.pid, listed())
      expect(pids(tree)).toEqual(pids(treeOf(child.pid)))
      expect(tree.length).toBe(3)
      for (const { start, bytes } of tree) {
        expect(Math.abs(Date.now() - start)).toBeLessThan(3_600_000)
        expect(bytes).toBeGreaterThan(0)
      }
    } finally {
      for (const { pid } of [...treeOf(child.pid)].reverse()) process.kill(pid, "SIGKILL")
    }
  },
)
