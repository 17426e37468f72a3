import * as fs from "node:fs"
import * as path from "node:path"
import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlSchema from "@effect/sql/SqlSchema"
import * as SqliteClient from "@effect/sql-sqlite-bun/SqliteClient"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { createSmithers, Smithers } from "smithers-orchestrator"
import { Sql } from "smithers-orchestrator/sql"
import { newFile } from "../sqlite/Fixture.ts"

const Input = Schema.Struct({ repo: Schema.String })

const Review = Smithers.createWorkflow({ name: "review", input: Input }).build(($) => {
  const analyze = $.step("analyze", {
    output: Schema.Struct({
      repo: Schema.String,
      at: Schema.Date,
      risk: Schema.Literal("low", "high"),
      tags: Schema.Array(Schema.String),
    }),
    run: ({ input }) => ({
      repo: input.repo,
      at: "2026-11-26T00:00:00.000Z",
      risk: input.repo === "b" ? ("high" as const) : ("low" as const),
      tags: ["\ud800", input.repo],
    }),
  })
  const count = $.step("count", { output: Schema.NumberFromString, run: () => "2", skipIf: ({ input }) => input.repo === "b" })
  // Two steps of equal columns share a table.
  const one = $.step("one", { output: Schema.Struct({ text: Schema.String }), run: () => ({ text: "1" }) })
  const two = $.step("two", { output: Schema.Struct({ text: Schema.String }), run: () => ({ text: "2" }) })
  return $.sequence(analyze, count, one, two)
})

/** Two runs of the review in a file. */
const reviewed = Effect.gen(function* () {
  const filename = yield* newFile
  const runs = Effect.all([Review.execute({ repo: "a" }, { runId: "a" }), Review.execute({ repo: "b" }, { runId: "b" })])
  yield* Effect.provide(runs, Smithers.sqlite({ filename }))
  return filename
})

const filesBeside = (filename: string) => fs.readdirSync(path.dirname(filename)).sort()

