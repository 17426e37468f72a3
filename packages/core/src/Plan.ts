/**
 * The plan of a run: a tree of steps and the control flow around them. A front end makes the tree; `PlanLayout` checks it and
 * lays it out in document order (preorder), so that the scheduler works on integers. A node is identified by its position;
 * steps, loops and boundaries also by their id.
 */
import type { AnyAgent } from "./Agent.ts"
import type { Budget } from "./Budget.ts"
import type { Codec } from "./Codec.ts"
import type { SelectOption } from "./Decision.ts"
import type { ErrorCodec } from "./DeclaredError.ts"
import type { NodeId, NodeKey } from "./Ids.ts"
import type { StepRights } from "./Isolation.ts"
import type { Failure } from "./internal/caught.ts"
import type * as Layout from "./internal/layout.ts"
import type { Queue } from "./Limits.ts"
import type { Millis } from "./Millis.ts"
import type { RetryPolicy } from "./RetryPolicy.ts"
import type { RunState } from "./RunState.ts"
import type { ProviderName, SandboxLimits, SandboxProvider } from "./Sandboxes.ts"

/** A value that a node takes from another one, under its own name. */
export interface Need {
  readonly name: string
  /** The node itself, or the id of a step, a loop or a boundary. */
  readonly target: Node | NodeId
  /**
   * The value to take.
   * - `current`: the output of the target.
   * - `previous`: the output of the target in the previous pass, `undefined` in the first.
   * - `caught`: the failure that the boundary around this node caught.
   * - `item`: the item around this node, of the list whose id is the target.
   */
  readonly pass: "current" | "previous" | "caught" | "item"
  /**
   * `true` if the value may be absent. Required to take an output of a `try` in its `catch` or `finally`, and one beside a
   * `finally` in it. Also required outside a try or an arm for an output inside.
   */
  readonly isOptional?: boolean
  /** `true` if nothing waits for it: its value is the current one at each read. */
  readonly isLive?: boolean
  /** The schema that the author expects of the target; checked if given. */
  readonly codec?: Codec
}

/**
 * The context of a predicate: the input, the needs by name, `runId` and `iteration`, the pass of the innermost loop. For a
 * loop's own `until`, `iteration` is the number of its passes, and there is an `output` too.
 */
export type PredicateContext = { readonly [name: string]: unknown }

/** A pure function of the author's that computes an option when the node begins. */
export type Computation = (context: PredicateContext, state: RunState, noteRead: NoteRead) => unknown

/** An output that an author's function read other than by a need. */
export interface OutputRead {
  /** The node that was read; `undefined` while none has written the table. */
  readonly nodeId: NodeId | undefined
  readonly table: string
  /** The row that was found: with an output, or settled without one. `undefined` while it is unsettled. */
  readonly key: NodeKey | undefined
}

/** Records a read of an author's function, so that its result can be recomputed. */
export type NoteRead = (read: OutputRead) => void

/** The reads of a node whose author read outputs while making it. */
interface Drawn {
  /** The rows that it was made from, as of the state in which it begins. */
  readonly reads?: (state: RunState) => Iterable<NodeKey>
}

/** An output that did not exist when the plan was made: that of a node, or of any node that writes the table. */
export interface PendingRead {
  readonly nodeId: NodeId | undefined
  readonly table: string | undefined
}

/** The agents that answer the prompt of a step. */
export interface AgentSpec {
  /** In order of preference. */
  readonly agents: ReadonlyArray<AnyAgent>
  /** `true` if no schema was declared: the text of the reply is the output. */
  readonly isText: boolean
  /** Corrections to request of an agent within an attempt. */
  readonly corrections: number
  /** Rights of its tools, within those of the runtime. */
  readonly rights?: StepRights
  /** Budget of the step in each iteration. */
  readonly budget?: Budget
}

/**
 * The reads that a node still waits for. With `pending` reads it is provisional: shown in the plan, but not started. The plan
 * made once they are settled has the final node.
 */
interface Provisional {
  readonly pending?: ReadonlyArray<PendingRead>
  /** `true` if the read does not affect the node itself: its component made the read for another element. */
  readonly isHeldBySibling?: boolean
}

/** Which runs share cached outputs: passes of one run, runs of the workflow at the same step, or all steps of a store. */
export type CacheScope = "run" | "workflow" | "store"

