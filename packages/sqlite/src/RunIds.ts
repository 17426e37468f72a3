/**
 * Finds runs by how their ids begin, as people type them.
 */
import type { StoreError } from "@smithers/core/Errors"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Connection from "./internal/connection.ts"
import { patiently } from "./internal/failures.ts"

/** How long a locked database is waited for, in milliseconds: as readers of a log they meet no lock but that of an exclusive one. */
const patienceMs = 5000

/** Ids that begin with a text, in order and at most so many, of a database that a store has opened before. */
export const startingWith = (filename: string, prefix: string, limit: number): Effect.Effect<ReadonlyArray<string>, StoreError> => {
  const config = { filename, patienceMs }
  const opened = patiently("open", config, () => Either.right(Connection.open(filename, "read")))
  // The last character there is ends all that begin alike.
  return Effect.acquireUseRelease(
    opened,
    (connection) =>
      patiently("find", config, () => {
        const select = connection.prepare<[runId: string]>(
          "SELECT run_id FROM smithers_runs WHERE run_id >= ?1 AND run_id < ?1 || char(1114111) ORDER BY run_id LIMIT ?2",
        )
        return Either.right(select.values(prefix, limit).map(([runId]) => runId))
      }),
    (connection) => Effect.sync(connection.close),
  )
}
