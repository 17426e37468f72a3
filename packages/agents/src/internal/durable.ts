/**
 * Agents of the AI SDK whose loop is recorded: a middleware stores each reply of the model, and wrapped tools store each call. The
 * SDK's own hooks cannot do that: it drops what they throw, and does not wait for them.
 */
import type { Usage } from "@smithers/core/Charges"
import * as Digest from "@smithers/core/Digest"
import type * as Redactor from "@smithers/core/Redactor"
import * as Secrets from "@smithers/core/Secrets"
import { defined } from "@smithers/core/Struct"
import * as Thrown from "@smithers/core/Thrown"
import type { LanguageModel, LanguageModelMiddleware, ToolSet } from "ai"
import type * as Conversation from "../Conversation.ts"
import * as DoomLoop from "../DoomLoop.ts"
import * as ToolRules from "../ToolRules.ts"
import * as Grace from "./grace.ts"
import { decode, encode } from "./richJson.ts"
import type { Sdk } from "./sdk.ts"

type AnyTool = ToolSet[string]

type Approval = (...args: ReadonlyArray<unknown>) => unknown

/** A prepared call, as far as it is read or changed here. */
interface PreparedCall {
  readonly model: LanguageModel
  readonly tools?: ToolSet
  readonly instructions?: unknown
  readonly prompt?: unknown
  readonly messages?: ReadonlyArray<unknown>
  readonly toolApproval?: Approval | { readonly [tool: string]: unknown }
  readonly prepareStep?: (...args: ReadonlyArray<never>) => unknown
}

/** An agent of the SDK, with the method by which it prepares each call. */
interface Preparing {
  readonly prepareCall: (options: object) => Promise<PreparedCall>
}

const isPreparing = (agent: object): agent is Preparing => typeof Thrown.get(agent, "prepareCall") === "function"

/** Tells whether the loop of an agent can be recorded. */
export const isDurable = (agent: object): boolean => isPreparing(agent)

/** Derives an agent whose calls belong to a conversation. Returns the agent itself if it cannot be recorded. */
export const derive = <A extends object>(ai: Sdk, agent: A, conversation: Conversation.Conversation, limit?: unknown): A => {
  if (!isPreparing(agent)) return agent
  /** Calls that need an approval, by their ids. */
  const asked = new Set<string>()
  const prepareCall = async (options: object): Promise<PreparedCall> => {
    const call = await agent.prepareCall(options)
    const tools = call.tools ?? {}
    const rulesOf = (name: string): ToolRules.ToolRules => ToolRules.of(tools[name] ?? {})
    const { preface } = await conversation.begin({ digest: await digestOf(ai, call), prompt: promptOf(call), rulesOf })
    const record = (model: LanguageModel): LanguageModel => recorded(ai, model, conversation, limit)
    return {
      ...call,
      ...(preface === undefined ? {} : withPreface(call, preface)),
      model: record(call.model),
      ...(call.tools === undefined ? {} : { tools: recordedTools(Grace.ofTools(tools), conversation, asked) }),
      ...(call.toolApproval === undefined ? {} : { toolApproval: relayed(call.toolApproval, asked) }),
      ...(call.prepareStep === undefined ? {} : { prepareStep: recordedSteps(call.prepareStep, record) }),
    }
  }
  return Object.create(agent, { prepareCall: { value: prepareCall } }) as A
}

/** Digest of all that the replies depend on. The form of the answer is part of the prompt. */
const digestOf = async (ai: Sdk, { model, tools = {}, instructions, prompt, messages }: PreparedCall): Promise<string> => {
  const schemas = await Promise.all(
    Object.entries(tools).map(async ([name, tool]) => [name, tool.description, await schemaOf(ai, tool)] as const),
  )
  return Digest.ofValue({
    model: typeof model === "string" ? model : `${model.provider}/${model.modelId}`,
    tools: schemas,
    instructions: instructions ?? null,
    prompt: prompt ?? null,
    messages: messages ?? null,
  })
}

/** Schemas of tools by the tool, since a conversion costs more than the rest of a call. */
const schemas = new WeakMap<object, unknown>()

const schemaOf = async (ai: Sdk, tool: AnyTool): Promise<unknown> => {
  if (schemas.has(tool)) return schemas.get(tool)
  const schema = tool.inputSchema === undefined ? null : await ai.asSchema(tool.inputSchema).jsonSchema
  schemas.set(tool, schema)
  return schema
}

const promptOf = ({ prompt, messages }: PreparedCall): string => {
  if (typeof prompt === "string") return prompt
  const last: unknown = (Array.isArray(prompt) ? prompt : messages)?.at(-1)
  const content = Thrown.get(last, "content")
  return typeof content === "string" ? content : Digest.canonicalText(content ?? "")
}

