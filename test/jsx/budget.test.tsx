/** Budgets as components. */
import * as PlanText from "@smithers/core/PlanText"
import { Aspects, Budget, createSmithers, renderPlan } from "smithers-orchestrator"
import { describe, expect, it } from "vitest"
import * as z from "zod"

const agent = { name: "a", generate: async () => ({ text: "x" }) }
const { Workflow, Task, smithers, outputs } = createSmithers({ text: z.string() })
const planOf = (element: React.ReactElement) => renderPlan(smithers(() => element))

describe("a budget", () => {
  it("is of a run, a part or a task, and is shown in the plan", () => {
    const { plan } = planOf(
      <Workflow name="w" budget={{ cost: 2, onReached: "ask" }}>
        <Budget id="deep" tokens={1000}>
          <Task id="dig" agent={agent} output={outputs.text} budget={{ agentCalls: 3, toolCalls: Number.POSITIVE_INFINITY }}>
            Dig.
          </Task>
        </Budget>
        <Aspects id="other" duration="2 hours" onReached="finish">
          <Task id="look" agent={agent} output={outputs.text}>
            Look.
          </Task>
        </Aspects>
      </Workflow>,
    )
    expect(PlanText.decode(plan.text)?.nodes.flatMap(({ details }) => ("budget" in details ? [details.budget] : []))).toEqual([
      { cost: 2, onReached: "ask" },
      { of: "deep", tokens: 1000, onReached: "fail" },
      { agentCalls: 3, toolCalls: "Infinity", onReached: "fail" },
      { of: "other", durationMs: 7_200_000, onReached: "finish" },
    ])
  })

  it("that is wrong is refused by its place", () => {
    const refused = (element: React.ReactElement) => {
      try {
        planOf(element)
      } catch (error) {
        return String(error)
      }
      return "drawn"
    }
    const task = (
      <Task id="t" agent={agent} output={outputs.text}>
        Do it.
      </Task>
    )
    expect(
      refused(
        <Workflow name="w">
          <Budget id="b">{task}</Budget>
        </Workflow>,
      ),
    ).toContain('Budget "b": has no limit: give one of tokens')
    expect(
      refused(
        <Workflow name="w">
          <Budget id="b" tokens={-1}>
            {task}
          </Budget>
        </Workflow>,
      ),
    ).toContain('"tokens" must be a whole number')
    expect(
      refused(
        <Workflow name="w" budget={{ token: 5 } as never}>
          {task}
        </Workflow>,
      ),
    ).toContain('did you mean "tokens"?')
    const codeOnly = {
      id: "t",
      budget: { tokens: 5 },
      children: () => "x",
    } as unknown as { readonly id: string; readonly children: () => string }
    expect(
      refused(
        <Workflow name="w">
          <Task {...codeOnly} />
        </Workflow>,
      ),
    ).toContain('it has "budget" but no agent')
  })
})
