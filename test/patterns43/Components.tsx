/** Each pattern as it is said with components. The text of each program is what docs/patterns43.md shows. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createSmithers, type JsxWorkflow, Parallel, Sequence, Smithers, Timer } from "smithers-orchestrator"
import { z } from "zod"
import { type Program, runOf } from "./Kills.ts"
import type { Numbered } from "./Patterns.ts"

const { Workflow, Task, Race, ForEach, Loop, Scope, Signal, Subflow, smithers, outputs, useCtx } = createSmithers({
  text: z.string(),
  texts: z.array(z.string()),
  number: z.number(),
})

/** A program that is given nothing. */
const drawn = (draw: Parameters<typeof smithers>[0]): Program =>
  runOf(
    smithers((ctx) => <Workflow name="case">{draw(ctx)}</Workflow>),
    {},
  )

/** A program that is given a depth. */
const deep = <A,>(make: () => JsxWorkflow<{ n: number }, A>) => runOf(make(), { n: 2 })

type Ctx = ReturnType<typeof useCtx>

interface WorkProps {
  readonly id: string
  readonly takes?: Duration.DurationInput
  readonly dependsOn?: ReadonlyArray<string>
  readonly skipIf?: (ctx: Ctx) => boolean
}

// helpers
/** A task that takes as long as it says, and gives its id. */
const Work = ({ id, takes = "1 minute", ...props }: WorkProps) => (
  <Task id={id} output={outputs.text} noRetry {...props}>
    {() => Effect.as(Effect.sleep(takes), id)}
  </Task>
)

/** A task that takes a minute for the item x, five for y and a day for z, and gives the item. */
const Handle = ({ item }: { readonly item: string }) => (
  <Task id={`${item}:do`} output={outputs.text} noRetry>
    {() => Effect.as(Effect.sleep(item === "x" ? "1 minute" : item === "y" ? "5 minutes" : "1 day"), item)}
  </Task>
)

/** A signal that carries text. */
const Event = ({ id }: { readonly id: string }) => <Signal id={id} name={id} output={outputs.text} />

/** A workflow that is given a name, and takes an hour. */
const mail = Smithers.createWorkflow({ name: "mail", input: Schema.Struct({ to: Schema.String }) }).build(($) =>
  $.step("mail", { output: Schema.String, run: ({ input }) => Effect.as(Effect.sleep("1 hour"), input.to) }),
)
// end

