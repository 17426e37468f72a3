/** Callers that need none of the steps' services, and looks that change nothing. */
import { expect, it } from "@effect/vitest"
import * as Smithers from "@smithers/core/Smithers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { stores, Text, workflow } from "./Flows.ts"

class Mail extends Context.Tag("Mail")<Mail, { readonly send: (to: string) => Effect.Effect<string> }>() {}
class Refused extends Schema.TaggedError<Refused>()("Refused", { to: Schema.String }) {}

const mailing = (name = "mail") =>
  Smithers.createWorkflow({ name, input: Schema.Struct({ to: Schema.String }) }).build(($) =>
    $.sequence(
      $.step("send", {
        output: Text,
        error: Refused,
        retry: false,
        run: ({ input: { to } }) => (to === "" ? new Refused({ to }) : Effect.flatMap(Mail, ({ send }) => send(to))),
      }),
    ),
  )

describe.each(stores)("on %s", (_, store) => {
  const runtime = Smithers.onStorage(store, { lease: "100 days" })

  it.scoped("a client calls a workflow with the services of its layer, and asks for none", () =>
    Effect.gen(function* () {
      const Review = mailing()
      const open: Array<boolean> = []
      const mail = Layer.scoped(
        Mail,
        Effect.as(
          Effect.acquireRelease(
            Effect.sync(() => open.push(true)),
            () => Effect.sync(() => open.push(false)),
          ),
          { send: (to) => Effect.succeed(`to ${to}`) },
        ),
      )
      const live = Smithers.toLayer(Review).pipe(Layer.provide(mail), Layer.provide(runtime))
      const handler = (to: string, runId: string) =>
        Effect.flatMap(Smithers.client(Review), (review) => review.execute({ to }, { runId })).pipe(
          Effect.catchTag("Refused", (error) => Effect.succeed(`refused "${error.to}"`)),
        )
      const program = Effect.gen(function* () {
        expect(yield* handler("a", "one")).toBe("to a")
        expect(yield* handler("", "two")).toBe(`refused ""`)
        const review = yield* Smithers.client(Review)
        const handle = yield* review.start({ to: "b" }, { runId: "three" })
        expect(yield* handle.await).toBe("to b")
        expect(Option.getOrThrow(yield* review.poll("one"))).toMatchObject({ status: "finished", output: "to a" })
        expect(yield* (yield* review.attach("three")).await).toBe("to b")
        expect(open).toEqual([true])
      })
      yield* Effect.provide(program, live)
      expect(open).toEqual([true, false])
    }),
  )

  it.effect("workflows of one shape have clients of their own", () =>
    Effect.gen(function* () {
      const [one, other] = [mailing("one"), mailing("other")]
      const sending = (from: string) => Layer.succeed(Mail, { send: (to: string) => Effect.succeed(`${from} ${to}`) })
      const live = Layer.merge(
        Layer.provide(Smithers.toLayer(one), sending("one")),
        Layer.provide(Smithers.toLayer(other), sending("other")),
      ).pipe(Layer.provide(runtime))
      const both = Effect.all([Smithers.client(one), Smithers.client(other)])
      const [first, second] = yield* Effect.provide(
        Effect.flatMap(both, (clients) => Effect.forEach(clients, (client) => client.execute({ to: "x" }))),
        live,
      )
      expect([first, second]).toEqual(["one x", "other x"])
    }),
  )

  it.effect("asking about a run in any way plans nothing and runs nothing", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      const broken = workflow(($) =>
        $.step("a", {
          output: Text,
          retry: false,
          run: () => {
            ran.push("a")
            throw new Error("broken")
          },
        }),
      )
      const conditions: Array<string> = []
      const waiting = workflow(
        ($) =>
          $.branch({
            when: () => {
              conditions.push("asked")
              return true
            },
            then: $.approval("ok", { request: { title: "?" } }),
          }),
        "waiting",
      )
      yield* broken.run({}, { runId: "r" })
      yield* waiting.run({}, { runId: "s" })
      const asked = conditions.length
      expect(Option.getOrThrow(yield* broken.poll("r")).status).toBe("failed")
      expect(Option.getOrThrow(yield* waiting.poll("s"))).toMatchObject({ status: "waiting-approval", waits: [{ nodeId: "ok" }] })
      expect((yield* (yield* broken.attach("r")).result).status).toBe("failed")
      expect((yield* broken.run({}, { runId: "r" })).status).toBe("failed")
      expect((yield* Smithers.list({ status: ["failed"] })).map(({ runId }) => runId)).toEqual(["r"])
      expect((yield* Smithers.list()).map(({ runId }) => runId).sort()).toEqual(["r", "s"])
      const details = yield* Smithers.inspect("r")
      expect(details).toMatchObject({ run: { workflow: "w", status: "failed" }, failure: { _tag: "StepFailed", nodeId: "a" } })
      expect(yield* Effect.flip(Smithers.inspect("none"))).toMatchObject({ _tag: "RunNotFound" })
      expect(ran).toEqual(["a"])
      expect(conditions).toHaveLength(asked)
    }).pipe(Effect.provide(runtime)),
  )
})
