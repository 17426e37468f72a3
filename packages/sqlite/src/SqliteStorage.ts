/**
 * A store in a SQLite file, through `bun:sqlite` in Bun and `node:sqlite` in Node. Several processes may use one file at the same
 * time.
 *
 * The file is created with mode 600. It may contain other tables: those of the engine are named `smithers_…`, those of outputs
 * after their steps. Any SQLite tool may read it at any time.
 */
import { type InvalidSetting, type StoreError, StoreRefused } from "@smithers/core/Errors"
import type { Command } from "@smithers/core/Inbox"
import * as Millis from "@smithers/core/Millis"
import * as RedactedStorage from "@smithers/core/RedactedStorage"
import { type NewRun, newRunProblem, type OpenResult } from "@smithers/core/RunOwnership"
import * as Settings from "@smithers/core/Settings"
import { shownOf } from "@smithers/core/Snapshots"
import * as Storage from "@smithers/core/Storage"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Changes from "./internal/changes.ts"
import * as Claims from "./internal/claims.ts"
import * as Connection from "./internal/connection.ts"
import * as Conversations from "./internal/conversations.ts"
import * as Driver from "./internal/driver.ts"
import * as Facts from "./internal/facts.ts"
import { retryWhileBusy } from "./internal/failures.ts"
import * as Flushing from "./internal/flushing.ts"
import * as Forks from "./internal/forks.ts"
import * as Frames from "./internal/frames.ts"
import * as Migrations from "./internal/migrations.ts"
import * as Outputs from "./internal/outputs.ts"
import * as Owner from "./internal/owner.ts"
import * as Plans from "./internal/plans.ts"
import * as Published from "./internal/published.ts"
import * as Queries from "./internal/queries.ts"
import * as Queue from "./internal/queue.ts"
import * as Reader from "./internal/reader.ts"
import * as Schedules from "./internal/schedules.ts"
import * as Scores from "./internal/scores.ts"
import * as Slots from "./internal/slots.ts"
import * as Snapshots from "./internal/snapshots.ts"
import * as States from "./internal/states.ts"
import * as Statistics from "./internal/statistics.ts"
import * as Texts from "./internal/texts.ts"
import * as Transactions from "./internal/transactions.ts"
import * as Users from "./internal/users.ts"

/** Location and options of a store. */
export interface SqliteConfig {
  /** Path of the file; its folder must exist. `:memory:` is a store that lasts as long as the layer. */
  readonly filename: string
  /** `create` creates a missing file; `write` requires a file with a store; `read` changes nothing. Default: `create`. */
  readonly access?: "create" | "write" | "read"
  /**
   * `normal` survives the end of the process. A power failure may lose the last commits, whose steps then run again. `full`
   * survives that too, but waits for the disk on every commit; on macOS with `fullfsync`, since a plain `fsync` leaves data in the
   * cache of the disk. A command is on the disk in both, once it has returned. Default: `normal`.
   */
  readonly synchronous?: "normal" | "full"
  /** Total time to wait for a locked database before `StoreBusy`; 0 does not wait. Default: 30 seconds. */
  readonly busyTimeout?: Duration.DurationInput
}

/** The names of the settings of a store. */
export const configNames: Settings.Names<SqliteConfig> = { filename: true, access: true, synchronous: true, busyTimeout: true }

/**
 * Opens a store in a scope. Fails with:
 *
 * - `StoreReadOnly`, `StoreFull`, `StoreCorrupt`, `StoreTooNew` or `StoreTooOld` if the file cannot be used
 * - `StoreInUse` if a migration would shut out running processes of an older version
 * - `StoreMissing` if the file holds no store and none may be created
 * - `StoreBusy` if it stays locked
 * - `InvalidSetting` for an invalid option
 * - `StoreUnsupported` if the runtime has no SQLite
 * - `StoreFailed` for anything else, such as a missing folder
 *
 * While the store is open, `renew`, `due` and a commit that ends a run fail with `StoreRemoved` once the file was deleted, moved or
 * replaced.
 */