/** The cache of a step's outputs. Its key holds the result of `key`, and what else the output depends on. */
export interface Cache {
  readonly key: (context: PredicateContext, state: RunState, noteRead: NoteRead) => unknown
  /** `true` if the author gives the key. Otherwise the prompt of an agent stands for what the step is given. */
  readonly isOwnKey: boolean
  readonly ttlMs: Millis | undefined
  readonly scope: CacheScope
  /** Changed by the author with the code. */
  readonly version: string | undefined
}

/** What a scorer is given. */
export interface ScoreContext {
  readonly input: unknown
  readonly output: unknown
  readonly runId: string
  readonly nodeId: string
  readonly iteration: number
  /** Milliseconds of the attempt that gave the output; absent for an output of no attempt. */
  readonly latencyMs?: number | undefined
}

/** Returns a number from 0 to 1, or an object with such a `score` and a `reason`; may be a Promise or an Effect. */
export type ScoreFunction = (context: ScoreContext) => unknown

/** A scorer of the outputs of a step: code, or an agent that judges. */
export interface Scorer {
  readonly score: ScoreFunction | AnyAgent
  /** The criterion of a judge, or a function that returns it. Default: the name of the scorer. */
  readonly instructions: string | ((context: ScoreContext) => unknown) | undefined
  /** The share of outputs that are scored, from 0 to 1. */
  readonly sampling: number
  readonly timeoutMs: Millis
}

/** A text, or a function of the author's that returns it. */
export type GivenText = string | Computation

/** The memory of a step. Default of a namespace: that of the workflow. */
export interface StepMemory {
  readonly namespace: GivenText | undefined
  /** Facts to add to the prompt of its agent. */
  readonly recall?: {
    readonly namespace: GivenText | undefined
    readonly keys: ReadonlyArray<string> | Computation | undefined
    /** `true` searches by the words of the prompt. */
    readonly query: GivenText | true | undefined
    readonly limit: number
  }
  /** Facts to store with the output. The context of its functions has the `output` besides. */
  readonly remember?: {
    readonly namespace: GivenText | undefined
    readonly ttlMs: Millis | undefined
    /** Returns facts by key, or nothing. */
    readonly facts: Computation
  }
}

/** A unit of work: the only node that runs user code as an attempt. */
export interface Step extends Provisional, Drawn {
  readonly _tag: "Step"
  readonly id: NodeId
  readonly label: string | undefined
  readonly meta: { readonly [key: string]: unknown } | undefined
  readonly needs: ReadonlyArray<Need>
  readonly codec: Codec<unknown, unknown>
  /** Codec of the errors that it declares. */
  readonly error?: ErrorCodec
  /** Name of the output table. Steps of one workflow may share a table with exactly their columns. A compensation has none. */
  readonly table: string | undefined
  readonly retry: RetryPolicy<unknown>
  readonly timeoutMs: Millis | undefined
  /** Returns the timeout when an attempt begins, instead. */
  readonly computeTimeout?: Computation
  readonly heartbeatTimeoutMs: Millis | undefined
  readonly skipIf: ((context: PredicateContext, state: RunState, noteRead: NoteRead) => boolean) | undefined
  readonly continueOnFail: boolean
  readonly cache: Cache | undefined
  /** The limit of which an attempt holds a slot, or a function that names it when the step is ready. */
  readonly limit?: Queue | Computation
  readonly memory?: StepMemory
  readonly scorers?: { readonly [name: string]: Scorer }
  /** `true` takes snapshots of the workspace around each attempt, `false` takes none. Default: as the workflow says. */
  readonly snapshots?: boolean
  /** The sandbox around it that it works in, by its id; `false` for none. Default: as what is around it says. */
  readonly joins?: Joined
  /** Set if an agent does the work: the result of `run` is the prompt. */
  readonly agentSpec?: AgentSpec
  /**
   * Returns a value, a Promise or an Effect. The context is built by `StepProgram`; `state` is that of the run as the attempt
   * starts.
   */
  readonly run: (context: never, state: RunState, noteRead: NoteRead) => unknown
  /** `true` if the output is part of the plan, so that another attempt would give the same. */
  readonly isConstant?: boolean
  /** Undoes the step inside a saga. */
  readonly compensate: ((context: never, state: RunState) => unknown) | undefined
  /** An approval before the first attempt, under the id of the step and without a row of its own. */
  readonly gate?: Wait
}

