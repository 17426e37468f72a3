/**
 * Commands for the tokens of the API.
 */

import { defined } from "@smithers/core/Struct"
import * as Tokens from "@smithers/server/http/Tokens"
import type { Scope } from "@smithers/server/operations/Caller"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { locate } from "../Database.ts"
import { InvalidUsage } from "../Errors.ts"
import { table } from "../Table.ts"

/** File of the owner's token, and of the hashes of all others. */
export const ownerFileOf = (db: string): string => `${db}.token`
export const fileOf = (db: string): string => `${db}.tokens`

interface AddOptions {
  readonly db: string | undefined
  readonly name: string
  readonly scope: Scope | undefined
  readonly forRun: string | undefined
}

export const add = ({ db, name, scope = "read", forRun: runId }: AddOptions) =>
  Effect.gen(function* () {
    if (!/^[\p{L}\p{N}][\p{L}\p{N} ._@+-]{0,99}$/u.test(name))
      return yield* new InvalidUsage({
        problem: "The name of a token has 1 to 100 letters, digits, blanks and . _ @ + -",
        command: "token add",
      })
    const file = fileOf(yield* locate(db))
    const createdAt = yield* Clock.currentTimeMillis
    const token = yield* Tokens.add(file, { name, scope, createdAt, ...defined({ runId }) })
    const text = `${token}\nThis is the token of ${name}, with the scope ${scope}. It is not shown again.`
    return { value: { name, scope, runId: runId ?? null, token }, text }
  })

export const list = ({ db }: { readonly db: string | undefined }) =>
  Effect.gen(function* () {
    const known = yield* Tokens.list(fileOf(yield* locate(db)))
    const tokens = known.map(({ name, scope, runId = null, createdAt }) => ({ name, scope, runId, createdAt }))
    const rows = tokens.map(({ name, scope, runId, createdAt }) => [name, scope, runId ?? "", new Date(createdAt).toISOString()])
    const text =
      rows.length === 0 ? "There are no tokens besides that of the owner." : table(["NAME", "SCOPE", "RUN", "ADDED"], rows)
    return { value: { tokens }, text }
  })

export const remove = ({ db, name }: { readonly db: string | undefined; readonly name: string }) =>
  Effect.gen(function* () {
    yield* Tokens.remove(fileOf(yield* locate(db)), name)
    return { value: { name }, text: `Removed the token ${name}.` }
  })
