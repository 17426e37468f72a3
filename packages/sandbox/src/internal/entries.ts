/**
 * The files of a directory, as sandboxes copy and compare them: regular files and symbolic links, never through a link. What a patch must not hold is left out.
 */
import { createHash } from "node:crypto"
import { constants } from "node:fs"
import { lstat, open, readdir, readlink } from "node:fs/promises"
import { join, posix } from "node:path"
import type { PatchedFile } from "@smithers/core/Sandboxes"
import { isSecretFile } from "@smithers/core/SecretFiles"

/** A file or a link, with its content. */
export interface Entry {
  readonly kind: PatchedFile["kind"]
  readonly content: Buffer
}

/** The digest that names the content and the kind of an entry. */
export const digestOf = ({ kind, content }: Entry): string => `${kind}:${createHash("sha256").update(content).digest("hex")}`

/** The reason a path is in no sandbox and no patch; `undefined` where it may be. */
export const exclusion = (path: string): string | undefined => {
  const names = path.split("/")
  const name = names.at(-1) ?? ""
  // File systems that fold cases would take .GIT for .git.
  if (names.some((one) => one.toLowerCase() === ".git")) return "git's own directory stays as it is"
  if (names[0]?.toLowerCase() === ".smithers") return "it belongs to the runtime"
  if (isSecretFile(path)) return "it may hold secrets"
  // Beside a database are its log, its locks and the token of its server.
  if (/\.(db|sqlite3?)[-.][^/]+$/i.test(name)) return "it belongs to a database"
  return undefined
}

/** The first bytes of a SQLite file: the database of the run may be among the files of its root. */
const sqliteHeader = Buffer.from("SQLite format 3\0", "latin1")
export const isDatabase = (content: Buffer): boolean => content.subarray(0, sqliteHeader.length).equals(sqliteHeader)

/** `true` of an error that says that there is nothing on a path. */
export const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR")

/** Reads an entry. `undefined` where there is none, `"other"` for a directory, a device or a socket. */
export const read = async (path: string): Promise<Entry | "other" | undefined> => {
  try {
    const found = await lstat(path)
    if (found.isSymbolicLink()) return { kind: "link", content: Buffer.from(await readlink(path)) }
    if (!found.isFile()) return "other"
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      return { kind: (found.mode & 0o100) === 0 ? "file" : "executable", content: await file.readFile() }
    } finally {
      await file.close()
    }
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/**
 * Reads entries below a root that others have filled. Where a directory of a path is a link, or no directory, there is nothing: it would lead to files that are not of the
 * root.
 */
export const readerOf = (root: string): ((path: string) => Promise<Entry | "other" | undefined>) => {
  const known = new Map<string, Promise<boolean>>([["", lstat(root).then((found) => found.isDirectory())]])
  const isDirectory = (path: string): Promise<boolean> => {
    const earlier = known.get(path)
    if (earlier !== undefined) return earlier
    const looked = isDirectory(parentOf(path)).then(
      async (isReached) => isReached && (await lstat(join(root, path)).catch(() => undefined))?.isDirectory() === true,
    )
    known.set(path, looked)
    return looked
  }
  return async (path) => ((await isDirectory(parentOf(path))) ? read(join(root, path)) : undefined)
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")))

/** Lists files, links and others below a directory, without following links. Excluded directories are listed, and not entered. */
export const list = async (root: string, below = ""): Promise<ReadonlyArray<string>> => {
  const paths: Array<string> = []
  const walk = async (directory: string): Promise<void> => {
    const found = await readdir(join(root, directory), { withFileTypes: true })
    for (const one of found.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = directory === "" ? one.name : `${directory}/${one.name}`
      if (one.isDirectory() && exclusion(path) === undefined) await walk(path)
      else paths.push(path)
    }
  }
  await walk(below)
  return paths
}

/** `true` if a link in a place points outside of the root. */
export const escapes = (path: string, target: string): boolean => {
  if (posix.isAbsolute(target)) return true
  const led = posix.normalize(posix.join(posix.dirname(path), target))
  return led === ".." || led.startsWith("../")
}
