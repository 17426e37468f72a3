/**
 * Decodes rows of output tables to the values that steps returned: columns hold the stored value, and the codec of the step decodes
 * it.
 */

import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import type { Fragment } from "@effect/sql/Statement"
import type { Written } from "@smithers/core/Builder"
import * as Codec from "@smithers/core/Codec"
import type { Definition } from "@smithers/core/Definition"
import { InvalidWorkflow, RenderFailed } from "@smithers/core/Errors"
import * as Later from "@smithers/core/Later"
import type { NamedRow } from "@smithers/core/Transaction"
import type { Writes } from "@smithers/core/Workflow"
import * as Columns from "@smithers/sql/Columns"
import type { Value } from "@smithers/sql/Value"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

/** A workflow with output tables. */
interface Source<W> extends Writes<W> {
  readonly name: string
  readonly definition: Definition<unknown>
}

/** Names of a workflow's outputs: ids of its steps, or for JSX the keys of its schemas. */
type NamesOf<W> = W extends Written<infer Id, unknown> ? Id : string

/** Type of the output with a name. */
type OutputOf<W, Id> = unknown extends W ? unknown : W extends Written<infer Own, infer A> ? (Id extends Own ? A : never) : unknown

/** A row of an output table. */
export interface Row<A> {
  readonly runId: string
  readonly nodeId: string
  /** Counted over the whole run. */
  readonly iteration: number
  readonly output: A
}

/** The workflow has no step, or no output, with this name. */
export class NoSuchOutput extends Later.TaggedError<NoSuchOutput>()("NoSuchOutput", {
  workflow: Schema.String,
  name: Schema.String,
  known: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const known =
      this.known.length === 0 ? "it has no outputs" : `its outputs are ${this.known.map((name) => `"${name}"`).join(", ")}`
    return `Workflow "${this.workflow}" has no output "${this.name}" in a table: ${known}.`
  }
}

/** A row does not match the schema of its step, or lacks columns of its table. */
export class UnreadableRow extends Later.TaggedError<UnreadableRow>()("UnreadableRow", {
  workflow: Schema.String,
  name: Schema.String,
  /** `<run>/<node>/<iteration>`, as far as known. */
  row: Schema.String,
  issues: Schema.Array(Schema.String),
}) {
  override get message(): string {
    return `Row ${this.row} of output "${this.name}" of workflow "${this.workflow}" cannot be read: ${this.issues.join("; ")}. Use the schema that it was written with, or select all of its columns.`
  }
}

/** Selects rows. */
export interface RowsOptions {
  readonly runId?: string
  /** Condition on the columns of the table. */
  readonly where?: Fragment
  /** Maximum number of rows. Default: all. */
  readonly limit?: number
}

/** Table and codec of an output. */
interface Found {
  /** Name in the catalog. */
  readonly name: string
  /** The only node whose rows these are. */
  readonly nodeId: string | undefined
  readonly layout: Columns.Layout
  readonly codec: Codec.Codec<unknown, unknown>
}

/** Returns the name of a workflow. That of a JSX workflow needs a render without an input, which may fail. */
const nameOf = (workflow: Source<unknown>): Effect.Effect<string, RenderFailed | InvalidWorkflow> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(workflow.name)
    } catch (thrown) {
      return thrown instanceof RenderFailed || thrown instanceof InvalidWorkflow ? Effect.fail(thrown) : Effect.die(thrown)
    }
  })

const find = (workflow: string, definition: Definition<unknown>, name: string): Either.Either<Found, NoSuchOutput> => {
  const { tables } = definition
  const table = tables.find(({ nodeId }) => nodeId === name) ?? tables.find((one) => one.nodeId === undefined && one.name === name)
  const codec = table === undefined ? undefined : definition.codecOf(table.nodeId ?? "", table.name)
  if (table === undefined || codec === undefined) {
    const known = tables.map((one) => one.nodeId ?? one.name)
    return Either.left(new NoSuchOutput({ workflow, name, known }))
  }
  return Either.right({ name: table.name, nodeId: table.nodeId, layout: Columns.layoutOf(table.jsonSchema), codec })
}

const isKey = (
  row: NamedRow,
): row is NamedRow & { readonly run_id: string; readonly node_id: string; readonly iteration: number } =>
  typeof row.run_id === "string" && typeof row.node_id === "string" && typeof row.iteration === "number"

const isValue = (value: unknown): value is Value => value === null || typeof value === "string" || typeof value === "number"

