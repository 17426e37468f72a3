/**
 * Budgets of agents: reserved before each call, settled after it, on every store; what they are shared with, and what ends at them.
 */
import { expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import { createAgent } from "@smithers/agents/createAgent"
import { defineTool } from "@smithers/agents/defineTool"
import type { AnyAgent } from "@smithers/core/Agent"
import * as Commands from "@smithers/core/Commands"
import * as Engine from "@smithers/core/Engine"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Smithers from "@smithers/core/Smithers"
import { type Ports, ports, Storage, type StorageShape } from "@smithers/core/Storage"
import * as MortalStorage from "@smithers/testing/MortalStorage"
import { APICallError, ToolLoopAgent, type ToolSet, tool } from "ai"
import { MockLanguageModelV4 } from "ai/test"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { describe } from "vitest"
import * as z from "zod"
import { stores } from "../core/Flows.ts"

/** A reply of 10 tokens of input, 4 of them from a cache, and 5 of output. */
const usage = {
  inputTokens: { total: 10, noCache: 6, cacheRead: 4, cacheWrite: undefined },
  outputTokens: { total: 5, text: 5, reasoning: 2 },
}

type Prompt = MockLanguageModelV4["doGenerateCalls"][number]["prompt"]
type Generated = Awaited<ReturnType<MockLanguageModelV4["doGenerate"]>>

const saying = (text: string): Generated => ({
  content: [{ type: "text", text }],
  finishReason: { unified: "stop", raw: undefined },
  usage,
  warnings: [],
})
const calling = (...tools: ReadonlyArray<string>): Generated => ({
  content: tools.map((toolName, index) => ({ type: "tool-call", toolCallId: `call-${index}`, toolName, input: "{}" })),
  finishReason: { unified: "tool-calls", raw: undefined },
  usage,
  warnings: [],
})

/** A model that answers by the number of tool results it is shown, so that it does not matter which process asks. */
const modelOf = (answer: (results: number, prompt: Prompt, tools: number) => Generated | Promise<Generated>, modelId = "mock-1") =>
  new MockLanguageModelV4({
    modelId,
    doGenerate: async ({ prompt, tools = [] }) =>
      answer(
        prompt.filter(({ role }) => role === "tool").reduce((sum, { content }) => sum + content.length, 0),
        prompt,
        tools.length,
      ),
  })

const look = tool({ description: "Looks", inputSchema: z.object({}), execute: async () => `seen ${Math.random()}` })
/** An agent that calls a tool in each of some rounds, and answers then. */
const digger = (rounds: number, tools: ToolSet = { look }) => {
  const model = modelOf((results) => (results < rounds ? calling("look") : saying(`after ${results}`)))
  return { model, agent: createAgent({ name: "digger", model, tools, maxSteps: rounds + 1 }) }
}

const Input = Schema.Struct({})
type Builder = Smithers.Builder<typeof Input.Type>
type Budget = Parameters<Builder["budget"]>[0]
const asking = ($: Builder, id: string, agent: AnyAgent, budget?: Omit<Budget, "id" | "body">) =>
  $.step(id, { agent, prompt: `Do ${id}.`, output: Schema.String, retry: false, ...(budget === undefined ? {} : { budget }) })

const workflow = <A, R>(
  build: ($: Builder) => Smithers.Node<A, R>,
  options: { readonly budget?: Omit<Budget, "id" | "body"> } = {},
) => Smithers.createWorkflow({ name: "w", input: Input, ...options }).build<A, R>(build)

const prices = { "mock-1": { input: 1_000, output: 2_000, cachedInput: 100 } }
/** A reply with these prices. */
const costOfReply = (6 * 1_000 + 4 * 100 + 5 * 2_000) / 1e6

const sum = (values: ReadonlyArray<number>): number => values.reduce((total, value) => total + value, 0)

describe.each(stores)("on %s", (_, layer: Layer.Layer<Ports, unknown>) => {
  const on = <A, E>(
    effect: Effect.Effect<A, E, Smithers.Runtime | Storage>,
    options: Engine.EngineOptions = {},
    known: Parameters<typeof AgentProgram.layerWith>[0]["prices"] = prices,
  ) =>
    Effect.provide(
      effect,
      Layer.merge(Smithers.onStorage(layer, { lease: "100 days", ...options }), AgentProgram.layerWith({ prices: known })),
    )
  const usageOf = (runIds?: ReadonlyArray<string>) =>
    Effect.flatMap(Storage, (storage) => storage.usage(runIds === undefined ? {} : { runIds }))
  const budgetsOf = (runId: string) => Effect.flatMap(Storage, (storage) => storage.budgets(runId))

  describe("what agents use", () => {
    it.effect("is counted by step, agent, model and tool, also without a budget", () =>
      on(
        Effect.gen(function* () {
          const { agent } = digger(2)
          yield* workflow(($) => asking($, "dig", agent)).run({}, { runId: "r" })
          expect(yield* usageOf(["r"])).toEqual([
            {
              ...{ runId: "r", workflow: "w", nodeId: "dig", agent: "digger", name: "mock-1", kind: "model", calls: 3 },
              ...{ inputTokens: 30, outputTokens: 15, cachedInputTokens: 12, cacheWriteTokens: 0, reasoningTokens: 6 },
              ...{ cost: expect.closeTo(3 * costOfReply, 9), unpriced: 0, unknown: 0 },
            },
            expect.objectContaining({ nodeId: "dig", agent: "digger", name: "look", kind: "tool", calls: 2 }),
          ])
          expect(yield* budgetsOf("r")).toEqual([])
        }),
      ),
    )

    it.effect("has an unknown cost, and not 0, of a model without a price", () =>
      on(
        Effect.gen(function* () {
          const agent = createAgent({ name: "a", model: modelOf(() => saying("done"), "nobody-knows-1") })
          yield* workflow(($) => asking($, "one", agent)).run({}, { runId: "r" })
          expect(yield* usageOf(["r"])).toMatchObject([{ calls: 1, inputTokens: 10, unpriced: 1 }])
        }),
      ),
    )

    it.effect("keeps the prices of its time", () =>
      on(
        Effect.gen(function* () {
          const known = { "mock-1": { input: 1_000, output: 1_000 } }
          const agents = AgentProgram.layerWith({ prices: known })
          const agent = createAgent({ name: "a", model: modelOf(() => saying("done")) })
          const flow = workflow(($) =>
            $.sequence(asking($, "one", agent), $.approval("go", { request: { title: "Go?" } }), asking($, "two", agent)),
          )
          yield* Effect.provide(flow.run({}, { runId: "r" }), agents)
          yield* Commands.approve("r", "go")
          yield* Effect.provide(
            flow.run({}, { runId: "r" }),
            AgentProgram.layerWith({ prices: { "mock-1": { input: 2_000, output: 2_000 } } }),
          )
          expect((yield* usageOf(["r"])).map(({ cost }) => cost)).toEqual([0.015, 0.03])
        }),
      ),
    )

    it.live("is nothing of a call that the provider refuses, and not known of one that broke off; both may be repeated", () =>
      on(
        Effect.gen(function* () {
          const soon = { "retry-after-ms": "1" }
          const failures: Array<Error> = [
            new APICallError({
              message: "busy",
              url: "u",
              requestBodyValues: {},
              statusCode: 503,
              isRetryable: true,
              responseHeaders: soon,
            }),
            new APICallError({ message: "reset", url: "u", requestBodyValues: {}, isRetryable: true, responseHeaders: soon }),
          ]
          const model = modelOf(() => {
            const failure = failures.shift()
            if (failure !== undefined) throw failure
            return saying("done")
          })
          const agent = new ToolLoopAgent({ id: "loop", model, maxRetries: 2 })
          expect(yield* workflow(($) => asking($, "one", agent), { budget: { tokens: 500 } }).execute({}, { runId: "r" })).toBe(
            "done",
          )
          expect(yield* usageOf(["r"])).toMatchObject([{ calls: 3, inputTokens: 10, unknown: 1 }])
          const [account] = yield* budgetsOf("r")
          expect(account).toMatchObject({ spent: { tokens: 15, agentCalls: 1 }, reserved: { agentCalls: 1 } })
        }),
      ),
    )

    it.effect("is what a reply says of agents that are asked as a whole, with the cost that they state", () =>
      on(
        Effect.gen(function* () {
          const agent = {
            name: "cli",
            generate: async () => ({ text: "done", usage: { inputTokens: 7, outputTokens: 3, costUsd: 0.25 } }),
          }
          yield* workflow(($) => asking($, "one", agent), { budget: { cost: 1 } }).run({}, { runId: "r" })
          expect(yield* usageOf(["r"])).toMatchObject([{ calls: 1, inputTokens: 7, outputTokens: 3, cost: 0.25, unpriced: 0 }])
          expect(yield* budgetsOf("r")).toMatchObject([{ spent: { cost: 0.25, agentCalls: 1 }, reserved: {} }])
        }),
      ),
    )
  })

  describe("a budget that is used up", () => {
    it.effect("fails the step before the next call, without a retry, and says how much of it was used", () =>
      on(
        Effect.gen(function* () {
          const { model, agent } = digger(5)
          const flow = workflow(($) =>
            $.step("dig", {
              agent,
              prompt: "Dig.",
              output: Schema.String,
              retry: { maxAttempts: 3, initialDelay: 1 },
              budget: { tokens: 40 },
            }),
          )
          const { status, error } = yield* Effect.map(flow.run({}, { runId: "r" }), (result) => ({ error: undefined, ...result }))
          expect(status).toBe("failed")
          expect(JSON.stringify(error)).toContain("BudgetExceeded")
          expect(String(error)).toContain('the budget of step "dig" is used up: 45 tokens of 40 tokens')
          expect(model.doGenerateCalls).toHaveLength(3)
          expect(yield* budgetsOf("r")).toMatchObject([{ spent: { tokens: 45, agentCalls: 3 }, reserved: {} }])
        }),
      ),
    )

    it.effect("holds when the run is resumed, until its limit is raised", () =>
      on(
        Effect.gen(function* () {
          const { model, agent } = digger(5)
          const of = (tokens: number) => workflow(($) => asking($, "dig", agent), { budget: { tokens } })
          expect(yield* of(40).run({}, { runId: "r" })).toMatchObject({ status: "failed" })
          expect(yield* Effect.either(of(40).resume("r"))).toMatchObject({ _tag: "Left" })
          expect(model.doGenerateCalls).toHaveLength(3)
          // The conversation ended with its attempt, so that another one begins.
          expect(yield* of(150).resume("r")).toBe("after 5")
          expect(yield* budgetsOf("r")).toMatchObject([{ limits: { tokens: 150 }, spent: { tokens: 45 + 90 } }])
        }),
      ),
    )

    for (const [dimension, limit, calls, shown] of [
      ["inputTokens", 15, 2, "20 input tokens of 15 input tokens"],
      ["outputTokens", 4, 1, "5 output tokens of 4 output tokens"],
      ["agentCalls", 3, 3, "3 calls of models of 3 calls of models"],
      ["cost", costOfReply, 1, "$0.0164 of $0.0164"],
      ["toolCalls", 1, 2, "1 tool calls of 1 tool calls"],
    ] as const) {
      it.effect(`may be one of ${dimension}`, () =>
        on(
          Effect.gen(function* () {
            const { model, agent } = digger(5)
            const result = yield* workflow(($) => asking($, "dig", agent, { [dimension]: limit })).run({}, { runId: "r" })
            expect(String(result.status === "failed" ? result.error : "")).toContain(shown)
            expect(model.doGenerateCalls).toHaveLength(calls)
          }),
        ),
      )
    }

    it.effect("in money is refused for a model whose price is not known, before it is asked", () =>
      on(
        Effect.gen(function* () {
          const model = modelOf(() => saying("done"), "nobody-knows-1")
          const agent = createAgent({ name: "a", model })
          const result = yield* workflow(($) => asking($, "one", agent, { cost: 5 })).run({}, { runId: "r" })
          expect(String(result.status === "failed" ? result.error : "")).toContain(
            'the price of model "nobody-knows-1" is not known',
          )
          expect(model.doGenerateCalls).toHaveLength(0)
        }),
      ),
    )

    it.effect("lets the agent finish with what it has, without tools, where it says so", () =>
      on(
        Effect.gen(function* () {
          const model = modelOf((results, prompt, tools) =>
            tools > 0
              ? calling("look")
              : saying(`${results}: ${JSON.stringify(prompt.at(-1)?.content).includes("budget is used up")}`),
          )
          const agent = createAgent({ name: "a", model, tools: { look }, maxSteps: 20 })
          const flow = workflow(($) => asking($, "dig", agent, { agentCalls: 3, onReached: "finish" }))
          expect(yield* flow.execute({}, { runId: "r" })).toBe("3: true")
          expect(model.doGenerateCalls).toHaveLength(4)
        }),
      ),
    )

    it.effect("of tool calls tells the agent so, where it may finish", () =>
      on(
        Effect.gen(function* () {
          const made = { count: 0 }
          const act = tool({ description: "Acts", inputSchema: z.object({}), execute: async () => ++made.count })
          const { agent } = digger(4, { look: act })
          const flow = workflow(($) => asking($, "dig", agent, { toolCalls: 2, onReached: "finish" }))
          expect(yield* flow.execute({}, { runId: "r" })).toBe("after 4")
          expect(made.count).toBe(2)
          const [conversation] = yield* Smithers.conversations("r")
          expect(conversation?.calls.map(({ status }) => status)).toEqual(["finished", "finished", "refused", "refused"])
          expect(conversation?.calls[2]?.output).toContain("2 tool calls of 2 tool calls")
        }),
      ),
    )

    it.effect("asks a person, where it says so; an approval allows the same amount again, once", () =>
      on(
        Effect.gen(function* () {
          const { model, agent } = digger(5)
          const flow = workflow(($) => asking($, "dig", agent, { agentCalls: 2, onReached: "ask" }))
          expect(yield* flow.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
          const waits = Effect.flatMap(Storage, (storage) => storage.waits({ runId: "r" }))
          expect(yield* waits).toMatchObject([{ request: { title: 'Allow 2 calls of models more for step "dig"?' } }])
          yield* Commands.approve("r", "dig")
          expect(yield* flow.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
          expect(model.doGenerateCalls).toHaveLength(4)
          yield* Commands.approve("r", "dig")
          expect(yield* flow.run({}, { runId: "r" })).toMatchObject({ status: "finished", output: "after 5" })
          // No reply was asked for twice.
          expect(model.doGenerateCalls).toHaveLength(6)
        }),
      ),
    )

    it.effect("fails the step if the person does not allow more", () =>
      on(
        Effect.gen(function* () {
          const { model, agent } = digger(5)
          const flow = workflow(($) => asking($, "dig", agent, { agentCalls: 2, onReached: "ask" }))
          yield* flow.run({}, { runId: "r" })
          yield* Commands.deny("r", "dig")
          const result = yield* flow.run({}, { runId: "r" })
          expect(result).toMatchObject({ status: "failed" })
          expect(JSON.stringify(result)).toContain("BudgetExceeded")
          expect(model.doGenerateCalls).toHaveLength(2)
        }),
      ),
    )

    it.effect("of tool calls stops an agent that calls its tools itself", () =>
      on(
        Effect.gen(function* () {
          const state = { calls: 0, isAborted: false }
          const agent: AnyAgent = {
            name: "cli",
            wantsContext: true,
            generate: async ({ abortSignal, context }) => {
              abortSignal?.addEventListener("abort", () => {
                state.isAborted = true
              })
              for (let call = 0; call < 5; call++) {
                await Effect.runPromise(context?.log.callStarted({ callId: `c${call}`, tool: "Bash", input: {} }) ?? Effect.void)
                state.calls++
                await Effect.runPromise(
                  context?.log.callEnded({ callId: `c${call}`, status: "finished", output: "" }) ?? Effect.void,
                )
              }
              return { text: "done" }
            },
          }
          const result = yield* workflow(($) => asking($, "one", agent, { toolCalls: 2 })).run({}, { runId: "r" })
          expect(String(result.status === "failed" ? result.error : result.status)).toContain("2 tool calls of 2 tool calls")
          expect(state).toEqual({ calls: 2, isAborted: true })
          expect(yield* budgetsOf("r")).toMatchObject([{ spent: { toolCalls: 2 } }])
        }),
      ),
    )

    it.live("of time that asks lets a call in flight end, and asks before the next one", () =>
      on(
        Effect.gen(function* () {
          const model = modelOf(async (results) => {
            await new Promise((resolve) => setTimeout(resolve, 60))
            return results === 0 ? calling("look") : saying("done")
          })
          const agent = createAgent({ name: "slow", model, tools: { look }, maxSteps: 3 })
          const flow = workflow(($) => asking($, "one", agent), { budget: { duration: "50 millis", onReached: "ask" } })
          expect(yield* flow.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
          expect(model.doGenerateCalls).toHaveLength(1)
        }),
      ),
    )

    it.live("of time lets the agent finish with what it has, once, without tools", () =>
      on(
        Effect.gen(function* () {
          const model = modelOf(async (results) => {
            await new Promise((resolve) => setTimeout(resolve, 60))
            return results === 0 ? calling("look") : saying(`after ${results}`)
          })
          const agent = createAgent({ name: "slow", model, tools: { look }, maxSteps: 5 })
          const flow = workflow(($) => asking($, "one", agent), { budget: { duration: "50 millis", onReached: "finish" } })
          expect(yield* flow.run({}, { runId: "r" })).toMatchObject({ status: "finished" })
          expect(model.doGenerateCalls).toHaveLength(2)
          expect(model.doGenerateCalls[1]?.tools).toBe(undefined)
          expect(JSON.stringify(model.doGenerateCalls[1]?.prompt)).toContain("Your budget is used up")
        }),
      ),
    )

    it.effect("that asks is allowed as much more as its approver says, or the declared limit again", () =>
      on(
        Effect.gen(function* () {
          const { agent, model } = digger(20)
          const flow = workflow(($) => asking($, "dig", agent, { agentCalls: 2, onReached: "ask" }))
          expect(yield* flow.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
          const wrong = yield* Effect.flip(Smithers.allow("r", "dig", { amount: 1.5 }))
          expect(wrong).toMatchObject({
            _tag: "InvalidCommand",
            message: expect.stringContaining("must be a whole number above 0"),
          })
          yield* Smithers.allow("r", "dig", { amount: 5 })
          expect(yield* flow.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
          expect(model.doGenerateCalls).toHaveLength(7)
          yield* Smithers.approve("r", "dig")
          expect(yield* flow.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
          expect(model.doGenerateCalls).toHaveLength(9)
          expect(yield* Effect.flip(Smithers.allow("r", "other", { amount: 1 }))).toMatchObject({ _tag: "InvalidCommand" })
        }),
      ),
    )

    it.effect("that a caller gave is raised and lowered later, also before its first call, and as often as one likes", () =>
      on(
        Effect.gen(function* () {
          const { agent, model } = digger(20)
          const flow = workflow(($) => asking($, "dig", agent))
          const first = { budget: { agentCalls: 2 } }
          expect(yield* flow.run({}, { runId: "r", ...first })).toMatchObject({ status: "failed" })
          const again = Effect.ignore(flow.resume("r"))
          for (const [limit, calls] of [
            [5, 5],
            [4, 5],
            [7, 7],
          ] as const) {
            yield* Smithers.setBudget("r", { agentCalls: limit })
            yield* again
            expect(model.doGenerateCalls).toHaveLength(calls)
          }
          expect(yield* Effect.flip(Smithers.setBudget("r", { cost: 1 }))).toMatchObject({
            _tag: "InvalidCommand",
            message: expect.stringContaining("no limit of cost, but of 2 calls of models"),
          })
          expect(yield* Effect.flip(Smithers.setBudget("r", { name: "part", agentCalls: 1 }))).toMatchObject({
            message: expect.stringContaining("it has those of the run"),
          })
          // One that no call has drawn on yet.
          const gated = workflow(($) =>
            $.sequence($.approval("go", { request: () => ({ title: "Go?" }) }), asking($, "one", agent)),
          )
          yield* gated.run({}, { runId: "g", ...first })
          yield* Smithers.setBudget("g", { agentCalls: 0 })
          yield* Smithers.approve("g", "go")
          expect(yield* gated.run({}, { runId: "g", ...first })).toMatchObject({ status: "failed" })
          expect(model.doGenerateCalls).toHaveLength(7)
        }),
      ),
    )

    it.live("of time ends a call in flight", () =>
      on(
        Effect.gen(function* () {
          const agent = createAgent({ name: "slow", model: modelOf(() => new Promise(() => {})) })
          const result = yield* workflow(($) => asking($, "one", agent), { budget: { duration: "50 millis" } }).run(
            {},
            { runId: "r" },
          )
          expect(String(result.status === "failed" ? result.error : result.status)).toContain("50 ms of 50 ms")
        }),
      ),
    )
  })

  describe("a budget is shared", () => {
    it.effect("by all steps of a run, in all passes of loops", () =>
      on(
        Effect.gen(function* () {
          const agent = createAgent({ name: "a", model: modelOf(() => saying("again")) })
          const flow = workflow(($) => $.loop({ id: "l", body: asking($, "one", agent), until: () => false, maxIterations: 50 }), {
            budget: { agentCalls: 7 },
          })
          expect(yield* flow.run({}, { runId: "r" })).toMatchObject({ status: "failed" })
          expect(yield* budgetsOf("r")).toMatchObject([{ name: 'run "r"', spent: { agentCalls: 7 } }])
        }),
      ),
    )

    it.effect("by the steps of a part, and not by those beside it", () =>
      on(
        Effect.gen(function* () {
          const agent = createAgent({ name: "a", model: modelOf(() => saying("done")) })
          const flow = workflow(($) =>
            $.sequence(
              $.budget({ id: "part", agentCalls: 1, body: $.sequence(asking($, "one", agent)) }),
              asking($, "two", agent),
              $.tryCatch({
                id: "t",
                try: $.budget({ id: "small", tokens: 0, body: asking($, "three", agent) }),
                catch: () => "none left",
              }),
            ),
          )
          expect(yield* flow.execute({}, { runId: "r" })).toBe("none left")
        }),
      ),
    )

    it.effect("with child runs, which draw on what is left", () =>
      on(
        Effect.gen(function* () {
          const agent = createAgent({ name: "a", model: modelOf(() => saying("done")) })
          const child = Smithers.createWorkflow({ name: "child", input: Input }).build(($) =>
            $.sequence(asking($, "x", agent), asking($, "y", agent)),
          )
          const flow = workflow(
            ($) =>
              $.sequence(
                asking($, "one", agent),
                $.subflow("first", { workflow: child, input: () => ({}) }),
                $.subflow("second", { workflow: child, input: () => ({}) }),
              ),
            { budget: { agentCalls: 4 } },
          )
          expect(yield* flow.run({}, { runId: "r" })).toMatchObject({ status: "failed" })
          expect(yield* budgetsOf("r")).toMatchObject([{ spent: { agentCalls: 4 } }])
          expect(sum((yield* usageOf(["r"])).map(({ calls }) => calls))).toBe(4)
        }),
      ),
    )

    it.live("with no fork: it begins with what was left at its cut, and is charged by itself", () =>
      on(
        Effect.gen(function* () {
          // Calls take their time, by which it is known which of them came after a cut.
          const model = modelOf(async () => {
            await new Promise((resolve) => setTimeout(resolve, 5))
            return saying("done")
          })
          const agent = createAgent({ name: "a", model })
          const flow = workflow(($) => $.sequence(...["one", "two", "three"].map((id) => asking($, id, agent))), {
            budget: { agentCalls: 2 },
          })
          expect(yield* flow.run({}, { runId: "r" })).toMatchObject({ status: "failed" })
          yield* flow.fork("r", { before: "two", runId: "f" })
          const spent = (runId: string) =>
            Effect.map(budgetsOf(runId), (budgets) => budgets.map((budget) => budget.spent.agentCalls))
          expect([yield* spent("r"), yield* spent("f")]).toEqual([[2], [1]])
          const failed = yield* Effect.flip(flow.resume("f"))
          expect(String(failed)).toContain('Step "three" stopped')
          expect([yield* spent("r"), yield* spent("f")]).toEqual([[2], [2]])
          expect(model.doGenerateCalls).toHaveLength(3)
          // A cut before the first call leaves all of it.
          yield* flow.fork("r", { before: "one", runId: "all" })
          expect(String(yield* Effect.flip(flow.resume("all")))).toContain('Step "three" stopped')
          expect(model.doGenerateCalls).toHaveLength(5)
        }),
      ),
    )

    it.effect("by all runs of a day", () =>
      on(
        Effect.gen(function* () {
          const agent = createAgent({ name: "a", model: modelOf(() => saying("done")) })
          const flow = workflow(($) => asking($, "one", agent))
          expect(yield* flow.run({}, { runId: "r1" })).toMatchObject({ status: "finished" })
          expect(yield* flow.run({}, { runId: "r2" })).toMatchObject({ status: "finished" })
          const third = yield* flow.run({}, { runId: "r3" })
          expect(String(third.status === "failed" ? third.error : "")).toContain("the budget of the day 1970-01-01 is used up")
        }),
        { dailyBudget: { agentCalls: 2 } },
      ),
    )

    it.effect("that the starter of a run gives is kept with it", () =>
      on(
        Effect.gen(function* () {
          const { model, agent } = digger(5)
          const flow = workflow(($) => asking($, "dig", agent))
          expect(yield* flow.run({}, { runId: "r", budget: { agentCalls: 2 } })).toMatchObject({ status: "failed" })
          expect(yield* Effect.either(flow.resume("r"))).toMatchObject({ _tag: "Left" })
          expect(model.doGenerateCalls).toHaveLength(2)
        }),
      ),
    )

    it.live("by ten parallel children, which never exceed what is left by more than the calls in flight", () =>
      on(
        Effect.gen(function* () {
          const state = { inFlight: 0, most: 0 }
          const model = modelOf(async () => {
            state.most = Math.max(state.most, ++state.inFlight)
            await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 4))
            state.inFlight--
            return saying("done")
          })
          const agent = createAgent({ name: "a", model })
          const child = Smithers.createWorkflow({ name: "child", input: Input }).build(($) =>
            $.loop({ id: "l", body: asking($, "one", agent), until: () => false, maxIterations: 20 }),
          )
          const ids = Array.from({ length: 10 }, (_, index) => `c${index}`)
          const flow = Smithers.createWorkflow({ name: "w", input: Input, maxConcurrency: 20, budget: { tokens: 600 } }).build(
            ($) => $.parallel(...ids.map((id) => $.subflow(id, { workflow: child, input: () => ({}), onFail: "continue" }))),
          )
          yield* flow.run({}, { runId: "r" })
          const tokens = model.doGenerateCalls.length * 15
          expect(state.most).toBeGreaterThan(3)
          expect(tokens).toBeGreaterThanOrEqual(585)
          expect(tokens).toBeLessThanOrEqual(600 + 15 * state.most)
          expect(yield* budgetsOf("r")).toMatchObject([{ spent: { tokens }, reserved: {} }])
        }),
      ),
    )
  })

  describe("by default", () => {
    it.live("a step makes at most 200 calls of models, all attempts together; its budget lifts that by name", () =>
      on(
        Effect.gen(function* () {
          const of = (budget?: Omit<Budget, "id" | "body">) => {
            const model = modelOf(() => calling("look"))
            const agent = createAgent({ name: "a", model, tools: { look }, maxSteps: 120 })
            const step = ($: Builder) =>
              $.step("dig", {
                agent,
                prompt: "Dig.",
                output: Schema.String,
                retry: { maxAttempts: 3, initialDelay: 1 },
                ...(budget === undefined ? {} : { budget }),
              })
            return { model, flow: workflow(step) }
          }
          const bounded = of()
          const result = yield* bounded.flow.run({}, { runId: "r" })
          expect(bounded.model.doGenerateCalls).toHaveLength(200)
          expect(String(result.status === "failed" ? result.error : "")).toContain(
            "it made 200 calls of models, as many as a step may by default",
          )
          const lifted = of({ agentCalls: Number.POSITIVE_INFINITY })
          yield* lifted.flow.run({}, { runId: "r2" })
          expect(lifted.model.doGenerateCalls.length).toBeGreaterThan(200)
        }),
      ),
    )
  })
})

describe("a crash at any write", () => {
  /** Runs a workflow in processes that die, until it ends. */
  const live = (disk: StorageShape, flow: Smithers.Workflow<object, string>, fault: MortalStorage.Fault | undefined) =>
    Effect.gen(function* () {
      const faults = [fault]
      let writes = 0
      for (let process = 0; process < 20; process++) {
        const mortal = MortalStorage.make(disk, faults.shift())
        const scope = yield* Scope.make()
        const engine = yield* Engine.make({ lease: 1 }).pipe(Effect.provide(ports(mortal.storage)), Scope.extend(scope))
        const run = flow
          .run({}, { runId: "r" })
          .pipe(Effect.provideService(Engine.Engine, engine), Effect.provide(AgentProgram.layerWith({ prices })))
        const fiber = yield* Effect.forkIn(run, scope)
        while (fiber.unsafePoll() === null && !mortal.isGone())
          yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)))
        const exit = fiber.unsafePoll()
        const result = exit === null ? undefined : yield* Fiber.join(fiber)
        yield* Effect.forkDaemon(Scope.close(scope, Exit.void))
        writes = Math.max(writes, mortal.writes())
        if (result !== undefined) return { result, writes }
        yield* Effect.sleep(3)
      }
      return yield* Effect.dieMessage("the run did not end")
    })

  it.live(
    "of a reservation or its settlement charges no call twice and forgets none",
    () =>
      Effect.gen(function* () {
        const made = { tools: 0 }
        const act = defineTool({
          description: "Looks",
          input: Schema.Struct({}),
          afterCrash: "rerun",
          execute: () => Effect.sync(() => ++made.tools),
        })
        const model = modelOf((results) => (results < 2 ? calling("look") : saying("done")))
        const agent = createAgent({ name: "a", model, tools: { look: act }, maxSteps: 5 })
        const flow = workflow(($) => asking($, "dig", agent), { budget: { tokens: 1_000, toolCalls: 20, cost: 5 } })
        const sweep = (fault: MortalStorage.Fault | undefined) =>
          Effect.gen(function* () {
            const disk = MemoryStorage.make()
            const before = model.doGenerateCalls.length
            made.tools = 0
            const { result, writes } = yield* live(disk, flow, fault)
            expect(result).toMatchObject({ status: "finished", output: "done" })
            const asked = model.doGenerateCalls.length - before
            const [account] = yield* disk.budgets("r")
            const rows = yield* disk.usage({ runIds: ["r"] })
            const models = rows.filter(({ kind }) => kind === "model")
            const calls = sum(models.map(({ calls }) => calls))
            const unknown = sum(models.map(({ unknown }) => unknown))
            return { account, asked, calls, unknown, writes, tools: made.tools }
          })
        const calm = yield* sweep(undefined)
        expect(calm).toMatchObject({ asked: 3, calls: 3, unknown: 0, tools: 2 })
        expect(calm.account).toMatchObject({ spent: { tokens: 45, agentCalls: 3, toolCalls: 2 }, reserved: {}, unpriced: 0 })
        for (let write = 1; write <= calm.writes; write++) {
          for (const edge of ["before", "after"] as const) {
            const { account, asked, calls, unknown } = yield* sweep({ edge, write, commit: -1 })
            const at = `${edge} write ${write}`
            // Every call that was made is known; at most the one that the crash cut off has an unknown outcome, and stays reserved.
            expect([at, calls >= asked, calls <= asked + 1, unknown <= 1]).toEqual([at, true, true, true])
            expect([at, account?.spent.agentCalls, account?.spent.tokens]).toEqual([at, 3, 45])
            expect([at, account?.reserved.agentCalls ?? 0]).toEqual([at, unknown])
          }
        }
      }),
    120_000,
  )
})
