/**
 * Creates a project: its configuration, a workflow, and a test.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { basename, dirname, join, relative, resolve } from "node:path"
import { version } from "@smithers/core/Package"
import { quoted } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import { facade, find } from "../BundledPackages.ts"
import { CannotWrite } from "../Errors.ts"
import { folders } from "../Project.ts"
import { template } from "./workflow.ts"

/** Development dependencies of the project. */
const tools = { "@types/bun": "^1.3.0", typescript: "^7.0.2" }

/** Dependencies of the workflow, in the versions that our package supports. */
const dependencies = (): Readonly<Record<string, string>> => {
  const own = find(facade, dirname(Bun.main))
  const { peerDependencies = {} }: Manifest = own === undefined ? {} : JSON.parse(own.manifest)
  const peers = ["effect", "react", "zod"].map((name) => [name, peerDependencies[name] ?? "*"])
  return { [facade]: `^${version}`, ...Object.fromEntries(peers) }
}

interface Manifest {
  readonly peerDependencies?: Readonly<Record<string, string>>
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`

const workflow = join(folders[0] as string, "hello.tsx")

const manifest = (folder: string): string =>
  json({
    name:
      basename(folder)
        .toLowerCase()
        .replaceAll(/[^a-z0-9-]+/g, "-")
        .replaceAll(/^-+|-+$/g, "") || "workflows",
    private: true,
    type: "module",
    scripts: { hello: "smithers workflow run hello", test: "bun test", typecheck: "tsc" },
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
  include: [folders[0], "test"],
})

const bunfig = `# Prompts in .mdx and .md files can be imported.
preload = ["${facade}/mdx"]

[test]
preload = ["${facade}/mdx"]
`

const test = `import { expect, test } from "bun:test"
import { TestRuntime } from "${facade}/testing"
import hello from "../${workflow.replace(/\.tsx$/, "")}"

test("it asks before it reports", async () => {
  await using runtime = TestRuntime.make()
  const run = await runtime.start(hello, { goal: "rest" }, { runId: "hello" })
  expect(await runtime.waitFor("hello")).toMatchObject({ nodeId: "go", request: { title: "Go on with: rest?" } })
  await runtime.approve("hello", "go")
  expect(await run.output()).toEqual({ text: "Done: think about: rest, do it" })
})
`

const ignored = `node_modules
.smithers/logs
smithers.db*
*.log
`

/** Returns the files of a new project, by path. */
const files = (folder: string): ReadonlyArray<readonly [path: string, text: string]> => [
  ["package.json", manifest(folder)],
  ["tsconfig.json", tsconfig],
  ["bunfig.toml", bunfig],
  [".gitignore", ignored],
  [workflow, template("hello")],
  [join("test", "hello.test.ts"), test],
]

/** Writes a file unless it exists. Returns `true` if written. */
const writeNew = (path: string, text: string): Effect.Effect<boolean, CannotWrite> => {
  const attempt = (make: () => void) => Effect.try({ try: make, catch: (thrown) => thrown as NodeJS.ErrnoException })
  return attempt(() => mkdirSync(dirname(path), { recursive: true })).pipe(
    Effect.zipRight(
      Effect.catchIf(
        Effect.as(
          attempt(() => writeFileSync(path, text, { flag: "wx" })),
          true,
        ),
        ({ code }) => code === "EEXIST",
        () => Effect.succeed(false),
      ),
    ),
    Effect.mapError(({ message }) => new CannotWrite({ path, problem: message })),
  )
}

export const init = ({ folder: where = "." }: { readonly folder: string | undefined }) =>
  Effect.gen(function* () {
    const folder = resolve(where)
    const written: Array<string> = []
    const kept: Array<string> = []
    for (const [path, text] of files(folder)) {
      const isNew = yield* writeNew(join(folder, path), text)
      ;(isNew ? written : kept).push(path)
    }
    const versions = (packages: Readonly<Record<string, string>>) =>
      Object.entries(packages)
        .map(([name, range]) => quoted(`${name}@${range}`))
        .join(" ")
    const way = relative(process.cwd(), folder)
    const install = kept.includes("package.json")
      ? [`bun add ${versions(dependencies())}`, `bun add --dev ${versions(tools)}`]
      : ["bun install"]
    const next = [...(way === "" ? [] : [`cd ${quoted(way)}`]), ...install, "bun test", "bun run smithers workflow run hello"]
    const lines = [
      ...(written.length === 0 ? [] : [`Wrote in ${folder}:`, ...written.map((path) => `  ${path}`)]),
      ...(kept.length === 0 ? [] : ["Existing files, kept:", ...kept.map((path) => `  ${path}`)]),
      "Next:",
      ...next.map((line) => `  ${line}`),
    ]
    return { value: { folder, written, kept, next }, text: lines.join("\n") }
  })
