/**
 * What a drawing costs grows with what is drawn, and not with its square. Counted are look-ups in maps, of which every step of drawing makes some.
 */

import type * as React from "react"
import { createSmithers, Loop, Parallel, renderPlan, Sequence } from "smithers-orchestrator"
import { expect, it } from "vitest"
import { z } from "zod"

const { Workflow, Task, smithers, outputs, useCtx } = createSmithers({ n: z.object({ n: z.number() }), text: z.string() })
type DrawCtx = Parameters<Parameters<typeof smithers>[0]>[0]

/** How often something is looked up in a map meanwhile. */
const lookups = (run: () => void): number => {
  let count = 0
  const kinds = [Map.prototype, WeakMap.prototype] as ReadonlyArray<{ get: (key: unknown) => unknown }>
  const kept = kinds.map(({ get }) => get)
  for (const [index, kind] of kinds.entries()) {
    kind.get = function (key) {
      count++
      return kept[index]?.call(this, key)
    }
  }
  try {
    run()
  } finally {
    for (const [index, kind] of kinds.entries()) kind.get = kept[index] as (key: unknown) => unknown
  }
  return count
}

const step = (id: string) => (
  <Task id={id} output={outputs.n}>
    {() => ({ n: 1 })}
  </Task>
)

/** A task that says in which pass it is drawn, and what it has given. */
const Item = ({ id }: { readonly id: string }) => {
  const ctx = useCtx()
  return (
    <Task id={id} output={outputs.n} label={`${ctx.iteration} ${ctx.outputMaybe(outputs.n, { nodeId: id })?.n}`}>
      {() => ({ n: 1 })}
    </Task>
  )
}

const Pair = ({ id }: { readonly id: string }) => {
  const ctx = useCtx()
  return (
    <Sequence>
      {step(id)}
      <Task id={`${id}-b`} output={outputs.text}>{`${ctx.iteration} ${ctx.output(outputs.n, { nodeId: id }).n}`}</Task>
    </Sequence>
  )
}

const cases: Record<string, (ids: ReadonlyArray<string>, ctx: DrawCtx) => React.ReactNode> = {
  "ctx.iteration in each item": (ids) => ids.map((id) => <Item key={id} id={id} />),
  loops: (ids) =>
    ids.map((id) => (
      <Loop key={id} until={false} maxIterations={2}>
        <Item id={id} />
      </Loop>
    )),
  "reads that are pending, in each item": (ids) => ids.map((id) => <Pair key={id} id={id} />),
  "the same inline": (ids, ctx) =>
    ids.map((id) => (
      <Sequence key={id}>
        {step(id)}
        <Task id={`${id}-b`} output={outputs.text}>{`${ctx.iteration} ${ctx.output(outputs.n, { nodeId: id }).n}`}</Task>
      </Sequence>
    )),
  "all outputs, read before": (ids, ctx) => {
    const all = ids.map((id) => ctx.output(outputs.n, { nodeId: id }).n)
    return [
      ...ids.map((id) => <Sequence key={id}>{step(id)}</Sequence>),
      <Task key="/" id="all" output={outputs.text}>
        {all.join()}
      </Task>,
    ]
  },
}

it.each(Object.entries(cases))("%s", (_, draw) => {
  const cost = (size: number, isDone: boolean): number => {
    const ids = Array.from({ length: size }, (__, index) => `t${index}`)
    const workflow = smithers((ctx) => (
      <Workflow name="w">
        <Parallel>{draw(ids, ctx)}</Parallel>
      </Workflow>
    ))
    const given = isDone ? Object.fromEntries(ids.map((id) => [id, { n: 1 }])) : {}
    return lookups(() => renderPlan(workflow, { input: {}, outputs: given }))
  }
  for (const isDone of [false, true]) expect(cost(1600, isDone) / cost(400, isDone)).toBeLessThan(5)
})
