/** How a run ends, by what the schedule says, what its state holds and what is still at work. */
import { describe, expect, it } from "@effect/vitest"
import { StoreRefused } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import * as PlanLayout from "@smithers/core/PlanLayout"
import type { RunEvent } from "@smithers/core/RunEvent"
import * as RunState from "@smithers/core/RunState"
import * as Outcome from "../../packages/core/src/internal/outcome.ts"
import { sequence, step } from "./simulation/Nodes.ts"

const plan = PlanLayout.make("w", sequence(step("a", { timeoutMs: Millis.make(7) })))
const saga = PlanLayout.make("w", { _tag: "Saga", id: "s", body: step("a"), onCompensated: "fail" })

const stateAfter = (...events: ReadonlyArray<RunEvent>) =>
  events.reduce((state, event) => RunState.apply(state, event, Millis.make(1)), RunState.empty("r"))

const cancelled: RunEvent = { _tag: "CancelRequested", reason: "enough" }
const schedule = { stored: () => "stored", source: () => "a/0" as const, value: () => "value" }
const attempts = (size: number) => ({ size: () => size })
const standing = (given: Partial<Outcome.Standing>): Outcome.Standing => ({
  outcome: undefined,
  state: stateAfter(),
  plan,
  schedule,
  attempts: attempts(0),
  refused: undefined,
  ...given,
})
const failed = (error: { readonly message: string; readonly kind?: "timeout" | "crashLoop" }) =>
  ({
    status: "failed",
    nodeId: "a",
    iteration: 0,
    reason: { _tag: "Error", error: { name: "Error", retryable: false, ...error } },
  }) as const

describe("the end of a run", () => {
  it("is its output, also where a cancellation came in with it", () => {
    const state = stateAfter(cancelled)
    const ending = Outcome.of(standing({ outcome: { status: "finished" }, state }))
    expect(ending?.event).toEqual({ _tag: "RunFinished", output: "stored", from: "a/0" })
    expect(ending?.result(state)).toMatchObject({ status: "finished", runId: "r", output: "value" })
  })

  it("is a failure where its output cannot be stored", () => {
    const refused = new StoreRefused({ operation: "commit", detail: "too big", event: 0 })
    const ending = Outcome.of(standing({ outcome: { status: "finished" }, refused }))
    expect(ending?.event).toMatchObject({
      _tag: "RunFailed",
      failure: { _tag: "StepFailed", nodeId: "w", error: { name: "StoreRefused" } },
    })
  })

  it("comes with a cancellation once nothing is at work, and at once only where there is nothing to undo", () => {
    const state = stateAfter(cancelled)
    expect(Outcome.of(standing({ state }))?.event).toEqual({ _tag: "RunCancelled", reason: "enough" })
    expect(Outcome.of(standing({ state, attempts: attempts(1) }))).toBeUndefined()
    expect(Outcome.of(standing({ state, plan: saga }))).toBeUndefined()
    expect(Outcome.of(standing({ state, plan: saga, outcome: { status: "cancelled" } }))?.event._tag).toBe("RunCancelled")
  })

  it("has not come as long as the schedule goes on", () => {
    expect(Outcome.of(standing({}))).toBeUndefined()
    expect(Outcome.of(standing({ outcome: { status: "cancelled" } }))).toBeUndefined()
  })

  it("is the failure of the step, whose cause is made of what is stored", () => {
    const ending = Outcome.of(standing({ outcome: failed({ message: "no" }) }))
    expect(ending?.event).toMatchObject({ failure: { _tag: "StepFailed", nodeId: "a", error: { message: "no" } } })
    const result = ending?.result(stateAfter())
    expect(result).toMatchObject({ status: "failed", error: { _tag: "StepFailed", cause: new Error("no") } })
  })

  it("says which limit a step took too long for, and how often its process died of it", () => {
    const late = Outcome.of(standing({ outcome: failed({ message: "late", kind: "timeout" }) }))
    expect(late?.event).toMatchObject({ failure: { _tag: "StepTimedOut", limit: "timeout", timeoutMs: 7 } })
    const loop = Outcome.of(standing({ outcome: failed({ message: "loop", kind: "crashLoop" }) }))
    expect(loop?.event).toMatchObject({ failure: { _tag: "CrashLoop", nodeId: "a" } })
  })
})
