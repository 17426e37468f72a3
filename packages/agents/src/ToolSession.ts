/**
 * The session of the tools of one attempt: their root, the files they have read, and the runner of commands. An attempt has one
 * session, which reaches its tools through the asynchronous context of the call, so that tools work in agents of any library.
 *
 * A fiber of Effect that has waited may go on in the asynchronous context of another fiber. Whoever calls tools from an Effect keeps the context by
 * {@link bind}, before the Effect begins.
 */
import { AsyncLocalStorage } from "node:async_hooks"
import { realpathSync, statSync } from "node:fs"
import { resolve } from "node:path"
import type { CommandRunnerShape } from "@smithers/core/CommandRunner"
import { ToolRightsExceeded } from "@smithers/core/Errors"
import { covers, Network, parseHost, type StepRights } from "@smithers/core/Isolation"
import * as SecretSettings from "@smithers/core/SecretSettings"
import { defined } from "@smithers/core/Struct"
import * as Thrown from "@smithers/core/Thrown"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as ConfinedFiles from "./ConfinedFiles.ts"
import * as ToolRules from "./ToolRules.ts"

const Texts = Schema.Array(Schema.NonEmptyString)

/** The rights of the tools of a step. */
export const ToolRights = Schema.Struct({
  /** The directory that tools are confined to. Default: the working directory of the process. */
  root: Schema.optional(Schema.NonEmptyString),
  /** Tools that agents are offered, by their names. Default: all tools of the agent. */
  allowTools: Schema.optional(Texts),
  /** `true` offers tools that change nothing, and lets commands read only. Default: `false`. */
  isReadOnly: Schema.optional(Schema.Boolean),
  /**
   * The network that commands reach, and the most that a step may list. Default: `"none"` for steps that list no hosts; others reach those that they list.
   */
  network: Schema.optional(Network),
  /** Paths that tools do not see, from the root. Default: `.env`, `.env.local`. */
  hidden: Schema.optional(Texts),
  /** Variables of commands, besides `PATH`, `HOME`, `TMPDIR` and `LANG`. Default: none. */
  env: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.String })),
  /** Further paths that commands may read, such as the directory of a tool chain. Default: none. */
  readable: Schema.optional(Texts),
  /** Most bytes of a result of a tool that a model gets, where the tool does not say. Default: 40,000. */
  maxResultBytes: Schema.optional(Schema.Number.pipe(Schema.greaterThanOrEqualTo(ToolRules.leastResultBytes))),
  /** Most bytes that a command writes to its streams; beyond, it is killed. Default: 64 MiB. */
  maxOutputBytes: Schema.optional(Schema.Positive),
  /** Most bytes of memory of a command; beyond, it is killed. Default: 4 GiB. */
  maxMemoryBytes: Schema.optional(Schema.Positive),
  /** Most processes of a command at once. Default: 512. */
  maxProcesses: Schema.optional(Schema.Int.pipe(Schema.positive())),
  /** Most bytes of each file that a command writes, under an isolation that is a boundary. Default: 4 GiB. */
  maxFileBytes: Schema.optional(Schema.Positive),
})
export interface ToolRights extends Schema.Schema.Type<typeof ToolRights> {}

/** Files with secrets that tools do not see by default. */
export const defaultHidden: ReadonlyArray<string> = [".env", ".env.local"]

export interface ToolSession {
  readonly files: ConfinedFiles.ConfinedFiles
  /** The rights of the runtime, narrowed to those of the step. */
  readonly rights: ToolRights
  /** The rights that the step lists itself. */
  readonly asked: StepRights
  /** `undefined` in a runtime that has no isolation: then tools that run commands are refused. */
  readonly commands: CommandRunnerShape | undefined
  /** Files that were read or written: an edit is refused where the file has changed since. */
  readonly seen: Seen
  /** The tools among these that the rights allow, by their names. The very object where they allow all. */
  readonly offer: <A extends object>(tools: Tools<A>) => Tools<A>
  /**
   * The reason that a call of a tool is refused; `undefined` if it is allowed. `execute` is the function of the tool, which is known from the offer; `name`
   * is that of a tool that was not offered by this session.
   */
  readonly refusal: (tool: Judged) => string | undefined
  /** Opens something that lives as long as the session, once for each key. One that did not open is tried again. */
  readonly acquire: <A>(key: object, open: () => Promise<Resource<A>>) => Promise<A>
  /** Closes what was acquired, also what is still opening. */
  readonly close: Effect.Effect<void>
}

