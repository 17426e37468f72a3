/**
 * Tasks whose work is an agent's, run: what is asked, what is kept, and when it is asked again.
 */
import { expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import * as Core from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as TestRuntime from "@smithers/testing/TestRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Agent, createAgent, createSmithers, type JsxWorkflow, Smithers } from "smithers-orchestrator"
import { describe } from "vitest"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({
  analysis: z.object({ summary: z.string(), severity: z.enum(["low", "high"]) }),
  text: z.string(),
})

/** An agent that gives these replies, one after another; errors are thrown. */
const scripted = (name: string, ...replies: ReadonlyArray<string | Error>) => {
  const asked: Array<Parameters<Agent["generate"]>[0]> = []
  const agent: Agent = {
    name,
    generate: async (request) => {
      asked.push({ ...request, ...("messages" in request ? { messages: [...(request.messages ?? [])] } : {}) } as typeof request)
      const reply = replies[asked.length - 1] ?? replies.at(-1) ?? ""
      if (typeof reply !== "string") throw reply
      return { text: reply, usage: { inputTokens: 10, outputTokens: 5 }, finishReason: "stop", response: { modelId: `${name}-1` } }
    },
  }
  return { agent, asked }
}

const valid = '{"summary":"fine","severity":"low"}'

const one = (agent: Agent | ReadonlyArray<Agent>, props: { readonly retries?: number; readonly timeoutMs?: number } = {}) =>
  smithers((ctx) => (
    <Workflow name="one">
      <Task id="analyze" output={outputs.analysis} agent={agent} {...props}>
        Analyze {ctx.input.what}
      </Task>
    </Workflow>
  ))

const attemptsOf = (runId: string) =>
  Effect.flatMap(Storage, (storage) => Effect.map(storage.inspect(runId), ({ attempts }) => attempts))

const run = (workflow: JsxWorkflow<unknown>) => workflow.run({ what: "the bug" }, { runId: "r" })

const onMemory = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, Smithers.memory)
const onTestRuntime = <A, E>(effect: Effect.Effect<A, E, TestRuntime.Services>) =>
  Effect.provide(effect, TestRuntime.layer({ patience: "100 millis" }))

const failing = (status: number, headers: Record<string, string> = {}) =>
  Object.assign(new Error(`status ${status}`), { statusCode: status, responseHeaders: headers, isRetryable: status === 429 })

