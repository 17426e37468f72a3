/**
 * Runs a workflow with a crash of its process at every relevant moment: before and after each commit, and after the code of each
 * step. In each case, the resumed run must end as an undisturbed one.
 */
import type { InvalidSetting } from "@smithers/core/Errors"
import type { RunEvent } from "@smithers/core/RunEvent"
import type { Frame } from "@smithers/core/RunStore"
import * as Settings from "@smithers/core/Settings"
import { defined } from "@smithers/core/Struct"
import type { RunError, Runs } from "@smithers/core/Workflow"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { say, sayShort } from "./internal/compare.ts"
import * as Lives from "./internal/lives.ts"
import type * as MortalStorage from "./MortalStorage.ts"
import type { Respond } from "./Responder.ts"
import * as TestRuntime from "./TestRuntime.ts"

/** Options of {@link everywhere}. */
export interface CrashOptions extends TestRuntime.TestRuntimeOptions {
  /** Called before each run: resets the world to its initial state. */
  readonly before?: () => unknown
  /** Returns the state of the world after a run, as JSON or any comparable value. It must be equal after every run. */
  readonly world?: () => unknown
  /** Responses of people and signals. Default: approves, and answers with valid values. */
  readonly respond?: Respond
}

const optionNames: Settings.Names<CrashOptions> = { ...TestRuntime.optionNames, before: true, world: true, respond: true }

/** A step that is not idempotent, or a run that goes wrong after a crash. */
export const CrashFinding = Schema.Struct({
  /** Moment at which the process died. */
  when: Schema.String,
  /** Steps whose code was called again, one of which is the cause. */
  steps: Schema.Array(Schema.String),
  problem: Schema.String,
})
export type CrashFinding = typeof CrashFinding.Type

/** The result of a workflow differs after a crash. */
export class NotIdempotent extends Schema.TaggedError<NotIdempotent>()("NotIdempotent", {
  findings: Schema.Array(CrashFinding),
}) {
  /** Ids of the steps that cause it, without duplicates. */
  get steps(): ReadonlyArray<string> {
    return [...new Set(this.findings.flatMap(({ steps }) => steps))]
  }
  override get message(): string {
    const lines = this.findings.slice(0, 10).map(({ when, problem }) => `  ${when}: ${problem}`)
    const left = this.findings.length > 10 ? [`  and ${this.findings.length - 10} more`] : []
    const named = this.steps.map((step) => `"${step}"`)
    const head =
      named.length === 0
        ? "The run ends differently when its process dies:"
        : `${named.length === 1 ? `Step ${named[0]} is` : `Steps ${named.join(", ")} are`} not idempotent. Deduplicate the effects of the code by the idempotencyKey, or make the code return the same value again:`
    return [head, ...lines, ...left].join("\n")
  }
}

/** Two undisturbed runs of a workflow differ, so crashes cannot be tested. */
export class NotReproducible extends Schema.TaggedError<NotReproducible>()("NotReproducible", { problem: Schema.String }) {
  override get message(): string {
    return `Two runs without any crash differ: ${this.problem}. Reset the world in "before", and take time and randomness from Effect.`
  }
}

/** Summary of the tested crashes. */
export interface CrashReport {
  /** Number of commits of an undisturbed run. */
  readonly commits: number
  /** Number of runs with a crash. */
  readonly crashes: number
  /** Steps after whose code the process died, by node. */
  readonly steps: ReadonlyArray<string>
}

/** Errors of {@link everywhere}. */
export type CrashError = NotIdempotent | NotReproducible | Lives.RunStalled | RunError | InvalidSetting

/** An undisturbed run, the reference for all others. */
interface Calm {
  readonly life: Lives.Life
  readonly world: unknown
  /** Rows that differ between undisturbed runs. */
  readonly unstable: ReadonlySet<string>
}

/** A moment at which the process dies. */
interface Point {
  readonly fault: MortalStorage.Fault
  readonly when: string
}

type Ended = Extract<RunEvent, { readonly _tag: "AttemptSucceeded" | "AttemptFailed" }>

const endsIn = ({ events }: Frame): ReadonlyArray<Ended> =>
  events.filter((event): event is Ended => event._tag === "AttemptSucceeded" || event._tag === "AttemptFailed")

/** Returns the moments after the code of each step. With a concurrency of one, each belongs to a single step. */
const bodies = (frames: ReadonlyArray<Frame>): ReadonlyArray<Point> =>
  frames.flatMap((frame) =>
    endsIn(frame).map(({ nodeId, iteration, attempt }): Point => {
      const isHere = (other: Frame): boolean =>
        other.runId === frame.runId &&
        endsIn(other).some((end) => end.nodeId === nodeId && end.iteration === iteration && end.attempt === attempt)
      const name = iteration === 0 ? `"${nodeId}"` : `"${nodeId}" (iteration ${iteration})`
      return { fault: { edge: "before", commit: isHere }, when: `after the code of ${name}, before its commit` }
    }),
  )

