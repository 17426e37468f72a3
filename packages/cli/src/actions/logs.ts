/**
 * Commands that print events.
 */
import * as Millis from "@smithers/core/Millis"
import * as RunLog from "@smithers/core/RunLog"
import type { LoggedEvent } from "@smithers/core/RunReader"
import { line } from "@smithers/server/views/Progress"
import { json } from "@smithers/server/views/Text"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { connectRun } from "../Database.ts"
import type { Reply } from "../Definition.ts"
import { InvalidUsage } from "../Errors.ts"
import { Event } from "../Output.ts"
import { Screen } from "../Screen.ts"

interface LogsOptions {
  readonly db: string | undefined
  readonly run: string
  readonly follow: boolean
  readonly since: string | undefined
  readonly type: ReadonlyArray<string>
  readonly limit: number | undefined
}

const emptyReply: Reply = { value: undefined, text: "" }

const encode = Schema.encodeUnknownSync(Event)

/** Parses a sequence number or an age. */
export const sinceOf = (since: string | undefined, command: string) =>
  Effect.gen(function* () {
    if (since === undefined) return { afterSeq: 0, from: 0 }
    if (/^\d+$/.test(since)) return { afterSeq: Number(since), from: 0 }
    const ago = Millis.parseDuration(since, "s")
    if (Either.isLeft(ago)) {
      return yield* new InvalidUsage({
        problem: `--since must be a time such as 10m or 2h, or the sequence number of an event, not "${since}"`,
        command,
      })
    }
    return { afterSeq: 0, from: (yield* Clock.currentTimeMillis) - ago.right }
  })

const print = (options: LogsOptions, command: string, text: (event: LoggedEvent, createdAt: number) => string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const screen = yield* Screen
      const { storage, runId } = yield* connectRun(options.db, options.run)
      const { afterSeq, from } = yield* sinceOf(options.since, command)
      const [created] = yield* storage.events(runId, { limit: 1 })
      const wanted = new Set(options.type)
      const isWanted = ({ event, at }: LoggedEvent) => at >= from && (wanted.size === 0 || wanted.has(event._tag))
      const show = (event: LoggedEvent) =>
        screen.print(screen.isJson ? encode(event) : undefined, text(event, created?.at ?? event.at))
      let seen = afterSeq
      if (options.limit !== undefined) {
        const there = Stream.tap(RunLog.read(storage, runId, { afterSeq }), ({ seq }) =>
          Effect.sync(() => {
            seen = seq
          }),
        )
        yield* Stream.runForEach(Stream.takeRight(Stream.filter(there, isWanted), options.limit), show)
      }
      // An ended run that is not resumed has no further events.
      const events = options.follow
        ? RunLog.follow(storage, runId, { afterSeq: seen, until: RunLog.ended(storage, runId) })
        : RunLog.read(storage, runId, { afterSeq: seen })
      yield* Stream.runForEach(Stream.filter(events, isWanted), show)
      return emptyReply
    }),
  )

/** Prints one line per event. */
export const logs = (options: LogsOptions) => print(options, "logs", line)

export const events = (options: LogsOptions) => print(options, "events", (event) => json(encode(event)) ?? "")
