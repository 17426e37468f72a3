/** @jsxImportSource smithers-orchestrator */
/**
 * One workflow for the tests of patterns: its outputs, the ways to run it, and agents that fail.
 */
import { NonRetryable } from "@smithers/core/Errors"
import type * as React from "react"
import { createSmithers, type RunResult } from "smithers-orchestrator"
import {
  crashEverywhere,
  planText,
  type ScriptedAgent,
  type ScriptedReply,
  scriptedAgent,
  TestRuntime,
} from "smithers-orchestrator/testing"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({
  text: z.string(),
  draft: z.object({ text: z.string() }),
  review: z.object({ approved: z.boolean(), feedback: z.string().optional() }),
  score: z.object({ score: z.number() }),
  scan: z.object({ issues: z.array(z.object({ id: z.string() })) }),
  fix: z.object({ diff: z.string() }),
  verdict: z.object({ fixed: z.boolean() }),
  vote: z.object({ vote: z.string().optional() }),
  winner: z.object({ winner: z.string() }),
  category: z.object({ category: z.string(), confidence: z.number().optional() }),
  answer: z.object({ answer: z.string(), sure: z.boolean() }),
  check: z.object({ satisfied: z.boolean(), at: z.number().optional() }),
  plan: z.object({
    tasks: z.array(
      z.object({
        id: z.string(),
        worker: z.string().optional(),
        instructions: z.string(),
        needs: z.array(z.string()).optional(),
      }),
    ),
  }),
  rejected: z.object({ rejected: z.array(z.object({ id: z.string(), feedback: z.string() })) }),
})

export { outputs, Task }

/** A workflow of one pattern. Its elements, and with them its agents, are made once. */
export const of = (draw: () => React.ReactNode) => {
  const pattern = draw()
  return smithers(() => <Workflow name="w">{pattern}</Workflow>)
}

/** Runs a pattern to its end, in virtual time. */
const run = async (draw: () => React.ReactNode): Promise<RunResult<unknown>> => {
  await using runtime = TestRuntime.make()
  const started = await runtime.start(of(draw), {})
  return await started.result()
}

/** Returns the outcome of a pattern. */
export const outcome = async (draw: () => React.ReactNode): Promise<unknown> => {
  const result = await run(draw)
  return result.status === "finished" ? result.output : result
}

/** The message of the failure of a pattern. */
export const failure = async (draw: () => React.ReactNode): Promise<string> => {
  const result = await run(draw)
  return result.status === "failed" ? result.error.message : `it is ${result.status}`
}

/** The plan of a pattern before its first task. */
export const plan = (draw: () => React.ReactNode): string => `\n${planText(of(draw), { input: {} })}`

/** Crashes a pattern at each commit. */
export const crash = (agents: ReadonlyArray<ScriptedAgent>, draw: () => React.ReactNode) =>
  crashEverywhere(of(draw), {}, { before: () => void agents.map((agent) => agent.reset()) })

export const agent = (name: string, ...replies: ReadonlyArray<ScriptedReply>): ScriptedAgent => scriptedAgent(replies, { name })

/** A reply that is not tried again. */
export const down = new NonRetryable({ message: "the agent is down" })

/** The prompts of an agent. */
export const prompts = ({ calls }: ScriptedAgent): ReadonlyArray<string> => calls.map(({ prompt }) => prompt)
