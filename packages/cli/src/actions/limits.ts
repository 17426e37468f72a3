/**
 * Commands that show and set the limits of a store.
 */
import * as Limits from "@smithers/core/Limits"
import * as Millis from "@smithers/core/Millis"
import { defined } from "@smithers/core/Struct"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { connect, locate, open } from "../Database.ts"
import { InvalidUsage } from "../Errors.ts"
import { Screen, widthOf } from "../Screen.ts"
import { table } from "../Table.ts"

const limitText = ({ concurrency, ...rates }: Limits.Limit): string =>
  [
    ...(concurrency === undefined ? [] : [`${concurrency} at once`]),
    ...Limits.windows.flatMap(([field]) =>
      field in rates && rates[field] !== undefined ? [`${rates[field]} ${field.replace("per", "per ").toLowerCase()}`] : [],
    ),
  ].join(", ")

export const list = (options: { readonly db: string | undefined }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { file: db, storage } = yield* connect(options.db, "read")
      const limits = yield* storage.limits
      const rows = limits.map(({ name, limit, held, waiting }) => [name, limitText(limit), String(held), String(waiting)])
      const text =
        rows.length === 0
          ? "The store has no limits. Set one: smithers limit set NAME --concurrency NUMBER"
          : table(["LIMIT", "BOUND", "HELD", "WAITING"], rows, widthOf(yield* Screen))
      return { value: { db, limits }, text }
    }),
  )

export const set = (options: {
  readonly db: string | undefined
  readonly name: string
  readonly concurrency: number | undefined
  readonly perSecond: number | undefined
  readonly perMinute: number | undefined
  readonly perHour: number | undefined
}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { name, concurrency, perSecond, perMinute, perHour } = options
      const limit = defined({ concurrency, perSecond, perMinute, perHour })
      const invalid = (problem: string) => new InvalidUsage({ problem, command: "limit set" })
      if (Object.keys(limit).length === 0)
        return yield* invalid("Give one bound at least: --concurrency, --per-second, --per-minute or --per-hour")
      const limits = yield* Either.mapLeft(Limits.read({ [name]: limit }), (error) => invalid(error.message))
      const db = yield* locate(options.db)
      const storage = yield* open(db, "create")
      yield* storage.configureLimits(limits, yield* Millis.now)
      return { value: { db, name, limit }, text: `${name}: ${limitText(limit)}, for all runs of ${db} from now on.` }
    }),
  )
