/**
 * A `LanguageModel` of Effect AI in the form of a model of the AI SDK, whose loop then records it, bounds it and runs its tools like
 * those of any other model. Each reply is one request without tools that run: `disableToolCallResolution`.
 */
import type * as AiError from "@effect/ai/AiError"
import type * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Prompt from "@effect/ai/Prompt"
import type * as Response from "@effect/ai/Response"
import * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import { NonRetryable } from "@smithers/core/Errors"
import { defined } from "@smithers/core/Struct"
import * as Thrown from "@smithers/core/Thrown"
import type { LanguageModelMiddleware } from "ai"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Sdk } from "./sdk.ts"

/** A model of the AI SDK. */
export type SdkModel = Parameters<NonNullable<LanguageModelMiddleware["wrapGenerate"]>>[0]["model"]
type Options = Parameters<SdkModel["doGenerate"]>[0]
type Generated = Awaited<ReturnType<SdkModel["doGenerate"]>>
type Content = Generated["content"][number]
type StreamPart = Awaited<ReturnType<SdkModel["doStream"]>>["stream"] extends ReadableStream<infer P> ? P : never
type Metadata = NonNullable<Generated["providerMetadata"]>
type Message = Options["prompt"][number]
type Part = Exclude<Message["content"], string>[number]
type Output = Extract<Part, { readonly type: "tool-result" }>["output"]

/** Runs an Effect with a model. Rejects with its failure, or with the reason of `signal`. */
export type Use = <A, E>(
  effect: (model: LanguageModel.Service) => Effect.Effect<A, E>,
  signal: AbortSignal | undefined,
) => Promise<A>

/** Streams with a model. */
export type UseStream = <A, E>(
  stream: (model: LanguageModel.Service) => Stream.Stream<A, E>,
  signal: AbortSignal | undefined,
) => Promise<ReadableStream<A>>

/** Makes the model. */
export const make = (modelId: string, ai: () => Promise<Sdk>, use: Use, useStream: UseStream): SdkModel => ({
  specificationVersion: "v4",
  provider: "effect-ai",
  modelId,
  supportedUrls: {},
  doGenerate: async (options) => {
    const asked = requestOf(options)
    const sdk = await ai()
    const ask = (model: LanguageModel.Service) =>
      model.generateText(asked).pipe(
        Effect.map(({ content }): ReadonlyArray<AnyPart> => content),
        Effect.catchTag("MalformedOutput", (error) =>
          Option.match(partsIn(error), { onNone: () => error, onSome: Effect.succeed }),
        ),
        Effect.mapError((error) => errorOf(error, sdk)),
      )
    return replyOf(await use(ask, options.abortSignal))
  },
  doStream: async (options) => {
    const asked = requestOf(options)
    const sdk = await ai()
    const names = new Map<string, string>()
    const ask = (model: LanguageModel.Service) =>
      model.streamText(asked).pipe(
        Stream.mapError((error) => errorOf(error, sdk)),
        Stream.mapConcat((part) => streamedOf(part, names)),
        Stream.catchAll((error) => Stream.succeed<StreamPart>({ type: "error", error })),
      )
    const start = Stream.succeed<StreamPart>({ type: "stream-start", warnings: [] })
    return { stream: await useStream((model) => Stream.concat(start, ask(model)), options.abortSignal) }
  },
})

// Requests.

const requestOf = (options: Options) => {
  const tools = (options.tools ?? []).map((tool) => {
    if (tool.type === "function") return offeredOf(tool)
    throw new NonRetryable({
      message: `tool "${tool.name}" is one of a provider of the AI SDK, which a model of Effect AI does not have`,
    })
  })
  const toolkit: Toolkit.WithHandler<{ readonly [name: string]: Tool.Any }> = {
    tools: Object.fromEntries(tools.map((tool) => [tool.name, tool])),
    handle: () => Effect.dieMessage("tools are run by the agent"),
  }
  const { toolChoice } = options
  const choice = toolChoice?.type === "tool" ? { tool: toolChoice.toolName } : (toolChoice?.type ?? "auto")
  const prompt = options.prompt.flatMap(messageOf)
  return { prompt, ...(tools.length === 0 ? {} : { toolkit, toolChoice: choice, disableToolCallResolution: true as const }) }
}

/** A tool as the model is told of it. It accepts any input: the agent checks it, and tells the model what is wrong. */
const offeredOf = ({
  name,
  description,
  inputSchema,
}: Extract<NonNullable<Options["tools"]>[number], { readonly type: "function" }>) => {
  const anything = Schema.Struct({}, { key: Schema.String, value: Schema.Unknown })
  const made = Tool.make(name, { ...defined({ description }), success: Schema.Unknown })
  return made.setParameters(anything.annotations({ jsonSchema: inputSchema }))
}

