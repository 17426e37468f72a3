/** The ways to run a workflow: what its methods answer, and what they leave behind. */

import { describe, expect, it } from "@effect/vitest"
import {
  InputMismatch,
  InvalidInput,
  InvalidRunId,
  RunCancelled,
  RunEnded,
  RunNotFound,
  StepFailed,
  WorkflowMismatch,
} from "@smithers/core/Errors"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as TestRuntime from "@smithers/testing/TestRuntime"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as z from "zod"
import { passing, quiet, seconds } from "./Time.ts"

const onMemory = Effect.provide(Smithers.memory)
const onTestRuntime = Effect.provide(TestRuntime.layer())

const declare = (name = "w") => Smithers.createWorkflow({ name, input: Schema.Struct({ n: Schema.Number }) })
const input = { n: 1 }

const inspect = (runId: string) => Effect.flatMap(Storage, (storage) => storage.inspect(runId))
const statusOf = (runId: string) => Effect.map(inspect(runId), ({ run }) => run.status)
const nodesOf = (runId: string) =>
  Effect.map(inspect(runId), ({ nodes }) => Object.fromEntries(nodes.map(({ nodeId, status }) => [nodeId, status])))
const eventsOf = (runId: string) =>
  Effect.flatMap(Storage, (storage) => Effect.map(storage.events(runId), (events) => events.map(({ event }) => event._tag)))

/** Why attempts of a run were cut short. */
const interruptionsOf = (runId: string) =>
  Effect.flatMap(Storage, (storage) =>
    Effect.map(storage.events(runId), (events) =>
      events.flatMap(({ event }) => (event._tag === "AttemptInterrupted" ? [`${event.nodeId}: ${event.reason}`] : [])),
    ),
  )

/** Three steps in a row that note when they ran; the second goes on only when it is let. */
const gated = Effect.gen(function* () {
  const ran: Array<string> = []
  const reached = yield* Deferred.make<void>()
  const gate = yield* Deferred.make<void>()
  const W = declare().build(($) => {
    const note = (id: string) =>
      $.step(id, {
        output: Schema.String,
        run: () => {
          ran.push(id)
          return id
        },
      })
    const second = $.step("second", {
      output: Schema.String,
      run: ({ signal }) =>
        Effect.gen(function* () {
          ran.push("second")
          signal.addEventListener("abort", () => ran.push("second aborted"))
          yield* Deferred.succeed(reached, undefined)
          yield* Deferred.await(gate)
          return "second"
        }),
    })
    return $.sequence(note("first"), second, note("third"))
  })
  return { W, ran, open: Deferred.succeed(gate, undefined), reached: Deferred.await(reached) }
})

/** A workflow whose second step fails until it is repaired. */
const broken = () => {
  const ran: Array<string> = []
  const state = { isBroken: true }
  const W = declare().build(($) =>
    $.sequence(
      $.step("first", { output: Schema.Void, run: () => void ran.push("first") }),
      $.step("second", {
        output: Schema.String,
        retry: { maxAttempts: 2, initialDelay: "1s", jitter: false },
        run: ({ attempt }) => {
          ran.push(`second ${attempt}`)
          if (state.isBroken) throw new Error("broken")
          return "repaired"
        },
      }),
    ),
  )
  const repair = () => {
    state.isBroken = false
  }
  return { W, ran, repair }
}

