/**
 * Child runs: what goes down to them and what comes up from them, in one process, across processes and restarts, on every store.
 */

import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as Engine from "@smithers/core/Engine"
import { RenderFailed } from "@smithers/core/Errors"
import * as Metrics from "@smithers/core/Metrics"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Supervisor from "@smithers/core/Supervisor"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { processOn, runningOn, stores, Text, workflow } from "./Flows.ts"
import { passing, rest } from "./Time.ts"

const Input = Schema.Struct({ n: Schema.NumberFromString })

interface Behaviour {
  readonly run?: (n: number) => Effect.Effect<Date, unknown>
  readonly asks?: boolean
  readonly attach?: boolean
  readonly onFail?: "fail" | "continue"
}

/** A parent that starts a child in the middle; says what ran. */
const family = ({ run = (n) => Effect.succeed(new Date(n)), asks = false, ...options }: Behaviour = {}) => {
  const ran: Array<string> = []
  const child = Smithers.createWorkflow({ name: "child", input: Input }).build(($) => {
    const ask = $.approval("ask", { request: () => ({ title: "?" }) })
    const work = $.step("work", {
      output: Schema.Date,
      retry: false,
      run: ({ input, runId }) => {
        ran.push(`work ${runId}`)
        return Effect.map(run(input.n), (date) => date.toISOString())
      },
    })
    return asks ? $.sequence(ask, work) : $.sequence(work)
  })
  const parent = Smithers.createWorkflow({ name: "parent", input: Schema.Struct({}) }).build(($) => {
    const first = $.step("first", { output: Schema.Number, run: () => 7 })
    const sub = $.subflow("sub", { needs: { first }, workflow: child, input: ({ first }) => ({ n: `${first}` }), ...options })
    const last = $.step("last", {
      needs: { sub },
      output: Schema.Unknown,
      run: ({ sub }) => {
        ran.push("last")
        return sub instanceof Date ? { time: sub.getTime() } : (sub ?? "nothing")
      },
    })
    return $.sequence(first, sub, last)
  })
  return { child, parent, ran }
}

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  describe("a subflow", () => {
    it.effect("runs a child with an id and a history of its own, and gives its decoded output", () =>
      on(
        Effect.gen(function* () {
          const { parent, ran } = family()
          expect(yield* parent.execute({}, { runId: "r" })).toEqual({ time: 7 })
          expect(ran).toEqual(["work r~sub~0", "last"])
          const storage = yield* Storage
          const [child] = yield* storage.runs({ parent: "r" })
          expect(child).toMatchObject({
            runId: "r~sub~0",
            workflow: "child",
            status: "finished",
            parent: { runId: "r", nodeId: "sub", iteration: 0, isAttached: true },
          })
          expect((yield* storage.inspect("r~sub~0")).input).toEqual({ n: "7" })
          expect((yield* storage.events("r~sub~0")).at(-1)?.event._tag).toBe("RunFinished")
          // Asked again, both answer with what is stored.
          expect(yield* parent.execute({}, { runId: "r" })).toEqual({ time: 7 })
          expect(ran).toHaveLength(2)
        }),
      ),
    )

    it.effect("that fails fails its node, and goes on where it failed when the parent is resumed", () =>
      on(
        Effect.gen(function* () {
          let isFixed = false
          const { parent, ran } = family({ run: (n) => (isFixed ? Effect.succeed(new Date(n)) : Effect.fail(new Error("broken"))) })
          const failed = yield* Effect.flip(parent.execute({}, { runId: "r" }))
          expect(failed).toMatchObject({ _tag: "StepFailed", nodeId: "sub", error: { name: "StepFailed" } })
          expect(failed.message).toContain("broken")
          isFixed = true
          expect(yield* parent.execute({}, { runId: "r", onFailed: "resume" })).toEqual({ time: 7 })
          expect(ran).toEqual(["work r~sub~0", "work r~sub~0", "last"])
        }),
      ),
    )

    it.effect("that fails leaves its output absent where it is told to continue", () =>
      on(
        Effect.gen(function* () {
          const { parent } = family({ run: () => Effect.fail("no"), onFail: "continue" })
          expect(yield* parent.execute({}, { runId: "r" })).toBe("nothing")
        }),
      ),
    )

    it.effect("of several steps side by side gives a null as null, and what was left out as absent", () =>
      on(
        Effect.gen(function* () {
          const child = Smithers.createWorkflow({ name: "wide", input: Schema.Struct({}) }).build(($) =>
            $.parallel(
              $.step("nothing", { output: Schema.NullOr(Schema.Number), run: () => null }),
              $.step("left", { output: Schema.Number, skipIf: () => true, run: () => 1 }),
              $.step("two", { output: Schema.NumberFromString, run: () => "2" }),
            ),
          )
          const parent = Smithers.createWorkflow({ name: "around", input: Schema.Struct({}) }).build(($) =>
            $.subflow("sub", { workflow: child, input: {} }),
          )
          expect(yield* parent.execute({}, { runId: "r" })).toEqual([null, undefined, 2])
          expect(yield* parent.execute({}, { runId: "r" })).toEqual([null, undefined, 2])
        }),
      ),
    )

    it.effect("counts as a run that was started", () =>
      on(
        Effect.gen(function* () {
          const { parent } = family()
          const counts = ["parent", "child"].flatMap((name) =>
            [Metrics.runsStarted, Metrics.runsResumed].map((metric) => Metric.taggedWithLabels(metric, Metrics.tagged(name))),
          )
          const count = Effect.forEach(counts, (metric) => Effect.map(Metric.value(metric), (value) => Number(value.count)))
          const before = yield* count
          yield* parent.execute({}, { runId: "r" })
          expect((yield* count).map((value, index) => value - (before[index] ?? 0))).toEqual([1, 0, 1, 0])
        }),
      ),
    )

    it.effect("that waits has its parent wait for the same, and both go on when it is answered", () =>
      on(
        Effect.gen(function* () {
          const { parent, ran } = family({ asks: true })
          expect(yield* parent.run({}, { runId: "r" })).toMatchObject({
            status: "waiting-approval",
            waits: [
              { nodeId: "sub", kind: "subflow", childRunId: "r~sub~0" },
              { nodeId: "ask", kind: "approval", childRunId: "r~sub~0" },
            ],
          })
          const storage = yield* Storage
          expect((yield* storage.runs({})).map(({ runId, status }) => [runId, status])).toEqual([
            ["r~sub~0", "waiting-approval"],
            ["r", "waiting-approval"],
          ])
          yield* Commands.approve("r~sub~0", "ask")
          expect(yield* parent.run({}, { runId: "r" })).toMatchObject({ status: "finished", output: { time: 7 } })
          expect(ran).toEqual(["work r~sub~0", "last"])
        }),
      ),
    )

    it.effect("is cancelled with its parent, which ends after it", () =>
      on(
        Effect.gen(function* () {
          const { parent } = family({ run: () => Effect.never })
          const fiber = yield* Effect.fork(parent.run({}, { runId: "r" }))
          yield* rest
          yield* Commands.cancel("r", { reason: "enough" })
          expect(yield* Fiber.join(fiber)).toMatchObject({ status: "cancelled", reason: "enough" })
          const storage = yield* Storage
          const { run } = yield* storage.inspect("r~sub~0")
          expect(run.status).toBe("cancelled")
        }),
      ),
    )

    it.effect("that is cancelled by itself fails its parent", () =>
      on(
        Effect.gen(function* () {
          const { parent } = family({ asks: true })
          yield* parent.run({}, { runId: "r" })
          yield* Commands.cancel("r~sub~0")
          expect(yield* parent.run({}, { runId: "r" })).toMatchObject({
            status: "failed",
            error: { nodeId: "sub", error: { name: "RunCancelled" } },
          })
        }),
      ),
    )

    it.effect("is paused and unpaused with its parent", () =>
      on(
        Effect.gen(function* () {
          const { parent, ran } = family({ asks: true })
          yield* parent.run({}, { runId: "r" })
          yield* Commands.pause("r")
          expect((yield* parent.run({}, { runId: "r" })).status).toBe("paused")
          yield* Commands.approve("r~sub~0", "ask")
          expect((yield* parent.run({}, { runId: "r" })).status).toBe("paused")
          expect(ran).toEqual([])
          yield* Commands.unpause("r")
          expect((yield* parent.run({}, { runId: "r" })).status).toBe("finished")
        }),
      ),
    )

    it.effect("that takes too long is cancelled, and its node fails", () =>
      on(
        Effect.gen(function* () {
          const undone: Array<string> = []
          const child = Smithers.createWorkflow({ name: "slow", input: Schema.Struct({}) }).build(($) =>
            $.saga(
              $.step("a", { output: Text, run: () => "a", compensate: () => undone.push("a") }),
              $.step("work", { output: Text, run: () => Effect.never }),
            ),
          )
          const parent = Smithers.createWorkflow({ name: "parent", input: Schema.Struct({}) }).build(($) =>
            $.subflow("sub", { workflow: child, input: {}, timeout: "1 minute" }),
          )
          const result = yield* passing("2 minutes", parent.run({}, { runId: "r" }))
          expect(result).toMatchObject({ status: "failed", error: { error: { name: "WaitTimedOut" } } })
          const storage = yield* Storage
          expect((yield* storage.inspect("r~sub~0")).run.status).toBe("cancelled")
          expect(undone).toEqual(["a"])
        }),
      ),
    )

    it.effect("that is not attached gives the id of its run at once, and outlives its parent", () =>
      on(
        Effect.gen(function* () {
          let release: (() => void) | undefined
          const { parent } = family({
            attach: false,
            run: (n) =>
              Effect.async((resume) => {
                release = () => resume(Effect.succeed(new Date(n)))
              }),
          })
          expect(yield* parent.execute({}, { runId: "r" })).toEqual({ runId: "r~sub~0" })
          yield* rest
          const storage = yield* Storage
          expect((yield* storage.inspect("r~sub~0")).run).toMatchObject({ status: "running", parent: { isAttached: false } })
          release?.()
          yield* rest
          expect((yield* storage.inspect("r~sub~0")).run.status).toBe("finished")
        }),
      ),
    )

    it.effect(
      "that is not attached goes on when its parent is run again, whose process had stopped, also where that has finished",
      () =>
        on(
          Effect.gen(function* () {
            const storage = yield* Storage
            let isStuck = true
            const run = (n: number) => (isStuck ? Effect.never : Effect.succeed(new Date(n)))
            const { parent, ran } = family({ attach: false, run })
            const status = Effect.map(storage.run("r~sub~0"), ({ run }) => run.status)
            const first = yield* processOn(storage)
            const result = yield* Effect.provideService(parent.execute({}, { runId: "r" }), Engine.Engine, first.engine)
            expect(result).toEqual({ runId: "r~sub~0" })
            expect(yield* first.engine.detached("r")).toEqual(["r~sub~0"])
            expect(yield* first.engine.detached("other")).toEqual([])
            yield* first.stop
            expect(yield* status).toBe("suspended")
            isStuck = false
            const second = yield* processOn(storage)
            yield* Effect.provideService(parent.execute({}, { runId: "r" }), Engine.Engine, second.engine)
            yield* second.engine.detachedResting("r")
            expect(yield* second.engine.detached("r")).toEqual([])
            expect(yield* status).toBe("finished")
            yield* second.stop
            expect(ran).toEqual(["last", "work r~sub~0", "work r~sub~0"].toSorted())
          }),
        ),
    )

    it.effect("that is not attached goes on with a parent that is resumed in the midst of its own work", () =>
      on(
        Effect.gen(function* () {
          const storage = yield* Storage
          let isStuck = true
          const { child } = family({ run: (n) => (isStuck ? Effect.never : Effect.succeed(new Date(n))) })
          const parent = workflow(($) =>
            $.sequence(
              $.subflow("sub", { workflow: child, input: () => ({ n: "1" }), attach: false }),
              $.approval("ok", { request: () => ({ title: "?" }) }),
            ),
          )
          const first = yield* processOn(storage)
          yield* Effect.provideService(parent.run({}, { runId: "r" }), Engine.Engine, first.engine)
          yield* first.stop
          isStuck = false
          const second = yield* processOn(storage)
          yield* Effect.provideService(parent.run({}, { runId: "r" }), Engine.Engine, second.engine)
          yield* second.engine.detachedResting("r")
          expect((yield* storage.run("r~sub~0")).run.status).toBe("finished")
          yield* second.stop
        }),
      ),
    )

    it.effect("refuses an input that does not match, before there is a child", () =>
      on(
        Effect.gen(function* () {
          const child = Smithers.createWorkflow({ name: "child", input: Input }).build(($) =>
            $.step("work", { output: Text, run: () => "" }),
          )
          const parent = Smithers.createWorkflow({ name: "parent", input: Schema.Struct({}) }).build(($) =>
            $.subflow("sub", { workflow: child, input: () => ({ n: "seven" }) }),
          )
          const result = yield* parent.run({}, { runId: "r" })
          expect(result).toMatchObject({ status: "failed", error: { nodeId: "sub" } })
          expect(result.status === "failed" && result.error.message).toContain(`it is no input of workflow "child": n:`)
          const storage = yield* Storage
          expect(yield* storage.runs({ parent: "r" })).toEqual([])
        }),
      ),
    )

    it.effect("that is run again, or whose input is made again, has a run of its own", () =>
      on(
        Effect.gen(function* () {
          let count = 0
          const child = Smithers.createWorkflow({ name: "child", input: Schema.Struct({ up: Schema.Number }) }).build(($) =>
            $.step("work", { output: Schema.Number, run: ({ input }) => input.up * 10 }),
          )
          const parent = Smithers.createWorkflow({ name: "parent", input: Schema.Struct({}) }).build(($) => {
            const up = $.step("up", { output: Schema.Number, run: () => ++count })
            const sub = $.subflow("sub", { needs: { up }, workflow: child, input: ({ up }) => ({ up }) })
            return $.sequence(up, sub, $.approval("ask", { needs: { sub }, request: ({ sub }) => ({ title: `${sub}` }) }))
          })
          const storage = yield* Storage
          const title = Effect.map(storage.waits({ runId: "r", kind: ["approval"] }), ([wait]) => wait?.request)
          yield* parent.run({}, { runId: "r" })
          expect(yield* title).toEqual({ title: "10" })
          yield* Commands.retryNode("r", "up")
          yield* parent.run({}, { runId: "r" })
          expect(yield* title).toEqual({ title: "20" })
          yield* Commands.retryNode("r", "sub")
          yield* parent.run({}, { runId: "r" })
          expect((yield* storage.runs({ parent: "r" })).map(({ runId }) => runId).sort()).toEqual([
            ...["r~sub~0", "r~sub~0~1", "r~sub~0~2"],
          ])
        }),
      ),
    )

    it.effect("that has failed and is run again has a run of its own, and the failed one stays as it is", () =>
      on(
        Effect.gen(function* () {
          let isFixed = false
          const { parent, ran } = family({ run: (n) => (isFixed ? Effect.succeed(new Date(n)) : Effect.fail("no")) })
          expect(yield* parent.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "sub" } })
          isFixed = true
          yield* Commands.retryNode("r", "sub")
          expect(yield* parent.execute({}, { runId: "r" })).toEqual({ time: 7 })
          expect(ran).toEqual(["work r~sub~0", "work r~sub~0~1", "last"])
          const storage = yield* Storage
          const children = yield* storage.runs({ parent: "r" })
          expect(children.map(({ runId, status }) => `${runId} ${status}`).sort()).toEqual(["r~sub~0 failed", "r~sub~0~1 finished"])
        }),
      ),
    )

    it.effect("that waits and is run again has a run of its own, and the one that waits is cancelled", () =>
      on(
        Effect.gen(function* () {
          const { child, parent, ran } = family({ asks: true })
          yield* parent.run({}, { runId: "r" })
          yield* Commands.retryNode("r", "sub")
          expect(yield* parent.run({}, { runId: "r" })).toMatchObject({
            waits: [
              { nodeId: "sub", kind: "subflow", childRunId: "r~sub~0~1" },
              { nodeId: "ask", kind: "approval", childRunId: "r~sub~0~1" },
            ],
          })
          yield* Commands.approve("r~sub~0~1", "ask")
          expect(yield* parent.execute({}, { runId: "r" })).toEqual({ time: 7 })
          expect(ran).toEqual(["work r~sub~0~1", "last"])
          // Whoever works on it next carries that out.
          expect(yield* Effect.flip(child.resume("r~sub~0"))).toMatchObject({ _tag: "RunCancelled" })
        }),
      ),
    )

    it.effect("that another process has worked on is taken up when that lets go of it", () =>
      on(
        Effect.gen(function* () {
          const storage = yield* Storage
          const { child, parent, ran } = family({ asks: true })
          yield* parent.run({}, { runId: "r" })
          const other = yield* processOn(storage)
          const elsewhere = yield* Effect.fork(Effect.provideService(child.resume("r~sub~0"), Engine.Engine, other.engine))
          yield* rest
          const fiber = yield* Effect.fork(parent.execute({}, { runId: "r" }))
          yield* rest
          yield* Fiber.interrupt(elsewhere)
          yield* other.stop
          yield* rest
          yield* Commands.approve("r~sub~0", "ask")
          yield* TestClock.adjust("5 seconds")
          expect(yield* Fiber.join(fiber)).toEqual({ time: 7 })
          expect(ran).toEqual(["work r~sub~0", "last"])
        }),
      ),
    )

    it.effect("that another process has taken up and ended already is not taken up again", () =>
      on(
        Effect.gen(function* () {
          const storage = yield* Storage
          const { child, parent, ran } = family({ run: () => Effect.fail("no") })
          const other = yield* processOn(storage)
          const elsewhere = Effect.provideService(child.resume("r~sub~0"), Engine.Engine, other.engine)
          const commit: Storage["Type"]["commit"] = (frame) =>
            Effect.zipRight(storage.commit(frame), frame.spawned === undefined ? Effect.void : Effect.ignore(elsewhere))
          const slow = yield* processOn({ ...storage, commit })
          const result = yield* Effect.provideService(parent.run({}, { runId: "r" }), Engine.Engine, slow.engine)
          expect(result).toMatchObject({ status: "failed", error: { nodeId: "sub", error: { name: "StepFailed" } } })
          yield* rest
          expect(ran).toEqual(["work r~sub~0"])
          expect((yield* storage.runs({})).map(({ status }) => status)).toEqual(["failed", "failed"])
        }),
      ),
    )

    it.effect("in a loop has a run for each pass", () =>
      on(
        Effect.gen(function* () {
          const child = Smithers.createWorkflow({ name: "child", input: Input }).build(($) =>
            $.step("work", { output: Schema.Number, run: ({ input }) => input.n * 2 }),
          )
          const parent = Smithers.createWorkflow({ name: "parent", input: Schema.Struct({}) }).build(($) =>
            $.loop({
              id: "loop",
              maxIterations: 3,
              until: () => false,
              body: $.subflow("sub", { workflow: child, input: { n: "21" } }),
            }),
          )
          expect(yield* parent.execute({}, { runId: "r" })).toBe(42)
          const storage = yield* Storage
          expect((yield* storage.runs({ parent: "r" })).map(({ runId }) => runId).sort()).toEqual(["r~sub~0", "r~sub~1", "r~sub~2"])
        }),
      ),
    )

    it.effect("inside a subflow is found by its own id, and the whole family ends together", () =>
      on(
        Effect.gen(function* () {
          const declare = (name: string) => Smithers.createWorkflow({ name, input: Schema.Struct({}) })
          const bottom = declare("bottom").build(($) => $.step("work", { output: Text, run: ({ runId }) => runId }))
          const middle = declare("middle").build(($) => $.subflow("sub", { workflow: bottom, input: {} }))
          const top = declare("top").build(($) => $.subflow("sub", { workflow: middle, input: {} }))
          expect(yield* top.execute({}, { runId: "r" })).toBe("r~sub~0~sub~0")
        }),
      ),
    )

    it.effect("goes on where it was when the process of both went", () =>
      on(
        Effect.gen(function* () {
          const storage = yield* Storage
          let isStuck = true
          const { parent, ran } = family({ run: (n) => (isStuck ? Effect.never : Effect.succeed(new Date(n))) })
          const first = yield* processOn(storage)
          const fiber = yield* Effect.fork(Effect.provideService(parent.run({}, { runId: "r" }), Engine.Engine, first.engine))
          yield* rest
          yield* first.stop
          yield* Fiber.interrupt(fiber)
          expect((yield* storage.runs({})).map(({ status }) => status).sort()).toEqual(["suspended", "suspended"])
          isStuck = false
          expect(yield* parent.execute({}, { runId: "r" })).toEqual({ time: 7 })
          expect(ran).toEqual(["work r~sub~0", "work r~sub~0", "last"])
        }),
      ),
    )

    it.effect("is woken by a supervisor that knows only its parent, and wakes its parent in turn", () =>
      on(
        Effect.gen(function* () {
          const storage = yield* Storage
          const { parent, ran } = family({ asks: true })
          const first = yield* processOn(storage)
          yield* Effect.provideService(parent.run({}, { runId: "r" }), Engine.Engine, first.engine)
          yield* first.stop
          const second = yield* processOn(storage)
          yield* Supervisor.make({ registry: Supervisor.registry([parent]), interval: "1 day" }).pipe(
            Effect.provideService(Engine.Engine, second.engine),
            Scope.extend(second.scope),
          )
          yield* rest
          yield* Commands.approve("r~sub~0", "ask")
          yield* rest
          yield* TestClock.adjust("1 second")
          yield* rest
          expect(ran).toEqual(["work r~sub~0", "last"])
          expect((yield* storage.runs({})).map(({ status }) => status)).toEqual(["finished", "finished"])
          yield* second.stop
        }),
      ),
    )

    it.effect("that cannot be loaded stops its parent with the reason and fails nothing, and both go on once it can", () =>
      on(
        Effect.gen(function* () {
          let isFixed = false
          const { child } = family()
          const fragile = {
            ...child,
            definition: {
              ...child.definition,
              planner: () => {
                const planner = child.definition.planner()
                return {
                  ...planner,
                  plan: (...given: Parameters<typeof planner.plan>) => {
                    if (!isFixed) return Either.left(new RenderFailed({ workflow: "child", problem: "it does not load" }))
                    return planner.plan(...given)
                  },
                }
              },
            },
          }
          const parent = Smithers.createWorkflow({ name: "parent", input: Schema.Struct({}) }).build(($) =>
            $.subflow("sub", { workflow: fragile, input: { n: "3" } }),
          )
          const refused = { _tag: "RenderFailed", workflow: "child" }
          expect(yield* Effect.flip(parent.run({}, { runId: "r" }))).toMatchObject(refused)
          expect(yield* Effect.flip(parent.execute({}, { runId: "r" }))).toMatchObject(refused)
          const storage = yield* Storage
          expect((yield* storage.inspect("r")).run).toMatchObject({ status: "suspended", owner: null })
          isFixed = true
          expect(yield* parent.execute({}, { runId: "r", onFailed: "resume" })).toEqual(new Date(3))
        }),
      ),
    )

    it.effect("in a saga is undone by no compensation of its own, but its failure undoes the saga", () =>
      on(
        Effect.gen(function* () {
          const { child } = family({ run: () => Effect.fail("no") })
          const done: Array<string> = []
          const parent = Smithers.createWorkflow({ name: "parent", input: Schema.Struct({}) }).build(($) =>
            $.saga(
              $.step("a", { output: Text, run: () => "a", compensate: () => done.push("undo a") }),
              $.subflow("sub", { workflow: child, input: { n: "3" } }),
            ),
          )
          expect((yield* parent.run({}, { runId: "r" })).status).toBe("failed")
          expect(done).toEqual(["undo a"])
        }),
      ),
    )
  })
})
