/**
 * The limit: a plain `bun:sqlite` program that commits the rows of a finished run again, into an empty database of the same
 * tables, one transaction per step: `bun bench/limit.ts <finished database> <synchronous> <file>`. It inserts final rows only,
 * where the runtime also updates the row of a node and of an attempt from running to finished.
 */
import { Database } from "bun:sqlite"
import { roundsOf, warm } from "./warm.ts"

const [source = "", synchronous, filename = ""] = process.argv.slice(2)

interface Statement {
  readonly run: (...values: Array<never>) => unknown
}

const from = new Database(source, { readonly: true })
const to = new Database(filename)
to.run("PRAGMA journal_mode = WAL")
to.run(`PRAGMA synchronous = ${synchronous === "full" ? "FULL" : "NORMAL"}`)
for (const { sql } of from.query("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND type <> 'view'").all() as Array<{
  sql: string
}>) {
  if (!sql.includes("sqlite_sequence")) to.run(sql)
}

const runId = (from.query("SELECT run_id FROM smithers_runs ORDER BY created_at LIMIT 1").get() as { run_id: string }).run_id
const output = (from.query("SELECT table_name FROM smithers_outputs LIMIT 1").get() as { table_name: string }).table_name

/** Rows of a table of this run, grouped by the step they belong to. */
const rows = (table: string, groupBy: string): Map<string, Array<Array<never>>> => {
  const columns = from.query(`SELECT * FROM "${table}" LIMIT 0`).columnNames
  const groups = new Map<string, Array<Array<never>>>()
  for (const values of from.query(`SELECT ${groupBy}, * FROM "${table}" WHERE run_id = '${runId}'`).values() as Array<
    Array<never>
  >) {
    const [key, ...row] = values
    const group = groups.get(String(key))
    if (group === undefined) groups.set(String(key), [row])
    else group.push(row)
  }
  statements.set(table, to.prepare(`INSERT INTO "${table}" VALUES (${columns.map(() => "?").join(", ")})`) as unknown as Statement)
  return groups
}
const statements = new Map<string, Statement>()

const byNode = ["smithers_nodes", "smithers_attempt_rows", output].map((table) => [table, rows(table, "node_id")] as const)
const byFrame = ["smithers_frames", "smithers_events"].map((table) => [table, rows(table, "frame")] as const)
const nodes = (
  from
    .query(
      `SELECT node_id FROM smithers_nodes WHERE run_id = '${runId}' ORDER BY started_at, rowid_order`.replace(", rowid_order", ""),
    )
    .all() as Array<{ node_id: string }>
).map(({ node_id }) => node_id)
const frames = [...(byFrame[1]?.[1].keys() ?? [])].sort((left, right) => Number(left) - Number(right))

const [begin, commit] = [to.prepare("BEGIN IMMEDIATE"), to.prepare("COMMIT")]
const insert = (table: string, group: Array<Array<never>> | undefined) => {
  const statement = statements.get(table) as Statement
  for (const row of group ?? []) statement.run(...row)
}

/** Commits the rows of the run once more, under another run id. */
const round = (index: number): number => {
  const copies = [...byNode, ...byFrame].map(([table, groups]) => {
    const renamed = [...groups].map(
      ([key, group]) => [key, group.map(([, ...row]) => [`${runId}${index}` as never, ...row])] as const,
    )
    return [table, new Map(renamed)] as const
  })
  const [ofNodes, ofFrames] = [copies.slice(0, byNode.length), copies.slice(byNode.length)]
  const started = performance.now()
  for (let step = 0; step < nodes.length; step++) {
    begin.run()
    for (const [table, groups] of ofNodes) insert(table, groups.get(nodes[step] as string))
    for (const [table, groups] of ofFrames) insert(table, groups.get(frames[step] as string))
    commit.run()
  }
  return performance.now() - started
}

const times = Array.from({ length: roundsOf(nodes.length) }, (_, index) => round(index))
console.log(JSON.stringify({ ms: warm(times), firstMs: times[0], steps: nodes.length }))
