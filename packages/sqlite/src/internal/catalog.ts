/**
 * Catalog of the database: the table of each output.
 *
 * An output has a table of its own, with its name. But steps of one workflow that are declared together and have equal columns
 * share one, `<workflow>_steps`, and the name of each is a view of its rows. A generated workflow of thousands of steps would
 * otherwise need as many tables, each of at least a page and ever slower to create. An assignment never changes.
 *
 * Workflows may use the same name for an output. With equal columns they share its table; otherwise the second one gets a number.
 * Each such output is also a view of the workflow's own rows, `<workflow>_<output>`, whose name does not depend on the order.
 */
import { IncompatibleTable } from "@smithers/core/Errors"
import type { OutputTable } from "@smithers/core/RunStore"
import * as Columns from "@smithers/sql/Columns"
import * as Either from "effect/Either"
import type { Connection } from "./connection.ts"
import * as Tables from "./tables.ts"

/**
 * Maximum number of views of a shared table. Views are for people, and each costs as much as a table to create, and to read at
 * every start. Further steps are found in the shared table by `node_id`.
 */
const maxViews = 64

/** Outputs with their tables. */
export interface Prepared {
  readonly workflow: string
  readonly assigned: ReadonlyArray<{ readonly output: OutputTable; readonly table: string }>
  readonly layouts: ReadonlyMap<string, Columns.Layout>
}

export interface Catalog {
  /** Returns the tables of a workflow's outputs, without those that a user has removed. */
  readonly tablesOf: (workflow: string) => ReadonlyArray<{ readonly table: string; readonly layout: Columns.Layout }>
  /** Returns the table of an output. */
  readonly find: (workflow: string, name: string) => { readonly table: string; readonly layout: Columns.Layout } | undefined
  /** Creates and alters tables inside a transaction. Rejects, before it writes, schemas that a table cannot follow. */
  readonly prepare: (workflow: string, outputs: ReadonlyArray<OutputTable>) => Either.Either<Prepared, IncompatibleTable>
}

/** Creates the catalog of a connection. */
export const make = (connection: Connection): Catalog => {
  const selectOne = connection.prepare<[table: string, layout: string]>(
    `SELECT t.name, t.layout FROM smithers_outputs o JOIN smithers_tables t ON t.name = o.table_name
     WHERE o.workflow = ? AND o.name = ?`,
  )
  const selectOutputs = connection.prepare<[name: string, table: string]>(
    "SELECT name, table_name FROM smithers_outputs WHERE workflow = ?",
  )
  const selectViews = connection.prepare<[name: string, view: string]>(
    "SELECT name, view_name FROM smithers_outputs WHERE workflow = ? AND view_name IS NOT NULL",
  )
  const updateView = connection.prepare("UPDATE smithers_outputs SET view_name = ?3 WHERE workflow = ?1 AND name = ?2")
  const selectTables = connection.prepare<[name: string, isShared: number, layout: string]>(
    `SELECT name, is_shared, layout FROM smithers_tables
     WHERE workflow = ?1 OR name IN (SELECT table_name FROM smithers_outputs WHERE workflow = ?1)`,
  )
  const selectUsed = connection.prepare<[table: string, layout: string]>(
    `SELECT name, layout FROM smithers_tables WHERE name IN (SELECT table_name FROM smithers_outputs WHERE workflow = ?)
       AND name IN (SELECT name FROM sqlite_master WHERE type = 'table')`,
  )
  const selectNamesakes = connection.prepare<[table: string, layout: string]>(
    `SELECT t.name, t.layout FROM smithers_outputs o JOIN smithers_tables t ON t.name = o.table_name
     WHERE o.name = ? AND o.node_id IS NULL AND NOT t.is_shared ORDER BY t.name`,
  )
  const selectRelations = connection.prepare<[name: string, type: string]>("SELECT name, type FROM sqlite_master")
  const insertOutput = connection.prepare(
    "INSERT OR REPLACE INTO smithers_outputs (workflow, name, table_name, node_id) VALUES (?, ?, ?, ?)",
  )
  const insertTable = connection.prepare(
    "INSERT OR REPLACE INTO smithers_tables (name, workflow, is_shared, layout) VALUES (?, ?, ?, ?)",
  )
  const updateTable = connection.prepare("UPDATE smithers_tables SET layout = ? WHERE name = ?")

  const read = (workflow: string): Before => {
    const relations = new Map(selectRelations.values().map(([name, type]) => [lower(name), type]))
    const tables = new Map<string, Stored>()
    for (const [name, isShared, layout] of selectTables.values(workflow)) {
      // Recreates a table that a user has removed.
      if (relations.get(lower(name)) !== "table") continue
      tables.set(name, { isShared: isShared === 1, layout: Columns.parse(layout) })
    }
    return { relations, tables, assigned: new Map(selectOutputs.values(workflow)) }
  }

  const prepare: Catalog["prepare"] = (workflow, outputs) => {
    const before = read(workflow)
    const matched = match(before, outputs)
    if (Either.isLeft(matched)) return Either.left(matched.left)
    const { assigned, layouts, added } = matched.right
    const { relations, tables } = before
    for (const [table, layout] of layouts) {
      const old = tables.get(table)?.layout
      if (old === undefined || old === layout) continue
      Tables.alter(connection, table, old, layout)
      updateTable.run(layout.text, table)
    }

    const free = (wanted: string): string => {
      const base = sanitize(wanted)
      let name = base
      for (let count = 2; relations.has(lower(name)); count++) name = `${base}_${count}`
      return name
    }
    const create = (wanted: string, isShared: boolean, layout: Columns.Layout): string => {
      const name = free(wanted)
      Tables.create(connection, name, layout)
      relations.set(lower(name), "table")
      insertTable.run(name, workflow, Number(isShared), layout.text)
      return name
    }
    const assign = (output: OutputTable, table: string): void => {
      insertOutput.run(workflow, output.name, table, output.nodeId ?? null)
      assigned.push({ output, table })
    }
    const share = (table: string, outputs: ReadonlyArray<OutputTable>): void => {
      let views = [...before.assigned.values()].filter((other) => other === table).length
      for (const output of outputs) {
        assign(output, table)
        if (output.nodeId === undefined || views++ >= maxViews) continue
        const view = free(output.name)
        Tables.createView(connection, view, table, output.nodeId)
        relations.set(lower(view), "view")
      }
    }

    // Read before they are assigned again.
    const knownViews = new Map(selectViews.values(workflow))
    for (const output of added.filter(({ nodeId }) => nodeId === undefined)) {
      // Workflows with the same name and columns share a table.
      const layout = Columns.layoutOf(output.jsonSchema)
      const isSame = ([table, text]: [string, string]) => text === layout.text && relations.get(lower(table)) === "table"
      const table = selectNamesakes.values(output.name).find(isSame)?.[0] ?? create(output.name, false, layout)
      layouts.set(table, layout)
      assign(output, table)
    }
    const isNew = new Set(added)
    for (const { output, table } of assigned) {
      // A table with the name of its workflow needs no view.
      if (output.nodeId !== undefined || (table === output.name && table.startsWith(`${sanitize(workflow)}_`))) continue
      const known = knownViews.get(output.name)
      const isThere = known !== undefined && relations.get(lower(known)) === "view"
      if (isThere && !isNew.has(output)) continue
      if (isThere) {
        // It is a view of a table that a user has removed.
        connection.execute(`DROP VIEW ${Tables.quote(known)}`)
        relations.delete(lower(known))
      }
      const view = free(`${workflow}_${output.name}`)
      Tables.createOwnView(connection, view, table, workflow)
      relations.set(lower(view), "view")
      updateView.run(workflow, output.name, view)
    }
    const steps = Map.groupBy(
      added.filter(({ nodeId }) => nodeId !== undefined),
      ({ jsonSchema }) => Columns.layoutOf(jsonSchema).text,
    )
    for (const [text, group] of steps) {
      const layout = Columns.parse(text)
      const isShared = ([name, table]: [string, Stored]) => table.isShared && (layouts.get(name) ?? table.layout).text === text
      const shared = [...tables].find(isShared)?.[0]
      const isAlone = shared === undefined && group.length === 1
      const wanted = isAlone ? (group[0] as OutputTable).name : `${workflow}_steps`
      const table = shared ?? create(wanted, !isAlone, layout)
      layouts.set(table, layout)
      if (isAlone) assign(group[0] as OutputTable, table)
      else share(table, group)
    }
    return Either.right({ workflow, assigned, layouts })
  }

  return {
    tablesOf: (workflow) => selectUsed.values(workflow).map(([table, layout]) => ({ table, layout: Columns.parse(layout) })),
    find: (workflow, name) => {
      const found = selectOne.values(workflow, name)[0]
      return found === undefined ? undefined : { table: found[0], layout: Columns.parse(found[1]) }
    },
    prepare,
  }
}

