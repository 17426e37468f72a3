/**
 * Waking runs that nobody works on, on every store.
 */

import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import type { Definition } from "@smithers/core/Definition"
import * as Engine from "@smithers/core/Engine"
import { RenderFailed, StoreFull } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import * as Smithers from "@smithers/core/Smithers"
import { type Ports, ports, Storage } from "@smithers/core/Storage"
import * as Supervisor from "@smithers/core/Supervisor"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
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
      Effect.provide(ports(storage)),
      Effect.provideService(Engine.Engine, engine),
      Scope.extend(scope),
    )
    const actions: Array<string> = []
    const noted = Stream.runForEach(supervisor.actions, (action) =>
      Effect.sync(() => actions.push(action._tag === "Settled" ? action.status : action._tag)),
    )
    yield* Effect.forkIn(noted, scope)
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

/** A store as a process sees it, of which nothing more is heard once it dies. */
const mortalOn = (storage: Storage["Type"]) => {
  let isDead = false
  const guard = (member: unknown): unknown => {
    if (Effect.isEffect(member)) return Effect.suspend(() => (isDead ? Effect.never : member))
    return (...given: ReadonlyArray<unknown>) => guard((member as (...given: ReadonlyArray<unknown>) => unknown)(...given))
  }
  const guarded = Object.fromEntries(Object.entries(storage).map(([name, member]) => [name, guard(member)]))
  const die = (): void => {
    isDead = true
  }
  return { storage: guarded as unknown as Storage["Type"], die }
}

const newRun = { workflow: "asking", version: undefined, input: { n: 1 }, tags: [] }

/** A workflow that cannot be rendered, as after a bad deploy. */
const broken = <W extends { readonly name: string; readonly definition: Definition }>(workflow: W, tried = () => {}): W => ({
  ...workflow,
  definition: {
    ...workflow.definition,
    planner: () => ({
      plan: () => {
        tried()
        return Either.left(new RenderFailed({ workflow: workflow.name, problem: "it does not load" }))
      },
      observe: () => false,
    }),
  },
})

/** A workflow whose first step gives what a schema takes, and whose second runs once it is resumed. */
const halfDoneWith = (output: Schema.Schema<{ readonly text: string }>) =>
  Smithers.createWorkflow({ name: "half", input: Input }).build(($) =>
    $.sequence(
      $.step("first", { output, run: () => ({ text: "one" }) }),
      $.step("second", { output: Schema.Void, run: ({ attempt }) => (attempt === 1 ? Effect.never : Effect.void) }),
    ),
  )

/** A run that is worked on, and has finished its first step. */
const halfDone = Effect.gen(function* () {
  const workflow = halfDoneWith(Schema.Struct({ text: Schema.String }))
  const storage = yield* Storage
  const first = yield* processOn(storage, Supervisor.registry([]))
  yield* Effect.fork(Effect.provideService(workflow.execute({ n: 1 }, { runId: "r" }), Engine.Engine, first.engine))
  yield* rest
  return { workflow, storage, first }
})

