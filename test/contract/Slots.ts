/**
 * What every store must do with the slots of limits, as one suite over any layer of `Storage`. Each case gets a store of its own.
 */
import { expect, it } from "@effect/vitest"
import { RunFenced, UnknownLimit } from "@smithers/core/Errors"
import type { LimitSettings } from "@smithers/core/Limits"
import * as Millis from "@smithers/core/Millis"
import type { SlotRequest } from "@smithers/core/Slots"
import { type Ports, Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe } from "vitest"
import * as History from "./History.ts"

const { later, newRun, start } = History

/** Declares the suite for a store. */
export const suite = (name: string, layer: Layer.Layer<Ports, unknown>): void => {
  const holds = (title: string, body: (storage: Storage["Type"]) => Effect.Effect<void, unknown, Storage>) =>
    it.effect(title, () => Effect.provide(Effect.flatMap(Storage, body), layer))
  const claimed = (storage: Storage["Type"], ...runIds: ReadonlyArray<string>) =>
    Effect.forEach(runIds, (runId) =>
      storage.open({ runId, create: newRun, reopen: [], leaseMs: Millis.make(10 * 3_600_000), now: start }),
    )
  /** A store with limits, and two claimed runs. */
  const made = (storage: Storage["Type"], limits: LimitSettings) =>
    Effect.gen(function* () {
      yield* claimed(storage, "r", "s")
      yield* storage.configureLimits(limits, start)
      const ask = (given: Partial<SlotRequest> = {}) =>
        storage.requestSlot({
          ...{ name: "a", key: "", runId: "r", epoch: 1, nodeId: "n", iteration: 0, attempt: 1, now: start },
          ...given,
        })
      const leave = (place: number, isUsed = true, now = start) => storage.leaveSlots([{ name: "a", place }], isUsed, now)
      const granted = (places: ReadonlyArray<number>, now = start) =>
        Effect.map(
          storage.pollSlots(
            places.map((place) => ({ name: "a", place })),
            now,
          ),
          ({ granted }) => granted.map(({ place }) => place),
        )
      return { ask, leave, granted }
    })

  describe(`${name}: slots of limits`, () => {
    holds(
      "are given in the order of the requests, as many as the limit says, and those that are given back to the next",
      (storage) =>
        Effect.gen(function* () {
          const { ask, leave, granted } = yield* made(storage, { a: { concurrency: 2 } })
          const given = yield* Effect.forEach([1, 2, 3, 4, 5], (attempt) => ask({ attempt }))
          expect(given.map(({ isGranted }) => isGranted)).toEqual([true, true, false, false, false])
          const places = given.map(({ place }) => place)
          const [first = 0, second = 0, third = 0, fourth = 0, fifth = 0] = places
          expect(yield* granted(places)).toEqual([first, second])
          yield* leave(second)
          expect(yield* granted([first, third, fourth, fifth])).toEqual([first, third])
          yield* leave(fourth, false)
          yield* leave(first)
          expect(yield* granted([third, fifth])).toEqual([third, fifth])
          const [stored] = yield* storage.limits
          expect(stored).toMatchObject({ name: "a", limit: { concurrency: 2 }, held: 2, waiting: 0 })
        }),
    )

    holds("are counted for each key", (storage) =>
      Effect.gen(function* () {
        const { ask } = yield* made(storage, { a: { concurrency: 1 } })
        expect((yield* ask({ key: "acme" })).isGranted).toBe(true)
        expect((yield* ask({ key: "acme" })).isGranted).toBe(false)
        expect((yield* ask({ key: "other" })).isGranted).toBe(true)
      }),
    )

    holds("have as many places before them as waits tell, while their claim is the current one", (storage) =>
      Effect.gen(function* () {
        const { ask } = yield* made(storage, { a: { concurrency: 1 } })
        yield* ask()
        yield* ask({ runId: "s", nodeId: "m", attempt: 3 })
        yield* ask({ nodeId: "o", now: later(5) })
        expect(yield* storage.slotWaits("r")).toEqual([
          { name: "a", key: "", nodeId: "o", iteration: 0, attempt: 1, before: 1, since: later(5) },
        ])
        expect((yield* storage.inspect("s")).slots).toMatchObject([{ nodeId: "m", attempt: 3, before: 0 }])
        yield* storage.release("s", 1, start)
        expect(yield* storage.slotWaits("s")).toEqual([])
      }),
    )

    holds("of a limit that no process has configured are refused, and those of a lost claim too", (storage) =>
      Effect.gen(function* () {
        const { ask } = yield* made(storage, { a: { concurrency: 1 }, b: { perHour: 1 } })
        expect(yield* Effect.flip(ask({ name: "c" }))).toEqual(new UnknownLimit({ limit: "c", known: ["a", "b"] }))
        expect(yield* Effect.flip(ask({ epoch: 2 }))).toEqual(new RunFenced({ runId: "r", epoch: 2 }))
        yield* storage.release("r", 1, start)
        expect(yield* Effect.flip(ask())).toEqual(new RunFenced({ runId: "r", epoch: 1 }))
      }),
    )

    holds("come back once the claim that holds them is lost, and places of lost claims are passed over", (storage) =>
      Effect.gen(function* () {
        const { ask, granted } = yield* made(storage, { a: { concurrency: 1 } })
        yield* claimed(storage, "t")
        expect((yield* ask()).isGranted).toBe(true)
        yield* ask({ runId: "s" })
        const { place } = yield* ask({ runId: "t" })
        expect(yield* granted([place])).toEqual([])
        yield* storage.release("r", 1, start)
        yield* storage.release("s", 1, start)
        // Another claim of the run is not the one that held the slot.
        yield* claimed(storage, "r")
        expect(yield* granted([place])).toEqual([place])
      }),
    )

    holds("are given as often as each rate says in any window of its length, and the next look says when one opens", (storage) =>
      Effect.gen(function* () {
        const { ask, leave } = yield* made(storage, { a: { perMinute: 2, perHour: 3 } })
        const minute = 60_000
        for (const at of [0, 20_000]) {
          const { place, isGranted } = yield* ask({ now: later(at) })
          expect(isGranted).toBe(true)
          yield* leave(place, true, later(at))
        }
        const third = yield* ask({ now: later(minute - 1) })
        expect(third.isGranted).toBe(false)
        const look = (at: number, place: number) => storage.pollSlots([{ name: "a", place }], later(at))
        expect(yield* look(minute - 1, third.place)).toMatchObject({ granted: [], opensAt: later(minute) })
        expect((yield* look(minute, third.place)).granted).toHaveLength(1)
        yield* leave(third.place, true, later(minute))
        const fourth = yield* ask({ now: later(10 * minute) })
        expect(yield* look(10 * minute, fourth.place)).toMatchObject({ granted: [], opensAt: later(60 * minute) })
        expect((yield* look(60 * minute, fourth.place)).granted).toHaveLength(1)
      }),
    )

    holds("under which nothing has begun count for no rate", (storage) =>
      Effect.gen(function* () {
        const { ask, leave } = yield* made(storage, { a: { perMinute: 1 } })
        const first = yield* ask()
        yield* leave(first.place, false)
        expect((yield* ask()).isGranted).toBe(true)
        expect((yield* ask()).isGranted).toBe(false)
      }),
    )

    holds("of a rate are not held back for ever by a clock that was set back", (storage) =>
      Effect.gen(function* () {
        const { ask, granted } = yield* made(storage, { a: { perSecond: 1 } })
        yield* ask({ now: later(3_600_000) })
        const { place } = yield* ask()
        expect(yield* granted([place], later(1000))).toEqual([place])
      }),
    )

    holds("follow a limit that is lowered or raised at once, and the last that configures it decides", (storage) =>
      Effect.gen(function* () {
        const { ask, leave, granted } = yield* made(storage, { a: { concurrency: 3 } })
        const places = (yield* Effect.forEach([1, 2, 3, 4], (attempt) => ask({ attempt }))).map(({ place }) => place)
        const [first = 0, second = 0, third = 0, fourth = 0] = places
        yield* storage.configureLimits({ a: { concurrency: 1 } }, start)
        yield* leave(first)
        yield* leave(second)
        expect(yield* granted([third, fourth])).toEqual([third])
        yield* leave(third)
        expect(yield* granted([fourth])).toEqual([fourth])
        yield* ask()
        const { place } = yield* ask()
        yield* storage.configureLimits({ a: { concurrency: 3 } }, start)
        expect(yield* granted([place])).toEqual([place])
      }),
    )

    holds("are asked for again at the place that was left", (storage) =>
      Effect.gen(function* () {
        const { ask, leave, granted } = yield* made(storage, { a: { concurrency: 1 } })
        const holder = yield* ask()
        const early = yield* ask()
        const late = yield* ask()
        yield* leave(early.place, false)
        expect((yield* ask({ place: early.place })).place).toBe(early.place)
        yield* leave(holder.place)
        expect(yield* granted([early.place, late.place])).toEqual([early.place])
      }),
    )

    holds("of a run that was released to wait are kept for it in its turn, for a while, and then go to the next", (storage) =>
      Effect.gen(function* () {
        const { ask, leave, granted } = yield* made(storage, { a: { concurrency: 1 } })
        yield* claimed(storage, "t")
        const holder = yield* ask()
        const resting = yield* ask({ runId: "s", nodeId: "m" })
        const live = yield* ask({ runId: "t" })
        yield* storage.release("s", 1, start, "waiting")
        const dueAt = (now: number) => Effect.map(storage.runnable(now), ({ runs }) => runs.map(({ runId }) => runId))
        expect(yield* dueAt(start)).toEqual([])
        expect((yield* storage.run("s")).run.status).toBe("waiting-quota")
        expect(yield* storage.slotWaits("s")).toMatchObject([{ nodeId: "m", before: 0 }])
        yield* leave(holder.place)
        expect(yield* dueAt(start)).toEqual(["s"])
        const look = storage.pollSlots([{ name: "a", place: live.place }], later(9999))
        expect(yield* look).toMatchObject({ granted: [], opensAt: later(10_000) })
        expect(yield* granted([live.place], later(10_000))).toEqual([live.place])
        // It stays due, and is first again once it is resumed.
        expect(yield* dueAt(later(10_000))).toEqual(["s"])
        yield* claimed(storage, "s")
        const again = yield* ask({ runId: "s", epoch: 2, nodeId: "m", attempt: 2, now: later(11_000) })
        expect(again).toEqual({ place: resting.place, isGranted: false })
        expect(yield* storage.slotWaits("s")).toMatchObject([{ attempt: 2, since: start }])
      }),
    )

    holds("are kept for no other run that rests while one does not accept its own", (storage) =>
      Effect.gen(function* () {
        const { ask, leave, granted } = yield* made(storage, { a: { concurrency: 1 } })
        yield* claimed(storage, "t", "u")
        const holder = yield* ask()
        yield* ask({ runId: "s" })
        yield* ask({ runId: "t" })
        const live = yield* ask({ runId: "u" })
        for (const runId of ["s", "t"]) yield* storage.release(runId, 1, start, "waiting")
        yield* leave(holder.place)
        expect(yield* granted([live.place], later(10_000))).toEqual([live.place])
      }),
    )

    holds("of a run that rests are due when a rate window opens, and when the process that held one has died", (storage) =>
      Effect.gen(function* () {
        const { ask } = yield* made(storage, { a: { perMinute: 1 }, b: { concurrency: 1 } })
        const { place } = yield* ask()
        yield* storage.leaveSlots([{ name: "a", place }], true, start)
        yield* ask({ runId: "s" })
        yield* storage.release("s", 1, start, "waiting")
        expect(yield* storage.runnable(later(1000))).toEqual({ runs: [], nextAt: later(60_000) })
        expect((yield* storage.runnable(later(60_000))).runs).toMatchObject([{ runId: "s" }])
        yield* claimed(storage, "t")
        yield* ask({ name: "b" })
        yield* ask({ name: "b", runId: "t" })
        yield* storage.release("t", 1, start, "waiting")
        expect((yield* storage.runnable(start)).runs).toEqual([])
        yield* storage.release("r", 1, start)
        expect((yield* storage.runnable(start)).runs.map(({ runId }) => runId).sort()).toEqual(["r", "t"])
      }),
    )

    holds("that came while the run was released are its to take, and places of its earlier claims do not wake it", (storage) =>
      Effect.gen(function* () {
        const { ask, leave } = yield* made(storage, { a: { concurrency: 1 }, b: { concurrency: 1 } })
        const holder = yield* ask()
        yield* ask({ name: "b" })
        yield* ask({ runId: "s" })
        yield* ask({ name: "b", runId: "s", nodeId: "gone" })
        // The slot is given before the process of the run has heard of it.
        yield* leave(holder.place)
        yield* storage.release("s", 1, start, "waiting")
        expect((yield* storage.runnable(start)).runs).toMatchObject([{ runId: "s" }])
        yield* claimed(storage, "s")
        expect((yield* ask({ runId: "s", epoch: 2 })).isGranted).toBe(true)
        yield* storage.release("s", 2, start, "waiting")
        expect(yield* storage.slotWaits("s")).toMatchObject([{ name: "a" }])
      }),
    )

    holds("of an earlier claim are asked for again at the same place, which a late return does not take away", (storage) =>
      Effect.gen(function* () {
        const { ask, leave, granted } = yield* made(storage, { a: { concurrency: 1 } })
        yield* claimed(storage, "t")
        const holder = yield* ask({ runId: "t" })
        const before = yield* ask({ runId: "r", nodeId: "m" })
        const other = yield* ask({ runId: "s" })
        // Its process stops, as a crash would leave it.
        yield* storage.release("r", 1, start)
        yield* claimed(storage, "r")
        expect((yield* ask({ epoch: 2, nodeId: "m" })).place).toBe(before.place)
        yield* storage.leaveSlots([{ name: "a", place: before.place, epoch: 1 }], false, start)
        yield* leave(holder.place)
        expect(yield* granted([before.place, other.place])).toEqual([before.place])
      }),
    )

    holds("of runs that have ended are no one's", (storage) =>
      Effect.gen(function* () {
        const { ask, leave, granted } = yield* made(storage, { a: { concurrency: 1 } })
        const ending = yield* History.journal("v")
        const holder = yield* ask()
        yield* ask({ runId: "v" })
        const live = yield* ask({ runId: "s" })
        yield* ending.commit([History.started, { _tag: "RunCancelled" }])
        expect(yield* storage.limits).toMatchObject([{ waiting: 1 }])
        expect(yield* storage.slotWaits("s")).toMatchObject([{ before: 0 }])
        yield* leave(holder.place)
        expect(yield* granted([live.place])).toEqual([live.place])
      }),
    )

    holds("that were lost are told, so that whoever waits asks again", (storage) =>
      Effect.gen(function* () {
        const { ask, leave } = yield* made(storage, { a: { concurrency: 1 } })
        yield* ask()
        const { place } = yield* ask()
        yield* leave(place, false)
        expect((yield* storage.pollSlots([{ name: "a", place }], start)).lost).toEqual([{ name: "a", place }])
      }),
    )
  })
}
