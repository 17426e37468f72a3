/**
 * The program of an agent on this machine: its file, what it needs to be seen by, and the environment that it gets.
 */
import { accessSync, constants, existsSync, mkdirSync, realpathSync, statSync } from "node:fs"
import { homedir } from "node:os"
import { basename, dirname, isAbsolute, join, resolve, sep } from "node:path"

type Environment = { readonly [name: string]: string | undefined }

/** Variables that every agent gets: the user, the language, and the way to the network. */
const common = [
  ...["PATH", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "TERM"],
  ...["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"],
  ...["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"],
  ...["SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"],
]

/** Variables by which an agent takes itself for the child of another, and hangs or refuses. */
const isInherited = (name: string): boolean => name === "CLAUDECODE" || name.startsWith("CLAUDE_CODE_")

/** The home of the user. */
export const homeOf = (environment: Environment): string => environment.HOME ?? homedir()

/**
 * Returns the environment of a program: variables of this process by list, then its own, then those of the settings. Variables that
 * mark the child of an agent come only from its own list, also where the settings pass the whole environment on.
 */
export const environmentOf = (
  environment: Environment,
  listed: ReadonlyArray<string>,
  own: Environment,
  extra: Environment,
): { readonly [name: string]: string } => {
  const names = [...common, ...listed]
  const chosen: ReadonlyArray<readonly [string, string | undefined]> = [
    ["HOME", homeOf(environment)],
    ...names.map((name) => [name, environment[name]] as const),
    ...Object.entries(extra).filter(([name]) => !isInherited(name) || listed.includes(name)),
    ...Object.entries(own),
  ]
  return Object.fromEntries(chosen.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
}

const isProgram = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}

/** Finds a program by its file or on a search path. */
export const find = (program: string, path: string, cwd: string): string | undefined => {
  if (program.includes(sep)) {
    const file = resolve(cwd, program)
    return isProgram(file) ? placed(file) : undefined
  }
  const found = path
    .split(":")
    .filter(isAbsolute)
    .map((directory) => join(directory, program))
    .find(isProgram)
  return found === undefined ? undefined : placed(found)
}

/** The file in its real directory. The name itself may be a link, by which some programs know what they are to be. */
const placed = (file: string): string => join(realpathSync(dirname(file)), basename(file))

/** Returns the directories that a program is read from: its own, and the modules around it. */
export const readable = (file: string): ReadonlyArray<string> => {
  const real = realpathSync(file)
  const [before] = real.split(`${sep}node_modules${sep}`)
  const modules = before === real ? [] : [join(before ?? sep, "node_modules")]
  return [...new Set([dirname(file), dirname(real), ...modules])].filter((directory) => directory !== sep)
}

/** Returns those of the files that exist. A directory below the home that does not is made, so that what is stored in it stays. */
export const state = (files: ReadonlyArray<string>): ReadonlyArray<string> =>
  files.filter((file) => {
    if (existsSync(file)) return true
    if (/\.\w+$/.test(basename(file).slice(1))) return false
    mkdirSync(file, { recursive: true, mode: 0o700 })
    return true
  })
