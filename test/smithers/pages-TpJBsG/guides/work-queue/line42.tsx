import { createSmithers, ForEach, runWorkflow, Smithers } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ links: z.array(z.string()) }, { input: z.array(z.string()) })
const site: { readonly [page: string]: Array<string> } = { home: ["docs", "blog"], docs: ["api"], blog: [], api: [] }

const crawl = smithers((ctx) => {
  // What is known so far: a task for each page, which names others.
  const known = new Set(ctx.input)
  for (const page of known) for (const link of ctx.outputMaybe(outputs.links, { nodeId: page }) ?? []) known.add(link)
  return (
    <Workflow name="crawl-jsx">
      <ForEach id="pages" items={[...known]} maxConcurrency={2}>
        {(page) => <Task id={page} output={outputs.links}>{() => site[page] ?? []}</Task>}
      </ForEach>
    </Workflow>
  )
})
const result = await runWorkflow(crawl, { input: ["home"], runId: "c1" })
console.log(result.status)