/** Something that was opened, and how it is closed. */
export interface Resource<A> {
  readonly value: A
  readonly close: () => Promise<void>
}

/** What a session has opened. */
const makeResources = (): Pick<ToolSession, "acquire" | "close"> => {
  const opened = new Map<object, Promise<Resource<unknown>>>()
  let isClosed = false
  return {
    acquire: async <A>(key: object, open: () => Promise<Resource<A>>): Promise<A> => {
      if (isClosed) throw new Error("the attempt has ended")
      const known = opened.get(key) as Promise<Resource<A>> | undefined
      const opening = known ?? open()
      opened.set(key, opening)
      try {
        return (await opening).value
      } catch (thrown) {
        opened.delete(key)
        throw thrown
      }
    },
    close: Effect.promise(async () => {
      isClosed = true
      await Promise.allSettled([...opened.values()].map(async (opening) => await (await opening).close()))
      opened.clear()
    }),
  }
}

/** Tools by their names. */
export interface Tools<A extends object = object> {
  readonly [name: string]: A
}

/** A tool whose call is judged. */
export interface Judged {
  readonly execute: unknown
  readonly name: string | undefined
  readonly rules: ToolRules.ToolRules
}

/** Hashes of files, by their path from the root. */
export interface Notes {
  readonly [path: string]: string
}

/**
 * Files that a session has seen, by their hashes. What a call adds is stored with its outcome, and given to the session that is answered from the store
 * after a crash: to that one, files that were read before the crash are read.
 */
export interface Seen {
  readonly get: (path: string) => string | undefined
  readonly set: (path: string, hash: string) => void
  /** What was seen since the last call of this, `undefined` for nothing. */
  readonly take: () => Notes | undefined
  /** Adds what an earlier session has seen. */
  readonly restore: (notes: Notes) => void
}

const makeSeen = (): Seen => {
  const hashes = new Map<string, string>()
  let fresh = new Map<string, string>()
  return {
    get: (path) => hashes.get(path),
    set: (path, hash) => {
      hashes.set(path, hash)
      fresh.set(path, hash)
    },
    take: () => {
      if (fresh.size === 0) return undefined
      const notes = Object.fromEntries(fresh)
      fresh = new Map()
      return notes
    },
    restore: (notes) => {
      for (const [path, hash] of Object.entries(notes)) hashes.set(path, hash)
    },
  }
}

const storage = new AsyncLocalStorage<() => ToolSession>()

/** Makes the session of an attempt. Its files throw where the root does not exist. */
export const make = (rights: ToolRights = {}, commands?: CommandRunnerShape, asked: StepRights = {}): ToolSession => {
  SecretSettings.addNamed(rights.env)
  let files: ConfinedFiles.ConfinedFiles | undefined
  /** Names of the tools that were offered, by their functions: a tool that is copied has the same one. */
  const offered = new Map<unknown, Set<string>>()
  const { allowTools, isReadOnly } = rights
  const reads = ({ isReadOnly: only, isConfined }: ToolRules.ToolRules): boolean => isReadOnly !== true || only || isConfined
  const lists = (name: string): boolean => allowTools === undefined || allowTools.includes(name)
  return {
    get files() {
      files ??= ConfinedFiles.make(rootOf(rights), hiddenOf(rights))
      return files
    },
    rights,
    asked,
    commands,
    seen: makeSeen(),
    ...makeResources(),
    offer: (tools) => {
      const entries = Object.entries(tools)
      const allowed = entries.filter(([name, tool]) => lists(name) && reads(ToolRules.of(tool)))
      for (const [name, tool] of entries) {
        const execute = Thrown.get(tool, "execute")
        if (execute !== undefined) offered.set(execute, (offered.get(execute) ?? new Set()).add(name))
      }
      return allowed.length === entries.length ? tools : Object.fromEntries(allowed)
    },
    refusal: ({ execute, name, rules }) => {
      const names = [...(offered.get(execute) ?? (name === undefined ? [] : [name]))]
      if (!names.some(lists) && allowTools !== undefined)
        return `This step does not allow the tool "${names[0] ?? "(without a name)"}": it allows ${allowTools.join(", ") || "none"}.`
      return reads(rules) ? undefined : "This step may read, and this tool may change things. Nothing was done."
    },
  }
}

