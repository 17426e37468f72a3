/** What control flow does around steps: order, concurrency, branches, loops and failures beside each other. */

import { describe, expect, it } from "@effect/vitest"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { runId, sweep } from "./Deaths.ts"
import { passing, seconds } from "./Time.ts"

const onMemory = Effect.provide(Smithers.memory)

const workflow = Smithers.createWorkflow({ name: "w", input: Schema.Struct({ n: Schema.Number }) })
const input = { n: 2 }
const ended: Effect.Effect<never, string> = Effect.fail("ended")

const nodesOf = (runId: string) =>
  Effect.flatMap(Storage, (storage) =>
    Effect.map(storage.inspect(runId), ({ nodes }) =>
      nodes.map(({ nodeId, iteration, status }) => `${nodeId}/${iteration} ${status}`),
    ),
  )

/** Counts how much of something goes on at the same time. */
const gauge = () => {
  let [now, most] = [0, 0]
  const during = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        now++
        most = Math.max(most, now)
      }),
      () => effect,
      () => Effect.sync(() => now--),
    )
  return { during, most: () => most }
}

describe("a sequence", () => {
  it.effect("runs its children in order, and is worth its last", () =>
    Effect.gen(function* () {
      const times: Array<readonly [string, number]> = []
      const W = workflow.build(($) => {
        const step = (id: string) =>
          $.step(id, {
            output: Schema.String,
            run: () =>
              Effect.gen(function* () {
                yield* Effect.sleep("1 second")
                times.push([id, yield* seconds])
                return id
              }),
          })
        return $.sequence(step("a"), $.sequence(), $.sequence(step("b"), step("c")), step("d"))
      })
      expect(yield* passing("4 seconds", W.execute(input))).toBe("d")
      expect(times).toEqual([
        ["a", 1],
        ["b", 2],
        ["c", 3],
        ["d", 4],
      ])
    }).pipe(onMemory),
  )

  it.effect("of nothing is worth undefined, as is a workflow of nothing", () =>
    Effect.gen(function* () {
      expect(yield* workflow.build(($) => $.sequence()).execute(input, { runId: "r" })).toBeUndefined()
      expect(yield* workflow.build(($) => $.parallel()).execute(input)).toEqual([])
      expect(yield* workflow.build(($) => $.branch({ when: () => false, then: $.sequence() })).execute(input)).toBeUndefined()
    }).pipe(onMemory),
  )
})

