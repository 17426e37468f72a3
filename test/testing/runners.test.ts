/**
 * The kit in the test runners that users have: each runs the tests of the guides as they stand there.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { blocksOf, isTest, pages } from "../smithers/Pages.ts"

const examples = pages().flatMap(blocksOf).filter(isTest)

/** Runs a command in a folder of the project, so that its packages are found. */
const run = (folder: string, ...command: ReadonlyArray<string>): { readonly code: number; readonly said: string } => {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, ...command], {
    cwd: folder,
    env: { ...process.env, NO_COLOR: "1" },
  })
  return { code: exitCode, said: `${stdout}${stderr}` }
}

/** Runs something in a folder of the project, which goes afterwards. */
const within = <A>(files: ReadonlyArray<readonly [name: string, text: string]>, use: (folder: string) => A): A => {
  const folder = mkdtempSync(join(import.meta.dirname, "guide-"))
  try {
    for (const [name, text] of files) writeFileSync(join(folder, name), text)
    return use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

describe("the guides on testing", () => {
  it("have six examples, of which those with promises pass in bun test", () => {
    expect(examples).toHaveLength(6)
    const files = examples.flatMap(({ language, code }, index) =>
      code.includes('"bun:test"') ? [[`example${index}.test.${language}`, code] as const] : [],
    )
    expect(files).toHaveLength(5)
    const { code, said } = within(files, (folder) => run(folder, "test", "--timeout", "60000"))
    expect(said).toContain(" 9 pass\n 0 fail")
    expect(code).toBe(0)
  })

  it("have examples that pass in Vitest, with promises and with @effect/vitest", () => {
    const config = `export default { test: { include: ["*.test.{ts,tsx}"], testTimeout: 60_000, deps: { interopDefault: false } } }\n`
    const files = examples.map(
      ({ language, code }, index) => [`example${index}.test.${language}`, code.replace('"bun:test"', '"vitest"')] as const,
    )
    const all = [...files, ["vitest.config.ts", config] as const]
    const { code, said } = within(all, (folder) => run(folder, "run", "--bun", "vitest", "run", "--root", "."))
    expect(said).toMatch(/Test Files {2}6 passed[\s\S]*Tests {2}10 passed/)
    expect(code).toBe(0)
  })
})
