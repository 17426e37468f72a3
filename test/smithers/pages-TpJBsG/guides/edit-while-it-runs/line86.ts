import { runWorkflow } from "smithers-orchestrator"
import greeting from "./greeting.ts"

const result = await runWorkflow(greeting, { input: {}, runId: "g2", source: `${import.meta.dirname}/greeting.ts`, hot: true })
console.log(result.status)
