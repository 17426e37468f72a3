/** What is asked of agents within one attempt, what is taken of what they say, and what comes of what they cannot say. */

import { describe, expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import type { Agent, AgentReply, AgentRequest, AgentTurn } from "@smithers/core/Agent"
import { defaultCorrections } from "@smithers/core/AgentRunner"
import * as Codec from "@smithers/core/Codec"
import { AgentFailed, InvalidOutput, NonRetryable } from "@smithers/core/Errors"
import {
  APICallError,
  InvalidArgumentError,
  InvalidMessageRoleError,
  InvalidPromptError,
  LoadAPIKeyError,
  LoadSettingError,
  NoObjectGeneratedError,
  NoSuchModelError,
  NoSuchProviderError,
  RetryError,
  UnsupportedFunctionalityError,
  UnsupportedModelVersionError,
} from "ai"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as z from "zod"
import { quiet } from "../core/Time.ts"
import * as Journals from "./Journals.ts"

type Said = string | Partial<AgentReply> | Error

/** An agent that answers in turn with these, the last one for ever, and keeps what it was asked. */
const agent = (name: string, ...replies: ReadonlyArray<Said>) => {
  const requests: Array<AgentRequest> = []
  const generate = async (request: AgentRequest): Promise<AgentReply> => {
    requests.push(request)
    const said = replies[Math.min(requests.length, replies.length) - 1] ?? ""
    if (said instanceof Error) throw said
    return typeof said === "string" ? { text: said } : { text: "", ...said }
  }
  return { name, requests, generate }
}

const Risk = Schema.Struct({ risk: Schema.Literal("low", "high"), score: Schema.optional(Schema.Number) })
const context = { input: { repo: "acme" }, runId: "r", stepId: "s", iteration: 0, attempt: 1, idempotencyKey: "r:s:0" }

interface Options {
  readonly output?: Schema.Schema.AnyNoContext | z.ZodType
  readonly isText?: boolean
  readonly feedback?: ReadonlyArray<string>
  readonly signal?: AbortSignal
  readonly corrections?: number
}

const asking = (agents: ReadonlyArray<Agent>, options: Options = {}) => {
  const turns: Array<AgentTurn> = []
  const { isText = false, feedback = [], corrections = 2, signal = new AbortController().signal } = options
  const output = Codec.make(options.output ?? (isText ? Schema.String : Risk))
  const onTurn = (turn: AgentTurn) => turns.push(turn)
  const journal = Journals.make()
  const answer = AgentProgram.run({
    agents,
    prompt: "Assess.",
    output,
    isText,
    context,
    signal,
    journal,
    feedback,
    corrections,
    onTurn,
  })
  return { turns, answer }
}

const given = (reply: Said, output?: Schema.Schema.AnyNoContext | z.ZodType) =>
  asking([agent("a", reply)], output === undefined ? {} : { output }).answer

/** What makes the attempt fail, as `AgentFailed`. */
const failure = (agents: ReadonlyArray<Agent>, options?: Options): Effect.Effect<AgentFailed, unknown> =>
  Effect.flatMap(Effect.flip(asking(agents, options).answer), (error) =>
    error instanceof AgentFailed ? Effect.succeed(error) : Effect.fail(error),
  )

/** The issues of what an agent kept replying. */
const issues = (reply: Said, output?: Schema.Schema.AnyNoContext | z.ZodType): Effect.Effect<ReadonlyArray<string>, unknown> =>
  Effect.flatMap(Effect.flip(given(reply, output)), (error) =>
    error instanceof InvalidOutput ? Effect.succeed(error.issues) : Effect.fail(error),
  )

/** What the AI SDK throws where a reply is not the object that was asked for. */
const notAnObject = (text?: string) =>
  new NoObjectGeneratedError({
    message: "No object generated.",
    ...(text === undefined ? {} : { text }),
    response: { id: "1", timestamp: new Date(0), modelId: "m-1" },
    usage: undefined as never,
    finishReason: "stop",
  })

const provider = (fields: object, message = "provider says no") => Object.assign(new Error(message), fields)

describe("what an agent is told", () => {
  it.effect("is the prompt and the schema of the output", () =>
    Effect.gen(function* () {
      const a = agent("a", '{"risk":"low"}')
      expect(yield* asking([a]).answer).toEqual({ risk: "low" })
      const [request] = a.requests
      expect(request?.prompt).toBe(
        [
          "Assess.",
          "",
          "Your reply must end with one JSON value, with nothing after it. The value must match this JSON Schema:",
          "{",
          '  "type": "object",',
          '  "required": ["risk"],',
          '  "properties": {"risk":{"type":"string","enum":["low","high"]},"score":{"type":"number"}},',
          '  "additionalProperties": false',
          "}",
        ].join("\n"),
      )
      expect(Object.keys(request ?? {}).sort()).toEqual(["abortSignal", "prompt"])
    }),
  )

  it.effect("is that JSON is wanted, where the schema cannot be described", () =>
    Effect.gen(function* () {
      const a = agent("a", '"abc"')
      const output = z.custom<string>((value) => value === "abc")
      expect(yield* asking([a], { output }).answer).toBe("abc")
      expect(a.requests[0]?.prompt).toBe("Assess.\n\nYour reply must end with one JSON value, with nothing after it.")
    }),
  )

  it.effect("is the schema of what is accepted, not of what becomes of it", () =>
    Effect.gen(function* () {
      const a = agent("a", '{"n":"5"}')
      const output = z.object({ n: z.string().transform(Number).pipe(z.number()), why: z.string().default("") })
      expect(yield* asking([a], { output }).answer).toEqual({ n: "5" })
      expect(a.requests[0]?.prompt).toContain('"n":{"type":"string"}')
      expect(a.requests[0]?.prompt).toMatch(/"required":\s*\[\s*"n"\s*\]/)
    }),
  )

  it.effect("is the prompt alone, where any text will do", () =>
    Effect.gen(function* () {
      for (const options of [{ isText: true }, { output: Schema.String }, { output: z.string() }]) {
        const a = agent("a", "Fine.")
        expect(yield* asking([a], options).answer).toBe("Fine.")
        expect(a.requests[0]?.prompt).toBe("Assess.")
      }
    }),
  )

  it.effect("is what a text must be like, where not every text will do", () =>
    Effect.gen(function* () {
      const a = agent("a", "high\n")
      expect(yield* asking([a], { output: Schema.Literal("low", "high") }).answer).toBe("high")
      expect(a.requests[0]?.prompt).toBe(
        'Assess.\n\nYour whole reply is taken as the value, without quotes. It must match this JSON Schema:\n{"type":"string","enum":["low","high"]}',
      )
    }),
  )

  it.effect("has the root of the schema in place, and the definitions only where they are used", () =>
    Effect.gen(function* () {
      class Leaf extends Schema.Class<Leaf>("Leaf")({ name: Schema.String }) {}
      interface Tree {
        readonly children: ReadonlyArray<Tree>
      }
      const Tree: Schema.Schema<Tree> = Schema.Struct({ children: Schema.Array(Schema.suspend(() => Tree)) }).annotations({
        identifier: "Tree",
      })
      const leaf = { ...agent("a", '{"name":"x"}'), wantsContext: true }
      yield* asking([leaf], { output: Leaf }).answer
      const described = {
        type: "object",
        required: ["name"],
        properties: { name: { type: "string" } },
        additionalProperties: false,
      }
      expect(leaf.requests[0]?.context?.outputSchema).toEqual(described)
      const tree = { ...agent("a", '{"children":[]}'), wantsContext: true }
      yield* asking([tree], { output: Tree }).answer
      const schema = tree.requests[0]?.context?.outputSchema
      expect(schema).toMatchObject({ type: "object", $defs: { Tree: { type: "object" } } })
      expect(schema).not.toHaveProperty("$ref")
      expect(schema).not.toHaveProperty("$schema")
    }),
  )

  it.effect("names the step only to agents that want to know", () =>
    Effect.gen(function* () {
      const curious = { ...agent("a", "no", '{"risk":"low"}'), wantsContext: true }
      yield* asking([curious]).answer
      expect(curious.requests).toHaveLength(2)
      for (const request of curious.requests) {
        expect(request.context).toMatchObject({ ...context, outputSchema: { type: "object", required: ["risk"] } })
      }
      yield* asking([curious], { isText: true }).answer
      expect(curious.requests[2]?.context).toEqual({ ...context, outputSchema: undefined, log: expect.any(Object) })
    }),
  )

  it.effect("carries the issues of the attempt before this one, as many as are worth reading", () =>
    Effect.gen(function* () {
      const a = agent("a", '{"risk":"low"}')
      yield* asking([a], { feedback: ["risk: is missing", "score: expected number"] }).answer
      expect(a.requests[0]?.prompt).toMatch(
        /\n\nYour previous reply was not accepted:\n- risk: is missing\n- score: expected number$/,
      )
      yield* asking([a], { feedback: Array.from({ length: 1000 }, (_, index) => `${index}: ${"x".repeat(2000)}`) }).answer
      expect(a.requests[1]?.prompt).toMatch(/- and 980 more like these$/)
      expect(a.requests[1]?.prompt?.length).toBeLessThan(12_000)
    }),
  )
})

describe("the output of a reply", () => {
  it.effect.each<[what: string, reply: Said]>([
    ["the whole text", ' {"risk":"low"}\n'],
    ["a fenced block", 'Sure!\n```json\n{"risk":"low"}\n```\nDone.'],
    ["a block without a language", '```\n{"risk":"low"}\n```'],
    ["a block with tildes", '~~~json\n{"risk":"low"}\n~~~'],
    ["a block with a longer fence", '````json\n{"risk":\n"low"}\n````'],
    ["the last of several blocks", '```json\n{"risk":"high"}\n```\nOr rather:\n```json\n{"risk":"low"}\n```'],
    ["the block before one that is no JSON", '```json\n{"risk":"low"}\n```\nThen run\n```sh\nmake [all]\n```'],
    ["a block that was not closed", 'So:\n```json\n{"risk":"low"}'],
    ["an object in prose", 'I think it is {"risk":"low"}, all in all.'],
    ["the last object in prose", 'Not {"risk":"high"} but {"risk":"low"}.'],
    ["an object after brackets of prose", 'See [docs](x) and {placeholder} and a stray { or [ here: {"risk":"low"}'],
    ["an object before brackets of prose", '{"risk":"low"} as in [docs](x) {sic} ]'],
    ["an object after inches", 'A { 5" pipe. {"risk":"low"}'],
    ["a structured output", { text: "I looked into it.", output: { risk: "low" } }],
    ["the text, where the structured output is not valid", { text: '{"risk":"low"}', output: { risk: 1 } }],
    ["the answer before code in another language", '{"risk":"low"}\n```bash\ncurl -d \'{"risk":"high"}\' x\n```'],
    ["the answer before text of another language", '{"risk":"low"}\n~~~text\n{"risk":"high"}\n~~~'],
    ["the answer before an open block of another language", '{"risk":"low"}\n```ts\nconst x = {"risk":"high"}'],
    ["the answer before sources", '{"risk":"low"}\nSources: [1], [2]'],
    ["the answer before boxes to tick", '{"risk":"low"}\n- [ ] todo\n* [ ] more'],
    ["the answer before an empty list", '```json\n{"risk":"low"}\n```\n[]'],
    ["the answer before a list in a block", '```json\n{"risk":"low"}\n```\n```json\n[1, 2]\n```'],
    ["a whole value at the limit of length", { text: '{"risk":"low"}', finishReason: "length" }],
  ])("is found as %s", ([, reply]) =>
    Effect.gen(function* () {
      expect(yield* given(reply)).toEqual({ risk: "low" })
    }),
  )

  it.effect("may hold brackets, quotes and fences in its texts", () =>
    Effect.gen(function* () {
      const value = { risk: "low", note: 'a "}" and ]] and \\ and\n```\nand {' }
      const output = Schema.Struct({ risk: Schema.String, note: Schema.String })
      expect(yield* given(`So { be it: ${JSON.stringify(value)} there`, output)).toEqual(value)
      expect(yield* given(`\`\`\`json\n${JSON.stringify(value, null, 2)}\n\`\`\``, output)).toEqual(value)
    }),
  )

  it.effect("may be what is no object", () =>
    Effect.gen(function* () {
      expect(yield* given("42", Schema.Number)).toBe(42)
      expect(yield* given("The answer:\n```\n42\n```", Schema.Number)).toBe(42)
      expect(yield* given("All of [1, [2]] is it", Schema.Unknown)).toEqual([1, [2]])
      expect(yield* given("null", Schema.NullOr(Schema.String))).toBe(null)
    }),
  )

  it.effect("is the last value of the kind that was asked for", () =>
    Effect.gen(function* () {
      const items = Schema.Array(Schema.Struct({ risk: Schema.String }))
      const list = [{ risk: "low" }]
      expect(yield* given(`${JSON.stringify(list)}\nSee [1], [2]`, items)).toEqual(list)
      expect(yield* given(`${JSON.stringify(list)}\n- [ ] todo`, items)).toEqual(list)
      expect(yield* given("None are left: []", items)).toEqual([])
      const either = Schema.Union(Schema.Struct({ ok: Schema.Boolean }), Schema.Struct({ error: Schema.String }))
      expect(yield* given('{"error":"no"} as in [1]', either)).toEqual({ error: "no" })
      expect(yield* given('{"a":1}\nSources: [1], [2]', z.record(z.string(), z.number()))).toEqual({ a: 1 })
    }),
  )

  it.effect("is the text itself where a text is wanted, before it is anything in the text", () =>
    Effect.gen(function* () {
      expect(yield* given('{"a":1}', Schema.String)).toBe('{"a":1}')
      expect(yield* given(' "low" ', Schema.Literal("low"))).toBe("low")
      expect(yield* given('Rather\n```\n"low"\n```', Schema.Literal("low"))).toBe("low")
      expect(yield* given({ text: "I would say it is low.", output: "low" }, Schema.String)).toBe("low")
    }),
  )

  it.effect("is in the last block, also after other blocks and code that look alike", () =>
    Effect.gen(function* () {
      for (const before of [
        "````\n```\n````",
        "```\ntext\n```js\n```",
        "```x``` is code",
        "~~~\n```\n~~~",
        'not {"risk":"low",} but',
      ]) {
        expect(yield* given(`${before}\n\`\`\`\n42\n\`\`\``, Schema.Number)).toBe(42)
      }
    }),
  )

  it.effect("is every text, even none, where no schema was declared", () =>
    Effect.gen(function* () {
      for (const text of ["", "```json\n{}\n```", '{"a":1}']) {
        expect(yield* asking([agent("a", { text, output: { a: 1 } })], { isText: true }).answer).toBe(text)
      }
    }),
  )

  it.effect("is not the text once more, which agents without a structure give as their output", () =>
    Effect.gen(function* () {
      const text = 'Here: {"risk":"low"}'
      expect(yield* given({ text, output: text }, Schema.Unknown)).toEqual({ risk: "low" })
      expect(yield* issues({ text: "No.", output: "No." })).toEqual(["the reply is not JSON"])
    }),
  )

  it.effect("is read although reading other things of the reply throws", () =>
    Effect.gen(function* () {
      const reply = Object.defineProperties({ text: '{"risk":"low"}' } as AgentReply, {
        output: { get: () => assert("output") },
        usage: { get: () => assert("usage") },
      })
      const assert = (what: string) => {
        throw new Error(`no ${what}`)
      }
      expect(yield* asking([{ generate: () => Promise.resolve(reply) }]).answer).toEqual({ risk: "low" })
    }),
  )

  it.effect("is also in the error by which the AI SDK says that it is not what it expected", () =>
    Effect.gen(function* () {
      const thrown = notAnObject('It is {"risk":"low"}')
      const { answer, turns } = asking([agent("a", thrown)])
      expect(yield* answer).toEqual({ risk: "low" })
      expect(turns).toEqual([expect.objectContaining({ reply: 'It is {"risk":"low"}', finishReason: "stop" })])
    }),
  )
})

describe("what is not taken for the output", () => {
  it.effect.each<[what: string, reply: Said, issues: ReadonlyArray<string | RegExp>]>([
    ["prose", "It is low.", ["the reply is not JSON"]],
    ["nothing", " \n", ["the reply is empty"]],
    ["a value that is not valid", '{"risk":"none"}', [/^risk: /, /^risk: /]],
    ["what only a block of another language says", '```sh\necho \'{"risk":"low"}\'\n```', ["the reply is not JSON"]],
    ["a list where an object is wanted", "It is [1].", [/actual \[1\]/]],
    ["an earlier value than one that is not valid", '{"risk":"low"} {"risk":"none"}', [/^risk: /, /^risk: /]],
    ["an earlier value than one that is broken", '{"risk":"low"} or {"risk":"high",}', [/cannot be parsed/]],
    ["a block before a value that is broken", '```\n{"risk":"low"}\n```\n{"risk":"high",}', [/cannot be parsed/]],
    ["a part of a broken value", '{"other":{"risk":"low"},}', [/cannot be parsed/]],
    ["a part of a value that ends too early", 'Well: {"other":{"risk":"low"}, "a', [/cannot be parsed/]],
    ["a part of a list that ends too early", '[{"risk":"low"}, {"ri', [/cannot be parsed/]],
    ["a valid part of a valid value", '{"other":{"risk":"low"}}', [/^risk: /]],
    [
      "a part of a reply that was cut off",
      { text: 'Say\n```json\n{"risk":"low"}\n```\nor rat', finishReason: "length" },
      ["the reply was cut off at its maximum length: give a shorter one", "the reply is not JSON"],
    ],
    [
      "the end of the tools",
      { text: "", finishReason: "tool-calls" },
      ["the reply ended with tool calls and without an answer", "the reply is empty"],
    ],
  ])("is %s", ([, reply, expected]) =>
    Effect.gen(function* () {
      const found = yield* issues(reply)
      expect(found).toHaveLength(expected.length)
      for (const [index, wanted] of expected.entries()) expect(found[index]).toMatch(wanted)
    }),
  )

  it.effect("is told by what was most likely meant", () =>
    Effect.gen(function* () {
      const found = yield* issues({ text: '{"risk":"low","score":"x"}', output: { risk: "low", score: null } })
      expect(found.length).toBeGreaterThan(0)
      for (const issue of found) expect(issue).toMatch(/^score: .*null/)
    }),
  )

  it.effect("is an empty text where a text was declared", () =>
    Effect.gen(function* () {
      expect(yield* issues("", Schema.String)).toEqual(["the reply is empty"])
    }),
  )
})

describe("a reply that is not valid", () => {
  it.effect("is put right in the same conversation", () =>
    Effect.gen(function* () {
      const a = agent("a", "It is low.", '{"risk":"none"}', '{"risk":"low"}')
      const { answer, turns } = asking([a])
      expect(yield* answer).toEqual({ risk: "low" })
      const [first, second, third] = a.requests
      const opening = { role: "user", content: first?.prompt }
      const corrected = "Reply again with the whole JSON value, corrected, and nothing else."
      expect(second?.prompt).toContain("Reply again with the whole JSON value")
      expect(second?.messages).toEqual([
        opening,
        { role: "assistant", content: "It is low." },
        { role: "user", content: `Your previous reply was not accepted:\n- the reply is not JSON\n\n${corrected}` },
      ])
      expect(third?.messages?.map(({ role }) => role)).toEqual(["user", "assistant", "user", "assistant", "user"])
      expect(third?.messages?.[4]?.content).toMatch(/^Your previous reply was not accepted:\n- risk: /)
      expect(turns.map(({ prompt }) => prompt)).toEqual([
        first?.prompt,
        second?.messages?.[2]?.content,
        third?.messages?.[4]?.content,
      ])
      expect(turns.map(({ problem }) => problem)).toEqual(["the reply is not JSON", expect.stringMatching(/^risk: /), undefined])
    }),
  )

  it.effect("fails the attempt after two repairs, with the issues of the last reply", () =>
    Effect.gen(function* () {
      const a = agent("a", "no", "no", '{"risk":"none"}', '{"risk":"low"}')
      const { answer, turns } = asking([a])
      const error = yield* Effect.flip(answer)
      expect(error).toBeInstanceOf(InvalidOutput)
      expect(error).toMatchObject({ nodeId: "s", issues: [expect.stringMatching(/^risk: /), expect.stringMatching(/^risk: /)] })
      expect(a.requests).toHaveLength(1 + defaultCorrections)
      expect(turns).toHaveLength(3)
    }),
  )

  it.effect("has words in the conversation also where it had none", () =>
    Effect.gen(function* () {
      const a = agent("a", "", '{"risk":"low"}')
      yield* asking([a]).answer
      expect(a.requests[1]?.messages?.[1]).toEqual({ role: "assistant", content: "(no text)" })
    }),
  )

  it.effect.each([0, 1])("is corrected as often as the task says: %i", (corrections) =>
    Effect.gen(function* () {
      const a = agent("a", "no")
      yield* Effect.flip(asking([a], { corrections }).answer)
      expect(a.requests).toHaveLength(1 + corrections)
    }),
  )

  it.effect("is corrected by a prompt that agents find where every prompt is, with the conversation beside it", () =>
    Effect.gen(function* () {
      const prompts: Array<string> = []
      const plain: Agent = {
        name: "plain",
        generate: ({ prompt, messages = [] }) => {
          prompts.push(`${messages.length} ${(prompt as string).split("\n")[0]}`)
          return Promise.resolve({ text: prompts.length === 1 ? "no" : '{"risk":"low"}' })
        },
      }
      expect(yield* asking([plain]).answer).toEqual({ risk: "low" })
      expect(prompts).toEqual(["0 Assess.", "3 Your previous reply was not accepted:"])
    }),
  )

  it.effect("names what became of the other agents, and tells the next attempt only what was wrong with the reply", () =>
    Effect.gen(function* () {
      const agents = [agent("a", provider({ statusCode: 401 }, "bad key")), agent("b", "no JSON")]
      const failed = yield* Effect.flip(asking(agents).answer)
      expect(failed).toMatchObject({ _tag: "InvalidOutput", issues: ["the reply is not JSON"] })
      expect((failed as InvalidOutput).message).toContain('agent "a" failed: bad key')
    }),
  )

  it.effect("passes to the next agent, which begins anew", () =>
    Effect.gen(function* () {
      const [a, b] = [agent("a", "no"), agent("b", '{"risk":"low"}')]
      const { answer, turns } = asking([a, b])
      expect(yield* answer).toEqual({ risk: "low" })
      expect(turns.map((turn) => turn.agent)).toEqual(["a", "a", "a", "b"])
      expect(b.requests[0]?.prompt).toBe(a.requests[0]?.prompt)
    }),
  )

  it.effect("is what the attempt fails with, whatever else other agents had", () =>
    Effect.gen(function* () {
      const agents = [
        agent("a", provider({ statusCode: 401 })),
        agent("b", '{"risk":"none"}'),
        agent("c", provider({ statusCode: 500 })),
      ]
      expect(yield* Effect.flip(asking(agents).answer)).toMatchObject({
        _tag: "InvalidOutput",
        issues: [expect.stringMatching(/^risk: /), expect.stringMatching(/^risk: /)],
      })
    }),
  )
})

describe("a turn", () => {
  it.effect("is kept with its model and its tokens, as far as they are told", () =>
    Effect.gen(function* () {
      const reply = {
        text: '{"risk":"low"}',
        finishReason: "stop",
        usage: { inputTokens: 10, outputTokens: Number.NaN, totalTokens: 12 },
        response: { modelId: "m-1" },
      }
      const { answer, turns } = asking([agent("a", reply)], { output: Schema.Unknown })
      yield* answer
      expect(turns).toEqual([
        {
          agent: "a",
          prompt: expect.stringMatching(/^Assess\./),
          reply: '{"risk":"low"}',
          model: "m-1",
          finishReason: "stop",
          inputTokens: 10,
          totalTokens: 12,
        },
      ])
    }),
  )

  it.effect("is kept where the agent failed, or the reply could not even be checked", () =>
    Effect.gen(function* () {
      const failing = asking([agent("a", provider({ statusCode: 500 }))])
      yield* Effect.flip(failing.answer)
      expect(failing.turns).toEqual([{ agent: "a", prompt: expect.any(String), problem: "provider says no" }])
      const throwing = Schema.Number.pipe(
        Schema.filter(() => {
          throw new Error("bug")
        }),
      )
      const checking = asking([agent("a", "1")], { output: throwing })
      expect(Exit.isFailure(yield* Effect.exit(checking.answer))).toBe(true)
      expect(checking.turns).toEqual([
        { agent: "a", prompt: expect.any(String), reply: "1", problem: "the reply could not be validated" },
      ])
    }),
  )
})

describe("an agent that fails", () => {
  it.effect.each<[what: string, error: Error, retryable: boolean, status?: number]>([
    ["a wrong key", provider({ statusCode: 401, isRetryable: false }), false, 401],
    ["a key without rights", provider({ status: 403 }), false, 403],
    ["a request it cannot use", provider({ statusCode: 400 }), false, 400],
    ["a request that is too large", provider({ statusCode: 413 }), false, 413],
    ["an unknown model", provider({ statusCode: 404 }), false, 404],
    ["a schema it cannot use", provider({ response: { status: 422 } }), false, 422],
    ["a quota that is used up", provider({ statusCode: 429, isRetryable: false }), false, 429],
    ["no key", new LoadAPIKeyError({ message: "no key" }), false],
    ["a setting that is missing", new LoadSettingError({ message: "no setting" }), false],
    ["no such model", new NoSuchModelError({ modelId: "m", modelType: "languageModel" }), false],
    [
      "no such provider",
      new NoSuchProviderError({ modelId: "p:m", modelType: "languageModel", providerId: "p", availableProviders: [] }),
      false,
    ],
    ["what the model cannot do", new UnsupportedFunctionalityError({ functionality: "tools" }), false],
    ["a model of another version", new UnsupportedModelVersionError({ version: "v9", provider: "p", modelId: "m" }), false],
    ["a prompt that is none", new InvalidPromptError({ prompt: 1, message: "no prompt" }), false],
    ["a role that is none", new InvalidMessageRoleError({ role: "king" }), false],
    ["a setting that is none", new InvalidArgumentError({ parameter: "maxRetries", value: -1, message: "below 0" }), false],
    ["no object in its reply, nor any text", notAnObject(), true],
    [
      "an answer of its provider",
      new APICallError({ message: "no", url: "u", requestBodyValues: {}, statusCode: 401 }),
      false,
      401,
    ],
    ["no gateway key", provider({ name: "GatewayAuthenticationError" }), false],
    ["an error that says so", new NonRetryable({ message: "never" }), false],
    ["a slip of its code", new TypeError("x is undefined"), false],
    [
      "retries that came to a final error",
      new RetryError({ message: "tried", reason: "errorNotRetryable", errors: [provider({ statusCode: 401 })] }),
      false,
      401,
    ],
    ["too many requests", provider({ statusCode: 429, isRetryable: true }), true, 429],
    ["a request timeout", provider({ statusCode: 408 }), true, 408],
    ["an answer that is no JSON", new SyntaxError("Unexpected token <"), true],
    ["a length that is out of range", new RangeError("Invalid array length"), true],
    ["a conflict", provider({ status: 409 }), true, 409],
    ["a server error", provider({ statusCode: 503 }), true, 503],
    ["an overload", provider({ statusCode: 529 }), true, 529],
    ["a broken connection", new TypeError("fetch failed", { cause: new Error("ECONNRESET") }), true],
    ["a refused connection", Object.assign(new TypeError("cannot connect"), { code: "ConnectionRefused" }), true],
    ["its own timeout", new DOMException("took too long", "TimeoutError"), true],
    ["anything else", new Error("hm"), true],
    [
      "retries in vain",
      new RetryError({
        message: "tried",
        reason: "maxRetriesExceeded",
        errors: [provider({ statusCode: 401 }), provider({ statusCode: 503 })],
      }),
      true,
      503,
    ],
    ["an error inside another", new Error("call failed", { cause: provider({ statusCode: 503 }) }), true, 503],
  ])("with %s is asked again only where that can help", ([, error, retryable, status]) =>
    Effect.gen(function* () {
      const a = agent("a", error)
      const failed = yield* failure([a])
      expect(failed).toMatchObject({ nodeId: "s", agent: "a", retryable, cause: error })
      expect(failed.status).toBe(status)
      expect(failed.message).toContain(error.message)
      expect(failed.message.includes("then resume the run")).toBe(!retryable)
      expect(a.requests).toHaveLength(1)
      // Another agent is asked at once, whatever the first one has.
      expect(yield* asking([a, agent("b", '{"risk":"low"}')]).answer).toEqual({ risk: "low" })
    }),
  )

  it.effect("in a repair is one that fails", () =>
    Effect.gen(function* () {
      const [a, b] = [agent("a", "no", provider({ statusCode: 429 })), agent("b", '{"risk":"low"}')]
      const { answer, turns } = asking([a, b])
      expect(yield* answer).toEqual({ risk: "low" })
      expect(turns.map(({ agent, problem }) => [agent, problem])).toEqual([
        ["a", "the reply is not JSON"],
        ["a", "provider says no"],
        ["b", undefined],
      ])
    }),
  )

  it.effect("for good does not fail the step for good while another agent of the chain may recover", () =>
    Effect.gen(function* () {
      const [busy, locked] = [
        agent("busy", provider({ statusCode: 429 }, "busy")),
        agent("locked", provider({ statusCode: 401 }, "key")),
      ]
      for (const chain of [
        [busy, locked],
        [locked, busy],
      ]) {
        const failed = yield* failure(chain)
        expect(failed).toMatchObject({ agent: "busy", retryable: true, status: 429, reason: 'busy ("locked": key)' })
      }
      expect(yield* failure([locked, agent("x", new TypeError("slip"))])).toMatchObject({ agent: "x", retryable: false })
    }),
  )

  it.effect("of the agent's own code is told from a provider's, and each has its own cure", () =>
    Effect.gen(function* () {
      const own = { name: "own", generate: () => (undefined as unknown as { x: never }).x }
      const slip = yield* failure([own])
      expect(slip.message).toMatch(/Fix the code of the agent, then resume the run/)
      const refused = yield* failure([agent("a", provider({ statusCode: 401 }))])
      expect(refused.message).toMatch(/Check its key, its model and its settings, then resume the run/)
      const busy = yield* failure([agent("a", provider({ statusCode: 529 }))])
      expect(busy.message).not.toMatch(/not asked again/)
    }),
  )

  it.effect("is not described in colours", () =>
    Effect.gen(function* () {
      const { reason } = yield* failure([agent("a", new Error("\u001b[1m\u001b[31mNo key.\u001b[0m\n"))])
      expect(reason).toBe("No key.")
    }),
  )

  it.effect("may fail in any way at all", () =>
    Effect.gen(function* () {
      const circular = provider({})
      Object.assign(circular, { cause: circular, errors: [circular] })
      const hostile = Object.defineProperty(new Error("hostile"), "cause", {
        get: () => {
          throw new Error("no")
        },
      })
      for (const thrown of [undefined, null, "text", 7, circular, hostile, Object.create(null)]) {
        const failed = yield* failure([{ generate: () => Promise.reject(thrown) }])
        expect(failed).toMatchObject({ agent: "agent", retryable: true })
      }
    }),
  )

  it.effect.each<[what: string, generate: () => unknown, told: string]>([
    ["throws before it promises anything", () => (undefined as unknown as { a: { b: 1 } }).a.b, "undefined"],
    [
      "returns what is no promise",
      () => ({ text: "{}" }),
      'its "generate" returned an object instead of a promise or an Effect of a reply',
    ],
    ["replies with a text alone", () => Promise.resolve("{}"), 'with "text" undefined'],
    ["replies with nothing", () => Promise.resolve(), "its reply is undefined"],
    ["replies with no text", () => Promise.resolve({ text: 1 }), 'its reply is an object with "text" a number'],
  ])("because it %s is named, and not asked again", ([, generate, told]) =>
    Effect.gen(function* () {
      const failed = yield* failure([{ id: "broken", generate } as Agent])
      expect(failed).toMatchObject({ agent: "broken", retryable: false, reason: expect.stringContaining(told) })
      expect(failed.message).toContain('Agent "broken" of step "s" failed')
    }),
  )

  it.effect("is called as a method, so that it may be an object of a class", () =>
    Effect.gen(function* () {
      class Fixed implements Agent {
        readonly text = '{"risk":"low"}'
        async generate() {
          return { text: this.text }
        }
      }
      expect(yield* asking([new Fixed()]).answer).toEqual({ risk: "low" })
    }),
  )
})

describe("a provider that asks to be left alone", () => {
  const limited = (responseHeaders: object) => provider({ statusCode: 429, responseHeaders })

  it.effect.each<[what: string, error: Error, retryAfterMs: number | undefined]>([
    ["seconds", limited({ "retry-after": "30" }), 30_000],
    ["fractions of seconds", limited({ "Retry-After": "0.5" }), 500],
    ["milliseconds, which are more exact", limited({ "retry-after": "2", "retry-after-ms": "1250" }), 1250],
    ["fractions of milliseconds", limited({ "retry-after-ms": "1250.2" }), 1251],
    ["more seconds than there are", limited({ "retry-after": "99999999999999999999999" }), 8.64e15],
    ["more seconds than a number can tell", limited({ "retry-after": "9".repeat(400) }), 8.64e15],
    ["a date", limited({ "retry-after": "Thu, 01 Jan 1970 00:02:00 GMT" }), 60_000],
    ["a date that has passed", limited({ "retry-after": "Thu, 01 Jan 1970 00:00:10 GMT" }), 0],
    ["what cannot be read", limited({ "retry-after": "soon", "retry-after-ms": "-1" }), undefined],
    ["nothing", limited({}), undefined],
    [
      "the header of an error inside",
      new RetryError({ message: "tried", reason: "maxRetriesExceeded", errors: [limited({ "retry-after": "3" })] }),
      3000,
    ],
    [
      "the header of the last error",
      provider({ errors: [limited({ "retry-after": "9" }), limited({ "retry-after": "3" })] }),
      3000,
    ],
    ["the header of the cause", new Error("wrapped", { cause: limited({ "retry-after": "3" }) }), 3000],
    ["real headers", provider({ status: 429, headers: new Headers({ "Retry-After": "3" }) }), 3000],
    ["a header of the response", provider({ response: { status: 503, headers: { "retry-after": "3" } } }), 3000],
  ])("may do so by %s", ([, error, retryAfterMs]) =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 minute")
      const failed = yield* failure([agent("a", error)])
      expect(failed).toMatchObject({ retryable: true })
      expect(failed.retryAfterMs).toBe(retryAfterMs)
    }),
  )

  it.effect("is not asked before the soonest of the chain, of those that can be asked again", () =>
    Effect.gen(function* () {
      const until = (seconds: string, fields = {}) =>
        agent("a", provider({ statusCode: 429, responseHeaders: { "retry-after": seconds }, ...fields }))
      const failed = yield* failure([
        until("30"),
        until("20"),
        until("5", { isRetryable: false }),
        agent("b", provider({ statusCode: 500 })),
      ])
      expect(failed).toMatchObject({ retryable: true, retryAfterMs: 20_000, agent: "b" })
    }),
  )
})

