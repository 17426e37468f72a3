/**
 * What the tools of one attempt work with: the directory they are confined to, what has been read of it, and the means to run commands. An attempt has one
 * session, which reaches its tools through the asynchronous context of the call, so that tools work in agents of any library.
 */
import { AsyncLocalStorage } from "node:async_hooks"
import type { CommandRunnerShape } from "@smithers/core/CommandRunner"
import type { Network } from "@smithers/core/Isolation"
import * as ConfinedFiles from "./ConfinedFiles.ts"

/** The rights of the tools of a step. */
export interface ToolRights {
  /** The directory that tools are confined to. Default: the working directory of the process. */
  readonly root?: string | undefined
  /** `true` refuses what changes files, and lets commands read only. Default: `false`. */
  readonly isReadOnly?: boolean | undefined
  /** The network that commands reach. Default: `"none"`. */
  readonly network?: Network | undefined
  /** Paths that commands do not see, from the root. Default: `.env`, `.env.local`. */
  readonly hidden?: ReadonlyArray<string> | undefined
  /** Variables of commands, besides `PATH`, `HOME`, `TMPDIR` and `LANG`. Default: none. */
  readonly env?: { readonly [name: string]: string } | undefined
  /** Further paths that commands may read, such as the directory of a tool chain. Default: none. */
  readonly readable?: ReadonlyArray<string> | undefined
}

/** Files with secrets that commands do not see by default. */
export const defaultHidden: ReadonlyArray<string> = [".env", ".env.local"]

export interface ToolSession {
  readonly files: ConfinedFiles.ConfinedFiles
  readonly rights: ToolRights
  /** `undefined` in a runtime that has no isolation: then tools that run commands are refused. */
  readonly commands: CommandRunnerShape | undefined
  /** Hashes of the files that were read or written, by their path from the root: an edit is refused where the file has changed since. */
  readonly seen: Map<string, string>
}

const storage = new AsyncLocalStorage<() => ToolSession>()

/** Makes the session of an attempt. Throws where the root does not exist. */
export const make = (rights: ToolRights = {}, commands?: CommandRunnerShape): ToolSession => ({
  files: ConfinedFiles.make(rights.root ?? process.cwd()),
  rights,
  commands,
  seen: new Map(),
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
