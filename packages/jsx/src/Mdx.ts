/**
 * Compiles prompts written in MDX to ES modules. What sets this apart from MDX on the web: Markdown is not turned into elements. An
 * agent reads Markdown, so the text of the file is passed on as it was written, cut at what MDX adds to it (elements, `{expressions}`,
 * `import` and `export`). MDX's own compiler does the parsing and makes the module; a plugin in it replaces the parsed Markdown by
 * pieces of its source.
 *
 * Only what MDX forces authors to write differently is undone, and not in code: `\{`, `\}`, `\<`, and character references such as
 * `&lt;`. Comments are left out with the line they are on.
 */

import { compileSync, type CompileOptions as MdxOptions } from "@mdx-js/mdx"
import * as Raised from "@smithers/core/Raised"
import { decodeNamedCharacterReference } from "decode-named-character-reference"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Frontmatter, Malformed, split } from "./internal/frontmatter.ts"
import { hole, withoutLine } from "./Markdown.ts"
import type { Inputs, InputType } from "./PromptInput.ts"

/** A prompt file cannot be compiled: MDX, an expression in it or its front matter is malformed. */
export class PromptSyntaxError extends Schema.TaggedError<PromptSyntaxError>()("PromptSyntaxError", {
  file: Schema.String,
  /** Counted from 1, as is `column`. */
  line: Schema.Number,
  column: Schema.Number,
  reason: Schema.String,
}) {
  override get message(): string {
    return `${this.file}:${this.line}:${this.column}: ${this.reason}`
  }
}

export interface CompileOptions {
  /** Names the file in messages, and the component by its last part. Nothing is read from there. */
  readonly path?: string
  /** The package whose `jsx-runtime` makes the elements. */
  readonly jsxImportSource?: string
  /** The module that checks inputs: `@smithers/jsx/PromptInput` by a name that resolves from where the prompt file is. */
  readonly runtimeSource?: string
}

/**
 * Compiles the text of a `.mdx` file to the source of an ES module. Its default export is a component whose props are in scope as
 * `props`; if the front matter declares `inputs`, it throws `PromptInputError` when rendered with others. What else the front matter
 * holds is exported as `frontmatter`, beside the exports of the file itself.
 */
export const compile = (source: string, options: CompileOptions = {}): Effect.Effect<string, PromptSyntaxError> =>
  Effect.map(parse(source, options), ({ code, name, file, exports, frontmatter: { inputs, others } }) =>
    [
      `import { ${code.includes("_smithers_at(") ? "placing as _placing, " : ""}prompt as _prompt } from ${JSON.stringify(options.runtimeSource ?? "@smithers/jsx/PromptInput")};`,
      ...(code.includes("_smithers_at(") ? [`const _smithers_at = _placing(${JSON.stringify(file)});`] : []),
      code.trimEnd(),
      ...(exports.includes("frontmatter") ? [] : [`export const frontmatter = ${JSON.stringify(others)};`]),
      `export default _prompt(MDXContent, ${JSON.stringify({ name, file, inputs })});`,
      "",
    ].join("\n"),
  )

/**
 * The text of a TypeScript declaration for a `.mdx` file. Written to `prompt.d.mdx.ts` beside `prompt.mdx`, it types the props of
 * the prompt wherever TypeScript's `allowArbitraryExtensions` is on. Without `inputs` in the front matter any props are allowed.
 */
