/**
 * Packages for workflows that come with the command, so that a single file suffices, also in a folder without `node_modules`. They
 * are offered as a folder of links in `NODE_PATH`, where Bun looks after every `node_modules` upward. A package installed beside a
 * file therefore takes precedence.
 *
 * Bun ignores `exports` in such a folder, so there is a link for each exported path. The folder is created once per installation,
 * in the user's cache.
 */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs"
import { homedir, tmpdir } from "node:os"
import { dirname, extname, isAbsolute, join } from "node:path"
import { name as published } from "@smithers/core/Package"

export const facade = published

/** Names of the packages. Those that are not installed beside the command are omitted. */
export const names: ReadonlyArray<string> = [facade, "effect", "react", "zod", "ai"]

interface Manifest {
  readonly name?: string
  readonly exports?: unknown
  readonly module?: string
  readonly main?: string
}

/** An installed package. */
interface Package {
  readonly name: string
  readonly folder: string
  /** Contents of its `package.json`. */
  readonly manifest: string
}

/**
 * Finds a package as an import in `home` would: the package that contains `home`, or the nearest installed one. Does not ask Bun,
 * which might query a registry for a missing one.
 */
export const find = (name: string, home: string): Package | undefined => {
  for (let here = home; ; here = dirname(here)) {
    for (const folder of [here, join(here, "node_modules", name)]) {
      const file = join(folder, "package.json")
      if (!existsSync(file)) continue
      const manifest = readFileSync(file, "utf8")
      if ((JSON.parse(manifest) as Manifest).name === name) return { name, folder: realpathSync(folder), manifest }
    }
    if (here === dirname(here)) return undefined
  }
}

/** Lists the modules of a package: import paths after its name (`""`, `"/Schema"`), and files. */
const modulesOf = ({ folder, manifest }: Package): ReadonlyArray<readonly [path: string, file: string]> => {
  const { exports, module: esm, main } = JSON.parse(manifest) as Manifest
  if (typeof exports !== "object" || exports === null) return [["", join(folder, firstOf(exports) ?? esm ?? main ?? "index.js")]]
  return Object.entries(exports).flatMap(([path, target]) => {
    const file = firstOf(target)
    if (file === undefined || !path.startsWith(".") || path === "./package.json") return []
    return path.includes("*") ? expand(folder, path.slice(1), file) : [[path.slice(1), join(folder, file)] as const]
  })
}

/** Expands a pattern of `exports` to the existing files. */
const expand = (folder: string, pattern: string, target: string): ReadonlyArray<readonly [path: string, file: string]> => {
  const [before = "", after = ""] = join(folder, target).split("*")
  const base = before.slice(0, before.lastIndexOf("/"))
  if (!existsSync(base)) return []
  return readdirSync(base, { recursive: true, encoding: "utf8" })
    .map((name) => join(base, name))
    .filter((file) => file.startsWith(before) && file.endsWith(after) && file.length > before.length + after.length)
    .map((file) => [pattern.replace("*", () => file.slice(before.length, file.length - after.length)), file] as const)
}

/** Conditions of `exports` that apply to an import in Bun. */
const conditions: ReadonlySet<string> = new Set(["bun", "node", "import", "module", "default"])

/** Returns the file of an export. */
const firstOf = (target: unknown): string | undefined => {
  if (typeof target === "string") return target
  if (typeof target !== "object" || target === null) return undefined
  return Object.entries(target).flatMap(([condition, file]) => (conditions.has(condition) ? (firstOf(file) ?? []) : []))[0]
}

const module = /(?<!\.d)\.[cm]?[jt]sx?$/

const fill = (folder: string, packages: ReadonlyArray<Package>): void => {
  for (const one of packages) {
    for (const [path, file] of modulesOf(one)) {
      if (!module.test(file) || !existsSync(file)) continue
      const named = path === "" ? "/index" : path
      const link = join(folder, one.name + named + (extname(named) === extname(file) ? "" : extname(file)))
      mkdirSync(dirname(link), { recursive: true })
      if (!existsSync(link)) symlinkSync(file, link)
    }
  }
}

/** Returns `true` for an existing folder that only this user can write to. */
const isOurs = (folder: string): boolean => {
  const found = lstatSync(folder, { throwIfNoEntry: false })
  if (found?.isDirectory() !== true) return false
  return process.getuid === undefined || (found.uid === process.getuid() && (found.mode & 0o022) === 0)
}

/**
 * Creates a folder of this name in the user's cache or, if that is not writable, among temporary files. Only this user can write to
 * it.
 */
const make = (name: string, build: (folder: string) => void): string => {
  const { XDG_CACHE_HOME = "" } = process.env
  const cache = isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : join(homedir(), ".cache")
  const user = process.getuid?.() ?? "user"
  for (const parent of [join(cache, "smithers", "packages"), join(tmpdir(), `smithers-packages-${user}`)]) {
    const folder = join(parent, name)
    try {
      if (isOurs(parent) && isOurs(folder)) return folder
      mkdirSync(parent, { recursive: true, mode: 0o700 })
      if (!isOurs(parent)) continue
      const temporary = mkdtempSync(`${folder}.`)
      build(temporary)
      try {
        renameSync(temporary, folder)
      } catch {
        // Another process has created the same folder.
        rmSync(temporary, { recursive: true, force: true })
      }
      if (isOurs(folder)) return folder
    } catch {
      // A read-only cache is no reason to fail.
    }
  }
  const folder = mkdtempSync(join(tmpdir(), "smithers-packages-"))
  build(folder)
  return folder
}

/** Returns the folder of links to the packages that resolve from `home`. */
export const folder = (home: string): string => {
  const packages = names.flatMap((name) => find(name, home) ?? [])
  const said = packages.map(({ name, folder, manifest }) => [name, folder, manifest].join("\n")).join("\n\n")
  return make(Bun.hash(said).toString(36), (folder) => {
    chmodSync(folder, 0o700)
    fill(folder, packages)
  })
}
