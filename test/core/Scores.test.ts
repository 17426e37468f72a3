/**
 * Scorers: when they run, what they are given, what is stored of them, and what becomes of them in crashes; on every store.
 */
import { expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import { createAgent } from "@smithers/agents/createAgent"
import type { AgentRunner } from "@smithers/core/AgentRunner"
import * as Engine from "@smithers/core/Engine"
import * as Millis from "@smithers/core/Millis"
import * as Scores from "@smithers/core/Scores"
import * as Smithers from "@smithers/core/Smithers"
import { ports, Storage } from "@smithers/core/Storage"
import * as Supervisor from "@smithers/core/Supervisor"
import * as MortalStorage from "@smithers/testing/MortalStorage"
import { MockLanguageModelV4 } from "ai/test"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { processOn, runningOn, stores } from "./Flows.ts"
import { rest } from "./Time.ts"

const finishReason = { unified: "stop" as const, raw: undefined }
const usageOfModel = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
}
const Input = Schema.Struct({ n: Schema.Number })
const declare = () => Smithers.createWorkflow({ name: "w", input: Input })

const brief = (runId?: string) =>
  Effect.map(Smithers.scores(runId === undefined ? {} : { runId }), (all) =>
    all.map(({ nodeId, iteration, scorer, status, score, reason, error }) => [
      ...[`${nodeId}/${iteration} ${scorer}`, status],
      status === "failed" ? error?.message : [score, reason],
    ]),
  )

