/**
 * A run that is worked on in this process, and what it rests on with its child runs.
 */
import type * as Cause from "effect/Cause"
import type * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { DriverError, StoreError } from "../Errors.ts"
import type { InboxShape } from "../Inbox.ts"
import type { NewRun } from "../RunOwnership.ts"
import * as RunResult from "../RunResult.ts"
import type { Control } from "./control.ts"

/** A run at work. */
export interface Active {
  readonly create: NewRun | undefined
  readonly workflow: string | undefined
  readonly settled: Deferred.Deferred<RunResult.EndedResult<unknown>, DriverError>
  readonly control: Control
  /** Child runs that are worked on here for this one. */
  readonly children: Map<string, Active>
  driver: Fiber.RuntimeFiber<unknown, unknown> | undefined
  refCount: number
  /** The runs by which it was started here, the nearest first. */
  ancestors: ReadonlyArray<string>
  /** The last caller left: the run is being suspended, and whoever comes now opens it again. */
  isReleasing: boolean
  /** Child runs that cannot be worked on, and why. */
  readonly obstacles: Map<string, Cause.Cause<DriverError>>
}

/** Child runs that are worked on here, and theirs. */
const familyOf = ({ children }: Active): ReadonlyArray<string> =>
  [...children].flatMap(([runId, child]) => [runId, ...familyOf(child)])

/** What a run and its child runs wait for, when nothing of them goes on. */
interface Rest {
  readonly waiting: ReadonlyArray<RunResult.Waiting>
  readonly isPaused: boolean
  /** Equal as long as nothing of this changes. */
  readonly key: string
}

/** What a run and its child runs rest on, if they all do. */
const restOf = ({ control, children }: Active): Rest | undefined => {
  const { waiting, isPaused } = control
  if (waiting.length === 0 && !isPaused) return undefined
  const found = [...waiting]
  for (const { childRunId } of waiting) {
    const child = childRunId === undefined ? undefined : children.get(childRunId)
    if (child === undefined) continue
    const rest = restOf(child)
    if (rest === undefined) return undefined
    found.push(...rest.waiting.map((wait) => ({ ...wait, childRunId: wait.childRunId ?? (childRunId as string) })))
  }
  return { waiting: found, isPaused, key: JSON.stringify([found, isPaused]) }
}

/** Waits until a run has nothing left to do here, nor its child runs, commands that are on their way included. */
export const atRest = (
  inbox: Pick<InboxShape, "pending">,
  runId: string,
  active: Active,
): Effect.Effect<RunResult.RestingResult, StoreError> =>
  Effect.gen(function* () {
    for (let seen = -1; ; seen = yield* active.control.commits.after(seen)) {
      const before = restOf(active)
      if (before === undefined) continue
      const runIds = [runId, ...familyOf(active)]
      const isTold = (yield* inbox.pending).some((command) => runIds.includes(command.runId))
      const after = restOf(active)
      if (!isTold && after?.key === before.key) return RunResult.resting(runId, after.waiting, after.isPaused)
    }
  })
