/**
 * Leaving scopes, races, lists and their parts from outside, on every store, in one process and across crashes.
 */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as Engine from "@smithers/core/Engine"
import * as Smithers from "@smithers/core/Smithers"
import { ports, Storage } from "@smithers/core/Storage"
import * as Supervisor from "@smithers/core/Supervisor"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { runId, sweep } from "./Deaths.ts"
import { type Builder, journal, processOn, runningOn, stores, Text, workflow } from "./Flows.ts"
import { rest } from "./Time.ts"

/** Asks in a scope, beside work; what comes after it says what the scope gave. */
const asking = () => {
  const { done, step } = journal()
  const w = workflow(($) => {
    const region = $.scope({
      id: "region",
      body: $.parallel(step($, "first"), $.sequence($.approval("ask", { request: { title: "Go?" } }), step($, "last"))),
    })
    return $.sequence(
      region,
      $.step("after", {
        needs: { region: $.maybe(region) },
        output: Text,
        run: ({ region }) => `${done.push("after")} ${region === undefined ? "nothing" : "something"}`,
      }),
    )
  })
  return { w, done }
}

/** A question in a scope; what comes after the scope says what it was answered. */
const answering = () =>
  workflow(($) => {
    const ask = $.human("ask", { prompt: "Who?", output: Text })
    const region = $.scope({ id: "region", body: ask })
    const answer = $.step("answer", {
      needs: { ask: $.maybe(ask) },
      output: Text,
      run: ({ ask }) => ask ?? "nobody",
    })
    return $.sequence(region, answer)
  })

/** A list of which each item asks. */
const listed = (keys: ReadonlyArray<string>, options: { readonly maxConcurrency?: number } = {}) =>
  workflow(($) =>
    $.map({
      id: "list",
      items: () => [...keys],
      body: (item) =>
        $.sequence(
          $.step("work", { needs: { item }, output: Text, run: ({ item }) => item }),
          $.signal("go", { name: "go", payload: Text }),
        ),
      settled: true,
      ...options,
    }),
  )

const statusOf = (nodeId: string, iteration = 0) =>
  Effect.gen(function* () {
    const { nodes } = yield* (yield* Storage).inspect("r")
    return nodes.find((node) => node.nodeId === nodeId && node.iteration === iteration)
  })

