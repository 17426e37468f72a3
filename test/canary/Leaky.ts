/**
 * Workflows that let a secret out wherever a run can: in errors, logs, spans, heartbeats, requests, answers, transcripts, results of tools.
 * Each sink runs them: stores, streams, telemetry, the command line.
 */
import { createAgent } from "@smithers/agents/createAgent"
import { defineTool } from "@smithers/agents/defineTool"
import { MockLanguageModelV4, simulateReadableStream } from "ai/test"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Smithers } from "smithers-orchestrator"

const usage = {
  inputTokens: { total: 10, noCache: 10, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 5, text: 5, reasoning: undefined },
}

type Generated = Awaited<ReturnType<MockLanguageModelV4["doGenerate"]>>
type StreamPart = Awaited<ReturnType<MockLanguageModelV4["doStream"]>>["stream"] extends ReadableStream<infer P> ? P : never
type Seen = MockLanguageModelV4["doGenerateCalls"]

/** What models were shown. */
export interface Shown {
  readonly prompts: Array<unknown>
}

/** A model that calls three tools, echoes the secret in their arguments, and ends with it in its words, one character at a time. */
const modelOf = (secret: string, shown: Shown): MockLanguageModelV4 => {
  const answer = (prompt: Seen[number]["prompt"]): Generated["content"] => {
    shown.prompts.push(prompt.filter(({ role }) => role === "tool"))
    if (prompt.some(({ role }) => role === "tool")) return [{ type: "text", text: `the key is ${secret}.` }]
    return ["prints", "throws", "hides"].map((toolName) => ({
      type: "tool-call" as const,
      toolCallId: toolName,
      toolName,
      input: JSON.stringify({ secret }),
    }))
  }
  const reason = (content: Generated["content"]) => ({
    unified: content.some(({ type }) => type === "tool-call") ? ("tool-calls" as const) : ("stop" as const),
    raw: undefined,
  })
  return new MockLanguageModelV4({
    modelId: "mock-1",
    doGenerate: async ({ prompt }) => {
      const content = answer(prompt)
      return {
        ...{ content, finishReason: reason(content), usage, warnings: [] },
        response: { modelId: "mock-1", headers: { "x-key": secret }, body: { secret } },
        request: { body: { authorization: secret } },
      }
    },
    doStream: async ({ prompt }) => {
      const content = answer(prompt)
      const parts = content.flatMap(
        (part): ReadonlyArray<StreamPart> =>
          part.type === "text"
            ? [
                { type: "text-start" as const, id: "t" },
                ...Array.from(part.text, (delta) => ({ type: "text-delta" as const, id: "t", delta })),
                { type: "text-end" as const, id: "t" },
              ]
            : [part as StreamPart],
      )
      const chunks: ReadonlyArray<StreamPart> = [
        { type: "stream-start", warnings: [] },
        ...parts,
        { type: "finish", finishReason: reason(content), usage },
      ]
      return { stream: simulateReadableStream({ chunks: [...chunks] }) }
    },
  })
}

/** An agent whose provider refuses, and repeats the request with its key. */
const refusing = (secret: string): MockLanguageModelV4 =>
  new MockLanguageModelV4({
    modelId: "mock-2",
    doGenerate: async () => {
      throw Object.assign(new Error(`401: the key ${secret} is wrong`), {
        ...{ statusCode: 401, isRetryable: false, url: `https://example.test/?key=${encodeURIComponent(secret)}` },
        ...{
          requestBodyValues: { secret },
          responseHeaders: { "x-key": secret },
          responseBody: `{"key":${JSON.stringify(secret)}}`,
        },
      })
    },
  })

class Declined extends Schema.TaggedError<Declined>()("Declined", { reason: Schema.String, code: Schema.String }) {}

const encodings = (secret: string) => {
  const bytes = Buffer.from(secret)
  return {
    json: JSON.stringify({ nested: JSON.stringify({ secret }) }),
    url: encodeURIComponent(secret),
    base64: bytes.toString("base64"),
    shifted: Buffer.from(`u:${secret}`).toString("base64"),
    hex: bytes.toString("hex"),
  }
}

/** A cause chain with the secret in every field and spelling. */
const chain = (secret: string): Error => {
  const { json, url, base64, shifted, hex } = encodings(secret)
  const inner = Object.assign(new Error(`inner ${url} ${shifted}`, { cause: { secret, [secret]: base64 } }), { code: secret })
  inner.name = `Error ${secret}`
  inner.stack = `${inner.stack}\n    at ${secret} (file.ts:1:1)`
  return new Error(`outer ${secret} ${json}`, { cause: new AggregateError([inner, new Error(hex)], base64) })
}

/** A long message, in which the cut goes through the secret. */
const cut = (secret: string): string => {
  const at = 8192 - 2048 - Math.floor(secret.length / 2)
  return `${"a".repeat(at)}${secret}${"b".repeat(9000)}`
}

