/** The canary of every sink that a runtime has inside its process. The command line has its own, in test/cli/secrets.test.ts. */
import { inspect } from "node:util"
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { describe, expect, it } from "@effect/vitest"
import { InMemoryLogRecordExporter, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs"
import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import * as Commands from "@smithers/core/Commands"
import * as RunLog from "@smithers/core/RunLog"
import { Storage } from "@smithers/core/Storage"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { Smithers } from "smithers-orchestrator"
import { folder } from "../sqlite/Fixture.ts"
import * as Canary from "./Canary.ts"
import * as Leaky from "./Leaky.ts"

const canaries = Canary.make()
/** What has been printed of a value by whichever means. */
const printed = (value: unknown): string =>
  [JSON.stringify(value), inspect(value, { depth: 20, maxStringLength: null, showHidden: true }), String(value)].join("\n")

const register = Effect.forEach(canaries, ({ name, value }) => Smithers.secret(name, Redacted.make(value)))

/** Runs the leaky workflow to its end, with all that is said to it on the way. Returns what came out beside the store. */
const suite = ({ value }: Canary.Canary) =>
  Effect.gen(function* () {
    yield* register
    const storage = yield* Storage
    const shown: Leaky.Shown = { prompts: [] }
    const workflow = Leaky.leaky(value, shown)
    const out: Array<unknown> = []
    const follow = yield* Effect.fork(
      Stream.runCollect(RunLog.follow(storage, "r", { until: RunLog.ended(storage, "r").pipe(Effect.retry({ times: 50 })) })),
    )
    const first = yield* workflow.run({}, { runId: "r", tags: ["tag"] })
    expect([first.status, Canary.leaks(canaries, printed(first)), "error" in first ? String(first.error) : ""]).toEqual([
      "waiting-approval",
      [],
      "",
    ])
    out.push(first, yield* storage.waits({ runId: "r" }))
    out.push(yield* Commands.approve("r", "ok", { note: `because of ${value}`, by: "me" }))
    const second = yield* workflow.run({}, { runId: "r" })
    expect(second.status).toBe("waiting-event")
    out.push(yield* Effect.flip(Commands.signal("r", "go", { payload: { n: value } })))
    out.push(yield* Effect.flip(Commands.signal("r", "go", { payload: { [value]: 1 } })))
    out.push(yield* Effect.flip(Commands.signal("r", "go", { payload: { n: 1 }, correlation: value })))
    yield* Commands.signal("r", "go", { payload: { n: "no number" } })
    yield* Commands.signal("r", "go", { payload: { n: 1 } })
    expect(yield* workflow.execute({}, { runId: "r" })).toBe("done")
    out.push(Chunk.toReadonlyArray(yield* Fiber.join(follow)), shown.prompts)
    out.push(yield* storage.inspect("r"), yield* storage.events("r"), yield* storage.conversations({ runId: "r" }))
    out.push(yield* storage.plan("r"), yield* storage.runs({}), yield* storage.inspect("r~sub~0"))
    const { nodes } = yield* storage.inspect("r")
    const failed = nodes.filter(({ status }) => status === "failed").map(({ nodeId }) => nodeId)
    return { out, failed, text: out.map(printed).join("\n") }
  })

/** A logger that keeps what the loggers of Effect print. */
const keeping = () => {
  const lines: Array<string> = []
  const keep = <A>(logger: Logger.Logger<unknown, A>): Logger.Logger<unknown, void> =>
    Logger.map(logger, (line) => void lines.push(typeof line === "string" ? line : printed(line)))
  const layer = Layer.mergeAll(
    Logger.replace(Logger.defaultLogger, keep(Logger.stringLogger)),
    ...[Logger.logfmtLogger, Logger.jsonLogger].map((logger) => Logger.add(keep(logger))),
    Logger.add(keep(Logger.structuredLogger)),
    Logger.add(Logger.make(({ message, cause, annotations }) => void lines.push(printed([message, cause, annotations])))),
  )
  return { lines, layer }
}

describe("a secret", () => {
  it.scopedLive.each(canaries)("is found in no file, stream, log or span of a run that lets it out everywhere: $name", (canary) =>
    Effect.gen(function* () {
      const place = yield* folder
      const [logs, spans, records] = [keeping(), new InMemorySpanExporter(), new InMemoryLogRecordExporter()]
      const telemetry = NodeSdk.layer(() => ({
        resource: { serviceName: "shop" },
        spanProcessor: new SimpleSpanProcessor(spans),
        logRecordProcessor: new SimpleLogRecordProcessor({ exporter: records }),
      }))
      yield* Effect.gen(function* () {
        const { text, failed } = yield* suite(canary)
        const soft = [
          "chain",
          "cut",
          "declared",
          "dies",
          "object",
          "parallel",
          "refused",
          "rejects",
          "returns",
          "slow",
          "sub",
          "text",
        ]
        expect(failed).toEqual(soft)
        // With the log of the file, before the store is closed.
        expect(Canary.leaksBelow(canaries, place)).toEqual([])
        // Before the exporters are shut down, which empties them.
        const ended = spans
          .getFinishedSpans()
          .map(({ name, attributes, events, status, links }) => ({ name, attributes, events, status, links }))
        const logged = records.getFinishedLogRecords().map(({ body, attributes }) => ({ body, attributes }))
        expect(ended.length).toBeGreaterThan(20)
        expect(logged.length).toBeGreaterThan(2)
        for (const sink of [text, printed(ended), printed(logged)]) {
          expect(Canary.leaks(canaries, sink)).toEqual([])
          expect(sink).toContain(`[secret ${canary.name}]`)
        }
      }).pipe(
        Effect.provide(Smithers.sqlite({ filename: `${place}/smithers.db` })),
        Effect.provide(Layer.merge(logs.layer, telemetry)),
      )
      expect(Canary.leaksBelow(canaries, place)).toEqual([])
      expect(logs.lines.length).toBeGreaterThan(10)
      expect(Canary.leaks(canaries, logs.lines.join("\n"))).toEqual([])
      expect(logs.lines.join("\n")).toContain(`[secret ${canary.name}]`)
      expect(Canary.leaks(canaries, printed(yield* Metric.snapshot))).toEqual([])
    }),
  )

  it.scopedLive.each(canaries)("is found in nothing that a store in memory gives out: $name", (canary) =>
    Effect.gen(function* () {
      const { text } = yield* suite(canary)
      expect(Canary.leaks(canaries, text)).toEqual([])
      expect(text).toContain(`[secret ${canary.name}]`)
    }).pipe(Effect.provide(Layer.merge(Smithers.memory, Logger.remove(Logger.defaultLogger)))),
  )
})
