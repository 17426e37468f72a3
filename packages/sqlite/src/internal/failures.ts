/**
 * What SQLite can refuse, as the errors of the port, and how a locked database is waited for.
 *
 * Waiting uses timers of the platform and not the Effect clock: it is about another process, which does not stand still when
 * a test does. Each try blocks the event loop for at most {@link busyTimeoutMs}; the time between two tries does not.
 */
import {
  StoreBusy,
  StoreCorrupt,
  type StoreError,
  StoreFailed,
  StoreFull,
  StoreGone,
  StoreReadOnly,
  StoreRefused,
  StoreTooNew,
  type StoreUser,
} from "@smithers/core/Errors"
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import { codeOf } from "./driver.ts"

/**
 * How long one try may block, in milliseconds. Other processes commit in well under a millisecond, in a few when they wait for
 * the disk: 5 ms gets over that without a visible pause of everything else in this process.
 */
export const busyTimeoutMs = 5

/** The pause after the first try, in milliseconds. It grows up to {@link maxPauseMs}. */
export const firstPauseMs = 2

/** The longest pause between two tries, in milliseconds: the most that is lost after a lock has gone. */
const maxPauseMs = 50

/** The pause after this one; a little random, so that two processes do not keep meeting. */
export const nextPause = (pauseMs: number): number => Math.min(maxPauseMs, pauseMs * (1.5 + Math.random()))

/** The database that is waited for. */
export interface Patience {
  readonly filename: string
  /** How long in total, in milliseconds. */
  readonly patienceMs: number
  /** Tells who else works on it. */
  readonly users?: () => ReadonlyArray<StoreUser>
}

type StoreErrorClass =
  | typeof StoreBusy
  | typeof StoreCorrupt
  | typeof StoreFailed
  | typeof StoreFull
  | typeof StoreGone
  | typeof StoreReadOnly

/**
 * By code, or by its first two words. A write into the page cache of the system fails for want of space, of quota or of allowed
 * file size; a device that fails shows later, when the file is synchronised or read.
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
  SQLITE_READONLY_DBMOVED: StoreGone,
  ESTALE: StoreGone,
}

/** The error that something thrown by the database or the file system stands for; `undefined` for anything else. */
export const classOf = (raised: unknown): StoreErrorClass | undefined => {
  const thrown = rawOf(raised)
  // Text in a JSON column that is no JSON was not written by us.
  if (thrown instanceof SyntaxError) return StoreCorrupt
  const code = codeOf(thrown) ?? systemCodeOf(thrown)
  if (code === undefined) return undefined
  return classes[code] ?? classes[code.split("_", 2).join("_")] ?? StoreFailed
}

/** The code of an error of the file system; `undefined` for any other. */
const systemCodeOf = (thrown: unknown): string | undefined =>
  thrown instanceof Error && "syscall" in thrown ? String("code" in thrown ? thrown.code : "") : undefined

/** Raised where a newer version has changed what is agreed about the rows. */
export class Superseded extends Error {
  readonly found: number
  readonly supported: number
  constructor(found: number, supported: number) {
    super(`the database has layout ${found} by now`)
    this.found = found
    this.supported = supported
  }
}

/** Raised while one event of a frame was written. */
export class Blamed extends Error {
  readonly event: number
  constructor(event: number, thrown: unknown) {
    super("an event of a frame could not be written", { cause: thrown })
    this.event = event
  }
}

/** Calls `write`; what it throws is blamed on an event of the frame. */
export const blame = (event: number, write: () => void): void => {
  try {
    write()
  } catch (thrown) {
    throw new Blamed(event, thrown)
  }
}

const rawOf = (thrown: unknown): unknown => (thrown instanceof Blamed ? thrown.cause : thrown)

/** Whether the database refuses the content of a statement, whenever it is made. */
const isContent = (thrown: unknown): boolean => {
  const code = codeOf(thrown)
  return code === undefined
    ? systemCodeOf(thrown) === undefined
    : /^SQLITE_(TOOBIG|MISMATCH|RANGE|ERROR|CONSTRAINT_(DATATYPE|CHECK|NOTNULL))/.test(code)
}

/** Whether a failure of the disk may pass: what cannot be read or opened now. */
const isTransient = (thrown: unknown): boolean => /^SQLITE_(IOERR|CANTOPEN|NOMEM)/.test(codeOf(thrown) ?? "")

/** Fails with what was thrown; what the database did not raise is a defect, unless it was raised while content was written. */
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

/** Calls a synchronous function of the database, again and again while that is locked, for `patienceMs` in total. */
export const patiently = <A, E>(
  operation: string,
  config: Patience,
  call: () => Either.Either<A, E>,
): Effect.Effect<A, E | StoreError> =>
  Effect.flatten(retried(config.patienceMs, call, (thrown) => failure(operation, config, thrown)))

/** Calls a synchronous function in the same way, and fails with what is made of what it throws. */
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
