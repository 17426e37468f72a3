import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { fromMarkdown } from "mdast-util-from-markdown"
import { gfmTableFromMarkdown } from "mdast-util-gfm-table"
import { gfmTable } from "micromark-extension-gfm-table"
import { dedent } from "../../packages/jsx/src/Dedent.ts"
import { type PromptElement, type PromptNode, placeholder, render } from "../../packages/jsx/src/Markdown.ts"

const e = (type: string, props: PromptElement["props"] = {}, ...children: ReadonlyArray<PromptNode>): PromptElement => ({
  type,
  props,
  children,
})
const tag = (type: string, ...children: ReadonlyArray<PromptNode>): PromptElement => e(type, {}, ...children)
const lines = (...all: ReadonlyArray<string>): string => all.join("\n")

describe("text", () => {
  it("is passed on exactly as it is", () => {
    const text = 'a < b && c > "d" &amp; \\* {x} \u00a0 <div>\n    four\n\ttab\r\nçé😀 ```'
    expect(render([text])).toBe(text)
    expect(render(["Analyze ", text, "@", "x"])).toBe(`Analyze ${text}@x`)
    expect(render([tag("p", "Analyze ", text)])).toBe(`Analyze ${text}`)
  })

  it("loses only the blank lines at both ends", () => {
    expect(render(["\n \n  a\n\n\n  b  \n  \n"])).toBe("  a\n\n\n  b  ")
    expect(render(["\r\n\r\na\r\n"])).toBe("a")
    expect(render([" \n\n "])).toBe("")
    expect(render([])).toBe("")
  })

  it("is never dedented, since a value in it may be what is indented", () => {
    expect(render(["\n    def f():\n        return 1\n"])).toBe("    def f():\n        return 1")
  })

  it("is dedented by a tag that knows what of it is a value", () => {
    const value = "    x\n  y"
    expect(dedent`
      Explain:
        ${value}
      ${value}

      end
    `).toBe(lines("Explain:", "      x", "  y", "    x", "  y", "", "end"))
    expect(dedent`one ${1} line`).toBe("one 1 line")
    expect(dedent`${value}
      more`).toBe(`${value}\nmore`)
    expect(dedent`
      a
     b`).toBe(" a\nb")
  })
})

