/**
 * Workflows written as JSX, run: what is drawn when, what becomes of what vanishes, and what is stored.
 */
import { expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import {
  Branch,
  createSmithers,
  type JsxWorkflow,
  Loop,
  Parallel,
  Ralph,
  renderPlan,
  Sequence,
  Smithers,
} from "smithers-orchestrator"
import { describe } from "vitest"
import { z } from "zod"
import { rest, settled } from "../core/Time.ts"

const { Workflow, Task, smithers, outputs, useCtx } = createSmithers({
  items: z.object({ ids: z.array(z.string()) }),
  text: z.string(),
  count: z.object({ n: z.number(), note: z.string().default("none") }),
  effect: Schema.Struct({ at: Schema.Date }),
})

const run = <I,>(workflow: JsxWorkflow<I>, input: I, options?: { readonly runId?: string }) => workflow.run(input, options)

const onMemory = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, Smithers.memory)

/** Tasks that wait to be let go on. */
const gates = () => {
  const waiting = new Map<string, Deferred.Deferred<void>>()
  const begun: Array<string> = []
  const through = (id: string) => {
    begun.push(id)
    const gate = Deferred.unsafeMake<void>(undefined as never)
    waiting.set(id, gate)
    return Effect.as(Deferred.await(gate), id)
  }
  const open = (id: string) =>
    Effect.suspend(() => Effect.zipRight(Deferred.succeed(waiting.get(id) as Deferred.Deferred<void>, undefined), rest))
  return { begun, through, open }
}