describe("execute", () => {
  it.effect("succeeds with the output and leaves a finished run, under an id of its own", () =>
    Effect.gen(function* () {
      const W = declare().build(($) => $.step("a", { output: Schema.Number, run: ({ input }) => input.n + 1 }))
      expect(yield* W.execute(input)).toBe(2)
      expect(yield* W.execute(input)).toBe(2)
      const runs = yield* Effect.flatMap(Storage, (storage) => storage.runs({}))
      expect(runs.map(({ status, workflow }) => [status, workflow])).toEqual([
        ["finished", "w"],
        ["finished", "w"],
      ])
      expect(new Set(runs.map(({ runId }) => runId)).size).toBe(2)
    }).pipe(onMemory),
  )

  it.effect("of a finished run answers with its output and runs nothing", () =>
    Effect.gen(function* () {
      let ran = 0
      const W = declare().build(($) =>
        $.parallel(
          $.step("a", { output: Schema.Number, run: () => ++ran }),
          $.loop({
            id: "l",
            maxIterations: Infinity,
            body: $.step("b", { output: Schema.Number, run: () => ++ran }),
            until: ({ iteration }) => iteration === 2,
          }),
          $.step("c", { output: Schema.Number, skipIf: () => true, run: () => ++ran }),
        ),
      )
      const first = yield* W.execute(input, { runId: "r" })
      expect(first).toEqual([1, 3, undefined])
      const events = yield* eventsOf("r")
      expect(yield* W.execute(input, { runId: "r" })).toEqual(first)
      expect(ran).toBe(3)
      expect(yield* eventsOf("r")).toEqual(events)
    }).pipe(onMemory),
  )

  it.effect("twice at the same time with one id shares one run", () =>
    Effect.gen(function* () {
      const { W, ran, open, reached } = yield* gated
      const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.fork(W.execute(input, { runId: "r" })))
      yield* reached
      yield* open
      expect(yield* Effect.forEach(fibers, Fiber.join)).toEqual(["third", "third", "third"])
      expect(ran).toEqual(["first", "second", "third"])
    }).pipe(onMemory),
  )

  it.effect("with another input for a known id is refused, whether that run has finished or not", () =>
    Effect.gen(function* () {
      const { W, ran, open, reached } = yield* gated
      const fiber = yield* Effect.fork(W.execute(input, { runId: "r" }))
      yield* reached
      expect(yield* Effect.flip(W.execute({ n: 2 }, { runId: "r" }))).toEqual(new InputMismatch({ runId: "r" }))
      yield* open
      yield* Fiber.join(fiber)
      expect(yield* Effect.flip(W.execute({ n: 2 }, { runId: "r" }))).toEqual(new InputMismatch({ runId: "r" }))
      expect(ran).toEqual(["first", "second", "third"])
      expect(yield* statusOf("r")).toBe("finished")
    }).pipe(onMemory),
  )

  it.effect("compares inputs by what is stored of them, not by the order of their fields", () =>
    Effect.gen(function* () {
      const Input = z.object({ a: z.number(), b: z.number().default(2) })
      const W = Smithers.createWorkflow({ name: "w", input: Input }).build(($) =>
        $.step("sum", { output: Schema.Number, run: ({ input }) => input.a + input.b }),
      )
      expect(yield* W.execute({ a: 1, b: 2 }, { runId: "r" })).toBe(3)
      expect(yield* W.execute({ b: 2, a: 1 }, { runId: "r" })).toBe(3)
      expect(yield* W.execute({ a: 1 }, { runId: "r" })).toBe(3)
      expect((yield* Effect.flip(W.execute({ a: 1, b: 3 }, { runId: "r" })))._tag).toBe("InputMismatch")
    }).pipe(onMemory),
  )

  it.effect("with the id of a run of another workflow is refused, whether that run has finished or not", () =>
    Effect.gen(function* () {
      const { W, open, reached } = yield* gated
      const other = declare("other").build(($) => $.sequence())
      const mismatch = new WorkflowMismatch({ runId: "r", workflow: "other", stored: "w" })
      const fiber = yield* Effect.fork(W.execute(input, { runId: "r" }))
      yield* reached
      expect(yield* Effect.flip(other.execute(input, { runId: "r" }))).toEqual(mismatch)
      expect(yield* Effect.flip(other.resume("r"))).toEqual(mismatch)
      yield* open
      yield* Fiber.join(fiber)
      expect(yield* Effect.flip(other.execute(input, { runId: "r" }))).toEqual(mismatch)
    }).pipe(onMemory),
  )

  it.effect("of a failed run takes it up where it failed, with a fresh budget", () =>
    Effect.gen(function* () {
      const { W, ran, repair } = broken()
      const error = yield* Effect.flip(W.execute(input, { runId: "r" }))
      expect(error).toMatchObject({ _tag: "StepFailed", runId: "r", nodeId: "second", attempts: 2, error: { message: "broken" } })
      expect((error as StepFailed).cause).toEqual(new Error("broken"))
      expect(yield* statusOf("r")).toBe("failed")
      yield* Effect.flip(W.execute(input, { runId: "r", onFailed: "resume" }))
      repair()
      expect(yield* W.execute(input, { runId: "r", onFailed: "resume" })).toBe("repaired")
      expect(ran).toEqual(["first", "second 1", "second 2", "second 3", "second 4", "second 5"])
      expect(yield* statusOf("r")).toBe("finished")
    }).pipe(onTestRuntime),
  )

  it.effect("that is interrupted suspends the run in order; the next one goes on at the right step", () =>
    Effect.gen(function* () {
      const { W, ran, open, reached } = yield* gated
      const fiber = yield* Effect.fork(W.execute(input, { runId: "r" }))
      yield* reached
      const exit = yield* Fiber.interrupt(fiber)
      expect(Exit.isInterrupted(exit)).toBe(true)
      expect(ran).toEqual(["first", "second", "second aborted"])
      expect(yield* statusOf("r")).toBe("suspended")
      expect(yield* nodesOf("r")).toEqual({ first: "finished", second: "interrupted" })
      expect(yield* interruptionsOf("r")).toEqual(["second: shutdown"])
      yield* open
      expect(yield* W.execute(input, { runId: "r" })).toBe("third")
      expect(ran).toEqual(["first", "second", "second aborted", "second", "third"])
    }).pipe(onMemory),
  )

  it.effect("that is interrupted leaves the run to those who still wait for it", () =>
    Effect.gen(function* () {
      const { W, ran, open, reached } = yield* gated
      const [one, other] = [
        yield* Effect.fork(W.execute(input, { runId: "r" })),
        yield* Effect.fork(W.execute(input, { runId: "r" })),
      ]
      yield* reached
      yield* Fiber.interrupt(one)
      expect(yield* statusOf("r")).toBe("running")
      yield* open
      expect(yield* Fiber.join(other)).toBe("third")
      expect(ran).toEqual(["first", "second", "third"])
    }).pipe(onMemory),
  )

  it.effect("while a run is being suspended waits for that, and then goes on with it", () =>
    Effect.gen(function* () {
      const cleaned = yield* Deferred.make<void>()
      const [isReached, isLeaving] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let attempts = 0
      const W = declare().build(($) =>
        $.step("a", {
          output: Schema.Number,
          run: ({ attempt }) =>
            Effect.gen(function* () {
              attempts++
              if (attempt > 1) return attempt
              yield* Deferred.succeed(isReached, undefined)
              return yield* Effect.never.pipe(
                Effect.onInterrupt(() => Effect.zipRight(Deferred.succeed(isLeaving, undefined), Deferred.await(cleaned))),
              )
            }),
        }),
      )
      const fiber = yield* Effect.fork(W.execute(input, { runId: "r" }))
      yield* Deferred.await(isReached)
      const interruption = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* Deferred.await(isLeaving)
      const next = yield* Effect.fork(W.execute(input, { runId: "r" }))
      yield* quiet
      expect(attempts).toBe(1)
      yield* Deferred.succeed(cleaned, undefined)
      expect(yield* Fiber.join(next)).toBe(2)
      yield* Fiber.join(interruption)
    }).pipe(onMemory),
  )

  it.effect.each<[what: string, runId: string]>([
    ["nothing", ""],
    ["NUL", "a\0"],
    ["half a surrogate pair", "a\ud83d"],
    ["the form of a child run's", "parent~node~0"],
    ["the form of another child run's", "a~b~c~10~1"],
    ["1001 characters", "r".repeat(1001)],
  ])("refuses a run id with %s, and starts nothing", ([_what, runId]) =>
    Effect.gen(function* () {
      const W = declare().build(($) => $.sequence())
      expect(yield* Effect.flip(W.execute(input, { runId }))).toEqual(new InvalidRunId({ runId }))
      expect(yield* Effect.flip(W.run(input, { runId }))).toEqual(new InvalidRunId({ runId }))
      expect(yield* Effect.flip(W.start(input, { runId }))).toEqual(new InvalidRunId({ runId }))
      expect(yield* Effect.flatMap(Storage, (storage) => storage.runs({}))).toEqual([])
    }).pipe(onMemory),
  )

  it.effect("refuses an input that does not fit, with the path of what is wrong, and starts nothing", () =>
    Effect.gen(function* () {
      const Input = Schema.Struct({ repo: Schema.Struct({ name: Schema.String, stars: Schema.Number }) })
      const W = Smithers.createWorkflow({ name: "w", input: Input }).build(($) => $.sequence())
      const bad = { repo: { name: 7, stars: "many" } } as never
      for (const method of [W.execute, W.run, W.start]) {
        const error = yield* Effect.flip<unknown, unknown, Smithers.Runtime>(method(bad, { runId: "r" }))
        expect(error).toBeInstanceOf(InvalidInput)
        const { issues, message } = error as InvalidInput
        expect(issues.map((issue) => issue.split(":")[0])).toEqual(["repo.name", "repo.stars"])
        expect(message).toContain("Nothing was started.")
      }
      const zod = Smithers.createWorkflow({ name: "w", input: z.object({ tags: z.array(z.string()) }) }).build(($) => $.sequence())
      const error = yield* Effect.flip(zod.execute({ tags: ["a", 7] } as never))
      expect(error).toMatchObject({ _tag: "InvalidInput", issues: [expect.stringMatching(/^tags\.1: /)] })
      expect(yield* Effect.flatMap(Storage, (storage) => storage.runs({}))).toEqual([])
    }).pipe(onMemory),
  )

  it.effect("keeps the tags and the version with a new run, to find it by", () =>
    Effect.gen(function* () {
      const W = Smithers.createWorkflow({ name: "w", input: Schema.Void, version: "2" }).build(($) => $.sequence())
      yield* W.execute(undefined, { runId: "one", tags: ["nightly", "'; DROP TABLE runs; --"] })
      yield* W.execute(undefined, { runId: "two" })
      yield* W.execute(undefined, { runId: "two", tags: ["late"] })
      const storage = yield* Storage
      const found = (tag: string) =>
        Effect.map(storage.runs({ tag }), (runs) => runs.map(({ runId, tags, version }) => ({ runId, tags, version })))
      expect(yield* found("nightly")).toEqual([{ runId: "one", tags: ["nightly", "'; DROP TABLE runs; --"], version: "2" }])
      expect(yield* found("'; DROP TABLE runs; --")).toHaveLength(1)
      expect(yield* found("late")).toEqual([])
    }).pipe(onMemory),
  )

  it.effect("commits a first frame before a step runs, and one frame per step after that", () =>
    Effect.gen(function* () {
      const W = declare().build(($) => {
        const step = (id: string) => $.step(id, { output: Schema.Void, run: () => {} })
        return $.sequence(step("a"), step("b"))
      })
      yield* W.execute(input, { runId: "r" })
      const events = yield* Effect.flatMap(Storage, (storage) => storage.events("r"))
      expect(events.map(({ frame, event }) => [frame, event._tag])).toEqual([
        [1, "RunStarted"],
        [1, "AttemptStarted"],
        [2, "AttemptSucceeded"],
        [2, "AttemptStarted"],
        [3, "AttemptSucceeded"],
        [3, "RunFinished"],
      ])
      expect(events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6])
    }).pipe(onMemory),
  )
})

