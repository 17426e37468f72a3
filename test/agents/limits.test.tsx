/** Limits of agents and tools: each call of a model, and of a tool, waits for a slot and gives it back. */
import { MockLanguageModelV4, simulateReadableStream } from "ai/test"
import { Effect, Schema } from "effect"
import { createAgent, createSmithers, defineTool, Parallel, Smithers, Task, Workflow } from "smithers-orchestrator"
import { describe, expect, it } from "vitest"
import * as z from "zod"

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
}
const stop = { unified: "stop" as const, raw: undefined }

/** Counts what is at work. */
const witness = () => {
  const seen = { now: 0, most: 0, calls: 0 }
  const during = async <A,>(act: () => Promise<A>): Promise<A> => {
    seen.calls++
    seen.now++
    seen.most = Math.max(seen.most, seen.now)
    try {
      return await act()
    } finally {
      seen.now--
    }
  }
  return { seen, during }
}

const answer = { content: [{ type: "text" as const, text: '{"text":"done"}' }], finishReason: stop, usage, warnings: [] }

/** A model that takes a while for each reply. */
const modelOf = (during: ReturnType<typeof witness>["during"], ms = 15) =>
  new MockLanguageModelV4({
    doGenerate: () =>
      during(async () => {
        await Bun.sleep(ms)
        return answer
      }),
  })

const { smithers, outputs } = createSmithers({ done: z.object({ text: z.string() }) }, { input: z.object({ n: z.number() }) })
type Agent = ReturnType<typeof createAgent>

/** A workflow with tasks that ask one agent, all at once. */
const asking = (agent: Agent, count = 1, props: { readonly limit?: string; readonly timeout?: number } = {}) =>
  smithers(() => (
    <Workflow name="asking">
      {Array.from({ length: count }, (_, index) => (
        <Task key={index} id={`t${index}`} output={outputs.done} agent={agent} retries={0} {...props}>
          Do it.
        </Task>
      ))}
    </Workflow>
  ))

const running = <A, E>(limits: Smithers.RuntimeOptions["limits"], effect: Effect.Effect<A, E, Smithers.Runtime>) =>
  Effect.runPromise(
    Effect.provide(
      effect,
      Smithers.sqlite({ filename: ":memory:", maxConcurrency: 8, grace: "50 millis", ...(limits === undefined ? {} : { limits }) }),
    ),
  )

