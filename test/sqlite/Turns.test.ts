/**
 * Steps without I/O give the process its turns: what comes from outside is heard between two of them.
 */
import * as path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Smithers } from "@smithers/core"
import * as Commands from "@smithers/core/Commands"
import * as Millis from "@smithers/core/Millis"
import { Storage } from "@smithers/core/Storage"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import { type Duration, Effect, Exit, Fiber, Layer, Schema } from "effect"
import { newFile } from "./Fixture.ts"

/** Keeps the process busy, as synchronous code does. */
const spin = (ms: number): void => {
  for (const until = performance.now() + ms; performance.now() < until; );
}

const kinds = {
  "plain functions": () => spin(2),
  "async functions with microtasks only": async () => {
    spin(1)
    await Promise.resolve()
    spin(1)
  },
  "Effects that do not wait": () => Effect.sync(() => spin(2)),
} as const

const endless = (run: () => unknown) =>
  Smithers.createWorkflow({ name: "endless", input: Schema.Struct({}) }).build(($) =>
    $.loop({
      id: "loop",
      maxIterations: 1_000_000,
      until: () => false,
      body: $.step("spins", { output: Schema.Void, run: run as () => void }),
    }),
  )

const open = (filename: string, lease: Duration.DurationInput = "30 seconds") =>
  Smithers.onStorage(SqliteStorage.layer({ filename }), { lease })

describe("attempts side by side", () => {
  it.scopedLive("that begin and end together are committed together, however many turns the process has had", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const workflow = Smithers.createWorkflow({ name: "wide", input: Schema.Struct({}), maxConcurrency: 8 }).build(($) =>
        $.parallel(...Array.from({ length: 800 }, (_, index) => $.step(`s${index}`, { output: Schema.Number, run: () => index }))),
      )
      const frames = yield* Effect.gen(function* () {
        yield* workflow.execute({}, { runId: "r" })
        const events = yield* (yield* Storage).events("r", { limit: 5000 })
        return new Set(events.map(({ frame }) => frame)).size
      }).pipe(Effect.provide(open(filename)))
      // A frame that begins the first, and one for each eight that end; a turn in between may tear some apart, and not the rest.
      expect(frames).toBeGreaterThanOrEqual(101)
      expect(frames).toBeLessThan(120)
    }),
  )
})

describe("an endless loop of steps without I/O", () => {
  for (const [kind, run] of Object.entries(kinds)) {
    it.scopedLive(`lets timers go on, and is cancelled and paused by commands: ${kind}`, () =>
      Effect.gen(function* () {
        const filename = yield* newFile
        let ticks = 0
        const timer = setInterval(() => ticks++, 20)
        const workflow = endless(run)
        yield* Effect.gen(function* () {
          const running = yield* Effect.fork(workflow.run({}, { runId: "r" }))
          yield* Effect.sleep("300 millis")
          // A loop without turns would let none through; a loaded machine lets few.
          expect(ticks).toBeGreaterThan(1)
          yield* Commands.pause("r")
          expect(yield* Fiber.join(running)).toMatchObject({ status: "paused" })
          yield* Commands.unpause("r")
          const again = yield* Effect.fork(workflow.run({}, { runId: "r" }))
          yield* Effect.sleep("100 millis")
          yield* Commands.cancel("r")
          expect(yield* Fiber.join(again)).toMatchObject({ status: "cancelled" })
        }).pipe(Effect.provide(open(filename)))
        clearInterval(timer)
      }),
    )
  }

  it.scopedLive("is stopped by interrupting its caller", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const running = yield* Effect.fork(
        endless(kinds["plain functions"])
          .execute({}, { runId: "r" })
          .pipe(Effect.provide(open(filename))),
      )
      yield* Effect.sleep("200 millis")
      expect(Exit.isInterrupted(yield* Fiber.interrupt(running))).toBe(true)
    }),
  )

  it.scopedLive("keeps its lease, so that nobody takes the run from its living owner", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const workflow = endless(() => spin(30))
      yield* Effect.fork(workflow.execute({}, { runId: "r" }).pipe(Effect.provide(open(filename, "2 seconds"))))
      yield* Effect.sleep("200 millis")
      const other = yield* Layer.build(SqliteStorage.layer({ filename }))
      const storage = yield* Effect.provide(Storage, other)
      for (let look = 0; look < 20; look++) {
        yield* Effect.sleep("200 millis")
        const opened = yield* storage.open({
          runId: "r",
          create: undefined,
          reopen: [],
          leaseMs: Millis.make(1000),
          now: Millis.make(Date.now()),
        })
        expect(opened._tag).toBe("Owned")
      }
    }),
  )
})

describe("a process whose run has only steps without I/O", () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it(`ends in order at ${signal}`, async () => {
      const fixture = path.join(import.meta.dirname, "fixtures", "spinning.ts")
      const child = Bun.spawn(["bun", fixture], { stdout: "pipe", stderr: "inherit" })
      const reader = child.stdout.getReader()
      await reader.read()
      child.kill(signal)
      expect(await child.exited).toBe(0)
      const { value } = await reader.read()
      expect(new TextDecoder().decode(value)).toContain("in order")
    })
  }
})
