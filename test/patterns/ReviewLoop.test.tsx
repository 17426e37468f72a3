/** @jsxImportSource smithers-orchestrator */
import { ReviewLoop } from "smithers-orchestrator/patterns"
import { describe, expect, it } from "vitest"
import { agent, crash, down, failure, outcome, outputs, plan, prompts } from "./Fixture.tsx"

const drafts = (...texts: ReadonlyArray<string>) => agent("producer", ...texts.map((text) => ({ text })))
const no = (feedback: string) => ({ approved: false, feedback })

const loop = (producer = drafts("a"), reviewer = agent("reviewer", { approved: true }), more = {}) => (
  <ReviewLoop
    id="post"
    producer={producer}
    reviewer={reviewer}
    produceOutput={outputs.draft}
    reviewOutput={outputs.review}
    {...more}
  >
    Write a post.
  </ReviewLoop>
)

describe("ReviewLoop", () => {
  it("is a loop of two tasks, and one for the outcome", () => {
    expect(plan(() => loop())).toMatchInlineSnapshot(`
      "
      sequence
        sequence
          loop post:rounds (maxIterations: 3, onMaxReached: return-last)
            sequence
              step post:produce (table: draft, agents: [producer])
              step post:review (table: review, agents: [reviewer])
          step post (table: untyped, retry: { maxAttempts: 1, backoff: exponential, initialDelay: 1 second, maxDelay: 5 minutes, factor: 2, jitter: true })"
    `)
  })

  it("ends with the first approval, and pays for nothing more", async () => {
    const [producer, reviewer] = [drafts("a", "b", "c"), agent("reviewer", no("longer"), { approved: true }, { approved: true })]
    expect(await outcome(() => loop(producer, reviewer))).toEqual({
      outcome: "approved",
      rounds: 2,
      draft: { text: "b" },
      review: { approved: true },
    })
    expect([producer.left(), reviewer.left()]).toEqual([1, 1])
  })

  it("feeds the review into the next draft, and the draft into the review", async () => {
    const [producer, reviewer] = [drafts("a", "b"), agent("reviewer", no("longer"), { approved: true })]
    await outcome(() => loop(producer, reviewer))
    expect(prompts(producer)[0]).not.toContain("last draft")
    expect(prompts(producer)[1]).toMatch(/Write a post\..*Your last draft.*"a".*longer/s)
    expect(prompts(reviewer)[1]).toMatch(/The draft.*"b".*longer.*Write a post\./s)
  })

  it("fails the run when it is exhausted, or goes on with the last draft", async () => {
    const scripts = () => [drafts("a", "b", "c"), agent("reviewer", no("1"), no("2"), no("3"))] as const
    expect(await failure(() => loop(...scripts()))).toContain('"post" was not approved in 3 rounds (exhausted)')
    const [producer, reviewer] = scripts()
    const accepted = await outcome(() => loop(producer, reviewer, { onExhausted: "accept", maxIterations: 2 }))
    expect(accepted).toMatchObject({ outcome: "exhausted", rounds: 2, draft: { text: "b" }, review: no("2") })
    expect(producer.left()).toBe(1)
  })

  it("ends as stalled where a draft is the one before", async () => {
    const [producer, reviewer] = [drafts("a", "a", "a"), agent("reviewer", no("1"), no("2"), no("3"))]
    expect(await outcome(() => loop(producer, reviewer, { onExhausted: "accept" }))).toMatchObject({
      outcome: "stalled",
      rounds: 2,
    })
    expect(producer.left()).toBe(1)
  })

  it("fails with a participant, or stops as failed", async () => {
    expect(await failure(() => loop(drafts("a"), agent("reviewer", down)))).toContain("the agent is down")
    const stopped = await outcome(() => loop(drafts("a"), agent("reviewer", down), { onParticipantFailure: "stop" }))
    expect(stopped).toMatchObject({ outcome: "failed", rounds: 1, draft: { text: "a" } })
    const second = [drafts("a", "b"), agent("reviewer", no("1"), down)] as const
    const later = await outcome(() => loop(...second, { onParticipantFailure: "stop" }))
    expect(later).toMatchObject({ outcome: "failed", rounds: 2, draft: { text: "b" } })
    expect(later).not.toHaveProperty("review")
  })

  it("survives a crash at every commit", async () => {
    const agents = [drafts("a", "b"), agent("reviewer", no("longer"), { approved: true })] as const
    await crash(agents, () => loop(...agents))
  })

  it("makes another value of its outcome", async () => {
    const result = ({ draft }: { readonly draft: unknown }) => draft
    expect(await outcome(() => loop(drafts("a"), undefined, { output: outputs.draft, result }))).toEqual({ text: "a" })
  })

  it("leaves no task where it is skipped", () => {
    expect(plan(() => loop(undefined, undefined, { skipIf: true }))).not.toContain("post")
  })
})
