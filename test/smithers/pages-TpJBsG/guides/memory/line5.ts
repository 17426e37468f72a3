import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const prompts: Array<string> = []
const writer = {
  name: "writer",
  generate: ({ prompt }: { readonly prompt: string }) => {
    prompts.push(prompt)
    return Promise.resolve({ text: "Sent a short mail." })
  },
}

const Mail = Smithers.createWorkflow({ name: "mail", input: Schema.Struct({ user: Schema.String }) }).build(($) =>
  $.step("write", {
    output: Schema.String,
    agent: writer,
    prompt: ({ input }) => `Write to ${input.user}.`,
    memory: {
      namespace: ({ input }) => `user:${input.user}`,
      recall: { limit: 5 },
      remember: { key: "last mail", value: ({ output }) => output },
    },
  }),
)

const program = Effect.gen(function* () {
  yield* Smithers.remember({ namespace: "user:ann", key: "tone", value: "Ann likes short mails." })
  yield* Mail.execute({ user: "ann" })
  console.log(prompts[0]?.split("Your reply")[0]?.replaceAll(/\d{4}-\d\d-\d\d/g, "yyyy-mm-dd").trim())
  const facts = yield* Smithers.facts({ namespace: "user:ann" })
  console.log(facts.map(({ key, value }) => `${key}: ${value}`).join("\n"))
})
await Effect.runPromise(program.pipe(Effect.provide(Smithers.memory)))
