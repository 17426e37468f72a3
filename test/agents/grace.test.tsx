/** What does not listen when it is stopped: tools and agents that ignore the signal of their call. */
import { createAnthropic } from "@ai-sdk/anthropic"
import { describe, expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import { createAgent } from "@smithers/agents/createAgent"
import { defineTool } from "@smithers/agents/defineTool"
import type { AnyAgent } from "@smithers/core/Agent"
import * as Codec from "@smithers/core/Codec"
import { ToolLoopAgent, type ToolSet, tool } from "ai"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { createSmithers, Smithers } from "smithers-orchestrator"
import * as z from "zod"
import * as FakeProvider from "../providers/FakeProvider.ts"
import { calls, says } from "../providers/FakeProvider.ts"
import * as Journals from "./Journals.ts"

/** Longer than any test takes, in milliseconds. */
const deafMs = 60_000

const Nothing = Schema.Struct({})

const deaf = () => {
  const timers: Array<ReturnType<typeof setTimeout>> = []
  let begun = 0
  const wait = () =>
    new Promise<string>((resolve) => {
      begun++
      timers.push(setTimeout(() => resolve("at last"), deafMs))
    })
  const tools: { readonly [kind: string]: ToolSet } = {
    "a tool of the SDK": { deaf: tool({ description: "Waits.", inputSchema: z.object({}), execute: wait }) },
    "a tool that gives a promise": { deaf: defineTool({ description: "Waits.", input: Nothing, execute: wait }) },
    "a tool that gives an Effect": {
      deaf: defineTool({
        description: "Waits.",
        input: Nothing,
        execute: () => Effect.uninterruptible(Effect.promise(wait)),
      }),
    },
  }
  return { tools, begun: () => begun, end: Effect.sync(() => timers.forEach(clearTimeout)) }
}

const script: FakeProvider.Script = [
  { when: { results: false }, answer: calls({ name: "deaf", input: {} }) },
  { answer: says("told that the tool did not end") },
]

const modelOf = ({ v1 }: FakeProvider.FakeProvider) => createAnthropic({ baseURL: v1, apiKey: "k" })("claude-sonnet-4-5")

const context = { input: {}, runId: "r", stepId: "s", iteration: 0, attempt: 1, idempotencyKey: "r:s:0" }

const asked = (agent: AnyAgent, signal: AbortSignal, graceMs?: number) =>
  AgentProgram.run({
    ...{ agents: [agent], prompt: "go", output: Codec.make(Schema.String), isText: true, context, signal },
    ...{ journal: Journals.make(), feedback: [], corrections: 0, onTurn: () => undefined, graceMs },
  })

const elapsed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const begun = performance.now()
    const exit = yield* Effect.exit(effect)
    return { exit, ms: performance.now() - begun }
  })

const until = (holds: () => boolean) =>
  Effect.gen(function* () {
    while (!holds()) yield* Effect.sleep(5)
  })

