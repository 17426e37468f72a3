import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import { createAgent } from "@smithers/agents/createAgent"
import { defineTool } from "@smithers/agents/defineTool"
import { edit, read, write } from "@smithers/agents/tools"
import type { AnyAgent } from "@smithers/core/Agent"
import type { AttemptDecision } from "@smithers/core/AgentJournal"
import { AttemptSuspended } from "@smithers/core/AgentJournal"
import * as Codec from "@smithers/core/Codec"
import { NonRetryable } from "@smithers/core/Errors"
import { ToolLoopAgent, type ToolSet, tool } from "ai"
import { MockLanguageModelV4, simulateReadableStream } from "ai/test"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { Smithers } from "smithers-orchestrator"
import * as z from "zod"
import * as Journals from "./Journals.ts"

type StreamPart = Awaited<ReturnType<MockLanguageModelV4["doStream"]>>["stream"] extends ReadableStream<infer P> ? P : never
type Content = Awaited<ReturnType<MockLanguageModelV4["doGenerate"]>>["content"]

const usage = {
  inputTokens: { total: 10, noCache: 10, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 5, text: 5, reasoning: undefined },
}
const text = (said: string): Content => [{ type: "text", text: said }]
let ids = 0
const call = (toolName: string, input: unknown, toolCallId = `call-${++ids}`): Content[number] => ({
  type: "tool-call",
  toolCallId,
  toolName,
  input: JSON.stringify(input),
})

/** A model that answers by the number of tool results it is shown, so that it does not matter which process asks. */
const modelOf = (...answers: ReadonlyArray<Content>) => {
  const answer = (prompt: MockLanguageModelV4["doGenerateCalls"][number]["prompt"]): Content =>
    answers[prompt.filter(({ role }) => role === "tool").length] ?? text("no answer")
  const reason = (content: Content) => ({
    unified: content.some(({ type }) => type === "tool-call") ? ("tool-calls" as const) : ("stop" as const),
    raw: undefined,
  })
  return new MockLanguageModelV4({
    modelId: "mock-1",
    doGenerate: async ({ prompt }) => {
      const content = answer(prompt)
      return {
        content,
        finishReason: reason(content),
        usage,
        warnings: [],
        response: { timestamp: new Date(0), modelId: "mock-1" },
      }
    },
    doStream: async ({ prompt }) => {
      const content = answer(prompt)
      const parts = content.flatMap(
        (part, index): ReadonlyArray<StreamPart> =>
          part.type === "text"
            ? [
                { type: "text-start" as const, id: `${index}` },
                ...[...part.text].map((delta) => ({ type: "text-delta" as const, id: `${index}`, delta })),
                { type: "text-end" as const, id: `${index}` },
              ]
            : [part as StreamPart],
      )
      const finish = { type: "finish" as const, finishReason: reason(content), usage }
      return {
        stream: simulateReadableStream({
          chunks: [{ type: "stream-start", warnings: [] }, ...parts, finish] satisfies ReadonlyArray<StreamPart>,
        }),
      }
    },
  })
}

const context = { input: {}, runId: "r", stepId: "s", iteration: 0, idempotencyKey: "r:s:0" }

interface Given {
  readonly stored: Journals.Stored
  readonly attempt?: number
  readonly decision?: AttemptDecision
  readonly prompt?: string
  readonly root?: string
  readonly signal?: AbortSignal
}

const attemptOf = (agents: ReadonlyArray<AnyAgent>, { stored, attempt = 1, decision, root, prompt = "Do it.", signal }: Given) =>
  AgentProgram.run(
    {
      agents,
      prompt,
      output: Codec.make(Schema.String),
      isText: true,
      corrections: 0,
      graceMs: 20,
      context: { ...context, attempt },
      signal: signal ?? new AbortController().signal,
      journal: Journals.make(stored, attempt, decision),
      feedback: [],
      onTurn: () => {},
    },
    root === undefined ? {} : { rights: { root } },
  )

