/**
 * The session of the tools of one attempt: their root, the files they have read, and the runner of commands. An attempt has one
 * session, which reaches its tools through the asynchronous context of the call, so that tools work in agents of any library.
 *
 * A fiber of Effect that has waited may go on in the asynchronous context of another fiber. Whoever calls tools from an Effect keeps the context by
 * {@link bind}, before the Effect begins.
 */
import { AsyncLocalStorage } from "node:async_hooks"
import type { CommandRunnerShape } from "@smithers/core/CommandRunner"
import { Network } from "@smithers/core/Isolation"
import * as Schema from "effect/Schema"
import * as ConfinedFiles from "./ConfinedFiles.ts"

const Texts = Schema.Array(Schema.NonEmptyString)

/** The rights of the tools of a step. */
export const ToolRights = Schema.Struct({
  /** The directory that tools are confined to. Default: the working directory of the process. */
  root: Schema.optional(Schema.NonEmptyString),
  /** `true` refuses what changes files, and lets commands read only. Default: `false`. */
  isReadOnly: Schema.optional(Schema.Boolean),
  /** The network that commands reach. Default: `"none"`. */
  network: Schema.optional(Network),
  /** Paths that commands do not see, from the root. Default: `.env`, `.env.local`. */
  hidden: Schema.optional(Texts),
  /** Variables of commands, besides `PATH`, `HOME`, `TMPDIR` and `LANG`. Default: none. */
  env: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.String })),
  /** Further paths that commands may read, such as the directory of a tool chain. Default: none. */
  readable: Schema.optional(Texts),
})
export interface ToolRights extends Schema.Schema.Type<typeof ToolRights> {}

/** Files with secrets that commands do not see by default. */
export const defaultHidden: ReadonlyArray<string> = [".env", ".env.local"]

export interface ToolSession {
  readonly files: ConfinedFiles.ConfinedFiles
  readonly rights: ToolRights
  /** `undefined` in a runtime that has no isolation: then tools that run commands are refused. */
  readonly commands: CommandRunnerShape | undefined
  /** Files that were read or written: an edit is refused where the file has changed since. */
  readonly seen: Seen
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

/** Makes the session of an attempt. Throws where the root does not exist. */
export const make = (rights: ToolRights = {}, commands?: CommandRunnerShape): ToolSession => ({
  files: ConfinedFiles.make(rights.root ?? process.cwd()),
  rights,
  commands,
  seen: makeSeen(),
})

/** Runs a function whose tools work with a session of their own, which is made for the first that asks for it. */
export const within = <A>(open: () => ToolSession, act: () => A): A => {
  let session: ToolSession | undefined
  return storage.run(() => {
    session ??= open()
    return session
  }, act)
}

/** The session of the attempt that calls a tool. Throws outside of one. */
export const current = (tool: string): ToolSession => {
  const open = storage.getStore()
  if (open === undefined)
    throw new Error(
      `Tool "${tool}" works in steps of a workflow: it was called outside of one, where it has no root to stay below.`,
    )
  return open()
}

/** Keeps the session of now: the function that it returns calls others with it. */
export const bind = (): (<A>(act: () => A) => A) => AsyncLocalStorage.snapshot()
