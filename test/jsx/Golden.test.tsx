/**
 * The same workflow written twice, with the builder and as JSX: equal plans, equal runs, equal rows.
 */
import { Database } from "bun:sqlite"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { expect, it } from "@effect/vitest"
import type { Plan } from "@smithers/core/Plan"
import * as RunState from "@smithers/core/RunState"
import * as Scheduler from "@smithers/core/Scheduler"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { createSmithers, type JsxWorkflow, Loop, Parallel, renderPlan, Sequence, Smithers } from "smithers-orchestrator"
import { describe } from "vitest"

const Analysis = Schema.Struct({ summary: Schema.String, risk: Schema.Literal("low", "high") })
const Report = Schema.Struct({ markdown: Schema.String })
const Count = Schema.Struct({ n: Schema.Number })
const Draft = Schema.Struct({ text: Schema.String, at: Schema.Date })
const Review = Schema.Struct({ approved: Schema.Boolean })
const Input = Schema.Struct({ repo: Schema.String })

// biome-ignore lint/suspicious/noExplicitAny: pairs of workflows with inputs and outputs of all kinds
type AnyWorkflow = Smithers.Workflow<any, any>
interface Pair {
  readonly built: AnyWorkflow
  readonly jsx: JsxWorkflow<unknown>
  readonly input: unknown
  /** What is to be approved. */
  readonly approve?: string
}

const lines = (): Pair => {
  const built = Smithers.createWorkflow({ name: "review", input: Input }).build(($) => {
    const analyze = $.step("analyze", {
      output: Analysis,
      timeout: "2m",
      heartbeatTimeout: "10s",
      label: "Analyze",
      meta: { owner: "core" },
      retry: { maxAttempts: 3, backoff: "exponential", initialDelay: 1000 },
      run: ({ input }) => ({ summary: `of ${input.repo}`, risk: "low" as const }),
    })
    const report = $.step("report", {
      needs: { analyze },
      output: Report,
      retry: false,
      run: ({ analyze }) => ({ markdown: analyze.summary }),
    })
    return $.sequence(analyze, report)
  })
  const { Workflow, Task, smithers, outputs } = createSmithers(
    { review_analyze: Analysis, review_report: Report },
    { input: Input },
  )
  const jsx = smithers((ctx) => (
    <Workflow name="review">
      <Task
        id="analyze"
        output={outputs.review_analyze}
        timeoutMs={120_000}
        heartbeatTimeoutMs={10_000}
        label="Analyze"
        meta={{ owner: "core" }}
        retries={2}
        retryPolicy={{ backoff: "exponential", initialDelayMs: 1000 }}
      >
        {() => ({ summary: `of ${ctx.input.repo}`, risk: "low" as const })}
      </Task>
      <Task id="report" output={outputs.review_report} deps={{ analyze: outputs.review_analyze }} noRetry>
        {({ analyze }) => ({ markdown: analyze.summary })}
      </Task>
    </Workflow>
  ))
  return { built, jsx: jsx as JsxWorkflow<unknown>, input: { repo: "acme/api" } }
}

