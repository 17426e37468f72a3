/**
 * A wall clock that somebody sets while a run goes on, beside the time of the process that nobody sets.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Engine from "@smithers/core/Engine"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Millis from "@smithers/core/Millis"
import * as RetryPolicy from "@smithers/core/RetryPolicy"
import * as Smithers from "@smithers/core/Smithers"
import { ports, Storage } from "@smithers/core/Storage"
import * as Supervisor from "@smithers/core/Supervisor"
import * as VirtualClock from "@smithers/testing/VirtualClock"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Jumps from "../../packages/core/src/internal/jumps.ts"
import { workflow } from "./Flows.ts"
import { rest } from "./Time.ts"

const hour = 3_600_000

/** Milliseconds that timers of the platform hold at most. Effect's clock takes more for for ever. */
const longestTimerMs = 2 ** 31 - 1

/** A clock whose time of day can be set. Sleepers go by the time of the process, and hold as little, as timers of the platform do. */
const settable = () => {
  const virtual = VirtualClock.make(100 * hour)
  let setBy = 0
  const millis = (): number => virtual.clock.unsafeCurrentTimeMillis() + setBy
  const clock: Clock.Clock = {
    ...virtual.clock,
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: millis,
    currentTimeMillis: Effect.sync(millis),
    sleep: (duration) => (Duration.toMillis(duration) > longestTimerMs ? Effect.never : virtual.clock.sleep(duration)),
  }
  const now = virtual.clock.unsafeCurrentTimeMillis
  const began = now()
  return {
    clock,
    /** Sets the time of day ahead, or back. */
    set: (ms: number): void => {
      setBy += ms
    },
    /** Lets so much of the time of the process pass, one sleeper after the other. */
    pass: (ms: number) =>
      Effect.gen(function* () {
        const until = now() + ms
        yield* Effect.fork(virtual.clock.sleep(Duration.millis(ms)))
        for (yield* rest; now() < until; yield* rest) virtual.jump()
      }),
    /** Milliseconds of the process since the test began. */
    passed: (): number => now() - began,
  }
}

const testing = (title: string, body: (time: ReturnType<typeof settable>) => Effect.Effect<void, unknown, Smithers.Runtime>) =>
  it.effect(title, () => {
    const time = settable()
    const store = Smithers.onStorage(MemoryStorage.layer, { lease: "100 days" })
    return body(time).pipe(Effect.provide(store), Effect.withClock(time.clock))
  })

describe("a clock that goes a little faster or slower", () => {
  for (const drift of [30, -30])
    testing(`ends no timer early (by ${drift} ms)`, (time) =>
      Effect.gen(function* () {
        const ended: Array<number> = []
        const flow = workflow(($) => {
          const first = $.timer("first", { duration: "1 second" })
          const tick = $.timer("tick", { duration: "10 millis" })
          const tock = $.step("tock", {
            output: Schema.Number,
            run: () => {
              ended.push(time.passed())
              return ended.length
            },
          })
          const loop = $.loop({ id: "l", body: $.sequence(tick, tock), until: ({ output }) => output === 5, maxIterations: 9 })
          return $.sequence(first, loop)
        })
        const fiber = yield* Effect.fork(flow.execute({}))
        yield* time.pass(500)
        time.set(drift)
        yield* time.pass(2000)
        yield* Fiber.join(fiber)
        expect(ended).toHaveLength(5)
        for (const [index, at] of ended.slice(1).entries()) expect(at - (ended[index] ?? 0)).toBeGreaterThanOrEqual(10)
      }),
    )
})