describe("elements", () => {
  const cases: ReadonlyArray<readonly [string, ReadonlyArray<PromptNode>, string]> = [
    ["headings", [tag("h1", "A"), tag("h3", "B ", tag("code", "c")), tag("h6", "a\n  b")], "# A\n\n### B `c`\n\n###### a b"],
    ["a heading that ends in #", [tag("h2", "C #"), tag("h1", "a#")], "## C # #\n\n# a#"],
    ["an empty heading", [tag("h2")], "##"],
    ["paragraphs", [tag("p", "a"), tag("p"), tag("p", "\n  b\n  c\n")], "a\n\nb\n  c"],
    ["text beside a block", ["before ", tag("p", "x"), " after"], "before\n\nx\n\nafter"],
    [
      "text beside a block, with line breaks of its own",
      ["a\n", tag("p", "x"), "\nb\n\n", tag("p", "y"), "\n\n\nc"],
      "a\n\nx\n\nb\n\ny\n\n\nc",
    ],
    ["sections", ["a", tag("section", tag("div", "b"), tag("article", "c ", tag("span", "d"))), "e"], "a\n\nb\n\nc d\n\ne"],
    [
      "emphasis",
      [tag("strong", "a"), " ", tag("b", "b"), tag("em", "c"), " ", tag("i", "d"), tag("del", "e")],
      "**a** **b***c* *d*~~e~~",
    ],
    ["emphasis around white space", ["a", tag("strong", " b "), "c", tag("em", "  "), "d", tag("b")], "a **b** c  d"],
    ["emphasis in emphasis", [tag("em", "a ", tag("em", "b"))], "_a *b*_"],
    ["emphasis around blocks", [tag("strong", tag("p", "a"), tag("p", "b"))], "a\n\nb"],
    [
      "links",
      [e("a", { href: "https://x.y/z" }, "t"), " ", e("a", { href: "/a b(c)", title: 'say "x"' }, "t")],
      "[t](https://x.y/z) [t](</a b(c)> 'say \"x\"')",
    ],
    [
      "links that say what they are",
      [e("a", { href: "https://x.y" }, "https://x.y"), e("a", {}, "nowhere")],
      "<https://x.y>nowhere",
    ],
    ["images", [e("img", { alt: "A & b", src: "x.png", title: "t" }), e("img", {})], '![A & b](x.png "t")![](<>)'],
    ["quotations", [tag("blockquote", tag("p", "a"), tag("p", "b\nc"))], "> a\n>\n> b\n> c"],
    ["quotations of text", [tag("blockquote", "\na\n\nb\n"), tag("blockquote")], "> a\n>\n> b\n\n>"],
    ["rules", ["a", tag("hr"), "b"], "a\n\n---\n\nb"],
    ["line breaks", ["a", tag("br"), "b"], "a  \nb"],
    [
      "inline code",
      [tag("code", "a`b"), " ", tag("code", "``"), " ", tag("code", " x "), " ", tag("code", " "), tag("code")],
      "``a`b`` ` `` ` `  x  ` ` `",
    ],
    ["code of several lines that is not in pre", ["a ", tag("code", "b\nc"), " d"], "a\n\n```\nb\nc\n```\n\nd"],
    [
      "code blocks",
      [tag("pre", e("code", { className: "hljs language-ts" }, "a {\n  <b>&amp;\n}\n"))],
      "```ts\na {\n  <b>&amp;\n}\n```",
    ],
    ["code blocks with fences inside", [tag("pre", "````md\nx\n````")], "`````\n````md\nx\n````\n`````"],
    ["code blocks with white space at the ends", [e("pre", { className: "lang-py" }, "\n    x\n\n")], "```py\n\n    x\n\n```"],
    ["empty code blocks", [tag("pre")], "```\n```"],
    ["tags inside code blocks", [tag("pre", "a", tag("br"), tag("b", "c"))], "```\na\nc\n```"],
    ["lists", [tag("ul", tag("li", "a"), "\n", tag("li", "b ", tag("b", "c")), tag("li"))], "- a\n- b **c**\n-"],
    ["numbered lists", [e("ol", { start: 9 }, tag("li", "a\nb"), tag("li", "c\nd"))], "9. a\n   b\n10. c\n    d"],
    [
      "nested lists",
      [tag("ul", tag("li", "a", tag("ol", tag("li", "b", tag("ul", tag("li", "c"))), tag("li", "d"))), tag("li", "e"))],
      "- a\n  1. b\n     - c\n  2. d\n- e",
    ],
    ["a nested list that text would swallow", [tag("ul", tag("li", "a", e("ol", { start: 3 }, tag("li", "b"))))], "- a\n\n  3. b"],
    [
      "list items of several blocks",
      [tag("ul", tag("li", tag("p", "a"), tag("pre", "x\n\n  y"), tag("p", "b")), tag("li", tag("blockquote", "q")))],
      "- a\n\n  ```\n  x\n\n    y\n  ```\n\n  b\n\n- > q",
    ],
    ["a rule in a list item", [tag("ul", tag("li", tag("hr")))], "- ___"],
    ["lists side by side", [tag("ul", tag("li", "a")), tag("ul", tag("li", "b")), tag("ul", tag("li", "c"))], "- a\n\n* b\n\n- c"],
    [
      "numbered lists side by side",
      [tag("div", tag("ol", tag("li", "a"))), tag("ol", tag("li", "b")), tag("ul", tag("li", "c"))],
      "1. a\n\n1) b\n\n- c",
    ],
    ["Markdown inside a list", [tag("ul", "\n- a\n- b\n")], "- a\n- b"],
    ["text between lists and headings", [tag("h1", "A"), "text", tag("ul", tag("li", "a")), "more"], "# A\n\ntext\n\n- a\n\nmore"],
    [
      "tables",
      [
        tag(
          "table",
          tag(
            "thead",
            tag("tr", e("th", { align: "right" }, "a|b"), e("th", { style: { textAlign: "center" } }, tag("code", "x|y"))),
          ),
          tag("tbody", tag("tr", tag("td", "1\n 2"), tag("td", "3", tag("br"), "4")), tag("tr", tag("td", "a\\|b"))),
        ),
      ],
      "| a\\|b | `x\\|y` |\n| ---: | :---: |\n| 1 2 | 3<br>4 |\n| a\\|b |  |",
    ],
    [
      "tables without a head",
      [tag("table", tag("tr", tag("td", "a"), tag("td", tag("ul", tag("li", "b"), tag("li", "c")))))],
      "|  |  |\n| --- | --- |\n| a | - b<br>- c |",
    ],
    ["tables without rows", ["a", tag("table"), "b"], "a\n\nb"],
  ]
  for (const [title, nodes, expected] of cases) it(title, () => expect(render(nodes)).toBe(expected))
})

