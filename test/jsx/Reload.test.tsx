/** New components for a run at work. */
import { describe, expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import * as Engine from "@smithers/core/Engine"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import { Loop, Sequence } from "@smithers/jsx/components"
import { createSmithers } from "@smithers/jsx/Workflow"
import { Deferred, Effect, Layer } from "effect"
import type * as React from "react"
import { z } from "zod"
import { rest } from "../core/Time.ts"

const code = { hash: "new", files: ["workflow.tsx"] }

const runtime = Layer.merge(Smithers.memory, AgentProgram.layer)

const makeGate = () => {
  const opened = Deferred.unsafeMake<void>(undefined as never)
  return { await: Deferred.await(opened), open: Deferred.succeed(opened, undefined) }
}

/** A workflow with schemas of its own, as a file that is loaded again has. */
const write = (draw: (kit: ReturnType<typeof kitOf>) => React.ReactNode) => {
  const kit = kitOf()
  return kit.smithers(() => <kit.Workflow name="drawn">{draw(kit)}</kit.Workflow>)
}
const kitOf = () => createSmithers({ note: z.object({ text: z.string() }) })

describe("a reload of components", () => {
  it.effect("takes over the tree and what tasks say, and keeps what is finished", () =>
    Effect.gen(function* () {
      const gate = makeGate()
      const old = write(({ Task, outputs }) => (
        <Sequence>
          <Task id="a" output={outputs.note}>
            {{ text: "a by old" }}
          </Task>
          <Task id="slow" output={outputs.note}>
            {() => Effect.as(gate.await, { text: "slow by old" })}
          </Task>
          <Task id="gone" output={outputs.note}>
            {{ text: "gone" }}
          </Task>
        </Sequence>
      ))
      const next = write(({ Task, outputs, useCtx }) => {
        const Last = () => {
          const ctx = useCtx()
          const texts = ["a", "slow", "added"].map((nodeId) => ctx.outputMaybe(outputs.note, { nodeId })?.text)
          return (
            <Task id="last" output={outputs.note}>
              {{ text: texts.join(", ") }}
            </Task>
          )
        }
        return (
          <Sequence>
            <Task id="a" output={outputs.note}>
              {{ text: "a by new" }}
            </Task>
            <Task id="slow" output={outputs.note}>
              {{ text: "slow by new" }}
            </Task>
            <Task id="added" output={outputs.note}>
              {{ text: "added by new" }}
            </Task>
            <Last />
          </Sequence>
        )
      })
      const engine = yield* Engine.Engine
      const handle = yield* old.start({}, { runId: "r" })
      yield* rest
      expect(yield* engine.reload("r", next.definition, code)).toEqual([
        { runId: "r", generation: 1, kept: 1, added: 2, removed: 1 },
      ])
      yield* gate.open
      expect(yield* handle.await).toEqual({ text: "a by old, slow by old, added by new" })
    }).pipe(Effect.provide(runtime)),
  )

  it.effect(
    "with a tree that is refused, or a render that throws, leaves the old code running, and the next good one is taken",
    () =>
      Effect.gen(function* () {
        const gate = makeGate()
        const good = (text: string) =>
          write(({ Task, outputs }) => (
            <Sequence>
              <Task id="a" output={outputs.note}>
                {() => Effect.as(gate.await, { text })}
              </Task>
              <Task id="b" output={outputs.note}>
                {{ text }}
              </Task>
            </Sequence>
          ))
        const twice = write(({ Task, outputs }) => (
          <Sequence>
            <Task id="a" output={outputs.note}>
              {{ text: "x" }}
            </Task>
            <Task id="a" output={outputs.note}>
              {{ text: "x" }}
            </Task>
          </Sequence>
        ))
        const throwing = write(() => {
          throw new Error("no such flag")
        })
        const engine = yield* Engine.Engine
        const storage = yield* Storage
        const handle = yield* good("old").start({}, { runId: "r" })
        yield* rest
        const before = yield* storage.events("r")
        const refused = yield* Effect.flip(engine.reload("r", twice.definition, code))
        expect(refused).toMatchObject({ reason: "plan" })
        expect(refused.message).toContain('"a"')
        expect((yield* Effect.flip(engine.reload("r", throwing.definition, code))).message).toContain("no such flag")
        expect(yield* storage.events("r")).toEqual(before)
        expect(yield* engine.reload("r", good("new").definition, code)).toMatchObject([{ generation: 1 }])
        yield* gate.open
        expect(yield* handle.await).toEqual({ text: "new" })
      }).pipe(Effect.provide(runtime)),
  )

  it.effect("goes on in the pass that a loop is in, with the new limit", () =>
    Effect.gen(function* () {
      const gate = makeGate()
      const passes: Array<string> = []
      const looping = (version: string, maxIterations: number) =>
        write(({ Task, outputs }) => (
          <Loop until={false} maxIterations={maxIterations} onMaxReached="return-last">
            <Task id="a" output={outputs.note}>
              {({ iteration }) => {
                passes.push(`${iteration} by ${version}`)
                return iteration === 1 ? Effect.as(gate.await, { text: "x" }) : { text: "x" }
              }}
            </Task>
          </Loop>
        ))
      const engine = yield* Engine.Engine
      const handle = yield* looping("old", 2).start({}, { runId: "r" })
      yield* rest
      yield* engine.reload("r", looping("new", 4).definition, code)
      yield* gate.open
      yield* handle.await
      expect(passes).toEqual(["0 by old", "1 by old", "2 by new", "3 by new"])
    }).pipe(Effect.provide(runtime)),
  )
})
