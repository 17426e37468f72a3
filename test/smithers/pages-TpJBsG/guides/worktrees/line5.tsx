import { createSmithers, ForEach, Sequence, Task, Workflow, Worktree } from "smithers-orchestrator"
import { planText, scriptedAgent } from "smithers-orchestrator/testing"
import { z } from "zod"

const coder = scriptedAgent(["fixed"])
const { smithers, outputs } = createSmithers({ fix: z.string(), merged: z.string() })
const issues = ["login", "search"]
const workflow = smithers(() => (
  <Workflow name="fixes">
    <ForEach id="issues" items={issues} by={(issue) => issue}>
      {(issue: string) => (
        <Worktree id={issue} branch={`fix/${issue}`} base="main" onEnd="remove">
          <Task id={`fix-${issue}`} output={outputs.fix} agent={coder}>{`Fix the ${issue}, and commit.`}</Task>
        </Worktree>
      )}
    </ForEach>
  </Workflow>
))
console.log(planText(workflow, { input: {} }).includes('"branch":"fix/login"'))
