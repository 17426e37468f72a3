/** A project with the package as it is published, which is bundled and loads in another time than the sources. */
import { copyFileSync, mkdirSync, realpathSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { build, root } from "../scripts/package/build.ts"

/** Programs of a project. */
export interface Project {
  /** The command `smithers`. */
  readonly bin: string
  /** The workflow of one step. */
  readonly one: string
}

/** Builds the package and makes a project in a folder that exists. */
export const publishedProject = async (folder: string): Promise<Project> => {
  await build()
  const packages = join(folder, "node_modules")
  mkdirSync(packages)
  symlinkSync(join(root, "build", "package"), join(packages, "smithers-orchestrator"))
  for (const name of ["effect", "react"]) symlinkSync(realpathSync(join(root, "node_modules", name)), join(packages, name))
  const one = join(folder, "one.ts")
  copyFileSync(join(import.meta.dir, "one.ts"), one)
  return { bin: join(root, "build", "package", "cli", "bin.js"), one }
}
