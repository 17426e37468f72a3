import { describe, expect, it } from "@effect/vitest"
import { Smithers } from "@smithers/core"
import * as EndRun from "@smithers/core/EndRun"
import * as Engine from "@smithers/core/Engine"
import { StoreCorrupt } from "@smithers/core/Errors"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Metrics from "@smithers/core/Metrics"
import { ports, Storage, type StorageShape } from "@smithers/core/Storage"
import { Deferred, Effect, Exit, Fiber, Layer, Metric, Schedule, Schema, Scope, Stream, TestClock } from "effect"
import * as Spans from "./Spans.ts"
import { rest, settled } from "./Time.ts"

const Output = Schema.Struct({ value: Schema.Number })

/** A process: an engine on a shared store, which can die at any moment without leaving a trace. */
const makeProcess = (shared: StorageShape, options: Engine.EngineOptions = {}) =>
  Effect.gen(function* () {
    let isDead = false
    const guard = (member: unknown): unknown => {
      if (Effect.isEffect(member)) return Effect.suspend(() => (isDead ? Effect.never : member))
      return (...args: ReadonlyArray<unknown>) => guard((member as (...args: ReadonlyArray<unknown>) => unknown)(...args))
    }
    const storage = Object.fromEntries(
      Object.entries(shared).map(([name, member]) => [name, guard(member)]),
    ) as unknown as StorageShape
    // Never closed: a process that is killed does not tidy up.
    const scope = yield* Scope.make()
    const layer = Engine.layer(options).pipe(Layer.provideMerge(Layer.succeedContext(ports(storage))))
    const context = yield* Layer.buildWithScope(layer, scope)
    const run = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.forkIn(Effect.provide(effect, context), scope)
    const kill = Effect.sync(() => {
      isDead = true
    })
    return { run, kill, stop: Scope.close(scope, Exit.void) }
  })

const pass = (duration: string) => Effect.zipRight(TestClock.adjust(duration as "1 second"), rest)

const declare = () => Smithers.createWorkflow({ name: "test", input: Schema.Struct({}) })

