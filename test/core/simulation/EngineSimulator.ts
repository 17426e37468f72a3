/**
 * Runs a scenario through the real engine on a store in memory. Each process is an engine of its own, with a view of the store
 * that dies with it; the next one has to wait for its lease. Bodies end in an order picked from a stream of random numbers.
 */
import * as Commands from "@smithers/core/Commands"
import type { Definition, Planner } from "@smithers/core/Definition"
import * as Engine from "@smithers/core/Engine"
import { NonRetryable } from "@smithers/core/Errors"
import { type NodeKey, nodeKey } from "@smithers/core/Ids"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Millis from "@smithers/core/Millis"
import { compensationId } from "@smithers/core/Records"
import * as RunRequest from "@smithers/core/RunRequest"
import type { RunResult } from "@smithers/core/RunResult"
import * as RunState from "@smithers/core/RunState"
import { ports, type StorageShape } from "@smithers/core/Storage"
import type { RunError } from "@smithers/core/Workflow"
import * as MortalStorage from "@smithers/testing/MortalStorage"
import * as Random from "@smithers/testing/Random"
import * as VirtualClock from "@smithers/testing/VirtualClock"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Behaviour from "./Behaviour.ts"
import type { Simulated } from "./CoreSimulator.ts"
import * as Ledger from "./Ledger.ts"
import { type Call, lower, planner } from "./Lowering.ts"
import * as Past from "./Past.ts"
import { branchesOf, type Fault, index, isDrawn, isRegion, type Scenario } from "./Scenario.ts"
import * as World from "./World.ts"

const runId = "run"

/** What `run` of a workflow does, for a definition that no workflow has. */
const joined = (
  engine: Engine.EngineShape,
  definition: Definition,
  { seed }: Scenario,
): Effect.Effect<RunResult<unknown>, RunError> => {
  const create = { workflow: definition.name ?? "", version: undefined, input: { seed }, tags: [] }
  return engine.join(definition, RunRequest.start(runId, create, { reopen: ["failed"] }))
}

interface Body {
  readonly key: NodeKey
  readonly isStubborn: boolean
}

interface Process {
  readonly fiber: Fiber.RuntimeFiber<RunResult<unknown>, RunError>
  readonly mortal: MortalStorage.MortalStorage
  /** Bodies at work, by what ends them. */
  readonly bodies: Map<() => void, Body>
  readonly stop: Effect.Effect<void>
}

export interface Options {
  /** Resumes the run with this where it failed. */
  readonly mended?: Scenario
  /** Makes the plan anew whenever anything happened, as a front end that renders would. */
  readonly isReactive?: boolean
  /** Somebody cancels the run at some moment. */
  readonly isCancelled?: boolean
  /** Somebody has a node of the failed run run again, whichever, and so goes on with what was mended. */
  readonly isRetried?: boolean
  /** The store that outlives processes. Default: one in memory. */
  readonly disk?: StorageShape
  /** Numbers that are drawn for nothing at the first commits: with others a seed gives another run. Default: 8. */
  readonly draws?: number
}

