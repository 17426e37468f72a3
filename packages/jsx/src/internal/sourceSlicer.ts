/**
 * Slices the source of a prompt file: Markdown as written, and the MDX syntax in between.
 */
import { decodeNamedCharacterReference } from "decode-named-character-reference"
import { placeholder } from "../Markdown.ts"
import { withoutLine } from "./joinBlocks.ts"

/** The fields of a parsed node that are used. */
export interface MdxNode {
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

export interface Token {
  readonly type: string
  readonly start: Point
}

/** A parsed expression. */
export interface Program {
  readonly body: ReadonlyArray<{ type: string; expression: Expression }>
}

interface Expression {
  type: string
  [field: string]: unknown
}

/** A file being compiled. */
export interface File {
  readonly fail: (reason: string, position: unknown) => never
}

/** Prefix of the lines of a container: a quotation mark, or the indentation of a list item. */
type Margin = { readonly kind: "quote" } | { readonly kind: "space"; readonly columns: number; readonly text: string }

/**
 * A position in a line. Tabs advance to the next column divisible by 4, as in Markdown; `pad` is the rest of a tab that was cut in
 * two.
 */
interface Cursor {
  readonly offset: number
  readonly column: number
  readonly pad: number
}

type Piece = string | MdxNode

const isElement = ({ type }: MdxNode): boolean => type === "mdxJsxFlowElement" || type === "mdxJsxTextElement"
export const isExpression = ({ type }: MdxNode): boolean => type === "mdxFlowExpression" || type === "mdxTextExpression"
const isContainer = ({ type }: MdxNode): boolean => type === "blockquote" || type === "listItem"

const start = (node: MdxNode): number => node.position?.start.offset ?? 0
const end = (node: MdxNode): number => node.position?.end.offset ?? 0

/** Returns the children of the root: `import` and `export` statements, and one fragment with the slices. */
export const slice = (source: string, root: MdxNode, markers: ReadonlyArray<Token>, file: File): Array<MdxNode> =>
  new SourceSlicer(source, root, markers, file).root()

/** Slices the source of one file. */
class SourceSlicer {
  readonly #source: string
  readonly #root: MdxNode
  /** Offsets of tags: from each `<` to the position after its `>`. */
  readonly #tags: ReadonlyMap<number, number>
  /** The inverse of `#tags`. */
  readonly #tagStarts: ReadonlyMap<number, number>
  /** Escapes that exist because of MDX. */
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
      .filter((position) => isText(position.start))
      .sort((left, right) => left.start - right.start)
  }

  root(): Array<MdxNode> {
    const all = this.#pieces(this.#root, 0, this.#source.length, [])
    const modules = (this.#root.children ?? []).filter(({ type }) => type === "mdxjsEsm")
    return [...modules, { type: "mdxJsxFlowElement", name: null, attributes: [], children: trimmed(all).map(nodeOf) }]
  }

  /** Returns the source between two offsets, without the margins of its lines, split at its holes. */
  #pieces(parent: MdxNode, from: number, to: number, margins: ReadonlyArray<Margin>): ReadonlyArray<Piece> {
    const out: Array<Piece> = []
    let text = ""
    let here = from
    let isDropped = false
    const add = (more: string): void => {
      if (isDropped) {
        // A hole before it is not a line to remove.
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

  /** Creates a hole, with the facts that Markdown needs about its lines. */
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
    return { type: "mdxJsxFlowElement", name: placeholder, attributes, children: [filled] }
  }

  /**
   * Slices an element and its children. The children of a component lose the indentation and line breaks around the tags, since the
   * component decides their place. The children of a tag stay as written.
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

  /** Restores template literals: MDX removes up to two spaces from each further line of an expression. */
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

  /** Returns the decoded text between two offsets, without the margins of lines that start in it. */
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
    for (const position of this.#decoded) {
      if (position.start < here || position.end > to) continue
      out += this.#source.slice(here, position.start) + position.text
      here = position.end
    }
    return out + this.#source.slice(here, to)
  }

  /** Returns the margin of a container from its second line on. */
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

  /** Returns the position on a line where the content of the containers starts. Some of them may start on that line. */
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

  /** Skips margins as far as they exist. */
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

  /** Returns the offset of the line break, or of the end of the file. */
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

/** A part of a template literal, as the parser reports it. */
interface TemplatePart {
  readonly start: number
  readonly end: number
  value: { readonly raw: string; readonly cooked?: string | null | undefined }
}

const isTemplatePart = (tree: object): tree is TemplatePart => "type" in tree && tree.type === "TemplateElement" && "start" in tree

interface Hole {
  readonly node: MdxNode
  /** List items and quotations around it, outermost first. */
  readonly containers: ReadonlyArray<MdxNode>
}

/** Returns the nodes that are not Markdown, in order, without their descendants. */
const holesIn = (parent: MdxNode, containers: ReadonlyArray<MdxNode> = []): ReadonlyArray<Hole> =>
  (parent.children ?? []).flatMap((node) => {
    if (isElement(node) || isExpression(node) || node.type === "mdxjsEsm") return [{ node, containers }]
    return holesIn(node, isContainer(node) ? [...containers, node] : containers)
  })

const pairs = (offsets: ReadonlyArray<number>): ReadonlyArray<readonly [number, number]> =>
  offsets.flatMap((from, index) => (index % 2 === 0 ? [[from, offsets[index + 1] ?? from] as const] : []))

/** Decodes the text of a character reference between `&` and `;`. */
const decoded = (reference: string): string => {
  const [, hex, decimal] = /^#(?:[xX]([0-9a-fA-F]+)|(\d+))$/.exec(reference) ?? []
  if (hex === undefined && decimal === undefined) return decodeNamedCharacterReference(reference) || `&${reference};`
  const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
  const isCharacter = code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
  return isCharacter ? String.fromCodePoint(code) : "\uFFFD"
}

/** Removes blank lines at both ends. */
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
