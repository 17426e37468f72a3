/**
 * Sagas, tries, child runs and approvals of tasks, as components.
 */
import { expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import type { Failure } from "@smithers/core/Builder"
import * as Commands from "@smithers/core/Commands"
import * as PlanText from "@smithers/core/PlanText"
import { Storage } from "@smithers/core/Storage"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import type * as React from "react"
import { createSmithers, type JsxWorkflow, Loop, Parallel, renderPlan, Sequence, Smithers } from "smithers-orchestrator"
import { describe } from "vitest"
import { z } from "zod"
import { runId, sweep } from "../core/Deaths.ts"
import { rest } from "../core/Time.ts"

const { Workflow, Task, Saga, TryCatchFinally, Subflow, Approval, smithers, outputs, useCtx } = createSmithers({
  text: z.string(),
  list: z.array(z.string()),
  child: z.object({ said: z.string() }),
  started: z.object({ runId: z.string() }),
})

const onMemory = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, Smithers.memory)

/** A component whose task says in a journal that it was done, and undone. */
const journal = () => {
  const done: Array<string> = []
  const Step = ({ id, fails, undo }: { id: string; fails?: boolean | (() => boolean); undo?: boolean }) => (
    <Task
      id={id}
      output={outputs.text}
      noRetry
      {...(undo === true ? { compensate: (output: string) => void done.push(`undo ${output}`) } : {})}
    >
      {() => {
        done.push(id)
        if (typeof fails === "function" ? fails() : fails === true) throw new Error(`${id} is no good`)
        return id
      }}
    </Task>
  )
  return { done, Step }
}

const draw = (child: () => React.ReactNode) => smithers(() => <Workflow name="w">{child()}</Workflow>)

describe("a Saga", () => {
  it.effect("undoes what has finished inside, in custom components, groups, loops and what appeared later", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        const Later = () => {
          const ctx = useCtx()
          return ctx.outputMaybe("list")?.map((id) => <Step key={id} id={id} undo />)
        }
        const Group = ({ children }: { children: React.ReactNode }) => <Parallel>{children}</Parallel>
        const workflow = smithers(() => (
          <Workflow name="w">
            <Step id="before" />
            <Saga>
              <Sequence>
                <Step id="a" undo />
                <Task id="list" output={outputs.list}>
                  {["x", "y"]}
                </Task>
              </Sequence>
              <Group>
                <Later />
              </Group>
              <Loop until={(ctx) => ctx.iterationCount("text", "pass") >= 2}>
                <Step id="pass" undo />
              </Loop>
              <Step id="fails" fails undo />
              <Step id="never" undo />
            </Saga>
          </Workflow>
        ))
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({
          status: "failed",
          error: { _tag: "StepFailed", nodeId: "fails" },
        })
        expect(done).toEqual([
          ...["before", "a", "x", "y", "pass", "pass", "fails"],
          ...["undo pass", "undo pass", "undo y", "undo x", "undo a"],
        ])
      }),
    ),
  )

  it.effect("hands a compensation the output, and a ctx that answers as of then", () =>
    onMemory(
      Effect.gen(function* () {
        const said: Array<string> = []
        const workflow = draw(() => (
          <Saga id="trip" onCompensated="continue">
            <Task
              id="book"
              output={outputs.text}
              compensate={(output, ctx) => {
                said.push(`${output} ${ctx.outputMaybe("text", { nodeId: "pay" })} ${ctx.taskId} ${ctx.idempotencyKey}`)
              }}
            >
              booked
            </Task>
            <Task id="pay" output={outputs.text}>
              paid
            </Task>
            <Task id="ship" output={outputs.text} noRetry>
              {() => Effect.fail("no")}
            </Task>
          </Saga>
        ))
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "finished", output: undefined })
        expect(said).toEqual(["booked paid book~compensate r:book~compensate:0"])
      }),
    ),
  )

  it.effect("is undone when its run is cancelled, and one inside another in the order of completion", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        const workflow = draw(() => (
          <Saga>
            <Step id="a" undo />
            <Saga>
              <Step id="b" undo />
            </Saga>
            <Approval id="ask" request={{ title: "?" }} />
          </Saga>
        ))
        expect((yield* workflow.run({}, { runId: "r" })).status).toBe("waiting-approval")
        yield* Commands.cancel("r")
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "cancelled" })
        expect(done).toEqual(["a", "b", "undo b", "undo a"])
      }),
    ),
  )

  it.effect("keeps its place without an id when something before it comes and goes by a condition", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        const workflow = smithers((ctx) => (
          <Workflow name="w">
            {ctx.outputMaybe("text", { nodeId: "a" }) === undefined ? null : <Step id="late" />}
            <Saga>
              <Step id="a" undo />
              <Step id="b" fails />
            </Saga>
          </Workflow>
        ))
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ error: { nodeId: "b" } })
        expect(done).toEqual(["a", "late", "b", "undo a"])
      }),
    ),
  )
})

