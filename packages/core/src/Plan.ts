/**
 * The plan of a run: a tree of steps and of the control flow around them. A front end makes the tree; {@link make} checks it
 * and lays it out in document order (preorder), so that the scheduler works on plain integers. A node is known by its
 * position; steps and loops also by the id their author gave them.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { type AnyAgent, nameOf } from "./Agent.ts"
import type { Codec } from "./Codec.ts"
import { InvalidWorkflow } from "./Errors.ts"
import { idRule, isNodeId, type NodeId, type NodeKey, shownId } from "./Ids.ts"
import { toJson } from "./internal/json.ts"
import * as Layout from "./internal/layout.ts"
import type { Millis } from "./Millis.ts"
import type { RetryPolicy } from "./RetryPolicy.ts"
import { compensationId, type RunState } from "./RunState.ts"

/** A value a node takes from another node, under a name of its own. */
export interface Need {
  readonly name: string
  /** The node itself, or the id of a step, a loop or a boundary. */
  readonly target: Node | NodeId
  /**
   * `previous`: what the target gave in the pass before this one, `undefined` in the first. `caught`: what the boundary around this node
   * was halted by.
   */
  readonly pass: "current" | "previous" | "caught"
  /** It may be absent. Only so a `catch` or a `finally` can take what stands in the `try`, and a `finally` what stands beside it. */
  readonly isOptional?: boolean
  /** The schema the author expects of the target; checked when given. */
  readonly codec?: Codec
}

/** What a predicate sees: the input and the needs by name, and for a loop's `until` also `output` and `iteration`. */
export type PredicateContext = { readonly [name: string]: unknown }

/** An output that was looked up, by other ways than a need, while something was worked out. */
export interface Read {
  /** The node that is meant; `undefined` where none has given the table yet. */
  readonly nodeId: NodeId | undefined
  readonly table: string
  /** The row that was found: with an output, or without one where none will come. `undefined` while it may. */
  readonly key: NodeKey | undefined
}

/** Takes note of what an author's function reads, so that what is made of it can be made again. */
export type NoteRead = (read: Read) => void

/** What a node may have whose author has read outputs while making it. */
interface Drawn {
  /** The rows that it was made of, as of the state in which it begins. */
  readonly reads?: (state: RunState) => Iterable<NodeKey>
}

/** An output that the plan was made without, because it was not there yet: the one of a node, or of whatever node writes the table. */
export interface PendingRead {
  readonly nodeId: NodeId | undefined
  readonly table: string | undefined
}

/** Who answers the prompt that a step's code gives. */
export interface Ask {
  /** Tried in order. */
  readonly agents: ReadonlyArray<AnyAgent>
  /** No schema was declared for the reply: its text is the output as it is. */
  readonly isText: boolean
  /** How often an agent is asked to put a reply right within an attempt. */
  readonly corrections: number
}

/**
 * What a node may have that is not settled yet. With `pending` reads it is provisional: shown in the plan, and not begun. The
 * plan made once they are there says what it really is.
 */
interface Provisional {
  readonly pending?: ReadonlyArray<PendingRead>
  /** It says nothing of what was read: its component has read it, for what it made beside this. */
  readonly isHeldBySibling?: boolean
}

/** Whether and for how long a step may take over the output of an earlier run; the key is derived from what `key` returns. */
export interface Cache {
  readonly key: (context: PredicateContext, state: RunState, noteRead: NoteRead) => unknown
  readonly ttlMs: Millis | undefined
}

