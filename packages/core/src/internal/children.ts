/**
 * Drives child runs in the process of their parents, and delivers their results at once.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { CodeGeneration } from "../CodeGeneration.ts"
import type { Definition } from "../Definition.ts"
import { type DriverError, isTransient } from "../Errors.ts"
import { generateRunId, nodeKey } from "../Ids.ts"
import * as Millis from "../Millis.ts"
import type { Parent } from "../Records.ts"
import type { DriveOptions, StartedChild } from "../RunDriver.ts"
import * as RunRequest from "../RunRequest.ts"
import * as RunResult from "../RunResult.ts"
import * as Status from "../Status.ts"
import type { RunPorts } from "../Storage.ts"
import { type Active, atRest, isIdle } from "./active.ts"
import type { Callers } from "./callers.ts"
import * as Outbox from "./outbox.ts"
import type { Chain } from "./workplace.ts"

/** Pause before another try to start a child run that the store could not open. */
const childPause = Duration.seconds(1)

/** The parts of the engine that this module needs. */
interface Host {
  readonly ports: RunPorts
  readonly scope: Scope.Scope
  readonly callers: Pick<Callers, "adopt">
  /** Detached child runs that are driven here, by id, for as long as the engine lives. */
  readonly detached: Map<string, Active>
  /** Finds a run that this process drives, or starts to drive it. */
  readonly acquire: (
    definition: Definition<unknown>,
    request: RunRequest.RunRequest,
    code: CodeGeneration | undefined,
    places?: Chain,
  ) => Effect.Effect<Active, DriverError, unknown>
}