describe("Engine", () => {
  it.effect("a retry that was due later stays due after a restart, and its budget is not renewed", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const starts: Array<string> = []
      const workflow = declare().build(($) =>
        $.step("flaky", {
          output: Output,
          retry: { maxAttempts: 3, backoff: "exponential", initialDelay: "10s", jitter: false },
          run: ({ attempt }) =>
            Effect.flatMap(Effect.clock, (clock) => {
              starts.push(`${attempt} at ${clock.unsafeCurrentTimeMillis() / 1000} s`)
              return Effect.fail(new Error("no"))
            }),
        }),
      )
      const execute = Effect.flip(workflow.execute({}, { runId: "r" }))
      const first = yield* makeProcess(storage, { lease: "1 second" })
      yield* first.run(execute)
      yield* rest
      yield* pass("4 seconds")
      yield* first.kill
      yield* pass("2 seconds")
      const second = yield* makeProcess(storage, { lease: "1 second" })
      const fiber = yield* second.run(execute)
      yield* rest
      expect(starts).toEqual(["1 at 0 s"])
      yield* pass("4 seconds")
      expect(starts).toEqual(["1 at 0 s", "2 at 10 s"])
      yield* pass("19 seconds")
      expect(starts.length).toBe(2)
      yield* pass("1 second")
      expect(starts).toEqual(["1 at 0 s", "2 at 10 s", "3 at 30 s"])
      const result = yield* Fiber.join(fiber)
      expect(result).toMatchObject({ _tag: "StepFailed", attempts: 3, error: { message: "no" } })
    }),
  )

  it.effect("a schedule given as the retry policy is taken up where it was", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const starts: Array<number> = []
      const workflow = declare().build(($) =>
        $.step("flaky", {
          output: Output,
          retry: Schedule.intersect(Schedule.fibonacci("1 second"), Schedule.recurs(4)),
          run: () =>
            Effect.flatMap(Effect.clock, (clock) => {
              starts.push(clock.unsafeCurrentTimeMillis() / 1000)
              return Effect.fail("no")
            }),
        }),
      )
      const first = yield* makeProcess(storage, { lease: "500 millis" })
      yield* first.run(workflow.run({}, { runId: "r" }))
      yield* rest
      for (let second = 0; second < 3; second++) yield* pass("1 second")
      expect(starts).toEqual([0, 1, 2])
      yield* first.kill
      const second = yield* makeProcess(storage, { lease: "500 millis" })
      yield* pass("600 millis")
      const fiber = yield* second.run(workflow.run({}, { runId: "r" }))
      for (let count = 0; count < 40; count++) yield* pass("200 millis")
      expect(starts).toEqual([0, 1, 2, 4, 7])
      expect((yield* Fiber.join(fiber)).status).toBe("failed")
    }),
  )

  it.effect("the next attempt reads the heartbeat of one whose process died", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const seen: Array<unknown> = []
      const workflow = declare().build(($) =>
        $.step("slow", {
          output: Output,
          run: ({ heartbeat, lastHeartbeat, attempt }) =>
            Effect.gen(function* () {
              seen.push([attempt, lastHeartbeat])
              for (let page = 1; page <= 3; page++) {
                heartbeat({ page })
                yield* Effect.sleep("1 second")
              }
              return { value: attempt }
            }),
        }),
      )
      const first = yield* makeProcess(storage, { lease: "1 second" })
      yield* first.run(workflow.execute({}, { runId: "r" }))
      yield* rest
      yield* pass("1500 millis")
      yield* first.kill
      yield* pass("2 seconds")
      const second = yield* makeProcess(storage)
      const fiber = yield* second.run(workflow.execute({}, { runId: "r" }))
      yield* rest
      yield* pass("5 seconds")
      expect(yield* Fiber.join(fiber)).toEqual({ value: 2 })
      expect(seen).toEqual([
        [1, undefined],
        [2, { page: 2 }],
      ])
    }),
  )

  it.effect("a step that was running at five crashes in a row fails the run, and a repaired one goes on", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      let attempts = 0
      let isRepaired = false
      const workflow = declare().build(($) =>
        $.step("deadly", {
          output: Output,
          run: () =>
            Effect.suspend(() => {
              attempts++
              return isRepaired ? Effect.succeed({ value: attempts }) : Effect.never
            }),
        }),
      )
      for (let crash = 0; crash < 5; crash++) {
        const process = yield* makeProcess(storage, { lease: "1 second" })
        yield* process.run(workflow.run({}, { runId: "r" }))
        yield* rest
        yield* process.kill
        yield* pass("2 seconds")
      }
      const last = yield* makeProcess(storage)
      const fiber = yield* last.run(workflow.run({}, { runId: "r", onFailed: "resume" }))
      yield* rest
      expect(yield* Fiber.join(fiber)).toMatchObject({
        status: "failed",
        error: { _tag: "CrashLoop", nodeId: "deadly", interruptions: 5 },
      })
      expect(attempts).toBe(5)
      isRepaired = true
      const again = yield* last.run(workflow.execute({}, { runId: "r", onFailed: "resume" }))
      yield* rest
      expect(yield* Fiber.join(again)).toEqual({ value: 6 })
    }),
  )

  it.effect("stopping in order five times is not a crash loop", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      let attempts = 0
      const workflow = declare().build(($) =>
        $.step("long", { output: Output, run: () => (++attempts > 6 ? { value: attempts } : Effect.never) }),
      )
      for (let stop = 0; stop < 6; stop++) {
        const process = yield* makeProcess(storage)
        yield* process.run(workflow.execute({}, { runId: "r" }))
        yield* rest
        yield* process.stop
        expect((yield* storage.inspect("r")).run).toMatchObject({ status: "suspended", owner: null })
      }
      const last = yield* makeProcess(storage)
      const fiber = yield* last.run(workflow.execute({}, { runId: "r" }))
      yield* rest
      expect(yield* Fiber.join(fiber)).toEqual({ value: 7 })
    }),
  )

  it.effect("a process whose claim was taken is fenced at its next commit, and its output is not stored", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const gate = yield* Deferred.make<void>()
      const workflow = (value: number, wait: Effect.Effect<void>) =>
        declare().build(($) => $.step("step", { output: Output, run: () => Effect.as(wait, { value }) }))
      // A process that sleeps does not renew.
      const sleepy = { ...storage, renew: () => Effect.never }
      const first = yield* makeProcess(sleepy, { lease: "1 second" })
      const slow = yield* first.run(Effect.exit(workflow(1, Deferred.await(gate)).execute({}, { runId: "r" })))
      yield* rest
      yield* pass("2 seconds")
      const second = yield* makeProcess(storage)
      const quick = yield* second.run(workflow(2, Effect.void).execute({}, { runId: "r" }))
      yield* rest
      expect(yield* Fiber.join(quick)).toEqual({ value: 2 })
      const before = yield* storage.events("r")
      yield* Deferred.succeed(gate, undefined)
      yield* rest
      const exit = yield* Fiber.join(slow)
      expect(exit).toMatchObject(Exit.fail({ _tag: "RunFenced", runId: "r", epoch: 1 }))
      expect(yield* storage.events("r")).toEqual(before)
    }),
  )

  it.effect("a lease is renewed for as long as the process lives, however long a step takes", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const workflow = declare().build(($) =>
        $.step("long", { output: Output, run: () => Effect.as(Effect.sleep("4 minutes"), { value: 1 }) }),
      )
      const first = yield* makeProcess(storage, { lease: "30 seconds" })
      const running = yield* first.run(workflow.execute({}, { runId: "r" }))
      yield* rest
      const second = yield* makeProcess(storage)
      const waiting = yield* second.run(workflow.execute({}, { runId: "r" }))
      for (let minute = 0; minute < 4; minute++) yield* pass("1 minute")
      yield* pass("2 seconds")
      expect(yield* Fiber.join(running)).toEqual({ value: 1 })
      expect(yield* Fiber.join(waiting)).toEqual({ value: 1 })
      expect((yield* storage.inspect("r")).run.epoch).toBe(1)
    }),
  )

  it.effect("a run that works in one process is cancelled from another", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      let isAborted = false
      const workflow = declare().build(($) =>
        $.step("endless", {
          output: Output,
          run: ({ signal }) =>
            new Promise<{ value: number }>(() => {
              signal.addEventListener("abort", () => {
                isAborted = true
              })
            }),
        }),
      )
      const first = yield* makeProcess(storage)
      const running = yield* first.run(workflow.run({}, { runId: "r" }))
      yield* rest
      const second = yield* makeProcess(storage)
      const cancelling = yield* second.run(workflow.cancel("r", "changed my mind"))
      for (let step = 0; step < 5; step++) yield* pass("1 second")
      yield* Fiber.join(cancelling)
      expect(yield* Fiber.join(running)).toEqual({ status: "cancelled", runId: "r", reason: "changed my mind" })
      expect(isAborted).toBe(true)
      expect((yield* storage.inspect("r")).attempts).toMatchObject([{ status: "interrupted" }])
    }),
  )

  it.effect("a run that nobody works on is cancelled without its code, if there is nothing to undo", () =>
    Effect.gen(function* () {
      const undone: Array<string> = []
      const build = (name: string, hasSaga: boolean) =>
        Smithers.createWorkflow({ name, input: Schema.Struct({}) }).build(($) => {
          const step = $.step("a", {
            output: Schema.String,
            run: () => "a",
            ...(hasSaga ? { compensate: () => undone.push("a") } : {}),
          })
          const ask = $.approval("ask", { request: () => ({ title: "?" }) })
          return hasSaga ? $.saga(step, ask) : $.sequence(step, ask)
        })
      const [plain, saga] = [build("plain", false), build("saga", true)]
      const storage = yield* Storage
      yield* plain.run({}, { runId: "plain" })
      yield* saga.run({}, { runId: "saga" })
      expect(yield* EndRun.cancel("plain", "enough")).toBe(true)
      expect(yield* storage.load("plain")).toMatchObject({ status: "cancelled", cancel: { reason: "enough" } })
      expect(yield* storage.waits({ runId: "plain" })).toEqual([])
      expect(yield* EndRun.cancel("plain")).toBe(false)
      expect(yield* EndRun.cancel("saga")).toBe(false)
      expect((yield* storage.inspect("saga")).run.status).toBe("waiting-approval")
      yield* saga.cancel("saga")
      expect(undone).toEqual(["a"])
      // It can be taken back, as any.
      expect(yield* plain.run({}, { runId: "plain" })).toMatchObject({ status: "cancelled" })
    }).pipe(Effect.provide(Smithers.memory)),
  )

  it.effect("a cancellation that a crash cut short is completed, and runs nothing", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      let attempts = 0
      const workflow = declare().build(($) =>
        $.step("endless", {
          output: Output,
          run: () =>
            Effect.zipRight(
              Effect.sync(() => attempts++),
              Effect.never,
            ),
        }),
      )
      const first = yield* makeProcess(storage, { lease: "1 second" })
      yield* first.run(workflow.run({}, { runId: "r" }))
      yield* rest
      yield* first.kill
      yield* pass("2 seconds")
      const second = yield* makeProcess(storage)
      const cancelling = yield* second.run(workflow.cancel("r"))
      yield* rest
      yield* pass("2 seconds")
      yield* Fiber.join(cancelling)
      expect(attempts).toBe(1)
      expect((yield* storage.inspect("r")).run.status).toBe("cancelled")
    }),
  )

  it.effect("edited code keeps what it still has, runs what is new, and the log counts both", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const ran: Array<string> = []
      const build = (ids: ReadonlyArray<string>, isStuckAt: string) =>
        declare().build(($) =>
          $.sequence(
            ...ids.map((id) =>
              $.step(id, {
                output: Output,
                run: () => {
                  ran.push(id)
                  return id === isStuckAt ? Effect.never : { value: ran.length }
                },
              }),
            ),
          ),
        )
      const first = yield* makeProcess(storage)
      yield* first.run(build(["a", "b", "c"], "c").execute({}, { runId: "r" }))
      yield* rest
      yield* first.stop
      const second = yield* makeProcess(storage)
      const fiber = yield* second.run(build(["a", "new", "c", "d"], "").execute({}, { runId: "r" }))
      yield* rest
      yield* Fiber.join(fiber)
      expect(ran).toEqual(["a", "b", "c", "new", "c", "d"])
      const resumed = (yield* storage.events("r")).map(({ event }) => event).find(({ _tag }) => _tag === "RunResumed")
      expect(resumed).toMatchObject({ kept: 1, added: 2, removed: 1 })
    }),
  )

  it.effect("outputs that no longer fit are named, nothing changes, and rerun makes them anew", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const ran: Array<string> = []
      const build = <S extends Schema.Schema.AnyNoContext>(output: S, value: Schema.Schema.Encoded<S>, isStuck: boolean) =>
        declare().build(($) => {
          const first = $.step("first", {
            output: output as Schema.Schema<unknown>,
            run: () => {
              ran.push("first")
              return value
            },
          })
          const second = $.step("second", {
            needs: { first },
            output: Schema.Unknown,
            run: ({ first }) => {
              ran.push("second")
              return isStuck ? Effect.never : { first }
            },
          })
          return $.sequence(first, second)
        })
      const one = yield* makeProcess(storage)
      yield* one.run(build(Schema.Struct({ name: Schema.String }), { name: "x" }, true).execute({}, { runId: "r" }))
      yield* rest
      yield* one.stop
      const two = yield* makeProcess(storage)
      const changed = build(Schema.Struct({ name: Schema.String, size: Schema.Number }), { name: "x", size: 1 }, false)
      const before = yield* storage.events("r")
      const refused = yield* two.run(Effect.exit(changed.execute({}, { runId: "r" })))
      yield* rest
      const exit = yield* Fiber.join(refused)
      expect(exit).toMatchObject(Exit.fail({ _tag: "IncompatibleOutput", nodes: [{ nodeId: "first", iteration: 0 }] }))
      expect(yield* storage.events("r")).toEqual(before)
      const rerun = yield* two.run(changed.resume("r", { onIncompatible: "rerun" }))
      yield* rest
      expect(yield* Fiber.join(rerun)).toEqual({ first: { name: "x", size: 1 } })
      expect(ran).toEqual(["first", "second", "first", "second"])
    }),
  )

  it.effect("run, step and attempt are spans inside each other, under the caller's own", () =>
    Effect.gen(function* () {
      const { tracer, ended } = Spans.make()
      const workflow = declare().build(($) =>
        $.step("flaky", {
          output: Output,
          retry: { initialDelay: "1s", jitter: false },
          run: ({ attempt }) =>
            attempt === 1 ? Effect.fail("once") : Effect.as(Effect.withSpan(Effect.void, "own"), { value: 1 }),
        }),
      )
      const process = yield* makeProcess(MemoryStorage.make())
      const fiber = yield* process.run(
        workflow.execute({}, { runId: "r" }).pipe(Effect.withSpan("caller"), Effect.withTracer(tracer)),
      )
      yield* rest
      yield* pass("1 second")
      yield* Fiber.join(fiber)
      expect(ended.map(({ name, parent }) => `${parent ?? ""} > ${name}`)).toEqual([
        "smithers.step > smithers.attempt",
        "smithers.attempt > own",
        "smithers.step > smithers.attempt",
        "smithers.run > smithers.step",
        "Workflow.execute > smithers.run",
        "caller > Workflow.execute",
        " > caller",
      ])
      expect(ended[2]?.attributes).toMatchObject({ runId: "r", nodeId: "flaky", iteration: 0, attempt: 2 })
    }),
  )

  it.effect("what happens is counted, by workflow and by how it ended", () =>
    Effect.gen(function* () {
      const { name } = declare().build(($) => $.sequence())
      const counted = (metric: Metric.Metric.Counter<number>, ...outcome: ["finished" | "succeeded" | "failed"] | []) =>
        Metric.taggedWithLabels(metric, Metrics.tagged(name, ...outcome))
      const counters = [
        counted(Metrics.runsStarted),
        counted(Metrics.runsEnded, "finished"),
        counted(Metrics.attemptsStarted),
        counted(Metrics.attemptsEnded, "succeeded"),
        counted(Metrics.attemptsEnded, "failed"),
      ]
      const read = Effect.forEach(counters, (counter) => Effect.map(Metric.value(counter), ({ count }) => count))
      const before = yield* read
      const workflow = declare().build(($) =>
        $.sequence(
          $.step("a", { output: Output, run: () => ({ value: 1 }) }),
          $.step("b", { output: Output, retry: false, continueOnFail: true, run: () => Effect.fail("no") }),
        ),
      )
      const process = yield* makeProcess(MemoryStorage.make())
      yield* Fiber.join(yield* process.run(workflow.execute({})))
      const after = yield* read
      expect(after.map((count, index) => Number(count) - Number(before[index]))).toEqual([1, 1, 2, 1, 1])
    }),
  )
})

