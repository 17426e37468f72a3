/**
 * Explains why a run has not finished.
 */
import { ports } from "@smithers/core/Storage"
import { Processes } from "@smithers/server/operations/Processes"
import { explain } from "@smithers/server/operations/runs"
import { questionLines } from "@smithers/server/views/Question"
import * as Why from "@smithers/server/views/Why"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { connectRun } from "../Database.ts"
import { Host } from "../Host.ts"
import { processesOf } from "../WorkflowProcesses.ts"

export const why = ({ db, run }: { readonly db: string | undefined; readonly run: string }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { storage, runId, file } = yield* connectRun(db, run)
      const { self } = yield* Host
      const processes = processesOf({ self, file, root: process.cwd() })
      const explained = explain(runId, db).pipe(Effect.provide(ports(storage)), Effect.provideService(Processes, processes))
      const { generations, actions: _, ...found } = yield* explained
      const code = Why.codeText(generations, yield* Clock.currentTimeMillis)
      const lines = [...found.requests.flatMap(questionLines), ...found.commands]
      const runs = code === undefined ? [] : [`Code: ${code}`]
      const text = [found.sentence, ...runs, ...lines.map((line) => `  ${line}`)].join("\n")
      return { value: found, text }
    }),
  )
