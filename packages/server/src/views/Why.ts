/**
 * Explains why a run has not finished: one sentence, and the commands that continue it. A pure function of stored state.
 */
import { optionsIn } from "@smithers/core/Decision"
import { text } from "@smithers/core/ErrorInfo"
import { type Uncompensated, uncompensatedMessage } from "@smithers/core/Errors"
import { scopeOfTimeout, startId } from "@smithers/core/Ids"
import * as Limits from "@smithers/core/Limits"
import type { Signal } from "@smithers/core/Records"
import { PendingKind, strayReadMessage } from "@smithers/core/RunEvent"
import type { Stuck } from "@smithers/core/RunOwnership"
import type { NodeSummary, RunDetails, WaitSummary } from "@smithers/core/RunReader"
import type { SlotWait } from "@smithers/core/Slots"
import * as Status from "@smithers/core/Status"
import * as Schema from "effect/Schema"
import { cancelLine, commandLine, type Option, resumeLineOf, uncancelLine } from "./CommandLine.ts"
import type { Denied } from "./Denials.ts"
import { askedText, nameOf } from "./Parts.ts"
import { titleOf, waitText } from "./Progress.ts"
import { approversOf, oneOf, questionLines } from "./Question.ts"
import { keptText, signalText } from "./Signalled.ts"
import { longestFailure, oneLine, plural, shorten, span } from "./Text.ts"

/** The state that blocks a run: its status, its waits, or its obstacle. */
export const WhyReason = Schema.Literal(
  ...Status.EndedStatus.literals,
  ...Status.ReleasedStatus.pipe(Schema.pickLiteral("running", "suspended", "paused")).literals,
  ...PendingKind.literals,
  "orphaned",
  "retrying",
  "stuck",
  "pending-command",
  "cancelling",
  "store-unavailable",
  "slot",
)
export type WhyReason = typeof WhyReason.Type

/** Stored state of a run, as {@link why} needs it. */
export interface Known {
  readonly details: RunDetails
  /** Open waits of the run and its child runs. */
  readonly waits: ReadonlyArray<WaitSummary>
  readonly now: number
  /** `true` if the process that owns the run is alive. */
  readonly isOwnerAlive: boolean
  /** Stored signals that no wait has consumed. */
  readonly signals?: ReadonlyArray<Signal>
  /** The denial that made it fail. */
  readonly denied?: Denied | undefined
  /** Steps that could not be undone. */
  readonly uncompensated?: ReadonlyArray<Uncompensated>
  /** Value of `--db` for the commands. */
  readonly db?: string
}

/** Returns the command that repeats a denied request, if a denial made the run fail. Resuming alone does not repeat it. */
export const retryDenied = (denied: Denied | undefined, db: string | undefined): ReadonlyArray<string> =>
  denied === undefined ? [] : [retryLine(db, denied.runId, denied.nodeId, denied.iteration)]

const retryLine = (db: string | undefined, runId: string, nodeId: string, iteration: number): string =>
  commandLine(db, "retry", [runId, nodeId], iteration === 0 ? [] : [["iteration", String(iteration)]])

/** Maximum number of failed nodes that are listed. */
const mostSoft = 5

/** Returns the failed nodes whose failure the workflow tolerates. Resuming the run does not retry them. */
const softlyFailed = (nodes: ReadonlyArray<NodeSummary>): ReadonlyArray<NodeSummary> => {
  const last = new Map(nodes.filter(({ isSoft }) => isSoft).map((node) => [node.nodeId, node]))
  return [...last.values()].filter(({ status }) => status === "failed").slice(0, mostSoft)
}

const softText = (softly: ReadonlyArray<NodeSummary>): string => {
  if (softly.length === 0) return ""
  const named = softly.map(({ nodeId, error }) => `"${nodeId}"${error === null ? "" : ` (${shorten(oneLine(text(error)), 200)})`}`)
  return ` ${named.join(", ")} ${softly.length === 1 ? "has" : "have"} failed as well, which the workflow tolerates. Resuming the run does not retry ${softly.length === 1 ? "it" : "them"}; "smithers retry" does.`
}

