/**
 * Agents made of a model, instructions and tools. What they are is the AI SDK's `ToolLoopAgent`; what is added is that the
 * instructions are a function of the run's input, that the schema of the step becomes the model's response format, and that tools
 * know which step they work for. The SDK is loaded at the first call, so that a workflow's file is quick to import.
 */
import type { Agent, AgentReply, AgentRequest, AgentUsage, CallContext } from "@smithers/core/Agent"
import type { JsonSchema } from "@smithers/core/Codec"
import { NonRetryable } from "@smithers/core/Errors"
import * as Raised from "@smithers/core/Raised"
import { defined } from "@smithers/core/Struct"
import type { LanguageModel, ToolLoopAgentSettings, ToolSet } from "ai"
import * as Sdk from "./internal/sdk.ts"

/** Whatever input the workflow has. It is `any`, since its fields must be usable without naming its type here. */
type AnyInput = ReturnType<typeof JSON.parse>

/** What tools are given as `context`, and the SDK's callbacks as `runtimeContext`. */
export interface ToolContext {
  readonly runId: string
  readonly stepId: string
  /** Pass of the innermost loop around the step, from 0. */
  readonly iteration: number
  /** Number of the attempt, from 1. */
  readonly attempt: number
  /**
   * The same for all attempts at the step, and so for all calls of tools in them: with what tells these calls from each other, such
   * as the tool's name and input, it makes the key to deduplicate by.
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

/** Settings of an agent. Those that are not listed here go to the AI SDK as they are: `temperature`, `maxOutputTokens`, `headers` … */
export type AgentSettings<Input = AnyInput> = Omit<ToolLoopAgentSettings<never, ToolSet>, Own> & {
  /** What the agent is called in plans, prompts that are kept, and errors. */
  readonly name: string
  /** What the model is told before the prompt: a text, or what makes it from the decoded input of the run, at every call. */
  readonly instructions?: string | ((input: Input) => string | Promise<string>)
  /**
   * A model of a provider's package, or the id of a model of the AI gateway, such as `"anthropic/claude-sonnet-4.5"`. Without one it
   * is the id in the environment variable `SMITHERS_MODEL`.
   */
  readonly model?: LanguageModel
  /** Tools the model may call. Their `execute` gets a {@link ToolContext} as `context`, with what `toolsContext` adds to it. */
  readonly tools?: ToolSet
  /** More context for tools, by the name of the tool. */
  readonly toolsContext?: { readonly [tool: string]: { readonly [name: string]: unknown } }
  /** Answers of the model in one call, those that only call tools included; 20 by default. `stopWhen` overrides it. */
  readonly maxSteps?: number
  /**
   * Whether the model is held to the step's schema by its provider, where the schema is of an object and the provider can; on by
   * default. The schema is in the prompt in any case, and the output is checked in any case.
   */
  readonly structuredOutput?: boolean
}

/**
 * Makes an agent. It never retries by itself: the step's retry policy is durable, and honours what a provider says of when to ask
 * again. Calls fail with `NonRetryable` when there is no model or when the package `ai` cannot be loaded, otherwise with what the
 * AI SDK throws.
 *
 * A tool whose `contextSchema` refuses unknown fields must name those of {@link ToolContext}.
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
): Agent & { readonly name: string; readonly wantsContext: true } => {
  const { name, instructions, model, maxSteps, stopWhen, structuredOutput, toolsContext, ...others } = settings
  /** Schemas that the provider refused; the next calls save themselves asking. */
  const refused = new Set<string>()

  const generate = async (request: AgentRequest): Promise<AgentReply> => {
    const { context } = request
    const [ai, chosen] = [await load(), model ?? modelOfEnvironment(name)]
    const said = typeof instructions === "function" ? await instructions(context?.input as Input) : instructions
    const stepContext = context === undefined ? {} : toolContext(context)
    const stop = stopWhen ?? (maxSteps === undefined ? undefined : ai.isStepCount(maxSteps))

    /** Calls the model, and once more without the schema where the provider refuses it before anything was said or done. */
    const call = async (schema: JsonSchema | undefined): Promise<AgentReply> => {
      const made = {
        ...others,
        id: name,
        model: chosen,
        maxRetries: 0,
        runtimeContext: stepContext,
        toolsContext: forEachTool(others.tools, stepContext, toolsContext),
        ...defined({ instructions: said, stopWhen: stop }),
        ...(schema === undefined ? {} : { output: ai.Output.object({ schema: ai.jsonSchema(schema) }) }),
      }
      // The SDK's types tie each context to the type of its tool, which is not known here.
      const agent = new ai.ToolLoopAgent(made as unknown as ToolLoopAgentSettings<never, ToolSet>)
      let steps = 0
      let usage: AgentUsage | undefined
      try {
        return await agent.generate({
          ...(request.messages === undefined ? { prompt: request.prompt } : { messages: request.messages }),
          ...defined({ abortSignal: request.abortSignal }),
          onStepEnd: () => {
            steps++
          },
          onEnd: (event) => {
            usage = event.usage
          },
        })
      } catch (error) {
        // The reply is there, and is not what the schema says: that is for the caller to judge and to have put right.
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

  return { name, wantsContext: true, generate }
}

const load = async (): Promise<Sdk.Sdk> => {
  try {
    return await Sdk.load()
  } catch (cause) {
    const message = 'createAgent needs the package "ai", and it cannot be loaded. Install it: bun add ai'
    throw new NonRetryable({ message, cause })
  }
}

const modelOfEnvironment = (name: string): string => {
  const { SMITHERS_MODEL: id } = process.env
  if (id !== undefined && id !== "") return id
  const message = `agent "${name}" has no model: give createAgent a "model", or set SMITHERS_MODEL to the id of one of the AI gateway, such as "anthropic/claude-sonnet-4.5"`
  throw new NonRetryable({ message })
}

const toolContext = ({ runId, stepId, iteration, attempt, idempotencyKey }: CallContext): ToolContext => ({
  runId,
  stepId,
  iteration,
  attempt,
  idempotencyKey,
})

/** The SDK keeps the contexts of tools apart, and gives each tool its own only. */
const forEachTool = (
  tools: ToolSet | undefined,
  stepContext: ToolContext | Record<never, never>,
  added: AgentSettings["toolsContext"],
): Record<string, unknown> =>
  Object.fromEntries(Object.keys(tools ?? {}).map((tool) => [tool, { ...added?.[tool], ...stepContext }]))

/**
 * Whether a request was refused as it is, which may be for its response format: providers differ in what they take of JSON Schema
 * (some refuse optional fields), and some models take none of it.
 */
const isRefusal = (error: unknown, ai: Sdk.Sdk): boolean => {
  const status = Raised.get(error, "statusCode")
  return status === 400 || status === 422 || ai.UnsupportedFunctionalityError.isInstance(error)
}
