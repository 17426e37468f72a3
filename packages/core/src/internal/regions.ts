/**
 * Regions that can end early: scopes with conditions, races and lists. An event records each decision before its consequences,
 * so that another schedule leaves the same parts. Parts of a race or list that have begun are left like scopes; the others are
 * skipped.
 */
import { type NodeFailureName, TooManyItems } from "../Errors.ts"
import type { NodeId } from "../Ids.ts"
import * as Plan from "../Plan.ts"
import type * as Records from "../Records.ts"
import type { FailureCause, Leaving } from "../RunEvent.ts"
import * as RunState from "../RunState.ts"
import { defined } from "../Struct.ts"
import type { Agenda } from "./agenda.ts"
import type { Boundaries } from "./boundaries.ts"
import { caughtOf } from "./caught.ts"
import type { Conditions } from "./conditions.ts"
import type { Journal } from "./journal.ts"
import { Phase } from "./phase.ts"
import type { Places } from "./places.ts"
import type { ReadTracker } from "./readTracker.ts"
import { childPositions, type View } from "./view.ts"
import * as Watchers from "./watchers.ts"

/** The schedule that regions belong to. */
export interface Host {
  readonly plan: Plan.Plan
  readonly view: View
  readonly phases: Uint8Array
  /** Of a race or list: number of parts that have not ended. */
  readonly cursors: Int32Array
  readonly journal: Journal
  readonly agenda: Pick<Agenda, "begin" | "complete" | "settle" | "leave">
  readonly reads: Pick<ReadTracker, "noteFor">
  readonly conditions: Pick<Conditions, "holds">
  readonly places: Pick<Places, "open" | "release">
  readonly boundaries: () => Pick<Boundaries, "leave" | "discard" | "isGoingOn">
  readonly fail: (position: number, reason: FailureCause["reason"]) => void
  /** Continues after a node whose end was held. */
  readonly finish: (position: number) => void
}

export interface Regions {
  /** Begins a race or list, or continues it. */
  readonly begin: (position: number, node: Plan.Race | Plan.ForEach) => void
  /** Handles the end of a part of a race or list. */
  readonly finishPart: (position: number, part: number) => void
  /** Checks a race, a list or the conditions of a scope. */
  readonly settle: (position: number) => void
  /** Leaves a scope as it was requested. */
  readonly leaveAsRequested: (position: number) => void
  /** The outcome and reason of leaving a scope that has just begun, if it must be left. */
  readonly leavingOf: (position: number, scope: Plan.Scope) => Leaving | undefined
  /** Handles a new output: conditions of scopes that have read it are checked again. */
  readonly touch: (output: Watchers.Output) => void
  /** Continues the parts that a race or list in an ended scope has kept. */
  readonly goOnBeside: (scope: number) => void
  /** Tells whether the end of a node waits for kept parts inside it, and continues it afterwards. */
  readonly isHeld: (position: number) => boolean
  /** Fails a list that stays open for more items when nothing could add any. Returns whether there was one. */
  readonly giveUpOpen: () => boolean
  /** Tells whether kept parts have not ended. */
  readonly isAnyKept: () => boolean
  /** Tells whether a part is kept and has not ended. */
  readonly isKept: (part: number) => boolean
}

/** Number of ended items of a list, by their result. */
interface Tally {
  done: number
  failed: number
}

/** Throws if there are no items to begin with, or too many. */
export const checkItems = (nodeId: NodeId, { source, needs, excess, maxItems }: Plan.ForEach): true => {
  if (excess !== undefined) throw new TooManyItems({ nodeId, items: excess, maxItems })
  if (source?.asked.problem !== undefined) throw source.asked.problem
  if (source?.asked.isAsked === false) {
    const names = needs.flatMap(({ name, isOptional }) => (isOptional === true ? [] : [`"${name}"`]))
    throw new TypeError(`what it needs has no value (${names.join(", ")}): take it with $.maybe`)
  }
  return true
}

