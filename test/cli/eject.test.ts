import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { eject } from "@smithers/cli/actions/eject"
import * as Effect from "effect/Effect"
import { afterEach, describe, expect, it } from "vitest"
import { type Folder, folder } from "./Fixture.ts"

const places: Array<Folder> = []
const place = () => {
  const made = folder()
  places.push(made)
  return made
}
afterEach(() => {
  for (const made of places.splice(0)) made.remove()
})

const names = [
  ...["ClassifyAndRoute", "Debate", "EscalationChain", "GatherAndSynthesize", "Kanban", "Optimizer"],
  ...["Panel", "Poller", "ReviewLoop", "ScanFixVerify", "Supervisor"],
]

const program = `import { createSmithers } from "smithers-orchestrator"
import { scriptedAgent } from "smithers-orchestrator/testing"
import { z } from "zod"
${names.map((name) => `import { ${name} } from "./patterns/${name}"`).join("\n")}

export const all = { ${names.join(", ")} }
const { Workflow, smithers, outputs } = createSmithers({ draft: z.string(), review: z.object({ approved: z.boolean() }) })
const producer = scriptedAgent(["short", "longer"])
const reviewer = scriptedAgent([{ approved: false }, { approved: true }])
export default smithers(() => (
  <Workflow name="ejected">
    <ReviewLoop id="post" producer={producer} reviewer={reviewer} produceOutput={outputs.draft} reviewOutput={outputs.review}>
      Write.
    </ReviewLoop>
  </Workflow>
))
`

describe("eject", () => {
  it("copies each pattern into the project, where it runs unchanged", async () => {
    const here = place()
    expect(await here.json("eject", "ReviewLoop")).toMatchObject({ code: 0, value: { pattern: "ReviewLoop" } })
    for (const pattern of names.filter((name) => name !== "ReviewLoop"))
      await Effect.runPromise(eject({ pattern, to: here.file("patterns"), force: false }))
    expect(readFileSync(here.file("patterns/ReviewLoop.tsx"), "utf8")).not.toMatch(/@smithers|"\.\//)
    // The compiler takes no extension in the project that init writes.
    for (const name of names) expect(readFileSync(here.file(`patterns/${name}.tsx`), "utf8")).not.toMatch(/from "[^"]+\.tsx?"/)
    const written = readdirSync(here.file("patterns")).filter((file) => !names.some((name) => file === `${name}.tsx`))
    expect(written.sort()).toEqual(["Delegation.ts", "Scans.ts"])
    writeFileSync(here.file("flow.tsx"), program)
    const { code, value } = await here.json("up", "flow.tsx", "--run-id", "r")
    expect([code, value]).toMatchObject([0, { output: { outcome: "approved", rounds: 2, draft: "longer" } }])
    // The compiler knows what is imported: types of the package, and what its patterns export.
    const types = names.flatMap((name) => [
      ...readFileSync(here.file(`patterns/${name}.tsx`), "utf8").matchAll(
        /^import type (.*) from "(?:smithers-orchestrator|react)"$/gm,
      ),
    ])
    expect([...new Set(types.map(([, imported]) => imported))].toSorted()).toEqual(["* as React", "{ Ctx }"])
  })

  it("overwrites nothing, unless it is told to", async () => {
    const here = place()
    mkdirSync(here.file("patterns"))
    writeFileSync(here.file("patterns/Panel.tsx"), "mine")
    const kept = await here.run("eject", "panel")
    expect([kept.code, kept.stderr]).toEqual([4, expect.stringContaining("patterns/Panel.tsx exists, and is kept")])
    expect(readFileSync(here.file("patterns/Panel.tsx"), "utf8")).toBe("mine")
    const forced = await here.run("eject", "panel", "--force")
    expect([forced.code, forced.stdout]).toEqual([0, expect.stringContaining('import { Panel } from "./patterns/Panel"')])
    expect(readFileSync(here.file("patterns/Panel.tsx"), "utf8")).toContain("export const Panel")
    mkdirSync(here.file("lib/flows"), { recursive: true })
    writeFileSync(here.file("lib/flows/Delegation.ts"), "mine")
    const beside = await here.run("eject", "Supervisor", "--to", "lib/flows")
    expect([beside.code, beside.stderr]).toEqual([4, expect.stringContaining("lib/flows/Delegation.ts exists, and is kept")])
    expect(existsSync(here.file("lib/flows/Supervisor.tsx"))).toBe(false)
    expect((await here.run("eject", "Debate", "--to", "lib/flows")).code).toBe(0)
    expect(existsSync(here.file("lib/flows/Debate.tsx"))).toBe(true)
  })

  it("names the patterns that there are", async () => {
    const { code, stderr } = await place().run("eject", "Loop")
    expect([code, stderr]).toEqual([4, expect.stringContaining(`There is no pattern "Loop": there are ${names.join(", ")}`)])
  })
})
