/**
 * Formats help texts from the definitions of commands.
 */
import type { Definition } from "./Definition.ts"

/** Width of help texts, in columns, in any terminal. */
const columns = 100

/** Formats the usage line of a command. */
export const usage = ({ path, arguments: args, options }: Definition): string => {
  const shown = args.map(({ name, isOptional }) => (isOptional ? `[${name}]` : `<${name}>`))
  return ["smithers", ...path, ...shown, ...(options.length > 0 ? ["[options]"] : [])].join(" ")
}

/** Formats an option with its placeholder. */
export const spelling = ({ name, alias, kind, placeholder }: Definition["options"][number]): string => {
  const short = alias === undefined ? "" : `-${alias}, `
  if (kind === "flag") return `${short}--${name}`
  return kind === "switch" ? `${short}--${name} [${placeholder}]` : `${short}--${name} <${placeholder}>`
}

export const ofCommand = (definition: Definition): string => {
  const { summary, details, lists, arguments: args, options, examples } = definition
  const sections = [
    wrap(details === undefined ? summary : `${summary} ${details}`, 0),
    `USAGE\n  ${usage(definition)}`,
    ...(args.length === 0 ? [] : [`ARGUMENTS\n${list(args.map(({ name, description }) => [name, description]))}`]),
    `OPTIONS\n${list(options.map((option) => [spelling(option), option.description]))}`,
    ...lists.map(({ title, rows }) => `${title.toUpperCase()}\n${list(rows)}`),
    `EXAMPLES\n${examples.map(({ line, does }) => `  ${line}\n      ${does}`).join("\n")}`,
  ]
  return sections.join("\n\n")
}

/** Formats the help of the commands that share a first word. */
export const ofGroup = (word: string, definitions: ReadonlyArray<Definition>): string => {
  const rows = definitions.map(({ path, summary }) => [path.join(" "), summary] as const)
  return `USAGE\n  smithers ${word} <command> [options]     smithers ${word} <command> --help\n\nCOMMANDS\n${list(rows)}`
}

/** Formats the help of all commands, in groups. */
export const ofProgram = (groups: ReadonlyArray<readonly [title: string, definitions: ReadonlyArray<Definition>]>): string => {
  const all = groups.map(([title, definitions]) => {
    const rows = definitions.map(({ path, summary }) => [path.join(" "), summary] as const)
    return `${title.toUpperCase()}\n${list(rows)}`
  })
  const intro = [
    "smithers runs workflows of background agents and keeps what they do in a SQLite file.",
    "USAGE\n  smithers <command> [options]     smithers <command> --help     smithers --version",
    ...all,
    "EXIT CODES\n  0 finished   1 failed   2 cancelled   3 waiting or paused   4 wrong input   129 SIGHUP   130 SIGINT   143 SIGTERM",
    'EXAMPLE\n  smithers up workflow.tsx --input \'{"repo":"acme/api"}\'',
  ]
  return intro.join("\n\n")
}

const list = (rows: ReadonlyArray<readonly [string, string]>): string => {
  const width = Math.min(34, Math.max(...rows.map(([name]) => name.length)))
  return rows
    .map(([name, text]) => {
      const body = wrap(text, width + 4)
      return name.length > width ? `  ${name}\n${" ".repeat(width + 4)}${body}` : `  ${name.padEnd(width)}  ${body}`
    })
    .join("\n")
}

/** Wraps a text into lines indented by `indent` columns. The first line has no indentation. */
const wrap = (text: string, indent: number): string => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + word.length + 1 > columns - indent) {
      lines.push(line)
      line = word
    } else {
      line = line === "" ? word : `${line} ${word}`
    }
  }
  return [...lines, line].join(`\n${" ".repeat(indent)}`)
}
