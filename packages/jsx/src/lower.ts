/**
 * Lowers the tree that a render has left to the core's plan. What the tree says is checked here, with the component and the id
 * named; what the plan says, such as needs that form no order, is checked by the plan itself.
 */
import type { Agent } from "@smithers/core/Agent"
import * as Codec from "@smithers/core/Codec"
import { idPattern, idRule, type NodeId } from "@smithers/core/Ids"
import type { Ask, Cache, Need, Node, PendingRead, Step } from "@smithers/core/Plan"
import * as Plan from "@smithers/core/Plan"
import * as RetryPolicy from "@smithers/core/RetryPolicy"
import type { RunState } from "@smithers/core/RunState"
import type { StepContext } from "@smithers/core/StepProgram"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { type Ctx, MissingOutput, type TaskCtx } from "./Ctx.ts"
import { componentsAround, type Fiber, type HostNode, type HostText, isText, stampOf } from "./HostNode.ts"
import { isPieces } from "./internal/children.ts"
import * as Prompt from "./internal/prompt.ts"
import type { Layout } from "./internal/reading.ts"
import { type Stamp, stampKey } from "./internal/scope.ts"
import { isPending } from "./Pending.ts"
import type { Rendered } from "./render.ts"

/** What a tree is lowered with. */
export interface Lowering {
  /** The table of an output: of a schema or a key; `undefined` where it is none of the workflow's. */
  readonly tableOf: (output: unknown) => string | undefined
  readonly codecOf: (table: string) => Codec.Codec<unknown, unknown>
  readonly tables: ReadonlyArray<string>
  /** A `ctx` for a function that is called when a task runs, or to decide something about it. */
  readonly ctxAt: (state: RunState, loop: NodeId | undefined, absent: "error" | "pending") => Ctx
  /** Whether a node that is not mounted has an output, and what that is. */
  readonly stored: (nodeId: NodeId, state: RunState | undefined) => { readonly value: unknown } | undefined
  /** Nodes not mounted that have given this table. */
  readonly storedWriters: (table: string) => ReadonlyArray<NodeId>
}

/** A task as it stands in the tree. */
export interface Task {
  readonly id: NodeId
  readonly table: string
  readonly loop: NodeId | undefined
  /** The prompt of an agent, or the text or value that is the output; `undefined` where a function gives it. */
  readonly content: () => unknown
  readonly isAgent: boolean
  readonly isProvisional: boolean
  /** Components around it, innermost first. */
  readonly components: ReadonlyArray<string>
}

/** A tree as a plan, and where things stand in it. */
export interface Lowered {
  readonly name: string
  readonly root: Node
  readonly layout: Layout
  /** For whoever looks at the plan; a run has no use for them. */
  readonly tasks: () => ReadonlyArray<Task>
  readonly pending: ReadonlyArray<PendingRead>
  /** The loops that a rendering of a component (its scope) draws or, where it draws none, the one its elements stand in. */
  readonly loopsOf: (scope: object) => ReadonlyArray<NodeId>
}

/** What is wrong with a tree, and where. */
export class Misplaced extends TypeError {
  readonly where: string
  constructor(problem: string, where: string) {
    super(problem)
    this.where = where
  }
}

/** The table of tasks that declare no output. */
export const untypedTable = "untyped"

const untyped = Codec.make(Schema.Unknown) as Codec.Codec<unknown, unknown>

type Props = { readonly [name: string]: unknown }

const known = {
  Workflow: new Set(["name", "children"]),
  Sequence: new Set(["children"]),
  Parallel: new Set(["children", "maxConcurrency", "failFast"]),
  Branch: new Set(["if", "then", "else"]),
  Loop: new Set(["id", "until", "maxIterations", "onMaxReached", "children"]),
  Task: new Set([
    ...["id", "output", "agent", "deps", "needs", "dependsOn", "skipIf", "retries", "retryPolicy", "noRetry", "timeoutMs"],
    ...["heartbeatTimeoutMs", "continueOnFail", "cache", "label", "meta", "compensate", "children"],
  ]),
} as const

