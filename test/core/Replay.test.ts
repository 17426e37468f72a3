/** What today's code would have done otherwise in a recorded run. */
import { describe, expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import type { AgentRunner } from "@smithers/core/AgentRunner"
import * as Commands from "@smithers/core/Commands"
import * as Replay from "@smithers/core/Replay"
import * as Smithers from "@smithers/core/Smithers"
import { ports, Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { type Builder, runningOn, stores, Text } from "./Flows.ts"

const writer = { name: "writer", generate: async () => ({ text: "a draft" }) }

const step = ($: Builder, id: string, given: object = {}) => $.step(id, { output: Text, retry: false, run: () => id, ...given })

/** The same step, whose code a replay never calls. */
const idle = ($: Builder, id: string, given: object = {}) =>
  step($, id, {
    ...given,
    run: () => {
      throw new Error(`the code of "${id}" was called`)
    },
  })

type Make = typeof step
type Build = ($: Builder, make: Make) => Smithers.Node<unknown, AgentRunner>

const flow = (build: Build, make: Make = step) =>
  Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) => build($, make))

const on =
  (layer: (typeof stores)[number][1]) =>
  <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime | AgentRunner>) =>
    runningOn(layer)(Effect.provide(effect, AgentProgram.layer))

/** Runs the first, does what a person would do meanwhile, and replays run `r` with the second. */
const edit = (was: Build, now: Build, meanwhile?: Effect.Effect<unknown, unknown, Smithers.Runtime>) =>
  Effect.gen(function* () {
    const before = flow(was)
    yield* before.run({}, { runId: "r" })
    if (meanwhile !== undefined) {
      yield* meanwhile
      yield* before.run({}, { runId: "r" })
    }
    return yield* Replay.replay(flow(now, idle).definition, "r")
  })

const found = (...args: Parameters<typeof edit>) => Effect.map(edit(...args), ({ findings }) => findings)

