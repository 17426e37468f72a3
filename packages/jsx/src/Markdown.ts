/**
 * Renders prompt nodes as the Markdown that an agent reads. Text is already Markdown and is never escaped, encoded, wrapped or
 * indented, since it may hold values (a file, a diff) that must arrive unchanged. This module adds only the notation of elements,
 * and line breaks around them.
 *
 * Two behaviours may surprise. Text is never dedented, even if every line is indented as in a template literal. After
 * interpolation, the indentation of a value cannot be distinguished from that of the template. `Dedent` can, as a tag function.
 * Tags that HTML does not have (`<context source="x">`) are kept as tags, since they are common in prompts.
 */

import { block, inline, isBlank, isInterrupting, join, type Piece, prefixed, trimBlankLines } from "./internal/joinBlocks.ts"

/** A part of a prompt: text, or an element with children. */
export type PromptNode = string | PromptElement

/** An element of a host tree: its tag, its props (`children` among them is ignored) and its children. */
export interface PromptElement {
  readonly type: string
  readonly props: { readonly [name: string]: unknown }
  readonly children: ReadonlyArray<PromptNode>
}

/**
 * The element that compiled MDX puts around an inserted value. Its prop `prefix` is prepended to all lines but the first, so that
 * they stay in the list item or quotation of the hole. With `alone`, the hole has its lines for itself, and they are removed if it
 * is empty.
 */
export const placeholder = "smithers:hole"

/**
 * Renders a prompt as Markdown. Never fails: a misplaced element is rendered as well as possible. Removes blank lines at both ends
 * and keeps all other text unchanged.
 *
 * Headings, paragraphs, lists, code, emphasis, links, images, quotations, rules, line breaks and tables become Markdown (GFM for
 * `del` and tables). `div`, `section` and `article` become blocks, `span` disappears, and all other tags are kept.
 */
export const render = (nodes: ReadonlyArray<PromptNode>): string => trimBlankLines(content(nodes))

/** Renders the content of an element as one text. */
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
    case placeholder:
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

/** Returns `true` if the text of a prompt file is a block: several lines, or one with block syntax. */
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

/** Renders text as one line. */
const oneLine = (nodes: ReadonlyArray<PromptNode>): string =>
  content(nodes)
    .trim()
    .replace(/\s*\n\s*/g, " ")

/** Appends a closing mark to a heading that ends with `#`, which Markdown would otherwise drop. */
const heading = (level: number, text: string): string =>
  `${"#".repeat(level)} ${text}${/(?:^|[ \t])#+$/.test(text) ? " #" : ""}`.trimEnd()

const paragraph = (children: ReadonlyArray<PromptNode>): ReadonlyArray<Piece> => {
  const text = trimBlankLines(content(children)).replace(/^[ \t]+/, "")
  return text === "" ? [{ kind: "boundary" }] : block(text)
}

/** Moves white space at the ends outside of the markers, as Markdown requires. */
const emphasis = (children: ReadonlyArray<PromptNode>, marker: string): ReadonlyArray<Piece> => {
  const inner = children.flatMap(pieces)
  if (inner.some(({ kind }) => kind === "block" || kind === "boundary")) return inner
  const text = join(inner)
  const [, start = "", middle = "", end = ""] = /^(\s*)([\s\S]*?)(\s*)$/.exec(text) ?? []
  return inline(middle === "" ? text : `${start}${marker}${middle}${marker}${end}`)
}

/** Uses `_` if `*` would meet another one. */
const emphasisMarker = (children: ReadonlyArray<PromptNode>): "*" | "_" =>
  children.some((child) => typeof child !== "string" && (child.type === "em" || child.type === "i")) ? "_" : "*"

/** Returns the text of nodes, ignoring tags. */
const rawText = (nodes: ReadonlyArray<PromptNode>): string =>
  nodes.map((node) => (typeof node === "string" ? node : node.type === "br" ? "\n" : rawText(node.children))).join("")

