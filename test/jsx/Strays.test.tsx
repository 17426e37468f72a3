/**
 * Child runs in flight whose `<Subflow>` has left the plan: they are tasks in flight, awaited and cancelled with their parent.
 */
import { describe, expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import * as Commands from "@smithers/core/Commands"
import * as Engine from "@smithers/core/Engine"
import * as Core from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { createSmithers, Parallel, type Smithers } from "smithers-orchestrator"
import { z } from "zod"
import { processOn, stores } from "../core/Flows.ts"
import { rest } from "../core/Time.ts"

/** A parent whose child run asks, and is unmounted as soon as a task beside it has run. */
const family = (isEdited = () => false) => {
  const ran: Array<string> = []
  const { Workflow, Task, Subflow, Saga, Approval, smithers, outputs } = createSmithers(
    { text: z.string(), decision: z.object({ approved: z.boolean() }).loose() },
    { input: z.object({}) },
  )
  const say = (id: string) => () => {
    ran.push(id)
    return id
  }
  const child = smithers(() => (
    <Workflow name="child">
      <Saga id="saga">
        <Task id="book" output={outputs.text} compensate={() => void ran.push("undo book")}>
          {say("book")}
        </Task>
        <Approval id="ask" output={outputs.decision} request={{ title: "?" }} />
        <Task id="pay" output={outputs.text}>
          {say("pay")}
        </Task>
      </Saga>
    </Workflow>
  ))
  const parent = smithers((ctx) => (
    <Workflow name="parent">
      <Parallel>
        {ctx.outputMaybe("text", { nodeId: "flag" }) === undefined && !isEdited() ? (
          <Subflow id="sub" workflow={child} input={{}} />
        ) : null}
        <Task id="flag" output={outputs.text}>
          {say("flag")}
        </Task>
      </Parallel>
      <Task id="end" output={outputs.text}>
        {say("end")}
      </Task>
    </Workflow>
  ))
  return { child, parent, ran }
}

const statuses = Effect.flatMap(Storage, (storage) =>
  Effect.map(storage.runs({}), (runs) => Object.fromEntries(runs.map(({ runId, status }) => [runId, status]))),
)

describe.each(stores)("a child run that is unmounted while it is in flight, on %s,", (_, store) => {
  const on = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) =>
    Effect.provide(effect, Layer.merge(Core.onStorage(store, { lease: "100 days" }), AgentProgram.layer))

  it.effect("is waited for by its parent, whatever else that has done", () =>
    on(
      Effect.gen(function* () {
        const { parent, ran } = family()
        const waits = [{ kind: "subflow", nodeId: "sub", childRunId: "r~sub~0" }, { kind: "approval" }]
        expect(yield* parent.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval", waits })
        expect(ran.toSorted()).toEqual(["book", "end", "flag"])
        yield* Commands.approve("r~sub~0", "ask")
        expect((yield* parent.run({}, { runId: "r" })).status).toBe("finished")
        expect(ran.toSorted()).toEqual(["book", "end", "flag", "pay"])
        expect(yield* statuses).toEqual({ r: "finished", "r~sub~0": "finished" })
      }),
    ),
  )

  it.effect("is cancelled with its parent, which ends after it, and its saga is undone", () =>
    on(
      Effect.gen(function* () {
        const { parent, ran } = family()
        yield* parent.run({}, { runId: "r" })
        yield* Commands.cancel("r")
        expect((yield* parent.run({}, { runId: "r" })).status).toBe("cancelled")
        expect(ran.at(-1)).toBe("undo book")
        expect(yield* statuses).toEqual({ r: "cancelled", "r~sub~0": "cancelled" })
      }),
    ),
  )

  it.effect("goes on in another process with its parent, by the drawing that it began with", () =>
    on(
      Effect.gen(function* () {
        const { parent, ran } = family()
        const first = yield* processOn(yield* Storage)
        yield* Effect.provideService(parent.run({}, { runId: "r" }), Engine.Engine, first.engine)
        yield* first.stop
        yield* Commands.approve("r~sub~0", "ask")
        const second = yield* processOn(yield* Storage)
        const result = yield* Effect.provideService(parent.run({}, { runId: "r" }), Engine.Engine, second.engine)
        yield* second.stop
        expect(result.status).toBe("finished")
        expect(ran).toContain("pay")
        expect(yield* statuses).toEqual({ r: "finished", "r~sub~0": "finished" })
      }),
    ),
  )

  it.effect("and that edited code does not know either is awaited, until whoever has its code has taken it up", () =>
    on(
      Effect.gen(function* () {
        let isEdited = false
        const { parent, child, ran } = family(() => isEdited)
        const first = yield* processOn(yield* Storage)
        yield* Effect.provideService(parent.run({}, { runId: "r" }), Engine.Engine, first.engine)
        yield* first.stop
        isEdited = true
        expect((yield* parent.run({}, { runId: "r" })).status).toMatch(/^waiting/)
        yield* Commands.cancel("r")
        expect((yield* parent.run({}, { runId: "r" })).status).toMatch(/^waiting/)
        expect(ran).not.toContain("undo book")
        yield* Effect.flip(child.resume("r~sub~0"))
        expect(ran.at(-1)).toBe("undo book")
        expect((yield* parent.run({}, { runId: "r" })).status).toBe("cancelled")
        expect(yield* statuses).toEqual({ r: "cancelled", "r~sub~0": "cancelled" })
      }),
    ),
  )
})

describe.each(stores)("a task that is unmounted while it is in flight, on %s,", (_, store) => {
  it.effect("is interrupted by a cancellation of its run, also when all else is over", () =>
    Effect.gen(function* () {
      const { Workflow, Task, smithers, outputs } = createSmithers({ text: z.string() }, { input: z.object({}) })
      let [began, ended] = [0, 0]
      const workflow = smithers((ctx) => (
        <Workflow name="w">
          <Parallel>
            {ctx.outputMaybe("text", { nodeId: "flag" }) === undefined ? (
              <Task id="slow" output={outputs.text}>
                {() => {
                  began++
                  return Effect.onInterrupt(Effect.as(Effect.sleep("1 hour"), "slow"), () => Effect.sync(() => ended++))
                }}
              </Task>
            ) : null}
            <Task id="flag" output={outputs.text}>
              flag
            </Task>
          </Parallel>
        </Workflow>
      ))
      const run = yield* workflow.start({}, { runId: "r" })
      yield* rest
      const cancelling = yield* Effect.fork(run.cancel())
      yield* TestClock.adjust("1 second")
      expect((yield* run.result).status).toBe("cancelled")
      yield* Fiber.join(cancelling)
      expect({ began, ended }).toEqual({ began: 1, ended: 1 })
    }).pipe(Effect.provide(Layer.merge(Core.onStorage(store, { lease: "100 days" }), AgentProgram.layer))),
  )
})