describe("an agent", () => {
  it.effect("is told the schema, and its reply is kept with its tokens, model and reason to finish", () =>
    onMemory(
      Effect.gen(function* () {
        const { agent, asked } = scripted("coder", `Sure:\n\`\`\`json\n${valid}\n\`\`\``)
        expect(yield* run(one(agent))).toMatchObject({ status: "finished", output: { summary: "fine", severity: "low" } })
        expect(asked[0]?.prompt).toContain("Analyze the bug\n")
        expect(asked[0]?.prompt).toContain('"severity"')
        const [attempt] = yield* attemptsOf("r")
        expect(attempt?.turns).toEqual([
          {
            agent: "coder",
            prompt: asked[0]?.prompt,
            reply: `Sure:\n\`\`\`json\n${valid}\n\`\`\``,
            model: "coder-1",
            finishReason: "stop",
            inputTokens: 10,
            outputTokens: 5,
          },
        ])
      }),
    ),
  )

  it.effect("is told what is wrong in the same conversation, and only what is valid is stored", () =>
    onMemory(
      Effect.gen(function* () {
        const { agent, asked } = scripted("coder", '{"summary": 1}', valid)
        expect(yield* run(one(agent))).toMatchObject({ output: { summary: "fine" } })
        expect(asked).toHaveLength(2)
        expect(asked[1]?.messages?.map(({ role }) => role)).toEqual(["user", "assistant", "user"])
        expect(asked[1]?.messages?.[2]?.content).toContain("summary")
        const attempts = yield* attemptsOf("r")
        expect(attempts).toHaveLength(1)
        expect(attempts[0]?.turns.map(({ problem }) => problem !== undefined)).toEqual([true, false])
      }),
    ),
  )

  it.effect("is asked again in the next attempt with what was wrong in its prompt", () =>
    onTestRuntime(
      Effect.gen(function* () {
        const { agent, asked } = scripted("coder", "no", "no", "no", valid)
        expect(yield* one(agent).execute({ what: "the bug" }, { runId: "r" })).toMatchObject({ summary: "fine" })
        expect(asked[3]?.prompt).toContain("Analyze the bug")
        expect(asked[3]?.prompt).toContain("Your previous reply was not accepted")
        const attempts = yield* attemptsOf("r")
        expect(attempts.map(({ status, turns }) => [status, turns.length])).toEqual([
          ["failed", 3],
          ["succeeded", 1],
        ])
      }),
    ),
  )

  it.effect("that is not allowed in is followed by the next, and fails at once where there is none", () =>
    onMemory(
      Effect.gen(function* () {
        const locked = scripted("locked", failing(401))
        const spare = scripted("spare", valid)
        expect(yield* run(one([locked.agent, spare.agent]))).toMatchObject({ status: "finished" })
        expect([locked.asked.length, spare.asked.length]).toEqual([1, 1])
        const alone = scripted("locked", failing(401))
        const result = yield* one(alone.agent).run({}, { runId: "s" })
        expect(result).toMatchObject({
          status: "failed",
          error: { nodeId: "analyze", attempts: 1, error: { name: "AgentFailed" } },
        })
        expect(alone.asked).toHaveLength(1)
      }),
    ),
  )

  it.effect("that asks for patience is given it", () =>
    onTestRuntime(
      Effect.gen(function* () {
        const { agent, asked } = scripted("busy", failing(429, { "retry-after": "90" }), valid)
        const began = yield* TestRuntime.now
        expect(yield* one(agent).execute({ what: "the bug" }, { runId: "r" })).toEqual({ summary: "fine", severity: "low" })
        expect((yield* TestRuntime.now) - began).toBeGreaterThanOrEqual(90_000)
        expect((yield* TestRuntime.now) - began).toBeLessThan(92_000)
        expect(asked).toHaveLength(2)
      }),
    ),
  )

  it.effect("is aborted when its time is over, and what it was asked is kept", () =>
    onTestRuntime(
      Effect.gen(function* () {
        const aborted: Array<unknown> = []
        const agent: Agent = {
          generate: ({ abortSignal }) =>
            new Promise((_, reject) => {
              abortSignal?.addEventListener("abort", () => {
                aborted.push(abortSignal.aborted)
                reject(new Error("aborted"))
              })
            }),
        }
        const limited = one(agent, { retries: 0, timeoutMs: 5000 })
        const failure = yield* Effect.flip(limited.execute({ what: "the bug" }, { runId: "r" }))
        expect(failure).toMatchObject({ _tag: "StepTimedOut", limit: "timeout" })
        expect(aborted).toEqual([true])
        const [attempt] = yield* attemptsOf("r")
        expect(attempt?.turns).toMatchObject([{ agent: "agent", problem: "interrupted before it replied" }])
        expect(attempt?.turns[0]?.prompt).toContain("Analyze the bug")
      }),
    ),
  )

  it.effect("of a task without an output gives its text as it is", () =>
    onMemory(
      Effect.gen(function* () {
        const { agent, asked } = scripted("deployer", "Deployed, see {log}.")
        const workflow = smithers(() => (
          <Workflow name="deploy">
            <Task id="deploy" agent={agent}>
              Deploy.
            </Task>
          </Workflow>
        ))
        expect(yield* run(workflow)).toMatchObject({ output: "Deployed, see {log}." })
        expect(asked[0]?.prompt).toBe("Deploy.")
      }),
    ),
  )

  it.effect("is given a prompt by a function with its deps, or by elements that the function makes", () =>
    onMemory(
      Effect.gen(function* () {
        const { agent, asked } = scripted("writer", "ok")
        const workflow = smithers(() => (
          <Workflow name="prompts">
            <Task id="analyze" output={outputs.analysis}>
              {{ summary: "a < b", severity: "high" }}
            </Task>
            <Task id="text" output={outputs.text} agent={agent} deps={{ analyze: outputs.analysis }}>
              {async ({ analyze }) => `Summarize: ${analyze.summary}`}
            </Task>
            <Task id="element" output={outputs.text} agent={agent} deps={{ analyze: outputs.analysis }}>
              {({ analyze }, ctx) => (
                <>
                  <h2>Task {ctx.taskId}</h2>
                  <ul>
                    <li>{analyze.summary}</li>
                    <li>
                      <code>{analyze.severity}</code>
                    </li>
                  </ul>
                </>
              )}
            </Task>
            <Task id="data" output={outputs.text} agent={agent} deps={{ analyze: outputs.analysis }}>
              {({ analyze }) => Effect.succeed(`Data: ${JSON.stringify(analyze)}`)}
            </Task>
            <Task id="shown" output={outputs.text} agent={agent}>
              {() => ({ shown: ["as", "JSON"] })}
            </Task>
            <Task id="effect" output={outputs.text} agent={agent}>
              {() => Effect.succeed(<em>emphasis</em>)}
            </Task>
            <Task id="nothing" output={outputs.text} agent={agent} noRetry>
              {/* @ts-expect-error a prompt says something */}
              {() => undefined}
            </Task>
          </Workflow>
        ))
        const result = yield* run(workflow)
        expect(asked.map(({ prompt }) => prompt)).toEqual([
          "Summarize: a < b",
          "## Task element\n\n- a < b\n- `high`",
          'Data: {"summary":"a < b","severity":"high"}',
          '{\n  "shown": [\n    "as",\n    "JSON"\n  ]\n}',
          "*emphasis*",
        ])
        expect(result).toMatchObject({ status: "failed", error: { nodeId: "nothing", error: { name: "TypeError" } } })
      }),
    ),
  )

  it.effect("made with createAgent is told what its instructions make of the run's input, call by call", () =>
    onMemory(
      Effect.gen(function* () {
        const { MockLanguageModelV4 } = yield* Effect.promise(() => import("ai/test"))
        const model = new MockLanguageModelV4({
          doGenerate: async () => ({
            content: [{ type: "text", text: valid }],
            finishReason: { unified: "stop", raw: "stop" },
            usage: {
              inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
              outputTokens: { total: 2, text: 2, reasoning: 0 },
            },
            warnings: [],
          }),
        })
        const agent = createAgent({ name: "analyzer", model, instructions: ({ what }) => `You look into ${what}.` })
        const result = yield* Effect.provide(one(agent).run({ what: "the bug" }), Smithers.memory)
        expect(result).toMatchObject({ status: "finished", output: { summary: "fine" } })
        const [call] = model.doGenerateCalls
        expect(call?.prompt[0]).toMatchObject({ role: "system", content: "You look into the bug." })
        expect(call?.responseFormat).toMatchObject({ type: "json" })
      }),
    ),
  )
})

