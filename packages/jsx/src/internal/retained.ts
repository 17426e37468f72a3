/**
 * Tasks with a compensation that have left the render of a saga which is not over. They stay in the plan, at the front of the innermost
 * saga or loop that is still drawn, until their saga ends: they do not start there, but the saga undoes them.
 */
import type { NodeId } from "@smithers/core/Ids"
import type * as Plan from "@smithers/core/Plan"
import type { PlanText } from "@smithers/core/PlanText"
import * as RunState from "@smithers/core/RunState"

/** A saga or a loop around a task. */
interface Container {
  readonly tag: "Saga" | "Loop"
  readonly id: NodeId
}

/** A task with a compensation, and its containers, innermost first. */
export interface Undoable {
  readonly id: NodeId
  readonly around: ReadonlyArray<Container>
  /** Its node in the last plan that had it; `undefined` if another process has made that plan. */
  readonly step: Plan.Step | undefined
}

/** Returns the tasks with a compensation in a plan of this process. */
export const inPlan = (plan: Plan.Plan): ReadonlyArray<Undoable> =>
  plan.undoes.map((position) => {
    const around: Array<Container> = []
    for (let up = plan.parent(position); up >= 0; up = plan.parent(up)) {
      const node = plan.node(up)
      if (node._tag === "Saga" || node._tag === "Loop") around.push({ tag: node._tag, id: node.id })
    }
    const step = plan.step(position)
    return { id: step.id, around, step }
  })

/** Returns the tasks with a compensation in a stored plan. */
export const inText = ({ nodes, end }: PlanText): ReadonlyArray<Undoable> => {
  const found: Array<Undoable> = []
  const open: Array<Container & { readonly end: number }> = []
  for (const [position, node] of nodes.entries()) {
    while (open.length > 0 && (open[0]?.end ?? 0) <= position) open.shift()
    const { id } = node
    if (id === undefined) continue
    if (node._tag === "Saga" || node._tag === "Loop") open.unshift({ tag: node._tag, id, end: end(position) })
    else if (node._tag === "Step" && node.details.compensate === true)
      found.push({ id, around: open.map(({ tag, id: name }) => ({ tag, id: name })), step: undefined })
  }
  return found
}

/** Returns the current row of what is directly in a loop; -1 before its first iteration. */
const rowIn = (state: RunState.RunState, loops: ReadonlyArray<NodeId>): number => {
  const [loop, ...outer] = loops
  if (loop === undefined) return 0
  const around = rowIn(state, outer)
  const record = around < 0 ? undefined : RunState.loop(state, loop, around)
  return record === undefined ? -1 : record.base + record.passes - 1
}

const loopsIn = (around: ReadonlyArray<Container>): ReadonlyArray<NodeId> =>
  around.flatMap(({ tag, id }) => (tag === "Loop" ? [id] : []))

/** Returns the outermost saga around a task that is open in the current iteration, as an index of its containers; -1 for none. */
const openSaga = (state: RunState.RunState, { around }: Undoable): number =>
  around.findLastIndex(({ tag, id }, index) => {
    if (tag !== "Saga") return false
    const row = rowIn(state, loopsIn(around.slice(index)))
    const status = row < 0 ? undefined : RunState.boundary(state, id, row)?.status
    return status === "running" || status === "halted"
  })

/** Returns the rows of a task that its open saga has to undo. */
const finishedRows = (state: RunState.RunState, undoable: Undoable): ReadonlyArray<number> => {
  const { id, around } = undoable
  const saga = openSaga(state, undoable)
  if (saga < 0) return []
  const inner = loopsIn(around.slice(0, saga))
  const rows = (loops: ReadonlyArray<NodeId>, row: number): ReadonlyArray<number> => {
    const loop = loops.at(-1)
    if (loop === undefined) return [row]
    const { base, passes } = RunState.loop(state, loop, row) ?? { base: 0, passes: 0 }
    return Array.from({ length: passes }, (_, pass) => base + pass).flatMap((next) => rows(loops.slice(0, -1), next))
  }
  return rows(inner, rowIn(state, loopsIn(around.slice(saga)))).filter(
    (row) => RunState.step(state, id, row)?.status === "finished",
  )
}

/** Tells whether a saga has to undo the task if it fails now. */
export const isDue = (state: RunState.RunState, undoable: Undoable): boolean => finishedRows(state, undoable).length > 0

/** Tells whether a saga around the task is open, so that the task may be due later. */
export const isOpen = (state: RunState.RunState, undoable: Undoable): boolean => openSaga(state, undoable) >= 0

/** Returns the state before a task finished for the last time: without what has finished since. */
export const stateBefore = (state: RunState.RunState, undoable: Undoable): RunState.RunState => {
  const rows = finishedRows(state, undoable).map((row) => RunState.step(state, undoable.id, row)?.finishedSeq ?? 0)
  const seq = Math.max(...rows)
  return {
    ...state,
    nodes: state.nodes.filter((record) => record.kind !== "step" || (record.finishedSeq ?? 0) < seq),
  }
}

/** Makes the node that stays in the plan. It needs nothing, never starts, and is no output of the run. */
const node = ({ pending: _, reads: __, ...step }: Plan.Step): Plan.Step => ({
  ...step,
  needs: [],
  table: undefined,
  skipIf: () => true,
})

/** Adds tasks at the front of the body of a saga or a loop. */
export const withTasks = (steps: ReadonlyArray<Plan.Step>, children: ReadonlyArray<Plan.Node>): ReadonlyArray<Plan.Node> =>
  steps.length === 0 ? children : [...steps.map(node), ...children]
