/** A denial stands: a run that failed by it fails by it again when it is resumed, until the node that was denied is retried; on every store. */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as RunRequest from "@smithers/core/RunRequest"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { journal, processOn, runningOn, stores, Text, workflow } from "./Flows.ts"

const ask = { request: () => ({ title: "?" }) }
const resumed = { runId: "r", onFailed: "resume" } as const

/** What stands of each node of a run. */
const nodesOf = (runId: string) =>
  Effect.flatMap(Storage, (storage) =>
    Effect.map(storage.inspect(runId), ({ nodes }) => Object.fromEntries(nodes.map(({ nodeId, status }) => [nodeId, status]))),
  )

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  it.effect("what was undone because of a denial is not done again by resuming", () =>
    on(
      Effect.gen(function* () {
        const { done, step, undoable } = journal()
        const w = workflow(($) => $.saga(undoable($, "book"), $.approval("ok", ask), step($, "pay")))
        yield* w.run({}, { runId: "r" })
        yield* Commands.deny("r", "ok", { by: "ann" })
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "ok" } })
        const [did, before] = [[...done], yield* nodesOf("r")]
        expect(did).toEqual(["book", "undo book 0"])
        for (let times = 0; times < 2; times++) {
          expect(yield* w.run({}, resumed)).toMatchObject({
            status: "failed",
            error: { nodeId: "ok", error: { message: "denied by ann" } },
          })
          expect(done).toEqual(did)
          expect(yield* nodesOf("r")).toEqual(before)
        }
        yield* TestClock.adjust("1 second")
        yield* Commands.retryNode("r", "ok")
        expect((yield* w.run({}, { runId: "r" })).status).toBe("waiting-approval")
        expect(done.slice(2)).toEqual(["book"])
        yield* Commands.approve("r", "ok")
        expect(yield* w.execute({}, { runId: "r" })).toBe("pay")
      }),
    ),
  )

  it.effect("a step whose approval was denied is not begun by resuming, and is asked for again when it is retried", () =>
    on(
      Effect.gen(function* () {
        const { done, step } = journal()
        const gated = { output: Text, needsApproval: true, run: () => "deployed" } as const
        const w = workflow(($) => $.sequence(step($, "build"), $.step("deploy", gated)))
        yield* w.run({}, { runId: "r" })
        yield* Commands.deny("r", "deploy")
        expect((yield* w.run({}, { runId: "r" })).status).toBe("failed")
        expect((yield* w.run({}, resumed)).status).toBe("failed")
        yield* TestClock.adjust("1 second")
        yield* Commands.retryNode("r", "deploy")
        expect((yield* w.run({}, { runId: "r" })).status).toBe("waiting-approval")
        yield* Commands.approve("r", "deploy")
        expect(yield* w.execute({}, { runId: "r" })).toBe("deployed")
        expect(done).toEqual(["build"])
      }),
    ),
  )

  it.effect("retrying another node does not lift a denial; what the denial depends on, or is in, does", () =>
    on(
      Effect.gen(function* () {
        const { step } = journal((id, count) => `${id} ${count}`)
        const w = workflow(($) => {
          const diff = step($, "diff")
          const ok = $.approval("ok", { needs: { diff }, request: ({ diff }) => ({ title: String(diff) }) })
          return $.sequence($.parallel($.sequence(diff, $.saga(ok, { id: "gate" })), step($, "aside")), step($, "after"))
        })
        const denied = Effect.gen(function* () {
          yield* Commands.deny("r", "ok")
          expect((yield* w.run({}, { runId: "r" })).status).toBe("failed")
        })
        yield* w.run({}, { runId: "r" })
        yield* denied
        yield* TestClock.adjust("1 second")
        yield* Commands.retryNode("r", "aside")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "ok" } })
        yield* TestClock.adjust("1 second")
        yield* Commands.retryNode("r", "gate")
        expect((yield* w.run({}, { runId: "r" })).status).toBe("waiting-approval")
        yield* denied
        yield* TestClock.adjust("1 second")
        yield* Commands.retryNode("r", "diff")
        expect((yield* w.run({}, { runId: "r" })).status).toBe("waiting-approval")
        yield* Commands.approve("r", "ok")
        expect((yield* w.run({}, { runId: "r" })).status).toBe("finished")
      }),
    ),
  )

  it.effect("a denial that a try caught, or that only leaves something out, is no reason to fail", () =>
    on(
      Effect.gen(function* () {
        const { step } = journal()
        let isBroken = true
        const w = workflow(($) =>
          $.sequence(
            $.tryCatch({ id: "t", try: $.approval("caught", ask), catch: step($, "instead") }),
            $.approval("left", { ...ask, onDeny: "skip" }),
            step($, "last", { fails: () => isBroken }),
          ),
        )
        yield* w.run({}, { runId: "r" })
        yield* Commands.deny("r", "caught")
        yield* w.run({}, { runId: "r" })
        yield* Commands.deny("r", "left")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "last" } })
        isBroken = false
        expect(yield* w.execute({}, resumed)).toBe("last")
      }),
    ),
  )

  it.effect(
    "a denial that a try caught stands where its catch failed: resuming starts the catch again, and nothing before it",
    () =>
      on(
        Effect.gen(function* () {
          const { done, step, undoable } = journal()
          let isBroken = true
          const w = workflow(($) =>
            $.sequence(
              $.tryCatch({
                id: "t",
                try: $.sequence(
                  step($, "before"),
                  $.saga($.sequence(undoable($, "book"), $.approval("ok", ask))),
                  step($, "never"),
                ),
                catch: $.sequence(step($, "told"), step($, "instead", { fails: () => isBroken })),
                finally: step($, "closed"),
              }),
              step($, "last"),
            ),
          )
          yield* w.run({}, { runId: "r" })
          yield* Commands.deny("r", "ok")
          for (const request of [{ runId: "r" }, resumed])
            expect(yield* w.run({}, request)).toMatchObject({ status: "failed", error: { nodeId: "instead" } })
          isBroken = false
          expect(yield* w.execute({}, resumed)).toBe("last")
          const again = ["instead", "closed"]
          expect(done).toEqual(["before", "book", "undo book 0", "told", ...again, ...again, ...again, "last"])
        }),
      ),
  )

  it.effect("a denial that a try caught is asked for again where it is retried after its catch failed", () =>
    on(
      Effect.gen(function* () {
        const { done, step } = journal()
        const w = workflow(($) =>
          $.tryCatch({ try: $.sequence($.approval("ok", ask), step($, "go")), catch: step($, "instead", { fails: () => true }) }),
        )
        yield* w.run({}, { runId: "r" })
        yield* Commands.deny("r", "ok")
        expect((yield* w.run({}, { runId: "r" })).status).toBe("failed")
        yield* TestClock.adjust("1 second")
        yield* Commands.retryNode("r", "instead")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "instead" } })
        yield* TestClock.adjust("1 second")
        yield* Commands.retryNode("r", "ok")
        expect((yield* w.run({}, { runId: "r" })).status).toBe("waiting-approval")
        yield* Commands.approve("r", "ok")
        expect(yield* w.execute({}, { runId: "r" })).toBe("go")
        expect(done).toEqual(["instead", "instead", "go"])
      }),
    ),
  )

  it.effect("a denial is lifted where edited code asks for nothing any more, and stands in another process", () =>
    Effect.provide(
      Effect.gen(function* () {
        const storage = yield* Storage
        const { step } = journal()
        const gated = { output: Text, run: () => "ok" }
        const asking = workflow(($) => $.sequence($.step("ok", { ...gated, needsApproval: true }), step($, "last")))
        const create = { workflow: "w", version: undefined, input: {}, tags: [] }
        const request = RunRequest.start("r", create, { reopen: ["failed"] })
        const first = yield* processOn(storage)
        yield* first.engine.joinUntilIdle(asking.definition, request)
        yield* Commands.deny("r", "ok")
        expect((yield* first.engine.joinUntilIdle(asking.definition, request)).status).toBe("failed")
        yield* first.stop
        const second = yield* processOn(storage)
        expect((yield* second.engine.joinUntilIdle(asking.definition, request)).status).toBe("failed")
        const edited = workflow(($) => $.sequence($.step("ok", gated), step($, "last")))
        expect(yield* second.engine.joinUntilIdle(edited.definition, request)).toMatchObject({ status: "finished", output: "last" })
        yield* second.stop
      }),
      store,
    ),
  )

  it.effect("a child run that was denied something fails its parent again, until it is retried there", () =>
    on(
      Effect.gen(function* () {
        const child = workflow(($) => $.approval("ok", ask), "child")
        const w = workflow(($) => $.subflow("sub", { workflow: child, input: () => ({}) }))
        yield* w.run({}, { runId: "r" })
        yield* Commands.deny("r~sub~0", "ok")
        expect((yield* w.run({}, { runId: "r" })).status).toBe("failed")
        expect((yield* w.run({}, resumed)).status).toBe("failed")
        yield* TestClock.adjust("1 second")
        yield* Commands.retryNode("r~sub~0", "ok")
        expect((yield* w.run({}, resumed)).status).toBe("waiting-approval")
        yield* Commands.approve("r~sub~0", "ok")
        expect(Either.isRight(yield* Effect.either(w.execute({}, { runId: "r" })))).toBe(true)
      }),
    ),
  )
})
