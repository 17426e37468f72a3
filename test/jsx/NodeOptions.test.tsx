/** What the builder and components take as options of a node: the same rules, and the same words about what is wrong. */
import { InvalidWorkflow } from "@smithers/core/Errors"
import * as Smithers from "@smithers/core/Smithers"
import * as Components from "@smithers/jsx/components"
import { renderPlan } from "@smithers/jsx/renderPlan"
import { createSmithers } from "@smithers/jsx/Workflow"
import * as Schema from "effect/Schema"
import type * as React from "react"
import { describe, expect, it } from "vitest"
import { z } from "zod"

type Options = { readonly [option: string]: unknown }
type Untyped = { readonly [kind: string]: (...given: ReadonlyArray<unknown>) => never }

const { Workflow, smithers, outputs } = createSmithers({ answer: z.string() })

const problemOf = (make: () => unknown): string => {
  try {
    make()
  } catch (thrown) {
    if (thrown instanceof InvalidWorkflow) return thrown.problem
    throw thrown
  }
  return "nothing"
}

const work = { output: Schema.String, run: () => "x" }

/** Each kind of node in the builder and as a component, with what it cannot do without. */
const kinds: { readonly [kind: string]: { readonly component: string; readonly built: Options; readonly drawn: Options } } = {
  step: { component: "Task", built: work, drawn: { output: outputs.answer, children: () => "x" } },
  approval: { component: "Approval", built: { request: () => ({ title: "?" }) }, drawn: { request: { title: "?" } } },
  human: {
    component: "HumanTask",
    built: { prompt: "?", output: Schema.String },
    drawn: { prompt: "?", output: outputs.answer },
  },
  signal: { component: "Signal", built: { name: "s", payload: Schema.String }, drawn: { name: "s" } },
  timer: { component: "Timer", built: {}, drawn: {} },
  subflow: { component: "Subflow", built: {}, drawn: {} },
}

const built = (kind: string, options: Options): string =>
  problemOf(() =>
    Smithers.createWorkflow({ name: "w", input: Schema.Unknown }).build(
      ($) => ($ as unknown as Untyped)[kind]?.("a", { ...kinds[kind]?.built, ...options }) as never,
    ),
  )

const drawn = (kind: string, options: Options): string => {
  const { component = "", drawn: props } = kinds[kind] ?? {}
  const Kind = (Components as unknown as { readonly [name: string]: React.FC<Options> })[component] as React.FC<Options>
  const problem = problemOf(() =>
    renderPlan(
      smithers(() => (
        <Workflow name="w">
          <Kind id="a" {...props} {...options} />
        </Workflow>
      )),
      { input: {} },
    ),
  )
  return problem
    .replace(/^\w+ "a": /, "")
    .replace("a function of ctx", "a function")
    .replace(/write (\w+)=\{(\w+)\}/, "write $1: $2")
}

const soon = `"soon" is not a duration such as "30s" or "2 minutes"`
const approvers = "must be an array of at least one name"
const late = `must be "deny", "approve" or "fail"`
const none = `its "workflow" is no workflow: pass the result of smithers(…) or createWorkflow(…).build(…)`
const child = Smithers.createWorkflow({ name: "child", input: Schema.Unknown }).build(($) => $.step("a", work))

