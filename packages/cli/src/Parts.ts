/**
 * Scopes, races and lists, and their parts, as people read of them. Plain functions.
 */
import { leavings } from "@smithers/core/Errors"
import { type NodeId, type NodeKey, nodeKey, scopeOfTimeout } from "@smithers/core/Ids"
import * as PlanRows from "@smithers/core/PlanRows"
import type * as PlanText from "@smithers/core/PlanText"
import type { LeaveRequest, Leaving } from "@smithers/core/RunEvent"
import type { NodeSummary } from "@smithers/core/RunReader"
import { oneLine, shorten } from "./Text.ts"

/** The id of a node; of the timer of a scope what it is. */
export const nameOf = (nodeId: NodeId): string => {
  const scope = scopeOfTimeout(nodeId)
  return scope === undefined ? nodeId : `timeout of ${scope}`
}

const reasonText = ({ reason, by }: Pick<LeaveRequest, "reason" | "by">): string => {
  const who = by === undefined ? "" : `, by ${oneLine(by)}`
  return `${who}${reason === undefined ? "" : ` (${shorten(oneLine(reason), 200)})`}`
}

/** Why a part is left early. */
export const leftText = (left: Leaving): string => `left: ${leavings[left.because]}${reasonText(left)}`

/** How someone asked for a part to be left. */
export const askedText = (asked: LeaveRequest): string => `to be left as ${asked.as}${reasonText(asked)}`

/** How the parts of a race or a list stand, by their number. */
export interface Tally {
  readonly done: number
  readonly failed: number
  /** Left early. */
  readonly left: number
  /** Begun, and not over. */
  readonly open: number
  /** Not begun. */
  readonly idle: number
}

/** A part of a race or a list, and how it stands. */
export interface ShownPart extends PlanRows.Part {
  readonly stands: keyof Tally
}

/** The parts of the race or the list that a scope holds, in an iteration; `undefined` where it holds neither. */
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

/** Counts parts. */
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

/** Counts in words. */
export const tallyText = (counts: Tally): string => {
  const said = tallyKeys.flatMap((key) => (counts[key] === 0 ? [] : [`${counts[key]} ${words[key]}`]))
  return said.length === 0 ? "none" : said.join(", ")
}

const tallyKeys = ["done", "failed", "left", "open", "idle"] as const

/** Parts that are shown one by one. Where there are more, those that are over or have not begun are only counted. */
const mostParts = 10

/** The parts that are shown one by one, those that need somebody first, and how the others stand. */
export const fold = <A extends { readonly stands: keyof Tally }>(
  parts: ReadonlyArray<A>,
): readonly [shown: ReadonlyArray<A>, rest: ReadonlyArray<A>] => {
  if (parts.length <= mostParts) return [parts, []]
  const shown = new Set(
    [...parts.filter(({ stands }) => stands === "failed"), ...parts.filter(({ stands }) => stands === "open")].slice(0, mostParts),
  )
  return [parts.filter((part) => shown.has(part)), parts.filter((part) => !shown.has(part))]
}
