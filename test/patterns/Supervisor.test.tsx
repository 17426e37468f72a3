/** @jsxImportSource smithers-orchestrator */
import { Supervisor } from "smithers-orchestrator/patterns"
import { describe, expect, it } from "vitest"
import { agent, crash, down, failure, outcome, outputs, plan, prompts } from "./Fixture.tsx"

const tasks = (...ids: ReadonlyArray<string>) => ({ tasks: ids.map((id) => ({ id, instructions: `do ${id}` })) })
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
                foreach (maxConcurrency: 4, isSettled: true)
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
    expect(await failure(() => supervise(boss(), { coder: worker() }, more))).toContain('"site" is exhausted, with b left')
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

  it("survives a crash at every commit", async () => {
    const agents = [agent("boss", tasks("a", "b"), rejects("b"), rejects()), worker()] as const
    const [boss, coder] = agents
    await crash(agents, () => supervise(boss, { coder }, { maxConcurrency: 1 }))
  })
})
