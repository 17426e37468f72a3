/**
 * The regions of the reference that are made from code, by what a page asks for: `props TaskProps`, `options core/Builder StepOptions`, `events`, `tables`,
 * `errors`, `json`, `exit codes` …
 */

import { Database } from "bun:sqlite"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as ConfinedFiles from "@smithers/agents/ConfinedFiles"
import * as CommandLineErrors from "@smithers/agents/commandLine/Errors"
import * as DoomLoop from "@smithers/agents/DoomLoop"
import * as McpServer from "@smithers/agents/McpServer"
import * as Catalog from "@smithers/cli/Catalog"
import * as CliErrors from "@smithers/cli/Errors"
import { Exit } from "@smithers/cli/Exit"
import * as Bounds from "@smithers/core/Bounds"
import * as Errors from "@smithers/core/Errors"
import * as Isolation from "@smithers/core/Isolation"
import * as Memory from "@smithers/core/Memory"
import * as RunEvent from "@smithers/core/RunEvent"
import * as Sandboxes from "@smithers/core/Sandboxes"
import * as Scores from "@smithers/core/Scores"
import * as Status from "@smithers/core/Status"
import * as Transaction from "@smithers/core/Transaction"
import * as Workspaces from "@smithers/core/Workspaces"
import * as Worktrees from "@smithers/core/Worktrees"
import * as JsxCtx from "@smithers/jsx/Ctx"
import * as Mdx from "@smithers/jsx/Mdx"
import * as PromptInput from "@smithers/jsx/PromptInput"
import * as Hooks from "@smithers/server/http/Hooks"
import * as Listen from "@smithers/server/http/Listen"
import * as OwnFile from "@smithers/server/http/OwnFile"
import * as Tokens from "@smithers/server/http/Tokens"
import * as Person from "@smithers/server/mcp/Person"
import * as ServerErrors from "@smithers/server/operations/Errors"
import * as Sql from "@smithers/sqlite/Sql"
import { SchemaAST as AST } from "effect"
import * as Testing from "smithers-orchestrator/testing"
import ts from "typescript"
import { api } from "./api.ts"
import { remedies } from "./remedies.ts"
import { cell, code, docOf, exportsOf, fieldDocs, fileOf, methodsOf, optionsOf, read, root, table } from "./source.ts"

/** A type of a schema, as short as it can be said. */
const typeOf = (ast: AST.AST): string => {
  const named = AST.getIdentifierAnnotation(ast)
  if (named._tag === "Some" && ast._tag !== "Literal" && !/Keyword$/.test(ast._tag)) return named.value
  switch (ast._tag) {
    case "Literal":
      return JSON.stringify(ast.literal)
    case "UndefinedKeyword":
      return ""
    case "UnknownKeyword":
      return "JSON"
    case "Union":
      return [...new Set(ast.types.map(typeOf).filter((type) => type !== ""))].join(" | ")
    case "TupleType":
      return `Array<${ast.rest.map(({ type }) => typeOf(type)).join(", ")}>`
    case "Suspend":
      return typeOf(ast.f())
    case "Refinement":
      return typeOf(ast.from)
    case "Transformation":
      return typeOf(ast.to)
    case "TypeLiteral": {
      const fields = ast.propertySignatures.map(
        ({ name, isOptional, type }) => `${String(name)}${isOptional ? "?" : ""}: ${typeOf(type)}`,
      )
      return fields.length > 6 ? "object" : `{ ${fields.join("; ")} }`
    }
    default:
      return String(ast)
  }
}

