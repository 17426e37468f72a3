/**
 * Reads of outputs that are not there yet: what is drawn with them is shown and not started.
 */
import { expect, it } from "@effect/vitest"
import { isPending, pending } from "@smithers/jsx/Pending"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as React from "react"
import { Branch, createSmithers, type JsxWorkflow, Loop, Parallel, renderPlan, Sequence, Smithers } from "smithers-orchestrator"
import { describe } from "vitest"
import { z } from "zod"
import { rest } from "../core/Time.ts"

const { Workflow, Task, smithers, outputs, useCtx } = createSmithers({
  assess: z.object({ complexity: z.enum(["low", "high"]), parts: z.array(z.string()) }),
  text: z.string(),
})

const assess: z.infer<typeof outputs.assess> = { complexity: "high", parts: ["x", "y"] }

/** Ids of the tasks of a plan, those that are not settled in brackets. */
const shown = (workflow: Parameters<typeof renderPlan>[0], given: Record<string, unknown> = {}) =>
  renderPlan(workflow, { input: {}, outputs: given }).tasks.map(({ id, isProvisional }) => (isProvisional ? `[${id}]` : id))

describe("the pending value", () => {
  const value = pending as { readonly [key: string]: { readonly deep: unknown } } & ((...args: ReadonlyArray<unknown>) => unknown)

  it("can be read, called and iterated to any depth", () => {
    expect(isPending(value.a?.deep)).toBe(true)
    expect(isPending((value.map as unknown as (f: unknown) => unknown)(() => 1))).toBe(true)
    expect([...(pending as Iterable<unknown>)]).toEqual([])
    expect({ ...(pending as object) }).toEqual({})
    expect(Object.keys(pending as object)).toEqual([])
    expect("x" in (pending as object)).toBe(false)
  })

  it("equals nothing and prints as nothing", () => {
    expect(pending === "high").toBe(false)
    expect((pending as number) > 0 || (pending as number) <= 0).toBe(false)
    expect(`<${pending}>`).toBe("<>")
    expect(JSON.stringify({ a: pending })).toBe("{}")
    expect(String(value.a)).toBe("")
  })

  it("is not a promise: awaiting it does not wait for ever", async () => {
    expect(isPending(await pending)).toBe(true)
  })
})

