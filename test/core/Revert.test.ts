/** What a revert resets, what an undo brings back, and which commands it heeds, on both stores. */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as RunState from "@smithers/core/RunState"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { journal, runningOn, stores, workflow } from "./Flows.ts"

const records = Effect.gen(function* () {
  const state = yield* (yield* Storage).load("r")
  return Object.fromEntries(
    RunState.records(state).map((record) => [`${record.nodeId}/${record.iteration}`, record.status] as const),
  )
})

/** The output of the event that ended the run, as of each frame that ended it. */
const endings = Effect.gen(function* () {
  const storage = yield* Storage
  const { entries } = yield* storage.history("r")
  const ends = entries.filter(({ event }) => event._tag === "RunFinished")
  return yield* Effect.forEach(ends, ({ frame, event }) =>
    Effect.map(storage.load("r", { frame }), ({ output }) => [output, "output" in event ? event.output : undefined]),
  )
})

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  it.effect("each end of a run keeps the output that it had then, in the log and in the state as of its frame", () =>
    on(
      Effect.gen(function* () {
        const { step } = journal((id, count) => `${id}${count}`)
        const w = workflow(($) => step($, "a"))
        expect(yield* w.execute({}, { runId: "r" })).toBe("a1")
        for (const output of ["a2", "a3"]) {
          yield* w.revert("r", { node: "a" })
          expect(yield* w.execute({}, { runId: "r" })).toBe(output)
        }
        yield* w.revert("r", { node: "a" })
        expect(yield* endings).toEqual([
          ["a1", "a1"],
          ["a2", "a2"],
          ["a3", "a3"],
        ])
      }),
    ),
  )

  it.effect("an undo brings back decisions, answers, races and loops as they were, and nobody is asked again", () =>
    on(
      Effect.gen(function* () {
        const { done, step } = journal((id, count) => `${id}${count}`)
        const w = workflow(($) => {
          const first = step($, "first")
          const ok = $.approval("ok", { needs: { first }, request: { title: "?" } })
          const human = $.human("human", { prompt: "?", output: Schema.String })
          const race = $.race({ won: human, lost: $.timer("never", { duration: "1 hour" }) }, { id: "race" })
          const pass = step($, "pass", { needs: { race } })
          const loop = $.loop({ id: "loop", maxIterations: 3, until: () => false, body: pass })
          return $.sequence(first, ok, race, loop, step($, "last", { needs: { ok } }))
        })
        yield* w.run({}, { runId: "r" })
        yield* Commands.approve("r", "ok", { by: "ann" })
        yield* w.run({}, { runId: "r" })
        yield* Commands.answer("r", "human", "hello")
        expect(yield* w.execute({}, { runId: "r" })).toBe("last5")
        const before = yield* records
        for (const node of ["first", "race", "pass", "ok"]) {
          const { resets } = yield* w.revert("r", { node })
          expect(resets.length).toBeGreaterThan(0)
          const { restored, notes } = yield* w.revert("r", { undo: true })
          expect([restored.length > 0, notes]).toEqual([true, []])
          expect(yield* records).toEqual(before)
          expect(yield* w.execute({}, { runId: "r" })).toBe("last5")
        }
        expect(done).toEqual(["first", "pass", "pass", "pass", "last"])
        yield* w.revert("r", { node: "last" })
        yield* w.execute({}, { runId: "r" })
        const { restored, notes } = yield* w.revert("r", { undo: true })
        expect([restored, notes]).toEqual([[], [expect.stringContaining("gone on since")]])
      }),
    ),
  )

  it.effect("a revert asks again for what was denied, or the run would fail before it comes to anything else", () =>
    on(
      Effect.gen(function* () {
        const { done, step } = journal()
        const w = workflow(($) => $.sequence(step($, "a"), $.approval("ok", { request: { title: "?" } }), step($, "b")))
        yield* w.run({}, { runId: "r" })
        yield* Commands.deny("r", "ok")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed" })
        yield* w.revert("r", { node: "a" })
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
        yield* Commands.approve("r", "ok")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "finished" })
        expect(done).toEqual(["a", "a", "b"])
      }),
    ),
  )

  it.effect("a loop whose passes have read what is reset begins again as a whole", () =>
    on(
      Effect.gen(function* () {
        const { step } = journal((id, count) => `${id}${count}`)
        const seen: Array<string> = []
        const w = workflow(($) => {
          const a = step($, "a")
          const read = $.step("read", {
            needs: { a },
            output: Schema.String,
            run: ({ a }) => {
              seen.push(a)
              return a
            },
          })
          return $.sequence(a, $.loop({ id: "loop", maxIterations: 2, until: () => false, body: read }))
        })
        yield* w.execute({}, { runId: "r" })
        yield* w.revert("r", { node: "a" })
        expect(yield* w.execute({}, { runId: "r" })).toBe("a2")
        expect(seen).toEqual(["a1", "a1", "a2", "a2"])
      }),
    ),
  )

  it.effect("a step that is reset is asked again if it is to be skipped, since it may be given something else", () =>
    on(
      Effect.gen(function* () {
        const { done, step } = journal((id, count) => `${id}${count}`)
        const w = workflow(($) => {
          const a = step($, "a")
          return $.sequence(
            a,
            $.step("b", { needs: { a }, skipIf: ({ a }) => a !== "a1", output: Schema.String, run: () => `b${done.push("b")}` }),
          )
        })
        expect(yield* w.execute({}, { runId: "r" })).toBe("b2")
        yield* w.revert("r", { node: "a" })
        expect(yield* w.execute({}, { runId: "r" })).toBeUndefined()
        expect(done).toEqual(["a", "b", "a"])
      }),
    ),
  )

  it.effect("an undo of a revert of a failed run brings back its outputs, says that it is suspended, and it tries again", () =>
    on(
      Effect.gen(function* () {
        const { done, step } = journal((id) => id)
        const w = workflow(($) =>
          $.sequence(
            step($, "a"),
            $.step("b", {
              output: Schema.String,
              retry: { maxAttempts: 1 },
              run: () => {
                throw new Error("no")
              },
            }),
          ),
        )
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed" })
        yield* w.revert("r", { node: "a" })
        const { restored, notes } = yield* w.revert("r", { undo: true })
        expect([restored, notes]).toEqual([
          [{ nodeId: "a", iteration: 0 }],
          ["The run had failed. It is suspended now, and tries again what had failed when it is resumed."],
        ])
        expect((yield* (yield* Storage).run("r")).run.status).toBe("suspended")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed" })
        expect(done).toEqual(["a"])
      }),
    ),
  )

  it.effect("a run that was told to cancel is not reverted; one that was told to pause is, and pauses then", () =>
    on(
      Effect.gen(function* () {
        const { step } = journal()
        const w = workflow(($) => $.sequence(step($, "a"), $.approval("ok", { request: { title: "?" } }), step($, "b")))
        yield* w.run({}, { runId: "r" })
        yield* Commands.pause("r")
        yield* w.revert("r", { node: "a" })
        expect(yield* w.revert("r", { undo: true })).toMatchObject({ restored: [{ nodeId: "a" }] })
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "paused" })
        yield* Commands.cancel("r")
        const before = yield* (yield* Storage).load("r")
        for (const options of [{ node: "a" }, { undo: true }])
          expect(yield* Effect.flip(w.revert("r", options))).toMatchObject({
            _tag: "RevertRefused",
            reason: "in-the-way",
            message: expect.stringContaining("it is being cancelled"),
          })
        expect((yield* (yield* Storage).load("r")).seq).toBe(before.seq)
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "cancelled" })
      }),
    ),
  )
})
