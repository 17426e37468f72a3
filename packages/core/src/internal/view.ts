/**
 * A view of the nodes of a plan: the iteration of each, its record, its value, its needs. The plan and the decoded values are
 * fixed; the state is read at each call.
 */
import * as Either from "effect/Either"
import type { Json } from "../Codec.ts"
import type { ErrorInfo } from "../ErrorInfo.ts"
import { type NodeKey, nodeKey } from "../Ids.ts"
import * as Plan from "../Plan.ts"
import { isGroup, isLeaf } from "../Plan.ts"
import * as Records from "../Records.ts"
import type { OutputSource } from "../RunEvent.ts"
import * as RunState from "../RunState.ts"
import { type Caught, caughtOf } from "./caught.ts"
import { toJson } from "./json.ts"

const never = (): boolean => false

/** The error of a failure without one of its own. */
const unexplained: ErrorInfo = { name: "Error", message: "it failed for an unknown reason", retryable: false }

/** The error of a failed node. */
export const errorOf = ({ error }: { readonly error?: ErrorInfo | undefined }): ErrorInfo => error ?? unexplained

export interface View {
  /** The id of a node, or its position if it has none. */
  readonly nameOf: (position: number) => string
  /** The row of a node. */
  readonly keyOf: (position: number) => NodeKey
  readonly stepRecord: (position: number) => Records.StepRecord | undefined
  readonly loopRecord: (position: number) => Records.LoopRecord | undefined
  readonly boundaryRecord: (position: number) => Records.BoundaryRecord | undefined
  /** Number of passes of a loop over the whole run. */
  readonly passesOf: (loop: number) => number
  /** The iteration of a node's rows, counted over the whole run. */
  readonly iterationOf: (position: number) => number
  /** The pass of a node, counted from 0 in its innermost loop; 0 outside loops. */
  readonly passOf: (position: number) => number
  readonly value: (position: number) => unknown
  readonly stored: (position: number) => Json | undefined
  /** The rows of the value. */
  readonly source: (position: number) => OutputSource | undefined
  readonly needs: (position: number) => { readonly values: Record<string, unknown>; readonly missing: string | undefined }
  /** The context of the node's predicates. */
  readonly context: (position: number) => Record<string, unknown>
  /**
   * Tells whether something in a part of the plan has begun in its current iteration, and was not reset since.
   */
  readonly hasBegun: (position: number) => boolean
  /** Tells whether nothing has begun in a part of a race or a list, although there is something in it to do. */
  readonly isPassedOver: (part: number) => boolean
  /** Rows of a node in the current instance of one around it. */
  readonly rowsIn: (outer: number, position: number) => ReadonlyArray<number>
  /** Sets the row that a compensation is for. */
  readonly undo: (compensation: number, row: number) => void
}

/** The source of a view: the owner of the state. */
export interface Source {
  /** Tells whether everything at a node is left out of the current pass of its loop. */
  readonly isVacant?: (position: number) => boolean
  /** Tells whether an item is kept running by a list that has ended. */
  readonly isKept?: (item: number) => boolean
  readonly plan: Plan.Plan
  readonly values: { readonly input: unknown; readonly outputs: Pick<ReadonlyMap<NodeKey, unknown>, "get"> }
  readonly state: () => RunState.RunState
  /** The arm of a branch; -1 for none. */
  readonly armOf: (position: number, branch: Plan.Branch) => number
}

/** The ways to build a value from others: decoded, encoded, or as the rows of its parts. */
interface Shapes<A> {
  readonly list: (items: Array<A | undefined>) => A
  readonly fields: (fields: { readonly [name: string]: A | undefined }) => A
  readonly fixed: (value: Json) => A
}

/** Removes absent fields. */
const stripped = <A>(fields: { readonly [name: string]: A | undefined }): { readonly [name: string]: A } => {
  const kept: { [name: string]: A } = {}
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) kept[name] = value
  return kept
}

const noPart: Plan.Part = { key: "", isCatching: false }
/** The key and the item of a part of a race or a list. */
export const partOf = (node: Plan.Node): Plan.Part => (node._tag === "Scope" ? (node.part ?? noPart) : noPart)

/** The JSON of a failure; it is JSON except for absent fields. */
const toJsonOf = (caught: Caught): Json => Either.getOrElse(toJson(caught), () => null)

