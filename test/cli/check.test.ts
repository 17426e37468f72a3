/**
 * What `check` finds in a workflow of components without running it: each with its place and its cure.
 */
import { writeFileSync } from "node:fs"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Folder, folder } from "./Fixture.ts"

let place: Folder
beforeAll(() => {
  place = folder()
})
afterAll(() => place.remove())

const head = `import { createSmithers, Parallel, Sequence, useCtx } from "smithers-orchestrator"
import { z } from "zod"
const { Workflow, Task, smithers, outputs } = createSmithers({ plan: z.object({ text: z.string() }), text: z.string() })
const agent = { generate: async () => ({ text: "x" }) }
`
let files = 0
const checked = async (body: string) => {
  const name = `w${files++}.tsx`
  writeFileSync(place.file(name), `${head}export default smithers((ctx) => <Workflow name="w">${body}</Workflow>)\n`)
  const { code, value } = await place.json("check", name)
  return { code, problems: (value as { problems: ReadonlyArray<{ kind: string; message: string }> }).problems, name }
}

describe("check", () => {
  it("warns of siblings that are held back by a read in the same component, and graph names them", async () => {
    const { code, problems, name } = await checked(`<Parallel>{["a", "b"].map((item) => <Sequence key={item}>
      <Task id={"plan-" + item} output={outputs.plan} agent={agent}>Plan {item}</Task>
      <Task id={"write-" + item} agent={agent}>Write {ctx.output(outputs.plan, { nodeId: "plan-" + item }).text}</Task>
    </Sequence>)}</Parallel>`)
    expect(problems).toEqual([
      {
        kind: "warning",
        message: expect.stringMatching(
          /^Task "plan-b" \(at smithers > Workflow > Parallel > Sequence\) waits for "plan-a" only because .*\. Make each item a component of its own/,
        ),
      },
    ])
    expect(code).toBe(0)
    const { stdout } = await place.run("check", name)
    expect(stdout).toContain(`${name}: 1 warning.`)
    expect((await place.run("graph", name)).stdout).toContain(
      "step plan-b (asks agent; waits only because its component reads plan-a for something else)",
    )
  })

  it("refuses what is made of what comes later, also in a function", async () => {
    const drawn = await checked(`<Task id="send" agent={agent}>Send {ctx.output(outputs.plan, { nodeId: "write" }).text}</Task>
      <Task id="write" output={outputs.plan} agent={agent}>Write</Task>`)
    expect(drawn).toMatchObject({
      code: 1,
      problems: [
        {
          kind: "invalid",
          message: expect.stringMatching(
            /Task "send": its content reads the output of "write", which is its own or comes later.*Move it after the task that it reads.*\(at smithers > Workflow\)/,
          ),
        },
      ],
    })
    const asked =
      await checked(`<Task id="send" agent={agent} skipIf={(ctx) => !ctx.output(outputs.plan, { nodeId: "write" }).text}>Send</Task>
      <Task id="write" output={outputs.plan} agent={agent}>Write</Task>`)
    expect(asked).toMatchObject({
      code: 1,
      problems: [
        {
          kind: "invalid",
          message: expect.stringMatching(
            /^task "send" \(at smithers > Workflow\): "skipIf" reads the output of "write", which is its own or comes later/,
          ),
        },
      ],
    })
  })

  it("refuses what follows from the clock, from chance or from a counter, ids among it, in each of ten runs", async () => {
    const impure = await checked(`<Task id="a" agent={agent}>{new Date().toDateString()}</Task>
      <Task id={"t" + Math.random()} agent={agent}>x</Task>
      <Task id="b" agent={agent} skipIf={() => new Date().getHours() > 12}>x</Task>`)
    expect(impure.code).toBe(1)
    expect(impure.problems.map(({ kind }) => kind)).toEqual(["impure", "impure", "impure", "impure"])
    const messages = impure.problems.map(({ message }) => message).join("\n")
    expect(messages).toMatch(
      /task "a" \(at smithers > Workflow\) has the content .*, at another time\. .*get the time or a random number in a task/,
    )
    expect(messages).toMatch(/task "b" \(at smithers > Workflow\) evaluates "skipIf" to /)
    expect(messages).toMatch(
      /task "t0\.\d+" \(at smithers > Workflow\) exists only in the first render, with other random numbers\. .*derive ids from the input/,
    )
  })

  it("refuses agents that are none", async () => {
    for (const agent of ["({} as { agent?: never }).agent", "{}", '"coder"', "[]"]) {
      const { code, problems } = await checked(`<Task id="a" agent={${agent} as never}>x</Task>`)
      expect(code).toBe(1)
      expect(problems[0]?.message).toMatch(/Task "a": its agent is (undefined: check the name|not an agent)/)
    }
  })

  it("warns of a task's id with a slip in it, and so do up and why at the end of a run that has read it in vain", async () => {
    const { code, problems, name } = await checked(`<Task id="review" output={outputs.plan}>{{ text: "x" }}</Task>
      {ctx.latest(outputs.plan, "reveiw")?.text}`)
    const slip = 'reads the output "plan" of "reveiw", which is not a task. Did you mean "review"?'
    expect([code, problems]).toEqual([0, [{ kind: "warning", message: `a component (at smithers) ${slip}` }]])
    const said = 'But the output "plan" of "reveiw" was read, and no task of the run has that id: did you mean "review"?'
    const up = await place.run("up", name, "--run-id", "slip")
    expect([up.code, up.stdout]).toEqual([0, expect.stringContaining(said)])
    expect((await place.run("why", "slip")).stdout).toContain(said)
    const strayReads = [{ nodeId: "reveiw", output: "plan", suggestion: "review" }]
    expect(await place.json("up", name, "--run-id", "slip")).toMatchObject({ value: { strayReads } })
  })

  it("says nothing of a workflow in which nothing is wrong", async () => {
    const { code, problems } = await checked(`<Task id="write" output={outputs.plan} agent={agent}>Write</Task>
      <Task id="send" agent={agent}>Send {ctx.output(outputs.plan, { nodeId: "write" }).text}</Task>`)
    expect([code, problems]).toEqual([0, []])
  })
})
