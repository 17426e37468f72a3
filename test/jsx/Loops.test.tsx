/**
 * Loops of agents that never agree, and of tasks that change while they run: when they stop, and how often anybody was called by then.
 */
import { describe, expect, it } from "@effect/vitest"
import { Storage } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as React from "react"
import {
  type Ctx,
  createSmithers,
  Loop,
  Parallel,
  runWorkflow,
  Saga,
  Sequence,
  Signal,
  Smithers,
  TryCatchFinally,
} from "smithers-orchestrator"
import { crashEverywhere } from "smithers-orchestrator/testing"
import { z } from "zod"
import { rest, settled } from "../core/Time.ts"

const { Workflow, Task, smithers, outputs, useCtx } = createSmithers({
  verdict: z.object({ approved: z.boolean() }),
  text: z.string(),
})

/** An agent that counts its calls, and approves with the given one. */
const reviewer = (approves = Number.POSITIVE_INFINITY) => {
  const agent = {
    calls: 0,
    generate: async () => ({ text: JSON.stringify({ approved: ++agent.calls >= approves }) }),
  }
  return agent
}

const onMemory = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, Smithers.memory)

describe("the limit of a loop", () => {
  const reviews = (agent: ReturnType<typeof reviewer>, limit: { maxIterations?: number; onMaxReached?: "return-last" | "fail" }) =>
    smithers(() => (
      <Workflow name="reviews">
        <Loop id="rounds" until={(ctx) => ctx.latest(outputs.verdict)?.approved} {...limit}>
          <Task id="review" output={outputs.verdict} agent={agent}>
            Review it.
          </Task>
        </Loop>
      </Workflow>
    ))

  it.effect("is 5 passes where none is given, and then the run fails, says what to do, and goes on from there with one", () =>
    onMemory(
      Effect.gen(function* () {
        const agent = reviewer(8)
        const failed = yield* reviews(agent, {}).run({}, { runId: "r" })
        const error = { _tag: "LoopLimitReached", nodeId: "rounds", maxIterations: 5, isDefault: true }
        expect(failed).toMatchObject({ status: "failed", error })
        expect(failed.status === "failed" && failed.error.message).toBe(
          'Loop "rounds" of run "r" made 5 passes, the default limit, without its "until" holding. Set maxIterations (Infinity for no limit), or onMaxReached to "return-last" to go on with the last pass, and resume the run: its passes are kept.',
        )
        expect(agent.calls).toBe(5)
        const asked = { runId: "r", onFailed: "resume" } as const
        const finished = yield* reviews(agent, { maxIterations: Number.POSITIVE_INFINITY }).run({}, asked)
        expect(finished).toEqual({ status: "finished", runId: "r", output: { approved: true } })
        expect(agent.calls).toBe(8)
      }),
    ),
  )

  it.effect("that is given ends the loop with its last pass, and the run's result names it, also when it is asked again", () =>
    onMemory(
      Effect.gen(function* () {
        const agent = reviewer()
        const workflow = reviews(agent, { maxIterations: 3 })
        const exhausted = [{ nodeId: "rounds", iteration: 0, passes: 3 }]
        const result = { status: "finished", runId: "r", output: { approved: false }, exhausted }
        expect(yield* workflow.run({}, { runId: "r" })).toEqual(result)
        expect(yield* workflow.run({}, { runId: "r" })).toEqual(result)
        expect(agent.calls).toBe(3)
      }),
    ),
  )

  it.effect("fails the run where that is asked for, which goes on once the limit is another", () =>
    onMemory(
      Effect.gen(function* () {
        const agent = reviewer(3)
        const failed = yield* reviews(agent, { maxIterations: 2, onMaxReached: "fail" }).run({}, { runId: "r" })
        expect(failed).toMatchObject({ status: "failed", error: { _tag: "LoopLimitReached", maxIterations: 2 } })
        expect(failed.status === "failed" && failed.error.message).toContain("Raise maxIterations")
        const finished = yield* reviews(agent, { maxIterations: 3, onMaxReached: "fail" }).run(
          {},
          { runId: "r", onFailed: "resume" },
        )
        expect(finished).toEqual({ status: "finished", runId: "r", output: { approved: true } })
        expect(agent.calls).toBe(3)
      }),
    ),
  )

  it("that is not given ends the loop with its last pass where that is asked for", async () => {
    const agent = reviewer()
    const workflow = reviews(agent, { onMaxReached: "return-last" })
    const exhausted = [{ nodeId: "rounds", iteration: 0, passes: 5 }]
    const result = await runWorkflow(workflow, { input: {}, runId: "r", runtime: Smithers.memory })
    expect(result).toEqual({ status: "finished", runId: "r", output: { approved: false }, exhausted })
  })
})

