/**
 * Agents made of a model, instructions and tools, based on the AI SDK's `ToolLoopAgent`. Instructions may be a function of the
 * run's input, the schema of the step becomes the model's response format, and tools know the step they work for. The SDK is loaded
 * at the first call, so that workflow files load quickly.
 */
import {
  type Agent,
  type AgentReply,
  type AgentRequest,
  type AgentUsage,
  boundsKey,
  type CallContext,
  limitsKey,
} from "@smithers/core/Agent"
import * as Bounds from "@smithers/core/Bounds"
import type { JsonSchema } from "@smithers/core/Codec"
import { NonRetryable } from "@smithers/core/Errors"
import * as Limits from "@smithers/core/Limits"
import type { Names } from "@smithers/core/Settings"
import { defined } from "@smithers/core/Struct"
import * as Thrown from "@smithers/core/Thrown"
import type { LanguageModel, ToolLoopAgent, ToolLoopAgentSettings, ToolSet } from "ai"
import * as Either from "effect/Either"
import * as Grace from "./internal/grace.ts"
import { recordsItself } from "./internal/recordsItself.ts"
import * as Sdk from "./internal/sdk.ts"
import { checkSettingNames } from "./internal/settingNames.ts"
import type * as McpServer from "./McpServer.ts"
import * as ToolRules from "./ToolRules.ts"
import * as ToolSession from "./ToolSession.ts"

/** Input of any workflow. `any`, since its fields must be usable without naming its type. */
type AnyInput = ReturnType<typeof JSON.parse>

/** Context of tools (`context`) and of the SDK's callbacks (`runtimeContext`). */
export interface ToolContext {
  readonly runId: string
  readonly stepId: string
  /** Iteration of the innermost loop around the step, from 0. */
  readonly iteration: number
  /** Number of the attempt, from 1. */
  readonly attempt: number
  /**
   * Idempotency key, equal for all attempts of the step and thus for all tool calls in them. Combine it with what distinguishes the
   * calls, such as the tool's name and input, to deduplicate them.
   */
  readonly idempotencyKey: string
}

/** Settings that this module sets itself. */
type Own =
  | "id"
  | "model"
  | "instructions"
  | "output"
  | "maxRetries"
  | "tools"
  | "toolsContext"
  | "runtimeContext"
  | "allowSystemInMessages"
  | "callOptionsSchema"
  | "prepareCall"
  | "_internal"

/** Settings of an agent. Others are passed to the AI SDK: `temperature`, `maxOutputTokens`, `headers` … */
export type AgentSettings<Input = AnyInput> = Omit<ToolLoopAgentSettings<never, ToolSet>, Own> & {
  /** Name of the agent in plans, stored prompts, and errors. */
  readonly name: string
  /** System prompt: a text, or a function of the decoded input of the run, evaluated at every call. */
  readonly instructions?: string | ((input: Input) => string | Promise<string>)
  /**
   * Model of a provider's package, or id of a model of the AI gateway, such as `"anthropic/claude-sonnet-4.5"`. Default: the id in
   * the environment variable `SMITHERS_MODEL`.
   */
  readonly model?: LanguageModel
  /** Tools of the model. Their `execute` receives a {@link ToolContext} as `context`, with the fields of `toolsContext`. */
  readonly tools?: ToolSet
  /** Additional context of tools, by the name of the tool. */
  readonly toolsContext?: { readonly [tool: string]: { readonly [name: string]: unknown } }
  /**
   * Maximum number of answers of the model per call, including those that only call tools. `stopWhen` overrides it. Default: 20.
   */
  readonly maxSteps?: number
  /**
   * Passes the schema of the step to the provider as response format, if it describes an object and the provider supports it. The
   * prompt contains the schema and the output is validated in any case. Default: true.
   */
  readonly structuredOutput?: boolean
  /**
   * Servers of the Model Context Protocol, whose tools the agent has besides. They are started with the first call in an attempt,
   * and end with it.
   */
  readonly mcp?: ReadonlyArray<McpServer.McpServer>
  /**
   * A limit of the runtime, by its name or as `{ name, key }`, or a function of the decoded input of the run that returns it. Each call
   * of the model is made once it holds a slot of it, which it gives back with the reply. Default: none.
   */
  readonly limit?: Limits.LimitName | ((input: Input) => Limits.LimitName)
  /**
   * Lets the provider stream its replies, which some require for long ones. Each is recorded as a whole before its tools run.
   * Default: false.
   */
  readonly stream?: boolean
}