/** Work: the only node that runs user code as an attempt and the only one with an output of its own. */
export interface Step extends Provisional, Drawn {
  readonly _tag: "Step"
  readonly id: NodeId
  readonly label: string | undefined
  readonly meta: { readonly [key: string]: unknown } | undefined
  readonly needs: ReadonlyArray<Need>
  readonly codec: Codec<unknown, unknown>
  /** Name of the output table. Steps of one workflow may share a table that holds exactly their columns. A compensation has none. */
  readonly table: string | undefined
  readonly retry: RetryPolicy<unknown>
  readonly timeoutMs: Millis | undefined
  readonly heartbeatTimeoutMs: Millis | undefined
  readonly skipIf: ((context: PredicateContext, state: RunState, noteRead: NoteRead) => boolean) | undefined
  readonly continueOnFail: boolean
  readonly cache: Cache | undefined
  /** Set where the work is an agent's: then what `run` gives is the prompt. */
  readonly ask?: Ask
  /**
   * Returns a value, a Promise or an Effect. The context is built by `StepProgram`; `state` is that of the run as the attempt
   * starts.
   */
  readonly run: (context: never, state: RunState, noteRead: NoteRead) => unknown
  /** What `run` gives is part of the plan: another attempt would give the same. */
  readonly isConstant?: boolean
  /** Undoes the step inside a saga. */
  readonly compensate: ((context: never, state: RunState) => unknown) | undefined
  /** An approval without a row of its own, under the id of the step, that the step waits for before its first attempt. */
  readonly gate?: Wait
}

/** Children one after another. */
export interface Sequence extends Provisional {
  readonly _tag: "Sequence"
  readonly children: ReadonlyArray<Node>
  /** Its value is that of the last child that has one, instead of the last child's. */
  readonly skipsAbsent?: boolean
  /** Its value is that of the last node inside, in the order of the plan, that has given this table. */
  readonly gives?: string
}

/** Children at the same time; at most `maxConcurrency` attempts inside it run at once. */
export interface Parallel {
  readonly _tag: "Parallel"
  readonly children: ReadonlyArray<Node>
  readonly maxConcurrency: number | undefined
  /** A failure inside interrupts what else runs inside, instead of letting it finish. */
  readonly failFast: boolean
}

/** One of two arms. `when` must be pure: it is asked again after a restart. */
export interface Branch {
  readonly _tag: "Branch"
  readonly needs: ReadonlyArray<Need>
  readonly when: (context: PredicateContext) => boolean
  readonly then: Node
  readonly else: Node | undefined
}

/** Passes of a body until a condition holds, asked before the first pass and after each. `until` must be pure. */
export interface Loop extends Provisional, Drawn {
  readonly _tag: "Loop"
  readonly id: NodeId
  readonly needs: ReadonlyArray<Need>
  readonly body: Node
  readonly until: (context: PredicateContext, state: RunState, noteRead: NoteRead) => boolean
  readonly maxIterations: number
  /** Nobody has set that limit: it is the default of components. */
  readonly isDefaultLimit?: boolean
  readonly onMaxReached: "return-last" | "fail"
}

/** What a wait is for. What its functions give is shown to people, or tells one signal from another; they must be pure. */
export type Awaited =
  | {
      readonly kind: "approval"
      readonly request: (context: PredicateContext, state: RunState, noteRead: NoteRead) => unknown
      readonly onDeny: "fail" | "continue" | "skip"
      /** Who may decide; anyone where it is not said. Names: whoever brings a decision has made sure of who it is from. */
      readonly approvers: ReadonlyArray<string> | undefined
    }
  | { readonly kind: "human"; readonly prompt: (context: PredicateContext, state: RunState, noteRead: NoteRead) => unknown }
  | {
      readonly kind: "signal"
      readonly name: string
      readonly correlation: ((context: PredicateContext, state: RunState, noteRead: NoteRead) => unknown) | undefined
    }
  | {
      readonly kind: "subflow"
      readonly child: Child
      readonly input: (context: PredicateContext, state: RunState, noteRead: NoteRead) => unknown
      /** Waits for the child, and cancels it with itself; otherwise it is over as soon as the child has begun. */
      readonly isAttached: boolean
      readonly onFail: "fail" | "continue"
    }
  /** `due` is a span from when the wait begins, or gives epoch ms or a `Date` then. */
  | {
      readonly kind: "timer"
      readonly due: Millis | ((context: PredicateContext, state: RunState, noteRead: NoteRead) => unknown)
    }

/** A workflow as one that starts it knows it. */
export interface Child {
  readonly name: string
  readonly version: string | undefined
  /** Of its input. */
  readonly input: Codec<unknown, unknown>
  /** What the engine runs: a `Definition`, which this module knows nothing of. */
  readonly definition: object
  /** Where it is always the same. */
  readonly plan?: Plan
}

