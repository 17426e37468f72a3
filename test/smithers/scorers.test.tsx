/**
 * The subpath for scorers of Smithers 0.x: what its makers make is scored like ours.
 */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createSmithers, Smithers } from "smithers-orchestrator"
import * as Scorers from "smithers-orchestrator/scorers"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ note: z.object({ text: z.string() }) })

/** The scores of a task by name, each as its score and reason, or its error. */
const scoresOf = (scorers: Scorers.ScorersMap, run: () => { text: string } | Promise<{ text: string }>) =>
  Effect.gen(function* () {
    const flow = smithers(() => (
      <Workflow name="w">
        <Task id="note" output={outputs.note} scorers={scorers}>
          {run}
        </Task>
      </Workflow>
    ))
    yield* flow.execute({ topic: "cats" }, { runId: "r" })
    yield* Smithers.scored
    const all = yield* Smithers.scores({ runId: "r" })
    return Object.fromEntries(all.map(({ scorer, score, reason, error }) => [scorer, [score, reason ?? error?.message]]))
  }).pipe(Effect.provide(Smithers.memory))

const named = (id: string) => ({ id, name: id, description: id })

it.effect("createScorer scores by its function, with samplings of 0.x", () =>
  Effect.gen(function* () {
    const scorer = Scorers.createScorer({
      ...named("length"),
      score: async ({ output }) => ({
        score: (output as { text: string }).text.length / 10,
        reason: "its length",
        meta: { any: 1 },
      }),
    })
    const none = { scorer, sampling: { type: "none" } } as const
    expect(yield* scoresOf({ length: { scorer, sampling: { type: "all" } }, none }, () => ({ text: "hello" }))).toEqual({
      length: [0.5, "its length"],
    })
  }),
)

it.effect("llmJudge asks its agent by instructions and template, and what cannot be read is no score", () =>
  Effect.gen(function* () {
    const asked: Array<string> = []
    const judgeThat = (text: string) => ({
      name: "judge",
      generate: ({ prompt }: { readonly prompt: string }) => {
        asked.push(prompt)
        return Promise.resolve({ text })
      },
    })
    const good = judgeThat('{"score":0.75,"reason":"fine"}')
    const tone = Scorers.llmJudge({
      ...{ ...named("tone"), judge: good, instructions: "Judge the tone." },
      promptTemplate: ({ input, output }) => `About ${JSON.stringify(input)}: ${JSON.stringify(output)}`,
    })
    const mute = Scorers.llmJudge({ ...named("mute"), judge: judgeThat("I cannot say."), instructions: "Judge." })
    const scores = yield* scoresOf({ tone: { scorer: tone }, mute: { scorer: mute } }, () => ({ text: "hello" }))
    expect(scores).toEqual({ tone: [0.75, "fine"], mute: [null, expect.stringContaining("JSON")] })
    expect(asked.find((prompt) => prompt.includes("Judge the tone."))).toContain(
      'Judge the tone.\n\nAbout {"topic":"cats"}: {"text":"hello"}',
    )
    const three = [Scorers.relevancyScorer, Scorers.toxicityScorer, Scorers.faithfulnessScorer]
    const map = Object.fromEntries(three.map((make) => make(good)).map((scorer) => [scorer.id, { scorer }]))
    expect(yield* scoresOf(map, () => ({ text: "hello" }))).toEqual({
      relevancy: [0.75, "fine"],
      toxicity: [0.75, "fine"],
      faithfulness: [0.75, "fine"],
    })
  }),
)

it.live("latencyScorer scores by the time of the attempt, and schemaAdherenceScorer what was accepted", () =>
  Effect.gen(function* () {
    const slow = () => new Promise<{ text: string }>((resolve) => setTimeout(() => resolve({ text: "late" }), 60))
    const scores = yield* scoresOf(
      {
        wide: { scorer: Scorers.latencyScorer({ targetMs: 60_000, maxMs: 120_000 }) },
        between: { scorer: Scorers.latencyScorer({ targetMs: 0, maxMs: 120_000 }) },
        narrow: { scorer: Scorers.latencyScorer({ targetMs: 1, maxMs: 30 }) },
        schema: { scorer: Scorers.schemaAdherenceScorer() },
      },
      slow,
    )
    expect([scores.wide?.[0], scores.narrow?.[0], scores.schema?.[0]]).toEqual([1, 0, 1])
    expect(scores.between?.[0]).toBeGreaterThan(0.5)
    expect(scores.between?.[0]).toBeLessThan(1)
    expect(scores.narrow?.[1]).toMatch(/^took \d+ ms$/)
  }),
)