type Kind = keyof typeof known

/** What is pending is a function as well, and as a child is nothing. */
const hasFunction = (children: unknown): boolean =>
  Array.isArray(children) ? children.some(hasFunction) : typeof children === "function" && !isPending(children)

const isKind = (type: string): type is Kind => Object.hasOwn(known, type)

/** The props as the author wrote them: some components hand theirs on. */
const propsOf = (node: HostNode): Props => (node.type === "Branch" || node.type === "Loop" ? (node.props.of as Props) : node.props)

/** The way to where a node stands, as the core writes ways in a plan. */
const whereOf = (node: HostNode): string => componentsAround(node.fiber.return).toReversed().join(" > ")

const refuse = (node: HostNode, problem: string): never => {
  const { id } = propsOf(node)
  const name = typeof id === "string" || typeof id === "number" ? `${node.type} "${id}"` : `a ${node.type}`
  throw new Misplaced(`${name}: ${problem}`, whereOf(node))
}

/** Lowers a tree. Throws {@link Misplaced}. */
export const lower = (rendered: Rendered, lowering: Lowering): Lowered => {
  const root = rootOf(rendered)
  const props = propsOf(root)
  const { name } = props
  if (typeof name !== "string" || !idPattern.test(name)) refuse(root, `its name must be ${idRule}`)

  const survey = surveyOf(root, rendered.pendingReads, lowering)
  const build = (node: HostNode, loop: NodeId | undefined): Node | undefined => {
    const inside = (within: NodeId | undefined): ReadonlyArray<Node> =>
      node.children.flatMap((child) => (isText(child) ? [] : (build(child, within) ?? [])))
    const pending = survey.pendingOf(node)
    const waits = pending.length === 0 ? {} : { pending }
    switch (node.type as Kind) {
      case "Workflow":
      case "Sequence":
        return { _tag: "Sequence", children: inside(loop) }
      case "Parallel":
        return parallel(node, inside(loop))
      case "Branch": {
        // The way that was taken, in place; while it is not known which, nothing inside is begun.
        const children = inside(loop)
        if (pending.length === 0 && children.length === 1) return children[0]
        return { _tag: "Sequence", children, ...waits }
      }
      case "Loop":
        return { ...loopOf(node, inside, lowering), ...waits }
      case "Task": {
        if (survey.isLeftOut(node)) return undefined
        return { ...step(node, loop, survey, lowering), ...waits }
      }
    }
  }
  const built = build(root, undefined) as Plan.Sequence
  const pending = [...rendered.pendingReads, ...survey.missing()]
  return {
    name: name as string,
    root: { ...built, skipsAbsent: true },
    layout: survey.layout,
    tasks: survey.tasks,
    pending: distinct(pending),
    loopsOf: survey.loopsOf,
  }
}

const distinct = (reads: ReadonlyArray<PendingRead>): ReadonlyArray<PendingRead> => {
  if (reads.length < 2) return reads
  return [...new Map(reads.map((read) => [`${read.nodeId ?? ""}/${read.table ?? ""}`, read])).values()]
}

const rootOf = ({ nodes }: Rendered): HostNode => {
  const [root, second] = nodes
  if (root === undefined) throw new Misplaced("there is no <Workflow>: the render gave nothing", "smithers")
  const stray = nodes.find(({ type }) => type !== "Workflow")
  if (stray !== undefined) {
    return isKind(stray.type) ? refuse(stray, "it stands outside <Workflow>") : refuse(stray, unknownElement(stray.type))
  }
  return second === undefined ? root : refuse(second, "there is a second <Workflow>; a workflow has one")
}

const unknownElement = (type: string): string =>
  `<${type}> is no part of a workflow. Elements such as this one belong into the prompt of a Task; outside there are Task, Sequence, Parallel, Branch and Loop`

interface Place {
  readonly node: HostNode
  /** Position in document order. */
  readonly order: number
  readonly loop: NodeId | undefined
}

