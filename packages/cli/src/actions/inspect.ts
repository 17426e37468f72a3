/**
 * Commands that show a run, a node or an output.
 */
import { resolveNodeId } from "@smithers/core/Commands"
import * as ErrorInfo from "@smithers/core/ErrorInfo"
import { type Uncompensated, uncompensatedMessage, withdrawalReasons } from "@smithers/core/Errors"
import { type NodeKey, nodeKey, parseNodeKey } from "@smithers/core/Ids"
import * as PlanBounds from "@smithers/core/PlanBounds"
import * as PlanRows from "@smithers/core/PlanRows"
import * as PlanText from "@smithers/core/PlanText"
import type { AttemptSummary, NodeSummary, RunDetails, WaitSummary } from "@smithers/core/RunReader"
import * as RunState from "@smithers/core/RunState"
import type { Snapshot } from "@smithers/core/Snapshots"
import { defined } from "@smithers/core/Struct"
import { commandLine, resumeLine } from "@smithers/server/views/CommandLine"
import { askedText, fold, leftText, nameOf, partsOf, type Tally, tally, tallyText } from "@smithers/server/views/Parts"
import { cachedText, errorText } from "@smithers/server/views/Progress"
import { questionLines } from "@smithers/server/views/Question"
import { excerpt, json, longestFailure, oneLine, plural, pretty, shorten, span } from "@smithers/server/views/Text"
import { awaitedBy } from "@smithers/server/views/Waits"
import { codeText, slotLines, triedText, waitLine, waitLines } from "@smithers/server/views/Why"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as BoundsText from "../BoundsText.ts"
import { connectRun, topmost } from "../Database.ts"
import { NoOutput, NoSuchNode } from "../Errors.ts"
import { failureOf } from "../Failures.ts"
import { Screen, type ScreenShape, widthOf } from "../Screen.ts"
import { owners } from "../Stores.ts"
import { table } from "../Table.ts"

interface InspectOptions {
  readonly db: string | undefined
  readonly run: string
}

/** All waits of a run. */
const allWaits = { all: true, limit: Number.MAX_SAFE_INTEGER } as const

/** Sorts nodes in the order of the plan. Nodes that have left the plan come last. */
/** The code that an attempt ran. */
const codeOf = ({ codeGeneration = 0 }: Pick<AttemptSummary, "codeGeneration">): string => String(codeGeneration)

const inOrder = (nodes: ReadonlyArray<NodeSummary>, { positions, size }: PlanText.PlanText): ReadonlyArray<NodeSummary> => {
  const placeOf = ({ nodeId }: NodeSummary) => positions.get(nodeId) ?? size
  return nodes.toSorted(
    (left, right) => placeOf(left) - placeOf(right) || left.nodeId.localeCompare(right.nodeId) || left.iteration - right.iteration,
  )
}

/** Returns the outputs by node and iteration, in their stored form. */
const outputsOf = (state: RunState.RunState): ReadonlyMap<NodeKey, unknown> =>
  new Map(
    RunState.records(state).flatMap((record) =>
      record.kind === "step" && record.output !== undefined
        ? [[nodeKey(record.nodeId, record.iteration), record.output] as const]
        : [],
    ),
  )

const withOutput = (node: NodeSummary, outputs: ReadonlyMap<NodeKey, unknown>) => {
  const key = nodeKey(node.nodeId, node.iteration)
  return outputs.has(key) ? { ...node, output: outputs.get(key) } : node
}

const timeOf = (node: NodeSummary, now: number): string => {
  if (node.startedAt === null) return ""
  return span((node.finishedAt ?? now) - node.startedAt)
}