/** The error of a command, by its tag and its message. */
const refused = <E extends { readonly _tag: string; readonly message: string }, R>(command: Effect.Effect<unknown, E, R>) =>
  Effect.map(Effect.flip(command), ({ _tag, message }) => `${_tag}: ${message}`)

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  it.effect("a scope is left as cancelled: what waits is withdrawn, and the run goes on without its value", () =>
    on(
      Effect.gen(function* () {
        const { w, done } = asking()
        const run = yield* w.start({}, { runId: "r" })
        yield* run.waiting
        yield* run.cancelNode("region", { reason: "too late", by: "ann" })
        expect(yield* run.await).toBe("2 nothing")
        expect(done).toEqual(["first", "after"])
        expect(yield* statusOf("region")).toMatchObject({
          status: "cancelled",
          left: { outcome: "cancelled", trigger: "request", reason: "too late", by: "ann" },
        })
        expect(yield* statusOf("ask")).toMatchObject({ status: "superseded" })
        const [wait] = yield* (yield* Storage).waits({ runId: "r", all: true })
        expect(wait).toMatchObject({ nodeId: "ask", status: "withdrawn", reason: "left" })
      }),
    ),
  )

  it.effect("a list is left as completed once the finally of an item has ended, and the item is cancelled", () =>
    on(
      Effect.gen(function* () {
        const w = workflow(($) =>
          $.map({
            id: "list",
            items: () => ["one"],
            body: (item) =>
              $.tryCatch({
                try: $.step("work", { needs: { item }, output: Text, run: ({ item }) => item }),
                finally: $.approval("ok", { request: { title: "?" } }),
              }),
            settled: true,
          }),
        )
        yield* w.run({}, { runId: "r" })
        yield* Commands.completeNode("r", "list")
        const left = yield* w.run({}, { runId: "r" })
        expect(left).toMatchObject({ status: "waiting-approval", waits: [{ nodeId: "list[one].ok" }] })
        yield* Commands.approve("r", "list[one].ok")
        expect(yield* w.execute({}, { runId: "r" })).toEqual([{ key: "one", status: "cancelled" }])
      }),
    ),
  )

  it.effect("a branch that a scope had not come to when it was left gives nothing, whatever its function would say", () =>
    on(
      Effect.gen(function* () {
        const asked: Array<unknown> = []
        const w = workflow(($) => {
          const ask = $.approval("ask", { request: { title: "?" } })
          const both = $.parallel($.step("a", { output: Text, run: () => "a" }))
          const when = ({ ask }: { readonly ask: unknown }) => asked.push(ask) > 0
          return $.scope({ id: "region", body: $.parallel(ask, $.branch({ needs: { ask }, when, then: both })) })
        })
        yield* w.run({}, { runId: "r" })
        yield* Commands.completeNode("r", "region")
        expect(yield* w.execute({}, { runId: "r" })).toEqual([undefined, undefined])
      }),
    ),
  )

  it.effect("a scope is left as completed, also in a process of its own, once the run is taken up", () =>
    on(
      Effect.gen(function* () {
        const { w, done } = asking()
        expect((yield* w.run({}, { runId: "r" })).status).toBe("waiting-approval")
        yield* Smithers.completeNode("r", "region", { by: "ann" })
        const { run, leaving } = yield* (yield* Storage).inspect("r")
        expect({ status: run.status, leaving }).toEqual({
          status: "waiting-approval",
          leaving: [{ nodeId: "region", iteration: 0, outcome: "completed", by: "ann" }],
        })
        expect(yield* w.execute({}, { runId: "r" })).toBe("2 something")
        expect(done).toEqual(["first", "after"])
        expect(yield* statusOf("region")).toMatchObject({ status: "completed", left: { trigger: "request", by: "ann" } })
        expect((yield* (yield* Storage).inspect("r")).leaving).toEqual([])
      }),
    ),
  )

  it.effect("an answer that was acknowledged before its scope is to be left counts, and one that comes after it does not", () =>
    on(
      Effect.gen(function* () {
        const first = answering()
        yield* first.run({}, { runId: "r" })
        yield* Smithers.answer("r", "ask", "ann")
        yield* TestClock.adjust("20 millis")
        yield* Smithers.completeNode("r", "region")
        expect(yield* first.execute({}, { runId: "r" })).toBe("ann")
        yield* first.run({}, { runId: "s" })
        yield* Smithers.completeNode("s", "region")
        yield* TestClock.adjust("20 millis")
        yield* Effect.ignore(Smithers.answer("s", "ask", "ann"))
        expect(yield* first.execute({}, { runId: "s" })).toBe("nobody")
        // In a paused run both are carried out once it goes on.
        yield* first.run({}, { runId: "p" })
        yield* Smithers.pause("p")
        yield* Smithers.answer("p", "ask", "bob")
        yield* Smithers.completeNode("p", "region")
        yield* Effect.ignore(first.run({}, { runId: "p" }))
        yield* Smithers.unpause("p")
        expect(yield* first.execute({}, { runId: "p" })).toBe("bob")
      }),
    ),
  )

  it.effect("a signal that is refused does not let a later one of its wait come before what others waited for in between", () =>
    on(
      Effect.gen(function* () {
        const w = workflow(($) =>
          $.race({
            person: $.approval("ask", { request: { title: "Go?" } }),
            bot: $.signal("checks", { name: "checks", payload: Text }),
          }),
        )
        yield* w.run({}, { runId: "r" })
        yield* Smithers.signal("r", "checks", { payload: 5, id: "wrong" })
        yield* TestClock.adjust("10 millis")
        yield* Smithers.approve("r", "ask")
        yield* TestClock.adjust("10 millis")
        yield* Smithers.signal("r", "checks", { payload: "fine", id: "right" })
        expect(yield* w.execute({}, { runId: "r" })).toMatchObject({ winner: "person" })
      }),
    ),
  )

  it.effect(
    "a settled list that is left with its value tells items that are over from those that are not, also in a process of its own",
    () =>
      on(
        Effect.gen(function* () {
          const w = listed(["a", "b", "c"], { maxConcurrency: 2 })
          const left = [
            { key: "a", status: "finished", value: "one" },
            { key: "b", status: "cancelled" },
            { key: "c", status: "cancelled" },
          ]
          const first = yield* w.start({}, { runId: "r" })
          yield* first.waiting
          yield* first.signal("go", { payload: "one" })
          yield* first.waiting
          yield* first.completeNode("list")
          expect(yield* first.await).toEqual(left)
          expect((yield* statusOf("list[b]"))?.left).toEqual({ outcome: "cancelled", trigger: "request" })

          yield* w.run({}, { runId: "other" })
          yield* Smithers.signal("other", "go", { payload: "one" })
          yield* w.run({}, { runId: "other" })
          yield* Smithers.completeNode("other", "list")
          expect(yield* w.execute({}, { runId: "other" })).toEqual(left)
        }),
      ),
  )

  it.effect("a run that nobody works on is taken up by a supervisor to leave a scope", () =>
    on(
      Effect.gen(function* () {
        const storage = yield* Storage
        const { w, done } = asking()
        expect((yield* w.run({}, { runId: "r" })).status).toBe("waiting-approval")
        const { engine, scope, stop } = yield* processOn(storage)
        yield* Supervisor.make({ registry: Smithers.registry([w]), interval: "1 day" }).pipe(
          Effect.provide(ports(storage)),
          Effect.provideService(Engine.Engine, engine),
          Scope.extend(scope),
        )
        yield* rest
        yield* Commands.cancelNode("r", "region")
        yield* rest
        yield* TestClock.adjust("1 minute")
        expect(done).toEqual(["first", "after"])
        expect((yield* storage.inspect("r")).run.status).toBe("finished")
        yield* stop
      }),
    ),
  )

  it.effect("a paused run leaves a scope once it goes on", () =>
    on(
      Effect.gen(function* () {
        const { w, done } = asking()
        yield* w.run({}, { runId: "r" })
        yield* Commands.pause("r")
        yield* Commands.cancelNode("r", "region")
        expect((yield* w.run({}, { runId: "r" })).status).toBe("paused")
        expect(done).toEqual(["first"])
        // It is known meanwhile, and not asked for once more.
        yield* Commands.cancelNode("r", "region")
        expect(yield* refused(Commands.completeNode("r", "region"))).toContain("AlreadyLeft")
        yield* Commands.unpause("r")
        expect((yield* w.run({}, { runId: "r" })).status).toBe("finished")
        expect(done).toEqual(["first", "after"])
      }),
    ),
  )

  it.effect("what is asked twice counts once, and another way is refused, before and after the run has heard of it", () =>
    on(
      Effect.gen(function* () {
        const slow = workflow(($) =>
          $.scope({
            id: "region",
            body: $.tryCatch({
              try: $.step("work", { output: Text, run: () => Effect.as(Effect.sleep("1 hour"), "done") }),
              finally: $.step("clean", { output: Text, run: () => Effect.as(Effect.sleep("1 minute"), "clean") }),
            }),
          }),
        )
        const run = yield* slow.start({}, { runId: "r" })
        yield* rest
        yield* run.cancelNode("region", { by: "ann", reason: "why not" })
        yield* run.cancelNode("region", { by: "bob" })
        const other =
          'AlreadyLeft: "region" of run "r" is already being left as cancelled: ann asked for that ("why not"), and it cannot be changed.'
        expect(yield* refused(run.completeNode("region"))).toBe(other)
        yield* rest
        expect(yield* statusOf("region")).toMatchObject({ status: "halted", left: { trigger: "request", by: "ann" } })
        yield* run.cancelNode("region")
        expect(yield* refused(run.completeNode("region"))).toBe(other)
        yield* TestClock.adjust("1 minute")
        expect(yield* run.result).toMatchObject({ status: "finished" })
        const log = (yield* (yield* Storage).events("r")).filter(({ event }) => event._tag === "LeaveRequested")
        expect(log).toHaveLength(1)
        expect(yield* refused(run.cancelNode("region"))).toContain("RunEnded")
      }),
    ),
  )

  it.effect("of two who ask at once for different ends the first counts, and the second is told", () =>
    on(
      Effect.gen(function* () {
        const { w } = asking()
        yield* w.run({}, { runId: "r" })
        const both = yield* Effect.all(
          [Effect.exit(Commands.cancelNode("r", "region")), Effect.exit(Commands.completeNode("r", "region"))],
          {
            concurrency: "unbounded",
          },
        )
        expect(both.map(({ _tag }) => _tag)).toEqual(["Success", "Failure"])
        yield* w.run({}, { runId: "r" })
        expect(yield* statusOf("region")).toMatchObject({ status: "cancelled" })
      }),
    ),
  )

  it.effect("a branch of a race is left by its name, and the race as a whole", () =>
    on(
      Effect.gen(function* () {
        const w = workflow(($) =>
          $.race(
            {
              a: $.signal("a", { name: "a", payload: Text }),
              b: $.approval("b", { request: { title: "B?" } }),
              c: $.signal("c", { name: "c", payload: Text }),
            },
            { id: "r1" },
          ),
        )
        const run = yield* w.start({}, { runId: "r" })
        yield* run.waiting
        yield* run.cancelNode("r1", { key: "a" })
        expect(yield* run.waiting).toMatchObject({ waits: [{ nodeId: "b" }, { nodeId: "c" }] })
        expect(yield* statusOf("r1[a]")).toMatchObject({ status: "cancelled", left: { trigger: "request" } })
        expect(yield* refused(run.cancelNode("r1", { key: "d" }))).toBe(
          'NodeNotFound: "r1" of run "r" has no branch or item "d". It has a, b, c.',
        )
        yield* run.signal("c", { payload: "won" })
        expect(yield* run.await).toEqual({ winner: "c", value: "won" })
        expect(yield* statusOf("r1")).toMatchObject({ status: "finished", winners: ["c"] })
        expect(yield* statusOf("r1[b]")).toMatchObject({ status: "cancelled", left: { trigger: "lost" } })
      }),
    ),
  )

  it.effect("items of a list are left by key: those at work, those that have not begun, and none that is over", () =>
    on(
      Effect.gen(function* () {
        const w = listed(["a", "b", "c", "d"], { maxConcurrency: 1 })
        const run = yield* w.start({}, { runId: "r" })
        yield* run.waiting
        yield* run.signal("go", { payload: "one" })
        yield* run.waiting
        expect(yield* refused(run.cancelNode("list", { key: "a" }))).toBe(
          'NodeEnded: "list[a]" of run "r" has ended as finished; there is nothing to leave.',
        )
        // One that has not begun, and then the one at work.
        yield* run.cancelNode("list", { key: "c" })
        yield* run.cancelNode("list", { key: "b" })
        yield* run.waiting
        yield* run.signal("go", { payload: "two" })
        expect(yield* run.await).toEqual([
          { key: "a", status: "finished", value: "one" },
          { key: "b", status: "cancelled" },
          { key: "c", status: "cancelled" },
          { key: "d", status: "finished", value: "two" },
        ])
        const began = (yield* (yield* Storage).inspect("r")).nodes.map(({ nodeId }) => nodeId)
        expect(began.filter((nodeId) => nodeId.startsWith("list[c]."))).toEqual([])
      }),
    ),
  )

  it.effect("in a loop the pass that it is in is left, and no other", () =>
    on(
      Effect.gen(function* () {
        const w = workflow(($) =>
          $.loop({
            id: "loop",
            body: $.scope({ id: "region", body: $.signal("go", { name: "go", payload: Text }) }),
            until: () => false,
            maxIterations: 3,
          }),
        )
        const run = yield* w.start({}, { runId: "r" })
        yield* run.waiting
        yield* run.signal("go", { payload: "one" })
        yield* run.waiting
        expect(yield* refused(run.cancelNode("region", { iteration: 0 }))).toContain("NodeEnded")
        expect(yield* refused(run.cancelNode("region", { iteration: 7 }))).toContain("has no iteration 7; it has 0, 1")
        yield* run.cancelNode("region")
        yield* run.waiting
        expect(yield* statusOf("region", 0)).toMatchObject({ status: "finished" })
        expect(yield* statusOf("region", 1)).toMatchObject({ status: "cancelled" })
        yield* run.cancel()
      }),
    ),
  )

  it.effect("a branch that is completed before its race begins wins without a value, and no other branch begins", () =>
    on(
      Effect.gen(function* () {
        const { done, step } = journal()
        const w = workflow(($) =>
          $.sequence(
            $.approval("first", { request: { title: "?" } }),
            $.race(
              { a: step($, "a"), b: step($, "b"), c: $.signal("c", { name: "c", payload: Text }), d: $.sequence(step($, "d")) },
              { id: "race" },
            ),
          ),
        )
        yield* w.run({}, { runId: "r" })
        yield* Commands.completeNode("r", "race", { key: "b", by: "ann" })
        // It is known by a frame of its own, and by another process.
        expect((yield* w.run({}, { runId: "r" })).status).toBe("waiting-approval")
        expect(yield* statusOf("race[b]")).toMatchObject({ status: "running", leaveRequest: { outcome: "completed", by: "ann" } })
        yield* Commands.approve("r", "first")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "finished", output: { winner: "b" } })
        expect(done).toEqual([])
        const { nodes } = yield* (yield* Storage).inspect("r")
        expect(nodes.map(({ nodeId, status }) => `${nodeId} ${status}`).sort()).toEqual([
          "first finished",
          "race finished",
          "race[b] completed",
        ])
      }),
    ),
  )

  it.effect("a branch that is cancelled before its race begins loses, and the others go on", () =>
    on(
      Effect.gen(function* () {
        const { done, step } = journal()
        const w = workflow(($) =>
          $.sequence(
            $.approval("first", { request: { title: "?" } }),
            $.race({ a: step($, "a"), b: step($, "b") }, { id: "race" }),
          ),
        )
        yield* w.run({}, { runId: "r" })
        yield* Commands.cancelNode("r", "race", { key: "a" })
        yield* Commands.approve("r", "first")
        expect(yield* w.execute({}, { runId: "r" })).toEqual({ winner: "b", value: "b" })
        expect(done).toEqual(["b"])
      }),
    ),
  )

  it.effect("a scope that is to be left, and that the run does not come to, is superseded once that is known", () =>
    on(
      Effect.gen(function* () {
        const { step } = journal()
        const never = ($: Builder, id: string) => $.scope({ id, body: step($, `in ${id}`) })
        const ask = ($: Builder, id: string) => $.approval(id, { request: { title: "?" } })
        const w = workflow(($) =>
          $.sequence(
            ask($, "first"),
            $.branch({ when: () => true, then: ask($, "second"), else: never($, "arm") }),
            $.tryCatch({
              id: "tried",
              try: $.sequence(step($, "fails", { fails: () => true }), never($, "after")),
              catch: ask($, "third"),
            }),
            $.loop({
              id: "loop",
              body: $.sequence(ask($, "pass"), $.branch({ when: () => false, then: never($, "in the loop") })),
              until: () => false,
              maxIterations: 2,
            }),
          ),
        )
        const asked = ["arm", "after", "in the loop"]
        const statuses = Effect.gen(function* () {
          const { nodes } = yield* (yield* Storage).inspect("r")
          return asked.map((id) =>
            nodes.filter(({ nodeId }) => nodeId === id).map(({ status, iteration }) => `${status} ${iteration}`),
          )
        })
        const run = yield* w.start({}, { runId: "r" })
        yield* run.waiting
        yield* run.completeNode("arm")
        yield* run.cancelNode("after")
        yield* rest
        expect(yield* statuses).toEqual([["running 0"], ["running 0"], []])
        yield* Commands.approve("r", "first")
        yield* rest
        // The other arm is taken, whatever that still waits for.
        expect(yield* statuses).toEqual([["superseded 0"], ["running 0"], []])
        yield* Commands.approve("r", "second")
        yield* rest
        // What comes after them goes on.
        expect(yield* statuses).toEqual([["superseded 0"], ["superseded 0"], []])
        expect(yield* refused(run.cancelNode("after"))).toContain("NodeEnded")
        yield* Commands.approve("r", "third")
        yield* rest
        yield* run.completeNode("in the loop")
        yield* rest
        yield* Commands.approve("r", "pass")
        yield* rest
        expect(yield* statuses).toEqual([["superseded 0"], ["superseded 0"], ["superseded 0"]])
        yield* run.cancelNode("in the loop")
        yield* rest
        yield* run.cancel()
        expect((yield* run.result).status).toBe("cancelled")
        expect(yield* statuses).toEqual([["superseded 0"], ["superseded 0"], ["superseded 0", "superseded 1"]])
      }),
    ),
  )

  it.effect("a run that fails supersedes what was to be left, and goes on as if that had not been asked", () =>
    on(
      Effect.gen(function* () {
        let isBroken = true
        const { done, step } = journal()
        const w = workflow(($) =>
          $.sequence(
            $.approval("first", { request: { title: "?" } }),
            step($, "fails", { fails: () => isBroken }),
            $.scope({ id: "region", body: step($, "in") }),
          ),
        )
        yield* w.run({}, { runId: "r" })
        yield* Commands.cancelNode("r", "region")
        yield* Commands.approve("r", "first")
        expect((yield* w.run({}, { runId: "r" })).status).toBe("failed")
        expect(yield* statusOf("region")).toMatchObject({ status: "superseded" })
        isBroken = false
        expect((yield* w.run({}, { runId: "r", onFailed: "resume" })).status).toBe("finished")
        expect(done).toEqual(["fails", "fails", "in"])
        expect(yield* statusOf("region")).toMatchObject({ status: "finished" })
      }),
    ),
  )

  it.effect("sagas, tries and scopes inside a scope that is left have not failed, and are done whole where it begins again", () =>
    on(
      Effect.gen(function* () {
        const { done, step, undoable } = journal()
        const w = workflow(($) =>
          $.sequence(
            $.scope({
              id: "region",
              body: $.saga(
                undoable($, "book"),
                $.tryCatch({
                  id: "tried",
                  try: $.scope({ id: "inner", body: $.approval("ask", { request: { title: "?" } }) }),
                  catch: step($, "caught"),
                  finally: step($, "clean"),
                }),
                { id: "saga" },
              ),
            }),
            $.approval("then", { request: { title: "?" } }),
          ),
        )
        const inside = Effect.gen(function* () {
          const found = yield* Effect.forEach(["region", "saga", "tried", "inner", "ask"], (id) => statusOf(id))
          return found.map((node) => node?.status)
        })
        const run = yield* w.start({}, { runId: "r" })
        yield* run.waiting
        yield* run.cancelNode("region")
        yield* run.waiting
        expect(done).toEqual(["book", "clean", "undo book 0"])
        expect(yield* inside).toEqual(["cancelled", "cancelled", "cancelled", "cancelled", "superseded"])
        yield* Commands.retryNode("r", "region")
        yield* rest
        yield* Commands.approve("r", "ask")
        yield* rest
        expect(done).toEqual(["book", "clean", "undo book 0", "book", "clean"])
        expect(yield* inside).toEqual(["finished", "finished", "finished", "finished", "finished"])
        yield* run.cancel()
      }),
    ),
  )

  it.effect("what a scope held whose time was over is done whole once the run that failed by it is resumed", () =>
    on(
      Effect.gen(function* () {
        const { done, step } = journal()
        const w = workflow(($) =>
          $.scope({
            id: "region",
            timeout: "1 hour",
            body: $.tryCatch({
              id: "tried",
              try: $.sequence(step($, "in"), $.approval("ask", { request: { title: "?" } })),
              finally: step($, "clean"),
            }),
          }),
        )
        yield* w.run({}, { runId: "r" })
        yield* TestClock.adjust("2 hours")
        expect((yield* w.run({}, { runId: "r" })).status).toBe("failed")
        expect(yield* statusOf("tried")).toMatchObject({ status: "cancelled" })
        expect(done).toEqual(["in", "clean"])
        expect((yield* w.run({}, { runId: "r", onFailed: "resume" })).status).toBe("waiting-approval")
        yield* Commands.approve("r", "ask")
        expect((yield* w.run({}, { runId: "r" })).status).toBe("finished")
        expect(done).toEqual(["in", "clean", "clean"])
        expect(yield* statusOf("tried")).toMatchObject({ status: "finished" })
      }),
    ),
  )

  it.effect("a race that is decided begins again as a whole, by itself, by its winner and by a loser", () =>
    on(
      Effect.gen(function* () {
        const { done, step } = journal()
        const won: Array<string> = []
        const w = workflow(($) => {
          const race = $.race(
            {
              a: $.sequence(step($, "early"), $.signal("a", { name: "a", payload: Text })),
              b: $.signal("b", { name: "b", payload: Text }),
            },
            { id: "race" },
          )
          return $.sequence(
            race,
            $.step("after", { needs: { race }, output: Text, run: ({ race }) => `${won.push(race.value)}` }),
            $.approval("then", { request: { title: "?" } }),
          )
        })
        const run = yield* w.start({}, { runId: "r" })
        yield* run.waiting
        yield* run.signal("b", { payload: "one" })
        yield* run.waiting
        for (const [node, name] of [
          ["race", "a"],
          ["a", "b"],
          ["early", "a"],
          ["b", "b"],
        ] as const) {
          yield* Commands.retryNode("r", node)
          yield* rest
          expect(yield* run.waiting).toMatchObject({ waits: [{ nodeId: "a" }, { nodeId: "b" }] })
          yield* run.signal(name, { payload: `${node} again` })
          expect(yield* run.waiting).toMatchObject({ waits: [{ nodeId: "then" }] })
          expect(yield* statusOf("race")).toMatchObject({ status: "finished", winners: [name] })
        }
        expect(won).toEqual(["one", "race again", "a again", "early again", "b again"])
        expect(done.filter((id) => id === "early")).toHaveLength(5)
        yield* run.cancel()
      }),
    ),
  )

  it.effect("a branch that failed runs again by itself in a race that is not decided", () =>
    on(
      Effect.gen(function* () {
        let isBroken = true
        const { done, step } = journal()
        const w = workflow(($) =>
          $.race(
            {
              a: step($, "a", { fails: () => isBroken }),
              b: $.sequence(step($, "b"), $.signal("s", { name: "s", payload: Text })),
            },
            { id: "race", onFailure: "ignore" },
          ),
        )
        const run = yield* w.start({}, { runId: "r" })
        yield* run.waiting
        isBroken = false
        yield* Commands.retryNode("r", "a")
        expect(yield* run.await).toEqual({ winner: "a", value: "a" })
        expect(done).toEqual(["a", "b", "a"])
      }),
    ),
  )

  it.effect("a cancellation reaches what goes on beside what is over, also when that was the last of the run", () =>
    on(
      Effect.gen(function* () {
        const { done, undoable } = journal()
        const w = workflow(($) =>
          $.race(
            {
              a: $.step("a", { output: Text, run: () => "a" }),
              b: $.step("b", { output: Text, run: () => Effect.as(Effect.sleep("1 hour"), "b") }),
              c: $.saga(undoable($, "book"), $.signal("c", { name: "c", payload: Text })),
            },
            { id: "race", rest: "keep" },
          ),
        )
        for (const runId of ["r", "again"]) {
          const run = yield* w.start({}, { runId })
          yield* rest
          // Told in this process, or known by the one that takes the run up.
          if (runId === "again") yield* Commands.pause(runId)
          const cancelling = yield* Effect.fork(run.cancel())
          yield* TestClock.adjust("1 second")
          expect((yield* run.result).status).toBe("cancelled")
          yield* Fiber.join(cancelling)
          const waits = yield* (yield* Storage).waits({ runId })
          expect(waits).toEqual([])
        }
        expect(done).toEqual(["book", "undo book 0", "book", "undo book 0"])
      }),
    ),
  )

  it.effect("what cannot be left says so, and what can", () =>
    on(
      Effect.gen(function* () {
        const { step } = journal()
        const w = workflow(($) =>
          $.sequence(
            $.scope({ id: "region", timeout: "1 hour", body: step($, "in") }),
            $.scope({ id: "other", body: $.approval("ask", { request: { title: "?" } }) }),
            step($, "out"),
          ),
        )
        const run = yield* w.start({}, { runId: "r" })
        yield* run.waiting
        expect(yield* refused(run.cancelNode("regoin"))).toBe(
          'NodeNotFound: The plan of run "r" has no node "regoin". What can be left: region, other.',
        )
        expect(yield* refused(run.cancelNode("out"))).toBe(
          'InvalidCommand: The command for run "r" is not valid: "out" is a step, and only a scope, a race, a list, or a part of one can be left: put it into a scope.',
        )
        expect(yield* refused(run.cancelNode("ask"))).toContain('"ask" is an approval, and only a scope')
        expect(yield* refused(run.cancelNode("other", { key: "x" }))).toContain(
          '"other" is neither a race nor a list, and has no part "x"',
        )
        expect(yield* refused(run.cancelNode("region"))).toBe(
          'NodeEnded: "region" of run "r" has ended as finished; there is nothing to leave.',
        )
        expect(yield* refused(Commands.cancelNode("no", "region"))).toContain("RunNotFound")
        yield* Commands.approve("r", "ask")
        yield* run.await
        expect(yield* refused(run.cancelNode("other"))).toContain("RunEnded")
      }),
    ),
  )

  it.effect("a scope that was left is left once more when it was begun again", () =>
    on(
      Effect.gen(function* () {
        const region = ($: Builder) => $.scope({ id: "region", body: $.approval("ask", { request: { title: "?" } }) })
        const w = workflow(($) => $.sequence(region($), $.approval("then", { request: { title: "Then?" } })))
        const run = yield* w.start({}, { runId: "r" })
        yield* run.waiting
        yield* run.cancelNode("region")
        expect(yield* run.waiting).toMatchObject({ waits: [{ nodeId: "then" }] })
        yield* Commands.retryNode("r", "region")
        yield* rest
        expect(yield* run.waiting).toMatchObject({ waits: [{ nodeId: "ask" }] })
        yield* run.completeNode("region")
        expect(yield* run.waiting).toMatchObject({ waits: [{ nodeId: "then" }] })
        expect(yield* statusOf("region")).toMatchObject({ status: "completed" })
        yield* run.cancel()
      }),
    ),
  )
})

