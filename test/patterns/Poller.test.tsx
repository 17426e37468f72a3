/** @jsxImportSource smithers-orchestrator */
import * as Stream from "effect/Stream"
import { Smithers } from "smithers-orchestrator"
import { Poller, type PollerProps } from "smithers-orchestrator/patterns"
import { TestRuntime } from "smithers-orchestrator/testing"
import { describe, expect, it } from "vitest"
import { agent, crash, down, failure, of, outcome, outputs, plan, Task } from "./Fixture.tsx"

const answers = (...all: ReadonlyArray<boolean | Error>) =>
  agent("checker", ...all.map((one) => (one instanceof Error ? one : { satisfied: one })))

const poll = (checker: PollerProps<typeof outputs.check>["checker"], more = {}) => (
  <Poller id="deploy" checker={checker} checkOutput={outputs.check} {...more}>
    Is it up?
  </Poller>
)

describe("Poller", () => {
  it("is a loop of a check and a pause", () => {
    expect(plan(() => poll(answers(true)))).toMatchInlineSnapshot(`
      "
      sequence
        sequence
          loop deploy:polls (maxIterations: 100, onMaxReached: return-last)
            sequence
              step deploy:check (table: check, agents: [checker])
              timer deploy:pause
          step deploy (table: untyped, retry: { maxAttempts: 1, backoff: exponential, initialDelay: 1 second, maxDelay: 5 minutes, factor: 2, jitter: true })"
    `)
  })

  it("pauses longer each time, and not after the last check", async () => {
    const lengths = async (more: object) => {
      const at: Array<number> = []
      await using runtime = TestRuntime.make()
      const checker: PollerProps<typeof outputs.check>["checker"] = ({ id }) => (
        <Task id={id} output={outputs.check}>
          {async () => ({ satisfied: at.push(await runtime.now()) === 5 })}
        </Task>
      )
      const started = await runtime.start(
        of(() => poll(checker, more)),
        {},
      )
      const { status } = await started.result()
      expect(status).toBe("finished")
      return at.slice(1).map((time, index) => (time - (at[index] ?? 0)) / 1000)
    }
    expect(await lengths({})).toEqual([30, 60, 120, 240])
    expect(await lengths({ backoff: "linear", intervalMs: 1000 })).toEqual([1, 2, 3, 4])
    expect(await lengths({ backoff: "fixed", intervalMs: 2000 })).toEqual([2, 2, 2, 2])
    expect(await lengths({ maxIntervalMs: 100_000 })).toEqual([30, 60, 100, 100])
  })

  it("costs two small frames per pass", async () => {
    await using runtime = TestRuntime.make()
    const framesOf = async (checks: number) => {
      const runId = `r${checks}`
      const workflow = of(() => poll(answers(...Array.from({ length: checks }, (_, index) => index + 1 === checks))))
      await (await runtime.start(workflow, {}, { runId })).result()
      return await runtime.runPromise(Stream.runCount(Smithers.timeline(runId)))
    }
    expect((await framesOf(12)) - (await framesOf(2))).toBe(20)
  })

  it("gives the last check and their number", async () => {
    expect(await outcome(() => poll(answers(false, true)))).toEqual({ outcome: "satisfied", checks: 2, last: { satisfied: true } })
  })

  it("fails where it is exhausted or out of time, or goes on", async () => {
    const no = () => answers(...Array.from({ length: 20 }, () => false))
    expect(await failure(() => poll(no(), { maxIterations: 3 }))).toContain('"deploy" was not satisfied in 3 checks (exhausted)')
    expect(await outcome(() => poll(no(), { maxIterations: 3, onExhausted: "accept" }))).toMatchObject({ outcome: "exhausted" })
    expect(await failure(() => poll(no(), { timeout: "10m" }))).toContain("(timedOut)")
    const late = await outcome(() => poll(no(), { timeout: "10m", onExhausted: "accept" }))
    expect(late).toEqual({ outcome: "timedOut", checks: 5, last: { satisfied: false } })
  })

  it("fails with a check, or counts it as not satisfied", async () => {
    expect(await failure(() => poll(answers(down)))).toContain("the agent is down")
    const found = await outcome(() => poll(answers(down, false, true), { onParticipantFailure: "retry" }))
    expect(found).toMatchObject({ outcome: "satisfied", last: { satisfied: true } })
  })

  it("survives a crash at every commit", async () => {
    const checker = answers(false, true)
    await crash([checker], () => poll(checker))
  })
})
