/**
 * Commands that show and clear the cache of outputs.
 */
import * as Millis from "@smithers/core/Millis"
import { defined } from "@smithers/core/Struct"
import { plural, span } from "@smithers/server/views/Text"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { locate, open } from "../Database.ts"
import { InvalidUsage } from "../Errors.ts"
import { Screen, widthOf } from "../Screen.ts"
import * as Stores from "../Stores.ts"
import { table } from "../Table.ts"

interface CacheOptions {
  readonly db: string | undefined
  readonly workflow: string | undefined
  readonly node: string | undefined
  readonly run: string | undefined
}

const selectionOf = ({ workflow, node: nodeId, run: runId }: CacheOptions) => defined({ workflow, nodeId, runId })

export const list = (options: CacheOptions & { readonly limit: number | undefined }) =>
  Effect.gen(function* () {
    const db = yield* locate(options.db)
    yield* Effect.scoped(open(db, "read"))
    const maintenance = yield* Effect.promise(Stores.maintenance)
    const { limit = 50 } = options
    const found = yield* maintenance.cachedOutputs(db, selectionOf(options), limit + 1)
    const outputs = found.slice(0, limit)
    const now = yield* Clock.currentTimeMillis
    const rows = outputs.map(({ workflow, nodeId, runId, at, isShared }) => [
      workflow,
      nodeId,
      runId,
      `${span(now - at)} ago`,
      isShared ? "all steps" : "this step",
    ])
    const text =
      rows.length === 0 ? "No output is cached." : table(["WORKFLOW", "NODE", "RUN", "STORED", "FOR"], rows, widthOf(yield* Screen))
    return { value: { db, outputs, hasMore: found.length > limit }, text }
  })

export const clear = (options: CacheOptions & { readonly olderThan: string | undefined; readonly all: boolean }) =>
  Effect.gen(function* () {
    const invalid = (problem: string) => new InvalidUsage({ problem, command: "cache clear" })
    const selection = selectionOf(options)
    const { olderThan } = options
    if (Object.keys(selection).length === 0 && olderThan === undefined && !options.all)
      return yield* invalid("Name what to forget: --workflow, --node, --run, --older-than, or --all")
    const age =
      olderThan === undefined
        ? undefined
        : yield* Either.mapLeft(Millis.parseDuration(olderThan, "s"), () =>
            invalid(`--older-than must be a time such as 12h or 30d, not "${olderThan}"`),
          )
    const db = yield* locate(options.db)
    yield* Effect.scoped(open(db, "write"))
    const maintenance = yield* Effect.promise(Stores.maintenance)
    const now = yield* Clock.currentTimeMillis
    const before = age === undefined ? {} : { before: now - age }
    const count = yield* maintenance.clearCache(db, { ...selection, ...before })
    return { value: { db, count }, text: `Forgot ${plural(count, "cached output")}.` }
  })