describe("a parallel", () => {
  /** Runs steps of one second each, and answers with how many of them ran at once, and for how long in all. */
  const measure = (
    build: ($: Smithers.Builder<{ readonly n: number }>, second: (id: string) => Smithers.Node<string>) => Smithers.Node<unknown>,
    options: { readonly maxConcurrency?: number } = {},
  ) =>
    Effect.gen(function* () {
      const { during, most } = gauge()
      const W = Smithers.createWorkflow({ name: "w", input: Schema.Struct({ n: Schema.Number }), ...options }).build(($) =>
        build($, (id) => $.step(id, { output: Schema.String, run: () => during(Effect.delay(Effect.succeed(id), "1 second")) })),
      )
      const took = yield* passing("20 seconds", Effect.zipRight(W.execute(input), seconds))
      return { most: most(), took }
    })
  const ids = Array.from({ length: 10 }, (_, index) => `s${index}`)

  it.effect("is worth the tuple of its children, in their order, however they finish", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) =>
        $.parallel(
          $.step("slow", { output: Schema.Number, run: () => Effect.delay(Effect.succeed(1), "3 seconds") }),
          $.step("quick", { output: Schema.String, run: () => Effect.delay(Effect.succeed("2"), "1 second") }),
          $.sequence(),
        ),
      )
      expect(yield* passing("3 seconds", W.execute(input))).toEqual([1, "2", undefined])
    }).pipe(onMemory),
  )

  it.effect("runs four steps at once, unless told otherwise", () =>
    Effect.gen(function* () {
      expect(yield* measure(($, second) => $.parallel(...ids.map(second)))).toEqual({ most: 4, took: 3 })
    }).pipe(onMemory),
  )

  it.effect("runs as many at once as its workflow allows", () =>
    Effect.gen(function* () {
      expect(yield* measure(($, second) => $.parallel(...ids.map(second)), { maxConcurrency: 7 })).toEqual({ most: 7, took: 2 })
    }).pipe(onMemory),
  )

  it.effect("runs as many at once as the store's engine allows", () =>
    Effect.gen(function* () {
      expect(yield* measure(($, second) => $.parallel(...ids.map(second)))).toEqual({ most: 10, took: 1 })
    }).pipe(Effect.provide(Smithers.onStorage(MemoryStorage.layer, { maxConcurrency: 20 }))),
  )

  it.effect("holds to its own limit, which counts what runs anywhere inside", () =>
    Effect.gen(function* () {
      const limited = yield* measure(($, second) => $.parallel(...ids.map(second), { maxConcurrency: 2 }))
      expect(limited).toEqual({ most: 2, took: 5 })
    }).pipe(onMemory),
  )

  it.effect("with a limit of 0, the length of an empty list, has no limit of its own", () =>
    Effect.gen(function* () {
      expect(yield* measure(($, second) => $.parallel(...ids.map(second), { maxConcurrency: 0 }), { maxConcurrency: 10 })).toEqual({
        most: 10,
        took: 1,
      })
      const plan = (options: { readonly maxConcurrency?: number }) => workflow.build(($) => $.parallel(options)).plan.text
      const empty: ReadonlyArray<string> = []
      expect(plan({ maxConcurrency: empty.length })).toBe(plan({}))
    }).pipe(onMemory),
  )

  it.effect("counts its branches from begin to end, and not what runs inside them", () =>
    Effect.gen(function* () {
      const nested = yield* measure(
        ($, second) =>
          $.parallel($.parallel(second("a"), second("b"), second("c")), $.sequence(second("d"), second("e")), second("f"), {
            maxConcurrency: 2,
          }),
        { maxConcurrency: 10 },
      )
      // The three of the first branch beside the second, which goes on when the last has begun.
      expect(nested).toEqual({ most: 4, took: 2 })
    }).pipe(onMemory),
  )

  it.effect("starts what is ready in the order it was written", () =>
    Effect.gen(function* () {
      const started: Array<string> = []
      const W = workflow.build(($) =>
        $.parallel(
          ...ids.map((id) =>
            $.step(id, {
              output: Schema.Void,
              run: () => {
                started.push(id)
                return Effect.sleep("1 second")
              },
            }),
          ),
          { maxConcurrency: 3 },
        ),
      )
      yield* passing("4 seconds", W.execute(input))
      expect(started).toEqual(ids)
    }).pipe(onMemory),
  )

  it.effect("lets one child wait for another", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) => {
        const a = $.step("a", { output: Schema.Number, run: () => Effect.delay(Effect.succeed(1), "2 seconds") })
        const b = $.step("b", { output: Schema.Number, needs: { a }, run: ({ a }) => Effect.map(seconds, (now) => a + now) })
        const c = $.step("c", { output: Schema.Number, run: () => seconds })
        return $.parallel(a, b, c)
      })
      expect(yield* passing("2 seconds", W.execute(input))).toEqual([1, 3, 0])
    }).pipe(onMemory),
  )
})