/** Waiting for the world, durably: nothing runs for it. */
export interface Wait extends Provisional, Drawn {
  readonly _tag: "Wait"
  readonly id: NodeId
  readonly label: string | undefined
  readonly meta: { readonly [key: string]: unknown } | undefined
  readonly needs: ReadonlyArray<Need>
  readonly codec: Codec<unknown, unknown>
  /** Name of the output table; a timer has none, as it gives nothing. */
  readonly table: string | undefined
  readonly skipIf: ((context: PredicateContext, state: RunState, noteRead: NoteRead) => boolean) | undefined
  readonly on: Awaited
  /** How long it waits at most. */
  readonly timeoutMs: Millis | undefined
  /** What becomes of it then: `continue` leaves its output absent; the others are for approvals. */
  readonly onTimeout: "fail" | "continue" | "deny" | "approve"
}

/** Steps that are undone, where they can be, in reverse order of completion, when the saga is left by a failure or a cancellation. */
export interface Saga extends Provisional {
  readonly _tag: "Saga"
  readonly id: NodeId
  readonly body: Node
  /** Whether the failure goes on outwards once all is undone, or the run goes on, without the saga's value. */
  readonly onCompensated: "fail" | "continue"
}

/** What is done instead when something in it fails for good, and what is done however it is left. */
export interface TryCatch extends Provisional {
  readonly _tag: "TryCatch"
  readonly id: NodeId
  readonly try: Node
  readonly catch: Node | undefined
  readonly finally: Node | undefined
}

/** Where failures and cancellations are met on their way outwards. */
export type Boundary = Saga | TryCatch

export type Node = Step | Wait | Sequence | Parallel | Branch | Loop | Boundary

/** Texts that say no, and count as true. */
const noes: ReadonlySet<string> = new Set(["false", "no", "off", "0", "null", "undefined", "nan"])

/** Whether a value is a text that says no. */
export const saysNo = (given: unknown): given is string => typeof given === "string" && noes.has(given.trim().toLowerCase())

/** What a condition gave that would count as true whatever comes of it, in a few words; `undefined` for anything that counts as it is. */
export const untrue = (given: unknown): string | undefined => {
  if (saysNo(given)) return `the text ${JSON.stringify(given)}`
  if (typeof given === "function") return "a function"
  if (typeof given !== "object" || given === null) return undefined
  if (Effect.isEffect(given)) return "an Effect"
  return "then" in given && typeof given.then === "function" ? "a promise" : undefined
}

/** Whether failures are met here on their way outwards. */
export const isBoundary = (node: Node | undefined): node is Boundary => node?._tag === "Saga" || node?._tag === "TryCatch"

/** Whether a node has an output of its own. */
export const isLeaf = (node: Node | undefined): node is Step | Wait => node?._tag === "Step" || node?._tag === "Wait"

/** A need with its target found. */
export interface ResolvedNeed {
  readonly name: string
  readonly target: number
  /** What must be done before the value is there: the target, or the outermost loop or saga around it that the reader is not in; -1 for nothing. */
  readonly gate: number
  /** A value that is not there is no fault. */
  readonly isOptional: boolean
  readonly pass: Need["pass"]
}

/**
 * A checked plan. Nodes are known by position in document order. After the `size` nodes of the tree stand the compensations of its sagas, as
 * steps in no tree. What a position is looked up by throws where no such node is: only positions of this plan may be given.
 */
