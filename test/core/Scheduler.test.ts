import { describe, expect, it } from "@effect/vitest"
import * as Codec from "@smithers/core/Codec"
import type { Definition } from "@smithers/core/Definition"
import * as Engine from "@smithers/core/Engine"
import { InvalidWorkflow } from "@smithers/core/Errors"
import { nodeKey } from "@smithers/core/Ids"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Millis from "@smithers/core/Millis"
import type * as Plan from "@smithers/core/Plan"
import * as PlanLayout from "@smithers/core/PlanLayout"
import type * as Records from "@smithers/core/Records"
import type { RunEvent } from "@smithers/core/RunEvent"
import * as RunRequest from "@smithers/core/RunRequest"
import * as RunState from "@smithers/core/RunState"
import type { Frame as StoredFrame } from "@smithers/core/RunStore"
import * as Scheduler from "@smithers/core/Scheduler"
import { ports, type Storage } from "@smithers/core/Storage"
import { rest } from "@smithers/testing/VirtualClock"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"

import * as Schema from "effect/Schema"
import * as Heap from "../../packages/core/src/internal/heap.ts"
import { branch, loop, need, parallel, previous, sequence, step } from "./simulation/Nodes.ts"
import * as Stepper from "./simulation/Stepper.ts"

const { make } = Stepper
const steps = (...ids: ReadonlyArray<string>): ReadonlyArray<Plan.Step> => ids.map((id) => step(id))
const finished = { status: "finished" }
const failedAt = (nodeId: string, iteration = 0) => ({ status: "failed", nodeId, iteration, reason: { _tag: "Error" } })

describe("what starts", () => {
  it("in a sequence, is one child after the other", () => {
    const run = make(sequence(...steps("a", "b", "c")))
    expect(run.frame().started).toEqual(["a"])
    expect(run.succeed("a").started).toEqual(["b"])
    expect(run.succeed("b")).toMatchObject({ started: ["c"], outcome: undefined })
    expect(run.succeed("c")).toMatchObject({ started: [], outcome: finished })
  })

  it("is leftmost first, and deepest before what stands to the right, as far as the run has room", () => {
    const run = make(parallel([sequence(...steps("a", "b")), sequence(...steps("c", "d")), step("e")]), { maxConcurrency: 2 })
    expect(run.frame().started).toEqual(["a", "c"])
    expect(run.succeed("c").started).toEqual(["d"])
    expect(run.succeed("a").started).toEqual(["b"])
    expect(run.succeed("d").started).toEqual(["e"])
  })

  it("inside groups, is what every group around it has a place for, which a branch holds until it is over", () => {
    const run = make(
      parallel(
        [
          parallel([...steps("a", "b"), parallel(steps("c", "d"), { maxConcurrency: 1 })], { maxConcurrency: 2 }),
          parallel(steps("e", "f"), { maxConcurrency: 1 }),
          ...steps("g", "h"),
        ],
        { maxConcurrency: 2 },
      ),
      { maxConcurrency: 16 },
    )
    expect(run.frame().started).toEqual(["a", "b", "e"])
    expect(run.succeed("e").started).toEqual(["f"])
    expect(run.succeed("f").started).toEqual(["g"])
    expect(run.succeed("g").started).toEqual(["h"])
    expect(run.succeed("b").started).toEqual(["c"])
    expect(run.succeed("a").started).toEqual([])
    expect(run.succeed("c").started).toEqual(["d"])
  })

  it("waits for its needs, wherever in the plan they stand", () => {
    const run = make(
      parallel([
        sequence(...steps("a", "b")),
        step("c", { needs: [need("a"), need("b")] }),
        sequence(step("d", { needs: [need("c")] })),
      ]),
    )
    expect(run.frame().started).toEqual(["a"])
    expect(run.succeed("a").started).toEqual(["b"])
    expect(run.succeed("b").started).toEqual(["c"])
    expect(run.succeed("c").started).toEqual(["d"])
  })

  it("is the same after a process died as it would have been", () => {
    const run = make(parallel([sequence(...steps("a", "b")), sequence(...steps("c", "d")), step("e")]), { maxConcurrency: 2 })
    run.frame()
    run.succeed("a")
    expect(run.restart().started).toEqual(["b", "c"])
    expect(run.step("c")).toMatchObject({ status: "running", attempt: 2, interruptions: 1 })
  })

  it("is again what was interrupted", () => {
    const run = make(parallel(steps("a", "b")), { maxConcurrency: 1 })
    run.frame()
    expect(run.interrupt("a").started).toEqual(["a"])
    expect(run.step("a")).toMatchObject({ attempt: 2, failures: [] })
  })

  it("after a cancellation is nothing, and what runs may end", () => {
    const run = make(sequence(...steps("a", "b")))
    run.frame()
    expect(run.frame({ _tag: "CancelRequested" }).started).toEqual([])
    expect(run.succeed("a")).toMatchObject({ started: [], outcome: { status: "cancelled" } })
  })

  it("in an empty sequence or parallel is nothing, and it is done at once", () => {
    expect(make(sequence()).frame().outcome).toEqual(finished)
    expect(make(parallel([])).frame().outcome).toEqual(finished)
    expect(make(sequence(parallel([]), sequence(parallel([sequence()])))).frame().outcome).toEqual(finished)
  })
})

describe("a retry", () => {
  it("is made when it is due, takes no room while it waits, and waits for room when it is due", () => {
    const run = make(parallel(steps("a", "b")), { maxConcurrency: 1 })
    run.frame()
    expect(run.fail("a", { retryAt: 100 })).toMatchObject({ started: ["b"], wakeAt: 100 })
    expect(run.wait(99)).toMatchObject({ started: [], wakeAt: 100 })
    expect(run.wait(1)).toMatchObject({ started: [], wakeAt: undefined })
    expect(run.succeed("b").started).toEqual(["a"])
    expect(run.step("a")).toMatchObject({ attempt: 2, failures: [{ at: 0 }] })
  })

  it("is due in the order of the times, not of the plan", () => {
    const run = make(parallel(steps("a", "b", "c")))
    run.frame()
    run.fail("a", { retryAt: 300 })
    run.fail("b", { retryAt: 100 })
    expect(run.fail("c", { retryAt: 200 }).wakeAt).toBe(100)
    expect(run.wait(100)).toMatchObject({ started: ["b"], wakeAt: 200 })
    expect(run.wait(200)).toMatchObject({ started: ["a", "c"], wakeAt: undefined })
  })

  it("stays due at its time when the process has died", () => {
    const run = make(step("a"))
    run.frame()
    run.fail("a", { retryAt: 100 })
    expect(run.restart()).toMatchObject({ started: [], wakeAt: 100, outcome: undefined })
    expect(run.wait(100).started).toEqual(["a"])
  })
})

