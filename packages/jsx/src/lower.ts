/**
 * Lowers the tree of a render to a plan of the core. Problems of the tree are rejected here, with component and id. Problems of the
 * plan, such as cyclic needs, are rejected by the plan itself.
 */
import { idRule, isId, type NodeId, sandboxPartId } from "@smithers/core/Ids"
import type { Millis } from "@smithers/core/Millis"
import * as NodeOptions from "@smithers/core/NodeOptions"
import type * as Plan from "@smithers/core/Plan"
import type { Node, PendingRead } from "@smithers/core/Plan"
import type { RunState } from "@smithers/core/RunState"
import { defined } from "@smithers/core/Struct"
import { type HostNode, isText } from "./HostNode.ts"
import {
  type Analysis,
  analyze,
  distinct,
  type Early,
  locating,
  type PlacedTask,
  single,
  type TreeNode,
  unknownElement,
} from "./internal/analysis.ts"
import { checkCondition, condition } from "./internal/condition.ts"
import {
  InvalidElement,
  idOf,
  isKind,
  isLeaf,
  isPart,
  isRegion,
  isWait,
  orRefuse,
  propsOf,
  refuse,
  whereOf,
  words,
} from "./internal/elements.ts"
import type { Placed } from "./internal/identity.ts"
import { type Lowering, untypedTable } from "./internal/lowering.ts"
import { checkNames, type NamedPart, partsOf } from "./internal/parts.ts"
import { madeAfter } from "./internal/provisional.ts"
import type { Read, TaskIndex } from "./internal/reads.ts"
import * as Retained from "./internal/retained.ts"
import { stampOf } from "./internal/scope.ts"
import * as Task from "./internal/task.ts"
import { unknownWorkflow, wait } from "./internal/wait.ts"
import { isPending } from "./Pending.ts"
import type { Rendered } from "./render.ts"

/** A lowered tree: its plan, and the places of its nodes. */
export interface Lowered {
  readonly name: string
  readonly root: Node
  /** Time in which a run must finish. */
  readonly deadlineMs: Millis | undefined
  readonly snapshots: boolean | undefined
  readonly layout: TaskIndex
  /** Tasks of the plan, for tools; a run does not use them. */
  readonly tasks: () => ReadonlyArray<PlacedTask>
  readonly nodes: () => ReadonlyArray<HostNode>
  /** All reads of the render, with the reading component if known. */
  readonly lookups: () => ReadonlyArray<{ readonly read: Read; readonly where: string }>
  /** Loops, sagas and tries without an id, outermost first. */
  readonly placed: () => ReadonlyArray<Placed>
  /** Returns a predicate: `true` for a read of a task that starts only after a node has ended, or that is the node. */
  readonly comesAfter: Analysis["comesAfter"]
  readonly pending: ReadonlyArray<PendingRead>
  /** Returns the loops that a component renders (by its scope) or, if none, the one around its elements. */
  readonly loopsOf: (scope: object) => ReadonlyArray<NodeId>
  /** Nodes that would start although they were made after a pending read of themselves or of a later task. */
  readonly early: () => ReadonlyArray<Early>
  /** Warnings: constructs that are allowed but may not be intended, one sentence each. */
  readonly concerns: () => ReadonlyArray<string>
}

