/** Times, names and requests that are worked out as a wait or an attempt begins, and stand then. */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { runId, sweep } from "./Deaths.ts"
import { runningOn, stores, Text } from "./Flows.ts"
import { rest, seconds } from "./Time.ts"

const Order = Schema.Struct({ minutes: Schema.Number, team: Schema.Array(Schema.String) })
const declared = Smithers.createWorkflow({ name: "w", input: Order })
const order = { minutes: 5, team: ["ann", "bob"] }
type Builder = Smithers.Builder<typeof Order.Type>

/** A step whose output the functions of others are given. */
const double = ($: Builder) => $.step("double", { output: Schema.Number, run: ({ input }) => input.minutes * 2 })
const ms = (minutes: number): number => minutes * 60_000

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)
  const open = Effect.flatMap(Storage, (storage) => storage.waits({ runId: "r" }))

  it.effect("a timeout, a deadline and a duration are worked out of needs, input, run and pass as the wait begins", () =>
    on(
      Effect.gen(function* () {
        const w = declared.build(($) => {
          const doubled = double($)
          const needs = { doubled }
          const each = $.parallel(
            $.approval("a", {
              needs,
              request: { title: "?" },
              timeout: ({ doubled, iteration }) => ms(doubled + iteration),
              onTimeout: "approve",
            }),
            $.human("h", {
              needs,
              prompt: "?",
              output: Text,
              deadline: ({ input }) => ms(input.minutes) + 0.5,
              onTimeout: "continue",
            }),
            $.signal("s", {
              name: "s",
              payload: Text,
              timeout: ({ runId }) => (runId === "r" ? "3m" : "9m"),
              onTimeout: "continue",
            }),
            $.timer("t", { needs, duration: ({ doubled, input }) => `${doubled + input.minutes}m` }),
            $.step("gated", {
              needs,
              output: Text,
              run: () => "",
              needsApproval: { deadline: ({ doubled }) => ms(doubled), onDeny: "skip" },
            }),
          )
          return $.sequence(doubled, $.loop({ id: "l", body: each, until: ({ iteration }) => iteration === 2, maxIterations: 2 }))
        })
        const fiber = yield* Effect.fork(w.run(order, { runId: "r" }))
        yield* rest
        const deadlines = Effect.map(open, (waits) => Object.fromEntries(waits.map(({ nodeId, deadline }) => [nodeId, deadline])))
        expect(yield* deadlines).toEqual({ a: ms(10), h: ms(5) + 1, s: ms(3), t: ms(15), gated: ms(10) })
        yield* Fiber.interrupt(fiber)
        yield* TestClock.adjust("15 minutes")
        yield* w.run(order, { runId: "r" })
        // A second pass, in which times that are past end a wait at once.
        expect(yield* deadlines).toEqual({ a: ms(15 + 11), s: ms(18), t: ms(30) })
      }),
    ),
  )

  it.effect("what was worked out stands, whatever the function would give after a restart or an edit", () =>
    on(
      Effect.gen(function* () {
        let minutes = 5
        const asked: Array<number> = []
        const given = () => {
          asked.push(minutes)
          return ms(minutes)
        }
        const w = declared.build(($) =>
          $.parallel(
            $.timer("t", { duration: given }),
            $.signal("s", { name: "s", payload: Text, timeout: given, onTimeout: "continue" }),
            $.human("h", { prompt: "?", output: Text, deadline: given, onTimeout: "continue" }),
          ),
        )
        yield* w.run(order, { runId: "r" })
        expect(asked).toEqual([5, 5, 5])
        minutes = 60
        yield* w.run(order, { runId: "r" })
        expect((yield* open).map(({ deadline }) => deadline)).toEqual([ms(5), ms(5), ms(5)])
        expect(asked).toEqual([5, 5, 5])
        yield* TestClock.adjust("5 minutes")
        expect(yield* w.run(order, { runId: "r" })).toMatchObject({ status: "finished" })
      }),
    ),
  )

  it.effect("only those may decide whom a function names, as it was when it was asked", () =>
    on(
      Effect.gen(function* () {
        const w = declared.build(($) => {
          const doubled = double($)
          return $.sequence(
            doubled,
            $.approval("a", {
              needs: { doubled },
              request: ({ runId, iteration, doubled }) => ({ title: `${runId} ${iteration} ${doubled}` }),
              approvers: ({ input, doubled }) => (doubled === 10 ? input.team : []),
            }),
            $.step("gated", { output: Text, run: () => "done", needsApproval: { approvers: ({ input }) => input.team.slice(1) } }),
          )
        })
        yield* w.run(order, { runId: "r" })
        const [asked] = yield* open
        expect(asked?.request).toEqual({ title: "r 0 10", approvers: ["ann", "bob"] })
        expect(yield* Effect.flip(Commands.approve("r", "a", { by: "eve" }))).toMatchObject({ _tag: "NotAnApprover" })
        yield* Commands.approve("r", "a", { by: "ann" })
        yield* w.run(order, { runId: "r" })
        expect(yield* Effect.flip(Commands.approve("r", "gated", { by: "ann" }))).toMatchObject({ approvers: ["bob"] })
        yield* Commands.approve("r", "gated", { by: "bob" })
        expect(yield* w.execute(order, { runId: "r" })).toBe("done")
      }),
    ),
  )

  it.effect("the timeout of a step is worked out as each attempt begins, and its failure says how long that was", () =>
    on(
      Effect.gen(function* () {
        const at: Array<number> = []
        const asked: Array<unknown> = []
        const w = declared.build(($) => {
          const doubled = double($)
          const slow = $.step("slow", {
            needs: { doubled },
            output: Text,
            timeout: ({ doubled, input, iteration, runId }) => {
              asked.push({ doubled, minutes: input.minutes, iteration, runId })
              return `${doubled}s`
            },
            retry: { maxAttempts: 2, initialDelay: "1s", jitter: false },
            run: () =>
              Effect.zipRight(
                Effect.flatMap(seconds, (now) => Effect.sync(() => at.push(now))),
                Effect.never,
              ),
          })
          return $.sequence(doubled, slow)
        })
        const fiber = yield* Effect.fork(w.run(order, { runId: "r" }))
        yield* rest
        yield* TestClock.adjust("10 seconds")
        yield* TestClock.adjust("1 second")
        yield* TestClock.adjust("10 seconds")
        expect(yield* Fiber.join(fiber)).toMatchObject({
          status: "failed",
          error: { _tag: "StepTimedOut", nodeId: "slow", limit: "timeout", timeoutMs: 10_000 },
        })
        expect(at).toEqual([0, 11])
        expect(asked).toEqual([0, 1].map(() => ({ doubled: 10, minutes: 5, iteration: 0, runId: "r" })))
        // What is stored says so as well, in a later process.
        expect(yield* w.run(order, { runId: "r" })).toMatchObject({ error: { timeoutMs: 10_000 } })
      }),
    ),
  )

  const oops = () => {
    throw new Error("oops")
  }
  const late = { title: "?" }
  it.effect.each<[what: string, make: ($: Builder) => Smithers.Node<unknown>, nodeId: string, name: string, message: string]>([
    [
      "a timeout",
      ($) => $.human("h", { prompt: "?", output: Text, timeout: () => "soon" as "1s" }),
      "h",
      "InvalidRequest",
      'its "timeout" gave "soon", which is not a duration such as "30s" or "2 minutes"',
    ],
    [
      "a timeout of no length",
      ($) => $.approval("a", { request: late, timeout: () => 0 }),
      "a",
      "InvalidRequest",
      'its "timeout" gave 0, which is not longer than 0',
    ],
    [
      "a timeout that throws",
      ($) => $.signal("s", { name: "s", payload: Text, timeout: oops }),
      "s",
      "Error",
      'its "timeout" threw: oops',
    ],
    [
      "a deadline",
      ($) => $.approval("a", { request: late, deadline: () => Number.NaN }),
      "a",
      "InvalidRequest",
      'its "deadline" gave NaN, and must give a Date or epoch milliseconds',
    ],
    [
      "a deadline that throws",
      ($) => $.approval("a", { request: late, deadline: oops }),
      "a",
      "Error",
      'its "deadline" threw: oops',
    ],
    [
      "a duration",
      ($) => $.timer("t", { duration: () => -1 }),
      "t",
      "InvalidRequest",
      'its "duration" gave -1, which is not a duration such as "30s" or "2 minutes"',
    ],
    ["a duration that throws", ($) => $.timer("t", { duration: oops }), "t", "Error", 'its "duration" threw: oops'],
    [
      "approvers",
      ($) => $.approval("a", { request: late, approvers: () => [] }),
      "a",
      "InvalidRequest",
      'its "approvers" gave an array, and must give an array of at least one name',
    ],
    [
      "approvers that throw",
      ($) => $.approval("a", { request: late, approvers: oops }),
      "a",
      "InvalidRequest",
      'its "approvers" threw: oops',
    ],
    [
      "the approvers of a gate",
      ($) => $.step("g", { output: Text, run: () => "", needsApproval: { approvers: () => ["ann", 1 as never] } }),
      "g",
      "InvalidRequest",
      'its "approvers" gave an array',
    ],
    [
      "the timeout of a step",
      ($) => $.step("x", { output: Text, run: () => "", timeout: () => "soon" as "1s" }),
      "x",
      "InvalidTimeout",
      'the "timeout" of "x" gave "soon", which is not a duration.',
    ],
    [
      "the timeout of a step that throws",
      ($) => $.step("x", { output: Text, run: () => "", timeout: oops }),
      "x",
      "InvalidTimeout",
      'the "timeout" of "x" threw: oops.',
    ],
  ])("%s that is none fails its node, once, with an error that names it", ([, make, nodeId, name, message]) =>
    on(
      Effect.gen(function* () {
        const w = declared.build<unknown, never>(make as never)
        const failed = {
          status: "failed",
          error: { _tag: "StepFailed", nodeId, error: { name, message: expect.stringContaining(message), notRetried: "plan" } },
        }
        expect(yield* w.run(order, { runId: "r" })).toMatchObject(failed)
        expect(yield* w.run(order, { runId: "r" })).toMatchObject(failed)
      }),
    ),
  )

  it.effect("a wait that fails by its deadline says when that was", () =>
    on(
      Effect.gen(function* () {
        const w = declared.build(($) =>
          $.parallel(
            $.signal("late", { name: "s", payload: Text, deadline: 60_000, onTimeout: "continue" }),
            $.tryCatch({
              id: "t",
              try: $.signal("s", { name: "s", payload: Text, deadline: ({ input }) => ms(input.minutes) }),
              catch: ({ error }) => error.message,
            }),
            $.tryCatch({
              id: "u",
              try: $.signal("v", { name: "s", payload: Text, timeout: ({ input }) => ms(input.minutes) }),
              catch: ({ error }) => error.message,
            }),
          ),
        )
        yield* w.run(order, { runId: "r" })
        yield* TestClock.adjust("5 minutes")
        expect(yield* w.run(order, { runId: "r" })).toMatchObject({
          output: [undefined, "not sent by 1970-01-01T00:05:00.000Z", "not sent within 300000 ms"],
        })
      }),
    ),
  )

  it.effect("conditions and keys are told the run and the pass, and by default a key is the same in each of them", () =>
    on(
      Effect.gen(function* () {
        const told: Array<string> = []
        let runs = 0
        const w = declared.build(($) => {
          const cached = $.step("cached", { output: Schema.Number, cache: true, run: () => ++runs })
          const skipped = $.step("skipped", {
            output: Text,
            skipIf: ({ runId, iteration }) => told.push(`skipIf ${runId} ${iteration}`) > 0,
            run: () => "",
          })
          const keyed = $.step("keyed", {
            output: Text,
            cache: {
              key: ({ runId, iteration }) => {
                told.push(`key ${runId} ${iteration}`)
                return [runId, iteration]
              },
            },
            run: () => "",
          })
          const way = $.branch({
            when: ({ runId, iteration }) => told.push(`when ${runId} ${iteration}`) > 0,
            then: $.switch({
              on: ({ runId, iteration }) => (told.push(`on ${runId} ${iteration}`) > 0 ? "a" : "a"),
              cases: { a: $.sequence() },
            }),
          })
          return $.loop({
            id: "l",
            body: $.sequence(cached, skipped, keyed, way),
            until: ({ runId, iteration }) => {
              told.push(`until ${runId} ${iteration}`)
              return iteration === 2
            },
            maxIterations: 3,
          })
        })
        yield* w.execute(order, { runId: "r" })
        expect([...new Set(told)]).toEqual([
          "until r 0",
          ...["skipIf r 0", "key r 0", "when r 0", "on r 0", "until r 1"],
          ...["skipIf r 1", "key r 1", "when r 1", "on r 1", "until r 2"],
        ])
        expect(runs).toBe(1)
        yield* w.execute(order, { runId: "s" })
        expect(runs).toBe(1)
      }),
    ),
  )
})

it.live("what was worked out is the same whenever the process dies", () =>
  Effect.gen(function* () {
    const w = declared.build(($) => {
      const doubled = double($)
      const needs = { doubled }
      return $.sequence(
        doubled,
        $.timer("t", { needs, duration: ({ doubled }) => doubled }),
        $.approval("a", {
          needs,
          request: { title: "?" },
          approvers: ({ input }) => input.team,
          timeout: ({ doubled }) => doubled,
          onTimeout: "approve",
          onDeny: "skip",
        }),
        $.signal("s", { name: "s", payload: Text, deadline: () => 1, onTimeout: "continue" }),
        $.step("last", { needs, timeout: ({ doubled }) => `${doubled}m`, output: Text, run: () => "last" }),
      )
    })
    const { calm, disturbed } = yield* sweep({ run: w.run(order, { runId }), act: () => Effect.sleep(20) })
    expect(calm.result).toMatchObject({ status: "finished", output: "last" })
    expect(disturbed.length).toBeGreaterThan(8)
    for (const { at, end } of disturbed) expect({ at, end }).toEqual({ at, end: calm })
  }),
)
