/** What the compiler has to accept of components: values and functions of all kinds, and components of an author's own. */
import { Effect, Option, Schema } from "effect"
import type * as React from "react"
import {
  type Agent,
  Approval as AnyApproval,
  Loop as AnyLoop,
  Signal as AnySignal,
  Subflow as AnySubflow,
  Task as AnyTask,
  type Ctx,
  createSmithers,
  Parallel,
  runWorkflow,
  Sequence,
  Smithers,
  type TaskCtx,
} from "smithers-orchestrator"
import { z } from "zod"

class Person extends Schema.Class<Person>("Person")({ name: Schema.String }) {}
const S = {
  analysis: z.object({ summary: z.string(), risk: z.enum(["low", "high"]), issues: z.array(z.string()).default([]) }),
  shape: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("a"), n: z.number() }),
    z.object({ kind: z.literal("b"), s: z.string() }),
  ]),
  count: z.number(),
  flag: z.boolean(),
  list: z.array(z.string()),
  pair: z.tuple([z.string(), z.number()]),
  note: z.string(),
  any: z.any(),
  unknown: z.unknown(),
  rec: z.record(z.string(), z.number()),
  person: Person,
  when: Schema.Struct({ at: Schema.Date }),
  opt: Schema.Option(Schema.Number),
  nothing: Schema.Void,
  trans: z.string().transform((s) => s.length),
}
const {
  Workflow,
  Task,
  Loop,
  Branch,
  Approval,
  HumanTask,
  Signal,
  Timer,
  Subflow,
  Saga,
  TryCatchFinally,
  smithers,
  outputs,
  useCtx,
} = createSmithers(S, { input: z.object({ repo: z.string(), items: z.array(z.object({ id: z.string() })).default([]) }) })
declare const agent: Agent
declare const other: Agent
const pair = [agent, other] as const
const child = createSmithers({ n: z.number() }).smithers(() => null)
const helper = (ctx: Ctx) => ctx.input.repo as string
const helper2 = (ctx: TaskCtx) => `${ctx.attempt}`
const typed = (ctx: ReturnType<typeof useCtx>) => ctx.output("note")
interface Props extends React.PropsWithChildren {
  readonly id: string
  readonly agent?: Agent
  readonly retries?: number
}
export const Wrap = ({ id, children, ...rest }: Props) => (
  <Task id={id} output={outputs.note} {...rest}>
    {children}
  </Task>
)
export function Generic<T extends z.ZodType>({ schema, children }: { readonly schema: T; readonly children: React.ReactNode }) {
  return (
    <Task id="g" output={schema} agent={agent}>
      {children}
    </Task>
  )
}
export const Keyed = ({ k }: { readonly k: "note" | "analysis" }) => (
  <Task id="k" output={k} agent={agent}>
    x
  </Task>
)
export const Both = ({ useAgent }: { readonly useAgent: boolean }) => (
  <Task id="k" output="note" {...(useAgent ? { agent } : {})}>
    x
  </Task>
)
export const all = smithers((ctx) => {
  const found = ctx.outputMaybe("analysis", { nodeId: "x" })
  return (
    <Workflow name="w">
      <Task id="1" output={outputs.shape}>
        {() => ({ kind: "a", n: 1 })}
      </Task>
      <Task id="2" output={outputs.shape}>
        {{ kind: "b", s: "x" }}
      </Task>
      <Task id="3" output={outputs.count}>
        {42}
      </Task>
      <Task id="4" output={outputs.count}>
        {() => 42}
      </Task>
      <Task id="5" output={outputs.flag}>
        {true}
      </Task>
      <Task id="6" output={outputs.list}>
        {["a", "b"]}
      </Task>
      <Task id="7" output={outputs.list}>
        {() => ["a"]}
      </Task>
      <Task id="8" output={outputs.pair}>
        {() => ["a", 1]}
      </Task>
      <Task id="9" output={outputs.pair}>
        {["a", 1]}
      </Task>
      <Task id="10" output={outputs.any}>
        {() => ({ whatever: 1 })}
      </Task>
      <Task id="11" output={outputs.unknown}>
        {(c) => ({ whatever: c.input.repo })}
      </Task>
      <Task id="12" output={outputs.rec}>
        {() => ({ a: 1, b: 2 })}
      </Task>
      <Task id="13" output={outputs.person}>
        {() => new Person({ name: "x" })}
      </Task>
      <Task id="14" output={outputs.person}>
        {{ name: "x" }}
      </Task>
      <Task id="15" output={outputs.when}>
        {() => ({ at: new Date() })}
      </Task>
      <Task id="16" output={outputs.opt}>
        {() => Option.some(1)}
      </Task>
      <Task id="17" output={outputs.nothing}>
        {() => {}}
      </Task>
      <Task id="18" output={outputs.trans}>
        {() => "abc"}
      </Task>
      <Task id="19" output={outputs.analysis}>
        {() =>
          Effect.gen(function* () {
            yield* Effect.sleep(1)
            return { summary: "s", risk: "low" as const }
          })
        }
      </Task>
      <Task id="20" output={outputs.analysis}>
        {async () => {
          if (Math.random() > 0.5) return { summary: "a", risk: "low" }
          return { summary: "b", risk: "high", issues: [] }
        }}
      </Task>
      <Task id="21" output={outputs.analysis}>
        {(c) => c.latest("analysis") ?? { summary: "", risk: "low" }}
      </Task>
      <Task id="22" output={outputs.note}>
        {ctx.input.items.map(({ id }) => `- ${id}\n`)}
      </Task>
      <Task id="23" output={outputs.note}>
        {found?.summary}
      </Task>
      <Task id="24" output={outputs.note} agent={pair}>
        Do {ctx.input.repo} {found} {["a"]} <b>now</b>
      </Task>
      <Task id="25" output={outputs.note} agent={Math.random() > 0.5 ? agent : [agent, other]}>
        {async (c) => `x ${await Promise.resolve(c.input.repo)}`}
      </Task>
      <Task id="26" output={outputs.note} agent={agent}>
        {(c) => <p>Hi {c.input.repo}</p>}
      </Task>
      <Task id="27" output={outputs.note} deps={{ a: "analysis", c: outputs.count }} needs={{ a: "19" }}>
        {({ a, c }) => `${a.issues.length + c}`}
      </Task>
      <Task id="28" output={outputs.note} deps={{ a: "analysis" }}>
        {async ({ a }, { signal, heartbeat }) => {
          heartbeat()
          return signal.aborted ? "" : a.risk
        }}
      </Task>
      <Task id="29" output={outputs.note}>
        {helper}
      </Task>
      <Task id="30" output={outputs.note}>
        {helper2}
      </Task>
      <Task id="31" output={outputs.note}>
        {typed}
      </Task>
      <Task
        id="32"
        output={outputs.note}
        skipIf={ctx.input.repo === ""}
        retryPolicy={{ initialDelay: "1s", maxDelayMs: 5 }}
        needsApproval
      >
        x
      </Task>
      <Task
        id="33"
        output={outputs.note}
        key="k"
        cache={{ key: (c) => c.input.repo, ttl: "1 day" }}
        meta={{ a: 1 }}
        label="l"
        compensate={async (o, c) => [o.length, c.taskId]}
      >
        x
      </Task>
      <Task id="34" agent={agent}>{dedentish`x`}</Task>
      <Task id="35">{{ any: "thing" }}</Task>
      <Task id="36">{() => Promise.all([1, 2])}</Task>
      <Task id="37">{new Date().toISOString()}</Task>
      <Task id="38" output={outputs.note}>
        {(c) => c.input.repo}
      </Task>
      <Task id="39" output={z.object({ x: z.number() })}>
        {() => ({ x: 1 })}
      </Task>
      <Task id="40" output={Schema.Literal("a", "b")}>
        {() => "a"}
      </Task>
      {ctx.input.items.map(({ id }) => (
        <Task key={id} id={id} output={outputs.count}>
          {(c) => c.iteration}
        </Task>
      ))}
      <Loop until={found?.risk === "low"} maxIterations={found ? 3 : undefined}>
        <Wrap id="w">hi</Wrap>
      </Loop>
      <Loop until={(c) => c.latest("analysis")}>{null}</Loop>
      <Branch
        if={found}
        then={
          <Task id="b" output="count">
            {1}
          </Task>
        }
        else={[null]}
      />
      <Approval
        id="42"
        request={(c) => ({ title: "x", details: c.output("analysis") })}
        skipIf={(c) => c.input.repo === ""}
        timeout="1h"
        onTimeout="deny"
      />
      <HumanTask id="43" output="analysis">
        Rate <b>it</b>
      </HumanTask>
      <Signal id="44" name="paid" correlation={ctx.input.repo} output="any" />
      <Timer id="45" until={new Date()} />
      <Timer id="46" duration="1m" skipIf />
      <Subflow id="47" workflow={child} />
      <Subflow id="48" workflow={child} input={{ a: 1 }} />
      <Subflow id="49" workflow={child} input={(c) => ({ a: c.input.repo })} />
      <Saga>
        <TryCatchFinally
          catch={(e) => (
            <AnyTask id="z" output={outputs.note}>
              {e.message}
            </AnyTask>
          )}
          finally={
            <Sequence>
              <Parallel />
            </Sequence>
          }
        >
          <AnyTask id="zz" output={outputs.analysis}>
            {{ summary: "", risk: "low" }}
          </AnyTask>
        </TryCatchFinally>
      </Saga>
      <AnyTask id="any1" output="note">
        {(c) => c.output("whatever").length}
      </AnyTask>
      <AnyLoop until={(c) => c.latest("x")?.y === 1}>{null}</AnyLoop>
      <AnyApproval id="any2" request={(c) => ({ title: c.input.x })} output={outputs.any} />
      <AnySignal id="any3" name="x" output="whatever" />
      <AnySubflow id="any4" workflow={all2} input={{ repo: "x" }} />
    </Workflow>
  )
})
const all2 = createSmithers({ n: z.number() }, { input: z.object({ repo: z.string() }) }).smithers(() => null)
const dedentish = (s: TemplateStringsArray) => s.join("")
export const r = runWorkflow(all, { input: { repo: "x" }, runtime: Smithers.memory })
export const generic = <I,>(w: import("smithers-orchestrator").JsxWorkflow<I>, input: I) => runWorkflow(w, { input })
export const run = generic(all, { repo: "x" })
export const withOutput = createSmithers({ n: z.number() }, { output: "n" }).smithers(() => null)
export const run2 = generic(withOutput, {})