export const declarationOf = (source: string, options: CompileOptions = {}): Effect.Effect<string, PromptSyntaxError> =>
  Effect.map(parse(source, options), ({ name, file, exports, frontmatter: { inputs, others } }) => {
    const props = inputs === undefined ? ["readonly [name: string]: unknown"] : fieldsOf(inputs)
    const members = [
      ...props,
      ...(inputs === undefined ? [] : ["readonly children?: React.ReactNode", "readonly components?: object"]),
    ]
    return [
      `// Made from ${file.split(/[\\/]/).at(-1)}, and made again whenever that changes.`,
      `import type * as React from "react"`,
      "",
      `declare const ${name}: (props: {`,
      ...members.map((member) => `  ${member}`),
      "}) => React.ReactElement",
      `export default ${name}`,
      "",
      ...(exports.includes("frontmatter") ? [] : [`export declare const frontmatter: ${typeOfValue(others)}`]),
      ...exports.map((other) =>
        /^[A-Z]/.test(other)
          ? `export declare const ${other}: (props: { readonly [name: string]: unknown }) => React.ReactNode`
          : `export declare const ${other}: unknown`,
      ),
      "",
    ].join("\n")
  })

const fieldsOf = (inputs: Inputs): ReadonlyArray<string> =>
  Object.entries(inputs).map(
    ([name, { type, isOptional }]) =>
      `readonly ${property(name)}${isOptional ? "?" : ""}: ${typeText(type)}${isOptional ? " | undefined" : ""}`,
  )

const property = (name: string): string => (/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) ? name : JSON.stringify(name))

const typeText = (type: InputType): string => {
  switch (type.kind) {
    case "any":
      return "unknown"
    case "literal":
      return JSON.stringify(type.value)
    case "array":
      return `ReadonlyArray<${typeText(type.of)}>`
    case "union":
      return type.of.map(typeText).join(" | ")
    case "fields":
      return `{ ${fieldsOf(type.fields).join("; ")} }`
    default:
      return type.kind
  }
}

const typeOfValue = (value: unknown): string => {
  if (value === null) return "null"
  if (Array.isArray(value)) return `ReadonlyArray<${[...new Set(value.map(typeOfValue))].join(" | ") || "never"}>`
  if (typeof value !== "object") return typeof value
  const fields = Object.entries(value).map(([name, field]) => `readonly ${property(name)}: ${typeOfValue(field)}`)
  return fields.length === 0 ? "{}" : `{ ${fields.join("; ")} }`
}

interface Parsed {
  readonly code: string
  readonly name: string
  readonly file: string
  readonly exports: ReadonlyArray<string>
  readonly frontmatter: Frontmatter
}

