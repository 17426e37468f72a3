/**
 * Shows what the runtime is for: a review of a folder runs in a process of its own, the process is killed with SIGKILL half-way,
 * a second process resumes the run, and the database tells what was kept. `bun examples/demo.ts [folder]`.
 */
import { Database } from "bun:sqlite"
import { mkdirSync, rmSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"

const root = resolve(process.argv[2] ?? join(import.meta.dir, ".."))
const database = resolve(".smithers", "demo.db")
const runId = "demo"

mkdirSync(dirname(database), { recursive: true })
for (const suffix of ["", "-wal", "-shm"]) rmSync(`${database}${suffix}`, { force: true })

const title = (text: string) => console.log(`\n\x1b[1m${text}\x1b[0m`)
const shown = (path: string) => relative(process.cwd(), path) || "."

/** Runs the review in a child process, and calls back for each line it prints. */
const review = async (onLine: (line: string, kill: () => void) => void): Promise<number | null> => {
  const script = join(import.meta.dir, "review.ts")
  const child = Bun.spawn([process.execPath, script, root, runId, database, "150"], { stdout: "pipe", stderr: "inherit" })
  console.log(`  process ${child.pid}`)
  let rest = ""
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) onLine(line, () => process.kill(child.pid, "SIGKILL"))
  }
  await child.exited
  return child.exitCode
}

title(`1. A review of ${shown(root)} begins`)
let done = 0
let isKilled = false
await review((line, kill) => {
  if (isKilled) return
  console.log(`  ${line}`)
  if (line.startsWith("✓")) done++
  // Several steps may end in one frame.
  if (done >= 5 && line.startsWith("→")) {
    isKilled = true
    kill()
  }
})
if (!isKilled) {
  console.log("  The folder is too small to be interrupted half-way: give one with more than five sub-folders of source code.")
  process.exit(1)
}
console.log("  ✗ killed with SIGKILL: no handler ran, nothing was saved on the way out")

const query = <Row>(sql: string): Array<Row> => {
  const db = new Database(database, { readonly: true })
  const rows = db.query(sql).all() as Array<Row>
  db.close()
  return rows
}
const kept = query<{ node_id: string }>(`SELECT node_id FROM smithers_nodes WHERE run_id = '${runId}' AND status = 'finished'`)

title(`2. Another process resumes the run: ${kept.length} finished steps are kept`)
const again = new Set<string>()
const isReport = { begun: false }
await review((line) => {
  const id = /^→ (\S+) \(attempt (\d+)\)/.exec(line)
  if (id !== null && id[2] !== "1") again.add(id[1] ?? "")
  if (line.startsWith("#")) isReport.begun = true
  console.log(isReport.begun && line.startsWith("#") ? `\n  ${line}` : `  ${line}`)
})

title("3. What the database says")
const repeated = kept.filter(({ node_id }) => again.has(node_id))
console.log(`  kept        ${kept.map(({ node_id }) => node_id).join(", ")}`)
console.log(`  ran again   ${[...again].join(", ") || "nothing"} (in flight when the process died)`)
console.log(`  repeated    ${repeated.length} finished steps`)

const show = (sql: string) => {
  console.log(`\n  ${sql}`)
  for (const row of query<Record<string, unknown>>(sql)) {
    console.log(
      `    ${Object.values(row)
        .map((value) => String(value ?? "").slice(0, 60))
        .join("  |  ")}`,
    )
  }
}
show("SELECT node_id, attempt, status, reason FROM smithers_attempts WHERE attempt > 1 OR status = 'interrupted' ORDER BY 1, 2")
show("SELECT risk, lines, summary FROM review_analyze")
console.log(`\n  Type such queries yourself: sqlite3 ${shown(database)}`)
process.exit(repeated.length === 0 ? 0 : 1)
