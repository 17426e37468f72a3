/**
 * Passes of loops and their nodes. If a plan is rendered while the run proceeds, a render may mount tasks in a running pass.
 * Then `until` is checked again. If it holds, the new tasks are left out of the pass; otherwise they start, and a pass that
 * keeps growing fails. The nodes of a pass are in the state, so that a new schedule, even after a crash, tells new tasks from
 * old ones too.
 */
import { type NodeId, type NodeKey, nodeKey } from "../Ids.ts"
import * as Plan from "../Plan.ts"
import * as Records from "../Records.ts"
import type { RunEvent } from "../RunEvent.ts"
import type * as RunState from "../RunState.ts"
import type { View } from "./view.ts"

/** The schedule that passes belong to. */
export interface Host {
  readonly plan: Plan.Plan
  /** The previous render; for a resumed run, the one at its release. */
  readonly before: Plan.PlanOutline | undefined
  readonly view: Pick<View, "loopRecord" | "iterationOf">
  readonly state: () => RunState.RunState
  readonly emit: (event: RunEvent) => void
  /** Evaluates the `until` of a loop; `undefined` if it threw, which fails the loop. */
  readonly isOver: (loop: number) => boolean | undefined
  readonly readsOf: (loop: number) => { readonly reads?: ReadonlyArray<NodeKey> }
  /** Fails a loop whose pass does not end; the ids are some of those that it mounted. */
  readonly fail: (loop: number, nodeIds: ReadonlyArray<NodeId>) => void
  /** Walks the pass of a loop from its beginning; finished nodes stay finished. */
  readonly again: (loop: number) => void
}

export interface Passes {
  /** Records the nodes of passes that have grown, as of before. Call it right after a render, before its consequences. */
  readonly note: () => void
  /** Starts a pass of a loop with all its nodes. */
  readonly begin: (loop: number) => void
  /** Enters a pass of a loop, possibly a new render of it. Returns whether the loop continues. */
  readonly meet: (loop: number) => boolean
  /** Enters a loop that has ended. */
  readonly recall: (loop: number) => void
  /** Starts the nodes left out of a pass that has ended without `until` holding. Returns whether there were any. */
  readonly goOn: (loop: number) => boolean
  /** Tells whether a node is left out of the current pass of its loop. */
  readonly isOmitted: (position: number) => boolean
  /** Tells whether a node, or everything in a group, is left out. */
  readonly isVacant: (position: number) => boolean
}

/** Most ids in an error. */
const mostNames = 5

