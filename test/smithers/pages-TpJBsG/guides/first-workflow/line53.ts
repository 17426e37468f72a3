import { runWorkflow, Smithers } from "smithers-orchestrator"
import { z } from "zod"

const Add = Smithers.createWorkflow({ name: "add", input: z.object({ a: z.number(), b: z.number() }) }).build(($) =>
  $.step("sum", { output: z.number(), run: async ({ input }) => input.a + input.b }),
)

const result = await runWorkflow(Add, { input: { a: 1, b: 2 } })
if (result.status === "finished") console.log(result.output)