/** Fields that mean the same wherever they are. */
const words: { readonly [name: string]: string } = {
  runId: "id of the run",
  nodeId: "id of the node",
  iteration: "pass of the loop around the node, from 0",
  attempt: "number of the attempt, from 1",
  attempts: "number of attempts made",
  workflow: "name of the workflow",
  version: "label of the code",
  input: "the encoded input",
  output: "the encoded output",
  table: "name of the output, as in `smithers_outputs`",
  by: "name of the person",
  note: "note of the decision",
  approved: "`true` if approved",
  reason: "reason",
  error: "the error",
  epoch: "number of the claim",
  issues: "one line per issue, with its path",
  problem: "description of the problem",
  deadline: "epoch ms",
  correlation: "correlation of the signal",
  payload: "what the signal carries",
  name: "name of the signal",
  id: "id of the signal",
  status: "status",
  kind: "kind of the wait",
  heartbeat: "details of the last heartbeat",
  signalId: "id of the signal",
  uncompensated: "steps that could not be undone",
  where: "path to the part, or stack of components",
  setting: "name of the setting",
  given: "the value as text",
  received: "the value as text",
  wanted: "the values that it may have",
  expected: "the values that it may have",
  message: "the message",
  limit: "the limit that was exceeded",
  timeoutMs: "that limit in milliseconds",
  maxIterations: "the limit of passes",
  isDefault: "`true` if the loop sets no limit",
  interruptions: "deaths of processes in a row",
  nodeIds: "ids of the last nodes that were mounted",
  cause: "the failure that it came from",
  failed: "steps that could not be undone",
  stored: "name of the workflow that the run belongs to",
  retryAt: "epoch ms",
  submittedAt: "when the command was given, epoch ms",

  value: "the answer",
  digest: "digest of the request",
  request: "what people are shown",
  requestId: "id of the request",
  kept: "finished nodes that stay",
  added: "new nodes",

  codeGeneration: "number of the code: 0 is the one that the run began with, and each reload makes the next",

  removed: "nodes that the plan no longer has",
  mounted: "ids of new nodes",
  unmounted: "ids of nodes that left",
  changed: "ids of nodes that changed",
  isSoft: "`true` if the run tolerates the failure",
  isKept: "`true` if the wait continues when the run is resumed",
  base: "iteration of the first pass",
  pass: "number of the pass, from 0",

  outcome: "how it is left",
  winners: "keys of the branches that have won",
  filename: "path of the file",
  key: "key of the branch or item",
  failure: "the error",
  approvers: "names of those who may decide",
  currentRequestId: "id of the current request",
  at: "epoch ms",
  signal: "name of the signal",
  operation: "what the store was doing",
  detail: "what the database said",
  found: "layout of the file",
  supported: "layout that this version reads",
  nodes: "the nodes, each with its issues",
  column: "name of the column",
  need: "name of the need",
  cases: "names of the cases",
  trigger: "why it is left",
  isFinal: "`true` if it was raised by a `finally`",
  strayReads: "reads of tasks that the run never had",
  from: "the rows that gave the output",
  isDecided: "`true` once nothing more counts",
  isCaught: "`true` if its `catch` handles it",
  left: "how and why it is left early",
  hasNewChild: "`true` if a subflow starts a new child run",
  initial: "ids that the pass had before",
  mountCount: "number of renders of the pass that mounted something",
  isOmitted: "`true` if `until` held, so that they do not begin",
  statement: "the statement",
  heldMs: "how long it took",
  limitMs: "the limit",
  file: "path of the file",
  path: "path of the file",
  field: "the field of the policy",
  next: "commands that may help",
  db: "path of the database",
  log: "path of the log file",
  exitCode: "exit code of the process",
  option: "the option",
}

/** Fields of an `ErrorInfo`, whose names mean something else elsewhere. */
const infoWords: { readonly [name: string]: string } = {
  name: "its `_tag`, otherwise its name, otherwise its class",
  message: "its message",
  stack: "its stack",
  code: "such as `ECONNREFUSED`",
  status: "of a response or a process",
  cause: "the error that it came from, with the same fields",
  errors: "those of an `AggregateError`, and those raised with it; at most 16",
}

interface Field {
  readonly name: string
  readonly type: string
  readonly isOptional: boolean
  readonly doc: string
}

const fieldTable = (fields: ReadonlyArray<Field>, known = words): string =>
  table(
    ["field", "type", "", "meaning"],
    fields.map(({ name, type, isOptional, doc }) => [
      code(name),
      code(type),
      isOptional ? "optional" : "",
      cell(doc || (known[name] ?? "")),
    ]),
  )

const fieldsOf = (ast: AST.AST, docs: ReadonlyMap<string, string>): ReadonlyArray<Field> =>
  ast._tag === "TypeLiteral"
    ? ast.propertySignatures
        .filter(({ name }) => name !== "_tag")
        .map(({ name, type, isOptional }) => ({
          name: String(name),
          type: typeOf(type),
          isOptional,
          doc: docs.get(String(name)) ?? "",
        }))
    : []

const declared = (file: ts.SourceFile, name: string): ts.Statement => {
  const found = file.statements.find(
    (one) =>
      (ts.isVariableStatement(one) && one.declarationList.declarations.some((each) => each.name.getText() === name)) ||
      (ts.isClassDeclaration(one) && one.name?.text === name),
  )
  if (found === undefined) throw new Error(`${file.fileName} declares no ${name}`)
  return found
}