/** A work tree of git that the steps of a region work in, instead of the directory of the runtime. */
export interface Worktree {
  readonly _tag: "Worktree"
  readonly id: NodeId
  /** Default: `.smithers/worktrees/<run>/<id>`. */
  readonly path: string | undefined
  /** Default: `smithers/<run>/<id>`. */
  readonly branch: string | undefined
  /** The commit, branch or tag that a new branch begins at. Default: the commit that is checked out. */
  readonly base: string | undefined
}

/** A sandbox that the steps of a region work in. */
export interface Sandbox {
  readonly _tag: "Sandbox"
  readonly id: NodeId
  /** Its id as it is written, without the prefix of an item or a fragment. Nodes inside join it by that. */
  readonly name: string
  readonly provider: ProviderName | SandboxProvider
  readonly allowNetwork: ReadonlyArray<string> | undefined
  readonly include: ReadonlyArray<string> | undefined
  readonly limits: SandboxLimits | undefined
  /** `false` if only nodes that join it by its id work in it. */
  readonly isDefault: boolean
}

/** The name of a sandbox around a node, to work in the innermost one of that name; `false` to work outside of all. */
export type Joined = string | false

/** A place that the steps of a region work in, instead of the directory of the runtime. */
export type Workplace = Worktree | Sandbox

/** Runs children one after another. */
export interface Sequence extends Provisional {
  readonly _tag: "Sequence"
  readonly children: ReadonlyArray<Node>
  /** `true` if its value is that of the last child that has one. */
  readonly skipsAbsent?: boolean
  /** The table of its value: that of the last node inside, in plan order, that has written it. */
  readonly gives?: string
  /** The budget of all agents inside; of the whole run with the id `""`. */
  readonly budget?: Budget & { readonly id: string }
  /** The place of all steps inside. */
  readonly place?: Workplace
  /** The sandbox around it that all steps inside work in. */
  readonly joins?: Joined
}

/** Runs children at the same time, at most `maxConcurrency` in progress. */
export interface Parallel {
  readonly _tag: "Parallel"
  readonly children: ReadonlyArray<Node>
  readonly maxConcurrency: number | undefined
  /** `true` interrupts the other attempts inside when one fails, instead of letting them finish. */
  readonly failFast: boolean
}

/** Runs one of several arms, at least one. */
export interface Branch {
  readonly _tag: "Branch"
  readonly needs: ReadonlyArray<Need>
  readonly arms: ReadonlyArray<Node>
  readonly choice: Choice
}

/** The choice of a branch's arm. Its function must be pure: it is called again after a restart. */
export type Choice =
  /** The first arm if it holds, otherwise the second, if there is one. */
  | { readonly kind: "when"; readonly when: (context: PredicateContext) => boolean }
  /** The arm of the named case, by the order of `cases`. An arm after those is for any other name. */
  | { readonly kind: "switch"; readonly on: (context: PredicateContext) => unknown; readonly cases: ReadonlyArray<string> }

/** Repeats a body until a condition holds, which is checked before the first pass and after each. `until` must be pure. */
export interface Loop extends Provisional, Drawn {
  readonly _tag: "Loop"
  readonly id: NodeId
  readonly needs: ReadonlyArray<Need>
  readonly body: Node
  readonly until: (context: PredicateContext, state: RunState, noteRead: NoteRead) => boolean
  readonly maxIterations: number
  /** `true` if the limit is the default of components. */
  readonly isDefaultLimit?: boolean
  readonly onMaxReached: "return-last" | "fail"
}

/** The target of a wait. Its functions must be pure: their results are shown to people, or select signals. */
export type WaitTarget =
  | {
      readonly kind: "approval"
      readonly request: (context: PredicateContext, state: RunState, noteRead: NoteRead) => unknown
      readonly onDeny: "fail" | "continue" | "skip"
      /** Names of those who may decide. Default: anyone. The sender of a decision must authenticate its author. */
      readonly approvers: ReadonlyArray<string> | Computation | undefined
      /** Options to select one of. `undefined` for an approval that selects nothing. */
      readonly options?: ReadonlyArray<SelectOption> | Computation
    }
  | { readonly kind: "human"; readonly prompt: (context: PredicateContext, state: RunState, noteRead: NoteRead) => unknown }
  | {
      readonly kind: "signal"
      readonly name: string
      /** `true` if only signals count that were sent after the wait began. */
      readonly isTransient?: true
      readonly correlation: ((context: PredicateContext, state: RunState, noteRead: NoteRead) => unknown) | undefined
    }
  | {
      readonly kind: "subflow"
      readonly child: Child
      readonly input: (context: PredicateContext, state: RunState, noteRead: NoteRead) => unknown
      /**
       * `true` to wait for the child, and cancel it together with the node. Otherwise the node ends as soon as the child
       * exists.
       */
      readonly isAttached: boolean
      readonly onFail: "fail" | "continue"
      /** Most runs above the child run. */
      readonly maxDepth: number
    }
  /**
   * `due` is a duration from the beginning of the wait, or a function. It returns epoch ms or a `Date`; with `isSpan` it may
   * return a duration.
   */
  | {
      readonly kind: "timer"
      /** `true` if a scope is left when it fires. */
      readonly isTimeout?: true
      readonly due: Millis | Computation
      readonly isSpan?: true
    }
  /** Ends the run, which goes on as a new one with this input. */
  | {
      readonly kind: "continuation"
      readonly input: (context: PredicateContext, state: RunState, noteRead: NoteRead) => unknown
    }

