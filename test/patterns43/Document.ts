/** Writes docs/patterns43.md: the patterns, with their programs as they stand in the files that are run. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { entries, type Form, type Numbered, type Pattern, summaryOf } from "./Patterns.ts"

interface Source {
  readonly language: "ts" | "tsx"
  readonly helpers: string
  readonly programs: Numbered<string>
}

const outdented = (lines: ReadonlyArray<string>): string => lines.map((line) => line.replace(/^ {2}/, "")).join("\n")

/** The programs of a front end, as they stand in its file. */
const sourceOf = (file: string): Source => {
  const text = readFileSync(join(import.meta.dirname, file), "utf8")
  const between = (start: string, end: string): string => (text.split(start)[1] ?? "").split(end)[0] ?? ""
  const programs: Record<number, string> = {}
  for (const entry of between("programs: Numbered<Program> = {\n", "\n}\n").split(/\n(?= {2}\d+: )/)) {
    const [, number, first = ""] = /^ {2}(\d+): (.*)/.exec(entry) ?? []
    const [, ...rest] = entry.split("\n")
    const code = outdented([`  ${first}`, ...rest]).replace(/,$/, "")
    programs[Number(number)] = code.replace(/^(?:built|drawn|deep)\(([\s\S]*)\)$/, "$1")
  }
  return { language: file.endsWith("x") ? "tsx" : "ts", helpers: between("// helpers\n", "// end\n").trim(), programs }
}

const block = ({ language }: Source, code: string): string => `\`\`\`${language}\n${code}\n\`\`\``

const said = ({ is, with: form }: Form): string => (is === "direct" ? `directly: ${form}` : `by ${form}`)

const section = ([number, pattern]: readonly [number, Pattern], builder: Source, components: Source): string => {
  const { name, says, plot, begun } = pattern
  return [
    `## ${number}. ${name}`,
    [
      says,
      ...(plot === undefined ? [] : [plot.words]),
      `Done, in this order: ${begun
        .split(" ")
        .map((id) => `\`${id}\``)
        .join(", ")}.`,
    ].join(" "),
    `Builder, ${said(pattern.builder)}.`,
    block(builder, builder.programs[number] ?? ""),
    `Components, ${said(pattern.components)}.`,
    block(components, components.programs[number] ?? ""),
  ].join("\n\n")
}

/** The document. */
export const markdown = (): string => {
  const [builder, components] = [sourceOf("Builder.ts"), sourceOf("Components.tsx")]
  const rows = entries.map(
    ([number, { name, says, builder, components }]) => `| ${number} | ${name} | ${says} | ${builder.is} | ${components.is} |`,
  )
  return `${[
    "# The 43 control-flow patterns",
    "<!-- Written by `bun run docs` from test/patterns43. -->",
    `The patterns that Russell, ter Hofstede, van der Aalst and Mulyar collected in *Workflow Control-Flow Patterns* (2006), in both front ends. A pattern is said
directly where a node, with its options, says it, and otherwise by the shortest form there is.`,
    `- Builder: ${summaryOf("builder")}.\n- Components: ${summaryOf("components")}.`,
    `Each program below is run with a kill before and after each of its commits. It ends each time as it does without one, and each output is stored once. The
code of a step is called once; once more where the process died while it was at work, and never again once its end was stored.`,
    ["| | pattern | what it is | builder | components |", "|---|---|---|---|---|", ...rows].join("\n"),
    "## What the programs use",
    block(builder, builder.helpers),
    block(components, components.helpers),
    ...entries.map((entry) => section(entry, builder, components)),
  ].join("\n\n")}\n`
}
