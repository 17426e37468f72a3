/**
 * The files of a sandbox: made as a copy of a root, beside a second copy that stays as it was, and compared with that later.
 */
import { execFile } from "node:child_process"
import { constants } from "node:fs"
import { chmod, copyFile, lstat, mkdir, open, readdir, readlink, rm, symlink } from "node:fs/promises"
import { dirname, join } from "node:path"
import type { Change, LeftOut, Patch } from "@smithers/core/Sandboxes"
import { digestOf, type Entry, escapes, exclusion, isDatabase, list, readerOf } from "./entries.ts"

/** Git without settings of the user, and without programs that the settings of a repository name. */
const git = (
  cwd: string,
  args: ReadonlyArray<string>,
  env: { readonly [name: string]: string } = {},
): Promise<string | undefined> =>
  new Promise((resolve) => {
    const careful = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=false"]
    const whole = { PATH: process.env.PATH ?? "", GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null", LC_ALL: "C", ...env }
    execFile("git", [...careful, ...args], { cwd, env: whole, maxBuffer: 256 * 1024 * 1024, encoding: "utf8" }, (error, stdout) =>
      // Git says by the code 1 that files differ.
      resolve(error === null || error.code === 1 ? stdout : undefined),
    )
  })

/** The files of a root that a sandbox gets: in a work tree of git those that are not ignored, and what is included by name. */
const filesOf = async (root: string, include: ReadonlyArray<string>): Promise<ReadonlySet<string>> => {
  const listed = await git(root, ["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
  if (listed === undefined) return new Set(await list(root))
  const files = new Set(listed.split("\0").filter((path) => path !== ""))
  for (const path of include) {
    const found = await lstat(join(root, path)).catch(() => undefined)
    if (found === undefined) continue
    for (const one of found.isDirectory() ? await list(root, path) : [path]) files.add(one)
  }
  return files
}

const startsAsDatabase = async (path: string): Promise<boolean> => {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(16), 0, 16, 0)
    return isDatabase(buffer.subarray(0, bytesRead))
  } finally {
    await file.close()
  }
}

/** Files that are copied at once. */
const atOnce = 16

const copyAll = async (from: string, to: string, paths: Iterable<string>): Promise<void> => {
  await mkdir(to, { recursive: true, mode: 0o700 })
  const made = new Set<string>()
  const queue = [...paths]
  const copy = async (path: string): Promise<void> => {
    if (exclusion(path) !== undefined) return
    const source = join(from, path)
    const found = await lstat(source).catch(() => undefined)
    if (found === undefined || !(found.isFile() || found.isSymbolicLink())) return
    if (found.isFile() && (await startsAsDatabase(source))) return
    const target = join(to, path)
    const parent = dirname(target)
    if (!made.has(parent)) {
      await mkdir(parent, { recursive: true })
      made.add(parent)
    }
    if (found.isSymbolicLink()) await symlink(await readlink(source), target)
    // Shares the blocks where the file system can.
    else await copyFile(source, target, constants.COPYFILE_FICLONE)
  }
  const work = async (): Promise<void> => {
    for (let path = queue.pop(); path !== undefined; path = queue.pop()) await copy(path)
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}

/** Copies a root. */
export const copyRoot = async (root: string, to: string, include: ReadonlyArray<string>): Promise<void> =>
  copyAll(root, to, await filesOf(root, include))

/** Copies all files of a tree. */
export const copyTree = async (tree: string, to: string): Promise<void> => copyAll(tree, to, await list(tree))

/** Gives this user back what a command has locked: directories that cannot be entered or changed, and files that cannot be read. Follows no link. */
const unlock = async (directory: string): Promise<void> => {
  const { mode } = await lstat(directory)
  if ((mode & 0o700) !== 0o700) await chmod(directory, (mode & 0o777) | 0o700)
  for (const one of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, one.name)
    if (one.isDirectory()) await unlock(path)
    else if (one.isFile()) {
      const { mode: own } = await lstat(path)
      if ((own & 0o400) === 0) await chmod(path, (own & 0o777) | 0o400)
    }
  }
}

/** Removes a directory with all that is in it, also where a command has locked some of that. */
export const remove = async (directory: string): Promise<void> => {
  const once = () => rm(directory, { recursive: true, force: true, maxRetries: 3 })
  await once().catch(async () => {
    await unlock(directory)
    await once()
  })
}

/** Bytes of all changed files of a patch together. It is stored with the run. */
const mostBytes = 16 * 1024 * 1024

/** Bytes of the diff that people read, and files in it. */
const mostDiff = 128 * 1024
const mostDiffFiles = 200

const isText = (content: Buffer): boolean => Buffer.from(content.toString("utf8"), "utf8").equals(content)

const patched = ({ kind, content }: Entry): NonNullable<Change["after"]> =>
  isText(content)
    ? { kind, encoding: "utf8", content: content.toString("utf8") }
    : { kind, encoding: "base64", content: content.toString("base64") }

/** The problem of a patch that cannot be taken. */
export class Unpatchable extends Error {}

/** Compares a tree with what it began with. `root` says which files git tracks: those are compared whatever `.gitignore` says of them. */
export const compare = async (
  root: string,
  directory: string,
  base: string,
  tree: string,
): Promise<Pick<Patch, "changes" | "left" | "diff"> & { readonly bytes: number }> => {
  const changes: Array<Change> = []
  const left: Array<LeftOut> = []
  let bytes = 0
  await unlock(tree)
  const from = join(directory, base)
  const [before, after, tracked] = [new Set(await list(from)), await list(tree), await trackedOf(root)]
  // What was there before is ignored by the rules of before: no new rule hides a change of it.
  const [ignoredBefore, ignoredAfter] = [await ignoredOf(directory, from), await ignoredOf(directory, tree)]
  const isIgnored = (path: string): boolean => !tracked.has(path) && (before.has(path) ? ignoredBefore : ignoredAfter).has(path)
  const [readBefore, readAfter] = [readerOf(from), readerOf(tree)]
  for (const path of [...new Set([...before, ...after])].sort()) {
    if (isIgnored(path)) continue
    const excluded = exclusion(path)
    if (excluded !== undefined) {
      left.push({ path, reason: excluded })
      continue
    }
    const [old, now] = [await readBefore(path), await readAfter(path)]
    if (now === "other" && old === undefined) {
      const isDirectory = (await lstat(join(tree, path)).catch(() => undefined))?.isDirectory() === true
      if (!isDirectory) left.push({ path, reason: "it is neither a file nor a link" })
      continue
    }
    const [was, is] = [old === "other" ? undefined : old, now === "other" ? undefined : now]
    if (was === undefined && is === undefined) continue
    if (was !== undefined && is !== undefined && was.kind === is.kind && was.content.equals(is.content)) continue
    if (is?.kind === "link" && escapes(path, is.content.toString("utf8"))) {
      left.push({ path, reason: "it is a link that leads outside" })
      continue
    }
    if (is !== undefined && isDatabase(is.content)) {
      left.push({ path, reason: "it is a database" })
      continue
    }
    bytes += is?.content.length ?? 0
    if (bytes > mostBytes)
      throw new Unpatchable(
        `its changes are larger than ${mostBytes} bytes, at ${path}. Have what is built written to a directory that .gitignore names, or to /tmp.`,
      )
    changes.push({ path, before: was === undefined ? null : digestOf(was), after: is === undefined ? null : patched(is) })
  }
  return { changes, left, diff: await diffOf(directory, base, tree, changes), bytes }
}

/** The files of a root that git tracks. */
const trackedOf = async (root: string): Promise<ReadonlySet<string>> =>
  new Set(((await git(root, ["ls-files", "-z", "--cached"])) ?? "").split("\0").filter((path) => path !== ""))

/** Files that the .gitignore files of a tree name, as what is built is. The repository that git asks for is an empty one beside the tree. */
const ignoredOf = async (directory: string, tree: string): Promise<ReadonlySet<string>> => {
  const repository = join(directory, "ignores.git")
  if ((await git(directory, ["init", "--bare", "-q", repository])) === undefined) return new Set()
  const args = ["ls-files", "-z", "--others", "--ignored", "--exclude-standard"]
  const listed = await git(tree, ["--git-dir", repository, "--work-tree", tree, ...args])
  return new Set((listed ?? "").split("\0").filter((path) => path !== ""))
}

/** A diff in the form of git, file by file. */
const diffOf = async (directory: string, base: string, tree: string, changes: ReadonlyArray<Change>): Promise<string> => {
  let text = ""
  for (const [index, { path, before, after }] of changes.entries()) {
    const rest = changes.length - index
    if (index >= mostDiffFiles || text.length > mostDiff) return `${text}(${rest} more files are left out here)\n`
    const [from, to] = [
      before === null ? "/dev/null" : join(directory, base, path),
      after === null ? "/dev/null" : join(tree, path),
    ]
    const args = ["diff", "--no-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-prefix", "--", from, to]
    const said = await git("/", args)
    text += titled(path, before === null, after === null, said)
  }
  return text.length > mostDiff + 64 ? `${text.slice(0, mostDiff)}\n(the rest is left out here)\n` : text
}

/** A diff of two files under the names of one path. */
const titled = (path: string, isNew: boolean, isGone: boolean, said: string | undefined): string => {
  const [from, to] = [isNew ? "/dev/null" : `a/${path}`, isGone ? "/dev/null" : `b/${path}`]
  const lines = (said ?? "").split("\n")
  const hunks = lines.findIndex((line) => line.startsWith("@@"))
  const modes = lines.slice(1, hunks < 0 ? lines.length : hunks).filter((line) => /^(old|new|deleted)( file)? mode /.test(line))
  const body = hunks < 0 ? [] : [`--- ${from}`, `+++ ${to}`, ...lines.slice(hunks)]
  const isBinary = lines.some((line) => line.startsWith("Binary files "))
  const title = [`diff --git a/${path} b/${path}`, ...modes, ...(isBinary ? [`Binary files ${from} and ${to} differ`] : [])]
  return `${[...title, ...body].join("\n").trimEnd()}\n`
}
