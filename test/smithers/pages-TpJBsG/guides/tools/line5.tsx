import { mkdtempSync, readFileSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ToolLoopAgent } from "ai"
import { MockLanguageModelV4 } from "ai/test"
import { bash, createSmithers, defineTool, edit, read, Smithers, Task, Workflow } from "smithers-orchestrator"
import { Effect, Schema } from "effect"
import { z } from "zod"

// A model that reads a file, edits it, and says that it is done. A real one is a string such as "anthropic/claude-sonnet-4.5".
const usage = { inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 }, outputTokens: { total: 1, text: 1, reasoning: 0 } }
const call = (toolName: string, input: object) => ({ type: "tool-call" as const, toolCallId: toolName, toolName, input: JSON.stringify(input) })
const replies = [
  call("read", { path: "greeting.txt" }),
  call("edit", { path: "greeting.txt", edits: [{ old: "hello", new: "good morning" }] }),
  { type: "text" as const, text: '{"done":true}' },
]
const model = new MockLanguageModelV4({
  doGenerate: async () => {
    const part = replies.shift() ?? { type: "text" as const, text: "{}" }
    return { content: [part], finishReason: { unified: part.type === "text" ? "stop" : "tool-calls", raw: undefined }, usage, warnings: [] }
  },
})

const now = defineTool({
  description: "The weekday of a date.",
  input: Schema.Struct({ date: Schema.Date }),
  execute: ({ date }) => Effect.succeed(date.toLocaleDateString("en", { weekday: "long" })),
})

const { smithers, outputs } = createSmithers({ work: z.object({ done: z.boolean() }) })
const agent = new ToolLoopAgent({ model, tools: { read, edit, bash, now } })
const workflow = smithers(() => (
  <Workflow name="greet">
    <Task id="work" output={outputs.work} agent={agent}>
      Make the greeting friendlier.
    </Task>
  </Workflow>
))

const root = mkdtempSync(join(tmpdir(), "work-"))
writeFileSync(join(root, "greeting.txt"), "hello, world\n")
const runtime = Smithers.sqlite({ filename: ":memory:", tools: { root, network: ["api.github.com"] } })
console.log(await Effect.runPromise(workflow.execute({}).pipe(Effect.provide(runtime))))
console.log(readFileSync(join(root, "greeting.txt"), "utf8").trim())
