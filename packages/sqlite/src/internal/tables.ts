/**
 * Creates and alters an output table, and prepares its statements.
 */
import type { Json } from "@smithers/core/Codec"
import * as Columns from "@smithers/sql/Columns"
import type { Value } from "@smithers/sql/Value"
import type { Connection } from "./connection.ts"

/** An output of a run. */
interface Row {
  readonly nodeId: string
  readonly iteration: number
  readonly output: Json | undefined
}

/** A table with its layout. */
export interface Table {
  readonly name: string
  readonly layout: Columns.Layout
  readonly insert: (runId: string, nodeId: string, iteration: number, output: Json | undefined) => void
  readonly remove: (runId: string, nodeId: string, iteration: number) => void
  /** Inserts an output that a fork has inherited `from` a run. */
  readonly inherit: (runId: string, nodeId: string, iteration: number, output: Json | undefined, from: string) => void
  /** Copies to a fork the outputs `from` a run of all nodes that the fork has rows of. */
  readonly inheritAll: (runId: string, from: string) => void
  readonly one: (runId: string, nodeId: string, iteration: number) => Row | undefined
  readonly ofRun: (runId: string) => ReadonlyArray<Row>
}

/** Quotes a name for SQL. */
export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

const define = ({ name, type, isRequired }: Columns.Column): string =>
  `${quote(name)} ${Columns.sqlTypes[type]}${isRequired ? " NOT NULL" : ""}`

const namesOf = ({ columns }: Columns.Layout, select: (text: string) => string = (text) => text): string => {
  const names = columns.map(({ name, type }) => (type === "text" ? select(quote(name)) : quote(name)))
  return [...Columns.keyColumns, ...names, Columns.exactColumn].join(", ")
}

/** Opens a table. Its statements are prepared on first use. */
export const open = (connection: Connection, name: string, layout: Columns.Layout): Table => {
  const table = quote(name)
  const key = "run_id = ? AND node_id = ? AND iteration = ?"
  const placeholders = Array.from({ length: layout.columns.length + 4 }, () => "?").join(", ")
  const select = `SELECT ${namesOf(layout, connection.whole)} FROM ${table}`
  const insert = once(() => connection.prepare(`INSERT INTO ${table} (${namesOf(layout)}) VALUES (${placeholders})`))
  const inherit = once(() =>
    connection.prepare(`INSERT INTO ${table} (${namesOf(layout)}, ${Columns.inheritedColumn}) VALUES (${placeholders}, ?)`),
  )
  const copy = once(() => {
    const columns = [...layout.columns.map(({ name }) => quote(name)), Columns.exactColumn]
    return connection.prepare(
      `INSERT INTO ${table} (run_id, node_id, iteration, ${columns.join(", ")}, ${Columns.inheritedColumn})
       SELECT ?1, t.node_id, t.iteration, ${columns.map((column) => `t.${column}`).join(", ")}, ?2 FROM ${table} t
         JOIN smithers_nodes n ON n.run_id = ?1 AND n.node_id = t.node_id AND n.iteration = t.iteration
       WHERE t.run_id = ?2`,
    )
  })
  const remove = once(() => connection.prepare(`DELETE FROM ${table} WHERE ${key}`))
  const one = once(() => connection.prepare<ReadonlyArray<Value>>(`${select} WHERE ${key}`))
  const ofRun = once(() => connection.prepare<ReadonlyArray<Value>>(`${select} WHERE run_id = ?`))
  const read = (row: ReadonlyArray<Value>): Row => {
    const [, nodeId, iteration] = row as ReadonlyArray<Value> & [string, string, number]
    return { nodeId, iteration, output: Columns.decode(layout, row, 3) }
  }
  return {
    name,
    layout,
    insert: (runId, nodeId, iteration, output) => {
      insert().run(runId, nodeId, iteration, ...Columns.encode(layout, output))
    },
    inherit: (runId, nodeId, iteration, output, from) => {
      inherit().run(runId, nodeId, iteration, ...Columns.encode(layout, output), from)
    },
    inheritAll: (runId, from) => {
      copy().run(runId, from)
    },
    remove: (runId, nodeId, iteration) => {
      remove().run(runId, nodeId, iteration)
    },
    one: (runId, nodeId, iteration) => one().values(runId, nodeId, iteration).map(read)[0],
    ofRun: (runId) => ofRun().values(runId).map(read),
  }
}

const once = <A>(make: () => A): (() => A) => {
  let made: A | undefined
  return () => {
    made ??= make()
    return made
  }
}

export const create = (connection: Connection, name: string, layout: Columns.Layout): void => {
  const columns = [
    "run_id TEXT NOT NULL",
    "node_id TEXT NOT NULL",
    "iteration INTEGER NOT NULL",
    ...layout.columns.map(define),
    `${Columns.exactColumn} TEXT`,
    `${Columns.inheritedColumn} TEXT`,
    `PRIMARY KEY (${Columns.keyColumns.join(", ")})`,
  ]
  connection.execute(`CREATE TABLE ${quote(name)} (${columns.join(", ")}) STRICT, WITHOUT ROWID`)
}

/** Creates a view of one step's rows in a table. */
export const createView = (connection: Connection, name: string, table: string, nodeId: string): void =>
  connection.execute(`CREATE VIEW ${quote(name)} AS SELECT * FROM ${quote(table)} WHERE node_id = ${literal(nodeId)}`)

/** Creates a view of one workflow's rows in a table. */
export const createOwnView = (connection: Connection, name: string, table: string, workflow: string): void =>
  connection.execute(
    `CREATE VIEW ${quote(name)} AS SELECT * FROM ${quote(table)}
     WHERE run_id IN (SELECT run_id FROM smithers_runs WHERE workflow = ${literal(workflow)})`,
  )

/** Alters a table: adds columns, and drops NOT NULL constraints. */
export const alter = (connection: Connection, name: string, before: Columns.Layout, after: Columns.Layout): void => {
  const isRelaxed = before.columns.some(({ isRequired }, index) => isRequired && after.columns[index]?.isRequired === false)
  if (isRelaxed) return rebuild(connection, name, before, after)
  for (const column of after.columns.slice(before.columns.length)) {
    connection.execute(`ALTER TABLE ${quote(name)} ADD COLUMN ${define(column)}`)
  }
}

/**
 * Rebuilds a table, since supported versions of SQLite cannot drop NOT NULL in place. The rows go through a copy rather than a
 * renamed table, so that views and the user's indexes and triggers still refer to this one.
 */
const rebuild = (connection: Connection, name: string, before: Columns.Layout, after: Columns.Layout): void => {
  const [table, columns] = [`main.${quote(name)}`, `${namesOf(before)}, ${Columns.inheritedColumn}`]
  const attached = connection.prepare<[sql: string]>(
    "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL",
  )
  const again = attached.values(name)
  connection.execute(`CREATE TEMP TABLE smithers_copy AS SELECT ${columns} FROM ${table}`)
  connection.execute(`DROP TABLE ${table}`)
  create(connection, name, after)
  connection.execute(`INSERT INTO ${table} (${columns}) SELECT ${columns} FROM temp.smithers_copy`)
  connection.execute("DROP TABLE temp.smithers_copy")
  for (const [sql] of again) connection.execute(sql)
}
