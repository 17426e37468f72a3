/**
 * Runs a family through the real engine on a store in memory, in processes that die, stall or stop, one or two of them at a time. Some
 * join the parent, some only supervise; what one leaves is taken up by another. At the end stands what every run of the family came to.
 */
import * as Engine from "@smithers/core/Engine"
import { NonRetryable } from "@smithers/core/Errors"
import { nodeKey } from "@smithers/core/Ids"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Millis from "@smithers/core/Millis"
import { compensationId, undoneBy } from "@smithers/core/Records"
import type { RunEvent } from "@smithers/core/RunEvent"
import type { RunSummary } from "@smithers/core/RunReader"
import * as RunRequest from "@smithers/core/RunRequest"
import * as RunState from "@smithers/core/RunState"
import type { Frame } from "@smithers/core/RunStore"
import { ports, type Storage, type StorageShape } from "@smithers/core/Storage"
import * as Supervisor from "@smithers/core/Supervisor"
import * as MortalStorage from "@smithers/testing/MortalStorage"
import * as Random from "@smithers/testing/Random"
import * as VirtualClock from "@smithers/testing/VirtualClock"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as EffectRandom from "effect/Random"
import * as Scope from "effect/Scope"
import * as Behaviour from "./Behaviour.ts"
import * as Families from "./Families.ts"
import { Violation } from "./Ledger.ts"
import * as Past from "./Past.ts"
import type { Fault } from "./Scenario.ts"

const parentId = "run"

/** One that has ended and has an owner is about to be taken up again. */
const isOver = ({ finishedAt, owner }: RunSummary): boolean => finishedAt !== null && owner === null

/** What became of one run, without what depends on the order of things. */
export interface Outcome {
  readonly workflow: string
  readonly status: string
  readonly isAttached: boolean
  /** Attached to the parent, or to a run that is. */
  readonly isInFamily: boolean
  /** Part of a region that is left: it is cancelled, and how far it came depends on chance. */
  readonly isLeft: boolean
  /** Status, input, output, failure and the records of its nodes, as text. */
  readonly essence: string
}

export interface Simulated {
  readonly outcomes: ReadonlyMap<string, Outcome>
  /** Commits of all processes. */
  readonly commits: number
  readonly processes: number
  /** All frames in the order in which the store took them. */
  readonly frames: ReadonlyArray<Frame>
}

export interface Options {
  /** Each process has one, as long as there are any. */
  readonly faults: ReadonlyArray<Fault>
  /** Somebody cancels the parent once this many frames are committed. */
  readonly cancelAfter?: number
  /** Somebody pauses the parent once this many frames are committed, and unpauses it so many turns later. */
  readonly pause?: { readonly after: number; readonly turns: number }
  /** The store that outlives processes. Default: one in memory. */
  readonly disk?: StorageShape
}

interface Process {
  readonly scope: Scope.CloseableScope
  /** Of whoever joined the parent. */
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  readonly mortal: MortalStorage.MortalStorage
  readonly bodies: Set<() => void>
  readonly fault: Fault | undefined
}

/** What was seen of the runs while they went on. */
const observer = (family: Families.Family) => {
  const failures = new Map<string, number>()
  const outputs = new Set<string>()
  const keyOf = (runId: string, nodeId: string, iteration: number): string => `${runId} ${nodeKey(nodeId, iteration)}`
  return {
    commit: ({ runId, events }: Frame): void => {
      for (const event of events) {
        if (event._tag !== "AttemptSucceeded" && event._tag !== "AttemptFailed") continue
        const key = keyOf(runId, event.nodeId, event.iteration)
        if (event._tag === "AttemptFailed") failures.set(key, (failures.get(key) ?? 0) + 1)
        else if (outputs.has(key)) throw new Violation(`the output of ${key} was committed twice`)
        else outputs.add(key)
      }
    },
    /** What a body that is called now comes to. */
    begin: (call: Families.Call) => {
      const { runId, step, isUndo, iteration } = call
      const key = keyOf(runId, isUndo ? compensationId(step.label) : step.label, iteration)
      if (outputs.has(key)) throw new Violation(`the code of ${key} was called after its output was committed`)
      return Families.behave(family.seed, call, failures.get(key) ?? 0)
    },
  }
}

