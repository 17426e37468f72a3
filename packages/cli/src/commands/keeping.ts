/**
 * Commands that maintain the database and set up the shell.
 */
import { argument, define, flag, integer, optionalArgument, text } from "../Definition.ts"

export const dbPath = define({
  path: ["db", "path"],
  summary: "Prints the path of the database that commands use in this folder.",
  examples: [
    {
      line: `sqlite3 "$(smithers db path)" 'SELECT run_id, status FROM smithers_runs'`,
      does: "Opens the database with another tool.",
    },
  ],
  parameters: {},
  output: "DatabasePath",
  action: () => import("../actions/database.ts").then(({ path }) => path),
})

export const dbCheck = define({
  path: ["db", "check"],
  summary: "Checks the integrity of the database: its pages, and the consistency of its tables.",
  examples: [{ line: "smithers db check", does: "Checks the database. Exits with 1 if it finds a problem." }],
  parameters: {},
  output: "DatabaseChecked",
  action: () => import("../actions/database.ts").then(({ check }) => check),
})

export const dbVacuum = define({
  path: ["db", "vacuum"],
  summary: "Shrinks the database file: returns the space of deleted rows to the disk.",
  examples: [{ line: "smithers db vacuum", does: "Rewrites the file without free pages." }],
  parameters: {},
  output: "Vacuumed",
  action: () => import("../actions/database.ts").then(({ vacuum }) => vacuum),
})

export const dbPrune = define({
  path: ["db", "prune"],
  summary: "Deletes runs that ended long ago, with their outputs, events and sandboxes.",
  details: "Keeps runs that wait, are paused, are at work or can be resumed, and their parents.",
  examples: [
    { line: "smithers db prune --older-than 30d --dry-run", does: "Prints what would be deleted." },
    { line: "smithers db prune --older-than 30d", does: "Deletes runs that ended more than 30 days ago." },
  ],
  parameters: {
    olderThan: text("older-than", "time", "Minimum time since the run ended, such as 12h, 30d or 8w"),
    dryRun: flag("dry-run", "Print what would be deleted, and delete nothing"),
  },
  output: "Pruned",
  action: () => import("../actions/database.ts").then(({ prune }) => prune),
})

const cached = {
  workflow: text("workflow", "name", "Only outputs of this workflow"),
  node: text("node", "node", "Only outputs of this node"),
  run: text("run", "run", "Only outputs of this run, by its whole id"),
}

export const cacheList = define({
  path: ["cache", "list"],
  summary: "Lists the cached outputs that later runs can reuse.",
  examples: [{ line: "smithers cache list --workflow review", does: "Lists those of one workflow." }],
  parameters: { ...cached, limit: integer("limit", "Maximum number of outputs, latest first. Default: 50", 1) },
  output: "Cached",
  action: () => import("../actions/cache.ts").then(({ list }) => list),
})

export const cacheClear = define({
  path: ["cache", "clear"],
  summary: "Deletes cached outputs, so that later runs execute those steps again.",
  details: "Runs keep their own outputs.",
  examples: [
    { line: "smithers cache clear --workflow review --node analyze", does: "Deletes the cached outputs of one step." },
    { line: "smithers cache clear --older-than 30d", does: "Deletes those that were stored more than 30 days ago." },
    { line: "smithers cache clear --all", does: "Deletes all." },
  ],
  parameters: {
    ...cached,
    olderThan: text("older-than", "time", "Only outputs that were stored longer ago, such as 12h or 30d"),
    all: flag("all", "Delete all cached outputs. Required if no other option selects some"),
  },
  output: "CacheCleared",
  action: () => import("../actions/cache.ts").then(({ clear }) => clear),
})

export const limitList = define({
  path: ["limit", "list"],
  summary: "Lists the limits that the runs of the store share, with their slots.",
  examples: [{ line: "smithers limit list", does: "Shows each limit, the slots that are held, and how many wait." }],
  parameters: {},
  output: "LimitList",
  action: () => import("../actions/limits.ts").then(({ list }) => list),
})

