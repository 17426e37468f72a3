import { describe, expect, it } from "@effect/vitest"
import * as Smithers from "@smithers/core/Smithers"
import { agentFromSchema } from "@smithers/testing/agentFromSchema"
import { planText } from "@smithers/testing/planText"
import { scriptedAgent } from "@smithers/testing/scriptedAgent"
import * as TestRuntime from "@smithers/testing/TestRuntime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createSmithers } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, Loop, Approval, smithers, outputs } = createSmithers({
  report: z.object({ risk: z.enum(["low", "high"]), score: z.number().int().min(1).max(5) }),
})

const reviewing = (agent: ReturnType<typeof agentFromSchema>, noRetry = false) =>
  smithers(() => (
    <Workflow name="review">
      <Task id="review" output={outputs.report} agent={agent} noRetry={noRetry}>
        Review it.
      </Task>
    </Workflow>
  ))

describe("scriptedAgent", () => {
  it.effect("gives its replies in order, corrections and errors included, and keeps what it was asked", () =>
    Effect.gen(function* () {
      const agent = scriptedAgent([
        "I do not know.",
        { risk: "low", score: 9 },
        new Error("overloaded"),
        ({ prompt, context }) => ({ risk: prompt.includes("Review it.") ? "high" : "low", score: context?.attempt ?? 0 }),
      ])
      const result = yield* reviewing(agent).execute({})
      expect(result).toEqual({ risk: "high", score: 2 })
      expect(agent.calls.map(({ prompt }) => prompt.includes("Review it."))).toEqual([true, false, false, true])
      expect(agent.left()).toBe(0)
      agent.assertUsedUp()
    }).pipe(Effect.provide(TestRuntime.layer())),
  )

  it.effect("fails the step at once when its script is used up, and says so", () =>
    Effect.gen(function* () {
      const agent = scriptedAgent([new Error("overloaded")], { name: "analyst" })
      const error = yield* Effect.flip(reviewing(agent).execute({}))
      expect(error.message).toContain(
        'the script of agent "analyst" is exhausted: it has 1 reply, and received another request: "Review it."',
      )
      expect(agent.calls).toHaveLength(2)
    }).pipe(Effect.provide(TestRuntime.layer())),
  )

  it.effect("says which replies are left over, and begins again when it is reset", () =>
    Effect.gen(function* () {
      const agent = scriptedAgent([{ risk: "low", score: 1 }, "more", new Error("no")], { name: "analyst" })
      yield* reviewing(agent).execute({})
      expect(() => agent.assertUsedUp()).toThrow(
        'The script of agent "analyst" has 2 replies left after 1 call. The next is "more".',
      )
      agent.reset()
      expect([agent.left(), agent.calls.length]).toEqual([3, 0])
    }).pipe(Effect.provide(TestRuntime.layer())),
  )
})

describe("agentFromSchema", () => {
  it.effect("answers what fits the schema, the same for the same seed", () =>
    Effect.gen(function* () {
      const outputOf = (seed: number) => reviewing(agentFromSchema({ seed }), true).execute({})
      expect(yield* outputOf(3)).toEqual(yield* outputOf(3))
      const found = new Set<string>()
      for (let seed = 1; seed <= 10; seed++) found.add(JSON.stringify(yield* outputOf(seed)))
      expect(found.size).toBeGreaterThan(2)
    }).pipe(Effect.provide(TestRuntime.layer())),
  )

  const schemas: ReadonlyArray<readonly [string, Schema.Schema.AnyNoContext | z.ZodType]> = [
    ["literals and unions", Schema.Union(Schema.Literal("a", "b"), Schema.Struct({ n: Schema.Int.pipe(Schema.between(3, 4)) }))],
    ["bounded numbers", z.object({ a: z.number().gt(0).lt(1), b: z.number().multipleOf(0.25).max(-1), c: z.int().positive() })],
    [
      "texts",
      z.object({ a: z.string().min(20).max(21), b: z.email(), c: z.uuid(), d: z.iso.datetime(), e: z.string().regex(/^v\d{2}$/) }),
    ],
    ["lists", z.object({ a: z.array(z.boolean()).min(3), b: z.tuple([z.string(), z.number()]), c: z.array(z.int()).max(1) })],
    ["records and optional fields", z.object({ a: z.record(z.string(), z.number()), b: z.string().optional(), c: z.null() })],
    ["intersections", z.intersection(z.object({ a: z.string() }), z.object({ b: z.number() }))],
    [
      "an Effect Schema that is stored in another form",
      Schema.Struct({ at: Schema.Date, n: Schema.NumberFromString.pipe(Schema.int()) }),
    ],
    ["a plain text", z.string()],
  ]
  it.effect.each(schemas)("answers %s", ([, schema]) =>
    Effect.gen(function* () {
      const runtime = TestRuntime.layer()
      const made = createSmithers({ o: schema })
      for (let seed = 1; seed <= 20; seed++) {
        const workflow = made.smithers(() => (
          <made.Workflow name="w">
            <made.Task id="t" output={made.outputs.o} agent={agentFromSchema({ seed })} noRetry corrections={0}>
              Go.
            </made.Task>
          </made.Workflow>
        ))
        yield* Effect.provide(workflow.execute({}), runtime)
      }
    }),
  )

  it.effect("answers schemas that contain themselves", () =>
    Effect.gen(function* () {
      interface Tree {
        readonly name: string
        readonly inside: ReadonlyArray<Tree>
      }
      const Tree: Schema.Schema<Tree> = Schema.Struct({
        name: Schema.String,
        inside: Schema.Array(Schema.suspend(() => Tree)),
      }).annotations({ identifier: "Tree" })
      const made = createSmithers({ o: Tree })
      const workflow = made.smithers(() => (
        <made.Workflow name="w">
          <made.Task id="t" output={made.outputs.o} agent={agentFromSchema()} noRetry>
            Go.
          </made.Task>
        </made.Workflow>
      ))
      expect(yield* workflow.execute({})).toMatchObject({ name: expect.any(String) })
    }).pipe(Effect.provide(TestRuntime.layer())),
  )
})

describe("planText", () => {
  it("tells a plan of either front end, a line per node", () => {
    const drawn = smithers((ctx) => (
      <Workflow name="review">
        <Loop id="rounds" until={ctx.latest("report", "review")?.risk === "low"} maxIterations={3}>
          <Task id="review" output={outputs.report} agent={scriptedAgent([])} retries={1}>
            Review it.
          </Task>
        </Loop>
        <Approval id="release" request={{ title: "Release?" }} />
      </Workflow>
    ))
    expect(planText(drawn)).toMatchInlineSnapshot(`
      "sequence
        loop rounds (maxIterations: 3, onMaxReached: return-last)
          step review (table: report, agents: [scripted], retry: { maxAttempts: 2, backoff: exponential, initialDelay: 1 second, maxDelay: 5 minutes, factor: 2, jitter: true })
        approval release (table: untyped, onDeny: fail)"
    `)
    const built = Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) => {
      const a = $.step("a", { output: Schema.Number, timeout: "1 minute", run: () => 1 })
      const b = $.step("b", { output: Schema.Number, needs: { a }, run: ({ a }) => a })
      return $.sequence(a, $.parallel(b, $.signal("paid", { name: "payment", payload: Schema.Number }), { failFast: true }))
    })
    expect(planText(built)).toMatchInlineSnapshot(`
      "sequence
        step a (table: w_a, timeoutMs: 60000)
        parallel (failFast: true)
          step b (table: w_b, needs: { a: a })
          signal paid (table: w_paid, name: payment)"
    `)
  })
})
