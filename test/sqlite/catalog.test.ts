import { describe, expect, it } from "@effect/vitest"
import type { Json, JsonSchema } from "@smithers/core/Codec"
import { IncompatibleTable } from "@smithers/core/Errors"
import { ports, Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as JSONSchema from "effect/JSONSchema"
import * as Schema from "effect/Schema"
import * as z from "zod"
import * as History from "../contract/History.ts"
import { expectSame } from "../contract/Storage.ts"
import { newFile, query, rawConnection, using } from "./Fixture.ts"

const { journal, plain, started, step } = History

const struct = (properties: { readonly [name: string]: JsonSchema }, required = Object.keys(properties)): JsonSchema => ({
  type: "object",
  properties,
  required,
})

const text: JsonSchema = { type: "string" }
const integer: JsonSchema = { type: "integer" }

/** Columns as SQLite sees them: name, type and whether they must be there. */
const columnsOf = (filename: string, table: string) =>
  Effect.map(query(filename, 'SELECT name, type, "notnull" FROM pragma_table_info(?)', table), (rows) =>
    rows.map(([name, type, isRequired]) => `${name} ${type}${isRequired === 1 ? " NOT NULL" : ""}`),
  )

const output = (name: string, jsonSchema: JsonSchema | undefined, nodeId?: string) => ({ name, jsonSchema, nodeId })

/** Runs a workflow of one step that gives `value`, and checks that it is read back. */
const keep = (storage: Storage["Type"], runId: string, table: string, value: Json | undefined) =>
  Effect.gen(function* () {
    const run = yield* journal(runId)
    yield* run.commit([started, ...step("a", table, value)])
    expectSame(yield* storage.load(runId), run.state())
  })

describe("the table of an output", () => {
  it.scoped("has a typed column for each field of an Effect Schema", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      class Nested extends Schema.Class<Nested>("Nested")({ a: Schema.Number }) {}
      class Analysis extends Schema.Class<Analysis>("Analysis")({
        summary: Schema.String,
        risk: Schema.Literal("low", "high"),
        count: Schema.Int,
        score: Schema.Number.pipe(Schema.between(0, 1)),
        isDone: Schema.Boolean,
        note: Schema.optional(Schema.NonEmptyString),
        parent: Schema.NullOr(Schema.String),
        files: Schema.Array(Schema.String),
        nested: Nested,
        nothing: Schema.NullOr(Nested),
        at: Schema.Date,
        either: Schema.Union(Schema.String, Schema.Number),
        any: Schema.Unknown,
      }) {}
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", [output("analysis", JSONSchema.make(Analysis) as unknown as JsonSchema)])
          yield* keep(storage, "r", "analysis", {
            ...{ summary: 'it\'s "fine"\0', risk: "low", count: 3, score: 0.5, isDone: true, parent: null, files: ["a", "b"] },
            ...{ nested: { a: 1 }, nothing: null, at: "2024-01-01T00:00:00.000Z", either: 7, any: null },
          })
        }),
      )
      expect(yield* columnsOf(filename, "analysis")).toEqual([
        ...["run_id TEXT NOT NULL", "node_id TEXT NOT NULL", "iteration INTEGER NOT NULL"],
        ...[
          "summary TEXT NOT NULL",
          "risk TEXT NOT NULL",
          "count INTEGER NOT NULL",
          "score REAL NOT NULL",
          "isDone INTEGER NOT NULL",
        ],
        ...["note TEXT", "parent TEXT", "files TEXT NOT NULL", "nested TEXT NOT NULL", "nothing TEXT", "at TEXT NOT NULL"],
        ...["either TEXT NOT NULL", "any TEXT", "smithers_exact TEXT", "smithers_inherited_from TEXT"],
      ])
      const row = yield* query(
        filename,
        `SELECT risk, count, score, isDone, note, parent, files ->> 1, nested ->> 'a', "nothing", either, "any", smithers_exact FROM analysis`,
      )
      expect(row).toEqual([["low", 3, 0.5, 1, null, null, "b", 1, null, "7", null, null]])
    }),
  )

  it.scoped("has a typed column for each field of a Zod schema", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const schema = z.object({
        a: z.string(),
        b: z.int(),
        c: z.enum(["x", "y"]).nullable(),
        d: z.boolean().optional(),
        e: z.literal(3),
      })
      yield* using({ filename }, (storage) => storage.prepareOutputs("flow", [output("zod", z.toJSONSchema(schema) as JsonSchema)]))
      expect((yield* columnsOf(filename, "zod")).slice(3, -2)).toEqual([
        ...["a TEXT NOT NULL", "b INTEGER NOT NULL", "c TEXT", "d INTEGER", "e REAL NOT NULL"],
      ])
    }),
  )

  it.scoped.each([
    ["text", text, "value TEXT", "x", ["x"]],
    ["an optional number", { type: ["number", "null"] }, "value REAL", null, [null]],
    ["a list", { type: "array", items: text }, "value TEXT", ["x"], ['["x"]']],
    ["no JSON Schema", undefined, "value TEXT", { a: 1 }, ['{"a":1}']],
    ["any object", { type: "object", additionalProperties: text }, "value TEXT", { a: "1" }, ['{"a":"1"}']],
    ["nothing", { $id: "/schemas/void" }, "value TEXT", undefined, [null]],
    [
      "too many fields",
      struct(Object.fromEntries(Array.from({ length: 501 }, (_, index) => [`f${index}`, {}]))),
      "value TEXT",
      {},
      ["{}"],
    ],
  ] as const)("has a single value for %s", ([, jsonSchema, column, value, stored]) =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", [output("t", jsonSchema)])
          yield* keep(storage, "r", "t", value)
        }),
      )
      expect((yield* columnsOf(filename, "t")).slice(3)).toEqual([column, "smithers_exact TEXT", "smithers_inherited_from TEXT"])
      expect(yield* query(filename, "SELECT value, smithers_exact FROM t")).toEqual([[...stored, null]])
    }),
  )

  it.scoped("shows as much as it can of what its columns cannot hold, and loses nothing", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const values: ReadonlyArray<Json> = [
        { a: "half \ud83d", b: 1 },
        { a: "x", b: -0 },
        { a: "x", b: 2 ** 64 },
        { a: "x", b: 1, extra: true },
        { a: null, b: "one" },
        ["x", 1],
      ]
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", [output("t", struct({ a: text, b: integer }))])
          for (const [index, value] of values.entries()) yield* keep(storage, `r${index}`, "t", value)
        }),
      )
      expect(yield* query(filename, "SELECT a, b, smithers_exact FROM t ORDER BY run_id")).toEqual([
        ["half \ufffd", 1, '{"a":"half \\ud83d","b":1}'],
        ["x", 0, '{"a":"x","b":-0}'],
        ["x", 0, '{"a":"x","b":18446744073709552000}'],
        ["x", 1, '{"a":"x","b":1,"extra":true}'],
        ["", 0, '{"a":null,"b":"one"}'],
        ["", 0, '["x",1]'],
      ])
    }),
  )

  it.scoped("takes any name, of its own and of its columns", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const names = ["a-b", "a.b", "A_B", "smithers_runs", "SQLITE_x", "1st", "", 'x"; DROP TABLE smithers_runs; --', "order"]
      const properties = [
        "a",
        "A",
        "a_2",
        "run_id",
        "Node_ID",
        "smithers_exact",
        "__proto__",
        'q"uote',
        "",
        "nul\0",
        "\ud800",
        "constructor",
      ]
      const jsonSchema = JSON.parse(
        `{"type":"object","required":[],"properties":{${properties.map((name) => `${JSON.stringify(name)}:{"type":"string"}`).join(",")}}}`,
      ) as JsonSchema
      const value = JSON.parse(
        `{${properties.map((name) => `${JSON.stringify(name)}:${JSON.stringify(`of ${name}`)}`).join(",")}}`,
      ) as Json
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs(
            "flow",
            names.map((name) => output(name, jsonSchema)),
          )
          for (const [index, name] of names.entries()) {
            yield* keep(storage, `full${index}`, name, value)
            yield* keep(storage, `empty${index}`, name, {})
          }
        }),
      )
      expect(
        yield* query(filename, "SELECT count(*) FROM \"order\" WHERE run_id LIKE 'empty%' AND smithers_exact IS NOT NULL"),
      ).toEqual([[0]])
      const tables = yield* query(filename, "SELECT name, table_name FROM smithers_outputs")
      expect(Object.fromEntries(tables)).toEqual({
        ...{ "a-b": "a_b", "a.b": "a_b_2", A_B: "A_B_3", smithers_runs: "_smithers_runs", SQLITE_x: "_SQLITE_x", "1st": "_1st" },
        ...{ "": "_", 'x"; DROP TABLE smithers_runs; --': "x___DROP_TABLE_smithers_runs____", order: "order" },
      })
      expect((yield* columnsOf(filename, "order")).slice(3).map((column) => column.replace(" TEXT", ""))).toEqual([
        ...[
          "a",
          "A_2",
          "a_2_2",
          "run_id_2",
          "Node_ID_2",
          "smithers_exact_2",
          "__proto__",
          'q"uote',
          "_",
          "nul_",
          "\ufffd",
          "constructor",
        ],
        "smithers_exact",
        "smithers_inherited_from",
      ])
    }),
  )
})

