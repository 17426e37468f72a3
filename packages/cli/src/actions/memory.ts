/**
 * Commands that show and change facts.
 */
import * as Memory from "@smithers/core/Memory"
import * as Millis from "@smithers/core/Millis"
import { defined } from "@smithers/core/Struct"
import { oneLine, plural, shorten, span } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { connect } from "../Database.ts"
import { InvalidUsage, NoSuchFact } from "../Errors.ts"
import * as Input from "../Input.ts"
import { Screen, widthOf } from "../Screen.ts"
import { table } from "../Table.ts"

interface MemoryOptions {
  readonly db: string | undefined
}

interface FactOptions extends MemoryOptions {
  readonly namespace: string
  readonly key: string
}

interface ListOptions extends MemoryOptions {
  readonly namespace: string | undefined
  readonly limit: number | undefined
}

const found = ({ db, namespace, limit = 50 }: ListOptions, query: string | undefined) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { file, storage } = yield* connect(db, "read")
      const now = yield* Millis.now
      const all = yield* storage.facts({ ...defined({ namespace, query }), limit: limit + 1, now })
      const facts = all.slice(0, limit)
      const rows = facts.map((fact) => [
        fact.namespace,
        fact.key,
        shorten(oneLine(Memory.textOf(fact.value)), 80),
        `${span(now - fact.at)} ago`,
        fact.runId ?? "",
      ])
      const text =
        rows.length === 0 ? "No facts." : table(["NAMESPACE", "KEY", "VALUE", "STORED", "BY RUN"], rows, widthOf(yield* Screen))
      return { value: { db: file, facts, hasMore: all.length > limit }, text }
    }),
  )

export const list = (options: ListOptions) => found(options, undefined)

export const search = (options: ListOptions & { readonly query: string }) => found(options, options.query)

export const get = ({ db, namespace, key }: FactOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { file, storage } = yield* connect(db, "read")
      const [fact] = yield* storage.facts({ namespace, keys: [key], limit: 1, now: yield* Millis.now })
      if (fact === undefined) return yield* new NoSuchFact({ namespace, key })
      return { value: { db: file, fact }, text: JSON.stringify(fact.value, null, 2) }
    }),
  )

export const set = ({
  db,
  namespace,
  key,
  ...options
}: FactOptions & { readonly value: string | undefined; readonly ttl: string | undefined }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const invalid = (problem: string) => new InvalidUsage({ problem, command: "memory set" })
      if (options.value === undefined) return yield* invalid(`Give the value: --value '"text"'`)
      const value = yield* Input.read("--value", options.value)
      const ttlMs =
        options.ttl === undefined
          ? undefined
          : yield* Either.mapLeft(Millis.parseDuration(options.ttl, "s"), () =>
              invalid(`--ttl must be a time such as 12h or 30d, not "${options.ttl}"`),
            )
      const checked = yield* Either.mapLeft(Memory.check({ namespace, key, value }), ({ message }) => invalid(message))
      const { file, storage } = yield* connect(db, "write")
      const fact = yield* storage.putFact({ ...checked, ...defined({ ttlMs }), at: yield* Millis.now })
      return { value: { db: file, fact }, text: `Stored ${key} in ${namespace}.` }
    }),
  )

export const remove = ({
  db,
  namespace,
  key,
  all,
}: MemoryOptions & { readonly namespace: string; readonly key: string | undefined; readonly all: boolean }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const invalid = (problem: string) => new InvalidUsage({ problem, command: "memory delete" })
      if (key === undefined && !all) return yield* invalid("Give the key, or --all for the whole namespace")
      if (key !== undefined && all) return yield* invalid("Give the key or --all, not both")
      const { file, storage } = yield* connect(db, "write")
      const count = yield* storage.deleteFacts({ namespace, ...defined({ key }) })
      if (count === 0 && key !== undefined) return yield* new NoSuchFact({ namespace, key })
      return { value: { db: file, count }, text: `Deleted ${plural(count, "fact")}.` }
    }),
  )
