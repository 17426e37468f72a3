/**
 * Databases of other versions, and processes of other versions on one database.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { StoreInUse, StoreTooNew, StoreTooOld } from "@smithers/core/Errors"
import * as RunState from "@smithers/core/RunState"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { Smithers } from "smithers-orchestrator"
import * as Connection from "../../packages/sqlite/src/internal/connection.ts"
import * as Migrations from "../../packages/sqlite/src/internal/migrations.ts"
import * as NewLayout from "../../packages/sqlite/src/internal/newLayout.ts"
import * as Canary from "../canary/Canary.ts"
import * as History from "../contract/History.ts"
import { newFile, query, rawConnection, using } from "./Fixture.ts"
import { begin, workflow } from "./fixtures/layouts.ts"
import { schemaOf, schemaOfSteps } from "./fixtures/newLayout.ts"

const { journal, later, leaseMs, started, step } = History

const present = Migrations.migrations.at(-1) ?? { layout: 0, protocol: 0, sql: "" }
const added = "ALTER TABLE smithers_runs ADD COLUMN note TEXT"
/** The steps of the version after this one: one that only adds, or one that processes of this version cannot go on with. */
const expanded = [...Migrations.migrations, { layout: present.layout + 1, protocol: present.protocol, sql: added }]
const contracted = [...Migrations.migrations, { layout: present.layout + 1, protocol: present.protocol + 1, sql: added }]

/** Migrates a file as another version would. */
const migrate = (filename: string, steps: ReadonlyArray<Migrations.Migration>, now: number) =>
  Effect.scoped(
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => Connection.open(filename)),
        (connection) => Effect.sync(connection.close),
      ),
      (connection) => Migrations.run(connection, now, steps),
    ),
  )

const copies = (filename: string): ReadonlyArray<string> =>
  fs.readdirSync(path.dirname(filename)).filter((name) => name.endsWith(".bak"))

