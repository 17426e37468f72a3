/**
 * A database that cannot be written for a while, by real locks and a real full disk, costs no finished step.
 */
import { Database } from "bun:sqlite"
import * as fs from "node:fs"
import * as path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Smithers } from "@smithers/core"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import { Effect, Fiber, Schedule, Schema } from "effect"
import { folder as newFolder } from "./Fixture.ts"

const declare = () => Smithers.createWorkflow({ name: "test", input: Schema.Struct({}) })

const store = (filename: string) => Smithers.onStorage(SqliteStorage.layer({ filename, busyTimeout: "50 millis" }))

const query = <Row>(filename: string, sql: string): ReadonlyArray<Row> => {
  const database = new Database(filename, { readonly: true })
  try {
    database.run("PRAGMA busy_timeout = 5000")
    return database.query(sql).all() as ReadonlyArray<Row>
  } finally {
    database.close()
  }
}

/** Holds the write lock of a database until it is released. */
const lock = (filename: string) => {
  const database = new Database(filename)
  database.run("PRAGMA busy_timeout = 5000")
  database.run("BEGIN IMMEDIATE")
  return () => {
    database.run("ROLLBACK")
    database.close()
  }
}

const attempts = (filename: string) =>
  query<{ node_id: string; attempt: number; status: string }>(
    filename,
    "SELECT node_id, attempt, status FROM smithers_attempts ORDER BY node_id, attempt",
  )

describe("a database that is locked when a step finishes", () => {
  it.scopedLive("is waited for: the step is not run again, and nothing new starts meanwhile", () =>
    Effect.gen(function* () {
      const filename = path.join(yield* newFolder, "smithers.db")
      const ran: Array<string> = []
      let release = (): void => {}
      const workflow = declare().build(($) => {
        const paid = $.step("paid", {
          output: Schema.Number,
          run: () => {
            ran.push("paid")
            release = lock(filename)
            return 1
          },
        })
        const after = $.step("after", { needs: { paid }, output: Schema.Number, run: ({ paid }) => ran.push("after") + paid })
        return $.sequence(paid, after)
      })
      const running = yield* Effect.fork(workflow.execute({}, { runId: "r" }).pipe(Effect.provide(store(filename))))
      // Far longer than the store waits for locks by itself.
      yield* Effect.sleep("800 millis")
      expect(ran).toEqual(["paid"])
      release()
      expect(yield* Fiber.join(running)).toBe(3)
      expect(ran).toEqual(["paid", "after"])
      expect(attempts(filename)).toEqual([
        { node_id: "after", attempt: 1, status: "succeeded" },
        { node_id: "paid", attempt: 1, status: "succeeded" },
      ])
    }),
  )

  it.scopedLive("does not end a healthy step as a crash loop, however often that happens", () =>
    Effect.gen(function* () {
      const filename = path.join(yield* newFolder, "smithers.db")
      let runs = 0
      const workflow = declare().build(($) =>
        $.loop({
          id: "loop",
          maxIterations: 7,
          until: () => false,
          body: $.step("paid", {
            output: Schema.Number,
            run: () => {
              setTimeout(lock(filename), 200)
              return ++runs
            },
          }),
        }),
      )
      yield* workflow.execute({}, { runId: "r" }).pipe(Effect.provide(store(filename)))
      expect(runs).toBe(7)
      expect(attempts(filename).map(({ status }) => status)).toEqual(Array.from({ length: 7 }, () => "succeeded"))
    }),
  )

  it.scopedLive("is waited for by a child run, which is not taken for one that failed", () =>
    Effect.gen(function* () {
      const filename = path.join(yield* newFolder, "smithers.db")
      const child = Smithers.createWorkflow({ name: "child", input: Schema.Struct({}) }).build(($) =>
        $.step("work", {
          output: Schema.Number,
          run: () => {
            setTimeout(lock(filename), 600)
            return 7
          },
        }),
      )
      const parent = declare().build(($) => $.subflow("sub", { workflow: child, input: () => ({}) }))
      expect(yield* parent.execute({}, { runId: "r" }).pipe(Effect.provide(store(filename)))).toBe(7)
    }),
  )

  it.scopedLive("is tried a last time when the process stops, and keeps what had finished if it can", () =>
    Effect.gen(function* () {
      const filename = path.join(yield* newFolder, "smithers.db")
      let runs = 0
      let release = (): void => {}
      const workflow = declare().build(($) =>
        $.step("paid", {
          output: Schema.Number,
          run: () => {
            release = lock(filename)
            return ++runs
          },
        }),
      )
      const running = yield* Effect.fork(workflow.execute({}, { runId: "r" }).pipe(Effect.provide(store(filename))))
      yield* Effect.repeat(Effect.sleep("20 millis"), { until: () => runs > 0 })
      yield* Effect.sleep("200 millis")
      // The lock goes while the last try is on its way, or before it.
      release()
      yield* Fiber.interrupt(running)
      const answered = yield* workflow.resume("r").pipe(Effect.provide(store(filename)))
      expect([answered, runs]).toEqual([1, 1])
    }),
  )
})

