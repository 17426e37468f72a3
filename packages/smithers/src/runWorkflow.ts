/**
 * Runs a workflow from code that is not written with Effect: one call, one promise.
 */
import type { AgentRunner } from "@smithers/core/AgentRunner"
import { Engine } from "@smithers/core/Engine"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import type { RunResult } from "@smithers/core/RunResult"
import { defined } from "@smithers/core/Struct"
import type { RunOptions, Runs } from "@smithers/core/Workflow"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { type Runtime, sqlite } from "./Smithers.ts"

/** How a workflow is run. */
export interface RunWorkflowOptions<I> extends RunOptions {
  readonly input: I
  /** SQLite file to keep the run in: `SMITHERS_DB`, or else `smithers.db` in the working directory, unless told. */
  readonly db?: string
  /** Tasks of the run in flight at once, unless the workflow says so itself. */
  readonly maxConcurrency?: number
  /** Suspends the run when aborted, and what it has left to itself: the promise rejects, and the run can be resumed by its id. */
  readonly signal?: AbortSignal
  /** A store to run on instead of `db`, such as `Smithers.memory`: calls with the same value share one store. */
  readonly runtime?: Layer.Layer<Runtime, unknown>
}

const memos = new WeakMap<Layer.Layer<Runtime, unknown>, Effect.Effect<Layer.MemoMap>>()

/**
 * Opens a runtime for one call. Calls at the same time share one engine, and what is kept in memory is kept for as long as the value
 * that stands for it: a second call with the same `runtime` finds the runs of the first.
 */
const open = (layer: Layer.Layer<Runtime, unknown>) =>
  Effect.gen(function* () {
    const known = memos.get(layer)
    const memo = known ?? (yield* Effect.cached(makeMemo))
    if (known === undefined) memos.set(layer, memo)
    return yield* Layer.buildWithMemoMap(layer, yield* memo, yield* Effect.scope)
  })

/** Layers of one runtime that are open, with a store in memory that is never closed: it holds nothing that would have to be. */
const makeMemo = Effect.gen(function* () {
  const memo = yield* Layer.makeMemoMap
  yield* Layer.buildWithMemoMap(MemoryStorage.layer, memo, yield* Scope.make())
  return memo
})

/**
 * Starts a run, or resumes or joins the one of this id, and gives its result. A run that failed is an answer; the promise
 * rejects with a tagged error when the run could not be worked on: `InvalidInput`, `RenderFailed`, a store that cannot be used.
 * Child runs that it does not wait for (`attach: false`) go on after that, and the process with them, until they end or rest.
 */
export const runWorkflow = async <I, A>(
  workflow: Runs<I, A, AgentRunner>,
  options: RunWorkflowOptions<I>,
): Promise<RunResult<A>> => {
  const { input, db, maxConcurrency, signal, runtime, ...given } = options
  const filename = db ?? process.env.SMITHERS_DB ?? "smithers.db"
  const layer = runtime ?? sqlite({ filename, ...defined({ maxConcurrency }) })
  const run = Effect.gen(function* () {
    const scope = yield* Scope.make()
    const close = Scope.close(scope, Exit.void)
    const [services, result] = yield* Effect.gen(function* () {
      const services = yield* Scope.extend(open(layer), scope)
      return [services, yield* Effect.provide(workflow.run(input, given), services)] as const
    }).pipe(Effect.onError(() => close))
    const engine = Context.get(services, Engine)
    const left = yield* engine.detached(result.runId)
    if (left.length === 0) {
      yield* close
      return result
    }
    // They are worked on until they rest, which keeps this process going.
    const staying = yield* Effect.forkDaemon(Effect.ensuring(Effect.ignoreLogged(engine.detachedResting(result.runId)), close))
    signal?.addEventListener("abort", () => Effect.runFork(Fiber.interrupt(staying)), { once: true })
    return result
  })
  const exit = await Effect.runPromiseExit(run, signal === undefined ? {} : { signal })
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}