const messageOf = (message: Message): ReadonlyArray<Prompt.MessageEncoded> => {
  const options = optionsOf(message.providerOptions)
  switch (message.role) {
    case "system":
      return [{ role: "system", content: message.content, ...options }]
    case "user":
      return [
        { role: "user", content: message.content.map((part) => (part.type === "text" ? textOf(part) : fileOf(part))), ...options },
      ]
    case "assistant":
      return [{ role: "assistant", content: message.content.flatMap(saidOf), ...options }]
    case "tool": {
      const content = message.content.flatMap((part) => (part.type === "tool-result" ? [resultOf(part, false)] : []))
      return content.length === 0 ? [] : [{ role: "tool", content, ...options }]
    }
  }
}

type Kind<T extends Part["type"]> = Extract<Part, { readonly type: T }>

const textOf = ({ text, providerOptions }: Kind<"text">): Prompt.TextPartEncoded => ({
  type: "text",
  text,
  ...optionsOf(providerOptions),
})

const fileOf = ({ data, mediaType, filename, providerOptions }: Kind<"file">): Prompt.FilePartEncoded => {
  const about = { type: "file" as const, mediaType, ...defined({ fileName: filename }), ...optionsOf(providerOptions) }
  if (data.type === "data") return { ...about, data: data.data }
  if (data.type === "url") return { ...about, data: data.url }
  if (data.type === "text") return { ...about, data: new TextEncoder().encode(data.text) }
  throw new NonRetryable({ message: "a file that is stored at a provider cannot be given to a model of Effect AI" })
}

const saidOf = (part: Part): ReadonlyArray<Prompt.AssistantMessagePartEncoded> => {
  switch (part.type) {
    case "text":
      return [textOf(part)]
    case "file":
      return [fileOf(part)]
    case "reasoning":
      return [{ type: "reasoning", text: part.text, ...optionsOf(part.providerOptions) }]
    case "tool-call": {
      const { toolCallId: id, toolName: name, input: params, providerExecuted = false } = part
      return [{ type: "tool-call", id, name, params, providerExecuted, ...optionsOf(part.providerOptions) }]
    }
    case "tool-result":
      return [resultOf(part, true)]
    default:
      return []
  }
}

const resultOf = (part: Kind<"tool-result">, providerExecuted: boolean): Prompt.ToolResultPartEncoded => {
  const { toolCallId: id, toolName: name, output, providerOptions } = part
  const isFailure = output.type === "error-text" || output.type === "error-json" || output.type === "execution-denied"
  return { type: "tool-result", id, name, isFailure, result: plainOf(output), providerExecuted, ...optionsOf(providerOptions) }
}

const plainOf = (output: Output): unknown => {
  if (output.type === "execution-denied") return output.reason ?? "This call was not allowed."
  if (output.type !== "content") return output.value
  return output.value.map((part) => (part.type === "text" ? part.text : `[${part.type}]`)).join("\n")
}

/** Options of providers are the same in both, by the name of the provider. */
const optionsOf = (options: Metadata | undefined): { readonly options?: Metadata } => (options === undefined ? {} : { options })

// Replies.

/** A part as it was decoded, or as the provider gave it. */
type AnyPart = Response.Part<{ readonly [name: string]: Tool.Any }> | Response.PartEncoded
type AnyStreamPart = Response.StreamPart<{ readonly [name: string]: Tool.Any }>

/**
 * The parts of a reply that was refused for a call of a tool that is not offered. The agent tells the model of those.
 */
const partsIn = ({ cause }: AiError.MalformedOutput): Option.Option<ReadonlyArray<AnyPart>> => {
  if (!ParseResult.isParseError(cause) || !("actual" in cause.issue)) return Option.none()
  const { actual } = cause.issue
  return Array.isArray(actual) && actual.every(isReadable) ? Option.some(actual) : Option.none()
}

const isText = Schema.is(Schema.Struct({ type: Schema.Literal("text", "reasoning"), text: Schema.String }))
const isCall = Schema.is(
  Schema.Struct({ type: Schema.Literal("tool-call"), id: Schema.String, name: Schema.String, params: Schema.Unknown }),
)
const isAbout = Schema.is(Schema.Struct({ type: Schema.Literal("response-metadata", "finish") }))
const isReadable = (part: unknown): boolean => isText(part) || isCall(part) || isAbout(part)

const replyOf = (parts: ReadonlyArray<AnyPart>): Generated => {
  const finish = parts.find((part) => part.type === "finish")
  const about = parts.find((part) => part.type === "response-metadata")
  return {
    content: parts.flatMap(contentOf),
    finishReason: reasonOf(finish?.reason),
    usage: usageOf(finish?.usage),
    warnings: [],
    ...metadataOf(finish?.metadata),
    ...(about === undefined ? {} : { response: aboutOf(about) }),
  }
}

const contentOf = (part: AnyPart): ReadonlyArray<Content> => {
  switch (part.type) {
    case "text":
      return [{ type: "text", text: part.text, ...metadataOf(part.metadata) }]
    case "reasoning":
      return [{ type: "reasoning", text: part.text, ...metadataOf(part.metadata) }]
    case "tool-call":
      return [callOf(part)]
    default:
      return []
  }
}

