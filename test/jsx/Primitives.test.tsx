/** @jsxImportSource smithers-orchestrator */
import { createSmithers, type JsxWorkflow, renderPlan, runWorkflow, Smithers, useCtx } from "smithers-orchestrator"
import { crashEverywhere, planText, TestRuntime } from "smithers-orchestrator/testing"
import { describe, expect, it } from "vitest"
import { z } from "zod"

const {
  Workflow,
  Task,
  Sequence,
  Parallel,
  Branch,
  Loop,
  Saga,
  Scope,
  Race,
  ForEach,
  TryCatchFinally,
  Budget,
  MergeQueue,
  Approval,
  ApprovalGate,
  smithers,
  outputs,
} = createSmithers(
  {
    text: z.string(),
    ok: z.object({ approved: z.boolean(), note: z.string().nullable() }),
    pick: z.object({ selected: z.enum(["blue", "green"]), note: z.string().nullable() }),
  },
  { input: z.object({ skips: z.boolean().default(false), amount: z.number().default(0) }) },
)

const idsOf = <I,>(workflow: JsxWorkflow<I>, options: object) =>
  renderPlan(workflow, { input: {} as I, ...options }).tasks.map(({ id }) => id)

describe("skipIf of groups", () => {
  const all = smithers((ctx) => {
    const skipIf = ctx.input.skips
    const task = (id: string) => (
      <Task id={id} output={outputs.text}>
        {id}
      </Task>
    )
    return (
      <Workflow name="all">
        <Sequence skipIf={skipIf}>{task("sequence")}</Sequence>
        <Parallel skipIf={skipIf}>{task("parallel")}</Parallel>
        <Branch skipIf={skipIf} if={true} then={task("branch")} />
        <Loop id="l" skipIf={skipIf} until={false} maxIterations={1}>
          {task("loop")}
        </Loop>
        <Saga id="s" skipIf={skipIf}>
          {task("saga")}
        </Saga>
        <Scope id="sc" skipIf={skipIf}>
          {task("scope")}
        </Scope>
        <Race id="r" skipIf={skipIf}>
          {task("race")}
        </Race>
        <ForEach id="f" skipIf={skipIf} items={["a"]}>
          {(item) => task(`each-${item}`)}
        </ForEach>
        <MergeQueue id="m" skipIf={skipIf} items={["a"]}>
          {(item) => task(`queue-${item}`)}
        </MergeQueue>
        <TryCatchFinally
          id="t"
          skipIf={skipIf}
          catch={null}
          finally={
            <Task id="finally" output={outputs.text}>
              finally
            </Task>
          }
        >
          {task("try")}
        </TryCatchFinally>
        <Budget id="b" skipIf={skipIf} tokens={1}>
          {task("budget")}
        </Budget>
        {task("last")}
      </Workflow>
    )
  })

  it("leaves each kind of group out of the plan", () => {
    expect(idsOf(all, { input: { skips: false } })).toHaveLength(13)
    expect(planText(all, { input: { skips: true } })).toBe(
      planText(
        smithers(() => (
          <Workflow name="all">
            <Task id="last" output={outputs.text}>
              last
            </Task>
          </Workflow>
        )),
        { input: {} },
      ),
    )
  })

  it("is looked at in each render, so that a group comes and goes in a loop", async () => {
    const Second = () => (
      <Sequence skipIf={useCtx().iteration !== 1}>
        <Task id="only-second" output={outputs.text}>
          {(ctx) => `in ${ctx.iteration}`}
        </Task>
      </Sequence>
    )
    const workflow = smithers(() => (
      <Workflow name="watching">
        <Loop id="rounds" until={false} maxIterations={3} onMaxReached="return-last">
          <Task id="round" output={outputs.text}>
            {(ctx) => `round ${ctx.iteration}`}
          </Task>
          <Second />
        </Loop>
      </Workflow>
    ))
    await using runtime = TestRuntime.make()
    expect((await runtime.run(workflow, {}, { runId: "r" })).status).toBe("finished")
    const timeline = await runtime.timeline("r")
    expect(timeline.match(/only-second.*: succeeded/g)).toEqual(["only-second (iteration 1): succeeded"])
  })

  it("does not hold while the condition is pending, and refuses one that is always true", () => {
    const pending = smithers((ctx) => (
      <Workflow name="pending">
        <Task id="a" output={outputs.text}>
          a
        </Task>
        <Sequence skipIf={ctx.output(outputs.text, { nodeId: "a" }) === "a"}>
          <Task id="b" output={outputs.text}>
            b
          </Task>
        </Sequence>
        <Sequence skipIf={ctx.output(outputs.text, { nodeId: "a" }).length === 1}>
          <Task id="c" output={outputs.text}>
            c
          </Task>
        </Sequence>
      </Workflow>
    ))
    expect(idsOf(pending, {})).toEqual(["a", "b", "c"])
    expect(idsOf(pending, { outputs: { a: "a" } })).toEqual(["a"])
    const wrong = smithers(() => (
      <Workflow name="wrong">
        <Sequence skipIf={"no" as unknown as boolean}>
          <Task id="a">{1}</Task>
        </Sequence>
      </Workflow>
    ))
    expect(() => idsOf(wrong, {})).toThrow(/"skipIf" is the text "no", which is always true/)
  })

  it("does not hold a run up for what its children have read", async () => {
    const Child = () => {
      const ctx = useCtx()
      return (
        <Task id="b" output={outputs.text}>
          {String(ctx.output(outputs.pick))}
        </Task>
      )
    }
    const workflow = smithers(() => (
      <Workflow name="reading">
        <Sequence skipIf>
          <Child />
        </Sequence>
        <Task id="end" output={outputs.text}>
          end
        </Task>
      </Workflow>
    ))
    const result = await runWorkflow(workflow, { input: {}, runtime: Smithers.memory })
    expect(result).toMatchObject({ status: "finished", output: "end" })
  })
})

