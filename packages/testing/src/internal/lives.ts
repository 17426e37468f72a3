/**
 * Runs a workflow in successive processes: each may die at a commit, and the next continues from the store. Waits get responses.
 * Returns the final state.
 */
import { AgentRunner } from "@smithers/core/AgentRunner"
import * as Engine from "@smithers/core/Engine"
import type { InvalidSetting, RunNotFound, StoreError } from "@smithers/core/Errors"
import { nodeKey } from "@smithers/core/Ids"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Millis from "@smithers/core/Millis"
import type { RunResult } from "@smithers/core/RunResult"
import * as RunState from "@smithers/core/RunState"
import type { Frame } from "@smithers/core/RunStore"
import { Sandboxes, type SandboxesShape } from "@smithers/core/Sandboxes"
import * as Status from "@smithers/core/Status"
import type { StepContext } from "@smithers/core/StepProgram"
import { type Ports, ports, type StorageShape } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import * as Thrown from "@smithers/core/Thrown"
import type { RunError, Runs } from "@smithers/core/Workflow"
import { Worktrees, type WorktreesShape } from "@smithers/core/Worktrees"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import type * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as MortalStorage from "../MortalStorage.ts"
import * as Responder from "../Responder.ts"
import * as TestRuntime from "../TestRuntime.ts"
import * as Timeline from "../Timeline.ts"
import * as Directories from "./directories.ts"
import type * as Instrument from "./instrument.ts"
import type * as Passage from "./passage.ts"
import * as Trees from "./trees.ts"

/** Id of the only run in a store. */
const runId = "run"

/** Requirements that no runtime provides. */
export type Outside<R> = Exclude<R, Engine.Engine | Ports | AgentRunner>

export interface Options<R> extends TestRuntime.TestRuntimeOptions {
  readonly respond?: Responder.Respond
  /** Fault of the first process. */
  readonly fault?: MortalStorage.Fault | undefined
  readonly around?: Instrument.Around
  /** Maximum number of running steps per run, overriding the workflow. */
  readonly atOnce?: number
  readonly services: Context.Context<Outside<R>>
  /** Returns the delay of a response, in milliseconds. */
  readonly delay?: (of: { readonly nodeId: string; readonly iteration: number }) => number
}

/** A step in one iteration, of the run or a child run. */
export interface Row {
  readonly runId: string
  readonly nodeId: string
  readonly status: string
  readonly output: unknown
}

/** Final state of a run. */
export interface Life {
  readonly result: unknown
  /** Steps and waits by run, node and iteration. */
  readonly rows: ReadonlyMap<string, Row>
  /** Number of calls of each step's code, by its idempotency key. */
  readonly calls: ReadonlyMap<string, number>
  /** Node of each idempotency key. */
  readonly nodes: ReadonlyMap<string, string>
  readonly frames: ReadonlyArray<Frame>
  readonly timeline: string
}

/** A run cannot continue and has not ended. */
export class RunStalled extends Schema.TaggedError<RunStalled>()("RunStalled", { waits: Schema.Array(Schema.String) }) {
  override get message(): string {
    const waits = this.waits.length === 0 ? "nothing" : this.waits.join(", ")
    return `The run does not end: it waits for ${waits}, without a response. Provide it with "respond".`
  }
}

const keyOf = (runId: string, nodeId: string, iteration: number): string => `${runId} ${nodeKey(nodeId, iteration)}`

export const live = <I, R>(
  workflow: Pick<Runs<I, unknown, R, unknown>, "start">,
  input: I,
  options: Options<R>,
): Effect.Effect<Life, RunError | RunStalled | InvalidSetting> =>
  Effect.scoped(
    Effect.gen(function* () {
      const passage = yield* TestRuntime.passageOf(options)
      yield* TestRuntime.settingOf(passage, yield* TestRuntime.seedOf("seed", options.seed))
      const disk = MemoryStorage.make()
      const frames: Array<Frame> = []
      const calls = new Map<string, number>()
      const nodes = new Map<string, string>()
      const told = new Set<string>()
      const worktrees = yield* Directories.make
      const sandboxes = yield* Trees.make
      for (let fault = options.fault; ; fault = undefined) {
        const mortal = MortalStorage.make(disk, fault, (frame) => frames.push(frame))
        const result = yield* work(workflow, input, options, { passage, disk, mortal, calls, nodes, told, worktrees, sandboxes })
        if (result !== undefined) return { ...(yield* lifeOf(disk, result)), calls, nodes, frames }
        yield* bury(disk, passage)
      }
    }),
  )

interface World {
  readonly passage: Passage.Passage
  readonly disk: StorageShape
  readonly mortal: MortalStorage.MortalStorage
  readonly calls: Map<string, number>
  readonly nodes: Map<string, string>
  /** Responses so far, by request. */
  readonly told: Set<string>
  readonly worktrees: WorktreesShape
  readonly sandboxes: SandboxesShape
}

