/**
 * Runs of one workflow whose process dies at each moment that counts: before and after each commit, and after the code of each step has done what
 * it does and before that is committed. Whatever the moment, the resumed run has to end as an undisturbed one does.
 */
import type { InvalidSetting } from "@smithers/core/Errors"
import type { RunEvent } from "@smithers/core/RunEvent"
import type { Frame } from "@smithers/core/RunStore"
import { defined } from "@smithers/core/Struct"
import type { RunError, Runs } from "@smithers/core/Workflow"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { say, sayShort } from "./internal/compare.ts"
import * as Lives from "./internal/lives.ts"
import type * as MortalStorage from "./MortalStorage.ts"
import type { Respond } from "./Responder.ts"
import type { TestRuntimeOptions } from "./TestRuntime.ts"

/** What {@link everywhere} can be told. */
export interface CrashOptions extends TestRuntimeOptions {
  /** Called before each run: makes the world as it was before the first. */
  readonly before?: () => unknown
  /** What the world is like after a run, as JSON or anything that can be compared like it: it has to be the same each time, too. */
  readonly world?: () => unknown
  /** What people and signals say. Default: approvals are given, and people answer something that fits. */
  readonly respond?: Respond
}

/** A step that does not do twice what it does once, or a run that goes wrong after a crash. */
export const CrashFinding = Schema.Struct({
  /** When the process died. */
  when: Schema.String,
  /** Steps whose code was called again, of which one is to blame. */
  steps: Schema.Array(Schema.String),
  problem: Schema.String,
})
export type CrashFinding = typeof CrashFinding.Type

/** A workflow gives something else after a crash than without one. */
export class NotIdempotent extends Schema.TaggedError<NotIdempotent>()("NotIdempotent", {
  findings: Schema.Array(CrashFinding),
}) {
  /** The steps that are to blame, once each. */
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
        : `${named.length === 1 ? `Step ${named[0]} is` : `Steps ${named.join(", ")} are`} not idempotent. Deduplicate by the idempotencyKey what the code changes, or make it give the same again:`
    return [head, ...lines, ...left].join("\n")
  }
}

/** Two undisturbed runs of a workflow differ, so that nothing can be said of one with a crash. */
export class NotReproducible extends Schema.TaggedError<NotReproducible>()("NotReproducible", { problem: Schema.String }) {
  override get message(): string {
    return `Two runs without any crash differ: ${this.problem}. Make the world as it was in "before", and take time and randomness from Effect.`
  }
}

/** What was tried. */
export interface CrashReport {
  /** Commits of an undisturbed run. */
  readonly commits: number
  /** Runs with a crash. */
  readonly crashes: number
  /** Steps after whose code the process died, by node. */
  readonly steps: ReadonlyArray<string>
}

/** Why {@link everywhere} fails. */
export type CrashError = NotIdempotent | NotReproducible | Lives.RunStalled | RunError | InvalidSetting

/** A run without a crash, with what every other has to be like. */
interface Calm {
  readonly life: Lives.Life
  readonly world: unknown
  /** Rows that differ from run to run by themselves. */
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

/** The moments after the code of each step. With one step at work at once each is that of one step alone. */
const bodies = (frames: ReadonlyArray<Frame>): ReadonlyArray<Point> =>
  frames.flatMap((frame) =>
    endsIn(frame).map(({ nodeId, iteration, attempt }): Point => {
      const isHere = (other: Frame): boolean =>
        other.runId === frame.runId &&
        endsIn(other).some((end) => end.nodeId === nodeId && end.iteration === iteration && end.attempt === attempt)
      const place = iteration === 0 ? `"${nodeId}"` : `"${nodeId}" (iteration ${iteration})`
      return { fault: { edge: "before", commit: isHere }, when: `after the code of ${place}, before its commit` }
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
 * Runs a workflow without a crash, and then once for each moment at which its process can die. Each run has a store and a virtual clock of its own.
 * Fails with {@link NotIdempotent}, which names the steps that are to blame, where a resumed run ends otherwise, or leaves another world.
 */
export const everywhere = <I, R>(
  workflow: Pick<Runs<I, unknown, R>, "start">,
  input: I,
  { before, world, ...options }: CrashOptions = {},
): Effect.Effect<CrashReport, CrashError, Lives.Outside<R>> =>
  Effect.gen(function* () {
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

    // One step at a time, so that no other is called again with the one that is to blame.
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

/** What is wrong with a run after a crash, if anything is. */
const judge = (calm: Calm, { life, world }: Pick<Calm, "life" | "world">, when: string): CrashFinding | undefined => {
  const again = [...life.calls].filter(([key, count]) => count > (calm.life.calls.get(key) ?? 0)).map(([key]) => key)
  const repeated = [...new Set(again.map((key) => life.nodes.get(key) ?? key))]
  // First what was called again, and then what follows from it.
  const isFirst = (row: Lives.Row): number => (repeated.includes(row.nodeId) ? 0 : 1)
  const rows = [...calm.life.rows].sort(([, one], [, other]) => isFirst(one) - isFirst(other))
  for (const [key, row] of rows) {
    const other = life.rows.get(key)
    if (calm.unstable.has(key) || say(row) === say(other)) continue
    const problem = `"${row.nodeId}" gave ${sayShort(other?.output)} instead of ${sayShort(row.output)}`
    // Of steps that only pass on what another gave, the one that was called again is to blame.
    const steps = repeated.length === 0 || repeated.includes(row.nodeId) ? [row.nodeId] : repeated
    return { when, steps, problem }
  }
  if (say(calm.world) !== say(world))
    return { when, steps: repeated, problem: `the world is ${sayShort(world)} instead of ${sayShort(calm.world)}` }
  if (say(calm.life.result) === say(life.result)) return undefined
  return { when, steps: repeated, problem: `it ends as ${sayShort(life.result)} instead of ${sayShort(calm.life.result)}` }
}
