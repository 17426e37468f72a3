/**
 * Output tables of a connection: a cache of the catalog that is valid until a table of the database changes.
 */
import type { JsonSchema } from "@smithers/core/Codec"
import type { IncompatibleTable } from "@smithers/core/Errors"
import type { OutputTable } from "@smithers/core/RunStore"
import type * as Columns from "@smithers/sql/Columns"
import * as Either from "effect/Either"
import * as Catalog from "./catalog.ts"
import type { Connection } from "./connection.ts"
import * as Tables from "./tables.ts"

export interface Outputs {
  /** Returns `true` if these outputs were prepared here and no table has changed since. */
  readonly isPrepared: (workflow: string, outputs: ReadonlyArray<OutputTable>) => boolean
  /** Creates and alters tables inside a transaction. Pass the result to `remember` after the commit. */
  readonly prepare: (workflow: string, outputs: ReadonlyArray<OutputTable>) => Either.Either<Prepared, IncompatibleTable>
  readonly remember: (prepared: Prepared) => void
  /** Returns the table of a prepared output, prepared here or by another process. */
  readonly table: (workflow: string, name: string) => Tables.Table
  /** Returns all tables that may hold outputs of a workflow's runs. */
  readonly tablesOf: (workflow: string) => ReadonlyArray<Tables.Table>
  /**
   * Drops the cache if others have changed tables. Call it before reading rows. Writes do not need it, since tables only gain
   * columns and lose constraints.
   */
  readonly refresh: () => void
}

interface Prepared extends Catalog.Prepared {
  /** SQLite's schema version. */
  readonly version: number
}

interface Known {
  readonly schemas: Map<string, JsonSchema | undefined>
  readonly tables: Map<string, Tables.Table>
}

/** Creates the output tables of a connection. */
export const make = (connection: Connection): Outputs => {
  const catalog = Catalog.make(connection)
  const schemaVersion = connection.prepare<[number]>("PRAGMA schema_version")
  const opened = new Map<string, Tables.Table>()
  const workflows = new Map<string, Known>()
  let version = -1

  const knownOf = (workflow: string): Known => {
    const known = workflows.get(workflow) ?? { schemas: new Map(), tables: new Map() }
    workflows.set(workflow, known)
    return known
  }
  const open = (name: string, layout: Columns.Layout): Tables.Table => {
    const before = opened.get(name)
    if (before?.layout.text === layout.text) return before
    const table = Tables.open(connection, name, layout)
    opened.set(name, table)
    return table
  }
  const currentVersion = (): number => schemaVersion.values()[0]?.[0] ?? 0
  const holdAt = (found: number): void => {
    if (found !== version) workflows.clear()
    version = found
  }
  const refresh = (): void => holdAt(currentVersion())

  return {
    refresh,
    isPrepared: (workflow, outputs) => {
      refresh()
      const { schemas } = knownOf(workflow)
      return outputs.every(({ name, jsonSchema }) => schemas.has(name) && schemas.get(name) === jsonSchema)
    },
    tablesOf: (workflow) => catalog.tablesOf(workflow).map(({ table, layout }) => open(table, layout)),
    prepare: (workflow, outputs) =>
      Either.map(catalog.prepare(workflow, outputs), (prepared) => ({ ...prepared, version: currentVersion() })),
    remember: ({ workflow, assigned, layouts, version }) => {
      holdAt(version)
      const { schemas, tables } = knownOf(workflow)
      for (const { output, table } of assigned) {
        schemas.set(output.name, output.jsonSchema)
        tables.set(output.name, open(table, layouts.get(table) as Columns.Layout))
      }
    },
    table: (workflow, name) => {
      const { tables } = knownOf(workflow)
      const known = tables.get(name)
      if (known !== undefined) return known
      const found = catalog.find(workflow, name)
      if (found === undefined) throw new Error(`output "${name}" of workflow "${workflow}" was not prepared`)
      const table = open(found.table, found.layout)
      tables.set(name, table)
      return table
    },
  }
}
