/**
 * Runs of scenarios that are stopped at moments picked at random and reverted to nodes picked at random, some of them undone at once, and
 * that go on. A run must end as an undisturbed one would, each earlier frame must say what it said then, and an undo must bring back
 * what the revert took.
 */
import { isDeepStrictEqual } from "node:util"
import * as Engine from "@smithers/core/Engine"
import { NonRetryable } from "@smithers/core/Errors"
import { nodeKey } from "@smithers/core/Ids"
import type { Command } from "@smithers/core/Inbox"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Millis from "@smithers/core/Millis"
import { compensationId, undoneBy } from "@smithers/core/Records"
import * as Revert from "@smithers/core/Revert"
import * as RunRequest from "@smithers/core/RunRequest"
import * as RunState from "@smithers/core/RunState"
import { ports, type StorageShape } from "@smithers/core/Storage"
import * as MortalStorage from "@smithers/testing/MortalStorage"
import * as Random from "@smithers/testing/Random"
import * as VirtualClock from "@smithers/testing/VirtualClock"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { plain } from "../../contract/History.ts"
import * as Behaviour from "./Behaviour.ts"
import { type Call, lower } from "./Lowering.ts"
import * as Past from "./Past.ts"
import * as Places from "./Places.ts"
import * as Reference from "./Reference.ts"
import { index, type Scenario } from "./Scenario.ts"
import { Violation } from "./Violation.ts"
import * as World from "./World.ts"

/** Times that the world is heard before a run counts as stuck. */
const patience = 3000

const runId = "run"

/** What was tried, over all scenarios of a test. */
export interface Tally {
  reverted: number
  /** Reverts of runs that had finished. */
  ofFinished: number
  /** Reverts of runs with unread commands. */
  told: number
  undone: number
  /** Refusals, by reason. */
  readonly refused: Map<string, number>
}

export const newTally = (): Tally => ({ reverted: 0, ofFinished: 0, told: 0, undone: 0, refused: new Map() })

