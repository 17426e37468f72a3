/** What some code would make of a run: seen without running, writing or claiming anything. */
import { describe, expect, it } from "@effect/vitest"
import * as PlanText from "@smithers/core/PlanText"
import { preview } from "@smithers/core/Preview"
import * as Smithers from "@smithers/core/Smithers"
import { ports, Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { runningOn, stores, Text } from "./Flows.ts"

const Topic = Schema.Struct({ topic: Schema.String })

const declare = <I extends Schema.Schema.AnyNoContext = typeof Topic>(given: { readonly input?: I; readonly name?: string } = {}) =>
  Smithers.createWorkflow({ name: given.name ?? "w", input: (given.input ?? Topic) as I })

/** Drafts, and waits for somebody to approve. */
const first = declare().build(($) => {
  const draft = $.step("draft", { output: Text, run: () => "a draft" })
  return $.sequence(draft, $.approval("ok", { request: { title: "?" }, needs: { draft } }))
})

/** A run of it that waits, in a store that says what is asked of it from then on. */
const waiting = Effect.gen(function* () {
  yield* first.run({ topic: "cats" }, { runId: "r" })
  const storage = yield* Storage
  const asked: Array<string> = []
  const noting = new Proxy(storage, {
    get: (target, name) => {
      asked.push(String(name))
      return Reflect.get(target, name)
    },
  })
  return { storage, noting, asked }
})

describe.each(stores)("a preview, on %s", (_, store) => {
  it.effect("is the plan that the code makes of what the run has stored, beside the one that the run has", () =>
    Effect.gen(function* () {
      yield* waiting
      const edited = declare().build(($) => {
        const draft = $.step("draft", { output: Text, run: () => "another draft" })
        return $.sequence(draft, $.step("check", { output: Text, needs: { draft }, run: ({ draft }) => draft }))
      })
      const { state, before, incompatible, after } = yield* preview(edited.definition, "r")
      expect([state.workflow, state.input, incompatible]).toEqual(["w", { topic: "cats" }, []])
      const plan = Either.getOrThrow(after)
      expect(plan.text).toBe(edited.plan.text)
      expect([...PlanText.diff(before, plan)]).toEqual([
        ["draft", "kept"],
        ["check", "added"],
        ["ok", "removed"],
      ])
    }).pipe(runningOn(store)),
  )

  it.effect("reads the run, and does nothing else to it", () =>
    Effect.gen(function* () {
      const { storage, noting, asked } = yield* waiting
      const before = [yield* storage.inspect("r"), yield* storage.events("r", { limit: 100 })]
      yield* preview(first.definition, "r").pipe(Effect.provide(ports(noting)))
      expect(asked).toEqual(["load", "plan"])
      expect([yield* storage.inspect("r"), yield* storage.events("r", { limit: 100 })]).toEqual(before)
    }).pipe(runningOn(store)),
  )

  it.effect("names the outputs that the code's schemas do not accept", () =>
    Effect.gen(function* () {
      yield* waiting
      const typed = declare().build(($) => $.step("draft", { output: Schema.Number, run: () => 1 }))
      const { incompatible, after } = yield* preview(typed.definition, "r")
      expect(incompatible).toMatchObject([{ nodeId: "draft", iteration: 0, issues: [expect.stringContaining("number")] }])
      expect(Either.isRight(after)).toBe(true)
    }).pipe(runningOn(store)),
  )

  it.effect("says why resuming the run would be refused", () =>
    Effect.gen(function* () {
      yield* waiting
      const other = declare({ name: "other" }).build(($) => $.step("a", { output: Text, run: () => "x" }))
      expect((yield* preview(other.definition, "r")).after).toMatchObject({
        left: { _tag: "WorkflowMismatch", workflow: "other", stored: "w" },
      })
      const counting = declare({ input: Schema.Struct({ topic: Schema.Number }) }).build(($) =>
        $.step("draft", { output: Text, run: () => "x" }),
      )
      expect((yield* preview(counting.definition, "r")).after).toMatchObject({ left: { _tag: "InvalidInput", workflow: "w" } })
      expect(yield* Effect.flip(preview(first.definition, "none"))).toMatchObject({ _tag: "RunNotFound", runId: "none" })
    }).pipe(runningOn(store)),
  )
})
