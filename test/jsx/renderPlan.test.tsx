/**
 * Plans without a run.
 */
import type * as React from "react"
import { Approval, createSmithers, Loop, Parallel, renderPlan, Signal, Subflow } from "smithers-orchestrator"
import { describe, expect, it, vi } from "vitest"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers(
  {
    draft: z.object({ text: z.string(), at: z.iso.datetime().optional() }),
    review: z.object({ approved: z.boolean() }),
    n: z.number(),
  },
  { input: z.object({ topic: z.string().default("cats"), items: z.array(z.number()).optional() }) },
)

const rounds = smithers((ctx) => (
  <Workflow name="rounds">
    <Loop id="rounds" until={ctx.latest(outputs.review)?.approved} maxIterations={5}>
      <Task id="draft" output={outputs.draft} agent={{ generate: async () => ({ text: "{}" }) }}>
        Write about {ctx.input.topic}, pass {ctx.iteration}, after {ctx.iterationCount(outputs.draft)} drafts
      </Task>
      <Task id="review" output={outputs.review}>
        {{ approved: false }}
      </Task>
    </Loop>
    {ctx.outputMaybe(outputs.draft)?.text === "late" ? (
      <Task id="publish" output={outputs.n}>
        {1}
      </Task>
    ) : null}
  </Workflow>
))

