/**
 * Starts the process that a command needs, before anything else is loaded.
 *
 * The executable starts Bun without automatic installation, `.env` files and `bunfig.toml`, so that a command which only reads runs
 * no code of the current folder. A command that loads workflows replaces its process by one that reads both files, as any program
 * of the project does, and that resolves the packages of {@link BundledPackages} if a folder has none installed. The process keeps its id.
 * No process of smithers queries a package registry.
 */
import { delimiter } from "node:path"
import * as BundledPackages from "./BundledPackages.ts"
import { replace } from "./CLibrary.ts"

/** Bun options of a process that runs no code of a project. */
const isolated = ["--no-install", "--no-env-file", "--config=/dev/null"]

/** Bun options of a process that loads workflows. */
const loading = ["--no-install"]

/** Environment variable that marks the replaced process by its id, so that children which inherit it do not match. */
const marker = "SMITHERS_LAUNCHED"

/** First words of the commands that load workflows. */
const loaders: ReadonlySet<string> = new Set(["up", "check", "graph", "replay", "fork", "revert", "workflow", "schedule"])

/** Splits a command line into the options before the command and the rest. Only global options may precede it. */
export const leading = (argv: ReadonlyArray<string>): readonly [options: ReadonlyArray<string>, words: ReadonlyArray<string>] => {
  let count = 0
  for (let token = argv[0]; token !== undefined; token = argv[count]) {
    if (token === "--json" || token.startsWith("--json=") || token.startsWith("--db=")) count += 1
    else if (token === "--db") count += 2
    else break
  }
  return [argv.slice(0, count), argv.slice(count)]
}

/** Returns the command line that starts this program, as its executable does. */
export const self = (): ReadonlyArray<string> => [process.execPath, ...isolated, Bun.main]

/** `true` in the process that {@link replaceFor} has started. */
const isReplaced = process.env[marker] === String(process.pid)

/** Reason why this process must not load workflows. */
let refusal: string | undefined = "it was not started by the smithers command"

/** Returns the reason why this process must not load workflows; `undefined` if it may. */
export const whyNot = (): string | undefined => refusal

/**
 * Replaces the process if the command loads workflows. In the replaced process, only restores the environment, so that programs
 * started by a step see no difference.
 */
export const replaceFor = (argv: ReadonlyArray<string>, home: string): void => {
  const [, [command = ""]] = leading(argv)
  if (isReplaced) return restore()
  delete process.env[marker]
  if (!loaders.has(command)) return
  const { NODE_PATH } = process.env
  // Bun searches these folders after every `node_modules` upward.
  const paths = [BundledPackages.folder(home), ...(NODE_PATH === undefined || NODE_PATH === "" ? [] : [NODE_PATH])]
  const env = { ...process.env, NODE_PATH: paths.join(delimiter), [marker]: String(process.pid) }
  const line = [process.execPath, ...loading, Bun.main, ...argv]
  const descriptors = descriptorsIn(argv)
  try {
    if (process.execve === undefined || descriptors.length > 0) replace(process.execPath, line, env, descriptors)
    else process.execve(process.execPath, line, env)
    refusal = "it could not be replaced by a process that never installs packages"
  } catch (thrown) {
    refusal = (thrown as Error).message
  }
}

/** Returns the file descriptors that arguments name, such as those of a shell's `<(…)`. */
const descriptorsIn = (argv: ReadonlyArray<string>): ReadonlyArray<number> =>
  argv.flatMap((token) => {
    const [, number] = /\/(?:dev|proc\/self)\/fd\/(\d+)$/.exec(token) ?? []
    return number === undefined ? [] : [Number(number)]
  })

const restore = (): void => {
  const { NODE_PATH = "" } = process.env
  const [, ...rest] = NODE_PATH.split(delimiter)
  refusal = undefined
  delete process.env[marker]
  if (rest.length === 0) delete process.env.NODE_PATH
  else process.env.NODE_PATH = rest.join(delimiter)
}
