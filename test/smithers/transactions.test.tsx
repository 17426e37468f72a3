/**
 * Transactional steps: what users write in the database of their runs is done once, or not at all.
 */
import * as path from "node:path"
import * as Migrator from "@effect/sql/Migrator"
import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlResolver from "@effect/sql/SqlResolver"
import { describe, expect, it } from "@effect/vitest"
import * as Maintenance from "@smithers/sqlite/Maintenance"
import { Cause, Context, Effect, type Either, Fiber, Logger, Schema, Stream } from "effect"
import { createSmithers, Smithers } from "smithers-orchestrator"
import { Sql } from "smithers-orchestrator/sql"
import * as z from "zod"
import { newFile, query, rawConnection } from "../sqlite/Fixture.ts"

const tables = Sql.atomic(
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE accounts (id TEXT PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0)) STRICT`
    yield* sql`CREATE TABLE entries (id INTEGER PRIMARY KEY, account TEXT NOT NULL, amount INTEGER NOT NULL) STRICT`
    yield* sql`INSERT INTO accounts ${sql.insert([
      { id: "a", balance: 100 },
      { id: "b", balance: 0 },
    ])}`
  }),
)

const move = (from: string, to: string, amount: number) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`UPDATE accounts SET balance = balance - ${amount} WHERE id = ${from}`
    yield* sql`UPDATE accounts SET balance = balance + ${amount} WHERE id = ${to}`
    yield* sql`INSERT INTO entries ${sql.insert({ account: to, amount })}`
    const [row] = yield* sql<{ readonly balance: number }>`SELECT balance FROM accounts WHERE id = ${from}`
    return { left: row?.balance ?? -1 }
  })

const Left = Schema.Struct({ left: Schema.Number })

/** What the tables hold: balances, and how many entries. */
const held = Sql.atomic(
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const balances = yield* sql`SELECT id, balance FROM accounts ORDER BY id`.values
    const [[entries] = []] = yield* sql`SELECT count(*) FROM entries`.values
    const [[rows] = []] = yield* sql`SELECT count(*) FROM smithers_transactions`.values
    return { balances: Object.fromEntries(balances), entries, rows }
  }),
)

const untouched = { balances: { a: 100, b: 0 }, entries: 0, rows: 0 }

/** What the last step that failed has failed with, as it was raised. */
let last: unknown

/** A workflow of one step that is tried `attempts` times. */
const stepOf = <A, E, R>(run: (step: Parameters<typeof Sql.transaction>[0]) => Effect.Effect<A, E, R>, attempts = 1) =>
  Smithers.createWorkflow({ name: "one", input: Schema.Void }).build(($) =>
    $.step("pay", {
      output: Schema.Unknown,
      retry: { maxAttempts: attempts, initialDelay: 1 },
      run: (step) =>
        Effect.tapErrorCause(run(step), (cause) =>
          Effect.sync(() => {
            last = Cause.squash(cause)
          }),
        ),
    }),
  )

const inMemory = Smithers.sqlite({ filename: ":memory:" })

/** What a step fails with, and in how many attempts. */
const raised = <R,>(workflow: Smithers.Workflow<void, unknown, R>) =>
  Effect.map(Effect.flip(workflow.execute()), (failure) => ({
    cause: last,
    attempts: failure._tag === "StepFailed" ? failure.attempts : 0,
  }))

describe("a transaction of a step", () => {
  it.scopedLive("reads and writes, and leaves a row beside what it wrote", () =>
    Effect.gen(function* () {
      yield* tables
      const workflow = Smithers.createWorkflow({ name: "pay", input: Schema.Struct({ amount: Schema.Number }) }).build(($) =>
        $.step("pay", { output: Left, run: (step) => Sql.transaction(step, move("a", "b", step.input.amount)) }),
      )
      const output: { readonly left: number } = yield* workflow.execute({ amount: 30 }, { runId: "r" })
      expect(output).toEqual({ left: 70 })
      expect(yield* held).toEqual({ balances: { a: 70, b: 30 }, entries: 1, rows: 1 })
      const rows = yield* Sql.atomic(Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT * FROM smithers_transactions`))
      expect(rows).toEqual([
        {
          run_id: "r",
          key: "r:pay:0",
          name: "",
          node_id: "pay",
          iteration: 0,
          attempt: 1,
          at_ms: expect.any(Number),
          output: '{"left":70}',
        },
      ])
    }).pipe(Effect.provide(inMemory)),
  )

  it.scopedLive("is not made again by a later attempt, which is given what it left", () =>
    Effect.gen(function* () {
      yield* tables
      const given: Array<unknown> = []
      let times = 0
      const workflow = stepOf(
        (step) =>
          Sql.transaction(
            step,
            Effect.zipRight(
              Effect.sync(() => times++),
              move("a", "b", 10),
            ),
          ).pipe(
            Effect.tap((output) => Effect.sync(() => given.push(output))),
            Effect.tap(() => (given.length < 3 ? Effect.fail(new Error("after it")) : Effect.void)),
          ),
        3,
      )
      expect(yield* workflow.execute()).toEqual({ left: 90 })
      expect([times, given]).toEqual([1, [{ left: 90 }, { left: 90 }, { left: 90 }]])
      expect(yield* held).toEqual({ balances: { a: 90, b: 10 }, entries: 1, rows: 1 })
    }).pipe(Effect.provide(inMemory)),
  )

  it.scopedLive(
    "stores its output through the schema of the step, and gives it as later steps receive it, the first time as after",
    () =>
      Effect.gen(function* () {
        yield* tables
        const given: Array<unknown> = []
        /** Lets the first attempt fail after its transaction. */
        const note =
          (attempt: number) =>
          <A,>(value: A) =>
            Effect.suspend(() => {
              given.push(value)
              return attempt === 1 ? Effect.fail(new Error("again")) : Effect.succeed(value)
            })
        const workflow = Smithers.createWorkflow({ name: "dates", input: Schema.Void }).build(($) => {
          const retry = { maxAttempts: 2, initialDelay: 1 }
          const day = $.step("day", {
            output: Schema.Struct({ at: Schema.Date }),
            retry,
            run: (step) => Effect.flatMap(Sql.transaction(step, Effect.succeed({ at: new Date(0) })), note(step.attempt)),
          })
          // What a transform has made is not transformed again.
          const size = $.step("size", {
            output: z.string().transform((text) => text.length),
            retry,
            run: (step) => Effect.flatMap(Sql.transaction(step, Effect.succeed("four")), note(step.attempt)),
          })
          const nothing = $.step("nothing", { output: Schema.Void, run: (step) => Sql.transaction(step, Effect.void) })
          return $.sequence(
            $.parallel(day, size),
            nothing,
            $.step("last", { output: Schema.Number, needs: { size }, run: ({ size }) => size }),
          )
        })
        expect(yield* workflow.execute()).toBe(4)
        const numbers = given.filter((one) => typeof one === "number")
        expect([numbers, given.filter((one) => typeof one !== "number")]).toEqual([
          [4, 4],
          [{ at: new Date(0) }, { at: new Date(0) }],
        ])
      }).pipe(Effect.provide(inMemory)),
  )

  it.scopedLive("that gives what the schema refuses is undone", () =>
    Effect.gen(function* () {
      yield* tables
      const workflow = Smithers.createWorkflow({ name: "pay", input: Schema.Void }).build(($) =>
        // @ts-expect-error the output is no text
        $.step("pay", { output: Schema.String, retry: false, run: (step) => Sql.transaction(step, move("a", "b", 1)) }),
      )
      expect(yield* Effect.flip(workflow.execute())).toMatchObject({ error: { name: "InvalidOutput" } })
      expect(yield* held).toEqual(untouched)
    }).pipe(Effect.provide(inMemory)),
  )

  it.scopedLive("whose code fails is undone, and fails with the same error", () =>
    Effect.gen(function* () {
      class Declined extends Schema.TaggedError<Declined>()("Declined", { why: Schema.String }) {}
      yield* tables
      const caught: Array<unknown> = []
      const workflow = stepOf((step) =>
        Sql.transaction(step, Effect.zipRight(move("a", "b", 10), new Declined({ why: "limit" }))).pipe(
          Effect.catchTag("Declined", (error) => Effect.sync(() => caught.push(error.why))),
        ),
      )
      yield* workflow.execute()
      expect([caught, yield* held]).toEqual([["limit"], untouched])
      const defect = yield* raised(
        stepOf((step) => Sql.transaction(step, Effect.zipRight(move("a", "b", 10), Effect.die("broken")))),
      )
      expect(defect).toMatchObject({ cause: "broken" })
      const violated = yield* raised(stepOf((step) => Sql.transaction(step, move("a", "b", 101))))
      expect(violated).toMatchObject({ cause: { _tag: "SqlError", message: expect.stringContaining("CHECK constraint failed") } })
      expect(yield* held).toEqual(untouched)
    }).pipe(Effect.provide(inMemory)),
  )

  it.scopedLive("fails with an error that its step declares, which callers catch", () =>
    Effect.gen(function* () {
      class Declined extends Schema.TaggedError<Declined>()("Declined", { left: Schema.Number }) {}
      yield* tables
      const workflow = Smithers.createWorkflow({ name: "declined", input: Schema.Void }).build(($) =>
        $.step("pay", {
          output: Left,
          error: Declined,
          retry: false,
          run: (step) =>
            Sql.transaction(
              step,
              Effect.flatMap(move("a", "b", 60), ({ left }) => new Declined({ left })),
            ),
        }),
      )
      const caught = workflow.execute().pipe(Effect.catchTag("Declined", ({ left }) => Effect.succeed({ left })))
      expect([yield* caught, yield* held]).toEqual([{ left: 40 }, untouched])
    }).pipe(Effect.provide(inMemory)),
  )

  it.scopedLive(
    "goes on after an error of a statement that its code has caught, and undoes the part that failed in withTransaction",
    () =>
      Effect.gen(function* () {
        yield* tables
        const workflow = stepOf((step) =>
          Sql.transaction(
            step,
            Effect.gen(function* () {
              const sql = yield* SqlClient.SqlClient
              yield* Effect.flip(sql`INSERT INTO accounts VALUES ('a', 1)`)
              yield* move("a", "b", 1)
              const inner = sql.withTransaction(Effect.zipRight(move("a", "b", 10), Effect.fail("inner")))
              expect(yield* Effect.flip(inner)).toBe("inner")
              const nested = sql.withTransaction(
                Effect.zipRight(
                  move("a", "b", 20),
                  Effect.ignore(sql.withTransaction(Effect.zipRight(move("a", "b", 40), Effect.fail(1)))),
                ),
              )
              yield* nested
              yield* sql.withTransaction(move("a", "b", 2))
              return { left: 0 }
            }),
          ),
        )
        yield* workflow.execute()
        expect(yield* held).toEqual({ balances: { a: 77, b: 23 }, entries: 3, rows: 1 })
      }).pipe(Effect.provide(inMemory)),
  )

  it.scopedLive("is one of several where each has a name and a schema", () =>
    Effect.gen(function* () {
      yield* tables
      const seen: Array<unknown> = []
      const workflow = stepOf(
        (step) =>
          Effect.gen(function* () {
            const first: Date = yield* Sql.transaction(step, Effect.as(move("a", "b", 1), new Date(5)), {
              name: "debit",
              output: Schema.Date,
            })
            const second = yield* Sql.transaction(step, move("a", "b", 2), { name: "credit", output: Left })
            seen.push(first.getTime(), second.left)
            if (seen.length < 3) return yield* Effect.fail(new Error("again"))
            return yield* Sql.transaction(step, move("a", "b", 4))
          }),
        2,
      )
      expect(yield* workflow.execute()).toEqual({ left: 93 })
      expect(seen).toEqual([5, 97, 5, 97])
      expect(yield* held).toEqual({ balances: { a: 93, b: 7 }, entries: 3, rows: 3 })
    }).pipe(Effect.provide(inMemory)),
  )

  it.scopedLive("is refused the second time in one attempt, also at the same time", () =>
    Effect.gen(function* () {
      yield* tables
      const transfer = (step: Parameters<typeof Sql.transaction>[0]) => Sql.transaction(step, move("a", "b", 1))
      const twice = yield* raised(stepOf((step) => Effect.all([transfer(step), transfer(step)], { concurrency: 2 }), 3))
      expect(twice).toMatchObject({ cause: { _tag: "TransactionTaken", nodeId: "pay" }, attempts: 1 })
      expect(yield* held).toEqual({ balances: { a: 99, b: 1 }, entries: 1, rows: 1 })
      const unnamed = yield* raised(stepOf((step) => Sql.transaction(step, Effect.void, { name: "", output: Schema.Void })))
      expect(unnamed).toMatchObject({ cause: { _tag: "InvalidSetting", setting: "name" } })
    }).pipe(Effect.provide(inMemory)),
  )

  it.scopedLive("is made again where its step is done again", () =>
    Effect.gen(function* () {
      yield* tables
      let isBroken = true
      const workflow = Smithers.createWorkflow({ name: "again", input: Schema.Void }).build(($) =>
        $.sequence(
          $.step("pay", { output: Left, run: (step) => Sql.transaction(step, move("a", "b", 1)) }),
          $.step("after", { output: Schema.Void, retry: false, run: () => (isBroken ? Effect.fail("no") : Effect.void) }),
        ),
      )
      expect((yield* workflow.run(undefined, { runId: "r" })).status).toBe("failed")
      isBroken = false
      yield* Smithers.retryNode("r", "pay")
      yield* workflow.resume("r")
      expect(yield* held).toEqual({ balances: { a: 98, b: 2 }, entries: 2, rows: 2 })
    }).pipe(Effect.provide(inMemory)),
  )

  it.scopedLive("is made in loops, compensations and tasks of components as well", () =>
    Effect.gen(function* () {
      yield* tables
      const Saga = Smithers.createWorkflow({ name: "saga", input: Schema.Void }).build(($) =>
        $.saga(
          $.loop({
            id: "loop",
            body: $.step("pay", {
              output: Left,
              run: (step) => Sql.transaction(step, move("a", "b", 5)),
              compensate: (step) => Sql.transaction(step, Effect.asVoid(move("b", "a", 5))),
            }),
            until: ({ iteration, output }) => output !== undefined && iteration === 2,
            maxIterations: 2,
          }),
          $.step("fail", { output: Schema.Void, retry: false, run: () => Effect.fail("no") }),
          { onCompensated: "continue" },
        ),
      )
      yield* Saga.execute()
      expect(yield* held).toEqual({ balances: { a: 100, b: 0 }, entries: 4, rows: 4 })
      const { Workflow, Task, smithers, outputs } = createSmithers({ paid: Left }, { output: "paid" })
      const Components = smithers(() => (
        <Workflow name="components">
          <Task id="pay" output={outputs.paid}>
            {(ctx) => Sql.transaction(ctx, move("a", "b", 7))}
          </Task>
        </Workflow>
      ))
      expect(yield* Components.execute({})).toEqual({ left: 93 })
    }).pipe(Effect.provide(inMemory)),
  )

  it.scopedLive("serves migrations, resolvers and streams of @effect/sql", () =>
    Effect.gen(function* () {
      const first = Effect.flatMap(SqlClient.SqlClient, (sql) => sql`CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)`)
      const migrate = Sql.atomic(Migrator.make({})({ loader: Migrator.fromRecord({ "1_first": first }) }))
      expect([yield* migrate, yield* migrate]).toEqual([[[1, "first"]], []])
      const workflow = stepOf((step) =>
        Sql.transaction(
          step,
          Effect.gen(function* () {
            const sql = yield* SqlClient.SqlClient
            const Insert = yield* SqlResolver.ordered("Insert", {
              Request: Schema.Struct({ text: Schema.String }),
              Result: Schema.Struct({ id: Schema.Number, text: Schema.String }),
              execute: (requests) => sql`INSERT INTO notes ${sql.insert(requests)} RETURNING *`,
            })
            yield* Effect.all([Insert.execute({ text: "x" }), Insert.execute({ text: "y" })], { batching: true })
            return [...(yield* Stream.runCollect(sql`SELECT * FROM notes ORDER BY id`.stream))]
          }),
        ),
      )
      expect(yield* workflow.execute()).toEqual([
        { id: 1, text: "x" },
        { id: 2, text: "y" },
      ])
    }).pipe(Effect.provide(inMemory)),
  )

  it.scopedLive("leaves to its step the services that its code asks for, but those of the transaction", () =>
    Effect.gen(function* () {
      class Rate extends Context.Tag("Rate")<Rate, number>() {}
      yield* tables
      const workflow = Smithers.createWorkflow({ name: "rated", input: Schema.Void }).build(($) =>
        $.step("pay", {
          output: Left,
          run: (step) =>
            Sql.transaction(
              step,
              Effect.flatMap(Rate, (rate) => move("a", "b", rate)),
            ),
        }),
      )
      const needs: Effect.Effect<unknown, unknown, Smithers.Runtime | Rate> = workflow.execute()
      expect(yield* Effect.provideService(needs, Rate, 3)).toEqual({ left: 97 })
      const running: Effect.Effect<unknown, unknown, Smithers.Runtime> = Effect.provideService(workflow.execute(), Rate, 4)
      expect(yield* running).toEqual({ left: 93 })
    }).pipe(Effect.provide(inMemory)),
  )

  it.scopedLive("waits for a database that others have locked, and is made once", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* Effect.gen(function* () {
        yield* tables
        let times = 0
        const other = yield* rawConnection(filename)
        const workflow = stepOf((step) =>
          Effect.gen(function* () {
            other.run("BEGIN IMMEDIATE")
            setTimeout(() => other.run("ROLLBACK"), 300)
            const counted = Effect.sync(() => times++)
            return yield* Sql.transaction(step, Effect.zipRight(counted, move("a", "b", 1)))
          }),
        )
        expect(yield* workflow.execute()).toEqual({ left: 99 })
        expect(times).toBe(1)
        // What its code fails with after that ends the outage as well.
        const failing = stepOf((step) =>
          Effect.suspend(() => {
            other.run("BEGIN IMMEDIATE")
            setTimeout(() => other.run("ROLLBACK"), 200)
            return Sql.transaction(step, Effect.fail("no"))
          }),
        )
        expect(yield* raised(failing)).toEqual({ cause: "no", attempts: 1 })
      }).pipe(Effect.provide(Smithers.sqlite({ filename, busyTimeout: 20 })))
    }),
  )

  it.scopedLive("may be made by a promise", () =>
    Effect.gen(function* () {
      yield* tables
      const workflow = Smithers.createWorkflow({ name: "pay", input: Schema.Void }).build(($) =>
        $.step("pay", { output: Left, run: async (step) => await Effect.runPromise(Sql.transaction(step, move("a", "b", 1))) }),
      )
      expect(yield* workflow.execute()).toEqual({ left: 99 })
    }).pipe(Effect.provide(inMemory)),
  )

  it.scopedLive("undoes tables and triggers with the rest, and knows what its statements write before and after", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const all = (...texts: ReadonlyArray<string>) =>
        Effect.flatMap(SqlClient.SqlClient, (sql) => Effect.forEach(texts, (text) => sql.unsafe(text)))
      const insert = "INSERT INTO entries (account, amount) VALUES ('a', 1)"
      const refused = { _tag: "StatementRefused", reason: "it would write the engine's table smithers_plans" }
      yield* Effect.gen(function* () {
        yield* tables
        // What nobody can make here, an application may have made with a connection of its own.
        yield* query(filename, "CREATE VIEW plans AS SELECT hash FROM smithers_plans")
        yield* query(filename, "CREATE TRIGGER into_plans INSTEAD OF INSERT ON plans BEGIN DELETE FROM smithers_plans; END")
        const trap = "CREATE TRIGGER trap AFTER INSERT ON entries BEGIN INSERT INTO plans VALUES ('x'); END"
        yield* Sql.atomic(all(insert))
        expect(yield* Effect.flip(Sql.atomic(all(insert, trap, insert)))).toMatchObject(refused)
        yield* Sql.atomic(all(insert))
        yield* query(filename, trap)
        expect(yield* Effect.flip(Sql.atomic(all(insert)))).toMatchObject(refused)
        const undone = Effect.zipRight(all("DROP TRIGGER trap", insert), Effect.fail("no"))
        expect(yield* Effect.flip(Sql.atomic(undone))).toBe("no")
        expect(yield* Effect.flip(Sql.atomic(all(insert)))).toMatchObject(refused)
        const part = Effect.flatMap(SqlClient.SqlClient, (sql) =>
          Effect.zipRight(Effect.ignore(sql.withTransaction(undone)), all(insert)),
        )
        expect(yield* Effect.flip(Sql.atomic(part))).toMatchObject(refused)
        // What a statement would do may be asked, also of one that would be refused.
        const [plan] = yield* Sql.atomic(all(`EXPLAIN ${insert}`, "EXPLAIN QUERY PLAN DELETE FROM smithers_runs"))
        expect(plan?.length).toBeGreaterThan(5)
        yield* Sql.atomic(all("DROP TRIGGER trap", insert, "CREATE TABLE made (a)", "INSERT INTO made VALUES (1)"))
        expect(yield* Effect.flip(Sql.atomic(Effect.zipRight(all("DROP TABLE made"), Effect.fail("no"))))).toBe("no")
      }).pipe(Effect.provide(Smithers.sqlite({ filename })))
      expect(yield* query(filename, "SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM made)")).toEqual([[3, 1]])
    }),
  )
})

