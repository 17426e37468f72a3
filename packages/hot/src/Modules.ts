/**
 * Loads modules again. Bun keeps a module by its path, and all that import it: so every file of the graph is forgotten, by name. A module that
 * failed to load is not listed any more, and stays failed until it is forgotten all the same.
 */
import { rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { type Graph, isReloadable } from "./Graph.ts"

/** Forgets modules, so that the next import loads them from their files. Modules of packages and of the runtime are kept. */
export const forget = (files: Iterable<string>): void => {
  for (const file of files) if (isReloadable(file)) delete require.cache[file]
}

let made = 0

/**
 * Imports the bundle of a graph, under a name that no module had before. For code that this process cannot load from its files any more, see
 * {@link isStuck}. In it `import.meta` is that of a file in the folder of the entry.
 */
export const importBundled = async ({ entry, bundled }: Graph): Promise<object> => {
  const code = await bundled()
  // Beside the entry, from where packages are found.
  const file = join(dirname(entry), `.smithers-${process.pid}-${++made}.mjs`)
  try {
    writeFileSync(file, code)
    return await import(file)
  } finally {
    rmSync(file, { force: true })
  }
}

/**
 * Tells by its message whether an import failed at linking: a file, or a package, has no such export. From then on all imports of
 * the files that lead there fail with that message for the life of the process, however they are mended and forgotten.
 */
export const isStuck = (message: string): boolean => /Export named .* not found in module/.test(message)
