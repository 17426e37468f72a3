/**
 * Tasks of a saga that leave the plan after they have finished: the saga still undoes them.
 */
import { expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import * as Commands from "@smithers/core/Commands"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { createSmithers, Loop, Parallel, Sequence, Smithers } from "smithers-orchestrator"
import { describe } from "vitest"
import { z } from "zod"
import { runId, sweep } from "../core/Deaths.ts"
import { rest } from "../core/Time.ts"

const { Workflow, Task, Saga, Approval, smithers, outputs, useCtx } = createSmithers({ text: z.string() })

const onMemory = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, Smithers.memory)

/** A component whose task notes when it is done and when it is undone. */
const journal = () => {
  const done: Array<string> = []
  const Step = ({ id, fails = false, undo = false }: { id: string; fails?: boolean; undo?: boolean }) => (
    <Task
      id={id}
      output={outputs.text}
      noRetry
      {...(undo ? { compensate: (output: string) => void done.push(`undo ${output}`) } : {})}
    >
      {() => {
        done.push(id)
        if (fails) throw new Error(`${id} is no good`)
        return id
      }}
    </Task>
  )
  return { done, Step }
}

/** A saga whose first task is drawn only until the second has an output. */
const leaving = () => {
  const { done, Step } = journal()
  const workflow = smithers((ctx) => (
    <Workflow name="w">
      <Saga id="trip">
        {ctx.outputMaybe("text", { nodeId: "b" }) === undefined && <Step id="a" undo />}
        <Step id="b" undo />
        <Step id="c" fails />
      </Saga>
    </Workflow>
  ))
  return { done, workflow }
}

describe("a finished task that has left the plan of a saga", () => {
  it.effect("is undone with the saga, and does not run again", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, workflow } = leaving()
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "c" } })
        expect(done).toEqual(["a", "b", "c", "undo b", "undo a"])
      }),
    ),
  )

  it.live("is undone whenever the process dies, also by a process that has never drawn it", () =>
    Effect.gen(function* () {
      const { done, workflow } = leaving()
      const { calm, disturbed } = yield* sweep({ run: workflow.run({}, { runId }).pipe(Effect.provide(AgentProgram.layer)) })
      expect(calm.result).toMatchObject({ status: "failed" })
      const undone = calm.rows.filter(([key]) => String(key).includes("~compensate")).map(([key, status]) => [key, status])
      expect(undone).toEqual([
        ["a~compensate/0", "finished"],
        ["b~compensate/0", "finished"],
      ])
      for (const { at, end } of disturbed)
        expect({ at, rows: end.rows, twice: end.twice }).toEqual({ at, rows: calm.rows, twice: calm.twice })
      expect(done.filter((what) => what === "undo a").length).toBeGreaterThan(1)
    }),
  )

  it.effect("is undone when it finishes after it has left", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        const workflow = smithers((ctx) => (
          <Workflow name="w">
            <Saga>
              <Parallel>
                {ctx.outputMaybe("text", { nodeId: "b" }) === undefined && (
                  <Task id="slow" output={outputs.text} compensate={(output) => void done.push(`undo ${output}`)}>
                    {() => Effect.as(Effect.sleep("1 second"), "slow")}
                  </Task>
                )}
                <Step id="b" />
                <Task id="late" output={outputs.text} noRetry>
                  {() => Effect.zipRight(Effect.sleep("2 seconds"), Effect.fail("no"))}
                </Task>
              </Parallel>
            </Saga>
          </Workflow>
        ))
        const fiber = yield* Effect.fork(workflow.run({}, { runId: "r" }))
        yield* rest
        yield* TestClock.adjust("3 seconds")
        expect(yield* Fiber.join(fiber)).toMatchObject({ status: "failed", error: { nodeId: "late" } })
        expect(done).toEqual(["b", "undo slow"])
      }),
    ),
  )

  it.effect("is undone by the saga around the one that it has left with", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        const workflow = smithers((ctx) => (
          <Workflow name="w">
            <Saga id="outer">
              {ctx.outputMaybe("text", { nodeId: "b" }) === undefined && (
                <Saga id="inner">
                  <Step id="a" undo />
                </Saga>
              )}
              <Step id="b" />
              <Step id="c" fails />
            </Saga>
          </Workflow>
        ))
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "failed" })
        expect(done).toEqual(["a", "b", "c", "undo a"])
      }),
    ),
  )

  it.effect("is undone for each pass of a loop in the saga, and does not begin in passes without it", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        const Fix = () => {
          const ctx = useCtx()
          return (
            <>
              {ctx.iteration < 2 && <Step id="early" undo />}
              <Step id={`fix-${ctx.iteration}`} undo />
              <Step id="pass" />
            </>
          )
        }
        const workflow = smithers(() => (
          <Workflow name="w">
            <Saga>
              <Loop id="loop" until={(ctx) => ctx.iterationCount("text", "pass") >= 3}>
                <Sequence>
                  <Fix />
                </Sequence>
              </Loop>
              <Step id="fails" fails />
            </Saga>
          </Workflow>
        ))
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "fails" } })
        expect(done).toEqual([
          ...["early", "fix-0", "pass", "early", "fix-1", "pass", "fix-2", "pass", "fails"],
          ...["undo fix-2", "undo fix-1", "undo early", "undo fix-0", "undo early"],
        ])
      }),
    ),
  )

  it.effect("is not undone where the saga has ended, nor for an earlier pass around the saga", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        const Pass = () => {
          const ctx = useCtx()
          return (
            <Saga id="trip">
              {ctx.iteration === 0 && <Step id="a" undo />}
              <Step id="b" undo />
              <Step id={`c-${ctx.iteration}`} fails={ctx.iteration === 1} />
            </Saga>
          )
        }
        const workflow = smithers(() => (
          <Workflow name="w">
            <Loop id="loop" until={false} maxIterations={3}>
              <Pass />
            </Loop>
          </Workflow>
        ))
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "c-1" } })
        expect(done).toEqual(["a", "b", "c-0", "b", "c-1", "undo b"])
      }),
    ),
  )

  it.effect("is undone when the run is cancelled while another process works on it", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        const workflow = smithers((ctx) => (
          <Workflow name="w">
            <Saga id="trip">
              {ctx.outputMaybe("text", { nodeId: "b" }) === undefined && <Step id="a" undo />}
              <Step id="b" />
              <Approval id="ask" request={{ title: "?" }} />
            </Saga>
          </Workflow>
        ))
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
        yield* Commands.cancel("r")
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "cancelled" })
        expect(done).toEqual(["a", "b", "undo a"])
      }),
    ),
  )
})
