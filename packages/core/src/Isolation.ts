/**
 * The port that isolates commands from the machine they run on. A layer turns a policy and a command into the command to start
 * instead; `packages/sandbox` has the layers. Nothing here starts a process.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

/**
 * The network that a command can reach: none, all of it, or hosts by name over HTTP and HTTPS. A name is exact
 * (`"api.github.com"`), or begins with `*.` for all names below it. With a port (`"localhost:8080"`) only that port is open,
 * without one 80 and 443.
 */
export const Network = Schema.Union(Schema.Literal("none", "all"), Schema.Array(Schema.NonEmptyString))
export type Network = typeof Network.Type

/** Processes of one command. Default of `maxProcesses`: a build of a large project has some hundred. */
export const defaultMaxProcesses = 512

/** The rights of one command. Paths are absolute, with symbolic links resolved. */
export interface Policy {
  /** The directory of the work. The command starts in it, unless `cwd` names a directory below it. */
  readonly root: string
  /** Default: `root`. */
  readonly cwd?: string | undefined
  /** `true` lets the command read the root, and write only to its private `/tmp`. Default: `false`. */
  readonly isReadOnly?: boolean | undefined
  /** Further paths that the command may read, such as the directory of a tool chain. Default: none. */
  readonly readable?: ReadonlyArray<string> | undefined
  /** Further paths that the command may write. Default: none. */
  readonly writable?: ReadonlyArray<string> | undefined
  /** Paths that are empty for the command, such as `.env`. A path that does not exist is left out. Default: none. */
  readonly hidden?: ReadonlyArray<string> | undefined
  /** Default: `"none"`. */
  readonly network?: Network | undefined
  /** The whole environment of the command, besides `PATH`, `HOME`, `TMPDIR` and `LANG`, which have defaults. Default: nothing else. */
  readonly env?: { readonly [name: string]: string } | undefined
  /** Processes of the command that may exist at once. Default: 512. */
  readonly maxProcesses?: number | undefined
  /**
   * `true` starts the command in a namespace of processes also where there is no other isolation, so that none of them outlives this
   * process. It has no effect where the machine has no such namespaces. Default: `false`.
   */
  readonly ownProcesses?: boolean | undefined
}

/** A command that is started instead of the one that was asked for. */
export interface Isolated {
  readonly argv: readonly [program: string, ...args: ReadonlyArray<string>]
  /** The environment of the program, complete. */
  readonly env: { readonly [name: string]: string }
  readonly cwd: string
  /**
   * `"namespace"`: the end of the program is the end of every process below it. `"none"`: descendants are to be found and killed.
   */
  readonly containment: "namespace" | "none"
  /** A file descriptor on which the program reports one JSON document per line; one with `exit-code` comes only where the command itself ran. */
  readonly statusFd?: number | undefined
}

/** Isolation that this machine cannot give. Nothing was started. `install` repairs it, where something does. */
export class IsolationUnavailable extends Schema.TaggedError<IsolationUnavailable>()("IsolationUnavailable", {
  isolation: Schema.String,
  problem: Schema.String,
  install: Schema.optional(Schema.String),
}) {
  override get message(): string {
    const repair = this.install === undefined ? "" : ` ${this.install}`
    return `Commands cannot be isolated by ${this.isolation}: ${this.problem}.${repair} To run them without isolation, choose it by name: isolation "none"; where a container is the boundary: isolation "container".`
  }
}

/** A policy that cannot be carried out as it is. Nothing was started. */
export class InvalidPolicy extends Schema.TaggedError<InvalidPolicy>()("InvalidPolicy", {
  field: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `The policy of a command cannot be carried out: ${this.field} ${this.problem}.`
  }
}

/** Isolates commands. */
export interface IsolationShape {
  /** The name of the isolation, as it is chosen and reported. */
  readonly name: string
  /** Prepares a command. What it needs besides itself, such as a proxy, lives until the scope closes. */
  readonly prepare: (
    policy: Policy,
    argv: readonly [program: string, ...args: ReadonlyArray<string>],
  ) => Effect.Effect<Isolated, IsolationUnavailable | InvalidPolicy, Scope.Scope>
}

/** Isolates commands. A runtime without one refuses to start commands of tools. */
export class Isolation extends Context.Tag("@smithers/core/Isolation")<Isolation, IsolationShape>() {}
