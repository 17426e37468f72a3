/**
 * Random plans, in random orders of completion, with processes that die in between: today's code is the code of then, so a replay
 * has nothing to say. `SIMULATION_SEED=7` runs that seed alone.
 */
import { describe, it } from "@effect/vitest"
import type { Definition } from "@smithers/core/Definition"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Replay from "@smithers/core/Replay"
import { ports } from "@smithers/core/Storage"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as EngineSimulator from "./simulation/EngineSimulator.ts"
import { type Call, lower, planner } from "./simulation/Lowering.ts"
import * as Reference from "./simulation/Reference.ts"
import * as RevertSimulator from "./simulation/RevertSimulator.ts"
import * as Scenario from "./simulation/Scenario.ts"
import { search, type Trial } from "./simulation/Search.ts"

const only = process.env.SIMULATION_SEED

const scenarios = function* (count: number, from: number): Iterable<Scenario.Scenario> {
  if (only !== undefined) return yield Scenario.make(Number(only))
  for (let seed = from; seed < from + count; seed++) yield Scenario.make(seed)
}

/** The code of a step: a replay never calls it. */
const body = ({ spec }: Call): never => {
  throw new Error(`the code of ${spec.label} was called`)
}

const definitionOf = (scenario: Scenario.Scenario, isReactive = false): Definition => {
  const { definition } = lower(scenario, body)
  if (Scenario.isDrawn(scenario)) return { ...definition, planner: () => planner(scenario, body) }
  if (!isReactive) return definition
  return {
    ...definition,
    planner: () => ({
      plan: (state, values) => lower(scenario, body).definition.planner().plan(state, values),
      observe: () => true,
    }),
  }
}

const replayed = (
  scenario: Scenario.Scenario,
  order: number,
  options: EngineSimulator.Options & { readonly reverts?: number } = {},
): Effect.Effect<string | undefined> =>
  Effect.gen(function* () {
    const disk = MemoryStorage.make()
    const { reverts } = options
    if (reverts === undefined) yield* EngineSimulator.simulate(scenario, order, { ...options, disk })
    else yield* RevertSimulator.simulate(scenario, { reverts, disk })
    const before = JSON.stringify(yield* disk.inspect("run"))
    const code = definitionOf(options.mended ?? scenario, options.isReactive)
    const report = yield* Effect.provide(Replay.replay(code, "run"), ports(disk))
    if (JSON.stringify(yield* disk.inspect("run")) !== before) return "the run was changed"
    if (report.unreached.length > 0) return `${report.unreached.join(", ")} was not reached`
    const [first] = report.findings
    return first === undefined ? undefined : `${report.findings.length} findings: frame ${first.frame}: ${Replay.describe(first)}`
  }).pipe(
    Effect.orDie,
    Effect.catchAllCause((cause) => Effect.succeed(Cause.pretty(cause).split("\n").slice(0, 4).join("\n"))),
  )

const on =
  (order: number, options?: Parameters<typeof replayed>[2]): Trial =>
  (scenario) =>
    replayed(scenario, order, options)

const patience = 600_000

describe("Replay of unchanged code", () => {
  it.effect(
    "finds nothing in 300 random runs, whatever the order and wherever processes die",
    () => search(scenarios(300, 900_000), on(1)),
    patience,
  )

  it.effect(
    "finds nothing in 100 runs whose plan is made anew whenever anything happened",
    () => search(scenarios(100, 910_000), on(3, { isReactive: true })),
    patience,
  )

  it.effect(
    "finds nothing in 100 runs that are cancelled at some moment",
    () => search(scenarios(100, 920_000), on(5, { isCancelled: true })),
    patience,
  )

  it.effect(
    "finds nothing in 60 runs that were reverted at any moments, some of it undone",
    () => search([...scenarios(60, 970_000)].map(Scenario.undrawn), on(1, { reverts: 3 })),
    patience,
  )

  it.effect(
    "finds nothing in 60 failed runs that were resumed, or of which some node was run again",
    () =>
      Effect.gen(function* () {
        const failing = function* (from: number): Iterable<Scenario.Scenario> {
          if (only !== undefined) return yield Scenario.strict(Scenario.make(Number(only)))
          for (let seed = from, found = 0; found < 60; seed++) {
            const scenario = Scenario.strict(Scenario.make(seed))
            if (Reference.expect(scenario).failures.size === 0) continue
            found++
            yield scenario
          }
        }
        // With the code as it was, most fail again.
        for (const isRetried of [false, true])
          yield* search(failing(930_000), (scenario) => replayed(scenario, 2, { mended: scenario, isRetried }))
      }),
    patience,
  )
})