const groups = (): Pair => {
  const fail = () => Effect.fail(new Error("no"))
  const built = Smithers.createWorkflow({ name: "groups", input: Input }).build(($) => {
    const count = (id: string, n: number) => $.step(id, { output: Count, run: () => ({ n }) })
    return $.sequence(
      $.parallel(count("a", 1), $.sequence(count("b", 2), count("c", 3)), { maxConcurrency: 2 }),
      $.parallel(
        $.step("soft", { output: Report, retry: false, continueOnFail: true, run: fail }),
        $.step("left", { output: Review, skipIf: () => true, run: () => ({ approved: true }) }),
        { failFast: true },
      ),
      $.step("end", { output: Analysis, run: () => ({ summary: "end", risk: "high" as const }) }),
    )
  })
  const { Workflow, Task, smithers, outputs } = createSmithers({
    groups_a: Count,
    groups_b: Schema.Struct({ ...Count.fields }),
    groups_c: Schema.Struct({ ...Count.fields }),
    groups_soft: Report,
    groups_left: Review,
    groups_end: Analysis,
  })
  const jsx = smithers(() => (
    <Workflow name="groups">
      <Parallel maxConcurrency={2}>
        <Task id="a" output={outputs.groups_a}>
          {{ n: 1 }}
        </Task>
        <Sequence>
          <Task id="b" output={outputs.groups_b}>
            {() => ({ n: 2 })}
          </Task>
          <Task id="c" output={outputs.groups_c}>
            {async () => ({ n: 3 })}
          </Task>
        </Sequence>
      </Parallel>
      <Parallel failFast>
        <Task id="soft" output={outputs.groups_soft} retries={0} continueOnFail>
          {fail}
        </Task>
        <Task id="left" output={outputs.groups_left} skipIf>
          {{ approved: true }}
        </Task>
      </Parallel>
      <Task id="end" output={outputs.groups_end}>
        {{ summary: "end", risk: "high" }}
      </Task>
    </Workflow>
  ))
  return { built, jsx: jsx as JsxWorkflow<unknown>, input: { repo: "x" } }
}

const rounds = (): Pair => {
  const at = new Date("2026-01-01")
  const built = Smithers.createWorkflow({ name: "rounds", input: Input }).build(($) => {
    const draft = $.step("draft", {
      output: Draft,
      run: ({ iteration }) => ({ text: `draft ${iteration}`, at: at.toISOString() }),
    })
    const review = $.step("review", {
      needs: { draft },
      output: Review,
      run: ({ draft }) => ({ approved: draft.text === "draft 2" }),
    })
    return $.sequence(
      $.loop({
        id: "until-approved",
        body: $.sequence(draft, review),
        until: ({ output }) => output?.approved === true,
        maxIterations: 5,
        onMaxReached: "fail",
      }),
      $.step("publish", { output: Report, run: () => ({ markdown: "done" }) }),
    )
  })
  const { Workflow, Task, smithers, outputs } = createSmithers({
    rounds_draft: Draft,
    rounds_review: Review,
    rounds_publish: Report,
  })
  const jsx = smithers(() => (
    <Workflow name="rounds">
      <Loop id="until-approved" until={(ctx) => ctx.latest(outputs.rounds_review)?.approved} maxIterations={5} onMaxReached="fail">
        <Task id="draft" output={outputs.rounds_draft}>
          {(ctx) => ({ text: `draft ${ctx.iteration}`, at: at.toISOString() })}
        </Task>
        <Task id="review" output={outputs.rounds_review} deps={{ draft: outputs.rounds_draft }}>
          {({ draft }) => ({ approved: draft.text === "draft 2" })}
        </Task>
      </Loop>
      <Task id="publish" output={outputs.rounds_publish}>
        {{ markdown: "done" }}
      </Task>
    </Workflow>
  ))
  return { built, jsx: jsx as JsxWorkflow<unknown>, input: { repo: "x" } }
}

