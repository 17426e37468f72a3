/**
 * Measures runs that wait, and prints what it measured as one line of JSON: `bun bench/waiting.ts <measure> <size> <file>`. What is
 * measured between two processes is between this one and `waiter.ts`.
 */
import { Database } from "bun:sqlite"
import { join } from "node:path"
import { Supervisor } from "@smithers/core/Supervisor"
import { Clock, Effect, Layer, Stream } from "effect"
import { Smithers } from "smithers-orchestrator"
import { wallClock } from "./warm.ts"
import * as workflows from "./workflows.ts"

const [measure, sizeText, filename = ""] = process.argv.slice(2)
const size = Number(sizeText)
const store = Smithers.sqlite({ filename })
const onFile = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.runPromise(Effect.provide(effect, store))
const report = (measured: Record<string, number>) => console.log(JSON.stringify(measured))

const quantiles = (values: ReadonlyArray<number>) => {
  const sorted = values.toSorted((left, right) => left - right)
  const at = (share: number) => sorted[Math.floor(share * sorted.length)] as number
  return { p50: at(0.5), p95: at(0.95) }
}
const indices = Array.from({ length: size }, (_, index) => index)
const tell = (by: workflows.Told, index: number) =>
  by === "approval" ? Smithers.approve(`r${index}`, "news") : Smithers.signal(`r${index}`, "news")

/** From telling a run that waits in this process to the beginning of its next step (ms). */
const delivered = async (by: workflows.Told) => {
  const begun: Array<number> = []
  const workflow = workflows.told(by, (index) => {
    begun[index] = performance.now()
  })
  const one = (index: number) =>
    Effect.gen(function* () {
      const handle = yield* workflow.start({ index }, { runId: `r${index}` })
      yield* handle.waiting
      const toldAt = performance.now()
      yield* tell(by, index)
      yield* handle.await
      return (begun[index] as number) - toldAt
    })
  report(quantiles(await onFile(Effect.forEach(indices, one))))
}

/** The same where another process works on the runs. Told at moments of no pattern, since that one looks at regular ones. */
const deliveredAcross = async (by: workflows.Told) => {
  const waiter = Bun.spawn([process.execPath, join(import.meta.dir, "waiter.ts"), by, String(size), filename], { stdout: "pipe" })
  const lines = waiter.stdout.pipeThrough(new TextDecoderStream()).getReader()
  await lines.read()
  const one = (index: number) =>
    Effect.gen(function* () {
      yield* Effect.sleep(10 + Math.random() * 40)
      const toldAt = wallClock()
      yield* tell(by, index)
      return toldAt
    })
  const toldAt = await onFile(Effect.forEach(indices, one))
  let text = ""
  for (let chunk = await lines.read(); !chunk.done; chunk = await lines.read()) text += chunk.value
  if ((await waiter.exited) !== 0) throw new Error("the waiter failed")
  const begun = JSON.parse(text) as ReadonlyArray<number>
  report(quantiles(indices.map((index) => (begun[index] as number) - (toldAt[index] as number))))
}

const dayMs = 86_400_000
const each = (start: (index: number) => Effect.Effect<unknown, unknown, Smithers.Runtime>) =>
  onFile(Effect.forEach(indices, start, { concurrency: 50, discard: true }))

/** All that can be waited for. */
const kinds = [workflows.told("approval"), workflows.told("signal"), workflows.napping] as const
/** Starts a run that waits in vain, for each kind in turn. It is let go of with the engine. */
const hold = (index: number) =>
  Effect.gen(function* () {
    const [approval, signal, timer] = kinds
    if (index % 3 === 0) return yield* (yield* approval.start({ index })).waiting
    if (index % 3 === 1) return yield* (yield* signal.start({ index })).waiting
    return yield* (yield* timer.start({ at: Date.now() + dayMs + index })).waiting
  })

/** Counts what is asked of SQLite in this process from now on. */
const countStatements = (): (() => number) => {
  let count = 0
  const { prepare } = Database.prototype
  Database.prototype.prepare = function (this: Database, ...args: Parameters<typeof prepare>) {
    const statement = prepare.apply(this, args)
    for (const method of ["run", "values"] as const) {
      const original = statement[method].bind(statement) as (...values: Array<never>) => never
      Object.assign(statement, {
        [method]: (...values: Array<never>) => {
          count++
          return original(...values)
        },
      })
    }
    return statement
  } as typeof prepare
  return () => count
}

const idleSeconds = 10

/** What this process costs while nothing happens: CPU in percent of one core, and statements per second. */
const idle = async () => {
  const counted = countStatements()
  const supervisor = Layer.provideMerge(Smithers.supervisor({ registry: Smithers.registry<never>([...kinds]) }), store)
  await Effect.runPromise(
    Effect.gen(function* () {
      const { actions } = yield* Supervisor
      yield* Effect.fork(Stream.runForEach(actions, ({ _tag }) => Effect.sync(() => console.error(`woken: ${_tag}`))))
      // What was there to do at the start is done, and what was left to collect is collected.
      Bun.gc(true)
      yield* Effect.sleep("3 seconds")
      const [cpu, statements, begin] = [process.cpuUsage(), counted(), performance.now()]
      yield* Effect.sleep(`${idleSeconds} seconds`)
      const { user, system } = process.cpuUsage(cpu)
      const ms = performance.now() - begin
      report({ cpuPercent: ((user + system) / 1000 / ms) * 100, statementsPerSecond: (counted() - statements) / (ms / 1000) })
    }).pipe(Effect.provide(supervisor)),
  )
}

