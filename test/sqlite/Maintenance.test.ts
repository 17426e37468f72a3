import { describe, expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import { onStorage } from "@smithers/core/Smithers"
import { createWorkflow } from "@smithers/core/Workflow"
import * as Maintenance from "@smithers/sqlite/Maintenance"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { newFile, query, rawConnection } from "./Fixture.ts"

const Given = Schema.Struct({ text: Schema.String })

const work = createWorkflow({ name: "work", input: Schema.Struct({ text: Schema.String }) }).build(($) =>
  $.sequence(
    $.step("one", { output: Given, run: ({ input }) => input }),
    $.step("two", { output: Given, run: ({ input }) => input }),
  ),
)
const asking = createWorkflow({ name: "asking", input: Schema.Struct({}) }).build(($) =>
  $.approval("ok", { request: () => ({ title: "ok?" }) }),
)

const on = (filename: string) => onStorage(SqliteStorage.layer({ filename }))

/** Rows of a run, by table: those of the engine and those of outputs. */
const rowsOf = (filename: string, runId: string) =>
  Effect.gen(function* () {
    const tables = yield* query(
      filename,
      `SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'run_id' WHERE m.type = 'table' ORDER BY 1`,
    )
    const counts = yield* Effect.forEach(tables, ([name]) =>
      Effect.map(
        query(filename, `SELECT count(*) FROM "${name}" WHERE run_id = ?`, runId),
        (rows) => [name, Number(rows[0]?.[0] ?? 0)] as const,
      ),
    )
    return Object.fromEntries(counts.filter(([, count]) => count !== 0)) as { readonly [table: string]: number }
  })

/** Long after everything. */
const later = Date.now() + 1e12

describe("forks", () => {
  it.live("keep the run that they were forked from until they are deleted with it, and have logs without gaps", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const filename = yield* newFile
        yield* Effect.provide(
          Effect.gen(function* () {
            yield* work.execute({ text: "a" }, { runId: "a" })
            yield* asking.run({}, { runId: "asks" })
            yield* asking.fork("asks", { runId: "f" })
            yield* Commands.approve("asks", "ok")
            yield* asking.execute({}, { runId: "asks" })
          }),
          on(filename),
        )
        expect((yield* Maintenance.check(filename)).problems).toEqual([])
        const why = "a run that is kept was forked from it, and has its history"
        expect(yield* Maintenance.prune(filename, later, false)).toEqual({ pruned: ["a"], kept: [{ runId: "asks", why }] })
        yield* Effect.provide(asking.cancel("f"), on(filename))
        expect((yield* Maintenance.prune(filename, later, false)).pruned.toSorted()).toEqual(["asks", "f"])
        expect(yield* rowsOf(filename, "f")).toEqual({})
      }),
    ),
  )

  it.live("mark outputs that they have inherited, so that queries can leave them out", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const filename = yield* newFile
        yield* Effect.provide(
          Effect.gen(function* () {
            yield* work.execute({ text: "a" }, { runId: "a" })
            yield* work.fork("a", { before: "two", runId: "f" })
            yield* work.resume("f")
          }),
          on(filename),
        )
        const rows = yield* query(filename, `SELECT run_id, node_id, text, smithers_inherited_from FROM work_steps ORDER BY 1, 2`)
        expect(rows).toEqual([
          ["a", "one", "a", null],
          ["a", "two", "a", null],
          ["f", "one", "a", "a"],
          ["f", "two", "a", null],
        ])
      }),
    ),
  )
})

