/**
 * Compares frames, runs and attempts.
 */
import type * as Comparison from "@smithers/core/Comparison"
import { ports } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import * as Comparing from "@smithers/server/operations/comparing"
import { commandLine } from "@smithers/server/views/CommandLine"
import { named } from "@smithers/server/views/Progress"
import { excerpt, json, oneLine, plural, shorten } from "@smithers/server/views/Text"
import { structuredPatch } from "diff"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { connectRun, findRun } from "../Database.ts"
import { InvalidUsage } from "../Errors.ts"
import { workspaces } from "../Workspaces.ts"

interface DiffOptions {
  readonly db: string | undefined
  readonly run: string
  readonly before: string | undefined
  readonly after: string | undefined
  readonly node: string | undefined
  readonly attempts: string | undefined
  readonly iteration: number | undefined
}

const isNumber = (text: string | undefined): text is string => text !== undefined && /^\d+$/.test(text)

const usage = (problem: string) => new InvalidUsage({ problem, command: "diff" })

/** Compares what the arguments name. */
export const diff = (options: DiffOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { before, after, node, iteration } = options
      const database = yield* connectRun(options.db, options.run)
      const { storage, runId } = database
      const services = Layer.merge(Layer.succeedContext(ports(storage)), workspaces)
      if (node !== undefined || options.attempts !== undefined) {
        const [, first, second] = /^(\d+),(\d+)$/.exec(options.attempts ?? "") ?? []
        if (node === undefined || first === undefined || before !== undefined)
          return yield* usage("attempts are compared with --node <node> --attempts 1,2, and without a second run or frame")
        const wanted = { runId, nodeId: node, a: Number(first), b: Number(second), ...defined({ iteration }) }
        const found = yield* Effect.provide(Comparing.compareAttempts.run(wanted), services)
        const options_ = [["node", node] as const, ["attempts", `${first},${second}`] as const, "json"]
        const hint = commandLine(options.db, "diff", [runId], options_)
        const text = [heading(found), ...bodyOf(found, hint), ...filesText(found.files, hint).map((line) => `    ${line}`)]
        return { value: found, text: text.join("\n") }
      }
      if (before === undefined) return yield* usage("name a frame, two frames, or another run")
      if (after !== undefined && !(isNumber(before) && isNumber(after)))
        return yield* usage(`two frames are numbers, and not "${before}" and "${after}"`)
      const sides = isNumber(before)
        ? { a: { runId, frame: Number(before) }, b: { runId, ...(after === undefined ? {} : { frame: Number(after) }) } }
        : { a: { runId }, b: { runId: yield* findRun(database, before) } }
      const found = yield* Effect.provide(Comparing.compareRuns.run(sides), services)
      const hint = commandLine(options.db, "diff", [runId, before, ...(after === undefined ? [] : [after])], ["json"])
      return { value: found, text: textOf(found, hint) }
    }),
  )

type Files = Comparing.FilesBetween

const signs = { added: "+", removed: "-", changed: "~", renamed: "~" } as const

const filesText = (files: Files | undefined, hint: string): ReadonlyArray<string> => {
  if (files === undefined || files.files.length === 0) return []
  const lines = files.files.slice(0, mostChanges).map(({ path, change, previousPath, added, removed }) => {
    const from = previousPath === undefined ? "" : `${oneLine(previousPath)} → `
    return `  ${signs[change]} ${from}${oneLine(path)}${added === undefined ? "" : ` (+${added} -${removed ?? 0})`}`
  })
  const more =
    files.files.length > mostChanges ? [`  … ${plural(files.files.length - mostChanges, "more file")}; ${hint} shows all`] : []
  return ["files", ...lines, ...more]
}

/** Maximum number of differences of one value, and of characters of each, before the rest is left to `--json`. */
const mostChanges = 40
const longestChange = 200

const pathText = (path: Comparison.JsonChange["path"]): string =>
  path.length === 0
    ? "value"
    : path
        .map((step) => (typeof step === "number" ? `[${step}]` : /^[A-Za-z_]\w*$/.test(step) ? `.${step}` : `[${json(step)}]`))
        .join("")

