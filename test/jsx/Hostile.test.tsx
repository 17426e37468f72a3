/** Values of an author's that throw when they are read, and bugs of our own: who is told what. */
import { describe, expect, it } from "@effect/vitest"
import * as RunState from "@smithers/core/RunState"
import * as Planner from "@smithers/jsx/Planner"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as React from "react"
import { createSmithers, Smithers } from "smithers-orchestrator"
import * as z from "zod"

const schemas = { note: z.object({ text: z.string() }) }
const { Workflow, Task, Sequence, Parallel, Loop, Approval, Timer, smithers, outputs } = createSmithers(schemas)

const throwing = (): never => {
  throw new RangeError("mine")
}
const getter = (name: string) => Object.defineProperty({}, name, { enumerable: true, get: throwing }) as never
const proxy = new Proxy({}, { get: throwing, has: throwing, ownKeys: throwing, getPrototypeOf: throwing }) as never
const text = { text: "x" }
const generate = async () => text

const inside = (
  <Task id="a" output={outputs.note}>
    {text}
  </Task>
)

/** By what throws; whether the plan is refused with a reason of its own or with what was thrown. */
const drawings: ReadonlyArray<readonly [what: string, draw: () => React.ReactNode]> = [
  [
    "an agent without a readable generate",
    () => (
      <Task id="a" output={outputs.note} agent={getter("generate")}>
        x
      </Task>
    ),
  ],
  [
    "an agent that is a proxy",
    () => (
      <Task id="a" output={outputs.note} agent={proxy}>
        x
      </Task>
    ),
  ],
  [
    "the name of an agent",
    () => (
      <Task id="a" output={outputs.note} agent={Object.assign(getter("name"), { generate })}>
        x
      </Task>
    ),
  ],
  [
    "one of the deps",
    () => (
      <Task id="a" output={outputs.note} deps={getter("x")}>
        {() => text}
      </Task>
    ),
  ],
  [
    "the deps",
    () => (
      <Task id="a" output={outputs.note} deps={proxy}>
        {() => text}
      </Task>
    ),
  ],
  [
    "the key of a cache",
    () => (
      <Task id="a" output={outputs.note} cache={getter("key")}>
        {text}
      </Task>
    ),
  ],
  [
    "a retry policy",
    () => (
      <Task id="a" output={outputs.note} retryPolicy={getter("initialDelay")}>
        {text}
      </Task>
    ),
  ],
  [
    "a timeout",
    () => (
      <Task id="a" output={outputs.note} timeout={proxy}>
        {text}
      </Task>
    ),
  ],
  [
    "the request of a gate",
    () => (
      <Task id="a" output={outputs.note} needsApproval={getter("request")}>
        {text}
      </Task>
    ),
  ],
  ["the request of an approval", () => <Approval id="a" request={proxy as { readonly title: string }} />],
  ["a duration", () => <Timer id="a" duration={proxy as "30s"} />],
  ["what a loop ends by", () => <Loop until={proxy as boolean}>{inside}</Loop>],
  ["a limit", () => <Parallel maxConcurrency={proxy as number}>{inside}</Parallel>],
  [
    "meta",
    () => (
      <Task id="a" output={outputs.note} meta={proxy}>
        {text}
      </Task>
    ),
  ],
  [
    "an id",
    () => (
      <Task id={proxy} output={outputs.note}>
        {text}
      </Task>
    ),
  ],
]

describe("what throws when it is read", () => {
  it.effect.each(drawings)("is the author's, and no defect: %s", ([, draw]) =>
    Effect.gen(function* () {
      const workflow = smithers(() => <Workflow name="w">{draw()}</Workflow>)
      const exit = yield* Effect.exit(Effect.provide(workflow.run({}, { runId: "r" }), Smithers.memory))
      const failure = Exit.isFailure(exit) ? Cause.failureOption(exit.cause) : "ran"
      expect(failure).toMatchObject({
        _tag: "Some",
        value: { _tag: expect.stringMatching(/^(RenderFailed|InvalidWorkflow)$/) },
      })
    }),
  )

  it.effect("is named with the element that has it", () =>
    Effect.gen(function* () {
      const deps = getter("x")
      const workflow = smithers(() => (
        <Workflow name="w">
          <Sequence>
            <Task id="a" output={outputs.note} deps={deps}>
              {() => text}
            </Task>
          </Sequence>
        </Workflow>
      ))
      const failed = yield* Effect.flip(Effect.provide(workflow.run({}, { runId: "r" }), Smithers.memory))
      expect(failed).toMatchObject({ _tag: "RenderFailed", problem: "RangeError: mine" })
      expect(failed.message).toMatch(/at Task\nat Sequence\nat Workflow\n/)
    }),
  )

  it.effect("is refused also in what begins before an output that its component has read", () =>
    Effect.gen(function* () {
      const workflow = smithers((ctx) => {
        ctx.output(outputs.note, { nodeId: "later" })
        return (
          <Workflow name="w">
            <Task id="a" output={outputs.note} meta={proxy}>
              {text}
            </Task>
            <Task id="later" output={outputs.note}>
              {text}
            </Task>
          </Workflow>
        )
      })
      const failed = yield* Effect.flip(Effect.provide(workflow.run({}, { runId: "r" }), Smithers.memory))
      expect(failed).toMatchObject({ _tag: "InvalidWorkflow", problem: expect.stringContaining(`Task "a": "meta"`) })
    }),
  )

  it.effect("says nothing of what is pending", () =>
    Effect.gen(function* () {
      const workflow = smithers((ctx) => {
        const later = ctx.output(outputs.note, { nodeId: "later" })
        return (
          <Workflow name="w">
            <Task id="a" output={outputs.note} meta={proxy}>
              {later}
            </Task>
            <Task id="later" output={outputs.note}>
              {text}
            </Task>
          </Workflow>
        )
      })
      const failed = yield* Effect.flip(Effect.provide(workflow.run({}, { runId: "r" }), Smithers.memory))
      expect(failed).toMatchObject({ _tag: "InvalidWorkflow", problem: expect.stringContaining("later") })
    }),
  )
})

it("what our own code throws while a plan is drawn is a defect, and no failure of the author's", () => {
  const planner = Planner.make({ draw: () => <Workflow name="w" />, schemas })
  const broken = Object.defineProperty({ ...RunState.empty("r") }, "nodes", { get: throwing })
  expect(() => planner.plan(broken, { input: {}, outputs: new Map() })).toThrow(RangeError)
  const drawn = planner.plan(RunState.empty("r"), { input: {}, outputs: new Map() })
  expect(Either.isRight(drawn) && drawn.right.workflow).toBe("w")
})