describe("rows of output tables", () => {
  it.scopedLive("are what the steps gave, typed by the ids of the steps", () =>
    Effect.gen(function* () {
      const filename = yield* reviewed
      const [analyses, counts, ones] = yield* Effect.all([
        Sql.rows(Review, "analyze"),
        Sql.rows(Review, "count"),
        Sql.rows(Review, "one"),
      ]).pipe(Effect.provide(Sql.reader({ filename })))
      const first: { readonly at: Date; readonly risk: "low" | "high"; readonly tags: ReadonlyArray<string> } | undefined =
        analyses[0]?.output
      expect(first?.at).toEqual(new Date("2026-11-26T00:00:00.000Z"))
      expect(
        analyses.map(({ runId, nodeId, iteration, output: { risk, tags } }) => [runId, nodeId, iteration, risk, tags]),
      ).toEqual([
        ["a", "analyze", 0, "low", ["\ud800", "a"]],
        ["b", "analyze", 0, "high", ["\ud800", "b"]],
      ])
      const two: number | undefined = counts[0]?.output
      expect([counts.length, two]).toEqual([1, 2])
      expect(ones.map(({ nodeId, output }) => [nodeId, output.text])).toEqual([
        ["one", "1"],
        ["one", "1"],
      ])
    }),
  )

  it.scopedLive("are chosen by run, by a condition on columns and by number", () =>
    Effect.gen(function* () {
      const filename = yield* reviewed
      const found = yield* Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        return {
          ofRun: yield* Sql.rows(Review, "analyze", { runId: "b" }),
          high: yield* Sql.rows(Review, "analyze", { where: sql`risk = ${"high"} OR risk = ${"none"}` }),
          none: yield* Sql.rows(Review, "analyze", { runId: "a", where: sql`risk = 'high' OR 0` }),
          first: yield* Sql.rows(Review, "analyze", { limit: 1 }),
        }
      }).pipe(Effect.provide(Sql.reader({ filename })))
      expect(Object.entries(found).map(([key, rows]) => [key, rows.map(({ runId }) => runId)])).toEqual([
        ["ofRun", ["b"]],
        ["high", ["b"]],
        ["none", []],
        ["first", ["a"]],
      ])
    }),
  )

  it.scopedLive("are read by queries of one's own with their schema", () =>
    Effect.gen(function* () {
      const filename = yield* reviewed
      const latest = SqlSchema.findOne({
        Request: Schema.String,
        Result: Sql.row(Review, "analyze"),
        execute: (risk) => Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT * FROM review_analyze WHERE risk = ${risk}`),
      })
      const found = yield* Effect.provide(Effect.flatten(latest("high")), Sql.reader({ filename }))
      expect([found.runId, found.output.at.getTime()]).toEqual(["b", Date.UTC(2026, 10, 26)])
      const part = SqlSchema.findAll({
        Request: Schema.Void,
        Result: Sql.row(Review, "analyze"),
        execute: () =>
          Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT run_id, node_id, iteration, risk FROM review_analyze`),
      })
      const refused = yield* Effect.flip(Effect.provide(part(), Sql.reader({ filename })))
      expect(refused._tag).toBe("ParseError")
      expect(refused.message).toContain("it lacks repo")
    }),
  )

  it.scopedLive("of components are of one workflow, by the keys of their outputs", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const make = (name: string) => {
        const { Workflow, Task, smithers, outputs } = createSmithers({ note: Schema.Struct({ text: Schema.String }) })
        return smithers(() => (
          <Workflow name={name}>
            <Task id="t" output={outputs.note}>
              {{ text: name }}
            </Task>
          </Workflow>
        ))
      }
      const [First, Second] = [make("first"), make("second")]
      const runs = Effect.all([First.run({}, { runId: "1" }), Second.run({}, { runId: "2" })])
      yield* Effect.provide(runs, Smithers.sqlite({ filename }))
      const rows = yield* Effect.provide(Sql.rows(Second, "note"), Sql.reader({ filename }))
      const [text]: ReadonlyArray<string> = rows.map(({ output }) => output.text)
      expect([rows.length, text, rows[0]?.runId]).toEqual([1, "second", "2"])
    }),
  )

  it.scopedLive("of components whose name takes an input to know are an error", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* Effect.provide(Effect.void, Smithers.sqlite({ filename }))
      const { Workflow, Task, smithers, outputs } = createSmithers({ note: Schema.Struct({ text: Schema.String }) })
      const Named = smithers((ctx) => (
        <Workflow name={ctx.input.name.trim()}>
          <Task id="t" output={outputs.note}>
            {{ text: "" }}
          </Task>
        </Workflow>
      ))
      const error = yield* Effect.flip(Effect.provide(Sql.rows(Named, "note"), Sql.reader({ filename })))
      expect(error._tag).toBe("InvalidWorkflow")
    }),
  )

  it.scopedLive("are none before the first run, and an output that is not in a table is an error that names those that are", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* Effect.provide(Effect.void, Smithers.sqlite({ filename }))
      const none = yield* Effect.provide(Sql.rows(Review, "analyze"), Sql.reader({ filename }))
      expect(none).toEqual([])
      // @ts-expect-error there is no step of this id
      const wrong = Sql.rows(Review, "analysis")
      const error = yield* Effect.flip(Effect.provide(wrong, Sql.reader({ filename })))
      expect(error.message).toBe(
        'Workflow "review" has no output "analysis" in a table: its outputs are "analyze", "count", "one", "two".',
      )
    }),
  )

  it.scopedLive("that the schema of a step refuses by now are an error that names the row", () =>
    Effect.gen(function* () {
      const filename = yield* reviewed
      const Later = Smithers.createWorkflow({ name: "review", input: Input }).build(($) =>
        $.step("analyze", { output: Schema.Struct({ repo: Schema.Literal("a") }), run: () => ({ repo: "a" as const }) }),
      )
      const error = yield* Effect.flip(Effect.provide(Sql.rows(Later, "analyze"), Sql.reader({ filename })))
      expect(error).toMatchObject({ _tag: "UnreadableRow", row: "b/analyze/0" })
      const kept = yield* Effect.provide(Sql.rows(Later, "analyze", { runId: "a" }), Sql.reader({ filename }))
      expect(kept.map(({ output }) => output)).toEqual([{ repo: "a" }])
    }),
  )

  it.scopedLive("are read by a client of @effect/sql-sqlite-bun as well", () =>
    Effect.gen(function* () {
      const filename = yield* reviewed
      const rows = yield* Effect.provide(
        Sql.rows(Review, "two"),
        SqliteClient.layer({ filename, transformResultNames: (name) => `x_${name}` }),
      )
      expect(rows.map(({ output }) => output.text)).toEqual(["2", "2"])
    }),
  )
})