export const stateOf = (node: NodeSummary, waits: ReadonlyArray<WaitSummary>, now: number, counts?: Tally): string => {
  if (node.kind === "boundary") {
    const { status, leaveRequest, left, winners = [] } = node
    const said = [
      status,
      counts === undefined ? undefined : tallyText(counts),
      winners.length === 0 ? undefined : `won by ${winners.join(", ")}`,
      left === undefined ? undefined : leftText(left),
      leaveRequest === undefined || left !== undefined || status !== "running" ? undefined : askedText(leaveRequest),
    ]
    return said.filter((part) => part !== undefined).join(", ")
  }
  if (node.kind === "loop") {
    return `${node.isExhausted === true ? "exhausted" : node.status}, ${plural(node.passes ?? 0, "pass", "passes")}`
  }
  if (node.status === "retrying") return `retrying in ${span(Math.max(0, (node.retryAt ?? now) - now))}`
  const wait = waits.find((one) => one.nodeId === node.nodeId && one.iteration === node.iteration && one.status === "open")
  if (wait === undefined || node.status === "running" || node.status === "interrupted") return node.status
  return wait.isAnswered ? shorten(pendingText(wait), 40) : `waits for ${shorten(waitLine(wait, now), 40)}`
}

/** Formats the latest attempt of a node; empty if it has none. */
const latest = (
  node: NodeSummary,
  attempts: ReadonlyArray<AttemptSummary>,
  format: (attempt: AttemptSummary) => string,
): string => {
  const found = attempts.find(
    ({ nodeId, iteration, attempt }) => nodeId === node.nodeId && iteration === node.iteration && attempt === node.attempt,
  )
  return found === undefined ? "" : format(found)
}

export const resultOf = (node: NodeSummary & { readonly output?: unknown }, attempts: ReadonlyArray<AttemptSummary>): string => {
  if (node.error !== null && node.status !== "finished") return shorten(ErrorInfo.text(node.error), 80)
  if (!("output" in node)) return ""
  const from = attempts.find(
    ({ nodeId, iteration, attempt }) => nodeId === node.nodeId && iteration === node.iteration && attempt === node.attempt,
  )?.cachedFrom
  const value = shorten(json(node.output) ?? "", 80)
  return from == null ? value : `${value} (${cachedText(from)})`
}

export const inspect = (options: InspectOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { storage, runId } = yield* connectRun(options.db, options.run)
      const details = yield* storage.inspect(runId)
      const state = yield* storage.load(runId)
      const outputs = outputsOf(state)
      const left = RunState.uncompensated(state)
      const waits = yield* storage.waits({ runId, ...allWaits })
      const plan = PlanText.decode(yield* storage.plan(runId))
      const nodes = inOrder(details.nodes, plan).map((node) => withOutput(node, outputs))
      const { run, input, output, failure } = details
      const stored = defined({ input, output })
      const undone = left.length === 0 ? {} : { uncompensated: left }
      const open = details.run.finishedAt === null ? yield* awaitedBy(storage, runId) : []
      const text = show(
        details,
        nodes,
        { waits, open, top: yield* topmost(storage, runId), plan },
        left,
        yield* Clock.currentTimeMillis,
        { db: options.db, columns: widthOf(yield* Screen) },
      )
      const beside = defined({ slots: details.slots, snapshots: details.snapshots, generations: details.generations })
      return {
        value: {
          run,
          ...stored,
          failure: failure === null ? null : failureOf(failure),
          ...undone,
          nodes,
          waits,
          bounds: PlanBounds.inForce(plan),
          ...beside,
        },
        text,
      }
    }),
  )

