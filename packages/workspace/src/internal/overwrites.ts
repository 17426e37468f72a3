/** Files on the disk that a restore would replace although no snapshot holds them. */
import { lstatSync, readdirSync } from "node:fs"
import * as Git from "./git.ts"
import { fileOf, type Repository } from "./repository.ts"

/** A path that differs between the files now and the target. */
export interface Difference {
  readonly path: string
  readonly change: "create" | "replace" | "remove"
}

/** Reads the output of `git diff-tree -r -z --raw --no-renames`. */
export const differencesOf = (output: Buffer): ReadonlyArray<Difference> => {
  const parts = Git.partsOf(output)
  const found: Array<Difference> = []
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const letter = parts[at]?.at(-1)
    found.push({ path: parts[at + 1] ?? "", change: letter === "A" ? "create" : letter === "D" ? "remove" : "replace" })
  }
  return found
}

/**
 * Lists what is in the way of a restore and not saved: ignored files, secrets, repositories, at the path of a file that the restore creates, above it, or below it.
 * A repository ends with `/`.
 */
export const overwrites = (repository: Repository, differences: ReadonlyArray<Difference>): ReadonlyArray<string> => {
  const { ignoresCase } = repository
  const keyOf = (path: string): string => (ignoresCase ? Git.textOf(path).toLowerCase() : path)
  const saved = new Set(differences.filter(({ change }) => change !== "create").map(({ path }) => keyOf(path)))
  const statOf = (path: string) => lstatSync(fileOf(repository, path), { throwIfNoEntry: false })
  const found = new Set<string>()
  const directories = new Set<string>()

  const enter = (directory: string): void => {
    for (const name of readdirSync(fileOf(repository, directory), { encoding: "buffer" })) {
      const path = `${directory}/${name.toString("latin1")}`
      if (name.toString("latin1") === ".git") found.add(`${directory}/`)
      else if (statOf(path)?.isDirectory() === true) enter(path)
      else if (!saved.has(keyOf(path))) found.add(path)
    }
  }

  for (const { path, change } of differences) {
    if (change !== "create") continue
    const names = path.split("/")
    const isReached = names.slice(0, -1).every((_, at) => {
      const above = names.slice(0, at + 1).join("/")
      if (directories.has(above)) return true
      const stat = statOf(above)
      if (stat?.isDirectory() === true) {
        directories.add(above)
        return true
      }
      // A file or link in place of a directory. Nothing behind a link is looked at.
      if (stat !== undefined && !saved.has(keyOf(above))) found.add(above)
      return false
    })
    if (!isReached) continue
    const stat = statOf(path)
    if (stat === undefined) continue
    if (stat.isDirectory()) enter(path)
    else if (!saved.has(keyOf(path))) found.add(path)
  }
  return [...found]
}
