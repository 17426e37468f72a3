/**
 * A store that fails for a moment must cost no more than that moment.
 */
import { describe, expect, it } from "@effect/vitest"
import { Smithers } from "@smithers/core"
import * as Commands from "@smithers/core/Commands"
import * as EndRun from "@smithers/core/EndRun"
import { StoreBusy, StoreRefused } from "@smithers/core/Errors"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import type { RunEvent } from "@smithers/core/RunEvent"
import type { Frame } from "@smithers/core/RunStore"
import { ports, type StorageShape } from "@smithers/core/Storage"
import { Deferred, Effect, Exit, Fiber, FiberId, Layer, Schema, Scope, TestClock } from "effect"
import { rest } from "./Time.ts"

const declare = () => Smithers.createWorkflow({ name: "test", input: Schema.Struct({}) })
const asking = declare().build(($) => $.approval("ok", { request: () => ({ title: "?" }) }))
const busy = (operation: string) => new StoreBusy({ operation, detail: "locked" })
const pass = (duration: string) => Effect.zipRight(TestClock.adjust(duration as "1 second"), rest)

/** A store of which single operations can be made to go wrong. */
const faulty = () => {
  const inner = MemoryStorage.make()
  const faults: { -readonly [Name in keyof StorageShape]?: Effect.Effect<never, StoreBusy> | undefined } = {}
  const guard = (name: keyof StorageShape, effect: Effect.Effect<unknown, unknown>): Effect.Effect<unknown, unknown> =>
    Effect.suspend(() => faults[name] ?? effect)
  const storage = Object.fromEntries(
    Object.entries(inner).map(([name, member]) => [
      name,
      Effect.isEffect(member)
        ? guard(name as keyof StorageShape, member as Effect.Effect<unknown>)
        : (...args: ReadonlyArray<unknown>) =>
            guard(
              name as keyof StorageShape,
              (member as unknown as (...args: ReadonlyArray<unknown>) => Effect.Effect<unknown>)(...args),
            ),
    ]),
  ) as unknown as StorageShape
  return { storage, faults }
}

const on = (storage: StorageShape) => Smithers.onStorage(Layer.succeedContext(ports(storage)))

