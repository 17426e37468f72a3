/**
 * What is said after something was told to a run: whether anybody has heard it.
 */
import { notUndone } from "@smithers/core/Errors"
import * as RunState from "@smithers/core/RunState"
import * as Owners from "@smithers/sqlite/Owners"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { resumeLine } from "../CommandLine.ts"
import { type FoundRun, topmost } from "../Database.ts"
import { longestFailure, oneLine, shorten } from "../Text.ts"

interface Said {
  readonly command: string
  readonly nodeId: string | undefined
  readonly iteration: number | undefined
  readonly db: string | undefined
  /** What was done, as the beginning of a sentence. */
  readonly did: string
}

/** The reply of a command that told a run something. */
export const told = ({ storage, runId }: FoundRun, { command, nodeId, iteration, db, did }: Said) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const { run } = yield* storage.inspect(runId)
    // One that has ended meanwhile has heard it.
    const isHeard = Owners.isAlive(run, now) || run.finishedAt !== null
    const next = isHeard ? [] : [resumeLine(db, yield* topmost(storage, runId))]
    const then = next.length === 0 ? "." : `.\nNobody works on the run. Take it up: ${next[0]}`
    const left = command === "cancel" && run.finishedAt !== null ? RunState.uncompensated(yield* storage.load(runId)) : []
    const undone = left.length === 0 ? {} : { uncompensated: left }
    const value = { runId, command, nodeId: nodeId ?? null, iteration: iteration ?? null, isHeard, ...undone, next }
    return { value, text: `${oneLine(did)}${then}${shorten(notUndone(left), longestFailure)}` }
  })
