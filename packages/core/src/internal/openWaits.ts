/**
 * Open waits. The record of a wait holds all about it, so input is applied wherever the record is checked. If an open wait's
 * request depends on reads that change, the request is computed again.
 */
import * as Either from "effect/Either"
import type { ErrorInfo } from "../ErrorInfo.ts"
import type { NodeId, NodeKey } from "../Ids.ts"
import type * as Millis from "../Millis.ts"
import * as Plan from "../Plan.ts"
import * as Records from "../Records.ts"
import type { Waiting } from "../RunResult.ts"
import { defined } from "../Struct.ts"
import type { Agenda, Rank } from "./agenda.ts"
import type { Conditions } from "./conditions.ts"
import type { Intervals } from "./intervals.ts"
import type { Journal } from "./journal.ts"
import { Phase } from "./phase.ts"
import type { ReadTracker } from "./readTracker.ts"
import { errorOf, type View } from "./view.ts"
import * as Waits from "./waits.ts"
import * as Watchers from "./watchers.ts"
import type { Withdrawals } from "./withdrawals.ts"
import * as Workplace from "./workplace.ts"

/** The schedule that open waits belong to. */
export interface Host {
  readonly plan: Plan.Plan
  readonly view: View
  readonly phases: Uint8Array
  readonly journal: Journal
  readonly agenda: Agenda
  readonly reads: ReadTracker
  readonly evaluate: Conditions["evaluate"]
  readonly intervals: Pick<Intervals, "endOf" | "forget">
  /** `false` while the run is paused, when deadlines do not pass. */
  readonly isTicking: () => boolean
  /** Validates input for a wait, and keeps it as the node's output. */
  readonly accept: ((wait: Plan.Wait, key: NodeKey, value: unknown) => Waits.Accepted) | undefined
  readonly encodeInput: Waits.EncodeInput | undefined
  /** Readies a step whose gate was passed. */
  readonly enqueue: (position: number) => void
  /** Counts in, or out, a child run that is awaited. */
  readonly countChild: (key: NodeKey, isOpen: boolean) => void
  readonly fail: (position: number, error: ErrorInfo) => void
  /** Tells whether a node is in a scope that is being left early. */
  readonly isLeft: (position: number) => boolean
  readonly withdrawals: Pick<Withdrawals, "close">
}

export interface OpenWaits {
  /** Opens the wait of a node, or continues the one in its record, and checks it. */
  readonly openWait: (position: number, node: Plan.Wait) => void
  /** Starts a step if the request of its gate is the approved one; otherwise requests approval again. */
  readonly checkGate: (position: number, gate: Plan.Wait) => void
  /** Ends an open wait if its input or its deadline says so. */
  readonly evaluateWait: (position: number) => void
  /** Schedules the deadline of an open wait. */
  readonly watchTime: (position: number) => void
  /** Continues a wait that an attempt of a step requested. */
  readonly goOn: (position: number) => void
  /** Waits for a child run whose node a new schedule has not reached. */
  readonly reattach: (position: number) => void
  /** Drops a wait that is given up. */
  readonly drop: (position: number) => void
  readonly rankOf: (position: number) => Rank
  /** Marks open waits that have read an output as stale: their requests may have changed. */
  readonly markStale: (output: { readonly nodeId: NodeId; readonly table?: string | undefined }) => void
  /** Computes the request of the first stale wait again. Returns whether there was one. */
  readonly renewStale: () => boolean
  /** In document order. */
  readonly positions: () => ReadonlyArray<number>
  readonly isAnyOpen: () => boolean
  /** Open waits and retries, in document order. */
  readonly waiting: () => ReadonlyArray<Waiting>
}

/** Names of the authors' functions that compute requests. */
const functionNames = {
  approval: "request",
  human: "prompt",
  signal: "correlation",
  subflow: "input",
  timer: "until",
  continuation: "input",
}

const nameOf = ({ target }: Plan.Wait): string => {
  if (target.kind !== "timer" || target.isSpan !== true) return functionNames[target.kind]
  return target.isTimeout === true ? "timeout" : "duration"
}
const unranked: Rank = { since: Number.POSITIVE_INFINITY, asked: 0 }

const isChildCancelled = ({ target: { kind } }: Plan.Wait, { child }: Records.Wait): boolean =>
  kind === "subflow" && child?.status === "cancelled"

/** Tells whether the request of a wait never changes: the input of a child run, and a time. */
const isFixed = ({ target: { kind } }: Plan.Wait): boolean => kind === "subflow" || kind === "timer"

