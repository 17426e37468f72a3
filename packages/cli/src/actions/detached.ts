/**
 * Detached child runs: they continue after their parent has ended, possibly without an owner.
 */
import type { StoreError } from "@smithers/core/Errors"
import type { RunReaderShape, RunSummary } from "@smithers/core/RunReader"
import { resumeLine } from "@smithers/server/views/CommandLine"
import { oneLine } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import type { Reply } from "../Definition.ts"

/** Maximum number of child runs of one run that are examined. */
const most = 1000

/** Returns the detached descendants of a run that have not ended, oldest first. */
export const detachedOf = (reader: RunReaderShape, runId: string): Effect.Effect<ReadonlyArray<RunSummary>, StoreError> =>
  Effect.gen(function* () {
    const children = (yield* reader.runs({ parent: runId, limit: most })).toReversed()
    const inner = yield* Effect.forEach(
      children.filter((child) => child.children > 0),
      (child) => detachedOf(reader, child.runId),
    )
    return [...children.filter(({ parent, finishedAt }) => parent?.isAttached === false && finishedAt === null), ...inner.flat()]
  })

/** Returns `true` if a run could continue and no process works on it. */
export const isUnattended = ({ status }: RunSummary): boolean => status === "suspended" || status === "orphaned"

/** Adds the unattended detached runs to a reply. */
export const withDetached = (reply: Reply, left: ReadonlyArray<RunSummary>, db: string | undefined): Reply => {
  const open = left.filter(({ status }) => status !== "running")
  if (open.length === 0) return reply
  const commands = open.map(({ runId }) => resumeLine(db, runId))
  const lines = open.map(({ runId, status }, index) => `  ${oneLine(runId)} (${status}): ${commands[index]}`)
  const { value, text } = reply
  const next: unknown = typeof value === "object" && value !== null && "next" in value ? value.next : undefined
  const withNext = Array.isArray(next) ? Object.assign({}, value, { next: [...next, ...commands] }) : value
  return { ...reply, value: withNext, text: [text, "Detached child runs that have not ended:", ...lines].join("\n") }
}
