import { Effect, Schema, Stream } from "effect"
import { Smithers } from "smithers-orchestrator"

const Count = Smithers.createWorkflow({ name: "count", input: Schema.Struct({ to: Schema.Number }) }).build(($) =>
  $.loop({ id: "more", maxIterations: 3, until: () => false, body: $.step("add", { output: Schema.Number, run: ({ iteration }) => iteration + 1 }) }),
)

const program = Effect.gen(function* () {
  yield* Count.execute({ to: 3 }, { runId: "c1" })
  const print = ({ frame, events }: Smithers.TimelineFrame) => Effect.sync(() => console.log(frame, events.map(({ _tag }) => _tag).join(" ")))
  yield* Stream.runForEach(Smithers.timeline("c1"), print)
  const { nodes } = yield* Smithers.stateAt("c1", { frame: 2 })
  for (const { nodeId, iteration, status, output } of nodes) console.log(nodeId, iteration, status, output ?? "(no output)")
})
await Effect.runPromise(program.pipe(Effect.provide(Smithers.memory)))
