/**
 * Waits in a schedule that is kept up to date: what comes in together, deadlines that move, and what is due when.
 */
import * as Millis from "@smithers/core/Millis"
import type { RunEvent } from "@smithers/core/RunEvent"
import * as RunState from "@smithers/core/RunState"
import { describe, expect, it } from "vitest"
import { approval, live, received, signal, timer, wait } from "./Live.ts"
import { branch, parallel, race, sequence, step } from "./simulation/Nodes.ts"

/** What happened, in a word and the id of the node. */
const told = (events: ReadonlyArray<RunEvent>): ReadonlyArray<string> =>
  events.map((event) => `${event._tag} ${"nodeId" in event ? event.nodeId : ""}`)

describe("what comes in together", () => {
  it("is taken by what waits for it already, and not by what follows from that", () => {
    const run = live(parallel([sequence(signal("first"), signal("second")), signal("beside")]))
    run.at(0)
    const { events, waiting } = run.at(1, received("one"), received("two"))
    expect(told(events)).toEqual(["WaitEnded first", "WaitStarted second", "WaitEnded beside"])
    expect(waiting.map(({ nodeId }) => nodeId)).toEqual(["second"])
  })

  it("counts in the order of time, deadlines among them, and before the deadline of what it was said of", () => {
    const run = live(parallel([approval("ask", { timeoutMs: Millis.make(100) }), timer("nap", 50)]))
    expect(run.at(0).wakeAt).toBe(50)
    const decided: RunEvent = { _tag: "ApprovalDecided", nodeId: "ask", iteration: 0, approved: true, submittedAt: Millis.make(90) }
    const { events, outcome } = run.at(200, decided)
    expect(events).toMatchObject([
      { _tag: "WaitEnded", nodeId: "nap", reason: "fired" },
      { _tag: "WaitEnded", nodeId: "ask", reason: "decided" },
    ])
    expect(outcome).toMatchObject({ status: "finished" })
  })
})

describe("what is due later", () => {
  it("is done in the order in which it is due, a retry or the end of a wait, each with what follows from it", () => {
    const run = live(
      parallel([sequence(timer("late", 30), step("then")), sequence(timer("early", 10), timer("next", 5)), step("again")]),
    )
    run.at(0)
    const failed: RunEvent = {
      ...{ _tag: "AttemptFailed", nodeId: "again", iteration: 0, attempt: 1, retryAt: Millis.make(20) },
      error: { name: "Error", message: "no", retryable: true },
    }
    expect(run.at(0, failed).wakeAt).toBe(10)
    const { events, starts, wakeAt } = run.at(30)
    expect(told(events)).toEqual([
      "WaitEnded early",
      "WaitStarted next",
      "WaitEnded late",
      "AttemptStarted then",
      "AttemptStarted again",
    ])
    expect(starts.map(({ step: { id } }) => id)).toEqual(["then", "again"])
    // What began then is measured from then.
    expect(wakeAt).toBe(35)
  })

  it("is due when its record says by now, where that has moved", () => {
    const run = live(approval("ask", { timeoutMs: Millis.make(100) }))
    expect(run.at(0).wakeAt).toBe(100)
    const moved = run.at(50, { _tag: "DeadlineMoved", nodeId: "ask", iteration: 0, deadline: Millis.make(400) })
    expect(moved.wakeAt).toBe(400)
    expect(run.at(100)).toMatchObject({ events: [], wakeAt: 400 })
    expect(run.at(400).events).toMatchObject([{ _tag: "WaitEnded", nodeId: "ask", reason: "timed-out" }])
  })

  it("waits for no time while the run is paused", () => {
    const run = live(parallel([timer("nap", 10), signal("hear")]))
    run.at(0)
    const paused = run.at(5, { _tag: "RunPaused", submittedAt: Millis.make(5) })
    expect(paused).toMatchObject({ wakeAt: undefined, isPaused: true })
    expect(run.at(20, received("one"))).toMatchObject({ events: [{ _tag: "WaitEnded", nodeId: "hear" }], isPaused: true })
    const on = run.at(30, { _tag: "RunUnpaused", submittedAt: Millis.make(30) })
    expect(on).toMatchObject({ events: [{ _tag: "WaitEnded", nodeId: "nap" }], outcome: { status: "finished" } })
  })
})

