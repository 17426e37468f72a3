/**
 * Formats the state in which a command leaves a run: its status, its result, and the commands that continue it.
 */
import { uncompensatedMessage } from "@smithers/core/Errors"
import type { RunDetails, RunReaderShape, WaitSummary } from "@smithers/core/RunReader"
import type { Cancelled, Finished, RunResult } from "@smithers/core/RunResult"
import type { SlotWait } from "@smithers/core/Slots"
import type * as Status from "@smithers/core/Status"
import { defined } from "@smithers/core/Struct"
import { commandLine, uncancelLine } from "@smithers/server/views/CommandLine"
import { deniedBy } from "@smithers/server/views/Denials"
import { nameOf } from "@smithers/server/views/Parts"
import { excerpt, longestFailure, oneLine, pretty, shorten, span } from "@smithers/server/views/Text"
import { awaitedBy } from "@smithers/server/views/Waits"
import { commandsFor, exhausted, retryDenied, slotLine, strays, waitLines } from "@smithers/server/views/Why"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Reply } from "../Definition.ts"
import { Exit } from "../Exit.ts"
import { failureOf } from "../Failures.ts"

export const summarize = (
  reader: RunReaderShape,
  { db, runId }: { readonly db: string | undefined; readonly runId: string },
  result: RunResult<unknown>,
  began: number,
  resume: string,
) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const took = span(now - began)
    const name = oneLine(runId)
    switch (result.status) {
      case "finished":
        return finished(db, yield* reader.inspect(runId), `finished after ${took}`, result)
      case "failed": {
        const { status, failure: error = result.error, uncompensated, strayReads } = result
        const asks = retryDenied(yield* deniedBy(reader, error), db)
        const vain = defined({ strayReads })
        const undone = defined({ uncompensated })
        const value = { runId, status, error: failureOf(error), ...undone, ...vain, next: [...asks, resume] }
        const again = asks.length === 0 ? `Resume it: ${resume}` : `Ask again: ${asks.join("")}\nThen resume it: ${resume}`
        const text = `Run ${name} failed after ${took}. ${shorten(error.message, longestFailure)}${strays(vain)}\n${again}`
        return { value, text, code: Exit.failed } satisfies Reply
      }
      case "cancelled":
        return cancelled(db, result)
      case "paused": {
        const next = [commandLine(db, "unpause", [runId]), resume]
        const text = `Run ${name} is paused. Unpause it: ${next[0]}\nThen resume it: ${resume}`
        return { value: { runId, status: result.status, next }, text, code: Exit.waiting } satisfies Reply
      }
      default: {
        const slots = (yield* reader.inspect(runId)).slots ?? []
        return waitingReply({ runId, status: result.status, slots }, yield* awaitedBy(reader, runId), now, db, resume)
      }
    }
  })

/** Formats the result of a cancelled run. */
export const cancelled = (db: string | undefined, { runId, status, reason, uncompensated }: Cancelled): Reply => {
  const next = [uncancelLine(db, runId)]
  const value = {
    runId,
    status,
    ...defined({ reason, uncompensated }),
    next,
  }
  const why = reason === undefined ? "" : `: ${reason}`
  const left = shorten(uncompensatedMessage(uncompensated), longestFailure)
  const text = `Run ${oneLine(runId)} was cancelled${why}.${left}\nRevert the cancellation, and run again what was undone: ${next[0]}`
  return { value, text, code: Exit.cancelled }
}

/** Formats the output of a run in its stored form, which is JSON for any schema. */
export const finished = (
  db: string | undefined,
  details: RunDetails,
  how: string,
  { status, uncompensated }: Pick<Finished<unknown>, "status" | "uncompensated">,
): Reply => {
  const {
    run: { runId },
    nodes,
    output,
    strayReads,
  } = details
  const loops = nodes.flatMap(({ nodeId, iteration, passes, isExhausted }) =>
    isExhausted === true ? [{ nodeId, iteration, passes: passes ?? 0 }] : [],
  )
  const said = exhausted(nodes)
  const but = said === undefined ? "" : ` But ${said}.`
  const shown = output === undefined ? "" : `\n${excerpt(pretty(output), commandLine(db, "output", [runId], ["json"]))}`
  const value = {
    runId,
    status,
    ...defined({ output }),
    ...(loops.length === 0 ? {} : { exhausted: loops }),
    ...defined({ uncompensated, strayReads }),
    next: [],
  }
  const left = shorten(uncompensatedMessage(uncompensated), longestFailure)
  return { value, text: `Run ${oneLine(runId)} ${how}.${but}${strays(details)}${left}${shown}`, code: Exit.finished }
}

const waitingReply = (
  {
    runId,
    status,
    slots,
  }: { readonly runId: string; readonly status: Status.WaitingStatus; readonly slots: ReadonlyArray<SlotWait> },
  waits: ReadonlyArray<WaitSummary>,
  now: number,
  db: string | undefined,
  resume: string,
): Reply => {
  const shown = waits.map(({ runId: of, nodeId, iteration, kind, deadline }) => ({
    ...(of === runId ? {} : { runId: of }),
    nodeId,
    iteration,
    kind,
    ...(deadline === null ? {} : { deadline }),
  }))
  const commands = waits.flatMap((wait) => commandsFor(wait, db))
  const hint = commandLine(db, "inspect", [runId], ["json"])
  const queued = slots.map((slot) => `  ${oneLine(`${nameOf(slot.nodeId)}: ${slotLine(slot)}`)}`)
  const lines = [...waitLines(waits, now, db, hint), ...queued]
  const text =
    lines.length === 0
      ? `The event that run ${oneLine(runId)} waited for has arrived. Resume it: ${resume}`
      : [`Run ${oneLine(runId)} waits for:`, ...lines, `Then resume it: ${resume}`].join("\n")
  return {
    value: { runId, status, waits: shown, ...(slots.length === 0 ? {} : { slots }), next: [...commands, resume] },
    text,
    code: Exit.waiting,
  }
}
