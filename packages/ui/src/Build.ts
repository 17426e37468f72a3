/** Builds the page into a folder: what a server hands out. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { brotliCompressSync } from "node:zlib"

const source = dirname(fileURLToPath(import.meta.url))

/**
 * Builds the page, in place of what is in a folder: whoever reads it sees the whole of one build. Files are there compressed, too.
 * Completes with the npm packages that are in it.
 */
export const build = async (target: string): Promise<ReadonlyArray<string>> => {
  mkdirSync(dirname(target), { recursive: true })
  const folder = mkdtempSync(`${target}-`)
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
  if (!success) {
    rmSync(folder, { recursive: true, force: true })
    throw new AggregateError(logs, "The page could not be built.")
  }
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    writeFileSync(`${path}.br`, brotliCompressSync(readFileSync(path)))
  }
  rmSync(target, { recursive: true, force: true })
  renameSync(folder, target)
  const inside = Object.keys(metafile?.inputs ?? {}).flatMap((input) => {
    const [, home] = /(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(resolve(input)) ?? []
    return home === undefined ? [] : [home]
  })
  return [...new Set(inside)].sort()
}