const boundaries = (): Pair => {
  const no = () => Effect.fail(new Error("no"))
  const child = Smithers.createWorkflow({ name: "child", input: Input }).build(($) =>
    $.step("answer", { output: Count, run: ({ input }) => ({ n: input.repo.length }) }),
  )
  const built = Smithers.createWorkflow({ name: "bounds", input: Input }).build(($) => {
    const report = (id: string, markdown: string) => $.step(id, { output: Report, run: () => ({ markdown }) })
    return $.sequence(
      $.saga(
        $.step("book", { output: Count, run: () => ({ n: 1 }), compensate: () => {} }),
        $.parallel(
          $.subflow("child", { workflow: child, input: ({ input }) => input }),
          $.subflow("beside", { workflow: child, input: { repo: "b" }, attach: false, onFail: "continue", timeout: "1h" }),
        ),
        $.step("pay", { output: Review, retry: false, run: no, compensate: () => {} }),
        { id: "trip", onCompensated: "continue" },
      ),
      $.tryCatch({
        id: "guard",
        try: $.sequence(report("first", "1"), $.step("fails", { output: Analysis, retry: false, run: no })),
        catch: report("caught", "no"),
        finally: report("last", "3"),
      }),
      $.tryCatch({ id: "quiet", try: report("fine", "4"), finally: $.sequence(report("x", "5"), report("y", "6")) }),
      $.step("deploy", {
        output: Report,
        label: "Deploy",
        needsApproval: { onDeny: "skip", approvers: ["ann"], timeout: "2m", onTimeout: "approve" },
        run: () => ({ markdown: "deployed" }),
      }),
    )
  })
  const report = () => Schema.Struct({ ...Report.fields })
  const { Workflow, Task, Saga, TryCatchFinally, Subflow, smithers, outputs } = createSmithers(
    {
      bounds_book: Count,
      bounds_child: Schema.Struct({ ...Count.fields }),
      bounds_beside: Schema.Struct({ runId: Schema.String }),
      bounds_pay: Review,
      bounds_first: Report,
      bounds_fails: Analysis,
      bounds_caught: report(),
      bounds_last: report(),
      bounds_fine: report(),
      bounds_x: report(),
      bounds_y: report(),
      bounds_deploy: report(),
    },
    { input: Input },
  )
  const jsx = smithers((ctx) => (
    <Workflow name="bounds">
      <Saga id="trip" onCompensated="continue">
        <Task id="book" output={outputs.bounds_book} compensate={() => {}}>
          {{ n: 1 }}
        </Task>
        <Parallel>
          <Subflow id="child" workflow={child} input={(ctx) => ctx.input} output={outputs.bounds_child} />
          <Subflow
            id="beside"
            workflow={child}
            input={{ repo: "b" }}
            output={outputs.bounds_beside}
            attach={false}
            onFail="continue"
            timeoutMs={3_600_000}
          />
        </Parallel>
        <Task id="pay" output={outputs.bounds_pay} noRetry compensate={() => {}}>
          {no}
        </Task>
      </Saga>
      <TryCatchFinally
        id="guard"
        catch={
          <Task id="caught" output={outputs.bounds_caught}>
            {{ markdown: "no" }}
          </Task>
        }
        finally={
          <Task id="last" output={outputs.bounds_last}>
            {{ markdown: "3" }}
          </Task>
        }
      >
        <Task id="first" output={outputs.bounds_first}>
          {{ markdown: "1" }}
        </Task>
        <Task id="fails" output={outputs.bounds_fails} noRetry>
          {no}
        </Task>
      </TryCatchFinally>
      <TryCatchFinally
        id="quiet"
        try={
          <Task id="fine" output={outputs.bounds_fine}>
            {{ markdown: "4" }}
          </Task>
        }
        finally={["x", "y"].map((id) => (
          <Task key={id} id={id} output={id === "x" ? outputs.bounds_x : outputs.bounds_y}>
            {{ markdown: id === "x" ? "5" : "6" }}
          </Task>
        ))}
      />
      <Task
        id="deploy"
        output={outputs.bounds_deploy}
        label="Deploy"
        needsApproval={{ onDeny: "skip", approvers: ["ann"], timeoutMs: 120_000, onTimeout: "approve" }}
      >
        {() => ({ markdown: ctx.input.repo === "" ? "" : "deployed" })}
      </Task>
    </Workflow>
  ))
  return { built, jsx: jsx as JsxWorkflow<unknown>, input: { repo: "x" }, approve: "deploy" }
}

