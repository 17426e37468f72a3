import * as fs from "node:fs"
import * as os from "node:os"
import { describe, expect, it } from "@effect/vitest"
import { RunFenced, StoreBusy } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import type { RunEvent } from "@smithers/core/RunEvent"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import { vi } from "vitest"
import * as History from "../contract/History.ts"
import { expectSame } from "../contract/Storage.ts"
import { newFile, otherProcess, query, rawConnection, using } from "./Fixture.ts"

const { journal, started, step } = History

/** The number of transactions in a write-ahead log: the pages that end one carry the size of the database. */
const transactionsIn = (filename: string): number => {
  const log = fs.readFileSync(`${filename}-wal`)
  const pageSize = log.readUInt32BE(8)
  let count = 0
  for (let page = 32; page + 24 <= log.length; page += 24 + pageSize) if (log.readUInt32BE(page + 4) > 0) count++
  return count
}

const ids = (count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, index) => `r${index}`)

describe("writes", () => {
  it.scoped("of fibers that come together are one commit", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", History.tables)
          const runs = yield* Effect.forEach(ids(20), (runId) => journal(runId))
          const before = transactionsIn(filename)
          yield* Effect.forEach(runs, (run) => run.commit([started, ...step("a", "text", run.runId)]), { concurrency: "unbounded" })
          expect(transactionsIn(filename) - before).toBe(1)
          for (const run of runs) expectSame(yield* storage.load(run.runId), run.state())
          // Alone, each is a commit.
          for (const run of runs) yield* run.commit([{ _tag: "CancelRequested" }])
          expect(transactionsIn(filename) - before).toBe(21)
        }),
      )
    }),
  )

  it.scoped("that are refused do not take others with them", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", History.tables)
          const [first, second, third] = yield* Effect.all([journal("r0"), journal("r1"), journal("r2")])
          yield* storage.release("r1", 1, History.start)
          const before = transactionsIn(filename)
          const commits = [first, second, third].map((run) => Effect.either(run.commit([started])))
          const results = yield* Effect.all(commits, { concurrency: "unbounded" })
          expect(results.map(Either.isRight)).toEqual([true, false, true])
          expect(yield* Effect.flip(second.commit([started]))).toEqual(new RunFenced({ runId: "r1", epoch: 1 }))
          expect(transactionsIn(filename) - before).toBe(1)
        }),
      )
    }),
  )

  it.scoped("of transactions of users are commits of their own, in order, and run once whatever breaks beside them", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", History.tables)
          const runs = yield* Effect.forEach(ids(3), (runId) => journal(runId))
          const commit = (index: number, events: ReadonlyArray<RunEvent>) =>
            Effect.suspend(() => runs[index]?.commit(events) ?? Effect.void)
          const ran: Array<string> = []
          let turns = 0
          const user = (name: string, isKept: boolean) =>
            storage.transact({
              of: undefined,
              limitMs: 1000,
              body: (session) => {
                ran.push(`${name} after ${turns === 0 ? "no" : "some"} turns`)
                session.query(`INSERT INTO mine VALUES ('${name}')`).named([], false)
                return isKept ? Either.right({ value: name, output: undefined }) : Either.left(name)
              },
            })
          yield* query(filename, "CREATE TABLE mine (name)")
          const before = transactionsIn(filename)
          const turn = (): void => {
            turns++
            if (ran.length < 3) setImmediate(turn)
          }
          setImmediate(turn)
          // A time that is no whole millisecond cannot be kept.
          const error = { name: "Error", message: "no", retryable: true }
          const at = { nodeId: "b", iteration: 0, attempt: 1 }
          const bad: RunEvent = { _tag: "AttemptFailed", ...at, error, retryAt: 0.5 as Millis.Millis }
          const broken = commit(1, [started, { _tag: "AttemptStarted", ...at }, bad])
          const results = yield* Effect.all(
            [commit(0, [started]), user("a", true), broken, user("b", false), user("c", true), commit(2, [started])].map((one) =>
              Effect.either(Effect.asVoid<unknown, unknown, never>(one)),
            ),
            { concurrency: "unbounded" },
          )
          expect(results.map(Either.isRight)).toEqual([true, true, false, false, true, true])
          expect(ran).toEqual(["a after some turns", "b after some turns", "c after some turns"])
          expect(yield* query(filename, "SELECT name FROM mine")).toEqual([["a"], ["c"]])
          expect(transactionsIn(filename) - before).toBe(4)
        }),
      )
    }),
  )

  it.scoped("that break half-way are undone, and the others are done all the same", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", History.tables)
          const runs = yield* Effect.forEach(ids(3), (runId) => journal(runId))
          // A time that is no whole millisecond cannot be kept.
          const error = { name: "Error", message: "no", retryable: true }
          const at = { nodeId: "b", iteration: 0, attempt: 1 }
          const bad: RunEvent = { _tag: "AttemptFailed", ...at, error, retryAt: 0.5 as Millis.Millis }
          const broken = [...step("a", "text", "x"), { _tag: "AttemptStarted", ...at } as const, bad]
          const results = yield* Effect.forEach(
            runs,
            (run, index) => Effect.either(run.commit(index === 1 ? [started, ...broken] : [started, ...step("a", "text", "z")])),
            { concurrency: "unbounded" },
          )
          expect(results.map(Either.isRight)).toEqual([true, false, true])
          for (const run of runs) expect((yield* storage.load(run.runId)).seq).toBe(run.runId === "r1" ? 0 : 3)
          expect(yield* query(filename, 'SELECT run_id FROM "text" ORDER BY run_id')).toEqual([["r0"], ["r2"]])
        }),
      )
    }),
  )

  it.scoped("keep the order in which they came", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* journal("r")
          const deliver = (id: string) => storage.deliver({ id, runId: "r", at: History.start, command: { _tag: "Cancel" } })
          yield* Effect.forEach(["c", "a", "b"], deliver, { concurrency: "unbounded" })
          expect((yield* storage.pending).map(({ id }) => id)).toEqual(["c", "a", "b"])
        }),
      )
    }),
  )

  const traced = Bun.spawnSync(["strace", "-V"], { stdout: "ignore", stderr: "ignore" }).success ? it.scoped : it.scoped.skip

  traced("wait for the disk if they are commands, and only then (skipped where there is no strace)", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const calls = `${filename}.calls`
      const strace = ["strace", "-f", "-e", "trace=fsync,fdatasync,write", "-o", calls]
      const { child } = yield* otherProcess("deliver", filename, "", strace)
      yield* Effect.promise(() => child.exited)
      const [, frames, command] = fs.readFileSync(calls, "utf8").split(/write\(1, "(?:frames|command|done)/)
      expect(frames?.match(/sync\(/g)).toBe(null)
      expect(command?.match(/sync\(/g)).toHaveLength(1)
    }),
  )

  it.scoped("to a store that was closed fail", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const storage = yield* using({ filename }, (storage) => Effect.succeed(storage))
      expect(yield* Effect.flip(storage.release("r", 1, Millis.zero))).toMatchObject({ _tag: "StoreFailed" })
      expect(yield* Effect.flip(storage.runs({}))).toMatchObject({ _tag: "StoreFailed" })
      expect(yield* Effect.flip(storage.changes(-1))).toMatchObject({ _tag: "StoreFailed" })
    }),
  )
})