describe("an adaptive plan", () => {
  it.effect("grows a task for each item that was found, and says so in its events", () =>
    onMemory(
      Effect.gen(function* () {
        let renders = 0
        const workflow = smithers((ctx) => {
          renders++
          const found = ctx.outputMaybe(outputs.items, { nodeId: "discover" })
          return (
            <Workflow name="adaptive">
              <Task id="discover" output={outputs.items}>
                {{ ids: ["a", "b", "c"] }}
              </Task>
              {found?.ids.map((id) => (
                <Task key={id} id={`fix-${id}`} output={outputs.text}>
                  {`Fixed ${id}`}
                </Task>
              ))}
            </Workflow>
          )
        })
        const handle = yield* workflow.start({})
        expect(yield* handle.await).toBe("Fixed c")
        const events = Chunk.toReadonlyArray(yield* Stream.runCollect(handle.events)).map(({ event }) => event)
        expect(events.filter(({ _tag }) => _tag === "PlanChanged")).toEqual([
          { _tag: "PlanChanged", mounted: ["fix-a", "fix-b", "fix-c"], unmounted: [], changed: [] },
        ])
        expect(renders).toBe(2)
      }),
    ),
  )

  it.effect("may limit a group by the length of a list that is still empty", () =>
    Effect.gen(function* () {
      const workflow = smithers<never>((ctx) => {
        const ids = ctx.outputMaybe(outputs.items)?.ids ?? []
        return (
          <Workflow name="groups">
            <Task id="find" output={outputs.items}>
              {{ ids: ["a", "b"] }}
            </Task>
            <Parallel maxConcurrency={ids.length}>
              {ids.map((id) => (
                <Task key={id} id={id} output={outputs.text}>
                  {() => id}
                </Task>
              ))}
            </Parallel>
          </Workflow>
        )
      })
      expect(yield* run(workflow, {})).toMatchObject({ status: "finished", output: ["a", "b"] })
      const group = (maxConcurrency?: number) =>
        renderPlan(
          smithers(() => (
            <Workflow name="group">
              <Parallel {...(maxConcurrency === undefined ? {} : { maxConcurrency })} />
            </Workflow>
          )),
          {},
        ).plan.text
      expect(group(0)).toBe(group())
    }).pipe(onMemory),
  )

  it.effect("lets a task finish whose item vanishes, keeps what it gave, and starts nothing new for it", () =>
    onMemory(
      Effect.gen(function* () {
        const { begun, through, open } = gates()
        const workflow = smithers((ctx) => {
          const latest =
            ctx.outputMaybe(outputs.items, { nodeId: "again" }) ?? ctx.outputMaybe(outputs.items, { nodeId: "discover" })
          return (
            <Workflow name="vanishing">
              <Task id="discover" output={outputs.items}>
                {{ ids: ["a", "b"] }}
              </Task>
              <Parallel>
                {latest?.ids.map((id) => (
                  <Sequence key={id}>
                    <Task id={`do-${id}`} output={outputs.text}>
                      {() => through(`do-${id}`)}
                    </Task>
                    <Task id={`then-${id}`} output={outputs.text}>
                      {() => through(`then-${id}`)}
                    </Task>
                  </Sequence>
                ))}
                <Task id="again" output={outputs.items}>
                  {() => Effect.as(through("again"), { ids: ["b"] })}
                </Task>
              </Parallel>
            </Workflow>
          )
        })
        const handle = yield* workflow.start({}, { runId: "r" })
        yield* rest
        expect(begun).toEqual(["do-a", "do-b", "again"])
        yield* open("again")
        yield* open("do-a")
        yield* open("do-b")
        yield* open("then-b")
        yield* handle.await
        expect(begun).toEqual(["do-a", "do-b", "again", "then-b"])
        const events = Chunk.toReadonlyArray(yield* Stream.runCollect(handle.events)).map(({ event }) => event)
        const done = events.flatMap((event) => (event._tag === "AttemptSucceeded" ? [event.nodeId] : []))
        expect(done).toEqual(["discover", "again", "do-a", "do-b", "then-b"])
      }),
    ),
  )

  it.effect("goes on from what a task that left the plan has given, read by its table", () =>
    onMemory(
      Effect.gen(function* () {
        const { begun, through, open } = gates()
        const workflow = smithers((ctx) => (
          <Workflow name="left">
            <Parallel>
              <Task id="turn" output={outputs.text}>
                {() => through("turn")}
              </Task>
              {ctx.outputMaybe("text", { nodeId: "turn" }) === undefined ? (
                <Task id="find" output={outputs.items}>
                  {() => Effect.as(through("find"), { ids: ["a"] })}
                </Task>
              ) : null}
              <Task id="other" output={outputs.count}>
                {() => Effect.as(through("other"), { n: 1 })}
              </Task>
            </Parallel>
            {ctx.outputMaybe(outputs.items)?.ids.map((id) => (
              <Task key={id} id={`fix-${id}`} output={outputs.text}>
                {() => through(`fix-${id}`)}
              </Task>
            ))}
          </Workflow>
        ))
        const handle = yield* workflow.start({}, { runId: "r" })
        yield* rest
        expect(begun).toEqual(["turn", "find", "other"])
        yield* open("turn")
        yield* open("find")
        yield* open("other")
        expect(begun).toEqual(["turn", "find", "other", "fix-a"])
        yield* open("fix-a")
        expect(yield* handle.await).toBe("fix-a")
      }),
    ),
  )

  it.effect("knows tasks by their ids, wherever they are moved to and in whatever order", () =>
    onMemory(
      Effect.gen(function* () {
        const ran: Array<string> = []
        const one = (id: string) => (
          <Task key={id} id={id} output={outputs.text}>
            {() => {
              ran.push(id)
              return id
            }}
          </Task>
        )
        const workflow = smithers((ctx) => {
          const isTurned = ctx.outputMaybe("text", { nodeId: "b" }) !== undefined
          const order = isTurned ? ["c", "b", "a"] : ["a", "b", "c"]
          return <Workflow name="turned">{isTurned ? <Sequence>{order.map(one)}</Sequence> : order.map(one)}</Workflow>
        })
        const result = yield* run(workflow, {})
        expect(result).toMatchObject({ status: "finished", output: "a" })
        expect(ran).toEqual(["a", "b", "c"])
      }),
    ),
  )

  it.effect("refuses to go on with a finished task under another schema", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = smithers((ctx) => (
          <Workflow name="reused">
            {ctx.outputMaybe("text", { nodeId: "a" }) === undefined ? (
              <Task id="a" output={outputs.text}>
                x
              </Task>
            ) : (
              <Task id="a" output={outputs.count}>
                {{ n: 1 }}
              </Task>
            )}
          </Workflow>
        ))
        const error = yield* Effect.flip(run(workflow, {}))
        expect(error).toMatchObject({ _tag: "RenderFailed" })
        expect(error.message).toContain(
          'Task "a" has finished in this run with output "text", and now declares output "count". Give the new task another id',
        )
      }),
    ),
  )

  it.effect("is drawn once where nothing is read, however many tasks there are", () =>
    onMemory(
      Effect.gen(function* () {
        let renders = 0
        const workflow = smithers(() => {
          renders++
          return (
            <Workflow name="long">
              {Array.from({ length: 200 }, (_, index) => (
                <Task key={`t${index}`} id={`t${index}`} output={outputs.text}>
                  {() => `${index}`}
                </Task>
              ))}
            </Workflow>
          )
        })
        expect(yield* run(workflow, {})).toMatchObject({ output: "199" })
        expect(renders).toBe(1)
      }),
    ),
  )

  it.effect("is drawn again only for what it reads", () =>
    onMemory(
      Effect.gen(function* () {
        let renders = 0
        const workflow = smithers((ctx) => {
          renders++
          const seen = ctx.outputMaybe("text", { nodeId: "t5" })
          return (
            <Workflow name="read">
              {Array.from({ length: 10 }, (_, index) => (
                <Task key={`t${index}`} id={`t${index}`} output={outputs.text}>
                  {() => `${index}`}
                </Task>
              ))}
              <Task id="last" output={outputs.text}>{`saw ${seen}`}</Task>
            </Workflow>
          )
        })
        expect(yield* run(workflow, {})).toMatchObject({ output: "saw 5" })
        expect(renders).toBe(2)
      }),
    ),
  )
})

