/**
 * Control groups of commands. The kernel counts processes of ordinary users by themselves, and none of root: there a group holds them to their number, and says
 * which they are, wherever they have gone. Without a hierarchy that this process may write there is no group.
 */
import { randomUUID } from "node:crypto"
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** Processes of a group that are not the command's own: those of bubblewrap, the shell that sets up, and the way to a proxy. */
export const overhead = 8

/** Directories of the controller of processes: of the first version, and of the second. */
const hierarchies = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"]

/** A hierarchy that this process may write, or `undefined`. Tried once. */
const hierarchy: Effect.Effect<string | undefined> = Effect.runSync(
  Effect.cached(
    Effect.sync(() => {
      if (process.platform !== "linux" || process.getuid?.() !== 0) return undefined
      return hierarchies.find((directory) => {
        try {
          accessSync(directory, constants.W_OK)
          const made = make(directory, 1)
          rmdirSync(made)
          sweep(directory)
          return true
        } catch {
          return false
        }
      })
    }),
  ),
)

/** Makes a group of at most so many processes. Throws where the hierarchy counts none. */
const make = (directory: string, maxProcesses: number): string => {
  const group = `${directory}/smithers-${process.pid}-${randomUUID()}`
  mkdirSync(group)
  try {
    if (!existsSync(`${group}/pids.max`)) throw new Error("it counts no processes")
    writeFileSync(`${group}/pids.max`, String(maxProcesses))
    return group
  } catch (thrown) {
    rmdirSync(group)
    throw thrown
  }
}

/** Removes groups that processes have left behind which were killed. */
const sweep = (directory: string): void => {
  for (const name of readdirSync(directory)) {
    const [, owner] = /^smithers-(\d+)-/.exec(name) ?? []
    if (owner === undefined || existsSync(`/proc/${owner}`)) continue
    try {
      rmdirSync(`${directory}/${name}`)
    } catch {
      // A process of it lives.
    }
  }
}

/** The processes of a group. */
export const processesOf = (group: string): ReadonlyArray<number> => {
  try {
    return readFileSync(`${group}/cgroup.procs`, "utf8").split("\n").filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** Milliseconds that the end of the last processes of a group is waited for. */
const patienceMs = 2000

const remove = (group: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let waited = 0; waited <= patienceMs; waited += 10) {
      const isGone = yield* Effect.sync(() => {
        try {
          rmdirSync(group)
          return true
        } catch {
          return !existsSync(group)
        }
      })
      if (isGone) return
      yield* Effect.sleep(10)
    }
  })

/** Makes a group for one command until the scope closes. `undefined` where there are none. */
export const acquire = (maxProcesses: number): Effect.Effect<string | undefined, never, Scope.Scope> =>
  Effect.flatMap(hierarchy, (directory) =>
    directory === undefined
      ? Effect.succeed(undefined)
      : Effect.acquireRelease(
          Effect.sync(() => make(directory, maxProcesses)),
          remove,
        ),
  )

/** Starts a program in a group. The shell gives its place to the program, so that nothing stands between it and this process. */
export const within = (
  group: string | undefined,
  argv: readonly [program: string, ...args: ReadonlyArray<string>],
): readonly [program: string, ...args: ReadonlyArray<string>] =>
  group === undefined ? argv : ["/bin/sh", "-c", 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"', "sh", group, ...argv]
