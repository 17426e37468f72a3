import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { normalise } from "@smithers/cli/Argv"
import * as Catalog from "@smithers/cli/Catalog"
import * as Either from "effect/Either"
import { afterEach, describe, expect, it } from "vitest"
import { type Folder, folder } from "./Fixture.ts"

const root = join(import.meta.dirname, "..", "..")
const places: Array<Folder> = []
const place = () => {
  const made = folder()
  places.push(made)
  return made
}
afterEach(() => {
  for (const made of places.splice(0)) made.remove()
})

const settings = ["package.json", "tsconfig.json", "bunfig.toml"]
const own = ["workflows/grill-me.tsx", "prompts/grill-me/ask.mdx", "prompts/grill-me/conclude.mdx", "test/grill-me.test.ts"]
const all = [...settings, ...own, "agents.ts", "AGENTS.md", ".gitignore"]

describe("init", () => {
  it("writes a project into a new folder, and says what to type next", async () => {
    const here = place()
    const { code, stdout } = await here.run("init", "My Flows")
    expect(code).toBe(0)
    const names = ["kanban", "mission", "research-plan-implement", "plan-prd", "grill-me"]
    for (const file of [...all, ...names.flatMap((name) => [`workflows/${name}.tsx`, `test/${name}.test.ts`])])
      expect([file, existsSync(here.file(join("My Flows", file)))]).toEqual([file, true])
    expect(stdout).toContain("  cd 'My Flows'\n  bun install\n  bun test\n  bunx smithers workflow run kanban")
    const { name, dependencies, scripts } = JSON.parse(readFileSync(here.file("My Flows/package.json"), "utf8"))
    expect([name, dependencies, Object.keys(scripts)]).toEqual([
      "my-flows",
      {
        ...{ "smithers-orchestrator": expect.stringMatching(/^\^\d/), effect: "^3.22.1", react: "^19", zod: "^4" },
        ...{ ai: "^7", "@ai-sdk/anthropic": "^4", "@ai-sdk/openai": "^4" },
      },
      [...names, "doctor", "supervise", "test", "typecheck"],
    ])
  })

  it("leaves every file as it is that is there, also a link that leads nowhere, and tells what a kept package.json lacks", async () => {
    const here = place()
    mkdirSync(here.file("workflows"))
    for (const file of ["package.json", "tsconfig.json", own[0] ?? "", "AGENTS.md"]) writeFileSync(here.file(file), `mine: ${file}`)
    symlinkSync("/nowhere/at/all", here.file("bunfig.toml"))
    const first = await here.json("init", "--template", "Grill-Me")
    const kept = [...settings, "workflows/grill-me.tsx"]
    expect(first).toMatchObject({
      code: 0,
      value: {
        templates: ["grill-me"],
        written: [...own.slice(1), "agents.ts", "workflows/AGENTS.md", ".gitignore"],
        kept,
        next: expect.arrayContaining([expect.stringContaining(" 'effect@^3.22.1' 'react@^19' 'zod@^4'")]),
      },
    })
    // Workflows are overwritten where that is asked for, and never what belongs to the project.
    writeFileSync(here.file("agents.ts"), "mine")
    const forced = await here.json("init", "--template", "grill-me", "--force")
    expect(forced.value).toMatchObject({ written: [], kept: [...settings, ".gitignore"] })
    for (const file of ["package.json", "tsconfig.json", "AGENTS.md"])
      expect(readFileSync(here.file(file), "utf8")).toBe(`mine: ${file}`)
    for (const file of ["agents.ts", "workflows/grill-me.tsx"])
      expect(readFileSync(here.file(file), "utf8")).toBe(readFileSync(join(root, "templates", file), "utf8"))
  })

  it("says which file it cannot write, and which templates there are", async () => {
    const here = place()
    writeFileSync(here.file("test"), "a file")
    const { code, value } = await here.json("init", "--template", "kanban")
    expect([code, value]).toMatchObject([1, { error: { tag: "CannotWrite", path: here.file("test/kanban.test.ts") } }])
    const unknown = await place().run("init", "--template", "kanbn")
    expect([unknown.code, unknown.stderr]).toEqual([
      4,
      expect.stringMatching(/there are kanban, mission, .*Did you mean "kanban"\?/),
    ])
  })
})

describe("the templates", () => {
  const read = (file: string) => readFileSync(join(root, "templates", file), "utf8")

  it("are each 40 to 120 lines long, and documented", () => {
    const guide = readFileSync(join(root, "docs", "guides", "templates.md"), "utf8")
    for (const name of ["kanban", "mission", "research-plan-implement", "plan-prd", "grill-me"]) {
      const lines = read(`workflows/${name}.tsx`).trimEnd().split("\n").length
      expect([name, lines >= 40 && lines <= 120]).toEqual([name, true])
      expect([name, guide.includes(`\`${name}\``)]).toEqual([name, true])
    }
  })

  it("have a guide for agents whose commands there are, with the options that it names", () => {
    const guide = read("AGENTS.md")
    const lines = [...guide.matchAll(/^smithers ([^#\n]*)|`smithers ([^`]*)`/gm)].map(([, line, word]) =>
      (line ?? word ?? "").trim(),
    )
    expect(lines.length).toBeGreaterThan(15)
    for (const line of lines) {
      const words = [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, one, two, plain]) => one ?? two ?? plain ?? "")
      const definition = Catalog.find(words)
      expect([line, definition?.path[0]]).toEqual([line, words[0]])
      expect([line, Either.isRight(normalise(definition?.options ?? [], words.slice(definition?.path.length)))]).toEqual([
        line,
        true,
      ])
    }
  })
})
