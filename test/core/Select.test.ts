import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"
import { TestRuntime } from "smithers-orchestrator/testing"
import { describe, expect, expectTypeOf, it } from "vitest"

const workflow = (onDeny: "fail" | "continue") =>
  Smithers.createWorkflow({ name: "pick", input: Schema.Struct({ keys: Schema.Array(Schema.String) }) }).build(($) => {
    const fixed = $.approval("fixed", { request: { title: "Which?" }, options: ["blue", { key: "green" }], onDeny })
    const made = $.approval("made", {
      needs: { fixed },
      request: { title: "And?" },
      options: ({ input }) => input.keys,
      onDeny: "continue",
    })
    const said = $.step("said", {
      needs: { fixed, made },
      output: Schema.String,
      run: ({ fixed, made }) => {
        expectTypeOf(fixed.selected).toEqualTypeOf<"blue" | "green" | null>()
        expectTypeOf(made.selected).toEqualTypeOf<string | null>()
        return `${fixed.selected}, ${made.selected} by ${made.decidedBy}`
      },
    })
    return $.sequence(fixed, made, said)
  })

describe("an approval of the builder that selects", () => {
  it("gives typed keys, of fixed options and of options that are made of the input", async () => {
    await using runtime = TestRuntime.make()
    const run = await runtime.start(workflow("fail"), { keys: ["x", "y"] }, { runId: "r" })
    await runtime.approve("r", "fixed", { choose: "green" })
    await runtime.waitFor("r", "made")
    await expect(runtime.approve("r", "made", { choose: "z" })).rejects.toMatchObject({ _tag: "InvalidAnswer" })
    await runtime.approve("r", "made", { choose: "y", by: "ann" })
    expect(await run.output()).toBe("green, y by ann")
  })

  it("selects nothing where it is denied", async () => {
    await using runtime = TestRuntime.make()
    const run = await runtime.start(workflow("continue"), { keys: ["x"] }, { runId: "r" })
    await runtime.deny("r", "fixed")
    await runtime.approve("r", "made", { choose: "x" })
    expect(await run.output()).toBe("null, x by null")
  })

  it("fails the node where a function gives no options", async () => {
    await using runtime = TestRuntime.make()
    const run = await runtime.start(workflow("fail"), { keys: [] }, { runId: "r" })
    await runtime.approve("r", "fixed", { choose: "blue" })
    await expect(run.output()).rejects.toThrow(/its "options" must hold at least one option/)
  })

  it("is refused when it is built with options that cannot be", () => {
    const built = (options: object) => () =>
      Smithers.createWorkflow({ name: "wrong", input: Schema.Struct({}) }).build(($) =>
        $.approval("a", { request: { title: "?" }, ...options }),
      )
    expect(built({ options: [] })).toThrow(/"options" must hold at least one option/)
    expect(built({ mode: "select" })).toThrow(/it selects, and has no "options"/)
    expect(built({ mode: "approve", options: ["a"] })).toThrow(/only mode: "select" has/)
    expect(built({ options: ["a"], onTimeout: "approve" })).toThrow(/"onTimeout" cannot approve/)
  })

  it("keeps the selection in SQLite until the run goes on", async () => {
    const { mkdtempSync } = await import("node:fs")
    const { tmpdir } = await import("node:os")
    const filename = `${mkdtempSync(`${tmpdir()}/select-`)}/s.db`
    const On = <A, E>(effect: Effect.Effect<A, E, never>) => Effect.runPromise(effect)
    const Pick = workflow("fail")
    const layer = Smithers.sqlite({ filename })
    expect((await On(Pick.run({ keys: ["x"] }, { runId: "r" }).pipe(Effect.provide(layer)))).status).toBe("waiting-approval")
    await On(Smithers.approve("r", "fixed", { choose: "green", by: "ann" }).pipe(Effect.provide(layer)))
    expect((await On(Pick.run({ keys: ["x"] }, { runId: "r" }).pipe(Effect.provide(layer)))).status).toBe("waiting-approval")
    await On(Smithers.approve("r", "made", { choose: "x" }).pipe(Effect.provide(layer)))
    expect(await On(Pick.execute({ keys: ["x"] }, { runId: "r" }).pipe(Effect.provide(layer)))).toBe("green, x by null")
  })
})
