/**
 * Loads workflows from source files: TypeScript, JSX and `.mdx` prompts, with or without packages installed beside them. A file
 * that cannot be loaded is an error that names the place.
 *
 * Bun reads JSX settings from the folder that a process starts in, not from the folder of the file. Files with JSX outside
 * `node_modules` therefore get a pragma that names our runtime; Bun uses the last pragma of a file, so an author's own takes
 * precedence. Bun resolves packages itself: those of {@link BundledPackages} if none are installed, and never from a registry.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, extname, join, resolve } from "node:path"
import type { Definition } from "@smithers/core/Definition"
import type { Plan } from "@smithers/core/Plan"
import { defined } from "@smithers/core/Struct"
import * as Supervisor from "@smithers/core/Supervisor"
import type { Runs } from "@smithers/core/Workflow"
import * as Compatibility from "@smithers/jsx/Compatibility"
import { plural, quoted, shorten } from "@smithers/server/views/Text"
import { realPath } from "@smithers/sqlite/Location"
import type { BunPlugin } from "bun"
import * as Effect from "effect/Effect"
import { facade, find, names } from "./BundledPackages.ts"
import { CannotLaunch, InvalidWorkflowFile } from "./Errors.ts"
import { whyNot } from "./Launch.ts"
import * as Signals from "./Signals.ts"
import { extensions, parseTarget } from "./Target.ts"

/** An exported workflow, of the builder or of JSX. */
export interface LoadedWorkflow extends Runs<unknown, unknown> {
  readonly name: string
  readonly version: string | undefined
  readonly definition: Definition<never>
}

/** A workflow and the file it was loaded from. */
export interface WorkflowModule {
  readonly workflow: LoadedWorkflow
  /** Absolute path of the file. */
  readonly path: string
  /** Name of the export; `undefined` for the default one. */
  readonly exported: string | undefined
  /** All workflows that the file exports. */
  readonly all: ReadonlyArray<LoadedWorkflow>
}

/** Adds a pragma for our JSX runtime to the first line, as a default. Line numbers do not change. */
export const withRuntime = (source: string): string => {
  const pragma = `/** @jsxRuntime automatic @jsxImportSource ${facade} */ `
  const shebang = /^#![^\n]*\n/.exec(source)?.[0]
  return shebang === undefined
    ? pragma + source
    : `//${shebang.slice(2)}`.replace(/\n$/, () => `\n${pragma}`) + source.slice(shebang.length)
}

const plugin: BunPlugin = {
  name: "smithers-workflows",
  setup: (build) => {
    build.onLoad({ filter: /^(?!.*\/node_modules\/).*\.[jt]sx$/ }, ({ path }) => ({
      contents: withRuntime(readFileSync(path, "utf8")),
      loader: path.endsWith(".tsx") ? "tsx" : "jsx",
    }))
  },
}

/** The loaders of workflow files, once they are registered in this process. */
let registered: ReadonlyArray<BunPlugin> | undefined

/** Registers the loaders of workflow files in this process. `.mdx` is compiled by the package that the file's folder resolves. */
const prepare = async (folder: string): Promise<ReadonlyArray<BunPlugin>> => {
  if (registered !== undefined) return registered
  Signals.guard()
  Bun.plugin(plugin)
  registered = [plugin]
  const { mdx } = (await import(Bun.resolveSync(`${facade}/mdx`, folder))) as { readonly mdx: () => BunPlugin }
  Bun.plugin(mdx())
  registered = [plugin, mdx()]
  return registered
}

/** The loaders of the files of a workflow, for a bundler. */
export const plugins = (path: string): Effect.Effect<ReadonlyArray<BunPlugin>> => Effect.promise(() => prepare(dirname(path)))

/**
 * Loads the workflow that `target` names: a file, or `file#export`. Fails with `InvalidWorkflowFile` if the file does not exist,
 * cannot be parsed, has an unresolved import, throws while it loads, or exports no workflow.
 */
