/** Code that is called within the frame that starts it. Under a test clock each attempt has a fiber, so these run by the platform's. */
import { Effect, Fiber, ManagedRuntime, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"
import { describe, expect, it } from "vitest"

const resultOf = (run: () => unknown) => {
  const workflow = Smithers.createWorkflow({ name: "once", input: Schema.Struct({}) }).build(($) =>
    $.step("odd", { output: Schema.Unknown, run, retry: { maxAttempts: 1 } }),
  )
  return Effect.runPromise(Effect.provide(workflow.run({}), Smithers.memory))
}

const trap = () => {
  throw new Error("trapped")
}

describe("a step whose code is called at once", () => {
  it.each([
    ["a value that cannot be looked at", () => new Proxy({}, { has: trap, get: trap, getPrototypeOf: trap })],
    ["a promise of its own kind whose then throws", () => ({ ["th" + "en"]: trap })],
    ["a value whose then cannot be read", () => Object.defineProperty({}, "then", { get: trap })],
  ])("fails its node, and nothing else, where it returns %s", async (_, run) => {
    const { status, ...rest } = await resultOf(run)
    expect(status).toBe("failed")
    expect(JSON.stringify(rest)).toContain("trapped")
  })

  it("gives what a promise that is rejected already was rejected with", async () => {
    const { status, ...rest } = await resultOf(() => Promise.reject(new Error("too late")))
    expect(status).toBe("failed")
    expect(JSON.stringify(rest)).toContain("too late")
  })

  it("is told by its signal, and waited for, where the engine closes before its promise is waited for", async () => {
    const seen: Array<string> = []
    const runtime = ManagedRuntime.make(Smithers.memory)
    let closing: Promise<unknown> = Promise.resolve()
    const workflow = Smithers.createWorkflow({ name: "once", input: Schema.Struct({}) }).build(($) =>
      $.step("cut", {
        output: Schema.Void,
        run: ({ signal }) => {
          // Its fiber has not begun when the driver of its run hears of this.
          closing = runtime.dispose()
          return new Promise<void>((resolve) => {
            signal.addEventListener("abort", () => {
              seen.push("told")
              setTimeout(() => {
                seen.push("over")
                resolve()
              }, 30)
            })
          })
        },
      }),
    )
    const fiber = runtime.runFork(workflow.execute({}))
    await Effect.runPromise(Fiber.await(fiber))
    await closing
    expect(seen).toEqual(["told", "over"])
  })
})