describe("a failure for good", () => {
  const root = parallel([sequence(...steps("a", "b")), sequence(...steps("c", "d")), step("e")])

  it("lets what runs end and keeps it, starts nothing, and only then ends the run", () => {
    const run = make(root)
    expect(run.frame().started).toEqual(["a", "c", "e"])
    expect(run.fail("a")).toMatchObject({ started: [], outcome: undefined, interrupts: [] })
    expect(run.succeed("c")).toMatchObject({ started: [], outcome: undefined })
    expect(run.succeed("e").outcome).toMatchObject(failedAt("a"))
    expect(run.step("c")).toMatchObject({ status: "finished", output: "c" })
    expect(run.step("d")).toBeUndefined()
  })

  it("of several is the first one that is told", () => {
    const run = make(root)
    run.frame()
    run.fail("e")
    run.fail("c")
    expect(run.fail("a").outcome).toMatchObject(failedAt("e"))
  })

  it("that is caught makes nobody wake for what was to be tried again beside it", () => {
    const guarded: Plan.TryCatch = {
      _tag: "TryCatch",
      id: "t",
      try: parallel(steps("a", "b")),
      catch: step("c"),
      finally: undefined,
    }
    const run = make(guarded)
    run.frame()
    expect(run.fail("a", { retryAt: 100 }).wakeAt).toBe(100)
    expect(run.fail("b")).toMatchObject({ started: ["c"], wakeAt: undefined })
  })

  it("does not wait for retries that are due later", () => {
    const run = make(root)
    run.frame()
    run.fail("c", { retryAt: 100 })
    run.fail("a")
    expect(run.succeed("e")).toMatchObject({ wakeAt: undefined, outcome: failedAt("a") })
  })

  it("still ends the run after the process died", () => {
    const run = make(root)
    run.frame()
    run.fail("c")
    expect(run.restart()).toMatchObject({ started: [], outcome: failedAt("c") })
  })

  it("that is tolerated leaves the value absent and goes on", () => {
    const run = make(sequence(step("a", { continueOnFail: true }), step("b", { needs: [need("a")] })))
    run.frame()
    expect(run.fail("a", { isSoft: true }).started).toEqual(["b"])
    expect(run.needs("b")).toEqual({ values: { a: undefined }, missing: undefined })
    expect(run.restart().started).toEqual(["b"])
  })
})

describe("what a boundary does on the way out", () => {
  it("is given up where it was drawn with a read that will not come, and the run ends as it would have", () => {
    const pending = [{ nodeId: "a", table: undefined }]
    const provisional = sequence(step("f", { pending }))
    const guarded = (id: string, body: Plan.Node, last: Plan.Node): Plan.TryCatch => ({
      _tag: "TryCatch",
      id,
      try: body,
      catch: undefined,
      finally: last,
    })
    const run = make(guarded("outer", guarded("inner", step("a"), provisional), step("last")), { pending })
    expect(run.frame().started).toEqual(["a"])
    expect(run.fail("a")).toMatchObject({ started: ["last"], outcome: undefined })
    expect(run.succeed("last")).toMatchObject({ started: [], outcome: failedAt("a") })
  })
})

describe("failFast", () => {
  const inner = (failFast: boolean) => parallel([step("a"), sequence(...steps("b", "c"))], { failFast })

  it("interrupts what else runs in the outermost group that asks for it, and nothing outside", () => {
    const run = make(parallel([step("x"), parallel([inner(true), step("y")], { failFast: true })]), { maxConcurrency: 9 })
    expect(run.frame().started).toEqual(["x", "a", "b", "y"])
    expect(run.fail("b").interrupts).toEqual(["a/0", "y/0"])
    expect(run.interrupt("a")).toMatchObject({ started: [], outcome: undefined })
    expect(run.succeed("y").outcome).toBeUndefined()
    expect(run.succeed("x").outcome).toMatchObject(failedAt("b"))
  })

  it("is for failures inside", () => {
    const run = make(parallel([step("x"), inner(true)]))
    run.frame()
    expect(run.fail("x").interrupts).toEqual([])
  })

  it("does not mind failures that are tolerated", () => {
    const run = make(parallel([step("a", { continueOnFail: true }), step("b")], { failFast: true }))
    run.frame()
    expect(run.fail("a", { isSoft: true }).interrupts).toEqual([])
  })

  it("also holds when the schedule is made anew with the failure already there, whichever side it is on", () => {
    for (const failing of ["a", "b"]) {
      const run = make(inner(true))
      run.frame()
      run.fail(failing)
      expect(run.replan(inner(true)).interrupts).toEqual([failing === "a" ? "b/0" : "a/0"])
    }
  })

  it("holds for every failure when the schedule is made anew with several", () => {
    const root = parallel([step("x"), inner(true), parallel(steps("y", "z"), { failFast: true })])
    const run = make(root, { maxConcurrency: 9 })
    expect(run.frame().started).toEqual(["x", "a", "b", "y", "z"])
    run.fail("x")
    run.fail("z")
    expect(run.replan(root).interrupts).toEqual(["y/0"])
    run.fail("b")
    expect([...run.replan(root).interrupts].sort()).toEqual(["a/0", "y/0"])
  })

  it("knows the pass that is running", () => {
    const run = make(loop("l", parallel(steps("a", "b"), { failFast: true })))
    run.frame()
    run.succeed("a")
    run.succeed("b")
    expect(run.fail("a").interrupts).toEqual(["b/1"])
  })
})

