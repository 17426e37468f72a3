/**
 * Schedules in both stores: their ticks, and what becomes of them.
 */
import { describe, expect, it } from "@effect/vitest"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Millis from "@smithers/core/Millis"
import * as ScheduleCommands from "@smithers/core/ScheduleCommands"
import * as Schedules from "@smithers/core/Schedules"
import * as Smithers from "@smithers/core/Smithers"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Cron from "effect/Cron"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Ticks from "../../packages/core/src/internal/ticks.ts"

const instant = (text: string): Millis.Millis => Millis.make(Date.parse(text))

/** The next ticks, in UTC. */
const ticks = (cron: string, tz: string, from: string, count: number): ReadonlyArray<string> => {
  const { after: tickAfter } = Either.getOrThrowWith(Ticks.make(cron, tz), ({ expected }) => new Error(expected))
  let at = instant(from)
  return Array.from({ length: count }, () => {
    at = tickAfter(at)
    return new Date(at).toISOString().slice(5, 16)
  })
}

describe("the ticks of a cron expression", () => {
  it("come once on the day without their time, as long after the change as they would have been", () => {
    const spring = (cron: string, tz: string, from: string) => ticks(cron, tz, from, 3)
    expect(spring("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00Z")).toEqual(["03-28T01:30", "03-29T01:30", "03-30T00:30"])
    expect(spring("30 2 * * *", "America/New_York", "2026-03-07T00:00Z")).toEqual(["03-07T07:30", "03-08T07:30", "03-09T06:30"])
    expect(spring("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00Z")).toEqual(["10-03T15:45", "10-04T15:15", "10-05T15:15"])
    expect(spring("0 0 * * *", "Africa/Cairo", "2026-04-23T00:00Z")).toEqual(["04-23T22:00", "04-24T21:00", "04-25T21:00"])
    // The island left out a whole day.
    expect(spring("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00Z")).toEqual(["12-29T22:00", "12-30T22:00", "12-31T22:00"])
  })

  it("that fall on one instant where the clock is set ahead are one", () => {
    expect(ticks("30 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00Z", 3)).toEqual(["03-29T01:30", "03-30T00:30", "03-30T01:30"])
    expect(ticks("0,30 2 * * *", "Europe/Berlin", "2026-03-29T00:00Z", 2)).toEqual(["03-29T01:00", "03-29T01:30"])
  })

  it("come once on the day with two of their time, at the first, also if they are looked for between both", () => {
    expect(ticks("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", 2)).toEqual(["10-25T00:30", "10-26T01:30"])
    expect(ticks("30 2 * * *", "Europe/Berlin", "2026-10-25T00:45Z", 1)).toEqual(["10-26T01:30"])
    expect(ticks("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10Z", 1)).toEqual(["10-26T01:30"])
    expect(ticks("30 1 * * *", "America/New_York", "2026-11-01T05:45Z", 1)).toEqual(["11-02T06:30"])
    expect(ticks("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00Z", 3)).toEqual([
      "04-04T14:45",
      "04-05T15:15",
      "04-06T15:15",
    ])
  })

  it("of every hour go by elapsed time, through both changes", () => {
    expect(ticks("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:45Z", 5)).toEqual([
      ...["10-25T00:00", "10-25T00:30", "10-25T01:00", "10-25T01:30", "10-25T02:00"],
    ])
    expect(ticks("0 * * * *", "Europe/Berlin", "2026-10-24T23:10Z", 3)).toEqual(["10-25T00:00", "10-25T01:00", "10-25T02:00"])
    expect(ticks("30 * * * *", "Europe/Berlin", "2026-03-28T23:45Z", 3)).toEqual(["03-29T00:30", "03-29T01:30", "03-29T02:30"])
  })

  it("are those of Cron away from changes of clocks, and each follows from any time before it", () => {
    const field = (most: number) => FastCheck.oneof(FastCheck.constant("*"), FastCheck.integer({ min: 0, max: most }).map(String))
    const expressions = FastCheck.tuple(field(59), field(23), FastCheck.constant("*"), FastCheck.constant("*"), field(6))
    const start = Date.UTC(2026, 5, 1)
    FastCheck.assert(
      FastCheck.property(expressions, FastCheck.integer({ min: 0, max: 86_400_000 * 20 }), (fields, offset) => {
        const cron = fields.join(" ")
        const after = Either.getOrThrow(Ticks.make(cron, "Europe/Berlin")).after(Millis.make(start + offset))
        expect(after).toBe(Cron.next(Cron.unsafeParse(cron, "Europe/Berlin"), new Date(start + offset)).getTime())
      }),
      { numRuns: 100 },
    )
    const { after: tickAfter } = Either.getOrThrow(Ticks.make("*/20 1-3 * * *", "Europe/Berlin"))
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 0, max: 86_400_000 * 2 }),
        FastCheck.integer({ min: 1, max: 7_200_000 }),
        (at, back) => {
          const from = instant("2026-10-24T00:00Z") + at
          const tick = tickAfter(Millis.make(from))
          const before = tickAfter(Millis.make(from - back))
          expect(before <= tick && (before > from ? before === tick : true)).toBe(true)
        },
      ),
      { numRuns: 100 },
    )
  })

  it("are refused where the expression or the zone has none", () => {
    const problem = (cron: string, tz = "UTC") => Either.getOrThrow(Either.flip(Ticks.make(cron, tz)))
    expect(problem("0 0 30 2 *")).toEqual({ of: "cron", expected: "an expression that matches a date: it matches none" })
    expect(problem("* * * * * *").expected).toContain("five fields")
    expect(problem("61 * * * *").expected).toContain("between 0 and 59")
    expect(problem("0 0 * * *", "Europe/Berlinn").of).toBe("tz")
    expect(ticks("@daily", "UTC", "2026-01-01T05:00Z", 1)).toEqual(["01-02T00:00"])
  })
})

