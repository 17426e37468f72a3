/** Agents of Effect AI: its clients of two providers against the loopback, with the records and the bounds of every other agent. */
import * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Response from "@effect/ai/Response"
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import { AnthropicClient, AnthropicLanguageModel, AnthropicTool } from "@effect/ai-anthropic"
import { OpenAiClient, OpenAiLanguageModel } from "@effect/ai-openai"
import { FetchHttpClient } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import { defineTool } from "@smithers/agents/defineTool"
import { effectAgent } from "@smithers/agents/effectAgent"
import type { AgentTurn, AnyAgent } from "@smithers/core/Agent"
import { AttemptSuspended } from "@smithers/core/AgentJournal"
import type { AgentCall } from "@smithers/core/AgentRunner"
import * as Codec from "@smithers/core/Codec"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { vi } from "vitest"
import * as FakeProvider from "../providers/FakeProvider.ts"
import { calls, refuses, says } from "../providers/FakeProvider.ts"
import * as Journals from "./Journals.ts"

const context = { input: {}, runId: "r", stepId: "s", iteration: 0, attempt: 1, idempotencyKey: "r:s:0" }

const asking = (agents: ReadonlyArray<AnyAgent>, more: Partial<AgentCall> = {}) => {
  const turns: Array<AgentTurn> = []
  const answer = AgentProgram.run({
    ...{ agents, prompt: "How is the weather in Oslo?", output: Codec.make(Schema.String), isText: true, context, feedback: [] },
    ...{ corrections: 0, signal: new AbortController().signal, onTurn: (turn: AgentTurn) => void turns.push(turn) },
    ...{ journal: Journals.make(), ...more },
  })
  return { answer, turns }
}

const clients = {
  anthropic: ({ url }: FakeProvider.FakeProvider) =>
    AnthropicLanguageModel.layer({ model: "claude-sonnet-4-5" }).pipe(
      Layer.provide(AnthropicClient.layer({ apiUrl: url, apiKey: Redacted.make("k") })),
      Layer.provide(FetchHttpClient.layer),
    ),
  openai: ({ v1 }: FakeProvider.FakeProvider) =>
    OpenAiLanguageModel.layer({ model: "gpt-5" }).pipe(
      Layer.provide(OpenAiClient.layer({ apiUrl: v1, apiKey: Redacted.make("k") })),
      Layer.provide(FetchHttpClient.layer),
    ),
}

const Weather = Tool.make("weather", {
  description: "Tells the weather.",
  parameters: { city: Schema.String, days: Schema.NumberFromString },
  success: Schema.Struct({ sky: Schema.String, at: Schema.Date }),
  failure: Schema.Struct({ problem: Schema.String }),
  failureMode: "return",
})
const toolkit = Toolkit.make(Weather)
type Handler = Parameters<typeof toolkit.of>[0]["weather"]

/** Handlers that note their calls. */
const handled = (made: Array<unknown>, answer?: Handler) =>
  toolkit.toLayer({
    weather: (input) => {
      made.push(input)
      return answer?.(input) ?? Effect.succeed({ sky: `rain in ${input.city}`, at: new Date(0) })
    },
  })

const script: FakeProvider.Script = [
  { when: { results: true }, answer: ({ results }) => says(`Heard: ${results.map(({ text }) => text).join(" ")}`) },
  { when: { user: /Oslo/ }, answer: calls({ name: "weather", input: { city: "Oslo", days: "2" } }) },
]

