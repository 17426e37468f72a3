/**
 * Stores that commands can open, by the scheme of their URL. No other module of the command line knows a database.
 */
import type { InvalidSetting, StoreError } from "@smithers/core/Errors"
import type { StorageShape } from "@smithers/core/Storage"
import { realPath } from "@smithers/sqlite/Location"
import * as Owners from "@smithers/sqlite/Owners"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import { UnknownStore } from "./Errors.ts"

/** Options to open a store. */
interface Opening {
  readonly access: "create" | "write" | "read"
  readonly busyTimeout: Duration.DurationInput
}

interface Kind {
  /** Returns the canonical location of a store, from the URL without its scheme. */
  readonly locate: (name: string) => string
  readonly open: (location: string, opening: Opening) => Effect.Effect<StorageShape, StoreError | InvalidSetting, Scope.Scope>
}

const kinds: { readonly [scheme: string]: Kind } = {
  sqlite: {
    locate: realPath,
    open: (filename, opening) => SqliteStorage.make({ filename, ...opening }),
  },
}

/** Kind of a store that is given as a path. */
const byPath = "sqlite"

/** Parses a URL into the kind of store and the rest. A path is not a URL, even with a colon. */
const parse = (url: string): Either.Either<{ readonly kind: Kind; readonly rest: string }, UnknownStore> => {
  const [, scheme = byPath, rest = url] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/s.exec(url) ?? /^(sqlite):(.*)$/s.exec(url) ?? []
  const kind = Object.hasOwn(kinds, scheme) ? kinds[scheme] : undefined
  return kind === undefined ? Either.left(new UnknownStore({ url, schemes: Object.keys(kinds) })) : Either.right({ kind, rest })
}

/** Returns the canonical location of the store that a URL or path names. */
export const locationOf = (url: string): Either.Either<string, UnknownStore> =>
  Either.map(parse(url), ({ kind, rest }) => kind.locate(rest))

export const open = (
  location: string,
  opening: Opening,
): Effect.Effect<StorageShape, StoreError | InvalidSetting | UnknownStore, Scope.Scope> =>
  Effect.flatMap(parse(location), ({ kind, rest }) => kind.open(rest, opening))

/** Functions of the processes that own runs. */
export const owners = Owners

/** Loads the maintenance of a store, which few commands need. */
export const maintenance = () => import("@smithers/sqlite/Maintenance")