/** Explanation of a run's state. */
export interface Why {
  readonly reason: WhyReason
  readonly sentence: string
  readonly commands: ReadonlyArray<string>
  /** Requests to the people that the commands are for. */
  readonly requests: ReadonlyArray<WaitSummary>
}

/** Formats a wait as a list entry, with its approvers and its due time. */
export const waitLine = (wait: WaitSummary, now: number): string => {
  const { kind, request, name, deadline } = wait
  const approvers = approversOf(wait)
  const who = approvers.length === 0 ? "" : ` (approvers: ${oneOf(approvers)})`
  const when = !isOfTime(kind) || deadline === null ? "" : deadline <= now ? ", due now" : `, ${inTime(deadline, now)}`
  return `${waitText(kind, request, name ?? undefined)}${who}${when}`
}

const isOfTime = (kind: WaitSummary["kind"]): boolean => kind === "timer" || kind === "quota" || kind === "retry"

/**
 * Returns the commands that answer a wait. They carry the id of the request, so that they never decide on another one. Values for a
 * person to fill in are in capitals.
 */
export const commandsFor = (wait: WaitSummary, db: string | undefined): ReadonlyArray<string> => {
  const about: ReadonlyArray<Option> = [
    ["iteration", String(wait.iteration)],
    ...(wait.requestId === null ? [] : [["request", wait.requestId] as const]),
  ]
  switch (wait.kind) {
    case "approval": {
      // The first approver stands for any of them.
      const by = approversOf(wait)
        .slice(0, 1)
        .map((name) => ["by", name] as const)
      const where: ReadonlyArray<Option> = [["node", wait.nodeId], ...about, ...by]
      const options = optionsIn(wait.request)
      const choose: ReadonlyArray<Option> =
        options === undefined ? [] : [["choose", options.length === 1 ? (options[0]?.key ?? "") : "KEY"]]
      return [commandLine(db, "approve", [wait.runId], [...where, ...choose]), commandLine(db, "deny", [wait.runId], where)]
    }
    case "human":
      return [commandLine(db, "answer", [wait.runId, wait.nodeId], [["value", "JSON"], ...about])]
    case "signal": {
      const correlation: ReadonlyArray<Option> = wait.correlation === null ? [] : [["correlation", wait.correlation]]
      return [commandLine(db, "signal", [wait.runId, wait.name ?? ""], [["data", "JSON"], ...correlation])]
    }
    case "subflow":
      return [commandLine(db, "why", [wait.name ?? ""])]
    case "timer":
    case "quota":
    case "retry":
      return []
  }
}

/** Formats the request of a wait in full, and the commands that answer it. */
export const askLines = (wait: WaitSummary, db: string | undefined): ReadonlyArray<string> => [
  ...questionLines(wait),
  ...(wait.refused === null ? [] : [`${oneLine(refusedText(wait.nodeId, wait.refused))}.`]),
  ...commandsFor(wait, db),
]

/** Formats a slot that is waited for as a list entry. */
export const slotLine = ({ before, ...queue }: SlotWait): string =>
  `a slot of ${Limits.nameOf(queue)}, ${before === 0 ? "none" : before} before it`

/** Formats what a step or a call of its agent waits for. */
const slotText = (slot: SlotWait): string => `"${slot.nodeId}" waits for ${slotLine(slot)}`

/** Formats slots that are waited for as list entries. */
export const slotLines = (slots: ReadonlyArray<SlotWait>): ReadonlyArray<string> => {
  const shown = slots.slice(0, mostWaits).map((slot) => `${oneLine(slotText(slot))}.`)
  return slots.length <= mostWaits ? shown : [...shown, `And ${plural(slots.length - mostWaits, "other")}.`]
}

/** Maximum number of waits that are shown. */
const mostWaits = 20

