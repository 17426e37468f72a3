/** Builds the page into a folder: what a server hands out. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { brotliCompressSync } from "node:zlib"

const source = dirname(fileURLToPath(import.meta.url))

/** Builds the page into a folder, which is emptied. Files are there compressed, too. Completes with the npm packages that are in it. */
export const build = async (folder: string): Promise<ReadonlyArray<string>> => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const { success, logs, metafile } = await Bun.build({
    entrypoints: [join(source, "index.html")],
    outdir: folder,
    target: "browser",
    minify: true,
    splitting: true,
    metafile: true,
    publicPath: "/",
    naming: { chunk: "[name]-[hash].[ext]", asset: "[name]-[hash].[ext]" },
    define: { "process.env.NODE_ENV": '"production"' },
  })
  if (!success) throw new AggregateError(logs, "The page could not be built.")
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    writeFileSync(`${path}.br`, brotliCompressSync(readFileSync(path)))
  }
  const inside = Object.keys(metafile?.inputs ?? {}).flatMap((input) => {
    const [, home] = /(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(resolve(input)) ?? []
    return home === undefined ? [] : [home]
  })
  return [...new Set(inside)].sort()
}