/** Runs the family until all of its runs have ended. Dies with a `Violation` where something is not as it must be whatever happens. */
export const simulate = (
  family: Families.Family,
  order: number,
  { faults, cancelAfter, pause, disk = MemoryStorage.make() }: Options,
): Effect.Effect<Simulated> => {
  const past = Past.make(disk)
  const random = Random.make(Random.hash(family.seed, "processes", order))
  const virtual = VirtualClock.make(1_000_000)
  const observed = observer(family)
  const frames: Array<Frame> = []
  /** Frames between which nothing of the family may begin. */
  const stops: Array<Stop> = []
  const violations: Array<unknown> = []
  const observe = (check: () => void): void => {
    try {
      check()
    } catch (violation) {
      violations.push(violation)
    }
  }
  let begun = 0
  const living: Array<Process> = []
  const asleep: Array<Process> = []

  const body =
    (bodies: Set<() => void>) =>
    (call: Families.Call): Effect.Effect<unknown, unknown> => {
      let result: ReturnType<typeof Families.behave> = { fails: "" }
      observe(() => {
        result = observed.begin(call)
      })
      return Effect.async((resume) => {
        const end = (): void => {
          bodies.delete(end)
          if ("gives" in result) return resume(Effect.succeed(result.gives))
          const message = result.fails
          resume(Effect.fail(message === "broken" ? new NonRetryable({ message }) : new Error(message)))
        }
        bodies.add(end)
        return Effect.sync(() => bodies.delete(end))
      })
    }

  const runs = disk.runs({ limit: 1000 })

  const begin = Effect.gen(function* () {
    const fault = faults[begun++]
    const scope = yield* Scope.make()
    const mortal = MortalStorage.make(disk, fault, (frame) =>
      observe(() => {
        frames.push(frame)
        past.note(frame.runId)
        observed.commit(frame)
      }),
    )
    const bodies = new Set<() => void>()
    const engine = yield* Engine.make({ lease: "30 seconds" }).pipe(Effect.provide(ports(mortal.storage)), Scope.extend(scope))
    const workflow = Families.lower(family, body(bodies))
    const parent = (yield* runs).find(({ runId }) => runId === parentId)
    const isJoining = parent === undefined || (!isOver(parent) && random.chance(0.5))
    let fiber: Process["fiber"]
    if (isJoining) {
      const input = { seed: family.seed, from: "nobody" }
      const create = { workflow: workflow.name, version: undefined, input, tags: [] }
      const request = RunRequest.start(parentId, create)
      fiber = yield* Effect.forkIn(engine.join(workflow.definition, request), scope)
    }
    if (!isJoining || fault === undefined || random.chance(0.6)) {
      yield* Supervisor.make({ registry: Supervisor.registry([workflow]), interval: "5 seconds" }).pipe(
        Effect.provideService(Engine.Engine, engine),
        Effect.provide(ports(mortal.storage)),
        Scope.extend(scope),
      )
    }
    living.push({ scope, fiber, mortal, bodies, fault })
  })

  /** Shuts a process down in order; one that dies over it is dead, and any other must come to its end. */
  const stop = ({ fiber, scope, mortal, bodies, fault }: Process): Effect.Effect<void> =>
    Effect.gen(function* () {
      const left = fiber === undefined ? Effect.void : Fiber.interrupt(fiber)
      const stopping = yield* Effect.forkDaemon(Effect.zipRight(left, Scope.close(scope, Exit.void)))
      for (let turn = 0; turn < 100; turn++) {
        yield* VirtualClock.rest
        if (stopping.unsafePoll() !== null) return
        if (mortal.isGone() && fault?.edge !== "paused") return
        if (turn === 50) yield* mortal.wake
        virtual.jump()
      }
      return yield* Effect.die(new Violation(`a process does not stop, with ${bodies.size} bodies at work`))
    })
  const forget = (process: Process): void => void living.splice(living.indexOf(process), 1)

  /** What has become of the processes: some are dead, some asleep, and some have nothing left to do. */
  const look = Effect.gen(function* () {
    for (const process of [...living]) {
      const { fiber, mortal, fault } = process
      if (mortal.isGone() && !asleep.includes(process)) {
        forget(process)
        if (fault?.edge === "paused") asleep.push(process)
        continue
      }
      const exit = fiber?.unsafePoll()
      if (exit != null && Exit.isFailure(exit) && !isFenced(exit.cause)) return yield* Effect.failCause(exit.cause)
      const isDone = exit != null && fault !== undefined
      if (isDone || (fault?.edge === "shutdown" && mortal.commits() >= fault.commit)) {
        forget(process)
        yield* stop(process)
      }
    }
  })

  const live = Effect.gen(function* () {
    let isCancelled = cancelAfter === undefined
    let turnsLeft = pause?.turns
    let pausedAt: number | undefined
    const tell = (id: string, command: Parameters<typeof disk.deliver>[0]["command"]) =>
      Effect.isSuccess(disk.deliver({ id, runId: parentId, at: Millis.unsafeNow(virtual.clock), command }))
    for (let idle = 0; idle < 3000; ) {
      yield* VirtualClock.rest
      if (violations.length > 0) return yield* Effect.die(violations[0])
      yield* look
      const all = yield* runs
      if (all.length > 0 && all.every(isOver)) return
      if (!isCancelled && all.length > 0 && frames.length >= (cancelAfter ?? 0)) {
        isCancelled = true
        if (yield* tell("enough", { _tag: "Cancel", reason: "enough" })) stops.push({ from: frames.length, to: undefined })
      }
      if (pause !== undefined && all.length > 0 && frames.length >= pause.after && turnsLeft !== undefined) {
        if (pausedAt === undefined && (yield* tell("wait", { _tag: "Pause" }))) pausedAt = frames.length
        if (pausedAt === undefined || turnsLeft-- === 0) {
          turnsLeft = undefined
          if (pausedAt !== undefined) stops.push({ from: pausedAt, to: frames.length })
          yield* tell("on", { _tag: "Unpause" })
        }
      }
      if (living.length === 0 || (living.length === 1 && begun <= faults.length && random.chance(0.1))) yield* begin
      if (asleep.length > 0 && random.chance(0.02)) {
        const process = random.pick(asleep)
        asleep.splice(asleep.indexOf(process), 1)
        yield* process.mortal.wake
        // It goes on where it was, and is stopped at some time.
        awake.push(process)
      }
      if (awake.length > 0 && random.chance(0.05)) yield* stop(awake.pop() as Process)
      const bodies = [...living, ...awake, ...asleep].flatMap((process) => [...process.bodies])
      if (bodies.length > 0 && random.chance(0.8)) {
        idle = 0
        for (const end of random.shuffle(bodies).slice(0, random.pick([1, 1, 1, 2, bodies.length]))) end()
      } else {
        idle++
        virtual.jump()
      }
    }
    const left = (yield* runs).filter((run) => !isOver(run)).map(({ runId, status }) => `${runId} is ${status}`)
    return yield* Effect.die(new Violation(`nothing happens, and the family does not end: ${left.join(", ")}`))
  })
  const awake: Array<Process> = []

  return Effect.gen(function* () {
    yield* live
    // Whoever still sleeps finds out that nothing is left to do.
    for (const process of asleep) yield* process.mortal.wake
    const count = frames.length
    for (let turn = 0; turn < 10; turn++) {
      yield* VirtualClock.rest
      for (const process of [...living, ...awake, ...asleep]) for (const end of [...process.bodies]) end()
      virtual.jump()
    }
    if (violations.length > 0) return yield* Effect.die(violations[0])
    if (frames.length !== count) {
      const { runId, events } = frames[count] as Frame
      return yield* Effect.die(
        new Violation(`${events.map(({ _tag }) => _tag)} of run ${runId} after all runs of the family had ended`),
      )
    }
    for (const process of [...living, ...awake, ...asleep]) yield* stop(process)
    checkCancelling(frames)
    for (const stop of stops) checkStop(frames, stop)
    yield* past.expect
    const outcomes = yield* examine(disk, family)
    return { outcomes, commits: frames.length, processes: begun, frames }
  }).pipe(Effect.orDie, Effect.withClock(virtual.clock), Effect.withRandom(EffectRandom.make(family.seed)))
}

