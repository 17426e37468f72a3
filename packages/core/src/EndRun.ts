/**
 * Ends runs without their code. It works on the store alone, for runs that nobody works on.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { RunFailure, RunFenced, RunNotFound, StoreError } from "./Errors.ts"
import { Inbox } from "./Inbox.ts"
import * as CommandEvents from "./internal/commandEvents.ts"
import * as FrameBuilder from "./internal/frameBuilder.ts"
import * as Outbox from "./internal/outbox.ts"
import * as Millis from "./Millis.ts"
import * as Records from "./Records.ts"
import type { RunEvent } from "./RunEvent.ts"
import { RunOwnership } from "./RunOwnership.ts"
import * as RunState from "./RunState.ts"
import { RunStore } from "./RunStore.ts"
import * as Status from "./Status.ts"
import { defined } from "./Struct.ts"

/** How long the claim of a run holds that is only ended: far longer than a frame takes. */
const leaseMs = Millis.make(30_000)

/**
 * Ends a run as failed, whatever its code would do on the way out, and has its child runs cancelled. Gives whether it did: not where someone works on the run, or where it has
 * ended.
 */
export const fail = (
  runId: string,
  failure: RunFailure,
): Effect.Effect<boolean, StoreError | RunNotFound | RunFenced, RunStore | RunOwnership | Inbox> =>
  end(runId, () => [{ _tag: "RunFailed", failure }])

/**
 * Ends a run as cancelled. Gives whether it did: not where someone works on the run, where it has ended, or where its code has something to do
 * on the way out, a step to undo or a child run to cancel. Such a run is as it was.
 */
export const cancel = (
  runId: string,
  reason?: string,
): Effect.Effect<boolean, StoreError | RunNotFound | RunFenced, RunStore | RunOwnership | Inbox> =>
  end(runId, (state) => cancellation(state, reason))

/** Events that end a run in a state; `undefined` where it cannot be ended so. */
type Ending = (state: RunState.RunState) => ReadonlyArray<RunEvent> | undefined

/** Claims a run, and gives it back where it was not ended. */
const end = (runId: string, ending: Ending) =>
  Effect.flatMap(RunOwnership, (ownership) => {
    let released: Status.ReleasedStatus = "suspended"
    const claim = Effect.flatMap(Millis.now, (now) => ownership.open({ runId, create: undefined, reopen: [], leaseMs, now }))
    const give = (epoch: number) =>
      Effect.flatMap(Millis.now, (now) => ownership.release(runId, epoch, now, released)).pipe(
        Effect.catchAll((error) => Effect.logWarning(`run ${runId} could not be given back`, error)),
      )
    return Effect.acquireUseRelease(
      claim,
      (opened) =>
        Effect.gen(function* () {
          if (opened._tag !== "Claimed") return false
          const state = yield* (yield* RunStore).load(runId)
          if (!Status.isEnded(state.status)) released = state.status
          return yield* commit(state, opened.epoch, ending)
        }),
      (opened, exit) => (opened._tag !== "Claimed" || (Exit.isSuccess(exit) && exit.value) ? Effect.void : give(opened.epoch)),
    )
  })

/** Commits how a claimed run ends. Gives whether it can be ended so. */
const commit = (state: RunState.RunState, epoch: number, ending: Ending) =>
  Effect.gen(function* () {
    const [store, inbox] = [yield* RunStore, yield* Inbox]
    const { runId } = state
    const at = yield* Millis.now
    const frame = FrameBuilder.make(runId, epoch, state)
    if (state.seq === 0) frame.append(CommandEvents.started(state), at)
    // What was said to it is kept for whoever resumes it.
    for (const command of yield* inbox.pending) if (command.runId === runId) frame.consume(command, at)
    const events = ending(frame.state)
    if (events === undefined) return false
    const before = frame.state
    for (const event of events) frame.append(event, at)
    const built = frame.build({ at, sent: Outbox.ofEnd(before, frame.state, at) })
    // It ends no wait, by its time or otherwise.
    yield* Effect.catchTag(store.commit(built), "Unheard", Effect.die)
    return true
  })

const cancellation = (state: RunState.RunState, reason: string | undefined): ReadonlyArray<RunEvent> | undefined => {
  const why = state.cancel?.reason ?? reason
  const said = defined({ reason: why })
  const cut: Array<RunEvent> = []
  for (const record of RunState.records(state)) {
    const isOpen = record.kind === "boundary" && (record.status === "running" || record.status === "halted")
    if (isOpen || (record.kind === "step" && Records.openWait(record)?.kind === "subflow")) return undefined
    if (record.kind !== "step" || record.status !== "running") continue
    const { nodeId, iteration, attempt } = record
    cut.push({ _tag: "AttemptInterrupted", nodeId, iteration, attempt, reason: "cancelled" })
  }
  const asked: ReadonlyArray<RunEvent> = state.cancel === undefined ? [{ _tag: "CancelRequested", ...said }] : []
  return [...asked, ...cut, { _tag: "RunCancelled", ...said }]
}
