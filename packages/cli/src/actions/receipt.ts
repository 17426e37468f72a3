/**
 * Formats the reply of a command that a run receives: the outcome, and how to resume the run if no process works on it.
 */
import { uncompensatedMessage } from "@smithers/core/Errors"
import * as RunState from "@smithers/core/RunState"
import { cancelLine, commandLine, resumeLineOf } from "@smithers/server/views/CommandLine"
import { longestFailure, oneLine, shorten } from "@smithers/server/views/Text"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type FoundRun, topmost } from "../Database.ts"
import type { CommandReceipt } from "../Output.ts"
import { owners } from "../Stores.ts"

interface Said {
  readonly command: string
  readonly nodeId: string | undefined
  readonly iteration: number | undefined
  readonly db: string | undefined
  /** The action, as the beginning of a sentence. */
  readonly did: string
  readonly decision?: Pick<typeof CommandReceipt.Type, "requestId" | "request" | "approved" | "by" | "note" | "at">
  /** The request that was decided on, in lines. */
  readonly question?: ReadonlyArray<string>
  readonly signal?: Pick<typeof CommandReceipt.Type, "isAwaited" | "awaits">
}

/** Creates the reply of a command that a run receives. */
export const receipt = (
  { storage, runId }: FoundRun,
  { command, nodeId, iteration, db, did, decision, question = [], signal }: Said,
) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const { run } = yield* storage.run(runId)
    // A run that has ended has received the command.
    const isDelivered = owners.isAlive(run, now) || run.finishedAt !== null
    const isCancelled = command === "cancel"
    const resume = resumeLineOf(db, (yield* storage.run(yield* topmost(storage, runId))).run)
    // Resuming a paused run has no effect.
    const isPaused = run.status === "paused" && command !== "pause"
    const go = isPaused ? [commandLine(db, "unpause", [runId]), resume] : [resume]
    const next = isDelivered ? [] : isCancelled ? [cancelLine(db, runId), commandLine(db, "supervise")] : go
    const said = [`${oneLine(did)}.`, ...question.map((line) => `    ${line}`)]
    const take = isCancelled
      ? "No process works on the run, which must undo steps before ending. Carry that out"
      : isPaused
        ? "The run is paused. Unpause it"
        : "No process works on the run. Resume it"
    const then =
      next.length === 0 ? [] : [`${take}: ${next[0]}`, ...(isPaused && !isCancelled ? [`Then resume it: ${resume}`] : [])]
    const left = isCancelled && run.finishedAt !== null ? RunState.uncompensated(yield* storage.load(runId)) : []
    const undone = left.length === 0 ? {} : { uncompensated: left }
    const what = { nodeId: nodeId ?? null, iteration: iteration ?? null, ...decision, ...signal }
    const lines = [...said, ...then, ...(left.length === 0 ? [] : [shorten(uncompensatedMessage(left).trim(), longestFailure)])]
    return { value: { runId, command, ...what, isDelivered, ...undone, next }, text: lines.join("\n") }
  })
