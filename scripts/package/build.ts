/**
 * Builds the package that is published, out of the packages of the workspace: `bun run build`.
 *
 * What users import is bundled into few files, since three hundred take a process 40 ms longer to load; names and lines are left as they
 * are written, so that a stack can be read, and maps lead to the sources. `effect` and `react` stay outside. The program of commands that
 * load workflows is bundled together with it: a workflow and the command that runs it share one copy of everything. Commands that load none
 * are a bundle of their own, with all that they need and Effect too, of which they load only what they use. It is compiled to bytecode:
 * parsing is a third of the time of a command that reads. Another version of Bun than that of the build parses it as ever.
 *
 * The folder is as it is published:
 * ```
 * package.json README.md LICENSE NOTICE
 * dist/   declarations of the facade, with a folder for each package that it is made of
 * dist/lib/    JavaScript and its maps
 * src/    the sources that the maps lead to
 * cli/    the command, and the program of commands that load no workflow
 * page/   the page that it serves to browsers
 * templates/  the project that the command writes
 * ```
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { basename, dirname, join, relative } from "node:path"
import { build as buildPage } from "@smithers/ui/Build"

export const root = join(import.meta.dir, "..", "..")

/** Where the package is built. */
const folder = join(root, "build", "package")

interface Manifest {
  readonly name: string
  readonly version: string
  readonly exports: { readonly [path: string]: string | null }
  readonly engines: { readonly bun: string; readonly node: string }
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional: boolean }>>
}

export const readManifest = (part: string): Manifest =>
  JSON.parse(readFileSync(join(root, "packages", part, "package.json"), "utf8"))

const facade = "smithers"

/** The program of the command, which is bundled. */
const program = "cli"

const scope = "@smithers/"

/** Packages that are never in a bundle: users have them, or may leave them out. */
const outside =
  /^(?:effect|react|ai|zod|@ai-sdk\/mcp|@anthropic-ai\/sandbox-runtime|@effect\/(?:ai|experimental|sql)|@vscode\/ripgrep)(?:\/|$)/

/** Those of them that commands which load no workflow have in their bundle. */
const inside = /^effect(?:\/|$)/

/** Folders of a package that users import something of; the rest of it is in the program alone. */
const imported: { readonly [part: string]: ReadonlyArray<string> } = {
  server: ["client", "embedded", "events", "http", "mcp", "metrics", "operations", "views"],
}

/** Subpaths that load nothing of Effect or React, so that they work in any program and any browser. */
const light: ReadonlySet<string> = new Set(["client"])

/** The packages of the workspace that users import something of: the facade and what it depends on. */
const partsOf = (part: string, found = new Set<string>()): ReadonlySet<string> => {
  if (found.has(part) || part === program) return found
  found.add(part)
  for (const name of Object.keys(readManifest(part).dependencies ?? {})) {
    if (name.startsWith(scope)) partsOf(name.slice(scope.length), found)
  }
  return found
}

const parts = [...partsOf(facade)].sort()

/** The folder of a package within `dist` and `src`. */
const placeOf = (part: string): string => (part === facade ? "" : part)

const run = (command: ReadonlyArray<string>): void => {
  const { exitCode } = Bun.spawnSync([...command], { cwd: root, stdout: "inherit", stderr: "inherit" })
  if (exitCode !== 0) throw new Error(`${command.join(" ")} ended with code ${exitCode}`)
}

const filesIn = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

/** The module of the workspace that an import names, as a path in `dist` without its extension. */
const moduleOf = (name: string): string | undefined => {
  const [, part, path = "index"] = /^@smithers\/([^/]+)(?:\/(.+))?$/.exec(name) ?? []
  if (part === undefined) return undefined
  if (!parts.includes(part)) throw new Error(`${name} is imported, and ${part} is no dependency of the facade`)
  return join(placeOf(part), path)
}