describe("run", () => {
  it.effect("answers with how the run stopped, a failure included", () =>
    Effect.gen(function* () {
      const { W, repair } = broken()
      const failed = yield* W.run(input, { runId: "r" })
      expect(failed).toMatchObject({ status: "failed", runId: "r", error: { _tag: "StepFailed", nodeId: "second" } })
      repair()
      expect(yield* W.run(input, { runId: "r", onFailed: "resume" })).toEqual({
        status: "finished",
        runId: "r",
        output: "repaired",
      })
      expect(yield* W.run(input, { runId: "r", onFailed: "resume" })).toEqual({
        status: "finished",
        runId: "r",
        output: "repaired",
      })
    }).pipe(onTestRuntime),
  )

  it.effect("answers that a run was cancelled, and why", () =>
    Effect.gen(function* () {
      const { W, reached } = yield* gated
      const fiber = yield* Effect.fork(W.run(input, { runId: "r" }))
      yield* reached
      yield* W.cancel("r", "changed my mind")
      const cancelled = { status: "cancelled", runId: "r", reason: "changed my mind" }
      expect(yield* Fiber.join(fiber)).toEqual(cancelled)
      expect(yield* W.run(input, { runId: "r" })).toEqual(cancelled)
    }).pipe(onMemory),
  )

  it.effect("still fails where the run could not be worked on", () =>
    Effect.gen(function* () {
      const W = declare().build(($) => $.sequence())
      yield* W.run(input, { runId: "r" })
      expect(yield* Effect.flip(W.run({ n: 2 }, { runId: "r" }))).toEqual(new InputMismatch({ runId: "r" }))
    }).pipe(onMemory),
  )
})

