/**
 * The queries of the guide, one by one, against the file that its program leaves.
 */
import { Database } from "bun:sqlite"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { blocksOf } from "./Pages.ts"

const blocks = blocksOf("docs/guides/sql-queries.md")
const codeOf = (language: string): string => blocks.find((block) => block.language === language)?.code ?? ""
const queries = codeOf("sql")
  .split(/(?=^-- \d+\. )/m)
  .map((query) => query.trim())

// Inside the project, so that its packages are found.
const folder = mkdtempSync(join(import.meta.dirname, "readme-"))
let database: Database

beforeAll(() => {
  writeFileSync(join(folder, "example.ts"), codeOf("ts"))
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, "example.ts"], { cwd: folder, stderr: "pipe" })
  expect(exitCode, stderr.toString()).toBe(0)
  database = new Database(join(folder, "smithers.db"), { readonly: true })
})
afterAll(() => {
  database.close()
  rmSync(folder, { recursive: true, force: true })
})

const rows = (number: number): ReadonlyArray<Record<string, unknown>> =>
  database.query<Record<string, unknown>, []>(queries[number - 1] ?? "").all()

describe("the queries of the guide", () => {
  it("are twenty, and each answers", () => {
    expect(queries.map((query) => Number(/^-- (\d+)/.exec(query)?.[1]))).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    )
    expect(queries.filter((_, index) => rows(index + 1).length === 0)).toEqual([])
  })

  it("reach inputs, outputs, transitions, attempts, retries, errors, decisions and signals", () => {
    expect(rows(2)).toEqual([{ version: "1.0", output: '"published 1.0"' }])
    expect(rows(3)).toMatchObject([{ run_id: "r3", failure: expect.stringContaining("the registry is slow") }])
    // No number is missing in the log.
    expect(rows(6).map(({ seq }) => seq)).toEqual(rows(6).map((_, index) => index + Number(rows(6)[0]?.seq)))
    expect(rows(11)).toMatchObject([
      { attempt: 1, status: "failed" },
      { attempt: 2, status: "succeeded" },
    ])
    expect(rows(12)).toHaveLength(4)
    expect(rows(13)).toContainEqual({ run_id: "r1", node_id: "build", retries: 1 })
    expect(rows(16)).toEqual([
      { run_id: "r1", megabytes: 42 },
      { run_id: "r2", megabytes: 42 },
    ])
    expect(rows(18)).toMatchObject([{ run_id: "r2", node_id: "ok", kind: "approval", title: "Publish 42 MB?" }])
    expect(rows(19)).toMatchObject([{ run_id: "r1", approved: 1, decided_by: "ann", note: "looks good" }])
    expect(rows(20)).toMatchObject([{ run_id: "r1", id: "invoice-7", amount: 10, node_id: "paid" }])
  })
})
