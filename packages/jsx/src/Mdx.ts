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
import { name as published } from "@smithers/core/Package"
import * as Raised from "@smithers/core/Raised"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { declaration, property } from "./internal/declaration.ts"
import { type Frontmatter, Malformed, split } from "./internal/frontmatter.ts"
import { type File, isExpression, type MdxNode, type Program, slice, type Token } from "./internal/sourceSlicer.ts"

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
  Effect.map(parse(source, options), declaration)

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
          jsxImportSource: jsxImportSource ?? published,
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

interface Processor {
  readonly data: () => { fromMarkdownExtensions?: Array<unknown> }
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
    root.children = slice(source, root, markers, file)
    placeAll(root)
  }
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
