/**
 * The shown status of a run: one function of its row, the life of its owner and its unapplied commands. Every store uses it, so
 * that lists, filters, single runs and waits agree.
 */

import type { InboxMessage } from "./Inbox.ts"
import * as Pauses from "./Pauses.ts"
import type { BoundaryRecord } from "./Records.ts"
import type { LeaveRequest } from "./RunEvent.ts"
import { type NodeSummary, type OpenWait, type RunOverview, responseTo, type WaitSummary } from "./RunReader.ts"
import { waitingStatus } from "./RunResult.ts"
import * as Status from "./Status.ts"
import { defined } from "./Struct.ts"

/** The facts that a store has of a run. */
export interface Facts {
  /** The stored status. */
  readonly stored: Status.RunStatus
  /** `none` if no process has claimed it; otherwise whether the owner still lives. */
  readonly owner: "none" | "alive" | "gone"
  readonly isPaused: boolean
  /** Unapplied commands, in order. */
  readonly commands: ReadonlyArray<InboxMessage>
  readonly waits: ReadonlyArray<OpenWait>
  /** `true` if a step will be retried later. */
  readonly isRetrying: boolean
  /** `true` if it was released to wait for a slot of a limit. */
  readonly isQueued: boolean
  /** Of a run that goes on as others: the newest of them. */
  readonly newest?: string
  /** Tells whether a step is running. */
  readonly isActive: () => boolean
}

/** Reads the facts of runs; runs that do not exist are left out. */
export type Lookup = (runIds: ReadonlyArray<string>) => ReadonlyMap<string, Facts>

/** The shown statuses of runs, by id. Looks up the child runs that they wait for too. */
export const statuses = (runIds: ReadonlyArray<string>, lookup: Lookup): ReadonlyMap<string, Status.ShownStatus> => {
  const known = new Map<string, Facts>()
  for (let wanted = runIds; wanted.length > 0; ) {
    const found = lookup(wanted)
    for (const [runId, facts] of found) known.set(runId, facts)
    wanted = [...new Set([...found.values()].flatMap(childrenOf))].filter((runId) => !known.has(runId))
  }
  const shown = new Map<string, Status.ShownStatus>()
  /** Statuses as those see them who wait for the run: of the newest that it goes on as. */
  const awaited = new Map<string, Status.ShownStatus>()
  // Child runs come before the runs that wait for them. No recursion, since families may be deep.
  const entered = new Set<string>()
  for (const [first] of known) {
    for (let path = [first], runId: string | undefined = first; runId !== undefined; runId = path.at(-1)) {
      const facts = known.get(runId) as Facts
      const next = entered.has(runId) ? [] : childrenOf(facts).filter((child) => known.has(child) && !entered.has(child))
      entered.add(runId)
      if (next.length > 0) {
        path.push(...next)
        continue
      }
      path.pop()
      if (shown.has(runId)) continue
      const status = statusOf(facts, awaited)
      shown.set(runId, status)
      awaited.set(runId, (facts.newest === undefined ? undefined : awaited.get(facts.newest)) ?? status)
    }
  }
  return shown
}

/** Child runs that it waits for, and the newest run that it goes on as. */
const childrenOf = ({ waits, newest }: Facts): ReadonlyArray<string> => [
  ...waits.flatMap(({ kind, name }) => (kind === "subflow" && name !== null ? [name] : [])),
  ...(newest === undefined ? [] : [newest]),
]

