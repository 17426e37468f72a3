/**
 * One program in as many processes as it takes: each may die at a commit, and the next goes on with what the store holds. The world outside says
 * what a pattern's plot says, to whatever waits, and sees how often the code of each step was called.
 */
import { AgentRunner } from "@smithers/core/AgentRunner"
import type { CommandError } from "@smithers/core/Commands"
import { Engine } from "@smithers/core/Engine"
import { idempotencyKey } from "@smithers/core/Ids"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Millis from "@smithers/core/Millis"
import type { WaitSummary } from "@smithers/core/RunReader"
import type { RunResult } from "@smithers/core/RunResult"
import * as RunState from "@smithers/core/RunState"
import type { Frame } from "@smithers/core/RunStore"
import * as Status from "@smithers/core/Status"
import type { StepContext } from "@smithers/core/StepProgram"
import { type Ports, ports, type StorageShape } from "@smithers/core/Storage"
import type { RunError, RunHandle, Runs } from "@smithers/core/Workflow"
import * as MortalStorage from "@smithers/testing/MortalStorage"
import * as TestRuntime from "@smithers/testing/TestRuntime"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"

/** The one run that a program is started as. */
export const runId = "run"

export type Said = (wait: Pick<WaitSummary, "nodeId" | "iteration">) => Effect.Effect<unknown, CommandError, Ports>

/** What happens outside while a program runs. */
export interface Plot {
  /** The same in words. */
  readonly words: string
  /** Said to a wait as soon as it is open, by its node. */
  readonly tell?: { readonly [nodeId: string]: Said }
  /** Said at times after the start. */
  readonly later?: ReadonlyArray<readonly [after: Duration.DurationInput, said: Effect.Effect<unknown, CommandError, Ports>]>
}

/** What starts, resumes or joins the run of a program. */
export type Program = (runId: string) => Effect.Effect<RunHandle<unknown>, RunError, Engine | Ports | AgentRunner>

/** The program that runs a workflow. */
export const runOf =
  <I, A>(workflow: Pick<Runs<I, A, Engine | Ports | AgentRunner>, "start">, input: I): Program =>
  (runId) =>
    workflow.start(input, { runId })

/** A step or a wait, in one iteration, of the run or a child run. */
interface Row {
  readonly nodeId: string
  readonly status: string
  readonly output?: unknown
}

/** How often the code of steps was called, by their idempotency keys. */
type Calls = ReadonlyMap<string, number>

/** What a process leaves behind that has died. */
interface Death {
  readonly calls: Calls
  /** The rows as they were stored then. */
  readonly rows: ReadonlyMap<string, Row>
}

/** A program by its end. */
interface Life {
  readonly result: RunResult<unknown>
  /** By idempotency key, as the calls are. */
  readonly rows: ReadonlyMap<string, Row>
  /** Outputs that were committed, by row. */
  readonly committed: Calls
  readonly calls: Calls
  /** Nodes in the order in which their code began. */
  readonly begun: ReadonlyArray<string>
  /** The most steps that were at work at once. */
  readonly atOnce: number
  /** Nodes that were at work while one of the same section was. */
  readonly overlaps: ReadonlyArray<string>
  readonly frames: number
  readonly death: Death | undefined
}

/** Where the process dies. */
interface Kill {
  readonly edge: "before" | "after"
  readonly commit: number
}

const noLimit = { limit: Number.MAX_SAFE_INTEGER }