export interface Plan extends Omit<Layout.Layout<Node>, "nodes"> {
  readonly workflow: string
  readonly nodes: ReadonlyArray<Node>
  readonly size: number
  /** The node with an id, compensations included. */
  readonly find: (nodeId: NodeId) => Node | undefined
  readonly step: (position: number) => Step
  readonly leaf: (position: number) => Step | Wait
  readonly loop: (position: number) => Loop
  readonly boundary: (position: number) => Boundary
  /** The id of a node that has one. */
  readonly id: (position: number) => NodeId
  /** Innermost loop around a node, or -1. */
  readonly loopOf: (position: number) => number
  readonly boundaries: ReadonlyArray<number>
  /** The steps that have a compensation, in the order of those. */
  readonly undoes: ReadonlyArray<number>
  /** The step that a compensation undoes. */
  readonly undone: (compensation: number) => number
  readonly needs: (position: number) => ReadonlyArray<ResolvedNeed>
  /** Nodes that wait for this one because of a need. */
  readonly dependents: ReadonlyMap<number, ReadonlyArray<number>>
  /** Position of whatever has an id, compensations included. */
  readonly positions: ReadonlyMap<NodeId, number>
  /** What was read before it was there. While there is such a read the plan is not complete, and the run cannot finish. */
  readonly pending: ReadonlyArray<PendingRead>
  /** It is drawn as the run goes on: another drawing may have other nodes. */
  readonly isDrawn: boolean
  /** The plan as text, one line per node, without its functions: equal text is an equal plan. */
  readonly text: string
}

const misplaced = (position: number, node: Node, wanted: string): never => {
  throw new TypeError(`a ${node._tag} stands at ${position}, where a ${wanted} was looked for`)
}

/** The direct children of a node, in document order. */
export const children = (node: Node): ReadonlyArray<Node> => {
  switch (node._tag) {
    case "Step":
    case "Wait":
      return none
    case "Sequence":
    case "Parallel":
      return node.children
    case "Branch":
      return node.else === undefined ? [node.then] : [node.then, node.else]
    case "Loop":
    case "Saga":
      return [node.body]
    case "TryCatch":
      return [node.try, node.catch, node.finally].filter((part) => part !== undefined)
  }
}

/** Where the parts of a try stand that are there. */
export const partsOf = (plan: Pick<Plan, "end">, position: number, node: TryCatch) => {
  const second = plan.end(position + 1)
  const caught = node.catch === undefined ? undefined : second
  const last = caught === undefined ? second : plan.end(caught)
  return { try: position + 1, catch: caught, finally: node.finally === undefined ? undefined : last }
}

/** Where the nodes of a plan stand that have ids: all that one drawing need know of another. */
export interface Drawing {
  readonly nodes: ReadonlyArray<{ readonly _tag: string; readonly id?: NodeId }>
  readonly end: (position: number) => number
  readonly positions: ReadonlyMap<NodeId, number>
}

/** Reads a plan's text: where its nodes stand. */
export const read = (text: string): Drawing => {
  const nodes: Array<Drawing["nodes"][number]> = []
  const ends: Array<number> = []
  const positions = new Map<NodeId, number>()
  const open: Array<number> = []
  const close = (depth: number): void => {
    for (let position = open.length > depth ? open.pop() : undefined; position !== undefined; ) {
      ends[position] = nodes.length
      position = open.length > depth ? open.pop() : undefined
    }
  }
  for (const line of text === "" ? [] : text.split("\n")) {
    const [depth, _tag, { id }] = JSON.parse(line) as [number, string, { readonly id?: NodeId }]
    close(depth)
    const position = nodes.push({ _tag, ...(id === undefined ? {} : { id }) }) - 1
    if (id !== undefined) positions.set(id, position)
    open.push(position)
  }
  close(0)
  return { nodes, end: (position) => ends[position] ?? position + 1, positions }
}

/** A node of a loop's pass that has an id: a leaf, a boundary, or a loop in it as a whole. */
export interface Mounted {
  readonly position: number
  /** The outermost try of the pass in whose `catch` or `finally` it is, or -1. */
  readonly wayOutOf: number
}

/** The nodes that a pass of a loop consists of, in document order. */
export const mountedIn = ({ nodes, end }: Omit<Drawing, "positions">, loop: number): ReadonlyArray<Mounted> => {
  const found: Array<Mounted> = []
  let [wayOutOf, from, to] = [-1, 0, 0]
  for (let position = loop + 1; position < end(loop); ) {
    const node = nodes[position]
    if (node?.id !== undefined) found.push({ position, wayOutOf: from <= position && position < to ? wayOutOf : -1 })
    if (node?._tag === "TryCatch" && position >= to) {
      // Behind its body.
      ;[wayOutOf, from, to] = [position, end(position + 1), end(position)]
    }
    position = node?._tag === "Loop" ? end(position) : position + 1
  }
  return found
}

