/**
 * Keeps what was committed of one run, and refuses what must never be: an output committed twice, a finished step begun again,
 * a start after a failure for good, a gap in the numbers of attempts, passes, frames or events.
 */
import { type NodeKey, nodeKey } from "@smithers/core/Ids"
import type { RunEvent } from "@smithers/core/RunEvent"

/** Something happened that must not. */
export class Violation extends Error {
  override readonly name = "Violation"
}

export interface Entry {
  readonly at: number
  readonly event: RunEvent
}

interface Node {
  status: "running" | "interrupted" | "retrying" | "settled"
  attempt: number
}

export interface Ledger {
  readonly entries: ReadonlyArray<Entry>
  readonly frames: () => number
  readonly isEnded: () => boolean
  /** Takes a frame. */
  readonly commit: (frame: number, firstSeq: number, at: number, events: ReadonlyArray<RunEvent>) => void
  /** Takes note that the code of a step was called. */
  readonly begin: (key: NodeKey, attempt: number) => void
  /** Failed attempts that were committed. */
  readonly failures: ReadonlyMap<NodeKey, number>
}

export const make = (): Ledger => {
  const entries: Array<Entry> = []
  const nodes = new Map<NodeKey, Node>()
  const outputs = new Set<NodeKey>()
  const failures = new Map<NodeKey, number>()
  const passes = new Map<NodeKey, number>()
  const totals = new Map<string, number>()
  const begun = new Set<string>()
  let frames = 0
  let hasFailed = false
  let isEnded = false

  const refuse = (problem: string): never => {
    throw new Violation(problem)
  }
  const move = (key: NodeKey, from: ReadonlyArray<Node["status"]>, status: Node["status"], attempt?: number): void => {
    const node = nodes.get(key) ?? { status: "interrupted", attempt: 0 }
    if (!from.includes(node.status)) refuse(`${key} became ${status} while it was ${node.status}`)
    nodes.set(key, { status, attempt: attempt ?? node.attempt })
  }

  const take = (event: RunEvent): void => {
    if ((entries.length === 0) !== (event._tag === "RunStarted")) refuse(`event ${entries.length + 1} is ${event._tag}`)
    if (isEnded && event._tag !== "RunResumed") refuse(`${event._tag} after the run had ended`)
    switch (event._tag) {
      case "RunResumed":
        hasFailed &&= !isEnded
        isEnded = false
        return
      case "NodeReset":
        return move(nodeKey(event.nodeId, event.iteration), ["settled"], "interrupted")
      case "AttemptStarted": {
        const key = nodeKey(event.nodeId, event.iteration)
        const last = nodes.get(key)?.attempt ?? 0
        if (hasFailed) refuse(`${key} was started after a step had failed for good`)
        if (event.attempt !== last + 1) refuse(`attempt ${event.attempt} of ${key} follows attempt ${last}`)
        return move(key, ["interrupted", "retrying"], "running", event.attempt)
      }
      case "AttemptSucceeded": {
        const key = nodeKey(event.nodeId, event.iteration)
        if (outputs.has(key)) refuse(`the output of ${key} was committed twice`)
        outputs.add(key)
        return move(key, ["running"], "settled", event.attempt)
      }
      case "AttemptFailed": {
        const key = nodeKey(event.nodeId, event.iteration)
        failures.set(key, (failures.get(key) ?? 0) + 1)
        if (event.retryAt === undefined && event.soft !== true) hasFailed = true
        return move(key, ["running"], event.retryAt === undefined ? "settled" : "retrying", event.attempt)
      }
      case "AttemptInterrupted":
        return move(nodeKey(event.nodeId, event.iteration), ["running"], "interrupted", event.attempt)
      case "NodeFailed":
        if (event.soft !== true) hasFailed = true
        return move(nodeKey(event.nodeId, event.iteration), ["interrupted"], "settled")
      case "NodeSkipped":
        return move(nodeKey(event.nodeId, event.iteration), ["interrupted"], "settled")
      case "LoopAdvanced": {
        const key = nodeKey(event.nodeId, event.iteration)
        const total = totals.get(event.nodeId) ?? 0
        if (event.pass !== (passes.get(key) ?? 0)) refuse(`pass ${event.pass} of ${key} follows ${passes.get(key) ?? 0} passes`)
        if (event.base + event.pass !== total)
          refuse(`pass ${event.pass} of ${key} has row ${event.base + event.pass}, not ${total}`)
        passes.set(key, event.pass + 1)
        totals.set(event.nodeId, total + 1)
        return
      }
      case "RunFinished":
      case "RunFailed": {
        const running = [...nodes].filter(([, { status }]) => status === "running").map(([key]) => key)
        if (running.length > 0) refuse(`the run ended while ${running.join(", ")} ran`)
        isEnded = true
      }
    }
  }

  return {
    entries,
    frames: () => frames,
    isEnded: () => isEnded,
    commit: (frame, firstSeq, at, events) => {
      if (frame !== frames + 1) refuse(`frame ${frame} follows frame ${frames}`)
      if (firstSeq !== entries.length + 1) refuse(`event ${firstSeq} follows event ${entries.length}`)
      if (events.length === 0) refuse(`frame ${frame} is empty`)
      frames = frame
      for (const event of events) {
        take(event)
        entries.push({ at, event })
      }
    },
    begin: (key, attempt) => {
      const node = nodes.get(key)
      if (node?.status !== "running" || node.attempt !== attempt) {
        refuse(
          `the code of ${key} was called for attempt ${attempt}, but it is ${node?.status ?? "not begun"} (${node?.attempt ?? 0})`,
        )
      }
      if (begun.has(`${key}/${attempt}`)) refuse(`the code of ${key} was called twice in attempt ${attempt}`)
      begun.add(`${key}/${attempt}`)
    },
    failures,
  }
}
