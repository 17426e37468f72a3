/**
 * Bounds by default, from end to end: each stops what it bounds with a stored reason, which `why` tells with the option that lifts it, and
 * each is shown with the plan that it holds in.
 */
import * as AgentProgram from "@smithers/agents/AgentProgram"
import { defineTool } from "@smithers/agents/defineTool"
import * as BoundsText from "@smithers/cli/BoundsText"
import * as Bounds from "@smithers/core/Bounds"
import * as PlanBounds from "@smithers/core/PlanBounds"
import * as PlanText from "@smithers/core/PlanText"
import { why } from "@smithers/server/views/Why"
import { MockLanguageModelV4 } from "ai/test"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createAgent, createSmithers, ForEach, Loop, Parallel, renderPlan, Smithers } from "smithers-orchestrator"
import { ClaudeCodeAgent } from "smithers-orchestrator/agents"
import { describe, expect, it } from "vitest"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ text: z.string() })
const Input = Schema.Struct({})
type Builder = Smithers.Builder<typeof Input.Type>
const flow = <A,>(build: ($: Builder) => Smithers.Node<A>, name = "w"): Smithers.Workflow<object, A> =>
  Smithers.createWorkflow({ name, input: Input }).build(build)

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
}
/** A model that only calls its tool. */
const restless = (toolCalls = 1) =>
  new MockLanguageModelV4({
    doGenerate: async () => ({
      content: Array.from({ length: toolCalls }, (_, index) => ({
        type: "tool-call" as const,
        toolCallId: `c${index}`,
        toolName: "look",
        input: "{}",
      })),
      finishReason: { unified: "tool-calls" as const, raw: undefined },
      usage,
      warnings: [],
    }),
  })
const look = (isPolling: boolean) =>
  defineTool({ description: "Looks.", input: Schema.Struct({}), isReadOnly: true, isPolling, execute: () => "the same" })
const asking = (agent: ReturnType<typeof createAgent>) =>
  flow(($) => $.step("ask", { agent, prompt: "Look.", output: Schema.String, retry: false, corrections: 20 }))

const Deep: Smithers.Workflow<object, unknown> = flow(
  ($): Smithers.Node<unknown> => $.subflow("deeper", { workflow: () => Deep, input: {}, maxDepth: 2 }),
  "deep",
)

const stopped: ReadonlyArray<readonly [bound: Bounds.Name, option: string, workflow: () => Smithers.Workflow<object, unknown>]> = [
  [
    "passes",
    "maxIterations",
    () =>
      smithers((ctx) => (
        <Workflow name="w">
          <Loop id="fix" until={ctx.outputMaybe("text", { nodeId: "one" }) === "never"}>
            <Task id="one" output={outputs.text}>
              again
            </Task>
          </Loop>
        </Workflow>
      )) as unknown as Smithers.Workflow<object, unknown>,
  ],
  [
    "items",
    "maxItems",
    () =>
      smithers(() => (
        <Workflow name="w">
          <ForEach id="list" items={["a", "b", "c"]} maxItems={2}>
            {(item) => (
              <Task id={`${item}:work`} output={outputs.text}>
                {() => {
                  throw new Error("begun")
                }}
              </Task>
            )}
          </ForEach>
        </Workflow>
      )) as unknown as Smithers.Workflow<object, unknown>,
  ],
  ["depth", "maxDepth", () => Deep],
  [
    "agentCalls",
    "agentCalls",
    () => asking(createAgent({ name: "a", model: restless(), tools: { look: look(true) }, maxSteps: 300 })),
  ],
  [
    "toolCalls",
    "toolCalls",
    () => asking(createAgent({ name: "a", model: restless(30), tools: { look: look(true) }, maxSteps: 300 })),
  ],
  ["rounds", "maxSteps", () => asking(createAgent({ name: "a", model: restless(), tools: { look: look(true) }, maxSteps: 2 }))],
  ["repetitions", "isPolling", () => asking(createAgent({ name: "a", model: restless(), tools: { look: look(false) } }))],
]

