/**
 * What a run was: its frames, and its state at each of them, on the stores that are.
 */
import { describe, expect, it } from "@effect/vitest"
import * as PlanText from "@smithers/core/PlanText"
import { RunReader } from "@smithers/core/RunReader"
import * as Smithers from "@smithers/core/Smithers"
import { Snapshots } from "@smithers/core/Snapshots"
import * as Timeline from "@smithers/core/Timeline"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import { Chunk, Effect, Schema, Stream } from "effect"

const child = Smithers.createWorkflow({ name: "child", input: Schema.Struct({}) }).build(($) =>
  $.step("inner", { output: Schema.String, run: () => "of the child" }),
)

const letter = Smithers.createWorkflow({ name: "letter", input: Schema.Struct({ to: Schema.String }) }).build(($) =>
  $.sequence(
    $.step("draft", {
      output: Schema.String,
      retry: { maxAttempts: 2, initialDelay: "1 milli" },
      run: ({ attempt, input }) => {
        if (attempt === 1) throw new Error("no ink")
        return `Dear ${input.to}`
      },
    }),
    $.subflow("kid", { workflow: child, input: {} }),
    $.approval("go", { request: () => ({ title: "Send?" }) }),
    $.step("send", { output: Schema.String, run: () => "sent" }),
  ),
)

const frames = (runId: string) => Effect.map(Stream.runCollect(Smithers.timeline(runId)), Chunk.toReadonlyArray)

const stores = [
  ["memory", Smithers.memory],
  ["SQLite", Smithers.onStorage(SqliteStorage.layer({ filename: ":memory:" }))],
] as const

