/**
 * History of a run as text for snapshots: a line per event, without times, run ids, and random delays.
 */
import type { RunNotFound, StoreError } from "@smithers/core/Errors"
import type { RunEvent } from "@smithers/core/RunEvent"
import { RunReader } from "@smithers/core/RunReader"
import * as Effect from "effect/Effect"

const pageSize = 1000

/**
 * Returns the timeline of a run: its actions, waits and commands, in order. Equal histories give equal text, independent of run ids
 * and times. Outputs are omitted.
 */
export const timeline = (runId: string): Effect.Effect<string, StoreError | RunNotFound, RunReader> =>
  Effect.gen(function* () {
    const { events } = yield* RunReader
    const lines: Array<string> = []
    for (let afterSeq = 0; ; ) {
      const page = yield* events(runId, { afterSeq, limit: pageSize })
      for (const { event, seq } of page) {
        afterSeq = seq
        const line = lineOf(event)
        // Messages quote run ids; other occurrences of the text are not ids.
        if (line !== undefined) lines.push(line.replaceAll(`"${runId}"`, '"<run>"').replaceAll(`"${runId}~`, '"<run>~'))
      }
      if (page.length < pageSize) return lines.join("\n")
    }
  })

const placeOf = ({ nodeId, iteration }: { readonly nodeId: string; readonly iteration: number }): string =>
  iteration === 0 ? nodeId : `${nodeId} (iteration ${iteration})`

const attemptOf = (event: { readonly nodeId: string; readonly iteration: number; readonly attempt: number }): string =>
  event.attempt === 1 ? placeOf(event) : `${placeOf(event)}, attempt ${event.attempt}`

const said = (by: string | undefined, note: string | undefined): string =>
  `${by === undefined ? "" : ` by ${by}`}${note === undefined ? "" : `: ${note}`}`

const errorOf = ({ name, message }: { readonly name: string; readonly message: string }): string => `${name}: ${message}`

/** Formats `AttemptSucceeded` as `attempt succeeded`. */
const wordsOf = (tag: string): string => tag.replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter}`).toLowerCase()

const lineOf = (event: RunEvent): string | undefined => {
  switch (event._tag) {
    case "RunStarted":
      return `started ${event.workflow}`
    case "RunResumed":
      return "resumed"
    case "CodeReloaded":
      return `reloaded (generation ${event.codeGeneration})`
    case "RunReverted":
      return event.undoes === undefined ? `reverted to before ${event.to.nodeId} attempt ${event.to.attempt}` : "revert undone"
    case "RunFinished":
      return "finished"
    case "RunFailed": {
      const { failure } = event
      return `failed: ${failure._tag}${"nodeId" in failure ? ` of ${failure.nodeId}` : ""}`
    }
    case "RunCancelled":
      return event.reason === undefined ? "cancelled" : `cancelled: ${event.reason}`
    case "RunContinued":
      return "continued as a new run"
    case "RunPaused":
      return `paused${said(event.by, undefined)}`
    case "RunUnpaused":
      return `unpaused${said(event.by, undefined)}`
    case "CancelRequested":
      if (event.continuation !== undefined) return `${event.continuation.nodeId}: to go on as a new run`
      return event.reason === undefined ? "to be cancelled" : `to be cancelled: ${event.reason}`
    case "PlanChanged": {
      const parts = [
        ...event.mounted.map((id) => `+${id}`),
        ...event.unmounted.map((id) => `-${id}`),
        ...event.changed.map((id) => `~${id}`),
      ]
      return `plan changed: ${parts.join(" ")}`
    }
    case "AttemptStarted":
      return `${attemptOf(event)}: started`
    case "AttemptSucceeded":
      return `${attemptOf(event)}: ${event.isCached === true ? `taken over from ${event.cachedFrom === undefined ? "an earlier run" : `run ${event.cachedFrom}`}` : "succeeded"}`
    case "AttemptFailed": {
      const next = event.retryAt !== undefined ? ", to be tried again" : event.isSoft === true ? ", tolerated" : ""
      return `${attemptOf(event)}: failed (${errorOf(event.error)})${next}`
    }
    case "AttemptInterrupted":
      return `${attemptOf(event)}: interrupted (${event.reason})`
    case "NodeFailed":
      return `${placeOf(event)}: failed (${errorOf(event.error)})`
    case "WaitStarted":
      // The name of a child run is its id.
      return `${placeOf(event)}: waits for ${event.kind}${event.kind === "signal" ? ` ${event.name ?? ""}` : ""}`
    case "ApprovalDecided":
      return `${placeOf(event)}: ${event.approved ? "approved" : "denied"}${said(event.by, event.note)}`
    case "TaskAnswered":
      return `${placeOf(event)}: answered${said(event.by, undefined)}`
    case "AnswerRefused":
      return `${placeOf(event)}: answer refused (${event.issues.join("; ")})`
    case "SignalReceived":
      return `signal ${event.name}${event.correlation === undefined ? "" : ` of ${event.correlation}`} received`
    case "SignalRefused":
      return `${placeOf(event)}: signal refused (${event.issues.join("; ")})`
    case "SubflowEnded":
      return `${placeOf(event)}: child run ${event.status}`
    case "WaitEnded":
      return `${placeOf(event)}: ${event.reason}, ${event.status}`
    case "NodeWithdrawn":
      return `${placeOf(event)}: withdrawn (${event.reason})`
    case "BoundaryEnded":
      return `${placeOf(event)}: left (${event.status})`
    case "LoopAdvanced":
      return `${event.nodeId}: pass ${event.pass + 1}`
    case "LoopFinished":
      return `${event.nodeId}: over (${event.reason})`
    // These events describe bookkeeping rather than actions.
    case "DeadlineMoved":
    case "LoopMounted":
      return undefined
    default: {
      const { _tag: tag }: { readonly _tag: string } = event
      return "nodeId" in event ? `${placeOf(event)}: ${wordsOf(tag)}` : wordsOf(tag)
    }
  }
}