const nightly = Smithers.createWorkflow({ name: "nightly", input: Schema.Struct({ site: Schema.String }) }).build(($) =>
  $.step("scan", { output: Schema.String, run: ({ input }) => Effect.succeed(input.site) }),
)

const input = { site: "/srv/site" }

/** A store at a time, with what fires in it. */
const begun = (at: string) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(instant(at))
    const port = yield* Schedules.Schedules
    const fire = Effect.flatMap(Millis.now, (now) => ScheduleCommands.fire(port, now))
    const fireAt = (time: string) => Effect.zipRight(TestClock.setTime(instant(time)), fire)
    const said = (id = "nightly") =>
      Effect.map(port.scheduleTicks(id, 100), (all) =>
        all.map(({ outcome, tick }) => `${outcome} ${new Date(tick).toISOString().slice(5, 16)}`),
      )
    return { port, fire, fireAt, said }
  })

const end = (runId: string) => nightly.resume(runId)

const holds = <E>(title: string, body: Effect.Effect<void, E, Smithers.Runtime>) => {
  it.effect(`${title}, in memory`, () => Effect.provide(body, Smithers.onStorage(MemoryStorage.layer)))
  it.effect(`${title}, in SQLite`, () => Effect.provide(body, Smithers.onStorage(SqliteStorage.layer({ filename: ":memory:" }))))
}

