/** JSON found in what agents write, whatever stands around it. */

import { describe, expect, it } from "@effect/vitest"
import * as Reply from "@smithers/agents/Reply"
import * as FastCheck from "effect/FastCheck"

describe("the parser", () => {
  const prose = FastCheck.string().map((text) => text.replace(/[{}[\]"`~\\]/g, "."))
  const object = FastCheck.oneof(
    FastCheck.dictionary(FastCheck.string(), FastCheck.jsonValue(), { noNullPrototype: true }),
    FastCheck.array(FastCheck.jsonValue()),
  )
  const seeded = { fastCheck: { seed: 20_260_101 } }
  const last = (text: string) => Reply.find(text).values.at(-1)
  const again = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

  it.prop(
    "finds any value again that is the whole text",
    [FastCheck.jsonValue(), FastCheck.constantFrom("", " ", "\n\n")],
    ([value, space]) => {
      expect(Reply.find(space + JSON.stringify(value, null, 2) + space)).toEqual({ values: [again(value)], problem: undefined })
    },
    seeded,
  )

  it.prop(
    "finds any value again in a fence, among prose",
    [
      FastCheck.jsonValue(),
      prose,
      prose,
      FastCheck.constantFrom("```", "~~~", "`````"),
      FastCheck.constantFrom("", "json", " JSON "),
      FastCheck.constantFrom("\n", "\r\n"),
    ],
    ([value, before, after, fence, info, newline]) => {
      const text = [before, fence + info, JSON.stringify(value, null, 2), fence, after].join(newline)
      expect(Reply.find(text).values[0]).toEqual(again(value))
    },
    seeded,
  )

  it.prop(
    "finds any object or array again in prose",
    [object, prose, prose],
    ([value, before, after]) => {
      expect(last(`${before}${JSON.stringify(value)}${after}`)).toEqual(again(value))
      expect(last(`${before}{ or [${JSON.stringify({ value })}${after}`)).toEqual({ value: again(value) })
    },
    seeded,
  )

  it.prop(
    "finds the later of two objects",
    [object, object, prose],
    ([first, second, between]) => {
      expect(last(`${JSON.stringify(first)} ${between} ${JSON.stringify(second)}`)).toEqual(again(second))
    },
    seeded,
  )

  it.prop(
    "finds nothing in an object that lost its end",
    [object, FastCheck.nat()],
    ([value, cut]) => {
      const text = JSON.stringify({ key: value })
      expect(Reply.find(text.slice(0, Math.max('{"key":'.length, cut % text.length))).values).toEqual([])
    },
    seeded,
  )

  it.prop(
    "takes any text",
    [FastCheck.string({ unit: FastCheck.constantFrom(...'{}[]"\\`~\n: a1'), maxLength: 60 })],
    ([text]) => {
      expect(Reply.find(text).values.length).toBeLessThanOrEqual(2)
    },
    seeded,
  )

  it("takes long texts of brackets in no time", () => {
    const startedAt = performance.now()
    for (const piece of ["[", '{"', '{\\"', "{]", '["{', "```\n", '{"a":[']) Reply.find(piece.repeat(100_000))
    // A fifth of a second, ten times that on a busy machine; were each bracket to cost a look at all the text, hours.
    expect(performance.now() - startedAt).toBeLessThan(60_000)
  })
})
