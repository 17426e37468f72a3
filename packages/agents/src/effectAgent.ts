/**
 * Agents of Effect AI (`@effect/ai`): a `LanguageModel` and a `Toolkit`, with the loop, the records and the bounds of `createAgent`.
 * The package `ai` is needed besides.
 */
import * as LanguageModel from "@effect/ai/LanguageModel"
import * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import type { Agent } from "@smithers/core/Agent"
import { InvalidSetting, NonRetryable } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import * as SecretSettings from "@smithers/core/SecretSettings"
import { defined } from "@smithers/core/Struct"
import * as Thrown from "@smithers/core/Thrown"
import type { ToolSet } from "ai"
import * as Cause from "effect/Cause"
import * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type AgentSettings, createAgent } from "./createAgent.ts"
import { defineTool } from "./defineTool.ts"
import * as EffectModel from "./internal/effectModel.ts"
import * as Sdk from "./internal/sdk.ts"
import type { ToolRulesOptions } from "./ToolRules.ts"
import * as ToolSession from "./ToolSession.ts"

/** Settings of a request, which Effect AI has in the configuration of its models. */
const requestSettings = [
  "maxOutputTokens",
  "temperature",
  "topP",
  "topK",
  "presencePenalty",
  "frequencyPenalty",
  "stopSequences",
  "seed",
  "reasoning",
  "headers",
  "providerOptions",
] as const

type Toolset = { readonly [name: string]: Tool.Any }

/** Rules of the tools of a toolkit, by their names. Inputs are decoded, outputs encoded. */
export type ToolkitRules<Tools extends Toolset> = {
  readonly [Name in keyof Tools]?: ToolRulesOptions<Tool.Parameters<Tools[Name]>, Tool.ResultEncoded<Tools[Name]>>
}

/** Settings of an agent of Effect AI. Those of a request, such as `temperature`, belong to the configuration of the model. */
export type EffectAgentSettings<Tools extends Record<string, Tool.Any>, Input> = Omit<
  AgentSettings<Input>,
  "model" | "structuredOutput" | (typeof requestSettings)[number]
> & {
  /**
   * The model, the handlers of the toolkit, and what those need. It is built in each attempt, with the first request, and released
   * when the attempt ends.
   */
  readonly layer: Layer.Layer<
    LanguageModel.LanguageModel | Tool.HandlersFor<Tools> | Tool.Requirements<Tools[keyof Tools]>,
    unknown
  >
  /** The toolkit. The agent may have `tools` of the runtime besides. */
  readonly toolkit?: Toolkit.Toolkit<Tools>
  /**
   * Rules of tools of the toolkit. Default: by their annotations. One that is `Readonly` changes nothing, and one that is
   * `Idempotent` is called again after a crash.
   */
  readonly rules?: ToolkitRules<Tools>
  /** Id of the model in its records. A conversation that was cut off begins again where it differs. Default: `"effect-ai"`. */
  readonly modelId?: string
}

/**
 * Creates an agent of a `LanguageModel` and a `Toolkit` of Effect AI. Replies and tool calls are recorded, approved, bounded and
 * repeated as those of `createAgent`. What a handler fails with is told to the model as the error of the call, whatever the
 * `failureMode` of its tool. Calls fail with `NonRetryable` where the configuration of the layer is wrong, otherwise with the error
 * of the provider. Throws `InvalidSetting` for a mistyped setting, and for a tool that the provider itself runs.
 *
 * @example
 * import { AnthropicClient, AnthropicLanguageModel } from "@effect/ai-anthropic"
 * import { FetchHttpClient } from "@effect/platform"
 * import { Config, Layer } from "effect"
 * import { effectAgent } from "smithers-orchestrator/effect-ai"
 *
 * const reviewer = effectAgent({
 *   name: "reviewer",
 *   modelId: "claude-sonnet-4-5",
 *   layer: AnthropicLanguageModel.layer({ model: "claude-sonnet-4-5" }).pipe(
 *     Layer.provide(AnthropicClient.layerConfig({ apiKey: Config.redacted("ANTHROPIC_API_KEY") })),
 *     Layer.provide(FetchHttpClient.layer),
 *   ),
 * })
 */
// biome-ignore lint/complexity/noBannedTypes: the tools of an empty toolkit, as Effect AI names them
export const effectAgent = <Tools extends Record<string, Tool.Any> = {}, Input = ReturnType<typeof JSON.parse>>(
  settings: EffectAgentSettings<Tools, Input>,
): Agent & { readonly name: string; readonly wantsContext: true; readonly tools: ToolSet } => {
  const { layer, toolkit, rules, modelId = "effect-ai", tools = {}, ...others } = settings
  const refuse = (setting: string, received: unknown, expected: string): never => {
    throw new InvalidSetting({ setting, received: Millis.show(received), expected })
  }
  if (!Layer.isLayer(layer)) refuse("layer", layer, "a Layer of the LanguageModel and the handlers of the toolkit")
  for (const name of ["model", "structuredOutput", ...requestSettings]) {
    const value = Thrown.get(settings, name)
    if (value !== undefined) refuse(name, value, "left out: it belongs to the model in the layer")
  }
  const own = Object.entries<Tool.Any>(toolkit?.tools ?? {})
  const stray = Object.keys(rules ?? {}).find((name) => !own.some(([one]) => one === name))
  if (stray !== undefined) refuse(`rules.${stray}`, Thrown.get(rules, stray), "the name of a tool of the toolkit")
  const twice = own.find(([name]) => name in tools)?.[0]
  if (twice !== undefined) refuse(`tools.${twice}`, "a tool", "no name of a tool of the toolkit")
  const { run, ask, stream } = usesOf(layer, settings.name)
  const converted = own.map(([name, tool]) => {
    if (Tool.isProviderDefined(tool)) refuse(`toolkit.${name}`, "a tool that the provider runs", "tools with handlers")
    const handle: Handle = (params, signal) =>
      run(toolkit === undefined ? Effect.dieMessage("no toolkit") : handled(toolkit, name, params), signal)
    return [name, toolOf(tool, { ...annotated(tool), ...rules?.[name] }, handle)] as const
  })
  return createAgent({
    ...others,
    structuredOutput: false,
    tools: { ...Object.fromEntries(converted), ...tools },
    model: EffectModel.make(modelId, Sdk.load, ask, stream),
  })
}

