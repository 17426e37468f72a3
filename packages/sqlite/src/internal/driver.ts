/**
 * SQLite as built into the runtime: `bun:sqlite` in Bun, `node:sqlite` in Node. Loaded with the first database, so that programs
 * without one run on any runtime.
 *
 * The two differ in behaviour, which this module unifies. In Node, numbers are bound as reals, and integers beyond 2^53 are an
 * error. Texts end at NUL (before Node 24), error codes are numbers, and foreign keys are on. Bun's behaviour is the reference,
 * since it wrote the existing files.
 */
import { createRequire } from "node:module"
import type { SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite"
import { StoreUnsupported } from "@smithers/core/Errors"
import type { NamedRow, Query } from "@smithers/core/Transaction"
import type { Value } from "@smithers/sql/Value"
import * as Either from "effect/Either"
import { parametersIn } from "./statements.ts"

/** A prepared statement. A row is an array of columns in the order of the SELECT. */
export interface Statement<Row extends ReadonlyArray<Value> = never> {
  readonly run: (...values: ReadonlyArray<Value>) => { readonly changes: number }
  readonly values: (...values: ReadonlyArray<Value>) => ReadonlyArray<Row>
}

/** A user statement, finalized before its database closes. */
export interface UserStatement extends Query {
  readonly finalize: () => void
}

/** An open database. Errors it throws have a code by {@link codeOf}. */
export interface Database {
  readonly prepare: <Row extends ReadonlyArray<Value> = never>(sql: string) => Statement<Row>
  /** Prepares the first statement of a user's SQL. */
  readonly query: (sql: string) => UserStatement
  /** Returns the SQL that selects a text column in full. Some drivers cut text at NUL. */
  readonly whole: (column: string) => string
  /** Runs statements without parameters, once. */
  readonly execute: (sql: string) => void
  readonly isInTransaction: () => boolean
  /** Closes the database and its statements. */
  readonly close: () => void
}

/** An existing file, or `":memory:"`. */
export interface Location {
  readonly file: string
  /** Opens the file for reading, with a parameter of SQLite's URIs. */
  readonly readOnly?: "readonly_shm=1" | "immutable=1"
}

interface Driver {
  readonly open: (location: Location) => Database
  /** Returns the code of an SQLite error; `undefined` for any other. */
  readonly codeOf: (thrown: unknown) => string | undefined
}

/** First version of Node whose SQLite binds numbered parameters by position and returns rows as arrays. */
const leastNode = [22, 20] as const

const require = createRequire(import.meta.url)

const hasSqlite = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  return major > leastNode[0] || (major === leastNode[0] && minor >= leastNode[1])
}

/** Fails if this runtime has no suitable SQLite. */
export const check = (operation: string): Either.Either<void, StoreUnsupported> => {
  const { bun, node } = process.versions
  return bun !== undefined || hasSqlite(node)
    ? Either.void
    : Either.left(
        new StoreUnsupported({ operation, runtime: `Node ${node}`, needs: `Bun, or Node ${leastNode.join(".")} or later` }),
      )
}

const uriOf = (file: string, parameters: string): string => `file:${file.replaceAll(/[%?#]/g, encodeURIComponent)}?${parameters}`

/**
 * Checks that a statement of a user is given as many values as it takes. Node binds NULL for a missing one, and Bun does if none is given.
 */
const counting = (sql: string): (<A>(values: ReadonlyArray<A>) => ReadonlyArray<A>) => {
  const count = parametersIn(sql)
  return (values) => {
    if (values.length === count) return values
    throw new RangeError(`it takes ${count === 1 ? "1 value" : `${count} values`}, and is given ${values.length}`)
  }
}

interface BunStatement {
  readonly safeIntegers: (isSafe: boolean) => BunStatement
  readonly all: (...values: ReadonlyArray<unknown>) => ReadonlyArray<NamedRow>
  readonly values: (...values: ReadonlyArray<unknown>) => ReadonlyArray<ReadonlyArray<unknown>>
  readonly finalize: () => void
}

