/**
 * Starts the process that a command needs, before anything else is loaded.
 *
 * The executable starts Bun without automatic installation, without `.env` files and without a `bunfig.toml`, so that a command which
 * only reads runs no code of the folder it is typed in. A command that loads workflows then replaces its process by one that has both
 * files, as any program of that project has, and that resolves the packages of {@link Provided} where a folder has none installed. The
 * process keeps its id. No process of ours ever asks a package registry for anything.
 */
import { delimiter } from "node:path"
import { replace } from "./CLibrary.ts"
import * as Provided from "./Provided.ts"

/** Options of Bun for a process that runs no code of a project. */
const isolated = ["--no-install", "--no-env-file", "--config=/dev/null"]

/** Options of Bun for a process that loads workflows. */
const loading = ["--no-install"]

/** Set for the one process that has been replaced, by its id: children that inherit it have another. */
const marker = "SMITHERS_LAUNCHED"

/** The commands that load workflows, by their first word. */
const loaders: ReadonlySet<string> = new Set(["up", "check", "graph", "workflow"])

/** Splits a command line before the command: options of all commands may stand there. */
export const leading = (argv: ReadonlyArray<string>): readonly [options: ReadonlyArray<string>, words: ReadonlyArray<string>] => {
  let count = 0
  for (let token = argv[0]; token !== undefined; token = argv[count]) {
    if (token === "--json" || token.startsWith("--json=") || token.startsWith("--db=")) count += 1
    else if (token === "--db") count += 2
    else break
  }
  return [argv.slice(0, count), argv.slice(count)]
}

/** The command line that starts this program once more, as its executable does. */
export const self = (): ReadonlyArray<string> => [process.execPath, ...isolated, Bun.main]

/** Whether this is the process that came of {@link replaceFor}. */
const isReplaced = process.env[marker] === String(process.pid)

/** Why workflows cannot be loaded in this process. */
let refusal: string | undefined = "it was not started by the smithers command"

/** Why workflows cannot be loaded in this process; `undefined` where they can. */
export const whyNot = (): string | undefined => refusal

/**
 * Replaces the process where the command loads workflows. Does nothing in the process that came of it, other than giving the environment
 * back as it was: programs that a step starts see nothing of this.
 */
export const replaceFor = (argv: ReadonlyArray<string>, home: string): void => {
  const [, [command = ""]] = leading(argv)
  if (isReplaced) return restore()
  delete process.env[marker]
  if (!loaders.has(command)) return
  const { NODE_PATH } = process.env
  // Bun looks there for what no `node_modules` on the way up has.
  const paths = [Provided.folder(home), ...(NODE_PATH === undefined || NODE_PATH === "" ? [] : [NODE_PATH])]
  const env = { ...process.env, NODE_PATH: paths.join(delimiter), [marker]: String(process.pid) }
  const line = [process.execPath, ...loading, Bun.main, ...argv]
  const descriptors = descriptorsIn(argv)
  try {
    if (process.execve === undefined || descriptors.length > 0) replace(process.execPath, line, env, descriptors)
    else process.execve(process.execPath, line, env)
    refusal = "the process could not be replaced by one that installs nothing"
  } catch (thrown) {
    refusal = (thrown as Error).message
  }
}

/** Descriptors that arguments name, such as those of a shell's `<(…)`. */
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