const events = (): string => {
  const file = fileOf("packages/core/src/RunEvent.ts")
  const { ast } = RunEvent.RunEvent
  const members = ast._tag === "Union" ? ast.types : []
  return members
    .flatMap((member) => {
      const tag = member._tag === "TypeLiteral" ? member.propertySignatures.find(({ name }) => name === "_tag")?.type : undefined
      if (tag?._tag !== "Literal") return []
      const statement = declared(file, String(tag.literal))
      const fields = fieldsOf(member, fieldDocs(file, statement))
      return [`### ${tag.literal}`, docOf(statement), fields.length === 0 ? "" : fieldTable(fields)]
    })
    .filter((part) => part !== "")
    .join("\n\n")
}

/** Tables and views that users may rely on, and what is in them. All others are internal. */
const tables: { readonly [name: string]: string } = {
  smithers_runs: "A row per run, as it is now.",
  smithers_nodes:
    "A row per step, wait, loop and boundary in each iteration, as it is now. A running attempt is in the row of its node.",
  smithers_attempts:
    "A view: each attempt that has ended, with its error. The latest attempt of a finished step is read from the row of its node, if it has nothing else to tell.",
  smithers_generations:
    "The code of runs that are at work with `--hot` or `hot: true`: a row per generation. 0 is the code that a run began with.",
  smithers_waits: "The latest wait of each node.",
  smithers_signals: "Signals that a run has received.",
  smithers_events: "The log: a row per event.",
  smithers_turns: "A view: prompt, reply, model and tokens of each attempt that asked an agent.",
  smithers_heartbeats: "Details of heartbeats.",
  smithers_conversations: "A row per call of an agent by a step.",
  smithers_transcript: "Prompts, replies and results of conversations, in order.",
  smithers_tool_calls: "The effect ledger: calls of tools, stored before they are made and once their outcome is known.",
  smithers_charges: "Use and cost of calls of models and tools.",
  smithers_budgets: "Accounts of budgets.",
  smithers_outputs: "The table and the view of each output of a workflow.",
}

