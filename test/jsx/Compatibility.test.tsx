/**
 * Workflows of Smithers 0.x: spellings that mean ours, options that have no effect, and props that are refused with a cure.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "@effect/vitest"
import * as Compatibility from "@smithers/jsx/Compatibility"
import * as smithersPackage from "smithers-orchestrator"
import { createSmithers, renderPlan, runWorkflow, Smithers } from "smithers-orchestrator"
import { scriptedAgent, TestRuntime } from "smithers-orchestrator/testing"
import * as z from "zod"

// biome-ignore lint/suspicious/noExplicitAny: untyped, as in JavaScript
type Untyped = any

let said: Array<string> = []
beforeEach(() => {
  said = []
  vi.spyOn(console, "warn").mockImplementation((text: string) => void said.push(text))
})
afterEach(() => vi.restoreAllMocks())

const { Approval, HumanTask, Loop, MergeQueue, Saga, Sandbox, Signal, Subflow, Timer, TryCatchFinally, WaitForEvent, Worktree } =
  smithersPackage as Untyped
const schemas = {
  note: z.object({ text: z.string() }),
  round: z.object({ n: z.number() }),
  decision: z.object({
    approved: z.boolean(),
    note: z.string().nullable(),
    decidedBy: z.string().nullable(),
    decidedAt: z.string().nullable(),
  }),
}
const selection = z.object({ selected: z.string(), notes: z.string().nullable() })
const declared = (options: object = {}): Untyped => createSmithers({ ...schemas, selection }, options)
const { Workflow, Task, smithers, outputs } = declared()
const outcome = async (workflow: Untyped): Promise<Untyped> => {
  const result: Untyped = await runWorkflow(workflow, { input: {}, runtime: Smithers.memory })
  expect(result.status).toBe("finished")
  return result.output
}
const drawn = (...children: ReadonlyArray<React.ReactNode>) =>
  renderPlan(
    smithers(() => <Workflow name="w">{children}</Workflow>),
    { input: {} },
  )

describe("createSmithers", () => {
  it("accepts the options of 0.x, and says once that they have no effect", async () => {
    const made = declared({ dbPath: "./old.db", journalMode: "wal", alertPolicy: {} })
    declared({ dbPath: "./old.db" })
    const workflow = made.smithers(() => (
      <made.Workflow name="w">
        <made.Task id="a" output={made.outputs.note}>
          {{ text: "hi" }}
        </made.Task>
      </made.Workflow>
    ))
    expect(await outcome(workflow)).toEqual({ text: "hi" })
    expect(said).toEqual([
      expect.stringContaining(
        '"dbPath" of createSmithers is an option of Smithers 0.x, and has no effect. Choose the file with "--db"',
      ),
      expect.stringContaining('"journalMode"'),
      expect.stringContaining('"alertPolicy"'),
    ])
  })

  it("refuses options that neither has", () => {
    expect(() => declared({ dbPth: "x" })).toThrow('it has no option "dbPth"')
  })
})

describe("ctx.outputs", () => {
  it("has all rows of a table with their node and iteration, and draws again with each new one", async () => {
    const sizes: Array<number> = []
    const workflow = smithers((ctx: Untyped) => {
      sizes.push(ctx.outputs.round.length)
      expect(ctx.outputs("round")).toEqual(ctx.outputs.round)
      expect(ctx.outputs(schemas.round)).toEqual(ctx.outputs.round)
      return (
        <Workflow name="rounds">
          <Loop id="again" until={ctx.outputs.round.length >= 3} maxIterations={5}>
            <Task id="go" output={outputs.round}>
              {(inner: Untyped) => ({ n: inner.outputs.round.length })}
            </Task>
          </Loop>
          {ctx.outputs.round.length >= 3 && (
            <Task id="end" output={outputs.note}>
              {{ text: JSON.stringify(ctx.outputs.round) }}
            </Task>
          )}
        </Workflow>
      )
    })
    const rows = [0, 1, 2].map((iteration) => ({ n: iteration, nodeId: "go", iteration }))
    expect(await outcome(workflow)).toEqual({ text: JSON.stringify(rows) })
    expect([sizes[0], sizes.at(-1)]).toEqual([0, 3])
  })

  it("is read by tasks that come later than the render, and names a table that is none", async () => {
    const workflow = smithers((ctx: Untyped) => (
      <Workflow name="w">
        <Task id="a" output={outputs.note}>
          {{ text: "one" }}
        </Task>
        <Task id="b" output={outputs.note} dependsOn={["a"]}>
          {() => ({ text: ctx.outputs.note.map(({ text, nodeId }: Untyped) => `${nodeId} ${text}`).join() })}
        </Task>
      </Workflow>
    ))
    expect(await outcome(workflow)).toEqual({ text: "a one" })
    const strange = smithers((ctx: Untyped) => (
      <Workflow name="w">
        <Task id="a" output={outputs.note}>
          {{ text: `${ctx.outputs("nowhere").length}` }}
        </Task>
      </Workflow>
    ))
    expect(() => renderPlan(strange, { input: {} })).toThrow('"nowhere" is not a schema of this workflow')
  })

  it("has iterations of loops, latestArray and resolveTableName beside it", async () => {
    const workflow = smithers((ctx: Untyped) => (
      <Workflow name="w">
        <Loop id="again" until={(ctx.iterations.again ?? 0) >= 1} maxIterations={3}>
          <Task id="go" output={outputs.round}>
            {(inner: Untyped) => ({ n: inner.iteration })}
          </Task>
        </Loop>
        <Task id="end" output={outputs.note}>
          {() => ({
            text: JSON.stringify([
              ctx.latestArray('[{"n":1},{"n":"x"}]', schemas.round),
              ctx.latestArray("no JSON"),
              ctx.resolveTableName(outputs.round),
            ]),
          })}
        </Task>
      </Workflow>
    ))
    expect(await outcome(workflow)).toEqual({ text: '[[{"n":1}],[],"round"]' })
  })
})

describe("props of 0.x", () => {
  it("mean ours where only the name differs", () => {
    const child = smithers(() => (
      <Workflow name="child">
        <Task id="a" output={outputs.note}>
          {{ text: "" }}
        </Task>
      </Workflow>
    ))
    const plan = drawn(
      <Approval key="1" id="ok" output={outputs.decision} request={{ title: "?" }} allowedUsers={["ann"]} />,
      <WaitForEvent key="2" id="event" event="paid" correlationId="o-1" output={outputs.note} />,
      <Signal key="3" id="sent" schema={outputs.round} correlationId="o-1" />,
      <HumanTask key="4" id="ask" prompt="?" outputSchema={outputs.note} />,
      <Subflow key="5" id="child" workflow={child} mode="childRun" output={outputs.note} />,
      <Worktree key="6" id="tree" path="../tree" branch="fix" baseBranch="main">
        <Task id="in" output={outputs.note} outputSchema={schemas.note}>
          {{ text: "" }}
        </Task>
      </Worktree>,
    )
    const text = JSON.stringify(plan)
    expect(plan.tasks.map(({ id }) => id)).toEqual(["ok", "event", "sent", "ask", "child", "in"])
    for (const part of ["ann", "paid", "sent"]) expect(text).toContain(part)
    expect(text).toContain('\\"base\\":\\"main\\"')
  })

  it("have a row of a decision with texts and nulls, as its schema there says", async () => {
    const workflow = smithers(() => (
      <Workflow name="w">
        <Approval id="ok" output={outputs.decision} request={{ title: "?" }} />
      </Workflow>
    ))
    await using runtime = TestRuntime.make()
    const run = await runtime.start(workflow, {}, { runId: "r" })
    await runtime.approve("r", "ok", { by: "ann" })
    expect(await run.output()).toEqual({ approved: true, note: null, decidedBy: "ann", decidedAt: "2025-01-01T00:00:00.000Z" })
  })

  it("have notes of a selection, and a time of a timer as a text, after what is needed", async () => {
    const workflow = smithers(() => (
      <Workflow name="w">
        <Task id="a" output={outputs.note}>
          {{ text: "" }}
        </Task>
        <Timer id="past" until="2020-01-01T00:00:00Z" needs={{ note: "a" }} />
        <Approval
          id="which"
          mode="select"
          outputSchema={outputs.selection}
          request={{ title: "?" }}
          options={[{ key: "x", label: "X" }]}
        />
      </Workflow>
    ))
    await using runtime = TestRuntime.make()
    const run = await runtime.start(workflow, {}, { runId: "r" })
    await runtime.approve("r", "which", { choose: "x", note: "why not" })
    expect(await run.output()).toEqual({ selected: "x", notes: "why not" })
    expect(() => drawn(<Timer key="1" id="t" until="soon" />)).toThrow('"until" must be a Date')
  })

  it("give a second agent, and read memory and scorers in their old form", async () => {
    const first = scriptedAgent([new Error("no")])
    const second = scriptedAgent([{ text: "second" }])
    const workflow = smithers(() => (
      <Workflow name="w">
        <Task
          id="a"
          output={outputs.note}
          agent={first}
          fallbackAgent={second}
          noRetry
          memory={{
            recall: { namespace: { kind: "workflow", id: "w" }, query: "x", topK: 2 },
            remember: { namespace: "w", key: "last" },
          }}
          scorers={{ long: { scorer: { score: () => ({ score: 1 }) }, sampling: { type: "ratio", rate: 0 } } }}
        >
          Say something.
        </Task>
      </Workflow>
    ))
    expect(await outcome(workflow)).toEqual({ text: "second" })
    expect([first.calls.length, second.calls.length]).toEqual([1, 1])
  })

  it("read a cache and a policy of retries in their old form", () => {
    const task = (props: object) => (
      <Task key="1" id="a" output={outputs.note} {...props}>
        {() => ({ text: "" })}
      </Task>
    )
    const nodeOf = (props: object): Untyped => drawn(task(props)).plan.nodes.find((node: Untyped) => node.id === "a")
    const cached = nodeOf({ cache: { by: () => "x", version: "v1", ttlMs: 5000, scope: "global" } })
    expect(cached.cache).toMatchObject({ isOwnKey: true, ttlMs: 5000, scope: "store", version: "v1" })
    expect(nodeOf({ cache: { by: () => "x" } }).cache).toMatchObject({ isOwnKey: true, scope: "workflow" })
    const keyed: Untyped = { input: {}, ...{ runId: "r", iteration: 0 } }
    expect(nodeOf({ cache: { key: "k", by: () => "x" } }).cache.key(keyed, { records: new Map() }, () => {})).toEqual(["k", "x"])
    expect(nodeOf({ retries: 1, retryPolicy: { multiplier: 3 } }).retry.shown).toMatchObject({ factor: 3 })
    const fixed = nodeOf({ retries: 1, retryPolicy: { backoff: "fixed", initialDelayMs: 10 } })
    expect(fixed.retry.shown).toEqual(nodeOf({ retries: 1, retryPolicy: { backoff: "constant", initialDelayMs: 10 } }).retry.shown)
  })

  it("say that a decision is asked for once", () => {
    drawn(<Approval key="1" id="ok" output={outputs.decision} request={{ title: "?" }} retries={2} cache={{ by: () => 1 }} />)
    expect(said.filter((text) => text.includes("A decision is asked for once"))).toHaveLength(2)
  })

  it("group the children of a queue, one at a time", async () => {
    let atWork = 0
    let most = 0
    const step = (id: string) => (
      <Task key={id} id={id} output={outputs.note}>
        {async () => {
          most = Math.max(most, ++atWork)
          await new Promise((resolve) => setTimeout(resolve, 5))
          atWork--
          return { text: id }
        }}
      </Task>
    )
    await outcome(
      smithers(() => (
        <Workflow name="w">
          <MergeQueue id="queue">{["a", "b", "c"].map(step)}</MergeQueue>
        </Workflow>
      )),
    )
    expect(most).toBe(1)
  })

  it("are refused with a cure where there is nothing like them", () => {
    const ranked = () =>
      drawn(<Approval key="1" id="ok" mode="rank" output={outputs.decision} request={{ title: "?" }} options={[]} />)
    expect(ranked).toThrow('Approval "ok": mode="rank" is of Smithers 0.x. Ask for the list with a <HumanTask>')
    expect(() => drawn(<Saga.Step key="1" id="a" />)).toThrow("Saga.Step is of Smithers 0.x. Put its task into the <Saga>")
  })

  it.each([
    [
      "autoApprove",
      <Approval key="1" id="ok" output={outputs.decision} request={{ title: "?" }} autoApprove={{ after: 1 }} />,
      "ApprovalGate",
    ],
    ["steps", <Saga key="1" id="s" steps={[]} />, '"compensate"'],
    ["catchErrors", <TryCatchFinally key="1" id="t" try={null} catch={null} catchErrors={["X"]} />, "catchWhen"],
    [
      "children",
      <Signal key="1" id="s" schema={outputs.note}>
        {() => null}
      </Signal>,
      "beside it",
    ],
    [
      "continueOnFail",
      <Approval key="1" id="ok" output={outputs.decision} request={{ title: "?" }} continueOnFail />,
      'onDeny="continue"',
    ],
    ["every", <Timer key="1" id="t" every="1h" />, "<Loop>"],
    ["mode", <Subflow key="1" id="c" mode="inline" output={outputs.note} />, "component"],
    ["workflow", <Sandbox key="1" id="s" workflow={{}} />, "<Subflow"],
    ["autoAcceptDiffs", <Sandbox key="1" id="s" autoAcceptDiffs />, 'review="auto"'],
  ] as const)("are refused with a cure where they mean something else: %s", (prop, element, cure) => {
    expect(() => drawn(element)).toThrow(`"${prop}" is a prop of Smithers 0.x.`)
    expect(() => drawn(element)).toThrow(cure)
  })
})

/** Names that programs of Smithers 0.x can import from its package. */
const importable = [
  "AmpAgent AnthropicAgent ClaudeCodeAgent CodexAgent ContinueAsNew ERROR_REFERENCE_URL ForgeAgent Gateway GeminiAgent Kanban KimiAgent MemoryService",
  "MergeQueue OpenAIAgent PiAgent Poller Sandbox SmithersDb SmithersErrorInstance SmithersObservability SmithersRenderer Summarizer TokenLimiter",
  "TtlGarbageCollector Worktree activeNodes activeRuns aggregateScores approvalDecisionSchema approvalRankingSchema approvalSelectionSchema",
  "approvalsDenied approvalsGranted approvalsRequested attemptDuration bash cacheHits cacheMisses camelToSnake continueAsNew createExternalSmithers",
  "createMemoryLayer createMemoryStore createOpenApiTool createOpenApiToolSync createOpenApiTools createOpenApiToolsSync createScorer createServeApp",
  "createSmithersObservabilityLayer createSmithersOtelLayer createSmithersRuntimeLayer dbQueryDuration dbRetries dbTransactionDuration",
  "dbTransactionRetries dbTransactionRollbacks defineTool edit ensureSmithersTables errorToJson externalWaitAsyncPending faithfulnessScorer",
  "getDefinedToolMetadata getJjPointer getSmithersErrorDefinition getSmithersErrorDocsUrl grep hashCapabilityRegistry hotReloadDuration hotReloadFailures",
  "hotReloads httpRequestDuration httpRequests isJjRepo isKnownSmithersErrorCode isSmithersError knownSmithersErrorCodes latencyScorer listOperations",
  "llmJudge markdownComponents mdxPlugin memoryFactReads memoryFactWrites memoryMessageSaves memoryRecallDuration memoryRecallQueries namespaceToString",
  "nodeDuration nodesFailed nodesFinished nodesStarted openApiToolCallErrorsTotal openApiToolCallsTotal openApiToolDuration parseNamespace",
  "prometheusContentType read relevancyScorer renderFrame renderMdx renderPrometheusMetrics resolveSmithersObservabilityOptions revertToAttempt",
  "revertToJjPointer runJj runScorersAsync runScorersBatch runsTotal sandboxActive sandboxBundleSizeBytes sandboxCompletedTotal sandboxCreatedTotal",
  "sandboxDurationMs sandboxPatchCount sandboxTransportDurationMs schedulerQueueDepth schemaAdherenceScorer signalRun smithersMetrics smithersScorers",
  "startServer syncZodTableSchema timeTravel timerDelayDuration timersCancelled timersCreated timersFired timersPending toolCallsTotal toolDuration tools",
  "toxicityScorer trackSmithersEvent unwrapZodType usePatched vcsDuration workspaceAdd workspaceClose workspaceList write zodSchemaColumns",
  "zodSchemaToJsonExample zodToCreateTableSQL zodToTable",
]

it("exports each name of the package of Smithers 0.x, or has a cure for it", () => {
  const names = importable.flatMap((some) => some.split(" "))
  expect(names.length).toBeGreaterThan(130)
  expect(names.filter((name) => !(name in smithersPackage) && Compatibility.cureOfImport(name) === undefined)).toEqual([])
})

it("takes a prop that is refused for one left out where it has no value", () => {
  const agent = scriptedAgent([{ n: 1 }])
  const drawing = () => (
    <Workflow name="w">
      <Sandbox id="fix" runtime={undefined} env={undefined}>
        <Task id="a" output={outputs.round} agent={agent} fallbackAgent={undefined}>
          Go.
        </Task>
      </Sandbox>
    </Workflow>
  )
  expect(() => renderPlan(smithers(drawing), { input: {} })).not.toThrow()
})
