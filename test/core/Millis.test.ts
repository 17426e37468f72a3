import { describe, expect, it } from "@effect/vitest"
import * as Millis from "@smithers/core/Millis"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"

describe("a span", () => {
  it.each<[written: Millis.DurationLike, ms: number]>([
    ["500ms", 500],
    ["0ms", 0],
    ["1s", 1000],
    ["1.5s", 1500],
    ["2m", 120_000],
    ["1h", 3_600_000],
    ["1d", 86_400_000],
    ["2w", 1_209_600_000],
    ["2 minutes", 120_000],
    ["1 second", 1000],
    [250, 250],
    [0, 0],
    [-0, 0],
    [2_000_000n, 2],
    [[1, 500_000_000], 1500],
    [Duration.seconds(3), 3000],
    [8.64e15, 8.64e15],
  ])("may be written %s", (written, ms) => {
    expect(Millis.span(written)).toStrictEqual(Either.right(ms))
  })

  it.each<[written: Millis.DurationLike, ms: number]>([
    [20.7, 21],
    [0.1, 1],
    ["20.7ms", 21],
    ["0.0015s", 2],
    [1n, 1],
    [[0, 1], 1],
    [Duration.micros(1001n), 2],
    [15 * 1.5 ** 3, 51],
  ])("of %s is rounded up to whole milliseconds", (written, ms) => {
    expect(Millis.span(written)).toStrictEqual(Either.right(ms))
  })

  it("is not rounded up for what arithmetic leaves over", () => {
    expect(8.3 * 60_000).toBeGreaterThan(498_000)
    expect(Millis.span("8.3m")).toEqual(Either.right(498_000))
    expect(Millis.span(0.1 + 0.2 + 0.7)).toEqual(Either.right(1))
  })

  const none = "is not a duration"
  const problemOf = (read: Either.Either<Millis.Millis, Millis.InvalidDuration>) =>
    Either.match(read, { onLeft: ({ received, problem }) => `${received} ${problem}`, onRight: (ms) => ms })

  it.each<[written: unknown, problem: string]>([
    ["", `"" ${none}`],
    ["2", `"2" ${none}`],
    ["soon", `"soon" ${none}`],
    ["1 parsec", `"1 parsec" ${none}`],
    ["1y", `"1y" ${none}`],
    ["-5ms", `"-5ms" ${none}`],
    ["-5 millis", `"-5 millis" ${none}`],
    ["1e3s", `"1e3s" ${none}`],
    ["s", `"s" ${none}`],
    [" 1s", `" 1s" ${none}`],
    ["1s\n", `"1s\\n" ${none}`],
    [-5, `-5 ${none}`],
    [-5n, `-5 ${none}`],
    [[-1, 0], `an array ${none}`],
    [[Number.NaN, 0], `an array ${none}`],
    [Number.NaN, `NaN ${none}`],
    [Number.NEGATIVE_INFINITY, `-Infinity ${none}`],
    [null, `null ${none}`],
    [undefined, `undefined ${none}`],
    [true, `a boolean ${none}`],
    [Symbol("s"), `a symbol ${none}`],
    [new Date(5), `a Date ${none}`],
    [{}, `[object Object] ${none}`],
    [[1], `an array ${none}`],
    [Number.POSITIVE_INFINITY, `Infinity ${none}`],
    [Duration.infinity, `Infinity ${none}`],
    [1e300, "1e+300 is longer than 8.64e15 ms"],
    [8.64e15 + 1, "8640000000000001 is longer than 8.64e15 ms"],
    ["999999999999999999d", '"999999999999999999d" is longer than 8.64e15 ms'],
    [10n ** 40n, `${10n ** 40n} is longer than 8.64e15 ms`],
  ])("cannot be written %s", (written, problem) => {
    expect(problemOf(Millis.span(written))).toBe(problem)
  })

  it.each<[typed: string, ms: number]>([
    ["500ms", 500],
    ["5", 5000],
    [" 0.5 ", 500],
    ["1.5m", 90_000],
    ["2 h", 7_200_000],
    ["30d", 2_592_000_000],
    ["8w", 4_838_400_000],
    ["2 minutes", 120_000],
  ])("that was typed may be %s, where a plain number counts in a unit that is given", (typed, ms) => {
    expect(Millis.parseDuration(typed, "s")).toStrictEqual(Either.right(ms))
  })

  it.each(["", "soon", "-5", "-5s", "5 x", "1e3", "Infinity", "9".repeat(30), "constructor", "5 constructor"])(
    "that was typed is not %j",
    (typed) => {
      expect(Millis.parseDuration(typed, "s")).toMatchObject(Either.left({ received: JSON.stringify(typed) }))
    },
  )

  it("that must be positive is not 0", () => {
    expect(problemOf(Millis.positiveDuration(0))).toBe("0 is not longer than 0")
    expect(problemOf(Millis.positiveDuration("0 seconds"))).toBe('"0 seconds" is not longer than 0')
    expect(problemOf(Millis.positiveDuration(0.2))).toBe(1)
    expect(problemOf(Millis.positiveDuration(-1))).toBe(`-1 ${none}`)
  })

  it.prop("of any number is a whole one that is no shorter, or is none", [FastCheck.double()], ([ms]) => {
    const read = Millis.span(ms)
    if (Either.isLeft(read)) return !(ms >= 0 && ms <= Millis.longest)
    return Number.isSafeInteger(read.right) && read.right >= ms - 1e-6 && read.right < ms + 1
  })
})

describe("an instant", () => {
  it.each<[given: unknown, at: number]>([
    [5, 5],
    [1_700_000_000_000.2, 1_700_000_000_001],
    [-0.5, 0],
    [-5, -5],
    [new Date(7), 7],
    [8.64e15, 8.64e15],
    [-8.64e15, -8.64e15],
  ])("may be %s", (given, at) => {
    expect(Millis.instant(given)).toStrictEqual(Either.right(at))
  })

  it.each<[given: unknown, shown: string]>([
    [Number.NaN, "NaN"],
    [Number.POSITIVE_INFINITY, "Infinity"],
    [1e300, "1e+300"],
    [8.64e15 + 1, "8640000000000001"],
    [new Date(Number.NaN), "an invalid Date"],
    ["2026-01-01", "a string"],
    [5n, "a bigint"],
    [undefined, "undefined"],
    [{}, "an object"],
  ])("cannot be %s", (given, shown) => {
    expect(Millis.instant(given)).toEqual(Either.left(shown))
  })

  it("after a span is the last of all where there is none so late", () => {
    expect(Millis.after(1000, Millis.make(5))).toBe(1005)
    expect(Millis.after(1000.5, Millis.make(5))).toBe(1006)
    expect(Millis.after(1000, Millis.longest)).toBe(8.64e15)
    expect(new Date(Millis.after(Date.now(), Millis.longest)).toISOString()).toBe("+275760-09-13T00:00:00.000Z")
  })
})

describe("a time", () => {
  it.effect("of a clock between two milliseconds is the one before", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1500 micros")
      expect(yield* Millis.now).toBe(1)
    }),
  )

  it("is no other number", () => {
    for (const value of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 8.64e15 + 1]) {
      expect(() => Millis.make(value)).toThrow("is not a time in whole milliseconds")
      expect(Either.isLeft(Schema.decodeEither(Millis.Millis)(value))).toBe(true)
    }
    expect(Schema.decodeSync(Millis.Millis)(5)).toBe(5)
  })
})