describe("a clock that is set back by an hour", () => {
  testing("makes no retry wait for longer than its delay, whether it had failed before or fails after", (time) =>
    Effect.gen(function* () {
      const began: Array<readonly [id: string, at: number]> = []
      const unlucky = (id: string, firstMs: number) => ({
        output: Schema.String,
        retry: { initialDelay: "10 seconds", jitter: false, backoff: "constant", maxAttempts: 3 } as const,
        run: ({ attempt }: { readonly attempt: number }) =>
          Effect.gen(function* () {
            began.push([id, time.passed()])
            if (attempt === 1) yield* Effect.sleep(firstMs)
            if (attempt < 3) return yield* Effect.fail(new Error("not yet"))
            return id
          }),
      })
      const flow = workflow(($) => $.parallel($.step("a", unlucky("a", 0)), $.step("b", unlucky("b", 5000))))
      const fiber = yield* Effect.fork(flow.execute({}))
      yield* time.pass(3000)
      time.set(-hour)
      yield* time.pass(60_000)
      expect(yield* Fiber.join(fiber)).toEqual(["a", "b"])
      expect(began).toEqual([
        ["a", 0],
        ["b", 0],
        ["a", 10_000],
        ["b", 15_000],
        ["a", 20_000],
        ["b", 25_000],
      ])
    }),
  )

  testing("between a failure and its schedule makes no retry wait for longer either", (time) =>
    Effect.gen(function* () {
      const began: Array<number> = []
      // The policy is asked when the attempt has failed; then the clock is set, before anybody hears of the failure.
      const spaced = Schedule.spaced("10 seconds").pipe(
        Schedule.intersect(Schedule.recurs(2)),
        Schedule.tapOutput(() => Effect.sync(() => (began.length === 1 ? time.set(-hour) : undefined))),
      )
      const flow = workflow(($) =>
        $.step("a", {
          output: Schema.String,
          retry: spaced,
          run: () => {
            began.push(time.passed())
            return began.length < 3 ? Effect.fail(new Error("not yet")) : Effect.succeed("a")
          },
        }),
      )
      const fiber = yield* Effect.fork(flow.execute({}))
      yield* time.pass(60_000)
      expect(yield* Fiber.join(fiber)).toBe("a")
      expect(began).toEqual([0, 10_000, 20_000])
    }),
  )

  testing("makes no timer of a duration and no limit of a wait longer", (time) =>
    Effect.gen(function* () {
      const ended: Record<string, number> = {}
      const note = (id: string) => ({
        output: Schema.Void,
        run: () => {
          ended[id] = time.passed()
        },
      })
      const flow = workflow(($) =>
        $.parallel(
          $.sequence($.timer("nap", { duration: "10 minutes" }), $.step("napped", note("nap"))),
          $.sequence(
            $.approval("ask", { request: () => ({ title: "?" }), timeout: "20 minutes", onTimeout: "approve" }),
            $.step("asked", note("ask")),
          ),
        ),
      )
      const fiber = yield* Effect.fork(flow.execute({}))
      yield* time.pass(300_000)
      time.set(-hour)
      yield* time.pass(hour)
      yield* Fiber.join(fiber)
      expect(ended).toEqual({ nap: 600_000, ask: 1_200_000 })
    }),
  )

  testing("fires no timer that waits for a time of day before that time", (time) =>
    Effect.gen(function* () {
      const at = time.clock.unsafeCurrentTimeMillis() + 600_000
      const flow = workflow(($) => $.timer("alarm", { until: () => at }))
      const fiber = yield* Effect.fork(flow.execute({}))
      yield* time.pass(300_000)
      time.set(-hour)
      yield* time.pass(hour)
      expect(fiber.unsafePoll()).toBe(null)
      yield* time.pass(600_000)
      yield* Fiber.join(fiber)
      expect(time.clock.unsafeCurrentTimeMillis()).toBeGreaterThanOrEqual(at)
    }),
  )

  testing("does not hide the silence of a step", (time) =>
    Effect.gen(function* () {
      const silent = { output: Schema.Void, retry: false, heartbeatTimeout: "10 seconds", run: () => Effect.never } as const
      const fiber = yield* Effect.fork(workflow(($) => $.step("silent", silent)).run({}))
      yield* time.pass(5000)
      time.set(-hour)
      yield* time.pass(6000)
      expect(yield* Fiber.join(fiber)).toMatchObject({
        status: "failed",
        error: { _tag: "StepTimedOut", limit: "heartbeatTimeout" },
      })
    }),
  )

  testing("lets no supervisor leave a run alone for an hour", (time) =>
    Effect.gen(function* () {
      const storage = yield* Storage
      const create = { workflow: "w", version: undefined, input: {}, tags: [] }
      const command = { _tag: "Signal", name: "x" } as const
      yield* storage.deliverOrCreate({ id: "s", runId: "r", at: yield* Millis.now, command }, create)
      const tried: Array<number> = []
      const error = { _tag: "Broken", message: "its code cannot be loaded" }
      const worker = () =>
        Effect.sync(() => {
          tried.push(time.passed())
          return Either.right({ work: Effect.fail(error) })
        })
      yield* Supervisor.makeWith({ worker, report: () => Effect.void, interval: "1 day" })
      yield* time.pass(500)
      expect(tried).toEqual([0])
      time.set(-hour)
      yield* time.pass(5000)
      expect(tried.length).toBeGreaterThanOrEqual(3)
      expect(tried[1]).toBeGreaterThanOrEqual(800)
      expect(tried[1]).toBeLessThanOrEqual(1200)
    }).pipe(Effect.scoped),
  )
})

