/**
 * Regions in a schedule that is kept up to date: scopes that are left, races and lists, each also as another schedule of the same state has it.
 */
import { partId, timeoutId } from "@smithers/core/Ids"
import * as Millis from "@smithers/core/Millis"
import type * as Plan from "@smithers/core/Plan"
import * as PlanLayout from "@smithers/core/PlanLayout"
import type { RunEvent } from "@smithers/core/RunEvent"
import * as RunState from "@smithers/core/RunState"
import * as Scheduler from "@smithers/core/Scheduler"
import { describe, expect, it } from "vitest"
import * as CommandEvents from "../../packages/core/src/internal/commandEvents.ts"
import { approval, live, signal, timer, wait } from "./Live.ts"
import { branch, loop, parallel, sequence, step } from "./simulation/Nodes.ts"

const scope = (id: string, body: Plan.Node, options: Partial<Plan.Scope> & { readonly timeoutMs?: number } = {}): Plan.Scope => {
  const { timeoutMs, ...others } = options
  const due = timeoutMs === undefined ? undefined : Millis.make(timeoutMs)
  return {
    _tag: "Scope",
    id,
    label: undefined,
    needs: [],
    body,
    completeWhen: undefined,
    cancelWhen: undefined,
    timeout: due === undefined ? undefined : wait(timeoutId(id), { kind: "timer", isTimeout: true, due }),
    onTimeout: "fail",
    ...others,
  }
}
/** The time of a scope that is made otherwise. */
const timeOf = (id: string, timeoutMs: number): Pick<Plan.Scope, "timeout"> => ({
  timeout: wait(timeoutId(id), { kind: "timer", isTimeout: true, due: Millis.make(timeoutMs) }),
})
const part = (around: string, key: string, body: Plan.Node, isCatching = false): Plan.Scope =>
  scope(partId(around, key), body, { part: { key, isCatching } })
const race = (
  id: string,
  branches: { readonly [name: string]: Plan.Node },
  options: Partial<Plan.Race> & { readonly isCatching?: boolean } = {},
): Plan.Scope => {
  const { isCatching, ...others } = options
  const children = Object.entries(branches).map(([key, body]) => part(id, key, body, isCatching))
  return scope(id, { _tag: "Race", children, count: 1, isList: false, rest: "cancel", ...others })
}
const forEach = (
  id: string,
  items: { readonly [name: string]: Plan.Node },
  options: Partial<Plan.ForEach> & { readonly isCatching?: boolean } = {},
): Plan.Scope => {
  const { isCatching, ...others } = options
  const children = Object.entries(items).map(([key, body]) => part(id, key, body, isCatching))
  const list = { needs: [], maxConcurrency: undefined, maxItems: 100, until: undefined, rest: "cancel", isSettled: false } as const
  return scope(id, { _tag: "ForEach", children, ...list, ...others })
}

/** Says what is started or asked for, when; and does the same with another schedule for each frame. */
const driven = (root: Plan.Node) => {
  const kept = live(root)
  const plan = PlanLayout.make("w", root)
  const statuses = (state: RunState.RunState) =>
    Object.fromEntries(RunState.records(state).map(({ nodeId, status }) => [nodeId, status]))
  const at = (ms: number, ...given: ReadonlyArray<RunEvent>) => {
    const { events, starts, outcome, waiting, state } = kept.at(ms, ...given)
    // Another schedule has nothing to add to this state.
    const values = { input: {}, outputs: new Map() }
    const again = Scheduler.decide(plan, state, values, { maxConcurrency: 4 }, Millis.make(ms))
    const more = again.events.filter(({ _tag }) => _tag !== "AttemptStarted")
    expect({ more, outcome: again.outcome?.status }).toEqual({ more: [], outcome: outcome?.status })
    return {
      events,
      started: starts.map((start) => start.step.id),
      waiting: waiting.map(({ nodeId }) => nodeId),
      outcome,
      statuses: statuses(state),
      state,
    }
  }
  return { at }
}
const succeeded = (nodeId: string, output: unknown = nodeId): RunEvent => ({
  ...{ _tag: "AttemptSucceeded", nodeId, iteration: 0, attempt: 1, table: `test_${nodeId}`, output },
})
const failed = (nodeId: string): RunEvent => ({
  ...{ _tag: "AttemptFailed", nodeId, iteration: 0, attempt: 1 },
  error: { name: "Error", message: `${nodeId} is no good`, retryable: false },
})
const cut = (nodeId: string): RunEvent => ({ _tag: "AttemptInterrupted", nodeId, iteration: 0, attempt: 1, reason: "cancelled" })
const sent = (id: string, at: number): RunEvent => ({
  _tag: "SignalReceived",
  id,
  name: "go",
  payload: id,
  submittedAt: Millis.make(at),
})
const approved = (nodeId: string, at: number): RunEvent => ({
  ...{ _tag: "ApprovalDecided", nodeId, iteration: 0, approved: true, submittedAt: Millis.make(at) },
})
const leave = (nodeId: string, outcome: "completed" | "cancelled"): RunEvent => ({
  _tag: "LeaveRequested",
  nodeId,
  iteration: 0,
  outcome,
})

