/**
 * The planner of a workflow with lists. It computes the items of each list whenever its needs may have changed, and gives each
 * item a copy of the list's template, with prefixed ids. It works on a copy of the tree and fills its lists in place, so that
 * needs find their nodes.
 */
import * as Either from "effect/Either"
import type { Planner } from "../Definition.ts"
import { InvalidWorkflow, TooManyItems } from "../Errors.ts"
import { type NodeId, partId } from "../Ids.ts"
import * as Plan from "../Plan.ts"
import * as PlanLayout from "../PlanLayout.ts"
import type { RunEvent } from "../RunEvent.ts"
import type { RunState } from "../RunState.ts"
import type { Values } from "../Scheduler.ts"
import { show } from "../Thrown.ts"
import { canonical, toJson } from "./json.ts"
import * as Layout from "./layout.ts"
import * as View from "./view.ts"

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

/** An item and its part of the plan. */
interface Made {
  readonly item: unknown
  readonly part: Plan.Scope
}

/** Tells whether a plan has lists with computed items. */
export const hasAny = (plan: Pick<Plan.Plan, "nodes">): boolean =>
  plan.nodes.some((node) => node._tag === "ForEach" && node.source !== undefined)

/** The planner of one run of a workflow. */
export const planner = (workflow: string, root: Plan.Node): Planner => {
  const tree = copy(root, "")
  const made = new Map<Plan.Node, ReadonlyMap<string, Made>>()
  let current: Plan.Plan | undefined
  let watched: ReadonlySet<NodeId> = new Set()

  /** Computes the items of a list. Returns whether they have changed. */
  const ask = (plan: Plan.Plan, position: number, list: Mutable<Plan.ForEach>, source: Plan.Source, view: View.View): boolean => {
    const { values } = view.needs(position)
    const isThere = plan.needs(position).every(({ name, isOptional }) => isOptional || values[name] !== undefined)
    if (!isThere) return fill(plan, position, list, source, [], { isAsked: false })
    try {
      const value = source.items(view.context(position))
      if (!Array.isArray(value)) throw new TypeError(`it gave ${show(value)}, and must give a list`)
      if (value.length > list.maxItems)
        throw new TooManyItems({ nodeId: plan.id(plan.parent(position)), items: value.length, maxItems: list.maxItems })
      return fill(plan, position, list, source, value, { isAsked: true })
    } catch (problem) {
      return fill(plan, position, list, source, [], { isAsked: true, problem })
    }
  }
  const fill = (
    plan: Plan.Plan,
    position: number,
    list: Mutable<Plan.ForEach>,
    source: Plan.Source,
    items: ReadonlyArray<unknown>,
    asked: Plan.Source["asked"],
  ): boolean => {
    const id = plan.id(plan.parent(position))
    const before = made.get(list)
    const after = new Map<string, Made>()
    for (const [index, item] of items.entries()) {
      const key = keyOf(source, item, index)
      if (after.has(key)) throw new TypeError(`two of its items have the key "${key}"`)
      const known = before?.get(key)
      after.set(key, known !== undefined && isSame(known.item, item) ? known : { item, part: partOf(id, key, item, list, source) })
    }
    const parts = [...after.values()].map(({ part }) => part)
    const isChanged =
      before === undefined || parts.length !== list.children.length || parts.some((part, index) => part !== list.children[index])
    made.set(list, after)
    if (isChanged) list.children = parts
    const isAskedSo = source.asked.isAsked === asked.isAsked && String(source.asked.problem) === String(asked.problem)
    if (!isAskedSo) list.source = { ...source, asked }
    return isChanged || !isAskedSo
  }

  const listsOf = (plan: Plan.Plan): ReadonlyArray<number> =>
    plan.nodes.flatMap((node, position) => (node._tag === "ForEach" && node.source !== undefined ? [position] : []))
  const watch = (plan: Plan.Plan): ReadonlySet<NodeId> => {
    const ids = new Set<NodeId>()
    for (const list of listsOf(plan)) {
      for (let loop = plan.loopOf(list); loop >= 0; loop = plan.loopOf(loop)) ids.add(plan.id(loop))
      for (const { name, target, pass } of plan.needs(list)) {
        const isRead = name !== Plan.moreNeed && pass !== "item"
        for (let inside = target; isRead && inside < plan.end(target); inside++) {
          const node = plan.node(inside)
          if ("id" in node) ids.add(node.id)
        }
      }
    }
    return ids
  }
  const planOf = (state: RunState, values: Values): Plan.Plan => {
    for (;;) {
      current ??= PlanLayout.make(workflow, tree)
      const plan = current
      const view: View.View = View.make({
        plan,
        values,
        state: () => state,
        armOf: (position) => View.childPositions(plan, position).find((arm) => view.hasBegun(arm)) ?? -1,
      })
      let isChanged = false
      for (const position of listsOf(plan)) {
        const list = plan.node(position)
        if (list._tag !== "ForEach" || list.source === undefined) continue
        isChanged = ask(plan, position, list, list.source, view) || isChanged
      }
      if (!isChanged) {
        watched = watch(plan)
        return plan
      }
      current = undefined
    }
  }
  return {
    plan: (state, values) =>
      Either.try({
        try: () => planOf(state, values),
        catch: (thrown) => {
          if (thrown instanceof InvalidWorkflow) return thrown
          throw thrown
        },
      }),
    observe: (events) => events.some((event) => "nodeId" in event && isNews(event) && watched.has(event.nodeId)),
  }
}

