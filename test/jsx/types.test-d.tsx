import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as React from "react"
import {
  type Agent,
  HumanTask as AnyHumanTask,
  Loop as AnyLoop,
  Task as AnyTask,
  Timer as AnyTimer,
  createAgent,
  createSmithers,
  runWorkflow,
  Smithers,
} from "smithers-orchestrator"
import { z } from "zod"

const {
  Workflow,
  Task,
  Loop,
  Parallel,
  Branch,
  Approval,
  Signal,
  WaitForEvent,
  Saga,
  Scope,
  Race,
  ForEach,
  TryCatchFinally,
  Subflow,
  HumanTask,
  Timer,
  smithers,
  outputs,
  useCtx,
} = createSmithers(
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
    <Task id="c" output={outputs.config}>
      {{
        // @ts-expect-error it is not one of the literals
        environment: "test",
        debug: false,
      }}
    </Task>
    <Task id="d" output={outputs.config}>
      {/* @ts-expect-error a field is missing */}
      {{ environment: "production" }}
    </Task>
    <Task id="e" output={outputs.config}>
      {/* @ts-expect-error a field is missing in what the function gives */}
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
    <TryCatchFinally catch={null} catchWhen={(error) => error.status === 402 || error.nodeId.startsWith("pay")}>
      {null}
    </TryCatchFinally>
    <TryCatchFinally try={<Saga>{null}</Saga>} catch={ctx.input.repo === "" && <Saga />} />
  </Workflow>
))

export const regions = smithers((ctx) => (
  <Workflow name="w">
    <Scope
      id="s"
      until={(c) => c.outputMaybe("note", { nodeId: "n" }) === c.input.repo}
      cancelWhen={ctx.input.rounds === 3}
      timeout="2d"
    >
      <Race id="r" count={1} rest="keep" onFailure="ignore" timeoutMs={1000} onTimeout="continue">
        <Signal key="a" id="a" name="a" />
        {null}
      </Race>
    </Scope>
    <ForEach
      id="l"
      items={[{ key: 1, title: "x" }]}
      by={({ key }) => key}
      maxConcurrency={2}
      until={({ done, failed, open, values }, c) => done + failed + open + values.length > c.input.repo.length}
      more={ctx.winner("r") === undefined}
      settled
    >
      {({ key, title }, index) => (
        <Task id={`${key}:${index}`} output={outputs.note}>
          {title}
        </Task>
      )}
    </ForEach>
    <Task id="n" output={outputs.note}>
      {(c) => [c.winner("r"), ...c.winners("r"), ...c.failures("l").map(({ key, error }) => key + error.message)].join()}
    </Task>
  </Workflow>
))

export const wrongRegions = smithers(() => (
  <Workflow name="w">
    {/* @ts-expect-error a scope has an id */}
    <Scope until={false} />
    {/* @ts-expect-error a promise always counts as true */}
    <Scope id="s" until={async () => true} />
    {/* @ts-expect-error there is no such key */}
    <Scope id="s" cancelWhen={(c) => c.outputMaybe("nots") === undefined} />
    {/* @ts-expect-error there is no such choice */}
    <Race id="r" rest="drop" />
    <ForEach id="l" items={["a"]}>
      {/* @ts-expect-error a list has one function as its child */}
      <Signal id="a" name="a" />
    </ForEach>
    {/* @ts-expect-error items are a list */}
    <ForEach id="l" items={3}>
      {() => null}
    </ForEach>
    <ForEach id="l" items={["a"]}>
      {/* @ts-expect-error it draws, and gives no value */}
      {() => "text"}
    </ForEach>
    <ForEach
      id="l"
      items={[{ key: 1 }]}
      // @ts-expect-error there is no such field
      by={({ id }) => id}
    >
      {() => null}
    </ForEach>
    {/* @ts-expect-error it is called maxConcurrency */}
    <ForEach id="l" items={["a"]} concurrency={3}>
      {() => null}
    </ForEach>
  </Workflow>
))

