/** Commits of commands, which are flushed to the disk beside the event loop. */
import * as fs from "node:fs"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import { describe } from "vitest"
import * as Connection from "../../packages/sqlite/src/internal/connection.ts"
import * as Flushing from "../../packages/sqlite/src/internal/flushing.ts"
import * as Queue from "../../packages/sqlite/src/internal/queue.ts"
import { newFile } from "./Fixture.ts"

const opened = (filename: string) =>
  Effect.tap(
    Effect.acquireRelease(
      Effect.sync(() => Connection.open(filename)),
      ({ close }) => Effect.sync(close),
    ),
    (connection) =>
      Effect.sync(() => {
        Connection.configure(connection)
        connection.execute("CREATE TABLE told (id INTEGER PRIMARY KEY)")
      }),
  )

/** A queue whose flushes end when the test says so. */
const held = (connection: Connection.Connection, synchronous: Connection.Synchronous = "normal") => {
  const ends: Array<(thrown?: unknown) => void> = []
  const modes: Array<Connection.Synchronous> = []
  const queue = Queue.make(
    {
      ...connection,
      transact: (mode, body) => {
        modes.push(mode)
        connection.transact(mode, body)
      },
    },
    {
      ...{ filename: connection.storeId, patienceMs: 1000, synchronous, guard: () => {} },
      flushing: { isPossible: () => true, flush: (done) => ends.push(done), close: () => {} },
    },
  )
  const insert = connection.prepare("INSERT INTO told (id) VALUES (?)")
  const seen: Array<string> = []
  const write = (id: number, mode?: Connection.Synchronous) =>
    Effect.tap(
      queue.write({
        operation: "tell",
        run: () => Either.right(insert.run(id)),
        onCommit: () => seen.push(`committed ${id}`),
        ...(mode === undefined ? {} : { synchronous: mode }),
      }),
      () => Effect.sync(() => seen.push(`answered ${id}`)),
    )
  return { ends, modes, seen, write }
}

const turn = Effect.promise(() => Bun.sleep(1))
const count = (connection: Connection.Connection) => connection.prepare<[number]>("SELECT count(*) FROM told").values()[0]?.[0]

describe("a write that is to be more durable than those of its store", () => {
  it.scoped("is committed with the disk if it is the first, as its log may be new to the folder", () =>
    Effect.gen(function* () {
      const connection = yield* opened(yield* newFile)
      const { ends, modes, write } = held(connection)
      yield* write(1)
      yield* write(2, "full")
      yield* Effect.fork(write(3, "full"))
      yield* turn
      expect(modes).toEqual(["normal", "full", "normal"])
      expect(ends.length).toBe(1)
    }),
  )

  it.scoped("is told of once it is committed, and answered once it is flushed; others of the same commit do not wait", () =>
    Effect.gen(function* () {
      const connection = yield* opened(yield* newFile)
      const { ends, modes, seen, write } = held(connection)
      yield* write(0, "full")
      seen.length = 0
      const told = yield* Effect.fork(write(1, "full"))
      const other = yield* Effect.fork(write(2))
      yield* turn
      yield* Fiber.join(other)
      expect(seen).toEqual(["committed 1", "committed 2", "answered 2"])
      expect(modes).toEqual(["full", "normal"])
      ends[0]?.()
      yield* Fiber.join(told)
      expect(seen.at(-1)).toBe("answered 1")
    }),
  )

  it.scoped("fails if the flush does", () =>
    Effect.gen(function* () {
      const connection = yield* opened(yield* newFile)
      const { ends, write } = held(connection)
      yield* write(0, "full")
      const told = yield* Effect.fork(Effect.flip(write(1, "full")))
      yield* turn
      ends[0]?.(Object.assign(new Error("input/output error"), { code: "EIO", syscall: "fsync" }))
      expect(yield* Fiber.join(told)).toMatchObject({
        _tag: "StoreFailed",
        operation: "tell",
        detail: expect.stringContaining("input/output"),
      })
    }),
  )

  it.scoped("is committed with the disk where all writes of the store are", () =>
    Effect.gen(function* () {
      const connection = yield* opened(yield* newFile)
      const { ends, modes, write } = held(connection, "full")
      yield* write(1, "full")
      expect([modes, ends]).toEqual([["full"], []])
    }),
  )
})

describe("the flushing of a log", () => {
  it.scoped("is possible once there is a log, and shares a flush among those that ask for it meanwhile", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      expect(Flushing.make(undefined).isPossible()).toBe(false)
      expect(Flushing.make(filename).isPossible()).toBe(false)
      const connection = yield* opened(filename)
      expect(fs.existsSync(`${filename}-wal`)).toBe(true)
      const flushing = Flushing.make(connection.file)
      expect(flushing.isPossible()).toBe(process.platform !== "darwin")
      const done: Array<number> = []
      yield* Effect.async<void>((resume) => {
        for (const index of [1, 2, 3])
          flushing.flush((thrown) => {
            expect(thrown).toBeUndefined()
            if (done.push(index) === 3) resume(Effect.void)
          })
      })
      expect(done).toEqual([1, 2, 3])
      flushing.close()
      expect(count(connection)).toBe(0)
    }),
  )

  it.scoped("is finished when it is closed", () =>
    Effect.gen(function* () {
      const connection = yield* opened(yield* newFile)
      const flushing = Flushing.make(connection.file)
      expect(flushing.isPossible()).toBe(process.platform !== "darwin")
      const done: Array<number> = []
      for (const index of [1, 2]) flushing.flush(() => done.push(index))
      flushing.close()
      expect(done).toContain(2)
      for (let turns = 0; done.length < 2 && turns < 200; turns++) yield* turn
      expect(done.toSorted()).toEqual([1, 2])
      expect(flushing.isPossible()).toBe(false)
    }),
  )
})
