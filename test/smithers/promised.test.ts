/** What users were promised of workflows written as JSX: each snippet as it was shown, run for real. The snippets are in `fixtures/promised`. */
import { Database } from "bun:sqlite"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, it } from "@effect/vitest"
import { Storage } from "@smithers/core/Storage"
import * as TestRuntime from "@smithers/testing/TestRuntime"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type JsxWorkflow, renderPlan, runWorkflow, Smithers } from "smithers-orchestrator"
import { afterEach, beforeEach, expect } from "vitest"
import adaptive from "./fixtures/promised/adaptive.tsx"
import { asked, reset, tell } from "./fixtures/promised/agents.ts"
import agentTask from "./fixtures/promised/agentTask.tsx"
import branching from "./fixtures/promised/branching.tsx"
import bugfix, * as Bugfix from "./fixtures/promised/bugfix.tsx"
import context from "./fixtures/promised/context.tsx"
import { analyze } from "./fixtures/promised/createAgent.ts"
import feedback from "./fixtures/promised/feedback.tsx"
import flags from "./fixtures/promised/flags.tsx"
import hoc from "./fixtures/promised/hoc.tsx"
import * as MentalModel from "./fixtures/promised/mentalModel.ts"
import mounting from "./fixtures/promised/mounting.tsx"
import phases from "./fixtures/promised/phases.tsx"
import pipeline from "./fixtures/promised/pipeline.tsx"
import ralph from "./fixtures/promised/ralph.tsx"
import release from "./fixtures/promised/release.tsx"
import renderProp from "./fixtures/promised/renderProp.tsx"
import repos from "./fixtures/promised/repos.tsx"
import retries from "./fixtures/promised/retries.tsx"
import review from "./fixtures/promised/review.tsx"
import reviewLoop from "./fixtures/promised/reviewLoop.tsx"
import reviewState from "./fixtures/promised/reviewState.tsx"
import * as SchemasOfOverview from "./fixtures/promised/schemas.ts"
import tickets from "./fixtures/promised/tickets.tsx"
import codeReview from "./fixtures/promised/workflow.tsx"

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "smithers-test-"))
  reset()
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const rows = (sql: string): ReadonlyArray<unknown> => {
  const db = new Database(join(folder, "smithers.db"), { readonly: true })
  try {
    db.run("PRAGMA busy_timeout = 5000")
    return db.query(sql).all()
  } finally {
    db.close()
  }
}

/** What an output table holds, without the columns that all of them have. */
const table = (name: string): ReadonlyArray<unknown> =>
  rows(`SELECT * FROM "${name}" ORDER BY node_id, iteration`).map((row) => {
    const { run_id: _, smithers_exact: __, smithers_inherited_from: ___, ...fields } = row as { readonly [column: string]: unknown }
    return fields
  })

/** Attempts in the order in which they were started. */
const started = () =>
  rows("SELECT node_id, iteration FROM smithers_events WHERE type = 'AttemptStarted' ORDER BY seq").map((row) => {
    const { node_id, iteration } = row as { readonly node_id: string; readonly iteration: number }
    return iteration === 0 ? node_id : `${node_id}/${iteration}`
  })

/** Runs a workflow on a file. */
const run = <I>(workflow: JsxWorkflow<I>, input: I) =>
  runWorkflow(workflow, { input, runId: "run", db: join(folder, "smithers.db") })

const finished = async <I>(workflow: JsxWorkflow<I>, input: I) => {
  const result = await run(workflow, input)
  if (result.status !== "finished") throw result.status === "failed" ? result.error : new Error(result.status)
  return result.output
}

/** What agents were asked, without what each prompt is told of the form of its reply. */
const said = () => asked.map(({ agent, prompt }) => `${agent}: ${prompt.split("\n\nYour reply must end with")[0]}`)

