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

/** A run that this process drives. */
export interface Active {
  readonly create: NewRun | undefined
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

/** All descendants that are driven here. */
const descendantsOf = ({ children }: Active): ReadonlyArray<string> =>
  [...children].flatMap(([runId, child]) => [runId, ...descendantsOf(child)])

/** The waits of a run and its child runs that are at rest. */
interface Rest {
  readonly waiting: ReadonlyArray<RunResult.Waiting>
  readonly isPaused: boolean
  /** Changes when any of this changes. */
  readonly key: string
}

/** The rest of a run and its child runs, if all of them are at rest. */
const idleStateOf = ({ control, children }: Active): Rest | undefined => {
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
export const isIdle = ({ control: { waiting, isPaused }, children }: Active): boolean =>
  (waiting.length > 0 || isPaused) &&
  waiting.every(({ childRunId }) => {
    const child = childRunId === undefined ? undefined : children.get(childRunId)
    return child === undefined || isIdle(child)
  })

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
      if (!isTold && after?.key === before.key) return RunResult.resting(runId, after.waiting, after.isPaused)
    }
  })
