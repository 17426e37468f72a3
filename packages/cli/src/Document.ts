/**
 * Generates the reference of the command line from the definitions of its commands.
 */

import * as Codec from "@smithers/core/Codec"
import { name as published } from "@smithers/core/Package"
import * as Either from "effect/Either"
import * as JSONSchema from "effect/JSONSchema"
import type * as Schema from "effect/Schema"
import type { Definition, OutputName } from "./Definition.ts"
import { ErrorReply } from "./Errors.ts"
import { spelling, usage } from "./Help.ts"
import * as Output from "./Output.ts"

type Groups = ReadonlyArray<readonly [title: string, definitions: ReadonlyArray<Definition>]>

const cell = (text: string): string => text.replaceAll("|", "\\|")

const isGlobal = ({ name }: { readonly name: string }): boolean => name === "db" || name === "json"

/** Schemas by the names that definitions give. */
type Outputs = Readonly<Record<OutputName, Schema.Schema.AnyNoContext>>

const schemaName = ({ path }: Definition): string => path.join("-")

const section = (definition: Definition): string => {
  const { path, summary, details, lists, arguments: args, options, examples, isStream } = definition
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
    ...lists.map(({ title, rows }) =>
      [`| ${cell(title)} | |`, "|---|---|", ...rows.map(([name, text]) => `| \`${cell(name)}\` | ${cell(text)} |`)].join("\n"),
    ),
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

\`smithers\` comes with \`${published}\`. Every command has help with an example (\`smithers <command> --help\`) and prints JSON with
\`--json\`: one document on standard output, or one per line for streams of events. Progress goes to standard error, and is omitted with
\`--json\`. With \`--json\`, the standard output of a workflow and of the programs it starts is redirected to standard error.

| | |
|---|---|
${contents.join("\n")}

## Of all commands

| | |
|---|---|
${globals.join("\n")}
| \`--help\`, \`-h\` | Print help and examples |

Options may stand anywhere, with the value after a space or a \`=\`. Booleans need no value: \`--wait\`, \`--wait true\`, \`--wait=false\`,
\`--no-wait\`. Arguments after \`--\` are positional. Commands that only read accept any unique prefix of a run's id; commands that change
a run take the full id.
For JSON values, \`@file\` reads from a file or a pipe and \`-\` from standard input: UTF-8 without a byte order mark, at most 64 MB. Times are \`500ms\`, \`30s\`, \`5m\`, \`2h\`, \`7d\`, \`1w\`.

| exit code | |
|---:|---|
| 0 | the run finished, or the command succeeded |
| 1 | the run failed, or the database could not be used |
| 2 | the run was cancelled |
| 3 | the run waits for a person, a signal or a time, or is paused |
| 4 | invalid input: an option, an input, a file, an id. Nothing was changed |
| 129, 130, 143 | stopped by SIGHUP, SIGINT or SIGTERM. The run is released first, and can be resumed |
| 141 | standard output was closed (SIGPIPE) while the command streamed. \`up\` keeps running |

A command prints the message of an error, or with \`--json\` an [\`error\`](cli.schema.json): \`{"error":{"tag":"NoSuchRun","message":"…","runId":"…"}}\`, with the
ids it carries. [Errors](reference/errors.md) lists their tags. A failed run is not an error of the command: \`up\` prints it
as the \`error\` of its result, with a \`_tag\`, a \`message\` and the ids; \`inspect\` prints the same as \`failure\`. If the result cannot be written (a full disk), the
command prints \`OutputFailed\` on standard error and exits with 1. A closed pipe is not a failure.

A run works in the directory of the command that runs it, or in \`--root\`. A run that a supervisor resumes works in the folder of the
database. Workflow files load without a build, also from folders without \`node_modules\`: \`${published}\`, \`effect\`, \`zod\`, \`react\` and \`ai\`
come from the command if the folder of the file has none installed. No package is ever fetched from a registry: a missing one
is an error that names the package, the file that imports it, and the command that installs it.

If the search upward finds a database of another user, the command fails with \`ForeignDatabase\`, since a database names the code that its runs execute. Name it with
\`--db\` or \`SMITHERS_DB\` to use it. Commands that only read change nothing: the database may belong to another user or be in a read-only folder,
and a file without a database stays as it is (\`NoDatabase\`).

Output never contains characters that move the cursor, reverse text or are invisible: JSON has them as \`\\u…\` escapes, and text spells them out.
The output of background runs (\`--detach\`, \`supervise\`) goes to \`.smithers/logs\` beside the database: one file per run, readable only by its
owner. A symbolic link in its place is refused.

Commands that load workflows (\`up\`, \`check\`, \`graph\`, \`workflow run\`) read the \`bunfig.toml\` and the \`.env\` of the current folder, as any
program of a project does. All other commands run no code of that folder and read neither file.
`
  const sections = groups.map(([title, definitions]) => [`## ${title}`, ...definitions.map(section)].join("\n\n"))
  return `${[intro.trimEnd(), ...sections].join("\n\n")}\n`
}

/**
 * Returns the JSON Schema of a command's output. Throws if there is none, as for a recursive schema without an identifier: an empty
 * one would allow any value.
 */
const schemaOf = (name: string, schema: Schema.Schema.AnyNoContext) => {
  const { jsonSchema } = Codec.make(schema)
  if (jsonSchema === undefined) {
    const why = Either.try({ try: () => JSONSchema.make(schema), catch: (thrown) => (thrown as Error).message })
    const problem = Either.isLeft(why) ? why.left : "it cannot be described"
    throw new Error(`The output of "${name}" has no JSON Schema: ${problem}`)
  }
  const { $schema: _, $defs = {}, ...rest } = jsonSchema
  return { rest, $defs }
}

/**
 * Returns `docs/cli.schema.json`: a JSON Schema for the output of each command, by the words of the command. Throws if a command
 * has none, or if one name stands for two schemas.
 */
export const schemas = (groups: Groups, outputs: Outputs = Output): string => {
  const $defs: { [name: string]: unknown } = {}
  const add = (name: string, schema: Schema.Schema.AnyNoContext): void => {
    const made = schemaOf(name, schema)
    for (const [one, described] of [
      ...Object.entries(made.$defs as { readonly [name: string]: unknown }),
      [name, made.rest] as const,
    ]) {
      if (Object.hasOwn($defs, one) && JSON.stringify($defs[one]) !== JSON.stringify(described))
        throw new Error(`Two JSON Schemas have the name "${one}"; one of them is printed by "${name}"`)
      $defs[one] = described
    }
  }
  for (const definition of groups.flatMap(([, definitions]) => definitions)) add(schemaName(definition), outputs[definition.output])
  add("error", ErrorReply)
  // One line per schema keeps diffs readable.
  const lines = Object.entries($defs).map(([name, schema]) => `    ${JSON.stringify(name)}: ${JSON.stringify(schema)}`)
  const head = `  "$schema": "http://json-schema.org/draft-07/schema#",\n  "title": "JSON output of the smithers commands (--json)"`
  return `{\n${head},\n  "$defs": {\n${lines.join(",\n")}\n  }\n}\n`
}