type CallPart = Pick<Response.ToolCallPartEncoded, "id" | "name" | "params" | "metadata">

const callOf = ({ id, name, params, metadata }: CallPart): Extract<Content, { readonly type: "tool-call" }> => ({
  type: "tool-call",
  toolCallId: id,
  toolName: name,
  input: JSON.stringify(params ?? {}),
  ...metadataOf(metadata),
})

const streamedOf = (part: AnyStreamPart, names: Map<string, string>): ReadonlyArray<StreamPart> => {
  const more = metadataOf(part.metadata)
  switch (part.type) {
    case "text-start":
    case "text-end":
    case "reasoning-start":
    case "reasoning-end":
      return [{ type: part.type, id: part.id, ...more }]
    case "text-delta":
    case "reasoning-delta":
      return [{ type: part.type, id: part.id, delta: part.delta, ...more }]
    case "tool-params-start":
      names.set(part.id, part.name)
      return [{ type: "tool-input-start", id: part.id, toolName: part.name, ...more }]
    case "tool-params-delta":
      return [{ type: "tool-input-delta", id: part.id, delta: part.delta, ...more }]
    case "tool-params-end":
      return [{ type: "tool-input-end", id: part.id, ...more }]
    case "tool-call":
      return [callOf(part)]
    case "response-metadata":
      return [{ type: "response-metadata", ...aboutOf(part) }]
    case "finish":
      return [{ type: "finish", finishReason: reasonOf(part.reason), usage: usageOf(part.usage), ...more }]
    case "error":
      return [{ type: "error", error: part.error }]
    default:
      return []
  }
}

const aboutOf = (part: Response.ResponseMetadataPart | Response.ResponseMetadataPartEncoded) => {
  const [id, modelId] = [part.id, part.modelId].map((value) => (Option.isOption(value) ? Option.getOrUndefined(value) : value))
  const { timestamp } = part
  const at = Option.isOption(timestamp)
    ? Option.getOrUndefined(Option.map(timestamp, DateTime.toDateUtc))
    : new Date(timestamp ?? 0)
  return defined({ id, modelId, timestamp: timestamp === undefined ? undefined : at })
}

const reasonOf = (reason: Response.FinishReason | undefined): Generated["finishReason"] => {
  const unified = reason === undefined || reason === "unknown" || reason === "pause" ? "other" : reason
  return { unified, raw: reason }
}

type Usage = Response.FinishPartEncoded["usage"]

const usageOf = (usage: Usage | undefined): Generated["usage"] => {
  const { inputTokens, outputTokens, cachedInputTokens, reasoningTokens } = usage ?? {}
  return {
    inputTokens: {
      total: inputTokens,
      noCache: without(inputTokens, cachedInputTokens),
      cacheRead: cachedInputTokens,
      cacheWrite: undefined,
    },
    outputTokens: { total: outputTokens, text: without(outputTokens, reasoningTokens), reasoning: reasoningTokens },
  }
}

const without = (total: number | undefined, part: number | undefined): number | undefined =>
  total === undefined || part === undefined ? undefined : Math.max(0, total - part)

const isMetadata = (metadata: unknown): metadata is Metadata =>
  typeof metadata === "object" && metadata !== null && Object.values(metadata).some((each) => each !== undefined)

/** Metadata that a provider requires in the next request, such as the signature of a thought. */
const metadataOf = (metadata: unknown): { readonly providerMetadata?: Metadata } =>
  isMetadata(metadata) ? { providerMetadata: metadata } : {}

// Errors.

/** Errors of Effect AI by the class of the AI SDK that is classified, and whose request is not shown. */
const errorOf = (error: AiError.AiError, { APICallError }: Sdk): Error => {
  switch (error._tag) {
    case "HttpResponseError": {
      const { status: statusCode, headers } = error.response
      const { url } = error.request
      const [message = "", ...rest] = error.message.split("\n\n")
      const body = error.body ?? ""
      const said = saysIn(body)
      return new APICallError({
        ...{ message: said ?? [message, ...rest].join("\n\n"), url, requestBodyValues: {}, statusCode, cause: error },
        ...{ responseHeaders: textsOf(headers), responseBody: body },
      })
    }
    case "HttpRequestError": {
      const { url } = error.request
      return new APICallError({
        message: error.message,
        url,
        requestBodyValues: {},
        isRetryable: error.reason === "Transport",
        cause: error,
      })
    }
    case "MalformedInput":
      return new NonRetryable({ message: error.description ?? "the request was not accepted by the client", cause: error })
    default:
      return error
  }
}

/** The message of a provider in the body of its answer. */
const saysIn = (body: string): string | undefined => {
  try {
    const message = Thrown.get(Thrown.get(JSON.parse(body), "error"), "message")
    return typeof message === "string" ? message : undefined
  } catch {
    return undefined
  }
}

/** Headers as texts: those that hold secrets are hidden. */
const textsOf = (headers: { readonly [name: string]: unknown }): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).flatMap(([name, value]) => (typeof value === "string" ? [[name, value]] : [])))