describe("a migration", () => {
  it.scoped("copies no secret, and so that only the owner reads the copy", () =>
    Effect.gen(function* () {
      const [canary = { name: "", value: "" }] = Canary.make()
      const filename = yield* newFile
      const flow = Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) =>
        $.step("fails", { output: Schema.String, retry: false, run: () => Effect.fail(new Error(`the key ${canary.value}`)) }),
      )
      const store = Smithers.sqlite({ filename, secrets: { [canary.name]: canary.value } })
      yield* Effect.provide(flow.run({}, { runId: "r" }), store)
      yield* migrate(filename, expanded, later(0))
      const [copy = ""] = copies(filename)
      const file = path.join(path.dirname(filename), copy)
      expect(fs.statSync(file).mode & 0o777).toBe(0o600)
      expect(yield* query(file, "SELECT count(*) FROM smithers_runs")).toEqual([[1]])
      expect(Canary.leaksBelow([canary], path.dirname(filename))).toEqual([])
    }),
  )

  it.scoped("that processes of the version before cannot go on with is refused while they work on runs, and names them", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, () =>
        Effect.gen(function* () {
          const run = yield* journal("deploy")
          yield* run.commit([started])
          const refused = yield* migrate(filename, contracted, later(0))
          expect(Either.isLeft(refused) && refused.left).toBeInstanceOf(StoreInUse)
          const message = Either.isLeft(refused) ? refused.left.message : ""
          expect(message).toContain(`process ${process.pid} on `)
          expect(message).toContain("(deploy)")
          expect(copies(filename)).toEqual([])
          expect(yield* query(filename, "SELECT layout FROM smithers_store")).toEqual([[present.layout]])
          // It goes on as if nothing had been.
          yield* run.commit(step("a", "text", "x").slice(0, 1))
        }),
      )
    }),
  )

  it.scoped("copies the file first, and shuts out processes of the version before: nothing that they write is kept", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          const run = yield* journal("sleeps")
          yield* run.commit([started])
          // The process sleeps through its lease.
          expect(yield* migrate(filename, contracted, later(leaseMs + 10_000))).toEqual(Either.right(undefined))
          expect(copies(filename)).toEqual([`smithers.db.layout-${present.layout}.bak`])
          const copy = `${filename}.layout-${present.layout}.bak`
          expect(fs.statSync(copy).mode & 0o777).toBe(0o600)
          expect(yield* query(copy, "SELECT run_id, layout FROM smithers_runs, smithers_store")).toEqual([
            ["sleeps", present.layout],
          ])
          const error = yield* Effect.flip(run.commit([{ _tag: "CancelRequested" }]))
          expect(error).toEqual(new StoreTooNew({ found: present.layout + 1, supported: present.layout }))
          const command = { id: "c", runId: "sleeps", at: later(0), command: { _tag: "Cancel" } } as const
          expect((yield* Effect.flip(storage.deliver(command)))._tag).toBe("StoreTooNew")
          const claim = { runId: "sleeps", create: undefined, reopen: [], leaseMs, now: later(leaseMs * 3) }
          expect((yield* Effect.flip(storage.open(claim)))._tag).toBe("StoreTooNew")
          expect(
            yield* query(filename, "SELECT (SELECT count(*) FROM smithers_events), (SELECT count(*) FROM smithers_inbox)"),
          ).toEqual([[1, 0]])
        }),
      )
      expect((yield* Effect.flip(using({ filename }, () => Effect.void)))._tag).toBe("StoreTooNew")
    }),
  )

  it.scoped("that only adds is made beside them, and they go on, also where they open the database anew", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, () =>
        Effect.gen(function* () {
          const run = yield* journal("r")
          yield* run.commit([started])
          expect(yield* migrate(filename, expanded, later(0))).toEqual(Either.right(undefined))
          yield* run.commit([{ _tag: "CancelRequested" }])
        }),
      )
      const state = yield* using({ filename }, (storage) => storage.load("r"))
      expect(state.seq).toBe(2)
      expect(yield* using({ filename, access: "read" }, (storage) => storage.load("r"))).toEqual(state)
      expect(yield* query(filename, "SELECT layout FROM smithers_store")).toEqual([[present.layout + 1]])
    }),
  )

  it.scoped("is not made by who only reads, who is told so", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, () => Effect.void)
      const connection = Connection.open(filename, "read")
      const checked = Migrations.check(connection, filename, "read", expanded)
      connection.close()
      expect(Either.isLeft(checked) && checked.left).toBeInstanceOf(StoreTooOld)
      expect(Either.isLeft(checked) ? checked.left.message : "").toContain("A command that writes")
    }),
  )
})

describe("a new database", () => {
  it.scoped("is made at once, and has the tables that all steps make one after another", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, () => Effect.void)
      const database = yield* rawConnection(filename)
      expect(schemaOf(database)).toEqual(schemaOfSteps())
      expect(NewLayout.layout).toBe(present.layout)
      const steps = yield* query(filename, "SELECT id FROM smithers_migrations ORDER BY id")
      expect(steps.map(([id]) => id)).toEqual(Migrations.migrations.map(({ layout }) => layout))
      expect(yield* query(filename, "SELECT layout, protocol FROM smithers_store")).toEqual([[present.layout, present.protocol]])
    }),
  )
})

