/**
 * The stores that commands work with, by the scheme of their URL. Nothing else of the command line knows a database.
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

/** How a store is opened. */
interface Opening {
  readonly access: "create" | "write" | "read"
  readonly busyTimeout: Duration.DurationInput
}

interface Kind {
  /** The location of a store as it is kept and compared, from what a URL says after its scheme. */
  readonly locate: (given: string) => string
  readonly open: (location: string, opening: Opening) => Effect.Effect<StorageShape, StoreError | InvalidSetting, Scope.Scope>
}

const kinds: { readonly [scheme: string]: Kind } = {
  sqlite: {
    locate: realPath,
    open: (filename, opening) => SqliteStorage.make({ filename, ...opening }),
  },
}

/** A store that is named by a path is of this kind. */
const byPath = "sqlite"

/** The kind of store that a URL names, and what it says after the scheme. A path is no URL, also where it holds a colon. */
const parse = (url: string): Either.Either<{ readonly kind: Kind; readonly rest: string }, UnknownStore> => {
  const [, scheme = byPath, rest = url] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/s.exec(url) ?? /^(sqlite):(.*)$/s.exec(url) ?? []
  const kind = Object.hasOwn(kinds, scheme) ? kinds[scheme] : undefined
  return kind === undefined ? Either.left(new UnknownStore({ url, schemes: Object.keys(kinds) })) : Either.right({ kind, rest })
}

/** The location of the store that a URL or a path names, as it is kept and compared. */
export const locationOf = (url: string): Either.Either<string, UnknownStore> =>
  Either.map(parse(url), ({ kind, rest }) => kind.locate(rest))

/** Opens the store at a location. */
export const open = (
  location: string,
  opening: Opening,
): Effect.Effect<StorageShape, StoreError | InvalidSetting | UnknownStore, Scope.Scope> =>
  Effect.flatMap(parse(location), ({ kind, rest }) => kind.open(rest, opening))

/** The processes that own runs, as stores name them. */
export const owners = Owners

/** Looks after a store: loaded by the few commands that do. */
export const maintenance = () => import("@smithers/sqlite/Maintenance")
