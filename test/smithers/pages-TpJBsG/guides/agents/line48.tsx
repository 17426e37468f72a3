import { createSmithers, runWorkflow, Smithers } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ answer: z.object({ n: z.number() }) }, { output: "answer" })

const replies = ["I think it is seven.", 'Sorry: ```json\n{ "n": 7 }\n```']
const agent = { generate: async () => ({ text: replies.shift() ?? "" }) }

const ask = smithers(() => (
  <Workflow name="ask">
    <Task id="ask" output={outputs.answer} agent={agent}>
      Which number?
    </Task>
  </Workflow>
))
const result = await runWorkflow(ask, { input: {}, runtime: Smithers.memory })
if (result.status === "finished") console.log(result.output, replies.length)
