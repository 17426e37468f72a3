/**
 * Lists runs.
 */
import type { StoreError } from "@smithers/core/Errors"
import type { RunFilter, RunSummary, WaitSummary } from "@smithers/core/RunReader"
import type { SlotWait } from "@smithers/core/Slots"
import * as Status from "@smithers/core/Status"
import type { StorageShape } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import { commandLine, type Option } from "@smithers/server/views/CommandLine"
import { nameOf } from "@smithers/server/views/Parts"
import { stuckRuns } from "@smithers/server/views/Stuck"
import { plural, shorten, span } from "@smithers/server/views/Text"
import { awaited } from "@smithers/server/views/Waits"
import { slotLine, waitLine } from "@smithers/server/views/Why"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { connect, type Database, findRun } from "../Database.ts"
import { InvalidUsage } from "../Errors.ts"
import { Screen, widthOf } from "../Screen.ts"
import { owners } from "../Stores.ts"
import { table } from "../Table.ts"
import { money, type Total, totalOf } from "./costs.ts"

interface PsOptions {
  readonly db: string | undefined
  readonly status: ReadonlyArray<RunSummary["status"]>
  readonly workflow: string | undefined
  readonly tag: string | undefined
  readonly find: string | undefined
  readonly stuck: boolean
  readonly children: boolean
  readonly parent: string | undefined
  readonly forkedFrom: string | undefined
  readonly limit: number | undefined
  readonly before: string | undefined
  readonly watch: boolean
}

/** Ids of the runs named by options. */
interface Named {
  readonly before: string | undefined
  /** `true` if the run before the page is a child run. */
  readonly isBeforeChild: boolean
  readonly parent: string | undefined
  readonly forkedFrom: string | undefined
}

/** Default for `--limit`: a screenful. */
const usualLimit = 20

/** A run of a page; of a stuck one with the time since which it is. */
interface Listed {
  readonly run: RunSummary
  readonly stuckSince?: number
}

/** Runs of a page, and whether older ones exist. */
interface Part {
  readonly shown: ReadonlyArray<Listed>
  readonly hasMore: boolean
}

const noPart: Part = { shown: [], hasMore: false }

/** Returns `true` if child runs are listed too: with `--children`, `--stuck` or `--workflow`. */
const listsChildren = ({ children, workflow, stuck }: PsOptions): boolean => children || stuck || workflow !== undefined

/** Reads a page: root runs first, then child runs if requested. */
const pageOf = (storage: StorageShape, options: PsOptions, { before, isBeforeChild, parent, forkedFrom }: Named) =>
  Effect.gen(function* () {
    const { status, workflow, tag, find, limit = usualLimit } = options
    const runs = (filter: RunFilter): Effect.Effect<ReadonlyArray<Listed>, StoreError> =>
      options.stuck
        ? Effect.map(stuckRuns(storage, filter), (found) => found.map(({ run, since }) => ({ run, stuckSince: since })))
        : Effect.map(storage.runs(filter), (found) => found.map((run) => ({ run })))
    const part = (filter: RunFilter) =>
      Effect.map(
        runs({
          ...(status.length === 0 ? {} : { status }),
          ...defined({ workflow, tag, forkedFrom, text: find }),
          ...filter,
          limit: limit + 1,
        }),
        (found): Part => ({ shown: found.slice(0, limit), hasMore: found.length > limit }),
      )
    const after = defined({ before })
    if (parent !== undefined) return { roots: noPart, children: yield* part({ parent, ...after }) }
    if (options.stuck) return { roots: noPart, children: yield* part(after) }
    const isAll = listsChildren(options)
    const isAfterRoots = isBeforeChild && isAll
    const roots = isAfterRoots ? noPart : yield* part({ isChild: false, ...after })
    const children = isAll ? yield* part({ isChild: true, ...(isAfterRoots ? after : {}) }) : noPart
    return { roots, children }
  })

