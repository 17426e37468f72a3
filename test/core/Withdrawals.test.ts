/**
 * Waits that nobody waits for any more: they left the plan, or the part they are in was given up. On every store.
 */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { type Builder, journal, runningOn, stores, Text, workflow } from "./Flows.ts"
import { rest } from "./Time.ts"

const asks = ($: Builder, id: string) => $.approval(id, { request: () => ({ title: "?" }), timeout: "1 day", onDeny: "continue" })
const nap = ($: Builder, id: string) => $.timer(id, { duration: "1 hour" })

const open = Effect.flatMap(Storage, (storage) =>
  Effect.map(storage.waits({}), (waits) => waits.map(({ nodeId, iteration }) => `${nodeId}/${iteration}`)),
)
const rows = Effect.flatMap(Storage, (storage) =>
  Effect.map(storage.waits({ all: true, limit: 1000 }), (waits) =>
    Object.fromEntries(
      waits.map(({ nodeId, iteration, status, reason, deadline }) => [
        `${nodeId}/${iteration}`,
        [status, reason, deadline] as const,
      ]),
    ),
  ),
)
const nodes = Effect.flatMap(Storage, (storage) =>
  Effect.map(storage.inspect("r"), ({ nodes }) =>
    Object.fromEntries(nodes.map(({ nodeId, iteration, status }) => [`${nodeId}/${iteration}`, status])),
  ),
)
const refuse = (): string => {
  throw new Error("no")
}
const dueAt = (now: number) => Effect.flatMap(Storage, (storage) => storage.runnable(now))

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  describe("a wait that edited code does not have", () => {
    it.effect("is closed when the run is resumed: not shown, never due, and not to be decided", () =>
      on(
        Effect.gen(function* () {
          const code = (suffix: string) =>
            workflow(($) =>
              $.parallel(asks($, `ask${suffix}`), nap($, `nap${suffix}`), $.signal(`sig${suffix}`, { name: "s", payload: Text })),
            )
          yield* code("").run({}, { runId: "r" })
          expect(yield* open).toEqual(["ask/0", "nap/0", "sig/0"])
          yield* TestClock.adjust("30 minutes")
          yield* code("2").run({}, { runId: "r" })
          expect(yield* open).toEqual(["ask2/0", "nap2/0", "sig2/0"])
          const withdrawn = ["withdrawn", "left-plan", null]
          expect(yield* rows).toMatchObject({ "ask/0": withdrawn, "nap/0": withdrawn, "sig/0": withdrawn })
          expect(yield* nodes).toMatchObject({
            "ask/0": "withdrawn",
            "nap/0": "withdrawn",
            "sig/0": "withdrawn",
            "ask2/0": "waiting",
          })
          const { runs, nextAt } = yield* dueAt(3_600_001)
          expect([runs, nextAt]).toEqual([[], 5_400_000])
          const error = yield* Effect.flip(Commands.approve("r", "ask"))
          expect(error).toMatchObject({ _tag: "NotWaiting", reason: "left-plan" })
          expect(error.message).toContain("the current plan does not reach it")
          expect((yield* Effect.flip(Commands.deny("r", "ask", { iteration: 0 })))._tag).toBe("NotWaiting")
        }),
      ),
    )

    it.effect("begins anew where the code is taken back, whatever was said of it before", () =>
      on(
        Effect.gen(function* () {
          const code = (id: string) => workflow(($) => $.sequence(nap($, "nap"), asks($, id)))
          yield* code("ask").run({}, { runId: "r" })
          yield* TestClock.adjust("1 hour")
          yield* code("ask").run({}, { runId: "r" })
          yield* Commands.approve("r", "ask")
          // Nobody has heard of it when the question is gone.
          yield* code("other").run({}, { runId: "r" })
          expect((yield* Effect.flip(Commands.approve("r", "ask")))._tag).toBe("NotWaiting")
          yield* TestClock.adjust("1 minute")
          expect(yield* code("ask").run({}, { runId: "r" })).toMatchObject({
            status: "waiting-approval",
            waits: [{ nodeId: "ask", deadline: 90_060_000 }],
          })
          expect(yield* open).toEqual(["ask/0"])
          yield* Commands.approve("r", "ask", { by: "ann" })
          expect(yield* code("ask").run({}, { runId: "r" })).toMatchObject({ output: { approved: true, decidedBy: "ann" } })
        }),
      ),
    )

    it.effect("is closed also where the plan has it, and does not come to it", () =>
      on(
        Effect.gen(function* () {
          const code = (isEdited: boolean) =>
            workflow(($) => (isEdited ? $.sequence(asks($, "first"), asks($, "ask")) : $.sequence(asks($, "ask"))))
          yield* code(false).run({}, { runId: "r" })
          yield* Commands.approve("r", "ask")
          yield* code(true).run({}, { runId: "r" })
          expect(yield* open).toEqual(["first/0"])
          expect(yield* rows).toMatchObject({ "ask/0": ["withdrawn", "left-plan", null] })
          yield* Commands.approve("r", "first")
          expect(yield* code(true).run({}, { runId: "r" })).toMatchObject({
            status: "waiting-approval",
            waits: [{ nodeId: "ask" }],
          })
        }),
      ),
    )

    it.effect("is closed in a paused run too, where the plan has it no more", () =>
      on(
        Effect.gen(function* () {
          const code = (id: string) => workflow(($) => asks($, id))
          yield* code("ask").run({}, { runId: "r" })
          yield* Commands.pause("r")
          expect((yield* code("other").run({}, { runId: "r" })).status).toBe("paused")
          expect(yield* open).toEqual([])
          expect((yield* Effect.flip(Commands.approve("r", "ask")))._tag).toBe("NotWaiting")
          yield* Commands.unpause("r")
          yield* code("other").run({}, { runId: "r" })
          expect(yield* open).toEqual(["other/0"])
        }),
      ),
    )

    it.effect("that was the gate of a step is closed, and the step begins", () =>
      on(
        Effect.gen(function* () {
          const code = (isGated: boolean) =>
            workflow(($) =>
              $.sequence(
                $.step("work", {
                  output: Text,
                  run: () => "done",
                  ...(isGated ? { needsApproval: true } : {}),
                }),
                nap($, "nap"),
              ),
            )
          yield* code(true).run({}, { runId: "r" })
          expect(yield* open).toEqual(["work/0"])
          yield* code(false).run({}, { runId: "r" })
          expect(yield* open).toEqual(["nap/0"])
          expect(yield* rows).toMatchObject({ "work/0": ["withdrawn", "left-plan", null] })
          expect(yield* nodes).toMatchObject({ "work/0": "finished" })
        }),
      ),
    )

    it.effect("that cannot say what it asks for any more is closed, and its node has failed", () =>
      on(
        Effect.gen(function* () {
          let isBroken = false
          const w = workflow(($) =>
            $.tryCatch({
              id: "t",
              try: $.approval("ask", {
                request: () => {
                  if (isBroken) throw new Error("no")
                  return { title: "?" }
                },
              }),
              catch: nap($, "nap"),
            }),
          )
          yield* w.run({}, { runId: "r" })
          isBroken = true
          yield* w.run({}, { runId: "r" })
          expect(yield* open).toEqual(["nap/0"])
          expect(yield* nodes).toMatchObject({ "ask/0": "failed" })
        }),
      ),
    )
  })

  describe("what is given up with a part of the plan", () => {
    const failing = ($: Builder) => $.step("bad", { output: Text, retry: false, run: refuse })

    it.effect("is closed at once, also while what stands beside it still runs", () =>
      on(
        Effect.gen(function* () {
          const w = workflow(($) =>
            $.tryCatch({
              id: "t",
              try: $.parallel(
                asks($, "ask"),
                nap($, "nap"),
                failing($),
                $.step("slow", { output: Text, run: () => Effect.as(Effect.sleep("1 minute"), "slow") }),
              ),
              catch: asks($, "instead"),
            }),
          )
          const fiber = yield* Effect.fork(w.run({}, { runId: "r" }))
          yield* rest
          expect(yield* open).toEqual([])
          expect(yield* rows).toEqual({ "ask/0": ["withdrawn", "given-up", null], "nap/0": ["withdrawn", "given-up", null] })
          const error = yield* Effect.flip(Commands.approve("r", "ask"))
          expect(error).toMatchObject({ _tag: "NotWaiting", reason: "given-up" })
          yield* TestClock.adjust("1 minute")
          expect(yield* Fiber.join(fiber)).toMatchObject({ status: "waiting-approval", waits: [{ nodeId: "instead" }] })
          expect((yield* dueAt(10_000_000)).runs).toEqual([])
        }),
      ),
    )

    it.effect("is closed where a try without a catch is left to its finally", () =>
      on(
        Effect.gen(function* () {
          const w = workflow(($) =>
            $.tryCatch({
              id: "t",
              try: $.parallel(asks($, "ask"), nap($, "nap"), failing($)),
              finally: asks($, "last"),
            }),
          )
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval", waits: [{ nodeId: "last" }] })
          expect(yield* open).toEqual(["last/0"])
          expect((yield* dueAt(3_600_001)).runs).toEqual([])
          expect((yield* Effect.flip(Commands.approve("r", "ask")))._tag).toBe("NotWaiting")
          yield* Commands.approve("r", "last")
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed" })
        }),
      ),
    )

    it.effect("is closed while a saga undoes what was done", () =>
      on(
        Effect.gen(function* () {
          const w = workflow(($) =>
            $.saga(
              $.step("book", { output: Text, run: () => "booked", compensate: () => Effect.sleep("1 hour") }),
              $.parallel(asks($, "ask"), failing($)),
            ),
          )
          const fiber = yield* Effect.fork(w.run({}, { runId: "r" }))
          yield* rest
          expect(yield* open).toEqual([])
          expect(yield* Effect.flip(Commands.deny("r", "ask"))).toMatchObject({ _tag: "NotWaiting", reason: "given-up" })
          yield* TestClock.adjust("1 hour")
          expect(yield* Fiber.join(fiber)).toMatchObject({ status: "failed" })
        }),
      ),
    )

    it.effect("is no retry of a step that is pending, either", () =>
      on(
        Effect.gen(function* () {
          const w = workflow(($) =>
            $.tryCatch({
              id: "t",
              try: $.parallel(
                $.step("again", {
                  output: Text,
                  retry: { initialDelay: "1 hour", jitter: false },
                  run: refuse,
                }),
                $.sequence($.timer("soon", { duration: "1 minute" }), failing($)),
              ),
              catch: asks($, "instead"),
            }),
          )
          const fiber = yield* Effect.fork(w.execute({}, { runId: "r" }))
          yield* rest
          expect(yield* nodes).toMatchObject({ "again/0": "retrying" })
          yield* TestClock.adjust("1 minute")
          yield* rest
          expect(yield* nodes).toMatchObject({ "again/0": "withdrawn", "instead/0": "waiting" })
          yield* Commands.approve("r", "instead")
          yield* Fiber.join(fiber)
          expect(yield* nodes).toMatchObject({ "again/0": "withdrawn" })
        }),
      ),
    )

    it.effect("with the whole run is asked anew when that is resumed, and a timer keeps its time", () =>
      on(
        Effect.gen(function* () {
          let isBad = true
          const w = workflow(($) =>
            $.parallel(
              asks($, "ask"),
              $.timer("nap", { duration: "10 hours" }),
              $.step("bad", { output: Text, retry: false, run: () => (isBad ? refuse() : "good") }),
            ),
          )
          expect((yield* w.run({}, { runId: "r" })).status).toBe("failed")
          expect(yield* open).toEqual([])
          expect(yield* Effect.flip(Commands.approve("r", "ask"))).toMatchObject({ _tag: "RunEnded" })
          isBad = false
          yield* TestClock.adjust("2 hours")
          const fiber = yield* Effect.fork(w.resume("r"))
          yield* rest
          const storage = yield* Storage
          expect(yield* storage.waits({})).toMatchObject([
            { nodeId: "ask", deadline: 93_600_000, since: 7_200_000 },
            { nodeId: "nap", deadline: 36_000_000, since: 7_200_000 },
          ])
          yield* Commands.approve("r", "ask")
          yield* TestClock.adjust("8 hours")
          expect(yield* Fiber.join(fiber)).toMatchObject([{ approved: true }, undefined, "good"])
        }),
      ),
    )
  })

  describe("rows of passes that are past", () => {
    it.effect("say so after a retry upstream, and wait for nobody", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = journal((id, count) => `${id} ${count}`)
          let passes = 2
          const w = workflow(($) => {
            const spec = step($, "spec")
            return $.sequence(
              spec,
              $.loop({
                id: "loop",
                needs: { spec },
                maxIterations: 10,
                until: ({ iteration }) => iteration >= passes,
                body: $.sequence(step($, "draft"), asks($, "ask"), step($, "after")),
              }),
            )
          })
          yield* w.run({}, { runId: "r" })
          yield* Commands.approve("r", "ask")
          yield* w.run({}, { runId: "r" })
          expect(yield* open).toEqual(["ask/1"])
          passes = 1
          yield* Commands.retryNode("r", "spec")
          yield* w.run({}, { runId: "r" })
          expect(yield* open).toEqual(["ask/2"])
          expect(yield* Effect.flip(Commands.approve("r", "ask", { iteration: 1 }))).toMatchObject({
            _tag: "NotWaiting",
            reason: "superseded",
          })
          yield* Commands.approve("r", "ask", { iteration: 2 })
          expect((yield* w.run({}, { runId: "r" })).status).toBe("finished")
          expect(yield* nodes).toMatchObject({
            "draft/1": "finished",
            "ask/1": "superseded",
            "draft/2": "finished",
            "ask/2": "finished",
          })
          expect(done.filter((id) => id === "after")).toHaveLength(2)
        }),
      ),
    )

    it.effect("say so where an attempt was in flight, or to be made again", () =>
      on(
        Effect.gen(function* () {
          let isSlow = true
          const w = workflow(($) => {
            const spec = $.step("spec", { output: Text, run: () => "" })
            return $.sequence(
              spec,
              $.loop({
                id: "loop",
                needs: { spec },
                maxIterations: 1,
                until: () => false,
                body: $.parallel(
                  $.step("slow", { output: Text, run: () => (isSlow ? Effect.never : "quick") }),
                  $.step("again", {
                    output: Text,
                    retry: { initialDelay: "1 hour" },
                    run: () => (isSlow ? refuse() : "now"),
                  }),
                ),
              }),
            )
          })
          const fiber = yield* Effect.fork(w.execute({}, { runId: "r" }))
          yield* rest
          isSlow = false
          yield* Commands.retryNode("r", "spec")
          yield* rest
          yield* Fiber.join(fiber)
          expect(yield* nodes).toEqual({
            "spec/0": "finished",
            "loop/0": "finished",
            "slow/0": "superseded",
            "slow/1": "finished",
            "again/0": "superseded",
            "again/1": "finished",
          })
        }),
      ),
    )
  })
})