/** Tells whether a leaf has begun, was reset, and has not begun since. */
export const isReset = ({ status, attempt, budgetAfter, wait, approved }: Records.StepRecord): boolean => {
  const isOver = status === "withdrawn" || status === "superseded"
  // It has its whole budget again. An approved step may not have had an attempt yet.
  if (!(isOver || status === "interrupted") || budgetAfter !== attempt) return false
  return attempt > 0 || (wait !== undefined && (isOver || approved === undefined))
}

/** Tells whether a node has begun, and was not reset since. */
export const isBegun = (record: Records.NodeRecord): boolean => {
  if (record.kind === "boundary") return !Records.isUnbegun(record)
  if (record.kind === "loop") return record.passes > 0 || record.status === "finished"
  return !isReset(record) && (record.attempt > 0 || record.wait !== undefined)
}

/** Positions of the children of a node. */
export const childPositions = ({ end }: Plan.Plan, position: number): Array<number> => {
  const found: Array<number> = []
  for (let child = position + 1; child < end(position); child = end(child)) found.push(child)
  return found
}

/** The view of a plan. */
export const make = ({ plan, values, state, armOf, isVacant = never, isKept = never }: Source): View => {
  const { loopOf, end } = plan
  const at = plan.node
  /** Rows of loops that override the state, while a compensation is for an earlier pass. */
  let pinned: ReadonlyMap<number, number> | undefined
  const undoing = new Map<number, number>()

  const loopRecord: View["loopRecord"] = (position) => RunState.loop(state(), plan.id(position), iterationOf(position))
  const boundaryRecord: View["boundaryRecord"] = (position) => RunState.boundary(state(), plan.id(position), iterationOf(position))
  const passesOf: View["passesOf"] = (loop) => {
    return state().loopPasses.get(plan.id(loop)) ?? 0
  }
  /** The row of a loop's pass, by the row of the pass around it. */
  const rowWithin = (loop: number, iteration: number): number => {
    const row = pinned?.get(loop)
    if (row !== undefined) return row
    const record = RunState.loop(state(), plan.id(loop), iteration)
    return record === undefined || record.passes === 0 ? -1 : record.base + record.passes - 1
  }
  /**
   * Goes from the outside in, since loops may be nested deeply: the row of the outer loop selects the record of the inner one.
   * `known` caches rows for callers that need many.
   */
  const rowOfLoop = (position: number, known?: Map<number, number>): number => {
    if (loopOf(position) < 0) return rowWithin(position, 0)
    const around: Array<number> = []
    let row = 0
    for (let loop = position; loop >= 0; loop = loopOf(loop)) {
      const found = pinned?.get(loop) ?? known?.get(loop)
      if (found !== undefined) {
        row = found
        break
      }
      around.push(loop)
    }
    for (let loop = around.pop(); loop !== undefined; loop = around.pop()) {
      row = rowWithin(loop, row)
      known?.set(loop, row)
    }
    return row
  }
  const iterationIn = (position: number, known?: Map<number, number>): number => {
    if (position >= plan.size) return undoing.get(position) ?? 0
    const around = loopOf(position)
    return around < 0 ? 0 : rowOfLoop(around, known)
  }
  const iterationOf = (position: number): number => iterationIn(position)
  const passOf = (position: number): number => {
    if (position >= plan.size) return pinning(position, () => passOf(plan.undone(position)))
    const around = loopOf(position)
    if (around < 0) return 0
    const record = loopRecord(around)
    return pinned?.has(around) === true ? rowOfLoop(around) - (record?.base ?? 0) : (record?.passes ?? 1) - 1
  }

  /** Sets the loops around a compensated step to the passes it ran in. */
  const pinning = <A>(compensation: number, look: () => A): A => {
    const pins = new Map<number, number>()
    let row = undoing.get(compensation) ?? 0
    let loop = loopOf(plan.undone(compensation))
    while (loop >= 0) {
      pins.set(loop, row)
      const outer = loopOf(loop)
      if (outer >= 0) row = rowAround(loop, row)
      loop = outer
    }
    pinned = pins
    try {
      return look()
    } finally {
      pinned = undefined
    }
  }
  /** The row of the outer loop in which a loop made a given row. */
  const rowAround = (loop: number, row: number): number => {
    const id = plan.id(loop)
    for (let candidate = passesOf(loopOf(loop)) - 1; candidate > 0; candidate--) {
      const record = RunState.loop(state(), id, candidate)
      if (record !== undefined && record.base <= row && row < record.base + record.passes) return candidate
    }
    return 0
  }

  const rowsIn: View["rowsIn"] = (outer, position) => {
    const around: Array<number> = []
    let within = position
    for (let loop = loopOf(position); loop >= outer && loop >= 0; loop = loopOf(loop)) {
      around.push(loop)
      within = loop
    }
    let rows = [iterationOf(within)]
    for (let loop = around.pop(); loop !== undefined; loop = around.pop()) {
      const id = plan.id(loop)
      rows = rows.flatMap((row) => {
        const { base, passes } = RunState.loop(state(), id, row) ?? { base: 0, passes: 0 }
        return Array.from({ length: passes }, (_, pass) => base + pass)
      })
    }
    return rows
  }

  /** The last child that is not left out of its pass. */
  const lastChild = (position: number): number => {
    let last = position + 1
    for (let child = last; child < end(position); child = end(child)) if (!isVacant(child)) last = child
    return last
  }
  const isCaught = (position: number, { id }: Plan.Boundary, known: Map<number, number>): boolean =>
    RunState.boundary(state(), id, iterationIn(position, known))?.isCaught === true
  /** Tells whether a saga is left by undoing its steps. */
  const isUndone = (position: number, { id }: Plan.Saga, known: Map<number, number>): boolean => {
    const record = RunState.boundary(state(), id, iterationIn(position, known))
    return record?.isCaught === true || record?.status === "cancelled"
  }
  /** Tells whether a scope has the value of its body, as far as it exists. */
  const isGiving = (position: number, { id, part }: Plan.Scope, known: Map<number, number>): boolean => {
    const record = RunState.boundary(state(), id, iterationIn(position, known))
    if (part !== undefined && record?.left === undefined && isPassedOver(position)) return false
    return record?.isCaught !== true || record.left?.outcome === "completed"
  }
  const isUnreached = (position: number): boolean => !hasBegun(position) && !isNothingLeft(position)
  const isPassedOver: View["isPassedOver"] = (part) => isUnreached(part + 1)
  /** Tells whether all in a part of the plan is over in which nothing has begun: steps are skipped, and no arms taken. */
  const isNothingLeft = (position: number): boolean => {
    for (let inside = position; inside < end(position); ) {
      const node = at(inside)
      if ("id" in node && !(Plan.isLeaf(node) && isSettled(inside, node))) return false
      if (node._tag !== "Branch") inside++
      else {
        const arm = takenArm(inside, node)
        if (arm >= 0 && !isNothingLeft(arm)) return false
        inside = end(inside)
      }
    }
    return true
  }
  const isSettled = (position: number, { id }: Plan.Step | Plan.Wait): boolean => {
    const record = RunState.step(state(), id, iterationOf(position))
    return record !== undefined && Records.isSettled(record)
  }
  /** The arm that a branch takes; -1 also where it has not come to choose, in what was left, and its function has nothing to go by. */
  const takenArm = (position: number, branch: Plan.Branch): number => {
    try {
      return armOf(position, branch)
    } catch {
      return -1
    }
  }
  /** The node that gives the value of a node, if it is a single one. */
  const sourceOf = (
    position: number,
    node: Exclude<Plan.Node, Plan.Step | Plan.Wait>,
    known: Map<number, number>,
  ): number | undefined => {
    switch (node._tag) {
      case "Sequence":
        return node.children.length === 0 ? undefined : lastChild(position)
      case "Branch": {
        const arm = takenArm(position, node)
        // In what was left it may not have come to choose: its function then has nothing to go by, whatever it says.
        return arm < 0 || isUnreached(arm) ? undefined : arm
      }
      case "Loop":
        return rowOfLoop(position, known) < 0 ? undefined : position + 1
      case "Scope":
        return isGiving(position, node, known) ? position + 1 : undefined
      case "Saga":
        return isUndone(position, node, known) ? undefined : position + 1
      case "TryCatch":
        if (!isCaught(position, node, known)) return position + 1
        return node.catch === undefined ? undefined : end(position + 1)
      case "Parallel":
      case "Race":
      case "ForEach":
        return undefined
    }
  }
  /** The branches of a race that have won, in order. */
  const winnersOf = (race: number): ReadonlyArray<number> => {
    const parts = childPositions(plan, race)
    return (boundaryRecord(plan.parent(race))?.winners ?? []).flatMap(
      (key) => parts.find((part) => partOf(at(part)).key === key) ?? [],
    )
  }
  /** The nodes whose values make the value of a group. */
  const valuedIn = (group: number): Array<number> =>
    at(group)._tag === "Race" ? [...winnersOf(group)] : childPositions(plan, group)
  /** Builds the value of a group from those of {@link valuedIn}. */
  const shape = <A>(group: number, values: Array<A | undefined>, { list, fields, fixed }: Shapes<A>): A | undefined => {
    const node = at(group)
    if (node._tag === "Race") {
      const won = winnersOf(group).map((part, index) => fields({ winner: fixed(partOf(at(part)).key), value: values[index] }))
      return node.isList ? list(won) : won[0]
    }
    if (node._tag !== "ForEach" || !node.isSettled) return list(values)
    return list(childPositions(plan, group).map((part, index) => fields(settled(part, values[index], fixed))))
  }
  /** The result of an item in the value of its list. */
  const settled = <A>(
    part: number,
    value: A | undefined,
    fixed: Shapes<A>["fixed"],
  ): { readonly [name: string]: A | undefined } => {
    const record = boundaryRecord(part)
    const key = fixed(partOf(at(part)).key)
    if (record?.cause !== undefined && record.isCaught === true)
      return { key, status: fixed("failed"), error: fixed(toJsonOf(caughtOf(record.cause, state()))) }
    if (isKept(part)) return { key, status: fixed("open") }
    const isCancelled = record?.left === undefined ? isPassedOver(part) : record.left.outcome === "cancelled"
    return isCancelled ? { key, status: fixed("cancelled") } : { key, status: fixed("finished"), value }
  }
  const hasBegun: View["hasBegun"] = (position) => {
    for (let inside = position; inside < end(position); inside++) {
      const node = at(inside)
      if (!("id" in node)) continue
      const record = state().nodes.get(nodeKey(node.id, iterationOf(inside)))
      if (record !== undefined && isBegun(record)) return true
    }
    return false
  }
  const compose = <A>(position: number, read: (key: NodeKey) => A | undefined, shapes: Shapes<A>): A | undefined => {
    const start = at(position)
    if (Plan.isLeaf(start)) return read(nodeKey(start.id, iterationOf(position)))
    const gives = start._tag === "Sequence" ? start.gives : undefined
    const isWanted = ({ table }: Plan.Step | Plan.Wait): boolean => gives === undefined || table === gives
    /** Groups whose values are in progress, from the outside in. */
    const open: Array<{
      readonly group: number
      readonly children: ReadonlyArray<number>
      readonly values: Array<A | undefined> | undefined
      next: number
    }> = []
    const known = new Map<number, number>()
    let found: A | undefined
    /** Descends to the node that gives the value of a node; groups are pushed to `open`. */
    const descend = (from: number): void => {
      found = undefined
      for (let here: number | undefined = from; here !== undefined; ) {
        const node = at(here)
        if (Plan.isLeaf(node)) {
          if (isWanted(node)) found = read(nodeKey(node.id, iterationIn(here, known)))
          return
        }
        const isAnyOf = gives === undefined ? node._tag === "Sequence" && node.skipsAbsent === true : node._tag === "Sequence"
        if (isGroup(node) || isAnyOf) {
          const isWhole = isGroup(node) && gives === undefined
          const children = isWhole ? valuedIn(here) : childPositions(plan, here).reverse()
          open.push({ group: here, children, values: isWhole ? [] : undefined, next: 0 })
          return
        }
        here = sourceOf(here, node, known)
      }
    }
    descend(position)
    for (let last = open.at(-1); last !== undefined; last = open.at(-1)) {
      const { group, children, values, next } = last
      if (next > 0) values?.push(found)
      if (next === children.length || (values === undefined && next > 0 && found !== undefined)) {
        open.pop()
        if (values !== undefined) found = shape(group, values, shapes)
        else if (next === 0) found = undefined
      } else {
        last.next++
        const child = children[next]
        if (child !== undefined) descend(child)
      }
    }
    return found
  }
  const value: View["value"] = (position) =>
    compose<unknown>(position, (key) => values.outputs.get(key), {
      list: (items) => items,
      fields: (fields) => fields,
      fixed: (value) => value,
    })
  const stored: View["stored"] = (position) =>
    compose<Json>(
      position,
      (key) => {
        const record = state().nodes.get(key)
        return record?.kind === "step" ? record.output : undefined
      },
      {
        list: (items) => items.map((item) => item ?? null),
        fields: stripped,
        fixed: (value) => value,
      },
    )

  const source: View["source"] = (position) =>
    compose<OutputSource>(position, (key) => (values.outputs.get(key) === undefined ? undefined : key), {
      list: (items) => items.map((item) => item ?? null),
      fields: (fields) => ({ fields: stripped(fields) }),
      fixed: (value) => ({ fixed: value }),
    })

  const needs: View["needs"] = (position) => {
    if (position < plan.size) return needsAt(position)
    return pinning(position, () => {
      const undone = plan.undone(position)
      const { values: found, missing } = needsAt(undone)
      const id = plan.id(undone)
      return { values: { ...found, output: values.outputs.get(nodeKey(id, iterationOf(undone))) }, missing }
    })
  }
  const needsAt = (position: number): ReturnType<View["needs"]> => {
    const found: Record<string, unknown> = {}
    let missing: string | undefined
    for (const need of plan.needs(position)) {
      if (need.pass === "caught") {
        const cause = Records.caughtBy(boundaryRecord(need.target))
        found[need.name] = cause === undefined ? undefined : caughtOf(cause, state(), (nodeId) => Plan.errorOf(plan, nodeId))
      } else if (need.pass === "item") {
        found[need.name] = partOf(at(need.target)).item
      } else if (need.pass === "previous") {
        const target = at(need.target)
        const row = iterationOf(need.target) - 1
        found[need.name] = Plan.isLeaf(target) && passOf(need.target) > 0 ? values.outputs.get(nodeKey(target.id, row)) : undefined
      } else {
        const isThere = hasPass(need.target, position) && (!need.isOptional || isTaken(need.target, position))
        if (!isThere && !need.isOptional) missing ??= need.name
        found[need.name] = isThere ? (value(need.target) ?? (need.isLive ? before(need.target, position) : undefined)) : undefined
      }
    }
    return { values: found, missing }
  }
  /** Tells whether all branches around `target` but not around the reader have taken its arm. */
  const isTaken = (target: number, reader: number): boolean => {
    for (let up = plan.parent(target); up >= 0 && !plan.contains(up, reader); up = plan.parent(up)) {
      const node = at(up)
      if (node._tag !== "Branch") continue
      try {
        const arm = armOf(up, node)
        if (arm < 0 || !plan.contains(arm, target)) return false
      } catch {
        // It has not chosen yet; the reader is on the way out.
        return false
      }
    }
    return true
  }
  /** The output of a step in the last earlier pass that has one. */
  const before = (target: number, reader: number): unknown => {
    const node = at(target)
    const around = loopOf(target)
    // A pass of a loop around the reader is apart from those before it.
    if (around < 0 || !isLeaf(node) || plan.contains(around, reader)) return undefined
    const base = loopRecord(around)?.base ?? 0
    for (let row = iterationOf(target) - 1; row >= base; row--) {
      const output = values.outputs.get(nodeKey(node.id, row))
      if (output !== undefined) return output
    }
    return undefined
  }
  /** Tells whether each loop around `target` but not around the reader has made a pass. */
  const hasPass = (target: number, reader: number): boolean => {
    for (let around = at(target)._tag === "Loop" ? target : loopOf(target); around >= 0; ) {
      if (around < reader && reader < end(around)) return true
      if (rowOfLoop(around) < 0) return false
      around = loopOf(around)
    }
    return true
  }

  return {
    nameOf: (position) => {
      const node = at(position)
      if (node._tag === "Race" || node._tag === "ForEach") return plan.id(plan.parent(position))
      return "id" in node ? node.id : `#${position}`
    },
    keyOf: (position) => nodeKey(plan.id(position), iterationOf(position)),
    stepRecord: (position) => RunState.step(state(), plan.id(position), iterationOf(position)),
    loopRecord,
    boundaryRecord,
    passesOf,
    iterationOf,
    passOf,
    value,
    stored,
    source,
    needs,
    context: (position) => ({ input: values.input, runId: state().runId, iteration: passOf(position), ...needs(position).values }),
    hasBegun,
    isPassedOver,
    rowsIn,
    undo: (compensation, row) => {
      undoing.set(compensation, row)
    },
  }
}