/** Makes the function that starts the child runs of a run. */
export const make = ({
  ports: { store, inbox, reader },
  scope,
  callers,
  detached,
  acquire,
}: Host): ((parent: Active) => DriveOptions["startChild"]) => {
  /**
   * Drives a child run for as long as its parent is driven; a detached one for as long as the engine lives. One that another
   * process owns is claimed after its release.
   */
  const startChild =
    (parent: Active): DriveOptions["startChild"] =>
    (started) =>
      Effect.gen(function* () {
        const { runId, child, parent: starter, places } = started
        if (parent.children.has(runId)) return
        const definition = Outbox.definitionOf({ child })
        if (!starter.isAttached) return yield* startDetached(parent, definition, runId, starter.runId)
        const isAgain = yield* shouldReopenChild(parent, runId, starter)
        const entered = yield* Effect.exit(
          acquire(definition, isAgain ? RunRequest.resume(runId) : RunRequest.join(runId), parent.code, places),
        )
        if (Exit.isFailure(entered)) return yield* keptFrom(parent, started, entered.cause)
        const active = entered.value
        parent.children.set(runId, active)
        active.ancestors = [starter.runId, ...parent.ancestors]
        const disown = callers.adopt(starter.runId, runId)
        parent.obstacles.delete(runId)
        const unlink = active.control.commits.link(parent.control.commits)
        const key = nodeKey(starter.nodeId, starter.iteration)
        let rests: boolean | undefined
        const look = (): void => {
          const before = rests
          rests = isIdle(active)
          if (rests !== before) parent.control.noteRest(key, rests)
        }
        const unwatch = active.control.commits.link({ bump: look })
        look()
        const told = Effect.flatMap(Effect.exit(Deferred.await(active.settled)), (exit) => {
          unlink()
          unwatch()
          disown()
          // One that is not over is not worked on here any more.
          if (rests === true || Exit.isFailure(exit)) parent.control.noteRest(key, Exit.isFailure(exit))
          if (parent.children.get(runId) === active) parent.children.delete(runId)
          return Exit.isSuccess(exit) ? notifyParent(parent, runId, starter) : keptFrom(parent, started, exit.cause)
        })
        yield* Effect.forkIn(Effect.interruptible(told), scope)
      }).pipe(
        Effect.catchAll((error) =>
          isTransient(error)
            ? Effect.asVoid(Effect.forkIn(startAgain(parent, started), scope))
            : Effect.logWarning(`child run ${started.runId} could not be started: ${error.message}`),
        ),
      )

  /** Drives a detached child run, unless another process does. */
  const startDetached = (
    parent: Active,
    definition: Definition<unknown>,
    runId: string,
    parentId: string,
  ): Effect.Effect<void, DriverError, unknown> =>
    Effect.gen(function* () {
      if (detached.has(runId)) return
      const active = yield* acquire(definition, RunRequest.claim(runId), parent.code)
      active.ancestors = [parentId, ...parent.ancestors]
      detached.set(runId, active)
      const over = Effect.flatMap(Effect.exit(Deferred.await(active.settled)), (exit) => {
        detached.delete(runId)
        const failure = Exit.isFailure(exit) ? Cause.failureOption(exit.cause) : Option.none()
        return Option.isNone(failure) || failure.value._tag === "RunFenced"
          ? Effect.void
          : Effect.logWarning(`child run ${runId} stopped, and is not over: ${failure.value.message}`)
      })
      yield* Effect.forkIn(Effect.interruptible(over), scope)
    })

  /** Starts a child run after a pause, after a transient failure of the store, if its parent is still driven here. */
  const startAgain = (parent: Active, started: StartedChild): Effect.Effect<void, never, unknown> =>
    Effect.gen(function* () {
      const { epoch } = parent.control
      yield* Effect.interruptible(Effect.sleep(childPause))
      if (epoch !== undefined && parent.control.epoch === epoch && !parent.isReleasing) yield* startChild(parent)(started)
    })

  /** Stops a run with the error of a child run that cannot be driven, once the run has nothing else to do. */
  const keptFrom = (parent: Active, started: StartedChild, cause: Cause.Cause<DriverError>) =>
    Effect.suspend((): Effect.Effect<void, never, unknown> => {
      const failure = Cause.failureOption(cause)
      // Another process owns it, or it was only released.
      if (Cause.isInterruptedOnly(cause) || Option.exists(failure, ({ _tag }) => _tag === "RunFenced")) return Effect.void
      // A transient failure of the store says nothing about the child.
      if (Option.exists(failure, isTransient)) return Effect.asVoid(Effect.forkIn(startAgain(parent, started), scope))
      const { runId } = started
      parent.obstacles.set(runId, cause)
      parent.control.noteRest(nodeKey(started.parent.nodeId, started.parent.iteration), true)
      const stop = Effect.andThen(atRest(inbox, started.parent.runId, parent), () => {
        if (parent.obstacles.get(runId) === cause) parent.control.obstruct(cause)
      })
      const over = Effect.exit(Deferred.await(parent.settled))
      return Effect.asVoid(Effect.forkIn(Effect.interruptible(Effect.race(Effect.ignore(stop), over)), scope))
    })

  /**
   * Tells whether a child run has ended and its parent waits for it again. If another process ended it just now, its result is
   * on its way to the parent, or was applied by a later owner.
   */
  const shouldReopenChild = (parent: Active, runId: string, { runId: parentId }: Parent) =>
    Effect.gen(function* () {
      const { status } = (yield* reader.run(yield* reader.newest(runId))).run
      if (!Status.isReopenable(status)) return false
      const isTold = (yield* inbox.pending).some(
        ({ runId: told, command }) => told === parentId && command._tag === "ChildEnded" && command.childRunId === runId,
      )
      if (isTold) return false
      const { run } = yield* reader.run(parentId)
      return run.owner !== null && run.epoch === parent.control.epoch
    })

  /** Delivers the result of a child run to its parent, even if the child did not have to be driven. */
  const notifyParent = (parent: Active, runId: string, { nodeId, iteration }: Parent): Effect.Effect<void> =>
    Effect.gen(function* () {
      const result = RunResult.ofState(yield* store.load(yield* reader.newest(runId)))
      if (result === undefined) return
      const end = RunResult.toChildEnd(result)
      const [id, at] = [yield* generateRunId, yield* Millis.now]
      parent.control.deliver({ id, runId, at, command: { _tag: "ChildEnded", childRunId: runId, nodeId, iteration, ...end } })
    }).pipe(Effect.catchAll((error) => Effect.logWarning(`the result of child run ${runId} could not be read`, error)))
  return startChild
}
