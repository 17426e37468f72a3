/** Agents of the AI SDK: its own, used as they are, and those that `createAgent` makes. The model is the SDK's own test model. */

import { describe, expect, it } from "@effect/vitest"
import { createAgent } from "@smithers/agents"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import type { AgentTurn, AnyAgent } from "@smithers/core/Agent"
import { defaultCorrections } from "@smithers/core/AgentRunner"
import * as Codec from "@smithers/core/Codec"
import { APICallError, hasToolCall, Output, ToolLoopAgent, tool } from "ai"
import { MockLanguageModelV4 } from "ai/test"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { afterEach } from "vitest"
import * as z from "zod"
import * as Journals from "./Journals.ts"

type Generate = Awaited<ReturnType<MockLanguageModelV4["doGenerate"]>>

const usage: Generate["usage"] = {
  inputTokens: { total: 10, noCache: 10, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 5, text: 5, reasoning: 0 },
}

const says = (text: string, unified: Generate["finishReason"]["unified"] = "stop"): Generate => ({
  content: [{ type: "text", text }],
  finishReason: { unified, raw: unified },
  usage,
  warnings: [],
  response: { modelId: "mock-1" },
})

const calls = (toolName: string, input: unknown): Generate => ({
  content: [{ type: "tool-call", toolCallId: `call-${toolName}`, toolName, input: JSON.stringify(input) }],
  finishReason: { unified: "tool-calls", raw: "tool_use" },
  usage,
  warnings: [],
})

const refuses = (statusCode: number, responseHeaders: Record<string, string> = {}) =>
  new APICallError({
    message: `refused with ${statusCode}`,
    url: "http://model",
    requestBodyValues: {},
    statusCode,
    responseHeaders,
  })

/** A model that answers in turn with these, and keeps what it was called with. */
const model = (...answers: ReadonlyArray<Generate | Error>) => {
  const made: MockLanguageModelV4 = new MockLanguageModelV4({
    doGenerate: async () => {
      const answer = answers[Math.min(made.doGenerateCalls.length, answers.length) - 1]
      if (answer instanceof Error) throw answer
      return answer as Generate
    },
  })
  return made
}

const Risk = Schema.Struct({ risk: Schema.Literal("low", "high"), note: Schema.optional(Schema.String) })
const context = { input: { repo: "acme", sha: "abc" }, runId: "r", stepId: "s", iteration: 2, attempt: 3, idempotencyKey: "r:s:2" }

const asking = (
  agents: ReadonlyArray<AnyAgent>,
  output: Schema.Schema.AnyNoContext | z.ZodType | undefined = Risk,
  isText = false,
) => {
  const turns: Array<AgentTurn> = []
  const answer = AgentProgram.run({
    agents,
    prompt: "Assess.",
    output: Codec.make(output),
    isText,
    corrections: defaultCorrections,
    context,
    signal: new AbortController().signal,
    journal: Journals.make(),
    feedback: [],
    onTurn: (turn) => turns.push(turn),
  })
  return { turns, answer }
}

const text = (made: MockLanguageModelV4, call = 0) => {
  const prompt = made.doGenerateCalls[call]?.prompt ?? []
  return prompt.map(({ role, content }) => {
    const parts = typeof content === "string" ? [{ type: "text", text: content }] : content
    return `${role}: ${parts.map((part) => ("text" in part ? part.text : part.type)).join()}`
  })
}