const withPreface = ({ prompt, messages }: PreparedCall, preface: string): Partial<PreparedCall> => {
  if (typeof prompt === "string") return { prompt: `${prompt}\n\n${preface}` }
  const told = { role: "user", content: preface }
  return Array.isArray(prompt) ? { prompt: [...prompt, told] } : { messages: [...(messages ?? []), told] }
}

const recordedSteps =
  (prepareStep: NonNullable<PreparedCall["prepareStep"]>, record: (model: LanguageModel) => LanguageModel) =>
  async (...args: ReadonlyArray<never>): Promise<unknown> => {
    const prepared = await prepareStep(...args)
    const model = Thrown.get(prepared, "model")
    return model === undefined ? prepared : { ...(prepared as object), model: record(model as LanguageModel) }
  }

// Models.

type Generated = Awaited<ReturnType<Parameters<NonNullable<LanguageModelMiddleware["wrapGenerate"]>>[0]["doGenerate"]>>
type Streamed = Awaited<ReturnType<Parameters<NonNullable<LanguageModelMiddleware["wrapStream"]>>[0]["doStream"]>>
type Part = Streamed["stream"] extends ReadableStream<infer P> ? P : never
type DeltaPart = Extract<Part, { readonly delta: string }>

const recorded = (ai: Sdk, model: LanguageModel, conversation: Conversation.Conversation, limit: unknown): LanguageModel => {
  // As the SDK resolves ids.
  const provider = globalThis.AI_SDK_DEFAULT_PROVIDER ?? ai.gateway
  const inner = typeof model === "string" ? provider.languageModel(model) : model
  type Wrappable = Parameters<typeof ai.wrapLanguageModel>[0]["model"]
  return ai.wrapLanguageModel({ model: inner as Wrappable, middleware: middlewareOf(conversation, limit) })
}

const middlewareOf = (conversation: Conversation.Conversation, limit: unknown): LanguageModelMiddleware => ({
  specificationVersion: "v4",
  wrapGenerate: async ({ doGenerate, params, model }) => {
    const before = conversation.nextReply(callsOfText)
    if (before !== undefined) return decode(before) as Generated
    // Acts on the stored form.
    const generated = Secrets.value(
      await holding(conversation, limit, async () => {
        const isLast = await conversation.askModel(callOf(model.modelId, params))
        return await released(conversation, isLast ? () => model.doGenerate(lastOf(params)) : doGenerate)
      }),
    )
    const { request: _, response, ...reply } = generated
    const { body: __, headers: ___, ...about } = response ?? {}
    const text = encodeReply({ ...reply, ...(response === undefined ? {} : { response: about }) })
    await conversation.keepReply({
      text,
      calls: callsOf(generated.content),
      model: about.modelId ?? model.modelId,
      usage: usageOf(generated.usage),
    })
    return generated
  },
  wrapStream: async ({ doStream, params, model }) => {
    const before = conversation.nextReply(callsOfText)
    if (before !== undefined) return { stream: streamOf(decode(before) as ReadonlyArray<Part>) }
    const call = async () => {
      const isLast = await conversation.askModel(callOf(model.modelId, params))
      return await released(conversation, isLast ? () => model.doStream(lastOf(params)) : doStream)
    }
    if (limit === undefined) {
      const streamed = await call()
      return { ...streamed, stream: streamed.stream.pipeThrough(redacting()).pipeThrough(keeping(conversation, model.modelId)) }
    }
    return await conversation.withSlot(limit, async (release) => {
      try {
        const { stream, ...streamed } = await call()
        return {
          ...streamed,
          stream: releasing(stream, release).pipeThrough(redacting()).pipeThrough(keeping(conversation, model.modelId)),
        }
      } catch (error) {
        release()
        throw error
      }
    })
  },
})

type Params = Parameters<NonNullable<LanguageModelMiddleware["wrapGenerate"]>>[0]["params"]

const callOf = (model: string, { prompt, tools = [], maxOutputTokens }: Params): Conversation.ModelCall => ({
  model,
  text: () => JSON.stringify([prompt, tools]),
  maxOutputTokens,
})

/** The last request of an agent whose budget is used up: without tools. */
const lastOf = (params: Params): Params => {
  const text = "Your budget is used up, and tools cannot be called any more. Answer now, with what you have."
  const { tools: _, toolChoice: __, ...others } = params
  return { ...others, prompt: [...params.prompt, { role: "user", content: [{ type: "text", text }] }] }
}

