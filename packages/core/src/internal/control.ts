/**
 * The way into a driver: what comes in while it works, and where its run is, for the engine that has started it.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { DriverError, StoreGone } from "../Errors.ts"
import type { NodeKey } from "../Ids.ts"
import type { Command } from "../Inbox.ts"
import type { Waiting } from "../RunResult.ts"
import type * as Status from "../Status.ts"
import type * as StepProgram from "../StepProgram.ts"
import * as Intake from "./intake.ts"
import type * as Patience from "./patience.ts"
import * as VersionSignal from "./versionSignal.ts"

/** Tells a driver what comes from outside, and says where its run is. */
export interface Control {
  readonly deliver: (command: Command) => void
  /** Says that nothing of the run can go on since a child run cannot be worked on, and why. */
  readonly obstruct: (cause: Cause.Cause<DriverError>) => void
  /** Says that another process has the run now. */
  readonly fence: () => void
  /** Says that the store is not there any more. */
  readonly lose: (error: StoreGone) => void
  /** Set while the run is claimed. */
  epoch: number | undefined
  /** Counts the frames that were committed. */
  readonly commits: VersionSignal.VersionSignal
  /** What the run waited for as of its last frame, where nothing else could go on; otherwise empty. */
  waiting: ReadonlyArray<Waiting>
  /** Whether nothing went on as of its last frame because the run is paused. */
  isPaused: boolean
  /** How the run stood when it was taken up, until something has come of that. */
  stood: Status.RunStatus | undefined
  /** Set while the store cannot be written: what is finished is kept here, and nothing new starts. */
  outage: Patience.Outage | undefined
  readonly intake: Intake.Intake<Item>
}

/** Something that came in. */
export type Item =
  | { readonly _tag: "Exit"; readonly key: NodeKey; readonly exit: Exit.Exit<StepProgram.AttemptResult> }
  | { readonly _tag: "Beat"; readonly key: NodeKey }
  | { readonly _tag: "Command"; readonly command: Command }
  | { readonly _tag: "Fenced" }
  /** A step that was held back may be begun. */
  | { readonly _tag: "Turn" }
  | { readonly _tag: "Lost"; readonly error: StoreGone }
  | { readonly _tag: "Obstructed"; readonly cause: Cause.Cause<DriverError> }

/** Makes the control of a driver that is about to begin. */
export const make = (): Control => {
  const intake = Intake.make<Item>()
  return {
    deliver: (command) => intake.push({ _tag: "Command", command }),
    obstruct: (cause) => intake.push({ _tag: "Obstructed", cause }),
    fence: () => intake.push({ _tag: "Fenced" }),
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

/** Says when the store of a run fails and when it can be written again. */
export const noteOutage =
  (control: Control, runId: string): Patience.OnOutage =>
  (outage) =>
    Effect.suspend(() => {
      const before = control.outage
      control.outage = outage
      if (outage === undefined) return Effect.logInfo(`run ${runId} goes on: its store can be written again`)
      if (before !== undefined) return Effect.void
      const since = new Date(outage.since).toISOString()
      return Effect.logWarning(
        `run ${runId} waits: store unavailable since ${since}; what is finished is kept and nothing new starts (${outage.error._tag}: ${outage.error.detail})`,
      )
    })