/** Runs the scenario to its end. Dies with a `Violation` where the engine does what it must not. */
export const simulate = (
  original: Scenario,
  order: number,
  { mended, isReactive = false, isCancelled = false, isRetried = false, disk = MemoryStorage.make(), draws = 8 }: Options = {},
): Effect.Effect<Simulated & { readonly ledger: Ledger.Ledger }> => {
  // A plan that is drawn anew with each event may not settle within a frame.
  const ledger = Ledger.make(original, isReactive || isDrawn(original))
  const random = Random.make(Random.hash(original.seed, "engine", order))
  const virtual = VirtualClock.make(1_000_000)
  const violations: Array<unknown> = []
  const observe = (check: () => void): void => {
    try {
      check()
    } catch (violation) {
      violations.push(violation)
    }
  }

  const past = Past.make(disk)
  let drawn = 0

  const begin = (scenario: Scenario, fault: Fault | undefined): Effect.Effect<Process> =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const mortal = MortalStorage.make(disk, fault, ({ frame, firstSeq, at, events, consumed }) =>
        observe(() => {
          ledger.commit(frame, firstSeq, at, events, consumed.length)
          past.note(runId)
          // The runs of seeds that are known stay what they are only if as much is drawn as ever.
          if (drawn < draws && random.chance(0.3)) drawn++
        }),
      )
      const bodies = new Map<() => void, Body>()
      const body = ({ spec, isUndo, idempotencyKey, attempt, needs }: Call): Effect.Effect<unknown, unknown> => {
        // <run>:<step>:<iteration>, and which time it is done anew; ids have no colons here.
        const row = Number(idempotencyKey.split(":")[2])
        const key = nodeKey(isUndo ? compensationId(spec.label) : spec.label, row)
        observe(() => ledger.begin(key, attempt, needs))
        const behave = isUndo ? Behaviour.undo : Behaviour.attempt
        // Some code does not let itself be cut short.
        const isStubborn = random.chance(0.15)
        let result: Behaviour.Attempt = { _tag: "Fails", message: "", isRetryable: false }
        observe(() => {
          result = behave(scenario.seed, spec, ledger.place(spec.label, row), ledger.failures.get(key) ?? 0, needs)
        })
        const ended: Effect.Effect<unknown, unknown> = Effect.async((resume) => {
          const end = (): void => {
            bodies.delete(end)
            if (result._tag === "Succeeds") return resume(Effect.succeed(result.stored))
            const { message, isRetryable } = result
            resume(Effect.fail(isRetryable ? new Error(message) : new NonRetryable({ message })))
          }
          bodies.set(end, { key, isStubborn })
          return Effect.sync(() => bodies.delete(end))
        })
        return isStubborn ? Effect.uninterruptible(ended) : ended
      }
      const engine = yield* Engine.make({ lease: "30 seconds" }).pipe(
        Effect.orDie,
        Effect.provide(ports(mortal.storage)),
        Scope.extend(scope),
      )
      const workflow = lower(scenario, body)
      const reactive = isDrawn(scenario)
        ? () => planner(scenario, body)
        : (): Planner => ({
            plan: (state, values) => lower(scenario, body).definition.planner().plan(state, values),
            observe: () => true,
          })
      const run =
        isReactive || isDrawn(scenario)
          ? joined(engine, { ...workflow.definition, planner: reactive }, scenario)
          : joined(engine, workflow.definition, scenario)
      const fiber = yield* Effect.forkIn(Effect.provideService(run, Engine.Engine, engine), scope)
      // Whoever stops waits for code that does not let itself be cut short.
      const stop = Effect.gen(function* () {
        const stopping = yield* Effect.fork(Effect.zipRight(Fiber.interrupt(fiber), Scope.close(scope, Exit.void)))
        while (stopping.unsafePoll() === null) {
          yield* VirtualClock.rest
          for (const [end, { isStubborn }] of [...bodies]) if (isStubborn) end()
        }
        yield* Fiber.join(stopping)
      })
      return { fiber, mortal, bodies, stop }
    })

  const world = World.make(original, random)
  /** Has the world say something, whether anyone listens or not. Answers with whether it did. */
  const hear = Effect.gen(function* () {
    const waits = (yield* disk.waits({ runId, limit: 1000 })).filter(({ kind }) => kind !== "retry")
    const told = (yield* disk.pending).flatMap(({ command }) => ("nodeId" in command ? [command.nodeId] : []))
    const isAnswered = (nodeId: string, approved: boolean | null) => told.includes(nodeId) || approved !== null
    const open = waits.map(({ nodeId, iteration, approved }) => ({ nodeId, iteration, isAnswered: isAnswered(nodeId, approved) }))
    const leave = world.leave(yield* going)
    if (leave !== undefined) {
      yield* ask(leave)
      return true
    }
    const isCancelling = isCancelled && !hasCancelled && random.chance(0.1)
    hasCancelled ||= isCancelling
    const command = isCancelling ? ({ _tag: "Cancel" } as const) : world.say(open, isPaused)
    if (command === undefined) return false
    if (command._tag === "Pause" || command._tag === "Unpause") isPaused = command._tag === "Pause"
    const at = Millis.unsafeNow(virtual.clock)
    const sent = { id: `said ${++said}`, runId, at }
    const isResponse = command._tag === "Decide" || command._tag === "Answer"
    yield* Effect.ignore(isResponse ? disk.deliverResponse({ ...sent, command }) : disk.deliver({ ...sent, command }))
    return true
  })
  const plan = index(original.root)
  /** Regions that have begun and are not over, and parts of them. */
  const going = Effect.map(Effect.orDie(disk.inspect(runId)), ({ nodes }) =>
    nodes.flatMap(({ nodeId: label, iteration, status }): ReadonlyArray<World.Leavable> => {
      if (status !== "running" || !plan.position.has(label)) return []
      const region = plan.find(label)
      if (!isRegion(region)) return []
      const inside = region.kind === "scope" ? [] : branchesOf(region)
      return [{ label, iteration }, ...inside.map((part) => ({ label: part.label, iteration }))]
    }),
  )
  /** Asks for a region to be left, as anybody would. What is refused has a reason. */
  const ask = ({ label, iteration, as }: NonNullable<ReturnType<World.World["leave"]>>) => {
    const spec = plan.find(label)
    const [name, options] =
      spec.kind === "part" ? [plan.parent(label)?.label ?? "", { iteration, key: spec.key }] : [label, { iteration }]
    const command = as === "completed" ? Commands.completeNode(runId, name, options) : Commands.cancelNode(runId, name, options)
    return Effect.catchTags(Effect.provide(command, ports(disk)), {
      AlreadyLeft: () => Effect.void,
      NodeEnded: () => Effect.void,
      NodeNotFound: () => Effect.void,
      InvalidCommand: () => Effect.void,
    })
  }
  let said = 0
  let isPaused = false
  let hasCancelled = false

  /** One process, until its fault or the end of the run. */
  const live = (process: Process, fault: Fault | undefined, asleep: ReadonlyArray<Process>) =>
    Effect.gen(function* () {
      const { fiber, mortal, bodies, stop } = process
      for (let idle = 0; idle < 2000; ) {
        yield* VirtualClock.rest
        if (violations.length > 0) return yield* Effect.die(violations[0])
        if (mortal.isGone()) return
        for (const { key, isStubborn } of bodies.values())
          if (!isStubborn && ledger.isCut(key))
            return yield* Effect.die(new Ledger.Violation(`${key} goes on in a region that is left`))
        const exit = fiber.unsafePoll()
        if (exit !== null) {
          yield* stop
          if (Exit.isFailure(exit)) return yield* Effect.failCause(exit.cause)
          return
        }
        if (fault?.edge === "shutdown" && mortal.commits() >= fault.commit) {
          yield* stop
          // Before its first commit it may still have been waiting for another's lease.
          return mortal.commits() === 0 ? undefined : yield* expectSuspended
        }
        if (mortal.commits() > 0 && asleep.length > 0 && random.chance(0.3)) yield* random.pick(asleep).mortal.wake
        if (random.chance(0.2) && (yield* hear)) idle = 0
        if (bodies.size > 0 && random.chance(0.8)) {
          idle = 0
          const count = random.pick([1, 1, 1, 2, bodies.size])
          for (const end of random.shuffle([...bodies.keys()]).slice(0, count)) end()
        } else {
          idle++
          virtual.jump()
        }
      }
      return yield* Effect.die(new Ledger.Violation("nothing happens, and the run does not end"))
    })

  /** A process that was asked to stop must have given the run back and told of every attempt. */
  const expectSuspended = Effect.gen(function* () {
    const { run, nodes } = yield* disk.inspect(runId)
    const running = nodes.filter(({ kind, status }) => kind === "step" && status === "running").map(({ nodeId }) => nodeId)
    if (run.owner === null && running.length === 0) return
    yield* Effect.die(
      new Ledger.Violation(`a process stopped, and left the run to ${run.owner} with ${running.join(", ")} running`),
    )
  })

  /** A process that slept through its lease must find out, and must have changed nothing. */
  const expectFenced = ({ fiber, mortal, bodies, stop }: Process) =>
    Effect.gen(function* () {
      yield* mortal.wake
      for (let turn = 0; turn < 5; turn++) {
        yield* VirtualClock.rest
        for (const [end, { isStubborn }] of [...bodies]) if (isStubborn) end()
      }
      const exit = fiber.unsafePoll()
      const error = exit === null || Exit.isSuccess(exit) ? undefined : Option.getOrUndefined(Cause.failureOption(exit.cause))
      if (error?._tag !== "RunFenced") {
        const how = exit === null ? "did not end" : Exit.isSuccess(exit) ? `gave ${exit.value.status}` : Cause.pretty(exit.cause)
        return yield* Effect.die(new Ledger.Violation(`a process was paused, lost its run, and ${how}`))
      }
      yield* stop
    })

  /** As many processes as it takes to end the run. */
  const drive = (scenario: Scenario) =>
    Effect.gen(function* () {
      const asleep: Array<Process> = []
      for (let processes = 1; processes < 20; processes++) {
        const fault = scenario.faults[processes - 1]
        const process = yield* begin(scenario, fault)
        yield* live(process, fault, asleep)
        if (process.mortal.isGone() && fault?.edge === "paused") asleep.push(process)
        const { run } = yield* disk.inspect(runId)
        // One that has ended and has an owner was about to be taken up again.
        if (run.finishedAt === null || run.owner !== null) {
          if (random.chance(0.3)) yield* hear
          continue
        }
        for (const zombie of asleep) yield* expectFenced(zombie)
        return { commits: process.mortal.commits(), processes }
      }
      return yield* Effect.die(new Ledger.Violation("the run does not end"))
    })

  return Effect.gen(function* () {
    let count = yield* drive(original)
    let state = yield* disk.load(runId)
    const isMended = mended !== undefined && state.status === "failed"
    if (isMended && isRetried) {
      const known = RunState.records(state).filter((record) => !record.nodeId.includes("~"))
      if (known.length > 0) yield* Effect.provide(Commands.retryNode(runId, random.pick(known).nodeId), ports(disk))
    }
    if (isMended) {
      count = yield* drive(mended)
      state = yield* disk.load(runId)
    }
    yield* past.expect
    const scenario = isMended ? mended : original
    const failures = isMended ? undefined : ledger.failures
    if (violations.length > 0) return yield* Effect.die(violations[0])
    if (state.failure !== undefined) {
      const cause = state.failure._tag === "CompensationFailed" ? state.failure.cause : state.failure
      const { nodeId = "", iteration = 0 } = cause._tag === "RunTimedOut" ? {} : cause
      const failedAt = nodeKey(nodeId, iteration)
      return { state, ending: { status: "failed", failedAt, output: undefined, failures }, ...count, ledger } as const
    }
    if (state.status === "cancelled") {
      return { state, ending: { status: "cancelled", failedAt: undefined, output: undefined, failures }, ...count, ledger } as const
    }
    // Asked again, a finished run answers with what is stored.
    const last = yield* begin(scenario, undefined)
    const result = yield* Fiber.join(last.fiber)
    yield* last.stop
    const output = result.status === "finished" ? result.output : result
    return { state, ending: { status: "finished", failedAt: undefined, output, failures }, ...count, ledger } as const
  }).pipe(Effect.orDie, Effect.withClock(virtual.clock))
}