const rootOf = ({ root }: ToolRights): string => root ?? process.cwd()

/** The paths that tools do not see, absolute. */
export const hiddenOf = (rights: ToolRights): ReadonlyArray<string> =>
  (rights.hidden ?? defaultHidden).map((path) => resolve(rootOf(rights), path))

/**
 * Narrows the rights of a runtime to those that a step lists. Fails where the step lists more than the runtime has. A runtime that says nothing of its
 * network leaves it to its steps, whose network is none unless they list hosts.
 */
export const narrow = (rights: ToolRights, asked: StepRights, nodeId: string): Either.Either<ToolRights, ToolRightsExceeded> => {
  const refuse = (option: ToolRightsExceeded["option"], problem: string) =>
    Either.left(new ToolRightsExceeded({ nodeId, option, problem }))
  const { allowTools, allowNetwork } = asked
  const stray = allowTools?.find((tool) => rights.allowTools?.includes(tool) === false)
  if (stray !== undefined)
    return refuse("allowTools", `lists ${stray}, and the runtime allows ${rights.allowTools?.join(", ") || "none"}`)
  const { network } = rights
  if (allowNetwork !== undefined && network !== undefined && network !== "all") {
    const listed = network === "none" ? [] : network.flatMap((host) => Option.toArray(Either.getRight(parseHost(host))))
    const far = allowNetwork.find((host) => {
      const wanted = parseHost(host)
      return Either.isLeft(wanted) || !listed.some((one) => covers(one, wanted.right))
    })
    if (far !== undefined)
      return refuse("allowNetwork", `lists ${far}, and the runtime allows ${network === "none" ? "none" : network.join(", ")}`)
  }
  const { worktree } = asked
  const root = asked.root === undefined ? worktree : below(worktree ?? rootOf(rights), asked.root)
  if (typeof root === "object") return refuse("root", root.problem)
  return Either.right({
    ...rights,
    ...defined({ allowTools, root }),
    ...(allowNetwork === undefined ? {} : { network: allowNetwork }),
    ...(asked.isReadOnly === true ? { isReadOnly: true } : {}),
    // What is hidden stays hidden, wherever the root is now.
    ...(root === undefined ? {} : { hidden: [...hiddenOf(rights), ...(rights.hidden === undefined ? defaultHidden : [])] }),
  })
}

/** The real path of a directory that a root is narrowed to, or why it cannot be. */
const below = (root: string, wanted: string): string | { readonly problem: string } => {
  try {
    const [outer, inner] = [realpathSync(root), realpathSync(resolve(root, wanted))]
    if (inner !== outer && !inner.startsWith(outer === "/" ? outer : `${outer}/`))
      return { problem: `is ${inner}, outside the root ${outer}` }
    return statSync(inner).isDirectory() ? inner : { problem: `is no directory: ${inner}` }
  } catch {
    return { problem: `does not exist: ${resolve(root, wanted)}` }
  }
}

/** Runs a function whose tools work with a session of their own, which is made for the first that asks for it. */
export const within = <A>(open: () => ToolSession, act: () => A): A => {
  let session: ToolSession | undefined
  return storage.run(() => {
    session ??= open()
    return session
  }, act)
}

/** The session of now; `undefined` outside of the steps of a workflow. */
export const find = (): ToolSession | undefined => storage.getStore()?.()

/** The session of the attempt that calls a tool. Throws outside of one. */
export const current = (tool: string): ToolSession => {
  const session = find()
  if (session === undefined)
    throw new Error(
      `Tool "${tool}" works in steps of a workflow: it was called outside of one, where it has no root to stay below.`,
    )
  return session
}

/** Keeps the session of now: the function that it returns calls others with it. */
export const bind = (): (<A>(act: () => A) => A) => AsyncLocalStorage.snapshot()
