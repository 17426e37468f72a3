import * as fs from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Connection from "../../packages/sqlite/src/internal/connection.ts"
import { newFile } from "./Fixture.ts"

/** Connection to a file, closed with the scope. */
const opened = (filename: string) =>
  Effect.tap(
    Effect.acquireRelease(
      Effect.sync(() => Connection.open(filename)),
      ({ close }) => Effect.sync(close),
    ),
    (connection) => Effect.sync(() => Connection.configure(connection)),
  )

describe("a commit that is to survive a power failure", () => {
  it.scoped("also empties the cache of the disk where a plain fsync does not, with the checkpoints that follow", () =>
    Effect.gen(function* () {
      const connection = yield* opened(yield* newFile)
      const settings = (synchronous: Connection.Synchronous) => {
        const found: Array<unknown> = []
        connection.transact(synchronous, () => {
          for (const name of ["synchronous", "fullfsync", "checkpoint_fullfsync"])
            found.push(connection.prepare<[number]>(`PRAGMA ${name}`).values()[0]?.[0])
        })
        return found
      }
      expect(settings("full")).toEqual([2, 1, 1])
      expect(settings("normal")).toEqual([1, 0, 0])
      expect(settings("full")).toEqual([2, 1, 1])
    }),
  )
})

describe("a file that is deleted", () => {
  it.scoped("is noticed by the next write, and by the next read, whatever was seen before", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const connection = yield* opened(filename)
      const look = () => connection.snapshot(connection.ensureThere)
      const write = () => connection.transact("normal", connection.ensureThere)
      for (const seen of [look, write]) expect(seen).not.toThrow()
      fs.rmSync(filename)
      for (const gone of [look, write]) expect(gone).toThrow("the file no longer exists")
    }),
  )
})