const show = (
  { run, input, output, failure, attempts, slots = [], snapshots = [], deadline, generations }: RunDetails,
  nodes: ReadonlyArray<NodeSummary & { readonly output?: unknown }>,
  {
    waits,
    open,
    top,
    plan,
  }: {
    readonly waits: ReadonlyArray<WaitSummary>
    readonly open: ReadonlyArray<WaitSummary>
    readonly top: string
    readonly plan: PlanText.PlanText
  },
  left: ReadonlyArray<Uncompensated>,
  now: number,
  { db, columns }: { readonly db: string | undefined; readonly columns: number | undefined },
): string => {
  const { runId, workflow, version, status, tags, createdAt, finishedAt, forkedFrom, continuedAs, chain } = run
  const stuck = owners.isAlive(run, now) ? null : run.stuck
  const hint = commandLine(db, "inspect", [runId], ["json"])
  const came = waits.filter(({ isAnswered }) => isAnswered)
  const facts = [
    ["Run", runId],
    ["Workflow", version === null ? workflow : `${workflow} (${version})`],
    ["Status", stuck === null ? status : `${status}, stuck`],
    ["Created", `${new Date(createdAt).toISOString()}, ${span(now - createdAt)} ago`],
    ["Time", span((finishedAt ?? now) - createdAt)],
    ...(deadline === undefined ? [] : [["Deadline", new Date(deadline).toISOString()]]),
    ...(tags.length === 0 ? [] : [["Tags", tags.join(", ")]]),
    ...(forkedFrom === null ? [] : [["Forked", `from ${forkedFrom.runId}, as of frame ${forkedFrom.frame}`]]),
    ...(continuedAs === undefined ? [] : [["Goes on", `as ${continuedAs}`]]),
    ...(chain === undefined ? [] : [["Began as", `${chain.first}, ${plural(chain.generation, "run")} before`]]),
    ...(snapshots.length === 0 ? [] : [["Snapshots", snapshotsText(snapshots)]]),
    ...(generations === undefined ? [] : [["Code", codeText(generations, now)]]),
    ["Input", shorten(oneLine(json(input) ?? "none"), 200)],
  ].map(([name = "", value = ""]) => `${name.padEnd(9)} ${oneLine(value)}`)
  const groups = groupsOf(plan, nodes)
  const isShown = shownIn(plan, groups)
  const rows = nodes
    .filter(isShown)
    .map((node) => [
      nameOf(node.nodeId),
      String(node.iteration),
      stateOf(node, waits, now, groups.get(nodeKey(node.nodeId, node.iteration))?.counts),
      node.kind === "step" ? String(node.attempt) : "",
      ...(generations === undefined ? [] : [latest(node, attempts, codeOf)]),
      timeOf(node, now),
      resultOf(node, attempts),
    ])
  const bounds = BoundsText.ofPlan(PlanBounds.inForce(plan), columns)
  const headings = ["NODE", "ITERATION", "STATE", "ATTEMPT", ...(generations === undefined ? [] : ["CODE"]), "TIME", "RESULT"]
  const sections = [
    facts.join("\n"),
    ...(rows.length === 0 ? [] : [table(headings, rows, columns)]),
    ...(bounds === "" ? [] : [bounds]),
    ...(open.length === 0 ? [] : [["Waits for", ...waitLines(open, now, db, hint)].join("\n")]),
    ...(slots.length === 0 ? [] : [slotLines(slots).join("\n")]),
    ...(came.length === 0 ? [] : [cameText(came, top, db)]),
    ...(stuck === null ? [] : [`Stuck: ${shorten(stuck.error.message, longestFailure)}\n${triedText(stuck, now)}`]),
    ...errorsOf(nodes, failure),
    ...(failure === null ? [] : [`Failed: ${shorten(failure.message, longestFailure)}`]),
    // The failure of the run already says so.
    ...(left.length === 0 || failure?._tag === "CompensationFailed"
      ? []
      : [shorten(uncompensatedMessage(left).trim(), longestFailure)]),
    ...(output === undefined ? [] : [`Output\n${excerpt(pretty(output), hint)}`]),
  ]
  return sections.join("\n\n")
}

/** Formats the number of snapshots, and the last one that could not be taken. */
const snapshotsText = (snapshots: ReadonlyArray<Snapshot>): string => {
  const failed = snapshots.filter(({ failure }) => failure !== null)
  const last = failed.at(-1)
  if (last === undefined) return String(snapshots.length)
  const { moment, nodeId, attempt, failure } = last
  const reason = shorten(oneLine(failure ?? ""), longestReason)
  return `${snapshots.length - failed.length}, and ${failed.length} that failed, last ${moment} ${nodeId} attempt ${attempt}: ${reason}`
}

/** Maximum length of the reason why a snapshot failed. */
const longestReason = 300