const refused: ReadonlyArray<readonly [kind: string, options: Options, problem: string]> = [
  ...["step", "approval", "human", "signal"].flatMap(
    (kind): ReadonlyArray<readonly [string, Options, string]> => [
      [kind, { meta: { n: Number.NaN } }, `"meta" must be JSON: n NaN is not a JSON number`],
      [kind, { meta: { at: new Date(0) } }, `"meta" must be JSON: at a Date is not a JSON value`],
      [kind, { meta: ["x"] }, `"meta" must be an object`],
      [kind, { label: 7 }, `"label" must be text`],
      [kind, { timeout: "soon" }, `"timeout" ${soon}`],
      [kind, { timeout: 0 }, `"timeout" 0 is not longer than 0`],
    ],
  ),
  ["timer", { duration: "1s", meta: { n: Number.NaN } }, `"meta" must be JSON: n NaN is not a JSON number`],
  ["subflow", { workflow: child, input: {}, meta: { n: Number.NaN } }, `"meta" must be JSON: n NaN is not a JSON number`],
  ["step", { heartbeatTimeout: "soon" }, `"heartbeatTimeout" ${soon}`],
  ["step", { continueOnFail: 1 }, `"continueOnFail" must be true or false`],
  ["step", { continueOnFail: "no" }, `"continueOnFail" must be true or false, and not the text "no": write continueOnFail: false`],
  ["step", { compensate: "undo" }, `"compensate" must be a function`],
  ["step", { cache: "yes" }, `"cache" must be true or an object`],
  ["step", { cache: [] }, `"cache" must be true or an object`],
  ["step", { cache: { key: "k" } }, `"cache.key" must be a function`],
  ["step", { cache: { ttl: "soon" } }, `"cache.ttl" ${soon}`],
  ["step", { cache: { ttlHours: 5 } }, `"cache" has no option "ttlHours"; there are key, ttl, scope, version`],
  ["step", { needsApproval: "yes" }, `"needsApproval" must be true or an object`],
  ["step", { needsApproval: [] }, `"needsApproval" must be true or an object`],
  ["step", { needsApproval: Promise.resolve(true) }, `"needsApproval" must be true or an object`],
  [
    "step",
    { needsApproval: { request: { summary: "x" } } },
    `"needsApproval.request" must be an object with a title, or a function`,
  ],
  ["step", { needsApproval: { onDeny: "continue" } }, `"needsApproval.onDeny" must be "fail" or "skip"`],
  ["step", { needsApproval: { onTimeout: "skip" } }, `"needsApproval.onTimeout" ${late}`],
  ["step", { needsApproval: { approvers: [] } }, `"needsApproval.approvers" ${approvers}`],
  ["step", { needsApproval: { timeout: "soon" } }, `"needsApproval.timeout" ${soon}`],
  ["approval", { request: undefined }, `it has no "request": an object with a title, or a function`],
  ["approval", { request: { title: 5 } }, `"request" must be an object with a title, or a function`],
  ["approval", { onDeny: "stop" }, `"onDeny" must be "fail", "continue" or "skip"`],
  ["approval", { onTimeout: "continue" }, `"onTimeout" ${late}`],
  ["approval", { approvers: "ann" }, `"approvers" ${approvers}`],
  ["human", { prompt: 5 }, `"prompt" must be text, or a function`],
  ["human", { onTimeout: "deny" }, `"onTimeout" must be "fail" or "continue"`],
  ["signal", { name: "" }, `it has no "name" of a signal`],
  ["signal", { transient: "no" }, `"transient" must be true or false, and not the text "no": write transient: false`],
  ["signal", { correlation: { a: 1 } }, `"correlation" must be text, or a function`],
  [
    "signal",
    { timeout: "1s", deadline: 5 },
    `it has "timeout" and "deadline", each of which says how long it waits: give one of them`,
  ],
  ["timer", {}, `it needs either a "duration" or "until"`],
  ["timer", { duration: "1s", until: 5 }, `it needs either a "duration" or "until"`],
  ["timer", { until: "2030-01-01" }, `"until" must be a Date, epoch milliseconds, or a function`],
  ["subflow", { workflow: {} }, none],
  ["subflow", { workflow: { definition: { input: Schema.Unknown } } }, none],
  ["subflow", { workflow: child, onFail: "skip" }, `"onFail" must be "fail" or "continue"`],
  ["subflow", { workflow: child, attach: "no" }, `"attach" must be true or false, and not the text "no": write attach: false`],
]