/** What has to be known of the whole tree before a part of it can be lowered. */
interface Survey {
  readonly layout: Layout
  readonly pendingOf: (node: HostNode) => ReadonlyArray<PendingRead>
  /** A task that is not settled, and whose id is no use: it will have another once what it waits for is there. */
  readonly isLeftOut: (node: HostNode) => boolean
  /** Deps for which there is no task yet. */
  readonly missing: () => ReadonlyArray<PendingRead>
  readonly orderOf: (node: HostNode) => number
  readonly taskAt: (id: NodeId) => Place | undefined
  /** The loops around a node, innermost first. */
  readonly loopsAround: (loop: NodeId | undefined) => ReadonlyArray<NodeId>
  readonly tasks: () => ReadonlyArray<Task>
  readonly loopsOf: Lowered["loopsOf"]
}

const surveyOf = (root: HostNode, pendingReads: ReadonlyArray<PendingRead>, lowering: Lowering): Survey => {
  const places = new Map<HostNode, Place>()
  const tasks: Array<Place> = []
  const loops = new Map<NodeId, NodeId | undefined>()
  const walk = (node: HostNode, loop: NodeId | undefined): void => {
    if (!isKind(node.type)) return refuse(node, unknownElement(node.type))
    const props = propsOf(node)
    for (const prop of Object.keys(props)) {
      if (!known[node.type].has(prop)) refuse(node, `it has no prop "${prop}"; there are ${[...known[node.type]].join(", ")}`)
    }
    const place = { node, order: places.size, loop }
    places.set(node, place)
    if (node.type === "Task") {
      tasks.push(place)
      return
    }
    if (hasFunction(node.props.children))
      refuse(node, "a function stands in it, which nobody calls: functions are children of a Task")
    if (node.type === "Workflow" && node !== root) refuse(node, "a workflow cannot stand in another one")
    let inside = loop
    if (node.type === "Loop") {
      const id = node.props.loop
      if (typeof id !== "string" || !idPattern.test(id)) refuse(node, `its id ${JSON.stringify(id)} is not ${idRule}`)
      inside = id as string
      if (loops.has(inside)) refuse(node, `the id "${inside}" is taken by another loop`)
      loops.set(inside, loop)
    }
    for (const child of node.children) if (!isText(child)) walk(child, inside)
  }
  walk(root, undefined)

  // Which tasks there are. What is settled comes first: the id of a provisional task may not be its last.
  const tableOf = (node: HostNode): string => {
    const { output } = node.props
    if (output === undefined && !("output" in node.props)) return untypedTable
    return (
      lowering.tableOf(output) ??
      refuse(
        node,
        `its output is none of the schemas of this workflow (${lowering.tables.join(", ")}): pass one of createSmithers(…).outputs`,
      )
    )
  }
  const byId = new Map<NodeId, Place>()
  const leftOut = new Set<HostNode>()
  const stampedReads = new Map<HostNode, ReadonlyArray<PendingRead>>()
  if (pendingReads.length > 0) for (const { node } of places.values()) stampedReads.set(node, readsBehind(node, pendingReads))
  const settledFirst =
    pendingReads.length === 0
      ? tasks
      : [...tasks].sort((left, right) => countOf(stampedReads, left.node) - countOf(stampedReads, right.node))
  for (const place of settledFirst) {
    const { id } = place.node.props
    const isSettled = countOf(stampedReads, place.node) === 0
    const isFine = typeof id === "string" && idPattern.test(id)
    const other = isFine ? byId.get(id) : undefined
    if (isFine && other === undefined) byId.set(id, place)
    else if (!isSettled) leftOut.add(place.node)
    else if (!isFine) refuse(place.node, `its id ${JSON.stringify(id) ?? "undefined"} is not ${idRule}`)
    else refuse(place.node, `the id is taken by another task (at ${whereOf((other as Place).node)}): ids are unique in a workflow`)
  }

  const layoutTasks = new Map<NodeId, { readonly table: string; readonly loop: NodeId | undefined }>()
  const writers = new Map<string, Array<NodeId>>()
  for (const { node, loop } of tasks) {
    if (leftOut.has(node)) continue
    const [id, table] = [node.props.id as string, tableOf(node)]
    layoutTasks.set(id, { table, loop })
    const others = writers.get(table)
    if (others === undefined) writers.set(table, [id])
    else others.push(id)
    if (loops.has(id)) refuse(node, "the id is taken by a loop")
  }
  const layout: Layout = { tasks: layoutTasks, writers, loops }

  const targetOf = ({ nodeId, table }: PendingRead): Place | undefined => {
    const id = nodeId ?? (table === undefined ? undefined : writers.get(table)?.[0])
    return id === undefined ? undefined : byId.get(id)
  }
  const orderOf = (node: HostNode): number => places.get(node)?.order ?? -1
  const missing: Array<PendingRead> = []
  const pendingOf = (node: HostNode): ReadonlyArray<PendingRead> => {
    const reads = (stampedReads.get(node) ?? none).filter((read) => {
      const target = targetOf(read)
      return target === undefined || orderOf(node) > target.order
    })
    const waiting = node.type === "Task" ? missingDeps(node, layout, lowering) : none
    missing.push(...waiting)
    return waiting.length === 0 ? distinct(reads) : distinct([...reads, ...waiting])
  }
  return {
    layout,
    pendingOf,
    isLeftOut: (node) => leftOut.has(node),
    missing: () => missing,
    orderOf,
    taskAt: (id) => byId.get(id),
    loopsAround: (loop) => {
      const around: Array<NodeId> = []
      for (let here = loop; here !== undefined; here = loops.get(here)) around.push(here)
      return around
    },
    loopsOf: (scope) => {
      // An element of which nobody knows who made it may be anyone's.
      const made = [...places.values()].filter(({ node }) => (stampOf(propsOf(node), stampKey)?.scope ?? scope) === scope)
      const drawn = made.flatMap(({ node }) => (node.type === "Loop" ? [node.props.loop as NodeId] : []))
      const around = made.find(({ loop }) => loop !== undefined)?.loop
      return drawn.length > 0 || around === undefined ? drawn : [around]
    },
    tasks: () =>
      tasks.flatMap(({ node, loop }) => {
        if (leftOut.has(node)) return []
        const { id, agent } = node.props
        return {
          id: id as string,
          table: tableOf(node),
          loop,
          content: () => contentOf(node, isTextual(tableOf(node), lowering)),
          isAgent: agent !== undefined,
          isProvisional: pendingOf(node).length > 0,
          components: componentsAround(node.fiber.return),
        }
      }),
  }
}

