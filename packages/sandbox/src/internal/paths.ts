/**
 * Paths of a policy as they are mounted: absolute, existing, with symbolic links resolved.
 */
import { existsSync, lstatSync, readFileSync, realpathSync, statSync } from "node:fs"
import { dirname, isAbsolute, join, resolve, sep } from "node:path"
import { InvalidPolicy, type Policy } from "@smithers/core/Isolation"
import * as Either from "effect/Either"

/** `true` if a path is a directory or what is below it. */
export const isWithin = (directory: string, path: string): boolean =>
  path === directory || path.startsWith(directory.endsWith(sep) ? directory : `${directory}${sep}`)

/** A policy with everything resolved. */
export interface Resolved {
  readonly root: string
  readonly cwd: string
  readonly readable: ReadonlyArray<string>
  readonly writable: ReadonlyArray<string>
  readonly hidden: ReadonlyArray<{ readonly path: string; readonly isDirectory: boolean }>
  /** Git directories outside the root that belong to it: those of the repository whose worktree it is. */
  readonly git: ReadonlyArray<string>
}

const refuse = (field: string, problem: string) => Either.left(new InvalidPolicy({ field, problem }))

const real = (field: string, path: string): Either.Either<string, InvalidPolicy> => {
  if (path.includes("\0")) return refuse(field, "holds a NUL character")
  if (!isAbsolute(path)) return refuse(field, `is not absolute: ${path}`)
  try {
    return Either.right(realpathSync(path))
  } catch {
    return refuse(field, `does not exist: ${path}`)
  }
}

const all = (field: string, paths: ReadonlyArray<string> = []): Either.Either<ReadonlyArray<string>, InvalidPolicy> =>
  Either.all(paths.map((path, index) => real(`${field}[${index}]`, path)))

/** Resolves the paths of a policy, or fails with the field at fault. */
export const resolvePolicy = (policy: Policy): Either.Either<Resolved, InvalidPolicy> =>
  Either.gen(function* () {
    const root = yield* real("root", policy.root)
    if (root === "/") return yield* refuse("root", "is the root of the file system: name the directory of the work")
    if (!statSync(root).isDirectory()) return yield* refuse("root", `is no directory: ${root}`)
    const cwd = yield* real("cwd", policy.cwd ?? root)
    if (!isWithin(root, cwd)) return yield* refuse("cwd", `is outside the root ${root}: ${cwd}`)
    const readable = yield* all("readable", policy.readable)
    const writable = yield* all("writable", policy.writable)
    for (const path of writable) if (path === "/") return yield* refuse("writable", "names the root of the file system")
    const hidden = (policy.hidden ?? []).flatMap((path) => {
      const absolute = resolve(root, path)
      if (!existsSync(absolute)) return []
      // The link and what it leads to: a mount on one of them would leave the other open.
      return [...new Set([absolute, realpathSync(absolute)])]
        .filter((one) => !lstatSync(one).isSymbolicLink())
        .map((one) => ({ path: one, isDirectory: statSync(one).isDirectory() }))
    })
    return { root, cwd, readable, writable, hidden, git: gitOf(root) }
  })

/**
 * The git directories outside a root. A worktree and a submodule have a file `.git` that points elsewhere. The pointer is followed only where git's own
 * directory points back: a checkout could otherwise name any directory, and so have it shown to the command.
 */
const gitOf = (root: string): Resolved["git"] => {
  const own = join(root, ".git")
  if (lstatSync(own, { throwIfNoEntry: false })?.isFile() !== true) return []
  const [, pointer = ""] = /^gitdir: (.+?)\s*$/m.exec(read(own)) ?? []
  const directory = pointer === "" ? undefined : realOrUndefined(resolve(root, pointer))
  if (directory === undefined || !pointsBack(directory, root)) return []
  const shared = realOrUndefined(resolve(directory, read(join(directory, "commondir")).trim()))
  const outside = [directory, shared].filter((path) => path !== undefined && !isWithin(root, path))
  return [...new Set(outside as ReadonlyArray<string>)]
}

const pointsBack = (directory: string, root: string): boolean => {
  const worktree = read(join(directory, "gitdir")).trim()
  if (worktree !== "") return realOrUndefined(dirname(resolve(directory, worktree))) === root
  const [, configured = ""] = /^\s*worktree\s*=\s*(.+?)\s*$/m.exec(read(join(directory, "config"))) ?? []
  return configured !== "" && realOrUndefined(resolve(directory, configured)) === root
}

const read = (file: string): string => (existsSync(file) ? readFileSync(file, "utf8") : "")

const realOrUndefined = (path: string): string | undefined => (existsSync(path) ? realpathSync(path) : undefined)
