/**
 * The script over a checkout of Smithers 0.x, with programs of our own that are written as programs of 0.x are: one for each cause for which such programs did not run.
 */
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { lineOf, type Row, survey } from "../../scripts/compatibility.ts"

const fixtures = join(import.meta.dirname, "fixtures")

/** Causes that are gone: their programs run to their end. */
const gone = [
  "approvals",
  "cached",
  "children",
  "growing",
  "ids",
  "input",
  "memory",
  "noLimit",
  "options",
  "programs",
  "project/workflows/plan",
  "prompts",
  "rows",
  "scorers",
  "skipped",
  "timers",
  "tools",
  "waits",
  "worktrees",
]

/** Causes that are left on purpose, each with how far its program comes, and the cure that its error names. */
const kept: { readonly [program: string]: readonly [reached: string, cure: string] } = {
  autoApprove: ["loads", "<ApprovalGate when={…}>"],
  catchErrors: ["loads", "catchWhen"],
  composites: ["nothing", 'Import it from "smithers-orchestrator/patterns"'],
  inline: ["loads", "put the tasks of the child into a component"],
  models: ["nothing", "createAgent({ model })"],
  noAgent: ["loads", "give it an agent, a function, or a value that matches"],
  rank: ["loads", "Ask for the list with a <HumanTask>"],
  sagaStep: ["loads", '"compensate", a function that undoes it'],
  sagaSteps: ["loads", "onCompensated"],
  scope: ["nothing", 'Import it from "smithers-orchestrator/scorers"'],
  signalChild: ["loads", "ctx.outputMaybe"],
  unlimited: ["loads, draws", 'onMaxReached to "return-last"'],
}

const reachedBy = ({ loads, draws, runs }: Row): string =>
  [loads && "loads", draws && "draws", runs && "runs"].filter((one) => one !== false).join(", ") || "nothing"

describe("the survey of a checkout", () => {
  it("runs a program for each cause that is gone, and names the cure of each that is kept", async () => {
    const seen: Array<Row> = []
    const rows = await survey(join(fixtures, "workflows0x"), { limit: 120, onRow: (row) => seen.push(row) })
    expect(seen).toEqual(rows)
    const files = readdirSync(join(fixtures, "workflows0x")).filter((name) => name.endsWith(".jsx"))
    expect(rows.map(({ workflow }) => workflow).toSorted()).toEqual([...files, "project/workflows/plan.jsx"].toSorted())
    const named = Object.fromEntries(rows.map((row) => [row.workflow.replace(".jsx", ""), row]))
    expect(rows.filter(({ runs }) => runs).map(({ workflow }) => workflow.replace(".jsx", ""))).toEqual(gone)
    for (const [program, [reached, cure]] of Object.entries(kept)) {
      const row = named[program]
      expect([program, row && reachedBy(row), row?.cause]).toEqual([program, reached, expect.stringContaining(cure)])
    }
    expect(rows.length).toBe(gone.length + Object.keys(kept).length)
    // Thirty processes, one after the other, also on a machine that is busy.
  }, 360_000)

  it("ends a program that is at work when its time is up", async () => {
    const [row] = await survey(join(fixtures, "endless"), { limit: 15 })
    expect(row).toEqual({
      workflow: "endless.jsx",
      ...{ loads: true, draws: true, runs: false, ends: "time limit", cause: "it was at work after 15 seconds" },
    })
    expect(row && lineOf(row, 12)).toBe("endless.jsx  yes   yes   no    time limit        it was at work after 15 seconds")
  })
})