describe("a store that fails for a moment", () => {
  it.effect("lets go of a run whose caller it failed, as nobody waits for it any more", () => {
    const { storage, faults } = faulty()
    return Effect.gen(function* () {
      faults.pending = busy("pending")
      expect(yield* Effect.flip(asking.run({}, { runId: "r" }))).toMatchObject({ _tag: "StoreBusy" })
      faults.pending = undefined
      expect((yield* storage.inspect("r")).run).toMatchObject({ owner: null, leaseUntil: null })
      expect(yield* asking.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
      expect((yield* storage.inspect("r")).run).toMatchObject({ status: "waiting-approval", owner: null })
    }).pipe(Effect.provide(on(storage)))
  })

  it.effect("leaves a run that could not be taken up as it was", () => {
    const { storage, faults } = faulty()
    return Effect.gen(function* () {
      const status = Effect.map(storage.inspect("r"), ({ run }) => run.status)
      const refused = Effect.gen(function* () {
        faults.prepareOutputs = busy("prepareOutputs")
        yield* Effect.flip(asking.run({}, { runId: "r" }))
        faults.prepareOutputs = undefined
      })
      yield* asking.run({}, { runId: "r" })
      yield* refused
      expect(yield* status).toBe("waiting-approval")
      yield* Commands.pause("r")
      yield* asking.run({}, { runId: "r" })
      yield* refused
      expect(yield* status).toBe("paused")
      yield* Commands.unpause("r")
      yield* Commands.approve("r", "ok")
      yield* refused
      expect((yield* storage.runnable(0)).runs).toMatchObject([{ runId: "r" }])
      expect(yield* asking.run({}, { runId: "r" })).toMatchObject({ status: "finished" })
    }).pipe(Effect.provide(on(storage)))
  })

  it.effect("costs an attempt the heartbeats that fell into it, and none after", () => {
    const { storage, faults } = faulty()
    const workflow = declare().build(($) =>
      $.step("beats", {
        output: Schema.Void,
        run: ({ heartbeat }) =>
          Effect.forEach(
            [1, 2, 3, 4],
            (beat) => {
              heartbeat(beat)
              return Effect.sleep("1 second")
            },
            { discard: true },
          ),
      }),
    )
    return Effect.gen(function* () {
      const fiber = yield* Effect.fork(workflow.execute({}, { runId: "r" }))
      const written = Effect.map(storage.inspect("r"), ({ attempts }) => attempts[0]?.heartbeat)
      yield* rest
      expect(yield* written).toBe(1)
      faults.heartbeat = busy("heartbeat")
      yield* pass("1 second")
      expect(yield* written).toBe(1)
      faults.heartbeat = undefined
      yield* pass("500 millis")
      expect(yield* written).toBe(2)
      yield* pass("500 millis")
      yield* pass("1 second")
      expect(yield* written).toBe(4)
      yield* pass("1 second")
      yield* Fiber.join(fiber)
    }).pipe(Effect.provide(on(storage)))
  })

  it.effect("does not keep a run that could not be ended", () => {
    const { storage, faults } = faulty()
    return Effect.gen(function* () {
      yield* asking.run({}, { runId: "r" })
      for (const operation of ["load", "pending", "commit"] as const) {
        faults[operation] = busy(operation)
        expect(yield* Effect.flip(EndRun.cancel("r"))).toMatchObject({ _tag: "StoreBusy", operation })
        faults[operation] = undefined
        expect((yield* storage.inspect("r")).run).toMatchObject({ owner: null, leaseUntil: null })
      }
      expect(yield* EndRun.cancel("r")).toBe(true)
    }).pipe(Effect.provide(on(storage)))
  })

  it.effect("does not make a process deaf to what is said to its runs, not even by a defect", () => {
    const { storage, faults } = faulty()
    return Effect.gen(function* () {
      const fiber = yield* Effect.fork(asking.execute({}, { runId: "r" }))
      yield* rest
      faults.pending = Effect.dieMessage("a defect of the store")
      yield* Commands.approve("r", "ok")
      yield* rest
      faults.pending = undefined
      yield* pass("1 second")
      expect(yield* Fiber.join(fiber)).toMatchObject({ approved: true })
    }).pipe(Effect.provide(on(storage)))
  })
})

/** A store that refuses one event once, for its content. */
const refusing = (isRefused: (event: RunEvent) => boolean) => {
  const inner = MemoryStorage.make()
  const frames: Array<Frame> = []
  const commit: StorageShape["commit"] = (frame) => {
    const event = frame.events.findIndex(isRefused)
    if (event >= 0) return new StoreRefused({ operation: "commit", detail: "string or blob too big", event })
    frames.push(frame)
    return inner.commit(frame)
  }
  return { storage: { ...inner, commit }, frames }
}

const isOf =
  (nodeId: string, ...tags: ReadonlyArray<RunEvent["_tag"]>) =>
  (event: RunEvent) =>
    "nodeId" in event && event.nodeId === nodeId && tags.includes(event._tag)

describe("a frame that a store refuses for its content", () => {
  it.effect("fails the step whose output it is, once, and keeps what else the frame has", () => {
    const { storage } = refusing(isOf("large", "AttemptSucceeded"))
    const runs = { large: 0, small: 0 }
    const workflow = declare().build(($) =>
      $.tryCatch({
        id: "try",
        try: $.parallel(
          $.step("large", { output: Schema.Number, retry: { maxAttempts: 3 }, run: () => ++runs.large }),
          $.step("small", { output: Schema.Number, run: () => ++runs.small }),
        ),
        catch: $.step("why", { needs: { error: $.caught("try") }, output: Schema.String, run: ({ error }) => error.name }),
      }),
    )
    return Effect.gen(function* () {
      expect(yield* workflow.execute({}, { runId: "r" })).toBe("StoreRefused")
      expect(runs).toEqual({ large: 1, small: 1 })
      const { nodes } = yield* storage.inspect("r")
      expect(nodes.find(({ nodeId }) => nodeId === "small")).toMatchObject({ status: "finished" })
      expect(nodes.find(({ nodeId }) => nodeId === "large")).toMatchObject({ status: "failed", attempt: 1 })
    }).pipe(Effect.provide(on(storage)))
  })

  it.effect.each(["WaitStarted", "WaitEnded"] as const)("fails the wait whose content it is: %s", (tag) => {
    const { storage } = refusing(isOf("ok", tag))
    return Effect.gen(function* () {
      const fiber = yield* Effect.fork(Effect.flip(asking.execute({}, { runId: "r" })))
      yield* rest
      if (tag === "WaitEnded") yield* Commands.approve("r", "ok")
      expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "StepFailed", nodeId: "ok", error: { name: "StoreRefused" } })
    }).pipe(Effect.provide(on(storage)))
  })

  it.effect("fails the run where its output is refused, and keeps the steps", () => {
    const { storage } = refusing((event) => event._tag === "RunFinished")
    const workflow = declare().build(($) => $.step("a", { output: Schema.Number, run: () => 1 }))
    return Effect.gen(function* () {
      expect(yield* Effect.flip(workflow.execute({}, { runId: "r" }))).toMatchObject({ error: { name: "StoreRefused" } })
      expect((yield* storage.inspect("r")).nodes).toMatchObject([{ nodeId: "a", status: "finished" }])
    }).pipe(Effect.provide(on(storage)))
  })

  it.effect("leaves out heartbeats and what agents said of an attempt that is cut short", () => {
    const { storage, frames } = refusing((event) => event._tag === "AttemptInterrupted" && event.heartbeat !== undefined)
    const workflow = declare().build(($) =>
      $.step("a", {
        output: Schema.Number,
        run: ({ heartbeat }) => {
          heartbeat("x")
          return Effect.never
        },
      }),
    )
    return Effect.gen(function* () {
      const fiber = yield* Effect.fork(workflow.execute({}, { runId: "r" }))
      yield* rest
      yield* Fiber.interrupt(fiber)
      expect(frames.at(-1)?.events).toMatchObject([{ _tag: "AttemptInterrupted", nodeId: "a", reason: "shutdown" }])
    }).pipe(Effect.provide(on(storage)))
  })

  it.effect("stops the work where no node is at fault, so that whoever supervises counts it", () => {
    const { storage } = refusing((event) => event._tag === "RunStarted")
    return Effect.gen(function* () {
      expect(yield* Effect.flip(asking.execute({}, { runId: "r" }))).toMatchObject({ _tag: "StoreRefused" })
    }).pipe(Effect.provide(on(storage)))
  })
})

