/**
 * The identity of an agent: what its replies depend on besides the prompt. It is part of the default key of a cache, so that
 * another model, other instructions, settings or tools never take over what the agent before has said.
 */
import * as Effect from "effect/Effect"
import { type AnyAgent, isModel, nameOf } from "./Agent.ts"
import * as Codec from "./Codec.ts"
import type { Json } from "./internal/json.ts"
import * as Thrown from "./Thrown.ts"

/** Most levels that are read of settings. Those of the AI SDK have four. */
const maxDepth = 12

/** Fields of an agent that are read where it has no `identity` of its own. Counters and logs of an agent are none. */
const fields = ["id", "version", "model", "modelId", "provider", "instructions", "system", "settings", "options", "tools"] as const

/**
 * Describes a value as JSON: functions by the word alone, schemas by their JSON Schema, models by provider and id. Equal settings
 * give equal descriptions in every process.
 */
export const describe = (value: unknown, depth = 0): Json => {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value
  if (typeof value === "number") return Number.isFinite(value) ? value : { number: String(value) }
  if (typeof value === "bigint") return { bigint: String(value) }
  if (value === undefined || typeof value === "symbol") return null
  if (Codec.isSchema(value)) return { schema: describe(Codec.makeUnknown(value).inputSchema ?? null, depth + 1) }
  if (typeof value === "function") return "function"
  if (value instanceof Date) return { date: value.getTime() }
  if (value instanceof URL || value instanceof RegExp) return { text: String(value) }
  if (depth >= maxDepth) return "…"
  if (Array.isArray(value)) return value.map((one) => describe(one, depth + 1))
  if (value instanceof Map || value instanceof Set) return describe([...value], depth + 1)
  if (Thrown.get(value, "doGenerate") !== undefined)
    return { provider: text(Thrown.get(value, "provider")), modelId: text(Thrown.get(value, "modelId")) }
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .flatMap((name) => {
        const field = Thrown.get(value, name)
        return field === undefined ? [] : [[name, describe(field, depth + 1)] as const]
      }),
  )
}

const text = (value: unknown): string => (typeof value === "string" ? value : "")

/**
 * Reads the identity of an agent that works for a run with this input. Fails with what its own `identity` has thrown, such as
 * instructions that cannot be computed.
 */
export const of = (agent: AnyAgent, input: unknown): Effect.Effect<Json, unknown> => {
  const name = nameOf(agent)
  if (isModel(agent)) return Effect.succeed({ name, model: describe(agent) })
  const { identity } = agent
  if (identity !== undefined) {
    const asked = Effect.tryPromise({ try: async () => await identity.call(agent, input), catch: (thrown) => thrown })
    return Effect.map(asked, (value) => ({ name, identity: describe(value) }))
  }
  const own = Object.fromEntries(fields.map((field) => [field, Thrown.get(agent, field)]))
  // An agent that asks for the context of its call may use the input in any way.
  const extra = agent.wantsContext === true ? { input: describe(input) } : {}
  return Effect.succeed({ name, own: describe(own), ...extra })
}