/** The names of all settings. A setting of the SDK that is missing here is a type error. */
const settingNames: Names<AgentSettings> = {
  name: true,
  model: true,
  instructions: true,
  tools: true,
  toolsContext: true,
  maxSteps: true,
  structuredOutput: true,
  mcp: true,
  stream: true,
  limit: true,
  stopWhen: true,
  activeTools: true,
  experimental_download: true,
  experimental_onStart: true,
  experimental_onStepStart: true,
  experimental_refineToolInput: true,
  experimental_repairToolCall: true,
  experimental_telemetry: true,
  experimental_toolApprovalSecret: true,
  experimental_toolCallers: true,
  headers: true,
  include: true,
  onAbort: true,
  onEnd: true,
  onError: true,
  onFinish: true,
  onLanguageModelCallEnd: true,
  onLanguageModelCallStart: true,
  onStart: true,
  onStepEnd: true,
  onStepError: true,
  onStepFinish: true,
  onStepStart: true,
  onToolExecutionEnd: true,
  onToolExecutionStart: true,
  prepareStep: true,
  providerOptions: true,
  repairToolCall: true,
  telemetry: true,
  timeout: true,
  toolApproval: true,
  toolCallConcurrency: true,
  toolChoice: true,
  toolOrder: true,
  maxOutputTokens: true,
  temperature: true,
  topP: true,
  topK: true,
  presencePenalty: true,
  frequencyPenalty: true,
  stopSequences: true,
  seed: true,
  reasoning: true,
}

/**
 * Creates an agent. It has no retries of its own: the retry policy of the step is durable, and respects the delay that a provider
 * requests. Calls fail with `NonRetryable` if there is no model or the package `ai` cannot be loaded, otherwise with the error of the
 * AI SDK. Throws `InvalidSetting` for a mistyped setting, which the SDK would ignore.
 *
 * A tool whose `contextSchema` rejects unknown fields must declare those of {@link ToolContext}.
 *
 * @example
 * import { createAgent } from "smithers-orchestrator/agents"
 *
 * const analyze = createAgent({
 *   name: "analyzer",
 *   model: "anthropic/claude-sonnet-4.5",
 *   instructions: ({ repo, sha }) => `
 *     Analyze the repository ${repo} at commit ${sha}.
 *     Flag breaking changes, performance regressions, security issues.
 *   `,
 * })
 */
export const createAgent = <Input = AnyInput>(
  settings: AgentSettings<Input>,
): Agent & { readonly name: string; readonly wantsContext: true; readonly tools: ToolSet } => {
  checkSettingNames(settings, Object.keys(settingNames))
  const {
    name,
    instructions,
    model,
    maxSteps = Bounds.limitOf("rounds"),
    stopWhen,
    structuredOutput,
    stream,
    toolsContext,
    limit,
    mcp = [],
    ...others
  } = settings
  /** Schemas that the provider has refused; later calls omit them. */
  const refused = new Set<string>()

  const generate = async (request: AgentRequest): Promise<AgentReply> => {
    const { context } = request
    const limitOfCall: unknown = typeof limit === "function" ? limit(context?.input as Input) : limit
    const [ai, chosen] = [await load(), model ?? modelOfEnvironment(name)]
    // As the SDK: most programs that make an agent are still far from its first call.
    const [Conversation, Durable] = await Promise.all([import("./Conversation.ts"), import("./internal/durable.ts")])
    const said = typeof instructions === "function" ? await instructions(context?.input as Input) : instructions
    const stepContext = context === undefined ? {} : toolContext(context)
    const session = ToolSession.find()
    const all =
      mcp.length === 0 ? others.tools : await (await import("./McpServer.ts")).withTools(ai, mcp, others.tools ?? {}, session)
    const offered = session?.offer(all ?? {}) ?? all
    const tools = offered === undefined ? undefined : Grace.ofTools(offered)
    const stop = stopWhen ?? ai.isStepCount(maxSteps)

    /** Calls the model, and again without the schema if the provider refuses it before anything happened. */
    const call = async (schema: JsonSchema | undefined): Promise<AgentReply> => {
      const made = {
        // The SDK prints an error that ends a stream, with the request; it is thrown here.
        ...(stream === true ? { onError: () => {} } : {}),
        ...others,
        id: name,
        model: chosen,
        maxRetries: 0,
        runtimeContext: stepContext,
        toolsContext: forEachTool(others.tools, stepContext, toolsContext),
        stopWhen: stop,
        ...defined({ instructions: said, tools }),
        ...(schema === undefined ? {} : { output: ai.Output.object({ schema: ai.jsonSchema(schema) }) }),
      }
      // The SDK ties each context to the type of its tool, which is unknown here.
      const own = new ai.ToolLoopAgent(made as unknown as ToolLoopAgentSettings<never, ToolSet>)
      const conversation = Conversation.ofContext()
      const agent = conversation === undefined ? own : Durable.derive(ai, own, conversation, limitOfCall)
      let steps = 0
      let usage: AgentUsage | undefined
      try {
        const asked = {
          ...(request.messages === undefined ? { prompt: request.prompt } : { messages: request.messages }),
          ...defined({ abortSignal: request.abortSignal }),
          onStepEnd: () => {
            steps++
          },
          onEnd: (event: { readonly usage: AgentUsage }) => {
            usage = event.usage
          },
        }
        return stream === true ? await streamed(agent, asked, ai) : await agent.generate(asked)
      } catch (error) {
        // The reply does not match the schema. The caller validates it and asks for a correction.
        if (ai.NoObjectGeneratedError.isInstance(error)) {
          const { text = "", finishReason, response } = error
          return { text, usage, finishReason, response: { modelId: response?.modelId } }
        }
        if (schema === undefined || steps > 0 || !isRefusal(error, ai)) throw error
        refused.add(JSON.stringify(schema))
        return await call(undefined)
      }
    }

    const { outputSchema } = context ?? {}
    const isHeld = structuredOutput !== false && outputSchema?.type === "object" && !refused.has(JSON.stringify(outputSchema))
    return await call(isHeld ? outputSchema : undefined)
  }

  const identity = async (input: unknown): Promise<unknown> => ({
    ...{ ...others, model: typeof model === "function" ? "function" : (model ?? modelOfEnvironment(name)) },
    ...{ maxSteps: settings.maxSteps, stopWhen, structuredOutput, mcp },
    instructions: typeof instructions === "function" ? await instructions(input as Input) : instructions,
  })
  const tools = settings.tools ?? {}
  const agent = {
    name,
    wantsContext: true as const,
    [recordsItself]: true,
    [limitsKey]: limitNames(limit, tools),
    [boundsKey]: stopWhen === undefined ? { rounds: maxSteps } : {},
    tools,
    identity,
    generate,
  }
  return agent
}

