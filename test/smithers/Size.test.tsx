/**
 * What a run takes on disk: lists of what was read fill pages, and plans that only change their order are kept as what moved.
 */
import { Database } from "bun:sqlite"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import type * as React from "react"
import { createSmithers, Parallel, runWorkflow, Smithers } from "smithers-orchestrator"
import { afterAll, beforeAll, expect, it } from "vitest"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ n: z.object({ n: z.number() }) })
type DrawCtx = Parameters<Parameters<typeof smithers>[0]>[0]

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "size-"))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Bytes of the tables after a run, and of their pages those that hold nothing. */
const sizes = async (name: string, draw: (ctx: DrawCtx) => React.ReactNode) => {
  const file = join(folder, `${name}.db`)
  const workflow = smithers((ctx) => <Workflow name="w">{draw(ctx)}</Workflow>)
  expect(await runWorkflow(workflow, { input: {}, runId: "r", db: file })).toMatchObject({ status: "finished" })
  const db = new Database(file)
  try {
    const rows = db.query("SELECT name, sum(pgsize), sum(unused) FROM dbstat GROUP BY name").values() as Array<
      [string, number, number]
    >
    const of = (table: string) => rows.find(([one]) => one === table) ?? [table, 0, 0]
    return { whole: rows.reduce((sum, [, size]) => sum + size, 0), of, file }
  } finally {
    db.close()
  }
}

const step = (id: string) => (
  <Task key={id} id={id} output={outputs.n}>
    {() => ({ n: 1 })}
  </Task>
)

it("steps that have each read thirty others take little more than those that have read none, whatever their ids", async () => {
  const count = 200
  const reading = (ids: ReadonlyArray<string>, last: number) => () =>
    ids.map((id, index) => (
      <Task key={id} id={id} output={outputs.n}>
        {(ctx) => {
          for (const other of ids.slice(Math.max(0, index - last), index)) ctx.outputMaybe(outputs.n, { nodeId: other })
          return { n: 1 }
        }}
      </Task>
    ))
  const long = Array.from({ length: count }, (_, index) => `implement-the-endpoint-for-payments-of-customer-${index}`)
  const none = await sizes("none", reading(long, 0))
  const thirty = await sizes("thirty", reading(long, 30))
  expect((thirty.whole - none.whole) / count).toBeLessThan(700)
  const alike = await sizes(
    "alike",
    reading(
      Array.from({ length: count }, () => crypto.randomUUID()),
      30,
    ),
  )
  // Thirty ids of 36 letters are 1.2 KB by themselves; the empty tables of a store are 300 bytes for each of 200 steps.
  expect(alike.whole / count).toBeLessThan(3400)
  for (const { of } of [thirty, alike]) {
    expect(of("smithers_nodes")[1]).toBeLessThan(1.3 * none.of("smithers_nodes")[1] + 4096)
    const [, size, unused] = of("smithers_reads")
    expect(unused / size).toBeLessThan(0.45)
  }
})

it("a plan that is drawn in another order in each frame is kept as what moved, and read back as it was", async () => {
  const ids = Array.from({ length: 150 }, (_, index) => `task-${index}`)
  const texts: Array<string> = []
  const draw = (ctx: DrawCtx) => {
    const done = ids.filter((id) => ctx.outputMaybe(outputs.n, { nodeId: id }) !== undefined)
    const rest = ids.filter((id) => !done.includes(id))
    const order = [...(done.length % 2 === 1 ? rest.toReversed() : rest), ...done.toReversed()]
    texts.push(order.join())
    return <Parallel maxConcurrency={1}>{order.map(step)}</Parallel>
  }
  const { of, file } = await sizes("reordered", draw)
  expect(of("smithers_plans")[1]).toBeLessThan(150_000)
  const stored = await plansOf(file)
  expect(stored.length).toBeGreaterThan(140)
  for (const text of stored) expect(texts).toContain(text)
})

/** The order of tasks in each plan of a run, as the store gives it. */
const plansOf = (file: string) =>
  Effect.gen(function* () {
    const storage = yield* Storage
    const { frame } = yield* storage.load("r")
    const all = yield* Effect.forEach(
      Array.from({ length: frame }, (_, index) => index + 1),
      (at) => storage.plan("r", at),
    )
    return [...new Set(all)].map((text) => [...text.matchAll(/"id":"(task-\d+)"/g)].map(([, id]) => id).join())
  }).pipe(Effect.provide(Smithers.sqlite({ filename: file })), Effect.runPromise)