describe("a limit of an agent", () => {
  it("holds for the calls of its model in all runs together", async () => {
    const { seen, during } = witness()
    const agent = createAgent({ name: "writer", model: modelOf(during), limit: "api" })
    const parallel = smithers(() => (
      <Workflow name="wide">
        <Parallel>
          {["a", "b", "c", "d"].map((id) => (
            <Task key={id} id={id} output={outputs.done} agent={agent} retries={0}>
              Do it.
            </Task>
          ))}
        </Parallel>
      </Workflow>
    ))
    await running(
      { api: { concurrency: 2 } },
      Effect.all(
        [1, 2, 3].map((n) => parallel.execute({ n })),
        { concurrency: "unbounded" },
      ),
    )
    expect(seen).toEqual({ now: 0, most: 2, calls: 12 })
  })

  it("has slots for each key that a function of the input gives", async () => {
    const { seen, during } = witness()
    const agent = createAgent<{ n: number }>({
      name: "writer",
      model: modelOf(during, 60),
      limit: ({ n }) => ({ name: "api", key: `customer ${n % 2}` }),
    })
    const flow = asking(agent)
    await running(
      { api: { concurrency: 1 } },
      Effect.all(
        [1, 2, 3, 4, 5, 6].map((n) => flow.execute({ n })),
        { concurrency: "unbounded" },
      ),
    )
    expect(seen).toEqual({ now: 0, most: 2, calls: 6 })
  })

  it("is held until a streamed reply has ended, and not while tools run", async () => {
    const { seen, during } = witness()
    let atWork = 0
    let mostAtWork = 0
    const tool = defineTool({
      description: "Works.",
      input: Schema.Struct({}),
      execute: async () => {
        mostAtWork = Math.max(mostAtWork, ++atWork)
        await Bun.sleep(60)
        atWork--
        return "worked"
      },
    })
    const model = new MockLanguageModelV4({
      doStream: async ({ prompt }) => {
        const isFirst = prompt.at(-1)?.role !== "tool"
        const ended = Promise.withResolvers<void>()
        const began = Promise.withResolvers<void>()
        void during(async () => {
          began.resolve()
          await ended.promise
        })
        await began.promise
        const said = isFirst
          ? [{ type: "tool-call" as const, toolCallId: "c", toolName: "work", input: "{}" }]
          : [
              { type: "text-start" as const, id: "1" },
              { type: "text-delta" as const, id: "1", delta: '{"text":"done"}' },
              { type: "text-end" as const, id: "1" },
            ]
        const finish = {
          type: "finish" as const,
          finishReason: isFirst ? { unified: "tool-calls" as const, raw: undefined } : stop,
          usage,
        }
        const stream = simulateReadableStream({
          chunks: [{ type: "stream-start" as const, warnings: [] }, ...said, finish],
          chunkDelayInMs: 5,
        })
        const ending = new TransformStream({ flush: () => ended.resolve() })
        return { stream: stream.pipeThrough(ending) }
      },
    })
    const agent = createAgent({ name: "writer", model, stream: true, tools: { work: tool }, limit: "api" })
    const flow = asking(agent)
    await running(
      { api: { concurrency: 1 } },
      Effect.all(
        [1, 2, 3].map((n) => flow.execute({ n })),
        { concurrency: "unbounded" },
      ),
    )
    expect(seen).toEqual({ now: 0, most: 1, calls: 6 })
    expect(mostAtWork).toBeGreaterThan(1)
  })

  it("needs no second slot where the task holds one of the same limit", async () => {
    const { seen, during } = witness()
    const agent = createAgent({ name: "writer", model: modelOf(during), limit: "api" })
    const flow = asking(agent, 1, { limit: "api" })
    await running(
      { api: { concurrency: 1 } },
      Effect.all(
        [1, 2, 3].map((n) => flow.execute({ n })),
        { concurrency: "unbounded" },
      ),
    )
    expect(seen).toEqual({ now: 0, most: 1, calls: 3 })
  })

  it("takes no time of the task's timeout while its calls wait", async () => {
    const { seen, during } = witness()
    const agent = createAgent({ name: "writer", model: modelOf(during, 300), limit: "api" })
    const flow = asking(agent, 1, { timeout: 700 })
    const results = await running(
      { api: { concurrency: 1 } },
      Effect.all(
        [1, 2, 3, 4].map((n) => flow.run({ n })),
        { concurrency: "unbounded" },
      ),
    )
    expect(results.map(({ status }) => status)).toEqual(["finished", "finished", "finished", "finished"])
    expect(seen.most).toBe(1)
  })

  it("lets a cancellation through while a call waits, and says in the run what it waits for", async () => {
    const { seen, during } = witness()
    const agent = createAgent({ name: "writer", model: modelOf(during, 60_000), limit: "api" })
    const flow = asking(agent)
    await running(
      { api: { concurrency: 1 } },
      Effect.gen(function* () {
        yield* flow.start({ n: 1 }, { runId: "first" })
        yield* Effect.promise(async () => {
          while (seen.now === 0) await Bun.sleep(2)
        })
        const second = yield* flow.start({ n: 2 }, { runId: "second" })
        for (;;) {
          const slots = yield* Effect.orElseSucceed(
            Effect.map(Smithers.inspect("second"), ({ slots = [] }) => slots),
            () => [],
          )
          if (slots.length > 0) {
            expect(slots).toMatchObject([{ name: "api", nodeId: "t0", attempt: 1, before: 0 }])
            break
          }
          yield* Effect.sleep(5)
        }
        yield* Smithers.cancel("second")
        yield* Effect.either(second.await)
        const ended = yield* Smithers.inspect("second")
        expect([ended.run.status, ended.slots]).toEqual(["cancelled", undefined])
        expect(seen.calls).toBe(1)
      }),
    )
  })

  it("that is unknown is refused before anything begins; one that a function names fails the task without a retry", async () => {
    const { seen, during } = witness()
    const named = asking(createAgent({ name: "writer", model: modelOf(during), limit: "antropic" }))
    const computed = asking(createAgent({ name: "writer", model: modelOf(during), limit: () => "antropic" }))
    const ofTool = defineTool({ description: "Works.", input: Schema.Struct({}), limit: "antropic", execute: () => "" })
    const tooled = asking(createAgent({ name: "writer", model: modelOf(during), tools: { work: ofTool } }))
    const errors = await running(
      { anthropic: { concurrency: 1 } },
      Effect.forEach([named, computed, tooled], (flow) => Effect.flip(flow.execute({ n: 1 }))),
    )
    expect(errors.map(({ _tag }) => _tag)).toEqual(["InvalidWorkflow", "StepFailed", "InvalidWorkflow"])
    for (const { message } of errors) expect(message).toContain('Did you mean "anthropic"?')
    expect(seen.calls).toBe(0)
  })
})