const shown = (value: unknown): string => shorten(oneLine(json(value) ?? "none"), longestChange)

const changesOf = (title: string, changes: ReadonlyArray<Comparison.JsonChange>, hint: string): ReadonlyArray<string> => {
  if (changes.length === 0) return []
  const lines = changes.slice(0, mostChanges).map(({ path, change, before, after }) => {
    const place = oneLine(pathText(path))
    if (change === "added") return `  + ${place}: ${shown(after)}`
    return change === "removed" ? `  - ${place}: ${shown(before)}` : `  ~ ${place}: ${shown(before)} → ${shown(after)}`
  })
  const more =
    changes.length > mostChanges ? [`  … ${plural(changes.length - mostChanges, "more difference")}; ${hint} shows all`] : []
  return [title, ...lines, ...more]
}

/** Compares texts line by line, with two lines around what differs. */
const linesOf = (
  title: string,
  before: ReadonlyArray<string> = [],
  after: ReadonlyArray<string> = [],
  hint: string,
): ReadonlyArray<string> => {
  const [old, now] = [before.join("\n\n"), after.join("\n\n")]
  if (old === now) return []
  const { hunks } = structuredPatch("", "", old, now, "", "", { context: 2 })
  const lines = hunks.flatMap((hunk, index) => [
    ...(index === 0 ? [] : ["…"]),
    ...hunk.lines.filter((line) => !line.startsWith("\\")),
  ])
  return [
    title,
    ...excerpt(lines.join("\n"), hint)
      .split("\n")
      .map((line) => `  ${line}`),
  ]
}

type Node = Comparison.NodeDifference

const heading = ({ nodeId, iteration, before, after }: Node): string => {
  const name = `${oneLine(nodeId)} (iteration ${iteration})`
  const sideOf = (side: Node["before"]) => `${side?.status}, attempt ${side?.attempt}`
  if (before === null) return `+ ${name}: ${sideOf(after)}`
  if (after === null) return `- ${name}: ${sideOf(before)}`
  const isSame = sideOf(before) === sideOf(after)
  return `~ ${name}: ${isSame ? sideOf(after) : `${sideOf(before)} → ${sideOf(after)}`}`
}

const bodyOf = ({ before, after, output }: Node, hint: string): ReadonlyArray<string> =>
  [
    ...linesOf("error", before?.error == null ? [] : [before.error], after?.error == null ? [] : [after.error], hint),
    ...changesOf("output", output, hint),
    ...linesOf("prompt", before?.turns.prompts, after?.turns.prompts, hint),
    ...linesOf("reply", before?.turns.replies, after?.turns.replies, hint),
  ].map((line) => `    ${line}`)

const textOf = (
  { before, after, plan, input, output, nodes, files }: typeof Comparing.compareRuns.output.Type,
  hint: string,
): string => {
  const sideOf = ({ runId, frame, status }: typeof before) => `${oneLine(runId)} at frame ${frame} (${status})`
  const changed = [
    ...(plan.added.length === 0 ? [] : [`  + ${named(plan.added)}`]),
    ...(plan.removed.length === 0 ? [] : [`  - ${named(plan.removed)}`]),
    ...(plan.changed.length === 0 ? [] : [`  ~ ${named(plan.changed)}`]),
  ].map(oneLine)
  const sections = [
    `${sideOf(before)} → ${sideOf(after)}`,
    ...(changed.length === 0 ? [] : [["Plan", ...changed].join("\n")]),
    ...[changesOf("Input", input, hint), changesOf("Output", output, hint)].flatMap((lines) =>
      lines.length === 0 ? [] : [lines.join("\n")],
    ),
    ...(nodes.length === 0
      ? []
      : [["Nodes", ...nodes.flatMap((node) => [`  ${heading(node)}`, ...bodyOf(node, hint)])].join("\n")]),
    ...(files === undefined || files.files.length === 0 ? [] : [["Files", ...filesText(files, hint).slice(1)].join("\n")]),
  ]
  return sections.length === 1 ? `${sections[0]}\nNo differences.` : sections.join("\n\n")
}