const isFenced = (cause: Cause.Cause<unknown>): boolean =>
  [...Cause.failures(cause)].some((error) => (error as { readonly _tag?: string })._tag === "RunFenced")

const isEnd = ({ _tag }: RunEvent): boolean => _tag === "RunFinished" || _tag === "RunFailed" || _tag === "RunCancelled"

/** Checks what every run must be like by itself and as a child, and answers with what became of each. */
const examine = (disk: Storage["Type"], family: Families.Family) =>
  Effect.gen(function* () {
    const byName = Families.members(family)
    const outcomes = new Map<string, Outcome>()
    const refuse = (problem: string): never => {
      throw new Violation(problem)
    }
    const runs = (yield* disk.runs({ limit: 1000 })).toReversed()
    const logs = new Map<string, ReadonlyArray<RunEvent>>()
    for (const { runId } of runs)
      logs.set(
        runId,
        (yield* disk.events(runId, { limit: 10_000 })).map(({ event }) => event),
      )
    const waiting = yield* disk.pending
    if (waiting.length > 0) refuse(`nobody took care of ${waiting.map(({ command, runId }) => `${command._tag} to ${runId}`)}`)
    for (const { runId, workflow, parent, status } of runs) {
      const events = logs.get(runId) ?? []
      const member = byName.get(workflow) ?? refuse(`run ${runId} is of workflow ${workflow}`)
      const { root, isEndless = false } = member
      if (isEndless && status !== "cancelled") refuse(`run ${runId}, which ends by nothing but a cancellation, ${status}`)
      const left = Families.leftIn(member)
      const nodes = Families.inside(root)
      const state = yield* disk.load(runId)
      const count = (is: (event: RunEvent) => boolean): number => events.filter(is).length
      const ends = events.filter(isEnd)
      if (events[0]?._tag !== "RunStarted" || count(({ _tag }) => _tag === "RunStarted") !== 1)
        refuse(`${runId} did not start once`)
      if (ends.length !== 1 || events.at(-1) !== ends[0]) refuse(`${runId} ended as ${ends.map(({ _tag }) => _tag).join(", ")}`)
      if (events.some(({ _tag }) => _tag === "NodeReset")) refuse(`something of ${runId} was run again`)
      for (const node of nodes) if (node.kind === "saga") checkSaga(runId, node, events, refuse)
      for (const event of events) {
        if (event._tag !== "WaitStarted" || event.kind !== "subflow") continue
        const node = nodes.find(
          (node) => node.kind === "subflow" && node.label === Families.writtenOf(event.nodeId),
        ) as Families.Subflow
        const { name: childId = "", nodeId, iteration } = event
        const isOf = (other: RunEvent) => "nodeId" in other && other.nodeId === nodeId && other.iteration === iteration
        const started = count((other) => other._tag === "WaitStarted" && isOf(other))
        if (started !== 1) refuse(`${runId} began to wait for ${childId} ${started} times`)
        const heard = events.filter((other) => other._tag === "SubflowEnded").filter(isOf)
        const child = logs.get(childId) ?? refuse(`${childId} does not exist`)
        const end = child.at(-1)?._tag.replace("Run", "").toLowerCase()
        if (heard.length !== (node.isAttached ? 1 : 0)) refuse(`${runId} heard ${heard.length} times that ${childId} had ended`)
        if (node.isAttached && heard[0]?.status !== end) refuse(`${runId} heard that ${childId} ${heard[0]?.status}, but it ${end}`)
      }
      const isAttached = parent?.isAttached !== false
      const isInFamily = isAttached && (parent === null || outcomes.get(parent.runId)?.isInFamily === true)
      const known = RunState.records(state).filter(({ nodeId }) => !left.has(nodeId))
      const records = known.map((record) => {
        const { kind, nodeId, iteration, status } = record
        const gave = record.kind === "step" ? [record.output, record.error?.name] : []
        return Behaviour.text([nodeId, iteration, kind, status, ...gave]) ?? ""
      })
      const { failure } = state
      const failed = failure === undefined ? [] : [failure._tag, "nodeId" in failure && failure.nodeId]
      const essence = [status, Behaviour.text([state.input, state.output, failed]), ...records.sort()].join("\n")
      outcomes.set(runId, { workflow, status, isAttached, isInFamily, isLeft: isEndless, essence })
    }
    return outcomes
  })

