import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"

const repository = join(import.meta.dirname, "../..")
const fixtures = join(import.meta.dirname, "fixtures/mdx")
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "smithers-mdx-"))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const run = async (args: ReadonlyArray<string>, cwd = folder): Promise<string> => {
  const child = Bun.spawn(["bun", ...args], { cwd, stdout: "pipe", stderr: "pipe" })
  const [out, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  expect(code, errors + out).toBe(0)
  return out
}

const print = async (args: ReadonlyArray<string>, cwd = folder): Promise<ReadonlyArray<Printed>> =>
  JSON.parse(await run([join(fixtures, "print.tsx"), ...args], cwd))
interface Printed {
  readonly text?: string
  readonly name?: string
  readonly frontmatter?: unknown
  readonly message?: string
  readonly isInputError?: boolean
}

const review = (repo: string, sha: string) =>
  `# Repo review\nAnalyze ${repo} at ${sha}.\n\n## Risk analysis\n\nBe **thorough**. Look for:\n\n- breaking changes\n- code such as \`a < b && c\`\n\nAnswer with summary and risk.`

/** A project of a user's, as far as resolution goes: the packages are there, and this repository's files are not. */
const project = (files: { readonly [name: string]: string }): void => {
  symlinkSync(join(repository, "node_modules"), join(folder, "node_modules"))
  for (const name of ["review.mdx", "fragments.tsx"]) cpSync(join(fixtures, name), join(folder, name))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
}
const tsconfig = JSON.stringify({
  compilerOptions: {
    module: "Preserve",
    moduleResolution: "Bundler",
    target: "ESNext",
    jsx: "react-jsx",
    jsxImportSource: "smithers-orchestrator",
    strict: true,
    noEmit: true,
    allowArbitraryExtensions: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    types: ["bun"],
  },
  include: ["*.ts", "*.tsx"],
})

describe("importing a prompt", () => {
  it("in plain Markdown gives a component too, whose braces and tags are text; as text it is the text", async () => {
    project({
      "plain.md": "# Plan\n\nUse {braces} and <tags> as they are.\n",
      "plain.ts": `import { renderPlan } from "smithers-orchestrator"
import "smithers-orchestrator/mdx"
const { default: Plan } = await import("./plain.md")
const { default: text } = await import("./plain.md", { with: { type: "text" } })
console.log(JSON.stringify({ name: Plan.displayName, isComponent: typeof Plan === "function", text: typeof text }))
`,
    })
    expect(JSON.parse(await run(["plain.ts"]))).toMatchObject({ name: "Plain", isComponent: true })
    const [printed] = await print(["plain.md", "{}"])
    expect(printed?.text).toBe("# Plan\n\nUse {braces} and <tags> as they are.")
  })

  it("works by the preloads of Smithers 0.x, of the package and of its subpath", async () => {
    for (const from of ["smithers-orchestrator", "smithers-orchestrator/mdx-plugin"]) {
      rmSync(join(folder, "node_modules"), { force: true })
      project({
        "plain.md": "# Plan\n",
        "preload.ts": `import { mdxPlugin } from "${from}"\n\nmdxPlugin()\n`,
        "bunfig.toml": 'preload = ["./preload.ts"]\n',
        "plain.ts": 'import Plan from "./plain.md"\nconsole.log(typeof Plan, Plan.displayName)\n',
      })
      expect(await run(["plain.ts"])).toBe("function Plain\n")
    }
  })

  it("gives a component", async () => {
    const [first, second] = await print(["review.mdx", '{"repo":"acme/api","sha":"abc123"}', "nested.mdx", '{"repos":["a","b"]}'])
    expect(first).toEqual({ text: review("acme/api", "abc123"), name: "Review", frontmatter: {} })
    expect(second).toEqual({
      text: `${review("a", "abc")}\n\n${review("b", "abc")}\n\n- once more:\n\n  ## Risk analysis\n\n  Be **quick**. Look for:\n\n  - breaking changes\n  - code such as \`a < b && c\`\n- done`,
      name: "Nested",
      frontmatter: { title: "A prompt in a prompt" },
    })
  })

  it("says what is wrong with its text or its props, and where", async () => {
    const [text, props, other] = await print(
      ["broken.mdx", "{}", "review.mdx", '{"repo":"a"}', "review.mdx", '{"repo":"a","sha":1}'],
      repository,
    )
    expect(text?.message).toMatch(/^test\/smithers\/fixtures\/mdx\/broken\.mdx:3:20: Unexpected end of file in expression/)
    expect(props).toEqual({
      message: 'test/smithers/fixtures/mdx/review.mdx: input "sha": expected string, received nothing',
      isInputError: true,
    })
    expect(other).toEqual({
      message: 'test/smithers/fixtures/mdx/review.mdx: input "sha": expected string, received 1 (number)',
      isInputError: true,
    })
  })

  it("works with the module as a preload, and then needs no import of it", async () => {
    project({
      "bunfig.toml": 'preload = ["smithers-orchestrator/mdx"]\n',
      "main.ts": 'import Review from "./review.mdx"\nconsole.log(Review.displayName)\n',
    })
    expect(await run(["main.ts"])).toBe("Review\n")
  })
})

describe("declarations", () => {
  it("are written beside the prompts that are loaded, and only when they change", async () => {
    project({})
    const file = join(folder, "review.mdx")
    const declaration = join(folder, "review.d.mdx.ts")
    await run([join(fixtures, "declared.tsx"), file])
    const text = readFileSync(declaration, "utf8")
    expect(text).toContain("  readonly repo: string\n  readonly sha: string\n")
    const { mtimeNs, ino } = statSync(declaration, { bigint: true })
    await run([join(fixtures, "declared.tsx"), file])
    expect(statSync(declaration, { bigint: true })).toMatchObject({ mtimeNs, ino })
    writeFileSync(file, readFileSync(file, "utf8").replace("sha: string", "sha: number"))
    await run([join(fixtures, "declared.tsx"), file])
    expect(readFileSync(declaration, "utf8")).toBe(text.replace("sha: string", "sha: number"))
  })

  it("are not written unless asked for", async () => {
    project({ "main.ts": 'import "smithers-orchestrator/mdx"\nawait import("./review.mdx")\n' })
    await run(["main.ts"])
    expect(existsSync(join(folder, "review.d.mdx.ts"))).toBe(false)
  })

  it("type the props of a prompt; without one any props will do", { timeout: 600_000 }, async () => {
    const check = async () => {
      const child = Bun.spawn(["bun", join(repository, "node_modules/.bin/tsc"), "-p", "tsconfig.json"], {
        cwd: folder,
        stdout: "pipe",
      })
      const out = await new Response(child.stdout).text()
      await child.exited
      return out.split("\n").filter((line) => line.startsWith("main.tsx"))
    }
    project({
      "tsconfig.json": tsconfig,
      "main.tsx":
        'import "smithers-orchestrator/mdx"\nimport Review, { frontmatter } from "./review.mdx"\nexport const all = [frontmatter, <Review repo="a" sha={1} />]\n',
    })
    expect(await check()).toEqual([])
    await run([join(fixtures, "declared.tsx"), join(folder, "review.mdx")])
    expect(await check()).toEqual([
      expect.stringMatching(/^main\.tsx\(3,\d+\): error TS2322: Type 'number' is not assignable to type 'string'/),
    ])
  })
})

describe("a bundle", () => {
  it("holds its prompts compiled, without the compiler", async () => {
    mkdirSync(join(folder, "out"))
    writeFileSync(
      join(folder, "build.ts"),
      `import plugin from ${JSON.stringify(join(repository, "packages/smithers/src/mdx.ts"))}
const built = await Bun.build({ entrypoints: [${JSON.stringify(join(fixtures, "bundle.tsx"))}], outdir: "out", target: "bun", plugins: [plugin] })
if (!built.success) throw new Error(built.logs.join("\\n"))
`,
    )
    await run(["build.ts"])
    expect(await run([join(folder, "out/bundle.js")])).toBe(`${review("acme/api", "abc")}\n`)
    expect(readFileSync(join(folder, "out/bundle.js"), "utf8")).not.toContain("mdxTextExpression")
  })

  it("is the prompt of a task, as an element and as what a function gives, and waits for what it is given", async () => {
    const { result, asked } = JSON.parse(await run([join(fixtures, "workflow.tsx"), "abc"]))
    expect(asked.map((prompt: string) => prompt.split("\n\nYour reply")[0])).toEqual([
      review("acme/api", "abc"),
      review("a < b & c", "abc"),
    ])
    expect(result).toMatchObject({ status: "finished", output: review("a < b & c", "x") })
  })

  it("fails the render with its file and input where a workflow gives it something else", async () => {
    const { result } = JSON.parse(await run([join(fixtures, "workflow.tsx")]))
    expect(result.error).toMatch(/RenderFailed: .*review\.mdx: input "sha": expected string, received nothing/)
    expect(result.error).toContain("at Review")
  })
})