export const programs: Numbered<Program> = {
  1: drawn(() => (
    <Sequence>
      <Work id="a" />
      <Work id="b" />
      <Work id="c" />
    </Sequence>
  )),
  2: drawn(() => (
    <>
      <Work id="a" />
      <Parallel>
        <Work id="b" />
        <Work id="c" />
      </Parallel>
    </>
  )),
  3: drawn(() => (
    <>
      <Parallel>
        <Work id="a" />
        <Work id="b" takes="5 minutes" />
      </Parallel>
      <Task id="both" output={outputs.text} deps={{ a: outputs.text, b: outputs.text }}>
        {({ a, b }) => a + b}
      </Task>
    </>
  )),
  4: drawn((ctx) => (
    <>
      <Task id="kind" output={outputs.text}>
        bug
      </Task>
      {ctx.output(outputs.text, { nodeId: "kind" }) === "bug" ? <Work id="fix" /> : <Work id="plan" />}
    </>
  )),
  5: drawn((ctx) => (
    <>
      <Task id="kind" output={outputs.text}>
        idea
      </Task>
      {ctx.output(outputs.text, { nodeId: "kind" }) === "bug" ? <Work id="fix" /> : <Work id="plan" />}
      <Task id="after" output={outputs.text}>
        {(ctx) => `after ${ctx.outputMaybe(outputs.text, { nodeId: "fix" }) ?? ctx.output(outputs.text, { nodeId: "plan" })}`}
      </Task>
    </>
  )),
  6: drawn((ctx) => (
    <>
      <Task id="wanted" output={outputs.texts}>
        {["a", "c"]}
      </Task>
      <Parallel>
        {["a", "b", "c"].map((id) => ctx.output(outputs.texts, { nodeId: "wanted" }).includes(id) && <Work key={id} id={id} />)}
      </Parallel>
    </>
  )),
  7: drawn((ctx) => (
    <>
      <Task id="wanted" output={outputs.texts}>
        {["a", "c"]}
      </Task>
      <Parallel>
        {["a", "b", "c"].map((id) => ctx.output(outputs.texts, { nodeId: "wanted" }).includes(id) && <Work key={id} id={id} />)}
      </Parallel>
      <Task id="after" output={outputs.text}>
        {(ctx) =>
          ctx
            .output(outputs.texts, { nodeId: "wanted" })
            .map((nodeId) => ctx.output(outputs.text, { nodeId }))
            .join("+")
        }
      </Task>
    </>
  )),
  8: drawn(() => (
    <Parallel>
      <Sequence>
        <Work id="a" />
        <Work id="a.after" />
      </Sequence>
      <Sequence>
        <Work id="b" takes="5 minutes" />
        <Work id="b.after" />
      </Sequence>
    </Parallel>
  )),
  9: drawn(() => (
    <>
      <Race id="first" rest="keep">
        <Work id="a" />
        <Work id="b" takes="5 minutes" />
        <Work id="c" takes="10 minutes" />
      </Race>
      <Work id="after" />
    </>
  )),
  10: drawn(() => {
    const Place = () => {
      const ctx = useCtx()
      const from = ctx.outputMaybe(outputs.text, { nodeId: "next", iteration: ctx.iteration - 1 })
      return from === undefined ? <Work id="a" /> : from === "b" ? <Work id="b" /> : <Work id="c" />
    }
    return (
      <Loop id="places" until={(ctx) => ctx.latest(outputs.text, "next") === "end"} maxIterations={Infinity}>
        <Place />
        <Task id="next" output={outputs.text}>
          {/* From b to c, from c back to b or to the end. */}
          {(ctx) => ["b", "c", "b", "c", "end"][ctx.iteration] ?? "end"}
        </Task>
      </Loop>
    )
  }),
  11: drawn(() => (
    <Parallel>
      <Work id="a" takes="5 minutes" />
      <Sequence>
        <Work id="b" />
        <Work id="c" />
      </Sequence>
    </Parallel>
  )),
  12: drawn(() => (
    <>
      <ForEach id="mails" items={["x", "y"]}>
        {(to) => <Subflow id={`${to}:run`} workflow={mail} input={{ to }} attach={false} />}
      </ForEach>
      <Work id="after" />
    </>
  )),
  13: drawn(() => (
    <>
      <ForEach id="copies" items={["x", "y", "z"]}>
        {(item) => <Handle item={item} />}
      </ForEach>
      <Work id="after" />
    </>
  )),
  14: drawn((ctx) => (
    <>
      <Task id="found" output={outputs.texts}>
        {["x", "y"]}
      </Task>
      <ForEach id="each" items={ctx.output(outputs.texts, { nodeId: "found" })}>
        {(item) => <Handle item={item} />}
      </ForEach>
      <Work id="after" />
    </>
  )),
  15: drawn((ctx) => {
    const found = ctx.latest(outputs.texts, "found") ?? []
    return (
      <>
        <Parallel>
          <Loop id="more" until={found.length === 3} maxIterations={Infinity}>
            <Signal id="found" name="found" output={outputs.texts} />
          </Loop>
          <ForEach id="each" items={found} more={found.length < 3}>
            {(item) => <Handle item={item} />}
          </ForEach>
        </Parallel>
        <Work id="after" />
      </>
    )
  }),
  16: drawn((ctx) => (
    <>
      <Race id="first">
        <Event id="paid" />
        <Timer id="late" duration="1 week" />
      </Race>
      {ctx.winner("first") === "paid" && <Work id="ship" />}
      {ctx.winner("first") === "late" && <Work id="remind" />}
    </>
  )),
  17: drawn(() => (
    <>
      <Parallel maxConcurrency={1}>
        <Work id="a" />
        <Work id="c" dependsOn={["a"]} />
        <Work id="b" />
      </Parallel>
      <Work id="after" />
    </>
  )),
  18: drawn(() => (
    <>
      <Parallel>
        <Sequence>
          <Timer id="window" duration="1 day" />
          <Work id="close" />
        </Sequence>
        <Scope id="open" cancelWhen={(ctx) => ctx.outputMaybe(outputs.text, { nodeId: "close" }) !== undefined}>
          <Loop id="changes" until={false} maxIterations={Infinity}>
            <Event id="change" />
            <Work id="apply" />
          </Loop>
        </Scope>
      </Parallel>
      <Work id="after" />
    </>
  )),
  19: drawn(() => (
    <>
      <Scope id="search">
        <Work id="look" takes="1 day" />
      </Scope>
      <Work id="after" />
    </>
  )),
  20: drawn(() => (
    <>
      <Parallel>
        <Work id="a" />
        <Work id="b" takes="1 day" />
        <Event id="go" />
      </Parallel>
      <Work id="after" />
    </>
  )),
  21: drawn(() => (
    <Loop id="drafts" until={(ctx) => ctx.latest(outputs.number, "draft") === 3} maxIterations={10}>
      <Task id="draft" output={outputs.number}>
        {(ctx) => ctx.iteration + 1}
      </Task>
    </Loop>
  )),
  22: deep(() => {
    const { Workflow, Task, Subflow, smithers, outputs } = createSmithers(
      { text: z.string() },
      { input: z.object({ n: z.number() }), output: "text" },
    )
    const walk: JsxWorkflow<{ n: number }, string | undefined> = smithers(({ input: { n } }) => (
      <Workflow name="walk">
        <Task id="here" output={outputs.text}>{`at ${n}`}</Task>
        {n > 0 ? (
          <Subflow id="deeper" workflow={() => walk} input={{ n: n - 1 }} output={outputs.text} />
        ) : (
          <Task id="bottom" output={outputs.text}>
            at the bottom
          </Task>
        )}
      </Workflow>
    ))
    return walk
  }),
  23: drawn(() => (
    <>
      <Event id="start" />
      <Work id="a" />
      <Signal id="go" name="go" output={outputs.text} transient />
    </>
  )),
  24: drawn(() => (
    <>
      <Event id="start" />
      <Work id="a" />
      <Event id="go" />
    </>
  )),
  25: drawn(() => (
    <>
      <Parallel>
        <Event id="stop" />
        <Scope id="region" cancelWhen={(ctx) => ctx.outputMaybe(outputs.text, { nodeId: "stop" }) !== undefined}>
          <Parallel>
            <Work id="a" takes="1 day" />
            <Sequence>
              <Work id="b" />
              <Event id="c" />
            </Sequence>
          </Parallel>
        </Scope>
        <Work id="beside" takes="2 days" />
      </Parallel>
      <Work id="after" />
    </>
  )),
  26: drawn(() => (
    <>
      <ForEach id="each" items={["x", "y", "z"]}>
        {(item) => <Handle item={item} />}
      </ForEach>
      <Work id="after" />
    </>
  )),
  27: drawn(() => (
    <>
      <ForEach id="each" items={["x", "y", "z"]}>
        {(item) => <Handle item={item} />}
      </ForEach>
      <Task id="after" output={outputs.text}>
        {(ctx) => ["x", "y", "z"].map((item) => ctx.outputMaybe(outputs.text, { nodeId: `${item}:do` }) ?? "cancelled").join("+")}
      </Task>
    </>
  )),
  28: drawn(() => (
    <Loop id="rounds" until={false} maxIterations={2}>
      <Race id="first" rest="keep">
        <Work id="a" />
        <Work id="b" takes="5 minutes" />
      </Race>
      <Work id="after" />
    </Loop>
  )),
  29: drawn(() => (
    <>
      <Race id="first">
        <Work id="a" />
        <Work id="b" takes="1 day" />
      </Race>
      <Work id="after" />
    </>
  )),
  30: drawn(() => (
    <>
      <Race id="two" count={2} rest="keep">
        <Work id="a" />
        <Work id="b" takes="5 minutes" />
        <Work id="c" takes="1 hour" />
      </Race>
      <Work id="after" />
    </>
  )),
  31: drawn(() => (
    <Loop id="rounds" until={false} maxIterations={2}>
      <Race id="two" count={2} rest="keep">
        <Work id="a" />
        <Work id="b" />
        <Work id="c" takes="1 hour" />
      </Race>
      <Work id="after" />
    </Loop>
  )),
  32: drawn(() => (
    <>
      <Race id="two" count={2}>
        <Work id="a" />
        <Work id="b" takes="5 minutes" />
        <Work id="c" takes="1 day" />
      </Race>
      <Work id="after" />
    </>
  )),
  33: drawn(() => (
    <Loop id="pairs" until={false} maxIterations={2}>
      <Parallel>
        <Event id="left" />
        <Event id="right" />
      </Parallel>
      <Work id="after" />
    </Loop>
  )),
  34: drawn(() => (
    <>
      <ForEach id="each" items={["x", "y", "z"]} until={({ done }) => done >= 2} rest="keep">
        {(item) => <Handle item={item} />}
      </ForEach>
      <Work id="after" />
    </>
  )),
  35: drawn(() => (
    <>
      <ForEach id="each" items={["x", "y", "z"]} until={({ done }) => done >= 2}>
        {(item) => <Handle item={item} />}
      </ForEach>
      <Work id="after" />
    </>
  )),
  36: drawn((ctx) => {
    const found = ctx.latest(outputs.texts, "found") ?? []
    return (
      <>
        <Parallel>
          <Loop id="more" until={found.length === 3} maxIterations={Infinity}>
            <Signal id="found" name="found" output={outputs.texts} />
          </Loop>
          <ForEach id="each" items={found} more={found.length < 3} until={({ values }) => values.includes("y")}>
            {(item) => <Handle item={item} />}
          </ForEach>
        </Parallel>
        <Work id="after" />
      </>
    )
  }),
  37: drawn(() => {
    const isUnwanted = (id: string) => (ctx: Ctx) => !ctx.output(outputs.texts, { nodeId: "wanted" }).includes(id)
    return (
      <>
        <Task id="wanted" output={outputs.texts}>
          {["a"]}
        </Task>
        <Parallel>
          <Work id="a" skipIf={isUnwanted("a")} />
          <Work id="b" skipIf={isUnwanted("b")} />
          <Task id="merge" output={outputs.text} dependsOn={["a", "b"]}>
            {(ctx) => ["a", "b"].map((nodeId) => ctx.outputMaybe(outputs.text, { nodeId }) ?? `no ${nodeId}`).join(", ")}
          </Task>
          <Work id="beside" takes="1 hour" />
        </Parallel>
      </>
    )
  }),
  38: drawn(() => (
    <Parallel>
      <Work id="a" />
      <Loop id="rounds" until={false} maxIterations={2}>
        <Work id="round" />
        <Work id="b" skipIf={(ctx) => ctx.iteration !== 1} />
      </Loop>
      <Task id="merge" output={outputs.text} dependsOn={["a", "b"]}>
        {(ctx) => ["a", "b"].map((nodeId) => ctx.outputMaybe(outputs.text, { nodeId }) ?? `no ${nodeId}`).join(", ")}
      </Task>
      <Work id="beside" takes="1 hour" />
    </Parallel>
  )),
  39: drawn(() => (
    <Parallel>
      <Work id="a" />
      <Work id="b" />
      <Parallel maxConcurrency={1}>
        <Work id="lock-a" takes="5 minutes" dependsOn={["a"]} />
        <Work id="lock-b" takes="5 minutes" dependsOn={["b"]} />
      </Parallel>
      <Work id="after-a" takes="1 hour" dependsOn={["lock-a"]} />
      <Work id="after-b" takes="1 hour" dependsOn={["lock-b"]} />
    </Parallel>
  )),
  40: drawn(() => (
    <>
      <Parallel maxConcurrency={1}>
        <Work id="a" />
        <Work id="b" />
        <Work id="c" />
      </Parallel>
      <Work id="after" />
    </>
  )),
  41: drawn(() => (
    <>
      <ForEach id="threads" items={["x", "y"]}>
        {(item) => <Handle item={item} />}
      </ForEach>
      <Task id="one" output={outputs.text}>
        {(ctx) => ["x", "y"].map((item) => ctx.output(outputs.text, { nodeId: `${item}:do` })).join("+")}
      </Task>
    </>
  )),
  42: drawn(() => (
    <>
      <Work id="a" />
      <ForEach id="threads" items={["x", "y"]}>
        {(item) => <Handle item={item} />}
      </ForEach>
    </>
  )),
  43: drawn(() => (
    <Scope id="whole" until={(ctx) => ctx.outputMaybe(outputs.text, { nodeId: "end" }) !== undefined}>
      <Parallel>
        <Sequence>
          <Work id="a" />
          <Work id="end" />
        </Sequence>
        <Work id="b" takes="1 day" />
        <Event id="c" />
      </Parallel>
    </Scope>
  )),
}
