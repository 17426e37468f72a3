/** Limits over families of runs: each run has its own, so that no generation holds what another needs; on every store. */
import { expect, it } from "@effect/vitest"
import * as Engine from "@smithers/core/Engine"
import * as Millis from "@smithers/core/Millis"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Supervisor from "@smithers/core/Supervisor"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { describe } from "vitest"
import { processOn, runningOn, stores } from "./Flows.ts"
import { settled } from "./Time.ts"

const Input = Schema.Struct({})

/** Three generations with a limit of one each: three steps beside three child runs, of which each has the same. */
const generations = () => {
  const counts = new Map<string, number>()
  const most = new Map<string, number>()
  const ran: Array<string> = []
  const make = (name: string, child?: Smithers.Workflow<typeof Input.Type, ReadonlyArray<unknown>>) =>
    Smithers.createWorkflow({ name, input: Input, maxConcurrency: 1 }).build(($) => {
      const step = (id: string) =>
        $.step(id, {
          output: Schema.String,
          run: ({ runId }) =>
            Effect.gen(function* () {
              const now = (counts.get(runId) ?? 0) + 1
              counts.set(runId, now)
              most.set(runId, Math.max(most.get(runId) ?? 0, now))
              for (let turn = 0; turn < 5; turn++) yield* Effect.yieldNow()
              counts.set(runId, now - 1)
              ran.push(`${id} ${runId}`)
              return id
            }),
        })
      const steps = ["a", "b", "c"].map(step)
      const subs = child === undefined ? [] : ["x", "y", "z"].map((id) => $.subflow(id, { workflow: child, input: () => ({}) }))
      return $.parallel(...steps, ...subs)
    })
  const middle = make("middle", make("leaf"))
  return { top: make("top", middle), most, ran }
}

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  it.effect("a family with a limit of one in each run ends, and no run has more than one attempt in flight", () =>
    on(
      Effect.gen(function* () {
        const { top, most, ran } = generations()
        yield* top.execute({}, { runId: "r" })
        expect(ran).toHaveLength(3 * (1 + 3 + 9))
        expect([...new Set(most.values())]).toEqual([1])
      }),
    ),
  )

  it.effect("a family ends under two supervisors that work on one run at a time", () =>
    on(
      Effect.gen(function* () {
        const storage = yield* Storage
        const { top, most, ran } = generations()
        yield* storage.deliverOrCreate(
          { id: "s", runId: "r", at: Millis.make(0), command: { _tag: "Signal", name: "begin" } },
          { workflow: "top", version: undefined, input: {}, tags: [] },
        )
        const processes = [yield* processOn(storage), yield* processOn(storage)]
        for (const { engine, scope } of processes)
          yield* Supervisor.make({ registry: Supervisor.registry([top]), interval: "1 day", maxConcurrent: 1 }).pipe(
            Effect.provideService(Engine.Engine, engine),
            Scope.extend(scope),
          )
        yield* settled("the family has ended", () => Effect.map(storage.run("r"), ({ run }) => run.status === "finished"))
        expect(new Set(ran).size).toBe(3 * (1 + 3 + 9))
        expect(ran).toHaveLength(3 * (1 + 3 + 9))
        expect([...new Set(most.values())]).toEqual([1])
        for (const { stop } of processes) yield* stop
      }),
    ),
  )
})