/** What columns hold, by their names or by `table.name`; of others the comment in the layout says it. All times are epoch milliseconds. */
const columns: { readonly [name: string]: string } = {
  run_id: "id of the run",
  node_id: "id of the node",
  iteration: "pass of the loop around the node, from 0",
  attempt: "number of the attempt, from 1",
  workflow: "name of the workflow",
  version: "label of the code",
  status: "status",
  created_at: "when it was started",
  finished_at: "when it ended",
  started_at: "when it began",
  retry_at: "when the next attempt is due",
  since: "when the wait began",
  seq: "number of the event in the run",
  frame: "number of the frame",
  at_ms: "when it happened",
  type: "name of the event",
  note: "note of the decision",
  approved: "1 if approved, 0 if denied",
  decided_by: "name of the person",
  decided_at: "when it was decided",
  correlation: "correlation of the signal",
  id: "id of the signal",
  model: "model that replied",
  finish_reason: "why the last reply ended",
  prompt: "whole prompt of the last turn",
  reply: "last reply",
  input_tokens: "tokens of all prompts",
  output_tokens: "tokens of all replies",
  ended_at: "when the wait ended",
  lease_until: "end of the lease",
  parent_run_id: "run of the parent, for a child run",
  parent_node_id: "node of the parent",
  parent_iteration: "its iteration",
  is_attached: "1 if the parent waits for it",
  is_final: "1 for a child run of a `finally`",
  table_name: "its table",
  view_name: "view of the rows that runs of this workflow have in a shared table",
  "smithers_runs.status": "`suspended`, `running`, `waiting`, `paused`, `finished`, `failed`, `cancelled`",
  "smithers_runs.epoch": "number of claims",
  "smithers_runs.owner": "process that has the claim, as `host:pid:process:store`",
  "smithers_runs.crashes": "processes in a row that died before the run made progress",
  "smithers_runs.updated_at": "when this row changed",
  "smithers_runs.paused_at": "when it was paused",
  "smithers_runs.deadline": "when it ends as failed unless it has finished before",
  "smithers_runs.tags": "JSON list of text",
  "smithers_runs.source": "path of the code",
  "smithers_runs.input_digest": "digest of the input as the caller gave it",
  "smithers_runs.cancel": "JSON `{ reason? }`, after a cancellation was requested",
  "smithers_runs.failure": "JSON of the error that ended it",
  "smithers_runs.stuck": "JSON of why it cannot be resumed at present",
  "smithers_runs.input": "JSON of the encoded input",
  "smithers_runs.output": "JSON of the encoded output",
  "smithers_runs.ending": "JSON of the rows that gave the output, and of stray reads",
  "smithers_nodes.kind": "`step` (also waits), `loop`, `boundary`",
  "smithers_nodes.attempt": "latest attempt; 0 if it never ran",
  "smithers_nodes.attempted_at": "when its latest attempt or wait began, if later than `started_at`",
  "smithers_nodes.output_table": "name of the output, as in `smithers_outputs`",
  "smithers_nodes.finished_seq": "number of the event that finished it",
  "smithers_nodes.budget_after": "failed attempts up to this number do not count against retries",
  "smithers_nodes.generation": "resets after it had finished",
  "smithers_nodes.is_soft": "1 if its failure is tolerated",
  "smithers_nodes.is_exhausted": "of loops: 1 if it made all its passes without its `until` holding",
  "smithers_nodes.reads_seq": "internal",
  "smithers_nodes.error": "JSON of a failure without an attempt",
  "smithers_nodes.detail": "JSON of rarely used fields",
  "smithers_attempts.code_generation":
    "the code that it ran, as in `smithers_generations`; NULL for the code that the run began with",
  "smithers_generations.generation": "0 is the code that the run began with, and each reload makes the next",
  "smithers_generations.at_ms": "when the run went on with it",
  "smithers_attempts.is_cached": "1 if the output came from the cache",
  "smithers_attempts.reason": "of an interruption: `crash`, `shutdown`, `fail-fast`, `cancelled`, `reset`",
  "smithers_attempts.error": "JSON: an `ErrorInfo`",
  "smithers_attempts.prompt_hash": "internal; see `smithers_turns`",
  "smithers_attempts.reply_hash": "internal; see `smithers_turns`",
  "smithers_attempts.turns": "internal; see `smithers_turns`",
  "smithers_waits.request_seq": "number of the event that made the request",
  "smithers_waits.request_count": "number of requests so far",
  "smithers_waits.deadline": "when a timer fires, or the wait times out",
  "smithers_waits.name": "name of the signal, or id of the child run",
  "smithers_waits.digest": "digest of the request",
  "smithers_waits.request": "JSON of what people are shown, with the JSON Schema of an answer",
  "smithers_waits.answers": "JSON of answers that are not checked yet",
  "smithers_waits.child": "JSON of the end of the child run",
  "smithers_waits.refusals": "answers that did not match",
  "smithers_waits.refused": "JSON of the issues of the last of them",
  "smithers_waits.reason": "why it was withdrawn: `left-plan`, `given-up`, `superseded`, `left`, `reset`",
  "smithers_waits.is_kept": "1 if it continues when the run is resumed",
  "smithers_signals.seq": "number of the event that received it",
  "smithers_signals.name": "name of the signal",
  "smithers_signals.payload": "JSON",
  "smithers_signals.node_id": "wait that took it",
  "smithers_signals.refused_by": "JSON of the waits whose schema it does not fit",
  "smithers_events.payload": "JSON of the fields without a column",
  "smithers_heartbeats.details": "JSON",
  "smithers_heartbeats.seq": "number of the event before which it came",
  conversation: "number of the conversation of the step in this iteration, from 1",
  "smithers_conversations.agent": "name of the agent",
  "smithers_conversations.ended_at": "when it ended",
  "smithers_transcript.seq": "position in the conversation, from 1",
  "smithers_transcript.tool": "tool of a call or a result",
  "smithers_transcript.call_id": "id of the call",
  "smithers_transcript.model": "model of a reply",
  "smithers_transcript.input_tokens": "tokens of a reply",
  "smithers_transcript.output_tokens": "tokens of a reply",
  "smithers_tool_calls.tool": "name of the tool",
  "smithers_tool_calls.is_read_only": "1 if the tool has no side effects",
  "smithers_tool_calls.decided_by": "who decided about it",
  "smithers_tool_calls.note": "note of the decision",
  "smithers_tool_calls.ended_at": "when it ended",
  "smithers_charges.agent": "name of the agent",
  "smithers_charges.ended_at": "when it was settled",
  "smithers_charges.cached_input_tokens": "tokens read from a cache",
  "smithers_charges.cache_write_tokens": "tokens written to a cache",
  "smithers_charges.reasoning_tokens": "tokens of reasoning",
  "smithers_budgets.key": "identifies the budget",
  "smithers_budgets.name": "name for people",
  "smithers_outputs.name": "name of the output: the id of a step, or a key of the schemas",
  "smithers_outputs.node_id": "the only step that writes it, if there is one",
}

/** What the layout says of a column, in its comment. */
const commentOf = (sql: string, column: string): string =>
  new RegExp(`^,? *${column} [A-Z][^\\n]*?-- (.*)$`, "m").exec(sql)?.[1] ?? ""

