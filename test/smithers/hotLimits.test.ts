/** Hot reload at the limits of the system: no watch is left, and a thousand reloads. */
import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"

let folder: string
beforeEach(() => {
  // Inside the project, so that its packages are found.
  folder = mkdtempSync(join(import.meta.dirname, "hot-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const save = (name: string, text: string): void => writeFileSync(join(folder, name), text)

/** A shell in a user namespace of its own, in which nobody may watch a file. */
const unwatched = (command: string): ReadonlyArray<string> => [
  "unshare",
  "-Ur",
  "sh",
  "-c",
  `echo 0 > /proc/sys/user/max_inotify_instances && exec ${command}`,
]
const isPossible =
  process.platform === "linux" &&
  spawnSync("unshare", unwatched("true").slice(1) as Array<string>, { stdio: "ignore" }).status === 0

const workflow = `import { createSmithers } from "smithers-orchestrator"
import { z } from "zod"
import { word } from "./word.ts"
const { Workflow, Task, Sequence, smithers, outputs } = createSmithers({ note: z.object({ text: z.string() }) })
export const flow = smithers(() => (
  <Workflow name="flow">
    <Sequence>
      <Task id="a" output={outputs.note}>{async () => {
        await globalThis.edited
        return { text: "a" }
      }}</Task>
      <Task id="b" output={outputs.note}>{() => ({ text: word })}</Task>
    </Sequence>
  </Workflow>
))
`

/** Tells how the system refuses a watch, then edits its own workflow in each way in which editors save, until the run has taken it. */
const program = `import { renameSync, watch, writeFileSync } from "node:fs"
import { runWorkflow } from "smithers-orchestrator"
import { flow } from "./workflow.tsx"
try { watch(import.meta.dirname); console.log("watched") } catch (error) { console.log(error.code) }
const path = (name) => import.meta.dirname + "/" + name
const text = (word) => "export const word = " + JSON.stringify(word) + "\\n"
const inPlace = (word) => writeFileSync(path("word.ts"), text(word))
const renamedOver = (word) => { writeFileSync(path(".word.tmp"), text(word)); renameSync(path(".word.tmp"), path("word.ts")) }
const backedUp = (word) => { renameSync(path("word.ts"), path("word.ts~")); writeFileSync(path("word.ts"), text(word)) }
const { promise, resolve } = Promise.withResolvers()
globalThis.edited = promise
const saves = [() => inPlace("second"), () => renamedOver("third"), () => backedUp("fourth"), resolve]
const log = console.log
console.log = (line) => { log(line); if (String(line).includes("reloaded")) saves.shift()?.() }
setTimeout(() => saves.shift()?.(), 500)
const result = await runWorkflow(flow, { input: {}, db: path("smithers.db"), runId: "r", hot: true, source: path("workflow.tsx") })
log(JSON.stringify(result))
`

describe("hot reload", () => {
  it.skipIf(!isPossible)("looks at the files where the system has no watch left, and finds each way in which editors save", () => {
    save("workflow.tsx", workflow)
    save("word.ts", 'export const word = "first"\n')
    save("program.ts", program)
    const [shell = "", ...args] = unwatched(`'${process.execPath}' '${join(folder, "program.ts")}'`)
    const { stdout, stderr } = spawnSync(shell, args, { encoding: "utf8", timeout: 60_000 })
    expect(stdout).toContain("EMFILE")
    expect(stdout + stderr).toContain("(generation 3)")
    expect(stdout).toContain('"output":{"text":"fourth"}')
  })

  it("says after 1,000 reloads that the code which was left takes memory, and takes each of them", () => {
    const fixture = join(import.meta.dirname, "fixtures", "manyReloads.ts")
    const said = execFileSync(process.execPath, [fixture, folder], { encoding: "utf8", timeout: 100_000 })
    const { _tag, reloads, megabytes } = JSON.parse(said) as { readonly [name: string]: unknown }
    expect([_tag, reloads]).toEqual(["Heavy", 1000])
    expect(megabytes).toBeLessThan(200)
    expect(readFileSync(join(folder, "flow.ts"), "utf8")).toContain("1001")
  })
})
