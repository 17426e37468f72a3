/**
 * Log files of background processes: one file per run beside the database, readable only by its owner, since the output of agents
 * may hold secrets.
 */
import { closeSync, constants, fchmodSync, fstatSync, lstatSync, mkdirSync, openSync } from "node:fs"
import { dirname, join } from "node:path"
import * as Effect from "effect/Effect"
import { CannotWrite } from "./Errors.ts"

/** Maximum number of characters of an id in a file name. File systems allow about 255 bytes. */
const longestName = 150

/**
 * Returns the name of a run's log. Distinct ids have distinct names, also on case-insensitive file systems. An id that is not a
 * valid name gets a hash after a `+`, which no other name contains.
 */
const nameOf = (runId: string): string => {
  const plain = runId.replaceAll(/[^A-Za-z0-9_.@-]/g, "_").slice(0, longestName)
  if (plain === runId && plain === plain.toLowerCase()) return `${plain}.log`
  return `${plain}+${new Bun.CryptoHasher("sha256").update(runId).digest("hex").slice(0, 16)}.log`
}

/** Returns the path of a run's log. */
export const pathOf = (file: string, runId: string): string => join(dirname(file), ".smithers", "logs", nameOf(runId))

/**
 * Opens a log for appending. The caller closes the descriptor. Fails with `CannotWrite` if the log cannot be opened or is not a
 * regular file: a link would redirect the output.
 */
export const open = (log: string): Effect.Effect<number, CannotWrite> =>
  Effect.try({
    try: () => {
      const folder = dirname(log)
      mkdirSync(dirname(folder), { recursive: true })
      ensureOwn(dirname(folder))
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      const stats = lstatSync(folder)
      if (!stats.isDirectory()) throw new Error(`${folder} is ${stats.isSymbolicLink() ? "a symbolic link" : "not a folder"}`)
      if ((stats.mode & 0o777) !== 0o700) narrow(folder, constants.O_DIRECTORY, 0o700)
      return openFile(log)
    },
    catch: (thrown) => new CannotWrite({ path: log, problem: (thrown as Error).message }),
  })

/** Rejects a link that another user has put in place of our folder. */
const ensureOwn = (folder: string): void => {
  const stats = lstatSync(folder)
  if (stats.isSymbolicLink() && process.getuid !== undefined && stats.uid !== process.getuid())
    throw new Error(`${folder} is a symbolic link of another user`)
}

/** Removes permissions of a file or folder without following links. */
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
    // Non-blocking, since opening a pipe would wait for a reader.
    descriptor = openSync(log, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException
    if (code === "ELOOP" || code === "EMLINK") throw new Error("it is a symbolic link")
    throw thrown
  }
  try {
    const stats = fstatSync(descriptor)
    if (!stats.isFile()) throw new Error("it is not a regular file")
    if ((stats.mode & 0o777) !== 0o600) fchmodSync(descriptor, 0o600)
    return descriptor
  } catch (thrown) {
    closeSync(descriptor)
    throw thrown
  }
}
