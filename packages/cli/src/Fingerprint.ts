/**
 * Fingerprint of a workflow's code: a text that changes when the file, a project file it imports, or a package it names changes. It
 * is computed from the sources alone, so that it also exists for code that does not load.
 */
import { readFileSync, statSync } from "node:fs"
import { dirname, join, resolve } from "node:path"

/** Maximum number of files in a fingerprint. Further imports are ignored. */
const mostFiles = 500

/** Maximum size of a source file in bytes. Imports of larger files are ignored, since they hold data. */
const largestSource = 1_000_000

const sources = /\.(?:m?[jt]sx?|mdx)$/

/** Endings that an import may omit. */
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

/** Matches a quoted text after `from`, `import` or `require`. False matches are harmless. */
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

/** Returns the manifest of a package, resolved from a folder; `undefined` if it is not installed. */
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

/** Computes the fingerprint of the code that a file is the entry of. */
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
