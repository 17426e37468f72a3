/**
 * Workflows of a project, by name: files in `.smithers/workflows` and in `workflows`.
 */
import { existsSync, readdirSync, statSync } from "node:fs"
import { dirname, join, resolve } from "node:path"

export interface ProjectWorkflow {
  readonly name: string
  readonly path: string
}

/** Folders of workflows, relative to the root of a project. */
export const folders = [join(".smithers", "workflows"), "workflows"]

const extension = /(?<!\.d|\.test|\.spec)\.(tsx|ts|jsx|mts|mjs|js)$/

/** Returns the nearest folder upward that has a workflow folder. Default: the given folder. */
export const rootOf = (folder: string): string => {
  const from = resolve(folder)
  for (let here = from; ; here = dirname(here)) {
    if (folders.some((name) => existsSync(join(here, name)))) return here
    if (here === dirname(here)) return from
  }
}

/** Returns the folder of new workflows: the first that a project has. */
export const homeOf = (root: string): string =>
  join(root, folders.find((name) => existsSync(join(root, name))) ?? (folders[0] as string))

/** Lists the workflows of a project by name. Of two with one name, the first wins. */
export const workflows = (root: string): ReadonlyArray<ProjectWorkflow> => {
  const found = new Map<string, ProjectWorkflow>()
  for (const folder of folders.map((name) => join(root, name))) {
    if (!isFolder(folder)) continue
    for (const entry of readdirSync(folder).sort()) {
      const path = join(folder, entry)
      const whole = entryOf(path)
      if (whole === undefined) continue
      const name = entry.replace(extension, "")
      if (!found.has(name)) found.set(name, { name, path: whole })
    }
  }
  return [...found.values()].sort((left, right) => left.name.localeCompare(right.name))
}

/** Returns `true` for an existing folder. A link may be broken, and a parent may be a file. */
const isFolder = (path: string): boolean => existsSync(path) && statSync(path).isDirectory()

/** Returns the path of a source file, or the `index` or `workflow` file of a folder. */
const entryOf = (path: string): string | undefined => {
  if (!isFolder(path)) return extension.test(path) ? path : undefined
  return ["workflow.tsx", "workflow.ts", "index.tsx", "index.ts"].map((name) => join(path, name)).find((file) => existsSync(file))
}