describe("a scope", () => {
  it("is left when its condition holds: attempts are interrupted and awaited, waits are withdrawn, and no inner catch is begun", () => {
    const inner: Plan.TryCatch = {
      ...{ _tag: "TryCatch", id: "t", try: step("work"), catch: step("caught"), finally: step("last") },
    }
    const run = driven(
      sequence(
        scope("region", parallel([step("flag"), inner, approval("ask"), signal("sig")]), {
          completeWhen: (_, state) => RunState.step(state, "flag", 0)?.status === "finished",
          needs: [{ name: "flag", target: "flag", pass: "current", isLive: true }],
        }),
        step("after"),
      ),
    )
    expect(run.at(0).started).toEqual(["flag", "work"])
    const left = run.at(1, succeeded("flag"))
    expect(left.started).toEqual([])
    expect(left.statuses).toMatchObject({ region: "halted", ask: "superseded", sig: "superseded", work: "running" })
    const cleaning = run.at(2, cut("work"))
    expect(cleaning.started).toEqual(["last"])
    const over = run.at(3, succeeded("last"))
    expect(over.started).toEqual(["after"])
    expect(over.statuses).toMatchObject({ region: "completed", work: "superseded", flag: "finished" })
    expect(over.statuses.caught).toBe(undefined)
    expect(run.at(4, succeeded("after")).outcome).toEqual({ status: "finished" })
  })
  it("is not begun where its condition holds already", () => {
    const run = driven(sequence(scope("region", approval("ask"), { cancelWhen: () => true }), step("after")))
    const { started, statuses } = run.at(0)
    expect([started, statuses]).toEqual([["after"], { region: "cancelled", after: "running" }])
  })
  it("undoes the sagas in it that are not over", () => {
    const saga: Plan.Saga = {
      ...{ _tag: "Saga", id: "s", onCompensated: "fail" },
      body: sequence(step("book", { compensate: () => null }), approval("ask")),
    }
    const run = driven(sequence(scope("region", saga), step("after")))
    run.at(0)
    run.at(1, succeeded("book"))
    expect(run.at(2, leave("region", "cancelled")).started).toEqual(["book~compensate"])
    const over = run.at(3, { _tag: "AttemptSucceeded", nodeId: "book~compensate", iteration: 0, attempt: 1, output: undefined })
    expect(over.started).toEqual(["after"])
    expect(over.statuses).toMatchObject({ region: "cancelled", s: "cancelled", ask: "superseded", book: "finished" })
  })
  it("fails when its time is over, however late that is noticed, and needs no slot for it", () => {
    const slow = parallel(["a", "b", "c", "d", "e"].map((id) => step(id)))
    const run = driven(scope("region", slow, { timeoutMs: 10 }))
    expect(run.at(0).started).toEqual(["a", "b", "c", "d"])
    expect(run.at(5).waiting).toEqual([])
    const late = run.at(10)
    expect(late.statuses).toMatchObject({ region: "halted", "region~timeout": "finished" })
    const ended = run.at(11, cut("a"), cut("b"), cut("c"), cut("d"))
    expect(ended.started).toEqual([])
    expect(ended.outcome).toMatchObject({ status: "failed", nodeId: "region", reason: { error: { name: "ScopeTimedOut" } } })
    expect(ended.statuses).toMatchObject({ region: "failed", a: "superseded" })
  })
  it("looks in a pass of a loop at what that pass gives, and not at the one before", () => {
    const seen: Array<unknown> = []
    const body = scope("region", sequence(step("a"), step("b")), {
      completeWhen: ({ a }) => {
        seen.push(a)
        return false
      },
      needs: [{ name: "a", target: "a", pass: "current", isLive: true }],
    })
    const outputs = new Map([["a/0", "first"]]) as unknown as Scheduler.Values["outputs"]
    const plan = PlanLayout.make("w", loop("l", body, { maxIterations: 2 }))
    const state = [
      { _tag: "LoopAdvanced", nodeId: "l", iteration: 0, base: 0, pass: 0 },
      { _tag: "LoopAdvanced", nodeId: "l", iteration: 0, base: 0, pass: 1 },
    ].reduce((before, event) => RunState.apply(before, event as RunEvent, Millis.zero), RunState.empty("r"))
    Scheduler.decide(plan, state, { input: {}, outputs }, { maxConcurrency: 4 }, Millis.zero)
    expect(seen).toEqual([undefined])
  })
  it("does not begin its time any more when it is over before it has a place", () => {
    const timed = (id: string) => scope(id, sequence(), { timeoutMs: 10 })
    const run = driven(forEach("l", { k0: approval("ask"), k1: timed("t") }, { maxConcurrency: 1 }))
    expect(run.at(0).statuses.t).toBe("finished")
    const over = run.at(1, approved("ask", 1))
    expect([over.outcome, over.statuses["t~timeout"]]).toEqual([{ status: "finished" }, undefined])
  })
  it("goes on without a value when its time is over, where it says so", () => {
    const run = driven(sequence(scope("region", signal("sig"), { timeoutMs: 10, onTimeout: "continue" }), step("after")))
    expect(run.at(0).waiting).toEqual(["sig", "region~timeout"])
    // The signal was sent too late, and nobody has heard of either until now.
    const late = run.at(100, sent("one", 50))
    expect(late.started).toEqual(["after"])
    expect(late.statuses).toMatchObject({ region: "cancelled", sig: "superseded" })
    expect(late.state.signals.map(({ id }) => id)).toEqual(["one"])
  })
  it("closes its timer when it is over in time", () => {
    const run = driven(sequence(scope("region", signal("sig"), { timeoutMs: 10 }), approval("ask")))
    run.at(0)
    const { statuses, waiting } = run.at(100, sent("one", 9))
    expect(statuses).toMatchObject({ region: "finished", "region~timeout": "superseded" })
    expect(waiting).toEqual(["ask"])
  })
  it("that is left in a scope that is left is left once, from the inside out", () => {
    const inner = scope("inner", step("work"))
    const run = driven(scope("outer", inner))
    run.at(0)
    run.at(1, leave("inner", "completed"))
    run.at(2, leave("outer", "cancelled"))
    const over = run.at(3, cut("work"))
    expect(over.outcome).toEqual({ status: "finished" })
    expect(over.statuses).toMatchObject({ outer: "cancelled", work: "superseded" })
  })
})