export const wrongBoundaries = smithers((ctx) => (
  <Workflow name="w">
    {/* @ts-expect-error there is no such choice */}
    <Saga onCompensated="stop">{null}</Saga>
    {/* @ts-expect-error a catch draws, and gives no value */}
    <TryCatchFinally catch={() => "sorry"}>{null}</TryCatchFinally>
    {/* @ts-expect-error a filter answers at once */}
    <TryCatchFinally catch={null} catchWhen={async () => true}>
      {null}
    </TryCatchFinally>
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

const besides = createSmithers({ input: z.object({ repo: z.string(), rounds: z.number().default(3) }), note: z.string() })

export const inputAmongSchemas = () => {
  const { Workflow, Task, Approval, smithers, outputs } = besides
  // @ts-expect-error the input is no output
  outputs.input
  const { input } = besides.useCtx()
  const rounds: number = input.rounds
  const workflow = smithers((ctx) => (
    <Workflow name="w">
      <Approval id="ask" request={(c) => ({ title: c.input.repo, details: [c.output("note"), ctx.input.rounds.toFixed()] })} />
      <Task id="a" output="note">
        {(c) => c.input.repo}
      </Task>
    </Workflow>
  ))
  // @ts-expect-error it has no such field
  workflow.execute({ rep: "x" })
  return [rounds, workflow.execute({ repo: "x" }), workflow.execute({ repo: "x", rounds: 2 })]
}

/** Functions and values stand in one another's place. */
export const either = smithers((ctx) => (
  <Workflow name="w">
    <Task id="a" output={outputs.config}>
      {ctx.input.rounds === 1
        ? { environment: "staging", debug: true }
        : (c) => ({ environment: c.input.repo === "" ? "staging" : "production", debug: false })}
    </Task>
    <Task id="b" agent={agent}>
      {ctx.input.rounds === 1 ? "Go." : (c) => `Go to ${c.input.repo.toUpperCase()}.`}
    </Task>
    <Task id="c">{(c) => ({ repo: c.input.repo.length, attempt: c.attempt.toFixed() })}</Task>
    <Task id="d" deps={{ n: outputs.note }}>
      {async ({ n }, c) => [n.length, c.taskId.length]}
    </Task>
    <Task id="e">{() => {}}</Task>
    <Task id="f">{ctx.input.repo}</Task>
    <Task id="g" output={outputs.note} agent={{ generate: async ({ prompt }) => ({ text: prompt.toUpperCase() }) }} corrections={0}>
      x
    </Task>
    <Loop until={ctx.input.rounds === 1 || ((c) => c.latest("config")?.debug)}>{null}</Loop>
    <Approval id="h" request={ctx.input.rounds === 1 ? { title: "?" } : (c) => ({ title: c.input.repo.toUpperCase() })} />
    <Subflow id="i" workflow={audit} input={ctx.input.rounds === 1 ? { path: "" } : (c) => ({ path: c.input.repo })} />
    <TryCatchFinally catch={ctx.input.rounds === 1 ? null : ({ nodeId }) => (nodeId === "a" ? <Saga /> : null)}>
      {null}
    </TryCatchFinally>
  </Workflow>
))

/** Components of an author's own hand on what they are given. */
export const HandingOn = ({
  id,
  children,
  ...others
}: {
  readonly id: string
  readonly children: React.ReactNode
  readonly agent?: Agent
  readonly retries?: number
  readonly timeout?: "1m" | "2m"
  readonly timeoutMs?: number
}) => (
  <Task id={id} output={outputs.note} {...others}>
    {children}
  </Task>
)
export const times = ["1m", "2m"] as const
export const forwardedProps = times.map((timeout) => (
  <HandingOn key={timeout} id={timeout} agent={agent} timeout={timeout}>
    x
  </HandingOn>
))
export const called = React.createElement(Parallel, { maxConcurrency: 3 }, <Saga />)

/** Keys in functions of ctx are checked wherever such a function stands. */
export const keysInFunctions = (
  <>
    {/* @ts-expect-error there is no such key */}
    <Approval id="a" request={(c) => ({ title: c.output("nots") })} />
    {/* @ts-expect-error there is no such key */}
    <Approval id="b" request={{ title: "?" }} skipIf={(c) => c.latest("nots") === "no"} />
    {/* @ts-expect-error there is no such key */}
    <HumanTask id="c" output="note" prompt={(c) => c.output("nots")} />
    {/* @ts-expect-error there is no such key */}
    <Signal id="d" name="s" correlation={(c) => c.output("nots")} />
    {/* @ts-expect-error there is no such key */}
    <WaitForEvent id="e" name="s" correlation={(c) => c.outputMaybe("nots")} />
    {/* @ts-expect-error there is no such key */}
    <Timer id="f" until={(c) => c.output("nots").length} />
    {/* @ts-expect-error there is no such key */}
    <Timer id="g" duration="1m" skipIf={(c) => c.output("nots").length === 1} />
    {/* @ts-expect-error there is no such key */}
    <Subflow id="h" workflow={audit} input={(c) => ({ path: c.output("nots") })} />
    {/* @ts-expect-error there is no such key */}
    <Task id="i" output="note" needsApproval={{ request: (c) => ({ title: c.output("nots") }) }}>
      x
    </Task>
    {/* @ts-expect-error there is no such key */}
    <TryCatchFinally catch={(_, c) => c.latest("nots") === "" && null} />
    {/* @ts-expect-error there is no such key */}
    <Loop until={(c) => c.iterationCount("nots") > 1} />
    {/* @ts-expect-error there is no such key */}
    <Signal id="j" name="s" output="nots" />
    <Signal id="k" name="s" output="note" correlation={(c) => c.output("analysis").summary} timeout="2 days" />
    <Timer id="l" duration={Duration.hours(2)} />
  </>
)

/** The type of a run's output is that of the schema that is declared as such, and unknown where none is. */
export const declaredOutput = async () => {
  const { smithers: declared, Workflow: Root } = createSmithers(
    { score: z.object({ points: z.number() }), note: z.string() },
    { output: "score", input: z.object({ repo: z.string() }) },
  )
  const workflow = declared(() => <Root name="w" />)
  const result = await runWorkflow(workflow, { input: { repo: "x" } })
  if (result.status === "finished") {
    const points: number | undefined = result.output?.points
    // @ts-expect-error no task may have given it
    result.output.points
    // @ts-expect-error there is no such field
    result.output?.point
    return points
  }
  const undeclared = await runWorkflow(audit, { input: { path: "x" } })
  // @ts-expect-error nobody has said what it is
  if (undeclared.status === "finished") undeclared.output.length
  const executed: Effect.Effect<{ points: number } | undefined, unknown, unknown> = workflow.execute({ repo: "x" })
  return executed
}