/** Formats a snapshot of the workspace of an attempt. */
const snapshotText = ({ moment, root, commit, skipped, sharedWith, failure }: Snapshot): string => {
  const others = sharedWith.map(({ runId, nodeId, attempt }) => `${nodeId} attempt ${attempt} of ${runId}`)
  const parts = [
    `${moment}: ${commit === null ? `no snapshot: ${shorten(oneLine(failure ?? ""), longestReason)}` : commit.slice(0, 12)}`,
    ...(commit === null ? [] : [root]),
    ...(skipped.length === 0 ? [] : [`without ${plural(skipped.length, "file")}`]),
    ...(others.length === 0 ? [] : [`shared with ${shorten(others.join(", "), longestReason)}`]),
  ]
  return `    snapshot ${oneLine(parts.join(", "))}`
}

/** A race or a list in one iteration. */
interface Group {
  readonly counts: Tally
  /** Positions of the parts that are only counted. */
  readonly folded: ReadonlyArray<number>
}

/** Returns the races and lists of a run, by node and iteration. */
export const groupsOf = (plan: PlanText.PlanText, nodes: ReadonlyArray<NodeSummary>): ReadonlyMap<NodeKey, Group> => {
  const rows = PlanRows.byKey(nodes)
  return new Map(
    nodes.flatMap(({ kind, nodeId, iteration }): ReadonlyArray<readonly [NodeKey, Group]> => {
      const scope = kind === "boundary" ? plan.positions.get(nodeId) : undefined
      const parts = scope === undefined ? undefined : partsOf(plan, scope, iteration, rows)
      if (scope === undefined || parts === undefined) return []
      const folded = fold(parts)[1].map(({ position }) => position)
      return [[nodeKey(nodeId, iteration), { counts: tally(parts), folded }]]
    }),
  )
}

/** Returns a predicate for the nodes to show: all but the parts of lists that are only counted. */
export const shownIn = (plan: PlanText.PlanText, groups: ReadonlyMap<NodeKey, Group>): ((node: NodeSummary) => boolean) => {
  const hidden = new Set<NodeKey>()
  for (const [key, { folded }] of groups) {
    const { iteration } = parseNodeKey(key)
    for (const part of folded) {
      for (let inside = part; inside < plan.end(part); inside++) {
        const { id } = plan.nodes[inside] ?? {}
        if (id !== undefined) hidden.add(nodeKey(id, iteration))
      }
    }
  }
  return ({ nodeId, iteration }) => !hidden.has(nodeKey(nodeId, iteration))
}

/** Maximum number of node errors that are shown. */
const mostErrors = 20

/** Formats the errors of nodes that the failure of the run does not already contain, and why they are not retried. */
const errorsOf = (nodes: ReadonlyArray<NodeSummary>, failure: RunDetails["failure"]): ReadonlyArray<string> => {
  const isSaid = ({ nodeId, iteration }: NodeSummary) =>
    failure?._tag === "StepFailed" && failure.nodeId === nodeId && failure.iteration === iteration
  const wrong = nodes.filter((node) => node.error !== null && node.status !== "finished" && !isSaid(node))
  if (wrong.length === 0) return []
  const shown = wrong
    .slice(0, mostErrors)
    .map((node) => `  ${oneLine(node.nodeId)} (iteration ${node.iteration}): ${errorText(node.error as ErrorInfo.ErrorInfo)}`)
  return [["Errors", ...shown, ...(wrong.length > mostErrors ? [`  and ${wrong.length - mostErrors} more`] : [])].join("\n")]
}

/** Formats the event that has arrived for a wait and that the run has not processed. */
const pendingText = ({ kind, approved, by, note }: WaitSummary): string => {
  const who = by === null ? "" : ` by ${oneLine(by)}`
  switch (kind) {
    case "approval":
      return `${approved === true ? "approved" : "denied"}${who}${note === null ? "" : `: ${oneLine(note)}`}`
    case "human":
      return `answered${who}`
    case "subflow":
      return "child run ended"
    default:
      return "signal sent"
  }
}