describe("a task that is drawn with a pending read", () => {
  it("is provisional until what it reads is there, and then says what it says", () => {
    const workflow = smithers((ctx) => (
      <Workflow name="w">
        <Task id="assess" output={outputs.assess}>
          {() => assess}
        </Task>
        <Task id="fix" output={outputs.text}>{`Fix: ${ctx.output("assess", { nodeId: "assess" }).parts.join(", ")}!`}</Task>
      </Workflow>
    ))
    expect(shown(workflow)).toEqual(["assess", "[fix]"])
    const after = renderPlan(workflow, { input: {}, outputs: { assess } })
    expect(after.tasks.map(({ id, content, isProvisional }) => [id, content, isProvisional])).toEqual([
      ["assess", undefined, false],
      ["fix", "Fix: x, y!", false],
    ])
    expect(after.pending).toEqual([])
  })

  it("is of the wrong branch and never runs", () => {
    const workflow = smithers((ctx) => (
      <Workflow name="w">
        <Task id="assess" output={outputs.assess}>
          {() => assess}
        </Task>
        {ctx.output("assess", { nodeId: "assess" }).complexity === "high" ? (
          <Task id="plan" output={outputs.text}>
            plan
          </Task>
        ) : (
          <Task id="implement" output={outputs.text}>
            quick
          </Task>
        )}
      </Workflow>
    ))
    expect(shown(workflow)).toEqual(["assess", "[implement]"])
    expect(shown(workflow, { assess })).toEqual(["assess", "plan"])
    expect(shown(workflow, { assess: { complexity: "low", parts: [] } })).toEqual(["assess", "implement"])
  })

  it("does not hold back what was made before the read, nor what stands before the task that is read", () => {
    const workflow = smithers((ctx) => {
      const early = (
        <Task id="early" output={outputs.text}>
          x
        </Task>
      )
      return (
        <Workflow name="w">
          <Parallel>
            <Task id="first" output={outputs.text}>
              x
            </Task>
            <Sequence>
              <Task id="before" output={outputs.text}>{`x${ctx.input.y}`}</Task>
              <Task id="assess" output={outputs.assess}>
                {() => assess}
              </Task>
              <Task id="fix" output={outputs.text}>
                {ctx.output("assess").complexity}
              </Task>
            </Sequence>
            {early}
            <Task id="late" output={outputs.text}>
              x
            </Task>
          </Parallel>
        </Workflow>
      )
    })
    expect(shown(workflow)).toEqual(["first", "before", "assess", "[fix]", "early", "[late]"])
  })

  it("holds back the components that were made after it, and not those of other components", () => {
    const Reads = ({ id }: { readonly id: string }) => {
      const ctx = useCtx()
      const { complexity } = ctx.output("assess")
      return (
        <Task id={id} output={outputs.text}>
          {complexity}
        </Task>
      )
    }
    const Plain = ({ id }: { readonly id: string }) => (
      <Task id={id} output={outputs.text}>
        x
      </Task>
    )
    const workflow = smithers((ctx) => (
      <Workflow name="w">
        <Parallel>
          <Task id="assess" output={outputs.assess}>
            {() => assess}
          </Task>
          <Reads id="reads" />
          <Plain id="plain" />
          {ctx.output("assess") ? <Plain id="conditional" /> : null}
        </Parallel>
      </Workflow>
    ))
    expect(shown(workflow)).toEqual(["assess", "[reads]", "plain", "[conditional]"])
    expect(shown(workflow, { assess })).toEqual(["assess", "reads", "plain", "conditional"])
  })

  it("may be the component of its prompt that reads", () => {
    const Hint = () => <>{useCtx().output("assess").complexity}</>
    const agent = { generate: async () => ({ text: "x" }) }
    const workflow = smithers(() => (
      <Workflow name="w">
        <Parallel>
          <Task id="assess" output={outputs.assess}>
            {() => assess}
          </Task>
          <Task id="hinted" output={outputs.text} agent={agent}>
            It is <Hint />.
          </Task>
          <Task id="plain" output={outputs.text} agent={agent}>
            It <b>is</b>.
          </Task>
        </Parallel>
      </Workflow>
    ))
    expect(shown(workflow)).toEqual(["assess", "[hinted]", "plain"])
    const { tasks } = renderPlan(workflow, { input: {}, outputs: { assess } })
    expect(tasks.map(({ content }) => content)).toEqual([undefined, "It is high.", "It **is**."])
  })

  it("is left out while its id says nothing yet", () => {
    const workflow = smithers((ctx) => (
      <Workflow name="w">
        <Task id="assess" output={outputs.assess}>
          {() => assess}
        </Task>
        <Task id={`fix-${ctx.output("assess").parts[0]}`} output={outputs.text}>
          a
        </Task>
        <Task id={`fix-${ctx.output("assess").parts[1]}`} output={outputs.text}>
          b
        </Task>
      </Workflow>
    ))
    expect(shown(workflow)).toEqual(["assess", "[fix-]"])
    expect(shown(workflow, { assess })).toEqual(["assess", "fix-x", "fix-y"])
  })

  it("is a clone, or shows what a context hands on", () => {
    const agent = { generate: async () => ({ text: "x" }) }
    const Said = React.createContext("")
    const With = ({ children }: { readonly children: React.ReactElement<{ children: string }> }) =>
      React.cloneElement(children, { children: `Fix ${useCtx().output("assess").complexity}` })
    const Fix = () => (
      <Task id="said" output={outputs.text} agent={agent}>
        {React.useContext(Said)}
      </Task>
    )
    const workflow = smithers((ctx) => {
      const body = <Fix />
      return (
        <Workflow name="w">
          <Parallel>
            <Task id="assess" output={outputs.assess}>
              {() => assess}
            </Task>
            <With>
              <Task id="cloned" output={outputs.text} agent={agent}>
                x
              </Task>
            </With>
            <Said.Provider value={`${ctx.output("assess").complexity}`}>{body}</Said.Provider>
          </Parallel>
        </Workflow>
      )
    })
    expect(shown(workflow)).toEqual(["assess", "[cloned]", "[said]"])
    const { tasks } = renderPlan(workflow, { input: {}, outputs: { assess } })
    expect(tasks.map(({ content }) => content)).toEqual([undefined, "Fix high", "high"])
  })

  it("may stand before what is read where nothing makes that wait for it", () => {
    const workflow = smithers((ctx) => (
      <Workflow name="w">
        <Parallel>
          <Task id="fix" output={outputs.text}>
            {ctx.output("assess").complexity}
          </Task>
          <Sequence>
            <Task id="before" output={outputs.text}>
              x
            </Task>
            <Task id="assess" output={outputs.assess}>
              {() => assess}
            </Task>
          </Sequence>
        </Parallel>
      </Workflow>
    ))
    expect(shown(workflow)).toEqual(["[fix]", "before", "assess"])
  })

  it("may have any props that follow from what is not known", () => {
    const coder = { generate: async () => ({ text: "x" }) }
    const workflow = smithers((ctx) => {
      const { parts, complexity } = ctx.output("assess")
      const more = parts.length
      const schema = { high: outputs.text, low: outputs.assess }[complexity]
      return (
        <Workflow name="w">
          <Task id="assess" output={outputs.assess}>
            {() => assess}
          </Task>
          <Parallel maxConcurrency={more * 1}>
            <Task
              id="a"
              output={outputs.text}
              agent={{ high: coder, low: coder }[complexity]}
              retries={more}
              timeoutMs={more * 1000}
            >
              {parts[0]}
            </Task>
            <Task
              id="b"
              output={schema}
              label={complexity}
              meta={{ parts }}
              deps={{ [complexity]: outputs.assess }}
              needs={{ high: "assess" }}
            >
              {() => complexity}
            </Task>
            <Task id="c" output={outputs.text} retryPolicy={{ initialDelayMs: more * 2 }} skipIf={more > 5} dependsOn={parts}>
              c
            </Task>
          </Parallel>
          <Loop until={more > 0} maxIterations={more * 2}>
            <Task id="d" output={outputs.text}>
              d
            </Task>
          </Loop>
        </Workflow>
      )
    })
    expect(shown(workflow)).toEqual(["assess", "[a]", "[c]", "[d]"])
    const known = { complexity: "high" as const, parts: ["assess"] }
    const { plan, tasks } = renderPlan(workflow, { input: {}, outputs: { assess: known } })
    expect(tasks.map(({ id, content }) => [id, content])).toEqual([
      ["assess", undefined],
      ["a", "assess"],
      ["b", undefined],
      ["c", "c"],
      ["d", "d"],
    ])
    expect(plan.text).toContain('"timeoutMs":1000')
    expect(plan.text).toContain('"maxIterations":2')
    expect(plan.text).toContain('"after:assess":"assess"')
    expect(() => renderPlan(workflow, { input: {}, outputs: { assess: { complexity: "high", parts: [] } } })).toThrow(
      /Task "a": it has an agent but no prompt/,
    )
  })

  it("waits inside a branch whose condition is not known", () => {
    const hoisted = (
      <Task id="hoisted" output={outputs.text}>
        x
      </Task>
    )
    const workflow = smithers((ctx) => (
      <Workflow name="w">
        <Parallel>
          <Task id="assess" output={outputs.assess}>
            {() => assess}
          </Task>
          <Branch if={ctx.output("assess").complexity === "high"} then={null} else={hoisted} />
        </Parallel>
      </Workflow>
    ))
    expect(shown(workflow)).toEqual(["assess", "[hoisted]"])
    expect(shown(workflow, { assess })).toEqual(["assess"])
  })
})

