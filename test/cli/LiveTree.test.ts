import * as LiveTree from "@smithers/cli/LiveTree"
import * as LiveView from "@smithers/cli/LiveView"
import { type Line, paint, plain } from "@smithers/cli/Styled"
import * as Millis from "@smithers/core/Millis"
import * as PlanText from "@smithers/core/PlanText"
import type { RunEvent } from "@smithers/core/RunEvent"
import * as Progress from "@smithers/server/views/Progress"
import { describe, expect, it } from "vitest"

/** A plan, a run of it, and its picture after some events. */
const following = (...lines: ReadonlyArray<string>) => {
  const plan = PlanText.decode(lines.join("\n"))
  let progress = Progress.begin(0)
  let tree = LiveTree.make(plan, progress)
  const written: Array<string> = []
  const happens = (seconds: number, event: RunEvent) => {
    const logged = { runId: "r", seq: 1, frame: 1, at: seconds * 1000, event }
    const line = Progress.outcome(logged, progress, tree.nameOf)
    if (line !== undefined) written.push(line)
    progress = Progress.apply(progress, logged)
    tree.apply(event, progress)
  }
  const begins = (nodeId: string, seconds = 0, iteration = 0, attempt = 1) =>
    happens(seconds, { _tag: "AttemptStarted", nodeId, iteration, attempt })
  const finishes = (nodeId: string, seconds = 0, iteration = 0, attempt = 1) =>
    happens(seconds, { _tag: "AttemptSucceeded", nodeId, iteration, attempt, output: 1 })
  const picture = (seconds: number, { columns = 80, rows = 24 } = {}): ReadonlyArray<Line> =>
    LiveView.frame({ progress, tree }, seconds * 1000, { columns, rows })
  return {
    begins,
    finishes,
    happens,
    written,
    picture,
    shows: (seconds: number, size = {}) => picture(seconds, size).map(plain),
    /** Makes the tree again out of what is known, as a change of the plan does. */
    redraw: () => {
      tree = LiveTree.make(plan, progress)
    },
  }
}

const step = (depth: number, id: string, details: object = {}) => `[${depth},"Step",${JSON.stringify({ id, ...details })}]`