type Seen = Parameters<Parameters<typeof smithers>[0]>[0]

/** A workflow of one loop. */
const looping = (
  draw: (ctx: Seen) => React.ReactNode,
  until: (ctx: Seen) => boolean,
  limit: { maxIterations?: number } = { maxIterations: 3 },
) =>
  smithers((ctx) => (
    <Workflow name="looping">
      <Loop id="loop" until={until} {...limit}>
        {draw(ctx)}
      </Loop>
    </Workflow>
  ))

/** How many tasks in a row have given something. */
const done = (ctx: Seen, name: string): number => {
  for (let n = 0; ; n++) if (ctx.outputMaybe(outputs.text, { nodeId: `${name}-${n}` }) === undefined) return n
}

/** An agent that counts its calls. */
const writer = () => {
  const agent = { calls: 0, generate: async () => ({ text: `draft ${++agent.calls}` }) }
  return agent
}

const eventsOf = (runId: string) =>
  Effect.flatMap(Storage, (storage) =>
    Effect.map(Effect.orDie(storage.events(runId, { limit: 10_000 })), (all) => all.map(({ event }) => event)),
  )

describe("ids that change with outputs", () => {
  const rounds = (agent: ReturnType<typeof writer>, until: (ctx: Seen) => boolean) =>
    looping(
      (ctx) => (
        <Task id={`round-${done(ctx, "round")}`} output={outputs.text} agent={agent}>
          Write.
        </Task>
      ),
      until,
    )

  it.effect("do not keep a loop from ending when its until holds: what is mounted then is not begun", () =>
    onMemory(
      Effect.gen(function* () {
        const agent = writer()
        const workflow = rounds(agent, (ctx) => done(ctx, "round") >= 3)
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "finished" })
        expect(agent.calls).toBe(3)
        // Asked again it answers, and calls nobody.
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "finished" })
        expect(agent.calls).toBe(3)
      }),
    ),
  )

  it.effect("end a pass as a failure after 100 more of them, which names some and goes on once they stay", () =>
    onMemory(
      Effect.gen(function* () {
        const agent = writer()
        const failed = yield* rounds(agent, () => false).run({}, { runId: "r" })
        expect(failed).toMatchObject({
          status: "failed",
          error: { _tag: "EndlessPass", nodeId: "loop", iteration: 0, nodeIds: ["round-100", "round-101"] },
        })
        expect(failed.status === "failed" && failed.error.message).toBe(
          'A pass of loop "loop" of run "r" never ends: tasks with new ids ("round-100", "round-101") were mounted in it more than 100 times. Give the tasks the same ids in each pass, and resume the run: each pass has rows of its own.',
        )
        expect(agent.calls).toBe(101)
        const repaired = looping(
          () => (
            <Task id="round" output={outputs.text} agent={agent}>
              Write.
            </Task>
          ),
          (ctx) => ctx.iterationCount(outputs.text, "round") === 2,
        )
        expect(yield* repaired.run({}, { runId: "r", onFailed: "resume" })).toMatchObject({
          status: "finished",
          output: "draft 103",
        })
        expect(agent.calls).toBe(103)
      }),
    ),
  )

  it.effect("do not multiply beside each other: until is asked whenever something new is mounted", () =>
    onMemory(
      Effect.gen(function* () {
        const agent = writer()
        const workflow = looping(
          (ctx) => {
            const n = done(ctx, "a") + done(ctx, "b")
            const round = (id: string) => (
              <Task key={id} id={id} output={outputs.text} agent={agent}>
                Write.
              </Task>
            )
            return <Parallel>{[round(`a-${n === 0 ? 0 : done(ctx, "a")}`), round(`b-${n === 0 ? 0 : done(ctx, "b")}`)]}</Parallel>
          },
          (ctx) => done(ctx, "a") + done(ctx, "b") >= 4,
        )
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "finished" })
        expect(agent.calls).toBeLessThanOrEqual(6)
      }),
    ),
  )

  for (const how of ["it is suspended", "it is paused"] as const) {
    it.effect(`are not begun when until holds since an attempt that ended as ${how}`, () =>
      onMemory(
        Effect.gen(function* () {
          const gate = Deferred.unsafeMake<void>(undefined as never)
          let calls = 0
          const workflow = looping(
            (ctx) => (
              <Task id={`round-${done(ctx, "round")}`} output={outputs.text}>
                {() => {
                  calls++
                  return calls === 2 ? Effect.as(Deferred.await(gate), "slow") : "quick"
                }}
              </Task>
            ),
            (ctx) => done(ctx, "round") >= 2,
          )
          const fiber = yield* Effect.fork(workflow.run({}, { runId: "r" }))
          yield* settled("the second round is at work", () => calls === 2)
          if (how === "it is paused") yield* Smithers.pause("r")
          yield* rest
          yield* Deferred.succeed(gate, undefined)
          yield* how === "it is paused" ? Fiber.await(fiber) : Fiber.interrupt(fiber)
          // It is kept, and nothing has followed from it.
          const kept = (yield* eventsOf("r")).findLast(({ _tag }) => _tag !== "PlanChanged")
          expect(kept).toMatchObject({ _tag: "AttemptSucceeded", nodeId: "round-1" })
          if (how === "it is paused") {
            expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "paused" })
            yield* Smithers.unpause("r")
          }
          expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "finished" })
          expect(calls).toBe(2)
        }),
      ),
    )
  }
})

