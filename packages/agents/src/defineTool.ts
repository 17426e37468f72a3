/**
 * Tools of agents, with Effect faces: the schema of the input is an Effect Schema or any Standard Schema, and the work a value, a promise or an Effect. What
 * comes of it is a tool of the AI SDK, which its agents take as it is; the SDK itself is not loaded.
 */
import * as Codec from "@smithers/core/Codec"
import type { Tool } from "ai"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ToolRules from "./ToolRules.ts"
import * as ToolSession from "./ToolSession.ts"

/** The call that a tool answers. */
export interface ToolCall {
  readonly toolCallId: string
  /** Aborted with the attempt. An Effect is interrupted besides. */
  readonly signal: AbortSignal | undefined
}

/** A tool: its input, its work, and its rules. */
export interface ToolDefinition<S extends Codec.AnySchema, A> extends ToolRules.ToolRulesOptions<Codec.Output<S>, A> {
  /** The name by which rights list the tool in an agent that does not show its tools. Default: its name among the tools of the agent. */
  readonly name?: string | undefined
  /** The purpose of the tool, for the model. */
  readonly description: string
  readonly input: S
  /** Answers a call. What it fails with is told to the model as the error of the call. */
  readonly execute: (input: Codec.Output<S>, call: ToolCall) => A | PromiseLike<A> | Effect.Effect<A, unknown>
}

const noJsonSchema =
  "The input of a tool needs a schema that can be given as JSON Schema: an Effect Schema, or one of Zod 4, Valibot or ArkType."

/** The key by which the AI SDK knows a schema that is not of a library. */
const schemaKey = Symbol.for("vercel.ai.schema")

/**
 * Makes a tool, with its rules under {@link ToolRules.key}. An input that does not match the schema is refused by the AI SDK with the issues, and told to the model. Its first call throws where the schema cannot be
 * shown as JSON Schema, since a model could not be told of it.
 */
export const defineTool = <S extends Codec.AnySchema, A>({
  name,
  description,
  input,
  execute,
  ...rules
}: ToolDefinition<S, A>): Tool<Codec.Input<S>, A> => {
  const decode = (value: unknown): Effect.Effect<Codec.Output<S>, Codec.Issues> => {
    const codec = Codec.make(input)
    return Effect.flatMap(codec.encode(value), codec.decode) as Effect.Effect<Codec.Output<S>, Codec.Issues>
  }
  const validate = async (value: unknown) => {
    const decoded = await Effect.runPromise(Effect.either(decode(value)))
    return Either.isRight(decoded)
      ? { success: true, value }
      : { success: false, error: new TypeError(`The input does not match the schema: ${decoded.left.join("; ")}`) }
  }
  const own = ToolRules.make<Codec.Output<S>, A>(rules, decode)
  const call = async (value: unknown, options: { readonly toolCallId: string; readonly abortSignal?: AbortSignal }): Promise<A> => {
    // The rights of the step hold whoever offers the tool, and under whatever name.
    const refusal = ToolSession.find()?.refusal({ execute: call, name, rules: own })
    if (refusal !== undefined) throw new Error(refusal)
    const decoded = await Effect.runPromise(decode(value))
    const returned = execute(decoded, { toolCallId: options.toolCallId, signal: options.abortSignal })
    if (!Effect.isEffect(returned)) return await returned
    return await Effect.runPromise(returned, options.abortSignal === undefined ? {} : { signal: options.abortSignal })
  }
  const tool = {
    [ToolRules.key]: own,
    description,
    // Worked out for the first call, so that importing a tool costs little.
    get inputSchema() {
      const { inputSchema: jsonSchema } = Codec.make(input)
      if (jsonSchema === undefined) throw new TypeError(noJsonSchema)
      return { [schemaKey]: true, _type: undefined, jsonSchema, validate }
    },
    execute: call,
  }
  return tool as unknown as Tool<Codec.Input<S>, A>
}
