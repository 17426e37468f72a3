/** docs/patterns43.md says what is run. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { markdown } from "./Document.ts"
import { entries } from "./Patterns.ts"

describe("docs/patterns43.md", () => {
  const written = markdown()

  it("is written from the programs that are run; bun run docs writes it", () => {
    expect(readFileSync(join(import.meta.dirname, "../../docs/patterns43.md"), "utf8")).toBe(written)
  })

  it("shows a program of each front end for each pattern, whole", () => {
    const sections = written.split(/\n## (?=\d+\. )/).slice(1)
    expect(sections.map((section) => section.split("\n")[0])).toEqual(entries.map(([number, { name }]) => `${number}. ${name}`))
    for (const section of sections)
      for (const language of ["ts", "tsx"] as const) {
        const [, code = ""] = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\n\`\`\``).exec(section) ?? []
        // What is no expression is a syntax error.
        const transpile = () => new Bun.Transpiler({ loader: language }).transformSync(`export default (${code})`)
        expect(code).toMatch(/^\(/)
        expect(transpile).not.toThrow()
      }
  })
})