describe("a ToolLoopAgent of the AI SDK", () => {
  it.effect("answers as it is", () =>
    Effect.gen(function* () {
      const made = model(says('It is low.\n```json\n{"risk":"low"}\n```'))
      const agent = new ToolLoopAgent({ id: "reviewer", model: made, instructions: "Be strict." })
      const { answer, turns } = asking([agent])
      expect(yield* answer).toEqual({ risk: "low" })
      expect(text(made)[0]).toBe("system: Be strict.")
      expect(text(made)[1]).toMatch(/^user: Assess\.\n\nYour reply must end with one JSON value/)
      expect(made.doGenerateCalls[0]?.abortSignal).toBeInstanceOf(AbortSignal)
      expect(turns).toEqual([
        {
          agent: "reviewer",
          prompt: expect.stringMatching(/^Assess\./),
          reply: 'It is low.\n```json\n{"risk":"low"}\n```',
          model: "mock-1",
          finishReason: "stop",
          inputTokens: 10,
          outputTokens: 5,
          totalTokens: 15,
        },
      ])
    }),
  )

  it.effect("puts its reply right in the same conversation", () =>
    Effect.gen(function* () {
      const made = model(says("Low, I think."), says('{"risk":"low"}'))
      expect(yield* asking([new ToolLoopAgent({ model: made })]).answer).toEqual({ risk: "low" })
      expect(text(made, 1)).toEqual([
        expect.stringMatching(/^user: Assess\./),
        "assistant: Low, I think.",
        expect.stringMatching(/^user: Your previous reply was not accepted:\n- the reply is not JSON/),
      ])
    }),
  )

  it.effect("with an output of its own gives that, and puts right what does not fit it", () =>
    Effect.gen(function* () {
      const made = model(says("Low."), says('{"risk":"low"}'))
      const agent = new ToolLoopAgent({
        model: made,
        output: Output.object({ schema: z.object({ risk: z.enum(["low", "high"]) }) }),
      })
      const { answer, turns } = asking([agent])
      expect(yield* answer).toEqual({ risk: "low" })
      expect(turns).toMatchObject([
        { reply: "Low.", model: "mock-1", inputTokens: 10, problem: "the reply is not JSON" },
        { finishReason: "stop" },
      ])
    }),
  )

  it.effect("gives its text, where no schema was declared", () =>
    Effect.gen(function* () {
      const made = model(says("# Report"))
      expect(yield* asking([new ToolLoopAgent({ model: made })], Schema.String, true).answer).toBe("# Report")
      expect(text(made)).toEqual(["user: Assess."])
    }),
  )

  it.live("that is rate limited to the end of its own retries says when to come back", () =>
    Effect.gen(function* () {
      const made = model(
        refuses(429, { "retry-after-ms": "1" }),
        refuses(429, { "retry-after-ms": "2" }),
        refuses(429, { "retry-after": "30" }),
      )
      const failed = yield* Effect.flip(asking([new ToolLoopAgent({ model: made })]).answer)
      expect(made.doGenerateCalls).toHaveLength(3)
      expect(failed).toMatchObject({ _tag: "AgentFailed", retryable: true, status: 429, retryAfterMs: 30_000 })
    }),
  )
})

