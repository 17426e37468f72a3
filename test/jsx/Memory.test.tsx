/** The memory of tasks. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createSmithers, Smithers } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, Sequence, smithers, outputs } = createSmithers(
  { note: z.object({ style: z.string(), words: z.number() }), n: z.number(), text: z.string() },
  { input: z.object({ user: z.string() }) },
)

const onMemory = Effect.provide(Smithers.memory)

const listening = () => {
  const prompts: Array<string> = []
  const agent = {
    name: "x",
    generate: ({ prompt }: { readonly prompt: string }) => {
      prompts.push(prompt)
      return Promise.resolve({ text: "done" })
    },
  }
  return { agent, prompts }
}

it.effect("a task remembers what its functions make of the output and ctx, and another recalls it", () =>
  Effect.gen(function* () {
    const { agent, prompts } = listening()
    const flow = smithers(() => (
      <Workflow name="w">
        <Sequence>
          <Task
            id="note"
            output={outputs.note}
            memory={{
              namespace: (ctx) => `user:${ctx.input.user}`,
              remember: { facts: (output, ctx) => ({ style: output.style, last: ctx.runId }) },
            }}
          >
            {{ style: "brief", words: 3 }}
          </Task>
          <Task
            id="count"
            output={outputs.n}
            memory={{ remember: { key: (_, ctx) => `words-${ctx.input.user}`, value: (n) => ({ n }), ttl: "1 day" } }}
          >
            {(ctx) => ctx.output(outputs.note, { nodeId: "note" }).words}
          </Task>
          <Task
            id="write"
            output={outputs.text}
            agent={agent}
            memory={{
              recall: {
                namespace: (ctx) => `user:${ctx.input.user}`,
                keys: (ctx) => [ctx.input.user === "ann" ? "style" : "last"],
              },
            }}
          >
            Write.
          </Task>
        </Sequence>
      </Workflow>
    ))
    yield* flow.execute({ user: "ann" }, { runId: "r1" })
    yield* flow.execute({ user: "bob" }, { runId: "r2" })
    const all = yield* Smithers.facts()
    expect(all.map(({ namespace, key, value }) => [namespace, key, value])).toEqual([
      ["user:ann", "last", "r1"],
      ["user:ann", "style", "brief"],
      ["user:bob", "last", "r2"],
      ["user:bob", "style", "brief"],
      ["workflow:w", "words-ann", { n: 3 }],
      ["workflow:w", "words-bob", { n: 3 }],
    ])
    expect(prompts[0]).toContain(`{"key":"style","value":"brief"}`)
    expect(prompts[0]).not.toContain("r1")
    expect(prompts[1]).toContain(`{"key":"last","value":"r2"}`)
  }).pipe(onMemory),
)

it.effect("an empty memory is none, also of a task that has a value", () =>
  Effect.gen(function* () {
    const flow = smithers(() => (
      <Workflow name="w">
        <Task id="a" output={outputs.n} memory={{}}>
          {1}
        </Task>
      </Workflow>
    ))
    expect(yield* flow.execute({ user: "ann" })).toBe(1)
    expect(yield* Smithers.facts()).toEqual([])
  }).pipe(onMemory),
)

it.effect.each([
  [{ recall: true }, `it has "memory.recall" and no agent`],
  [{ forget: true }, `"memory" has no option "forget"; there are namespace, recall, remember`],
  [{ remember: "all" }, `"memory.remember" must be true, an object, or a function that returns facts by key`],
  [{ remember: { key: 5 } }, `"memory.remember.key" must be text, or a function that returns it`],
  [{ remember: { facts: () => ({}), key: "k" } }, `it has "memory.remember.facts" beside "key" or "value"`],
  [{ namespace: "" }, `"memory.namespace" must be text`],
  [[], `"memory" must be an object`],
] as const)("a memory that is %j is refused, with the reason", ([memory, problem]) =>
  Effect.gen(function* () {
    const flow = smithers(() => (
      <Workflow name="w">
        <Task id="a" output={outputs.n} memory={memory as never}>
          {1}
        </Task>
      </Workflow>
    ))
    const error = yield* Effect.flip(flow.execute({ user: "ann" }))
    expect(error.message).toContain(problem)
  }).pipe(onMemory),
)
