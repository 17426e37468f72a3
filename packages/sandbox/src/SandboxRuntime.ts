/**
 * Isolation by `@anthropic-ai/sandbox-runtime`, an optional peer: Seatbelt on macOS, where it is the default, bubblewrap on Linux. Its manager belongs to the whole
 * process and is started with the first command. Each command has file rules of its own, a private directory as `HOME` and `TMPDIR`, and the variables of its
 * policy alone.
 *
 * It refuses root on Linux. Its lists of hosts are bound to an id that the command holds and cannot guess of others, not to a socket of its own. On Linux it leaves empty files in the
 * working directory of this process while a command runs: there `Bubblewrap` is the better choice.
 */
import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import {
  defaultMaxProcesses,
  InvalidPolicy,
  type Isolated,
  Isolation,
  IsolationUnavailable,
  type Policy,
  parseHost,
} from "@smithers/core/Isolation"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Bubblewrap from "./Bubblewrap.ts"
import { environmentOf, pathDirectories } from "./internal/environment.ts"
import * as Groups from "./internal/groups.ts"
import { limitsOf } from "./internal/limits.ts"
import { type Resolved, resolvePolicy } from "./internal/paths.ts"
import * as Repositories from "./internal/repositories.ts"

/** The name by which this isolation is chosen. */
export const name = "sandbox-runtime"

const module = "@anthropic-ai/sandbox-runtime"

type Manager = typeof import("@anthropic-ai/sandbox-runtime")["SandboxManager"]
type Rules = NonNullable<NonNullable<Parameters<Manager["wrapWithSandboxArgv"]>[2]>["filesystem"]>

const unavailable = (problem: string, install?: string) =>
  new IsolationUnavailable({ isolation: name, problem, ...(install === undefined ? {} : { install }) })

/** What the package itself needs within the isolation: its programs, and the sockets of its proxy. */
const ownParts = (sandbox: Manager): ReadonlyArray<string> => [
  realpathSync(join(dirname(createRequire(import.meta.url).resolve(module)), "..", "vendor")),
  ...[sandbox.getLinuxHttpSocketPath(), sandbox.getLinuxSocksSocketPath()].filter((path) => path !== undefined),
]

const problemOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown))

/** Starts the manager, which a process has once. It allows nothing by itself: each command brings its rules. */
const start = async (): Promise<Manager> => {
  const { SandboxManager } = await import("@anthropic-ai/sandbox-runtime").catch(() => {
    throw unavailable(`the package ${module} cannot be loaded`, `Install it: bun add ${module}.`)
  })
  const network = { allowedDomains: [], deniedDomains: [] }
  await SandboxManager.initialize({ network, filesystem: { denyRead: [], allowWrite: [], denyWrite: [] } })
  return SandboxManager
}

/** The manager. A start that failed is tried again. */
const manager: Effect.Effect<Manager, IsolationUnavailable> = Effect.suspend(() => {
  started ??= start().catch((thrown: unknown) => {
    started = undefined
    throw thrown
  })
  const promised = started
  return Effect.tryPromise({
    try: () => promised,
    catch: (thrown) => (thrown instanceof IsolationUnavailable ? thrown : unavailable(problemOf(thrown))),
  })
})
let started: Promise<Manager> | undefined

/** Directories of macOS that programs need, and the parts of its file system where people have theirs. */
const people = ["/Users", "/Volumes", "/Network", "/private/tmp", "/private/var/tmp", "/private/var/folders", "/private/var/root"]
/** Writable by default, and the same for all commands. */
const shared = ["/tmp/claude", "/private/tmp/claude"]

const secrets = ["/private/etc/master.passwd", "/private/etc/sudoers", "/private/var/db/dslocal", "/Library/Keychains"]

/** The file rules of a command. Denied is what is not shown; on macOS programs cannot start without most of the system. */
const rulesOf = (
  resolved: Resolved,
  policy: Policy,
  path: string,
  own: string,
  parts: ReadonlyArray<string>,
  repositories: ReadonlyArray<string>,
): Rules => {
  const { root, readable, writable, hidden, git } = resolved
  const isMac = process.platform === "darwin"
  const shown = isMac ? [] : [...Bubblewrap.systemDirectories, ...Bubblewrap.systemFiles]
  const exact = (paths: ReadonlyArray<string>) => paths.map((each) => ({ path: each, literal: true as const }))
  const gits = [...repositories.map((below) => join(root, below)), ...git]
  return {
    denyRead: exact([...(isMac ? [...people, ...secrets] : ["/"]), ...hidden.map((one) => one.path)]),
    allowRead: exact([...shown, ...pathDirectories(path), ...readable, ...git, root, ...writable, own, ...parts]),
    allowWrite: exact([own, ...writable, ...(policy.isReadOnly === true ? [] : [root])]),
    denyWrite: exact([...gits, ...hidden.map((one) => one.path), ...shared]),
  }
}