describe("what is mounted in a pass that has begun", () => {
  const Say = ({ id, text = id }: { readonly id: string; readonly text?: string }) => (
    <Task id={id} output={outputs.text}>
      {text}
    </Task>
  )
  const has = (ctx: Seen, nodeId: string) => ctx.outputMaybe(outputs.text, { nodeId }) !== undefined
  const ran = (runId: string) =>
    Effect.map(eventsOf(runId), (events) =>
      events.flatMap((event) => (event._tag === "AttemptStarted" ? [`${event.nodeId}/${event.iteration}`] : [])),
    )

  it.effect("is run in that pass, which is one pass all the same", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = looping(
          (ctx) => (
            <>
              <Say id="analyze" text="a,b,c" />
              <Parallel>
                {ctx
                  .outputMaybe(outputs.text, { nodeId: "analyze" })
                  ?.split(",")
                  .map((id: string) => (
                    <Say key={id} id={`fix-${id}`} />
                  ))}
              </Parallel>
            </>
          ),
          () => false,
          { maxIterations: 1 },
        )
        const exhausted = [{ nodeId: "loop", iteration: 0, passes: 1 }]
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({
          status: "finished",
          output: ["fix-a", "fix-b", "fix-c"],
          exhausted,
        })
        expect(yield* ran("r")).toEqual(["analyze/0", "fix-a/0", "fix-b/0", "fix-c/0"])
      }),
    ),
  )

  it.effect("is run in each pass until until holds, and then what was there before still is, and what is new is not", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = looping(
          (ctx) => (
            <>
              <Say id="review" />
              <Say id="note" />
              {has(ctx, "review") ? <Say id="fix" /> : null}
              {has(ctx, "note") ? <Say id="tell" /> : null}
            </>
          ),
          (ctx) => ctx.iterationCount(outputs.text, "review") >= 2,
          { maxIterations: 9 },
        )
        // What was left out has no output to give.
        expect(yield* workflow.run({}, { runId: "r" })).toEqual({ status: "finished", runId: "r", output: "note" })
        expect(yield* ran("r")).toEqual(["review/0", "note/0", "fix/0", "tell/0", "review/1", "note/1"])
        const mounted = (yield* eventsOf("r")).flatMap((event) => (event._tag === "LoopMounted" ? [event] : []))
        expect(
          mounted.map(({ initial, mounted, mountCount, isOmitted = false }) => [initial ?? mounted, mountCount, isOmitted]),
        ).toEqual([
          [["review", "note"], 0, false],
          [["fix"], 1, false],
          [["tell"], 2, false],
          [["review", "note"], 0, false],
          [["fix"], 1, true],
          [["tell"], 2, true],
        ])
      }),
    ),
  )

  it.effect("is begun after all where until does not hold any more by the time that the rest is done", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = looping(
          (ctx) => (
            <>
              <Say id="review" />
              <Say id="doubt" />
              {has(ctx, "review") ? <Say id="fix" /> : null}
            </>
          ),
          (ctx) => (has(ctx, "review") && !has(ctx, "doubt")) || has(ctx, "fix"),
        )
        expect(yield* workflow.run({}, { runId: "r" })).toEqual({ status: "finished", runId: "r", output: "fix" })
        expect(yield* ran("r")).toEqual(["review/0", "doubt/0", "fix/0"])
      }),
    ),
  )

  it.effect("is no reason for anything where it is a wait, a loop, a saga or a try: none of them is begun", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = looping(
          (ctx) => (
            <>
              <Say id="review" />
              {has(ctx, "review") ? (
                <>
                  <Signal id="reply" name="reply" />
                  <Loop id="inner" until={false} maxIterations={2}>
                    <Say id="again" />
                  </Loop>
                  <Saga id="saga">
                    <Say id="book" />
                  </Saga>
                  <TryCatchFinally id="try" finally={<Say id="tidy" />}>
                    <Say id="risk" />
                  </TryCatchFinally>
                </>
              ) : null}
            </>
          ),
          (ctx) => has(ctx, "review"),
        )
        expect(yield* workflow.run({}, { runId: "r" })).toEqual({ status: "finished", runId: "r", output: "review" })
        expect(yield* ran("r")).toEqual(["review/0"])
        const kinds = new Set((yield* eventsOf("r")).map(({ _tag }) => _tag))
        expect([...kinds].filter((kind) => /^(Wait|Boundary)/.test(kind))).toEqual([])
      }),
    ),
  )

  it.effect("is begun where it is done on the way out of what was there before, or where that waits for it", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = looping(
          (ctx) => (
            <TryCatchFinally id="try" catch={({ message }) => <Say id="mend" text={message} />} finally={<Say id="tidy" />}>
              <Say id="review" />
              {has(ctx, "review") ? <Say id="first" /> : null}
              <Task id="second" output={outputs.text} deps={{ first: outputs.text }} needs={{ first: "first" }}>
                {({ first }) => first}
              </Task>
              <Task id="fails" output={outputs.text} noRetry>
                {() => {
                  throw new Error("no luck")
                }}
              </Task>
            </TryCatchFinally>
          ),
          (ctx) => has(ctx, "review"),
        )
        expect(yield* workflow.run({}, { runId: "r" })).toEqual({ status: "finished", runId: "r", output: "no luck" })
        expect(yield* ran("r")).toEqual(["review/0", "first/0", "second/0", "fails/0", "mend/0", "tidy/0"])
      }),
    ),
  )

  it.effect("in an inner loop is a matter of that loop alone", () =>
    onMemory(
      Effect.gen(function* () {
        const Inner = () => {
          const ctx = useCtx()
          return (
            <Loop id="inner" until={ctx.iterationCount(outputs.text, "try") >= 2} maxIterations={5}>
              <Say id="try" />
              {has(ctx, "try") && ctx.iterationCount(outputs.text, "try") < 2 ? <Say id="mend" /> : null}
            </Loop>
          )
        }
        const workflow = looping(
          () => (
            <Sequence>
              <Say id="review" />
              <Inner />
            </Sequence>
          ),
          (ctx) => has(ctx, "review"),
        )
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "finished" })
        expect(yield* ran("r")).toEqual(["review/0", "try/0", "mend/0", "try/1"])
      }),
    ),
  )
})

