/**
 * Analyses a tree: the places of its nodes, and which of them are settled. Computes everything that must be known of the whole tree
 * before a part of it can be lowered, and rejects problems of the tree.
 */
import { compositeKey, idRule, isNodeId, type NodeId, partId, sandboxPartId, shownId } from "@smithers/core/Ids"
import * as Names from "@smithers/core/Names"
import * as NodeOptions from "@smithers/core/NodeOptions"
import type { Node, PendingRead } from "@smithers/core/Plan"
import * as Compatibility from "../Compatibility.ts"
import { componentsAround, type HostNode, isText } from "../HostNode.ts"
import { isPending } from "../Pending.ts"
import { RenderError } from "../render.ts"
import { checkCondition } from "./condition.ts"
import { contentOf, isTextual } from "./content.ts"
import { isWaitingFor, missingDeps } from "./deps.ts"
import {
  forwardedProps,
  hasFunction,
  InvalidElement,
  idOf,
  isGroup,
  isKind,
  isLeaf,
  isPart,
  isRegion,
  isWait,
  keptIdOf,
  known,
  type Props,
  propsOf,
  refuse,
  whereOf,
} from "./elements.ts"
import type { Placed } from "./identity.ts"
import { type Lowering, untypedTable } from "./lowering.ts"
import { inItem, type NamedPart, partsOf } from "./parts.ts"
import { followsUse, heldBackBy, isHeldByOther, stampsOf } from "./provisional.ts"
import { type Group, ReadError, type TaskIndex, type TaskLocation } from "./reads.ts"
import { firstFrom, noTable } from "./rows.ts"
import { type Stamp, stampOf } from "./scope.ts"

/** A task and its place in the tree. */
export interface PlacedTask {
  readonly id: NodeId
  readonly node: HostNode
  readonly table: string
  readonly loop: NodeId | undefined
  /** Prompt of an agent, or the static text or value; `undefined` if a function returns it. */
  readonly content: () => unknown
  /** Name of the element. */
  readonly kind: string
  readonly isAgent: boolean
  readonly isProvisional: boolean
}

/** A task, wait or condition that was made after a read of a task which comes later. */
export interface Early {
  readonly node: HostNode
  readonly read: PendingRead
  /** `true` if a component of its own prompt made the read. */
  readonly isInside: boolean
}

export interface TreeNode {
  readonly node: HostNode
  /** Position in document order. */
  readonly order: number
  /** Position after its last descendant. */
  end: number
  readonly parent: TreeNode | undefined
  readonly loop: NodeId | undefined
}

/** Result of {@link analyze}. */
export interface Analysis {
  readonly layout: TaskIndex
  /** All entries, descendants first. */
  readonly inward: ReadonlyArray<TreeNode>
  readonly pendingOf: (node: HostNode) => ReadonlyArray<PendingRead>
  /** Returns `true` for an unsettled task with an unusable id, which will change once its reads are settled. */
  readonly isOmitted: (node: HostNode) => boolean
  /** Deps without a mounted task. */
  readonly missing: () => ReadonlyArray<PendingRead>
  readonly isInSaga: (node: HostNode) => boolean
  /** Returns the body of a boundary or a part. It does not end as long as its pending reads may add nodes. */
  readonly bodyOf: (node: HostNode, children: ReadonlyArray<Node>) => Node
  /** Pending reads, without those of inactive parts: a failed try, and a handler before a failure. */
  readonly wanted: () => ReadonlyArray<PendingRead>
  /** Returns `make()`, or `otherwise()` while the node is unsettled and its props are invalid. */
  readonly tolerateUnsettled: <A>(node: HostNode, make: () => A, otherwise: () => A) => A
  readonly tasks: () => ReadonlyArray<PlacedTask>
  /** Returns the loops that a component renders (by its scope) or, if none, the one around its elements. */
  readonly loopsOf: (scope: object) => ReadonlyArray<NodeId>
  /** Returns `true` if a loop was made after a pending read of one of its own tasks. */
  readonly readsItself: (loop: HostNode) => boolean
  /** Returns a predicate: `true` for a read of a task that starts only after a node has ended, or that is the node. */
  readonly comesAfter: (node: HostNode) => (read: Pick<PendingRead, "nodeId" | "table">) => boolean
  /** Nodes that would start although they were made after a pending read of themselves or of a later task. */
  readonly early: () => ReadonlyArray<Early>
  /** Returns `true` if a task or a wait waits only for reads of a sibling element. */
  readonly isHeldBySibling: (node: HostNode) => boolean
  readonly nodes: () => ReadonlyArray<HostNode>
  /** Loops, sagas and tries without an id, outermost first. */
  readonly placed: () => ReadonlyArray<Placed>
  /** Warnings: constructs that are allowed but may not be intended, one sentence each. */
  readonly concerns: () => ReadonlyArray<string>
}