describe.each(stores)("a replay, on %s", (_, layer) => {
  const onStore = on(layer)

  const whole: Build = ($, make) => {
    const a = make($, "a")
    const b = make($, "b", { needs: { a } })
    return $.sequence(
      a,
      $.parallel(b, make($, "c")),
      $.timer("t", { duration: "1 hour" }),
      $.approval("ok", { request: { title: "?" } }),
    )
  }

  it.effect("finds nothing in unchanged code, calls no step, and reads only", () =>
    Effect.gen(function* () {
      yield* flow(whole).run({}, { runId: "r" })
      yield* TestClock.adjust("1 hour")
      yield* flow(whole).run({}, { runId: "r" })
      const storage = yield* Storage
      const asked = new Set<string>()
      const noting = new Proxy(storage, {
        get: (target, name) => {
          asked.add(String(name))
          return Reflect.get(target, name)
        },
      })
      const before = [yield* storage.inspect("r"), yield* storage.events("r", { limit: 100 })]
      const report = yield* Replay.replay(flow(whole, idle).definition, "r").pipe(Effect.provide(ports(noting)))
      expect(report).toMatchObject({ findings: [], unreached: [], compared: 5, children: [] })
      expect(Replay.hasChanged(report)).toBe(false)
      expect([...asked].sort()).toEqual(["history", "inspect", "plan"])
      expect([yield* storage.inspect("r"), yield* storage.events("r", { limit: 100 })]).toEqual(before)
    }).pipe(onStore),
  )

  const asking =
    (prompt: string): Build =>
    ($, make) => {
      const plan = make($, "plan")
      const draft = $.step("draft", { needs: { plan }, output: Text, agent: writer, prompt: ({ plan }) => `${prompt} ${plan}.` })
      return $.sequence(plan, draft, make($, "after", { needs: { draft } }), make($, "last"))
    }

  it.effect("finds a prompt that differs, and stops there", () =>
    Effect.gen(function* () {
      const report = yield* edit(asking("Write up"), asking("Write down"))
      expect(report.findings).toMatchObject([
        { _tag: "PromptChanged", nodeId: "draft", attempt: 1, was: "Write up plan.", now: "Write down plan." },
      ])
      expect(report.unreached).toEqual(["after/0", "last/0"])
      expect(Replay.hasChanged(report)).toBe(true)
      expect(report.findings.map(Replay.describe)).toEqual([`"draft": the prompt differs: "Write up plan." → "Write down plan."`])
    }).pipe(onStore),
  )

  it.effect("finds other needs of a step", () =>
    Effect.gen(function* () {
      const on =
        (target: "a" | "b"): Build =>
        ($, make) => {
          const given = { a: make($, "a"), b: make($, "b") }
          return $.sequence(given.a, given.b, make($, "c", { needs: { given: given[target] } }))
        }
      expect(yield* found(on("a"), on("b"))).toMatchObject([
        { _tag: "NeedsChanged", nodeId: "c", was: { given: "a" }, now: { given: "b" } },
      ])
    }).pipe(onStore),
  )

  const routed =
    (word: string): Build =>
    ($, make) => {
      const a = make($, "a")
      return $.sequence(
        a,
        $.branch({ needs: { a }, when: ({ a }) => a === word, then: make($, "yes"), else: make($, "no") }),
        make($, "after"),
      )
    }

  it.effect("finds another arm of a branch", () =>
    Effect.gen(function* () {
      const report = yield* edit(routed("a"), routed("b"))
      expect(report.findings).toMatchObject([{ _tag: "RouteChanged", was: ["yes"], now: ["no"] }])
      expect(report.unreached).toContain("after/0")
    }).pipe(onStore),
  )

  it.effect("finds another number of passes of a loop, fewer and more", () =>
    Effect.gen(function* () {
      const until =
        (count: number): Build =>
        ($, make) =>
          $.sequence(
            $.loop({ id: "l", body: make($, "a"), until: ({ iteration }) => iteration === count, maxIterations: 9 }),
            make($, "after"),
          )
      const report = yield* edit(until(3), until(2))
      expect(report.findings).toMatchObject([{ _tag: "LoopChanged", nodeId: "l", was: 3, now: 2 }])
      expect(report.unreached).toContain("after/0")
      const more = yield* Replay.replay(flow(until(5), idle).definition, "r")
      expect(more.findings).toMatchObject([{ _tag: "LoopChanged", nodeId: "l", was: 3, now: null }])
    }).pipe(onStore),
  )

  it.effect("finds new and gone items of a list", () =>
    Effect.gen(function* () {
      const over =
        (items: ReadonlyArray<string>): Build =>
        ($, make) =>
          $.map({ id: "list", items: () => items, key: (item) => item, body: () => make($, "one") })
      expect(yield* found(over(["x", "y"]), over(["y", "z"]))).toMatchObject([
        { _tag: "ItemsChanged", nodeId: "list", added: ["z"], removed: ["x"] },
      ])
    }).pipe(onStore),
  )

  it.effect("finds another request for an approval, and another signal", () =>
    Effect.gen(function* () {
      const approving =
        (title: string): Build =>
        ($, make) =>
          $.sequence($.approval("ok", { request: { title } }), make($, "after"))
      expect(yield* found(approving("Ship?"), approving("Really?"), Commands.approve("r", "ok"))).toMatchObject([
        { _tag: "RequestChanged", nodeId: "ok", kind: "approval", was: { title: "Ship?" }, now: { title: "Really?" } },
      ])
      const listening: Build = ($, make) => $.sequence($.signal("ok", { name: "paid", payload: Text }), make($, "after"))
      expect((yield* Replay.replay(flow(listening, idle).definition, "r")).findings).toMatchObject([
        { _tag: "RequestChanged", kind: "signal", now: { name: "paid" } },
      ])
    }).pipe(onStore),
  )

  it.effect("finds an answer that the schema refuses now", () =>
    Effect.gen(function* () {
      const rating =
        (most: number): Build =>
        ($) =>
          $.human("rate", { prompt: "?", output: Schema.Number.pipe(Schema.lessThanOrEqualTo(most)) })
      const findings = yield* found(rating(10), rating(5), Commands.answer("r", "rate", 8))
      // The schema is shown with the question.
      expect(findings.map(({ _tag }) => _tag)).toEqual(["RequestChanged"])
    }).pipe(onStore),
  )

  it.effect("finds another duration of a timer", () =>
    Effect.gen(function* () {
      const sleeping =
        (duration: "1 hour" | "2 hours"): Build =>
        ($, make) =>
          $.sequence($.timer("t", { duration }), make($, "after"))
      const report = yield* edit(sleeping("1 hour"), sleeping("2 hours"), TestClock.adjust("1 hour"))
      expect(report.findings).toMatchObject([{ _tag: "DueChanged", nodeId: "t", was: 3_600_000, now: 7_200_000 }])
      expect(report.unreached).toEqual(["t/0", "after/0"])
    }).pipe(onStore),
  )

  it.effect("finds another input of a child run, and replays each child run with its own code", () =>
    Effect.gen(function* () {
      const child = (prompt: string) =>
        Smithers.createWorkflow({ name: "child", input: Schema.Number }).build(($) =>
          $.step("ask", { output: Text, agent: writer, prompt: () => prompt }),
        )
      const starting =
        (n: number, prompt: string): Build =>
        ($, make) =>
          $.sequence($.subflow("sub", { workflow: child(prompt), input: n }), make($, "after"))
      const other = yield* edit(starting(1, "Go."), starting(2, "Go."))
      expect(other.findings).toMatchObject([{ _tag: "ChildInputChanged", nodeId: "sub", was: { input: 1 }, now: { input: 2 } }])
      const inside = yield* Replay.replay(flow(starting(1, "Stop."), idle).definition, "r")
      expect(inside.findings).toEqual([])
      expect(inside.children).toMatchObject([{ workflow: "child", findings: [{ _tag: "PromptChanged", nodeId: "ask" }] }])
      expect(Replay.hasChanged(inside)).toBe(true)
    }).pipe(onStore),
  )

  it.effect("finds another output of the run", () =>
    Effect.gen(function* () {
      const giving =
        (isBoth: boolean): Build =>
        ($, make) => {
          const [a, b] = [make($, "a"), make($, "b")]
          return isBoth ? $.parallel(a, b) : $.sequence(a, b)
        }
      const findings = yield* found(giving(false), giving(true))
      expect(findings).toMatchObject([{ _tag: "OutputChanged", was: "b", now: ["a", "b"] }])
    }).pipe(onStore),
  )

  it.effect("finds new and gone nodes", () =>
    Effect.gen(function* () {
      const report = yield* edit(
        ($, make) => $.sequence(make($, "a"), make($, "old"), make($, "b")),
        ($, make) => $.sequence(make($, "a"), make($, "new"), make($, "b")),
      )
      expect(report.findings).toMatchObject([
        { _tag: "NodeAdded", nodeId: "new" },
        { _tag: "NodeGone", nodeId: "old" },
      ])
      expect(report.unreached).toEqual(["b/0"])
    }).pipe(onStore),
  )

  it.effect("finds a function that throws, with its place", () =>
    Effect.gen(function* () {
      const skipping =
        (skipIf: () => boolean): Build =>
        ($, make) =>
          $.sequence(make($, "a"), make($, "b", { skipIf }))
      const throwing = () => {
        throw new Error("no such key")
      }
      expect(
        yield* found(
          skipping(() => false),
          skipping(throwing),
        ),
      ).toMatchObject([{ _tag: "FunctionThrew", nodeId: "b", was: null, now: expect.stringContaining("no such key") }])
      expect(
        (yield* Replay.replay(
          flow(
            skipping(() => true),
            idle,
          ).definition,
          "r",
        )).findings,
      ).toMatchObject([{ _tag: "SkipChanged", nodeId: "b", isSkipped: true }])
    }).pipe(onStore),
  )

  it.effect("finds a retry policy that decides otherwise about a recorded failure", () =>
    Effect.gen(function* () {
      const failing =
        (retry: object | false): Build =>
        ($) =>
          $.step("a", {
            output: Text,
            retry,
            continueOnFail: true,
            run: () => {
              throw new Error("busy")
            },
          })
      expect(yield* found(failing(false), failing({ maxAttempts: 2 }))).toMatchObject([
        { _tag: "PolicyChanged", nodeId: "a", attempt: 1, policy: "retry", was: "the end", now: "another attempt" },
      ])
    }).pipe(onStore),
  )

  it.effect("finds an output that the schema refuses now", () =>
    Effect.gen(function* () {
      const findings = yield* found(
        ($, make) => make($, "a"),
        ($) => $.step("a", { output: Schema.Number, run: () => 1 }),
      )
      expect(findings).toMatchObject([{ _tag: "OutputRefused", nodeId: "a", issues: [expect.stringContaining("number")] }])
    }).pipe(onStore),
  )

  it.effect(
    "says of a function that depends on time or chance that it differs from itself, and goes on with what was recorded",
    () =>
      Effect.gen(function* () {
        const waking: Build = ($, make) =>
          $.sequence($.timer("t", { until: () => new Date(10_000 + (Date.now() % 7919)) }), make($, "after"))
        const report = yield* edit(waking, waking, TestClock.adjust("1 minute"))
        expect(report.findings).toMatchObject([{ _tag: "Unsteady", about: "t/0" }])
        expect(report.unreached).toEqual([])
        expect(Replay.hasChanged(report)).toBe(false)
        const drawing: Build = ($) =>
          $.sequence($.step("draft", { output: Text, agent: writer, prompt: () => `Draw ${Math.random()}.` }))
        yield* flow(drawing).run({}, { runId: "s" })
        const drawn = yield* Replay.replay(flow(drawing).definition, "s")
        expect(drawn.findings).toMatchObject([{ _tag: "Unsteady", about: "draft/0" }])
      }).pipe(onStore),
  )

  it.effect("refuses a run of another workflow, and one that does not exist", () =>
    Effect.gen(function* () {
      yield* flow(whole).run({}, { runId: "r" })
      const other = Smithers.createWorkflow({ name: "other", input: Schema.Struct({}) }).build(($) => step($, "a"))
      expect(yield* Effect.flip(Replay.replay(other.definition, "r"))).toMatchObject({ _tag: "WorkflowMismatch", stored: "w" })
      expect(yield* Effect.flip(Replay.replay(other.definition, "none"))).toMatchObject({ _tag: "RunNotFound" })
    }).pipe(onStore),
  )
})
