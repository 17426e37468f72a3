/** What today's code would have done otherwise in a recorded run. */
import { describe, expect, it } from "@effect/vitest"
import * as Replay from "@smithers/core/Replay"
import { ports, Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import { type Builder, runningOn, stores, Text, workflow } from "./Flows.ts"

/** Code of a step that a replay never calls. */
const never = (): never => {
  throw new Error("the code of a step was called")
}

const step = ($: Builder, id: string, given: object = {}) => $.step(id, { output: Text, retry: false, run: () => id, ...given })
const later = ($: Builder, id: string, given: object = {}) => step($, id, { run: never, ...given })

describe.each(stores)("a replay, on %s", (_, store) => {
  const on = runningOn(store)

  it.effect("finds nothing in unchanged code, calls no step and writes nothing", () =>
    Effect.gen(function* () {
      const build = (make: typeof step) =>
        workflow(($) => {
          const a = make($, "a")
          const b = make($, "b", { needs: { a } })
          return $.sequence(
            a,
            $.parallel(b, make($, "c")),
            $.timer("t", { duration: "1 milli" }),
            $.approval("ok", { request: { title: "?" } }),
          )
        })
      yield* build(step).run({}, { runId: "r" })
      yield* Effect.sleep("5 millis")
      yield* build(step).run({}, { runId: "r" })
      const storage = yield* Storage
      const asked = new Set<string>()
      const noting = new Proxy(storage, {
        get: (target, name) => {
          asked.add(String(name))
          return Reflect.get(target, name)
        },
      })
      const before = [yield* storage.inspect("r"), yield* storage.events("r", { limit: 100 })]
      const report = yield* Replay.replay(build(later).definition, "r").pipe(Effect.provide(ports(noting)))
      expect(report).toMatchObject({ findings: [], unreached: [], compared: 5, status: "running" })
      expect([...asked].sort()).toEqual(["history", "inspect", "plan"])
      expect([yield* storage.inspect("r"), yield* storage.events("r", { limit: 100 })]).toEqual(before)
    }).pipe(on),
  )
})
