/** Plans as text: what one wrote down is read back, whatever their authors have put into them. */

import { describe, expect, it } from "@effect/vitest"
import * as Codec from "@smithers/core/Codec"
import * as Ids from "@smithers/core/Ids"
import * as Millis from "@smithers/core/Millis"
import type * as Plan from "@smithers/core/Plan"
import * as PlanLayout from "@smithers/core/PlanLayout"
import * as PlanText from "@smithers/core/PlanText"
import * as RetryPolicy from "@smithers/core/RetryPolicy"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { lower } from "./simulation/Lowering.ts"
import { branch, loop, need, parallel, previous, sequence, step, switchOn } from "./simulation/Nodes.ts"
import * as Scenario from "./simulation/Scenario.ts"

const anything = Codec.makeUnknown(Schema.Unknown)
const yes = () => true

/** Texts of all kinds, and such as read like a line of a plan, or like a name that JavaScript gives a meaning. */
const text = FastCheck.oneof(
  FastCheck.string({ unit: "binary", minLength: 1, maxLength: 20 }),
  FastCheck.string({
    unit: FastCheck.constantFrom(
      "\n",
      "\r",
      "\u2028",
      '"',
      "\\",
      ",",
      "[",
      "{",
      "}",
      "]",
      "0",
      "1",
      "~",
      "/",
      " (previous)",
      "é",
      "😀",
    ),
    minLength: 1,
    maxLength: 8,
  }),
  FastCheck.constantFrom("__proto__", "constructor", "toString", "id", "loop:0", '[0,"Step",{"id":"a"}]', "0", "-1", "null"),
)
const id = text.map(Ids.keptId)
const meta = FastCheck.option(FastCheck.dictionary(text, FastCheck.jsonValue()), { nil: undefined })

const wait = (target: Plan.WaitTarget, given: Partial<Plan.Wait> = {}): Plan.Wait => ({
  _tag: "Wait",
  id: "gate",
  label: undefined,
  meta: undefined,
  needs: [],
  codec: anything,
  table: undefined,
  skipIf: undefined,
  target,
  timeoutMs: undefined,
  onTimeout: "fail",
  ...given,
})
const approval = (approvers: ReadonlyArray<string> | undefined): Plan.WaitTarget => ({
  kind: "approval",
  request: yes,
  onDeny: "fail",
  approvers,
})
const awaited = FastCheck.oneof(
  FastCheck.option(FastCheck.array(text), { nil: undefined }).map(approval),
  text.map((name): Plan.WaitTarget => ({ kind: "signal", name, correlation: undefined })),
  FastCheck.constant<Plan.WaitTarget>({ kind: "human", prompt: yes }),
  FastCheck.constant<Plan.WaitTarget>({ kind: "timer", due: Millis.make(1) }),
)
const limit = FastCheck.constantFrom(undefined, 1, 7, Number.POSITIVE_INFINITY)
const pending = FastCheck.array(FastCheck.record({ nodeId: FastCheck.option(id, { nil: undefined }), table: text }), {
  maxLength: 2,
})

const { node } = FastCheck.letrec<{ node: Plan.Node }>((tie) => {
  const inner = FastCheck.array(tie("node"), { maxLength: 3 })
  return {
    node: FastCheck.oneof(
      { maxDepth: 4 },
      FastCheck.record({ id, label: text, meta, table: text, pending, isHeldBySibling: FastCheck.boolean() }).chain(
        ({ id, ...given }) =>
          FastCheck.option(awaited, { nil: undefined }).map((on) =>
            step(id, on === undefined ? given : { ...given, gate: wait(on) }),
          ),
      ),
      FastCheck.record({ id, label: text, meta, table: text, pending, on: awaited }).map(({ on, ...given }) => wait(on, given)),
      inner.map((children) => sequence(...children)),
      FastCheck.tuple(inner, limit).map(([children, maxConcurrency]) =>
        parallel(children, maxConcurrency === undefined ? {} : { maxConcurrency }),
      ),
      FastCheck.tuple(id, tie("node"), limit).map(([id, body, max]) =>
        loop(id, body, max === undefined ? {} : { maxIterations: max }),
      ),
      FastCheck.tuple(tie("node"), tie("node")).map(([then, otherwise]) => branch(yes, then, otherwise)),
      FastCheck.tuple(FastCheck.dictionary(text, tie("node"), { maxKeys: 3 }), tie("node")).map(([cases, otherwise]) =>
        switchOn(yes, cases, otherwise),
      ),
      FastCheck.record({ id, body: tie("node") }).map(
        (given): Plan.Saga => ({ _tag: "Saga", onCompensated: "continue", ...given }),
      ),
      FastCheck.tuple(id, tie("node"), tie("node")).map(
        ([id, first, last]): Plan.TryCatch => ({ _tag: "TryCatch", id, try: first, catch: undefined, finally: last }),
      ),
    ),
  }
})

