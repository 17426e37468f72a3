/** The fake provider, asked by the clients of the AI SDK and by plain requests. */
import { createAnthropic } from "@ai-sdk/anthropic"
import { createOpenAI } from "@ai-sdk/openai"
import { describe, expect, it } from "@effect/vitest"
import { generateText, isStepCount, Output, streamText, tool } from "ai"
import * as Effect from "effect/Effect"
import * as z from "zod"
import * as FakeProvider from "./FakeProvider.ts"
import { calls, refuses, says } from "./FakeProvider.ts"

const clients = {
  anthropic: ({ v1 }: FakeProvider.FakeProvider) => createAnthropic({ baseURL: v1, apiKey: "test" })("claude-sonnet-4-5"),
  openai: ({ v1 }: FakeProvider.FakeProvider) => createOpenAI({ baseURL: v1, apiKey: "test" })("gpt-5"),
}

const weather = (asked: Array<string>) => ({
  weather: tool({
    description: "The weather of a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => {
      asked.push(city)
      return `rain in ${city}`
    },
  }),
})

const script: FakeProvider.Script = [
  {
    when: { user: "both", results: false },
    answer: calls(...["Oslo", "Rome"].map((city) => ({ name: "weather", input: { city } }))),
  },
  { when: { user: "weather", results: false }, answer: calls({ name: "weather", input: { city: "Oslo" } }) },
  { when: { results: /rain in Oslo/ }, answer: says("Take an umbrella, and do not forget your boots.") },
  { when: { user: "object" }, answer: says('{"risk":"low"}') },
  { when: { user: "limit" }, answer: refuses(429, { headers: { "retry-after": "7" } }) },
  { when: { user: "again", seen: 0 }, answer: refuses(529) },
  { when: { user: "again" }, answer: says("Now.", { usage: { input: 1000, output: 50, cacheRead: 400 } }) },
]

for (const [name, client] of Object.entries(clients))
  describe(`the fake provider as ${name}`, () => {
    const asking = <A>(act: (model: ReturnType<typeof client>, provider: FakeProvider.FakeProvider) => Promise<A>) =>
      Effect.gen(function* () {
        const provider = yield* FakeProvider.serve(script)
        return yield* Effect.promise(() => act(client(provider), provider))
      })

    it.scoped("has tools called, and answers by their results", () =>
      asking(async (model, { requests, unmatched }) => {
        const asked: Array<string> = []
        const result = await generateText({ model, prompt: "weather?", tools: weather(asked), stopWhen: isStepCount(5) })
        expect([asked, result.text]).toEqual([["Oslo"], "Take an umbrella, and do not forget your boots."])
        expect(result.usage).toMatchObject({ inputTokens: 20, outputTokens: 10 })
        expect(requests.map(({ status, ending, tools, isStreaming }) => ({ status, ending, tools, isStreaming }))).toEqual([
          { status: 200, ending: "complete", tools: ["weather"], isStreaming: false },
          { status: 200, ending: "complete", tools: ["weather"], isStreaming: false },
        ])
        expect(requests[1]?.results).toMatchObject([{ tool: "weather", text: "rain in Oslo" }])
        expect(unmatched).toEqual([])
      }),
    )

    it.scoped("streams text and parallel calls", () =>
      asking(async (model, { requests }) => {
        const asked: Array<string> = []
        const result = streamText({ model, prompt: "both?", tools: weather(asked), stopWhen: isStepCount(5) })
        const pieces: Array<string> = []
        for await (const piece of result.textStream) pieces.push(piece)
        expect(asked.sort()).toEqual(["Oslo", "Rome"])
        expect(pieces.join("")).toBe("Take an umbrella, and do not forget your boots.")
        expect(pieces.length).toBeGreaterThan(1)
        expect(await result.finishReason).toBe("stop")
        expect(requests.map(({ isStreaming, results }) => [isStreaming, results.length])).toEqual([
          [true, 0],
          [true, 2],
        ])
      }),
    )

    it.scoped("sees the schema of a structured answer", () =>
      asking(async (model, { requests }) => {
        const schema = z.object({ risk: z.enum(["low", "high"]) })
        const result = await generateText({ model, prompt: "object", output: Output.object({ schema }) })
        expect(result.output).toEqual({ risk: "low" })
        expect(requests[0]?.schema).toMatchObject({ properties: { risk: { enum: ["low", "high"] } } })
      }),
    )

    it.scoped("refuses with status and headers, and counts what is asked again", () =>
      asking(async (model, { requests }) => {
        await expect(generateText({ model, prompt: "limit", maxRetries: 0 })).rejects.toMatchObject({
          statusCode: 429,
          responseHeaders: { "retry-after": "7" },
        })
        await expect(generateText({ model, prompt: "again", maxRetries: 0 })).rejects.toMatchObject({ statusCode: 529 })
        const result = await generateText({ model, prompt: "again", maxRetries: 0 })
        expect(result.text).toBe("Now.")
        expect(result.usage.outputTokens).toBe(50)
        expect(requests.map(({ status, seen }) => [status, seen])).toEqual([
          [429, 0],
          [529, 0],
          [200, 1],
        ])
      }),
    )

    it.scoped("answers what no rule holds for with 400, and other paths with 404", () =>
      asking(async (model, { url, unmatched, strays }) => {
        await expect(generateText({ model, prompt: "?", maxRetries: 0 })).rejects.toMatchObject({ statusCode: 400 })
        expect(unmatched.map(({ user }) => user)).toEqual(["?"])
        const answers = await Promise.all([fetch(`${url}/v1/models`), fetch(url, { method: "HEAD" })])
        expect(answers.map(({ status, headers }) => [status, headers.get("content-type")])).toEqual([
          [404, "application/json"],
          [404, "application/json"],
        ])
        expect(strays.toSorted()).toEqual(["GET /v1/models", "HEAD /"])
      }),
    )
  })