const handled = <Tools extends Record<string, Tool.Any>>(toolkit: Toolkit.Toolkit<Tools>, name: keyof Tools, params: unknown) =>
  Effect.flatMap(toolkit, ({ handle }) => handle(name, params as Tool.Parameters<Tools[keyof Tools]>))

/** The rules that the annotations of a tool stand for. */
const annotated = ({ annotations }: Tool.Any): Pick<ToolRulesOptions<unknown, unknown>, "isReadOnly" | "afterCrash"> => {
  const [isReadOnly, isIdempotent] = [Context.get(annotations, Tool.Readonly), Context.get(annotations, Tool.Idempotent)]
  return { isReadOnly, ...(isReadOnly || isIdempotent ? { afterCrash: "rerun" } : {}) }
}

type Handle = (params: unknown, signal: AbortSignal | undefined) => Promise<Tool.HandlerResult<Tool.Any>>

/** A tool of the agent. Its handler decodes what the agent has decoded to check it. */
const toolOf = <A, B>(tool: Tool.Any, rules: ToolRulesOptions<A, B>, handle: Handle): ToolSet[string] => {
  const schema = Schema.make<A, unknown>(tool.parametersSchema.ast)
  return defineTool({
    ...rules,
    name: tool.name,
    description: tool.description ?? Tool.getDescriptionFromSchemaAst(tool.parametersSchema.ast) ?? "",
    input: schema,
    execute: async (input, { signal }) => {
      const { isFailure, encodedResult } = await handle(Schema.encodeSync(schema)(input), signal)
      if (!isFailure) return encodedResult
      throw new Error(typeof encodedResult === "string" ? encodedResult : JSON.stringify(encodedResult))
    },
  })
}

/** Runs Effects with a layer that lives as long as the attempt; outside of one, as long as the Effect. */
const usesOf = <R>(layer: Layer.Layer<R | LanguageModel.LanguageModel, unknown>, agent: string) => {
  type Opened = ToolSession.Resource<Runtime.Runtime<R | LanguageModel.LanguageModel>>
  const key = {}
  const open = async (): Promise<Opened> => {
    const scope = Effect.runSync(Scope.make())
    const close = (): Promise<void> => Effect.runPromise(Scope.close(scope, Exit.void))
    const built = await Effect.runPromiseExit(SecretSettings.noticing(Scope.extend(Layer.toRuntime(layer), scope)))
    if (Exit.isSuccess(built)) return { value: built.value, close }
    await close()
    const cause = Cause.squash(built.cause)
    if (!ConfigError.isConfigError(cause)) throw cause
    throw new NonRetryable({ message: `the layer of agent "${agent}" cannot be built: ${cause}`, cause })
  }
  const find = async (): Promise<Opened> => {
    const session = ToolSession.find()
    return session === undefined ? await open() : { value: await session.acquire(key, open), close: async () => {} }
  }
  const run = async <A, E>(
    effect: Effect.Effect<A, E, R | LanguageModel.LanguageModel>,
    signal: AbortSignal | undefined,
  ): Promise<A> => {
    const { value: runtime, close } = await find()
    const exit = await Runtime.runPromiseExit(runtime)(effect, defined({ signal })).finally(close)
    if (Exit.isSuccess(exit)) return exit.value
    throw signal?.aborted === true ? signal.reason : Cause.squash(exit.cause)
  }
  const ask: EffectModel.Use = (effect, signal) => run(Effect.flatMap(LanguageModel.LanguageModel, effect), signal)
  const stream: EffectModel.UseStream = async (streamed, signal) => {
    const { value: runtime, close } = await find()
    const parts = Stream.flatMap(LanguageModel.LanguageModel, streamed).pipe(
      Stream.interruptWhen(aborted(signal)),
      Stream.ensuring(Effect.promise(close)),
    )
    return Stream.toReadableStreamRuntime(parts, runtime)
  }
  return { run, ask, stream }
}

/** Fails with the reason of a signal once it is aborted. Never succeeds. */
const aborted = (signal: AbortSignal | undefined): Effect.Effect<never, unknown> =>
  Effect.async((resume) => {
    const fail = (): void => resume(Effect.fail(signal?.reason))
    if (signal?.aborted === true) return fail()
    signal?.addEventListener("abort", fail, { once: true })
    return Effect.sync(() => signal?.removeEventListener("abort", fail))
  })