describe("the rows that transactions leave", () => {
  it.scopedLive("go with their runs", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const workflow = stepOf((step) => Sql.transaction(step, move("a", "b", 1)))
      const runs = Effect.all([workflow.execute(undefined, { runId: "old" }), workflow.execute(undefined, { runId: "kept" })])
      yield* Effect.provide(Effect.zipRight(tables, runs), Smithers.sqlite({ filename }))
      yield* query(filename, "UPDATE smithers_runs SET finished_at = 1 WHERE run_id = 'old'")
      expect((yield* Maintenance.prune(filename, 2, false)).pruned).toEqual(["old"])
      expect(yield* query(filename, "SELECT run_id FROM smithers_transactions")).toEqual([["kept"]])
      expect((yield* Maintenance.check(filename)).problems).toEqual([])
      expect(yield* query(filename, "SELECT balance FROM accounts ORDER BY id")).toEqual([[98], [2]])
    }),
  )
})

/** Runs the transfers in a process of their own. `onData` is told how many it has made. */
const transfers = (args: ReadonlyArray<string>, onData: (made: number, kill: () => void) => void = () => {}) =>
  Effect.promise(async () => {
    const script = path.join(import.meta.dirname, "fixtures", "transfers.ts")
    const child = Bun.spawn(["bun", script, ...args], { stdout: "pipe", stderr: "inherit" })
    let made = 0
    for await (const chunk of child.stdout) {
      made += chunk.length
      onData(made, () => child.kill("SIGKILL"))
    }
    await child.exited
    return child.signalCode ?? child.exitCode
  })

