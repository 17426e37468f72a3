/**
 * Detects changes: those of this store itself, and commits of other connections, which SQLite counts in `data_version`. It is
 * checked when a wait begins, and then by one timer for all waits every few milliseconds. After a while without changes the runtime
 * watches the log of the database instead, to which each commit writes, and the timer only sees what a watch may miss.
 */
import * as fs from "node:fs"
import { StoreBusy, type StoreError } from "@smithers/core/Errors"
import * as Effect from "effect/Effect"
import type { Connection } from "./connection.ts"
import { classOf, failure } from "./failures.ts"

/** Polling interval in milliseconds. Short, for interactive use. A check costs about 2 µs, the wake-up 100 µs. */
const usualPollMs = 20

/** The same of a connection that only reads: it is there to show what happens, such as to the streams of a server. */
export const readingPollMs = 8

/** Time without a change after which the log is watched, in milliseconds. */
const restsAfterMs = 1000

/** Polling interval in milliseconds beside a watch. */
const watchedPollMs = 1000

/** Polling interval in milliseconds where the log cannot be watched. Half the cost, and still instant for a person. */
const restingPollMs = 40

/** Number of checks after a write to the log: its commit is visible a moment later. */
const writtenLooks = 5

export interface Changes {
  /** Reports a change. */
  readonly bump: () => void
  /** Completes with the current version once it exceeds `version`. The first version is 1. */
  readonly after: (version: number) => Effect.Effect<number, StoreError>
}

/** Watches a connection. `quietLooks` is the number of checks without a change so far. */
export const make = (connection: Connection, filename: string, pollMs = usualPollMs, quietLooks = 0): Changes => {
  const restsAfter = restsAfterMs / pollMs
  const dataVersion = connection.prepare<[number]>("PRAGMA data_version")
  const waiting = new Set<(news: Effect.Effect<number, StoreError>) => void>()
  let seen = dataVersion.values()[0]?.[0]
  let version = 1
  let timer: ReturnType<typeof setTimeout> | undefined
  let watcher: fs.FSWatcher | undefined
  let isWatchable = connection.file !== undefined

  const tell = (news: Effect.Effect<number, StoreError>): void => {
    for (const resume of waiting) resume(news)
    waiting.clear()
    rest()
  }
  const stop = (): void => {
    clearTimeout(timer)
    timer = undefined
    watcher?.close()
    watcher = undefined
  }
  const rest = (): void => {
    if (waiting.size === 0) stop()
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

  const goOn = (): void => {
    poll()
    if (waiting.size > 0) lookAgain()
  }
  const onWrite = (): void => {
    if (watcher === undefined) return
    quietLooks = restsAfter - writtenLooks
    stop()
    goOn()
  }
  const onUnwatchable = (): void => {
    isWatchable = false
    stop()
    goOn()
  }
  const watch = (): void => {
    try {
      watcher = fs.watch(`${connection.file}-wal`, { persistent: false }, onWrite)
      watcher.on("error", onUnwatchable)
    } catch {
      // No log, or no room for another watch.
      isWatchable = false
    }
  }

  const lookAgain = (): void => {
    if (timer !== undefined) return
    const isWatched = watcher !== undefined
    if (isWatchable && !isWatched && quietLooks >= restsAfter) watch()
    // Right after the watch has begun, for a commit just before.
    const intervalMs = quietLooks < restsAfter || (!isWatched && isWatchable) ? pollMs : isWatched ? watchedPollMs : restingPollMs
    // The timer must not keep the process alive.
    timer = setTimeout(() => {
      timer = undefined
      quietLooks++
      goOn()
    }, intervalMs).unref()
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
