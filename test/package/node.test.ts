/** The suites of `test/sqlite/node`, run by a Node that has SQLite. */
import { join } from "node:path"
import { expect, it } from "vitest"
import { hasRegistry, node, root, run, titled } from "./Fixture.ts"

it.skipIf(!hasRegistry)(
  titled("the store passes the suite of all stores in Node, through node:sqlite"),
  { timeout: 240_000 },
  async () => {
    const vitest = join(root, "node_modules", "vitest", "vitest.mjs")
    const { code, stdout, stderr } = await run([await node("22.23.3"), vitest, "run", "--project", "node"], root, {
      NO_COLOR: "1",
      FORCE_COLOR: undefined,
    })
    expect(code, stdout + stderr).toBe(0)
    expect(Number(/Tests\s+(\d+) passed \(\1\)/.exec(stdout)?.[1])).toBeGreaterThan(100)
  },
)
