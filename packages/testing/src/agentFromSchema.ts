/**
 * Fake agents that reply with values of the schema.
 */
import type { Agent, AgentRequest } from "@smithers/core/Agent"
import { NonRetryable } from "@smithers/core/Errors"
import { issuesOf } from "@smithers/core/JsonSchema"
import * as Settings from "@smithers/core/Settings"
import * as Effect from "effect/Effect"
import { sample } from "./internal/sample.ts"
import * as Random from "./Random.ts"

export interface SchemaAgentOptions {
  /** Seed of the replies, together with the step, its iteration and the attempt. Default: 1. */
  readonly seed?: number
  /** Name of the agent in plans and errors. Default: `from-schema`. */
  readonly name?: string
}

const optionNames: Settings.Names<SchemaAgentOptions> = { seed: true, name: true }

/** Maximum number of generated values per reply. One keyword of a schema may exclude the value made for another. */
const tries = 50

/**
 * Creates an agent whose replies match the schema of the step, and are equal for equal seeds. A step without a schema gets a
 * sentence. If no valid value is found, the call fails with `NonRetryable`; use `scriptedAgent` then.
 */
export const agentFromSchema = (options: SchemaAgentOptions = {}): Agent => {
  Settings.onlyOrThrow("agentFromSchema", options, optionNames)
  const { seed = 1, name = "from-schema" } = options
  return {
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
        message: `no valid value was found for the schema of step "${stepId}" (${issues.join("; ")}): use scriptedAgent instead`,
      })
    },
  }
}