describe("skipIf", () => {
  it("leaves the step out without an attempt, with the values of its needs to go by", () => {
    const b = step("b", { needs: [need("a")], skipIf: ({ input, a }) => input === 7 && a === "left" })
    const run = make(sequence(step("a"), b, step("c", { needs: [need("b")] })), { input: 7 })
    run.frame()
    expect(run.succeed("a", "left")).toMatchObject({
      started: ["c"],
      events: [{ _tag: "NodeSkipped", nodeId: "b", iteration: 0 }],
    })
    expect(run.needs("c").values).toEqual({ b: undefined })
  })

  it("is not asked again once the step has begun", () => {
    let asked = 0
    const run = make(step("a", { skipIf: () => asked++ > 0 }))
    expect(run.frame().started).toEqual(["a"])
    expect(run.restart().started).toEqual(["a"])
    expect(run.fail("a", { retryAt: 0 }).started).toEqual(["a"])
    expect(asked).toBe(1)
  })

  it("that throws fails the step", () => {
    const skipIf = () => {
      throw new TypeError("oh")
    }
    const run = make(sequence(step("a", { skipIf }), step("b")))
    const error = { name: "TypeError", message: `its "skipIf" threw: oh`, retryable: false }
    expect(run.frame()).toMatchObject({ started: [], events: [{ _tag: "NodeFailed", nodeId: "a", error }], outcome: failedAt("a") })
    const tolerant = make(sequence(step("a", { skipIf, continueOnFail: true }), step("b")))
    expect(tolerant.frame()).toMatchObject({ started: ["b"], events: [{ _tag: "NodeFailed", isSoft: true }] })
  })
})

describe("a branch", () => {
  const root = branch(({ a }) => a === 1, step("then"), step("else"), [need("a")])

  it("takes the arm its condition names, and has its value", () => {
    for (const [value, arm] of [
      [1, "then"],
      [2, "else"],
    ] as const) {
      const run = make(sequence(step("a"), root, step("b", { needs: [need(root, "taken")] })))
      run.frame()
      expect(run.succeed("a", value).started).toEqual([arm])
      expect(run.succeed(arm, `${arm}!`).started).toEqual(["b"])
      expect(run.needs("b").values).toEqual({ taken: `${arm}!` })
      expect(run.restart().started).toEqual(["b"])
      expect(run.needs("b").values).toEqual({ taken: `${arm}!` })
    }
  })

  it("without another arm may be nothing", () => {
    const run = make(
      sequence(
        branch(() => false, step("a")),
        step("b"),
      ),
    )
    expect(run.frame().started).toEqual(["b"])
  })

  it("whose condition throws fails the run, by its place in the plan", () => {
    const thrower = branch(() => {
      throw "a string"
    }, step("a"))
    const run = make(sequence(thrower))
    expect(run.frame().outcome).toMatchObject({ nodeId: "#1", reason: { error: { message: `its "when" threw: a string` } } })
  })
})