describe.each(stores)("a run that is looked back on, in %s", (_, layer) => {
  it.live("has a row per frame with its events, the plan that it began with, and its child runs", () =>
    Effect.gen(function* () {
      yield* letter.run({ to: "ann" }, { runId: "r" })
      const rows = yield* frames("r")
      expect(rows.map(({ frame }) => frame)).toEqual(rows.map(({ frame }) => frame).toSorted((left, right) => left - right))
      expect(rows[0]).toMatchObject({ fromSeq: 1, plan: { added: ["draft", "kid", "go", "send"], removed: [], changed: [] } })
      expect(rows.slice(1).flatMap(({ plan }) => [...plan.added, ...plan.removed, ...plan.changed])).toEqual([])
      expect(rows.flatMap(({ children }) => children)).toEqual([{ runId: "r~kid~0", nodeId: "kid", iteration: 0 }])
      // Together they are the log.
      const logged = yield* Effect.flatMap(RunReader, (reader) => reader.events("r"))
      expect(rows.flatMap(({ events }) => events)).toEqual(logged.map(({ event }) => event))
      const [, second] = rows
      const later = yield* Stream.runCollect(Smithers.timeline("r", { afterSeq: second?.lastSeq ?? 0 }))
      expect(Chunk.toReadonlyArray(later)).toEqual(rows.slice(2))
    }).pipe(Effect.provide(layer)),
  )

  it.live("is shown at each frame with the outputs, waits and status that it had", () =>
    Effect.gen(function* () {
      yield* letter.run({ to: "ann" }, { runId: "r" })
      yield* Smithers.approve("r", "go", { by: "ann" })
      yield* letter.execute({ to: "ann" }, { runId: "r" })
      const rows = yield* frames("r")
      const frameOf = (tag: string, nodeId: string): number =>
        rows.find(({ events }) => events.some((event) => event._tag === tag && "nodeId" in event && event.nodeId === nodeId))
          ?.frame ?? 0
      const outputsAt = (frame: number) =>
        Effect.map(Smithers.stateAt("r", { frame }), ({ nodes }) =>
          Object.fromEntries(nodes.flatMap(({ nodeId, output }) => (output === undefined ? [] : [[nodeId, output]]))),
        )
      const asked = yield* Smithers.stateAt("r", { frame: frameOf("WaitStarted", "go") })
      expect(asked).toMatchObject({ workflow: "letter", input: { to: "ann" }, status: "waiting-approval", failure: null })
      expect(asked.waits.filter(({ status }) => status === "open")).toMatchObject([{ nodeId: "go", request: { title: "Send?" } }])
      expect(asked.nodes.map(({ nodeId, status }) => [nodeId, status])).toEqual([
        ["draft", "finished"],
        ["kid", "finished"],
        ["go", "waiting"],
      ])
      expect(PlanText.decode(asked.plan).positions.has("send")).toBe(true)
      expect(yield* outputsAt(frameOf("AttemptFailed", "draft"))).toEqual({})
      expect(yield* outputsAt(frameOf("WaitStarted", "kid"))).toEqual({ draft: "Dear ann" })
      const last = yield* Smithers.stateAt("r")
      expect(last).toMatchObject({ status: "finished", frame: rows.at(-1)?.frame, output: "sent" })
      expect((yield* Smithers.stateAt("r", { seq: 1 })).nodes).toEqual([])
    }).pipe(Effect.provide(layer)),
  )

  it.live("names the runs that were forked from it, at the frame of the cut, and is read at earlier frames from a fork", () =>
    Effect.gen(function* () {
      yield* letter.run({ to: "ann" }, { runId: "r" })
      const cut = (yield* frames("r")).find(({ events }) => events.some(({ _tag }) => _tag === "AttemptSucceeded"))?.frame ?? 0
      yield* Smithers.fork(letter, "r", { frame: cut, runId: "f" })
      expect((yield* frames("r")).flatMap(({ frame, forks }) => forks.map((fork) => [fork, frame]))).toEqual([["f", cut]])
      const [first] = yield* frames("f")
      expect(first).toMatchObject({ frame: cut + 1, forks: [], plan: { added: [], removed: [] } })
      const [mine, other] = [yield* Smithers.stateAt("r", { frame: cut }), yield* Smithers.stateAt("f", { frame: cut })]
      const shown = ({ nodes }: typeof mine) => nodes.map(({ nodeId, status, output }) => [nodeId, status, output])
      expect(shown(other)).toEqual(shown(mine))
      expect(shown(mine).length).toBeGreaterThan(0)
    }).pipe(Effect.provide(layer)),
  )

  it.live("has the snapshots of an attempt at the frames that start and end it", () =>
    Effect.gen(function* () {
      const snapshot = (runId: string, moment: "before" | "after") =>
        Effect.flatMap(Snapshots, ({ recordSnapshot }) =>
          recordSnapshot({
            ...{ runId, epoch: 1, nodeId: "edit", iteration: 0, attempt: 1, moment, root: "/work", at: 1 },
            ...{ commit: `${moment}1`, tree: "t", skipped: [], sharedWith: [], failure: null },
          }),
        )
      const editing = Smithers.createWorkflow({ name: "editing", input: Schema.Struct({}) }).build(($) =>
        $.step("edit", {
          output: Schema.String,
          run: ({ runId }) => Effect.as(Effect.zip(snapshot(runId, "before"), snapshot(runId, "after")), "edited"),
        }),
      )
      yield* editing.execute({}, { runId: "e" })
      const shown = (yield* frames("e")).map(({ snapshots }) => snapshots.map(({ commit }) => commit))
      expect(shown).toEqual([["before1"], ["after1"]])
    }).pipe(Effect.provide(layer)),
  )

  it.live("reads for each page of its log the snapshots and the forks of that page alone", () =>
    Effect.gen(function* () {
      const length = 300
      const snapshot = (nodeId: string) =>
        Effect.flatMap(Snapshots, ({ recordSnapshot }) =>
          recordSnapshot({
            ...{ runId: "l", epoch: 1, nodeId, iteration: 0, attempt: 1, moment: "before", root: "/work", at: 1 },
            ...{ commit: nodeId, tree: "t", skipped: [], sharedWith: [], failure: null },
          }),
        )
      const long = Smithers.createWorkflow({ name: "long", input: Schema.Struct({}) }).build(($) =>
        $.sequence(
          ...Array.from({ length }, (_, index) =>
            $.step(`s${index}`, { output: Schema.Number, run: () => Effect.as(snapshot(`s${index}`), index) }),
          ),
        ),
      )
      yield* long.execute({}, { runId: "l" })
      const all = yield* frames("l")
      yield* Smithers.fork(long, "l", { frame: 3, runId: "early" })
      yield* Smithers.fork(long, "l", { frame: (all.at(-1)?.frame ?? 0) - 1, runId: "late" })
      const [reader, { snapshots }] = [yield* RunReader, yield* Snapshots]
      const counts = { snapshots: 0, forks: 0 }
      const counting = {
        ...reader,
        snapshots: (filter: Parameters<typeof snapshots>[0]) =>
          Effect.tap(snapshots(filter), ({ length }) =>
            Effect.sync(() => {
              counts.snapshots += length
            }),
          ),
        runs: (filter: Parameters<typeof reader.runs>[0]) =>
          Effect.tap(reader.runs(filter), ({ length }) =>
            Effect.sync(() => {
              counts.forks += length
            }),
          ),
      }
      const [first] = Chunk.toReadonlyArray(yield* Stream.runCollect(Stream.take(Timeline.read(counting, "l"), 1)))
      expect(first).toEqual(all[0])
      // A page of the log has 500 events, and a step two of them.
      expect(counts.forks).toBe(1)
      expect(counts.snapshots).toBeGreaterThan(200)
      expect(counts.snapshots).toBeLessThan(260)
      const rows = Chunk.toReadonlyArray(yield* Stream.runCollect(Timeline.read(counting, "l")))
      expect(rows.flatMap((row) => row.snapshots.map(({ commit }) => commit))).toEqual(
        Array.from({ length }, (_, index) => `s${index}`),
      )
      expect(rows.flatMap(({ forks }) => forks)).toEqual(["early", "late"])
      // The page that is cut within a frame is read once more with it at most.
      expect(counts.snapshots).toBeLessThan(260 + length + 10)
    }).pipe(Effect.provide(layer)),
  )

  it.live("has no frame beyond its last one, and says which that is", () =>
    Effect.gen(function* () {
      yield* letter.run({ to: "ann" }, { runId: "r" })
      const last = (yield* Smithers.stateAt("r")).frame
      const error = yield* Effect.flip(Smithers.stateAt("r", { frame: last + 1 }))
      expect(error).toMatchObject({ _tag: "NoSuchMoment", frame: last + 1, last })
      expect(error.message).toContain(`its last one is ${last}`)
      expect(yield* Effect.flip(Smithers.stateAt("r", { seq: 1.5 }))).toMatchObject({ _tag: "NoSuchMoment", seq: 1.5 })
      expect(yield* Effect.flip(Smithers.stateAt("other", { frame: 1 }))).toMatchObject({ _tag: "RunNotFound" })
      expect(yield* Effect.flip(Stream.runDrain(Smithers.timeline("other")))).toMatchObject({ _tag: "RunNotFound" })
    }).pipe(Effect.provide(layer)),
  )
})

it.live("a frame with more events than a page of the log is one row, and so are its neighbours", () =>
  Effect.gen(function* () {
    const wide = Smithers.createWorkflow({ name: "wide", input: Schema.Struct({}) }).build(($) =>
      $.sequence(
        $.parallel(...Array.from({ length: 1300 }, (_, index) => $.step(`s${index}`, { output: Schema.Number, run: () => index }))),
        $.step("last", { output: Schema.String, run: () => "done" }),
      ),
    )
    yield* wide.execute({}, { runId: "w" })
    const rows = yield* frames("w")
    expect(Math.max(...rows.map(({ events }) => events.length))).toBeGreaterThan(1000)
    expect(new Set(rows.map(({ frame }) => frame)).size).toBe(rows.length)
    for (const [index, row] of rows.entries()) {
      expect(row.lastSeq - row.fromSeq + 1).toBe(row.events.length)
      if (index > 0) expect(row.fromSeq).toBe((rows[index - 1]?.lastSeq ?? 0) + 1)
    }
  }).pipe(Effect.provide(Smithers.onStorage(SqliteStorage.layer({ filename: ":memory:" }), { maxConcurrency: 2000 }))),
)
