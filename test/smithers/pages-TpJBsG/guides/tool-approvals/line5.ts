import { Effect, Schema } from "effect"
import { MockLanguageModelV4 } from "ai/test"
import { createAgent, defineTool, Smithers } from "smithers-orchestrator"

const send = defineTool({
  description: "Sends a letter.",
  input: Schema.Struct({ to: Schema.String, text: Schema.String }),
  needsApproval: ({ input }) => (input.to.endsWith("@acme.com") ? false : { title: `Write to ${input.to}?`, summary: input.text }),
  execute: ({ to }) => `sent to ${to}`,
})

// A model that writes two letters. A real one is a string such as "anthropic/claude-sonnet-4.5".
const usage = { inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 }, outputTokens: { total: 1, text: 1, reasoning: 0 } }
const letter = (to: string) => ({ type: "tool-call" as const, toolCallId: to, toolName: "send", input: JSON.stringify({ to, text: "Hello" }) })
const model = new MockLanguageModelV4({
  doGenerate: async ({ prompt }) => {
    const isDone = prompt.some(({ role }) => role === "tool")
    return {
      content: isDone ? [{ type: "text", text: "Both are sent." }] : [letter("ann@acme.com"), letter("bob@example.com")],
      finishReason: { unified: isDone ? "stop" : "tool-calls", raw: undefined },
      usage,
      warnings: [],
    }
  },
})

const clerk = createAgent({ name: "clerk", model, tools: { send } })
const letters = Smithers.createWorkflow({ name: "letters", input: Schema.Struct({}) }).build(($) =>
  $.step("write", { output: Schema.String, agent: clerk, prompt: "Write to Ann and Bob." }),
)

const program = Effect.gen(function* () {
  const { status } = yield* letters.run({}, { runId: "monday" })
  console.log(status)
  for (const { calls } of yield* Smithers.conversations("monday")) for (const { tool, input, status } of calls) console.log(tool, input, status)
  yield* Smithers.approve("monday", "write", { by: "eve" })
  console.log(yield* letters.execute({}, { runId: "monday" }))
})
await Effect.runPromise(Effect.provide(program, Smithers.sqlite({ filename: ":memory:" })))