/** How the plan changed in the course of a run, by the tasks and loops that came and went; `*` marks those that changed. */
const flipbook = <I>(workflow: JsxWorkflow<I>, input: I) =>
  Effect.gen(function* () {
    const handle = yield* workflow.start(input)
    const events = Chunk.toReadonlyArray(yield* Stream.runCollect(handle.events))
    return events.flatMap(({ event, frame }) => {
      if (event._tag !== "PlanChanged") return []
      const { mounted, unmounted, changed } = event
      return `${frame}: ${[...mounted.map((id) => `+${id}`), ...unmounted.map((id) => `-${id}`), ...changed.map((id) => `*${id}`)].join(" ")}`
    })
  }).pipe(Effect.provide(Smithers.memory), Effect.runPromise)

const tasksOf = <I>(workflow: JsxWorkflow<I>, options?: Parameters<typeof renderPlan>[1]) =>
  renderPlan(workflow, options).tasks.map(({ id }) => id)

const spawn = (file: string, ...args: Array<string>) =>
  Bun.spawn(["bun", join(import.meta.dirname, "fixtures", "promised", file), ...args], {
    cwd: folder,
    stdout: "pipe",
    stderr: "pipe",
  })

const outcome = async (child: ReturnType<typeof spawn>) => {
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  expect(stderr).toBe("")
  expect(await child.exited).toBe(0)
  return stdout
}

describe("the review workflow", () => {
  it("asks the analyst of the repository, and writes the report from what it said", async () => {
    const output = await finished(review, { repo: "acme/api", sha: "abc123" })
    expect(output).toBe("# Review\n\ntwo unused exports")
    expect(said()).toEqual(["analyst: Analyze acme/api@abc123"])
    expect(table("analysis")).toEqual([{ node_id: "analyze", iteration: 0, summary: "two unused exports", risk: "low" }])
    expect(table("report")).toEqual([{ node_id: "report", iteration: 0, value: "# Review\n\ntwo unused exports" }])
  })

  it("tells the agent, after the prompt and nothing else, what its reply must be", async () => {
    await finished(review, { repo: "acme/api", sha: "abc123" })
    expect(asked[0]?.prompt).toBe(
      `Analyze acme/api@abc123

Your reply must end with one JSON value, with nothing after it. The value must match this JSON Schema:
{
  "type": "object",
  "properties": {"summary":{"type":"string"},"risk":{"type":"string","enum":["low","medium","high"]}},
  "required": ["summary","risk"],
  "additionalProperties": false
}`,
    )
  })

  it("leaves typed tables, and a row for every attempt and every event", async () => {
    await finished(review, { repo: "acme/api", sha: "abc123" })
    expect(rows(`SELECT name, type, "notnull" FROM pragma_table_info('analysis') WHERE name IN ('summary', 'risk')`)).toEqual([
      { name: "summary", type: "TEXT", notnull: 1 },
      { name: "risk", type: "TEXT", notnull: 1 },
    ])
    expect(rows("SELECT node_id, attempt, status FROM smithers_attempts ORDER BY node_id")).toEqual([
      { node_id: "analyze", attempt: 1, status: "succeeded" },
      { node_id: "report", attempt: 1, status: "succeeded" },
    ])
    expect(rows("SELECT frame, type FROM smithers_events ORDER BY seq")).toEqual([
      { frame: 1, type: "RunStarted" },
      { frame: 1, type: "AttemptStarted" },
      { frame: 2, type: "AttemptSucceeded" },
      { frame: 2, type: "AttemptStarted" },
      { frame: 3, type: "AttemptSucceeded" },
      { frame: 3, type: "RunFinished" },
    ])
  })

  it("takes an agent made by createAgent, whose instructions are a function of the input", () => {
    expect(analyze.name).toBe("analyzer")
    expect(analyze.generate).toBeTypeOf("function")
  })
})