describe("ids that are others in each drawing", () => {
  let counter = 0
  const sources: ReadonlyArray<readonly [string, () => string]> = [
    ["useId", () => React.useId()],
    ["Math.random", () => `task-${Math.random()}`],
    ["Date.now", () => `task-${Date.now()}`],
    ["the date", () => `task-${new Date().toISOString().slice(0, 10)}-${new Date().getHours()}`],
    ["a counter", () => `task-${counter++}`],
  ]
  for (const [source, makeId] of sources) {
    for (const place of ["outside loops", "in a loop"] as const) {
      it.effect(`such as those of ${source}, ${place}, are refused before anybody is called for a second one`, () =>
        onMemory(
          Effect.gen(function* () {
            const agent = writer()
            const Made = () => {
              const ctx = useCtx()
              const id = makeId()
              return (
                <Task id={`${id}-${ctx.outputMaybe(outputs.text, { nodeId: "first" }) ?? ""}`} output={outputs.text} agent={agent}>
                  Write.
                </Task>
              )
            }
            const body = (
              <Parallel>
                <Task id="first" output={outputs.text}>
                  first
                </Task>
                <Made />
              </Parallel>
            )
            const workflow = smithers(() => (
              <Workflow name="impure">
                {place === "in a loop" ? (
                  <Loop id="loop" until={false} maxIterations={3}>
                    {body}
                  </Loop>
                ) : (
                  body
                )}
              </Workflow>
            ))
            const refused = yield* Effect.flip(workflow.run({}, { runId: "r" }))
            expect(refused).toMatchObject({
              _tag: "InvalidWorkflow",
              problem: expect.stringContaining("its ids differ between renders"),
            })
            expect(agent.calls).toBeLessThanOrEqual(1)
            // Taken up again it is refused at once, and repaired it goes on.
            expect(yield* Effect.flip(workflow.run({}, { runId: "r" }))).toMatchObject({ _tag: "InvalidWorkflow" })
            expect(agent.calls).toBeLessThanOrEqual(1)
          }),
        ),
      )
    }
  }

  it.effect("are told from ids that follow from outputs, which may replace each other as often as they like", () =>
    onMemory(
      Effect.gen(function* () {
        const agent = writer()
        const workflow = smithers((ctx) => {
          const n = done(ctx, "state")
          return (
            <Workflow name="machine">
              {n < 40 ? (
                <Task id={`state-${n}`} output={outputs.text} agent={agent}>
                  Go on.
                </Task>
              ) : (
                <Task id="end" output={outputs.text}>
                  end
                </Task>
              )}
            </Workflow>
          )
        })
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "finished", output: "end" })
        expect(agent.calls).toBe(40)
      }),
    ),
  )
})

