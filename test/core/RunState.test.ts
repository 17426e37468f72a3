import { describe, expect, it } from "@effect/vitest"
import { LoopLimitReached, RunFailure } from "@smithers/core/Errors"
import { nodeKey } from "@smithers/core/Ids"
import * as Millis from "@smithers/core/Millis"
import * as Records from "@smithers/core/Records"
import { RunEvent } from "@smithers/core/RunEvent"
import * as RunState from "@smithers/core/RunState"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as EngineSimulator from "./simulation/EngineSimulator.ts"
import * as Scenario from "./simulation/Scenario.ts"

const a = { nodeId: "a", iteration: 0 }
const error = { name: "Error", message: "no", retryable: true }

/** Folds events that happen one millisecond after the other, from 1. */
const fold = (...events: ReadonlyArray<RunEvent>): RunState.RunState => {
  let state = RunState.empty("r")
  for (const [index, event] of events.entries()) state = RunState.apply(state, event, Millis.make(index + 1))
  return state
}
const record = (...events: ReadonlyArray<RunEvent>) => RunState.step(fold(...events), "a", 0)

const started = (attempt: number): RunEvent => ({ _tag: "AttemptStarted", ...a, attempt })
const failed = (
  attempt: number,
  { retryAt, ...rest }: { retryAt?: number; isSoft?: boolean; heartbeat?: unknown } = {},
): RunEvent => ({
  _tag: "AttemptFailed",
  ...a,
  attempt,
  error,
  ...rest,
  ...(retryAt === undefined ? {} : { retryAt: Millis.make(retryAt) }),
})
const succeeded = (attempt: number, output?: unknown): RunEvent => ({
  _tag: "AttemptSucceeded",
  ...a,
  attempt,
  table: "t",
  ...(output === undefined ? {} : { output }),
})
const interrupted = (attempt: number, reason: "crash" | "shutdown" | "fail-fast" | "cancelled", heartbeat?: unknown): RunEvent => ({
  _tag: "AttemptInterrupted",
  ...a,
  attempt,
  reason,
  ...(heartbeat === undefined ? {} : { heartbeat }),
})