describe.each(stores)("a supervisor on %s", (_, store) => {
  const on = <A, E>(effect: Effect.Effect<A, E, Ports>) => Effect.provide(effect, store)

  it.effect("takes up a run when it is told something, and when its time comes, and lets it go between", () =>
    on(
      Effect.gen(function* () {
        const { workflow, ran } = asking()
        const storage = yield* Storage
        const { engine, actions, stop } = yield* processOn(storage, Supervisor.registry([workflow]))
        yield* Effect.provideService(workflow.run({ n: 1 }, { runId: "r" }), Engine.Engine, engine)
        yield* rest
        expect(yield* storage.runs({})).toMatchObject([{ status: "waiting-approval", owner: null }])
        expect(actions).toEqual([])
        yield* Commands.approve("r", "ask")
        yield* rest
        expect(actions).toEqual(["Resumed", "waiting-timer"])
        expect(yield* storage.runs({})).toMatchObject([{ status: "waiting-timer", owner: null }])
        yield* TestClock.adjust("59 minutes")
        yield* rest
        expect(ran).toEqual([])
        yield* TestClock.adjust("1 minute")
        yield* rest
        expect(ran).toEqual(["done 1"])
        expect(actions).toEqual(["Resumed", "waiting-timer", "Resumed", "finished"])
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
          Effect.provide(ports(storage)),
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
        expect(both.flatMap(({ actions }) => actions).filter((action) => action === "finished")).toEqual(["finished"])
        for (const { stop } of both) yield* stop
      }),
    ),
  )

  it.effect(
    "tries a run that does not load again for as long as it takes, less and less often, says why, and keeps what it is told",
    () =>
      on(
        Effect.gen(function* () {
          const { workflow, storage } = yield* answered
          let loads = 0
          const { actions, stop } = yield* processOn(storage, Supervisor.registry([broken(workflow, () => void loads++)]))
          yield* rest
          expect(loads).toBe(1)
          for (let minute = 0; minute < 120; minute++) {
            yield* TestClock.adjust("1 minute")
            yield* rest
          }
          expect(actions.filter((action) => action !== "Resumed" && action !== "Refused")).toEqual([])
          // Nine pauses that grow, of four minutes in all, and then one every five minutes, but for the jitter.
          expect(loads).toBeGreaterThan(25)
          expect(loads).toBeLessThan(45)
          const { run, failure } = yield* storage.inspect("r")
          expect(failure).toBeNull()
          expect(run).toMatchObject({
            status: "suspended",
            stuck: { failureCount: loads, error: { name: "RenderFailed", message: expect.stringContaining("it does not load") } },
          })
          const { since = 0, retryAt = 0 } = run.stuck ?? {}
          const now = yield* Clock.currentTimeMillis
          expect(now - since).toBeGreaterThan(7_000_000)
          expect(retryAt).toBeGreaterThan(now)
          expect(retryAt - now).toBeLessThanOrEqual(360_000)
          yield* stop
          // Another supervisor, that of the repaired deploy, takes it up at once, with what was said to it.
          const repaired = yield* processOn(storage, Supervisor.registry([workflow]))
          yield* rest
          expect(repaired.actions).toEqual(["Resumed", "waiting-timer"])
          expect((yield* storage.inspect("r")).run).toMatchObject({ status: "waiting-timer", stuck: null })
          yield* TestClock.adjust("1 hour")
          yield* rest
          expect((yield* storage.inspect("r")).run.status).toBe("finished")
          yield* repaired.stop
        }),
      ),
  )

  it.effect("does not count a deploy that cannot read what is stored, and goes on once one can", () =>
    on(
      Effect.gen(function* () {
        const { workflow, storage, first } = yield* halfDone
        const other = halfDoneWith(Schema.Struct({ text: Schema.String.pipe(Schema.minLength(10)) }))
        yield* first.stop
        const { actions, stop } = yield* processOn(storage, Supervisor.registry([other]))
        for (let minute = 0; minute < 30; minute++) {
          yield* rest
          yield* TestClock.adjust("1 minute")
        }
        expect(new Set(actions)).toEqual(new Set(["Resumed", "Refused"]))
        expect((yield* storage.inspect("r")).run.stuck?.error.name).toBe("IncompatibleOutput")
        yield* stop
        const repaired = yield* processOn(storage, Supervisor.registry([workflow]))
        yield* rest
        expect(repaired.actions).toEqual(["Resumed", "finished"])
        yield* repaired.stop
      }),
    ),
  )

  it.effect("still counts a crash that a bad deploy came after", () =>
    on(
      Effect.gen(function* () {
        const storage = yield* Storage
        const deadly = Smithers.createWorkflow({ name: "deadly", input: Input }).build(($) =>
          $.step("never", { output: Schema.Void, run: () => Effect.never }),
        )
        const lease = { lease: "30 seconds" } as const
        /** Begins the step in a process that is then no more. */
        const crash = Effect.gen(function* () {
          const mortal = mortalOn(storage)
          const { engine } = yield* engineOn(mortal.storage, lease)
          // Nobody waits for what is dead.
          yield* Effect.forkDaemon(Effect.provideService(deadly.execute({ n: 1 }, { runId: "r" }), Engine.Engine, engine))
          yield* rest
          mortal.die()
          yield* TestClock.adjust("31 seconds")
          yield* rest
        })
        for (let count = 1; count <= 5; count++) {
          yield* crash
          const bad = yield* processOn(storage, Supervisor.registry([broken(deadly)]), lease)
          yield* rest
          expect(bad.actions).toEqual(["Resumed", "Refused"])
          yield* bad.stop
        }
        const repaired = yield* processOn(storage, Supervisor.registry([deadly]), lease)
        yield* rest
        expect(repaired.actions).toEqual(["Resumed", "failed"])
        expect((yield* storage.inspect("r")).failure).toMatchObject({ _tag: "CrashLoop", nodeId: "never", interruptions: 5 })
        yield* repaired.stop
      }),
    ),
  )

  it.effect("ends a run whose process dies five times in a row before anything comes of it", () =>
    on(
      Effect.gen(function* () {
        const storage = yield* Storage
        const { workflow } = asking()
        yield* storage.open({ runId: "r", create: newRun, reopen: [], leaseMs: Millis.make(1), now: yield* Millis.now })
        for (let death = 1; death <= 5; death++) {
          yield* TestClock.adjust("1 second")
          yield* storage.open({ runId: "r", create: undefined, reopen: [], leaseMs: Millis.make(1), now: yield* Millis.now })
        }
        yield* TestClock.adjust("1 second")
        const { actions, stop } = yield* processOn(storage, Supervisor.registry([workflow]))
        yield* rest
        expect(actions).toEqual(["CrashLoop"])
        expect((yield* storage.inspect("r")).failure).toMatchObject({ _tag: "CrashLoop", interruptions: 5 })
        yield* stop
      }),
    ),
  )

  it.effect("neither fails nor undoes a run whose child run does not load", () =>
    on(
      Effect.gen(function* () {
        const storage = yield* Storage
        const ran: Array<string> = []
        const noted = (what: string) => Effect.sync(() => void ran.push(what))
        const child = Smithers.createWorkflow({ name: "child", input: Schema.Void }).build(($) =>
          $.step("work", { output: Schema.String, run: () => "done" }),
        )
        const parentOf = (of: typeof child) =>
          Smithers.createWorkflow({ name: "parent", input: Schema.Void }).build(($) =>
            $.saga(
              $.step("book", { output: Schema.Void, run: () => noted("book"), compensate: () => noted("undo") }),
              $.subflow("sub", { workflow: of, input: () => undefined }),
            ),
          )
        const bad = parentOf(broken(child))
        const first = yield* processOn(storage, Supervisor.registry([]))
        const refused = Effect.provideService(bad.execute(undefined, { runId: "r" }), Engine.Engine, first.engine)
        expect(yield* Effect.flip(refused)).toMatchObject({ _tag: "RenderFailed", workflow: "child" })
        yield* first.stop
        const supervised = yield* processOn(storage, Supervisor.registry([bad]))
        for (let minute = 0; minute < 30; minute++) {
          yield* rest
          yield* TestClock.adjust("1 minute")
        }
        expect(new Set(supervised.actions)).toEqual(new Set(["Resumed", "Refused"]))
        yield* supervised.stop
        expect(ran).toEqual(["book"])
        const repaired = yield* processOn(storage, Supervisor.registry([parentOf(child)]))
        yield* rest
        yield* TestClock.adjust("1 second")
        yield* rest
        expect((yield* storage.runs({})).map(({ runId, status }) => [runId, status])).toEqual([
          ["r~sub~0", "finished"],
          ["r", "finished"],
        ])
        expect(ran).toEqual(["book"])
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
          runnable: (now, except) =>
            Effect.map(storage.runnable(now, except), (due) => ({ ...due, runs: due.runs.map((run) => ({ ...run, crashes: 9 })) })),
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
        expect(actions.slice(2)).toEqual(["Resumed", "waiting-timer"])
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
        expect(yield* first.supervisor.poll).toEqual([])
        expect(first.actions).toEqual(["Unknown"])
        expect(yield* storage.runs({})).toMatchObject([{ status: "suspended" }])
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
  const failing = Effect.fail<Broken>({ _tag: "Broken", message: "it does not load" })

  /** Has runs that were told something, and a supervisor that works on them as it is told. */
  const supervised = (runIds: ReadonlyArray<string>, work: (runId: string) => Supervisor.Job<Broken, never> | undefined) =>
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

  it.scoped("leaves out what the worker does not know, and says so once", () =>
    Effect.gen(function* () {
      const { here, actions, tried, options } = yield* supervised(["r", "s"], (runId) =>
        runId === "r" ? { work: failing } : undefined,
      )
      yield* here(Supervisor.makeWith(options))
      for (let second = 0; second < 60; second++) {
        yield* rest
        yield* TestClock.adjust("1 second")
      }
      expect(actions.flatMap(({ runId, _tag }) => (runId === "s" ? [_tag] : []))).toEqual(["Unknown"])
      expect(tried.filter((runId) => runId === "s")).toEqual(["s"])
    }).pipe(Effect.provide(store)),
  )

  it.scoped("tries a run again soon after what its work depends on has changed, and no more often than each second", () =>
    Effect.gen(function* () {
      let [version, isRepaired, tries] = [1, false, 0]
      const work = Effect.suspend(() => {
        tries++
        return isRepaired ? Effect.never : failing
      })
      const { here, actions, options } = yield* supervised(["r"], () => ({ work, stamp: Effect.sync(() => `v${version}`) }))
      yield* here(Supervisor.makeWith({ ...options, interval: "5 seconds" }))
      const pass = (seconds: number) =>
        Effect.gen(function* () {
          for (let second = 0; second < seconds; second++) {
            yield* TestClock.adjust("1 second")
            yield* rest
          }
        })
      yield* rest
      yield* pass(600)
      const before = tries
      expect(before).toBeLessThan(12)
      version = 2
      yield* pass(6)
      // It begins anew with short pauses.
      const after = tries
      expect(after).toBeGreaterThan(before)
      expect(after).toBeLessThanOrEqual(before + 4)
      isRepaired = true
      version = 3
      yield* pass(6)
      expect(tries).toBe(after + 1)
      expect(actions.at(-1)).toMatchObject({ _tag: "Resumed" })
    }).pipe(Effect.provide(store)),
  )

  it.scoped("tries again and again, and begins anew where others took it up meanwhile", () =>
    Effect.gen(function* () {
      const { workflow, here, actions, options } = yield* supervised(["r"], () => ({ work: failing }))
      yield* here(Supervisor.makeWith(options))
      /** Seconds, but for the jitter. */
      const pauses = () =>
        actions.flatMap((action) =>
          action._tag === "Refused" ? [2 ** Math.round(Math.log2((action.retryAt - action.at) / 1000))] : [],
        )
      for (let second = 0; second < 100; second++) {
        yield* rest
        yield* TestClock.adjust("1 second")
      }
      expect(pauses()).toEqual([1, 2, 4, 8, 16, 32, 64])
      expect((yield* here(workflow.run({ n: 1 }, { runId: "r" }))).status).toBe("waiting-timer")
      yield* TestClock.adjust("1 hour")
      yield* rest
      expect(pauses().slice(7)).toEqual([1])
    }).pipe(Effect.provide(store)),
  )

  it.scoped("leaves a run alone of which nothing came, for longer each time, until it is told something", () =>
    Effect.gen(function* () {
      // It lets go of the run as if it waited, and the run can go on as before.
      const { here, tried, options } = yield* supervised(["r"], () => ({ work: Effect.succeed("suspended" as const) }))
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
        return "suspended" as const
      })
      const { here, actions, tried, options } = yield* supervised(["a", "b", "c", "d", "e"], () => ({ work }))
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