describe("pruning", () => {
  it.live("deletes a run that has ended with all its rows and outputs, and leaves the others as they are", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const filename = yield* newFile
        yield* Effect.provide(
          Effect.gen(function* () {
            yield* work.execute({ text: "a" }, { runId: "a" })
            yield* work.execute({ text: "b" }, { runId: "b" })
            yield* asking.run({}, { runId: "waits" })
            yield* asking.run({}, { runId: "told" })
            yield* Commands.approve("told", "ok")
            yield* Commands.pause("waits")
          }),
          on(filename),
        )
        const before = yield* rowsOf(filename, "b")
        expect(Object.keys(before)).toEqual(expect.arrayContaining(["smithers_events", "smithers_runs", "work_steps"]))
        yield* Effect.scoped(
          Effect.flatMap(rawConnection(filename), (db) =>
            Effect.sync(() => db.run("UPDATE smithers_runs SET finished_at = 1000 WHERE run_id = 'a'")),
          ),
        )
        expect(yield* Maintenance.prune(filename, 2000, true)).toEqual({ pruned: ["a"], kept: [] })
        expect(Object.keys(yield* rowsOf(filename, "a")).length).toBeGreaterThan(4)
        expect(yield* Maintenance.prune(filename, 2000, false)).toEqual({ pruned: ["a"], kept: [] })
        expect(yield* rowsOf(filename, "a")).toEqual({})
        expect(yield* rowsOf(filename, "b")).toEqual(before)
        expect(yield* query(filename, "SELECT count(*) FROM smithers_plans")).toEqual([[2]])
        expect(yield* Maintenance.prune(filename, later, false)).toEqual({ pruned: ["b"], kept: [] })
        expect(yield* query(filename, "SELECT run_id FROM smithers_runs ORDER BY run_id")).toEqual([["told"], ["waits"]])
        expect((yield* Maintenance.check(filename)).problems).toEqual([])
        // What is left goes on as if nothing had happened.
        expect(yield* Effect.provide(asking.resume("told"), on(filename))).toMatchObject({ approved: true })
      }),
    ),
  )

  it.live("keeps a run as long as one that comes from it has not ended, through all generations", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const filename = yield* newFile
        yield* Effect.provide(
          Effect.gen(function* () {
            for (const runId of ["grandparent", "parent", "alone"]) yield* work.execute({ text: runId }, { runId })
            yield* asking.run({}, { runId: "child" })
          }),
          on(filename),
        )
        yield* Effect.scoped(
          Effect.flatMap(rawConnection(filename), (db) =>
            Effect.sync(() => {
              const adopt = db.query(
                "UPDATE smithers_runs SET parent_run_id = ?, parent_node_id = 'n', parent_iteration = 0 WHERE run_id = ?",
              )
              adopt.run("parent", "child")
              adopt.run("grandparent", "parent")
            }),
          ),
        )
        const { pruned, kept } = yield* Maintenance.prune(filename, later, false)
        expect(pruned).toEqual(["alone"])
        expect(kept.map(({ runId }) => runId).sort()).toEqual(["grandparent", "parent"])
        yield* Effect.provide(Effect.zipRight(Commands.approve("child", "ok"), asking.resume("child")), on(filename))
        expect((yield* Maintenance.prune(filename, later, false)).pruned.toSorted()).toEqual(["child", "grandparent", "parent"])
      }),
    ),
  )

  it.live("of a hundred runs goes in steps, and vacuuming gives their space back", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const filename = yield* newFile
        const texts = Array.from({ length: 120 }, (_, index) => `${index}-${"x".repeat(2000)}`)
        yield* Effect.provide(
          Effect.forEach(texts, (text, index) => work.execute({ text }, { runId: `r${index}` })),
          on(filename),
        )
        expect((yield* Maintenance.prune(filename, later, false)).pruned.length).toBe(120)
        const { bytesBefore, bytesAfter } = yield* Maintenance.vacuum(filename)
        expect(bytesAfter).toBeLessThan(bytesBefore / 3)
      }),
    ),
  )
})

describe("checking", () => {
  it.live("finds rows without a run, logs with gaps and plans that are gone", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const filename = yield* newFile
        yield* Effect.provide(
          Effect.forEach(["a", "b"], (runId) => work.execute({ text: runId }, { runId })),
          on(filename),
        )
        expect(yield* Maintenance.check(filename)).toMatchObject({ runs: 2, problems: [] })
        yield* Effect.scoped(
          Effect.flatMap(rawConnection(filename), (db) =>
            Effect.sync(() => {
              db.run("DELETE FROM smithers_runs WHERE run_id = 'a'")
              db.run("DELETE FROM smithers_events WHERE run_id = 'b' AND seq = 2")
              db.run("DELETE FROM smithers_plans")
            }),
          ),
        )
        const { problems } = yield* Maintenance.check(filename)
        expect(problems).toEqual(
          expect.arrayContaining([
            "smithers_events has rows of 1 runs that do not exist",
            "the log of 1 runs has gaps",
            "1 plans are missing",
          ]),
        )
      }),
    ),
  )
})
