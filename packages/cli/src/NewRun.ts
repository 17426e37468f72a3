/**
 * Reads the input of a new run, and names the source by which its code is found again.
 */
import { dirname, relative } from "node:path"
import { InvalidInput, unnamed } from "@smithers/core/Errors"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Input from "./Input.ts"
import type { LoadedWorkflow, WorkflowModule } from "./WorkflowFile.ts"

/** Resolves the input of a new run. A workflow without input fields needs none. */
export const inputOf = (text: string | undefined, { definition }: LoadedWorkflow) =>
  Effect.gen(function* () {
    const candidates = text === undefined ? [{}, undefined] : [yield* Input.read("--input", text)]
    let refused: ReadonlyArray<string> = []
    for (const candidate of candidates.toReversed()) {
      // Checked before a database is created.
      const accepted = yield* Effect.either(definition.input.encode(candidate) as Effect.Effect<unknown, ReadonlyArray<string>>)
      if (Either.isRight(accepted)) return candidate
      refused = accepted.left
    }
    return yield* new InvalidInput({ workflow: definition.name ?? unnamed, issues: refused })
  })

/** Returns the file of a workflow with its export, as commands take it. */
export const targetOf = ({ path, exported }: WorkflowModule): string => (exported === undefined ? path : `${path}#${exported}`)

/** Returns the source of a workflow as it is stored: relative to the folder of the database. */
export const sourceFor = (file: string, loaded: WorkflowModule): string => {
  const target = targetOf(loaded)
  const path = relative(dirname(file), target)
  // A path outside of the folder is clearer if absolute.
  return path.startsWith("..") ? target : path
}
