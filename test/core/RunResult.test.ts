/**
 * The result of a run: one for callers, for its parent and for the store.
 */
import { describe, expect, it } from "@effect/vitest"
import { waitingStatus } from "@smithers/core/RunResult"
import type { Node } from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import { type Builder, runningOn, stores, Text, workflow } from "./Flows.ts"

it.each([
  [["timer"], "waiting-timer"],
  [["signal", "timer"], "waiting-event"],
  [["timer", "human", "signal"], "waiting-approval"],
  [["approval"], "waiting-approval"],
  [["subflow", "timer"], "waiting-timer"],
  [["subflow", "approval"], "waiting-approval"],
  [["subflow"], "waiting-event"],
  [[], "waiting-event"],
])("a run that waits for %j is said to be %s", (kinds, status) => {
  expect(waitingStatus(kinds.map((kind) => ({ kind })))).toBe(status)
})

/** A workflow that waits like that, and the workflows around it, each of which waits for nothing but the one inside. */
const families: ReadonlyArray<readonly [waits: string, status: string, build: ($: Builder) => Node<unknown>]> = [
  ["a timer", "waiting-timer", ($) => $.timer("wait", { duration: "1 hour" })],
  ["a decision", "waiting-approval", ($) => $.approval("wait", { request: () => ({ title: "?" }) })],
  ["a signal", "waiting-event", ($) => $.signal("wait", { name: "paid", payload: Text })],
]

describe.each(stores)("on %s", (_, store) => {
  it.effect.each(families)(
    "a run that waits for nothing but child runs is said to wait for what the innermost waits for: %s",
    ([, status, build]) =>
      runningOn(store)(
        Effect.gen(function* () {
          const inner = workflow(build, "inner")
          const middle = workflow(($) => $.subflow("in", { workflow: inner, input: () => ({}) }), "middle")
          const outer = workflow(($) => $.subflow("sub", { workflow: middle, input: () => ({}) }), "outer")
          const result = yield* outer.run({}, { runId: "r" })
          const kinds = "waits" in result ? result.waits.map(({ nodeId, kind }) => `${nodeId} ${kind}`) : []
          expect([result.status, kinds.slice(0, 2)]).toEqual([status, ["sub subflow", "in subflow"]])
          // The same as everybody is shown who looks at the store.
          const storage = yield* Storage
          for (const runId of ["r", "r~sub~0", "r~sub~0~in~0"]) expect((yield* storage.run(runId)).run.status).toBe(status)
        }),
      ),
  )
})
