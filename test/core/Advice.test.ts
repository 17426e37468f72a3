/** What errors advise is so: whatever has happened, and wherever it is told. */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as ErrorInfo from "@smithers/core/ErrorInfo"
import { NonRetryable, RunEnded, StepFailed } from "@smithers/core/Errors"
import { Effect, TestClock } from "effect"
import { describe } from "vitest"
import { runningOn, stores, Text, workflow } from "./Flows.ts"

const resumed = { runId: "r", onFailed: "resume" } as const

/** What resuming a run does, as errors say it. */
const advice = /resuming the run|still holds when (the|this) run is resumed|then resume the run/gi

describe.each(stores)("on %s", (_, layer) => {
  const on = runningOn(layer)

  it.effect("a parent is told what has happened in its child run, and advised once: what resuming the parent does", () =>
    on(
      Effect.gen(function* () {
        let isMended = false
        const run = () => {
          if (!isMended) throw new NonRetryable({ message: "no disk" })
          return "x"
        }
        const child = workflow(($) => $.step("s", { output: Text, run }), "child")
        const middle = workflow(($) => $.subflow("sub", { workflow: child, input: () => ({}) }), "middle")
        const w = workflow(($) => $.subflow("top", { workflow: middle, input: () => ({}) }))
        const failed = yield* w.run({}, { runId: "r" })
        const { error } = failed as unknown as { readonly error: StepFailed }
        expect(error.message).toContain("no disk")
        expect(error.message.match(advice)).toEqual(["then resume the run"])
        isMended = true
        expect(yield* w.run({}, resumed)).toMatchObject({ status: "finished" })
      }),
    ),
  )

  it.effect("a denial in a child run is said to stand, at its parent and above, and it does", () =>
    on(
      Effect.gen(function* () {
        const child = workflow(($) => $.approval("ok", { request: () => ({ title: "?" }) }), "child")
        const middle = workflow(($) => $.subflow("sub", { workflow: child, input: () => ({}) }), "middle")
        const w = workflow(($) => $.subflow("top", { workflow: middle, input: () => ({}) }))
        yield* w.run({}, { runId: "r" })
        yield* Commands.deny("r~top~0~sub~0", "ok", { by: "ann" })
        const { error } = (yield* w.run({}, { runId: "r" })) as unknown as { readonly error: StepFailed }
        expect(error.message).toContain("denied by ann")
        expect(error.message.match(advice)).toEqual(["still holds when this run is resumed"])
        expect(yield* w.run({}, resumed)).toMatchObject({ status: "failed" })
        yield* TestClock.adjust("1 second")
        yield* Commands.retryNode("r~top~0~sub~0", "ok")
        expect(yield* w.run({}, resumed)).toMatchObject({ status: "waiting-approval" })
      }),
    ),
  )

  it.effect("a wait that was over is said to begin again when the run is resumed, and it does", () =>
    on(
      Effect.gen(function* () {
        const late = workflow(($) => $.approval("ok", { request: () => ({ title: "?" }), timeout: "1 hour" }))
        yield* late.run({}, { runId: "r" })
        yield* TestClock.adjust("2 hours")
        const { error } = (yield* late.run({}, { runId: "r" })) as unknown as { readonly error: StepFailed }
        expect(error.message).toMatch(/does not start again by itself\. Resuming the run tries it again\.$/)
        expect(yield* late.run({}, resumed)).toMatchObject({ status: "waiting-approval" })
      }),
    ),
  )
})

it("each reason for which a failure is not retried is followed by one word on what resuming the run does", () => {
  for (const notRetried of ErrorInfo.NotRetried.literals) {
    for (const retryable of [true, false]) {
      const error = { name: "Error", message: "no", retryable, notRetried }
      const { message } = new StepFailed({ runId: "r", nodeId: "a", iteration: 0, attempts: 1, error })
      const said = message.match(advice) ?? []
      // What an agent has failed with says it itself.
      expect([notRetried, said.length]).toEqual([notRetried, notRetried === "agent" ? 0 : 1])
      expect(message).not.toMatch(/Not retried.*Not retried/)
    }
  }
})

it("a run that has failed is said to accept commands once it is resumed", () => {
  expect(new RunEnded({ runId: "r", status: "failed" }).message).toContain("Resume it first.")
  expect(new RunEnded({ runId: "r", status: "finished" }).message).toContain("It accepts no more commands.")
})
