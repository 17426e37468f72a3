/**
 * From a tree of prompt nodes to the Markdown an agent reads. Text is Markdown already and is passed on as it is: nothing in it is
 * escaped, encoded, re-wrapped or re-indented, since it may hold values (a file, a diff) that have to arrive unharmed. What this
 * module adds is only the notation for elements, and the line breaks between elements and what stands beside them.
 *
 * Two things may surprise. Text is never dedented, not even when every line of it is indented as in a template string: once a value
 * has been interpolated nobody can tell its indentation from that of the template. `Dedent` can, since a tag
 * sees the two apart. And tags that are not HTML's (`<context source="x">`) are kept as tags, as they are common in prompts.
 */

import { block, inline, isBlank, isInterrupting, join, type Piece, prefixed, trimBlankLines } from "./internal/joinBlocks.ts"

/** A piece of a prompt: text, or an element with pieces inside. */
export type PromptNode = string | PromptElement

/** An element as a host tree has it: the name of its tag, its props (`children` among them is ignored) and what is inside. */
export interface PromptElement {
  readonly type: string
  readonly props: { readonly [name: string]: unknown }
  readonly children: ReadonlyArray<PromptNode>
}

/**
 * The element that compiled MDX puts around what is filled in. Its prop `prefix` is what the lines after the first begin with, so that
 * they stay in the list item or quotation the hole is in; with `alone`, its lines hold nothing else and go if it turns out empty.
 */
export const hole = "smithers:hole"

/**
 * Renders a prompt as Markdown. Never fails: an element that is used where it makes no sense is rendered as well as it can be.
 * Blank lines at both ends are left out; everything else of the text comes out as it went in.
 *
 * Headings, paragraphs, lists, code, emphasis, links, images, quotations, rules, line breaks and tables become Markdown (GFM for `del` and
 * tables); `div`, `section` and `article` only set their content apart, `span` does not even that; all others are kept as tags.
 */
export const render = (nodes: ReadonlyArray<PromptNode>): string => trimBlankLines(content(nodes))

/** The content of an element that sets it apart or not, as one text. */
const content = (nodes: ReadonlyArray<PromptNode>): string => join(nodes.flatMap(pieces))

const pieces = (node: PromptNode): ReadonlyArray<Piece> => {
  if (typeof node === "string") return inline(node)
  const { type, props, children } = node
  switch (type) {
    case "div":
    case "section":
    case "article":
      return [{ kind: "boundary" }, ...children.flatMap(pieces), { kind: "boundary" }]
    case "smithers:prompt":
      return isBlocks(children)
        ? [{ kind: "boundary" }, ...children.flatMap(pieces), { kind: "boundary" }]
        : children.flatMap(pieces)
    case "span":
      return children.flatMap(pieces)
    case hole:
      return filled(node)
    case "h1":
    case "h2":
    case "h3":
    case "h4":
    case "h5":
    case "h6":
      return block(heading(Number(type[1]), oneLine(children)))
    case "p":
      return paragraph(children)
    case "strong":
    case "b":
      return emphasis(children, "**")
    case "em":
    case "i":
      return emphasis(children, emphasisMarker(children))
    case "del":
      return emphasis(children, "~~")
    case "code": {
      const text = rawText(children)
      return text.includes("\n") ? block(fenced(text, languageOf(node))) : inline(codeSpan(text))
    }
    case "pre":
      return block(fenced(rawText(children), languageOf(node)))
    case "ul":
    case "ol":
      return list(node)
    case "blockquote":
      return block(prefixed(`> ${trimBlankLines(content(children))}`, "> ").trimEnd())
    case "hr":
      return block("---")
    case "br":
      return inline("  \n")
    case "a":
      return link(content(children), props)
    case "img":
      return inline(`![${textOf(props.alt)}](${destination(textOf(props.src))}${title(props.title)})`)
    case "table":
      return table(node)
    default:
      return tag(node)
  }
}

