/**
 * The plan of a run: a tree of steps and of the control flow around them. A front end makes the tree; `PlanLayout` checks it
 * and lays it out in document order (preorder), so that the scheduler works on plain integers. A node is known by its
 * position; steps and loops also by the id their author gave them.
 */
import type { AnyAgent } from "./Agent.ts"
import type { Codec } from "./Codec.ts"
import type { ErrorCodec } from "./Declared.ts"
import type { NodeId, NodeKey } from "./Ids.ts"
import type { Failure } from "./internal/caught.ts"
import type * as Layout from "./internal/layout.ts"
import type { Millis } from "./Millis.ts"
import type { RetryPolicy } from "./RetryPolicy.ts"
import type { RunState } from "./RunState.ts"

/** A value a node takes from another node, under a name of its own. */
export interface Need {
  readonly name: string
  /** The node itself, or the id of a step, a loop or a boundary. */
  readonly target: Node | NodeId
  /**
   * `previous`: what the target gave in the pass before this one, `undefined` in the first. `caught`: what the boundary around this node
   * was halted by. `item`: the item of the list, whose id the target is, that this node stands in.
   */
  readonly pass: "current" | "previous" | "caught" | "item"
  /**
   * It may be absent. Only so a `catch` or a `finally` can take what stands in the `try`, a `finally` what stands beside it, and a node outside what
   * stands in a try or in an arm.
   */
  readonly isOptional?: boolean
  /** Nothing waits for it: its value is what is there when it is looked at. */
  readonly isLive?: boolean
  /** The schema the author expects of the target; checked when given. */
  readonly codec?: Codec
}

/**
 * What a predicate sees: the input, the needs by name, `runId`, and `iteration`: the pass of the innermost loop, of a loop's own `until` the passes that it
 * has made. That has `output` too.
 */
export type PredicateContext = { readonly [name: string]: unknown }

/** A function of the author's that something is worked out by, when it begins. Must be pure. */
export type Given = (context: PredicateContext, state: RunState, noteRead: NoteRead) => unknown

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
  /** Of the errors that it declares. */
  readonly error?: ErrorCodec
  /** Name of the output table. Steps of one workflow may share a table that holds exactly their columns. A compensation has none. */
  readonly table: string | undefined
  readonly retry: RetryPolicy<unknown>
  readonly timeoutMs: Millis | undefined
  /** Gives that time as an attempt begins, instead. */
  readonly timeoutBy?: Given
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

/** Children at the same time; at most `maxConcurrency` of them are begun and not over. */
export interface Parallel {
  readonly _tag: "Parallel"
  readonly children: ReadonlyArray<Node>
  readonly maxConcurrency: number | undefined
  /** A failure inside interrupts what else runs inside, instead of letting it finish. */
  readonly failFast: boolean
}

/** One of several arms, at least one. */
export interface Branch {
  readonly _tag: "Branch"
  readonly needs: ReadonlyArray<Need>
  readonly arms: ReadonlyArray<Node>
  readonly choice: Choice
}

