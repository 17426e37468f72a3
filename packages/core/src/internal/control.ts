/**
 * The control of a driver: its input while it works, and the state of its run for the engine that started it.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { DriverError, StoreRemoved } from "../Errors.ts"
import type { NodeKey } from "../Ids.ts"
import type { InboxMessage } from "../Inbox.ts"
import type { Waiting } from "../RunResult.ts"
import type * as Status from "../Status.ts"
import type * as StepProgram from "../StepProgram.ts"
import * as Intake from "./intake.ts"
import type * as Patience from "./patience.ts"
import type { Offer } from "./reload.ts"
import * as VersionSignal from "./versionSignal.ts"

/** Passes input to a driver, and reports the state of its run. */
export interface Control {
  readonly deliver: (command: InboxMessage) => void
  /** Reports a child run that cannot be driven, when nothing else of the run can continue. */
  readonly obstruct: (cause: Cause.Cause<DriverError>) => void
  /** Offers new code. The driver answers at its next frame boundary; one that has ended does not. */
  readonly offer: (offer: Offer) => void
  /** Reports that another process owns the run now. */
  readonly fence: () => void
  /** Reports that the store is gone. */
  readonly lose: (error: StoreRemoved) => void
  /** Reports whether a child run, by the node that started it, rests: all of it waits, or it cannot be driven here. */
  readonly noteRest: (key: NodeKey, isIdle: boolean) => void
  /** Set while the run is claimed. */
  epoch: number | undefined
  /** Counts committed frames. */
  readonly commits: VersionSignal.VersionSignal
  /** The waits of the run after its last frame, if it can do nothing else; otherwise empty. */
  waiting: ReadonlyArray<Waiting>
  /** `true` if the run was paused and idle after its last frame. */
  isPaused: boolean
  /** Status of the run when it was claimed, until it makes progress. */
  stood: Status.RunStatus | undefined
  /** Set while the store cannot be written: finished work is kept in memory, and nothing new starts. */
  outage: Patience.Outage | undefined
  readonly intake: Intake.Intake<Item>
}

/** An item of a driver's input. */
export type Item =
  | { readonly _tag: "Exit"; readonly key: NodeKey; readonly exit: Exit.Exit<StepProgram.AttemptResult> }
  | { readonly _tag: "Beat"; readonly key: NodeKey }
  | { readonly _tag: "Command"; readonly command: InboxMessage }
  | { readonly _tag: "Code"; readonly offer: Offer }
  | { readonly _tag: "Fenced" }
  /** A step that was held back may start. */
  | { readonly _tag: "Turn" }
  /** A child run comes to rest, or continues. */
  | { readonly _tag: "Rest"; readonly key: NodeKey; readonly isIdle: boolean }
  | { readonly _tag: "Lost"; readonly error: StoreRemoved }
  | { readonly _tag: "Obstructed"; readonly cause: Cause.Cause<DriverError> }

/** Makes the control of a driver before it starts. */
export const make = (): Control => {
  const intake = Intake.make<Item>()
  return {
    deliver: (command) => intake.push({ _tag: "Command", command }),
    obstruct: (cause) => intake.push({ _tag: "Obstructed", cause }),
    offer: (offer) => intake.push({ _tag: "Code", offer }),
    fence: () => intake.push({ _tag: "Fenced" }),
    noteRest: (key, isIdle) => intake.push({ _tag: "Rest", key, isIdle }),
    lose: (error) => intake.push({ _tag: "Lost", error }),
    epoch: undefined,
    commits: VersionSignal.make(),
    waiting: [],
    isPaused: false,
    stood: undefined,
    outage: undefined,
    intake,
  }
}

/** Prepares the control of a run that has ended for the run that it goes on as. News of the store, and offers of code, are kept. */
export const renew = (control: Control): void => {
  control.waiting = []
  control.isPaused = false
  for (const item of control.intake.drain()) if (item._tag === "Code" || item._tag === "Lost") control.intake.push(item)
}

/** Records when the store of a run fails, and when it can be written again. */
export const noteOutage =
  (control: Control, runId: string): Patience.OnOutage =>
  (outage) =>
    Effect.suspend(() => {
      const before = control.outage
      control.outage = outage
      if (outage === undefined) return Effect.logInfo(`run ${runId} continues: its store can be written again`)
      if (before !== undefined) return Effect.void
      const since = new Date(outage.since).toISOString()
      return Effect.logWarning(
        `run ${runId} waits: store unavailable since ${since}; finished work is kept in memory and nothing new starts (${outage.error._tag}: ${outage.error.detail})`,
      )
    })
