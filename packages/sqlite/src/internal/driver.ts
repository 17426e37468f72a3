/**
 * SQLite as the runtime has it built in: `bun:sqlite` in Bun, `node:sqlite` in Node. Loaded with the first database, so that programs
 * without one run where there is neither.
 *
 * The two differ in more than names; here they are made to agree. In Node a number is bound as a real, and one beyond 2^53 is an error to
 * read; texts end at NUL (before Node 24); errors have numbers for codes; foreign keys are on. Bun's way is the way of both, since it writes the files that are there.
 */
import { createRequire } from "node:module"
import type { SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite"
import { StoreUnsupported } from "@smithers/core/Errors"
import type { NamedRow, Query } from "@smithers/core/Transaction"
import type { Value } from "@smithers/sql/Value"
import * as Either from "effect/Either"

/** A prepared statement. A row is an array: the columns in the order of the SELECT. */
export interface Statement<Row extends ReadonlyArray<Value> = never> {
  readonly run: (...values: ReadonlyArray<Value>) => { readonly changes: number }
  readonly values: (...values: ReadonlyArray<Value>) => ReadonlyArray<Row>
}

/** A statement of users that is let go before its database. */
export interface UserStatement extends Query {
  readonly finalize: () => void
}

/** An open database. What it throws has a code by {@link codeOf}. */
export interface Database {
  readonly prepare: <Row extends ReadonlyArray<Value> = never>(sql: string) => Statement<Row>
  /** Prepares the first statement in a text of users. */
  readonly query: (sql: string) => UserStatement
  /** Selects a column of text whole: some drivers cut it off at NUL. */
  readonly whole: (column: string) => string
  /** Runs statements without parameters, once. */
  readonly execute: (sql: string) => void
  readonly isInTransaction: () => boolean
  /** Closes it, with its statements. */
  readonly close: () => void
}

/** A file that is there, or `":memory:"`. */
export interface Location {
  readonly file: string
  /** Opens the file to read only, with a parameter of SQLite's URIs. */
  readonly readOnly?: "readonly_shm=1" | "immutable=1"
}

interface Driver {
  readonly open: (location: Location) => Database
  /** The code of an error that SQLite raised; `undefined` for any other. */
  readonly codeOf: (thrown: unknown) => string | undefined
}

/** The first Node whose SQLite binds numbered parameters by position and gives rows as arrays. */
const leastNode = [22, 20] as const

const require = createRequire(import.meta.url)

const hasSqlite = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  return major > leastNode[0] || (major === leastNode[0] && minor >= leastNode[1])
}

/** Fails where this runtime has no SQLite that a store can be kept in. */
export const check = (operation: string): Either.Either<void, StoreUnsupported> => {
  const { bun, node } = process.versions
  return bun !== undefined || hasSqlite(node)
    ? Either.void
    : Either.left(
        new StoreUnsupported({ operation, runtime: `Node ${node}`, needs: `Bun, or Node ${leastNode.join(".")} or later` }),
      )
}

const uriOf = (file: string, parameters: string): string => `file:${file.replaceAll(/[%?#]/g, encodeURIComponent)}?${parameters}`

interface BunStatement {
  readonly safeIntegers: (isSafe: boolean) => BunStatement
  readonly all: (...values: ReadonlyArray<unknown>) => ReadonlyArray<NamedRow>
  readonly values: (...values: ReadonlyArray<unknown>) => ReadonlyArray<ReadonlyArray<unknown>>
  readonly finalize: () => void
}

