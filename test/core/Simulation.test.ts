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
import * as ForkSimulator from "./simulation/ForkSimulator.ts"
import { constant } from "./simulation/Lowering.ts"
import * as Reference from "./simulation/Reference.ts"
import * as RevertSimulator from "./simulation/RevertSimulator.ts"
import * as Scenario from "./simulation/Scenario.ts"
import { search, type Trial } from "./simulation/Search.ts"

const only = process.env.SIMULATION_SEED

const scenarios = function* (count: number, from = 0): Iterable<Scenario.Scenario> {
  if (only !== undefined) return yield Scenario.make(Number(only))
  for (let seed = from; seed < from + count; seed++) yield Scenario.make(seed)
}

const undrawn = function* (count: number, from: number): Iterable<Scenario.Scenario> {
  for (const scenario of scenarios(count, from)) yield Scenario.undrawn(scenario)
}

/** Those whose run fails, or may, until as many as are wanted were mended. */
const failing = function* (tally: Tally, from: number): Iterable<Scenario.Scenario> {
  if (only !== undefined) return yield mendable(Number(only))
  for (let seed = from; tally.mended < tally.wanted && seed < from + 50 * tally.wanted; seed++) {
    const scenario = mendable(seed)
    if (Reference.expect(scenario).failures.size > 0) yield scenario
  }
}

const mendable = (seed: number): Scenario.Scenario => Scenario.strict(Scenario.make(seed))

interface Tally {
  readonly wanted: number
  mended: number
}

/** Small ones of which something can be left early: a process dies at each of their commits. */
const sweeps = function* (count: number, from: number): Iterable<Scenario.Scenario> {
  if (only !== undefined) return yield Scenario.make(Number(only))
  for (let seed = from, found = 0; found < count; seed++) {
    const scenario = Scenario.make(seed)
    const regions = [...Scenario.census([scenario])].filter(([kind]) => kinds.includes(kind)).length
    if (regions < 3 || Scenario.size(scenario) > 25) continue
    found++
    yield scenario
  }
}

/** What scenarios must have among them, or nothing is known of it. */
const kinds = [
  "scope",
  "scope with a condition",
  "timeout",
  "left from outside",
  "race",
  "race of several",
  "race that fails",
  "race that ignores",
  "race that keeps the rest",
  "list",
  "list with a limit",
  "list until enough",
  "settled list",
  "list that grows",
  "list that keeps the rest",
  "filter",
  "transient signal",
]

