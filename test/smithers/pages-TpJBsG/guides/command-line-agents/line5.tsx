import { createSmithers } from "smithers-orchestrator"
import { ClaudeCodeAgent, CodexAgent } from "smithers-orchestrator/agents"
import { z } from "zod"

const claude = ClaudeCodeAgent({ model: "sonnet", maxBudgetUsd: 2, instructions: "You fix bugs. Change as little as you can." })
const codex = CodexAgent({ timeout: "30 minutes" })
const { Workflow, Task, smithers, outputs } = createSmithers({ fix: z.object({ summary: z.string(), files: z.array(z.string()) }) })
export const workflow = smithers(() => (
  <Workflow name="fix">
    <Task id="fix" output={outputs.fix} agent={[claude, codex]} retries={2}>
      The test "parses an empty file" fails. Find the reason and mend it.
    </Task>
  </Workflow>
))
