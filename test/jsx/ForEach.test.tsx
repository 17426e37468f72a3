/**
 * Lists as components: items by key that come and go while they run, each with a place from its begin to its end.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as React from "react"
import { ForEach as AnyList, createSmithers, Parallel, renderPlan, Smithers } from "smithers-orchestrator"
import { describe } from "vitest"
import { z } from "zod"
import { runId, sweep } from "../core/Deaths.ts"
import { rest } from "../core/Time.ts"

const { Workflow, Task, ForEach, Approval, Signal, Subflow, smithers, outputs, useCtx } = createSmithers({
  text: z.string(),
  found: z.object({ ids: z.array(z.string()), last: z.boolean() }),
  tickets: z.array(z.object({ id: z.string(), title: z.string() })),
})

const onMemory = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, Smithers.memory)

/** A store in a file, each time opened as by another process. */
const inFile = () => {
  const filename = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "smithers-each-")), "runs.db")
  return <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, Smithers.sqlite({ filename }))
}

const draw = (child: () => React.ReactNode) => smithers(() => <Workflow name="w">{child()}</Workflow>)

const After = () => (
  <Task id="after" output={outputs.text}>
    after
  </Task>
)

describe("a ForEach", () => {
  it.effect("counts items from begin to end: people hold their place, also when another process goes on", () => {
    const open = inFile()
    const done: Array<string> = []
    const workflow = draw(() => (
      <ForEach id="list" items={["a", "b", "c"]} maxConcurrency={1}>
        {(id) => (
          <>
            <Task id={`${id}:work`}>{() => void done.push(id)}</Task>
            <Approval id={`${id}:ok`} request={{ title: `Is ${id} right?` }} />
          </>
        )}
      </ForEach>
    ))
    return Effect.gen(function* () {
      for (const id of ["a", "b", "c"]) {
        expect(yield* open(workflow.run({}, { runId: "r" }))).toMatchObject({ waits: [{ nodeId: `${id}:ok` }] })
        expect(done.at(-1)).toBe(id)
        yield* open(Smithers.approve("r", `${id}:ok`))
      }
      expect(yield* open(workflow.run({}, { runId: "r" }))).toMatchObject({ status: "finished" })
      expect(done).toEqual(["a", "b", "c"])
    })
  })

  it.effect("grows while it runs, and stays open as long as more may come", () => {
    const open = inFile()
    const done: Array<string> = []
    const Found = () => {
      const ctx = useCtx()
      const pages = [0, 1].map((page) => ctx.outputMaybe(outputs.found, { nodeId: `page-${page}` }))
      return (
        <Parallel>
          <Signal id="page-0" output={outputs.found} name="page" />
          {pages[0] !== undefined && !pages[0].last ? <Signal id="page-1" output={outputs.found} name="page" /> : null}
          <ForEach id="list" items={pages.flatMap((page) => page?.ids ?? [])} more={!pages.some((page) => page?.last)}>
            {(id) => <Task id={`${id}:read`}>{() => void done.push(id)}</Task>}
          </ForEach>
        </Parallel>
      )
    }
    const workflow = draw(() => (
      <>
        <Found />
        <After />
      </>
    ))
    return Effect.gen(function* () {
      yield* open(workflow.run({}, { runId: "r" }))
      yield* open(Smithers.signal("r", "page", { payload: { ids: ["a", "b"], last: false } }))
      expect(yield* open(workflow.run({}, { runId: "r" }))).toMatchObject({ waits: [{ nodeId: "page-1" }] })
      expect(done).toEqual(["a", "b"])
      yield* open(Smithers.signal("r", "page", { payload: { ids: ["c"], last: true } }))
      expect(yield* open(workflow.execute({}, { runId: "r" }))).toBe("after")
      expect(done).toEqual(["a", "b", "c"])
    })
  })

  it.effect("that stays open where nothing can bring more fails, and says so", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = draw(() => (
          <ForEach id="list" items={["a"]} more>
            {(id) => (
              <Task id={id} output={outputs.text}>
                {id}
              </Task>
            )}
          </ForEach>
        ))
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({
          status: "failed",
          error: { nodeId: "list", error: { name: "ListStillOpen", message: expect.stringContaining('"more" keeps it open') } },
        })
      }),
    ),
  )

  it.effect("is over when enough has come: what had begun is left, and what an item still reads holds nothing up", () =>
    onMemory(
      Effect.gen(function* () {
        const begun: Array<string> = []
        const Item = ({ id }: { readonly id: string }) => {
          const ctx = useCtx()
          return (
            <>
              <Signal id={`${id}:go`} output={outputs.text} name={id} />
              <Task id={`${id}:work`} output={outputs.text} label={ctx.output(outputs.text, { nodeId: `${id}:go` })}>
                {() => {
                  begun.push(id)
                  return id
                }}
              </Task>
            </>
          )
        }
        const workflow = draw(() => (
          <>
            <ForEach
              id="list"
              items={["a", "b", "c", "d"]}
              maxConcurrency={3}
              until={({ done, failed, open, values }) => done + failed >= 2 && open === 2 && values.length === 2}
            >
              {(id) => <Item id={id} />}
            </ForEach>
            <After />
          </>
        ))
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({
          waits: [{ nodeId: "a:go" }, { nodeId: "b:go" }, { nodeId: "c:go" }],
        })
        for (const id of ["b", "c"]) {
          yield* Smithers.signal("r", id, { payload: "now" })
          yield* workflow.run({}, { runId: "r" })
        }
        expect(yield* workflow.execute({}, { runId: "r" })).toBe("after")
        expect(begun).toEqual(["b", "c"])
      }),
    ),
  )

  it.effect("asks its until again when what that has read through ctx comes", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = draw(() => (
          <>
            <Parallel>
              <Signal id="stop" output={outputs.text} name="stop" />
              <ForEach id="list" items={["a", "b"]} until={(_, ctx) => ctx.outputMaybe(outputs.text, { nodeId: "stop" }) === "now"}>
                {(id) => <Signal id={id} name={id} />}
              </ForEach>
            </Parallel>
            <After />
          </>
        ))
        yield* workflow.run({}, { runId: "r" })
        yield* Smithers.signal("r", "stop", { payload: "now" })
        expect(yield* workflow.execute({}, { runId: "r" })).toBe("after")
      }),
    ),
  )

  it.effect("fails where its until throws, by its id", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = draw(() => (
          <ForEach
            id="list"
            items={["a"]}
            until={() => {
              throw new Error("no good")
            }}
          >
            {(id) => <Signal id={id} name={id} />}
          </ForEach>
        ))
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({
          status: "failed",
          error: { nodeId: "list", error: { message: 'its "until" threw: no good' } },
        })
      }),
    ),
  )

  it.effect("that is settled goes on where items fail, and tells which", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = draw(() => (
          <>
            <ForEach id="list" items={[{ n: 1 }, { n: 2 }, { n: 3 }]} by={({ n }) => n} settled>
              {({ n }) => (
                <Task id={`${n}:work`} output={outputs.text} noRetry>
                  {() => (n === 2 ? Effect.fail(new Error("no good")) : "done")}
                </Task>
              )}
            </ForEach>
            <Failed />
          </>
        ))
        const Failed = () => {
          const failures = useCtx().failures("list")
          return (
            <Task id="failed" output={outputs.text}>
              {failures.map(({ key, error }) => `${key}: ${error.nodeId} ${error.message}`).join()}
            </Task>
          )
        }
        expect(yield* workflow.execute({}, { runId: "r" })).toBe("2: 2:work no good")
        const whole = draw(() => (
          <ForEach id="list" items={["a", "b"]} settled>
            {(id) => (
              <Task id={id} output={outputs.text} noRetry>
                {() => (id === "a" ? Effect.fail(new Error("no good")) : "done")}
              </Task>
            )}
          </ForEach>
        ))
        expect(yield* whole.execute({}, { runId: "s" })).toMatchObject([
          { key: "a", status: "failed", error: { message: "no good" } },
          { key: "b", status: "finished", value: "done" },
        ])
      }),
    ),
  )

  it.effect("waits for what its items are made of, and then has them", () =>
    onMemory(
      Effect.gen(function* () {
        const Triage = () => {
          const ctx = useCtx()
          return (
            <>
              <Task id="find" output={outputs.tickets}>
                {() => [
                  { id: "t1", title: "one" },
                  { id: "t2", title: "two" },
                ]}
              </Task>
              <ForEach id="list" items={ctx.output(outputs.tickets, { nodeId: "find" })} by={({ id }) => id}>
                {({ id, title }, index) => (
                  <Task id={`${id}:fix`} output={outputs.text}>
                    {`${index} ${title}`}
                  </Task>
                )}
              </ForEach>
            </>
          )
        }
        expect(yield* draw(() => <Triage />).execute({}, { runId: "r" })).toEqual(["0 one", "1 two"])
      }),
    ),
  )

  it.effect("awaits and keeps a task, and a child run, of an item that goes while they are in flight, and closes its waits", () =>
    onMemory(
      Effect.gen(function* () {
        const [gate, began] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const child = smithers(() => (
          <Workflow name="child">
            <Signal id="grown" output={outputs.text} name="grown" />
          </Workflow>
        ))
        const List = () => {
          const isGone = useCtx().outputMaybe(outputs.text, { nodeId: "drop" }) !== undefined
          return (
            <ForEach id="list" items={isGone ? ["b"] : ["a", "b"]}>
              {(id) =>
                id === "b" ? (
                  <Signal id="b" name="b" />
                ) : (
                  <Parallel>
                    <Task id="a:work" output={outputs.text}>
                      {() => Deferred.succeed(began, undefined).pipe(Effect.zipRight(Deferred.await(gate)), Effect.as("kept"))}
                    </Task>
                    <Subflow id="a:child" workflow={child} output={outputs.text} />
                    <Signal id="a:wait" name="a" />
                  </Parallel>
                )
              }
            </ForEach>
          )
        }
        const workflow = draw(() => (
          <>
            <Parallel>
              <Signal id="drop" output={outputs.text} name="drop" />
              <List />
            </Parallel>
            <Signal id="end" name="end" />
            <Task id="tells" output={outputs.text}>
              {(ctx) => `${ctx.outputMaybe(outputs.text, { nodeId: "a:work" })}`}
            </Task>
          </>
        ))
        const fiber = yield* Effect.fork(workflow.run({}, { runId: "r" }))
        yield* Deferred.await(began)
        yield* Smithers.signal("r", "drop", { payload: "now" })
        yield* Smithers.signal("r", "b")
        yield* rest
        expect(fiber.unsafePoll()).toBe(null)
        yield* Deferred.succeed(gate, undefined)
        const waiting = yield* Fiber.join(fiber)
        // Of what the item waited for only its child run is left, which the run awaits before it ends.
        expect("waits" in waiting ? waiting.waits.map(({ nodeId }) => nodeId) : []).not.toContain("a:wait")
        yield* Smithers.signal("r", "end")
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({
          status: "waiting-event",
          waits: [{ nodeId: "a:child" }, { nodeId: "grown" }],
        })
        yield* Smithers.signal("r~a:child~0", "grown", { payload: "grown" })
        expect(yield* workflow.execute({}, { runId: "r" })).toBe("kept")
      }),
    ),
  )

  it.live("ends the same whatever commit its process dies at", () =>
    Effect.gen(function* () {
      const List = () => {
        const more = useCtx().outputMaybe(outputs.text, { nodeId: "a" }) !== undefined
        return (
          <ForEach id="list" items={more ? ["a", "b", "c", "d"] : ["a"]} more={!more} maxConcurrency={2}>
            {(id) => (
              <Task id={id} output={outputs.text}>
                {() => id}
              </Task>
            )}
          </ForEach>
        )
      }
      const { calm, disturbed } = yield* sweep({
        run: draw(() => <List />)
          .run({}, { runId })
          .pipe(Effect.provide(AgentProgram.layer)),
      })
      expect(calm).toMatchObject({ result: { status: "finished", output: ["a", "b", "c", "d"] }, twice: [] })
      expect(disturbed.length).toBeGreaterThan(4)
      for (const { end } of disturbed) expect(end).toMatchObject({ result: { output: ["a", "b", "c", "d"] }, twice: [] })
    }),
  )

  it("says what is wrong with its props, its keys and its ids", () => {
    const Any = AnyList as unknown as (props: Record<string, unknown>) => React.ReactElement
    const task = (id: string) => (
      <Task id={id} output={outputs.text}>
        x
      </Task>
    )
    const problemOf = (props: object): string => {
      try {
        renderPlan(draw(() => <Any id="l" items={["a", "b"]} {...props} />))
      } catch (thrown) {
        return thrown instanceof Error ? thrown.message : ""
      }
      return ""
    }
    const all: ReadonlyArray<readonly [props: object, problem: string]> = [
      [{ id: undefined, children: task }, 'a ForEach: it has no "id"'],
      [{ children: task("a") }, 'ForEach "l": its child must be a function of an item that returns elements'],
      [{ items: 3, children: task }, 'ForEach "l": "items" must be a list'],
      [{ items: undefined, children: task }, '"items" must be a list, and is missing'],
      [{ items: [{}], children: () => null }, 'the key of item 0 is an object: add "by"'],
      [{ items: ["a", "a"], children: () => null }, 'two of its items have the key "a": "by" must return unique keys'],
      [{ by: "id", children: task }, '"by" must be a function of an item that returns its key'],
      [{ maxConcurrency: 1.5, children: task }, '"maxConcurrency" must be a whole number of at least 1, or Infinity, and not 1.5'],
      [
        { maxConcurency: 1, children: task },
        'it has no prop "maxConcurency"; did you mean "maxConcurrency"? There are id, items, by, maxConcurrency',
      ],
      [{ until: true, children: task }, '"until" must be a function of { done, failed, open, values } and ctx'],
      [{ rest: "drop", children: task }, '"rest" must be "cancel" or "keep"'],
      [{ more: "no", children: task }, '"more" must be true or false, and not the text "no": write more={false}'],
      [{ settled: 1, children: task }, '"settled" must be true or false'],
      [{ children: () => "text" }, 'its function returned "text" instead of elements: put functions and values into a Task'],
      [{ children: async () => null }, "its function returned a promise instead of elements"],
      [{ children: () => task("same") }, 'Task "same": the id is taken by another task'],
      [{ children: () => task("same") }, 'It is in an item of ForEach "l": include the key of the item in its ids'],
    ]
    for (const [props, problem] of all) expect(problemOf(props)).toContain(problem)
  })

  it("is asked by smithers check", () => {
    const { impurities } = renderPlan(
      draw(() => (
        <ForEach id="l" items={["a"]} until={() => Math.random() > 0.5}>
          {(id) => <Signal id={id} name={id} />}
        </ForEach>
      )),
      { checkPurity: true },
    )
    expect(impurities.join()).toContain('foreach "l" (at smithers > Workflow > ForEach) evaluates "until" to')
  })
})