it.live("a run whose process dies at any commit leaves the same scope, race and item", () =>
  Effect.gen(function* () {
    const never = ($: Builder) => $.scope({ id: "never", body: $.step("no", { output: Text, run: () => "no" }) })
    const w = workflow(($) =>
      $.sequence(
        $.scope({
          id: "region",
          body: $.tryCatch({
            id: "tried",
            try: $.sequence($.step("in", { output: Text, run: () => "in" }), $.approval("ask", { request: { title: "?" } })),
            finally: $.step("clean", { output: Text, run: () => "clean" }),
          }),
        }),
        $.race({ a: $.signal("a", { name: "a", payload: Text }), b: $.signal("b", { name: "b", payload: Text }) }, { id: "race" }),
        $.branch({ when: () => true, then: $.step("after", { output: Text, run: () => "after" }), else: never($) }),
      ),
    )
    const { calm, disturbed } = yield* sweep({
      run: w.run({}, { runId }),
      act: (storage) =>
        Effect.gen(function* () {
          yield* Effect.ignore(Commands.completeNode(runId, "never"))
          yield* Effect.ignore(Commands.cancelNode(runId, "region"))
          yield* Effect.ignore(Commands.cancelNode(runId, "race", { key: "a" }))
          yield* Effect.ignore(Commands.signal(runId, "b", { payload: "won", id: "once" }))
        }).pipe(Effect.provide(ports(storage))),
    })
    expect(calm.result).toMatchObject({ status: "finished", output: "after" })
    expect(calm.rows.map(([key, status]) => `${key} ${status}`)).toEqual([
      "after/0 finished",
      "ask/0 superseded",
      "b/0 finished",
      "clean/0 finished",
      "in/0 finished",
      "never/0 superseded",
      "race/0 finished",
      "race[a]/0 cancelled",
      "region/0 cancelled",
      "tried/0 cancelled",
    ])
    expect(disturbed.length).toBeGreaterThan(6)
    for (const { at, end } of disturbed) expect({ at, end }).toEqual({ at, end: calm })
  }),
)