/** Lowers a tree. Throws {@link InvalidElement}. */
export const lower = (rendered: Rendered, lowering: Lowering): Lowered => {
  const root = rootOf(rendered)
  const props = propsOf(root)
  const { name } = props
  if (!isId(name)) return refuse(root, `its name must be ${idRule}`)

  const analysis = analyze(root, rendered.pendingReads, lowering)
  const { lookups } = rendered
  const built = new Map<HostNode, Node>()
  const inside = ({ children }: HostNode): ReadonlyArray<Node> =>
    children.flatMap((child) => (isText(child) ? [] : (built.get(child) ?? [])))
  let retained = lowering.retained(analysis.layout.tasks)
  /** The tasks that stay in the plan within a saga or a loop, as the innermost one that is drawn. */
  const retainedIn = (id: NodeId): ReadonlyArray<Plan.Step> => {
    const isIn = ({ around }: (typeof retained)[number]): boolean => around.some((container) => container.id === id)
    const found = retained.filter(isIn)
    if (found.length > 0) retained = retained.filter((one) => !isIn(one))
    return found.map(({ step }) => step)
  }
  const build = ({ node, loop }: TreeNode): Node | undefined => {
    const pending = analysis.pendingOf(node)
    const waits = pending.length === 0 ? {} : analysis.isHeldBySibling(node) ? { pending, isHeldBySibling: true } : { pending }
    const drawn =
      lookups.length === 0 ? waits : { ...waits, reads: (state: RunState) => lowering.rowsOf(madeAfter(node, lookups), state) }
    /**
     * Makes a node, without its props while those are pending. The props of a task that is not held back are known, unless they
     * contain a pending value.
     */
    const tolerateUnsettled = <A>(make: () => A, otherwise: () => A): A =>
      analysis.tolerateUnsettled(node, make, () =>
        pending.length > 0 || !isLeaf(node.type) || lowering.holdsPending(node) ? otherwise() : make(),
      )
    switch (node.type) {
      case "Workflow":
      case "Sequence":
        return orRefuse(node, NodeOptions.sequence(inside(node), node.type === "Sequence" ? node.props : {}))
      case "Budget":
        return { ...budgetOf(node, idOf(node), inside(node)), ...waits }
      case "Worktree": {
        const inTree = (of: HostNode): Node => orRefuse(node, NodeOptions.worktree(idOf(node), inside(node), of.props, words))
        const made = tolerateUnsettled(
          () => inTree(node),
          () => inTree(bare(node)),
        )
        return { ...made, ...waits }
      }
      case "Sandbox": {
        const applied = sandboxPartId(idOf(node), "apply")
        const table = analysis.layout.tasks.get(applied)?.table
        const tableOf = (id: NodeId): string => (id === applied ? (table ?? untypedTable) : untypedTable)
        const inSandbox = (of: HostNode): Node => {
          const id = idOf(node)
          const codec = table === undefined ? undefined : lowering.codecOf(table)
          return orRefuse(node, NodeOptions.sandbox({ id, name: id }, inside(node), of.props, words, tableOf, codec))
        }
        const made = tolerateUnsettled(
          () => inSandbox(node),
          () => inSandbox(bare(node)),
        )
        return { ...made, ...waits }
      }
      case "Parallel":
        return tolerateUnsettled(
          () => parallel(node, inside(node)),
          () => parallel(bare(node), inside(node)),
        )
      case "Branch": {
        checkCondition(node, "if", propsOf(node).if)
        // While the condition is pending, no branch starts.
        const children = inside(node)
        if (pending.length === 0 && children.length === 1) return children[0]
        return { _tag: "Sequence", children, ...waits }
      }
      case "Loop": {
        const children = Retained.withTasks(retainedIn(idOf(node)), inside(node))
        return {
          ...tolerateUnsettled(
            () => loopOf(node, children, lowering, analysis),
            () => loopOf(bare(node), children, lowering, analysis, true),
          ),
          ...drawn,
        }
      }
      case "Saga": {
        const body = analysis.bodyOf(node, Retained.withTasks(retainedIn(idOf(node)), inside(node)))
        return {
          ...tolerateUnsettled(
            () => sagaOf(node, body),
            () => sagaOf(bare(node), body),
          ),
          ...waits,
        }
      }
      case "Scope": {
        const body = analysis.bodyOf(node, inside(node))
        return {
          ...tolerateUnsettled(
            () => scopeOf(node, body, loop, lowering, analysis),
            () => scopeOf(bare(node), body, loop, lowering, analysis),
          ),
          ...waits,
        }
      }
      case "Race":
      case "ForEach": {
        const parts = partsOf(node).flatMap((part): ReadonlyArray<Part> => {
          const body = built.get(part.node)
          if (!isPart(part.node.type))
            return refuse(part.node, `it is a child of ${node.type} "${idOf(node)}", which takes only its own parts`)
          return body === undefined ? [] : [{ ...part, body }]
        })
        const make = node.type === "Race" ? raceOf : listOf
        // While its props are pending, its parts are only shown.
        const shown = (): Plan.Scope => scopeOf(bare(node), single(parts.map(({ body }) => body)), loop, lowering, analysis)
        const known = (): Plan.Scope => make(node, parts, loop, lowering, analysis)
        return { ...(pending.length === 0 ? known() : tolerateUnsettled(known, shown)), ...waits }
      }
      case "RaceBranch":
        if (inside(node).length === 0 && node.readsInside.length === 0) return undefined
        return analysis.bodyOf(node, inside(node))
      case "ForEachItem":
        return analysis.bodyOf(node, inside(node))
      case "TryCatchFinally":
        return { ...tryOf(node, (part) => built.get(part)), ...waits }
      case "Try":
      case "Catch":
      case "Finally":
        return analysis.bodyOf(node, inside(node))
      case "Task": {
        if (analysis.isOmitted(node)) return undefined
        const step = (of: HostNode): Node => {
          if (typeof of.props.compensate === "function" && !analysis.isInSaga(node))
            refuse(node, `its "compensate" would never be called: put it into a <Saga>`)
          const isFixed = (): boolean => of === node && (lookups.length === 0 || madeAfter(node, lookups).length === 0)
          return Task.step(of, loop, analysis.layout, lowering, isFixed, analysis.comesAfter(node))
        }
        return {
          ...tolerateUnsettled(
            () => step(node),
            () => step(bare(node)),
          ),
          ...drawn,
        }
      }
      default: {
        if (analysis.isOmitted(node)) return undefined
        const waitOf = (of: HostNode): Node => wait(of, loop, analysis.layout, lowering, analysis.comesAfter(node))
        return {
          ...tolerateUnsettled(
            () => waitOf(node),
            () => waitOf(bare(node)),
          ),
          ...drawn,
        }
      }
    }
  }
  for (const entry of analysis.inward) {
    const node = locating(entry.node, () => build(entry))
    if (node !== undefined) built.set(entry.node, node)
  }
  const pending = [...analysis.wanted(), ...analysis.missing()]
  return {
    name,
    root: {
      _tag: "Sequence",
      children: inside(root),
      skipsAbsent: true,
      ...defined({ gives: lowering.output }),
      ...(props.budget === undefined
        ? {}
        : defined({ budget: budgetOf({ ...root, props: { ...Object(props.budget) } }, "", []).budget })),
    },
    deadlineMs: orRefuse(root, NodeOptions.deadline(props)),
    snapshots: orRefuse(root, NodeOptions.snapshots(props, words)),
    layout: analysis.layout,
    tasks: analysis.tasks,
    nodes: analysis.nodes,
    lookups: () => {
      const where = new Map<Read, string>()
      for (const node of analysis.nodes()) {
        for (const read of stampOf(propsOf(node))?.scope.lookups ?? []) if (!where.has(read)) where.set(read, whereOf(node))
        for (const read of node.lookupsInside) where.set(read, whereOf(node))
      }
      return lookups.map((read) => ({ read, where: where.get(read) ?? "smithers" }))
    },
    placed: analysis.placed,
    comesAfter: analysis.comesAfter,
    pending: distinct(pending),
    loopsOf: analysis.loopsOf,
    early: analysis.early,
    concerns: () => [...analysis.concerns(), ...rendered.effects.map(neverRun)],
  }
}

