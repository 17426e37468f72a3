import { fields } from "@smithers/cli/JsonSchema"
import * as LiveView from "@smithers/cli/LiveView"
import * as PlanDrawing from "@smithers/cli/PlanDrawing"
import type { ScreenShape } from "@smithers/cli/Screen"
import { plain } from "@smithers/cli/Styled"
import { table, truncate } from "@smithers/cli/Table"
import { withRuntime } from "@smithers/cli/WorkflowFile"
import * as Millis from "@smithers/core/Millis"
import * as PlanText from "@smithers/core/PlanText"
import type { RunEvent } from "@smithers/core/RunEvent"
import * as PlanTree from "@smithers/server/views/PlanTree"
import * as Progress from "@smithers/server/views/Progress"
import { excerpt, neutralise, shorten, span } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { shows } from "./Emulator.ts"

const size = { columns: 80, rows: 24 }
/** Lines of a picture without a plan, as text. */
const frame = (progress: Progress.Progress, now: number, at = size, held?: ReadonlyArray<string>) =>
  LiveView.frame({ progress, ...(held === undefined ? {} : { held }) }, now, at).map(plain)
const at = (seconds: number, event: RunEvent) => ({ runId: "r", seq: 1, frame: 1, at: seconds * 1000, event })
const node = { nodeId: "fix", iteration: 0 }

describe("the view of a run", () => {
  it("shows what every node does, its attempt, its time, its countdown and what it waits for, and how far the run is", () => {
    const events = [
      at(0, { _tag: "AttemptStarted", nodeId: "analyze", iteration: 0, attempt: 1 }),
      at(2, { _tag: "AttemptSucceeded", nodeId: "analyze", iteration: 0, attempt: 1, output: 1 }),
      at(3, { _tag: "AttemptStarted", ...node, attempt: 1 }),
      at(5, {
        _tag: "AttemptFailed",
        ...node,
        attempt: 1,
        error: { name: "E", message: "a\nb", retryable: true },
        retryAt: Millis.make(35_000),
      }),
      at(5, { _tag: "AttemptStarted", nodeId: "look", iteration: 2, attempt: 3 }),
      at(6, {
        _tag: "WaitStarted",
        nodeId: "ok",
        iteration: 0,
        kind: "approval",
        request: { title: "Ship?" },
        deadline: Millis.make(66_000),
      }),
    ]
    const progress = events.reduce(Progress.apply, Progress.begin(0))
    expect(frame(progress, 15_000)).toEqual([
      "⠋ look  attempt 3, 10s",
      "↻ fix  attempt 2 in 20s: E: a\\nb",
      "◦ ok  approval: Ship?  since 9.0s, 51s left",
      "█████░░░░░░░░░░░░░░░ 1/4 done  00:00:15",
    ])
    const again = Progress.apply(progress, at(7, { _tag: "NodeReset", nodeId: "analyze", iteration: 0 }))
    expect(frame(again, 15_000).slice(3)).toEqual(["■ analyze  interrupted", "░░░░░░░░░░░░░░░░░░░░ 0/4 done  00:00:15"])
    expect(events.map((event) => Progress.line(event, 0))).toEqual([
      "[00:00:00] → analyze (attempt 1, iteration 0)",
      "[00:00:02] ✓ analyze (attempt 1, iteration 0)",
      "[00:00:03] → fix (attempt 1, iteration 0)",
      "[00:00:05] ✗ fix (attempt 1, iteration 0) E: a\\nb; next attempt in 30s",
      "[00:00:05] → look (attempt 3, iteration 2)",
      "[00:00:06] ◦ ok (iteration 0) waits for approval: Ship?, for 1m at most",
    ])
  })

  it("never has more lines than truncate, nor longer ones", () => {
    const many = Array.from({ length: 500 }, (_, index) =>
      at(0, { _tag: "AttemptStarted", nodeId: `n${"x".repeat(90)}${index}`, iteration: 0, attempt: 1 }),
    )
    const lines = frame(many.reduce(Progress.apply, Progress.begin(0)), 0, { columns: 40, rows: 10 })
    expect(lines.length).toBeLessThan(10)
    for (const line of lines) expect(line.length).toBeLessThan(40)
    expect(lines.at(-2)).toBe("… and 494 more")
  })

  it("shows of a run that is taken up, or followed, what its rows say", () => {
    const row = { runId: "r", iteration: 0, kind: "step", attempt: 1, startedAt: 0, finishedAt: null, retryAt: null } as const
    const nothing = { table: null, error: null, isSoft: false, passes: null, isExhausted: null }
    const rows = (["running", "interrupted", "decided", "answered"] as const).map((status) => ({
      ...{ ...row, ...nothing },
      ...{ nodeId: status, status },
    }))
    expect(frame(Progress.resume(0, rows, []), 1000).map((line) => line.slice(0, 2))).toEqual([...["⠋ ", "◦ ", "◦ ", "■ "], "░░"])
  })

  it("leaves nothing of itself, whatever was typed into it and however narrow the terminal has become", async () => {
    let sent = ""
    let columns = 100
    const screen = {
      columns: () => columns,
      rows: () => 24,
      draw: (text: string) => {
        sent += text.replaceAll("\n", "\r\n")
      },
    } as ScreenShape
    const started = at(0, { _tag: "AttemptStarted", nodeId: "n".repeat(80), iteration: 0, attempt: 1 })
    const progress = Progress.apply(Progress.begin(0), started)
    const program = Effect.gen(function* () {
      const view = yield* LiveView.make(screen, () => 1000, progress)
      view.line("one")
      sent += "^C"
      view.line("two")
      view.note("Stopping")
      sent += "^C"
    })
    await Effect.runPromise(Effect.scoped(program))
    expect(shows(sent, columns)).toEqual(["one", "two", ""])
    sent = ""
    const narrowed = Effect.gen(function* () {
      const view = yield* LiveView.make(screen, () => 1000, progress)
      view.line("one")
      // What was one line is two by then.
      sent = sent.replace(`${"n".repeat(80)}  1`, `${"n".repeat(80)}\r\n  1`)
      columns = 70
      view.line("two")
    })
    await Effect.runPromise(Effect.scoped(narrowed))
    expect(shows(sent, 100)).toEqual(["one", "two", ""])
  })

  it("costs as much for each step however many came before", () => {
    /** The shortest of three times that it takes to show so many steps, one after the other. */
    const showing = (steps: number) => {
      const once = () => {
        const begun = performance.now()
        let progress = Progress.begin(0)
        for (let index = 0; index < steps; index++) {
          const attempt = { nodeId: `n${index}`, iteration: 0, attempt: 1 }
          progress = Progress.apply(progress, at(index, { _tag: "AttemptStarted", ...attempt }))
          progress = Progress.apply(progress, at(index, { _tag: "AttemptSucceeded", ...attempt, output: 1 }))
          if (index % 10 === 0) frame(progress, index)
        }
        expect(frame(progress, 0)).toEqual([`████████████████████ ${steps}/${steps} done  00:00:00`])
        return performance.now() - begun
      }
      return Math.min(once(), once(), once())
    }
    showing(1000)
    const [some, more] = [showing(5000), showing(20_000)]
    expect(more / some, `${some} ms and ${more} ms`).toBeLessThan(8)
  })
})

