/**
 * What the documents say of the house: where its rooms are, and which part may know which.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import * as Package from "@smithers/core/Package"
import { describe, expect, it } from "vitest"

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
