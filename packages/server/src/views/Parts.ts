/**
 * Formats scopes, races, lists and their parts for people. Pure functions.
 */
import { leaveReasons } from "@smithers/core/Errors"
import { type NodeId, type NodeKey, nodeKey, scopeOfTimeout, startId } from "@smithers/core/Ids"
import * as PlanRows from "@smithers/core/PlanRows"
import type * as PlanText from "@smithers/core/PlanText"
import type { LeaveRequest, Leaving } from "@smithers/core/RunEvent"
import type { NodeSummary } from "@smithers/core/RunReader"
import { oneLine, shorten } from "./Text.ts"

/** Returns the id of a node, or a name for the timer of a scope. */
export const nameOf = (nodeId: NodeId): string => {
  if (nodeId === startId) return "start of the run"
  const scope = scopeOfTimeout(nodeId)
  return scope === undefined ? nodeId : `timeout of ${scope}`
}

const reasonText = ({ reason, by }: Pick<LeaveRequest, "reason" | "by">): string => {
  const who = by === undefined ? "" : `, by ${oneLine(by)}`
  return `${who}${reason === undefined ? "" : ` (${shorten(oneLine(reason), 200)})`}`
}

/** Formats the reason why a part was left early. */
export const leftText = (left: Leaving): string => `left: ${leaveReasons[left.trigger]}${reasonText(left)}`

/** Formats a request to leave a part. */
export const askedText = (asked: LeaveRequest): string => `to be left as ${asked.outcome}${reasonText(asked)}`

/** Number of parts of a race or a list, by status. */
export interface Tally {
  readonly done: number
  readonly failed: number
  readonly left: number
  /** Started and not finished. */
  readonly open: number
  /** Not started. */
  readonly idle: number
}

/** A part of a race or a list, with its status. */
export interface ShownPart extends PlanRows.Part {
  readonly stands: keyof Tally
}

/** Returns the parts of the race or list in a scope, in an iteration; `undefined` if the scope holds neither. */
export const partsOf = (
  plan: PlanText.PlanText,
  scope: number,
  iteration: number,
  rows: ReadonlyMap<NodeKey, NodeSummary>,
): ReadonlyArray<ShownPart> | undefined =>
  PlanRows.partsOf(plan, scope)?.map((part) => {
    const row = rows.get(nodeKey(plan.nodes[part.position]?.id ?? "", iteration))
    return { ...part, stands: standsOf(row, PlanRows.standing(plan, part.position, iteration, rows)) }
  })

const standsOf = (row: NodeSummary | undefined, standing: PlanRows.Standing): keyof Tally => {
  switch (row?.status) {
    case "caught":
    case "failed":
      return "failed"
    case "completed":
    case "cancelled":
      return "left"
    case "halted":
      return "open"
    default:
      return standing === "over" ? "done" : standing
  }
}

export const tally = (parts: ReadonlyArray<Pick<ShownPart, "stands">>): Tally => {
  const counts = { done: 0, failed: 0, left: 0, open: 0, idle: 0 }
  for (const { stands } of parts) counts[stands]++
  return counts
}

const words: { readonly [K in keyof Tally]: string } = {
  done: "done",
  failed: "failed",
  left: "left",
  open: "open",
  idle: "not begun",
}

/** Formats the counts. */
export const tallyText = (counts: Tally): string => {
  const said = tallyKeys.flatMap((key) => (counts[key] === 0 ? [] : [`${counts[key]} ${words[key]}`]))
  return said.length === 0 ? "none" : said.join(", ")
}

const tallyKeys = ["done", "failed", "left", "open", "idle"] as const

/** Maximum number of parts shown one by one. Beyond it, parts that are over or have not begun are only counted. */
const mostParts = 10

/** Splits parts into those shown one by one (failed ones first, then open ones) and those only counted. */
export const fold = <A extends { readonly stands: keyof Tally }>(
  parts: ReadonlyArray<A>,
): readonly [shown: ReadonlyArray<A>, rest: ReadonlyArray<A>] => {
  if (parts.length <= mostParts) return [parts, []]
  const shown = new Set(
    [...parts.filter(({ stands }) => stands === "failed"), ...parts.filter(({ stands }) => stands === "open")].slice(0, mostParts),
  )
  return [parts.filter((part) => shown.has(part)), parts.filter((part) => !shown.has(part))]
}