const regions = (): Pair => {
  const built = Smithers.createWorkflow({ name: "regions", input: Input }).build(($) => {
    const report = (id: string) => $.step(id, { output: Report, run: () => ({ markdown: id }) })
    return $.sequence(
      $.race(
        { a: report("a"), b: $.sequence($.signal("b", { name: "b", payload: Review }), report("c")) },
        { id: "first", count: 1, onFailure: "ignore", timeout: "1 hour", onTimeout: "continue" },
      ),
      $.scope({ id: "region", label: "Region", body: $.sequence(report("d"), report("e")), cancelWhen: () => false }),
      report("end"),
    )
  })
  const { Workflow, Task, Race, Scope, Signal, smithers, outputs } = createSmithers({
    regions_a: Report,
    regions_b: Review,
    regions_c: Schema.Struct({ ...Report.fields }),
    regions_d: Schema.Struct({ ...Report.fields }),
    regions_e: Schema.Struct({ ...Report.fields }),
    regions_end: Schema.Struct({ ...Report.fields }),
  })
  const jsx = smithers(() => (
    <Workflow name="regions">
      <Race id="first" count={1} onFailure="ignore" timeoutMs={3_600_000} onTimeout="continue">
        <Task id="a" output={outputs.regions_a}>
          {{ markdown: "a" }}
        </Task>
        <Sequence>
          <Signal id="b" output={outputs.regions_b} name="b" />
          <Task id="c" output={outputs.regions_c}>
            {{ markdown: "c" }}
          </Task>
        </Sequence>
      </Race>
      <Scope id="region" label="Region" cancelWhen={() => false}>
        <Task id="d" output={outputs.regions_d}>
          {{ markdown: "d" }}
        </Task>
        <Task id="e" output={outputs.regions_e}>
          {{ markdown: "e" }}
        </Task>
      </Scope>
      <Task id="end" output={outputs.regions_end}>
        {{ markdown: "end" }}
      </Task>
    </Workflow>
  ))
  return { built, jsx: jsx as JsxWorkflow<unknown>, input: { repo: "x" } }
}

const lists = (): Pair => {
  const built = Smithers.createWorkflow({ name: "lists", input: Input }).build(($) => {
    const report = (id: string) => $.step(id, { output: Report, run: () => ({ markdown: id }) })
    return $.sequence(
      $.map({
        id: "files",
        label: "Files",
        items: () => ["a", "b", "c"],
        maxConcurrency: 1,
        settled: true,
        until: ({ done }) => done === 2,
        timeout: "1 hour",
        onTimeout: "continue",
        body: () => $.sequence(report("read"), $.scope({ id: "region", body: report("sum") })),
      }),
      $.map({ id: "pages", items: () => [7], rest: "keep", body: () => report("page") }),
      report("end"),
    )
  })
  const { Workflow, Task, ForEach, Scope, smithers, outputs } = createSmithers({
    lists_read: Report,
    lists_sum: Schema.Struct({ ...Report.fields }),
    lists_page: Schema.Struct({ ...Report.fields }),
    lists_end: Schema.Struct({ ...Report.fields }),
  })
  const jsx = smithers(() => (
    <Workflow name="lists">
      <ForEach
        id="files"
        label="Files"
        items={["a", "b", "c"]}
        maxConcurrency={1}
        settled
        until={({ done }) => done === 2}
        timeoutMs={3_600_000}
        onTimeout="continue"
      >
        {(file) => (
          <Sequence>
            <Task id={`files[${file}].read`} output={outputs.lists_read}>
              {{ markdown: "read" }}
            </Task>
            <Scope id={`files[${file}].region`}>
              <Task id={`files[${file}].sum`} output={outputs.lists_sum}>
                {{ markdown: "sum" }}
              </Task>
            </Scope>
          </Sequence>
        )}
      </ForEach>
      <ForEach id="pages" items={[7]} rest="keep">
        {(page) => (
          <Task id={`pages[${page}].page`} output={outputs.lists_page}>
            {{ markdown: "page" }}
          </Task>
        )}
      </ForEach>
      <Task id="end" output={outputs.lists_end}>
        {{ markdown: "end" }}
      </Task>
    </Workflow>
  ))
  return { built, jsx: jsx as JsxWorkflow<unknown>, input: { repo: "x" } }
}

/** The first plan of a run. */
const planOf = (workflow: AnyWorkflow, input: unknown): Plan =>
  Either.getOrThrow(workflow.definition.planner().plan(RunState.empty("r"), Scheduler.valuesOf({ give: () => input }, new Map())))

