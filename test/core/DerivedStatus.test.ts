/**
 * What is shown of runs that wait for each other. What is shown of one is checked with every store (test/contract).
 */
import { expect, it } from "@effect/vitest"
import type { Facts } from "@smithers/core/DerivedStatus"
import * as DerivedStatus from "@smithers/core/DerivedStatus"

const facts = (more: Partial<Facts>): Facts => ({
  stored: "waiting",
  owner: "none",
  isPaused: false,
  commands: [],
  waits: [],
  isRetrying: false,
  isQueued: false,
  isActive: () => false,
  ...more,
})
const open = (kind: "approval" | "timer" | "subflow", name: string | null = null): Facts["waits"][number] => ({
  ...{
    nodeId: kind,
    iteration: 0,
    kind,
    status: "open",
    since: 0,
    requestSeq: 0,
    deadline: null,
    digest: null,
    name,
    correlation: null,
    request: null,
  },
})
/** What is shown of the first of some runs. */
const shown = (runs: { readonly [runId: string]: Partial<Facts> }, of = Object.keys(runs)[0] as string) => {
  const lookup: DerivedStatus.Lookup = (runIds) =>
    new Map(runIds.flatMap((runId) => (runs[runId] === undefined ? [] : [[runId, facts(runs[runId])] as const])))
  return DerivedStatus.statuses([of], lookup).get(of)
}
const parent = { waits: [open("subflow", "child")] }

it("a parent is shown by what its child run waits for, and by its own waits beside that", () => {
  expect(shown({ parent, child: { waits: [open("approval")] } })).toBe("waiting-approval")
  expect(shown({ parent, child: { waits: [open("timer")] } })).toBe("waiting-timer")
  expect(shown({ parent: { waits: [...parent.waits, open("timer")] }, child: { waits: [open("approval")] } })).toBe(
    "waiting-approval",
  )
  expect(shown({ parent: { waits: [...parent.waits, open("timer")] }, child: { stored: "suspended" } })).toBe("waiting-timer")
})

it("a parent whose child run nobody works on can go on itself; one whose child run is worked on waits for it, or runs with it", () => {
  expect(shown({ parent, child: { stored: "suspended" } })).toBe("suspended")
  expect(shown({ parent, child: { stored: "running", owner: "gone" } })).toBe("suspended")
  expect(shown({ parent, child: { stored: "running", owner: "alive" } })).toBe("waiting-event")
  expect(shown({ parent })).toBe("waiting-event")
  const owned = { ...parent, stored: "running", owner: "alive" } as const
  expect(shown({ parent: owned, child: { stored: "running", owner: "alive" } })).toBe("running")
  expect(shown({ parent: owned, child: { stored: "running", owner: "alive", waits: [open("approval")] } })).toBe("waiting-approval")
})

it("thousands of runs that wait for one another are no trouble, nor are two that wait for each other", () => {
  const many = Array.from({ length: 20_000 }, (_, index) => [`r${index}`, { waits: [open("subflow", `r${index + 1}`)] }] as const)
  expect(shown({ ...Object.fromEntries(many), r20000: { waits: [open("timer")] } })).toBe("waiting-timer")
  expect(shown({ a: { waits: [open("subflow", "b")] }, b: { waits: [open("subflow", "a")] } })).toBe("waiting-event")
})