describe("a failure", () => {
  const beside = (failFast: boolean) =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const W = workflow.build(($) => {
        const slow = $.step("slow", {
          output: Schema.Void,
          run: ({ signal }) =>
            Effect.delay(
              Effect.sync(() => void seen.push("slow ended")),
              "2 seconds",
            ).pipe(Effect.onInterrupt(() => Effect.sync(() => seen.push(`slow interrupted, aborted: ${signal.aborted}`)))),
        })
        const failing = $.step("failing", { output: Schema.Void, retry: false, run: () => Effect.delay(ended, "1 second") })
        const late = $.step("late", { output: Schema.Void, run: () => void seen.push("late started") })
        return $.parallel($.sequence(slow, late), failing, { failFast })
      })
      const error = yield* passing("5 seconds", Effect.flip(W.execute(input, { runId: "r" })))
      expect(error).toMatchObject({ _tag: "StepFailed", nodeId: "failing", error: { message: "ended" } })
      const events = yield* Effect.flatMap(Storage, (storage) => storage.events("r"))
      const reasons = events.flatMap(({ event }) => (event._tag === "AttemptInterrupted" ? [event.reason] : []))
      return { seen, reasons, nodes: yield* nodesOf("r") }
    })

  it.effect("lets what runs beside it finish and keeps it, but starts nothing more", () =>
    Effect.gen(function* () {
      const { seen, nodes } = yield* beside(false)
      expect(seen).toEqual(["slow ended"])
      expect(nodes).toEqual(["failing/0 failed", "slow/0 finished"])
    }).pipe(onMemory),
  )

  it.effect("interrupts what runs beside it where failFast is set", () =>
    Effect.gen(function* () {
      const { seen, nodes, reasons } = yield* beside(true)
      expect(reasons).toEqual(["fail-fast"])
      expect(seen).toEqual(["slow interrupted, aborted: true"])
      expect(nodes).toEqual(["failing/0 failed", "slow/0 interrupted"])
    }).pipe(onMemory),
  )

  it.effect("in a failFast group leaves what runs outside of the group alone", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const W = workflow.build(($) => {
        const slow = (id: string) =>
          $.step(id, {
            output: Schema.Void,
            run: () =>
              Effect.delay(
                Effect.sync(() => void seen.push(`${id} ended`)),
                "2 seconds",
              ).pipe(Effect.onInterrupt(() => Effect.sync(() => seen.push(`${id} interrupted`)))),
          })
        const failing = $.step("failing", { output: Schema.Void, retry: false, run: () => Effect.delay(ended, "1 second") })
        return $.parallel(slow("outside"), $.parallel($.sequence(slow("inside")), failing, { failFast: true }))
      })
      yield* passing("5 seconds", Effect.flip(W.execute(input)))
      expect(seen).toEqual(["inside interrupted", "outside ended"])
    }).pipe(onMemory),
  )

  it.effect("that is tolerated stops nothing, also where failFast is set", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) =>
        $.parallel(
          $.step("soft", { output: Schema.Number, retry: false, continueOnFail: true, run: () => ended }),
          $.step("slow", { output: Schema.Number, run: () => Effect.delay(Effect.succeed(1), "1 second") }),
          { failFast: true },
        ),
      )
      expect(yield* passing("1 second", W.execute(input))).toEqual([undefined, 1])
    }).pipe(onMemory),
  )

  it.effect("gives up on a retry that waits beside it", () =>
    Effect.gen(function* () {
      let attempts = 0
      const W = workflow.build(($) =>
        $.parallel(
          $.step("retried", {
            output: Schema.Void,
            retry: { initialDelay: "1 hour", jitter: false },
            run: () =>
              Effect.zipRight(
                Effect.sync(() => attempts++),
                ended,
              ),
          }),
          $.step("failing", { output: Schema.Void, retry: false, run: () => Effect.delay(ended, "1 second") }),
        ),
      )
      const took = yield* passing("1 second", Effect.zipRight(Effect.flip(W.execute(input)), seconds))
      expect({ took, attempts }).toEqual({ took: 1, attempts: 1 })
    }).pipe(onMemory),
  )
})