export const limitSet = define({
  path: ["limit", "set"],
  summary: "Sets a limit that the runs of the store share. It holds at once, in all processes.",
  details:
    "All earlier bounds of the limit are replaced. A runtime that has the limit in its settings sets it again when it starts.",
  examples: [
    {
      line: "smithers limit set anthropic --concurrency 4 --per-minute 50",
      does: "At most 4 calls at once, and 50 in any minute.",
    },
  ],
  parameters: {
    name: argument("name", "The name of the limit"),
    concurrency: integer("concurrency", "Maximum number of slots held at the same time", 1),
    perSecond: integer("per-second", "Maximum number of slots granted in any second", 1),
    perMinute: integer("per-minute", "Maximum number of slots granted in any minute", 1),
    perHour: integer("per-hour", "Maximum number of slots granted in any hour", 1),
  },
  output: "LimitConfigured",
  action: () => import("../actions/limits.ts").then(({ set }) => set),
})

const fact = {
  namespace: argument("namespace", "The namespace, such as workflow:<name>, run:<id>, or one of your own"),
  key: argument("key", "The key of the fact"),
}

const mostFacts = integer("limit", "Maximum number of facts. Default: 50", 1)

export const memoryList = define({
  path: ["memory", "list"],
  summary: "Lists the facts that steps have stored, latest first.",
  examples: [{ line: "smithers memory list workflow:review", does: "Lists the facts of one workflow." }],
  parameters: { namespace: optionalArgument("namespace", "Only this namespace, such as workflow:<name>"), limit: mostFacts },
  output: "Facts",
  action: () => import("../actions/memory.ts").then(({ list }) => list),
})

export const memorySearch = define({
  path: ["memory", "search"],
  summary: "Searches facts by words of their keys and values, most relevant first.",
  examples: [
    {
      line: "smithers memory search 'release notes'",
      does: "Finds facts with one of the words, or with a word that begins with one.",
    },
  ],
  parameters: {
    query: argument("query", "The words"),
    namespace: text("namespace", "name", "Only this namespace"),
    limit: mostFacts,
  },
  output: "Facts",
  action: () => import("../actions/memory.ts").then(({ search }) => search),
})

export const memoryGet = define({
  path: ["memory", "get"],
  summary: "Prints the value of a fact as JSON.",
  examples: [{ line: "smithers memory get workflow:review style", does: "Prints one fact." }],
  parameters: fact,
  output: "Fact",
  action: () => import("../actions/memory.ts").then(({ get }) => get),
})

export const memorySet = define({
  path: ["memory", "set"],
  summary: "Stores a fact. Replaces the one with the same key.",
  examples: [{ line: `smithers memory set workflow:review style --value '"Be brief."'`, does: "Stores a text." }],
  parameters: {
    ...fact,
    value: text("value", "JSON|@file|-", "The value as JSON, from a file, or from standard input"),
    ttl: text("ttl", "time", "Time after which the fact is deleted, such as 12h or 30d. Default: never"),
  },
  output: "Fact",
  action: () => import("../actions/memory.ts").then(({ set }) => set),
})

export const memoryDelete = define({
  path: ["memory", "delete"],
  summary: "Deletes a fact, or with --all every fact of a namespace.",
  examples: [
    { line: "smithers memory delete workflow:review style", does: "Deletes one fact." },
    { line: "smithers memory delete run:m1abc2 --all", does: "Deletes the facts of a namespace." },
  ],
  parameters: {
    namespace: fact.namespace,
    key: optionalArgument("key", "The key of the fact"),
    all: flag("all", "Delete all facts of the namespace"),
  },
  output: "FactsDeleted",
  action: () => import("../actions/memory.ts").then(({ remove }) => remove),
})

export const completions = define({
  path: ["completions"],
  summary: "Prints a completion script for bash, zsh or fish.",
  examples: [
    {
      line: "smithers completions bash > ~/.local/share/bash-completion/completions/smithers",
      does: "Sets up completion for bash.",
    },
    { line: "smithers completions fish > ~/.config/fish/completions/smithers.fish", does: "Sets up completion for fish." },
  ],
  parameters: { shell: argument("shell", "The shell: bash, zsh or fish", ["bash", "zsh", "fish"]) },
  output: "Completions",
  action: () => import("../actions/completions.ts").then(({ completions }) => completions),
})
