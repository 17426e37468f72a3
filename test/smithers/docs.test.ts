import { Database } from "bun:sqlite"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "..", "..")
const blocks = (file: string, language: string): Array<string> =>
  [...readFileSync(join(root, file), "utf8").matchAll(new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``, "g"))].map(
    ([, code]) => code ?? "",
  )

describe("the documents", () => {
  it("the README's workflow runs as it stands there, twice gives one run, and its queries answer", async () => {
    // Inside the project, so that its packages are found.
    const folder = mkdtempSync(join(import.meta.dirname, "readme-"))
    try {
      const [example = ""] = blocks("README.md", "ts")
      const analyzeRepo = `const analyzeRepo = (input: { repo: string; sha: string }, { signal }: { signal: AbortSignal }) =>
        Effect.succeed({ summary: [input.repo, input.sha, signal.aborted].join(" "), risk: "low" as const })`
      writeFileSync(join(folder, "example.ts"), example.replace("const Review", `${analyzeRepo}\nconst Review`))
      for (let time = 0; time < 2; time++) {
        const child = Bun.spawnSync(["bun", "example.ts"], { cwd: folder, stderr: "pipe" })
        expect(child.stderr.toString()).toBe("")
        expect(child.exitCode).toBe(0)
      }
      const db = new Database(join(folder, "smithers.db"), { readonly: true })
      const queries = blocks("README.md", "sql").flatMap((block) => block.split(";").filter((query) => query.trim() !== ""))
      const answers = queries.map((query) => db.query(query).all())
      db.close()
      expect(answers).toEqual([
        [{ risk: "low", summary: "acme/api abc123 false" }],
        [
          { node_id: "analyze", attempt: 1, status: "succeeded", error: null },
          { node_id: "report", attempt: 1, status: "succeeded", error: null },
        ],
      ])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it("the README's components run as they stand there, with agents of the test's", async () => {
    const folder = mkdtempSync(join(import.meta.dirname, "readme-"))
    try {
      const [example = ""] = blocks("README.md", "tsx")
      const agents = `const asked: Array<string> = []
      const answering = (reply: (prompt: string) => unknown) => ({
        generate: async ({ prompt = "" }: { prompt?: string }) => {
          asked.push(prompt.split("\\n")[0] ?? "")
          return { text: JSON.stringify(reply(prompt)) }
        },
      })
      const analyst = answering(() => ({ summary: "two", issues: ["a leak", "a race"] }))
      const coder = answering((prompt) => ({ patch: prompt.includes("again") ? "better" : "first" }))
      const reviewer = answering((prompt) => ({ approved: prompt.includes("better"), feedback: "again" }))`
      const whole = `${example.replace("const { Workflow", `${agents}\nconst { Workflow`)}\nconsole.log(JSON.stringify({ result, asked }))`
      writeFileSync(join(folder, "example.tsx"), whole)
      const child = Bun.spawnSync(["bun", "example.tsx"], { cwd: folder, stderr: "pipe" })
      expect(child.stderr.toString()).toBe("")
      const { result, asked } = JSON.parse(child.stdout.toString())
      expect(result).toMatchObject({ status: "finished", runId: "bugfix-1", output: { approved: true } })
      const rounds = (issue: string) => [`Fix ${issue}. `, "Review first", `Fix ${issue}. again`, "Review better"]
      expect(asked.map((line: string) => line.trim())).toEqual(
        ["Analyze acme/api", ...rounds("a leak"), ...rounds("a race")].map((line) => line.trim()),
      )
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it("the README is short enough to be read: under 150 lines", () => {
    expect(readFileSync(join(root, "README.md"), "utf8").split("\n").length).toBeLessThan(150)
  })

  it("links in the documents lead somewhere", () => {
    const pages = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".md"))
    const documents = ["README.md", "CONTRIBUTING.md", ...pages.map((name) => join("docs", name))]
    const broken = documents.flatMap((file) =>
      [...readFileSync(join(root, file), "utf8").matchAll(/\]\((?!https?:|#)([^)#]+)/g)]
        .map(([, target]) => join(dirname(file), target ?? ""))
        .filter((target) => !existsSync(join(root, target))),
    )
    expect(broken).toEqual([])
  })

  it("every error that is exported is named in the documents", async () => {
    const errors = await import("@smithers/core/Errors")
    const named = readFileSync(join(root, "docs", "reference", "errors.md"), "utf8")
    const tags = Object.entries(errors).flatMap(([name, value]) => (typeof value === "function" && "_tag" in value ? [name] : []))
    expect(tags.length).toBeGreaterThan(15)
    expect(tags.filter((tag) => !named.includes(tag))).toEqual([])
  })
})
