/**
 * Reads of what comes later, and reads through a ctx whose time is over: nothing is done with a hole where an output belongs.
 */

import { it as effect } from "@effect/vitest"
import * as RunState from "@smithers/core/RunState"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import type * as React from "react"
import {
  Approval,
  Branch,
  createSmithers,
  Loop,
  Parallel,
  renderPlan,
  runWorkflow,
  Saga,
  Sequence,
  Signal,
  Smithers,
  Subflow,
  Timer,
} from "smithers-orchestrator"
import { describe, expect, it } from "vitest"
import { z } from "zod"

const { Workflow, Task, smithers, outputs, useCtx } = createSmithers({
  note: z.object({ text: z.string(), ok: z.boolean() }),
  text: z.string(),
})
type DrawCtx = Parameters<Parameters<typeof smithers>[0]>[0]

const asked: Array<string> = []
const agent = {
  name: "mailer",
  generate: async ({ prompt }: { readonly prompt: string }) => {
    asked.push(prompt)
    return { text: "sent" }
  },
}

const write = (
  <Task id="write" output={outputs.note}>
    {() => ({ text: "hello", ok: true })}
  </Task>
)
const note = (ctx: DrawCtx) => ctx.output(outputs.note, { nodeId: "write" })

const drawn = (draw: (ctx: DrawCtx) => React.ReactNode) => () =>
  renderPlan(smithers<never>((ctx) => <Workflow name="w">{draw(ctx)}</Workflow>) as never, { input: {} })

let runs = 0

/** Runs a workflow to its end. */
const ran = (draw: (ctx: DrawCtx) => React.ReactNode) => {
  const workflow = smithers((ctx) => <Workflow name="w">{draw(ctx)}</Workflow>)
  return runWorkflow(workflow, { runtime: Smithers.memory, runId: `r${runs++}`, input: {} })
}

describe("what says something of an output that comes after it is refused when it is drawn", () => {
  const later = /reads the output of "write", which is its own or comes later/
  const Note = () => <b>{note(useCtx() as DrawCtx).text}</b>
  const cases: Record<string, (ctx: DrawCtx) => React.ReactNode> = {
    "a prompt in pieces": (ctx) => [
      <Task key="1" id="send" agent={agent}>
        Send: {note(ctx).text}
      </Task>,
      write,
    ],
    "a prompt as one text": (ctx) => [<Task key="1" id="send" agent={agent}>{`Send: ${note(ctx).text.trim()}!`}</Task>, write],
    "a text that was put together before": (ctx) => {
      const said = `Send: ${note(ctx).text}`.toUpperCase().concat(note(ctx).text)
      return [
        <Task key="0" id="other" output={outputs.text}>
          x
        </Task>,
        <Task key="1" id="send" agent={agent}>
          {said}
        </Task>,
        write,
      ]
    },
    "a component of the prompt": () => [
      <Task key="1" id="send" agent={agent}>
        Send: <Note />
      </Task>,
      write,
    ],
    "an element of the prompt": (ctx) => [
      <Task key="1" id="send" agent={agent}>
        <p>
          Send <code lang={`${note(ctx).text}`}>x</code>
        </p>
      </Task>,
      write,
    ],
    "data in the prompt": (ctx) => [
      <Task key="1" id="send" agent={agent}>
        {JSON.stringify({ a: [note(ctx).text] })}
      </Task>,
      write,
    ],
    "a value": (ctx) => [
      <Task key="1" id="send">
        {{ all: [note(ctx).text] }}
      </Task>,
      write,
    ],
    "a condition": (ctx) => [
      <Task key="1" id="send" output={outputs.text} skipIf={note(ctx).ok}>
        x
      </Task>,
      write,
    ],
    "a label, within other elements": (ctx) => [
      <Sequence key="1">
        <Parallel>
          <Task id="send" output={outputs.text} label={`Send ${note(ctx).text}`}>
            x
          </Task>
        </Parallel>
      </Sequence>,
      write,
    ],
    "the way of a branch": (ctx) => [<Branch key="1" if={note(ctx).ok} then={null} />, write],
    "a loop's condition": (ctx) => [
      <Loop key="1" id="l" until={note(ctx).ok} maxIterations={9}>
        <Task id="send" output={outputs.text}>
          x
        </Task>
      </Loop>,
      write,
    ],
    "an approval": (ctx) => [<Approval key="1" id="send" request={{ title: `Send ${note(ctx).text}?` }} />, write],
    "a timer": (ctx) => [<Timer key="1" id="send" durationMs={note(ctx).text as unknown as number} />, write],
    "a child's input": (ctx) => [
      <Subflow key="1" id="send" workflow={smithers(() => <Workflow name="c">{null}</Workflow>)} input={{ a: note(ctx).text }} />,
      write,
    ],
    "in each pass of a loop": (ctx) => (
      <Loop until={false} maxIterations={2}>
        <Task id="send" output={outputs.text}>{`Send ${note(ctx).text}`}</Task>
        {write}
      </Loop>
    ),
    "before a part of a parallel": (ctx) => (
      <Sequence>
        <Task id="send" output={outputs.text}>{`Send ${note(ctx).text}`}</Task>
        <Parallel>{write}</Parallel>
      </Sequence>
    ),
    itself: (ctx) => (
      <Task id="write" agent={agent} output={outputs.note}>
        Again: {note(ctx).text}
      </Task>
    ),
  }
  for (const [name, draw] of Object.entries(cases))
    it(name, async () => {
      expect(drawn(draw)).toThrow(later)
      const result = await ran(draw).then(
        () => "ran",
        (error: { readonly _tag: string }) => error._tag,
      )
      expect(result).toBe("InvalidWorkflow")
      expect(asked).toEqual([])
    })

  it("a pass that only later ones are made of", async () => {
    const draw = (ctx: DrawCtx) => (
      <Loop until={false} maxIterations={2}>
        <Task id="send" output={outputs.text}>
          {ctx.iteration === 0 ? "first" : `Send ${note(ctx).text}`}
        </Task>
        {write}
      </Loop>
    )
    await expect(ran(draw)).rejects.toMatchObject({ _tag: "InvalidWorkflow", message: expect.stringMatching(later) })
  })

  it("and nothing else is: what reads nothing itself, what waits, and what is not made of the output", async () => {
    const draw = (ctx: DrawCtx) => {
      const read = note(ctx)
      return (
        <Sequence>
          <Task id="before" output={outputs.text}>
            before
          </Task>
          {write}
          <Branch if={read.ok} then={<Task id="send" output={outputs.text}>{`Send ${read.text}`}</Task>} />
          <Loop id="l" until={read.ok} maxIterations={2}>
            <Task id="never" output={outputs.text}>
              x
            </Task>
          </Loop>
        </Sequence>
      )
    }
    expect(drawn(draw)().tasks.map(({ id, isProvisional }) => [id, isProvisional])).toEqual([
      ["before", false],
      ["write", false],
      ["send", true],
      ["never", true],
    ])
    expect(await ran(draw)).toMatchObject({ status: "finished" })
  })
})