const none: ReadonlyArray<PendingRead> = []

const countOf = (reads: ReadonlyMap<HostNode, ReadonlyArray<PendingRead>>, node: HostNode): number => reads.get(node)?.length ?? 0

/** Kinds of fibers that run an author's code: functions, classes, consumers of contexts, and their memoized and forwarded forms. */
const componentTags: ReadonlySet<number> = new Set([0, 1, 9, 11, 14, 15])

/**
 * The pending reads an element was made after: those of the component that made it, up to then; those that this component's own
 * element was made after, and so on outwards; those of components that were handed the element and put it into something they
 * made after a read; and for a task those made by the components of its prompt.
 */
const readsBehind = (node: HostNode, all: ReadonlyArray<PendingRead>): ReadonlyArray<PendingRead> => {
  const own = stampOf(propsOf(node), stampKey)
  // Made by other means than our jsx, so that nobody knows when: then everything counts.
  if (own === undefined) return all
  const around = fibersAround(node.fiber)
  const found = [...own.reads, ...node.readsInside]
  let { scope } = own
  for (let index = 0; index < around.length; index++) {
    // Out to the component that made the element: the next one beyond all that was made together with it. What is in between and
    // was made by others, they have put around it.
    const outermost = around.findLastIndex(({ stamp }) => stamp?.scope === scope)
    let isMaker = false
    for (; index < around.length && !isMaker; index++) {
      const { stamp, isComponent } = around[index] as (typeof around)[number]
      if (stamp !== undefined && stamp.scope !== scope) found.push(...stamp.reads)
      isMaker = isComponent && index > outermost
      if (isMaker) scope = stamp?.scope ?? scope
    }
    index--
  }
  return found
}