/** Works on the run until it has ended, or the process dies (`undefined`). */
const work = <I, R>(
  workflow: Pick<Runs<I, unknown, R, unknown>, "start">,
  input: I,
  { respond = Responder.agreeing, services, atOnce, delay, around = (step) => step.run, ...options }: Options<R>,
  { passage, disk, mortal, calls, nodes, told, worktrees, sandboxes }: World,
) =>
  Effect.gen(function* () {
    // The scope of a dead process is never closed, which would wait for its fibers.
    const scope = yield* Scope.make()
    const counting: Instrument.Around = (step) => {
      const run = around(step)
      return (context, state, noteRead) => {
        const { idempotencyKey }: StepContext<unknown> = context
        nodes.set(idempotencyKey, step.id)
        calls.set(idempotencyKey, (calls.get(idempotencyKey) ?? 0) + 1)
        return run(context, state, noteRead)
      }
    }
    const engine = yield* TestRuntime.engineOn(mortal.storage, passage, {
      grace: options.grace === undefined ? TestRuntime.defaultGrace : options.grace,
      around: counting,
      ...defined({ maxConcurrency: options.maxConcurrency, atOnce }),
    }).pipe(Scope.extend(scope))
    // The caller's context may contain a runtime, too.
    const whole = Context.merge(services, ports(mortal.storage)).pipe(
      Context.add(Engine.Engine, engine),
      Context.add(AgentRunner, TestRuntime.agentsOf(passage)),
      Context.add(Worktrees, worktrees),
      Context.add(
        Sandboxes,
        Option.getOrElse(Context.getOption(services, Sandboxes), () => sandboxes),
      ),
    )
    // Services excluded from `R` in one are in the other.
    const context = whole as Context.Context<Engine.Engine | Ports | AgentRunner | R>
    // Nothing of a dead process continues, finalizers included.
    const scheduler: Scheduler.Scheduler = {
      shouldYield: (fiber) => passage.scheduler.shouldYield(fiber),
      scheduleTask: (task, priority) => passage.scheduler.scheduleTask(() => (mortal.isGone() ? undefined : task()), priority),
    }
    const started = workflow
      .start(input, { runId })
      .pipe(Effect.provide(context), Effect.locally(FiberRef.currentScheduler, scheduler))
    const dead = Effect.as(mortal.gone, undefined)
    const handle = yield* Effect.raceFirst(Effect.disconnect(started), dead)
    while (handle !== undefined) {
      const result = yield* Effect.raceFirst(Effect.disconnect(handle.waiting), dead)
      if (result === undefined) return undefined
      if (Status.isEnded(result.status)) {
        yield* Scope.close(scope, Exit.void)
        return result
      }
      const open = yield* disk.waits({ isAnswered: false, limit: Number.MAX_SAFE_INTEGER })
      let isTold = false
      for (const wait of open) {
        const asked = `${keyOf(wait.runId, wait.nodeId, wait.iteration)} ${wait.requestSeq}`
        const said = wait.kind === "retry" || wait.kind === "timer" || told.has(asked) ? undefined : respond(wait)
        if (said === undefined) continue
        told.add(asked)
        isTold = true
        const telling = Effect.provide(Responder.tell(wait, said), ports(disk))
        const after = delay?.(wait)
        yield* after === undefined ? telling : Effect.fork(Effect.zipRight(Effect.sleep(after), telling))
      }
      if (isTold && delay === undefined) continue
      if (!(yield* passage.step)) return yield* new RunStalled({ waits: open.map(TestRuntime.describeWait) })
    }
    return undefined
  })

/** Ends the claims of a dead process, whose death is noticed at once on the same machine. */
const bury = (disk: StorageShape, passage: Passage.Passage): Effect.Effect<void, StoreError> =>
  Effect.gen(function* () {
    passage.forget()
    const owned = (yield* disk.runs({ limit: Number.MAX_SAFE_INTEGER })).filter(({ owner }) => owner !== null)
    yield* disk.renew(
      owned.map(({ runId, epoch }) => ({ runId, epoch })),
      yield* Millis.now,
    )
  })

const lifeOf = (
  disk: StorageShape,
  result: RunResult<unknown, unknown>,
): Effect.Effect<Pick<Life, "result" | "rows" | "timeline">, StoreError | RunNotFound> =>
  Effect.gen(function* () {
    const rows = new Map<string, Row>()
    for (const { runId } of yield* disk.runs({ limit: Number.MAX_SAFE_INTEGER })) {
      for (const record of RunState.records(yield* disk.load(runId))) {
        if (record.kind !== "step") continue
        const { nodeId, iteration, status, output } = record
        rows.set(keyOf(runId, nodeId, iteration), { runId, nodeId, status, output })
      }
    }
    const timeline = yield* Effect.provide(Timeline.timeline(runId), ports(disk))
    return { result: essenceOf(result), rows, timeline }
  })

/** Returns the parts of a result that must be equal in every run. */
const essenceOf = (result: RunResult<unknown, unknown>): unknown => {
  if (result.status === "finished") return { status: result.status, output: result.output }
  return result.status === "failed"
    ? { status: result.status, error: Thrown.get(result.error, "message") }
    : { status: result.status }
}
