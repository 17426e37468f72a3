/**
 * The simulation of the engine, with crashes and shutdowns, on a database.
 */
import { describe, expect, it } from "@effect/vitest"
import type { Storage } from "@smithers/core/Storage"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Effect from "effect/Effect"
import * as EngineSimulator from "../core/simulation/EngineSimulator.ts"
import * as Families from "../core/simulation/Families.ts"
import * as FamilySimulator from "../core/simulation/FamilySimulator.ts"
import * as Reference from "../core/simulation/Reference.ts"
import * as RevertSimulator from "../core/simulation/RevertSimulator.ts"
import * as Scenario from "../core/simulation/Scenario.ts"

/** Ends of attempts: those that a store tells of, and those that are in its log. Most of the former are told by the rows of their nodes. */
const attemptsOf = (disk: Storage["Type"]) =>
  Effect.gen(function* () {
    const [told, logged]: [Array<string>, Array<string>] = [[], []]
    for (const { runId } of yield* disk.runs({})) {
      for (const { nodeId, iteration, attempt, status, finishedAt } of (yield* disk.inspect(runId)).attempts)
        if (status !== "running")
          told.push(`${runId} ${nodeId}/${iteration} ${attempt} Attempt${status} ${finishedAt}`.toLowerCase())
      for (const { at, event } of (yield* disk.history(runId)).entries) {
        if (event._tag !== "AttemptSucceeded" && event._tag !== "AttemptFailed" && event._tag !== "AttemptInterrupted") continue
        logged.push(`${runId} ${event.nodeId}/${event.iteration} ${event.attempt} ${event._tag} ${at}`.toLowerCase())
      }
    }
    return { told: told.sort(), logged: logged.sort() }
  })

/** Simulates scenarios, each on a database of its own. */
const simulate = (seeds: number, options: (scenario: Scenario.Scenario) => EngineSimulator.Options, make = Scenario.make) =>
  Effect.forEach(
    Array.from({ length: seeds }, (_, seed) => make(seed)),
    (scenario) =>
      Effect.gen(function* () {
        const disk = yield* SqliteStorage.make({ filename: ":memory:" })
        const simulated = yield* EngineSimulator.simulate(scenario, 1, { ...options(scenario), disk })
        const { told, logged } = yield* attemptsOf(disk)
        expect(told).toEqual(logged)
        return { scenario, ...simulated }
      }).pipe(Effect.scoped),
  )

/** Simulates families of runs, whose parent is cancelled or paused in the middle. */
const simulateFamily = (seed: number) =>
  Effect.gen(function* () {
    const family = Families.make(seed)
    const disk = yield* SqliteStorage.make({ filename: ":memory:" })
    const told = [{}, { cancelAfter: 3 + (seed % 5) }, { pause: { after: 2 + (seed % 5), turns: 3 } }][seed % 3]
    const faults = [
      { edge: "after", commit: 2 + (seed % 4) },
      { edge: "before", commit: 4 },
    ] as const
    return yield* FamilySimulator.simulate(family, 1, { faults, ...told, disk })
  }).pipe(Effect.scoped)

describe("a database under the simulation", () => {
  it.effect(
    "ends runs as the rules say, and gives each earlier state as it was",
    () =>
      Effect.map(
        simulate(50, () => ({})),
        (runs) => {
          for (const { scenario, state, ending } of runs) expect(Reference.differences(scenario, state, ending)).toEqual([])
        },
      ),
    120_000,
  )

  it.effect(
    "gives each earlier state of each run of a family",
    () =>
      Effect.gen(function* () {
        const ended = yield* Effect.forEach(
          Array.from({ length: 30 }, (_, seed) => seed),
          simulateFamily,
        )
        expect(ended.filter(({ outcomes }) => outcomes.size > 2).length).toBeGreaterThan(10)
      }),
    120_000,
  )

  it.effect(
    "gives each earlier state also where nodes were reset, and their outputs replaced",
    () =>
      Effect.map(
        simulate(
          90,
          (scenario) => ({ mended: Scenario.mended(scenario), isRetried: true }),
          (seed) => Scenario.strict(Scenario.make(seed)),
        ),
        (runs) => {
          const mended = runs.filter(({ ending }) => ending.failures === undefined)
          expect(mended.length).toBeGreaterThan(10)
          for (const { scenario, state, ending } of mended)
            expect(Reference.differences(Scenario.mended(scenario), state, ending)).toEqual([])
        },
      ),
    120_000,
  )

  it.effect(
    "gives each earlier state of runs that are reverted and go on",
    () =>
      Effect.gen(function* () {
        const tally = RevertSimulator.newTally()
        for (let seed = 0; seed < 30; seed++) {
          const disk = yield* SqliteStorage.make({ filename: ":memory:" })
          const scenario = Scenario.undrawn(Scenario.make(seed))
          expect(yield* RevertSimulator.simulate(scenario, { reverts: 3, tally, disk })).toBeUndefined()
          const { told, logged } = yield* attemptsOf(disk)
          expect(told).toEqual(logged)
        }
        expect(tally.ofFinished).toBeGreaterThan(10)
      }).pipe(Effect.scoped),
    120_000,
  )
})