/** Decodes a row with the columns of a layout. */
const decode = <A>({ codec }: Found, layout: Columns.Layout, row: NamedRow): Either.Either<Row<A>, Codec.Issues> => {
  if (!isKey(row)) return Either.left([`it lacks ${Columns.keyColumns.join(", ")}`])
  const values: Array<Value> = []
  for (const column of [...layout.columns.map(({ name }) => name), Columns.exactColumn]) {
    const value = row[column]
    if (!isValue(value)) return Either.left([column in row ? `${column} has an invalid type` : `it lacks ${column}`])
    values.push(value)
  }
  const { run_id: runId, node_id: nodeId, iteration } = row
  return Either.map(Codec.decodeSharedNow(codec, Columns.decode(layout, values, 0)), (kept) => {
    // The type comes from the schema of this codec.
    return { runId, nodeId, iteration, output: kept.give() as A }
  })
}

const shown = (row: NamedRow): string => [row.run_id, row.node_id, row.iteration].map(String).join("/")

/**
 * Reads rows of an output, ordered by run, node and iteration. Fails with `RenderFailed` or `InvalidWorkflow` for a JSX workflow
 * whose name cannot be rendered without an input.
 */
export const rows = <W, Id extends NamesOf<W> & string>(
  workflow: Source<W>,
  name: Id,
  { runId, where, limit }: RowsOptions = {},
): Effect.Effect<
  ReadonlyArray<Row<OutputOf<W, Id>>>,
  SqlError | NoSuchOutput | UnreadableRow | RenderFailed | InvalidWorkflow,
  SqlClient.SqlClient
> =>
  Effect.gen(function* () {
    const owner = yield* nameOf(workflow)
    const found = yield* find(owner, workflow.definition, name)
    const sql = yield* SqlClient.SqlClient
    const [table] = yield* sql<{ readonly table: string; readonly layout: string }>`
      SELECT t.name AS "table", t.layout FROM smithers_outputs o JOIN smithers_tables t ON t.name = o.table_name
      WHERE o.workflow = ${owner} AND o.name = ${found.name}`.withoutTransform
    // No run of the workflow has used this database yet.
    if (table === undefined) return []
    const conditions = [
      found.nodeId === undefined
        ? sql`run_id IN (SELECT run_id FROM smithers_runs WHERE workflow = ${owner})`
        : sql`node_id = ${found.nodeId}`,
      ...(runId === undefined ? [] : [sql`run_id = ${runId}`]),
      ...(where === undefined ? [] : [sql`(${where})`]),
    ]
    const most = limit === undefined ? sql`` : sql` LIMIT ${limit}`
    const stored = yield* sql<NamedRow>`
      SELECT * FROM ${sql.literal(quote(table.table))} WHERE ${sql.and(conditions)} ORDER BY run_id, node_id, iteration${most}`
      .withoutTransform
    const layout = Columns.parse(table.layout)
    return yield* Effect.forEach(stored, (row) =>
      Either.mapLeft(
        decode<OutputOf<W, Id>>(found, layout, row),
        (issues) => new UnreadableRow({ workflow: owner, name, row: shown(row), issues }),
      ),
    )
  }).pipe(Effect.provideService(SqlClient.SafeIntegers, false))

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`

/**
 * Returns the schema of an output's rows, as `SELECT *` returns them, for custom queries. Its columns follow the schema of the
 * step. Throws {@link NoSuchOutput}, and the errors of `rows`.
 */
export const row = <W, Id extends NamesOf<W> & string>(
  workflow: Source<W>,
  name: Id,
): Schema.Schema<Row<OutputOf<W, Id>>, NamedRow> => {
  type Read = Row<OutputOf<W, Id>>
  const found = Either.getOrThrowWith(find(workflow.name, workflow.definition, name), (error) => error)
  const stored = Schema.declare((value): value is NamedRow => typeof value === "object" && value !== null)
  const read = Schema.declare((value): value is Read => typeof value === "object" && value !== null && "output" in value)
  return Schema.transformOrFail(stored, read, {
    strict: true,
    decode: (value, _, ast) =>
      Either.mapLeft(
        decode<OutputOf<W, Id>>(found, found.layout, value),
        (issues) => new ParseResult.Type(ast, value, issues.join("; ")),
      ),
    encode: (value, _, ast) => ParseResult.fail(new ParseResult.Forbidden(ast, value, "rows cannot be encoded")),
  })
}