describe("start", () => {
  it.effect("answers at once with a handle, and the run goes on by itself", () =>
    Effect.gen(function* () {
      const { W, open, reached } = yield* gated
      const handle = yield* W.start(input, { runId: "r" })
      expect(handle.runId).toBe("r")
      yield* reached
      const waiting = yield* Effect.fork(handle.await)
      yield* Fiber.interrupt(waiting)
      expect(yield* statusOf("r")).toBe("running")
      yield* open
      expect(yield* handle.await).toBe("third")
      expect(yield* handle.result).toEqual({ status: "finished", runId: "r", output: "third" })
    }).pipe(onMemory),
  )

  it.effect("makes up a run id, which the handle knows", () =>
    Effect.gen(function* () {
      const W = declare().build(($) => $.step("a", { output: Schema.Number, run: () => 1 }))
      const handle = yield* W.start(input)
      expect(handle.runId).toMatch(/^[0-9a-z]+-[0-9a-z]{8}$/)
      expect(yield* handle.await).toBe(1)
      expect(yield* W.execute(input, { runId: handle.runId })).toBe(1)
    }).pipe(onMemory),
  )

  it.effect("of a run that is at work joins it", () =>
    Effect.gen(function* () {
      const { W, ran, open, reached } = yield* gated
      const fiber = yield* Effect.fork(W.execute(input, { runId: "r" }))
      yield* reached
      const handle = yield* W.start(input, { runId: "r" })
      yield* Fiber.interrupt(fiber)
      yield* open
      expect(yield* handle.await).toBe("third")
      expect(ran).toEqual(["first", "second", "third"])
    }).pipe(onMemory),
  )

  it.effect("tells through the handle why a run could not be worked on or failed", () =>
    Effect.gen(function* () {
      const { W } = broken()
      const handle = yield* W.start(input, { runId: "r" })
      expect(yield* Effect.flip(handle.await)).toMatchObject({ _tag: "StepFailed", nodeId: "second" })
      expect(yield* handle.result).toMatchObject({ status: "failed", error: { _tag: "StepFailed" } })
      const other = yield* W.start({ n: 2 }, { runId: "r" })
      expect(yield* Effect.flip(other.await)).toEqual(new InputMismatch({ runId: "r" }))
      expect(yield* Effect.flip(other.result)).toEqual(new InputMismatch({ runId: "r" }))
    }).pipe(onTestRuntime),
  )

  it.effect("gives the run's events, from the first one to the end, to whoever asks and whenever", () =>
    Effect.gen(function* () {
      const { W, open, reached } = yield* gated
      const handle = yield* W.start(input, { runId: "r" })
      const tags = Effect.map(Stream.runCollect(handle.events), (events) =>
        Chunk.toReadonlyArray(events).map(({ event }) => event._tag),
      )
      const early = yield* Effect.fork(tags)
      const upToSecond = yield* Effect.fork(Stream.runCollect(Stream.take(handle.events, 4)))
      yield* reached
      expect(Chunk.size(yield* Fiber.join(upToSecond))).toBe(4)
      yield* open
      const expected = [
        "RunStarted",
        ...["AttemptStarted", "AttemptSucceeded", "AttemptStarted", "AttemptSucceeded", "AttemptStarted", "AttemptSucceeded"],
        "RunFinished",
      ]
      expect(yield* Fiber.join(early)).toEqual(expected)
      expect(yield* tags).toEqual(expected)
      expect(yield* eventsOf("r")).toEqual(expected)
    }).pipe(onMemory),
  )

  it.effect("gives more events than fit on one page, each once and in order", () =>
    Effect.gen(function* () {
      const W = declare().build(($) =>
        $.loop({
          id: "l",
          maxIterations: Infinity,
          body: $.step("a", { output: Schema.Void, run: () => {} }),
          until: ({ iteration }) => iteration === 400,
        }),
      )
      const handle = yield* W.start(input)
      const events = Chunk.toReadonlyArray(yield* Stream.runCollect(handle.events))
      expect(events.length).toBeGreaterThan(1000)
      expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    }).pipe(onMemory),
  )

  it.effect("gives a handle that cancels", () =>
    Effect.gen(function* () {
      const { W, ran, reached } = yield* gated
      const handle = yield* W.start(input, { runId: "r" })
      yield* reached
      yield* handle.cancel("enough")
      expect(yield* Effect.flip(handle.await)).toEqual(new RunCancelled({ runId: "r", reason: "enough" }))
      const last = yield* Stream.runLast(handle.events)
      expect(last).toMatchObject({ value: { event: { _tag: "RunCancelled", reason: "enough" } } })
      expect(ran).toEqual(["first", "second", "second aborted"])
    }).pipe(onMemory),
  )
})

