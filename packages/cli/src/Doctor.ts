/**
 * Finds in the files of a project what keeps its workflows from running: versions, copies, settings. Reads only, and loads no code of the
 * project.
 */
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { version } from "@smithers/core/Package"
import { quoted } from "@smithers/server/views/Text"
import { facade, find } from "./BundledPackages.ts"
import { folders, workflows } from "./Project.ts"

/** Something that is wrong, and the repair. A `problem` keeps something from running; a `warning` may. */
export interface Finding {
  readonly check: "runtime" | "packages" | "copies" | "tsconfig" | "prompts" | "ignored" | "database" | "workflows"
  readonly status: "problem" | "warning"
  /** The file that it is about, relative to the project. */
  readonly file: string | null
  readonly message: string
  /** The command to type, or the change to make. */
  readonly repair: string
}

interface Manifest {
  readonly version?: string
  readonly engines?: { readonly bun?: string }
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
}

/** Reads JSON with comments; `undefined` if there is no such file. Throws for what is no JSON. */
const read = (file: string): unknown => (existsSync(file) ? Bun.JSONC.parse(readFileSync(file, "utf8")) : undefined)

const isObject = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The modules of a project that are written by hand: its workflows, and what lies beside them at the root and in their folders. */
const sourcesOf = (root: string): ReadonlyArray<string> => {
  const listed = (folder: string, isDeep: boolean): ReadonlyArray<string> =>
    existsSync(folder)
      ? readdirSync(folder, { recursive: isDeep, withFileTypes: true })
          .filter((entry) => entry.isFile() && /(?<!\.d)\.[cm]?[jt]sx?$/.test(entry.name))
          .map((entry) => join(entry.parentPath, entry.name))
          .filter((file) => !file.includes("/node_modules/"))
      : []
  const found = [...listed(root, false), ...[...folders, "test"].flatMap((name) => listed(join(root, name), true))]
  return [...new Set([...found, ...workflows(root).map(({ path }) => path)])]
}

/** A project as it is looked at. */
interface Project {
  readonly root: string
  readonly manifest: Manifest | undefined
  /** The package of this project, or the one of the command. */
  readonly package: { readonly folder: string; readonly manifest: Manifest }
  readonly isInstalled: boolean
  readonly sources: ReadonlyArray<{ readonly file: string; readonly text: string }>
}

const runtime = ({ package: { manifest } }: Project): ReadonlyArray<Finding> => {
  const range = manifest.engines?.bun ?? "*"
  if (Bun.semver.satisfies(Bun.version, range)) return []
  const message = `Bun is ${Bun.version}, and ${facade} needs ${range}.`
  return [{ check: "runtime", status: "problem", file: null, message, repair: "bun upgrade" }]
}