describe("a task", () => {
  it.effect("receives its deps decoded, by the name of a task, by the only one of the schema, or by needs", () =>
    onMemory(
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        const workflow = smithers(() => (
          <Workflow name="deps">
            <Task id="count" output={outputs.count}>
              {{ n: 1 }}
            </Task>
            <Task id="date" output={outputs.effect}>
              {{ at: "2026-01-02T00:00:00.000Z" }}
            </Task>
            <Task id="t1" output={outputs.text}>
              one
            </Task>
            <Task id="t2" output={outputs.text}>
              two
            </Task>
            <Task
              id="all"
              output={outputs.text}
              deps={{ count: outputs.count, when: outputs.effect, t2: outputs.text, first: "text" }}
              needs={{ first: "t1" }}
            >
              {(deps, ctx) => {
                seen.push(deps, ctx.taskId, ctx.attempt, ctx.idempotencyKey)
                return `${deps.when.at.getUTCFullYear() + deps.count.n}`
              }}
            </Task>
          </Workflow>
        ))
        expect(yield* run(workflow, {}, { runId: "r" })).toMatchObject({ output: "2027" })
        expect(seen).toEqual([
          { count: { n: 1, note: "none" }, when: { at: new Date("2026-01-02") }, t2: "two", first: "one" },
          "all",
          1,
          "r:all:0",
        ])
      }),
    ),
  )

  it.effect("waits for a dep that is mounted only later, and for those it depends on", () =>
    onMemory(
      Effect.gen(function* () {
        const ran: Array<string> = []
        const note = (id: string) => () => {
          ran.push(id)
          return id
        }
        const workflow = smithers(() => (
          <Workflow name="later">
            <Parallel>
              <Task id="report" output={outputs.count} deps={{ fix: outputs.text }}>
                {(deps) => {
                  ran.push("report")
                  return { n: deps.fix.length }
                }}
              </Task>
              <Task id="after" output={outputs.items} dependsOn={["report"]}>
                {() => {
                  ran.push("after")
                  return { ids: [] }
                }}
              </Task>
            </Parallel>
            {null}
          </Workflow>
        ))
        expect(renderPlan(workflow, {}).tasks.map(({ isProvisional }) => isProvisional)).toEqual([true, false])
        const grown = smithers((ctx) => (
          <Workflow name="later">
            <Parallel>
              <Task id="find" output={outputs.items}>
                {() => {
                  ran.push("find")
                  return { ids: ["x"] }
                }}
              </Task>
              {ctx.outputMaybe("items", { nodeId: "find" })?.ids.map((id) => (
                <Task key={id} id="fix" output={outputs.text}>
                  {note("fix")}
                </Task>
              ))}
              <Task id="report" output={outputs.count} deps={{ fix: outputs.text }}>
                {(deps) => {
                  ran.push("report")
                  return { n: deps.fix.length }
                }}
              </Task>
            </Parallel>
          </Workflow>
        ))
        yield* run(grown, {})
        expect(ran).toEqual(["find", "fix", "report"])
        const unmet = yield* run(workflow, {})
        expect(unmet).toMatchObject({ status: "failed", error: { _tag: "UnsettledRead", nodeId: "text" } })
      }),
    ),
  )

  it.effect("that reads what is not there fails at once, and outputMaybe is undefined", () =>
    onMemory(
      Effect.gen(function* () {
        let attempts = 0
        const workflow = smithers(() => (
          <Workflow name="missing">
            <Task id="a" output={outputs.text} skipIf={(ctx) => ctx.outputMaybe("text", { nodeId: "b" }) === undefined}>
              a
            </Task>
            <Task id="b" output={outputs.text}>
              {(ctx) => {
                attempts++
                return `${ctx.outputMaybe("text", { nodeId: "a" })}${ctx.output("text", { nodeId: "a" })}`
              }}
            </Task>
          </Workflow>
        ))
        const result = yield* run(workflow, {})
        expect(result).toMatchObject({
          status: "failed",
          error: { _tag: "StepFailed", nodeId: "b", error: { name: "MissingOutput" } },
        })
        expect(attempts).toBe(1)
      }),
    ),
  )

  it.effect("receives a dep that is undefined where that is what its task gave", () =>
    onMemory(
      Effect.gen(function* () {
        const typed = createSmithers({ opt: z.string().optional(), text: z.string() })
        const workflow = typed.smithers(() => (
          <Workflow name="optional">
            <typed.Task id="x" output="opt">
              {() => undefined}
            </typed.Task>
            <typed.Task id="y" output="text" deps={{ x: "opt" }}>
              {({ x }) => `${x}`}
            </typed.Task>
          </Workflow>
        ))
        expect(yield* run(workflow, {})).toMatchObject({ output: "undefined" })
      }),
    ),
  )

  it.effect("without an output is stored as JSON, unchecked", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = smithers(() => (
          <Workflow name="untyped">
            <Task id="a">{() => ({ any: ["thing", 1, null] })}</Task>
          </Workflow>
        ))
        expect(yield* run(workflow, {})).toMatchObject({ output: { any: ["thing", 1, null] } })
      }),
    ),
  )

  it.effect("may be an array or a number that is its value", () =>
    onMemory(
      Effect.gen(function* () {
        const { smithers, Task } = createSmithers({ list: z.array(z.number()), n: z.number(), maybe: z.string().nullable() })
        const workflow = smithers(() => (
          <Workflow name="values">
            <Parallel>
              <Task id="list" output="list">
                {[1, 2, 3]}
              </Task>
              <Task id="n" output="n">
                {42}
              </Task>
              <Task id="maybe" output="maybe">
                {null}
              </Task>
            </Parallel>
          </Workflow>
        ))
        expect(yield* run(workflow, {})).toMatchObject({ output: [[1, 2, 3], 42, null] })
      }),
    ),
  )

  it.effect("that was skipped or failed softly does not count as the output of the run", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = smithers(() => (
          <Workflow name="last">
            <Task id="a" output={outputs.text}>
              kept
            </Task>
            <Task id="b" output={outputs.text} noRetry continueOnFail>
              {() => {
                throw new Error("no")
              }}
            </Task>
            <Task id="c" output={outputs.text} skipIf>
              c
            </Task>
          </Workflow>
        ))
        expect(yield* run(workflow, {})).toMatchObject({ status: "finished", output: "kept" })
      }),
    ),
  )

  it.effect("is cached by its deps and its prompt", () =>
    onMemory(
      Effect.gen(function* () {
        let asked = 0
        const agent = {
          generate: async () => {
            asked++
            return { text: `${asked}` }
          },
        }
        const workflow = (prompt: string) =>
          smithers(() => (
            <Workflow name="cached">
              <Task id="a" output={outputs.text} agent={agent} cache>
                {prompt}
              </Task>
            </Workflow>
          ))
        yield* run(workflow("x"), {})
        expect(yield* run(workflow("x"), {})).toMatchObject({ output: "1" })
        expect(yield* run(workflow("y"), {})).toMatchObject({ output: "2" })
      }),
    ),
  )
})