const statusOf = (facts: Facts, children: ReadonlyMap<string, Status.ShownStatus>): Status.ShownStatus => {
  const { stored, owner, commands, waits, isRetrying, isQueued } = facts
  if (owner === "gone") return "orphaned"
  if (owner === "none") {
    if (Status.isEnded(stored)) return stored
    // Its process died, and a later claim released it unchanged.
    if (stored === "running") return "orphaned"
  }
  const isCancelled = commands.some(({ command }) => command._tag === "Cancel")
  if (isPausedBy(facts) && !isCancelled) return "paused"
  const other = owner === "alive" ? "running" : "suspended"
  if (isCancelled || (owner === "none" && stored !== "waiting" && stored !== "paused")) return other
  const answered = answers(waits, commands)
  const open = waits.filter((wait) => !answered.has(wait))
  if (open.length === 0 && !isRetrying && !isQueued) return other
  if (owner === "alive" && (open.length < waits.length || facts.isActive())) return "running"
  const kinds = open.map((wait) => kindOf(wait, children))
  if (owner === "alive" && kinds.includes("running")) return "running"
  if (isRetrying) kinds.push("timer")
  if (isQueued) kinds.push("quota")
  // A child run without an owner makes no progress.
  const waiting = kinds.filter((kind) => kind !== "suspended")
  return waiting.length === 0
    ? "suspended"
    : waitingStatus(waiting.map((kind) => ({ kind: kind === "running" ? "subflow" : kind })))
}

/** The kind of a wait; for a child run that of its own waits, if known. */
const kindOf = ({ kind, name }: OpenWait, children: ReadonlyMap<string, Status.ShownStatus>): string => {
  if (kind !== "subflow") return kind
  switch (children.get(name ?? "")) {
    case "waiting-approval":
      return "approval"
    case "waiting-event":
      return "signal"
    case "waiting-quota":
      return "quota"
    case "waiting-timer":
      return "timer"
    case "suspended":
    case "orphaned":
      return "suspended"
    case "running":
      return "running"
    default:
      return kind
  }
}

/** Tells whether a run is paused after it applies its commands. */
const isPausedBy = ({ stored, isPaused, commands }: Facts): boolean => Pauses.isPaused(isPaused || stored === "paused", commands)

/**
 * Pairs open waits with the unapplied commands that end them. A signal ends one wait, the first. Responses that came too late
 * are not stored, so none is among them.
 */
export const answers = <A extends OpenWait>(
  waits: ReadonlyArray<A>,
  commands: ReadonlyArray<InboxMessage>,
): ReadonlyMap<A, InboxMessage> => {
  const found = new Map<A, InboxMessage>()
  if (commands.length === 0) return found
  const taken = new Set<InboxMessage>()
  for (const wait of waits) {
    const command = commands.find((one) => !taken.has(one) && responseTo(one, wait) !== undefined)
    if (command === undefined) continue
    taken.add(command)
    found.set(wait, command)
  }
  return found
}

/** The effect of a command on its wait. */
export const answered = (wait: OpenWait, command: InboxMessage | undefined): Partial<WaitSummary> =>
  (command === undefined ? undefined : responseTo(command, wait)) ?? {}

/** The requests to leave scopes among unapplied commands. */
export const leaving = (commands: ReadonlyArray<InboxMessage>): RunOverview["leaving"] =>
  commands.flatMap(({ command }) => {
    if (command._tag !== "Leave") return []
    const { _tag, ...request } = command
    return [request]
  })

/** The shown fields of boundaries beside those of all nodes. */
export const regionOf = ({
  leaveRequest,
  left,
  winners,
}: Pick<BoundaryRecord, "leaveRequest" | "left" | "winners">): Pick<NodeSummary, "leaveRequest" | "left" | "winners"> =>
  defined({ leaveRequest: leaveRequest && requestOf(leaveRequest), left, winners })

const requestOf = ({ outcome, reason, by }: LeaveRequest): LeaveRequest => ({ outcome, ...defined({ reason, by }) })

/**
 * The shown status of a node. A step that is stored as running, in a run without an owner, is interrupted. A wait with an
 * unapplied decision or answer is decided or answered.
 */
export const nodeStatus = (
  { kind, status }: Pick<NodeSummary, "kind" | "status">,
  isOwned: boolean,
  answer: InboxMessage | undefined,
): NodeSummary["status"] => {
  if (kind !== "step") return status
  if (status === "running") return isOwned ? status : "interrupted"
  if (status !== "waiting" || answer === undefined) return status
  return answer.command._tag === "Decide" ? "decided" : "answered"
}
