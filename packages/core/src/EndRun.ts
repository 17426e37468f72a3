/**
 * Ends runs without their code, on the store alone. Only for runs without an owner.
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

/** Lease of a claim that only ends the run: far longer than a frame takes. */
const leaseMs = Millis.make(30_000)

/**
 * Ends a run as failed, without its compensations and `finally` parts, and cancels its child runs. Returns `false` if the run
 * is owned or has ended.
 */
export const fail = (
  runId: string,
  failure: RunFailure,
): Effect.Effect<boolean, StoreError | RunNotFound | RunFenced, RunStore | RunOwnership | Inbox> =>
  end(runId, () => [{ _tag: "RunFailed", failure }])

/**
 * Ends a run as cancelled. Returns `false` and changes nothing if the run is owned or has ended. It also does so if the run's
 * code must act first, to undo a step or cancel a child run.
 */
export const cancel = (
  runId: string,
  reason?: string,
): Effect.Effect<boolean, StoreError | RunNotFound | RunFenced, RunStore | RunOwnership | Inbox> =>
  end(runId, (state) => cancellation(state, reason))

/** Returns the events that end a run in a state; `undefined` if it cannot be ended so. */
type Ending = (state: RunState.RunState) => ReadonlyArray<RunEvent> | undefined

/** Claims a run, and releases it if it was not ended. */
const end = (runId: string, ending: Ending) =>
  Effect.flatMap(RunOwnership, (ownership) => {
    let released: Status.ReleasedStatus = "suspended"
    const claim = Effect.flatMap(Millis.now, (now) => ownership.open({ runId, create: undefined, reopen: [], leaseMs, now }))
    const give = (epoch: number) =>
      Effect.flatMap(Millis.now, (now) => ownership.release(runId, epoch, now, released)).pipe(
        Effect.catchAll((error) => Effect.logWarning(`run ${runId} could not be released`, error)),
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

/** Commits the end of a claimed run. Returns whether it can be ended so. */
const commit = (state: RunState.RunState, epoch: number, ending: Ending) =>
  Effect.gen(function* () {
    const [store, inbox] = [yield* RunStore, yield* Inbox]
    const { runId } = state
    const at = yield* Millis.now
    const frame = FrameBuilder.make(runId, epoch, state)
    if (state.seq === 0) frame.append(CommandEvents.started(state), at)
    // Commands are applied first, so that none is lost for a later resume.
    for (const command of yield* inbox.pending) if (command.runId === runId) frame.consume(command, at)
    const events = ending(frame.state)
    if (events === undefined) return false
    const before = frame.state
    for (const event of events) frame.append(event, at)
    const built = frame.build({ at, sent: Outbox.ofEnd(before, frame.state, at) })
    // The frame ends no wait.
    yield* Effect.catchTag(store.commit(built), "StaleFrame", Effect.die)
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
