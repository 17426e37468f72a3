/**
 * Commands of ours as one types them: what is printed to be copied must mean the same to the shell and to the parser, whatever an id, a name or
 * a path looks like.
 */
import { quoted } from "./Text.ts"

/** An option with its value, or alone. */
export type Option = readonly [name: string, value: string] | string

/** What starts like an option would be taken for one. */
const isPlain = (word: string): boolean => !word.startsWith("-")

const spell = (option: Option): ReadonlyArray<string> => {
  if (typeof option === "string") return [`--${option}`]
  const [name, value] = option
  return isPlain(value) ? [`--${name}`, quoted(value)] : [`--${name}=${quoted(value)}`]
}

/** A command line: the words of the command, its arguments, its options, and the database where it has to be named. */
export const commandLine = (
  db: string | undefined,
  command: string,
  args: ReadonlyArray<string> = [],
  options: ReadonlyArray<Option> = [],
): string => {
  const named = [...options, ...(db === undefined ? [] : [["db", db] as const])].flatMap(spell)
  const given = args.map(quoted)
  const words = args.every(isPlain) ? [...given, ...named] : [...named, "--", ...given]
  return ["smithers", command, ...words].join(" ")
}

/** The command line that was given, with the whole id of a run in place of how it begins. `words` are those of the command and what follows. */
export const withRun = (words: ReadonlyArray<string>, begins: string, runId: string): string => {
  // The command may be called like the run.
  const at = words.findIndex((word, index) => index > 0 && (word === begins || word === `--resume=${begins}`))
  const whole = (word: string) => `${word.slice(0, word.length - begins.length)}${runId}`
  return ["smithers", ...words.map((word, index) => (index === at ? whole(word) : word)).map(quoted)].join(" ")
}

/** Words that say whether there is something to resume, and not what. */
const booleans = new Set(["true", "false"])

/** Options that name a run to resume. */
const resuming = (runId: string): ReadonlyArray<Option> =>
  isPlain(runId) && !booleans.has(runId) ? [["resume", runId]] : [["run-id", runId], "resume"]

/** The command that resumes a run. `file` names its workflow where the run does not know it, or stands for that. */
export const resumeLine = (db: string | undefined, runId: string, file?: string): string =>
  commandLine(db, file === undefined ? "up" : `up ${file}`, [], resuming(runId))

/** The command that takes a cancellation back: it runs again what was undone, and so has a word of its own. */
export const uncancelLine = (db: string | undefined, runId: string): string =>
  commandLine(db, "up", [], [...resuming(runId), "uncancel"])

/** The command that carries a cancellation out which nobody works on. */
export const cancelLine = (db: string | undefined, runId: string): string => commandLine(db, "cancel", [runId], ["wait"])

/** Stands for a file in a command that is printed. */
export const anyFile = "<workflow file>"
