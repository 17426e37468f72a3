import { describe, expect, it } from "@effect/vitest"
import * as Smithers from "@smithers/core/Smithers"
import { simulate } from "@smithers/testing/promised"
import * as Simulation from "@smithers/testing/Simulation"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const Input = Schema.Struct({ n: Schema.Number })
const declare = (name = "w") => Smithers.createWorkflow({ name, input: Input })
const input = { n: 1 }

const parallel = declare().build(($) => {
  const step = (id: string, options: { readonly timeout?: "1 minute" } = {}) =>
    $.step(id, { output: Schema.String, ...options, run: () => id })
  const ask = $.approval("ask", { request: () => ({ title: "?" }), timeout: "1 hour" })
  return $.sequence($.parallel(step("a"), step("b", { timeout: "1 minute" }), step("c"), ask), step("end"))
})

describe("simulate", () => {
  it.effect("runs in many orders, with failures that are retried, and ends the same", () =>
    Effect.gen(function* () {
      const report = yield* Simulation.simulate(parallel, { input })
      expect(report).toMatchObject({ runs: 100, orders: 6 })
      expect(report.failures).toBeGreaterThan(20)
    }),
  )

  it.effect("names the seed in which the outcome depends on the order, and that seed gives the same again", () =>
    Effect.gen(function* () {
      let first = ""
      const racy = declare().build(($) => {
        const step = (id: string) =>
          $.step(id, {
            output: Schema.String,
            run: () => {
              first ||= id
              return id
            },
          })
        return $.sequence($.parallel(step("a"), step("b")), $.step("end", { output: Schema.String, run: () => first }))
      })
      const options = { input, before: () => (first = "") }
      const error = yield* Effect.flip(Simulation.simulate(racy, options))
      if (error._tag !== "SimulationFailed") return yield* error
      expect(error.problem).toBe('"end" is finished with "b", and without failures it is finished with "a"')
      expect(error.message).toContain(`Reproduce it with simulate(workflow, { …, seeds: [${error.seed}] }).\nstarted w\n`)
      const again = yield* Effect.flip(Simulation.simulate(racy, { ...options, seeds: [error.seed] }))
      expect(again.message).toBe(error.message)
    }),
  )

  it.effect("calls code that fails after it has done its work again, which a check can notice", () =>
    Effect.gen(function* () {
      let charges = 0
      const charge = declare().build(($) => $.step("charge", { output: Schema.Number, run: () => (++charges > 0 && 1) || 0 }))
      const error = yield* Effect.flip(
        Simulation.simulate(charge, {
          input,
          before: () => (charges = 0),
          check: ({ status }) => {
            if (status !== "finished" || charges !== 1) throw new Error(`charged ${charges} times`)
          },
        }),
      )
      expect(error).toMatchObject({ _tag: "SimulationFailed", problem: "charged 2 times" })
    }),
  )

  it.effect("lets nothing fail that has no attempt to spare, and counts the failures that a step has anyway", () =>
    Effect.gen(function* () {
      const frail = declare().build(($) => {
        const once = $.step("once", { output: Schema.String, retry: false, run: () => "once" })
        const flaky = $.step("flaky", {
          output: Schema.String,
          retry: { maxAttempts: 3 },
          run: ({ attempt }) => (attempt < 3 ? Effect.fail(new Error("not yet")) : Effect.succeed("at last")),
        })
        return $.parallel(once, flaky)
      })
      expect(yield* Simulation.simulate(frail, { input, failures: 1, seeds: 30 })).toMatchObject({ failures: 0 })
    }),
  )

  it.effect("refuses seeds and likelihoods that are none", () =>
    Effect.gen(function* () {
      const refused = (options: object) => Effect.flip(Simulation.simulate(parallel, { input, ...options }))
      expect(yield* refused({ seeds: 0 })).toMatchObject({ _tag: "InvalidSetting", setting: "seeds" })
      expect(yield* refused({ seeds: [1.5] })).toMatchObject({ _tag: "InvalidSetting", setting: "seeds" })
      expect(yield* refused({ failures: 2 })).toMatchObject({ _tag: "InvalidSetting", setting: "failures" })
    }),
  )

  it("works with promises", async () => {
    expect(await simulate(parallel, { input, seeds: [3, 4] })).toMatchObject({ runs: 2 })
    const broken = simulate(parallel, { input, seeds: 3, check: () => Promise.reject(new Error("never right")) })
    await expect(broken).rejects.toMatchObject({ _tag: "SimulationFailed", seed: 1, problem: "never right" })
  })
})
