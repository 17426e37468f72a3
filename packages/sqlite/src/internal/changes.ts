/**
 * Detects changes: those of this store itself, and commits of other connections, which SQLite counts in `data_version`. It is
 * checked when a wait begins, and then by one timer for all waits every {@link pollMs}, or every {@link restingPollMs} after a
 * while without changes.
 */
import { StoreBusy, type StoreError } from "@smithers/core/Errors"
import * as Effect from "effect/Effect"
import type { Connection } from "./connection.ts"
import { classOf, failure } from "./failures.ts"

/** Polling interval in milliseconds. Short, for interactive use. A check costs about 2 µs, the wake-up 100 µs. */
const pollMs = 20

/**
 * Polling interval in milliseconds after {@link restsAfter} checks without a change (5 seconds). Half the cost, and still instant
 * for a person.
 */
const restingPollMs = 40
const restsAfter = 250

export interface Changes {
  /** Reports a change. */
  readonly bump: () => void
  /** Completes with the current version once it exceeds `version`. The first version is 1. */
  readonly after: (version: number) => Effect.Effect<number, StoreError>
}

/** Watches a connection. */
export const make = (connection: Connection, filename: string): Changes => {
  const dataVersion = connection.prepare<[number]>("PRAGMA data_version")
  const waiting = new Set<(news: Effect.Effect<number, StoreError>) => void>()
  let seen = dataVersion.values()[0]?.[0]
  let version = 1
  let timer: ReturnType<typeof setTimeout> | undefined
  let quietLooks = 0

  const tell = (news: Effect.Effect<number, StoreError>): void => {
    for (const resume of waiting) resume(news)
    waiting.clear()
    rest()
  }
  const rest = (): void => {
    if (waiting.size > 0) return
    clearTimeout(timer)
    timer = undefined
  }
  const bump = (): void => {
    quietLooks = 0
    version++
    tell(Effect.succeed(version))
  }
  const look = (): void => {
    connection.ensureOpen()
    const found = dataVersion.values()[0]?.[0]
    if (found === seen) return
    seen = found
    bump()
  }
  const poll = (): void => {
    try {
      look()
    } catch (thrown) {
      // Locked: the next check will tell.
      if (classOf(thrown) !== StoreBusy) tell(failure("changes", { filename }, thrown))
    }
  }

  const lookAgain = (): void => {
    // The timer must not keep the process alive.
    timer ??= setTimeout(
      () => {
        timer = undefined
        quietLooks++
        poll()
        if (waiting.size > 0) lookAgain()
      },
      quietLooks < restsAfter ? pollMs : restingPollMs,
    ).unref()
  }

  return {
    bump,
    after: (known) =>
      Effect.async((resume) => {
        waiting.add(resume)
        poll()
        if (!waiting.has(resume)) return
        if (version > known) {
          waiting.delete(resume)
          return resume(Effect.succeed(version))
        }
        lookAgain()
        return Effect.sync(() => {
          waiting.delete(resume)
          rest()
        })
      }),
  }
}