describe("a reader", () => {
  it.scopedLive("writes nothing, by whatever statement, and leaves no file behind", () =>
    Effect.gen(function* () {
      const filename = yield* reviewed
      const before = [filesBeside(filename), fs.readFileSync(filename).toString("base64")]
      const refused = yield* Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const texts = [
          "DELETE FROM smithers_runs",
          "WITH x AS (SELECT 1) DELETE FROM review_analyze",
          "PRAGMA query_only = FALSE",
          "/* */ ATTACH ':memory:' AS m",
          "SELECT 1; DELETE FROM smithers_runs",
          "CREATE TEMP TABLE x (a)",
          "VACUUM",
        ]
        return yield* Effect.forEach(texts, (text) => Effect.flip(sql.unsafe(text)))
      }).pipe(Effect.provide(Sql.reader({ filename })))
      expect(refused.map(({ _tag }) => _tag)).toEqual(refused.map(() => "SqlError"))
      expect(refused[0]?.message).toContain("DELETE is refused: this connection only reads")
      expect(refused[1]?.message).toContain("readonly database")
      expect([filesBeside(filename), fs.readFileSync(filename).toString("base64")]).toEqual(before)
    }),
  )

  it.scopedLive("sees what the engine commits meanwhile, and one snapshot within a transaction", () =>
    Effect.gen(function* () {
      const filename = yield* reviewed
      const counted = Effect.map(Sql.rows(Review, "analyze"), (rows) => rows.length)
      const seen = yield* Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const run = (runId: string) => Effect.asVoid(Review.execute({ repo: "a" }, { runId }))
        const within = yield* sql.withTransaction(Effect.all([counted, run("c"), counted]))
        return [within[0], within[2], yield* counted]
      }).pipe(Effect.provide(Smithers.sqlite({ filename })), Effect.provide(Sql.reader({ filename })))
      expect(seen).toEqual([2, 2, 3])
    }),
  )

  it.scopedLive("refuses what it cannot read as such, and has no connection to a store in memory", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const opened = (file: string) => Effect.flip(Effect.provide(Effect.void, Sql.reader({ filename: file })))
      expect((yield* opened(filename))._tag).toBe("StoreFailed")
      fs.writeFileSync(filename, "")
      expect((yield* opened(filename))._tag).toBe("StoreMissing")
      expect(yield* opened(":memory:")).toMatchObject({ _tag: "InvalidSetting", setting: "filename" })
    }),
  )

  it.scopedLive("says that its file is gone", () =>
    Effect.gen(function* () {
      const filename = yield* reviewed
      const error = yield* Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* sql`SELECT 1`
        fs.renameSync(filename, `${filename}.moved`)
        return yield* Effect.flip(sql`SELECT 1`)
      }).pipe(Effect.provide(Sql.reader({ filename })))
      expect(error.message).toContain("the file no longer exists")
    }),
  )

  it.scopedLive("gives wide integers where asked, and refuses values that SQLite would bind as something else", () =>
    Effect.gen(function* () {
      const filename = yield* reviewed
      const [wide, plain, errors] = yield* Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const query = sql<{ readonly n: unknown }>`SELECT 9007199254740993 AS n`
        const bind = (value: unknown) => Effect.flip(sql.unsafe("SELECT ?", [value]))
        return [
          yield* Effect.provideService(query, SqlClient.SafeIntegers, true),
          yield* query.values,
          yield* Effect.forEach([new Date(0), { a: 1 }, ["a"], () => 1], bind),
        ] as const
      }).pipe(Effect.provide(Sql.reader({ filename })))
      expect([wide[0]?.n, plain]).toEqual([9007199254740993n, [[9007199254740992]]])
      expect(errors.map(({ message }) => /its value 1 is (.*?):/.exec(message)?.[1])).toEqual([
        "a Date",
        "an object",
        "an array",
        "a function",
      ])
    }),
  )
})
