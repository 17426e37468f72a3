/** Runs of one workflow whose process dies at each of its commits: whatever the moment, the run has to end as an undisturbed one does. */
import * as Engine from "@smithers/core/Engine"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import type { RunResult } from "@smithers/core/RunResult"
import { ports, type StorageShape } from "@smithers/core/Storage"
import type { RunError } from "@smithers/core/Workflow"
import * as MortalStorage from "@smithers/testing/MortalStorage"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { Fault } from "./simulation/Scenario.ts"

/** The one run that there is in a store. */
export const runId = "r"

interface Sweep<A> {
  readonly run: Effect.Effect<RunResult<A>, RunError, Engine.Engine>
  /** Does what the run waits for, from outside. It is asked once each time that nothing else can go on, and may be asked for the same again. */
  readonly act?: (storage: StorageShape) => Effect.Effect<unknown, unknown>
}

/** A run by its end: how it ended, what its nodes hold, and how many outputs were committed more than once. */
const live = <A>({ run, act }: Sweep<A>, crashes: ReadonlyArray<Fault>) =>
  Effect.gen(function* () {
    const disk = MemoryStorage.make()
    const committed = new Map<string, number>()
    let commits = 0
    const left = [...crashes]
    for (let process = 0; process < 50; process++) {
      const mortal = MortalStorage.make(disk, left.shift(), ({ events }) => {
        commits++
        for (const event of events) {
          if (event._tag !== "AttemptSucceeded" && event._tag !== "WaitEnded") continue
          const key = `${event.nodeId}/${event.iteration}`
          committed.set(key, (committed.get(key) ?? 0) + 1)
        }
      })
      const scope = yield* Scope.make()
      const engine = yield* Engine.make({ lease: 1 }).pipe(Effect.provide(ports(mortal.storage)), Scope.extend(scope))
      const fiber = yield* Effect.forkIn(Effect.provideService(run, Engine.Engine, engine), scope)
      while (fiber.unsafePoll() === null && !mortal.isGone()) yield* Effect.yieldNow()
      const exit = fiber.unsafePoll()
      const result = exit === null ? undefined : yield* Fiber.join(fiber)
      yield* Effect.forkDaemon(Scope.close(scope, Exit.void))
      if (result?.status.startsWith("waiting-") === true) yield* act?.(disk) ?? Effect.dieMessage("it waits for something")
      else if (result !== undefined) {
        const { nodes } = yield* disk.load(runId)
        const rows = [...nodes].map(([key, record]) => [key, record.status, record.kind === "step" ? record.output : undefined])
        const twice = [...committed].filter(([, times]) => times > 1)
        return { commits, end: { result, rows: rows.sort(), twice } }
      }
      yield* Effect.sleep(3)
    }
    return yield* Effect.dieMessage("the run did not end")
  })

/** Runs a workflow undisturbed, and then with a death before and after each of its commits. Gives the first end, and all others that differ from it. */
export const sweep = <A>(given: Sweep<A>) =>
  Effect.gen(function* () {
    const { end: calm, commits } = yield* live(given, [])
    const disturbed: Array<{ readonly at: Fault; readonly end: typeof calm }> = []
    for (let commit = 1; commit <= commits; commit++) {
      for (const edge of ["before", "after"] as const) {
        const { end } = yield* live(given, [{ edge, commit }])
        disturbed.push({ at: { edge, commit }, end })
      }
    }
    return { calm, disturbed }
  })