describe("attach", () => {
  it.effect("joins a run that is at work here, and gives its result, its waits and its events", () =>
    Effect.gen(function* () {
      const { W, ran, open, reached } = yield* gated
      const started = yield* W.start(input, { runId: "r" })
      yield* reached
      const attached = yield* W.attach("r")
      const result = yield* Effect.fork(attached.result)
      const later = yield* Effect.fork(Stream.runCollect(attached.eventsAfter(3)))
      yield* open
      expect(yield* Fiber.join(result)).toEqual(yield* started.result)
      const events = Chunk.toReadonlyArray(yield* Fiber.join(later))
      expect(events.map(({ seq }) => seq)).toEqual([4, 5, 6, 7, 8])
      expect(ran).toEqual(["first", "second", "third"])
    }).pipe(onMemory),
  )

  it.effect("answers with the result of a run that has ended, and continues it only where that is asked for", () =>
    Effect.gen(function* () {
      const { W, repair, ran } = broken()
      yield* W.run(input, { runId: "r" })
      const before = ran.length
      expect(yield* (yield* W.attach("r")).result).toMatchObject({ status: "failed", error: { _tag: "StepFailed" } })
      expect(yield* (yield* W.attach("r", { onCancelled: "resume" })).result).toMatchObject({ status: "failed" })
      expect(ran.length).toBe(before)
      repair()
      expect(yield* (yield* W.attach("r", { onFailed: "resume" })).result).toMatchObject({ status: "finished" })
      const wrong = W.attach("r", { onFailed: "again" as "resume" })
      expect(yield* Effect.flip(wrong)).toMatchObject({ _tag: "InvalidSetting", setting: "onFailed" })
    }).pipe(onTestRuntime),
  )

  it.effect("takes a cancellation back only where that is asked for, and sends signals", () =>
    Effect.gen(function* () {
      const W = declare().build(($) => $.signal("in", { name: "paid", payload: Schema.Number }))
      yield* W.run(input, { runId: "r" })
      yield* W.cancel("r", "no need")
      const cancelled = { status: "cancelled", runId: "r", reason: "no need" }
      expect(yield* (yield* W.attach("r", { onFailed: "resume" })).result).toEqual(cancelled)
      const handle = yield* W.attach("r", { onCancelled: "resume" })
      expect(yield* handle.waiting).toMatchObject({ status: "waiting-event", waits: [{ nodeId: "in" }] })
      yield* handle.signal("paid", { payload: 3 })
      expect(yield* handle.await).toBe(3)
    }).pipe(onMemory),
  )
})

describe("poll", () => {
  it.effect("looks at a run as it stands, and runs nothing of it", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      const inner = declare().build(($) => $.timer("nap", { duration: "1 hour" }))
      const W = declare("outer").build(($) =>
        $.sequence(
          $.subflow("sub", { workflow: inner, input: () => input }),
          $.step("after", {
            output: Schema.Date,
            run: () => {
              ran.push("after")
              return new Date(7)
            },
          }),
        ),
      )
      expect(yield* Effect.flip(W.poll("r"))).toMatchObject({ _tag: "RunNotFound" })
      const waiting = yield* W.run(input, { runId: "r" })
      expect(yield* W.poll("r")).toEqual(Option.some(waiting))
      expect(waiting.status).toBe("waiting-timer")
      expect(yield* Effect.flip(inner.poll("r"))).toMatchObject({ _tag: "WorkflowMismatch" })
      yield* TestClock.adjust("2 hours")
      // Nobody has heard of the time.
      expect(yield* W.poll("r")).toEqual(Option.some(waiting))
      expect(ran).toEqual([])
      const finished = yield* W.run(input, { runId: "r" })
      expect(finished).toMatchObject({ status: "finished", output: new Date(7) })
      expect(yield* W.poll("r")).toEqual(Option.some(finished))
      expect(ran).toEqual(["after"])
    }).pipe(onMemory),
  )

  it.effect("knows no result while a run is at work, and says that one is paused, or how it ended otherwise", () =>
    Effect.gen(function* () {
      const { W, reached } = yield* gated
      const handle = yield* W.start(input, { runId: "r" })
      yield* reached
      expect(yield* W.poll("r")).toEqual(Option.none())
      yield* handle.cancel("enough")
      expect(yield* W.poll("r")).toEqual(Option.some({ status: "cancelled", runId: "r", reason: "enough" }))
    }).pipe(onMemory),
  )
})