const makeBun = (): Driver => {
  const { Database, SQLiteError, constants }: typeof import("bun:sqlite") = require("bun:sqlite")
  const connect = ({ file, readOnly }: Location) => {
    if (file === ":memory:") return new Database(file)
    return readOnly === undefined
      ? new Database(file, { readwrite: true, create: false })
      : new Database(uriOf(file, readOnly), constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI)
  }
  return {
    open: (location) => {
      const database = connect(location)
      const prepared: Array<{ readonly finalize: () => void }> = []
      return {
        prepare: <Row extends ReadonlyArray<Value>>(sql: string): Statement<Row> => {
          const statement = database.prepare(sql)
          prepared.push(statement)
          // The driver's types know neither the rows of a statement nor that no other values are asked for here.
          return statement as unknown as Statement<Row>
        },
        query: (sql) => {
          // The types do not have what decides on the form of integers.
          const statement = database.prepare(sql) as unknown as BunStatement
          return {
            named: (values, isSafe) => statement.safeIntegers(isSafe).all(...values),
            listed: (values, isSafe) => statement.safeIntegers(isSafe).values(...values),
            finalize: () => statement.finalize(),
          }
        },
        whole: (column) => column,
        execute: (sql) => {
          database.run(sql)
        },
        isInTransaction: () => database.inTransaction,
        close: () => {
          for (const statement of prepared) statement.finalize()
          database.close()
        },
      }
    },
    codeOf: (thrown) => (thrown instanceof SQLiteError ? (thrown.code ?? "") : undefined),
  }
}

const makeNode = (): Driver => {
  const { DatabaseSync }: typeof import("node:sqlite") = require("node:sqlite")
  const locate = ({ file, readOnly }: Location): string => {
    if (file === ":memory:") return file
    return readOnly === undefined ? uriOf(file, "mode=rw") : uriOf(file, `mode=ro&${readOnly}`)
  }
  const probe = new DatabaseSync(":memory:")
  const cutsText = probe.prepare("SELECT char(0) AS text").get()?.text !== "\0"
  probe.close()
  return {
    open: (location) => {
      const database = new DatabaseSync(locate(location), {
        enableForeignKeyConstraints: false,
        enableDoubleQuotedStringLiterals: true,
      })
      return {
        prepare: <Row extends ReadonlyArray<Value>>(sql: string): Statement<Row> => {
          const statement = database.prepare(sql)
          statement.setReturnArrays(true)
          const rows = (values: ReadonlyArray<Value>) => {
            const found = allOf(statement, values.map(toNode))
            return cutsText ? found.map((row) => Object.values(row).map(toText)) : found
          }
          return {
            run: (...values) => ({ changes: Number(statement.run(...values.map(toNode)).changes) }),
            // As in Bun.
            values: (...values) => rows(values) as unknown as ReadonlyArray<Row>,
          }
        },
        query: (sql) => {
          const statement = database.prepare(sql)
          const rows = (values: ReadonlyArray<unknown>, isSafe: boolean, isListed: boolean) => {
            statement.setReturnArrays(isListed)
            const bound = values.map(toNode)
            if (!isSafe) return allOf(statement, bound)
            statement.setReadBigInts(true)
            try {
              return statement.all(...bound)
            } finally {
              statement.setReadBigInts(false)
            }
          }
          return {
            named: (values, isSafe) => rows(values, isSafe, false).map((row) => ({ ...row })),
            listed: (values, isSafe) => rows(values, isSafe, true).map((row) => Object.values(row)),
            finalize: () => {},
          }
        },
        whole: (column) =>
          cutsText ? `CASE WHEN instr(${column}, char(0)) THEN CAST(${column} AS BLOB) ELSE ${column} END` : column,
        execute: (sql) => database.exec(sql),
        isInTransaction: () => database.isTransaction,
        close: () => database.close(),
      }
    },
    codeOf: (thrown) => (isNodeError(thrown) ? nameOf(thrown.errcode) : undefined),
  }
}

type Row = Readonly<Record<string, SQLOutputValue>>

/** The rows of a statement, with the nearest numbers for integers that numbers cannot hold. */
const allOf = (statement: StatementSync, values: ReadonlyArray<SQLInputValue>): ReadonlyArray<Row> => {
  try {
    return statement.all(...values)
  } catch (thrown) {
    if (!isBeyond(thrown)) throw thrown
  }
  statement.setReadBigInts(true)
  try {
    return statement.all(...values).map((row) => {
      for (const [column, value] of Object.entries(row)) if (typeof value === "bigint") row[column] = Number(value)
      return row
    })
  } finally {
    statement.setReadBigInts(false)
  }
}

