/** Annotations of the logs of attempts, where no tracer is provided. */
import { describe, expect, it } from "@effect/vitest"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Logger from "effect/Logger"
import { runningOn, Text, workflow } from "./Flows.ts"

describe("the logs of attempts", () => {
  it.live("name the step, its pass and its attempt, beside others that run at the same time, and in a run inside a step", () => {
    const said: Array<string> = []
    const logger = Logger.make(({ annotations, message }) => {
      const of = (name: string) => String(HashMap.unsafeGet(annotations, name))
      said.push(`${message}: ${["runId", "workflow", "nodeId", "iteration", "attempt", "request"].map(of).join(" ")}`)
    })
    const inner = workflow(($) => $.step("in", { output: Text, run: () => Effect.as(Effect.log("inside"), "in") }), "inner")
    const w = workflow(($) => {
      const step = (id: string, fails: number) =>
        $.step(id, {
          output: Text,
          retry: { maxAttempts: 3, initialDelay: 1, jitter: false },
          run: ({ attempt }) =>
            Effect.zipRight(Effect.log(id), attempt > fails ? Effect.succeed(id) : Effect.fail(new Error("not yet"))),
        })
      return $.sequence(
        $.parallel(step("a", 1), step("b", 0)),
        $.loop({ id: "loop", body: step("c", 0), until: () => false, maxIterations: 2 }),
        $.step("out", {
          output: Text,
          run: () => Effect.zipLeft(inner.execute({}, { runId: "i" }), Effect.log("out")),
        }),
      )
    })
    return w.execute({}, { runId: "r" }).pipe(
      Effect.annotateLogs("request", 7),
      runningOn(MemoryStorage.layer),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Effect.andThen(() =>
        expect(said.toSorted()).toEqual([
          "a: r w a 0 1 7",
          "a: r w a 0 2 7",
          "b: r w b 0 1 7",
          "c: r w c 0 1 7",
          "c: r w c 1 1 7",
          "inside: i inner in 0 1 7",
          "out: r w out 0 1 7",
        ]),
      ),
    )
  })
})
