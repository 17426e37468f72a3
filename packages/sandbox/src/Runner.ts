/**
 * The runner of commands that a runtime has by default. The isolation is looked for with the first command, so that runs without commands need none; where it
 * cannot be had every command fails with `IsolationUnavailable`, and nothing is started.
 */
import { CommandRunner, type CommandRunnerShape } from "@smithers/core/CommandRunner"
import type { Isolation, IsolationUnavailable } from "@smithers/core/Isolation"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Bubblewrap from "./Bubblewrap.ts"
import * as Command from "./Command.ts"
import * as SandboxRuntime from "./SandboxRuntime.ts"
import * as Unisolated from "./Unisolated.ts"

/** The isolations by the names by which they are chosen. */
export const isolations = ["bubblewrap", "sandbox-runtime", "container", "none"] as const
export type IsolationName = (typeof isolations)[number]

/** The isolation of a runtime that names none. */
export const defaultIsolation: IsolationName = process.platform === "darwin" ? "sandbox-runtime" : "bubblewrap"

const layers: { readonly [N in IsolationName]: Layer.Layer<Isolation, IsolationUnavailable> } = {
  bubblewrap: Bubblewrap.layer,
  "sandbox-runtime": SandboxRuntime.layer,
  container: Unisolated.layerContainer,
  none: Unisolated.layerNone,
}

/** Makes a runner whose isolation is set up once, with its first command. */
export const make = (isolation: IsolationName): CommandRunnerShape => {
  const built = Effect.runSync(Effect.cached(Effect.provide(CommandRunner, Layer.provide(Command.layer, layers[isolation]))))
  const isBoundary = isolation !== "none" && isolation !== "container"
  return { isolation, isBoundary, run: (argv, options) => Effect.flatMap(built, (runner) => runner.run(argv, options)) }
}
