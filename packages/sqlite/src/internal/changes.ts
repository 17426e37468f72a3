/**
 * Notices that something changed: what this store says itself, and what other connections commit, which SQLite counts in
 * `data_version`. It is asked when someone begins to wait and then, by one timer for all who wait, every {@link pollMs}, or every
 * {@link restingPollMs} once nothing has changed for a while.
 */
import { StoreBusy, type StoreError } from "@smithers/core/Errors"
import * as Effect from "effect/Effect"
import type { Connection } from "./connection.ts"
import { classOf, failure } from "./failures.ts"

/** Milliseconds between two looks: short for someone who waits for an answer. A look costs some 2 µs, and waking up for it 100. */
const pollMs = 20

/** The same where nothing changed in the last {@link restsAfter} looks, 5 seconds: half the cost, and still at once for a person. */
const restingPollMs = 40
const restsAfter = 250

export interface Changes {
  /** Says that there is news. */
  readonly bump: () => void
  /** Completes with the current version once it is above `version`. The first is 1. */
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
      // Locked: the next look will tell.
      if (classOf(thrown) !== StoreBusy) tell(failure("changes", { filename }, thrown))
    }
  }

  const lookAgain = (): void => {
    // Waiting must not keep a process alive that has nothing else to do.
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