describe("a loop", () => {
  const pass = (event: RunEvent) =>
    event._tag === "LoopAdvanced" ? [event.nodeId, event.iteration, event.base, event.pass] : event._tag

  it("asks before the first pass and after each, with the output and the number of passes", () => {
    const asked: Array<unknown> = []
    const until: Plan.Loop["until"] = ({ output, iteration, a, input }) => {
      asked.push([output, iteration, a, input])
      return output === "a2"
    }
    const run = make(loop("l", sequence(step("a")), { until, needs: [need("a")] }), { input: "in" })
    run.frame()
    run.succeed("a", "a1")
    expect(run.succeed("a", "a2")).toMatchObject({ events: [{ _tag: "LoopFinished", reason: "until" }], outcome: finished })
    expect(asked).toEqual([
      [undefined, 0, undefined, "in"],
      ["a1", 1, "a1", "in"],
      ["a2", 2, "a2", "in"],
    ])
  })

  it("may make no pass, and then has no value to give to those who need it or something inside", () => {
    const inner = loop("inner", step("a"), { until: () => true })
    const run = make(
      sequence(
        loop("outer", inner, { maxIterations: 2 }),
        parallel([step("b", { needs: [need("a")] }), step("c", { needs: [need("inner")] }), step("d", { needs: [need("outer")] })]),
      ),
    )
    expect(run.frame().started).toEqual(["b", "c", "d"])
    expect(run.needs("b")).toEqual({ values: { a: undefined }, missing: "a" })
    expect(run.needs("c")).toEqual({ values: { inner: undefined }, missing: "inner" })
    expect(run.needs("d")).toEqual({ values: { outer: undefined }, missing: undefined })
    const empty = make(sequence(inner, step("b", { needs: [need("inner")] })))
    expect(empty.frame().started).toEqual(["b"])
    expect(empty.needs("b").missing).toBe("inner")
  })

  it("shows its until nothing of its own body before the first pass, whatever that body is", () => {
    const arm = branch(
      ({ a }) => {
        if (a === undefined) throw new Error("asked before there was anything to ask about")
        return a === 1
      },
      step("b"),
      undefined,
      [need("a")],
    )
    const both = parallel([step("a"), step("x")])
    const seen: Array<unknown> = []
    const until: Plan.Loop["until"] = ({ both, arm, iteration }) => {
      seen.push([both, arm])
      return iteration === 1
    }
    const run = make(loop("l", sequence(both, arm), { until, needs: [need(both, "both"), need(arm, "arm")] }))
    expect(run.frame().started).toEqual(["a", "x"])
    run.succeed("a", 1)
    run.succeed("x", 2)
    expect(run.succeed("b", 3).outcome).toEqual(finished)
    expect(seen).toEqual([
      [undefined, undefined],
      [[1, 2], 3],
    ])
  })

  it("keeps a row per pass, and lets a pass see the one before", () => {
    const body = sequence(step("a", { needs: [previous("b"), previous("a")] }), step("b"))
    const run = make(sequence(loop("l", body, { maxIterations: 3 }), step("end", { needs: [need("l"), need("a")] })))
    run.frame()
    expect(run.needs("a").values).toEqual({ a: undefined, b: undefined })
    run.succeed("a", 1)
    run.succeed("b", 2)
    expect(run.needs("a").values).toEqual({ a: 1, b: 2 })
    run.succeed("a", 3)
    run.succeed("b", 4)
    expect(run.needs("a").values).toEqual({ a: 3, b: 4 })
    run.succeed("a", 5)
    expect(run.succeed("b", 6)).toMatchObject({ started: ["end"], events: [{ _tag: "LoopFinished", reason: "maxIterations" }] })
    expect(run.needs("end").values).toEqual({ l: 6, a: 5 })
    expect(run.restart()).toMatchObject({ started: ["end"], events: [] })
    expect(run.needs("end").values).toEqual({ l: 6, a: 5 })
    expect([0, 1, 2, 3].map((iteration) => run.step("a", iteration)?.output)).toEqual([1, 3, 5, undefined])
  })

  it("inside another starts afresh in each of its passes, and its rows go on counting", () => {
    const inner = loop("inner", step("a", { needs: [previous("a")] }), { maxIterations: 2 })
    const run = make(loop("outer", inner, { maxIterations: 2 }))
    expect(run.frame().events.map(pass)).toEqual([
      ["outer", 0, 0, 0],
      ["inner", 0, 0, 0],
    ])
    expect(run.succeed("a", 1).events.map(pass)).toEqual([["inner", 0, 0, 1]])
    expect(run.needs("a").values).toEqual({ a: 1 })
    expect(run.succeed("a", 2).events.map(pass)).toEqual(["LoopFinished", ["outer", 0, 0, 1], ["inner", 1, 2, 0]])
    expect(run.needs("a").values).toEqual({ a: undefined })
    expect(run.schedule().pass(2)).toBe(0)
    run.restart()
    expect(run.needs("a").values).toEqual({ a: undefined })
    expect(run.succeed("a", 3).events.map(pass)).toEqual([["inner", 1, 2, 1]])
    expect(run.schedule().pass(2)).toBe(1)
    expect(run.succeed("a", 4).outcome).toEqual(finished)
    expect([0, 1, 2, 3].map((iteration) => run.step("a", iteration)?.output)).toEqual([1, 2, 3, 4])
    expect(run.schedule().value(0)).toBe(4)
  })

  it("has the needs of each pass met in that pass", () => {
    const body = parallel([sequence(...steps("x", "a")), step("b", { needs: [need("a")] })])
    const run = make(loop("l", body, { maxIterations: 2 }))
    for (const value of [1, 2]) {
      expect(run.step("b", value - 1)).toBeUndefined()
      if (value === 1) expect(run.frame().started).toEqual(["x"])
      expect(run.succeed("x").started).toEqual(["a"])
      expect(run.succeed("a", value).started).toEqual(["b"])
      expect(run.needs("b").values).toEqual({ a: value })
      expect(run.succeed("b").started).toEqual(value === 1 ? ["x"] : [])
    }
  })

  it("that reaches its last pass fails the run where it is told to", () => {
    const run = make(loop("l", step("a"), { maxIterations: 2, onMaxReached: "fail" }))
    run.frame()
    run.succeed("a")
    const outcome = { status: "failed", nodeId: "l", iteration: 0, reason: { _tag: "LoopLimit", maxIterations: 2 } }
    expect(run.succeed("a").outcome).toEqual(outcome)
    expect(run.restart().outcome).toEqual(outcome)
  })

  it("does not fail when its last pass was enough", () => {
    const run = make(loop("l", step("a"), { maxIterations: 1, onMaxReached: "fail", until: ({ iteration }) => iteration === 1 }))
    run.frame()
    expect(run.succeed("a").outcome).toEqual(finished)
  })

  it("whose until throws fails the run by its id", () => {
    const until = () => {
      throw new Error("oh")
    }
    expect(make(loop("l", step("a"), { until })).frame().outcome).toMatchObject(failedAt("l"))
  })

  it("makes its passes at once where nothing in them runs", () => {
    const run = make(loop("l", step("a", { skipIf: () => true }), { maxIterations: 3 }))
    const { events, outcome } = run.frame()
    expect(events.map(({ _tag }) => _tag)).toEqual([...Array(3).fill(["LoopAdvanced", "NodeSkipped"]).flat(), "LoopFinished"])
    expect(outcome).toEqual(finished)
  })

  it("waits with the next pass until everything in this one has ended", () => {
    const run = make(loop("l", parallel(steps("a", "b"))))
    run.frame()
    expect(run.succeed("b").started).toEqual([])
    expect(run.succeed("a").started).toEqual(["a", "b"])
  })
})

describe("the value", () => {
  it("of a sequence is its last child's, of a parallel the tuple of them, absent ones included", () => {
    const both = parallel([step("a"), step("b", { skipIf: () => true }), sequence(step("c"), step("d"))])
    const run = make(sequence(both, step("e", { needs: [need(both, "both")] })))
    run.frame()
    run.succeed("a", 1)
    run.succeed("c", 2)
    expect(run.succeed("d", 3).started).toEqual(["e"])
    expect(run.needs("e").values).toEqual({ both: [1, undefined, 3] })
    expect(run.schedule().value(1)).toEqual([1, undefined, 3])
    expect(run.schedule().stored(1)).toEqual([1, null, 3])
  })
})

describe("attempts that the plan does not have", () => {
  it("take room, are not started again, and the run waits for them", () => {
    const run = make(parallel(steps("a", "b")), { maxConcurrency: 2 })
    run.frame()
    expect(run.replan(parallel(steps("b", "c", "d"))).started).toEqual([])
    expect(run.succeed("a").started).toEqual(["c"])
    expect(run.succeed("b").started).toEqual(["d"])
    run.succeed("c")
    run.replan(sequence())
    expect(run.frame().outcome).toBeUndefined()
    expect(run.succeed("d").outcome).toEqual(finished)
    expect(run.step("a")).toMatchObject({ status: "finished", output: "a" })
  })

  it("are known again when the plan has them back", () => {
    const run = make(sequence(...steps("a", "b")))
    run.frame()
    run.replan(step("b"))
    run.interrupt("b")
    expect(run.step("a")?.status).toBe("running")
    expect(run.replan(sequence(...steps("a", "c"))).started).toEqual([])
    expect(run.succeed("a").started).toEqual(["c"])
  })

  it("are counted once when the plan comes to them later", () => {
    const run = make(parallel(steps("a", "b")))
    run.frame()
    run.replan(sequence(...steps("a", "b")))
    expect(run.succeed("a")).toMatchObject({ started: [], outcome: undefined })
    expect(run.succeed("b").outcome).toEqual(finished)
  })

  it("fail nothing when they fail", () => {
    const run = make(parallel(steps("a", "b")))
    run.frame()
    run.replan(step("b"))
    expect(run.fail("a").outcome).toBeUndefined()
    expect(run.succeed("b").outcome).toEqual(finished)
  })
})

