/**
 * Loads the code of a stored run: from the file that the command names, otherwise from the one that the run was started from.
 */
import { dirname } from "node:path"
import type { Definition } from "@smithers/core/Definition"
import type { RunNotFound, StoreError } from "@smithers/core/Errors"
import { anyFile } from "@smithers/server/views/CommandLine"
import * as Effect from "effect/Effect"
import { type FoundRun, sourceOf } from "./Database.ts"
import { type CannotLaunch, InvalidWorkflowFile, NoSource } from "./Errors.ts"
import { definitionFor, load } from "./WorkflowFile.ts"

/**
 * Returns the definition of a run's workflow. Fails with `NoSource` if a program has started the run and no file is named, and with
 * `InvalidWorkflowFile` if the file has no such workflow. `option` is the option that names another file.
 */
export const definitionOfRun = (
  { file, storage, runId }: FoundRun,
  named: string | undefined,
  option: string,
): Effect.Effect<Definition<never>, StoreError | RunNotFound | NoSource | InvalidWorkflowFile | CannotLaunch> =>
  Effect.gen(function* () {
    const { workflow } = (yield* storage.run(runId)).run
    const target = named ?? (yield* sourceOf(storage, runId))
    if (target === undefined) return yield* new NoSource({ runId, workflow })
    // The stored source is relative to the folder of the database.
    const loaded = yield* Effect.mapError(load(target, named === undefined ? { folder: dirname(file) } : {}), (error) =>
      error._tag === "InvalidWorkflowFile" && error.reason === "missing" && named === undefined
        ? new InvalidWorkflowFile({
            path: error.path,
            reason: error.reason,
            problem: `The workflow file of run "${runId}" no longer exists: ${error.path}. Name its new path: ${option} ${anyFile}`,
          })
        : error,
    )
    const definition = definitionFor(loaded, workflow)
    if (definition !== undefined) return definition
    const problem = `Run "${runId}" belongs to workflow "${workflow}", which ${loaded.path} does not export. Name the file that does: ${option} ${anyFile}`
    return yield* new InvalidWorkflowFile({ path: loaded.path, reason: "no-export", problem })
  })