/** The open waits of a schedule. */
export const make = (host: Host): OpenWaits => {
  const { plan, view, phases, journal, agenda, reads, evaluate, intervals, isTicking, accept, enqueue, fail, isLeft } = host
  const { withdrawals } = host
  const { state, now, emit } = journal
  const open = new Set<number>()
  const mark = (position: number, isOpen: boolean): void => {
    if (isOpen) open.add(position)
    else open.delete(position)
    if (Plan.isAttachedChild(plan.node(position))) host.countChild(view.keyOf(position), isOpen)
  }
  /** Waits by the reads of their requests: nodes, and tables (`/<table>`) that no node had written. */
  const watchers = Watchers.make()
  /** Open waits whose request may have changed by an output that they had read. */
  const staleWaits = new Set<number>()
  /** Child runs that have timed out; their results are awaited nevertheless. */
  const cancelledChildren = new Set<number>()

  /** The wait of a node: itself, or the gate of a step. */
  const waitOf = (position: number): Plan.Wait | undefined => {
    const node = plan.leaf(position)
    return node._tag === "Step" ? node.gate : node
  }
  const request = (position: number, node: Plan.Wait) => {
    const note = reads.noteFor(position)
    const made = Waits.requestOf(node, view.context(position), now(), state(), view.iterationOf(position), (read) => {
      note(read)
      if (isFixed(node)) return
      watchers.watch(position, read)
    })
    return Plan.isAttachedChild(node) && made.request !== undefined
      ? { ...made, request: Workplace.withPlaces(made.request, plan, position, state().runId) }
      : made
  }
  const asked = (position: number, node: Plan.Wait) => evaluate(position, () => request(position, node), nameOf(node))

  const openWait: OpenWaits["openWait"] = (position, node) => {
    if (node.target.kind === "continuation") return continueAsNew(position, node.target)
    mark(position, false)
    const record = view.stepRecord(position)
    const { kind } = node.target
    const begun = record?.status === "waiting" && record.wait?.kind === kind ? record.wait : undefined
    const kept = record?.status === "withdrawn" && record.wait?.kind === kind ? Records.keptWait(record) : undefined
    // The input of a child run and the time of a timer never change; any other request is computed again.
    if (begun === undefined || !isFixed(node)) {
      const wanted = kind === "subflow" && kept !== undefined ? kept : asked(position, node)
      if (wanted === undefined) return
      if ((begun === undefined || !Waits.isSame(begun, wanted)) && !start(position, node, wanted, kept)) return
    }
    phases[position] = Phase.waiting
    mark(position, true)
    watchTime(position)
    agenda.checkWait(position)
  }
  /** Asks for the end of the run, for a successor. The node itself never ends, and has no record. */
  const continueAsNew = (position: number, target: Extract<Plan.WaitTarget, { readonly kind: "continuation" }>): void => {
    const asked = evaluate(
      position,
      () => [Waits.continuationInput(target, view.context(position), state(), reads.noteFor(position), host.encodeInput)] as const,
      "input",
    )
    if (asked === undefined) return
    phases[position] = Phase.idle
    const [input] = asked
    const place = { nodeId: plan.id(position), iteration: view.iterationOf(position) }
    emit({ _tag: "CancelRequested", continuation: { ...place, failures: state().failureCount, ...defined({ input }) } })
  }
  /** Begins a wait. Returns `false` if its author's function gave no valid time, which fails the node. */
  const start = (
    position: number,
    node: Plan.Wait,
    wanted: Waits.Request | Records.Wait,
    kept: Records.Wait | undefined,
  ): boolean => {
    const isKept = kept !== undefined && Waits.isSame(kept, wanted)
    const limits = evaluate(
      position,
      () => [Waits.limitOf(node, () => view.context(position), now(), state(), reads.noteFor(position))] as const,
      node.computeTimeout === undefined ? "deadline" : "timeout",
    )
    if (limits === undefined) return false
    const [limit] = limits
    const { kind } = node.target
    if (kind === "continuation") return false
    // The time of a kept timer does not change either.
    const deadline = "due" in wanted ? (isKept ? kept.deadline : wanted.due) : limit
    const { request, digest, name, correlation } = wanted
    emit({
      _tag: "WaitStarted",
      nodeId: node.id,
      iteration: view.iterationOf(position),
      kind,
      ...defined({ request, digest, name, correlation, deadline }),
      ...(isKept ? { isKept } : {}),
      ...reads.readsOf(position),
    })
    return true
  }

  const watchTime: OpenWaits["watchTime"] = (position) => {
    const wait = view.stepRecord(position)?.wait
    const at = wait?.deadline
    if (wait === undefined || at === undefined) return
    agenda.schedule({ do: "checkWait", position, key: view.keyOf(position), at, due: endOf(position, wait, at) })
  }
  /** The end of a wait. A timer until a time of day, and a limit of an agent, follow the wall clock. */
  const endOf = (position: number, { kind }: Records.Wait, deadline: Millis.Millis): number => {
    const target = kind === "timer" ? waitOf(position)?.target : undefined
    const isOfDay = target?.kind === "timer" && typeof target.due === "function" && target.isSpan !== true
    return kind === "quota" || isOfDay ? deadline : intervals.endOf(view.keyOf(position), deadline)
  }

  const evaluateWait: OpenWaits["evaluateWait"] = (position) => {
    const wait = phases[position] === Phase.waiting ? view.stepRecord(position)?.wait : undefined
    if (wait?.isOfAttempt === true) return evaluateRequest(position, wait)
    const node = waitOf(position)
    if (node === undefined || wait === undefined) return
    // A decision about an older request does not count.
    if (staleWaits.delete(position)) return openWait(position, node)
    const iteration = view.iterationOf(position)
    const key = view.keyOf(position)
    const isGate = plan.node(position)._tag === "Step"
    const isOver = isTicking() && wait.deadline !== undefined && endOf(position, wait, wait.deadline) <= now()
    const { refused, ending, isGivenUp } = Waits.judge(node, key, wait, state().signals, isOver, (value) =>
      isGate ? Either.right(undefined) : (accept?.(node, key, value) ?? Either.left(["it cannot be validated here"])),
    )
    if (isGivenUp === true && !cancelledChildren.has(position)) {
      cancelledChildren.add(position)
      journal.interrupt(key, "cancelled")
    }
    for (const refusal of refused) emit({ ...refusal, nodeId: node.id, iteration })
    if (ending === undefined) return
    // The input that ends it came later than what was refused, and other waits may come before it.
    if (refused.length > 0) return agenda.checkWait(position)
    if (isChildCancelled(node, wait) && isLeft(position)) {
      // It was cancelled because its scope is left; nothing has failed.
      drop(position)
      const record = view.stepRecord(position)
      if (record !== undefined) withdrawals.close(record, "left")
      return
    }
    intervals.forget(key)
    mark(position, false)
    phases[position] = Phase.running
    const isPassed = isGate && ending.status === "finished"
    const passed = isPassed ? ({ status: "passed" } as const) : {}
    const read = isFixed(node) ? {} : reads.readsOf(position)
    emit({ _tag: "WaitEnded", nodeId: node.id, iteration, ...ending, ...passed, ...read })
    markStale({ nodeId: node.id, table: ending.table })
    if (isPassed) enqueue(position)
    else if (ending.status === "failed") fail(position, errorOf(ending))
    else agenda.complete(position)
  }
  /** Ends a wait that an attempt requested: the next attempt starts, and reads what was decided. */
  const evaluateRequest = (position: number, wait: Records.Wait): void => {
    const { kind, decision, deadline } = wait
    const isOver = isTicking() && deadline !== undefined && endOf(position, wait, deadline) <= now()
    if (decision === undefined && !isOver) return
    const key = view.keyOf(position)
    intervals.forget(key)
    mark(position, false)
    const reason = decision !== undefined ? "decided" : kind === "quota" ? "fired" : "timed-out"
    emit({ _tag: "WaitEnded", nodeId: plan.id(position), iteration: view.iterationOf(position), reason, status: "passed" })
    enqueue(position)
  }
  const markStale: OpenWaits["markStale"] = (output) => {
    for (const position of watchers.of(output)) if (open.has(position)) staleWaits.add(position)
  }

  const drop = (position: number): void => {
    phases[position] = Phase.idle
    mark(position, false)
  }

  const describe = (position: number): Waiting => {
    const [nodeId, iteration, record] = [plan.id(position), view.iterationOf(position), view.stepRecord(position)]
    if (record?.wait === undefined || phases[position] !== Phase.waiting)
      return { nodeId, iteration, kind: "retry", deadline: record?.retryAt }
    const { kind, deadline, name } = record.wait
    const child = kind === "subflow" && name !== undefined ? { childRunId: name } : {}
    return { nodeId, iteration, kind, deadline, ...child }
  }

  return {
    openWait,
    checkGate: (position, gate) => {
      const approved = view.stepRecord(position)?.approved
      if (approved === undefined) return openWait(position, gate)
      const wanted = asked(position, gate)
      if (wanted !== undefined) return wanted.digest === approved ? enqueue(position) : openWait(position, gate)
    },
    evaluateWait,
    watchTime,
    goOn: (position) => {
      phases[position] = Phase.waiting
      mark(position, true)
      watchTime(position)
      agenda.checkWait(position)
    },
    reattach: (position) => {
      phases[position] = Phase.waiting
      mark(position, true)
      agenda.checkWait(position)
    },
    drop,
    rankOf: (position) => {
      const wait = phases[position] === Phase.waiting ? view.stepRecord(position)?.wait : undefined
      return wait === undefined
        ? unranked
        : { since: Waits.since(view.keyOf(position), wait, state().signals, now(), isTicking()), asked: wait.requestSeq }
    },
    markStale,
    renewStale: () => {
      if (staleWaits.size === 0) return false
      const first = [...staleWaits].reduce((least, position) => Math.min(least, position))
      const node = waitOf(first)
      staleWaits.delete(first)
      const isOfAttempt = view.stepRecord(first)?.wait?.isOfAttempt === true
      if (node !== undefined && open.has(first) && !isOfAttempt) openWait(first, node)
      return true
    },
    positions: () => inOrder(open),
    isAnyOpen: () => open.size > 0,
    waiting: () => inOrder(new Set([...open, ...agenda.retries().map(({ position }) => position)])).map(describe),
  }
}

const inOrder = (positions: Iterable<number>): ReadonlyArray<number> => [...positions].sort((left, right) => left - right)
