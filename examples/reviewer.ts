/**
 * An agent reads the files in a folder, and writes its findings into a file once a person allows it. It needs a key of Anthropic:
 * `ANTHROPIC_API_KEY=… bun examples/reviewer.ts [folder] [run id]`. Start it again with the same run id after you have killed it, or to go
 * on after the approval: nothing that the model has said is paid for again. `smithers chat <run id>` shows what was said.
 */
import { createAnthropic } from "@ai-sdk/anthropic"
import { Effect, Schema } from "effect"
import { createAgent, defineTool, grep, read, Smithers, write } from "smithers-orchestrator"

const [root = ".", runId = "review"] = process.argv.slice(2)
const { ANTHROPIC_API_KEY: apiKey } = process.env

const report = defineTool({
  description: "Writes the review into a file beside the code. A person is asked first.",
  input: Schema.Struct({ path: Schema.String, text: Schema.String }),
  usesWorkspace: true,
  afterCrash: "ask",
  needsApproval: ({ input }) => ({ title: `Write the review to ${input.path}?`, summary: input.text.slice(0, 2000) }),
  execute: ({ path, text }) => Effect.tryPromise(() => Bun.write(`${root}/${path}`, text)).pipe(Effect.as(`written to ${path}`)),
})

const reviewer = createAgent({
  name: "reviewer",
  model: createAnthropic({ apiKey: apiKey ?? "" })("claude-sonnet-4-5"),
  instructions: "You review code. Look before you judge, be brief, and name files and lines.",
  tools: { read, grep, write, report },
  maxSteps: 30,
})

const Findings = Schema.Struct({
  findings: Schema.Array(Schema.Struct({ file: Schema.String, line: Schema.Number, problem: Schema.String })),
})

const review = Smithers.createWorkflow({ name: "review", input: Schema.Struct({}) }).build(($) =>
  $.step("review", {
    output: Findings,
    agent: reviewer,
    allowTools: ["read", "grep", "report"],
    prompt: "Find the three worst problems in the code of this folder, write them into REVIEW.md, and list them.",
    retry: { maxAttempts: 3 },
    timeout: "20 minutes",
  }),
)

if (apiKey === undefined) console.log("Set ANTHROPIC_API_KEY, which this example asks a model with.")
else {
  const result = await Effect.runPromise(
    review.run({}, { runId }).pipe(Effect.provide(Smithers.sqlite({ filename: "smithers.db", tools: { root } }))),
  )
  console.log(result)
  if (result.status === "waiting-approval") console.log(`Decide: smithers approve ${runId} review, and start this again.`)
}
