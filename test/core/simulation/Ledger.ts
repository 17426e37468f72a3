/**
 * Keeps what was committed of one run, and refuses what must never be: an output committed twice, a finished step begun again,
 * a start in a part that nothing may start in any more, a step undone out of turn, a boundary left open, a gap in the numbers of
 * attempts, passes, frames or events.
 */
import { type NodeKey, nodeKey } from "@smithers/core/Ids"
import { compensationId } from "@smithers/core/Records"
import type { FailureCause, RunEvent } from "@smithers/core/RunEvent"
import * as Places from "./Places.ts"
import { type Index, index, isCatching, type Part, type Spec, type StepSpec } from "./Scenario.ts"

/** Something happened that must not. */
export class Violation extends Error {
  override readonly name = "Violation"
}

export interface Entry {
  readonly at: number
  readonly event: RunEvent
}

interface Node {
  status: "running" | "waiting" | "interrupted" | "retrying" | "settled" | "withdrawn"
  attempt: number
}

/** A boundary in one row. */
interface Bound {
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
}

/** The label of a node, and whether it is what undoes that. */
export const labelOf = (nodeId: string): readonly [label: string, isUndo: boolean] => {
  const label = nodeId.split("~")[0] as string
  return [label, nodeId !== label]
}

/** The label of whatever failed: what has no id is told by its position. */
export const failedLabel = (plan: Index, nodeId: string): string =>
  nodeId.startsWith("#") ? (plan.nodes[Number(nodeId.slice(1))] as Spec).label : nodeId

