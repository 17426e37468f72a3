import { describe, expect, it } from "@effect/vitest"
import type { StoreStatistics } from "@smithers/core/RunReader"
import { type Ports, Storage } from "@smithers/core/Storage"
import * as Exposition from "@smithers/server/metrics/Exposition"
import * as Prometheus from "@smithers/server/metrics/Prometheus"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { Smithers } from "smithers-orchestrator"
import { parse } from "./PrometheusFormat.ts"

const awkward = 'a "quoted" \\ name\nof two lines, {braces}'

describe("the text for Prometheus", () => {
  it.live("has the runs, waits and commands of a store, and the counters and durations of this process", () =>
    Effect.gen(function* () {
      const on = Smithers.onStorage(Layer.succeedContext(yield* Effect.context<Ports>()))
      const flow = Smithers.createWorkflow({ name: awkward, input: Schema.Struct({}) }).build(($) =>
        $.sequence($.step("work", { output: Schema.String, run: () => "done" }), $.approval("ok", { request: { title: "?" } })),
      )
      for (const runId of ["one", "two"]) yield* Effect.provide(flow.run({}, { runId }), on)
      yield* Effect.provide(Smithers.approve("one", "ok"), on)
      const text = yield* Exposition.once(yield* Storage)
      const { types, samples } = parse(text)
      const told = (name: string, labels: { readonly [name: string]: string }) =>
        samples.find((one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value))?.value
      const workflow = awkward
      expect(told("smithers_runs", { workflow, status: "waiting-approval" })).toBe(1)
      expect(told("smithers_runs", { workflow, status: "suspended" })).toBe(1)
      expect(told("smithers_runs", { workflow, status: "finished" })).toBe(0)
      expect(told("smithers_due_runs", {})).toBe(1)
      expect(told("smithers_open_waits", { kind: "approval" })).toBe(2)
      expect(told("smithers_inbox_commands", {})).toBe(1)
      expect(told("smithers_runs_started_total", { workflow })).toBe(2)
      expect(told("smithers_attempt_duration_seconds_count", { workflow, outcome: "succeeded" })).toBe(2)
      expect(told("smithers_attempt_duration_seconds_bucket", { workflow, le: "+Inf" })).toBe(2)
      expect(types.get("smithers_attempt_duration_seconds")).toBe("histogram")
      // The metrics of Effect's own have other exporters.
      expect([...types.keys()].filter((name) => !name.startsWith("smithers_"))).toEqual([])
    }).pipe(Effect.provide(SqliteStorage.layer({ filename: ":memory:" }))),
  )

  it("tells ages in seconds, the size of files in bytes, and nothing of a size where there are none", () => {
    const statistics: StoreStatistics = {
      ...{ at: 10_000, runs: [{ workflow: "a", status: "failed", count: 3 }], due: 0 },
      ...{ waits: [{ kind: "signal", count: 2, oldestSince: 8500 }], pendingCommands: 1, oldestCommandAt: 12_000, bytes: 4096 },
    }
    const { samples } = parse(Prometheus.text(Exposition.ofStore(statistics)))
    const told = Object.fromEntries(samples.map(({ name, value }) => [name, value]))
    expect(told).toMatchObject({
      smithers_oldest_wait_age_seconds: 1.5,
      // A clock that runs ahead makes no age below 0.
      smithers_oldest_command_age_seconds: 0,
      smithers_database_size_bytes: 4096,
    })
    expect(samples.filter(({ name }) => name === "smithers_runs").filter(({ value }) => value > 0)).toEqual([
      { name: "smithers_runs", labels: { status: "failed", workflow: "a" }, value: 3 },
    ])
    expect(Prometheus.text(Exposition.ofStore({ ...statistics, bytes: null }))).not.toContain("database_size")
  })

  it.effect("reads the store once a second at most", () =>
    Effect.gen(function* () {
      let reads = 0
      const statistics = Effect.sync(
        (): StoreStatistics => ({
          ...{ at: 0, runs: [], waits: [], due: ++reads, pendingCommands: 0, oldestCommandAt: null, bytes: null },
        }),
      )
      const text = yield* Exposition.make({ statistics })
      yield* Effect.all([text, text, text], { concurrency: "unbounded" })
      expect(reads).toBe(1)
      yield* TestClock.adjust("1001 millis")
      expect(yield* text).toContain("smithers_due_runs 2")
    }),
  )

  it("is refused by the reader of the format where it breaks a rule", () => {
    const broken = [
      "smithers_a 1\n",
      "# HELP a b\n# TYPE a gauge\na 1\na 1\n",
      '# HELP a b\n# TYPE a gauge\na{b="c\n"} 1\n',
      "# HELP a b\n# TYPE a counter\na 1\n",
      "# HELP a b\n# TYPE a gauge\na 1",
      '# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1\n',
    ]
    for (const text of broken) expect(() => parse(text), text).toThrow()
  })
})
