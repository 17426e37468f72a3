import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, describe, expect, it } from "vitest"
import { type Folder, folder } from "./Fixture.ts"

const places: Array<Folder> = []
const place = () => {
  const made = folder()
  places.push(made)
  return made
}
afterEach(() => {
  for (const made of places.splice(0)) made.remove()
})

const all = ["package.json", "tsconfig.json", "bunfig.toml", ".gitignore", ".smithers/workflows/hello.tsx", "test/hello.test.ts"]

describe("init", () => {
  it("writes a project into a new folder, and says what to type next", async () => {
    const here = place()
    const { code, stdout } = await here.run("init", "My Flows")
    expect(code).toBe(0)
    for (const file of all) expect([file, existsSync(here.file(join("My Flows", file)))]).toEqual([file, true])
    expect(stdout).toContain("  cd 'My Flows'\n  bun install\n  bun test\n  bun run smithers workflow run hello")
    const { name, dependencies } = JSON.parse(readFileSync(here.file("My Flows/package.json"), "utf8"))
    expect([name, dependencies]).toEqual([
      "my-flows",
      { "smithers-orchestrator": expect.stringMatching(/^\^\d/), effect: "^3.22.1", react: "^19", zod: "^4" },
    ])
    expect((await here.json("check", "My Flows/.smithers/workflows/hello.tsx")).code).toBe(0)
  })

  it("leaves every file as it is that is there, also a link that leads nowhere, and tells what a kept package.json lacks", async () => {
    const here = place()
    mkdirSync(here.file("test"))
    for (const file of ["package.json", "tsconfig.json", "test/hello.test.ts"]) writeFileSync(here.file(file), `mine: ${file}`)
    symlinkSync("/nowhere/at/all", here.file("bunfig.toml"))
    const { code, value } = await here.json("init")
    const kept = ["package.json", "tsconfig.json", "bunfig.toml", "test/hello.test.ts"]
    expect([code, value]).toEqual([
      0,
      expect.objectContaining({
        written: [".gitignore", ".smithers/workflows/hello.tsx"],
        kept,
        next: expect.arrayContaining([expect.stringContaining(" 'effect@^3.22.1' 'react@^19' 'zod@^4'")]),
      }),
    ])
    for (const file of ["package.json", "tsconfig.json", "test/hello.test.ts"])
      expect(readFileSync(here.file(file), "utf8")).toBe(`mine: ${file}`)
    expect((await here.json("init")).value).toMatchObject({ written: [], kept: all })
  })

  it("says which file it cannot write", async () => {
    const here = place()
    writeFileSync(here.file("test"), "a file")
    const { code, value } = await here.json("init")
    expect([code, value]).toMatchObject([1, { error: { tag: "CannotWrite", path: here.file("test/hello.test.ts") } }])
  })
})
