import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as React from "react"
import * as ReactJsx from "react/jsx-runtime"
import { type CompileOptions, compile, declarationOf, type PromptSyntaxError } from "../../packages/jsx/src/Mdx.ts"
import { pending } from "../../packages/jsx/src/Pending.ts"
import * as PromptInput from "../../packages/jsx/src/PromptInput.ts"
import { OutputSpec, RiskAnalysis } from "../smithers/fixtures/mdx/fragments.tsx"
import { textOf } from "./Prompt.ts"

type Modules = { readonly [name: string]: { readonly [name: string]: unknown } }
interface PromptModule {
  readonly default: React.FunctionComponent<{ readonly [name: string]: unknown }>
  readonly frontmatter: unknown
}

const own: Modules = { "react/jsx-runtime": ReactJsx, "@smithers/jsx/PromptInput": { ...PromptInput } }
const compiled = (source: string, options: CompileOptions = {}): string =>
  Effect.runSync(compile(source, { jsxImportSource: "react", ...options }))

/** Runs a compiled module as a function, its imports served from what is given. */
const load = (source: string, modules: Modules = {}, options: CompileOptions = {}): PromptModule => {
  const all: Modules = { ...own, ...modules }
  const body = compiled(source, options)
    .replace(
      /import \{([^}]*)\} from ("[^"]*"|'[^']*');?/g,
      (_, names: string, from: string) => `const {${names.replaceAll(" as ", ": ")}} = modules[${from}];`,
    )
    .replace(/import (\w+) from ("[^"]*"|'[^']*');?/g, "const $1 = modules[$2].default;")
    .replace(/export default (.*);/, "exported.default = $1;")
    .replace(/export const frontmatter = /, "exported.frontmatter = ")
    .replaceAll("export const ", "const ")
  const exported = {}
  new Function("modules", "exported", body)(all, exported)
  return exported as PromptModule
}

const prompt = (source: string, props: { readonly [name: string]: unknown } = {}, modules: Modules = {}): string =>
  textOf(React.createElement(load(source, modules).default, props))

const failure = (source: string, options: CompileOptions = {}): string =>
  Either.match(Effect.runSync(Effect.either(compile(source, { path: "prompts/a.mdx", ...options }))), {
    onLeft: (error: PromptSyntaxError) => `${error._tag} ${error.message}`,
    onRight: () => "it compiles",
  })

const h = React.createElement
type Children = { readonly children?: React.ReactNode }
const Note = ({ children }: Children) => h("blockquote", null, "Note: ", children)
const Bare = ({ children }: Children) => children
const Steps = ({ names }: { readonly names: ReadonlyArray<string> }) => h("ol", null, ...names.map((name) => h("li", null, name)))
const parts: Modules = { "./parts": { Note, Bare, Steps } }
const imports = 'import { Note, Bare, Steps } from "./parts"\n\n'

