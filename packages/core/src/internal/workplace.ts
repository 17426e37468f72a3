/**
 * The place that a step works in, where that is not the directory of the runtime: a worktree or a sandbox. It is opened before each attempt, so that one which is gone
 * when a run is resumed is made again.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { CommandRunnerShape } from "../CommandRunner.ts"
import type * as Plan from "../Plan.ts"
import {
  type Patch,
  type PatchConflict,
  Sandboxes,
  SandboxFailed,
  type SandboxProvider,
  type SandboxRequest,
} from "../Sandboxes.ts"
import type { WorktreeFailed } from "../Worktrees.ts"
import * as Worktree from "./worktree.ts"

/** The innermost place around a position of a plan. */
export const around = (plan: Plan.Plan, position: number): Plan.Workplace | undefined => {
  for (let above = plan.parent(position); above >= 0; above = plan.parent(above)) {
    const outer = plan.node(above)
    if (outer._tag === "Sequence" && outer.place !== undefined) return outer.place
  }
  return undefined
}

/** A place that is open for an attempt. */
export interface Opened {
  readonly directory: string
  /** Runs the commands of its tools. `undefined` in a worktree, whose commands are those of the runtime. */
  readonly commands: CommandRunnerShape | undefined
}

/** Opens a place for an attempt. */
export const open = (place: Plan.Workplace, runId: string): Effect.Effect<Opened, WorktreeFailed | SandboxFailed> =>
  place._tag === "Worktree"
    ? Effect.map(Worktree.open(place, runId), (directory) => ({ directory, commands: undefined }))
    : openSandbox(place, runId)

const using = <A, E>(
  sandbox: Plan.Sandbox,
  runId: string,
  use: (provider: SandboxProvider, request: SandboxRequest, sandboxes: Sandboxes["Type"] | undefined) => Effect.Effect<A, E>,
): Effect.Effect<A, E | SandboxFailed> =>
  Effect.gen(function* () {
    const { id, provider: named, allowNetwork, include, limits } = sandbox
    const service = Option.getOrUndefined(yield* Effect.serviceOption(Sandboxes))
    const provider = typeof named === "string" ? service?.providers[named] : named
    if (provider === undefined) {
      const problem =
        service === undefined
          ? "this runtime makes no sandboxes. Provide a layer of Sandboxes, as those of smithers-orchestrator do."
          : `this runtime has no provider "${named}". It has ${Object.keys(service.providers).join(", ")}.`
      return yield* new SandboxFailed({ sandbox: id, problem, isTransient: false })
    }
    const root = yield* Worktree.rootFor(id)
    return yield* use(provider, { root, runId, id, allowNetwork, include, limits }, service)
  })

/** Opens a sandbox. */
export const openSandbox = (sandbox: Plan.Sandbox, runId: string) =>
  using(sandbox, runId, (provider, request) => provider.open(request))

/** Takes the patch of a sandbox. Fails if its files are not those that it was opened with: the work of finished steps would be missing. */
export const patch = (sandbox: Plan.Sandbox, runId: string, made: string) =>
  using(sandbox, runId, (provider, request) =>
    Effect.flatMap(provider.patch(request), (patch) => {
      if (patch.made === made) return Effect.succeed(patch)
      const problem = "its files were lost while its steps worked, and with them what finished steps had done. Start the run again."
      return new SandboxFailed({ sandbox: sandbox.id, problem, isTransient: false })
    }),
  )

/** Applies a patch to the root of the runtime. */
export const apply = (sandbox: Plan.Sandbox, runId: string, patch: Patch): Effect.Effect<void, PatchConflict | SandboxFailed> =>
  using(
    sandbox,
    runId,
    (_, request, sandboxes): Effect.Effect<void, PatchConflict | SandboxFailed> =>
      sandboxes === undefined
        ? new SandboxFailed({ sandbox: sandbox.id, problem: "this runtime applies no patches.", isTransient: false })
        : sandboxes.apply(request, patch),
  )

/** Closes a sandbox. */
export const close = (sandbox: Plan.Sandbox, runId: string) => using(sandbox, runId, (provider, request) => provider.close(request))