export const load = (
  target: string,
  options: {
    readonly folder?: string
    readonly exported?: string | undefined
    /** Imports the module of the file. Default: from its path. */
    readonly importing?: () => Promise<object>
    /** Consequence of a failure, as a sentence. Default: "Nothing was started." */
    readonly otherwise?: string
  },
): Effect.Effect<WorkflowModule, InvalidWorkflowFile | CannotLaunch> =>
  Effect.gen(function* () {
    const parsed = parseTarget(target)
    const exported = options.exported ?? parsed.exported
    const asked = resolve(options.folder ?? process.cwd(), parsed.file)
    const path = realPath(asked)
    const invalid = (reason: InvalidWorkflowFile["reason"], problem: string) => new InvalidWorkflowFile({ path, reason, problem })
    const stats = statSync(path, { throwIfNoEntry: false })
    if (stats === undefined) {
      return yield* invalid(
        "missing",
        `There is no file ${asked}. Run "smithers workflow list" to list the workflows of this project.`,
      )
    }
    if (!stats.isFile()) return yield* invalid("unknown", notAFile(asked, stats.isDirectory()))
    if (!extensions.includes(extname(path))) {
      return yield* invalid("unknown", `${path} is not a workflow file: its name must end in one of ${extensions.join(", ")}.`)
    }
    const refusal = whyNot()
    if (refusal !== undefined) return yield* new CannotLaunch({ problem: refusal })
    const module = yield* Effect.tryPromise({
      try: async () => {
        await prepare(dirname(path))
        return (await (options.importing?.() ?? import(path))) as { readonly [name: string]: unknown }
      },
      catch: (thrown) => explain(path, thrown, options.otherwise ?? "Nothing was started."),
    })
    const names = Object.keys(module).filter((name) => isWorkflow(module[name]))
    const name = exported ?? (isWorkflow(module.default) ? "default" : names.length === 1 ? (names[0] as string) : "default")
    const found = module[name]
    const known = names.map((one) => (one === "default" ? "its default export" : `"${one}"`)).join(", ")
    const advice =
      names.length === 0 ? "Export one: export default smithers(…)." : `It exports ${known}. Name one: ${parsed.file}#<name>.`
    if (found === undefined) {
      const what = name === "default" ? "has no default export that is a workflow" : `has no export "${name}"`
      return yield* invalid("no-export", `${path} ${what}. ${advice}`)
    }
    if (!isWorkflow(found)) {
      const what = name === "default" ? "The default export" : `"${name}"`
      return yield* invalid("no-workflow", `${what} of ${path} is ${kindOf(found)}, not a workflow. ${advice}${otherFacade(path)}`)
    }
    const all = [...new Set(names.map((one) => module[one] as LoadedWorkflow))]
    return { workflow: found, path, exported: name === "default" ? undefined : name, all }
  })

const notAFile = (path: string, isFolder: boolean): string => {
  if (!isFolder) return `${path} is a device, a pipe or a socket, not a regular file.`
  const inside = readdirSync(path).filter((name) => extensions.includes(extname(name)) && !name.endsWith(".d.ts"))
  const advice =
    inside.length === 0
      ? "It contains no workflow file."
      : `Name one of its files: ${inside
          .slice(0, 5)
          .map((name) => join(path, name))
          .join(", ")}.`
  return `${path} is a folder, not a workflow file. ${advice}`
}

/** Returns the definition of a workflow by name: of an exported one, or of a child workflow of one. */
export const definitionFor = ({ workflow, all }: WorkflowModule, name: string): Definition<never> | undefined => {
  const found = [workflow, ...all].find((one) => nameOrNone(one) === name)
  if (found !== undefined) return found.definition
  const built = [...new Map(all.filter(isBuilt).map((one) => [one.name, one])).values()]
  return Supervisor.registry<never>(built).find(name)
}

const isBuilt = (workflow: LoadedWorkflow): workflow is LoadedWorkflow & { readonly plan: Plan } => "plan" in workflow

/** Returns the name of a workflow. That of a JSX workflow comes from its first render, which may fail. */
export const nameOrNone = (workflow: LoadedWorkflow): string | undefined => {
  try {
    return workflow.name
  } catch {
    return undefined
  }
}

const isWorkflow = (value: unknown): value is LoadedWorkflow =>
  typeof value === "object" &&
  value !== null &&
  "definition" in value &&
  "execute" in value &&
  "start" in value &&
  "resume" in value

const kindOf = (value: unknown): string => (value === null ? "null" : typeof value === "object" ? "an object" : `a ${typeof value}`)

