/** @jsxImportSource smithers-orchestrator */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Branch, ContinueAsNew, createSmithers, ForEach, Sequence, Smithers } from "smithers-orchestrator"

const made = () => createSmithers({ seen: Schema.Struct({ n: Schema.Number }) }, { input: Schema.Struct({ n: Schema.Number }) })

it.effect("a run goes on with the input that a render or a function gives", () =>
  Effect.gen(function* () {
    const { Workflow, Task, smithers, outputs, ContinueAsNew: Again } = made()
    const flow = smithers((ctx) => (
      <Workflow name="flow">
        <Sequence>
          <Task id="look" output={outputs.seen}>
            {() => ({ n: ctx.input.n })}
          </Task>
          <Branch
            if={ctx.input.n < 3}
            then={<Again id="again" input={(ctx) => ({ n: (ctx.output(outputs.seen, { nodeId: "look" }).n ?? 0) + 1 })} />}
          />
        </Sequence>
      </Workflow>
    ))
    expect(yield* flow.run({ n: 1 }, { runId: "r" })).toMatchObject({ status: "finished", runId: "r~g2" })
  }).pipe(Effect.provide(Smithers.memory)),
)

it.effect("an input that the schema of the workflow refuses fails the node", () =>
  Effect.gen(function* () {
    const { Workflow, smithers } = made()
    const flow = smithers(() => (
      <Workflow name="flow">
        <ContinueAsNew id="again" input={{ n: "one" }} />
      </Workflow>
    ))
    const failed = yield* Effect.flip(flow.execute({ n: 1 }))
    expect(failed).toMatchObject({ _tag: "StepFailed", nodeId: "again" })
    expect(failed.message).toContain("it is no input of this workflow")
  }).pipe(Effect.provide(Smithers.memory)),
)

it.effect("is refused in a list", () =>
  Effect.gen(function* () {
    const { Workflow, smithers } = made()
    const flow = smithers(() => (
      <Workflow name="flow">
        <ForEach id="list" items={["a"]}>
          {() => <ContinueAsNew id="again" input={{ n: 1 }} />}
        </ForEach>
      </Workflow>
    ))
    const refused = yield* Effect.flip(flow.execute({ n: 1 }))
    expect(refused.message).toContain("only from outside of scopes, races, lists, sagas and tries")
  }).pipe(Effect.provide(Smithers.memory)),
)