describe("Markdown in a prompt file", () => {
  const untouched: ReadonlyArray<readonly [string, string]> = [
    ["text and emphasis", "# A *b* `c`\n\nSetext\n===\n\na **b**, __c__ \\* \\_ \\# 1\\. d  \ne\\\nf"],
    [
      "lists with code blocks in them",
      "* a\n    1) b\n\n       ```ts\n       const x = { y: `z` }\n\n         <T>(a) => {a}\n       ```\n\n    2) c\n* d\n\n\n\n+ e",
    ],
    [
      "fenced code with braces, tags, entities and backticks",
      "````md\n```js\n{a} <b> &amp; \\{ \\< $x {/* c */}\n```\n````\n\n~~~\n} { </x>\n~~~",
    ],
    ["inline code", "`{a}` ``<b> `&lt;` \\{`` a"],
    ["tables", "| a | b |\n|:--|--:|\n| `{x}` | a \\| b |"],
    [
      "quotations, rules, links and footnotes",
      '> a\n> > b\nlazy\n\n---\n\n***\n\n[a](/x/{id} "t") ![b](c.png) [d][e] [^1]\n\n[e]: https://x.y\n[^1]: note',
    ],
    ["unicode", "# 😀 Prüfe 变更 — “x”\u00a0…\n\n- ñ"],
    ["indented text and tabs", "-\ta\n\n\tb\n\n   c"],
    ["task lists and strikethrough", "- [ ] a\n- [x] ~~b~~"],
  ]
  for (const [title, source] of untouched)
    it(`comes out as it was written: ${title}`, () => expect(prompt(`${source}\n`)).toBe(source))

  it("comes out as it was written, whatever it consists of", () => {
    const line = FastCheck.array(
      FastCheck.constantFrom(
        "a",
        "bc",
        " ",
        "  ",
        "\t",
        "*",
        "**",
        "_",
        "`",
        "#",
        "- ",
        "1. ",
        "> ",
        "|",
        "~",
        "!",
        "[x]",
        "(y)",
        "\\",
        ":",
        "```",
        "é",
        "=",
        "---",
      ),
      { maxLength: 8 },
    ).map((all) => all.join(""))
    const source = FastCheck.array(line, { maxLength: 8 }).map((all) => `a ${all.join("\n")}`)
    FastCheck.assert(
      FastCheck.property(source, (text) => {
        expect(prompt(text)).toBe(text.replace(/\n\s*$/, ""))
      }),
      { numRuns: 300, seed: 20_260_101 },
    )
  })

  it("has what MDX makes one escape decoded, in text and not in code", () => {
    const source =
      'a \\{b\\} \\<c> &lt;d&gt; &amp; &#123;&#x7d; &copy;&nbsp;e &nope; &amp;lt; \\\\ \\* `&lt; \\{`\n\n```\n&lt; \\{\n```\n\n[&lt;](/?a&amp;b "&quot;")\n'
    expect(prompt(source)).toBe(
      'a {b} <c> <d> & {} ©\u00a0e &nope; &lt; \\\\ \\* `&lt; \\{`\n\n```\n&lt; \\{\n```\n\n[<](/?a&amp;b "&quot;")',
    )
  })

  it("loses its comments with the lines they are on", () => {
    expect(prompt("{/* a */}\n\nb\n\n{/* c\n d */}\n\ne {/* f */} g\n{/* h */}\ni\n- j\n\n  {/* k */}\n\n  l\n\n{/* m */}\n")).toBe(
      "b\n\ne g\ni\n- j\n\n  l",
    )
    expect(prompt("a{/* b */}c {/* d */}\n")).toBe("ac ")
    expect(prompt("{props.a}\n{/* b */}\n\nc\n", { a: "a" })).toBe("a\n\nc")
  })

  it("can be nothing", () => {
    expect(prompt("")).toBe("")
    expect(prompt("\n\n  \n")).toBe("")
    expect(prompt("---\ntitle: A\n---\n")).toBe("")
    expect(prompt("---\n---")).toBe("")
    expect(prompt("{/* a */}")).toBe("")
  })

  it("is the same with the line ends of another system", () => {
    const source =
      '---\ninputs:\n  a: string\n---\nimport { Note } from "./parts"\n\n# A\n\n<Note>\n  b {props.a}\n</Note>\n\n```\nc\n```\n'
    const text = prompt(source, { a: "1" }, parts)
    expect(text).toBe("# A\n\n> Note: b 1\n\n```\nc\n```")
    expect(prompt(source.replaceAll("\n", "\r\n"), { a: "1" }, parts)).toBe(text)
    expect(prompt(`\uFEFF${source}`, { a: "1" }, parts)).toBe(text)
  })
})