describe("the review loop", () => {
  it("goes round until the reviewer approves, who sees the draft of each round", async () => {
    await finished(reviewLoop, { task: "a poem" })
    expect(said()).toEqual([
      "producer: Produce: a poem",
      'reviewer: Review the draft: {\n  "text": "draft 0"\n}',
      "producer: Produce: a poem",
      'reviewer: Review the draft: {\n  "text": "draft 1"\n}',
    ])
    expect(table("review")).toEqual([
      { node_id: "review", iteration: 0, approved: 0 },
      { node_id: "review", iteration: 1, approved: 1 },
    ])
  })

  it("ends after maxIterations rounds with what there is", async () => {
    tell("reviewer", { approved: false })
    expect(await finished(reviewLoop, { task: "a poem" })).toEqual({ approved: false })
    expect(started()).toEqual(["produce", "review", "produce/1", "review/1", "produce/2", "review/2"])
  })
})

describe("the bugfix workflow", () => {
  it("runs fix after analyze, with its summary in the prompt", async () => {
    const output = await finished(bugfix, { description: "it loops for ever" })
    expect(output).toEqual({ patch: "-i<=n +i<n", explanation: "the bound was inclusive" })
    expect(said()).toEqual(["analyzer: Analyze the bug: it loops for ever", "fixer: Fix this issue: off by one"])
    expect(table("analyze")).toEqual([{ node_id: "analyze", iteration: 0, summary: "off by one", severity: "high" }])
    expect(table("fix")).toEqual([{ node_id: "fix", iteration: 0, patch: "-i<=n +i<n", explanation: "the bound was inclusive" }])
  })

  it("shows fix in the plan from the first frame on, and starts it when what it reads is there", async () => {
    const input = { description: "it loops" }
    const before = renderPlan(bugfix, { input })
    expect(before.tasks.map(({ id, content, isProvisional }) => ({ id, content, isProvisional }))).toEqual([
      { id: "analyze", content: "Analyze the bug: it loops", isProvisional: false },
      { id: "fix", content: "Fix this issue: ", isProvisional: true },
    ])
    const after = renderPlan(bugfix, { input, outputs: { analyze: { summary: "off by one", severity: "low" } } })
    expect(after.tasks.map(({ content }) => content)).toEqual(["Analyze the bug: it loops", "Fix this issue: off by one"])
    expect(after.pending).toEqual([])
    expect(await flipbook(bugfix, input)).toEqual(["2: *fix"])
  })

  it("gives the schemas by reference", () => {
    expect(Bugfix.outputs.analyze).toBe(Bugfix.analyzeSchema)
    expect(Bugfix.outputs.fix).toBe(Bugfix.fixSchema)
    expect(MentalModel.outputs.analyze).toBe(MentalModel.analyzeSchema)
    expect(Object.keys(SchemasOfOverview.outputs)).toEqual(["analysis", "fix"])
  })

  it("runs as a process, and once only under one id", async () => {
    const args = ["bugfix.tsx", '{"description":"it loops"}']
    const output = { patch: "-i<=n +i<n", explanation: "the bound was inclusive" }
    const result = { status: "finished", runId: "run", output }
    expect(JSON.parse(await outcome(spawn("run.ts", ...args)))).toEqual({ ...result, asked: ["analyzer", "fixer"] })
    expect(JSON.parse(await outcome(spawn("run.ts", ...args)))).toEqual({ ...result, asked: [] })
    expect(table("analyze")).toEqual([{ node_id: "analyze", iteration: 0, summary: "off by one", severity: "high" }])
  })

  it("resumes from the last completed node when its process was killed", async () => {
    const args = ["bugfix.tsx", '{"description":"it loops"}']
    const first = spawn("run.ts", ...args, "fixer")
    await first.stdout.getReader().read()
    first.kill("SIGKILL")
    await first.exited
    expect(table("fix")).toEqual([])
    const { status, asked } = JSON.parse(await outcome(spawn("run.ts", ...args)))
    expect({ status, asked }).toEqual({ status: "finished", asked: ["fixer"] })
    expect(rows("SELECT node_id, attempt, status FROM smithers_attempts ORDER BY node_id, attempt")).toEqual([
      { node_id: "analyze", attempt: 1, status: "succeeded" },
      { node_id: "fix", attempt: 1, status: "interrupted" },
      { node_id: "fix", attempt: 2, status: "succeeded" },
    ])
  })
})

