/**
 * Commands for webhooks: signals that other services send.
 */
import * as Hooks from "@smithers/server/http/Hooks"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { locate } from "../Database.ts"
import { table } from "../Table.ts"

/** File of the hooks with their secrets. */
export const fileOf = (db: string): string => `${db}.hooks`

interface HookOptions {
  readonly db: string | undefined
  readonly workflow: string
  readonly signal: string | undefined
}

/** The name of a hook: two words are a workflow and its signal, and one is an event. */
const nameOf = ({ workflow, signal }: Omit<HookOptions, "db">) =>
  signal === undefined ? { workflow: null, signal: workflow } : { workflow, signal }

export const add = ({ db, ...words }: HookOptions) =>
  Effect.gen(function* () {
    const { workflow, signal } = nameOf(words)
    const file = fileOf(yield* locate(db))
    const secret = yield* Hooks.add(file, { workflow, signal, createdAt: yield* Clock.currentTimeMillis })
    const path = Hooks.pathOf({ workflow, signal })
    const text = `${secret}\nDeliveries that are signed with this secret go to POST ${path} of "smithers serve". It is not shown again.`
    return { value: { workflow, signal, path, secret }, text }
  })

export const list = ({ db }: Pick<HookOptions, "db">) =>
  Effect.gen(function* () {
    const known = yield* Hooks.list(fileOf(yield* locate(db)))
    const hooks = known.map(({ workflow, signal, createdAt }) => ({
      workflow,
      signal,
      path: Hooks.pathOf({ workflow, signal }),
      createdAt,
    }))
    const rows = hooks.map(({ workflow, signal, path, createdAt }) => [
      workflow ?? "",
      signal,
      path,
      new Date(createdAt).toISOString(),
    ])
    const text = rows.length === 0 ? "There are no hooks." : table(["WORKFLOW", "SIGNAL OR EVENT", "PATH", "ADDED"], rows)
    return { value: { hooks }, text }
  })

export const remove = ({ db, ...words }: HookOptions) =>
  Effect.gen(function* () {
    const { workflow, signal } = nameOf(words)
    yield* Hooks.remove(fileOf(yield* locate(db)), { workflow, signal })
    return {
      value: { workflow, signal },
      text: `Removed the hook for ${workflow === null ? `event "${signal}"` : `"${signal}" of ${workflow}`}.`,
    }
  })
