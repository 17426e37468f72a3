/**
 * Waking runs that nobody works on, on every store.
 */

import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as Engine from "@smithers/core/Engine"
import { RenderFailed, StoreFull } from "@smithers/core/Errors"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Supervisor from "@smithers/core/Supervisor"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { processOn as engineOn, stores } from "./Flows.ts"
import { rest, settled } from "./Time.ts"

const Input = Schema.Struct({ n: Schema.Number })

/** A workflow that asks, sleeps and then is done; says what ran. */
const asking = () => {
  const ran: Array<string> = []
  const workflow = Smithers.createWorkflow({ name: "asking", input: Input }).build(($) =>
    $.sequence(
      $.approval("ask", { request: () => ({ title: "?" }) }),
      $.timer("nap", { duration: "1 hour" }),
      $.step("done", {
        output: Schema.Number,
        run: ({ input }) => {
          ran.push(`done ${input.n}`)
          return input.n
        },
      }),
    ),
  )
  return { workflow, ran }
}

/** A process on a store: its engine, and what it supervises. */
const processOn = (storage: Storage["Type"], registry: Supervisor.Registry, options: Engine.EngineOptions = {}) =>
  Effect.gen(function* () {
    const { engine, scope, stop } = yield* engineOn(storage, options)
    const supervisor = yield* Supervisor.make({ registry, interval: "1 day" }).pipe(
      Effect.provideService(Storage, storage),
      Effect.provideService(Engine.Engine, engine),
      Scope.extend(scope),
    )
    const actions: Array<string> = []
    supervisor.actions((action) => actions.push(action._tag === "Settled" ? action.how : action._tag))
    return { engine, supervisor, actions, stop }
  })

/** A run that waited and was answered since its process went. */
const answered = Effect.gen(function* () {
  const { workflow } = asking()
  const storage = yield* Storage
  const first = yield* processOn(storage, Supervisor.registry([]))
  yield* Effect.provideService(workflow.run({ n: 1 }, { runId: "r" }), Engine.Engine, first.engine)
  yield* Commands.approve("r", "ask")
  yield* first.stop
  return { workflow, storage }
})