/** Events after which a value may have changed. */
const isNews = ({ _tag }: RunEvent): boolean =>
  _tag === "AttemptSucceeded" ||
  _tag === "AttemptFailed" ||
  _tag === "WaitEnded" ||
  _tag === "NodeSkipped" ||
  _tag === "NodeFailed" ||
  _tag === "NodeReset" ||
  _tag === "BoundaryHalted" ||
  _tag === "BoundaryEnded" ||
  _tag === "LoopAdvanced" ||
  _tag === "LoopFinished"

const keyOf = ({ key }: Plan.Source, item: unknown, index: number): string => {
  const value = key === undefined ? item : key(item, index)
  if ((typeof value === "string" && value !== "") || typeof value === "number") return String(value)
  const cure = key === undefined ? `give it a "key"` : `its "key" must give text or a number`
  throw new TypeError(`item ${index} has no key: ${cure}, and not ${show(value)}`)
}

const isSame = (left: unknown, right: unknown): boolean => {
  if (Object.is(left, right)) return true
  const [one, other] = [toJson(left), toJson(right)]
  return Either.isRight(one) && Either.isRight(other) && canonical(one.right) === canonical(other.right)
}

const partOf = (around: NodeId, key: string, item: unknown, { isSettled }: Plan.ForEach, { template }: Plan.Source): Plan.Scope => {
  const id = partId(around, key)
  return {
    _tag: "Scope",
    id,
    label: undefined,
    needs: [],
    body: copy(template, `${id}.`),
    completeWhen: undefined,
    cancelWhen: undefined,
    timeout: undefined,
    onTimeout: "fail",
    part: { key, isCatching: isSettled, item },
  }
}

/**
 * Copies a tree, with a prefix before its ids. Needs inside the tree refer to the copy, and its lists are empty; the ids of
 * what they make for each item are made then. Uses lists instead of recursion, so that a tree may be of any depth.
 */
const copy = (root: Plan.Node, prefix: string): Plan.Node => {
  const { nodes, end } = Layout.make(root, (node) =>
    node._tag === "ForEach" && node.source !== undefined ? [node.source.template] : Plan.children(node),
  )
  const ids = new Set<NodeId>()
  /** Places in this template, and not in one of a list inside, whose copies are made later. */
  const places = new Set<NodeId>()
  for (let position = 0; position < nodes.length; position++) {
    const node = nodes[position]
    if (node !== undefined && "id" in node) ids.add(node.id)
    if (node?._tag === "Sequence" && node.place !== undefined) places.add(node.place.id)
    if (node?._tag === "ForEach" && node.source !== undefined) position = end(position) - 1
  }
  const copies = new Map<Plan.Node, Plan.Node>()
  const renamed = (id: NodeId): NodeId => (ids.has(id) ? `${prefix}${id}` : id)
  const placed = (id: NodeId): NodeId => (places.has(id) ? `${prefix}${id}` : id)
  const of = (node: Plan.Node): Plan.Node => copies.get(node) ?? node
  const wanted: Array<() => void> = []
  const needsOf = (needs: ReadonlyArray<Plan.Need>): ReadonlyArray<Plan.Need> => {
    if (needs.length === 0) return needs
    const copied: Array<Plan.Need> = []
    // Targets of needs come earlier in the tree, but are copied later.
    wanted.push(() => {
      for (const need of needs) {
        const { target } = need
        const known = typeof target === "string" ? renamed(target) : of(target)
        copied.push({ ...need, target: known })
      }
    })
    return copied
  }
  const copyOf = (node: Plan.Node): Plan.Node => {
    switch (node._tag) {
      case "Step": {
        const id = renamed(node.id)
        const needs = needsOf(node.needs)
        return { ...node, id, needs, ...(node.gate === undefined ? {} : { gate: { ...node.gate, id, needs } }) }
      }
      case "Wait":
        return { ...node, id: renamed(node.id), needs: needsOf(node.needs) }
      case "Sequence": {
        const { budget, place } = node
        return {
          ...node,
          children: node.children.map(of),
          ...(budget === undefined ? {} : { budget: { ...budget, id: `${prefix}${budget.id}` } }),
          ...(place === undefined ? {} : { place: { ...place, id: placed(place.id) } }),
        }
      }
      case "Parallel":
      case "Race":
        return { ...node, children: node.children.map(of) }
      case "ForEach": {
        const source = node.source && { ...node.source, template: of(node.source.template) }
        const children = source === undefined ? node.children.map(of) : []
        return { ...node, needs: needsOf(node.needs), children, ...(source === undefined ? {} : { source }) }
      }
      case "Branch":
        return { ...node, needs: needsOf(node.needs), arms: node.arms.map(of) }
      case "Loop":
        return { ...node, id: renamed(node.id), needs: needsOf(node.needs), body: of(node.body) }
      case "Scope": {
        const timeout = node.timeout && of(node.timeout)
        const timer = timeout?._tag === "Wait" ? timeout : undefined
        return { ...node, id: renamed(node.id), needs: needsOf(node.needs), body: of(node.body), timeout: timer }
      }
      case "Saga":
        return { ...node, id: renamed(node.id), body: of(node.body) }
      case "TryCatch": {
        const [caught, last] = [node.catch && of(node.catch), node.finally && of(node.finally)]
        return { ...node, id: renamed(node.id), try: of(node.try), catch: caught, finally: last }
      }
    }
  }
  for (const node of nodes.toReversed()) copies.set(node, copyOf(node))
  for (const fill of wanted) fill()
  return of(root)
}
