import { describe, expect, it } from "@effect/vitest"
import * as Smithers from "@smithers/core/Smithers"
import * as Crashes from "@smithers/testing/Crashes"
import { crashEverywhere } from "@smithers/testing/promised"
import { scriptedAgent } from "@smithers/testing/scriptedAgent"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import { createSmithers } from "smithers-orchestrator"
import { z } from "zod"

const Input = Schema.Struct({ n: Schema.Number })
const declare = (name = "w") => Smithers.createWorkflow({ name, input: Input })
const input = { n: 1 }

/** A bank that books what it is told, by key where it is given one. */
const bank = () => {
  let booked: Array<string> = []
  const keys = new Set<string>()
  return {
    reset: () => {
      booked = []
      keys.clear()
    },
    world: () => [...booked].sort(),
    book: (what: string, key?: string) => {
      if (key !== undefined && keys.has(key)) return what
      if (key !== undefined) keys.add(key)
      booked.push(what)
      return what
    },
  }
}

/** Steps in parallel and in a row, one of which books without a key where `careless` names it. */
const checkout = (accounts: ReturnType<typeof bank>, careless?: string, name = "w") =>
  declare(name).build(($) => {
    const step = (id: string) =>
      $.step(id, {
        output: Schema.String,
        run: ({ idempotencyKey }) => accounts.book(id, careless === id ? undefined : idempotencyKey),
      })
    return $.sequence(
      step("reserve"),
      $.parallel(step("charge"), step("mail")),
      $.timer("later", { duration: "1 hour" }),
      step("ship"),
    )
  })