const list = ({ file, storage }: Database, options: PsOptions, named: Named) =>
  Effect.gen(function* () {
    const page = yield* pageOf(storage, options, named)
    const listed = [...page.roots.shown, ...page.children.shown]
    const shown = listed.map(({ run }) => run)
    const waits = yield* waitsOf(storage, shown)
    const slots = yield* slotsOf(storage, shown)
    const totals = yield* totalsOf(storage, shown)
    const runs = listed.map(({ run, stuckSince }) => ({
      ...run,
      ...defined({ stuckSince }),
      usage: totals.get(run.runId) ?? totalOf([]),
      waits: (waits.get(run.runId) ?? []).map((wait) => inShort(wait, run.runId)),
      ...defined({ slots: slots.get(run.runId) }),
    }))
    const hasMore = page.roots.hasMore || page.children.hasMore
    return { value: { db: file, runs, hasMore }, text: yield* show(page, { waits, slots, totals }, { file, options }) }
  })

const inShort = ({ runId, nodeId, iteration, kind, deadline }: WaitSummary, of: string) => ({
  ...(runId === of ? {} : { runId }),
  ...{ nodeId, iteration },
  ...{ kind, deadline },
})

/** Returns the open waits of a page's runs. Queries nothing if no run waits. */
const waitsOf = (storage: StorageShape, runs: ReadonlyArray<RunSummary>) => {
  const runIds = runs.flatMap(({ runId, status }) => (Status.isEnded(status) || status === "paused" ? [] : [runId]))
  return runIds.length === 0 ? Effect.succeed(new Map<string, ReadonlyArray<WaitSummary>>()) : awaited(storage, runIds)
}

/** Returns the slots that the runs of a page were released to wait for. Queries nothing if there are none. */
const slotsOf = (storage: StorageShape, runs: ReadonlyArray<RunSummary>) =>
  Effect.gen(function* () {
    const found = new Map<string, ReadonlyArray<SlotWait>>()
    for (const { runId, status, owner } of runs) {
      if (owner !== null || status !== "waiting-quota") continue
      const slots = yield* storage.slotWaits(runId)
      if (slots.length > 0) found.set(runId, slots)
    }
    return found
  })

/** What the agents of runs have used, with those of the runs below them. Runs without agents are left out. */
const totalsOf = (storage: StorageShape, runs: ReadonlyArray<RunSummary>) =>
  Effect.gen(function* () {
    const usage = yield* storage.usage({ runIds: runs.map(({ runId }) => runId) })
    const totals = new Map<string, Total>()
    if (usage.length === 0) return totals
    for (const { runId, children } of runs) {
      const rows = children === 0 ? usage.filter((row) => row.runId === runId) : yield* storage.usage({ runIds: [runId] })
      if (rows.length > 0) totals.set(runId, totalOf(rows))
    }
    return totals
  })

const spent = (total: Total | undefined): ReadonlyArray<string> =>
  total === undefined ? ["", ""] : [String(total.tokens), money(total)]

