/**
 * Stand-in agents that answer whatever they are asked with a value of the schema.
 */
import type { Agent, AgentRequest } from "@smithers/core/Agent"
import { NonRetryable } from "@smithers/core/Errors"
import { issuesOf } from "@smithers/core/JsonSchema"
import * as Effect from "effect/Effect"
import { sample } from "./internal/sample.ts"
import * as Random from "./Random.ts"

export interface SchemaAgentOptions {
  /** What the replies follow from, with the step, its iteration and the attempt. Default: 1. */
  readonly seed?: number
  /** The name of the agent, in plans and errors. Default: `from-schema`. */
  readonly name?: string
}

/** Values that are made until one fits: what one keyword asks for may exclude what is made by another. */
const tries = 50

/**
 * Makes an agent whose replies fit the schema of the step, and are the same for the same seed. A step without a schema gets a sentence. Where no value is found that
 * fits, the call fails with `NonRetryable`; reply by `scriptedAgent` then.
 */
export const agentFromSchema = ({ seed = 1, name = "from-schema" }: SchemaAgentOptions = {}): Agent => ({
  name,
  wantsContext: true,
  generate: async ({ prompt, context }: AgentRequest) => {
    const { outputSchema, stepId = "", iteration = 0, attempt = 1 } = context ?? {}
    if (outputSchema === undefined) return { text: `A reply of ${name} to ${stepId === "" ? prompt.slice(0, 40) : stepId}.` }
    let issues: ReadonlyArray<string> = []
    for (let count = 0; count < tries; count++) {
      const value = sample(outputSchema, Random.hash(seed, stepId, iteration, attempt, count))
      issues = await Effect.runPromise(issuesOf(outputSchema, value))
      if (issues.length === 0) return { text: JSON.stringify(value) }
    }
    throw new NonRetryable({
      message: `no value was found that fits the schema of step "${stepId}" (${issues.join("; ")}): let a scriptedAgent reply instead`,
    })
  },
})