const parse = (
  source: string,
  { path = "prompt.mdx", jsxImportSource }: CompileOptions,
): Effect.Effect<Parsed, PromptSyntaxError> =>
  Effect.try({
    try: () => {
      // The text is the same wherever it was checked out.
      const frontmatter = split(source.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n"))
      const exports: Array<string> = []
      const code = compileSync(
        { value: frontmatter.body, path },
        {
          jsxImportSource: jsxImportSource ?? "smithers-orchestrator",
          remarkPlugins: [[sourceText, frontmatter.body]] as unknown as NonNullable<MdxOptions["remarkPlugins"]>,
          recmaPlugins: [[withoutDefaultExport, exports]],
        },
      )
      return { code: `${code}`, name: componentName(path), file: path, exports, frontmatter }
    },
    catch: (error) => {
      if (error instanceof Malformed) {
        return new PromptSyntaxError({ file: path, line: error.line, column: error.column, reason: error.message })
      }
      const [reason, line, column] = ["reason", "line", "column"].map((field) => Raised.get(error, field))
      // What is not about the file is a defect of this module.
      if (typeof reason !== "string") throw error
      return new PromptSyntaxError({ file: path, line: Number(line ?? 1), column: Number(column ?? 1), reason })
    },
  })

const componentName = (path: string): string => {
  const [base = ""] = (path.split(/[\\/]/).at(-1) ?? "").split(".")
  const words = base.split(/[^\p{L}\p{N}]+/u).map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
  const name = words.join("")
  return /^\p{Lu}/u.test(name) && property(name) === name ? name : `Prompt${property(`_${name}`) === `_${name}` ? name : ""}`
}

/** What is used of the nodes of the parsed file. */
interface MdxNode {
  readonly type: string
  readonly name?: string | null
  readonly value?: string
  readonly attributes?: ReadonlyArray<{ readonly value?: Pick<MdxNode, "data"> | string | null }>
  children?: Array<MdxNode>
  readonly data?: { readonly estree?: Program }
  readonly position?: { readonly start: Point; readonly end: Point }
}

interface Point {
  readonly line: number
  readonly column: number
  readonly offset: number
}

interface Token {
  readonly type: string
  readonly start: Point
}

interface Processor {
  readonly data: () => { fromMarkdownExtensions?: Array<unknown> }
}

interface File {
  readonly fail: (reason: string, place: unknown) => never
}

/** The plugin. Markers tell exactly where tags, escapes and references stand; of the nodes only the outer positions are known. */
function sourceText(this: Processor, source: string) {
  const markers: Array<Token> = []
  const see = (token: Token): void => {
    markers.push(token)
  }
  const seen = ["mdxJsxFlowTagMarker", "mdxJsxTextTagMarker", "mdxTextExpressionMarker", "escapeMarker", "characterReferenceMarker"]
  const data = this.data()
  data.fromMarkdownExtensions = [
    ...(data.fromMarkdownExtensions ?? []),
    { enter: Object.fromEntries(seen.map((type) => [type, see])) },
  ]
  return (root: MdxNode, file: File): void => {
    root.children = new Cut(source, root, markers, file).root()
    placeAll(root)
  }
}

interface Program {
  readonly body: ReadonlyArray<{ type: string; expression: Expression }>
}

interface Expression {
  type: string
  [field: string]: unknown
}

/** Has what an expression throws say in which line it stands. */
const placeAll = (root: MdxNode): void => {
  const open: Array<MdxNode> = [root]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    open.push(...(node.children ?? []))
    const line = node.position?.start.line
    if (line === undefined) continue
    if (isExpression(node)) place(node.data?.estree, line)
    for (const { value } of node.attributes ?? []) {
      if (typeof value === "object" && value !== null) place(value.data?.estree, line)
    }
  }
}

const place = (program: Program | undefined, line: number): void => {
  const [statement] = program?.body ?? []
  if (statement?.type !== "ExpressionStatement") return
  const { expression } = statement
  // What cannot throw is left as it is, and what is awaited stays where it may be.
  if (expression.type === "Literal" || expression.type === "Identifier" || awaits(expression)) return
  statement.expression = {
    type: "CallExpression",
    optional: false,
    callee: { type: "Identifier", name: "_smithers_at" },
    arguments: [
      { type: "Literal", value: line },
      { type: "ArrowFunctionExpression", expression: true, generator: false, async: false, params: [], body: expression },
    ],
  }
}

const awaits = (tree: unknown): boolean =>
  typeof tree === "object" &&
  tree !== null &&
  (("type" in tree && tree.type === "AwaitExpression") || Object.values(tree).some(awaits))

/** Compiled prompts export their component with the check around it. Notes what else they export. */
const withoutDefaultExport = (exports: Array<string>) => (program: { body: Array<Statement> }) => {
  program.body = program.body.map((statement) =>
    statement.type === "ExportDefaultDeclaration" && statement.declaration != null ? statement.declaration : statement,
  )
  for (const { type, declaration, specifiers } of program.body) {
    if (type !== "ExportNamedDeclaration") continue
    for (const { exported } of specifiers ?? []) if (exported.name !== undefined) exports.push(exported.name)
    for (const { id } of declaration?.declarations ?? []) if (id.name !== undefined) exports.push(id.name)
    if (declaration?.id?.name !== undefined) exports.push(declaration.id.name)
  }
}

interface Statement {
  readonly type: string
  readonly declaration?: (Statement & { readonly declarations?: ReadonlyArray<{ readonly id: { readonly name?: string } }> }) | null
  readonly specifiers?: ReadonlyArray<{ readonly exported: { readonly name?: string } }>
  readonly id?: { readonly name?: string } | null
}

