/** @jsxImportSource smithers-orchestrator */
import { ClassifyAndRoute } from "smithers-orchestrator/patterns"
import { describe, expect, it } from "vitest"
import { agent, crash, down, failure, outcome, outputs, plan, prompts } from "./Fixture.tsx"

/** Answers by the item that the prompt names. */
const classifier = (classes: { readonly [item: string]: object | Error }) => {
  const entries = Object.entries(classes)
  return agent(
    "classifier",
    ...entries.map(
      () =>
        ({ prompt }: { readonly prompt: string }) =>
          entries.find(([item]) => prompt.includes(`item\n\n${item}`))?.[1],
    ),
  )
}
const handlers = (count = 3) => agent("handler", ...Array.from({ length: count }, (_, index) => ({ text: `${index}` })))

const route = (items: ReadonlyArray<string>, classes: Parameters<typeof classifier>[0], more = {}) => (
  <ClassifyAndRoute
    id="mail"
    items={items}
    classifier={classifier(classes)}
    classifyOutput={outputs.category}
    routes={{ bug: handlers(), idea: handlers() }}
    routeOutput={outputs.draft}
    {...more}
  >
    Handle the mail.
  </ClassifyAndRoute>
)

describe("ClassifyAndRoute", () => {
  it("classifies all items at the same time; a specialist joins once the category is known", () => {
    expect(plan(() => route(["m1", "m2"], {}))).toMatchInlineSnapshot(`
      "
      sequence
        sequence
          scope mail:items
            foreach (maxConcurrency: Infinity, isSettled: true)
              scope mail:items[m1] (part: m1, isCatching: true)
                sequence
                  step mail:classify:m1 (table: category, agents: [classifier])
              scope mail:items[m2] (part: m2, isCatching: true)
                sequence
                  step mail:classify:m2 (table: category, agents: [classifier])
          step mail (table: untyped, retry: { maxAttempts: 1, backoff: exponential, initialDelay: 1 second, maxDelay: 5 minutes, factor: 2, jitter: true })"
    `)
  })

  it("hands each item to the specialist of its category", async () => {
    const [bugs, ideas] = [handlers(), handlers()]
    const classes = { m1: { category: "bug" }, m2: { category: "idea" }, m3: { category: "bug" } }
    const found = await outcome(() => route(["m1", "m2", "m3"], classes, { routes: { bug: bugs, idea: ideas } }))
    expect(found).toMatchObject({
      outcome: "routed",
      items: [
        { key: "m1", category: "bug", outcome: "routed" },
        { key: "m2", category: "idea", outcome: "routed", answer: { text: "0" } },
        { key: "m3", category: "bug", outcome: "routed" },
      ],
    })
    expect([bugs.left(), ideas.left()]).toEqual([1, 2])
    expect(prompts(ideas)[0]).toMatch(/Handle the mail\..*The item.*m2/s)
  })

  it("sends what is unknown or too uncertain otherwise, or says that it is unrouted", async () => {
    const classes = { m1: { category: "spam", confidence: 1 }, m2: { category: "bug", confidence: 0.3 }, m3: { category: "bug" } }
    const more = { minConfidence: 0.5 }
    const items = ["m1", "m2", "m3"]
    expect(await outcome(() => route(items, classes, { ...more, otherwise: handlers() }))).toMatchObject({
      outcome: "routed",
      items: [{ outcome: "otherwise", category: "spam" }, { outcome: "otherwise" }, { outcome: "otherwise" }],
    })
    expect(await outcome(() => route(items, classes, more))).toMatchObject({
      outcome: "partial",
      items: [{ outcome: "unrouted", category: "spam" }, { outcome: "unrouted", category: "bug" }, { outcome: "unrouted" }],
    })
  })

  it("marks items whose participant fails, or fails with it; others go on", async () => {
    const classes = { m1: down, m2: { category: "idea" }, m3: { category: "bug" } }
    const routes = { bug: agent("bugs", down), idea: handlers() }
    expect(await outcome(() => route(["m1", "m2", "m3"], classes, { routes }))).toMatchObject({
      outcome: "partial",
      items: [{ outcome: "failed" }, { outcome: "routed" }, { outcome: "failed", category: "bug" }],
    })
    expect(await failure(() => route(["m1"], classes, { onParticipantFailure: "fail" }))).toContain("the agent is down")
  })

  it("says that there was nothing to route, and is refused without routes", async () => {
    expect(await outcome(() => route([], {}))).toEqual({ outcome: "empty", items: [] })
    await expect(outcome(() => route([], {}, { routes: {} }))).rejects.toThrow(/has no "routes"/)
  })

  it("survives a crash at every commit", async () => {
    const [first, bugs] = [classifier({ m1: { category: "bug" }, m2: { category: "spam" } }), handlers()]
    await crash([first, bugs], () => route(["m1", "m2"], {}, { classifier: first, routes: { bug: bugs } }))
  })
})
