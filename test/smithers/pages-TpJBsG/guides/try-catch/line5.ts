import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Ask = Smithers.createWorkflow({ name: "ask", input: Schema.Struct({ question: Schema.String }) }).build(($) => {
  const expensive = $.step("expensive", {
    output: Schema.String,
    retry: false,
    run: () => Effect.fail(Object.assign(new Error("no credit"), { status: 402 })),
  })
  return $.tryCatch({
    id: "answer",
    try: expensive,
    when: (error) => error.status === 402, // other failures pass. Default: all are caught
    catch: $.step("cheap", {
      needs: { error: $.caught("answer") },
      output: Schema.String,
      run: ({ input, error }) => `${input.question}? ${error.nodeId}: ${error.message}`,
    }),
    finally: $.step("tidy", { output: Schema.Void, run: () => console.log("tidied up") }),
  })
})

const run = Ask.execute({ question: "why" }).pipe(Effect.provide(Smithers.memory))
console.log(await Effect.runPromise(run))