describe("a plan of any size", () => {
  const deep = 5000
  const nest = (around: (inner: Plan.Node, depth: number) => Plan.Node): Plan.Node => {
    let node: Plan.Node = step("a")
    for (let depth = 0; depth < deep; depth++) node = around(node, depth)
    return node
  }

  /** What is in the innermost of lists, and how many lists there are around it. */
  const unpacked = (value: unknown): readonly [inner: unknown, lists: number] => {
    let [inner, lists] = [value, 0]
    for (; Array.isArray(inner) && inner.length === 1; lists++) inner = inner[0]
    return [inner, lists]
  }

  it.each<[what: string, root: Plan.Node, given: unknown, lists: number]>([
    ["sequences", nest((inner) => sequence(inner)), 1, 0],
    ["sequences with more behind", nest((inner) => sequence(inner, sequence())), undefined, 0],
    ["parallels", nest((inner) => parallel([inner])), 1, deep],
    ["parallels with limits", nest((inner) => parallel([inner], { maxConcurrency: 1, failFast: true })), 1, deep],
    ["branches", nest((inner) => branch(() => true, inner)), 1, 0],
    ["other arms", nest((inner) => branch(() => false, sequence(), inner)), 1, 0],
    [
      "all kinds",
      nest((inner, depth) => [sequence(inner), parallel([inner]), branch(() => true, inner)][depth % 3] as Plan.Node),
      1,
      Math.floor((deep + 1) / 3),
    ],
  ])("may nest 5,000 deep: %s", (_, root, given, lists) => {
    const run = make(sequence(root, step("b", { needs: [need(root, "value")] })))
    expect(run.frame().started).toEqual(["a"])
    expect(run.restart().started).toEqual(["a"])
    expect(run.succeed("a", 1).started).toEqual(["b"])
    const { values, missing } = run.needs("b")
    expect(missing).toBeUndefined()
    expect(unpacked(values.value)).toEqual([given, lists])
    expect(run.succeed("b").outcome).toEqual(finished)
  })

  it("may nest a hundred loops and more", () => {
    let node: Plan.Node = step("a")
    for (let depth = 0; depth < 150; depth++) node = loop(`l${depth}`, node, { maxIterations: 1 })
    const run = make(node)
    expect(run.frame().started).toEqual(["a"])
    expect(run.restart().started).toEqual(["a"])
    expect(run.succeed("a", 1).outcome).toEqual(finished)
    expect(run.schedule().value(0)).toBe(1)
  })

  /**
   * How often the plan and the records of what has ended are looked at per step while a run goes from its first step to its last, and
   * while all of it is undone if the last one fails.
   */
  const looks = (count: number, shape: (children: ReadonlyArray<Plan.Step>) => Plan.Node, isUndone = false): number => {
    let seen = 0
    const counted = <A extends object>(value: A): A =>
      new Proxy(value, {
        get: (target, key) => {
          if (typeof key === "string") seen++
          return Reflect.get(target, key)
        },
      })
    const children = Array.from({ length: count }, (_, index) => step(`s${index}`, isUndone ? { compensate: () => null } : {}))
    const made = PlanLayout.make("w", shape(children))
    const counting =
      <A>(look: (position: number) => A) =>
      (position: number): A => {
        seen++
        return look(position)
      }
    const plan: Plan.Plan = {
      ...made,
      nodes: counted(made.nodes),
      undoes: counted(made.undoes),
      node: counting(made.node),
      step: counting(made.step),
      leaf: counting(made.leaf),
      loop: counting(made.loop),
      boundary: counting(made.boundary),
      id: counting(made.id),
      parent: counting(made.parent),
      end: counting(made.end),
      loopOf: counting(made.loopOf),
      undone: counting(made.undone),
      needs: counting(made.needs),
    }
    const schedule = Scheduler.make(plan, { input: {}, outputs: new Map() }, { maxConcurrency: 4 })
    let { state } = schedule.advance(RunState.empty("r"), [], Millis.zero)
    const inFlight: Array<Extract<RunEvent, { readonly _tag: "AttemptSucceeded" | "AttemptFailed" }>> = []
    seen = 0
    for (;;) {
      const decision = schedule.next()
      if (decision.outcome !== undefined) {
        expect(decision.outcome).toMatchObject(isUndone ? failedAt(`s${count - 1}`) : finished)
        // Each step, what undoes each but the last, and the saga.
        if (isUndone) expect(state.nodes.size).toBe(2 * count)
        return seen / count
      }
      state = decision.state
      for (const { step, iteration, attempt } of decision.starts) {
        const at = { nodeId: step.id, iteration, attempt }
        const error = { name: "Error", message: "no", retryable: false }
        inFlight.push(
          isUndone && step.id === `s${count - 1}`
            ? { _tag: "AttemptFailed", ...at, error }
            : { _tag: "AttemptSucceeded", ...at, ...(step.compensate === undefined && isUndone ? {} : { table: "t" }), output: 1 },
        )
      }
      const event = inFlight.shift()
      if (event === undefined) return expect.fail("nothing runs, and the run goes on")
      state = RunState.apply(state, event, Millis.zero)
      const key = nodeKey(event.nodeId, event.iteration)
      state = { ...state, nodes: state.nodes.set(key, counted(state.nodes.get(key) as Records.NodeRecord)) }
      state = schedule.advance(state, [event], Millis.zero).state
    }
  }

  it.each<[what: string, shape: (children: ReadonlyArray<Plan.Step>) => Plan.Node]>([
    ["sequence", (children) => sequence(...children)],
    ["parallel", (children) => parallel(children)],
    ["parallel with a limit", (children) => parallel(children, { maxConcurrency: 2 })],
    ["sequence of branches", (children) => sequence(...children.map((child) => branch(() => true, child)))],
    [
      "chain of needs",
      (children) => parallel(children.map((child, at) => (at === 0 ? child : { ...child, needs: [need(`s${at - 1}`)] }))),
    ],
    ["sequence of loops", (children) => sequence(...children.map((child) => loop(`l${child.id}`, child, { maxIterations: 1 })))],
  ])("is looked at no more per step when it is longer: %s", (_, shape) => {
    expect(looks(10_000, shape)).toBeLessThan(looks(500, shape) * 1.1 + 1)
  })

  it("is looked at no more per step when more of it is undone", () => {
    const saga = (children: ReadonlyArray<Plan.Step>): Plan.Saga => ({
      _tag: "Saga",
      id: "saga",
      body: sequence(...children),
      onCompensated: "fail",
    })
    expect(looks(4000, saga, true)).toBeLessThan(looks(500, saga, true) * 1.1 + 1)
  })
})

