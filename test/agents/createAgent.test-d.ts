/** What TypeScript makes of agents. Nothing here runs: `tsc` checks it. */
import { createAgent } from "@smithers/agents"
import type { AnyAgent } from "@smithers/core/Agent"
import { type LanguageModel, Output, ToolLoopAgent, tool } from "ai"
import * as z from "zod"

declare const model: LanguageModel

// The AI SDK's agents are agents, with or without tools and an output of their own.
const list = tool({ inputSchema: z.object({}), execute: async () => ["a.ts"] })
export const agents: ReadonlyArray<AnyAgent> = [
  new ToolLoopAgent({ model }),
  new ToolLoopAgent({ model, tools: { list } }),
  new ToolLoopAgent({ model, output: Output.object({ schema: z.object({ risk: z.string() }) }) }),
]

// As the documentation shows it: the input's fields are there without naming their types.
export const analyze: AnyAgent = createAgent({
  name: "analyzer",
  instructions: ({ repo, sha }) => `
    Analyze the repository ${repo} at commit ${sha}.
    Flag breaking changes, performance regressions, security issues.
  `,
})

// Where the input is named, its fields are checked.
createAgent<{ readonly repo: string }>({ name: "a", instructions: ({ repo }) => repo.toUpperCase() })
createAgent({ name: "a", instructions: ({ repo }: { readonly repo: string }) => repo.toUpperCase() })
// @ts-expect-error there is no sha
createAgent<{ readonly repo: string }>({ name: "a", instructions: ({ sha }) => sha })

// Settings of the SDK are taken, those that the runtime sets itself are not.
createAgent({
  name: "a",
  model: "acme/large",
  temperature: 0,
  maxOutputTokens: 100,
  tools: { list },
  maxSteps: 5,
  structuredOutput: false,
})
// @ts-expect-error retries are the step's
createAgent({ name: "a", maxRetries: 2 })
// @ts-expect-error the output is the step's
createAgent({ name: "a", output: Output.text() })
// @ts-expect-error a name is needed: it is what is shown and kept
createAgent({ model })

// Anything that answers a prompt with a text is an agent.
export const plain: AnyAgent = { generate: async ({ prompt }) => ({ text: prompt }) }
// @ts-expect-error a text alone is no reply
export const wrong: AnyAgent = { generate: async () => "text" }
