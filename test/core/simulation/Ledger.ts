/**
 * Keeps what was committed of one run, and refuses what must never be: an output committed twice, a finished step begun again,
 * a start in a part that nothing may start in any more, a step undone out of turn, a boundary left open, a gap in the numbers of
 * attempts, passes, frames or events.
 */
import { type NodeKey, nodeKey, scopeOfTimeout } from "@smithers/core/Ids"
import { compensationId, undoneBy } from "@smithers/core/Records"
import type { FailureCause, Leaving, RunEvent } from "@smithers/core/RunEvent"
import * as Behaviour from "./Behaviour.ts"
import * as Places from "./Places.ts"
import {
  type BoundarySpec,
  branchesOf,
  type Index,
  index,
  isBoundary,
  isRegion,
  meets,
  type Part,
  type PartSpec,
  parts,
  type RaceSpec,
  type Scenario,
  type ScopeSpec,
  type Spec,
  type StepSpec,
  type WaitSpec,
} from "./Scenario.ts"
import { Violation } from "./Violation.ts"
import { signalOf } from "./World.ts"

export { Violation } from "./Violation.ts"

export interface Entry {
  readonly at: number
  readonly event: RunEvent
}

interface Node {
  status: "running" | "waiting" | "interrupted" | "retrying" | "settled" | "withdrawn"
  attempt: number
  /** Of one that waits: when it may be over, and since when it asks. */
  asked?: { readonly order: number; readonly at: number; readonly deadline: number | undefined; readonly said: number | undefined }
}

/** A signal that nobody has taken. */
interface Sent {
  readonly id: string
  readonly name: string
  readonly correlation: string | undefined
  readonly payload: unknown
  readonly at: number
  readonly order: number
}

/** A boundary in one row. */
interface Bound {
  /** The event by which it began; 0 of a part. */
  readonly since: number
  isOpen: boolean
  /** Parts in which something failed for good that does not end there, or that were halted from outside. */
  readonly halted: Set<Part>
  /** The same before the frame that is taken. */
  haltedBefore: ReadonlySet<Part>
  isCaught: boolean
  /** Set with its last `BoundaryHalted`. */
  cause: FailureCause | undefined
  /** What its catch was begun for. */
  caught: FailureCause | undefined
  isTold: boolean
  /** It was not told yet with the frame of the failure. */
  isLate: boolean
  /** It was to be left with the frame before, and was not. */
  isDue: boolean
  /** How someone has asked for it to be left. */
  asked: Leaving["outcome"] | undefined
  /** Of a region that has not begun, and was asked to be left: it may never begin. */
  isAhead: boolean
  left: Leaving | undefined
  /** Of a race: who has won, in order. */
  winners: ReadonlyArray<string>
  /** Of a race or a list: it is decided which of its parts count. */
  isDecided: boolean
  /** It is over, and its other parts go on beside what follows. */
  isKeeping: boolean
  hasFired: boolean
}

interface Done {
  readonly order: number
  readonly output: unknown
}

export interface Ledger {
  readonly entries: ReadonlyArray<Entry>
  readonly frames: () => number
  readonly isEnded: () => boolean
  /** Whether a failure is being met: a boundary, or the run, waits for what is in flight, or does something on the way out. */
  readonly isHalting: () => boolean
  /** Takes a frame. */
  readonly commit: (frame: number, firstSeq: number, at: number, events: ReadonlyArray<RunEvent>, consumed?: number) => void
  /** Takes note that the code of a step was called. */
  readonly begin: (key: NodeKey, attempt: number, given: { readonly [name: string]: unknown }) => void
  /** Failed attempts that were committed. */
  readonly failures: ReadonlyMap<NodeKey, number>
  /** The passes that the loops around a row are in. */
  readonly place: (label: string, row: number) => string
  /** Whether an attempt is to be cut short: it stands in a region that is left, and does nothing on the way out. */
  readonly isCut: (key: NodeKey) => boolean
}

/** What the engine makes beside a node under an id of its own: what undoes a step, the timer of a region. */
type Beside = "undo" | "timeout" | undefined

/** The label of a node, and what is made beside that. */
export const locate = (nodeId: string): readonly [label: string, beside: Beside] => {
  const [timed, undone] = [scopeOfTimeout(nodeId), undoneBy(nodeId)]
  if (timed !== undefined) return [timed, "timeout"]
  return undone === undefined ? [nodeId, undefined] : [undone, "undo"]
}

/** The label of whatever failed: what has no id is told by its position. */
export const failedLabel = (plan: Index, nodeId: string): string =>
  nodeId.startsWith("#") ? (plan.layout[Number(nodeId.slice(1))] as string) : nodeId

