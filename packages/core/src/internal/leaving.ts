/**
 * The scopes of a run that can be left from outside, by its stored plan and its rows.
 */
import * as Either from "effect/Either"
import { InvalidCommand, NodeNotFound } from "../Errors.ts"
import { type NodeId, type NodeKey, nodeKey, partId, scopeOfTimeout } from "../Ids.ts"
import * as PlanRows from "../PlanRows.ts"
import type * as PlanText from "../PlanText.ts"
import type { LeaveRequest, Leaving } from "../RunEvent.ts"
import type { NodeSummary, RunDetails } from "../RunReader.ts"
import { defined } from "../Struct.ts"

/** The stored data of a run. */
export interface Known extends Pick<RunDetails, "run" | "nodes" | "leaving"> {
  readonly plan: PlanText.PlanText
}

/** A scope in one iteration, and its status. */
export interface Found {
  readonly nodeId: NodeId
  readonly iteration: number
  /** An earlier request to leave it, applied or not. */
  readonly leaveRequest: LeaveRequest | undefined
  /** Set if it, or a part around it, has ended or is being left. */
  readonly ended: NodeSummary["status"] | undefined
  readonly left: Leaving | undefined
}

/** Finds a scope by its id, or one of its parts by key. */
export const find = (
  { plan, run: { runId }, nodes, leaving }: Known,
  scope: NodeId,
  { iteration, key }: { readonly iteration?: number; readonly key?: string },
): Either.Either<Found, NodeNotFound | InvalidCommand> => {
  const outer = plan.positions.get(scope)
  if (outer === undefined) return Either.left(new NodeNotFound({ runId, nodeId: scope, known: scopesOf(plan), of: "scopes" }))
  const problem = refusalOf(plan, outer, scope, key)
  if (problem !== undefined) return Either.left(new InvalidCommand({ runId, problem }))
  const nodeId = key === undefined ? scope : partId(scope, key)
  const position = plan.positions.get(nodeId)
  if (position === undefined) {
    const known = PlanRows.partsOf(plan, outer)?.map((part) => part.key) ?? []
    return Either.left(new NodeNotFound({ runId, nodeId: scope, ...defined({ key }), known, of: "keys" }))
  }
  const mine = nodes.filter((node) => node.nodeId === nodeId)
  const current = PlanRows.currentPass(plan, position, nodes)
  const row = iteration ?? mine.findLast(({ status }) => status === "running")?.iteration ?? current
  const iterations = [...new Set([...mine.map((node) => node.iteration), current])]
  if (!iterations.includes(row)) return Either.left(new NodeNotFound({ runId, nodeId, iteration: row, known: iterations }))
  const { status, leaveRequest: asked, left } = mine.find((node) => node.iteration === row) ?? {}
  const ended = endOf(plan, position, row, PlanRows.byKey(nodes))
  // What was asked of one that the run did not come to has had no effect.
  const said = status === "superseded" ? undefined : (asked ?? requestOf(left) ?? pendingRequestOf(leaving, nodeId, row))
  return Either.right({ nodeId, iteration: row, leaveRequest: said, ended, left })
}

/** The request that caused a scope to be left, if one did. */
const requestOf = (left: Leaving | undefined): LeaveRequest | undefined => {
  if (left?.trigger !== "request") return undefined
  const { trigger: _, ...request } = left
  return request
}

/** An unapplied request to leave a scope. */
const pendingRequestOf = (leaving: Known["leaving"], nodeId: NodeId, iteration: number): LeaveRequest | undefined => {
  const told = leaving.find((one) => one.nodeId === nodeId && one.iteration === iteration)
  if (told === undefined) return undefined
  const { nodeId: _, iteration: __, ...request } = told
  return request
}

const scopesOf = ({ nodes }: PlanText.PlanText): ReadonlyArray<NodeId> =>
  nodes.flatMap((node) => (node._tag === "Scope" && node.id !== undefined && node.details.part === undefined ? [node.id] : []))

/** The final status of a scope, if it has ended: by its own row, by those around it, or by its contents. */
const endOf = (
  plan: PlanText.PlanText,
  position: number,
  iteration: number,
  rows: ReadonlyMap<NodeKey, NodeSummary>,
): Found["ended"] => {
  for (const up of [position, ...PlanRows.around(plan, position)]) {
    const node = plan.nodes[up]
    if (node?._tag === "Loop") break
    const status = node?.id === undefined ? undefined : rows.get(nodeKey(node.id, iteration))?.status
    if (status !== undefined && status !== "running" && status !== "interrupted") return status
  }
  return PlanRows.standing(plan, position, iteration, rows) === "over" ? "finished" : undefined
}

/** The reason a node cannot be left; `undefined` if it can. */
const refusalOf = (plan: PlanText.PlanText, position: number, nodeId: NodeId, key: string | undefined): string | undefined => {
  const timed = scopeOfTimeout(nodeId)
  if (timed !== undefined) return `"${nodeId}" is the timeout of "${timed}": leave "${timed}" itself`
  const node = plan.nodes[position]
  if (node?._tag !== "Scope")
    return `"${nodeId}" is ${kindOf(node)}, and only a scope, a race, a list, or a part of one can be left: put it into a scope`
  if (key !== undefined && PlanRows.partsOf(plan, position) === undefined)
    return `"${nodeId}" is neither a race nor a list, and has no part "${key}"`
  return undefined
}

const kindOf = (node: PlanText.Node | undefined): string => {
  switch (node?._tag) {
    case "Wait":
      return waits[node.details.kind]
    case "Saga":
      return "a saga"
    case "TryCatch":
      return "a try"
    case "Loop":
      return "a loop"
    default:
      return "a step"
  }
}

const waits = {
  approval: "an approval",
  human: "a question to a person",
  signal: "a wait for a signal",
  subflow: "a child run",
  continuation: "where the run goes on as a new one",
  timer: "a timer",
} as const
