/** What `replay` tells of recorded runs, and its exit code. */
import { readFileSync, writeFileSync } from "node:fs"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Folder, folder } from "./Fixture.ts"

let place: Folder
beforeAll(() => {
  place = folder()
})
afterAll(() => place.remove())

const code = (limit: number) => `import { createSmithers, Sequence, Branch } from "smithers-orchestrator"
import { z } from "zod"
const agent = { name: "writer", generate: async () => ({ text: "done" }) }
const { Workflow, Task, smithers, outputs } = createSmithers({ score: z.object({ n: z.number() }), text: z.string() }, { input: z.object({ n: z.number() }) })
export default smithers((ctx) => {
  const score = ctx.outputMaybe(outputs.score, { nodeId: "score" })
  return <Workflow name="rate"><Sequence>
    <Task id="score" output={outputs.score}>{{ n: ctx.input.n }}</Task>
    <Task id="say" agent={agent}>Say it {score?.n} times.</Task>
    {score !== undefined && score.n > ${limit} ? <Task id="shout" agent={agent}>Shout.</Task> : <Task id="note" agent={agent}>Note.</Task>}
  </Sequence></Workflow>
})
`

interface Value {
  readonly changed: number
  readonly runs: ReadonlyArray<{
    readonly runId: string
    readonly findings: ReadonlyArray<{ readonly finding: { readonly _tag: string; readonly nodeId?: string } }>
  }>
}

describe("replay", () => {
  it("finds nothing before an edit, and names what an edit would have changed, with exit code 1", async () => {
    writeFileSync(place.file("rate.tsx"), code(5))
    for (const n of [1, 9]) expect((await place.run("up", "rate.tsx", "--run-id", `r${n}`, "--input", `{"n":${n}}`)).code).toBe(0)
    const bytes = readFileSync(place.file("smithers.db"))
    const same = await place.json("replay", "--all")
    expect(same).toMatchObject({ code: 0, value: { changed: 0, problems: 0, runs: [{ findings: [] }, { findings: [] }] } })

    writeFileSync(place.file("rate.tsx"), code(0).replace("Say it", "Say this"))
    const edited = await place.json("replay", "--all", "--since", "1h", "--workflow", "rate")
    const { runs, changed } = edited.value as Value
    expect([edited.code, changed]).toEqual([1, 2])
    const found = Object.fromEntries(
      runs.map(({ runId, findings }) => [runId, findings.map(({ finding }) => `${finding._tag} ${finding.nodeId}`)]),
    )
    expect(found.r1).toEqual(["PromptChanged say"])
    expect(found.r9).toEqual(["PromptChanged say"])
    const { stdout, code: one } = await place.run("replay", "r1")
    expect(one).toBe(1)
    expect(stdout).toContain(`"say": the prompt differs: "Say it 1 times."`)
    expect(readFileSync(place.file("smithers.db")).equals(bytes)).toBe(true)

    writeFileSync(place.file("other.tsx"), code(0))
    const other = await place.json("replay", "r1", "--file", "other.tsx")
    expect((other.value as Value).runs[0]?.findings.map(({ finding }) => finding._tag)).toEqual(["NodeAdded", "NodeGone"])
  })

  it("refuses a call that names no run, and one that names both", async () => {
    for (const args of [[], ["r1", "--all"], ["r1", "--since", "1h"], ["--all", "--since", "soon"]])
      expect((await place.run("replay", ...args)).code).toBe(4)
  })

  it("tells of a run whose code is gone that it cannot be replayed", async () => {
    const { code, stdout } = await place.run("replay", "r1", "--file", "none.tsx")
    expect([code, stdout]).toEqual([1, expect.stringContaining("cannot be replayed: There is no file")])
  })
})
