/**
 * What is made again when something is: whatever has read it, in a function of ctx or while it was drawn.
 */
import { expect, it } from "@effect/vitest"
import * as RunState from "@smithers/core/RunState"
import { Storage } from "@smithers/core/Storage"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import type * as React from "react"
import {
  Approval,
  createSmithers,
  HumanTask,
  Loop,
  Parallel,
  Saga,
  Sequence,
  Signal,
  Smithers,
  Subflow,
  Timer,
  TryCatchFinally,
} from "smithers-orchestrator"
import { describe } from "vitest"
import { z } from "zod"

const { Workflow, Task, smithers, outputs, useCtx } = createSmithers({
  diff: z.object({ summary: z.string() }),
  other: z.object({ summary: z.string() }),
  note: z.string(),
  said: z.object({ word: z.string() }),
})

const stores = {
  memory: () => Smithers.memory,
  sqlite: () => Smithers.sqlite({ filename: ":memory:" }),
}

type Drawing = Parameters<typeof smithers>[0]

/** A run of a workflow, taken up again each time it is looked at. */
const running = (draw: Drawing) => {
  const workflow = smithers(draw)
  return workflow.run({}, { runId: "r", onFailed: "resume" })
}

/** Gives `name 1`, `name 2` …, and tells how often it was called. */
const counting = (name: string) => {
  let times = 0
  return Object.assign(() => ({ summary: `${name} ${++times}` }), { times: () => times })
}

/** What a run shows people, with the ids of the nodes that ask. */
const asked = Effect.gen(function* () {
  const storage = yield* Storage
  const waits = yield* storage.waits({ status: "open" } as never)
  return waits.map(({ nodeId, request }) => [nodeId, (request as { title?: string })?.title])
})

const outputOf = (nodeId: string, iteration = 0) =>
  Effect.flatMap(Storage, (storage) => Effect.map(storage.load("r"), (state) => RunState.step(state, nodeId, iteration)?.output))