describe("options of a node", () => {
  it.each(refused)("are refused alike by the builder and by components: a %s (%#)", (kind, options, problem) => {
    expect(built(kind, options)).toBe(problem)
    expect(drawn(kind, options)).toBe(problem)
  })

  it("that are worked out are functions in the builder, and what was drawn in components", () => {
    const one = { timeout: () => "1s", approvers: () => ["ann"] }
    expect(built("approval", one)).toBe("nothing")
    expect(drawn("approval", { timeout: one.timeout })).toBe(`"timeout" a function is not a duration such as "30s" or "2 minutes"`)
    expect(drawn("approval", { approvers: one.approvers })).toBe(`"approvers" ${approvers}`)
    for (const kind of ["approval", "human", "signal"]) {
      expect(built(kind, { deadline: () => 5 })).toBe("nothing")
      expect(drawn(kind, { deadline: () => 5 })).toBe(`"deadline" must be a Date or epoch milliseconds`)
      for (const deadline of [5, new Date(5)])
        expect([built(kind, { deadline }), drawn(kind, { deadline })]).toEqual(["nothing", "nothing"])
      expect(built(kind, { deadline: "5" })).toBe(`"deadline" must be a Date, epoch milliseconds, or a function`)
    }
    expect(built("timer", { duration: () => "1s" })).toBe("nothing")
    expect(built("timer", { duration: () => "1s", until: 5 })).toBe(`it needs either a "duration" or "until"`)
    expect(built("step", { needsApproval: { timeout: () => "1s", deadline: () => 5 } })).toBe(
      `it has "needsApproval.timeout" and "needsApproval.deadline", each of which says how long it waits: give one of them`,
    )
  })

  const accepted: ReadonlyArray<readonly [kind: string, options: Options]> = [
    ["step", { label: "x", meta: { a: { b: [1, null] } }, cache: true, needsApproval: true, continueOnFail: true }],
    ["step", { cache: { key: () => "k", ttl: "1h" }, needsApproval: { request: { title: "?" }, approvers: ["ann"] } }],
    ["approval", { request: { title: "?" }, onDeny: "continue", timeout: "1d", onTimeout: "approve" }],
    ["approval", { request: () => ({ title: "?" }) }],
    ["human", { prompt: () => "?" }],
    ["signal", { correlation: "one", transient: true }],
    ["signal", { correlation: () => "one" }],
    ["timer", { until: new Date(5) }],
    ["timer", { duration: "1s" }],
    ["subflow", { workflow: child, input: {}, attach: false, onFail: "continue" }],
  ]
  it.each(accepted)("are taken alike by the builder and by components: a %s (%#)", (kind, options) => {
    expect(built(kind, options)).toBe("nothing")
    expect(drawn(kind, options)).toBe("nothing")
  })

  it("have the same defaults in both", () => {
    const Kind = (Components as unknown as { readonly [name: string]: React.FC<Options> }).Task as React.FC<Options>
    const options = { label: "x", meta: { a: 1 }, needsApproval: true }
    const [one] = Smithers.createWorkflow({ name: "w", input: Schema.Unknown }).build(($) => $.step("a", { ...work, ...options }))
      .plan.nodes
    const { plan } = renderPlan(
      smithers(() => (
        <Workflow name="w">
          <Kind id="a" output={outputs.answer} {...options}>
            {() => "x"}
          </Kind>
        </Workflow>
      )),
      { input: {} },
    )
    const shared = (node: unknown) => {
      const { codec: _, table: __, run: ___, needs: ____, gate, skipIf, ...rest } = node as { readonly [name: string]: unknown }
      const { codec: _____, needs: ______, target, ...wait } = gate as { readonly [name: string]: unknown }
      const { request, ...asked } = target as { readonly request: () => unknown }
      return { ...rest, isSkipped: skipIf !== undefined, wait, asked, request: request() }
    }
    expect(shared(plan.find("a"))).toEqual(shared(one))
  })
})
