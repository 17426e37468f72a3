import * as fs from "node:fs"
import * as path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { StoreTooNew, StoreTooOld } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import type { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Migrations from "../../packages/sqlite/src/internal/migrations.ts"
import * as History from "../contract/History.ts"
import * as Slots from "../contract/Slots.ts"
import * as Snapshots from "../contract/Snapshots.ts"
import { expectSame, suite } from "../contract/Storage.ts"
import { folder, layerMemory, layerTemporary, newFile, otherProcess, query, rawConnection, using } from "./Fixture.ts"

suite("a SQLite file", layerTemporary)
suite("SQLite in memory", layerMemory)
Slots.suite("a SQLite file", layerTemporary)
Snapshots.suite("a SQLite file", layerTemporary)

const { journal, plain, started, step } = History

const isRoot = process.getuid?.() === 0
const succeeds = (...command: Array<string>): boolean => Bun.spawnSync(command, { stderr: "ignore" }).success

/** Makes a file or folder read-only for as long as the scope. Root is not held by modes, so there it is made immutable. */
const readOnly = (target: string) =>
  Effect.acquireRelease(
    Effect.sync(() => (isRoot ? succeeds("chattr", "+i", target) : succeeds("chmod", "a-w", target))),
    () => Effect.sync(() => succeeds(...(isRoot ? ["chattr", "-i", target] : ["chmod", "u+w", target]))),
  )

/** Whether files can be made immutable where the tests run; only asked for root. */
const canRestrict =
  !isRoot ||
  Effect.runSync(
    Effect.scoped(
      Effect.gen(function* () {
        const file = path.join(yield* folder, "probe")
        fs.writeFileSync(file, "")
        return yield* readOnly(file)
      }),
    ),
  )

const canMount = isRoot && process.platform === "linux" && succeeds("unshare", "--mount", "true")

describe("the file", () => {
  it.scoped("is readable by its owner only, and so are its logs", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, () =>
        Effect.gen(function* () {
          yield* Effect.flatMap(journal("r"), (run) => run.commit([started]))
          const modes = ["", "-wal", "-shm"].map((suffix) => fs.statSync(filename + suffix).mode & 0o777)
          expect(modes).toEqual([0o600, 0o600, 0o600])
        }),
      )
    }),
  )

  it.scoped("is one file again when the store is closed", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, () => Effect.flatMap(journal("r"), (run) => run.commit([started])))
      expect(fs.readdirSync(path.dirname(filename))).toEqual(["smithers.db"])
    }),
  )

  it.scoped("keeps its mode if it was there before", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      fs.writeFileSync(filename, "", { mode: 0o640 })
      yield* using({ filename }, () => Effect.void)
      expect(fs.statSync(filename).mode & 0o777).toBe(0o640)
    }),
  )

  it.scoped("holds what was committed when it is opened again", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const state = yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", History.tables)
          const run = yield* journal("r")
          yield* run.commit([started, ...step("a", "record", { a: "x", b: 1, c: true, d: 0.5, f: null })])
          return run.state()
        }),
      )
      const loaded = yield* using({ filename }, (storage) => storage.load("r"))
      expectSame(loaded, state)
    }),
  )

  it.scoped("may be shared with tables of others, which stay as they are", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* Effect.scoped(
        Effect.map(rawConnection(filename), (database) => {
          database.run("CREATE TABLE analysis (id INTEGER); INSERT INTO analysis VALUES (7)")
          database.run("PRAGMA user_version = 42; PRAGMA application_id = 99")
        }),
      )
      yield* using({ filename }, (storage) =>
        storage.prepareOutputs("flow", [{ name: "Analysis", jsonSchema: { type: "string" }, nodeId: undefined }]),
      )
      expect(yield* query(filename, "SELECT * FROM analysis")).toEqual([[7]])
      expect(yield* query(filename, "PRAGMA user_version")).toEqual([[42]])
      expect(yield* query(filename, "PRAGMA application_id")).toEqual([[99]])
      expect(yield* query(filename, "SELECT name, table_name FROM smithers_outputs")).toEqual([["Analysis", "Analysis_2"]])
    }),
  )

  it.scoped("has only strict tables that are ordered by their keys", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) => storage.prepareOutputs("flow", History.tables))
      const loose = yield* query(
        filename,
        `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name <> 'sqlite_schema'
         AND NOT (strict AND (wr OR name IN ('smithers_memory', 'smithers_reads', 'smithers_inbox', 'smithers_migrations', 'smithers_store')))`,
      )
      expect(loose).toEqual([])
    }),
  )
})

