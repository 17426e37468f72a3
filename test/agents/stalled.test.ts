/** Agents that repeat a tool call: what the model is told, and when the agent is stopped. */
import { createAnthropic } from "@ai-sdk/anthropic"
import { describe, expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import { createAgent } from "@smithers/agents/createAgent"
import { defineTool } from "@smithers/agents/defineTool"
import type { AgentTurn, AnyAgent } from "@smithers/core/Agent"
import * as Codec from "@smithers/core/Codec"
import { ToolLoopAgent, tool } from "ai"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as z from "zod"
import * as FakeProvider from "../providers/FakeProvider.ts"
import { calls, says } from "../providers/FakeProvider.ts"
import * as Journals from "./Journals.ts"

const context = { input: {}, runId: "r", stepId: "s", iteration: 0, attempt: 1, idempotencyKey: "r:s:0" }

const asking = (agents: ReadonlyArray<AnyAgent>, journal = Journals.make()) => {
  const turns: Array<AgentTurn> = []
  const answer = AgentProgram.run({
    ...{ agents, prompt: "go", output: Codec.make(Schema.String), isText: true, context, journal, feedback: [], corrections: 0 },
    ...{ signal: new AbortController().signal, onTurn: (turn: AgentTurn) => void turns.push(turn) },
  })
  return { answer, turns }
}

const modelOf = ({ v1 }: FakeProvider.FakeProvider) => createAnthropic({ baseURL: v1, apiKey: "k" })("claude-sonnet-4-5")

/** A model that calls the same tool until it has had so many results. */
const repeats =
  (most: number): FakeProvider.Script =>
  ({ allResults }) =>
    allResults.length < most ? calls({ name: "look", input: { at: "here" } }) : says(`gave up after ${most}`)

const look = (answer: () => string | Promise<string>, rules: { readonly isPolling?: boolean } = {}) =>
  defineTool({ description: "Looks.", input: Schema.Struct({ at: Schema.String }), execute: () => answer(), ...rules })

const agents = {
  "an agent of createAgent": (fake: FakeProvider.FakeProvider, made: ReturnType<typeof look>) =>
    createAgent({ name: "a", model: modelOf(fake), tools: { look: made } }),
  "an agent of the SDK": (fake: FakeProvider.FakeProvider, made: ReturnType<typeof look>) =>
    new ToolLoopAgent({ id: "a", model: modelOf(fake), tools: { look: made } }),
}

for (const [name, make] of Object.entries(agents))
  describe(`${name} that makes the same call again and again`, () => {
    it.scoped("is told of it at the third, and may then go on", () =>
      Effect.gen(function* () {
        const fake = yield* FakeProvider.serve(repeats(4))
        const made = make(
          fake,
          look(() => "nothing new"),
        )
        expect(yield* asking([made]).answer).toBe("gave up after 4")
        const notice = expect.stringMatching(/^nothing new\n\n\[You have made the same call of look [34] times in a row/)
        expect(fake.requests.at(-1)?.allResults.map(({ text }) => text)).toEqual(["nothing new", "nothing new", notice, notice])
      }),
    )

    it.scoped("is stopped at the fifth as stalled, and the next agent is asked", () =>
      Effect.gen(function* () {
        const fake = yield* FakeProvider.serve(repeats(100))
        const made = make(
          fake,
          look(() => "nothing new"),
        )
        const failed = yield* Effect.flip(asking([made]).answer)
        expect(failed).toMatchObject({
          _tag: "AgentFailed",
          retryable: false,
          reason: expect.stringMatching(/^stalled: it made the same call of look 5/),
        })
        expect(fake.requests.length).toBe(5)
        const { answer, turns } = asking([made, { name: "b", generate: async () => ({ text: "done by b" }) }])
        expect(yield* answer).toBe("done by b")
        expect(turns.map(({ agent, problem }) => [agent, problem?.slice(0, 8)])).toEqual([
          ["a", "stalled:"],
          ["b", undefined],
        ])
      }),
    )

    it.scoped("is stopped also where the tool fails each time", () =>
      Effect.gen(function* () {
        const fake = yield* FakeProvider.serve(repeats(100))
        const made = make(
          fake,
          look(() => Promise.reject(new Error("no such place"))),
        )
        expect(yield* Effect.flip(asking([made]).answer)).toMatchObject({ reason: expect.stringMatching(/^stalled/) })
        expect(fake.requests.at(-1)?.allResults.at(-1)).toMatchObject({
          isError: true,
          text: expect.stringContaining("4 times in a row"),
        })
      }),
    )

    it.scoped("goes on where the result changes, or the tool is for polling", () =>
      Effect.gen(function* () {
        const fake = yield* FakeProvider.serve(repeats(9))
        let count = 0
        for (const made of [look(() => `line ${count++}`), look(() => "not yet", { isPolling: true })]) {
          expect(yield* asking([make(fake, made)]).answer).toBe("gave up after 9")
          expect(fake.requests.at(-1)?.allResults.some(({ text }) => text.includes("in a row"))).toBe(false)
        }
      }),
    )
  })

it.scoped("a tool that shows its results in its own way is told of besides", () =>
  Effect.gen(function* () {
    const fake = yield* FakeProvider.serve(repeats(3))
    const made = tool({
      description: "Looks.",
      inputSchema: z.object({ at: z.string() }),
      execute: async () => ({ found: 0 }),
      toModelOutput: ({ output }) => ({ type: "content", value: [{ type: "text", text: `found ${output.found}` }] }),
    })
    expect(yield* asking([createAgent({ name: "a", model: modelOf(fake), tools: { look: made } })]).answer).toBe("gave up after 3")
    expect(fake.requests.at(-1)?.allResults.map(({ text }) => text)).toEqual([
      "found 0",
      "found 0",
      expect.stringMatching(/^found 0\n\[You have made/),
    ])
  }),
)