/** A plan of what was drawn: ids that are taken are made other ones. */
const planOf = (root: Plan.Node): Plan.Plan => {
  const taken = new Set<string>()
  const named = (given: Plan.Node): Plan.Node => {
    const fresh = (id: string): string => {
      let free = id
      while (taken.has(free)) free = `${free.slice(0, 900)}'`
      taken.add(free)
      return free
    }
    switch (given._tag) {
      case "Step":
      case "Wait":
        return { ...given, id: fresh(given.id) }
      case "Sequence":
      case "Parallel":
      case "Race":
      case "ForEach":
        return { ...given, children: given.children.map(named) }
      case "Branch":
        return { ...given, arms: given.arms.map(named) }
      case "Loop":
      case "Scope":
      case "Saga":
        return { ...given, id: fresh(given.id), body: named(given.body) }
      case "TryCatch":
        return { ...given, id: fresh(given.id), try: named(given.try), finally: given.finally && named(given.finally) }
    }
  }
  return PlanLayout.make("w", named(root))
}

const depthOf = ({ parent }: Plan.Plan, position: number): number => {
  let depth = 0
  for (let up = parent(position); up >= 0; up = parent(up)) depth++
  return depth
}

/** Everything that the text has to tell of a plan, told by the plan. */
const expected = (plan: Plan.Plan) => ({
  ends: Array.from({ length: plan.size }, (_, position) => plan.end(position)),
  positions: new Map([...plan.positions].filter(([, position]) => position < plan.size)),
  nodes: plan.nodes.slice(0, plan.size).map((node, position) => ({
    _tag: node._tag,
    depth: depthOf(plan, position),
    id: "id" in node ? node.id : undefined,
    label: "label" in node ? node.label : undefined,
    // As JSON has it, which knows no negative zero.
    meta: "meta" in node && node.meta !== undefined ? JSON.stringify(node.meta) : undefined,
    needs: plan.needs(position).map(({ name }) => name),
  })),
})

const told = ({ end, positions, nodes }: PlanText.PlanText) => ({
  ends: nodes.map((_, position) => end(position)),
  positions,
  nodes: nodes.map((node) => {
    const { _tag, depth, id } = node
    const { label, meta } = node._tag === "Step" || node._tag === "Wait" ? node.details : {}
    const needs = "needs" in node.details ? Object.keys(node.details.needs ?? {}) : []
    return { _tag, depth, id, label, meta: meta === undefined ? undefined : JSON.stringify(meta), needs }
  }),
})

describe("a plan that is read back", () => {
  it("is the one that was written, whatever its ids, labels and meta hold", () => {
    FastCheck.assert(
      FastCheck.property(node, (root) => {
        const plan = planOf(root)
        const read = PlanText.decode(plan.text)
        expect(told(read)).toEqual(expected(plan))
        expect(read.text.split("\n")).toHaveLength(plan.size)
        expect(PlanText.count(read)).toBe(PlanText.count(plan))
        expect([...new Set(PlanText.diff(read, plan).values())].filter((change) => change !== "kept")).toEqual([])
      }),
    )
  })

  it("is the one that was written, with needs, loops, sagas and what undoes them", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const { plan } = lower(Scenario.make(seed), () => {
        throw new Error("nothing runs")
      })
      const [read, were] = [told(PlanText.decode(plan.text)), expected(plan)]
      const sorted = <A extends { readonly needs: ReadonlyArray<string> }>(nodes: ReadonlyArray<A>) =>
        nodes.map((one) => ({ ...one, needs: one.needs.toSorted() }))
      expect({ ...read, nodes: sorted(read.nodes) }).toEqual({ ...were, nodes: sorted(were.nodes) })
    }
  })

  it("tells where nodes stand, as the plan does", () => {
    const plan = PlanLayout.make("w", sequence(loop("l", sequence(step("a"), step("b"))), parallel([step("c")])))
    const { nodes, end, size } = PlanText.decode(plan.text)
    expect(nodes.map(({ _tag, id, depth }) => [_tag, id, depth])).toEqual([
      ["Sequence", undefined, 0],
      ["Loop", "l", 1],
      ["Sequence", undefined, 2],
      ["Step", "a", 3],
      ["Step", "b", 3],
      ["Parallel", undefined, 1],
      ["Step", "c", 2],
    ])
    expect([size, ...nodes.map((_, position) => end(position))]).toEqual([7, 7, 5, 5, 4, 5, 7, 7])
  })

  it("is empty where a run has none yet", () => {
    expect(PlanText.decode("")).toMatchObject({ nodes: [], size: 0 })
  })

  it.each([["x"], ["{}"], ["[0]"], ['[0,"Task",{}]'], ['["0","Step",{}]'], ['[0,"Step",null]'], ['[0,"Step",{}]\n'], ["null"]])(
    "is refused where the text is not a plan's: %j",
    (given) => {
      expect(() => PlanText.decode(given)).toThrow(SyntaxError)
    },
  )
})

