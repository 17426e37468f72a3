/**
 * Why a run is not done: one sentence, and the commands that bring it on. A plain function of what the store knows.
 */
import { text } from "@smithers/core/ErrorInfo"
import { notUndone, type Uncompensated } from "@smithers/core/Errors"
import { scopeOfTimeout } from "@smithers/core/Ids"
import type { Signal } from "@smithers/core/Records"
import { sayStray } from "@smithers/core/RunEvent"
import type { Stuck } from "@smithers/core/RunOwnership"
import type { NodeSummary, RunDetails, WaitSummary } from "@smithers/core/RunReader"
import * as Status from "@smithers/core/Status"
import { cancelLine, commandLine, type Option, resumeLine, uncancelLine } from "./CommandLine.ts"
import type { Denied } from "./Denials.ts"
import type { WhyReason } from "./Output.ts"
import { askedText, nameOf } from "./Parts.ts"
import { titleOf, waitText } from "./Progress.ts"
import { approversOf, oneOf, questionLines } from "./Question.ts"
import { keptText, signalText } from "./Signalled.ts"
import { longestFailure, oneLine, plural, shorten, span } from "./Text.ts"

/** What is known of a run. */
export interface Known {
  readonly details: RunDetails
  /** What it waits for, its child runs included. */
  readonly waits: ReadonlyArray<WaitSummary>
  readonly now: number
  /** Whether the process that works on it is there, where it has one. */
  readonly isOwnerAlive: boolean
  /** Signals that nobody has taken. */
  readonly signals?: ReadonlyArray<Signal>
  /** The denial that it has failed by. */
  readonly denied?: Denied | undefined
  /** What it could not undo. */
  readonly uncompensated?: ReadonlyArray<Uncompensated>
  /** Options to name its database by, for the commands. */
  readonly db?: string
}

/** The command that asks again for what was denied, where a run has failed by that: resuming it alone does not. */
export const retryDenied = (denied: Denied | undefined, db: string | undefined): ReadonlyArray<string> =>
  denied === undefined ? [] : [retryLine(db, denied.runId, denied.nodeId, denied.iteration)]

const retryLine = (db: string | undefined, runId: string, nodeId: string, iteration: number): string =>
  commandLine(db, "retry", [runId, nodeId], iteration === 0 ? [] : [["iteration", String(iteration)]])

/** Nodes that are named at most. */
const mostSoft = 5

/** The nodes of a run whose failure it tolerates: resuming it leaves them as they are. */
const softlyFailed = (nodes: ReadonlyArray<NodeSummary>): ReadonlyArray<NodeSummary> => {
  const last = new Map(nodes.filter(({ isSoft }) => isSoft).map((node) => [node.nodeId, node]))
  return [...last.values()].filter(({ status }) => status === "failed").slice(0, mostSoft)
}

const softText = (softly: ReadonlyArray<NodeSummary>): string => {
  if (softly.length === 0) return ""
  const named = softly.map(({ nodeId, error }) => `"${nodeId}"${error === null ? "" : ` (${shorten(oneLine(text(error)), 200)})`}`)
  return ` ${named.join(", ")} ${softly.length === 1 ? "has" : "have"} failed as well, which the workflow tolerates: resuming the run does not run that again, and "smithers retry" does.`
}

/** Why a run is where it is. */
export interface Why {
  readonly reason: WhyReason
  readonly sentence: string
  readonly commands: ReadonlyArray<string>
  /** What persons are asked whom the commands are for. */
  readonly asks: ReadonlyArray<WaitSummary>
}

/** What is waited for, as a line of a list: whose it is to decide, and when a time comes. */
export const waitLine = (wait: WaitSummary, now: number): string => {
  const { kind, request, name, deadline } = wait
  const approvers = approversOf(wait)
  const who = approvers.length === 0 ? "" : ` (for ${oneOf(approvers)} to decide)`
  const when = !isOfTime(kind) || deadline === null ? "" : deadline <= now ? ", which has come" : `, ${inTime(deadline, now)}`
  return `${waitText(kind, request, name ?? undefined)}${who}${when}`
}