describe("a race", () => {
  it("is won by the first in time, however late it is noticed, and takes no more than what wins", () => {
    const run = driven(sequence(race("r", { sig: signal("sig"), nap: timer("nap", 10), ask: approval("ask") }), signal("next")))
    expect(run.at(0).waiting).toEqual(["sig", "nap", "ask"])
    const late = run.at(100, sent("one", 30), approved("ask", 7))
    expect(late.statuses).toMatchObject({ r: "finished", ask: "finished", sig: "superseded", nap: "superseded", next: "finished" })
    expect(RunState.boundary(late.state, "r", 0)?.winners).toEqual(["ask"])
    expect(late.outcome).toEqual({ status: "finished" })
  })
  it("goes by an earlier deadline before a later signal", () => {
    const run = driven(race("r", { sig: signal("sig"), nap: timer("nap", 10) }))
    run.at(0)
    const late = run.at(100, sent("one", 11))
    expect(RunState.boundary(late.state, "r", 0)?.winners).toEqual(["nap"])
    expect(late.state.signals).toHaveLength(1)
  })
  it("goes by the order of the plan where two come at one time", () => {
    const run = driven(race("r", { b: signal("b"), a: approval("a") }))
    run.at(0)
    expect(RunState.boundary(run.at(9, approved("a", 5), sent("one", 5)).state, "r", 0)?.winners).toEqual(["b"])
  })
  it("leaves the losers, and awaits them", () => {
    const run = driven(
      sequence(race("r", { a: sequence(step("a"), step("a2")), b: step("b"), c: sequence(step("c")) }), step("after")),
    )
    expect(run.at(0).started).toEqual(["a", "b", "c"])
    expect(run.at(1, succeeded("b")).started).toEqual([])
    // One that finishes nevertheless is kept, and does not win.
    expect(run.at(2, succeeded("a"), cut("c")).started).toEqual(["after"])
    const { statuses, state } = run.at(3, succeeded("after"))
    expect(statuses).toMatchObject({ "r[a]": "cancelled", a: "finished", c: "superseded", b: "finished" })
    expect(RunState.boundary(state, "r", 0)?.winners).toEqual(["b"])
  })
  it("of several takes as many as it says, and fails at once when they can no longer come", () => {
    const two = () =>
      race("r", { a: step("a"), b: step("b"), c: step("c"), d: step("d") }, { count: 2, isList: true, isCatching: true })
    const won = driven(two())
    won.at(0)
    won.at(1, succeeded("c"), failed("a"))
    const done = won.at(2, succeeded("b"))
    expect(RunState.boundary(done.state, "r", 0)?.winners).toEqual(["c", "b"])
    expect(won.at(3, cut("d")).outcome).toEqual({ status: "finished" })
    const lost = driven(two())
    lost.at(0)
    lost.at(1, failed("a"), failed("b"))
    lost.at(2, failed("c"))
    expect(lost.at(3, cut("d")).outcome).toMatchObject({
      ...{ status: "failed", nodeId: "r" },
      reason: { error: { name: "RaceLost", message: expect.stringContaining("a: a is no good; b: b is no good") } },
    })
  })
  it("fails with the first failure of a branch, and interrupts the others", () => {
    const run = driven(race("r", { a: step("a"), b: step("b"), ask: approval("ask") }))
    run.at(0)
    run.at(1, failed("a"))
    const { outcome, statuses } = run.at(2, cut("b"))
    expect(outcome).toMatchObject({ status: "failed", nodeId: "a" })
    expect(statuses).toMatchObject({ ask: "withdrawn" })
  })
  it("that keeps the others goes on at once, and ends with what is around it", () => {
    const run = driven(sequence(race("r", { a: step("a"), b: sequence(step("b"), step("b2")) }, { rest: "keep" }), step("after")))
    run.at(0)
    expect(run.at(1, succeeded("a")).started).toEqual(["after"])
    expect(run.at(2, succeeded("after")).outcome).toBe(undefined)
    expect(run.at(3, succeeded("b")).started).toEqual(["b2"])
    expect(run.at(4, succeeded("b2")).outcome).toEqual({ status: "finished" })
  })
  it("that keeps the others is over with what is left around it", () => {
    const kept = () => race("r", { a: step("a"), ask: approval("ask") }, { rest: "keep" })
    const run = driven(sequence(scope("region", kept()), step("after")))
    run.at(0)
    run.at(1, succeeded("a"))
    const left = run.at(2, leave("region", "cancelled"))
    expect([left.started, left.statuses.ask]).toEqual([["after"], "superseded"])
    expect(run.at(3, succeeded("after")).outcome).toEqual({ status: "finished" })
    // In the next pass of a loop it begins once more.
    const passes: Plan.Loop = loop("l", scope("region", kept()), { maxIterations: 2 })
    const again = driven(passes)
    again.at(0)
    again.at(1, succeeded("a"))
    expect(again.at(2, leave("region", "cancelled")).started).toEqual(["a"])
    again.at(3, { ...succeeded("a"), iteration: 1 } as RunEvent)
    expect(again.at(4, { ...approved("ask", 4), iteration: 1 } as RunEvent).outcome).toEqual({ status: "finished" })
  })
  it("goes on with a loop only once what was kept in its own pass is over, whatever else was kept", () => {
    const saga: Plan.Saga = {
      ...{ _tag: "Saga", id: "s", onCompensated: "continue" },
      body: race("inner", { a: step("a"), b: step("b") }, { rest: "keep" }),
    }
    const run = driven(parallel([race("outer", { c: step("c"), d: step("d") }, { rest: "keep" }), saga]))
    run.at(0)
    run.at(1, succeeded("c"), succeeded("b"))
    // It is left by a failure of what was kept in it: nothing more comes of it when the other race is over.
    expect(run.at(2, failed("a")).statuses.s).toBe("compensated")
    expect(run.at(3, succeeded("d")).outcome).toEqual({ status: "finished" })
  })
  it("is lost as soon as too few can win, also while what has failed awaits what is in flight", () => {
    const failing = parallel([step("a"), step("long")])
    const run = driven(race("r", { a: failing, b: step("b"), c: step("c") }, { count: 3, isList: true, isCatching: true }))
    run.at(0)
    const lost = run.at(1, failed("a"))
    expect(lost.events).toContainEqual({ _tag: "PartsDecided", nodeId: "r", iteration: 0, winners: [], isDecided: true })
    expect(lost.statuses).toMatchObject({ "r[b]": "halted", "r[c]": "halted" })
    const over = run.at(2, succeeded("long"), cut("b"), cut("c"))
    expect(over.outcome).toMatchObject({ nodeId: "r", reason: { error: { name: "RaceLost" } } })
  })
  it("is left as a whole, and so is a branch of it", () => {
    const run = driven(sequence(race("r", { a: step("a"), b: step("b") }), step("after")))
    run.at(0)
    run.at(1, leave("r[a]", "cancelled"))
    expect(run.at(2, cut("a")).started).toEqual([])
    run.at(3, leave("r", "completed"))
    expect(run.at(4, cut("b")).started).toEqual(["after"])
  })
})