/** All rows of all tables, without what differs from run to run. */
const rowsOf = (filename: string): Record<string, unknown> => {
  const db = new Database(filename, { readonly: true })
  const names = db.query<{ name: string }, []>("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name").all()
  const rows = names.map(({ name }) => {
    const all = db.query<Record<string, unknown>, []>(`SELECT * FROM "${name}"`).all()
    const masked = all.map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([column, value]) => [column, /_at$|_ms$|^owner$|stack/.test(column) ? "-" : value]),
      ),
    )
    return [name, JSON.parse(JSON.stringify(masked).replaceAll(/\\"stack\\":\\"(?:[^\\]|\\\\[^"]|\\(?!"))*\\"/g, "")) as unknown]
  })
  db.close()
  return Object.fromEntries(rows)
}

/** Tables that are named by the workflow: how many steps share one is up to the store. */
const isCatalog = (name: string): boolean => /^smithers_(outputs|tables)$|^[a-z]+_steps(_\d+)?$/.test(name)

/** An agent that is asked the same in both, and keeps what it is asked. */
const agents = (): Pair => {
  const agent = {
    name: "writer",
    tools: { read: {}, bash: {} },
    generate: async ({ prompt }: { readonly prompt: string }) => ({ text: JSON.stringify({ markdown: prompt.split("\n")[0] }) }),
  }
  const rights = { allowTools: ["read"], allowNetwork: ["api.github.com"], root: "packages", readOnly: true } as const
  const built = Smithers.createWorkflow({ name: "asked", input: Input }).build(($) => {
    const first = $.step("first", { output: Report, agent, prompt: "Write.", corrections: 1, ...rights })
    const second = $.step("second", {
      needs: { first },
      output: Report,
      agent: [agent, agent],
      prompt: ({ input, first }) => `Of ${input.repo}: ${first.markdown}`,
      cache: true,
      timeout: "2m",
    })
    return $.sequence(first, second)
  })
  const { Workflow, Task, smithers, outputs } = createSmithers(
    { asked_first: Report, asked_second: Schema.Struct({ ...Report.fields }) },
    { input: Input },
  )
  const jsx = smithers((ctx) => (
    <Workflow name="asked">
      <Task id="first" output={outputs.asked_first} agent={agent} corrections={1} {...rights}>
        Write.
      </Task>
      <Task
        id="second"
        output={outputs.asked_second}
        deps={{ first: outputs.asked_first }}
        agent={[agent, agent]}
        cache
        timeout="2m"
      >
        {({ first }) => `Of ${ctx.input.repo}: ${first.markdown}`}
      </Task>
    </Workflow>
  ))
  return { built, jsx: jsx as JsxWorkflow<unknown>, input: { repo: "acme/api" } }
}

describe.each([
  ["steps with agents and their rights", agents],
  ["steps with limits, retries and needs", lines],
  ["groups, soft failures and skips", groups],
  ["a loop with its own outputs in its condition", rounds],
  ["a saga, tries, child runs and an approval", boundaries],
  ["a race and a scope", regions],
  ["lists of items", lists],
])("%s", (_, pair) => {
  it("have equal plans", () => {
    const { built, jsx, input } = pair()
    expect(renderPlan(jsx, { input }).plan.text).toBe(planOf(built, input).text)
  })

  it.scoped("leave equal rows", () =>
    Effect.gen(function* () {
      const { built, jsx, input, approve } = pair()
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "smithers-golden-"))),
        (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true })),
      )
      const [left, right] = [path.join(folder, "built.db"), path.join(folder, "jsx.db")]
      const run = (workflow: AnyWorkflow | JsxWorkflow<unknown>, filename: string) =>
        Effect.gen(function* () {
          const result = yield* workflow.run(input, { runId: "r" })
          if (approve === undefined) return result
          yield* Smithers.approve("r", approve, { by: "ann", note: "go" })
          return yield* workflow.run(input, { runId: "r" })
        }).pipe(Effect.provide(Smithers.sqlite({ filename })))
      const given = yield* run(built, left)
      expect(yield* run(jsx, right)).toEqual(given)
      const [before, after] = [rowsOf(left), rowsOf(right)]
      for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
        if (isCatalog(name)) continue
        expect([name, after[name]]).toEqual([name, before[name]])
      }
    }),
  )
})