export const make = ({ root, seed }: Pick<Scenario, "root" | "seed">, isReactive = false): Ledger => {
  const plan = index(root)
  const places = Places.make(plan)
  const entries: Array<Entry> = []
  const nodes = new Map<NodeKey, Node>()
  const outputs = new Map<NodeKey, Done>()
  const bounds = new Map<NodeKey, Bound>()
  const failures = new Map<NodeKey, number>()
  const passes = new Map<NodeKey, number>()
  const totals = new Map<string, number>()
  const begun = new Set<string>()
  /** Boundaries that were reset, and have not begun since. */
  const reset = new Set<NodeKey>()
  /** What was decided of races before they were reset, and what of it is kept as they start again. */
  const wonBefore = new Map<NodeKey, ReadonlyArray<string>>()
  const kept = new Map<NodeKey, Pick<Bound, "winners" | "isDecided">>()
  let frames = 0
  let isRootHalted = false
  let isRootHaltedBefore = false
  let isEnded = false
  let isPaused = false
  /** Its time stood still for a while, so that deadlines do not tell what came first. */
  let wasPaused = false
  let isCancelled = false
  /** Loops that found their end. */
  const over = new Set<NodeKey>()
  /** Regions, and parts of them, that are left by the frame that is taken, and those that finish by it. */
  let leftInFrame: ReadonlySet<NodeKey> = new Set()
  let finishedInFrame: ReadonlySet<NodeKey> = new Set()
  /** Waits that were to be withdrawn with a frame before. */
  const late = new Map<NodeKey, number>()
  let now = 0
  let sent: ReadonlyArray<Sent> = []
  /** Waits that are over: since when there was what ended them, and since when they had asked. */
  const ended = new Map<NodeKey, { readonly at: number; readonly order: number }>()

  const refuse = (problem: string): never => {
    throw new Violation(problem)
  }
  const limited = limitedIn(plan)
  const move = (key: NodeKey, from: ReadonlyArray<Node["status"]>, status: Node["status"], attempt?: number): void => {
    const node = nodes.get(key) ?? { status: "interrupted", attempt: 0 }
    if (!from.includes(node.status)) refuse(`${key} became ${status} while it was ${node.status}`)
    nodes.set(key, { status, attempt: attempt ?? node.attempt })
  }
  const running = (): ReadonlyArray<NodeKey> => [...nodes].flatMap(([key, { status }]) => (status === "running" ? [key] : []))
  const place = (label: string, row: number): string => places.place(label, row) ?? refuse(`${label} has no row ${row}`)

  const boundOf = (boundary: BoundarySpec, key: NodeKey): Bound | undefined => {
    const known = bounds.get(key)
    // Of a part nothing is said as long as it is not left.
    if (known !== undefined || boundary.kind !== "part") return known
    const bound = opened()
    bounds.set(key, bound)
    return bound
  }
  /** The boundaries around a node, the innermost first, but those that are over and let it go on beside what follows. */
  const around = (nodeId: string, row: number) => {
    const [label, beside] = locate(nodeId)
    const spec = plan.find(label)
    const own = beside === "timeout" && isBoundary(spec) ? [{ boundary: spec, row, part: "body" as const }] : []
    return [...own, ...places.around(label, row)].flatMap(({ boundary, row, part }) => {
      const key = nodeKey(boundary.label, row)
      const bound = boundOf(boundary, key) ?? refuse(`${nodeId}/${row} is in ${key}, which has not begun`)
      return bound.isKeeping ? [] : [{ boundary, key, bound, part }]
    })
  }
  /** Whether a boundary around a row is to begin again: what was done in it is of a time before. */
  const isBefore = (label: string, row: number): boolean =>
    places.around(label, row).some((outer) => reset.has(nodeKey(outer.boundary.label, outer.row)))
  const split = (key: NodeKey): readonly [nodeId: string, row: number] => {
    const at = key.lastIndexOf("/")
    return [key.slice(0, at), Number(key.slice(at + 1))]
  }
  /** Whether a row, or what undoes it, is inside an instance of a boundary. */
  const isIn = (boundary: NodeKey, key: NodeKey, ...parts: ReadonlyArray<Part>): boolean => {
    const [nodeId, row] = split(key)
    if (isBefore(locate(nodeId)[0], row)) return false
    return around(nodeId, row).some(({ key, part }) => key === boundary && (parts.length === 0 || parts.includes(part)))
  }

  /** Whether a row is of a pass that a loop made in its row. */
  const isInLoop = (loop: string, row: number, key: NodeKey): boolean => {
    const [nodeId, iteration] = split(key)
    let here = iteration
    for (let up = plan.loopOf(locate(nodeId)[0]); up !== undefined; up = plan.loopOf(up.label)) {
      here = places.outer(up.label, here)
      if (up.label === loop) return here === row
    }
    return false
  }
  /** Something at a row failed for good, of `failed`: nothing more starts in the parts around it, as far as nothing catches it. */
  const fail = (label: string, row: number, failed = label, isTold = false): void => {
    // It comes too late where what is around it is left.
    if (!isTold && isCutShort(label, row)) return
    const chain = around(label, row)
    for (const [at, { boundary, key, bound, part }] of chain.entries()) {
      const out = chain.slice(at)
      const last = out.findIndex((one) => one.part === "finally" && one.boundary.kind === "try")
      if (out.slice(0, last < 0 ? out.length : last).some((one) => one.bound.left !== undefined)) return
      // What fails on a way out does not fail what is left meanwhile.
      const isFromLast = chain.slice(0, at).some((one) => one.part === "finally" && one.boundary.kind === "try")
      if (isFromLast && leftInFrame.has(key)) return
      if (finishedInFrame.has(key) && (boundary.kind === "race" || boundary.kind === "list") && boundary.rest === "keep") continue
      const isMet = part === "body" && meets(seed, boundary, failed)
      bound.isCaught ||= isMet && !bound.halted.has("body")
      bound.halted.add(part)
      if (isMet) return
    }
    isRootHalted = true
  }
  /**
   * Refuses what starts where nothing may. What follows by the plan alone may follow from what came before the failure in its frame,
   * and stands behind both.
   */
  const start = (what: string, label: string, row: number, isAttempt = false): void => {
    for (const { boundary, key, bound, part } of around(label, row)) {
      if (!bound.isOpen) refuse(`${what} started in ${key}, which was left`)
      if ((isAttempt ? bound.halted : bound.haltedBefore).has(part))
        refuse(`${what} started in the ${part} of ${key}, which was halted`)
      if (part === "catch" && !bound.isCaught) refuse(`${what} started in the catch of ${key}, which caught nothing`)
      const before: ReadonlyArray<Part> = part === "body" ? [] : part === "catch" ? ["body"] : ["body", "catch"]
      const late = running().find((other) => isIn(key, other, ...before))
      if (before.length > 0 && late !== undefined) refuse(`${what} started in the ${part} of ${key} while ${late} ran`)
      // What is done on the way out is done whatever happened further out.
      if (part === "finally" && boundary.kind === "try") return
    }
    if (isAttempt ? isRootHalted : isRootHaltedBefore) refuse(`${what} was started after a step had failed for good`)
    if (isAttempt && isCancelled) refuse(`${what} was started after the run was cancelled`)
  }
  const spec = (label: string): StepSpec => plan.find(label) as StepSpec
  const isUndone = (key: NodeKey): boolean => {
    const [label, row] = split(key)
    return nodes.get(nodeKey(compensationId(label), row))?.status === "settled"
  }
  /** Steps that an instance of a saga still has to undo, the one that finished last before the others. */
  const leftToUndo = (saga: NodeKey): ReadonlyArray<NodeKey> =>
    [...outputs]
      .filter(([key]) => !key.includes("~") && spec(split(key)[0]).kind === "step" && spec(split(key)[0]).undo !== "none")
      .filter(([key]) => isIn(saga, key) && !isUndone(key))
      .sort(([, left], [, right]) => right.order - left.order)
      .map(([key]) => key)
  const startUndoing = (key: NodeKey, label: string, row: number): void => {
    const saga = around(label, row).find(({ boundary, bound }) => boundary.kind === "saga" && bound.isOpen && bound.halted.size > 0)
    if (saga === undefined) return refuse(`${key} started, and no saga around it is left by a failure`)
    const busy = running().find((other) => isIn(saga.key, other))
    if (busy !== undefined) refuse(`${key} started while ${busy} ran`)
    const [last] = leftToUndo(saga.key)
    if (last !== nodeKey(label, row)) refuse(`${key} started before ${last} was undone, which finished later`)
  }

  const note = (
    { nodeId, iteration }: { readonly nodeId: string; readonly iteration: number },
    change: Partial<NonNullable<Node["asked"]>>,
  ): void => {
    const node = nodes.get(nodeKey(nodeId, iteration))
    // Of two decisions, or answers, the first counts.
    if (node?.asked === undefined || (change.said !== undefined && node.asked.said !== undefined)) return
    node.asked = { ...node.asked, ...change }
  }
  /** Refuses a loop to go on while something of its pass does. */
  const refuseBusy = (what: string, loop: string, row: number): void => {
    for (const [key, { status }] of nodes) {
      if (status !== "running") continue
      const [nodeId, iteration] = split(key)
      const [label] = locate(nodeId)
      if (plan.loopOf(label)?.label === loop && iteration === row) refuse(`${what} while ${key} was ${status}`)
    }
  }

  // Regions that are left early.
  /** Whether a node stands in a region that is left, and does nothing on the way out. */
  const isCutShort = (nodeId: string, row: number): boolean => {
    for (const { boundary, key, bound, part } of around(nodeId, row)) {
      if (part === "finally" && boundary.kind === "try") return false
      if (bound.left !== undefined || leftInFrame.has(key)) return true
    }
    return false
  }
  const isFor = (key: NodeKey, spec: WaitSpec, { name, correlation, payload, at, order }: Sent): boolean => {
    const wanted = signalOf(spec)
    const asked = nodes.get(key)?.asked
    const isLate = !spec.isTransient || (asked !== undefined && at >= asked.at && order > asked.order)
    return name === wanted.name && correlation === wanted.correlation && typeof payload === "object" && isLate
  }
  /** When the first of what comes for an open wait came, or its time is over; `Infinity` where nothing has. */
  const cameAt = (spec: WaitSpec, row: number): number => {
    const key = nodeKey(spec.label, row)
    const { said, deadline } = nodes.get(key)?.asked ?? {}
    const signal = spec.on === "signal" ? sent.find((one) => isFor(key, spec, one))?.at : undefined
    const due = deadline !== undefined && deadline <= now && !wasPaused ? deadline : undefined
    return Math.min(said ?? Number.POSITIVE_INFINITY, signal ?? Number.POSITIVE_INFINITY, due ?? Number.POSITIVE_INFINITY)
  }
  /** What a step, by its last row as far as a loop around it is not around the reader, has given. */
  const lastOf = (target: string, reader: string, row: number): unknown => {
    const loop = plan.loopOf(target)
    if (loop === undefined || plan.contains(loop.label, reader)) return valueIn(outputs.get(nodeKey(target, row)))
    const rows = [...outputs].flatMap(([key, done]) => {
      const [label, at] = split(key)
      return label === target && places.place(target, at)?.startsWith(place(reader, row)) === true ? [{ at, done }] : []
    })
    return valueIn(rows.sort((left, right) => right.at - left.at)[0]?.done)
  }
  const isHolding = (spec: ScopeSpec, row: number): boolean => {
    const looked = spec.needs.map(({ name, target }) => [name, lastOf(target, spec.label, row)] as const)
    return Behaviour.isLeft(seed, spec, Object.fromEntries(looked))
  }
  /** Whether a node is an item of a settled list in what is left with its value by this frame: the list says at once of each item how it ended. */
  const isSettledAround = (nodeId: string, row: number): boolean => {
    const spec = plan.find(nodeId)
    const list = plan.parent(nodeId)
    if (spec.kind !== "part" || list?.kind !== "list" || !list.isSettled) return false
    return around(nodeId, row).some(({ key }) => leftInFrame.has(key))
  }
  /** Refuses to leave a region, or a part of one, without a reason. */
  const expectReason = (key: NodeKey, spec: BoundarySpec, bound: Bound, { outcome, trigger }: Leaving): void => {
    const [label, row] = split(key)
    const up = plan.parent(label)
    const group = spec.kind === "part" && up !== undefined ? bounds.get(nodeKey(up.label, row)) : undefined
    const isWinner = spec.kind === "part" && group?.winners.includes(spec.key) === true
    const isRest = group?.isDecided === true && !isWinner && outcome === "cancelled"
    const holds = {
      condition: () => spec.kind === "scope" && spec.leaves === outcome && isHolding(spec, row),
      request: () => bound.asked === outcome,
      timeout: () => bound.hasFired && outcome === "cancelled",
      lost: () => isRest && up?.kind === "race",
      until: () => isRest && up?.kind === "list" && up.rest === "cancel",
    }
    if (!holds[trigger]()) refuse(`${key} was left as ${outcome} because of its ${trigger}, which is not so`)
  }
  /** Tells whether all in a part of the plan is over, as far as that can be told without asking anybody. */
  const isOverIn = (spec: Spec, row: number): boolean | undefined => {
    switch (spec.kind) {
      case "step":
      case "wait":
        return nodes.get(nodeKey(spec.label, row))?.status === "settled"
      case "sequence":
      case "parallel": {
        const inside = spec.children.map((child) => isOverIn(child, row))
        return inside.includes(false) ? false : inside.includes(undefined) ? undefined : true
      }
      case "branch":
        return undefined
      case "loop":
        return over.has(nodeKey(spec.label, row))
      case "part":
        return isOverIn(spec.body, row)
      default: {
        const bound = bounds.get(nodeKey(spec.label, row))
        return bound !== undefined && !bound.isOpen
      }
    }
  }
  const decide = (
    key: NodeKey,
    { winners, isDecided: isOver }: Pick<Extract<RunEvent, { readonly _tag: "PartsDecided" }>, "winners" | "isDecided">,
  ): void => {
    const [label, row] = split(key)
    const spec = plan.find(label)
    const bound = bounds.get(key)
    if ((spec.kind !== "race" && spec.kind !== "list") || bound?.isOpen !== true || bound.haltedBefore.size > 0 || bound.isDecided)
      return refuse(`it was decided of ${key}, which is not open`)
    const inside = branchesOf(spec)
    if (spec.kind === "race") decideRace(key, spec, row, bound, inside, winners ?? [], isOver === true)
    else {
      const isDone = (part: PartSpec): boolean => {
        const { left, isCaught } = bounds.get(nodeKey(part.label, row)) ?? opened()
        return left === undefined ? !isCaught && isOverIn(part, row) !== false : left.outcome === "completed"
      }
      const done = inside.filter(isDone).length
      if (isOver !== true || done < (spec.enough ?? Number.POSITIVE_INFINITY)) refuse(`${key} has enough with ${done} items`)
      bound.isDecided = true
    }
  }
  const decideRace = (
    key: NodeKey,
    spec: RaceSpec,
    row: number,
    bound: Bound,
    inside: ReadonlyArray<PartSpec>,
    winners: ReadonlyArray<string>,
    isOver: boolean,
  ): void => {
    const before = bound.winners
    const fresh = winners.slice(before.length)
    if (before.join() !== winners.slice(0, before.length).join()) refuse(`${key} was won by ${before}, and then by ${winners}`)
    if (new Set(winners).size !== winners.length || winners.length > spec.count) refuse(`${key} is won by ${winners}`)
    const boundOfPart = ({ label }: PartSpec) => bounds.get(nodeKey(label, row))
    for (const winner of fresh) {
      const part = inside.find(({ key }) => key === winner)
      if (part === undefined) return refuse(`${key} was won by ${winner}, which it has not`)
      const { left, isCaught } = boundOfPart(part) ?? opened()
      if (left === undefined ? isCaught : left.outcome !== "completed")
        refuse(`${part.label}/${row} won, and has nothing to win by`)
      if (left === undefined && isOverIn(part, row) === false) refuse(`${part.label}/${row} won before it was over`)
    }
    bound.winners = winners
    bound.isDecided = isOver
    const others = inside.filter((part) => !winners.includes(part.key))
    const isLost = (part: PartSpec): boolean => {
      const { left, isCaught, isTold } = boundOfPart(part) ?? opened()
      return left === undefined ? isCaught && isTold : left.outcome === "cancelled"
    }
    const mayCome = others.filter((part) => !isLost(part)).length
    if (isOver !== (winners.length === spec.count || winners.length + mayCome < spec.count))
      refuse(`${key} is${isOver ? "" : " not"} decided with ${winners.length} of ${spec.count}, and ${mayCome} to come`)
    if (winners.length < spec.count) return
    // Whoever has taken something has won, and has done so before the others.
    const last = inside.find((part) => part.key === fresh.at(-1))
    const wonAt = last?.body.kind === "wait" ? ended.get(nodeKey(last.body.label, row)) : undefined
    for (const { body, label } of others) {
      if (body.kind !== "wait") continue
      const waiting = nodes.get(nodeKey(body.label, row))
      // Of a race that failed and began again, a branch may have taken it before.
      const isAgain = (ended.get(nodeKey(body.label, row))?.order ?? 0) < bound.since
      if (waiting?.status === "settled" && !isAgain && spec.rest === "cancel" && !isLost(plan.find(label) as PartSpec))
        refuse(`${label}/${row} took what it waited for, and has not won ${key}`)
      const asked = waiting?.asked
      const isLeaving = bounds.get(nodeKey(label, row))?.left !== undefined
      if (waiting?.status !== "waiting" || asked === undefined || wonAt === undefined || isLeaving) continue
      const came = cameAt(body, row)
      if (came < wonAt.at || (came === wonAt.at && came < Number.POSITIVE_INFINITY && asked.order < wonAt.order))
        refuse(`${key} was won by ${winners} at ${wonAt.at}, and ${label} was first, at ${came}`)
    }
  }

  const take = (event: RunEvent): void => {
    if ((entries.length === 0) !== (event._tag === "RunStarted")) refuse(`event ${entries.length + 1} is ${event._tag}`)
    if (isEnded && event._tag !== "RunResumed") refuse(`${event._tag} after the run had ended`)
    switch (event._tag) {
      case "RunResumed":
        // Of parts that nothing was told of nothing is reset, either.
        for (const [key, { isTold, left }] of isEnded ? [...bounds] : [])
          if (!isTold && left === undefined && plan.find(split(key)[0]).kind === "part") bounds.delete(key)
        isRootHalted &&= !isEnded
        isCancelled &&= !isEnded
        isRootHaltedBefore = isRootHalted
        isEnded = false
        return
      case "NodeReset": {
        const key = nodeKey(event.nodeId, event.iteration)
        const [label, beside] = locate(event.nodeId)
        outputs.delete(key)
        failures.delete(key)
        over.delete(key)
        if (beside === undefined && plan.find(label).kind === "loop") {
          passes.set(key, 0)
          // What was going on in its passes is past, and so is what they gave.
          for (const other of [...outputs.keys()]) if (isInLoop(label, event.iteration, other)) outputs.delete(other)
          for (const [other, bound] of bounds) if (plan.contains(label, split(other)[0])) bound.isOpen = false
        } else if (beside === undefined && isBoundary(plan.find(label))) {
          wonBefore.set(key, bounds.get(key)?.winners ?? kept.get(key)?.winners ?? [])
          bounds.delete(key)
          kept.delete(key)
          reset.add(key)
        } else move(key, ["settled", "interrupted", "retrying", "waiting", "withdrawn"], "interrupted")
        return
      }
      case "AttemptStarted": {
        const key = nodeKey(event.nodeId, event.iteration)
        const [label, beside] = locate(event.nodeId)
        const isUndo = beside === "undo"
        const last = nodes.get(key)?.attempt ?? 0
        if (isPaused && !isCancelled) refuse(`${key} was started while the run was paused`)
        if (isUndo) startUndoing(key, label, event.iteration)
        else start(key, label, event.iteration, true)
        if (event.attempt !== last + 1) refuse(`attempt ${event.attempt} of ${key} follows attempt ${last}`)
        return move(key, ["interrupted", "retrying", "withdrawn"], "running", event.attempt)
      }
      case "AttemptSucceeded": {
        const key = nodeKey(event.nodeId, event.iteration)
        if (outputs.has(key)) refuse(`the output of ${key} was committed twice`)
        outputs.set(key, { order: entries.length, output: event.output })
        return move(key, ["running"], "settled", event.attempt)
      }
      case "AttemptFailed": {
        const key = nodeKey(event.nodeId, event.iteration)
        const [label, beside] = locate(event.nodeId)
        const isUndo = beside === "undo"
        failures.set(key, (failures.get(key) ?? 0) + 1)
        if (event.retryAt === undefined && event.isSoft !== true && !isUndo) fail(label, event.iteration)
        return move(key, ["running"], event.retryAt === undefined ? "settled" : "retrying", event.attempt)
      }
      case "AttemptInterrupted":
        return move(nodeKey(event.nodeId, event.iteration), ["running"], "interrupted", event.attempt)
      case "NodeFailed": {
        const [label, beside] = locate(event.nodeId)
        if (event.isSoft !== true && beside !== "undo") fail(label, event.iteration)
        return move(nodeKey(event.nodeId, event.iteration), ["interrupted", "withdrawn"], "settled")
      }
      case "NodeSkipped":
        start(nodeKey(event.nodeId, event.iteration), event.nodeId, event.iteration)
        return move(nodeKey(event.nodeId, event.iteration), ["interrupted", "withdrawn"], "settled")
      case "NodeWithdrawn": {
        const key = nodeKey(event.nodeId, event.iteration)
        const asked = event.isKept === true ? nodes.get(key)?.asked : undefined
        move(key, ["interrupted", "retrying", "waiting"], "withdrawn")
        const node = nodes.get(key)
        if (node !== undefined && asked !== undefined) node.asked = asked
        return
      }
      case "WaitStarted": {
        const key = nodeKey(event.nodeId, event.iteration)
        start(key, event.nodeId, event.iteration)
        const before = event.isKept === true ? nodes.get(key)?.asked : undefined
        move(key, ["interrupted", "withdrawn"], "waiting")
        const node = nodes.get(key)
        if (node !== undefined)
          node.asked = { order: before?.order ?? entries.length, at: now, deadline: event.deadline, said: before?.said }
        return
      }
      case "DeadlineMoved":
        return note(event, { deadline: event.deadline })
      case "ApprovalDecided":
      case "TaskAnswered":
        return note(event, { said: event.submittedAt ?? now })
      case "AnswerRefused":
        return note(event, { said: undefined })
      case "SignalReceived": {
        const { id, name, correlation, payload, submittedAt = now } = event
        sent = [...sent, { id, name, correlation, payload, at: submittedAt, order: entries.length }]
        return
      }
      case "WaitEnded": {
        const key = nodeKey(event.nodeId, event.iteration)
        if (isPaused && !isCancelled && (event.reason === "fired" || event.reason === "timed-out"))
          refuse(`${key} was over while the run was paused`)
        const [label, beside] = locate(event.nodeId)
        const spec = plan.find(label)
        const bound = beside === "timeout" && isBoundary(spec) ? bounds.get(nodeKey(label, event.iteration)) : undefined
        if (bound !== undefined) bound.hasFired = true
        const taken = sent.find(({ id }) => id === event.signalId)
        if (event.signalId !== undefined) {
          if (taken === undefined) refuse(`${key} took signal ${event.signalId}, which is not there`)
          if (taken !== undefined && spec.kind === "wait" && !isFor(key, spec, taken)) refuse(`${key} took what is not for it`)
          sent = sent.filter((signal) => signal !== taken)
        }
        if (event.status === "failed") fail(event.nodeId, event.iteration)
        if (event.status === "finished") {
          if (outputs.has(key)) refuse(`the output of ${key} was committed twice`)
          outputs.set(key, { order: entries.length, output: event.output })
        }
        if (spec.kind === "wait") {
          const asked = nodes.get(key)?.asked
          const signal = event.signalId === undefined ? undefined : taken?.at
          const at = event.reason === "fired" || event.reason === "timed-out" ? asked?.deadline : (signal ?? asked?.said)
          ended.set(key, { at: at ?? now, order: asked?.order ?? 0 })
        }
        return move(key, ["waiting"], event.status === "passed" ? "interrupted" : "settled")
      }
      case "LoopAdvanced": {
        const key = nodeKey(event.nodeId, event.iteration)
        const total = totals.get(event.nodeId) ?? 0
        // Taken up again in its last pass, for something in that to run again.
        if (over.delete(key) && event.pass + 1 === passes.get(key)) return
        start(`pass ${event.pass} of ${key}`, event.nodeId, event.iteration)
        if (event.pass > 0) refuseBusy(`pass ${event.pass} of ${key} began`, event.nodeId, event.base + event.pass - 1)
        if (event.pass !== (passes.get(key) ?? 0)) refuse(`pass ${event.pass} of ${key} follows ${passes.get(key) ?? 0} passes`)
        if (event.base + event.pass !== total)
          refuse(`pass ${event.pass} of ${key} has row ${event.base + event.pass}, not ${total}`)
        passes.set(key, event.pass + 1)
        totals.set(event.nodeId, total + 1)
        return places.note(event.nodeId, event.base + event.pass, event.iteration, event.pass)
      }
      case "LoopFinished": {
        const key = nodeKey(event.nodeId, event.iteration)
        const made = passes.get(key) ?? 0
        if (made > 0) refuseBusy(`${key} was over`, event.nodeId, (totals.get(event.nodeId) ?? 0) - 1)
        over.add(key)
        return
      }
      case "LeaveRequested": {
        const key = nodeKey(event.nodeId, event.iteration)
        const bound = bounds.get(key)
        if (bound === undefined) bounds.set(key, { ...opened(), asked: event.outcome, isAhead: true })
        else if (bound.asked !== undefined) refuse(`${key} was asked to be left twice`)
        else bound.asked = event.outcome
        return
      }
      case "PartsDecided": {
        const key = nodeKey(event.nodeId, event.iteration)
        if (!reset.has(key)) return decide(key, event)
        const { winners = [], isDecided = false } = event
        if (winners.join() !== wonBefore.get(key)?.join()) refuse(`${key} was won by ${wonBefore.get(key)}, and keeps ${winners}`)
        kept.set(key, { winners, isDecided })
        return
      }
      case "RunPaused":
      case "RunUnpaused":
        wasPaused = true
        isPaused = event._tag === "RunPaused"
        return
      case "CancelRequested":
        isCancelled = true
        return
      case "BoundaryStarted": {
        const key = nodeKey(event.nodeId, event.iteration)
        start(key, event.nodeId, event.iteration)
        const isPart = plan.find(event.nodeId).kind === "part"
        if (bounds.has(key) && !isPart) refuse(`${key} began twice`)
        if (!reset.delete(key) && isPart) refuse(`${key} is said to have begun`)
        bounds.set(key, { ...opened(), ...kept.get(key), since: entries.length })
        kept.delete(key)
        return
      }
      case "BoundaryHalted": {
        const key = nodeKey(event.nodeId, event.iteration)
        const spec = plan.find(event.nodeId) as BoundarySpec
        const bound = boundOf(spec, key)
        if (bound?.isOpen !== true) return refuse(`${key} was halted, and is not open`)
        if (bound.isAhead) start(key, event.nodeId, event.iteration)
        bound.isAhead = false
        const { cause, isCaught, left } = event
        if (left !== undefined && bound.left === undefined) {
          if (!isSettledAround(event.nodeId, event.iteration)) expectReason(key, spec, bound, left)
          bound.halted.add("body")
          Object.assign(bound, { left, isCaught: true, isTold: true })
          return
        }
        const isOwn = bound.left !== undefined && !isCaught
        if (isOwn && cause?.nodeId === event.nodeId) {
          if (bound.left?.trigger !== "timeout") refuse(`${key} was left, and then failed`)
          Object.assign(bound, { left: undefined, isCaught: false, cause })
          return fail(event.nodeId, event.iteration)
        }
        // A predicate that throws and a loop that finds no end leave no event of their own.
        if (cause !== undefined) {
          const [label] = locate(failedLabel(plan, cause.nodeId))
          fail(label, cause.iteration, label, true)
        }
        if (isCaught && !bound.isCaught) refuse(`${key} caught something, and nothing failed in it`)
        // What could not be undone fails a saga that would have gone on.
        if (!isCaught && bound.isCaught && bound.left === undefined && cause !== undefined)
          fail(event.nodeId, event.iteration, failedLabel(plan, cause.nodeId), true)
        if (!isCaught) bound.halted.add("catch")
        bound.halted.add("body")
        // What it caught is what its catch was begun for, whatever the catch is left by.
        Object.assign(bound, { isCaught, cause, isTold: true, ...(isCaught ? { caught: cause } : {}) })
        return
      }
      case "BoundaryEnded": {
        const key = nodeKey(event.nodeId, event.iteration)
        const spec = plan.find(event.nodeId) as BoundarySpec
        const bound = boundOf(spec, key)
        if (bound?.isOpen !== true) return refuse(`${key} was left, and is not open`)
        bound.isKeeping =
          bound.isDecided && bound.halted.size === 0 && (spec.kind === "race" || spec.kind === "list") && spec.rest === "keep"
        bound.isOpen = false
        const inside = [...bounds].find(
          ([other, { isOpen, isAhead }]) => isOpen && !isAhead && plan.find(split(other)[0]).kind !== "part" && isIn(key, other),
        )
        const busy = inside?.[0] ?? running().find((other) => isIn(key, other))
        if (busy !== undefined && !isSettledAround(event.nodeId, event.iteration)) refuse(`${key} was left while ${busy} went on`)
        const isSaga = spec.kind === "saga"
        const goesOn = bound.left?.outcome ?? (isSaga ? "compensated" : "caught")
        const isLeft = bound.halted.has("finally") || (bound.halted.size > 0 && !bound.isCaught) || bound.halted.has("catch")
        const givenUp = bound.cause === undefined && isCutShort(event.nodeId, event.iteration) ? "cancelled" : "failed"
        const status = isLeft ? givenUp : bound.halted.size > 0 ? goesOn : "finished"
        // One that was asked to be left when it had been passed over.
        const isPassed = spec.kind === "part" && bound.halted.size === 0 && event.status === "cancelled"
        if (event.status !== status && !isPassed) refuse(`${key} is ${event.status} instead of ${status}`)
        const left = isSaga && status !== "finished" ? leftToUndo(key) : []
        if (left.length > 0) refuse(`${key} was left before ${left.join(", ")} was undone`)
        return
      }
      case "RunFinished":
      case "RunCancelled":
      case "RunFailed": {
        if (running().length > 0) refuse(`the run ended while ${running().join(", ")} ran`)
        const open = [...bounds].flatMap(([key, { isOpen, isAhead }]) =>
          isOpen && !isAhead && plan.find(split(key)[0]).kind !== "part" ? [key] : [],
        )
        const waiting = [...nodes].find(([, { status }]) => status === "waiting" || status === "retrying")
        if (event._tag === "RunFinished" && waiting !== undefined)
          refuse(`the run finished while ${waiting[0]} was ${waiting[1].status}`)
        if (open.length > 0) refuse(`the run ended, and ${open.join(", ")} was left open`)
        if (isRootHalted && event._tag === "RunFinished") refuse("the run finished after a failure that nothing caught")
        isEnded = true
        for (const node of nodes.values()) if (node.status === "waiting" || node.status === "retrying") node.status = "withdrawn"
      }
    }
  }

  /** Boundaries in which something failed must have said so, if not where a process that stops told what still ended. */
  const expectTold = (): void => {
    // While the run is paused nothing follows from anything.
    if (isPaused && !isCancelled) return
    for (const [key, bound] of bounds) {
      const { isOpen, halted, isTold, isLate, isAhead } = bound
      const [label, row] = split(key)
      const spec = plan.find(label) as BoundarySpec
      if (!isOpen || isAhead) continue
      expectLeft(key, spec, bound, row)
      // Whatever is around a part tells of it.
      const group = spec.kind === "part" ? bounds.get(nodeKey(plan.parent(label)?.label ?? "", row)) : undefined
      const isSilent = spec.kind === "part" && (!bound.isCaught || group?.halted.has("body") === true)
      if (isSilent || isTold || !(halted.has("body") || halted.has("catch"))) continue
      if (isLate && !isReactive) refuse(`${key} was not halted by what failed in it`)
      bound.isLate = true
    }
  }
  /** What is around an open boundary is not left, or has halted it as well; and a region that is to be left is. */
  const expectLeft = (key: NodeKey, spec: BoundarySpec, bound: Bound, row: number): void => {
    if (isCancelled || isRootHalted) return
    for (const { key: outer, bound: out, part, boundary } of around(spec.label, row)) {
      // A try may be in its finally, and is told nothing then.
      const mayGoOn = spec.kind === "part" || (spec.kind === "try" && spec.last !== undefined)
      if (!mayGoOn && part === "body" && out.left !== undefined && out.isOpen && !bound.isTold)
        refuse(`${key} goes on in ${outer}, which is left`)
      if (out.halted.has(part) || !out.isOpen) return
      if (part === "finally" && boundary.kind === "try") break
    }
    if (!isRegion(spec) || bound.halted.size > 0) return
    const isDue = bound.asked !== undefined || (spec.kind === "scope" && isHolding(spec, row))
    // A process that stops tells what still ended, and draws nothing from it.
    if (isDue && bound.isDue) refuse(`${key} goes on, and is to be left`)
    bound.isDue = isDue
  }

  /** No group has more branches that have begun and are not over than places, but where one waits for another that has none. */
  const expectPlaces = (): void => {
    for (const group of limited) {
      const rows = new Map<number, Set<string>>()
      for (const [key, { status }] of nodes) {
        if (status !== "running" && status !== "waiting" && status !== "retrying") continue
        const [nodeId, at] = split(key)
        const [label, beside] = locate(nodeId)
        if (beside !== undefined || label === group.label || !plan.contains(group.label, label)) continue
        let row = at
        let branch = label
        for (let up = plan.parent(branch); up !== undefined && up.label !== group.label; up = plan.parent(up.label)) {
          if (up.kind === "loop") row = places.outer(up.label, row)
          branch = up.label
        }
        if (isLastPlace(label, branch) || isBeside(nodeId, at, branch)) continue
        rows.set(row, (rows.get(row) ?? new Set()).add(branch))
      }
      for (const [row, branches] of rows)
        if (branches.size > group.limit)
          refuse(`${[...branches].join(", ")} are at work in ${group.label}/${row}, which has ${group.limit} places`)
    }
  }
  /** What goes on beside what follows, in a branch that is over, has given its place back. */
  const isBeside = (nodeId: string, row: number, branch: string): boolean =>
    places
      .around(nodeId, row)
      .some(
        ({ boundary, row }) =>
          plan.contains(branch, boundary.label) && bounds.get(nodeKey(boundary.label, row))?.isKeeping === true,
      )

  /** What is done on the way out needs no place. */
  const isLastPlace = (label: string, branch: string): boolean => {
    for (
      let up = plan.parent(label), inner = label;
      up !== undefined && plan.contains(branch, up.label);
      inner = up.label, up = plan.parent(inner)
    )
      if (up.kind === "try" && plan.partOf(up, inner) === "finally") return true
    return false
  }

  /** Whether something was to be withdrawn with a frame before. A plan that does not settle may take some frames more. */
  const isLate = (key: NodeKey): boolean => {
    const frames = late.get(key) ?? 0
    late.set(key, frames + 1)
    return frames >= (isReactive ? 5 : 1)
  }
  /** Nobody may be asked any more for what is in a part that was given up. */
  const expectWithdrawn = (): void => {
    if (isPaused && !isCancelled) return
    for (const [key, { status }] of nodes) {
      if (status !== "waiting" && status !== "retrying") continue
      const [nodeId, row] = split(key)
      if (locate(nodeId)[1] === "undo") continue
      const loop = plan.loopOf(locate(nodeId)[0])
      if (loop !== undefined && row + 1 < (totals.get(loop.label) ?? 0)) {
        // A plan that does not settle is committed as it is, and what is past is withdrawn in the next frame.
        if (!isReactive || isLate(key)) refuse(`${key} is ${status} in a pass that is past`)
        continue
      }
      let isOnTheWayOut = false
      for (const { boundary, key: around_, bound, part } of around(nodeId, row)) {
        const isHalted = bound.haltedBefore.has(part) || (bound.isTold && bound.halted.has(part))
        const isGivenUp = !bound.isOpen || isHalted
        // A plan that does not settle is committed as it is.
        // Nor does a process that stops draw anything from an attempt that fails then.
        const mayBeLate = isReactive || status === "retrying"
        if (isGivenUp && (!mayBeLate || isLate(key))) refuse(`${key} is ${status} in the ${part} of ${around_}, which was given up`)
        if (isGivenUp) break
        isOnTheWayOut ||= part === "finally" && boundary.kind === "try"
        if (isOnTheWayOut) break
      }
      if (!isOnTheWayOut && isRootHaltedBefore) refuse(`${key} is ${status} in a run that was given up`)
    }
  }

  return {
    entries,
    frames: () => frames,
    isEnded: () => isEnded,
    isHalting: () => isRootHalted || [...bounds.values()].some(({ isOpen, halted }) => isOpen && halted.size > 0),
    commit: (frame, firstSeq, at, events, consumed = 0) => {
      if (frame !== frames + 1) refuse(`frame ${frame} follows frame ${frames}`)
      if (firstSeq !== entries.length + 1) refuse(`event ${firstSeq} follows event ${entries.length}`)
      // What was said may come to nothing, and is noted all the same.
      if (events.length === 0 && consumed === 0) refuse(`frame ${frame} is empty`)

      frames = frame
      now = at
      isRootHaltedBefore = isRootHalted
      leftInFrame = new Set(
        events.flatMap((event) => (event._tag === "BoundaryHalted" && event.left ? [nodeKey(event.nodeId, event.iteration)] : [])),
      )
      finishedInFrame = new Set(
        events.flatMap((event) =>
          event._tag === "BoundaryEnded" && event.status === "finished" ? [nodeKey(event.nodeId, event.iteration)] : [],
        ),
      )
      for (const bound of bounds.values()) bound.haltedBefore = new Set(bound.halted)
      for (const event of events) {
        take(event)
        entries.push({ at, event })
      }
      expectTold()
      expectWithdrawn()
      expectPlaces()
    },
    begin: (key, attempt, given) => {
      const node = nodes.get(key)
      if (node?.status !== "running" || node.attempt !== attempt) {
        refuse(
          `the code of ${key} was called for attempt ${attempt}, but it is ${node?.status ?? "not begun"} (${node?.attempt ?? 0})`,
        )
      }
      if (begun.has(`${key}/${attempt}`)) refuse(`the code of ${key} was called twice in attempt ${attempt}`)
      begun.add(`${key}/${attempt}`)
      const [nodeId, row] = split(key)
      const [label, beside] = locate(nodeId)
      const isUndo = beside === "undo"
      const same = (name: string, actual: unknown, wanted: unknown): void => {
        if (JSON.stringify(actual) !== JSON.stringify(wanted))
          refuse(`${key} was given ${JSON.stringify(actual)} as ${name} instead of ${JSON.stringify(wanted)}`)
      }
      for (const { name, target, pass } of isUndo ? [] : spec(label).needs) {
        const value = given[name] as { readonly [field: string]: unknown } | undefined
        if (pass === "caught") {
          const cause = around(label, row).find(({ boundary }) => boundary.label === target)?.bound.caught
          same(name, [value?.nodeId, value?.iteration], [cause?.nodeId, cause?.iteration])
        } else if (pass === "maybe") {
          const at = plan.loopOf(target) === undefined ? 0 : row
          const output = outputs.get(nodeKey(target, at))?.output as { readonly [field: string]: unknown } | undefined
          const isThere = output !== undefined
          same(name, value?.seen, isThere ? output.seen : undefined)
        }
      }
    },
    failures,
    place,
    isCut: (key) => {
      const [nodeId, row] = split(key)
      return locate(nodeId)[1] !== "undo" && isCutShort(nodeId, row)
    },
  }
}

