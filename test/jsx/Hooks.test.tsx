/**
 * What React does elsewhere and a plan has no place for: hooks outside components, another copy of React, hidden parts, effects.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import * as React from "react"
import { createSmithers, Loop, renderPlan, runWorkflow, Smithers } from "smithers-orchestrator"
import { describe, expect, it } from "vitest"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ text: z.string() })

let runs = 0
const ran = (inner: () => React.ReactNode) =>
  runWorkflow(
    smithers(() => <Workflow name="w">{inner()}</Workflow>),
    { runtime: Smithers.memory, runId: `hooks-${runs++}`, input: {} },
  )

describe("a hook in the function of a task fails it once, and says what to do", () => {
  const cases: Record<string, () => string | Promise<string>> = {
    useState: () => React.useState("x")[0],
    useContext: () => String(React.useContext(React.createContext(1))),
    "useEffect, in an async function": async () => {
      React.useEffect(() => {})
      return "x"
    },
  }
  for (const [name, call] of Object.entries(cases))
    it(name, async () => {
      const result = await ran(() => (
        <Task id="a" output={outputs.text}>
          {call}
        </Task>
      ))
      expect(result).toMatchObject({ status: "failed", error: { nodeId: "a", attempts: 1 } })
      expect(String((result as { error: Error }).error.message)).toMatch(
        /(a hook|use\w+) was called outside of a component, or there are two copies of React\. A function in a task is not a component: use its ctx parameter/,
      )
    })
})

it("a hook of another copy of React says so, with the component", () => {
  const folder = mkdtempSync(join(import.meta.dirname, "react-"))
  try {
    const from = dirname(createRequire(import.meta.url).resolve("react/package.json"))
    for (const part of ["", "cjs"]) {
      mkdirSync(join(folder, "node_modules", "react", part), { recursive: true })
      for (const entry of readdirSync(join(from, part), { withFileTypes: true }))
        if (entry.isFile()) copyFileSync(join(from, part, entry.name), join(folder, "node_modules", "react", part, entry.name))
    }
    const other = createRequire(join(folder, "index.js"))("react") as typeof React
    expect(other).not.toBe(React)
    const Foreign = () => {
      other.useState(0)
      return null
    }
    const draw = () =>
      renderPlan(
        smithers(() => <Workflow name="w">{<Foreign />}</Workflow>),
        { input: {} },
      )
    const places = `(it is in ${join(folder, "node_modules", "react")}, and ${from} renders)`
    expect(draw).toThrow(
      `useState was called on another copy of React than the one that renders ${places}. Install one copy for both`,
    )
    expect(draw).toThrow(/at Foreign/)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

it("tasks in a hidden Activity are refused, and not lost; in a visible one they are drawn", async () => {
  const within = (mode: "hidden" | "visible") => () => (
    <Loop id="l" until={false} maxIterations={1}>
      <React.Activity mode={mode}>
        <Task id="a" output={outputs.text}>
          x
        </Task>
      </React.Activity>
    </Loop>
  )
  await expect(ran(within("hidden"))).rejects.toMatchObject({
    _tag: "RenderFailed",
    message: expect.stringMatching(/<Activity mode="hidden"> never renders its children here\. Omit it with a condition/),
  })
  expect(await ran(within("visible"))).toMatchObject({ status: "finished", output: "x" })
})

it("a component that waits for its effect is warned of, with its place", () => {
  const Query = () => {
    const [data, setData] = React.useState<string>()
    React.useEffect(() => setData("here"), [])
    return data === undefined ? null : (
      <Task id="a" output={outputs.text}>
        {data}
      </Task>
    )
  }
  const Pure = () => {
    const [data] = React.useState("x")
    return (
      <Task id="b" output={outputs.text}>
        {React.useMemo(() => data, [data])}
      </Task>
    )
  }
  const workflow = smithers(() => (
    <Workflow name="w">
      <Query />
      <Pure />
    </Workflow>
  ))
  expect(renderPlan(workflow, { input: {} }).warnings).toEqual([
    "a component (at smithers > Workflow > Query) has an effect, which never runs, since a plan is rendered but never mounted. A hook that fetches data in an effect stays pending for ever: fetch in a task, and read its output",
  ])
})