/** Packages that a subpath or a function of ours needs, by the text that shows its use. */
const uses: ReadonlyArray<readonly [pattern: RegExp, packages: ReadonlyArray<string>]> = [
  [new RegExp(`["']${facade}/sql["']`), ["@effect/sql", "@effect/experimental"]],
  [new RegExp(`["']${facade}/effect-ai["']`), ["@effect/ai"]],
  [/\bcreateAgent\(|["']ai["']/, ["ai"]],
  [/\bfrom ["']zod["']/, ["zod"]],
]

const packages = (project: Project): ReadonlyArray<Finding> => {
  const { root, manifest, isInstalled, package: own, sources } = project
  if (manifest === undefined) return []
  const asked = { ...manifest.dependencies, ...manifest.devDependencies }
  const findings: Array<Finding> = []
  const report = (status: Finding["status"], message: string, repair: string) =>
    findings.push({ check: "packages", status, file: "package.json", message, repair })
  if (!(facade in asked))
    report("warning", `${facade} is no dependency: workflows run with the one of the command.`, `bun add ${facade}@^${version}`)
  if (!isInstalled && facade in asked) report("problem", `${facade} is a dependency, and is not installed.`, "bun install")
  if (isInstalled && own.manifest.version !== version)
    report(
      "warning",
      `The command is ${version}, and the project has ${facade} ${own.manifest.version}.`,
      "Type bunx smithers, which is the command of the project.",
    )
  const { peerDependencies = {}, peerDependenciesMeta = {} } = own.manifest
  for (const [name, range] of Object.entries(peerDependencies)) {
    const found = find(name, root)
    const add = `bun add ${quoted(`${name}@${range}`)}`
    const users = uses.filter(([, needed]) => needed.includes(name)).map(([pattern]) => pattern)
    const user = sources.find(({ text }) => users.some((pattern) => pattern.test(text)))
    const isNeeded = peerDependenciesMeta[name]?.optional !== true || user !== undefined
    if (found === undefined) {
      const why = user === undefined ? `${facade} needs it` : `${relative(root, user.file)} needs it`
      if (isNeeded && isInstalled) report("problem", `${name} is not installed, and ${why}.`, add)
      continue
    }
    const has = (JSON.parse(found.manifest) as Manifest).version ?? "0.0.0"
    if (!Bun.semver.satisfies(has, range)) report("problem", `${name} is ${has}, and ${facade} needs ${range}.`, add)
  }
  return findings
}

/** Copies of a package that code of one process would load: the project's, that of our package, and those in folders of others. */
const copiesOf = ({ root, package: { folder } }: Project, name: string): ReadonlyArray<string> => {
  const modules = join(root, "node_modules")
  const scopes = (existsSync(modules) ? readdirSync(modules) : []).flatMap((entry) =>
    entry.startsWith("@") ? readdirSync(join(modules, entry)).map((inner) => join(entry, inner)) : [entry],
  )
  const nested = scopes.map((entry) => join(modules, entry, "node_modules", name)).filter((copy) => existsSync(copy))
  const resolved = [root, folder].flatMap((home) => find(name, home)?.folder ?? [])
  return [...new Set([...resolved, ...nested.map((copy) => realpathSync(copy))])]
}

const copies = (project: Project): ReadonlyArray<Finding> => {
  if (!project.isInstalled) return []
  const reasons = {
    effect: "Schemas and Effects of one are no values of the other",
    react: "Components of one have no context in the other",
  }
  return Object.entries(reasons).flatMap(([name, reason]): ReadonlyArray<Finding> => {
    const found = copiesOf(project, name)
    if (found.length < 2) return []
    const places = found.map((copy) => relative(realpathSync(project.root), copy)).join(" and ")
    const range = project.package.manifest.peerDependencies?.[name] ?? "*"
    const repair = `Ask for one version everywhere (${name}@${range}; "overrides" of package.json), then: rm -r node_modules bun.lock && bun install`
    return [
      {
        check: "copies",
        status: "problem",
        file: null,
        message: `There are ${found.length} copies of ${name}: ${places}. ${reason}.`,
        repair,
      },
    ]
  })
}

/** Compiler options of a file and of the files that it extends by a path. */
const optionsOf = (file: string, depth = 0): { readonly [name: string]: unknown } => {
  const config = read(file)
  if (!isObject(config) || depth > 10) return {}
  const bases = [config.extends].flat().filter((base) => typeof base === "string" && base.startsWith("."))
  const inherited = bases.map((base) => {
    const path = resolve(dirname(file), String(base))
    return optionsOf(existsSync(path) ? path : `${path}.json`, depth + 1)
  })
  return Object.assign({}, ...inherited, isObject(config.compilerOptions) ? config.compilerOptions : {})
}

const tsconfig = ({ root, sources }: Project): ReadonlyArray<Finding> => {
  const path = join(root, "tsconfig.json")
  const found = (status: Finding["status"], message: string, repair: string): Finding => ({
    ...{ check: "tsconfig", status, message, repair },
    file: "tsconfig.json",
  })
  // A comment in the file itself takes precedence.
  const drawn = sources.filter(
    ({ file, text }) => /\.[jt]sx$/.test(file) && /<[A-Z>]/.test(text) && !text.includes("@jsxImportSource"),
  )
  const [first] = drawn
  const comment = `/** @jsxImportSource ${facade} */`
  let options: { readonly [name: string]: unknown }
  try {
    options = optionsOf(path)
  } catch (thrown) {
    return [found("problem", `It cannot be read: ${(thrown as Error).message}`, "Repair its JSON.")]
  }
  const { jsx, jsxImportSource, moduleResolution, module } = options
  const findings: Array<Finding> = []
  if (first !== undefined && jsxImportSource !== facade) {
    const is = jsxImportSource === undefined ? "is not set" : `is ${JSON.stringify(jsxImportSource)}`
    const others = drawn.length === 1 ? "has" : `and ${drawn.length - 1} more have`
    findings.push(
      found(
        "problem",
        `"jsxImportSource" ${is}, and ${relative(root, first.file)} ${others} no comment that says it.`,
        `Set "jsxImportSource": "${facade}", or begin each of these files with ${comment}`,
      ),
    )
  }
  if (!existsSync(path)) return findings
  if (sources.some(({ file }) => /\.tsx$/.test(file)) && jsx !== "react-jsx" && jsx !== "react-jsxdev")
    findings.push(found("problem", `"jsx" is ${JSON.stringify(jsx) ?? "not set"}.`, 'Set "jsx": "react-jsx".'))
  const finds = String(
    moduleResolution ?? (/^(preserve|node\d+|nodenext)$/i.test(String(module)) ? "bundler" : "classic"),
  ).toLowerCase()
  if (!/^(bundler|node16|nodenext)$/.test(finds))
    findings.push(
      found(
        "warning",
        `Subpaths such as ${facade}/testing have no types with this "moduleResolution".`,
        'Set "moduleResolution": "Bundler".',
      ),
    )
  return findings
}

const prompts = ({ root, sources }: Project): ReadonlyArray<Finding> => {
  const user = sources.find(({ text }) => /\bfrom ["'][^"']+\.mdx?["']/.test(text))
  if (user === undefined) return []
  const path = join(root, "bunfig.toml")
  const plugin = `${facade}/mdx`
  const found = (message: string): Finding => ({
    ...{ check: "prompts", status: "warning", file: "bunfig.toml", message },
    repair: `Add to bunfig.toml: preload = ["${plugin}"], at the top and below [test].`,
  })
  const why = `${relative(root, user.file)} imports a prompt, which only the smithers command can load`
  if (!existsSync(path)) return [found(`There is none. ${why}.`)]
  try {
    const config: unknown = Bun.TOML.parse(readFileSync(path, "utf8"))
    const has = (of: unknown) =>
      isObject(of) && [of.preload].flat().some((one) => typeof one === "string" && one.startsWith(plugin))
    return has(config) && isObject(config) && has(config.test) ? [] : [found(`It does not preload ${plugin}. ${why}.`)]
  } catch (thrown) {
    return [found(`It cannot be read: ${(thrown as Error).message}`)]
  }
}

const ignored = ({ root }: Project): ReadonlyArray<Finding> => {
  if (!existsSync(join(root, ".git"))) return []
  const path = join(root, ".gitignore")
  if (existsSync(path) && /^\/?(?:smithers\.db|\*\.db)/m.test(readFileSync(path, "utf8"))) return []
  const message = "Git would commit smithers.db, which holds inputs, outputs and prompts."
  return [{ check: "ignored", status: "warning", file: ".gitignore", message, repair: "Add a line: smithers.db*" }]
}

/** Returns what is wrong with the files of a project. */
export const examine = (root: string): ReadonlyArray<Finding> => {
  const installed = find(facade, root)
  const own = installed ?? find(facade, dirname(Bun.main))
  let manifest: Manifest | undefined
  try {
    manifest = read(join(root, "package.json")) as Manifest | undefined
  } catch (thrown) {
    const message = `It cannot be read: ${(thrown as Error).message}`
    return [{ check: "packages", status: "problem", file: "package.json", message, repair: "Repair its JSON." }]
  }
  if (own === undefined) return []
  const project: Project = {
    root,
    manifest,
    package: { folder: own.folder, manifest: JSON.parse(own.manifest) },
    isInstalled: installed !== undefined,
    sources: sourcesOf(root).map((file) => ({ file, text: readFileSync(file, "utf8") })),
  }
  return [runtime, packages, copies, tsconfig, prompts, ignored].flatMap((look) => look(project))
}