describe("a TryCatchFinally", () => {
  it.effect("gives what is in it, and runs its finally", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        const workflow = draw(() => (
          <TryCatchFinally catch={<Step id="caught" />} finally={<Step id="last" />}>
            <Step id="a" />
            <Step id="b" />
          </TryCatchFinally>
        ))
        expect(yield* workflow.execute({}, { runId: "r" })).toBe("b")
        expect(done).toEqual(["a", "b", "last"])
      }),
    ),
  )

  it.effect("draws its catch from the error, which reads and waits as anything that is drawn", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        let calls = 0
        const workflow = draw(() => (
          <TryCatchFinally
            id="guard"
            try={
              <Parallel>
                <Step id="a" />
                <Sequence>
                  <Step id="b" fails />
                  <Step id="never" />
                </Sequence>
              </Parallel>
            }
            catch={(error, ctx) => {
              calls++
              const first = (
                <Task id="report" output={outputs.text}>
                  {`${error.nodeId}/${error.iteration} ${error.name}: ${error.message}`}
                </Task>
              )
              return (
                <>
                  {first}
                  <Task id="after" output={outputs.text}>{`after ${ctx.output("text", { nodeId: "report" })}`}</Task>
                </>
              )
            }}
            finally={<Step id="last" />}
          />
        ))
        expect(yield* workflow.execute({}, { runId: "r" })).toBe("after b/0 Error: b is no good")
        expect(done).toEqual(["a", "b", "last"])
        // Once when it was caught, and once when what was read was there.
        expect(calls).toBe(2)
        expect(yield* workflow.execute({}, { runId: "r" })).toBe("after b/0 Error: b is no good")
      }),
    ),
  )

  it.effect("starts afresh in each pass of a loop: what an earlier pass caught is not drawn again", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        let tries = 0
        const workflow = draw(() => (
          <Loop id="loop" until={(ctx) => ctx.iteration >= 2 && ctx.iterationCount("text", "end") >= 3} maxIterations={3}>
            <TryCatchFinally
              catch={(error, ctx) => (
                <Task id="caught" output={outputs.text}>
                  {() => {
                    done.push(`${error.message} in ${ctx.iteration}, ${error.iteration}`)
                    return "c"
                  }}
                </Task>
              )}
            >
              <Step id="a" fails={() => ++tries !== 2} />
            </TryCatchFinally>
            <Step id="end" />
          </Loop>
        ))
        yield* workflow.execute({}, { runId: "r" })
        expect(done).toEqual(["a", "a is no good in 0, 0", "end", "a", "end", "a", "a is no good in 2, 2", "end"])
      }),
    ),
  )

  it.effect("is shown without what an earlier pass caught as soon as the next pass has begun", () =>
    onMemory(
      Effect.gen(function* () {
        const [isDone, hasBegun] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        let tries = 0
        const workflow = draw(() => (
          <Loop id="loop" until={false} maxIterations={2} onMaxReached="return-last">
            <TryCatchFinally
              catch={(error) => (
                <Task id="caught" output={outputs.text}>
                  {error.message}
                </Task>
              )}
            >
              <Task id="a" output={outputs.text} noRetry>
                {() => {
                  if (tries++ === 0) throw new Error("no good")
                  return Deferred.succeed(hasBegun, undefined).pipe(Effect.zipRight(Deferred.await(isDone)), Effect.as("a"))
                }}
              </Task>
            </TryCatchFinally>
          </Loop>
        ))
        const handle = yield* workflow.start({}, { runId: "r" })
        // What begins with the task is committed before it.
        yield* Deferred.await(hasBegun)
        const storage = yield* Storage
        const { positions } = PlanText.decode(yield* storage.plan("r"))
        expect([positions.has("a"), positions.has("caught")]).toEqual([true, false])
        yield* Deferred.succeed(isDone, undefined)
        yield* handle.await
        const caught = (yield* storage.inspect("r")).nodes.filter(({ nodeId }) => nodeId === "caught")
        expect(caught.map(({ iteration, status }) => [iteration, status])).toEqual([[0, "finished"]])
      }),
    ),
  )

  it.effect("inside another one catches first, and what its catch fails with is caught outside", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        const Guard = ({ name, children }: { name: string; children: React.ReactNode }) => (
          <TryCatchFinally catch={({ message }) => <Note id={name} text={message} />} finally={<Step id={`${name}-last`} />}>
            {children}
          </TryCatchFinally>
        )
        const Note = ({ id, text }: { id: string; text: string }) => (
          <Task id={id} output={outputs.text} noRetry>
            {() => {
              if (id === "inner") throw new Error(`${text}, and neither is ${id}`)
              return text
            }}
          </Task>
        )
        const workflow = draw(() => (
          <Guard name="outer">
            <Guard name="inner">
              <Step id="a" fails />
            </Guard>
          </Guard>
        ))
        expect(yield* workflow.execute({}, { runId: "r" })).toBe("a is no good, and neither is inner")
        expect(done).toEqual(["a", "inner-last", "outer-last"])
      }),
    ),
  )

  it.effect("goes on with its catch in another process, and undoes what a catch did when the saga around it fails", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        let isStuck = true
        const workflow = draw(() => (
          <Saga>
            <TryCatchFinally
              catch={({ message }) => (
                <>
                  <Task
                    id="c1"
                    output={outputs.text}
                    compensate={(output) => {
                      done.push(`undo ${output}`)
                      return isStuck ? Effect.never : Effect.void
                    }}
                  >
                    {message}
                  </Task>
                  <Step id="c2" fails />
                </>
              )}
            >
              <Step id="a" fails />
            </TryCatchFinally>
          </Saga>
        ))
        const fiber = yield* Effect.fork(workflow.run({}, { runId: "r" }))
        yield* rest
        yield* Fiber.interrupt(fiber)
        isStuck = false
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "c2" } })
        expect(done).toEqual(["a", "c2", "undo a is no good", "undo a is no good"])
      }),
    ),
  )

  it.effect("whose catch is cut short by a cancellation runs its finally, and what the catch did is undone", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        const workflow = draw(() => (
          <Saga>
            <Parallel>
              <TryCatchFinally
                catch={() => [<Step key="c" id="c" undo />, <Approval key="ask" id="ask" request={{ title: "?" }} />]}
              >
                <Step id="a" fails />
              </TryCatchFinally>
              <TryCatchFinally
                catch={({ nodeId }) => (
                  <Task id="slow" output={outputs.text}>
                    {() => {
                      done.push(`slow of ${nodeId}`)
                      return Effect.never
                    }}
                  </Task>
                )}
                finally={<Step id="last" undo />}
              >
                <Step id="b" fails />
              </TryCatchFinally>
            </Parallel>
          </Saga>
        ))
        const fiber = yield* Effect.fork(workflow.run({}, { runId: "r" }))
        yield* rest
        yield* Commands.cancel("r")
        expect(yield* Fiber.join(fiber)).toMatchObject({ status: "cancelled" })
        expect(done).toEqual(["a", "b", "c", "slow of b", "last", "undo last", "undo c"])
      }),
    ),
  )

  it.effect("that failed begins anew when its run is resumed, with nothing caught", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        let isFixed = false
        const workflow = draw(() => (
          <TryCatchFinally catch={() => <Step id="caught" fails={() => !isFixed} />} finally={<Step id="last" />}>
            <Step id="a" fails={() => !isFixed} />
          </TryCatchFinally>
        ))
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "caught" } })
        isFixed = true
        expect(yield* workflow.execute({}, { runId: "r", onFailed: "resume" })).toBe("a")
        expect(done).toEqual(["a", "caught", "last", "a", "last"])
      }),
    ),
  )

  it.effect("leaves outputs of what failed in it absent, and those that finished before there", () =>
    onMemory(
      Effect.gen(function* () {
        const { Step } = journal()
        const workflow = smithers((ctx) => (
          <Workflow name="w">
            <TryCatchFinally catch={<Sequence />}>
              <Step id="a" />
              <Step id="b" fails />
            </TryCatchFinally>
            <Task id="end" output={outputs.text}>
              {`${ctx.outputMaybe("text", { nodeId: "a" })} ${ctx.outputMaybe("text", { nodeId: "b" })}`}
            </Task>
          </Workflow>
        ))
        expect(yield* workflow.execute({}, { runId: "r" })).toBe("a undefined")
      }),
    ),
  )

  it.effect("is waited for by what depends on what is in it, and what is missing then is said", () =>
    onMemory(
      Effect.gen(function* () {
        const { Step } = journal()
        const w = (id: string) =>
          draw(() => (
            <Parallel>
              <TryCatchFinally id="guard" catch={<Step id="caught" />}>
                <Step id="a" />
                <Step id="b" fails />
              </TryCatchFinally>
              <Task id="end" output={outputs.child} deps={{ it: outputs.text }} needs={{ it: id }} cache noRetry>
                {({ it }) => ({ said: it })}
              </Task>
            </Parallel>
          ))
        expect(yield* w("a").run({}, { runId: "there" })).toMatchObject({ output: ["caught", { said: "a" }] })
        expect(yield* w("b").run({}, { runId: "gone" })).toMatchObject({
          status: "failed",
          error: { nodeId: "end", error: { name: "MissingOutput" } },
        })
        const inside = draw(() => (
          <TryCatchFinally
            finally={
              <Task id="end" output={outputs.child} deps={{ a: outputs.text }} dependsOn={["a"]}>
                {({ a }) => ({ said: a })}
              </Task>
            }
          >
            <Step id="a" />
          </TryCatchFinally>
        ))
        expect((yield* inside.run({}, { runId: "inside" })).status).toBe("finished")
      }),
    ),
  )

  it.effect("whose catch or finally reads with ctx.output what will not come fails the run, which does not hang", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        const read = (ctx: ReturnType<typeof useCtx>) => (
          <Task id="reader" output={outputs.text}>{`x${ctx.output("text", { nodeId: "a" })}`}</Task>
        )
        const Reader = () => read(useCtx())
        const unsettled = { status: "failed", error: { _tag: "UnsettledRead", nodeId: "a" } }
        const failing = () => <Step id="a" fails />
        const caught = draw(() => (
          <TryCatchFinally catch={(_, ctx) => read(ctx)} finally={<Step id="last" />}>
            {failing()}
          </TryCatchFinally>
        ))
        expect(yield* caught.run({}, { runId: "1" })).toMatchObject(unsettled)
        const element = draw(() => <TryCatchFinally catch={<Reader />}>{failing()}</TryCatchFinally>)
        expect(yield* element.run({}, { runId: "2" })).toMatchObject(unsettled)
        const last = draw(() => (
          <Saga>
            <Step id="before" undo />
            <TryCatchFinally finally={<Reader />}>{failing()}</TryCatchFinally>
          </Saga>
        ))
        expect(yield* last.run({}, { runId: "3" })).toMatchObject({ status: "failed", error: { nodeId: "a" } })
        expect(done).toEqual(["a", "last", "a", "before", "a", "undo before"])
        const stopped = draw(() => (
          <TryCatchFinally finally={<Reader />}>
            <Approval id="ask" request={{ title: "?" }} />
            {failing()}
          </TryCatchFinally>
        ))
        yield* stopped.run({}, { runId: "4" })
        yield* Commands.cancel("4")
        expect(yield* stopped.run({}, { runId: "4" })).toMatchObject({ status: "cancelled" })
      }),
    ),
  )

  it.effect("does not wait for what is read in it once that has failed, nor in its catch as long as nothing has", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        const Pair = ({ first, second, fails }: { first: string; second: string; fails: boolean }) => (
          <>
            <Step id={first} fails={fails} />
            <Task id={second} output={outputs.text}>{`after ${useCtx().output("text", { nodeId: first })}`}</Task>
          </>
        )
        const Whole = ({ fails }: { fails: boolean }) => {
          const ctx = useCtx()
          return (
            <>
              <TryCatchFinally catch={<Pair first="c1" second="c2" fails={false} />} finally={<Step id="last" />}>
                <Pair first="a" second="b" fails={fails} />
              </TryCatchFinally>
              <Saga onCompensated="continue">
                <Pair first="d" second="e" fails={fails} />
              </Saga>
              <Task id="end" output={outputs.text}>{`${ctx.outputMaybe("text", { nodeId: "c2" })}`}</Task>
            </>
          )
        }
        const workflow = (fails: boolean) => draw(() => <Whole fails={fails} />)
        expect(yield* workflow(false).execute({}, { runId: "1" })).toBe("undefined")
        expect(done).toEqual(["a", "last", "d"])
        done.length = 0
        expect(yield* workflow(true).execute({}, { runId: "2" })).toBe("after c1")
        expect(done).toEqual(["a", "c1", "last", "d"])
      }),
    ),
  )

  it.effect("is not over while something may appear in it because of what is read in it", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        const If = ({ is, children }: { is: string; children: React.ReactNode }) =>
          useCtx().output("text", { nodeId: "a" }) === is ? children : null
        const workflow = draw(() => (
          <Parallel>
            <Step id="a" />
            <TryCatchFinally finally={<Step id="last" />}>
              <If is="a">
                <Step id="yes" />
              </If>
              <If is="b">
                <Step id="no" />
              </If>
            </TryCatchFinally>
            <Saga>
              <Step id="b" undo />
              <If is="a">
                <Step id="c" fails />
              </If>
            </Saga>
          </Parallel>
        ))
        expect((yield* workflow.run({}, { runId: "r" })).status).toBe("failed")
        expect(done.toSorted()).toEqual(["a", "b", "c", "last", "undo b", "yes"])
      }),
    ),
  )

  it.effect("is provisional as a whole when it was made after a pending read, but not for what is read of itself", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        const text = (ctx: ReturnType<typeof useCtx>, nodeId: string) => ctx.output("text", { nodeId })
        const workflow = smithers((ctx) => {
          const b = text(ctx, "b")
          return (
            <Workflow name="w">
              <TryCatchFinally id="guard" finally={<Step id="last" />}>
                <Step id="a" />
                <Step id="b" />
                <Task id="c" output={outputs.text}>{`${b}!`}</Task>
              </TryCatchFinally>
              <Saga id={`saga-${b}`}>
                <Step id="d" undo />
              </Saga>
            </Workflow>
          )
        })
        const { plan } = renderPlan(workflow, {})
        expect(plan.text.split("\n").map((line) => (JSON.parse(line) as Array<unknown>).slice(1))).toMatchObject([
          ["Sequence", {}],
          ["TryCatch", { id: "guard" }],
          ["Sequence", {}],
          ["Step", { id: "a" }],
          ["Step", { id: "b" }],
          ["Step", { id: "c", pending: ["b"] }],
          ["Step", { id: "last", pending: ["b"] }],
          ["Saga", { id: "saga-", pending: ["b"] }],
          ["Step", { id: "d", pending: ["b"] }],
        ])
        expect(yield* workflow.execute({}, { runId: "r" })).toBe("d")
        expect(done).toEqual(["a", "b", "last", "d"])
      }),
    ),
  )
})