/** Formats waits as list entries, each with its request and the commands that answer it. `hint` is the command that shows all. */
export const waitLines = (
  waits: ReadonlyArray<WaitSummary>,
  now: number,
  db: string | undefined,
  hint: string,
): ReadonlyArray<string> => {
  const lines = waits
    .slice(0, mostWaits)
    .flatMap((wait) => [
      `  ${oneLine(nameOf(wait.nodeId))}: ${waitLine(wait, now)}`,
      ...askLines(wait, db).map((line) => `      ${line}`),
    ])
  return waits.length <= mostWaits ? lines : [...lines, `  and ${plural(waits.length - mostWaits, "other wait")}: ${hint}`]
}

/** Formats a time relative to now. */
const inTime = (at: number, now: number): string => (at <= now ? "now" : `in ${span(at - now)}`)

export const why = (known: Known): Why => {
  const found = reasonOf(known)
  const requests = known.waits.filter(
    (wait) => wait.requestId !== null && commandsFor(wait, known.db).some((command) => found.commands.includes(command)),
  )
  const { run, deadline, cancel } = known.details
  const isOpen = run.finishedAt === null
  const due = isOpen && deadline !== undefined && cancel === null ? [` Its deadline is ${inTime(deadline, known.now)}.`] : []
  const said = isOpen ? [...due, ...untaken(known).map((sentence) => ` ${ended(sentence)}`)] : []
  return { ...found, sentence: oneLine(`${ended(found.sentence)}${said.join("")}${strays(known.details)}`), requests }
}

/** Formats the unmatched signals and the refused answers of a run as sentences. */
const untaken = ({ details, signals = [], waits }: Known): ReadonlyArray<string> => {
  const kept = keptText(details.run.runId, signals, waits)
  const answers = waits.flatMap(({ nodeId, refused, isAnswered }) =>
    refused === null || isAnswered ? [] : [refusedText(nodeId, refused)],
  )
  return [...(kept === "" ? [] : [kept]), ...answers]
}

const refusedText = (nodeId: string, issues: ReadonlyArray<string>): string =>
  `The last answer to "${nodeId}" was refused: ${shorten(oneLine(issues.join("; ")), 300)}`

const ended = (sentence: string): string => (/[.?!]$/.test(sentence) ? sentence : `${sentence}.`)

/** Delay of a retry, in milliseconds, after which the supervisor counts as gone. */
const lateMs = 30_000

/** Formats the code that a run is at work with: its generation, its digest and its age. */
export const codeText = (generations: RunDetails["generations"], now: number): string | undefined => {
  const last = generations?.at(-1)
  if (last === undefined) return undefined
  const { generation, code, at } = last
  const which = code === null ? "not watched" : `${code.hash.slice(0, 12)}, ${plural(code.files.length, "file")}`
  return `generation ${generation} (${which}), for ${span(now - at)}`
}

/** Formats the failed attempts to resume a run, and the time of the next one. */
export const triedText = ({ since, failureCount, retryAt }: Stuck, now: number): string => {
  const tried = `${plural(failureCount, "attempt")} to resume it failed in ${span(now - since)}`
  if (retryAt < now - lateMs) return `${tried}. The next one is overdue by ${span(now - retryAt)}; is a supervisor running?`
  return `${tried}. The next one is due ${inTime(retryAt, now)}, or soon after its files change.`
}

