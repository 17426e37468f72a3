/**
 * The reference of the command line, made from the definitions of its commands, so that it says what they do.
 */

import * as Codec from "@smithers/core/Codec"
import { name as published } from "@smithers/core/Package"
import * as Either from "effect/Either"
import * as JSONSchema from "effect/JSONSchema"
import type * as Schema from "effect/Schema"
import type { Definition } from "./Definition.ts"
import { ErrorReply } from "./Errors.ts"
import { spelling, usage } from "./Help.ts"

type Groups = ReadonlyArray<readonly [title: string, definitions: ReadonlyArray<Definition>]>

const cell = (text: string): string => text.replaceAll("|", "\\|")

const isGlobal = ({ name }: { readonly name: string }): boolean => name === "db" || name === "json"

const schemaName = ({ path }: Definition): string => path.join("-")

const section = (definition: Definition): string => {
  const { path, summary, details, arguments: args, options, examples, isStream } = definition
  const rows = [
    ...args.map(({ name, description }) => `| \`${cell(name)}\` | ${cell(description)} |`),
    ...options
      .filter((option) => !isGlobal(option))
      .map((option) => `| \`${cell(spelling(option))}\` | ${cell(option.description)} |`),
  ]
  const json = `With \`--json\`: ${isStream ? "one document per line, each " : ""}[\`${schemaName(definition)}\`](cli.schema.json).`
  return [
    `### ${path.join(" ")}`,
    details === undefined ? summary : `${summary} ${details}`,
    `\`\`\`\n${usage(definition)}\n\`\`\``,
    ...(rows.length === 0 ? [] : [["| | |", "|---|---|", ...rows].join("\n")]),
    `\`\`\`sh\n${examples.map(({ line, does }) => `# ${does}\n${line}`).join("\n")}\n\`\`\``,
    json,
  ].join("\n\n")
}

/** `docs/cli.md` */
export const markdown = (groups: Groups): string => {
  const all = groups.flatMap(([, definitions]) => definitions)
  const globals = (all[0]?.options ?? [])
    .filter(isGlobal)
    .map((option) => `| \`${cell(spelling(option))}\` | ${cell(option.description)} |`)
  const anchor = ({ path }: Definition) => `[${path.join(" ")}](#${path.join("-")})`
  const contents = groups.map(([title, definitions]) => `| ${title} | ${definitions.map(anchor).join(", ")} |`)
  const intro = `# The command line

<!-- Written by \`bun run docs\` from the definitions in packages/cli/src/commands. -->

\`smithers\` comes with \`${published}\`. Every command has help with an example (\`smithers <command> --help\`), and prints JSON with
\`--json\`: one document on the standard output and nothing else, or one per line where events are followed. What is said on the
way goes to the standard error, and is not said with \`--json\`. With it the standard error also takes what a workflow, or a program that a
workflow starts, writes to its standard output.

| | |
|---|---|
${contents.join("\n")}

## Of all commands

| | |
|---|---|
${globals.join("\n")}
| \`--help\`, \`-h\` | Prints what the command does, with examples |

Options stand anywhere, with their value after a space or a \`=\`. Those that are true or false may say so or not: \`--wait\`, \`--wait true\`,
\`--wait=false\`, \`--no-wait\`. What follows \`--\` is no option. A run is named by its id; commands
that only read also take how it begins, as long as no other begins so.
Where a value is JSON, \`@file\` reads it from a file or a pipe and \`-\` from the standard input: UTF-8 without a byte order mark, at most 64 MB. Times are \`500ms\`, \`30s\`, \`5m\`, \`2h\`, \`7d\`, \`1w\`.

| exit code | |
|---:|---|
| 0 | the run finished, or the command did what it was asked for |
| 1 | the run failed, or the database could not be used |
| 2 | the run was cancelled |
| 3 | the run waits for a person, a signal or a time, or is paused |
| 4 | what was given cannot be used: an option, an input, a file, an id; nothing was changed |
| 129, 130, 143 | stopped by SIGHUP, SIGINT or SIGTERM; a run is let go of first, and can be resumed |
| 141 | stopped because nobody reads any more what it prints as it goes on; a run goes on unread |

An error is printed as its message, and with \`--json\` as [\`error\`](cli.schema.json): \`{"error":{"tag":"NoSuchRun","message":"…","runId":"…"}}\`, with the
ids that it carries. The tags of the runtime's errors are those in [workflows.md](workflows.md). That a run has failed is no error of the command: \`up\` prints it
as the \`error\` of its result, with a \`_tag\`, a \`message\` and the ids, \`inspect\` likewise as \`failure\`. Where the result itself cannot be written (a full disk), the
command says so on the standard error and ends with 1 (\`OutputFailed\`); what nobody reads, as in a pipe that was closed, is no failure.

The working directory of a run is that of the command that runs it, or \`--root\`; runs that a supervisor takes up have that of their
database. Workflows are loaded as they stand, also from folders without \`node_modules\`: \`${published}\`, \`effect\`, \`zod\`, \`react\` and \`ai\` are
those that came with the command wherever a file's folder has none installed. Nothing is ever fetched from a package registry; a package that is missing
is an error that names it, the file that imports it, and the command that installs it.

A database that is found upward and belongs to another user is refused (\`ForeignDatabase\`), since it says which code is run: it has to be named with
\`--db\` or \`SMITHERS_DB\`. Commands that only read change nothing: not the database, which may be another user's or in a folder that cannot be
written, and no file that holds none (\`NoDatabase\`).

What is printed holds no characters that move a cursor, turn text around or cannot be seen: JSON has them as \`\\u…\` escapes, and people see them spelled out.
The output of a run that nobody watches (\`--detach\`, \`supervise\`) goes to \`.smithers/logs\` beside the database, a file per run that only its
owner can read. A link in its place is refused.

Commands that load workflows (\`up\`, \`check\`, \`graph\`, \`workflow run\`) read the \`bunfig.toml\` and the \`.env\` of the folder they are called in, as any
program of a project. All others run no code of that folder and read neither.
`
  const sections = groups.map(([title, definitions]) => [`## ${title}`, ...definitions.map(section)].join("\n\n"))
  return `${[intro.trimEnd(), ...sections].join("\n\n")}\n`
}