for (const [name, client] of Object.entries(clients))
  for (const stream of [false, true])
    describe(`${name}, ${stream ? "streaming" : "plain"}`, () => {
      const make = (provider: FakeProvider.FakeProvider, made: Array<unknown>, answer?: Handler) =>
        effectAgent({
          ...{ name: "forecaster", modelId: "m", instructions: "Be brief.", stream, toolkit },
          layer: Layer.merge(client(provider), handled(made, answer)),
        })

      it.scoped("a handler gets its decoded input, the model the encoded result, and both are recorded with their usage", () =>
        Effect.gen(function* () {
          const provider = yield* FakeProvider.serve(script)
          const [made, stored] = [[] as Array<unknown>, Journals.empty()]
          const { answer, turns } = asking([make(provider, made)], { journal: Journals.make(stored) })
          expect(yield* answer).toBe('Heard: {"sky":"rain in Oslo","at":"1970-01-01T00:00:00.000Z"}')
          expect(made).toEqual([{ city: "Oslo", days: 2 }])
          expect(provider.requests.map(({ system }) => system)).toEqual([
            expect.stringContaining("Be brief."),
            expect.stringContaining("Be brief."),
          ])
          expect([...stored.calls.values()]).toMatchObject([
            { tool: "weather", status: "finished", input: '{"city":"Oslo","days":"2"}', isReadOnly: false },
          ])
          expect(stored.entries.map(({ kind }) => kind)).toEqual(["prompt", "reply", "tool-result", "reply"])
          const replies = stored.entries.filter(({ kind }) => kind === "reply")
          expect(replies.every(({ inputTokens = 0, outputTokens = 0 }) => inputTokens > 0 && outputTokens > 0)).toBe(true)
          expect(turns).toMatchObject([{ agent: "forecaster", inputTokens: expect.any(Number), finishReason: "stop" }])
        }),
      )

      it.scoped("an attempt that continues is answered from the records, and asks and calls nothing", () =>
        Effect.gen(function* () {
          const provider = yield* FakeProvider.serve(script)
          const [made, stored] = [[] as Array<unknown>, Journals.empty()]
          const first = yield* asking([make(provider, made)], { journal: Journals.make(stored) }).answer
          const again = yield* asking([make(provider, made)], { journal: Journals.make(stored, 2) }).answer
          expect([again, made.length, provider.requests.length]).toEqual([first, 1, 2])
        }),
      )

      it.scoped("a failure of a handler is told to the model as the error of the call", () =>
        Effect.gen(function* () {
          const provider = yield* FakeProvider.serve(script)
          const stored = Journals.empty()
          const fails: Handler = () => Effect.fail({ problem: "no such city" })
          const { answer } = asking([make(provider, [], fails)], { journal: Journals.make(stored) })
          expect(yield* answer).toContain("no such city")
          expect([...stored.calls.values()]).toMatchObject([{ status: "failed", output: '{"problem":"no such city"}' }])
        }),
      )

      it.scoped("wrong input of a tool is told to the model, and does not reach the handler", () =>
        Effect.gen(function* () {
          const provider = yield* FakeProvider.serve([
            { when: { results: true }, answer: ({ results }) => says(`Heard: ${results.map(({ text }) => text).join(" ")}`) },
            { answer: calls({ name: "weather", input: { town: "Oslo" } }) },
          ])
          const made: Array<unknown> = []
          expect(yield* asking([make(provider, made)]).answer).toMatch(/Heard: .*city/s)
          expect(made).toEqual([])
        }),
      )

      it.scoped("a provider that is busy gives its status and its delay to the retry policy", () =>
        Effect.gen(function* () {
          const provider = yield* FakeProvider.serve([
            { answer: refuses(429, { headers: { "retry-after": "7" }, message: "slow down" }) },
          ])
          const failed = yield* Effect.flip(asking([make(provider, [])]).answer)
          expect(failed).toMatchObject({ _tag: "AgentFailed", status: 429, retryable: true, retryAfterMs: 7000 })
          expect(failed.message).toContain("slow down")
        }),
      )

      it.scoped("a key that is refused is final", () =>
        Effect.gen(function* () {
          const provider = yield* FakeProvider.serve([{ answer: refuses(401) }])
          const failed = yield* Effect.flip(asking([make(provider, [])]).answer)
          expect(failed).toMatchObject({ _tag: "AgentFailed", status: 401, retryable: false })
        }),
      )
    })

/** A model of this process, which answers in turn with these parts. */
const answering = (...replies: ReadonlyArray<ReadonlyArray<Response.PartEncoded>>) => {
  const asked: Array<LanguageModel.ProviderOptions> = []
  const layer = Layer.effect(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      generateText: (options) => Effect.sync(() => [...(replies[Math.min(asked.push(options), replies.length) - 1] ?? [])]),
      streamText: () => Stream.empty,
    }),
  )
  return { layer, asked }
}