const fibersAround = (fiber: Fiber) => {
  const found: Array<{ readonly stamp: Stamp | undefined; readonly isComponent: boolean }> = []
  for (let here = fiber.return; here !== null; here = here.return) {
    found.push({ stamp: stampOf(here.pendingProps, stampKey), isComponent: componentTags.has(here.tag) })
  }
  return found
}

// Tasks

/** The task that a dep means: the one named under `needs`, the one of its own name, or the only one that gives its schema. */
const depTarget = (
  node: HostNode,
  name: string,
  layout: Layout,
  lowering: Lowering,
): { readonly nodeId: NodeId | undefined; readonly table: string } => {
  const { deps, needs } = node.props as { readonly deps: Props; readonly needs?: Props }
  const table =
    lowering.tableOf(deps[name]) ??
    refuse(node, `its dep "${name}" is none of the schemas of this workflow (${lowering.tables.join(", ")})`)
  const named = needs?.[name]
  if (named !== undefined && typeof named !== "string") refuse(node, `its need "${name}" is not the id of a task`)
  const gives = (id: string): string | undefined => layout.tasks.get(id)?.table
  if (typeof named === "string") {
    const other = gives(named)
    if (other !== undefined && other !== table)
      refuse(node, `its dep "${name}" is a "${table}", and task "${named}" gives a "${other}"`)
    return { nodeId: named, table }
  }
  if (gives(name) === table) return { nodeId: name, table }
  const mounted = (layout.writers.get(table) ?? []).filter((id) => id !== node.props.id)
  const candidates = mounted.length > 0 ? mounted : lowering.storedWriters(table)
  if (candidates.length > 1) {
    refuse(node, `its dep "${name}" is a "${table}", which ${candidates.length} tasks give: name one with needs={{ ${name}: "…" }}`)
  }
  return { nodeId: candidates[0], table }
}

const depNames = (node: HostNode): ReadonlyArray<string> => {
  const { deps } = node.props
  if (deps === undefined) return []
  if (typeof deps !== "object" || deps === null) return refuse(node, `"deps" must be an object of schemas by name`)
  for (const name of Object.keys(deps)) {
    if (Plan.reservedNames.has(name)) refuse(node, `its dep cannot be named "${name}", which the ctx has already`)
  }
  return Object.keys(deps)
}

/** Deps whose task is not there yet, in the plan or among what is stored: the task waits for it to be mounted. */
const missingDeps = (node: HostNode, layout: Layout, lowering: Lowering): ReadonlyArray<PendingRead> => {
  if (node.props.deps === undefined && node.props.dependsOn === undefined) return none
  const isMissing = (nodeId: NodeId | undefined): boolean =>
    nodeId === undefined || (!layout.tasks.has(nodeId) && lowering.stored(nodeId, undefined) === undefined)
  const deps = depNames(node).flatMap((name) => {
    const target = depTarget(node, name, layout, lowering)
    return isMissing(target.nodeId) ? [target] : []
  })
  const after = dependsOn(node).filter(isMissing)
  return [...deps, ...after.map((nodeId) => ({ nodeId, table: undefined }))]
}

const dependsOn = (node: HostNode): ReadonlyArray<string> => {
  const { dependsOn: ids } = node.props
  if (ids === undefined) return []
  const isList = Array.isArray(ids) && ids.every((id) => typeof id === "string")
  return isList ? ids : refuse(node, `"dependsOn" must be an array of task ids`)
}