/** Throws where a schema has no JSON Schema, such as one that contains itself without an identifier: an empty one would allow anything. */
const schemaOf = (name: string, schema: Schema.Schema.AnyNoContext) => {
  const { jsonSchema } = Codec.make(schema)
  if (jsonSchema === undefined) {
    const why = Either.try({ try: () => JSONSchema.make(schema), catch: (thrown) => (thrown as Error).message })
    const problem = Either.isLeft(why) ? why.left : "it cannot be described"
    throw new Error(`What "${name}" prints has no JSON Schema: ${problem}`)
  }
  const { $schema: _, $defs = {}, ...rest } = jsonSchema
  return { rest, $defs }
}

/**
 * `docs/cli.schema.json`: a JSON Schema for what each command prints, by the words of the command. Throws where one has none, and where a name
 * stands for two schemas.
 */
export const schemas = (groups: Groups): string => {
  const $defs: { [name: string]: unknown } = {}
  const add = (name: string, schema: Schema.Schema.AnyNoContext): void => {
    const made = schemaOf(name, schema)
    for (const [one, described] of [
      ...Object.entries(made.$defs as { readonly [name: string]: unknown }),
      [name, made.rest] as const,
    ]) {
      if (Object.hasOwn($defs, one) && JSON.stringify($defs[one]) !== JSON.stringify(described))
        throw new Error(`"${one}" is the name of two JSON Schemas, one of which "${name}" prints`)
      $defs[one] = described
    }
  }
  for (const definition of groups.flatMap(([, definitions]) => definitions)) add(schemaName(definition), definition.output)
  add("error", ErrorReply)
  // A line per schema, so that a change shows what it changes.
  const lines = Object.entries($defs).map(([name, schema]) => `    ${JSON.stringify(name)}: ${JSON.stringify(schema)}`)
  const head = `  "$schema": "http://json-schema.org/draft-07/schema#",\n  "title": "What smithers prints with --json"`
  return `{\n${head},\n  "$defs": {\n${lines.join(",\n")}\n  }\n}\n`
}