describe.each(Object.entries(stores))("what a node has read, kept on %s, says what is made again with retryNode", (_, store) => {
  const onStore = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, store())

  it.effect("a task whose function has read it", () =>
    onStore(
      Effect.gen(function* () {
        const [implement, beside] = [counting("diff"), counting("beside")]
        const run = running(() => (
          <Workflow name="review">
            <Task id="implement" output={outputs.diff}>
              {implement}
            </Task>
            <Task id="beside" output={outputs.other}>
              {beside}
            </Task>
            <Task id="report" output={outputs.note}>
              {async (ctx) => {
                await Promise.resolve()
                return `on ${ctx.output(outputs.diff).summary}`
              }}
            </Task>
            <Signal id="end" name="end" />
          </Workflow>
        ))
        yield* run
        expect(yield* outputOf("report")).toBe("on diff 1")
        yield* Smithers.retryNode("r", "implement")
        expect(yield* run).toMatchObject({ waits: [{ nodeId: "end" }] })
        expect(yield* outputOf("report")).toBe("on diff 2")
        expect(beside.times()).toBe(1)
      }),
    ),
  )

  it.effect("a node drawn with more outputs than are named, but not for what has begun after it", () =>
    onStore(
      Effect.gen(function* () {
        const ids = Array.from({ length: 40 }, (_, index) => `part-${index}`)
        const [late, beside] = [counting("late"), counting("beside")]
        const All = ({ children }: { readonly children: (text: string) => React.ReactNode }) => {
          const ctx = useCtx()
          return children(ids.map((id) => ctx.output(outputs.note, { nodeId: id })).join())
        }
        const run = running(() => (
          <Workflow name="many">
            <Parallel>
              {ids.map((id) => (
                <Task key={id} id={id} output={outputs.note}>
                  {id}
                </Task>
              ))}
            </Parallel>
            <Parallel>
              <All>{(text) => <Approval id="ask" request={() => ({ title: text })} />}</All>
              <All>
                {() => (
                  <Task id="beside" output={outputs.other}>
                    {beside}
                  </Task>
                )}
              </All>
              <Sequence>
                <Timer id="nap" duration="1 minute" />
                <Task id="late" output={outputs.diff}>
                  {late}
                </Task>
              </Sequence>
            </Parallel>
          </Workflow>
        ))
        const asks = Effect.flatMap(Storage, (storage) =>
          Effect.map(
            storage.events("r", { limit: 10_000 }),
            (logged) => logged.filter(({ event }) => event._tag === "WaitStarted" && event.nodeId === "ask").length,
          ),
        )
        yield* run
        yield* TestClock.adjust("1 minute")
        yield* run
        expect([yield* asks, late.times(), beside.times()]).toEqual([1, 1, 1])
        yield* Smithers.retryNode("r", "late")
        yield* run
        expect([yield* asks, late.times(), beside.times()]).toEqual([1, 2, 1])
        yield* Smithers.retryNode("r", "part-3")
        yield* run
        expect([yield* asks, late.times(), beside.times()]).toEqual([2, 2, 2])
      }),
    ),
  )

  it.effect("an attempt in flight that has read it is begun anew", () =>
    onStore(
      Effect.gen(function* () {
        const [hasRead, isRedone] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const implement = counting("diff")
        const workflow = smithers(() => (
          <Workflow name="flight">
            <Task id="implement" output={outputs.diff}>
              {() => (implement.times() === 0 ? Effect.void : Deferred.succeed(isRedone, undefined)).pipe(Effect.map(implement))}
            </Task>
            <Task id="report" output={outputs.note}>
              {(ctx) =>
                Effect.gen(function* () {
                  const { summary } = ctx.output(outputs.diff)
                  yield* Deferred.succeed(hasRead, undefined)
                  yield* Deferred.await(isRedone)
                  return `on ${summary}`
                })
              }
            </Task>
          </Workflow>
        ))
        const handle = yield* workflow.start({}, { runId: "r" })
        yield* Deferred.await(hasRead)
        yield* Smithers.retryNode("r", "implement")
        expect(yield* handle.await).toBe("on diff 2")
      }),
    ),
  )

  it.effect("an approval that asked for it is asked anew, whether it is open or decided", () =>
    onStore(
      Effect.gen(function* () {
        const implement = counting("diff")
        const deployed: Array<string> = []
        const run = running(() => (
          <Workflow name="ship">
            <Task id="implement" output={outputs.diff}>
              {implement}
            </Task>
            <Approval id="ship" request={(ctx) => ({ title: `Ship ${ctx.output(outputs.diff).summary}?` })} />
            <Task id="deploy" output={outputs.note} noRetry>
              {(ctx) => {
                deployed.push(ctx.output(outputs.diff).summary)
                throw new Error("down")
              }}
            </Task>
          </Workflow>
        ))
        yield* run
        expect(yield* asked).toEqual([["ship", "Ship diff 1?"]])
        yield* Smithers.retryNode("r", "implement")
        yield* run
        expect(yield* asked).toEqual([["ship", "Ship diff 2?"]])
        yield* Smithers.approve("r", "ship", { by: "ann" })
        expect(yield* run).toMatchObject({ status: "failed" })
        yield* Smithers.retryNode("r", "implement")
        expect(yield* run).toMatchObject({ status: "waiting-approval", waits: [{ nodeId: "ship" }] })
        expect(yield* asked).toEqual([["ship", "Ship diff 3?"]])
        expect(deployed).toEqual(["diff 2"])
      }),
    ),
  )

  it.effect("what needs an approval asks anew for something else, and not for the same", () =>
    onStore(
      Effect.gen(function* () {
        let [summary, isDown] = ["diff 1", true]
        const run = running(() => (
          <Workflow name="gate">
            <Task id="implement" output={outputs.diff}>
              {() => ({ summary })}
            </Task>
            <Task
              id="deploy"
              output={outputs.note}
              noRetry
              needsApproval={{ request: (ctx) => ({ title: ctx.output(outputs.diff).summary }) }}
            >
              {() => {
                if (isDown) throw new Error("down")
                return "up"
              }}
            </Task>
            <Signal id="end" name="end" />
          </Workflow>
        ))
        yield* run
        yield* Smithers.approve("r", "deploy")
        expect(yield* run).toMatchObject({ status: "failed" })
        isDown = false
        yield* Smithers.retryNode("r", "implement")
        expect(yield* run).toMatchObject({ waits: [{ nodeId: "end" }] })
        summary = "diff 2"
        yield* Smithers.retryNode("r", "implement")
        expect(yield* run).toMatchObject({ waits: [{ nodeId: "deploy" }] })
        expect(yield* asked).toContainEqual(["deploy", "diff 2"])
      }),
    ),
  )

  it.effect("whatever else has a function of ctx: a question, a child's input, a time, a condition, a cache", () =>
    onStore(
      Effect.gen(function* () {
        const plan = counting("plan")
        const child = smithers((ctx) => (
          <Workflow name="child">
            <Task id="say" output={outputs.note}>{`child of ${ctx.input}`}</Task>
          </Workflow>
        ))
        const kept = counting("kept")
        const run = running(() => (
          <Workflow name="all">
            <Task id="plan" output={outputs.diff}>
              {plan}
            </Task>
            <Parallel>
              <HumanTask id="ask" output={outputs.said} prompt={(ctx) => `Is ${ctx.output(outputs.diff).summary} good?`} />
              <Subflow
                id="sub"
                workflow={child}
                output={outputs.note}
                input={(ctx: Parameters<Drawing>[0]) => ctx.output(outputs.diff).summary}
              />
              <Timer id="tick" until={(ctx) => ctx.output(outputs.diff).summary.length - 6} />
              <Signal id="hear" name="hear" correlation={(ctx) => ctx.output(outputs.diff).summary} />
              <Task id="left-out" skipIf={(ctx) => ctx.output(outputs.diff).summary === "plan 1"} output={outputs.said}>
                {() => ({ word: "done" })}
              </Task>
              <Task id="kept" output={outputs.other} cache={{ key: (ctx) => ctx.output(outputs.diff).summary }}>
                {kept}
              </Task>
              <Task id="alone" output={outputs.note}>
                alone
              </Task>
            </Parallel>
            <Signal id="end" name="end" />
          </Workflow>
        ))
        yield* run
        yield* Smithers.answer("r", "ask", { word: "yes" })
        yield* Smithers.signal("r", "hear", { correlation: "plan 1" })
        expect(yield* run).toMatchObject({ waits: [{ nodeId: "end" }] })
        expect(yield* outputOf("left-out")).toBe(undefined)
        yield* Smithers.retryNode("r", "plan")
        expect(yield* run).toMatchObject({ waits: [{ nodeId: "ask" }, { nodeId: "hear" }] })
        expect([yield* outputOf("sub"), yield* outputOf("left-out"), yield* outputOf("kept")]).toEqual([
          "child of plan 2",
          { word: "done" },
          { summary: "kept 2" },
        ])
        const storage = yield* Storage
        const { state } = { state: yield* storage.load("r") }
        expect(RunState.step(state, "alone", 0)).toMatchObject({ attempt: 1, status: "finished" })
        expect(RunState.step(state, "alone", 0)?.reads).toBe(undefined)
      }),
    ),
  )

  it.effect("what was drawn after it was read, also with another prompt, and not what ran before it was there", () =>
    onStore(
      Effect.gen(function* () {
        const analyze = counting("analysis")
        const Report = () => {
          const ctx = useCtx()
          const found = ctx.outputMaybe(outputs.diff)
          return <Task id="report" output={outputs.note}>{`about ${found?.summary ?? "nothing"}`}</Task>
        }
        const Early = () => {
          const ctx = useCtx()
          return (
            <Task id="early" output={outputs.said}>
              {{ word: ctx.outputMaybe(outputs.diff)?.summary ?? "nothing yet" }}
            </Task>
          )
        }
        const run = running(() => (
          <Workflow name="drawn">
            <Early />
            <Task id="analyze" output={outputs.diff}>
              {analyze}
            </Task>
            <Task id="beside" output={outputs.other}>
              {{ summary: "beside" }}
            </Task>
            <Report />
            <Signal id="end" name="end" />
          </Workflow>
        ))
        yield* run
        expect(yield* outputOf("report")).toBe("about analysis 1")
        yield* Smithers.retryNode("r", "analyze")
        expect(yield* run).toMatchObject({ waits: [{ nodeId: "end" }] })
        expect(yield* outputOf("report")).toBe("about analysis 2")
        expect(yield* outputOf("early")).toEqual({ word: "nothing yet" })
        const state = yield* Effect.flatMap(Storage, (storage) => storage.load("r"))
        expect(["early", "beside", "report"].map((id) => RunState.step(state, id, 0)?.attempt)).toEqual([1, 1, 2])
      }),
    ),
  )

  it.effect("what was drawn after hundreds of reads, with no more kept for it than after a few", () =>
    onStore(
      Effect.gen(function* () {
        const ids = Array.from({ length: 50 }, (_, index) => `part-${index}`)
        const ran: Array<string> = []
        const run = running((ctx) => {
          const known = ids.map((nodeId) => ctx.outputMaybe(outputs.note, { nodeId }))
          return (
            <Workflow name="wide">
              {ids.map((id) => (
                <Task key={id} id={id} output={outputs.note}>
                  {() => {
                    ran.push(id)
                    return id
                  }}
                </Task>
              ))}
              <Task id="all" output={outputs.said}>
                {() => ({ word: `${known.length} ${ran.length}` })}
              </Task>
              <Signal id="end" name="end" />
            </Workflow>
          )
        })
        yield* run
        const { nodes } = yield* Effect.flatMap(Storage, (storage) => storage.load("r"))
        const most = Math.max(...[...nodes].map(([, record]) => ("reads" in record ? (record.reads?.length ?? 0) : 0)))
        expect(most).toBeLessThan(40)
        ran.length = 0
        yield* Smithers.retryNode("r", "part-48")
        yield* run
        expect(ran).toEqual(["part-48", "part-49"])
        expect(yield* outputOf("all")).toEqual({ word: "50 2" })
      }),
    ),
  )

  it.effect("what said that it was skipped or had failed", () =>
    onStore(
      Effect.gen(function* () {
        let isDown = true
        const Drawn = () => {
          const ctx = useCtx()
          return (
            <Task id="drawn" output={outputs.said}>
              {{ word: ctx.outputMaybe(outputs.diff)?.summary ?? "nothing" }}
            </Task>
          )
        }
        const run = running(() => (
          <Workflow name="soft">
            <Task id="try" output={outputs.diff} continueOnFail noRetry>
              {() => {
                if (isDown) throw new Error("down")
                return { summary: "up" }
              }}
            </Task>
            <Task id="told" output={outputs.note}>
              {(ctx) => ctx.outputMaybe(outputs.diff)?.summary ?? "nothing"}
            </Task>
            <Drawn />
            <Signal id="end" name="end" />
          </Workflow>
        ))
        yield* run
        expect([yield* outputOf("told"), yield* outputOf("drawn")]).toEqual(["nothing", { word: "nothing" }])
        isDown = false
        yield* Smithers.retryNode("r", "try")
        expect(yield* run).toMatchObject({ waits: [{ nodeId: "end" }] })
        expect([yield* outputOf("told"), yield* outputOf("drawn")]).toEqual(["up", { word: "up" }])
      }),
    ),
  )

  it.effect("the passes of a loop read each other, and only the pass that is done again is", () =>
    onStore(
      Effect.gen(function* () {
        const [draft, review] = [counting("draft"), counting("review")]
        const seen: Array<string> = []
        const run = running(() => (
          <Workflow name="loop">
            <Loop id="polish" until={(ctx) => ctx.iterationCount(outputs.other) >= 2}>
              <Task id="draft" output={outputs.diff}>
                {(ctx) => {
                  seen.push(ctx.latest(outputs.other)?.summary ?? "")
                  return draft()
                }}
              </Task>
              <Task id="review" output={outputs.other}>
                {(ctx) => ({ summary: `${review().summary} of ${ctx.output(outputs.diff).summary}` })}
              </Task>
            </Loop>
            <Task id="publish" output={outputs.note}>
              {(ctx) => ctx.output(outputs.other).summary}
            </Task>
            <Signal id="end" name="end" />
          </Workflow>
        ))
        yield* run
        expect(yield* outputOf("publish")).toBe("review 2 of draft 2")
        yield* Smithers.retryNode("r", "draft")
        expect(yield* run).toMatchObject({ waits: [{ nodeId: "end" }] })
        expect(yield* outputOf("publish")).toBe("review 3 of draft 3")
        expect(seen).toEqual(["", "review 1 of draft 1", "review 1 of draft 1"])
        yield* Smithers.retryNode("r", "review")
        yield* run
        expect(yield* outputOf("publish")).toBe("review 4 of draft 3")
        yield* Smithers.retryNode("r", "polish")
        yield* run
        expect(yield* outputOf("publish")).toBe("review 6 of draft 5")
      }),
    ),
  )

  it.effect("a loop that looked at it begins anew", () =>
    onStore(
      Effect.gen(function* () {
        let passes = 1
        const work = counting("work")
        const run = running(() => (
          <Workflow name="times">
            <Task id="plan" output={outputs.said}>
              {() => ({ word: "x".repeat(passes) })}
            </Task>
            <Loop id="work" until={(ctx) => ctx.iterationCount(outputs.diff) >= ctx.output(outputs.said).word.length}>
              <Task id="step" output={outputs.diff}>
                {work}
              </Task>
            </Loop>
            <Signal id="end" name="end" />
          </Workflow>
        ))
        yield* run
        passes = 2
        yield* Smithers.retryNode("r", "plan")
        yield* run
        expect(work.times()).toBe(3)
        expect(yield* outputOf("step", 2)).toEqual({ summary: "work 3" })
      }),
    ),
  )

  it.effect("what was undone and is done again by resuming is asked for again", () =>
    onStore(
      Effect.gen(function* () {
        const implement = counting("diff")
        let isDown = true
        const run = running(() => (
          <Workflow name="saga">
            <Saga>
              <Task id="implement" output={outputs.diff} compensate={() => {}}>
                {implement}
              </Task>
              <Approval id="ship" request={(ctx) => ({ title: ctx.output(outputs.diff).summary })} />
              <Task id="deploy" output={outputs.note} noRetry>
                {(ctx) => {
                  if (isDown) throw new Error("down")
                  return `deployed ${ctx.output(outputs.diff).summary}`
                }}
              </Task>
            </Saga>
          </Workflow>
        ))
        yield* run
        yield* Smithers.approve("r", "ship")
        expect(yield* run).toMatchObject({ status: "failed" })
        isDown = false
        expect(yield* run).toMatchObject({ waits: [{ nodeId: "ship" }] })
        expect(yield* asked).toEqual([["ship", "diff 2"]])
        yield* Smithers.approve("r", "ship")
        expect(yield* run).toMatchObject({ output: "deployed diff 2" })
      }),
    ),
  )

  it.effect("what a catch has read", () =>
    onStore(
      Effect.gen(function* () {
        const plan = counting("plan")
        const run = running(() => (
          <Workflow name="caught">
            <Task id="plan" output={outputs.diff}>
              {plan}
            </Task>
            <TryCatchFinally
              catch={(error, ctx) => (
                <Task id="report" output={outputs.note}>{`${error.message} in ${ctx.outputMaybe(outputs.diff)?.summary}`}</Task>
              )}
            >
              <Task id="fails" noRetry>
                {() => {
                  throw new Error("no")
                }}
              </Task>
            </TryCatchFinally>
            <Signal id="end" name="end" />
          </Workflow>
        ))
        yield* run
        expect(yield* outputOf("report")).toBe("no in plan 1")
        yield* Smithers.retryNode("r", "plan")
        expect(yield* run).toMatchObject({ waits: [{ nodeId: "end" }] })
        expect(yield* outputOf("report")).toBe("no in plan 2")
      }),
    ),
  )
})