describe("malformed JSON", () => {
  it("is sent back with what is wrong with it, and only what is valid is kept", async () => {
    tell("analyzer", (_, call) => ['{"summary": "fine"', { summary: 3 }, { summary: "fine" }][call] ?? "")
    expect(await finished(retries, {})).toEqual({ summary: "fine" })
    expect(said()[0]).toBe("analyzer: Analyze the codebase")
    expect(asked[1]?.prompt).toContain("Your previous reply was not accepted:\n- the JSON in the reply cannot be parsed")
    expect(asked[2]?.prompt).toContain(
      "Your previous reply was not accepted:\n- summary: Invalid input: expected string, received number",
    )
    expect(table("analyze")).toEqual([{ node_id: "analyze", iteration: 0, summary: "fine" }])
    expect(started()).toEqual(["analyze"])
  })

  it.effect(
    "is retried as often as the task says, the error appended to the prompt, and then fails the run with nothing kept",
    () =>
      Effect.gen(function* () {
        tell("analyzer", { summary: 3 })
        const handle = yield* retries.start({}, { runId: "run" })
        const result = yield* handle.result
        if (result.status !== "failed" || result.error._tag !== "StepFailed") throw new Error(`the run is ${result.status}`)
        expect(result.error.attempts).toBe(3)
        expect(result.error.error.issues).toEqual(["summary: Invalid input: expected string, received number"])
        // Three attempts of a question and two corrections each; the question of the later ones carries the error.
        expect(asked.length).toBe(9)
        const questions = [0, 3, 6].map((index) => asked[index]?.prompt ?? "")
        for (const question of questions) expect(question.startsWith("Analyze the codebase\n\nYour reply must end with")).toBe(true)
        expect(questions.map((question) => question.includes("Your previous reply was not accepted:\n- summary: "))).toEqual([
          false,
          true,
          true,
        ])
        const { nodes } = yield* Effect.flatMap(Storage, (storage) => storage.inspect("run"))
        expect(nodes.map(({ nodeId, status, table }) => ({ nodeId, status, table }))).toEqual([
          { nodeId: "analyze", status: "failed", table: null },
        ])
      }).pipe(Effect.provide(TestRuntime.layer())),
  )
})

describe("the Ralph loop", () => {
  it("repeats its children in order until the condition holds, and stores each iteration separately", async () => {
    await finished(ralph, {})
    expect(started()).toEqual(["implement", "validate", "implement/1", "validate/1", "implement/2", "validate/2"])
    expect(said().slice(0, 2)).toEqual(["coder: Fix based on feedback", "reviewer: Review the implementation"])
    expect(table("implement")).toEqual(
      [0, 1, 2].map((iteration) => ({ node_id: "implement", iteration, patch: `patch ${iteration}` })),
    )
    expect(table("review")).toEqual(
      [0, 1, 2].map((iteration) => ({ node_id: "validate", iteration, approved: iteration === 2 ? 1 : 0 })),
    )
  })

  it("makes maxIterations passes at most", async () => {
    tell("reviewer", { approved: false })
    await finished(ralph, {})
    expect(table("review").length).toBe(5)
  })
})