describe("an interruption", () => {
  it.effect("reaches the agent by its signal, and no other agent is asked", () =>
    Effect.gen(function* () {
      const controller = new AbortController()
      const aborted = new DOMException("stop", "AbortError")
      const slow: Agent = {
        name: "slow",
        generate: ({ abortSignal }) =>
          new Promise((_, reject) => abortSignal?.addEventListener("abort", () => reject(abortSignal.reason))),
      }
      const next = agent("next", '{"risk":"low"}')
      const { answer, turns } = asking([slow, next], { signal: controller.signal })
      const fiber = yield* Effect.fork(answer)
      yield* quiet
      controller.abort(aborted)
      expect(Exit.isInterrupted(yield* Fiber.await(fiber))).toBe(true)
      expect(next.requests).toEqual([])
      expect(turns).toEqual([{ agent: "slow", prompt: expect.any(String), problem: "stop" }])
    }),
  )

  it.effect("is no failure of the agent, whatever the agent makes of it", () =>
    Effect.gen(function* () {
      const controller = new AbortController()
      const stopped = provider({ statusCode: 401 }, "stopped")
      const generate = () => {
        controller.abort()
        return Promise.reject(stopped)
      }
      const exit = yield* Effect.exit(asking([{ generate }], { signal: controller.signal }).answer)
      expect(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)).toBe(true)
    }),
  )

  it.effect("stops a conversation between two turns", () =>
    Effect.gen(function* () {
      const controller = new AbortController()
      let calls = 0
      const a: Agent = {
        generate: async () => {
          calls++
          controller.abort()
          return { text: "no" }
        },
      }
      const { answer, turns } = asking([a, a], { signal: controller.signal })
      expect(Exit.isInterrupted(yield* Effect.exit(answer))).toBe(true)
      expect(calls).toBe(1)
      expect(turns).toHaveLength(1)
    }),
  )

  it.effect("of the fiber ends the asking", () =>
    Effect.gen(function* () {
      const never: Agent = { generate: () => new Promise(() => {}) }
      const fiber = yield* Effect.fork(asking([never]).answer)
      yield* quiet
      expect(Exit.isInterrupted(yield* Fiber.interrupt(fiber))).toBe(true)
    }),
  )
})