/** Hosts as the manager lists them: one without a port is open at any. */
const hostsOf = ({ network = "none" }: Policy): Either.Either<ReadonlyArray<string>, InvalidPolicy> => {
  if (network === "none") return Either.right([])
  if (network === "all")
    return Either.left(new InvalidPolicy({ field: "network", problem: 'is "all", which sandbox-runtime cannot open: list hosts' }))
  return Either.right(
    network.flatMap((listed) =>
      Either.match(parseHost(listed), {
        onLeft: () => [],
        onRight: ({ name: host, isBelow, port }) => {
          const shown = `${isBelow ? "*." : ""}${host.includes(":") ? `[${host}]` : host}`
          return port === undefined ? [`${shown}:80`, `${shown}:443`] : [`${shown}:${port}`]
        },
      }),
    ),
  )
}

/** An argument as a shell reads it. */
const quoted = (argument: string): string => `'${argument.replaceAll("'", `'\\''`)}'`

/** A directory that a command has to itself, removed with its scope. */
const privateDirectory = Effect.acquireRelease(
  Effect.sync(() => {
    const made = realpathSync(mkdtempSync(join(realpathSync(tmpdir()), "smithers-command-")))
    for (const part of ["home", "tmp"]) mkdirSync(join(made, part))
    return made
  }),
  (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true })),
)

const prepare = (sandbox: Manager) =>
  Effect.fn("Isolation.prepare")(function* (policy: Policy, argv: Isolated["argv"]) {
    const resolved = yield* resolvePolicy(policy)
    const hosts = yield* hostsOf(policy)
    const own = yield* privateDirectory
    const env = yield* environmentOf(policy, { HOME: join(own, "home"), TMPDIR: join(own, "tmp") })
    const maxProcesses = policy.maxProcesses ?? defaultMaxProcesses
    const commandId = randomBytes(24).toString("base64url")
    if (hosts.length > 0) {
      yield* Effect.acquireRelease(
        Effect.try({
          try: () => sandbox.registerCommandNetworkLists(commandId, { allowedDomains: [...hosts] }),
          catch: (thrown) => new InvalidPolicy({ field: "network", problem: problemOf(thrown) }),
        }),
        () => Effect.sync(() => sandbox.unregisterCommandNetworkLists(commandId)),
      )
    }
    // It names a directory that all commands share.
    const directory = `TMPDIR=${env.TMPDIR}`
    // The words of the command are arguments: none of them is read as a program of the shell.
    const line = ["exec", "/usr/bin/env", directory, "/bin/sh", "-c", limitsOf(policy), "sh", ...argv]
      .map((word, index) => (index === 0 ? word : quoted(word)))
      .join(" ")
    const repositories = policy.isReadOnly === true ? [] : yield* Repositories.find(resolved.root)
    const filesystem = rulesOf(resolved, policy, env.PATH ?? "", own, ownParts(sandbox), repositories)
    const wrapped = yield* Effect.tryPromise({
      try: () => sandbox.wrapWithSandboxArgv(line, "/bin/bash", { filesystem }, undefined, resolved.cwd, { commandId }),
      catch: (thrown) => unavailable(problemOf(thrown)),
    })
    const [program, ...args] = wrapped.argv
    if (program === undefined) return yield* unavailable("it gave no command to start")
    const group = yield* Groups.acquire(maxProcesses + Groups.overhead)
    return {
      argv: Groups.within(group, [program, ...args]),
      env,
      cwd: resolved.cwd,
      containment: process.platform === "linux" ? ("namespace" as const) : ("none" as const),
      group,
    }
  })

/** Runs a program that does nothing under the isolation: where that is not to be had, its errors look like those of a command. */
const probe = (sandbox: Manager): Effect.Effect<void, IsolationUnavailable> =>
  Effect.async((resume) => {
    const filesystem: Rules = { denyRead: [], allowWrite: [], denyWrite: [] }
    const fail = (thrown: unknown): void => resume(unavailable(`a first command did not run ("${problemOf(thrown).trim()}")`))
    sandbox.wrapWithSandboxArgv("exit 7", "/bin/bash", { filesystem }).then(({ argv: [program = "", ...args] }) => {
      execFile(program, args, { timeout: 10_000, env: {} }, (error, _, stderr) =>
        error?.code === 7 ? resume(Effect.void) : fail(stderr === "" ? error : stderr),
      )
    }, fail)
  })

/** Isolates commands by sandbox-runtime. Building the layer fails with `IsolationUnavailable` where it is not installed, or this machine cannot. */
export const layer: Layer.Layer<Isolation, IsolationUnavailable> = Layer.effect(
  Isolation,
  Effect.gen(function* () {
    // Seen to happen: a command of root changes settings of the kernel.
    if (process.platform === "linux" && process.getuid?.() === 0)
      return yield* unavailable(
        "it leaves root its capabilities and the settings of the kernel",
        `Choose isolation "${Bubblewrap.name}", or another user.`,
      )
    const sandbox = yield* manager
    yield* probe(sandbox)
    return { name, isBoundary: true, prepare: prepare(sandbox) }
  }),
)
