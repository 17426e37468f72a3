/**
 * Ends runs without their code, on the store alone. Only for runs without an owner.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { RunEnded, type RunFailure, type RunFenced, type RunNotFound, type StoreError, type Uncompensated } from "./Errors.ts"
import type { NodeId } from "./Ids.ts"
import { Inbox } from "./Inbox.ts"
import * as CommandEvents from "./internal/commandEvents.ts"
import * as FrameBuilder from "./internal/frameBuilder.ts"
import * as Outbox from "./internal/outbox.ts"
import * as Millis from "./Millis.ts"
import * as PlanText from "./PlanText.ts"
import * as Records from "./Records.ts"
import type { RunEvent } from "./RunEvent.ts"
import { RunOwnership } from "./RunOwnership.ts"
import { RunReader } from "./RunReader.ts"
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

/** The end of a run by force. */
export interface ForcedEnd {
  readonly runId: string
  /** Its attached child runs that were ended with it. */
  readonly children: ReadonlyArray<string>
  /** Steps of its sagas, and of those of its attached child runs, that have not been undone. `runId` is set for those of a child run. */
  readonly uncompensated: ReadonlyArray<Uncompensated>
  /** Nodes whose `finally` has not run to its end. */
  readonly unfinished: ReadonlyArray<{ readonly runId?: string; readonly nodeId: string; readonly iteration: number }>
}

/**
 * Ends a run as cancelled at once, with its attached child runs, even if a process works on it: for a run whose undoing hangs. The
 * claim is taken from that process, which stops when it finds out, at its next write or renewal. Steps that have not been undone are
 * stored as such, like those whose compensation has failed. Fails with `RunEnded` if the run has finished or failed; a cancelled run
 * tells again what was not undone.
 */
export const force = (
  given: string,
  reason?: string,
): Effect.Effect<ForcedEnd, StoreError | RunNotFound | RunFenced | RunEnded, RunStore | RunOwnership | Inbox | RunReader> =>
  Effect.gen(function* () {
    const [store, reader] = [yield* RunStore, yield* RunReader]
    const runId = yield* reader.newest(given)
    const before = yield* store.load(runId)
    const inside = yield* Effect.forEach(openChildren(before), (childRunId) =>
      force(childRunId, reason).pipe(
        // One that has ended otherwise has nothing left to undo.
        Effect.catchTags({ RunEnded: () => Effect.succeed(undefined), RunNotFound: () => Effect.succeed(undefined) }),
      ),
    )
    const plan = PlanText.decode(yield* reader.plan(runId))
    let unfinished: ForcedEnd["unfinished"] = []
    yield* end(
      runId,
      (state) => {
        unfinished = unfinishedIn(state, plan)
        return forced(state, plan, reason)
      },
      true,
    )
    const ended = yield* store.load(runId)
    if (Status.isEnded(ended.status) && ended.status !== "cancelled") return yield* new RunEnded({ runId, status: ended.status })
    const ofChildren = inside.filter((child) => child !== undefined)
    return {
      runId,
      children: ofChildren.flatMap((child) => [child.runId, ...child.children]),
      // With those of child runs, whose ends it has been told.
      uncompensated: RunState.uncompensated(ended),
      unfinished: [
        ...unfinished,
        ...ofChildren.flatMap((child) => child.unfinished.map((one) => ({ runId: child.runId, ...one }))),
      ],
    }
  })

/** Attached child runs that a run waits for. */
const openChildren = (state: RunState.RunState): ReadonlyArray<string> =>
  RunState.records(state).flatMap((record) => {
    const wait = record.kind === "step" ? Records.openWait(record) : undefined
    return wait?.kind === "subflow" && wait.name !== undefined && wait.child === undefined ? [wait.name] : []
  })

const isOpen = (record: Records.NodeRecord | undefined): boolean =>
  record?.kind === "boundary" && Status.openBoundaryStatuses.some((status) => status === record.status)

/** Tells whether a boundary around a row has not ended. Its record has the iteration of the row, unless a loop is between them. */
const isOpenAround = (state: RunState.RunState, boundary: NodeId, iteration: number): boolean => {
  const own = RunState.boundary(state, boundary, iteration)
  return own === undefined ? RunState.records(state).some((record) => record.nodeId === boundary && isOpen(record)) : isOpen(own)
}