const reasonOf = ({ details, waits, now, isOwnerAlive, uncompensated, denied, db }: Known): Omit<Why, "requests"> => {
  const { run, nodes, failure, hasPendingCommands, cancel } = details
  const { runId } = run
  const it = `Run ${runId}`
  const resume = resumeLineOf(db, run)
  // A supervisor skips a run whose workflow file is not known.
  const supervise = run.source === null ? [] : [commandLine(db, "supervise")]
  const left = shorten(uncompensatedMessage(uncompensated), longestFailure)
  const isOwned = run.owner !== null && isOwnerAlive
  // An answered wait only needs the run to resume.
  const open = waits
    .filter(({ isAnswered }) => !isAnswered)
    .sort((left, right) => urgency(left) - urgency(right) || left.since - right.since)
  const [wait] = open
  if (run.stuck !== null && !isOwned) {
    const also = wait === undefined ? "" : ` It also waits for ${awaited(wait, runId)}.`
    return {
      reason: "stuck",
      sentence: `${it} ${cancel === null ? "" : "is being cancelled and "}cannot be resumed: ${ended(shorten(oneLine(run.stuck.error.message), 500))} ${triedText(run.stuck, now)}${also}`,
      commands: [resume, ...supervise, ...(wait === undefined ? [] : commandsFor(wait, db))],
    }
  }
  if (cancel !== null && run.finishedAt === null) {
    const passed =
      cancel.deadline === undefined ? undefined : `its deadline, ${new Date(cancel.deadline).toISOString()}, has passed`
    const reason = passed ?? cancel.reason
    const why = reason === null ? "" : ` (${shorten(oneLine(reason), 200)})`
    if (isOwned) {
      const busy = nodes.find(({ kind, status }) => kind === "step" && status === "running")
      const at = busy === undefined ? "" : `, and runs "${busy.nodeId}"`
      const sentence = `${it} is being cancelled${why}${at}`
      return { reason: "cancelling", sentence, commands: [commandLine(db, "logs", [runId], ["follow"])] }
    }
    const sentence = `${it} is being cancelled${why}: no process works on it, and it must undo or end steps first`
    return { reason: "cancelling", sentence, commands: [cancelLine(db, runId), commandLine(db, "supervise")] }
  }
  switch (run.status) {
    case "continued": {
      const { continuedAs = runId } = run
      return {
        reason: "continued",
        sentence: `${it} goes on as run ${continuedAs}`,
        commands: [commandLine(db, "why", [continuedAs])],
      }
    }
    case "finished":
      return {
        reason: "finished",
        sentence: `${it} has finished${alsoExhausted(nodes)}`,
        commands: [commandLine(db, "output", [runId])],
      }
    case "cancelled":
      return {
        reason: "cancelled",
        sentence: `${it} was cancelled. --uncancel reverts that, and runs again what was undone.${left}`,
        commands: [uncancelLine(db, runId)],
      }
    case "failed": {
      const said = failure === null ? "" : `: ${shorten(oneLine(failure.message), longestFailure)}`
      const softly = softlyFailed(nodes)
      const retries = softly.map(({ nodeId, iteration }) => retryLine(db, runId, nodeId, iteration))
      return {
        reason: "failed",
        sentence: `${ended(`${it} has failed${said}`)}${softText(softly)}`,
        commands: [...retryDenied(denied, db), resume, ...retries],
      }
    }
    case "paused":
      if (hasPendingCommands && !isOwned) {
        return {
          reason: "pending-command",
          sentence: `${it} is paused, and has a pending command${leavingText(details)}: it continues once it is unpaused.`,
          commands: [commandLine(db, "unpause", [runId]), resume, ...supervise],
        }
      }
      return {
        reason: "paused",
        sentence: `${it} is paused. It continues once it is unpaused.`,
        commands: [commandLine(db, "unpause", [runId])],
      }
    default:
  }
  if (isOwned && run.leaseUntil !== null && run.leaseUntil <= now) {
    const since = new Date(run.leaseUntil).toISOString()
    return {
      reason: "store-unavailable",
      sentence: `The process that works on run ${runId} is alive but cannot renew its lease, which expired at ${since}. The database is locked or full, or the process is stopped. Its finished steps are in memory, and are stored once it can write.`,
      commands: [commandLine(db, "db check")],
    }
  }
  const active = nodes.filter((node) => node.kind === "step" && (node.status === "running" || node.status === "retrying"))
  const { slots = [] } = details
  const [slot] = slots
  // A run that was released with its places is due once one of them has a slot.
  const isQueued = run.status === "waiting-quota" && (wait === undefined || isOfTime(wait.kind)) && !hasPendingCommands
  if (slot !== undefined && (isOwned || isQueued)) {
    const isWaiting = ({ nodeId, iteration }: NodeSummary): boolean =>
      slots.some((one) => one.nodeId === nodeId && one.iteration === iteration)
    const busy = active.find((node) => node.status === "running" && !isWaiting(node))
    const others = slots.length === 1 ? "" : `, and so ${slots.length === 2 ? "does" : "do"} ${plural(slots.length - 1, "other")}`
    const also = busy === undefined ? "" : `; "${busy.nodeId}" runs`
    return {
      reason: "slot",
      sentence: `${it}: ${slotText(slot)}, for ${span(now - slot.since)} now${others}${also}${isOwned ? "" : "; it has to be resumed then"}`,
      commands: [commandLine(db, "limit list"), ...(isOwned ? [] : [...supervise, resume])],
    }
  }
  if (isOwned && active.length > 0) {
    const running = active.filter((node) => node.status === "running")
    const [first] = running
    if (first !== undefined) {
      const others = running.length === 1 ? "" : ` and ${plural(running.length - 1, "other step")}`
      const since = first.startedAt === null ? "" : ` for ${span(now - first.startedAt)}`
      const also = open[0] === undefined ? "" : `, and waits for ${awaited(open[0], runId)}`
      return {
        reason: "running",
        sentence: `${it} runs "${first.nodeId}" (attempt ${first.attempt}${since})${others}${also}`,
        commands: open[0] === undefined ? [commandLine(db, "logs", [runId], ["follow"])] : commandsFor(open[0], db),
      }
    }
    return { reason: "retrying", sentence: `${again(it, active, now)}.`, commands: [commandLine(db, "logs", [runId], ["follow"])] }
  }
  if (!isOwned && (run.owner !== null || run.status === "orphaned")) {
    const also = wait === undefined ? "" : ` It also waits for ${awaited(wait, runId)}`
    const paused = run.isPaused ? " It is also paused, and continues once it is unpaused." : ""
    return {
      reason: "orphaned",
      sentence: `No process works on run ${runId}: its process has died.${paused}${also}`,
      commands: [
        ...(run.isPaused ? [commandLine(db, "unpause", [runId])] : []),
        resume,
        commandLine(db, "supervise"),
        ...(wait === undefined ? [] : commandsFor(wait, db)),
      ],
    }
  }
  if (hasPendingCommands && !isOwned) {
    const also = wait === undefined ? "" : `; it also waits for ${awaited(wait, runId)}`
    return {
      reason: "pending-command",
      sentence: `${it} has a pending command, and no process works on it${leavingText(details)}${also}`,
      commands: [resume, ...supervise, ...(wait === undefined ? [] : commandsFor(wait, db))],
    }
  }
  if (wait !== undefined && (active.length === 0 || Status.isWaiting(run.status))) {
    const others = open.length === 1 ? "" : `, and for ${plural(open.length - 1, "other event")}`
    const left =
      wait.deadline === null ? "" : wait.deadline <= now ? " (its time has expired)" : ` (${span(wait.deadline - now)} left)`
    const needs = isOwned ? "" : "; it has to be resumed then"
    if (wait.kind === "retry" && wait.runId === runId) {
      return {
        reason: "retrying",
        sentence: `${again(it, active, now)}${others}${needs}.`,
        commands: isOwned ? [] : [...supervise, resume],
      }
    }
    if (wait.kind === "timer") {
      const time = inTime(wait.deadline ?? now, now)
      return {
        reason: "timer",
        sentence: `${it} waits for a time: ${scopeOfTimeout(wait.nodeId) === undefined && wait.nodeId !== startId ? `"${wait.nodeId}"` : timeName(wait.nodeId)} is due ${time}${others}${needs}.`,
        commands: isOwned ? [] : [...supervise, resume],
      }
    }
    const then = isOwned ? [] : [resume]
    return {
      reason: wait.kind,
      sentence: `${it} has waited ${span(now - wait.since)} for ${awaited(wait, runId)}${left}${others}`,
      commands: [...commandsFor(wait, db), ...then],
    }
  }
  if (isOwned) {
    return {
      reason: "running",
      sentence: `A process works on run ${runId}.`,
      commands: [commandLine(db, "logs", [runId], ["follow"])],
    }
  }
  return {
    reason: "suspended",
    sentence: `${it} was stopped, and no process works on it. Finished steps are stored.`,
    commands: [resume, ...supervise],
  }
}

