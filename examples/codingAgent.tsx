/**
 * A command-line agent that is logged in on this machine explains the project in a folder, in two steps: one reads, and one checks what the
 * first has said. `bun examples/codingAgent.tsx [folder]` asks the first of Claude Code and Codex that is there; `smithers agents` lists them.
 * Both steps may read only.
 */
import { resolve } from "node:path"
import { Effect } from "effect"
import { createSmithers, Smithers } from "smithers-orchestrator"
import { ClaudeCodeAgent, CodexAgent } from "smithers-orchestrator/agents"
import { z } from "zod"

const root = resolve(process.argv[2] ?? ".")
const agents = [ClaudeCodeAgent({ maxTurns: 20, maxBudgetUsd: 0.5, timeout: "10 minutes" }), CodexAgent({ timeout: "10 minutes" })]

const { Workflow, Task, smithers, outputs } = createSmithers({
  explanation: z.object({ purpose: z.string(), parts: z.array(z.object({ path: z.string(), does: z.string() })).max(8) }),
  verdict: z.object({ isRight: z.boolean(), mistakes: z.array(z.string()) }),
})

const explain = smithers((ctx) => {
  const explanation = ctx.outputMaybe(outputs.explanation, { nodeId: "explain" })
  return (
    <Workflow name="explain">
      <Task id="explain" output={outputs.explanation} agent={agents} retries={1}>
        What is the project in this folder for, and what are its main parts? Look at the files, and change none.
      </Task>
      <Task id="check" output={outputs.verdict} agent={agents} retries={1}>
        Somebody has explained the project in this folder. Check it against the files: {explanation}
      </Task>
    </Workflow>
  )
})

const runtime = Smithers.sqlite({ filename: ":memory:", tools: { root, isReadOnly: true } })
console.log(await Effect.runPromise(explain.execute({}).pipe(Effect.provide(runtime))))