describe("expressions", () => {
  it("put in values as they are", () => {
    const value = "<b> & \"c\" 'd' {e} `f` &lt; *g* \\h"
    expect(prompt("a {props.x}, **{props.x}**.\n", { x: value })).toBe(`a ${value}, **${value}**.`)
    expect(prompt("{props.x}", { x: value })).toBe(value)
    expect(prompt("{1}{2n} {true}{null}{undefined}{''}\n", {})).toBe("12 ")
  })
  it("stand next to emphasis", () => {
    expect(prompt("*{props.x}* _a {props.x}_**{props.x}**b\n", { x: "x" })).toBe("*x* _a x_**x**b")
  })
  it("fill headings, links and cells", () => {
    expect(prompt("# {props.x}\n\n[{props.x}](y) | a | {props.x} |\n", { x: "x" })).toBe("# x\n\n[x](y) | a | x |")
  })
  it("may hold elements", () => {
    const source = `${imports}{props.on ? <Note>yes</Note> : <b>no</b>}\n\nend\n`
    expect(prompt(source, { on: true }, parts)).toBe("> Note: yes\n\nend")
    expect(prompt(source, { on: false }, parts)).toBe("**no**\n\nend")
  })
  it("may be arrays", () => {
    expect(prompt('a\n{["b", "c"].map((x) => <p key={x}>{x}</p>)}\nd', {})).toBe("a\n\nb\n\nc\n\nd")
    expect(prompt('<docs>\n{["b", "c"].map((x) => <doc n={x}>{x}</doc>)}\n</docs>', {})).toBe(
      '<docs>\n<doc n="b">b</doc>\n<doc n="c">c</doc>\n</docs>',
    )
  })
  it("leave no trace when they are empty on a line of their own", () => {
    const source = "a\n\n{props.on && <b>b</b>}\n\nc\n{props.on && 'd'}\ne\n\n- f\n\n  {props.on && 'g'}\n\n  h\n"
    expect(prompt(source, { on: false })).toBe("a\n\nc\ne\n\n- f\n\n  h")
    expect(prompt(source, { on: true })).toBe("a\n\n**b**\n\nc\nd\ne\n\n- f\n\n  g\n\n  h")
  })
  it("leave no empty quotation, but an item of a list", () => {
    expect(prompt("a\n\n> {props.a}\n\nb\n")).toBe("a\n\nb")
    expect(prompt("- {props.a}\n- b\n")).toBe("- \n- b")
    expect(prompt("{props.a} b\n")).toBe(" b")
  })
  it("keep values of several lines in the list item or quotation they are in", () => {
    const x = "1\n\n  2"
    expect(prompt("- a: {props.x}\n- b\n", { x })).toBe("- a: 1\n\n    2\n- b")
    expect(prompt("10. a\n    - {props.x}\n    - b\n", { x })).toBe("10. a\n    - 1\n\n        2\n    - b")
    expect(prompt("> a {props.x}\n> b\n", { x })).toBe("> a 1\n>\n>   2\n> b")
    expect(prompt(">  * a {props.x}\n>    b {props.x}\n", { x })).toBe(">  * a 1\n>\n>      2\n>    b 1\n>\n>      2")
    expect(prompt("- > a {props.x}\n", { x })).toBe("- > a 1\n  >\n  >   2")
    expect(prompt("-\ta {props.x}\n", { x })).toBe("-\ta 1\n\n      2")
    expect(prompt("a {props.x} b\n", { x })).toBe("a 1\n\n  2 b")
  })
  it("keep template strings as they are written, but for the margin of what they are in", () => {
    expect(prompt("{`a\n  b\n    c $" + "{props.x}\n  \\`d\n`}\n", { x: "x" })).toBe("a\n  b\n    c x\n  `d")
    expect(prompt("- > {`a\n  >   b`}\n", {})).toBe("- > a\n  >   b")
    expect(prompt(`${imports}- a\n\n  <Bare>\n    {\`b\n      c\`}\n  </Bare>\n`, {}, parts)).toBe("- a\n\n  b\n    c")
    expect(prompt("<x a={`b\n    c`} />\n")).toBe('<x a="b\n    c" />')
    expect(prompt("a {`b\n    c`}\n")).toBe("a b\n    c")
  })
  it("see what the file imports and exports, of which nothing is seen in the text", () => {
    const source = 'a\n\nexport const twice = (x) => x + x\n\n{twice("b")} {twice(props.c)}\n'
    expect(prompt(source, { c: "d" })).toBe("a\n\nbb dd")
  })
})