/** A workflow, as far as one that starts it needs it. */
export interface Child {
  readonly name: string
  readonly version: string | undefined
  /** Codec of its input. */
  readonly input: Codec<unknown, unknown>
  /** The codec of the errors that one of its nodes declares. */
  readonly errorOf?: (nodeId: NodeId) => ErrorCodec | undefined
  /** The `Definition` that the engine runs, opaque to this module. */
  readonly definition: object
  /** Set if the plan is constant. */
  readonly plan?: Plan | undefined
}

/** A durable wait for something outside the run. */
export interface Wait extends Provisional, Drawn {
  readonly _tag: "Wait"
  readonly id: NodeId
  readonly label: string | undefined
  readonly meta: { readonly [key: string]: unknown } | undefined
  readonly needs: ReadonlyArray<Need>
  readonly codec: Codec<unknown, unknown>
  /** Codec of the errors that its child run declares. */
  readonly error?: ErrorCodec
  /** Name of the output table; a timer has none, since it has no output. */
  readonly table: string | undefined
  readonly skipIf: ((context: PredicateContext, state: RunState, noteRead: NoteRead) => boolean) | undefined
  readonly target: WaitTarget
  /** The sandbox that a child run works in, as of a step. */
  readonly joins?: Joined
  /** Longest time to wait, in milliseconds. */
  readonly timeoutMs: Millis | undefined
  /** Returns the timeout when the wait begins, instead. */
  readonly computeTimeout?: Computation
  /** Deadline in epoch ms, or a function that returns it when the wait begins. */
  readonly deadline?: Millis | Computation
  /** Reaction to the timeout: `continue` leaves the output absent; `deny` and `approve` are for approvals. */
  readonly onTimeout: "fail" | "continue" | "deny" | "approve"
}

/** Compensates its steps in reverse order of completion when a failure or a cancellation leaves it. */
export interface Saga extends Provisional {
  readonly _tag: "Saga"
  readonly id: NodeId
  readonly body: Node
  /** `fail` propagates the failure once all is compensated; `continue` continues the run without the saga's value. */
  readonly onCompensated: "fail" | "continue"
}

/** Handles a permanent failure inside, and runs `finally` in every case. */
export interface TryCatch extends Provisional {
  readonly _tag: "TryCatch"
  readonly id: NodeId
  readonly try: Node
  readonly catch: Node | undefined
  /** Selects the failures to catch. Must be pure: it is called again after a restart with the same stored failure. Default: all. */
  readonly catchWhen?: (error: Failure) => boolean
  readonly finally: Node | undefined
}

/** A condition over current values, checked again whenever one that it has read changes. It must be pure. */
export type LiveCondition = (context: PredicateContext, state: RunState, noteRead: NoteRead) => boolean

/**
 * A region that can be left early without a failure: by a condition, a timeout, or from outside. Its value is the body's, as
 * far as it exists if the region is left as completed; none if it is left as cancelled.
 */
export interface Scope extends Provisional {
  readonly _tag: "Scope"
  readonly id: NodeId
  readonly label: string | undefined
  /** The needs of its conditions; nothing waits for them. */
  readonly needs: ReadonlyArray<Need>
  readonly body: Node
  readonly completeWhen: LiveCondition | undefined
  readonly cancelWhen: LiveCondition | undefined
  /** The timer that leaves it. */
  readonly timeout: Wait | undefined
  /** Reaction to the timeout: fail with `ScopeTimedOut`, or continue without its value. */
  readonly onTimeout: "fail" | "continue"
  /** Set on the scope of a branch or an item. It has a record only if it is left early or fails. */
  readonly part?: Part
}