describe("a failure that is met again by a schedule made afresh", () => {
  const tryCatch = (id: string, inside: Plan.Node, caught: Plan.Node | undefined, last: Plan.Node | undefined): Plan.TryCatch => ({
    _tag: "TryCatch",
    id,
    try: inside,
    catch: caught,
    finally: last,
  })

  it("is known before anything begins, so that no pass, skip or boundary follows from what ended after it", () => {
    const skipped = step("s", { skipIf: () => true })
    const behind = parallel([loop("l", step("x")), tryCatch("t", step("y"), undefined, step("f")), skipped])
    const run = make(parallel([sequence(step("a"), behind), step("b"), step("c")]))
    run.frame()
    run.fail("b")
    expect(run.succeed("a").events).toEqual([])
    expect(run.restart()).toMatchObject({ started: [], events: [], outcome: failedAt("b") })
  })

  it("is known by asking the filters around it, where it was not met before the schedule was made", () => {
    const decided = (isCaught: boolean) => {
      const guarded = { ...tryCatch("t", step("b"), step("c"), undefined), catchWhen: () => isCaught }
      const plan = PlanLayout.make("w", parallel([step("s", { skipIf: () => true }), guarded]))
      const at = { nodeId: "b", iteration: 0, attempt: 1 }
      const error = { name: "Error", message: "no", retryable: false }
      const events: ReadonlyArray<RunEvent> = [
        { _tag: "BoundaryStarted", nodeId: "t", iteration: 0 },
        { _tag: "AttemptStarted", ...at },
        { _tag: "AttemptFailed", ...at, error },
      ]
      const state = events.reduce((state, event) => RunState.apply(state, event, Millis.zero), RunState.empty("r"))
      return Scheduler.decide(plan, state, { input: {}, outputs: new Map() }, { maxConcurrency: 4 }, Millis.zero)
    }
    const caught = decided(true)
    expect(caught.events.map(({ _tag }) => _tag)).toEqual(["NodeSkipped", "BoundaryHalted", "AttemptStarted"])
    expect(caught.starts.map(({ step }) => step.id)).toEqual(["c"])
    const passed = decided(false)
    expect(passed.events).toMatchObject([
      { _tag: "BoundaryHalted", nodeId: "t", isCaught: false },
      { _tag: "BoundaryEnded", nodeId: "t", status: "failed" },
    ])
    expect(passed.outcome).toMatchObject(failedAt("b"))
  })

  it("waits for a catch that is at work before it goes on to the finally", () => {
    const root = parallel([tryCatch("t", step("a"), step("c"), step("f")), step("b")])
    const run = make(root)
    run.frame()
    expect(run.fail("a").started).toEqual(["c"])
    expect(run.fail("b").started).toEqual([])
    expect(run.replan(root).started).toEqual([])
    expect(run.succeed("c").started).toEqual(["f"])
    expect(run.succeed("f").outcome).toMatchObject(failedAt("b"))
  })

  it("leaves a group as full as it is with what runs beside it", () => {
    const inside = parallel([tryCatch("t", step("a"), undefined, step("f")), step("b")], { maxConcurrency: 2 })
    const run = make(inside, { maxConcurrency: 4 })
    run.frame()
    expect(run.fail("a").started).toEqual(["f"])
    const narrow = parallel([tryCatch("t", step("a"), undefined, sequence(step("g"), step("f"))), step("b")], { maxConcurrency: 1 })
    // Both branches have begun, and hold their places.
    expect(run.replan(narrow).started).toEqual(["g"])
  })
})

describe("a heap", () => {
  it("gives back the least first, whatever was pushed and popped between", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(FastCheck.option(FastCheck.integer(), { nil: undefined })), (operations) => {
        const heap = Heap.make<number>((item) => item)
        const model: Array<number> = []
        for (const item of operations) {
          if (item === undefined) expect(heap.pop()).toBe(model.shift())
          else {
            heap.push(item)
            model.push(item)
            model.sort((left, right) => left - right)
          }
          expect(heap.peek()).toBe(model[0])
          expect(heap.size()).toBe(model.length)
        }
      }),
      { seed: 20_260_101 },
    )
  })
})

/**
 * A run of a plan that is made anew whenever anything happened. Steps end when the test says so; a step that has ended without
 * that is one that should not have begun.
 */