/** Analyses a tree. Throws `InvalidElement`. */
export const analyze = (root: HostNode, pendingReads: ReadonlyArray<PendingRead>, lowering: Lowering): Analysis => {
  const entries = new Map<HostNode, TreeNode>()
  const tasks: Array<TreeNode> = []
  const loops = new Map<NodeId, NodeId | undefined>()
  const boundaries = new Map<NodeId, string>()
  /** Races and lists, with their entries. */
  const groups: Array<TreeNode> = []
  const partNames = new Map<HostNode, string>()
  const kindOf = (id: NodeId): string | undefined => (loops.has(id) ? "loop" : boundaries.get(id))
  /** Claims the id of a node that is not a task. */
  const claim = ({ node, parent }: TreeNode, id: unknown): NodeId => {
    if (id === undefined) return refuse(node, `it has no "id"`)
    if (!isNodeId(id)) return refuse(node, `its id ${shownId(id)} is not ${idRule}`)
    const taken = kindOf(id)
    if (taken === undefined) return id
    return refuse(node, `the id "${id}" is taken by another ${taken}${inItem(itemAround(parent))}`)
  }
  const inward: Array<TreeNode> = []
  /** Records a node. Returns the loop around its children; `undefined` if it has no child nodes. */
  const visit = (entry: TreeNode): { readonly loop: NodeId | undefined } | undefined => {
    const { node, loop } = entry
    if (!isKind(node.type)) return refuse(node, unknownElement(node.type))
    const props = propsOf(node)
    const stray = Names.unknownIn(props, known[node.type])
    const cure = stray && Compatibility.cureOf(node.type, stray.name)
    if (cure !== undefined) refuse(node, `"${stray?.name}" is a prop of Smithers 0.x. ${cure}`)
    const unknown = Names.problemOf(props, known[node.type], "prop")
    if (unknown !== undefined) refuse(node, `it ${unknown}`)
    entries.set(node, entry)
    if (isLeaf(node.type)) {
      tasks.push(entry)
      return undefined
    }
    if (props.skipIf !== undefined) checkCondition(node, "skipIf", props.skipIf)
    if (hasFunction(node.props.children))
      refuse(node, "it has a function as a child, which is never called: put functions into a Task")
    if (node.type === "Workflow" && node !== root) refuse(node, "a workflow cannot contain another one: use <Subflow>")
    let within = loop
    if (node.type === "Loop") {
      within = claim(entry, node.props.loop)
      loops.set(within, loop)
    }
    if (node.type === "Saga" || node.type === "TryCatchFinally") boundaries.set(claim(entry, node.props.boundary), "saga or try")
    if (isRegion(node.type)) boundaries.set(claim(entry, keptIdOf(node)), "scope, race or ForEach")
    if (node.type === "ForEach") checkItems(node, props)
    if (node.type === "Race" || node.type === "ForEach") groups.push(entry)
    if (node.type === "TryCatchFinally") checkParts(node, props)
    if (isPart(node.type) && "content" in node.props) refuse(node, noElements(node))
    return { loop: within }
  }
  // A work list instead of recursion, since plans may be deeper than the stack.
  const open: Array<{ readonly entry: TreeNode; readonly loop: NodeId | undefined; child: number }> = []
  const enter = (node: HostNode, loop: NodeId | undefined, parent: TreeNode | undefined): void => {
    const entry: TreeNode = { node, order: entries.size, end: entries.size + 1, loop, parent }
    const children = visit(entry)
    if (children === undefined) inward.push(entry)
    else open.push({ entry, loop: children.loop, child: 0 })
  }
  enter(root, undefined, undefined)
  for (let here = open.at(-1); here !== undefined; here = open.at(-1)) {
    const child = here.entry.node.children[here.child++]
    if (child === undefined) {
      here.entry.end = entries.size
      inward.push(here.entry)
      open.pop()
    } else if (!isText(child)) enter(child, here.loop, here.entry)
    else if (!isBlank(child.text)) refuse(here.entry.node, strayText(child.text))
  }

  // Collects the tasks, settled ones first: the id of a provisional task may change.
  const tableOf = (node: HostNode): string => {
    const { output } = node.props
    // A timer has no output to read.
    if (node.type === "Timer" || node.type === "ContinueAsNew") return noTable
    if (output === undefined && !("output" in node.props)) return untypedTable
    return (
      lowering.tableOf(output) ??
      refuse(
        node,
        `its output is not a schema of this workflow (${lowering.tables.join(", ")}): pass one of createSmithers(…).outputs`,
      )
    )
  }
  const byId = new Map<NodeId, TreeNode>()
  const leftOut = new Set<HostNode>()
  /** Nodes that were made after a pending read. */
  const unsettled = new Set<HostNode>()
  if (pendingReads.length > 0) {
    for (const { node } of entries.values()) if (heldBackBy(node, pendingReads, always) !== undefined) unsettled.add(node)
  }
  const settledFirst =
    pendingReads.length === 0
      ? tasks
      : [...tasks].sort((left, right) => Number(unsettled.has(left.node)) - Number(unsettled.has(right.node)))
  const tolerateUnsettled: Analysis["tolerateUnsettled"] = (node, make, otherwise) => {
    if (!unsettled.has(node)) return make()
    try {
      return make()
    } catch (thrown) {
      if (thrown instanceof InvalidElement) return otherwise()
      throw thrown
    }
  }
  for (const task of settledFirst) {
    const { id } = task.node.props
    const isSettled = !unsettled.has(task.node)
    const isFine =
      isNodeId(id) &&
      tolerateUnsettled(
        task.node,
        () => tableOf(task.node),
        () => "",
      ) !== ""
    const other = isFine ? byId.get(id) : undefined
    if (isFine && other === undefined) byId.set(id, task)
    else if (!isSettled) leftOut.add(task.node)
    else if (other === undefined) locating(task.node, () => refuse(task.node, `its id ${shownId(id)} is not ${idRule}`))
    else {
      const where = whereOf(other.node)
      refuse(
        task.node,
        `the id is taken by another task (at ${where}): ids are unique in a workflow${inItem(itemAround(task.parent))}`,
      )
    }
  }

  const layoutGroups = new Map<NodeId, Group>()
  for (const { node, loop } of groups) {
    const parts: ReadonlyArray<NamedPart> = partsOf(node)
    for (const part of parts) partNames.set(part.node, part.name)
    layoutGroups.set(idOf(node), { loop, parts: parts.map(({ name }) => name) })
  }
  const layoutTasks = new Map<NodeId, TaskLocation>()
  const writers = new Map<string, Array<NodeId>>()
  for (const entry of tasks) {
    const { node, loop } = entry
    if (leftOut.has(node)) continue
    const [id, table] = [idOf(node), tableOf(node)]
    layoutTasks.set(id, { table, loop, within: withinOf(entry, partNames) })
    const others = writers.get(table)
    if (others === undefined) writers.set(table, [id])
    else others.push(id)
    const taken = kindOf(id)
    if (taken !== undefined) refuse(node, `the id is taken by a ${taken}`)
  }
  for (const entry of entries.values()) {
    if (!givesOutcome(entry.node)) continue
    const [id, table] = [givenBy(entry.node), tableOf(entry.node)]
    const own = { boundary: sandboxPartId(idOf(entry.node), "sandbox"), part: "Try" }
    layoutTasks.set(id, { table, loop: entry.loop, within: [own, ...withinOf(entry, partNames)] })
    byId.set(id, entry)
    writers.set(table, [...(writers.get(table) ?? []), id])
  }
  // The steps of a sandbox itself write there, and no task has to.
  if (!writers.has(untypedTable) && [...entries.keys()].some(({ type }) => type === "Sandbox")) writers.set(untypedTable, [])
  const layout: TaskIndex = { tasks: layoutTasks, writers, loops, groups: layoutGroups }

  const targetOf = ({ nodeId, table }: PendingRead): TreeNode | undefined => {
    const id = nodeId ?? (table === undefined ? undefined : writers.get(table)?.[0])
    return id === undefined ? undefined : byId.get(id)
  }
  /**
   * Returns `true` if a node is the read one, contains it, or precedes it in a sequence. Holding it back would block the read for
   * ever.
   */
  const isBefore = (node: HostNode, target: TreeNode): boolean => {
    const entry = entries.get(node)
    return entry !== undefined && entry.order <= target.order && (contains(entry, target) || isOrdered(entry, target))
  }
  const contains = (outer: TreeNode, inner: TreeNode): boolean => outer.order <= inner.order && inner.order < outer.end
  /** Returns `true` if the first of two places, in document order, ends before the second starts. */
  const isOrdered = (first: TreeNode, second: TreeNode): boolean => {
    for (let under: TreeNode | undefined = first.parent; under !== undefined; under = under.parent)
      if (contains(under, second)) return !isGroup(under.node.type)
    return false
  }
  /** Returns `true` if a saga, a region, or a part of one or of a try, is inactive. */
  const isIdlePart = ({ node, loop, parent }: TreeNode): boolean => {
    if (node.type === "Saga") return lowering.hasCaught(idOf(node), loop)
    if (node.type === "Scope") return lowering.isLeft(idOf(node), loop)
    if (parent !== undefined && isGroup(parent.node.type) && isPart(node.type)) {
      const group = idOf(parent.node)
      return lowering.isLeft(partId(group, partNames.get(node) ?? ""), loop) || isGroupLeft(parent)
    }
    if (parent === undefined || !(node.type === "Try" || node.type === "Catch")) return false
    return (node.type === "Try") === lowering.hasCaught(idOf(parent.node), loop)
  }
  const isGroupLeft = ({ node, loop }: TreeNode): boolean => lowering.isLeft(idOf(node), loop, propsOf(node).rest)
  const isIdle = (entry: TreeNode | undefined): boolean => {
    for (let here = entry; here !== undefined; here = here.parent) if (isIdlePart(here)) return true
    return false
  }
  const isData = (read: PendingRead): boolean => {
    const table = read.table ?? (read.nodeId === undefined ? undefined : layoutTasks.get(read.nodeId)?.table)
    if (table === undefined || table === untypedTable || table === noTable) return false
    const type = lowering.codecOf(table).jsonSchema?.type
    return type === "object" || type === "array"
  }
  const readOf = (node: HostNode): PendingRead | undefined =>
    unsettled.has(node)
      ? heldBackBy(node, pendingReads, (read) => {
          const target = targetOf(read)
          return target === undefined || !isBefore(node, target)
        })
      : undefined
  const isHeldBySibling = (node: HostNode): boolean => {
    const [entry, read] = [entries.get(node), isLeaf(node.type) ? readOf(node) : undefined]
    if (entry === undefined || read === undefined || leftOut.has(node)) return false
    const target = targetOf(read)
    // It comes after the read task in any case.
    if (target !== undefined && target.order < entry.order && isOrdered(target, entry)) return false
    if (target !== undefined && isWaitingFor(node, givenBy(target.node), layout, lowering)) return false
    return isHeldByOther(node, read, isData(read)) && !lowering.holdsPending(node)
  }
  const placed = (): ReadonlyArray<Placed> => {
    const found: Array<Placed> = []
    for (const { node, order, end } of entries.values()) {
      const { path, isListItem } = node.props
      const kind = kindIn(node.type)
      if (typeof path !== "string" || kind === undefined) continue
      const inside = tasks.slice(firstAfter(tasks, order), firstAfter(tasks, end))
      const ids = inside.flatMap((task) => (leftOut.has(task.node) ? [] : [idOf(task.node)]))
      found.push({ node, kind, path, id: idOf(node), isListItem: isListItem === true, tasks: ids })
    }
    return found
  }
  const concerns = (): ReadonlyArray<string> => {
    const named = ({ nodeId, table }: PendingRead): string => (nodeId === undefined ? `the output "${table}"` : `"${nodeId}"`)
    const held = tasks.flatMap(({ node }) => {
      const read = readOf(node)
      if (read === undefined || !isHeldBySibling(node)) return []
      const { id } = node.props
      return `${node.type} "${id}" (at ${whereOf(node)}) waits for ${named(read)} only because its component read that before creating the ${node.type.toLowerCase()}. Make each item a component of its own that reads with useCtx(), or read in a function of ctx. If it should wait, add dependsOn`
    })
    const early = analysis.early().flatMap(({ node, read }) => {
      const { id } = node.props
      const isOwn = targetOf(read)?.node === node
      if (!isLeaf(node.type) || isOwn || (isData(read) && !followsUse(node))) return []
      return `${node.type} "${id}" (at ${whereOf(node)}) starts before ${named(read)}, which its component read before creating the ${node.type.toLowerCase()}. Content that depends on that output is not known then. Read it after creating the elements that precede it, or in a component of its own`
    })
    const unkeyed = placed().flatMap(({ node, kind, isListItem, tasks: [task] }) =>
      isListItem && task !== undefined
        ? `The ${kind} of "${task}" (at ${whereOf(node)}) is in a list without a key or an id, so it is identified by its tasks alone. Give the items of the list keys, or the ${kind} an id`
        : [],
    )
    return [...held, ...early, ...unkeyed]
  }
  /**
   * Loops rendered by each component, and the first loop around its elements. The key `undefined` holds loops of elements made
   * without our JSX runtime.
   */
  let byScope: Map<object | undefined, { readonly drawn: Array<NodeId>; around: ReadonlyArray<NodeId> }> | undefined
  const loopsByScope = () => {
    if (byScope !== undefined) return byScope
    byScope = new Map()
    for (const { node, loop } of entries.values()) {
      const scope = stampOf(propsOf(node))?.scope
      const known = byScope.get(scope) ?? { drawn: [], around: noLoops }
      byScope.set(scope, known)
      if (node.type === "Loop") known.drawn.push(idOf(node))
      if (known.around.length === 0 && loop !== undefined) known.around = [loop]
    }
    return byScope
  }
  /** Reads of a component: the document positions of the tasks they mean, sorted, and the first read of each. */
  const meantBy = new Map<object, { readonly orders: ReadonlyArray<number>; readonly first: ReadonlyMap<number, number> }>()
  const meantIn = ({ scope }: Stamp) => {
    const known = meantBy.get(scope)
    if (known !== undefined) return known
    const first = new Map<number, number>()
    for (const [index, read] of scope.reads.entries()) {
      const order = targetOf(read)?.order
      if (order !== undefined && !first.has(order)) first.set(order, index)
    }
    const made = { orders: [...first.keys()].sort((left, right) => left - right), first }
    meantBy.set(scope, made)
    return made
  }
  /** Returns the read of a node by its own component. Looked up, since a component may have many reads. */
  const readOfOwn = (entry: TreeNode, stamp: Stamp): PendingRead | undefined => {
    const index = meantIn(stamp).first.get(entry.order)
    return index !== undefined && index < stamp.count ? stamp.scope.reads[index] : undefined
  }
  /** Returns `true` if a component may have read a task that comes after a node. */
  const mayReadLater = (entry: TreeNode, stamp: Stamp): boolean => {
    const { orders } = meantIn(stamp)
    let from = entry.end
    for (let around = entry.parent; around !== undefined; around = around.parent) {
      // Siblings in a group are not after it.
      const isAfter = !isGroup(around.node.type) && (orders[firstFrom(orders, from)] ?? around.end) < around.end
      if (isAfter) return true
      from = around.end
    }
    return false
  }
  const missing: Array<PendingRead> = []
  const pendingOf = (node: HostNode): ReadonlyArray<PendingRead> => {
    const held = readOf(node)
    const reads = held === undefined ? noReads : [held]
    const isTask = isLeaf(node.type)
    const waiting = isTask
      ? tolerateUnsettled(
          node,
          () => missingDeps(node, layout, lowering),
          () => noReads,
        )
      : noReads
    if (waiting.length > 0 && !isIdle(entries.get(node))) missing.push(...waiting)
    return waiting.length === 0 ? distinct(reads) : distinct([...reads, ...waiting])
  }
  const analysis: Analysis = {
    layout,
    inward,
    placed,
    nodes: () => [...entries.keys()].filter((node) => !leftOut.has(node)),
    isHeldBySibling,
    concerns,
    pendingOf,
    comesAfter: (node) => (read) => {
      const [entry, target] = [entries.get(node), targetOf(read)]
      if (entry === undefined || target === undefined || entry.order > target.order) return false
      return entry === target ? isLeaf(node.type) : !contains(entry, target) && isOrdered(entry, target)
    },
    early: () =>
      pendingReads.length === 0
        ? []
        : inward.flatMap((entry): ReadonlyArray<Early> => {
            const { node } = entry
            if (!unsettled.has(node) || leftOut.has(node)) return []
            const isTask = isLeaf(node.type)
            if (!isTask && !conditional.has(node.type)) return []
            const stamps = stampsOf(node)
            const mayBeLater = stamps.some((stamp) => stamp === undefined || mayReadLater(entry, stamp))
            if (!mayBeLater && node.readsInside.length === 0) {
              const own = stamps.flatMap((stamp) => (stamp === undefined || !isTask ? [] : (readOfOwn(entry, stamp) ?? [])))[0]
              return own === undefined ? [] : [{ node, read: own, isInside: false }]
            }
            const isLater = (read: PendingRead): boolean => {
              const target = targetOf(read)
              return target !== undefined && isBefore(node, target) && (isTask || !contains(entry, target))
            }
            const inside = isTask ? node.readsInside.findLast(isLater) : undefined
            const read = inside ?? heldBackBy(node, pendingReads, isLater)
            return read === undefined ? [] : [{ node, read, isInside: inside !== undefined }]
          }),
    isOmitted: (node) => leftOut.has(node),
    missing: () => missing,
    bodyOf: (node, children) => {
      const open = node.readsInside.findLast((read) => {
        const target = targetOf(read)
        return target === undefined || !isBefore(node, target)
      })
      return open === undefined
        ? single(children)
        : { _tag: "Sequence", children: [...children, { _tag: "Sequence", children: [], pending: [open] }] }
    },
    wanted: () => {
      const idle = new Set<PendingRead>()
      for (const entry of pendingReads.length === 0 ? [] : entries.values()) {
        const { readsInside, type } = entry.node
        if (readsInside.length > 0 && type !== "Task" && isIdlePart(entry)) for (const read of readsInside) idle.add(read)
      }
      return idle.size === 0 ? pendingReads : pendingReads.filter((read) => !idle.has(read))
    },
    isInSaga: (node) => {
      for (let here = entries.get(node)?.parent; here !== undefined; here = here.parent) if (here.node.type === "Saga") return true
      return false
    },
    tolerateUnsettled,
    readsItself: (node) => {
      const entry = entries.get(node)
      if (entry === undefined || !unsettled.has(node)) return false
      const isInside = (read: PendingRead): boolean => {
        const target = targetOf(read)
        return target !== undefined && target !== entry && contains(entry, target)
      }
      return heldBackBy(node, pendingReads, isInside) !== undefined
    },
    loopsOf: (scope) => {
      if (loops.size === 0) return noLoops
      const known = loopsByScope()
      const [own, anybodys] = [known.get(scope), known.get(undefined)]
      // The maker of the element is unknown, so it may be any component.
      if (anybodys === undefined) return own === undefined ? noLoops : own.drawn.length > 0 ? own.drawn : own.around
      const drawn = [...(own?.drawn ?? []), ...anybodys.drawn]
      const isDrawn = new Set(drawn)
      if (drawn.length > 0) return [...loops.keys()].filter((loop) => isDrawn.has(loop))
      return own === undefined || own.around.length === 0 ? anybodys.around : own.around
    },
    tasks: () =>
      tasks.flatMap(({ node, loop }) => {
        if (leftOut.has(node)) return []
        const { agent } = node.props
        return {
          id: idOf(node),
          node,
          table: tableOf(node),
          loop,
          content: () =>
            isWait(node.type)
              ? undefined
              : tolerateUnsettled(
                  node,
                  () => contentOf(node, isTextual(tableOf(node), lowering)),
                  () => "",
                ),
          kind: node.type,
          isAgent: agent !== undefined,
          isProvisional: pendingOf(node).length > 0,
        }
      }),
  }
  return analysis
}

