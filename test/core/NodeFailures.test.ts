/** The failures of waits and regions, which callers meet as errors of their own. */
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
    "ApprovalDenied",
    Smithers.ApprovalDenied,
    "deploy",
    "denied: not decided in time",
    flow("gate", ($) => $.step("deploy", { output: Schema.Void, needsApproval: { timeout: "1 hour" }, run: () => Effect.void })),
  ],
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
    "is the error of execute, and in a result the cause of the StepFailed: %s",
    ([name, Class, nodeId, problem, workflow]) =>
      Effect.gen(function* () {
        const told = yield* Effect.flip(workflow.execute(undefined, { runId: "r" }))
        // Answered from the store, as after a restart.
        const again = yield* Effect.flip(workflow.execute(undefined, { runId: "r" }))
        const handle = yield* workflow.attach("r")
        const awaited = yield* Effect.flip(handle.await)
        for (const failed of [told, again, awaited]) {
          expect(failed).toBeInstanceOf(Class)
          expect(failed).toMatchObject({ _tag: name, runId: "r", nodeId, iteration: 0, problem })
          expect(failed.message).toContain(`Node "${nodeId}" of run "r" failed: `)
        }
        const result = yield* workflow.run(undefined, { runId: "r" })
        const failed = result.status === "failed" ? result.error : undefined
        expect(failed).toBeInstanceOf(Smithers.StepFailed)
        expect((failed as Smithers.StepFailed).error.name).toBe(name)
        expect((failed as Smithers.StepFailed).cause).toBeInstanceOf(Class)
      }).pipe(Effect.provide(TestRuntime.layer())),
  )

  it.effect("is caught by its tag, and an error of a step with the same name is not", () =>
    Effect.gen(function* () {
      const alike = flow("alike", ($) =>
        $.step("a", {
          output: Schema.Void,
          retry: { maxAttempts: 1 },
          run: () => Effect.fail(Object.assign(new Error("mine"), { name: "ApprovalDenied" })),
        }),
      )
      const caught = (workflow: typeof alike | typeof late) =>
        workflow.execute(undefined).pipe(
          Effect.as("finished"),
          Effect.catchTags({
            ApprovalDenied: ({ nodeId, problem }) => Effect.succeed(`${nodeId}: ${problem}`),
            StepFailed: ({ nodeId }) => Effect.succeed(`step ${nodeId}`),
          }),
        )
      expect(yield* caught(late)).toBe("ok: denied: not decided in time")
      expect(yield* caught(alike)).toBe("step a")
    }).pipe(Effect.provide(TestRuntime.layer())),
  )

  it.effect("of a child run is that of the step which runs it, since the child has its own error", () =>
    Effect.gen(function* () {
      const parent = flow("parent", ($) => $.subflow("child", { workflow: late, input: () => undefined }))
      const failed = yield* Effect.flip(parent.execute(undefined))
      expect(failed).toMatchObject({ _tag: "StepFailed", nodeId: "child" })
      expect(failed.message).toContain("denied: not decided in time")
    }).pipe(Effect.provide(TestRuntime.layer())),
  )
})
