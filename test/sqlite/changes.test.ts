import { describe, expect, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestServices from "effect/TestServices"
import * as Changes from "../../packages/sqlite/src/internal/changes.ts"
import * as Connection from "../../packages/sqlite/src/internal/connection.ts"
import { newFile, rawConnection } from "./Fixture.ts"

/** A store that has not changed for a while, a second connection to it, and the number of checks so far. */
const resting = Effect.gen(function* () {
  const filename = yield* newFile
  const connection = yield* Effect.acquireRelease(
    Effect.sync(() => Connection.open(filename)),
    ({ close }) => Effect.sync(close),
  )
  Connection.configure(connection)
  connection.execute("CREATE TABLE news (at INTEGER)")
  const other = yield* rawConnection(filename)
  let looks = 0
  const counting: Connection.Connection = {
    ...connection,
    prepare: (sql) => {
      const statement = connection.prepare<never>(sql)
      return {
        run: statement.run,
        values: (...values) => {
          looks++
          return statement.values(...values)
        },
      }
    },
  }
  const { after } = Changes.make(counting, filename, undefined, 1000)
  return { after, write: () => other.run("INSERT INTO news VALUES (1)"), looks: () => looks }
})

const pause = (duration: Duration.DurationInput) => TestServices.provideLive(Effect.sleep(duration))

describe("a store that has not changed for a while", () => {
  it.scoped("is hardly looked at, and a commit of another connection is noticed at once all the same", () =>
    Effect.gen(function* () {
      const { after, write, looks } = yield* resting
      const changed = yield* Effect.fork(Effect.map(after(1), (version) => ({ version, at: performance.now() })))
      yield* pause("300 millis")
      const before = looks()
      yield* pause("300 millis")
      expect(looks() - before).toBeLessThan(3)
      const written = performance.now()
      write()
      const { version, at } = yield* Fiber.join(changed)
      expect(version).toBe(2)
      // Half of what it takes without a watch. A busy machine is late.
      expect(at - written).toBeLessThan(500)
    }),
  )
})
