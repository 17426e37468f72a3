/**
 * Thousands of timers that are due in the same millisecond: in one run, and in as many runs under a supervisor.
 */

import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Supervisor from "@smithers/core/Supervisor"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { quiet } from "./Time.ts"

const Input = Schema.Struct({ n: Schema.Number })

/** A file that goes with the scope. */
const file = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "smithers-test-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
  ),
  (folder) => join(folder, "test.db"),
)

it.effect("10,000 timers of one run that are due at once fire in one frame, each once", () =>
  Effect.gen(function* () {
    const count = 10_000
    const workflow = Smithers.createWorkflow({ name: "alarms", input: Input }).build(($) =>
      $.parallel(...Array.from({ length: count }, (_, index) => $.timer(`alarm-${index}`, { duration: "1 hour" }))),
    )
    const storage = yield* Storage
    const handle = yield* workflow.start({ n: 0 }, { runId: "r" })
    const waiting = yield* handle.waiting
    expect(waiting.status === "waiting-timer" && waiting.waits).toHaveLength(count)
    yield* TestClock.adjust("59 minutes")
    yield* quiet
    expect((yield* storage.events("r", { limit: 1_000_000 })).some(({ event }) => event._tag === "WaitEnded")).toBe(false)
    yield* TestClock.adjust("1 minute")
    expect(yield* handle.await).toHaveLength(count)
    const ended = (yield* storage.events("r", { limit: 1_000_000 })).filter(({ event }) => event._tag === "WaitEnded")
    expect(ended).toHaveLength(count)
    expect(new Set(ended.map(({ event }) => "nodeId" in event && event.nodeId)).size).toBe(count)
    expect(new Set(ended.map(({ at }) => at))).toEqual(new Set([3_600_000]))
    expect(new Set(ended.map(({ frame }) => frame)).size).toBe(1)
  }).pipe(Effect.provide(Smithers.onStorage(MemoryStorage.layer, { lease: "100 days" }))),
)

it.scoped("1,000 runs on a file that are due at once are woken by a supervisor and finish, each once", () =>
  Effect.gen(function* () {
    const count = 1000
    const ran = new Map<number, number>()
    const workflow = Smithers.createWorkflow({ name: "nap", input: Input }).build(($) =>
      $.sequence(
        $.timer("nap", { until: 3_600_000 }),
        $.step("done", {
          output: Schema.Number,
          run: ({ input: { n } }) => {
            ran.set(n, (ran.get(n) ?? 0) + 1)
            return n
          },
        }),
      ),
    )
    const store = Smithers.onStorage(SqliteStorage.layer({ filename: yield* file }), { lease: "100 days" })
    const supervisor = Supervisor.layer({ registry: Supervisor.registry([workflow]), interval: "1 day" })
    yield* Effect.gen(function* () {
      const [storage, { actions }] = [yield* Storage, yield* Supervisor.Supervisor]
      const outcomes = new Map<string, number>()
      const allFinished = Stream.runForEachWhile(actions, (action) =>
        Effect.sync(() => {
          const outcome = action._tag === "Settled" ? action.status : action._tag
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
          return outcomes.get("finished") !== count
        }),
      )
      const finished = yield* Effect.fork(allFinished)
      yield* Effect.yieldNow()
      const naps = Array.from({ length: count }, (_, n) => workflow.run({ n }, { runId: `r${n}` }))
      for (const { status } of yield* Effect.all(naps, { concurrency: 50 })) expect(status).toBe("waiting-timer")
      expect(ran.size).toBe(0)
      expect([...outcomes]).toEqual([])
      yield* TestClock.adjust("1 hour")
      yield* finished
      expect(Object.fromEntries(outcomes)).toEqual({ Resumed: count, finished: count })
      expect(ran.size).toBe(count)
      expect(new Set(ran.values())).toEqual(new Set([1]))
      const runs = yield* storage.runs({ limit: count + 1 })
      expect(runs).toHaveLength(count)
      // Created, and taken up once.
      expect(new Set(runs.map(({ status, epoch }) => `${status} ${epoch}`))).toEqual(new Set(["finished 2"]))
      expect((yield* storage.waits({ all: true, limit: count + 1 })).filter(({ status }) => status === "finished")).toHaveLength(
        count,
      )
    }).pipe(Effect.provide(Layer.provideMerge(supervisor, store)))
  }),
)
