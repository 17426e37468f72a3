/**
 * Compares frames, runs and attempts.
 */
import * as Comparison from "@smithers/core/Comparison"
import * as Lineage from "@smithers/core/Lineage"
import type { Snapshot, SnapshotFilter } from "@smithers/core/Snapshots"
import type { StorageShape } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import { Workspaces } from "@smithers/core/Workspaces"
import { commandLine } from "@smithers/server/views/CommandLine"
import { named } from "@smithers/server/views/Progress"
import { excerpt, json, oneLine, plural, shorten } from "@smithers/server/views/Text"
import { structuredPatch } from "diff"
import * as Effect from "effect/Effect"
import { connectRun, findRun } from "../Database.ts"
import { InvalidUsage } from "../Errors.ts"
import type { Difference } from "../Output.ts"
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
      if (node !== undefined || options.attempts !== undefined) {
        const [, first, second] = /^(\d+),(\d+)$/.exec(options.attempts ?? "") ?? []
        if (node === undefined || first === undefined || before !== undefined)
          return yield* usage("attempts are compared with --node <node> --attempts 1,2, and without a second run or frame")
        const attempts = [Number(first), Number(second)] as const
        const found = yield* Comparison.attempts(storage, { runId, nodeId: node, attempts, ...defined({ iteration }) })
        const options_ = [["node", node] as const, ["attempts", `${first},${second}`] as const, "json"]
        const hint = commandLine(options.db, "diff", [runId], options_)
        const snapshotOf = (attempt: number) =>
          Effect.map(snapshotsOf(storage, runId, { nodeId: node, iteration: iteration ?? 0, attempt }), (taken) =>
            taken.findLast(({ commit }) => commit !== null),
          )
        const files = yield* filesBetween(yield* snapshotOf(attempts[0]), yield* snapshotOf(attempts[1]))
        const text = [heading(found), ...bodyOf(found, hint), ...filesText(files, hint).map((line) => `    ${line}`)].join("\n")
        return { value: { runId, ...found, ...defined({ files }) }, text }
      }
      if (before === undefined) return yield* usage("name a frame, two frames, or another run")
      if (after !== undefined && !(isNumber(before) && isNumber(after)))
        return yield* usage(`two frames are numbers, and not "${before}" and "${after}"`)
      const found = isNumber(before)
        ? yield* Comparison.runs(
            storage,
            { runId, frame: Number(before) },
            { runId, ...(after === undefined ? {} : { frame: Number(after) }) },
          )
        : yield* Comparison.runs(storage, { runId }, { runId: yield* findRun(database, before) })
      const hint = commandLine(options.db, "diff", [runId, before, ...(after === undefined ? [] : [after])], ["json"])
      /** The files as of a moment: those of the last snapshot before it, otherwise those of the first one after it. */
      const snapshotOf = ({ runId, at }: typeof found.before) =>
        Effect.map(snapshotsOf(storage, runId), (all) => {
          const taken = all.filter(({ commit }) => commit !== null)
          return taken.findLast((one) => one.at <= (at ?? 0)) ?? taken[0]
        })
      const files = yield* filesBetween(yield* snapshotOf(found.before), yield* snapshotOf(found.after))
      return { value: { ...found, ...defined({ files }) }, text: textOf(found, files, hint) }
    }),
  )

/** The snapshots of a run, with those that it has inherited. */
const snapshotsOf = (storage: StorageShape, runId: string, filter: Omit<SnapshotFilter, "runId"> = {}) =>
  Effect.flatMap(storage.load(runId), (state) => Lineage.snapshots({ store: storage, snapshots: storage }, state, filter))

type Files = NonNullable<(typeof Difference.Type)["files"]>

/** Compares the files of two snapshots of one directory; `undefined` if there are none, or git has given them up. */
const filesBetween = (before: Snapshot | undefined, after: Snapshot | undefined): Effect.Effect<Files | undefined> => {
  const { root, commit: from = null } = before ?? {}
  const to = after?.commit ?? null
  if (root === undefined || from === null || to === null || root !== after?.root) return Effect.succeed(undefined)
  return Effect.flatMap(Workspaces, ({ diff }) => diff({ root, from, to })).pipe(
    Effect.map((found): Files => ({ root, from, to, ...found })),
    Effect.catchAll((error) => Effect.as(Effect.logWarning(`The files cannot be compared: ${error.message}`), undefined)),
    Effect.provide(workspaces),
  )
}

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
  { before, after, plan, input, output, nodes }: Comparison.Comparison,
  files: Files | undefined,
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
