import { defined } from "@smithers/core/Struct"
import { expect, expectTypeOf, it } from "vitest"

it("what is undefined is left out of an object, and everything else is kept", () => {
  const fields = defined({ a: undefined, b: null, c: 0, d: "", e: false })
  expect(fields).toStrictEqual({ b: null, c: 0, d: "", e: false })
  expect(Object.keys(fields)).toEqual(["b", "c", "d", "e"])
  const maybe = ((): string | undefined => undefined)()
  expectTypeOf(defined({ maybe })).toEqualTypeOf<{ readonly maybe?: string }>()
})