/** From when a family is told to stop, until it is told to go on: numbers of frames that are committed by then. */
interface Stop {
  readonly from: number
  readonly to: number | undefined
}

/** Nothing of a family begins once its parent was told to stop, in whatever process: but for what undoes steps. */
const checkStop = (frames: ReadonlyArray<Frame>, { from, to = frames.length }: Stop): void => {
  const family = new Set([parentId])
  frames.forEach(({ runId, events, spawned = [] }, at) => {
    for (const { runId: child, create } of spawned) if (family.has(runId) && create.parent?.isAttached === true) family.add(child)
    if (at < from || at >= to || !family.has(runId)) return
    for (const event of events) {
      if (event._tag === "AttemptStarted" && undoneBy(event.nodeId) === undefined)
        throw new Violation(`${event.nodeId} of ${runId} began after ${parentId} was told to stop`)
    }
  })
}

/** Frames that a child run may still commit before it hears that it is cancelled: those that were being made. */
const lateFrames = 3

/** An attached child run that had not ended when its parent began to be cancelled is cancelled then, and not left to end by itself. */
const checkCancelling = (frames: ReadonlyArray<Frame>): void => {
  const has = ({ events }: Frame, is: (event: RunEvent) => boolean): boolean => events.some(is)
  const isAsked = ({ _tag }: RunEvent) => _tag === "CancelRequested"
  frames.forEach((frame, at) => {
    if (!has(frame, isAsked)) return
    const own = frames.slice(0, at + 1).filter(({ runId }) => runId === frame.runId)
    for (const { runId, create } of own.flatMap(({ spawned = [] }) => spawned)) {
      if (create.parent?.isAttached !== true) continue
      const child = frames.map((other, index) => ({ other, index })).filter(({ other }) => other.runId === runId)
      if (child.some(({ other, index }) => index < at && has(other, isEnd))) continue
      const later = child.filter(({ index }) => index > at).map(({ other }) => other)
      if (later.length > lateFrames && !later.some((other) => has(other, isAsked)))
        throw new Violation(`${runId} went on after ${frame.runId} was cancelled`)
    }
  })
}

