/**
 * Git on the files of a place. Commands that read or write files and objects have a directory of git to themselves, made for the operation, with the objects of
 * the store: neither the index nor the configuration of the user is theirs, and no hook, filter, alias or helper that a repository names can run. Files are saved
 * byte for byte, since no conversion applies. Only refs are written where the user's are.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { homedir, tmpdir } from "node:os"
import { join, resolve } from "node:path"
import type { NoGit } from "@smithers/core/Workspaces"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Git from "./git.ts"
import { hasEnded, ownerOf } from "./owner.ts"
import type { Place } from "./place.ts"

interface Options {
  /** The file of the index. */
  readonly index?: string | undefined
  readonly stdin?: string | undefined
  readonly stopAfter?: number | undefined
  readonly codes?: ReadonlyArray<number> | undefined
  readonly through?: Git.Call["through"]
  /** `false` lets pathspecs have magic. Default: `true`. */
  readonly isLiteral?: boolean | undefined
  /** Another directory in place of the work tree. */
  readonly workTree?: string | undefined
}

/** The repository of a place during one operation. */
export interface Repository {
  readonly place: Place
  /** The directory of the operation, which is removed after it. */
  readonly temporary: string
  /** Runs git on files and objects. Paths are from the top of the work tree. */
  readonly git: (args: ReadonlyArray<string>, options?: Options) => Effect.Effect<Buffer, Git.GitFailed | NoGit>
  /** Runs git on the refs of the store. */
  readonly refs: (args: ReadonlyArray<string>, options?: Options) => Effect.Effect<Buffer, Git.GitFailed | NoGit>
  /** Files with attributes that apply to all directories. */
  readonly attributeFiles: ReadonlyArray<string>
  /** `true` where the user's git converts the ends of lines in all files. */
  readonly convertsAll: boolean
  /** `true` where names that differ by case alone are one file. */
  readonly ignoresCase: boolean
}

const temporaryPrefix = "smithers-git-"

const parsed = (output: Buffer): ReadonlyMap<string, string> =>
  new Map(
    Git.partsOf(output).map((part): [string, string] => {
      const end = part.indexOf("\n")
      // A key without a value is true.
      return end === -1 ? [part, "true"] : [part.slice(0, end), Git.textOf(part.slice(end + 1))]
    }),
  )

const isTrue = (value: string | undefined): boolean => value !== undefined && /^(?:true|yes|on|[1-9]\d*)$/i.test(value)

/** Settings that say what the file system can do, with the values they can have. */
const kept: ReadonlyArray<readonly [key: string, values: RegExp]> = [
  ["core.filemode", /^(?:true|false|yes|no|on|off|0|1)$/i],
  ["core.ignorecase", /^(?:true|false|yes|no|on|off|0|1)$/i],
  ["core.symlinks", /^(?:true|false|yes|no|on|off|0|1)$/i],
  ["core.precomposeunicode", /^(?:true|false|yes|no|on|off|0|1)$/i],
  ["core.trustctime", /^(?:true|false|yes|no|on|off|0|1)$/i],
  ["core.checkstat", /^(?:default|minimal)$/i],
  ["core.sharedrepository", /^(?:umask|group|all|world|everybody|true|false|yes|no|on|off|[0-7]{1,4})$/i],
]

const quoted = (value: string): string => `"${value.replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n").replace(/\t/g, "\\t")}"`

/** The text of a regular file, if it is of a sensible size: a named pipe would hold whoever opens it. */
export const textOfFile = (file: string | Buffer): string => {
  try {
    const stat = statSync(file)
    return stat.isFile() && stat.size <= 4 * 1024 * 1024 ? readFileSync(file, "latin1") : ""
  } catch {
    return ""
  }
}

const home = (): string => process.env.HOME ?? homedir()

const configHome = (): string => process.env.XDG_CONFIG_HOME ?? join(home(), ".config")

const expanded = (path: string, top: string): string => (path.startsWith("~/") ? join(home(), path.slice(2)) : resolve(top, path))

/** Neither relative directories of the PATH, where a task could put a program, nor variables that git obeys. */
export const basicEnv = (): { readonly [name: string]: string } => ({
  PATH: (process.env.PATH ?? "/usr/local/bin:/usr/bin:/bin")
    .split(":")
    .filter((part) => part.startsWith("/"))
    .join(":"),
  LC_ALL: "C",
  TMPDIR: tmpdir(),
  GIT_TERMINAL_PROMPT: "0",
  // Objects that a partial clone lacks are never fetched: that runs programs which its configuration names.
  GIT_NO_LAZY_FETCH: "1",
  GIT_ALLOW_PROTOCOL: "none",
})

/** Removes the directories of operations whose process has ended. */
export const sweep = (): void => {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(temporaryPrefix)) continue
    const directory = join(tmpdir(), name)
    const owner = textOfFile(join(directory, "owner"))
    if (owner !== "" && hasEnded(owner)) rmSync(directory, { recursive: true, force: true })
  }
}

const configuration = (settings: ReadonlyMap<string, string>, excludes: string | undefined): string => {
  const format = settings.get("extensions.objectformat")
  const isOther = format !== undefined && /^[a-z0-9]+$/i.test(format)
  const lines = kept.flatMap(([key, values]) => {
    const value = settings.get(key)
    return value !== undefined && values.test(value) ? [`\t${key.slice("core.".length)} = ${value}`] : []
  })
  return [
    "[core]",
    `\trepositoryformatversion = ${isOther ? 1 : 0}`,
    "\tbare = false",
    "\tautocrlf = false",
    "\tsafecrlf = false",
    "\tfsmonitor = false",
    "\tuntrackedCache = false",
    "\tsplitIndex = false",
    "\tsparseCheckout = false",
    "\tlogAllRefUpdates = false",
    "\thooksPath = /dev/null",
    // Without such a file git would look for one below the home directory.
    `\texcludesFile = ${excludes === undefined ? "/dev/null" : quoted(excludes)}`,
    "\tattributesFile = /dev/null",
    ...lines,
    "[gc]",
    "\tauto = 0",
    "[maintenance]",
    "\tauto = false",
    "[index]",
    "\tsparse = false",
    "[diff]",
    "\trenameLimit = 2000",
    ...(isOther ? ["[extensions]", `\tobjectFormat = ${format}`] : []),
    "",
  ].join("\n")
}

