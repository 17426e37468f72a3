/**
 * What every store must do with snapshots of workspaces, as one suite over any layer of `Storage`.
 */
import { expect, it } from "@effect/vitest"
import { RunFenced } from "@smithers/core/Errors"
import type { SnapshotWrite } from "@smithers/core/Snapshots"
import { type Ports, Storage } from "@smithers/core/Storage"
import { StaleAttempt } from "@smithers/core/Transaction"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe } from "vitest"
import * as History from "./History.ts"

const { journal, later, started } = History

const begin = (nodeId: string, attempt = 1, iteration = 0) => ({ _tag: "AttemptStarted", nodeId, iteration, attempt }) as const

const taken = (write: Partial<SnapshotWrite> & Pick<SnapshotWrite, "nodeId">): SnapshotWrite => ({
  ...{ runId: "r", epoch: 1, iteration: 0, attempt: 1, moment: "before", root: "/repo", commit: "c1", tree: "t1" },
  ...{ at: later(0), skipped: [], sharedWith: [], failure: null },
  ...write,
})

/** Declares the suite for a store. */
export const suite = (name: string, layer: Layer.Layer<Ports, unknown>): void => {
  const holds = (title: string, body: (storage: Storage["Type"]) => Effect.Effect<void, unknown, Storage>) =>
    it.effect(title, () => Effect.provide(Effect.flatMap(Storage, body), layer))

  describe(`${name}: snapshots`, () => {
    holds("what was stored of a snapshot is read, by run, node, iteration and attempt, in the order of time", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        yield* run.commit([started, begin("a"), begin("b", 1, 2)])
        const skipped = [{ path: "dump.bin", reason: "large" }]
        const writes = [
          taken({ nodeId: "a", at: later(1), skipped }),
          taken({ nodeId: "b", iteration: 2, at: later(2), root: "/other", commit: null, tree: null, failure: "no git" }),
          taken({ nodeId: "a", moment: "after", at: later(3), commit: "c2", tree: "t2" }),
        ]
        for (const write of writes) yield* storage.recordSnapshot(write)
        const rows = writes.map(({ epoch: _, ...row }) => row)
        expect(yield* storage.snapshots({ runId: "r" })).toEqual(rows)
        expect(yield* storage.snapshots({ runId: "r", nodeId: "a" })).toEqual([rows[0], rows[2]])
        expect(yield* storage.snapshots({ runId: "r", iteration: 2, attempt: 1 })).toEqual([rows[1]])
        expect(yield* storage.snapshots({ runId: "r", attempt: 2 })).toEqual([])
        expect(yield* storage.snapshots({ runId: "none" })).toEqual([])
        // An attempt that is named twice has its rows once.
        const [a, b] = [
          { nodeId: "a", iteration: 0, attempt: 1 },
          { nodeId: "b", iteration: 2, attempt: 1 },
        ]
        expect(yield* storage.snapshots({ runId: "r", attempts: [b, a, b, a] })).toEqual(rows)
        expect(yield* storage.snapshots({ runId: "r", attempts: [b, { ...a, attempt: 2 }] })).toEqual([rows[1]])
        expect(yield* storage.snapshots({ runId: "r", nodeId: "a", attempts: [a, b] })).toEqual([rows[0], rows[2]])
        expect(yield* storage.snapshots({ runId: "r", attempts: [] })).toEqual([])
        expect((yield* storage.inspect("r")).snapshots).toEqual(rows)
      }),
    )

    holds("neither a lost claim nor an attempt that has ended stores a snapshot", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        yield* run.commit([
          started,
          begin("done"),
          { _tag: "AttemptSucceeded", nodeId: "done", iteration: 0, attempt: 1 },
          begin("a"),
        ])
        const refused = (write: Parameters<typeof taken>[0]) => Effect.flip(storage.recordSnapshot(taken(write)))
        expect(yield* refused({ nodeId: "done" })).toBeInstanceOf(StaleAttempt)
        expect(yield* refused({ nodeId: "a", attempt: 2 })).toBeInstanceOf(StaleAttempt)
        expect(yield* refused({ nodeId: "a", epoch: 2 })).toBeInstanceOf(RunFenced)
        expect(yield* refused({ nodeId: "a", runId: "none" })).toBeInstanceOf(RunFenced)
        yield* run.claim()
        expect(yield* refused({ nodeId: "a" })).toBeInstanceOf(RunFenced)
        expect(yield* storage.snapshots({ runId: "r" })).toEqual([])
        expect((yield* storage.inspect("r")).snapshots).toBe(undefined)
      }),
    )

    holds("attempts of any run that are at work in one tree are shared with one another, and no others", (storage) =>
      Effect.gen(function* () {
        const [run, other, third] = [yield* journal("r"), yield* journal("other"), yield* journal("third")]
        yield* run.commit([started, begin("a"), begin("b"), begin("far")])
        yield* other.commit([started, begin("x")])
        yield* third.commit([started, begin("late")])
        const shared = (runId: string, nodeId: string) =>
          Effect.map(storage.snapshots({ runId, nodeId }), (rows) =>
            rows.map(({ moment, sharedWith }) => `${moment}: ${sharedWith.map(({ runId, nodeId }) => `${runId} ${nodeId}`)}`),
          )
        yield* storage.recordSnapshot(taken({ nodeId: "a", at: later(1) }))
        yield* storage.recordSnapshot(taken({ nodeId: "far", root: "/repository", at: later(2) }))
        yield* storage.recordSnapshot(taken({ nodeId: "b", root: "/repo/packages", at: later(3) }))
        yield* storage.recordSnapshot(taken({ runId: "other", nodeId: "x", root: "/", at: later(3) }))
        expect(yield* shared("r", "a")).toEqual(["before: r b,other x"])
        expect(yield* shared("r", "b")).toEqual(["before: r a,other x"])
        expect(yield* shared("r", "far")).toEqual(["before: other x"])
        expect(yield* shared("other", "x")).toEqual(["before: r a,r far,r b"])
        yield* storage.recordSnapshot(taken({ nodeId: "a", moment: "after", at: later(4) }))
        expect(yield* shared("r", "a")).toEqual(["before: r b,other x", "after: r b,other x"])
        // The attempts of "a" and "b" are over, "other" has been left by its process.
        yield* storage.recordSnapshot(taken({ nodeId: "b", root: "/repo/packages", moment: "after", at: later(5) }))
        yield* storage.release("other", 1, later(6))
        yield* storage.recordSnapshot(taken({ runId: "third", nodeId: "late", at: later(7) }))
        expect(yield* shared("third", "late")).toEqual(["before: "])
      }),
    )

    holds("an attempt that was cut short is shared with no later one, and its next attempt begins again", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        yield* run.commit([started, begin("a")])
        yield* storage.recordSnapshot(taken({ nodeId: "a", at: later(1) }))
        const cut = { _tag: "AttemptInterrupted", nodeId: "a", iteration: 0, attempt: 1, reason: "crash" } as const
        yield* run.commit([cut, begin("a", 2), begin("b")])
        yield* storage.recordSnapshot(taken({ nodeId: "b", at: later(2) }))
        yield* storage.recordSnapshot(taken({ nodeId: "a", attempt: 2, at: later(3) }))
        const rows = yield* storage.snapshots({ runId: "r" })
        expect(rows.map(({ nodeId, attempt, sharedWith }) => [nodeId, attempt, sharedWith.map((one) => one.attempt)])).toEqual([
          ["a", 1, []],
          ["b", 1, [2]],
          ["a", 2, [1]],
        ])
      }),
    )
  })
}