/** What undoes a step, as a step: it is retried and limited as that is, and gives nothing. */
const compensationOf = (step: Step): Step => {
  const { ask: _, gate: __, reads: ___, ...kept } = step
  const run = step.compensate as Step["run"]
  const without = {
    label: undefined,
    meta: undefined,
    skipIf: undefined,
    cache: undefined,
    compensate: undefined,
    table: undefined,
  }
  return { ...kept, ...without, id: compensationId(step.id), needs: none, codec: nothing, continueOnFail: false, run }
}

const nothing: Codec<unknown, unknown> = {
  accept: () => Either.right(undefined),
  restore: () => Either.right(undefined),
  jsonSchema: undefined,
  inputSchema: undefined,
}

const none: ReadonlyArray<never> = []

const needsOf = (node: Node): ReadonlyArray<Need> => ("needs" in node ? node.needs : none)

/** Names that a need cannot have, because a step's context uses them. */
export const reservedNames: ReadonlySet<string> = new Set([
  ...["input", "output", "heartbeat", "lastHeartbeat", "signal", "runId", "stepId", "iteration", "attempt", "idempotencyKey"],
  "__proto__",
])

/** Checks a tree and lays it out. Throws {@link InvalidWorkflow}, which says where the problem is. */
export const make = (workflow: string, root: Node, unsettled: ReadonlyArray<PendingRead> = none, isDrawn = false): Plan => {
  const layout = Layout.make(root, children)
  const { nodes, node: at, parent, end, contains } = layout
  const count = nodes.length
  const loops = new Int32Array(count).fill(-1)
  const loopOf = (position: number): number => loops[position] ?? -1
  for (let position = 1; position < count; position++) {
    const up = parent(position)
    loops[position] = at(up)._tag === "Loop" ? up : loopOf(up)
  }

  const where = (position: number): string => {
    const segments: Array<string> = []
    for (let here = position; here >= 0; here = parent(here)) segments.unshift(segment(here))
    return segments.join(" > ")
  }
  const segment = (position: number): string => {
    const node = at(position)
    const named = "id" in node ? `${node._tag.toLowerCase()} "${node.id}"` : node._tag.toLowerCase()
    const up = parent(position)
    if (up < 0) return named
    let index = 0
    for (let sibling = up + 1; sibling < position; sibling = end(sibling)) index++
    return `[${index}] ${named}`
  }
  const refuse = (position: number, problem: string): never => {
    throw new InvalidWorkflow({ workflow, where: where(position), problem })
  }

  const positions = new Map<NodeId, number>()
  const byNode = new Map<Node, number>()
  for (let position = 0; position < count; position++) {
    const node = at(position)
    byNode.set(node, position)
    if (!("id" in node)) continue
    if (!isNodeId(node.id)) refuse(position, `id ${shownId(node.id)} is not ${idRule}`)
    const other = positions.get(node.id)
    if (other !== undefined) refuse(position, `id "${node.id}" is already taken by ${where(other)}`)
    positions.set(node.id, position)
  }

  /** Whether a node is over before another one begins, as a sequence around both has it. */
  const isBefore = (earlier: number, later: number): boolean => {
    let around = parent(later)
    while (!contains(around, earlier)) around = parent(around)
    return at(around)._tag !== "Parallel"
  }

  const resolve = (position: number, need: Need): ResolvedNeed => {
    const title = typeof need.target === "string" ? `"${need.target}"` : isLeaf(need.target) ? `"${need.target.id}"` : "a node"
    if (reservedNames.has(need.name)) refuse(position, `a need cannot be named "${need.name}"`)
    const target = typeof need.target === "string" ? positions.get(need.target) : byNode.get(need.target)
    if (target === undefined) return refuse(position, `need "${need.name}" is ${title}, which is not part of this workflow`)
    const found = at(target)
    if (need.codec !== undefined && isLeaf(found) && found.codec !== need.codec) {
      refuse(position, `need "${need.name}" expects another output schema than that of ${where(target)}`)
    }
    if (need.pass === "previous") {
      if (!isLeaf(found)) refuse(position, `need "${need.name}" is the previous pass of ${title}, which is not a step`)
      const loop = loopOf(target)
      if (loop < 0 || !contains(loop, position)) {
        refuse(position, `need "${need.name}" is the previous pass of ${title}, which is in no loop around this node`)
      }
      return { name: need.name, target, gate: -1, isOptional: true, pass: "previous" }
    }
    if (need.pass === "caught") {
      const isCatching = found._tag === "TryCatch" && partsOf({ end }, target, found)
      const arm = isCatching === false ? undefined : isCatching.catch
      if (arm === undefined || !contains(arm, position)) {
        refuse(position, `need "${need.name}" is what ${title} caught, and this node does not stand in its catch`)
      }
      return { name: need.name, target, gate: -1, isOptional: true, pass: "caught" }
    }
    const isOwnBody = at(position)._tag === "Loop" && target !== position && contains(position, target)
    if (contains(target, position)) refuse(position, `need "${need.name}" is a node around this one`)
    if (target > position && !isOwnBody) {
      refuse(position, `need "${need.name}" is ${title}, which comes later (${where(target)})`)
    }
    // A `finally` is run also where nothing else goes on, and so waits for nothing outside: what comes before its `try` is there, and what
    // stands beside it may not come any more.
    let isLast = false
    for (let inner = position, outer = parent(position); !isOwnBody && !contains(outer, target); ) {
      const around = at(outer)
      if (around._tag === "TryCatch" && partsOf({ end }, outer, around).finally === inner) {
        isLast = true
        if (need.isOptional !== true && !isBefore(target, outer)) {
          refuse(position, `need "${need.name}" is beside ${where(outer)}, whose "finally" may not find it: take it with $.maybe`)
        }
      }
      inner = outer
      outer = parent(outer)
    }
    let gate = target
    for (let inner = target, outer = parent(target); outer >= 0; inner = outer, outer = parent(outer)) {
      if (contains(outer, position) && !(isOwnBody && outer >= position)) {
        if (at(outer)._tag === "Branch" && !contains(inner, position) && outer !== position) {
          refuse(position, `need "${need.name}" is in one arm of ${where(outer)} and this node in the other`)
        }
        if (at(outer)._tag === "TryCatch" && !contains(inner, position) && outer !== position) {
          if (need.isOptional !== true) {
            refuse(position, `need "${need.name}" is in another part of ${where(outer)} and may be absent: take it with $.maybe`)
          }
          gate = -1
        }
        break
      }
      if (at(outer)._tag === "Branch") {
        refuse(position, `need "${need.name}" is in an arm of ${where(outer)}, which may not be taken: need the branch itself`)
      }
      const boundary = at(outer)
      if (boundary._tag === "TryCatch" || (boundary._tag === "Saga" && boundary.onCompensated === "continue")) {
        refuse(position, `need "${need.name}" is inside ${where(outer)}, which may be left without it: need that itself`)
      }
      if ((boundary._tag === "Loop" || boundary._tag === "Saga") && outer !== position) gate = outer
    }
    const isOptional = isOwnBody || need.isOptional === true
    return { name: need.name, target, gate: isOwnBody || isLast ? -1 : gate, isOptional, pass: "current" }
  }

  const step = (position: number): Step => {
    const node = at(position)
    return node._tag === "Step" ? node : misplaced(position, node, "Step")
  }
  const needs: Array<ReadonlyArray<ResolvedNeed>> = []
  const dependents = new Map<number, Array<number>>()
  for (let position = 0; position < count; position++) {
    const declared = needsOf(at(position))
    const resolved = declared.length === 0 ? none : declared.map((need) => resolve(position, need))
    needs.push(resolved)
    for (const { gate } of resolved) {
      if (gate < 0) continue
      const waiting = dependents.get(gate)
      if (waiting === undefined) dependents.set(gate, [position])
      else waiting.push(position)
    }
    check(at(position), (problem) => refuse(position, problem))
  }

  // Compensations come after the tree, so that nothing in it stands elsewhere because of them.
  const boundaries: Array<number> = []
  const undoes: Array<number> = []
  for (let position = 0; position < count; position++) {
    const node = at(position)
    if (isBoundary(node)) boundaries.push(position)
    if (node._tag !== "Step" || node.compensate === undefined) continue
    let up = parent(position)
    while (up >= 0 && at(up)._tag !== "Saga") up = parent(up)
    if (up < 0) refuse(position, `"compensate" is never called, as no saga is around it`)
    positions.set(compensationId(node.id), count + undoes.push(position) - 1)
  }
  for (const position of undoes) {
    nodes.push(compensationOf(step(position)))
    needs.push(none)
  }
  let text: string | undefined
  return {
    workflow,
    nodes,
    size: count,
    undoes,
    boundaries,
    node: at,
    find: (nodeId) => nodes[positions.get(nodeId) ?? -1],
    step,
    leaf: (position) => {
      const node = at(position)
      return isLeaf(node) ? node : misplaced(position, node, "Step or Wait")
    },
    loop: (position) => {
      const node = at(position)
      return node._tag === "Loop" ? node : misplaced(position, node, "Loop")
    },
    boundary: (position) => {
      const node = at(position)
      return isBoundary(node) ? node : misplaced(position, node, "Saga or TryCatch")
    },
    id: (position) => {
      const node = at(position)
      return "id" in node ? node.id : misplaced(position, node, "node with an id")
    },
    parent,
    end,
    contains,
    loopOf,
    undone: (compensation) => undoes[compensation - count] ?? -1,
    needs: (position) => needs[position] ?? none,
    dependents,
    positions,
    pending: unsettled,
    isDrawn,
    get text() {
      text ??= write(nodes.slice(0, count), parent, needs).join("\n")
      return text
    },
  }
}