/** Makes a call. One that the provider refuses costs nothing; of any other failure the cost is not known. */
const released = async <A>(conversation: Conversation.Conversation, call: () => PromiseLike<A>): Promise<A> => {
  try {
    return await call()
  } catch (error) {
    if (Number(Thrown.get(error, "statusCode")) >= 400) await conversation.releaseCall()
    throw error
  }
}

const usageOf = ({ inputTokens, outputTokens }: Generated["usage"]): Usage =>
  defined({
    inputTokens: inputTokens.total,
    outputTokens: outputTokens.total,
    cachedInputTokens: inputTokens.cacheRead,
    cacheWriteTokens: inputTokens.cacheWrite,
    reasoningTokens: outputTokens.reasoning,
  })

/** Calls a model while it holds a slot of the agent's limit, if it has one. */
const holding = <A>(conversation: Conversation.Conversation, limit: unknown, call: () => PromiseLike<A>): PromiseLike<A> =>
  limit === undefined
    ? call()
    : conversation.withSlot(limit, async (release) => {
        try {
          return await call()
        } finally {
          release()
        }
      })

/** Passes a stream on, and gives its slot back once it has ended, failed or is not read any more. */
const releasing = (stream: ReadableStream<Part>, release: () => void): ReadableStream<Part> => {
  const reader = stream.getReader()
  return new ReadableStream({
    pull: async (controller) => {
      try {
        const { done, value } = await reader.read()
        if (!done) return controller.enqueue(value)
        controller.close()
      } catch (error) {
        controller.error(error)
      }
      release()
    },
    cancel: async (reason) => {
      release()
      await reader.cancel(reason)
    },
  })
}

const streamOf = (parts: ReadonlyArray<Part>): ReadableStream<Part> =>
  new ReadableStream({
    start: (controller) => {
      for (const part of parts) controller.enqueue(part)
      controller.close()
    },
  })

/** Replaces the secrets in the parts of a stream; of texts that come in deltas also those that are spread over several. */
const redacting = (): TransformStream<Part, Part> => {
  const streams = new Map<string, { readonly last: DeltaPart; readonly stream: Redactor.Stream }>()
  const release = (controller: TransformStreamDefaultController<Part>, key: string): void => {
    const open = streams.get(key)
    streams.delete(key)
    const delta = open?.stream.end() ?? ""
    if (open !== undefined && delta !== "") controller.enqueue({ ...open.last, delta })
  }
  return new TransformStream({
    transform: (part, controller) => {
      if (part.type === "text-delta" || part.type === "reasoning-delta" || part.type === "tool-input-delta") {
        const key = `${part.type}/${part.id}`
        const stream = streams.get(key)?.stream ?? Secrets.stream()
        streams.set(key, { last: part, stream })
        const delta = stream.push(part.delta)
        if (delta !== "" || part.delta === "") controller.enqueue({ ...part, delta })
        return
      }
      if (part.type === "text-end" || part.type === "reasoning-end" || part.type === "tool-input-end")
        release(controller, `${part.type.replace(/-end$/, "-delta")}/${part.id}`)
      controller.enqueue(Secrets.value(part))
    },
    flush: (controller) => {
      for (const key of [...streams.keys()]) release(controller, key)
    },
  })
}

/** Parts that make the SDK act, or end the reply. They pass once the whole reply is stored. */
const isDecisive = ({ type }: Part): boolean => type === "tool-call" || type === "tool-approval-request" || type === "finish"

/** Passes the parts of a stream on, and stores the reply before its tools can run. A reply that breaks off is not stored. */
const keeping = (conversation: Conversation.Conversation, model: string): TransformStream<Part, Part> => {
  const kept: Array<Part> = []
  let held: Array<Part> | undefined
  let isBroken = false
  return new TransformStream({
    transform: async (part, controller) => {
      if (part.type === "error") isBroken = true
      if (part.type !== "raw" && part.type !== "ping") keep(kept, part)
      if (held !== undefined || isDecisive(part)) {
        held = [...(held ?? []), part]
        if (part.type !== "finish") return
        if (!isBroken) await conversation.keepReply(replyOf(kept, part, model))
        for (const each of held) controller.enqueue(each)
        held = undefined
        return
      }
      controller.enqueue(part)
    },
    flush: (controller) => {
      for (const part of held ?? []) controller.enqueue(part)
    },
  })
}

/** Adds a part; deltas of one text become one. */
const keep = (kept: Array<Part>, part: Part): void => {
  const last = kept.at(-1)
  const isSame = (part.type === "text-delta" || part.type === "reasoning-delta") && last?.type === part.type && last.id === part.id
  if (isSame) kept[kept.length - 1] = { ...part, delta: last.delta + part.delta }
  else if (part.type !== "tool-input-delta") kept.push(part)
  else if (last?.type === "tool-input-delta" && last.id === part.id)
    kept[kept.length - 1] = { ...last, delta: last.delta + part.delta }
  else kept.push(part)
}