describe.each(stores)("on %s", (_, layer) => {
  const on = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime | AgentRunner>) =>
    runningOn(layer)(Effect.provide(effect, AgentProgram.layer))

  it.effect("functions score an output by numbers, objects, promises and Effects, with the input", () =>
    on(
      Effect.gen(function* () {
        const flow = declare().build(($) =>
          $.step("a", {
            output: Schema.Struct({ at: Schema.Date, words: Schema.Number }),
            run: ({ input }) => ({ at: new Date(0).toISOString(), words: input.n }),
            scorers: {
              number: ({ output }) => (output.at.getTime() === 0 ? 1 : 0),
              object: { score: ({ input, output }) => ({ score: output.words / (2 * input.n), reason: "half" }) },
              promise: { score: async () => ({ score: 0.25 }) },
              effect: ({ runId, nodeId, iteration }) => Effect.succeed({ score: 0.75, reason: `${runId} ${nodeId} ${iteration}` }),
            },
          }),
        )
        expect(yield* flow.execute({ n: 3 }, { runId: "r" })).toMatchObject({ words: 3 })
        yield* Smithers.scored
        expect((yield* brief()).sort()).toEqual([
          ["a/0 effect", "finished", [0.75, "r a 0"]],
          ["a/0 number", "finished", [1, null]],
          ["a/0 object", "finished", [0.5, "half"]],
          ["a/0 promise", "finished", [0.25, null]],
        ])
      }),
    ),
  )

  it.effect("an agent judges by its criterion, is corrected, and its score and reason are stored", () =>
    on(
      Effect.gen(function* () {
        const prompts: Array<string> = []
        const judge = {
          name: "judge",
          generate: ({ prompt }: { readonly prompt: string }) => {
            prompts.push(prompt)
            const score = prompts.length === 1 ? 7 : 0.7
            return Promise.resolve({ text: JSON.stringify({ score, reason: "quite brief" }) })
          },
        }
        const flow = declare().build(($) =>
          $.step("a", {
            output: Schema.String,
            run: () => "Short. </output>",
            scorers: { brevity: { score: judge, instructions: "Is it brief?" } },
          }),
        )
        yield* flow.execute({ n: 41 })
        yield* Smithers.scored
        expect(yield* brief()).toEqual([["a/0 brevity", "finished", [0.7, "quite brief"]]])
        expect(prompts).toHaveLength(2)
        expect(prompts[0]).toContain("by one criterion: Is it brief?")
        expect(prompts[0]).toContain('"n": 41')
        expect(prompts[0]?.match(/<\/output>/g)).toHaveLength(1)
      }),
    ),
  )

  it.effect("a judge costs, is bounded by the budgets around its step, and its conversation can be read", () =>
    on(
      Effect.gen(function* () {
        let asked = 0
        const judge = {
          name: "judge",
          generate: () => {
            asked++
            return Promise.resolve({ text: '{"score":0.7,"reason":"brief"}', usage: { inputTokens: 100, outputTokens: 5 } })
          },
        }
        const flow = declare().build(($) =>
          $.sequence(
            ...["a", "b", "c"].map((id) =>
              $.step(id, { output: Schema.String, run: () => `said ${id}`, scorers: { brevity: { score: judge } } }),
            ),
          ),
        )
        yield* flow.execute({ n: 1 }, { runId: "r", budget: { agentCalls: 2, onReached: "ask" } })
        yield* Smithers.scored
        expect(asked).toBe(2)
        const scores = yield* Smithers.scores({ runId: "r" })
        expect(scores.map(({ status }) => status).sort()).toEqual(["failed", "finished", "finished"])
        expect(scores.find(({ status }) => status === "failed")?.error).toMatchObject({
          name: "BudgetExceeded",
          message: expect.stringContaining('the budget of run "r" is used up: '),
        })
        const [judged] = scores.filter(({ status }) => status === "finished")
        const nodeId = `${judged?.nodeId}~scorer~brevity`
        const told = yield* Smithers.conversations("r", { nodeId })
        expect(told).toMatchObject([{ agent: "judge", status: "finished", attempt: 1 }])
        const said = told[0]?.entries.map(({ text }) => text).join() ?? ""
        expect(said).toContain(`said ${judged?.nodeId}`)
        expect(said).toContain("brief")
        const rows = (yield* Smithers.usage({ runIds: ["r"] })).filter((row) => row.nodeId === nodeId)
        expect(rows).toMatchObject([{ agent: "judge", calls: 1, inputTokens: 100, outputTokens: 5 }])
      }),
    ),
  )

  it.effect("judges take slots of the limit that they name, also while their run rests or has ended", () =>
    Effect.gen(function* () {
      const storage = yield* Storage
      yield* storage.configureLimits({ api: { concurrency: 1 } }, yield* Millis.now)
      const counts = { now: 0, most: 0, calls: 0 }
      const model = new MockLanguageModelV4({
        doGenerate: async () => {
          counts.calls++
          counts.most = Math.max(counts.most, ++counts.now)
          await Bun.sleep(15)
          counts.now--
          return {
            content: [{ type: "text", text: '{"score":0.7,"reason":"brief"}' }],
            finishReason,
            usage: usageOfModel,
            warnings: [],
          }
        },
      })
      const judge = createAgent({ name: "judge", model, limit: "api" })
      const flow = declare().build(($) =>
        $.parallel(
          ...["a", "b", "c"].map((id) =>
            $.step(id, { output: Schema.String, run: () => id, scorers: { brevity: { score: judge } } }),
          ),
        ),
      )
      yield* Effect.all([flow.execute({ n: 1 }), flow.execute({ n: 2 })], { concurrency: "unbounded" })
      yield* Smithers.scored
      expect((yield* brief()).map(([, status]) => status)).toEqual(Array.from({ length: 6 }, () => "finished"))
      expect(counts).toEqual({ now: 0, most: 1, calls: 6 })
      expect(yield* storage.limits).toMatchObject([{ held: 0, waiting: 0 }])
    }).pipe(on),
  )

  it.effect(
    "a supervisor makes the scores that are due of a run that has ended, and does not spin where their scorer is gone",
    () =>
      Effect.gen(function* () {
        const storage = yield* Storage
        let scored = 0
        const slow = { score: () => (scored++ === 0 ? Effect.never : Effect.succeed(1)), timeout: "1 hour" } as const
        const flow = declare().build(($) => $.step("a", { output: Schema.String, run: () => "a", scorers: { slow } }))
        const first = yield* processOn(storage, { grace: "0 seconds" })
        yield* Effect.provideService(flow.execute({ n: 1 }, { runId: "r" }), Engine.Engine, first.engine)
        yield* first.stop
        expect(yield* brief("r")).toMatchObject([["a/0 slow", "due", [null, null]]])
        const due = Effect.map(Effect.flatMap(Millis.now, storage.runnable), ({ runs }) => runs)
        expect(yield* due).toMatchObject([{ runId: "r", hasEnded: true }])
        // Code without the scorer leaves it, and is asked ever more rarely.
        const without = declare().build(($) => $.step("a", { output: Schema.String, run: () => "a" }))
        const actions: Array<string> = []
        const supervised = (workflow: typeof flow) =>
          Effect.gen(function* () {
            const supervisor = yield* Supervisor.Supervisor
            yield* Effect.forkScoped(Stream.runForEach(supervisor.actions, ({ _tag }) => Effect.sync(() => actions.push(_tag))))
            yield* TestClock.adjust("10 minutes")
            yield* rest
          }).pipe(
            Effect.provide(Smithers.supervisor({ registry: Smithers.registry([workflow]), interval: "5 seconds" })),
            Effect.scoped,
          )
        yield* supervised(without)
        expect(actions.filter((tag) => tag === "Resumed").length).toBeLessThan(15)
        yield* supervised(flow)
        yield* Smithers.scored
        expect(yield* brief("r")).toEqual([["a/0 slow", "finished", [1, null]]])
        expect(yield* due).toEqual([])
      }).pipe(on),
  )

  it.effect("what a scorer raises or returns wrongly is stored with its reason, and fails nothing", () =>
    on(
      Effect.gen(function* () {
        const silent = { name: "silent", generate: () => Promise.reject(new Error("the judge is away")) }
        const bad = {
          throws: () => {
            throw new Error("thrown")
          },
          rejects: () => Promise.reject(new Error("rejected")),
          fails: () => Effect.fail(new Error("failed")),
          dies: () => Effect.die(new Error("died")),
          high: () => 1.5,
          nothing: () => undefined as never,
          text: { score: () => ({ score: "0.5" }) as never },
          reason: { score: () => ({ score: 1, reason: 5 }) as never },
          judge: { score: silent },
        }
        const flow = declare().build(($) => $.step("a", { output: Schema.Number, run: () => 1, scorers: bad }))
        expect(yield* flow.run({ n: 1 }, { runId: "r" })).toMatchObject({ status: "finished", output: 1 })
        yield* Smithers.scored
        const found = Object.fromEntries((yield* brief()).map(([place, status, error]) => [place, [status, error]]))
        const failed = (part: string) => ["failed", expect.stringContaining(part)]
        expect(found).toEqual({
          "a/0 throws": failed("thrown"),
          "a/0 rejects": failed("rejected"),
          "a/0 fails": failed("failed"),
          "a/0 dies": failed("died"),
          "a/0 high": failed('Scorer "high" must return a number from 0 to 1, or { score, reason }'),
          "a/0 nothing": failed("must return a number from 0 to 1"),
          "a/0 text": failed("must return a number from 0 to 1"),
          "a/0 reason": failed("must give its reason as text"),
          "a/0 judge": failed("the judge is away"),
        })
        const errors = (yield* Smithers.scores()).map(({ error }) => error?.name)
        expect(errors).toContain("InvalidScore")
      }),
    ),
  )

  it.effect("a run does not wait for its scorers, and one that takes too long fails", () =>
    on(
      Effect.gen(function* () {
        const gate = yield* Deferred.make<number>()
        const flow = declare().build(($) =>
          $.step("a", {
            output: Schema.Number,
            run: () => 1,
            scorers: { slow: () => Deferred.await(gate), never: { score: () => Effect.never, timeout: "1 minute" } },
          }),
        )
        expect(yield* flow.execute({ n: 1 })).toBe(1)
        expect((yield* brief()).map(([, status]) => status)).toEqual(["due", "due"])
        yield* Deferred.succeed(gate, 1)
        const scored = yield* Effect.fork(Smithers.scored)
        while ((yield* Smithers.scores({ status: "finished" })).length === 0) yield* Effect.yieldNow()
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(scored)
        expect(yield* brief()).toEqual([
          ["a/0 never", "failed", 'Scorer "never" took longer than 60000 ms'],
          ["a/0 slow", "finished", [1, null]],
        ])
      }),
    ),
  )

  it.effect("each pass of a loop is scored, a cached output is not, and a failed step is not", () =>
    on(
      Effect.gen(function* () {
        const flow = declare().build(($) =>
          $.sequence(
            $.loop({
              id: "l",
              maxIterations: 2,
              onMaxReached: "return-last",
              until: () => false,
              body: $.step("pass", {
                output: Schema.Number,
                run: ({ iteration }) => iteration,
                scorers: { s: ({ output }) => output },
              }),
            }),
            $.step("cached", { output: Schema.Number, cache: true, run: () => 1, scorers: { s: () => 1 } }),
            $.step("fails", {
              output: Schema.Number,
              continueOnFail: true,
              retry: false,
              run: (): number => {
                throw new Error("no")
              },
              scorers: { s: () => 1 },
            }),
          ),
        )
        yield* flow.execute({ n: 1 }, { runId: "r1" })
        yield* flow.execute({ n: 1 }, { runId: "r2" })
        yield* Smithers.scored
        expect((yield* brief("r1")).sort()).toEqual([
          ["cached/0 s", "finished", [1, null]],
          ["pass/0 s", "finished", [0, null]],
          ["pass/1 s", "finished", [1, null]],
        ])
        expect((yield* brief("r2")).map(([place]) => place).sort()).toEqual(["pass/0 s", "pass/1 s"])
      }),
    ),
  )

  it.live(
    "a crash at any commit, or beside a scorer, leaves each output with one score in the end, also of a run that has ended",
    () =>
      Effect.gen(function* () {
        const flow = declare().build(($) => {
          const a = $.step("a", {
            output: Schema.Number,
            run: () => 1,
            scorers: { s: { score: ({ output }) => output, timeout: "200 millis" } },
          })
          const b = $.step("b", {
            output: Schema.Number,
            needs: { a },
            run: ({ a }) => a / 2,
            scorers: { s: { score: ({ output }) => output, timeout: "200 millis" } },
          })
          return $.sequence(a, b)
        })
        const scores = (fault: MortalStorage.Fault) =>
          Effect.gen(function* () {
            const disk = yield* Storage
            const mortal = MortalStorage.make(disk, fault)
            for (const storage of [mortal.storage, disk]) {
              const scope = yield* Scope.make()
              const engine = yield* Engine.make({ lease: 1, grace: 0 }).pipe(Effect.provide(ports(storage)), Scope.extend(scope))
              const run = Effect.provideService(flow.execute({ n: 1 }, { runId: "r" }), Engine.Engine, engine)
              const fiber = yield* Effect.forkIn(run, scope)
              const isGone = () => storage === mortal.storage && mortal.isGone()
              while (fiber.unsafePoll() === null && !isGone()) yield* Effect.yieldNow()
              if (!isGone()) yield* engine.scored
              yield* Effect.forkDaemon(Scope.close(scope, Exit.void))
              // Claims of another process that has died are free at once; here both are one process.
              yield* Effect.sleep(isGone() ? 450 : 5)
            }
            const all = yield* disk.scores({})
            return { commits: mortal.commits(), all: all.map(({ nodeId, status, score }) => [nodeId, status, score]) }
          }).pipe(Effect.provide(Layer.fresh(layer)))
        const { commits, all } = yield* scores({ edge: "after", commit: 100 })
        expect(commits).toBeGreaterThan(2)
        expect(all).toEqual([
          ["a", "finished", 1],
          ["b", "finished", 0.5],
        ])
        for (let commit = 1; commit <= commits; commit++)
          for (const edge of ["before", "after"] as const)
            expect([commit, edge, (yield* scores({ edge, commit })).all]).toEqual([commit, edge, all])
      }),
  )

  it.live("a runtime that closes waits for its scorers up to the grace, and at once if there are none", () =>
    Effect.gen(function* () {
      const flow = declare().build(($) =>
        $.step("a", { output: Schema.Number, run: ({ input }) => input.n, scorers: { s: () => Effect.never } }),
      )
      const plain = declare().build(($) => $.step("a", { output: Schema.Number, run: () => 1 }))
      const closing = (grace: string, run: Effect.Effect<unknown, unknown, Smithers.Runtime>) =>
        Effect.timed(Effect.provide(run, Smithers.onStorage(Layer.fresh(layer), { grace: grace as "1 second" })))
      const [none] = yield* closing("30 seconds", plain.execute({ n: 1 }))
      expect(Duration.toSeconds(none)).toBeLessThan(20)
      const [some] = yield* closing("500 millis", flow.execute({ n: 1 }))
      expect(Duration.toMillis(some)).toBeGreaterThanOrEqual(490)
      expect(Duration.toSeconds(some)).toBeLessThan(20)
    }),
  )

  it.effect("a scorer that has ended its process three times counts as failed", () =>
    on(
      Effect.gen(function* () {
        const gate = yield* Deferred.make<number>()
        const flow = declare().build(($) =>
          $.step("a", { output: Schema.Number, run: () => 1, scorers: { deadly: () => Deferred.await(gate) } }),
        )
        const storage = yield* Storage
        const frozen = { ...storage, endScore: () => Effect.never, releaseScore: () => Effect.never }
        const scope = yield* Scope.make()
        const engine = yield* Engine.make({ grace: 0 }).pipe(Effect.provide(ports(frozen)), Scope.extend(scope))
        yield* Effect.provideService(flow.execute({ n: 1 }, { runId: "r" }), Engine.Engine, engine)
        while ((yield* Smithers.scores())[0]?.tries !== 1) yield* Effect.yieldNow()
        const place = { runId: "r", nodeId: "a", iteration: 0, attempt: 1, scorer: "deadly" }
        const day = 86_400_000
        for (const now of [2 * day, 4 * day]) yield* storage.claimScore({ ...place, now, until: now })
        yield* TestClock.adjust(5 * day)
        yield* flow.execute({ n: 1 }, { runId: "r" })
        yield* Smithers.scored
        expect(yield* brief()).toEqual([["a/0 deadly", "failed", 'Scorer "deadly" has ended its process 3 times']])
      }),
    ),
  )
})

describe("sampling", () => {
  const place = (runId: string) => ({ runId, nodeId: "a", iteration: 0, scorer: "s" })

  it("takes its share of outputs, all or none at the ends, and the same each time", () => {
    const runs = Array.from({ length: 4000 }, (_, index) => `run-${index}`)
    for (const share of [0, 0.1, 0.5, 1]) {
      const taken = runs.filter((runId) => Scores.isSampled(share, place(runId)))
      expect(Math.abs(taken.length / runs.length - share)).toBeLessThan(0.03)
      expect(runs.filter((runId) => Scores.isSampled(share, place(runId)))).toEqual(taken)
    }
  })

  it("of a larger share holds that of a smaller one", () => {
    const share = FastCheck.double({ min: 0, max: 1, noNaN: true })
    FastCheck.assert(
      FastCheck.property(FastCheck.string(), share, share, (runId, one, other) => {
        const [small, large] = [Math.min(one, other), Math.max(one, other)]
        return !Scores.isSampled(small, place(runId)) || Scores.isSampled(large, place(runId))
      }),
    )
  })
})
