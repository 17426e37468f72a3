/**
 * Commands without isolation of ours: with the rights of this process, on its files and its network. `"none"` says that there is no boundary;
 * `"container"` that the container around this process is one. Both clear the environment, and both are only chosen by name.
 */
import { existsSync } from "node:fs"
import { defaultMaxProcesses, Isolation, type IsolationShape, IsolationUnavailable } from "@smithers/core/Isolation"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Bubblewrap from "./Bubblewrap.ts"
import { environmentOf } from "./internal/environment.ts"
import * as Groups from "./internal/groups.ts"
import { resolvePolicy } from "./internal/paths.ts"

const make = (name: "none" | "container"): IsolationShape => ({
  name,
  isBoundary: false,
  prepare: Effect.fn("Isolation.prepare")(function* (policy, argv) {
    const { cwd } = yield* resolvePolicy(policy)
    const home = process.env.HOME ?? "/"
    const env = yield* environmentOf(policy, { HOME: home })
    const wrap = policy.ownProcesses === true ? yield* Bubblewrap.inOwnProcesses : undefined
    const group = yield* Groups.acquire((policy.maxProcesses ?? defaultMaxProcesses) + Groups.overhead)
    const started =
      wrap === undefined ? { argv, containment: "none" as const } : { ...wrap(argv), containment: "namespace" as const }
    return { ...started, argv: Groups.within(group, started.argv), env, cwd, group }
  }),
})

/** Runs commands as they are, with the environment of their policy. */
export const layerNone: Layer.Layer<Isolation> = Layer.succeed(Isolation, make("none"))

/** Files and variables by which engines of containers mark what runs in them. */
const isInContainer = (): boolean =>
  ["/.dockerenv", "/run/.containerenv"].some((file) => existsSync(file)) ||
  ["KUBERNETES_SERVICE_HOST", "container"].some((variable) => process.env[variable] !== undefined) ||
  process.env.SMITHERS_CONTAINER === "1"

/** Runs commands as they are, in a container. Building the layer fails where there is no sign of one; `SMITHERS_CONTAINER=1` is such a sign. */
export const layerContainer: Layer.Layer<Isolation, IsolationUnavailable> = Layer.effect(
  Isolation,
  Effect.suspend(() =>
    isInContainer()
      ? Effect.succeed(make("container"))
      : new IsolationUnavailable({
          isolation: "container",
          problem: "there is no sign that this process is in one (/.dockerenv, /run/.containerenv)",
          install: "Start it in a container, or set SMITHERS_CONTAINER=1 where it is in one.",
        }),
  ),
)