describe("dynamic branching", () => {
  it("takes the way that the assessment says, and never starts the other", async () => {
    await finished(branching, {})
    expect(said()).toEqual(["analyst: Assess complexity", "coder: Quick fix"])
    expect(started()).toEqual(["assess", "implement"])
    expect(table("plan")).toEqual([])
    expect(table("code")).toEqual([{ node_id: "implement", iteration: 0, patch: "quick" }])
  })

  it("takes the other way where the assessment says so", async () => {
    tell("analyst", { complexity: "high" })
    expect(await finished(branching, {})).toEqual({ steps: ["one", "two"] })
    expect(said()).toEqual(["analyst: Assess complexity", "architect: Plan implementation"])
    expect(started()).toEqual(["assess", "plan"])
    expect(await flipbook(branching, {})).toEqual(["2: +plan -implement"])
  })
})

describe("the three modes of a task", () => {
  it("ask an agent, run a function, and write a value", async () => {
    writeFileSync(join(folder, "a.test.ts"), 'import { test } from "bun:test"\ntest("passes", () => {})\n')
    const { status, asked } = JSON.parse(await outcome(spawn("run.ts", "modes.tsx", '{"repo":"acme/api"}')))
    expect({ status, asked }).toEqual({ status: "finished", asked: ["claude"] })
    expect(table("analysis")).toEqual([{ node_id: "analyze", iteration: 0, summary: "fine" }])
    expect(table("validation")).toEqual([{ node_id: "validate", iteration: 0, passed: 1 }])
    expect(table("config")).toEqual([{ node_id: "config", iteration: 0, environment: "production", debug: 0 }])
  })
})

describe("the complete code-review workflow", () => {
  const input = { repo: "/my-project" }

  it("analyzes, fixes and reports, each with what came before", async () => {
    expect(await finished(codeReview, input)).toEqual({ title: "Review of /my-project", body: "two things to mend" })
    expect(said()).toEqual(["reviewer: Analyze: /my-project", "coder: Fix these issues: a leak, a race"])
    expect(started()).toEqual(["analyze", "fix", "report"])
    expect(table("analysis")).toEqual([
      { node_id: "analyze", iteration: 0, summary: "two things to mend", hasIssues: 1, issues: '["a leak","a race"]' },
    ])
    expect(table("fix")).toEqual([{ node_id: "fix", iteration: 0, filesChanged: '["a.ts","b.ts"]' }])
    expect(table("report")).toEqual([
      { node_id: "report", iteration: 0, title: "Review of /my-project", body: "two things to mend" },
    ])
  })

  it("skips the fix step entirely when there are no issues", async () => {
    tell("reviewer", { summary: "clean", hasIssues: false, issues: [] })
    expect(await finished(codeReview, input)).toEqual({ title: "Review of /my-project", body: "clean" })
    expect(started()).toEqual(["analyze", "report"])
    expect(table("fix")).toEqual([])
    expect(await flipbook(codeReview, input)).toEqual(["2: +report"])
  })

  it("has one task in its first frame, and three in the next", async () => {
    expect(tasksOf(codeReview, { input })).toEqual(["analyze"])
    const analysis = { summary: "s", hasIssues: true, issues: ["a leak"] }
    expect(tasksOf(codeReview, { input, outputs: { analyze: analysis } })).toEqual(["analyze", "fix", "report"])
    expect(await flipbook(codeReview, input)).toEqual(["2: +fix +report"])
  })

  it("runs as a program that imports it and prints the output", async () => {
    const printed = await outcome(spawn("programmatic.ts"))
    expect(printed).toBe('{\n  title: "Review of /my-project",\n  body: "two things to mend",\n}\n')
    expect(rows("SELECT workflow, status FROM smithers_runs")).toEqual([{ workflow: "code-review", status: "finished" }])
    expect(table("report").length).toBe(1)
  })
})