const step = (node: HostNode, loop: NodeId | undefined, survey: Survey, lowering: Lowering): Step => {
  const { props } = node
  const { id, output, label, meta, skipIf, compensate } = props
  const table = output === undefined ? untypedTable : (lowering.tableOf(output) as string)
  const taskId = id as string
  if (label !== undefined && typeof label !== "string") refuse(node, `"label" must be text`)
  if (meta !== undefined && (typeof meta !== "object" || meta === null || Array.isArray(meta))) {
    refuse(node, `"meta" must be an object`)
  }
  if (compensate !== undefined && typeof compensate !== "function") refuse(node, `"compensate" must be a function`)

  const needs: Array<Need> = []
  const past = new Map<string, NodeId>()
  const names = depNames(node)
  for (const need of Object.keys(props.needs ?? {})) {
    if (!names.includes(need)) refuse(node, `its need "${need}" is none of its deps (${names.join(", ")})`)
  }
  for (const name of names) {
    const { nodeId } = depTarget(node, name, survey.layout, lowering)
    if (nodeId === taskId) refuse(node, `it depends on itself under "${name}"`)
    if (nodeId === undefined) continue
    if (survey.taskAt(nodeId) !== undefined) needs.push({ name, target: nodeId, pass: "current" })
    else past.set(name, nodeId)
  }
  for (const nodeId of dependsOn(node)) {
    if (nodeId === taskId) refuse(node, "it depends on itself")
    if (survey.taskAt(nodeId) !== undefined) needs.push({ name: `after:${nodeId}`, target: nodeId, pass: "current" })
  }

  const ask = askOf(node, output === undefined)
  const ctxOf = (context: StepContext<unknown>, state: RunState): TaskCtx => {
    const { heartbeat, lastHeartbeat, attempt, idempotencyKey, stepId } = context
    const ctx = lowering.ctxAt(state, loop, "error")
    const own = { heartbeat, lastHeartbeat, attempt, idempotencyKey, taskId: stepId }
    return Object.defineProperty(Object.assign(Object.create(ctx), own), "signal", { get: () => context.signal }) as TaskCtx
  }
  const depsOf = (context: StepContext<unknown>, state: RunState): Props => {
    const values: Record<string, unknown> = {}
    for (const name of names) {
      const gone = past.get(name)
      const value = gone === undefined ? (context as unknown as Props)[name] : lowering.stored(gone, state)?.value
      if (value === undefined) {
        const target = depTarget(node, name, survey.layout, lowering).nodeId ?? name
        throw new MissingOutput({
          output: target,
          problem: `it is the dep "${name}" of task "${taskId}", and was skipped or has failed`,
        })
      }
      values[name] = value
    }
    return values
  }
  const content = contentOf(node, isTextual(table, lowering))
  const compute = content as (...given: ReadonlyArray<unknown>) => unknown
  const run = (context: StepContext<unknown>, state: RunState): unknown => {
    if (typeof content !== "function") return Prompt.isWritten(content) ? Prompt.write(content) : content
    const ctx = ctxOf(context, state)
    const given = names.length > 0 ? compute(depsOf(context, state), ctx) : compute(ctx)
    return ask === undefined ? given : Prompt.resolve(given, ctx)
  }
  const undo = compensate as ((output: unknown, ctx: TaskCtx) => unknown) | undefined
  return {
    _tag: "Step",
    id: taskId,
    label: label as string | undefined,
    meta: meta as Step["meta"],
    needs,
    codec: output === undefined ? untyped : lowering.codecOf(table),
    table,
    retry: retryOf(node),
    timeoutMs: millis(node, "timeoutMs"),
    heartbeatTimeoutMs: millis(node, "heartbeatTimeoutMs"),
    skipIf: skipIf === undefined || skipIf === null || skipIf === false ? undefined : condition(skipIf, loop, lowering),
    continueOnFail: flag(node, "continueOnFail"),
    cache: cacheOf(node, loop, content, lowering),
    ...(ask === undefined ? {} : { ask }),
    run: run as Step["run"],
    compensate:
      undo === undefined
        ? undefined
        : (((context: StepContext<unknown> & { readonly output: unknown }, state: RunState) =>
            undo(context.output, ctxOf(context, state))) as Step["compensate"]),
  }
}

