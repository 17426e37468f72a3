/**
 * The port of sandboxes: places with files of their own, in which the commands of steps run isolated. A provider makes them; `packages/sandbox` has providers,
 * and users can write others. The work comes back as a patch, which is applied to the root of the runtime.
 */

import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Argv, CommandError, CommandResult, CommandRunnerShape } from "./CommandRunner.ts"
import * as Later from "./Later.ts"
import { Worktrees, type WorktreesShape } from "./Worktrees.ts"

/** Bounds of each command in a sandbox. A smaller bound of the command itself holds. */
export interface SandboxLimits {
  /** Longest time of a command. */
  readonly timeout?: Duration.DurationInput | undefined
  /** Bytes of memory of all processes of a command together. */
  readonly memoryBytes?: number | undefined
  /** CPU time of all processes of a command together. */
  readonly cpuTime?: Duration.DurationInput | undefined
  /** CPUs that a command uses at once, such as 1.5. Of the providers here none holds it; Docker can. */
  readonly cpus?: number | undefined
  /** Processes of a command that may exist at once. */
  readonly maxProcesses?: number | undefined
  /** Bytes of each file that a command writes. */
  readonly maxFileBytes?: number | undefined
}

/** A sandbox to open. Two requests with the same `root`, `runId` and `id` are for the same sandbox. */
export interface SandboxRequest {
  /** The directory that the runtime works in. Its files are copied. */
  readonly root: string
  readonly runId: string
  readonly id: string
  /** Hosts that commands reach. Default: none. */
  readonly allowNetwork?: ReadonlyArray<string> | undefined
  /** Files and directories to copy although git ignores them, from the root. */
  readonly include?: ReadonlyArray<string> | undefined
  readonly limits?: SandboxLimits | undefined
}

/** A sandbox that is open. */
export interface OpenSandbox {
  /** The directory of its files, with symbolic links resolved. */
  readonly directory: string
  /** Id of these files. Another one if they were lost and made again. */
  readonly made: string
  /** Runs commands inside. */
  readonly commands: CommandRunnerShape
}

/** A file of a patch: its content, or where a link points. */
export const PatchedFile = Schema.Struct({
  kind: Schema.Literal("file", "executable", "link"),
  encoding: Schema.Literal("utf8", "base64"),
  content: Schema.String,
})
export interface PatchedFile extends Schema.Schema.Type<typeof PatchedFile> {}

/** A change of one path. */
export const Change = Schema.Struct({
  /** From the root, with `/`. */
  path: Schema.String,
  /** Digest of what the sandbox began with, `null` where there was nothing. */
  before: Schema.NullOr(Schema.String),
  /** `null` removes it. */
  after: Schema.NullOr(PatchedFile),
})
export interface Change extends Schema.Schema.Type<typeof Change> {}

/** Something that a patch leaves out, such as `.git` and `.env`. */
export const LeftOut = Schema.Struct({ path: Schema.String, reason: Schema.String })
export interface LeftOut extends Schema.Schema.Type<typeof LeftOut> {}

/** A command that ran inside. */
export const SandboxCommand = Schema.Struct({
  command: Schema.String,
  /** `null` where it was killed. */
  exitCode: Schema.NullOr(Schema.Number),
  durationMs: Schema.Number,
  /** The end of its output. */
  tail: Schema.String,
  /** Most memory of its processes together, and their CPU time. Absent where the provider does not measure it, or the command was too short. */
  peakMemoryBytes: Schema.optional(Schema.Number),
  cpuMs: Schema.optional(Schema.Number),
})
export interface SandboxCommand extends Schema.Schema.Type<typeof SandboxCommand> {}

/** The work that was done in a sandbox. */
export const Patch = Schema.Struct({
  /** Id of the files that it was taken of: the `made` of the sandbox. */
  made: Schema.String,
  changes: Schema.Array(Change),
  left: Schema.Array(LeftOut),
  /** A unified diff for people. A long one is cut, which its last line says. */
  diff: Schema.String,
  /** The last commands. */
  log: Schema.Array(SandboxCommand),
  usage: Schema.Struct({
    commands: Schema.Number,
    commandMs: Schema.Number,
    changedBytes: Schema.Number,
    /** Most memory of one command, and CPU time of all. Absent where none was measured. */
    peakMemoryBytes: Schema.optional(Schema.Number),
    cpuMs: Schema.optional(Schema.Number),
  }),
})
export interface Patch extends Schema.Schema.Type<typeof Patch> {}

/** The result of a region in a sandbox. */
export const SandboxResult = Schema.Struct({
  /** `unchanged` if nothing had changed. After `rejected` the patch is kept as the output of `<id>~patch`. */
  status: Schema.Literal("applied", "rejected", "unchanged"),
  /** The paths that the patch changes. */
  files: Schema.Array(Schema.String),
  left: Schema.Array(LeftOut),
  diff: Schema.String,
  log: Schema.Array(SandboxCommand),
  usage: Patch.fields.usage,
})
export interface SandboxResult extends Schema.Schema.Type<typeof SandboxResult> {}

/** A sandbox that could not be opened, read or closed. If `isTransient`, the retry policy of the step applies. Otherwise the step fails at once. */
export class SandboxFailed extends Later.TaggedError<SandboxFailed>()("SandboxFailed", {
  sandbox: Schema.String,
  problem: Schema.String,
  isTransient: Schema.Boolean,
}) {
  override get message(): string {
    return `Sandbox "${this.sandbox}": ${this.problem}`
  }
}