describe("steps with equal columns", () => {
  const steps = (count: number, jsonSchema: JsonSchema, first = 0) =>
    Array.from({ length: count }, (_, index) => output(`flow_s${first + index}`, jsonSchema, `s${first + index}`))

  it.scoped("share a table, of which each name shows its own rows", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const names = [
        ...steps(3, struct({ a: text })),
        output("flow_it's", struct({ a: text }), "it's"),
        output("flow_other", struct({ b: integer }), "other"),
      ]
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", names)
          const run = yield* journal("r")
          const texts = names.slice(0, 4).flatMap(({ name, nodeId = "" }) => step(nodeId, name, { a: nodeId }))
          yield* run.commit([started, ...texts, ...step("other", "flow_other", { b: 1 })])
          expectSame(yield* storage.load("r"), run.state())
        }),
      )
      expect(yield* query(filename, "SELECT type, name FROM sqlite_master WHERE name LIKE 'flow%' ORDER BY name")).toEqual([
        ["view", "flow_it_s"],
        ["table", "flow_other"],
        ["view", "flow_s0"],
        ["view", "flow_s1"],
        ["view", "flow_s2"],
        ["table", "flow_steps"],
      ])
      expect(yield* query(filename, "SELECT node_id, a FROM flow_s1")).toEqual([["s1", "s1"]])
      expect(yield* query(filename, "SELECT a FROM flow_it_s")).toEqual([["it's"]])
      expect(yield* query(filename, "SELECT count(*) FROM flow_steps")).toEqual([[4]])
    }),
  )

  it.scoped("that come later join the table of those before", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const schema = struct({ a: text })
      yield* using({ filename }, (storage) => storage.prepareOutputs("flow", steps(2, schema)))
      yield* using({ filename }, (storage) => storage.prepareOutputs("flow", steps(100, schema)))
      yield* using({ filename }, (storage) => storage.prepareOutputs("flow", steps(100, schema, 50)))
      expect(
        yield* query(filename, "SELECT type, count(*) FROM sqlite_master WHERE name LIKE 'flow%' GROUP BY type ORDER BY type"),
      ).toEqual([
        ["table", 1],
        ["view", 64],
      ])
      expect(yield* query(filename, "SELECT count(*) FROM smithers_outputs WHERE table_name = 'flow_steps'")).toEqual([[150]])
    }),
  )

  it.scoped("share as many tables as there are sets of columns", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) => storage.prepareOutputs("flow", steps(2, struct({ a: text }))))
      const others = [...steps(2, struct({ b: integer }), 2), ...steps(1, struct({ b: integer }), 4)]
      yield* using({ filename }, (storage) => storage.prepareOutputs("flow", others))
      expect(yield* query(filename, "SELECT name, table_name FROM smithers_outputs ORDER BY name")).toEqual([
        ...["flow_s0", "flow_s1"].map((name) => [name, "flow_steps"]),
        ...["flow_s2", "flow_s3", "flow_s4"].map((name) => [name, "flow_steps_2"]),
      ])
    }),
  )

  it.scoped("of another workflow have tables of their own", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("a", [output("a_b_c", struct({ x: text }), "b_c")])
          yield* storage.prepareOutputs("a_b", [output("a_b_c", struct({ x: integer }), "c")])
          const run = yield* journal("one", { ...History.newRun, workflow: "a" })
          yield* run.commit([...step("b_c", "a_b_c", { x: "text" })])
          const other = yield* journal("two", { ...History.newRun, workflow: "a_b" })
          yield* other.commit([...step("c", "a_b_c", { x: 1 })])
        }),
      )
      expect(yield* query(filename, "SELECT x FROM a_b_c")).toEqual([["text"]])
      expect(yield* query(filename, "SELECT x FROM a_b_c_2")).toEqual([[1]])
    }),
  )
})

