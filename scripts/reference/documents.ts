/**
 * The documents that are made from code and from one another: regions of the reference, the index of all pages, and the same for agents (`llms.txt`,
 * `llms-full.txt`).
 */
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { region } from "./regions.ts"
import { read, root } from "./source.ts"

/** Chapters of the documentation, in the order in which they are read; pages that a chapter does not name come last in it, by name. */
const chapters: ReadonlyArray<{ readonly title: string; readonly folder: string; readonly first: ReadonlyArray<string> }> = [
  { title: "Start", folder: "", first: ["quickstart", "install"] },
  { title: "Concepts", folder: "concepts", first: ["runs", "plan", "waits", "failure", "ownership", "durability"] },
  {
    title: "Guides: basics",
    folder: "guides",
    first: [
      "first-workflow",
      "first-jsx",
      "templates",
      "terminal",
      "parallel-lists",
      "loops",
      "retries",
      "cache",
      "typed-errors",
      "services",
    ],
  },
  {
    title: "Guides: waiting",
    folder: "guides",
    first: ["approvals", "select", "gates", "human-tasks", "signals", "events", "timers"],
  },
  {
    title: "Guides: failure",
    folder: "guides",
    first: ["sagas", "try-catch", "editing", "would-it-have-changed", "go-back"],
  },
  {
    title: "Guides: shapes",
    folder: "guides",
    first: [
      "race",
      "n-of-m",
      "region-timeout",
      "stop-the-rest",
      "one-at-a-time",
      "work-queue",
      "long-lived-runs",
      "child-runs",
      "recursion",
      "which-event-wins",
      "unmounting",
    ],
  },
  {
    title: "Guides: agents",
    folder: "guides",
    first: [
      "agents",
      "tools",
      "step-rights",
      "worktrees",
      "sandboxes",
      "shared-sandboxes",
      "tool-approvals",
      "agent-crashes",
      "provider-errors",
      "isolation",
      "mcp-tools",
      "effect-ai",
      "command-line-agents",
      "command-line-errors",
      "agent-commits",
      "mdx",
    ],
  },
  {
    title: "Patterns",
    folder: "patterns",
    first: [
      "overview",
      "review-loop",
      "optimizer",
      "scan-fix-verify",
      "panel",
      "debate",
      "gather-and-synthesize",
      "classify-and-route",
      "escalation-chain",
      "poller",
      "supervisor",
      "kanban",
      "builder",
    ],
  },
  { title: "Guides: tests", folder: "guides", first: ["testing", "testing-waits", "testing-agents", "testing-crashes"] },
  {
    title: "Guides: data and operation",
    folder: "guides",
    first: [
      "sql",
      "sql-queries",
      "transactions",
      "operate",
      "api",
      "embed",
      "secure",
      "supervise",
      "watch-a-run",
      "inbox",
      "time-travel-page",
      "proxy",
      "schedules",
      "observability",
      "mcp",
      "metrics",
      "notifications",
      "migrating-from-smithers-0.x",
    ],
  },
  {
    title: "Reference",
    folder: "reference",
    first: [
      "builder",
      "components",
      "ctx",
      "running",
      "layers",
      "bounds",
      "errors",
      "events",
      "tables",
      "json",
      "api",
      "exit-codes",
      "testing",
    ],
  },
  { title: "More", folder: "", first: ["cli", "stability", "glossary", "patterns43", "design"] },
]

interface Page {
  readonly path: string
  readonly title: string
  /** Its first sentence. */
  readonly summary: string
}

const pageOf = (path: string): Page => {
  const text = read(path)
  const [, title = path] = /^# (.*)$/m.exec(text) ?? []
  const prose = text
    .replaceAll(/<!--[\s\S]*?-->|^```[\s\S]*?^```|^#.*$|^\|.*$/gm, "")
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replaceAll(/\s+/g, " ").trim())
    .find((paragraph) => paragraph !== "")
  const [sentence = ""] = /^.*?[.:](?=\s|$)/.exec(prose ?? "") ?? []
  return { path, title, summary: sentence.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/:$/, ".") }
}

const pagesIn = (folder: string): ReadonlyArray<string> =>
  readdirSync(join(root, "docs", folder))
    .filter((name) => name.endsWith(".md") && !(folder === "" && name === "README.md"))
    .map((name) => name.slice(0, -3))
    .toSorted()

const index = (): ReadonlyArray<{ readonly title: string; readonly pages: ReadonlyArray<Page> }> =>
  chapters.map(({ title, folder, first }, place) => {
    const isLast = chapters.findLastIndex((other) => other.folder === folder) === place
    const named = new Set(chapters.filter((other) => other.folder === folder).flatMap((other) => other.first))
    const all = pagesIn(folder)
    const names = [...first.filter((name) => all.includes(name)), ...(isLast ? all.filter((name) => !named.has(name)) : [])]
    return { title, pages: names.map((name) => pageOf(join("docs", folder, `${name}.md`))) }
  })

const about =
  "A durable execution runtime for background agents, native to Effect 3 (TypeScript, Bun, SQLite). Workflows are steps or JSX; each finished step is committed to a typed table, and a crash resumes at the right step."

/** Fills the regions of a page. */
const filled = (text: string): string =>
  text.replaceAll(
    /(<!-- generated: ([^>]*?) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, begin: string, what: string, end: string) => `${begin}\n${region(what)}\n\n${end}`,
  )

/** Pages of the reference and of the patterns, with their regions filled. */
export const reference = (): ReadonlyMap<string, string> =>
  new Map(
    ["reference", "patterns"].flatMap((folder) =>
      pagesIn(folder).map((name) => {
        const path = `docs/${folder}/${name}.md`
        return [path, filled(read(path))] as const
      }),
    ),
  )

/** The indexes of all pages, by their paths; they are of the pages as they stand in the files. */
export const indexes = (): ReadonlyMap<string, string> => {
  const all = index()
  const list = (link: (page: Page) => string) =>
    all
      .map(({ title, pages }) =>
        [`## ${title}`, pages.map((page) => `- [${page.title}](${link(page)}): ${page.summary}`).join("\n")].join("\n\n"),
      )
      .join("\n\n")
  const pages = all.flatMap((chapter) => chapter.pages)
  const full = ["README.md", ...pages.map(({ path }) => path)].map((path) => `<!-- ${path} -->\n\n${read(path).trim()}`)
  return new Map([
    [
      "docs/README.md",
      `# Documentation\n\n<!-- Written by \`bun run docs\`. -->\n\n${list(({ path }) => path.slice("docs/".length))}\n`,
    ],
    [
      "llms.txt",
      `# Smithers\n\n> ${about}\n\nAll pages in one file: [llms-full.txt](llms-full.txt).\n\n${list(({ path }) => path)}\n`,
    ],
    ["llms-full.txt", `${full.join("\n\n")}\n`],
  ])
}
