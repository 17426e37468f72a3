/** A run that goes on as a new one a thousand times costs as much for each as for the first. */

import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const heap = () => {
  Bun.gc(true)
  return process.memoryUsage().heapUsed
}

it.live("memory stays flat over a thousand generations, and the file grows by the same for each", () =>
  Effect.gen(function* () {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "generations-"))
    const filename = path.join(folder, "smithers.db")
    const sizes = new Map<number, { readonly heap: number; readonly file: number }>()
    const sizeOf = () => fs.statSync(filename).size + (fs.existsSync(`${filename}-wal`) ? fs.statSync(`${filename}-wal`).size : 0)
    const flow = Smithers.createWorkflow({ name: "long", input: Schema.Struct({ n: Schema.Number }) }).build(($) => {
      const work = $.step("work", {
        output: Schema.Struct({ text: Schema.String }),
        run: ({ input }) => {
          if (input.n % 250 === 0) sizes.set(input.n, { heap: heap(), file: sizeOf() })
          return { text: "x".repeat(10_000) }
        },
      })
      const again = $.continueAsNew("again", { input: ({ input }) => ({ n: input.n + 1 }) })
      const end = $.step("end", { output: Schema.Number, run: ({ input }) => input.n })
      return $.sequence(work, $.branch({ when: ({ input }) => input.n < 1000, then: again, else: end }))
    })
    const on = Smithers.onStorage(SqliteStorage.layer({ filename }))
    yield* Effect.gen(function* () {
      expect(yield* flow.execute({ n: 0 }, { runId: "r" })).toBe(1000)
      expect(yield* (yield* Storage).newest("r")).toBe("r~g1000")
    }).pipe(Effect.provide(on))
    const at = (n: number) => sizes.get(n) ?? { heap: 0, file: 0 }
    const [first, second] = [at(500).file - at(250).file, at(1000).file - at(750).file]
    expect(first).toBeGreaterThan(2_000_000)
    expect(second).toBeLessThan(first * 1.5)
    // Outputs of 250 generations alone would be 2.5 MB.
    expect(at(1000).heap - at(500).heap).toBeLessThan(1_500_000)
    fs.rmSync(folder, { recursive: true })
  }),
)
