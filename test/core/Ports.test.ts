/**
 * The ports of a store, each for who uses it.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Engine from "@smithers/core/Engine"
import { Inbox } from "@smithers/core/Inbox"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import { RunReader } from "@smithers/core/RunReader"
import * as Storage from "@smithers/core/Storage"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

describe("the ports of a store", () => {
  it.effect("are of one store", () =>
    Effect.gen(function* () {
      const { store, ownership, inbox, reader } = yield* Storage.runPorts
      const places = new Set([store, ownership, inbox, reader, yield* Storage.Storage].map(({ storeId }) => storeId))
      expect(places.size).toBe(1)
    }).pipe(Effect.provide(MemoryStorage.layer)),
  )

  it.effect("that are of two stores are refused before a run is claimed in one and kept in the other", () =>
    Effect.gen(function* () {
      const [one, other] = [MemoryStorage.make(), MemoryStorage.make()]
      const exit = yield* Engine.make().pipe(
        Effect.provideService(Inbox, other),
        Effect.provide(Storage.ports(one)),
        Effect.scoped,
        Effect.exit,
      )
      expect(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "").toContain(`${one.storeId}, ${other.storeId}`)
    }),
  )

  it.effect("let who only reads ask for the reading port alone", () =>
    Effect.gen(function* () {
      const list: Effect.Effect<number, unknown, RunReader> = Effect.flatMap(RunReader, (reader) =>
        Effect.map(reader.runs({}), (runs) => runs.length),
      )
      expect(yield* Effect.provideService(list, RunReader, MemoryStorage.make())).toBe(0)
    }),
  )
})