describe("a task of a loop that is in the plan of some passes only", () => {
  /** The names of what a task has given in each of the first passes of the loop around the reader. */
  const passesOf = (ctx: Pick<Ctx, "outputMaybe">, nodeId: string, loop?: string): string =>
    [0, 1, 2].map((iteration) => ctx.outputMaybe(outputs.text, { nodeId, iteration, ...defined({ loop }) }) ?? "-").join(" ")
  const Round = ({ said }: { readonly said: string }) => {
    const { iteration } = useCtx()
    return (
      <>
        {iteration === 1 ? (
          <Task id="second" output={outputs.text}>
            {() => said}
          </Task>
        ) : null}
        <Task id="read" output={outputs.text}>
          {(ctx) => passesOf(ctx, "second")}
        </Task>
      </>
    )
  }

  it("is read by the number of its pass, and not as the first that there is", async () => {
    const workflow = smithers(() => (
      <Workflow name="rounds">
        <Loop id="rounds" until={false} maxIterations={3} onMaxReached="return-last">
          <Round said="second" />
        </Loop>
        <Task id="end" output={outputs.text}>
          {(ctx) => `${passesOf(ctx, "read")}, drawn ${passesOf(ctx, "second")}`}
        </Task>
      </Workflow>
    ))
    expect(await runWorkflow(workflow, { input: {}, runId: "some", runtime: Smithers.memory })).toEqual({
      runId: "some",
      exhausted: expect.anything(),
      status: "finished",
      output: "- - - - second - - second -, drawn - second -",
    })
  })

  it("is read in the passes of the loop around the reader, where that begins anew in an outer one", async () => {
    const Outer = () => {
      const { iteration } = useCtx()
      return (
        <Loop id="inner" until={false} maxIterations={3} onMaxReached="return-last">
          <Round said={`second of ${iteration}`} />
        </Loop>
      )
    }
    const workflow = smithers(() => (
      <Workflow name="rounds">
        <Loop id="outer" until={false} maxIterations={2} onMaxReached="return-last">
          <Outer />
          <Task id="after" output={outputs.text}>
            {(ctx) => `${ctx.output(outputs.text, { nodeId: "read" })}, after it ${passesOf(ctx, "second", "inner")}`}
          </Task>
        </Loop>
      </Workflow>
    ))
    expect(await runWorkflow(workflow, { input: {}, runId: "inner", runtime: Smithers.memory })).toEqual({
      runId: "inner",
      exhausted: expect.anything(),
      status: "finished",
      output: "- second of 1 -, after it - second of 1 -",
    })
  })

  it("stays in the plan of a run that is resumed where the plan before had it", async () => {
    const Body = () => {
      const ctx = useCtx()
      // In the plan, it is read in this pass, which has none; out of the plan, as it last was.
      const isOut = ctx.iteration > 0 && ctx.outputMaybe(outputs.text, { nodeId: "one" }) === "out"
      return isOut ? null : (
        <Task id="one" output={outputs.text}>
          {({ iteration }) => (iteration === 0 ? "out" : "in")}
        </Task>
      )
    }
    const workflow = smithers(() => (
      <Workflow name="kept">
        <Loop id="rounds" until={false} maxIterations={2} onMaxReached="return-last">
          <Body />
          <Task id="other">{{}}</Task>
        </Loop>
        <Task id="end" output={outputs.text}>
          {(ctx) => passesOf(ctx, "one")}
        </Task>
      </Workflow>
    ))
    await crashEverywhere(workflow, {})
    expect(await runWorkflow(workflow, { input: {}, runtime: Smithers.memory })).toMatchObject({
      status: "finished",
      output: "out in -",
    })
  })
})