/** The regions of a plan. */
export const make = (host: Host): Regions => {
  const { plan, view, phases, cursors, journal, agenda, reads, conditions, places, fail } = host
  const { node: at, parent, end } = plan
  const { emit, state } = journal
  const watchers = Watchers.make()
  const tallies = new Map<number, Tally>()
  /** Races and lists that have ended while some of their parts have not. */
  const kept = new Set<number>()
  const held = new Set<number>()
  const recordOf = (group: number) => view.boundaryRecord(parent(group))
  const isOver = (part: number): boolean => phases[part] === Phase.done
  const keyOf = (part: number): string => {
    const node = at(part)
    return Plan.isPart(node) ? node.part.key : ""
  }
  const decide = (group: number, winners: ReadonlyArray<string> | undefined, isDecided: boolean): void => {
    const scope = parent(group)
    const key = { nodeId: plan.id(scope), iteration: view.iterationOf(scope) }
    emit({ _tag: "PartsDecided", ...key, ...defined({ winners }), ...(isDecided ? { isDecided: true } : {}) })
  }

  const begin: Regions["begin"] = (position, node) => {
    phases[position] = Phase.running
    kept.delete(position)
    places.open(position)
    const parts = childPositions(plan, position)
    cursors[position] = parts.length
    tallies.set(position, { done: 0, failed: 0 })
    watchNeeds(position)
    agenda.settle(position)
    const isLeaving = recordOf(position)?.isDecided === true && node.rest === "cancel"
    const isWon = node._tag === "Race" && node.rest === "cancel" && isWonUnbegun(position, node, parts)
    const winners = winnersOf(position)
    for (const part of parts.reverse()) {
      const isUnbegun = (isLeaving || isWon) && !winners.includes(keyOf(part)) && !view.hasBegun(part)
      if (isLeaving && isUnbegun) pass(position, part)
      else if (!isWon || !isUnbegun) agenda.begin(part)
    }
  }
  /** Tells whether enough branches of a race were completed from outside before it began: then no other begins. */
  const isWonUnbegun = (race: number, { count }: Plan.Race, parts: ReadonlyArray<number>): boolean => {
    const isCompleted = (part: number): boolean => {
      const record = view.boundaryRecord(part)
      // One that has begun may still fail as it is left.
      return record?.status === "running" && record.leaveRequest?.outcome === "completed" && !view.hasBegun(part + 1)
    }
    return winnersOf(race).length + parts.filter(isCompleted).length >= count
  }
  /** Tells whether a group still runs its kept parts: no region around it has ended, which would have given them up. */
  const isGoingOn = (group: number): boolean => {
    const status = recordOf(group)?.status
    if (status !== "running" && status !== "finished") return false
    for (let up = parent(parent(group)); up >= 0; up = parent(up)) {
      const isOver = phases[up] === Phase.done || phases[up] === Phase.failed
      if (isOver && Plan.isBoundary(at(up)) && !kept.has(up + 1)) return false
    }
    return true
  }
  const isHeld = (position: number): boolean => {
    // Its own parts continue beside it, with all that they keep.
    if (kept.has(position)) return false
    for (const group of kept) if (position < group && group < end(position) && isGoingOn(group)) return true
    return false
  }
  const winnersOf = (race: number): ReadonlyArray<string> => recordOf(race)?.winners ?? empty
  /** Skips a part in which nothing has begun. */
  const pass = (group: number, part: number): void => {
    host.boundaries().discard(part)
    cursors[group] = (cursors[group] ?? 0) - 1
  }
  const leaveRest = (group: number, trigger: Leaving["trigger"]): void => {
    const winners = winnersOf(group)
    for (const part of childPositions(plan, group)) {
      // A winner may run again, in a run that was resumed.
      if (isOver(part) || winners.includes(keyOf(part))) continue
      if (!view.hasBegun(part)) pass(group, part)
      else host.boundaries().leave(part, { outcome: "cancelled", trigger })
    }
  }
  const finishPart: Regions["finishPart"] = (position, part) => {
    cursors[position] = (cursors[position] ?? 0) - 1
    places.release(part)
    const tally = tallies.get(position)
    const record = view.boundaryRecord(part)
    if (tally !== undefined) {
      if (record?.status === "caught") tally.failed++
      else if (record?.status !== "cancelled") tally.done++
    }
    if (!kept.has(position)) return agenda.settle(position)
    if ((cursors[position] ?? 0) > 0) return
    kept.delete(position)
    for (const waiting of [...held]) {
      if (isHeld(waiting)) continue
      held.delete(waiting)
      const up = parent(waiting)
      const isOver = Plan.isBoundary(at(up)) ? !host.boundaries().isGoingOn(up) : phases[up] !== Phase.running
      if (!isOver) host.finish(waiting)
    }
  }

  const settle: Regions["settle"] = (position) => {
    const node = at(position)
    if (node._tag === "Scope") {
      if (phases[position] === Phase.done) return settleDone(position, node)
      if (!host.boundaries().isGoingOn(position)) return
      const left = conditionOf(position, node)
      if (left !== undefined) return host.boundaries().leave(position, left)
      const request = view.boundaryRecord(position)?.leaveRequest
      if (request !== undefined) agenda.leave(position, request.submittedAt ?? 0)
      return
    }
    if (phases[position] !== Phase.running) return
    if (node._tag === "Race") settleRace(position, node)
    if (node._tag === "ForEach") settleList(position, node)
  }
  const leaveAsRequested: Regions["leaveAsRequested"] = (position) => {
    const node = at(position)
    if (node._tag !== "Scope") return
    if (phases[position] === Phase.done) return settleDone(position, node)
    const request = requestOf(position)
    if (request !== undefined && host.boundaries().isGoingOn(position)) host.boundaries().leave(position, request)
  }
  /** Ends the record of a part that ended before a request to leave it was carried out; another schedule would leave it. */
  const settleDone = (position: number, { id }: Plan.Scope): void => {
    if (view.boundaryRecord(position)?.status !== "running") return
    const status = view.isPassedOver(position) ? "cancelled" : "finished"
    emit({ _tag: "BoundaryEnded", nodeId: id, iteration: view.iterationOf(position), status })
  }
  /** Continues once it is decided which parts count. */
  const conclude = (group: number, rest: "cancel" | "keep", trigger: Leaving["trigger"], end: () => void): void => {
    if (rest === "cancel") leaveRest(group, trigger)
    else if ((cursors[group] ?? 0) > 0) {
      kept.add(group)
      return end()
    }
    if (cursors[group] === 0) end()
  }
  const settleRace = (position: number, race: Plan.Race): void => {
    const { count, rest } = race
    if (recordOf(position)?.isDecided !== true) {
      const before = winnersOf(position)
      const known = new Set(before)
      const candidates = childPositions(plan, position).filter((part) => isOver(part) && !known.has(keyOf(part)) && isWon(part))
      if (candidates.length > 1) candidates.sort((left, right) => byEnd(endOf(left), endOf(right)) || left - right)
      const winners = [...before, ...candidates.slice(0, count - before.length).map(keyOf)]
      // Or too few branches are left to win.
      const isDecided = winners.length === count || winners.length + mayWin(position) < count
      if (isDecided || winners.length > before.length) decide(position, winners, isDecided)
      if (!isDecided) return
    }
    const winning = winnersIn(position)
    if (winning.some((part) => !isOver(part))) {
      if (rest === "cancel") leaveRest(position, "lost")
      return
    }
    const isLost = winning.filter(isWon).length < count
    conclude(position, isLost ? "cancel" : rest, "lost", () => {
      const failures = isLost ? failuresIn(position) : empty
      if (failures.length === 0) return agenda.complete(position)
      const message = `${failures.length} of its ${childPositions(plan, position).length} branches failed, and ${count} must finish: ${failures.join("; ")}`
      fail(parent(position), {
        _tag: "Error",
        error: { name: "RaceLost" satisfies NodeFailureName, message, retryable: true, notRetried: "wait" },
      })
    })
  }
  const winnersIn = (race: number): ReadonlyArray<number> => {
    const winners = winnersOf(race)
    return winners.length === 0 ? empty : childPositions(plan, race).filter((part) => winners.includes(keyOf(part)))
  }
  /** Number of parts that have not ended and may still win. Excludes those that have failed or are being left. */
  const mayWin = (race: number): number => {
    let losing = winnersIn(race).filter((part) => !isOver(part)).length
    for (const part of state().failureCount === 0 ? empty : childPositions(plan, race)) {
      const record = isOver(part) ? undefined : view.boundaryRecord(part)
      if (record?.status === "halted" && record.isCaught === true && record.left?.outcome !== "completed") losing++
    }
    return (cursors[race] ?? 0) - losing
  }
  const isWon = (part: number): boolean => {
    const status = view.boundaryRecord(part)?.status
    return status === undefined || status === "finished" || status === "completed" || status === "running"
  }
  /** The node that ended a part. */
  const endOf = (part: number): Records.StepRecord | undefined => {
    let last: Records.StepRecord | undefined
    for (let inside = part; inside < end(part); inside++) {
      const node = at(inside)
      const record = Plan.isLeaf(node) ? RunState.step(state(), node.id, view.iterationOf(inside)) : undefined
      if (record?.finishedSeq !== undefined && record.finishedSeq > (last?.finishedSeq ?? 0)) last = record
    }
    return last
  }
  /**
   * The order of ends. Of one frame, those of waits come first, whose events are written last: a wait that took something while another branch
   * was over has taken it before that, or would not have.
   */
  const byEnd = (one: Records.StepRecord | undefined, other: Records.StepRecord | undefined): number => {
    const ofAttempt = (record: Records.StepRecord | undefined) => (record?.wait === undefined ? 1 : 0)
    const isOneFrame = one?.finishedAt === other?.finishedAt
    return (isOneFrame ? ofAttempt(one) - ofAttempt(other) : 0) || (one?.finishedSeq ?? 0) - (other?.finishedSeq ?? 0)
  }
  const failuresIn = (race: number): ReadonlyArray<string> =>
    childPositions(plan, race).flatMap((part) => {
      const record = view.boundaryRecord(part)
      if (record?.isCaught !== true || record.cause === undefined) return []
      return [`${keyOf(part)}: ${caughtOf(record.cause, state()).message}`]
    })

  const settleList = (position: number, list: Plan.ForEach): void => {
    const isDecided = recordOf(position)?.isDecided === true
    if (!isDecided && list.until !== undefined) {
      const { until } = list
      const isEnough = conditions.holds(position, "until", (context) =>
        until(Object.assign(progressOf(position), context), state(), noterFor(position)),
      )
      if (isEnough === undefined) return
      if (isEnough) decide(position, undefined, true)
    }
    if (recordOf(position)?.isDecided === true) return conclude(position, list.rest, "until", () => agenda.complete(position))
    if (cursors[position] === 0 && !isOpenFor(position)) agenda.complete(position)
  }
  /** Tells whether more items may come. */
  const isOpenFor = (list: number): boolean => {
    const node = at(list)
    if (node._tag === "ForEach" && node.isOpen === true) return true
    const need = plan.needs(list).find(({ name }) => name === Plan.moreNeed)
    return need !== undefined && need.gate >= 0 && phases[need.gate] !== Phase.done
  }
  const giveUpOpen: Regions["giveUpOpen"] = () => {
    for (const position of plan.positions.values()) {
      const list = position + 1 < plan.size ? at(position + 1) : undefined
      if (list?._tag !== "ForEach" || list.isOpen !== true || phases[position + 1] !== Phase.running) continue
      if (parent(position + 1) !== position || !host.boundaries().isGoingOn(position)) continue
      const message = `all its items have ended, and "more" keeps it open, but nothing is left in the run that could add an item`
      fail(position, {
        _tag: "Error",
        error: { name: "ListStillOpen" satisfies NodeFailureName, message, retryable: false, notRetried: "plan" },
      })
      return true
    }
    return false
  }
  const progressOf = (list: number): Plan.Progress => {
    const { done, failed } = tallies.get(list) ?? { done: 0, failed: 0 }
    return {
      done,
      failed,
      open: cursors[list] ?? 0,
      get values() {
        return childPositions(plan, list).flatMap((part) => (isOver(part) && isWon(part) ? [view.value(part)] : []))
      },
    }
  }

  const watchNeeds = (position: number): void => {
    for (const { target, isLive } of plan.needs(position)) {
      if (!isLive) continue
      for (let inside = target; inside < end(target); inside++) {
        const node = at(inside)
        if (Plan.isLeaf(node)) watchers.watch(position, { nodeId: node.id })
      }
    }
  }
  /** Records the reads of a condition, so that it is checked again when they change. */
  const noterFor = (position: number): Plan.NoteRead => {
    // A race and a list have the id of their scope.
    const note = reads.noteFor(at(position)._tag === "Scope" ? position : parent(position))
    return (read) => {
      note(read)
      watchers.watch(position, read)
    }
  }
  const requestOf = (position: number): Leaving | undefined => {
    const request = view.boundaryRecord(position)?.leaveRequest
    if (request === undefined) return undefined
    const { outcome, reason, by } = request
    return { outcome, trigger: "request", ...defined({ reason, by }) }
  }
  const leavingOf: Regions["leavingOf"] = (position, scope) => requestOf(position) ?? conditionOf(position, scope)
  const conditionOf = (position: number, scope: Plan.Scope): Leaving | undefined => {
    if (scope.completeWhen === undefined && scope.cancelWhen === undefined) return undefined
    watchNeeds(position)
    const noteRead = noterFor(position)
    for (const [name, outcome] of conditionNames) {
      const condition = scope[name]
      if (condition === undefined) continue
      const isHolding = conditions.holds(position, name, (context) => condition(context, state(), noteRead))
      if (isHolding === undefined) return undefined
      if (isHolding) return { outcome, trigger: "condition" }
    }
    return undefined
  }

  return {
    begin,
    finishPart,
    settle,
    leaveAsRequested,
    leavingOf,
    touch: (output) => {
      for (const position of watchers.of(output)) agenda.settle(position)
    },
    goOnBeside: (scope) => {
      const body = scope + 1
      const node = at(body)
      if (!(node._tag === "Race" || node._tag === "ForEach") || node.rest !== "keep") return
      begin(body, node)
      phases[body] = Phase.done
      if ((cursors[body] ?? 0) > 0) kept.add(body)
    },
    isHeld: (position) => {
      if (!isHeld(position)) return false
      held.add(position)
      return true
    },
    giveUpOpen,
    isKept: (part) => !isOver(part) && kept.has(parent(part)) && isGoingOn(parent(part)),
    isAnyKept: () => [...kept].some(isGoingOn),
  }
}

const empty: ReadonlyArray<never> = []

const conditionNames = [
  ["cancelWhen", "cancelled"],
  ["completeWhen", "completed"],
] as const