describe("MergeQueue", () => {
  it("runs whole items one after another, in their order", async () => {
    const log: Array<string> = []
    const workflow = smithers(() => (
      <Workflow name="queue">
        <MergeQueue id="queue" items={["b", "a"]}>
          {(item) => (
            <Sequence>
              <Task id={`rebase ${item}`}>{() => Bun.sleep(5).then(() => void log.push(`rebase ${item}`))}</Task>
              <Task id={`merge ${item}`}>{() => void log.push(`merge ${item}`)}</Task>
            </Sequence>
          )}
        </MergeQueue>
      </Workflow>
    ))
    await runWorkflow(workflow, { input: {}, runtime: Smithers.memory })
    expect(log).toEqual(["rebase b", "merge b", "rebase a", "merge a"])
  })
})

describe("ApprovalGate", () => {
  const pay = smithers((ctx) => (
    <Workflow name="pay">
      <ApprovalGate id="gate" output={outputs.ok} when={ctx.input.amount > 100} request={{ title: `Pay ${ctx.input.amount}?` }} />
      <Task id="paid" output={outputs.text}>
        {(ctx) => `${ctx.output(outputs.ok).approved}: ${ctx.output(outputs.ok).note}`}
      </Task>
    </Workflow>
  ))

  it("asks a person only where its condition holds", async () => {
    await using runtime = TestRuntime.make()
    expect(await runtime.execute(pay, { amount: 5 })).toBe("true: no approval was needed")
    const run = await runtime.start(pay, { amount: 500 }, { runId: "r" })
    await runtime.approve("r", "gate", { note: "fine" })
    expect(await run.output()).toBe("true: fine")
  })

  it("waits for a condition that is pending", async () => {
    const workflow = smithers((ctx) => (
      <Workflow name="later">
        <Task id="risk" output={outputs.text}>
          high
        </Task>
        <ApprovalGate id="gate" when={ctx.output(outputs.text, { nodeId: "risk" }) === "low"} request={{ title: "?" }} />
        <ApprovalGate id="other" when={(ctx) => ctx.latest(outputs.text, "risk") === "low"} request={{ title: "?" }} />
      </Workflow>
    ))
    expect(await runWorkflow(workflow, { input: {}, runtime: Smithers.memory })).toMatchObject({ status: "finished" })
  })
})

describe("an approval that selects", () => {
  const colours = [{ key: "blue", label: "Blue", summary: "as the sky" }, "green"] as const
  const paint = smithers(() => (
    <Workflow name="paint">
      <Approval id="colour" mode="select" output={outputs.pick} options={colours} request={{ title: "Which colour?" }} />
      <Task id="said" output={outputs.text}>
        {(ctx) => ctx.output(outputs.pick).selected}
      </Task>
    </Workflow>
  ))

  it("gives the option that was selected, and takes no other", async () => {
    await using runtime = TestRuntime.make()
    const run = await runtime.start(paint, {}, { runId: "r" })
    const wait = await runtime.waitFor("r", "colour")
    expect(wait.request).toMatchObject({
      title: "Which colour?",
      options: [{ key: "blue", label: "Blue", summary: "as the sky" }, { key: "green" }],
    })
    await expect(runtime.approve("r", "colour", { choose: "red" })).rejects.toMatchObject({
      _tag: "InvalidAnswer",
      issues: [`"red" is not one of "blue", "green"`],
    })
    await expect(runtime.approve("r", "colour")).rejects.toMatchObject({
      _tag: "InvalidAnswer",
      issues: [`choose one of "blue", "green"`],
    })
    await runtime.approve("r", "colour", { choose: "green", note: "calm", by: "ann" })
    expect(await run.output()).toBe("green")
  })

  it("survives a crash at every commit", async () => {
    expect(await crashEverywhere(paint, {}, {})).toMatchObject({ steps: ["said"] })
  })

  it("refuses options that no decision could match its output with", () => {
    const wrong = smithers(() => (
      <Workflow name="wrong">
        <Approval id="colour" output={outputs.pick} options={["red"]} request={{ title: "?" }} />
      </Workflow>
    ))
    expect(() => idsOf(wrong, {})).toThrow(/its output cannot hold a decision.*"selected":"red"/)
    const twice = smithers(() => (
      <Workflow name="twice">
        <Approval id="colour" options={["red", "red"]} request={{ title: "?" }} />
      </Workflow>
    ))
    expect(() => idsOf(twice, {})).toThrow(/has two options "red"/)
    const none = smithers(() => (
      <Workflow name="none">
        <Approval id="colour" mode="select" request={{ title: "?" }} />
      </Workflow>
    ))
    expect(() => idsOf(none, {})).toThrow(/it selects, and has no "options"/)
  })

  it("is refused where nothing is to be selected", async () => {
    const plain = smithers(() => (
      <Workflow name="plain">
        <Approval id="ok" request={{ title: "?" }} />
      </Workflow>
    ))
    await using runtime = TestRuntime.make()
    await runtime.start(plain, {}, { runId: "r" })
    await expect(runtime.approve("r", "ok", { choose: "red" })).rejects.toMatchObject({ _tag: "InvalidCommand" })
  })
})