/** Runs an attempt until a tool hangs, and ends it as a crash would: nothing more is stored. */
const crash = (agents: ReadonlyArray<AnyAgent>, given: Given, until: () => boolean) =>
  Effect.gen(function* () {
    const controller = new AbortController()
    const fiber = yield* Effect.fork(attemptOf(agents, { ...given, signal: controller.signal }))
    yield* Effect.promise(async () => {
      for (let looks = 0; !until(); looks++) {
        if (looks > 2000) throw new Error("the attempt did not get there")
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    })
    const interrupted = yield* Effect.fork(Fiber.interrupt(fiber))
    controller.abort()
    yield* Fiber.join(interrupted)
  })

const never = new Promise<never>(() => {})

/** Tools that count their calls; the second call of the process hangs while `isHung`. */
const counting = () => {
  const state = { one: 0, two: 0, isHung: true }
  const tools = {
    one: tool({
      description: "One",
      inputSchema: z.object({ n: z.number() }),
      execute: async ({ n }) => `one ${n}: ${++state.one}`,
    }),
    two: tool({
      description: "Two",
      inputSchema: z.object({ n: z.number() }),
      execute: async ({ n }) => {
        state.two++
        return state.isHung ? await never : `two ${n}: ${state.two}`
      },
    }),
  } satisfies ToolSet
  return { state, tools }
}

/** Kinds of agents of the AI SDK. */
const kinds = (model: MockLanguageModelV4, tools: ToolSet): ReadonlyArray<readonly [kind: string, agent: AnyAgent]> => [
  ["createAgent", createAgent({ name: "worker", model, tools, instructions: "Be brief." })],
  ["ToolLoopAgent", new ToolLoopAgent({ id: "worker", model, tools, instructions: "Be brief." })],
  ["a streaming agent", createAgent({ name: "worker", model, tools, instructions: "Be brief.", stream: true })],
]

describe("a conversation that a crash cuts off", () => {
  for (const index of [0, 1, 2]) {
    const [kind] = kinds(modelOf(), {})[index] ?? [""]
    it.live(`costs no reply of the model and no finished tool call twice (${kind})`, () =>
      Effect.gen(function* () {
        const model = modelOf([call("one", { n: 1 })], [call("two", { n: 2 })], text("done"))
        const { state, tools } = counting()
        const [, agent] = kinds(model, tools)[index] ?? []
        if (agent === undefined) return
        const stored = Journals.empty()
        yield* crash([agent], { stored }, () => state.two === 1)
        const asked = () => model.doGenerateCalls.length + model.doStreamCalls.length
        expect(asked()).toBe(2)
        state.isHung = false
        expect(yield* attemptOf([agent], { stored, attempt: 2 })).toBe("done")
        expect(asked()).toBe(3)
        expect(state).toMatchObject({ one: 1, two: 1 })
        const last = [...model.doGenerateCalls, ...model.doStreamCalls].at(-1)?.prompt.at(-1)
        expect(JSON.stringify(last)).toContain("The outcome of this call is not known")
        expect([...stored.calls.values()].map(({ tool, status }) => [tool, status])).toEqual([
          ["one", "finished"],
          ["two", "unknown"],
        ])
      }),
    )
  }

  it.live("runs again only the call without an outcome, of several made at once", () =>
    Effect.gen(function* () {
      const model = modelOf([call("one", { n: 1 }), call("two", { n: 2 }), call("one", { n: 3 })], text("done"))
      const { state, tools } = counting()
      const two = defineTool({
        description: "Two",
        input: Schema.Struct({ n: Schema.Number }),
        afterCrash: "rerun",
        execute: ({ n }) => {
          state.two++
          return state.isHung ? never : `two ${n}: ${state.two}`
        },
      })
      const agent = createAgent({ name: "worker", model, tools: { ...tools, two } })
      const stored = Journals.empty()
      const outcomes = () => [...stored.calls.values()].filter(({ status }) => status === "finished").length
      yield* crash([agent], { stored }, () => state.two === 1 && outcomes() === 2)
      state.isHung = false
      expect(yield* attemptOf([agent], { stored, attempt: 2 })).toBe("done")
      expect(state).toMatchObject({ one: 2, two: 2 })
      expect(model.doGenerateCalls.length).toBe(2)
    }),
  )

  it.live("tells calls with equal ids apart", () =>
    Effect.gen(function* () {
      const model = modelOf(
        [call("one", { n: 1 }, "same"), call("one", { n: 2 }, "same")],
        [call("two", { n: 3 }, "same")],
        text("done"),
      )
      const { state, tools } = counting()
      const agent = createAgent({ name: "worker", model, tools })
      const stored = Journals.empty()
      yield* crash([agent], { stored }, () => state.two === 1)
      state.isHung = false
      expect(yield* attemptOf([agent], { stored, attempt: 2 })).toBe("done")
      expect(state.one).toBe(2)
      expect([...stored.calls.values()].map(({ ordinal, index }) => [ordinal, index])).toEqual([
        [1, 0],
        [1, 1],
        [2, 0],
      ])
    }),
  )

  it.live("asks a probe of the tool, and takes what it finds for the outcome", () =>
    Effect.gen(function* () {
      const model = modelOf([call("pay", { n: 1 })], text("done"))
      let [paid, isHung] = [0, true]
      const pay = defineTool({
        description: "Pays",
        input: Schema.Struct({ n: Schema.Number }),
        afterCrash: () => ({ output: "receipt 1" }),
        execute: () => {
          paid++
          return isHung ? never : "receipt 2"
        },
      })
      const agent = createAgent({ name: "payer", model, tools: { pay } })
      const stored = Journals.empty()
      yield* crash([agent], { stored }, () => paid === 1)
      isHung = false
      expect(yield* attemptOf([agent], { stored, attempt: 2 })).toBe("done")
      expect(paid).toBe(1)
      expect(JSON.stringify(model.doGenerateCalls.at(-1)?.prompt)).toContain("receipt 1")
    }),
  )

  it.live("lets a person decide about a call without an outcome, where the tool says so", () =>
    Effect.gen(function* () {
      const model = modelOf([call("pay", { n: 1 })], text("done"))
      let [paid, isHung] = [0, true]
      const pay = defineTool({
        description: "Pays",
        input: Schema.Struct({ n: Schema.Number }),
        afterCrash: "ask",
        execute: () => {
          paid++
          return isHung ? never : `receipt ${paid}`
        },
      })
      const agent = createAgent({ name: "payer", model, tools: { pay } })
      const stored = Journals.empty()
      yield* crash([agent], { stored }, () => paid === 1)
      isHung = false
      const asked = yield* Effect.flip(attemptOf([agent], { stored, attempt: 2 }))
      if (!(asked instanceof AttemptSuspended) || asked.request.kind !== "approval") throw new Error(`not suspended: ${asked}`)
      expect(asked.request.request.title).toBe("The outcome of pay is not known after a crash. Call it again?")
      const decision = { digest: asked.request.digest, approved: true, isTimeout: false }
      expect(yield* attemptOf([agent], { stored, attempt: 3, decision })).toBe("done")
      expect(paid).toBe(2)
    }),
  )

  it.live("takes a model of a provider's package for an agent, and records its reply", () =>
    Effect.gen(function* () {
      const model = modelOf(text("from the model"))
      const stored = Journals.empty()
      expect(yield* attemptOf([model], { stored })).toBe("from the model")
      expect(yield* attemptOf([model], { stored, attempt: 2 })).toBe("from the model")
      expect(model.doGenerateCalls.length).toBe(1)
      expect([...stored.conversations.values()].map(({ agent }) => agent)).toEqual(["mock-1"])
    }),
  )

  it.live("answers a plain agent's call from its stored reply", () =>
    Effect.gen(function* () {
      let asked = 0
      const agent = { name: "plain", generate: async () => ({ text: `reply ${++asked}` }) }
      const stored = Journals.empty()
      expect(yield* attemptOf([agent], { stored })).toBe("reply 1")
      expect(yield* attemptOf([agent], { stored, attempt: 2 })).toBe("reply 1")
      expect(asked).toBe(1)
    }),
  )

  it.live("passes on to the next agent at once, where the first had failed before the crash", () =>
    Effect.gen(function* () {
      let [failures, isHung, replies] = [0, true, 0]
      const first = {
        name: "first",
        generate: () => {
          failures++
          return Promise.reject(Object.assign(new Error("overloaded"), { statusCode: 529, isRetryable: true }))
        },
      }
      const second = {
        name: "second",
        generate: async () => {
          replies++
          return isHung ? await never : { text: "from the second" }
        },
      }
      const stored = Journals.empty()
      yield* crash([first, second], { stored }, () => replies === 1)
      isHung = false
      expect(yield* attemptOf([first, second], { stored, attempt: 2 })).toBe("from the second")
      expect([failures, replies]).toEqual([1, 2])
    }),
  )
})

describe("a conversation whose request has changed", () => {
  it.live("begins again, and is told of the calls whose effects may stand", () =>
    Effect.gen(function* () {
      const model = modelOf([call("one", { n: 1 })], [call("two", { n: 2 })], text("done"))
      const { state, tools } = counting()
      const stored = Journals.empty()
      const agent = (instructions: string) => createAgent({ name: "worker", model, tools, instructions })
      yield* crash([agent("Be brief.")], { stored }, () => state.two === 1)
      state.isHung = false
      expect(yield* attemptOf([agent("Be long.")], { stored, attempt: 2 })).toBe("done")
      expect(state).toMatchObject({ one: 2, two: 2 })
      const asked = JSON.stringify(model.doGenerateCalls[2]?.prompt)
      expect(asked).toContain('one({\\"n\\":1}): it took place')
      expect(asked).toContain('two({\\"n\\":2}): its outcome is not known')
      expect([...stored.conversations.values()].map(({ status }) => status)).toEqual(["superseded", "finished"])
    }),
  )

  it.live("keeps telling the model of those calls, also after another crash", () =>
    Effect.gen(function* () {
      const model = modelOf([call("one", { n: 1 })], [call("two", { n: 2 })], text("done"))
      const { state, tools } = counting()
      const stored = Journals.empty()
      const agent = createAgent({ name: "worker", model, tools })
      yield* crash([agent], { stored, prompt: "Do it." }, () => state.two === 1)
      yield* crash([agent], { stored, prompt: "Do it well.", attempt: 2 }, () => state.two === 2)
      state.isHung = false
      expect(yield* attemptOf([agent], { stored, prompt: "Do it well.", attempt: 3 })).toBe("done")
      expect(state).toMatchObject({ one: 2, two: 2 })
      expect(JSON.stringify(model.doGenerateCalls.at(-1)?.prompt)).toContain(
        "An earlier conversation about this task was broken off",
      )
    }),
  )

  it.live("begins again only if a person allows it, where a tool says so", () =>
    Effect.gen(function* () {
      const model = modelOf([call("pay", { n: 1 })], text("done"))
      const pay = defineTool({
        description: "Pays",
        input: Schema.Struct({ n: Schema.Number }),
        afterCrash: "ask",
        execute: () => "receipt",
      })
      const agent = createAgent({ name: "payer", model, tools: { pay } })
      const stored = Journals.empty()
      yield* attemptOf([agent], { stored })
      const asked = yield* Effect.flip(attemptOf([agent], { stored, attempt: 2, prompt: "Pay less." }))
      if (!(asked instanceof AttemptSuspended) || asked.request.kind !== "approval") throw new Error(`not suspended: ${asked}`)
      const { digest } = asked.request
      const denied = yield* Effect.flip(
        attemptOf([agent], {
          stored,
          attempt: 3,
          prompt: "Pay less.",
          decision: { digest, approved: false, isTimeout: false, note: "no" },
        }),
      )
      expect(denied).toBeInstanceOf(NonRetryable)
      expect(denied.message).toBe("the conversation was not begun again Note: no")
    }),
  )
})

describe("a conversation about a workspace", () => {
  const git = (root: string, ...args: ReadonlyArray<string>) =>
    execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], { cwd: root, stdio: "pipe" }).toString()
  const workTree = () => {
    const root = mkdtempSync(join(tmpdir(), "smithers-tree-"))
    git(root, "init", "-q")
    writeFileSync(join(root, "a.txt"), "one\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    return root
  }
  const answers = () => [
    [call("read", { path: "a.txt" })],
    [call("edit", { path: "a.txt", edits: [{ old: "one", new: "two" }] })],
    [call("two", { n: 1 })],
    text("done"),
  ]
  const agentOf = (model: MockLanguageModelV4, tools: ToolSet) =>
    createAgent({ name: "worker", model, tools: { read, edit, write, ...tools } })

  it.live("goes on where the files are as it left them, and may edit what it had read before the crash", () =>
    Effect.gen(function* () {
      const root = workTree()
      const model = modelOf(...answers().slice(0, 1), [call("two", { n: 1 })], ...answers().slice(1, 2), text("done"))
      const { state, tools } = counting()
      const stored = Journals.empty()
      yield* crash([agentOf(model, tools)], { stored, root }, () => state.two === 1)
      state.isHung = false
      expect(yield* attemptOf([agentOf(model, tools)], { stored, root, attempt: 2 })).toBe("done")
      expect(readFileSync(join(root, "a.txt"), "utf8")).toBe("two\n")
      expect(model.doGenerateCalls.length).toBe(4)
    }),
  )

  for (const [how, change] of [
    [
      "was made again at the same path",
      (root: string) => {
        const bundle = join(root, "..", `${Date.now()}.bundle`)
        git(root, "bundle", "create", "-q", bundle, "HEAD")
        rmSync(root, { recursive: true })
        execFileSync("git", ["-c", "advice.detachedHead=false", "clone", "-q", bundle, root], { stdio: "pipe" })
      },
    ],
    ["was reset", (root: string) => git(root, "checkout", "-q", "--", ".")],
    ["was edited by someone else", (root: string) => writeFileSync(join(root, "b.txt"), "new\n")],
  ] as const) {
    it.live(`begins again where the work tree ${how}`, () =>
      Effect.gen(function* () {
        const root = workTree()
        const model = modelOf(...answers())
        const { state, tools } = counting()
        const stored = Journals.empty()
        const agent = agentOf(model, {
          ...tools,
          two: defineTool({
            description: "Two",
            input: Schema.Struct({ n: Schema.Number }),
            isReadOnly: how === "was edited by someone else",
            execute: () => {
              state.two++
              return state.isHung ? never : "two"
            },
          }),
        })
        yield* crash([agent], { stored, root }, () => state.two === 1)
        expect(readFileSync(join(root, "a.txt"), "utf8")).toBe("two\n")
        change(root)
        state.isHung = false
        yield* Effect.exit(attemptOf([agent], { stored, root, attempt: 2 }))
        expect([...stored.conversations.values()].map(({ status }) => status)).toEqual(["superseded", "finished"])
        expect(JSON.stringify(model.doGenerateCalls[3]?.prompt)).toContain("edit(")
      }),
    )
  }
})