const longestRun = (text: string): number => Math.max(0, ...(text.match(/`+/g) ?? []).map(({ length }) => length))

const fenced = (text: string, language: string): string => {
  const fence = "`".repeat(Math.max(3, longestRun(text) + 1))
  // The closing fence needs a line of its own.
  const code = text.endsWith("\n") ? text : `${text}\n`
  return `${fence}${language}\n${text === "" ? "" : code}${fence}`
}

const codeSpan = (text: string): string => {
  if (text === "") return ""
  const runs = new Set((text.match(/`+/g) ?? []).map(({ length }) => length))
  let length = 1
  while (runs.has(length)) length++
  const marks = "`".repeat(length)
  // Markdown strips one space on either side.
  const isPadded = /^`|`$/.test(text) || /^ [\s\S]*[^ ][\s\S]* $/.test(text)
  return isPadded ? `${marks} ${text} ${marks}` : `${marks}${text}${marks}`
}

/** Returns the language of `<pre><code className="language-ts">`, given on either element. */
const languageOf = ({ props, children }: PromptElement): string => {
  const [, language] = /(?:^|\s)lang(?:uage)?-([^\s`]+)/.exec(`${textOf(props.className)} ${textOf(props.class)}`) ?? []
  if (language !== undefined) return language
  const inner = children.find((child) => typeof child !== "string" && (child.type === "code" || child.type === placeholder))
  return inner === undefined || typeof inner === "string" ? "" : languageOf(inner)
}

/** Unwraps the holes that compiled MDX puts around children of a list or a table. */
const withoutPlaceholders = (nodes: ReadonlyArray<PromptNode>): ReadonlyArray<PromptNode> =>
  nodes.flatMap((node) => (typeof node !== "string" && node.type === placeholder ? withoutPlaceholders(node.children) : [node]))

const list = ({ type, props, children }: PromptElement): ReadonlyArray<Piece> => {
  const nodes = withoutPlaceholders(children).filter((child) => typeof child !== "string" || !isBlank(child))
  if (nodes.length === 0) return [{ kind: "boundary" }]
  const isItem = (node: PromptNode): node is PromptElement => typeof node !== "string" && node.type === "li"
  // Markdown between the tags, as MDX allows, has its own bullets.
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

/** An item is tight if it is one line of text, with or without nested lists. */
const item = (children: ReadonlyArray<PromptNode>): { readonly text: string; readonly isTight: boolean } => {
  const inner = children.flatMap(pieces)
  const solid = inner.filter((piece) => piece.kind !== "nothing" && (piece.kind !== "inline" || !isBlank(piece.text)))
  const lead = solid.findIndex(({ kind }) => kind !== "inline" && kind !== "tag")
  const isTight =
    lead === -1 ||
    solid.slice(lead).every((piece) => piece.kind === "block" && piece.list !== undefined && isInterrupting(piece.text))
  const text = trimBlankLines(join(inner, isTight)).replace(/^[ \t]+/, "")
  // `- ---` would be a rule.
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
    for (const child of withoutPlaceholders(nodes)) {
      if (typeof child === "string") {
        if (!isBlank(child)) other.push(child)
      } else if (child.type === "tr") {
        const cells = withoutPlaceholders(child.children).flatMap((cell) =>
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
  // GFM tables need a head: the first row, if there is none.
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

/** Renders a cell as one line. Escapes `|`, also in code, unless the author has. */
const cell = (children: ReadonlyArray<PromptNode>): string => {
  const inner = children.flatMap(pieces)
  const isBlock = inner.some(({ kind }) => kind === "block")
  return join(inner)
    .trim()
    .replace(/ {2}\n\s*/g, "<br>")
    .replace(/\s*\n\s*/g, isBlock ? "<br>" : " ")
    .replace(/(\\*)\|/g, (bar, escapes: string) => (escapes.length % 2 === 0 ? `${escapes}\\|` : bar))
}

/** Renders any other tag in XML notation. Content of several lines gets lines of its own. */
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