describe("a branch", () => {
  const arm = ($: Smithers.Builder<{ readonly n: number }>, id: string) => $.step(id, { output: Schema.String, run: () => id })

  it.effect("takes one arm and leaves the other alone", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) => $.branch({ when: ({ input }) => input.n > 1, then: arm($, "yes"), else: arm($, "no") }))
      expect(yield* W.execute({ n: 2 }, { runId: "two" })).toBe("yes")
      expect(yield* nodesOf("two")).toEqual(["yes/0 finished"])
      expect(yield* W.execute({ n: 1 }, { runId: "one" })).toBe("no")
      expect(yield* nodesOf("one")).toEqual(["no/0 finished"])
    }).pipe(onMemory),
  )

  it.effect("without an else is worth undefined, for a step that needs it too", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) => {
        const maybe = $.branch({ when: ({ input }) => input.n > 1, then: arm($, "yes") })
        return $.sequence(maybe, $.step("next", { output: Schema.String, needs: { maybe }, run: ({ maybe }) => `got ${maybe}` }))
      })
      expect(yield* W.execute({ n: 1 })).toBe("got undefined")
      expect(yield* W.execute({ n: 2 })).toBe("got yes")
    }).pipe(onMemory),
  )

  it.effect("is chosen again, and its value taken again, where what it decides by is retried", () =>
    Effect.gen(function* () {
      let risk: "low" | "high" = "low"
      let attempts = 0
      const W = workflow.build(($) => {
        const given = $.step("risk", { output: Schema.Literal("low", "high"), run: () => risk })
        const way = $.branch({
          needs: { given },
          when: ({ given }) => given === "high",
          then: arm($, "check"),
          else: arm($, "ship"),
        })
        const told = $.step("told", { needs: { way }, output: Schema.String, run: ({ way }) => `did ${way}` })
        const end = $.step("end", {
          needs: { told },
          output: Schema.String,
          retry: false,
          run: ({ told }) => (++attempts === 1 ? Effect.fail(new Error(told)) : Effect.succeed(told)),
        })
        return $.sequence(given, way, told, end)
      })
      yield* W.run(input, { runId: "r" })
      risk = "high"
      yield* Smithers.retryNode("r", "risk")
      expect(yield* W.resume("r")).toBe("did check")
    }).pipe(onMemory),
  )

  it.effect("decides by the outputs it needs, once they are there", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) => {
        const risk = $.step("risk", {
          output: Schema.Literal("low", "high"),
          run: () => Effect.delay(Effect.succeed("high"), "1 second"),
        })
        return $.parallel(
          risk,
          $.branch({ needs: { risk }, when: ({ risk }) => risk === "high", then: arm($, "check"), else: arm($, "ship") }),
        )
      })
      expect(yield* passing("1 second", W.execute(input))).toEqual(["high", "check"])
    }).pipe(onMemory),
  )

  it.effect.each<[what: string, thrown: unknown]>([
    ["nothing", undefined],
    ["a text", "x"],
    ["an object without a prototype", Object.create(null)],
    ["an error whose message is no text", Object.assign(new Error("x"), { name: 5, message: { a: 1 } })],
  ])("whose condition throws %s fails the run all the same", ([_what, thrown]) =>
    Effect.gen(function* () {
      const W = workflow.build(($) =>
        $.branch({
          when: () => {
            throw thrown
          },
          then: $.sequence(),
        }),
      )
      expect(yield* Effect.flip(W.execute(input))).toMatchObject({ _tag: "StepFailed", error: { retryable: false } })
    }).pipe(onMemory),
  )

  it.effect.each<[what: string, condition: () => unknown]>([
    ["a promise", async () => false],
    ["an Effect", () => Effect.succeed(false)],
    ["an option", () => Option.none()],
    ["a function", () => () => false],
    ["a text that says no", () => " No "],
  ])("is no %s, nor is any other condition, as that would always count as true", ([what, condition]) =>
    Effect.gen(function* () {
      const late = condition as () => boolean
      const given = what === "an option" ? "an Effect" : what.startsWith("a text") ? 'the text " No "' : what
      const advice = what.startsWith("a text")
        ? "Give a boolean, or compare the text."
        : "A condition cannot be async: compute it in a step, and use its output."
      const refused = (nodeId: string, name: string) => ({
        _tag: "StepFailed",
        nodeId,
        attempts: 0,
        error: {
          name: "InvalidCondition",
          message: `the "${name}" of "${nodeId}" gave ${given}, which always counts as true. ${advice}`,
          retryable: false,
        },
      })
      const fails = (build: ($: Smithers.Builder<{ readonly n: number }>) => Smithers.Node<unknown>) =>
        Effect.flip(workflow.build<unknown, never>(build as never).execute(input))
      expect(yield* fails(($) => $.branch({ when: late, then: arm($, "yes") }))).toMatchObject(refused("#0", "when"))
      expect(yield* fails(($) => $.loop({ id: "l", body: arm($, "yes"), until: late, maxIterations: 3 }))).toMatchObject(
        refused("l", "until"),
      )
      expect(yield* fails(($) => $.step("a", { output: Schema.Number, skipIf: late, run: () => 1 }))).toMatchObject(
        refused("a", "skipIf"),
      )
      expect(yield* fails(($) => $.timer("t", { duration: "1s", skipIf: late }))).toMatchObject(refused("t", "skipIf"))
    }).pipe(onMemory),
  )

  it.effect("whose condition throws fails the run, with what it threw", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) =>
        $.branch({
          when: () => {
            throw new Error("cannot tell")
          },
          then: arm($, "yes"),
        }),
      )
      const error = yield* Effect.flip(W.execute(input))
      expect(error).toMatchObject({ _tag: "StepFailed", error: { message: `its "when" threw: cannot tell`, retryable: false } })
    }).pipe(onMemory),
  )
})

