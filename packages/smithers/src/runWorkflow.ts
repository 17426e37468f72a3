/**
 * Runs a workflow from code without Effect: one call, one promise.
 */
import type { AgentRunner } from "@smithers/core/AgentRunner"
import { Engine } from "@smithers/core/Engine"
import { generateRunId } from "@smithers/core/Ids"
import type { RunResult } from "@smithers/core/RunResult"
import * as SecretSettings from "@smithers/core/SecretSettings"
import * as Settings from "@smithers/core/Settings"
import { defined } from "@smithers/core/Struct"
import { type RunOptions, type Runs, runNames } from "@smithers/core/Workflow"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { type Runtime, sqlite } from "./Smithers.ts"

/** Options of `runWorkflow`. */
export interface RunWorkflowOptions<I> extends RunOptions {
  readonly input: I
  /** SQLite file of the store. Default: `SMITHERS_DB`, otherwise `smithers.db` in the working directory. */
  readonly db?: string
  /** Most tasks in flight, and attached child runs at work, of the run at once. A workflow's own setting comes first. */
  readonly maxConcurrency?: number
  /** Suspends the run and its detached child runs when aborted: the promise rejects, and the run can be resumed by its id. */
  readonly signal?: AbortSignal
  /** A store to run on instead of `db`, such as `Smithers.memory`. Calls with the same value share one store. */
  readonly runtime?: Layer.Layer<Runtime, unknown>
  /**
   * `true` takes changes of the file `source` and of what it imports over while the run is at work. The file must export this workflow and be
   * another one than the program. Needs Bun. Default: false.
   */
  readonly hot?: boolean
}

const optionNames: Settings.Names<RunWorkflowOptions<unknown>> = {
  ...runNames,
  input: true,
  db: true,
  maxConcurrency: true,
  signal: true,
  runtime: true,
  hot: true,
}

const memos = new WeakMap<Layer.Layer<Runtime, unknown>, Effect.Effect<Layer.MemoMap>>()

/**
 * Opens a runtime for one call. Concurrent calls share one engine. A store in memory lives as long as its `runtime` value: a
 * second call with the same value finds the runs of the first.
 */
const open = (layer: Layer.Layer<Runtime, unknown>) =>
  Effect.gen(function* () {
    const known = memos.get(layer)
    const memo = known ?? (yield* Effect.cached(makeMemo))
    if (known === undefined) memos.set(layer, memo)
    return yield* SecretSettings.noticing(Layer.buildWithMemoMap(layer, yield* memo, yield* Effect.scope))
  })

/** The open layers of one runtime, with a store in memory that is never closed, since it holds no resources. */
const makeMemo = Effect.gen(function* () {
  const memo = yield* Layer.makeMemoMap
  const { layer } = yield* Effect.promise(() => import("@smithers/core/MemoryStorage"))
  yield* Layer.buildWithMemoMap(layer, memo, yield* Scope.make())
  return memo
})

/**
 * Starts a run, or resumes or joins the one of this id, and returns its result. A failed run is a result. The promise rejects
 * with a tagged error if the run could not be driven: `InvalidInput`, `RenderFailed`, an unavailable store. Detached child runs
 * (`attach: false`) continue afterwards and keep the process alive until they end or wait.
 */
export const runWorkflow = async <I, A>(
  workflow: Runs<I, A, AgentRunner>,
  options: RunWorkflowOptions<I>,
): Promise<RunResult<A>> => {
  Settings.onlyOrThrow("runWorkflow", options, optionNames)
  const { input, db, maxConcurrency, signal, runtime, hot, ...runOptions } = options
  const filename = db ?? process.env.SMITHERS_DB ?? "smithers.db"
  const layer = runtime ?? sqlite({ filename, ...defined({ maxConcurrency }) })
  const run = Effect.gen(function* () {
    const scope = yield* Scope.make()
    const close = Scope.close(scope, Exit.void)
    const [services, result] = yield* Effect.gen(function* () {
      const services = yield* Scope.extend(open(layer), scope)
      if (!(yield* Settings.flag("hot", hot, false)))
        return [services, yield* Effect.provide(workflow.run(input, runOptions), services)] as const
      const runId = runOptions.runId ?? (yield* generateRunId)
      const { follow } = yield* Effect.promise(() => import("./hotFile.ts"))
      yield* Effect.provide(Scope.extend(follow(workflow, runOptions.source, runId), scope), services)
      return [services, yield* Effect.provide(workflow.run(input, { ...runOptions, runId }), services)] as const
    }).pipe(Effect.onError(() => close))
    const engine = Context.get(services, Engine)
    const left = yield* engine.detached(result.runId)
    if (left.length === 0) {
      yield* close
      return result
    }
    // They are driven until they are at rest, which keeps this process alive.
    const staying = yield* Effect.forkDaemon(Effect.ensuring(Effect.ignoreLogged(engine.detachedResting(result.runId)), close))
    signal?.addEventListener("abort", () => Effect.runFork(Fiber.interrupt(staying)), { once: true })
    return result
  })
  const exit = await Effect.runPromiseExit(run, signal === undefined ? {} : { signal })
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}
