/**
 * A run as it goes on: what each event says to a person, and what the nodes of the run are doing after it. Plain functions of events.
 */
import { type ErrorInfo, text, whyNotRetried } from "@smithers/core/ErrorInfo"
import { uncompensatedMessage, withdrawalReasons } from "@smithers/core/Errors"
import { type NodeId, type NodeKey, nodeKey } from "@smithers/core/Ids"
import type { LoggedEvent, NodeSummary, WaitSummary } from "@smithers/core/RunReader"
import type { StepStatus } from "@smithers/core/Status"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import { askedText, leftText, nameOf } from "./Parts.ts"
import { clock, longestFailure, oneLine, plural, shorten, span } from "./Text.ts"

/** A node in one iteration, as it is shown. */
export interface ShownNode {
  readonly nodeId: string
  readonly iteration: number
  readonly status: Exclude<StepStatus, "withdrawn" | "superseded">
  readonly attempt: number
  /** Nodes that were there when it came. */
  readonly order: number
  /** Epoch ms since when it has been as it is. */
  readonly since: number
  readonly retryAt: number | undefined
  /** The target of its wait, in words. */
  readonly waitsFor: string | undefined
  readonly deadline: number | undefined
  readonly error: string | undefined
}

/**
 * The progress of a run: its nodes by key. Finished nodes are kept apart, so that an event and a picture cost the same however many steps
 * came before. Persistent.
 */
export interface Progress {
  readonly createdAt: number
  readonly active: HashMap.HashMap<NodeKey, ShownNode>
  /** Nodes that are finished or skipped. */
  readonly done: HashMap.HashMap<NodeKey, ShownNode>
  /** The latest pass of each loop, from 0, and the iteration of the nodes in it. */
  readonly passes: HashMap.HashMap<NodeId, { readonly pass: number; readonly iteration: number }>
}

/** A run of which nothing is known yet. */
export const begin = (createdAt: number): Progress => ({
  createdAt,
  active: HashMap.empty(),
  done: HashMap.empty(),
  passes: HashMap.empty(),
})

/** Nodes that have come so far. */
export const size = ({ active, done }: Progress): number => HashMap.size(active) + HashMap.size(done)

/** Stores the state of a node. */
const put = (progress: Progress, key: NodeKey, node: ShownNode): Progress =>
  node.status === "finished" || node.status === "skipped"
    ? { ...progress, active: HashMap.remove(progress.active, key), done: HashMap.set(progress.done, key, node) }
    : { ...progress, active: HashMap.set(progress.active, key, node), done: HashMap.remove(progress.done, key) }

/** A node that is not shown, until it begins again. */
const drop = (progress: Progress, key: NodeKey): Progress => ({
  ...progress,
  active: HashMap.remove(progress.active, key),
  done: HashMap.remove(progress.done, key),
})

/** The status of a node as it is shown. A decided or answered node waits until its run has read the decision. */
const statusOf = ({ status }: NodeSummary): ShownNode["status"] =>
  status === "decided" || status === "answered" ? "waiting" : (status as ShownNode["status"])

/** Makes the progress of a run from its stored rows. */
export const resume = (createdAt: number, nodes: ReadonlyArray<NodeSummary>, waits: ReadonlyArray<WaitSummary>): Progress => {
  let progress = begin(createdAt)
  const waiting = new Map(waits.map((wait) => [nodeKey(wait.nodeId, wait.iteration), wait]))
  for (const node of nodes) {
    if (node.passes !== null && node.passes > 0)
      progress = {
        ...progress,
        passes: HashMap.set(progress.passes, node.nodeId, { pass: node.passes - 1, iteration: 0 }),
      }
    if (node.kind !== "step" || node.status === "withdrawn" || node.status === "superseded") continue
    const key = nodeKey(node.nodeId, node.iteration)
    const wait = statusOf(node) === "waiting" ? waiting.get(key) : undefined
    progress = put(progress, key, {
      nodeId: node.nodeId,
      iteration: node.iteration,
      status: statusOf(node),
      attempt: node.attempt,
      order: size(progress),
      since: node.startedAt ?? createdAt,
      retryAt: node.retryAt ?? undefined,
      waitsFor: wait === undefined ? undefined : waitText(wait.kind, wait.request, wait.name ?? undefined),
      deadline: wait?.deadline ?? undefined,
      error: node.error === null ? undefined : text(node.error),
    })
  }
  return progress
}

/** Describes the target of a wait. */
export const waitText = (kind: string, request: unknown, name: string | undefined): string => {
  const title = titleOf(request)
  const said = title === undefined ? "" : `: ${shorten(oneLine(title), 100)}`
  switch (kind) {
    case "approval":
      return `approval${said}`
    case "human":
      return `an answer${said}`
    case "signal":
      return `signal ${JSON.stringify(name ?? "")}`
    case "timer":
      return "its time"
    case "quota":
      return `a limit of its agent${said}`
    case "retry":
      return "its next attempt"
    case "subflow":
      return `child run ${name ?? ""}`
    default:
      return kind
  }
}