describe("loops", () => {
  it.effect("inside loops start afresh, see their own passes, and are asked before their first", () =>
    onMemory(
      Effect.gen(function* () {
        const seen: Array<string> = []
        const Inner = () => {
          const ctx = useCtx()
          return (
            <Loop id="inner" until={ctx.latest("count", "try")?.n === 2} maxIterations={5}>
              <Task id="try" output={outputs.count}>
                {(c) => {
                  seen.push(`${c.iteration}${ctx.iteration}${ctx.iterationCount("count", "try")}`)
                  return { n: c.iteration + 1 }
                }}
              </Task>
            </Loop>
          )
        }
        const workflow = smithers(() => (
          <Workflow name="nested">
            <Loop id="outer" until={(ctx) => ctx.iterationCount("text", "round") === 3}>
              <Inner />
              <Task id="round" output={outputs.text}>
                {(c) => `${c.iteration}:${c.output("count").n}:${c.iterationCount("count", "try")}`}
              </Task>
            </Loop>
          </Workflow>
        ))
        expect(yield* run(workflow, {})).toMatchObject({ output: "2:2:2" })
        expect(seen).toEqual(["000", "101", "010", "111", "020", "121"])
      }),
    ),
  )

  it.effect("without ids keep their places when others come and go before them", () =>
    onMemory(
      Effect.gen(function* () {
        const ran: Array<string> = []
        const one = (id: string) => (
          <Task id={id} output={outputs.text}>
            {(ctx) => {
              ran.push(`${id}${ctx.iteration}`)
              return id
            }}
          </Task>
        )
        const Rounds = ({ id }: { readonly id: string }) => (
          <Ralph until={useCtx().iterationCount("text", id) === 2}>{one(id)}</Ralph>
        )
        const workflow = smithers((ctx) => {
          const isLate = ctx.outputMaybe("text", { nodeId: "x" }) !== undefined
          return (
            <Workflow name="places">
              {isLate ? null : <Rounds id="early" />}
              {["x", "y"].map((id) => (
                <Rounds key={id} id={id} />
              ))}
            </Workflow>
          )
        })
        yield* run(workflow, {})
        expect(ran).toEqual(["early0", "early1", "x0", "x1", "y0", "y1"])
      }),
    ),
  )

  it.effect("that run side by side each have their own ctx.iteration", () =>
    onMemory(
      Effect.gen(function* () {
        const said: Array<string> = []
        const Say = ({ id }: { readonly id: string }) => {
          const { iteration } = useCtx()
          return (
            <Task
              id={id}
              output={outputs.text}
              agent={{
                generate: async ({ prompt = "" }) => {
                  said.push(prompt)
                  return { text: "ok" }
                },
              }}
            >
              {id} {iteration}
            </Task>
          )
        }
        const workflow = smithers(() => (
          <Workflow name="beside">
            <Parallel>
              <Loop until={(ctx) => ctx.iterationCount("text", "a") === 3}>
                <Say id="a" />
              </Loop>
              <Loop until={false} maxIterations={2}>
                <Say id="b" />
              </Loop>
            </Parallel>
          </Workflow>
        ))
        yield* run(workflow, {})
        expect(said.sort()).toEqual(["a 0", "a 1", "a 2", "b 0", "b 1"])
        const ambiguous = smithers((ctx) => (
          <Workflow name="ambiguous">
            <Parallel>
              <Loop id="l1" until={ctx.iteration > 9} maxIterations={2}>
                <Task id="a" output={outputs.text}>
                  a
                </Task>
              </Loop>
              <Loop id="l2" until={false} maxIterations={2}>
                <Task id="b" output={outputs.text}>
                  b
                </Task>
              </Loop>
            </Parallel>
          </Workflow>
        ))
        const error = yield* Effect.flip(run(ambiguous, {}))
        expect(error.message).toContain('renders the loops "l1" and "l2", which both run')
      }),
    ),
  )

  it.effect("that nothing ends are committed and can be cancelled", () =>
    onMemory(
      Effect.gen(function* () {
        let renders = 0
        const workflow = smithers((ctx) => {
          renders++
          return (
            <Workflow name="endless">
              <Loop id="l" until={ctx.iteration < 0} maxIterations={Number.POSITIVE_INFINITY}>
                <Task id="a" output={outputs.text} skipIf>
                  a
                </Task>
              </Loop>
            </Workflow>
          )
        })
        const handle = yield* workflow.start({})
        yield* settled("some passes are over", () => renders > 10)
        yield* handle.cancel("enough")
        expect(yield* handle.result).toMatchObject({ status: "cancelled", reason: "enough" })
      }),
    ),
  )
})

