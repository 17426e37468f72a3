import { Config, ConfigProvider, Effect, Layer } from "effect"
import { Smithers } from "smithers-orchestrator"

const settings = Smithers.layerConfig({ filename: Config.string("RUNS_FILE"), lease: Config.duration("RUNS_LEASE") })
const provider = ConfigProvider.fromMap(new Map([["RUNS_FILE", "smithers.db"], ["RUNS_LEASE", "45 seconds"]]))
const runs = Smithers.list().pipe(Effect.provide(Layer.provide(settings, Layer.setConfigProvider(provider))))
console.log((await Effect.runPromise(runs)).map(({ runId, status }) => `${runId}: ${status}`))
