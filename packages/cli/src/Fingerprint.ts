/**
 * What the code of a workflow is made of, as a text that changes when one of its files does: the file itself, the files of the project that
 * it imports, and the packages that it names. It is told from the sources as they stand, so that it also holds for those that do not load.
 */
import { readFileSync, statSync } from "node:fs"
import { dirname, join, resolve } from "node:path"

/** Files that are looked at, at most. A workflow that imports more is known by the first of them. */
const mostFiles = 500

/** Files that are larger hold data; what they import is not looked for. */
const largestSource = 1_000_000

const sources = /\.(?:m?[jt]sx?|mdx)$/

/** What may be left out at the end of an import. */
const endings = [
  "",
  ".ts",
  ".tsx",
  ".mts",
  ".js",
  ".jsx",
  ".mjs",
  ".json",
  ".mdx",
  "/index.ts",
  "/index.tsx",
  "/index.js",
  "/index.jsx",
]

/** Text in quotes after `from`, `import` or `require`. It may also find what is no import, which does no harm. */
const imports = /\b(?:from|import|require)\s*\(?\s*["'`]([^"'`\n]+)["'`]/g

const stamp = (path: string): string | undefined => {
  try {
    const { mtimeMs, size, ino } = statSync(path)
    return `${path} ${mtimeMs} ${size} ${ino}`
  } catch {
    return undefined
  }
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true

const importsOf = (path: string): ReadonlyArray<string> => {
  if (!sources.test(path) || (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > largestSource) return []
  try {
    return [...readFileSync(path, "utf8").matchAll(imports)].map(([, specifier = ""]) => specifier)
  } catch {
    return []
  }
}

/** The manifest of a package for the files of a folder; `undefined` where it is not installed. */
const manifestOf = (specifier: string, folder: string): string | undefined => {
  const name = specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/")
  for (let here = folder; ; here = dirname(here)) {
    const manifest = join(here, "node_modules", name, "package.json")
    if (isFile(manifest)) return manifest
    if (here === dirname(here)) return undefined
  }
}

/** The fingerprint of the code that begins in a file. */
export const of = (file: string): string => {
  const seen = new Set([file])
  const found: Array<string> = []
  for (const path of seen) {
    found.push(stamp(path) ?? `${path} is missing`)
    for (const specifier of importsOf(path)) {
      const folder = dirname(path)
      const isOwn = specifier.startsWith(".") || specifier.startsWith("/")
      const target = isOwn
        ? endings.map((ending) => `${resolve(folder, specifier)}${ending}`).find(isFile)
        : manifestOf(specifier, folder)
      if (target === undefined) found.push(`${specifier} is missing`)
      else if (seen.size < mostFiles) seen.add(target)
    }
  }
  return found.join("\n")
}
