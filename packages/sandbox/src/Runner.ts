/**
 * The runner of commands that a runtime has by default. The isolation is looked for with the first command, so that runs without commands need none; where it
 * cannot be had every command fails with `IsolationUnavailable`, and nothing is started. The code of an isolation is loaded with it.
 */
import { CommandRunner, type CommandRunnerShape } from "@smithers/core/CommandRunner"
import type { Isolation, IsolationUnavailable } from "@smithers/core/Isolation"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** The isolations by the names by which they are chosen. */
export const isolations = ["bubblewrap", "sandbox-runtime", "container", "none"] as const
export type IsolationName = (typeof isolations)[number]

/** The isolation of a runtime that names none. */
export const defaultIsolation: IsolationName = process.platform === "darwin" ? "sandbox-runtime" : "bubblewrap"

type IsolationLayer = Layer.Layer<Isolation, IsolationUnavailable>

const layers: { readonly [N in IsolationName]: () => Promise<IsolationLayer> } = {
  bubblewrap: async () => (await import("./Bubblewrap.ts")).layer,
  "sandbox-runtime": async () => (await import("./SandboxRuntime.ts")).layer,
  container: async () => (await import("./Unisolated.ts")).layerContainer,
  none: async () => (await import("./Unisolated.ts")).layerNone,
}

const load = (isolation: IsolationName): Effect.Effect<CommandRunnerShape, IsolationUnavailable> =>
  Effect.gen(function* () {
    const [layer, command] = yield* Effect.promise(() => Promise.all([layers[isolation](), import("./Command.ts")]))
    return yield* Effect.provide(CommandRunner, Layer.provide(command.layer, layer))
  })

/** Makes a runner whose isolation is set up once, with its first command. */
export const make = (isolation: IsolationName): CommandRunnerShape => {
  const built = Effect.runSync(Effect.cached(load(isolation)))
  const isBoundary = isolation !== "none" && isolation !== "container"
  return { isolation, isBoundary, run: (argv, options) => Effect.flatMap(built, (runner) => runner.run(argv, options)) }
}
