import { describe, expect, it } from "@effect/vitest"
import { Smithers } from "@smithers/core"
import * as Engine from "@smithers/core/Engine"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import type { StorageShape } from "@smithers/core/Storage"
import { ports } from "@smithers/core/Storage"
import { Deferred, Effect, Fiber, Layer, Schema, TestClock } from "effect"
import { rest, settled } from "./Time.ts"

const code = (hash: string) => ({ hash, files: [`${hash}.ts`] })

const declare = (maxConcurrency?: number) =>
  Smithers.createWorkflow({
    name: "test",
    input: Schema.Struct({}),
    ...(maxConcurrency === undefined ? {} : { maxConcurrency }),
  })

const makeGate = () => {
  const opened = Deferred.unsafeMake<void>(undefined as never)
  return { await: Deferred.await(opened), open: Deferred.succeed(opened, undefined) }
}

const inProcess = <A, E>(storage: StorageShape, effect: Effect.Effect<A, E, Smithers.Runtime>) =>
  Effect.scoped(
    Effect.flatMap(Layer.build(Engine.layer().pipe(Layer.provideMerge(Layer.succeedContext(ports(storage))))), (services) =>
      Effect.provide(effect, services),
    ),
  )

/** Attempts as `node#attempt@generation`. */
const attemptsOf = (storage: StorageShape, runId: string) =>
  Effect.map(storage.inspect(runId), ({ attempts }) =>
    attempts.map(({ nodeId, attempt, codeGeneration = 0 }) => `${nodeId}#${attempt}@${codeGeneration}`),
  )

const tagsOf = (storage: StorageShape, runId: string) =>
  Effect.map(storage.events(runId), (events) => events.map(({ event }) => event._tag))

