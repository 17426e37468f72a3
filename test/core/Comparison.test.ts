/**
 * Differences of values, runs and attempts.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Comparison from "@smithers/core/Comparison"
import * as Smithers from "@smithers/core/Smithers"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import { Effect, Schema } from "effect"

describe("the difference of two JSON values", () => {
  it("names each path that was added, removed or changed, and nothing that is the same", () => {
    const before = { title: "a", size: 1, tags: ["x", "y", "z"], gone: null, deep: { a: [1, { b: 2 }] } }
    const after = { title: "b", size: 1, tags: ["x", "new", "y", "z"], deep: { a: [1, { b: 3 }] }, more: true }
    expect(Comparison.json(before, after)).toEqual([
      { path: ["title"], change: "changed", before: "a", after: "b" },
      { path: ["tags", 1], change: "added", after: "new" },
      { path: ["gone"], change: "removed", before: null },
      { path: ["deep", "a", 1, "b"], change: "changed", before: 2, after: 3 },
      { path: ["more"], change: "added", after: true },
    ])
    expect(Comparison.json(before, structuredClone(before))).toEqual([])
    expect(Comparison.json({ a: 1, b: 2 }, { b: 2, a: 1 })).toEqual([])
    expect(Comparison.json(undefined, null)).toEqual([{ path: [], change: "added", after: null }])
    expect(Comparison.json([1], { 0: 1 })).toEqual([{ path: [], change: "changed", before: [1], after: { 0: 1 } }])
  })
})

const letter = (greeting: string, hasEnd: boolean) =>
  Smithers.createWorkflow({ name: "letter", input: Schema.Struct({ to: Schema.String }) }).build(($) =>
    $.sequence(
      $.step("draft", {
        output: Schema.Struct({ text: Schema.String }),
        retry: { maxAttempts: 2, initialDelay: "1 milli" },
        run: ({ attempt, input }) => {
          if (attempt === 1) throw new Error("no ink")
          return { text: `${greeting} ${input.to}` }
        },
      }),
      ...(hasEnd ? [$.step("sign", { output: Schema.String, run: () => "me" })] : []),
    ),
  )

describe.each([
  ["memory", Smithers.memory],
  ["SQLite", Smithers.onStorage(SqliteStorage.layer({ filename: ":memory:" }))],
] as const)("runs in %s", (_, layer) => {
  it.live("differ in plan, input and nodes, and not where they are the same", () =>
    Effect.gen(function* () {
      yield* letter("Dear", false).execute({ to: "ann" }, { runId: "one" })
      yield* letter("Hello", true).execute({ to: "ann" }, { runId: "two" })
      const found = yield* Smithers.diff({ runId: "one" }, { runId: "two" })
      expect(found.plan).toEqual({ added: ["sign"], removed: [], changed: [] })
      expect(found.input).toEqual([])
      expect(found.nodes).toMatchObject([
        { nodeId: "draft", output: [{ path: ["text"], before: "Dear ann", after: "Hello ann" }] },
        { nodeId: "sign", before: null, after: { status: "finished" } },
      ])
      expect((yield* Smithers.diff({ runId: "one" }, { runId: "one" })).nodes).toEqual([])
      expect((yield* Smithers.diff({ runId: "one", seq: 1 }, { runId: "one" })).nodes).toMatchObject([
        { nodeId: "draft", before: null, after: { status: "finished", attempt: 2 } },
      ])
    }).pipe(Effect.provide(layer)),
  )

  it.live("are compared by attempts, and a missing one is named with those that are there", () =>
    Effect.gen(function* () {
      yield* letter("Dear", false).execute({ to: "ann" }, { runId: "one" })
      const name = { runId: "one", nodeId: "draft" }
      expect(yield* Smithers.diffAttempts({ ...name, attempts: [1, 2] })).toMatchObject({
        before: { status: "failed", attempt: 1, error: expect.stringContaining("no ink") },
        after: { status: "finished", attempt: 2, error: null },
        output: [{ path: [], change: "added", after: { text: "Dear ann" } }],
      })
      const error = yield* Effect.flip(Smithers.diffAttempts({ ...name, attempts: [1, 7] }))
      expect(error).toMatchObject({ _tag: "NoSuchAttempt", attempt: 7, known: [1, 2] })
    }).pipe(Effect.provide(layer)),
  )
})
