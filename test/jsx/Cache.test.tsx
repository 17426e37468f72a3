/** The cache of outputs of tasks. */
import { expect, it } from "@effect/vitest"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { createSmithers, Smithers } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, Sequence, smithers, outputs } = createSmithers(
  { text: z.string(), n: z.number() },
  { input: z.object({ n: z.number() }) },
)

const onMemory = Effect.provide(Smithers.memory)

const counting = () => {
  let asked = 0
  const make = (model: string) => ({ name: "x", model, generate: () => Promise.resolve({ text: `reply ${++asked}` }) })
  return { make, asked: () => asked }
}

it.effect("a task's agent is asked again where its prompt or model is another, and not where the input alone is", () =>
  Effect.gen(function* () {
    const { make, asked } = counting()
    const flow = (model: string) =>
      smithers((ctx) => (
        <Workflow name="w">
          <Task id="a" output={outputs.text} agent={make(model)} cache>
            Is {ctx.input.n % 2 === 0 ? "even" : "odd"}?
          </Task>
        </Workflow>
      ))
    expect(yield* flow("small").execute({ n: 1 }, { runId: "one" })).toBe("reply 1")
    expect(yield* flow("small").execute({ n: 3 }, { runId: "two" })).toBe("reply 1")
    expect(yield* flow("small").execute({ n: 2 })).toBe("reply 2")
    expect(yield* flow("large").execute({ n: 1 })).toBe("reply 3")
    expect(asked()).toBe(3)
    const { attempts } = yield* Effect.flatMap(Storage, (storage) => storage.inspect("two"))
    expect(attempts).toMatchObject([{ cachedFrom: "one" }])
  }).pipe(onMemory),
)

it.effect("a prompt that is a function is in the key as it is made", () =>
  Effect.gen(function* () {
    const { make, asked } = counting()
    const flow = smithers(() => (
      <Workflow name="w">
        <Sequence>
          <Task id="half" output={outputs.n}>
            {(ctx) => Math.floor(ctx.input.n / 2)}
          </Task>
          <Task id="a" output={outputs.text} agent={make("m")} cache dependsOn={["half"]}>
            {(ctx) => <p>Half is {ctx.output(outputs.n, { nodeId: "half" })}.</p>}
          </Task>
        </Sequence>
      </Workflow>
    ))
    for (const n of [2, 3, 4]) yield* flow.execute({ n })
    expect(asked()).toBe(2)
  }).pipe(onMemory),
)

it.effect("a task with code that reads outputs beside its deps is not cached, and says so", () =>
  Effect.gen(function* () {
    const logged: Array<string> = []
    const logger = Logger.make(({ message }) => logged.push(String(message)))
    let ran = 0
    const flow = smithers((ctx) => (
      <Workflow name="w">
        <Sequence>
          <Task id="half" output={outputs.n}>
            {(ctx) => Math.floor(ctx.input.n / 2)}
          </Task>
          {ctx.outputMaybe(outputs.n, { nodeId: "half" }) === undefined ? null : (
            <Task id="a" output={outputs.text} cache={{ version: "1" }}>
              {(ctx) => {
                ran++
                return `half ${ctx.output(outputs.n, { nodeId: "half" })}`
              }}
            </Task>
          )}
        </Sequence>
      </Workflow>
    ))
    const both = Effect.zipRight(flow.execute({ n: 2 }), flow.execute({ n: 2 }))
    yield* Effect.provide(both, Logger.replace(Logger.defaultLogger, logger))
    expect(ran).toBe(2)
    expect(logged.join()).toContain('step "a" is not cached: it has read outputs that are no part of its key')
  }).pipe(Effect.provide(Smithers.memory)),
)

it.effect("a task whose code has its deps as its key is taken over while they are the same", () =>
  Effect.gen(function* () {
    let ran = 0
    const flow = smithers(() => (
      <Workflow name="w">
        <Sequence>
          <Task id="half" output={outputs.n}>
            {(ctx) => Math.floor(ctx.input.n / 2)}
          </Task>
          <Task
            id="a"
            output={outputs.text}
            deps={{ half: outputs.n }}
            cache={{ key: (ctx) => ctx.output(outputs.n, { nodeId: "half" }), ttl: "1 day" }}
          >
            {({ half }) => `${++ran} for ${half}`}
          </Task>
        </Sequence>
      </Workflow>
    ))
    expect(yield* Effect.forEach([2, 3, 4], (n) => flow.execute({ n }))).toEqual(["1 for 1", "1 for 1", "2 for 2"])
  }).pipe(onMemory),
)

it("a scope that does not exist is refused with those that do", () => {
  const flow = () =>
    smithers(() => (
      <Workflow name="w">
        <Task id="a" output={outputs.text} cache={{ scope: "planet" as never }}>
          a
        </Task>
      </Workflow>
    )).execute({ n: 1 })
  return expect(Effect.runPromise(Effect.flip(flow()).pipe(onMemory))).resolves.toMatchObject({
    message: expect.stringContaining('"cache.scope" must be "run", "workflow", "store"'),
  })
})
