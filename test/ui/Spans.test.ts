import * as Spans from "@smithers/ui/timeline/Spans"
import { expect, it } from "vitest"

const attempt = (
  nodeId: string,
  attempt: number,
  startedAt: number,
  finishedAt: number | null,
  status: Spans.AttemptTimes["status"] = "succeeded",
) => ({
  ...{ nodeId, iteration: 0, attempt, status, startedAt, finishedAt, heartbeatAt: null },
})
const wait = (nodeId: string, kind: string, since: number, endedAt: number | null, deadline: number | null = null) => ({
  ...{ nodeId, iteration: 0, kind, since, endedAt, deadline, status: endedAt === null ? "open" : "finished" },
})

it("draws attempts of a step in one lane, with the gap before a retry between them", () => {
  const [lane] = Spans.lanes([attempt("a", 1, 0, 100, "failed"), attempt("a", 2, 600, 700)], [], 1_000)
  expect(lane?.spans.map(({ kind, from, to }) => [kind, from, to])).toEqual([
    ["attempt", 0, 100],
    ["retry", 100, 600],
    ["attempt", 600, 700],
  ])
})

it("draws an attempt at work and an open wait up to now, and a pending retry up to when it is due", () => {
  const made = Spans.lanes(
    [attempt("a", 1, 0, null, "running")],
    [wait("ask", "approval", 50, null), wait("b", "retry", 60, null, 5_000)],
    1_000,
  )
  expect(made.map(({ to }) => to)).toEqual([1_000, 1_000, 5_000])
  expect(made.every(({ spans }) => spans.every(({ isOpen }) => isOpen))).toBe(true)
})

it("cuts idle time short, so that work keeps its place", () => {
  const day = 86_400_000
  const lanes = Spans.lanes(
    [attempt("a", 1, 0, 1_000), attempt("b", 1, day, day + 1_000)],
    [wait("ask", "approval", 1_000, day)],
    day + 1_000,
  )
  const idle = Spans.idleOf(lanes, 0, day + 1_000)
  expect(idle).toEqual([{ from: 1_000, to: day }])
  const scale = Spans.scale(0, day + 1_000, idle)
  expect(scale.place(1_000)).toBeGreaterThan(0.4)
  expect(scale.place(day)).toBeLessThan(0.6)
})

it("leads from times to places and back", () => {
  const scale = Spans.scale(0, 100_000, [{ from: 10_000, to: 90_000 }])
  for (const at of [0, 5_000, 10_000, 50_000, 95_000, 100_000]) expect(scale.time(scale.place(at))).toBeCloseTo(at, 3)
  const places = [0, 0.1, 0.45, 0.5, 0.9, 1]
  for (const place of places) expect(scale.place(scale.time(place))).toBeCloseTo(place, 6)
})

it("sets marks on the axis outside of cuts and apart from one another", () => {
  const scale = Spans.scale(0, 100_000, [{ from: 10_000, to: 90_000 }])
  const ticks = Spans.ticks(scale)
  expect(ticks.length).toBeGreaterThan(3)
  expect(ticks.every(({ at }) => at < 10_000 || at >= 90_000)).toBe(true)
  for (const [index, { place }] of ticks.entries()) if (index > 0) expect(place).toBeGreaterThan(ticks[index - 1]?.place ?? 1)
})

it("has a scale for a run without any work, and for one of no length", () => {
  expect(Spans.scale(5, 5, []).place(5)).toBe(0)
  const lanes = Spans.lanes([], [wait("ask", "approval", 0, null)], 60_000)
  const scale = Spans.scale(0, 60_000, Spans.idleOf(lanes, 0, 60_000))
  expect(scale.place(60_000)).toBe(1)
})

it("lays out 20,000 attempts in milliseconds", () => {
  const many = Array.from({ length: 20_000 }, (_, index) =>
    attempt(`s${index % 5_000}`, Math.floor(index / 5_000) + 1, index * 10, index * 10 + 5),
  )
  const times = Array.from({ length: 3 }, () => {
    const begin = performance.now()
    const lanes = Spans.lanes(many, [], 300_000)
    Spans.scale(0, 300_000, Spans.idleOf(lanes, 0, 300_000))
    return performance.now() - begin
  })
  expect(Math.min(...times)).toBeLessThan(150)
})