describe("the tree of a run", () => {
  it("shows what is at work in its place, with labels, what is done before it and what comes next", () => {
    const run = following(
      '[0,"Sequence",{}]',
      ...["plan", "fetch", "read", "sort"].map((id) => step(1, id)),
      '[1,"Parallel",{"maxConcurrency":2}]',
      step(2, "left", { label: "Mend the left\nside" }),
      step(2, "right"),
      step(2, "middle"),
      ...["review", "test", "ship", "tell"].map((id) => step(1, id)),
    )
    for (const id of ["plan", "fetch", "read", "sort"]) {
      run.begins(id, 1)
      run.finishes(id, 3)
    }
    run.begins("left", 3)
    run.begins("right", 3, 0, 2)
    expect(run.shows(15)).toEqual([
      "✓ 1 more, fetch, read, sort",
      "parallel  0/3 done",
      "  ⠋ left  Mend the left\\nside  12s",
      "  ⠋ right  attempt 2, 12s",
      "· review, test, ship and 1 more",
      "███████░░░░░░░░░░░░░ 4/11 done  00:00:15",
    ])
    // A narrow terminal cuts the label, and keeps the time.
    expect(run.shows(15, { columns: 31 })[2]).toBe("  ⠋ left  Mend the left\\…  12s")
    run.finishes("left", 16)
    expect(run.shows(15)[1]).toBe("parallel  1/3 done")
    expect(run.written).toEqual([
      ...["plan", "fetch", "read", "sort"].map((id) => `[00:00:03] ✓ ${id}  2.0s`),
      "[00:00:16] ✓ left  13s",
    ])
  })

  it("counts down to the next attempt, and says what failed and what is waited for", () => {
    const run = following('[0,"Parallel",{}]', step(1, "a"), step(1, "b"), '[1,"Wait",{"id":"ok","kind":"approval"}]')
    const error = { name: "E", message: "no\nluck", retryable: true }
    run.begins("a")
    run.happens(5, { _tag: "AttemptFailed", nodeId: "a", iteration: 0, attempt: 1, error, retryAt: Millis.make(35_000) })
    run.begins("b")
    run.happens(5, { _tag: "AttemptFailed", nodeId: "b", iteration: 0, attempt: 1, error })
    const deadline = Millis.make(66_000)
    run.happens(6, { _tag: "WaitStarted", nodeId: "ok", iteration: 0, kind: "approval", request: { title: "Ship?" }, deadline })
    expect(run.shows(15)).toEqual([
      "parallel  0/3 done",
      "  ↻ a  attempt 2 in 20s: E: no\\nluck",
      "  ✗ b  E: no\\nluck",
      "  ◦ ok  approval: Ship?  since 9.0s, 51s left",
      "░░░░░░░░░░░░░░░░░░░░ 0/3 done  00:00:15",
    ])
  })

  it("calls a loop without an id by what is in it, and shows its pass; an earlier pass counts for nothing, also when the tree is made again", () => {
    const run = following(
      '[0,"Loop",{"id":"loop:4-1:5","maxIterations":5}]',
      '[1,"Sequence",{}]',
      step(2, "fix"),
      step(2, "review"),
    )
    const advance = (pass: number) =>
      run.happens(pass, { _tag: "LoopAdvanced", nodeId: "loop:4-1:5", iteration: 0, base: 0, pass, reads: [] })
    advance(0)
    run.begins("fix", 0)
    run.finishes("fix", 1)
    run.begins("review", 1)
    const first = ["loop of fix, review  pass 1 of 5, 1/2 done", "  ✓ fix", "  ⠋ review  1.0s"]
    expect(run.shows(2).slice(0, -1)).toEqual(first)
    run.redraw()
    expect(run.shows(2).slice(0, -1)).toEqual(first)
    run.finishes("review", 2)
    advance(1)
    run.begins("fix", 3, 1)
    const second = ["loop of fix, review  pass 2 of 5, 0/2 done", "  ⠙ fix  1.1s", "  · review"]
    expect(run.shows(4.1).slice(0, -1)).toEqual(second)
    run.redraw()
    expect(run.shows(4.1).slice(0, -1)).toEqual(second)
    expect(run.written).toEqual(["[00:00:01] ✓ fix  1.0s", "[00:00:02] ✓ review  1.0s"])
    run.happens(5, { _tag: "LoopFinished", nodeId: "loop:4-1:5", iteration: 0, reason: "until", reads: [] })
    expect(run.written.at(-1)).toBe("[00:00:05] ✓ loop of fix, review loop over (until)")
  })

  it("shows a scope with the time that is left, a race and a list by their parts, and no timer of its own", () => {
    const run = following(
      '[0,"Scope",{"id":"window"}]',
      '[1,"Parallel",{}]',
      '[2,"Scope",{"id":"work"}]',
      '[3,"ForEach",{}]',
      '[4,"Scope",{"id":"work[a]","part":"a"}]',
      step(5, "do[a]"),
      '[4,"Scope",{"id":"work[b]","part":"b"}]',
      '[5,"Sequence",{}]',
      step(6, "do[b]"),
      step(6, "check[b]"),
      '[1,"Wait",{"id":"window~timeout","kind":"timer"}]',
    )
    run.begins("do[a]")
    run.begins("do[b]")
    const timer = { nodeId: "window~timeout", iteration: 0, kind: "timer", request: null, deadline: Millis.make(30_000) } as const
    run.happens(0, { _tag: "WaitStarted", ...timer })
    expect(run.shows(1, { columns: 100 }).slice(0, -1)).toEqual([
      "scope window  0/3 done, 29s left",
      "  list work  0/3 done",
      "    ⠋ do[a]  1.0s",
      "    b  0/2 done",
      "      ⠋ do[b]  1.0s",
      "      · check[b]",
    ])
  })

  it("never has more lines than there is room for, nor wider ones, in any terminal, and its colours are no columns", () => {
    const run = following(
      '[0,"Parallel",{}]',
      ...Array.from({ length: 300 }, (_, index) =>
        step(1, `日本${"x".repeat(index)}${index}`, { label: "一二三四五六七八九十".repeat(3) }),
      ),
    )
    for (let index = 0; index < 300; index++) run.begins(`日本${"x".repeat(index)}${index}`)
    for (const columns of [40, 41, 80, 120, 200])
      for (const rows of [4, 10, 24, 60]) {
        const lines = run.picture(3, { columns, rows })
        expect(lines.length).toBeLessThan(Math.max(3, rows))
        for (const line of lines) {
          expect(Bun.stringWidth(plain(line)), plain(line)).toBeLessThan(columns)
          expect(Bun.stripANSI(paint(line, true))).toBe(plain(line))
          expect(paint(line, false)).toBe(plain(line))
        }
        if (rows > 4) expect(plain(lines.at(-2) ?? [])).toMatch(/^… and \d+ more$/)
      }
    expect(paint(run.picture(3)[1] ?? [], true)).toContain("\u001b[36m")
  })

  it("costs an event the same in a plan of 20,000 nodes, and deep plans no stack", () => {
    const ids = Array.from({ length: 20_000 }, (_, index) => `n${index}`)
    const wide = following('[0,"Parallel",{}]', ...ids.map((id) => step(1, id)))
    for (const id of ids) {
      wide.begins(id)
      wide.finishes(id)
    }
    expect(wide.shows(0)).toEqual(["████████████████████ 20000/20000 done  00:00:00"])
    const deep = following(...ids.map((_, depth) => `[${depth},"Sequence",{}]`), step(20_000, "end"))
    deep.begins("end")
    expect(deep.shows(1)).toEqual(["⠋ end  1.0s", "░░░░░░░░░░░░░░░░░░░░ 0/1 done  00:00:01"])
  })
})
