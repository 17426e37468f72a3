/**
 * Steps that are held back since they may have killed their process, in one schedule.
 */
import * as Millis from "@smithers/core/Millis"
import type { RunEvent } from "@smithers/core/RunEvent"
import * as RunState from "@smithers/core/RunState"
import * as Scheduler from "@smithers/core/Scheduler"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { Text, workflow } from "./Flows.ts"

const at = { nodeId: "s", iteration: 0 }
const crashed = (times: number): ReadonlyArray<RunEvent> =>
  Array.from({ length: times }, (_, index) => index + 1).flatMap(
    (attempt): ReadonlyArray<RunEvent> => [
      { _tag: "AttemptStarted", ...at, attempt },
      { _tag: "AttemptInterrupted", ...at, attempt, reason: "crash" },
    ],
  )

const { plan } = workflow(($) =>
  $.parallel(
    $.approval("ok", { request: () => ({ title: "?" }) }),
    $.step("s", { output: Text, run: () => Effect.succeed("s") }),
    $.step("t", { output: Text, run: () => Effect.succeed("t") }),
  ),
)

/** What follows from a state in which the step `s` was cut short by crashes. */
const scheduled = (crashes: number, admit: (key: string) => boolean) => {
  let state = RunState.empty("r")
  for (const event of crashed(crashes)) state = RunState.apply(state, event, Millis.zero)
  const schedule = Scheduler.make(plan, { input: {}, outputs: new Map() }, { maxConcurrency: 4, admit })
  const next = () => {
    const { starts, waiting, state: decided } = schedule.next()
    state = decided
    return { starts: starts.map(({ step }) => step.id), waiting: waiting.map(({ nodeId }) => nodeId) }
  }
  state = schedule.advance(state, [], Millis.zero).state
  const happen = (event: RunEvent) => {
    state = schedule.advance(RunState.apply(state, event, Millis.zero), [event], Millis.zero).state
  }
  return { next, happen }
}

describe("a step that was cut short by crashes", () => {
  it("twice or more is begun when it is admitted, and is asked for until then; others are not held back", () => {
    let isFree = false
    const asked: Array<string> = []
    const { next } = scheduled(2, (key) => {
      asked.push(key)
      return isFree
    })
    expect(next()).toEqual({ starts: ["t"], waiting: [] })
    expect(next()).toEqual({ starts: [], waiting: [] })
    isFree = true
    expect(next()).toEqual({ starts: ["s"], waiting: [] })
    expect(asked).toEqual(["s/0", "s/0", "s/0"])
  })

  it("keeps its run from being let go of while it is held back, also where nothing but waits is left beside it", () => {
    const { next, happen } = scheduled(3, () => false)
    expect(next().starts).toEqual(["t"])
    happen({ _tag: "AttemptSucceeded", nodeId: "t", iteration: 0, attempt: 1, output: "t" })
    expect(next()).toEqual({ starts: [], waiting: [] })
  })

  it("once is begun like any other", () => {
    expect(scheduled(1, () => false).next().starts).toEqual(["s", "t"])
  })
})
