/**
 * What the documents say of the house: where its rooms are, and which part may know which.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Package from "@smithers/core/Package"
import { Effect, Layer } from "effect"
import { Smithers } from "smithers-orchestrator"
import { describe, expect, it } from "vitest"
import * as Surface from "./Surface.ts"

const root = join(import.meta.dirname, "../..")
const read = (file: string): string => readFileSync(join(root, file), "utf8")

/** The rows of the first table after a heading. */
const tableOf = (file: string, heading: string): ReadonlyArray<ReadonlyArray<string>> => {
  const after = read(file).split(`${heading}\n`)[1] ?? ""
  const lines = after.split("\n")
  const start = lines.findIndex((line) => line.startsWith("|"))
  const rows = lines.slice(start).slice(
    0,
    lines.slice(start).findIndex((line) => !line.startsWith("|")),
  )
  return rows.slice(2).map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

const named = (cell: string | undefined): ReadonlyArray<string> =>
  [...(cell ?? "").matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? "")

describe("the house", () => {
  it("has the rooms that CONTRIBUTING leads to", () => {
    const rooms = tableOf("CONTRIBUTING.md", "## Where is it?").map(([, room]) => named(room))
    expect(rooms).toHaveLength(11)
    for (const files of rooms) {
      expect(files.length).toBeGreaterThan(0)
      for (const file of files) expect([file, existsSync(join(root, file))]).toEqual([file, true])
    }
  })

  it("has the arrows of the design, which the boundaries enforce", () => {
    const { forbidden } = createRequire(import.meta.url)(join(root, ".dependency-cruiser.cjs")) as {
      readonly forbidden: ReadonlyArray<{ readonly name: string }>
    }
    const enforced = new Map(
      forbidden.flatMap(({ name }) => {
        const [from, to] = name.split("-imports-only-itself")
        return to === undefined || from === undefined ? [] : [[from, to.split("-and-").filter((part) => part !== "")] as const]
      }),
    )
    const drawn = tableOf("docs/design.md", "## Parts and arrows").map(
      ([part, , arrows]) => [named(part)[0] ?? "", named(arrows)] as const,
    )
    expect(drawn.length).toBeGreaterThan(5)
    for (const [part, arrows] of drawn)
      expect([part, enforced.get(part)?.toSorted()]).toEqual([part, part === "smithers" ? undefined : arrows.toSorted()])
  })
})

describe("the words of the documents", () => {
  /** Prose alone, a sentence at a time. */
  const sentences = (file: string): ReadonlyArray<string> =>
    read(file)
      .replaceAll(/```[\s\S]*?```|<!--[\s\S]*?-->|^#.*$/gm, "")
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .split(/\n\s*\n|^\s*[-*] |\||(?<=[.!?:])\s/m)
      .map((sentence) => sentence.replaceAll(/\s+/g, " ").trim())
      .filter((sentence) => sentence !== "")
  const pages = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name))
  const found = (files: ReadonlyArray<string>, wrong: RegExp) =>
    files.flatMap((file) => sentences(file).flatMap((sentence) => (wrong.test(sentence) ? [`${file}: ${sentence}`] : [])))

  it("are those of the field, and not their paraphrases", () => {
    const banned =
      /\bunless told\b|\banew\b|\b(?:taken|takes?|taking) up\b|\b(?:comes?|came) to nothing\b|\bnobody\b.*\bany ?more\b/i
    expect(found(["README.md", ...pages], banned)).toEqual([])
  })

  it("stand in plain order: no sentence opens with a question word, and few are long", () => {
    // The design is for those who change the code, the index has titles alone, and the patterns are called as in their book.
    const taught = [
      "README.md",
      ...pages.filter((page) => !["docs/design.md", "docs/README.md", "docs/patterns43.md"].includes(page)),
    ]
    expect(found(taught, /^(?:What|How|Whether|Where|Who|Whoever|Why|Which)\b[^?]*$/)).toEqual([])
    const mine = taught.filter((page) => /^docs\/(?:quickstart|stability|concepts\/|guides\/)/.test(page)).flatMap(sentences)
    const long = mine.filter((sentence) => sentence.split(" ").length > 25)
    expect(long.length / mine.length).toBeLessThan(0.01)
  })
})

