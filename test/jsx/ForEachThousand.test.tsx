/**
 * A list of a thousand items, in a file, whose process stops half way.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { createSmithers, Smithers } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, ForEach, smithers, outputs } = createSmithers({ number: z.number(), sum: z.number() })
const size = 1000

it.live("a thousand items run once each, eight at a time, also where another process goes on after half of them", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "smithers-thousand-"))
  const open = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) =>
    Effect.provide(effect, Smithers.sqlite({ filename: path.join(folder, "runs.db") }))
  const calls = new Map<number, number>()
  const seen = { now: 0, most: 0, isStopped: true }
  return Effect.gen(function* () {
    const half = yield* Deferred.make<void>()
    const work = (item: number) =>
      Effect.gen(function* () {
        if (seen.isStopped && calls.size >= size / 2) {
          yield* Deferred.succeed(half, undefined)
          return yield* Effect.never
        }
        calls.set(item, (calls.get(item) ?? 0) + 1)
        seen.most = Math.max(seen.most, ++seen.now)
        yield* Effect.yieldNow()
        seen.now--
        return item
      })
    const workflow = smithers(() => (
      <Workflow name="thousand">
        <ForEach id="list" items={Array.from({ length: size }, (_, index) => index)} maxConcurrency={8}>
          {(item) => (
            <Task id={`item-${item}`} output={outputs.number}>
              {() => work(item)}
            </Task>
          )}
        </ForEach>
        <Task id="sum" output={outputs.sum}>
          {(ctx) => {
            const given = Array.from({ length: size }, (_, item) => ctx.output(outputs.number, { nodeId: `item-${item}` }))
            return given.reduce((sum, one) => sum + one, 0)
          }}
        </Task>
      </Workflow>
    ))
    const first = yield* Effect.fork(open(workflow.execute({}, { runId: "r" })))
    yield* Deferred.await(half)
    yield* Fiber.interrupt(first)
    Object.assign(seen, { now: 0, isStopped: false })
    expect(yield* open(workflow.execute({}, { runId: "r" }))).toBe((size * (size - 1)) / 2)
    expect([calls.size, new Set(calls.values()).size, seen.most <= 8]).toEqual([size, 1, true])
  }).pipe(Effect.ensuring(Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))))
})