/** Maximum number of scopes that are listed. */
const mostLeaving = 3

/** Formats the pending requests to leave scopes. */
const leavingText = ({ leaving }: Pick<RunDetails, "leaving">): string => {
  if (leaving.length === 0) return ""
  const named = leaving.slice(0, mostLeaving).map((one) => `"${one.nodeId}" is ${askedText(one)}`)
  const more = leaving.length > mostLeaving ? [`${leaving.length - mostLeaving} more`] : []
  return ` (${[...named, ...more].join("; ")})`
}

/** Formats the next retry with its time and reason, as a sentence without its end. */
const again = (it: string, active: ReadonlyArray<NodeSummary>, now: number): string => {
  const next = active.reduce((least, node) => ((node.retryAt ?? 0) < (least.retryAt ?? 0) ? node : least))
  const error = next.error === null ? "" : ` after ${shorten(oneLine(text(next.error)), longestFailure)}`
  return `${it} retries "${next.nodeId}" ${inTime(next.retryAt ?? now, now)}${error} (${plural(next.attempt, "attempt")} so far)`
}

/** Formats the loops that reached `maxIterations` without their `until`, as the end of a sentence. */
const alsoExhausted = (nodes: ReadonlyArray<NodeSummary>): string => {
  const said = exhausted(nodes)
  return said === undefined ? "" : `, but ${said}`
}

