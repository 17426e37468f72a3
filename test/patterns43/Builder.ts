/** Each pattern as it is said with the builder. The text of each program is what docs/patterns43.md shows. */
import type { Reference } from "@smithers/core/Builder"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Smithers } from "smithers-orchestrator"
import { type Program, runOf } from "./Kills.ts"
import type { Numbered } from "./Patterns.ts"

const Text = Schema.String
const Texts = Schema.Array(Text)
const Nothing = Schema.Struct({})
type Build = Smithers.Builder<typeof Nothing.Type>

/** A program that is given nothing. */
const built = <A>(build: ($: Build) => Smithers.Node<A>): Program =>
  runOf(Smithers.createWorkflow({ name: "case", input: Nothing }).build<A, never>(build), {})

/** A program that is given a depth. */
const deep = <A>(make: () => Smithers.Workflow<{ readonly n: number }, A>) => runOf(make(), { n: 2 })

// helpers
/** A step that takes as long as it says, and gives its id. */
const work = <const Id extends string>($: Build, id: Id, takes: Duration.DurationInput = "1 minute") =>
  $.step(id, { output: Text, retry: false, run: () => Effect.as(Effect.sleep(takes), `${id}`) })

/** A step that takes a minute for the item x, five for y and a day for z, and gives the item. */
const handle = ($: Build, item: Reference<string>) =>
  $.step("do", {
    output: Text,
    needs: { item },
    retry: false,
    run: ({ item }) => Effect.as(Effect.sleep(item === "x" ? "1 minute" : item === "y" ? "5 minutes" : "1 day"), item),
  })

/** A signal that carries text. */
const event = <const Id extends string>($: Build, id: Id) => $.signal(id, { name: id, payload: Text })

/** A workflow that is given a name, and takes an hour. */
const mail = Smithers.createWorkflow({ name: "mail", input: Schema.Struct({ to: Text }) }).build(($) =>
  $.step("mail", { output: Text, run: ({ input }) => Effect.as(Effect.sleep("1 hour"), input.to) }),
)
// end

