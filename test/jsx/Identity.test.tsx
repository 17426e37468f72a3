/**
 * Loops, sagas and tries without an id stay what they are, wherever their tasks are drawn next.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as React from "react"
import {
  Branch,
  createSmithers,
  Loop,
  Parallel,
  renderPlan,
  runWorkflow,
  Saga,
  Sequence,
  Signal,
  Smithers,
  TryCatchFinally,
} from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ n: z.number(), text: z.string() })
type DrawCtx = Parameters<Parameters<typeof smithers>[0]>[0]

const journal = () => {
  const log: Array<string> = []
  const Round = ({ id }: { readonly id: string }) => (
    <Task id={id} output={outputs.n}>
      {({ iteration }) => {
        log.push(`${id}/${iteration}`)
        return iteration
      }}
    </Task>
  )
  return { log, Round }
}

let runs = 0
const ran = (draw: (ctx: DrawCtx) => React.ReactNode) => {
  const workflow = smithers((ctx) => <Workflow name="w">{draw(ctx)}</Workflow>)
  return runWorkflow(workflow, { runtime: Smithers.memory, runId: `r${runs++}`, input: {} })
}

/** Loops in a list without keys. */
const list = (ids: ReadonlyArray<string>, ctx: DrawCtx, Round: ReturnType<typeof journal>["Round"], last = 2) => (
  <Parallel maxConcurrency={1}>
    {ids.map((id) => (
      // biome-ignore lint/correctness/useJsxKeyInIterable: what this is about
      <Loop until={ctx.latest(outputs.n, id) === last} maxIterations={9}>
        <Round id={id} />
      </Loop>
    ))}
  </Parallel>
)

describe("loops in a list without keys keep their passes", () => {
  it("when items before them go", async () => {
    const { log, Round } = journal()
    let isOver = false
    const result = await ran((ctx) => {
      isOver ||= ctx.latest(outputs.n, "a") === 1
      return list(isOver ? ["b", "c"] : ["a", "b", "c"], ctx, Round)
    })
    expect(result).toMatchObject({ status: "finished", output: [2, 2] })
    expect(log).toEqual(["a/0", "a/1", "b/0", "b/1", "b/2", "c/0", "c/1", "c/2"])
  })

  it("when they are put in another order, and when others come in their places", async () => {
    const { log, Round } = journal()
    const result = await ran((ctx) => {
      const [a, b] = [ctx.latest(outputs.n, "a"), ctx.latest(outputs.n, "b")]
      const ids = a === undefined ? ["a"] : a < 2 ? ["b", "a"] : b === undefined ? ["c", "b", "a"] : ["d", "a", "b", "c"]
      return list(ids, ctx, Round)
    })
    expect(result).toMatchObject({ status: "finished", output: [2, 2, 2, 2] })
    expect([...log].sort()).toEqual(["a", "b", "c", "d"].flatMap((id) => [0, 1, 2].map((pass) => `${id}/${pass}`)))
  })

  it("or are refused, and named, where it cannot be told whether one is the same", async () => {
    const { log, Round } = journal()
    const draw = (ctx: DrawCtx) => list(ctx.latest(outputs.n, "a") === undefined ? ["a"] : ["b"], ctx, Round)
    await expect(ran(draw)).rejects.toMatchObject({
      _tag: "InvalidWorkflow",
      message: expect.stringContaining(
        'a Loop: it has the place of the loop of "a" in the list, but contains "b", so its identity is ambiguous: give the loop an id, or the items of its list keys (at smithers > Workflow > Parallel > Loop)',
      ),
    })
    expect(log).toEqual(["a/0"])
  })

  it("and a plan without a run warns of them", () => {
    const { Round } = journal()
    const warnings = (draw: (ctx: DrawCtx) => React.ReactNode) =>
      renderPlan(
        smithers((ctx) => <Workflow name="w">{draw(ctx)}</Workflow>),
        { input: {} },
      ).warnings
    expect(warnings((ctx) => list(["a"], ctx, Round))).toEqual([
      'The loop of "a" (at smithers > Workflow > Parallel > Loop) is in a list without a key or an id, so it is identified by its tasks alone. Give the items of the list keys, or the loop an id',
    ])
    const Keyed = () => (
      <>
        {["a", "b"].map((id) => (
          <Sequence key={id}>
            <Loop until={false} maxIterations={1}>
              <Round id={id} />
            </Loop>
          </Sequence>
        ))}
        <Saga>
          <Round id="c" />
        </Saga>
        {true && <Branch if={true} then={<TryCatchFinally try={<Round id="d" />} catch={<Round id="e" />} />} />}
      </>
    )
    expect(warnings(() => <Keyed />)).toEqual([])
  })
})

