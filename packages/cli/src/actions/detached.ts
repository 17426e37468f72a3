/**
 * Child runs that a run has started and does not wait for: they go on when it has ended, and nobody may work on them then.
 */
import type { StoreError } from "@smithers/core/Errors"
import type { RunReaderShape, RunSummary } from "@smithers/core/RunReader"
import * as Effect from "effect/Effect"
import { resumeLine } from "../CommandLine.ts"
import type { Reply } from "../Definition.ts"
import { oneLine } from "../Text.ts"

/** More child runs of one run than this are not looked through. */
const most = 1000

/** Child runs of a run, and of those, that no run waits for and that are not over, the oldest first. */
export const detachedOf = (reader: RunReaderShape, runId: string): Effect.Effect<ReadonlyArray<RunSummary>, StoreError> =>
  Effect.gen(function* () {
    const children = (yield* reader.runs({ parent: runId, limit: most })).toReversed()
    const inner = yield* Effect.forEach(
      children.filter((child) => child.children > 0),
      (child) => detachedOf(reader, child.runId),
    )
    return [...children.filter(({ parent, finishedAt }) => parent?.isAttached === false && finishedAt === null), ...inner.flat()]
  })

/** Whether a run could go on, and nobody works on it. */
export const isUnattended = ({ status }: RunSummary): boolean => status === "suspended" || status === "orphaned"

/** What is said of a run, with the runs that it has left to themselves. */
export const withDetached = (reply: Reply, left: ReadonlyArray<RunSummary>, db: string | undefined): Reply => {
  const open = left.filter(({ status }) => status !== "running")
  if (open.length === 0) return reply
  const commands = open.map(({ runId }) => resumeLine(db, runId))
  const lines = open.map(({ runId, status }, index) => `  ${oneLine(runId)} (${status}): ${commands[index]}`)
  const { value, text } = reply
  const next: unknown = typeof value === "object" && value !== null && "next" in value ? value.next : undefined
  const withNext = Array.isArray(next) ? Object.assign({}, value, { next: [...next, ...commands] }) : value
  return { ...reply, value: withNext, text: [text, "It has started these, which are not over:", ...lines].join("\n") }
}