/** Formats the events that the run has not processed, and the command that resumes it. */
const cameText = (came: ReadonlyArray<WaitSummary>, top: string, db: string | undefined): string =>
  [
    "Received, not yet processed",
    ...came.map((wait) => `  ${oneLine(wait.nodeId)}: ${pendingText(wait)}`),
    `      ${resumeLine(db, top)}`,
  ].join("\n")

export const node = (options: InspectOptions & { readonly node: string; readonly iteration: number | undefined }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { storage, runId } = yield* connectRun(options.db, options.run)
      const details = yield* storage.inspect(runId)
      const plan = PlanText.decode(yield* storage.plan(runId))
      const named = resolveNodeId(options.node, details.nodes)
      const isMeant = ({ nodeId, iteration }: { readonly nodeId: string; readonly iteration: number }) =>
        nodeId === named && (options.iteration === undefined || iteration === options.iteration)
      const found = details.nodes.filter(isMeant)
      if (found.length === 0) return yield* noSuchNode(runId, options.node, options.iteration, details.nodes)
      const groups = groupsOf(plan, details.nodes)
      const outputs = outputsOf(yield* storage.load(runId))
      const nodes = found.map((node) => withOutput(node, outputs))
      const attempts = details.attempts.filter(isMeant)
      const snapshots = (details.snapshots ?? []).filter(isMeant)
      const waits = (yield* storage.waits({ runId, ...allWaits })).filter(isMeant)
      const hint = commandLine(options.db, "node", [runId, named], ["json"])
      const now = yield* Clock.currentTimeMillis
      const text = nodes
        .map((node) => {
          const mine = attempts.filter(({ iteration }) => iteration === node.iteration)
          const wait = waits.find(({ iteration }) => iteration === node.iteration)
          const taken = snapshots.filter(({ iteration }) => iteration === node.iteration)
          return nodeText(node, mine, taken, wait, now, hint, options.db, groups.get(nodeKey(node.nodeId, node.iteration))?.counts)
        })
        .join("\n\n")
      const taken = snapshots.length === 0 ? {} : { snapshots }
      return { value: { runId, nodeId: named, nodes, attempts, waits, ...taken }, text }
    }),
  )

/** Maximum number of node names in an error. */
const shownNames = 12

export const noSuchNode = (runId: string, nodeId: string, iteration: number | undefined, nodes: ReadonlyArray<NodeSummary>) => {
  const names = [...new Set(nodes.map((node) => node.nodeId))].slice(0, shownNames)
  return new NoSuchNode({ runId, nodeId, ...defined({ iteration }), nodes: names })
}

const indent = (text: string): string => text.replaceAll(/^/gm, "    ")

const nodeText = (
  node: NodeSummary & { readonly output?: unknown },
  attempts: ReadonlyArray<AttemptSummary>,
  snapshots: ReadonlyArray<Snapshot>,
  wait: WaitSummary | undefined,
  now: number,
  hint: string,
  db: string | undefined,
  counts: Tally | undefined,
): string => {
  const title = `${oneLine(nameOf(node.nodeId))} (iteration ${node.iteration}): ${stateOf(node, wait === undefined ? [] : [wait], now, counts)}`
  const shown = attempts.flatMap((attempt) => {
    const { startedAt, finishedAt, error, cachedFrom, heartbeat, turns, codeGeneration } = attempt
    const code = codeGeneration === undefined ? "" : `, code of generation ${codeGeneration}`
    const took = startedAt === null ? "" : ` after ${span((finishedAt ?? now) - startedAt)}`
    return [
      `  attempt ${attempt.attempt}: ${attempt.status}${took}${cachedFrom === null ? "" : `, ${cachedText(cachedFrom)}`}${code}`,
      ...(error === null ? [] : [indent(excerpt(ErrorInfo.lines(error).join("\n"), hint))]),
      ...(heartbeat === null ? [] : [`    last heartbeat: ${shorten(oneLine(json(heartbeat) ?? ""), 200)}`]),
      ...snapshots.filter((one) => one.attempt === attempt.attempt).map(snapshotText),
      ...turns.map((turn) => indent(excerpt(turnText(turn), hint))),
    ]
  })
  // A node may fail without an attempt.
  const isSaid = attempts.some((attempt) => attempt.attempt === node.attempt && attempt.error !== null)
  const own = node.error === null || isSaid ? [] : [indent(excerpt(ErrorInfo.lines(node.error).join("\n"), hint))]
  // A decision is shown with its request.
  const question = wait === undefined ? [] : questionLines(wait).map((line) => `      ${line}`)
  const decided = wait === undefined || wait.status === "open" ? [] : [`  ${decisionText(wait)}`, ...question]
  const asked =
    wait?.status !== "open"
      ? []
      : wait.isAnswered
        ? [`  ${pendingText(wait)}, not yet processed`, ...question]
        : waitLines([wait], now, db, hint)
  const output = "output" in node ? [`  output\n${indent(excerpt(pretty(node.output), hint))}`] : []
  return [title, ...shown, ...own, ...decided, ...asked, ...output].join("\n")
}