describe("a function that reads what comes later fails when it is asked, and names it", () => {
  it("a condition", async () => {
    const result = await ran(() => [
      <Task key="1" id="send" agent={agent} skipIf={(ctx) => !ctx.output(outputs.note, { nodeId: "write" }).ok}>
        Send
      </Task>,
      write,
    ])
    expect(result).toMatchObject({ status: "failed" })
    expect(JSON.stringify(result)).toContain(`\\"skipIf\\" reads the output of \\"write\\", which is its own or comes later`)
    expect(asked).toEqual([])
  })
  it("a loop's condition, of what comes after the loop", async () => {
    let calls = 0
    const result = await ran(() => [
      <Loop
        key="1"
        id="l"
        maxIterations={50}
        until={(ctx) => (ctx as unknown as DrawCtx).output(outputs.note, { nodeId: "write" }).ok}
      >
        <Task id="ask" output={outputs.text}>
          {() => `${calls++}`}
        </Task>
      </Loop>,
      write,
    ])
    expect(result).toMatchObject({ status: "failed" })
    expect(JSON.stringify(result)).toContain("which is its own or comes later")
    expect(calls).toBe(0)
  })
  it("a condition may read what stands beside, in a loop too", async () => {
    let calls = 0
    const result = await ran(() => (
      <Loop id="l" maxIterations={50} until={(ctx) => (ctx as unknown as DrawCtx).output(outputs.note, { nodeId: "ask" }).ok}>
        <Task id="ask" output={outputs.note}>
          {() => ({ text: "", ok: ++calls === 3 })}
        </Task>
      </Loop>
    ))
    expect(result).toMatchObject({ status: "finished" })
    expect(calls).toBe(3)
  })
})