describe("a bound that holds by default", () => {
  it.each(stopped)("stops the run with a stored reason, which why tells with the way on: %s", async (_, option, workflow) => {
    const runtime = Layer.merge(Smithers.memory, AgentProgram.layer)
    const program = Effect.gen(function* () {
      const result = yield* workflow().run({}, { runId: "r" })
      expect(result.status).toBe("failed")
      const details = yield* Smithers.inspect("r")
      expect(details.failure).not.toBeNull()
      return why({ details, waits: [], now: Date.now(), isOwnerAlive: false })
    })
    const { reason, sentence, commands } = await Effect.runPromise(Effect.provide(program, runtime))
    expect(reason).toBe("failed")
    expect(sentence).toContain(option)
    expect(sentence).not.toContain("begun")
    expect(commands[0]).toContain("--resume")
  })

  it("of the children of a group refuses the plan with the option that lifts it", () => {
    const many = (count: number, more: object = {}) =>
      smithers(() => (
        <Workflow name="w">
          <Parallel {...more}>
            {Array.from({ length: count }, (_, index) => (
              <Task key={index} id={`t${index}`} output={outputs.text}>
                x
              </Task>
            ))}
          </Parallel>
        </Workflow>
      ))
    expect(() => renderPlan(many(4, { maxItems: 3 }))).toThrow('it has 4 children, and may have 3: raise its "maxItems"')
    expect(renderPlan(many(4, { maxItems: Number.POSITIVE_INFINITY })).tasks).toHaveLength(4)
    expect(() => flow(($) => $.parallel($.step("a", { output: Schema.Void, run: () => undefined }), { maxItems: 0 }))).toThrow(
      '"maxItems" must be a whole number of at least 1',
    )
  })

  it("is shown with the plan that it holds in, beside those that are set, each with its option", () => {
    const agent = createAgent({ name: "writer", model: restless() })
    const programs = ClaudeCodeAgent({ name: "coder", idleTimeout: "1 minute" })
    const { plan } = flow(($) =>
      $.sequence(
        $.loop({
          id: "fix",
          body: $.step("write", { agent: [agent, programs], prompt: "x", output: Schema.String }),
          until: () => true,
          maxIterations: 3,
        }),
        $.map({ id: "list", items: () => ["a"], body: () => $.step("one", { output: Schema.Void, run: () => undefined }) }),
        $.step("free", { agent, prompt: "x", output: Schema.String, budget: { agentCalls: Number.POSITIVE_INFINITY } }),
        $.subflow("child", { workflow: () => Deep, input: {}, maxDepth: 5 }),
      ),
    )
    const bounds = PlanBounds.inForce(PlanText.decode(plan.text))
    const shown = bounds.map(({ nodeId, bound, limit, isDefault }) => [nodeId, bound, limit, isDefault])
    expect(shown).toEqual([
      ["fix", "passes", 3, false],
      ["write", "agentCalls", 200, true],
      ["write", "toolCalls", 1000, true],
      ["write", "corrections", 2, true],
      ["write", "rounds", 20, true],
      ["write", "silence", 60_000, false],
      ["write", "programTime", 7_200_000, true],
      ["list", "items", 10_000, true],
      ["free", "agentCalls", "Infinity", false],
      ["free", "toolCalls", 1000, true],
      ["free", "corrections", 2, true],
      ["free", "rounds", 20, true],
      ["child", "depth", 5, false],
    ])
    for (const one of bounds) expect(Schema.is(PlanBounds.BoundInForce)(one)).toBe(true)
    const text = BoundsText.ofPlan(bounds)
    expect(text).toContain("3 passes of a loop")
    expect(text).toMatch(/1 minute without progress of a command-line agent coder +set +idleTimeout +write/)
    expect(text).toMatch(/1,000 calls of tools by a step in an iteration +default +budget\.toolCalls +write, free/)
    expect(text).toMatch(/no limit: calls of models by a step in an iteration +set +budget\.agentCalls +free/)
    expect(BoundsText.ofPlan([])).toBe("")
  })
})

describe("the table of bounds", () => {
  it("names for each bound its number, its option, and either the stored error or the words of the model", () => {
    for (const name of Bounds.names) {
      const { limit, option, where, reaction } = Bounds.byDefault[name]
      expect(limit).toBeGreaterThan(0)
      expect([option, reaction].includes("")).toBe(false)
      expect(where === "").toBe(option === "none")
      expect(Bounds.text(name)).toMatch(/^\d[\d,]* /)
    }
    expect(Bounds.text("silence")).toBe("15 minutes without progress of a command-line agent")
    expect(Bounds.text("commandOutput")).toBe("64 MiB that a command of a tool writes")
    expect(Bounds.text("passes", 1)).toBe("1 pass of a loop")
    expect(Bounds.amountText("silence", 1500)).toBe("1,500 ms")
  })

  it("is what the help of up lists", () => {
    expect(BoundsText.defaults.map(([option]) => option)).toContain("budget.agentCalls")
    expect(BoundsText.defaults).toHaveLength(Bounds.names.length - 1)
  })
})