describe("a locked database", () => {
  const locked = (filename: string) =>
    Effect.map(rawConnection(filename), (database) => {
      database.run("BEGIN IMMEDIATE")
      return database
    })

  it.scoped("is waited for without stopping the event loop, and what was waiting is then done", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const unlock = `${filename}.unlock`
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          const runs = yield* Effect.forEach(ids(3), (runId) => journal(runId))
          const { line } = yield* otherProcess("lock", filename, unlock)
          expect(line).toBe("locked")
          const committing = yield* Effect.fork(Effect.forEach(runs, (run) => run.commit([started]), { concurrency: "unbounded" }))
          // Were this process stopped while it waits, it would never come to take the lock away.
          for (let turn = 0; turn < 20; turn++) yield* Effect.promise(() => Bun.sleep(2))
          expect(committing.unsafePoll()).toBe(null)
          fs.writeFileSync(unlock, "")
          yield* Fiber.join(committing)
          for (const run of runs) expectSame(yield* storage.load(run.runId), run.state())
        }),
      )
    }),
  )

  it.scoped("is tried again after pauses that grow to 50 milliseconds and no further", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const timers = yield* Effect.acquireRelease(
        Effect.sync(() => vi.spyOn(globalThis, "setTimeout")),
        (spy) => Effect.sync(() => spy.mockRestore()),
      )
      const pauses = (): ReadonlyArray<number> => timers.mock.calls.flatMap(([, ms]) => (ms === undefined || ms === 0 ? [] : [ms]))
      yield* using({ filename, busyTimeout: "2 seconds" }, () =>
        Effect.gen(function* () {
          const run = yield* journal("r")
          yield* locked(filename)
          timers.mockClear()
          expect(yield* Effect.flip(run.commit([started]))).toBeInstanceOf(StoreBusy)
          expect(pauses()[0]).toBeLessThan(10)
          expect(pauses()).toEqual(pauses().toSorted((left, right) => left - right))
          expect(Math.max(...pauses())).toBe(50)
        }),
      )
    }),
  )

  it.scoped("is an error once the patience is over, and nothing was written", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename, busyTimeout: "50 millis" }, (storage) =>
        Effect.gen(function* () {
          const run = yield* journal("r")
          const blocker = yield* locked(filename)
          const results = yield* Effect.all([Effect.flip(run.commit([started])), Effect.flip(storage.renew([], Millis.zero))], {
            concurrency: 2,
          })
          expect(results.map((error) => error._tag)).toEqual(["StoreBusy", "StoreBusy"])
          expect(results[0]).toBeInstanceOf(StoreBusy)
          expect(results[0]).toMatchObject({ operation: "commit", detail: expect.stringContaining(filename) })
          blocker.run("ROLLBACK")
          expect((yield* storage.load("r")).seq).toBe(0)
          yield* run.commit([started])
          expectSame(yield* storage.load("r"), run.state())
        }),
      )
    }),
  )

  it.scoped("is an error that names who works on it, also a process that was stopped in the middle of a write", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename, busyTimeout: "50 millis" }, (storage) =>
        Effect.gen(function* () {
          const run = yield* journal("mine")
          const owning = yield* otherProcess("own", filename, "r1")
          const { child, line } = yield* otherProcess("stop", filename, "r2")
          expect(line).toBe("stopping")
          const error = yield* Effect.flip(run.commit([started]))
          const users = [owning.child, child].map(({ pid }, index) => ({ runId: `r${index + 1}`, pid, host: os.hostname() }))
          expect(error).toMatchObject({ _tag: "StoreBusy", users: expect.arrayContaining(users) })
          expect((error as StoreBusy).users).toHaveLength(2)
          expect(error.message).toContain(`process ${child.pid} on ${os.hostname()} (run r2)`)
          child.kill("SIGKILL")
          yield* Effect.promise(() => child.exited)
          yield* run.commit([started])
          expectSame(yield* storage.load("mine"), run.state())
        }),
      )
    }),
  )

  it.scoped("can still be read", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          const run = yield* journal("r")
          yield* run.commit([started])
          yield* locked(filename)
          expectSame(yield* storage.load("r"), run.state())
          expect(yield* storage.runs({})).toHaveLength(1)
        }),
      )
    }),
  )

  it.scoped("lets a waiting write be interrupted, which then does not take place", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* journal("r")
          const blocker = yield* locked(filename)
          const command = { id: "p", runId: "r", at: Millis.make(5), command: { _tag: "Pause" } } as const
          const pausing = yield* Effect.fork(storage.deliver(command))
          const releasing = yield* Effect.fork(storage.renew([{ runId: "r", epoch: 1 }], Millis.make(7)))
          yield* Effect.promise(() => Bun.sleep(20))
          yield* Fiber.interrupt(pausing)
          blocker.run("ROLLBACK")
          expect(yield* Fiber.join(releasing)).toEqual([])
          expect(yield* storage.pending).toEqual([])
        }),
      )
    }),
  )

  it.scoped("holds up the interruption of a frame that waits, which is then stored", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          const run = yield* journal("r")
          const blocker = yield* locked(filename)
          const committing = yield* Effect.fork(run.commit([started]))
          yield* Effect.promise(() => Bun.sleep(20))
          const interrupting = yield* Effect.fork(Fiber.interrupt(committing))
          yield* Effect.promise(() => Bun.sleep(20))
          expect(interrupting.unsafePoll()).toBeNull()
          blocker.run("ROLLBACK")
          yield* Fiber.join(interrupting)
          expect((yield* storage.load("r")).seq).toBe(1)
        }),
      )
    }),
  )

  it.scoped("can be opened if there is nothing to migrate", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, () => journal("r"))
      yield* locked(filename)
      const runs = yield* using({ filename, busyTimeout: 0 }, (storage) => storage.runs({}))
      expect(runs).toHaveLength(1)
    }),
  )

  it.scoped("is waited for when it is opened", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, () => Effect.void)
      yield* query(filename, "DELETE FROM smithers_migrations")
      yield* query(filename, "PRAGMA journal_mode = DELETE")
      const made = yield* query(
        filename,
        "SELECT type, name FROM sqlite_master WHERE name LIKE 'smithers%' AND type IN ('view', 'table') ORDER BY type DESC",
      )
      for (const [type, name] of made) yield* query(filename, `DROP ${type} "${name}"`)
      const unlock = `${filename}.unlock`
      const { line } = yield* otherProcess("lock", filename, unlock)
      expect(line).toBe("locked")
      const opening = Effect.flip(using({ filename, busyTimeout: "20 millis" }, () => Effect.void))
      expect((yield* opening)._tag).toBe("StoreBusy")
      const patient = yield* Effect.fork(using({ filename }, (storage) => storage.runs({})))
      for (let turn = 0; turn < 20; turn++) yield* Effect.promise(() => Bun.sleep(2))
      expect(patient.unsafePoll()).toBe(null)
      fs.writeFileSync(unlock, "")
      expect(yield* Fiber.join(patient)).toEqual([])
    }),
  )
})