const canMount = process.getuid?.() === 0 && Bun.spawnSync(["mount", "--version"]).success

describe("a disk that is full when a step finishes", () => {
  const mounted = canMount ? it.scopedLive : it.scopedLive.skip

  mounted("is waited for until there is space: the step is not run again (skipped where nothing can be mounted)", () =>
    Effect.gen(function* () {
      const mount = yield* newFolder
      yield* Effect.acquireRelease(
        Effect.sync(() => expect(Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=2m", "none", mount]).success).toBe(true)),
        () => Effect.sync(() => Bun.spawnSync(["umount", "--lazy", mount])),
      )
      const filename = path.join(mount, "smithers.db")
      const ballast = path.join(mount, "ballast")
      let runs = 0
      const workflow = declare().build(($) =>
        $.step("paid", {
          output: Schema.String,
          run: () => {
            runs++
            // All the space that is left.
            const file = fs.openSync(ballast, "w")
            try {
              for (;;) fs.writeSync(file, Buffer.alloc(4096))
            } catch {
              fs.closeSync(file)
            }
            return "x".repeat(50_000)
          },
        }),
      )
      const running = yield* Effect.fork(workflow.execute({}, { runId: "r" }).pipe(Effect.provide(store(filename))))
      yield* Effect.repeat(Effect.sleep("50 millis"), { until: () => runs > 0, schedule: Schedule.recurs(1000) })
      yield* Effect.sleep("500 millis")
      expect(runs).toBe(1)
      fs.rmSync(ballast)
      expect(yield* Fiber.join(running)).toHaveLength(50_000)
      expect(runs).toBe(1)
      expect(attempts(filename)).toEqual([{ node_id: "paid", attempt: 1, status: "succeeded" }])
    }),
  )
})

describe("an output that the database cannot hold", () => {
  // SQLite's limit is a thousand million bytes.
  const long = 1_000_000_001

  it.scopedLive("fails its step once, with the reason, and the rest of the frame is committed", () =>
    Effect.gen(function* () {
      const filename = path.join(yield* newFolder, "smithers.db")
      const runs = { large: 0, small: 0 }
      const workflow = declare().build(($) =>
        $.parallel(
          $.step("large", {
            output: Schema.Struct({ text: Schema.String }),
            retry: { maxAttempts: 3 },
            continueOnFail: true,
            run: async () => {
              runs.large++
              await new Promise((resolve) => setTimeout(resolve, 50))
              return { text: "x".repeat(long) }
            },
          }),
          $.step("small", {
            output: Schema.Number,
            run: async () => {
              runs.small++
              await new Promise((resolve) => setTimeout(resolve, 50))
              return 1
            },
          }),
        ),
      )
      const [large, small] = yield* workflow.execute({}, { runId: "r" }).pipe(Effect.provide(store(filename)))
      expect([large, small]).toEqual([undefined, 1])
      expect(runs).toEqual({ large: 1, small: 1 })
      const [failed] = query<{ error: string }>(filename, "SELECT error FROM smithers_attempts WHERE node_id = 'large'")
      expect(JSON.parse(failed?.error ?? "")).toMatchObject({ name: "StoreRefused", retryable: false, notRetried: "unstorable" })
    }),
  )
})