/** A saga that was left undoes each step that had finished in it once, and one that was not, none. */
const checkSaga = (
  runId: string,
  saga: Families.Saga,
  events: ReadonlyArray<RunEvent>,
  refuse: (problem: string) => never,
): void => {
  const steps = Families.inside(saga.body).flatMap((node) => (node.kind === "step" && node.undo !== "none" ? [node.label] : []))
  const began = (event: RunEvent) => event._tag === "BoundaryStarted" && event.nodeId === saga.label
  for (const start of events.filter(began)) {
    const { iteration } = start as Extract<RunEvent, { readonly _tag: "BoundaryStarted" }>
    const isOf = (event: RunEvent, id: string) => "nodeId" in event && event.nodeId === id && event.iteration === iteration
    const where = `${saga.label} of ${runId}`
    const ends = events.filter((event) => event._tag === "BoundaryEnded").filter((event) => isOf(event, saga.label))
    if (ends.length !== 1) refuse(`${where} ended ${ends.length} times`)
    const succeeded = (id: string) =>
      events.flatMap((event, index) => (event._tag === "AttemptSucceeded" && isOf(event, id) ? [index] : []))
    const done = steps.flatMap((label) => succeeded(label).map((at) => ({ label, at })))
    const undone = steps.flatMap((label) => succeeded(compensationId(label)).map((at) => ({ label, at })))
    const byTime = (all: typeof done) => all.sort((left, right) => left.at - right.at).map(({ label }) => label)
    const wanted = ends[0]?.status === "finished" ? [] : byTime(done).reverse()
    const found = byTime(undone)
    if (found.join() !== wanted.join()) refuse(`${where} is ${ends[0]?.status}, and undid ${found} instead of ${wanted}`)
  }
}
