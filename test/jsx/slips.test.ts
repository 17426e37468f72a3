/** What the compiler says of slips, as people make them in a file of their own. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import { beforeAll, describe } from "vitest"

const folder = join(import.meta.dirname, "fixtures", "slips")
const root = join(import.meta.dirname, "..", "..")

interface Place {
  readonly line: number
  readonly column: number
}

interface Slip {
  readonly name: string
  readonly at: Place
  readonly names: ReadonlyArray<string>
  readonly first: number
  readonly last: number
}

const lines = readFileSync(join(folder, "slips.tsx"), "utf8").split("\n")

/** Slips: a comment that says at, or after, what text the error stands and what it names, and the lines up to the next empty one. */
const slips: ReadonlyArray<Slip> = lines.flatMap((line, index): ReadonlyArray<Slip> => {
  const [, where, text, named = ""] = /^\/\/ (at|after) `([^`]+)` names ((?:`[^`]+` ?)+)$/.exec(line) ?? []
  if (text === undefined) return []
  const end = lines.indexOf("", index)
  const code = lines.slice(index + 1, end)
  const [declared = "", name = ""] = /^export const (\w+)/.exec(code[0] ?? "") ?? []
  const starts = code.map((one, row) => one.indexOf(text, row === 0 ? declared.length : 0))
  const row = starts.findIndex((start) => start >= 0)
  const column = (starts[row] ?? 0) + (where === "after" ? text.length : 0) + 1
  return [
    {
      name,
      at: { line: index + 2 + row, column },
      names: [...named.matchAll(/`([^`]+)`/g)].map(([, one = ""]) => one),
      first: index + 2,
      last: end,
    },
  ]
})

interface Problem extends Place {
  readonly message: string
}

/** The errors of the compiler, each by its first line. */
const compile = async (): Promise<ReadonlyArray<Problem>> => {
  const compiler = join(root, "node_modules", "typescript-7", "bin", "tsc")
  const child = Bun.spawn([process.execPath, compiler, "-p", folder, "--pretty", "false"], { stdout: "pipe", stderr: "inherit" })
  const said = await new Response(child.stdout).text()
  await child.exited
  return said.split("\n").flatMap((line) => {
    const found = /^(\S+)\((\d+),(\d+)\): error TS\d+: (.*)$/.exec(line)
    if (found === null) return []
    const [, file = "", row, column, message = ""] = found
    expect(file).toMatch(/slips\.tsx$/)
    return [{ line: Number(row), column: Number(column), message }]
  })
}

describe("a slip is one error, at its place, whose first line names it", () => {
  let problems: ReadonlyArray<Problem>
  beforeAll(async () => {
    problems = await compile()
  })

  it.each(slips)("$name", ({ at, names, first, last }) => {
    const own = problems.filter(({ line }) => line >= first && line <= last)
    expect(own).toEqual([{ ...at, message: expect.any(String) }])
    for (const named of names) expect(own[0]?.message).toContain(named)
  })

  it("and there are no others", () => {
    expect(problems.length).toBe(slips.length)
    expect(slips.length).toBeGreaterThan(60)
  })
})
