/** @jsxImportSource smithers-orchestrator */

import { Loop } from "smithers-orchestrator"
import type { Work } from "smithers-orchestrator/patterns"
import { Supervisor } from "smithers-orchestrator/patterns"
import { describe, expect, it } from "vitest"
import { agent, crash, down, failure, outcome, outputs, plan, prompts, Task } from "./Fixture.tsx"

const tasks = (...ids: ReadonlyArray<string>) => ({ tasks: ids.map((id) => ({ id, instructions: `do ${id}` })) })
/** A plan by the needs of each task. */
const needing = (tasks: { readonly [id: string]: ReadonlyArray<string> }) => ({
  tasks: Object.entries(tasks).map(([id, needs]) => ({ id, instructions: `do ${id}.`, needs: [...needs] })),
})
/** The tasks that a worker was asked to do, in order. */
const asked = (coder: ReturnType<typeof agent>) => prompts(coder).map((prompt) => /do (\w+)\./.exec(prompt)?.[1])
const rejects = (...ids: ReadonlyArray<string>) => ({ rejected: ids.map((id) => ({ id, feedback: `${id} is thin` })) })
const worker = (name = "coder", count = 5) =>
  agent(name, ...Array.from({ length: count }, (_, index) => ({ text: `${name} ${index}` })))

const supervise = (boss: ReturnType<typeof agent>, workers: object, more = {}) => (
  <Supervisor
    id="site"
    boss={boss}
    workers={{ ...workers }}
    planOutput={outputs.plan}
    workerOutput={outputs.draft}
    reviewOutput={outputs.rejected}
    {...more}
  >
    Build the site.
  </Supervisor>
)

