/** The scorers of tasks. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createSmithers, Smithers } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers(
  { note: z.object({ words: z.number() }) },
  { input: z.object({ most: z.number() }) },
)

const onMemory = Effect.provide(Smithers.memory)

it.effect("a task's output is scored by functions of input and output, and by agents", () =>
  Effect.gen(function* () {
    const judge = { name: "judge", generate: () => Promise.resolve({ text: '{"score":0.9,"reason":"good"}' }) }
    const flow = smithers(() => (
      <Workflow name="w">
        <Task
          id="note"
          output={outputs.note}
          scorers={{
            length: ({ input, output }) => output.words / input.most,
            quality: { score: judge, instructions: "Is it good?", sampling: 1, timeout: "1 minute" },
            never: { score: () => 1, sampling: 0 },
          }}
        >
          {{ words: 3 }}
        </Task>
      </Workflow>
    ))
    yield* flow.execute({ most: 4 }, { runId: "r" })
    yield* Smithers.scored
    const all = yield* Smithers.scores({ runId: "r" })
    expect(all.map(({ nodeId, scorer, score, reason }) => [nodeId, scorer, score, reason])).toEqual([
      ["note", "length", 0.75, null],
      ["note", "quality", 0.9, "good"],
    ])
  }).pipe(onMemory),
)

it.effect("a criterion may be a function of what is scored, which also has the time of the attempt", () =>
  Effect.gen(function* () {
    const asked: Array<string> = []
    const judge = {
      name: "judge",
      generate: ({ prompt }: { readonly prompt: string }) => {
        asked.push(prompt)
        return Promise.resolve({ text: '{"score":1,"reason":"good"}' })
      },
    }
    const flow = smithers(() => (
      <Workflow name="w">
        <Task
          id="note"
          output={outputs.note}
          scorers={{
            fast: ({ latencyMs }) => (latencyMs !== undefined && latencyMs >= 0 && latencyMs < 60_000 ? 1 : 0),
            fits: { score: judge, instructions: ({ input, output }) => `Are ${output.words} words at most ${input.most}?` },
            blank: { score: judge, instructions: () => " " },
          }}
        >
          {() => ({ words: 3 })}
        </Task>
      </Workflow>
    ))
    yield* flow.execute({ most: 4 }, { runId: "r" })
    yield* Smithers.scored
    const all = yield* Smithers.scores({ runId: "r" })
    expect(all.map(({ scorer, score, error }) => [scorer, score ?? error?.message])).toEqual([
      ["blank", 'Scorer "blank" must return instructions that are text and not blank, and returned a string'],
      ["fast", 1],
      ["fits", 1],
    ])
    expect(asked).toEqual([expect.stringMatching(/^Judge the output of a task by one criterion: Are 3 words at most 4\?/)])
  }).pipe(onMemory),
)

const one = (): number => 1

it.effect.each([
  ["all", `"scorers" must be an object of scorers by name`],
  [{ a: 5 }, `"scorers.a" must be a function, or an object with a "score"`],
  [{ a: {} }, `"scorers.a.score" must be a function, or an agent that judges`],
  [{ a: { score: one, sampling: 2 } }, `"scorers.a.sampling" must be a number from 0 to 1`],
  [{ a: { score: one, rate: 1 } }, `"scorers.a" has no option "rate"; there are score, instructions, sampling, timeout`],
  [{ a: { score: one, instructions: " " } }, `"scorers.a.instructions" must be text, or a function that returns it`],
  [{ a: { score: one, timeout: "soon" } }, `"scorers.a.timeout" "soon" is not a duration`],
] as const)("scorers that are %j are refused, with the reason", ([scorers, problem]) =>
  Effect.gen(function* () {
    const flow = smithers(() => (
      <Workflow name="w">
        <Task id="a" output={outputs.note} scorers={scorers as never}>
          {{ words: 1 }}
        </Task>
      </Workflow>
    ))
    const error = yield* Effect.flip(flow.execute({ most: 1 }))
    expect(error.message).toContain(problem)
  }).pipe(onMemory),
)
