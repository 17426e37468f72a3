import * as Errors from "@smithers/core/Errors"
import * as Later from "@smithers/core/Later"
import { Cause, Effect, Either, Equal, Schema } from "effect"
import { describe, expect, it } from "vitest"

class Spilt extends Later.TaggedError<Spilt>()("Spilt", { litres: Schema.Number, at: Schema.optional(Schema.Date) }) {
  override get message(): string {
    return `${this.litres} l are spilt.`
  }
}

/** The class of the same error as Effect makes it. */
class Plain extends Schema.TaggedError<Plain>()("Spilt", { litres: Schema.Number, at: Schema.optional(Schema.Date) }) {
  override get message(): string {
    return `${this.litres} l are spilt.`
  }
}

const isMade = (error: unknown): boolean => !Object.hasOwn(Object.getPrototypeOf(error), "ast")

describe("an error whose schema is made later", () => {
  it("is as one of Effect's", () => {
    const [error, plain] = [new Spilt({ litres: 2 }), new Plain({ litres: 2 })]
    expect(error).toBeInstanceOf(Spilt)
    expect(error).toBeInstanceOf(Error)
    expect({ ...error }).toEqual({ ...plain })
    expect([error.name, error.message, String(error)]).toEqual([plain.name, plain.message, String(plain)])
    expect(Equal.equals(error, new Spilt({ litres: 2 }))).toBe(Equal.equals(plain, new Plain({ litres: 2 })))
    expect([Spilt._tag, Spilt.identifier, Object.keys(Spilt.fields)]).toEqual([
      Plain._tag,
      Plain.identifier,
      Object.keys(Plain.fields),
    ])
    expect(Effect.runSync(Effect.flip(error))).toBe(error)
    expect(Cause.pretty(Cause.fail(error))).toContain("2 l are spilt.")
  })

  it("is encoded, decoded and told from others by its class", () => {
    const at = new Date(0)
    const stored = Schema.encodeSync(Spilt)(new Spilt({ litres: 1, at }))
    expect(stored).toEqual({ _tag: "Spilt", litres: 1, at: at.toISOString() })
    const read = Schema.decodeUnknownSync(Spilt)(stored)
    expect(read).toBeInstanceOf(Spilt)
    expect(read.at).toEqual(at)
    expect([Schema.is(Spilt)(read), Schema.is(Spilt)({ ...read })]).toEqual([true, false])
    const Both = Schema.Union(Spilt, Errors.RunNotFound)
    expect(Schema.decodeUnknownSync(Both)(stored)).toBeInstanceOf(Spilt)
  })

  it("refuses fields of another kind, as Effect's does", () => {
    const refusal = (make: () => unknown) => Either.mapLeft(Either.try(make), String)
    const made = refusal(() => new Spilt({ litres: "two" as unknown as number }))
    expect(Either.isLeft(made)).toBe(true)
    expect(made).toEqual(refusal(() => new Plain({ litres: "two" as unknown as number })))
  })

  it.each([
    ["told apart", (of: typeof Spilt) => Schema.isSchema(of)],
    ["annotated", (of: typeof Spilt) => Schema.isSchema(of.annotations({ description: "water" }))],
    [
      "extended",
      (of: typeof Spilt) => new (of.extend<typeof Spilt>("Drained")({ by: Schema.String }))({ litres: 1, by: "me" }) instanceof of,
    ],
    ["made by its class", (of: typeof Spilt) => of.make({ litres: 1 }) instanceof of],
    ["piped", (of: typeof Spilt) => Schema.isSchema(of.pipe(Schema.NullOr))],
  ])("is made when it is first %s", (_, use) => {
    class Late extends Later.TaggedError<Late>()("Late", { litres: Schema.Number }) {}
    expect(isMade(Late)).toBe(false)
    expect(use(Late as unknown as typeof Spilt)).toBe(true)
    expect(isMade(Late)).toBe(true)
  })

  it("throws each time if its fields are no schemas", () => {
    class Wrong extends Later.TaggedError<Wrong>()("Wrong", { litres: 3 as unknown as typeof Schema.Number }) {}
    expect(() => Wrong.ast).toThrow()
    expect(() => Wrong.ast).toThrow()
  })
})

describe("a schema that is made later", () => {
  it("has the members, the fields and the values of what it stands for", () => {
    let times = 0
    const Late = Later.schema(() => {
      times++
      return Schema.Struct({ error: Schema.NullOr(Errors.RunFailure) })
    })
    expect(times).toBe(0)
    expect(Object.keys({ ...Late.fields, more: Schema.String })).toEqual(["error", "more"])
    expect(Schema.decodeUnknownSync(Late)({ error: null })).toEqual({ error: null })
    expect(Late.make({ error: null })).toEqual({ error: null })
    expect(Errors.StoreError.members).toHaveLength(13)
    expect(times).toBe(1)
  })
})
