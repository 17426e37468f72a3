/**
 * The states of runs right after each of their frames, as they were loaded then, against what is loaded of them later.
 */
import { isDeepStrictEqual } from "node:util"
import type * as RunState from "@smithers/core/RunState"
import type { StorageShape } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import { plain } from "../../contract/History.ts"
import { Violation } from "./Violation.ts"

export interface Past {
  /** Keeps the state of a run, of which a frame was just committed. */
  readonly note: (runId: string) => void
  /** Dies with a `Violation` where a state that is loaded as of a frame, or as of its last event, is not what it was then. */
  readonly expect: Effect.Effect<void>
  /** Number of states that are kept. */
  readonly size: () => number
}

export const make = (disk: StorageShape): Past => {
  const states: Array<RunState.RunState> = []
  return {
    note: (runId) => void states.push(Effect.runSync(disk.load(runId))),
    expect: Effect.suspend(() => Effect.forEach(states, (then) => same(disk, then), { discard: true })).pipe(Effect.orDie),
    size: () => states.length,
  }
}

const same = (disk: StorageShape, then: RunState.RunState) =>
  Effect.gen(function* () {
    const { runId, frame, seq } = then
    for (const at of [{ frame }, { seq }]) {
      // A frame without events has the state of the last event, and a number of its own.
      const state = "seq" in at ? { ...(yield* disk.load(runId, at)), frame } : yield* disk.load(runId, at)
      const [now, was]: ReadonlyArray<{ readonly [field: string]: unknown }> = [plain(state), plain(then)]
      const field = Object.keys({ ...now, ...was }).find((name) => !isDeepStrictEqual(now?.[name], was?.[name]))
      if (field === undefined) continue
      const shown = JSON.stringify([now?.[field], was?.[field]])
      return yield* Effect.die(new Violation(`run ${runId}: ${field} at ${JSON.stringify(at)} is not what it was then: ${shown}`))
    }
  })