/** Formats the reads that found no task, as further sentences. */
export const strays = ({ strayReads = [] }: Pick<RunDetails, "strayReads">): string =>
  strayReads.map((read) => ` But ${strayReadMessage(read)}${read.suggestion === undefined ? "." : ""}`).join("")

/** Formats the exhausted loops as a sentence; `undefined` if there are none. */
export const exhausted = (nodes: ReadonlyArray<NodeSummary>): string | undefined => {
  const loops = nodes.filter((node) => node.isExhausted === true)
  const [first] = loops
  if (first === undefined) return undefined
  const passes = `reached maxIterations (${first.passes}) before its "until" held`
  const others = loops.length === 1 ? "" : `, and so did ${plural(loops.length - 1, "other")}`
  return `loop "${first.nodeId}" ${passes}${others}`
}

/** Names the time of a timer, or the timeout of a scope. */
const timeName = (nodeId: string): string => {
  if (nodeId === startId) return "its start"
  const scope = scopeOfTimeout(nodeId)
  return scope === undefined ? `the timer "${nodeId}"` : `the timeout of "${scope}"`
}

/** Names the event that a wait is for, as the end of a sentence. */
const awaited = (wait: WaitSummary, runId: string): string => {
  const { kind, nodeId, request, name } = wait
  const inside = wait.runId === runId ? "" : ` in child run ${wait.runId}`
  const title = titleOf(request)
  const said = title === undefined ? "" : `: ${shorten(oneLine(title), 200)}`
  const approvers = approversOf(wait)
  switch (kind) {
    case "approval":
      return `the approval of "${nodeId}"${inside}${approvers.length === 0 ? "" : ` by ${oneOf(approvers)}`}${said}`
    case "human":
      return `an answer to "${nodeId}"${inside}${said}`
    case "signal":
      return `the signal ${signalText(wait)} at "${nodeId}"${inside}`
    case "subflow":
      return `its child run ${name ?? ""} at "${nodeId}"${inside}`
    case "timer":
      return `${timeName(nodeId)}${inside}`
    case "quota":
      return `a limit of the agent of "${nodeId}" to pass${inside}${said}`
    case "retry":
      return `the next attempt of "${nodeId}"${inside}`
  }
}

/** Order of waits: those of people first, since timers, limits and retries need no one. */
const urgency = ({ kind }: WaitSummary): number =>
  ["approval", "human", "signal", "subflow", "quota", "timer", "retry"].indexOf(kind)
