import * as Effect from "effect/Effect"
import { type Agent, Loop as AnyLoop, Task as AnyTask, createAgent, createSmithers } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, Loop, smithers, outputs, useCtx } = createSmithers(
  {
    analysis: z.object({ summary: z.string(), issues: z.array(z.string()) }),
    config: z.object({ environment: z.enum(["production", "staging"]), debug: z.boolean() }),
    note: z.string(),
  },
  { input: z.object({ repo: z.string(), rounds: z.number().optional() }) },
)
declare const agent: Agent

export const fine = smithers((ctx) => (
  <Workflow name="w">
    <Task id="analyze" output={outputs.analysis} agent={agent} retries={3}>
      Analyze {ctx.input.repo}@{ctx.input.rounds} {{ some: "data" }}
    </Task>
    <Task
      id="a2"
      output={outputs.analysis}
      agent={[agent, createAgent({ name: "x", instructions: "i" })]}
      deps={{ first: outputs.analysis }}
    >
      {(deps) => `Fix ${deps.first.issues.join(", ")}`}
    </Task>
    <Task id="c" output={outputs.config}>
      {{ environment: "production", debug: false }}
    </Task>
    <Task id="c2" output="config" deps={{ a: outputs.analysis, n: "note" }}>
      {async (deps, c) => ({ environment: "staging", debug: deps.a.issues.length > deps.n.length + c.input.repo.length })}
    </Task>
    <Task id="c3" output={outputs.config}>
      {() => Effect.succeed({ environment: "staging", debug: true })}
    </Task>
    <Task id="c4" output="config">
      {async () => ({ environment: "staging", debug: true })}
    </Task>
    <Task id="c5" output={outputs.config} deps={{ a: outputs.analysis }}>
      {() => ({ environment: "staging", debug: true })}
    </Task>
    <AnyTask id="c6" output={outputs.config}>
      {() => ({ environment: "staging", debug: true })}
    </AnyTask>
    <AnyTask id="c7">{() => ({ any: ["thing", 1] })}</AnyTask>
    <Task id="n" output={outputs.note}>
      {(c) => `# Review\n\n${c.output(outputs.analysis, { nodeId: "analyze" }).summary}`}
    </Task>
    <Task id="n2" output={outputs.note}>
      Text with {ctx.input.repo}
    </Task>
    <Task id="u" agent={agent}>
      Deploy.
    </Task>
    <Loop until={(c) => c.latest("config", "c")?.debug} maxIterations={ctx.input.rounds ?? 3}>
      <AnyTask id="l" output={outputs.note} deps={{ a: outputs.analysis }}>
        {(deps) => deps.a.summary}
      </AnyTask>
      <AnyLoop until={(c) => c.latest(outputs.config)?.debug}>{null}</AnyLoop>
    </Loop>
  </Workflow>
))

export const wrong = smithers((ctx) => (
  <Workflow name="w">
    {/* @ts-expect-error there is no such output */}
    <Task id="a" output={outputs.nothing} agent={agent}>
      x
    </Task>
    <Task id="b" output={outputs.note} deps={{ a: outputs.analysis }}>
      {(deps) =>
        // @ts-expect-error there is no such field
        deps.a.sumary
      }
    </Task>
    {/* @ts-expect-error it is not one of the literals */}
    <Task id="c" output={outputs.config}>
      {{ environment: "test", debug: false }}
    </Task>
    {/* @ts-expect-error a field is missing */}
    <Task id="d" output={outputs.config}>
      {{ environment: "production" }}
    </Task>
    {/* @ts-expect-error a field is missing in what the function gives */}
    <Task id="e" output={outputs.config}>
      {() => ({ environment: "production" })}
    </Task>
    {/* @ts-expect-error there is no such key */}
    <Task id="f" output="confg">
      {() => ({ environment: "production", debug: true })}
    </Task>
    <Task id="g" output={outputs.note}>
      {/* @ts-expect-error the input has no such field */}
      {ctx.input.rep}
    </Task>
    {/* @ts-expect-error there is no such key among the deps */}
    <Task id="i" output={outputs.note} deps={{ t: "zzz" }}>
      {() => "x"}
    </Task>
    {/* @ts-expect-error there is no such prop */}
    <Task id="h" output={outputs.note} retry={3}>
      x
    </Task>
    {/* @ts-expect-error a task has an id */}
    <Task output={outputs.note}>x</Task>
  </Workflow>
))

export const reads = () => {
  const ctx = useCtx()
  const summary: string = ctx.output("analysis").summary
  const maybe: string | undefined = ctx.outputMaybe(outputs.note)
  // @ts-expect-error it may be absent
  const absent: string = ctx.latest("note", "x")
  // @ts-expect-error there is no such key
  ctx.output("analyses")
  return [summary, maybe, absent]
}
