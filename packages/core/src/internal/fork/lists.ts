/**
 * The lists of a fork: what it keeps, what runs again, what people are asked again, and what is waited for.
 */
import { type NodeId, nodeKey } from "../../Ids.ts"
import * as Records from "../../Records.ts"
import type { WaitKind } from "../../RunEvent.ts"
import * as RunState from "../../RunState.ts"
import type * as Restore from "../restore.ts"

/** A node of a fork, in one iteration. */
export interface ForkedNode {
  readonly nodeId: NodeId
  readonly iteration: number
  readonly kind: "step" | WaitKind
}

/** What is to come of a fork. Nodes are listed in the order in which they began. */
export interface ForkLists {
  /** Ended nodes, with their outputs, decisions and answers. */
  readonly kept: ReadonlyArray<ForkedNode>
  /** Steps and child runs that the original has run, and that run again. */
  readonly rerun: ReadonlyArray<ForkedNode>
  /** Approvals and human tasks of the original that people are asked again. */
  readonly requested: ReadonlyArray<ForkedNode>
  /** Timers and signals that are waited for. */
  readonly waiting: ReadonlyArray<ForkedNode>
  /** Steps whose outputs were given. */
  readonly set: ReadonlyArray<ForkedNode>
  /** Kept outputs that do not match the schemas of the code. Resuming fails with them, unless their nodes are to run again. */
  readonly incompatible: ReadonlyArray<Restore.Incompatible>
}

/** Steps that are wanted, in the order in which they began, without compensations. */
export const stepsOf = (
  state: RunState.RunState,
  isWanted: (record: Records.StepRecord) => boolean = () => true,
): ReadonlyArray<Records.StepRecord> =>
  RunState.records(state)
    .filter((record) => record.kind === "step")
    .filter((record) => Records.undoneBy(record.nodeId) === undefined && isWanted(record))
    .sort((left, right) => (left.startedAt ?? 0) - (right.startedAt ?? 0) || (left.finishedSeq ?? 0) - (right.finishedSeq ?? 0))

/** Tells whether a person has decided about a step, or answered it. */
export const isDecided = ({ wait, approved }: Records.StepRecord): boolean =>
  approved !== undefined ||
  ((wait?.kind === "approval" || wait?.kind === "human") && wait.isOfAttempt !== true && wait.status !== "open")

/** The place of a record in lists. */
const placeOf = (record: Records.StepRecord): ForkedNode => ({
  nodeId: record.nodeId,
  iteration: record.iteration,
  kind: record.wait === undefined || record.attempt > 0 || record.wait.isOfAttempt === true ? "step" : record.wait.kind,
})

const isRequest = ({ wait, approved }: Records.StepRecord): boolean =>
  approved === undefined && (wait?.kind === "approval" || wait?.kind === "human")

const keyOf = ({ nodeId, iteration }: Pick<ForkedNode, "nodeId" | "iteration">) => nodeKey(nodeId, iteration)

/** Makes the lists of a fork by its state, that of its original, the steps whose outputs were given, and the outputs that do not fit. */
export const of = (
  state: RunState.RunState,
  original: RunState.RunState,
  set: ReadonlyArray<ForkedNode>,
  incompatible: ReadonlyArray<Restore.Incompatible>,
): ForkLists => {
  const given = new Set(set.map(keyOf))
  const standing = new Set(given)
  const kept: Array<ForkedNode> = []
  const waiting: Array<ForkedNode> = []
  for (const record of stepsOf(state)) {
    const key = keyOf(record)
    const isOpen = Records.openWait(record) !== undefined
    if (isOpen) waiting.push(placeOf(record))
    if (Records.isSettled(record) && !given.has(key)) kept.push(placeOf(record))
    else if (!isOpen) continue
    standing.add(key)
  }
  const again = stepsOf(original, (record) => (record.attempt > 0 || record.wait !== undefined) && !standing.has(keyOf(record)))
  const placed = again.map((record) => [record, placeOf(record)] as const)
  return {
    kept,
    rerun: placed.flatMap(([{ wait }, place]) => (place.kind === "step" || wait?.kind === "subflow" ? [place] : [])),
    requested: placed.flatMap(([record, place]) => (place.kind !== "step" && isRequest(record) ? [place] : [])),
    waiting,
    set,
    incompatible: incompatible.filter((one) => standing.has(keyOf(one))),
  }
}