describe("a list", () => {
  const items = (count: number, make = (id: string): Plan.Node => sequence(step(id), approval(`${id}-ok`))) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, make(`i${index}`)]))
  it("counts items from begin to end: with 1 it is a critical section, also while a person is asked", () => {
    const run = driven(forEach("l", items(3), { maxConcurrency: 1 }))
    expect(run.at(0).started).toEqual(["i0"])
    expect(run.at(1, succeeded("i0"))).toMatchObject({ started: [], waiting: ["i0-ok"] })
    expect(run.at(2, approved("i0-ok", 2)).started).toEqual(["i1"])
    expect(run.at(3, succeeded("i1"))).toMatchObject({ started: [], waiting: ["i1-ok"] })
  })
  it("does not leave an item that is over when it is asked for, in this schedule or another", () => {
    const run = driven(
      sequence(
        forEach(
          "l",
          items(2, (id) => step(id)),
        ),
        step("after"),
      ),
    )
    run.at(0)
    expect(run.at(1, succeeded("i0"), leave("l[k0]", "cancelled")).statuses["l[k0]"]).toMatch(/finished|cancelled/)
    expect(run.at(2, leave("l[k0]", "completed"), succeeded("i1")).started).toEqual(["after"])
    const early = driven(
      forEach(
        "l",
        items(2, (id) => step(id)),
      ),
    )
    early.at(0)
    early.at(1, succeeded("i0"))
    expect(early.at(2, leave("l[k0]", "cancelled")).statuses["l[k0]"]).toBe("finished")
  })
  it("is over when enough has come, and leaves the rest: begun items are left, others passed over", () => {
    const enough = forEach(
      "l",
      items(5, (id) => step(id)),
      { maxConcurrency: 3, until: ({ done, open }) => done >= 2 && open > 0 },
    )
    const run = driven(sequence(enough, step("after")))
    expect(run.at(0).started).toEqual(["i0", "i1", "i2"])
    expect(run.at(1, succeeded("i1")).started).toEqual(["i3"])
    expect(run.at(2, succeeded("i0")).started).toEqual([])
    const over = run.at(3, cut("i2"), cut("i3"))
    expect(over.started).toEqual(["after"])
    expect(over.statuses).toMatchObject({ l: "finished", "l[k2]": "cancelled", i2: "superseded" })
    expect(over.statuses["l[k4]"]).toBe(undefined)
  })
  it("says of each item how it ended, where it is settled", () => {
    const root = forEach(
      "l",
      items(3, (id) => step(id)),
      { isSettled: true, isCatching: true },
    )
    const run = driven(root)
    run.at(0)
    run.at(1, failed("i1"), leave("l[k2]", "cancelled"))
    run.at(2, cut("i2"))
    const { outcome, state } = run.at(3, succeeded("i0"))
    expect(outcome).toEqual({ status: "finished" })
    const values = { input: {}, outputs: new Map([["i0/0", "one"]]) as unknown as Scheduler.Values["outputs"] }
    const schedule = Scheduler.make(PlanLayout.make("w", root), values, { maxConcurrency: 4 })
    schedule.advance(state, [], Millis.make(3))
    expect(schedule.value(0)).toMatchObject([
      { key: "k0", status: "finished", value: "one" },
      { key: "k1", status: "failed", error: { nodeId: "i1", message: "i1 is no good" } },
      { key: "k2", status: "cancelled" },
    ])
  })
  it("tells an item that has nothing to do from one that was passed over, and gives nothing for the latter", () => {
    const skipped = step("i0", { skipIf: () => true })
    const idle = branch(() => false, step("i1"))
    const both = parallel([step("i3"), step("i4")])
    const list = (isSettled: boolean) =>
      forEach(
        "l",
        { k0: skipped, k1: idle, k2: step("i2"), k3: both },
        { maxConcurrency: 1, until: ({ done }) => done >= 3, isSettled },
      )
    const outputOf = (isSettled: boolean) => {
      const run = driven(list(isSettled))
      run.at(0)
      const { state, outcome } = run.at(1, succeeded("i2"))
      expect(outcome).toEqual({ status: "finished" })
      const schedule = Scheduler.make(
        PlanLayout.make("w", list(isSettled)),
        { input: {}, outputs: new Map() },
        { maxConcurrency: 4 },
      )
      schedule.advance(state, [], Millis.make(1))
      return schedule.stored(0)
    }
    expect(outputOf(false)).toEqual([null, null, "i2", null])
    expect(outputOf(true)).toEqual([
      { key: "k0", status: "finished" },
      { key: "k1", status: "finished" },
      { key: "k2", status: "finished", value: "i2" },
      { key: "k3", status: "cancelled" },
    ])
  })
  it("leaves an item cancelled that someone asks to leave when it was passed over", () => {
    const run = driven(
      sequence(
        forEach(
          "l",
          items(3, (id) => step(id)),
          { maxConcurrency: 2, until: ({ done }) => done >= 1 },
        ),
      ),
    )
    run.at(0)
    run.at(1, succeeded("i0"))
    expect(run.at(2, leave("l[k2]", "completed"), cut("i1")).statuses["l[k2]"]).toBe("cancelled")
  })
  it("begins items one at a time again that were reset", () => {
    const done = ["i0", "i1"].flatMap(
      (nodeId): ReadonlyArray<RunEvent> => [
        { _tag: "AttemptStarted", nodeId, iteration: 0, attempt: 1 },
        succeeded(nodeId),
        { _tag: "NodeReset", nodeId, iteration: 0 },
      ],
    )
    const state = done.reduce((before, event) => RunState.apply(before, event, Millis.zero), RunState.empty("r"))
    const list = forEach(
      "l",
      items(2, (id) => step(id)),
      { maxConcurrency: 1 },
    )
    const run = live(list, state)
    expect(run.at(1).starts.map((start) => start.step.id)).toEqual(["i0"])
    expect(run.at(2, { ...succeeded("i0"), attempt: 2 } as RunEvent).starts.map((start) => start.step.id)).toEqual(["i1"])
  })
  it("has no item left that someone asks to leave when the list is over by then", () => {
    const run = driven(
      forEach(
        "l",
        items(1, (id) => step(id)),
      ),
    )
    run.at(0)
    const { state } = run.at(1, succeeded("i0"))
    const ask = (nodeId: string) => {
      const command = { _tag: "Leave", nodeId, iteration: 0, outcome: "cancelled" } as const
      return CommandEvents.of({ id: "c", runId: "r", at: Millis.make(2), command }, state)
    }
    expect([ask("l[k0]"), ask("l"), ask("other[k0]").map(({ _tag }) => _tag)]).toEqual([[], [], ["LeaveRequested"]])
  })
  it("stays open for what may bring more items", () => {
    const more: Plan.Need = { name: "~more", target: "feed", pass: "current", isOptional: true, isLive: true }
    const run = driven(sequence(parallel([step("feed"), forEach("l", {}, { needs: [more] })]), step("after")))
    expect(run.at(0).started).toEqual(["feed"])
    expect(run.at(1, succeeded("feed")).started).toEqual(["after"])
  })
  it("is not kept open by a node in what is over, in this schedule or another", () => {
    const more: Plan.Need = { name: "~more", target: "feed", pass: "current", isOptional: true, isLive: true }
    const list = () => forEach("l", { k0: step("item") }, { needs: [more] })
    const saga: Plan.Saga = { ...{ _tag: "Saga", id: "s", onCompensated: "fail" }, body: step("feed") }
    const run = driven(sequence(saga, list(), step("after")))
    run.at(0)
    run.at(1, succeeded("feed"))
    expect(run.at(2, succeeded("item")).started).toEqual(["after"])
    // Nor by one in an arm that is not taken.
    const untaken = driven(
      sequence(
        branch(() => false, step("feed")),
        list(),
        step("after"),
      ),
    )
    untaken.at(0)
    expect(untaken.at(1, succeeded("item")).started).toEqual(["after"])
  })
})