/** A patch that does not fit the files any more: others have changed them since. Nothing was applied, and the patch is kept. */
export class PatchConflict extends Later.TaggedError<PatchConflict>()("PatchConflict", {
  sandbox: Schema.String,
  /** The paths that differ from what the sandbox began with. */
  paths: Schema.Array(Schema.String),
  /** The patch as a unified diff. The whole of it is the output of the step `<id>~patch`. */
  diff: Schema.String,
}) {
  override get message(): string {
    const [first = "", ...more] = this.paths
    const others = more.length === 0 ? "" : ` and ${more.length} more`
    return `The patch of sandbox "${this.sandbox}" was not applied: ${first}${others} changed meanwhile. The patch is kept as the output of "${this.sandbox}~patch". Bring the files back, or apply it by hand.`
  }
}

/** The limits that the providers of runtimes hold commands to. */
export const heldLimits: ReadonlyArray<keyof SandboxLimits> = ["timeout", "memoryBytes", "cpuTime", "maxProcesses", "maxFileBytes"]

/** Makes sandboxes of one kind. */
export interface SandboxProvider {
  readonly name: string
  /** The limits that it holds commands to. A sandbox with another one is refused. */
  readonly limits: ReadonlyArray<keyof SandboxLimits>
  /** Makes a sandbox, or finds the one that is there. After a crash the same call completes it. */
  readonly open: (request: SandboxRequest) => Effect.Effect<OpenSandbox, SandboxFailed>
  /** Compares the files of a sandbox with those that it began with. Fails if they are gone. Nothing runs inside meanwhile. */
  readonly patch: (request: SandboxRequest) => Effect.Effect<Patch, SandboxFailed>
  /** Ends all processes inside, and removes the files. Of a sandbox that is gone it succeeds. */
  readonly close: (request: SandboxRequest) => Effect.Effect<void, SandboxFailed>
}

export interface SandboxesShape {
  /** The providers by their names. */
  readonly providers: { readonly [name: string]: SandboxProvider }
  /**
   * Applies a patch to the root. All of it is applied, or none where it conflicts. A call that a crash has cut off is completed by the next one with the same patch; one that was
   * completed changes nothing, until the sandbox is closed.
   */
  readonly apply: (request: SandboxRequest, patch: Patch) => Effect.Effect<void, PatchConflict | SandboxFailed>
}

/** Makes sandboxes. In a runtime without it each step in a sandbox fails. */
export class Sandboxes extends Context.Tag("@smithers/core/Sandboxes")<Sandboxes, SandboxesShape>() {}

/** The names of the providers that runtimes have. */
export const providerNames = ["local", "worktree"] as const
export type ProviderName = (typeof providerNames)[number]

/** Makes sandboxes by code that is loaded with the first use. */
export const lazy = (load: (worktrees: WorktreesShape) => Promise<SandboxesShape>): Layer.Layer<Sandboxes, never, Worktrees> =>
  Layer.effect(
    Sandboxes,
    Effect.map(
      Effect.flatMap(Worktrees, (worktrees) => Effect.cached(Effect.promise(() => load(worktrees)))),
      (loaded): SandboxesShape => {
        const lazily = (name: ProviderName): SandboxProvider => {
          const use = <A>(act: (provider: SandboxProvider) => Effect.Effect<A, SandboxFailed>): Effect.Effect<A, SandboxFailed> =>
            Effect.flatMap(loaded, ({ providers }) => {
              const provider = providers[name]
              return provider === undefined
                ? new SandboxFailed({ sandbox: name, problem: `there is no provider "${name}".`, isTransient: false })
                : act(provider)
            })
          return {
            name,
            limits: heldLimits,
            open: (request) => use(({ open }) => open(request)),
            patch: (request) => use(({ patch }) => patch(request)),
            close: (request) => use(({ close }) => close(request)),
          }
        }
        return {
          providers: { local: lazily("local"), worktree: lazily("worktree") },
          apply: (request, patch) => Effect.flatMap(loaded, ({ apply }) => apply(request, patch)),
        }
      },
    ),
  )

/** Options of a command that a step runs in its sandbox. */
export interface SandboxExecOptions {
  /** The directory that it starts in, from that of the sandbox. */
  readonly cwd?: string
  readonly stdin?: string
  /** Default: that of the sandbox, otherwise 2 minutes. */
  readonly timeout?: Duration.DurationInput
  readonly env?: { readonly [name: string]: string }
}

/** The sandbox of a step, as its code uses it. */
export interface StepSandbox {
  readonly directory: string
  /** Runs a command inside. An exit code other than 0 is a result, and no failure. */
  readonly exec: (argv: Argv, options?: SandboxExecOptions) => Effect.Effect<CommandResult, CommandError>
}

/** Makes the face of a sandbox for the code of a step. */
export const stepSandbox = (directory: string, commands: CommandRunnerShape): StepSandbox => ({
  directory,
  exec: (argv, { cwd, env, ...options } = {}) =>
    commands.run(argv, {
      ...options,
      policy: { root: directory, network: "all", env, cwd: cwd === undefined ? undefined : `${directory}/${cwd}` },
    }),
})