describe("crashEverywhere", () => {
  it.effect("passes a workflow whose steps are idempotent, having died before and after each commit and after each step", () =>
    Effect.gen(function* () {
      const accounts = bank()
      const report = yield* Crashes.everywhere(checkout(accounts), input, { before: accounts.reset, world: accounts.world })
      expect(report.steps).toEqual(["reserve", "charge", "mail", "ship"])
      expect(report.commits).toBeGreaterThan(4)
      expect(report.crashes).toBe(2 * report.commits + 4)
    }),
  )

  it.effect.each(["reserve", "charge", "mail", "ship"])("names the one step that does its work twice: %s", (careless) =>
    Effect.gen(function* () {
      const accounts = bank()
      const flow = checkout(accounts, careless)
      const error = yield* Effect.flip(Crashes.everywhere(flow, input, { before: accounts.reset, world: accounts.world }))
      if (error._tag !== "NotIdempotent") return yield* error
      expect(error.steps).toEqual([careless])
      expect(error.message).toContain(`Step "${careless}" is not idempotent.`)
      expect(error.findings).toMatchObject([{ when: `after the code of "${careless}", before its commit` }])
    }),
  )

  it.effect("names a step that gives something else when it is called again, without being shown any world", () =>
    Effect.gen(function* () {
      let count = 0
      const flow = declare().build(($) => {
        const ticket = $.step("ticket", { output: Schema.Number, run: () => ++count })
        return $.sequence(
          ticket,
          $.step("print", { output: Schema.String, needs: { ticket }, run: ({ ticket }) => `no. ${ticket}` }),
        )
      })
      const error = yield* Effect.flip(Crashes.everywhere(flow, input, { before: () => (count = 0) }))
      expect(error).toMatchObject({ _tag: "NotIdempotent", steps: ["ticket"] })
      expect(error.message).toContain('after the code of "ticket", before its commit: "ticket" gave 2 instead of 1')
    }),
  )

  it.effect("names what undoes a step, the step of a child run, and a step in a later pass of a loop", () =>
    Effect.gen(function* () {
      const accounts = bank()
      const options = { before: accounts.reset, world: accounts.world }
      const named = <A,>(flow: Smithers.Workflow<{ n: number }, A>) =>
        Effect.map(Effect.flip(Crashes.everywhere(flow, input, options)), (error) =>
          error._tag === "NotIdempotent" ? [error.steps, error.findings.map(({ when }) => when)] : [error.message],
        )
      const saga = declare().build(($) =>
        $.saga(
          $.step("pay", {
            output: Schema.String,
            run: ({ idempotencyKey }) => accounts.book("pay", idempotencyKey),
            compensate: () => accounts.book("refund"),
          }),
          $.step("fail", { output: Schema.String, retry: false, run: () => Effect.fail(new Error("no")) }),
          { id: "trip", onCompensated: "continue" },
        ),
      )
      expect((yield* named(saga))[0]).toEqual(["pay~compensate"])
      const parent = declare("parent").build(($) =>
        $.subflow("child", { workflow: checkout(accounts, "mail", "child"), input: ({ input }) => input }),
      )
      expect((yield* named(parent))[0]).toEqual(["mail"])
      const loop = declare().build(($) => {
        const round = $.step("round", {
          output: Schema.Number,
          run: ({ iteration, idempotencyKey }) => {
            accounts.book(`round ${iteration}`, iteration === 1 ? undefined : idempotencyKey)
            return iteration
          },
        })
        return $.loop({ id: "l", body: round, until: ({ output }) => output === 2, maxIterations: 5 })
      })
      expect(yield* named(loop)).toEqual([["round"], ['after the code of "round" (iteration 1), before its commit']])
    }),
  )

  it.effect("decides approvals, answers people, and sends the signals that it is told", () =>
    Effect.gen(function* () {
      const flow = declare().build(($) => {
        const ask = $.approval("ask", { request: () => ({ title: "?" }), onDeny: "continue" })
        const size = $.human("size", { prompt: () => "?", output: Schema.Literal("S", "L") })
        const paid = $.signal("paid", { name: "payment", payload: Schema.Number })
        const end = $.step("end", {
          output: Schema.Unknown,
          needs: { ask, size, paid },
          run: ({ ask, size, paid }) => [ask.approved, size, paid],
        })
        return $.sequence(ask, size, paid, end)
      })
      const stalled = yield* Effect.flip(Crashes.everywhere(flow, input))
      expect(stalled.message).toBe(
        'The run does not end: it waits for signal "paid" named "payment", without a response. Provide it with "respond".',
      )
      const report = yield* Crashes.everywhere(flow, input, {
        respond: (wait) =>
          wait.kind === "signal" ? { payload: 5 } : wait.kind === "human" ? { answer: "L" } : { approved: false, note: "no" },
      })
      expect(report.crashes).toBeGreaterThan(10)
    }),
  )

  it.effect("takes time and randomness from Effect for the same each time, and says where a workflow is not reproducible", () =>
    Effect.gen(function* () {
      const flow = (run: () => Effect.Effect<number>) => declare().build(($) => $.step("only", { output: Schema.Number, run }))
      yield* Crashes.everywhere(
        flow(() => Clock.currentTimeMillis),
        input,
      )
      // It is the same in each undisturbed run, and another one when it is thrown again.
      const dice = Crashes.everywhere(
        flow(() => Random.nextIntBetween(1, 1_000_000)),
        input,
      )
      expect(yield* Effect.flip(dice)).toMatchObject({ _tag: "NotIdempotent", steps: ["only"] })
      let count = 0
      const counting = declare().build(($) => $.step("count", { output: Schema.Number, run: () => ++count }))
      expect((yield* Effect.flip(Crashes.everywhere(counting, input))).message).toMatch(
        /^Two runs without any crash differ: one ends as/,
      )
    }),
  )

  it.effect("a step that sleeps or works in real time dies in the middle, and nothing of a dead process goes on", () =>
    Effect.gen(function* () {
      const accounts = bank()
      const flow = declare().build(($) => {
        const slow = $.step("slow", {
          output: Schema.String,
          run: ({ idempotencyKey }) => Effect.as(Effect.sleep("1 hour"), accounts.book("slow", idempotencyKey)),
        })
        const real = $.step("real", {
          output: Schema.String,
          run: async ({ idempotencyKey }) => {
            await new Promise((resolve) => setTimeout(resolve, 1))
            return accounts.book("real", idempotencyKey)
          },
        })
        return $.parallel(slow, real)
      })
      yield* Crashes.everywhere(flow, input, { before: accounts.reset, world: accounts.world })
    }),
  )

  it("works with promises, and with components and agents", async () => {
    const { Workflow, Task, smithers, outputs } = createSmithers({ note: z.object({ text: z.string() }) })
    const agent = scriptedAgent([{ text: "one" }, { text: "two" }, { text: "three" }])
    const flow = smithers((ctx) => (
      <Workflow name="w">
        <Task id="write" output={outputs.note} agent={agent}>
          Write.
        </Task>
        <Task id="send" output={outputs.note}>
          {{ text: ctx.output(outputs.note, { nodeId: "write" }).text.toUpperCase() }}
        </Task>
      </Workflow>
    ))
    // Its reply is stored, so that no crash makes the agent answer with the next one.
    expect(await crashEverywhere(flow, {}, { before: agent.reset })).toMatchObject({ steps: ["write", "send"] })
    const always = { generate: async () => ({ text: '{"text":"same"}' }) }
    const steady = smithers(() => (
      <Workflow name="w">
        <Task id="write" output={outputs.note} agent={always}>
          Write.
        </Task>
      </Workflow>
    ))
    expect(await crashEverywhere(steady, {})).toMatchObject({ steps: ["write"] })
  })
})