/** Descriptions of waits that timed out. */
const silences: { readonly [kind: string]: string } = { human: "not answered in time", signal: "not sent in time" }

const decisionText = ({ kind, approved, by, note, status, reason, timedOut }: WaitSummary): string => {
  if (reason !== null) return `withdrawn: ${withdrawalReasons[reason]}`
  if (timedOut) return silences[kind] ?? "not decided in time"
  const what = approved === null ? status : approved ? "approved" : "denied"
  return `${what}${by === null ? "" : ` by ${by}`}${note === null ? "" : `: ${note}`}`
}

type Turn = AttemptSummary["turns"][number]

const turnText = ({ agent, model, prompt, reply, problem, inputTokens, outputTokens }: Turn): string => {
  const facts = [
    model,
    inputTokens === undefined && outputTokens === undefined ? undefined : `${inputTokens ?? 0}+${outputTokens ?? 0} tokens`,
  ].filter((fact) => fact !== undefined)
  return [
    `asked ${agent}: ${prompt}`,
    ...(reply === undefined ? [] : [`replied${facts.length === 0 ? "" : ` (${facts.join(", ")})`}: ${reply}`]),
    ...(problem === undefined ? [] : [`rejected: ${problem}`]),
  ].join("\n")
}

/** Formats an output. Never truncates it for a file or a pipe. */
const printed = ({ isTerminal }: ScreenShape, value: unknown, hint: string): string =>
  isTerminal ? excerpt(pretty(value), hint) : pretty(value)

export const output = (options: InspectOptions & { readonly node: string | undefined; readonly iteration: number | undefined }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const screen = yield* Screen
      const { storage, runId } = yield* connectRun(options.db, options.run)
      const details = yield* storage.inspect(runId)
      if (options.node === undefined) {
        if (details.run.status !== "finished") return yield* new NoOutput({ runId, status: details.run.status })
        const value = { runId, nodeId: null, iteration: null, ...defined({ output: details.output }) }
        return { value, text: printed(screen, details.output, commandLine(options.db, "output", [runId], ["json"])) }
      }
      const nodeId = resolveNodeId(options.node, details.nodes)
      const outputs = outputsOf(yield* storage.load(runId))
      const meant = details.nodes.filter(
        (node) => node.nodeId === nodeId && (options.iteration === undefined || node.iteration === options.iteration),
      )
      const last = meant.at(-1)
      if (last === undefined) return yield* noSuchNode(runId, nodeId, options.iteration, details.nodes)
      const found = meant
        .toSorted((left, right) => right.iteration - left.iteration)
        .find((node) => outputs.has(nodeKey(nodeId, node.iteration)))
      if (found === undefined) return yield* new NoOutput({ runId, nodeId, status: last.status })
      const value = outputs.get(nodeKey(nodeId, found.iteration))
      const text = printed(screen, value, commandLine(options.db, "output", [runId, nodeId], ["json"]))
      return { value: { runId, nodeId, iteration: found.iteration, output: value }, text }
    }),
  )