const kindIn = (type: string): Placed["kind"] | undefined =>
  type === "Loop" ? "loop" : type === "Saga" ? "saga" : type === "TryCatchFinally" ? "try" : undefined

/** Returns the index of the first place after a document position. */
const firstAfter = (entries: ReadonlyArray<TreeNode>, order: number): number => {
  let [low, high] = [0, entries.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const entry = entries[middle]
    if (entry !== undefined && entry.order < order) low = middle + 1
    else high = middle
  }
  return low
}

/** Elements, other than tasks, that must not depend on later tasks. */
const conditional: ReadonlySet<string> = new Set(["Branch", "Loop", "Scope", "ForEach"])

/** Tells whether an element is a sandbox whose outcome is an output. */
const givesOutcome = ({ type, props }: HostNode): boolean => type === "Sandbox" && props.output !== undefined

/** The id under which the output of an element is read: of a sandbox, the one of the step that applies its patch. */
const givenBy = (node: HostNode): NodeId => (node.type === "Sandbox" ? sandboxPartId(idOf(node), "apply") : idOf(node))

/** Returns the list item that is at a place or contains it. */
const itemAround = (entry: TreeNode | undefined): HostNode | undefined => {
  for (let here = entry; here !== undefined; here = here.parent) if (here.node.type === "ForEachItem") return here.parent?.node
  return undefined
}