describe("the ctx of a render, in a function that is called later, answers by then", () => {
  it("a loop's condition", async () => {
    let calls = 0
    const result = await ran((ctx) => (
      <Loop id="l" maxIterations={20} until={() => ctx.latest(outputs.note, "ask")?.ok}>
        <Task id="ask" output={outputs.note}>
          {() => ({ text: "", ok: ++calls > 2 })}
        </Task>
      </Loop>
    ))
    expect(result).toMatchObject({ status: "finished" })
    expect(calls).toBe(3)
  })
  it("a task's function, condition and prompt, the passes of a loop, and what that is undone by", async () => {
    const undone: Array<string> = []
    const Inner = () => {
      const ctx = useCtx()
      const text = (): string => `${ctx.output(outputs.note, { nodeId: "write" }).text} ${ctx.iteration}`
      const Said = () => <b>{text()}</b>
      return (
        <>
          <Task id="say" output={outputs.text} compensate={() => undone.push(text())}>
            {text}
          </Task>
          <Task id="skipped" output={outputs.text} skipIf={() => ctx.outputMaybe(outputs.note, { nodeId: "write" })?.ok}>
            x
          </Task>
          <Task id="send" agent={agent}>
            {() => <Said />}
          </Task>
        </>
      )
    }
    const result = await ran(() => (
      <Saga>
        <Loop id="l" until={false} maxIterations={2}>
          {write}
          <Inner />
        </Loop>
        <Task id="fails" noRetry>
          {() => Promise.reject(new Error("no"))}
        </Task>
      </Saga>
    ))
    expect(result).toMatchObject({ status: "failed" })
    expect(asked.splice(0)).toEqual(["**hello 0**", "**hello 1**"])
    expect(undone).toEqual(["hello 1", "hello 1"])
  })
  effect.effect("and is a dependency like any other read", () =>
    Effect.gen(function* () {
      let said = "old"
      const workflow = smithers((ctx) => (
        <Workflow name="w">
          <Task id="write" output={outputs.note}>
            {() => ({ text: said, ok: true })}
          </Task>
          <Task id="say" output={outputs.text}>
            {() => ctx.output(outputs.note, { nodeId: "write" }).text}
          </Task>
          <Signal id="end" name="end" />
        </Workflow>
      ))
      const output = Effect.flatMap(Storage, (storage) =>
        Effect.map(storage.load("again"), (state) => RunState.step(state, "say", 0)?.output),
      )
      yield* workflow.run({}, { runId: "again" })
      expect(yield* output).toBe("old")
      said = "new"
      yield* Smithers.retryNode("again", "write")
      yield* workflow.run({}, { runId: "again" })
      expect(yield* output).toBe("new")
    }).pipe(Effect.provide(Smithers.memory)),
  )
})

describe("the ctx of a render that is over, asked at no known time, answers nothing", () => {
  const stale = /ctx\.\w+ was called after the render that this ctx belongs to/
  const cases: Record<string, (ctx: DrawCtx) => React.ReactNode> = {
    "a function that goes on later": (ctx) => [
      write,
      <Task key="2" id="say" output={outputs.text}>
        {async () => {
          await Promise.resolve()
          return `Total: ${ctx.outputMaybe(outputs.note, { nodeId: "write" })?.text} EUR`
        }}
      </Task>,
    ],
    "an Effect, which is run later": (ctx) => [
      write,
      <Task key="2" id="say" output={outputs.text}>
        {() => Effect.sync(() => `${ctx.iterationCount(outputs.note, "write")}`)}
      </Task>,
    ],
    "a component of a prompt that comes later": (ctx) => {
      const Inner = () => <b>{ctx.outputMaybe(outputs.note, { nodeId: "write" })?.text}</b>
      return [
        write,
        <Task key="2" id="say" agent={agent}>
          {async () => {
            await Promise.resolve()
            return <Inner />
          }}
        </Task>,
      ]
    },
    "the pass of the loop that a component draws": (ctx) => (
      <Loop until={false} maxIterations={2}>
        <Task id="say" output={outputs.text}>
          {() => `${ctx.iteration}`}
        </Task>
      </Loop>
    ),
  }
  for (const [name, draw] of Object.entries(cases))
    it(name, async () => {
      const result = await ran((ctx) => draw(ctx))
      expect(result).toMatchObject({ status: "failed" })
      expect(JSON.stringify(result)).toMatch(stale)
      expect(asked).toEqual([])
    })

  it("but for what does not change: its input, and the run's id", async () => {
    const result = await ran((ctx) => (
      <Task id="say" output={outputs.text}>
        {() => `${JSON.stringify(ctx.input)}${ctx.runId.slice(0, 1)}`}
      </Task>
    ))
    expect(result).toMatchObject({ status: "finished", output: "{}r" })
  })
})
