/**
 * Decisions that come just when the time for them is over, from another process than the one that works on the run.
 */
import * as path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as Millis from "@smithers/core/Millis"
import { Storage } from "@smithers/core/Storage"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import { Effect, Either } from "effect"
import { newFile } from "./Fixture.ts"

const count = 60

it.scopedLive(
  "whoever is told that a decision is kept finds it counting, and whoever came too late is told so",
  () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const script = path.join(import.meta.dirname, "fixtures", "deadlines.ts")
      const child = Bun.spawn([process.execPath, script, filename, String(count)], { stdout: "pipe", stderr: "inherit" })
      yield* Effect.addFinalizer(() => Effect.promise(() => Promise.resolve(child.kill()).then(() => child.exited)))
      const decide = (index: number) =>
        Effect.gen(function* () {
          const storage = yield* Storage
          const runId = `r${index}`
          const waits = Effect.orElseSucceed(storage.waits({ runId }), () => [])
          let deadline: number | null | undefined
          while (deadline == null) {
            yield* Effect.sleep(10)
            deadline = (yield* waits)[0]?.deadline
          }
          // From 20 ms before the time is over to some after it.
          yield* Effect.sleep(Math.max(0, deadline - 20 + (index % 30) - (yield* Millis.now)))
          const told = yield* Effect.either(Commands.approve(runId, "ok", { by: "ann" }))
          return { runId, told: Either.isRight(told) ? "kept" : told.left._tag === "RunEnded" ? "WaitExpired" : told.left._tag }
        })
      const told = yield* Effect.forEach(
        Array.from({ length: count }, (_, index) => index),
        decide,
        { concurrency: "unbounded" },
      ).pipe(Effect.provide(SqliteStorage.layer({ filename })))
      const said = (yield* Effect.promise(() => new Response(child.stdout).text())).trim().split("\n")
      const ended = new Map(
        said.map((line) => JSON.parse(line) as { runId: string; approved: boolean }).map((end) => [end.runId, end]),
      )
      expect(ended.size).toBe(count)
      expect(new Set(told.map(({ told }) => told))).toEqual(new Set(["kept", "WaitExpired"]))
      for (const { runId, told: answer } of told)
        expect([runId, answer, ended.get(runId)?.approved]).toEqual([runId, answer, answer === "kept"])
    }),
  60_000,
)