describe("a process that is killed", () => {
  const counted = (filename: string) =>
    Effect.gen(function* () {
      const [[balance] = []] = yield* query(filename, "SELECT balance FROM accounts WHERE id = 'to'")
      const [[left] = []] = yield* query(filename, "SELECT balance FROM accounts WHERE id = 'from'")
      const [[entries, keys] = []] = yield* query(filename, "SELECT count(*), count(DISTINCT key) FROM entries")
      const [[rows] = []] = yield* query(filename, "SELECT count(*) FROM smithers_transactions")
      return { balance, left, entries, keys, rows }
    })

  it.scopedLive("between a transaction and its frame finds what it has left, and makes no transfer twice", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      expect(yield* transfers([filename, "3", "die"])).toBe("SIGKILL")
      expect(yield* query(filename, "SELECT count(*) FROM smithers_events WHERE type = 'AttemptSucceeded'")).toEqual([[0]])
      const { rows } = yield* counted(filename)
      expect(rows).toBeGreaterThan(0)
      expect(yield* transfers([filename, "3"])).toBe(0)
      expect(yield* counted(filename)).toEqual({ balance: 3, left: 0, entries: 3, keys: 3, rows: 3 })
      expect(yield* query(filename, "SELECT max(attempt) FROM smithers_attempts")).toEqual([[2]])
    }),
  )

  it.scopedLive("and stopped meanwhile makes none of what another process has taken over", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const said = yield* Effect.promise(async () => {
        const script = path.join(import.meta.dirname, "fixtures", "transfers.ts")
        const child = Bun.spawn(["bun", script, filename, "3", "stall"], { stdout: "pipe", stderr: "ignore" })
        let text = ""
        let over: number | undefined
        for await (const chunk of child.stdout) {
          text += new TextDecoder().decode(chunk)
          if (over !== undefined || !text.includes(":")) continue
          child.kill("SIGSTOP")
          over = await Bun.spawn(["bun", script, filename, "3"], { stdout: "ignore", stderr: "inherit" }).exited
          child.kill("SIGCONT")
        }
        await child.exited
        return [over, text.split("\n")[0]]
      })
      expect(said).toEqual([0, expect.stringMatching(/^:+RunFenced$/)])
      expect(yield* counted(filename)).toEqual({ balance: 3, left: 0, entries: 3, keys: 3, rows: 3 })
    }),
  )

  it.scopedLive("twelve times within 1,500 transfers makes 1,500", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      let kills = 0
      while (kills < 12) {
        const at = 20 + Math.floor(Math.random() * 80)
        const ended = yield* transfers([filename, "1500"], (made, kill) => (made >= at ? kill() : undefined))
        if (ended !== "SIGKILL") break
        kills++
      }
      expect(kills).toBe(12)
      expect(yield* transfers([filename, "1500"])).toBe(0)
      expect(yield* counted(filename)).toEqual({ balance: 1500, left: 0, entries: 1500, keys: 1500, rows: 1500 })
      expect(yield* query(filename, "SELECT status FROM smithers_runs")).toEqual([["finished"]])
      const outputs = yield* query(filename, "SELECT count(*), count(DISTINCT balance) FROM transfers_steps")
      expect(outputs).toEqual([[1500, 1500]])
    }),
  )
})