describe("tags of one's own", () => {
  const cases: ReadonlyArray<readonly [string, ReadonlyArray<PromptNode>, string]> = [
    ["stay as they are in a line", ["read ", tag("file", "a.ts"), " now"], "read <file>a.ts</file> now"],
    [
      "keep their attributes, unescaped",
      [e("x", { a: "<&>", b: 'say "x"', n: 3, on: true, off: false, f: () => 1, className: "c", children: "no" }, "t")],
      '<x a="<&>" b=\'say "x"\' n="3" on class="c">t</x>',
    ],
    ["close themselves when empty", [e("x", { a: "b" })], '<x a="b" />'],
    [
      "stand apart with several lines in them",
      ["Read:", tag("file", "a\n  b\n"), "end"],
      "Read:\n\n<file>\na\n  b\n</file>\n\nend",
    ],
    ["keep the line breaks they have", ["Read:\n", tag("file", "\n  a\n"), "\nend"], "Read:\n<file>\n  a\n</file>\nend"],
    ["stand apart with blocks in them", [tag("context", tag("h2", "A"), tag("p", "b"))], "<context>\n## A\n\nb\n</context>"],
    [
      "have a line each in a list of them",
      [tag("docs", e("doc", { n: "1" }, "a"), e("doc", { n: "2" }, "b"))],
      '<docs>\n<doc n="1">a</doc>\n<doc n="2">b</doc>\n</docs>',
    ],
  ]
  for (const [title, nodes, expected] of cases) it(title, () => expect(render(nodes)).toBe(expected))
})

describe("holes", () => {
  it("keep several lines in their list item or quotation", () => {
    expect(render(["- a: ", e(placeholder, { prefix: "  " }, "x\n\ny"), "\n- b"])).toBe("- a: x\n\n  y\n- b")
    expect(render(["> ", e(placeholder, { prefix: "> " }, "x\n\ny"), "\n> z"])).toBe("> x\n>\n> y\n> z")
  })
  it("keep blocks in their list item or quotation", () => {
    const blocks = [tag("p", "x"), tag("pre", "y\n\nz")]
    expect(render(["- ", e(placeholder, { prefix: "  " }, ...blocks), "\n- b"])).toBe("- x\n\n  ```\n  y\n\n  z\n  ```\n- b")
    expect(render(["> a\n> ", e(placeholder, { prefix: "> ", alone: true }, ...blocks), "\n> b"])).toBe(
      "> a\n>\n> x\n>\n> ```\n> y\n>\n> z\n> ```\n>\n> b",
    )
    expect(render(["- a ", e(placeholder, { prefix: "  " }, ...blocks), " b"])).toBe(
      "- a\n\n  x\n\n  ```\n  y\n\n  z\n  ```\n\n  b",
    )
  })
  it("go with their line when they are empty and alone", () => {
    expect(render(["a\n\n", e(placeholder, { alone: true }), "\n\nb"])).toBe("a\n\nb")
    expect(render(["a\n", e(placeholder, { alone: true }), "\nb"])).toBe("a\nb")
    expect(render(["a\n\n", e(placeholder, { alone: true }), e(placeholder, { alone: true })])).toBe("a")
    expect(render(["> a\n>\n> ", e(placeholder, { prefix: "> ", alone: true }), "\n>\n> b"])).toBe("> a\n>\n> b")
  })
  it("do not hide the items of a list", () => {
    expect(render([tag("ul", "\n  ", e(placeholder, { prefix: "  ", alone: true }, tag("li", "a"), tag("li", "b")), "\n")])).toBe(
      "- a\n- b",
    )
  })
})

interface Skeleton {
  readonly type: string
  readonly depth?: number | undefined
  readonly lang?: string | undefined
  readonly start?: number | undefined
  readonly text?: string | undefined
  readonly children?: ReadonlyArray<Skeleton> | undefined
}
type Block = readonly [PromptNode, Skeleton]

const words = FastCheck.array(FastCheck.stringMatching(/^[a-z]{1,5}$/), { minLength: 1, maxLength: 4 }).map((all) => all.join(" "))
const inlines = FastCheck.array(FastCheck.tuple(FastCheck.constantFrom("text", "strong", "em", "code", "span"), words), {
  minLength: 1,
  maxLength: 4,
}).map((all) => ({
  nodes: all.flatMap(
    ([type, text], index): ReadonlyArray<PromptNode> => [index > 0 ? " " : "", type === "text" ? text : tag(type, text)],
  ),
  text: all.map(([, text]) => text).join(" "),
}))
const code = FastCheck.array(
  FastCheck.constantFrom("a", "{", "}", "<b>", "&", "`", "```", "~~~", "\n", "\n\n", "    ", "\t", "- ", "> ", "# ", "|", "é😀"),
  { maxLength: 12 },
).map((all) => all.join(""))