describe("a limited group", () => {
  it("gives the place of a branch that is over to the next, whatever a race in it has kept", () => {
    const kept = race("r", { a: step("a"), b: sequence(step("b"), step("b2"), step("b3")) }, { rest: "keep" })
    const run = driven(parallel([kept, step("c"), step("d")], { maxConcurrency: 1 }))
    expect(run.at(0).started).toEqual(["a", "b"])
    expect(run.at(1, succeeded("a")).started).toEqual(["c"])
    expect(run.at(2, succeeded("b")).started).toEqual(["b2"])
    expect(run.at(3, succeeded("c")).started).toEqual(["d"])
    expect(run.at(4, succeeded("b2"), succeeded("d")).started).toEqual(["b3"])
    expect(run.at(5, succeeded("b3")).outcome).toEqual({ status: "finished" })
  })
  it("lets a branch begin beyond its limit where another waits for what it gives, and nothing else can go on", () => {
    const waits = sequence(step("a"), step("b", { needs: [{ name: "x", target: "x", pass: "current" }] }))
    const run = driven(sequence(parallel([step("x"), waits].reverse().reverse(), { maxConcurrency: 1 })))
    expect(run.at(0).started).toEqual(["x"])
    expect(run.at(1, succeeded("x")).started).toEqual(["a"])
    expect(run.at(2, succeeded("a")).started).toEqual(["b"])
  })
})