/** The words in a request that say most. */
export const titleOf = (request: unknown): string | undefined => {
  if (typeof request === "string") return request
  if (typeof request !== "object" || request === null) return undefined
  for (const key of ["title", "prompt", "question", "message", "summary"]) {
    const value = (request as { readonly [key: string]: unknown })[key]
    if (typeof value === "string" && value !== "") return value
  }
  return undefined
}

const loopEvents: ReadonlySet<string> = new Set(["LoopMounted", "LoopFinished"])

/** Folds an event into the progress of its run. */
export const apply = (progress: Progress, { event, at }: LoggedEvent): Progress => {
  if (event._tag === "LoopAdvanced") {
    const { nodeId, base, pass } = event
    return { ...progress, passes: HashMap.set(progress.passes, nodeId, { pass, iteration: base + pass }) }
  }
  if (!("nodeId" in event) || loopEvents.has(event._tag)) return progress
  const key = nodeKey(event.nodeId, event.iteration)
  if (event._tag === "NodeWithdrawn") return drop(progress, key)
  const before = Option.getOrUndefined(Option.orElse(HashMap.get(progress.active, key), () => HashMap.get(progress.done, key)))
  const base: ShownNode = {
    nodeId: event.nodeId,
    iteration: event.iteration,
    status: before?.status ?? "interrupted",
    attempt: before?.attempt ?? 0,
    order: before?.order ?? size(progress),
    since: at,
    retryAt: undefined,
    waitsFor: undefined,
    deadline: undefined,
    error: undefined,
  }
  const next = ((): ShownNode | undefined => {
    switch (event._tag) {
      case "AttemptStarted":
        return { ...base, status: "running", attempt: event.attempt }
      case "AttemptSucceeded":
        return { ...base, status: "finished" }
      case "AttemptFailed":
        return {
          ...base,
          status: event.retryAt === undefined ? "failed" : "retrying",
          retryAt: event.retryAt,
          error: text(event.error),
        }
      case "AttemptInterrupted":
      case "NodeReset":
        return { ...base, status: "interrupted" }
      case "NodeFailed":
        return { ...base, status: "failed", error: text(event.error) }
      case "NodeSkipped":
        return { ...base, status: "skipped" }
      case "WaitStarted":
        return { ...base, status: "waiting", waitsFor: waitText(event.kind, event.request, event.name), deadline: event.deadline }
      case "DeadlineMoved":
        return { ...base, deadline: event.deadline }
      case "WaitEnded":
        // The gate of a step that now begins.
        return { ...base, status: event.status === "passed" ? "running" : event.status }
      default:
        return undefined
    }
  })()
  return next === undefined ? progress : put(progress, key, next)
}

/** Characters of an error on a line: enough for a message and a few causes. */
const longestError = 600

/** An error with its causes, and why it is not retried. */
export const errorText = (error: ErrorInfo): string => {
  const why = whyNotRetried(error)
  return `${shorten(oneLine(text(error)), longestError)}${why === undefined ? "" : `; not retried, because ${why}`}`
}

/** Names of nodes, of many only the first. */
export const named = (names: ReadonlyArray<string>): string =>
  names.length > 5 ? `${names.slice(0, 4).join(", ")} and ${names.length - 4} more` : names.join(", ")

/** The attempt and the iteration of an event. */
interface AttemptName {
  readonly attempt?: number
  readonly iteration: number
}

/** The words for a place in a log: both, always. */
const fullLabel = ({ attempt, iteration }: AttemptName): string =>
  attempt === undefined ? ` (iteration ${iteration})` : ` (attempt ${attempt}, iteration ${iteration})`

/** The words for a place above a picture: only attempts after the first, and later iterations. */
const briefLabel = ({ attempt = 1, iteration }: AttemptName): string => {
  const words = [...(attempt > 1 ? [`attempt ${attempt}`] : []), ...(iteration > 0 ? [`iteration ${iteration}`] : [])]
  return words.length === 0 ? "" : ` (${words.join(", ")})`
}

/** The text of an event, without its time, on one line: ids and names may hold anything. */
export const describe = (logged: LoggedEvent): string => textOf(logged, fullLabel, nameOf)

const textOf = (logged: LoggedEvent, labelOf: (label: AttemptName) => string, named: (nodeId: NodeId) => string): string => {
  const { event } = logged
  const suffix = "nodeId" in event && "iteration" in event ? labelOf(event) : ""
  return oneLine(
    "nodeId" in event ? wordsOf({ ...logged, event: { ...event, nodeId: named(event.nodeId) } }, suffix) : wordsOf(logged, suffix),
  )
}