describe("a TryCatchFinally with catchWhen", () => {
  const guarded = (when: (error: Failure) => boolean) => {
    const { done, Step } = journal()
    const workflow = draw(() => (
      <TryCatchFinally
        id="outer"
        catch={(error) => <Task id="told" output={outputs.text}>{`${error.nodeId}: ${error.message}`}</Task>}
      >
        <TryCatchFinally id="inner" catch={<Step id="caught" />} catchWhen={when} finally={<Step id="last" />}>
          <Step id="a" />
          <Step id="b" fails />
        </TryCatchFinally>
      </TryCatchFinally>
    ))
    return { done, workflow }
  }

  it.effect.each([
    ["catches what it holds for", ({ message }: Failure) => message === "b is no good", "caught", ["a", "b", "caught", "last"]],
    ["lets any other failure go on as it was", () => false, "b: b is no good", ["a", "b", "last"]],
    [
      "that throws fails its try",
      () => {
        throw new Error("oops")
      },
      `inner: its "catchWhen" threw: oops`,
      ["a", "b", "last"],
    ],
  ] as const)("%s", ([, when, output, steps]) =>
    onMemory(
      Effect.gen(function* () {
        const { done, workflow } = guarded(when)
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "finished", output })
        expect(done).toEqual(steps)
      }),
    ),
  )

  it.live("ends alike whenever its process dies", () =>
    Effect.gen(function* () {
      const { workflow } = guarded(({ nodeId }) => nodeId !== "b")
      const { calm, disturbed } = yield* sweep({ run: workflow.run({}, { runId }).pipe(Effect.provide(AgentProgram.layer)) })
      expect(calm.result).toMatchObject({ status: "finished", output: "b: b is no good" })
      expect(disturbed.length).toBeGreaterThan(6)
      for (const { at, end } of disturbed) expect({ at, end }).toEqual({ at, end: calm })
    }),
  )

  it("needs a catch", () => {
    expect(() =>
      renderPlan(
        draw(() => (
          <TryCatchFinally catchWhen={() => true} finally={null} id="t">
            {null}
          </TryCatchFinally>
        )),
        { input: {} },
      ),
    ).toThrow(`"catchWhen" says what is caught, and it has no "catch"`)
  })
})

