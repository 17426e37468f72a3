/**
 * Sends spans and metrics of a command by OTLP over HTTP, as the standard `OTEL_…` environment variables say. Loaded by `--otel` alone.
 */
import * as OtlpMetrics from "@effect/opentelemetry/OtlpMetrics"
import * as OtlpSerialization from "@effect/opentelemetry/OtlpSerialization"
import * as OtlpTracer from "@effect/opentelemetry/OtlpTracer"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import { version } from "@smithers/core/Package"
import * as RedactedTelemetry from "@smithers/core/RedactedTelemetry"
import * as Secrets from "@smithers/core/Secrets"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { InvalidUsage } from "./Errors.ts"

type Environment = { readonly [name: string]: string | undefined }

/** Kinds of telemetry that are sent, as environment variables and paths spell them. */
type Kind = "traces" | "metrics"

/** Options of one exporter. */
interface Target {
  readonly url: string
  readonly headers: { readonly [name: string]: string }
}

/** What the environment says. An exporter that is switched off is absent. */
export interface Settings {
  readonly traces?: Target
  readonly metrics?: Target
  readonly protocol: "http/protobuf" | "http/json"
  readonly serviceName: string
  readonly spanDelayMs: number
  readonly metricIntervalMs: number
  readonly shutdownMs: number
}

const protocols = ["http/protobuf", "http/json"] as const

const headersOf = (name: string, text: string): Either.Either<Target["headers"], string> => {
  const headers: Record<string, string> = {}
  for (const pair of text.split(",").filter((one) => one.trim() !== "")) {
    const at = pair.indexOf("=")
    if (at < 1) return Either.left(`${name} must be a list such as api-key=abc,tenant=a`)
    try {
      headers[pair.slice(0, at).trim()] = decodeURIComponent(pair.slice(at + 1).trim())
    } catch {
      return Either.left(`${name} has a value that is not percent-encoded`)
    }
  }
  return Either.right(headers)
}