const add = (counts: Map<string, number>, key: string): void => {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

const rowsOf = (disk: StorageShape) =>
  Effect.gen(function* () {
    const rows = new Map<string, Row>()
    for (const run of yield* disk.runs(noLimit))
      for (const record of RunState.records(yield* disk.load(run.runId)))
        if (record.kind === "step") rows.set(idempotencyKey(run.runId, record.nodeId, record.iteration), record)
    return rows
  })

/** Runs a program to the end of its run and of all child runs. */
const live = (program: Program, { tell = {}, later = [] }: Plot, section: ReadonlyArray<string>, kill?: Kill) =>
  Effect.gen(function* () {
    const passage = yield* TestRuntime.passageOf({})
    yield* TestRuntime.settingOf(passage, 1)
    const disk = MemoryStorage.make()
    const [committed, told, begun, overlaps] = [
      new Map<string, number>(),
      new Set<string>(),
      [] as Array<string>,
      [] as Array<string>,
    ]
    let [atOnce, frames, death]: [number, number, Death | undefined] = [0, 0, undefined]
    const calls: [Map<string, number>, Map<string, number>] = [new Map(), new Map()]
    const problems: Array<string> = []
    const say = (said: Effect.Effect<unknown, CommandError, Ports>) =>
      Effect.catchAllCause(Effect.provide(said, ports(disk)), (cause) => Effect.sync(() => problems.push(Cause.pretty(cause))))
    const onCommit = (frame: Frame): void => {
      frames++
      for (const event of frame.events)
        if (event._tag === "AttemptSucceeded" || event._tag === "WaitEnded")
          add(committed, idempotencyKey(frame.runId, event.nodeId, event.iteration))
    }
    for (const [after, said] of later) yield* Effect.fork(Effect.zipRight(Effect.sleep(after), say(said)))

    for (let isFirst = true; ; isFirst = false) {
      const mortal = MortalStorage.make(disk, isFirst ? kill : undefined, onCommit)
      /** Steps at work, by idempotency key. */
      const atWork = new Map<string, string>()
      // What has died is never closed: it would wait for what does not go on.
      const scope = yield* Scope.make()
      const engine = yield* TestRuntime.engineOn(mortal.storage, passage, {
        grace: TestRuntime.defaultGrace,
        around: (step) => (context, state, noteRead) => {
          const { idempotencyKey: key }: StepContext<unknown> = context
          add(calls[isFirst ? 0 : 1], key)
          begun.push(step.id)
          const isInSection = section.includes(step.id)
          if (isInSection && [...atWork.values()].some((other) => section.includes(other))) overlaps.push(step.id)
          atWork.set(key, step.id)
          atOnce = Math.max(atOnce, atWork.size)
          const over = Effect.sync(() => atWork.delete(key))
          const returned = step.run(context, state, noteRead)
          if (Effect.isEffect(returned)) return Effect.ensuring(returned, over)
          atWork.delete(key)
          return returned
        },
      }).pipe(Scope.extend(scope))
      const context = ports(mortal.storage).pipe(
        Context.add(Engine, engine),
        Context.add(AgentRunner, TestRuntime.agentsOf(passage)),
      )
      // Nothing of a dead process goes on, as nothing of a real one does, finalizers included.
      const scheduler: Scheduler.Scheduler = {
        shouldYield: (fiber) => passage.scheduler.shouldYield(fiber),
        scheduleTask: (task, priority) => passage.scheduler.scheduleTask(() => (mortal.isGone() ? undefined : task()), priority),
      }
      const started = program(runId).pipe(Effect.provide(context), Effect.locally(FiberRef.currentScheduler, scheduler))
      const handle = yield* Effect.raceFirst(Effect.disconnect(started), Effect.as(mortal.gone, undefined))
      for (;;) {
        yield* passage.settle
        if (handle === undefined || mortal.isGone()) break
        const runs = yield* disk.runs(noLimit)
        if (runs.length > 0 && runs.every(({ status }) => Status.isEnded(status))) {
          const result = yield* handle.result
          yield* Scope.close(scope, Exit.void)
          if (problems.length > 0) return yield* Effect.dieMessage(problems.join("\n"))
          const all = new Map(calls[0])
          for (const [key, count] of calls[1]) all.set(key, (all.get(key) ?? 0) + count)
          return { result, rows: yield* rowsOf(disk), committed, calls: all, begun, atOnce, overlaps, frames, death } satisfies Life
        }
        const open = yield* disk.waits({ ...noLimit, isAnswered: false })
        const asked = open.filter((wait) => {
          const id = `${wait.runId} ${wait.nodeId} ${wait.iteration} ${wait.requestSeq}`
          return tell[wait.nodeId] !== undefined && !told.has(id) && told.add(id)
        })
        for (const wait of asked) yield* say(tell[wait.nodeId]?.(wait) ?? Effect.void)
        if (asked.length === 0 && !(yield* passage.step))
          return yield* Effect.dieMessage(`stalled: it waits for ${open.map(TestRuntime.describeWait).join(", ") || "nothing"}`)
      }
      death = { calls: new Map(calls[0]), rows: yield* rowsOf(disk) }
      // On the same machine it is noticed at once that a process is no longer there.
      passage.forget()
      const owned = (yield* disk.runs(noLimit)).filter(({ owner }) => owner !== null)
      yield* disk.renew(
        owned.map(({ runId, epoch }) => ({ runId, epoch })),
        yield* Millis.now,
      )
    }
  }).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.None))

