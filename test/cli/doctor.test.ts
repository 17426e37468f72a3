import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { doctor } from "@smithers/cli/actions/doctor"
import { examine } from "@smithers/cli/Doctor"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "..", "..")
/** A folder for temporary files in which nobody has installed packages: they would be those of the projects below. */
const base = [tmpdir(), "/var/tmp"].find((place) => !existsSync(join(place, "node_modules"))) ?? tmpdir()
let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(base, "smithers-doctor-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const write = (path: string, text: string | object) => {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), typeof text === "string" ? text : JSON.stringify(text))
}

/** Installs a package: ours is the real one, others say their version. */
const install = (name: string, version: string, within = "node_modules") => {
  if (name !== "smithers-orchestrator") return write(join(within, name, "package.json"), { name, version })
  mkdirSync(join(folder, within), { recursive: true })
  return symlinkSync(join(root, "packages", "smithers"), join(folder, within, name))
}

const drawn = `import { createSmithers } from "smithers-orchestrator"\nimport { z } from "zod"\nexport default <Workflow />\n`
const found = () => examine(folder).map(({ check, status, message, repair }) => [check, status, message, repair].join(" | "))

describe("workflow doctor", () => {
  it("finds nothing in a folder without a package.json, whose packages come with the command", () => {
    write("workflows/a.tsx", `/** @jsxImportSource smithers-orchestrator */\n${drawn}`)
    expect(examine(folder)).toEqual([])
  })

  it("finds packages that are missing, that do not fit, and that are there twice, each with the command that repairs it", () => {
    write("package.json", { dependencies: { "smithers-orchestrator": "^0.1.0", effect: "^4" } })
    write("workflows/a.tsx", `/** @jsxImportSource smithers-orchestrator */\n${drawn}import "smithers-orchestrator/sql"\n`)
    expect(found()).toEqual(["packages | problem | smithers-orchestrator is a dependency, and is not installed. | bun install"])
    install("smithers-orchestrator", "")
    install("effect", "4.1.0")
    install("react", "19.3.1")
    install("react", "18.3.1", "node_modules/old-library/node_modules")
    expect(found().filter((line) => line.startsWith("packages"))).toEqual([
      "packages | problem | @effect/experimental is not installed, and workflows/a.tsx needs it. | bun add '@effect/experimental@^0.61.1'",
      "packages | problem | @effect/sql is not installed, and workflows/a.tsx needs it. | bun add '@effect/sql@^0.52.1'",
      "packages | problem | effect is 4.1.0, and smithers-orchestrator needs ^3.22.1. | bun add 'effect@^3.22.1'",
      "packages | problem | zod is not installed, and workflows/a.tsx needs it. | bun add 'zod@^4'",
    ])
    const [effects = "", reacts = ""] = found().filter((line) => line.startsWith("copies"))
    expect(effects).toMatch(
      /^copies \| problem \| There are 2 copies of effect: node_modules\/effect and \S+\. Schemas .*bun install/,
    )
    expect(reacts).toMatch(/There are 3 copies of react: .*node_modules\/old-library\/node_modules\/react/)
  })

  it("finds settings of the compiler that would draw with another library, also in a base, and takes the comment of a file for them", () => {
    write("workflows/a.tsx", drawn)
    write("base.json", `{ // a comment\n "compilerOptions": { "jsx": "preserve", "moduleResolution": "node10" }, }`)
    write("tsconfig.json", { extends: "./base", compilerOptions: { jsxImportSource: "preact" } })
    expect(found()).toEqual([
      expect.stringMatching(
        /^tsconfig \| problem \| "jsxImportSource" is "preact", and workflows\/a\.tsx has no comment .*Set "jsxImportSource"/,
      ),
      'tsconfig | problem | "jsx" is "preserve". | Set "jsx": "react-jsx".',
      expect.stringMatching(/^tsconfig \| warning \| Subpaths .*"Bundler"/),
    ])
    const jsx = { jsx: "react-jsx", jsxImportSource: "smithers-orchestrator", module: "Preserve" }
    write("tsconfig.json", { compilerOptions: jsx })
    expect(examine(folder)).toEqual([])
    write("tsconfig.json", "{")
    expect(found()).toEqual([expect.stringMatching(/^tsconfig \| problem \| It cannot be read: .*Repair its JSON/)])
  })

  it("finds prompts that only the command could load, and a database that git would take", () => {
    write("workflows/a.ts", `import Ask from "./ask.mdx"\n`)
    write(".git/HEAD", "")
    expect(found()).toEqual([
      expect.stringMatching(/^prompts \| warning \| There is none. workflows\/a\.ts imports a prompt/),
      expect.stringMatching(/^ignored \| warning \| Git would commit smithers\.db/),
    ])
    write("bunfig.toml", 'preload = ["smithers-orchestrator/mdx"]\n[test]\npreload = ["smithers-orchestrator/mdx"]\n')
    write(".gitignore", "node_modules\nsmithers.db*\n")
    expect(examine(folder)).toEqual([])
  })

  it("finds a database that cannot be opened, and workflows that do not load", async () => {
    write("smithers.db", "no database, but a text that is longer than the header of one would be, which is a hundred bytes")
    write("workflows/a.ts", "export default 1\n")
    const examined = doctor({ root: folder, db: undefined })
    const { value, code } = await Effect.runPromise(examined)
    expect(value.findings).toMatchObject([
      { check: "database", status: "problem", file: "smithers.db" },
      { check: "workflows", status: "problem", file: "workflows/a.ts" },
    ])
    expect(code).toBe(1)
  })
})