describe("a render that throws", () => {
  it.effect("is RenderFailed with the components around it, and the run goes on with repaired code", () =>
    onMemory(
      Effect.gen(function* () {
        const ran: Array<string> = []
        const workflow = (isBroken: boolean) => {
          const Fixes = ({ ids }: { readonly ids: ReadonlyArray<string> }) => {
            if (isBroken) throw new Error(`no idea what to do about ${ids.join()}`)
            return (
              <Task id="fix" output={outputs.text}>
                {() => {
                  ran.push("fix")
                  return "fixed"
                }}
              </Task>
            )
          }
          return smithers((ctx) => {
            const found = ctx.outputMaybe("items")
            return (
              <Workflow name="broken">
                <Task id="find" output={outputs.items}>
                  {() => {
                    ran.push("find")
                    return { ids: ["x", "y"] }
                  }}
                </Task>
                {found ? <Fixes ids={found.ids} /> : null}
              </Workflow>
            )
          })
        }
        const error = yield* Effect.flip(run(workflow(true), {}, { runId: "r" }))
        expect(error).toMatchObject({ _tag: "RenderFailed", workflow: "broken", problem: "Error: no idea what to do about x,y" })
        expect(error.message).toMatch(/at Fixes.*\n.*at Workflow/)
        expect(yield* workflow(false).resume("r")).toBe("fixed")
        expect(ran).toEqual(["find", "fix"])
      }),
    ),
  )

  it.effect("while something was pending says what, and how to do without", () =>
    onMemory(
      Effect.gen(function* () {
        const prompts: Record<string, { readonly prompt: string }> = { high: { prompt: "plan" } }
        const workflow = smithers((ctx) => (
          <Workflow name="early">
            <Task id="a" output={outputs.text}>
              high
            </Task>
            <Task id="b" output={outputs.text}>
              {prompts[ctx.output("text", { nodeId: "a" })]?.prompt.length === 0
                ? ""
                : JSON.parse(ctx.output("text", { nodeId: "a" }))}
            </Task>
          </Workflow>
        ))
        const error = yield* Effect.flip(run(workflow, {}))
        expect(error._tag).toBe("RenderFailed")
        expect(error.message).toContain('The output of "a" did not exist yet in this render')
        expect(error.message).toContain("read it with outputMaybe. Finished steps are kept")
      }),
    ),
  )

  it.effect("before anything was stored leaves nothing behind", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = smithers((ctx) => <Workflow name={ctx.input.deep.name}>{null}</Workflow>)
        const error = yield* Effect.flip(run(workflow, {}, { runId: "r" }))
        expect(error._tag).toBe("RenderFailed")
        expect((yield* Effect.flip(workflow.resume("r")))._tag).toBe("RunNotFound")
      }),
    ),
  )

  it.effect("is refused when a run of another workflow is taken up", () =>
    onMemory(
      Effect.gen(function* () {
        const named = (name: string) =>
          smithers(() => (
            <Workflow name={name}>
              <Task id="a" output={outputs.text} noRetry>
                {() => Effect.fail(new Error("no"))}
              </Task>
            </Workflow>
          ))
        yield* run(named("one"), {}, { runId: "r" })
        expect(yield* Effect.flip(named("two").resume("r"))).toMatchObject({
          _tag: "WorkflowMismatch",
          stored: "one",
          workflow: "two",
        })
        expect(yield* Effect.flip(run(named("two"), {}, { runId: "r" }))).toMatchObject({ _tag: "WorkflowMismatch" })
      }),
    ),
  )
})