/** The passes of a schedule. */
export const make = ({ plan, before, view, state, emit, isOver, readsOf, fail, again }: Host): Passes => {
  const { parent, end } = plan
  const idAt = plan.id
  const isInside = (around: number, position: number): boolean => around < position && position < end(around)
  const leftOut = new Set<number>()
  const hasBegun = (loop: number, ids: ReadonlyArray<NodeId>): boolean => {
    const row = view.iterationOf(loop + 1)
    return ids.some((id) => state().nodes.has(nodeKey(id, row)))
  }

  const note: Passes["note"] = () => {
    if (!plan.isRendered || before === undefined) return
    for (let loop = 0; loop < plan.size; loop++) {
      const node = plan.node(loop)
      const record = node._tag === "Loop" ? view.loopRecord(loop) : undefined
      if (record?.status !== "running" || record.passes === 0 || record.mounting !== undefined) continue
      const drawn = before.positions.get(record.nodeId)
      if (drawn === undefined) continue
      const first = Plan.mountedNodes(before, drawn).flatMap(({ position }) => before.nodes[position]?.id ?? [])
      const known = new Set(first)
      const now = idsOf(Plan.mountedNodes(plan, loop))
      if (now.every((id) => known.has(id)) || !(hasBegun(loop, first) || hasBegun(loop, now))) continue
      const { nodeId, iteration } = record
      emit({ _tag: "LoopMounted", nodeId, iteration, initial: first, mounted: [], mountCount: 0 })
    }
  }
  const recall: Passes["recall"] = (loop) => {
    for (const id of view.loopRecord(loop)?.mounting?.omitted ?? []) {
      const position = plan.positions.get(id) ?? -1
      if (isInside(loop, position)) leftOut.add(position)
    }
  }
  const idsOf = (some: ReadonlyArray<Plan.MountedNode>): ReadonlyArray<NodeId> => some.map(({ position }) => idAt(position))
  const meet: Passes["meet"] = (loop) => {
    const record = plan.isRendered ? view.loopRecord(loop) : undefined
    // Nothing was rendered since the pass began.
    if (record?.mounting === undefined) return true
    recall(loop)
    const { nodeId, iteration, mounting } = record
    const { initial, added = [], omitted = [], count } = mounting
    const known = new Set([...initial, ...added, ...omitted])
    const nodes = Plan.mountedNodes(plan, loop)
    const fresh = nodes.filter(({ position }) => !known.has(idAt(position)) && !hasBegun(loop, [idAt(position)]))
    if (fresh.length === 0) return true
    const mount = (mounted: ReadonlyArray<NodeId>, isOmitted: boolean): void => {
      if (mounted.length === 0) return
      const said = isOmitted ? { isOmitted } : {}
      emit({ _tag: "LoopMounted", nodeId, iteration, mounted, mountCount: count + 1, ...said, ...readsOf(loop) })
    }
    if (count >= Records.mostMountings) {
      for (const { position } of fresh) leftOut.add(position)
      mount(idsOf(fresh), true)
      const before = added.at(-1) ?? initial.at(-1)
      fail(loop, [...(before === undefined ? [] : [before]), ...idsOf(fresh)].slice(0, mostNames))
      return false
    }
    // `until` may read the value of the pass, which is computed without them.
    const optional = optionalOf(loop, fresh)
    for (const { position } of optional) leftOut.add(position)
    const isOverNow = optional.length === 0 ? false : isOver(loop)
    if (isOverNow === undefined) return false
    if (!isOverNow) for (const { position } of optional) leftOut.delete(position)
    const [omittedNow, begun] = [fresh.filter(isOut), fresh.filter((node) => !isOut(node))]
    mount(idsOf(omittedNow), true)
    mount(idsOf(begun), false)
    return true
  }
  const isOut = ({ position }: Plan.MountedNode): boolean => leftOut.has(position)

  /** Nodes that may be left out of a pass: not those of a boundary's way out, nor those that earlier nodes wait for. */
  const optionalOf = (loop: number, fresh: ReadonlyArray<Plan.MountedNode>): ReadonlyArray<Plan.MountedNode> => {
    const all = new Set(fresh.map(({ position }) => position))
    const optional = new Set(fresh.filter(({ wayOutOf }) => wayOutOf < 0 || all.has(wayOutOf)).map(({ position }) => position))
    const waiting = pendingIn(loop)
    const isFixed = (reader: number): boolean => isInside(loop, reader) && !optional.has(reader)
    const isWanted = (position: number): boolean => {
      const node = plan.node(position)
      const table = Plan.isLeaf(node) ? node.table : undefined
      for (let up = position; up > loop; up = parent(up)) if (plan.dependents.get(up)?.some(isFixed) === true) return true
      if (fresh.some((node) => isInside(position, node.position) && !optional.has(node.position))) return true
      return waiting.some(
        ([reader, read]) => isFixed(reader) && (read.nodeId === undefined ? read.table === table : read.nodeId === idAt(position)),
      )
    }
    for (let isSettled = false; !isSettled; ) {
      isSettled = true
      for (const position of optional) if (isWanted(position)) isSettled = !optional.delete(position)
    }
    return fresh.filter(({ position }) => optional.has(position))
  }
  const pendingIn = (loop: number): ReadonlyArray<readonly [reader: number, read: Plan.PendingRead]> => {
    const found: Array<readonly [number, Plan.PendingRead]> = []
    for (let position = loop + 1; plan.pending.length > 0 && position < end(loop); position++) {
      for (const read of Plan.pendingOf(plan.node(position))) found.push([position, read])
    }
    return found
  }

  /** By the state: a new schedule has not walked the nodes that have ended. */
  const isOmitted = (position: number): boolean => {
    if (leftOut.has(position)) return true
    const [loop, node] = [plan.loopOf(position), plan.node(position)]
    return loop >= 0 && "id" in node && view.loopRecord(loop)?.mounting?.omitted?.includes(node.id) === true
  }
  const isVacant: Passes["isVacant"] = (position) => {
    if (!plan.isRendered || position < 0) return false
    for (let inside = position; inside < end(position); ) {
      const { _tag } = plan.node(inside)
      const isGroup = _tag === "Sequence" || _tag === "Parallel"
      if (isGroup ? end(inside) === inside + 1 : !isOmitted(inside)) return false
      inside = isGroup ? inside + 1 : end(inside)
    }
    return true
  }

  return {
    begin: (loop) => {
      for (const position of leftOut) if (isInside(loop, position)) leftOut.delete(position)
    },
    note,
    meet,
    recall,
    goOn: (loop) => {
      const record = view.loopRecord(loop)
      const { omitted = [], count = 0 } = record?.mounting ?? {}
      const mounted = omitted.filter((id) => leftOut.delete(plan.positions.get(id) ?? -1))
      if (record === undefined || mounted.length === 0) return false
      const { nodeId, iteration } = record
      if (count > Records.mostMountings) {
        fail(loop, mounted.slice(0, mostNames))
        return true
      }
      emit({ _tag: "LoopMounted", nodeId, iteration, mounted, mountCount: count + 1, ...readsOf(loop) })
      again(loop)
      return true
    },
    isOmitted: (position) => leftOut.size > 0 && leftOut.has(position),
    isVacant,
  }
}