describe("places of a list with a limit", () => {
  const reset = (...ids: ReadonlyArray<string>): ReadonlyArray<RunEvent> =>
    ids.map((nodeId) => ({ _tag: "NodeReset", nodeId, iteration: 0 }))
  it("are taken again by items of which an earlier step was reset and a later one stands, no more than there are", () => {
    const item = (key: string) => sequence(step(`x${key}`), step(`y${key}`))
    const root = forEach("l", { k0: item("0"), k1: item("1"), k2: item("2") }, { maxConcurrency: 1 })
    const first = live(root)
    first.at(0)
    for (const id of ["x0", "y0", "x1", "y1", "x2", "y2"]) first.at(1, succeeded(id))
    const events = reset("l", "x0", "x1", "x2")
    const state = events.reduce((before, event) => RunState.apply(before, event, Millis.make(2)), first.state())
    const again = live(root, state)
    const second = (nodeId: string): RunEvent => ({ ...succeeded(nodeId), attempt: 2 }) as RunEvent
    expect(again.at(3).starts.map((start) => start.step.id)).toEqual(["x0"])
    expect(again.at(4, second("x0")).starts.map((start) => start.step.id)).toEqual(["x1"])
    expect(again.at(5, second("x1")).starts.map((start) => start.step.id)).toEqual(["x2"])
    expect(again.at(6, second("x2")).outcome).toEqual({ status: "finished" })
  })
  it("are not held after a restart by an item of which only a finally has run, on the way out", () => {
    const region = scope("s", { _tag: "TryCatch", id: "t", try: approval("b"), catch: undefined, finally: step("f") })
    const root = forEach("l", { k0: approval("ask"), k1: sequence(region, step("c")) }, { maxConcurrency: 1 })
    const run = driven(root)
    expect(run.at(0).waiting).toEqual(["ask"])
    expect(run.at(1, leave("s", "cancelled")).started).toEqual(["f"])
    const { started, state } = run.at(2, succeeded("f"))
    expect(started).toEqual([])
    const values = { input: {}, outputs: new Map() }
    const again = Scheduler.decide(PlanLayout.make("w", root), state, values, { maxConcurrency: 4 }, Millis.make(3))
    expect(again.starts).toEqual([])
    expect(run.at(4, approved("ask", 4)).started).toEqual(["c"])
  })
})

