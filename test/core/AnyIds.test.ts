/** Ids that are made of data: whatever text a node, a boundary, a workflow or a run is called by, it is kept, told apart and found; on every store. */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as RunRequest from "@smithers/core/RunRequest"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { journal, processOn, runningOn, stores, Text, workflow } from "./Flows.ts"

/** Texts as agents give them, and some that read like what the engine makes of ids. */
const texts = [
  "fix src/a.ts",
  "src/a.ts",
  "src/a.ts/0",
  " ",
  "[x] (y) {z}",
  `it's "quoted"`,
  "日本語 👩‍👩‍👧 é",
  "e\u0301",
  "a\nb\t",
  "a%20b",
  "a b",
  "~",
  "a~0",
  "a~compensate",
  "a",
  "--help",
  "*",
  "__proto__",
  "x".repeat(1000),
]

/** As they are shown: what ends like the id of a compensation has one more character. */
const shown = texts.map((id) => (id === "a~compensate" ? "a~compensate~" : id))

const title = { request: () => ({ title: "?" }) }

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  it.effect("steps are kept, shown and read back under the text that they are called by", () =>
    on(
      Effect.gen(function* () {
        const { done, step } = journal()
        const w = workflow(($) => $.parallel(...texts.map((id) => step($, id))))
        expect(yield* w.execute({}, { runId: "r" })).toEqual(texts)
        const storage = yield* Storage
        const { nodes } = yield* storage.inspect("r")
        expect(nodes.map(({ nodeId }) => nodeId).sort()).toEqual([...shown].sort())
        const events = (yield* storage.events("r")).flatMap(({ event }) => ("attempt" in event ? [event.nodeId] : []))
        expect([...new Set(events)].sort()).toEqual([...shown].sort())
        // Read back, nothing runs again.
        expect(yield* w.execute({}, { runId: "r" })).toEqual(texts)
        expect(done).toEqual(texts)
      }),
    ),
  )

  it.effect("what cannot be stored is kept in another form, each text in its own", () =>
    on(
      Effect.gen(function* () {
        const odd = ["\ud83d", "\ude00", "\\ud83d", "\\u005cud83d", "\0", "\\u0000"]
        const { done, step } = journal()
        const w = workflow(($) => $.sequence(...odd.map((id) => step($, id)), $.approval("half \ud83d", title)))
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
        yield* Commands.approve("r", "half \ud83d")
        // By what is shown it is the same one.
        expect((yield* Effect.flip(Commands.approve("r", "half \\ud83d")))._tag).toBe("AlreadyDecided")
        expect((yield* w.run({}, { runId: "r" })).status).toBe("finished")
        expect(done).toEqual(odd)
        const { nodes } = yield* (yield* Storage).inspect("r")
        expect(nodes).toHaveLength(odd.length + 1)
        expect(nodes.every(({ nodeId }) => nodeId.isWellFormed())).toBe(true)
      }),
    ),
  )

  it.effect("people and programs name what waits by its text", () =>
    on(
      Effect.gen(function* () {
        const asked = texts.filter((id) => id !== "a")
        const w = workflow(($) =>
          $.parallel(
            ...asked.map((id) => $.approval(id, title)),
            $.human("Wie war's? (1/2)", { prompt: "?", output: Text }),
            $.signal("warten/auf ü", { name: "paid: ü/1", correlation: () => "a:b \ud83d", payload: Text }),
          ),
        )
        yield* w.run({}, { runId: "r" })
        const error = yield* Effect.flip(Commands.approve("r", "no such/node"))
        expect(error).toMatchObject({ _tag: "NotWaiting", nodeId: "no such/node" })
        for (const id of asked) yield* Commands.approve("r", id, { by: "ann" })
        yield* Commands.answer("r", "Wie war's? (1/2)", "good")
        yield* Commands.signal("r", "paid: ü/1", { correlation: "a:b \ud83e", payload: "not this" })
        yield* Commands.signal("r", "paid: ü/1", { correlation: "a:b \ud83d", payload: "this" })
        const output = yield* w.execute({}, { runId: "r" })
        expect(output.slice(asked.length)).toEqual(["good", "this"])
      }),
    ),
  )

  it.effect("a failed node names itself by its text, and is retried by it after a crash", () =>
    Effect.provide(
      Effect.gen(function* () {
        let isBroken = true
        const { done, step } = journal()
        const w = workflow(($) => $.sequence(step($, "plan / a b"), step($, "fix src/ü.ts", { fails: () => isBroken })))
        const storage = yield* Storage
        const create = { workflow: "w", version: undefined, input: {}, tags: [] }
        const first = yield* processOn(storage)
        const settled = yield* first.engine.join(w.definition, RunRequest.start("a run/1", create))
        expect(settled).toMatchObject({ status: "failed", error: { _tag: "StepFailed", runId: "a run/1", nodeId: "fix src/ü.ts" } })
        yield* first.stop
        isBroken = false
        yield* Commands.retryNode("a run/1", "fix src/ü.ts")
        const second = yield* processOn(storage)
        const again = RunRequest.join("a run/1")
        expect(yield* second.engine.join(w.definition, again)).toMatchObject({ status: "finished", output: "fix src/ü.ts" })
        yield* second.stop
        expect(done).toEqual(["plan / a b", "fix src/ü.ts", "fix src/ü.ts"])
      }),
      store,
    ),
  )

  it.effect("loops, sagas and tries are known by any text, and their passes and parts apart", () =>
    on(
      Effect.gen(function* () {
        const { done, step, undoable } = journal()
        const w = workflow(($) =>
          $.sequence(
            $.loop({ id: "loop of a/0", body: step($, "a/0"), maxIterations: 2, until: () => false }),
            $.tryCatch({
              id: "try: b (c)",
              try: $.saga(undoable($, "book / 1"), step($, "boom!", { fails: () => true }), { id: "saga ü" }),
              catch: $.step("catch / it", {
                needs: { error: $.caught("try: b (c)") },
                output: Text,
                run: ({ error }) => `${error?.nodeId}: ${error?.message}`,
              }),
            }),
          ),
        )
        expect(yield* w.execute({}, { runId: "r" })).toBe("boom!: boom! is no good")
        expect(done).toEqual(["a/0", "a/0", "book / 1", "boom!", "undo book / 1 0"])
        const { nodes } = yield* (yield* Storage).inspect("r")
        const rows = nodes.map(({ nodeId, iteration, kind, status }) => `${kind} ${nodeId} ${iteration} ${status}`)
        expect(rows.sort()).toEqual([
          "boundary saga ü 0 failed",
          "boundary try: b (c) 0 caught",
          "loop loop of a/0 0 finished",
          "step a/0 0 finished",
          "step a/0 1 finished",
          "step book / 1 0 finished",
          "step book / 1~compensate 0 finished",
          "step boom! 0 failed",
          "step catch / it 0 finished",
        ])
      }),
    ),
  )

  it.effect("what undoes a step is never taken for a step of an author's", () =>
    on(
      Effect.gen(function* () {
        const { done, step, undoable } = journal()
        const ids = ["a", "a~compensate", "a~compensate~", "a~"]
        const w = workflow(($) =>
          $.saga(...ids.map((id) => undoable($, id)), step($, "boom", { fails: () => true }), { id: "s~compensate" }),
        )
        expect((yield* w.run({}, { runId: "r" })).status).toBe("failed")
        expect(done.slice(0, 4)).toEqual(ids)
        expect(done.slice(5)).toEqual([...ids].reverse().map((id) => `undo ${id} 0`))
        const { nodes } = yield* (yield* Storage).inspect("r")
        expect(nodes.filter(({ kind }) => kind === "step")).toHaveLength(9)
        expect(new Set(nodes.map(({ nodeId }) => nodeId)).size).toBe(10)
      }),
    ),
  )

  it.effect("child runs of nodes of any text are runs of their own, once each", () =>
    on(
      Effect.gen(function* () {
        const begun: Array<string> = []
        const child = Smithers.createWorkflow({ name: "child / of any name", input: Schema.String }).build(($) =>
          $.step("work on it", {
            output: Text,
            run: ({ input, runId, idempotencyKey }) => {
              begun.push(runId)
              return `${input} ${new Headers({ key: idempotencyKey }).get("key")}`
            },
          }),
        )
        const ids = texts.filter((id) => id.length < 500)
        const w = workflow(($) => $.parallel(...ids.map((id) => $.subflow(id, { workflow: child, input: () => id }))))
        const output = yield* w.execute({}, { runId: "a/b~c" })
        expect(new Set(output).size).toBe(ids.length)
        expect(new Set(begun).size).toBe(ids.length)
        expect(begun[0]).toBe("a/b~c~fix src/a.ts~0")
        const runs = yield* (yield* Storage).runs({ parent: "a/b~c", workflow: "child / of any name" })
        expect(runs.map(({ runId }) => runId).sort()).toEqual([...begun].sort())
      }),
    ),
  )

  it.effect("runs and workflows of any text stay apart", () =>
    on(
      Effect.gen(function* () {
        const names = ["a b/c", "a_b_c", "日本語", "A B/C"]
        const all = names.map((name) =>
          Smithers.createWorkflow({ name, input: Schema.Struct({}) }).build(($) =>
            $.step("x y", { output: Schema.Struct({ name: Text }), run: () => ({ name }) }),
          ),
        )
        const runIds = texts.filter((id) => id !== "x".repeat(1000))
        for (const runId of runIds) yield* (all[0] as (typeof all)[number]).execute({}, { runId })
        for (const [index, w] of all.entries())
          expect(yield* w.execute({}, { runId: `of/${index}` })).toEqual({ name: names[index] })
        const storage = yield* Storage
        expect((yield* storage.runs({ workflow: "a b/c" })).map(({ runId }) => runId).sort()).toEqual([...runIds, "of/0"].sort())
        for (const runId of runIds) expect((yield* storage.inspect(runId)).run.runId).toBe(runId)
      }),
    ),
  )
})