/** A node's `meta` as it is kept, a copy of what its author gave; or what is wrong with it. */
export const metaOf = (declared: unknown): { readonly meta: Step["meta"] } | { readonly problem: string } => {
  if (declared === undefined) return { meta: undefined }
  const copied = toJson(declared)
  if ("refused" in copied) return { problem: `"meta" must be JSON: ${copied.refused.path} ${copied.refused.problem}` }
  const { json } = copied
  const isObject = typeof json === "object" && json !== null && !Array.isArray(json)
  return isObject ? { meta: json as Step["meta"] } : { problem: `"meta" must be an object` }
}

/** Whether a value may limit something: a whole number of at least 1, or `Infinity`. */
export const isCount = (value: unknown): boolean => value === Infinity || (Number.isInteger(value) && (value as number) >= 1)

/** How many may go on at once as authors say it: 0, such as the length of an empty list, is no limit. Anything else is checked by {@link make}. */
export const limitOf = (given: unknown): number | undefined => (given === 0 ? undefined : (given as number | undefined))

const check = (node: Node, refuse: (problem: string) => void): void => {
  if (node._tag === "Parallel" && node.maxConcurrency !== undefined && !isCount(node.maxConcurrency)) {
    refuse(`maxConcurrency must be a whole number of at least 1, not ${node.maxConcurrency}`)
  }
  if (node._tag === "Step" && node.compensate !== undefined && node.cache !== undefined) {
    refuse(`it has both "cache" and "compensate": what another run has done is not this one's to undo`)
  }
  if (node._tag === "Loop" && !isCount(node.maxIterations)) {
    refuse(`maxIterations must be a whole number of at least 1, not ${node.maxIterations}`)
  }
}