/** The origin of an output that was taken over. Events of an older version do not name the run. */
export const cachedText = (runId: string | undefined): string =>
  runId === undefined ? "from the cache" : `from the cache of run ${runId}`

const reloadedText = ({ codeGeneration }: { readonly codeGeneration: number }): string =>
  `⟳ Workflow reloaded (generation ${codeGeneration})`

const wordsOf = ({ event, at }: LoggedEvent, suffix: string): string => {
  switch (event._tag) {
    case "RunStarted":
      return `▶ ${event.workflow} started`
    case "RunResumed":
      return `▶ resumed: ${plural(event.kept, "node")} kept, ${event.added} new, ${event.removed} removed`
    case "CodeReloaded":
      return `${reloadedText(event)}: ${event.kept} kept, ${event.added} new, ${event.removed} gone`
    case "RunReverted": {
      const { to, commit, undoes, by } = event
      const what = undoes === undefined ? `to before ${to.nodeId} attempt ${to.attempt}` : "undone"
      return `↩ reverted ${what}${commit === undefined ? "" : ", with its files"}${by === undefined ? "" : ` by ${by}`}`
    }
    case "PlanChanged": {
      const parts = [
        event.mounted.length === 0 ? "" : `+ ${named(event.mounted)}`,
        event.unmounted.length === 0 ? "" : `- ${named(event.unmounted)}`,
        event.changed.length === 0 ? "" : `~ ${named(event.changed)}`,
      ]
      return `⟳ plan: ${parts.filter((part) => part !== "").join("  ") || "changed"}`
    }
    case "AttemptStarted":
      return `→ ${event.nodeId}${suffix}`
    case "AttemptSucceeded":
      return `✓ ${event.nodeId}${suffix}${event.isCached === true ? ` ${cachedText(event.cachedFrom)}` : ""}`
    case "AttemptFailed": {
      const then = event.retryAt === undefined ? "" : `; next attempt in ${span(event.retryAt - at)}`
      return `✗ ${event.nodeId}${suffix} ${errorText(event.error)}${then}`
    }
    case "AttemptInterrupted":
      return `■ ${event.nodeId}${suffix} interrupted: ${event.reason}`
    case "NodeFailed":
      return `✗ ${event.nodeId}${suffix} ${errorText(event.error)}`
    case "WaitStarted": {
      const until = event.deadline === undefined ? "" : `, for ${span(event.deadline - at)} at most`
      return `◦ ${event.nodeId}${suffix} waits for ${waitText(event.kind, event.request, event.name)}${event.kind === "timer" ? ` in ${span((event.deadline ?? at) - at)}` : until}`
    }
    case "DeadlineMoved":
      return `◦ ${event.nodeId}${suffix} waits on, for ${span(event.deadline - at)} at most, as its run was paused`
    case "ApprovalDecided": {
      const by = event.by === undefined ? "" : ` by ${oneLine(event.by)}`
      const note = event.note === undefined ? "" : `: ${shorten(oneLine(event.note), 200)}`
      const chosen = event.selected === undefined ? "" : `, with ${oneLine(event.selected)} selected`
      return `● ${event.nodeId}${suffix} ${event.approved ? "approved" : "denied"}${chosen}${by}${note}`
    }
    case "TaskAnswered":
      return `● ${event.nodeId}${suffix} answered${event.by === undefined ? "" : ` by ${oneLine(event.by)}`}`
    case "AnswerRefused":
      return `✗ ${event.nodeId}${suffix} the answer was refused: ${shorten(oneLine(event.issues.join("; ")), 300)}`
    case "SignalReceived":
      return `● signal ${JSON.stringify(event.name)}${event.correlation === undefined ? "" : ` (${oneLine(event.correlation)})`}`
    case "SignalRefused":
      return `✗ ${event.nodeId}${suffix} the signal was refused: ${shorten(oneLine(event.issues.join("; ")), 300)}`
    case "WaitEnded":
      return `${event.status === "failed" ? "✗" : "✓"} ${event.nodeId}${suffix} ${event.reason}${event.error === undefined ? "" : `: ${errorText(event.error)}`}`
    case "NodeSkipped":
      return `- ${event.nodeId}${suffix} skipped`
    case "NodeWithdrawn":
      return `- ${event.nodeId}${suffix} withdrawn: ${withdrawalReasons[event.reason]}`
    case "NodeReset":
      return `↻ ${event.nodeId}${suffix} is to run again`
    case "LoopAdvanced":
      return `↻ ${event.nodeId} pass ${event.pass + 1}`
    case "LoopMounted": {
      const { nodeId, initial, mounted, isOmitted } = event
      if (initial !== undefined) return `⟳ ${nodeId} has had ${named(initial)} in this pass`
      return isOmitted === true
        ? `- ${nodeId} leaves out ${named(mounted)}, which is new in this pass: its "until" holds`
        : `⟳ ${nodeId} has ${named(mounted)} as well in this pass`
    }
    case "LoopFinished":
      return event.reason === "until"
        ? `✓ ${event.nodeId} loop over (until)`
        : `■ ${event.nodeId} loop exhausted: all its passes are made (maxIterations), and its "until" does not hold`
    case "SubflowEnded":
      return `● ${event.nodeId}${suffix} child run ${event.status}${event.error === undefined ? "" : `: ${errorText(event.error)}`}`
    case "BoundaryStarted":
      return `▽ ${event.nodeId}${suffix} begun`
    case "LeaveRequested":
      return `● ${event.nodeId}${suffix} ${askedText(event)}`
    case "PartsDecided": {
      const { winners = [], isDecided } = event
      if (event.winners === undefined) return `● ${event.nodeId}${suffix} has enough items`
      if (isDecided === true && winners.length === 0) return `● ${event.nodeId}${suffix} is lost: no branch can win`
      return `● ${event.nodeId}${suffix} won by ${named(winners)}${isDecided === true ? "" : " so far"}`
    }
    case "BoundaryHalted":
      if (event.left !== undefined) return `■ ${event.nodeId}${suffix} ${leftText(event.left)}, as ${event.left.outcome}`
      return `■ ${event.nodeId}${suffix} ${event.isCaught ? "caught a failure" : "halted"}`
    case "BoundaryEnded":
      return `△ ${event.nodeId}${suffix} ${event.status}`
    case "RunPaused":
      return `‖ paused${event.by === undefined ? "" : ` by ${oneLine(event.by)}`}`
    case "RunUnpaused":
      return `▶ unpaused${event.by === undefined ? "" : ` by ${oneLine(event.by)}`}`
    case "RunContinued":
      return `→ goes on as run ${oneLine(event.successor)}`
    case "CancelRequested":
      if (event.continuation !== undefined) return `→ ${event.continuation.nodeId}: goes on as a new run`
      return `■ cancellation asked for${event.reason === undefined ? "" : `: ${shorten(oneLine(event.reason), 200)}`}`
    case "RunFinished":
      return "✓ finished"
    case "RunFailed":
      return `✗ failed: ${shorten(oneLine(event.failure.message), longestFailure)}`
    case "RunCancelled":
      return [
        `■ cancelled${event.reason === undefined ? "" : `: ${shorten(oneLine(event.reason), 200)}`}`,
        ...(event.uncompensated === undefined ? [] : [shorten(uncompensatedMessage(event.uncompensated), longestFailure)]),
      ].join(".")
    default:
      return unknownEvent(event)
  }
}

