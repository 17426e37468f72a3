/**
 * The command that answers whether an edit would have changed recorded runs.
 */
import { dirname } from "node:path"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import * as Millis from "@smithers/core/Millis"
import { describe, hasChanged, type ReplayReport, replay as replayRun } from "@smithers/core/Replay"
import type { RunSummary } from "@smithers/core/RunReader"
import { ports } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import { plural } from "@smithers/server/views/Text"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { connect, type Database, findRun, sourceOf } from "../Database.ts"
import type { Reply } from "../Definition.ts"
import { InvalidUsage } from "../Errors.ts"
import { Exit } from "../Exit.ts"
import type { ReplayedRun } from "../Output.ts"
import { definitionFor, load } from "../WorkflowFile.ts"

interface Options {
  readonly db: string | undefined
  readonly run: string | undefined
  readonly all: boolean
  readonly since: string | undefined
  readonly workflow: string | undefined
  readonly file: string | undefined
  readonly export: string | undefined
}

type Replayed = typeof ReplayedRun.Type

const invalid = (problem: string) => new InvalidUsage({ problem, command: "replay" })

const startOf = (since: string | undefined) =>
  Effect.gen(function* () {
    if (since === undefined) return 0
    const ago = Millis.parseDuration(since, "s")
    if (Either.isLeft(ago)) return yield* invalid(`--since must be a time such as 12h or 7d, not "${since}"`)
    return (yield* Clock.currentTimeMillis) - ago.right
  })

/** Number of runs that are listed at once. */
const page = 100

/** Runs that are no child runs, newest first, from a time on. */
const runsSince = ({ storage }: Database, from: number, workflow: string | undefined) =>
  Effect.gen(function* () {
    const found: Array<RunSummary> = []
    for (;;) {
      const before = found.at(-1)?.runId
      const listed = yield* storage.runs({ isChild: false, limit: page, ...defined({ before, workflow }) })
      const recent = listed.filter(({ createdAt }) => createdAt >= from)
      found.push(...recent)
      if (recent.length < page) return found
    }
  })

const problemOf = ({ runId, workflow, status }: Pick<RunSummary, "runId" | "workflow" | "status">, problem: string): Replayed => ({
  ...{ runId, workflow, status, parent: null, isChanged: false, problem },
  ...{ findings: [], compared: 0, unreached: [], uncompared: [] },
})

/** A report and those of its child runs, as a list. */
const listOf = (report: ReplayReport, parent: string | null): ReadonlyArray<Replayed> => {
  const { runId, workflow, status, findings, compared, unreached, uncompared, children } = report
  const own: Replayed = {
    ...{ runId, workflow, status, parent, problem: null, compared, unreached, uncompared },
    isChanged: hasChanged({ ...report, children: [] }),
    findings: findings.map((finding) => ({ message: describe(finding), finding })),
  }
  return [own, ...children.flatMap((child) => listOf(child, runId))]
}

/** Replays a run with the code in a file. What keeps it from that is told as its problem. */
const replayed = ({ file, storage }: Database, run: RunSummary, options: Options) =>
  Effect.gen(function* () {
    const source = options.file ?? (yield* sourceOf(storage, run.runId))
    if (source === undefined) return [problemOf(run, "the file of its code is not known. Name it with --file")]
    const folder = options.file === undefined ? dirname(file) : process.cwd()
    const loaded = yield* load(source, { folder, exported: options.export })
    const definition = definitionFor(loaded, run.workflow) ?? (loaded.all.length === 1 ? loaded.workflow.definition : undefined)
    if (definition === undefined) return [problemOf(run, `${loaded.path} has no workflow "${run.workflow}"`)]
    const report = yield* replayRun(definition, run.runId)
    return listOf(report, null)
  }).pipe(
    Effect.catchTags({
      InvalidWorkflowFile: (error) => Effect.succeed([problemOf(run, error.message)]),
      WorkflowMismatch: (error) => Effect.succeed([problemOf(run, error.message)]),
      RunNotFound: (error) => Effect.succeed([problemOf(run, error.message)]),
    }),
  )

export const replay = (options: Options) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { all, run, since, workflow } = options
      if (all === (run !== undefined)) return yield* invalid(all ? "Name a run or use --all, not both" : "Name a run, or use --all")
      if (!all && (since !== undefined || workflow !== undefined)) return yield* invalid("--since and --workflow are for --all")
      const from = yield* startOf(since)
      const database = yield* connect(options.db, "read")
      const { storage } = database
      const runs =
        run === undefined ? yield* runsSince(database, from, workflow) : [(yield* storage.run(yield* findRun(database, run))).run]
      const found = yield* Effect.forEach(runs, (one) => replayed(database, one, options)).pipe(
        Effect.provide(ports(storage)),
        Effect.provide(AgentProgram.layer),
      )
      const reports = found.flat()
      const changed = reports.filter(({ isChanged }) => isChanged).length
      const problems = reports.filter(({ problem }) => problem !== null).length
      const value = { runs: reports, changed, problems }
      const code = changed + problems > 0 ? Exit.failed : Exit.finished
      return { value, text: textOf(value, all), code } satisfies Reply
    }),
  )

const textOf = (
  { runs, changed, problems }: { readonly runs: ReadonlyArray<Replayed>; readonly changed: number; readonly problems: number },
  isList: boolean,
): string => {
  const lines = runs.flatMap((run) => {
    const { runId, workflow, findings, problem, compared, unreached, uncompared } = run
    if (problem !== null) return [`${runId} (${workflow}): cannot be replayed: ${problem}`]
    if (isList && findings.length === 0) return []
    const state = findings.length === 0 ? "would be the same" : plural(findings.length, "finding")
    return [
      `${runId} (${workflow}): ${state}; ${compared} compared${unreached.length === 0 ? "" : `, ${unreached.length} not reached`}.`,
      ...findings.map(({ message, finding }) => `  frame ${finding.frame}: ${message}`),
      ...uncompared.map(({ key, reason }) => `  not compared: "${key}": ${reason}`),
    ]
  })
  if (!isList) return lines.join("\n")
  const summary = `${plural(runs.length, "run")}: ${changed} would change${problems === 0 ? "" : `, ${problems} cannot be replayed`}.`
  return [...lines, summary].join("\n")
}