describe("resume", () => {
  it.effect("takes up a run by its id alone, with the input it has", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      const W = declare().build(($) =>
        $.step("a", {
          output: Schema.Number,
          retry: false,
          run: ({ input }) => {
            seen.push(input.n)
            if (seen.length === 1) throw new Error("first")
            return input.n
          },
        }),
      )
      yield* Effect.flip(W.execute({ n: 42 }, { runId: "r" }))
      expect(yield* W.resume("r")).toBe(42)
      expect(yield* W.resume("r")).toBe(42)
      expect(seen).toEqual([42, 42])
    }).pipe(onMemory),
  )

  it.effect("of a run nobody knows fails, and makes none", () =>
    Effect.gen(function* () {
      const W = declare().build(($) => $.sequence())
      expect(yield* Effect.flip(W.resume("nobody"))).toEqual(new RunNotFound({ runId: "nobody" }))
      expect(yield* Effect.flip(W.resume("no body"))).toMatchObject({ runId: "no body" })
      expect(yield* Effect.flatMap(Storage, (storage) => storage.runs({}))).toEqual([])
    }).pipe(onMemory),
  )

  it.effect("of a run that is at work joins it", () =>
    Effect.gen(function* () {
      const { W, ran, open, reached } = yield* gated
      const fiber = yield* Effect.fork(W.execute(input, { runId: "r" }))
      yield* reached
      const resumed = yield* Effect.fork(W.resume("r"))
      yield* open
      expect(yield* Fiber.join(resumed)).toBe("third")
      yield* Fiber.join(fiber)
      expect(ran).toEqual(["first", "second", "third"])
    }).pipe(onMemory),
  )

  it.effect("does not make a finished step again, nor a skipped one, nor one that failed softly", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      let isBroken = true
      const W = declare().build(($) => {
        const note = (id: string) => () => void ran.push(id)
        return $.sequence(
          $.step("finished", { output: Schema.Void, run: note("finished") }),
          $.step("skipped", { output: Schema.Void, skipIf: () => ran.length === 1, run: note("skipped") }),
          $.step("soft", {
            output: Schema.Void,
            retry: false,
            continueOnFail: true,
            run: () => {
              ran.push("soft")
              throw new Error("soft")
            },
          }),
          $.loop({
            id: "loop",
            maxIterations: Infinity,
            body: $.step("pass", { output: Schema.Void, run: note("pass") }),
            until: ({ iteration }) => iteration === 2,
          }),
          $.step("last", {
            output: Schema.Void,
            retry: false,
            run: () => {
              ran.push("last")
              if (isBroken) throw new Error("broken")
            },
          }),
        )
      })
      yield* Effect.flip(W.execute(input, { runId: "r" }))
      isBroken = false
      yield* W.resume("r")
      expect(ran).toEqual(["finished", "soft", "pass", "pass", "last", "last"])
    }).pipe(onMemory),
  )

  it.effect("goes on in the pass it was in, of each loop around the step that failed", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      let isBroken = true
      const W = declare().build(($) => {
        const outer = $.step("outer", { output: Schema.Number, run: ({ iteration }) => iteration })
        const before = $.previous("inner", Schema.String)
        const inner = $.step("inner", {
          output: Schema.String,
          needs: { outer, before },
          retry: false,
          run: ({ outer, before, iteration }) => {
            ran.push(`${outer}.${iteration} after ${before}`)
            if (isBroken && outer === 1 && iteration === 1) throw new Error("broken")
            return `${outer}.${iteration}`
          },
        })
        const innerLoop = $.loop({
          id: "innerLoop",
          maxIterations: Infinity,
          body: inner,
          until: ({ iteration }) => iteration === 3,
        })
        return $.loop({
          id: "outerLoop",
          maxIterations: Infinity,
          body: $.sequence(outer, innerLoop),
          until: ({ iteration }) => iteration === 2,
        })
      })
      expect(yield* Effect.flip(W.execute(input, { runId: "r" }))).toMatchObject({ nodeId: "inner", iteration: 4 })
      isBroken = false
      ran.push("resumed")
      expect(yield* W.resume("r")).toBe("1.2")
      expect(ran).toEqual([
        ...["0.0 after undefined", "0.1 after 0.0", "0.2 after 0.1", "1.0 after undefined", "1.1 after 1.0"],
        ...["resumed", "1.1 after 1.0", "1.2 after 1.1"],
      ])
    }).pipe(onMemory),
  )

  it.effect("makes those steps again that failed beside each other, and only them", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      let isBroken = true
      const W = declare().build(($) => {
        const step = (id: string, fails: boolean) =>
          $.step(id, {
            output: Schema.String,
            retry: false,
            run: () =>
              Effect.gen(function* () {
                ran.push(id)
                yield* Effect.sleep("1 second")
                return fails && isBroken ? yield* Effect.fail(new Error(id)) : id
              }),
          })
        return $.parallel(step("a", false), step("b", true), step("c", true), step("d", false))
      })
      const error = yield* passing("1 second", Effect.flip(W.execute(input, { runId: "r" })))
      expect(error).toBeInstanceOf(StepFailed)
      expect(yield* nodesOf("r")).toEqual({ a: "finished", b: "failed", c: "failed", d: "finished" })
      isBroken = false
      expect(yield* passing("1 second", W.resume("r"))).toEqual(["a", "b", "c", "d"])
      expect(ran).toEqual(["a", "b", "c", "d", "b", "c"])
    }).pipe(onMemory),
  )
})