describe("text", () => {
  it("from elsewhere does nothing to the terminal", () => {
    expect(neutralise("\u001b[31mred\u001b]0;t\u0007\r\n\ttab\u009b1m\u202eabc\u0000")).toBe(
      "\\x1b[31mred\\x1b]0;t\\x07\n\ttab\\x9b1m\\u202eabc\\x00",
    )
  })

  it("is cut between characters, and says how to see the rest", () => {
    expect(shorten("😀😀😀", 4)).toBe("😀…")
    expect(excerpt("a\n".repeat(500), "x --json")).toContain("more characters; x --json shows all of it")
    expect(excerpt("short", "x")).toBe("short")
  })

  it("tells times in the units that matter", () => {
    expect([900, 61_000, 3_600_000, 90_061_000].map(span)).toEqual(["0.9s", "1m 1s", "1h", "1d 1h"])
  })
})

describe("a table", () => {
  const wide = [
    "日本語のワークフロー",
    "👩‍👩‍👧‍👦👩‍👩‍👧‍👦 family",
    "e\u0301e\u0301e\u0301 accents",
    "🇯🇵🇯🇵🇯🇵🇯🇵",
    "plain",
    "ｆｕｌｌ",
    "",
  ]
  const rows = wide.map((cell, index) => [cell.repeat(index % 3), cell, "waiting-approval", "3d 7h ago", cell.repeat(4)])
  const headings = ["RUN", "WORKFLOW", "STATUS", "CREATED", "WAITS FOR"]

  it("has its columns beneath each other, whatever the characters are wide", () => {
    const [head = "", ...lines] = table(headings, rows).split("\n")
    const column = Bun.stringWidth(head.slice(0, head.indexOf("STATUS")))
    for (const line of lines) expect(Bun.stringWidth(line.slice(0, line.indexOf("waiting-approval")))).toBe(column)
  })

  it.each([10, 20, 39, 40, 41, 60, 80, 100, 200])(
    "is never wider than %i columns, and what is cut ends in an ellipsis",
    (columns) => {
      const lines = table(headings, rows, columns).split("\n")
      for (const line of lines) expect(Bun.stringWidth(line), line).toBeLessThanOrEqual(columns)
      expect(lines).toHaveLength(rows.length + 1)
      if (columns < 80) expect(lines.some((line) => line.includes("…"))).toBe(true)
      if (columns >= 60) expect(lines.slice(1).every((line) => line.includes("wait"))).toBe(true)
    },
  )

  it("cuts the last column first, and nothing where all fits", () => {
    const one = [["m1abc2-12345678", "review", "waiting-approval", "9.0s ago", "ok: approval: Ship this diff, which is long?"]]
    expect(table(headings, one, 80).split("\n")[1]).toBe(
      "m1abc2-12345678  review    waiting-approval  9.0s ago  ok: approval: Ship this …",
    )
    expect(table(headings, one, 200)).toBe(table(headings, one))
  })

  it("is cut between what people take for characters", () => {
    expect(truncate("👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦", 4)).toBe("👩‍👩‍👧‍👦…")
    expect(truncate("日本語", 5)).toBe("日本…")
    expect(truncate("日本語", 4)).toBe("日…")
    expect(truncate("e\u0301e\u0301e\u0301", 2)).toBe("e\u0301…")
    expect(truncate("abc", 3)).toBe("abc")
    expect(truncate("abc", 1)).toBe("…")
    expect(truncate("abc", 0)).toBe("")
  })
})