/** How a run has ended. */
const endOf = (result: RunResult<unknown>): string => {
  if (result.status === "finished") return `finished with ${JSON.stringify(result.output)}`
  return result.status === "failed" ? `failed with ${result.error.message}` : result.status
}

const finished = "finished"

/**
 * What is wrong with a life, beside one without a kill. The code of a step whose end was stored when the process died is not called again, and that of one
 * whose beginning was not had not been called. One that was at work is called again, once; if it had come to be called before, that makes two.
 */
const problemsOf = (calm: Life, life: Life): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const compare = (what: string, one: unknown, other: unknown): void => {
    const [expected, found] = [JSON.stringify(one), JSON.stringify(other)]
    if (expected !== found) problems.push(`${what}: ${found} and not ${expected}`)
  }
  if (life.death === undefined) problems.push("it was not killed")
  compare("end", endOf(calm.result), endOf(life.result))
  for (const key of new Set([...calm.rows.keys(), ...life.rows.keys()])) {
    const [one, other] = [calm.rows.get(key), life.rows.get(key)]
    compare(key, [one?.status, one?.output], [other?.status, other?.output])
    compare(`outputs of ${key}`, calm.committed.get(key), life.committed.get(key))
  }
  for (const key of new Set([...calm.calls.keys(), ...life.calls.keys()])) {
    const usual = calm.calls.get(key) ?? 0
    const before = life.death?.calls.get(key) ?? 0
    const after = (life.calls.get(key) ?? 0) - before
    const stood = life.death?.rows.get(key)?.status
    const isRight =
      stood === undefined
        ? before === 0 && after === usual
        : stood === "running"
          ? before <= 1 && (calm.rows.get(key)?.status === finished ? after === 1 : after <= 1)
          : before === usual && after === 0
    if (!isRight) problems.push(`${key} was ${stood ?? "not begun"} at the kill, called ${before} times before and ${after} after`)
  }
  compare("overlaps", [], life.overlaps)
  if (life.atOnce > calm.atOnce) problems.push(`${life.atOnce} at once and not ${calm.atOnce}`)
  return problems
}

/** Runs a program without a kill, and then with one before and after each of its commits. */
export const sweep = (program: Program, plot: Plot = { words: "" }, section: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const calm = yield* live(program, plot, section)
    const problems = [...calm.calls].flatMap(([key, count]) =>
      count === 1 ? [] : [`${key} was called ${count} times without a kill`],
    )
    const twice = new Set<string>()
    for (let commit = 1; commit <= calm.frames; commit++)
      for (const edge of ["before", "after"] as const) {
        const life = yield* live(program, plot, section, { edge, commit })
        problems.push(...problemsOf(calm, life).map((problem) => `killed ${edge} commit ${commit} of ${calm.frames}: ${problem}`))
        for (const [key, count] of life.calls) if (count === 2) twice.add(key)
      }
    const neverTwice = [...calm.rows].flatMap(([key, { status }]) =>
      status === finished && calm.calls.has(key) && !twice.has(key) ? [key] : [],
    )
    return {
      end: endOf(calm.result),
      begun: calm.begun,
      atOnce: calm.atOnce,
      overlaps: calm.overlaps,
      kills: 2 * calm.frames,
      problems,
      neverTwice,
    }
  })