const isOfTime = (kind: WaitSummary["kind"]): boolean => kind === "timer" || kind === "retry"

/**
 * The commands that answer a wait. They name the very request that they are printed with, so that they decide on nothing else, whoever runs them
 * and when. Values for a person to fill in are in capitals.
 */
export const commandsFor = (wait: WaitSummary, db: string | undefined): ReadonlyArray<string> => {
  const about: ReadonlyArray<Option> = [
    ["iteration", String(wait.iteration)],
    ...(wait.requestId === null ? [] : [["request", wait.requestId] as const]),
  ]
  switch (wait.kind) {
    case "approval": {
      // One of those who may decide stands for whoever does.
      const by = approversOf(wait)
        .slice(0, 1)
        .map((name) => ["by", name] as const)
      const where: ReadonlyArray<Option> = [["node", wait.nodeId], ...about, ...by]
      return [commandLine(db, "approve", [wait.runId], where), commandLine(db, "deny", [wait.runId], where)]
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
    case "retry":
      return []
  }
}

/** What a wait asks of a person, whole, and the commands that answer it. */
export const askLines = (wait: WaitSummary, db: string | undefined): ReadonlyArray<string> => [
  ...questionLines(wait),
  ...(wait.refused === null ? [] : [`${oneLine(refusedText(wait.nodeId, wait.refused))}.`]),
  ...commandsFor(wait, db),
]

/** Waits that are shown at most. */
const mostWaits = 20

/** Waits as lines of a list, with what each asks, and the commands that answer it. `hint` is the command that shows all. */
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
  return waits.length <= mostWaits ? lines : [...lines, `  and ${plural(waits.length - mostWaits, "other thing")}: ${hint}`]
}

/** How long after, or before, now. */
const inTime = (at: number, now: number): string => (at <= now ? "now" : `in ${span(at - now)}`)

/** Says why. */
export const why = (known: Known): Why => {
  const found = reasonOf(known)
  const asks = known.waits.filter(
    (wait) => wait.requestId !== null && commandsFor(wait, known.db).some((command) => found.commands.includes(command)),
  )
  const said = known.details.run.finishedAt === null ? untaken(known).map((sentence) => ` ${ended(sentence)}`) : []
  return { ...found, sentence: oneLine(`${ended(found.sentence)}${said.join("")}${strays(known.details)}`), asks }
}

/** What was said to a run that has come to nothing so far, as sentences. */
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

/** How late a supervisor may be, in milliseconds, before it is taken to be gone. */
const lateMs = 30_000

/** How often a run was tried in vain, and when it is tried again. */
export const triedText = ({ since, tries, again }: Stuck, now: number): string => {
  const tried = `It was tried ${plural(tries, "time")} in ${span(now - since)}`
  if (again < now - lateMs) return `${tried}, and nobody has tried it since ${span(now - again)}.`
  return `${tried}, and is tried again ${inTime(again, now)}, or soon after its files have changed.`
}

