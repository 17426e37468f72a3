/**
 * A review of a folder of source code: every part is read and counted by a step of its own, then the parts are classified and
 * reported. `bun examples/review.ts [folder] [run id]` runs it, and resumes it if it was stopped.
 */
import { readdirSync, readFileSync, statSync } from "node:fs"
import { basename, extname, join, relative, resolve } from "node:path"
import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Part = Schema.Struct({
  path: Schema.String,
  files: Schema.Int,
  lines: Schema.Int,
  todos: Schema.Int,
  longest: Schema.String,
  longestLines: Schema.Int,
})
const Analysis = Schema.Struct({ summary: Schema.String, risk: Schema.Literal("low", "medium", "high"), lines: Schema.Int })
const Report = Schema.Struct({ markdown: Schema.String })

const source = new Set([
  ".ts",
  ".tsx",
  ".js",
  ".jsx",
  ".mjs",
  ".py",
  ".go",
  ".rs",
  ".java",
  ".c",
  ".h",
  ".cpp",
  ".md",
  ".json",
  ".sh",
])
const ignored = new Set(["node_modules", ".git", "dist", ".smithers"])

const files = (folder: string): Array<string> =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !ignored.has(entry.name) && !entry.isSymbolicLink())
    .flatMap((entry) => {
      const path = join(folder, entry.name)
      return entry.isDirectory() ? files(path) : source.has(extname(entry.name)) ? [path] : []
    })

/** The parts to review: folders two levels deep, and the files beside them. */
const partsOf = (root: string): Array<string> => {
  const folders = (folder: string) =>
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !ignored.has(entry.name))
      .map((entry) => join(folder, entry.name))
  const parts = folders(root).flatMap((folder) => (folders(folder).length > 0 ? folders(folder) : [folder]))
  return parts.filter((part) => files(part).length > 0).slice(0, 24)
}

const countPart = (root: string, part: string): typeof Part.Type => {
  const counted = files(part).map((path) => {
    const lines = readFileSync(path, "utf8").split("\n")
    return { path, lines: lines.length, todos: lines.filter((line) => /\b(TODO|FIXME|HACK)\b/.test(line)).length }
  })
  const longest = counted.reduce((most, file) => (file.lines > most.lines ? file : most))
  return {
    path: relative(root, part) || ".",
    files: counted.length,
    lines: counted.reduce((sum, file) => sum + file.lines, 0),
    todos: counted.reduce((sum, file) => sum + file.todos, 0),
    longest: relative(root, longest.path),
    longestLines: longest.lines,
  }
}

/** The review of one folder. `pace` is a pause in each step, where an agent would think: it lets one watch, and interrupt. */
export const makeReview = (root: string, pace: number, onStep: (line: string) => void) =>
  Smithers.createWorkflow({ name: "review", input: Schema.Struct({ repo: Schema.String }), maxConcurrency: 2 }).build(($) => {
    const parts = partsOf(root).map((part) =>
      $.step(`read:${relative(root, part).replace(/[^A-Za-z0-9_.]/g, ".")}`, {
        output: Part,
        retry: { maxAttempts: 3, backoff: "exponential", initialDelay: "1s" },
        run: ({ stepId, attempt }) =>
          Effect.gen(function* () {
            onStep(`→ ${stepId} (attempt ${attempt})`)
            yield* Effect.sleep(pace)
            const counted = countPart(root, part)
            onStep(`✓ ${stepId}: ${counted.files} files, ${counted.lines} lines`)
            return counted
          }),
      }),
    )
    const read = $.parallel(...parts)

    const analyze = $.step("analyze", {
      needs: { read },
      output: Analysis,
      timeout: "2m",
      run: ({ read }) => {
        const lines = read.reduce((sum, part) => sum + part.lines, 0)
        const todos = read.reduce((sum, part) => sum + part.todos, 0)
        const longest = Math.max(...read.map((part) => part.longestLines))
        const risk = longest > 1500 || todos > 50 ? "high" : longest > 600 || todos > 10 ? "medium" : "low"
        onStep(`✓ analyze: ${risk} risk`)
        const summary = `${lines} lines in ${read.length} parts; TODO notes: ${todos}; the longest file has ${longest} lines`
        return { summary, risk, lines }
      },
    })

    const report = $.step("report", {
      needs: { read, analyze },
      output: Report,
      run: ({ input, read, analyze }) => {
        const rows = read.map((part) => `| ${part.path} | ${part.files} | ${part.lines} | ${part.longest} |`)
        const table = ["| part | files | lines | longest file |", "|---|---|---|---|", ...rows].join("\n")
        onStep("✓ report")
        return { markdown: `# Review of ${basename(input.repo)}\n\n${analyze.summary}. Risk: ${analyze.risk}.\n\n${table}` }
      },
    })

    return $.sequence(read, analyze, report)
  })

if (import.meta.main) {
  const [folder = ".", runId = "review-1", filename = "smithers.db", pace = "0"] = process.argv.slice(2)
  const root = resolve(folder)
  if (!statSync(root, { throwIfNoEntry: false })?.isDirectory()) {
    console.error(`${folder} is not a folder. Usage: bun examples/review.ts [folder] [run id] [database]`)
    process.exit(4)
  }
  const review = makeReview(root, Number(pace), (line) => console.log(line))
  const { markdown } = await Effect.runPromise(
    review.execute({ repo: root }, { runId }).pipe(Effect.provide(Smithers.sqlite({ filename }))),
  )
  console.log(`\n${markdown}`)
}