/** Whether the text of a prompt file is more than a phrase: several lines, or one that Markdown takes for a block. */
const isBlocks = (children: ReadonlyArray<PromptNode>): boolean => {
  const text = content(children).trim()
  return text.includes("\n") || /^(#{1,6} |[-*+] |\d+[.)] |> |```|~~~)/.test(text)
}

const filled = ({ props, children }: PromptElement): ReadonlyArray<Piece> => {
  const prefix = textOf(props.prefix)
  const inner = children.flatMap(pieces)
  const isBlock = inner.some(({ kind }) => kind === "block" || kind === "boundary")
  const text = isBlock ? trimBlankLines(join(inner)) : join(inner)
  if (text === "") return props.alone === true ? [{ kind: "nothing" }] : []
  const [only] = inner
  if (isBlock) {
    const isList = inner.length === 1 && only?.kind === "block" && only.list !== undefined
    return [{ kind: "block", text: prefixed(text, prefix), prefix, ...(isList ? { list: only.list } : {}) }]
  }
  return [{ kind: inner.length === 1 && only?.kind === "tag" ? "tag" : "inline", text: prefixed(text, prefix) }]
}

/** Text on one line, for what cannot have more. */
const oneLine = (nodes: ReadonlyArray<PromptNode>): string =>
  content(nodes)
    .trim()
    .replace(/\s*\n\s*/g, " ")

/** A `#` at the end of a heading would be taken for its closing mark, unless there is one. */
const heading = (level: number, text: string): string =>
  `${"#".repeat(level)} ${text}${/(?:^|[ \t])#+$/.test(text) ? " #" : ""}`.trimEnd()

const paragraph = (children: ReadonlyArray<PromptNode>): ReadonlyArray<Piece> => {
  const text = trimBlankLines(content(children)).replace(/^[ \t]+/, "")
  return text === "" ? [{ kind: "boundary" }] : block(text)
}

/** White space at the ends goes outside the markers, where alone it can be. */
const emphasis = (children: ReadonlyArray<PromptNode>, marker: string): ReadonlyArray<Piece> => {
  const inner = children.flatMap(pieces)
  if (inner.some(({ kind }) => kind === "block" || kind === "boundary")) return inner
  const text = join(inner)
  const [, start = "", middle = "", end = ""] = /^(\s*)([\s\S]*?)(\s*)$/.exec(text) ?? []
  return inline(middle === "" ? text : `${start}${marker}${middle}${marker}${end}`)
}

/** `_` only where `*` would meet another one. */
const emphasisMarker = (children: ReadonlyArray<PromptNode>): "*" | "_" =>
  children.some((child) => typeof child !== "string" && (child.type === "em" || child.type === "i")) ? "_" : "*"

/** The text inside, without regard to tags. */
const rawText = (nodes: ReadonlyArray<PromptNode>): string =>
  nodes.map((node) => (typeof node === "string" ? node : node.type === "br" ? "\n" : rawText(node.children))).join("")

const longestRun = (text: string): number => Math.max(0, ...(text.match(/`+/g) ?? []).map(({ length }) => length))

const fenced = (text: string, language: string): string => {
  const fence = "`".repeat(Math.max(3, longestRun(text) + 1))
  // A fence ends with a line break of its own.
  const code = text.endsWith("\n") ? text : `${text}\n`
  return `${fence}${language}\n${text === "" ? "" : code}${fence}`
}

const codeSpan = (text: string): string => {
  if (text === "") return ""
  const runs = new Set((text.match(/`+/g) ?? []).map(({ length }) => length))
  let length = 1
  while (runs.has(length)) length++
  const marks = "`".repeat(length)
  // One space on either side is taken off again by whoever reads it.
  const isPadded = /^`|`$/.test(text) || /^ [\s\S]*[^ ][\s\S]* $/.test(text)
  return isPadded ? `${marks} ${text} ${marks}` : `${marks}${text}${marks}`
}

/** The language of `<pre><code className="language-ts">`, wherever of the two it is given. */
const languageOf = ({ props, children }: PromptElement): string => {
  const [, language] = /(?:^|\s)lang(?:uage)?-([^\s`]+)/.exec(`${textOf(props.className)} ${textOf(props.class)}`) ?? []
  if (language !== undefined) return language
  const inner = children.find((child) => typeof child !== "string" && (child.type === "code" || child.type === hole))
  return inner === undefined || typeof inner === "string" ? "" : languageOf(inner)
}

/** What compiled MDX puts around children of a list or a table is of no concern to them. */
const withoutHoles = (nodes: ReadonlyArray<PromptNode>): ReadonlyArray<PromptNode> =>
  nodes.flatMap((node) => (typeof node !== "string" && node.type === hole ? withoutHoles(node.children) : [node]))

const list = ({ type, props, children }: PromptElement): ReadonlyArray<Piece> => {
  const nodes = withoutHoles(children).filter((child) => typeof child !== "string" || !isBlank(child))
  if (nodes.length === 0) return [{ kind: "boundary" }]
  const isItem = (node: PromptNode): node is PromptElement => typeof node !== "string" && node.type === "li"
  // Markdown between the tags, as one can write it in MDX: it has its own bullets.
  if (!nodes.some(isItem)) return [{ kind: "boundary" }, ...children.flatMap(pieces), { kind: "boundary" }]
  const items = nodes.map((node) => item(isItem(node) ? node.children : [node]))
  const gap = items.every(({ isTight }) => isTight) ? "\n" : "\n\n"
  const first = Number(props.start ?? 1)
  const start = Number.isInteger(first) && first >= 0 ? first : 1
  const withMarker = (marker: string): string =>
    items
      .map(({ text }, index) => {
        const bullet = type === "ul" ? marker : `${start + index}${marker}`
        return text === "" ? bullet : prefixed(`${bullet} ${text}`, " ".repeat(bullet.length + 1))
      })
      .join(gap)
  const marker = type === "ul" ? "-" : "."
  return [{ kind: "block", text: withMarker(marker), prefix: "", list: { marker, withMarker } }]
}

/** An item is tight if it is a line of text, and perhaps lists under it. */
const item = (children: ReadonlyArray<PromptNode>): { readonly text: string; readonly isTight: boolean } => {
  const inner = children.flatMap(pieces)
  const solid = inner.filter((piece) => piece.kind !== "nothing" && (piece.kind !== "inline" || !isBlank(piece.text)))
  const lead = solid.findIndex(({ kind }) => kind !== "inline" && kind !== "tag")
  const isTight =
    lead === -1 ||
    solid.slice(lead).every((piece) => piece.kind === "block" && piece.list !== undefined && isInterrupting(piece.text))
  const text = trimBlankLines(join(inner, isTight)).replace(/^[ \t]+/, "")
  // `- ---` would be a rule instead of an item with one in it.
  return { text: text.replace(/^---(?=\n|$)/, "___"), isTight: isTight && !/\n[ \t]*\n/.test(text) }
}

const destination = (url: string): string => {
  const plain = url.replace(/[\n<>]/g, encodeURIComponent)
  return plain === "" || /[\s()]/.test(plain) ? `<${plain}>` : plain
}

const title = (value: unknown): string => {
  const text = textOf(value).replace(/\s*\n\s*/g, " ")
  if (text === "") return ""
  return text.includes('"') && !text.includes("'") ? ` '${text}'` : ` "${text.replace(/(?<!\\)"/g, '\\"')}"`
}

const link = (text: string, { href, title: about }: PromptElement["props"]): ReadonlyArray<Piece> => {
  const url = textOf(href)
  if (url === "") return inline(text)
  if (text === url && about === undefined && /^[a-z][a-z0-9+.-]+:[^\s<>]*$/i.test(url)) return inline(`<${url}>`)
  return inline(`[${text}](${destination(url)}${title(about)})`)
}

const table = (node: PromptElement): ReadonlyArray<Piece> => {
  const rows: Array<{ readonly cells: ReadonlyArray<PromptElement>; readonly isHead: boolean }> = []
  const other: Array<PromptNode> = []
  const collect = (nodes: ReadonlyArray<PromptNode>, isInHead: boolean): void => {
    for (const child of withoutHoles(nodes)) {
      if (typeof child === "string") {
        if (!isBlank(child)) other.push(child)
      } else if (child.type === "tr") {
        const cells = withoutHoles(child.children).flatMap((cell) =>
          typeof cell !== "string" && /^t[hd]$/.test(cell.type) ? [cell] : [],
        )
        rows.push({ cells, isHead: isInHead })
      } else if (/^t(?:head|body|foot)$/.test(child.type)) {
        collect(child.children, child.type === "thead")
      } else {
        other.push(child)
      }
    }
  }
  collect(node.children, false)
  const rest = other.flatMap(pieces)
  const width = Math.max(0, ...rows.map(({ cells }) => cells.length))
  if (width === 0) return [{ kind: "boundary" }, ...rest, { kind: "boundary" }]
  // GFM has no tables without a head: the first row is it, unless it is none.
  const [first] = rows
  const isHeadless = rows.every(({ isHead }) => !isHead) && first?.cells.every(({ type }) => type === "td") === true
  const [head = { cells: [] }, ...body] = isHeadless ? [{ cells: [] }, ...rows] : rows
  const line = (cells: ReadonlyArray<string>): string => `|${cells.map((text) => (text === "" ? "  |" : ` ${text} |`)).join("")}`
  const row = (cells: ReadonlyArray<PromptElement>): string =>
    line(Array.from({ length: width }, (_, index) => cell(cells[index]?.children ?? [])))
  const columns = Array.from({ length: width }, (_, index) =>
    alignment(rows.map(({ cells }) => cells[index]).find((here) => here !== undefined)),
  )
  const text = [row(head.cells), line(columns), ...body.map(({ cells }) => row(cells))].join("\n")
  return [{ kind: "boundary" }, ...rest, ...block(text)]
}

const alignment = (cell: PromptElement | undefined): string => {
  const style = cell?.props.style
  const align = cell?.props.align ?? (typeof style === "object" && style !== null && "textAlign" in style ? style.textAlign : "")
  return align === "center" ? ":---:" : align === "right" ? "---:" : align === "left" ? ":---" : "---"
}

/** A cell is one line. A `|` in it is escaped, in code too, unless the author has done so. */
const cell = (children: ReadonlyArray<PromptNode>): string => {
  const inner = children.flatMap(pieces)
  const isBlock = inner.some(({ kind }) => kind === "block")
  return join(inner)
    .trim()
    .replace(/ {2}\n\s*/g, "<br>")
    .replace(/\s*\n\s*/g, isBlock ? "<br>" : " ")
    .replace(/(\\*)\|/g, (bar, escapes: string) => (escapes.length % 2 === 0 ? `${escapes}\\|` : bar))
}

/** Any other tag, in the notation of XML. With more than a line in it, its tags have lines of their own. */
const tag = ({ type, props, children }: PromptElement): ReadonlyArray<Piece> => {
  const attributes = Object.entries(props).map(([name, value]) => attribute(name === "className" ? "class" : name, value))
  const open = `<${type}${attributes.join("")}`
  const inner = children.flatMap(pieces)
  const text = join(inner)
  if (text === "") return [{ kind: "tag", text: `${open} />` }]
  const isBlock = text.includes("\n") || inner.some(({ kind }) => kind === "block" || kind === "boundary")
  if (!isBlock) return [{ kind: "tag", text: `${open}>${text}</${type}>` }]
  const start = text.startsWith("\n") ? "" : "\n"
  const end = /\n[ \t]*$/.test(text) ? "" : "\n"
  const whole = `${open}>${start}${text}${end}</${type}>`
  return start === "" && end === "" ? [{ kind: "tag", text: whole }] : block(whole)
}

const attribute = (name: string, value: unknown): string => {
  if (name === "children" || name === "key" || name === "ref" || value === false) return ""
  if (value === true) return ` ${name}`
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "bigint") return ""
  const text = `${value}`
  return text.includes('"') && !text.includes("'") ? ` ${name}='${text}'` : ` ${name}="${text}"`
}

const textOf = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? `${value}` : "")
