import { expect, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { TestRuntime } from "smithers-orchestrator/testing"
import planPrd from "../workflows/plan-prd"

test("a person answers and approves, and document and plan are in a file", async () => {
  const folder = mkdtempSync(join(tmpdir(), "prds-"))
  try {
    await using runtime = TestRuntime.make()
    const run = await runtime.start(planPrd, { idea: "Let people share a list", folder }, { runId: "p" })
    const { request } = await runtime.waitFor("p", "answers")
    expect(JSON.stringify(request)).toContain("1. Who shares a list")
    await runtime.answer("p", "answers", { answers: "Families. Everything." })
    await runtime.approve("p", "approve")
    expect(await run.output()).toEqual({ file: join(folder, "shared-lists.md"), tickets: 2 })
    const text = readFileSync(join(folder, "shared-lists.md"), "utf8")
    expect(text).toContain("## Out of scope")
    expect(text).toContain("- [ ] rights: Let the owner say who may edit (after link)")
  } finally {
    rmSync(folder, { recursive: true })
  }
})