const changing = (render: (isDone: (id: string) => boolean) => Plan.Node, storage = MemoryStorage.make()) =>
  Effect.gen(function* () {
    const begun: Array<string> = []
    const stopped: Array<string> = []
    const frames: Array<StoredFrame> = []
    const gates = new Map<string, Deferred.Deferred<unknown, unknown>>()
    const anything = Codec.makeUnknown(Schema.Unknown)
    const gated = (node: Plan.Node): Plan.Node => {
      if (node._tag === "Sequence" || node._tag === "Parallel") return { ...node, children: node.children.map(gated) }
      if (node._tag !== "Step") return node
      const { id } = node
      const run = () =>
        Effect.suspend(() => {
          begun.push(id)
          const gate = Deferred.unsafeMake<unknown, unknown>(FiberId.none)
          gates.set(id, gate)
          return Effect.onInterrupt(Deferred.await(gate), () => Effect.sync(() => stopped.push(id)))
        })
      return { ...node, run }
    }
    const definition: Definition = {
      name: "w",
      version: undefined,
      input: anything,
      planner: () => ({
        plan: (state) => {
          const drawn = gated(render((id) => RunState.step(state, id, 0)?.status === "finished"))
          return Either.try({
            try: () => PlanLayout.make("w", drawn),
            catch: (thrown) => {
              if (thrown instanceof InvalidWorkflow) return thrown
              throw thrown
            },
          })
        },
        observe: () => true,
      }),
      codecOf: () => anything,
      tables: [],
      maxConcurrency: undefined,
    }
    const watched: Storage["Type"] = {
      ...storage,
      commit: (frame) =>
        Effect.zipLeft(
          storage.commit(frame),
          Effect.sync(() => frames.push(frame)),
        ),
    }
    const engine = yield* Effect.provide(Engine.make(), ports(watched))
    const create = { workflow: "w", version: undefined, input: {}, tags: [] }
    const fiber = yield* Effect.fork(engine.join(definition, RunRequest.start("r", create, { reopen: ["failed"] })))
    const events = () => frames.flatMap((frame) => frame.events)
    yield* rest
    return {
      storage,
      frames,
      begun,
      stopped,
      fiber,
      changes: () => events().filter((event) => event._tag === "PlanChanged"),
      end: (id: string, exit: Exit.Exit<unknown, unknown> = Exit.succeed(`${id}!`)) =>
        Effect.zipRight(Deferred.done(gates.get(id) as Deferred.Deferred<unknown, unknown>, exit), rest),
    }
  })

describe("a plan that changes while it runs", () => {
  it.scoped(
    "because of what follows from it is committed after sixteen times, so that a run that never settles can be cancelled",
    () =>
      Effect.gen(function* () {
        let plans = 0
        const count = 100
        // Each plan has a step more, which is skipped: that makes the next plan.
        const run = yield* changing(() => {
          plans++
          return sequence(
            ...Array.from({ length: Math.min(plans, count) }, (_, index) => step(`s${index}`, { skipIf: () => true })),
          )
        })
        expect(plans).toBeGreaterThan(count)
        const skipped = run.frames.map(({ events }) => events.filter(({ _tag }) => _tag === "NodeSkipped").length)
        expect(skipped.reduce((sum, more) => sum + more, 0)).toBe(count)
        expect(skipped.slice(0, 5)).toEqual([17, 17, 17, 17, 17])
        expect(yield* Fiber.join(run.fiber)).toMatchObject({ status: "finished" })
      }),
  )

  it.scoped("has nodes that appear, and they run", () =>
    Effect.gen(function* () {
      const run = yield* changing((isDone) => sequence(step("a"), ...(isDone("a") ? steps("b", "c") : [])))
      expect(run.begun).toEqual(["a"])
      yield* run.end("a")
      expect(run.begun).toEqual(["a", "b"])
      expect(run.changes()).toEqual([{ _tag: "PlanChanged", mounted: ["b", "c"], unmounted: [], changed: [] }])
      yield* run.end("b")
      yield* run.end("c")
      expect(yield* Fiber.join(run.fiber)).toEqual({ status: "finished", runId: "r", output: "c!" })
    }),
  )

  it.scoped("has nodes that vanish while they run: they end and are kept, and what stood behind them does not start", () =>
    Effect.gen(function* () {
      const run = yield* changing((isDone) =>
        sequence(parallel([step("a"), ...(isDone("a") ? [] : [sequence(...steps("b", "c"))])]), step("d")),
      )
      expect(run.begun).toEqual(["a", "b"])
      yield* run.end("a")
      expect(run.changes()).toEqual([{ _tag: "PlanChanged", mounted: [], unmounted: ["b", "c"], changed: [] }])
      expect(run.begun).toEqual(["a", "b", "d"])
      yield* run.end("d")
      expect(run.fiber.unsafePoll()).toBeNull()
      yield* run.end("b")
      expect(yield* Fiber.join(run.fiber)).toEqual({ status: "finished", runId: "r", output: "d!" })
      const state = yield* run.storage.load("r")
      expect(RunState.step(state, "b", 0)).toMatchObject({ status: "finished", output: "b!" })
      expect(run.begun).toEqual(["a", "b", "d"])
    }),
  )

  it.scoped("has nodes that vanish and come back: they neither start twice nor run again when they have ended", () =>
    Effect.gen(function* () {
      const run = yield* changing((isDone) =>
        parallel([...steps("a", "b"), ...(isDone("a") && !isDone("b") ? [] : [sequence(...steps("c", "d"))]), ...steps("e")]),
      )
      expect(run.begun).toEqual(["a", "b", "c", "e"])
      yield* run.end("a")
      yield* run.end("b")
      expect(run.changes()).toMatchObject([{ unmounted: ["c", "d"] }, { mounted: ["c", "d"] }])
      yield* run.end("c")
      expect(run.begun).toEqual(["a", "b", "c", "e", "d"])
      yield* run.end("d")
      yield* run.end("e")
      expect(yield* Fiber.join(run.fiber)).toEqual({ status: "finished", runId: "r", output: ["a!", "b!", "d!", "e!"] })
    }),
  )

  it.scoped("has nodes that change and move, and keeps what they have done", () =>
    Effect.gen(function* () {
      const [a, b, c] = steps("a", "b", "c") as [Plan.Step, Plan.Step, Plan.Step]
      const run = yield* changing((isDone) =>
        isDone("a") ? sequence(c, { ...b, label: "new" }, a, step("d", { needs: [need("a")] })) : sequence(a, b, c),
      )
      yield* run.end("a")
      expect(run.changes()).toEqual([{ _tag: "PlanChanged", mounted: ["d"], unmounted: [], changed: ["b"] }])
      yield* run.end("c")
      yield* run.end("b")
      expect(run.begun).toEqual(["a", "c", "b", "d"])
      yield* run.end("d")
      expect((yield* Fiber.join(run.fiber)).status).toBe("finished")
    }),
  )

  it.scoped("is planned again until what follows from it does not change it any more", () =>
    Effect.gen(function* () {
      const skipped = (id: string) => step(id, { skipIf: () => true })
      const run = yield* changing((isDone) => sequence(step("a"), ...(isDone("a") ? [skipped("b"), skipped("c"), step("d")] : [])))
      yield* run.end("a")
      expect(run.frames).toHaveLength(2)
      expect(run.begun).toEqual(["a", "d"])
    }),
  )

  it.scoped("is stored when it is new and not again while it stays as it is", () =>
    Effect.gen(function* () {
      const run = yield* changing((isDone) => sequence(...steps("a", "b"), ...(isDone("b") ? steps("c") : [])))
      yield* run.end("a")
      yield* run.end("b")
      yield* run.end("c")
      expect(run.frames.map(({ plan }) => plan?.text.split("\n").length)).toEqual([3, undefined, 4, undefined])
    }),
  )

  it.scoped("interrupts the siblings of a failure where failFast says so", () =>
    Effect.gen(function* () {
      const run = yield* changing(() => parallel(steps("a", "b", "c"), { failFast: true }))
      yield* run.end("b", Exit.fail(new Error("no")))
      expect(run.stopped.sort()).toEqual(["a", "c"])
      expect(yield* Fiber.join(run.fiber)).toMatchObject({ status: "failed", error: { nodeId: "b" } })
    }),
  )

  it.scoped("can lose the step that failed, and goes on without it", () =>
    Effect.gen(function* () {
      const run = yield* changing((isDone) => parallel([step("a"), ...(isDone("a") ? [] : steps("b"))]))
      yield* run.end("a")
      yield* run.end("b", Exit.fail(new Error("no")))
      expect(yield* Fiber.join(run.fiber)).toEqual({ status: "finished", runId: "r", output: ["a!"] })
    }),
  )

  const slips: ReadonlyArray<readonly [of: string, broken: () => Plan.Node, raises: object]> = [
    ["of the plan", () => sequence(...steps("a", "a")), { _tag: "InvalidWorkflow", where: `sequence > [1] step "a"` }],
    [
      "of what makes it",
      () => {
        throw new RangeError("bug")
      },
      { name: "RangeError", message: "bug" },
    ],
  ]

  it.scoped.each(slips)(
    "that cannot be made stops the work, keeps what was finished, and leaves the run to be resumed, whether the slip is one %s",
    ([, broken, raises]) =>
      Effect.gen(function* () {
        let isBroken = true
        const render = (isDone: (id: string) => boolean) =>
          isDone("a") && isBroken ? broken() : sequence(parallel(steps("a", "b")), step("c"))
        const first = yield* changing(render)
        yield* first.end("a")
        const cause = yield* Effect.flip(Effect.sandbox(Fiber.join(first.fiber)))
        expect(Cause.squash(cause)).toMatchObject(raises)
        expect(Cause.isDie(cause)).toBe("name" in raises)
        expect(first.stopped).toEqual(["b"])
        expect((yield* first.storage.inspect("r")).run).toMatchObject({ status: "suspended", owner: null })
        const state = yield* first.storage.load("r")
        expect(RunState.step(state, "a", 0)).toMatchObject({ status: "finished", output: "a!" })
        expect(RunState.step(state, "b", 0)).toMatchObject({ status: "interrupted", interruptions: 0 })
        isBroken = false
        const second = yield* changing(render, first.storage)
        expect(second.begun).toEqual(["b"])
        yield* second.end("b")
        yield* second.end("c")
        expect((yield* Fiber.join(second.fiber)).status).toBe("finished")
      }),
  )
})