export const make = (root: Spec): Ledger => {
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
  let frames = 0
  let isRootHalted = false
  let isRootHaltedBefore = false
  let isEnded = false
  let isPaused = false
  let isCancelled = false
  /** Loops that found their end. */
  const over = new Set<NodeKey>()

  const refuse = (problem: string): never => {
    throw new Violation(problem)
  }
  const move = (key: NodeKey, from: ReadonlyArray<Node["status"]>, status: Node["status"], attempt?: number): void => {
    const node = nodes.get(key) ?? { status: "interrupted", attempt: 0 }
    if (!from.includes(node.status)) refuse(`${key} became ${status} while it was ${node.status}`)
    nodes.set(key, { status, attempt: attempt ?? node.attempt })
  }
  const running = (): ReadonlyArray<NodeKey> => [...nodes].flatMap(([key, { status }]) => (status === "running" ? [key] : []))
  const place = (label: string, row: number): string => places.place(label, row) ?? refuse(`${label} has no row ${row}`)

  const around = (label: string, row: number) =>
    places.around(label, row).map(({ boundary, row, part }) => {
      const key = nodeKey(boundary.label, row)
      const bound = bounds.get(key) ?? refuse(`${label}/${row} is in ${key}, which has not begun`)
      return { boundary, key, bound, part }
    })
  const split = (key: NodeKey): readonly [nodeId: string, row: number] => {
    const at = key.lastIndexOf("/")
    return [key.slice(0, at), Number(key.slice(at + 1))]
  }
  /** Whether a row, or what undoes it, is inside an instance of a boundary. */
  const isIn = (boundary: NodeKey, key: NodeKey, ...parts: ReadonlyArray<Part>): boolean => {
    const [nodeId, row] = split(key)
    return around(labelOf(nodeId)[0], row).some(({ key, part }) => key === boundary && (parts.length === 0 || parts.includes(part)))
  }

  /** Something at a row failed for good: nothing more starts in the parts around it, as far as nothing catches it. */
  const fail = (label: string, row: number): void => {
    for (const { boundary, bound, part } of around(label, row)) {
      const isMet = part === "body" && isCatching(boundary)
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

  const take = (event: RunEvent): void => {
    if ((entries.length === 0) !== (event._tag === "RunStarted")) refuse(`event ${entries.length + 1} is ${event._tag}`)
    if (isEnded && event._tag !== "RunResumed") refuse(`${event._tag} after the run had ended`)
    switch (event._tag) {
      case "RunResumed":
        isRootHalted &&= !isEnded
        isCancelled &&= !isEnded
        isRootHaltedBefore = isRootHalted
        isEnded = false
        return
      case "NodeReset": {
        const key = nodeKey(event.nodeId, event.iteration)
        const [label] = labelOf(event.nodeId)
        outputs.delete(key)
        failures.delete(key)
        over.delete(key)
        if (plan.find(label).kind === "loop") {
          passes.set(key, 0)
          // What was going on in its passes is past.
          for (const [other, bound] of bounds) if (plan.contains(label, split(other)[0])) bound.isOpen = false
        } else if (bounds.has(key)) bounds.set(key, opened())
        else move(key, ["settled", "interrupted", "retrying", "waiting", "withdrawn"], "interrupted")
        return
      }
      case "AttemptStarted": {
        const key = nodeKey(event.nodeId, event.iteration)
        const [label, isUndo] = labelOf(event.nodeId)
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
        const [label, isUndo] = labelOf(event.nodeId)
        failures.set(key, (failures.get(key) ?? 0) + 1)
        if (event.retryAt === undefined && event.isSoft !== true && !isUndo) fail(label, event.iteration)
        return move(key, ["running"], event.retryAt === undefined ? "settled" : "retrying", event.attempt)
      }
      case "AttemptInterrupted":
        return move(nodeKey(event.nodeId, event.iteration), ["running"], "interrupted", event.attempt)
      case "NodeFailed": {
        const [label, isUndo] = labelOf(event.nodeId)
        if (event.isSoft !== true && !isUndo) fail(label, event.iteration)
        return move(nodeKey(event.nodeId, event.iteration), ["interrupted", "withdrawn"], "settled")
      }
      case "NodeSkipped":
        start(nodeKey(event.nodeId, event.iteration), event.nodeId, event.iteration)
        return move(nodeKey(event.nodeId, event.iteration), ["interrupted", "withdrawn"], "settled")
      case "NodeWithdrawn":
        return move(nodeKey(event.nodeId, event.iteration), ["interrupted", "retrying", "waiting"], "withdrawn")
      case "WaitStarted": {
        const key = nodeKey(event.nodeId, event.iteration)
        start(key, event.nodeId, event.iteration)
        return move(key, ["interrupted", "withdrawn"], "waiting")
      }
      case "WaitEnded": {
        const key = nodeKey(event.nodeId, event.iteration)
        if (isPaused && !isCancelled && (event.reason === "fired" || event.reason === "timed-out"))
          refuse(`${key} was over while the run was paused`)
        if (event.status === "failed") fail(event.nodeId, event.iteration)
        if (event.status === "finished") {
          if (outputs.has(key)) refuse(`the output of ${key} was committed twice`)
          outputs.set(key, { order: entries.length, output: event.output })
        }
        return move(key, ["waiting"], event.status === "passed" ? "interrupted" : "settled")
      }
      case "LoopAdvanced": {
        const key = nodeKey(event.nodeId, event.iteration)
        const total = totals.get(event.nodeId) ?? 0
        // Taken up again in its last pass, for something in that to run again.
        if (over.delete(key) && event.pass + 1 === passes.get(key)) return
        start(`pass ${event.pass} of ${key}`, event.nodeId, event.iteration)
        if (event.pass !== (passes.get(key) ?? 0)) refuse(`pass ${event.pass} of ${key} follows ${passes.get(key) ?? 0} passes`)
        if (event.base + event.pass !== total)
          refuse(`pass ${event.pass} of ${key} has row ${event.base + event.pass}, not ${total}`)
        passes.set(key, event.pass + 1)
        totals.set(event.nodeId, total + 1)
        return places.note(event.nodeId, event.base + event.pass, event.iteration, event.pass)
      }
      case "LoopFinished":
        over.add(nodeKey(event.nodeId, event.iteration))
        return
      case "RunPaused":
      case "RunUnpaused":
        isPaused = event._tag === "RunPaused"
        return
      case "CancelRequested":
        isCancelled = true
        return
      case "BoundaryStarted": {
        const key = nodeKey(event.nodeId, event.iteration)
        start(key, event.nodeId, event.iteration)
        if (bounds.has(key)) refuse(`${key} began twice`)
        bounds.set(key, opened())
        return
      }
      case "BoundaryHalted": {
        const key = nodeKey(event.nodeId, event.iteration)
        const bound = bounds.get(key)
        if (bound?.isOpen !== true) return refuse(`${key} was halted, and is not open`)
        const { cause, isCaught } = event
        // A predicate that throws and a loop that finds no end leave no event of their own.
        if (cause !== undefined) fail(failedLabel(plan, cause.nodeId), cause.iteration)
        if (isCaught && !bound.isCaught) refuse(`${key} caught something, and nothing failed in it`)
        // What could not be undone fails a saga that would have gone on.
        if (!isCaught && bound.isCaught) fail(event.nodeId, event.iteration)
        if (!isCaught) bound.halted.add("catch")
        bound.halted.add("body")
        // What it caught is what its catch was begun for, whatever the catch is left by.
        Object.assign(bound, { isCaught, cause, isTold: true, ...(isCaught ? { caught: cause } : {}) })
        return
      }
      case "BoundaryEnded": {
        const key = nodeKey(event.nodeId, event.iteration)
        const bound = bounds.get(key)
        if (bound?.isOpen !== true) return refuse(`${key} was left, and is not open`)
        bound.isOpen = false
        const inside = [...bounds].find(([other, { isOpen }]) => isOpen && isIn(key, other))
        const busy = inside?.[0] ?? running().find((other) => isIn(key, other))
        if (busy !== undefined) refuse(`${key} was left while ${busy} went on`)
        const isSaga = plan.find(event.nodeId).kind === "saga"
        const goesOn = isSaga ? "compensated" : "caught"
        const isLeft = bound.halted.has("finally") || (bound.halted.size > 0 && !bound.isCaught) || bound.halted.has("catch")
        const status = isLeft ? "failed" : bound.halted.size > 0 ? goesOn : "finished"
        if (event.status !== status) refuse(`${key} is ${event.status} instead of ${status}`)
        const left = isSaga && status !== "finished" ? leftToUndo(key) : []
        if (left.length > 0) refuse(`${key} was left before ${left.join(", ")} was undone`)
        return
      }
      case "RunFinished":
      case "RunCancelled":
      case "RunFailed": {
        if (running().length > 0) refuse(`the run ended while ${running().join(", ")} ran`)
        const open = [...bounds].flatMap(([key, { isOpen }]) => (isOpen ? [key] : []))
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
      const { isOpen, halted, isTold, isLate } = bound
      if (!isOpen || isTold || !(halted.has("body") || halted.has("catch"))) continue
      if (isLate) refuse(`${key} was not halted by what failed in it`)
      bound.isLate = true
    }
  }

  /** Nobody may be asked any more for what is in a part that was given up. */
  const expectWithdrawn = (): void => {
    if (isPaused && !isCancelled) return
    for (const [key, { status }] of nodes) {
      if (status !== "waiting" && status !== "retrying") continue
      const [label, row] = split(key)
      if (label.includes("~")) continue
      let isOnTheWayOut = false
      for (const { boundary, key: around_, bound, part } of around(label, row)) {
        const isHalted = bound.haltedBefore.has(part) || (bound.isTold && bound.halted.has(part))
        if (!bound.isOpen || isHalted) refuse(`${key} is ${status} in the ${part} of ${around_}, which was given up`)
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
      isRootHaltedBefore = isRootHalted
      for (const bound of bounds.values()) bound.haltedBefore = new Set(bound.halted)
      for (const event of events) {
        take(event)
        entries.push({ at, event })
      }
      expectTold()
      expectWithdrawn()
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
      const [label, isUndo] = labelOf(nodeId)
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
  }
}

const opened = (): Bound => ({
  isOpen: true,
  halted: new Set(),
  haltedBefore: new Set(),
  isCaught: false,
  cause: undefined,
  caught: undefined,
  isTold: false,
  isLate: false,
})