/** What the lines of a container begin with: a quotation's mark, or the indentation of a list item. */
type Margin = { readonly kind: "quote" } | { readonly kind: "space"; readonly columns: number; readonly text: string }

/** A place in a line. Tabs count as in Markdown, to the next column divisible by 4; `pad` is what is left of one cut in two. */
interface Cursor {
  readonly offset: number
  readonly column: number
  readonly pad: number
}

type Piece = string | MdxNode

const isElement = ({ type }: MdxNode): boolean => type === "mdxJsxFlowElement" || type === "mdxJsxTextElement"
const isExpression = ({ type }: MdxNode): boolean => type === "mdxFlowExpression" || type === "mdxTextExpression"
const isContainer = ({ type }: MdxNode): boolean => type === "blockquote" || type === "listItem"

const start = (node: MdxNode): number => node.position?.start.offset ?? 0
const end = (node: MdxNode): number => node.position?.end.offset ?? 0

/** Cuts the source of one file into pieces. */
class Cut {
  readonly #source: string
  readonly #root: MdxNode
  /** From the `<` of every tag to what is after its `>`. */
  readonly #tags: ReadonlyMap<number, number>
  /** The same from the other end. */
  readonly #tagStarts: ReadonlyMap<number, number>
  /** What is written differently because of MDX. */
  readonly #decoded: ReadonlyArray<{ readonly start: number; readonly end: number; readonly text: string }>

  constructor(source: string, root: MdxNode, markers: ReadonlyArray<Token>, file: File) {
    this.#source = source
    this.#root = root
    const offsets = (...types: ReadonlyArray<string>): ReadonlyArray<number> =>
      markers
        .filter(({ type }) => types.includes(type))
        .map(({ start: { offset } }) => offset)
        .sort((left, right) => left - right)
    const tags = pairs(offsets("mdxJsxFlowTagMarker", "mdxJsxTextTagMarker"))
    this.#tags = new Map(tags.map(([from, to]) => [from, to + 1]))
    this.#tagStarts = new Map(tags.map(([from, to]) => [to + 1, from]))

    const texts: Array<MdxNode> = []
    const visit = (node: MdxNode): void => {
      if (node.type === "text") texts.push(node)
      if (node.type === "image" || node.type === "imageReference") {
        const inside = markers.find(
          ({ type, start: { offset } }) => type.startsWith("mdx") && offset > start(node) && offset < end(node),
        )
        if (inside !== undefined)
          file.fail("the text of an image cannot hold expressions or elements: write <img alt={…} src=… />", inside)
      }
      for (const child of node.children ?? []) visit(child)
    }
    visit(root)
    const isText = (offset: number): boolean => texts.some((node) => offset >= start(node) && offset < end(node))
    const escapes = offsets("escapeMarker")
      .filter((offset) => "{}<".includes(source[offset + 1] ?? " "))
      .map((offset) => ({ start: offset, end: offset + 2, text: source.slice(offset + 1, offset + 2) }))
    const references = pairs(offsets("characterReferenceMarker")).map(([from, to]) => ({
      start: from,
      end: to + 1,
      text: decoded(source.slice(from + 1, to)),
    }))
    this.#decoded = [...escapes, ...references]
      .filter((place) => isText(place.start))
      .sort((left, right) => left.start - right.start)
  }