describe("a file that cannot be used", () => {
  const opening = (filename: string) => Effect.flip(using({ filename }, () => Effect.void))

  it.scoped("in a folder that is not there is an error that says so", () =>
    Effect.gen(function* () {
      const filename = path.join(yield* folder, "none", "smithers.db")
      const error = yield* opening(filename)
      expect(error._tag).toBe("StoreFailed")
      expect(error.message).toContain(`the folder ${path.dirname(filename)} does not exist`)
    }),
  )

  it.scoped("because it is a folder is an error that says so", () =>
    Effect.gen(function* () {
      const error = yield* opening(yield* folder)
      expect(error).toMatchObject({ _tag: "StoreFailed", detail: expect.stringContaining("not a regular file") })
    }),
  )

  it.scoped("because it is no database is left as it is", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const text = "Dear diary, ".repeat(1000)
      fs.writeFileSync(filename, text)
      expect((yield* opening(filename))._tag).toBe("StoreCorrupt")
      expect(fs.readFileSync(filename, "utf8")).toBe(text)
    }),
  )

  it.scoped.each([
    ["overwritten", (bytes: Buffer) => bytes.fill("garbage!", 4096)],
    ["cut off", (bytes: Buffer) => bytes.subarray(0, Math.floor(bytes.length / 2 / 4096) * 4096 + 100)],
  ] as const)("because it was %s is said to be damaged", ([, damage]) =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", History.tables)
          const run = yield* journal("r")
          yield* run.commit([
            started,
            ...Array.from({ length: 100 }, (_, index) => step(`s${index}`, "text", "x".repeat(500))).flat(),
          ])
        }),
      )
      fs.writeFileSync(filename, damage(fs.readFileSync(filename)))
      const error = yield* Effect.flip(using({ filename }, (storage) => storage.load("r")))
      expect(error._tag).toBe("StoreCorrupt")
    }),
  )

  it.scoped("because someone has edited its JSON is said to be damaged", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, () => journal("r"))
      yield* query(filename, "UPDATE smithers_runs SET input = 'not JSON'")
      const error = yield* Effect.flip(using({ filename }, (storage) => storage.load("r")))
      expect(error._tag).toBe("StoreCorrupt")
    }),
  )

  it.scoped("because a newer version wrote it is left as it is", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, () => Effect.void)
      yield* query(filename, "UPDATE smithers_store SET layout = 1000, protocol = 1000")
      const before = fs.readFileSync(filename)
      const error = yield* opening(filename)
      expect(error).toBeInstanceOf(StoreTooNew)
      expect(error).toMatchObject({ found: 1000 })
      expect(fs.readFileSync(filename).equals(before)).toBe(true)
    }),
  )

  it.scoped("because it has an older layout is left as it is, and the error says so", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, () => Effect.void)
      yield* query(filename, "UPDATE smithers_store SET layout = 1")
      const before = fs.readFileSync(filename)
      const error = yield* opening(filename)
      expect(error).toBeInstanceOf(StoreTooOld)
      expect(error.message).toContain("older layout 1")
      expect(error.message).toContain("Name another database file")
      expect(fs.readFileSync(filename).equals(before)).toBe(true)
    }),
  )

  const restricted = canRestrict ? it.scoped : it.scoped.skip

  restricted("because it is read-only is an error before any work is done (skipped where root cannot make files immutable)", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, () => Effect.void)
      yield* readOnly(filename)
      expect((yield* opening(filename))._tag).toBe("StoreReadOnly")
    }),
  )

  restricted("because its folder is read-only is an error before any work is done (skipped likewise)", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, () => Effect.void)
      yield* readOnly(path.dirname(filename))
      expect((yield* opening(filename))._tag).toBe("StoreReadOnly")
      expect((yield* opening(`${filename}.new`))._tag).toBe("StoreReadOnly")
    }),
  )
})