describe("renderPlan", () => {
  it("draws a plan from an input, with defaults, and says what its tasks say", () => {
    const { name, tasks, plan } = renderPlan(rounds, { input: {} })
    expect(name).toBe("rounds")
    expect(tasks.map(({ id, output, loop, content, isAgent }) => [id, output, loop, content, isAgent])).toEqual([
      ["draft", "draft", "rounds", "Write about cats, pass 0, after 0 drafts", true],
      ["review", "review", "rounds", { approved: false }, false],
    ])
    expect([...plan.positions.keys()]).toEqual(["rounds", "draft", "review"])
  })

  it("draws it as after these outputs, also in the passes of a loop", () => {
    const outputs = { "draft/0": { text: "early" }, "review/0": { approved: false }, "draft/1": { text: "late" } }
    const { tasks } = renderPlan(rounds, { input: { topic: "dogs" }, outputs })
    expect(tasks.map(({ id, content }) => [id, content])).toEqual([
      ["draft", "Write about dogs, pass 1, after 2 drafts"],
      ["review", { approved: false }],
      ["publish", 1],
    ])
    const next = renderPlan(rounds, { input: {}, outputs, loops: { rounds: 3 } })
    expect(next.tasks.map(({ id }) => id)).toEqual(["draft", "review"])
    expect(next.tasks[0]?.content).toBe("Write about cats, pass 2, after 2 drafts")
  })

  it("refuses inputs and outputs that do not match their schemas", () => {
    expect(() => renderPlan(rounds, { input: { topic: 1 } })).toThrow(/The input of the workflow is not valid: topic/)
    expect(() => renderPlan(rounds, { input: {}, outputs: { review: { approved: "yes" } } })).toThrow(
      /"review" does not match "review": approved/,
    )
    expect(() => renderPlan(rounds, { input: {}, outputs: { publsh: 1 } })).toThrow(/"publsh"/)
  })

  it("takes outputs of loops in loops for those of the pass that is asked for", () => {
    const nested = smithers((ctx) => (
      <Workflow name="nested">
        <Loop id="outer" until={false} maxIterations={4}>
          <Loop id="inner" until={false} maxIterations={5}>
            <Task id="i" output={outputs.n}>
              {1}
            </Task>
          </Loop>
          <Task id="o" output={outputs.draft}>
            {{ text: `got ${ctx.outputMaybe("n", { nodeId: "i" })}` }}
          </Task>
        </Loop>
      </Workflow>
    ))
    const said = (options: { readonly outputs: Record<string, unknown>; readonly loops?: Record<string, number> }) =>
      renderPlan(nested, { input: {}, ...options }).tasks[1]?.content
    expect(said({ outputs: { i: 7 } })).toEqual({ text: "got 7" })
    expect(said({ outputs: { "i/2": 9 } })).toEqual({ text: "got 9" })
    expect(said({ outputs: { i: 7 }, loops: { outer: 2 } })).toEqual({ text: "got 7" })
    expect(() => renderPlan(rounds, { input: {}, outputs: { "publish/3": 1, draft: { text: "late" } } })).toThrow(/in no loop/)
  })

  it("finds what depends on half of the day, or a quarter of it, at whatever hour it looks", () => {
    const ofHours = smithers(() => (
      <Workflow name="hours">
        <Task id="half" output={outputs.n} skipIf={() => new Date().getUTCHours() > 12}>
          {1}
        </Task>
        <Task id="quarter" output={outputs.n} skipIf={() => new Date().getUTCHours() < 6}>
          {1}
        </Task>
      </Workflow>
    ))
    const midnight = Date.UTC(2026, 0, 1)
    try {
      for (let quarter = 0; quarter < 96; quarter++) {
        vi.setSystemTime(midnight + quarter * 900_000)
        const { impurities } = renderPlan(ofHours, { input: {}, checkPurity: true })
        expect([quarter, impurities.length]).toEqual([quarter, 2])
      }
    } finally {
      vi.useRealTimers()
    }
  })

  it("reports what a second drawing of the same state draws differently", () => {
    let draws = 0
    const impure = smithers(() => {
      draws++
      return (
        <Workflow name="impure">
          <Parallel>
            <Task id="clock" output={outputs.n}>
              {draws}
            </Task>
            <Task id={`new-${draws}`} output={outputs.n}>
              {1}
            </Task>
          </Parallel>
        </Workflow>
      )
    })
    expect(renderPlan(impure, { input: {} }).impurities).toEqual([])
    const { impurities } = renderPlan(impure, { input: {}, checkPurity: true })
    const said = (text: string) =>
      `${text}, with nothing changed. Renders and functions of ctx must depend on ctx alone: get the time or a random number in a task and read its output; derive ids from the input, outputs and keys`
    const at = "(at smithers > Workflow > Parallel)"
    expect(impurities).toEqual([
      said(`task "new-2" ${at} exists only in the first render`),
      said(`task "new-3" ${at} exists only in the second render`),
      said(`task "clock" ${at} has the content 2, then 3`),
    ])
    expect(renderPlan(rounds, { input: {}, checkPurity: true }).impurities).toEqual([])
    let limit = 0
    const limits = smithers(() => (
      <Workflow name="limits">
        <Task id="a" output={outputs.n} timeoutMs={++limit}>
          {1}
        </Task>
      </Workflow>
    ))
    expect(renderPlan(limits, { input: {}, checkPurity: true }).impurities).toEqual([
      expect.stringMatching(/^task "a" \(at smithers > Workflow\) has "timeoutMs" 1, then 2, with nothing changed\./),
    ])
  })

  const agent = { generate: async () => ({ text: "x" }) }
  const day = () => ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][new Date().getDay()]
  const cases: Record<string, readonly [() => React.ReactNode, RegExp]> = {
    "a date by day": [
      () => <Task id="a" agent={agent}>{`Today is ${day()}.`}</Task>,
      /task "a" .* has the content .*, at another time/,
    ],
    "a part of the day": [
      () => (
        <Task id="a" agent={agent}>
          {new Date().getHours() < 12 ? "Good morning" : "Good day"}
        </Task>
      ),
      /task "a" .* has the content .*, at another time/,
    ],
    "a weekend": [
      () => (new Date().getDay() % 6 === 0 ? null : <Task id="a">{1}</Task>),
      /(task "a" .* exists only in the (first|second) render, at another time)/,
    ],
    "Date.now in a label": [
      () => (
        <Task id="a" label={`at ${Date.now()}`}>
          {1}
        </Task>
      ),
      /has "label" .*, at another time/,
    ],
    "Date() as text": [
      () => (
        <Task id="a" agent={agent}>
          {Date()}
        </Task>
      ),
      /at another time/,
    ],
    "performance.now": [() => <Task id="a">{Math.floor(performance.now() / 1000)}</Task>, /at another time/],
    "a coin": [() => <Task id="a">{Math.random() < 0.5 ? 1 : 2}</Task>, /has the content \d, then \d, with other random numbers/],
    "a rare choice": [() => <Task id="a">{Math.random() < 0.02 ? 1 : 2}</Task>, /with other random numbers/],
    "a uuid as an id": [
      () => <Task id={`t-${crypto.randomUUID()}`}>{1}</Task>,
      /exists only in the first render, with other random numbers/,
    ],
    "random bytes": [() => <Task id="a">{crypto.getRandomValues(new Uint8Array(4)).join()}</Task>, /with other random numbers/],
    "the request of an approval": [
      () => <Approval id="a" request={() => ({ title: `Since ${new Date().toISOString()}` })} />,
      /evaluates "request" to .*, at another time/,
    ],
    "a request that is a value": [
      () => <Approval id="a" request={{ title: `Since ${new Date().getFullYear()}` }} />,
      /has "request" .*, at another time/,
    ],
    skipIf: [
      () => (
        <Task id="a" skipIf={() => new Date().getMonth() > 5}>
          {1}
        </Task>
      ),
      /evaluates "skipIf" to (true|false), then (true|false), at another time/,
    ],
    until: [
      () => (
        <Loop id="l" until={() => Math.random() > 0.5} maxIterations={3}>
          <Task id="a">{1}</Task>
        </Loop>
      ),
      /loop "l" .* evaluates "until" to .*, with other random numbers/,
    ],
    "a prompt function": [
      () => (
        <Task id="a" agent={agent}>
          {() => `Today is ${day()}`}
        </Task>
      ),
      /evaluates "prompt" to .*, at another time/,
    ],
    "a prompt function of elements": [
      () => (
        <Task id="a" agent={agent}>
          {() => <p>{Math.random()}</p>}
        </Task>
      ),
      /evaluates "prompt" to /,
    ],
    "a prompt function of deps": [
      () => [
        <Task key="1" id="n" output={outputs.n}>
          {1}
        </Task>,
        <Task key="2" id="a" deps={{ n: outputs.n }} agent={agent}>
          {({ n }) => `${n} of ${Date.now()}`}
        </Task>,
      ],
      /evaluates "prompt" to /,
    ],
    "what a child run is given": [
      () => <Subflow id="a" workflow={rounds} input={() => ({ items: [Date.now()] })} />,
      /evaluates "input" to /,
    ],
    "a correlation": [() => <Signal id="a" name="x" correlation={() => `${Math.random()}`} />, /evaluates "correlation" to /],
    "a cache key": [
      () => (
        <Task id="a" cache={{ key: () => Date.now() }}>
          {() => 1}
        </Task>
      ),
      /evaluates "cache.key" to /,
    ],
    "the request before a task": [
      () => (
        <Task id="a" needsApproval={{ request: () => ({ title: day() ?? "" }) }}>
          {() => 1}
        </Task>
      ),
      /evaluates "needsApproval.request" to /,
    ],
    "a limit": [
      () => (
        <Task id="a" timeoutMs={1000 + new Date().getSeconds()}>
          {() => 1}
        </Task>
      ),
      /has "timeoutMs"/,
    ],
    "a loop's limit": [
      () => (
        <Loop id="l" until={false} maxIterations={1 + new Date().getMinutes()}>
          <Task id="a">{1}</Task>
        </Loop>
      ),
      /has "maxIterations"/,
    ],
  }
  for (const [name, [content, expected]] of Object.entries(cases))
    it(`reports what follows from the clock or from chance, however rarely: ${name}`, () => {
      const workflow = smithers(() => <Workflow name="impure">{content()}</Workflow>)
      const { impurities } = renderPlan(workflow as never, { input: {}, checkPurity: true })
      expect(impurities.join("\n")).toMatch(expected)
      expect(impurities.length).toBeLessThan(4)
    })

  it("reports nothing of what is done once, or is the same each time, and gives the clock back", () => {
    const before = [Date, Date.now, Math.random, performance.now, crypto.randomUUID]
    const calls: Array<string> = []
    const workflow = smithers((ctx) => (
      <Workflow name="pure">
        <Task id="a" output={outputs.n} skipIf={() => false}>
          {() => {
            calls.push("task")
            return Date.now()
          }}
        </Task>
        <Task id="b" agent={agent}>
          {async () => {
            calls.push("async")
            return `${Math.random()}`
          }}
        </Task>
        <Task id="c" agent={agent}>
          {(own) => `About ${own.output(outputs.n, { nodeId: "a" })}`}
        </Task>
        <Task id="d" agent={agent}>{`Since ${new Date(0).toISOString()} ${ctx.runId}`}</Task>
      </Workflow>
    ))
    const drawn = renderPlan(workflow, { input: {}, checkPurity: true })
    expect([drawn.impurities, drawn.faults, calls]).toEqual([[], [], []])
    expect([Date, Date.now, Math.random, performance.now, crypto.randomUUID]).toEqual(before)
    const throwing = smithers(() => {
      throw new Error("no")
    })
    expect(() => renderPlan(throwing, { input: {}, checkPurity: true })).toThrow("no")
    expect([Date, Date.now, Math.random, performance.now, crypto.randomUUID]).toEqual(before)
  })

  it("names functions that read what cannot be there when they are asked", () => {
    const workflow = smithers(() => (
      <Workflow name="late">
        <Task id="send" agent={agent} skipIf={(ctx) => ctx.output(outputs.n, { nodeId: "count" }) > 3}>
          {(ctx) => `Send ${ctx.output(outputs.n, { nodeId: "count" })}`}
        </Task>
        <Task id="count" output={outputs.n}>
          {1}
        </Task>
      </Workflow>
    ))
    const { faults } = renderPlan(workflow, { input: {}, checkPurity: true })
    expect(faults).toEqual([
      expect.stringMatching(
        /^task "send" \(at smithers > Workflow\): "skipIf" reads the output of "count", which is its own or comes later/,
      ),
      expect.stringMatching(
        /^task "send" \(at smithers > Workflow\): "prompt" reads the output of "count", which is its own or comes later/,
      ),
    ])
    expect(renderPlan(workflow, { input: {}, outputs: { count: 1 }, checkPurity: true }).faults).toEqual([])
  })

  it("draws with values that nobody can change", () => {
    const workflow = smithers((ctx) => {
      ctx.input.items?.pop()
      return <Workflow name="w">{null}</Workflow>
    })
    expect(() => renderPlan(workflow, { input: { items: [1] } })).toThrow(
      /read only property|frozen|not extensible|readonly|delete/i,
    )
  })

  it("lists the outputs that were read and are not there", () => {
    const reads = smithers((ctx) => (
      <Workflow name="reads">
        <Task id="a" output={outputs.n}>
          {ctx.output(outputs.review, { nodeId: "b" }).approved ? 1 : 2}
        </Task>
      </Workflow>
    ))
    expect(renderPlan(reads, { input: {} }).pending).toEqual([{ nodeId: "b", table: "review" }])
  })
})

it("renderPlan says of an input whose schema takes time that it cannot wait for it", () => {
  const slow = createSmithers({ n: z.number() }, { input: z.object({ id: z.string().refine(async (id) => id !== "") }) })
  const workflow = slow.smithers(() => <slow.Workflow name="w" />)
  expect(() => renderPlan(workflow, { input: { id: "a" } })).toThrow(/must not be asynchronous/)
})