describe.each(stores)("a supervisor on %s", (_, store) => {
  const on = <A, E>(effect: Effect.Effect<A, E, Storage>) => Effect.provide(effect, store)

  it.effect("takes up a run when it is told something, and when its time comes, and lets it go between", () =>
    on(
      Effect.gen(function* () {
        const { workflow, ran } = asking()
        const storage = yield* Storage
        const { engine, actions, stop } = yield* processOn(storage, Supervisor.registry([workflow]))
        yield* Effect.provideService(workflow.run({ n: 1 }, { runId: "r" }), Engine.Engine, engine)
        yield* rest
        expect(yield* storage.runs({})).toMatchObject([{ status: "waiting", owner: null }])
        expect(actions).toEqual([])
        yield* Commands.approve("r", "ask")
        yield* rest
        expect(actions).toEqual(["Resumed", "Idle"])
        expect(yield* storage.runs({})).toMatchObject([{ status: "waiting", owner: null }])
        yield* TestClock.adjust("59 minutes")
        yield* rest
        expect(ran).toEqual([])
        yield* TestClock.adjust("1 minute")
        yield* rest
        expect(ran).toEqual(["done 1"])
        expect(actions).toEqual(["Resumed", "Idle", "Resumed", "Finished"])
        yield* stop
      }),
    ),
  )

  it.effect("resumes what another left behind, once, though two supervise", () =>
    on(
      Effect.gen(function* () {
        const ran: Array<string> = []
        const workflow = Smithers.createWorkflow({ name: "left", input: Input }).build(($) =>
          $.step("slow", {
            output: Schema.String,
            run: ({ attempt }) =>
              Effect.suspend(() => {
                ran.push(`attempt ${attempt}`)
                return attempt === 1 ? Effect.never : Effect.succeed("done")
              }),
          }),
        )
        const storage = yield* Storage
        const nothing = Supervisor.registry([])
        const dying = yield* processOn(storage, nothing)
        yield* Effect.provideService(workflow.start({ n: 1 }, { runId: "r" }), Engine.Engine, dying.engine).pipe(
          Effect.provideService(Storage, storage),
        )
        yield* rest
        yield* dying.stop
        expect(yield* storage.runs({})).toMatchObject([{ status: "suspended", owner: null }])
        const both = [
          yield* processOn(storage, Supervisor.registry([workflow])),
          yield* processOn(storage, Supervisor.registry([workflow])),
        ]
        yield* rest
        expect(ran).toEqual(["attempt 1", "attempt 2"])
        expect(both.flatMap(({ actions }) => actions).filter((action) => action === "Finished")).toEqual(["Finished"])
        for (const { stop } of both) yield* stop
      }),
    ),
  )

  it.effect("leaves a run alone for longer each time it cannot be worked on, and ends it as failed after five", () =>
    on(
      Effect.gen(function* () {
        const { workflow, storage } = yield* answered
        let loads = 0
        const broken = {
          name: "asking",
          definition: {
            ...workflow.definition,
            planner: () => ({
              plan: () => {
                loads++
                throw new RenderFailed({ workflow: "asking", problem: "it does not load" })
              },
              observe: () => false,
            }),
          },
        }
        const { actions, stop } = yield* processOn(storage, Supervisor.registry([broken]))
        yield* rest
        expect(loads).toBe(1)
        for (let second = 0; second < 60; second++) {
          yield* TestClock.adjust("1 second")
          yield* rest
        }
        expect(loads).toBe(5)
        expect(actions.filter((action) => action !== "Resumed")).toEqual(["Refused", "Refused", "Refused", "Refused", "CrashLoop"])
        yield* stop
        const { run, failure } = yield* storage.inspect("r")
        expect(run.status).toBe("failed")
        expect(failure).toMatchObject({ _tag: "CrashLoop", interruptions: 5, error: { name: "RenderFailed" } })
        expect(failure?.message).toContain("it does not load")
        // Repaired, it goes on where it was, and what was said to it meanwhile is kept.
        const repaired = yield* processOn(storage, Supervisor.registry([workflow]))
        yield* Effect.provideService(Effect.fork(workflow.resume("r")), Engine.Engine, repaired.engine)
        yield* rest
        yield* TestClock.adjust("1 hour")
        yield* rest
        expect((yield* storage.inspect("r")).run.status).toBe("finished")
        yield* repaired.stop
      }),
    ),
  )

  it.effect("does not spin where a run can neither be taken up nor be ended", () =>
    on(
      Effect.gen(function* () {
        const { workflow, storage } = yield* answered
        let tries = 0
        const full: Storage["Type"] = {
          ...storage,
          due: (now, except) =>
            Effect.map(storage.due(now, except), (due) => ({ ...due, runs: due.runs.map((run) => ({ ...run, tries: 9 })) })),
          commit: () => {
            tries++
            return new StoreFull({ operation: "commit", detail: "no space" })
          },
        }
        const { stop } = yield* processOn(full, Supervisor.registry([workflow]))
        yield* rest
        expect(tries).toBe(1)
        for (let second = 0; second < 20; second++) {
          yield* TestClock.adjust("1 second")
          yield* rest
        }
        expect(tries).toBeGreaterThan(2)
        expect(tries).toBeLessThan(7)
        yield* stop
      }),
    ),
  )

  it.effect("says so where working on a run ends in a defect, and leaves that run alone for a while", () =>
    on(
      Effect.gen(function* () {
        const { workflow, storage } = yield* answered
        let isBroken = true
        const broken: Storage["Type"] = {
          ...storage,
          commit: (frame) => (isBroken ? Effect.dieMessage("a defect of the store") : storage.commit(frame)),
        }
        const { actions, stop } = yield* processOn(broken, Supervisor.registry([workflow]))
        yield* rest
        expect(actions).toEqual(["Resumed", "Refused"])
        isBroken = false
        yield* TestClock.adjust("2 seconds")
        yield* rest
        expect(actions.slice(2)).toEqual(["Resumed", "Idle"])
        yield* stop
      }),
    ),
  )

  it.effect("leaves runs alone whose workflow it does not know, and says so once", () =>
    on(
      Effect.gen(function* () {
        const { workflow } = asking()
        const storage = yield* Storage
        const first = yield* processOn(storage, Supervisor.registry([]))
        yield* Effect.provideService(workflow.run({ n: 1 }, { runId: "r" }), Engine.Engine, first.engine)
        yield* Commands.approve("r", "ask")
        yield* rest
        expect(yield* first.supervisor.look).toEqual([])
        expect(first.actions).toEqual(["Unknown"])
        expect(yield* storage.runs({})).toMatchObject([{ status: "waiting" }])
        yield* first.stop
      }),
    ),
  )

  it.effect("is not kept from a run by hundreds of others that it can do nothing about", () =>
    on(
      Effect.gen(function* () {
        const { workflow, ran } = asking()
        const storage = yield* Storage
        const other = Smithers.createWorkflow({ name: "another", input: Input }).build(($) =>
          $.approval("ask", { request: () => ({ title: "?" }) }),
        )
        const first = yield* processOn(storage, Supervisor.registry([]))
        const here = Effect.provideService(Engine.Engine, first.engine)
        for (let index = 100; index < 250; index++) yield* here(other.run({ n: index }, { runId: `a${index}` }))
        yield* here(workflow.run({ n: 1 }, { runId: "z" }))
        for (let index = 100; index < 250; index++) yield* Commands.approve(`a${index}`, "ask")
        yield* Commands.approve("z", "ask")
        yield* first.stop
        const { stop } = yield* processOn(storage, Supervisor.registry([workflow]))
        yield* rest
        yield* TestClock.adjust("1 hour")
        yield* rest
        expect(ran).toEqual(["done 1"])
        yield* stop
      }),
    ),
  )

  it.effect("wakes hundreds of timers that are due at once, some at a time", () =>
    on(
      Effect.gen(function* () {
        let [running, most, done] = [0, 0, 0]
        const workflow = Smithers.createWorkflow({ name: "nap", input: Input }).build(($) =>
          $.sequence(
            $.timer("nap", { duration: "1 minute" }),
            $.step("done", {
              output: Schema.Void,
              run: () =>
                Effect.gen(function* () {
                  running++
                  most = Math.max(most, running)
                  yield* Effect.yieldNow()
                  running--
                  done++
                }),
            }),
          ),
        )
        const storage = yield* Storage
        const { engine, stop } = yield* processOn(storage, Supervisor.registry([workflow]))
        for (let n = 0; n < 300; n++) {
          yield* Effect.provideService(workflow.run({ n }, { runId: `r${n}` }), Engine.Engine, engine)
        }
        expect(done).toBe(0)
        yield* TestClock.adjust("1 minute")
        yield* settled("all have run", () => done === 300)
        expect(most).toBeLessThanOrEqual(16)
        yield* stop
      }),
    ),
  )
})