describe("an agent made by createAgent", () => {
  it.effect("has its instructions from the input of the run", () =>
    Effect.gen(function* () {
      const made = model(says('{"risk":"low"}'), says('{"risk":"low"}'))
      const agent = createAgent({ name: "a", model: made, instructions: ({ repo, sha }) => `Analyze ${repo} at ${sha}.` })
      yield* asking([agent]).answer
      expect(text(made)[0]).toBe("system: Analyze acme at abc.")
      yield* asking([createAgent({ name: "b", model: made, instructions: async () => "Be kind." })]).answer
      expect(text(made, 1)[0]).toBe("system: Be kind.")
      yield* asking([createAgent({ name: "c", model: made, instructions: "Be brief." })]).answer
      expect(text(made, 2)[0]).toBe("system: Be brief.")
      yield* asking([createAgent({ name: "d", model: made })]).answer
      expect(text(made, 3)[0]).toMatch(/^user: Assess\./)
    }),
  )

  it.effect("has the model held to the schema of the step", () =>
    Effect.gen(function* () {
      const made = model(says('{"risk":"low"}'))
      const agent = createAgent({ name: "a", model: made, temperature: 0.2, maxOutputTokens: 99, headers: { "x-team": "core" } })
      const { answer, turns } = asking([agent])
      expect(yield* answer).toEqual({ risk: "low" })
      expect(made.doGenerateCalls[0]).toMatchObject({
        responseFormat: { type: "json", schema: { type: "object", required: ["risk"], properties: { note: { type: "string" } } } },
        temperature: 0.2,
        maxOutputTokens: 99,
        headers: { "x-team": "core" },
      })
      expect(turns).toMatchObject([{ agent: "a", model: "mock-1", finishReason: "stop", totalTokens: 15 }])
    }),
  )

  it.effect("holds it to a class or a Zod object too, and not to what is no object or was not wanted", () =>
    Effect.gen(function* () {
      class Named extends Schema.Class<Named>("Named")({ name: Schema.String }) {}
      const format = (output: Schema.Schema.AnyNoContext | z.ZodType, structuredOutput?: boolean, isText?: boolean) => {
        const made = model(says('{"name":"x"}'))
        const agent = createAgent({ name: "a", model: made, ...(structuredOutput === undefined ? {} : { structuredOutput }) })
        return Effect.map(asking([agent], output, isText).answer, () => made.doGenerateCalls[0]?.responseFormat)
      }
      const named = { type: "json", schema: { type: "object", properties: { name: { type: "string" } } } }
      expect(yield* format(Named)).toMatchObject(named)
      expect(yield* format(z.object({ name: z.string() }))).toMatchObject(named)
      expect(yield* format(Named, true)).toMatchObject(named)
      for (const unheld of [
        format(Named, false),
        format(Schema.Unknown),
        format(Schema.String),
        format(Schema.String, true, true),
      ]) {
        expect((yield* unheld)?.type ?? "text").toBe("text")
      }
    }),
  )

  it.effect("still gives its text where that is not what the model was held to", () =>
    Effect.gen(function* () {
      const made = model(says('So:\n{"risk":"low"}'), says("{"), says('{"risk":"high"}'))
      const agent = createAgent({ name: "a", model: made })
      const { answer, turns } = asking([agent])
      expect(yield* answer).toEqual({ risk: "low" })
      expect(turns).toMatchObject([{ reply: 'So:\n{"risk":"low"}', model: "mock-1", finishReason: "stop", totalTokens: 15 }])
      expect(yield* asking([agent]).answer).toEqual({ risk: "high" })
      expect(text(made, 2)[1]).toBe("assistant: {")
    }),
  )

  it.effect("asks without the schema a provider that refuses it, and does not try it again", () =>
    Effect.gen(function* () {
      const made = model(refuses(400), says("Low."), says('{"risk":"low"}'))
      const { answer, turns } = asking([createAgent({ name: "a", model: made })])
      expect(yield* answer).toEqual({ risk: "low" })
      expect(made.doGenerateCalls.map(({ responseFormat }) => responseFormat?.type ?? "text")).toEqual(["json", "text", "text"])
      expect(turns).toHaveLength(2)
      const wrong = model(refuses(400))
      expect(yield* Effect.flip(asking([createAgent({ name: "a", model: wrong })]).answer)).toMatchObject({
        retryable: false,
        status: 400,
      })
      expect(wrong.doGenerateCalls).toHaveLength(2)
    }),
  )

  it.effect("does not begin again what it has begun, where a provider refuses a later request", () =>
    Effect.gen(function* () {
      let deployed = 0
      const deploy = tool({ inputSchema: z.object({}), execute: async () => ++deployed })
      const made = model(calls("deploy", {}), refuses(400), calls("deploy", {}), says('{"risk":"low"}'))
      const failed = yield* Effect.flip(asking([createAgent({ name: "a", model: made, tools: { deploy } })]).answer)
      expect(failed).toMatchObject({ retryable: false, status: 400 })
      expect(deployed).toBe(1)
    }),
  )

  it.effect("tells its tools which step they work for", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const read = tool({
        inputSchema: z.object({ path: z.string() }),
        contextSchema: z.object({ runId: z.string(), idempotencyKey: z.string(), root: z.string() }),
        execute: async ({ path }, { context: { runId, idempotencyKey, root } }) => {
          seen.push([path, root, runId, idempotencyKey])
          return "contents"
        },
      })
      const list = tool({ inputSchema: z.object({}), execute: async (_, { context }) => seen.push(context) })
      const made = model(calls("read", { path: "a.ts" }), calls("list", {}), says('{"risk":"low"}'))
      const agent = createAgent({
        name: "a",
        model: made,
        tools: { read, list },
        toolsContext: { read: { root: "/src", runId: "mine" } },
      })
      const { answer, turns } = asking([agent])
      expect(yield* answer).toEqual({ risk: "low" })
      expect(seen).toEqual([
        ["a.ts", "/src", "r", "r:s:2"],
        { runId: "r", stepId: "s", iteration: 2, attempt: 3, idempotencyKey: "r:s:2" },
      ])
      expect(turns).toMatchObject([{ inputTokens: 30, outputTokens: 15, totalTokens: 45 }])
    }),
  )

  it.effect("counts the tokens of all its steps also where its reply does not fit", () =>
    Effect.gen(function* () {
      const list = tool({ inputSchema: z.object({}), execute: async () => [] })
      const { answer, turns } = asking([createAgent({ name: "a", model: model(calls("list", {}), says("Low.")), tools: { list } })])
      yield* Effect.flip(answer)
      expect(turns[0]).toMatchObject({ reply: "Low.", totalTokens: 30 })
    }),
  )

  it.effect("stops after its steps, or where it is told to", () =>
    Effect.gen(function* () {
      const list = tool({ inputSchema: z.object({}), execute: async () => [] })
      const endless = () => model(calls("list", {}))
      const stops = [
        { settings: {}, steps: 20 },
        { settings: { maxSteps: 2 }, steps: 2 },
        { settings: { maxSteps: 9, stopWhen: hasToolCall("list") }, steps: 1 },
      ]
      for (const { settings, steps } of stops) {
        const made = endless()
        const agent = createAgent({ name: "a", model: made, tools: { list }, ...settings })
        expect(yield* Effect.promise(() => Promise.resolve(agent.generate({ prompt: "Go." })))).toMatchObject({
          finishReason: "tool-calls",
        })
        expect(made.doGenerateCalls).toHaveLength(steps)
      }
    }),
  )

  it.effect("has its model aborted with the attempt", () =>
    Effect.gen(function* () {
      const made = model(says("Fine."))
      const { signal } = new AbortController()
      yield* Effect.promise(() =>
        Promise.resolve(createAgent({ name: "a", model: made }).generate({ prompt: "Go.", abortSignal: signal })),
      )
      expect(made.doGenerateCalls[0]?.abortSignal).toBe(signal)
    }),
  )

  it.effect("never retries by itself, and says when to come back", () =>
    Effect.gen(function* () {
      const made = model(refuses(429, { "retry-after": "30" }))
      const failed = yield* Effect.flip(asking([createAgent({ name: "a", model: made })]).answer)
      expect(failed).toMatchObject({ _tag: "AgentFailed", agent: "a", retryable: true, status: 429, retryAfterMs: 30_000 })
      expect(made.doGenerateCalls).toHaveLength(1)
    }),
  )

  it.effect("whose key is wrong makes way for the next", () =>
    Effect.gen(function* () {
      const [locked, open] = [model(refuses(401)), model(says('{"risk":"low"}'))]
      const { answer, turns } = asking([createAgent({ name: "a", model: locked }), new ToolLoopAgent({ id: "b", model: open })])
      expect(yield* answer).toEqual({ risk: "low" })
      expect(turns).toMatchObject([{ agent: "a", problem: "refused with 401" }, { agent: "b" }])
      expect(locked.doGenerateCalls).toHaveLength(1)
    }),
  )

  it.effect("whose instructions throw is named, and not asked again", () =>
    Effect.gen(function* () {
      const agent = createAgent({ name: "a", model: model(says("")), instructions: (input) => input.no.such.field })
      expect(yield* Effect.flip(asking([agent]).answer)).toMatchObject({ _tag: "AgentFailed", agent: "a", retryable: false })
    }),
  )
})