describe("Reload", () => {
  it.effect("an attempt in flight ends with the code it began with, and what starts next runs the new code", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const gate = yield* Effect.sync(makeGate)
      const build = (version: string) =>
        declare().build(($) => {
          const first = $.step("first", { output: Schema.String, run: () => Effect.as(gate.await, `first by ${version}`) })
          const second = $.step("second", {
            needs: { first },
            output: Schema.String,
            run: ({ first }) => `${first}, second by ${version}`,
          })
          return $.sequence(first, second)
        })
      const result = yield* inProcess(
        storage,
        Effect.gen(function* () {
          const engine = yield* Engine.Engine
          yield* engine.noteCode("r", code("old"))
          const handle = yield* build("old").start({}, { runId: "r" })
          yield* rest
          expect(yield* engine.reload("r", build("new").definition, code("new"))).toEqual([
            { runId: "r", generation: 1, kept: 0, added: 0, removed: 0 },
          ])
          yield* gate.open
          return yield* handle.await
        }),
      )
      expect(result).toBe("first by old, second by new")
      expect(yield* attemptsOf(storage, "r")).toEqual(["first#1@0", "second#1@1"])
      const { generations } = yield* storage.inspect("r")
      expect(generations).toMatchObject([
        { generation: 0, code: code("old") },
        { generation: 1, code: code("new") },
      ])
      expect(yield* tagsOf(storage, "r")).toContain("CodeReloaded")
    }),
  )

  it.effect("tasks that new code adds run, those that it removes do not, and finished ones stay", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const gate = makeGate()
      const ran: Array<string> = []
      const build = (ids: ReadonlyArray<string>) =>
        declare().build(($) =>
          $.sequence(
            ...ids.map((id) =>
              $.step(id, {
                output: Schema.String,
                run: () => {
                  ran.push(id)
                  return id === "slow" ? Effect.as(gate.await, id) : Effect.succeed(id)
                },
              }),
            ),
          ),
        )
      yield* inProcess(
        storage,
        Effect.gen(function* () {
          const engine = yield* Engine.Engine
          const handle = yield* build(["done", "slow", "later"]).start({}, { runId: "r" })
          yield* rest
          const [reloaded] = yield* engine.reload("r", build(["done", "before", "slow", "after"]).definition, code("new"))
          expect(reloaded).toEqual({ runId: "r", generation: 1, kept: 1, added: 2, removed: 1 })
          yield* gate.open
          yield* handle.await
        }),
      )
      expect(ran).toEqual(["done", "slow", "before", "after"])
    }),
  )

  it.effect("a task that leaves the plan while it runs ends, and nothing follows from it", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const gate = makeGate()
      const build = (id: string) =>
        declare().build(($) => $.step(id, { output: Schema.String, run: () => (id === "old" ? Effect.as(gate.await, id) : id) }))
      const output = yield* inProcess(
        storage,
        Effect.gen(function* () {
          const engine = yield* Engine.Engine
          const handle = yield* build("old").start({}, { runId: "r" })
          yield* rest
          expect((yield* engine.reload("r", build("new").definition, code("new")))[0]).toMatchObject({ added: 1, removed: 1 })
          yield* rest
          yield* gate.open
          return yield* handle.await
        }),
      )
      expect(output).toBe("new")
      expect((yield* storage.inspect("r")).nodes.map(({ nodeId, status }) => [nodeId, status])).toEqual([
        ["new", "finished"],
        ["old", "finished"],
      ])
    }),
  )

  it.effect("a retry in back-off follows the new policy at its next decision", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const starts: Array<number> = []
      const build = (maxAttempts: number, initialDelay: string) =>
        declare().build(($) =>
          $.step("flaky", {
            output: Schema.String,
            retry: { maxAttempts, backoff: "constant", initialDelay: initialDelay as "1 second", jitter: false },
            run: () =>
              Effect.flatMap(Effect.clock, (clock) => {
                starts.push(clock.unsafeCurrentTimeMillis() / 1000)
                return Effect.fail(new Error("no"))
              }),
          }),
        )
      const pass = (duration: "1 second" | "5 seconds") => Effect.zipRight(TestClock.adjust(duration), rest)
      const error = yield* inProcess(
        storage,
        Effect.gen(function* () {
          const engine = yield* Engine.Engine
          const handle = yield* build(2, "5 seconds").start({}, { runId: "r" })
          yield* rest
          yield* engine.reload("r", build(4, "1 second").definition, code("new"))
          yield* pass("5 seconds")
          yield* pass("1 second")
          yield* pass("1 second")
          return yield* Effect.flip(handle.await)
        }),
      )
      expect(starts).toEqual([0, 5, 6, 7])
      expect(error).toMatchObject({ _tag: "StepFailed", attempts: 4 })
    }),
  )

  it.effect("a failure that comes after a reload is judged by the new policy", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const gate = makeGate()
      const build = (maxAttempts: number) =>
        declare().build(($) =>
          $.step("flaky", {
            output: Schema.Number,
            retry: { maxAttempts, initialDelay: 0 },
            run: ({ attempt }) =>
              attempt === 1 ? Effect.zipRight(gate.await, Effect.fail(new Error("no"))) : Effect.succeed(attempt),
          }),
        )
      const output = yield* inProcess(
        storage,
        Effect.gen(function* () {
          const engine = yield* Engine.Engine
          const handle = yield* build(1).start({}, { runId: "r" })
          yield* rest
          yield* engine.reload("r", build(2).definition, code("new"))
          yield* gate.open
          yield* rest
          yield* TestClock.adjust("1 second")
          return yield* handle.await
        }),
      )
      expect(output).toBe(2)
    }),
  )

  it.effect("concurrency and loop limits are those of the new code", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const gate = makeGate()
      let running = 0
      const build = (concurrency: number, maxIterations: number) =>
        declare(concurrency).build(($) => {
          const wide = ["a", "b", "c"].map((id) =>
            $.step(id, {
              output: Schema.String,
              run: () => {
                running++
                return Effect.as(gate.await, id)
              },
            }),
          )
          const again = $.step("again", { output: Schema.Number, run: ({ iteration }) => iteration })
          return $.sequence(
            $.parallel(...wide),
            $.loop({ id: "loop", body: again, until: () => false, maxIterations, onMaxReached: "return-last" }),
          )
        })
      const output = yield* inProcess(
        storage,
        Effect.gen(function* () {
          const engine = yield* Engine.Engine
          const handle = yield* build(1, 1).start({}, { runId: "r" })
          yield* rest
          expect(running).toBe(1)
          yield* engine.reload("r", build(2, 3).definition, code("new"))
          yield* rest
          expect(running).toBe(2)
          yield* gate.open
          return yield* handle.await
        }),
      )
      expect(output).toBe(2)
    }),
  )

  it.effect("a changed output schema is named and needs a restart, and nothing of the new code is taken over", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const gate = makeGate()
      const build = (schema: Schema.Schema.AnyNoContext, version: string) =>
        declare().build(($) => {
          const first = $.step("first", { output: schema, run: () => Effect.as(gate.await, { name: "x", size: 1 }) })
          return $.sequence(first, $.step("second", { output: Schema.String, run: () => version }))
        })
      const plain = Schema.Struct({ name: Schema.String })
      const output = yield* inProcess(
        storage,
        Effect.gen(function* () {
          const engine = yield* Engine.Engine
          const handle = yield* build(plain, "old").start({}, { runId: "r" })
          yield* rest
          const before = yield* storage.events("r")
          const sized = build(Schema.Struct({ name: Schema.String, size: Schema.Number }), "new").definition
          const refused = yield* Effect.flip(engine.reload("r", sized, code("new")))
          expect(refused).toMatchObject({ _tag: "ReloadRefused", reason: "restart", runId: "r" })
          expect(refused.message).toContain('the schema of the output of "first" changed, which needs a restart')
          expect(yield* storage.events("r")).toEqual(before)
          // A description is no part of its shape.
          const described = plain.annotations({ description: "a thing" })
          expect(yield* engine.reload("r", build(described, "described").definition, code("new"))).toHaveLength(1)
          yield* gate.open
          return yield* handle.await
        }),
      )
      expect(output).toBe("described")
    }),
  )

  it.effect("stored outputs that new code rejects refuse it, or run again where the run says so", () =>
    Effect.gen(function* () {
      const build = (least: number, size: number, gate: Effect.Effect<void>) =>
        declare().build(($) => {
          const output = Schema.Number.pipe(Schema.filter((value) => value >= least))
          const first = $.step("first", { output, run: () => size })
          const second = $.step("second", { needs: { first }, output: Schema.Number, run: ({ first }) => Effect.as(gate, first) })
          return $.sequence(first, second, $.step("third", { needs: { first }, output: Schema.Number, run: ({ first }) => first }))
        })
      for (const onIncompatible of ["fail", "rerun"] as const) {
        const storage = MemoryStorage.make()
        const gate = makeGate()
        const output = yield* inProcess(
          storage,
          Effect.gen(function* () {
            const engine = yield* Engine.Engine
            const handle = yield* build(0, 1, gate.await).start({}, { runId: "r", onIncompatible })
            yield* rest
            const reload = engine.reload("r", build(5, 7, gate.await).definition, code("new"))
            if (onIncompatible === "rerun") yield* reload
            else expect(yield* Effect.flip(reload)).toMatchObject({ reason: "incompatible" })
            yield* gate.open
            return yield* handle.await
          }),
        )
        expect(output).toBe(onIncompatible === "rerun" ? 7 : 1)
      }
    }),
  )

  it.effect("what old code gives after a reload is read by the new code", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const gate = makeGate()
      const build = () => {
        class Thing extends Schema.Class<Thing>("Thing")({ name: Schema.String }) {}
        return declare().build(($) => {
          const first = $.step("first", { output: Thing, run: () => Effect.as(gate.await, new Thing({ name: "x" })) })
          return $.sequence(
            first,
            $.step("second", { needs: { first }, output: Schema.Boolean, run: ({ first }) => first instanceof Thing }),
          )
        })
      }
      const output = yield* inProcess(
        storage,
        Effect.gen(function* () {
          const engine = yield* Engine.Engine
          const handle = yield* build().start({}, { runId: "r" })
          yield* rest
          yield* engine.reload("r", build().definition, code("new"))
          yield* gate.open
          return yield* handle.await
        }),
      )
      expect(output).toBe(true)
    }),
  )

  it.effect("code of another workflow, or that throws in planning, leaves the old code running", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const gate = makeGate()
      const build = (name: string) =>
        Smithers.createWorkflow({ name, input: Schema.Struct({}) }).build(($) =>
          $.sequence(
            $.step("first", { output: Schema.String, run: () => Effect.as(gate.await, name) }),
            $.step("second", { output: Schema.String, run: () => name }),
          ),
        )
      const output = yield* inProcess(
        storage,
        Effect.gen(function* () {
          const engine = yield* Engine.Engine
          const { definition } = build("test")
          const handle = yield* build("test").start({}, { runId: "r" })
          yield* rest
          const before = yield* storage.events("r")
          const other = yield* Effect.flip(engine.reload("r", build("other").definition, code("other")))
          expect(other.message).toContain('belongs to workflow "test", not to "other"')
          const throwing = {
            ...definition,
            planner: () => ({
              ...definition.planner(),
              plan: () => {
                throw new Error("cannot plan")
              },
            }),
          }
          const thrown = yield* Effect.flip(engine.reload("r", throwing, code("throwing")))
          expect(thrown).toMatchObject({ reason: "plan" })
          expect(thrown.message).toContain("cannot plan")
          expect(yield* storage.events("r")).toEqual(before)
          yield* gate.open
          return yield* handle.await
        }),
      )
      expect(output).toBe("test")
    }),
  )

  it.effect("child runs go on with the new code of their workflows, or the whole family with the old", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const gate = makeGate()
      const child = (version: string, schema: Schema.Schema.AnyNoContext) =>
        Smithers.createWorkflow({ name: "child", input: Schema.Struct({}) }).build(($) => {
          const given = version === "broken" ? 1 : version
          const first = $.step("first", { output: schema, run: () => Effect.as(gate.await, given) })
          return $.sequence(first, $.step("second", { output: Schema.String, run: () => version }))
        })
      const build = (version: string, schema: Schema.Schema.AnyNoContext = Schema.String) =>
        declare().build(($) => {
          const ran = $.subflow("child", { workflow: child(version, schema), input: () => ({}) })
          return $.sequence(ran, $.step("last", { needs: { ran }, output: Schema.String, run: ({ ran }) => `${ran}, ${version}` }))
        })
      const output = yield* inProcess(
        storage,
        Effect.gen(function* () {
          const engine = yield* Engine.Engine
          const handle = yield* build("old").start({}, { runId: "r" })
          yield* settled("the child runs", () =>
            Effect.map(storage.runs({ parent: "r" }), (runs) => runs.length === 1 && runs[0]?.status === "running"),
          )
          yield* rest
          const refused = yield* Effect.flip(engine.reload("r", build("broken", Schema.Number).definition, code("broken")))
          expect(refused).toMatchObject({ reason: "restart" })
          expect(refused.runId).not.toBe("r")
          expect(yield* tagsOf(storage, "r")).not.toContain("CodeReloaded")
          const reloaded = yield* engine.reload("r", build("new").definition, code("new"))
          expect(reloaded.map(({ generation, added }) => [generation, added])).toEqual([
            [1, 0],
            [1, 0],
          ])
          yield* gate.open
          return yield* handle.await
        }),
      )
      expect(output).toBe("new, new")
    }),
  )

  it.effect("a child run that begins after a reload is on record with that code", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const gate = makeGate()
      const child = Smithers.createWorkflow({ name: "child", input: Schema.Struct({}) }).build(($) =>
        $.step("inner", { output: Schema.String, run: () => "x" }),
      )
      const workflow = declare().build(($) => {
        const first = $.step("first", { output: Schema.String, run: () => Effect.as(gate.await, "x") })
        return $.sequence(first, $.subflow("child", { workflow: child, input: () => ({}) }))
      })
      yield* inProcess(
        storage,
        Effect.gen(function* () {
          const engine = yield* Engine.Engine
          const handle = yield* workflow.start({}, { runId: "r" })
          yield* rest
          yield* engine.reload("r", workflow.definition, code("new"))
          yield* gate.open
          yield* handle.await
        }),
      )
      const [run] = yield* storage.runs({ parent: "r" })
      expect(yield* attemptsOf(storage, run?.runId ?? "")).toEqual(["inner#1@1"])
      expect((yield* storage.inspect(run?.runId ?? "")).generations).toMatchObject([{ generation: 1, code: code("new") }])
    }),
  )

  it.effect("a resumed run goes on with its generation if the code is the same, and with the next one otherwise", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const build = (isStuck: boolean) =>
        declare().build(($) => $.step("only", { output: Schema.String, run: () => (isStuck ? Effect.never : "done") }))
      const work = (hash: string | undefined, isStuck: boolean, reloadsTo?: string) =>
        inProcess(
          storage,
          Effect.gen(function* () {
            const engine = yield* Engine.Engine
            if (hash !== undefined) yield* engine.noteCode("r", code(hash))
            const handle = yield* build(isStuck).start({}, { runId: "r" })
            yield* rest
            if (reloadsTo !== undefined) yield* engine.reload("r", build(isStuck).definition, code(reloadsTo))
            if (!isStuck) yield* handle.await
          }),
        )
      yield* work("a", true, "b")
      yield* work("b", true)
      yield* work(undefined, true)
      yield* work("c", false)
      expect(yield* attemptsOf(storage, "r")).toEqual(["only#1@0", "only#2@1", "only#3@2", "only#4@3"])
      const { generations = [] } = yield* storage.inspect("r")
      expect(generations.map(({ generation, code }) => [generation, code?.hash])).toEqual([
        [0, "a"],
        [1, "b"],
        [2, undefined],
        [3, "c"],
      ])
    }),
  )

  it.effect("a signal that old code refused is asked of the new code", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const build = (least: number) =>
        declare().build(($) =>
          $.signal("go", { name: "go", payload: Schema.Number.pipe(Schema.filter((value) => value >= least)) }),
        )
      const output = yield* inProcess(
        storage,
        Effect.gen(function* () {
          const engine = yield* Engine.Engine
          const handle = yield* build(5).start({}, { runId: "r" })
          yield* rest
          yield* handle.signal("go", { payload: 3 })
          yield* rest
          yield* engine.reload("r", build(0).definition, code("new"))
          return yield* handle.await
        }),
      )
      expect(output).toBe(3)
    }),
  )

  it.effect("a run that nothing drives here is not reloaded", () =>
    Effect.gen(function* () {
      const workflow = declare().build(($) => $.step("only", { output: Schema.String, run: () => "done" }))
      const reloaded = inProcess(
        MemoryStorage.make(),
        Effect.gen(function* () {
          const engine = yield* Engine.Engine
          yield* workflow.execute({}, { runId: "r" })
          return yield* engine.reload("r", workflow.definition, code("new"))
        }),
      )
      expect(yield* reloaded).toEqual([])
    }),
  )

  it.effect("a reload while the run is paused is taken over, and nothing starts", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const gate = makeGate()
      const build = (version: string) =>
        declare().build(($) =>
          $.sequence(
            $.step("first", { output: Schema.String, run: () => Effect.as(gate.await, version) }),
            $.step("second", { output: Schema.String, run: () => version }),
          ),
        )
      const output = yield* inProcess(
        storage,
        Effect.gen(function* () {
          const engine = yield* Engine.Engine
          const handle = yield* build("old").start({}, { runId: "r" })
          yield* rest
          yield* Smithers.pause("r")
          yield* gate.open
          yield* rest
          expect(yield* engine.reload("r", build("new").definition, code("new"))).toHaveLength(1)
          yield* rest
          expect(yield* attemptsOf(storage, "r")).toEqual(["first#1@0"])
          yield* Smithers.unpause("r")
          return yield* Fiber.join(yield* Effect.fork(handle.await))
        }),
      )
      expect(output).toBe("new")
    }),
  )
})
