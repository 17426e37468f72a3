/**
 * Every block of code in the documentation is type-checked and run: programs import the package as users do, and commands are those of its program.
 */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { indexes, reference } from "../../scripts/reference/documents.ts"
import { unknown, untold } from "../../scripts/reference/regions.ts"
import { maskTimes } from "../cli/Fixture.ts"
import type { Job, Result } from "./fixtures/pages/run.ts"
import { type Block, blocksOf, isProgram, isTest, pages, placeOf, programOf, root } from "./Pages.ts"

/** Written from code, with a test of its own. */
const generated = new Set(["docs/cli.md", "docs/patterns43.md"])

const blocks = pages()
  .filter((page) => !generated.has(page))
  .flatMap(blocksOf)

// Inside the project, so that its packages are found.
const folder = mkdtempSync(join(import.meta.dirname, "pages-"))
const results = new Map<string, Result>()

const folderOf = (page: string): string => join(folder, page.replace(/^docs\//, "").replace(/\.md$/, ""))
const nameOf = (block: Block): string => block.title ?? `line${block.line}${isTest(block) ? ".test" : ""}.${block.language}`

/** What the same program would print elsewhere and at another time. */
const masked = (text: string, page: string): string =>
  maskTimes(text, `${folderOf(page)}/`)
    // What is logged on the way, such as by a busy machine.
    .replaceAll(/^timestamp=.*\n/gm, "")
    .replaceAll("<folder>", "")
    .replaceAll(/\bprocess \d+/g, "process <pid>")

const isRun = (block: Block): boolean =>
  block.notRun === undefined &&
  ((isProgram(block) && block.title === undefined && !isTest(block)) || ["console", "sh", "bash", "sql"].includes(block.language))

beforeAll(async () => {
  for (const block of blocks) {
    mkdirSync(folderOf(block.page), { recursive: true })
    if (isProgram(block) || block.title !== undefined) writeFileSync(join(folderOf(block.page), nameOf(block)), programOf(block))
  }
  const bin = join(folder, "bin")
  mkdirSync(bin)
  // The pages are of a project with the package installed; here the command stands for it.
  const programs = { smithers: `"${join(root, "packages", "smithers", "src", "bin.ts")}"`, bun: "" }
  for (const [name, program] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\nexec "${process.execPath}" ${program} "$@"\n`)
    chmodSync(join(bin, name), 0o755)
  }
  const jobs = blocks.filter(isRun).map(
    (block): Job => ({
      place: placeOf(block),
      folder: folderOf(block.page),
      kind: isProgram(block) ? "program" : (block.language as Job["kind"]),
      code: isProgram(block) ? nameOf(block) : block.code,
    }),
  )
  // Two processes at once, and all blocks of a page in one.
  const used = [...new Set(jobs.map((job) => job.folder))]
  const halves = [0, 1].map((half) => jobs.filter((job) => used.indexOf(job.folder) % 2 === half))
  await Promise.all(
    halves.map(async (half, index) => {
      const [jobsFile, resultsFile] = [join(folder, `jobs${index}.json`), join(folder, `results${index}.json`)]
      writeFileSync(jobsFile, JSON.stringify(half))
      const script = join(import.meta.dirname, "fixtures", "pages", "run.ts")
      const child = Bun.spawn([process.execPath, script, jobsFile, resultsFile, bin], { cwd: root, stdout: "pipe", stderr: "pipe" })
      const said = await new Response(child.stderr).text()
      if ((await child.exited) !== 0) throw new Error(`The runner of the pages ended with ${child.exitCode}: ${said}`)
      for (const result of JSON.parse(readFileSync(resultsFile, "utf8")) as ReadonlyArray<Result>) results.set(result.place, result)
    }),
  )
  // Half a minute where the machine is quiet.
}, 600_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("the pages of the documentation", () => {
  it("are code that compiles as it stands there", () => {
    const config = {
      extends: join(root, "tsconfig.json"),
      compilerOptions: { noUnusedLocals: false, noUnusedParameters: false, allowArbitraryExtensions: true },
      include: ["."],
      exclude: [],
    }
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config))
    const tsc = join(root, "node_modules", ".bin", "tsc")
    const { stdout } = Bun.spawnSync([process.execPath, "run", tsc, "-p", join(folder, "tsconfig.json"), "--pretty", "false"], {
      cwd: folder,
    })
    expect(stdout.toString()).toBe("")
  })

  it("say why where a block is not run, and name each file that they show", () => {
    for (const block of blocks) {
      if (block.notRun !== undefined) expect([placeOf(block), block.notRun.length > 15]).toEqual([placeOf(block), true])
      const { title } = block
      if (title === undefined || title.includes("config") || title.endsWith(".toml") || isTest(block)) continue
      const stem = title.replace(/\.tsx?$/, "")
      const others = blocks.filter((other) => other.page === block.page && other !== block)
      expect([placeOf(block), others.some(({ code }) => code.includes(stem))]).toEqual([placeOf(block), true])
    }
  })

  it("have links that lead to headings that are there", () => {
    const slugs = (page: string) =>
      [...readFileSync(join(root, page), "utf8").matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
        heading
          .toLowerCase()
          .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
          .replaceAll(" ", "-"),
      )
    const broken = ["README.md", ...pages()].flatMap((page) =>
      [...readFileSync(join(root, page), "utf8").matchAll(/\]\((?!https?:)([^)#\s]*)#([^)]+)\)/g)]
        .filter(([, target = "", anchor = ""]) => {
          const file = target === "" ? page : join(dirname(page), target)
          return !existsSync(join(root, file)) || (file.endsWith(".md") && !slugs(file).includes(anchor))
        })
        .map(([link]) => `${page}: ${link}`),
    )
    expect(broken).toEqual([])
  })

  it("are in step with the code, and the indexes with the pages; bun run docs writes them", () => {
    for (const [path, text] of [...reference(), ...indexes()])
      expect([path, text]).toEqual([path, readFileSync(join(root, path), "utf8")])
  })

  it("tell of every exported error, and of none that is not there", () => {
    expect([untold(), unknown()]).toEqual([[], []])
    const known = ["errors", "events"].map((name) => readFileSync(join(root, "docs", "reference", `${name}.md`), "utf8")).join("\n")
    const isKnown = (name: string) =>
      known.includes(`### ${name}\n`) || known.includes(`| \`${name}\` |`) || notErrors.includes(name)
    const notErrors = ["StoreError", "WaitForEvent", "NodeNext"]
    const prefixes = "Store|Run|Invalid|Already|Step|Not|No|Node|Input|Wait|Incompatible|Crash|Render|Loop"
    const named = pages()
      .filter((page) => !page.startsWith("docs/reference/") && page !== "docs/design.md")
      .flatMap((page) =>
        [...readFileSync(join(root, page), "utf8").matchAll(new RegExp(`\`((?:${prefixes})[A-Z][A-Za-z]+)\``, "g"))].map(
          ([, name = ""]) => ({ page, name }),
        ),
      )
    expect(named.length).toBeGreaterThan(20)
    expect(named.filter(({ name }) => !isKnown(name))).toEqual([])
  })

  it("are short: a concept under 120 lines, a guide under 100", () => {
    const long = pages().filter((page) => {
      const limit = page.startsWith("docs/concepts/") ? 120 : page.startsWith("docs/guides/") ? 100 : Number.POSITIVE_INFINITY
      return readFileSync(join(root, page), "utf8").trimEnd().split("\n").length >= limit
    })
    expect(long).toEqual([])
  })

  it("know what each block is", () => {
    const known = ["ts", "tsx", "console", "sh", "bash", "sql", "text", "json", "toml", "mdx", "md"]
    for (const block of blocks) expect([placeOf(block), known.includes(block.language)]).toEqual([placeOf(block), true])
  })

  it.each(blocks.filter((block) => isRun(block)).map((block) => ({ place: placeOf(block), block })))(
    "run: $place",
    ({ place, block }) => {
      const result = results.get(place)
      expect(result?.error).toBe(undefined)
      expect(result?.place).toBe(place)
      if (block.language === "sql") expect(result?.rows).toBeGreaterThan(0)
      for (const { command, expected, printed } of result?.steps ?? [])
        expect(`${command}\n${masked(printed, block.page)}`).toBe(`${command}\n${masked(expected, block.page)}`)
      const next = blocks[blocks.indexOf(block) + 1]
      if (next?.page === block.page && next.isOutput)
        expect(masked(result?.printed ?? "", block.page)).toBe(masked(next.code.trimEnd(), block.page))
    },
  )
})
