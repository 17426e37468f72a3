/**
 * Unknown names of options, as untyped code passes them. Each function of the facade that takes options refuses them, and names
 * the option that was probably meant.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { createAgent, createSmithers, renderPlan, runWorkflow, Smithers } from "smithers-orchestrator"
import { agentFromSchema, scriptedAgent, TestRuntime } from "smithers-orchestrator/testing"

const untyped = (value: unknown) => value as never

const Asking = Smithers.createWorkflow({ name: "asking", input: Schema.Struct({}) }).build(($) =>
  $.approval("gate", { request: { title: "Go on?" } }),
)

const { Workflow, Task, smithers } = createSmithers({ out: Schema.Struct({ n: Schema.Number }) })
const Jsx = smithers(() => (
  <Workflow name="jsx">
    <Task id="a" output="out">
      {() => ({ n: 1 })}
    </Task>
  </Workflow>
))

const missed = { runID: "r", runId: "r" }

/** Calls with one unknown option each, the name of the error, and the option that was meant. */
const cases: ReadonlyArray<
  readonly [name: string, call: () => unknown, error: "InvalidSetting" | "InvalidCommand" | "InvalidWorkflow", meant: string]
> = [
  ["execute", () => Asking.execute({}, untyped({ runID: "r" })), "InvalidSetting", "runId"],
  ["run", () => Asking.run({}, untyped({ onfailed: "resume" })), "InvalidSetting", "onFailed"],
  ["start", () => Asking.start({}, untyped({ tag: [] })), "InvalidSetting", "tags"],
  ["attach", () => Asking.attach("r", untyped({ onCanceled: "resume" })), "InvalidSetting", "onCancelled"],
  ["resume", () => Asking.resume("r", untyped({ onIncompatable: "rerun" })), "InvalidSetting", "onIncompatible"],
  [
    "signalWithStart",
    () => Asking.signalWithStart({}, untyped({ runId: "r", signal: "s", correlaton: "c" })),
    "InvalidSetting",
    "correlation",
  ],
  ["a workflow of components", () => Jsx.execute(untyped({}), untyped(missed)), "InvalidSetting", "runId"],
  ["runWorkflow", () => runWorkflow(Jsx, untyped({ input: {}, runID: "r" })), "InvalidSetting", "runId"],
  ["renderPlan", () => renderPlan(Jsx, untyped({ output: {} })), "InvalidSetting", "outputs"],
  ["list", () => Smithers.list(untyped({ workflows: "asking" })), "InvalidSetting", "workflow"],
  ["approve", () => Smithers.approve("r", "gate", untyped({ note: "", By: "ada" })), "InvalidCommand", "by"],
  ["deny", () => Smithers.deny("r", "gate", untyped({ notes: "" })), "InvalidCommand", "note"],
  ["answer", () => Smithers.answer("r", "gate", 1, untyped({ requests: "" })), "InvalidCommand", "request"],
  ["signal", () => Smithers.signal("r", "s", untyped({ payloads: 1 })), "InvalidCommand", "payload"],
  ["pause", () => Smithers.pause("r", untyped({ BY: "ada" })), "InvalidCommand", "by"],
  ["unpause", () => Smithers.unpause("r", untyped({ BY: "ada" })), "InvalidCommand", "by"],
  ["retryNode", () => Smithers.retryNode("r", "gate", untyped({ iterations: 1 })), "InvalidCommand", "iteration"],
  ["cancelNode", () => Smithers.cancelNode("r", "gate", untyped({ reasons: "" })), "InvalidCommand", "reason"],
  ["completeNode", () => Smithers.completeNode("r", "gate", untyped({ keys: "" })), "InvalidCommand", "key"],
  ["waitFor", () => TestRuntime.waitFor("r", untyped({ nodeID: "gate" })), "InvalidSetting", "nodeId"],
  ["scriptedAgent", () => scriptedAgent([], untyped({ names: "a" })), "InvalidSetting", "name"],
  ["agentFromSchema", () => agentFromSchema(untyped({ seeds: 1 })), "InvalidSetting", "seed"],
  ["createAgent", () => createAgent(untyped({ name: "a", temprature: 0 })), "InvalidSetting", "temperature"],
  [
    "createAgent, of an earlier SDK",
    () => createAgent(untyped({ name: "a", system: "Be brief." })),
    "InvalidSetting",
    "instructions",
  ],
  [
    "createWorkflow",
    () => Smithers.createWorkflow(untyped({ name: "w", input: Schema.Struct({}), versions: "1" })).build(($) => $.sequence()),
    "InvalidWorkflow",
    "version",
  ],
  [
    "a step",
    () =>
      Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) =>
        $.step("a", untyped({ output: Schema.Void, run: () => {}, timeOut: "1 second" })),
      ),
    "InvalidWorkflow",
    "timeout",
  ],
  [
    "the policy of a retry",
    () =>
      Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) =>
        $.step("a", untyped({ output: Schema.Void, run: () => {}, retry: { maxAttempt: 2 } })),
      ),
    "InvalidWorkflow",
    "maxAttempts",
  ],
]

/** The error of a call, which may throw, reject, or fail as an Effect. */
const errorOf = (call: () => unknown): Effect.Effect<unknown, never, never> =>
  Effect.gen(function* () {
    const returned = yield* Effect.try({ try: call, catch: (error) => error })
    if (Effect.isEffect(returned)) return yield* returned as Effect.Effect<unknown, unknown>
    return yield* Effect.tryPromise({ try: () => Promise.resolve(returned), catch: (error) => error })
  }).pipe(
    Effect.exit,
    Effect.map((exit) => (Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined)),
    Effect.provide(TestRuntime.layer()),
    Effect.orDie,
  )

describe("an unknown option", () => {
  it.effect.each(cases)("is refused with the option that was meant: %s", ([, call, tag, meant]) =>
    Effect.gen(function* () {
      const error = yield* errorOf(call)
      expect(error).toMatchObject({ _tag: tag })
      expect(String(error)).toContain(`"${meant}"`)
      expect(String(error)).toMatch(/did you mean|Use "instructions"/i)
    }),
  )

  it.effect("starts nothing", () =>
    Effect.gen(function* () {
      yield* Effect.flip(Asking.execute({}, untyped({ runID: "r" })))
      expect(yield* Smithers.list()).toEqual([])
    }).pipe(Effect.provide(Smithers.memory)),
  )

  it.effect("with no similar name is refused with all names", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Asking.execute({}, untyped({ wait: true })))
      expect(error.message).toBe(
        'The setting "wait" is a boolean, and must be left out: execute has no such setting, and has runId, tags, source, budget, startAt, delay, onFailed, onIncompatible, deadline.',
      )
    }).pipe(Effect.provide(Smithers.memory)),
  )

  it("of the AI SDK, which may be newer, is passed on", () => {
    expect(() => createAgent(untyped({ name: "a", quantumMode: true }))).not.toThrow()
  })
})