/** A branch of a race, or an item of a list. */
export interface Part {
  /** The name of the branch, or the key of the item. */
  readonly key: string
  /** `true` if failures end there. */
  readonly isCatching: boolean
  /** The item of the list. */
  readonly item?: unknown
}

/** Runs branches at the same time; the first `count` to finish win. It is the body of a scope. */
export interface Race {
  readonly _tag: "Race"
  /** Scopes with a `part` each. */
  readonly children: ReadonlyArray<Node>
  readonly count: number
  /** `true` if its value is a list, even of one winner. */
  readonly isList: boolean
  /** Treatment of the other branches: cancel them, or keep them running beside the next nodes. */
  readonly rest: "cancel" | "keep"
}

/** The progress of a list, as its `until` receives it beside its needs. */
export interface Progress {
  /** Number of items that have ended with a value. */
  readonly done: number
  /** Number of items that have failed. */
  readonly failed: number
  /** Number of items that have not ended. */
  readonly open: number
  /** Values of the ended items, in the order of the list. */
  readonly values: ReadonlyArray<unknown>
}

/** Runs a part of the plan for each item. It is the body of a scope. */
export interface ForEach extends Provisional {
  readonly _tag: "ForEach"
  /** Scopes with a `part` each. */
  readonly children: ReadonlyArray<Node>
  /** Most items in progress at once. */
  readonly maxConcurrency: number | undefined
  /** Most items. */
  readonly maxItems: number
  /** Number of items, if they are more than `maxItems` and left out. */
  readonly excess?: number
  /** The node that keeps the list open ({@link moreNeed}), and the needs of its `until`. */
  readonly needs: ReadonlyArray<Need>
  readonly until: ((context: PredicateContext & Progress, state: RunState, noteRead: NoteRead) => boolean) | undefined
  readonly rest: "cancel" | "keep"
  /** `true` if its value reports the result of each item. */
  readonly isSettled: boolean
  /** `true` if a later render may add items, so that the list cannot end before one clears it. */
  readonly isOpen?: boolean
  /** Set if the items are computed while the run proceeds. */
  readonly source?: Source
}

/** The source of a list's items. Its functions must be pure. */
export interface Source {
  readonly items: (context: PredicateContext) => unknown
  readonly key: ((item: unknown, index: number) => unknown) | undefined
  /** The nodes for each item, whose ids are prefixed with the item's. */
  readonly template: Node
  /** The state of the items: not computed before its needs exist; `problem` is the thrown error. */
  readonly asked: { readonly isAsked: boolean; readonly problem?: unknown }
}

/** The name of the need that keeps a list open: until that node ends, items may be added. */
export const moreNeed = "~more"

/** The nodes that failures and cancellations propagate to. */
export type Boundary = Saga | TryCatch | Scope

export type Node = Step | Wait | Sequence | Parallel | Branch | Loop | Race | ForEach | Boundary

/** Tells whether failures propagate to this node. */
export const isBoundary = (node: Node | undefined): node is Boundary =>
  node?._tag === "Scope" || node?._tag === "Saga" || node?._tag === "TryCatch"

/** Tells whether the children of a node start at the same time. */
export const isGroup = (node: Node): node is Parallel | Race | ForEach =>
  node._tag === "Parallel" || node._tag === "Race" || node._tag === "ForEach"

/** Tells whether a node is the scope of a branch or an item. */
export const isPart = (node: Node): node is Scope & { readonly part: Part } => node._tag === "Scope" && node.part !== undefined

/** Tells whether a node waits for a child run that belongs to the run. */
export const isAttachedChild = (node: Node): node is Wait =>
  node._tag === "Wait" && node.target.kind === "subflow" && node.target.isAttached

/** Tells whether a node has an output of its own. */
export const isLeaf = (node: Node | undefined): node is Step | Wait => node?._tag === "Step" || node?._tag === "Wait"

/** The codec of the errors that a node declares. */
export const errorOf = ({ find }: Pick<Plan, "find">, nodeId: NodeId): ErrorCodec | undefined => {
  const node = find(nodeId)
  return isLeaf(node) ? node.error : undefined
}

/** A need with its resolved target. */
export interface ResolvedNeed {
  readonly name: string
  readonly target: number
  /**
   * The node that must end before the value exists: the target, or the outermost loop or saga around it but not around the
   * reader. -1 for none.
   */
  readonly gate: number
  /** `true` if the value may be absent. */
  readonly isOptional: boolean
  /** `true` if nothing waits for it. */
  readonly isLive: boolean
  readonly pass: Need["pass"]
}