/** A value or a function of the ctx, asked as a condition. What is pending does not hold. */
const condition =
  (given: unknown, loop: NodeId | undefined, lowering: Lowering) =>
  (_: unknown, state: RunState): boolean => {
    const value = typeof given === "function" && !isPending(given) ? given(lowering.ctxAt(state, loop, "pending")) : given
    return !isPending(value) && Boolean(value)
  }

/** What a task does: its function, what there is to write of a prompt, or its value. */
const contentOf = (node: HostNode, isTextual: boolean): unknown => {
  const { children, agent } = node.props
  if (children === undefined)
    return refuse(
      node,
      agent === undefined ? "it has nothing to do: give it a function, a value or an agent" : "it has an agent and no prompt",
    )
  if (isPending(children)) return ""
  if (typeof children === "function") return children
  const isRendered = node.children.length > 0
  if (isRendered) checkPrompt(node, node)
  const isElement = typeof children === "object" && children !== null && "$$typeof" in children
  if (isRendered || isElement) return Prompt.written(node.children)
  if (typeof children === "object" && children !== null && "then" in children) {
    return refuse(node, "its child is a promise: pass a function, which is called when the task runs")
  }
  const isWritten = agent !== undefined || isPieces(children) || (isTextual && Array.isArray(children))
  return isWritten ? Prompt.pieces(children) : children
}

/** Whether an output is text, so that what is written in pieces is meant as one. */
const isTextual = (table: string, lowering: Lowering): boolean =>
  table !== untypedTable && lowering.codecOf(table).jsonSchema?.type === "string"

const checkPrompt = (task: HostNode, node: HostNode): void => {
  for (const child of node.children) {
    if (isText(child)) continue
    if (isKind(child.type))
      refuse(task, `a ${child.type} stands in it. A task holds a prompt, a function or a value; put other nodes beside it`)
    checkPrompt(task, child)
  }
}

const askOf = (node: HostNode, isText: boolean): Ask | undefined => {
  const { agent } = node.props
  if (agent === undefined) return undefined
  const agents = (Array.isArray(agent) ? agent : [agent]) as ReadonlyArray<Agent>
  const isAgent = (one: unknown): boolean =>
    typeof one === "object" && one !== null && typeof (one as { readonly generate?: unknown }).generate === "function"
  if (agents.length === 0 || !agents.every(isAgent)) refuse(node, `its agent is not an agent: it has no method "generate"`)
  return { agents, isText }
}

const policies = new Map<string, RetryPolicy.RetryPolicy<unknown>>()

const retryOf = (node: HostNode): RetryPolicy.RetryPolicy<unknown> => {
  const { retries, retryPolicy, noRetry } = node.props
  if (noRetry !== undefined && typeof noRetry !== "boolean") refuse(node, `"noRetry" must be true or false`)
  if (retries !== undefined && !(retries === 0 || Plan.isCount(retries)))
    refuse(node, `"retries" must be a whole number of at least 0, or Infinity`)
  if (noRetry === true) return RetryPolicy.none
  if (Schedule.isSchedule(retryPolicy)) {
    if (retries !== undefined)
      refuse(node, `"retries" and a Schedule as "retryPolicy" contradict each other: a Schedule says how often by itself`)
    return RetryPolicy.fromSchedule(retryPolicy as Schedule.Schedule<unknown, never, unknown>)
  }
  if (retries === undefined && retryPolicy === undefined) return RetryPolicy.standard
  if (retryPolicy !== undefined && (typeof retryPolicy !== "object" || retryPolicy === null))
    refuse(node, `"retryPolicy" must be an object or a Schedule`)
  const { initialDelayMs, maxDelayMs, ...options } = (retryPolicy ?? {}) as Props
  const all: Props = {
    ...options,
    ...(initialDelayMs === undefined ? {} : { initialDelay: initialDelayMs }),
    ...(maxDelayMs === undefined ? {} : { maxDelay: maxDelayMs }),
    ...(retries === undefined ? {} : { maxAttempts: (retries as number) + 1 }),
  }
  for (const key of Object.keys(all))
    if (!Object.hasOwn(RetryPolicy.defaults, key)) refuse(node, `"retryPolicy" has no option "${key}"`)
  const key = JSON.stringify(Object.entries(all).map(([name, value]) => [name, typeof value === "number" ? `${value}` : value]))
  const kept = policies.get(key)
  if (kept !== undefined) return kept
  const policy = RetryPolicy.fromOptions(all as RetryPolicy.RetryOptions)
  if ("problem" in policy) return refuse(node, policy.problem)
  policies.set(key, policy as RetryPolicy.RetryPolicy<unknown>)
  return policy as RetryPolicy.RetryPolicy<unknown>
}

