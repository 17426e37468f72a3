/**
 * Steps that kill the process that they run in, beside others.
 */
import * as path from "node:path"
import { expect, it } from "@effect/vitest"
import { Storage } from "@smithers/core/Storage"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import { Effect } from "effect"
import { newFile } from "./Fixture.ts"

it.scopedLive(
  "a step that kills its process ends as a crash loop, and takes nothing with it that runs beside it, in its own run or in others",
  () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const script = path.join(import.meta.dirname, "fixtures", "supervised.ts")
      let processes = 0
      for (let code: number | null = null; code !== 0 && processes < 30; processes++) {
        const child = Bun.spawn([process.execPath, script, filename], { stdout: "inherit", stderr: "inherit" })
        yield* Effect.addFinalizer(() => Effect.promise(() => Promise.resolve(child.kill("SIGKILL")).then(() => child.exited)))
        code = yield* Effect.promise(() => child.exited)
        expect([0, null, 137]).toContain(code)
      }
      const ended = yield* Effect.gen(function* () {
        const storage = yield* Storage
        const runs = yield* storage.runs({ limit: 100 })
        return yield* Effect.forEach(runs, ({ runId }) => storage.inspect(runId))
      }).pipe(Effect.provide(SqliteStorage.layer({ filename })))
      const byId = new Map(ended.map((details) => [details.run.runId, details]))
      for (let index = 0; index < 8; index++) expect(byId.get(`innocent-${index}`)?.run.status).toBe("finished")
      expect(byId.get("killer")).toMatchObject({ run: { status: "failed" }, failure: { _tag: "CrashLoop", nodeId: "kills" } })
      expect(byId.get("mixed")).toMatchObject({
        run: { status: "finished" },
        nodes: [
          { nodeId: "a", status: "finished" },
          { nodeId: "b", status: "finished" },
          { nodeId: "kills", status: "failed", error: { kind: "crashLoop" } },
        ],
      })
      expect(byId.get("breaker")).toMatchObject({ run: { status: "failed" }, failure: { _tag: "CrashLoop" }, nodes: [] })
      // Each killer dies some times with all and then alone; the last process ends in order.
      expect(processes).toBeLessThanOrEqual(18)
    }),
  120_000,
)