describe("what a transaction may not do", () => {
  const refusedStatements: ReadonlyArray<readonly [statement: string, reason: string]> = [
    ["COMMIT", "Sql.transaction ends the transaction"],
    ["/* */ rollback -- x", "Sql.transaction ends the transaction"],
    ["BEGIN", "Sql.transaction ends the transaction"],
    ["SAVEPOINT a", "Sql.transaction ends the transaction"],
    ["PRAGMA foreign_keys = ON", "PRAGMA is refused"],
    ["ATTACH ':memory:' AS m", "ATTACH is refused"],
    ["VACUUM", "VACUUM is refused"],
    ["SELECT 1; COMMIT", "several statements"],
    ["UPDATE smithers_runs SET status = 'finished'", "the engine's table smithers_runs"],
    ["WITH x AS (SELECT 1) DELETE FROM smithers_events", "the engine's table smithers_events"],
    ["DELETE FROM main.[Smithers_Nodes]", "the engine's table smithers_nodes"],
    ["INSERT INTO engine_view VALUES ('r')", "the engine's table smithers_heartbeats"],
    ["INSERT INTO entries (account, amount) VALUES ('trap', 1)", "the engine's table smithers_plans"],
    ["INSERT INTO one_other (run_id, node_id, iteration) VALUES ('r', 'n', 0)", "the engine's table one_other"],
    ["DROP TABLE smithers_runs", '"smithers_runs" belongs to the engine'],
    ["ALTER TABLE 'smithers_runs' ADD COLUMN x", '"smithers_runs" belongs to the engine'],
    ['CREATE INDEX i ON "one_other" (run_id)', '"one_other" belongs to the engine'],
    ["CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM smithers_runs; END", '"smithers_runs" belongs to the engine'],
    ["CREATE TEMP TABLE t (a)", "temporary"],
    ["UPDATE sqlite_master SET sql = ''", "sqlite_master may not be modified"],
  ]

  it.scopedLive("is refused, whatever its code makes of that, and all of it is undone", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const Other = Smithers.createWorkflow({ name: "one", input: Schema.Void }).build(($) =>
        $.step("other", { output: Schema.Struct({ a: Schema.Number }), run: () => ({ a: 1 }) }),
      )
      const prepare = Effect.zipRight(tables, Other.execute())
      yield* Effect.provide(prepare, Smithers.sqlite({ filename }))
      // What nobody can make here, an application may have made with a connection of its own.
      yield* query(filename, "CREATE VIEW engine_view AS SELECT run_id FROM smithers_heartbeats")
      yield* query(filename, "CREATE TRIGGER into_view INSTEAD OF INSERT ON engine_view BEGIN DELETE FROM smithers_heartbeats; END")
      yield* query(
        filename,
        "CREATE TRIGGER trap AFTER INSERT ON entries WHEN new.account = 'trap' BEGIN DELETE FROM smithers_plans; END",
      )
      yield* Effect.gen(function* () {
        for (const [statement, reason] of refusedStatements) {
          const make = Effect.gen(function* () {
            const sql = yield* SqlClient.SqlClient
            yield* sql`UPDATE accounts SET balance = 1 WHERE id = 'a'`
            yield* Effect.ignore(sql.withTransaction(sql.unsafe(statement)))
            yield* Effect.ignore(sql.unsafe(statement).unprepared)
            yield* Effect.ignore(sql.unsafe(statement))
          })
          if (statement.includes("sqlite_master")) {
            // SQLite itself refuses it, as an error of the statement.
            expect(
              yield* Effect.either(Sql.atomic(Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(statement)))),
            ).toMatchObject({
              left: { _tag: "SqlError", message: expect.stringContaining(reason) },
            })
            continue
          }
          const failed = yield* raised(stepOf((step) => Sql.transaction(step, make), 2))
          expect([statement, failed]).toEqual([
            statement,
            { cause: expect.objectContaining({ _tag: "StatementRefused", reason: expect.stringContaining(reason) }), attempts: 1 },
          ])
        }
        expect(yield* held).toEqual(untouched)
      }).pipe(Effect.provide(Smithers.sqlite({ filename })))
    }),
  )

  it.scopedLive("is to wait", () =>
    Effect.gen(function* () {
      yield* tables
      const waits: ReadonlyArray<Effect.Effect<unknown>> = [
        Effect.sleep(1),
        Effect.promise(() => Promise.resolve(1)),
        Effect.never,
        Effect.flatMap(Effect.fork(Effect.sleep(1)), Fiber.join),
      ]
      for (const wait of waits) {
        let after = 0
        const make = Effect.gen(function* () {
          yield* move("a", "b", 1)
          yield* wait
          after++
          yield* move("a", "b", 1)
        })
        const failed = yield* raised(stepOf((step) => Sql.transaction(step, make), 3))
        expect(failed).toMatchObject({ cause: { _tag: "NotSynchronous" }, attempts: 1 })
        yield* Effect.sleep(5)
        expect([after, yield* held]).toEqual([0, untouched])
      }
      // Fibers that do not wait are done with at once.
      const forks = Effect.all([move("a", "b", 1), Effect.zipRight(Effect.yieldNow(), move("a", "b", 2))], { concurrency: 2 })
      yield* stepOf((step) => Sql.transaction(step, forks)).execute()
      expect(yield* held).toMatchObject({ balances: { a: 97, b: 3 } })
    }).pipe(Effect.provide(inMemory)),
  )

  it.scopedLive("is to go on when it is over", () =>
    Effect.gen(function* () {
      yield* tables
      const kept: Array<SqlClient.SqlClient> = []
      const leak = Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        kept.push(sql)
        const late = Effect.zipRight(Effect.sleep(5), Effect.flip(sql`DELETE FROM accounts`))
        return yield* Effect.forkDaemon(late)
      })
      const fiber = yield* Sql.atomic(leak)
      expect((yield* Fiber.join(fiber)).message).toContain("the transaction has ended")
      const [sql] = kept
      if (sql === undefined) throw new Error("no client")
      expect((yield* Effect.flip(sql`DELETE FROM accounts`)).message).toContain("has ended")
      expect(yield* held).toEqual(untouched)
    }).pipe(Effect.provide(inMemory)),
  )

  it.scopedLive("is to be ended by a statement", () =>
    Effect.gen(function* () {
      yield* tables
      const make = Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* move("a", "b", 1)
        yield* Effect.ignore(sql`INSERT OR ROLLBACK INTO accounts VALUES ('a', 1)`)
        yield* Effect.ignore(move("a", "b", 1))
      })
      for (const effect of [make, Effect.flatMap(SqlClient.SqlClient, (sql) => sql.withTransaction(make))]) {
        const failed = yield* raised(stepOf((step) => Sql.transaction(step, effect)))
        expect(failed).toMatchObject({ cause: { _tag: "TransactionBroken", detail: expect.stringContaining("UNIQUE") } })
        expect(yield* held).toEqual(untouched)
      }
    }).pipe(Effect.provide(inMemory)),
  )

  it.scopedLive("is to hold the writer for longer than its limit", () =>
    Effect.gen(function* () {
      yield* tables
      const busy = (ms: number) =>
        Effect.sync(() => {
          const end = performance.now() + ms
          while (performance.now() < end);
        })
      const slow = Effect.zipRight(Effect.zipRight(move("a", "b", 1), busy(30)), move("a", "b", 1))
      const spinning = Effect.zipRight(move("a", "b", 1), Effect.forever(Effect.void))
      for (const effect of [slow, spinning]) {
        const failed = yield* raised(stepOf((step) => Sql.transaction(step, effect, { limit: "20 millis" })))
        expect(failed).toMatchObject({ cause: { _tag: "TransactionTooLong", limitMs: 20 } })
      }
      for (const limit of ["11 seconds", 0, "soon"] as const) {
        // @ts-expect-error one of them is no duration
        const failed = yield* raised(stepOf((step) => Sql.transaction(step, Effect.void, { limit })))
        expect(failed).toMatchObject({ cause: { _tag: "InvalidSetting", setting: "limit" } })
      }
      expect(yield* held).toEqual(untouched)
      const logged: Array<string> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ message }) => void logged.push(String(message))),
      )
      const long = stepOf((step) => Sql.transaction(step, Effect.zipRight(move("a", "b", 1), busy(120))))
      yield* Effect.provide(long.execute(undefined, { runId: "long" }), logger)
      expect(logged).toContainEqual(
        expect.stringMatching(/^A transaction of step "pay" of run "long" held the only writer of the database for \d+ ms$/),
      )
    }).pipe(Effect.provide(inMemory)),
  )

  it.scopedLive("is to be made by an attempt that is over, or whose run is claimed elsewhere", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* Effect.gen(function* () {
        yield* tables
        let late: Promise<Either.Either<unknown, { readonly _tag: string }>> | undefined
        const timedOut = Smithers.createWorkflow({ name: "late", input: Schema.Void }).build(($) =>
          $.step("pay", {
            output: Left,
            timeout: 20,
            retry: false,
            run: (step) => {
              late = (async () => {
                await Bun.sleep(60)
                return await Effect.runPromise(Effect.either(Sql.transaction(step, move("a", "b", 1))))
              })()
              return new Promise<{ left: number }>(() => {})
            },
          }),
        )
        expect((yield* timedOut.run()).status).toBe("failed")
        expect(yield* Effect.promise(async () => await late)).toMatchObject({ left: { _tag: "StaleAttempt", attempt: 1 } })
        const stolen = stepOf((step) =>
          Effect.zipRight(
            query(filename, "UPDATE smithers_runs SET epoch = epoch + 1 WHERE run_id = 'stolen'").pipe(Effect.scoped),
            Effect.tapError(Sql.transaction(step, move("a", "b", 1)), (error) => Effect.sync(() => seen.push(error._tag))),
          ),
        )
        const seen: Array<string> = []
        const fenced = yield* Effect.flip(stolen.execute(undefined, { runId: "stolen" }))
        expect([fenced._tag, seen]).toEqual(["RunFenced", ["RunFenced"]])
        const replaced = stepOf((step) =>
          Effect.zipRight(
            query(filename, "UPDATE smithers_nodes SET attempt = 2 WHERE run_id = 'replaced'").pipe(Effect.scoped),
            Sql.transaction(step, move("a", "b", 1)),
          ),
        )
        const stale = yield* Effect.flip(replaced.execute(undefined, { runId: "replaced" }))
        expect(stale).toMatchObject({ error: { name: "StaleAttempt" } })
        expect(yield* held).toEqual(untouched)
      }).pipe(Effect.provide(Smithers.sqlite({ filename })))
    }),
  )

  it.scopedLive("is to be made without a database or a step, which is said with what to do", () =>
    Effect.gen(function* () {
      const failed = yield* raised(stepOf((step) => Sql.transaction(step, move("a", "b", 1)), 3))
      expect(failed).toMatchObject({
        attempts: 1,
        cause: { _tag: "NoSqlStore", message: expect.stringContaining('Smithers.sqlite({ filename: ":memory:" })') },
      })
      expect(yield* Effect.flip(Sql.atomic(Effect.void))).toMatchObject({ _tag: "NoSqlStore" })
      expect(yield* Effect.flip(Sql.transaction({}, Effect.void))).toMatchObject({ _tag: "NotInStep" })
    }).pipe(Effect.provide(Smithers.memory)),
  )
})
