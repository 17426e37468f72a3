/**
 * Measures agent steps in a process of their own: `bun bench/agents.tsx <steps|unused|calls|budgets|tools|waiting> <size> <file>`. Prints one line of JSON.
 */

import { jsonSchema, tool } from "ai"
import { createAgent, createSmithers, runWorkflow, Smithers } from "smithers-orchestrator"
import { z } from "zod"
import { roundsOf, warm } from "./warm.ts"

const [what, sizeText, filename = ""] = process.argv.slice(2)
const size = Number(sizeText)

const { Workflow, Task, Sequence, Parallel, smithers, outputs } = createSmithers({ note: z.object({ text: z.string() }) })

const usage = {
  inputTokens: { total: 10, noCache: 10, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 5, text: 5, reasoning: undefined },
}

/** A model that answers at once, or after a time. With `calls` it calls a tool that often first. */
const modelOf = (calls: number, delayMs: number) => ({
  specificationVersion: "v4" as const,
  provider: "bench",
  modelId: "bench",
  supportedUrls: {},
  doGenerate: async ({ prompt }: { readonly prompt: ReadonlyArray<{ readonly role: string }> }) => {
    if (delayMs > 0) await Bun.sleep(delayMs)
    const made = prompt.filter(({ role }) => role === "tool").length
    const content =
      made < calls
        ? [{ type: "tool-call" as const, toolCallId: `c${made}`, toolName: "look", input: `{"n":${made}}` }]
        : [{ type: "text" as const, text: '{"text":"done"}' }]
    const unified = made < calls ? ("tool-calls" as const) : ("stop" as const)
    return { content, finishReason: { unified, raw: undefined }, usage, warnings: [] }
  },
  doStream: () => Promise.reject(new Error("it does not stream")),
})

const look = tool({
  description: "Looks",
  inputSchema: jsonSchema<{ n: number }>({ type: "object", properties: { n: { type: "number" } } }),
  execute: async ({ n }) => `seen ${n}`,
})

const workflowOf = (calls: number, delayMs: number, budget: object = {}) => {
  const agent = createAgent({ name: "worker", model: modelOf(calls, delayMs) as never, ...(calls > 0 ? { tools: { look } } : {}) })
  const Around = delayMs > 0 ? Parallel : Sequence
  return smithers(() => (
    <Workflow name="agents" {...budget}>
      <Around>
        {Array.from({ length: size }, (_, index) => (
          <Task key={index} id={`ask-${index}`} output={outputs.note} agent={agent} retries={0}>
            Say something.
          </Task>
        ))}
      </Around>
    </Workflow>
  ))
}

const plain = smithers(() => (
  <Workflow name="plain">
    <Sequence>
      {Array.from({ length: size }, (_, index) => (
        <Task key={index} id={`say-${index}`} output={outputs.note}>
          {async () => ({ text: "done" })}
        </Task>
      ))}
    </Sequence>
  </Workflow>
))

const runtime = Smithers.sqlite({ filename, maxConcurrency: 200, prices: { bench: { input: 1, output: 1 } } })
const timed = async (workflow: typeof plain): Promise<number> => {
  const start = performance.now()
  const { status } = await runWorkflow(workflow, { input: {}, runtime })
  if (status !== "finished") throw new Error(`the run is ${status}`)
  return performance.now() - start
}

/** Time of the processor, which other programs of the machine change least, in microseconds. */
const used = async (on: typeof runtime): Promise<number> => {
  const { user, system } = process.cpuUsage()
  await runWorkflow(plain, { input: {}, runtime: on })
  const after = process.cpuUsage()
  return after.user - user + after.system - system
}

const repeated = async (workflow: typeof plain) => {
  const times: Array<number> = []
  for (let round = 0; round < roundsOf(size); round++) times.push(await timed(workflow))
  console.log(JSON.stringify({ firstMs: times[0], ms: warm(times) }))
}

switch (what) {
  case "steps":
    await repeated(plain)
    break
  case "unused": {
    // In turn, so that what else the machine does falls on both.
    const bare = Smithers.sqlite({ filename, maxConcurrency: 200 })
    const bounded = Smithers.sqlite({
      filename: `${filename}-bounded`,
      maxConcurrency: 200,
      prices: { bench: { input: 1, output: 1 } },
      limits: { api: { concurrency: 4, perMinute: 1000 }, hub: { concurrency: 1 } },
      dailyBudget: { cost: 1e6, tokens: 1e9 },
    })
    const ratios: Array<number> = []
    for (let round = 0; round < 2 * roundsOf(size); round++) {
      const [first, second] = round % 2 === 0 ? [bare, bounded] : [bounded, bare]
      const [one, other] = [await used(first), await used(second)]
      ratios.push(round % 2 === 0 ? other / one : one / other)
    }
    console.log(JSON.stringify({ ratio: warm(ratios) }))
    break
  }
  case "calls":
    await repeated(workflowOf(0, 0))
    break
  case "budgets":
    await repeated(workflowOf(0, 0, { budget: { tokens: 1e9, cost: 1e6, agentCalls: 1e6 } }))
    break
  case "tools":
    await repeated(workflowOf(4, 0))
    break
  case "waiting": {
    const running = timed(workflowOf(0, 3000))
    await Bun.sleep(2500)
    Bun.gc(true)
    const bytes = process.memoryUsage().rss
    await running
    console.log(JSON.stringify({ bytes }))
    break
  }
  default:
    throw new Error(`nothing is measured as "${what}"`)
}