/** Which arm of a branch is taken. Its function must be pure: it is asked again after a restart. */
export type Choice =
  /** The first arm where it holds, otherwise the second one, which there may not be. */
  | { readonly kind: "when"; readonly when: (context: PredicateContext) => boolean }
  /** The arm of the case that it names, by the order of `cases`. An arm behind those is for any other name. */
  | { readonly kind: "switch"; readonly on: (context: PredicateContext) => unknown; readonly cases: ReadonlyArray<string> }

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
      readonly approvers: ReadonlyArray<string> | Given | undefined
    }
  | { readonly kind: "human"; readonly prompt: (context: PredicateContext, state: RunState, noteRead: NoteRead) => unknown }
  | {
      readonly kind: "signal"
      readonly name: string
      /** Only signals that are sent once the wait has begun count. */
      readonly isTransient?: true
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
  /** `due` is a span from when the wait begins, or gives epoch ms or a `Date` then; or a span as well (`isSpan`). */
  | {
      readonly kind: "timer"
      /** A scope is left when it fires. */
      readonly isTimeout?: true
      readonly due: Millis | Given
      readonly isSpan?: true
    }

/** A workflow as one that starts it knows it. */
export interface Child {
  readonly name: string
  readonly version: string | undefined
  /** Of its input. */
  readonly input: Codec<unknown, unknown>
  /** The codec of the errors that a node of it declares. */
  readonly errorOf?: (nodeId: NodeId) => ErrorCodec | undefined
  /** What the engine runs: a `Definition`, which this module knows nothing of. */
  readonly definition: object
  /** Where it is always the same. */
  readonly plan?: Plan | undefined
}

/** Waiting for the world, durably: nothing runs for it. */
export interface Wait extends Provisional, Drawn {
  readonly _tag: "Wait"
  readonly id: NodeId
  readonly label: string | undefined
  readonly meta: { readonly [key: string]: unknown } | undefined
  readonly needs: ReadonlyArray<Need>
  readonly codec: Codec<unknown, unknown>
  /** Of the errors that its child run declares. */
  readonly error?: ErrorCodec
  /** Name of the output table; a timer has none, as it gives nothing. */
  readonly table: string | undefined
  readonly skipIf: ((context: PredicateContext, state: RunState, noteRead: NoteRead) => boolean) | undefined
  readonly on: Awaited
  /** How long it waits at most. */
  readonly timeoutMs: Millis | undefined
  /** Gives that as the wait begins, instead. */
  readonly timeoutBy?: Given
  /** Until when it waits at most, epoch ms; or gives that as the wait begins. */
  readonly deadline?: Millis | Given
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
  /** Which failures it catches. Default: all. It is asked again after a restart, with the same of a stored failure, and must be pure. */
  readonly catchWhen?: (error: Failure) => boolean
  readonly finally: Node | undefined
}

/** A condition over what is there, asked again whenever something that it has read comes. It must be pure. */
export type LiveCondition = (context: PredicateContext, state: RunState, noteRead: NoteRead) => boolean

/**
 * A region that can be left before it is over, and without a failure: by a condition, by time, or from outside. Its value is the body's: what is
 * there of it where the region is left as completed, nothing where it is left as cancelled.
 */
export interface Scope extends Provisional {
  readonly _tag: "Scope"
  readonly id: NodeId
  readonly label: string | undefined
  /** What its conditions look at; nothing waits for it. */
  readonly needs: ReadonlyArray<Need>
  readonly body: Node
  readonly completeWhen: LiveCondition | undefined
  readonly cancelWhen: LiveCondition | undefined
  /** The timer that it is left by. */
  readonly timeout: Wait | undefined
  /** What becomes of it then: it fails with `ScopeTimedOut`, or the run goes on without its value. */
  readonly onTimeout: "fail" | "continue"
  /** Set for what a race or a list makes a scope of by itself. It has a record only where it is left early, or fails. */
  readonly part?: Part
}

/** A branch of a race, or an item of a list. */
export interface Part {
  /** The name of the branch, or the key of the item. */
  readonly key: string
  /** A failure in it ends there. */
  readonly isCatching: boolean
  /** Of an item: what the list gave. */
  readonly item?: unknown
}

/** Branches at the same time, of which the first `count` in time win. It is the body of a scope. */
export interface Race {
  readonly _tag: "Race"
  /** Scopes with a `part` each. */
  readonly children: ReadonlyArray<Node>
  readonly count: number
  /** Its value is a list, also where one wins. */
  readonly isList: boolean
  /** What becomes of the others: they are left, or go on beside what follows. */
  readonly rest: "cancel" | "keep"
}

/** What the `until` of a list is called with, beside its needs. */
export interface Progress {
  /** Items that are over and have a value. */
  readonly done: number
  /** Items that have failed. */
  readonly failed: number
  /** Items that are not over. */
  readonly open: number
  /** Values of the items that are over, in the order of the list. */
  readonly values: ReadonlyArray<unknown>
}

/** Items by key, each with a part of the plan of its own. It is the body of a scope. */
export interface ForEach extends Provisional {
  readonly _tag: "ForEach"
  /** Scopes with a `part` each. */
  readonly children: ReadonlyArray<Node>
  /** Items that are begun and not over, at most. */
  readonly maxConcurrency: number | undefined
  /** What keeps the list open ({@link more}), and what its `until` looks at. */
  readonly needs: ReadonlyArray<Need>
  readonly until: ((context: PredicateContext & Progress, state: RunState, noteRead: NoteRead) => boolean) | undefined
  readonly rest: "cancel" | "keep"
  /** Its value says of each item how it ended. */
  readonly isSettled: boolean
  /** Another drawing may have more items: it is not over before one says otherwise. */
  readonly isOpen?: boolean
  /** Set where the items are asked for while the run goes on. */
  readonly source?: Source
}

/** Where the items of a list come from. What its functions give must follow from their arguments. */
export interface Source {
  readonly items: (context: PredicateContext) => unknown
  readonly key: ((item: unknown, index: number) => unknown) | undefined
  /** What is made for each item, with ids that are made the item's own. */
  readonly template: Node
  /** How the items stand: not asked for before its needs are there; `problem` is what was thrown. */
  readonly asked: { readonly isAsked: boolean; readonly problem?: unknown }
}

/** The need of a list that it is open for: before that is over, more items may come. */
export const more = "~more"

/** Where failures and cancellations are met on their way outwards. */
export type Boundary = Saga | TryCatch | Scope

export type Node = Step | Wait | Sequence | Parallel | Branch | Loop | Race | ForEach | Boundary

/** Whether failures are met here on their way outwards. */
export const isBoundary = (node: Node | undefined): node is Boundary =>
  node?._tag === "Scope" || node?._tag === "Saga" || node?._tag === "TryCatch"

/** Whether children are begun at the same time. */
export const isGroup = (node: Node): node is Parallel | Race | ForEach =>
  node._tag === "Parallel" || node._tag === "Race" || node._tag === "ForEach"

/** Whether a node is what a race or a list makes of a branch or an item. */
export const isPart = (node: Node): node is Scope & { readonly part: Part } => node._tag === "Scope" && node.part !== undefined

/** Whether a node has an output of its own. */
export const isLeaf = (node: Node | undefined): node is Step | Wait => node?._tag === "Step" || node?._tag === "Wait"

/** The codec of the errors that a node declares. */
export const errorOf = ({ find }: Pick<Plan, "find">, nodeId: NodeId): ErrorCodec | undefined => {
  const node = find(nodeId)
  return isLeaf(node) ? node.error : undefined
}

/** A need with its target found. */
export interface ResolvedNeed {
  readonly name: string
  readonly target: number
  /** What must be done before the value is there: the target, or the outermost loop or saga around it that the reader is not in; -1 for nothing. */
  readonly gate: number
  /** A value that is not there is no fault. */
  readonly isOptional: boolean
  /** It is looked at as it is: nothing is kept from beginning. */
  readonly isLive: boolean
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
  /** The plan as `PlanText` writes it: equal text is an equal plan. */
  readonly text: string
}

const none: ReadonlyArray<never> = []

/** The direct children of a node, in document order. */
export const children = (node: Node): ReadonlyArray<Node> => {
  switch (node._tag) {
    case "Step":
    case "Wait":
      return none
    case "Sequence":
    case "Parallel":
    case "Race":
    case "ForEach":
      return node.children
    case "Scope":
      return node.timeout === undefined ? [node.body] : [node.body, node.timeout]
    case "Branch":
      return node.arms
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

/** Whether a node stands in a `finally`, which goes on when its run is cancelled. */
export const isInFinally = (plan: Plan, position: number): boolean => {
  for (let inner = position, up = position < 0 ? -1 : plan.parent(position); up >= 0; inner = up, up = plan.parent(up)) {
    const node = plan.node(up)
    if (node._tag === "TryCatch" && partsOf(plan, up, node).finally === inner) return true
  }
  return false
}

/** Where the nodes of a plan stand that have ids: all that one drawing need know of another. */
export interface Drawing {
  readonly nodes: ReadonlyArray<{ readonly _tag: string; readonly id?: NodeId }>
  readonly end: (position: number) => number
  readonly positions: ReadonlyMap<NodeId, number>
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

/** Names that a need cannot have, because a step's context uses them. */
export const reservedNames: ReadonlySet<string> = new Set([
  ...["input", "output", "heartbeat", "lastHeartbeat", "signal", "runId", "stepId", "iteration", "attempt", "idempotencyKey"],
  "__proto__",
])

/** Whether a node waits for outputs that the plan was made without. */
export const isProvisional = (node: Node): boolean => "pending" in node && (node.pending?.length ?? 0) > 0

/** The outputs that a node waits for, as the plan was made without them. */
export const pendingOf = (node: Node): ReadonlyArray<PendingRead> => ("pending" in node ? (node.pending ?? none) : none)