interface Stored {
  readonly isShared: boolean
  readonly layout: Columns.Layout
}

/** State before outputs are prepared. */
interface Before {
  /** Types of tables, views and indexes by name in lower case, as SQLite compares names. */
  readonly relations: Map<string, string>
  readonly tables: ReadonlyMap<string, Stored>
  readonly assigned: ReadonlyMap<string, string>
}

/** Splits outputs into those with tables, with their required changes, and those without. */
const match = ({ tables, assigned: before }: Before, outputs: ReadonlyArray<OutputTable>) => {
  const assigned: Array<Prepared["assigned"][number]> = []
  const layouts = new Map<string, Columns.Layout>()
  const added: Array<OutputTable> = []
  /** Schema that a table was last compared with. Steps that share a table mostly have the same one. */
  const compared = new Map<string, OutputTable["jsonSchema"]>()
  for (const output of outputs) {
    const table = before.get(output.name) ?? ""
    const layout = layouts.get(table) ?? tables.get(table)?.layout
    if (layout === undefined) {
      added.push(output)
      continue
    }
    assigned.push({ output, table })
    if (compared.has(table) && compared.get(table) === output.jsonSchema) continue
    const evolved = Columns.evolve(layout, Columns.layoutOf(output.jsonSchema))
    if (Either.isLeft(evolved)) return Either.left(new IncompatibleTable({ table: output.name, ...evolved.left }))
    layouts.set(table, evolved.right)
    compared.set(table, output.jsonSchema)
  }
  return Either.right({ assigned, layouts, added })
}

/** Converts a name to lower case as SQLite compares names: only ASCII letters. */
const lower = (name: string): string => name.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase())

/** Maximum number of characters of a name. Outputs whose truncated names are equal get numbers. */
const longestName = 100

/**
 * Converts a name to one that needs no quotes and differs from those of SQLite and the engine. Letters and digits of any script
 * stay; other characters become `_`.
 */
const sanitize = (name: string): string => {
  const plain = [...name.replaceAll(/[^\p{L}\p{M}\p{N}_]/gu, "_")].slice(0, longestName).join("")
  return /^(smithers_|sqlite_|\P{L}|$)/iu.test(plain) && !plain.startsWith("_") ? `_${plain}` : plain
}
