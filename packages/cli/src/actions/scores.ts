/**
 * Lists the scores of a run.
 */
import * as ErrorInfo from "@smithers/core/ErrorInfo"
import type { Score } from "@smithers/core/Scores"
import { defined } from "@smithers/core/Struct"
import { oneLine, shorten } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import { connectRun } from "../Database.ts"
import { Screen, widthOf } from "../Screen.ts"
import { table } from "../Table.ts"

interface ScoresOptions {
  readonly db: string | undefined
  readonly run: string
  readonly node: string | undefined
}

const shown = ({ status, score, reason, error }: Score): readonly [string, string] => {
  if (status === "finished") return [(score ?? 0).toFixed(2), reason ?? ""]
  return status === "due" ? ["due", ""] : ["failed", error === null ? "" : ErrorInfo.text(error)]
}

export const scores = (options: ScoresOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { storage, runId } = yield* connectRun(options.db, options.run)
      const found = yield* storage.scores({ runId, ...defined({ nodeId: options.node }) })
      const rows = found.map((one) => {
        const [score, reason] = shown(one)
        return [one.nodeId, String(one.iteration), one.scorer, score, shorten(oneLine(reason), 200)]
      })
      const text =
        rows.length === 0 ? "No scores." : table(["NODE", "ITERATION", "SCORER", "SCORE", "REASON"], rows, widthOf(yield* Screen))
      return { value: { runId, scores: found }, text }
    }),
  )