const layout = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "smithers-reference-"))
  try {
    const filename = join(folder, "smithers.db")
    Bun.spawnSync(
      [
        process.execPath,
        "-e",
        `import { Effect } from "effect"; import { Smithers } from "smithers-orchestrator"; await Effect.runPromise(Smithers.list().pipe(Effect.provide(Smithers.sqlite({ filename: ${JSON.stringify(filename)} }))))`,
      ],
      { cwd: root },
    )
    const database = new Database(filename, { readonly: true })
    const all = database
      .query<{ readonly name: string; readonly sql: string }, []>(
        "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'view') AND name LIKE 'smithers%'",
      )
      .all()
    const text = Object.entries(tables).map(([name, summary]) => {
      const found = all.find((one) => one.name === name)
      if (found === undefined) throw new Error(`The store has no table ${name}`)
      const rows = database
        .query<{ readonly name: string; readonly type: string }, []>(`SELECT name, type FROM pragma_table_info('${name}')`)
        .all()
        .map((column) => {
          const holds = columns[`${name}.${column.name}`] ?? columns[column.name] ?? commentOf(found.sql, column.name)
          return [code(column.name), column.type.toLowerCase(), cell(holds)]
        })
      return [`### ${name}`, summary, table(["column", "type", "meaning"], rows)].join("\n\n")
    })
    const others = all.map(({ name }) => name).filter((name) => !Object.hasOwn(tables, name))
    database.close()
    return [...text, `Internal, and without notice subject to change: ${others.map(code).join(", ")}.`].join("\n\n")
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A value for a field, as it may look. */
const examples: { readonly [name: string]: unknown } = {
  runId: "review-1",
  nodeId: "analyze",
  iteration: 0,
  attempts: 4,
  workflow: "review",
  stored: "digest",
  where: "analyze",
  problem: 'two nodes have the id "analyze"',
  issues: ['risk: expected "low" or "high"'],
  setting: "lease",
  given: "0",
  received: "0",
  wanted: "a time of at least 1 ms",
  expected: "a time of at least 1 ms",
  error: { name: "Error", message: "no connection" },
  limit: "timeout",
  timeoutMs: 30_000,
  interruptions: 5,
  maxIterations: 3,
  nodeIds: ["round-1", "round-2"],
  reason: "no budget",
  status: "finished",
  open: ["ok (approval)"],
  deadline: Date.UTC(2030, 0, 1),
  approved: true,
  by: "bob",
  at: Date.UTC(2030, 0, 1),
  outcome: "completed",
  requestId: "4-38d61ac53498",
  approvers: ["ann"],
  id: "charge-77",
  signal: "payment",
  known: ["analyze", "report"],
  message: "no connection",
  filename: "smithers.db",
  path: "smithers.db",
  file: "smithers.db",
  table: "review_analyze",
  column: "risk",
  kind: "step",
  name: "total",
  statement: "COMMIT",
  ms: 1200,
  limitMs: 1000,
  users: [],
  layout: 99,
  retryable: false,
  failures: [],
  run: "review",
  command: "up",
  given_: "",
}

/** Examples of one error alone. */
const examplesOf: { readonly [name: string]: { readonly [field: string]: unknown } } = {
  InvalidRunId: { runId: "review-1~build~0" },
  UnsettledRead: { problem: "nothing mounts it" },
  RunWaitsForItself: { by: "review-0" },
  InvalidCommand: { problem: "its payload is not JSON" },
  NonRetryable: { message: "the card is stolen" },
  InvalidAnswer: { issues: ["stars: 9 is greater than 5"] },
  RenderFailed: { problem: "props.files is not a list" },
  RevertRefused: { reason: "owned", problem: "a process works on it", cure: "Stop that process first." },
  RevertUnfinished: { root: "/srv/site", target: "4f1c0d9a2b3e", safety: "9d2ab17c44e0", problem: "No space left on device." },
  WorktreeFailed: {
    path: "/srv/site/.smithers/worktrees/r/fix",
    problem: "the branch fix/login is checked out in /srv/site-login. Name another branch, or remove that worktree.",
    isTransient: false,
  },
  SandboxFailed: { sandbox: "fix", problem: "there is no space left on the disk", isTransient: true },
  PatchConflict: { sandbox: "fix", paths: ["src/login.ts"], diff: "--- a/src/login.ts" },
  NoGit: { problem: "there is no program git" },
  WorkspaceFailed: { operation: "snapshot", root: "/srv/site", problem: "More than 20000 new files." },
  SnapshotMissing: { root: "/srv/site", snapshot: "0d1f6c2a9e4b" },
  RestoreRefused: { root: "/srv/site", target: "0d1f6c2a9e4b", overwrites: ["build/report.html"] },
  RestoreIncomplete: {
    root: "/srv/site",
    target: "0d1f6c2a9e4b",
    safety: "77aa01be3f52",
    differing: ["src/index.ts"],
    problem: "no space is left on the disk",
  },
}

const modules: { readonly [path: string]: object } = {
  "packages/core/src/Errors.ts": Errors,
  "packages/core/src/Transaction.ts": Transaction,
  "packages/core/src/Isolation.ts": Isolation,
  "packages/core/src/Memory.ts": Memory,
  "packages/core/src/Workspaces.ts": Workspaces,
  "packages/core/src/Worktrees.ts": Worktrees,
  "packages/core/src/Sandboxes.ts": Sandboxes,
  "packages/agents/src/commandLine/Errors.ts": CommandLineErrors,
  "packages/agents/src/ConfinedFiles.ts": ConfinedFiles,
  "packages/agents/src/DoomLoop.ts": DoomLoop,
  "packages/agents/src/McpServer.ts": McpServer,
  "packages/core/src/Scores.ts": Scores,
  "packages/sqlite/src/internal/sqlRows.ts": Sql,
  "packages/jsx/src/Ctx.ts": JsxCtx,
  "packages/jsx/src/PromptInput.ts": PromptInput,
  "packages/jsx/src/Mdx.ts": Mdx,
  "packages/testing/src/TestRuntime.ts": Testing.TestRuntime,
  "packages/testing/src/scriptedAgent.ts": Testing,
  "packages/testing/src/Crashes.ts": Testing.Crashes,
  "packages/testing/src/Replays.ts": Testing.Replays,
  "packages/testing/src/Simulation.ts": Testing.Simulation,
  "packages/cli/src/Errors.ts": CliErrors,
  "packages/server/src/operations/Errors.ts": ServerErrors,
  "packages/server/src/http/Tokens.ts": Tokens,
  "packages/server/src/http/OwnFile.ts": OwnFile,
  "packages/server/src/http/Hooks.ts": Hooks,
  "packages/server/src/http/Listen.ts": Listen,
  "packages/server/src/mcp/Person.ts": Person,
}

/** Classes of tagged errors that a module exports. */
const errorsOf = (
  module: object,
): ReadonlyMap<
  string,
  { readonly fields: { readonly [name: string]: { readonly ast: AST.AST } } } & (new (
    fields: never,
    options?: { readonly disableValidation: boolean },
  ) => Error)
> =>
  new Map(
    Object.entries(module).filter(([, value]) => typeof value === "function" && "_tag" in value && "fields" in value),
  ) as never

/** Exported errors that the reference does not tell of. */
export const untold = (): ReadonlyArray<string> => {
  const told = new Set(remedies.flatMap(({ errors }) => Object.keys(errors)))
  return Object.values(modules).flatMap((module) =>
    [...errorsOf(module).keys()].filter((name) => !told.has(name) && name !== "SimulatedFailure"),
  )
}

/** Errors that the reference tells of and that are not exported. */
export const unknown = (): ReadonlyArray<string> =>
  remedies.flatMap(({ module, errors }) => Object.keys(errors).filter((name) => !errorsOf(modules[module] ?? {}).has(name)))

const exampleOf = (ast: AST.AST, name: string): unknown => {
  if (Object.hasOwn(examples, name)) return examples[name]
  switch (ast._tag) {
    case "StringKeyword":
      return name
    case "NumberKeyword":
      return 1
    case "BooleanKeyword":
      return true
    case "Literal":
      return ast.literal
    case "Union": {
      const [first] = ast.types
      return first === undefined ? undefined : exampleOf(first, name)
    }
    case "TupleType":
      return []
    case "Refinement":
      return exampleOf(ast.from, name)
    default:
      return undefined
  }
}

const errorSections = (): string => {
  const sections: Array<string> = []
  let before = ""
  for (const { where, module, errors } of remedies) {
    const classes = errorsOf(modules[module] ?? {})
    const file = fileOf(module)
    if (where !== before) sections.push(`## ${where}`)
    before = where
    for (const [name, remedy] of Object.entries(errors)) {
      const error = classes.get(name)
      if (error === undefined) continue
      const statement = declared(file, name)
      const fields = Object.entries(error.fields)
        .filter(([field]) => field !== "_tag")
        .map(([field, schema]): Field & { readonly ast: AST.AST } => {
          const isOptional =
            "ast" in schema && (schema.ast as unknown as { readonly _tag: string })._tag === "PropertySignatureDeclaration"
          const ast = isOptional ? (schema.ast as unknown as { readonly type: AST.AST }).type : schema.ast
          return { name: field, type: typeOf(ast), isOptional, doc: fieldDocs(file, statement).get(field) ?? "", ast }
        })
      const given = Object.fromEntries(
        fields
          .filter(({ isOptional }) => !isOptional)
          .map(({ name: field, ast }) => [field, exampleOf(ast, field)])
          .concat(Object.entries(examplesOf[name] ?? {})),
      )
      let message = ""
      try {
        message = new error(given as never, { disableValidation: true }).message
      } catch {
        // Its message is of what only the real thing has.
      }
      sections.push(`### ${name}`, docOf(statement), `**What to do:** ${remedy}`)
      if (fields.length > 0) sections.push(fieldTable(fields))
      if (message !== "" && !message.includes("undefined")) sections.push(`\`\`\`text\n${message}\n\`\`\``)
    }
  }
  return sections.filter((section) => section !== "").join("\n\n")
}

const bounds = (): string =>
  table(
    ["bound", "default", "option", "of", "stored reason", "at the bound"],
    Bounds.names.map((name) => {
      const { of, option, where, error, reaction } = Bounds.byDefault[name]
      const options = option === "none" ? "none" : option.split(", ").map(code).join(", ")
      return [
        of,
        Bounds.amountText(name, Bounds.limitOf(name)),
        options,
        where,
        error === undefined ? "" : code(error),
        reaction,
      ].map(cell)
    }),
  )

const exitCodes = (): string => {
  const file = fileOf("packages/cli/src/Exit.ts")
  const docs = fieldDocs(file, declared(file, "Exit"))
  const signals: { readonly [name: string]: string } = {
    hungUp: "Stopped by SIGHUP. A run is released first, and can be resumed.",
    interrupted: "Stopped by SIGINT (Ctrl-C). A run is released first, and can be resumed.",
    terminated: "Stopped by SIGTERM. A run is released first, and can be resumed.",
  }
  return table(
    ["code", "name", "meaning"],
    Object.entries(Exit).map(([name, value]) => [String(value), code(name), cell(docs.get(name) || (signals[name] ?? ""))]),
  )
}

interface Json {
  readonly [key: string]: unknown
}
const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

const definitions = (): Json => JSON.parse(read("docs/cli.schema.json")).$defs

/** A JSON Schema as a type. */
const jsonType = (schema: unknown): string => {
  if (!isObject(schema)) return "JSON"
  if (typeof schema.$ref === "string") return schema.$ref.split("/").at(-1) ?? ""
  if (Array.isArray(schema.enum)) return schema.enum.map((one) => JSON.stringify(one)).join(" | ")
  if (Array.isArray(schema.anyOf)) return [...new Set(schema.anyOf.map(jsonType))].join(" | ")
  if (schema.type === "array") return `Array<${jsonType(schema.items)}>`
  if (schema.type === "object") {
    const names = Object.keys(isObject(schema.properties) ? schema.properties : {})
    return names.length === 0 || names.length > 6 ? "object" : `{ ${names.join(", ")} }`
  }
  return typeof schema.type === "string" ? schema.type : "JSON"
}

/** A value that a JSON Schema takes, for a command whose output no test has kept. */
const jsonExample = (schema: unknown, name: string, $defs: Json): unknown => {
  if (!isObject(schema)) return null
  if (typeof schema.$ref === "string") return jsonExample($defs[schema.$ref.split("/").at(-1) ?? ""], name, $defs)
  if (Array.isArray(schema.enum)) return schema.enum[0]
  if (Array.isArray(schema.anyOf)) return jsonExample(schema.anyOf[0], name, $defs)
  if (schema.type === "object") {
    const required = Array.isArray(schema.required) ? schema.required.map(String) : []
    const properties = isObject(schema.properties) ? schema.properties : {}
    return Object.fromEntries(required.map((key) => [key, jsonExample(properties[key], key, $defs)]))
  }
  if (schema.type === "array") return name === "next" ? ["smithers up --resume review-1"] : []
  if (schema.type === "number" || schema.type === "integer") return typeof examples[name] === "number" ? examples[name] : 1
  if (schema.type === "boolean") return true
  if (schema.type === "null") return null
  return typeof examples[name] === "string" ? examples[name] : name
}

/** What a command has printed in a test, with values in place of what differs from time to time. */
const goldenOf = (name: string): unknown => {
  const folder = join(root, "test", "cli", "golden")
  const files = readdirSync(folder).filter(
    (file) => file === `${name}.json` || (file.startsWith(`${name}-`) && file.endsWith(".json")),
  )
  const texts = files.toSorted((a, b) => a.length - b.length).map((file) => readFileSync(join(folder, file), "utf8"))
  const spoken = join(folder, `${name}-json.txt`)
  if (existsSync(spoken)) texts.unshift(readFileSync(spoken, "utf8").split("\n")[1] ?? "")
  const other = name.includes("-") ? [] : Catalog.all.map(({ path }) => path.join("-")).filter((one) => one.startsWith(`${name}-`))
  for (const text of texts) {
    try {
      const value: unknown = JSON.parse(
        text
          .replaceAll(/"<start[^"]*>"|(?<!")<(?:start[^>]*|ms|pid|bytes\w*)>(?!")|"<(?:ms|pid|bytes\w*)>"/g, "1767225600000")
          .replaceAll("<folder>", "/home/ann/flows"),
      )
      const command = isObject(value) && typeof value.command === "string" ? value.command : name
      if (!(isObject(value) && "error" in value && isObject(value.error) && "tag" in value.error) && !other.includes(command))
        return value
    } catch {
      // It prints no single document.
    }
  }
  return undefined
}

/** The first of each list, of a text its beginning. */
const shortened = (value: unknown, depth = 0): unknown => {
  if (Array.isArray(value)) return value.slice(0, 1).map((item) => shortened(item, depth + 1))
  if (typeof value === "string") return value.length > 120 ? `${value.slice(0, 120)}…` : value
  if (!isObject(value)) return value
  const fields = Object.entries(value).map(([key, item]) => [key, shortened(item, depth + 1)] as const)
  return Object.fromEntries(depth === 0 ? fields : fields.filter(([, item]) => item !== null))
}

const json = (): string => {
  const $defs = definitions()
  return Catalog.all
    .map(({ path, summary, isStream }) => {
      const name = path.join("-")
      const schema = $defs[name]
      const alternatives = isObject(schema) && Array.isArray(schema.anyOf) ? schema.anyOf : [schema]
      const fields = alternatives.flatMap((one) => {
        const found = isObject(one) && typeof one.$ref === "string" ? $defs[one.$ref.split("/").at(-1) ?? ""] : one
        if (!isObject(found) || !isObject(found.properties)) return []
        const required = Array.isArray(found.required) ? found.required : []
        return Object.entries(found.properties).map(([key, type]) => [
          code(key),
          code(jsonType(type)),
          required.includes(key) ? "" : "optional",
        ])
      })
      const rows = [...new Map(fields.map((row) => [row[0], row])).values()]
      const example = shortened(goldenOf(name) ?? jsonExample(schema, name, $defs))
      const text = JSON.stringify(example, null, 2).split("\n")
      const shown = text.length > 45 ? JSON.stringify(example) : text.join("\n")
      return [
        `### ${path.join(" ")}`,
        `${summary}${isStream ? " With `--json`, one document per line." : ""}`,
        ...(rows.length === 0 ? [] : [table(["field", "type", ""], rows)]),
        `\`\`\`json\n${shown}\n\`\`\``,
      ].join("\n\n")
    })
    .join("\n\n")
}

const statuses = (): string => {
  const file = fileOf("packages/core/src/Status.ts")
  const rows = Object.entries(Status).flatMap(([name, schema]) => {
    const literals = (schema as { readonly literals?: ReadonlyArray<string> }).literals
    if (!Array.isArray(literals)) return []
    return [[code(name), cell(docOf(declared(file, name))), literals.map((one) => code(String(one))).join(", ")]]
  })
  // Modules list their exports in an order that depends on who loads them.
  return table(
    ["name", "of", "values"],
    rows.toSorted(([a = ""], [b = ""]) => (a < b ? -1 : 1)),
  )
}

/** The text of a region. */
export const region = (what: string): string => {
  const [kind = "", first = "", ...rest] = what.split(" ")
  const [second = "", ...others] = rest
  const path = `packages/${first.replace("/", "/src/")}.ts${first.startsWith("patterns/") ? "x" : ""}`
  switch (kind) {
    case "props":
      return optionsOf("packages/jsx/src/Props.ts", first)
    case "options":
      return optionsOf(path, second, others.length === 0 ? undefined : others)
    case "methods":
      return methodsOf(path, second)
    case "functions":
      return exportsOf(path, rest)
    case "events":
      return events()
    case "tables":
      return layout()
    case "statuses":
      return statuses()
    case "errors":
      return errorSections()
    case "bounds":
      return bounds()
    case "exit-codes":
      return exitCodes()
    case "json":
      return json()
    case "api":
      return api()
    case "error":
      return fieldTable(
        fieldsOf(
          Errors.ErrorInfo.ast,
          fieldDocs(fileOf("packages/core/src/ErrorInfo.ts"), declared(fileOf("packages/core/src/ErrorInfo.ts"), "ErrorInfo")),
        ),
        infoWords,
      )
    default:
      throw new Error(`There is no region "${what}" in the reference`)
  }
}
