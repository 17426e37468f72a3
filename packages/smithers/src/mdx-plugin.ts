/// <reference path="./mdx-modules.d.ts" preserve="true" />
/**
 * The plugin that makes `.mdx` and `.md` files importable, and `mdxPlugin`, which registers it as preloads of Smithers 0.x do. The
 * compiler is loaded with the first prompt.
 */

import { fileURLToPath } from "node:url"
import { defined } from "@smithers/core/Struct"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"

export interface MdxOptions {
  /**
   * Writes `prompt.d.mdx.ts` beside each loaded `prompt.mdx`, with the types of its props, for TypeScript with
   * `allowArbitraryExtensions`. Rewritten when its content changes. A folder that cannot be written fails the import. Default:
   * false.
   */
  readonly declarations?: boolean
  /** The package whose `jsx-runtime` makes the elements. Default: this one. */
  readonly jsxImportSource?: string
}

/** A Bun plugin, declared here so that these types need none of Bun's, which users on Node lack. */
export interface MdxPlugin {
  readonly name: string
  readonly setup: (build: {
    readonly config?: unknown
    readonly onLoad: (
      files: { readonly filter: RegExp },
      load: (file: { readonly path: string; readonly loader: string }) => Promise<{
        readonly contents: string
        readonly loader: "js" | "text" | "file"
      }>,
    ) => unknown
  }) => void
}

/** The options of the plugin in this process. Bun calls only the plugin registered first, so later ones change this. */
let ofProcess: MdxOptions | undefined

/**
 * Makes the plugin. Passed to `Bun.build`, it compiles prompts into the bundle. Passed to `Bun.plugin`, it sets the options for
 * all prompts imported from then on, even if this module was a preload.
 *
 * @example
 * ```ts
 * import { mdx } from "smithers-orchestrator/mdx"
 *
 * Bun.plugin(mdx({ declarations: true }))
 * const { default: Review } = await import("./review.mdx")
 * ```
 */
export const mdx = (options: MdxOptions = {}): MdxPlugin => ({
  name: "smithers-mdx",
  setup: (build) => {
    const isBuild = build.config !== undefined
    if (!isBuild) {
      const isFirst = ofProcess === undefined
      ofProcess = options
      if (!isFirst) return
    }
    build.onLoad({ filter: /\.mdx?$/ }, async ({ path, loader }) => {
      // A request for the text of a Markdown file gets it.
      if (loader === "text" || loader === "file") return { contents: await Bun.file(path).text(), loader }
      return { contents: await load(path, isBuild ? options : (ofProcess ?? options)), loader: "js" }
    })
  },
})

const load = async (path: string, { declarations = false, jsxImportSource }: MdxOptions): Promise<string> => {
  const { compile, declarationOf } = await import("@smithers/jsx/Mdx")
  const source = await Bun.file(path).text()
  const options = {
    path: within(path),
    // By its file, since the prompt's own package need not depend on this one.
    runtimeSource: fileURLToPath(import.meta.resolve("@smithers/jsx/PromptInput")),
    ...defined({ jsxImportSource }),
  }
  if (declarations) {
    const target = Bun.file(path.replace(/\.(mdx?)$/, ".d.$1.ts"))
    const text = orThrow(declarationOf(source, options))
    // Rewriting equal content would trigger every file watcher.
    if (!(await target.exists()) || (await target.text()) !== text) await Bun.write(target, text)
  }
  return orThrow(compile(source, options))
}

/** Throws the error itself, which Bun prints, instead of one that wraps it. */
const orThrow = <A, E>(effect: Effect.Effect<A, E>): A =>
  Either.getOrThrowWith(Effect.runSync(Effect.either(effect)), (error) => error)

/** The path relative to the working directory, so that messages and bundles do not depend on its place. */
const within = (path: string): string => {
  const folder = `${process.cwd()}/`
  return path.startsWith(folder) ? path.slice(folder.length) : path
}

/**
 * Registers the plugin for this process, as `mdxPlugin()` of Smithers 0.x does, and returns it. On Node, which has no plugins, it
 * registers nothing.
 */
export const mdxPlugin = (options: MdxOptions = {}): MdxPlugin => {
  const plugin = mdx(options)
  if (typeof Bun !== "undefined") Bun.plugin(plugin)
  return plugin
}