const run = (workflow: JsxWorkflow<unknown>) => Effect.provide(workflow.run({}), Smithers.memory)

describe("a run with pending reads", () => {
  it.effect("starts what is settled at once, and the rest when it is", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const begun: Array<string> = []
      const note = (id: string) => {
        begun.push(id)
        return id
      }
      const workflow = smithers((ctx) => (
        <Workflow name="w">
          <Parallel>
            <Task id="lint" output={outputs.text}>
              {() => note("lint")}
            </Task>
            <Sequence>
              <Task id="assess" output={outputs.assess}>
                {() => Effect.as(Deferred.await(gate), { ...assess, parts: [...assess.parts] })}
              </Task>
              {ctx.output("assess").complexity === "low" ? (
                <Task id="low" output={outputs.text}>
                  {() => note("low")}
                </Task>
              ) : (
                <Task id="high" output={outputs.text}>
                  {() => note("high")}
                </Task>
              )}
            </Sequence>
          </Parallel>
        </Workflow>
      ))
      const fiber = yield* Effect.fork(workflow.run({}))
      yield* rest
      expect(begun).toEqual(["lint"])
      yield* Deferred.succeed(gate, undefined)
      expect(yield* Fiber.join(fiber)).toMatchObject({ status: "finished", output: ["lint", "high"] })
      expect(begun).toEqual(["lint", "high"])
      // The store is loaded when it is first used.
    }).pipe(Effect.provide(Smithers.memory)),
  )

  it.effect("fails, once nothing else can run, where nothing mounts what is read", () =>
    Effect.gen(function* () {
      const done: Array<string> = []
      const workflow = smithers((ctx) => (
        <Workflow name="w">
          <Task id="a" output={outputs.text}>
            {() => {
              done.push("a")
              return "a"
            }}
          </Task>
          {ctx.output("text", { nodeId: "nobody" }) === "x" ? (
            <Task id="b" output={outputs.text}>
              b
            </Task>
          ) : null}
        </Workflow>
      ))
      const result = yield* run(workflow)
      expect(done).toEqual(["a"])
      expect(result).toMatchObject({ status: "failed", error: { _tag: "UnsettledRead", nodeId: "nobody" } })
      expect(String((result as { error?: unknown }).error)).toContain("no node with this id is mounted")
    }),
  )

  it.effect("fails where what is read was skipped, and says so", () =>
    Effect.gen(function* () {
      const workflow = smithers((ctx) => (
        <Workflow name="w">
          <Task id="a" output={outputs.text} skipIf={true}>
            a
          </Task>
          <Task id="b" output={outputs.text}>
            {ctx.output("text", { nodeId: "a" })}
          </Task>
        </Workflow>
      ))
      const result = yield* run(workflow)
      expect(result).toMatchObject({ status: "failed", error: { _tag: "UnsettledRead", nodeId: "a", problem: "it was skipped" } })
    }),
  )

  it.effect("asks no condition of what is not there, however it is put", () =>
    Effect.gen(function* () {
      const passes = (until: (ctx: Ctx) => boolean) =>
        Effect.map(
          run(
            smithers((ctx) => (
              <Workflow name="w">
                <Loop id="value" maxIterations={9} until={until(ctx as Ctx) as boolean}>
                  <Task id="rev" output={outputs.text}>
                    {({ iteration }) => `${iteration}`}
                  </Task>
                </Loop>
                <Loop id="function" maxIterations={9} until={(inner) => until(renamed(inner as unknown as Ctx))}>
                  <Task id="rev2" output={outputs.text}>
                    {({ iteration }) => `${iteration}`}
                  </Task>
                </Loop>
                <Task id="both" output={outputs.text}>
                  {(c) => `${c.latest("text", "rev")}${c.latest("text", "rev2")}`}
                </Task>
              </Workflow>
            )),
          ),
          (result) => (result.status === "finished" ? result.output : result),
        )
      type Ctx = ReturnType<typeof useCtx>
      const renamed = (ctx: Ctx): Ctx => ({ ...ctx, output: (target) => ctx.output(target, { nodeId: "rev2" }) })
      const last = (ctx: Ctx) => ctx.output("text", { nodeId: "rev" })
      expect(yield* passes((ctx) => !!last(ctx) && last(ctx) >= "2")).toBe("22")
      expect(yield* passes((ctx) => last(ctx) !== "0" && last(ctx) !== "1")).toBe("22")
      expect(yield* passes((ctx) => !(Number(last(ctx)) < 3))).toBe("33")
      expect(yield* passes((ctx) => [last(ctx)].some(Boolean))).toBe("00")
    }),
  )

  it.effect("settles again in each pass of a loop", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const reviewer = {
        generate: async ({ prompt = "" }: { prompt?: string }) => {
          asked.push(prompt)
          return { text: "ok" }
        },
      }
      const workflow = smithers((ctx) => (
        <Workflow name="w">
          <Loop id="rounds" until={ctx.iterationCount("text", "review") >= 3}>
            <Task id="draft" output={outputs.assess}>
              {(c) => ({ complexity: "low" as const, parts: [`draft ${c.iteration}`] })}
            </Task>
            <Task id="review" output={outputs.text} agent={reviewer}>
              Review {ctx.output("assess").parts[0]} in pass {ctx.iteration}
            </Task>
          </Loop>
        </Workflow>
      ))
      expect(yield* run(workflow)).toMatchObject({ status: "finished", output: "ok" })
      expect(asked).toEqual(["Review draft 0 in pass 0", "Review draft 1 in pass 1", "Review draft 2 in pass 2"])
    }),
  )
})