/** Prepares a statement when it is first used. A process uses few of the statements of a store, and preparing them all takes longer than a step. */
const whenUsed = <Row extends ReadonlyArray<Value>>(prepare: () => Statement<Row>): Statement<Row> => {
  let prepared: Statement<Row> | undefined
  return {
    run: (...values) => {
      prepared ??= prepare()
      return prepared.run(...values)
    },
    values: (...values) => {
      prepared ??= prepare()
      return prepared.values(...values)
    },
  }
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
      /** By their text: what is prepared at each use would otherwise be kept until the end, each time. */
      const prepared = new Map<string, ReturnType<typeof database.prepare>>()
      const statementOf = (sql: string): ReturnType<typeof database.prepare> => {
        const statement = prepared.get(sql) ?? database.prepare(sql)
        prepared.set(sql, statement)
        return statement
      }
      return {
        prepare: <Row extends ReadonlyArray<Value>>(sql: string): Statement<Row> =>
          // The driver's types have neither row types nor this restriction of values.
          whenUsed(() => statementOf(sql) as unknown as Statement<Row>),
        query: (sql) => {
          // The types lack the option for integers.
          const statement = database.prepare(sql) as unknown as BunStatement
          const counted = counting(sql)
          return {
            named: (values, isSafe) => statement.safeIntegers(isSafe).all(...counted(values)),
            listed: (values, isSafe) => statement.safeIntegers(isSafe).values(...counted(values)),
            finalize: () => statement.finalize(),
          }
        },
        whole: (column) => column,
        execute: (sql) => {
          database.run(sql)
        },
        isInTransaction: () => database.inTransaction,
        close: () => {
          for (const statement of prepared.values()) statement.finalize()
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
            // Same as Bun.
            values: (...values) => rows(values) as unknown as ReadonlyArray<Row>,
          }
        },
        query: (sql) => {
          const statement = database.prepare(sql)
          const counted = counting(sql)
          const rows = (values: ReadonlyArray<unknown>, isSafe: boolean, isListed: boolean) => {
            statement.setReturnArrays(isListed)
            const bound = counted(values).map(toNode)
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

/** Returns the rows of a statement. Integers beyond the precision of numbers are rounded. */
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

/** Converts a value for Node as Bun binds it: whole numbers as integers, for which Node needs a `bigint`. */
const toNode = (value: unknown): SQLInputValue => {
  if (typeof value === "number") return Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value) : value
  if (typeof value === "boolean") return BigInt(value)
  // Node rejects values that cannot be bound.
  return value === undefined ? null : (value as SQLInputValue)
}

/** Decodes the result of {@link Database.whole}. */
const toText = (value: unknown): unknown =>
  value instanceof Uint8Array ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(value) : value

/** Returns `true` for Node's error about an integer beyond the precision of numbers. */
const isBeyond = (thrown: unknown): boolean =>
  thrown instanceof RangeError && "code" in thrown && thrown.code === "ERR_OUT_OF_RANGE"

const isNodeError = (thrown: unknown): thrown is Error & { readonly errcode: number } =>
  thrown instanceof Error && "code" in thrown && thrown.code === "ERR_SQLITE_ERROR" && "errcode" in thrown

/** SQLite's result codes by number, from 1. */
const primary =
  "ERROR INTERNAL PERM ABORT BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT NOTFOUND FULL CANTOPEN PROTOCOL EMPTY SCHEMA TOOBIG CONSTRAINT MISMATCH MISUSE NOLFS AUTH FORMAT RANGE NOTADB".split(
    " ",
  )

/** Extended codes by the second byte of their number, from 1. */
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

/** Returns the name of a result code, such as `SQLITE_IOERR_WRITE`. */
export const nameOf = (code: number): string => {
  const name = primary[(code & 0xff) - 1]
  const detail = name === undefined ? undefined : extended[name]?.[(code >> 8) - 1]
  return ["SQLITE", name ?? code, ...(detail === undefined ? [] : [detail])].join("_")
}

let driver: Driver | undefined

/** Returns the driver of this process. */
const current = (): Driver => {
  driver ??= process.versions.bun === undefined ? makeNode() : makeBun()
  return driver
}

/** Opens a database. */
export const open = (location: Location): Database => current().open(location)

/** Returns the code of an SQLite error, such as `SQLITE_BUSY`; `undefined` for any other. */
export const codeOf = (thrown: unknown): string | undefined => driver?.codeOf(thrown)
