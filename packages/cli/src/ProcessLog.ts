/**
 * Where the output of a process goes that works on a run and that nobody watches: a file per run beside the database, which only its owner
 * can read. What an agent says may hold anything.
 */
import { closeSync, constants, fchmodSync, fstatSync, lstatSync, mkdirSync, openSync } from "node:fs"
import { dirname, join } from "node:path"
import * as Effect from "effect/Effect"
import { CannotWrite } from "./Errors.ts"

/** Characters of an id that its file is named by at most; file systems take some 255 bytes. */
const longestName = 150

/**
 * The name of the log of a run. Two ids have two names, also where a file system knows no capital letters: an id that cannot be one as it is
 * is told from others by a hash behind a `+`, which no id that is kept as it is holds.
 */
const nameOf = (runId: string): string => {
  const plain = runId.replaceAll(/[^A-Za-z0-9_.@-]/g, "_").slice(0, longestName)
  if (plain === runId && plain === plain.toLowerCase()) return `${plain}.log`
  return `${plain}+${new Bun.CryptoHasher("sha256").update(runId).digest("hex").slice(0, 16)}.log`
}

/** The log of a run of a database. */
export const pathOf = (file: string, runId: string): string => join(dirname(file), ".smithers", "logs", nameOf(runId))

/**
 * Opens a log to be written on from its end. The descriptor is to be closed. Fails with `CannotWrite` where it cannot be, or where something
 * else is in its place: a link would have the output written to where it leads.
 */
export const open = (log: string): Effect.Effect<number, CannotWrite> =>
  Effect.try({
    try: () => {
      const folder = dirname(log)
      mkdirSync(dirname(folder), { recursive: true })
      ensureOwn(dirname(folder))
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      const stats = lstatSync(folder)
      if (!stats.isDirectory()) throw new Error(`${folder} is ${stats.isSymbolicLink() ? "a symbolic link" : "no folder"}`)
      if ((stats.mode & 0o777) !== 0o700) narrow(folder, constants.O_DIRECTORY, 0o700)
      return openFile(log)
    },
    catch: (thrown) => new CannotWrite({ path: log, problem: (thrown as Error).message }),
  })

/** Refuses a link that another user has put in the place of a folder of ours. */
const ensureOwn = (folder: string): void => {
  const stats = lstatSync(folder)
  if (stats.isSymbolicLink() && process.getuid !== undefined && stats.uid !== process.getuid())
    throw new Error(`${folder} is a symbolic link of another user`)
}

/** Takes permissions away from what is there, and not from what a link leads to. */
const narrow = (path: string, flag: number, mode: number): void => {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | flag)
  try {
    fchmodSync(descriptor, mode)
  } finally {
    closeSync(descriptor)
  }
}

const openFile = (log: string): number => {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants
  let descriptor: number
  try {
    // Opening a pipe would wait for a reader.
    descriptor = openSync(log, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException
    if (code === "ELOOP" || code === "EMLINK") throw new Error("it is a symbolic link")
    throw thrown
  }
  try {
    const stats = fstatSync(descriptor)
    if (!stats.isFile()) throw new Error("it is no regular file")
    if ((stats.mode & 0o777) !== 0o600) fchmodSync(descriptor, 0o600)
    return descriptor
  } catch (thrown) {
    closeSync(descriptor)
    throw thrown
  }
}