describe("an output that several workflows name", () => {
  it.scoped("has one table where the columns are equal, and two where they are not", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("one", [output("analysis", struct({ a: text }))])
          yield* storage.prepareOutputs("two", [output("analysis", struct({ a: text }))])
          yield* storage.prepareOutputs("three", [output("analysis", struct({ a: integer }))])
        }),
      )
      expect(yield* query(filename, "SELECT workflow, table_name FROM smithers_outputs ORDER BY workflow")).toEqual([
        ["one", "analysis"],
        ["three", "analysis_2"],
        ["two", "analysis"],
      ])
    }),
  )
})

describe("an output that several nodes write", () => {
  const viewsOf = (filename: string) =>
    query(filename, "SELECT name FROM sqlite_master WHERE type = 'view' AND name NOT LIKE 'smithers%' ORDER BY name").pipe(
      Effect.map((rows) => rows.map(([name]) => name)),
    )
  const reports = (workflow: string, schema: JsonSchema, runId: string, value: Json) =>
    Effect.gen(function* () {
      const storage = yield* Storage
      yield* storage.prepareOutputs(workflow, [output("report", schema)])
      const run = yield* journal(runId, { ...History.newRun, workflow })
      yield* run.commit([{ ...started, workflow } as typeof started, ...step("a", "report", value)])
    })

  it.scoped.each([false, true])(
    "has a view by its workflow, whoever came first, before there is any row (reversed: %s)",
    (isReversed) =>
      Effect.gen(function* () {
        const filename = yield* newFile
        const both = [
          ["my flow", struct({ a: text })],
          ["other", struct({ b: integer })],
        ] as const
        yield* using({ filename }, (storage) =>
          Effect.forEach(isReversed ? both.toReversed() : both, ([workflow, schema]) =>
            storage.prepareOutputs(workflow, [output("report", schema)]),
          ),
        )
        expect(yield* viewsOf(filename)).toEqual(["my_flow_report", "other_report"])
        yield* using({ filename }, (storage) =>
          Effect.all([reports("my flow", both[0][1], "r1", { a: "x" }), reports("other", both[1][1], "r2", { b: 2 })]).pipe(
            Effect.provide(ports(storage)),
          ),
        )
        expect(yield* query(filename, "SELECT run_id, a FROM my_flow_report")).toEqual([["r1", "x"]])
        expect(yield* query(filename, "SELECT run_id, b FROM other_report")).toEqual([["r2", 2]])
        expect(yield* viewsOf(filename)).toEqual(["my_flow_report", "other_report"])
      }),
  )

  it.scoped(
    "shows in the view the rows of its own workflow alone, where workflows share a table, and the columns that it has gained",
    () =>
      Effect.gen(function* () {
        const filename = yield* newFile
        const schema = struct({ a: text })
        yield* using({ filename }, (storage) =>
          Effect.all([
            reports("one", schema, "r1", { a: "1" }),
            reports("two", schema, "r2", { a: "2" }),
            reports("one", struct({ a: text, b: integer }, ["a"]), "r3", { a: "3", b: 3 }),
          ]).pipe(Effect.provide(ports(storage))),
        )
        expect(yield* query(filename, "SELECT a FROM report ORDER BY a")).toEqual([["1"], ["2"], ["3"]])
        expect(yield* query(filename, "SELECT a, b FROM one_report ORDER BY a")).toEqual([
          ["1", null],
          ["3", 3],
        ])
        expect(yield* query(filename, "SELECT a FROM two_report")).toEqual([["2"]])
      }),
  )

  it.scoped(
    "has a view of another name where its own is taken, and a new one where its table was moved away or its view dropped",
    () =>
      Effect.gen(function* () {
        const filename = yield* newFile
        const schema = struct({ a: text })
        const report = (runId: string, value: string) =>
          using({ filename }, (storage) => Effect.provide(reports("one", schema, runId, { a: value }), ports(storage)))
        const change = (...statements: ReadonlyArray<string>) =>
          Effect.scoped(
            Effect.flatMap(rawConnection(filename), (database) =>
              Effect.sync(() => {
                for (const sql of statements) database.run(sql)
              }),
            ),
          )
        yield* change("CREATE TABLE one_report (mine TEXT)")
        yield* report("r1", "1")
        expect(yield* viewsOf(filename)).toEqual(["one_report_2"])
        yield* change("DROP VIEW one_report_2", "DROP TABLE one_report")
        yield* report("r2", "2")
        expect(yield* query(filename, "SELECT a FROM one_report ORDER BY a")).toEqual([["1"], ["2"]])
        yield* change("ALTER TABLE report RENAME TO report_old")
        yield* report("r3", "3")
        expect(yield* viewsOf(filename)).toEqual(["one_report"])
        expect(yield* query(filename, "SELECT a FROM one_report")).toEqual([["3"]])
      }),
  )
})