export const make = (config: SqliteConfig): Effect.Effect<Storage.StorageShape, StoreError | InvalidSetting, Scope.Scope> =>
  Effect.gen(function* () {
    yield* Settings.only("a store in a file", config, configNames)
    const filename = yield* Settings.filled("filename", config?.filename, `the path of a file, or ":memory:"`)
    yield* Driver.check("open")
    const access = yield* Settings.word("access", config.access, ["create", "write", "read"])
    const synchronous = yield* Settings.word("synchronous", config.synchronous, ["normal", "full"])
    const patienceMs = yield* Settings.duration("busyTimeout", config.busyTimeout, "30 seconds", Millis.zero)
    const patience = { filename, patienceMs }
    return RedactedStorage.make(yield* access === "read" ? Reader.make(patience) : makeWriter({ access, synchronous }, patience))
  })

const makeWriter = (
  { access, synchronous }: Required<Pick<SqliteConfig, "access" | "synchronous">>,
  patience: { readonly filename: string; readonly patienceMs: number },
): Effect.Effect<Storage.StorageShape, StoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const { filename } = patience
    const now = yield* Millis.now
    const isLive = Millis.isLive(yield* Effect.clock)
    const connection = yield* Effect.acquireRelease(
      retryWhileBusy("open", patience, () => Either.right(Connection.open(filename, access))),
      (connection) => Effect.sync(connection.close),
    )
    yield* retryWhileBusy("open", patience, () =>
      Either.flatMap(Migrations.check(connection, filename, access), () => {
        Connection.configure(connection)
        return Migrations.run(connection, now)
      }),
    )
    const guard = Migrations.makeGuard(connection)
    const queue = yield* Effect.acquireRelease(
      Effect.sync(() =>
        Queue.make(connection, {
          ...patience,
          synchronous,
          users: Users.make(connection),
          guard: guard.check,
          // A test clock moves on while nothing of its program is at work; a disk would be.
          flushing: isLive ? Flushing.make(connection.file) : undefined,
        }),
      ),
      (queue) => Effect.sync(queue.close),
    )
    const outputs = Outputs.make(connection)
    const plans = Plans.make(connection)
    const me = Owner.make()
    const slots = Slots.make(connection, me)
    const claims = Claims.make(connection, me, slots)
    const schedules = Schedules.make(connection, claims)
    const published = Published.make(connection, claims)
    const texts = Texts.make(connection)
    const facts = Facts.make(connection)
    const scores = Scores.make(connection, me)
    const snapshots = Snapshots.make(connection)
    const frames = Frames.make(connection, outputs, plans, texts, claims, guard, facts, scores)
    const states = States.make(connection, outputs)
    const forks = Forks.make(connection, outputs, claims, frames, snapshots)
    const queries = Queries.make(connection, plans, texts)
    const changes = Changes.make(connection, filename)
    const transactions = Transactions.make(connection)
    const conversations = Conversations.make(connection, texts)

    const read = <A, E = never>(operation: string, body: () => Either.Either<A, E>): Effect.Effect<A, E | StoreError> =>
      retryWhileBusy(operation, patience, () => connection.snapshot(body))

    const delivering = <E>(operation: string, run: () => Either.Either<Command, E>) =>
      queue.write({ operation, run, onCommit: changes.bump, synchronous: "full" })

    return {
      storeId: connection.storeId,
      open: (request) => {
        const { runId, create } = request
        const onCommit = (opened: OpenResult) => {
          if (opened._tag === "Created" && create !== undefined) frames.begin(runId, create.workflow)
        }
        return Effect.zipRight(
          listable("open", create),
          queue.write({ operation: "open", run: () => claims.open(request), onCommit }),
        )
      },
      origin: (runId) => read("origin", () => Either.right(claims.origin(runId))),
      load: (runId, at) => read("load", () => states.load(runId, at)),
      history: (runId) => read("history", () => states.history(runId)),
      commit: (frame) => {
        const isLast = Frames.isLast(frame)
        const run = () => {
          // A run that is reported as ended must exist.
          if (isLast) connection.ensureThere()
          return frames.commit(frame)
        }
        const isNews = isLast || frame.spawned !== undefined || frame.sent !== undefined
        const onCommit = () => {
          frames.note(frame)
          if (isNews) changes.bump()
        }
        return queue.write({ operation: "commit", run, onCommit, isGuarded: true, by: frame.runId })
      },
      fork: (request) =>
        Effect.zipRight(
          listable("fork", request.create),
          queue.write({ operation: "fork", run: () => forks.make(request), onCommit: changes.bump, synchronous: "full" }),
        ),
      transact: (request) =>
        Effect.flatMap(Millis.now, (now) =>
          queue.write({ operation: "transact", run: () => transactions.run(request, now), isAlone: true }),
        ),
      record: (write) => queue.write({ operation: "record", run: () => conversations.record(write) }),
      reserve: (write) => queue.write({ operation: "reserve", run: () => conversations.reserve(write) }),
      usage: (filter) => read("usage", () => Either.right(conversations.usage(filter))),
      adjustBudget: (change) =>
        queue.write({
          operation: "adjustBudget",
          run: () => Either.right(conversations.adjustBudget(change)),
          synchronous: "full",
        }),
      budgets: (runId) => read("budgets", () => Either.right(conversations.budgets(runId))),
      progress: (runId) => read("progress", () => Either.right(conversations.progress(runId))),
      conversations: (filter) => read("conversations", () => Either.right(conversations.read(filter))),
      configureLimits: (limits, now) =>
        Effect.suspend(() => {
          if (Object.keys(limits).length === 0) return Effect.void
          const onCommit = (isNews: boolean) => (isNews ? changes.bump() : undefined)
          const run = () => Either.right(slots.configure(limits, now))
          return Effect.asVoid(queue.write({ operation: "configureLimits", run, onCommit }))
        }),
      limits: read("limits", () => Either.right(slots.limits())),
      requestSlot: (request) => queue.write({ operation: "requestSlot", run: () => slots.request(request) }),
      leaveSlots: (places, isUsed, now) => {
        const onCommit = (isNews: boolean) => (isNews ? changes.bump() : undefined)
        return Effect.asVoid(
          queue.write({ operation: "leaveSlots", run: () => Either.right(slots.leave(places, isUsed, now)), onCommit }),
        )
      },
      pollSlots: (places, now) =>
        Effect.gen(function* () {
          // Most looks find nothing to give, and take no lock.
          if (yield* read("pollSlots", () => Either.right(slots.isDue(places, now)))) {
            const run = () => Either.right(slots.grantAll(places, now))
            // A supervisor of this process resumes the runs that a slot is kept for.
            yield* queue.write({ operation: "pollSlots", run, onCommit: changes.bump })
          }
          return yield* read("pollSlots", () => Either.right(slots.poll(places, now)))
        }),
      slotWaits: (runId) => read("slotWaits", () => Either.right(slots.waits(runId))),
      scores: (filter) => read("scores", () => Either.right(scores.find(filter))),
      claimScore: (request) => queue.write({ operation: "claimScore", run: () => Either.right(scores.claim(request)) }),
      endScore: (request) => queue.write({ operation: "endScore", run: () => Either.right(scores.end(request)) }),
      releaseScore: (key) => queue.write({ operation: "releaseScore", run: () => Either.right(scores.release(key)) }),
      recordSnapshot: (write) => queue.write({ operation: "recordSnapshot", run: () => snapshots.record(write) }),
      snapshots: (filter) => read("snapshots", () => Either.right(snapshots.find(filter))),
      putRevert: (write) => queue.write({ operation: "putRevert", run: () => snapshots.putRevert(write), synchronous: "full" }),
      reverts: (runId) => read("reverts", () => Either.right(snapshots.reverts(runId))),
      schedules: ({ scheduleId }) => read("schedules", () => Either.right(schedules.find(scheduleId))),
      dueSchedules: (now) => read("dueSchedules", () => Either.right(schedules.due(now))),
      writeSchedule: (write) =>
        Effect.zipRight(
          Effect.forEach(write.starts, ({ create }) => listable("writeSchedule", create), { discard: true }),
          queue.write({
            operation: "writeSchedule",
            run: () => Either.right(schedules.write(write)),
            onCommit: changes.bump,
            synchronous: "full",
          }),
        ),
      deleteSchedule: (scheduleId) =>
        queue.write({
          operation: "deleteSchedule",
          run: () => Either.right(schedules.remove(scheduleId)),
          synchronous: "full",
        }),
      publish: (event) =>
        queue.write({
          operation: "publish",
          run: () => Either.right(published.publish(event)),
          onCommit: changes.bump,
          synchronous: "full",
        }),
      deliverPublished: (now) =>
        Effect.gen(function* () {
          // Most looks find nothing to deliver, and take no lock.
          if (!(yield* read("deliverPublished", () => Either.right(published.isDue(now))))) return 0
          const run = () => Either.right(published.deliver(now))
          return yield* queue.write({ operation: "deliverPublished", run, onCommit: changes.bump })
        }),
      published: (filter) => read("published", () => Either.right(published.find(filter))),
      scheduleTicks: (scheduleId, limit) => read("scheduleTicks", () => Either.right(schedules.ticks(scheduleId, limit))),
      facts: (filter) => read("facts", () => Either.right(facts.find(filter))),
      putFact: (write) => queue.write({ operation: "putFact", run: () => Either.right(facts.put(write)), synchronous: "full" }),
      deleteFacts: (of) =>
        queue.write({ operation: "deleteFacts", run: () => Either.right(facts.remove(of)), synchronous: "full" }),
      heartbeat: (heartbeat) => queue.write({ operation: "heartbeat", run: () => frames.heartbeat(heartbeat) }),
      renew: (held, leaseUntil) => {
        const run = () => {
          connection.ensureThere()
          return Either.right(claims.renew(held, leaseUntil))
        }
        return queue.write({ operation: "renew", run })
      },
      noteStuck: (runId, note, now) =>
        queue.write({ operation: "noteStuck", run: () => Either.right(claims.noteStuck(runId, note, now)) }),
      runnable: (now, exclude) =>
        read("runnable", () => {
          connection.ensureThere()
          return Either.right(claims.runnable(now, exclude))
        }),
      release: (runId, epoch, now, status = "suspended") => {
        const run = () => {
          frames.forget(runId)
          return Either.right(claims.release(runId, epoch, now, status))
        }
        return queue.write({ operation: "release", run, onCommit: changes.bump })
      },
      prepareOutputs: (workflow, tables) =>
        Effect.suspend(() => {
          if (outputs.isPrepared(workflow, tables)) return Effect.void
          const run = () => outputs.prepare(workflow, tables)
          return Effect.asVoid(queue.write({ operation: "prepareOutputs", run, onCommit: outputs.remember }))
        }),
      cached: (query) => read("cached", () => Either.right(states.cached(query))),
      deliver: (command, options) => delivering("deliver", () => claims.deliver(command, options)),
      deliverOrCreate: (command, create) =>
        Effect.zipRight(
          listable("deliverOrCreate", create),
          delivering("deliverOrCreate", () => claims.deliverOrCreate(command, create)),
        ),
      deliverResponse: (command) => delivering("deliverResponse", () => claims.deliverResponse(command)),
      pending: read("pending", () => Either.right(claims.inbox())),
      changes: changes.after,
      runs: (filter) => Effect.flatMap(Millis.now, (now) => read("runs", () => Either.right(queries.runs(filter, now)))),
      waits: (filter) => read("waits", () => Either.right(queries.waits(filter))),
      statistics: Effect.flatMap(Millis.now, (now) =>
        Statistics.read((body) => read("statistics", () => Either.right(body({ connection, queries, claims }))), now),
      ),
      plan: (runId, frame) => read("plan", () => queries.plan(runId, frame)),
      newest: (runId) => read("newest", () => Either.right(claims.newest(runId))),
      find: (prefix, limit) => read("find", () => Either.right(queries.find(prefix, limit))),
      run: (runId) => Effect.flatMap(Millis.now, (now) => read("run", () => queries.run(runId, now))),
      wait: (name) => read("wait", () => Either.right(queries.wait(name))),
      inspect: (runId) =>
        Effect.flatMap(Millis.now, (now) =>
          read("inspect", () =>
            Either.map(queries.inspect(runId, now), (details) => ({
              ...Slots.shownIn(details, slots.waits(runId)),
              ...shownOf(snapshots.find({ runId })),
            })),
          ),
        ),
      generations: (runId) => read("generations", () => Either.right(queries.generations(runId))),
      events: (runId, options) => read("events", () => queries.events(runId, options)),
    }
  })

const listable = (operation: string, create: NewRun | undefined): Effect.Effect<void, StoreRefused> =>
  Effect.suspend(() => {
    const detail = create === undefined ? undefined : newRunProblem(create)
    return detail === undefined ? Effect.void : new StoreRefused({ operation, detail })
  })

/** Provides the store as a layer. */
export const layer = (config: SqliteConfig): Layer.Layer<Storage.Ports, StoreError | InvalidSetting> => Storage.layer(make(config))
