/** Waits for signals that are sent once they have begun. */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as Millis from "@smithers/core/Millis"
import { ports, Storage } from "@smithers/core/Storage"
import { keptText } from "@smithers/server/views/Signalled"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { runId, sweep } from "./Deaths.ts"
import { type Builder, runningOn, stores, Text, workflow } from "./Flows.ts"

const transient = ($: Builder, id: string, options: { readonly transient?: boolean } = { transient: true }) =>
  $.signal(id, { name: "go", payload: Text, ...options })

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)
  const start = ($: Builder) => $.signal("start", { name: "start", payload: Text })

  it.effect("a signal that was sent before is kept, for a wait that is not transient, and one that is sent after is taken", () =>
    on(
      Effect.gen(function* () {
        const w = workflow(($) =>
          $.sequence(start($), $.parallel(transient($, "later"), $.sequence(transient($, "first"), transient($, "any", {})))),
        )
        yield* w.run({}, { runId: "r" })
        yield* Commands.signal("r", "go", { payload: "before" })
        yield* Commands.signal("r", "start", { payload: "" })
        yield* w.run({}, { runId: "r" })
        const storage = yield* Storage
        expect((yield* storage.waits({ runId: "r" })).map(({ nodeId }) => nodeId)).toEqual(["later", "first"])
        const { signals } = yield* storage.load("r")
        expect(signals.map(({ payload }) => payload)).toEqual(["before"])
        expect(keptText("r", signals, yield* storage.waits({ runId: "r" }))).toBe(
          'Stored, and awaited by no node: the signal "go" (stored: "later" takes only signals sent after it started to wait).',
        )
        yield* TestClock.adjust("1 minute")
        yield* Commands.signal("r", "go", { payload: "one" })
        yield* Commands.signal("r", "go", { payload: "two" })
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "finished", output: ["one", "before"] })
        expect((yield* storage.load("r")).nodes).toSatisfy((nodes: Iterable<readonly [string, { readonly output?: unknown }]>) =>
          [...nodes].some(([key, { output }]) => key === "first/0" && output === "two"),
        )
      }),
    ),
  )

  it.effect("it is by the time at which a signal was sent, and not at which the run hears of it", () =>
    on(
      Effect.gen(function* () {
        const w = workflow(($) => transient($, "s"))
        yield* TestClock.adjust("10 seconds")
        yield* w.run({}, { runId: "r" })
        const storage = yield* Storage
        const sent = (id: string, at: number) =>
          storage.deliver({ id, runId: "r", at: Millis.make(at), command: { _tag: "Signal", name: "go", payload: id } })
        yield* sent("early", 9_999)
        // It is shown as what it is, also before the run hears of that.
        expect(yield* storage.waits({ runId: "r" })).toMatchObject([{ nodeId: "s", isAnswered: false, decidedAt: null }])
        expect((yield* storage.run("r")).run.status).toBe("waiting-event")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "waiting-event" })
        yield* TestClock.adjust("1 hour")
        yield* sent("late", 10_000)
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ output: "late" })
      }),
    ),
  )

  it.effect("an edit that makes a wait transient begins it again, and one that leaves it so does not", () =>
    on(
      Effect.gen(function* () {
        const code = (isTransient: boolean) => workflow(($) => transient($, "s", { transient: isTransient }))
        const asked = Effect.flatMap(Storage, (storage) =>
          Effect.map(storage.waits({ runId: "r" }), ([wait]) => wait?.requestCount),
        )
        yield* code(true).run({}, { runId: "r" })
        yield* code(true).run({}, { runId: "r" })
        expect(yield* asked).toBe(1)
        yield* code(false).run({}, { runId: "r" })
        expect(yield* asked).toBe(2)
        yield* code(true).run({}, { runId: "r" })
        expect(yield* asked).toBe(3)
        expect(code(true).plan.text).toContain('"transient":true')
        expect(code(false).plan.text).not.toContain("transient")
      }),
    ),
  )
})

it.live("takes the same signal whenever its process dies", () =>
  Effect.gen(function* () {
    const w = workflow(($) =>
      $.sequence($.signal("start", { name: "start", payload: Text }), transient($, "s"), transient($, "any", {})),
    )
    const { calm, disturbed } = yield* sweep({
      run: w.run({}, { runId }),
      act: (storage) =>
        Effect.gen(function* () {
          const open = (yield* storage.waits({ runId })).map(({ nodeId }) => nodeId)
          if (open.includes("start")) yield* Commands.signal(runId, "go", { payload: "before", id: "1" })
          if (open.includes("start")) yield* Commands.signal(runId, "start", { payload: "", id: "2" })
          if (open.includes("s")) yield* Commands.signal(runId, "go", { payload: "after", id: "3" })
        }).pipe(Effect.provide(ports(storage))),
    })
    expect(calm.result).toMatchObject({ status: "finished", output: "before" })
    expect(calm.rows.find(([key]) => key === "s/0")?.[2]).toBe("after")
    expect(disturbed.length).toBeGreaterThan(5)
    for (const { at, end } of disturbed) expect({ at, end }).toEqual({ at, end: calm })
  }),
)
