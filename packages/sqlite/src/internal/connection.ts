/**
 * The connection of a store: a file that only its owner can read, with a write-ahead log, and prepared statements typed by their
 * rows. All functions are synchronous and throw the errors of SQLite.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import type { Query } from "@smithers/core/Transaction"
import type { Value } from "@smithers/sql/Value"
import { realPath } from "../Location.ts"
import * as Driver from "./driver.ts"
import { busyTimeoutMs } from "./failures.ts"

/** Durability of a commit: `normal` survives the end of the process, `full` also a power failure. */
export type Synchronous = "normal" | "full"

export interface Connection {
  /** Identity of the database, equal for all connections to it: its real path. A database in memory has one connection. */
  readonly storeId: string
  /** Real path of the file; `undefined` for a database in memory. */
  readonly file: string | undefined
  /** Returns a number that changes when another connection commits. */
  readonly dataVersion: () => number
  /** Prepares a statement for the lifetime of the connection. */
  readonly prepare: <Row extends ReadonlyArray<Value> = never>(sql: string) => Driver.Statement<Row>
  /** Returns the SQL that selects a column of user text, which may contain NUL. */
  readonly whole: (column: string) => string
  /** Prepares the first statement of a user's SQL. Only the most recent ones stay prepared. */
  readonly query: (sql: string) => Query
  /** Prepares a statement for a single use. An `EXPLAIN` of a write would otherwise block the commit. */
  readonly queryOnce: (sql: string) => Query
  /** Returns `true` in a transaction. Some failures end one, and so can user statements: `INSERT OR ROLLBACK`. */
  readonly isInTransaction: () => boolean
  /** Runs statements without parameters, once. */
  readonly execute: (sql: string) => void
  /** Runs `body` in a write transaction, which any thrown error rolls back. */
  readonly transact: (synchronous: Synchronous, body: () => void) => void
  /** Runs `body` on one snapshot. */
  readonly snapshot: <A>(body: () => A) => A
  /** Throws if the connection is closed. */
  readonly ensureOpen: () => void
  /** Throws if its name now leads to another file, or to none. */
  readonly ensureThere: () => void
  /** Returns `true` if an immutable file was written since it was opened, so that reads may be outdated or inconsistent. */
  readonly isStale: () => boolean
  readonly close: () => void
}

/** Name of a database in memory. */
export const memory = ":memory:"

/**
 * Number of pages in the write-ahead log that trigger a checkpoint. SQLite's default of 1000 would copy the same hot pages, and
 * wait for the disk, every hundred frames at this page size: a tenth of the time of a step. 4000 pages are 8 MB, which a resuming
 * process reads first, in 4 ms.
 */
const checkpointPages = 4000

/** Maximum number of prepared user statements. */
const mostQueries = 100

/** Number of databases in memory so far. */
let made = 0

/** Access of a connection: create the file, write to an existing one, or read only. */
export type Access = "create" | "write" | "read"

/** Opens a database file. Writes nothing yet. */
export const open = (filename: string, access: Access = "create"): Connection => {
  if (filename === memory)
    return connect(Driver.open({ file: memory }), {
      storeId: `${memory} ${++made}`,
      file: undefined,
      ensureThere: () => {},
      isStale: () => false,
    })
  const file = realPath(filename)
  reach(file, access)
  const ensureThere = watch(path.resolve(filename))
  if (access !== "read") return connect(Driver.open({ file }), { storeId: file, file, ensureThere, isStale: () => false })
  const { database, isStale } = openToRead(file)
  return connect(database, { storeId: file, file, ensureThere, isStale })
}

/**
 * Opens a database without creating or changing it or its log. If this user could write, SQLite must be able to: it creates the
 * files of the log while a reader is open, and removes them afterwards. Otherwise they would stay and block their owner, so an
 * existing log is read, and without one the file is read as immutable.
 */
const openToRead = (file: string): { readonly database: Driver.Database; readonly isStale: () => boolean } => {
  if (mayWrite(file) && mayWrite(path.dirname(file))) {
    const database = Driver.open({ file })
    database.execute("PRAGMA query_only = TRUE")
    return { database, isStale: () => false }
  }
  const log = `${file}-wal`
  if (fs.existsSync(log)) return { database: Driver.open({ file, readOnly: "readonly_shm=1" }), isStale: () => false }
  const stamp = stampOf(file)
  return { database: Driver.open({ file, readOnly: "immutable=1" }), isStale: () => fs.existsSync(log) || stampOf(file) !== stamp }
}

const mayWrite = (file: string): boolean => {
  try {
    fs.accessSync(file, fs.constants.W_OK)
    return true
  } catch {
    return false
  }
}

const stampOf = (file: string): string => {
  const { mtimeMs, size, ino } = fs.statSync(file)
  return `${ino} ${size} ${mtimeMs}`
}

/** Compares the file of a name with the one it leads to now. */
const watch = (name: string): (() => void) => {
  const before = fs.statSync(name)
  return () => {
    const now = fs.statSync(name, { throwIfNoEntry: false })
    if (now?.ino === before.ino && now.dev === before.dev) return
    throw unreachable("ESTALE", now === undefined ? "the file no longer exists" : "the file was replaced")
  }
}

