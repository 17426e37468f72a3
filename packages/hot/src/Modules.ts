/**
 * Loads modules again. Bun keeps a module by its path, and all that import it: so every file of the graph is forgotten, by name. A module that
 * failed to load is not listed any more, and stays failed until it is forgotten all the same.
 */
import { rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import * as Effect from "effect/Effect"
import { type Graph, isReloadable } from "./Graph.ts"

/** Forgets modules, so that the next import loads them from their files. Modules of packages and of the runtime are kept. */
export const forget = (files: Iterable<string>): void => {
  for (const file of files) if (isReloadable(file)) delete require.cache[file]
}

let made = 0

/**
 * Imports the bundle of a graph, under a name that no module had before. For code whose files failed to link, which this process cannot
 * load from them any more.
 */
export const importBundled = ({ entry, bundled }: Graph): Effect.Effect<object, unknown> =>
  Effect.flatMap(bundled, (code) =>
    Effect.tryPromise({
      try: async () => {
        // Beside the entry, from where packages are found.
        const file = join(dirname(entry), `.smithers-${process.pid}-${++made}.mjs`)
        try {
          writeFileSync(file, code)
          return (await import(file)) as object
        } finally {
          rmSync(file, { force: true })
        }
      },
      catch: (thrown) => thrown,
    }),
  )

/** Tells whether an import failed at linking, by its message: such a file fails for the life of the process, however it is mended. */
export const isStuck = (message: string): boolean => /Export named .* not found in module/.test(message)
