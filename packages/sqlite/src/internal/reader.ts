/**
 * A read-only store. Neither the database nor its log is created, changed or migrated, so that a database of another user, or one
 * in a read-only folder, can be read.
 */
import { type StoreError, StoreReadOnly } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import { shownOf } from "@smithers/core/Snapshots"
import type { StorageShape } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import * as Changes from "./changes.ts"
import * as Claims from "./claims.ts"
import * as Connection from "./connection.ts"
import * as Conversations from "./conversations.ts"
import * as Facts from "./facts.ts"
import { failure, type Patience, retryWhileBusy } from "./failures.ts"
import * as Migrations from "./migrations.ts"
import * as Outputs from "./outputs.ts"
import * as Owner from "./owner.ts"
import * as Plans from "./plans.ts"
import * as Published from "./published.ts"
import * as Queries from "./queries.ts"
import * as Schedules from "./schedules.ts"
import * as Scores from "./scores.ts"
import * as Slots from "./slots.ts"
import * as Snapshots from "./snapshots.ts"
import * as States from "./states.ts"
import * as Statistics from "./statistics.ts"
import * as Texts from "./texts.ts"

/** Polling interval of an immutable file, in milliseconds. */
const pollMs = 200

/** Maximum number of tries to read an immutable file that is written at the same time, before the result is used anyway. */
const mostTries = 20

/** Opens a connection. Fails if the file holds no store, since the statements of a store could not be prepared. */
const open = (filename: string) => {
  const connection = Connection.open(filename, "read")
  try {
    const checked = Migrations.check(connection, filename, "read")
    if (Either.isLeft(checked)) connection.close()
    return Either.map(checked, () => {
      const claims = Claims.make(connection, Owner.make(), Slots.make(connection, ""))
      return {
        connection,
        claims,
        schedules: Schedules.make(connection, claims),
        published: Published.make(connection, claims),
        states: States.make(connection, Outputs.make(connection)),
        queries: Queries.make(connection, Plans.make(connection), Texts.make(connection)),
        conversations: Conversations.make(connection, Texts.make(connection)),
        slots: Slots.make(connection, ""),
        facts: Facts.make(connection),
        scores: Scores.make(connection, ""),
        snapshots: Snapshots.make(connection),
        changes: Changes.make(connection, filename, Changes.readingPollMs),
      }
    })
  } catch (thrown) {
    connection.close()
    throw thrown
  }
}

type Opened = Either.Either.Right<ReturnType<typeof open>>