describe("a Subflow", () => {
  const parts = createSmithers(
    { greeting: z.object({ said: z.string() }), note: z.string() },
    { input: z.object({ name: z.string() }) },
  )
  const greeter = (name: string, generate: (input: string) => unknown) =>
    parts.smithers((ctx) => (
      <parts.Workflow name={name}>
        <parts.Task id="greet" output={parts.outputs.greeting} noRetry>
          {() => generate(ctx.input.name) as { said: string }}
        </parts.Task>
      </parts.Workflow>
    ))
  const greet = greeter("greet", (name) => ({ said: `hello ${name}` }))
  const broken = greeter("broken", () => Effect.fail("no voice"))
  const built = Smithers.createWorkflow({ name: "built", input: z.object({ n: z.number() }) }).build(($) =>
    $.step("double", { output: z.object({ n: z.number() }), run: ({ input }) => ({ n: input.n * 2 }) }),
  )

  it.effect("runs another workflow, and gives what that gave, typed where an output is declared", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = smithers((ctx) => (
          <Workflow name="w">
            <Task id="name" output={outputs.text}>
              Ann
            </Task>
            <Subflow
              id="child"
              workflow={greet}
              output={outputs.child}
              input={(ctx) => ({ name: ctx.output("text", { nodeId: "name" }) })}
            />
            <Subflow id="other" workflow={built} input={{ n: 21 }} />
            <Task id="end" output={outputs.text}>{`${ctx.output(outputs.child).said}!`}</Task>
          </Workflow>
        ))
        expect(
          renderPlan(workflow, {}).tasks.map(({ id, kind, output, isProvisional }) => [id, kind, output, isProvisional]),
        ).toEqual([
          ["name", "Task", "text", false],
          ["child", "Subflow", "child", false],
          ["other", "Subflow", "untyped", false],
          ["end", "Task", "text", true],
        ])
        expect(yield* workflow.execute({}, { runId: "r" })).toBe("hello Ann!")
        const storage = yield* Storage
        const { nodes } = yield* storage.inspect("r")
        expect(nodes.map(({ nodeId, status }) => [nodeId, status])).toEqual([
          ["child", "finished"],
          ["end", "finished"],
          ["name", "finished"],
          ["other", "finished"],
        ])
      }),
    ),
  )

  it.effect("that fails fails the run or is caught, and leaves its output absent where that is wanted", () =>
    onMemory(
      Effect.gen(function* () {
        const caught = draw(() => (
          <TryCatchFinally catch={({ nodeId, message }) => <Task id="c" output={outputs.text}>{`${nodeId}: ${message}`}</Task>}>
            <Subflow id="child" workflow={broken} input={{ name: "Ann" }} />
          </TryCatchFinally>
        ))
        expect(yield* caught.execute({}, { runId: "1" })).toMatch(/^child: run ".*" of workflow "broken" failed: .*no voice/)
        const absent = draw(() => (
          <>
            <Subflow id="child" workflow={broken} input={{ name: "Ann" }} output="child" onFail="continue" />
            <Task id="end" output={outputs.text}>
              {(ctx) => `${ctx.outputMaybe("child")}`}
            </Task>
          </>
        ))
        expect(yield* absent.execute({}, { runId: "2" })).toBe("undefined")
      }),
    ),
  )

  it.effect("that is not attached gives the id of its run at once, which goes on by itself", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = draw(() => (
          <Subflow id="child" workflow={greet} input={{ name: "Bob" }} output={outputs.started} attach={false} />
        ))
        const given = (yield* workflow.execute({}, { runId: "r" })) as { readonly runId: string }
        expect(yield* greet.resume(given.runId)).toEqual({ said: "hello Bob" })
      }),
    ),
  )

  it.effect("may be drawn with an input, or a workflow, that is still to be read", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = smithers((ctx) => {
          const list = ctx.output("list")
          return (
            <Workflow name="w">
              <Task id="list" output={outputs.list}>
                {["Ann", "Bob"]}
              </Task>
              <Parallel>
                {(list.length === 2 ? list : ["nobody"]).map((name) => (
                  <Subflow
                    key={name}
                    id={`child-${name}`}
                    workflow={name === "nobody" ? (list as never) : greet}
                    input={{ name }}
                  />
                ))}
              </Parallel>
            </Workflow>
          )
        })
        expect(renderPlan(workflow, {}).tasks.map(({ id, isProvisional }) => [id, isProvisional])).toEqual([
          ["list", false],
          ["child-nobody", true],
        ])
        expect(yield* workflow.execute({}, { runId: "r" })).toEqual([{ said: "hello Ann" }, { said: "hello Bob" }])
      }),
    ),
  )

  it.effect("may be of the workflow that it stands in", () =>
    onMemory(
      Effect.gen(function* () {
        const { smithers, Workflow, Subflow, Task, outputs } = createSmithers(
          { n: z.number(), sum: z.number() },
          { input: z.object({ depth: z.number() }) },
        )
        const countdown: JsxWorkflow<{ readonly depth: number }> = smithers((ctx) => (
          <Workflow name="countdown">
            {ctx.input.depth > 0 ? (
              <Subflow id="next" workflow={countdown} input={{ depth: ctx.input.depth - 1 }} output={outputs.n} />
            ) : null}
            <Task id="sum" output={outputs.sum}>
              {(ctx) => (ctx.outputMaybe("n") ?? 0) + ctx.input.depth}
            </Task>
          </Workflow>
        ))
        expect(yield* countdown.execute({ depth: 3 }, { runId: "r" })).toBe(6)
      }),
    ),
  )
})

