/**
 * What is shown of a run: one function of its row, of the life of its owner and of the commands that nobody has taken up yet. Every store
 * answers with it, so that lists, filters, single runs and waits agree, for people and for programs.
 */

import type { Command } from "./Inbox.ts"
import * as Pauses from "./Pauses.ts"
import type { BoundaryRecord } from "./Records.ts"
import { answerTo, type NodeSummary, type OpenWait, type RunStanding, type WaitSummary } from "./RunReader.ts"
import { waitingStatus } from "./RunResult.ts"
import * as Status from "./Status.ts"
import { defined } from "./Struct.ts"

/** What a store knows of a run. */
export interface Facts {
  /** As its row says it. */
  readonly stored: Status.RunStatus
  /** Whether a process has claimed it, and whether that process works on it still. */
  readonly owner: "none" | "alive" | "gone"
  readonly isPaused: boolean
  /** Commands that nobody has taken up, in order. */
  readonly commands: ReadonlyArray<Command>
  readonly waits: ReadonlyArray<OpenWait>
  /** Whether a step is to be tried again later. */
  readonly isRetrying: boolean
  /** Whether a step is at work. */
  readonly isActive: () => boolean
}

/** Reads the facts of runs: of those that are there. */
export type Lookup = (runIds: ReadonlyArray<string>) => ReadonlyMap<string, Facts>

/** What is shown of runs, by id. Of child runs that they wait for the facts are looked up too. */
export const statuses = (runIds: ReadonlyArray<string>, lookup: Lookup): ReadonlyMap<string, Status.ShownStatus> => {
  const known = new Map<string, Facts>()
  for (let wanted = runIds; wanted.length > 0; ) {
    const found = lookup(wanted)
    for (const [runId, facts] of found) known.set(runId, facts)
    wanted = [...new Set([...found.values()].flatMap(childrenOf))].filter((runId) => !known.has(runId))
  }
  const shown = new Map<string, Status.ShownStatus>()
  // Child runs before those that wait for them, without recursion: families may be deep.
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
      if (!shown.has(runId)) shown.set(runId, statusOf(facts, shown))
    }
  }
  return shown
}

/** Child runs whose end may still be waited for. */
const childrenOf = ({ waits }: Facts): ReadonlyArray<string> =>
  waits.flatMap(({ kind, name }) => (kind === "subflow" && name !== null ? [name] : []))

const statusOf = (facts: Facts, children: ReadonlyMap<string, Status.ShownStatus>): Status.ShownStatus => {
  const { stored, owner, commands, waits, isRetrying } = facts
  if (owner === "gone") return "orphaned"
  if (owner === "none") {
    if (Status.isEnded(stored)) return stored
    // Its process died, and whoever claimed it since has given it back as it was.
    if (stored === "running") return "orphaned"
  }
  const isCancelled = commands.some(({ command }) => command._tag === "Cancel")
  if (isPausedBy(facts) && !isCancelled) return "paused"
  const other = owner === "alive" ? "running" : "suspended"
  if (isCancelled || (owner === "none" && stored !== "waiting" && stored !== "paused")) return other
  const answered = answers(waits, commands)
  const open = waits.filter((wait) => !answered.has(wait))
  if (open.length === 0 && !isRetrying) return other
  if (owner === "alive" && (open.length < waits.length || facts.isActive())) return "running"
  const kinds = open.map((wait) => kindOf(wait, children))
  if (owner === "alive" && kinds.includes("running")) return "running"
  if (isRetrying) kinds.push("timer")
  // A child run that nobody works on is waited for in vain.
  const waiting = kinds.filter((kind) => kind !== "suspended")
  return waiting.length === 0
    ? "suspended"
    : waitingStatus(waiting.map((kind) => ({ kind: kind === "running" ? "subflow" : kind })))
}

/** What a wait is for: of a child run what that one waits for, where it is known. */
const kindOf = ({ kind, name }: OpenWait, children: ReadonlyMap<string, Status.ShownStatus>): string => {
  if (kind !== "subflow") return kind
  switch (children.get(name ?? "")) {
    case "waiting-approval":
      return "approval"
    case "waiting-event":
      return "signal"
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

/** Whether a run is paused once it has heard what it was told. */
const isPausedBy = ({ stored, isPaused, commands }: Facts): boolean => Pauses.isPaused(isPaused || stored === "paused", commands)

/**
 * The commands, of those that nobody has taken up, by which open waits of their run end. A signal is for one wait, the first. Of what people
 * say the store has kept only what came in time.
 */
export const answers = <A extends OpenWait>(waits: ReadonlyArray<A>, commands: ReadonlyArray<Command>): ReadonlyMap<A, Command> => {
  const found = new Map<A, Command>()
  if (commands.length === 0) return found
  const taken = new Set<Command>()
  for (const wait of waits) {
    const command = commands.find((one) => !taken.has(one) && answerTo(one, wait) !== undefined)
    if (command === undefined) continue
    taken.add(command)
    found.set(wait, command)
  }
  return found
}

/** What a command says to a wait that it is for. */
export const answered = (wait: OpenWait, command: Command | undefined): Partial<WaitSummary> =>
  (command === undefined ? undefined : answerTo(command, wait)) ?? {}

/** The scopes that are to be left, by commands that nobody has taken up. */
export const leaving = (commands: ReadonlyArray<Command>): RunStanding["leaving"] =>
  commands.flatMap(({ command }) => {
    if (command._tag !== "Leave") return []
    const { _tag, ...asked } = command
    return [asked]
  })

/** What is shown of a boundary beside what all nodes have. */
export const regionOf = ({
  asked,
  left,
  winners,
}: Pick<BoundaryRecord, "asked" | "left" | "winners">): Pick<NodeSummary, "asked" | "left" | "winners"> =>
  defined({ asked, left, winners })

/**
 * How a node stands: one that its row has at work, in a run that nobody works on, was interrupted; one that waits for what has been said, and
 * that nobody has taken up, is decided or answered.
 */
export const nodeStatus = (
  { kind, status }: Pick<NodeSummary, "kind" | "status">,
  isOwned: boolean,
  answer: Command | undefined,
): NodeSummary["status"] => {
  if (kind !== "step") return status
  if (status === "running") return isOwned ? status : "interrupted"
  if (status !== "waiting" || answer === undefined) return status
  return answer.command._tag === "Decide" ? "decided" : "answered"
}