describe("elements", () => {
  it("stand in a line", () => {
    expect(
      prompt(`${imports}a <Bare>**b** {props.x}</Bare> c <code>d\`e</code> <file path="f &amp; g">h</file>.\n`, { x: "x" }, parts),
    ).toBe('a **b** x c ``d`e`` <file path="f & g">h</file>.')
  })
  it("hold Markdown", () => {
    const source = `${imports}# A\n\n<Note>\n  ## B\n\n  - c\n    \`\`\`js\n    { d }\n\n      e\n    \`\`\`\n  - {props.x}\n\n  <Note>f</Note>\n</Note>\nafter\n`
    expect(prompt(source, { x: "1\n2" }, parts)).toBe(
      [
        "# A",
        "",
        "> Note: ## B",
        ">",
        "> - c",
        ">   ```js",
        ">   { d }",
        ">",
        ">     e",
        ">   ```",
        "> - 1",
        ">   2",
        ">",
        "> > Note: f",
        "",
        "after",
      ].join("\n"),
    )
  })
  it("stay in their list item", () => {
    const source = `${imports}1. a\n\n   <Steps names={["b", "c"]} />\n\n   <Note>\n     d\n\n     e\n   </Note>\n2. <Bare>f\n   g</Bare>\n   - <Steps names={["h", "i"]} />\n`
    expect(prompt(source, {}, parts)).toBe(
      ["1. a", "", "   1. b", "   2. c", "", "   > Note: d", "   >", "   > e", "2. f", "   g", "   - 1. h", "     2. i"].join("\n"),
    )
  })
  it("lose only the indentation that is common to what is in them", () => {
    expect(prompt(`${imports}<Bare>\n    a\n\n  <x>\nb\n  </x>\n</Bare>\n`, {}, parts)).toBe("  a\n\n<x>\nb\n</x>")
    expect(prompt(`${imports}<Bare>\n\ta\n\n\t\tb\n</Bare>\n`, {}, parts)).toBe("a\n\n\tb")
  })
  it("of unknown names stay as they are written, with what is in them", () => {
    const source =
      '<context source="x" n={1}>\n  <file path="a.ts">\n    const a = 1 \\{\n\n      - b\n  </file>\n\n  {props.x}\n</context>\n\nend\n'
    expect(prompt(source, { x: "1\n2" })).toBe(
      '<context source="x" n="1">\n  <file path="a.ts">\n    const a = 1 {\n\n      - b\n  </file>\n\n  1\n  2\n</context>\n\nend',
    )
  })
  it("of HTML become Markdown", () => {
    expect(
      prompt("<ul>\n  <li>a</li>\n  {['b'].map((x) => <li>{x}</li>)}\n</ul>\n\n<details>\n<summary>c</summary>\n\nd\n</details>\n"),
    ).toBe("- a\n- b\n\n<details>\n<summary>c</summary>\n\nd\n</details>")
    expect(prompt('<pre><code className="language-ts">{`a <b>\n  {c}`}</code></pre>\n')).toBe("```ts\na <b>\n  {c}\n```")
  })
  it("may be fragments", () => {
    expect(prompt("a <>b *c*</> d\n\n<>\n  - e\n\n    f\n</>\n\ng\n")).toBe("a b *c* d\n\n- e\n\n  f\n\ng")
  })
  it("may be other prompts", () => {
    const inner = load("---\ninputs:\n  x: string\n---\n\nBe *{props.x}*.\n", {}, { path: "be-careful.mdx" })
    const source = 'import Be from "./be.mdx"\n\nPlease. <Be x="kind" />\n\n- <Be x="brief" />\n'
    expect(prompt(source, {}, { "./be.mdx": { ...inner } })).toBe("Please. Be *kind*.\n\n- Be *brief*.")
    expect(inner.default.displayName).toBe("BeCareful")
    expect(inner.default.name).toBe("BeCareful")
  })
  it("that nothing defines are named", () => {
    expect(() => prompt("<Missing />")).toThrow(/Missing/)
  })
})

describe("the example of the announcement", () => {
  const source = `---
inputs:
  repo: string
  sha: string
---
import { RiskAnalysis, OutputSpec } from "./fragments";

# Repo review
Analyze {props.repo} at {props.sha}.

<RiskAnalysis level="thorough" />

<OutputSpec fields={["summary", "risk"]} />
`
  it("works as written", () => {
    expect(prompt(source, { repo: "acme/api", sha: "abc123" }, { "./fragments": { RiskAnalysis, OutputSpec } })).toBe(
      "# Repo review\nAnalyze acme/api at abc123.\n\n## Risk analysis\n\nBe **thorough**. Look for:\n\n- breaking changes\n- code such as `a < b && c`\n\nAnswer with summary and risk.",
    )
  })
})