it.effect("tables are named by what can be typed of a text, and hold the text itself", () =>
  Effect.gen(function* () {
    const Out = (field: string) => Schema.Struct({ [field]: Text })
    const ids = [
      "fix src/a.ts",
      "fix_src_a_ts",
      "日本 語",
      "日本_語",
      "Ä",
      "ä",
      "1. step",
      "x".repeat(900),
      `"; DROP TABLE smithers_runs; --`,
    ]
    const w = Smithers.createWorkflow({ name: "my flow", input: Schema.Struct({}) }).build(($) =>
      $.sequence(
        ...ids.map((id, index) => $.step(id, { output: Out(`f${index}`), run: () => ({ [`f${index}`]: id }) })),
        // These share a table.
        ...["same/1", "same'2"].map((id) => $.step(id, { output: Out("same"), run: () => ({ same: id }) })),
      ),
    )
    const filename = `${process.env.TMPDIR ?? "/tmp"}/any-ids-${crypto.randomUUID()}.db`
    yield* w.execute({}, { runId: "r" }).pipe(Effect.provide(Smithers.onStorage(SqliteStorage.layer({ filename }))))
    const { Database } = yield* Effect.promise(() => import("bun:sqlite"))
    const database = new Database(filename)
    const names = database
      .query("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'smithers%'")
      .values()
      .flat()
    expect(names.sort()).toEqual(
      [
        ...["my_flow_fix_src_a_ts", "my_flow_fix_src_a_ts_2", "my_flow_日本_語", "my_flow_日本_語_2", "my_flow_Ä", "my_flow_ä"],
        ...["my_flow_1__step", `my_flow_${"x".repeat(92)}`, "my_flow____DROP_TABLE_smithers_runs____"],
        ...["my_flow_same_1", "my_flow_same_2", "my_flow_steps"],
      ].sort(),
    )
    // Names need no quotes.
    for (const name of names) expect(database.query(`SELECT run_id FROM ${name}`).values()[0]).toEqual(["r"])
    expect(database.query("SELECT node_id, f0 FROM my_flow_fix_src_a_ts WHERE node_id = 'fix src/a.ts'").values()).toEqual([
      ["fix src/a.ts", "fix src/a.ts"],
    ])
    expect(database.query("SELECT same FROM my_flow_same_2").values()).toEqual([["same'2"]])
    database.close()
    for (const end of ["", "-wal", "-shm"])
      yield* Effect.promise(() =>
        Bun.file(`${filename}${end}`)
          .delete()
          .catch(() => {}),
      )
  }),
)