describe("an engine", () => {
  it.effect("counts one who joins a run before it looks whether they may, so that the run is not stopped under them", () => {
    const { storage, faults } = faulty()
    const gate = Deferred.unsafeMake<void>(FiberId.none)
    const workflow = declare().build(($) =>
      $.step("slow", { output: Schema.Number, run: () => Effect.as(Effect.sleep("1 second"), 1) }),
    )
    return Effect.gen(function* () {
      yield* Effect.fork(workflow.execute({}, { runId: "r" })).pipe(
        Effect.tap(() => rest),
        Effect.flatMap(Fiber.interrupt),
      )
      const holder = yield* Effect.fork(workflow.resume("r"))
      yield* rest
      const looking = storage.inspect("r")
      faults.inspect = Effect.zipRight(
        Deferred.await(gate),
        Effect.suspend(() => {
          faults.inspect = undefined
          return looking as Effect.Effect<never>
        }),
      )
      const joiner = yield* Effect.fork(workflow.execute({}, { runId: "r" }))
      yield* rest
      yield* Fiber.interrupt(holder)
      yield* Deferred.succeed(gate, undefined)
      yield* rest
      yield* pass("1 second")
      expect(yield* Fiber.await(joiner)).toEqual(Exit.succeed(1))
    }).pipe(Effect.provide(on(storage)))
  })

  it.effect("stops its runs side by side", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(on(MemoryStorage.make()), scope)
      let stopped = 0
      const workflow = declare().build(($) =>
        $.step("slow", {
          output: Schema.Void,
          run: () =>
            Effect.onInterrupt(Effect.never, () =>
              Effect.zipRight(
                Effect.sleep("1 second"),
                Effect.sync(() => stopped++),
              ),
            ),
        }),
      )
      const runIds = ["a", "b", "c", "d"]
      yield* Effect.forEach(runIds, (runId) => Effect.provide(workflow.start({}, { runId }), context))
      yield* rest
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* rest
      yield* pass("1 second")
      expect(stopped).toBe(runIds.length)
      yield* Fiber.join(closing)
    }),
  )
})