describe("a plan that adapts", () => {
  it("grows from one task to four when the analysis found three issues", async () => {
    const issues = [1, 2, 3].map((id) => ({ id, description: `issue ${id}` }))
    expect(tasksOf(adaptive)).toEqual(["analyze"])
    expect(tasksOf(adaptive, { outputs: { analyze: { issues } } })).toEqual(["analyze", "fix-1", "fix-2", "fix-3"])
    expect(await flipbook(adaptive, {})).toEqual(["2: +fix-1 +fix-2 +fix-3"])
  })

  it("asks for each fix in turn", async () => {
    await finished(adaptive, {})
    expect(said()).toEqual(["analyst: Analyze the codebase.", "coder: Fix: a leak", "coder: Fix: a race", "coder: Fix: a typo"])
    expect(table("fix")).toEqual([
      { node_id: "fix-1", iteration: 0, patch: "Fix: a leak" },
      { node_id: "fix-2", iteration: 0, patch: "Fix: a race" },
      { node_id: "fix-3", iteration: 0, patch: "Fix: a typo" },
    ])
  })

  it("stays as it was where the analysis found nothing", async () => {
    tell("analyst", { issues: [] })
    await finished(adaptive, {})
    expect(started()).toEqual(["analyze"])
    expect(await flipbook(adaptive, {})).toEqual([])
  })

  it("mounts the fix of the pipeline when the analysis is there", async () => {
    expect(tasksOf(pipeline)).toEqual(["analyze"])
    expect(tasksOf(pipeline, { outputs: { analyze: { issues: [] } } })).toEqual(["analyze", "fix"])
    await finished(pipeline, {})
    expect(said()).toEqual(["analyst: Analyze the codebase.", "coder: Fix: a leak, a race"])
    reset()
    expect(await flipbook(pipeline, {})).toEqual(["2: +fix"])
  })

  it("has no node and no placeholder for what a condition leaves out", async () => {
    await finished(mounting, {})
    expect(started()).toEqual(["analyze"])
    expect(renderPlan(mounting, { outputs: { analyze: { hasIssues: false } } }).plan.text).not.toContain("fix")
    tell("analyst", { hasIssues: true })
    expect(await flipbook(mounting, {})).toEqual(["2: +fix"])
  })

  it("has a task for each repository there is", async () => {
    const input = { repos: ["api", "web"].map((name) => ({ id: name, name: `acme/${name}` })) }
    await finished(repos, input)
    expect(said()).toEqual(["analyst: Analyze acme/api", "analyst: Analyze acme/web"])
    expect(started()).toEqual(["api:analyze", "web:analyze"])
    const hundred = Array.from({ length: 100 }, (_, index) => ({ id: `r${index}`, name: "n" }))
    expect(tasksOf(repos, { input: { repos: hundred } }).length).toBe(100)
  })

  it("runs discovery alone, and then a cycle for each ticket it found", async () => {
    expect(tasksOf(phases)).toEqual(["discover"])
    await finished(phases, {})
    expect(said()).toEqual([
      "planner: Break this project into tickets.",
      "reviewer: Review Login.",
      "reviewer: Review Logout.",
      "reviewer: Review Logout.",
    ])
    expect(started()).toEqual(["discover", "t1:review", "t2:review", "t2:review/1"])
    expect(table("tickets")).toEqual([
      { node_id: "discover", iteration: 0, value: '[{"id":"t1","title":"Login"},{"id":"t2","title":"Logout"}]' },
    ])
  })
})

