/**
 * Random plans, in random orders of completion, with processes that die in between: what becomes of a run must not depend on
 * any of it. Everything follows from a seed; `SIMULATION_SEED=7` runs that one alone.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Behaviour from "./simulation/Behaviour.ts"
import * as CoreSimulator from "./simulation/CoreSimulator.ts"
import * as EngineSimulator from "./simulation/EngineSimulator.ts"
import { lower } from "./simulation/Lowering.ts"
import * as Reference from "./simulation/Reference.ts"
import * as Scenario from "./simulation/Scenario.ts"
import { search, type Trial } from "./simulation/Search.ts"

const only = process.env.SIMULATION_SEED

const scenarios = function* (count: number, from = 0): Iterable<Scenario.Scenario> {
  if (only !== undefined) return yield Scenario.make(Number(only))
  for (let seed = from; seed < from + count; seed++) yield Scenario.make(seed)
}

/** Those whose run fails, whatever the order. */
const failing = function* (count: number, from: number): Iterable<Scenario.Scenario> {
  if (only !== undefined) return yield Scenario.make(Number(only))
  for (let seed = from, found = 0; found < count; seed++) {
    const scenario = Scenario.make(seed)
    if (Reference.expect(scenario).failures.size === 0) continue
    found++
    yield scenario
  }
}

/** Compares two runs of one scenario with what must have become of it, and with each other. */
const compare = (
  scenario: Scenario.Scenario,
  undisturbed: CoreSimulator.Simulated,
  disturbed: CoreSimulator.Simulated,
): string | undefined => {
  const expected = Reference.expect(scenario)
  for (const { state, ending } of [undisturbed, disturbed]) {
    const [difference] = Reference.differences(expected, state, ending)
    if (difference !== undefined) return difference
  }
  if (undisturbed.ending.status === "failed") return undefined
  const [left, right] = [undisturbed, disturbed].map((run) => Behaviour.text(CoreSimulator.essence(run)))
  return left === right ? undefined : `the disturbed run ended as ${right} instead of ${left}`
}

const caught = (trial: Effect.Effect<string | undefined>): Effect.Effect<string | undefined> =>
  Effect.catchAllCause(trial, (cause) => Effect.succeed(Cause.pretty(cause).split("\n")[0]))

const onCore: Trial = (drawn) =>
  caught(
    Effect.sync(() => {
      const scenario = Scenario.undrawn(drawn)
      const { plan } = lower(scenario, () => Effect.never)
      const undisturbed = CoreSimulator.simulate(plan, { ...scenario, faults: [] }, 0)
      return compare(scenario, undisturbed, CoreSimulator.simulate(plan, scenario, 1))
    }),
  )

const onEngine: Trial = (scenario) =>
  caught(
    Effect.gen(function* () {
      const undisturbed = yield* EngineSimulator.simulate({ ...scenario, faults: [] }, 0)
      return compare(scenario, undisturbed, yield* EngineSimulator.simulate(scenario, 1))
    }),
  )

const onEngineReactive: Trial = (scenario) =>
  caught(
    Effect.gen(function* () {
      const constant = yield* EngineSimulator.simulate({ ...scenario, faults: [] }, 0)
      return compare(scenario, constant, yield* EngineSimulator.simulate(scenario, 3, { isReactive: true }))
    }),
  )

/** Counts how many runs failed at first: of the others nothing is mended, and they prove nothing. */
const onEngineMended =
  (tally: { mended: number }, order: number, options: EngineSimulator.Options = {}): Trial =>
  (scenario) =>
    caught(
      Effect.gen(function* () {
        const mended = Scenario.mended(scenario)
        const { state, ending } = yield* EngineSimulator.simulate(scenario, order, { mended, ...options })
        if (ending.failures !== undefined) return undefined
        tally.mended++
        return Reference.differences(Reference.expect(mended), state, ending)[0]
      }),
    )

const onEngineCancelled: Trial = (scenario) =>
  caught(
    Effect.gen(function* () {
      const { state, ending } = yield* EngineSimulator.simulate(scenario, 5, { isCancelled: true })
      return Reference.differences(Reference.expect(scenario), state, ending)[0]
    }),
  )

/** The scenario with a fault at each commit of its undisturbed run. */
const everywhere = function* (scenario: Scenario.Scenario): Iterable<Scenario.Scenario> {
  const { plan } = lower(Scenario.undrawn(scenario), () => Effect.never)
  const { commits } = CoreSimulator.simulate(plan, { ...scenario, faults: [] }, 1)
  for (const edge of ["before", "after", "shutdown"] as const) {
    for (let commit = 1; commit <= commits; commit++) yield { ...scenario, faults: [{ edge, commit }] }
  }
}

/** Milliseconds for one test: each takes a tenth of this, but a busy machine may not, and cutting a scenario down takes long. */
const patience = 600_000

describe("Simulation", () => {
  it.effect(
    "the pure core ends 2,000 random plans the same way, whatever the order and wherever processes die",
    () => search(scenarios(2000), onCore),
    patience,
  )

  it.effect(
    "the pure core ends a plan the same way when its process dies at any one of its commits",
    () =>
      Effect.gen(function* () {
        for (const scenario of scenarios(40, 100_000)) yield* search(everywhere(scenario), onCore)
      }),
    patience,
  )

  it.effect(
    "the engine ends 400 random plans the same way, whatever the order and wherever processes die or stall",
    () => search(scenarios(400, 200_000), onEngine),
    patience,
  )

  it.effect(
    "the engine ends a plan the same way when its process dies at any one of its commits",
    () =>
      Effect.gen(function* () {
        for (const scenario of scenarios(10, 300_000)) yield* search(everywhere(scenario), onEngine)
      }),
    patience,
  )

  it.effect(
    "a failed run that is mended and resumed keeps what was finished and ends as if it had never failed",
    () =>
      Effect.gen(function* () {
        const tally = { mended: 0 }
        yield* search(failing(200, 400_000), onEngineMended(tally, 2))
        if (only === undefined) expect(tally.mended).toBe(200)
      }),
    patience,
  )

  it.effect(
    "a plan that is made anew whenever anything happened gives the same run as one that is made once",
    () => search(scenarios(200, 600_000), onEngineReactive),
    patience,
  )

  it.effect(
    "a run that is cancelled at any moment undoes and leaves in order what it had begun, and begins nothing else",
    () => search(scenarios(300, 700_000), onEngineCancelled),
    patience,
  )

  it.effect(
    "a failed run of which some node is run again ends, once it is mended and resumed, as if it had never failed",
    () =>
      Effect.gen(function* () {
        const tally = { mended: 0 }
        yield* search(failing(100, 800_000), onEngineMended(tally, 6, { isRetried: true }))
        if (only === undefined) expect(tally.mended).toBe(100)
      }),
    patience,
  )

  it.effect("a seed always gives the same run", () =>
    Effect.gen(function* () {
      for (const scenario of scenarios(20, 500_000)) {
        const [one, other] = [yield* EngineSimulator.simulate(scenario, 1), yield* EngineSimulator.simulate(scenario, 1)]
        // A stack tells where the compiler stood, too.
        const text = ({ ledger }: typeof one) =>
          JSON.stringify(ledger.entries, (key, value) => (key === "stack" ? undefined : value))
        expect(text(other)).toBe(text(one))
      }
    }),
  )
})
