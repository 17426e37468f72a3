import { describe, expect, it } from "@effect/vitest"
import * as Smithers from "@smithers/core/Smithers"
import * as TestRuntime from "@smithers/testing/TestRuntime"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { vi } from "vitest"

const Input = Schema.Struct({ name: Schema.String })
const declare = (name = "w") => Smithers.createWorkflow({ name, input: Input })
const input = { name: "ann" }

const day = 86_400_000

/** Asks, waits a day, and greets. */
const greeting = declare("greet").build(($) => {
  const ask = $.approval("ask", { request: ({ input }) => ({ title: `Greet ${input.name}?` }) })
  const pause = $.timer("pause", { duration: "1 day" })
  const greet = $.step("greet", { output: Schema.String, run: ({ input }) => `hello ${input.name}` })
  return $.sequence(ask, pause, greet)
})

describe("TestRuntime as a layer", () => {
  it.effect("decides a wait from the test, and passes over a day at once", () =>
    Effect.gen(function* () {
      const began = yield* Clock.currentTimeMillis
      const run = yield* greeting.start(input, { runId: "r" })
      yield* TestRuntime.approve("r", "ask", { by: "bob" })
      expect(yield* run.await).toBe("hello ann")
      expect((yield* Clock.currentTimeMillis) - began).toBe(day)
    }).pipe(Effect.provide(TestRuntime.layer())),
  )

  it.effect("spends less than 50 ms on a day, with a supervisor and a heartbeat timeout: nothing ticks in it", () => {
    const night = declare().build(($) => {
      const begin = $.step("begin", {
        output: Schema.Void,
        heartbeatTimeout: "1 minute",
        run: ({ heartbeat }) => Effect.sync(heartbeat),
      })
      const end = $.step("end", { output: Schema.String, run: () => "good morning" })
      return $.sequence(begin, $.timer("sleep", { duration: "24 hours" }), end)
    })
    return Effect.gen(function* () {
      const clock = yield* Effect.clock
      const sleep = vi.spyOn(clock, "sleep")
      const spentMs: Array<number> = []
      for (let count = 0; count < 7; count++) {
        sleep.mockClear()
        const began = yield* Clock.currentTimeMillis
        const before = process.cpuUsage()
        expect(yield* night.execute(input)).toBe("good morning")
        const { user, system } = process.cpuUsage(before)
        spentMs.push((user + system) / 1000)
        expect((yield* Clock.currentTimeMillis) - began).toBe(day)
        // A lease is renewed and a supervisor looks every few seconds: thousands of times a day.
        expect(sleep.mock.calls.length).toBeLessThan(10)
      }
      // Of the process, so that what else the machine does takes none of it; the first includes compiling.
      expect(Math.min(...spentMs)).toBeLessThan(50)
    }).pipe(Effect.provide(Layer.provideMerge(Smithers.supervisor({ registry: Smithers.registry([night]) }), TestRuntime.layer())))
  })

  it.effect("waits for nothing in real time that virtual time can give: thirty years of days are a moment", () =>
    Effect.gen(function* () {
      const pauses = declare().build(($) => {
        const tick = $.step("tick", { output: Schema.Number, run: ({ iteration }) => iteration })
        return $.loop({
          id: "days",
          body: $.sequence($.timer("pause", { duration: "365 days" }), tick),
          until: ({ output }) => output === 29,
          maxIterations: 100,
        })
      })
      const started = performance.now()
      expect(yield* pauses.execute(input)).toBe(29)
      expect(performance.now() - started).toBeLessThan(10_000)
    }).pipe(Effect.provide(TestRuntime.layer())),
  )

  it.effect("lets no time pass while the test does not wait for anything", () =>
    Effect.gen(function* () {
      const hasty = declare().build(($) =>
        $.approval("ask", { request: () => ({ title: "?" }), timeout: "1 second", onTimeout: "deny", onDeny: "continue" }),
      )
      const run = yield* hasty.start(input, { runId: "r" })
      yield* TestRuntime.waitFor("r", "ask")
      // As long as it takes to look something up, say.
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 50)))
      yield* TestRuntime.approve("r", "ask")
      expect(yield* run.await).toMatchObject({ approved: true })
    }).pipe(Effect.provide(TestRuntime.layer())),
  )

  it.effect("lets a wait come to its end when the test waits for the run", () =>
    Effect.gen(function* () {
      const hasty = declare().build(($) =>
        $.approval("ask", { request: () => ({ title: "?" }), timeout: "1 hour", onTimeout: "deny", onDeny: "continue" }),
      )
      expect(yield* hasty.execute(input)).toMatchObject({ approved: false })
    }).pipe(Effect.provide(TestRuntime.layer())),
  )

  it.effect("advances by as much as it is told, with all that is due meanwhile", () =>
    Effect.gen(function* () {
      const run = yield* greeting.start(input, { runId: "r" })
      yield* TestRuntime.approve("r", "ask")
      yield* TestRuntime.advance("23 hours")
      expect(yield* greeting.poll("r")).toMatchObject({ _tag: "Some", value: { status: "waiting-timer" } })
      yield* TestRuntime.advance("1 hour")
      expect(yield* greeting.poll("r")).toMatchObject({ _tag: "Some", value: { status: "finished" } })
      yield* run.await
    }).pipe(Effect.provide(TestRuntime.layer())),
  )

  it.effect("waits for code that works in real time, although a timeout would be due", () =>
    Effect.gen(function* () {
      const slow = (run: () => Promise<string> | Effect.Effect<string>) =>
        declare().build(($) => $.step("slow", { output: Schema.String, timeout: "1 second", retry: false, run }))
      const later = () => new Promise<string>((resolve) => setTimeout(() => resolve("done"), 60))
      expect(yield* slow(later).execute(input)).toBe("done")
      expect(yield* slow(() => Effect.promise(later)).execute(input)).toBe("done")
    }).pipe(Effect.provide(TestRuntime.layer())),
  )

  it.effect("lets a step time out that sleeps too long, and one that never ends once patience is over", () =>
    Effect.gen(function* () {
      const stuck = (run: () => PromiseLike<string> | Effect.Effect<string>) =>
        declare().build(($) => $.step("stuck", { output: Schema.String, timeout: "1 minute", retry: false, run }))
      const failure = { _tag: "StepTimedOut", nodeId: "stuck" }
      expect(yield* Effect.flip(stuck(() => Effect.as(Effect.sleep("1 hour"), "late")).execute(input))).toMatchObject(failure)
      expect(yield* Effect.flip(stuck(() => new Promise(() => {})).execute(input))).toMatchObject(failure)
      expect(yield* Effect.flip(stuck(() => Effect.never).execute(input))).toMatchObject(failure)
    }).pipe(Effect.provide(TestRuntime.layer({ patience: "30 millis" }))),
  )

  it.effect("a step that executes another workflow waits for it in virtual time", () =>
    Effect.gen(function* () {
      const inner = declare("inner").build(($) =>
        $.sequence($.timer("pause", { duration: "1 day" }), $.step("end", { output: Schema.String, run: () => "end" })),
      )
      const outer = declare("outer").build(($) =>
        $.step("call", { output: Schema.String, timeout: "2 days", run: () => Effect.orDie(inner.execute(input, { runId: "i" })) }),
      )
      expect(yield* outer.execute(input)).toBe("end")
    }).pipe(Effect.provide(TestRuntime.layer())),
  )

  it.effect("answers people's tasks and sends signals, and shows what has happened as the same text each time", () =>
    Effect.gen(function* () {
      const flow = declare("order").build(($) => {
        const paid = $.signal("paid", { name: "payment", payload: Schema.Struct({ amount: Schema.Number }) })
        const size = $.human("size", { prompt: () => "Which size?", output: Schema.Literal("S", "L") })
        const pack = $.step("pack", {
          output: Schema.String,
          needs: { size },
          retry: { maxAttempts: 2 },
          run: ({ size, attempt }) => (attempt === 1 ? Effect.fail(new Error("out of boxes")) : Effect.succeed(size)),
        })
        const gift = $.subflow("gift", { workflow: greeting, input: ({ input }) => input })
        return $.sequence($.parallel(paid, size), pack, gift)
      })
      const once = (runId: string) =>
        Effect.gen(function* () {
          const run = yield* flow.start(input, { runId })
          yield* TestRuntime.signal(runId, "payment", { payload: { amount: 5 } })
          yield* TestRuntime.answer(runId, "size", "L", { by: "ann" })
          yield* TestRuntime.approve(`${runId}~gift~0`, "ask", { note: "nice" })
          expect(yield* run.await).toBe("hello ann")
          return yield* TestRuntime.timeline(runId)
        })
      const text = yield* once("r1")
      expect(yield* once("r2")).toBe(text)
      expect(text).toMatchInlineSnapshot(`
        "started order
        paid: waits for signal payment
        size: waits for human
        signal payment received
        paid: signalled, finished
        size: answered by ann
        size: answered, finished
        pack: started
        pack: failed (Error: out of boxes), to be tried again
        pack, attempt 2: started
        pack, attempt 2: succeeded
        gift: waits for subflow
        gift: child run finished
        gift: ended, finished
        finished"
      `)
    }).pipe(Effect.provide(TestRuntime.layer())),
  )

  it.effect("says what a run waits for instead, where it never comes to what a test waits for", () =>
    Effect.gen(function* () {
      expect((yield* Effect.flip(TestRuntime.waitFor("r", "ask"))).message).toBe(
        'No run "r" was started, so it cannot wait for "ask". Start it first.',
      )
      const run = yield* greeting.start(input, { runId: "r" })
      expect((yield* Effect.flip(TestRuntime.approve("r", "aks"))).message).toBe(
        'Run "r" does not wait for approval "aks", and cannot reach it: its status is waiting-approval, and it waits for approval "ask".',
      )
      yield* TestRuntime.approve("r", "ask")
      yield* run.await
      expect((yield* Effect.flip(TestRuntime.waitFor("r"))).message).toBe(
        'Run "r" does not wait for anything, and cannot reach it: its status is finished, and it waits for nothing.',
      )
    }).pipe(Effect.provide(TestRuntime.layer())),
  )

  it.effect("gives the same ids for the same seed, and others for another", () =>
    Effect.gen(function* () {
      const idsOf = (seed: number) =>
        Effect.map(greeting.start(input), ({ runId }) => runId).pipe(Effect.provide(TestRuntime.layer({ seed })))
      expect(yield* idsOf(7)).toBe(yield* idsOf(7))
      expect(yield* idsOf(7)).not.toBe(yield* idsOf(8))
    }),
  )

  it.effect("refuses settings that are none", () =>
    Effect.gen(function* () {
      const refused = (options: TestRuntime.TestRuntimeOptions) =>
        Effect.flip(Effect.provide(TestRuntime.now, TestRuntime.layer(options)))
      expect(yield* refused({ patience: 0 })).toMatchObject({ _tag: "InvalidSetting", setting: "patience" })
      expect(yield* refused({ maxConcurrency: 0.5 })).toMatchObject({ _tag: "InvalidSetting", setting: "maxConcurrency" })
      expect(yield* refused({ startAt: new Date(Number.NaN) })).toMatchObject({ _tag: "InvalidSetting", setting: "startAt" })
      expect(yield* refused({ seed: Number.NaN })).toMatchObject({ _tag: "InvalidSetting", setting: "seed" })
    }),
  )
})

