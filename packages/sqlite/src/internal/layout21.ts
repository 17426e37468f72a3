/**
 * The step to layout 21, in which columns and fields of stored JSON have the names of the glossary. JSON is parsed and written here, and not by
 * functions of SQLite, which refuse values that are nested deep.
 */
import type { Json } from "@smithers/core/Codec"
import { write } from "@smithers/sql/Json"
import type { Connection } from "./connection.ts"

export const sql = `
ALTER TABLE smithers_runs RENAME COLUMN deaths TO crashes;
ALTER TABLE smithers_runs RENAME COLUMN given TO input_digest;
ALTER TABLE smithers_waits RENAME COLUMN asked TO request_seq;
ALTER TABLE smithers_waits RENAME COLUMN times_asked TO request_count;
`

type Fields = { readonly [name: string]: Json }

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value)

/** Renames fields of an object, and leaves those inside as they are. */
const renamed = (value: Json, names: { readonly [name: string]: string }): Json =>
  isFields(value) ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [names[name] ?? name, inner])) : value

/** Changes one field of an object, where it is there. */
const within = (value: Json, name: string, change: (inner: Json) => Json): Json => {
  const inner = isFields(value) ? value[name] : undefined
  return !isFields(value) || inner === undefined ? value : { ...value, [name]: change(inner) }
}

const each =
  (change: (item: Json) => Json) =>
  (items: Json): Json =>
    Array.isArray(items) ? items.map(change) : items

const leaving = (left: Json): Json => renamed(left, { as: "outcome", because: "trigger" })

const strays = (value: Json): Json =>
  within(
    value,
    "strayReads",
    each((read) => renamed(read, { meant: "suggestion" })),
  )

const submitted = (payload: Json): Json => renamed(payload, { saidAt: "submittedAt" })

const softly = (payload: Json): Json => renamed(payload, { soft: "isSoft" })

/** By the type of an event: how its payload changes. */
const events: { readonly [type: string]: (payload: Json) => Json } = {
  RunResumed: (payload) => renamed(payload, { gone: "removed" }),
  AttemptFailed: softly,
  NodeFailed: softly,
  ApprovalDecided: submitted,
  TaskAnswered: submitted,
  SignalReceived: submitted,
  RunPaused: submitted,
  RunUnpaused: submitted,
  WaitEnded: (payload) => renamed(payload, { saidAt: "submittedAt", how: "reason" }),
  LeaveRequested: (payload) => renamed(payload, { saidAt: "submittedAt", as: "outcome" }),
  NodeReset: (payload) => renamed(payload, { isAnew: "hasNewChild" }),
  PartsDecided: (payload) => renamed(payload, { isOver: "isDecided" }),
  BoundaryHalted: (payload) => within(renamed(payload, { isLast: "isFinallySkipped" }), "left", leaving),
  LoopMounted: (payload) => renamed(payload, { first: "initial", mounting: "mountCount", isLeftOut: "isOmitted" }),
  RunFinished: strays,
  RunFailed: strays,
  RunCancelled: strays,
}

/** By the tag of a command: how it changes. */
const commands: { readonly [tag: string]: (command: Json) => Json } = {
  Decide: (command) => renamed(command, { asked: "requestSeq" }),
  Answer: (command) => renamed(command, { asked: "requestSeq" }),
  Leave: (command) => renamed(command, { as: "outcome" }),
}

const nodeDetail = (detail: Json): Json => {
  const mounting = (value: Json): Json => renamed(value, { first: "initial", later: "added", leftOut: "omitted", times: "count" })
  const flat = renamed(detail, { asked: "leaveRequest", isLast: "isFinallySkipped", beatsAfter: "heartbeatsAfter" })
  return within(within(within(flat, "mounting", mounting), "left", leaving), "leaveRequest", leaving)
}

const stuck = (value: Json): Json => renamed(value, { tries: "failureCount", again: "retryAt" })

const wait = (value: Json): Json => renamed(value, { asked: "requestSeq", timesAsked: "requestCount" })

/** Rewrites the JSON of a column, where it changes. */
const rewrite = (
  { prepare }: Connection,
  { table, key, column, where = `${column} IS NOT NULL` }: Column,
  change: (value: Json) => Json,
): void => {
  const rows = prepare<[text: string, ...key: Array<string | number>]>(
    `SELECT ${column}, ${key.join(", ")} FROM ${table} WHERE ${where}`,
  ).values()
  const update = prepare(`UPDATE ${table} SET ${column} = ? WHERE ${key.map((name) => `${name} = ?`).join(" AND ")}`)
  for (const [text, ...values] of rows) {
    const changed = write(change(JSON.parse(text)))
    if (changed !== text) update.run(changed, ...values)
  }
}

interface Column {
  readonly table: string
  readonly key: ReadonlyArray<string>
  readonly column: string
  readonly where?: string
}

/** Gives the fields of stored JSON their names. */
export const run = (connection: Connection): void => {
  for (const [type, change] of Object.entries(events)) {
    const where = `type = '${type}' AND payload IS NOT NULL`
    rewrite(connection, { table: "smithers_events", key: ["run_id", "seq"], column: "payload", where }, change)
  }
  const command = (value: Json): Json => (isFields(value) ? (commands[String(value._tag)]?.(value) ?? value) : value)
  rewrite(connection, { table: "smithers_inbox", key: ["seq"], column: "command" }, command)
  rewrite(connection, { table: "smithers_nodes", key: ["run_id", "node_id", "iteration"], column: "detail" }, nodeDetail)
  rewrite(connection, { table: "smithers_runs", key: ["run_id"], column: "stuck" }, stuck)
  rewrite(connection, { table: "smithers_runs", key: ["run_id"], column: "ending" }, strays)
  rewrite(connection, { table: "smithers_wait_history", key: ["run_id", "node_id", "iteration", "seq"], column: "wait" }, wait)
}