it.effect("a question that is drawn with what is not there yet is asked when it is", () =>
  Effect.gen(function* () {
    const Summary = () => <b>{useCtx().output(outputs.diff).summary}</b>
    yield* running(() => (
      <Workflow name="question">
        <Parallel>
          <Task id="implement" output={outputs.diff}>
            {async () => ({ summary: "a login" })}
          </Task>
          <HumanTask id="rate" output={outputs.said}>
            How good is <Summary />?
          </HumanTask>
        </Parallel>
      </Workflow>
    ))
    const storage = yield* Storage
    expect(
      (yield* storage.events("r")).flatMap(({ event }) => (event._tag === "WaitStarted" ? [event.request] : [])),
    ).toMatchObject([{ prompt: "How good is **a login**?" }])
  }).pipe(Effect.provide(Smithers.memory)),
)

describe.each(Object.entries(stores))("what asks for something, kept on %s, says what it asks for by now", (_, store) => {
  const onStore = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, store())
  const draw =
    (isDone: Deferred.Deferred<void>, hasBegun: Deferred.Deferred<void>): Drawing =>
    () => (
      <Workflow name="beside">
        <Parallel>
          <Task id="implement" output={outputs.diff}>
            {() =>
              Deferred.succeed(hasBegun, undefined).pipe(Effect.zipRight(Deferred.await(isDone)), Effect.as({ summary: "late" }))
            }
          </Task>
          <Approval id="ship" request={(ctx) => ({ title: ctx.outputMaybe(outputs.diff)?.summary ?? "nothing yet" })} />
          <HumanTask id="rate" output={outputs.said} prompt={(ctx) => `Rate ${ctx.outputMaybe(outputs.diff)?.summary}`} />
          <Signal id="hear" name="hear" correlation={(ctx) => ctx.outputMaybe(outputs.diff)?.summary} />
          <Signal id="fixed" name="fixed" />
        </Parallel>
      </Workflow>
    )
  const events = Effect.flatMap(Storage, (storage) =>
    Effect.map(storage.events("r"), (logged) =>
      logged.flatMap(({ event }) => (event._tag === "WaitStarted" ? [event.nodeId] : [])),
    ),
  )

  it.effect("while a process works on the run", () =>
    onStore(
      Effect.gen(function* () {
        const [isDone, hasBegun] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const handle = yield* smithers(draw(isDone, hasBegun)).start({}, { runId: "r" })
        // What begins with the task is committed before it.
        yield* Deferred.await(hasBegun)
        expect(yield* asked).toContainEqual(["ship", "nothing yet"])
        yield* Deferred.succeed(isDone, undefined)
        yield* handle.waiting
        expect(yield* asked).toContainEqual(["ship", "late"])
        expect((yield* events).sort()).toEqual(["fixed", "hear", "hear", "rate", "rate", "ship", "ship"])
        yield* Smithers.approve("r", "ship")
        yield* Smithers.answer("r", "rate", { word: "good" })
        yield* Smithers.signal("r", "hear", { correlation: "late" })
        yield* Smithers.signal("r", "fixed")
        yield* handle.await
      }),
    ),
  )

  it.effect("after a restart too, so that no decision is lost", () =>
    onStore(
      Effect.gen(function* () {
        const [isDone, hasBegun] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        yield* Deferred.succeed(isDone, undefined)
        const run = running(draw(isDone, hasBegun))
        yield* run
        expect(yield* asked).toContainEqual(["ship", "late"])
        yield* Smithers.approve("r", "ship")
        expect(yield* run).toMatchObject({ waits: [{ nodeId: "rate" }, { nodeId: "hear" }, { nodeId: "fixed" }] })
      }),
    ),
  )
})
