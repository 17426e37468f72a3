/**
 * The text of a plan: one line of JSON per node, in document order, with everything about the node except its functions. Stores
 * keep a plan as this text. Equal text means an equal plan. Lines do not contain positions, so plans that differ by a node
 * differ by a line.
 */

import { boundsOf, nameOf } from "./Agent.ts"
import * as Bounds from "./Bounds.ts"
import type { Budget, Limits as BudgetLimits, OnReached } from "./Budget.ts"
import type { NodeId } from "./Ids.ts"
import type { StepRights } from "./Isolation.ts"
import * as Limits from "./Limits.ts"
import type * as Plan from "./Plan.ts"
import type { RetryOptions, RetryPolicy } from "./RetryPolicy.ts"
import { defined } from "./Struct.ts"

/** A limit as JSON, which has no `Infinity`. */
type Count = number | "Infinity"

/** Ids or tables of outputs that did not exist when the node was made. */
interface Pending {
  readonly pending?: ReadonlyArray<string> | undefined
}

interface Held extends Pending {
  /** `true` if the read does not affect the node itself: its component made the read for another element. */
  readonly siblingRead?: true | undefined
}

interface Named {
  readonly label?: string | undefined
  readonly meta?: { readonly [key: string]: unknown } | undefined
  readonly table?: string | undefined
}

interface Needing {
  /** Targets by name of the need: an id, or the distance to a node without one. */
  readonly needs?: { readonly [name: string]: string } | undefined
}

interface WaitDetails {
  /** Name of a signal. */
  readonly name?: string
  readonly transient?: true | undefined
  /** Name of the child workflow. */
  readonly workflow?: string
  readonly isDetached?: true | undefined
  readonly onFail?: "fail" | "continue"
  /** Most runs above the child run, if that is not the default. */
  readonly maxDepth?: Count | undefined
  readonly onDeny?: "fail" | "continue" | "skip"
  /** `computed`: by a function when the wait begins; likewise for the times below. */
  readonly approvers?: ReadonlyArray<string> | "computed" | undefined
  readonly timeoutMs?: number
  readonly timeout?: "computed" | undefined
  readonly deadline?: number | "computed" | undefined
  readonly onTimeout?: Plan.Wait["onTimeout"]
}

type BudgetCounts = { readonly [Name in keyof BudgetLimits]: Count | undefined }

/** A budget; `of` is the id of the region, which has no line of its own. */
interface BudgetDetails extends BudgetCounts {
  readonly of?: NodeId
  readonly onReached: OnReached
}

/** The details in the line of a node, by its kind, without those at their default. */
export interface Details {
  readonly Step: Named &
    Held &
    Needing & {
      readonly agents?: ReadonlyArray<string> | undefined
      /** Bounds that its agents state, by the name of the agent and of the bound. */
      readonly bounds?: { readonly [agent: string]: { readonly [bound: string]: Count } } | undefined
      /** Corrections of a reply, if they are not the default. */
      readonly corrections?: number | undefined
      readonly rights?: StepRights | undefined
      readonly budget?: BudgetDetails | undefined
      readonly retry?: "schedule" | (Omit<RetryOptions, "maxAttempts"> & { readonly maxAttempts?: Count }) | undefined
      readonly timeoutMs?: number | undefined
      readonly timeout?: "computed" | undefined
      readonly heartbeatTimeoutMs?: number | undefined
      readonly continueOnFail?: true | undefined
      readonly snapshots?: boolean | undefined
      readonly cache?: true | undefined
      /** The name of its limit; `computed` by a function when it is ready. */
      readonly limit?: string | undefined
      readonly joins?: Plan.Joined | undefined
      readonly compensate?: true | undefined
      readonly needsApproval?: WaitDetails
    }
  readonly Wait: Named &
    Held &
    Needing &
    WaitDetails & { readonly kind: Plan.WaitTarget["kind"]; readonly joins?: Plan.Joined | undefined }
  readonly Sequence: Pending & {
    readonly budget?: BudgetDetails | undefined
    readonly worktree?: Omit<Plan.Worktree, "_tag"> | undefined
    readonly sandbox?: SandboxDetails | undefined
    readonly joins?: Plan.Joined | undefined
  }
  readonly Parallel: { readonly maxConcurrency?: Count | undefined; readonly failFast?: true | undefined }
  readonly Branch: Needing & {
    /** Of a switch, the names of its cases. */
    readonly cases?: ReadonlyArray<string> | undefined
    /** `true` if it has an arm for when nothing holds, or no case matches. */
    readonly hasElse?: true | undefined
  }
  readonly Loop: Pending &
    Needing & {
      readonly maxIterations: Count
      /** `true` if the author has set no `maxIterations`. */
      readonly isDefaultLimit?: true | undefined
      readonly onMaxReached: Plan.Loop["onMaxReached"]
    }
  readonly Scope: Named &
    Pending &
    Needing & {
      readonly completeWhen?: true | undefined
      readonly cancelWhen?: true | undefined
      readonly onTimeout?: "continue" | undefined
      /** The name of a branch, or the key of an item. */
      readonly part?: string | undefined
      readonly isCatching?: true | undefined
    }
  readonly Race: { readonly count: number; readonly rest?: "keep" | undefined; readonly isList?: true | undefined }
  readonly ForEach: Pending &
    Needing & {
      readonly maxConcurrency?: Count | undefined
      readonly maxItems?: Count | undefined
      /** Number of items, if they are too many and left out. */
      readonly excess?: number | undefined
      readonly until?: true | undefined
      readonly rest?: "keep" | undefined
      readonly isSettled?: true | undefined
      readonly isOpen?: true | undefined
    }
  readonly Saga: Pending & { readonly onCompensated: Plan.Saga["onCompensated"] }
  readonly TryCatch: Pending & {
    readonly hasCatch?: true | undefined
    /** `true` if it selects which failures it catches. */
    readonly hasFilter?: true | undefined
    readonly hasFinally?: true | undefined
  }
}