/** Compares two runs of one scenario with what must have become of it, and with each other. */
const compare = (
  scenario: Scenario.Scenario,
  undisturbed: CoreSimulator.Simulated,
  disturbed: CoreSimulator.Simulated,
): string | undefined => {
  for (const { state, ending } of [undisturbed, disturbed]) {
    const [difference] = Reference.differences(scenario, state, ending)
    if (difference !== undefined) return difference
  }
  // What is left, and what wins, depends on when things come.
  if (Scenario.isOpenEnded(scenario)) return undefined
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
      const plan = constant(scenario)
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
  (tally: Tally, order: number, options: EngineSimulator.Options = {}): Trial =>
  (scenario) =>
    caught(
      Effect.gen(function* () {
        const mended = Scenario.mended(scenario)
        const { state, ending } = yield* EngineSimulator.simulate(scenario, order, { mended, ...options })
        if (ending.failures !== undefined) return undefined
        tally.mended++
        return Reference.differences(mended, state, ending)[0]
      }),
    )

const onEngineCancelled: Trial = (scenario) =>
  caught(
    Effect.gen(function* () {
      const { state, ending } = yield* EngineSimulator.simulate(scenario, 5, { isCancelled: true })
      return Reference.differences(scenario, state, ending)[0]
    }),
  )

/** The scenario with a fault at each commit of its undisturbed run. */
const everywhere = function* (scenario: Scenario.Scenario): Iterable<Scenario.Scenario> {
  const plan = constant(Scenario.undrawn(scenario))
  const { commits } = CoreSimulator.simulate(plan, { ...scenario, faults: [] }, 1)
  for (const edge of ["before", "after", "shutdown"] as const) {
    for (let commit = 1; commit <= commits; commit++) yield { ...scenario, faults: [{ edge, commit }] }
  }
}

/** Milliseconds for one test: each takes a tenth of this, but a busy machine may not, and cutting a scenario down takes long. */
const patience = 600_000

describe("Simulation", () => {
  it("draws everything by which a part is left early, often in the samples and in the sweeps at least once", () => {
    const rarest = (sample: Iterable<Scenario.Scenario>): ReadonlyArray<readonly [kind: string, count: number]> => {
      const counts = Scenario.census(sample)
      return kinds.map((kind) => [kind, counts.get(kind) ?? 0] as const)
    }
    if (only !== undefined) return
    for (const sample of [scenarios(200), scenarios(200, 200_000)])
      expect(rarest(sample).filter(([, count]) => count < 10)).toEqual([])
    for (const sample of [sweeps(40, 100_000), sweeps(15, 350_000)])
      expect(rarest(sample).filter(([, count]) => count === 0)).toEqual([])
  })

  it.effect(
    "the pure core ends 2,000 random plans the same way, whatever the order and wherever processes die",
    () => search(scenarios(2000), onCore),
    patience,
  )

  it.effect(
    "the pure core ends a plan the same way when its process dies at any one of its commits",
    () =>
      Effect.gen(function* () {
        for (const scenario of sweeps(40, 100_000)) yield* search(everywhere(scenario), onCore)
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
        for (const scenario of sweeps(15, 350_000)) yield* search(everywhere(scenario), onEngine)
      }),
    patience,
  )

  it.effect(
    "a failed run that is mended and resumed keeps what was finished and ends as if it had never failed",
    () =>
      Effect.gen(function* () {
        const tally = { wanted: 200, mended: 0 }
        yield* search(failing(tally, 400_000), onEngineMended(tally, 2))
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
        const tally = { wanted: 100, mended: 0 }
        yield* search(failing(tally, 800_000), onEngineMended(tally, 6, { isRetried: true }))
        if (only === undefined) expect(tally.mended).toBe(100)
      }),
    patience,
  )

  it.effect(
    "a fork of a run, as of any of its frames, ends as the run would have, and changes nothing of the run",
    () => search(undrawn(150, 900_000), (scenario) => caught(ForkSimulator.simulate(scenario, { forks: 3 }))),
    patience,
  )

  it.effect(
    "a run that is reverted at any moments, and goes on, ends as an undisturbed one would; each earlier frame stays what it was, and an undo brings back what was taken",
    () =>
      Effect.gen(function* () {
        const tally = RevertSimulator.newTally()
        yield* search(undrawn(120, 950_000), (scenario) => caught(RevertSimulator.simulate(scenario, { reverts: 3, tally })))
        if (only !== undefined) return
        const { reverted, ofFinished, told, undone } = tally
        for (const count of [reverted, ofFinished, told, undone]) expect(count).toBeGreaterThan(30)
      }),
    patience,
  )

  it.effect("seeds by which faults were found end as they must", () =>
    Effect.gen(function* () {
      const known: ReadonlyArray<readonly [scenario: Scenario.Scenario, order: number, options: EngineSimulator.Options]> = [
        // A signal that came in one frame with the end of another branch, while the run was paused.
        [Scenario.undrawn(Scenario.make(900_085)), 7, {}],
        // A settled list that was left while the finally of an item was at work.
        [mendable(400_203), 2, { mended: Scenario.mended(mendable(400_203)), draws: 0 }],
        // A branch that a scope had not come to when it was left.
        [Scenario.make(700_176), 5, { isCancelled: true, draws: 0 }],
      ]
      for (const [scenario, order, options] of known) {
        const { state, ending } = yield* EngineSimulator.simulate(scenario, order, options)
        const ended = ending.failures === undefined ? Scenario.mended(scenario) : scenario
        expect(Reference.differences(ended, state, ending)).toEqual([])
      }
    }),
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
