/** Spans, logs and metrics as OpenTelemetry is given them by @effect/opentelemetry, in exporters that keep them in memory. */
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { describe, expect, it } from "@effect/vitest"
import { SpanStatusCode } from "@opentelemetry/api"
import { InMemoryLogRecordExporter, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs"
import { AggregationTemporality, InMemoryMetricExporter, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics"
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { type Ports, Storage } from "@smithers/core/Storage"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Smithers } from "smithers-orchestrator"

const telemetry = () => {
  const spans = new InMemorySpanExporter()
  const logs = new InMemoryLogRecordExporter()
  const metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter: metrics, exportIntervalMillis: 3_600_000 })
  const layer = NodeSdk.layer(() => ({
    resource: { serviceName: "shop" },
    spanProcessor: new SimpleSpanProcessor(spans),
    logRecordProcessor: new SimpleLogRecordProcessor({ exporter: logs }),
  }))
  /** A reader can be bound once. */
  const metered = NodeSdk.layer(() => ({ resource: { serviceName: "shop" }, metricReader: reader }))
  return { metered, spans, logs, metrics, reader, layer }
}

const flow = (name: string) => Smithers.createWorkflow({ name, input: Schema.Struct({}) })
const named = (spans: ReadonlyArray<ReadableSpan>, name: string) => spans.filter((span) => span.name === name)
const exceptions = (span: ReadableSpan | undefined) =>
  span?.events.filter(({ name }) => name === "exception").map(({ attributes }) => attributes?.["exception.message"])