describe("a step", () => {
  it("is not there before something happens to it", () => {
    expect(record()).toBeUndefined()
    expect(RunState.loop(fold(started(1)), "a", 0)).toBeUndefined()
    expect(RunState.step(fold(started(1)), "a", 1)).toBeUndefined()
  })

  it("runs from when its attempt started", () => {
    expect(record({ _tag: "CancelRequested" }, started(1))).toEqual({
      kind: "step",
      ...a,
      status: "running",
      attempt: 1,
      startedAt: 2,
      attemptedAt: 2,
      failures: [],
      budgetAfter: 0,
      interruptions: 0,
    })
  })

  it("that succeeded has its output and table, and no failures any more", () => {
    expect(
      record(started(1), failed(1, { retryAt: 9 }), started(2), interrupted(2, "crash"), started(3), succeeded(3, { x: 1 })),
    ).toEqual({
      kind: "step",
      ...a,
      status: "finished",
      attempt: 3,
      startedAt: 1,
      attemptedAt: 5,
      finishedAt: 6,
      failures: [],
      budgetAfter: 3,
      interruptions: 0,
      finishedSeq: 6,
      table: "t",
      output: { x: 1 },
    })
  })

  it("may have an output that is null, or none at all", () => {
    expect(record(started(1), succeeded(1, null))).toHaveProperty("output", null)
    expect(record(started(1), succeeded(1))).not.toHaveProperty("output")
  })

  it("that is to be tried again keeps when it failed and why", () => {
    const twice = record(started(1), failed(1, { retryAt: 9 }), started(2), failed(2, { retryAt: 12 }))
    const failures = [2, 4].map((at) => ({ at, error }))
    expect(twice).toMatchObject({ status: "retrying", attempt: 2, retryAt: 12, error, failures })
    expect(record(started(1), failed(1, { retryAt: 9 }), started(2))).not.toHaveProperty("retryAt")
  })

  it("that failed for good is settled, softly where that was said", () => {
    const hard = record(started(1), failed(1))
    const soft = record(started(1), failed(1, { isSoft: true }))
    expect(hard).toMatchObject({ status: "failed", error })
    expect(hard).not.toHaveProperty("isSoft")
    expect(soft).toMatchObject({ status: "failed", isSoft: true })
    expect([hard, soft].every((record) => record !== undefined && Records.isSettled(record))).toBe(true)
  })

  it("counts the crashes in a row, and neither shutdowns nor other interruptions", () => {
    expect(record(started(1), interrupted(1, "crash"), started(2), interrupted(2, "crash"))).toMatchObject({
      status: "interrupted",
      attempt: 2,
      interruptions: 2,
    })
    for (const reason of ["shutdown", "fail-fast", "cancelled"] as const) {
      expect(record(started(1), interrupted(1, "crash"), started(2), interrupted(2, reason))?.interruptions).toBe(1)
    }
    expect(record(started(1), interrupted(1, "crash"), started(2), failed(2, { retryAt: 9 }))?.interruptions).toBe(0)
  })

  it("keeps its budget of retries over interruptions", () => {
    const state = record(started(1), failed(1, { retryAt: 9 }), started(2), interrupted(2, "shutdown"))
    expect(state?.failures).toHaveLength(1)
  })

  it("keeps the details of its last heartbeat until it has succeeded", () => {
    const beaten = [started(1), interrupted(1, "crash", "half"), started(2)]
    expect(record(...beaten)?.heartbeat).toBe("half")
    expect(record(...beaten, failed(2, { retryAt: 9 }))?.heartbeat).toBe("half")
    expect(record(...beaten, failed(2, { retryAt: 9, heartbeat: "more" }), started(3))?.heartbeat).toBe("more")
    expect(record(...beaten, succeeded(2))).not.toHaveProperty("heartbeat")
  })

  it("may be skipped or fail without an attempt", () => {
    expect(record({ _tag: "NodeSkipped", ...a })).toMatchObject({ status: "skipped", attempt: 0 })
    expect(record({ _tag: "NodeFailed", ...a, error })).toMatchObject({ status: "failed", attempt: 0, error })
    expect(record({ _tag: "NodeFailed", ...a, error, isSoft: true })).toMatchObject({ status: "failed", isSoft: true })
  })

  it("that is reset has a fresh budget and goes on counting its attempts", () => {
    const reset = record(
      ...[started(1), interrupted(1, "crash", "half"), started(2), failed(2, { retryAt: 9 }), started(3), failed(3)],
      { _tag: "NodeReset", ...a },
    )
    expect(reset).toMatchObject({ status: "interrupted", attempt: 3, failures: [], interruptions: 0, heartbeat: "half" })
    expect(reset).not.toHaveProperty("error")
    expect(record(started(1), succeeded(1, 5), { _tag: "NodeReset", ...a })).not.toHaveProperty("output")
  })
})

describe("a loop", () => {
  const advanced = (pass: number, base = 0, iteration = 0): RunEvent => ({
    _tag: "LoopAdvanced",
    nodeId: "l",
    iteration,
    base,
    pass,
  })
  const over = (iteration = 0): RunEvent => ({ _tag: "LoopFinished", nodeId: "l", iteration, reason: "until" })

  it("counts its passes, in each iteration of the loop around it and over the whole run", () => {
    const state = fold(advanced(0), advanced(1), over(), advanced(0, 2, 1))
    expect(RunState.loop(state, "l", 0)).toEqual({
      kind: "loop",
      nodeId: "l",
      iteration: 0,
      status: "finished",
      startedAt: 1,
      finishedAt: 3,
      base: 0,
      passes: 2,
    })
    expect(RunState.loop(state, "l", 1)).toMatchObject({ iteration: 1, status: "running", startedAt: 4, base: 2, passes: 1 })
    expect(state.loopPasses.get("l")).toBe(3)
    expect(RunState.step(state, "l", 0)).toBeUndefined()
  })

  it("is exhausted where its until does not hold after all its passes, until it begins anew", () => {
    const last: RunEvent = { _tag: "LoopFinished", nodeId: "l", iteration: 0, reason: "maxIterations" }
    const state = fold(advanced(0), advanced(1), last, over(1))
    expect(RunState.loop(state, "l", 0)).toMatchObject({ status: "finished", isExhausted: true })
    expect(RunState.exhausted(state)).toEqual([{ nodeId: "l", iteration: 0, passes: 2 }])
    expect(RunState.exhausted(fold(advanced(0), last, { _tag: "NodeReset", nodeId: "l", iteration: 0 }))).toEqual([])
    expect(RunState.exhausted(fold(advanced(0), last, advanced(0)))).toEqual([])
  })

  it("may end without a pass, with the row at which the next one would begin", () => {
    const state = fold(advanced(0), advanced(1), over(), over(1))
    expect(RunState.loop(state, "l", 1)).toMatchObject({ status: "finished", base: 2, passes: 0 })
  })
})