/** Reads the settings of OpenTelemetry. A variable of one kind of telemetry precedes the general one. `Left` says what is wrong. */
export const settingsOf = (env: Environment): Either.Either<Settings, string> =>
  Either.gen(function* () {
    const given = (name: string): string | undefined => (env[name]?.trim() === "" ? undefined : env[name]?.trim())
    const either = (kind: Kind, name: string): readonly [name: string, value: string | undefined] => {
      const own = `OTEL_EXPORTER_OTLP_${kind.toUpperCase()}_${name}`
      return given(own) === undefined ? [`OTEL_EXPORTER_OTLP_${name}`, given(`OTEL_EXPORTER_OTLP_${name}`)] : [own, given(own)]
    }
    const milliseconds = function* (name: string, fallback: number) {
      const value = given(name) === undefined ? fallback : Number(given(name))
      return Number.isSafeInteger(value) && value > 0
        ? value
        : yield* Either.left(`${name} must be a number of milliseconds, not "${given(name)}"`)
    }
    const targetOf = function* (kind: Kind) {
      const exporter = given(`OTEL_${kind.toUpperCase()}_EXPORTER`) ?? "otlp"
      if (exporter === "none") return undefined
      if (exporter !== "otlp")
        return yield* Either.left(`OTEL_${kind.toUpperCase()}_EXPORTER must be otlp or none, not "${exporter}"`)
      const own = given(`OTEL_EXPORTER_OTLP_${kind.toUpperCase()}_ENDPOINT`)
      const base = given("OTEL_EXPORTER_OTLP_ENDPOINT") ?? "http://localhost:4318"
      const url = own ?? `${base.replace(/\/+$/, "")}/v1/${kind}`
      if (!/^https?:$/.test(URL.parse(url)?.protocol ?? ""))
        return yield* Either.left(
          `OTEL_EXPORTER_OTLP_ENDPOINT must be an address such as http://localhost:4318, not "${own ?? base}"`,
        )
      const [name, text = ""] = either(kind, "HEADERS")
      return { url, headers: yield* headersOf(name, text) }
    }
    const [name, asked = "http/protobuf"] = either("traces", "PROTOCOL")
    const protocol = protocols.find((one) => one === asked)
    if (protocol === undefined) return yield* Either.left(`${name} must be ${protocols.join(" or ")}, not "${asked}"`)
    const isOff = given("OTEL_SDK_DISABLED")?.toLowerCase() === "true"
    const traces = isOff ? undefined : yield* targetOf("traces")
    const metrics = isOff ? undefined : yield* targetOf("metrics")
    const named = /(?:^|,)\s*service\.name=([^,]+)/.exec(given("OTEL_RESOURCE_ATTRIBUTES") ?? "")?.[1]
    return {
      ...(traces === undefined ? {} : { traces }),
      ...(metrics === undefined ? {} : { metrics }),
      protocol,
      serviceName: given("OTEL_SERVICE_NAME") ?? named ?? "smithers",
      spanDelayMs: yield* milliseconds("OTEL_BSP_SCHEDULE_DELAY", 5000),
      metricIntervalMs: yield* milliseconds("OTEL_METRIC_EXPORT_INTERVAL", 60_000),
      shutdownMs: yield* milliseconds("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000),
    }
  })

/** Marks that the exporter appends to the attributes of each failed span, although it was not interrupted. */
const mislabels: ReadonlyArray<string> = ["span.label", "status.interrupted"]

/** The parts of a request that matter here, as the exporter makes them. */
interface TraceData {
  readonly resourceSpans: ReadonlyArray<{
    readonly scopeSpans: ReadonlyArray<{
      readonly spans: ReadonlyArray<{
        readonly attributes: ReadonlyArray<{ readonly key: string }>
        readonly status: { readonly code: number }
      }>
    }>
  }>
}

/** Code of an error in the status of a span. */
const failed = 2

/** Takes the marks off the end of the attributes of failed spans. Attributes of these names that a program has set stay. */
const withoutMislabels = ({ resourceSpans }: TraceData): TraceData => ({
  resourceSpans: resourceSpans.map((resource) => ({
    ...resource,
    scopeSpans: resource.scopeSpans.map((scope) => ({
      ...scope,
      spans: scope.spans.map((span) => {
        const last = span.attributes.slice(-mislabels.length)
        const isMarked = span.status.code === failed && last.map(({ key }) => key).join() === mislabels.join()
        return isMarked ? { ...span, attributes: span.attributes.slice(0, -mislabels.length) } : span
      }),
    })),
  })),
})

/** A client that warns once if what it sends is not taken. Telemetry that is lost stops no run. */
const client = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(HttpClient.HttpClient, (inner) => {
    let isTold = false
    return HttpClient.tapError(HttpClient.filterStatusOk(inner), (error) =>
      Effect.suspend(() => {
        if (isTold) return Effect.void
        isTold = true
        return Effect.logWarning(`Telemetry was not taken: ${error.message}`)
      }),
    )
  }),
).pipe(Layer.provide(FetchHttpClient.layer))

/** Sends spans and metrics while it is provided, and what is left when it ends. Fails with `InvalidUsage` for settings it does not know. */
const layer = (command: string) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const settings = yield* Either.mapLeft(settingsOf(process.env), (problem) => new InvalidUsage({ problem, command }))
      const { traces, metrics, serviceName, spanDelayMs, metricIntervalMs, shutdownMs } = settings
      for (const { headers } of [traces, metrics].filter((target) => target !== undefined))
        for (const [name, value] of Object.entries(headers)) Secrets.add(`OTEL_EXPORTER_OTLP_HEADERS ${name}`, value)
      const common = { resource: { serviceName, serviceVersion: version }, shutdownTimeout: shutdownMs }
      const { layerJson, layerProtobuf, OtlpSerialization: Tag } = OtlpSerialization
      const serialization = settings.protocol === "http/json" ? layerJson : layerProtobuf
      const corrected = Layer.effect(
        Tag,
        Effect.map(Tag, (inner) => ({ ...inner, traces: (data: unknown) => inner.traces(withoutMislabels(data as TraceData)) })),
      ).pipe(Layer.provide(serialization))
      return Layer.mergeAll(
        traces === undefined ? Layer.empty : OtlpTracer.layer({ ...common, ...traces, exportInterval: spanDelayMs }),
        metrics === undefined ? Layer.empty : OtlpMetrics.layer({ ...common, ...metrics, exportInterval: metricIntervalMs }),
      ).pipe(Layer.provide(Layer.merge(corrected, client)))
    }),
  )

/** Runs a command, and sends its spans and metrics. No secret gets into them. */
export const within = <A, E, R>(command: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | InvalidUsage, R> =>
  effect.pipe(Effect.provide(RedactedTelemetry.layer), Effect.provide(layer(command)))