describe("a workflow", () => {
  it("knows its name without an input", () => {
    const workflow = smithers((ctx) => (
      <Workflow name="named">
        {ctx.input.repos.map((repo: string) => (
          <Task key={repo} id={repo} output={outputs.text}>
            x
          </Task>
        ))}
      </Workflow>
    ))
    expect(workflow.name).toBe("named")
  })

  it.effect("checks its input where a schema is declared", () =>
    onMemory(
      Effect.gen(function* () {
        const typed = createSmithers({ text: z.string() }, { input: z.object({ n: z.number().default(7) }) })
        const workflow = typed.smithers((ctx) => (
          <Workflow name="typed">
            <typed.Task id="a" output="text">
              {() => `${ctx.input.n}`}
            </typed.Task>
          </Workflow>
        ))
        expect(yield* run(workflow, {})).toMatchObject({ output: "7" })
        // @ts-expect-error it is no number
        const error = yield* Effect.flip(run(workflow, { n: "x" }))
        expect(error).toMatchObject({ _tag: "InvalidInput", workflow: "typed" })
      }),
    ),
  )

  it.effect("gives the output of what the branch that was taken gave", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = smithers((ctx) => (
          <Workflow name="branch">
            <Branch
              if={ctx.input.fast}
              then={
                <Task id="do" output={outputs.text}>
                  fast
                </Task>
              }
              else={
                <Task id="do" output={outputs.text}>
                  slow
                </Task>
              }
            />
          </Workflow>
        ))
        expect(yield* run(workflow, { fast: true })).toMatchObject({ output: "fast" })
        expect(yield* run(workflow, { fast: false })).toMatchObject({ output: "slow" })
      }),
    ),
  )

  it.effect("stops a sibling of a failure where failFast says so, and holds a group to its concurrency", () =>
    onMemory(
      Effect.gen(function* () {
        const { begun, through, open } = gates()
        const workflow = smithers(() => (
          <Workflow name="parallel">
            <Parallel maxConcurrency={2} failFast>
              {["a", "b", "c"].map((id) => (
                <Task key={id} id={id} output={outputs.text} noRetry>
                  {() => Effect.flatMap(through(id), () => (id === "a" ? Effect.fail(new Error("no")) : Effect.succeed(id)))}
                </Task>
              ))}
            </Parallel>
          </Workflow>
        ))
        const fiber = yield* Effect.fork(run(workflow, {}))
        yield* rest
        expect(begun).toEqual(["a", "b"])
        yield* open("a")
        expect(yield* Fiber.join(fiber)).toMatchObject({ status: "failed", error: { nodeId: "a" } })
        expect(begun).toEqual(["a", "b"])
      }),
    ),
  )
})