export const programs: Numbered<Program> = {
  1: built(($) => $.sequence(work($, "a"), work($, "b"), work($, "c"))),
  2: built(($) => $.sequence(work($, "a"), $.parallel(work($, "b"), work($, "c")))),
  3: built(($) => {
    const [a, b] = [work($, "a"), work($, "b", "5 minutes")]
    const both = $.step("both", { output: Text, needs: { a, b }, run: ({ a, b }) => a + b })
    return $.sequence($.parallel(a, b), both)
  }),
  4: built(($) => {
    const kind = $.step("kind", { output: Schema.Literal("bug", "idea"), run: () => "bug" })
    const cases = { bug: work($, "fix"), idea: work($, "plan") }
    return $.sequence(kind, $.switch({ needs: { kind }, on: ({ kind }) => kind, cases }))
  }),
  5: built(($) => {
    const kind = $.step("kind", { output: Schema.Literal("bug", "idea"), run: () => "idea" })
    const way = $.switch({ needs: { kind }, on: ({ kind }) => kind, cases: { bug: work($, "fix"), idea: work($, "plan") } })
    const after = $.step("after", { output: Text, needs: { way }, run: ({ way }) => `after ${way}` })
    return $.sequence(kind, way, after)
  }),
  6: built(($) => {
    const wanted = $.step("wanted", { output: Texts, run: () => ["a", "c"] })
    const where = (id: string) => $.branch({ needs: { wanted }, when: ({ wanted }) => wanted.includes(id), then: work($, id) })
    return $.sequence(wanted, $.parallel(where("a"), where("b"), where("c")))
  }),
  7: built(($) => {
    const wanted = $.step("wanted", { output: Texts, run: () => ["a", "c"] })
    const where = (id: string) => $.branch({ needs: { wanted }, when: ({ wanted }) => wanted.includes(id), then: work($, id) })
    const ways = $.parallel(where("a"), where("b"), where("c"))
    return $.sequence(
      wanted,
      ways,
      $.step("after", { output: Text, needs: { ways }, run: ({ ways }) => ways.filter(Boolean).join("+") }),
    )
  }),
  8: built(($) =>
    $.parallel(
      $.sequence(work($, "a"), $.fragment("a", work, "after")),
      $.sequence(work($, "b", "5 minutes"), $.fragment("b", work, "after")),
    ),
  ),
  9: built(($) => {
    const branches = { a: work($, "a"), b: work($, "b", "5 minutes"), c: work($, "c", "10 minutes") }
    return $.sequence($.race(branches, { rest: "keep" }), work($, "after"))
  }),
  10: built(($) => {
    // From b to c, from c back to b or to the end.
    const next = $.step("next", { output: Text, run: ({ iteration }) => ["b", "c", "b", "c", "end"][iteration] ?? "end" })
    const place = $.switch({
      needs: { from: $.previous("next", Text) },
      on: ({ from }) => from ?? "a",
      cases: { a: work($, "a"), b: work($, "b") },
      otherwise: work($, "c"),
    })
    return $.loop({
      id: "places",
      body: $.sequence(place, next),
      needs: { next },
      until: ({ next }) => next === "end",
      maxIterations: Infinity,
    })
  }),
  11: built(($) => $.parallel(work($, "a", "5 minutes"), $.sequence(work($, "b"), work($, "c")))),
  12: built(($) => {
    const body = (item: Reference<string>) =>
      $.subflow("run", { needs: { item }, workflow: mail, input: ({ item }) => ({ to: item }), attach: false })
    return $.sequence($.map({ id: "mails", items: () => ["x", "y"], body }), work($, "after"))
  }),
  13: built(($) => {
    const copies = $.map({ id: "copies", items: () => ["x", "y", "z"], body: (item) => handle($, item) })
    return $.sequence(copies, work($, "after"))
  }),
  14: built(($) => {
    const found = $.step("found", { output: Texts, run: () => ["x", "y"] })
    const each = $.map({ id: "each", needs: { found }, items: ({ found }) => found, body: (item) => handle($, item) })
    return $.sequence(found, each, work($, "after"))
  }),
  15: built(($) => {
    const found = $.signal("found", { name: "found", payload: Texts })
    const more = $.loop({ id: "more", body: found, until: ({ output }) => output?.length === 3, maxIterations: Infinity })
    const each = $.map({
      id: "each",
      needs: { found: $.maybe(found) },
      items: ({ found }) => found ?? [],
      more,
      body: (item) => handle($, item),
    })
    return $.sequence($.parallel(more, each), work($, "after"))
  }),
  16: built(($) => {
    const first = $.race({ paid: event($, "paid"), late: $.timer("late", { duration: "1 week" }) })
    const cases = { paid: work($, "ship"), late: work($, "remind") }
    return $.sequence(first, $.switch({ needs: { first }, on: ({ first }) => first.winner, cases }))
  }),
  17: built(($) => {
    const [a, b] = [work($, "a"), work($, "b")]
    const afterA = $.step("c", { output: Text, needs: { a }, run: ({ a }) => Effect.as(Effect.sleep("1 minute"), `c after ${a}`) })
    return $.sequence($.parallel(a, afterA, b, { maxConcurrency: 1 }), work($, "after"))
  }),
  18: built(($) => {
    const close = work($, "close")
    const change = $.sequence(event($, "change"), work($, "apply"))
    const open = $.scope({
      id: "open",
      needs: { close },
      cancelWhen: ({ close }) => close !== undefined,
      body: $.loop({ id: "changes", body: change, until: () => false, maxIterations: Infinity }),
    })
    return $.sequence($.parallel($.sequence($.timer("window", { duration: "1 day" }), close), open), work($, "after"))
  }),
  19: built(($) => $.sequence($.scope({ id: "search", body: work($, "look", "1 day") }), work($, "after"))),
  20: built(($) => $.sequence($.parallel(work($, "a"), work($, "b", "1 day"), event($, "go")), work($, "after"))),
  21: built(($) => {
    const draft = $.step("draft", { output: Schema.Number, run: ({ iteration }) => iteration + 1 })
    return $.loop({ id: "drafts", body: draft, until: ({ output }) => output === 3, maxIterations: 10 })
  }),
  22: deep(() => {
    const Depth = Schema.Struct({ n: Schema.Number })
    const Walk: Smithers.Workflow<typeof Depth.Type, string> = Smithers.createWorkflow({ name: "walk", input: Depth }).build(
      ($) => {
        const here = $.step("here", { output: Text, run: ({ input }) => `at ${input.n}` })
        const bottom = $.step("bottom", { output: Text, run: () => "at the bottom" })
        const deeper = $.subflow("deeper", { workflow: () => Walk, input: ({ input }) => ({ n: input.n - 1 }) })
        return $.sequence(here, $.branch({ when: ({ input }) => input.n > 0, then: deeper, else: bottom }))
      },
    )
    return Walk
  }),
  23: built(($) => {
    const go = $.signal("go", { name: "go", payload: Text, transient: true })
    return $.sequence(event($, "start"), work($, "a"), go)
  }),
  24: built(($) => $.sequence(event($, "start"), work($, "a"), event($, "go"))),
  25: built(($) => {
    const stop = event($, "stop")
    const region = $.scope({
      id: "region",
      needs: { stop },
      cancelWhen: ({ stop }) => stop !== undefined,
      body: $.parallel(work($, "a", "1 day"), $.sequence(work($, "b"), event($, "c"))),
    })
    return $.sequence($.parallel(stop, region, work($, "beside", "2 days")), work($, "after"))
  }),
  26: built(($) => {
    const each = $.map({ id: "each", items: () => ["x", "y", "z"], body: (item) => handle($, item) })
    return $.sequence(each, work($, "after"))
  }),
  27: built(($) => {
    const each = $.map({ id: "each", items: () => ["x", "y", "z"], settled: true, body: (item) => handle($, item) })
    const after = $.step("after", {
      output: Text,
      needs: { each },
      run: ({ each }) => each.map((item) => (item.status === "finished" ? item.value : item.status)).join("+"),
    })
    return $.sequence(each, after)
  }),
  28: built(($) => {
    const first = $.race({ a: work($, "a"), b: work($, "b", "5 minutes") }, { rest: "keep" })
    return $.loop({ id: "rounds", body: $.sequence(first, work($, "after")), until: () => false, maxIterations: 2 })
  }),
  29: built(($) => $.sequence($.race({ a: work($, "a"), b: work($, "b", "1 day") }), work($, "after"))),
  30: built(($) => {
    const branches = { a: work($, "a"), b: work($, "b", "5 minutes"), c: work($, "c", "1 hour") }
    return $.sequence($.race(branches, { count: 2, rest: "keep" }), work($, "after"))
  }),
  31: built(($) => {
    const two = $.race({ a: work($, "a"), b: work($, "b"), c: work($, "c", "1 hour") }, { count: 2, rest: "keep" })
    return $.loop({ id: "rounds", body: $.sequence(two, work($, "after")), until: () => false, maxIterations: 2 })
  }),
  32: built(($) => {
    const branches = { a: work($, "a"), b: work($, "b", "5 minutes"), c: work($, "c", "1 day") }
    return $.sequence($.race(branches, { count: 2 }), work($, "after"))
  }),
  33: built(($) => {
    const pair = $.parallel(event($, "left"), event($, "right"))
    return $.loop({ id: "pairs", body: $.sequence(pair, work($, "after")), until: () => false, maxIterations: 2 })
  }),
  34: built(($) => {
    const each = $.map({
      id: "each",
      items: () => ["x", "y", "z"],
      body: (item) => handle($, item),
      until: ({ done }) => done >= 2,
      rest: "keep",
    })
    return $.sequence(each, work($, "after"))
  }),
  35: built(($) => {
    const each = $.map({
      id: "each",
      items: () => ["x", "y", "z"],
      body: (item) => handle($, item),
      until: ({ done }) => done >= 2,
    })
    return $.sequence(each, work($, "after"))
  }),
  36: built(($) => {
    const found = $.signal("found", { name: "found", payload: Texts })
    const more = $.loop({ id: "more", body: found, until: ({ output }) => output?.length === 3, maxIterations: Infinity })
    const each = $.map({
      id: "each",
      needs: { found: $.maybe(found) },
      items: ({ found }) => found ?? [],
      more,
      body: (item) => handle($, item),
      until: ({ values }) => values.includes("y"),
    })
    return $.sequence($.parallel(more, each), work($, "after"))
  }),
  37: built(($) => {
    const wanted = $.step("wanted", { output: Texts, run: () => ["a"] })
    const [a, b] = [work($, "a"), work($, "b")]
    const where = (id: string, then: typeof a | typeof b) =>
      $.branch({ needs: { wanted }, when: ({ wanted }) => wanted.includes(id), then })
    const merge = $.step("merge", {
      output: Text,
      needs: { a: $.maybe(a), b: $.maybe(b) },
      run: ({ a, b }) => `${a ?? "no a"}, ${b ?? "no b"}`,
    })
    return $.sequence(wanted, $.parallel(where("a", a), where("b", b), merge, work($, "beside", "1 hour")))
  }),
  38: built(($) => {
    const [a, b] = [work($, "a"), work($, "b")]
    const inSecond = $.branch({ when: ({ iteration }) => iteration === 1, then: b })
    const rounds = $.loop({ id: "rounds", body: $.sequence(work($, "round"), inSecond), until: () => false, maxIterations: 2 })
    const merge = $.step("merge", {
      output: Text,
      needs: { a: $.maybe(a), b: $.maybe(b) },
      run: ({ a, b }) => `${a ?? "no a"}, ${b ?? "no b"}`,
    })
    return $.parallel(a, rounds, merge, work($, "beside", "1 hour"))
  }),
  39: built(($) => {
    const [a, b] = [work($, "a"), work($, "b")]
    const inside = <const Id extends string>(id: Id, before: typeof a | typeof b) =>
      $.step(id, { output: Text, needs: { before }, run: () => Effect.as(Effect.sleep("5 minutes"), `${id}`) })
    const [lockA, lockB] = [inside("lock-a", a), inside("lock-b", b)]
    const after = (id: string, needs: { readonly lock: typeof lockA | typeof lockB }) =>
      $.step(id, { output: Text, needs, run: () => Effect.as(Effect.sleep("1 hour"), id) })
    const section = $.parallel(lockA, lockB, { maxConcurrency: 1 })
    return $.parallel(a, b, section, after("after-a", { lock: lockA }), after("after-b", { lock: lockB }))
  }),
  40: built(($) => $.sequence($.parallel(work($, "a"), work($, "b"), work($, "c"), { maxConcurrency: 1 }), work($, "after"))),
  41: built(($) => {
    const threads = $.map({ id: "threads", items: () => ["x", "y"], body: (item) => handle($, item) })
    const one = $.step("one", { output: Text, needs: { threads }, run: ({ threads }) => threads.join("+") })
    return $.sequence(threads, one)
  }),
  42: built(($) => $.sequence(work($, "a"), $.map({ id: "threads", items: () => ["x", "y"], body: (item) => handle($, item) }))),
  43: built(($) => {
    const end = work($, "end")
    return $.scope({
      id: "whole",
      needs: { end },
      completeWhen: ({ end }) => end !== undefined,
      body: $.parallel($.sequence(work($, "a"), end), work($, "b", "1 day"), event($, "c")),
    })
  }),
}