const cacheOf = (node: HostNode, loop: NodeId | undefined, content: unknown, lowering: Lowering): Cache | undefined => {
  const { cache } = node.props
  if (cache === undefined || cache === false) return undefined
  if (cache !== true && (typeof cache !== "object" || cache === null)) return refuse(node, `"cache" must be true or an object`)
  const { key, ttl, ...others } = (cache === true ? {} : cache) as Props
  for (const other of Object.keys(others)) refuse(node, `"cache" has no option "${other}"; there are key, ttl`)
  if (key !== undefined && typeof key !== "function") refuse(node, `"cache.key" must be a function`)
  const life = ttl === undefined ? undefined : RetryPolicy.duration(ttl as RetryPolicy.DurationLike)
  if (life !== undefined && Option.isNone(life)) refuse(node, `"cache.ttl" is not a duration such as "30s" or "2 minutes"`)
  const text = typeof content === "function" ? undefined : content
  return {
    key: (context, state) => {
      if (typeof key === "function") return key(lowering.ctxAt(state, loop, "error"))
      return { ...context, ...(Prompt.isWritten(text) ? { prompt: Prompt.write(text) } : {}) }
    },
    ttlMs: life !== undefined && Option.isSome(life) ? Duration.toMillis(life.value) : undefined,
  }
}

// Control flow

const parallel = (node: HostNode, children: ReadonlyArray<Node>): Plan.Parallel => {
  const { maxConcurrency } = node.props
  if (maxConcurrency !== undefined && !Plan.isCount(maxConcurrency))
    refuse(node, `"maxConcurrency" must be a whole number of at least 1`)
  return { _tag: "Parallel", children, maxConcurrency: maxConcurrency as number | undefined, failFast: flag(node, "failFast") }
}

const loopOf = (node: HostNode, inside: (loop: NodeId) => ReadonlyArray<Node>, lowering: Lowering): Plan.Loop => {
  const id = node.props.loop as string
  const { until, maxIterations = Number.POSITIVE_INFINITY, onMaxReached = "return-last" } = propsOf(node)
  if (maxIterations !== undefined && !Plan.isCount(maxIterations) && !isPending(maxIterations))
    refuse(node, `"maxIterations" must be a whole number of at least 1, or Infinity`)
  if (onMaxReached !== "return-last" && onMaxReached !== "fail") refuse(node, `"onMaxReached" must be "return-last" or "fail"`)
  if (!("until" in propsOf(node)) && maxIterations === Number.POSITIVE_INFINITY)
    refuse(node, `it would never end: give it "until" or "maxIterations"`)
  const children = inside(id)
  return {
    _tag: "Loop",
    id,
    needs: [],
    body: children.length === 1 ? (children[0] as Node) : { _tag: "Sequence", children },
    until: condition(until, id, lowering),
    maxIterations: isPending(maxIterations) ? Number.POSITIVE_INFINITY : (maxIterations as number),
    onMaxReached: onMaxReached as Plan.Loop["onMaxReached"],
  }
}

// Props

const millis = (node: HostNode, name: string): number | undefined => {
  const value = node.props[name]
  if (value === undefined) return undefined
  const isTime = typeof value === "number" && value > 0 && Number.isFinite(value)
  return isTime ? value : refuse(node, `"${name}" must be milliseconds, more than 0`)
}

const flag = (node: HostNode, name: string): boolean => {
  const value = node.props[name]
  return value === undefined || typeof value === "boolean" ? value === true : refuse(node, `"${name}" must be true or false`)
}

export type { HostText }
