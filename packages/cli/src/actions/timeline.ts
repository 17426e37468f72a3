/**
 * Prints the frames of a run.
 */
import { ports } from "@smithers/core/Storage"
import * as Travel from "@smithers/server/operations/travel"
import { commandLine } from "@smithers/server/views/CommandLine"
import { named } from "@smithers/server/views/Progress"
import { clock, oneLine } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { connectRun } from "../Database.ts"
import type { Reply } from "../Definition.ts"
import { Frame } from "../Output.ts"
import { Screen } from "../Screen.ts"
import { sinceOf } from "./logs.ts"

interface TimelineOptions {
  readonly db: string | undefined
  readonly run: string
  readonly follow: boolean
  readonly since: string | undefined
  readonly type: ReadonlyArray<string>
  readonly limit: number | undefined
}

const emptyReply: Reply = { value: undefined, text: "" }

const encode = Schema.encodeUnknownSync(Frame)

type Shown = typeof Travel.ShownFrame.Type

const snapshotText = ({ nodeId, iteration, attempt, moment, commit, failure, sharedWith }: Shown["snapshots"][number]): string => {
  const found = commit === null ? `failed: ${failure ?? ""}` : commit.slice(0, 12)
  const shared = sharedWith.length === 0 ? "" : ", shared with other attempts"
  return oneLine(`◫ snapshot ${moment} ${nodeId} (attempt ${attempt}, iteration ${iteration}): ${found}${shared}`)
}

/** The numbers of frames are padded to so many digits. */
const digits = 5

/** The frame with its time, and below each other what happened in it. The plan is said by its nodes alone. */
const linesOf = (shown: Shown, createdAt: number): string => {
  const { frame, at, plan, events, texts } = shown
  const changed = [
    plan.added.length === 0 ? "" : `+ ${named(plan.added)}`,
    plan.removed.length === 0 ? "" : `- ${named(plan.removed)}`,
    plan.changed.length === 0 ? "" : `~ ${named(plan.changed)}`,
  ].filter((part) => part !== "")
  const lines = texts.flatMap((line, index) => (events[index]?._tag === "PlanChanged" && changed.length > 0 ? [] : [line]))
  if (changed.length > 0) lines.splice(events[0]?._tag === "PlanChanged" ? 0 : 1, 0, oneLine(`⟳ plan: ${changed.join("  ")}`))
  lines.push(...shown.forks.map((runId) => oneLine(`⑂ run ${runId} was forked here`)), ...shown.snapshots.map(snapshotText))
  const heading = `${String(frame).padStart(digits)}  [${clock(at - createdAt)}] `
  return lines.map((line, index) => `${index === 0 ? heading : " ".repeat(heading.length)}${line}`).join("\n")
}

/** Prints the frames of a run; with `follow` also those that are committed later, until it has ended. */
export const timeline = (given: TimelineOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const screen = yield* Screen
      const { storage, runId } = yield* connectRun(given.db, given.run)
      const framesOf = (wanted: Omit<Travel.FramesWanted, "runId">) =>
        Stream.provideContext(Travel.frames({ runId, ...wanted }), ports(storage))
      const { afterSeq, from } = yield* sinceOf(given.since, "timeline")
      const [created] = yield* storage.events(runId, { limit: 1 })
      const wanted = new Set(given.type)
      const isWanted = ({ events, at }: Shown) => at >= from && (wanted.size === 0 || events.some(({ _tag }) => wanted.has(_tag)))
      const show = (frame: Shown) =>
        screen.print(screen.isJson ? encode(frame) : undefined, linesOf(frame, created?.at ?? frame.at))
      const { forkedFrom } = (yield* storage.run(runId)).run
      if (forkedFrom !== null && !screen.isJson) {
        const { runId: from, frame } = forkedFrom
        yield* screen.print(
          undefined,
          `Forked from run ${oneLine(from)} at frame ${frame}. Earlier frames: ${commandLine(given.db, "timeline", [from])}`,
        )
      }
      let seen = afterSeq
      if (given.limit !== undefined) {
        const stored = Stream.tap(framesOf({ after: afterSeq }), ({ lastSeq }) =>
          Effect.sync(() => {
            seen = lastSeq
          }),
        )
        yield* Stream.runForEach(Stream.takeRight(Stream.filter(stored, isWanted), given.limit), show)
      }
      yield* Stream.runForEach(Stream.filter(framesOf({ after: seen, follow: given.follow }), isWanted), show)
      return emptyReply
    }),
  )
