/** The classes of failures of waits and regions, which callers meet as the cause of a StepFailed. */
import { describe, expect, it } from "@effect/vitest"
import * as Smithers from "@smithers/core/Smithers"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { TestRuntime } from "smithers-orchestrator/testing"

type Builder = Smithers.Builder<void>

const flow = (name: string, write: ($: Builder) => Smithers.Node<unknown>) =>
  Smithers.createWorkflow({ name, input: Schema.Void }).build(write)

const fails = ($: Builder, id: string) =>
  $.step(id, { output: Schema.Void, retry: { maxAttempts: 1 }, run: () => Effect.fail(new Error("no")) })

const late = flow("late", ($) => $.approval("ok", { request: { title: "?" }, onDeny: "fail", timeout: "1 hour" }))

const cases = [
  ["ApprovalDenied", Smithers.ApprovalDenied, "ok", "denied: not decided in time", late],
  [
    "WaitTimedOut",
    Smithers.WaitTimedOut,
    "paid",
    "not sent within 1000 ms",
    flow("waiting", ($) => $.signal("paid", { name: "payment", payload: Schema.Number, timeout: "1 second" })),
  ],
  [
    "ScopeTimedOut",
    Smithers.ScopeTimedOut,
    "part",
    "it was not over within 1000 ms",
    flow("scope", ($) => $.scope({ id: "part", timeout: "1 second", body: $.timer("long", { duration: "1 day" }) })),
  ],
  [
    "RaceLost",
    Smithers.RaceLost,
    "race",
    expect.stringContaining("branch"),
    flow("race", ($) => $.race({ a: fails($, "a"), b: fails($, "b") }, { id: "race", onFailure: "ignore" })),
  ],
] as const

describe("a failure of a wait or region", () => {
  it.effect.each(cases)(
    "is the cause of the StepFailed, as an instance of its class: %s",
    ([name, Class, nodeId, message, workflow]) =>
      Effect.gen(function* () {
        const told = yield* Effect.flip(workflow.execute(undefined, { runId: "r" }))
        // Answered from the store, as after a restart.
        const again = yield* Effect.flip(workflow.execute(undefined, { runId: "r" }))
        for (const failed of [told, again]) {
          expect(failed).toBeInstanceOf(Smithers.StepFailed)
          expect((failed as Smithers.StepFailed).error.name).toBe(name)
          const { cause } = failed
          expect(cause).toBeInstanceOf(Class)
          expect(cause).toMatchObject({ _tag: name, runId: "r", nodeId, iteration: 0, message })
          expect((failed as Smithers.StepFailed).cause.name).toBe(name)
        }
      }).pipe(Effect.provide(TestRuntime.layer())),
  )

  it.effect("is matched by a program, and an error of a step with the same name is not", () =>
    Effect.gen(function* () {
      const alike = flow("alike", ($) =>
        $.step("a", {
          output: Schema.Void,
          retry: { maxAttempts: 1 },
          run: () => Effect.fail(Object.assign(new Error("mine"), { name: "ApprovalDenied" })),
        }),
      )
      const denials = (workflow: typeof alike | typeof late) =>
        Effect.flip(workflow.execute(undefined)).pipe(
          Effect.map((failed) => failed._tag === "StepFailed" && failed.cause instanceof Smithers.ApprovalDenied),
        )
      expect(yield* denials(late)).toBe(true)
      expect(yield* denials(alike)).toBe(false)
    }).pipe(Effect.provide(TestRuntime.layer())),
  )
})