describe("a workflow inside a step", () => {
  it.effect("is a run of its own, which is suspended and taken up with the one around it", () =>
    Effect.gen(function* () {
      const { W: Inner, ran, open, reached } = yield* gated
      const Outer = declare("outer").build(($) =>
        $.step("inner", {
          output: Schema.String,
          run: ({ input, idempotencyKey }) => Inner.execute(input, { runId: idempotencyKey }),
        }),
      )
      const fiber = yield* Effect.fork(Outer.execute(input, { runId: "r" }))
      yield* reached
      yield* Fiber.interrupt(fiber)
      expect([yield* statusOf("r"), yield* statusOf("r:inner:0")]).toEqual(["suspended", "suspended"])
      yield* open
      expect(yield* Outer.execute(input, { runId: "r" })).toBe("third")
      expect(ran).toEqual(["first", "second", "second aborted", "second", "third"])
    }).pipe(onMemory),
  )
})

describe("cancel", () => {
  it.effect("interrupts what is in flight, aborts its signal, and fails those who wait for the output", () =>
    Effect.gen(function* () {
      const { W, ran, reached } = yield* gated
      const fiber = yield* Effect.fork(Effect.flip(W.execute(input, { runId: "r" })))
      yield* reached
      yield* W.cancel("r", "too dear")
      const error = yield* Fiber.join(fiber)
      expect(error).toEqual(new RunCancelled({ runId: "r", reason: "too dear" }))
      expect(error.message).toBe(`Run "r" was cancelled: too dear.`)
      expect(ran).toEqual(["first", "second", "second aborted"])
      expect(yield* statusOf("r")).toBe("cancelled")
      expect(yield* eventsOf("r")).toEqual([
        "RunStarted",
        ...["AttemptStarted", "AttemptSucceeded", "AttemptStarted"],
        ...["CancelRequested", "AttemptInterrupted", "RunCancelled"],
      ])
      expect(yield* interruptionsOf("r")).toEqual(["second: cancelled"])
    }).pipe(onMemory),
  )

  it.effect("waits until finalizers have run", () =>
    Effect.gen(function* () {
      const isReached = yield* Deferred.make<void>()
      const W = declare().build(($) =>
        $.step("a", {
          output: Schema.Void,
          run: () =>
            Effect.zipRight(Deferred.succeed(isReached, undefined), Effect.never).pipe(
              Effect.onInterrupt(() => Effect.sleep("3 seconds")),
            ),
        }),
      )
      yield* W.start(input, { runId: "r" })
      yield* Deferred.await(isReached)
      const at = yield* passing("3 seconds", Effect.zipRight(W.cancel("r"), seconds))
      expect(at).toBe(3)
      expect(yield* statusOf("r")).toBe("cancelled")
    }).pipe(onMemory),
  )

  it.effect("ends the wait for a retry at once", () =>
    Effect.gen(function* () {
      const W = declare().build(($) =>
        $.step("a", { output: Schema.Void, retry: { initialDelay: "1 hour" }, run: () => Effect.fail(new Error("no")) }),
      )
      const handle = yield* W.start(input, { runId: "r" })
      yield* quiet
      yield* handle.cancel()
      expect(yield* handle.result).toEqual({ status: "cancelled", runId: "r", reason: undefined })
      expect(yield* seconds).toBe(0)
    }).pipe(onMemory),
  )

  it.effect("is taken back by resume, which goes on where the run stopped; execute does not take it back", () =>
    Effect.gen(function* () {
      const { W, ran, open, reached } = yield* gated
      const handle = yield* W.start(input, { runId: "r" })
      yield* reached
      yield* handle.cancel("later")
      yield* open
      expect(yield* Effect.flip(W.execute(input, { runId: "r" }))).toEqual(new RunCancelled({ runId: "r", reason: "later" }))
      expect(ran).toEqual(["first", "second", "second aborted"])
      expect(yield* W.resume("r")).toBe("third")
      expect(ran).toEqual(["first", "second", "second aborted", "second", "third"])
      expect(yield* statusOf("r")).toBe("finished")
    }).pipe(onMemory),
  )

  it.effect("reaches a run that is suspended", () =>
    Effect.gen(function* () {
      const { W, ran, reached } = yield* gated
      const fiber = yield* Effect.fork(W.execute(input, { runId: "r" }))
      yield* reached
      yield* Fiber.interrupt(fiber)
      yield* W.cancel("r")
      expect(yield* statusOf("r")).toBe("cancelled")
      expect(ran).toEqual(["first", "second", "second aborted"])
    }).pipe(onMemory),
  )

  it.effect("of a run that has ended says how it ended", () =>
    Effect.gen(function* () {
      const W = declare().build(($) => $.sequence())
      yield* W.execute(input, { runId: "done" })
      expect(yield* Effect.flip(W.cancel("done"))).toEqual(new RunEnded({ runId: "done", status: "finished" }))
      const failing = declare().build(($) => $.step("a", { output: Schema.Void, retry: false, run: () => Effect.fail("no") }))
      yield* Effect.flip(failing.execute(input, { runId: "failed" }))
      expect(yield* Effect.flip(failing.cancel("failed"))).toEqual(new RunEnded({ runId: "failed", status: "failed" }))
      expect(yield* Effect.flip(W.cancel("nobody"))).toEqual(new RunNotFound({ runId: "nobody" }))
    }).pipe(onMemory),
  )

  it.effect("twice cancels once", () =>
    Effect.gen(function* () {
      const { W, reached } = yield* gated
      const handle = yield* W.start(input, { runId: "r" })
      yield* reached
      yield* Effect.forEach(["one", "two"], (reason) => W.cancel("r", reason), { concurrency: "unbounded" })
      expect(yield* handle.result).toMatchObject({ status: "cancelled", reason: "one" })
      expect((yield* eventsOf("r")).filter((tag) => tag === "RunCancelled")).toHaveLength(1)
      yield* W.cancel("r", "three")
      expect(yield* handle.result).toMatchObject({ status: "cancelled", reason: "one" })
    }).pipe(onMemory),
  )
})