describe("inputs", () => {
  const source = `---
title: Review
tags: [a, 1]
inputs:
  text: string
  count?: number
  flag: boolean?
  names: string[]   # of people
  level: "low" | 'high' | 3
  mode?: "a" | "b"
  grid: (number | null)[][]
  user:
    name: string
    age?: number
  files:
    - path: string
  bag: object
  rest: any
---
ok
`
  const good = {
    text: "",
    names: [],
    level: "low",
    grid: [[1, null]],
    user: { name: "x" },
    files: [{ path: "p" }],
    bag: {},
    rest: null,
  }
  const { default: Prompt, frontmatter } = load(source, {}, { path: "prompts/review.mdx" })
  const given = (props: object): string => {
    try {
      return textOf(h(Prompt, { ...good, ...props }))
    } catch (error) {
      expect(error).toBeInstanceOf(PromptInput.PromptInputError)
      return (error as Error).message
    }
  }

  it("are taken when they are what they should be", () => {
    expect(given({})).toBe("ok")
    expect(
      given({
        count: 1,
        flag: false,
        names: ["a"],
        level: 3,
        mode: "b",
        user: { name: "x", age: 2 },
        children: "x",
        components: {},
      }),
    ).toBe("ok")
    expect(given({ count: undefined })).toBe("ok")
  })

  const wrong: ReadonlyArray<readonly [object, string]> = [
    [{ text: undefined }, 'input "text": expected string, received nothing'],
    [{ text: 1 }, 'input "text": expected string, received 1 (number)'],
    [{ count: "1" }, 'input "count": expected number, received "1" (string)'],
    [{ count: Number.NaN }, 'input "count": expected number, received NaN'],
    [{ flag: null }, 'input "flag": expected boolean, received null (null)'],
    [{ names: "a" }, 'input "names": expected string[], received "a" (string)'],
    [{ names: ["a", 2] }, 'input "names[1]": expected string, received 2 (number)'],
    [{ level: "mid" }, 'input "level": expected "low" | "high" | 3, received "mid" (string)'],
    [{ grid: [[true]] }, 'input "grid[0][0]": expected number | null, received true (boolean)'],
    [{ grid: 1 }, 'input "grid": expected (number | null)[][], received 1 (number)'],
    [{ user: {} }, 'input "user.name": expected string, received nothing'],
    [{ user: { name: "x", aeg: 1 } }, 'input "user.aeg": expected one of the inputs name, age, received "aeg"'],
    [{ user: [] }, 'input "user": expected { name: string; age?: number }, received [] (array)'],
    [{ files: [{ path: 1 }] }, 'input "files[0].path": expected string, received 1 (number)'],
    [{ bag: [] }, 'input "bag": expected object, received [] (array)'],
    [{ bag: () => 1 }, 'input "bag": expected object, received a function'],
    [{ rest: undefined }, 'input "rest": expected any, received nothing'],
    [
      { txt: "a", text: undefined },
      'input "txt": expected one of the inputs text, count, flag, names, level, mode, grid, user, files, bag, rest, received "txt"',
    ],
    [{ text: ["x".repeat(80)] }, `input "text": expected string, received ["${"x".repeat(55)}... (array)`],
  ]
  for (const [props, message] of wrong)
    it(`are refused otherwise: ${message}`, () => expect(given(props)).toBe(`prompts/review.mdx: ${message}`))

  it("may be pending, wholly or in part", () => {
    const all = Object.fromEntries(Object.keys(good).map((name) => [name, pending]))
    expect(given(all)).toBe("ok")
    expect(given({ names: [pending], user: { name: pending } })).toBe("ok")
  })
  it("may be none", () => {
    const { default: None } = load("---\ninputs:\n---\nok")
    expect(textOf(h(None, {}))).toBe("ok")
    expect(() => textOf(h(None, { a: 1 }))).toThrow('input "a": expected no inputs, received "a"')
  })
  it("are not checked when none are declared", () => expect(prompt("ok", { a: 1 })).toBe("ok"))
  it("are not part of what else the front matter holds", () => {
    expect(frontmatter).toEqual({ title: "Review", tags: ["a", 1] })
    expect(load("a").frontmatter).toEqual({})
  })

  it("give the types of the props", () => {
    expect(
      Effect.runSync(declarationOf(`${source}\nexport const Part = () => 1, other = 2\n`, { path: "/x/repo-review.mdx" })),
    ).toBe(`// Generated from repo-review.mdx, and updated whenever it changes.
import type * as React from "react"

declare const RepoReview: (props: {
  readonly text: string
  readonly count?: number | undefined
  readonly flag?: boolean | undefined
  readonly names: ReadonlyArray<string>
  readonly level: "low" | "high" | 3
  readonly mode?: "a" | "b" | undefined
  readonly grid: ReadonlyArray<ReadonlyArray<number | null>>
  readonly user: { readonly name: string; readonly age?: number | undefined }
  readonly files: ReadonlyArray<{ readonly path: string }>
  readonly bag: object
  readonly rest: unknown
  readonly children?: React.ReactNode
  readonly components?: object
}) => React.ReactElement
export default RepoReview

export declare const frontmatter: { readonly title: string; readonly tags: ReadonlyArray<string | number> }
export declare const Part: (props: { readonly [name: string]: unknown }) => React.ReactNode
export declare const other: unknown
`)
    expect(Effect.runSync(declarationOf("a", { path: "1.mdx" }))).toContain(
      "declare const Prompt1: (props: {\n  readonly [name: string]: unknown\n}) =>",
    )
  })
})