describe("a task with an agent, where nothing can ask agents,", () => {
  it.effect("fails when it begins, before its prompt is made, and says what to provide", () =>
    Effect.gen(function* () {
      const { agent, asked } = scripted("coder", valid)
      let prompts = 0
      const workflow = smithers(() => (
        <Workflow name="w">
          <Task id="analyze" output={outputs.analysis} agent={agent}>
            {() => {
              prompts++
              return "Analyze."
            }}
          </Task>
        </Workflow>
      ))
      // @ts-expect-error: the types say that an AgentRunner is missing
      const bare: Effect.Effect<unknown, unknown> = Effect.provide(workflow.run({}, { runId: "r" }), Core.memory)
      const failed = yield* bare
      expect(failed).toMatchObject({
        status: "failed",
        error: {
          _tag: "StepFailed",
          nodeId: "analyze",
          attempts: 1,
          error: { name: "NoAgentRunner", retryable: false, notRetried: "runner" },
        },
      })
      expect(JSON.stringify(failed)).toContain("Provide the layer of @smithers/agents/AgentProgram to the run")
      expect([prompts, asked.length]).toEqual([0, 0])
    }),
  )

  it.effect("goes on where it is resumed with what can", () =>
    Effect.gen(function* () {
      const { agent } = scripted("coder", valid)
      const workflow = one(agent)
      const services = yield* Layer.build(Core.memory)
      // @ts-expect-error: the types say that an AgentRunner is missing
      const bare: Effect.Effect<unknown, unknown> = Effect.provide(workflow.run({ what: "it" }, { runId: "r" }), services)
      expect(yield* bare).toMatchObject({ status: "failed" })
      const resumed = workflow.resume("r").pipe(Effect.provide(services), Effect.provide(AgentProgram.layer))
      expect(yield* resumed).toMatchObject({ severity: "low" })
    }).pipe(Effect.scoped),
  )
})
