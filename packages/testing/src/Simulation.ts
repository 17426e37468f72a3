/**
 * Runs a workflow with random step durations, so that steps end in random orders, and with random failures, hangs and delays. All
 * of it derives from a seed, so that a failure can be reproduced.
 */
import { InvalidSetting } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import type * as Plan from "@smithers/core/Plan"
import * as Settings from "@smithers/core/Settings"
import type { StepContext } from "@smithers/core/StepProgram"
import { defined } from "@smithers/core/Struct"
import type { RunError, Runs } from "@smithers/core/Workflow"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { say, sayShort } from "./internal/compare.ts"
import * as Instrument from "./internal/instrument.ts"
import * as Lives from "./internal/lives.ts"
import * as Random from "./Random.ts"
import type { Respond } from "./Responder.ts"
import { defaultStart, seedOf, type TestRuntimeOptions, optionNames as testRuntimeNames } from "./TestRuntime.ts"

/** Result of the run of a seed. */
export interface Simulated<out A = unknown> {
  readonly seed: number
  readonly status: string
  /** Set if the run finished. */
  readonly output?: A
  /** Message of the error of the run. */
  readonly error?: string
  readonly timeline: string
}

/** Options of {@link simulate}. */
export interface SimulationOptions<I, A = unknown> extends Omit<TestRuntimeOptions, "seed"> {
  readonly input: I
  /** Seeds, or the number of seeds from 1 on. Default: 100. */
  readonly seeds?: number | ReadonlyArray<number>
  /** Probability that an attempt fails, or hangs if it has a timeout, from 0 to 1. Default: 0.2. */
  readonly failures?: number
  /** Called before each run: resets the world to its initial state. */
  readonly before?: (seed: number) => unknown
  /**
   * Throws or rejects if the end of a run is wrong. Default: it must end as a run without failures and delays, with the same
   * outputs of all steps.
   */
  readonly check?: (run: Simulated<A>) => unknown
  /** Responses of people and signals. Default: approves, and answers with valid values. */
  readonly respond?: Respond
}

const { seed: _, ...runtimeNames } = testRuntimeNames
const optionNames: Settings.Names<SimulationOptions<unknown>> = {
  ...runtimeNames,
  input: true,
  seeds: true,
  failures: true,
  before: true,
  check: true,
  respond: true,
}

/** A simulated run went wrong. The message says how to reproduce it. */
export class SimulationFailed extends Schema.TaggedError<SimulationFailed>()("SimulationFailed", {
  seed: Schema.Number,
  problem: Schema.String,
  timeline: Schema.String,
}) {
  override get message(): string {
    const { seed, problem, timeline } = this
    return `Seed ${seed}: ${problem}\nReproduce it with simulate(workflow, { …, seeds: [${seed}] }).${timeline === "" ? "" : `\n${timeline}`}`
  }
}

/** A simulated failure, retried like any other. */
export class SimulatedFailure extends Schema.TaggedError<SimulatedFailure>()("SimulatedFailure", { when: Schema.String }) {
  override get message(): string {
    return `simulated failure, ${this.when}`
  }
}

/** Summary of the simulated runs. */
export interface SimulationReport {
  readonly runs: number
  /** Number of attempts that the simulation made fail or hang. */
  readonly failures: number
  /** Number of distinct orders in which steps ended. */
  readonly orders: number
}

export type SimulationError = SimulationFailed | InvalidSetting | RunError | Lives.RunStalled

/** Maximum duration of a step, and maximum delay of a response, in milliseconds. */
const longestMs = 1000

/** Difference between the start times of two undisturbed runs, in milliseconds: another day, hour, minute and second. */
const otherwiseMs = 97_531_000

/** Returns the number of attempts of a step, if its policy states it. */
const attemptsOf = ({ retry }: Plan.Step): number => {
  if (retry.shown === undefined) return 4
  return typeof retry.shown === "string" ? 1 : (retry.shown.maxAttempts ?? 4)
}

const seedsOf = (seeds: unknown = 100): Effect.Effect<ReadonlyArray<number>, InvalidSetting> => {
  if (Array.isArray(seeds)) return Effect.forEach(seeds, (seed) => seedOf("seeds", seed))
  return typeof seeds === "number" && Number.isSafeInteger(seeds) && seeds > 0
    ? Effect.succeed(Array.from({ length: seeds }, (_, index) => index + 1))
    : new InvalidSetting({
        setting: "seeds",
        received: Millis.show(seeds),
        expected: "a number of seeds, or an array of seeds, such as [17]",
      })
}

const isLikelihood = (value: unknown): boolean => typeof value === "number" && value >= 0 && value <= 1

interface Chance {
  readonly seed: number
  readonly failures: number
  /** Returns the number of failures of a step in an undisturbed run, by idempotency key. */
  readonly usual: (key: string) => number
  /** Called for each simulated failure. */
  readonly onFailure: () => void
}