/** A clock that is so much ahead, so that what is due in a day is due now. */
const ahead = (byMs: number): Clock.Clock => {
  const clock = Clock.make()
  const unsafeCurrentTimeMillis = () => clock.unsafeCurrentTimeMillis() + byMs
  return Object.assign(Object.create(clock) as Clock.Clock, {
    unsafeCurrentTimeMillis,
    currentTimeMillis: Effect.sync(unsafeCurrentTimeMillis),
  })
}

/** Between opening a file, or planning, and the time that is waited for. */
const leadMs = 2000

/** Runs that nobody works on, of a timer each, all due in the same millisecond under a supervisor: from then to the end of the last. */
const dueAtOnce = async () => {
  const at = Date.now() + dayMs
  await each(() => workflows.napping.run({ at }))
  const clock = ahead(at - Date.now() - leadMs)
  const supervisor = Layer.provideMerge(Smithers.supervisor({ registry: Smithers.registry<never>([workflows.napping]) }), store)
  await Effect.runPromise(
    Effect.gen(function* () {
      const { actions } = yield* Supervisor
      const [finished, cpu] = [new Set<string>(), process.cpuUsage()]
      let more = 0
      yield* Stream.runForEachWhile(actions, (action) =>
        Effect.sync(() => {
          if (action._tag !== "Settled") return true
          if (action.status !== "finished" || finished.has(action.runId)) more++
          return finished.add(action.runId).size < size
        }),
      )
      const end = clock.unsafeCurrentTimeMillis()
      const { user, system } = process.cpuUsage(cpu)
      report({ ms: end - at, cpuMs: (user + system) / 1000, more })
    }).pipe(Effect.provide(supervisor), Effect.withClock(clock)),
  )
}

/** One run that waits for the same millisecond in many places: from then to its end. */
const alarms = async () => {
  const workflow = workflows.alarms(size)
  const one = Effect.gen(function* () {
    const at = Date.now() + leadMs
    const handle = yield* workflow.start({ at })
    yield* handle.waiting
    if (Date.now() >= at) return yield* Effect.dieMessage("it was due before it waited")
    yield* handle.await
    return Date.now() - at
  })
  const times = await onFile(Effect.all([one, one, one]))
  report({ firstMs: times[0] as number, ms: quantiles(times).p50 })
}

/** What a pass of a loop costs: what a run of twice the passes has more of, so that what a run costs once is left out. */
const poll = async (body: "timer" | "step and timer") => {
  const everyMs = 1
  const workflow = workflows.polling(body, everyMs)
  const look = () => {
    const database = new Database(filename, { readonly: true })
    const one = (sql: string) => (database.query(sql).values()[0] as [number])[0]
    const bytes = one("PRAGMA page_count") * one("PRAGMA page_size")
    const found = {
      frames: one("SELECT count(*) FROM (SELECT DISTINCT run_id, frame FROM smithers_events)"),
      events: one("SELECT count(*) FROM smithers_events"),
      bytes,
    }
    database.close()
    return found
  }
  const run = (passes: number) => {
    const [begin, cpu] = [performance.now(), process.cpuUsage()]
    return Effect.map(workflow.execute({ passes }), () => {
      const { user, system } = process.cpuUsage(cpu)
      return { ms: performance.now() - begin, cpuMs: (user + system) / 1000, ...look() }
    })
  }
  const measured = await onFile(
    Effect.gen(function* () {
      const warm = yield* Effect.suspend(() => run(size))
      const once = yield* Effect.suspend(() => run(size))
      const twice = yield* Effect.suspend(() => run(2 * size))
      const more = (what: "frames" | "events" | "bytes") => (twice[what] - once[what] - (once[what] - warm[what])) / size
      const perPass = (what: "ms" | "cpuMs") => (twice[what] - once[what]) / size
      return {
        frames: more("frames"),
        events: more("events"),
        bytes: more("bytes"),
        ms: perPass("ms"),
        cpuMs: perPass("cpuMs"),
        everyMs,
      }
    }),
  )
  report(measured)
}

switch (measure) {
  case "approval":
  case "signal":
    await delivered(measure)
    break
  case "approval across":
  case "signal across":
    await deliveredAcross(measure === "approval across" ? "approval" : "signal")
    break
  case "fill":
    await each(hold)
    break
  case "idle":
    await idle()
    break
  case "due at once":
    await dueAtOnce()
    break
  case "alarms":
    await alarms()
    break
  case "timer":
  case "step and timer":
    await poll(measure)
    break
  default:
    throw new Error(`no measure "${measure}"`)
}
