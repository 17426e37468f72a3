/**
 * Runs transactions of steps on the connection of the engine: user statements, between a check that the attempt may still write and
 * a row that records it. Each statement is analysed before it runs. `bun:sqlite` has no authorizer, so SQLite's compiled program is
 * read.
 */
import { RunFenced } from "@smithers/core/Errors"
import * as Transaction from "@smithers/core/Transaction"
import { readOptional, writeOptional } from "@smithers/sql/Json"
import * as Either from "effect/Either"
import type { Connection } from "./connection.ts"
import * as Statements from "./statements.ts"

export interface Transactions {
  /** Runs a transaction. Call it within a write transaction, which the caller rolls back if this refuses. */
  readonly run: <A, E>(
    request: Transaction.Request<A, E>,
    now: number,
  ) => Either.Either<Transaction.Transacted<A>, E | Transaction.TransactionError>
}

/** Statements that create savepoints and roll back to them. */
const savepoint = /^(ROLLBACK TO )?SAVEPOINT effect_sql_\d+$/

/** Maximum number of cached analyses. */
const mostKnown = 1000

/** Truncates a statement for an error. */
const shown = (sql: string): string => (sql.length <= 200 ? sql : `${sql.slice(0, 200)}…`)

/** State of an open user transaction. */
interface Open {
  isOpen: boolean
  doom: Transaction.TransactionError | undefined
  readonly since: number
  readonly limitMs: number
}

