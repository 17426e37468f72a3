/**
 * Runs that this process drives, and the waits that they and their child runs rest on.
 */
import type * as Cause from "effect/Cause"
import type * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { CodeGeneration } from "../CodeGeneration.ts"
import type { DriverError, StoreError } from "../Errors.ts"
import type { InboxShape } from "../Inbox.ts"
import type { NewRun } from "../RunOwnership.ts"
import * as RunResult from "../RunResult.ts"
import type { Control } from "./control.ts"
import type { Chain } from "./workplace.ts"

/** A run that this process drives, with the runs that it goes on as. */
export interface Active {
  /** The run that is driven: the newest of its generations. */
  runId: string
  /** The one that drives the run, if this came to a run that is driven here already. */
  forward: Active | undefined
  /** The run that was asked for. */
  readonly firstRunId: string
  /** Set once a run was claimed here. */
  hasDriven: boolean
  /** Removes the record that the run which was asked for waits for the one that is driven. */
  disown: (() => void) | undefined
  readonly create: NewRun | undefined
  /** The places that it works in, if the run that started it is driven here. */
  readonly places: Chain | undefined
  readonly workflow: string | undefined
  readonly settled: Deferred.Deferred<RunResult.EndedResult<unknown>, DriverError>
  readonly control: Control
  /** Child runs that are driven here for this one. */
  readonly children: Map<string, Active>
  /** The code that it is driven with, if that is watched. */
  code: CodeGeneration | undefined
  driver: Fiber.RuntimeFiber<unknown, unknown> | undefined
  refCount: number
  /** The runs that started it here, the nearest first. */
  ancestors: ReadonlyArray<string>
  /** The last caller left: the run is being suspended, and the next caller opens it again. */
  isReleasing: boolean
  /** Child runs that cannot be driven, with the cause. */
  readonly obstacles: Map<string, Cause.Cause<DriverError>>
}

/** The run, and all descendants that are driven here. */
const descendantsOf = (active: Active): ReadonlyArray<string> => {
  const { runId, children } = active.forward ?? active
  return [runId, ...[...children.values()].flatMap(descendantsOf)]
}

/** The waits of a run and its child runs that are at rest. */
interface Rest {
  readonly waiting: ReadonlyArray<RunResult.Waiting>
  readonly isPaused: boolean
  /** Changes when any of this changes. */
  readonly key: string
}

/** The rest of a run and its child runs, if all of them are at rest. */
const idleStateOf = (active: Active): Rest | undefined => {
  const { control, children } = active.forward ?? active
  const { waiting, isPaused } = control
  if (waiting.length === 0 && !isPaused) return undefined
  const found = [...waiting]
  for (const { childRunId } of waiting) {
    const child = childRunId === undefined ? undefined : children.get(childRunId)
    if (child === undefined) continue
    const rest = idleStateOf(child)
    if (rest === undefined) return undefined
    found.push(...rest.waiting.map((wait) => ({ ...wait, childRunId: wait.childRunId ?? (childRunId as string) })))
  }
  return { waiting: found, isPaused, key: JSON.stringify([found, isPaused]) }
}

/** Tells whether a run here, with its child runs, does nothing but wait. */
export const isIdle = (active: Active): boolean => {
  const {
    control: { waiting, isPaused },
    children,
  } = active.forward ?? active
  const isResting = waiting.length > 0 || isPaused
  return (
    isResting &&
    waiting.every(({ childRunId }) => {
      const child = childRunId === undefined ? undefined : children.get(childRunId)
      return child === undefined || isIdle(child)
    })
  )
}

/** Waits until a run and its child runs are at rest, with no commands on their way. */
export const atRest = (
  inbox: Pick<InboxShape, "pending">,
  runId: string,
  active: Active,
): Effect.Effect<RunResult.RestingResult, StoreError> =>
  Effect.gen(function* () {
    for (let seen = -1; ; seen = yield* active.control.commits.after(seen)) {
      const before = idleStateOf(active)
      if (before === undefined) continue
      const runIds = [runId, ...descendantsOf(active)]
      const isTold = (yield* inbox.pending).some((command) => runIds.includes(command.runId))
      const after = idleStateOf(active)
      if (!isTold && after?.key === before.key)
        return RunResult.resting((active.forward ?? active).runId, after.waiting, after.isPaused)
    }
  })
