/**
 * Runs of one workflow whose steps take random times, so that they end in random orders, and fail, hang or are late at random. Everything follows
 * from a seed, so that a run that goes wrong can be had again.
 */
import { InvalidSetting } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import type * as Plan from "@smithers/core/Plan"
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
import { defaultStart, seedOf, type TestRuntimeOptions } from "./TestRuntime.ts"

/** What has become of a run of a seed. */
export interface Simulated<out A = unknown> {
  readonly seed: number
  readonly status: string
  /** Absent where the run has not finished. */
  readonly output?: A
  /** The message of what it failed with. */
  readonly error?: string
  readonly timeline: string
}

/** How a workflow is simulated. */
export interface SimulationOptions<I, A = unknown> extends Omit<TestRuntimeOptions, "seed"> {
  readonly input: I
  /** Seeds, or how many, from 1 on. Default: 100. */
  readonly seeds?: number | ReadonlyArray<number>
  /** How likely an attempt fails, or hangs where it has a timeout, from 0 to 1. Default: 0.2. */
  readonly failures?: number
  /** Called before each run: makes the world as it was before the first. */
  readonly before?: (seed: number) => unknown
  /**
   * Throws, or rejects, where a run has ended as it must not. Default: it has to end as a run in which nothing fails and all takes no time, with the
   * same outputs of all steps.
   */
  readonly check?: (run: Simulated<A>) => unknown
  /** What people and signals say. Default: approvals are given, and people answer something that fits. */
  readonly respond?: Respond
}

/** A simulated run went wrong. The message says how to have it again. */
export class SimulationFailed extends Schema.TaggedError<SimulationFailed>()("SimulationFailed", {
  seed: Schema.Number,
  problem: Schema.String,
  timeline: Schema.String,
}) {
  override get message(): string {
    const { seed, problem, timeline } = this
    return `Seed ${seed}: ${problem}\nRun it again by simulate(workflow, { …, seeds: [${seed}] }).${timeline === "" ? "" : `\n${timeline}`}`
  }
}

/** A failure that a simulation makes; it is retried like any other. */
export class SimulatedFailure extends Schema.TaggedError<SimulatedFailure>()("SimulatedFailure", { when: Schema.String }) {
  override get message(): string {
    return `made by the simulation, ${this.when}`
  }
}

/** What was tried. */
export interface SimulationReport {
  readonly runs: number
  /** Attempts that the simulation made fail, or hang. */
  readonly failures: number
  /** Different orders in which steps ended. */
  readonly orders: number
}

export type SimulationError = SimulationFailed | InvalidSetting | RunError | Lives.RunStalled

/** The longest time that a step takes (ms), and that the world takes to say something. */
const longestMs = 1000

/** By how much two undisturbed runs begin at different times (ms): another day, hour, minute and second. */
const otherwiseMs = 97_531_000

/** Attempts that a step has, as far as its policy says so in plain words. */
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
        expected: "how many seeds, or an array of them, such as [17]",
      })
}

const isLikelihood = (value: unknown): boolean => typeof value === "number" && value >= 0 && value <= 1

interface Chance {
  readonly seed: number
  readonly failures: number
  /** Failures of a step in an undisturbed run, by the idempotency key. */
  readonly usual: (key: string) => number
  /** Told of each failure that is made. */
  readonly onFailure: () => void
}

/** Makes the code of steps take its time, and fail, by chance. Where a step has no attempt to spare nothing of it fails. */
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
        // It is late, and has done what it does.
        if (kind === "hangs") return Effect.zipRight(code, Effect.sleep(2 * (step.timeoutMs ?? 0)))
        const worked = Effect.zipLeft(code, pause())
        return kind === "after" ? Effect.zipRight(worked, fails("after the code of the step had done what it does")) : worked
      }),
    )
  }

/**
 * Runs a workflow once for each seed, with a store and a virtual clock of its own. Fails with {@link SimulationFailed}, which names the first seed that went wrong.
 */
export const simulate = <I, A, R>(
  workflow: Runs<I, A, R>,
  { input, seeds, failures = 0.2, before, check, ...options }: SimulationOptions<I, A>,
): Effect.Effect<SimulationReport, SimulationError, Lives.Outside<R>> =>
  Effect.gen(function* () {
    const services = yield* Effect.context<Lives.Outside<R>>()
    const wanted = yield* seedsOf(seeds)
    if (!isLikelihood(failures))
      return yield* new InvalidSetting({ setting: "failures", received: Millis.show(failures), expected: "a number from 0 to 1" })
    const run = (seed: number, changes: Pick<Lives.Options<R>, "around" | "delay" | "startAt"> = {}) =>
      Effect.zipRight(
        Effect.promise(async () => before?.(seed)),
        Lives.live(workflow, input, { ...options, ...defined(changes), seed, services }),
      )
    // What follows from the time, or from chance, differs between the two, and is not compared.
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

/** Failures of the code of each step, by its idempotency key. */
const failuresOf = (life: Lives.Life | undefined): ReadonlyMap<string, number> =>
  new Map([...(life?.calls ?? [])].map(([key, calls]) => [key, calls - 1]))

const orderOf = ({ frames }: Lives.Life): string =>
  frames
    .flatMap(({ events }) =>
      events.flatMap((event) => (event._tag === "AttemptSucceeded" ? [`${event.nodeId}/${event.iteration}`] : [])),
    )
    .join(" ")

/** What an author's check says of a run. */
const checked = <A>(check: (run: Simulated<A>) => unknown, seed: number, { result, timeline }: Lives.Life) =>
  Effect.match(
    // Outputs were decoded with the schemas the types come from.
    Effect.tryPromise({
      try: async () => check({ ...(result as Omit<Simulated<A>, "seed" | "timeline">), seed, timeline }),
      catch: (thrown) => thrown,
    }),
    { onFailure: (thrown) => (thrown instanceof Error ? thrown.message : String(thrown)), onSuccess: () => undefined },
  )

/** How a run differs from undisturbed ones, but for what differs between those. */
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
