import * as Effect from "effect/Effect"
import {
  type Agent,
  HumanTask as AnyHumanTask,
  Loop as AnyLoop,
  Task as AnyTask,
  Timer as AnyTimer,
  createAgent,
  createSmithers,
  Smithers,
} from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, Loop, Saga, TryCatchFinally, Subflow, HumanTask, Timer, smithers, outputs, useCtx } = createSmithers(
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
    {/* @ts-expect-error a promise always counts as true */}
    <Loop until={async () => false}>{null}</Loop>
    {/* @ts-expect-error so does a promise of what was read */}
    <Branch if={Promise.resolve(false)} then={null} />
    {/* @ts-expect-error and a function that nobody calls */}
    <Branch if={() => false} then={null} />
    {/* @ts-expect-error and an Effect */}
    <Loop until={() => Effect.succeed(false)}>{null}</Loop>
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

const child = createSmithers({ note: z.string() }, { input: z.object({ path: z.string(), depth: z.number().default(1) }) })
const audit = child.smithers(() => <child.Workflow name="audit" />)
const free = createSmithers({ note: z.string() }).smithers(() => <child.Workflow name="free" />)
const built = Smithers.createWorkflow({ name: "built", input: z.object({ n: z.number() }) }).build(($) =>
  $.step("one", { output: z.number(), run: ({ input }) => input.n }),
)

export const boundaries = smithers((ctx) => (
  <Workflow name="w">
    <Saga id="trip" onCompensated="continue">
      <Task
        id="a"
        output={outputs.analysis}
        agent={agent}
        compensate={(output, c) => Effect.succeed([output.issues.length, c.input.repo])}
        needsApproval={{ request: (c) => ({ title: c.input.repo, details: c.output("note") }), onDeny: "skip" }}
      >
        x
      </Task>
      <Subflow id="s" workflow={audit} input={{ path: ctx.input.repo }} output={outputs.note} />
      <Subflow id="s2" workflow={audit} input={(c) => ({ path: c.input.repo, depth: 2 })} output="note" attach={false} />
      <Subflow id="s3" workflow={built} input={{ n: 1 }} onFail="continue" timeoutMs={1000} onTimeout="continue" />
      <Subflow id="s4" workflow={free} />
    </Saga>
    <TryCatchFinally
      catch={(error, c) => [
        <Task key="1" id="b" output={outputs.note} needsApproval={c.input.rounds === 1}>
          {error.message + (error.issues ?? []).join()}
        </Task>,
        c.input.rounds === undefined && null,
      ]}
      finally={<AnyTask id="c">{1}</AnyTask>}
    >
      {null}
    </TryCatchFinally>
    <TryCatchFinally try={<Saga>{null}</Saga>} catch={ctx.input.repo === "" && <Saga />} />
  </Workflow>
))

export const wrongBoundaries = smithers((ctx) => (
  <Workflow name="w">
    {/* @ts-expect-error there is no such choice */}
    <Saga onCompensated="stop">{null}</Saga>
    {/* @ts-expect-error a catch draws, and gives no value */}
    <TryCatchFinally catch={() => "sorry"}>{null}</TryCatchFinally>
    {/* @ts-expect-error nor does it wait */}
    <TryCatchFinally catch={async () => null}>{null}</TryCatchFinally>
    <TryCatchFinally
      catch={(error) => (
        <Task id="a" output={outputs.note}>
          {/* @ts-expect-error there is no such field */}
          {error.mesage}
        </Task>
      )}
    >
      {null}
    </TryCatchFinally>
    {/* @ts-expect-error the child's input has another field */}
    <Subflow id="s" workflow={audit} input={{ paths: ctx.input.repo }} />
    {/* @ts-expect-error the child's input is missing */}
    <Subflow id="s1" workflow={audit} />
    {/* @ts-expect-error it is no workflow */}
    <Subflow id="s2" workflow={outputs.note} input={{}} />
    {/* @ts-expect-error there is no such key */}
    <Subflow id="s3" workflow={audit} input={{ path: "" }} output="notes" />
    {/* @ts-expect-error the output has no such field */}
    <Task id="b" output={outputs.note} compensate={(output) => output.summary}>
      x
    </Task>
    {/* @ts-expect-error a denied task cannot go on */}
    <Task id="c" output={outputs.note} needsApproval={{ onDeny: "continue" }}>
      x
    </Task>
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

export const waits = (
  <>
    <HumanTask id="a" output={outputs.config} prompt={(ctx) => `Deploy ${ctx.input.repo}?`} />
    <HumanTask id="b" output="note">
      What is it?
    </HumanTask>
    <Timer id="c" durationMs={5} />
    <Timer id="d" until={(ctx) => ctx.input.rounds ?? new Date()} />
    {/* @ts-expect-error what is answered has a schema */}
    <HumanTask id="e" prompt="?" />
    {/* @ts-expect-error what is answered has a schema */}
    <AnyHumanTask id="f" prompt="?" />
    {/* @ts-expect-error it would never fire */}
    <Timer id="g" />
    {/* @ts-expect-error it would never fire */}
    <AnyTimer id="h" label="never" />
    {/* @ts-expect-error one time is enough */}
    <Timer id="i" durationMs={5} until={5} />
    {/* @ts-expect-error a time is no text */}
    <Timer id="j" until="2030-01-01" />
  </>
)
