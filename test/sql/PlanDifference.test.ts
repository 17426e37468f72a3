import { describe, expect, it } from "@effect/vitest"
import * as PlanDifference from "@smithers/sql/PlanDifference"
import * as FastCheck from "effect/FastCheck"

const line = FastCheck.constantFrom("Step a", "Step b", "  Loop 'c'", "+", "1 2", "-1", "", "0 -3")
const text = FastCheck.array(line, { maxLength: 30 }).map((lines) => lines.join("\n"))

describe("the difference of two plans", () => {
  it.prop("makes the second of the first", { base: text, text }, ({ base, text }) => {
    const difference = PlanDifference.between(base, text)
    if (difference !== undefined) expect(PlanDifference.apply(base, difference)).toBe(text)
  })

  it("is a line where one was added, and the order where lines have moved", () => {
    const lines = Array.from({ length: 40 }, (_, index) => `Step step-${index}`)
    const base = lines.join("\n")
    const added = PlanDifference.between(base, lines.toSpliced(20, 0, "Step new").join("\n"))
    expect(added?.content.trim().split("\n")).toEqual(["Step new", "Step step-20"])
    const turned = PlanDifference.between(base, lines.toReversed().join("\n"))
    expect(turned).toMatchObject({ isMoved: true })
    expect(turned?.content.split("\n").length).toBeLessThan(5)
  })
})
