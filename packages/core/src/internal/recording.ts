/**
 * The log of a run as a recording: the events of each frame in two parts. Those that were given came from outside the plan, such
 * as results of attempts, answers and signals. Those that were derived followed from them by the code of that time.
 */
import type { Entry, RunHistory } from "../History.ts"
import { type NodeKey, nodeKey } from "../Ids.ts"
import type { Millis } from "../Millis.ts"
import type { RunEvent } from "../RunEvent.ts"
import * as RunState from "../RunState.ts"

/** An event of a node. */
export type NodeEvent = Extract<RunEvent, { readonly nodeId: string }>

/** A derived event, with the time and the frame in which it was. */
export interface Derived<E extends RunEvent = RunEvent> {
  readonly event: E
  readonly at: Millis
  readonly frame: number
}

/** A frame of the recording. */
export interface Frame {
  readonly frame: number
  readonly at: Millis
  readonly given: ReadonlyArray<RunEvent>
  readonly derived: ReadonlyArray<RunEvent>
  /** `true` if the code was loaded for it, or nodes were reset in it: its plan and its schedule were made afresh. */
  readonly isAfresh: boolean
  /** `true` if the process stopped after it without having decided anything. */
  readonly isUndecided: boolean
}

export interface Recording {
  readonly frames: ReadonlyArray<Frame>
  /** Derived events of nodes by {@link slot}, in order. */
  readonly derived: ReadonlyMap<string, ReadonlyArray<Derived<NodeEvent>>>
  /** Outputs of steps by key and attempt. */
  readonly successes: ReadonlyMap<string, Extract<RunEvent, { readonly _tag: "AttemptSucceeded" }>>
  /** Keys of nodes that anything was derived for, in order. */
  readonly keys: ReadonlySet<NodeKey>
  readonly end: Derived | undefined
  /** The state after the last event. */
  readonly state: RunState.RunState
}

/** Names the derived events of one kind of a node. */
export const slot = (tag: RunEvent["_tag"], nodeId: string, iteration: number): string => `${tag} ${nodeKey(nodeId, iteration)}`

/** Names an attempt. */
export const attemptName = (nodeId: string, iteration: number, attempt: number): string =>
  `${nodeKey(nodeId, iteration)} ${attempt}`

const isEnd = ({ _tag }: RunEvent): boolean =>
  _tag === "RunFinished" || _tag === "RunFailed" || _tag === "RunCancelled" || _tag === "RunContinued"

/** Tells whether an event was given, by the state before it. Some that are usually derived are given where nodes are reset. */
const isGiven = (event: RunEvent, before: RunState.RunState, isAfresh: boolean): boolean => {
  switch (event._tag) {
    case "RunStarted":
    case "RunForked":
    case "RunResumed":
    case "CodeReloaded":
    case "DeadlineSet":
    case "AttemptSucceeded":
    case "AttemptFailed":
    case "AttemptInterrupted":
    case "ApprovalDecided":
    case "TaskAnswered":
    case "SignalReceived":
    case "SubflowEnded":
    case "LeaveRequested":
    case "RunPaused":
    case "RunUnpaused":
    case "DeadlineMoved":
    case "NodeReset":
      return true
    case "CancelRequested":
      return event.continuation === undefined
    case "WaitStarted":
      return event.isOfAttempt === true
    case "NodeFailed":
      return event.error.notRetried !== "plan"
    case "LoopAdvanced": {
      // A loop that is reopened begins no new pass.
      const loop = RunState.loop(before, event.nodeId, event.iteration)
      return isAfresh && loop?.base === event.base && loop.passes === event.pass + 1
    }
    case "LoopMounted": {
      const loop = RunState.loop(before, event.nodeId, event.iteration)
      return isAfresh && (loop?.mounting?.count ?? 0) > event.mountCount
    }
    case "PartsDecided":
      return isAfresh && RunState.boundary(before, event.nodeId, event.iteration)?.status === "interrupted"
    case "BoundaryHalted": {
      const isCaughtAgain = event.isCaught && event.cause !== undefined && event.left === undefined
      return isAfresh && isCaughtAgain && RunState.boundary(before, event.nodeId, event.iteration)?.status === "interrupted"
    }
    default:
      return false
  }
}

/** Groups entries by frame. */
const byFrame = (entries: ReadonlyArray<Entry>): ReadonlyArray<ReadonlyArray<Entry>> => {
  const groups: Array<Array<Entry>> = []
  for (const entry of entries) {
    const last = groups.at(-1)
    if (last?.[0]?.frame === entry.frame) last.push(entry)
    else groups.push([entry])
  }
  return groups
}

/** The run before its first event. */
export const initial = ({
  runId,
  workflow,
  version,
  input,
  parent,
  budgets = [],
  depth = 0,
  chain,
}: RunHistory): RunState.RunState => ({
  ...RunState.empty(runId),
  workflow,
  version,
  input,
  parent,
  budgets,
  depth,
  chain,
})

/** Reads a recording from the log of a run, from a state on. */
export const make = (log: ReadonlyArray<Entry>, start: RunState.RunState): Recording => {
  let state = start
  const frames: Array<Frame> = []
  const derivedOf = new Map<string, Array<Derived<NodeEvent>>>()
  const successes = new Map<string, Extract<RunEvent, { readonly _tag: "AttemptSucceeded" }>>()
  const keys = new Set<NodeKey>()
  let end: Derived | undefined
  const groups = byFrame(log)
  for (const [index, entries] of groups.entries()) {
    const [first] = entries
    if (first === undefined) continue
    const { frame } = first
    // It was a valid time when it was written.
    const at = first.at as Millis
    // Whoever reverts a run has no schedule.
    const isReverted = entries.some(({ event }) => event._tag === "RunReverted")
    const isAfresh = isReverted || entries.some(({ event }) => event._tag === "RunResumed" || event._tag === "NodeReset")
    const [given, derived]: [Array<RunEvent>, Array<RunEvent>] = [[], []]
    for (const { event } of entries) {
      const isOutside = event._tag !== "PlanChanged" && (isReverted || isGiven(event, state, isAfresh))
      if (isOutside) given.push(event)
      else if (event._tag !== "PlanChanged") derived.push(event)
      state = RunState.apply(state, event, at)
      if (event._tag === "AttemptSucceeded") successes.set(attemptName(event.nodeId, event.iteration, event.attempt), event)
      if (event._tag === "RunResumed" || event._tag === "RunReverted") end = undefined
      if (isEnd(event)) end = { event, at, frame }
    }
    state = RunState.committed(state, frame)
    for (const event of derived) {
      if (!("nodeId" in event)) continue
      const key = nodeKey(event.nodeId, event.iteration)
      keys.add(key)
      const name = slot(event._tag, event.nodeId, event.iteration)
      const others = derivedOf.get(name)
      const made = { event, at, frame }
      if (others === undefined) derivedOf.set(name, [made])
      else others.push(made)
    }
    const isBeforeResume =
      groups[index + 1]?.some(({ event }) => event._tag === "RunResumed" || event._tag === "RunReverted") === true
    frames.push({ frame, at, given, derived, isAfresh, isUndecided: isReverted || (derived.length === 0 && isBeforeResume) })
  }
  return { frames, derived: derivedOf, successes, keys, end, state }
}
