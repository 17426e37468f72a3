/**
 * Rows of output tables as the values that steps gave: the columns of a row say what is stored, and the codec of the step reads it.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import type { Fragment } from "@effect/sql/Statement"
import type { Written } from "@smithers/core/Builder"
import * as Codec from "@smithers/core/Codec"
import type { Definition } from "@smithers/core/Definition"
import { InvalidWorkflow, RenderFailed } from "@smithers/core/Errors"
import type { NamedRow } from "@smithers/core/Transaction"
import type { Writes } from "@smithers/core/Workflow"
import * as Columns from "@smithers/sql/Columns"
import type { Value } from "@smithers/sql/Value"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

/** A workflow whose rows are read. */
interface Source<W> extends Writes<W> {
  readonly name: string
  readonly definition: Definition<unknown>
}

/** Names of what a workflow writes: ids of its steps, or of components the keys of its outputs. */
type NamesOf<W> = W extends Written<infer Id, unknown> ? Id : string

/** What is written under a name. */
type OutputOf<W, Id> = unknown extends W ? unknown : W extends Written<infer Own, infer A> ? (Id extends Own ? A : never) : unknown

/** A row of an output table. */
export interface Row<A> {
  readonly runId: string
  readonly nodeId: string
  /** Counted over the whole run. */
  readonly iteration: number
  readonly output: A
}

/** The workflow has no step, or no output, of this name. */
export class NoSuchOutput extends Schema.TaggedError<NoSuchOutput>()("NoSuchOutput", {
  workflow: Schema.String,
  name: Schema.String,
  known: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const known = this.known.length === 0 ? "it has none" : `it has ${this.known.map((name) => `"${name}"`).join(", ")}`
    return `Workflow "${this.workflow}" has no output "${this.name}" in a table: ${known}.`
  }
}

/** A row that the schema of its step does not accept, or that is not one of its table. */
export class UnreadableRow extends Schema.TaggedError<UnreadableRow>()("UnreadableRow", {
  workflow: Schema.String,
  name: Schema.String,
  /** `<run>/<node>/<iteration>`, as far as the row tells. */
  row: Schema.String,
  issues: Schema.Array(Schema.String),
}) {
  override get message(): string {
    return `Row ${this.row} of output "${this.name}" of workflow "${this.workflow}" cannot be read: ${this.issues.join("; ")}. Read it with the schema that it was written with, or select all of its columns.`
  }
}

/** Which rows are read. */
export interface RowsOptions {
  readonly runId?: string
  /** A condition on the columns of the table. */
  readonly where?: Fragment
  /** Rows at most. Default: all. */
  readonly limit?: number
}

/** How the rows under a name are found and read. */
interface Found {
  /** As the catalog has it. */
  readonly name: string
  /** The only node whose rows these are. */
  readonly nodeId: string | undefined
  readonly layout: Columns.Layout
  readonly codec: Codec.Codec<unknown, unknown>
}

/** The name of a workflow. That of components is found by drawing them without an input, which need not do. */
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

/** Reads a row with the columns of a layout. */
const decode = <A>({ codec }: Found, layout: Columns.Layout, row: NamedRow): Either.Either<Row<A>, Codec.Issues> => {
  if (!isKey(row)) return Either.left([`it lacks ${Columns.keyColumns.join(", ")}`])
  const values: Array<Value> = []
  for (const column of [...layout.columns.map(({ name }) => name), Columns.exactColumn]) {
    const value = row[column]
    if (!isValue(value)) return Either.left([column in row ? `${column} is no value of its column` : `it lacks ${column}`])
    values.push(value)
  }
  const { run_id: runId, node_id: nodeId, iteration } = row
  return Either.map(Codec.keepNow(codec, Columns.decode(layout, values, 0)), (kept) => {
    // The codec is that of the schema which the type comes from.
    return { runId, nodeId, iteration, output: kept.give() as A }
  })
}

const shown = (row: NamedRow): string => [row.run_id, row.node_id, row.iteration].map(String).join("/")

/**
 * Reads rows of an output, ordered by run, node and iteration. Fails with `RenderFailed` or `InvalidWorkflow` for a workflow of components whose name shows only where
 * there is an input.
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
    // No run of the workflow has been here yet.
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
 * The schema of the rows of an output, as `SELECT *` gives them, for queries of one's own. It goes by the columns that the output has by the
 * schema of its step. Throws {@link NoSuchOutput}, and what `rows` fails with.
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
    encode: (value, _, ast) => ParseResult.fail(new ParseResult.Forbidden(ast, value, "rows are only read")),
  })
}
