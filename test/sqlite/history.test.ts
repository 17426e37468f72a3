/**
 * What a reset replaces: it leaves the tables of the user, and stays readable.
 */
import { describe, expect, it } from "@effect/vitest"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as History from "../contract/History.ts"
import { expectSame } from "../contract/Storage.ts"
import { newFile, query, using } from "./Fixture.ts"

const { journal, started, step } = History

const at = { nodeId: "a", iteration: 0 } as const

describe("a node that is reset", () => {
  it.scoped("leaves no output in its table, and one in the history, with its generation", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, (storage) =>
        Effect.gen(function* () {
          yield* storage.prepareOutputs("flow", History.tables)
          const run = yield* journal("r")
          yield* run.commit([started, ...step("a", "text", "first")])
          const first = yield* storage.load("r")
          yield* run.commit([{ _tag: "NodeReset", ...at }])
          expect(yield* query(filename, 'SELECT count(*) FROM "text"')).toEqual([[0]])
          const again = { ...at, attempt: 2 }
          yield* run.commit([
            { _tag: "AttemptStarted", ...again },
            { _tag: "AttemptSucceeded", ...again, table: "text", output: "second" },
          ])
          yield* run.commit([{ _tag: "NodeReset", ...at }])
          // Given and reset in one frame, it is in no table at all.
          const last = { ...at, attempt: 3 }
          yield* run.commit([
            { _tag: "AttemptStarted", ...last },
            { _tag: "AttemptSucceeded", ...last, table: "text", output: "third" },
            { _tag: "NodeReset", ...at },
          ])
          expect(yield* query(filename, 'SELECT count(*) FROM "text"')).toEqual([[0]])
          expect(
            yield* query(filename, "SELECT generation, seq, output_table, output FROM smithers_output_history ORDER BY seq"),
          ).toEqual([
            [0, 3, "text", '"first"'],
            [1, 6, "text", '"second"'],
            [2, 9, "text", '"third"'],
          ])
          expectSame(yield* storage.load("r", { frame: 1 }), first)
        }),
      )
    }),
  )

  it.scoped("keeps the wait that another one replaces", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* using({ filename }, () =>
        Effect.gen(function* () {
          yield* Storage
          const run = yield* journal("r")
          const asks = { _tag: "WaitStarted", ...at, kind: "approval", request: { sum: 1 }, digest: "d1" } as const
          yield* run.commit([started, asks, { _tag: "ApprovalDecided", ...at, approved: true, by: "ann" }])
          yield* run.commit([{ _tag: "WaitEnded", ...at, reason: "decided", status: "finished" }])
          yield* run.commit([
            { _tag: "NodeReset", ...at },
            { ...asks, request: { sum: 2 }, digest: "d2" },
          ])
          expect(yield* query(filename, "SELECT status, request, request_count, approved FROM smithers_waits")).toEqual([
            ["open", '{"sum":2}', 2, null],
          ])
          const kept =
            "SELECT seq, wait ->> '$.status', wait ->> '$.request.sum', wait ->> '$.decision.by' FROM smithers_wait_history"
          expect(yield* query(filename, kept)).toEqual([[6, "finished", 1, "ann"]])
        }),
      )
    }),
  )
})
