/** Errors of providers, as they come from the real clients of the AI SDK: from a provider on the loopback, plain and as streams. */
import { Database } from "bun:sqlite"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import { createAnthropic } from "@ai-sdk/anthropic"
import { createOpenAI } from "@ai-sdk/openai"
import { describe, expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import { createAgent } from "@smithers/agents/createAgent"
import type { AnyAgent } from "@smithers/core/Agent"

import * as Codec from "@smithers/core/Codec"
import type { AgentFailed } from "@smithers/core/Errors"
import { type LanguageModel, streamText, ToolLoopAgent } from "ai"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import { createSmithers, Smithers } from "smithers-orchestrator"
import * as FakeProvider from "../providers/FakeProvider.ts"
import { refuses, says } from "../providers/FakeProvider.ts"
import * as Journals from "./Journals.ts"

const secret = 'the-words-of-the-prompt-with-"quotes"'

const headers = { "retry-after": "7", "retry-after-ms": "6500" }

/** What the provider does is the first word of the prompt. */
const script: FakeProvider.Script = ({ user }) => {
  const [word = ""] = user.split(" ")
  const kind = (["drop", "malformed", "error", "end"] as const).find((kind) => kind === word)
  if (kind !== undefined)
    return says("a reply that comes in several pieces, of which not all arrive", { fault: { kind, after: 4 } })
  if (word === "date") return refuses(429, { headers: { "retry-after": new Date(Date.now() + 60_000).toUTCString() } })
  if (word === "400") return refuses(400, { message: "prompt is too long: 250000 tokens > 200000 maximum" })
  if (word === "echo") return refuses(400, { message: `cannot be read: ${user}` })
  if (word === "page") return refuses(200, { body: "<html>the page of a proxy</html>" })
  return refuses(Number(word), { headers })
}

const clients: { readonly [name: string]: (provider: FakeProvider.FakeProvider) => LanguageModel } = {
  anthropic: ({ v1 }) => createAnthropic({ baseURL: v1, apiKey: "test-key" })("claude-sonnet-4-5"),
  openai: ({ v1 }) => createOpenAI({ baseURL: v1, apiKey: "test-key" })("gpt-5"),
}

/** Agents by the ways in which the SDK answers. */
const agents: { readonly [name: string]: (model: LanguageModel) => AnyAgent } = {
  "an agent of createAgent": (model) => createAgent({ name: "a", model }),
  "an agent of the SDK": (model) => new ToolLoopAgent({ id: "a", model, maxRetries: 0 }),
  "an agent that streams": (model) => ({
    name: "a",
    generate: async ({ prompt, abortSignal }) => {
      const result = streamText({
        ...{ model, prompt, maxRetries: 0, onError: () => undefined },
        ...(abortSignal === undefined ? {} : { abortSignal }),
      })
      return { text: await result.text, finishReason: await result.finishReason }
    },
  }),
}

const context = { input: {}, runId: "r", stepId: "s", iteration: 0, attempt: 1, idempotencyKey: "r:s:0" }

const asked = (agent: AnyAgent, prompt: string) =>
  AgentProgram.run({
    ...{ agents: [agent], prompt: `${prompt} ${secret}`, output: Codec.make(Schema.String), isText: true, context },
    ...{ journal: Journals.make(), signal: new AbortController().signal, feedback: [], corrections: 2, onTurn: () => undefined },
  })

type Expected = Partial<Pick<AgentFailed, "status" | "retryable" | "retryAfterMs">> & { readonly reason: unknown }

const limited = { retryable: true, retryAfterMs: 6500 }

const cases: ReadonlyArray<readonly [what: string, expected: Expected]> = [
  ["429", { ...limited, status: 429, reason: "refused with 429" }],
  ["529", { ...limited, status: 529, reason: "refused with 529" }],
  ["500", { ...limited, status: 500, reason: "refused with 500" }],
  ["401", { status: 401, retryable: false, reason: "refused with 401" }],
  ["400", { status: 400, retryable: false, reason: "prompt is too long: 250000 tokens > 200000 maximum" }],
  ["drop", { retryable: true, reason: expect.any(String) }],
]

for (const [provider, client] of Object.entries(clients))
  for (const [name, make] of Object.entries(agents))
    describe(`${name}, with the client of ${provider},`, () => {
      it.scoped.each(cases)("fails after %s as the provider says, having asked once", ([what, expected]) =>
        Effect.gen(function* () {
          const fake = yield* FakeProvider.serve(script)
          const failed = yield* Effect.flip(asked(make(client(fake)), what))
          expect(failed).toMatchObject({ _tag: "AgentFailed", agent: "a", ...expected })
          expect(fake.requests.length).toBe(1)
        }),
      )

      it.scopedLive("takes a date for the time to wait until", () =>
        Effect.gen(function* () {
          const failed = yield* Effect.flip(asked(make(client(yield* FakeProvider.serve(script))), "date"))
          expect(failed).toMatchObject({ status: 429, retryable: true })
          expect(failed).toSatisfy(({ retryAfterMs = 0 }: AgentFailed) => retryAfterMs > 40_000 && retryAfterMs <= 60_000)
        }),
      )

      it.scoped("hides what it was asked in its errors, also where the provider repeats it", () =>
        Effect.gen(function* () {
          const fake = yield* FakeProvider.serve(script)
          for (const what of ["401", "echo", "drop"]) {
            const failed = yield* Effect.flip(asked(make(client(fake)), what))
            expect(fake.requests.at(-1)?.user).toContain(secret)
            for (const shown of [inspect(failed, { depth: 20 }), Bun.inspect(failed, { depth: 20 }), JSON.stringify(failed)])
              expect(shown).not.toContain("the-words-of-the-prompt")
            expect(Cause.pretty(Cause.fail(failed), { renderErrorCause: true })).not.toContain("the-words-of-the-prompt")
          }
        }),
      )
    })

describe("an answer that cannot be read", () => {
  for (const [provider, client] of Object.entries(clients)) {
    it.scoped.each(["page", "malformed", "end"])(`is worth another attempt, with the client of ${provider}: %s`, (what) =>
      Effect.gen(function* () {
        const fake = yield* FakeProvider.serve(script)
        const failed = yield* Effect.flip(asked(createAgent({ name: "a", model: client(fake) }), what))
        expect(failed).toMatchObject({ _tag: "AgentFailed", retryable: true })
      }),
    )

    it.scoped.each(["error", "end"])(`is no output where a stream breaks off, with the client of ${provider}: %s`, (what) =>
      Effect.gen(function* () {
        const fake = yield* FakeProvider.serve(script)
        const agent = agents["an agent that streams"]?.(client(fake))
        const failed = agent === undefined ? undefined : yield* Effect.flip(asked(agent, what))
        expect(failed).toMatchObject({
          _tag: "AgentFailed",
          retryable: true,
          reason: expect.stringMatching(/^the reply (ended|broke)/),
        })
      }),
    )
  }
})

const flowOf = (name: string, agent: AnyAgent, prompt: string, retries: number) => {
  const { Workflow, Task, smithers } = createSmithers({})
  return smithers(() => (
    <Workflow name={name}>
      <Task id="ask" agent={agent} retries={retries}>
        {prompt}
      </Task>
    </Workflow>
  ))
}

describe("a step whose provider is at its limit", () => {
  it.scopedLive("waits as long as it is told in the durable retry, and asks each time once", () =>
    Effect.gen(function* () {
      const times: Array<number> = []
      const fake = yield* FakeProvider.serve(({ seen }) => {
        times.push(performance.now())
        return seen < 2 ? refuses(429, { headers: { "retry-after-ms": "400" } }) : says("done")
      })
      const agent = createAgent({ name: "a", model: createAnthropic({ baseURL: fake.v1, apiKey: "k" })("claude-sonnet-4-5") })
      const flow = flowOf("limited", agent, "go", 5)
      expect(yield* Effect.provide(flow.execute({}), Smithers.memory)).toBe("done")
      expect(times.length).toBe(3)
      for (const [index, time] of times.entries()) if (index > 0) expect(time - (times[index - 1] ?? 0)).toBeGreaterThan(390)
    }),
  )

  it.scopedLive("keeps no word of the prompt in the stored error or the logs", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "provider-error-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
      )
      const filename = join(folder, "runs.db")
      // The transcript of the step has it as a text of its own.
      const prompt = `echo ${secret}`
      const fake = yield* FakeProvider.serve(script)
      const agent = createAgent({ name: "a", model: createOpenAI({ baseURL: fake.v1, apiKey: "k" })("gpt-5") })
      const flow = flowOf("refused", agent, prompt, 0)
      const logged: Array<string> = []
      const loggers = [Logger.structuredLogger, Logger.prettyLogger(), Logger.stringLogger].map((logger) =>
        Logger.map(logger, (shown) => void logged.push(inspect(shown, { depth: 20 }))),
      )
      const log = console.log
      console.log = (...shown) => void logged.push(Bun.inspect(shown, { depth: 20 }))
      const exit = yield* flow.execute({}).pipe(
        Effect.tapErrorCause((cause) => Effect.logError("the run failed", cause)),
        Effect.exit,
        Effect.provide(Layer.mergeAll(Smithers.sqlite({ filename }), ...loggers.map((logger) => Logger.add(logger)))),
        Effect.ensuring(
          Effect.sync(() => {
            console.log = log
          }),
        ),
      )
      expect(Exit.isFailure(exit)).toBe(true)
      expect(logged.join("\n")).toContain("cannot be read")
      expect(logged.join("\n")).not.toContain("the-words-of-the-prompt")
      const db = new Database(filename, { readonly: true })
      const tables = db.query<{ name: string }, []>("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
      const kept = tables.flatMap(({ name }) =>
        db
          .query<Record<string, unknown>, []>(`SELECT * FROM "${name}"`)
          .all()
          .flatMap((row) =>
            Object.entries(row).flatMap(([column, value]) =>
              String(value).includes("the-words-of") && value !== prompt ? `${name}.${column}` : [],
            ),
          ),
      )
      db.close()
      expect([...new Set(kept)]).toEqual([])
    }),
  )
})