describe("a database of each released layout", () => {
  const folder = path.join(import.meta.dirname, "fixtures")
  const layouts = fs
    .readdirSync(folder)
    .filter((name) => /^layout-\d+\.sql$/.test(name))
    .sort()

  it("is among the fixtures", () => {
    expect(layouts).toEqual(Migrations.migrations.map(({ layout }) => `layout-${layout}.sql`))
  })

  it.scoped("is written with each thing that happened in a frame of its own, and the same times each time", () =>
    Effect.gen(function* () {
      const frames = Effect.gen(function* () {
        const filename = yield* newFile
        yield* begin(filename)
        return yield* query(filename, "SELECT run_id, seq, frame, at_ms, type FROM smithers_events ORDER BY run_id, seq")
      })
      const written = yield* frames
      expect(written).toEqual(yield* frames)
      expect(written.length).toBeGreaterThan(20)
    }),
  )

  it.scoped.each(layouts)("is opened, and its runs are shown and go on: %s", (name) =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const database = yield* rawConnection(filename)
      database.run("PRAGMA journal_mode = WAL")
      database.exec(fs.readFileSync(path.join(folder, name), "utf8"))
      yield* Effect.gen(function* () {
        const storage = yield* Storage
        const runs = yield* storage.runs({})
        expect(runs.map(({ runId, status }) => [runId, status]).sort()).toEqual([
          ["done", "finished"],
          ["waits", "waiting-approval"],
        ])
        const { attempts } = yield* storage.inspect("done")
        expect(attempts.filter(({ nodeId }) => nodeId === "build").map(({ status }) => status)).toEqual(["failed", "succeeded"])
        const earlier = yield* storage.load("done", { frame: 2 })
        expect(RunState.step(earlier, "build", 0)?.status).toBe("retrying")
        yield* Smithers.approve("waits", "approve", { by: "eve" })
        const result = yield* workflow.run({ version: "1.0" }, { runId: "waits" })
        expect(result).toMatchObject({ output: { url: "https://example.org/app-1.0" } })
        expect(yield* workflow.run({ version: "1.0" }, { runId: "done" })).toMatchObject({
          output: { url: "https://example.org/app-1.0" },
        })
      }).pipe(Effect.provide(Smithers.sqlite({ filename })))
    }),
  )
})

describe("the step to layout 29", () => {
  const rows = "SELECT run_id, node_id, iteration, attempt, status FROM smithers_attempt_rows ORDER BY 1, 2, 3, 4"
  const all = "SELECT run_id, node_id, iteration, attempt, status, finished_at FROM smithers_attempts ORDER BY 1, 2, 3, 4"

  it.scoped("shows an attempt that the row of its node says, and gives it a row before that says something else", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* begin(filename)
      const kept = [
        ["done", "build", 0, 1, "failed"],
        ["waits", "build", 0, 1, "failed"],
      ]
      expect(yield* query(filename, rows)).toEqual(kept)
      const before = yield* query(filename, all)
      expect(before.map(([runId, nodeId, , attempt]) => `${runId} ${nodeId} ${attempt}`)).toEqual([
        ...["done build 1", "done build 2", "done check 1", "done check 1", "done publish 1"],
        ...["waits build 1", "waits build 2", "waits check 1", "waits check 1"],
      ])
      // Another step of the run changes nothing of it, nor does what is no part of the attempt.
      yield* query(filename, "UPDATE smithers_nodes SET detail = '{}' WHERE node_id = 'build'")
      expect(yield* query(filename, rows)).toEqual(kept)
      yield* query(
        filename,
        "UPDATE smithers_nodes SET status = 'running', attempt = 3 WHERE node_id = 'build' AND run_id = 'done'",
      )
      expect(yield* query(filename, rows)).toEqual([kept[0], ["done", "build", 0, 2, "succeeded"], kept[1]])
      expect(yield* query(filename, all)).toEqual(before)
    }),
  )

  it.scoped("leaves the rows of attempts that are there", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const database = yield* rawConnection(filename)
      database.exec(fs.readFileSync(path.join(import.meta.dirname, "fixtures/layout-28.sql"), "utf8"))
      const before = database.query(all).values()
      yield* Effect.provide(Storage, Smithers.sqlite({ filename }))
      expect(database.query(all).values()).toEqual(before)
      expect(before.length).toBe(9)
    }),
  )
})