/** Opens a place for one operation. With `isDry` new objects go into its own directory, and nothing is written to the store. */
export const open = (
  place: Place,
  { isDry = false }: { readonly isDry?: boolean } = {},
): Effect.Effect<Repository, Git.GitFailed | NoGit, Scope.Scope> =>
  Effect.gen(function* () {
    const failed = (thrown: unknown): Git.GitFailed => new Git.GitFailed({ command: "init", problem: String(thrown) })
    const temporary = yield* Effect.acquireRelease(
      Effect.try({
        try: () => {
          const directory = mkdtempSync(join(tmpdir(), temporaryPrefix))
          writeFileSync(join(directory, "owner"), ownerOf(process.pid))
          return directory
        },
        catch: failed,
      }),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true })),
    )
    const basic = basicEnv()
    const around = place.isShadow ? { GIT_CEILING_DIRECTORIES: tmpdir() } : { GIT_DIR: place.gitDirectory }
    const settings = parsed(
      yield* Git.run({
        args: ["config", "-z", "--get-regexp", "^(core|extensions)\\."],
        env: { ...basic, ...around, HOME: home(), XDG_CONFIG_HOME: configHome() },
        cwd: temporary,
        codes: [1],
      }),
    )
    const named = settings.get("core.excludesfile")
    const excludes = named === undefined ? join(configHome(), "git", "ignore") : expanded(named, place.top)
    const objects = join(isDry ? temporary : place.store, "objects")
    yield* Effect.try({
      try: () => {
        writeFileSync(join(temporary, "HEAD"), "ref: refs/heads/none\n")
        const isFile = statSync(excludes, { throwIfNoEntry: false })?.isFile() === true
        writeFileSync(join(temporary, "config"), configuration(settings, isFile ? excludes : undefined))
        mkdirSync(join(temporary, "refs"))
        mkdirSync(join(temporary, "info"))
        const excluded = place.isShadow ? "" : textOfFile(join(place.store, "info", "exclude"))
        writeFileSync(join(temporary, "info", "exclude"), excluded, "latin1")
        // Stronger than the .gitattributes of the tree: files are saved as they are, and no filter runs.
        writeFileSync(join(temporary, "info", "attributes"), "* -text -filter -ident -working-tree-encoding -crlf !eol\n")
        if (!isDry) return
        mkdirSync(join(objects, "info"), { recursive: true })
        mkdirSync(join(objects, "pack"))
        const other = join(place.store, "objects")
        writeFileSync(join(objects, "info", "alternates"), `${/^"|\n/.test(other) ? quoted(other) : other}\n`)
      },
      catch: failed,
    })
    const env = {
      ...basic,
      HOME: temporary,
      XDG_CONFIG_HOME: temporary,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_ATTR_NOSYSTEM: "1",
      GIT_DIR: temporary,
      GIT_WORK_TREE: place.top,
      GIT_OBJECT_DIRECTORY: objects,
      GIT_AUTHOR_NAME: "Smithers",
      GIT_AUTHOR_EMAIL: "smithers@localhost",
      GIT_COMMITTER_NAME: "Smithers",
      GIT_COMMITTER_EMAIL: "smithers@localhost",
    }
    const overrides = {
      "core.hooksPath": "/dev/null",
      "core.fsmonitor": "false",
      "core.logAllRefUpdates": "false",
      "gc.auto": "0",
      "maintenance.auto": "false",
    }
    const refsEnv = {
      ...basic,
      HOME: temporary,
      XDG_CONFIG_HOME: temporary,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_DIR: place.store,
      GIT_CONFIG_COUNT: String(Object.keys(overrides).length),
      ...Object.fromEntries(
        Object.entries(overrides).flatMap(([key, value], index) => [
          [`GIT_CONFIG_KEY_${index}`, key],
          [`GIT_CONFIG_VALUE_${index}`, value],
        ]),
      ),
    }
    return {
      place,
      temporary,
      git: (args, { index, isLiteral = true, workTree, ...options } = {}) =>
        Git.run({
          args,
          env: {
            ...env,
            ...(isLiteral ? { GIT_LITERAL_PATHSPECS: "1" } : {}),
            ...(index === undefined ? {} : { GIT_INDEX_FILE: index }),
            ...(workTree === undefined ? {} : { GIT_WORK_TREE: workTree }),
          },
          cwd: temporary,
          ...options,
        }),
      refs: (args, options = {}) => Git.run({ args, env: refsEnv, cwd: temporary, ...options }),
      attributeFiles: [
        expanded(settings.get("core.attributesfile") ?? join(configHome(), "git", "attributes"), place.top),
        join(place.store, "info", "attributes"),
      ],
      convertsAll: settings.get("core.autocrlf")?.toLowerCase() === "input" || isTrue(settings.get("core.autocrlf")),
      ignoresCase: isTrue(settings.get("core.ignorecase")),
    }
  })

/** The path of a file of the system. It may hold bytes that are no UTF-8. */
export const fileOf = (repository: Repository, path: string): Buffer =>
  Buffer.concat([Buffer.from(`${repository.place.top}/`, "utf8"), Buffer.from(path, "latin1")])