/** Finished steps of open sagas that are not undone, with the record of their compensation. */
const toUndo = (state: RunState.RunState, plan: PlanText.PlanText) =>
  RunState.records(state).flatMap((record) => {
    const position = plan.positions.get(record.nodeId)
    const node = position === undefined ? undefined : plan.nodes[position]
    if (position === undefined || record.kind !== "step" || record.status !== "finished") return []
    if (node?._tag !== "Step" || node.details.compensate !== true) return []
    const isInOpenSaga = plan.nodes.some(
      ({ _tag, id }, at) =>
        _tag === "Saga" &&
        id !== undefined &&
        at < position &&
        position < plan.end(at) &&
        isOpenAround(state, id, record.iteration),
    )
    const nodeId = Records.compensationId(record.nodeId)
    const undo = RunState.step(state, nodeId, record.iteration)
    const isToDo = isInOpenSaga && undo?.status !== "finished" && undo?.status !== "failed"
    return isToDo ? [{ nodeId, iteration: record.iteration, undo, order: record.finishedSeq ?? 0 }] : []
  })

/** Boundaries that have not ended and have a `finally`. */
const unfinishedIn = (state: RunState.RunState, plan: PlanText.PlanText): ForcedEnd["unfinished"] =>
  RunState.records(state).flatMap((record) => {
    const position = plan.positions.get(record.nodeId)
    const node = position === undefined ? undefined : plan.nodes[position]
    const hasFinally = node?._tag === "TryCatch" && node.details.hasFinally === true
    return hasFinally && isOpen(record) ? [{ nodeId: record.nodeId, iteration: record.iteration }] : []
  })

const notUndone = { name: "NotUndone", message: "the run was ended by force before it was undone", retryable: false } as const

/** The events that end a run as cancelled, whatever it is about to do. */
const forced = (state: RunState.RunState, plan: PlanText.PlanText, reason: string | undefined): ReadonlyArray<RunEvent> => {
  const why = state.cancel?.reason ?? reason
  const said = defined({ reason: why })
  const asked: ReadonlyArray<RunEvent> = state.cancel === undefined ? [{ _tag: "CancelRequested", ...said }] : []
  const cut = RunState.records(state).flatMap((record): ReadonlyArray<RunEvent> => {
    if (record.kind !== "step" || record.status !== "running" || Records.undoneBy(record.nodeId) !== undefined) return []
    const { nodeId, iteration, attempt } = record
    return [{ _tag: "AttemptInterrupted", nodeId, iteration, attempt, reason: "cancelled" }]
  })
  const left = [...toUndo(state, plan)].sort((one, other) => one.order - other.order)
  const failed = left.map(({ nodeId, iteration, undo }): RunEvent => {
    const error = notUndone
    return undo?.status === "running"
      ? { _tag: "AttemptFailed", nodeId, iteration, attempt: undo.attempt, error }
      : { _tag: "NodeFailed", nodeId, iteration, error }
  })
  const found = [
    ...RunState.uncompensated(state),
    ...left.map(({ nodeId, iteration }) => ({ nodeId: Records.undoneBy(nodeId) ?? nodeId, iteration, error: notUndone })),
  ]
  const uncompensated = found.length === 0 ? {} : { uncompensated: found }
  return [...asked, ...cut, ...failed, { _tag: "RunCancelled", ...said, ...uncompensated }]
}

/** Returns the events that end a run in a state; `undefined` if it cannot be ended so. */
type Ending = (state: RunState.RunState) => ReadonlyArray<RunEvent> | undefined

/** Claims a run, and releases it if it was not ended. With `isForced` the claim is taken from a process that lives. */
const end = (
  runId: string,
  ending: Ending,
  isForced = false,
): Effect.Effect<boolean, StoreError | RunNotFound | RunFenced, RunStore | RunOwnership | Inbox> =>
  Effect.flatMap(RunOwnership, (ownership) => {
    let released: Status.ReleasedStatus = "suspended"
    const claim = Effect.flatMap(Millis.now, (now) =>
      ownership.open({ runId, create: undefined, reopen: [], leaseMs, now, ...(isForced ? { isForced } : {}) }),
    )
    const give = (epoch: number) =>
      Effect.flatMap(Millis.now, (now) => ownership.release(runId, epoch, now, released)).pipe(
        Effect.catchAll((error) => Effect.logWarning(`run ${runId} could not be released`, error)),
      )
    return Effect.acquireUseRelease(
      claim,
      (opened) =>
        Effect.gen(function* () {
          if (opened._tag === "Continued") return yield* end(opened.runId, ending, isForced)
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
