/**
 * The one connection of a store: a file that only its owner can read, a write-ahead log, and statements that are prepared once
 * and typed by the rows they give. Everything here is synchronous and throws what SQLite raises.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import type { Query } from "@smithers/core/Transaction"
import type { Value } from "@smithers/sql/Value"
import { realPath } from "../Location.ts"
import * as Driver from "./driver.ts"
import { busyTimeoutMs } from "./failures.ts"

/** How durable a commit is: `normal` survives the end of the process, `full` also that of the machine. */
export type Synchronous = "normal" | "full"

export interface Connection {
  /** The same for all connections to one database: its real path. A database in memory is of one connection. */
  readonly place: string
  /** The real path of the file; none of a database in memory. */
  readonly file: string | undefined
  /** Changes when another connection has committed to the file. */
  readonly dataVersion: () => number
  /** Prepares a statement for the life of the connection. */
  readonly prepare: <Row extends ReadonlyArray<Value> = never>(sql: string) => Driver.Statement<Row>
  /** Selects a column that holds text of users, which may hold NUL. */
  readonly whole: (column: string) => string
  /** Prepares the first statement in a text of users, of which there may be ever new ones: the last few are kept. */
  readonly query: (sql: string) => Query
  /** Makes a statement once. An `EXPLAIN` of one that writes would otherwise stay in the way of the commit. */
  readonly queryOnce: (sql: string) => Query
  /** Whether a transaction is open. Some failures end one, and so does what users can write: `INSERT OR ROLLBACK`. */
  readonly isInTransaction: () => boolean
  /** Runs statements without parameters, once. */
  readonly execute: (sql: string) => void
  /** Runs `body` in a write transaction; whatever is thrown undoes all of it. */
  readonly transact: (synchronous: Synchronous, body: () => void) => void
  /** Runs `body` on one snapshot. */
  readonly snapshot: <A>(body: () => A) => A
  /** Throws if it is closed. */
  readonly ensureOpen: () => void
  /** Throws if the name it was opened by leads to another file now, or to none. */
  readonly ensureThere: () => void
  /** Whether it reads a file as it stood, and that was written since: it then sees no news, or the half of it. */
  readonly isStale: () => boolean
  readonly close: () => void
}

/** Names a database that no other connection sees. */
export const memory = ":memory:"

/**
 * Pages in the write-ahead log after which they are moved into the database. SQLite's own 1000 would move the same few hot
 * pages, and wait for the disk, every few hundred frames at this page size; 2000 are 4 MB, which is also what a resumed process reads first.
 */
const checkpointPages = 2000

/** Statements of users that are kept prepared. */
const mostQueries = 100

/** Databases in memory so far. */
let made = 0

/** What a connection may do: make the file, write to one that is there, or only read it. */
export type Access = "create" | "write" | "read"

/** Opens a database file. Nothing is written into it yet. */
export const open = (filename: string, access: Access = "create"): Connection => {
  if (filename === memory)
    return connect(Driver.open({ file: memory }), {
      place: `${memory} ${++made}`,
      file: undefined,
      ensureThere: () => {},
      isStale: () => false,
    })
  const file = realPath(filename)
  reach(file, access)
  const ensureThere = watch(path.resolve(filename))
  if (access !== "read") return connect(Driver.open({ file }), { place: file, file, ensureThere, isStale: () => false })
  const { database, isStale } = openToRead(file)
  return connect(database, { place: file, file, ensureThere, isStale })
}

/**
 * Opens a database so that neither it nor its log is made or changed. Where this user could write, SQLite has to be able to: it makes the
 * files of the log for as long as a reader is there, and takes them away again. Elsewhere they would stay, and be in the way of their
 * owner; so what there is of a log is read, and where there is none the file is read as it stands.
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
    throw unreachable("ESTALE", now === undefined ? "the file is not there any more" : "another file is there now")
  }
}

const connect = (database: Driver.Database, state: Pick<Connection, "place" | "file" | "ensureThere" | "isStale">): Connection => {
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
    // Where a plain fsync leaves data in the cache of the disk, as on macOS; elsewhere these change nothing.
    execute(`PRAGMA fullfsync = ${wanted === "full"}`)
    execute(`PRAGMA checkpoint_fullfsync = ${wanted === "full"}`)
    synchronous = wanted
  }
  const dataVersion = prepare<[version: number]>("PRAGMA data_version")
  const [beginWrite, beginRead, commit] = [prepare("BEGIN IMMEDIATE"), prepare("BEGIN"), prepare("COMMIT")]
  let isClosed = false
  /** Whether a transaction is open, and the file was seen to be there in it. */
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
      // Some failures, such as a full disk, have undone the transaction already.
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
 * Size of a page in bytes, of a new database. A step touches a page in each of four tables, and all of them go into the log: with
 * SQLite's own 4096 a commit takes a fifth longer. Still smaller ones gain nothing, and cost large outputs.
 */
const pageSize = 2048

/** Gives the file a write-ahead log, so that readers and the writer do not wait for each other. */
export const configure = (connection: Connection): void => {
  connection.execute(`PRAGMA page_size = ${pageSize}`)
  connection.execute("PRAGMA journal_mode = WAL")
  connection.execute(`PRAGMA wal_autocheckpoint = ${checkpointPages}`)
}

/**
 * Makes the file with mode 600 before SQLite would make it readable for everyone; its log files take over the mode. What SQLite
 * would only call "unable to open database file", or not notice before the first write, is found here.
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
  if (!fs.statSync(file).isFile()) throw unreachable("EISDIR", "this is not a file")
  if (access === "read") {
    try {
      fs.accessSync(file, fs.constants.R_OK)
    } catch {
      throw unreachable("ENOTSUP", "this user may not read it")
    }
    return
  }
  fs.accessSync(file, fs.constants.R_OK | fs.constants.W_OK)
  fs.accessSync(folder, fs.constants.W_OK)
}

const unreachable = (code: string, message: string): Error => Object.assign(new Error(message), { code, syscall: "open" })