describe("cache", () => {
  it.effect("takes over the output of an earlier run with the same input and needs", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      const W = declare().build(($) => {
        const half = $.step("half", { output: Schema.Number, run: ({ input }) => Math.floor(input.n / 2) })
        const cached = $.step("cached", {
          output: Schema.Struct({ at: Schema.Date, half: Schema.Number }),
          needs: { half },
          cache: true,
          run: ({ half, runId }) => {
            ran.push(runId)
            return { at: new Date(half).toISOString(), half }
          },
        })
        return $.sequence(half, cached)
      })
      const first = yield* W.execute({ n: 4 }, { runId: "one" })
      expect(first).toEqual({ at: new Date(2), half: 2 })
      expect(yield* W.execute({ n: 4 }, { runId: "two" })).toEqual(first)
      expect(yield* W.execute({ n: 5 }, { runId: "three" })).toEqual(first)
      expect(yield* W.execute({ n: 6 }, { runId: "four" })).toEqual({ at: new Date(3), half: 3 })
      expect(ran).toEqual(["one", "three", "four"])
      const log = yield* Effect.flatMap(Storage, (storage) => storage.events("two"))
      expect(log.filter(({ event }) => "isCached" in event && event.isCached)).toHaveLength(1)
    }).pipe(onMemory),
  )

  it.effect("goes by a key of one's own, for as long as it is told", () =>
    Effect.gen(function* () {
      let ran = 0
      const W = declare().build(($) =>
        $.step("a", {
          output: Schema.Number,
          cache: { key: ({ input }) => ({ isOdd: input.n % 2 === 1 }), ttl: "1 minute" },
          run: () => ++ran,
        }),
      )
      expect(yield* W.execute({ n: 1 })).toBe(1)
      expect(yield* W.execute({ n: 3 })).toBe(1)
      expect(yield* W.execute({ n: 2 })).toBe(2)
      expect(yield* passing("1 minute", Effect.zipRight(Effect.sleep("1 minute"), W.execute({ n: 5 })))).toBe(1)
      expect(yield* passing("1 second", Effect.zipRight(Effect.sleep("1 second"), W.execute({ n: 7 })))).toBe(3)
      expect(yield* W.execute({ n: 9 })).toBe(3)
    }).pipe(onMemory),
  )

  it.effect("is not shared by workflows or steps, and does not keep failures", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      const build = (name: string, id: string, fails = false) =>
        declare(name).build(($) =>
          $.step(id, {
            output: Schema.String,
            cache: true,
            retry: false,
            run: () => {
              ran.push(`${name} ${id}`)
              return fails ? Effect.fail("no") : Effect.succeed(id)
            },
          }),
        )
      yield* build("one", "a").execute(input)
      yield* build("one", "b").execute(input)
      yield* build("two", "a").execute(input)
      yield* Effect.flip(build("three", "a", true).execute(input))
      yield* build("three", "a").execute(input)
      expect(ran).toEqual(["one a", "one b", "two a", "three a", "three a"])
    }).pipe(onMemory),
  )

  it.effect("does not count where the schema has changed since", () =>
    Effect.gen(function* () {
      const before = declare().build(($) => $.step("a", { output: Schema.Number, cache: true, run: () => 1 }))
      const after = declare().build(($) => $.step("a", { output: Schema.String, cache: true, run: () => "one" }))
      expect(yield* before.execute(input)).toBe(1)
      expect(yield* after.execute(input)).toBe("one")
      expect(yield* after.execute(input)).toBe("one")
    }).pipe(onMemory),
  )

  it.effect("with a key that throws or is no JSON fails the step", () =>
    Effect.gen(function* () {
      const build = (key: () => unknown) =>
        declare().build(($) => $.step("a", { output: Schema.Number, retry: false, cache: { key }, run: () => 1 }))
      const thrown = yield* Effect.flip(
        build(() => {
          throw new Error("no key")
        }).execute(input),
      )
      expect(thrown).toMatchObject({ _tag: "StepFailed", nodeId: "a", error: { message: "no key" } })
      const odd = yield* Effect.flip(build(() => ({ at: new Date(0) })).execute(input))
      expect(odd).toMatchObject({
        _tag: "StepFailed",
        error: { name: "TypeError", message: "a cache key must be JSON: at a Date is not a JSON value" },
      })
    }).pipe(onMemory),
  )
})
