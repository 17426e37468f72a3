import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { BatchSpanProcessor, InMemorySpanExporter } from "@opentelemetry/sdk-trace-base"
import { Effect, Layer, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const exporter = new InMemorySpanExporter() // or OTLPTraceExporter of @opentelemetry/exporter-trace-otlp-http
const Telemetry = NodeSdk.layer(() => ({
  resource: { serviceName: "shop" },
  spanProcessor: new BatchSpanProcessor(exporter),
}))
const Ship = Smithers.createWorkflow({ name: "ship", input: Schema.Struct({}) }).build(($) =>
  $.step("pack", { output: Schema.String, run: () => "packed" }),
)
await Effect.runPromise(Ship.execute({}).pipe(Effect.provide(Layer.merge(Smithers.memory, Telemetry))))