describe("a Subflow whose workflow is a function", () => {
  const input = z.object({ n: z.number() })
  const { Workflow, Task, Subflow, Branch, smithers, outputs } = createSmithers({ text: z.string() }, { input, output: "text" })
  const walk: JsxWorkflow<{ n: number }, string | undefined> = smithers((ctx) => (
    <Workflow name="walk">
      <Branch
        if={ctx.input.n > 0}
        then={<Subflow id="deeper" workflow={() => walk} input={{ n: ctx.input.n - 1 }} output={outputs.text} />}
        else={
          <Task id="bottom" output={outputs.text}>
            at the bottom
          </Task>
        }
      />
    </Workflow>
  ))

  it.effect("starts the workflow that it stands in", () =>
    onMemory(
      Effect.gen(function* () {
        expect(yield* walk.execute({ n: 3 }, { runId: "r" })).toBe("at the bottom")
        const storage = yield* Storage
        expect((yield* storage.run("r~deeper~0~deeper~0~deeper~0")).run).toMatchObject({ workflow: "walk", status: "finished" })
        expect(yield* storage.plan("r")).toContain('"workflow":"walk"')
      }),
    ),
  )

  it("is drawn without being walked into", () => {
    expect(renderPlan(walk, { input: { n: 9 } }).tasks.map(({ id }) => id)).toEqual(["deeper"])
    expect(Smithers.registry([walk]).names).toEqual(["walk"])
  })
})