describe("the published package", () => {
  it("is named, in code, as its manifest says; bun run docs writes it", () => {
    const { name, version } = JSON.parse(read("packages/smithers/package.json"))
    expect([Package.name, Package.version]).toEqual([name, version])
  })

  it("is made of packages that are not published themselves", () => {
    const parts = readdirSync(join(root, "packages")).filter((part) => part !== "smithers")
    expect(parts.length).toBeGreaterThan(5)
    for (const part of parts) expect([part, JSON.parse(read(`packages/${part}/package.json`)).private]).toEqual([part, true])
  })
})

describe("a public name", () => {
  /** Terms of the glossary, with the endings that they may have. */
  const terms = tableOf("docs/glossary.md", "# Glossary").flatMap(([term = ""]) => term.split(" "))
  const endings = ["", "s", "es", "d", "ed", "er", "ers", "ing", "ion", "ions", "ies"]
  const forms = new Set(terms.flatMap((term) => endings.flatMap((ending) => [term + ending, term.slice(0, -1) + ending])))
  const plain = new Set(read("test/smithers/fixtures/plainWords.txt").trim().split("\n"))
  /** Words by which a term of the field would be paraphrased. */
  const refused = new Set(
    [
      ...[
        "anew",
        "ask",
        "asked",
        "asking",
        "beside",
        "drawn",
        "fruitful",
        "given",
        "gone",
        "hear",
        "heard",
        "lets",
        "looking",
        "meant",
      ],
      ...["misplaced", "nobody", "said", "say", "somebody", "someone", "tell", "thing", "told", "unheard", "wanted", "whatever"],
      ...["whoever", "wrong"],
    ].flatMap((word) => [word, `${word}s`]),
  )
  /** The names that have a word which is neither a term of the glossary nor a plain word, with that word. */
  const strange = (names: ReadonlySet<string>): ReadonlyArray<string> =>
    [...names].flatMap((name) =>
      Surface.wordsOf(name).flatMap((word) =>
        refused.has(word) || !(forms.has(word) || plain.has(word)) ? [`${name}: ${word}`] : [],
      ),
    )
  const folder = mkdtempSync(join(tmpdir(), "smithers-names-"))

  it("uses terms of the glossary, or plain words that are listed: exports with their fields", { timeout: 120_000 }, () => {
    const names = Surface.exported()
    expect(names.size).toBeGreaterThan(400)
    expect(strange(names)).toEqual([])
  })

  it("does so in what is printed with --json, on the command line, and in tables and columns", async () => {
    const filename = join(folder, "smithers.db")
    await Effect.runPromise(Effect.scoped(Layer.build(Smithers.sqlite({ filename }))))
    for (const names of [Surface.printed(), Surface.typed(), Surface.stored(filename)]) {
      expect(names.size).toBeGreaterThan(50)
      expect(strange(names)).toEqual([])
    }
    rmSync(folder, { recursive: true })
  })

  it("is refused where it paraphrases a term, also with a word that is listed", { timeout: 120_000 }, () => {
    const place = mkdtempSync(join(tmpdir(), "smithers-names-"))
    const file = join(place, "probe.ts")
    writeFileSync(file, "export interface Probe { readonly isTold: boolean; readonly runId: string; readonly frobnicated: 1 }")
    const names = Surface.exported([file])
    rmSync(place, { recursive: true })
    expect(strange(names)).toEqual(["Probe: probe", "isTold: told", "frobnicated: frobnicated"])
  })

  it("has no word in the list that would be refused, and the glossary has each term once", () => {
    expect([...plain].filter((word) => refused.has(word))).toEqual([])
    const rows = tableOf("docs/glossary.md", "# Glossary").map(([term]) => term)
    expect(rows.length).toBeGreaterThanOrEqual(30)
    expect(new Set(rows).size).toBe(rows.length)
  })
})
