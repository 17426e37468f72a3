/**
 * Creates a project, or adds workflows to one: templates with their prompts and tests, agents, and the settings that these need.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { basename, dirname, join, relative, resolve } from "node:path"
import { nearestWord } from "@smithers/core/Names"
import { version } from "@smithers/core/Package"
import { quoted } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import { facade, find } from "../BundledPackages.ts"
import { CannotWrite, InvalidUsage } from "../Errors.ts"
import { table } from "../Table.ts"
import * as Templates from "../Templates.ts"

/** Development dependencies of the project. */
const tools = { "@types/bun": "^1.3.0", typescript: "^7.0.2" }

/** Packages of models. A project works without them as long as it has no key for one. */
const providers = { ai: "^7", "@ai-sdk/anthropic": "^4", "@ai-sdk/openai": "^4" }

/** Dependencies of the workflows, in the versions that our package supports. */
const dependencies = (): Readonly<Record<string, string>> => {
  const own = find(facade, dirname(Bun.main))
  const { peerDependencies = {} }: Manifest = own === undefined ? {} : JSON.parse(own.manifest)
  const peers = ["effect", "react", "zod"].map((name) => [name, peerDependencies[name] ?? "*"])
  return { [facade]: `^${version}`, ...Object.fromEntries(peers), ...providers }
}

interface Manifest {
  readonly peerDependencies?: Readonly<Record<string, string>>
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`

const manifest = (folder: string, chosen: ReadonlyArray<string>): string =>
  json({
    name:
      basename(folder)
        .toLowerCase()
        .replaceAll(/[^a-z0-9-]+/g, "-")
        .replaceAll(/^-+|-+$/g, "") || "workflows",
    private: true,
    type: "module",
    scripts: {
      ...Object.fromEntries(chosen.map((name) => [name, `smithers workflow run ${name}`])),
      doctor: "smithers workflow doctor",
      supervise: "smithers supervise",
      test: "bun test",
      typecheck: "tsc",
    },
    dependencies: dependencies(),
    devDependencies: tools,
  })

const tsconfig = json({
  compilerOptions: {
    target: "ESNext",
    lib: ["ESNext"],
    module: "Preserve",
    moduleResolution: "Bundler",
    types: ["bun"],
    jsx: "react-jsx",
    jsxImportSource: facade,
    strict: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: true,
    noEmit: true,
  },
  include: ["agents.ts", "workflows", "test"],
})

const bunfig = `# Prompts in .mdx and .md files can be imported.
preload = ["${facade}/mdx"]

[test]
preload = ["${facade}/mdx"]
`

/** Files that belong to the project and not to its workflows: an existing one is kept, whatever was asked for. */
const settings = new Set(["package.json", "tsconfig.json", "bunfig.toml", ".gitignore"])

/** Returns the place of a file. The guide goes beside the workflows where the project has a guide of its own. */
const placeOf = (folder: string, path: string): string => {
  const existing = join(folder, path)
  const isTheirs = path === "AGENTS.md" && existsSync(existing) && !readFileSync(existing, "utf8").includes(facade)
  return isTheirs ? join("workflows", path) : path
}

type Fate = "written" | "overwritten" | "kept"

/** Writes a file. An existing one is kept, or overwritten on request. */
const write = (path: string, text: string, force: boolean): Effect.Effect<Fate, CannotWrite> => {
  const attempt = (make: () => void) => Effect.try({ try: make, catch: (thrown) => thrown as NodeJS.ErrnoException })
  const put = (flag: "w" | "wx") => attempt(() => writeFileSync(path, text, { flag }))
  return attempt(() => mkdirSync(dirname(path), { recursive: true })).pipe(
    Effect.zipRight(
      Effect.catchIf(
        Effect.as(put("wx"), "written" as Fate),
        ({ code }) => code === "EEXIST",
        () => (force ? Effect.as(put("w"), "overwritten" as Fate) : Effect.succeed<Fate>("kept")),
      ),
    ),
    Effect.mapError(({ message }) => new CannotWrite({ path, problem: message })),
  )
}

const refused = (problem: string) => new InvalidUsage({ problem, command: "init" })

/** Reads the names of templates, which may stand in one text. Default: all. */
const chosenOf = (given: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const words = given.flatMap((text) => text.split(",").map((word) => word.trim().toLowerCase()))
    if (words.length === 0) return Templates.names
    const unknown = words.find((word) => !Templates.names.some((name) => name === word))
    if (unknown === undefined) return Templates.names.filter((name) => words.includes(name))
    const near = nearestWord(unknown, Templates.names)
    const meant = near === undefined ? "" : ` Did you mean "${near}"?`
    return yield* refused(`There is no template "${unknown}": there are ${Templates.names.join(", ")}.${meant}`)
  })

const list = () => {
  const all = Templates.names.map((name) => ({ name, summary: Templates.templates[name] }))
  return {
    value: { templates: all },
    text: table(
      ["TEMPLATE", "WORKFLOW"],
      all.map(({ name, summary }) => [name, summary]),
    ),
  }
}

export interface InitOptions {
  readonly folder: string | undefined
  readonly template: ReadonlyArray<string>
  readonly list: boolean
  readonly force: boolean
}

export const init = ({ folder: where = ".", template, list: isList, force }: InitOptions) =>
  Effect.gen(function* () {
    const chosen = yield* chosenOf(template)
    if (isList) return list()
    const found = Templates.filesOf(chosen)
    if (found === undefined) return yield* refused(`The package ${facade} is here without its templates: install it again`)
    const folder = resolve(where)
    const files: ReadonlyArray<Templates.ProjectFile> = [
      ["package.json", manifest(folder, chosen)],
      ["tsconfig.json", tsconfig],
      ["bunfig.toml", bunfig],
      ...found,
    ]
    const by: Record<Fate, Array<string>> = { written: [], overwritten: [], kept: [] }
    for (const [name, text] of files) {
      const path = placeOf(folder, name)
      by[yield* write(join(folder, path), text, force && !settings.has(path))].push(path)
    }
    const { written, overwritten, kept } = by
    const versions = (packages: Readonly<Record<string, string>>) =>
      Object.entries(packages)
        .map(([name, range]) => quoted(`${name}@${range}`))
        .join(" ")
    const way = relative(process.cwd(), folder)
    const install = kept.includes("package.json")
      ? [`bun add ${versions(dependencies())}`, `bun add --dev ${versions(tools)}`]
      : ["bun install"]
    const isTheirs = kept.some((path) => settings.has(path))
    const next = [
      ...(way === "" ? [] : [`cd ${quoted(way)}`]),
      ...install,
      ...(isTheirs ? ["bunx smithers workflow doctor"] : []),
      "bun test",
      `bunx smithers workflow run ${chosen[0]}`,
    ]
    const section = (title: string, paths: ReadonlyArray<string>) =>
      paths.length === 0 ? [] : [title, ...paths.map((path) => `  ${path}`)]
    const lines = [
      ...section(`Wrote in ${folder}:`, written),
      ...section("Overwrote:", overwritten),
      ...section(`Existing files, kept${force ? "" : " (--force overwrites those of workflows)"}:`, kept),
      ...section("Next:", next),
    ]
    return { value: { folder, templates: [...chosen], written, overwritten, kept, next }, text: lines.join("\n") }
  })