/** An event that this version has no words for. */
const unknownEvent = (event: { readonly _tag: string; readonly nodeId?: string }): string =>
  `· ${event._tag}${event.nodeId === undefined ? "" : ` ${event.nodeId}`}`

/** Events that the picture of a terminal shows by itself. */
const drawnEvents: ReadonlySet<string> = new Set([
  "AttemptStarted",
  "WaitStarted",
  "DeadlineMoved",
  "LoopAdvanced",
  "BoundaryStarted",
])

/**
 * A line of the log above the picture of a terminal: outcomes and decisions, with attempt and iteration only where they are not the first. `undefined`
 * for what the picture shows by itself.
 */
export const outcome = (
  logged: LoggedEvent,
  { createdAt, active }: Progress,
  named: (nodeId: NodeId) => string,
): string | undefined => {
  const { event, at } = logged
  if (drawnEvents.has(event._tag)) return undefined
  const begun =
    "nodeId" in event && "iteration" in event ? HashMap.get(active, nodeKey(event.nodeId, event.iteration)) : Option.none()
  const took = event._tag === "AttemptSucceeded" && Option.isSome(begun) ? `  ${span(at - begun.value.since)}` : ""
  const said = textOf(logged, briefLabel, (nodeId) => nameOf(named(nodeId)))
  return stamped(logged, createdAt, `${said}${took}`)
}

/** Text with the time since the run was created. Of a reload, the meaning has a line of its own. */
const stamped = ({ event, at }: LoggedEvent, createdAt: number, text: string): string => {
  const time = `[${clock(at - createdAt)}]`
  if (event._tag !== "CodeReloaded") return `${time} ${text}`
  const first = reloadedText(event)
  return `${time} ${first}\n${time}   ${text.slice(first.length).replace(/^: /, "")}`
}

/** A line of the log: how long after the run was created, and what happened. */
export const line = (event: LoggedEvent, createdAt: number): string => stamped(event, createdAt, describe(event))