describe("an open wait that has looked for an output", () => {
  const plan = () => {
    const shown: Plan.Wait = {
      _tag: "Wait",
      id: "ship",
      label: undefined,
      meta: undefined,
      needs: [],
      codec: Codec.makeUnknown(Schema.Unknown),
      table: undefined,
      skipIf: undefined,
      target: {
        kind: "approval",
        request: (_, state, noteRead) => {
          const late = RunState.step(state, "late", 0)
          const isThere = late?.status === "finished"
          noteRead({ nodeId: "late", table: "t", key: isThere ? "late/0" : undefined })
          return { title: isThere ? `after ${late.output}` : "before" }
        },
        onDeny: "fail",
        approvers: undefined,
      },
      timeoutMs: undefined,
      onTimeout: "fail",
    }
    return make(parallel([step("late"), step("other"), step("ship", { gate: shown })]))
  }
  const approve = { _tag: "ApprovalDecided", nodeId: "ship", iteration: 0, approved: true } as const
  const asks = ({ events }: { readonly events: ReadonlyArray<RunEvent> }) =>
    events.flatMap((event) => (event._tag === "WaitStarted" ? [(event.request as { readonly title: string }).title] : []))

  it("asks anew when it has come, and for nothing else that comes", () => {
    const run = plan()
    expect(asks(run.frame())).toEqual(["before"])
    expect(run.succeed("other").events).toEqual([])
    expect(asks(run.succeed("late"))).toEqual(["after late"])
    expect(run.frame(approve).started).toEqual(["ship"])
    expect(run.step("ship")?.reads).toEqual(["late/0"])
  })

  it("is not decided by what was said before, and is by what was said of what it asked for then", () => {
    const ended = { _tag: "AttemptSucceeded", nodeId: "late", iteration: 0, attempt: 1, table: "t", output: "this" } as const
    const late = plan()
    late.frame()
    const missed = late.frame(ended, approve)
    expect([asks(missed), missed.started]).toEqual([["after this"], []])
    expect(late.step("ship")?.wait?.decision).toBe(undefined)
    const early = plan()
    early.frame()
    expect(early.frame(approve, ended).started).toEqual(["ship"])
  })

  it("lets its text stand, with its decision to come, where that is the same", () => {
    const run = plan()
    run.frame()
    expect(asks(run.succeed("late", null))).toEqual(["after null"])
    expect(run.restart().events).toEqual([])
  })
})
