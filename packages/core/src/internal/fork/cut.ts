/**
 * The cut of a fork: the state of the original as of the moment that its options name. Its run is the one of the lineage that has logged
 * that moment.
 */
import * as Effect from "effect/Effect"
import { InvalidFork, NodeNotFound, type RunFailure, type RunNotFound, type StoreError } from "../../Errors.ts"
import type { NodeId } from "../../Ids.ts"
import type { RunEvent } from "../../RunEvent.ts"
import type { LoggedEvent, RunReaderShape } from "../../RunReader.ts"
import * as RunState from "../../RunState.ts"
import type { RunStoreShape } from "../../RunStore.ts"
import { defined } from "../../Struct.ts"

/** The moment to fork a run as of. Of `frame`, `before` and `fromFailure` at most one is given. Default: as the run is now. */
export interface ForkMoment {
  /** Forks the run as it was right after this frame. */
  readonly frame?: number
  /** Forks the run as it was right before this node first began, in the given or its last iteration. */
  readonly before?: string
  /** Iteration of `before`. Default: the last. */
  readonly iteration?: number
  /** Forks a failed run as it was right before the failure that ended it. */
  readonly fromFailure?: boolean
}

const eventPage = 10_000

/** Reads the events of a run itself, without those of the run that it was forked from. */
export const eventsOf = (reader: RunReaderShape, runId: string) =>
  Effect.gen(function* () {
    const events: Array<LoggedEvent> = []
    for (let afterSeq = 0; ; ) {
      const page = yield* reader.events(runId, { afterSeq, limit: eventPage })
      for (const event of page) events.push(event)
      const last = page.at(-1)
      if (last === undefined || page.length < eventPage) return events
      afterSeq = last.seq
    }
  })

/** Finds the cut. Its state is that of the run in the lineage whose event it is. */
export const find = (
  reader: RunReaderShape,
  store: RunStoreShape,
  latest: RunState.RunState,
  { frame, before, iteration, fromFailure = false }: ForkMoment,
): Effect.Effect<RunState.RunState, StoreError | RunNotFound | InvalidFork | NodeNotFound> =>
  Effect.gen(function* () {
    const { runId } = latest
    const invalid = (problem: string) => new InvalidFork({ runId, problem })
    /** The state right after an event, of the run that has logged it. */
    const at = (seq: number) => {
      if (seq < 1) return invalid("it had not begun by then")
      return seq === latest.seq ? Effect.succeed(latest) : store.load(runId, { seq })
    }
    if ([frame !== undefined, before !== undefined, fromFailure].filter(Boolean).length > 1)
      return yield* invalid(`of "frame", "before" and "fromFailure" only one can be given`)
    if (iteration !== undefined && before === undefined) return yield* invalid(`"iteration" is that of "before", which is missing`)
    if (frame !== undefined) {
      if (!Number.isInteger(frame) || frame < 1 || frame > latest.frame)
        return yield* invalid(`it has no frame ${frame}: its frames are 1 to ${latest.frame}`)
      return frame === latest.frame ? latest : yield* store.load(runId, { frame })
    }
    if (before !== undefined) return yield* at(yield* beginningOf(reader, latest, before, iteration))
    if (!fromFailure) return latest
    if (latest.status !== "failed") return yield* invalid(`it has not failed; it is ${latest.status}`)
    return yield* at((failureSeq(yield* eventsOf(reader, runId), latest.failure) ?? latest.seq) - 1)
  })

/** Number of the event before the first one of a node, in the log of the run or of those that it was forked from. */
const beginningOf = (
  reader: RunReaderShape,
  latest: RunState.RunState,
  before: string,
  iteration: number | undefined,
): Effect.Effect<number, StoreError | RunNotFound | NodeNotFound> =>
  Effect.gen(function* () {
    const { runId, fork, seq: lastSeq } = latest
    const rows = RunState.records(latest).filter(({ nodeId }) => nodeId === before)
    const of = iteration ?? Math.max(-1, ...rows.map((row) => row.iteration))
    const logs = [{ runId, seq: lastSeq }, ...(fork?.lineage ?? []).toReversed()]
    for (const log of logs) {
      const first = (yield* eventsOf(reader, log.runId)).find(
        ({ seq, event }) =>
          seq <= log.seq && "nodeId" in event && event.nodeId === before && event.iteration === of && isBeginning(event),
      )
      if (first !== undefined) return first.seq - 1
    }
    const iterations = rows.map((row) => row.iteration).sort((left, right) => left - right)
    const known = rows.length > 0 ? iterations : [...new Set(RunState.records(latest).map((row) => row.nodeId))].sort()
    return yield* new NodeNotFound({ runId, nodeId: before, known, ...defined({ iteration }) })
  })

const isBeginning = ({ _tag }: RunEvent): boolean =>
  _tag === "AttemptStarted" ||
  _tag === "WaitStarted" ||
  _tag === "LoopAdvanced" ||
  _tag === "BoundaryStarted" ||
  _tag === "NodeSkipped"

/** The node whose failure ended a run, if there is one. */
const failedNode = (failure: RunFailure | undefined): { readonly nodeId: NodeId; readonly iteration?: number } | undefined => {
  if (failure === undefined) return undefined
  if (failure._tag === "CompensationFailed") return failedNode(failure.cause)
  if (!("nodeId" in failure) || failure.nodeId === undefined) return undefined
  return { nodeId: failure.nodeId, ...defined({ iteration: failure.iteration }) }
}

/** Number of the first event of the failure that ended a run. */
const failureSeq = (events: ReadonlyArray<LoggedEvent>, failure: RunFailure | undefined): number | undefined => {
  const failed = failedNode(failure)
  const isOf = ({ event }: LoggedEvent): boolean =>
    failed !== undefined &&
    "nodeId" in event &&
    event.nodeId === failed.nodeId &&
    (failed.iteration === undefined || event.iteration === failed.iteration)
  const isEnd = ({ event }: LoggedEvent): boolean =>
    event._tag === "NodeFailed" || event._tag === "WaitEnded" || (event._tag === "AttemptFailed" && event.retryAt === undefined)
  const index = events.findLastIndex((logged) => isOf(logged) && isEnd(logged))
  const found = events[index]
  if (found === undefined) return events.findLast(({ event }) => event._tag === "RunFailed")?.seq
  if (found.event._tag !== "WaitEnded") return found.seq
  // The decision, the answer or the end of the child run comes before the end of its wait.
  const earlier = events.slice(0, index).filter(isOf)
  const asked = earlier.findLastIndex(({ event }) => event._tag === "WaitStarted")
  return earlier[asked + 1]?.seq ?? found.seq
}