describe("a loop whose passes run nothing", () => {
  it.effect("is committed as it goes, and can be cancelled", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const workflow = declare().build(($) =>
        $.loop({
          id: "idle",
          maxIterations: Infinity,
          body: $.step("never", { output: Output, skipIf: () => true, run: () => ({ value: 1 }) }),
          until: () => false,
        }),
      )
      const process = yield* makeProcess(storage)
      const fiber = yield* process.run(workflow.run({}, { runId: "r" }))
      const isUnderWay = Effect.map(storage.load("r"), ({ frame }) => frame > 2)
      yield* settled("some passes are over", () => Effect.orElseSucceed(isUnderWay, () => false))
      const cancelling = yield* process.run(workflow.cancel("r", "enough"))
      yield* Fiber.join(cancelling)
      expect(yield* Fiber.join(fiber)).toMatchObject({ status: "cancelled", reason: "enough" })
    }),
  )
})

describe("what stops a driver", () => {
  it.effect("has stopped its attempts before callers hear of it, and a damaged store is no crash of the step", () =>
    Effect.gen(function* () {
      const shared = MemoryStorage.make()
      const log: Array<string> = []
      let isBroken = false
      const storage: StorageShape = {
        ...shared,
        commit: (frame) =>
          Effect.suspend(() => (isBroken ? new StoreCorrupt({ operation: "commit", detail: "damaged" }) : shared.commit(frame))),
      }
      const workflow = declare().build(($) =>
        $.parallel(
          $.step("quick", { output: Output, run: () => Effect.as(Effect.sleep("1 second"), { value: 1 }) }),
          $.step("slow", {
            output: Output,
            run: () =>
              Effect.onInterrupt(Effect.as(Effect.sleep("2 seconds"), { value: 2 }), () => Effect.sync(() => log.push("over"))),
          }),
        ),
      )
      const process = yield* makeProcess(storage)
      for (let time = 0; time < 6; time++) {
        isBroken = false
        const execute = Effect.tapBoth(workflow.execute({}, { runId: "r" }), {
          onFailure: ({ _tag }) => Effect.sync(() => log.push(_tag)),
          onSuccess: () => Effect.sync(() => log.push("output")),
        })
        const fiber = yield* process.run(Effect.exit(execute))
        yield* rest
        isBroken = true
        yield* pass("1 second")
        yield* Fiber.join(fiber)
      }
      expect(log).toEqual(Array.from({ length: 6 }, () => ["over", "StoreCorrupt"]).flat())
      isBroken = false
      const last = yield* process.run(workflow.execute({}, { runId: "r" }))
      yield* rest
      yield* pass("2 seconds")
      expect(yield* Fiber.join(last)).toEqual([{ value: 1 }, { value: 2 }])
    }),
  )

  it.effect("a skipIf that answers nothing skips nothing", () =>
    Effect.gen(function* () {
      const process = yield* makeProcess(MemoryStorage.make())
      const skipIf = (() => undefined) as unknown as () => boolean
      const workflow = declare().build(($) => $.step("a", { output: Output, skipIf, run: () => ({ value: 1 }) }))
      expect(yield* Fiber.join(yield* process.run(workflow.execute({})))).toEqual({ value: 1 })
    }),
  )

  it.effect("a finished run gives what it gave, also where the code has moved on", () =>
    Effect.gen(function* () {
      const process = yield* makeProcess(MemoryStorage.make())
      const build = (...ids: ReadonlyArray<string>) =>
        declare().build(($) => $.sequence(...ids.map((id) => $.step(id, { output: Output, run: () => ({ value: 1 }) }))))
      const execute = (...ids: ReadonlyArray<string>) =>
        Effect.flatMap(process.run(Effect.exit(build(...ids).execute({}, { runId: "r" }))), Fiber.join)
      expect(yield* execute("a")).toEqual(Exit.succeed({ value: 1 }))
      expect(yield* execute("b", "a")).toEqual(Exit.succeed({ value: 1 }))
      expect(yield* execute("a", "b")).toEqual(Exit.succeed({ value: 1 }))
    }),
  )

  it.effect("outputs inside loops are never thrown away to be made again", () =>
    Effect.gen(function* () {
      const storage = MemoryStorage.make()
      const build = (output: Schema.Schema<unknown>, isStuck: boolean) =>
        declare().build(($) => {
          const body = $.step("body", { output, run: (): unknown => ({ value: 1 }) })
          const loop = $.loop({ id: "loop", maxIterations: Infinity, body, until: ({ iteration }) => iteration === 2 })
          return $.sequence(loop, $.step("last", { output: Output, run: () => (isStuck ? Effect.never : { value: 2 }) }))
        })
      const one = yield* makeProcess(storage)
      yield* one.run(build(Output as unknown as Schema.Schema<unknown>, true).execute({}, { runId: "r" }))
      yield* rest
      yield* one.stop
      const before = yield* storage.events("r")
      const two = yield* makeProcess(storage)
      const changed = build(Schema.Struct({ value: Schema.String }) as unknown as Schema.Schema<unknown>, false)
      const exit = yield* Fiber.join(yield* two.run(Effect.exit(changed.resume("r", { onIncompatible: "rerun" }))))
      expect(exit).toMatchObject(Exit.fail({ _tag: "IncompatibleOutput", nodes: [{ nodeId: "body" }, { nodeId: "body" }] }))
      expect(yield* storage.events("r")).toEqual(before)
      // Cancelling it needs none of them.
      yield* Fiber.join(yield* two.run(changed.cancel("r")))
      expect((yield* storage.inspect("r")).run.status).toBe("cancelled")
      expect((yield* storage.inspect("r")).nodes.filter(({ nodeId }) => nodeId === "body")).toMatchObject([
        { status: "finished" },
        { status: "finished" },
      ])
    }),
  )

  it.effect("the events of a run that is taken up again go on past its first end, and end with its last", () =>
    Effect.gen(function* () {
      let isMended = false
      const workflow = declare().build(($) =>
        $.step("a", { output: Output, retry: false, run: () => (isMended ? Effect.succeed({ value: 1 }) : Effect.fail("no")) }),
      )
      const process = yield* makeProcess(MemoryStorage.make())
      yield* Fiber.join(yield* process.run(workflow.run({}, { runId: "r" })))
      isMended = true
      const tags = yield* Fiber.join(
        yield* process.run(
          Effect.flatMap(workflow.start({}, { runId: "r", onFailed: "resume" }), ({ events }) =>
            Stream.runCollect(Stream.map(events, ({ event }) => event._tag)),
          ),
        ),
      )
      expect([...tags].at(-1)).toBe("RunFinished")
      expect([...tags]).toContain("RunFailed")
    }),
  )
})

describe("a run that was taken up by its id", () => {
  it.effect("is not joined with another input", () =>
    Effect.gen(function* () {
      const workflow = Smithers.createWorkflow({ name: "test", input: Schema.Struct({ n: Schema.Number }) }).build(($) =>
        $.step("a", { output: Output, run: ({ input }) => Effect.as(Effect.sleep("1 second"), { value: input.n }) }),
      )
      const process = yield* makeProcess(MemoryStorage.make())
      const first = yield* process.run(workflow.execute({ n: 1 }, { runId: "r" }))
      yield* rest
      yield* Fiber.interrupt(first)
      const resumed = yield* process.run(workflow.resume("r"))
      yield* rest
      const [other, same] = [workflow.execute({ n: 2 }, { runId: "r" }), workflow.execute({ n: 1 }, { runId: "r" })]
      expect(yield* Fiber.join(yield* process.run(Effect.exit(other)))).toMatchObject(Exit.fail({ _tag: "InputMismatch" }))
      const joined = yield* process.run(same)
      yield* pass("1 second")
      expect(yield* Effect.all([Fiber.join(resumed), Fiber.join(joined)])).toEqual([{ value: 1 }, { value: 1 }])
    }),
  )
})