describe("a run", () => {
  const failure = new LoopLimitReached({ runId: "r", nodeId: "l", iteration: 0, maxIterations: 3 })

  it("has what it was started with", () => {
    const state = fold({ _tag: "RunStarted", workflow: "w", version: "2", input: { x: 1 } })
    expect(state).toMatchObject({ runId: "r", workflow: "w", version: "2", input: { x: 1 }, status: "running", seq: 1 })
  })

  it("ends in one of three ways", () => {
    const [finished, failed, cancelled] = [
      fold({ _tag: "RunFinished", output: 7 }),
      fold({ _tag: "RunFailed", failure }),
      fold({ _tag: "CancelRequested", reason: "why" }, { _tag: "RunCancelled", reason: "why" }),
    ]
    expect(finished).toMatchObject({ status: "finished", output: 7 })
    expect(failed).toMatchObject({ status: "failed", failure })
    expect(cancelled).toMatchObject({ status: "cancelled", cancel: { reason: "why" } })
    expect([fold(), finished, failed, cancelled].map(RunState.isEnded)).toEqual([false, true, true, true])
  })

  it("that is resumed forgets how it ended, and a cancellation that was completed", () => {
    const resumed: RunEvent = { _tag: "RunResumed", epoch: 2, kept: 0, added: 0, removed: 0 }
    expect(fold({ _tag: "RunFailed", failure }, resumed)).toMatchObject({ status: "running", failure: undefined })
    expect(fold({ _tag: "RunCancelled" }, resumed)).toMatchObject({ status: "running", cancel: undefined })
    expect(fold({ _tag: "CancelRequested" }, resumed).cancel).toEqual({ reason: undefined })
  })

  it("is not changed by what happens to it later", () => {
    const before = fold({ _tag: "RunStarted", workflow: "w" }, started(1))
    const text = JSON.stringify(before)
    Object.freeze(before)
    for (const record of before.nodes.values()) Object.freeze(record)
    const after = RunState.apply(before, failed(1, { retryAt: 5 }), Millis.make(5))
    expect(JSON.stringify(before)).toBe(text)
    expect(after.seq).toBe(before.seq + 1)
    expect(RunState.step(after, "a", 0)?.status).toBe("retrying")
  })

  it("has keys that no node id can imitate", () => {
    expect(new Set([nodeKey("a", 11), nodeKey("a1", 1), nodeKey("a.1", 1), nodeKey("a:1", 1)]).size).toBe(4)
  })

  it.effect("is the same when its events have been through their schema and through text", () =>
    Effect.gen(function* () {
      const encode = Schema.encodeSync(RunEvent)
      const decode = Schema.decodeUnknownSync(RunEvent)
      const seen = new Set<string>()
      for (let seed = 0; seed < 100; seed++) {
        const { ledger, state } = yield* EngineSimulator.simulate(Scenario.make(seed), 4)
        let read = RunState.empty("run")
        for (const { at, event } of ledger.entries) {
          seen.add(event._tag)
          read = RunState.apply(read, decode(JSON.parse(JSON.stringify(encode(event)))), Millis.make(at))
        }
        expect(plain(RunState.committed(read, state.frame))).toEqual(plain(state))
      }
      const unseen = [
        "CancelRequested",
        "CodeReloaded",
        "DeadlineSet",
        "NodeReset",
        "RunCancelled",
        "RunContinued",
        "RunForked",
        "RunReverted",
        "SubflowEnded",
      ]
      expect(unseen.filter((tag) => seen.has(tag))).toEqual([])
      expect(seen.size).toBe(RunEvent.members.length - unseen.length)
    }),
  )
})

/** What a run failed with is told without stacks, which its attempts have. */
const plain = (state: RunState.RunState) => ({
  ...state,
  failure: state.failure && Schema.encodeSync(RunFailure)(state.failure),
  nodes: Object.fromEntries(state.nodes),
  unfinished: [...state.unfinished].sort(),
  loopPasses: Object.fromEntries(state.loopPasses),
})