describe("a schedule", () => {
  holds(
    "starts the run of a tick once it is due, once, under an id of the tick",
    Effect.gen(function* () {
      const { fire, fireAt, said } = yield* begun("2026-05-01T00:00Z")
      yield* Smithers.schedule(nightly, input, { cron: "30 2 * * *" })
      expect((yield* fire).nextAt).toBe(instant("2026-05-01T02:30Z"))
      yield* fireAt("2026-05-01T02:29:59.999Z")
      expect(yield* said()).toEqual([])
      yield* Effect.all([fireAt("2026-05-01T02:30Z"), fire, fire], { concurrency: "unbounded" })
      expect(yield* said()).toEqual(["started 05-01T02:30"])
      const runs = yield* Smithers.list()
      expect(runs.map(({ runId, status }) => [runId, status])).toEqual([["nightly@2026-05-01T02:30Z", "suspended"]])
      expect(yield* end("nightly@2026-05-01T02:30Z")).toBe("/srv/site")
    }),
  )

  holds(
    "skips, queues or cancels while the run before has not ended",
    Effect.gen(function* () {
      const { fireAt, said } = yield* begun("2026-05-01T00:00Z")
      for (const overlap of ["skip", "queue", "cancel-other"] as const)
        yield* Smithers.schedule(nightly, input, { id: overlap, cron: "0 * * * *", overlap })
      for (const hour of ["01", "02", "03"]) yield* fireAt(`2026-05-01T${hour}:00Z`)
      expect(yield* said("skip")).toEqual(["skipped 05-01T03:00", "skipped 05-01T02:00", "started 05-01T01:00"])
      expect(yield* said("queue")).toEqual(["queued 05-01T03:00", "queued 05-01T02:00", "started 05-01T01:00"])
      expect(yield* said("cancel-other")).toEqual(["queued 05-01T03:00", "skipped 05-01T02:00", "started 05-01T01:00"])
      const cancelled = yield* Smithers.inspect("cancel-other@2026-05-01T01:00Z")
      expect(cancelled.cancel?.reason).toBe('by schedule "cancel-other", whose next tick has come')
      yield* end("queue@2026-05-01T01:00Z")
      yield* Effect.exit(end("cancel-other@2026-05-01T01:00Z"))
      yield* end("skip@2026-05-01T01:00Z")
      yield* fireAt("2026-05-01T03:10Z")
      expect((yield* said("queue")).slice(0, 2)).toEqual(["queued 05-01T03:00", "started 05-01T02:00"])
      expect((yield* said("cancel-other"))[0]).toBe("started 05-01T03:00")
      expect((yield* said("skip"))[0]).toBe("skipped 05-01T03:00")
    }),
  )

  holds(
    "makes up for ticks within its catch-up window, and notes how many it missed",
    Effect.gen(function* () {
      const { fireAt, said, port } = yield* begun("2026-05-01T00:00Z")
      yield* Smithers.schedule(nightly, input, { cron: "0 * * * *", overlap: "queue", catchUp: "150 minutes" })
      yield* fireAt("2026-05-01T10:15Z")
      expect(yield* said()).toEqual(["queued 05-01T10:00", "queued 05-01T09:00", "started 05-01T08:00", "missed 05-01T01:00"])
      const [missed] = (yield* port.scheduleTicks("nightly", 100)).slice(-1)
      expect(missed?.detail).toBe("7 ticks, since nothing supervised the store")
      yield* Smithers.schedule(nightly, input, { id: "busy", cron: "* * * * *" })
      yield* fireAt("2027-05-01T10:15:30Z")
      expect((yield* port.scheduleTicks("busy", 200)).length).toBe(100)
      expect((yield* said("busy"))[0]).toBe("skipped 05-01T10:15")
    }),
  )

  holds(
    "fires no tick twice when the clock is set back, and goes on at the next one",
    Effect.gen(function* () {
      const { fireAt, said, port } = yield* begun("2026-05-01T00:00Z")
      yield* Smithers.schedule(nightly, input, { cron: "0 2 * * *" })
      // The clock was ahead by a year.
      yield* fireAt("2027-05-01T02:00:01Z")
      yield* end("nightly@2027-05-01T02:00Z")
      yield* fireAt("2026-05-01T01:00Z")
      const [found] = yield* port.schedules({ scheduleId: "nightly" })
      expect(found?.schedule.tick).toBe(instant("2026-05-01T02:00Z"))
      yield* fireAt("2026-05-01T02:00Z")
      expect((yield* Smithers.list()).map(({ runId }) => runId)).toContain("nightly@2026-05-01T02:00Z")
      yield* end("nightly@2026-05-01T02:00Z")
      // Back again, before a tick that was made: its run stays the only one.
      yield* fireAt("2026-05-01T00:30Z")
      yield* fireAt("2026-05-01T02:00Z")
      expect((yield* said()).filter((one) => one.endsWith("05-01T02:00")).length).toBe(2)
      const runs = yield* Smithers.list()
      expect(runs.filter(({ runId }) => runId === "nightly@2026-05-01T02:00Z").map(({ status }) => status)).toEqual(["finished"])
    }),
  )

  holds(
    "delays each tick by its own jitter, the same whoever asks",
    Effect.gen(function* () {
      const { port } = yield* begun("2026-05-01T00:00Z")
      const { tick, dueAt } = yield* Smithers.schedule(nightly, input, { cron: "0 * * * *", jitter: "10 minutes" })
      const [found] = yield* port.schedules({})
      expect(found?.schedule.dueAt).toBe(dueAt)
      const delays = Array.from({ length: 50 }, (_, hour) =>
        Schedules.jitterOf({ scheduleId: "nightly", jitterMs: Millis.make(600_000) }, Millis.make((tick ?? 0) + hour * 3_600_000)),
      )
      expect(new Set(delays).size).toBeGreaterThan(40)
      expect(delays.every((delay) => delay >= 0 && delay < 600_000)).toBe(true)
      expect(dueAt).toBe((tick ?? 0) + (delays[0] ?? 0))
    }),
  )

  holds(
    "is paused, unpaused from the next tick on, run by hand, shown and removed",
    Effect.gen(function* () {
      const { fireAt, said } = yield* begun("2026-05-01T00:00Z")
      yield* Smithers.schedule(nightly, input, { cron: "0 * * * *" })
      yield* Smithers.pauseSchedule("nightly")
      yield* fireAt("2026-05-01T05:30Z")
      expect(yield* said()).toEqual([])
      const made = yield* Smithers.runScheduleNow("nightly")
      expect(made).toMatchObject({ outcome: "started", runId: "nightly@2026-05-01T05:30Z" })
      const busy = yield* Effect.flip(Smithers.runScheduleNow("nightly"))
      expect(busy).toMatchObject({ _tag: "ScheduleBusy", runId: "nightly@2026-05-01T05:30Z" })
      yield* Smithers.unpauseSchedule("nightly")
      const shown = yield* Smithers.showSchedule("nightly")
      expect(shown.next.map((tick) => new Date(tick).toISOString().slice(11, 16)).slice(0, 2)).toEqual(["06:00", "07:00"])
      expect(shown.next.length).toBe(10)
      expect(shown.runs.map(({ runId }) => runId)).toEqual(["nightly@2026-05-01T05:30Z"])
      yield* Smithers.removeSchedule("nightly")
      expect(yield* Smithers.schedules).toEqual([])
      expect(yield* Effect.flip(Smithers.removeSchedule("nightly"))).toMatchObject({ _tag: "NoSuchSchedule" })
      expect((yield* Smithers.list()).length).toBe(1)
    }),
  )

  holds(
    "refuses options and inputs that it could not fire with, and keeps its tick where the same is said again",
    Effect.gen(function* () {
      yield* begun("2026-05-01T00:00Z")
      const refused = (options: Partial<Smithers.ScheduleOptions>, given: unknown = input) =>
        Effect.map(Effect.flip(Smithers.schedule(nightly, given, { cron: "0 * * * *", ...options })), ({ message }) => message)
      expect(yield* refused({ cron: "0 25 * * *" })).toContain('The setting "cron" is "0 25 * * *"')
      expect(yield* refused({ tz: "Mars/Olympus" })).toContain("a time zone such as")
      expect(yield* refused({ catchUp: "5 seconds" })).toContain("catchUp")
      expect(yield* refused({ id: "a@b" })).toContain('without "@"')
      expect(yield* refused({}, { site: 1 })).toContain('The input of workflow "nightly" is not valid')
      const first = yield* Smithers.schedule(nightly, input, { cron: "0 * * * *" })
      expect(yield* Smithers.schedule(nightly, input, { cron: "0 * * * *" })).toEqual(first)
      const taken = Smithers.schedule(nightly, input, { cron: "5 * * * *", onExisting: "refuse" })
      expect(yield* Effect.flip(taken)).toMatchObject({ _tag: "ScheduleIdTaken" })
      expect((yield* Smithers.schedule(nightly, input, { cron: "5 * * * *" })).tick).toBe(instant("2026-05-01T00:05Z"))
    }),
  )

  holds(
    "records a tick whose run id belongs to another workflow, and goes on",
    Effect.gen(function* () {
      const { fireAt, said } = yield* begun("2026-05-01T00:00Z")
      const other = Smithers.createWorkflow({ name: "other", input: Schema.Void }).build(($) =>
        $.step("wait", { output: Schema.Number, run: () => Effect.succeed(1) }),
      )
      yield* other.execute(undefined, { runId: "nightly@2026-05-01T01:00Z" })
      yield* Smithers.schedule(nightly, input, { cron: "0 * * * *" })
      yield* fireAt("2026-05-01T01:00Z")
      expect(yield* said()).toEqual(["refused 05-01T01:00"])
      expect((yield* Smithers.showSchedule("nightly")).problem).toContain("is of another workflow")
      yield* fireAt("2026-05-01T02:00Z")
      expect(yield* said()).toEqual(["started 05-01T02:00", "refused 05-01T01:00"])
      expect((yield* Smithers.showSchedule("nightly")).problem).toBe(undefined)
    }),
  )
})