describe("components and hooks", () => {
  it("a review cycle per ticket has a loop, a state and conditions of its own", async () => {
    const input = { tickets: ["Login", "Logout"].map((title, index) => ({ id: `t${index + 1}`, title })) }
    await finished(tickets, input)
    expect(started()).toEqual([
      ...["t1:implement", "t1:validate", "t1:review", "t1:implement/1", "t1:validate/1", "t1:review/1"],
      ...["t2:implement", "t2:validate", "t2:review"],
    ])
    expect(said()).toEqual([
      "coder: Implement Login.",
      "reviewer: Review patch 0.",
      "coder: Implement Login. Heed: name it better.",
      "reviewer: Review patch 1.",
      "coder: Implement Logout.",
      "reviewer: Review patch 2.",
    ])
  })

  it("a hook merges what two reviewers said into the prompt of a fix", async () => {
    await finished(reviewState, {})
    expect(said()).toEqual(["claude: Review t1.", "codex: Review t1.", "codex: Fix these issues:\n\n- a leak\n- a race\n- a typo"])
    expect(table("reviewFix")).toEqual([{ node_id: "t1:review-fix", iteration: 0, patch: "p" }])
  })

  it("a task is skipped when its skipIf holds by the time it would start", async () => {
    for (const name of ["claude", "codex"]) tell(name, { approved: true, issues: [] })
    await finished(reviewState, {})
    expect([...started()].sort()).toEqual(["t1:review-claude", "t1:review-codex"])
    expect(rows("SELECT status FROM smithers_nodes WHERE node_id = 't1:review-fix'")).toEqual([{ status: "skipped" }])
    expect(table("reviewFix")).toEqual([])
  })

  it("a hook tells each iteration what the one before came to", async () => {
    await finished(feedback, {})
    expect(said().filter((line) => line.startsWith("coder"))).toEqual([
      "coder: Begin.",
      "coder: After 1: patch 0, reason 0.",
      "coder: After 2: patch 1, reason 1.",
    ])
  })

  it("flags of the input decide what the pipeline consists of", async () => {
    expect(tasksOf(flags, { input: {} })).toEqual(["t1:implement", "t1:validate", "t1:review-a", "t1:review-b"])
    const input = { enableParallelReview: false, maxReviewRounds: 2, skipValidation: true }
    await finished(flags, input)
    expect(started()).toEqual(["t1:implement", "t1:review", "t1:implement/1", "t1:review/1"])
  })

  it("a component hands props and children on to its task", async () => {
    await finished(agentTask, { name: "Ada" })
    expect(said()).toEqual(["claude: Greet Ada.", "claude: Greet Ada again."])
    const [plain, other] = renderPlan(agentTask, { input: {} }).plan.nodes.filter((node) => node._tag === "Step")
    expect({ timeoutMs: plain?.timeoutMs, label: plain?.label }).toEqual({ timeoutMs: 300_000, label: undefined })
    expect({ timeoutMs: other?.timeoutMs, label: other?.label }).toEqual({ timeoutMs: 1000, label: "Other" })
  })

  it("a render prop is called when what it takes is there", async () => {
    expect(tasksOf(renderProp)).toEqual(["analyze"])
    await finished(renderProp, {})
    expect(said()).toEqual(["analyst: Analyze.", "coder: Fix: a leak"])
  })

  it.effect("a higher-order component gives a task its retries", () =>
    Effect.gen(function* () {
      tell("coder", () => {
        throw new Error("overloaded")
      })
      const handle = yield* hoc.start({})
      const result = yield* handle.result
      expect(result.status === "failed" && result.error._tag === "StepFailed" && result.error.attempts).toBe(4)
      expect(asked.length).toBe(4)
    }).pipe(Effect.provide(TestRuntime.layer())),
  )

  it("agents come from a context around the workflow", async () => {
    await finished(context, {})
    expect(said()).toEqual(["codex: Implement.", "claude: Review the implementation."])
  })

  it("components are composed freely, and a task without an output keeps the text it was given", async () => {
    expect(await finished(release, { isApproved: true })).toBe("Deployed as v2.")
    expect(said()).toEqual(["reviewer: Review.", "reviewer: Review.", "deployer: Deploy."])
    expect(started()).toEqual(["t1:review", "t2:review", "ship", "deploy"])
    // Nothing is said of the form of the reply: any text will do.
    expect(asked.at(-1)?.prompt).toBe("Deploy.")
  })

  it("what a component keeps back is not run", async () => {
    await finished(release, { isApproved: false })
    expect(started()).toEqual(["t1:review", "t2:review", "ship"])
  })
})