/** Binds a value as Bun does: what is whole as an integer, for which Node wants a `bigint`. */
const toNode = (value: unknown): SQLInputValue => {
  if (typeof value === "number") return Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value) : value
  if (typeof value === "boolean") return BigInt(value)
  // Node refuses what cannot be bound.
  return value === undefined ? null : (value as SQLInputValue)
}

/** The text of {@link Database.whole}. */
const toText = (value: unknown): unknown =>
  value instanceof Uint8Array ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(value) : value

/** Whether Node refused to read an integer that a number holds only nearly. */
const isBeyond = (thrown: unknown): boolean =>
  thrown instanceof RangeError && "code" in thrown && thrown.code === "ERR_OUT_OF_RANGE"

const isNodeError = (thrown: unknown): thrown is Error & { readonly errcode: number } =>
  thrown instanceof Error && "code" in thrown && thrown.code === "ERR_SQLITE_ERROR" && "errcode" in thrown

/** The result codes of SQLite by their numbers, from 1. */
const primary =
  "ERROR INTERNAL PERM ABORT BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT NOTFOUND FULL CANTOPEN PROTOCOL EMPTY SCHEMA TOOBIG CONSTRAINT MISMATCH MISUSE NOLFS AUTH FORMAT RANGE NOTADB".split(
    " ",
  )

/** Extended codes by the second byte of their numbers, from 1. */
const extended: { readonly [code: string]: ReadonlyArray<string> } = {
  BUSY: "RECOVERY SNAPSHOT TIMEOUT".split(" "),
  LOCKED: "SHAREDCACHE VTAB".split(" "),
  READONLY: "RECOVERY CANTLOCK ROLLBACK DBMOVED CANTINIT DIRECTORY".split(" "),
  CANTOPEN: "NOTEMPDIR ISDIR FULLPATH CONVPATH DIRTYWAL SYMLINK".split(" "),
  CORRUPT: "VTAB SEQUENCE INDEX".split(" "),
  CONSTRAINT: "CHECK COMMITHOOK FOREIGNKEY FUNCTION NOTNULL PRIMARYKEY TRIGGER UNIQUE VTAB ROWID PINNED DATATYPE".split(" "),
  IOERR:
    "READ SHORT_READ WRITE FSYNC DIR_FSYNC TRUNCATE FSTAT UNLOCK RDLOCK DELETE BLOCKED NOMEM ACCESS CHECKRESERVEDLOCK LOCK CLOSE DIR_CLOSE SHMOPEN SHMSIZE SHMLOCK SHMMAP SEEK DELETE_NOENT MMAP GETTEMPPATH CONVPATH VNODE AUTH BEGIN_ATOMIC COMMIT_ATOMIC ROLLBACK_ATOMIC DATA CORRUPTFS IN_PAGE".split(
      " ",
    ),
}

/** The name of a result code, such as `SQLITE_IOERR_WRITE`. */
export const nameOf = (code: number): string => {
  const name = primary[(code & 0xff) - 1]
  const detail = name === undefined ? undefined : extended[name]?.[(code >> 8) - 1]
  return ["SQLITE", name ?? code, ...(detail === undefined ? [] : [detail])].join("_")
}

let driver: Driver | undefined

/** That of this process. */
const current = (): Driver => {
  driver ??= process.versions.bun === undefined ? makeNode() : makeBun()
  return driver
}

/** Opens a database. */
export const open = (location: Location): Database => current().open(location)

/** The code of an error that SQLite raised, such as `SQLITE_BUSY`; `undefined` for any other. */
export const codeOf = (thrown: unknown): string | undefined => driver?.codeOf(thrown)