describe("a limit of a tool", () => {
  it("holds for its calls, whatever model calls them at once", async () => {
    const { seen, during } = witness()
    const work = defineTool({
      description: "Works.",
      input: Schema.Struct({ item: Schema.Number }),
      limit: ({ input }) => ({ name: "hub", key: input.item < 4 ? "low" : "high" }),
      execute: () => during(() => Bun.sleep(20)),
    })
    const model = new MockLanguageModelV4({
      doGenerate: async ({ prompt }) => {
        if (prompt.at(-1)?.role === "tool") return answer
        const content = Array.from({ length: 8 }, (_, item) => ({
          type: "tool-call" as const,
          toolCallId: `c${item}`,
          toolName: "work",
          input: JSON.stringify({ item }),
        }))
        return { content, finishReason: { unified: "tool-calls" as const, raw: undefined }, usage, warnings: [] }
      },
    })
    const flow = asking(createAgent({ name: "writer", model, tools: { work } }))
    await running(
      { hub: { concurrency: 1 } },
      Effect.all(
        [1, 2].map((n) => flow.execute({ n })),
        { concurrency: "unbounded" },
      ),
    )
    expect(seen).toEqual({ now: 0, most: 2, calls: 16 })
  })

  it("leaves no intent of a call that waits for its slot: a crash then leaves nothing whose outcome is not known", async () => {
    const statuses: Array<ReadonlyArray<string>> = []
    let read = async (): Promise<ReadonlyArray<string>> => []
    const work = defineTool({
      description: "Works.",
      input: Schema.Struct({ item: Schema.Number }),
      limit: "hub",
      execute: async () => {
        await Bun.sleep(20)
        statuses.push(await read())
        return "worked"
      },
    })
    const model = new MockLanguageModelV4({
      doGenerate: async ({ prompt }) => {
        if (prompt.at(-1)?.role === "tool") return answer
        const content = [0, 1].map((item) => {
          const input = JSON.stringify({ item })
          return { type: "tool-call" as const, toolCallId: `c${item}`, toolName: "work", input }
        })
        return { content, finishReason: { unified: "tool-calls" as const, raw: undefined }, usage, warnings: [] }
      },
    })
    const flow = asking(createAgent({ name: "writer", model, tools: { work } }))
    const program = Effect.gen(function* () {
      const runtime = yield* Effect.runtime<Smithers.Runtime>()
      read = async () => {
        const found = await Effect.runPromise(Effect.provide(Smithers.conversations("r"), runtime))
        return found.flatMap(({ calls }) => calls.map(({ status }) => status))
      }
      return yield* flow.execute({ n: 1 }, { runId: "r" })
    })
    await running({ hub: { concurrency: 1 } }, program)
    expect(statuses).toEqual([["started"], ["finished", "started"]])
  })
})

