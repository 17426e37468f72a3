/**
 * The list of runs.
 */
import type { RunSummary, StorageShape, WaitSummary } from "@smithers/core/Storage"
import * as Owners from "@smithers/sqlite/Owners"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { commandLine, type Option } from "../CommandLine.ts"
import { connect, type Database, findRun } from "../Database.ts"
import { InvalidUsage } from "../Errors.ts"
import { Screen } from "../Screen.ts"
import { shorten, span, table } from "../Text.ts"
import { waitLine } from "../Why.ts"

interface Given {
  readonly db: string | undefined
  readonly status: ReadonlyArray<RunSummary["status"]>
  readonly workflow: string | undefined
  readonly tag: string | undefined
  readonly limit: number | undefined
  readonly before: string | undefined
  readonly watch: boolean
}

/** Runs on a page unless told: a screenful. */
const usualLimit = 20

const list = ({ file, storage }: Database, given: Given, before: string | undefined) =>
  Effect.gen(function* () {
    const { status, workflow, tag, limit = usualLimit } = given
    const found = yield* storage.runs({
      ...(status.length === 0 ? {} : { status }),
      ...(workflow === undefined ? {} : { workflow }),
      ...(tag === undefined ? {} : { tag }),
      ...(before === undefined ? {} : { before }),
      limit: limit + 1,
    })
    const shown = found.slice(0, limit)
    const waits = Map.groupBy(yield* waitsOf(storage, shown), ({ runId }) => runId)
    const runs = shown.map((run) => ({
      ...run,
      waits: (waits.get(run.runId) ?? []).map(({ nodeId, iteration, kind, deadline }) => ({ nodeId, iteration, kind, deadline })),
    }))
    const hasMore = found.length > limit
    return { value: { db: file, runs, hasMore }, text: yield* show(shown, waits, { file, hasMore, given }) }
  })

/** What the runs of a page wait for, all of it, oldest first; nothing is asked where none waits. */
const waitsOf = (storage: StorageShape, runs: ReadonlyArray<RunSummary>) => {
  const runIds = runs.flatMap(({ runId, status }) => (status === "waiting" || status === "running" ? [runId] : []))
  return runIds.length === 0 ? Effect.succeed([]) : storage.waits({ runIds, limit: Number.MAX_SAFE_INTEGER })
}

const show = (
  runs: ReadonlyArray<RunSummary>,
  waits: ReadonlyMap<string, ReadonlyArray<WaitSummary>>,
  { file, hasMore, given }: { readonly file: string; readonly hasMore: boolean; readonly given: Given },
) =>
  Effect.gen(function* () {
    const filters: ReadonlyArray<Option> = [
      ...given.status.map((status) => ["status", status] as const),
      ...(given.workflow === undefined ? [] : [["workflow", given.workflow] as const]),
      ...(given.tag === undefined ? [] : [["tag", given.tag] as const]),
    ]
    const isWhole = filters.length === 0 && given.before === undefined
    if (runs.length === 0) return isWhole ? `No runs in ${file}. "smithers up <workflow>" starts one.` : `No such runs in ${file}.`
    const now = yield* Clock.currentTimeMillis
    const rows = runs.map((run) => {
      const wait = waits.get(run.runId)?.[0]
      const stuck = Owners.isAlive(run, now) ? null : run.stuck
      const waitsFor = stuck?.error.message ?? (wait === undefined ? "" : `${wait.nodeId}: ${waitLine(wait, now)}`)
      const took = span((run.finishedAt ?? now) - run.createdAt)
      return [
        run.runId,
        run.workflow,
        stuck === null ? run.status : "stuck",
        `${span(now - run.createdAt)} ago`,
        took,
        shorten(waitsFor, 60),
      ]
    })
    const last = runs.at(-1)?.runId ?? ""
    const size: ReadonlyArray<Option> = given.limit === undefined ? [] : [["limit", String(given.limit)]]
    const more = hasMore ? `\n… older ones: ${commandLine(given.db, "ps", [], [...filters, ...size, ["before", last]])}` : ""
    return table(["RUN", "WORKFLOW", "STATUS", "CREATED", "TIME", "WAITS FOR"], rows) + more
  })

/** Lists runs, once or until it is stopped. */
export const ps = (given: Given) =>
  Effect.scoped(
    Effect.gen(function* () {
      if (given.limit !== undefined && given.limit < 1) {
        return yield* new InvalidUsage({ problem: "--limit must be at least 1", command: "ps" })
      }
      const database = yield* connect(given.db, "read")
      const before = given.before === undefined ? undefined : yield* findRun(database, given.before)
      const first = yield* list(database, given, before)
      if (!given.watch) return first
      const screen = yield* Screen
      for (let page = first, version = -1, shown = ""; ; ) {
        if (page.text !== shown) {
          if (screen.isLive) screen.draw("\u001b[H\u001b[2J")
          yield* screen.print(page.value, page.text)
          shown = page.text
        }
        version = yield* database.storage.changes(version)
        // What changes together is shown together.
        yield* Effect.sleep("100 millis")
        page = yield* list(database, given, before)
      }
    }),
  )