const commits = (frames: ReadonlyArray<Frame>): ReadonlyArray<Point> =>
  frames.flatMap((_, index) =>
    (["before", "after"] as const).map((edge): Point => {
      const commit = index + 1
      return { fault: { edge, commit }, when: `${edge} commit ${commit} of ${frames.length}` }
    }),
  )

/**
 * Runs a workflow without a crash, and then once per moment at which its process can die. Each run has its own store and virtual
 * clock. Fails with {@link NotIdempotent}, which names the responsible steps, if a resumed run ends differently or leaves another
 * world.
 */
export const everywhere = <I, R>(
  workflow: Pick<Runs<I, unknown, R, unknown>, "start">,
  input: I,
  settings: CrashOptions = {},
): Effect.Effect<CrashReport, CrashError, Lives.Outside<R>> =>
  Effect.gen(function* () {
    yield* Settings.only("crashEverywhere", settings, optionNames)
    const { before, world, ...options } = settings
    const services = yield* Effect.context<Lives.Outside<R>>()
    const run = (fault?: MortalStorage.Fault, atOnce?: number) =>
      Effect.gen(function* () {
        yield* Effect.promise(async () => before?.())
        const life = yield* Lives.live(workflow, input, { ...options, services, ...defined({ fault, atOnce }) })
        const left: unknown = yield* Effect.promise(async () => world?.())
        return { life, world: structuredClone(left) }
      })
    const calmly = (atOnce?: number) =>
      Effect.gen(function* () {
        const [one, other] = [yield* run(undefined, atOnce), yield* run(undefined, atOnce)]
        if (say(one.life.result) !== say(other.life.result))
          return yield* new NotReproducible({
            problem: `one ends as ${sayShort(one.life.result)}, the other as ${sayShort(other.life.result)}`,
          })
        if (say(one.world) !== say(other.world))
          return yield* new NotReproducible({
            problem: `one leaves the world as ${sayShort(one.world)}, the other as ${sayShort(other.world)}`,
          })
        const differing = [...one.life.rows].filter(([key, row]) => say(row) !== say(other.life.rows.get(key)))
        return { ...other, unstable: new Set(differing.map(([key]) => key)) } satisfies Calm
      })

    let crashes = 0
    const attempt = (calm: Calm, { fault, when }: Point, atOnce?: number) =>
      Effect.gen(function* () {
        crashes++
        const found = yield* Effect.either(run(fault, atOnce))
        if (found._tag === "Left") return { when, steps: [], problem: found.left.message }
        return judge(calm, found.right, when)
      })
    const all = (calm: Calm, points: ReadonlyArray<Point>, atOnce?: number) =>
      Effect.gen(function* () {
        const findings: Array<CrashFinding> = []
        for (const point of points) {
          const finding = yield* attempt(calm, point, atOnce)
          if (finding !== undefined) findings.push(finding)
        }
        return findings
      })

    // One step at a time, so that only the responsible one is called again.
    const alone = yield* calmly(1)
    const points = bodies(alone.life.frames)
    const ofBodies = yield* all(alone, points, 1)
    if (ofBodies.length > 0) return yield* new NotIdempotent({ findings: ofBodies })
    const calm = yield* calmly()
    const ofCommits = yield* all(calm, commits(calm.life.frames))
    if (ofCommits.length > 0) return yield* new NotIdempotent({ findings: ofCommits })
    const steps = [...new Set(alone.life.frames.flatMap((frame) => endsIn(frame).map(({ nodeId }) => nodeId)))]
    return { commits: calm.life.frames.length, crashes, steps }
  })

/** Returns the finding about a run after a crash; `undefined` if it is correct. */
const judge = (calm: Calm, { life, world }: Pick<Calm, "life" | "world">, when: string): CrashFinding | undefined => {
  const again = [...life.calls].filter(([key, count]) => count > (calm.life.calls.get(key) ?? 0)).map(([key]) => key)
  const repeated = [...new Set(again.map((key) => life.nodes.get(key) ?? key))]
  // Repeated steps first, then their consequences.
  const isFirst = (row: Lives.Row): number => (repeated.includes(row.nodeId) ? 0 : 1)
  const rows = [...calm.life.rows].sort(([, one], [, other]) => isFirst(one) - isFirst(other))
  for (const [key, row] of rows) {
    const other = life.rows.get(key)
    if (calm.unstable.has(key) || say(row) === say(other)) continue
    const problem = `"${row.nodeId}" gave ${sayShort(other?.output)} instead of ${sayShort(row.output)}`
    // If a step only passes on another one's value, the repeated one is responsible.
    const steps = repeated.length === 0 || repeated.includes(row.nodeId) ? [row.nodeId] : repeated
    return { when, steps, problem }
  }
  if (say(calm.world) !== say(world))
    return { when, steps: repeated, problem: `the world is ${sayShort(world)} instead of ${sayShort(calm.world)}` }
  if (say(calm.life.result) === say(life.result)) return undefined
  return { when, steps: repeated, problem: `it ends as ${sayShort(life.result)} instead of ${sayShort(calm.life.result)}` }
}