const names = { leaky: "leaky", child: "leaky-child" }

/** A workflow with a failure of each kind, all of which it survives, and an approval and a signal in between. */
export const leaky = (secret: string, shown: Shown = { prompts: [] }) => {
  const printing = defineTool({
    name: "prints",
    description: "Prints.",
    input: Schema.Struct({ secret: Schema.String }),
    execute: () => Effect.succeed({ ...encodings(secret), text: `it is ${secret}`, [secret]: true }),
  })
  const throwing = defineTool({
    name: "throws",
    description: "Throws.",
    input: Schema.Struct({ secret: Schema.String }),
    execute: (): Effect.Effect<string, Error> => Effect.fail(chain(secret)),
  })
  const hiding = defineTool({
    name: "hides",
    description: "Prints much.",
    input: Schema.Struct({ secret: Schema.String }),
    execute: () => Effect.succeed(`${"x".repeat(40_000 - Math.floor(secret.length / 2))}${secret}${"y".repeat(5000)}`),
  })
  const tools = { prints: printing, throws: throwing, hides: hiding }
  const agent = (name: string, stream: boolean) =>
    createAgent({ name, model: modelOf(secret, shown), tools, instructions: `Never tell ${secret}.`, stream })
  const child = Smithers.createWorkflow({ name: names.child, input: Schema.Struct({}) }).build(($) =>
    $.step("in", { output: Schema.String, retry: false, run: () => Effect.fail(chain(secret)) }),
  )
  const failing = { output: Schema.String, continueOnFail: true, retry: false } as const
  return Smithers.createWorkflow({ name: names.leaky, input: Schema.Struct({}) }).build(($) =>
    $.sequence(
      $.step("chain", {
        ...failing,
        retry: { maxAttempts: 2, initialDelay: 0 },
        run: () => Effect.fail(chain(secret)),
      }),
      $.step("rejects", { ...failing, run: async (): Promise<string> => await Promise.reject(chain(secret)) }),
      $.step("dies", { ...failing, run: () => Effect.die(chain(secret)) }),
      $.step("text", { ...failing, run: () => Effect.fail(secret) }),
      $.step("object", { ...failing, run: () => Effect.fail({ [secret]: [secret] }) }),
      $.step("cut", { ...failing, run: () => Effect.fail(new Error(cut(secret))) }),
      $.step("parallel", {
        ...failing,
        run: () => Effect.as(Effect.all([Effect.fail(chain(secret)), Effect.die(secret)], { concurrency: "unbounded" }), ""),
      }),
      $.step("declared", {
        ...failing,
        error: Declined,
        run: () => Effect.fail(new Declined({ reason: secret, code: encodings(secret).base64 })),
      }),
      $.step("slow", {
        ...failing,
        timeout: "700 millis",
        run: ({ heartbeat }) => {
          heartbeat({ [secret]: encodings(secret) })
          return Effect.never
        },
      }),
      $.step("telemetry", {
        output: Schema.Void,
        run: () =>
          Effect.gen(function* () {
            const log = [
              Effect.log(`plain ${secret}`, { secret }, [encodings(secret)], new Map([[secret, secret]])),
              Effect.logWarning("an error", chain(secret)),
              Effect.logError("a cause", yield* Effect.cause(Effect.fail(chain(secret)))),
            ]
            yield* Effect.all(log).pipe(Effect.annotateLogs({ key: secret, [secret]: 1 }), Effect.withLogSpan(secret))
            yield* Effect.annotateCurrentSpan({ [secret]: secret, encoded: encodings(secret).base64 })
            const span = yield* Effect.currentSpan
            span.event(secret, 0n, { secret })
            yield* Effect.fail(chain(secret)).pipe(Effect.withSpan(`span ${secret}`, { attributes: { secret } }), Effect.ignore)
          }).pipe(
            Effect.withSpan("own"),
            Effect.catchAll(() => Effect.void),
          ),
      }),
      $.step("agent", { ...failing, agent: agent("plain", false), prompt: () => `Use ${secret}.` }),
      $.step("streaming", { ...failing, agent: agent("streaming", true), prompt: () => `Use ${secret}.` }),
      $.step("refused", {
        ...failing,
        agent: createAgent({ name: "refused", model: refusing(secret) }),
        prompt: () => `Use ${secret}.`,
      }),
      $.tryCatch({
        try: $.subflow("sub", { workflow: child, input: {} }),
        catch: () => "caught",
      }),
      $.approval("ok", { request: { title: `May ${secret} be used?`, summary: encodings(secret).shifted } }),
      $.signal("go", { name: "go", payload: Schema.Struct({ n: Schema.Number }) }),
      $.step("returns", { ...failing, output: Schema.Unknown, run: () => ({ auth: { keys: [`Bearer ${secret}`] } }) }),
      $.step("end", { output: Schema.String, run: () => "done" }),
    ),
  )
}
