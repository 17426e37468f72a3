/**
 * Scopes, races and lists as they are built and run: on both stores, over restarts, with the values that they give.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { type Builder, runningOn, stores, Text, workflow } from "./Flows.ts"

const Item = Schema.Struct({ id: Schema.String, size: Schema.Number })
const Items = Schema.Array(Item)

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  it.effect("a race is won by the first, and gives its name and its value", () =>
    on(
      Effect.gen(function* () {
        const raced = workflow(($) =>
          $.race({
            quick: $.step("quick", { output: Schema.Number, run: () => Effect.as(Effect.sleep("1 second"), 42) }),
            slow: $.step("slow", { output: Text, run: () => Effect.as(Effect.sleep("1 hour"), "late") }),
            never: $.signal("never", { name: "never", payload: Text }),
          }),
        )
        const fiber = yield* Effect.fork(raced.execute({}, { runId: "r" }))
        yield* TestClock.adjust("2 seconds")
        const won = yield* fiber.await.pipe(Effect.flatten)
        expect(won).toEqual({ winner: "quick", value: 42 })
        // It is read back by the schemas of its branches.
        expect(yield* raced.execute({}, { runId: "r" })).toEqual(won)
      }),
    ),
  )

  it.effect("a scope whose time is over is left, over restarts, and goes on without its value", () =>
    on(
      Effect.gen(function* () {
        const limited = workflow(($) =>
          $.sequence(
            $.scope({
              id: "ask",
              timeout: "1 hour",
              onTimeout: "continue",
              body: $.approval("ok", { request: { title: "Go?" } }),
            }),
            $.step("after", { output: Text, run: () => "done" }),
          ),
        )
        const first = yield* limited.run({}, { runId: "r" })
        expect(first).toMatchObject({ status: "waiting-approval", waits: [{ nodeId: "ok" }, { nodeId: "ask~timeout" }] })
        yield* TestClock.adjust("2 hours")
        expect(yield* limited.run({}, { runId: "r" })).toMatchObject({ status: "finished", output: "done" })
        const late = yield* Effect.flip(Commands.approve("r", "ok"))
        expect(late._tag).toBe("RunEnded")
      }),
    ),
  )

  it.effect(
    "the time of a scope, a race and a list may be a function of what is there, of the pass and of the run, and is kept",
    () =>
      on(
        Effect.gen(function* () {
          const asked: Array<string> = []
          const Hours = Schema.Struct({ hours: Schema.Number })
          const ask = ($: Builder, id: string) => $.approval(id, { request: { title: "?" } })
          const timed = workflow(($) => {
            const plan = $.step("plan", { output: Hours, run: () => ({ hours: 2 }) })
            const early = $.step("early", { output: Hours, run: () => ({ hours: 1 }) })
            const later = $.step("later", { output: Hours, run: () => ({ hours: 9 }) })
            const pass = $.scope({
              id: "scope",
              needs: { early, later },
              timeout: ({ early, later, iteration, runId }) => {
                asked.push(`scope ${early?.hours} ${later?.hours} ${iteration} ${runId}`)
                return `${iteration + 1} hours`
              },
              onTimeout: "continue",
              body: $.sequence(ask($, "in"), later),
            })
            return $.sequence(
              plan,
              early,
              $.loop({ id: "loop", body: pass, until: () => false, maxIterations: 2 }),
              $.race(
                { a: ask($, "a") },
                { id: "race", needs: { plan }, timeout: ({ plan }) => `${plan.hours} hours`, onTimeout: "continue" },
              ),
              $.map({
                id: "list",
                needs: { plan },
                items: ({ plan }) => [plan.hours],
                timeout: ({ plan }) => `${plan.hours * 2}h`,
                onTimeout: "continue",
                body: () => ask($, "each"),
              }),
              $.step("last", { output: Text, run: () => "over" }),
            )
          })
          const waits = Effect.map(timed.run({}, { runId: "r" }), (result) =>
            result.status === "finished"
              ? result.output
              : "waits" in result
                ? result.waits.map(({ nodeId, deadline }) =>
                    deadline === undefined ? nodeId : `${nodeId} ${deadline / 3_600_000}`,
                  )
                : result.status,
          )
          expect(yield* waits).toEqual(["in", "scope~timeout 1"])
          yield* TestClock.adjust("1 hour")
          expect(yield* waits).toEqual(["in", "scope~timeout 3"])
          yield* TestClock.adjust("2 hours")
          expect(yield* waits).toEqual(["a", "race~timeout 5"])
          yield* TestClock.adjust("2 hours")
          expect(yield* waits).toEqual(["list[2].each", "list~timeout 9"])
          yield* TestClock.adjust("4 hours")
          expect(yield* waits).toBe("over")
          expect(asked).toEqual(["scope 1 undefined 0 r", "scope 1 undefined 1 r"])
        }),
      ),
  )

  it.effect("a time that is none fails the scope by its name, and needs without such a function are refused", () =>
    on(
      Effect.gen(function* () {
        const wrong = workflow(($) =>
          $.scope({ id: "scope", timeout: () => "soon" as "1 hour", body: $.step("in", { output: Text, run: () => "in" }) }),
        )
        const { message } = yield* Effect.flip(wrong.execute({}, { runId: "r" }))
        expect(message).toContain('its "timeout" gave "soon"')
        expect(() =>
          workflow(($) => {
            const plan = $.step("plan", { output: Text, run: () => "" })
            return $.sequence(plan, $.race({ a: $.timer("a", { duration: "1 hour" }) }, { needs: { plan }, timeout: "1 hour" }))
          }),
        ).toThrow('it has "needs", which only a "timeout" that is a function is given (at race "race:a")')
      }),
    ),
  )

  it.effect("a scope that failed as its time was over has all of its time again when the run is resumed", () =>
    on(
      Effect.gen(function* () {
        const limited = workflow(($) =>
          $.scope({ id: "ask", timeout: "1 hour", body: $.approval("ok", { request: { title: "Go?" } }) }),
        )
        yield* limited.run({}, { runId: "r" })
        yield* TestClock.adjust("2 hours")
        expect(yield* limited.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "ask" } })
        const again = yield* limited.run({}, { runId: "r", onFailed: "resume" })
        expect(again).toMatchObject({ status: "waiting-approval", waits: [{ nodeId: "ok" }, { nodeId: "ask~timeout" }] })
        yield* Commands.approve("r", "ok")
        expect((yield* limited.run({}, { runId: "r" })).status).toBe("finished")
      }),
    ),
  )

  it.effect("a list does for each item what its body says, with rows of its own in one table, and takes its values in order", () =>
    on(
      Effect.gen(function* () {
        let [atOnce, most] = [0, 0]
        const sizes = workflow(($) => {
          const read = $.step("read", {
            output: Items,
            run: () => [
              { id: "b", size: 2 },
              { id: "a/]%", size: 1 },
              { id: "c", size: 3 },
            ],
          })
          return $.sequence(
            read,
            $.map({
              id: "files",
              needs: { read },
              items: ({ read }) => read,
              key: ({ id }) => id,
              maxConcurrency: 2,
              body: (file) => {
                const size = $.step("size", {
                  output: Schema.Number,
                  needs: { file },
                  run: ({ file }) =>
                    Effect.gen(function* () {
                      most = Math.max(most, ++atOnce)
                      yield* Effect.sleep("1 second")
                      atOnce--
                      return file.size * 10
                    }),
                })
                return $.sequence(
                  size,
                  $.step("say", { output: Text, needs: { file, size }, run: ({ file, size }) => `${file.id}: ${size}` }),
                )
              },
            }),
          )
        })
        const fiber = yield* Effect.fork(sizes.execute({}, { runId: "r" }))
        yield* TestClock.adjust("10 seconds")
        expect(yield* fiber.await.pipe(Effect.flatten)).toEqual(["b: 20", "a/]%: 10", "c: 30"])
        expect(most).toBe(2)
        expect(yield* sizes.execute({}, { runId: "r" })).toEqual(["b: 20", "a/]%: 10", "c: 30"])
        const storage = yield* Storage
        const { nodes } = yield* storage.inspect("r")
        expect(nodes.map(({ nodeId, table }) => [nodeId, table]).filter(([nodeId]) => nodeId?.endsWith("size"))).toEqual([
          ["files[a/%5D%25].size", "w_size"],
          ["files[b].size", "w_size"],
          ["files[c].size", "w_size"],
        ])
      }),
    ),
  )

  it.effect("a settled list says how each item ended, and one of a child run is the child's output", () =>
    on(
      Effect.gen(function* () {
        const child = Smithers.createWorkflow({ name: "child", input: Schema.Struct({ count: Schema.Number }) }).build(($) =>
          $.map({
            id: "all",
            items: ({ input }) => Array.from({ length: input.count }, (_, index) => index + 1),
            settled: true,
            body: (item) =>
              $.step("half", {
                output: Schema.Number,
                needs: { item },
                retry: false,
                run: ({ item }) => (item === 2 ? Effect.fail(new Error("no half of 2")) : Effect.succeed(item / 2)),
              }),
          }),
        )
        const parent = workflow(($) => $.subflow("sub", { workflow: child, input: { count: 3 } }))
        const fiber = yield* Effect.fork(parent.execute({}, { runId: "r" }))
        yield* TestClock.adjust("1 second")
        expect(yield* fiber.await.pipe(Effect.flatten)).toMatchObject([
          { key: "1", status: "finished", value: 0.5 },
          { key: "2", status: "failed", error: { nodeId: "all[2].half", message: "no half of 2" } },
          { key: "3", status: "finished", value: 1.5 },
        ])
      }),
    ),
  )

  it.effect("a list grows while it runs, keeps what its items have done, and stays open as long as more may come", () =>
    on(
      Effect.gen(function* () {
        const done: Array<number> = []
        const growing = workflow(($) => {
          const found = $.step("found", {
            output: Schema.Array(Schema.Number),
            run: ({ iteration }) => [1, 2, 3].slice(0, iteration + 1),
          })
          const pages = $.loop({
            id: "pages",
            maxIterations: 3,
            until: () => false,
            body: $.sequence(found, $.timer("pause", { duration: "1 minute" })),
          })
          return $.parallel(
            pages,
            $.map({
              id: "items",
              needs: { found: $.maybe(found) },
              items: ({ found }) => found ?? [],
              more: pages,
              body: (item) =>
                $.step("work", {
                  output: Schema.Number,
                  needs: { item },
                  run: ({ item }) => {
                    done.push(item)
                    return item * 2
                  },
                }),
            }),
          )
        })
        const fiber = yield* Effect.fork(growing.execute({}, { runId: "r" }))
        yield* TestClock.adjust("90 seconds")
        expect(done).toEqual([1, 2])
        yield* TestClock.adjust("5 minutes")
        expect((yield* fiber.await.pipe(Effect.flatten))[1]).toEqual([2, 4, 6])
        expect(done).toEqual([1, 2, 3])
      }),
    ),
  )

  it.effect("lists stand in lists and in loops", () =>
    on(
      Effect.gen(function* () {
        const nested = workflow(($) =>
          $.loop({
            id: "twice",
            maxIterations: 2,
            until: () => false,
            body: $.map({
              id: "outer",
              items: () => ["a", "b"],
              body: (outer) =>
                $.map({
                  id: "inner",
                  needs: { outer },
                  items: ({ outer }) => [`${outer}1`, `${outer}2`],
                  body: (inner) =>
                    $.step("say", {
                      output: Text,
                      needs: { outer, inner },
                      run: ({ outer, inner, iteration }) => `${outer} ${inner} ${iteration}`,
                    }),
                }),
            }),
          }),
        )
        const output = yield* nested.execute({}, { runId: "r" })
        expect(output).toEqual([
          ["a a1 1", "a a2 1"],
          ["b b1 1", "b b2 1"],
        ])
        const { nodes } = yield* (yield* Storage).inspect("r")
        const steps = nodes.flatMap(({ kind, nodeId, iteration }) => (kind === "step" && iteration === 0 ? [nodeId] : []))
        expect(steps.sort()).toEqual([
          "outer[a].inner[a1].say",
          "outer[a].inner[a2].say",
          "outer[b].inner[b1].say",
          "outer[b].inner[b2].say",
        ])
      }),
    ),
  )

  it.effect("a list whose items have no keys, or the same, fails by its name", () =>
    on(
      Effect.gen(function* () {
        const of = (items: ReadonlyArray<unknown>) =>
          workflow(($) => $.map({ id: "l", items: () => items, body: () => $.step("s", { output: Text, run: () => "" }) }))
        const failed = (items: ReadonlyArray<unknown>) => Effect.map(Effect.flip(of(items).execute({})), (error) => error.message)
        expect(yield* failed([{}])).toContain(`item 0 has no key: give it a "key"`)
        expect(yield* failed(["a", "a"])).toContain(`two of its items have the key "a"`)
      }),
    ),
  )

  it.effect("a settled list that has enough and keeps the rest says of the items at work that they are open", () =>
    on(
      Effect.gen(function* () {
        let seen: unknown
        const w = workflow(($) => {
          const list = $.map({
            id: "list",
            items: () => ["quick", "slow"],
            settled: true,
            body: (item) =>
              $.step("given", {
                needs: { item },
                output: Text,
                run: ({ item }) => Effect.as(Effect.sleep(item === "quick" ? "1 minute" : "1 hour"), item),
              }),
            until: ({ done }) => done >= 1,
            rest: "keep",
          })
          const after = $.step("after", {
            needs: { list },
            output: Text,
            run: ({ list }) => {
              seen = list
              return "done"
            },
          })
          return $.sequence(list, after)
        })
        const fiber = yield* Effect.fork(w.execute({}, { runId: "r" }))
        yield* TestClock.adjust("2 hours")
        expect(yield* fiber.await.pipe(Effect.flatten)).toBe("done")
        expect(seen).toEqual([
          { key: "quick", status: "finished", value: "quick" },
          { key: "slow", status: "open" },
        ])
      }),
    ),
  )
})
