/** Ids of nodes in items of lists, as commands take them. */
import { expect, it } from "@effect/vitest"
import * as Smithers from "@smithers/core/Smithers"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const keys = ["ann", "a.ts", "x]y", "50%", "ü and 猫", "7"]

it.effect("the id that is made for a node of an item decides that node, for keys of any characters and lists in lists", () =>
  Effect.gen(function* () {
    const Ask = Smithers.createWorkflow({ name: "ask", input: Schema.Struct({}) }).build(($) =>
      $.map({
        id: "outer",
        items: () => keys,
        body: () =>
          $.map({
            id: "inner",
            items: () => [1, 2],
            body: () => $.human("ask", { prompt: "?", output: Schema.String }),
          }),
      }),
    )
    const run = yield* Ask.start({}, { runId: "r" })
    yield* run.waiting
    for (const key of keys)
      for (const item of [1, 2]) {
        const inner = Smithers.itemId("outer", key, "inner")
        yield* Smithers.answer("r", Smithers.itemId(inner, item, "ask"), `${key} ${item}`)
      }
    expect(yield* run.await).toEqual(keys.map((key) => [`${key} 1`, `${key} 2`]))
    expect(Smithers.itemId("people", "ann", "ask")).toBe("people[ann].ask")
    expect(Smithers.itemId("people", "ann")).toBe("people[ann]")
  }).pipe(Effect.provide(Smithers.memory)),
)