const explain = (path: string, thrown: unknown, otherwise: string): InvalidWorkflowFile => {
  const invalid = (reason: InvalidWorkflowFile["reason"], problem: string) => new InvalidWorkflowFile({ path, reason, problem })
  const messages = thrown instanceof AggregateError ? thrown.errors : [thrown]
  const builds = messages.filter(isBuildMessage)
  if (builds.length > 0) {
    const positions = builds.slice(0, 3).map(({ message, position }) => {
      const line = position?.lineText === undefined ? "" : `\n    ${shorten(position.lineText.trim(), 160)}`
      return `  ${position?.file ?? path}:${position?.line ?? 0}:${position?.column ?? 0} ${message}${line}`
    })
    return invalid("syntax", `${path} cannot be parsed (${plural(builds.length, "error")}). ${otherwise}\n${positions.join("\n")}`)
  }
  const unresolved = messages.find(isResolveMessage)
  if (unresolved !== undefined) {
    const { because, missing } = explainImport(unresolved, path)
    const problem = `${path} cannot be loaded: ${because}. ${otherwise}`
    return new InvalidWorkflowFile({ path, reason: "import", problem, ...defined({ missing }) })
  }
  const absent = absentName(thrown)
  if (absent !== undefined) return invalid("import", `${path} cannot be loaded: ${absent}. ${otherwise}${otherFacade(path)}`)
  const shown =
    thrown instanceof Error
      ? `${thrown.name}: ${thrown.message}${placeOf(thrown)}`
      : `the value ${shorten(Bun.inspect(thrown), 500)}`
  return invalid("threw", `${path} threw while it was loaded: ${shown}\n${otherwise}${otherFacade(path)}`)
}

