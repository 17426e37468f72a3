/**
 * Formats command lines of `smithers` for people to copy. They mean the same to the shell and to the parser, whatever characters an
 * id, name or path has.
 */
import type { RunSummary } from "@smithers/core/RunReader"
import { quoted } from "./Text.ts"

/** An option with its value, or a flag. */
export type Option = readonly [name: string, value: string] | string

/** Returns `true` unless the parser would take the word for an option. */
const isPlain = (word: string): boolean => !word.startsWith("-")

const spell = (option: Option): ReadonlyArray<string> => {
  if (typeof option === "string") return [`--${option}`]
  const [name, value] = option
  return isPlain(value) ? [`--${name}`, quoted(value)] : [`--${name}=${quoted(value)}`]
}

/** Formats a command line of command, arguments, options, and the database where it must be named. */
export const commandLine = (
  db: string | undefined,
  command: string,
  args: ReadonlyArray<string> = [],
  options: ReadonlyArray<Option> = [],
): string => {
  const named = [...options, ...(db === undefined ? [] : [["db", db] as const])].flatMap(spell)
  const typed = args.map(quoted)
  const words = args.every(isPlain) ? [...typed, ...named] : [...named, "--", ...typed]
  return ["smithers", command, ...words].join(" ")
}

/** Formats the given command line with the full id of a run in place of its prefix. `words` are the command and what follows it. */
export const withRun = (words: ReadonlyArray<string>, begins: string, runId: string): string => {
  // The command may have the name of the run.
  const at = words.findIndex((word, index) => index > 0 && (word === begins || word === `--resume=${begins}`))
  const whole = (word: string) => `${word.slice(0, word.length - begins.length)}${runId}`
  return ["smithers", ...words.map((word, index) => (index === at ? whole(word) : word)).map(quoted)].join(" ")
}

/** Values of `--resume` that are not an id. */
const booleans = new Set(["true", "false"])

/** Options that resume a run. */
const resuming = (runId: string): ReadonlyArray<Option> =>
  isPlain(runId) && !booleans.has(runId) ? [["resume", runId]] : [["run-id", runId], "resume"]

/** Formats the command that resumes a run. `file` is its workflow file, or a placeholder, if the run does not know it. */
export const resumeLine = (db: string | undefined, runId: string, file?: string): string =>
  commandLine(db, file === undefined ? "up" : `up ${file}`, [], resuming(runId))

/** Formats the command that reverts a cancellation. It needs an option of its own since undone steps run again. */
export const uncancelLine = (db: string | undefined, runId: string): string =>
  commandLine(db, "up", [], [...resuming(runId), "uncancel"])

/** Formats the command that carries out the cancellation of a run that no process works on. */
export const cancelLine = (db: string | undefined, runId: string): string => commandLine(db, "cancel", [runId], ["wait"])

/** Formats the command that resumes a stored run. A run that a program started without `source` needs its workflow file named. */
export const resumeLineOf = (db: string | undefined, { runId, source }: Pick<RunSummary, "runId" | "source">): string =>
  resumeLine(db, runId, source === null ? anyFile : undefined)

/** Placeholder for a workflow file in a printed command. */
export const anyFile = "<workflow file>"
