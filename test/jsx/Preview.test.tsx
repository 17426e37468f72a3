/** What edited components would make of a run. */
import { describe, expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import * as PlanText from "@smithers/core/PlanText"
import { preview } from "@smithers/core/Preview"
import * as Smithers from "@smithers/core/Smithers"
import { Approval, Loop } from "@smithers/jsx/components"
import { createSmithers } from "@smithers/jsx/Workflow"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ note: z.string() })

/** Writes a note, in a loop that stands behind others, and once there is one waits for somebody to approve. */
const drawn = (approval: string, others = 0) =>
  smithers((ctx) => (
    <Workflow name="drawn">
      {Array.from({ length: others }, (_, index) => (
        <Loop key={index} until={false} maxIterations={2}>
          <Task id={`other-${index}`}>x</Task>
        </Loop>
      ))}
      <Loop until={ctx.outputMaybe(outputs.note) !== undefined} maxIterations={2}>
        <Task id="a" output={outputs.note}>
          x
        </Task>
      </Loop>
      {ctx.outputMaybe(outputs.note) === undefined ? null : <Approval id={approval} request={{ title: "?" }} />}
    </Workflow>
  ))

describe("a preview of components", () => {
  it.effect("is drawn with the outputs of the run, and its loops keep the names that they have", () =>
    Effect.gen(function* () {
      yield* drawn("ok").run({}, { runId: "r" })
      const { before, after } = yield* preview(drawn("fine", 1).definition, "r")
      const changes = PlanText.diff(before, Either.getOrThrow(after))
      const loops = [...before.positions.keys()].filter((id) => id.startsWith("loop:"))
      expect(loops).toHaveLength(1)
      expect(PlanText.changed(changes, "kept")).toEqual([...loops, "a"])
      expect(PlanText.changed(changes, "removed")).toEqual(["ok"])
      expect(PlanText.changed(changes, "added")).toContain("fine")
    }).pipe(Effect.provide(Layer.merge(Smithers.memory, AgentProgram.layer))),
  )
})
