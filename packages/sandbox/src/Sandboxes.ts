/**
 * The providers of sandboxes that a runtime has: `local`, a copy of the root, and `worktree`, a work tree of git. Commands run under the isolation of commands, each with
 * a network of its own, and with the files of the sandbox alone. `make` builds others from a way to run commands.
 */
import { randomUUID } from "node:crypto"
import { appendFileSync, existsSync, mkdirSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } from "node:fs"
import { readdir, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import type { CommandError, CommandResult, CommandRunnerShape, CommandUse, Options } from "@smithers/core/CommandRunner"
import * as Digest from "@smithers/core/Digest"
import { covers, type Network, type Policy, parseHost } from "@smithers/core/Isolation"
import {
  heldLimits,
  type OpenSandbox,
  type Patch,
  PatchConflict,
  type SandboxCommand,
  type SandboxesShape,
  SandboxFailed,
  type SandboxLimits,
  type SandboxProvider,
  type SandboxRequest,
} from "@smithers/core/Sandboxes"
import { defined } from "@smithers/core/Struct"
import type { WorktreeFailed, WorktreesShape } from "@smithers/core/Worktrees"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Application from "./internal/application.ts"
import { isWithin } from "./internal/paths.ts"
import * as Tree from "./internal/tree.ts"
import type { ProviderParts } from "./ProviderParts.ts"
import * as Runner from "./Runner.ts"

const slug = (id: string): string => {
  const plain = id
    .toLowerCase()
    .replaceAll(/[^a-z0-9_]+/g, "-")
    .slice(0, 60)
    .replaceAll(/^-+|-+$/g, "")
  return plain === id ? plain : `${plain}-${Digest.ofValue(id).slice(0, 8)}`
}

/** The directory of a sandbox: `.smithers/sandboxes/<run>/<id>` below the root. */
export const directoryOf = ({ root, runId, id }: Pick<SandboxRequest, "root" | "runId" | "id">): string =>
  join(realpathSync(root), ".smithers", "sandboxes", slug(runId), slug(id))

const failed = ({ id }: SandboxRequest, problem: string, isTransient = false) =>
  new SandboxFailed({ sandbox: id, problem, isTransient })

const attempt = <A>(request: SandboxRequest, act: () => Promise<A>): Effect.Effect<A, SandboxFailed> =>
  Effect.tryPromise({
    try: act,
    catch: (error) => failed(request, error instanceof Error ? error.message : String(error), !(error instanceof Tree.Unpatchable)),
  })

/** The files of a sandbox, as they were made. */
interface Made {
  readonly made: string
  readonly tree: string
}

const readMade = (directory: string): Made | undefined => {
  const file = join(directory, "made")
  if (!existsSync(file)) return undefined
  const made = readFileSync(file, "utf8").trim()
  const tree = join(directory, made, "tree")
  return /^[0-9a-f-]{36}$/.test(made) && existsSync(tree) ? { made, tree } : undefined
}

/** A file `.git` that names no repository: git looks no further up, and says that it is in none. */
const boundary = "this directory belongs to no repository\n"

/** Keeps sandboxes out of the repository above them, and the git of those who work in them as well. */
const setApart = (directory: string): void => {
  const all = join(directory, "..", "..")
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  for (const [name, content] of [
    [".gitignore", "*\n"],
    [".git", boundary],
  ] as const) {
    const file = join(all, name)
    if (!existsSync(file)) writeFileSync(file, content)
  }
}

/** The record of a sandbox, by which it is closed when its run is gone. */
const recordFile = "sandbox.json"
const Record = Schema.parseJson(Schema.Struct({ runId: Schema.String, id: Schema.String, provider: Schema.String }))

/** The smaller of two bounds. */
const least = (one: number | undefined, other: number | undefined): number | undefined =>
  one === undefined ? other : other === undefined ? one : Math.min(one, other)

/** The hosts that both the sandbox and the command allow. */
export const networkOf = (allowed: ReadonlyArray<string>, wanted: Network | undefined): Network => {
  if (allowed.length === 0 || wanted === "none") return "none"
  if (wanted === undefined || wanted === "all") return allowed
  const hosts = allowed.flatMap((host) => Either.match(parseHost(host), { onLeft: () => [], onRight: (parsed) => [parsed] }))
  const both = wanted.filter((host) =>
    Either.match(parseHost(host), { onLeft: () => false, onRight: (parsed) => hosts.some((one) => covers(one, parsed)) }),
  )
  return both.length === 0 ? "none" : both
}

/** The options of a command, held to the limits and the network of its sandbox, and to its directory. */
const boundedBy = (request: SandboxRequest, directory: string, options: Options): Options => {
  const { timeout, memoryBytes, cpuTime, maxProcesses, maxFileBytes }: SandboxLimits = request.limits ?? {}
  const { policy } = options
  const isInside = isWithin(directory, policy.root)
  const bounded: Policy = {
    ...policy,
    root: isInside ? policy.root : directory,
    cwd: isInside ? policy.cwd : directory,
    network: networkOf(request.allowNetwork ?? [], policy.network),
    maxProcesses: least(policy.maxProcesses, maxProcesses),
    maxFileBytes: least(policy.maxFileBytes, maxFileBytes),
    ownProcesses: true,
  }
  const shorter = (one: Duration.DurationInput | undefined, other: Duration.DurationInput | undefined): number | undefined =>
    least(one === undefined ? undefined : Duration.toMillis(one), other === undefined ? undefined : Duration.toMillis(other))
  return {
    ...options,
    policy: bounded,
    ...defined({ timeout: shorter(options.timeout, timeout), cpuTime: shorter(options.cpuTime, cpuTime) }),
    memoryBytes: least(options.memoryBytes, memoryBytes),
  }
}

/** Characters of the end of its output that are kept of a command, and commands that are kept. */
const tailLength = 500
const mostCommands = 50

/** Writes each command that ends into the log of its sandbox. */
const logged = (directory: string, runner: CommandRunnerShape, request: SandboxRequest, tree: string): CommandRunnerShape => ({
  ...runner,
  run: (argv, options) =>
    Effect.suspend(() => {
      const begun = performance.now()
      const write = (exitCode: number | null, tail: string, used?: CommandUse): void => {
        const durationMs = Math.round(performance.now() - begun)
        const line: SandboxCommand = {
          command: argv.join(" ").slice(0, tailLength),
          exitCode,
          durationMs,
          tail: tail.slice(-tailLength),
          ...used,
        }
        if (existsSync(directory)) appendFileSync(join(directory, "log.jsonl"), `${JSON.stringify(line)}\n`, { mode: 0o600 })
      }
      return runner.run(argv, boundedBy(request, tree, options)).pipe(
        Effect.tap(({ exitCode, stdout, stderr, used }: CommandResult) =>
          Effect.sync(() => write(exitCode ?? null, `${stdout.text}${stderr.text}`, used)),
        ),
        Effect.tapError((error: CommandError) =>
          Effect.sync(() => write(null, error.message, error._tag === "CommandStopped" ? error.used : undefined)),
        ),
        Effect.onInterrupt(() => Effect.sync(() => write(null, "it was interrupted"))),
      )
    }),
})

const readLog = (directory: string): ReadonlyArray<SandboxCommand> => {
  const file = join(directory, "log.jsonl")
  if (!existsSync(file)) return []
  return readFileSync(file, "utf8")
    .split("\n")
    .flatMap((line) => (line === "" ? [] : [JSON.parse(line)]))
}

const known = (numbers: ReadonlyArray<number | undefined>): ReadonlyArray<number> =>
  numbers.flatMap((number) => (number === undefined ? [] : [number]))
const most = (numbers: ReadonlyArray<number | undefined>): number | undefined =>
  known(numbers).reduce<number | undefined>((found, one) => Math.max(found ?? 0, one), undefined)
const sumOf = (numbers: ReadonlyArray<number | undefined>): number | undefined =>
  known(numbers).reduce<number | undefined>((sum, one) => (sum ?? 0) + one, undefined)

/** Makes a provider whose files are in a directory of this machine, from a way to run commands there. */
export const make = (parts: ProviderParts): SandboxProvider => {
  const locks = new Map<string, Effect.Semaphore>()
  /** One operation at a time on a sandbox: parallel steps open the same one. */
  const alone = <A, E>(directory: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E> => {
    const lock = locks.get(directory) ?? Effect.unsafeMakeSemaphore(1)
    locks.set(directory, lock)
    return lock.withPermits(1)(effect)
  }
  const asFailed = (request: SandboxRequest) => (error: WorktreeFailed) => failed(request, error.problem, error.isTransient)
  const at = <A>(
    request: SandboxRequest,
    use: (directory: string) => Effect.Effect<A, SandboxFailed>,
  ): Effect.Effect<A, SandboxFailed> =>
    Effect.suspend(() => {
      if (!existsSync(request.root)) return failed(request, `the root of the runtime does not exist: ${request.root}.`)
      const directory = directoryOf(request)
      return alone(directory, use(directory))
    })

  const makeAnew = (request: SandboxRequest, directory: string): Effect.Effect<Made, SandboxFailed> =>
    Effect.gen(function* () {
      const root = realpathSync(request.root)
      yield* attempt(request, () => sweep(directory))
      setApart(directory)
      const { runId, id } = request
      writeFileSync(join(directory, recordFile), Schema.encodeSync(Record)({ runId, id, provider: parts.name }))
      const made = randomUUID()
      const place = join(directory, made)
      const tree = join(place, "tree")
      if (parts.tree === undefined) yield* attempt(request, () => Tree.copyRoot(root, tree, request.include ?? []))
      else yield* Effect.mapError(parts.tree.open(request, tree), asFailed(request))
      yield* attempt(request, () => Tree.copyTree(tree, join(place, "base")))
      // From here on it is there.
      writeFileSync(join(directory, "made.new"), made)
      renameSync(join(directory, "made.new"), join(directory, "made"))
      return { made, tree }
    })

  return {
    name: parts.name,
    limits: parts.limits ?? heldLimits,
    open: (request) =>
      at(request, (directory) =>
        Effect.gen(function* () {
          const { made, tree } = readMade(directory) ?? (yield* makeAnew(request, directory))
          const commands = parts.commands({ directory: tree, request })
          return { directory: tree, made, commands: logged(join(directory, made), commands, request, tree) } satisfies OpenSandbox
        }),
      ),
    patch: (request) =>
      at(request, (directory) =>
        Effect.gen(function* () {
          const found = readMade(directory)
          if (found === undefined)
            return yield* failed(request, "its files are gone, and with them what its steps had done. Start the run again.")
          const place = join(directory, found.made)
          const { bytes, ...compared } = yield* attempt(request, () =>
            Tree.compare(realpathSync(request.root), place, "base", found.tree),
          )
          const log = readLog(place)
          return {
            made: found.made,
            ...compared,
            log: log.slice(-mostCommands),
            usage: {
              commands: log.length,
              commandMs: log.reduce((sum, { durationMs }) => sum + durationMs, 0),
              changedBytes: bytes,
              ...defined({
                peakMemoryBytes: most(log.map(({ peakMemoryBytes }) => peakMemoryBytes)),
                cpuMs: sumOf(log.map(({ cpuMs }) => cpuMs)),
              }),
            },
          } satisfies Patch
        }),
      ),
    close: (request) =>
      at(request, (directory) =>
        Effect.gen(function* () {
          if (parts.close !== undefined) yield* parts.close(request)
          const found = readMade(directory)
          // Git removes no work tree with work in it, and forgets one that is gone.
          if (found !== undefined) yield* attempt(request, () => Tree.remove(found.tree))
          if (parts.tree !== undefined && found !== undefined)
            yield* Effect.mapError(parts.tree.remove(request, found.tree), asFailed(request))
          yield* attempt(request, async () => {
            await sweep(directory)
            await removeEmpty(join(directory, ".."))
          })
          locks.delete(directory)
        }),
      ),
  }
}

/** A sandbox that a run has left. */
export interface LeftSandbox {
  readonly runId: string
  readonly directory: string
}

/**
 * Removes the sandboxes that ended runs have left below a root, and returns them. Those that were used after `before` (epoch ms) stay: they are of other runs with the same
 * id. With `isDryRun` nothing is removed. Of a provider that is not among these only the files are removed.
 */
export const collect = (
  given: { readonly root: string; readonly runIds: Iterable<string>; readonly before: number; readonly isDryRun: boolean },
  providers: SandboxesShape["providers"],
): Effect.Effect<ReadonlyArray<LeftSandbox>, SandboxFailed> =>
  Effect.gen(function* () {
    const collected: Array<LeftSandbox> = []
    const { root, runIds, before, isDryRun } = given
    if (!existsSync(join(root, ".smithers", "sandboxes"))) return collected
    for (const runId of runIds) {
      const ofRun = join(directoryOf({ root, runId, id: "any" }), "..")
      for (const name of yield* Effect.promise(() => readdir(ofRun).catch(() => []))) {
        const directory = join(ofRun, name)
        if (lastUse(directory) >= before) continue
        collected.push({ runId, directory })
        if (isDryRun) continue
        const record = readRecord(directory)
        const provider = record === undefined ? undefined : providers[record.provider]
        const request = { root, runId, id: record?.id ?? name }
        if (provider !== undefined) yield* provider.close(request)
        yield* attempt(request, () => sweep(directory))
      }
      yield* Effect.promise(() => removeEmpty(ofRun))
    }
    return collected
  })

const readRecord = (directory: string): typeof Record.Type | undefined => {
  const file = join(directory, recordFile)
  return existsSync(file) ? Option.getOrUndefined(Schema.decodeOption(Record)(readFileSync(file, "utf8"))) : undefined
}

/** The time of the last change that can be seen without looking through all files, in epoch ms. */
const lastUse = (directory: string): number => {
  const made = readMade(directory)
  const parts = made === undefined ? [] : [made.tree, join(directory, made.made, "log.jsonl")]
  const times = [directory, ...parts].map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0)
  return Math.floor(Math.max(...times))
}

/** Removes what is there of a sandbox, whole or half made. Out of the way first, so that no half of it is found. */
const sweep = async (directory: string): Promise<void> => {
  if (!existsSync(directory)) return
  const gone = `${directory}.gone-${randomUUID()}`
  await rename(directory, gone)
  await Tree.remove(gone)
}

const removeEmpty = async (directory: string): Promise<void> => {
  const left = await readdir(directory).catch(() => ["?"])
  if (left.length === 0) await rm(directory, { recursive: true, force: true })
}

/** A copy of the root, whose commands are isolated from the machine: by bubblewrap on Linux, by sandbox-runtime on macOS. */
export const local = (runner: CommandRunnerShape = Runner.make(Runner.defaultIsolation)): SandboxProvider =>
  make({ name: "local", commands: () => runner })

/** A work tree of git with a branch of its own, in which commands are isolated from the machine. Its branch is kept, the directory is removed. */
export const worktree = (
  worktrees: WorktreesShape,
  runner: CommandRunnerShape = Runner.make(Runner.defaultIsolation),
): SandboxProvider => {
  const of = ({ root, runId, id }: SandboxRequest, path: string) => ({ root, path, branch: `smithers/${slug(runId)}/${slug(id)}` })
  return make({
    name: "worktree",
    commands: () => runner,
    tree: {
      open: (request, path) => Effect.asVoid(worktrees.open(of(request, path))),
      remove: (request, path) => Effect.asVoid(worktrees.remove(of(request, path))),
    },
  })
}

/** Applies a patch to the root of a request, as `SandboxesShape.apply` says. */
export const apply: SandboxesShape["apply"] = (request, patch) =>
  Effect.flatMap(
    attempt(request, () => Application.apply(realpathSync(request.root), join(directoryOf(request), "applied.json"), patch)),
    (paths) => (paths.length === 0 ? Effect.void : new PatchConflict({ sandbox: request.id, paths: [...paths], diff: patch.diff })),
  )

/** The sandboxes of a runtime. */
export const sandboxes = (worktrees: WorktreesShape): SandboxesShape => ({
  providers: { local: local(), worktree: worktree(worktrees) },
  apply,
})
