import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Jobs = Schema.Array(Schema.String)

const Crawl = Smithers.createWorkflow({ name: "crawl", input: Schema.Struct({}) }).build(($) => {
  const first = $.step("first", { output: Jobs, run: () => ["a", "b"] })
  const found = $.step("found", { needs: { first }, output: Jobs, run: ({ first }) => [...first, "c"] })
  const pages = $.map({
    id: "pages",
    needs: { first: $.maybe(first), found: $.maybe(found) }, // looked at as they are
    items: ({ first, found }) => found ?? first ?? [],
    more: found, // stays open until this node is over
    maxConcurrency: 2,
    body: (page) => $.step("fetch", { needs: { page }, output: Schema.String, run: ({ page }) => page.toUpperCase() }),
  })
  const all = $.step("all", { needs: { pages }, output: Jobs, run: ({ pages }) => pages.filter((page) => page !== undefined) })
  return $.sequence($.parallel($.sequence(first, found), pages), all)
})

console.log(await Effect.runPromise(Crawl.execute({}).pipe(Effect.provide(Smithers.memory))))