for (const kind of Object.keys(deaf().tools))
  describe(`${kind} and ignores its signal`, () => {
    for (const [name, make] of Object.entries({
      "an agent of createAgent": (model: ReturnType<typeof modelOf>, tools: ToolSet) => createAgent({ name: "a", model, tools }),
      "an agent of the SDK": (model: ReturnType<typeof modelOf>, tools: ToolSet) => new ToolLoopAgent({ id: "a", model, tools }),
    })) {
      it.scopedLive(`does not hold up ${name} whose signal is aborted beyond the grace period`, () =>
        Effect.gen(function* () {
          const { tools, begun, end } = deaf()
          yield* Effect.addFinalizer(() => end)
          const agent = make(modelOf(yield* FakeProvider.serve(script)), tools[kind] ?? {})
          const controller = new AbortController()
          const fiber = yield* Effect.fork(asked(agent, controller.signal, 300))
          yield* until(() => begun() === 1)
          controller.abort()
          const { exit, ms } = yield* elapsed(Fiber.join(fiber))
          expect(Exit.isInterrupted(exit)).toBe(true)
          expect(ms).toBeLessThan(deafMs / 4)
        }),
      )
    }

    it.scopedLive("does not hold up the timeout of its step", () =>
      Effect.gen(function* () {
        const { tools, begun, end } = deaf()
        yield* Effect.addFinalizer(() => end)
        const agent = createAgent({ name: "a", model: modelOf(yield* FakeProvider.serve(script)), tools: tools[kind] ?? {} })
        const { Workflow, Task, smithers } = createSmithers({})
        const flow = smithers(() => (
          <Workflow name="deaf">
            <Task id="ask" agent={agent} timeout="3s" retries={0}>
              Go.
            </Task>
          </Workflow>
        ))
        const { exit, ms } = yield* elapsed(Effect.provide(flow.run({}), Smithers.memory))
        expect(Exit.isSuccess(exit) && exit.value).toMatchObject({ status: "failed", error: { _tag: "StepTimedOut" } })
        expect(begun()).toBe(1)
        expect(ms).toBeLessThan(deafMs / 4)
      }),
    )

    it.scopedLive("does not hold up the timeout of its agent", () =>
      Effect.gen(function* () {
        const { tools, begun, end } = deaf()
        yield* Effect.addFinalizer(() => end)
        const model = modelOf(yield* FakeProvider.serve(script))
        const agent = createAgent({ name: "a", model, tools: tools[kind] ?? {}, timeout: 2000 })
        const { exit, ms } = yield* elapsed(Effect.flip(asked(agent, new AbortController().signal)))
        expect(Exit.isSuccess(exit) && exit.value).toMatchObject({ _tag: "AgentFailed", retryable: true })
        expect(begun()).toBe(1)
        expect(ms).toBeLessThan(deafMs / 4)
      }),
    )

    it.scopedLive("ends for the model at the timeout of tools, as a call whose outcome is not known", () =>
      Effect.gen(function* () {
        const { tools, begun, end } = deaf()
        yield* Effect.addFinalizer(() => end)
        const fake = yield* FakeProvider.serve(script)
        const agent = createAgent({ name: "a", model: modelOf(fake), tools: tools[kind] ?? {}, timeout: { toolMs: 200 } })
        expect(yield* asked(agent, new AbortController().signal)).toBe("told that the tool did not end")
        expect(begun()).toBe(1)
        expect(fake.requests.at(-1)?.results).toMatchObject([
          { tool: "deaf", text: expect.stringContaining("its outcome is not known"), isError: true },
        ])
      }),
    )
  })

describe("an agent that is stopped", () => {
  it.scopedLive("ends with its tool, if the tool listens", () =>
    Effect.gen(function* () {
      let begun = 0
      const listening = defineTool({
        description: "Waits.",
        input: Nothing,
        execute: (_, { signal }) =>
          new Promise<string>((_, reject) => {
            begun++
            signal?.addEventListener("abort", () => reject(new Error("stopped")))
          }),
      })
      const fake = yield* FakeProvider.serve(script)
      const agent = createAgent({ name: "a", model: modelOf(fake), tools: { deaf: listening } })
      const controller = new AbortController()
      const fiber = yield* Effect.fork(asked(agent, controller.signal, deafMs))
      yield* until(() => begun === 1)
      controller.abort()
      const { exit, ms } = yield* elapsed(Fiber.join(fiber))
      expect(Exit.isInterrupted(exit)).toBe(true)
      expect(ms).toBeLessThan(deafMs / 4)
      expect(fake.requests.length).toBe(1)
    }),
  )

  it.scopedLive("may clean up before the attempt ends", () =>
    Effect.gen(function* () {
      let isClean = false
      const agent: AnyAgent = {
        generate: ({ abortSignal }) =>
          new Promise((_, reject) => {
            abortSignal?.addEventListener("abort", () => {
              setTimeout(() => {
                isClean = true
                reject(abortSignal.reason)
              }, 100)
            })
          }),
      }
      const controller = new AbortController()
      const fiber = yield* Effect.fork(asked(agent, controller.signal))
      yield* Effect.sleep(10)
      controller.abort()
      expect(Exit.isInterrupted(yield* Fiber.interrupt(fiber))).toBe(true)
      expect(isClean).toBe(true)
    }),
  )

  it.scopedLive("ends after the grace period also where it is an Effect that cannot be interrupted", () =>
    Effect.gen(function* () {
      let isOver = false
      const generate = () =>
        Effect.uninterruptible(
          Effect.async<never>((_) => {
            const timer = setTimeout(() => undefined, deafMs)
            return Effect.sync(() => {
              isOver = true
              clearTimeout(timer)
            })
          }),
        )
      const fiber = yield* Effect.fork(asked({ generate }, new AbortController().signal, 100))
      yield* Effect.sleep(10)
      const { ms } = yield* elapsed(Fiber.interrupt(fiber))
      expect(isOver).toBe(false)
      expect(ms).toBeLessThan(deafMs / 4)
    }),
  )
})