describe("OpenTelemetry", () => {
  it.live(
    "is told of failed attempts, steps and runs as errors with their exceptions, and of a retry that succeeds as none",
    () => {
      const { spans, layer } = telemetry()
      const w = flow("pay").build(($) =>
        $.sequence(
          $.step("flaky", {
            output: Schema.String,
            retry: { initialDelay: 0 },
            run: ({ attempt }) => (attempt === 1 ? Effect.fail(new Error("once")) : Effect.withSpan(Effect.succeed("ok"), "own")),
          }),
          $.step("broken", { output: Schema.String, retry: false, run: () => Effect.fail(new Error("no money")) }),
        ),
      )
      return Effect.gen(function* () {
        yield* Effect.flip(w.execute({}, { runId: "r" }))
        const ended = spans.getFinishedSpans()
        const attempts = named(ended, "smithers.attempt")
        expect(attempts.map(({ status }) => status.code)).toEqual([SpanStatusCode.ERROR, SpanStatusCode.OK, SpanStatusCode.ERROR])
        expect(attempts.map(exceptions)).toEqual([["once"], [], ["no money"]])
        expect(named(ended, "smithers.step").map(({ status }) => status.code)).toEqual([SpanStatusCode.OK, SpanStatusCode.ERROR])
        const [run] = named(ended, "smithers.run")
        expect(run?.status.code).toBe(SpanStatusCode.ERROR)
        expect(exceptions(run)?.[0]).toContain(`Step "broken" of run "r" failed`)
        expect(run?.attributes).toMatchObject({ runId: "r", workflow: "pay", outcome: "failed" })
        const place = { runId: "r", workflow: "pay", nodeId: "flaky", iteration: 0 }
        expect(named(ended, "smithers.step")[0]?.attributes).toMatchObject(place)
        expect(attempts[1]?.attributes).toMatchObject({ ...place, attempt: 2 })
        // A span of the step's own is at its place, and in its attempt.
        const [own] = named(ended, "own")
        expect(own?.attributes).toMatchObject({ ...place, attempt: 2 })
        expect(own?.parentSpanContext?.spanId).toBe(attempts[1]?.spanContext().spanId)
      }).pipe(Effect.provide(Layer.merge(Smithers.memory, layer)))
    },
  )

  it.live("is told of waits and child runs, and a resumed run links to the trace that it began in", () => {
    const { spans, layer } = telemetry()
    const child = flow("child").build(($) => $.step("in", { output: Schema.String, run: () => "in" }))
    const w = flow("order").build(($) =>
      $.sequence(
        $.timer("pause", { duration: "5 millis" }),
        $.subflow("sub", { workflow: child, input: {} }),
        $.approval("ok", { request: { title: "?" } }),
        $.step("late", { output: Schema.String, run: () => "late" }),
      ),
    )
    return Effect.gen(function* () {
      const storage = yield* Storage
      // An engine of its own for each call, as another process would have.
      const on = Smithers.onStorage(Layer.succeedContext(yield* Effect.context<Ports>()))
      let first = yield* Effect.provide(w.run({}, { runId: "r" }), on)
      while (first.status === "waiting-timer") first = yield* Effect.provide(w.run({}, { runId: "r" }), on)
      expect(first.status).toBe("waiting-approval")
      const began = named(spans.getFinishedSpans(), "smithers.run").filter(({ attributes }) => attributes.runId === "r")
      yield* Effect.provide(Smithers.approve("r", "ok"), on)
      spans.reset()
      yield* Effect.provide(w.execute({}, { runId: "r" }), on)
      const resumed = named(spans.getFinishedSpans(), "smithers.run")
      const link = resumed[0]?.links[0]?.context
      expect(link?.traceId).toBe(began[0]?.spanContext().traceId)
      expect(link?.spanId).toBe(began[0]?.spanContext().spanId)
      expect(link?.traceId).not.toBe(resumed[0]?.spanContext().traceId)
      const [approval] = named(spans.getFinishedSpans(), "smithers.wait")
      expect(approval?.attributes).toMatchObject({
        runId: "r",
        workflow: "order",
        nodeId: "ok",
        kind: "approval",
        outcome: "decided",
      })
      const [event] = yield* storage.events("r", { limit: 1 })
      expect(event?.event).toMatchObject({ _tag: "RunStarted", trace: link && { traceId: link.traceId, spanId: link.spanId } })
    }).pipe(Effect.provide(Layer.merge(SqliteStorage.layer({ filename: ":memory:" }), layer)))
  })

  it.live("is told of a child run inside its parent's, and of the wait for it", () => {
    const { spans, layer } = telemetry()
    const child = flow("child").build(($) =>
      $.step("in", { output: Schema.String, retry: false, run: () => Effect.fail(new Error("inside")) }),
    )
    const w = flow("order").build(($) => $.subflow("sub", { workflow: child, input: {} }))
    return Effect.gen(function* () {
      yield* Effect.flip(w.execute({}, { runId: "r" }))
      const ended = spans.getFinishedSpans()
      const [inner, outer] = named(ended, "smithers.run")
      expect(inner?.attributes).toMatchObject({ runId: "r~sub~0", workflow: "child", outcome: "failed" })
      expect(inner?.parentSpanContext?.spanId).toBe(outer?.spanContext().spanId)
      const [wait] = named(ended, "smithers.wait")
      expect(wait?.attributes).toMatchObject({ runId: "r", nodeId: "sub", kind: "subflow", childRunId: "r~sub~0" })
      expect(wait?.status.code).toBe(SpanStatusCode.ERROR)
      expect(wait?.parentSpanContext?.spanId).toBe(outer?.spanContext().spanId)
    }).pipe(Effect.provide(Layer.merge(Smithers.memory, layer)))
  })

  it.live("is given logs of steps with the place that they were written at", () => {
    const { logs, layer } = telemetry()
    const inner = flow("inner").build(($) => $.step("in", { output: Schema.Void, run: () => Effect.log("inside") }))
    const w = flow("order").build(($) =>
      $.sequence(
        $.loop({
          id: "twice",
          body: $.step("say", { output: Schema.Void, run: () => Effect.log("hello") }),
          until: ({ iteration }) => iteration === 2,
          maxIterations: 2,
        }),
        $.step("call", { output: Schema.Void, run: () => Effect.asVoid(inner.execute({}, { runId: "i" })) }),
      ),
    )
    return Effect.gen(function* () {
      yield* w.execute({}, { runId: "r" }).pipe(Effect.annotateLogs("request", 7))
      const written = (body: string) => logs.getFinishedLogRecords().filter((record) => String(record.body) === body)
      const place = { request: 7, runId: "r", workflow: "order", nodeId: "say", attempt: 1 }
      expect(written("hello").map(({ attributes }) => attributes)).toMatchObject([
        { ...place, iteration: 0 },
        { ...place, iteration: 1 },
      ])
      expect(written("inside")[0]?.attributes).toMatchObject({ runId: "i", workflow: "inner", nodeId: "in", attempt: 1 })
    }).pipe(Effect.provide(Layer.merge(Smithers.memory, layer)))
  })

  it.live("is given metrics by workflow and outcome, with durations in seconds", () => {
    const { metrics, reader, metered } = telemetry()
    const w = flow("metered").build(($) =>
      $.step("a", {
        output: Schema.Void,
        retry: { initialDelay: 0 },
        run: ({ attempt }) => (attempt === 1 ? Effect.fail("x") : undefined),
      }),
    )
    return Effect.gen(function* () {
      yield* w.execute({})
      yield* Effect.promise(() => reader.forceFlush())
      const points = metrics
        .getMetrics()
        .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
        .flatMap(({ descriptor, dataPoints }) =>
          dataPoints.map(({ attributes, value }) => ({ name: descriptor.name, attributes, value })),
        )
        .filter(({ attributes }) => attributes.workflow === "metered")
      const of = (name: string) => points.filter((point) => point.name === name)
      expect(of("smithers_runs_ended_total")).toMatchObject([{ attributes: { outcome: "finished" }, value: 1 }])
      expect(
        of("smithers_attempts_ended_total")
          .map(({ attributes }) => attributes.outcome)
          .sort(),
      ).toEqual(["failed", "succeeded"])
      for (const { value } of of("smithers_attempt_duration_seconds")) expect((value as { sum: number }).sum).toBeLessThan(60)
      expect(of("smithers_attempt_duration_seconds")).toHaveLength(2)
    }).pipe(Effect.provide(Layer.merge(Smithers.memory, metered)))
  })
})