/** A node in the text of a plan. */
export type Node = {
  readonly [Kind in keyof Details]: {
    readonly _tag: Kind
    /** Number of nodes around it. */
    readonly depth: number
    /** `undefined` for nodes without an id. */
    readonly id?: NodeId
    readonly details: Details[Kind]
  }
}[keyof Details]

/** A plan as read from its text: enough to draw it, to find nodes, and to compare it with another. */
export interface PlanText extends Plan.PlanOutline {
  readonly nodes: ReadonlyArray<Node>
  readonly size: number
  readonly text: string
}

/** Encodes a plan as text. */
export const encode = ({ nodes, size, parent, needs }: Pick<Plan.Plan, "nodes" | "size" | "parent" | "needs">): string => {
  const depths = new Int32Array(size)
  const lines: Array<string> = []
  for (const [position, node] of nodes.entries()) {
    if (position === size) break
    const up = parent(position)
    const depth = up < 0 ? 0 : (depths[up] ?? 0) + 1
    depths[position] = depth
    const resolved = needs(position)
    const named =
      resolved.length === 0 ? undefined : Object.fromEntries(resolved.map((need) => [need.name, nameIn(nodes, position, need)]))
    const id = "id" in node ? node.id : undefined
    lines.push(`[${depth},"${node._tag}",${JSON.stringify({ id, ...detailsOf(node), needs: named })}]`)
  }
  return lines.join("\n")
}

/** Decodes the text of a plan. Throws a `SyntaxError` for any other text. */
export const decode = (text: string): PlanText => {
  const nodes: Array<Node> = []
  const ends: Array<number> = []
  const positions = new Map<NodeId, number>()
  const open: Array<number> = []
  const close = (depth: number): void => {
    for (const position of open.splice(depth)) ends[position] = nodes.length
  }
  for (const line of text === "" ? [] : text.split("\n")) {
    const node = nodeOf(line)
    close(node.depth)
    const position = nodes.push(node) - 1
    if (node.id !== undefined) positions.set(node.id, position)
    open.push(position)
  }
  close(0)
  return { nodes, size: nodes.length, end: (position) => ends[position] ?? position + 1, positions, text }
}

const kinds: ReadonlySet<string> = new Set<keyof Details>([
  "Step",
  "Wait",
  "Sequence",
  "Parallel",
  "Branch",
  "Loop",
  "Scope",
  "Race",
  "ForEach",
  "Saga",
  "TryCatch",
])

/** Trusts the kind of a line: {@link encode} wrote its details to match. */
const nodeOf = (line: string): Node => {
  const parsed: unknown = JSON.parse(line)
  const [depth, _tag, written] = Array.isArray(parsed) ? (parsed as ReadonlyArray<unknown>) : []
  if (typeof depth !== "number" || typeof _tag !== "string" || !kinds.has(_tag) || typeof written !== "object" || written === null)
    throw new SyntaxError(`not a line of a plan: ${line}`)
  const { id, ...details } = written as { readonly id?: NodeId }
  return { _tag, depth, ...defined({ id }), details } as Node
}

/** Counts steps and waits, without compensations. */
export const count = ({ nodes, size }: Pick<Plan.PlanOutline, "nodes"> & { readonly size: number }): number => {
  let found = 0
  for (const [position, { _tag }] of nodes.entries()) if (position < size && (_tag === "Step" || _tag === "Wait")) found++
  return found
}