describe.concurrent("a run whose agent waits long for a slot is released, and goes on at its place", () => {
  it("of its model, without asking or calling anything twice", async () => {
    const gate = Promise.withResolvers<void>()
    const held = Promise.withResolvers<void>()
    const hold = Smithers.createWorkflow({ name: "hold", input: Schema.Struct({}) }).build(($) =>
      $.step("hold", {
        output: Schema.String,
        limit: "api",
        run: async () => {
          held.resolve()
          await gate.promise
          return "held"
        },
      }),
    )
    const counts = { model: 0, tool: 0 }
    let begin = async (): Promise<void> => {}
    const work = defineTool({
      description: "Works.",
      input: Schema.Struct({}),
      execute: async () => {
        counts.tool++
        await begin()
        await held.promise
        return "worked"
      },
    })
    const model = new MockLanguageModelV4({
      doGenerate: async ({ prompt }) => {
        counts.model++
        if (prompt.at(-1)?.role === "tool") return answer
        const call = { type: "tool-call" as const, toolCallId: "c", toolName: "work", input: "{}" }
        return { content: [call], finishReason: { unified: "tool-calls" as const, raw: undefined }, usage, warnings: [] }
      },
    })
    const flow = asking(createAgent({ name: "writer", model, tools: { work }, limit: "api" }))
    const program = Effect.gen(function* () {
      const runtime = yield* Effect.runtime<Smithers.Runtime>()
      begin = async () => {
        await Effect.runPromise(Effect.provide(hold.start({}, { runId: "h" }), runtime))
      }
      const waiting = yield* flow.run({ n: 1 }, { runId: "r" })
      const shown = yield* Smithers.inspect("r")
      const before = { ...counts }
      gate.resolve()
      yield* hold.attach("h").pipe(Effect.flatMap(({ result }) => result))
      const result = yield* flow.run({ n: 1 }, { runId: "r" })
      return { waiting, shown, before, result, after: yield* Smithers.inspect("r") }
    })
    const { waiting, shown, before, result, after } = await running({ api: { concurrency: 1 } }, program)
    expect(waiting).toMatchObject({ status: "waiting-quota", waits: [{ nodeId: "t0", kind: "slot", limit: { name: "api" } }] })
    expect(shown).toMatchObject({ run: { status: "waiting-quota", owner: null }, slots: [{ nodeId: "t0", before: 0 }] })
    expect(before).toEqual({ model: 1, tool: 1 })
    expect(result).toMatchObject({ status: "finished" })
    expect(counts).toEqual({ model: 2, tool: 1 })
    expect(after.attempts.map(({ status }) => status)).toEqual(["interrupted", "succeeded"])
  }, 60_000)

  it("of a tool call, once the other calls of the reply have ended, which are not made again", async () => {
    const gate = Promise.withResolvers<void>()
    const held = Promise.withResolvers<void>()
    const hold = Smithers.createWorkflow({ name: "hold", input: Schema.Struct({}) }).build(($) =>
      $.step("hold", {
        output: Schema.String,
        limit: "api",
        run: async () => {
          held.resolve()
          await gate.promise
          return "held"
        },
      }),
    )
    const counts = { model: 0, slow: 0, quick: 0, paid: 0 }
    const free = (name: "slow" | "quick", ms: number) =>
      defineTool({
        description: "Works.",
        input: Schema.Struct({}),
        execute: async () => {
          counts[name]++
          await Bun.sleep(ms)
          return "worked"
        },
      })
    const paid = (needsApproval: boolean) =>
      defineTool({
        description: "Pays.",
        input: Schema.Struct({}),
        limit: "api",
        needsApproval: () => needsApproval,
        execute: async () => {
          counts.paid++
          return "paid"
        },
      })
    const model = new MockLanguageModelV4({
      doGenerate: async ({ prompt }) => {
        counts.model++
        if (prompt.at(-1)?.role === "tool") return answer
        const content = ["slow", "quick", "paid", "approved"].map((toolName) => ({
          type: "tool-call" as const,
          toolCallId: toolName,
          toolName,
          input: "{}",
        }))
        return { content, finishReason: { unified: "tool-calls" as const, raw: undefined }, usage, warnings: [] }
      },
    })
    const tools = { slow: free("slow", 1500), quick: free("quick", 1), paid: paid(false), approved: paid(true) }
    const flow = asking(createAgent({ name: "writer", model, tools }))
    const program = Effect.gen(function* () {
      const runtime = yield* Effect.runtime<Smithers.Runtime>()
      const open = Promise.withResolvers<void>()
      void Effect.runPromise(Effect.provide(hold.execute({}, { runId: "h" }), runtime)).then(() => open.resolve())
      yield* Effect.promise(() => held.promise)
      const waiting = yield* flow.run({ n: 1 }, { runId: "r" })
      const shown = yield* Smithers.inspect("r")
      const before = { ...counts }
      gate.resolve()
      yield* Effect.promise(() => open.promise)
      const asked = yield* flow.run({ n: 1 }, { runId: "r" })
      yield* Smithers.approve("r", "t0")
      const result = yield* flow.run({ n: 1 }, { runId: "r" })
      const calls = (yield* Smithers.conversations("r")).flatMap(({ calls }) => calls.map(({ tool, status }) => [tool, status]))
      return { waiting, shown, before, asked, result, calls }
    })
    const { waiting, shown, before, asked, result, calls } = await running({ api: { concurrency: 1 } }, program)
    expect(waiting).toMatchObject({ status: "waiting-quota", waits: [{ nodeId: "t0", kind: "slot", limit: { name: "api" } }] })
    expect(shown).toMatchObject({ run: { status: "waiting-quota", owner: null }, slots: [{ nodeId: "t0", before: 0 }] })
    expect(before).toEqual({ model: 1, slow: 1, quick: 1, paid: 0 })
    expect(asked.status).toBe("waiting-approval")
    expect(result).toMatchObject({ status: "finished" })
    expect(counts).toEqual({ model: 2, slow: 1, quick: 1, paid: 2 })
    expect(calls).toEqual(["slow", "quick", "paid", "approved"].map((tool) => [tool, "finished"]))
  }, 60_000)
})

describe("a limit of a Task", () => {
  it("may be a function of ctx", async () => {
    const { seen, during } = witness()
    const flow = smithers((ctx) => (
      <Workflow name="keyed">
        <Task
          id="call"
          output={outputs.done}
          limit={({ input }) => ({ name: "api", key: String(input.n) })}
          meta={{ n: ctx.input.n }}
        >
          {async () => {
            await during(() => Bun.sleep(30))
            return { text: "done" }
          }}
        </Task>
      </Workflow>
    ))
    await running(
      { api: { concurrency: 1 } },
      Effect.all(
        [1, 1, 1, 2].map((n) => flow.execute({ n })),
        { concurrency: "unbounded" },
      ),
    )
    expect(seen).toEqual({ now: 0, most: 2, calls: 4 })
  })
})