describe("a full disk", () => {
  it.scoped("is an error of its own, and nothing committed is lost", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      // The limit on the size of a file, which is all that can be filled without being root.
      const { line } = yield* otherProcess("fill", filename, "", ["bash", "-c", 'ulimit -f 600; exec "$@"', "limited"])
      const { error, message, count } = JSON.parse(line) as {
        readonly error: string
        readonly message: string
        readonly count: number
      }
      expect(error).toBe("StoreFull")
      expect(message).toContain("free some space")
      expect(count).toBeGreaterThan(5)
      const state = yield* using({ filename }, (storage) => storage.load("full"))
      expect(Object.keys(plain(state).nodes)).toHaveLength(count)
    }),
  )

  const mounted = canMount ? it.scoped : it.scoped.skip

  mounted("does no harm to a store that is open: it goes on once there is space (skipped where nothing can be mounted)", () =>
    Effect.gen(function* () {
      const mount = yield* folder
      yield* Effect.acquireRelease(
        Effect.sync(() => expect(succeeds("mount", "-t", "tmpfs", "-o", "size=2m", "none", mount)).toBe(true)),
        () => Effect.sync(() => succeeds("umount", "--lazy", mount)),
      )
      const ballast = path.join(mount, "ballast")
      fs.writeFileSync(ballast, Buffer.alloc(1_000_000))
      yield* using({ filename: path.join(mount, "smithers.db") }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", History.tables)
          const run = yield* journal("r")
          yield* run.commit([started])
          const fill = (count: number): Effect.Effect<string> =>
            Effect.matchEffect(run.commit(step(`s${count}`, "text", "x".repeat(20_000))), {
              onFailure: (error) => Effect.succeed(error._tag),
              onSuccess: () => fill(count + 1),
            })
          expect(yield* fill(0)).toBe("StoreFull")
          expectSame(yield* storage.load("r"), run.state())
          fs.rmSync(ballast)
          yield* run.commit(step("after", "text", "x".repeat(20_000)))
          expectSame(yield* storage.load("r"), run.state())
        }),
      )
    }),
  )
})

describe("a large run", () => {
  it.scoped("loads whole, from one shared table", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const ids = Array.from({ length: 5000 }, (_, index) => `step-${index}`)
      const jsonSchema = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"] }
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs(
            "flow",
            ids.map((nodeId) => ({ name: `flow_${nodeId}`, jsonSchema, nodeId })),
          )
          const run = yield* journal("r")
          yield* run.commit([started, ...ids.flatMap((nodeId) => step(nodeId, `flow_${nodeId}`, { ok: true }))])
          expectSame(yield* storage.load("r"), run.state())
        }),
      )
      const relations = "SELECT type, count(*) FROM sqlite_master WHERE name LIKE 'flow%' GROUP BY type ORDER BY type"
      expect(yield* query(filename, relations)).toEqual([
        ["table", 1],
        ["view", 64],
      ])
      expect(yield* query(filename, "SELECT count(*) FROM flow_steps WHERE node_id = 'step-4999' AND ok")).toEqual([[1]])
      expect(yield* query(filename, 'SELECT node_id FROM "flow_step_63"')).toEqual([["step-63"]])
    }),
  )

  it.scoped("of few bytes per step stays small", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const jsonSchema = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"] }
      const ids = Array.from({ length: 1000 }, (_, index) => `step-${index}`)
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs(
            "flow",
            ids.map((nodeId) => ({ name: `flow_${nodeId}`, jsonSchema, nodeId })),
          )
          const run = yield* journal("r")
          yield* run.commit([started])
          for (const nodeId of ids) yield* run.commit(step(nodeId, `flow_${nodeId}`, { ok: true }))
        }),
      )
      expect(fs.statSync(filename).size / ids.length).toBeLessThan(1000)
    }),
  )

  it.scoped("has 1 MB texts and plans, each plan once", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const text = `${"é\0'\"".repeat(250_000)}`
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", History.tables)
          const run = yield* journal("r")
          yield* run.commit([started], { plan: { text, base: undefined } })
          yield* run.commit(step("a", "text", text), { plan: { text: "other", base: text } })
          yield* run.commit(step("b", "untyped", { deep: [text] }), { plan: { text, base: undefined } })
          expectSame(yield* storage.load("r"), run.state())
        }),
      )
      const plans =
        "SELECT frame, length(CAST(content AS BLOB)) FROM smithers_frames JOIN smithers_plans ON hash = plan_hash ORDER BY frame"
      expect(yield* query(filename, plans)).toEqual([
        [1, 1_250_000],
        [2, 5],
        [3, 1_250_000],
      ])
      expect(yield* query(filename, "SELECT count(*) FROM smithers_plans")).toEqual([[2]])
    }),
  )
})

