/**
 * Limits that the runs of a store share: steps that wait for slots, in virtual time and on both stores.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Engine from "@smithers/core/Engine"
import * as Millis from "@smithers/core/Millis"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { processOn, stores } from "./Flows.ts"
import { passing, quiet, rest, settled } from "./Time.ts"

const Input = Schema.Struct({ n: Schema.Number })
const Text = Schema.String

/** Counts what is at work, and notes when each began. */
const witness = () => {
  const counts = { now: 0, most: 0 }
  const begun: Array<readonly [name: string, at: number]> = []
  const work = (name: string, duration: "1 second" | "1 minute" | "1 hour" = "1 second") =>
    Effect.acquireUseRelease(
      Effect.map(Clock.currentTimeMillis, (at) => {
        counts.now++
        counts.most = Math.max(counts.most, counts.now)
        begun.push([name, at / 1000])
      }),
      () => Effect.as(Effect.sleep(duration), name),
      () => Effect.sync(() => counts.now--),
    )
  return { counts, begun, work }
}

for (const [name, store] of stores) {
  const on =
    (options: Engine.EngineOptions) =>
    <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) =>
      Effect.provide(effect, Smithers.onStorage(store, { lease: "100 days", ...options }))
  const limits = { api: { concurrency: 2 } }

  describe(`a limit on ${name}`, () => {
    it.effect("holds for all runs of the store together, whatever each of them may do at once", () => {
      const { counts, work } = witness()
      const flow = Smithers.createWorkflow({ name: "flow", input: Input }).build(($) =>
        $.parallel(
          ...["a", "b", "c", "d"].map((id) =>
            $.step(id, { output: Text, limit: "api", run: ({ input }) => work(`${id}${input.n}`) }),
          ),
        ),
      )
      return Effect.gen(function* () {
        const runs = Effect.all(
          [1, 2, 3].map((n) => flow.execute({ n }, { runId: `r${n}` })),
          { concurrency: "unbounded" },
        )
        expect(yield* passing("10 seconds", runs)).toHaveLength(3)
        expect(counts).toEqual({ now: 0, most: 2 })
        expect(yield* Clock.currentTimeMillis).toBe(10_000)
        expect((yield* (yield* Storage).limits)[0]).toMatchObject({ held: 0, waiting: 0 })
      }).pipe(on({ limits }))
    })

    it.effect("gives slots in the order of arrival, and a step without a limit waits for none", () => {
      const { begun, work } = witness()
      const flow = Smithers.createWorkflow({ name: "flow", input: Input }).build(($) =>
        $.parallel(
          $.step("limited", { output: Text, limit: "api", run: ({ input }) => work(`limited ${input.n}`) }),
          $.step("free", { output: Text, run: ({ input }) => work(`free ${input.n}`) }),
        ),
      )
      return Effect.gen(function* () {
        for (const n of [1, 2, 3, 4]) {
          yield* flow.start({ n }, { runId: `r${n}` })
          yield* rest
        }
        yield* TestClock.adjust("10 seconds")
        expect(begun.filter(([of]) => of.startsWith("limited"))).toEqual([
          ["limited 1", 0],
          ["limited 2", 1],
          ["limited 3", 2],
          ["limited 4", 3],
        ])
        expect(begun.filter(([of, at]) => of.startsWith("free") && at === 0)).toHaveLength(4)
      }).pipe(on({ limits: { api: { concurrency: 1 } } }))
    })

    it.effect("has slots of its own for each key that a step computes", () => {
      const { begun, work } = witness()
      const flow = Smithers.createWorkflow({ name: "flow", input: Input }).build(($) =>
        $.step("call", {
          output: Text,
          limit: ({ input }) => ({ name: "api", key: `customer ${input.n % 2}` }),
          run: ({ input }) => work(String(input.n)),
        }),
      )
      return Effect.gen(function* () {
        for (const n of [1, 2, 3, 4]) yield* flow.start({ n }, { runId: `r${n}` })
        yield* quiet
        yield* rest
        expect(begun).toHaveLength(2)
        expect((yield* Smithers.inspect("r3")).slots).toMatchObject([{ name: "api", key: "customer 1", nodeId: "call", before: 0 }])
        yield* TestClock.adjust("2 seconds")
        expect(begun).toHaveLength(4)
      }).pipe(on({ limits: { api: { concurrency: 1 } } }))
    })

    it.effect("is waited for without an attempt: no time of the step passes, and no attempt is counted", () => {
      const { work } = witness()
      const flow = Smithers.createWorkflow({ name: "flow", input: Input }).build(($) =>
        $.step("call", { output: Text, limit: "api", timeout: "2 seconds", retry: false, run: () => work("call") }),
      )
      return Effect.gen(function* () {
        const runs = Effect.all(
          [1, 2, 3, 4, 5, 6].map((n) => flow.execute({ n }, { runId: `r${n}` })),
          { concurrency: "unbounded" },
        )
        const fiber = yield* Effect.fork(runs)
        yield* quiet
        yield* rest
        const waiting = yield* Smithers.inspect("r6")
        expect(waiting).toMatchObject({ attempts: [], slots: [{ nodeId: "call", attempt: 1, before: 4 }] })
        expect(waiting.run.status).toBe("running")
        yield* TestClock.adjust("6 seconds")
        expect(yield* Fiber.join(fiber)).toHaveLength(6)
        expect((yield* Smithers.inspect("r6")).attempts).toMatchObject([{ attempt: 1, status: "succeeded" }])
        expect((yield* Smithers.inspect("r6")).slots).toBe(undefined)
      }).pipe(on({ limits: { api: { concurrency: 1 } } }))
    })

    it.effect("lets a cancellation and a pause through at once, and a run that goes on gets a slot again", () => {
      const { begun, work } = witness()
      const flow = Smithers.createWorkflow({ name: "flow", input: Input }).build(($) =>
        $.step("call", { output: Text, limit: "api", run: ({ input }) => work(String(input.n), "1 hour") }),
      )
      return Effect.gen(function* () {
        const storage = yield* Storage
        for (const n of [1, 2, 3, 4]) yield* flow.start({ n }, { runId: `r${n}` })
        yield* settled("three wait", () => Effect.map(storage.limits, ([stored]) => stored?.held === 1 && stored.waiting === 3))
        yield* Smithers.cancel("r2")
        yield* Smithers.pause("r3")
        yield* settled("two have left the queue", () => Effect.map(storage.limits, ([stored]) => stored?.waiting === 1))
        expect((yield* Smithers.inspect("r2")).run.status).toBe("cancelled")
        expect((yield* Smithers.inspect("r3")).run.status).toBe("paused")
        yield* Smithers.unpause("r3")
        const resumed = yield* Effect.fork(flow.resume("r3"))
        yield* TestClock.adjust("3 hours")
        yield* Fiber.join(resumed)
        expect(begun.map(([of]) => of).sort()).toEqual(["1", "3", "4"])
      }).pipe(on({ limits: { api: { concurrency: 1 } } }))
    })

    it.effect("with a rate gives as many slots as it says in any window, also after a restart", () => {
      const { begun, work } = witness()
      const flow = Smithers.createWorkflow({ name: "flow", input: Input }).build(($) =>
        $.step("call", { output: Text, limit: "api", run: ({ input }) => work(String(input.n)) }),
      )
      const rated = { limits: { api: { perMinute: 2 } } }
      return Effect.gen(function* () {
        const storage = yield* Storage
        const of = (ns: ReadonlyArray<number>) =>
          Effect.all(
            ns.map((n) => flow.execute({ n }, { runId: `r${n}` })),
            { concurrency: "unbounded" },
          )
        const first = yield* processOn(storage, rated)
        yield* passing("10 seconds", Effect.provideService(of([1, 2]), Engine.Engine, first.engine))
        yield* first.stop
        const second = yield* processOn(storage, rated)
        yield* passing("3 minutes", Effect.provideService(of([3, 4, 5]), Engine.Engine, second.engine))
        expect(begun.map(([, at]) => at)).toEqual([0, 0, 60, 60, 120])
      }).pipe(on({}))
    })

    it.effect("is lowered and raised while runs wait", () => {
      const { counts, work } = witness()
      const flow = Smithers.createWorkflow({ name: "flow", input: Input }).build(($) =>
        $.step("call", { output: Text, limit: "api", run: ({ input }) => work(String(input.n), "1 minute") }),
      )
      return Effect.gen(function* () {
        const storage = yield* Storage
        for (let n = 1; n <= 12; n++) yield* flow.start({ n }, { runId: `r${n}` })
        yield* TestClock.adjust("30 seconds")
        yield* rest
        expect(counts.now).toBe(4)
        const now = yield* Millis.now
        yield* storage.configureLimits({ api: { concurrency: 1 } }, now)
        yield* TestClock.adjust("1 minute")
        yield* rest
        expect(counts.now).toBe(1)
        yield* storage.configureLimits({ api: { concurrency: 5 } }, now)
        yield* rest
        expect(counts.now).toBe(5)
      }).pipe(on({ limits: { api: { concurrency: 4 } } }))
    })

    it.effect("gives every one of 1,000 steps its turn, those of a small run beside those of large ones", () => {
      const { begun, counts, work } = witness()
      const wide = Smithers.createWorkflow({ name: "wide", input: Input }).build(($) =>
        $.parallel(
          ...Array.from({ length: 333 }, (_, index) =>
            $.step(`call-${index}`, { output: Text, limit: "api", run: ({ input }) => work(`wide ${input.n}`) }),
          ),
        ),
      )
      const small = Smithers.createWorkflow({ name: "small", input: Input }).build(($) =>
        $.step("call", { output: Text, limit: "api", run: () => work("small") }),
      )
      return Effect.gen(function* () {
        const fibers = yield* Effect.forEach([1, 2, 3], (n) => Effect.fork(wide.execute({ n }, { runId: `w${n}` })))
        yield* quiet
        yield* rest
        const last = yield* Effect.fork(small.execute({ n: 0 }, { runId: "s" }))
        yield* TestClock.adjust("200 seconds")
        yield* Fiber.joinAll(fibers)
        yield* Fiber.join(last)
        expect(begun).toHaveLength(1000)
        expect(counts).toEqual({ now: 0, most: 10 })
        // Each run has as many places in the queue as it could use, so the small one is soon first.
        expect(begun.findIndex(([of]) => of === "small")).toBeLessThan(50)
      }).pipe(on({ limits: { api: { concurrency: 10 } }, maxConcurrency: 8 }))
    })

    it.effect("releases runs that wait long for a slot, and each goes on in its turn when a supervisor finds one for it", () => {
      const { begun, counts, work } = witness()
      const flow = Smithers.createWorkflow({ name: "flow", input: Input }).build(($) =>
        $.sequence(
          $.step("before", { output: Text, run: () => "before" }),
          $.step("call", { output: Text, limit: "api", run: ({ input }) => work(String(input.n), "1 minute") }),
        ),
      )
      return Effect.gen(function* () {
        const storage = yield* Storage
        const hour = yield* Effect.fork(flow.execute({ n: 0 }, { runId: "r0" }))
        yield* rest
        const waiting = yield* Effect.forEach([1, 2, 3, 4], (n) =>
          Effect.tap(Effect.fork(flow.run({ n }, { runId: `r${n}` })), () => rest),
        )
        yield* TestClock.adjust("11 seconds")
        const results = yield* Fiber.join(Fiber.all(waiting))
        for (const [index, result] of results.entries()) {
          const runId = `r${index + 1}`
          const wait = { nodeId: "call", iteration: 0, kind: "slot", limit: { name: "api", key: "" } }
          expect(result).toMatchObject({ status: "waiting-quota", waits: [wait] })
          const shown = yield* Smithers.inspect(runId)
          expect(shown.run).toMatchObject({ status: "waiting-quota", owner: null })
          expect(shown.slots).toMatchObject([{ nodeId: "call", before: index, since: 0 }])
        }
        // Nothing is done for them: not one event, claim or attempt.
        const seen = () =>
          Effect.forEach([1, 2, 3, 4], (n) => Effect.map(Smithers.inspect(`r${n}`), ({ seq, run }) => [seq, run.epoch]))
        const before = yield* seen()
        const scope = yield* Scope.make()
        const registry = Smithers.registry([flow])
        yield* Smithers.supervisor({ registry, interval: "5 seconds" }).pipe(Layer.buildWithScope(scope))
        yield* TestClock.adjust("40 seconds")
        yield* rest
        expect(yield* seen()).toEqual(before)
        // One that comes later is behind them, although it works.
        const late = yield* Effect.fork(flow.execute({ n: 5 }, { runId: "r5" }))
        for (let n = 0; n < 6; n++) {
          yield* TestClock.adjust("1 minute")
          yield* settled("the next has begun", () => begun.length > Math.min(n + 1, 5))
        }
        yield* Fiber.join(hour)
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(late)
        yield* Scope.close(scope, Exit.void)
        expect(begun.map(([of]) => of)).toEqual(["0", "1", "2", "3", "4", "5"])
        expect(counts).toEqual({ now: 0, most: 1 })
        expect((yield* storage.limits)[0]).toMatchObject({ held: 0, waiting: 0 })
        expect((yield* Smithers.inspect("r4")).attempts).toMatchObject([{ attempt: 1 }, { attempt: 1 }])
      }).pipe(on({ limits: { api: { concurrency: 1 } } }))
    })

    it.effect("keeps the places of runs whose process stops while they wait", () => {
      const { begun, work } = witness()
      const flow = Smithers.createWorkflow({ name: "flow", input: Input }).build(($) =>
        $.step("call", { output: Text, limit: "api", run: ({ input }) => work(String(input.n), "1 minute") }),
      )
      return Effect.gen(function* () {
        const storage = yield* Storage
        const holder = yield* processOn(storage, { limits: { api: { concurrency: 1 } } })
        const first = yield* processOn(storage)
        const begin = (n: number, engine: Engine.EngineShape) =>
          Effect.zipRight(Effect.provideService(flow.start({ n }, { runId: `r${n}` }), Engine.Engine, engine), rest)
        yield* begin(0, holder.engine)
        for (const n of [1, 2, 3]) yield* begin(n, first.engine)
        yield* first.stop
        const second = yield* processOn(storage)
        // They are resumed in another order, behind one that came later.
        for (const n of [4, 3, 1, 2]) yield* begin(n, second.engine)
        yield* TestClock.adjust("10 minutes")
        yield* rest
        expect(begun.map(([of]) => of)).toEqual(["0", "1", "2", "3", "4"])
        yield* second.stop
        yield* holder.stop
      }).pipe(on({}))
    })

    it.effect("that is unknown is refused before anything begins, with the name that was meant", () => {
      const { begun, work } = witness()
      const flow = Smithers.createWorkflow({ name: "flow", input: Input }).build(($) =>
        $.sequence(
          $.step("first", { output: Text, run: () => work("first") }),
          $.step("call", { output: Text, limit: "antropic", run: () => work("call") }),
        ),
      )
      return Effect.gen(function* () {
        const error = yield* Effect.flip(flow.execute({ n: 1 }, { runId: "r" }))
        expect(error).toMatchObject({ _tag: "InvalidWorkflow" })
        expect(error.message).toContain('no limit "antropic". Did you mean "anthropic"?')
        expect(begun).toEqual([])
      }).pipe(on({ limits: { anthropic: { concurrency: 1 } } }))
    })

    it.effect("that a function names wrongly fails the step, without a retry and without its code", () => {
      const { begun, work } = witness()
      const flow = Smithers.createWorkflow({ name: "flow", input: Input }).build(($) =>
        $.step("call", {
          output: Text,
          limit: ({ input }) => {
            if (input.n === 1) return { name: "apis" }
            if (input.n === 2) throw new Error("no such customer")
            return { key: "a" } as never
          },
          run: () => work("call"),
        }),
      )
      return Effect.gen(function* () {
        const messages = yield* Effect.forEach([1, 2, 3], (n) =>
          Effect.map(Effect.flip(flow.execute({ n }, { runId: `r${n}` })), (error) => error.message),
        )
        expect(messages[0]).toContain('There is no limit "apis". Did you mean "api"?')
        expect(messages[1]).toContain('The "limit" of step "call" threw: no such customer')
        expect(messages[2]).toContain('The "limit" of step "call" returned what is no limit: it must be the name of a limit')
        expect(begun).toEqual([])
      }).pipe(on({ limits }))
    })
  })
}
