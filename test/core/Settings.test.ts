import { expect, it } from "@effect/vitest"
import * as Engine from "@smithers/core/Engine"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Millis from "@smithers/core/Millis"
import * as Settings from "@smithers/core/Settings"
import * as Smithers from "@smithers/core/Smithers"
import * as Supervisor from "@smithers/core/Supervisor"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"

const untyped = (value: unknown) => value as never

it.effect("a setting that is none is refused by a supervisor that looks once, too", () =>
  Effect.gen(function* () {
    const worker = () => Effect.succeed(Either.right({ work: Effect.succeed("lost" as const) }))
    const once = Supervisor.once({ worker, report: () => Effect.void, maxConcurrent: 0 })
    expect(yield* Effect.flip(once)).toMatchObject({ _tag: "InvalidSetting", setting: "maxConcurrent", received: "0" })
  }).pipe(Effect.provide(Smithers.memory)),
)

it.effect("a setting that is left out, or undefined, has its default", () =>
  Effect.gen(function* () {
    yield* Engine.make({ lease: untyped(undefined), maxConcurrency: untyped(undefined) })
    expect(Settings.count("n", undefined, 4)).toEqual(Either.right(4))
    expect(Settings.duration("t", undefined, "5 seconds")).toEqual(Either.right(5000))
    expect(Settings.word("w", undefined, ["normal", "full"])).toEqual(Either.right("normal"))
  }).pipe(Effect.scoped, Effect.provide(MemoryStorage.layer)),
)

it("a time is rounded up to whole milliseconds", () => {
  expect(Settings.duration("lease", 1500.2, "30 seconds")).toEqual(Either.right(1501))
  expect(Settings.duration("busyTimeout", 0, "30 seconds", Millis.zero)).toEqual(Either.right(0))
})

it("what is wrong says what was given and what is wanted", () => {
  const message = (read: Either.Either<unknown, Error>) =>
    Either.match(read, { onLeft: (error) => error.message, onRight: () => "" })
  expect(message(Settings.duration("lease", 0, "30 seconds"))).toBe(
    'The setting "lease" is 0, and must be a duration longer than 0, such as "30 seconds".',
  )
  expect(message(Settings.count("maxConcurrency", "4", 4))).toBe(
    'The setting "maxConcurrency" is "4", and must be a whole number of at least 1, such as 4.',
  )
  expect(message(Settings.word("synchronous", "off", ["normal", "full"]))).toBe(
    'The setting "synchronous" is "off", and must be "normal" or "full".',
  )
})