describe("a workflow's source", () => {
  it("begins with the pragma of our JSX runtime, behind a shebang, and keeps its lines", () => {
    expect(withRuntime("const a = <b/>")).toBe("/** @jsxRuntime automatic @jsxImportSource smithers-orchestrator */ const a = <b/>")
    const [first, second, ...rest] = withRuntime("#!/usr/bin/env bun\n<b/>").split("\n")
    expect([first, second, rest]).toEqual(["///usr/bin/env bun", expect.stringMatching(/^\/\*\* @jsx.*\*\/ <b\/>$/), []])
  })
})

describe("a plan's text", () => {
  const text = (ids: ReadonlyArray<string>) =>
    PlanText.decode(['[0,"Sequence",{}]', ...ids.map((id) => `[1,"Step",{"id":"${id}","retry":"x"}]`)].join("\n"))

  it("names what waits only for what its component reads for something else, in the tree and while a run is shown", () => {
    const written =
      '[0,"Parallel",{}]\n[1,"Step",{"id":"a"}]\n[1,"Step",{"id":"b","pending":["a"],"siblingRead":true}]\n[1,"Step",{"id":"c","pending":["a"]}]'
    const plan = PlanText.decode(written)
    expect(PlanTree.heldBySiblings(plan)).toEqual(["b"])
    expect(PlanDrawing.toTree(PlanTree.parse(plan)).split("\n").slice(2)).toEqual([
      "├─ step b (waits only because its component reads a for something else)",
      "└─ step c (reads a, which is not there yet)",
    ])
    const lines = frame(Progress.begin(0), 0, { columns: 100, rows: 20 }, PlanTree.heldBySiblings(plan))
    expect(lines[0]).toBe("◦ 1 held back only by a read of their component: b")
  })

  it("names a switch by its cases", () => {
    const plan = PlanText.decode(
      '[0,"Branch",{"cases":["bug","idea"],"hasElse":true}]\n[1,"Step",{"id":"a"}]\n[1,"Step",{"id":"b"}]\n[1,"Step",{"id":"c"}]',
    )
    expect(PlanDrawing.toTree(PlanTree.parse(plan)).split("\n")[0]).toBe("switch (one of bug, idea, otherwise)")
  })

  it("names the sandboxes of a plan, and who joins one or works outside", () => {
    const plan = PlanText.decode(
      '[0,"Sequence",{"sandbox":{"id":"planner","provider":"local","default":false}}]\n[1,"Step",{"id":"a","joins":"planner"}]\n[1,"Step",{"id":"b","joins":false}]',
    )
    expect(PlanDrawing.toTree(PlanTree.parse(plan)).split("\n")).toEqual([
      "sequence (sandbox planner (local, for those who join it))",
      "├─ step a (joins sandbox planner)",
      "└─ step b (outside of sandboxes)",
    ])
  })

  it("is a tree, and two of them differ by ids", () => {
    expect(PlanDrawing.toTree(PlanTree.parse(text(["a", "b"])))).toBe("sequence\n├─ step a\n└─ step b")
    expect(
      PlanTree.compare(text(["a", "b", "d"]), PlanText.decode(text(["b", "c", "d"]).text.replace('"d","retry":"x"', '"d"'))),
    ).toEqual({
      kept: ["b"],
      changed: ["d"],
      added: ["c"],
      removed: ["a"],
    })
  })

  it("of thousands of nodes is no trouble", () => {
    const ids = Array.from({ length: 5000 }, (_, index) => `n${index}`)
    expect(PlanDrawing.toTree(PlanTree.parse(text(ids))).split("\n")).toHaveLength(5001)
  })
})

describe("an answer", () => {
  const schema = {
    $ref: "#/$defs/Rating",
    $defs: {
      Rating: {
        type: "object",
        required: ["severity", "tags"],
        properties: {
          severity: { type: "string", enum: ["low", "high"] },
          tags: { type: "array", items: { type: "string" } },
          score: { anyOf: [{ type: "integer", minimum: 1 }, { type: "null" }] },
          sure: { type: "boolean", description: "Are you?" },
        },
        additionalProperties: false,
      },
    },
  }

  it("is asked for field by field", () => {
    expect(fields(schema).map(({ name, kind, isRequired }) => [name, kind, isRequired])).toEqual([
      ["severity", "choice", true],
      ["tags", "json", true],
      ["score", "json", false],
      ["sure", "boolean", false],
    ])
    expect(fields({ type: "string" })).toMatchObject([{ name: undefined, kind: "text" }])
  })
})