describe("a run that is paused", () => {
  const paused: RunEvent = { _tag: "RunPaused", submittedAt: Millis.make(1) }

  it("lets time go on for what a cancellation has begun", () => {
    const run = live({ _tag: "TryCatch", id: "t", try: approval("ask"), catch: undefined, finally: timer("nap", 10) })
    run.at(0)
    run.at(1, paused)
    const cancelled = run.at(2, { _tag: "CancelRequested" })
    expect(told(cancelled.events)).toEqual(["BoundaryHalted t", "WaitStarted nap", "NodeWithdrawn ask"])
    expect(cancelled.wakeAt).toBe(12)
    const ended = run.at(12)
    expect(told(ended.events)).toEqual(["WaitEnded nap", "BoundaryEnded t"])
    expect(ended.outcome).toMatchObject({ status: "cancelled" })
  })

  it("has its race won by the branch that has taken something, once it goes on, and not by one that ended after that", () => {
    const run = live(race("race", { a: signal("hear"), b: step("work") }))
    run.at(0)
    run.at(1, paused)
    const given: RunEvent = { _tag: "AttemptSucceeded", nodeId: "work", iteration: 0, attempt: 1, table: "t", output: 7 }
    expect(told(run.at(2, received("one"), given).events)).toEqual(["WaitEnded hear"])
    const on = run.at(3, { _tag: "RunUnpaused", submittedAt: Millis.make(3) })
    expect(on.events).toContainEqual({ _tag: "PartsDecided", nodeId: "race", iteration: 0, winners: ["a"], isDecided: true })
    expect(on.outcome).toMatchObject({ status: "finished" })
  })

  it("withdraws what it does not come to any more once it goes on, where its schedule was made in between", () => {
    let isAsking = true
    const arms = branch(() => isAsking, approval("ask"), approval("other"))
    const before = live(arms)
    before.at(0)
    before.at(1, paused)
    isAsking = false
    const after = live(arms, before.state())
    expect(told(after.at(2).events)).toEqual([])
    const on = after.at(3, { _tag: "RunUnpaused", submittedAt: Millis.make(3) })
    expect(told(on.events)).toEqual(["WaitStarted other", "NodeWithdrawn ask"])
  })
})

describe("a wait that has looked up an output", () => {
  /** Asks with what "x" has given by now. */
  const asking = wait("ask", {
    kind: "approval",
    request: (_, state, noteRead) => {
      noteRead({ nodeId: "x", table: "t", key: undefined })
      return { title: `x: ${RunState.step(state, "x", 0)?.output}` }
    },
    onDeny: "fail",
    approvers: undefined,
  })
  const titles = (events: ReadonlyArray<RunEvent>) =>
    events.flatMap((event) => (event._tag === "WaitStarted" ? [event.request] : []))
  const given: RunEvent = { _tag: "AttemptSucceeded", nodeId: "x", iteration: 0, attempt: 1, table: "t", output: 7 }

  it("says what it asks for by now once that is there, after what is due", () => {
    const run = live(parallel([asking, step("x"), timer("nap", 1)]))
    expect(titles(run.at(0).events)).toContainEqual({ title: "x: undefined" })
    const { events } = run.at(1, given)
    expect(told(events)).toEqual(["WaitEnded nap", "WaitStarted ask"])
    expect(titles(events)).toEqual([{ title: "x: 7" }])
  })

  it("says so also where another wait has given it", () => {
    const run = live(parallel([asking, signal("x", { table: "t" })]))
    run.at(0)
    expect(titles(run.at(1, received("one")).events)).toEqual([{ title: "x: one" }])
  })

  it("says so once the run is not paused any more", () => {
    const run = live(parallel([asking, step("x")]))
    run.at(0)
    expect(told(run.at(1, { _tag: "RunPaused", submittedAt: Millis.make(1) }, given).events)).toEqual([])
    expect(titles(run.at(2, { _tag: "RunUnpaused", submittedAt: Millis.make(2) }).events)).toEqual([{ title: "x: 7" }])
  })

  it("says nothing where it is given up by what came in with that", () => {
    const run = live(parallel([asking, step("x"), step("y")]))
    run.at(0)
    const { events, outcome } = run.at(1, given, {
      ...{ _tag: "AttemptFailed", nodeId: "y", iteration: 0, attempt: 1 },
      error: { name: "Error", message: "no", retryable: false },
    })
    expect(told(events)).toEqual(["NodeWithdrawn ask"])
    expect(outcome).toMatchObject({ status: "failed", nodeId: "y" })
  })
})