describe("a schema that changes", () => {
  const before = struct({ a: text, b: integer })

  it.scoped("by more fields, fields that may be absent and fields that are gone migrates by itself", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", [output("t", before)])
          yield* keep(storage, "r1", "t", { a: "one", b: 1 })
        }),
      )
      yield* query(filename, "CREATE INDEX mine ON t (b)")
      const changes: ReadonlyArray<readonly [JsonSchema, Json]> = [
        [struct({ a: text, b: integer, c: { type: "boolean" } }), { a: "two", b: 2, c: true }],
        [struct({ a: text, b: integer, c: { type: "boolean" } }, ["a"]), { a: "three" }],
        [struct({ a: { anyOf: [text, { type: "null" }] } }), { a: null }],
        [struct({ C: text }, []), { C: "five" }],
        [before, { a: "six", b: 6 }],
      ]
      for (const [index, [jsonSchema, value]] of changes.entries()) {
        yield* using({ filename }, (storage) =>
          Effect.gen(function* () {
            yield* storage.prepareOutputs("flow", [output("t", jsonSchema)])
            yield* keep(storage, `r${index + 2}`, "t", value)
            expect(plain(yield* storage.load("r1")).nodes["a/0"]).toMatchObject({ output: { a: "one", b: 1 } })
          }),
        )
      }
      expect((yield* columnsOf(filename, "t")).slice(3)).toEqual([
        ...["a TEXT", "b INTEGER", "c INTEGER", "smithers_exact TEXT", "smithers_inherited_from TEXT", "C_2 TEXT"],
      ])
      expect(yield* query(filename, "SELECT a, b, c, C_2, smithers_exact FROM t ORDER BY run_id")).toEqual([
        ["one", 1, null, null, null],
        ["two", 2, 1, null, null],
        ["three", null, null, null, null],
        [null, null, null, null, null],
        // Nothing there is what null stood for before.
        [null, null, null, "five", '{"C":"five"}'],
        ["six", 6, null, null, null],
      ])
      expect(
        yield* query(filename, "SELECT name FROM sqlite_master WHERE tbl_name = 't' AND type = 'index' AND sql IS NOT NULL"),
      ).toEqual([["mine"]])
    }),
  )

  it.scoped.each([
    ["the type of a field", struct({ a: text, b: text }), { column: "b", stored: "INTEGER", expected: "TEXT" }],
    ["a text to JSON", struct({ a: { type: "array" }, b: integer }), { column: "a", stored: "TEXT", expected: "TEXT (JSON)" }],
    ["fields to one value", text, { column: "value", stored: "columns a, b", expected: "a single value" }],
  ] as const)("in %s is refused, and nothing is changed", ([, jsonSchema, conflict]) =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", [output("t", before), output("u", before)])
          const schema = query(filename, "SELECT sql FROM sqlite_master")
          const sql = yield* schema
          const wanted = [output("u", struct({ a: text, b: integer, c: text })), output("t", jsonSchema), output("new", text)]
          const error = yield* Effect.flip(storage.prepareOutputs("flow", wanted))
          expect(error).toEqual(new IncompatibleTable({ table: "t", ...conflict }))
          expect(yield* schema).toEqual(sql)
          yield* keep(storage, "r", "t", { a: "still", b: 1 })
        }),
      )
    }),
  )

  it.scoped("in one of the steps that share a table changes it for all, whose rows stay", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const steps = (first: JsonSchema) => [output("flow_x", first, "x"), output("flow_y", before, "y")]
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", steps(before))
          const run = yield* journal("r")
          yield* run.commit([started, ...step("x", "flow_x", { a: "x", b: 1 }), ...step("y", "flow_y", { a: "y", b: 2 })])
          yield* storage.prepareOutputs("flow", steps(struct({ a: text, c: text }, ["a"])))
          expectSame(yield* storage.load("r"), run.state())
          const next = yield* journal("s")
          yield* next.commit([started, ...step("x", "flow_x", { a: "x", c: "new" }), ...step("y", "flow_y", { a: "y", b: 3 })])
          expectSame(yield* storage.load("s"), next.state())
        }),
      )
      expect(yield* query(filename, "SELECT run_id, a, b, c FROM flow_x ORDER BY run_id")).toEqual([
        ["r", "x", 1, null],
        ["s", "x", null, "new"],
      ])
      expect(yield* query(filename, "SELECT run_id, a, b FROM flow_y ORDER BY run_id")).toEqual([
        ["r", "y", 2],
        ["s", "y", 3],
      ])
    }),
  )

  it.scoped("while another step comes leaves both with the columns they need", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const wider = struct({ a: text, b: integer, c: text })
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", [output("flow_x", before, "x"), output("flow_y", before, "y")])
          yield* storage.prepareOutputs("flow", [output("flow_x", wider, "x"), output("flow_z", before, "z")])
          const run = yield* journal("r")
          yield* run.commit([started, ...step("x", "flow_x", { a: "x", b: 1, c: "new" }), ...step("z", "flow_z", { a: "z", b: 2 })])
          expectSame(yield* storage.load("r"), run.state())
        }),
      )
      expect(yield* query(filename, "SELECT a, c, smithers_exact FROM flow_x")).toEqual([["x", "new", null]])
      expect(yield* query(filename, "SELECT a, smithers_exact FROM flow_z")).toEqual([["z", null]])
    }),
  )

  it.scoped("in another process is seen by stores that are open", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (mine) =>
        Effect.gen(function* () {
          yield* mine.prepareOutputs("flow", [output("t", before)])
          yield* keep(mine, "r1", "t", { a: "one", b: 1 })
          yield* using({ filename }, (theirs) =>
            Effect.gen(function* () {
              yield* theirs.prepareOutputs("flow", [output("t", struct({ a: text, c: text }, ["a"]))])
              yield* keep(theirs, "r2", "t", { a: "two", c: "new" })
            }),
          )
          expect(plain(yield* mine.load("r2")).nodes["a/0"]).toMatchObject({ output: { a: "two", c: "new" } })
          yield* mine.prepareOutputs("flow", [output("t", before)])
          yield* keep(mine, "r3", "t", { a: "three", b: 3 })
        }),
      )
    }),
  )

  it.scoped("can go on in a new table once the old one was moved away", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", [output("t", before)])
          yield* keep(storage, "r1", "t", { a: "one", b: 1 })
        }),
      )
      yield* Effect.scoped(Effect.map(rawConnection(filename), (database) => database.run("ALTER TABLE t RENAME TO t_old")))
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          expect(plain(yield* storage.load("r1")).nodes["a/0"]).not.toHaveProperty("output")
          yield* storage.prepareOutputs("flow", [output("t", text)])
          yield* keep(storage, "r2", "t", "two")
        }),
      )
      expect(yield* query(filename, "SELECT value FROM t")).toEqual([["two"]])
      expect(yield* query(filename, "SELECT a FROM t_old")).toEqual([["one"]])
    }),
  )
})
