/** What failures cost a database. */
import * as fs from "node:fs"
import { expect, it } from "@effect/vitest"
import type { ErrorInfo } from "@smithers/core/ErrorInfo"
import * as Smithers from "@smithers/core/Smithers"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { newFile, query } from "./Fixture.ts"

const declared = Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) })

const on =
  (filename: string) =>
  <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) =>
    Effect.provide(effect, Smithers.onStorage(SqliteStorage.layer({ filename })))

/** How often a text is in a file. */
const count = (filename: string, text: string): number => fs.readFileSync(filename, "latin1").split(text).length - 1

it.scopedLive("An error of 20 MB takes some KB of the database, once for each attempt and once for the run", () =>
  Effect.gen(function* () {
    const filename = yield* newFile
    const size = () =>
      ["", "-wal"].reduce((sum, suffix) => sum + (fs.statSync(filename + suffix, { throwIfNoEntry: false })?.size ?? 0), 0)
    const attempts = 4
    const W = declared.build(($) =>
      $.step("a", {
        output: Schema.Number,
        retry: { maxAttempts: attempts, initialDelay: 0 },
        run: (): Promise<number> => Promise.reject(new Error(`BEGIN ${"x".repeat(20_000_000)} END`)),
      }),
    )
    yield* Effect.gen(function* () {
      const before = size()
      const error = yield* Effect.flip(W.execute({}, { runId: "r" }))
      expect(error.message.length).toBeLessThan(2000)
      expect(size() - before).toBeLessThan(400_000)
    }).pipe(on(filename))
    // The store is closed: its log is in the file. A failure of the run is kept with the run, and as what happened.
    expect(size()).toBeLessThan(400_000)
    expect(count(filename, "BEGIN xxx")).toBe(attempts + 2)
    const kept = yield* query(filename, "SELECT error ->> '$.message' FROM smithers_attempts ORDER BY attempt")
    expect(kept).toHaveLength(attempts)
    for (const [message] of kept) expect(message).toMatch(/^BEGIN x+ … \d+ characters left out … x+ END$/)
  }),
)

it.scopedLive("A retry schedule that goes by errors sees the same before and after a restart", () =>
  Effect.gen(function* () {
    const filename = yield* newFile
    const seen: Array<ErrorInfo> = []
    let failures = 0
    const W = declared.build(($) =>
      $.step("a", {
        output: Schema.Number,
        retry: Schedule.recurWhile((error: ErrorInfo) => {
          seen.push(error)
          return (error.status ?? 0) >= 500
        }),
        run: (): Effect.Effect<number, Error> => {
          failures++
          if (failures === 3) return Effect.never
          const response = { status: failures < 6 ? 500 + failures : 404 }
          return Effect.fail(Object.assign(new Error("no", { cause: new Error("deep") }), { response, code: "E" }))
        },
      }),
    )
    const cut = W.execute({}, { runId: "r" }).pipe(
      Effect.timeout("10 seconds"),
      Effect.race(Effect.repeat(Effect.sleep("5 millis"), { until: () => failures === 3 })),
    )
    yield* Effect.ignore(cut).pipe(on(filename))
    expect(seen.map(({ status }) => status)).toEqual([501, 502])
    const before = seen.splice(0)
    const error = yield* Effect.flip(W.execute({}, { runId: "r" })).pipe(on(filename))
    // First it is brought to where it was.
    expect(seen.slice(0, 2)).toEqual(before)
    expect(seen.map(({ status }) => status)).toEqual([501, 502, 504, 505, 404])
    for (const one of seen) expect(one).toMatchObject({ name: "Error", code: "E", cause: { message: "deep" }, retryable: true })
    expect(error).toMatchObject({ _tag: "StepFailed", error: { status: 404, notRetried: "schedule" } })
  }),
)