const reasonOf = ({ details, waits, now, isOwnerAlive, uncompensated, denied, db }: Known): Omit<Why, "asks"> => {
  const { run, nodes, failure, hasPendingCommands, cancel } = details
  const { runId } = run
  const it = `Run ${runId}`
  const resume = resumeLine(db, runId)
  const left = shorten(notUndone(uncompensated), longestFailure)
  const isOwned = run.owner !== null && isOwnerAlive
  // What was answered only waits to be taken up.
  const open = waits
    .filter(({ isAnswered }) => !isAnswered)
    .sort((left, right) => urgency(left) - urgency(right) || left.since - right.since)
  const [wait] = open
  if (run.stuck !== null && !isOwned) {
    const also = wait === undefined ? "" : ` It also waits for ${awaited(wait, runId)}.`
    return {
      reason: "stuck",
      sentence: `${it} ${cancel === null ? "" : "is to be cancelled, and "}cannot be resumed: ${ended(shorten(oneLine(run.stuck.error.message), 500))} ${triedText(run.stuck, now)}${also}`,
      commands: [resume, commandLine(db, "supervise"), ...(wait === undefined ? [] : commandsFor(wait, db))],
    }
  }
  if (cancel !== null && run.finishedAt === null) {
    const why = cancel.reason === null ? "" : ` (${shorten(oneLine(cancel.reason), 200)})`
    if (isOwned) {
      const busy = nodes.find(({ kind, status }) => kind === "step" && status === "running")
      const at = busy === undefined ? "" : `, and is at work on "${busy.nodeId}"`
      const sentence = `${it} is being cancelled${why}${at}`
      return { reason: "cancelling", sentence, commands: [commandLine(db, "logs", [runId], ["follow"])] }
    }
    const sentence = `${it} is to be cancelled${why}: nobody works on it, and something in it is to be undone or ended first`
    return { reason: "cancelling", sentence, commands: [cancelLine(db, runId), commandLine(db, "supervise")] }
  }
  switch (run.status) {
    case "finished":
      return {
        reason: "finished",
        sentence: `${it} has finished${alsoExhausted(nodes)}`,
        commands: [commandLine(db, "output", [runId])],
      }
    case "cancelled":
      return {
        reason: "cancelled",
        sentence: `${it} was cancelled; --uncancel takes that back, and does again what was undone.${left}`,
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
          reason: "told",
          sentence: `${it} is paused, and was told something that it has not heard${leavingText(details)}: it goes on once it is unpaused.`,
          commands: [commandLine(db, "unpause", [runId]), resume, commandLine(db, "supervise")],
        }
      }
      return {
        reason: "paused",
        sentence: `${it} was paused and goes on when it is told to.`,
        commands: [commandLine(db, "unpause", [runId])],
      }
    default:
  }
  if (isOwned && run.leaseUntil !== null && run.leaseUntil <= now) {
    const since = new Date(run.leaseUntil).toISOString()
    return {
      reason: "store-unavailable",
      sentence: `The store is unavailable to the process that works on run ${runId}: that process lives, and has not renewed its lease, which ended at ${since}. The database is locked or full, or the process is stopped; what it has finished is in its memory and is stored once it can write.`,
      commands: [commandLine(db, "db check")],
    }
  }
  const active = nodes.filter((node) => node.kind === "step" && (node.status === "running" || node.status === "retrying"))
  if (isOwned && active.length > 0) {
    const running = active.filter((node) => node.status === "running")
    const [first] = running
    if (first !== undefined) {
      const others = running.length === 1 ? "" : ` and ${plural(running.length - 1, "other step")}`
      const since = first.startedAt === null ? "" : ` for ${span(now - first.startedAt)}`
      const also = open[0] === undefined ? "" : `, and waits for ${awaited(open[0], runId)}`
      return {
        reason: "running",
        sentence: `${it} is at work on "${first.nodeId}" (attempt ${first.attempt}${since})${others}${also}`,
        commands: open[0] === undefined ? [commandLine(db, "logs", [runId], ["follow"])] : commandsFor(open[0], db),
      }
    }
    return { reason: "retrying", sentence: `${again(it, active, now)}.`, commands: [commandLine(db, "logs", [runId], ["follow"])] }
  }
  if (!isOwned && (run.owner !== null || run.status === "orphaned")) {
    const also = wait === undefined ? "" : ` It also waits for ${awaited(wait, runId)}`
    const paused = run.isPaused ? " It was paused, too, and goes on once that is over." : ""
    return {
      reason: "orphaned",
      sentence: `${it} is not worked on: the process that had it is gone.${paused}${also}`,
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
      reason: "told",
      sentence: `${it} was told something that nobody has taken up yet${leavingText(details)}${also}`,
      commands: [resume, commandLine(db, "supervise"), ...(wait === undefined ? [] : commandsFor(wait, db))],
    }
  }
  if (wait !== undefined && (active.length === 0 || Status.isWaiting(run.status))) {
    const others = open.length === 1 ? "" : `, and for ${plural(open.length - 1, "other thing")}`
    const left = wait.deadline === null ? "" : wait.deadline <= now ? " (its time is over)" : ` (${span(wait.deadline - now)} left)`
    const needs = isOwned ? "" : "; somebody has to resume it then"
    if (wait.kind === "retry" && wait.runId === runId) {
      return {
        reason: "retrying",
        sentence: `${again(it, active, now)}${others}${needs}.`,
        commands: isOwned ? [] : [commandLine(db, "supervise"), resume],
      }
    }
    if (wait.kind === "timer") {
      const time = inTime(wait.deadline ?? now, now)
      return {
        reason: "timer",
        sentence: `${it} waits for a time: ${scopeOfTimeout(wait.nodeId) === undefined ? `"${wait.nodeId}"` : timeName(wait.nodeId)} is due ${time}${others}${needs}.`,
        commands: isOwned ? [] : [commandLine(db, "supervise"), resume],
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
    return { reason: "running", sentence: `${it} is being worked on.`, commands: [commandLine(db, "logs", [runId], ["follow"])] }
  }
  return {
    reason: "suspended",
    sentence: `${it} was stopped and is not worked on; nothing that is done is lost.`,
    commands: [resume, commandLine(db, "supervise")],
  }
}

/** Scopes that are named at most. */
const mostLeaving = 3

/** The scopes that a run is told to leave, and has not heard of. */
const leavingText = ({ leaving }: Pick<RunDetails, "leaving">): string => {
  if (leaving.length === 0) return ""
  const named = leaving.slice(0, mostLeaving).map((one) => `"${one.nodeId}" is ${askedText(one)}`)
  const more = leaving.length > mostLeaving ? [`${leaving.length - mostLeaving} more`] : []
  return ` (${[...named, ...more].join("; ")})`
}

/** Which step is tried again next, when, and why, as a sentence without its end. */
const again = (it: string, active: ReadonlyArray<NodeSummary>, now: number): string => {
  const next = active.reduce((least, node) => ((node.retryAt ?? 0) < (least.retryAt ?? 0) ? node : least))
  const error = next.error === null ? "" : ` after ${shorten(oneLine(text(next.error)), longestFailure)}`
  return `${it} tries "${next.nodeId}" again ${inTime(next.retryAt ?? now, now)}${error} (${plural(next.attempt, "attempt")} so far)`
}

/** The loops that made all their passes without their `until` holding, as the end of a sentence. */
const alsoExhausted = (nodes: ReadonlyArray<NodeSummary>): string => {
  const said = exhausted(nodes)
  return said === undefined ? "" : `, but ${said}`
}

/** What the run read in vain, as sentences that follow another. */
export const strays = ({ strayReads = [] }: Pick<RunDetails, "strayReads">): string =>
  strayReads.map((read) => ` But ${sayStray(read)}${read.meant === undefined ? "." : ""}`).join("")

/** The same as a sentence of its own; `undefined` where there is none. */
export const exhausted = (nodes: ReadonlyArray<NodeSummary>): string | undefined => {
  const loops = nodes.filter((node) => node.isExhausted === true)
  const [first] = loops
  if (first === undefined) return undefined
  const passes = `made ${first.passes === 1 ? "its one pass" : `all its ${first.passes} passes`} (maxIterations) without its "until" holding`
  const others = loops.length === 1 ? "" : `, and so did ${plural(loops.length - 1, "other")}`
  return `loop "${first.nodeId}" ${passes}${others}`
}

/** The time that a timer, or a scope, waits for. */
const timeName = (nodeId: string): string => {
  const scope = scopeOfTimeout(nodeId)
  return scope === undefined ? `the time of "${nodeId}"` : `the timeout of "${scope}"`
}

/** What a wait is for, as the end of a sentence. */
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
    case "retry":
      return `the next attempt of "${nodeId}"${inside}`
  }
}

/** People first: a timer and a retry need nobody. */
const urgency = ({ kind }: WaitSummary): number => ["approval", "human", "signal", "subflow", "timer", "retry"].indexOf(kind)