describe("a race that keeps the rest", () => {
  it("is over with its winner though a race in another branch keeps something too, and its time does not end it then", () => {
    const inner = race("inner", { slow: timer("slow", 5000), quick: timer("quick", 1) }, { rest: "keep" })
    const outer: Plan.Scope = { ...race("outer", { a: inner, b: step("won") }, { rest: "keep" }), ...timeOf("outer", 20) }
    const run = driven(sequence(outer, step("after")))
    run.at(0)
    expect(run.at(1).started).toEqual([])
    expect(run.at(2, succeeded("won")).started).toEqual(["after"])
    const late = run.at(30, succeeded("after"))
    expect(late.statuses).toMatchObject({ outer: "finished", "outer~timeout": "superseded", slow: "waiting" })
    expect(late.outcome).toBe(undefined)
    expect(run.at(5000).outcome).toEqual({ status: "finished" })
  })
  it("is given up with the region around it, so that the run ends", () => {
    const inner = race("inner", { slow: approval("slow"), quick: step("quick") }, { rest: "keep" })
    const run = driven(sequence(scope("region", sequence(inner, step("next"))), step("after")))
    run.at(0)
    expect(run.at(1, succeeded("quick")).started).toEqual(["next"])
    const left = run.at(2, leave("region", "cancelled"))
    expect(left.statuses).toMatchObject({ slow: "superseded" })
    expect(run.at(3, cut("next")).started).toEqual(["after"])
    expect(run.at(4, succeeded("after")).outcome).toEqual({ status: "finished" })
  })
})

describe("a settled list in the finally of a region", () => {
  it("goes on when the region is left, and says of no item that it was cancelled", () => {
    const list = forEach("l", { k0: step("a") }, { isSettled: true, isCatching: true })
    const tried: Plan.TryCatch = { _tag: "TryCatch", id: "t", try: step("body"), catch: undefined, finally: list }
    const run = driven(sequence(scope("region", tried), step("after")))
    run.at(0)
    expect(run.at(1, succeeded("body")).started).toEqual(["a"])
    expect(run.at(2, leave("region", "completed")).events.map(({ _tag }) => _tag)).toEqual(["BoundaryHalted"])
    const over = run.at(3, succeeded("a"))
    expect(over.statuses).toMatchObject({ l: "finished", t: "finished", region: "completed" })
    expect(over.statuses["l[k0]"]).toBe(undefined)
  })
})