/** Each node as data: its depth, its kind and everything about it that is not a function. Lines do not depend on positions. */
const write = (
  nodes: ReadonlyArray<Node>,
  parent: Plan["parent"],
  needs: ReadonlyArray<ReadonlyArray<ResolvedNeed>>,
): ReadonlyArray<string> => {
  const depths = new Int32Array(nodes.length)
  return nodes.map((node, position) => {
    const up = parent(position)
    depths[position] = up < 0 ? 0 : (depths[up] ?? 0) + 1
    const resolved = needs[position] ?? none
    const named =
      resolved.length === 0 ? undefined : Object.fromEntries(resolved.map((need) => [need.name, name(nodes, position, need)]))
    return `[${depths[position]},"${node._tag}",${JSON.stringify({ ...shown(node), needs: named })}]`
  })
}

/** What is shown of a node: its data, without what is left at its default. */
const shown = (node: Node): Record<string, unknown> => {
  switch (node._tag) {
    case "Step": {
      const { id, label, meta, table, timeoutMs, heartbeatTimeoutMs } = node
      const undo = { compensate: node.compensate === undefined ? undefined : true }
      const flags = {
        continueOnFail: node.continueOnFail || undefined,
        cache: node.cache === undefined ? undefined : true,
        ...undo,
      }
      const limits = { retry: node.retry.shown && shownRetry(node.retry.shown), timeoutMs, heartbeatTimeoutMs }
      const gate = node.gate === undefined ? {} : { needsApproval: shownWait(node.gate) }
      return { id, label, meta, table, agents: node.ask?.agents.map(nameOf), ...limits, ...flags, ...gate, ...waits(node) }
    }
    case "Wait": {
      const { id, label, meta, table } = node
      return { id, kind: node.on.kind, label, meta, table, ...shownWait(node), ...waits(node) }
    }
    case "Sequence":
      return { pending: names(node) }
    case "Parallel":
      return { maxConcurrency: shownCount(node.maxConcurrency), failFast: node.failFast || undefined }
    case "Branch":
      return { hasElse: node.else !== undefined || undefined }
    case "Loop":
      return {
        id: node.id,
        maxIterations: shownCount(node.maxIterations),
        onMaxReached: node.onMaxReached,
        pending: names(node),
      }
    case "Saga":
      return { id: node.id, onCompensated: node.onCompensated, pending: names(node) }
    case "TryCatch": {
      const parts = { hasCatch: node.catch !== undefined || undefined, hasFinally: node.finally !== undefined || undefined }
      return { id: node.id, ...parts, pending: names(node) }
    }
  }
}

