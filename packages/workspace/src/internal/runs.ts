/**
 * One ref per run of a store, `refs/smithers/<run>@<store>`, at the last of its snapshots; each has the one before as its parent. Stores may have runs of
 * the same id. Refs of earlier versions name no store, `refs/smithers/<run>`: a run goes on from its own, and leaves it as it is.
 */
import { createHash } from "node:crypto"
import type { Kept, NoGit } from "@smithers/core/Workspaces"
import * as Effect from "effect/Effect"
import * as Git from "./git.ts"
import type { Repository } from "./repository.ts"

/** Bytes of a name, below the 255 that file systems take, with room for the suffix of a lock. */
const longest = 200

/** A run, and the identity of its store. */
export interface Run {
  readonly runId: string
  readonly store?: string | undefined
}

/** The name of a run in refs and files: file systems may ignore case, and git refuses some characters. */
export const nameOf = ({ runId, store }: Run): string => {
  const encoded = [...Buffer.from(runId, "utf8")]
    .map((byte) => {
      const character = String.fromCharCode(byte)
      return /[a-z0-9_-]/.test(character) ? character : `%${byte.toString(16).padStart(2, "0")}`
    })
    .join("")
  const name = encoded !== "" && encoded.length <= longest ? encoded : `%${createHash("sha256").update(runId).digest("hex")}`
  return store === undefined ? name : `${name}@${createHash("sha256").update(store).digest("hex").slice(0, 16)}`
}

const refOf = (run: Run): string => `refs/smithers/${nameOf(run)}`

/** What the message of a snapshot says besides its label. */
export interface Said {
  readonly runId: string
  readonly prefix: string
}

/** The message of a snapshot. */
export const messageOf = (label: string, { runId, prefix }: Said): string => {
  const line = label.replace(/\s+/g, " ").trim().slice(0, 200)
  return `${line === "" ? "snapshot" : line}\n\nSmithers-Run: ${JSON.stringify(runId)}\nSmithers-Root: ${JSON.stringify(Git.textOf(prefix))}\n`
}

const fieldOf = (message: string, name: string): string | undefined => {
  const [, json] = new RegExp(`^Smithers-${name}: (".*")$`, "m").exec(message) ?? []
  try {
    const value: unknown = json === undefined ? undefined : JSON.parse(json)
    return typeof value === "string" ? value : undefined
  } catch {
    return undefined
  }
}

/** Reads the message of a snapshot; of another commit there is nothing to read. */
export const saidBy = (message: string): Said | undefined => {
  const [runId, prefix] = [fieldOf(message, "Run"), fieldOf(message, "Root")]
  return runId === undefined || prefix === undefined ? undefined : { runId, prefix: Git.bytesOfText(prefix) }
}

/** The last snapshot of a run. */
export interface Last {
  readonly commit: string
  readonly tree: string
  /** `true` if only a ref without a store holds it, which other stores may hold and give up. */
  readonly isShared?: true
}

/** The last snapshot of a run, if it has one. */
export const lastOf = (repository: Repository, run: Run): Effect.Effect<Last | undefined, Git.GitFailed | NoGit> => {
  const names = [refOf(run), refOf({ runId: run.runId })]
  return Effect.map(repository.refs(["for-each-ref", "--format=%(refname) %(objectname) %(tree)", ...names]), (output) => {
    const lines = Git.bytesOf(output)
      .split("\n")
      .map((one) => one.split(" "))
    for (const name of names) {
      // A ref of this name alone: a pattern also matches those below it.
      const [, commit, tree] = lines.find(([found]) => found === name) ?? []
      if (commit === undefined || tree === undefined) continue
      return { commit, tree, ...(name === names[0] ? {} : { isShared: true as const }) }
    }
    return undefined
  })
}

/** Moves the ref of a run to its next snapshot. Fails if another process has moved it. */
export const advance = (
  repository: Repository,
  run: Run,
  commit: string,
  before: Last | undefined,
): Effect.Effect<void, Git.GitFailed | NoGit> => {
  const expected = before === undefined || before.isShared === true ? "0".repeat(commit.length) : before.commit
  return Effect.asVoid(repository.refs(["update-ref", "--no-deref", refOf(run), commit, expected]))
}

/** Removes refs. */
const remove = (repository: Repository, refs: ReadonlyArray<string>): Effect.Effect<void, Git.GitFailed | NoGit> =>
  Effect.asVoid(repository.refs(["update-ref", "--no-deref", "--stdin"], { stdin: refs.map((ref) => `delete ${ref}\n`).join("") }))

/**
 * Gives up the snapshots of runs of a store. A ref that names no store goes with them, unless another store has snapshots of that run. Returns
 * whether there were any.
 */
export const forget = (
  repository: Repository,
  runIds: ReadonlySet<string>,
  store: string | undefined,
): Effect.Effect<boolean, Git.GitFailed | NoGit> =>
  Effect.gen(function* () {
    const refs = new Set((yield* named(repository)).map(({ ref }) => ref))
    const gone = [...runIds].flatMap((runId) => {
      const [own, shared] = [refOf({ runId, store }), refOf({ runId })]
      const isOfOthers = [...refs].some((ref) => ref !== own && ref.startsWith(`${shared}@`))
      return [...new Set([own, ...(isOfOthers ? [] : [shared])])].filter((ref) => refs.has(ref))
    })
    if (gone.length > 0) yield* remove(repository, gone)
    return gone.length > 0
  })

/** Lists the runs with snapshots: one of each store that has it. */
export const list = (repository: Repository): Effect.Effect<ReadonlyArray<Kept>, Git.GitFailed | NoGit> =>
  Effect.map(named(repository), (found) => found.map(({ runId, commit }) => ({ runId, commit })))

/** The refs of runs. */
const named = (repository: Repository): Effect.Effect<ReadonlyArray<Kept & { readonly ref: string }>, Git.GitFailed | NoGit> =>
  Effect.map(
    repository.refs(["for-each-ref", "--format=%(refname)%00%(objectname)%00%(contents)%00", "refs/smithers/"]),
    (output) => {
      const parts = Git.bytesOf(output).split("\0")
      return Array.from({ length: Math.floor(parts.length / 3) }, (_, index) => index * 3).flatMap((at) => {
        const said = saidBy(Git.textOf(parts[at + 2] ?? ""))
        const [ref = "", commit = ""] = [(parts[at] ?? "").trim(), parts[at + 1]]
        // A ref that someone else put there is none of ours.
        return said === undefined || ref.replace(/@[0-9a-f]{16}$/, "") !== refOf({ runId: said.runId })
          ? []
          : [{ runId: said.runId, commit, ref }]
      })
    },
  )