/** Explains a name that a program of Smithers 0.x imports of this package, which lacks it. */
const absentName = (thrown: unknown): string | undefined => {
  if (!(thrown instanceof SyntaxError)) return undefined
  const [, name = "", module = ""] = /^Export named '([^']+)' not found in module '([^']+)'/.exec(thrown.message) ?? []
  const cure = Compatibility.cureOfImport(name)
  if (cure === undefined || !belongsTo(module, facade)) return undefined
  return `it imports "${name}" of Smithers 0.x. ${cure}`
}

const belongsTo = (module: string, name: string): boolean => {
  const folder = find(name, dirname(module))?.folder ?? find(name, dirname(Bun.main))?.folder
  return folder !== undefined && realPath(module).startsWith(`${folder}/`)
}

/** An unresolved import, as Bun reports it. */
interface Unresolved extends Error {
  readonly specifier: string
  readonly referrer: string
}

const isResolveMessage = (value: unknown): value is Unresolved => value instanceof Error && value.name === "ResolveMessage"

/** Explains an unresolved import, and how to resolve it. */
const explainImport = (
  { specifier, referrer, message }: Unresolved,
  path: string,
): { readonly because: string; readonly missing?: string } => {
  const isPath = /^(?:[./#]|[a-z]+:)/i.test(specifier)
  if (isPath) return { because: `${message.split("\n", 1)[0]}. Correct the path` }
  const importer = referrer === "" ? path : referrer
  const folder = dirname(importer)
  const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/")
  const isHere = isInstalled(folder, name)
  const ours = optionalPeers(importer)
  if (!isHere && name in ours) {
    // The peers that a subpath loads together are in the name of the folder that imports them.
    const folderName = (peer: string): string => peer.replace("@", "").replace("/", "-")
    const peers = Object.entries(ours).filter(([other]) => other === name || importer.includes(`${folderName(other)}-`))
    const wanted = peers.filter(([other]) => !isInstalled(folder, other)).map(([other, range]) => `"${other}@${range}"`)
    const because = `${facade} needs the package "${name}" for this import, and it is not installed. Install it: cd ${quoted(projectOf(dirname(path)))} && bun add ${wanted.join(" ")}`
    return { because, missing: name }
  }
  const cure = isHere && name !== facade ? undefined : Compatibility.cureOfImport(specifier)
  if (cure !== undefined) {
    const what = name === facade ? "which does not exist" : `a package of Smithers 0.x that is one with ${facade}`
    return { because: `${importer} imports "${specifier}", ${what}. ${cure}` }
  }
  const install = `cd ${quoted(projectOf(folder))} && bun add ${name}`
  if (!isHere && (name === specifier || !names.includes(name)))
    return { because: `${importer} imports the package "${name}", which is not installed. Install it: ${install}`, missing: name }
  if (name === facade)
    return {
      because: `${importer} imports "${specifier}", which does not exist. Available: ${subpaths(importer).join(", ")}.${otherFacade(importer)} Correct the path`,
    }
  const whose = isHere ? "is installed there" : "comes with this command"
  const because = `${importer} imports "${specifier}", but the package "${name}" that ${whose} has no such module. Correct the path, or install a version that has it: ${install}`
  return { because }
}

/** Returns the manifest of the `smithers-orchestrator` that a module belongs to or uses. */
const facadeManifest = (path: string): FacadeManifest => {
  const found = find(facade, dirname(path)) ?? find(facade, dirname(Bun.main))
  return found === undefined ? {} : JSON.parse(found.manifest)
}

interface FacadeManifest {
  readonly exports?: { readonly [path: string]: unknown }
  readonly peerDependencies?: { readonly [name: string]: string }
  readonly peerDependenciesMeta?: { readonly [name: string]: unknown }
}

/** Lists the subpaths of the package that workflows import. */
const subpaths = (importer: string): ReadonlyArray<string> =>
  Object.keys(facadeManifest(importer).exports ?? {})
    .filter((path) => path !== "./package.json")
    .map((path) => facade + path.slice(1))

/** Returns the optional peers of our package with their version ranges; empty if the module belongs to another package. */
const optionalPeers = (importer: string): { readonly [name: string]: string } => {
  const own = find(facade, dirname(importer))
  if (own === undefined || !realPath(importer).startsWith(`${own.folder}/`)) return {}
  const { peerDependencies = {}, peerDependenciesMeta = {} } = facadeManifest(importer)
  return Object.fromEntries(Object.entries(peerDependencies).filter(([name]) => name in peerDependenciesMeta))
}

/**
 * Returns a note on the `smithers-orchestrator` that a file uses, if it is not that of this command: another version, or another
 * product of that name.
 */
const otherFacade = (path: string): string => {
  for (let here = dirname(path); here !== dirname(here); here = dirname(here)) {
    const folder = join(here, "node_modules", facade)
    if (!existsSync(join(folder, "package.json"))) continue
    if (realPath(folder) === realPath(join(Bun.main, "..", ".."))) return ""
    const { version = "?" } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { readonly version?: string }
    return ` It uses ${facade} ${version} in ${folder}, not the one of this command. Remove that package to use the one of this command.`
  }
  return ""
}

/** Returns the folder of the nearest `package.json`. Default: the given folder. */
const projectOf = (folder: string): string => {
  for (let here = folder; ; here = dirname(here)) {
    if (existsSync(join(here, "package.json"))) return here
    if (here === dirname(here)) return folder
  }
}

/** Returns `true` if a package is installed for the files of a folder. */
const isInstalled = (folder: string, name: string): boolean => {
  for (let here = folder; ; here = dirname(here)) {
    if (existsSync(join(here, "node_modules", name))) return true
    if (here === dirname(here)) return false
  }
}

/** Returns the first places of a stack. */
const placeOf = ({ stack }: Error): string =>
  (stack ?? "")
    .split("\n")
    .filter((line) => /^\s+at /.test(line) && !line.includes("native:"))
    .slice(0, 3)
    .map((line) => `\n${line}`)
    .join("")

interface BuildProblem {
  readonly message: string
  readonly position: { readonly file: string; readonly line: number; readonly column: number; readonly lineText?: string } | null
}

const isBuildMessage = (value: unknown): value is BuildProblem =>
  typeof value === "object" && value !== null && "name" in value && value.name === "BuildMessage"

/** Functions of `smithers-orchestrator` that examine a workflow without running it. */
export interface Facade {
  readonly renderPlan: typeof import("@smithers/jsx/renderPlan").renderPlan
}

/** Loads the `smithers-orchestrator` that a workflow file uses. No other copy knows its components. */
export const facadeOf = (path: string): Effect.Effect<Facade> =>
  Effect.promise(async () => (await import(Bun.resolveSync(facade, dirname(path)))) as Facade)

/** Returns `true` for a JSX workflow, whose plan is a render. */
export const isJsx = (workflow: LoadedWorkflow): boolean => Symbol.for("@smithers/jsx/Blueprint") in workflow