class Greeter extends Context.Tag("test/Greeter")<Greeter, { readonly greet: (name: string) => string }>() {}

describe("a timeline", () => {
  it.effect("leaves out the id of the run where a message quotes it, and nothing that reads like it", () =>
    Effect.gen(function* () {
      const told = (runId: string) =>
        Effect.gen(function* () {
          const flow = declare("e").build(($) =>
            $.step("e", {
              output: Schema.String,
              retry: false,
              run: ({ runId }) => Effect.fail(new Error(`run "${runId}" met "${runId}~child~0"`)),
            }),
          )
          yield* flow.run(input, { runId })
          return yield* TestRuntime.timeline(runId)
        })
      const expected = `started e
e: started
e: failed (Error: run "<run>" met "<run>~child~0")
failed: StepFailed of e`
      expect(yield* told("e")).toBe(expected)
      expect(yield* told("some other run")).toBe(expected)
    }).pipe(Effect.provide(TestRuntime.layer())),
  )
})

describe("TestRuntime with promises", () => {
  it("starts a run, decides its waits, and gives its output, result and timeline", async () => {
    await using runtime = TestRuntime.make({ startAt: new Date("2030-01-01") })
    const run = await runtime.start(greeting, input, { runId: "r" })
    expect(await run.waiting()).toMatchObject({ status: "waiting-approval" })
    expect(await runtime.waitFor("r")).toMatchObject({ nodeId: "ask", request: { title: "Greet ann?" } })
    await runtime.approve("r", "ask")
    expect(await run.output()).toBe("hello ann")
    expect(await run.result()).toMatchObject({ status: "finished", output: "hello ann" })
    expect(new Date(await runtime.now()).toISOString()).toBe("2030-01-02T00:00:00.000Z")
    expect((await runtime.timeline("r")).split("\n").at(-1)).toBe("finished")
  })

  it("rejects with the tagged error, and not with one around it", async () => {
    await using runtime = TestRuntime.make()
    const broken = declare().build(($) =>
      $.step("a", {
        output: Schema.String,
        retry: false,
        run: async (): Promise<string> => {
          throw new Error("no")
        },
      }),
    )
    await expect(runtime.execute(broken, input)).rejects.toMatchObject({ _tag: "StepFailed", nodeId: "a" })
    await expect(runtime.waitFor("x")).rejects.toMatchObject({ _tag: "WaitNotReached" })
    expect(await runtime.run(broken, input)).toMatchObject({ status: "failed" })
  })

  it("gives steps the services that they ask for, and cancels", async () => {
    await using runtime = TestRuntime.make({ layer: Layer.succeed(Greeter, { greet: (name) => `hi ${name}` }) })
    const flow = declare().build(($) =>
      $.step("a", { output: Schema.String, run: ({ input }) => Effect.map(Greeter, ({ greet }) => greet(input.name)) }),
    )
    expect(await runtime.execute(flow, input)).toBe("hi ann")
    const run = await runtime.start(greeting, input, { runId: "g" })
    await runtime.waitFor("g", { kind: "approval" })
    await run.cancel("enough")
    expect(await run.result()).toMatchObject({ status: "cancelled", reason: "enough" })
  })
})