/** Makes the code of steps slow and unreliable by chance. A step without a spare attempt never fails. */
const disturbing =
  ({ seed, failures, usual, onFailure }: Chance): Instrument.Around =>
  (step) =>
  (context, state, noteRead) => {
    const { attempt, idempotencyKey }: StepContext<unknown> = context
    const random = Random.make(Random.hash(seed, idempotencyKey, attempt))
    const limit = Math.min(longestMs, (step.timeoutMs ?? Infinity) / 4, (step.heartbeatTimeoutMs ?? Infinity) / 4)
    const pause = () => Effect.sleep(random.int(Math.max(1, Math.floor(limit))))
    const isToFail = attempt < attemptsOf(step) - usual(idempotencyKey) && random.chance(failures)
    const kinds = step.timeoutMs === undefined ? (["before", "after"] as const) : (["before", "after", "hangs"] as const)
    const kind = isToFail ? random.pick(kinds) : "works"
    if (isToFail) onFailure()
    const code = Instrument.called(step, () => step.run(context, state, noteRead))
    const fails = (when: string) => Effect.fail(new SimulatedFailure({ when }))
    return Effect.zipRight(
      pause(),
      Effect.suspend(() => {
        if (kind === "before") return fails("before the code of the step was called")
        // The step is late, and has had its effects.
        if (kind === "hangs") return Effect.zipRight(code, Effect.sleep(2 * (step.timeoutMs ?? 0)))
        const worked = Effect.zipLeft(code, pause())
        return kind === "after" ? Effect.zipRight(worked, fails("after the code of the step had run")) : worked
      }),
    )
  }

/**
 * Runs a workflow once per seed, with its own store and virtual clock. Fails with {@link SimulationFailed}, which names the first
 * seed that went wrong.
 */
export const simulate = <I, A, R>(
  workflow: Runs<I, A, R>,
  settings: SimulationOptions<I, A>,
): Effect.Effect<SimulationReport, SimulationError, Lives.Outside<R>> =>
  Effect.gen(function* () {
    yield* Settings.only("simulate", settings, optionNames)
    const { input, seeds, failures = 0.2, before, check, ...options } = settings
    const services = yield* Effect.context<Lives.Outside<R>>()
    const wanted = yield* seedsOf(seeds)
    if (!isLikelihood(failures))
      return yield* new InvalidSetting({ setting: "failures", received: Millis.show(failures), expected: "a number from 0 to 1" })
    const run = (seed: number, changes: Pick<Lives.Options<R>, "around" | "delay" | "startAt"> = {}) =>
      Effect.zipRight(
        Effect.promise(async () => before?.(seed)),
        Lives.live(workflow, input, { ...options, ...defined(changes), seed, services }),
      )
    // Values that depend on time or chance differ between the two, and are not compared.
    const startAt = new Date(options.startAt ?? defaultStart).getTime() + otherwiseMs
    const calm = check === undefined ? [yield* run(1), yield* run(2, { startAt })] : [yield* run(1)]
    const [usual] = calm
    const failed = failuresOf(usual)
    let made = 0
    const orders = new Set<string>()
    for (const seed of wanted) {
      const chance: Chance = { seed, failures, usual: (key) => failed.get(key) ?? 0, onFailure: () => made++ }
      const delay: Lives.Options<R>["delay"] = ({ nodeId, iteration }) => Random.hash(seed, nodeId, iteration) % longestMs
      const found = yield* Effect.either(run(seed, { around: disturbing(chance), delay }))
      if (found._tag === "Left") return yield* new SimulationFailed({ seed, problem: found.left.message, timeline: "" })
      const life = found.right
      orders.add(orderOf(life))
      const problem = check === undefined ? differenceOf(calm, life) : yield* checked(check, seed, life)
      if (problem !== undefined) return yield* new SimulationFailed({ seed, problem, timeline: life.timeline })
    }
    return { runs: wanted.length, failures: made, orders: orders.size }
  })

/** Returns the number of failures of each step's code, by its idempotency key. */
const failuresOf = (life: Lives.Life | undefined): ReadonlyMap<string, number> =>
  new Map([...(life?.calls ?? [])].map(([key, calls]) => [key, calls - 1]))

const orderOf = ({ frames }: Lives.Life): string =>
  frames
    .flatMap(({ events }) =>
      events.flatMap((event) => (event._tag === "AttemptSucceeded" ? [`${event.nodeId}/${event.iteration}`] : [])),
    )
    .join(" ")

/** Runs the author's check of a run. */
const checked = <A>(check: (run: Simulated<A>) => unknown, seed: number, { result, timeline }: Lives.Life) =>
  Effect.match(
    // Outputs were decoded with the schemas of these types.
    Effect.tryPromise({
      try: async () => check({ ...(result as Omit<Simulated<A>, "seed" | "timeline">), seed, timeline }),
      catch: (thrown) => thrown,
    }),
    { onFailure: (thrown) => (thrown instanceof Error ? thrown.message : String(thrown)), onSuccess: () => undefined },
  )

/** Describes the difference of a run to undisturbed ones, ignoring values that differ between those. */
const differenceOf = ([one, other = one]: ReadonlyArray<Lives.Life>, life: Lives.Life): string | undefined => {
  if (one === undefined || other === undefined) return undefined
  for (const [key, row] of one.rows) {
    const found = life.rows.get(key)
    if (say(row) !== say(other.rows.get(key)) || say(row) === say(found)) continue
    return `"${row.nodeId}" is ${found?.status ?? "absent"} with ${sayShort(found?.output)}, and without failures it is ${row.status} with ${sayShort(row.output)}`
  }
  if (say(one.result) !== say(other.result) || say(one.result) === say(life.result)) return undefined
  return `it ends as ${sayShort(life.result)}, and without failures as ${sayShort(one.result)}`
}