describe("what cannot be compiled is an error that says where", () => {
  const cases: ReadonlyArray<readonly [string, string]> = [
    ["# A\n\na {b\n", "3:5: Unexpected end of file in expression"],
    ["---\ntitle: x\n---\na\n\n<b>c\n", "6:1: Expected a closing tag for `<b>`"],
    ["---\ntitle: x\n---\n\n{1 +}\n", "5:5: Could not parse expression with acorn"],
    ["a <!-- b -->\n", "1:4: Unexpected character `!`"],
    ["![a {b}](c)\n", "1:5: the text of an image cannot hold expressions"],
    ["---\ntitle: x\n", "1:1: the front matter is not closed"],
    ["---\n- a\n---\n", "2:1: the front matter must be a map"],
    ["---\na: 1\nb: [\n---\n", "4:1: the front matter cannot be read"],
    ["---\na: 1\na: 2\n---\n", "3:1: the front matter cannot be read: Map keys must be unique"],
    ["---\ninputs:\n  a: strin\n---\n", '3:6: input "a" is of unknown type strin: write string, number'],
    ["---\ninputs:\n  a: string\n  b:\n---\n", '4:5: input "b" has no type'],
    ["---\ninputs:\n  a:\n    b: string[\n---\n", '4:8: input "b" is of unknown type string['],
    ["---\ninputs: [a]\n---\n", "2:9: inputs must be a map"],
    ["---\ninputs:\n  children: string\n---\n", '3:3: "children" cannot be an input'],
    ['---\ninputs:\n  a: "x" | y\n---\n', '3:6: input "a" is of unknown type "x" | y'],
  ]
  for (const [source, message] of cases) {
    it(message, () => {
      expect(failure(source)).toContain(`PromptSyntaxError prompts/a.mdx:${message}`)
      expect(failure(source.replaceAll("\n", "\r\n"))).toBe(failure(source))
    })
  }
  it("but not what could be taken for front matter", () => {
    expect(prompt("a\n\n---\n\nb: c\n\n---\n")).toBe("a\n\n---\n\nb: c\n\n---")
    expect(prompt("----\n\na\n")).toBe("----\n\na")
  })
})

describe("a compiled module", () => {
  it("names the packages it is told to", () => {
    const code = compiled("<b>a</b>", { jsxImportSource: "x", runtimeSource: "/y/z.ts" })
    expect(code).toContain('from "x/jsx-runtime"')
    expect(code).toContain('from "/y/z.ts"')
    expect(Effect.runSync(compile("<b>a</b>"))).toContain('from "smithers-orchestrator/jsx-runtime"')
  })
  it("leaves an export of the name frontmatter to the author", () => {
    expect(compiled("---\na: 1\n---\nexport const frontmatter = 1\n").match(/frontmatter =/g)).toHaveLength(1)
  })
})

describe("an expression that throws", () => {
  const thrown = (source: string, props: { readonly [name: string]: unknown } = {}): unknown => {
    const component = load(source, parts, { path: "prompts/a.mdx" }).default
    try {
      textOf(React.createElement(component, props))
      return "nothing"
    } catch (error) {
      return (error as { readonly thrown?: unknown }).thrown ?? error
    }
  }

  it("says in which file and line it stands, and keeps its class", () => {
    const fields = "---\ninputs:\n  user: object\n---\n"
    const error = thrown(`${fields}\n# Hello\n\nDear {props.user.name.first},\n`, { user: {} })
    expect(error).toBeInstanceOf(TypeError)
    expect((error as Error).message).toMatch(/^prompts\/a\.mdx:8: .*undefined/)
    expect((thrown(`${imports}a\n\n<Note>\n  {props.list.map((one) => one.name)}\n</Note>\n`) as Error).message).toMatch(
      /^prompts\/a\.mdx:6: /,
    )
    expect((thrown(`${imports}<Steps names={props.a.b} />\n`) as Error).message).toMatch(/^prompts\/a\.mdx:3: /)
    expect((thrown("{(() => { throw new RangeError('no') })()}") as Error).message).toBe("prompts/a.mdx:1: no")
  })

  it("and the others give what they gave, also elements in a list", () => {
    expect(
      prompt(`${imports}{props.names.map((name) => <Note key={name}>{name.trim()}</Note>)}\n`, { names: ["a ", "b"] }, parts),
    ).toBe(prompt(`${imports}<Note>a</Note>\n<Note>b</Note>\n`, {}, parts))
  })
})
