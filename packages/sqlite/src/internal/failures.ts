/**
 * Maps SQLite errors to those of the storage port, and waits for a locked database.
 *
 * Waits use timers of the platform, not the Effect clock: the lock belongs to another process, whose time does not stop in a test.
 * Each try blocks the event loop for at most {@link busyTimeoutMs}; pauses between tries do not block it.
 */
import {
  StoreBusy,
  StoreCorrupt,
  type StoreError,
  StoreFailed,
  StoreFull,
  StoreReadOnly,
  StoreRefused,
  StoreRemoved,
  StoreTooNew,
  type StoreUser,
} from "@smithers/core/Errors"
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import { codeOf } from "./driver.ts"

/**
 * Maximum time that one try may block, in milliseconds. Other processes commit in well under a millisecond, or in a few when they
 * wait for the disk. 5 ms covers that without a visible pause of this process.
 */
export const busyTimeoutMs = 5

/** Pause after the first try, in milliseconds. It grows up to {@link maxPauseMs}. */
export const firstPauseMs = 2

/** Maximum pause between two tries, in milliseconds, and thus the maximum delay after a lock was released. */
const maxPauseMs = 50

/** Returns the next pause, with jitter, so that two processes do not keep colliding. */
export const nextPause = (pauseMs: number): number => Math.min(maxPauseMs, pauseMs * (1.5 + Math.random()))

/** Timeout for a locked database. */
export interface Patience {
  readonly filename: string
  /** Total timeout, in milliseconds. */
  readonly patienceMs: number
  /** Returns the other processes that work on the database. */
  readonly users?: () => ReadonlyArray<StoreUser>
}

type StoreErrorClass =
  | typeof StoreBusy
  | typeof StoreCorrupt
  | typeof StoreFailed
  | typeof StoreFull
  | typeof StoreRemoved
  | typeof StoreReadOnly

/**
 * Error classes by code, or by the first two words of a code. A write to the page cache fails for lack of space, of quota or of
 * permitted file size. A failing device shows later, when the file is synchronised or read.
 */
const classes: { readonly [code: string]: StoreErrorClass } = {
  SQLITE_BUSY: StoreBusy,
  SQLITE_LOCKED: StoreBusy,
  SQLITE_PROTOCOL: StoreBusy,
  SQLITE_FULL: StoreFull,
  SQLITE_IOERR_WRITE: StoreFull,
  SQLITE_IOERR_SHMSIZE: StoreFull,
  SQLITE_CORRUPT: StoreCorrupt,
  SQLITE_NOTADB: StoreCorrupt,
  SQLITE_READONLY: StoreReadOnly,
  SQLITE_PERM: StoreReadOnly,
  ENOSPC: StoreFull,
  EDQUOT: StoreFull,
  EACCES: StoreReadOnly,
  EPERM: StoreReadOnly,
  EROFS: StoreReadOnly,
  SQLITE_READONLY_DBMOVED: StoreRemoved,
  ESTALE: StoreRemoved,
}

/** Returns the error class for an error of the database or the file system; `undefined` for any other. */
export const classOf = (raised: unknown): StoreErrorClass | undefined => {
  const thrown = rawOf(raised)
  // Invalid JSON in a JSON column means corruption.
  if (thrown instanceof SyntaxError) return StoreCorrupt
  const code = codeOf(thrown) ?? systemCodeOf(thrown)
  if (code === undefined) return undefined
  return classes[code] ?? classes[code.split("_", 2).join("_")] ?? StoreFailed
}

/** Returns the code of a file system error; `undefined` for any other. */
const systemCodeOf = (thrown: unknown): string | undefined =>
  thrown instanceof Error && "syscall" in thrown ? String("code" in thrown ? thrown.code : "") : undefined

/** The protocol of the database was raised by a newer version. */
export class Superseded extends Error {
  readonly found: number
  readonly supported: number
  constructor(found: number, supported: number) {
    super(`the database now has layout ${found}`)
    this.found = found
    this.supported = supported
  }
}

/** An error while one event of a frame was written. */
export class Blamed extends Error {
  readonly event: number
  constructor(event: number, thrown: unknown) {
    super("an event of a frame could not be written", { cause: thrown })
    this.event = event
  }
}

/** Calls `write`, and attributes its error to an event of the frame. */
export const blame = (event: number, write: () => void): void => {
  try {
    write()
  } catch (thrown) {
    throw new Blamed(event, thrown)
  }
}

const rawOf = (thrown: unknown): unknown => (thrown instanceof Blamed ? thrown.cause : thrown)

/** Returns `true` if the database rejects the content of a statement, so that a retry is useless. */
const isContent = (thrown: unknown): boolean => {
  const code = codeOf(thrown)
  return code === undefined
    ? systemCodeOf(thrown) === undefined
    : /^SQLITE_(TOOBIG|MISMATCH|RANGE|ERROR|CONSTRAINT_(DATATYPE|CHECK|NOTNULL))/.test(code)
}

/** Returns `true` for a disk error that may be temporary. */
const isTransient = (thrown: unknown): boolean => /^SQLITE_(IOERR|CANTOPEN|NOMEM)/.test(codeOf(thrown) ?? "")

/** Fails with a thrown error. An error that is not the database's is a defect, unless it was thrown while content was written. */
export const failure = (
  operation: string,
  { filename, users }: Pick<Patience, "filename" | "users">,
  thrown: unknown,
): Effect.Effect<never, StoreError> => {
  const raw = rawOf(thrown)
  if (raw instanceof Superseded) return new StoreTooNew({ found: raw.found, supported: raw.supported })
  const detail = `${filename}: ${raw instanceof Error ? raw.message : String(raw)}`
  if (thrown instanceof Blamed && isContent(raw)) return new StoreRefused({ operation, detail, event: thrown.event })
  const Class = classOf(raw)
  if (Class === undefined) return Effect.die(raw)
  if (Class === StoreBusy) return new StoreBusy({ operation, detail, users: users?.() ?? [] })
  return Class === StoreFailed && isTransient(raw)
    ? new StoreFailed({ operation, detail, isTransient: true })
    : new Class({ operation, detail })
}

/** Calls a synchronous function of the database, and retries while it is locked, for `patienceMs` in total. */
export const retryWhileBusy = <A, E>(
  operation: string,
  config: Patience,
  call: () => Either.Either<A, E>,
): Effect.Effect<A, E | StoreError> =>
  Effect.flatten(retried(config.patienceMs, call, (thrown) => failure(operation, config, thrown)))

/** Calls a synchronous function in the same way, with an error made from the thrown one. */
export const retried = <A, E>(
  patienceMs: number,
  call: () => A,
  fail: (thrown: unknown) => Effect.Effect<never, E>,
): Effect.Effect<A, E> =>
  Effect.suspend(() => {
    const deadline = performance.now() + patienceMs
    const attempt = (pauseMs: number): Effect.Effect<A, E> => {
      try {
        return Effect.succeed(call())
      } catch (thrown) {
        if (classOf(thrown) !== StoreBusy || performance.now() >= deadline) return fail(thrown)
        return Effect.flatMap(pause(pauseMs), () => attempt(nextPause(pauseMs)))
      }
    }
    return attempt(firstPauseMs)
  })

const pause = (ms: number): Effect.Effect<void> =>
  Effect.async((resume) => {
    const timer = setTimeout(() => resume(Effect.void), ms)
    return Effect.sync(() => clearTimeout(timer))
  })