/** Returns the warning for a component with effects, which never run. */
const neverRun = (where: string): string =>
  `a component (at ${where}) has an effect, which never runs, since a plan is rendered but never mounted. A hook that fetches data in an effect stays pending for ever: fetch in a task, and read its output`

/** Returns a node without the props that are not known yet. */
const bare = (node: HostNode): HostNode => {
  const { id, output, loop, boundary } = node.props
  if (isWait(node.type)) {
    const asked = { request: { title: "" }, prompt: "", name: "?", until: 0, workflow: unknownWorkflow }
    return { ...node, props: { id, ...defined({ output }), ...asked } }
  }
  if (node.type === "Scope") return { ...node, props: { id } }
  if (isRegion(node.type)) return { ...node, props: { of: {}, boundary } }
  if (node.type !== "Task") return { ...node, props: { of: { until: false }, loop, boundary } }
  return { ...node, props: { id, children: "", ...defined({ output }) } }
}

const rootOf = ({ nodes }: Rendered): HostNode => {
  const [root, second] = nodes
  if (root === undefined) throw new InvalidElement("there is no <Workflow>: the render returned nothing", "smithers")
  const stray = nodes.find(({ type }) => type !== "Workflow")
  if (stray !== undefined) {
    return isKind(stray.type) ? refuse(stray, "it is outside of <Workflow>") : refuse(stray, unknownElement(stray.type))
  }
  return second === undefined ? root : refuse(second, "there is a second <Workflow>; a workflow has exactly one")
}

const budgetOf = (node: HostNode, id: NodeId, children: ReadonlyArray<Node>): Plan.Sequence => {
  const { id: _, children: __, skipIf: ___, ...limits } = node.props
  return orRefuse(node, NodeOptions.budget(id, children, limits))
}