/** Returns the boundaries around a task that may end without it, each with the part that contains the task. */
const withinOf = (task: TreeNode, partNames: ReadonlyMap<HostNode, string>): TaskLocation["within"] => {
  const found: Array<TaskLocation["within"][number]> = []
  for (let inner = task, outer = task.parent; outer !== undefined; inner = outer, outer = outer.parent) {
    const { node, parent } = outer
    const name = partNames.get(node)
    if (name !== undefined && parent !== undefined) found.push({ boundary: partId(idOf(parent.node), name), part: "" })
    if (node.type === "TryCatchFinally") found.push({ boundary: idOf(node), part: inner.node.type })
    const isLeavable = isRegion(node.type) || (node.type === "Saga" && propsOf(node).onCompensated === "continue")
    if (isLeavable) found.push({ boundary: idOf(node), part: "" })
  }
  return found
}

const checkItems = (node: HostNode, { items, by, until, children }: Props): void => {
  if (typeof children !== "function" || isPending(children))
    refuse(node, "its child must be a function of an item that returns elements")
  const isList = typeof items === "object" && items !== null && Symbol.iterator in items
  if (!isPending(items) && !isList) refuse(node, `"items" must be a list${items === undefined ? ", and is missing" : ""}`)
  if (by !== undefined && typeof by !== "function") refuse(node, `"by" must be a function of an item that returns its key`)
  if (until !== undefined && (typeof until !== "function" || isPending(until)))
    refuse(node, `"until" must be a function of { done, failed, open, values } and ctx`)
}