/** The value of a step that is stored. */
const valueIn = (done: Done | undefined): unknown => {
  const stored = done?.output as { readonly row?: string } | undefined
  return stored?.row === undefined ? stored : { ...stored, row: Number(stored.row) }
}

/** Groups with a limit of which no branch needs another one: those may begin beyond it. */
const limitedIn = (plan: Index): ReadonlyArray<{ readonly label: string; readonly limit: number }> =>
  plan.nodes.flatMap((group) => {
    const limit = group.kind === "parallel" ? group.maxConcurrency : group.kind === "list" ? group.concurrency : undefined
    if (limit === undefined) return []
    const branches = parts(group)
    const isFree = branches.every((branch) =>
      plan.nodes.every((node) => {
        if (!plan.contains(branch.label, node.label) || !("needs" in node)) return true
        return node.needs.every(({ target }) => !plan.contains(group.label, target) || plan.contains(branch.label, target))
      }),
    )
    return isFree ? [{ label: group.label, limit }] : []
  })

const opened = (): Bound => ({
  since: 0,
  isOpen: true,
  halted: new Set(),
  haltedBefore: new Set(),
  isCaught: false,
  cause: undefined,
  caught: undefined,
  isTold: false,
  isLate: false,
  isDue: false,
  asked: undefined,
  isAhead: false,
  left: undefined,
  winners: [],
  isDecided: false,
  isKeeping: false,
  hasFired: false,
})