/**
 * A checked plan. Nodes are identified by position in document order. The compensations of sagas follow the `size` nodes of the
 * tree, as steps outside it. Lookups throw for a position without such a node: pass only positions of this plan.
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
  /** The innermost loop around a node, or -1. */
  readonly loopOf: (position: number) => number
  readonly boundaries: ReadonlyArray<number>
  /** The steps with a compensation, in the order of the compensations. */
  readonly undoes: ReadonlyArray<number>
  /** The step that a compensation undoes. */
  readonly undone: (compensation: number) => number
  readonly needs: (position: number) => ReadonlyArray<ResolvedNeed>
  /** Nodes that wait for this one because of a need. */
  readonly dependents: ReadonlyMap<number, ReadonlyArray<number>>
  /** Positions of all nodes with an id, compensations included. */
  readonly positions: ReadonlyMap<NodeId, number>
  /** Reads of outputs that did not exist. Until they are settled the plan is incomplete, and the run cannot finish. */
  readonly pending: ReadonlyArray<PendingRead>
  /** `true` if the plan is rendered while the run proceeds, so that a later one may have other nodes. */
  readonly isRendered: boolean
  /** The text of the plan, by `PlanText`: equal text means an equal plan. */
  readonly text: string
}

const empty: ReadonlyArray<never> = []

/** The direct children of a node, in document order. */
export const children = (node: Node): ReadonlyArray<Node> => {
  switch (node._tag) {
    case "Step":
    case "Wait":
      return empty
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

/** Positions of the parts of a try that exist. */
export const tryParts = (plan: Pick<Plan, "end">, position: number, node: TryCatch) => {
  const second = plan.end(position + 1)
  const caught = node.catch === undefined ? undefined : second
  const last = caught === undefined ? second : plan.end(caught)
  return { try: position + 1, catch: caught, finally: node.finally === undefined ? undefined : last }
}

/** Tells whether a node is in a `finally`, which runs to completion when its run is cancelled. */
export const isInFinally = (plan: Plan, position: number): boolean => {
  for (let inner = position, up = position < 0 ? -1 : plan.parent(position); up >= 0; inner = up, up = plan.parent(up)) {
    const node = plan.node(up)
    if (node._tag === "TryCatch" && tryParts(plan, up, node).finally === inner) return true
  }
  return false
}

/** Nodes and positions of a plan: all that one render needs to know of another. */
export interface PlanOutline {
  readonly nodes: ReadonlyArray<{ readonly _tag: string; readonly id?: NodeId }>
  readonly end: (position: number) => number
  readonly positions: ReadonlyMap<NodeId, number>
}

/** A node with an id in a loop's pass: a leaf, a boundary, or a nested loop as a whole. */
export interface MountedNode {
  readonly position: number
  /** The outermost try of the pass whose `catch` or `finally` contains it, or -1. */
  readonly wayOutOf: number
}

/** The nodes of a pass of a loop, in document order. */
export const mountedNodes = ({ nodes, end }: Omit<PlanOutline, "positions">, loop: number): ReadonlyArray<MountedNode> => {
  const found: Array<MountedNode> = []
  let [wayOutOf, from, to] = [-1, 0, 0]
  for (let position = loop + 1; position < end(loop); ) {
    const node = nodes[position]
    if (node?.id !== undefined) found.push({ position, wayOutOf: from <= position && position < to ? wayOutOf : -1 })
    if (node?._tag === "TryCatch" && position >= to) {
      // After its body.
      ;[wayOutOf, from, to] = [position, end(position + 1), end(position)]
    }
    position = node?._tag === "Loop" ? end(position) : position + 1
  }
  return found
}

/** Names that a need cannot have, because the context of a step uses them. */
export const reservedNames: ReadonlySet<string> = new Set([
  ...["input", "output", "heartbeat", "lastHeartbeat", "signal", "runId", "stepId", "iteration", "attempt", "idempotencyKey"],
  "__proto__",
])

/** Tells whether a node waits for outputs that did not exist when the plan was made. */
export const isProvisional = (node: Node): boolean => "pending" in node && (node.pending?.length ?? 0) > 0

/** The outputs that a provisional node waits for. */
export const pendingOf = (node: Node): ReadonlyArray<PendingRead> => ("pending" in node ? (node.pending ?? empty) : empty)
