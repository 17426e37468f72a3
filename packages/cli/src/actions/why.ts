/**
 * Explains why a run has not finished.
 */
import { parseNodeKey } from "@smithers/core/Ids"
import * as RunState from "@smithers/core/RunState"
import { defined } from "@smithers/core/Struct"
import { deniedBy } from "@smithers/server/views/Denials"
import { questionLines } from "@smithers/server/views/Question"
import { awaitedBy } from "@smithers/server/views/Waits"
import * as Why from "@smithers/server/views/Why"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { connectRun } from "../Database.ts"
import { owners } from "../Stores.ts"

export const why = (options: { readonly db: string | undefined; readonly run: string }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { storage, runId } = yield* connectRun(options.db, options.run)
      const now = yield* Clock.currentTimeMillis
      const details = yield* storage.inspect(runId)
      const waits = yield* awaitedBy(storage, runId)
      // A live process without a valid lease cannot write.
      const isOwnerAlive = owners.isAlive(details.run, now) || owners.isSeen(details.run)
      const state = yield* storage.load(runId)
      const uncompensated = RunState.uncompensated(state)
      const db = defined({ db: options.db })
      const denied = yield* deniedBy(storage, details.failure)
      const found = Why.why({ details, waits, now, isOwnerAlive, uncompensated, denied, signals: state.signals, ...db })
      const lines = [...found.requests.flatMap(questionLines), ...found.commands]
      const code = Why.codeText(details.generations, now)
      const runs = code === undefined ? [] : [`Code: ${code}`]
      const text = [found.sentence, ...runs, ...lines.map((line) => `  ${line}`)].join("\n")
      const signals = state.signals.map(({ id, name, correlation = null, refusedBy = [] }) => {
        const refusals = refusedBy.map(({ key, issues }) => ({ ...parseNodeKey(key), issues }))
        return { id, name, correlation, refusals }
      })
      return {
        value: { runId, status: details.run.status, ...found, signals, ...defined({ code: details.generations?.at(-1) }) },
        text,
      }
    }),
  )