describe("a clock that is set ahead by an hour", () => {
  testing("takes no step for silent that gives heartbeats", (time) =>
    Effect.gen(function* () {
      const beating = {
        output: Schema.String,
        retry: false,
        heartbeatTimeout: "10 seconds",
        run: ({ heartbeat }: { readonly heartbeat: () => void }) =>
          Effect.as(Effect.repeatN(Effect.zipRight(Effect.sync(heartbeat), Effect.sleep("6 seconds")), 4), "done"),
      } as const
      const fiber = yield* Effect.fork(workflow(($) => $.step("beating", beating)).execute({}))
      yield* time.pass(7000)
      time.set(hour)
      yield* time.pass(40_000)
      expect(yield* Fiber.join(fiber)).toBe("done")
    }),
  )

  testing("ends what is due later, as the night does over which a machine sleeps", (time) =>
    Effect.gen(function* () {
      const flow = workflow(($) =>
        $.parallel($.timer("nap", { duration: "50 minutes" }), $.timer("tick", { duration: "1 minute" })),
      )
      const fiber = yield* Effect.fork(flow.execute({}))
      yield* time.pass(30_000)
      time.set(hour)
      // What the platform's own clock is looked at for happens here with the next that is due.
      yield* time.pass(60_000)
      yield* Fiber.join(fiber)
      const [nap] = (yield* (yield* Storage).waits({ all: true })).filter(({ nodeId }) => nodeId === "nap")
      expect(nap?.status).toBe("finished")
    }),
  )
})

describe("what takes longer than timers of the platform hold", () => {
  const days = 24 * hour

  testing("ends when it is due: timers, retries, limits of waits, and timeouts of attempts", (time) =>
    Effect.gen(function* () {
      const ended: Record<string, number> = {}
      const note = (id: string) => ({
        output: Schema.Void,
        run: () => {
          ended[id] = time.passed() / days
        },
      })
      const flow = workflow(($) =>
        $.parallel(
          $.sequence($.timer("nap", { duration: "30 days" }), $.step("napped", note("nap"))),
          $.sequence(
            $.approval("ask", { request: () => ({ title: "?" }), timeout: "40 days", onTimeout: "approve" }),
            $.step("asked", note("ask")),
          ),
          $.step("again", {
            output: Schema.Void,
            retry: { initialDelay: "50 days", maxDelay: "50 days", jitter: false, maxAttempts: 2 },
            run: ({ attempt }) => (attempt === 1 ? Effect.fail(new Error("not yet")) : note("again").run()),
          }),
          $.sequence(
            $.step("stuck", {
              output: Schema.Void,
              retry: false,
              timeout: "60 days",
              continueOnFail: true,
              run: () => Effect.never,
            }),
            $.step("freed", note("stuck")),
          ),
          $.sequence(
            $.step("silent", {
              output: Schema.Void,
              retry: false,
              heartbeatTimeout: "70 days",
              continueOnFail: true,
              run: () => Effect.never,
            }),
            $.step("missed", note("silent")),
          ),
        ),
      )
      yield* Effect.fork(flow.execute({}))
      yield* time.pass(80 * days)
      expect(ended).toEqual({ nap: 30, ask: 40, again: 50, stuck: 60, silent: 70 })
    }),
  )

  it.live("is waited for with the platform's own timers, too, and not looked at every millisecond", () =>
    Effect.gen(function* () {
      const ms = 2 * longestTimerMs
      const isOver = (wait: Effect.Effect<void>) =>
        Effect.raceFirst(Effect.as(wait, true), Effect.as(Effect.sleep("50 millis"), false))
      expect(
        yield* Effect.all([isOver(Jumps.pause(ms)), isOver(Jumps.pauseUntil(Date.now() + ms)), isOver(Jumps.sleep(ms))]),
      ).toEqual([false, false, false])
    }),
  )
})

