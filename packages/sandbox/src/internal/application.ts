/**
 * Applies a patch to a root. Its intent is in a file before the first change, and each file is replaced by a rename, so that a call which was cut off is completed by the
 * next one. A file is replaced only where it is as the sandbox began with it, or already as the patch has it. Where a file was changed after a call that was cut off, the next
 * one takes back what that had done.
 */

import { createHash } from "node:crypto"
import { chmod, lstat, mkdir, open, readFile, rename, rm, rmdir, symlink } from "node:fs/promises"
import { dirname, join } from "node:path"
import type { Change, Patch } from "@smithers/core/Sandboxes"
import { digestOf, type Entry, escapes, exclusion, isMissing, read } from "./entries.ts"

/** The record of an application, beside the sandbox. */
interface Progress {
  readonly patch: string
  readonly phase: "intent" | "done"
  /** The files as they were before the first change. */
  readonly old: ReadonlyArray<Old>
}

/** A file as it was; `null` where there was none. */
interface Old {
  readonly path: string
  readonly entry: { readonly kind: Entry["kind"]; readonly content: string } | null
}

const entryOf = ({ kind, encoding, content }: NonNullable<Change["after"]>): Entry => ({
  kind,
  content: Buffer.from(content, encoding),
})

/** Replaces a file by a rename, so that it is never half written. What a call that was cut off has left is in the place where the next one writes. */
const replace = async (path: string, { kind, content }: Entry): Promise<void> => {
  const temporary = join(dirname(path), `.smithers-${createHash("sha256").update(path).digest("hex").slice(0, 16)}`)
  await rm(temporary, { force: true })
  try {
    if (kind === "link") await symlink(content.toString("utf8"), temporary)
    else {
      const file = await open(temporary, "wx", kind === "executable" ? 0o755 : 0o644)
      try {
        await file.writeFile(content)
        await file.sync()
      } finally {
        await file.close()
      }
      const old = await lstat(path).catch(() => undefined)
      if (old?.isFile() === true) await chmod(temporary, (old.mode & 0o666) | (kind === "executable" ? 0o111 : 0))
    }
    await rename(temporary, path)
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Gives nothing where nothing is, and fails with any other error: a note that is taken for missing would let half of a patch stay. */
const noneIfMissing = (error: unknown): undefined => {
  if (!isMissing(error)) throw error
}

/** `true` if a directory of a path is a link, or something else in its place. The work would leave the root, or not fit. */
const isBlocked = async (root: string, path: string): Promise<boolean> => {
  const names = path.split("/").slice(0, -1)
  for (let depth = 1; depth <= names.length; depth++) {
    const found = await lstat(join(root, ...names.slice(0, depth))).catch(noneIfMissing)
    if (found === undefined) return false
    if (!found.isDirectory()) return true
  }
  return false
}

/** `true` for a path that no patch of ours has. */
const isStray = ({ path, after }: Change): boolean =>
  path.split("/").some((name) => name === "" || name === "." || name === "..") ||
  exclusion(path) !== undefined ||
  (after?.kind === "link" && escapes(path, entryOf(after).content.toString("utf8")))

const progressOf = async (file: string): Promise<Progress | undefined> => {
  const text = await readFile(file, "utf8").catch(noneIfMissing)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch {
    // It was cut off while it was written: then nothing else had begun.
    return undefined
  }
}

const note = async (file: string, progress: Progress): Promise<void> => {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await replace(file, { kind: "file", content: Buffer.from(JSON.stringify(progress)) })
}

/** Applies a patch, and returns the paths that stand in its way. With any of them the root is as it was without the patch. */
export const apply = async (root: string, progressFile: string, patch: Patch): Promise<ReadonlyArray<string>> => {
  const named = createHash("sha256")
    .update(JSON.stringify([patch.made, patch.changes]))
    .digest("hex")
  const before = await progressOf(progressFile)
  if (before?.patch === named && before.phase === "done") return []
  const conflicts: Array<string> = []
  const open: Array<Change> = []
  for (const change of patch.changes) {
    const wanted = change.after === null ? null : digestOf(entryOf(change.after))
    if (isStray(change) || (await isBlocked(root, change.path))) {
      conflicts.push(change.path)
      continue
    }
    const found = await read(join(root, change.path))
    // A directory that is empty makes way, as git has none.
    const now = found === "other" ? "other" : found === undefined ? null : digestOf(found)
    if (now === wanted) continue
    if (now === change.before) open.push(change)
    else conflicts.push(change.path)
  }
  const hasBegun = before?.patch === named
  if (conflicts.length > 0) {
    if (hasBegun) await takeBack(root, before.old, patch.changes)
    await rm(progressFile, { force: true })
    return conflicts
  }
  const old = hasBegun ? before.old : await Promise.all(open.map(({ path }) => oldOf(root, path)))
  await note(progressFile, { patch: named, phase: "intent", old })
  // Removals come first: they make room for directories of the same name.
  for (const { path } of open.filter(({ after }) => after === null)) {
    await rm(join(root, path), { force: true })
    await removeEmpty(root, dirname(path))
  }
  for (const { path, after } of open) {
    if (after === null) continue
    await mkdir(dirname(join(root, path)), { recursive: true })
    await replace(join(root, path), entryOf(after))
  }
  await note(progressFile, { patch: named, phase: "done", old: [] })
  return []
}

const oldOf = async (root: string, path: string): Promise<Old> => {
  const found = await read(join(root, path))
  const entry = found === undefined || found === "other" ? null : { kind: found.kind, content: found.content.toString("base64") }
  return { path, entry }
}

/** Brings back the files that are as the patch has them. Others are of someone else. */
const takeBack = async (root: string, old: ReadonlyArray<Old>, changes: ReadonlyArray<Change>): Promise<void> => {
  const wanted = new Map(changes.map(({ path, after }) => [path, after === null ? null : digestOf(entryOf(after))]))
  const isApplied = async (path: string): Promise<boolean> => {
    if (await isBlocked(root, path)) return false
    const found = await read(join(root, path))
    return found !== "other" && (found === undefined ? null : digestOf(found)) === wanted.get(path)
  }
  // What was added makes room for what was removed.
  for (const { path, entry } of old.filter(({ entry }) => entry === null)) {
    if (entry !== null || !(await isApplied(path))) continue
    await rm(join(root, path), { force: true })
    await removeEmpty(root, dirname(path))
  }
  for (const { path, entry } of old) {
    if (entry === null || !(await isApplied(path))) continue
    await mkdir(dirname(join(root, path)), { recursive: true })
    await replace(join(root, path), { kind: entry.kind, content: Buffer.from(entry.content, "base64") })
  }
}

const removeEmpty = async (root: string, directory: string): Promise<void> => {
  if (directory === "." || directory === "") return
  const isRemoved = await rmdir(join(root, directory)).then(
    () => true,
    () => false,
  )
  if (isRemoved) await removeEmpty(root, dirname(directory))
}
