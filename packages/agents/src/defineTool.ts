/**
 * Tools of agents, with Effect faces: the schema of the input is an Effect Schema or any Standard Schema, and the work a value, a promise or an Effect. What
 * comes of it is a tool of the AI SDK, which its agents take as it is; the SDK itself is not loaded.
 */
import * as Codec from "@smithers/core/Codec"
import type { Tool } from "ai"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"

/** The call that a tool answers. */
export interface ToolCall {
  readonly toolCallId: string
  /** Aborted with the attempt. An Effect is interrupted besides. */
  readonly signal: AbortSignal | undefined
}

export interface ToolDefinition<S extends Codec.AnySchema, A> {
  /** The purpose of the tool, for the model. */
  readonly description: string
  readonly input: S
  /** Answers a call. What it fails with is told to the model as the error of the call. */
  readonly execute: (input: Codec.Output<S>, call: ToolCall) => A | PromiseLike<A> | Effect.Effect<A, unknown>
}

/** The key by which the AI SDK knows a schema that is not of a library. */
const schemaKey = Symbol.for("vercel.ai.schema")

/**
 * Makes a tool. An input that does not match the schema is refused by the AI SDK with the issues, and told to the model. Throws where the schema cannot be
 * shown as JSON Schema, since a model could not be told of it.
 */
export const defineTool = <S extends Codec.AnySchema, A>({
  description,
  input,
  execute,
}: ToolDefinition<S, A>): Tool<Codec.Input<S>, A> => {
  const codec = Codec.make(input)
  if (codec.inputSchema === undefined)
    throw new TypeError(
      "The input of a tool needs a schema that can be given as JSON Schema: an Effect Schema, or one of Zod 4, Valibot or ArkType.",
    )
  const decode = (value: unknown): Effect.Effect<Codec.Output<S>, Codec.Issues> =>
    Effect.flatMap(codec.accept(value), codec.restore) as Effect.Effect<Codec.Output<S>, Codec.Issues>
  const validate = async (value: unknown) => {
    const decoded = await Effect.runPromise(Effect.either(decode(value)))
    return Either.isRight(decoded)
      ? { success: true, value }
      : { success: false, error: new TypeError(`The input does not match the schema: ${decoded.left.join("; ")}`) }
  }
  return {
    description,
    inputSchema: { [schemaKey]: true, _type: undefined, jsonSchema: codec.inputSchema, validate },
    execute: async (given: unknown, options: { readonly toolCallId: string; readonly abortSignal?: AbortSignal }) => {
      const decoded = await Effect.runPromise(decode(given))
      const returned = execute(decoded, { toolCallId: options.toolCallId, signal: options.abortSignal })
      if (!Effect.isEffect(returned)) return await returned
      return await Effect.runPromise(returned, options.abortSignal === undefined ? {} : { signal: options.abortSignal })
    },
  } as unknown as Tool<Codec.Input<S>, A>
}