/** Creates the transactions of a connection. */
export const make = (connection: Connection): Transactions => {
  const { prepare } = connection
  /** Everything that is known before a transaction, in one statement: reads of their own would cost more than their rows. */
  const selectBefore = prepare<[claim: number | null, running: number | null, attempt: number | null, output: string | null]>(
    `SELECT
       (SELECT 1 FROM smithers_runs WHERE run_id = ?1 AND epoch = ?2 AND owner IS NOT NULL),
       (SELECT 1 FROM smithers_nodes WHERE run_id = ?1 AND node_id = ?3 AND iteration = ?4 AND attempt = ?5 AND status = 'running'),
       made.attempt, made.output
     FROM (SELECT 1) LEFT JOIN smithers_transactions AS made ON made.run_id = ?1 AND made.key = ?6 AND made.name = ?7`,
  )
  const insert = prepare(
    "INSERT INTO smithers_transactions (run_id, key, name, node_id, iteration, attempt, at_ms, output) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
  )
  const schemaVersion = prepare<[version: number]>("PRAGMA schema_version")
  const selectRoots = prepare<[root: number, table: string]>(
    `SELECT rootpage, tbl_name FROM sqlite_master
     WHERE rootpage > 0 AND (tbl_name LIKE 'smithers\\_%' ESCAPE '\\' OR tbl_name IN (SELECT name FROM smithers_tables))`,
  )
  const selectNames = prepare<[name: string]>(
    "SELECT name FROM smithers_tables UNION SELECT view_name FROM smithers_outputs WHERE view_name IS NOT NULL",
  )

  let version = -1
  /** Permitted statements, valid for the current schema. */
  const known = new Map<string, Statements.Statement>()
  let roots: ReadonlyMap<number, string> | undefined
  let names: ReadonlySet<string> | undefined
  const forget = (): void => {
    known.clear()
    roots = undefined
    names = undefined
  }
  /** Drops the cache: the schema may be rolled back, and its version number reused. */
  const redefine = (): void => {
    forget()
    version = -1
  }

  const isOwn = (name: string): boolean => {
    names ??= new Set(selectNames.values().map(([own]) => own.toLowerCase()))
    return name.startsWith("smithers_") || names.has(name)
  }
  /** Returns the engine's table that a statement would write, also through triggers. */
  const written = (sql: string): string | undefined => {
    roots ??= new Map([[1, "sqlite_schema"], ...selectRoots.values()])
    const values = Array.from({ length: Statements.parametersIn(sql) }, () => null)
    for (const [, opcode, p1, p2, p3] of connection.queryOnce(`EXPLAIN ${sql}`).listed(values, false)) {
      const root = opcode === "OpenWrite" ? p2 : opcode === "Clear" || opcode === "Destroy" ? p1 : 0
      if (opcode === "OpenWrite" && p3 !== 0) return "something temporary"
      const table = typeof root === "number" ? roots.get(root) : undefined
      if (table !== undefined) return `the engine's table ${table}`
    }
    return undefined
  }

  /** Returns the analysed statement, or the reason why it is refused. Throws for invalid SQL. */
  const judged = (sql: string): Statements.Statement | string => {
    const before = known.get(sql)
    if (before !== undefined) return before
    const statement = Statements.read(sql, "write")
    if (typeof statement === "string") return statement
    const own = statement.isSchema ? [...statement.names].find(isOwn) : undefined
    if (own !== undefined) return `${statement.keyword} is refused: "${own}" belongs to the engine`
    const isWriting = !statement.isSchema && statement.keyword !== "EXPLAIN"
    const target = isWriting ? written(sql) : undefined
    if (target !== undefined) return `it would write ${target}`
    if (known.size >= mostKnown) known.clear()
    known.set(sql, statement)
    return statement
  }

  const sessionOf = (open: Open): Transaction.Session => {
    const doom = (error: Transaction.TransactionError): Transaction.TransactionError => {
      open.doom ??= error
      return open.doom
    }
    const ensureLive = (): void => {
      if (!open.isOpen) throw new Error("the transaction has ended: run statements only inside its code")
      if (open.doom !== undefined) throw open.doom
      const heldMs = performance.now() - open.since
      if (heldMs > open.limitMs) throw doom(new Transaction.TransactionTooLong({ heldMs, limitMs: open.limitMs }))
    }
    const guarded = (sql: string, prepared: Transaction.Query, after: () => void = () => {}): Transaction.Query => {
      const call = <A>(body: () => A): A => {
        try {
          const result = body()
          after()
          if (!connection.isInTransaction()) throw new Error(shown(sql))
          return result
        } catch (thrown) {
          if (connection.isInTransaction()) throw thrown
          throw doom(new Transaction.TransactionBroken({ detail: thrown instanceof Error ? thrown.message : String(thrown) }))
        }
      }
      return {
        named: (values, isSafe) => call(() => prepared.named(values, isSafe)),
        listed: (values, isSafe) => call(() => prepared.listed(values, isSafe)),
      }
    }
    const query = (sql: string): Transaction.Query => {
      ensureLive()
      const judgement = judged(sql)
      if (typeof judgement === "string") throw doom(new Transaction.StatementRefused({ statement: shown(sql), reason: judgement }))
      const { isSchema, keyword } = judgement
      const prepared = keyword === "EXPLAIN" ? connection.queryOnce(sql) : connection.query(sql)
      return guarded(sql, prepared, isSchema ? redefine : undefined)
    }
    return {
      query,
      savepoint: (sql) => {
        if (!savepoint.test(sql)) return query(sql)
        // Rolling back is permitted after a failure, so that the code sees that failure.
        if (!open.isOpen || open.doom !== undefined) return emptyQuery
        // Definitions since the savepoint are rolled back.
        return guarded(sql, connection.query(sql), redefine)
      },
    }
  }

  const made = <A, E>(
    { body, limitMs }: Transaction.Request<A, E>,
    keep: (output: Transaction.Done<A>["output"]) => void,
  ): Either.Either<Transaction.Transacted<A>, E | Transaction.TransactionError> => {
    const [current = 0] = schemaVersion.values()[0] ?? []
    if (current !== version) forget()
    version = current
    const open: Open = { isOpen: true, doom: undefined, since: performance.now(), limitMs }
    let done: Either.Either<Transaction.Done<A>, E>
    try {
      done = body(sessionOf(open))
    } finally {
      open.isOpen = false
    }
    if (open.doom !== undefined) return Either.left(open.doom)
    return Either.map(done, ({ value, output }) => {
      keep(output)
      return { _tag: "Made", value, heldMs: performance.now() - open.since }
    })
  }

  return {
    run: (request, now) => {
      if (request.of === undefined) return made(request, () => {})
      const { attempt: of, name } = request.of
      const { runId, nodeId, iteration, attempt, epoch, idempotencyKey: key } = of
      const [before] = selectBefore.values(runId, epoch, nodeId, iteration, attempt, key, name)
      const [claim, running, by, output] = before ?? [null, null, null, null]
      if (claim === null) return Either.left(new RunFenced({ runId, epoch }))
      const node = { runId, nodeId, iteration }
      if (of.isOver() || running === null) return Either.left(new Transaction.StaleAttempt({ ...node, attempt }))
      if (by !== null && by !== attempt) return Either.right({ _tag: "Stored", output: readOptional(output) })
      if (by !== null) return Either.left(new Transaction.TransactionTaken({ ...node, ...(name === "" ? {} : { name }) }))
      return made(request, (output) => {
        insert.run(runId, key, name, nodeId, iteration, attempt, now, writeOptional(output))
      })
    },
  }
}

/** A statement that does nothing. */
const emptyQuery: Transaction.Query = { named: () => [], listed: () => [] }
