/** The search of files without ripgrep: globs and patterns of models, however they are made. */
import * as Glob from "@smithers/agents/tools/Glob"
import * as Matcher from "@smithers/agents/tools/Matcher"
import { describe, expect, it } from "vitest"

describe("a glob", () => {
  it.each<[glob: string, matching: ReadonlyArray<string>, others: ReadonlyArray<string>]>([
    ["*.ts", ["a.ts", "src/deep/b.ts", ".ts"], ["a.tsx", "ts", "a.ts/b"]],
    ["src/**/*.ts", ["src/a.ts", "src/x/y/a.ts"], ["src/a.md", "lib/src/a.ts", "srca.ts"]],
    ["src/**/a.ts", ["src/a.ts", "src/x/a.ts"], ["src/xa.ts", "src/x/ya.ts"]],
    ["**/a.ts", ["a.ts", "x/a.ts", "x/y/a.ts"], ["xa.ts", "x/ya.ts"]],
    ["src/**", ["src/a", "src/a/b"], ["lib/a", "src"]],
    ["src/*.ts", ["src/a.ts"], ["src/x/a.ts"]],
    ["a?.{ts,tsx}", ["ab.ts", "x/ab.tsx"], ["a.ts", "abc.ts", "ab.js"]],
    ["{a,b}/{c,d}.md", ["a/c.md", "b/d.md"], ["c/a.md", "a/b.md"]],
    ["a+(b)[c].$", ["a+(b)[c].$"], ["aab[c].$", "ac.x"]],
    ["*", ["a", "b/c"], []],
  ])("%s matches what it says", (glob, matching, others) => {
    const matches = Glob.compile(glob)
    expect(matching.filter((path) => !matches(path))).toEqual([])
    expect(others.filter((path) => matches(path))).toEqual([])
  })

  it("takes no longer than its length times that of the path", () => {
    const matches = Glob.compile(`${"*a".repeat(50)}b`)
    const begun = performance.now()
    expect(matches("a".repeat(5000))).toBe(false)
    expect(Glob.compile("{a,b}".repeat(60))("x")).toBe(false)
    expect(performance.now() - begun).toBeLessThan(5000)
  })
})

describe("a matcher of lines", () => {
  it("gives the lines that match with their numbers, up to a number of them", async () => {
    const matcher = await Matcher.start("nee+dle", "iu")
    const texts = [
      { path: "a", text: "x\r\nNeedle\r\n" },
      { path: "b", text: "neeedle\nneedle\n" },
    ]
    expect(await matcher.match(texts, 2, 10_000)).toEqual(["a:2:Needle", "b:1:neeedle"])
    expect(await matcher.match(texts, 10, 10_000)).toHaveLength(3)
    matcher.stop()
  })

  it("gives up a pattern that takes for ever, and holds up nothing meanwhile", async () => {
    const matcher = await Matcher.start("^(a+)+$", "u")
    let turns = 0
    const timer = setInterval(() => turns++, 10)
    // Bun gives up a line after some time of its own, so there are many.
    const text = Array.from({ length: 500 }, () => `${"a".repeat(500)}b`).join("\n")
    expect(await matcher.match([{ path: "a", text }], 10, 500)).toBeUndefined()
    matcher.stop()
    clearInterval(timer)
    expect(turns).toBeGreaterThan(5)
  })

  it("refuses a pattern that is none", async () => {
    await expect(Matcher.start("(", "u")).rejects.toThrow("The pattern was refused")
  })
})