describe("a switch", () => {
  const arm = ($: Smithers.Builder<{ readonly n: number }>, id: string) => $.step(id, { output: Schema.String, run: () => id })
  const cases = ($: Smithers.Builder<{ readonly n: number }>) => ({ 1: arm($, "one"), two: arm($, "two"), 3: arm($, "three") })

  it.effect("takes the arm of the case that it names, and leaves the others alone", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) =>
        $.switch({ on: ({ input }) => (input.n === 2 ? "two" : input.n === 1 ? 1 : 3), cases: cases($) }),
      )
      for (const [n, id] of [
        [1, "one"],
        [2, "two"],
        [3, "three"],
      ] as const) {
        expect(yield* W.execute({ n }, { runId: id })).toBe(id)
        expect(yield* nodesOf(id)).toEqual([`${id}/0 finished`])
        expect(yield* W.execute({ n }, { runId: id })).toBe(id)
      }
    }).pipe(onMemory),
  )

  it.effect("takes its otherwise for any other name, also one that every object has", () =>
    Effect.gen(function* () {
      const W = Smithers.createWorkflow({ name: "named", input: Schema.String }).build(($) =>
        $.switch({
          on: ({ input }) => input,
          cases: { a: $.step("a", { output: Schema.String, run: () => "a" }) },
          otherwise: $.step("b", { output: Schema.String, run: () => "b" }),
        }),
      )
      for (const name of ["", "b", "constructor", "__proto__", "0"]) expect(yield* W.execute(name)).toBe("b")
      expect(yield* W.execute("a")).toBe("a")
    }).pipe(onMemory),
  )

  it.effect("gives what stands in its arms through maybe, of the arm that was taken last alone", () =>
    Effect.gen(function* () {
      let kind: "x" | "y" = "x"
      const W = workflow.build(($) => {
        const chosen = $.step("kind", { output: Schema.Literal("x", "y"), run: () => kind })
        const [x, y, z] = [arm($, "x"), arm($, "y"), arm($, "z")]
        const way = $.switch({ needs: { chosen }, on: ({ chosen }) => chosen, cases: { x: $.sequence(x, z), y } })
        const told = $.step("told", {
          needs: { x: $.maybe(x), y: $.maybe(y), z: $.maybe(z) },
          output: Schema.String,
          run: ({ x, y, z }) => `${x} ${y} ${z}`,
        })
        return $.sequence(
          $.parallel($.sequence(chosen, way), told),
          $.step("end", {
            needs: { told },
            output: Schema.String,
            retry: false,
            run: ({ told }) => (kind === "x" ? Effect.fail(told) : told),
          }),
        )
      })
      expect(yield* W.run(input, { runId: "r" })).toMatchObject({
        status: "failed",
        error: { error: { message: "x undefined z" } },
      })
      kind = "y"
      yield* Smithers.retryNode("r", "kind")
      expect(yield* W.resume("r")).toBe("undefined y undefined")
    }).pipe(onMemory),
  )

  it.effect("decides by the outputs it needs, anew in each pass of a loop, and can be needed itself", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) => {
        const round = $.step("round", { output: Schema.Number, run: ({ iteration }) => iteration })
        const way = $.switch({
          needs: { round },
          on: ({ round }) => (["x", "y", "z"] as const)[round] ?? "x",
          cases: { x: arm($, "x"), y: arm($, "y"), z: arm($, "z") },
        })
        const last = $.step("last", { output: Schema.String, needs: { way }, run: ({ way }) => `${way}!` })
        return $.loop({ id: "l", body: $.sequence(round, way, last), until: ({ iteration }) => iteration === 3, maxIterations: 9 })
      })
      expect(yield* W.execute(input, { runId: "r" })).toBe("z!")
      expect((yield* nodesOf("r")).filter((said) => /^[xyz]/.test(said))).toEqual(["x/0 finished", "y/1 finished", "z/2 finished"])
    }).pipe(onMemory),
  )

  it.effect.each<[what: string, on: () => unknown, said: string]>([
    [
      "a name that is no case",
      () => "four",
      'gave "four", for which there is no case ("1", "3", "two"). Add the case, or "otherwise".',
    ],
    ["nothing", () => undefined, 'gave undefined, and must give the name of a case ("1", "3", "two"): text or a number.'],
    [
      "an Effect",
      () => Effect.succeed("two"),
      'gave an Effect, and must give the name of a case ("1", "3", "two"): text or a number.',
    ],
    ["a promise", async () => "two", 'gave a promise, and must give the name of a case ("1", "3", "two"): text or a number.'],
  ])("that gives %s fails the run with a typed error, once, which a try around it catches", ([_, on, said]) =>
    Effect.gen(function* () {
      const wrong = on as () => "two"
      const W = workflow.build(($) => $.sequence(arm($, "a"), $.switch({ on: wrong, cases: cases($) })))
      expect(yield* Effect.flip(W.execute(input, { runId: "r" }))).toMatchObject({
        _tag: "StepFailed",
        attempts: 0,
        error: { name: "UnknownCase", message: `the "on" of the switch at "#2" ${said}`, retryable: false },
      })
      expect(yield* nodesOf("r")).toEqual(["a/0 finished"])
      const caught = workflow.build(($) =>
        $.tryCatch({ id: "t", try: $.switch({ on: wrong, cases: cases($) }), catch: ({ error }) => error.name }),
      )
      expect(yield* caught.execute(input)).toBe("UnknownCase")
    }).pipe(onMemory),
  )

  it.effect("fails the run with what its function threw, and takes the arm once repaired code resumes it", () =>
    Effect.gen(function* () {
      const written = (on: () => "two") => workflow.build(($) => $.switch({ on, cases: cases($) }))
      const broken = written(() => {
        throw new Error("cannot tell")
      })
      expect(yield* Effect.flip(broken.execute(input, { runId: "r" }))).toMatchObject({
        error: { message: `its "on" threw: cannot tell` },
      })
      expect(yield* written(() => "two").resume("r")).toBe("two")
    }).pipe(onMemory),
  )

  it.live("takes the same arm whenever its process dies, and runs nothing of it twice", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) => {
        const kind = $.step("kind", { output: Schema.Literal("bug", "idea"), run: () => "idea" })
        return $.sequence(
          kind,
          $.switch({
            needs: { kind },
            on: ({ kind }) => kind,
            cases: { bug: arm($, "fix"), idea: $.sequence(arm($, "plan"), arm($, "build")) },
          }),
          arm($, "after"),
        )
      })
      const { calm, disturbed } = yield* sweep({ run: W.run(input, { runId }) })
      expect(calm.result).toMatchObject({ status: "finished", output: "after" })
      expect(calm.rows.map(([key]) => key)).toEqual(["after/0", "build/0", "kind/0", "plan/0"])
      expect(disturbed.length).toBeGreaterThan(8)
      for (const { at, end } of disturbed) expect({ at, end }).toEqual({ at, end: calm })
    }),
  )

  it.effect("as a child run gives the parent a value of its type", () =>
    Effect.gen(function* () {
      const dated = Smithers.createWorkflow({ name: "dated", input: Schema.Boolean }).build(($) =>
        $.switch({
          on: ({ input }) => (input ? "date" : "text"),
          cases: {
            date: $.step("date", { output: Schema.Date, run: () => new Date(0) }),
            text: $.step("text", { output: Schema.String, run: () => "?" }),
          },
        }),
      )
      const W = workflow.build(($) =>
        $.parallel($.subflow("d", { workflow: dated, input: true }), $.subflow("t", { workflow: dated, input: false })),
      )
      expect(yield* W.execute(input)).toEqual([new Date(0), "?"])
    }).pipe(onMemory),
  )
})

