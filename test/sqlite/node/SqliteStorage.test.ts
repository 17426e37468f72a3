/**
 * The store in Node, through `node:sqlite`: `bun run test:package` runs this file by a Node that has it. In Bun `test/sqlite` tests the same.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { describe, expect, it } from "@effect/vitest"
import { Storage } from "@smithers/core/Storage"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Connection from "../../../packages/sqlite/src/internal/connection.ts"
import * as Driver from "../../../packages/sqlite/src/internal/driver.ts"
import * as History from "../../contract/History.ts"
import { suite } from "../../contract/Storage.ts"

const newFile = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "smithers-node-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true })),
  ),
  (folder) => path.join(folder, "smithers.db"),
)

const open = (filename: string, access?: Connection.Access) =>
  Effect.acquireRelease(
    Effect.sync(() => Connection.open(filename, access)),
    (connection) => Effect.sync(connection.close),
  )

const raw = (filename: string) =>
  Effect.acquireRelease(
    Effect.sync(() => new DatabaseSync(filename)),
    (database) => Effect.sync(() => database.close()),
  )

const codeOf = (call: () => unknown): string | undefined => {
  try {
    call()
  } catch (thrown) {
    return Driver.codeOf(thrown)
  }
  return undefined
}

suite("a SQLite file in Node", Layer.unwrapScoped(Effect.map(newFile, (filename) => SqliteStorage.layer({ filename }))))
suite("SQLite in memory in Node", SqliteStorage.layer({ filename: ":memory:" }))

describe("the driver of Node", () => {
  it("is what this process uses", () => expect(process.versions.bun).toBeUndefined())

  it.scoped("binds whole numbers as integers and reads those beyond 2^53 as the nearest number, as Bun does", () =>
    Effect.gen(function* () {
      const { prepare } = yield* open(yield* newFile)
      expect(prepare("SELECT typeof(?), typeof(?), typeof(?), json_array(?)").values(1, 1.5, -0, 7)).toEqual([
        ["integer", "real", "real", "[7]"],
      ])
      const select = prepare("SELECT 9007199254740993, 'a', ?")
      expect(select.values(1)).toEqual([[2 ** 53, "a", 1]])
      expect(prepare("SELECT ?2, ?1, ?2").values("a", "b")).toEqual([["b", "a", "b"]])
      expect(prepare("SELECT 1 AS a, 2 AS a").values()).toEqual([[1, 2]])
    }),
  )

  it.scoped("reads text whole that holds NUL and begins with a mark of byte order", () =>
    Effect.gen(function* () {
      const { execute, prepare, whole } = yield* open(yield* newFile)
      execute("CREATE TABLE t (a TEXT) STRICT")
      prepare("INSERT INTO t VALUES (?)").run("\ufeffa\0b")
      expect(prepare(`SELECT ${whole("a")} FROM t`).values()).toEqual([["\ufeffa\0b"]])
    }),
  )

  it.scoped("gives the rows of users' statements by name or as lists, with integers as they are asked for", () =>
    Effect.gen(function* () {
      const { query } = yield* open(yield* newFile)
      const statement = query("SELECT 9007199254740993 AS big, ? AS flag, ? AS none, typeof(?) AS kind")
      const values = [true, undefined, 1]
      expect(statement.named(values, false)).toStrictEqual([{ big: 2 ** 53, flag: 1, none: null, kind: "integer" }])
      expect(statement.named(values, true)).toStrictEqual([{ big: 2n ** 53n + 1n, flag: 1n, none: null, kind: "integer" }])
      expect(statement.listed(values, false)).toStrictEqual([[2 ** 53, 1, null, "integer"]])
      expect(query("SELECT x'0061' AS bytes").named([], false)).toEqual([{ bytes: new Uint8Array([0, 97]) }])
    }),
  )

  it.scoped("refuses a statement of users that is given fewer or more values than it takes, and binds NULL for none of them", () =>
    Effect.gen(function* () {
      const { query } = yield* open(yield* newFile)
      for (const [sql, values, problem] of [
        ["SELECT ?, ?", [1], "it takes 2 values, and is given 1"],
        ["SELECT ?, ?", [], "it takes 2 values, and is given 0"],
        ["SELECT ?", [1, 2], "it takes 1 value, and is given 2"],
        ["SELECT ?2", [1], "it takes 2 values, and is given 1"],
      ] as const) {
        expect(() => query(sql).named(values, false)).toThrow(problem)
        expect(() => query(sql).listed(values, true)).toThrow(problem)
      }
      expect(query("SELECT '?', \"?\" AS b, ? AS c -- ?").listed(["a"], false)).toEqual([["?", "?", "a"]])
    }),
  )

  it.scoped("names what SQLite refuses by SQLite's codes", () =>
    Effect.gen(function* () {
      const { execute, prepare } = yield* open(yield* newFile)
      execute("CREATE TABLE t (a TEXT PRIMARY KEY, b INTEGER NOT NULL CHECK (b > 0)) STRICT")
      const insert = prepare("INSERT INTO t VALUES (?, ?)")
      insert.run("a", 1)
      expect(
        [["a", 1] as const, ["b", 0] as const, ["b", "x"] as const, ["b", null] as const].map((row) =>
          codeOf(() => insert.run(...row)),
        ),
      ).toEqual(["PRIMARYKEY", "CHECK", "DATATYPE", "NOTNULL"].map((name) => `SQLITE_CONSTRAINT_${name}`))
      expect(codeOf(() => execute("SELEC 1"))).toBe("SQLITE_ERROR")
      expect([5, 517, 261, 778, 1032, 26, 999].map(Driver.nameOf)).toEqual([
        "SQLITE_BUSY",
        "SQLITE_BUSY_SNAPSHOT",
        "SQLITE_BUSY_RECOVERY",
        "SQLITE_IOERR_WRITE",
        "SQLITE_READONLY_DBMOVED",
        "SQLITE_NOTADB",
        "SQLITE_999",
      ])
    }),
  )

  it.scoped("undoes all of a transaction that throws, also after its statements have failed", () =>
    Effect.gen(function* () {
      const connection = yield* open(yield* newFile)
      connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY) STRICT")
      const insert = connection.prepare("INSERT INTO t VALUES (?)")
      const body = () => {
        insert.run(1)
        insert.run(1)
      }
      expect(codeOf(() => connection.transact("normal", body))).toBe("SQLITE_CONSTRAINT_PRIMARYKEY")
      connection.transact("full", () => insert.run(2))
      expect(connection.snapshot(() => connection.prepare("SELECT a FROM t").values())).toEqual([[2]])
    }),
  )

  it.scoped("notices what another connection has committed", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const [connection, other] = [yield* open(filename), yield* raw(filename)]
      const before = connection.dataVersion()
      expect(connection.dataVersion()).toBe(before)
      other.exec("CREATE TABLE t (a)")
      expect(connection.dataVersion()).not.toBe(before)
    }),
  )

  it.live("waits for a database that another connection has locked, and fails with StoreBusy when it stays locked", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const filename = yield* newFile
        const storage = yield* SqliteStorage.make({ filename, busyTimeout: "300 millis" })
        const other = yield* raw(filename)
        other.exec("BEGIN IMMEDIATE")
        const prepare = storage.prepareOutputs("flow", History.tables)
        expect(yield* Effect.flip(prepare)).toMatchObject({ _tag: "StoreBusy", operation: "prepareOutputs" })
        setTimeout(() => other.exec("COMMIT"), 100)
        yield* prepare
      }),
    ),
  )

  it.scoped("opens a file to be read without changing it, and refuses to write it", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* Effect.provide(Storage, SqliteStorage.layer({ filename }))
      const connection = yield* open(filename, "read")
      expect(connection.prepare("SELECT count(*) FROM smithers_runs").values()).toEqual([[0]])
      expect(codeOf(() => connection.execute("DELETE FROM smithers_runs"))).toBe("SQLITE_READONLY")
    }),
  )

  it.scoped("tells a file that is no database", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      fs.writeFileSync(filename, "this is no database, but long enough to be read as one".repeat(20))
      expect(yield* Effect.flip(SqliteStorage.make({ filename }))).toMatchObject({ _tag: "StoreCorrupt" })
    }),
  )
})
