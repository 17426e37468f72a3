/**
 * Commands that maintain the database and set up the shell.
 */
import { argument, define, flag, text } from "../Definition.ts"
import * as Output from "../Output.ts"

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
  output: Output.DatabasePath,
  action: () => import("../actions/database.ts").then(({ path }) => path),
})

export const dbCheck = define({
  path: ["db", "check"],
  summary: "Checks the integrity of the database: its pages, and the consistency of its tables.",
  examples: [{ line: "smithers db check", does: "Checks the database. Exits with 1 if it finds a problem." }],
  parameters: {},
  output: Output.DatabaseChecked,
  action: () => import("../actions/database.ts").then(({ check }) => check),
})

export const dbVacuum = define({
  path: ["db", "vacuum"],
  summary: "Shrinks the database file: returns the space of deleted rows to the disk.",
  examples: [{ line: "smithers db vacuum", does: "Rewrites the file without free pages." }],
  parameters: {},
  output: Output.Vacuumed,
  action: () => import("../actions/database.ts").then(({ vacuum }) => vacuum),
})

export const dbPrune = define({
  path: ["db", "prune"],
  summary: "Deletes runs that ended long ago, with their outputs and events.",
  details: "Keeps every run that waits, is paused, is being worked on or can still be resumed, and its parents.",
  examples: [
    { line: "smithers db prune --older-than 30d --dry-run", does: "Prints what would be deleted." },
    { line: "smithers db prune --older-than 30d", does: "Deletes runs that ended more than 30 days ago." },
  ],
  parameters: {
    olderThan: text("older-than", "time", "Minimum time since the run ended, such as 12h, 30d or 8w"),
    dryRun: flag("dry-run", "Print what would be deleted, and delete nothing"),
  },
  output: Output.Pruned,
  action: () => import("../actions/database.ts").then(({ prune }) => prune),
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
  output: Output.Completions,
  action: () => import("../actions/completions.ts").then(({ completions }) => completions),
})