describe("a retry policy that measures time", () => {
  const upTo = RetryPolicy.fromSchedule(Schedule.intersect(Schedule.spaced("10 seconds"), Schedule.recurUpTo("1 minute")))

  it.effect("measures that of the process where the clock is set back, and counts its delays from the clock as it is", () =>
    Effect.gen(function* () {
      const delays = (setBack: number) =>
        Effect.gen(function* () {
          const given: Array<number | undefined> = []
          for (let driver = RetryPolicy.start(upTo), failure = 0; failure < 20; failure++) {
            const steady = failure * 10_000
            const wall = 100 * hour + steady - (failure < 3 ? 0 : setBack)
            const step = yield* RetryPolicy.next(driver, wall, { name: "Error", message: "no", retryable: true }, steady)
            given.push(step.retryAt === undefined ? undefined : step.retryAt - wall)
            if (step.retryAt === undefined) break
            driver = step.driver
          }
          return given
        })
      const undisturbed = yield* delays(0)
      expect(undisturbed).toEqual([...Array.from({ length: 6 }, () => 10_000), undefined])
      expect(yield* delays(hour)).toEqual(undisturbed)
    }),
  )
})

describe("a clock that a test moves", () => {
  it.effect(
    "is waited for a few times in a month, although engines keep claims, supervisors look, and others wait for a run",
    () => {
      const virtual = VirtualClock.make(0)
      let sleeps = 0
      const clock: Clock.Clock = {
        ...virtual.clock,
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        sleep: (duration) => {
          sleeps++
          return virtual.clock.sleep(duration)
        },
      }
      const flow = workflow(($) => $.timer("month", { duration: "30 days" }))
      const attempt = Effect.gen(function* () {
        const storage = yield* Storage
        const engine = () => Engine.make().pipe(Effect.provide(ports(storage)))
        const [one, other] = [yield* engine(), yield* engine()]
        yield* Supervisor.make({ registry: Supervisor.registry([flow]) }).pipe(Effect.provideService(Engine.Engine, one))
        const working = yield* Effect.fork(Effect.provideService(flow.execute({}, { runId: "r" }), Engine.Engine, one))
        yield* rest
        const waiting = yield* Effect.fork(Effect.provideService(flow.execute({}, { runId: "r" }), Engine.Engine, other))
        for (yield* rest; waiting.unsafePoll() === null; yield* rest) virtual.jump()
        yield* Fiber.join(working)
        expect(virtual.clock.unsafeCurrentTimeMillis()).toBe(30 * 24 * hour)
        // The driver and the supervisor look once a day, as timers hold no more.
        expect(sleeps).toBeLessThan(100)
      })
      return attempt.pipe(Effect.scoped, Effect.provide(MemoryStorage.layer), Effect.withClock(clock))
    },
  )

  it.effect("passes over a day at once where a runtime is used as it comes", () =>
    Effect.gen(function* () {
      const flow = workflow(($) => $.timer("day", { duration: "1 day" }))
      const fiber = yield* Effect.fork(flow.execute({}))
      yield* rest
      const began = performance.now()
      yield* TestClock.adjust("1 day")
      yield* Fiber.join(fiber)
      // Each renewal took some milliseconds, and there were 8,640.
      expect(performance.now() - began).toBeLessThan(5000)
    }).pipe(Effect.provide(Smithers.memory)),
  )
})
