/** Parts of a sandbox provider. */
import type { CommandRunnerShape } from "@smithers/core/CommandRunner"
import type { SandboxFailed, SandboxProvider, SandboxRequest } from "@smithers/core/Sandboxes"
import type { WorktreeFailed } from "@smithers/core/Worktrees"
import type * as Effect from "effect/Effect"

/** A provider as `make` completes it. */
export interface ProviderParts {
  readonly name: string
  /** The limits that its commands are held to. Default: all. */
  readonly limits?: SandboxProvider["limits"]
  /** Runs commands in an open sandbox. The options have the limits and the network of the request. */
  readonly commands: (sandbox: { readonly directory: string; readonly request: SandboxRequest }) => CommandRunnerShape
  /** Makes the directory of the files. Default: a copy of the root. */
  readonly tree?: {
    readonly open: (request: SandboxRequest, directory: string) => Effect.Effect<void, WorktreeFailed>
    readonly remove: (request: SandboxRequest, directory: string) => Effect.Effect<void, WorktreeFailed>
  }
  /** Ends what lives outside of commands, such as a container. Default: nothing. */
  readonly close?: (request: SandboxRequest) => Effect.Effect<void, SandboxFailed>
}