/** Runs a scenario with reverts. Answers with the first difference from what must come of it. */
export const simulate = (
  scenario: Scenario,
  { reverts, tally = newTally(), disk = MemoryStorage.make() }: Options,
): Effect.Effect<string | undefined> => {
  const plan = index(scenario.root)
  const virtual = VirtualClock.make(1_000_000)
  const random = Random.make(Random.hash(scenario.seed, "revert", 0))
  const past = Past.make(disk)
  /** The store as everybody has it who works on the run: each state that it is in is noted. */
  const { storage } = MortalStorage.make(disk, undefined, () => past.note(runId))
  const world = World.make(scenario, random)
  let isPaused = false
  let said = 0

  const placeOf = (label: string, row: number): string => {
    const places = Places.make(plan)
    for (const record of RunState.records(Effect.runSync(Effect.orDie(disk.load(runId)))))
      if (record.kind === "loop")
        for (let pass = 0; pass < record.passes; pass++) places.note(record.nodeId, record.base + pass, record.iteration, pass)
    return places.place(label, row) ?? ""
  }
  const body = ({ spec, isUndo, idempotencyKey, needs }: Call): Effect.Effect<unknown, unknown> =>
    Effect.gen(function* () {
      const row = Number(idempotencyKey.split(":")[2])
      const key = [isUndo ? compensationId(spec.label) : spec.label, row] as const
      // Reverts find steps at work, too.
      if (random.chance(0.7)) yield* Effect.sleep(random.pick([1, 10, 1000]))
      const failed = RunState.step(yield* Effect.orDie(disk.load(runId)), ...key)?.failures.length ?? 0
      const behave = isUndo ? Behaviour.undo : Behaviour.attempt
      const result = behave(scenario.seed, spec, placeOf(spec.label, row), failed, needs)
      if (result._tag === "Succeeds") return result.stored
      const { message, isRetryable } = result
      return yield* Effect.fail(isRetryable ? new Error(message) : new NonRetryable({ message }))
    })
  const { definition } = lower(scenario, body)
  const start = RunRequest.start(runId, {
    workflow: definition.name ?? "",
    version: undefined,
    input: { seed: scenario.seed },
    tags: [],
  })

  /** Has the world say something. Answers with whether it did. */
  const hear = Effect.gen(function* () {
    const waits = (yield* disk.waits({ runId, limit: 1000 })).filter(({ kind }) => kind !== "retry")
    const open = waits.map(({ nodeId, iteration, isAnswered, approved }) => ({
      ...{ nodeId, iteration },
      isAnswered: isAnswered || approved !== null,
    }))
    const command: Command | undefined = world.say(open, isPaused)
    if (command === undefined) return false
    if (command._tag === "Pause" || command._tag === "Unpause") isPaused = command._tag === "Pause"
    const message = { id: `said ${++said}`, runId, at: Millis.unsafeNow(virtual.clock) }
    const isResponse = command._tag === "Decide" || command._tag === "Answer"
    yield* Effect.ignore(isResponse ? disk.deliverResponse({ ...message, command }) : disk.deliver({ ...message, command }))
    return true
  })

  /** One process, which stops after some turns, or once the run has ended. Answers with whether it has. */
  const live = (isFirst: boolean, turns: number) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const engine = yield* Effect.provide(Engine.make({ lease: "30 seconds" }), ports(storage)).pipe(Scope.extend(scope))
      const request = isFirst ? start : RunRequest.resume(runId, {})
      const fiber = yield* Effect.forkIn(engine.join(definition, request), scope)
      for (let turn = 0; turn < turns && fiber.unsafePoll() === null; turn++) {
        if (turn > patience) return yield* Effect.die(new Violation("nothing happens, and it does not end"))
        yield* VirtualClock.rest
        if (!(random.chance(0.5) && (yield* hear))) virtual.jump()
      }
      const exit = fiber.unsafePoll()
      yield* Scope.close(scope, Exit.void)
      if (exit !== null && Exit.isFailure(exit) && Cause.isDie(exit.cause)) return yield* Effect.failCause(exit.cause)
      return exit !== null
    })

  /** What stands of the outputs of steps, by row. */
  const outputsOf = (state: RunState.RunState) =>
    RunState.records(state).flatMap((record) =>
      record.kind === "step" && record.attempt > 0 && record.status === "finished" && undoneBy(record.nodeId) === undefined
        ? [[nodeKey(record.nodeId, record.iteration), record.output] as const]
        : [],
    )

  const revert = Effect.gen(function* () {
    const before = yield* disk.load(runId)
    const known = RunState.records(before).filter(({ nodeId }) => !nodeId.includes("~"))
    if (known.length === 0) return
    const { nodeId, iteration } = random.pick(known)
    // What is said now is read by nobody before the run goes on.
    if (random.chance(0.5) && !RunState.isEnded(before)) yield* hear
    const isTold = (yield* disk.run(runId)).hasPendingCommands
    const options: Revert.RevertOptions = random.chance(0.5) ? { node: nodeId, iteration } : { node: nodeId }
    const asked = yield* Effect.either(Effect.provide(Revert.revert(definition, runId, { ...options, dryRun: true }), ports(disk)))
    if (!isDeepStrictEqual(plain(yield* disk.load(runId)), plain(before))) throw new Violation("a dry run changed the run")
    const reverted = yield* Effect.either(Effect.provide(Revert.revert(definition, runId, options), ports(storage)))
    if (Either.isLeft(reverted)) {
      if (reverted.left._tag !== "RevertRefused") return yield* Effect.die(reverted.left)
      if (!isDeepStrictEqual(plain(yield* disk.load(runId)), plain(before))) throw new Violation("a refusal changed the run")
      tally.refused.set(reverted.left.reason, (tally.refused.get(reverted.left.reason) ?? 0) + 1)
      return
    }
    tally.reverted++
    if (before.status === "finished") tally.ofFinished++
    if (isTold) tally.told++
    if (Either.isLeft(asked) || !isDeepStrictEqual(asked.right.resets, reverted.right.resets))
      throw new Violation(`a dry run foretold ${JSON.stringify(asked)}, and ${JSON.stringify(reverted.right)} came`)
    if (!random.chance(0.3)) return
    yield* Effect.provide(Revert.revert(definition, runId, { undo: true }), ports(storage))
    tally.undone++
    // One that had failed is as it would be resumed: what was undone runs again.
    if (before.status === "failed") return
    const undone = new Map(outputsOf(yield* disk.load(runId)))
    for (const [key, output] of outputsOf(before))
      if (!undone.has(key) || !isDeepStrictEqual(undone.get(key), output))
        throw new Violation(`an undo left ${key} with ${JSON.stringify(undone.get(key))} instead of ${JSON.stringify(output)}`)
  })

  /** What comes after the node of a revert and has not read it stays, also where the run now fails before it. */
  const differences = (state: RunState.RunState, ending: Reference.Ending): ReadonlyArray<string> =>
    Reference.differences(scenario, state, ending).filter((difference) => !difference.includes("should not be there"))

  return Effect.gen(function* () {
    let isOver = yield* live(true, 1 + random.int(10))
    for (let left = reverts; left > 0; left--) {
      // Some are of a run that has ended.
      if (!isOver && random.chance(0.2)) isOver = yield* live(false, Number.POSITIVE_INFINITY)
      yield* revert
      isOver = yield* live(false, 1 + random.int(10))
    }
    while (!isOver) isOver = yield* live(false, Number.POSITIVE_INFINITY)
    yield* past.expect
    const state = yield* disk.load(runId)
    const folded = yield* disk.load(runId, { seq: state.seq })
    if (!isDeepStrictEqual(plain({ ...folded, frame: state.frame }), plain(state))) return "its state is not what its log says"
    if (state.failure !== undefined) {
      const cause = state.failure._tag === "CompensationFailed" ? state.failure.cause : state.failure
      const { nodeId = "", iteration = 0 } = cause._tag === "RunTimedOut" ? {} : cause
      const failedAt = nodeKey(nodeId, iteration)
      return differences(state, { status: "failed", failedAt, output: undefined, failures: undefined })[0]
    }
    if (state.status !== "finished") return `it is ${state.status}`
    // Asked again, a finished run answers with what is stored.
    const result = yield* Effect.scoped(
      Effect.flatMap(Effect.provide(Engine.make(), ports(disk)), (engine) => engine.join(definition, start)),
    )
    const output = result.status === "finished" ? result.output : result
    return differences(state, { status: "finished", failedAt: undefined, output, failures: undefined })[0]
  }).pipe(Effect.orDie, Effect.withClock(virtual.clock))
}

interface Options {
  readonly reverts: number
  readonly tally?: Tally
  /** The store. Default: one in memory. */
  readonly disk?: StorageShape
}