const said = (text: string): ReadonlyArray<Response.PartEncoded> => [{ type: "text", text }, finished("stop")]
const called = (name: string, params: unknown): ReadonlyArray<Response.PartEncoded> => [
  { type: "tool-call", id: "c", name, params },
  finished("tool-calls"),
]
const finished = (reason: Response.FinishReason): Response.FinishPartEncoded => ({
  ...{ type: "finish", reason },
  usage: { inputTokens: 10, outputTokens: 5, totalTokens: 15, cachedInputTokens: 4 },
})

const oslo = { city: "Oslo", days: "2" }

describe("an agent of Effect AI", () => {
  it.effect("is told of a tool that it does not have, and goes on", () =>
    Effect.gen(function* () {
      const { layer, asked } = answering(called("wether", oslo), said("I see."))
      const agent = effectAgent({ name: "a", toolkit, layer: Layer.merge(layer, handled([])) })
      expect(yield* asking([agent]).answer).toBe("I see.")
      expect(JSON.stringify(asked.at(-1)?.prompt.content)).toContain("unavailable tool 'wether'")
    }),
  )

  it.effect("is stopped when it repeats a call with the same result", () =>
    Effect.gen(function* () {
      const { layer } = answering(called("weather", oslo))
      const made: Array<unknown> = []
      const failed = yield* Effect.flip(
        asking([effectAgent({ name: "a", toolkit, layer: Layer.merge(layer, handled(made)) })]).answer,
      )
      expect(failed).toMatchObject({ _tag: "AgentFailed", retryable: false })
      expect(failed.message).toContain("stalled: it made the same call of weather 5 times")
      expect(made.length).toBe(5)
    }),
  )

  it.effect("waits for the approval of a call by the rules of its toolkit, and makes it once it is given", () =>
    Effect.gen(function* () {
      const { layer } = answering(called("weather", oslo), said("done"))
      const [made, stored] = [[] as Array<unknown>, Journals.empty()]
      const agent = effectAgent({
        ...{ name: "a", toolkit, layer: Layer.merge(layer, handled(made)) },
        rules: { weather: { needsApproval: ({ input }) => input.days > 1 && { title: `Ask for ${input.city}?` } } },
      })
      const waits = yield* Effect.flip(asking([agent], { journal: Journals.make(stored) }).answer)
      const request = waits instanceof AttemptSuspended ? waits.request : undefined
      expect(request).toMatchObject({ kind: "approval", request: { title: "Ask for Oslo?", input: oslo } })
      expect(made).toEqual([])
      const decision = { approved: true, isTimeout: false, digest: request?.kind === "approval" ? request.digest : "" }
      expect(yield* asking([agent], { journal: Journals.make(stored, 1, decision) }).answer).toBe("done")
      expect(made.length).toBe(1)
    }),
  )

  it.effect("keeps to the rights of its step, by the annotations of its tools", () =>
    Effect.gen(function* () {
      const Save = Tool.make("save", { success: Schema.String })
      const both = Toolkit.make(Weather.annotate(Tool.Readonly, true), Save)
      const saved: Array<unknown> = []
      const handlers = both.toLayer({
        weather: () => Effect.succeed({ sky: "grey", at: new Date(0) }),
        save: () => Effect.sync(() => `saved ${saved.push(1)}`),
      })
      const { layer, asked } = answering(called("save", {}), said("done"))
      const agent = effectAgent({ name: "a", toolkit: both, layer: Layer.merge(layer, handlers) })
      yield* asking([agent], { rights: { isReadOnly: true } }).answer
      expect([asked[0]?.tools.map(({ name }) => name), saved]).toEqual([["weather"], []])
      yield* asking([agent]).answer
      expect(asked.at(-1)?.tools.map(({ name }) => name)).toEqual(["weather", "save"])
    }),
  )

  it.effect("has tools of the runtime beside its toolkit", () =>
    Effect.gen(function* () {
      const { layer } = answering(called("double", { of: 4 }), said("done"))
      const double = defineTool({
        ...{
          description: "Doubles.",
          input: Schema.Struct({ of: Schema.Number }),
          execute: ({ of }: { readonly of: number }) => of * 2,
        },
      })
      const stored = Journals.empty()
      const agent = effectAgent({ name: "a", toolkit, tools: { double }, layer: Layer.merge(layer, handled([])) })
      expect(yield* asking([agent], { journal: Journals.make(stored) }).answer).toBe("done")
      expect([...stored.calls.values()]).toMatchObject([{ tool: "double", status: "finished", output: "8" }])
    }),
  )

  it.effect("builds its layer once in an attempt, and releases it when that ends", () =>
    Effect.gen(function* () {
      const { layer } = answering(called("weather", oslo), said("done"))
      const log: Array<string> = []
      const noted = Layer.scopedDiscard(
        Effect.acquireRelease(
          Effect.sync(() => log.push("built")),
          () => Effect.sync(() => log.push("released")),
        ),
      )
      const spy = handled([], (input) =>
        Effect.as(
          Effect.sync(() => log.push("called")),
          { sky: input.city, at: new Date(0) },
        ),
      )
      yield* asking([effectAgent({ name: "a", toolkit, layer: Layer.mergeAll(layer, spy, noted) })]).answer
      expect(log).toEqual(["built", "called", "released"])
    }),
  )

  it.effect("fails for good where its configuration is missing, and names it", () =>
    Effect.gen(function* () {
      const layer = AnthropicLanguageModel.layer({ model: "m" }).pipe(
        Layer.provide(AnthropicClient.layerConfig({ apiKey: Config.redacted("NO_SUCH_KEY") })),
        Layer.provide(FetchHttpClient.layer),
      )
      const failed = yield* Effect.flip(asking([effectAgent({ name: "a", layer })]).answer)
      expect(failed).toMatchObject({ _tag: "AgentFailed", retryable: false })
      expect(failed.message).toMatch(/the layer of agent "a" cannot be built: .*NO_SUCH_KEY/s)
    }),
  )

  for (const stream of [false, true])
    it.scoped(`interrupts a ${stream ? "streaming " : ""}request when its attempt is aborted`, () =>
      Effect.gen(function* () {
        const provider = yield* FakeProvider.serve([{ answer: says("late", { delayMs: 60_000 }) }])
        const controller = new AbortController()
        const agent = effectAgent({ name: "a", stream, layer: clients.anthropic(provider) })
        const fiber = yield* Effect.fork(asking([agent], { signal: controller.signal }).answer)
        yield* Effect.promise(() => vi.waitFor(() => expect(provider.requests.length).toBe(1)))
        controller.abort(new Error("enough"))
        expect(Exit.isInterrupted(yield* Fiber.await(fiber))).toBe(true)
        yield* Effect.promise(() => vi.waitFor(() => expect(provider.requests[0]?.ending).toBe("left")))
      }),
    )

  it.effect("stores usage with what was read from the cache", () =>
    Effect.gen(function* () {
      const { layer } = answering(said("hello"))
      const stored = Journals.empty()
      const { answer, turns } = asking([effectAgent({ name: "a", layer })], { journal: Journals.make(stored) })
      yield* answer
      expect(turns).toMatchObject([{ inputTokens: 10, outputTokens: 5, totalTokens: 15 }])
      const reply = stored.entries.find(({ kind }) => kind === "reply")?.text ?? ""
      expect(JSON.parse(reply).usage.inputTokens).toEqual({ total: 10, noCache: 6, cacheRead: 4 })
    }),
  )

  it("refuses settings that belong to the model, and rules of tools that it does not have", () => {
    const { layer } = answering(said("x"))
    const wrong = (more: object) => () => effectAgent({ name: "a", layer, ...more })
    expect(wrong({ temperature: 0 })).toThrow(/temperature.*belongs to the model in the layer/)
    expect(wrong({ rules: { wether: {} } })).toThrow(/rules\.wether.*the name of a tool of the toolkit/)
    expect(wrong({ layer: {} })).toThrow(/layer.*a Layer of the LanguageModel/)
    expect(wrong({ instuctions: "x" })).toThrow(/Did you mean "instructions"/)
    const search = Toolkit.make(AnthropicTool.WebSearch_20250305({}))
    expect(wrong({ toolkit: search })).toThrow(/toolkit\.AnthropicWebSearch.*tools with handlers/)
  })
})