/** Opens a store for reading, in a scope. */
export const make = (patience: Patience): Effect.Effect<StorageShape, StoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const { filename } = patience
    const held = yield* Effect.acquireRelease(
      retryWhileBusy("open", patience, () => Either.map(open(filename), (opened) => ({ opened, version: 1 }))),
      ({ opened }) => Effect.sync(opened.connection.close),
    )
    /** Reopens the file to see its current state. */
    const reopen = (): void => {
      // It was a store before.
      const opened = Either.getOrThrow(open(filename))
      held.opened.connection.close()
      held.opened = opened
      held.version++
    }
    const look = <A>(body: (opened: Opened) => A): A => {
      for (let tries = 1; ; tries++) {
        held.opened.connection.ensureThere()
        if (held.opened.connection.isStale()) reopen()
        const { opened } = held
        try {
          const result = opened.connection.snapshot(() => body(opened))
          if (tries === mostTries || !opened.connection.isStale()) return result
        } catch (thrown) {
          // The file was written during the read.
          if (tries === mostTries || !opened.connection.isStale()) throw thrown
        }
      }
    }
    const read = <A, E = never>(operation: string, body: (opened: Opened) => Either.Either<A, E>) =>
      retryWhileBusy(operation, patience, () => look(body))
    const refuse = (operation: string) => () =>
      new StoreReadOnly({ operation, detail: `${filename}: it was opened for reading only` })

    /** Range of version numbers per connection, so that those of the next connection are higher. */
    const versionsPerConnection = 2 ** 32
    const changes = (known: number): Effect.Effect<number, StoreError> =>
      Effect.suspend(() => {
        const { opened, version } = held
        const base = version * versionsPerConnection
        if (known < base) return Effect.succeed(base)
        return Effect.raceFirst(
          Effect.map(opened.changes.after(Math.max(known - base, 1)), (seen) => base + seen),
          Effect.flatMap(until(opened.connection), () => changes(known)),
        )
      })
    /** Completes when an immutable file was written, after it was reopened. */
    const until = (connection: Connection.Connection): Effect.Effect<void, StoreError> =>
      Effect.async<void, StoreError>((resume) => {
        const timer = setInterval(() => {
          try {
            connection.ensureThere()
            if (!connection.isStale()) return
            reopen()
            resume(Effect.void)
          } catch (thrown) {
            resume(failure("changes", { filename }, thrown))
          }
          clearInterval(timer)
        }, pollMs)
        timer.unref()
        return Effect.sync(() => clearInterval(timer))
      })

    return {
      storeId: held.opened.connection.storeId,
      open: refuse("open"),
      commit: refuse("commit"),
      fork: refuse("fork"),
      transact: refuse("transact"),
      heartbeat: refuse("heartbeat"),
      record: refuse("record"),
      reserve: refuse("reserve"),
      usage: (filter) => read("usage", ({ conversations }) => Either.right(conversations.usage(filter))),
      adjustBudget: refuse("adjustBudget"),
      budgets: (runId) => read("budgets", ({ conversations }) => Either.right(conversations.budgets(runId))),
      progress: (runId) => read("progress", ({ conversations }) => Either.right(conversations.progress(runId))),
      conversations: (filter) => read("conversations", ({ conversations }) => Either.right(conversations.read(filter))),
      configureLimits: refuse("configureLimits"),
      limits: read("limits", ({ slots }) => Either.right(slots.limits())),
      requestSlot: refuse("requestSlot"),
      leaveSlots: refuse("leaveSlots"),
      pollSlots: (places, now) => read("pollSlots", ({ slots }) => Either.right(slots.poll(places, now))),
      slotWaits: (runId) => read("slotWaits", ({ slots }) => Either.right(slots.waits(runId))),
      facts: (filter) => read("facts", ({ facts }) => Either.right(facts.find(filter))),
      putFact: refuse("putFact"),
      scores: (filter) => read("scores", ({ scores }) => Either.right(scores.find(filter))),
      recordSnapshot: refuse("recordSnapshot"),
      putRevert: refuse("putRevert"),
      reverts: (runId) => read("reverts", ({ snapshots }) => Either.right(snapshots.reverts(runId))),
      snapshots: (filter) => read("snapshots", ({ snapshots }) => Either.right(snapshots.find(filter))),
      claimScore: refuse("claimScore"),
      endScore: refuse("endScore"),
      releaseScore: refuse("releaseScore"),
      schedules: ({ scheduleId }) => read("schedules", ({ schedules }) => Either.right(schedules.find(scheduleId))),
      dueSchedules: (now) => read("dueSchedules", ({ schedules }) => Either.right(schedules.due(now))),
      writeSchedule: refuse("writeSchedule"),
      deleteSchedule: refuse("deleteSchedule"),
      scheduleTicks: (scheduleId, limit) =>
        read("scheduleTicks", ({ schedules }) => Either.right(schedules.ticks(scheduleId, limit))),
      deleteFacts: refuse("deleteFacts"),
      renew: refuse("renew"),
      release: refuse("release"),
      noteStuck: refuse("noteStuck"),
      prepareOutputs: refuse("prepareOutputs"),
      publish: refuse("publish"),
      deliverPublished: refuse("deliverPublished"),
      published: (filter) => read("published", ({ published }) => Either.right(published.find(filter))),
      deliver: refuse("deliver"),
      deliverOrCreate: refuse("deliverOrCreate"),
      deliverResponse: refuse("deliverResponse"),
      origin: (runId) => read("origin", ({ claims }) => Either.right(claims.origin(runId))),
      load: (runId, at) => read("load", ({ states }) => states.load(runId, at)),
      history: (runId) => read("history", ({ states }) => states.history(runId)),
      runnable: (now, exclude) => read("runnable", ({ claims }) => Either.right(claims.runnable(now, exclude))),
      cached: (query) => read("cached", ({ states }) => Either.right(states.cached(query))),
      pending: Effect.succeed([]),
      changes,
      runs: (filter) => Effect.flatMap(Millis.now, (now) => read("runs", ({ queries }) => Either.right(queries.runs(filter, now)))),
      waits: (filter) => read("waits", ({ queries }) => Either.right(queries.waits(filter))),
      statistics: Effect.flatMap(Millis.now, (now) =>
        Statistics.read((body) => read("statistics", (opened) => Either.right(body(opened))), now),
      ),
      plan: (runId, frame) => read("plan", ({ queries }) => queries.plan(runId, frame)),
      newest: (runId) => read("newest", ({ claims }) => Either.right(claims.newest(runId))),
      find: (prefix, limit) => read("find", ({ queries }) => Either.right(queries.find(prefix, limit))),
      run: (runId) => Effect.flatMap(Millis.now, (now) => read("run", ({ queries }) => queries.run(runId, now))),
      wait: (name) => read("wait", ({ queries }) => Either.right(queries.wait(name))),
      inspect: (runId) =>
        Effect.flatMap(Millis.now, (now) =>
          read("inspect", ({ queries, slots, snapshots }) =>
            Either.map(queries.inspect(runId, now), (details) => ({
              ...Slots.shownIn(details, slots.waits(runId)),
              ...shownOf(snapshots.find({ runId })),
            })),
          ),
        ),
      generations: (runId) => read("generations", ({ queries }) => Either.right(queries.generations(runId))),
      events: (runId, options) => read("events", ({ queries }) => queries.events(runId, options)),
    }
  })
