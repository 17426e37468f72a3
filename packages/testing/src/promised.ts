/**
 * Crash tests and simulations with promises.
 */
import type { AgentRunner } from "@smithers/core/AgentRunner"
import type { Runs } from "@smithers/core/Workflow"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Crashes from "./Crashes.ts"
import * as Simulation from "./Simulation.ts"

const promised = async <A, E>(effect: Effect.Effect<A, E>): Promise<A> => {
  const exit = await Effect.runPromiseExit(effect)
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}

/**
 * Runs a workflow with a crash at every moment at which its process can die. See {@link Crashes.everywhere}. Rejects with
 * `NotIdempotent`, which names the responsible steps, if a resumed run ends differently or leaves another world.
 *
 * @example
 * ```ts
 * await crashEverywhere(checkout, { cart: "c1" }, {
 *   before: () => bank.reset(),
 *   world: () => bank.charges(),
 * })
 * ```
 */
export const crashEverywhere = <I, A>(
  workflow: Runs<I, A, AgentRunner, unknown>,
  input: I,
  options?: Crashes.CrashOptions,
): Promise<Crashes.CrashReport> => promised(Crashes.everywhere<I, AgentRunner>(workflow, input, options))

/**
 * Runs a workflow once per seed, with random orders of completion, failures and timeouts. See {@link Simulation.simulate}. Rejects
 * with `SimulationFailed`, which names the first seed that went wrong.
 *
 * @example
 * ```ts
 * await simulate(checkout, { input: { cart: "c1" }, seeds: 200 })
 * ```
 */
export const simulate = <I, A>(
  workflow: Runs<I, A, AgentRunner>,
  options: Simulation.SimulationOptions<I, A>,
): Promise<Simulation.SimulationReport> => promised(Simulation.simulate<I, A, AgentRunner>(workflow, options))
