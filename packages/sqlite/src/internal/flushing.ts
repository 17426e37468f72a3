/**
 * Flushes the write-ahead log to the disk beside the event loop. A command of a person or a program must survive a power failure before its
 * sender is told so; the run that it is for need not wait for the disk, nor need anything else in the process. What the run
 * makes of it stands behind it in the log, so that a power failure loses both or neither.
 *
 * Flushes that are asked for while one is at work share the next.
 */
import * as fs from "node:fs"

export interface Flushing {
  /** `false` if there is no log, or if a flush of it would not reach the disk. Commits must be `full` then. */
  readonly isPossible: () => boolean
  /** Calls back once all that is committed is on the disk, with the error if that failed. Call it only if that {@link isPossible}. */
  readonly flush: (done: Done) => void
  /** Flushes what is asked for, at once. */
  readonly close: () => void
}

/** Called with what was thrown, or with nothing. */
type Done = (thrown?: unknown) => void

/** On macOS a flush may end in the cache of the disk. */
const reachesDisk = process.platform !== "darwin"

/** Makes the flushing of the log of a database; `file` is `undefined` for one in memory. A log that is new to its folder is not flushed into it. */
export const make = (file: string | undefined): Flushing => {
  /** The log. It stays the same file as long as the connection is open. */
  let log: number | undefined
  let [isAtWork, isClosed] = [false, false]
  let waiting: Array<Done> = []

  const opened = (): number | undefined => {
    if (log !== undefined || file === undefined || !reachesDisk || isClosed) return log
    try {
      log = fs.openSync(`${file}-wal`, "r+")
    } catch {
      // Nothing was written yet, or it is out of reach: commits flush themselves.
    }
    return log
  }

  const begin = (descriptor: number): void => {
    const asking = waiting
    waiting = []
    isAtWork = true
    fs.fsync(descriptor, (error) => {
      isAtWork = false
      if (isClosed) fs.closeSync(descriptor)
      else if (waiting.length > 0) begin(descriptor)
      for (const done of asking) done(error ?? undefined)
    })
  }

  return {
    isPossible: () => opened() !== undefined,
    flush: (done) => {
      waiting.push(done)
      if (!isAtWork && log !== undefined) begin(log)
    },
    close: () => {
      isClosed = true
      const asking = waiting
      waiting = []
      if (log === undefined) return
      let thrown: unknown
      try {
        if (asking.length > 0) fs.fsyncSync(log)
      } catch (error) {
        thrown = error
      }
      if (!isAtWork) fs.closeSync(log)
      log = undefined
      for (const done of asking) done(thrown)
    },
  }
}
