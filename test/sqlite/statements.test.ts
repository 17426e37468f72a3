/**
 * What a text of SQL is taken for, held against what SQLite makes of it.
 */
import { Database } from "bun:sqlite"
import { describe, expect, it } from "vitest"
import * as Statements from "../../packages/sqlite/src/internal/statements.ts"

const refusal = (sql: string, access: "read" | "write" = "write") => {
  const read = Statements.read(sql, access)
  return typeof read === "string" ? read : undefined
}

/** What may stand before a statement and between its words. */
const spaces = [" ", "\n\t", "/* COMMIT; */", "-- it's; BEGIN\n", "/**/", "\uFEFF", '/* \'" -- */ -- "\n ']

describe("a text of SQL", () => {
  it("that ends or begins a transaction, or is about the connection, is refused, whatever stands before it", () => {
    const words = ["COMMIT", "end", "RollBack", "BEGIN IMMEDIATE", "SAVEPOINT a", "RELEASE a", "ROLLBACK TO a"]
    const others = [
      "PRAGMA foreign_keys = ON",
      "ATTACH ':memory:' AS m",
      "DETACH m",
      "VACUUM",
      "VACUUM INTO 'x'",
      "REINDEX",
      "ANALYZE",
    ]
    for (const text of [...words, ...others])
      for (const space of spaces) {
        expect([text, refusal(`${space}${text}${space};`)]).toEqual([text, expect.stringContaining(" is refused: ")])
        expect([text, refusal(`SELECT 1;${space}${text}`)]).toEqual([text, expect.stringContaining("several statements")])
        expect([text, refusal(`SELECT ';' ${space};;${space}${text}`)]).toEqual([
          text,
          expect.stringContaining("several statements"),
        ])
      }
    expect(refusal("COMMIT")).toContain("withTransaction")
  })

  it("with semicolons that end no statement is one, as SQLite has it", () => {
    const trigger = "CREATE TRIGGER t AFTER INSERT ON a WHEN 1 BEGIN SELECT CASE WHEN 1 THEN 2 END; DELETE FROM a; END"
    const one = [
      'SELECT \';\', ";", `;`, [;] -- ;\n FROM (SELECT 1 AS ";", 2 AS [;])',
      "INSERT INTO a VALUES ('it''s; COMMIT') ; ; ",
      `${trigger};`,
      trigger,
      "/* ; */ SELECT 1 -- ;",
    ]
    for (const sql of one) expect([sql, refusal(sql)]).toEqual([sql, undefined])
    const database = new Database(":memory:")
    database.run("CREATE TABLE a (b)")
    // As one statement, SQLite takes all of it.
    for (const [index, sql] of one.slice(1).entries()) database.prepare(sql.replace("TRIGGER t", `TRIGGER t${index}`)).run()
    expect(database.query("SELECT count(*) AS n FROM sqlite_master WHERE type = 'trigger'").get()).toEqual({ n: 2 })
    database.close()
    for (const more of ["; DROP TABLE a", "; END; DROP TABLE a"])
      expect(refusal(`${trigger}${more}`)).toContain("several statements")
  })

  it("without a statement, or with what SQLite would not read, is refused", () => {
    for (const sql of ["", " ", "-- x", "/* x", ";;"]) expect(refusal(sql)).toBe("it contains no statement")
    expect(refusal("SELECT 1\0; COMMIT")).toContain("NUL")
  })

  it("reads where it may only read, and makes nothing temporary", () => {
    for (const sql of ["SELECT 1", "values (1)", "WITH a AS (SELECT 1) SELECT * FROM a", "EXPLAIN QUERY PLAN SELECT 1"])
      expect([refusal(sql, "read"), refusal(sql)]).toEqual([undefined, undefined])
    for (const sql of [
      "INSERT INTO a VALUES (1)",
      "REPLACE INTO a VALUES (1)",
      "UPDATE a SET b = 1",
      "DELETE FROM a",
      "CREATE TABLE b (c)",
      "ALTER TABLE a ADD c",
      "DROP TABLE a",
    ])
      expect([refusal(sql, "read"), refusal(sql)]).toEqual([expect.stringContaining("only reads"), undefined])
    for (const sql of [
      "CREATE TEMP TABLE a (b)",
      "create /* */ temporary view a AS SELECT 1",
      'CREATE TABLE "temp".a (b)',
      "CREATE TABLE temp . a (b)",
      "DROP TABLE [TEMP].a",
    ])
      expect([sql, refusal(sql)]).toEqual([sql, expect.stringContaining("temporary")])
    expect(refusal("CREATE TABLE a (temp)")).toBe(undefined)
  })

  it("tells the names in it, however they are quoted", () => {
    const names = (sql: string) => {
      const read = Statements.read(sql, "write")
      return typeof read === "string" ? read : [...read.names].filter((name) => name.includes("smithers"))
    }
    for (const name of [
      "Smithers_Runs",
      '"smithers_runs"',
      "[smithers_runs]",
      "`smithers_runs`",
      "'smithers_runs'",
      "main.smithers_runs",
    ])
      expect([name, names(`DROP TABLE ${name}`)]).toEqual([name, ["smithers_runs"]])
    expect(names("DROP TABLE /* smithers_runs */ a -- smithers_runs")).toEqual([])
  })

  it("takes as many values as SQLite counts parameters in it", () => {
    const database = new Database(":memory:")
    database.run("CREATE TABLE t (a, b)")
    const texts = [
      "SELECT 1",
      "SELECT ?, ?",
      "SELECT ?3, ?, ?1",
      "SELECT ?1, ?1",
      "SELECT :a, :a, @a, $a, ?",
      'SELECT \'?\', "b?" FROM (SELECT 1 AS "b?") -- ?\n WHERE /* ? */ 1 = ?',
      "SELECT a FROM t WHERE a IN (?, ?) AND b ->> '$.x' = ? LIMIT ?",
      "INSERT INTO t VALUES (?, json_extract(?, '$.a'))",
      "SELECT [a?], `b?` FROM (SELECT 1 AS [a?], 2 AS `b?`) WHERE 2 = ?",
      "SELECT x'3f', 1e5, ? || '?'",
    ]
    for (const text of texts) expect([text, Statements.parametersIn(text)]).toEqual([text, database.prepare(text).paramsCount])
    database.close()
  })
})
