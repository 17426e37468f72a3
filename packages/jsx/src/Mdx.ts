/**
 * Compiles prompts in MDX to ES modules. Unlike MDX for the web, Markdown does not become elements, since an agent reads Markdown.
 * The text of the file is kept as written, split at what MDX adds: elements, `{expressions}`, `import` and `export`. MDX's compiler
 * parses the file and generates the module; a plugin replaces the parsed Markdown by slices of the source.
 *
 * Escapes that MDX requires are undone, except in code: `\{`, `\}`, `\<`, and character references such as `&lt;`. Comments are
 * removed with their line.
 */

import { compileSync, type CompileOptions as MdxOptions } from "@mdx-js/mdx"
import * as Later from "@smithers/core/Later"
import { name as published } from "@smithers/core/Package"
import * as Thrown from "@smithers/core/Thrown"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { declaration, property } from "./internal/declaration.ts"
import { type Frontmatter, Malformed, split } from "./internal/frontmatter.ts"
import { type File, isExpression, type MdxNode, type Program, slice, type Token } from "./internal/sourceSlicer.ts"

/** A prompt file does not compile: its MDX, an expression in it or its front matter is malformed. */
export class PromptSyntaxError extends Later.TaggedError<PromptSyntaxError>()("PromptSyntaxError", {
  file: Schema.String,
  /** Line, from 1, like `column`. */
  line: Schema.Number,
  column: Schema.Number,
  reason: Schema.String,
}) {
  override get message(): string {
    return `${this.file}:${this.line}:${this.column}: ${this.reason}`
  }
}

export interface CompileOptions {
  /** Path for messages. Its last part names the component. Nothing is read from it. */
  readonly path?: string
  /** Package whose `jsx-runtime` creates the elements. */
  readonly jsxImportSource?: string
  /** Module that validates inputs: `@smithers/jsx/PromptInput`, under a name that resolves from the prompt file. */
  readonly runtimeSource?: string
}

/**
 * Compiles a `.mdx` file to the source of an ES module. Its default export is a component whose props are in scope as `props`. If
 * the front matter declares `inputs`, rendering with other props throws `PromptInputError`. The rest of the front matter is
 * exported as `frontmatter`, beside the exports of the file.
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
 * Returns a TypeScript declaration for a `.mdx` file. As `prompt.d.mdx.ts` beside `prompt.mdx`, it types the props of the prompt
 * with TypeScript's `allowArbitraryExtensions`. Without `inputs` in the front matter, any props are allowed.
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
      // Line ends must not depend on the checkout.
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
      const [reason, line, column] = ["reason", "line", "column"].map((field) => Thrown.get(error, field))
      // Errors that are not about the file are defects of this module.
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

/** The plugin. Markers give the positions of tags, escapes and references; nodes only have outer positions. */
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

/** Makes expressions that throw report their line. */
const placeAll = (root: MdxNode): void => {
  const open: Array<MdxNode> = [root]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    open.push(...(node.children ?? []))
    const line = node.position?.start.line
    if (line === undefined) continue
    if (isExpression(node)) addAt(node.data?.estree, line)
    for (const { value } of node.attributes ?? []) {
      if (typeof value === "object" && value !== null) addAt(value.data?.estree, line)
    }
  }
}

const addAt = (program: Program | undefined, line: number): void => {
  const [statement] = program?.body ?? []
  if (statement?.type !== "ExpressionStatement") return
  const { expression } = statement
  // Keeps expressions that cannot throw, and those with `await`.
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

/** Wraps the default export of a compiled prompt in its validation, and records the other exports. */
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
