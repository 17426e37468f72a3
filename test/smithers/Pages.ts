/**
 * The pages of the documentation, and the blocks of code in them. A fence says after its language what a block is:
 *
 * - `ts`, `tsx`: a program, which is type-checked and run. With `title=name.ts` it is a file that other blocks of the page import or run; with
 *   `in=name` it is a part of a program, which `fixtures/pages/name.ts` holds around it.
 * - `console`: commands after `$ `, each with what it prints. `sh`: commands alone.
 * - `sql`: queries of the database that the blocks before it have left.
 * - `text output`: what the block before it prints.
 * - `text`, `json`, `toml`, `mdx`: text; with a title it is a file.
 *
 * A comment `<!-- not run: <reason> -->` before a block says why it cannot be run; TypeScript in it is type-checked all the same.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

export const root = join(import.meta.dirname, "..", "..")

export interface Block {
  readonly page: string
  readonly line: number
  readonly language: string
  readonly title: string | undefined
  /** The program that it is a part of. */
  readonly within: string | undefined
  readonly isOutput: boolean
  readonly code: string
  /** Why it is not run. */
  readonly notRun: string | undefined
}

/** Every page of the documentation, from the root of the repository. */
export const pages = (): ReadonlyArray<string> =>
  readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name))
    .toSorted()

const fence = /(?:^<!-- not run: ([^>]*?) -->\n\n?)?^( *)```([^\n`]*)\n([\s\S]*?)^\2```$/gm

/** The blocks of a page, in order. */
export const blocksOf = (page: string): ReadonlyArray<Block> => {
  const text = readFileSync(join(root, page), "utf8")
  return [...text.matchAll(fence)].map(({ index, 0: all, 1: notRun, 2: indent = "", 3: info = "", 4: code = "" }) => {
    const [language = "", ...attributes] = info.trim().split(/\s+/)
    const value = (name: string) => attributes.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1)
    return {
      page,
      line: text.slice(0, index + all.indexOf("```")).split("\n").length,
      language,
      title: value("title"),
      within: value("in"),
      isOutput: attributes.includes("output"),
      code: code.replaceAll(new RegExp(`^${indent}`, "gm"), ""),
      notRun,
    }
  })
}

/** The place of a block, for people. */
export const placeOf = ({ page, line }: Pick<Block, "page" | "line">): string => `${page}:${line}`

export const isProgram = ({ language }: Block): boolean => language === "ts" || language === "tsx"

/** A test of one of the runners that users have, which runs it. */
export const isTest = (block: Block): boolean => isProgram(block) && /from "(bun:test|vitest|@effect\/vitest)"/.test(block.code)

/** The whole program of a block. */
export const programOf = (block: Block): string => {
  if (block.within === undefined) return block.code
  const around = readFileSync(join(import.meta.dirname, "fixtures", "pages", `${block.within}.${block.language}`), "utf8")
  return around.replace(/^ *\/\/ <part>$/m, () => block.code.trimEnd())
}
