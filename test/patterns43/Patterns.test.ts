/** Each of the 43 patterns, in both front ends, with a kill before and after each of its commits. The table of them is printed at the end. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { afterAll } from "vitest"
import * as Builder from "./Builder.ts"
import * as Components from "./Components.tsx"
import { sweep } from "./Kills.ts"
import { entries, type FrontEnd, patterns, summaryOf } from "./Patterns.ts"

const frontEnds = [
  ["the builder", "builder", Builder.programs],
  ["components", "components", Components.programs],
] as const

/** Runs that were killed, by pattern. */
const kills: Record<FrontEnd, Map<number, number>> = { builder: new Map(), components: new Map() }

/** A node as components name it: an item's by its key. */
const named = (nodeId: string): string => nodeId.replace(/^.*\[(.*)\]\.(.*)$/, "$1:$2")

it("are the 43 of the list, each with a program of both front ends", () => {
  const numbers = Array.from({ length: 43 }, (_, index) => `${index + 1}`)
  for (const each of [patterns, Builder.programs, Components.programs]) expect(Object.keys(each)).toEqual(numbers)
  expect(new Set(entries.map(([, { name }]) => name)).size).toBe(43)
})

describe.each(frontEnds)("with %s", (_, frontEnd, programs) => {
  for (const [number, pattern] of entries)
    it.live(
      `pattern ${number}, ${pattern.name.toLowerCase()}, ends the same whenever its process dies, and does nothing again whose end was stored`,
      () =>
        Effect.gen(function* () {
          const program = programs[number]
          if (program === undefined) return yield* Effect.dieMessage("there is no program of it")
          const { end, begun, atOnce, section, plot } = pattern
          const swept = yield* sweep(program, plot, section)
          const expected = { end, begun, atOnce, ...(frontEnd === "components" ? pattern.componentsExpected : {}) }
          expect({ end: swept.end, begun: swept.begun.map(named).join(" "), atOnce: swept.atOnce }).toEqual(expected)
          expect(swept.problems).toEqual([])
          // Each step that finishes was cut off once between its code and its commit, and done again.
          expect(swept.neverTwice).toEqual([])
          kills[frontEnd].set(number, swept.kills)
        }),
    )
})

afterAll(() => {
  const rows = entries.map(([number, { name, builder, components }]) => ({
    pattern: `${number} ${name}`,
    builder: builder.is,
    "killed ": kills.builder.get(number),
    components: components.is,
    killed: kills.components.get(number),
  }))
  console.table(rows)
  console.log(`builder: ${summaryOf("builder")}; components: ${summaryOf("components")}`)
})