/** The change of a node with an id; `moved` if only its depth differs. */
export type Change = "kept" | "moved" | "changed" | "added" | "removed"

/** The fields of a plan that a comparison needs. */
export type Comparable = Pick<PlanText, "text" | "positions" | "size">

/** Compares two plans by the ids of their nodes: those of `after` in order, then those that only `before` has. */
export const diff = (before: Comparable, after: Comparable): ReadonlyMap<NodeId, Change> => {
  const [old, lines] = [before.text.split("\n"), after.text.split("\n")]
  const changes = new Map<NodeId, Change>()
  for (const [nodeId, position] of after.positions) {
    if (position >= after.size) continue
    const was = before.positions.get(nodeId)
    changes.set(nodeId, was === undefined || was >= before.size ? "added" : changeOf(old[was] ?? "", lines[position] ?? ""))
  }
  for (const [nodeId, position] of before.positions)
    if (position < before.size && !changes.has(nodeId)) changes.set(nodeId, "removed")
  return changes
}

/** The depth comes first in a line. */
const changeOf = (was: string, is: string): Change =>
  was === is ? "kept" : was.slice(was.indexOf(",")) === is.slice(is.indexOf(",")) ? "moved" : "changed"

/** Selects nodes by their change. */
export const changed = (changes: ReadonlyMap<NodeId, Change>, ...ways: ReadonlyArray<Change>): ReadonlyArray<NodeId> =>
  [...changes].flatMap(([nodeId, change]) => (ways.includes(change) ? [nodeId] : []))

const budgetOf = ({ limits, onReached, ...named }: Budget & { readonly id?: NodeId }): BudgetDetails => ({
  ...(named.id === undefined || named.id === "" ? {} : { of: named.id }),
  ...Object.fromEntries(Object.entries<number | undefined>({ ...limits }).map(([name, limit]) => [name, countOf(limit)])),
  onReached,
})

/** A sandbox in a plan. */
interface SandboxDetails {
  readonly id: NodeId
  readonly provider: string
  readonly allowNetwork?: ReadonlyArray<string> | undefined
  readonly default?: false | undefined
}

const placeOf = (place: Plan.Workplace | undefined) => {
  if (place === undefined) return {}
  if (place._tag === "Worktree") {
    const { _tag, ...worktree } = place
    return { worktree }
  }
  const { id, provider, allowNetwork, isDefault } = place
  const named = typeof provider === "string" ? provider : provider.name
  return { sandbox: { id, provider: named, allowNetwork, default: isDefault ? undefined : (false as const) } }
}

/** The details of a node, without those at their default. */
const detailsOf = (node: Plan.Node): Details[keyof Details] => {
  switch (node._tag) {
    case "Step":
      return stepDetails(node)
    case "Wait": {
      const { label, meta, table } = node
      return { kind: node.target.kind, label, meta, table, joins: node.joins, ...waitDetails(node), ...held(node) }
    }
    case "Sequence":
      return { pending: pendingOf(node), budget: node.budget && budgetOf(node.budget), ...placeOf(node.place), joins: node.joins }
    case "Parallel":
      return { maxConcurrency: countOf(node.maxConcurrency), failFast: node.failFast || undefined }
    case "Branch":
      return node.choice.kind === "when"
        ? { hasElse: flag(node.arms.length > 1) }
        : { cases: node.choice.cases, hasElse: flag(node.arms.length > node.choice.cases.length) }
    case "Loop":
      return {
        maxIterations: countOf(node.maxIterations),
        isDefaultLimit: flag(node.isDefaultLimit === true),
        onMaxReached: node.onMaxReached,
        pending: pendingOf(node),
      }
    case "Scope": {
      const { label, part, onTimeout } = node
      const conditions = { completeWhen: flag(node.completeWhen !== undefined), cancelWhen: flag(node.cancelWhen !== undefined) }
      const late = onTimeout === "continue" ? { onTimeout } : {}
      return {
        label,
        ...conditions,
        ...late,
        part: part?.key,
        isCatching: flag(part?.isCatching === true),
        pending: pendingOf(node),
      }
    }
    case "Race":
      return { count: node.count, rest: keeping(node.rest), isList: flag(node.isList) }
    case "ForEach": {
      const { maxConcurrency, maxItems, excess, until, rest, isSettled, isOpen } = node
      const limits = {
        maxItems: maxItems === Bounds.limitOf("items") ? undefined : countOf(maxItems),
        excess,
        maxConcurrency: countOf(maxConcurrency),
        until: flag(until !== undefined),
        isOpen: flag(isOpen === true),
      }
      return { ...limits, rest: keeping(rest), isSettled: flag(isSettled), pending: pendingOf(node) }
    }
    case "Saga":
      return { onCompensated: node.onCompensated, pending: pendingOf(node) }
    case "TryCatch":
      return {
        hasCatch: flag(node.catch !== undefined),
        hasFilter: flag(node.catchWhen !== undefined),
        hasFinally: flag(node.finally !== undefined),
        pending: pendingOf(node),
      }
  }
}