const parallel = (node: HostNode, children: ReadonlyArray<Node>): Plan.Parallel | Plan.Sequence => {
  const { maxConcurrency } = node.props
  const made = orRefuse(node, NodeOptions.parallel(children, node.props, words))
  const isLimit = maxConcurrency !== undefined && maxConcurrency !== 0
  const problem = isLimit ? NodeOptions.countProblem("maxConcurrency", maxConcurrency) : undefined
  return problem === undefined ? made : refuse(node, problem)
}

const scopeOf = (node: HostNode, body: Node, loop: NodeId | undefined, lowering: Lowering, analysis: Analysis): Plan.Scope => {
  const props = propsOf(node)
  const conditionOf = (name: "until" | "cancelWhen"): Plan.Scope["completeWhen"] => {
    const { [name]: value } = props
    if (value === undefined) return undefined
    // A condition made of a missing output of its own tasks does not hold yet.
    if (typeof value !== "function" && analysis.readsItself(node)) return () => false
    return condition(node, name, value, loop, lowering, analysis.comesAfter(node))
  }
  const parts = { id: idOf(node), needs: [], body, completeWhen: conditionOf("until"), cancelWhen: conditionOf("cancelWhen") }
  return orRefuse(node, NodeOptions.scope(parts, props, words))
}

/** A branch or an item with content. */
interface Part extends NamedPart {
  readonly body: Node
}

const raceOf = (node: HostNode, parts: ReadonlyArray<Part>): Plan.Scope => {
  checkNames(node, parts)
  const branches = parts.map(({ name, body }) => [name, body] as const)
  return orRefuse(node, NodeOptions.race(idOf(node), branches, propsOf(node), words))
}

const listOf = (
  node: HostNode,
  parts: ReadonlyArray<Part>,
  loop: NodeId | undefined,
  lowering: Lowering,
  analysis: Analysis,
): Plan.Scope => {
  checkNames(node, parts)
  const props = propsOf(node)
  const { until, more } = props
  // Values are decoded when they are read.
  const progress = (context: Plan.PredicateContext): ReadonlyArray<unknown> => {
    const { done, failed, open } = context
    return [
      {
        done,
        failed,
        open,
        get values() {
          return context.values
        },
      },
    ]
  }
  const list = {
    needs: [],
    until: until === undefined ? undefined : condition(node, "until", until, loop, lowering, analysis.comesAfter(node), progress),
    // Pending: more items may follow.
    isOpen: isPending(more) || orRefuse(node, NodeOptions.isSet(props, "more", words)),
  }
  const items = parts.map(({ name, body }) => [name, body] as const)
  return orRefuse(node, NodeOptions.forEach(idOf(node), items, list, props, words))
}

const sagaOf = (node: HostNode, body: Node): Plan.Saga => orRefuse(node, NodeOptions.saga({ id: idOf(node), body }, propsOf(node)))

const tryOf = (node: HostNode, build: (part: HostNode) => Node | undefined): Plan.TryCatch => {
  const part = (type: "Try" | "Catch" | "Finally"): Node | undefined => {
    const found = node.children.find((child): child is HostNode => !isText(child) && child.type === type)
    return found === undefined ? undefined : build(found)
  }
  const parts = { try: part("Try") ?? single([]), catch: part("Catch"), finally: part("Finally") }
  return orRefuse(node, NodeOptions.tryCatch({ id: idOf(node), ...parts }, propsOf(node), "catchWhen"))
}

const loopOf = (
  node: HostNode,
  children: ReadonlyArray<Node>,
  lowering: Lowering,
  analysis: Analysis,
  isUnsaid = analysis.readsItself(node),
): Plan.Loop => {
  const id = idOf(node)
  const props = propsOf(node)
  const { until, maxIterations } = props
  if (!("until" in props) && (maxIterations === undefined || maxIterations === Number.POSITIVE_INFINITY))
    refuse(node, `it would never end: give it "until", or a limit as "maxIterations"`)
  // A condition made of a missing output of its own tasks does not hold yet.
  const isOpen = isUnsaid && (typeof until !== "function" || isPending(until))
  const holds = isOpen ? () => false : condition(node, "until", until, id, lowering, analysis.comesAfter(node))
  const options = isPending(maxIterations) ? { ...props, maxIterations: Number.POSITIVE_INFINITY } : props
  return orRefuse(node, NodeOptions.loop({ id, needs: [], body: single(children), until: holds }, options, true))
}