describe("a step that is reset", () => {
  it.scoped("leaves nothing for later runs to find", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", History.tables)
          const run = yield* journal("r")
          const cached = storage.cached({ workflow: "flow", nodeId: "a", key: "k", notBefore: 0 })
          yield* run.commit([started, ...step("a", "text", "first")], { cache: [{ nodeId: "a", iteration: 0, key: "k" }] })
          expect(yield* cached).toEqual(Option.some({ runId: "r", output: "first" }))
          const again = { nodeId: "a", iteration: 0, attempt: 2 }
          yield* run.commit([{ _tag: "NodeReset", nodeId: "a", iteration: 0 }])
          expect(yield* cached).toEqual(Option.none())
          yield* run.commit([
            { _tag: "AttemptStarted", ...again },
            { _tag: "AttemptSucceeded", ...again, table: "text", output: "second" },
          ])
          // It may have been made from something else.
          expect(yield* cached).toEqual(Option.none())
        }),
      )
    }),
  )
})

describe("processes", () => {
  it.scoped("that open a new file at the same time all get it", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const ids = ["a", "b", "c", "d", "e"]
      const lines = yield* Effect.forEach(ids, (id) => Effect.map(otherProcess("create", filename, id), ({ line }) => line), {
        concurrency: "unbounded",
      })
      expect(lines).toEqual(ids.map(() => "created"))
      const runs = yield* using({ filename }, (storage) => storage.runs({}))
      expect(runs.map(({ runId }) => runId).sort()).toEqual(ids)
      expect(yield* query(filename, "SELECT count(*) FROM smithers_migrations")).toEqual([[Migrations.migrations.length]])
    }),
  )

  it.scoped("that live keep their runs, and those that were killed lose them at once", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const { child, line } = yield* otherProcess("own", filename, "r")
      expect(line).toBe("owned")
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          const open = storage.open({
            runId: "r",
            create: undefined,
            reopen: [],
            leaseMs: Millis.make(1000),
            now: Millis.make(Date.now()),
          })
          expect((yield* open)._tag).toBe("Owned")
          child.kill("SIGKILL")
          yield* Effect.promise(() => child.exited)
          expect(yield* open).toEqual({ _tag: "Claimed", epoch: 2 })
        }),
      )
    }),
  )

  it.scoped("that live lose their runs only when they have not renewed a lease for a while, whatever the clock says", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const { line } = yield* otherProcess("own", filename, "r")
      expect(line).toBe("owned")
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          // The lease that the other has is over by hours.
          const now = Millis.make(Date.now() + 24 * 3_600_000)
          const open = storage.open({ runId: "r", create: undefined, reopen: [], leaseMs: Millis.make(200), now })
          const due = yield* storage.runnable(now)
          expect(due.runs).toEqual([])
          expect(due.nextAt).toBeGreaterThan(now)
          expect(due.nextAt).toBeLessThanOrEqual(now + 3000)
          const first = yield* open
          expect(first._tag).toBe("Owned")
          expect(first._tag === "Owned" && first.until).toBeGreaterThan(now)
          yield* Effect.promise(() => Bun.sleep(210))
          expect(yield* open).toEqual({ _tag: "Claimed", epoch: 2 })
        }),
      )
    }),
  )

  it.scoped("wake each other", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          const version = yield* storage.changes(-1)
          const [next] = yield* Effect.all([storage.changes(version), otherProcess("create", filename, "r")], { concurrency: 2 })
          expect(next).toBeGreaterThan(version)
          expect((yield* storage.runs({})).map(({ runId }) => runId)).toEqual(["r"])
        }),
      )
    }),
  )

  it.scoped("do not see what others wrote before they asked as news", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (mine) =>
        using({ filename }, (theirs) =>
          Effect.gen(function* () {
            yield* theirs.open({ runId: "r", create: History.newRun, reopen: [], leaseMs: Millis.make(1), now: History.start })
            const version = yield* mine.changes(-1)
            const again = yield* Effect.raceFirst(
              mine.changes(version),
              Effect.promise(() => Bun.sleep(100)),
            )
            expect(again).toBe(undefined)
          }),
        ),
      )
    }),
  )

  it.scoped("see only commands for runs of their own", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (mine) =>
        Effect.gen(function* () {
          yield* journal("mine")
          const ids = (storage: Storage["Type"]) => Effect.map(storage.pending, (commands) => commands.map(({ runId }) => runId))
          yield* using({ filename }, (theirs) =>
            Effect.gen(function* () {
              yield* journal("theirs")
              for (const runId of ["mine", "theirs"]) {
                yield* theirs.deliver({ id: runId, runId, at: History.start, command: { _tag: "Cancel" } })
              }
              expect(yield* ids(mine)).toEqual(["mine"])
              expect(yield* ids(theirs)).toEqual(["theirs"])
            }),
          )
        }),
      )
    }),
  )
})