/** A limit as JSON, which has no `Infinity` and would make it `null`. */
const shownCount = <A extends number | undefined>(count: A): A | "Infinity" => (count === Infinity ? "Infinity" : count)

const shownRetry = (shown: NonNullable<RetryPolicy<unknown>["shown"]>): unknown =>
  typeof shown === "string" || shown.maxAttempts !== Infinity ? shown : { ...shown, maxAttempts: shownCount(shown.maxAttempts) }

const shownWait = ({ on, timeoutMs, onTimeout }: Wait): Record<string, unknown> => {
  const limit = timeoutMs === undefined ? {} : { timeoutMs, onTimeout }
  switch (on.kind) {
    case "signal":
      return { name: on.name, ...limit }
    case "approval":
      return { onDeny: on.onDeny, approvers: on.approvers, ...limit }
    case "subflow":
      return { workflow: on.child.name, isDetached: !on.isAttached || undefined, onFail: on.onFail, ...limit }
    default:
      return limit
  }
}

/** Whether a node waits for outputs that the plan was made without. */
export const isProvisional = (node: Node): boolean => "pending" in node && (node.pending?.length ?? 0) > 0

const waits = (node: Provisional): Record<string, unknown> =>
  node.isHeldBySibling === true ? { pending: names(node), siblingRead: true } : { pending: names(node) }

const names = ({ pending }: Provisional): ReadonlyArray<string> | undefined =>
  pending === undefined || pending.length === 0 ? undefined : pending.map(({ nodeId, table }) => nodeId ?? table ?? "")

const name = (nodes: ReadonlyArray<Node>, position: number, need: ResolvedNeed): string => {
  const target = nodes[need.target]
  const named = target !== undefined && "id" in target ? target.id : `${need.target - position}`
  return need.pass === "current" ? named : `${named} (${need.pass})`
}
