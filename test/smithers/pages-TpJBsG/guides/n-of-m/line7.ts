import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Vote = Smithers.createWorkflow({ name: "vote", input: Schema.Struct({}) }).build(($) => {
  const judge = (id: string) => $.step(id, { output: Schema.String, run: () => `${id} says yes` })
  const absent = $.step("bob", { output: Schema.String, retry: false, run: () => Effect.fail(new Error("no answer")) })
  return $.race({ ann: judge("ann"), bob: absent, cy: judge("cy") }, { count: 2, onFailure: "ignore" })
})

const votes = await Effect.runPromise(Vote.execute({}).pipe(Effect.provide(Smithers.memory)))
console.log(votes.map(({ value }) => value))
