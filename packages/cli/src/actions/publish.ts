/**
 * Commands that publish events and list them.
 */
import * as Commands from "@smithers/core/Commands"
import type { InvalidSetting } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import type { PublishedEvent } from "@smithers/core/Published"
import { ports } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import { oneLine, span } from "@smithers/server/views/Text"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { connect } from "../Database.ts"
import { InvalidUsage } from "../Errors.ts"
import * as Input from "../Input.ts"
import { Screen, widthOf } from "../Screen.ts"
import { table } from "../Table.ts"

interface PublishOptions {
  readonly db: string | undefined
  readonly name: string
  readonly id: string | undefined
  readonly data: string | undefined
  readonly correlation: string | undefined
  readonly keep: string | undefined
}

const invalid = (problem: string) => new InvalidUsage({ problem, command: "publish" })

/** Options of the command by the settings they give. */
const optionNames: Readonly<Record<string, string>> = { payload: "--data", name: "The name" }

const asUsage = ({ setting, received, expected }: InvalidSetting) =>
  invalid(`${optionNames[setting] ?? `--${setting}`} is ${received}: it must be ${expected}`)

const takers = ({ takenBy }: PublishedEvent): string => takenBy.map(({ runId }) => runId).join(", ")

export const publish = ({ db: location, name, id, ...asked }: PublishOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      if (id === undefined) return yield* invalid("Give the id to deduplicate by: --id delivery-77")
      const payload = asked.data === undefined ? undefined : yield* Input.read("--data", asked.data)
      const keep = asked.keep === undefined ? undefined : Millis.parseDuration(asked.keep, "s")
      if (keep?._tag === "Left") return yield* invalid(`--keep must be a time such as 12h or 30d, not "${asked.keep}"`)
      const { file: db, storage } = yield* connect(location, "write")
      const options = { id, ...defined({ payload, correlation: asked.correlation, keep: keep?.right }) }
      const event = yield* Effect.provide(
        Effect.catchTag(Commands.publish(name, options), "InvalidSetting", asUsage),
        ports(storage),
      )
      const now = yield* Clock.currentTimeMillis
      const left = event.keptUntil - now
      const kept = left > 0 ? `It is kept for ${span(left)} for one that comes.` : "It is not kept."
      const text =
        event.takenBy.length === 0
          ? `No run waits for event ${name}. ${kept}`
          : `Published event ${name}. Taken by ${takers(event)}.`
      return { value: { db, event }, text: oneLine(text) }
    }),
  )

export const list = (options: {
  readonly db: string | undefined
  readonly id: string | undefined
  readonly limit: number | undefined
}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { file: db, storage } = yield* connect(options.db, "read")
      const { limit = 50 } = options
      const all = yield* storage.published({ ...defined({ id: options.id }), limit: limit + 1 })
      const events = all.slice(0, limit)
      const now = yield* Clock.currentTimeMillis
      const rows = events.map((event) => [
        event.id,
        event.name,
        event.correlation ?? "",
        `${span(now - event.at)} ago`,
        event.takenBy.length > 0 ? takers(event) : event.keptUntil > now ? `kept for ${span(event.keptUntil - now)}` : "nobody",
      ])
      const text =
        rows.length === 0
          ? "No events."
          : table(["ID", "EVENT", "CORRELATION", "PUBLISHED", "TAKEN BY"], rows, widthOf(yield* Screen))
      return { value: { db, events, hasMore: all.length > limit }, text }
    }),
  )
