/**
 * The port that isolates commands from the machine they run on. A layer turns a policy and a command into the command to start
 * instead; `packages/sandbox` has the layers. Nothing here starts a process.
 */

import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Bounds from "./Bounds.ts"
import * as Later from "./Later.ts"

/** A host of a list. */
export interface Host {
  /** In lower case; an IPv6 address is without brackets. */
  readonly name: string
  /** `true` for all names below the host, and not the host itself. */
  readonly isBelow: boolean
  /** Default: 80 and 443. */
  readonly port: number | undefined
}

/** A host without the brackets of an IPv6 address and the dot of a complete name. */
export const bareHost = (host: string): string =>
  host
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "")

/** Reads a host of a list, or says what is wrong with it. */
export const parseHost = (listed: string): Either.Either<Host, string> => {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(listed)) return Either.left("is an address with a scheme: name the host alone")
  const [, below, name = "", port] =
    /^(\*\.)?(\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*\.?)(?::(\d{1,5}))?$/i.exec(
      listed,
    ) ?? []
  if (name === "")
    return Either.left('is no host: write a name such as "api.github.com", "*.npmjs.org" or "localhost:8080", or "[::1]:8080"')
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) return Either.left("has no port from 1 to 65535")
  return Either.right({
    name: bareHost(name),
    isBelow: below !== undefined,
    port: port === undefined ? undefined : Number(port),
  })
}

/** `true` if a list of hosts with this one opens at least what another host opens. */
export const covers = (wide: Host, narrow: Host): boolean => {
  const isBelow = narrow.name.endsWith(`.${wide.name}`) || (narrow.isBelow && narrow.name === wide.name)
  if (wide.isBelow ? !isBelow : narrow.isBelow || narrow.name !== wide.name) return false
  return wide.port === undefined
    ? narrow.port === undefined || narrow.port === 80 || narrow.port === 443
    : wide.port === narrow.port
}

const Listed = Schema.String.pipe(
  Schema.filter((listed) =>
    Either.match(parseHost(listed), { onLeft: (problem) => `"${listed}" ${problem}`, onRight: () => true }),
  ),
)

/**
 * The network that a command can reach: none, all of it, or hosts by name over HTTP and HTTPS. A name is exact
 * (`"api.github.com"`), or begins with `*.` for all names below it. With a port (`"localhost:8080"`) only that port is open,
 * without one 80 and 443.
 */
export const Network = Schema.Union(Schema.Literal("none", "all"), Schema.Array(Listed))
export type Network = typeof Network.Type

/**
 * The rights of the tools of one step, as its author lists them. They narrow those of the runtime: what is absent is as the runtime has it, and a step that
 * lists more than its runtime allows fails before an agent is asked.
 */
export interface StepRights {
  /** Tools that the agents of the step are offered, by their names. */
  readonly allowTools?: ReadonlyArray<string>
  /** Hosts that commands reach. */
  readonly allowNetwork?: ReadonlyArray<string>
  /** The directory that tools are confined to, from the root of the runtime or, in a worktree, from that. */
  readonly root?: string
  /** The worktree that the step works in, in place of the root of the runtime: an absolute path, which the engine sets. */
  readonly worktree?: string
  /** `true` offers tools that change nothing, and lets commands read only. */
  readonly isReadOnly?: true
}

/** Processes of one command. Default of `maxProcesses`: a build of a large project has some hundred. */
export const defaultMaxProcesses = Bounds.limitOf("commandProcesses")

/** Bytes of one file that a command writes. Default of `maxFileBytes`: images of machines are larger, and little else. */
export const defaultMaxFileBytes = Bounds.limitOf("commandFile")

/** The rights of one command. Paths are absolute, with symbolic links resolved. */
export interface Policy {
  /**
   * The directory of the work. The command starts in it, unless `cwd` names a directory below it. Repositories of git that it holds when the command
   * starts are read-only, those of submodules, worktrees and clones too.
   */
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
  /** Bytes of each file that the command writes. The kernel ends a process that goes on. Only isolations that are a boundary hold it. Default: 4 GiB. */
  readonly maxFileBytes?: number | undefined
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
  /** File descriptors of this process that the program inherits, as those after `statusFd`, in this order. It closes them before the command begins. */
  readonly inherited?: ReadonlyArray<number> | undefined
  /** The directory of a control group that all processes of the command are in, and that holds them to their number. */
  readonly group?: string | undefined
}

/** Isolation that this machine cannot give. Nothing was started. `install` repairs it, where something does. */
export class IsolationUnavailable extends Later.TaggedError<IsolationUnavailable>()("IsolationUnavailable", {
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
export class InvalidPolicy extends Later.TaggedError<InvalidPolicy>()("InvalidPolicy", {
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
  /** `true` if commands are held to their policy; `false` if they are started as they are. */
  readonly isBoundary: boolean
  /** Prepares a command. What it needs besides itself, such as a proxy, lives until the scope closes. */
  readonly prepare: (
    policy: Policy,
    argv: readonly [program: string, ...args: ReadonlyArray<string>],
  ) => Effect.Effect<Isolated, IsolationUnavailable | InvalidPolicy, Scope.Scope>
}

/** Isolates commands. A runtime without one refuses to start commands of tools. */
export class Isolation extends Context.Tag("@smithers/core/Isolation")<Isolation, IsolationShape>() {}
