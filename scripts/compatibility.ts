/**
 * Runs the workflows of a checkout that was written for Smithers 0.x, and prints what becomes of each: `bun scripts/compatibility.ts <checkout>`.
 *
 * A workflow is a module that calls `createSmithers` and has a default export. Each has a process of its own, with a time limit, where agents, tools and model providers are
 * stand-ins. The code of its tasks runs as it is: give it only a checkout that you trust. Packages that it imports must be installed in it, beside ours.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative, resolve } from "node:path"
import { parseArgs } from "node:util"
import * as BundledPackages from "@smithers/cli/BundledPackages"
import type { Stage, Trial } from "./compatibility/trial.ts"

/** What became of a workflow. */
export interface Row {
  /** Path within the checkout. */
  readonly workflow: string
  readonly loads: boolean
  readonly draws: boolean
  /** `true` if the run has finished. */
  readonly runs: boolean
  /** Status of the run, `error` where there is none, or `time limit`. */
  readonly ends: string
  readonly cause?: string
}

export interface SurveyOptions {
  /** Seconds for each workflow. Default: 20. */
  readonly limit?: number
  /** Is called with each row as it comes. */
  readonly onRow?: (row: Row) => void
}

const left = new Set(["node_modules", ".git", "dist", "build"])

const sourcesIn = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { withFileTypes: true })
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return left.has(entry.name) ? [] : sourcesIn(path)
      return entry.isFile() && /\.[jt]sx?$/.test(entry.name) && !/\.(test|d)\.[jt]sx?$/.test(entry.name) ? [path] : []
    })

const isWorkflow = (text: string): boolean =>
  /\bcreateSmithers\s*\(/.test(text) && /\bexport\s+(default\b|\{[^}]*\bdefault\b)/.test(text)

/** Names that sources import of the AI SDK and of its providers, by module. */
const providersIn = (texts: ReadonlyArray<string>): Trial["providers"] => {
  const found = new Map<string, Set<string>>()
  for (const text of texts) {
    for (const [, names = "", module = ""] of text.matchAll(
      /\bimport\s+(?!type\b)([^"';]*?)\s+from\s+["'](ai|@ai-sdk\/[^"']+)["']/g,
    )) {
      const all = found.get(module) ?? new Set(["default"])
      for (const [name = ""] of (/\{([^}]*)\}/.exec(names)?.[1] ?? "").split(",").map((part) => part.trim().split(/\s+/)))
        if (name !== "" && name !== "type") all.add(name)
      found.set(module, all)
    }
  }
  return Object.fromEntries([...found].map(([module, names]) => [module, [...names]]))
}

const stagesIn = (report: string): ReadonlyArray<Stage> => {
  try {
    return readFileSync(report, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line))
  } catch {
    return []
  }
}

/** Tries a workflow in a process of its own, and ends all that it has started. */
const attempt = async (folder: string, trial: Omit<Trial, "report">, limit: number): Promise<Omit<Row, "workflow">> => {
  const [home, work, report] = [join(folder, "home"), join(folder, "work"), join(folder, "report")]
  for (const one of [home, work]) mkdirSync(one, { recursive: true })
  const name = ["-c", "user.name=trial", "-c", "user.email=trial@localhost"]
  for (const args of [
    ["init", "-q"],
    [...name, "commit", "-q", "--allow-empty", "-m", "begin"],
  ])
    Bun.spawnSync(["git", ...args], { cwd: work, stdout: "ignore", stderr: "ignore", env: { PATH: process.env.PATH, HOME: home } })
  const child = Bun.spawn(
    [process.execPath, "--no-install", join(import.meta.dirname, "compatibility/trial.ts"), JSON.stringify({ ...trial, report })],
    {
      cwd: work,
      detached: true,
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      env: { PATH: process.env.PATH, HOME: home, NODE_PATH: BundledPackages.folder(import.meta.dirname) },
    },
  )
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    process.kill(-child.pid, "SIGKILL")
  }, limit * 1000)
  const [said] = await Promise.all([new Response(child.stderr).text(), child.exited])
  clearTimeout(timer)
  const stages = stagesIn(report)
  const [loads, draws] = (["loads", "draws"] as const).map((stage) => stages.some((one) => one.stage === stage))
  const end = stages.find((one) => one.stage === "ends")
  const known = { loads: loads === true, draws: draws === true }
  if (end !== undefined) {
    const { status: ends, cause } = end
    return { ...known, runs: ends === "finished", ends, ...(cause === undefined ? {} : { cause }) }
  }
  const cause = isLate
    ? `it was at work after ${limit} seconds`
    : `its process ended with ${child.exitCode ?? child.signalCode}: ${said.trim().split("\n")[0]}`
  return { ...known, runs: false, ends: isLate ? "time limit" : "error", cause }
}

/** Tries all workflows of a checkout, one after the other. */
export const survey = async (checkout: string, { limit = 20, onRow }: SurveyOptions = {}): Promise<ReadonlyArray<Row>> => {
  const root = resolve(checkout)
  const sources = sourcesIn(root).map((path) => ({ path, text: readFileSync(path, "utf8") }))
  const providers = providersIn(sources.map(({ text }) => text))
  const rows: Array<Row> = []
  for (const { path } of sources.filter(({ text }) => isWorkflow(text))) {
    const folder = mkdtempSync(join(tmpdir(), "smithers-trial-"))
    try {
      const row = { workflow: relative(root, path), ...(await attempt(folder, { file: path, providers }, limit)) }
      rows.push(row)
      onRow?.(row)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
  return rows
}

/** Formats a row of the table. */
export const lineOf = ({ workflow, loads, draws, runs, ends, cause }: Row, width: number): string =>
  [workflow.padEnd(width), ...[loads, draws, runs].map((one) => (one ? "yes" : "no ").padEnd(5)), ends.padEnd(17), cause ?? ""]
    .join(" ")
    .trimEnd()

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { limit: { type: "string", default: "20" }, json: { type: "boolean", default: false } },
  })
  const [checkout = ""] = positionals
  const limit = Number(values.limit)
  if (!(limit > 0) || statSync(checkout, { throwIfNoEntry: false })?.isDirectory() !== true) {
    console.error("bun scripts/compatibility.ts <checkout> [--limit <seconds>] [--json], where <checkout> is a folder")
    process.exit(2)
  }
  const width = 48
  if (!values.json) console.log(`${"workflow".padEnd(width)} loads draws runs  ends as           cause`)
  const rows = await survey(checkout, { limit, onRow: (row) => values.json || console.log(lineOf(row, width)) })
  const count = (name: "loads" | "draws" | "runs"): number => rows.filter((row) => row[name]).length
  if (values.json) console.log(JSON.stringify(rows, undefined, 2))
  else
    console.log(
      `\n${rows.length} workflows: ${count("loads")} load, ${count("draws")} are drawn, ${count("runs")} run to their end`,
    )
}
