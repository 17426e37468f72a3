/** Builds the page into a folder: what a server hands out. */
import { createHash } from "node:crypto"
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const source = dirname(fileURLToPath(import.meta.url))

/** The folder of the page in a published package, beside this file. */
const published = join(source, "page")

/** Builds the page into a folder, which is emptied. */
export const build = async (folder: string): Promise<void> => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const { success, logs } = await Bun.build({
    entrypoints: [join(source, "index.html")],
    outdir: folder,
    target: "browser",
    minify: true,
    splitting: true,
    publicPath: "/",
    naming: { chunk: "[name]-[hash].[ext]", asset: "[name]-[hash].[ext]" },
    define: { "process.env.NODE_ENV": '"production"' },
  })
  if (!success) throw new AggregateError(logs, "The page could not be built.")
}

/** A digest of all that the page is made of. */
const digest = (): string => {
  const hash = createHash("sha256")
  for (const name of readdirSync(source, { recursive: true, encoding: "utf8" }).sort()) {
    if (/\.(tsx?|css|html)$/.test(name)) hash.update(name).update(readFileSync(join(source, name)))
  }
  return hash.digest("hex").slice(0, 16)
}

/**
 * The folder of the page: the one that was published with the package, otherwise built from source once and kept in `cache`.
 */
export const folder = async (cache: string): Promise<string> => {
  if (existsSync(join(published, "index.html"))) return published
  const kept = join(cache, `page-${digest()}`)
  if (existsSync(join(kept, "index.html"))) return kept
  // Built aside and moved at once, since two servers may begin together.
  const aside = `${kept}.${process.pid}`
  await build(aside)
  try {
    renameSync(aside, kept)
  } catch {
    if (!existsSync(join(kept, "index.html"))) cpSync(aside, kept, { recursive: true })
    rmSync(aside, { recursive: true, force: true })
  }
  return kept
}
