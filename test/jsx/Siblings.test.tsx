/**
 * Nodes that wait only because their component has read something for another one: it is allowed, and said.
 */

import type * as React from "react"
import { createSmithers, Parallel, renderPlan, Sequence } from "smithers-orchestrator"
import { describe, expect, it } from "vitest"
import { z } from "zod"

const { Workflow, Task, smithers, outputs, useCtx } = createSmithers({
  plan: z.object({ text: z.string(), parts: z.array(z.string()) }),
  text: z.string(),
})
type DrawCtx = Parameters<Parameters<typeof smithers>[0]>[0]

const items = ["a", "b", "c"]
const planOf = (item: string) => (
  <Task id={`plan-${item}`} output={outputs.plan}>
    {() => ({ text: item, parts: [] })}
  </Task>
)

const drawn = (draw: (ctx: DrawCtx) => React.ReactNode, given: Record<string, unknown> = {}) => {
  const workflow = smithers((ctx) => <Workflow name="w">{draw(ctx)}</Workflow>)
  return renderPlan(workflow, { input: {}, outputs: given })
}

/** Ids of the tasks that are said to wait for a sibling's read, and of what they wait for. */
const said = (...args: Parameters<typeof drawn>) =>
  drawn(...args).warnings.map((warning) =>
    warning
      .match(/"([\w-]+)" \(at .*?\) (?:waits for|starts before) "([\w-]+)"/)
      ?.slice(1, 3)
      .join(" "),
  )

const both = (ctx: DrawCtx) => (
  <Parallel>
    {items.map((item) => (
      <Sequence key={item}>
        {planOf(item)}
        <Task
          id={`write-${item}`}
          output={outputs.text}
        >{`Write: ${ctx.output(outputs.plan, { nodeId: `plan-${item}` }).text}`}</Task>
      </Sequence>
    ))}
  </Parallel>
)