/** The limits that an agent and its tools name, without those that a function computes. */
const limitNames = (limit: unknown, tools: ToolSet): ReadonlyArray<string> =>
  [limit, ...Object.values(tools).map((tool) => ToolRules.of(tool).limitName)].flatMap((named) => {
    const queue = named === undefined || typeof named === "function" ? undefined : Limits.queueOf(named)
    return queue === undefined || Either.isLeft(queue) ? [] : [queue.right.name]
  })

/**
 * The reply of a streaming agent. The SDK drops the status of an error that ends a stream before there is any output; it is kept from
 * the stream.
 */
const streamed = async (
  agent: ToolLoopAgent<never, ToolSet>,
  asked: Parameters<ToolLoopAgent<never, ToolSet>["stream"]>[0],
  ai: Sdk.Sdk,
): Promise<AgentReply> => {
  const result = await agent.stream(asked)
  let raised: { readonly error: unknown } | undefined
  for await (const part of result.stream) if (part.type === "error") raised ??= { error: part.error }
  if (raised !== undefined) throw raised.error
  try {
    const [text, usage, finishReason, response] = [
      await result.text,
      await result.usage,
      await result.finishReason,
      await result.response,
    ]
    return { text, usage, finishReason, response: { modelId: response.modelId } }
  } catch (error) {
    if (ai.NoOutputGeneratedError.isInstance(error) && error.cause !== undefined) throw error.cause
    throw error
  }
}

const load = async (): Promise<Sdk.Sdk> => {
  try {
    return await Sdk.load()
  } catch (cause) {
    const message = 'createAgent needs the package "ai", which cannot be loaded. Install it: bun add ai'
    throw new NonRetryable({ message, cause })
  }
}

const modelOfEnvironment = (name: string): string => {
  const { SMITHERS_MODEL: id } = process.env
  if (id !== undefined && id !== "") return id
  const message = `agent "${name}" has no model: pass "model" to createAgent, or set SMITHERS_MODEL to the id of a model of the AI gateway, such as "anthropic/claude-sonnet-4.5"`
  throw new NonRetryable({ message })
}

const toolContext = ({ runId, stepId, iteration, attempt, idempotencyKey }: CallContext): ToolContext => ({
  runId,
  stepId,
  iteration,
  attempt,
  idempotencyKey,
})

/** Splits the context by tool, since the SDK passes each tool only its own. */
const forEachTool = (
  tools: ToolSet | undefined,
  stepContext: ToolContext | Record<never, never>,
  added: AgentSettings["toolsContext"],
): Record<string, unknown> =>
  Object.fromEntries(Object.keys(tools ?? {}).map((tool) => [tool, { ...added?.[tool], ...stepContext }]))

/**
 * Returns `true` if a request was refused as invalid, possibly for its response format. Providers support different parts of JSON
 * Schema (some refuse optional fields), and some models support none.
 */
const isRefusal = (error: unknown, ai: Sdk.Sdk): boolean => {
  const status = Thrown.get(error, "statusCode")
  return status === 400 || status === 422 || ai.UnsupportedFunctionalityError.isInstance(error)
}
