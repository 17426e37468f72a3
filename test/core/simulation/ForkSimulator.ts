/**
 * Forks runs of scenarios at moments picked at random, and runs the forks to their end: it must be the one of an undisturbed run,
 * and nothing of the original may change. What the fork inherits is its own to undo.
 */
import { isDeepStrictEqual } from "node:util"
import * as Engine from "@smithers/core/Engine"
import { NonRetryable } from "@smithers/core/Errors"
import * as Fork from "@smithers/core/Fork"
import { nodeKey } from "@smithers/core/Ids"
import type { Command } from "@smithers/core/Inbox"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Millis from "@smithers/core/Millis"
import { compensationId } from "@smithers/core/Records"
import * as RunRequest from "@smithers/core/RunRequest"
import * as RunState from "@smithers/core/RunState"
import { ports, type StorageShape } from "@smithers/core/Storage"
import * as Random from "@smithers/testing/Random"
import * as VirtualClock from "@smithers/testing/VirtualClock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { plain } from "../../contract/History.ts"
import * as Behaviour from "./Behaviour.ts"
import * as EngineSimulator from "./EngineSimulator.ts"
import { type Call, lower } from "./Lowering.ts"
import * as Places from "./Places.ts"
import * as Reference from "./Reference.ts"
import { index, type Scenario } from "./Scenario.ts"
import * as World from "./World.ts"

/** Times that the world is heard before a fork counts as stuck. */
const patience = 3000

/** Runs a scenario, then forks of it. Answers with the first difference from what must come of them. */
export const simulate = (
  scenario: Scenario,
  { forks, disk = MemoryStorage.make() }: { readonly forks: number; readonly disk?: StorageShape },
): Effect.Effect<string | undefined> =>
  Effect.gen(function* () {
    yield* EngineSimulator.simulate({ ...scenario, faults: [] }, 1, { disk })
    const before = yield* disk.load("run")
    const random = Random.make(Random.hash(scenario.seed, "fork", 0))
    for (let number = 1; number <= forks; number++) {
      const frame = 1 + random.int(before.frame)
      const difference = yield* forked(scenario, disk, { frame, runId: `fork${number}`, random })
      if (difference !== undefined) return `a fork as of frame ${frame}: ${difference}`
    }
    return isDeepStrictEqual(plain(yield* disk.load("run")), plain(before)) ? undefined : "the original has changed"
  }).pipe(Effect.orDie)

const forked = (
  scenario: Scenario,
  disk: StorageShape,
  { frame, runId, random }: { readonly frame: number; readonly runId: string; readonly random: Random.Random },
): Effect.Effect<string | undefined> => {
  const plan = index(scenario.root)
  const virtual = VirtualClock.make(50_000_000)
  const failures = new Map<string, number>()
  const placeOf = (label: string, row: number): string => {
    const places = Places.make(plan)
    for (const record of RunState.records(Effect.runSync(Effect.orDie(disk.load(runId)))))
      if (record.kind === "loop")
        for (let pass = 0; pass < record.passes; pass++) places.note(record.nodeId, record.base + pass, record.iteration, pass)
    return places.place(label, row) ?? ""
  }
  const body = ({ spec, isUndo, idempotencyKey, needs }: Call): Effect.Effect<unknown, unknown> =>
    Effect.suspend(() => {
      const row = Number(idempotencyKey.split(":")[2])
      const key = nodeKey(isUndo ? compensationId(spec.label) : spec.label, row)
      const behave = isUndo ? Behaviour.undo : Behaviour.attempt
      const failed = failures.get(key) ?? 0
      const result = behave(scenario.seed, spec, placeOf(spec.label, row), failed, needs)
      if (result._tag === "Succeeds") return Effect.succeed(result.stored)
      failures.set(key, failed + 1)
      const { message, isRetryable } = result
      return Effect.fail(isRetryable ? new Error(message) : new NonRetryable({ message }))
    })
  const { definition } = lower(scenario, body)
  return Effect.gen(function* () {
    yield* Effect.provide(Fork.fork(definition, "run", { frame, runId, ownEffects: true }), ports(disk))
    const scope = yield* Scope.make()
    const engine = yield* Effect.provide(Engine.make({ lease: "30 seconds" }), ports(disk)).pipe(Scope.extend(scope))
    const fiber = yield* Effect.forkIn(engine.join(definition, RunRequest.resume(runId, {})), scope)
    const world = World.make(scenario, random)
    let isPaused = false
    for (let turn = 0; fiber.unsafePoll() === null; turn++) {
      if (turn > patience) return "nothing happens, and it does not end"
      yield* VirtualClock.rest
      const waits = (yield* disk.waits({ runId, limit: 1000 })).filter(({ kind }) => kind !== "retry")
      const open = waits.map(({ nodeId, iteration, isAnswered, approved }) => ({
        ...{ nodeId, iteration },
        isAnswered: isAnswered || approved !== null,
      }))
      const command: Command | undefined = random.chance(0.5) ? world.say(open, isPaused) : undefined
      if (command === undefined) {
        virtual.jump()
        continue
      }
      if (command._tag === "Pause" || command._tag === "Unpause") isPaused = command._tag === "Pause"
      const message = { id: `said ${turn}`, runId, at: Millis.unsafeNow(virtual.clock) }
      const isResponse = command._tag === "Decide" || command._tag === "Answer"
      yield* Effect.ignore(isResponse ? disk.deliverResponse({ ...message, command }) : disk.deliver({ ...message, command }))
    }
    const result = yield* Fiber.join(fiber)
    yield* Scope.close(scope, Exit.void)
    const state = yield* disk.load(runId)
    const folded = yield* disk.load(runId, { seq: state.seq })
    if (!isDeepStrictEqual(plain({ ...folded, frame: state.frame }), plain(state))) return "its state is not what its log says"
    if (state.failure !== undefined) {
      const cause = state.failure._tag === "CompensationFailed" ? state.failure.cause : state.failure
      const { nodeId = "", iteration = 0 } = cause._tag === "RunTimedOut" ? {} : cause
      const failedAt = nodeKey(nodeId, iteration)
      return Reference.differences(scenario, state, { status: "failed", failedAt, output: undefined, failures: undefined })[0]
    }
    if (result.status !== "finished") return `it is ${result.status}`
    const { output } = result
    return Reference.differences(scenario, state, { status: "finished", failedAt: undefined, output, failures: undefined })[0]
  }).pipe(Effect.orDie, Effect.withClock(virtual.clock))
}