describe("what is put elsewhere keeps what it has done", () => {
  it("a loop whose depth changes with what its own tasks give", async () => {
    const { log, Round } = journal()
    const result = await ran((ctx) => {
      const n = ctx.latest(outputs.n, "a") ?? -1
      const loop = (
        <Loop until={n === 4} maxIterations={9}>
          <Round id="a" />
        </Loop>
      )
      if (n === 1) return <Parallel>{loop}</Parallel>
      if (n === 2) return <Sequence>{[<Round key="x" id="x" />, <Parallel key="y">{loop}</Parallel>]}</Sequence>
      return n === 3 ? <Saga>{loop}</Saga> : loop
    })
    expect(result).toMatchObject({ status: "finished" })
    expect(log.filter((line) => line.startsWith("a"))).toEqual(["a/0", "a/1", "a/2", "a/3", "a/4"])
  })

  it.effect("after a restart with edited code too", () =>
    Effect.gen(function* () {
      const { log, Round } = journal()
      const undone: Array<string> = []
      const workflow = (isDeep: boolean) =>
        smithers((ctx) => {
          const parts = (
            <>
              <Loop until={ctx.latest(outputs.n, "a") === 2} maxIterations={9}>
                <Round id="a" />
                <Branch if={ctx.iteration === 1} then={<Signal id="go" name="go" />} />
              </Loop>
              <Saga>
                <Task id="b" output={outputs.text} compensate={() => undone.push("b")}>
                  b
                </Task>
                <Task id="fails" noRetry>
                  {() => Promise.reject(new Error("no"))}
                </Task>
              </Saga>
            </>
          )
          return (
            <Workflow name="w">
              {isDeep ? (
                <Sequence>
                  <Round id="before" />
                  <Parallel>
                    <Sequence>{parts}</Sequence>
                  </Parallel>
                </Sequence>
              ) : (
                parts
              )}
            </Workflow>
          )
        })
      expect(yield* workflow(false).run({}, { runId: "restarted" })).toMatchObject({ waits: [{ nodeId: "go" }] })
      yield* Smithers.signal("restarted", "go")
      expect(yield* workflow(true).run({}, { runId: "restarted" })).toMatchObject({ status: "failed" })
      expect(log.filter((line) => line.startsWith("a"))).toEqual(["a/0", "a/1", "a/2"])
      expect(undone).toEqual(["b"])
    }).pipe(Effect.provide(Smithers.memory)),
  )

  it("or is refused, and named, where tasks of one are in two then, or those of two in one", async () => {
    const { Round } = journal()
    const until = (ctx: DrawCtx, id: string) => ctx.latest(outputs.n, id) === 3
    const split = (ctx: DrawCtx) =>
      ctx.latest(outputs.n, "a") === 1 ? (
        <Parallel>
          <Loop until={until(ctx, "a")} maxIterations={9}>
            <Round id="a" />
          </Loop>
          <Loop until={until(ctx, "b")} maxIterations={9}>
            <Round id="b" />
          </Loop>
        </Parallel>
      ) : (
        <Loop until={until(ctx, "b")} maxIterations={9}>
          <Round id="b" />
          <Round id="a" />
        </Loop>
      )
    await expect(ran(split)).rejects.toMatchObject({
      _tag: "InvalidWorkflow",
      message: expect.stringMatching(
        /a Loop: tasks that were in one loop are now in two \("a" and "b"\), and its stored state belongs to one of them: give the loop an id/,
      ),
    })
    const merged = (ctx: DrawCtx) =>
      ctx.latest(outputs.n, "b") === 1 ? (
        <Loop until={until(ctx, "b")} maxIterations={9}>
          <Round id="a" />
          <Round id="b" />
        </Loop>
      ) : (
        <Parallel maxConcurrency={1}>
          <Loop until={ctx.latest(outputs.n, "a") === 1} maxIterations={9}>
            <Round id="a" />
          </Loop>
          <Loop until={until(ctx, "b")} maxIterations={9}>
            <Round id="b" />
          </Loop>
        </Parallel>
      )
    await expect(ran(merged)).rejects.toMatchObject({
      _tag: "InvalidWorkflow",
      message: expect.stringMatching(
        /a Loop: it contains tasks that were in several before \("a" and "b"\), each of which has stored state: give the loop an id/,
      ),
    })
  })
})

it("a workflow that never settles says what is drawn otherwise, and which tasks move", async () => {
  const { Round } = journal()
  const flip = (ctx: DrawCtx) => {
    const isIn = ctx.iterationCount(outputs.n, "a") > 0
    const round = <Round id="a" />
    return isIn ? (
      <Loop id="l" until={false} maxIterations={3}>
        {round}
      </Loop>
    ) : (
      round
    )
  }
  await expect(ran(flip)).rejects.toMatchObject({
    _tag: "RenderFailed",
    message: expect.stringMatching(
      /its plan differs with each render \(10 times\): .*"a".* \("a" is in .*loop "l".*\)\. Give loops ids, and keep each task in one loop/,
    ),
  })
})
