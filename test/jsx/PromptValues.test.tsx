/**
 * Values in prompts, by one rule wherever they stand; and what cannot be meant is refused with its place.
 */
import { expect, it } from "@effect/vitest"
import { dedent } from "@smithers/jsx/Dedent"
import * as Effect from "effect/Effect"
import type * as React from "react"
import { type Agent, createSmithers, renderPlan, Smithers } from "smithers-orchestrator"
import { describe } from "vitest"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ text: z.string(), data: z.object({ a: z.number() }) })

const agent: Agent = { name: "a", generate: () => Promise.resolve({ text: "ok" }) }

const asking = (prompt: unknown) =>
  smithers(() => (
    <Workflow name="w">
      <Task id="t" output={outputs.text} agent={agent}>
        {prompt as string}
      </Task>
    </Workflow>
  ))

/** The prompt as it is drawn. */
const drawn = (prompt: unknown): unknown => renderPlan(asking(prompt), { input: {} }).tasks[0]?.content

/** The prompt as a function gives it. */
const given = (prompt: () => unknown) => {
  const asked: Array<string> = []
  const listening: Agent = {
    name: "a",
    generate: (request) => {
      asked.push(request.prompt)
      return Promise.resolve({ text: "ok" })
    },
  }
  const workflow = smithers(() => (
    <Workflow name="w">
      <Task id="t" output={outputs.text} agent={listening} noRetry>
        {prompt as () => string}
      </Task>
    </Workflow>
  ))
  return Effect.map(workflow.run({}, { runId: "r" }), (result) => ({ asked, result })).pipe(Effect.provide(Smithers.memory))
}

const list = ["no tests", "bad name"]
const object = { risk: "low" }
const json = JSON.stringify(object, null, 2)
const cases: ReadonlyArray<readonly [name: string, value: unknown, text: string]> = [
  ["a list of texts", list, "no tests\nbad name"],
  ["a list of lines", ["- a\n", "- b\n"], "- a\n- b"],
  ["an object", object, json],
  ["a list of objects", [object], JSON.stringify([object], null, 2)],
  ["an error", new TypeError("no"), "TypeError: no"],
  ["a map", new Map([["a", 1]]), '{\n  "a": 1\n}'],
  ["a set", new Set(["a", "b"]), '[\n  "a",\n  "b"\n]'],
  ["a date", new Date(0), "1970-01-01T00:00:00.000Z"],
  ["a bigint", 12n, "12"],
]

describe("a value in a prompt", () => {
  for (const [name, value, text] of cases) {
    it(`is text wherever it stands: ${name}`, () => {
      const child = value as React.ReactNode
      expect(drawn(value)).toBe(text)
      expect(drawn(["Look: ", value])).toContain("Look: ")
      const pieces = smithers(() => (
        <Workflow name="w">
          <Task id="t" output={outputs.text} agent={agent}>
            Look: {child}
          </Task>
        </Workflow>
      ))
      expect(renderPlan(pieces, { input: {} }).tasks[0]?.content).toBe(`Look: ${text}`)
      expect(drawn(<q>{child}</q>)).toBe(text.includes("\n") ? `<q>\n${text}\n</q>` : `<q>${text}</q>`)
      expect(drawn(<>{child}</>)).toBe(text)
      expect(drawn(<p>{child}</p>)).toBe(text.trim())
      expect(drawn(<p>Look: {child}</p>)).toBe(`Look: ${text}`.trim())
      expect(dedent`${value}`.trimEnd()).toBe(text)
    })
  }

  it("is nothing where React shows nothing", () => {
    expect(drawn(["a", null, undefined, false, true, "b"])).toBe("a\nb")
    expect(dedent`a${undefined}b`).toBe("ab")
  })

  it.each([
    ["a function", () => 1, /a function .*is part of the text/],
    ["a promise", Promise.resolve(1), /a promise is part of the text/],
    ["a symbol", Symbol("x"), /a symbol is part of the text/],
  ])("is refused where it cannot be meant: %s", (_, value, problem) => {
    const workflow = smithers(() => (
      <Workflow name="w">
        <Task id="t" output={outputs.text} agent={agent}>
          Look: {value as unknown as string}
        </Task>
      </Workflow>
    ))
    expect(() => renderPlan(workflow, { input: {} })).toThrow(problem)
    expect(() => renderPlan(workflow, { input: {} })).toThrow(/Task "t"/)
  })

  it.effect("is the same in what a function gives", () =>
    Effect.gen(function* () {
      expect((yield* given(() => list)).asked).toEqual(["no tests\nbad name"])
      expect((yield* given(() => object)).asked).toEqual([json])
      expect((yield* given(() => <p>{object as unknown as string}</p>)).asked).toEqual([json])
    }),
  )
})

describe("a prompt", () => {
  it("that is empty is refused when it is drawn", () => {
    for (const empty of ["", " \n", [], [null, false]]) expect(() => drawn(empty)).toThrow(/its prompt is empty|no prompt/)
  })

  it.effect("that is empty when it is asked asks no agent", () =>
    Effect.gen(function* () {
      const { asked, result } = yield* given(() => "")
      expect(asked).toEqual([])
      expect(result).toMatchObject({ status: "failed", error: { error: { message: expect.stringContaining("is empty") } } })
    }),
  )

  it.effect("whose component throws says what was thrown, and where", () =>
    Effect.gen(function* () {
      const Broken = (): React.ReactElement => {
        throw new RangeError("no such file")
      }
      const { result } = yield* given(() => <Broken />)
      expect(JSON.stringify(result)).toMatch(/RangeError: no such file[^"]*Broken/)
    }),
  )
})

describe("an element whose type is no name", () => {
  it.each([
    ["/app/prompts/review.mdx", /a file instead of a component.*preload/s],
    ["./review-abc123.mdx", /a file instead of a component.*preload/s],
    ["<h1>Review</h1>\n<p>Look at it.</p>", /a file instead of a component.*preload/s],
    ["not a name", /which is not a valid name/],
  ])("is refused with the cure: %j", (type, problem) => {
    const Prompt = type as unknown as () => React.ReactElement
    expect(() => drawn(<Prompt />)).toThrow(problem)
  })
})
