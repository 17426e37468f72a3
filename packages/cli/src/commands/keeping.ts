/**
 * Commands that look after the database and the shell.
 */
import { argument, define, flag, text } from "../Definition.ts"
import * as Output from "../Output.ts"

export const dbPath = define({
  path: ["db", "path"],
  summary: "Prints the database that commands use here.",
  examples: [
    { line: `sqlite3 "$(smithers db path)" 'SELECT run_id, status FROM smithers_runs'`, does: "Opens it with another tool." },
  ],
  parameters: {},
  output: Output.DatabasePath,
  action: () => import("../actions/database.ts").then(({ path }) => path),
})

export const dbCheck = define({
  path: ["db", "check"],
  summary: "Checks that the database is whole: its pages, and that its tables agree.",
  examples: [{ line: "smithers db check", does: "Checks it; exit code 1 where something is wrong." }],
  parameters: {},
  output: Output.DatabaseChecked,
  action: () => import("../actions/database.ts").then(({ check }) => check),
})

export const dbVacuum = define({
  path: ["db", "vacuum"],
  summary: "Gives the space of what was deleted back to the disk.",
  examples: [{ line: "smithers db vacuum", does: "Rewrites the file without gaps." }],
  parameters: {},
  output: Output.Vacuumed,
  action: () => import("../actions/database.ts").then(({ vacuum }) => vacuum),
})

export const dbPrune = define({
  path: ["db", "prune"],
  summary: "Deletes runs that ended long ago, with their outputs and events.",
  details: "Never a run that waits, is paused, is being worked on or could go on, nor the parent of such a run.",
  examples: [
    { line: "smithers db prune --older-than 30d --dry-run", does: "Says what would be deleted." },
    { line: "smithers db prune --older-than 30d", does: "Deletes it." },
  ],
  parameters: {
    olderThan: text("older-than", "time", "How long ago a run must have ended, such as 12h, 30d or 8w"),
    dryRun: flag("dry-run", "Only say what would be deleted"),
  },
  output: Output.Pruned,
  action: () => import("../actions/database.ts").then(({ prune }) => prune),
})

export const completions = define({
  path: ["completions"],
  summary: "Prints a script that completes commands and options in a shell: bash, zsh or fish.",
  examples: [
    { line: "smithers completions bash > ~/.local/share/bash-completion/completions/smithers", does: "Sets it up for bash." },
    { line: "smithers completions fish > ~/.config/fish/completions/smithers.fish", does: "Sets it up for fish." },
  ],
  parameters: { shell: argument("shell", "bash, zsh or fish", ["bash", "zsh", "fish"]) },
  output: Output.Completions,
  action: () => import("../actions/completions.ts").then(({ completions }) => completions),
})
