/** Child runs that their parent does not wait for, in processes that end: nothing of them stops without a word. */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder } from "./Fixture.ts"

const source = `
import { createSmithers } from "smithers-orchestrator"
import { appendFileSync, existsSync } from "node:fs"
import { z } from "zod"
const { Workflow, Task, Subflow, Approval, smithers, outputs } = createSmithers(
  { text: z.string(), decision: z.object({ approved: z.boolean() }).loose() },
  { input: z.object({}) },
)
const ran = (id) => {
  appendFileSync("ran.txt", id + "\\n")
  return id
}
const child = smithers(() => (
  <Workflow name="child">
    <Task id="slow" output={outputs.text}>
      {async () => {
        appendFileSync("ran.txt", "begun\\n")
        while (!existsSync("go")) await Bun.sleep(20)
        return ran("slow")
      }}
    </Task>
    <Approval id="ask" output={outputs.decision} request={{ title: "?" }} />
    <Task id="after" output={outputs.text}>{() => ran("after")}</Task>
  </Workflow>
))
export const parent = smithers(() => (
  <Workflow name="parent">
    <Subflow id="sub" workflow={child} input={{}} attach={false} />
    <Task id="end" output={outputs.text}>{() => ran("end")}</Task>
  </Workflow>
))
export default parent
`

let at: Folder
beforeEach(() => {
  at = folder()
  writeFileSync(at.file("family.tsx"), source)
})
afterEach(() => at.remove())

const until = async (is: () => boolean) => {
  while (!is()) await Bun.sleep(20)
}
const ran = (): ReadonlyArray<string> =>
  existsSync(at.file("ran.txt")) ? readFileSync(at.file("ran.txt"), "utf8").trim().split("\n") : []
const go = () => appendFileSync(at.file("go"), "")
const resumeChild = "smithers up --resume 'r~sub~0'"

describe("a child run that its parent does not wait for", () => {
  it("keeps `up` going until it rests, which then says how to go on with it", async () => {
    const up = at.start(["up", "family.tsx", "--run-id", "r"])
    await until(() => up.said().stderr.includes("continues in this process until it ends or waits"))
    go()
    const { code, stdout } = await up.result
    expect(code).toBe(0)
    expect(ran()).toContain("slow")
    expect(stdout).toContain("Detached child runs that have not ended:")
    expect(stdout).toContain(`r~sub~0 (waiting-approval): ${resumeChild}`)
    const again = await at.json("up", "--resume", "r")
    expect(again.value).toMatchObject({ status: "finished", next: [resumeChild] })
    expect(ran().filter((id) => id === "slow")).toHaveLength(1)
    await at.run("approve", "r~sub~0")
    // Its parent, which has finished, takes it up.
    const last = await at.json("up", "--resume", "r")
    expect(last.value).toMatchObject({ status: "finished", next: [] })
    expect(ran().at(-1)).toBe("after")
  })

  it("is named with the command that goes on with it where the process is stopped", async () => {
    const up = at.start(["up", "family.tsx", "--run-id", "r"])
    await until(() => up.said().stderr.includes("continues in this process until it ends or waits") && ran().includes("begun"))
    up.kill("SIGINT")
    const { code, stderr } = await up.result
    expect(code).toBe(130)
    expect(stderr).toContain('Run "r~sub~0" has not ended and stops here')
    expect(stderr).toContain("smithers up --resume r~sub~0")
    go()
    // Only a drawing of its parent has its code.
    expect((await at.run("up", "--resume", "r~sub~0")).code).toBe(0)
    expect(ran().filter((id) => id === "slow")).toHaveLength(1)
  })

  it("is taken up by a supervisor where its parent's process was killed", async () => {
    const up = at.start(["up", "family.tsx", "--run-id", "r"])
    await until(() => up.said().stderr.includes("continues in this process until it ends or waits") && ran().includes("begun"))
    up.kill("SIGKILL")
    await up.result
    go()
    const supervisor = at.start(["supervise", "--interval", "200ms"])
    await until(() => ran().includes("slow"))
    supervisor.kill("SIGTERM")
    await supervisor.result
    expect(ran().filter((id) => id === "end")).toHaveLength(1)
  })
})
