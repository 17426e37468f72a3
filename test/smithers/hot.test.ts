/** Programs whose workflow is edited while its run is at work, each as a process. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { until } from "../cli/Fixture.ts"

let folder: string
beforeEach(() => {
  // Inside the project, so that its packages are found.
  folder = mkdtempSync(join(import.meta.dirname, "hot-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const save = (name: string, text: string): void => writeFileSync(join(folder, name), text)

const workflow = (word: string): string => `import { createSmithers } from "smithers-orchestrator"
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { z } from "zod"
import { shared } from "./shared.ts"
export const { Workflow, Task, Sequence, smithers, outputs } = createSmithers({ note: z.object({ text: z.string() }) })
const wait = async () => {
  writeFileSync(join(import.meta.dirname, "began"), "")
  while (!existsSync(join(import.meta.dirname, "open"))) await Bun.sleep(5)
  return { text: "${word}" }
}
export const flow = smithers(() => (
  <Workflow name="flow">
    <Sequence>
      <Task id="a" output={outputs.note}>{wait}</Task>
      <Task id="b" output={outputs.note}>{() => ({ text: "${word} " + shared })}</Task>
    </Sequence>
  </Workflow>
))
`

const program = (options: string): string =>
  `import { runWorkflow } from "smithers-orchestrator"
import { flow } from "./workflow.tsx"
const result = await runWorkflow(flow, { input: {}, db: import.meta.dirname + "/smithers.db", runId: "r", ${options} })
console.log(JSON.stringify(result))
`

const start = (name: string) => {
  const child = Bun.spawn([process.execPath, join(folder, name)], { cwd: folder, stdout: "pipe", stderr: "pipe" })
  return {
    child,
    said: Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]).then((all) => all.join("")),
  }
}

const shared = "export const shared = "

describe("runWorkflow with hot", () => {
  it("takes saves of the workflow and of what it imports over, and goes on with the old code where one fails", async () => {
    save("workflow.tsx", workflow("old"))
    save("shared.ts", `${shared}1\n`)
    save("program.ts", program('hot: true, source: import.meta.dirname + "/workflow.tsx"'))
    const { said } = start("program.ts")
    await until(() => existsSync(join(folder, "began")), "the first task runs")
    // Longer than a save takes, each.
    for (const text of [`${shared}\n`, `throw new Error("thrown")\nexport const shared = 0\n`, `${shared}2\n`]) {
      save("shared.ts", text)
      await Bun.sleep(700)
    }
    save("workflow.tsx", workflow("new"))
    await Bun.sleep(1000)
    save("open", "")
    const text = await said
    expect(text).toContain('"status":"finished"')
    expect(text).toContain('"output":{"text":"new 2"}')
    expect(text).toContain("⟳ File change detected: 1 file(s)")
    expect(text).toContain("⟳ Workflow reloaded (generation 1)")
    expect(text).toMatch(/Not reloaded, the old code goes on: .*shared\.ts:/)
    expect(text).toContain("thrown")
  })

  it.each([
    ["no source", "hot: true", "source"],
    ["the program itself", "hot: true, source: import.meta.filename", "another file than the program"],
    ["a file that is not there", 'hot: true, source: "nowhere.tsx"', "which is not there"],
    [
      "a file without this workflow",
      'hot: true, source: import.meta.dirname + "/shared.ts"',
      "the file that exports this workflow",
    ],
    ["no boolean", 'hot: "yes"', "hot"],
  ])("refuses %s, and starts nothing", async (_, options, problem) => {
    save("workflow.tsx", workflow("old"))
    save("shared.ts", `${shared}1\n`)
    save("program.ts", program(options))
    const { child, said } = start("program.ts")
    const text = await said
    expect(await child.exited).toBe(1)
    expect(text).toContain("InvalidSetting")
    expect(text).toContain(problem)
    expect(existsSync(join(folder, "began"))).toBe(false)
  })
})

describe("many reloads", () => {
  it("begin the first task of new code soon, and leave little in memory", async () => {
    const bench = join(import.meta.dirname, "..", "..", "bench", "hot.ts")
    const child = Bun.spawn([process.execPath, bench, "150"], { stdout: "pipe", stderr: "inherit" })
    const { reloads, p50Ms, grownMb } = JSON.parse(await new Response(child.stdout).text()) as { readonly [name: string]: number }
    expect(reloads).toBe(150)
    // On a quiet machine 75 ms, and 500 reloads take 40 MB.
    expect(p50Ms).toBeLessThan(1500)
    expect(grownMb).toBeLessThan(50)
  })
})
