/**
 * Attempts that have to wait, for a person or for a limit to pass; on every store.
 */
import { expect, it } from "@effect/vitest"
import { Smithers } from "@smithers/core"
import { type AttemptRequest, AttemptSuspended } from "@smithers/core/AgentJournal"
import * as Commands from "@smithers/core/Commands"
import { Storage } from "@smithers/core/Storage"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { type Builder, runningOn, stores, Text, workflow } from "./Flows.ts"
import { rest } from "./Time.ts"

const digest = "d".repeat(64)
const approval: AttemptRequest = { kind: "approval", request: { title: "Send it?", tool: "send" }, digest }

/** A step whose attempts up to a number are suspended. */
const suspending = (request: (now: number) => AttemptRequest = () => approval, count = 1) => {
  const attempts: Array<number> = []
  const step = ($: Builder, needsApproval = false) =>
    $.step("send", {
      output: Text,
      retry: false,
      ...(needsApproval ? { needsApproval } : {}),
      run: ({ attempt }) =>
        Effect.gen(function* () {
          attempts.push(attempt)
          if (attempt > count) return "sent"
          return yield* new AttemptSuspended({ request: request(yield* Clock.currentTimeMillis) })
        }),
    })
  return { attempts, step }
}

describe.each(stores)("on %s", (_, layer) => {
  const on = runningOn(layer)
  const waits = Effect.flatMap(Storage, (storage) => storage.waits({ runId: "r", all: true }))
  const details = Effect.flatMap(Storage, (storage) => storage.inspect("r"))

  describe("an attempt that waits for a person", () => {
    for (const isApproved of [true, false]) {
      it.effect(`is followed by the next one once it is ${isApproved ? "approved" : "denied"}, and uses up no retry`, () =>
        on(
          Effect.gen(function* () {
            const { attempts, step } = suspending()
            const sends = workflow(step)
            expect(yield* sends.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
            expect(yield* waits).toMatchObject([
              { nodeId: "send", kind: "approval", status: "open", request: { title: "Send it?" }, digest, deadline: null },
            ])
            yield* isApproved ? Commands.approve("r", "send", { by: "ann" }) : Commands.deny("r", "send", { by: "ann" })
            expect(yield* sends.run({}, { runId: "r" })).toMatchObject({ status: "finished", output: "sent" })
            expect(attempts).toEqual([1, 2])
            expect(yield* waits).toMatchObject([{ status: "finished", approved: isApproved, by: "ann" }])
            expect((yield* details).attempts.map(({ status }) => status)).toEqual(["interrupted", "succeeded"])
          }),
        ),
      )
    }

    it.effect("goes on in the process that waits", () =>
      on(
        Effect.gen(function* () {
          const { attempts, step } = suspending()
          const running = yield* Effect.fork(workflow(step).execute({}, { runId: "r" }))
          yield* rest
          yield* Commands.approve("r", "send")
          yield* rest
          expect(yield* Fiber.join(running)).toBe("sent")
          expect(attempts).toEqual([1, 2])
        }),
      ),
    )

    it.effect("goes on when its time to decide is over", () =>
      on(
        Effect.gen(function* () {
          const { attempts, step } = suspending(() => ({ ...approval, timeoutMs: 60_000 }))
          const sends = workflow(step)
          yield* sends.run({}, { runId: "r" })
          yield* TestClock.adjust("61 seconds")
          expect(yield* Effect.flip(Commands.approve("r", "send"))).toMatchObject({ _tag: "WaitExpired" })
          expect(yield* sends.run({}, { runId: "r" })).toMatchObject({ output: "sent" })
          expect(attempts).toEqual([1, 2])
        }),
      ),
    )

    it.effect("may wait several times, each time for a decision of its own", () =>
      on(
        Effect.gen(function* () {
          const { attempts, step } = suspending((now) => ({ ...approval, digest: `${now}`.padEnd(64, "0") }), 3)
          const sends = workflow(step)
          for (let round = 1; round <= 3; round++) {
            expect(yield* sends.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
            expect(yield* sends.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
            expect(attempts.length).toBe(round)
            yield* TestClock.adjust("1 second")
            yield* Commands.approve("r", "send")
          }
          expect(yield* sends.run({}, { runId: "r" })).toMatchObject({ output: "sent" })
          expect(attempts).toEqual([1, 2, 3, 4])
        }),
      ),
    )

    it.effect("does not ask for the approval of its step again", () =>
      on(
        Effect.gen(function* () {
          const { attempts, step } = suspending()
          const sends = workflow(($) => step($, true))
          yield* sends.run({}, { runId: "r" })
          yield* Commands.approve("r", "send")
          expect(yield* sends.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
          expect(attempts).toEqual([1])
          yield* Commands.approve("r", "send")
          expect(yield* sends.run({}, { runId: "r" })).toMatchObject({ output: "sent" })
          expect(attempts).toEqual([1, 2])
        }),
      ),
    )

    it.effect("holds no slot of the run, and its place in its group", () =>
      on(
        Effect.gen(function* () {
          const { step } = suspending()
          const done: Array<string> = []
          const run = ({ stepId }: { readonly stepId: string }) => {
            done.push(stepId)
            return stepId
          }
          const slots = Smithers.createWorkflow({ name: "slots", input: Schema.Struct({}), maxConcurrency: 1 }).build(($) =>
            $.parallel(step($), $.step("b", { output: Text, run })),
          )
          expect(yield* slots.run({}, { runId: "s" })).toMatchObject({ status: "waiting-approval" })
          expect(done).toEqual(["b"])
          const group = workflow(($) => $.parallel(step($), $.step("c", { output: Text, run }), { maxConcurrency: 1 }), "group")
          expect(yield* group.run({}, { runId: "g" })).toMatchObject({ status: "waiting-approval" })
          expect(done).toEqual(["b"])
        }),
      ),
    )

    it.effect("is withdrawn with its run, and asks again when that is resumed", () =>
      on(
        Effect.gen(function* () {
          const { attempts, step } = suspending(undefined, 2)
          const sends = workflow(step)
          yield* sends.run({}, { runId: "r" })
          yield* Commands.cancel("r")
          expect(yield* sends.run({}, { runId: "r" })).toMatchObject({ status: "cancelled" })
          expect(yield* waits).toMatchObject([{ status: "withdrawn" }])
          expect(yield* Effect.flip(Commands.approve("r", "send"))).toMatchObject({ _tag: "RunEnded" })
          const resumed = yield* Effect.fork(sends.resume("r"))
          yield* rest
          expect(yield* waits).toMatchObject([{ status: "open", requestCount: 2 }])
          yield* Commands.approve("r", "send")
          yield* rest
          expect(yield* Fiber.join(resumed)).toBe("sent")
          expect(attempts).toEqual([1, 2, 3])
        }),
      ),
    )

    it.effect("is closed where the plan lets go of its step", () =>
      on(
        Effect.gen(function* () {
          const { step } = suspending()
          const racing = workflow(($) => $.race({ a: step($), b: $.signal("stop", { name: "stop", payload: Text }) }))
          yield* racing.run({}, { runId: "r" })
          yield* Commands.signal("r", "stop", { payload: "now" })
          expect(yield* racing.run({}, { runId: "r" })).toMatchObject({ output: { winner: "b", value: "now" } })
          expect((yield* waits).find(({ kind }) => kind === "approval")).toMatchObject({ status: "withdrawn" })
        }),
      ),
    )
  })

  describe("an attempt that waits for a limit", () => {
    it.effect("wakes by itself, in the process that waits", () =>
      on(
        Effect.gen(function* () {
          const { attempts, step } = suspending((now) => ({
            kind: "quota",
            request: { agent: "claude", message: "limit reached" },
            until: now + 3_600_000,
          }))
          const sends = workflow(step)
          expect(yield* sends.run({}, { runId: "r" })).toMatchObject({ status: "waiting-quota" })
          expect(yield* waits).toMatchObject([{ kind: "quota", status: "open", deadline: 3_600_000 }])
          const running = yield* Effect.fork(sends.execute({}, { runId: "r" }))
          yield* rest
          yield* TestClock.adjust("59 minutes")
          yield* rest
          expect(attempts).toEqual([1])
          yield* TestClock.adjust("1 minute")
          yield* rest
          expect(yield* Fiber.join(running)).toBe("sent")
          expect(attempts).toEqual([1, 2])
        }),
      ),
    )

    it.effect("is due to whoever looks for runs once the limit has passed", () =>
      on(
        Effect.gen(function* () {
          const { step } = suspending((now) => ({
            kind: "quota",
            request: { agent: "claude", message: "limit reached" },
            until: now + 1000,
          }))
          yield* workflow(step).run({}, { runId: "r" })
          const storage = yield* Storage
          expect(yield* storage.runnable(999)).toMatchObject({ runs: [], nextAt: 1000 })
          expect(yield* storage.runnable(1000)).toMatchObject({ runs: [{ runId: "r" }] })
        }),
      ),
    )
  })
})