describe("two plans differ", () => {
  const changes = (before: Plan.Node, after: Plan.Node) => [
    ...PlanText.diff(PlanLayout.make("w", before), PlanLayout.make("w", after)),
  ]

  it("by the ids of what was added, removed, changed, and put deeper", () => {
    const before = sequence(step("a"), step("b"), step("c"), loop("l", step("d")))
    const after = sequence(step("a"), parallel([step("b"), step("e")]), step("c", { label: "C" }))
    expect(changes(before, after)).toEqual([
      ["a", "kept"],
      ["b", "moved"],
      ["e", "added"],
      ["c", "changed"],
      ["l", "removed"],
      ["d", "removed"],
    ])
    expect(PlanText.changed(new Map(changes(before, after)), "moved", "changed")).toEqual(["b", "c"])
  })

  it("in nothing where only functions differ, and what undoes a step is none of its nodes", () => {
    const saga = (run: () => unknown): Plan.Node => ({
      _tag: "Saga",
      id: "s",
      body: step("a", { run, compensate: run }),
      onCompensated: "fail",
    })
    expect(
      changes(
        saga(() => 1),
        saga(() => 2),
      ),
    ).toEqual([
      ["s", "kept"],
      ["a", "kept"],
    ])
    expect(PlanText.count(PlanLayout.make("w", saga(yes)))).toBe(1)
  })

  it("also where one of them was read back", () => {
    const [before, after] = [sequence(step("a")), sequence(step("a"), step("b"))].map((root) => PlanLayout.make("w", root))
    if (before === undefined || after === undefined) throw new Error("no plans")
    expect([...PlanText.diff(PlanText.decode(before.text), after)]).toEqual([
      ["a", "kept"],
      ["b", "added"],
    ])
  })
})

describe("a plan's text", () => {
  const make = (root: Plan.Node): string => PlanLayout.make("w", root).text

  it("has a line per node and depends on everything about it that is not a function", () => {
    const base = () =>
      sequence(step("a"), branch(yes, step("b", { needs: [need("a")] })), loop("l", step("c", { needs: [previous("c")] })))
    expect(make(base()).split("\n")).toHaveLength(6)
    expect(make(base())).toBe(make(base()))
    const others = [
      sequence(step("b")),
      sequence(step("a"), sequence()),
      sequence(step("a", { timeoutMs: Millis.make(5) })),
      sequence(step("a", { continueOnFail: true })),
      sequence(parallel([step("a")])),
      sequence(parallel([step("a")], { failFast: true })),
      sequence(parallel([step("a")], { maxConcurrency: 2 })),
      sequence(step("a"), step("b", { needs: [need("a")] })),
      sequence(step("a"), step("b")),
      sequence(step("b"), step("a")),
      sequence(loop("l", step("a"), { maxIterations: 3 })),
      sequence(loop("l", step("a"), { maxIterations: 4 })),
      sequence(loop("l", step("a", { needs: [previous("a")] }))),
    ].map(make)
    expect(new Set(others).size).toBe(others.length)
  })

  it("says of a limit that there is none, which JSON has no number for", () => {
    const retry = Either.getOrThrow(RetryPolicy.fromOptions({ maxAttempts: Number.POSITIVE_INFINITY }))
    const endless = parallel([loop("l", step("a", { retry }), { maxIterations: Number.POSITIVE_INFINITY })], {
      maxConcurrency: Number.POSITIVE_INFINITY,
    })
    const [group, around, inside] = PlanText.decode(make(endless)).nodes.map(({ details }) => details)
    expect(group).toMatchObject({ maxConcurrency: "Infinity" })
    expect(around).toMatchObject({ maxIterations: "Infinity" })
    expect(inside).toMatchObject({ retry: { maxAttempts: "Infinity" } })
  })
})