describe("a loop", () => {
  it.effect("makes passes until its condition holds, which sees the last output and how many passes there were", () =>
    Effect.gen(function* () {
      const asked: Array<unknown> = []
      const W = workflow.build(($) => {
        const count = $.step("count", { output: Schema.Number, run: ({ iteration }) => iteration * 10 })
        return $.loop({
          id: "loop",
          maxIterations: Infinity,
          body: count,
          needs: { count },
          until: ({ output, iteration, count, input }) => {
            asked.push({ output, iteration, count, n: input.n })
            return output === 20
          },
        })
      })
      expect(yield* W.execute(input, { runId: "r" })).toBe(20)
      expect(asked).toEqual([
        { output: undefined, iteration: 0, count: undefined, n: 2 },
        { output: 0, iteration: 1, count: 0, n: 2 },
        { output: 10, iteration: 2, count: 10, n: 2 },
        { output: 20, iteration: 3, count: 20, n: 2 },
      ])
      expect(yield* nodesOf("r")).toEqual(["count/0 finished", "count/1 finished", "count/2 finished", "loop/0 finished"])
    }).pipe(onMemory),
  )

  it.effect("whose condition holds from the start makes no pass, and what needs it fails at once", () =>
    Effect.gen(function* () {
      let ran = 0
      const W = workflow.build(($) => {
        const loop = $.loop({
          id: "loop",
          maxIterations: Infinity,
          body: $.step("body", { output: Schema.Number, run: () => ++ran }),
          until: () => true,
        })
        return $.sequence(loop, $.step("next", { output: Schema.Number, needs: { loop }, run: ({ loop }) => loop }))
      })
      const error = yield* Effect.flip(W.execute(input, { runId: "r" }))
      expect(error).toMatchObject({
        _tag: "StepFailed",
        nodeId: "next",
        attempts: 1,
        error: { name: "MissingNeed", retryable: false },
      })
      expect(error.message).toContain(`Step "next" needs "loop", which has no output: the loop it is in made no pass.`)
      expect(ran).toBe(0)
      expect(yield* nodesOf("r")).toEqual(["loop/0 finished", "next/0 failed"])
    }).pipe(onMemory),
  )

  it.effect("that made no pass does not stop what does not need it", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) => {
        const loop = $.loop({
          id: "loop",
          maxIterations: Infinity,
          body: $.step("body", { output: Schema.Number, run: () => 1 }),
          until: () => true,
        })
        return $.sequence(loop, $.step("next", { output: Schema.Number, run: () => 2 }))
      })
      expect(yield* W.execute(input)).toBe(2)
    }).pipe(onMemory),
  )

  it.effect("goes on with the last pass at its limit, or fails, as it is told", () =>
    Effect.gen(function* () {
      const build = (options: { readonly onMaxReached?: "return-last" | "fail" }) =>
        workflow.build(($) =>
          $.loop({
            id: "loop",
            body: $.step("body", { output: Schema.Number, run: ({ iteration }) => iteration }),
            until: () => false,
            maxIterations: 3,
            ...options,
          }),
        )
      expect(yield* build({}).execute(input)).toBe(2)
      expect(yield* build({ onMaxReached: "return-last" }).execute(input)).toBe(2)
      const error = yield* Effect.flip(build({ onMaxReached: "fail" }).execute(input))
      expect(error).toMatchObject({ _tag: "LoopLimitReached", nodeId: "loop", iteration: 0, maxIterations: 3 })
      expect(error.message).toContain(`made its 3 passes without its "until" holding`)
    }).pipe(onMemory),
  )

  it.effect("gives a step what it gave in the pass before, and nothing in the first", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) => {
        const before = $.previous("grow", Schema.String)
        const grow = $.step("grow", { output: Schema.String, needs: { before }, run: ({ before = "" }) => `${before}x` })
        return $.loop({ id: "loop", maxIterations: Infinity, body: grow, until: ({ output }) => output === "xxx" })
      })
      expect(yield* W.execute(input)).toBe("xxx")
    }).pipe(onMemory),
  )

  it.effect("inside another starts afresh in each of its passes, and its steps stay distinguishable", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const W = workflow.build(($) => {
        const before = $.previous("inner", Schema.Number)
        const outer = $.step("outer", { output: Schema.Number, run: ({ iteration }) => iteration })
        const inner = $.step("inner", {
          output: Schema.Number,
          needs: { outer, before },
          run: ({ iteration, idempotencyKey, outer, before }) => {
            seen.push({ outer, iteration, before, idempotencyKey })
            return outer * 10 + iteration
          },
        })
        const innerLoop = $.loop({ id: "innerLoop", body: inner, until: () => false, maxIterations: 2 })
        return $.loop({ id: "outerLoop", body: $.sequence(outer, innerLoop), until: () => false, maxIterations: 3 })
      })
      expect(yield* W.execute(input, { runId: "r" })).toBe(21)
      expect(seen).toEqual([
        { outer: 0, iteration: 0, before: undefined, idempotencyKey: "r:inner:0" },
        { outer: 0, iteration: 1, before: 0, idempotencyKey: "r:inner:1" },
        { outer: 1, iteration: 0, before: undefined, idempotencyKey: "r:inner:2" },
        { outer: 1, iteration: 1, before: 10, idempotencyKey: "r:inner:3" },
        { outer: 2, iteration: 0, before: undefined, idempotencyKey: "r:inner:4" },
        { outer: 2, iteration: 1, before: 20, idempotencyKey: "r:inner:5" },
      ])
    }).pipe(onMemory),
  )

  it.effect("that made passes before may make none in a later pass of the loop around it; what needs it then fails", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) => {
        const round = $.step("round", { output: Schema.Number, run: ({ iteration }) => iteration })
        const inner = $.loop({
          id: "inner",
          maxIterations: Infinity,
          needs: { round },
          body: $.step("body", { output: Schema.Number, run: () => 7 }),
          until: ({ round, iteration }) => round === 1 || iteration === 1,
        })
        const next = $.step("next", { output: Schema.Number, needs: { inner }, run: ({ inner }) => inner })
        return $.loop({ id: "outer", body: $.sequence(round, inner, next), until: () => false, maxIterations: 3 })
      })
      const error = yield* Effect.flip(W.execute(input, { runId: "r" }))
      expect(error).toMatchObject({ _tag: "StepFailed", nodeId: "next", iteration: 1, error: { name: "MissingNeed" } })
    }).pipe(onMemory),
  )

  it.effect("takes branches and parallels anew in each pass", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) => {
        const round = $.step("round", { output: Schema.Number, run: ({ iteration }) => iteration })
        const odd = $.step("odd", { output: Schema.String, run: ({ iteration }) => `odd ${iteration}` })
        const even = $.step("even", { output: Schema.String, run: ({ iteration }) => `even ${iteration}` })
        const branch = $.branch({ needs: { round }, when: ({ round }) => round % 2 === 1, then: odd, else: even })
        return $.loop({
          id: "loop",
          maxIterations: Infinity,
          body: $.parallel(round, branch),
          until: ({ output }) => output?.[0] === 2,
        })
      })
      expect(yield* W.execute(input, { runId: "r" })).toEqual([2, "even 2"])
      expect(yield* nodesOf("r")).toEqual([
        "even/0 finished",
        "even/2 finished",
        "loop/0 finished",
        "odd/1 finished",
        "round/0 finished",
        "round/1 finished",
        "round/2 finished",
      ])
    }).pipe(onMemory),
  )

  it.effect("whose condition throws fails the run, with what it threw", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) =>
        $.loop({
          id: "loop",
          maxIterations: Infinity,
          body: $.sequence(),
          until: () => {
            throw new Error("cannot tell")
          },
        }),
      )
      const error = yield* Effect.flip(W.execute(input))
      expect(error).toMatchObject({ _tag: "StepFailed", nodeId: "loop", error: { message: `its "until" threw: cannot tell` } })
    }).pipe(onMemory),
  )

  it.effect("leaves out a step that is skipped in one pass, and runs it in the next", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) => {
        const round = $.step("round", { output: Schema.Number, run: ({ iteration }) => iteration })
        const body = $.step("body", { output: Schema.Number, needs: { round }, skipIf: ({ round }) => round === 0, run: () => 7 })
        return $.loop({
          id: "loop",
          maxIterations: Infinity,
          body: $.sequence(round, body),
          until: ({ output }) => output !== undefined,
        })
      })
      expect(yield* W.execute(input, { runId: "r" })).toBe(7)
      expect(yield* nodesOf("r")).toContain("body/0 skipped")
    }).pipe(onMemory),
  )
})

