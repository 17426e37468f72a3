/**
 * Races as components: the first in time wins, and what the others had begun is left.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import * as TestRuntime from "@smithers/testing/TestRuntime"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as React from "react"
import { createSmithers, Loop, renderPlan, Sequence, Smithers } from "smithers-orchestrator"
import { describe } from "vitest"
import { z } from "zod"
import { runId, sweep } from "../core/Deaths.ts"

const { Workflow, Task, Race, Approval, Signal, Timer, smithers, outputs, useCtx } = createSmithers(
  { text: z.string(), said: z.string(), won: z.object({ winner: z.string().nullable(), all: z.array(z.string()) }) },
  { output: "won" },
)

const onMemory = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, Smithers.memory)
const onTestRuntime = <A, E>(effect: Effect.Effect<A, E, TestRuntime.Services>) => Effect.provide(effect, TestRuntime.layer())

/** A store in a file, each time opened as by another process. */
const inFile = () => {
  const filename = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "smithers-race-")), "runs.db")
  return <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, Smithers.sqlite({ filename }))
}

/** Says who has won a race. */
const Won = ({ id = "won", race = "first" }: { readonly id?: string; readonly race?: string }) => (
  <Task id={id} output={outputs.won}>
    {(ctx) => ({ winner: ctx.winner(race) ?? null, all: [...ctx.winners(race)] })}
  </Task>
)

const draw = (child: () => React.ReactNode) => smithers(() => <Workflow name="w">{child()}</Workflow>)

/** The ids of a plan's nodes, with what they are. */
const nodesOf = (workflow: Parameters<typeof renderPlan>[0], options: Parameters<typeof renderPlan>[1] = {}) =>
  renderPlan(workflow, options).plan.nodes.flatMap((node) => ("id" in node ? [`${node._tag} ${node.id}`] : []))

