/** One ref per run, `refs/smithers/<run>`, at the last of its snapshots; each has the one before as its parent. */
import { createHash } from "node:crypto"
import type { Kept, NoGit } from "@smithers/core/Workspaces"
import * as Effect from "effect/Effect"
import * as Git from "./git.ts"
import type { Repository } from "./repository.ts"

/** Bytes of a name, below the 255 that file systems take, with room for the suffix of a lock. */
const longest = 200

/** The name of a run in refs and files: file systems may ignore case, and git refuses some characters. */
export const nameOf = (runId: string): string => {
  const encoded = [...Buffer.from(runId, "utf8")]
    .map((byte) => {
      const character = String.fromCharCode(byte)
      return /[a-z0-9_-]/.test(character) ? character : `%${byte.toString(16).padStart(2, "0")}`
    })
    .join("")
  return encoded !== "" && encoded.length <= longest ? encoded : `%${createHash("sha256").update(runId).digest("hex")}`
}

const refOf = (runId: string): string => `refs/smithers/${nameOf(runId)}`

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

/** The last snapshot of a run, if it has one. */
export const lastOf = (
  repository: Repository,
  runId: string,
): Effect.Effect<{ readonly commit: string; readonly tree: string } | undefined, Git.GitFailed | NoGit> =>
  Effect.map(repository.refs(["for-each-ref", "--format=%(refname) %(objectname) %(tree)", refOf(runId)]), (output) => {
    // A ref of this name alone: a pattern also matches those below it.
    const line = Git.bytesOf(output)
      .split("\n")
      .map((one) => one.split(" "))
      .find(([name]) => name === refOf(runId))
    return line?.[1] === undefined || line[2] === undefined ? undefined : { commit: line[1], tree: line[2] }
  })

/** Moves the ref of a run to its next snapshot. Fails if another process has moved it. */
export const advance = (
  repository: Repository,
  runId: string,
  commit: string,
  before: string | undefined,
): Effect.Effect<void, Git.GitFailed | NoGit> =>
  Effect.asVoid(repository.refs(["update-ref", "--no-deref", refOf(runId), commit, before ?? "0".repeat(commit.length)]))

/** Removes the refs of runs. */
export const remove = (repository: Repository, runIds: ReadonlyArray<string>): Effect.Effect<void, Git.GitFailed | NoGit> =>
  Effect.asVoid(
    repository.refs(["update-ref", "--no-deref", "--stdin"], {
      stdin: runIds.map((runId) => `delete ${refOf(runId)}\n`).join(""),
    }),
  )

/** Lists the runs with snapshots. */
export const list = (repository: Repository): Effect.Effect<ReadonlyArray<Kept>, Git.GitFailed | NoGit> =>
  Effect.map(
    repository.refs(["for-each-ref", "--format=%(refname)%00%(objectname)%00%(contents)%00", "refs/smithers/"]),
    (output) => {
      const parts = Git.bytesOf(output).split("\0")
      return Array.from({ length: Math.floor(parts.length / 3) }, (_, index) => index * 3).flatMap((at) => {
        const said = saidBy(Git.textOf(parts[at + 2] ?? ""))
        const [name = "", commit = ""] = [(parts[at] ?? "").trim(), parts[at + 1]]
        // A ref that someone else put there is none of ours.
        return said === undefined || name !== refOf(said.runId) ? [] : [{ runId: said.runId, commit }]
      })
    },
  )