const checkParts = (node: HostNode, props: Props): void => {
  if (props.try !== undefined && props.children !== undefined) refuse(node, `it has both "try" and children: remove one of them`)
  const problem = NodeOptions.handlersProblem(props)
  if (problem !== undefined) refuse(node, problem)
}

/** Describes a part without elements. */
const noElements = (node: HostNode): string => {
  const { content } = node.props
  if (node.type === "ForEachItem")
    return `its function returned ${shownGiven(content)} instead of elements: put functions and values into a Task`
  const name = node.type.toLowerCase()
  const { [name]: written } = forwardedProps(node)
  const shown = shownGiven(content)
  const said =
    typeof written === "function" && written !== content ? `its "${name}" returned ${shown}` : `its "${name}" is ${shown}`
  return `${said}, but only elements may be here: put functions and values into a Task`
}

const shownGiven = (content: unknown): string => {
  const isPromise = typeof content === "object" && content !== null && "then" in content
  return typeof content === "function" ? "a function" : isPromise ? "a promise" : (JSON.stringify(content) ?? String(content))
}

const noReads: ReadonlyArray<PendingRead> = []

const noLoops: ReadonlyArray<NodeId> = []

const always = (): boolean => true

/** Removes duplicate reads. */
export const distinct = (reads: ReadonlyArray<PendingRead>): ReadonlyArray<PendingRead> => {
  if (reads.length < 2) return reads
  return [...new Map(reads.map((read) => [compositeKey(read.nodeId ?? "", read.table ?? ""), read])).values()]
}