const replyOf = (
  kept: ReadonlyArray<Part>,
  { usage }: Extract<Part, { readonly type: "finish" }>,
  asked: string,
): Conversation.Reply => {
  const model = kept.find((part) => part.type === "response-metadata")?.modelId ?? asked
  return {
    text: encodeReply(kept),
    calls: callsOf(kept),
    model,
    usage: usageOf(usage),
  }
}

/** Replies are objects, so they have a form. */
const encodeReply = (reply: object): string => encode(reply) ?? "null"

/** The tool calls among the parts of a reply that are ours to make. */
const callsOf = (content: ReadonlyArray<unknown>): Conversation.Reply["calls"] =>
  content.flatMap((part) => {
    if (Thrown.get(part, "type") !== "tool-call" || Thrown.get(part, "providerExecuted") === true) return []
    return [{ callId: String(Thrown.get(part, "toolCallId")), tool: String(Thrown.get(part, "toolName")) }]
  })

/** The same of a stored reply. */
const callsOfText = (text: string): Conversation.Reply["calls"] => {
  const reply: unknown = JSON.parse(text)
  const content = Array.isArray(reply) ? reply : Thrown.get(reply, "content")
  return Array.isArray(content) ? callsOf(content) : []
}

// Tools.

/** Notes the calls that the SDK would stop for, so that the conversation asks for them, durably. */
const relayed = (approval: NonNullable<PreparedCall["toolApproval"]>, asked: Set<string>): typeof approval => {
  const relay = (callId: unknown, status: unknown): unknown => {
    if (status !== "user-approval" && Thrown.get(status, "type") !== "user-approval") return status
    asked.add(String(callId))
    return "not-applicable"
  }
  if (typeof approval === "function") {
    const judge: Approval = async (call) =>
      relay(Thrown.get(Thrown.get(call, "toolCall"), "toolCallId"), await (approval as Approval)(call))
    return judge
  }
  const entries = Object.entries(approval).map(([tool, status]) => {
    const judge: Approval = async (input, options) =>
      relay(Thrown.get(options, "toolCallId"), typeof status === "function" ? await (status as Approval)(input, options) : status)
    return [tool, judge] as const
  })
  return Object.fromEntries(entries)
}

type ToModelOutput = NonNullable<AnyTool["toModelOutput"]>

/** Shows a result as its tool does, and the notice that was added to it besides. */
const noticed =
  (toModelOutput: ToModelOutput): ToModelOutput =>
  async (options: Parameters<ToModelOutput>[0]) => {
    const { result, notice } = DoomLoop.splitNotice(options.output)
    const shown = await toModelOutput({ ...options, output: result })
    if (notice === undefined) return shown
    if (shown.type === "text" || shown.type === "error-text") return { ...shown, value: `${shown.value}\n\n${notice}` }
    return shown.type === "content" ? { ...shown, value: [...shown.value, { type: "text" as const, text: notice }] } : shown
  }

const recordedTools = (tools: ToolSet, conversation: Conversation.Conversation, asked: Set<string>): ToolSet =>
  Object.fromEntries(Object.entries(tools).map(([name, tool]) => [name, recordedTool(name, tool, conversation, asked)]))

/** A tool whose calls are recorded. Approval is asked for here, durably, and not by the SDK. */
const recordedTool = (name: string, tool: AnyTool, conversation: Conversation.Conversation, asked: Set<string>): AnyTool => {
  const { execute, needsApproval, ...others } = tool
  if (execute === undefined) return tool
  const rules = ToolRules.of(tool)
  const call = (input: unknown, options: { readonly toolCallId: string }): Promise<unknown> =>
    conversation.callTool({
      callId: options.toolCallId,
      tool: name,
      input,
      rules,
      isAsked: asked.has(options.toolCallId),
      // The form that the model gets is the tool's own.
      isCut: tool.toModelOutput === undefined,
      execute: () => execute.call(tool, input, options as Parameters<typeof execute>[1]),
    })
  const judge: Approval = async (input, options) => {
    const isNeeded = typeof needsApproval === "function" ? await (needsApproval as Approval)(input, options) : needsApproval
    if (isNeeded === true) asked.add(String(Thrown.get(options, "toolCallId")))
    return false
  }
  // The union of kinds of tools does not survive the rest of its fields.
  const shown = others.toModelOutput === undefined ? {} : { toModelOutput: noticed(others.toModelOutput) }
  return { ...others, ...shown, ...(needsApproval === undefined ? {} : { needsApproval: judge }), execute: call } as AnyTool
}