describe.each(stores)("a supervisor with a worker of its own on %s", (_, store) => {
  interface Broken {
    readonly _tag: "Broken"
    readonly message: string
  }
  const broken = (fault: Supervisor.Refusal<Broken>["fault"]) =>
    Effect.fail<Supervisor.Refusal<Broken>>({ error: { _tag: "Broken", message: "it does not load" }, fault })

  /** Has runs that were told something, and a supervisor that works on them as it is told. */
  const supervised = (
    runIds: ReadonlyArray<string>,
    work: (runId: string) => Effect.Effect<Supervisor.Outcome, Supervisor.Refusal<Broken>> | undefined,
  ) =>
    Effect.gen(function* () {
      const { workflow } = asking()
      const storage = yield* Storage
      const engine = yield* Engine.make({ lease: "100 days" })
      const here = Effect.provideService(Engine.Engine, engine)
      for (const runId of runIds) {
        yield* here(workflow.run({ n: 1 }, { runId }))
        yield* Commands.approve(runId, "ask")
      }
      const actions: Array<Supervisor.Action<Broken> & { readonly at: number }> = []
      const tried: Array<string> = []
      const options: Supervisor.WorkerOptions<Broken, never> = {
        interval: "1 day",
        report: (action) => Effect.map(Clock.currentTimeMillis, (at) => void actions.push({ ...action, at })),
        worker: ({ runId }) =>
          Effect.sync(() => {
            const found = work(runId)
            tried.push(runId)
            return found === undefined ? Either.left({ runIds: [runId] }) : Either.right(found)
          }),
      }
      return { workflow, storage, here, actions, tried, options }
    })

  it.scoped("counts what never comes to a claim, and leaves out what the worker does not know", () =>
    Effect.gen(function* () {
      const { storage, here, actions, tried, options } = yield* supervised(["r", "s"], (runId) =>
        runId === "r" ? broken("unclaimed") : undefined,
      )
      yield* here(Supervisor.makeWith(options))
      for (let second = 0; second < 60; second++) {
        yield* rest
        yield* TestClock.adjust("1 second")
      }
      const of = (id: string) => actions.filter(({ runId }) => runId === id).map(({ _tag }) => _tag)
      expect(of("r").filter((tag) => tag !== "Resumed")).toEqual(["Refused", "Refused", "Refused", "Refused", "CrashLoop"])
      expect(of("s")).toEqual(["Unknown"])
      expect(tried.filter((runId) => runId === "s")).toEqual(["s"])
      expect(yield* storage.inspect("r")).toMatchObject({
        run: { status: "failed" },
        failure: { _tag: "CrashLoop", interruptions: 5, error: { name: "Broken", message: "it does not load" } },
      })
    }).pipe(Effect.provide(store)),
  )

  it.scoped("tries again and again what the run is not to blame for, and begins anew where others took it up meanwhile", () =>
    Effect.gen(function* () {
      const { workflow, here, actions, options } = yield* supervised(["r"], () => broken("nothing"))
      yield* here(Supervisor.makeWith(options))
      /** Seconds, but for the jitter. */
      const pauses = () =>
        actions.flatMap((action) =>
          action._tag === "Refused" ? [2 ** Math.round(Math.log2((action.again - action.at) / 1000))] : [],
        )
      for (let second = 0; second < 100; second++) {
        yield* rest
        yield* TestClock.adjust("1 second")
      }
      expect(pauses()).toEqual([1, 2, 4, 8, 16, 32, 64])
      expect((yield* here(workflow.run({ n: 1 }, { runId: "r" })))._tag).toBe("waiting-timer")
      yield* TestClock.adjust("1 hour")
      yield* rest
      expect(pauses().slice(7)).toEqual([1])
    }).pipe(Effect.provide(store)),
  )

  it.scoped("leaves a run alone of which nothing came, for longer each time, until it is told something", () =>
    Effect.gen(function* () {
      // It lets go of the run as if it waited, and the run can go on as before.
      const { here, tried, options } = yield* supervised(["r"], () => Effect.succeed("Idle"))
      yield* here(Supervisor.makeWith(options))
      const during = (seconds: number) =>
        Effect.gen(function* () {
          const before = tried.length
          for (let second = 0; second < seconds; second++) {
            yield* rest
            yield* TestClock.adjust("1 second")
          }
          return tried.length - before
        })
      const first = yield* during(60)
      expect(first).toBeGreaterThanOrEqual(4)
      expect(first).toBeLessThanOrEqual(8)
      expect(yield* during(600)).toBeLessThanOrEqual(6)
      yield* Commands.signal("r", "news")
      yield* rest
      yield* TestClock.adjust("6 minutes")
      yield* rest
      const told = tried.length
      // Nobody took that up either.
      expect(yield* during(600)).toBeLessThanOrEqual(3)
      expect(told).toBeGreaterThan(first)
    }).pipe(Effect.provide(store)),
  )

  it.scoped("works once on what can go on, some at a time, and waits for it", () =>
    Effect.gen(function* () {
      let [running, most] = [0, 0]
      const work = Effect.gen(function* () {
        most = Math.max(most, ++running)
        yield* Effect.yieldNow()
        running--
        return "Idle" as const
      })
      const { here, actions, tried, options } = yield* supervised(["a", "b", "c", "d", "e"], () => work)
      yield* here(Supervisor.once({ ...options, maxConcurrent: 2 }))
      expect(tried.toSorted()).toEqual(["a", "b", "c", "d", "e"])
      expect(most).toBe(2)
      expect(actions.filter(({ _tag }) => _tag === "Settled")).toHaveLength(5)
    }).pipe(Effect.provide(store)),
  )
})

describe("a registry", () => {
  it.effect("refuses two workflows of one name", () =>
    Effect.sync(() => {
      expect(() => Supervisor.registry([asking().workflow, asking().workflow])).toThrow(/two workflows have this name/)
    }),
  )
})