const connect = (
  database: Driver.Database,
  state: Pick<Connection, "storeId" | "file" | "ensureThere" | "isStale">,
): Connection => {
  const { prepare, execute, whole, isInTransaction } = database
  execute(`PRAGMA busy_timeout = ${busyTimeoutMs}`)
  const once = <A>(sql: string, body: (statement: Query) => A): A => {
    const statement = database.query(sql)
    try {
      return body(statement)
    } finally {
      statement.finalize()
    }
  }
  const queryOnce = (sql: string): Query => ({
    named: (values, isSafe) => once(sql, (statement) => statement.named(values, isSafe)),
    listed: (values, isSafe) => once(sql, (statement) => statement.listed(values, isSafe)),
  })
  const queries = new Map<string, Driver.UserStatement>()
  const query = (sql: string): Query => {
    const known = queries.get(sql)
    if (known !== undefined) {
      queries.delete(sql)
      queries.set(sql, known)
      return known
    }
    const made = database.query(sql)
    queries.set(sql, made)
    const [oldest] = queries
    if (queries.size > mostQueries && oldest !== undefined) {
      queries.delete(oldest[0])
      oldest[1].finalize()
    }
    return made
  }
  let synchronous: Synchronous | undefined
  const synchronise = (wanted: Synchronous): void => {
    if (wanted === synchronous) return
    execute(`PRAGMA synchronous = ${wanted}`)
    // Needed where a plain fsync leaves data in the cache of the disk, as on macOS. No effect elsewhere.
    execute(`PRAGMA fullfsync = ${wanted === "full"}`)
    execute(`PRAGMA checkpoint_fullfsync = ${wanted === "full"}`)
    synchronous = wanted
  }
  const dataVersion = prepare<[version: number]>("PRAGMA data_version")
  const [beginWrite, beginRead, commit] = [prepare("BEGIN IMMEDIATE"), prepare("BEGIN"), prepare("COMMIT")]
  let isClosed = false
  /** `true` in a transaction, and once the file was verified in it. */
  let [isWithin, isThere] = [false, false]
  const ensureOpen = (): void => {
    if (isClosed) throw unreachable("EBADF", "the store is closed")
  }
  const within = <A>(begin: Driver.Statement, body: () => A): A => {
    begin.run()
    isWithin = true
    try {
      const result = body()
      commit.run()
      return result
    } catch (thrown) {
      // Some failures, such as a full disk, have already rolled back.
      if (isInTransaction()) execute("ROLLBACK")
      throw thrown
    } finally {
      isWithin = false
      isThere = false
    }
  }
  return {
    prepare,
    query,
    queryOnce,
    whole,
    isInTransaction,
    execute,
    transact: (wanted, body) => {
      ensureOpen()
      synchronise(wanted)
      within(beginWrite, body)
    },
    snapshot: (body) => {
      ensureOpen()
      return within(beginRead, body)
    },
    ensureOpen,
    dataVersion: () => dataVersion.values()[0]?.[0] ?? 0,
    ...state,
    ensureThere: () => {
      // Many runs may end in one transaction.
      if (isThere) return
      state.ensureThere()
      isThere = isWithin
    },
    close: () => {
      isClosed = true
      for (const statement of queries.values()) statement.finalize()
      database.close()
    },
  }
}

/**
 * Page size of a new database, in bytes. A step changes a page in each of four tables, and all of them go to the log: with SQLite's
 * default of 4096 a commit takes 20 % longer. Smaller pages gain nothing and slow down large outputs.
 */
const pageSize = 2048

/** Enables the write-ahead log, so that readers and the writer do not block each other. */
export const configure = (connection: Connection): void => {
  connection.execute(`PRAGMA page_size = ${pageSize}`)
  connection.execute("PRAGMA journal_mode = WAL")
  connection.execute(`PRAGMA wal_autocheckpoint = ${checkpointPages}`)
}

/**
 * Creates the file with mode 600, since SQLite would make it readable for everyone; its log files inherit the mode. Reports
 * problems that SQLite only calls "unable to open database file", or detects at the first write.
 */
const reach = (file: string, access: Access): void => {
  const folder = path.dirname(file)
  if (!fs.existsSync(folder)) throw unreachable("ENOENT", `the folder ${folder} does not exist`)
  if (access === "create") {
    try {
      fs.closeSync(fs.openSync(file, "wx", 0o600))
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown
    }
  }
  if (!fs.statSync(file).isFile()) throw unreachable("EISDIR", "this is not a regular file")
  if (access === "read") {
    try {
      fs.accessSync(file, fs.constants.R_OK)
    } catch {
      throw unreachable("ENOTSUP", "this user has no permission to read it")
    }
    return
  }
  fs.accessSync(file, fs.constants.R_OK | fs.constants.W_OK)
  fs.accessSync(folder, fs.constants.W_OK)
}

const unreachable = (code: string, message: string): Error => Object.assign(new Error(message), { code, syscall: "open" })
