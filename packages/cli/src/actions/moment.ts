/**
 * Shows a run as of an earlier frame.
 */
import type { Moment } from "@smithers/core/History"
import { nodeKey } from "@smithers/core/Ids"
import * as PlanText from "@smithers/core/PlanText"
import * as RunAt from "@smithers/core/RunAt"
import { commandLine } from "@smithers/server/views/CommandLine"
import { nameOf } from "@smithers/server/views/Parts"
import * as PlanTree from "@smithers/server/views/PlanTree"
import { errorText } from "@smithers/server/views/Progress"
import { clock, excerpt, json, longestFailure, oneLine, plural, pretty, shorten } from "@smithers/server/views/Text"
import { waitLine } from "@smithers/server/views/Why"
import * as Effect from "effect/Effect"
import { connectRun } from "../Database.ts"
import { InvalidUsage } from "../Errors.ts"
import { failureOf } from "../Failures.ts"
import * as PlanDrawing from "../PlanDrawing.ts"
import { Screen, widthOf } from "../Screen.ts"
import { table } from "../Table.ts"
import { groupsOf, resultOf, shownIn, stateOf } from "./inspect.ts"

interface ShowOptions {
  readonly db: string | undefined
  readonly run: string
  readonly frame: number | undefined
  readonly seq: number | undefined
}

/** Returns the moment that two options name. */
const momentOf = ({ frame, seq }: Pick<ShowOptions, "frame" | "seq">): Effect.Effect<Moment | undefined, InvalidUsage> => {
  if (frame !== undefined && seq !== undefined)
    return new InvalidUsage({ problem: "--frame and --seq name two moments: give one of them", command: "show" })
  return Effect.succeed(frame !== undefined ? { frame } : seq !== undefined ? { seq } : undefined)
}

/** Shows the plan and the state of a run as of a frame or an event. */
export const show = (options: ShowOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const moment = yield* momentOf(options)
      const { storage, runId } = yield* connectRun(options.db, options.run)
      const { plan, ...found } = yield* RunAt.read(storage, runId, moment)
      const { run } = yield* storage.run(runId)
      const decoded = PlanText.decode(plan)
      const roots = PlanTree.parse(decoded, found.nodes)
      const failure = found.failure === null ? null : failureOf(found.failure)
      const named = Object.entries(moment ?? {}).map(([name, number]) => [name, String(number)] as const)
      const hint = commandLine(options.db, "show", [runId], [...named, "json"])
      const text = textOf(found, decoded, { createdAt: run.createdAt, hint, columns: widthOf(yield* Screen) })
      return { value: { ...found, failure, roots }, text }
    }),
  )

interface Place {
  readonly createdAt: number
  readonly hint: string
  readonly columns: number | undefined
}

const textOf = (found: Omit<RunAt.RunAt, "plan">, plan: PlanText.PlanText, { createdAt, hint, columns }: Place): string => {
  const { runId, workflow, version, frame, seq, at, status, cancel, input, output, failure, nodes, waits, signals, deadline } =
    found
  // Times are shown as they were then.
  const now = at ?? createdAt
  const time = at === null ? "before its first event" : `event ${seq}, ${new Date(at).toISOString()}, [${clock(at - createdAt)}]`
  const facts = [
    ["Run", runId],
    ["Workflow", version === null ? workflow : `${workflow} (${version})`],
    ["Frame", `${frame}, ${time}`],
    ["Status", status],
    ...(cancel === null ? [] : [["Cancel", cancel.reason ?? "without a reason"]]),
    ...(deadline === undefined ? [] : [["Deadline", new Date(deadline).toISOString()]]),
    ["Input", shorten(oneLine(json(input) ?? "none"), 200)],
  ].map(([name = "", value = ""]) => `${name.padEnd(9)} ${oneLine(value)}`)
  const groups = groupsOf(plan, nodes)
  const open = waits.filter((wait) => wait.status === "open")
  const rows = nodes
    .filter(shownIn(plan, groups))
    .map((node) => [
      nameOf(node.nodeId),
      String(node.iteration),
      stateOf(node, open, now, groups.get(nodeKey(node.nodeId, node.iteration))?.counts),
      node.kind === "step" ? String(node.attempt) : "",
      resultOf(node, []),
    ])
  const errors = nodes.flatMap(({ nodeId, iteration, error, status }) =>
    error === null || status === "finished" ? [] : [`  ${oneLine(nodeId)} (iteration ${iteration}): ${errorText(error)}`],
  )
  const sections = [
    facts.join("\n"),
    ...(plan.size === 0 ? [] : [PlanDrawing.toTree(PlanTree.parse(plan, nodes))]),
    ...(rows.length === 0 ? [] : [table(["NODE", "ITERATION", "STATE", "ATTEMPT", "RESULT"], rows, columns)]),
    ...(open.length === 0
      ? []
      : [
          listed(
            "Waited for",
            open.map((wait) => `  ${oneLine(nameOf(wait.nodeId))}: ${waitLine(wait, now)}`),
          ),
        ]),
    ...(signals.length === 0
      ? []
      : [
          listed(
            "Signals not taken yet",
            signals.map(({ name, payload }) => `  ${oneLine(name)}: ${shorten(oneLine(json(payload) ?? ""), 80)}`),
          ),
        ]),
    ...(errors.length === 0 ? [] : [listed("Errors", errors)]),
    ...(failure === null ? [] : [`Failed: ${shorten(oneLine(failure.message), longestFailure)}`]),
    ...(output === undefined ? [] : [`Output\n${excerpt(pretty(output), hint)}`]),
  ]
  return sections.join("\n\n")
}

/** Maximum number of lines of a list. */
const mostListed = 20

const listed = (title: string, lines: ReadonlyArray<string>): string =>
  [
    title,
    ...lines.slice(0, mostListed),
    ...(lines.length > mostListed ? [`  and ${plural(lines.length - mostListed, "more", "more")}`] : []),
  ].join("\n")