  /** The children of the root: what was there of `import` and `export`, and one fragment. */
  root(): Array<MdxNode> {
    const all = this.#pieces(this.#root, 0, this.#source.length, [])
    const modules = (this.#root.children ?? []).filter(({ type }) => type === "mdxjsEsm")
    return [...modules, { type: "mdxJsxFlowElement", name: null, attributes: [], children: trimmed(all).map(nodeOf) }]
  }

  /** The source between two offsets with the margins taken off its lines, cut at the holes in it. */
  #pieces(parent: MdxNode, from: number, to: number, margins: ReadonlyArray<Margin>): ReadonlyArray<Piece> {
    const out: Array<Piece> = []
    let text = ""
    let here = from
    let isDropped = false
    const add = (more: string): void => {
      if (isDropped) {
        // A hole before it is no line of its own to take away.
        const mark = out.length > 0 ? "\0" : ""
        const [before, after] = withoutLine(mark + text, more)
        text = before.slice(mark.length) + after
      } else {
        text += more
      }
      isDropped = false
    }
    for (const { node, containers } of holesIn(parent)) {
      add(this.#text(here, start(node), margins))
      here = end(node)
      if (node.type === "mdxjsEsm" || (isExpression(node) && node.data?.estree?.body.length === 0)) {
        isDropped = true
        continue
      }
      if (text !== "") out.push(text)
      text = ""
      out.push(this.#filled(node, containers, to, margins))
    }
    add(this.#text(here, to, margins))
    if (text !== "") out.push(text)
    return out
  }

  /** A hole, with what Markdown has to know about the lines it is on. */
  #filled(node: MdxNode, containers: ReadonlyArray<MdxNode>, to: number, margins: ReadonlyArray<Margin>): MdxNode {
    const line = this.#lineStart(start(node))
    const inner: Array<Margin> = []
    for (const [index, container] of containers.entries()) {
      inner.push(this.#marginOf(container, containers.slice(0, index), margins, inner))
    }
    const cursor = this.#contentOn(line, containers, margins, inner)
    const isLead = /^[ \t]*$/.test(this.#source.slice(cursor.offset, start(node)))
    const columns = isLead ? this.#columnAt(start(node)) - cursor.column : 0
    const own: ReadonlyArray<Margin> = columns > 0 ? [{ kind: "space", columns, text: " ".repeat(columns) }] : []
    const all = [...inner, ...own]
    const prefix = all.map((margin) => (margin.kind === "quote" ? "> " : margin.text)).join("")
    const after = this.#source.slice(end(node), to)
    const isLast = /^[ \t]*\n/.test(after) || (/^[ \t]*$/.test(after) && to === this.#source.length)
    const isAlone = isLead && isLast

    this.#restoreTemplates(node.data, [...margins, ...inner])
    this.#restoreTemplates(node.attributes, [...margins, ...inner])
    const filled = isElement(node) ? this.#element(node, [...margins, ...all]) : node
    if (prefix === "" && !isAlone) return filled
    const attributes = [
      ...(prefix === "" ? [] : [{ type: "mdxJsxAttribute", name: "prefix", value: prefix }]),
      ...(isAlone ? [{ type: "mdxJsxAttribute", name: "alone", value: null }] : []),
    ]
    return { type: "mdxJsxFlowElement", name: hole, attributes, children: [filled] }
  }

  /**
   * An element with its children cut likewise. What is inside a component goes wherever the component puts it, so that the indentation and
   * the line breaks it has for the sake of the tags are taken off; what is inside a tag stays as it is written.
   */
  #element(node: MdxNode, margins: ReadonlyArray<Margin>): MdxNode {
    const from = this.#tags.get(start(node)) ?? end(node)
    const to = this.#tagStarts.get(end(node)) ?? from
    if (from >= to) return { ...node, children: [] }
    const isTag = /^[a-z][^.]*$/.test(node.name ?? "")
    if (isTag) return { ...node, children: this.#pieces(node, from, to, margins).map(nodeOf) }
    const columns = this.#commonIndent(node, from, to, margins)
    const all = this.#pieces(node, from, to, [...margins, { kind: "space", columns, text: "" }])
    return { ...node, children: trimmed(all).map(nodeOf) }
  }

  /** MDX takes up to two spaces off every further line of an expression. Template strings get back what the file says. */
  #restoreTemplates(tree: unknown, margins: ReadonlyArray<Margin>): void {
    if (typeof tree !== "object" || tree === null) return
    if (isTemplatePart(tree)) {
      const raw = this.#lines(tree.start, tree.end, margins, (from, to) => this.#source.slice(from, to))
      const withoutIndent = (text: string): string => text.replace(/\n[ \t]+/g, "\n")
      if (withoutIndent(raw) !== withoutIndent(tree.value.raw)) return
      tree.value = { raw, cooked: raw.includes("\\") ? tree.value.cooked : raw }
      return
    }
    for (const [name, inner] of Object.entries(tree)) if (name !== "position") this.#restoreTemplates(inner, margins)
  }

  #commonIndent(parent: MdxNode, from: number, to: number, margins: ReadonlyArray<Margin>): number {
    const holes = holesIn(parent).map(({ node }) => node)
    let common = Number.POSITIVE_INFINITY
    for (let line = this.#lineEnd(from) + 1; line < to; line = this.#lineEnd(line) + 1) {
      if (holes.some((node) => start(node) < line && line < end(node))) continue
      const cursor = this.#strip(line, margins)
      const text = this.#source.slice(cursor.offset, Math.min(this.#lineEnd(line), to))
      const [space = ""] = /^[ \t]*/.exec(text) ?? []
      if (space.length < text.length) common = Math.min(common, this.#columnAt(cursor.offset + space.length) - cursor.column)
    }
    return Number.isFinite(common) ? common : 0
  }

  /** The text between two offsets: margins taken off every line that begins in it, and decoded. */
  #text(from: number, to: number, margins: ReadonlyArray<Margin>): string {
    return this.#lines(from, to, margins, (start, end) => this.#decodedText(start, end))
  }

  #lines(from: number, to: number, margins: ReadonlyArray<Margin>, read: (from: number, to: number) => string): string {
    let out = ""
    let here = from
    while (here < to) {
      const next = Math.min(this.#lineEnd(here) + 1, to)
      out += read(here, next)
      here = next
      if (here < to && this.#source[here - 1] === "\n") {
        const cursor = this.#strip(here, margins)
        out += " ".repeat(cursor.pad)
        here = Math.min(cursor.offset, to)
      }
    }
    return out
  }

  #decodedText(from: number, to: number): string {
    let out = ""
    let here = from
    for (const place of this.#decoded) {
      if (place.start < here || place.end > to) continue
      out += this.#source.slice(here, place.start) + place.text
      here = place.end
    }
    return out + this.#source.slice(here, to)
  }

  /** The margin of a container, as it is from its second line on. */
  #marginOf(
    container: MdxNode,
    around: ReadonlyArray<MdxNode>,
    margins: ReadonlyArray<Margin>,
    outer: ReadonlyArray<Margin>,
  ): Margin {
    if (container.type === "blockquote") return { kind: "quote" }
    const { column } = this.#contentOn(this.#lineStart(start(container)), around, margins, outer)
    const columns = this.#columnAt(this.#contentStart(container)) - column
    return { kind: "space", columns, text: " ".repeat(columns) }
  }

  /** Where on a line the content of the containers begins, some of which may begin on that very line. */
  #contentOn(
    line: number,
    containers: ReadonlyArray<MdxNode>,
    margins: ReadonlyArray<Margin>,
    inner: ReadonlyArray<Margin>,
  ): Cursor {
    let cursor = this.#strip(line, margins)
    for (const [index, container] of containers.entries()) {
      if (this.#lineStart(start(container)) === line) {
        const offset = this.#contentStart(container)
        cursor = { offset, column: this.#columnAt(offset), pad: 0 }
      } else {
        cursor = this.#strip(cursor, inner.slice(index, index + 1))
      }
    }
    return cursor
  }

  #contentStart(container: MdxNode): number {
    const from = start(container)
    const marker = /^(?:>|[-*+]|\d+[.)])/.exec(this.#source.slice(from, from + 12))?.[0] ?? ""
    const after = from + marker.length
    const [first] = container.children ?? []
    if (container.type === "listItem" && first !== undefined && start(first) < this.#lineEnd(from)) return start(first)
    return /[ \t]/.test(this.#source[after] ?? "") ? after + 1 : after
  }

  /** Goes past margins, as far as they are there. */
  #strip(from: number | Cursor, margins: ReadonlyArray<Margin>): Cursor {
    let { offset, column, pad } = typeof from === "number" ? { offset: from, column: this.#columnAt(from), pad: 0 } : from
    const space = (): boolean => {
      if (pad > 0) {
        pad--
        column++
        return true
      }
      const character = this.#source[offset]
      if (character !== " " && character !== "\t") return false
      if (character === "\t") pad = 3 - (column % 4)
      offset++
      column++
      return true
    }
    for (const margin of margins) {
      if (margin.kind === "space") {
        for (let count = 0; count < margin.columns && space(); count++);
        continue
      }
      const quoted = /^[ \t]*>/.exec(this.#source.slice(offset, this.#lineEnd(offset)))
      if (quoted === null) continue
      offset += quoted[0].length
      column = this.#columnAt(offset)
      pad = 0
      space()
    }
    return { offset, column, pad }
  }

  #lineStart(offset: number): number {
    return this.#source.lastIndexOf("\n", offset - 1) + 1
  }

  /** The offset of the line break, or of the end of the file. */
  #lineEnd(offset: number): number {
    const found = this.#source.indexOf("\n", offset)
    return found === -1 ? this.#source.length : found
  }

  #columnAt(offset: number): number {
    let column = 0
    for (const character of this.#source.slice(this.#lineStart(offset), offset)) column += character === "\t" ? 4 - (column % 4) : 1
    return column
  }
}

/** A piece of a template string, as the parser of expressions has it. */
interface TemplatePart {
  readonly start: number
  readonly end: number
  value: { readonly raw: string; readonly cooked?: string | null | undefined }
}

const isTemplatePart = (tree: object): tree is TemplatePart => "type" in tree && tree.type === "TemplateElement" && "start" in tree

interface Hole {
  readonly node: MdxNode
  /** The list items and quotations around it, outermost first. */
  readonly containers: ReadonlyArray<MdxNode>
}

/** What is not Markdown, in order; what is inside of that is left to it. */
const holesIn = (parent: MdxNode, containers: ReadonlyArray<MdxNode> = []): ReadonlyArray<Hole> =>
  (parent.children ?? []).flatMap((node) => {
    if (isElement(node) || isExpression(node) || node.type === "mdxjsEsm") return [{ node, containers }]
    return holesIn(node, isContainer(node) ? [...containers, node] : containers)
  })

const pairs = (offsets: ReadonlyArray<number>): ReadonlyArray<readonly [number, number]> =>
  offsets.flatMap((from, index) => (index % 2 === 0 ? [[from, offsets[index + 1] ?? from] as const] : []))

/** The character a reference stands for, given what is between `&` and `;`. */
const decoded = (reference: string): string => {
  const [, hex, decimal] = /^#(?:[xX]([0-9a-fA-F]+)|(\d+))$/.exec(reference) ?? []
  if (hex === undefined && decimal === undefined) return decodeNamedCharacterReference(reference) || `&${reference};`
  const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
  const isCharacter = code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
  return isCharacter ? String.fromCodePoint(code) : "\uFFFD"
}

/** Without the blank lines at both ends. */
const trimmed = (all: ReadonlyArray<Piece>): ReadonlyArray<Piece> =>
  all
    .map((piece, index) => {
      if (typeof piece !== "string") return piece
      const opened = index === 0 ? piece.replace(/^(?:[ \t]*\n)+/, "") : piece
      return index === all.length - 1 ? opened.replace(/\n\s*$/, "") : opened
    })
    .filter((piece) => piece !== "")

const nodeOf = (piece: Piece): MdxNode =>
  typeof piece !== "string"
    ? piece
    : {
        type: "mdxFlowExpression",
        data: { estree: literal(piece) },
      }

const literal = (value: string) => ({
  type: "Program",
  sourceType: "module",
  comments: [],
  body: [{ type: "ExpressionStatement", expression: { type: "Literal", value } }],
})
