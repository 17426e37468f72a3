/** Files that hold a secret which this process knows. No snapshot takes them, since git would keep what they hold. */
import { closeSync, lstatSync, openSync, readlinkSync, readSync } from "node:fs"
import * as Secrets from "@smithers/core/Secrets"
import * as Effect from "effect/Effect"
import * as Git from "./git.ts"
import { fileOf, type Repository } from "./repository.ts"

/** Bytes that are looked through at once. */
const pieceBytes = 4 * 1024 * 1024

/** Bytes of a piece that belong to the one before it, too: more than a secret has in any spelling that is found. */
const overlapBytes = 64 * 1024

/** Returns whether a file holds a secret. One that cannot be read is not saved either. */
const holds = (file: Buffer, scratch: Buffer): boolean => {
  const { find } = Secrets.redactor()
  const stat = lstatSync(file, { throwIfNoEntry: false })
  if (stat === undefined) return false
  if (stat.isSymbolicLink()) return find(readlinkSync(file)) !== undefined
  const descriptor = openSync(file, "r")
  try {
    for (let at = 0; at < stat.size; at += pieceBytes - overlapBytes) {
      const read = readSync(descriptor, scratch, 0, pieceBytes, at)
      if (read === 0) return false
      if (find(scratch.toString("utf8", 0, read)) !== undefined) return true
      if (read < pieceBytes) return false
    }
    return false
  } finally {
    closeSync(descriptor)
  }
}

/** Selects the paths that hold a secret, in their names or in their content. Costs nothing while no secret is known. */
export const among = (repository: Repository, paths: ReadonlyArray<string>): Effect.Effect<ReadonlySet<string>> =>
  Effect.gen(function* () {
    const found = new Set<string>()
    if (Secrets.redactor().isEmpty || paths.length === 0) return found
    const scratch = Buffer.allocUnsafe(pieceBytes)
    let since = performance.now()
    for (const path of paths) {
      try {
        if (Secrets.redactor().find(Git.textOf(path)) !== undefined || holds(fileOf(repository, path), scratch)) found.add(path)
      } catch {
        // Git says why it cannot be read.
      }
      if (performance.now() - since < turnMs) continue
      yield* Effect.yieldNow()
      since = performance.now()
    }
    return found
  })

/** Time after which the loop of the process takes a turn, in milliseconds. */
const turnMs = 10
