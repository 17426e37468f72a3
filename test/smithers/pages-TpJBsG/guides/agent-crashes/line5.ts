import { Effect, Schema } from "effect"
import { MockLanguageModelV4 } from "ai/test"
import { createAgent, defineTool, Smithers } from "smithers-orchestrator"

const paid = new Set<string>()

const pay = defineTool({
  description: "Pays an invoice.",
  input: Schema.Struct({ invoice: Schema.String }),
  // Decides about a call that a crash has cut off.
  afterCrash: ({ input }) => (paid.has(input.invoice) ? { output: `paid ${input.invoice}` } : "rerun"),
  execute: ({ invoice }) => {
    paid.add(invoice)
    return `paid ${invoice}`
  },
})

const usage = { inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 }, outputTokens: { total: 1, text: 1, reasoning: 0 } }
const model = new MockLanguageModelV4({
  doGenerate: async ({ prompt }) => {
    const isDone = prompt.some(({ role }) => role === "tool")
    const call = { type: "tool-call" as const, toolCallId: "1", toolName: "pay", input: '{"invoice":"A-7"}' }
    return {
      content: isDone ? [{ type: "text", text: "A-7 is paid." }] : [call],
      finishReason: { unified: isDone ? "stop" : "tool-calls", raw: undefined },
      usage,
      warnings: [],
    }
  },
})

const clerk = createAgent({ name: "clerk", model, tools: { pay } })
const invoices = Smithers.createWorkflow({ name: "invoices", input: Schema.Struct({}) }).build(($) =>
  $.step("pay", { output: Schema.String, agent: clerk, prompt: "Pay invoice A-7." }),
)

const program = Effect.gen(function* () {
  console.log(yield* invoices.execute({}, { runId: "r" }))
  for (const { entries } of yield* Smithers.conversations("r")) for (const { kind, tool } of entries) console.log(tool ?? "", kind)
})
await Effect.runPromise(Effect.provide(program, Smithers.sqlite({ filename: ":memory:" })))