const { blocks } = FastCheck.letrec<{ block: Block; blocks: ReadonlyArray<Block> }>((tie) => ({
  block: FastCheck.oneof(
    { depthSize: "small", withCrossShrink: true },
    inlines.map(({ nodes, text }): Block => [tag("p", ...nodes), { type: "paragraph", text }]),
    FastCheck.tuple(FastCheck.integer({ min: 1, max: 6 }), inlines).map(
      ([depth, { nodes, text }]): Block => [tag(`h${depth}`, ...nodes), { type: "heading", depth, text }],
    ),
    FastCheck.tuple(code, FastCheck.constantFrom("ts", "c++", undefined)).map(
      ([text, lang]): Block => [
        tag("pre", e("code", lang === undefined ? {} : { className: `language-${lang}` }, text)),
        { type: "code", lang, text: text.replace(/\n$/, "") },
      ],
    ),
    FastCheck.constant<Block>([tag("hr"), { type: "thematicBreak" }]),
    FastCheck.array(FastCheck.array(inlines, { minLength: 2, maxLength: 2 }), { minLength: 1, maxLength: 3 }).map(
      (rows): Block => [
        tag(
          "table",
          ...rows.map((cells, index) => tag("tr", ...cells.map(({ nodes }) => tag(index === 0 ? "th" : "td", ...nodes)))),
        ),
        {
          type: "table",
          children: rows.map((cells) => ({ type: "tableRow", children: cells.map(({ text }) => ({ type: "tableCell", text })) })),
        },
      ],
    ),
    (tie("blocks") as FastCheck.Arbitrary<ReadonlyArray<Block>>).map(
      (inner): Block => [
        tag("blockquote", ...inner.map(([node]) => node)),
        { type: "blockquote", children: inner.map(([, skeleton]) => skeleton) },
      ],
    ),
    FastCheck.tuple(
      FastCheck.constantFrom(undefined, 1, 7, 99),
      FastCheck.array(
        FastCheck.tuple(FastCheck.option(inlines), tie("blocks") as FastCheck.Arbitrary<ReadonlyArray<Block>>, FastCheck.boolean()),
        { minLength: 1, maxLength: 3 },
      ),
    ).map(([start, items]): Block => {
      const all = items.map(([lead, inner, isLeadOnly]) => ({
        nodes: [...(lead?.nodes ?? []), ...(isLeadOnly && lead !== null ? [] : inner.map(([node]) => node))],
        skeletons: [
          ...(lead === null ? [] : [{ type: "paragraph", text: lead.text }]),
          ...(isLeadOnly && lead !== null ? [] : inner.map(([, skeleton]) => skeleton)),
        ],
      }))
      return [
        e(start === undefined ? "ul" : "ol", start === undefined ? {} : { start }, ...all.map(({ nodes }) => tag("li", ...nodes))),
        { type: "list", start, children: all.map(({ skeletons }) => ({ type: "listItem", children: skeletons })) },
      ]
    }),
  ),
  blocks: FastCheck.array(tie("block") as FastCheck.Arbitrary<Block>, { minLength: 1, maxLength: 3 }),
}))

interface Mdast {
  readonly type: string
  readonly depth?: number
  readonly lang?: string | null
  readonly start?: number | null
  readonly value?: string
  readonly children?: ReadonlyArray<Mdast>
}
const plain = ({ value, children = [] }: Mdast): string => value ?? children.map(plain).join("")
const skeletonOf = (node: Mdast): Skeleton => {
  const hasText = ["paragraph", "heading", "code", "tableCell"].includes(node.type)
  return {
    type: node.type,
    depth: node.depth,
    lang: node.lang ?? undefined,
    start: node.start ?? undefined,
    text: hasText ? plain(node) : undefined,
    children: hasText ? undefined : node.children?.map(skeletonOf),
  }
}
const skeletons = (markdown: string): ReadonlyArray<Skeleton> =>
  fromMarkdown(markdown, { extensions: [gfmTable()], mdastExtensions: [gfmTableFromMarkdown()] }).children.map((node) =>
    skeletonOf(node as Mdast),
  )

describe("what is rendered", () => {
  it("has the same structure when it is parsed", () => {
    FastCheck.assert(
      FastCheck.property(blocks, (all) => {
        expect(skeletons(render(all.map(([node]) => node)))).toEqual(all.map(([, skeleton]) => skeleton))
      }),
      { numRuns: 500, seed: 20_260_101 },
    )
  })

  it("sets prompt files apart that are more than a phrase", () => {
    const file = (...children: ReadonlyArray<string>) => ({ type: "smithers:prompt", props: {}, children })
    expect(render([file("# One\n\ntext"), file("# Two")])).toBe("# One\n\ntext\n\n# Two")
    expect(render(["Intro ", file("# One\ntext"), " outro"])).toBe("Intro\n\n# One\ntext\n\noutro")
    expect(render(["Be ", file("very careful"), ", please."])).toBe("Be very careful, please.")
  })
})