const keeping = (rest: Plan.Race["rest"]): "keep" | undefined => (rest === "keep" ? rest : undefined)

const flag = (is: boolean): true | undefined => is || undefined

const stepDetails = (node: Plan.Step): Details["Step"] => {
  const { label, meta, table, timeoutMs, heartbeatTimeoutMs } = node
  return {
    label,
    meta,
    table,
    agents: node.agentSpec?.agents.map(nameOf),
    bounds: node.agentSpec && boundsIn(node.agentSpec),
    corrections: node.agentSpec?.corrections === Bounds.limitOf("corrections") ? undefined : node.agentSpec?.corrections,
    rights: node.agentSpec?.rights,
    budget: node.agentSpec?.budget && budgetOf(node.agentSpec.budget),
    retry: node.retry.shown && retryOf(node.retry.shown),
    timeoutMs,
    timeout: computed(node.computeTimeout),
    heartbeatTimeoutMs,
    continueOnFail: flag(node.continueOnFail),
    snapshots: node.snapshots,
    cache: flag(node.cache !== undefined),
    limit: typeof node.limit === "object" ? Limits.nameOf(node.limit) : computed(node.limit),
    joins: node.joins,
    compensate: flag(node.compensate !== undefined),
    ...(node.gate === undefined ? {} : { needsApproval: waitDetails(node.gate) }),
    ...held(node),
  }
}

const boundsIn = ({ agents }: Plan.AgentSpec): Details["Step"]["bounds"] => {
  const stated = agents.flatMap((agent) => {
    const bounds = Object.entries(boundsOf(agent)).map(([name, limit]) => [name, countOf(limit)] as const)
    return bounds.length === 0 ? [] : [[nameOf(agent), Object.fromEntries(bounds)] as const]
  })
  return stated.length === 0 ? undefined : Object.fromEntries(stated)
}

const countOf = <A extends number | undefined>(limit: A): A | "Infinity" => (limit === Infinity ? "Infinity" : limit)

const retryOf = (shown: NonNullable<RetryPolicy<unknown>["shown"]>): Details["Step"]["retry"] =>
  typeof shown === "string" || shown.maxAttempts !== Infinity ? shown : { ...shown, maxAttempts: countOf(shown.maxAttempts) }

const computed = (value: unknown): "computed" | undefined => (typeof value === "function" ? "computed" : undefined)

const waitDetails = ({ target, timeoutMs, computeTimeout, deadline, onTimeout }: Plan.Wait): WaitDetails => {
  const times = {
    ...defined({ timeoutMs, timeout: computed(computeTimeout) }),
    ...(deadline === undefined ? {} : { deadline: typeof deadline === "number" ? deadline : ("computed" as const) }),
  }
  const limit = Object.keys(times).length === 0 ? {} : { ...times, onTimeout }
  switch (target.kind) {
    case "signal":
      return { name: target.name, transient: flag(target.isTransient === true), ...limit }
    case "approval":
      return { onDeny: target.onDeny, approvers: typeof target.approvers === "function" ? "computed" : target.approvers, ...limit }
    case "subflow":
      return {
        workflow: target.child.name,
        isDetached: flag(!target.isAttached),
        onFail: target.onFail,
        maxDepth: target.maxDepth === Bounds.limitOf("depth") ? undefined : countOf(target.maxDepth),
        ...limit,
      }
    default:
      return limit
  }
}

const held = (node: Plan.Step | Plan.Wait): Held =>
  node.isHeldBySibling === true ? { pending: pendingOf(node), siblingRead: true } : { pending: pendingOf(node) }

const pendingOf = ({ pending }: { readonly pending?: ReadonlyArray<Plan.PendingRead> }): ReadonlyArray<string> | undefined =>
  pending === undefined || pending.length === 0 ? undefined : pending.map(({ nodeId, table }) => nodeId ?? table ?? "")

const nameIn = (nodes: ReadonlyArray<Plan.Node>, position: number, need: Plan.ResolvedNeed): string => {
  const target = nodes[need.target]
  const named = target !== undefined && "id" in target ? target.id : `${need.target - position}`
  return need.pass === "current" ? named : `${named} (${need.pass})`
}