/** Wraps several children as a sequence. */
export const single = (children: ReadonlyArray<Node>): Node => {
  const [only] = children
  return only !== undefined && children.length === 1 ? only : { _tag: "Sequence", children }
}

/**
 * Returns `true` for text that is ignored between elements: white space, and numbers (`&&` leaves the length of a list). Also
 * ignores lines that look like comments, since JSX treats `// Usage` as text.
 */
const isBlank = (text: string): boolean =>
  text.trim() === "" || !Number.isNaN(Number(text)) || text === "NaN" || /^\s*\/[/*]/.test(text)

const strayText = (text: string): string => {
  const shown = text.trim()
  const cut = shown.length > 40 ? `${shown.slice(0, 39)}…` : shown
  return `it contains the text ${JSON.stringify(cut)}, which has no effect: put it into a Task, or into a comment {/* … */}`
}

/** Describes an element that is not part of a plan. */
export const unknownElement = (type: string): string =>
  `<${type}> is not a component of workflows. Put such elements into the prompt of a Task`

/** Computes a value from the props of an element. An error thrown by an author's getter is reported as the author's. */
export const locating = <A>(node: HostNode, make: () => A): A => {
  try {
    return make()
  } catch (thrown) {
    if (thrown instanceof InvalidElement || thrown instanceof ReadError) throw thrown
    const around = [node.type, ...componentsAround(node.fiber.return)]
    throw new RenderError(thrown, around.map((name) => `at ${name}`).join("\n"))
  }
}
