/** Looks for a scenario that goes wrong, cuts it down to what still goes wrong, and says how to see it again. */

import { rest } from "@smithers/testing/VirtualClock"
import * as Effect from "effect/Effect"
import { describe, type Scenario, smaller } from "./Scenario.ts"

/** Says what went wrong with a scenario; `undefined` when nothing did. */
export type Trial = (scenario: Scenario) => Effect.Effect<string | undefined>

/** Tries each scenario; dies with the smallest that goes wrong like the first one. */
export const search = (scenarios: Iterable<Scenario>, trial: Trial): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (const scenario of scenarios) {
      const problem = yield* trial(scenario)
      yield* rest
      if (problem === undefined) continue
      const small = yield* shrink(scenario, trial)
      const found = yield* trial(small)
      return yield* Effect.dieMessage(
        [
          `seed ${scenario.seed}: ${problem}`,
          `Again with SIMULATION_SEED=${scenario.seed}. Cut down, "${found}":`,
          describe(small),
          "The scenario as it was:",
          describe(scenario),
        ].join("\n"),
      )
    }
  })

/** At most this many tries: cutting down must not take longer than reading the whole. */
const patience = 3000

const shrink = (scenario: Scenario, trial: Trial): Effect.Effect<Scenario> =>
  Effect.gen(function* () {
    let found = scenario
    for (let tries = 0, isSmallest = false; !isSmallest; ) {
      isSmallest = true
      for (const candidate of smaller(found)) {
        if (tries++ > patience) return found
        const problem = yield* trial(candidate)
        yield* rest
        if (problem === undefined) continue
        found = candidate
        isSmallest = false
        break
      }
    }
    return found
  })
