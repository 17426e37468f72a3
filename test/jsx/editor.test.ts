/** What an editor is told in a large workflow, by the compiler's language server. */
import { expect, it } from "@effect/vitest"
import { beforeAll, describe } from "vitest"
import { editorFigures, type Measured, measureEditor } from "../../bench/editor.ts"

describe("in a file of 60 tasks and 40 schemas, an editor", () => {
  let measured: Measured
  beforeAll(async () => {
    measured = await measureEditor()
  })
  const shown = (what: Measured["answered"][number]["what"]) =>
    measured.answered.filter((one) => one.what === what).map((one) => one.shown)

  it("finds no errors", () => {
    expect(measured.errors).toEqual([])
  })

  it("is told of components and values", () => {
    for (const [text] of shown("hover over a component")) expect(text).toContain("const Task: TaskComponent<")
    for (const [text] of shown("hover over a value")) expect(text).toMatch(/^\(property\) result\d+: z\.ZodObject</)
  })

  it("is offered props that there are, and not the beginning of one that is being typed", () => {
    const names = shown("names of props")
    expect(names.length).toBeGreaterThan(3)
    for (const offered of names) {
      expect(offered).toEqual(expect.arrayContaining(["retryPolicy", "heartbeatTimeout", "compensate"]))
      expect(offered).not.toContain("re")
    }
  })

  it("is offered the outputs, as schemas and as keys", () => {
    const all = Array.from({ length: 40 }, (_, index) => `result${index}`).toSorted()
    for (const offered of [...shown("names of outputs"), ...shown("keys in ctx.output")]) expect(offered.toSorted()).toEqual(all)
  })

  it("waits a fraction of a second", () => {
    // Under 300 ms each on a machine that does nothing else, as `bench/RESULTS.md` says. Here others may use it.
    for (const { ms } of editorFigures(measured)) expect(ms).toBeLessThan(3000)
  })
})