describe("the approval of a tool call", () => {
  const sending = () => {
    const sent: Array<string> = []
    const send = defineTool({
      description: "Sends",
      input: Schema.Struct({ to: Schema.String }),
      needsApproval: ({ input }) => (input.to.endsWith("@acme.com") ? false : { title: `Send to ${input.to}?` }),
      execute: ({ to }) => {
        sent.push(to)
        return "sent"
      },
    })
    return { sent, send }
  }

  it.live("suspends the attempt, is bound to the arguments, and lets the next one make the call", () =>
    Effect.gen(function* () {
      const { sent, send } = sending()
      const model = modelOf([call("send", { to: "a@acme.com" }), call("send", { to: "b@other.com" })], text("done"))
      const agent = createAgent({ name: "mailer", model, tools: { send } })
      const stored = Journals.empty()
      const asked = yield* Effect.flip(attemptOf([agent], { stored }))
      if (!(asked instanceof AttemptSuspended) || asked.request.kind !== "approval") throw new Error(`not suspended: ${asked}`)
      expect(asked.request.request).toMatchObject({ title: "Send to b@other.com?", tool: "send", input: { to: "b@other.com" } })
      expect(sent).toEqual(["a@acme.com"])
      const decision = { digest: asked.request.digest, approved: true, isTimeout: false, by: "ann" }
      expect(yield* attemptOf([agent], { stored, attempt: 2, decision })).toBe("done")
      expect(sent).toEqual(["a@acme.com", "b@other.com"])
      expect(model.doGenerateCalls.length).toBe(2)
      expect([...stored.calls.values()].at(-1)).toMatchObject({ status: "finished", by: "ann" })
    }),
  )

  it.live("is bound to arguments that are no JSON, such as dates", () =>
    Effect.gen(function* () {
      const send = tool({
        description: "Sends",
        inputSchema: z.object({ to: z.string(), at: z.string().transform((text) => new Date(text)) }),
        needsApproval: true,
        execute: async () => "sent",
      })
      const digestOf = (to: string, at: string) =>
        Effect.gen(function* () {
          const agent = createAgent({ name: "mailer", model: modelOf([call("send", { to, at })], text("done")), tools: { send } })
          const asked = yield* Effect.flip(attemptOf([agent], { stored: Journals.empty() }))
          if (!(asked instanceof AttemptSuspended) || asked.request.kind !== "approval") throw new Error(`not suspended: ${asked}`)
          return asked.request.digest
        })
      const digests = [
        yield* digestOf("ann", "2026-01-01"),
        yield* digestOf("bob", "2026-01-01"),
        yield* digestOf("ann", "2026-01-02"),
      ]
      expect(new Set(digests).size).toBe(3)
      expect(yield* digestOf("ann", "2026-01-01")).toBe(digests[0])
    }),
  )

  it.live("counts for one call: an equal one after it is asked for again", () =>
    Effect.gen(function* () {
      const { sent, send } = sending()
      const model = modelOf([call("send", { to: "b@other.com" })], [call("send", { to: "b@other.com" })], text("done"))
      const agent = createAgent({ name: "mailer", model, tools: { send } })
      const stored = Journals.empty()
      const asked = yield* Effect.flip(attemptOf([agent], { stored }))
      if (!(asked instanceof AttemptSuspended) || asked.request.kind !== "approval") throw new Error(`not suspended: ${asked}`)
      const decision = { digest: asked.request.digest, approved: true, isTimeout: false }
      const second = yield* Effect.either(attemptOf([agent], { stored, attempt: 2, decision }))
      expect(Either.isLeft(second) && second.left instanceof AttemptSuspended).toBe(true)
      expect(sent).toEqual(["b@other.com"])
      // A crash in between does not make the first decision count for the second call.
      const third = yield* Effect.either(attemptOf([agent], { stored, attempt: 3 }))
      expect(Either.isLeft(third)).toBe(true)
      expect(yield* attemptOf([agent], { stored, attempt: 4, decision })).toBe("done")
      expect(sent.length).toBe(2)
    }),
  )

  for (const [onTimeout, status, sentTo] of [
    [undefined, "finished", []],
    ["deny", "finished", []],
    ["approve", "finished", ["b@other.com"]],
    ["fail", "failed", []],
  ] as const)
    it.live(`that nobody gives in time has a default: ${onTimeout ?? "to deny it"}`, () =>
      Effect.gen(function* () {
        const sent: Array<string> = []
        const send = defineTool({
          description: "Sends",
          input: Schema.Struct({ to: Schema.String }),
          needsApproval: () => ({ timeout: "1 second", ...(onTimeout === undefined ? {} : { onTimeout }) }),
          execute: ({ to }) => sent.push(to),
        })
        const model = modelOf([call("send", { to: "b@other.com" })], text("done"))
        const agent = createAgent({ name: "mailer", model, tools: { send } })
        const letters = Smithers.createWorkflow({ name: "letters", input: Schema.Struct({}) }).build(($) =>
          $.step("write", { output: Schema.String, agent, prompt: "Write.", retry: { maxAttempts: 1 } }),
        )
        yield* Effect.gen(function* () {
          expect(yield* letters.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
          // Before its time it waits on.
          expect(yield* letters.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
          expect(sent).toEqual([])
          yield* Effect.sleep("1200 millis")
          const result = yield* letters.run({}, { runId: "r" })
          expect([result.status, sent]).toEqual([status, sentTo])
          if (status === "failed") expect(JSON.stringify(result)).toContain("nobody decided in time about a call of send")
        }).pipe(Effect.provide(Smithers.sqlite({ filename: ":memory:" })))
        const told = JSON.stringify(model.doGenerateCalls.at(-1)?.prompt)
        expect(told.includes("Nobody allowed this call in time.")).toBe(status === "finished" && sentTo.length === 0)
      }),
    )

  it.live("tells the model that a person did not allow it", () =>
    Effect.gen(function* () {
      const { sent, send } = sending()
      const model = modelOf([call("send", { to: "b@other.com" })], text("ok, not sent"))
      const agent = createAgent({ name: "mailer", model, tools: { send } })
      const stored = Journals.empty()
      const asked = yield* Effect.flip(attemptOf([agent], { stored }))
      if (!(asked instanceof AttemptSuspended) || asked.request.kind !== "approval") throw new Error(`not suspended: ${asked}`)
      const decision = { digest: asked.request.digest, approved: false, isTimeout: false, note: "wrong address" }
      expect(yield* attemptOf([agent], { stored, attempt: 2, decision })).toBe("ok, not sent")
      expect(sent).toEqual([])
      expect(JSON.stringify(model.doGenerateCalls.at(-1)?.prompt)).toContain(
        "A person did not allow this call. Note: wrong address",
      )
    }),
  )

  for (const [how, tools, settings] of [
    ["needsApproval of a tool", { needsApproval: true }, {}],
    ["toolApproval of an agent", {}, { toolApproval: { send: "user-approval" } }],
    ["a function as toolApproval", {}, { toolApproval: () => ({ type: "user-approval" }) }],
  ] as const) {
    it.live(`is durable for a ToolLoopAgent with ${how}`, () =>
      Effect.gen(function* () {
        let sent = 0
        const send = tool({ description: "Sends", inputSchema: z.object({}), ...tools, execute: async () => `sent ${++sent}` })
        const model = modelOf([call("send", {})], text("done"))
        const agent = new ToolLoopAgent({ model, tools: { send }, ...settings } as never)
        const stored = Journals.empty()
        const asked = yield* Effect.flip(attemptOf([agent], { stored }))
        if (!(asked instanceof AttemptSuspended) || asked.request.kind !== "approval") throw new Error(`not suspended: ${asked}`)
        expect(sent).toBe(0)
        const decision = { digest: asked.request.digest, approved: true, isTimeout: false }
        expect(yield* attemptOf([agent], { stored, attempt: 2, decision })).toBe("done")
        expect(sent).toBe(1)
      }),
    )
  }
})

describe("the record of a conversation", () => {
  it.live("holds the prompt, the replies, and each call with its outcome", () =>
    Effect.gen(function* () {
      const model = modelOf([call("one", { n: 1 }), call("fail", {})], text("done"))
      const { tools } = counting()
      const fail = tool({
        description: "Fails",
        inputSchema: z.object({}),
        execute: async (): Promise<string> => {
          throw new Error("no disk")
        },
      })
      const agent = createAgent({ name: "worker", model, tools: { ...tools, fail } })
      const stored = Journals.empty()
      yield* attemptOf([agent], { stored })
      expect(stored.entries.map(({ kind, tool }) => (tool === undefined ? kind : `${kind} ${tool}`)).sort()).toEqual(
        ["prompt", "reply", "reply", "tool-result fail", "tool-result one"].sort(),
      )
      expect(stored.entries.find(({ kind }) => kind === "reply")).toMatchObject({
        model: "mock-1",
        inputTokens: 10,
        outputTokens: 5,
      })
      expect([...stored.calls.values()].map(({ tool, status, output }) => [tool, status, output])).toEqual([
        ["one", "finished", '"one 1: 1"'],
        ["fail", "failed", "no disk"],
      ])
    }),
  )

  it.live("gives back dates and bytes as they were, and cuts no result whose form is the tool's own", () =>
    Effect.gen(function* () {
      const shots: Array<unknown> = []
      const picture = { at: new Date(5), bytes: new Uint8Array(60_000).fill(7), size: 2n }
      const model = modelOf([call("shoot", {})], [call("two", { n: 1 })], text("done"))
      const { state, tools } = counting()
      const shoot = tool({
        description: "Shoots",
        inputSchema: z.object({}),
        execute: async () => picture,
        toModelOutput: ({ output }) => {
          shots.push(output)
          return { type: "text", value: "a picture" }
        },
      })
      const agent = createAgent({ name: "worker", model, tools: { ...tools, shoot } })
      const stored = Journals.empty()
      yield* crash([agent], { stored }, () => state.two === 1)
      state.isHung = false
      yield* attemptOf([agent], { stored, attempt: 2 })
      expect(shots.length).toBeGreaterThan(1)
      for (const shot of shots) expect(shot).toEqual(picture)
    }),
  )

  it.live("holds the whole of a result that is cut for the model", () =>
    Effect.gen(function* () {
      const model = modelOf([call("big", {})], text("done"))
      const big = tool({ description: "Big", inputSchema: z.object({}), execute: async () => "x".repeat(100_000) })
      const agent = createAgent({ name: "worker", model, tools: { big } })
      const stored = Journals.empty()
      yield* attemptOf([agent], { stored })
      expect(stored.entries.find(({ kind }) => kind === "tool-result")?.text.length).toBe(100_000)
      expect(JSON.stringify(model.doGenerateCalls.at(-1)?.prompt).length).toBeLessThan(42_000)
    }),
  )
})

describe("an agent that has reached its limit", () => {
  const limited = (name: string, resetAt: number) => {
    const state = { asked: 0, isLimited: true }
    const agent = {
      name,
      generate: () => {
        state.asked++
        return state.isLimited
          ? Promise.reject(Object.assign(new Error("limit reached"), { resetAt, isRetryable: true }))
          : Promise.resolve({ text: `from ${name}` })
      },
    }
    return { state, agent }
  }

  it.live("suspends the attempt until the limit has passed, and is asked again then", () =>
    Effect.gen(function* () {
      const { state, agent } = limited("one", 9_000_000_000_000)
      const other = limited("two", 8_000_000_000_000)
      const stored = Journals.empty()
      const asked = yield* Effect.flip(attemptOf([agent, other.agent], { stored }))
      expect(asked).toBeInstanceOf(AttemptSuspended)
      expect(asked).toMatchObject({ request: { kind: "quota", request: { agent: "two" }, until: 8_000_000_000_000 } })
      state.isLimited = false
      expect(yield* attemptOf([agent, other.agent], { stored, attempt: 2 })).toBe("from one")
      expect([state.asked, other.state.asked]).toEqual([2, 1])
    }),
  )

  it.live("passes to the next agent at once", () =>
    Effect.gen(function* () {
      const { agent } = limited("one", 9_000_000_000_000)
      const next = { name: "next", generate: async () => ({ text: "from the next" }) }
      expect(yield* attemptOf([agent, next], { stored: Journals.empty() })).toBe("from the next")
    }),
  )

  it.live("does not make the step wait where another agent may be asked sooner", () =>
    Effect.gen(function* () {
      const { agent } = limited("one", 9_000_000_000_000)
      const busy = { name: "busy", generate: () => Promise.reject(Object.assign(new Error("overloaded"), { statusCode: 529 })) }
      expect(yield* Effect.flip(attemptOf([agent, busy], { stored: Journals.empty() }))).toMatchObject({
        _tag: "AgentFailed",
        retryable: true,
      })
    }),
  )
})