describe("the fake provider", () => {
  it.scoped("refuses a call of a tool that has no result, as providers do", () =>
    Effect.gen(function* () {
      const { v1 } = yield* FakeProvider.serve(() => says("fine"))
      const post = (path: string, body: object) =>
        Effect.promise(() => fetch(`${v1}/${path}`, { method: "POST", body: JSON.stringify(body) }).then((answer) => answer.status))
      const use = { type: "tool_use", id: "a", name: "look", input: {} }
      const messages = (result: ReadonlyArray<object>) => ({
        ...{ model: "m", max_tokens: 10 },
        messages: [
          { role: "user", content: "go" },
          { role: "assistant", content: [use] },
          { role: "user", content: [...result, { type: "text", text: "well?" }] },
        ],
      })
      expect(yield* post("messages", messages([{ type: "tool_result", tool_use_id: "a", content: "x" }]))).toBe(200)
      expect(yield* post("messages", messages([]))).toBe(400)
      expect(yield* post("messages", messages([{ type: "tool_result", tool_use_id: "b", content: "x" }]))).toBe(400)
      const call = { type: "function_call", call_id: "a", name: "look", arguments: "{}" }
      const output = { type: "function_call_output", call_id: "a", output: "x" }
      expect(yield* post("responses", { model: "m", input: [call, output] })).toBe(200)
      expect(yield* post("responses", { model: "m", input: [call] })).toBe(400)
      expect(yield* post("responses", { model: "m", input: [output] })).toBe(400)
    }),
  )

  it.scoped("offers tools that Codex adds as an item, and calls them in their form", () =>
    Effect.gen(function* () {
      const provider = yield* FakeProvider.serve([{ when: { tool: "exec" }, answer: calls({ name: "exec", input: "text(1)" }) }])
      const tools = [{ type: "namespace", name: "functions", tools: [{ type: "custom", name: "exec" }] }]
      const body = JSON.stringify({ model: "m", input: [{ type: "additional_tools", role: "developer", tools }] })
      const answer = yield* Effect.promise(() => fetch(`${provider.v1}/responses`, { method: "POST", body }))
      expect(yield* Effect.promise(() => answer.json())).toMatchObject({
        output: [{ type: "custom_tool_call", namespace: "functions", name: "exec", input: "text(1)" }],
      })
    }),
  )

  for (const isStreaming of [true, false])
    it.scoped(`cuts, stalls and garbles ${isStreaming ? "streams" : "answers"} where it is told`, () =>
      Effect.gen(function* () {
        const provider = yield* FakeProvider.serve(({ user }) => {
          const kind = (["drop", "malformed", "error", "stall", "end"] as const).find((kind) => kind === user)
          return kind === undefined
            ? undefined
            : says("a text that has more than one piece of a stream", { fault: { kind, after: 3 } })
        })
        const ask = (kind: string, signal?: AbortSignal) =>
          fetch(`${provider.v1}/messages`, {
            method: "POST",
            body: JSON.stringify({ model: "m", max_tokens: 9, stream: isStreaming, messages: [{ role: "user", content: kind }] }),
            ...(signal === undefined ? {} : { signal }),
          })
            .then(
              (answer) => answer.text(),
              () => "failed",
            )
            .catch(() => "failed")
        const [drop, malformed, error, end] = yield* Effect.promise(() =>
          Promise.all(["drop", "malformed", "error", "end"].map((kind) => ask(kind))),
        )
        expect(drop).toBe("failed")
        expect(malformed).toContain(isStreaming ? '{"type":"content_block_delta",\n' : '"role":"assistant"')
        expect(malformed?.includes("message_stop")).toBe(isStreaming)
        expect(error).toContain("overloaded_error")
        expect(end).not.toContain("message_stop")
        expect(yield* Effect.promise(() => ask("stall", AbortSignal.timeout(300)))).toBe("failed")
        yield* Effect.promise(() => Bun.sleep(100))
        expect(provider.requests.map(({ ending }) => ending)).toEqual(Array.from({ length: 5 }, () => "faulty"))
      }),
    )
})