describe("a Race", () => {
  it.effect("is won by the first in time, also where it is resumed by another process, and takes no more than what wins", () => {
    const open = inFile()
    const workflow = draw(() => (
      <>
        <Race id="first">
          <Signal key="event" id="go" output={outputs.said} name="go" />
          <Approval key="ask" id="ask" request={{ title: "Go?" }} />
          <Sequence key="time">
            <Timer id="nap" duration="1h" />
            <Task id="late" output={outputs.text}>
              late
            </Task>
          </Sequence>
        </Race>
        <Won />
        <Signal id="next" output={outputs.said} name="go" />
      </>
    ))
    return Effect.gen(function* () {
      const first = yield* open(workflow.run({}, { runId: "r" }))
      expect(first).toMatchObject({ status: "waiting-approval" })
      yield* open(Smithers.signal("r", "go", { payload: "one" }))
      yield* TestClock.adjust("2 hours")
      yield* open(Smithers.approve("r", "ask"))
      // Nobody has heard of any of it before.
      expect(yield* open(workflow.run({}, { runId: "r" }))).toMatchObject({ status: "waiting-event", waits: [{ nodeId: "next" }] })
      yield* open(Smithers.signal("r", "go", { payload: "two" }))
      expect(yield* open(workflow.execute({}, { runId: "r" }))).toEqual({ winner: "event", all: ["event"] })
    })
  })

  it.effect("names a branch by its key, or by the first id in it; a fragment is a branch of several", () =>
    onMemory(
      Effect.gen(function* () {
        const Asked = () => (
          <Sequence>
            <Approval id="ask" request={{ title: "Go?" }} />
          </Sequence>
        )
        const workflow = draw(() => (
          <Race id="first">
            <Asked />
            <React.Fragment key="both">
              <Task id="a" output={outputs.text}>
                a
              </Task>
              <Signal id="b" name="b" />
            </React.Fragment>
            {["x", "y"].map((key) => (
              <Signal key={key} id={`signal-${key}`} name={key} />
            ))}
            {false}
          </Race>
        ))
        expect(nodesOf(workflow)).toEqual([
          ...["Scope first", "Scope first[ask]", "Wait ask", "Scope first[both]", "Step a", "Wait b"],
          ...["Scope first[x]", "Wait signal-x", "Scope first[y]", "Wait signal-y"],
        ])
      }),
    ),
  )

  it.effect("of several is won by as many as it says; where too few are left it fails, and says what has failed", () =>
    onMemory(
      Effect.gen(function* () {
        const no = () => Effect.fail(new Error("no good"))
        const failures: Array<string> = []
        const two = (isLost: boolean) =>
          draw(() => (
            <>
              <Race id="first" count={2} onFailure="ignore">
                <Task key="a" id="a" output={outputs.text} noRetry>
                  {no}
                </Task>
                <Signal key="b" id="b" name="b" />
                <Signal key="c" id="c" name="c" />
                <Task key="d" id="d" output={outputs.text} noRetry>
                  {isLost ? no : () => "d"}
                </Task>
              </Race>
              <Task id="lost" output={outputs.text}>
                {(ctx) => {
                  for (const { key, error } of ctx.failures("first")) failures.push(`${key}: ${error.nodeId} ${error.message}`)
                  return "noted"
                }}
              </Task>
              <Won />
            </>
          ))
        const workflow = two(false)
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "waiting-event" })
        yield* Smithers.signal("r", "c")
        expect(yield* workflow.execute({}, { runId: "r" })).toEqual({ winner: "d", all: ["d", "c"] })
        expect(failures).toEqual(["a: a no good"])
        const three = draw(() => (
          <Race id="first" count={2} onFailure="ignore">
            {["a", "b"].map((id) => (
              <Task key={id} id={id} output={outputs.text} noRetry>
                {no}
              </Task>
            ))}
            <Signal key="c" id="c" name="c" />
          </Race>
        ))
        expect(yield* three.run({}, { runId: "s" })).toMatchObject({
          status: "failed",
          error: { nodeId: "first", error: { name: "RaceLost", message: expect.stringContaining("a: no good; b: no good") } },
        })
      }),
    ),
  )

  it.effect("fails with the first of its branches that fails, unless it ignores that", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = draw(() => (
          <Race id="first">
            <Signal id="b" name="b" />
            <Task id="a" output={outputs.text} noRetry>
              {() => Effect.fail(new Error("no good"))}
            </Task>
          </Race>
        ))
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "a" } })
      }),
    ),
  )

  it.effect("says while it is drawn who has won; what a loser still reads holds nothing up", () =>
    onMemory(
      Effect.gen(function* () {
        const Slow = () => {
          const ctx = useCtx()
          return (
            <>
              <Signal id="slow" output={outputs.said} name="slow" />
              <Task id="after-slow" output={outputs.text}>{`after ${ctx.output("said", { nodeId: "slow" })}`}</Task>
            </>
          )
        }
        const Then = () => {
          const winner = useCtx().winner("first")
          return winner === undefined ? null : (
            <Task id={`then-${winner}`} output={outputs.won}>
              {{ winner, all: [] }}
            </Task>
          )
        }
        const workflow = draw(() => (
          <>
            <Race id="first">
              <Slow />
              <Signal id="fast" output={outputs.said} name="fast" />
            </Race>
            <Then />
          </>
        ))
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "waiting-event" })
        yield* Smithers.signal("r", "fast", { payload: "now" })
        expect(yield* workflow.execute({}, { runId: "r" })).toEqual({ winner: "fast", all: [] })
      }),
    ),
  )

  it.effect("begins anew in each pass of a loop", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = draw(() => (
          <Loop until={(ctx) => ctx.iterationCount("won") === 2}>
            <Race id="first">
              <Signal key="a" id="a" name="a" />
              <Signal key="b" id="b" name="b" />
            </Race>
            <Won />
          </Loop>
        ))
        yield* workflow.run({}, { runId: "r" })
        yield* Smithers.signal("r", "b")
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({
          waits: [
            { nodeId: "a", iteration: 1 },
            { nodeId: "b", iteration: 1 },
          ],
        })
        yield* Smithers.signal("r", "a")
        expect(yield* workflow.execute({}, { runId: "r" })).toEqual({ winner: "a", all: ["a"] })
      }),
    ),
  )

  it.effect("that keeps the others goes on, and they go on beside what follows", () =>
    onMemory(
      Effect.gen(function* () {
        const done: Array<string> = []
        const workflow = draw(() => (
          <>
            <Race id="first" rest="keep">
              <Task key="a" id="a">
                {() => void done.push("a")}
              </Task>
              <Sequence key="b">
                <Signal id="b" name="b" />
                <Task id="b2">{() => void done.push("b2")}</Task>
              </Sequence>
            </Race>
            <Won />
          </>
        ))
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "waiting-event", waits: [{ nodeId: "b" }] })
        yield* Smithers.signal("r", "b")
        expect(yield* workflow.execute({}, { runId: "r" })).toEqual({ winner: "a", all: ["a"] })
        expect(done).toEqual(["a", "b2"])
      }),
    ),
  )

  it.effect("fails where its time is over, or goes on", () =>
    onTestRuntime(
      Effect.gen(function* () {
        const limited = (onTimeout: "fail" | "continue") =>
          draw(() => (
            <>
              <Race id="first" timeoutMs={1000} onTimeout={onTimeout}>
                <Signal id="a" name="a" />
                <Signal id="b" name="b" />
              </Race>
              <Won />
            </>
          ))
        const failure = yield* Effect.flip(limited("fail").execute({}, { runId: "r" }))
        expect(failure).toMatchObject({ _tag: "ScopeTimedOut", nodeId: "first" })
        expect(yield* limited("continue").execute({}, { runId: "s" })).toEqual({ winner: null, all: [] })
      }),
    ),
  )

  it.effect("that is decided begins again as a whole where a task of its winner runs again, and what follows from it too", () =>
    onMemory(
      Effect.gen(function* () {
        const done: Array<string> = []
        let isQuick = true
        let isFixed = false
        const task = (id: string, text: () => Effect.Effect<string>) => (
          <Task key={id} id={id} output={outputs.text} noRetry>
            {() => {
              done.push(id)
              return text()
            }}
          </Task>
        )
        const workflow = draw(() => (
          <>
            <Race id="first">
              {task("a", () => (isQuick ? Effect.succeed("a") : Effect.never))}
              {task("b", () => (isQuick ? Effect.never : Effect.succeed("b")))}
            </Race>
            <Won />
            {task("end", () => (isFixed ? Effect.succeed("end") : Effect.dieMessage("not yet")))}
            <Won id="last" />
          </>
        ))
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "end" } })
        isQuick = false
        isFixed = true
        yield* Smithers.retryNode("r", "a")
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "finished", output: { winner: "b", all: ["b"] } })
        expect(done.filter((id) => id !== "end")).toEqual(["a", "b", "a", "b"])
      }),
    ),
  )

  it.live("ends the same whatever commit its process dies at", () =>
    Effect.gen(function* () {
      const workflow = draw(() => (
        <>
          <Race id="first">
            <Sequence key="a">
              <Task id="a" output={outputs.text}>
                {() => Effect.as(Effect.yieldNow(), "a")}
              </Task>
              <Task id="a2" output={outputs.text}>
                {() => Effect.never}
              </Task>
            </Sequence>
            <Sequence key="b">
              <Signal id="b" name="b" />
              <Task id="b2" output={outputs.text}>
                {() => "b2"}
              </Task>
            </Sequence>
            <Task key="c" id="c" output={outputs.text}>
              {() => "c"}
            </Task>
          </Race>
          <Won />
        </>
      ))
      const { calm, disturbed } = yield* sweep({ run: workflow.run({}, { runId }).pipe(Effect.provide(AgentProgram.layer)) })
      expect(calm).toMatchObject({ result: { status: "finished", output: { winner: "c" } }, twice: [] })
      expect(disturbed.length).toBeGreaterThan(4)
      for (const { end } of disturbed) expect(end).toMatchObject({ result: { output: { winner: "c" } }, twice: [] })
    }),
  )
})