describe("the step to layout 21", () => {
  it.scoped("renames the fields of stored JSON in events, commands, records, waits and notes, at any depth of what they hold", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const database = yield* rawConnection(filename)
      database.run("PRAGMA journal_mode = WAL")
      database.exec(fs.readFileSync(path.join(import.meta.dirname, "fixtures/layout-20.sql"), "utf8"))
      const deep = `${"[".repeat(2000)}{"saidAt":1,"soft":-0}${"]".repeat(2000)}`
      const events = [
        ["TaskAnswered", `{"value":${deep},"saidAt":5}`],
        ["NodeFailed", `{"error":{"name":"E","message":"m","retryable":false},"soft":true}`],
        ["NodeReset", `{"isAnew":true}`],
        ["PartsDecided", `{"winners":["a"],"isOver":true}`],
        ["LeaveRequested", `{"as":"completed","saidAt":6}`],
        ["BoundaryHalted", `{"isCaught":false,"isLast":true,"left":{"as":"cancelled","because":"timeout"}}`],
        ["LoopMounted", `{"first":["a"],"mounted":["b"],"mounting":1,"isLeftOut":true}`],
      ] as const
      for (const [index, [type, payload]] of events.entries())
        database.run("INSERT INTO smithers_events VALUES ('waits', ?, 9, 1, ?, 'n', 0, NULL, ?)", [index + 20, type, payload])
      database.run(
        `UPDATE smithers_runs SET stuck = '{"since":1,"tries":2,"again":3,"error":{"name":"E","message":"m"}}' WHERE run_id = 'waits'`,
      )
      database.run(
        `INSERT INTO smithers_nodes (run_id, node_id, iteration, kind, status, attempt, detail)
         VALUES ('waits', 's', 0, 'boundary', 'running', 0, '{"asked":{"as":"completed","by":"ann"}}'),
           ('waits', 'l', 0, 'loop', 'running', 0, '{"mounting":{"first":["a"],"later":["b"],"leftOut":["c"],"times":2}}')`,
      )
      database.run(
        `INSERT INTO smithers_wait_history VALUES ('waits', 'approve', 0, 13, '{"kind":"approval","asked":3,"timesAsked":1}')`,
      )
      database.run(
        `INSERT INTO smithers_inbox VALUES (9, 'waits', 'l', 1, '{"_tag":"Leave","nodeId":"s","iteration":0,"as":"completed"}', NULL)`,
      )
      yield* Effect.gen(function* () {
        const { run, leaving, nodes } = yield* (yield* Storage).inspect("waits")
        expect(run.stuck).toMatchObject({ failureCount: 2, retryAt: 3 })
        expect(leaving).toEqual([{ nodeId: "s", iteration: 0, outcome: "completed" }])
        expect(nodes.find(({ nodeId }) => nodeId === "s")?.leaveRequest).toEqual({ outcome: "completed", by: "ann" })
      }).pipe(Effect.provide(Smithers.sqlite({ filename })))
      const stored = yield* query(filename, "SELECT payload FROM smithers_events WHERE run_id = 'waits' AND seq >= 20 ORDER BY seq")
      expect(stored.flat()).toEqual([
        `{"value":${deep},"submittedAt":5}`,
        `{"error":{"name":"E","message":"m","retryable":false},"isSoft":true}`,
        `{"hasNewChild":true}`,
        `{"winners":["a"],"isDecided":true}`,
        `{"outcome":"completed","submittedAt":6}`,
        `{"isCaught":false,"isFinallySkipped":true,"left":{"outcome":"cancelled","trigger":"timeout"}}`,
        `{"initial":["a"],"mounted":["b"],"mountCount":1,"isOmitted":true}`,
      ])
      const details = yield* query(filename, "SELECT detail FROM smithers_nodes WHERE node_id = 'l'")
      expect(details).toEqual([['{"mounting":{"initial":["a"],"added":["b"],"omitted":["c"],"count":2}}']])
      const wait = yield* query(filename, "SELECT wait FROM smithers_wait_history WHERE run_id = 'waits'")
      expect(wait).toEqual([['{"kind":"approval","requestSeq":3,"requestCount":1}']])
    }),
  )
})
