import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const tree: { readonly [path: string]: ReadonlyArray<string> } = { "/": ["/a", "/b"], "/a": ["/a/x"], "/b": [], "/a/x": [] }

const Folder = Schema.Struct({ path: Schema.String })
interface Folder extends Schema.Schema.Type<typeof Folder> {}

// The type is written out, since the declaration refers to itself.
const Count: Smithers.Workflow<Folder, number> = Smithers.createWorkflow({ name: "count", input: Folder }).build(($) => {
  const list = $.step("list", { output: Schema.Array(Schema.String), run: ({ input }) => tree[input.path] ?? [] })
  const below = $.map({
    id: "below",
    needs: { list },
    items: ({ list }) => list,
    body: (path) => $.subflow("count", { needs: { path }, workflow: () => Count, input: ({ path }) => ({ path }) }),
  })
  const sum = $.step("sum", {
    needs: { below },
    output: Schema.Number,
    run: ({ below }) => below.reduce<number>((all, one) => all + (one ?? 0), 1),
  })
  return $.sequence(list, below, sum)
})

console.log(await Effect.runPromise(Count.execute({ path: "/" }).pipe(Effect.provide(Smithers.memory))))