describe("Supervisor", () => {
  it("begins with a plan and a loop of rounds", () => {
    expect(plan(() => supervise(agent("boss"), { coder: worker() }))).toMatchInlineSnapshot(`
      "
      sequence
        sequence
          step site:plan (table: plan, agents: [boss])
          loop site:rounds (maxIterations: 3, onMaxReached: return-last)
            sequence
              scope site:tasks
                foreach (maxConcurrency: 4, until: true, isOpen: true, isSettled: true)
              step site:review (table: rejected, agents: [boss])
          step site (table: untyped, retry: { maxAttempts: 1, backoff: exponential, initialDelay: 1 second, maxDelay: 5 minutes, factor: 2, jitter: true })"
    `)
  })

  it("delegates each planned task to its worker, and does again only what was rejected", async () => {
    const boss = agent(
      "boss",
      {
        tasks: [
          { id: "a", worker: "coder", instructions: "do a" },
          { id: "b", worker: "tester", instructions: "do b" },
          { id: "c", worker: "coder", instructions: "do c" },
        ],
      },
      rejects("b"),
      rejects(),
    )
    const [coder, tester] = [worker("coder"), worker("tester")]
    expect(await outcome(() => supervise(boss, { coder, tester }))).toEqual({
      outcome: "done",
      rounds: 2,
      done: {
        a: { text: expect.stringContaining("coder") },
        b: { text: "tester 1" },
        c: { text: expect.stringContaining("coder") },
      },
      left: {},
    })
    expect([coder.left(), tester.left()]).toEqual([3, 3])
    expect(prompts(tester)[1]).toMatch(/do b.*rejected.*b is thin/s)
    expect(prompts(boss)[2]).toMatch(/a\n.*coder.*b\n.*tester 1/s)
  })

  it("is exhausted after its rounds: the run fails, or goes on with what is done", async () => {
    const boss = () => agent("boss", tasks("a", "b"), rejects("b"), rejects("b"))
    const more = { maxIterations: 2 }
    expect(await failure(() => supervise(boss(), { coder: worker() }, more))).toContain(
      '"site" is exhausted, with b (b is thin) left',
    )
    expect(await outcome(() => supervise(boss(), { coder: worker() }, { ...more, onExhausted: "accept" }))).toMatchObject({
      outcome: "exhausted",
      done: { a: {} },
      left: { b: "b is thin" },
    })
  })

  it("delegates the task of a worker that fails again, or fails with it", async () => {
    const boss = () => agent("boss", tasks("a"), rejects(), rejects())
    const coder = () => agent("coder", down, { text: "second" })
    expect(await outcome(() => supervise(boss(), { coder: coder() }))).toMatchObject({
      outcome: "done",
      rounds: 2,
      done: { a: { text: "second" } },
    })
    expect(await failure(() => supervise(boss(), { coder: coder() }, { onParticipantFailure: "fail" }))).toContain(
      "the agent is down",
    )
  })

  it("begins nothing of a plan that is too long, and has nothing to do for an empty one", async () => {
    const coder = worker()
    expect(await failure(() => supervise(agent("boss", tasks("a", "b", "c")), { coder }, { maxTasks: 2 }))).toContain("overplanned")
    expect(await outcome(() => supervise(agent("boss", tasks()), { coder }))).toMatchObject({ outcome: "empty", rounds: 0 })
    expect(coder.left()).toBe(5)
  })

  it("gives a task of an unknown worker to the first one, and takes the first of tasks with one id", async () => {
    const boss = agent(
      "boss",
      {
        tasks: [
          { id: "a", worker: "nobody", instructions: "1" },
          { id: "a", instructions: "2" },
        ],
      },
      rejects(),
    )
    const coder = worker()
    expect(await outcome(() => supervise(boss, { coder }))).toMatchObject({ outcome: "done", done: { a: { text: "coder 0" } } })
    expect(coder.left()).toBe(4)
  })

  it("takes names that every object has for what they are: names of tasks and of workers", async () => {
    const planned = { tasks: ["constructor", "valueOf"].map((id) => ({ id, worker: "toString", instructions: `do ${id}` })) }
    const boss = agent("boss", planned, rejects("constructor"), rejects())
    const coder = worker()
    const found = (await outcome(() => supervise(boss, { coder }))) as { readonly outcome: string; readonly done: object }
    expect([found.outcome, Object.keys(found.done).toSorted(), coder.left()]).toEqual(["done", ["constructor", "valueOf"], 2])
  })

  it("begins a task once those that it needs are done, and gives it their results", async () => {
    const boss = agent("boss", needing({ page: ["api", "look"], api: [], look: ["api"] }), rejects())
    const coder = worker()
    expect(await outcome(() => supervise(boss, { coder }))).toMatchObject({ outcome: "done", rounds: 1, left: {} })
    expect(asked(coder)).toEqual(["api", "look", "page"])
    expect(prompts(coder)[2]).toMatch(/do page\..*result of api.*coder 0.*result of look.*coder 1/s)
  })

  it("begins it while others are at work that it does not need", async () => {
    let release = (): void => {}
    const last = new Promise<void>((resolve) => {
      release = resolve
    })
    const order: Array<string> = []
    const coder = ({ id, output }: Work) => (
      <Task id={id} output={output}>
        {async () => {
          if (id.endsWith("slow")) await last
          if (id.endsWith("page")) release()
          order.push(id)
          return { text: id }
        }}
      </Task>
    )
    const boss = agent("boss", needing({ slow: [], api: [], page: ["api"] }), rejects())
    expect(await outcome(() => supervise(boss, { coder }))).toMatchObject({ outcome: "done" })
    expect(order).toEqual(["site:do:api", "site:do:page", "site:do:slow"])
  })

  it("does again what needs a rejected result, and accepts nothing before what it needs", async () => {
    const boss = agent("boss", needing({ api: [], page: ["api"], logo: [] }), rejects("api"), rejects())
    const coder = worker()
    const found = await outcome(() => supervise(boss, { coder }, { maxConcurrency: 1 }))
    expect(found).toMatchObject({ outcome: "done", rounds: 2, left: {} })
    expect(asked(coder).toSorted()).toEqual(["api", "api", "logo", "page", "page"])
    expect(prompts(coder).at(-1)).toMatch(/do page\..*rejected.*it needs "api", which is not accepted/s)
  })

  it("begins nothing that needs a task whose worker failed, until that is done", async () => {
    const boss = () => agent("boss", needing({ api: [], page: ["api"] }), rejects(), rejects())
    const coder = agent("coder", down, { text: "api" }, { text: "page" })
    expect(await outcome(() => supervise(boss(), { coder }))).toMatchObject({ outcome: "done", rounds: 2 })
    expect(asked(coder)).toEqual(["api", "api", "page"])
    const failing = agent("coder", down)
    const more = { maxIterations: 1, onExhausted: "accept" }
    expect(await outcome(() => supervise(boss(), { coder: failing }, more))).toMatchObject({
      outcome: "exhausted",
      left: { api: "its worker has failed", page: 'it needs "api", which is not accepted' },
    })
  })

  it("begins nothing of a plan whose needs are unknown or lead into a circle, and says which", async () => {
    const coder = worker()
    const accept = { onExhausted: "accept" }
    const unknown = () => agent("boss", needing({ a: ["z"], b: ["a"], c: [] }))
    expect(await outcome(() => supervise(unknown(), { coder }, accept))).toEqual({
      outcome: "misplanned",
      rounds: 0,
      done: {},
      left: {
        a: 'it needs "z", which is not planned',
        b: "its needs lead into a circle, or to a task that cannot begin",
        c: "not begun",
      },
    })
    for (const circle of [{ a: ["a"] }, { a: ["b"], b: ["c"], c: ["a"] }])
      expect(await failure(() => supervise(agent("boss", needing(circle)), { coder }))).toContain(
        '"site" is misplanned, with a (its needs lead into a circle',
      )
    expect(coder.left()).toBe(5)
  })

  it("counts its own rounds in each pass of a loop around it", async () => {
    const boss = agent(
      "boss",
      ...[needing({ a: [], b: [] }), rejects("b"), rejects()],
      ...[needing({ b: [], a: ["b"] }), rejects("a"), rejects()],
    )
    const coder = worker("coder", 6)
    const twice = () => (
      <Loop id="twice" until={false} maxIterations={2} onMaxReached="return-last">
        {supervise(boss, { coder }, { maxConcurrency: 1 })}
      </Loop>
    )
    expect(await outcome(twice)).toEqual({
      outcome: "done",
      rounds: 2,
      done: { b: { text: "coder 3" }, a: { text: "coder 5" } },
      left: {},
    })
    expect(asked(coder)).toEqual(["a", "b", "b", "b", "a", "a"])
  })

  it("survives a crash at every commit, with needs and a worker that fails", async () => {
    const coder = agent("coder", down, { text: "1" }, { text: "2" })
    const agents = [agent("boss", needing({ a: [], b: ["a"] }), rejects(), rejects()), coder] as const
    const [boss] = agents
    await crash(agents, () => supervise(boss, { coder }, { maxConcurrency: 1 }))
  })
})
