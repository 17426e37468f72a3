/** @jsxImportSource smithers-orchestrator */
import { EscalationChain, type Work } from "smithers-orchestrator/patterns"
import { TestRuntime } from "smithers-orchestrator/testing"
import { describe, expect, it } from "vitest"
import { agent, crash, down, failure, of, outcome, outputs, plan, prompts, Task } from "./Fixture.tsx"

const says = (name: string, sure: boolean) => agent(name, { answer: name, sure })

const chain = (levels: object, more = {}) => (
  <EscalationChain id="help" levels={{ ...levels }} levelOutput={outputs.answer} escalateIf={({ sure }) => !sure} {...more}>
    It is broken.
  </EscalationChain>
)

describe("EscalationChain", () => {
  it("begins with its first level alone", () => {
    expect(plan(() => chain({ small: says("small", true), large: says("large", true) }))).toMatchInlineSnapshot(`
      "
      sequence
        sequence
          scope help:level:small:try
            foreach (isSettled: true)
              scope help:level:small:try[small] (part: small, isCatching: true)
                step help:level:small (table: answer, agents: [small])
          step help (table: untyped, retry: { maxAttempts: 1, backoff: exponential, initialDelay: 1 second, maxDelay: 5 minutes, factor: 2, jitter: true })"
    `)
  })

  it("ends with the first level whose answer is not escalated, and pays no other", async () => {
    const large = says("large", true)
    expect(await outcome(() => chain({ small: says("small", true), large }))).toEqual({
      outcome: "answered",
      level: "small",
      answer: { answer: "small", sure: true },
      tried: [],
    })
    expect(large.left()).toBe(1)
  })

  it("tells the next level what was tried in vain, an answer or a failure", async () => {
    const large = says("large", true)
    const found = await outcome(() => chain({ small: says("small", false), middle: agent("middle", down), large }))
    expect(found).toMatchObject({ outcome: "answered", level: "large", tried: [{ level: "small" }, { level: "middle" }] })
    expect(prompts(large)[0]).toMatch(/It is broken\..*Tried before.*"small".*"middle".*the agent is down/s)
  })

  it("goes to the next level where one is late", async () => {
    const slow = ({ id, output }: Work) => (
      <Task id={id} output={output}>
        {() => new Promise<never>(() => {})}
      </Task>
    )
    expect(await outcome(() => chain({ slow, large: says("large", true) }, { timeout: "10m" }))).toMatchObject({
      outcome: "answered",
      level: "large",
      tried: [{ level: "slow", failure: expect.stringContaining("not over within") }],
    })
  })

  it("fails where no level has an answer, or goes on", async () => {
    expect(await failure(() => chain({ small: says("small", false) }))).toContain('no level of "help" has an answer')
    expect(await outcome(() => chain({ small: says("small", false) }, { onExhausted: "accept" }))).toMatchObject({
      outcome: "exhausted",
    })
    expect(await outcome(() => chain({}, { onExhausted: "accept" }))).toEqual({ outcome: "exhausted", tried: [] })
    expect(await failure(() => chain({ small: agent("small", down) }, { onParticipantFailure: "fail" }))).toContain("is down")
  })

  it("ends with a person where asked, who is told what was tried", async () => {
    await using runtime = TestRuntime.make()
    const started = await runtime.start(
      of(() => chain({ small: says("small", false) }, { human: true })),
      {},
      { runId: "r" },
    )
    const wait = await runtime.waitFor("r", "help:human")
    expect(JSON.stringify(wait.request)).toMatch(/It is broken\..*Tried before.*small/)
    await runtime.answer("r", "help:human", { answer: "by hand", sure: true })
    expect(await started.output()).toMatchObject({ outcome: "human", level: "human", answer: { answer: "by hand", sure: true } })
  })

  it("is exhausted where the person does not answer in time, and asks nobody where a level has answered", async () => {
    const human = { timeout: "1d" }
    await using runtime = TestRuntime.make()
    const workflow = of(() => chain({ small: says("small", false) }, { human }))
    const started = await runtime.start(workflow, {}, { runId: "r" })
    await runtime.waitFor("r", "help:human")
    await runtime.advance("1 day")
    expect(await started.result()).toMatchObject({ status: "failed", error: { message: expect.stringContaining("no level of") } })
    expect(await outcome(() => chain({ small: says("small", true) }, { human }))).toMatchObject({ outcome: "answered" })
  })

  it("survives a crash at every commit", async () => {
    const [small, large] = [says("small", false), says("large", true)]
    await crash([small, large], () => chain({ small, large }))
  })
})