describe("an agent without a model", () => {
  const { SMITHERS_MODEL } = process.env
  const provider = globalThis.AI_SDK_DEFAULT_PROVIDER
  afterEach(() => {
    globalThis.AI_SDK_DEFAULT_PROVIDER = provider
    if (SMITHERS_MODEL === undefined) delete process.env.SMITHERS_MODEL
    else process.env.SMITHERS_MODEL = SMITHERS_MODEL
  })

  it.effect("takes the one of the environment at the time it is called", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const languageModel = (id: string) => {
        asked.push(id)
        return model(says('{"risk":"low"}'))
      }
      globalThis.AI_SDK_DEFAULT_PROVIDER = { languageModel } as unknown as typeof provider
      const agent = createAgent({ name: "a" })
      process.env.SMITHERS_MODEL = "acme/large"
      expect(yield* asking([agent]).answer).toEqual({ risk: "low" })
      expect(yield* asking([createAgent({ name: "b", model: "acme/small" })]).answer).toEqual({ risk: "low" })
      expect(new Set(asked)).toEqual(new Set(["acme/large", "acme/small"]))
    }),
  )

  it.effect("says what to set where there is none", () =>
    Effect.gen(function* () {
      for (const unset of [undefined, ""]) {
        if (unset === undefined) delete process.env.SMITHERS_MODEL
        else process.env.SMITHERS_MODEL = unset
        const failed = yield* Effect.flip(asking([createAgent({ name: "analyzer" })]).answer)
        expect(failed).toMatchObject({ _tag: "AgentFailed", retryable: false })
        expect(String(failed)).toMatch(/agent "analyzer" has no model: .*"model".*SMITHERS_MODEL/)
      }
    }),
  )
})
