/** What is in the tarball, without installing it. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, relative } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { succeed, tarball } from "./Fixture.ts"

const folder = mkdtempSync(join(tmpdir(), "smithers-tarball-"))
const unpacked = join(folder, "package")
const read = (file: string): string => readFileSync(join(unpacked, file), "utf8")

beforeAll(() => succeed(["tar", "-xzf", tarball, "-C", folder], folder))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const files = (): ReadonlyArray<string> =>
  readdirSync(unpacked, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(unpacked, join(entry.parentPath, entry.name)))

/** The modules that a module of the package imports before it runs. */
const importsOf = (file: string): ReadonlyArray<string> =>
  new Bun.Transpiler({ loader: "js" })
    .scanImports(read(file))
    .flatMap(({ kind, path }) => (kind === "import-statement" ? [path] : []))

/** The packages that a module loads, by itself and by what it imports of this package. */
const loadedBy = (entry: string, seen = new Set<string>(), packages = new Set<string>()): ReadonlySet<string> => {
  if (seen.has(entry)) return packages
  seen.add(entry)
  for (const name of importsOf(entry)) {
    if (name.startsWith(".")) loadedBy(join(dirname(entry), name), seen, packages)
    else packages.add(name.split("/", name.startsWith("@") ? 2 : 1).join("/"))
  }
  return packages
}

describe("the tarball", () => {
  it("says who made it, what it is, what it needs and where it comes from, and asks for no package of the workspace", () => {
    const manifest = JSON.parse(read("package.json"))
    expect(manifest).toMatchObject({
      name: "smithers-orchestrator",
      license: "MIT",
      type: "module",
      description: expect.any(String),
      repository: { type: "git", url: expect.stringContaining("git+https://") },
      homepage: expect.stringMatching(/^https:.*#readme$/),
      bugs: expect.stringMatching(/^https:.*\/issues$/),
      engines: { bun: expect.any(String), node: expect.any(String) },
      peerDependencies: { effect: "^3.22.1", react: "^19" },
    })
    expect(manifest.keywords.length).toBeGreaterThan(3)
    const { effect, react, ...optional } = manifest.peerDependencies
    expect(Object.keys(manifest.peerDependenciesMeta).sort()).toEqual(Object.keys(optional).sort())
    expect(JSON.stringify(manifest)).not.toMatch(/workspace:|@smithers\//)
    expect(Object.keys(manifest.dependencies).filter((name) => name in manifest.peerDependencies)).toEqual([])
    for (const file of ["README.md", "LICENSE", "NOTICE"]) expect(read(file).length).toBeGreaterThan(500)
    expect(read("README.md")).not.toMatch(/\]\((?!https:|#)/)
  })

  it("has every file that it exports, with its types, and the source of every map", () => {
    const { exports, bin } = JSON.parse(read("package.json"))
    const { "./package.json": _, ...modules } = exports
    expect(Object.keys(modules)).toEqual(
      expect.arrayContaining([
        ...[".", "./agents", "./client", "./effect-ai", "./mdx", "./mdx-plugin", "./scorers", "./server", "./sql"],
        ...["./jsx-runtime", "./jsx-dev-runtime"],
      ]),
    )
    const named = [...Object.values(modules).flatMap((target) => Object.values(target as Record<string, string>)), bin.smithers]
    expect(named.filter((file) => !existsSync(join(unpacked, file)))).toEqual([])
    const maps = files().filter((file) => file.endsWith(".map"))
    expect(maps.length).toBeGreaterThan(200)
    const lost = maps.filter(
      (file) => !JSON.parse(read(file)).sources.every((source: string) => existsSync(join(unpacked, dirname(file), source))),
    )
    expect(lost).toEqual([])
  })

  it("imports nothing of the workspace by name, in code or in types, and no other file than there is", () => {
    const modules = files().filter((file) => /^(dist|cli)\/.*(\.js|\.d\.ts)$/.test(file))
    for (const file of modules) {
      const names = [...read(file).matchAll(/(?:from\s*|import\s*\(?\s*|resolve\(\s*)["']([^"'\n]+)["']/g)].map(
        ([, name]) => name ?? "",
      )
      expect([file, names.filter((name) => name.startsWith("@smithers/"))]).toEqual([file, []])
      // Declarations name the JavaScript that they would stand beside; it is in few files.
      const named = file.endsWith(".d.ts")
        ? names.map((name) => name.replace(/\.js$/, ".d.ts"))
        : new Bun.Transpiler({ loader: "js" }).scanImports(read(file).replace(/^#!.*/, "")).map(({ path }) => path)
      const missing = named.filter(
        (name) => name.startsWith(".") && !name.endsWith(".mdx") && !existsSync(join(unpacked, dirname(file), name)),
      )
      expect([file, missing]).toEqual([file, []])
    }
  })

  it("loads of each subpath only what everybody has, and the peers that are its own", () => {
    const { exports, dependencies } = JSON.parse(read("package.json"))
    const everybody = new Set(["effect", "react", ...Object.keys(dependencies)])
    const more = Object.fromEntries(
      Object.entries(exports)
        .filter(([, target]) => typeof target === "object")
        .map(([path, target]) => {
          const loaded = [...loadedBy((target as { readonly default: string }).default)]
          // The client runs in browsers, and takes types alone.
          expect([path, loaded.includes("effect")]).toEqual([path, path !== "./client"])
          return [path, loaded.filter((name) => !everybody.has(name) && !name.startsWith("node:")).sort()]
        }),
    )
    expect(more).toMatchObject({ ".": [], "./agents": [], "./mdx": [], "./jsx-runtime": [], "./jsx-dev-runtime": [] })
    expect([more["./client"], more["./mdx-plugin"], more["./scorers"]]).toEqual([[], [], []])
    expect(more["./sql"]).toEqual(["@effect/experimental", "@effect/sql"])
    expect(more["./effect-ai"]).toEqual(["@effect/ai"])
    expect(more["./server"]).toEqual(["@effect/platform"])
  })

  it("has the bytecode of each module of the command, and no folder of the machine that built it", () => {
    const modules = files().filter((file) => /^cli\/.*\.js$/.test(file) && !/\/(?:bin|place)\.js$/.test(file))
    expect(modules.length).toBeGreaterThan(10)
    expect(modules.filter((file) => !existsSync(join(unpacked, `${file}.jsc`)))).toEqual([])
    const root = join(import.meta.dirname, "..", "..")
    expect(files().filter((file) => file.startsWith("cli/") && readFileSync(join(unpacked, file)).includes(root))).toEqual([])
  })

  it("names, in NOTICE, every package that is in the bundle of the command, with its licence", () => {
    const named = [...read("NOTICE").matchAll(/^(\S+) \d+\.\d+\.\d+ \((.+)\)$/gm)].map(([, name]) => name)
    expect(named).toContain("@effect/cli")
    expect(read("NOTICE")).not.toContain("undefined")
  })
})