describe("needsApproval", () => {
  it.effect("has a task begin only when someone has approved, an agent's too, and asks with its label or id", () =>
    onMemory(
      Effect.gen(function* () {
        const asked: Array<string> = []
        const agent = {
          generate: async ({ prompt = "" }: { readonly prompt?: string }) => {
            asked.push(prompt)
            return { text: "deployed" }
          },
        }
        const workflow = smithers((ctx) => (
          <Workflow name="w">
            <Task id="plan" output={outputs.text}>
              to the moon
            </Task>
            <Task id="a" label="Deploy" agent={agent} needsApproval>
              Deploy {ctx.output("text", { nodeId: "plan" })}.
            </Task>
            <Task
              id="b"
              output={outputs.text}
              deps={{ plan: outputs.text }}
              needsApproval={{
                request: (ctx) => ({ title: `Fly ${ctx.output("text", { nodeId: "plan" })}?` }),
                onDeny: "skip",
                approvers: ["ann"],
              }}
            >
              {({ plan }) => plan}
            </Task>
          </Workflow>
        ))
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval", waits: [{ nodeId: "a" }] })
        const storage = yield* Storage
        expect(yield* storage.waits({})).toMatchObject([{ nodeId: "a", request: { title: "Deploy" } }])
        expect(asked).toEqual([])
        yield* Smithers.approve("r", "a")
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval", waits: [{ nodeId: "b" }] })
        expect(asked).toEqual(["Deploy to the moon."])
        expect(yield* storage.waits({})).toMatchObject([{ nodeId: "b", request: { title: "Fly to the moon?" } }])
        yield* Smithers.deny("r", "b", { by: "ann" })
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ status: "finished", output: "deployed" })
      }),
    ),
  )

  it.effect("that is denied fails the task, which a try around it catches", () =>
    onMemory(
      Effect.gen(function* () {
        const { done, Step } = journal()
        const workflow = draw(() => (
          <TryCatchFinally
            catch={({ name }) => (
              <Task id="caught" output={outputs.text}>
                {name}
              </Task>
            )}
          >
            <Step id="before" />
            <Task id="a" output={outputs.text} needsApproval={{ timeoutMs: 1000, onTimeout: "deny", request: { title: "?" } }}>
              {() => "never"}
            </Task>
          </TryCatchFinally>
        ))
        const fiber = yield* Effect.fork(workflow.execute({}, { runId: "r" }))
        yield* rest
        yield* TestClock.adjust("1 second")
        expect(yield* Fiber.join(fiber)).toBe("ApprovalDenied")
        expect(done).toEqual(["before"])
      }),
    ),
  )

  it.effect("may depend on what was read, and is not asked for as long as that is not there", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = (plan: string) =>
          smithers((ctx) => (
            <Workflow name="w">
              <Task id="plan" output={outputs.text}>
                {plan}
              </Task>
              <Task id="a" output={outputs.text} needsApproval={ctx.output("text", { nodeId: "plan" }) === "risky"}>
                done
              </Task>
            </Workflow>
          ))
        expect(yield* workflow("risky").run({}, { runId: "1" })).toMatchObject({ status: "waiting-approval" })
        expect(yield* workflow("safe").run({}, { runId: "2" })).toMatchObject({ status: "finished", output: "done" })
      }),
    ),
  )
})

describe("renderPlan", () => {
  it("draws what is done with an error that is said to be caught", () => {
    const workflow = draw(() => (
      <Loop id="loop" until={false} maxIterations={3}>
        <TryCatchFinally
          id="guard"
          catch={({ nodeId, message }, ctx) => (
            <Task id="caught" output={outputs.text}>{`${nodeId} ${message} ${ctx.iteration}`}</Task>
          )}
        >
          <Task id="a" output={outputs.text}>
            a
          </Task>
        </TryCatchFinally>
      </Loop>
    ))
    const contents = (options: Parameters<typeof renderPlan>[1]) =>
      renderPlan(workflow, options).tasks.map(({ content }) => content)
    expect(contents({})).toEqual(["a"])
    expect(contents({ loops: { loop: 1 }, caught: { guard: { nodeId: "a", message: "no" } } })).toEqual(["a", "a no 0"])
    expect(contents({ loops: { loop: 2 }, caught: { "guard/1": { nodeId: "a", message: "no" } } })).toEqual(["a", "a no 1"])
    expect(contents({ loops: { loop: 3 }, caught: { "guard/1": { nodeId: "a", message: "no" } } })).toEqual(["a"])
  })
})
