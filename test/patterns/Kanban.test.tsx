/** @jsxImportSource smithers-orchestrator */
import { Kanban } from "smithers-orchestrator/patterns"
import { describe, expect, it } from "vitest"
import { agent, crash, down, failure, outcome, outputs, plan, prompts, Task } from "./Fixture.tsx"

/** Answers by the card that the prompt names. */
const worker = (name: string, broken: ReadonlyArray<string> = [], count = 3) =>
  agent(
    name,
    ...Array.from({ length: count }, () => ({ prompt }: { readonly prompt: string }) => {
      const [, card = ""] = /The card\n\n(\S+)/.exec(prompt) ?? []
      return broken.includes(card) ? down : { text: `${name} ${card}` }
    }),
  )

const board = (cards: ReadonlyArray<string>, build = worker("build"), test = worker("test"), more = {}) => (
  <Kanban
    id="board"
    cards={cards}
    columns={[
      { name: "build", worker: build, output: outputs.draft, limit: 1 },
      { name: "test", worker: test, output: outputs.draft },
    ]}
    {...more}
  >
    Work on the card.
  </Kanban>
)

describe("Kanban", () => {
  it("is a list of cards for each column", () => {
    expect(plan(() => board(["a", "b"]))).toMatchInlineSnapshot(`
      "
      sequence
        sequence
          parallel
            scope board:build
              foreach (maxConcurrency: 1, isSettled: true)
                scope board:build[a] (part: a, isCatching: true)
                  step board:build:a (table: draft, agents: [build])
                scope board:build[b] (part: b, isCatching: true)
                  step board:build:b (table: draft, agents: [build])
            scope board:test
              foreach (maxConcurrency: Infinity, isOpen: true, isSettled: true)
          step board (table: untyped, retry: { maxAttempts: 1, backoff: exponential, initialDelay: 1 second, maxDelay: 5 minutes, factor: 2, jitter: true })"
    `)
  })

  it("moves each card through all columns, with the result of the one before", async () => {
    const test = worker("test")
    expect(await outcome(() => board(["a", "b"], worker("build"), test))).toEqual({
      outcome: "done",
      done: ["a", "b"],
      blocked: [],
    })
    expect(prompts(test)[0]).toMatch(/Work on the card\..*The card.*a.*column before.*build a/s)
  })

  it("holds the limit of a column, and hands a card on while others are still before it", async () => {
    const log: Array<string> = []
    const busy = new Set<string>()
    const logged = (name: string) => (work: { readonly id: string }) => (
      <Task id={work.id} output={outputs.draft}>
        {async () => {
          busy.add(work.id)
          log.push([...busy].join(" "))
          await Bun.sleep(5)
          busy.delete(work.id)
          return { text: name }
        }}
      </Task>
    )
    const columns = [
      { name: "build", worker: logged("build"), output: outputs.draft, limit: 1 },
      { name: "test", worker: logged("test"), output: outputs.draft },
    ]
    await outcome(() => board(["a", "b", "c"], undefined, undefined, { columns }))
    expect(log.every((line) => line.split(" ").filter((one) => one.startsWith("board:build")).length <= 1)).toBe(true)
    expect(log.some((line) => line.includes("board:build") && line.includes("board:test"))).toBe(true)
  })

  it("blocks a card whose worker fails, in its column and with the reason, or fails with it", async () => {
    expect(await outcome(() => board(["a", "b", "c"], worker("build", ["b"]), worker("test", ["c"])))).toEqual({
      outcome: "partial",
      done: ["a"],
      blocked: [
        { key: "b", column: "build", failure: expect.stringContaining("the agent is down") },
        { key: "c", column: "test", failure: expect.stringContaining("the agent is down") },
      ],
    })
    expect(await failure(() => board(["b"], worker("build", ["b"]), undefined, { onParticipantFailure: "fail" }))).toContain(
      "is down",
    )
  })

  it("says that there were no cards, and is refused without columns", async () => {
    expect(await outcome(() => board([]))).toEqual({ outcome: "empty", done: [], blocked: [] })
    await expect(outcome(() => board([], undefined, undefined, { columns: [] }))).rejects.toThrow(/has no "columns"/)
  })

  it("survives a crash at every commit", async () => {
    const [build, test] = [worker("build"), worker("test", ["b"])]
    await crash([build, test], () => board(["a", "b"], build, test))
  })
})