describe("fragments", () => {
  it.effect("run as if they were written where they are used", () =>
    Effect.gen(function* () {
      const twice = ($: Smithers.Builder<{ readonly n: number }>, of: Smithers.Node<number>) =>
        $.step("twice", { output: Schema.Number, needs: { of }, run: ({ of, stepId }) => (stepId.endsWith("twice") ? of * 2 : -1) })
      const W = workflow.build(($) => {
        const n = $.step("n", { output: Schema.Number, run: ({ input }) => input.n })
        const a = $.fragment("a", twice, n)
        const b = $.fragment("b", ($) => $.fragment("c", twice, a))
        return $.sequence(n, a, b)
      })
      expect(yield* W.execute({ n: 3 }, { runId: "r" })).toBe(12)
      expect(yield* nodesOf("r")).toEqual(["a.twice/0 finished", "b.c.twice/0 finished", "n/0 finished"])
    }).pipe(onMemory),
  )
})

describe("names that mean something elsewhere", () => {
  it.effect("are names like any other, for steps, needs and runs", () =>
    Effect.gen(function* () {
      const W = Smithers.createWorkflow({ name: "__proto__", input: Schema.Struct({ n: Schema.Number }) }).build(($) => {
        const proto = $.step("__proto__", { output: Schema.Number, run: () => 1 })
        const built = $.step("constructor", { output: Schema.Number, needs: { proto }, run: ({ proto }) => proto + 1 })
        const last = $.step("then", {
          output: Schema.Number,
          needs: { constructor: built, toString: proto, hasOwnProperty: proto },
          run: (context) => context.constructor + context.toString + context.hasOwnProperty,
        })
        return $.sequence(proto, built, last)
      })
      expect(yield* W.execute(input, { runId: "__proto__" })).toBe(4)
      expect(yield* W.execute(input, { runId: "__proto__" })).toBe(4)
      expect(yield* nodesOf("__proto__")).toEqual(["__proto__/0 finished", "constructor/0 finished", "then/0 finished"])
    }).pipe(onMemory),
  )

  it.effect("and odd texts pass through inputs and outputs unchanged", () =>
    Effect.gen(function* () {
      const odd = [
        "'; DROP TABLE runs; --",
        "\u0000",
        "\ud800",
        "\u2028\u202e",
        "💥",
        "",
        " ",
        "NaN",
        "null",
        '"',
        "\\",
        "</script>",
      ]
      const keys: Record<string, string> = JSON.parse(`{"__proto__": "a", "constructor": "b", "": "c"}`)
      const Odd = Schema.Struct({ texts: Schema.Array(Schema.String), keys: Schema.Unknown })
      const W = Smithers.createWorkflow({ name: "w", input: Odd }).build(($) => {
        const a = $.step("a", { output: Odd, run: ({ input }) => input })
        return $.sequence(a, $.step("b", { output: Odd, needs: { a }, run: ({ a }) => a }))
      })
      const output = yield* W.execute({ texts: odd, keys }, { runId: "r" })
      expect(output.texts).toEqual(odd)
      expect(Object.entries(output.keys as object)).toEqual(Object.entries(keys))
      expect(Object.prototype).not.toHaveProperty("a")
    }).pipe(onMemory),
  )
})