const show = (
  { roots, children }: { readonly roots: Part; readonly children: Part },
  {
    waits,
    slots,
    totals,
  }: {
    readonly waits: ReadonlyMap<string, ReadonlyArray<WaitSummary>>
    readonly slots: ReadonlyMap<string, ReadonlyArray<SlotWait>>
    readonly totals: ReadonlyMap<string, Total>
  },
  { file, options }: { readonly file: string; readonly options: PsOptions },
) =>
  Effect.gen(function* () {
    const listed = [...roots.shown, ...children.shown]
    const runs = listed.map(({ run }) => run)
    const filters: ReadonlyArray<Option> = [
      ...options.status.map((status) => ["status", status] as const),
      ...(options.workflow === undefined ? [] : [["workflow", options.workflow] as const]),
      ...(options.tag === undefined ? [] : [["tag", options.tag] as const]),
      ...(options.find === undefined ? [] : [["find", options.find] as const]),
      ...(options.children ? ["children"] : []),
      ...(options.stuck ? ["stuck"] : []),
      ...(options.parent === undefined ? [] : [["parent", options.parent] as const]),
      ...(options.forkedFrom === undefined ? [] : [["forked-from", options.forkedFrom] as const]),
    ]
    const isWhole = filters.length === 0 && options.before === undefined
    if (runs.length === 0)
      return isWhole ? `No runs in ${file}. Run "smithers up <workflow>" to start one.` : `No matching runs in ${file}.`
    const now = yield* Clock.currentTimeMillis
    // Runs without agents have no costs to show.
    const hasCosts = runs.some(({ runId }) => totals.has(runId))
    const rows = listed.map(({ run, stuckSince }) => {
      const wait = waits.get(run.runId)?.[0]
      const stuck = owners.isAlive(run, now) ? null : run.stuck
      const [slot] = slots.get(run.runId) ?? []
      const queued = slot === undefined ? "" : `${nameOf(slot.nodeId)}: ${slotLine(slot)}`
      const waitsFor = wait === undefined ? queued : `${nameOf(wait.nodeId)}: ${waitLine(wait, now)}`
      return [
        run.runId,
        run.workflow,
        run.status,
        `${span(now - run.createdAt)} ago`,
        span((run.finishedAt ?? now) - run.createdAt),
        ...(options.stuck ? [stuckSince === undefined ? "" : span(now - stuckSince)] : []),
        ...(hasCosts ? spent(totals.get(run.runId)) : []),
        shorten(stuck === null ? waitsFor : `stuck: ${stuck.error.message}`, 60),
      ]
    })
    const size: ReadonlyArray<Option> = options.limit === undefined ? [] : [["limit", String(options.limit)]]
    const older = ({ shown, hasMore }: Part, what: string) => {
      const last = shown.at(-1)?.run.runId
      if (!hasMore || last === undefined) return ""
      return `\n… ${options.stuck ? "more" : "older"} ${what}: ${commandLine(options.db, "ps", [], [...filters, ...size, ["before", last]])}`
    }
    const hidden = listsChildren(options) || options.parent !== undefined ? 0 : runs.reduce((count, run) => count + run.children, 0)
    const also = hidden === 0 ? "" : `\n… and ${plural(hidden, "child run")}: ${commandLine(options.db, "ps", [], ["children"])}`
    const text = table(
      [
        ...["RUN", "WORKFLOW", "STATUS", "CREATED", "TIME"],
        ...(options.stuck ? ["STUCK FOR"] : []),
        ...(hasCosts ? ["TOKENS", "COST"] : []),
        "WAITS FOR",
      ],
      rows,
      widthOf(yield* Screen),
    )
    return `${text}${older(roots, "ones")}${older(children, roots.shown.length > 0 ? "child runs" : "ones")}${also}`
  })

/** Lists runs, once or until stopped. */
export const ps = (options: PsOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      if (options.limit !== undefined && options.limit < 1) {
        return yield* new InvalidUsage({ problem: "--limit must be at least 1", command: "ps" })
      }
      const database = yield* connect(options.db, "read")
      const find = (run: string | undefined) => (run === undefined ? Effect.succeed(undefined) : findRun(database, run))
      const before = yield* find(options.before)
      const isBeforeChild = before !== undefined && (yield* database.storage.run(before)).run.parent !== null
      const named: Named = {
        before,
        isBeforeChild,
        parent: yield* find(options.parent),
        forkedFrom: yield* find(options.forkedFrom),
      }
      const first = yield* list(database, options, named)
      if (!options.watch) return first
      const screen = yield* Screen
      for (let page = first, version = -1, shown = ""; ; ) {
        if (page.text !== shown) {
          if (screen.isLive) screen.draw("\u001b[H\u001b[2J")
          yield* screen.print(page.value, page.text)
          shown = page.text
        }
        version = yield* database.storage.changes(version)
        // Batches changes that come together.
        yield* Effect.sleep("100 millis")
        page = yield* list(database, options, named)
      }
    }),
  )