describe("what waits only for the read of a sibling is named", () => {
  it("an item of a list after one that reads inline", () => {
    expect(said(both)).toEqual(["plan-b plan-a", "plan-c plan-b"])
    expect(drawn(both).warnings[0]).toBe(
      'Task "plan-b" (at smithers > Workflow > Parallel > Sequence) waits for "plan-a" only because its component read that before creating the task. Make each item a component of its own that reads with useCtx(), or read in a function of ctx. If it should wait, add dependsOn',
    )
  })
  it("in the plan too, and no longer once what was read is there", () => {
    const marked = (given: Record<string, unknown>) =>
      drawn(both, given)
        .plan.text.split("\n")
        .flatMap((line) => (line.includes('"siblingRead":true') ? [/"id":"([\w-]+)"/.exec(line)?.[1]] : []))
    expect(marked({})).toEqual(["plan-b", "plan-c"])
    expect(marked({ "plan-a": { text: "x", parts: [] } })).toEqual(["plan-c"])
  })
  it("not where each item is a component of its own, or reads in a function", () => {
    const Item = ({ item }: { readonly item: string }) => {
      const ctx = useCtx()
      return (
        <Sequence>
          {planOf(item)}
          <Task
            id={`write-${item}`}
            output={outputs.text}
          >{`Write: ${ctx.output(outputs.plan, { nodeId: `plan-${item}` }).text}`}</Task>
        </Sequence>
      )
    }
    expect(
      said(() => (
        <Parallel>
          {items.map((item) => (
            <Item key={item} item={item} />
          ))}
        </Parallel>
      )),
    ).toEqual([])
    const inFunctions = () => (
      <Parallel>
        {items.map((item) => (
          <Sequence key={item}>
            {planOf(item)}
            <Task id={`write-${item}`} output={outputs.text}>
              {(ctx) => ctx.output(outputs.plan, { nodeId: `plan-${item}` }).text}
            </Task>
          </Sequence>
        ))}
      </Parallel>
    )
    expect(said(inFunctions)).toEqual([])
  })
  const independent = (id: string) => (
    <Task id={id} output={outputs.text}>
      independent
    </Task>
  )
  it("a task beside one that uses what was read before both, whichever comes first", () => {
    const draw = (isFirst: boolean) => (ctx: DrawCtx) => {
      const plan = ctx.output(outputs.plan, { nodeId: "plan-a" })
      const before = isFirst ? independent("beside") : null
      return (
        <Parallel>
          {before}
          {planOf("a")}
          <Task id="uses" output={outputs.text}>{`of ${plan.text}`}</Task>
          {isFirst ? null : independent("beside")}
        </Parallel>
      )
    }
    expect(said(draw(true))).toEqual(["beside plan-a"])
    expect(said(draw(false))).toEqual(["beside plan-a"])
  })
  it("a task of a component that was made after the read, unless it was given what was made of it", () => {
    const Inner = ({ id, title = "" }: { readonly id: string; readonly title?: string }) => (
      <Task id={id} output={outputs.text}>{`${title}.`}</Task>
    )
    const draw = (ctx: DrawCtx) => {
      const title = `of ${ctx.output(outputs.plan, { nodeId: "plan-a" }).text}`
      return (
        <Parallel>
          {planOf("a")}
          <Inner id="uses" title={title} />
          <Inner id="beside" />
        </Parallel>
      )
    }
    expect(said(draw)).toEqual(["beside plan-a"])
  })
  it("not what says what was read, in text or data, by a choice, or in an element of its prompt", () => {
    const agent = { generate: async () => ({ text: "x" }) }
    const draw = (ctx: DrawCtx) => {
      const plan = ctx.output(outputs.plan, { nodeId: "plan-a" })
      const title = `of ${plan.text}`
      return (
        <Parallel>
          {planOf("a")}
          <Task id="text" output={outputs.text}>
            {title}
          </Task>
          <Task id="label" label={title} output={outputs.text}>
            x
          </Task>
          <Task id="data">{{ all: [plan.parts] }}</Task>
          {plan.parts.length > 3 ? independent("many") : independent("few")}
          <Task id="prompt" agent={agent}>
            <p>
              Say <b>{plan.parts.length > 3 ? "much" : "little"}</b>
            </p>
          </Task>
        </Parallel>
      )
    }
    expect(said(draw)).toEqual([])
  })
  it("not what comes after it in any case, or says that it waits for it", () => {
    const draw = (ctx: DrawCtx) => (
      <Sequence>
        {planOf("a")}
        <Task id="uses" output={outputs.text}>{`of ${ctx.output(outputs.plan, { nodeId: "plan-a" }).text}`}</Task>
        {independent("after")}
        <Parallel>
          {planOf("b")}
          <Task id="uses-b" output={outputs.text}>{`of ${ctx.output(outputs.plan, { nodeId: "plan-b" }).text}`}</Task>
          <Task id="waits" dependsOn={["plan-b"]} output={outputs.text}>
            x
          </Task>
          <Task id="depends" deps={{ plan: outputs.plan }} needs={{ plan: "plan-b" }} output={outputs.text}>
            {() => "x"}
          </Task>
        </Parallel>
      </Sequence>
    )
    expect(said(draw)).toEqual([])
  })
})

describe("what begins before what its component has read is named, where it may follow from that", () => {
  it("a choice", () => {
    const draw = (ctx: DrawCtx) => {
      const isLong = ctx.output(outputs.plan, { nodeId: "plan-a" }).parts.length > 2
      return (
        <Sequence>
          <Task id="early" output={outputs.text}>
            {isLong ? "long" : "short"}
          </Task>
          {planOf("a")}
        </Sequence>
      )
    }
    expect(said(draw)).toEqual(["early plan-a"])
    expect(drawn(draw).warnings[0]).toContain("Content that depends on that output is not known then")
  })
  it("and nothing that was made before anything was made of it", () => {
    const draw = (ctx: DrawCtx) => {
      const plan = ctx.output(outputs.plan, { nodeId: "plan-a" })
      return (
        <Sequence>
          <Task id="early" output={outputs.text}>
            x
          </Task>
          {planOf("a")}
          <Task id="late" output={outputs.text}>
            {plan.text}
          </Task>
        </Sequence>
      )
    }
    expect(said(draw)).toEqual([])
  })
})
