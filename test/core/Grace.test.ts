/**
 * An attempt that is interrupted may end in order before anything comes after it.
 */
import { describe, expect, it } from "@effect/vitest"
import { Smithers } from "@smithers/core"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import { Effect, Fiber, Schema } from "effect"

const declare = () => Smithers.createWorkflow({ name: "test", input: Schema.Struct({}) })
const store = (grace?: "1 hour" | "100 millis") => Smithers.onStorage(MemoryStorage.layer, grace === undefined ? {} : { grace })

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** A promise that ends in order: some time after its signal. */
const orderly =
  (log: Array<string>) =>
  async ({ signal, attempt }: { readonly signal: AbortSignal; readonly attempt: number }) => {
    log.push(`begun ${attempt}`)
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()))
    await sleep(30)
    log.push(`over ${attempt}`)
  }

describe("an async step that is interrupted", () => {
  it.live("is over before its next attempt, where it took too long", () => {
    const log: Array<string> = []
    const workflow = declare().build(($) =>
      $.step("slow", {
        output: Schema.Void,
        timeout: "20 millis",
        retry: { maxAttempts: 2, initialDelay: "1 millis" },
        run: orderly(log),
      }),
    )
    return Effect.gen(function* () {
      expect(yield* Effect.flip(workflow.execute({}, { runId: "r" }))).toMatchObject({ _tag: "StepTimedOut" })
      expect(log).toEqual(["begun 1", "over 1", "begun 2", "over 2"])
    }).pipe(Effect.provide(store()))
  })

  it.live("is over before anything is undone", () => {
    const log: Array<string> = []
    const workflow = declare().build(($) =>
      $.saga(
        $.sequence(
          $.step("book", { output: Schema.Void, run: () => {}, compensate: () => void log.push("undone") }),
          $.step("pay", { output: Schema.Void, run: orderly(log) }),
        ),
      ),
    )
    return Effect.gen(function* () {
      const running = yield* Effect.fork(workflow.run({}, { runId: "r" }))
      yield* Effect.repeat(Effect.sleep("5 millis"), { until: () => log.length > 0 })
      yield* workflow.cancel("r")
      expect(yield* Fiber.join(running)).toMatchObject({ status: "cancelled" })
      expect(log).toEqual(["begun 1", "over 1", "undone"])
    }).pipe(Effect.provide(store()))
  })

  it.live("is over before a sibling's failure ends its group, and before the run is let go of", () => {
    const log: Array<string> = []
    const workflow = declare().build(($) =>
      $.parallel(
        $.step("fails", { output: Schema.Void, run: () => Effect.zipRight(Effect.sleep("20 millis"), Effect.fail("no")) }),
        $.step("slow", { output: Schema.Void, run: orderly(log) }),
        { failFast: true },
      ),
    )
    return Effect.gen(function* () {
      yield* Effect.exit(workflow.execute({}, { runId: "r" }))
      log.push("ended")
      const stopped = yield* Effect.fork(
        declare()
          .build(($) => $.step("slow", { output: Schema.Void, run: orderly(log) }))
          .execute({}, { runId: "s" }),
      )
      yield* Effect.repeat(Effect.sleep("5 millis"), { until: () => log.length > 3 })
      yield* Fiber.interrupt(stopped)
      log.push("let go of")
      expect(log).toEqual(["begun 1", "over 1", "ended", "begun 1", "over 1", "let go of"])
    }).pipe(Effect.provide(store()))
  })

  it.live("is given up after the grace, where it does not end", () => {
    const workflow = declare().build(($) =>
      $.step("deaf", { output: Schema.Void, timeout: "20 millis", run: () => new Promise<void>(() => {}) }),
    )
    return Effect.gen(function* () {
      const began = performance.now()
      expect(yield* Effect.flip(workflow.execute({}, { runId: "r" }))).toMatchObject({ _tag: "StepTimedOut" })
      expect(performance.now() - began).toBeGreaterThan(100)
    }).pipe(Effect.provide(store("100 millis")))
  })
})