/** Imports of packages of the workspace, in code and in declarations. Tags have names like theirs, and are left as they are. */
const imports = /(\bfrom\s*|\bimport\s*\(?\s*|\bimport\.meta\.resolve\(\s*|\bmodule\s+)(["'])(@smithers\/[^"']+)\2/g

/** Imports of files beside, which declarations keep by the names of their sources. */
const besides = /(\bfrom\s*|\bimport\s*\(?\s*)(["'])(\.{1,2}\/[^"']+)\.tsx?\2/g

/** Makes relative paths of the names of packages that are now folders, and names files as they are now. */
const link = (file: string, dist: string): string =>
  readFileSync(file, "utf8")
    .replaceAll(besides, "$1$2$3.js$2")
    .replaceAll(imports, (_, before: string, quote: string, name: string) => {
      const path = relative(dirname(file), join(dist, `${moduleOf(name)}.js`))
      return `${before}${quote}${path.startsWith(".") ? path : `./${path}`}${quote}`
    })

interface SourceMap {
  readonly sourcesContent?: ReadonlyArray<string>
  readonly sources: ReadonlyArray<string>
  readonly mappings: string
}

/** Puts a line into a file before another, and moves the lines of its map. */
const insertLine = (file: string, at: number, line: string): void => {
  writeFileSync(file, readFileSync(file, "utf8").split("\n").toSpliced(at, 0, line).join("\n"))
  const map: SourceMap = JSON.parse(readFileSync(`${file}.map`, "utf8"))
  writeFileSync(`${file}.map`, JSON.stringify({ ...map, mappings: map.mappings.split(";").toSpliced(at, 0, "").join(";") }))
}

/** Types of packages that need not be installed are then `any`, and no error of this package. */
const optionalTypes = /^(?:import|export) type .* from "(ai|@modelcontextprotocol\/sdk\/.*)";$/

const compile = (): void => {
  const temporary = join(root, "build", "compiled")
  const config = join(root, "build", "tsconfig.json")
  const compilerOptions = {
    noEmit: false,
    rootDir: "../packages",
    outDir: "compiled",
    declaration: true,
    declarationMap: true,
    emitDeclarationOnly: true,
    // What Node 20 has, and Node 22 where there is SQLite.
    target: "ES2023",
    lib: ["ES2024", "DOM", "DOM.Iterable"],
    allowImportingTsExtensions: false,
    rewriteRelativeImportExtensions: true,
  }
  const include = parts.flatMap((part) => (imported[part] ?? [""]).map((name) => join("../packages", part, "src", name)))
  writeFileSync(config, JSON.stringify({ extends: "../tsconfig.json", compilerOptions, include, exclude: [] }))
  run([join(root, "node_modules", ".bin", "tsc"), "-p", config])

  const [dist, sources] = [join(folder, "dist"), join(folder, "src")]
  for (const part of parts) {
    for (const name of imported[part] ?? [""]) {
      cpSync(join(root, "packages", part, "src", name), join(sources, placeOf(part), name), { recursive: true })
      cpSync(join(temporary, part, "src", name), join(dist, placeOf(part), name), { recursive: true })
    }
  }
  cpSync(join(root, "packages", facade, "src", "mdx-modules.d.ts"), join(dist, "mdx-modules.d.ts"))
  // The command has a folder of its own.
  for (const file of [join(sources, "bin.ts"), ...["d.ts", "d.ts.map"].map((end) => join(dist, `bin.${end}`))]) rmSync(file)

  for (const file of filesIn(dist)) {
    if (file.endsWith(".map")) {
      const map: SourceMap = JSON.parse(readFileSync(file, "utf8"))
      const source = join(sources, relative(dist, file)).replace(/(\.d\.ts|\.js)\.map$/, ".ts")
      const moved = existsSync(source) ? source : `${source}x`
      writeFileSync(file, JSON.stringify({ ...map, sources: [relative(dirname(file), moved)] }))
    } else {
      writeFileSync(
        file,
        link(file, dist).replaceAll(/(<reference path=")[^"]*(mdx-modules\.d\.ts)"( preserve="true")?/g, '$1./$2"'),
      )
    }
  }
  for (const file of filesIn(dist).filter((file) => file.endsWith(".d.ts"))) {
    for (const [at, line] of [...readFileSync(file, "utf8").split("\n").entries()].reverse()) {
      if (optionalTypes.test(line)) insertLine(file, at, "// @ts-ignore")
    }
  }
}

/** The optional peers that a subpath loads all at once: `/sql`, `/effect-ai`, `/server`. */
const peersOf = [["@effect/sql", "@effect/experimental"], ["@effect/ai"], ["@effect/platform"]]

/** The modules of Effect 3 that Effect 4 lacks, of those that `dist` imports. */
const goneFromEffect = [
  "ConfigError",
  "DefaultServices",
  "Either",
  "Encoding",
  "ExecutionStrategy",
  "FastCheck",
  "FiberId",
  "FiberRef",
  "FiberRefs",
  "GlobalValue",
  "JSONSchema",
  "List",
  "Mailbox",
  "MetricBoundaries",
  "MetricLabel",
  "MetricState",
  "ParseResult",
  "ScheduleDecision",
  "ScheduleIntervals",
  "Secret",
].map((module) => `effect/${module}`)

/**
 * Imports modules, in all of `dist`, through modules in a folder whose name says which versions are needed. The runtime names the
 * importer of a missing module: whichever file it loads first, that is one in this folder.
 */
const importThrough = (needs: string, modules: ReadonlyArray<string>): void => {
  const dist = join(folder, "dist")
  const named = new RegExp(`(\\bfrom\\s*|\\bimport\\s*\\(?\\s*)"(${modules.join("|")})"`, "g")
  for (const file of filesIn(dist).filter((file) => file.endsWith(".js"))) {
    const linked = readFileSync(file, "utf8").replaceAll(named, (_, before: string, module: string) => {
      const [, path = "index"] = /^(?:@[^/]+\/)?[^/]+\/(.+)$/.exec(module) ?? []
      const target = join(dist, needs, `${path}.js`)
      mkdirSync(dirname(target), { recursive: true })
      writeFileSync(target, `export * from "${module}"\n`)
      const from = relative(dirname(file), target)
      return `${before}"${from.startsWith(".") ? from : `./${from}`}"`
    })
    writeFileSync(file, linked)
  }
}

/** Imports the optional peers of a subpath through modules whose path says which versions are needed. */
const nameVersions = (peers: ReadonlyArray<string>, ranges: { readonly [peer: string]: string }): void => {
  const wanted = peers.map((peer) => `${peer.replace("@", "").replace("/", "-")}-${ranges[peer]?.replace("^", "")}`)
  importThrough(
    `needs-${wanted.join("-and-")}-to-be-installed`,
    peers.flatMap((peer) => [peer, `${peer}/[\\w/]+`]),
  )
}

/**
 * Modules that users name. Beside Effect 4 no line of this package runs: what that Effect lacks is imported by modules in a folder whose
 * name says which Effect is needed, and the runtime names one of these. Of other versions, of the runtime too, a module tells that is
 * loaded before anything else.
 */
const enter = (): void => {
  const { name, exports, engines, peerDependencies = {} } = readManifest(facade)
  const { effect = "", react = "" } = peerDependencies
  const [least = "", major = 0] = [effect.replace("^", ""), Number(/\d+/.exec(effect)?.[0])]
  const needs = "versions.js"
  importThrough(`needs-effect-${least}-or-later-and-below-${major + 1}`, goneFromEffect)
  writeFileSync(
    join(folder, "dist", needs),
    `import { EffectTypeId, void as nothing } from "effect/Effect"
import { version as react } from "react"

const numbersOf = (version) => [...version.replace(/^\\D+/, "").split(/[.-]/).map((part) => Number.parseInt(part, 10) || 0), 0, 0].slice(0, 3)
const order = (given, least) => given[0] - least[0] || given[1] - least[1] || given[2] - least[2]
const ensure = (runtime, found, range, upgrade) => {
  if (order(numbersOf(found), numbersOf(range)) >= 0) return
  throw new Error(\`${name} needs \${runtime} \${range.replace(">=", "")} or later; this is \${runtime} \${found}. \${upgrade}\`)
}
const check = (name, found, range) => {
  const [least, given] = [range, found].map(numbersOf)
  if (given[0] === least[0] && order(given, least) >= 0) return
  throw new Error(\`${name} needs \${name} \${range}; found \${name} \${found}. Install a supported version: npm install \${name}@\${range}\`)
}
const { bun, node } = globalThis.process?.versions ?? {}
if (bun !== undefined) ensure("Bun", bun, "${engines.bun}", "Upgrade it: bun upgrade")
else if (node !== undefined) ensure("Node", node, "${engines.node}", "Install a newer one: https://nodejs.org")
check("effect", nothing[EffectTypeId]._V, "${effect}")
check("react", react, "${react}")
`,
  )
  for (const peers of peersOf) nameVersions(peers, peerDependencies)
  mkdirSync(join(folder, "dist", "entry"))
  for (const source of Object.values(exports).filter((source) => source !== null)) {
    const module = basename(source, ".ts")
    const hasDefault = /^export default /m.test(readFileSync(join(root, "packages", facade, source), "utf8"))
    const rest = hasDefault ? `export { default } from "../lib/${module}.js"\n` : ""
    writeFileSync(
      join(folder, "dist", "entry", `${module}.js`),
      `${light.has(module) ? "" : `import "../${needs}"\n`}export * from "../lib/${module}.js"\n${rest}`,
    )
  }
}

interface Bundle {
  /** Source files by the names of their modules in the bundle. */
  readonly entries: Readonly<Record<string, string>>
  readonly out: string
  /** What stays outside: an import as the bundle names it. Bare names are as they are written, others are paths of sources. */
  readonly outside: (path: string, importer: string) => string | undefined
  readonly minify: boolean
}

/** Makes a bundle. Gives the folders of the packages that are in it. */
const bundle = async ({ entries, out, outside, minify }: Bundle): Promise<ReadonlyArray<string>> => {
  const stubs = join(root, "build", "entries")
  rmSync(stubs, { recursive: true, force: true })
  mkdirSync(stubs, { recursive: true })
  for (const [name, source] of Object.entries(entries)) {
    const hasDefault = /^export (?:default |\{ default)/m.test(readFileSync(source, "utf8"))
    const rest = hasDefault ? `export { default } from ${JSON.stringify(source)}\n` : ""
    writeFileSync(join(stubs, `${name}.ts`), `export * from ${JSON.stringify(source)}\n${rest}`)
  }
  const result = await Bun.build({
    entrypoints: Object.keys(entries).map((name) => join(stubs, `${name}.ts`)),
    outdir: out,
    root: stubs,
    // Also for Node: what runs in Bun alone is imported by name.
    target: "node",
    splitting: true,
    sourcemap: "linked",
    minify: minify ? { whitespace: true, syntax: true } : { syntax: true },
    naming: { chunk: "[name]-[hash].[ext]" },
    plugins: [
      {
        name: "smithers-outside",
        setup: (build) => {
          // Parsers for options that name a file of settings, of which the command has none: seventy files to load.
          build.onLoad({ filter: /\/@effect\/cli\/dist\/esm\/internal\/files\.js$/ }, ({ path }) => ({
            contents: readFileSync(path, "utf8").replaceAll(
              /^import \* as (\w+) from "(?:ini|toml|yaml)";?$/gm,
              'const $1 = { parse: () => { throw new Error("this is not in the bundle of the command") } }',
            ),
            loader: "js",
          }))
          // Questions of a wizard, which no command asks, and what they are drawn with: ninety kilobytes.
          build.onLoad({ filter: /\/@effect\/cli\/dist\/esm\/internal\/prompt(?:\/[\w-]+)?\.js$/ }, ({ path }) => ({
            contents: [...readFileSync(path, "utf8").matchAll(/^export (?:const|function|class) (\w+)/gm)]
              .map(([, name]) => `export const ${name} = () => { throw new Error("this is not in the bundle of the command") }`)
              .join("\n"),
            loader: "js",
          }))
          // What Schema makes examples of values with, which no command does: half a megabyte.
          build.onLoad({ filter: /\/effect\/dist\/esm\/FastCheck\.js$/ }, () => ({ contents: "export {}", loader: "js" }))
          build.onResolve({ filter: /.*/ }, ({ path, importer }) => {
            const isBare = !/^[./]/.test(path)
            const given = isBare ? path : join(dirname(importer), path)
            // A library in the bundle has its own: users need none for it.
            if (/^zod(?:\/|$)/.test(path) && importer.includes("/node_modules/")) return undefined
            const name = /^(?:bun|node):/.test(path) ? path : outside(given, importer)
            return name === undefined ? undefined : { path: name, external: true }
          })
          // A module that files of users import by its path.
          build.onLoad({ filter: /\/mdx-plugin\.ts$/ }, ({ path }) => ({
            contents: readFileSync(path, "utf8").replace(
              `import.meta.resolve("@smithers/jsx/PromptInput")`,
              `import.meta.resolve("./PromptInput.js")`,
            ),
            loader: "ts",
          }))
        },
      },
    ],
  })
  if (!result.success) throw new AggregateError(result.logs, `${out} could not be bundled`)
  const packages = new Set<string>()
  for (const { path } of result.outputs.filter(({ kind }) => kind === "sourcemap")) {
    const map: SourceMap = JSON.parse(readFileSync(path, "utf8"))
    const files = map.sources.map((file) => join(out, file))
    for (const file of files) {
      const [, found] = /(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file) ?? []
      if (found !== undefined) packages.add(found)
    }
    const published = files.map(publishedSource)
    const code = path.replace(/\.map$/, "")
    if (!minify && published.every((file) => file !== undefined)) {
      const { sourcesContent: _, ...rest } = map
      writeFileSync(path, JSON.stringify({ ...rest, sources: published.map((file) => relative(out, file)) }))
      writeFileSync(code, readFileSync(code, "utf8").replace(/\n?\/\/# debugId=[^\n]*/g, ""))
    } else {
      rmSync(path)
      writeFileSync(code, readFileSync(code, "utf8").replace(/\n?\/\/# (sourceMappingURL|debugId)=[^\n]*/g, ""))
    }
  }
  return [...packages].sort()
}

/** The copy of a source in the package; `undefined` for one that is not published. */
const publishedSource = (file: string): string | undefined => {
  const [, part = "", path = ""] = /\/packages\/([^/]+)\/src\/(.*)$/.exec(file) ?? []
  const copy = join(folder, "src", placeOf(part), path)
  return part !== "" && existsSync(copy) ? copy : undefined
}

const command = (module: string): string => join(root, "packages", program, "src", module)

/** Modules that work with the `HttpServer` of a program, and so with the platform of its users. All else of a server has its own. */
const embedding = join(root, "packages", "server", "src", "embedded")
const platform = /^@effect\/platform\//

const lib = join(folder, "dist", "lib")
const cli = join(folder, "cli")

/**
 * Bundles what users import, with the program of commands that load workflows; and the program of those that load none. The state of a
 * process that has just begun is in a module of its own, which both share.
 */
const bundleAll = async (): Promise<ReadonlyArray<string>> => {
  const asked = new Set(Object.keys(dependencies()))
  const isOutside = (path: string): boolean =>
    outside.test(path) || asked.has(path.split("/", path.startsWith("@") ? 2 : 1).join("/"))
  const modules = Object.values(readManifest(facade).exports).filter((source) => source !== null)
  const shared = await bundle({
    entries: {
      ...Object.fromEntries(modules.map((source) => [basename(source, ".ts"), join(root, "packages", facade, source)])),
      PromptInput: join(root, "packages", "jsx", "src", "PromptInput.ts"),
      loading: command("Loading.ts"),
    },
    out: lib,
    minify: false,
    outside: (path, importer) => {
      if (path === command("Launch.ts")) return "../../cli/launch.js"
      return isOutside(path) || (platform.test(path) && dirname(importer) === embedding) ? path : undefined
    },
  })
  const alone = await bundle({
    entries: { main: command("main.ts"), launch: command("Launch.ts") },
    out: cli,
    minify: true,
    outside: (path) => {
      if (path === command("Loading.ts")) return "../dist/lib/loading.js"
      return isOutside(path) && !inside.test(path) ? path : undefined
    },
  })
  await compileToBytecode(cli)
  for (const out of [lib, cli]) cpSync(command("signals.c"), join(out, "signals.c"))
  const bin = readFileSync(join(root, "packages", facade, "src", "bin.ts"), "utf8")
  writeFileSync(join(cli, "bin.js"), bin.replace('"@smithers/cli"', '"./main.js"'), { mode: 0o755 })
  return [...new Set([...shared, ...alone])]
}

/**
 * Compiles the modules of a bundle to bytecode, which Bun has for CommonJS alone. What a module asks `import.meta` for is then of the machine
 * that builds: a module that stays as it is tells it at run time.
 */
const compileToBytecode = async (bundle: string): Promise<void> => {
  const place = "place.js"
  for (const file of filesIn(bundle).filter((file) => file.endsWith(".js"))) {
    const result = await Bun.build({
      entrypoints: [file],
      outdir: bundle,
      target: "bun",
      format: "cjs",
      bytecode: true,
      minify: { whitespace: true, syntax: true },
      plugins: [
        {
          name: "smithers-one-by-one",
          setup: (build) => {
            build.onResolve({ filter: /.*/ }, ({ path, importer }) => (importer === "" ? undefined : { path, external: true }))
            build.onLoad({ filter: /\.js$/ }, () => {
              const code = readFileSync(file, "utf8").replaceAll(/\bimport\.meta\.(dir|dirname|url)\b/g, "ownPlace.$1")
              if (code.includes("import.meta"))
                throw new Error(`${file} asks import.meta for something that ${place} does not tell`)
              return {
                contents: code.includes("ownPlace.") ? `import * as ownPlace from "./${place}";${code}` : code,
                loader: "js",
              }
            })
          },
        },
      ],
    })
    if (!result.success) throw new AggregateError(result.logs, `${file} could not be compiled to bytecode`)
  }
  writeFileSync(join(bundle, place), "export const { dir, dirname, url } = import.meta\n")
}

/** What the package asks for, of all its parts. */
const dependencies = (): Readonly<Record<string, string>> => {
  const peers = new Set(Object.keys(readManifest(facade).peerDependencies ?? {}))
  const whole = parts.filter((part) => imported[part] === undefined)
  const all = whole.flatMap((part) => Object.entries(readManifest(part).dependencies ?? {}))
  return Object.fromEntries(all.filter(([name]) => !name.startsWith(scope) && !peers.has(name)).sort())
}

/** The page of the repository, from which every other address follows. */
const page = (): string => {
  const { repository } = JSON.parse(readFileSync(join(root, "packages", facade, "package.json"), "utf8"))
  return String(repository.url)
    .replace(/^git\+/, "")
    .replace(/\.git$/, "")
}

const manifestOf = (included: ReadonlyArray<string>) => {
  const { name, version, exports, peerDependencies, peerDependenciesMeta } = readManifest(facade)
  const { engines, repository, keywords, description } = JSON.parse(
    readFileSync(join(root, "packages", facade, "package.json"), "utf8"),
  )
  const targets = Object.entries(exports).map(([path, source]) => {
    const module = source === null ? undefined : basename(source, ".ts")
    return [path, module === undefined ? null : { types: `./dist/${module}.d.ts`, default: `./dist/entry/${module}.js` }]
  })
  return {
    name,
    version,
    description,
    keywords,
    license: "MIT",
    homepage: `${page()}#readme`,
    bugs: `${page()}/issues`,
    repository,
    type: "module",
    sideEffects: ["./dist/lib/*.js", "./dist/entry/*.js", "./dist/needs-*.js", "./cli/*.js"],
    bin: { smithers: "cli/bin.js" },
    exports: { ...Object.fromEntries(targets), "./package.json": "./package.json" },
    files: ["dist", "src", "cli", "page", "docs", "templates", ...included],
    engines,
    dependencies: dependencies(),
    peerDependencies,
    peerDependenciesMeta,
  }
}

/** The licences of what is bundled. */
const notice = (name: string, packages: ReadonlyArray<string>): string => {
  const texts = packages.map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
    const file = readdirSync(folder).find((entry) => /^licen[cs]e(\.|$)/i.test(entry))
    const text = file === undefined ? "" : `\n\n${readFileSync(join(folder, file), "utf8").trim()}`
    return `${name} ${version} (${license})${text}`
  })
  return `${name} contains, in the folders cli and page, code of these packages.\n\n${texts.join(`\n\n${"-".repeat(80)}\n\n`)}\n`
}

/** The README with links that lead somewhere from a registry's page. */
const readme = (): string => {
  const base = `${page()}/blob/main/`
  return readFileSync(join(root, "README.md"), "utf8").replaceAll(
    /\]\((?!https?:|#)([^)]+)\)/g,
    (_, path: string) => `](${base}${path})`,
  )
}

/** Builds the package from nothing. */
export const build = async (): Promise<void> => {
  rmSync(join(root, "build"), { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  compile()
  const bundled = await bundleAll()
  enter()
  // What a server hands out to browsers.
  const packages = [...new Set([...bundled, ...(await buildPage(join(folder, "page")))])].sort()
  const manifest = manifestOf(["NOTICE", "CHANGELOG.md"])
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`)
  writeFileSync(join(folder, "NOTICE"), notice(manifest.name, packages))
  writeFileSync(join(folder, "README.md"), readme())
  cpSync(join(root, "LICENSE"), join(folder, "LICENSE"))
  cpSync(join(root, "templates"), join(folder, "templates"), { recursive: true })
  // Agents read them as resources.
  cpSync(join(root, "docs"), join(folder, "docs"), { recursive: true, filter: (path) => !/\.(json|png)$/.test(path) })
  const changelog = join(root, "packages", facade, "CHANGELOG.md")
  if (existsSync(changelog)) cpSync(changelog, join(folder, "CHANGELOG.md"))
}

/** Packs what was built; gives the path of the tarball. */
export const pack = (to: string = join(root, "build")): string => {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["bun", "pm", "pack", "--destination", to, "--ignore-scripts", "--quiet"], {
    cwd: folder,
  })
  if (exitCode !== 0) throw new Error(`the package could not be packed: ${stderr}`)
  return join(to, stdout.toString().trim().split("\n").pop()?.split("/").pop() ?? "")
}

if (import.meta.main) {
  await build()
  console.log(pack())
}
