/**
 * What every store must do, as one suite over any layer of `Storage`. Each case gets a store of its own.
 */
import { expect, it } from "@effect/vitest"
import type { Json } from "@smithers/core/Codec"
import { RunEnded, RunFenced, RunNotFound, StepFailed } from "@smithers/core/Errors"
import type { Command, InboxMessage, Response } from "@smithers/core/Inbox"
import type { FactFilter } from "@smithers/core/Memory"
import * as Millis from "@smithers/core/Millis"
import type { RunEvent } from "@smithers/core/RunEvent"
import { type RunFilter, RunSummary } from "@smithers/core/RunReader"
import * as RunState from "@smithers/core/RunState"
import * as Status from "@smithers/core/Status"
import { type Ports, Storage } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import * as History from "./History.ts"

/** Cases that a store does not pass, and why that is right. */
export interface Skip {
  readonly reason: string
  readonly cases: ReadonlyArray<string>
}

const { journal, later, leaseMs, newRun, plain, start, started, step } = History

const request = { create: undefined, reopen: [], leaseMs, now: start } as const

/** Checks that two states are the same to the last key, also where that is `__proto__`, which matchers pass over. */
export const expectSame = (actual: RunState.RunState, expected: RunState.RunState): void =>
  expect(spell(plain(actual))).toStrictEqual(spell(plain(expected)))

const spell = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(spell)
  if (typeof value !== "object" || value === null || value instanceof Error) return value
  return new Map(Object.entries(value).map(([key, item]) => [key, spell(item)]))
}

/** Declares the suite for a store. */
export const suite = (name: string, layer: Layer.Layer<Ports, unknown>, skip: ReadonlyArray<Skip> = []): void => {
  const reasons = new Map(skip.flatMap(({ cases, reason }) => cases.map((title) => [title, reason])))
  const holds = (title: string, body: (storage: Storage["Type"]) => Effect.Effect<void, unknown, Storage>) => {
    const reason = reasons.get(title)
    reasons.delete(title)
    const test = reason === undefined ? it.effect : it.effect.skip
    test(reason === undefined ? title : `${title} (skipped: ${reason})`, () => Effect.provide(Effect.flatMap(Storage, body), layer))
  }

  describe(`${name}: claims`, () => {
    holds("a new run belongs to its creator until the lease ends", (storage) =>
      Effect.gen(function* () {
        const create = { ...request, runId: "r", create: newRun }
        expect(yield* storage.open(create)).toEqual({ _tag: "Created", epoch: 1 })
        expect(yield* storage.open({ ...create, now: later(leaseMs - 1) })).toEqual({ _tag: "Owned", until: later(leaseMs) })
        expect(yield* storage.open({ ...create, now: later(leaseMs) })).toEqual({ _tag: "Claimed", epoch: 2 })
      }),
    )

    holds("a run that nobody has created is not found", (storage) =>
      Effect.gen(function* () {
        const missing = new RunNotFound({ runId: "r" })
        expect(yield* Effect.flip(storage.open({ ...request, runId: "r" }))).toEqual(missing)
        expect(yield* Effect.flip(storage.load("r"))).toEqual(missing)
        expect(yield* Effect.flip(storage.inspect("r"))).toEqual(missing)
        expect(yield* Effect.flip(storage.run("r"))).toEqual(missing)
        expect(yield* storage.wait({ runId: "r", nodeId: "a", kind: "approval" })).toBe(undefined)
        expect(yield* Effect.flip(storage.events("r"))).toEqual(missing)
        expect(yield* Effect.flip(storage.deliver(cancel("c", "r")))).toEqual(missing)
      }),
    )

    holds("an id taken by another input or another workflow is a mismatch, and its run stays as it was", (storage) =>
      Effect.gen(function* () {
        const input = { a: 1, b: [{ c: null, d: "x" }] }
        yield* storage.open({ ...request, runId: "r", create: { ...newRun, input } })
        const again = (create: Partial<typeof newRun>) =>
          storage.open({ ...request, runId: "r", create: { ...newRun, input, ...create }, now: later(leaseMs) })
        const mismatch = { _tag: "Mismatch", workflow: "flow" }
        expect(yield* again({ workflow: "other" })).toEqual(mismatch)
        expect(yield* again({ input: { a: 1 } })).toEqual(mismatch)
        expect(yield* again({ input: undefined })).toEqual(mismatch)
        expect((yield* storage.inspect("r")).run.epoch).toBe(1)
        expect(yield* again({ input: { b: [{ d: "x", c: null }], a: 1 } })).toEqual({ _tag: "Claimed", epoch: 2 })
      }),
    )

    holds("what the caller gave is kept, and the same again is no mismatch, whatever the input is then", (storage) =>
      Effect.gen(function* () {
        expect(yield* storage.origin("r")).toBe(undefined)
        yield* storage.open({ ...request, runId: "r", create: { ...newRun, input: { a: 1 }, inputDigest: "one" } })
        expect(yield* storage.origin("r")).toEqual({ workflow: "flow", status: "running", input: { a: 1 }, inputDigest: "one" })
        const again = (given: string | undefined, input: number) =>
          storage.open({
            ...request,
            runId: "r",
            create: { ...newRun, input: { a: input }, inputDigest: given },
            now: later(leaseMs),
          })
        expect(yield* again("other", 2)).toEqual({ _tag: "Mismatch", workflow: "flow" })
        expect(yield* again(undefined, 2)).toEqual({ _tag: "Mismatch", workflow: "flow" })
        expect(yield* again("one", 2)).toEqual({ _tag: "Claimed", epoch: 2 })
        yield* storage.open({ ...request, runId: "none", create: { ...newRun, input: 1 } })
        expect((yield* storage.origin("none"))?.inputDigest).toBe(undefined)
        expect(yield* storage.open({ ...request, runId: "none", create: { ...newRun, input: 2 } })).toMatchObject({
          _tag: "Mismatch",
        })
      }),
    )

    holds("what could not be listed is not written, and takes nothing from the lists", (storage) =>
      Effect.gen(function* () {
        const wrong = [
          { tags: [42] },
          { tags: "abc" },
          { tags: null },
          { workflow: undefined },
          { version: 2 },
          { source: {} },
          { parent: { runId: "p", nodeId: 1, iteration: 0, isAttached: true } },
        ] as unknown as ReadonlyArray<Partial<typeof newRun>>
        for (const fields of wrong) {
          const create = { ...newRun, ...fields }
          expect((yield* Effect.flip(storage.open({ ...request, runId: "r", create })))._tag).toBe("StoreRefused")
          expect((yield* Effect.flip(storage.deliverOrCreate(cancel("c", "r"), create)))._tag).toBe("StoreRefused")
        }
        yield* storage.open({ ...request, runId: "good", create: { ...newRun, tags: ["a"], version: "1", source: "w.ts" } })
        const runs = yield* storage.runs({})
        expect(runs.map(({ runId }) => runId)).toEqual(["good"])
        Schema.encodeUnknownSync(Schema.Array(RunSummary))(runs)
      }),
    )

    holds("no input and the input null are different", (storage) =>
      Effect.gen(function* () {
        yield* storage.open({ ...request, runId: "none", create: { ...newRun, input: undefined } })
        yield* storage.open({ ...request, runId: "null", create: { ...newRun, input: null } })
        const open = (runId: string, input: null | undefined) => storage.open({ ...request, runId, create: { ...newRun, input } })
        expect((yield* open("none", null))._tag).toBe("Mismatch")
        expect((yield* open("none", undefined))._tag).toBe("Owned")
        expect((yield* open("null", undefined))._tag).toBe("Mismatch")
        expect((yield* storage.inspect("none")).input).toBe(undefined)
        expect((yield* storage.inspect("null")).input).toBe(null)
      }),
    )

    holds("what was claimed under an earlier epoch can no longer be written", (storage) =>
      Effect.gen(function* () {
        const mine = yield* journal("r")
        yield* mine.commit([started])
        const fenced = new RunFenced({ runId: "r", epoch: 1 })
        expect(yield* storage.open({ ...request, runId: "r", now: later(leaseMs) })).toEqual({ _tag: "Claimed", epoch: 2 })
        expect(yield* Effect.flip(mine.commit([{ _tag: "CancelRequested" }]))).toEqual(fenced)
        const beat = { runId: "r", epoch: 1, nodeId: "a", iteration: 0, attempt: 1, at: start, details: 1 }
        expect(yield* Effect.flip(storage.heartbeat(beat))).toEqual(fenced)
        expect(yield* storage.renew([{ runId: "r", epoch: 1 }], later(2 * leaseMs))).toEqual(["r"])
        yield* storage.release("r", 1, later(leaseMs))
        const { run } = yield* storage.inspect("r")
        expect([run.status, run.epoch, run.leaseUntil]).toEqual(["running", 2, later(2 * leaseMs)])
        expectSame(yield* storage.load("r"), mine.state())
      }),
    )

    holds("a frame with a time that is no whole millisecond is refused, and nothing of it is kept", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        yield* run.commit([started])
        // The types rule it out.
        const odd = (time: number) => time as Millis.Millis
        const node = { nodeId: "t", iteration: 0 } as const
        const before = yield* storage.load("r")
        const failed = { _tag: "AttemptFailed", ...node, attempt: 1, error: { name: "E", message: "", retryable: true } } as const
        for (const time of [0.5, 1e300, Number.POSITIVE_INFINITY]) {
          expect(yield* Effect.flip(run.commit([], { at: odd(time) }))).toMatchObject({ _tag: "StoreFailed" })
          const frames = [
            run.commit([{ _tag: "WaitStarted", ...node, kind: "timer", deadline: odd(time) }]),
            run.commit([
              { _tag: "AttemptStarted", ...node, attempt: 1 },
              { ...failed, retryAt: odd(time) },
            ]),
          ]
          for (const [event, frame] of frames.entries())
            expect(yield* Effect.flip(frame)).toMatchObject({ _tag: "StoreRefused", event })
        }
        expectSame(yield* storage.load("r"), before)
      }),
    )

    holds("renewing extends the lease, and only lost runs are lost", (storage) =>
      Effect.gen(function* () {
        yield* journal("open")
        const ended = yield* journal("ended")
        yield* ended.commit([started, { _tag: "RunFinished" }])
        const claims = ["open", "ended", "missing"].map((runId) => ({ runId, epoch: 1 }))
        expect(yield* storage.renew(claims, later(10 * leaseMs))).toEqual(["missing"])
        const opened = yield* storage.open({ ...request, runId: "open", now: later(9 * leaseMs) })
        expect(opened).toEqual({ _tag: "Owned", until: later(10 * leaseMs) })
        expect((yield* storage.inspect("ended")).run.leaseUntil).toBe(null)
      }),
    )

    holds("renewing a hundred leases tells of each that was lost", (storage) =>
      Effect.gen(function* () {
        const runIds = Array.from({ length: 100 }, (_, index) => `r${index}`)
        for (const runId of runIds) yield* journal(runId)
        yield* storage.release("r7", 1, start)
        yield* storage.release("r8", 1, start)
        yield* storage.open({ ...request, runId: "r8" })
        const claims = [...runIds, "missing"].map((runId) => ({ runId, epoch: 1 }))
        expect(yield* storage.renew(claims, later(10 * leaseMs))).toEqual(["r8", "missing"])
        const opened = yield* storage.open({ ...request, runId: "r50", now: later(9 * leaseMs) })
        expect(opened).toEqual({ _tag: "Owned", until: later(10 * leaseMs) })
        expect((yield* storage.inspect("r7")).run.leaseUntil).toBe(null)
      }),
    )

    holds("a released run is suspended and free", (storage) =>
      Effect.gen(function* () {
        const mine = yield* journal("r")
        yield* mine.commit([started])
        yield* storage.release("r", 1, later(5000))
        const { run } = yield* storage.inspect("r")
        expect(run).toMatchObject({ status: "suspended", owner: null, leaseUntil: null, updatedAt: later(5000) })
        expect((yield* storage.load("r")).status).toBe("suspended")
        expect(yield* Effect.flip(mine.commit([{ _tag: "CancelRequested" }]))).toBeInstanceOf(RunFenced)
        expect(yield* storage.open({ ...request, runId: "r" })).toEqual({ _tag: "Claimed", epoch: 2 })
      }),
    )

    holds("a finished run is never claimed, another ended one only to reopen it", (storage) =>
      Effect.gen(function* () {
        const ends: ReadonlyArray<RunEvent> = [
          { _tag: "RunFinished", output: 1 },
          { _tag: "RunFailed", failure: History.failure },
          { _tag: "RunCancelled", reason: "enough" },
        ]
        let endedAt = 0
        for (const end of ends) {
          const run = yield* journal(end._tag)
          yield* run.commit([started, end])
          endedAt = run.now()
        }
        const open = (runId: string, reopen: ReadonlyArray<"failed" | "cancelled">) =>
          Effect.map(storage.open({ ...request, runId, reopen }), ({ _tag }) => _tag)
        for (const { _tag } of ends) expect(yield* open(_tag, [])).toBe("Ended")
        expect(yield* open("RunFinished", ["failed", "cancelled"])).toBe("Ended")
        expect(yield* open("RunFailed", ["cancelled"])).toBe("Ended")
        expect(yield* open("RunCancelled", ["failed"])).toBe("Ended")
        expect(yield* open("RunFailed", ["failed"])).toBe("Claimed")
        expect(yield* open("RunCancelled", ["failed", "cancelled"])).toBe("Claimed")
        // How and when they ended stays to be read until their owner says otherwise.
        expect((yield* storage.inspect("RunFailed")).run).toMatchObject({ status: "running", finishedAt: endedAt })
        expect((yield* storage.load("RunFailed")).status).toBe("failed")
        expect((yield* storage.load("RunCancelled")).status).toBe("cancelled")
        // Who waits for them waits for what comes of that, and takes it over where it was cut short.
        expect(yield* open("RunCancelled", [])).toBe("Owned")
        const late = yield* storage.open({ ...request, runId: "RunCancelled", now: later(leaseMs) })
        expect(late).toEqual({ _tag: "Claimed", epoch: 3 })
        yield* storage.release("RunFailed", 2, start)
        expect((yield* storage.load("RunFailed")).status).toBe("failed")
      }),
    )
  })

  describe(`${name}: frames`, () => {
    holds("generations of the code are kept with the frame that begins them, and on the attempts that ran them", (storage) =>
      Effect.gen(function* () {
        yield* storage.prepareOutputs("flow", History.tables)
        const run = yield* journal("r")
        const place = { nodeId: "a", iteration: 0, attempt: 1 }
        const code = { hash: "abc", files: ["flow.ts", "prompt ü.md"] }
        expect(yield* storage.generations("r")).toEqual([])
        yield* run.commit([started, { _tag: "AttemptStarted", ...place }], { generation: { generation: 0, code } })
        yield* run.commit([
          { _tag: "AttemptFailed", ...place, error: { name: "Error", message: "no", retryable: true }, retryAt: later(5000) },
        ])
        const reloaded = { _tag: "CodeReloaded", codeGeneration: 1, kept: 0, added: 0, removed: 0 } as const
        yield* run.commit([reloaded, { _tag: "AttemptStarted", ...place, attempt: 2, codeGeneration: 1 }], {
          generation: { generation: 1, code: null },
        })
        const running = yield* storage.inspect("r")
        expect(running.attempts.map(({ codeGeneration }) => codeGeneration)).toEqual([undefined, 1])
        yield* run.commit([{ _tag: "AttemptSucceeded", ...place, attempt: 2 }])
        const { attempts, generations } = yield* storage.inspect("r")
        expect(attempts.map(({ codeGeneration }) => codeGeneration)).toEqual([undefined, 1])
        expect(generations).toEqual([
          { generation: 0, code, at: later(1000) },
          { generation: 1, code: null, at: later(3000) },
        ])
        expect(yield* storage.generations("r")).toEqual(generations)
      }),
    )

    it.effect.prop(
      "the state that is loaded is the fold of the events, whatever happened",
      { before: History.choices, end: FastCheck.nat(4), after: History.choices },
      ({ before, end, after }) =>
        Effect.gen(function* () {
          const storage = yield* Storage
          yield* storage.prepareOutputs("flow", History.tables)
          const run = yield* journal("r")
          yield* run.commit([started])
          /** The state as it was loaded after each frame. */
          const past: Array<RunState.RunState> = []
          const check = Effect.map(storage.load("r"), (loaded) => {
            expectSame(loaded, run.state())
            past.push(loaded)
          })
          // What people are shown is what the run waits for.
          const checkWaits = Effect.gen(function* () {
            const open = yield* storage.waits({ runId: "r", limit: 1000 })
            const shown = open.map(({ nodeId, iteration, kind, deadline }) => [
              nodeId,
              iteration,
              kind === "retry" ? deadline : "waits",
            ])
            const kept = RunState.pending(run.state()).map(({ nodeId, iteration, status, retryAt }) => [
              nodeId,
              iteration,
              status === "retrying" ? retryAt : "waits",
            ])
            expect(shown.map(String).sort()).toEqual(kept.map(String).sort())
          })
          const live = (choices: ReadonlyArray<History.Choice>) =>
            Effect.forEach(cut(choices), (frame) => {
              let state = run.state()
              const events = frame.map((choice) => {
                const event = History.happen(state, choice, run.now())
                state = RunState.apply(state, event, Millis.make(run.now() + 1000))
                return event
              })
              return Effect.flatMap(run.commit(events), () => check)
            })
          yield* live(before)
          yield* checkWaits
          if (end === 0) yield* run.commit([{ _tag: "RunFailed", failure: History.failure }])
          if (end === 1)
            yield* run.commit([
              { _tag: "CancelRequested", reason: "'\ud800" },
              { _tag: "RunCancelled", reason: "'\ud800" },
            ])
          if (end === 2) yield* run.commit([{ _tag: "CancelRequested" }])
          yield* check
          yield* run.claim(["failed", "cancelled"])
          yield* run.commit([{ _tag: "RunResumed", epoch: 2, kept: 1, added: 0, removed: 0 }])
          yield* live(after)
          yield* checkWaits
          yield* run.commit([{ _tag: "RunFinished", ...(end === 3 ? { output: { a: [null, "\0"] } } : {}) }])
          yield* check
          yield* checkWaits
          for (const state of past) {
            expectSame(yield* storage.load("r", { frame: state.frame }), state)
            expectSame(yield* storage.load("r", { seq: state.seq }), state)
          }
        }).pipe(Effect.provide(layer)),
      { fastCheck: { numRuns: 100, seed: 20_260_101 } },
    )

    it.effect.prop(
      "an earlier state is what was loaded then, with heartbeats, a deadline, and frames without events",
      { choices: History.choices, rolls: FastCheck.array(FastCheck.nat(9), { minLength: 60, maxLength: 60 }) },
      ({ choices, rolls }) =>
        Effect.gen(function* () {
          const storage = yield* Storage
          yield* storage.prepareOutputs("flow", History.tables)
          const run = yield* journal("r", { ...newRun, deadline: later(90_000) })
          const past: Array<RunState.RunState> = []
          const note = Effect.map(storage.load("r"), (state) => void past.push(state))
          // The first event of a run with a deadline tells it.
          yield* run.commit([started, { _tag: "DeadlineSet", deadline: later(90_000) }])
          for (const [index, frame] of cut(choices).entries()) {
            const running = RunState.records(run.state()).filter(({ status }) => status === "running")
            const beating = running.find(({ kind }) => kind === "step")
            // Heartbeats come between frames, so the state of a frame is loaded right after it.
            yield* note
            if (beating?.kind === "step" && (rolls[index] ?? 0) > 3) {
              const { nodeId, iteration, attempt } = beating
              yield* storage.heartbeat({ runId: "r", epoch: 1, nodeId, iteration, attempt, at: run.now(), details: { index } })
            }
            if (rolls[index] === 1) {
              yield* run.commit([])
              yield* note
            }
            if (rolls[index] === 2) yield* run.commit([{ _tag: "DeadlineSet", deadline: later(90_000 + index) }])
            let state = run.state()
            const events = frame.map((choice) => {
              const event = History.happen(state, choice, run.now())
              state = RunState.apply(state, event, Millis.make(run.now() + 1000))
              return event
            })
            yield* run.commit(events)
          }
          yield* note
          for (const state of past) expectSame(yield* storage.load("r", { frame: state.frame }), state)
        }).pipe(Effect.provide(layer)),
      { fastCheck: { numRuns: 40, seed: 20_260_101 } },
    )

    it.effect.prop(
      "an output is read back as it was given, whatever its JSON Schema says",
      { outputs: FastCheck.array(History.output, { minLength: 1, maxLength: 20 }) },
      ({ outputs }) =>
        Effect.gen(function* () {
          const storage = yield* Storage
          yield* storage.prepareOutputs("flow", History.tables)
          const run = yield* journal("r")
          yield* run.commit([started])
          const all = outputs.flatMap((output, index) => History.tables.map(({ name }) => step(`${name}.${index}`, name, output)))
          yield* run.commit(all.flat())
          expectSame(yield* storage.load("r"), run.state())
        }).pipe(Effect.provide(layer)),
      { fastCheck: { numRuns: 50, seed: 20_260_101 } },
    )

    holds("a frame that does not follow the last one is refused and changes nothing", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        yield* run.commit([started])
        const before = plain(run.state())
        expect((yield* Effect.flip(run.commit([{ _tag: "CancelRequested" }], { frame: 1 })))._tag).toBe("StoreFailed")
        expect((yield* Effect.flip(run.commit([{ _tag: "CancelRequested" }], { firstSeq: 1 })))._tag).toBe("StoreFailed")
        expect(plain(yield* storage.load("r"))).toStrictEqual(before)
        expect(yield* storage.events("r")).toHaveLength(1)
      }),
    )

    holds("an earlier state has the heartbeats that had come by then", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        const at = { nodeId: "a", iteration: 0, attempt: 1 }
        yield* run.commit([started, { _tag: "AttemptStarted", ...at }])
        const past = [yield* storage.load("r")]
        for (const details of ["one", "two"]) {
          yield* storage.heartbeat({ ...at, runId: "r", epoch: 1, at: run.now(), details: `${details}, early` })
          yield* storage.heartbeat({ ...at, runId: "r", epoch: 1, at: run.now(), details })
          yield* run.commit([{ _tag: "CancelRequested" }])
          past.push(yield* storage.load("r"))
        }
        yield* run.commit([{ _tag: "AttemptInterrupted", ...at, reason: "crash", heartbeat: "three" }])
        past.push(yield* storage.load("r"))
        const heard = past.map((state) => RunState.step(state, "a", 0)?.heartbeat)
        expect(heard).toEqual([undefined, "one", "two", "three"])
        for (const state of past) expectSame(yield* storage.load("r", { frame: state.frame }), state)
      }),
    )

    holds("a run that got no frame before its process died loads with what it was created from", (storage) =>
      Effect.gen(function* () {
        yield* journal("r")
        const { workflow, version, input, status, frame, seq } = yield* storage.load("r")
        expect({ workflow, version, input, status, frame, seq }).toEqual({
          ...{ workflow: "flow", version: "1", input: newRun.input },
          ...{ status: "running", frame: 0, seq: 0 },
        })
      }),
    )

    holds("the last frame gives up the claim", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        yield* run.commit([started, { _tag: "RunFinished", output: "done" }])
        const details = yield* storage.inspect("r")
        expect(details.run).toMatchObject({ status: "finished", owner: null, leaseUntil: null, finishedAt: run.now() })
        expect(details.output).toBe("done")
        expect(yield* Effect.flip(run.commit([{ _tag: "CancelRequested" }]))).toBeInstanceOf(RunFenced)
      }),
    )

    holds("heartbeat details reach the next attempt, also when the process dies", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        const at = { nodeId: "a", iteration: 0, attempt: 1 }
        yield* run.commit([started, { _tag: "AttemptStarted", ...at }])
        const beat = { runId: "r", epoch: 1, ...at, at: later(7), details: { page: 3 } }
        yield* storage.heartbeat({ ...beat, details: { page: 2 } })
        yield* storage.heartbeat(beat)
        yield* storage.heartbeat({ ...beat, attempt: 2, details: "of no attempt" })
        expect(plain(yield* storage.load("r")).nodes["a/0"]).toMatchObject({ status: "running", heartbeat: { page: 3 } })
        const { attempts } = yield* storage.inspect("r")
        expect(attempts).toMatchObject([{ status: "running", heartbeat: { page: 3 }, heartbeatAt: later(7) }])
        yield* run.commit([{ _tag: "AttemptInterrupted", ...at, reason: "crash" }])
        yield* storage.heartbeat({ ...beat, details: "too late" })
        expect(plain(yield* storage.load("r")).nodes["a/0"]).toMatchObject({ interruptions: 1, heartbeat: { page: 3 } })
      }),
    )

    holds("conversations are stored by the running attempt under the current claim, and read back in order", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        const at = { nodeId: "a", iteration: 0, attempt: 1 }
        yield* run.commit([started, { _tag: "AttemptStarted", ...at }])
        const place = { nodeId: "a", iteration: 0, conversation: 1 }
        const conversation = { ...place, attempt: 1, agent: "ann", status: "open", requestDigest: "d", startedAt: 5 } as const
        const entry = { ...place, seq: 1, attempt: 1, at: 5, kind: "prompt", text: "Do it. \u{1F600}" } as const
        const reply = { ...entry, seq: 2, kind: "reply", text: "{}", model: "m", inputTokens: 3, outputTokens: 0 } as const
        const call = {
          ...place,
          ...{ ordinal: 1, index: 0, callId: "c", tool: "t", isReadOnly: false, attempt: 1, status: "started" as const },
          ...{ input: "{}", digest: "e", startedAt: 6, snapshot: { size: 1 } },
        } as const
        const write = { runId: "r", epoch: 1, ...at }
        yield* storage.record({ ...write, conversations: [conversation], entries: [entry] })
        yield* storage.record({ ...write, entries: [reply], calls: [call] })
        const done = { ...call, status: "finished", output: "1", seen: { "a.txt": "h" }, by: "bob", note: "", endedAt: 7 } as const
        const closed = {
          ...conversation,
          ...{ status: "failed" as const, workspace: { root: "/" }, session: { id: "s", totals: { cost: 0.5 } } },
          ...{ failure: { reason: "no" }, endedAt: 8 },
        } as const
        yield* storage.record({ ...write, conversations: [closed], calls: [done] })
        const recorded = { ...closed, entries: [entry, reply], calls: [done], isCurrent: true }
        expect(yield* storage.conversations({ runId: "r" })).toEqual([recorded])
        expect(yield* storage.conversations({ runId: "r", nodeId: "b" })).toEqual([])
        expect(yield* storage.conversations({ runId: "r", nodeId: "a", iteration: 1 })).toEqual([])
        expect(yield* storage.conversations({ runId: "none" })).toEqual([])
        expect(yield* Effect.flip(storage.record({ ...write, epoch: 2, entries: [entry] }))).toBeInstanceOf(RunFenced)
        const stale = yield* Effect.flip(storage.record({ ...write, attempt: 2, entries: [{ ...entry, seq: 3 }] }))
        expect(stale).toMatchObject({ _tag: "StaleAttempt", attempt: 2 })
        yield* run.commit([{ _tag: "AttemptInterrupted", ...at, reason: "crash" }])
        expect(yield* Effect.flip(storage.record({ ...write, entries: [{ ...entry, seq: 3 }] }))).toMatchObject({
          _tag: "StaleAttempt",
        })
        expect(yield* storage.conversations({ runId: "r" })).toEqual([recorded])
      }),
    )

    for (const [how, isContinued] of [
      [{ _tag: "AttemptInterrupted", reason: "crash" }, true],
      [{ _tag: "AttemptInterrupted", reason: "suspended" }, true],
      [{ _tag: "AttemptInterrupted", reason: "reset" }, false],
      [{ _tag: "AttemptSucceeded" }, false],
      [{ _tag: "AttemptFailed", error: { name: "E", message: "no", retryable: true }, retryAt: later(9) }, false],
    ] as const) {
      const ending = "reason" in how ? `${how._tag} (${how.reason})` : how._tag
      holds(`a conversation is ${isContinued ? "current" : "over"} after ${ending}`, (storage) =>
        Effect.gen(function* () {
          const run = yield* journal("r")
          const at = { nodeId: "a", iteration: 0 }
          yield* run.commit([started, { _tag: "AttemptStarted", ...at, attempt: 1 }])
          const about = { attempt: 1, agent: "ann", status: "open", requestDigest: "d", startedAt: 5 } as const
          const conversations = [{ ...at, conversation: 1, ...about }]
          yield* storage.record({ runId: "r", epoch: 1, ...at, attempt: 1, conversations })
          yield* run.commit([{ _tag: "AttemptInterrupted", ...at, attempt: 1, reason: "crash" }])
          yield* run.commit([{ _tag: "AttemptStarted", ...at, attempt: 2 }])
          yield* run.commit([{ ...how, ...at, attempt: 2 }])
          expect(yield* storage.conversations({ runId: "r" })).toMatchObject([{ isCurrent: isContinued }])
        }),
      )
    }

    holds("a reset node may give its output again", (storage) =>
      Effect.gen(function* () {
        yield* storage.prepareOutputs("flow", History.tables)
        const run = yield* journal("r")
        yield* run.commit([started, ...step("a", "text", "first")])
        yield* run.commit([{ _tag: "NodeReset", nodeId: "a", iteration: 0 }])
        expectSame(yield* storage.load("r"), run.state())
        const again = { nodeId: "a", iteration: 0, attempt: 2 }
        yield* run.commit([
          { _tag: "AttemptStarted", ...again },
          { _tag: "AttemptSucceeded", ...again, table: "text", output: "second" },
        ])
        expect(plain(yield* storage.load("r")).nodes["a/0"]).toMatchObject({ status: "finished", output: "second" })
      }),
    )

    holds("outputs are found again by key, workflow, step and age", (storage) =>
      Effect.gen(function* () {
        yield* storage.prepareOutputs("flow", History.tables)
        const run = yield* journal("r")
        const outputs = step("a", "text", "kept").concat(step("b", "untyped", undefined))
        const key = '{"sha":"\u2028x"}'
        yield* run.commit([started, ...outputs], { cache: ["a", "b"].map((nodeId) => ({ nodeId, iteration: 0, key })) })
        const found = (workflow: string, nodeId: string, key: string, notBefore: number) =>
          Effect.map(
            storage.cached({ workflow, nodeId, key, notBefore }),
            Option.map(({ output }) => output),
          )
        expect(yield* found("flow", "a", key, run.now())).toEqual(Option.some("kept"))
        expect(yield* found("flow", "b", key, 0)).toEqual(Option.some(undefined))
        expect(yield* found("flow", "a", key, run.now() + 1)).toEqual(Option.none())
        expect(yield* found("other", "a", key, 0)).toEqual(Option.none())
        expect(yield* found("flow", "c", key, 0)).toEqual(Option.none())
        expect(yield* found("flow", "a", "{}", 0)).toEqual(Option.none())
        const newer = yield* journal("newer", newRun, later(60_000))
        yield* newer.commit([started, ...step("a", "text", "newer")], { cache: [{ nodeId: "a", iteration: 0, key }] })
        expect(yield* found("flow", "a", key, 0)).toEqual(Option.some("newer"))
      }),
    )

    holds("outputs for all steps of the store are found from other workflows, and go with their row", (storage) =>
      Effect.gen(function* () {
        yield* storage.prepareOutputs("flow", History.tables)
        const run = yield* journal("r")
        const entry = { nodeId: "a", iteration: 0, key: "k", isShared: true }
        yield* run.commit([started, ...step("a", "text", "kept")], { cache: [entry] })
        const query = { workflow: "other", nodeId: "b", key: "k", notBefore: 0 }
        expect(yield* storage.cached({ ...query, isShared: true })).toEqual(Option.some({ runId: "r", output: "kept" }))
        expect(yield* storage.cached({ ...query, isShared: true, notBefore: run.now() + 1 })).toEqual(Option.none())
        expect(yield* storage.cached(query)).toEqual(Option.none())
        expect(yield* storage.cached({ ...query, workflow: "flow", nodeId: "a" })).toEqual(Option.none())
        yield* run.commit([{ _tag: "NodeReset", nodeId: "a", iteration: 0 }])
        expect(yield* storage.cached({ ...query, isShared: true })).toEqual(Option.none())
      }),
    )

    holds("facts are written with their frame, found by namespace, key and words, and replaced by the last write", (storage) =>
      Effect.gen(function* () {
        yield* storage.prepareOutputs("flow", History.tables)
        const run = yield* journal("r")
        const of = { nodeId: "a", iteration: 0 }
        const fact = (key: string, value: Json, more = {}) => ({ ...of, namespace: "n", key, value, ...more })
        yield* run.commit([started, ...step("a", "text", "x")], {
          facts: [
            fact("style", "Write briefly, and in plain words."),
            fact("limits", { words: 200, café: ["Zürich"] }),
            fact("other", "Nothing to do with it.", { namespace: "m" }),
          ],
        })
        const facts = (filter: FactFilter) =>
          Effect.map(storage.facts({ now: run.now(), ...filter }), (all) => all.map(({ key }) => key))
        expect(yield* facts({ namespace: "n" })).toEqual(["limits", "style"])
        expect(yield* facts({ limit: 1, namespace: "m" })).toEqual(["other"])
        expect(yield* facts({ keys: ["style", "other"] })).toEqual(["other", "style"])
        expect(yield* facts({ query: "brief", namespace: "n" })).toEqual(["style"])
        expect(yield* facts({ query: "ZURICH cafe" })).toEqual(["limits"])
        expect(yield* facts({ query: "limit" })).toEqual(["limits"])
        expect(yield* facts({ query: 'nothing" *) (' })).toEqual(["other"])
        expect(yield* facts({ query: "absent" })).toEqual([])
        expect(yield* facts({ query: '"*( ' })).toEqual([])
        const put = yield* storage.putFact({ namespace: "n", key: "style", value: "Write at length.", at: run.now() + 5 })
        expect(put).toEqual({
          ...{ namespace: "n", key: "style", value: "Write at length.", version: 2, at: run.now() + 5 },
          ...{ expiresAt: null, runId: null, nodeId: null },
        })
        expect(yield* facts({ query: "brief plain" })).toEqual([])
        expect(yield* facts({ query: "length" })).toEqual(["style"])
        expect((yield* storage.facts({ keys: ["limits"], now: run.now() }))[0]).toMatchObject({
          version: 1,
          runId: "r",
          nodeId: "a",
        })
        expect(yield* storage.deleteFacts({ namespace: "n", key: "none" })).toBe(0)
        expect(yield* storage.deleteFacts({ namespace: "n" })).toBe(2)
        expect(yield* facts({})).toEqual(["other"])
        expect(yield* facts({ query: "length zurich" })).toEqual([])
      }),
    )

    holds("facts that have expired are not found, and are counted from one again", (storage) =>
      Effect.gen(function* () {
        const write = { namespace: "n", key: "k", value: [1], ttlMs: 100 }
        expect(yield* storage.putFact({ ...write, at: 1000 })).toMatchObject({ expiresAt: 1100, version: 1 })
        expect(yield* storage.facts({ now: 1099 })).toHaveLength(1)
        expect(yield* storage.facts({ now: 1100 })).toEqual([])
        expect(yield* storage.facts({ now: 1100, query: "k" })).toEqual([])
        expect(yield* storage.putFact({ ...write, at: 1100 })).toMatchObject({ expiresAt: 1200, version: 1 })
      }),
    )

    holds("a frame that is refused writes no facts", (storage) =>
      Effect.gen(function* () {
        yield* storage.prepareOutputs("flow", History.tables)
        const run = yield* journal("r")
        yield* storage.release("r", 1, run.now())
        const facts = [{ nodeId: "a", iteration: 0, namespace: "n", key: "k", value: 1 }]
        expect(yield* Effect.flip(run.commit([started, ...step("a", "text", "x")], { facts }))).toMatchObject({ _tag: "RunFenced" })
        expect(yield* storage.facts({ now: run.now() })).toEqual([])
      }),
    )

    holds("scores are due with their frame, claimed by one process, and end once", (storage) =>
      Effect.gen(function* () {
        yield* storage.prepareOutputs("flow", History.tables)
        const run = yield* journal("r")
        const place = { nodeId: "a", iteration: 0, attempt: 1, scorer: "s" }
        const other = { ...place, scorer: "t" }
        yield* run.commit([started, ...step("a", "text", "x")], { scores: [place, other] })
        const due = { runId: "r", status: "due", score: null, reason: null, error: null, tries: 0, dueAt: run.now(), endedAt: null }
        expect(yield* storage.scores({ runId: "r" })).toEqual([
          { ...place, ...due },
          { ...other, ...due },
        ])
        const [of, now] = [{ runId: "r", ...place }, run.now()]
        expect(yield* storage.claimScore({ ...of, now, until: now + 10 })).toBe(1)
        expect(yield* storage.claimScore({ ...of, now, until: now + 10 })).toBe(undefined)
        expect(yield* storage.claimScore({ ...of, now: now + 10, until: now + 20 })).toBe(2)
        yield* storage.releaseScore(of)
        expect(yield* storage.claimScore({ ...of, now: now + 11, until: now + 20 })).toBe(2)
        expect(yield* storage.claimScore({ ...of, attempt: 2, now: now + 30, until: now + 40 })).toBe(undefined)
        yield* storage.endScore({ ...of, attempt: 2, now, end: { status: "finished", score: 1, reason: null } })
        yield* storage.endScore({ ...of, now: now + 12, end: { status: "finished", score: 0.5, reason: "half" } })
        yield* storage.endScore({ ...of, now: now + 13, end: { status: "finished", score: 1, reason: null } })
        const error = { name: "Error", message: "no", retryable: false }
        yield* storage.endScore({ runId: "r", ...other, now: now + 14, end: { status: "failed", error } })
        expect(yield* storage.scores({ nodeId: "a" })).toEqual([
          { ...place, ...due, status: "finished", score: 0.5, reason: "half", tries: 2, endedAt: now + 12 },
          { ...other, ...due, status: "failed", error, endedAt: now + 14 },
        ])
        expect(yield* storage.scores({ status: "due" })).toEqual([])
        expect(yield* storage.scores({ runId: "r", status: "failed" })).toHaveLength(1)
        expect(yield* storage.scores({ runId: "q" })).toEqual([])
        expect(yield* storage.claimScore({ ...of, now: now + 50, until: now + 60 })).toBe(undefined)
        // Another output is scored again.
        yield* run.commit([{ _tag: "NodeReset", nodeId: "a", iteration: 0 }])
        const again = { nodeId: "a", iteration: 0, attempt: 2 }
        yield* run.commit([{ _tag: "AttemptStarted", ...again }])
        yield* run.commit([{ _tag: "AttemptSucceeded", ...again, table: "text", output: "y" }], {
          scores: [{ ...place, attempt: 2 }],
        })
        expect(yield* storage.scores({ runId: "r", status: "due" })).toMatchObject([{ attempt: 2, tries: 0, score: null }])
      }),
    )

    holds("an attempt says which run its output was taken over from", (storage) =>
      Effect.gen(function* () {
        yield* storage.prepareOutputs("flow", History.tables)
        const run = yield* journal("r")
        const at = { nodeId: "a", iteration: 0, attempt: 1 }
        yield* run.commit([started, { _tag: "AttemptStarted", ...at }])
        yield* run.commit([
          { _tag: "AttemptSucceeded", ...at, table: "text", output: "kept", isCached: true, cachedFrom: "earlier" },
        ])
        expect((yield* storage.inspect("r")).attempts).toMatchObject([{ status: "succeeded", cachedFrom: "earlier" }])
        expect((yield* storage.events("r")).at(-1)?.event).toMatchObject({ isCached: true, cachedFrom: "earlier" })
      }),
    )
  })

  describe(`${name}: families`, () => {
    const parent = { runId: "r", nodeId: "sub", iteration: 0, isAttached: true }
    const create = { ...newRun, source: "flow.tsx", parent }

    holds("a run that a frame starts is there with it, owned by nobody, and once", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        yield* run.commit([started], { spawned: [{ runId: "child", create }] })
        yield* run.commit([{ _tag: "RunPaused" }], { spawned: [{ runId: "child", create: { ...create, input: "other" } }] })
        const { run: child, input } = yield* storage.inspect("child")
        expect(child).toMatchObject({ status: "suspended", epoch: 0, owner: null, source: "flow.tsx", parent })
        expect(input).toEqual(newRun.input)
        const due = (yield* storage.runnable(run.now())).runs
        expect(due).toMatchObject([{ runId: "child", workflow: "flow", source: "flow.tsx", crashes: 0 }])
        expect((yield* storage.load("child")).parent).toEqual(parent)
        expect((yield* storage.runs({ parent: "r" })).map(({ runId }) => runId)).toEqual(["child"])
        expect(yield* storage.runs({ parent: "child" })).toEqual([])
        const refused = run.commit([{ _tag: "RunUnpaused" }], { epoch: 9, spawned: [{ runId: "never", create }] })
        expect(yield* Effect.flip(refused)).toBeInstanceOf(RunFenced)
        expect((yield* storage.runs({})).map(({ runId }) => runId).sort()).toEqual(["child", "r"])
      }),
    )

    holds("runs are found by a text in their id, workflow or tags, and by how long nothing has come of them", (storage) =>
      Effect.gen(function* () {
        yield* journal("Login-Form", { ...newRun, tags: ["Prod", '100% "EU"'] })
        yield* journal("other", { ...newRun, workflow: "Ship_It" })
        const ids = (filter: RunFilter) => Effect.map(storage.runs(filter), (runs) => runs.map(({ runId }) => runId).sort())
        expect(yield* ids({ text: "IN-F" })).toEqual(["Login-Form"])
        expect(yield* ids({ text: "p_i" })).toEqual(["other"])
        expect(yield* ids({ text: "prod" })).toEqual(["Login-Form"])
        expect(yield* ids({ text: '0% "e' })).toEqual(["Login-Form"])
        for (const none of ["login%", "otherShip", "nowhere", "[", "null"]) expect(yield* ids({ text: none })).toEqual([])
        const [last] = yield* storage.runs({})
        const at = last?.updatedAt ?? 0
        expect(yield* ids({ changedBefore: at })).toEqual([])
        expect(yield* ids({ changedBefore: at + 1 })).toEqual(["Login-Form", "other"])
        expect(yield* ids({ changedBefore: at + 1, text: "ship" })).toEqual(["other"])
      }),
    )

    holds("a run that goes on as another is over, and that one has its tags, its source and its later commands", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r", { ...newRun, source: "flow.tsx" })
        const place = { nodeId: "again", iteration: 0, failures: 0 }
        yield* run.commit([started, { _tag: "CancelRequested", continuation: { ...place, input: "next" } }])
        expect((yield* storage.load("r")).cancel?.continuation).toEqual({ ...place, input: "next" })
        const chain = { first: "r", generation: 1 }
        const next = { workflow: "flow", version: "1", input: "next", tags: [], chain }
        const goOn = run.commit([{ _tag: "RunContinued", successor: "r~g1" }], { spawned: [{ runId: "r~g1", create: next }] })
        // Any command that is unread would be lost between the two.
        yield* storage.deliver({ id: "s", runId: "r", at: run.now(), command: { _tag: "Signal", id: "s", name: "go" } })
        expect((yield* Effect.flip(goOn))._tag).toBe("StaleFrame")
        yield* run.commit([{ _tag: "SignalReceived", id: "s", name: "go" }], { consumed: ["s"] })
        yield* run.commit([{ _tag: "RunContinued", successor: "r~g1" }], { spawned: [{ runId: "r~g1", create: next }] })
        expect(yield* storage.load("r")).toMatchObject({ status: "continued", continuedAs: "r~g1", cancel: undefined })
        expect(yield* storage.load("r~g1")).toMatchObject({ status: "suspended", input: "next", chain })
        expect((yield* storage.runs({})).map(({ runId }) => runId)).toEqual(["r~g1"])
        const [before] = yield* storage.runs({ status: ["continued"] })
        expect(before).toMatchObject({ runId: "r", continuedAs: "r~g1", owner: null })
        expect((yield* storage.run("r~g1")).run).toMatchObject({ tags: newRun.tags, source: "flow.tsx", chain })
        expect([yield* storage.newest("r"), yield* storage.newest("r~g1"), yield* storage.newest("none")]).toEqual([
          "r~g1",
          "r~g1",
          "none",
        ])
        expect(yield* storage.open({ ...request, runId: "r" })).toEqual({ _tag: "Continued", runId: "r~g1" })
        // One that was taken before is known, and others go to the newest.
        const again = { id: "s", runId: "r", at: run.now(), command: { _tag: "Signal", id: "s", name: "other" } } as const
        expect(yield* storage.deliver(again)).toMatchObject({ name: "go" })
        yield* storage.deliver(cancel("c", "r"))
        yield* storage.open({ ...request, runId: "r~g1" })
        expect(yield* storage.pending).toMatchObject([{ id: "c", runId: "r~g1" }])
        const response = { _tag: "Decide", nodeId: "ask", iteration: 0, approved: true } as const
        const late = yield* Effect.flip(storage.deliverResponse({ id: "d", runId: "r", at: run.now(), command: response }))
        expect(late).toMatchObject({ _tag: "RunEnded", status: "continued" })
      }),
    )

    holds("a run does not go on under the id of another run", (storage) =>
      Effect.gen(function* () {
        yield* (yield* journal("r~g1")).commit([started])
        const run = yield* journal("r")
        yield* run.commit([started])
        const next = { ...newRun, chain: { first: "r", generation: 1 } }
        const refused = yield* Effect.flip(
          run.commit([{ _tag: "RunContinued", successor: "r~g1" }], { spawned: [{ runId: "r~g1", create: next }] }),
        )
        expect(refused).toMatchObject({ _tag: "StoreRefused", event: 0 })
        expect((yield* storage.run("r")).run.status).toBe("running")
      }),
    )

    holds("what a frame tells another run is there with it, and nothing is told to what is over or unknown", (storage) =>
      Effect.gen(function* () {
        const other = yield* journal("other")
        yield* other.commit([started])
        const over = yield* journal("over")
        yield* over.commit([started, { _tag: "RunFinished" }])
        const run = yield* journal("r")
        const sent = ["other", "over", "nobody"].map((runId) => cancel(`to ${runId}`, runId))
        yield* run.commit([started, { _tag: "RunFinished" }], { sent })
        expect((yield* storage.pending).map(({ id }) => id)).toEqual(["to other"])
      }),
    )

    /** A run `a` with a child run `b`, that has `c`: three generations. */
    const generations = Effect.gen(function* () {
      const childOf = (runId: string, isAttached = true) => ({ ...newRun, parent: { ...parent, runId, isAttached } })
      const a = yield* journal("a")
      const b = yield* journal("b", childOf("a"))
      const c = yield* journal("c", childOf("b"))
      for (const run of [a, b, c]) yield* run.commit([started])
      return { a, b, c, childOf }
    })
    const tell = (storage: Storage["Type"], id: string, runId: string, command: Exclude<Command, Response>) =>
      storage.deliver({ id, runId, at: later(60_000), command })
    /** Who has which command in the inbox, in order. */
    const told = (storage: Storage["Type"]) =>
      Effect.map(storage.pending, (commands) => commands.map(({ runId, command }) => `${command._tag} ${runId}`).sort())

    holds("what cancels, pauses or unpauses a run reaches all attached descendants with it, once", (storage) =>
      Effect.gen(function* () {
        yield* generations
        for (const _tag of ["Pause", "Unpause", "Cancel"] as const) {
          yield* tell(storage, _tag, "a", { _tag })
          yield* tell(storage, _tag, "a", { _tag })
        }
        const each = (_tag: string) => [`${_tag} a`, `${_tag} b`, `${_tag} c`]
        expect(yield* told(storage)).toEqual([...each("Cancel"), ...each("Pause"), ...each("Unpause")])
        const reasons = (yield* storage.pending).flatMap(({ runId, command }) =>
          command._tag === "Cancel" ? [[runId, command.reason]] : [],
        )
        expect(new Map(reasons as Array<[string, string | undefined]>)).toEqual(
          new Map([
            ["a", undefined],
            ["b", 'by run "a", which started it'],
            ["c", 'by run "b", which started it'],
          ]),
        )
        const due = (yield* storage.runnable(later(1e9))).runs
        expect(due.map(({ runId }) => runId).sort()).toEqual(["a", "b", "c"])
      }),
    )

    holds("what a frame tells a child run reaches the child runs of that with it", (storage) =>
      Effect.gen(function* () {
        const { a } = yield* generations
        yield* a.commit([{ _tag: "RunPaused" }], { sent: [{ id: "x", runId: "b", at: later(1), command: { _tag: "Cancel" } }] })
        expect(yield* told(storage)).toEqual(["Cancel b", "Cancel c"])
      }),
    )

    holds("what is said to a run does not reach child runs that are detached or over, nor a signal any child run", (storage) =>
      Effect.gen(function* () {
        const { a, c, childOf } = yield* generations
        yield* a.commit([{ _tag: "RunPaused" }], { spawned: [{ runId: "free", create: childOf("a", false) }] })
        yield* c.commit([{ _tag: "RunFinished" }])
        yield* tell(storage, "s", "a", { _tag: "Signal", name: "go" })
        yield* tell(storage, "x", "a", { _tag: "Cancel" })
        expect(yield* told(storage)).toEqual(["Cancel a", "Cancel b", "Signal a"])
      }),
    )

    holds("a child run in a `finally` is not cancelled with its parent, but paused", (storage) =>
      Effect.gen(function* () {
        yield* journal("a")
        yield* journal("b", { ...newRun, parent: { ...parent, runId: "a" }, isFinal: true })
        yield* tell(storage, "x", "a", { _tag: "Cancel" })
        yield* tell(storage, "p", "a", { _tag: "Pause" })
        expect(yield* told(storage)).toEqual(["Cancel a", "Pause a", "Pause b"])
      }),
    )

    holds(
      "a frame begins nothing, finishes nothing, and hears of no child run, where its run was told to stop and does not know it",
      (storage) =>
        Effect.gen(function* () {
          const onward: ReadonlyArray<RunEvent> = [
            { _tag: "AttemptStarted", nodeId: "s", iteration: 0, attempt: 1 },
            { _tag: "WaitStarted", nodeId: "sub", iteration: 0, kind: "subflow", name: "child" },
          ]
          for (const [index, _tag] of (["Cancel", "Pause"] as const).entries()) {
            const runId = `r${index}`
            const run = yield* journal(runId)
            yield* run.commit([started, { _tag: "WaitStarted", nodeId: "w", iteration: 0, kind: "subflow", name: "w" }])
            yield* tell(storage, "s", runId, { _tag: "Signal", name: "go" })
            yield* run.commit([onward[0] as RunEvent])
            yield* tell(storage, "x", runId, { _tag })
            const ended: RunEvent = { _tag: "SubflowEnded", nodeId: "w", iteration: 0, status: "cancelled" }
            const finished: RunEvent = { _tag: "RunFinished" }
            for (const event of [{ ...onward[0], nodeId: "t" } as RunEvent, onward[1] as RunEvent, ended, finished]) {
              expect(yield* Effect.flip(run.commit([event]))).toMatchObject({ _tag: "StaleFrame", runId })
              expect(yield* Effect.flip(run.commit([event], { consumed: ["s"] }))).toMatchObject({ _tag: "StaleFrame", runId })
              expect((yield* storage.load(runId)).seq).toBe(run.state().seq)
            }
            yield* run.commit([{ _tag: "AttemptInterrupted", nodeId: "s", iteration: 0, attempt: 1, reason: "shutdown" }])
            yield* run.commit([ended], { consumed: ["x"] })
            yield* run.commit([{ ...onward[0], nodeId: "t" } as RunEvent])
          }
        }),
    )

    holds("a child run that goes on after its end is paused where an ancestor is, or is to be", (storage) =>
      Effect.gen(function* () {
        const { a, c } = yield* generations
        yield* c.commit([{ _tag: "RunFailed", failure: History.failure }])
        yield* a.commit([{ _tag: "RunPaused" }])
        yield* storage.deliver(
          { id: "again", runId: "c", at: later(1), command: { _tag: "Retry", nodeId: "s", iteration: 0 } },
          { reopen: true },
        )
        yield* c.claim()
        expect(yield* told(storage)).toEqual(["Pause c", "Retry c"])
        yield* c.commit([{ _tag: "RunFailed", failure: History.failure }])
        expect(yield* told(storage)).toEqual([])
        yield* tell(storage, "u", "a", { _tag: "Unpause" })
        yield* c.claim(["failed"])
        expect(yield* told(storage)).toEqual(["Unpause a", "Unpause b"])
        yield* c.commit([{ _tag: "RunFailed", failure: History.failure }])
        yield* tell(storage, "p", "b", { _tag: "Pause" })
        yield* c.claim(["failed"])
        expect(yield* told(storage)).toEqual(["Pause b", "Pause c", "Unpause a", "Unpause b"])
      }),
    )

    holds("a command may create its run, and may take up one that failed, but none that finished", (storage) =>
      Effect.gen(function* () {
        yield* storage.deliverOrCreate(cancel("a", "new"), newRun)
        yield* storage.deliverOrCreate(cancel("b", "new"), { ...newRun, input: "other" })
        expect((yield* storage.inspect("new")).run).toMatchObject({ status: "suspended", epoch: 0 })
        expect((yield* storage.inspect("new")).input).toEqual(newRun.input)
        const failed = yield* journal("failed")
        yield* failed.commit([started, { _tag: "CancelRequested" }, { _tag: "RunFailed", failure: History.failure }])
        expect(yield* Effect.flip(storage.deliver(cancel("c", "failed")))).toBeInstanceOf(RunEnded)
        yield* storage.deliver(cancel("d", "failed"), { reopen: true })
        const { run, failure } = yield* storage.inspect("failed")
        expect([run.status, run.finishedAt, failure]).toEqual(["suspended", null, null])
        expect(yield* storage.load("failed")).toMatchObject({ status: "suspended", cancel: undefined, failure: undefined })
        const finished = yield* journal("finished")
        yield* finished.commit([started, { _tag: "RunFinished" }])
        expect(yield* Effect.flip(storage.deliver(cancel("e", "finished"), { reopen: true }))).toBeInstanceOf(RunEnded)
      }),
    )

    holds("claims that die before anything comes of them are counted, until something does; those given back are not", (storage) =>
      Effect.gen(function* () {
        const crashes = (now: number) => Effect.map(storage.runnable(now), ({ runs }) => runs.map((run) => run.crashes))
        const run = yield* journal("r")
        yield* run.commit([started])
        let now = run.now()
        for (let died = 0; died < 3; died++) {
          now = Millis.after(now, leaseMs)
          expect(yield* crashes(now)).toEqual([died])
          yield* storage.open({ ...request, runId: "r", now })
        }
        yield* storage.release("r", 4, now)
        expect(yield* crashes(now)).toEqual([2])
        for (let epoch = 5; epoch < 9; epoch++) {
          yield* storage.open({ ...request, runId: "r", now })
          yield* storage.release("r", epoch, now)
          expect(yield* crashes(now)).toEqual([2])
        }
        yield* run.claim()
        yield* run.commit([{ _tag: "RunResumed", epoch: 9, kept: 0, added: 0, removed: 0 }])
        yield* storage.release("r", 9, now)
        expect(yield* crashes(now)).toEqual([0])
      }),
    )

    holds("why a run is stuck is kept until it goes on or ends, and not noted of one that somebody works on", (storage) =>
      Effect.gen(function* () {
        const stuck = Effect.map(storage.inspect("r"), ({ run }) => run.stuck)
        const note = (name: string, since: number) => {
          return { since, failureCount: 1, retryAt: since + 1000, error: { name, message: `${name} happened` } }
        }
        const run = yield* journal("r")
        yield* run.commit([started])
        const now = run.now()
        yield* storage.noteStuck("r", note("Owned", now), now)
        expect(yield* stuck).toBeNull()
        yield* storage.release("r", 1, now)
        yield* storage.noteStuck("r", note("First", now), now)
        yield* storage.noteStuck("r", note("Second", now + 1000), Millis.after(now, Millis.make(1000)))
        const second = { since: now, failureCount: 2, retryAt: now + 2000, error: { name: "Second", message: "Second happened" } }
        expect(yield* stuck).toEqual(second)
        expect((yield* storage.runs({})).map((summary) => summary.stuck)).toEqual([second])
        yield* run.claim()
        expect(yield* stuck).toEqual(second)
        yield* run.commit([{ _tag: "RunResumed", epoch: 2, kept: 0, added: 0, removed: 0 }])
        expect(yield* stuck).toBeNull()
        yield* storage.release("r", 2, now)
        yield* storage.noteStuck("r", note("Third", now), now)
        yield* run.claim()
        yield* run.commit([{ _tag: "RunFailed", failure: History.failure }])
        expect(yield* stuck).toBeNull()
        yield* storage.noteStuck("r", note("Ended", now), now)
        yield* storage.noteStuck("nobody", note("Missing", now), now)
        expect(yield* stuck).toBeNull()
      }),
    )

    holds("runs are listed by their ids", (storage) =>
      Effect.gen(function* () {
        for (const runId of ["a", "b", "c"]) {
          const run = yield* journal(runId)
          yield* run.commit([started])
        }
        const ids = (filter: RunFilter) => Effect.map(storage.runs(filter), (runs) => runs.map(({ runId }) => runId).toSorted())
        expect(yield* ids({ runIds: ["c", "a", "nobody"] })).toEqual(["a", "c"])
        expect(yield* ids({ runIds: [] })).toEqual([])
        expect(yield* ids({ runIds: ["a", "c"], workflow: "another" })).toEqual([])
        const [newest] = yield* storage.runs({})
        const older = (yield* ids({})).filter((runId) => runId !== newest?.runId)
        expect(yield* ids({ runIds: ["a", "b", "c"], before: newest?.runId ?? "" })).toEqual(older)
      }),
    )

    holds("a run has another mark only once something came of it, or it was told something", (storage) =>
      Effect.gen(function* () {
        const mark = Effect.map(storage.runnable(1e15), ({ runs }) => runs[0]?.revision)
        const run = yield* journal("r")
        yield* run.commit([started])
        const marks = [yield* mark]
        yield* storage.release("r", 1, start)
        for (let epoch = 2; epoch < 4; epoch++) {
          yield* run.claim()
          yield* run.commit([{ _tag: "RunResumed", epoch, kept: 0, added: 0, removed: 0 }])
          yield* storage.release("r", epoch, start)
          expect(yield* mark).toBe(marks[0])
        }
        yield* storage.deliver(cancel("c", "r"))
        marks.push(yield* mark)
        yield* run.claim()
        yield* run.commit([{ _tag: "RunResumed", epoch: 4, kept: 0, added: 0, removed: 0 }, { _tag: "CancelRequested" }], {
          consumed: ["c"],
        })
        yield* storage.release("r", 4, start)
        marks.push(yield* mark)
        expect(new Set(marks).size).toBe(3)
      }),
    )

    holds("a failed run that was taken up again is due where its owner died before the first frame", (storage) =>
      Effect.gen(function* () {
        const due = (now: number) => Effect.map(storage.runnable(now), ({ runs }) => runs.map(({ runId }) => runId))
        const run = yield* journal("r")
        const failure = new StepFailed({
          runId: "r",
          nodeId: "a",
          iteration: 0,
          attempts: 1,
          error: { name: "E", message: "", retryable: false },
        })
        yield* run.commit([started, { _tag: "RunFailed", failure }])
        const now = run.now()
        expect(yield* due(now + leaseMs)).toEqual([])
        yield* storage.open({ ...request, runId: "r", reopen: ["failed"], now })
        expect(yield* due(now)).toEqual([])
        expect(yield* due(now + leaseMs)).toEqual(["r"])
      }),
    )

    holds("runs and workflows that are left out are not due", (storage) =>
      Effect.gen(function* () {
        for (const runId of ["a", "b", "c"]) {
          yield* journal(runId, { ...newRun, workflow: runId === "c" ? "other" : "flow" })
          yield* storage.release(runId, 1, start)
        }
        const due = (except: { readonly runIds?: ReadonlyArray<string>; readonly workflows?: ReadonlyArray<string> }) =>
          Effect.map(storage.runnable(start, except), ({ runs }) => runs.map(({ runId }) => runId).sort())
        expect(yield* due({})).toEqual(["a", "b", "c"])
        expect(yield* due({ runIds: ["a"] })).toEqual(["b", "c"])
        expect(yield* due({ workflows: ["flow"] })).toEqual(["c"])
      }),
    )

    holds("a paused run is due only when it is told something, whatever its time", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        const wait = { _tag: "WaitStarted", nodeId: "t", iteration: 0, kind: "timer", deadline: start } as const
        yield* run.commit([started, wait, { _tag: "RunPaused" }])
        yield* storage.release("r", 1, start, "paused")
        expect((yield* storage.inspect("r")).run.status).toBe("paused")
        expect(yield* storage.runnable(later(1))).toEqual({ runs: [], nextAt: undefined })
        yield* storage.deliver({ id: "u", runId: "r", at: start, command: { _tag: "Unpause" } })
        expect((yield* storage.runnable(later(1))).runs).toHaveLength(1)
      }),
    )
  })

  describe(`${name}: commands`, () => {
    holds("commands wait in order until a frame takes care of them", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        yield* run.commit([started])
        const [first, second] = [cancel("z", "r", "because"), cancel("a", "r")]
        yield* storage.deliver(first)
        yield* storage.deliver(second)
        expect(yield* storage.pending).toEqual([first, second])
        yield* run.commit([{ _tag: "CancelRequested", reason: "because" }], { consumed: ["z"] })
        expect(yield* storage.pending).toEqual([second])
        yield* run.commit([], { consumed: ["a"] })
        expect(yield* storage.pending).toEqual([])
        expectSame(yield* storage.load("r"), run.state())
      }),
    )

    holds("a frame that ends a wait by its time is refused where somebody has decided in time, and then knows of it", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        const place = { nodeId: "a", iteration: 0 }
        const deadline = run.now()
        yield* run.commit([started, { _tag: "WaitStarted", ...place, kind: "approval", request: null, deadline }])
        const decide = { id: "d", runId: "r", at: deadline, command: { _tag: "Decide", ...place, approved: true } } as const
        yield* storage.deliverResponse(decide)
        const before = yield* storage.load("r")
        const ended = { _tag: "WaitEnded", ...place, reason: "timed-out", status: "skipped" } as const
        expect(yield* Effect.flip(run.commit([ended]))).toMatchObject({ _tag: "StaleFrame", runId: "r" })
        expectSame(yield* storage.load("r"), before)
        expect(yield* storage.pending).toEqual([decide])
        // What it has read is its own affair, and so is what was said of another wait.
        yield* storage.deliverResponse({ ...decide, id: "e", command: { ...decide.command, iteration: 1 } })
        yield* run.commit([ended], { consumed: ["d"] })
        expect((yield* storage.pending).map(({ id }) => id)).toEqual(["e"])
      }),
    )

    holds("a decision after the time of an open wait is not kept, pauses that nobody has heard of counted", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        const over = Millis.after(run.now(), Millis.make(600_000))
        const at = (afterMs: number) => Millis.make(over + afterMs)
        const wait = (nodeId: string) =>
          ({ _tag: "WaitStarted", nodeId, iteration: 0, kind: "approval", request: null, deadline: over }) as const
        yield* run.commit([started, wait("a"), wait("b")])
        const said = (id: string, when: Millis.Millis, nodeId: string) =>
          storage.deliverResponse({ id, runId: "r", at: when, command: { _tag: "Decide", nodeId, iteration: 0, approved: true } })
        expect(yield* Effect.flip(said("late", at(1), "a"))).toMatchObject({
          _tag: "WaitExpired",
          nodeId: "a",
          deadline: over,
        })
        expect(yield* storage.pending).toEqual([])
        yield* storage.deliver({ id: "p", runId: "r", at: at(-1), command: { _tag: "Pause" } })
        yield* said("paused", at(50), "a")
        yield* storage.deliver({ id: "u", runId: "r", at: at(99), command: { _tag: "Unpause" } })
        expect(yield* Effect.flip(said("later", at(101), "b"))).toMatchObject({ _tag: "WaitExpired" })
        yield* said("in time", at(100), "b")
        // Said again it is what was kept.
        yield* said("in time", at(500), "b")
        expect((yield* storage.pending).map(({ id }) => id)).toEqual(["p", "paused", "u", "in time"])
      }),
    )

    holds("what a run was told, and which of its questions that answers, is known before anybody takes it up", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        const asks = (nodeId: string, kind: "approval" | "human") =>
          ({ _tag: "WaitStarted", nodeId, iteration: 0, kind, request: null }) as const
        yield* run.commit([started, asks("a", "approval"), asks("b", "approval"), asks("c", "human")])
        yield* storage.release("r", 1, run.now(), "waiting")
        const known = Effect.gen(function* () {
          const waits = yield* storage.waits({ runId: "r", all: true })
          const open = yield* storage.waits({ isAnswered: false, limit: 2 })
          const { hasPendingCommands } = yield* storage.inspect("r")
          const answered = waits.filter(({ isAnswered }) => isAnswered).map(({ nodeId }) => nodeId)
          return { answered, open: open.map(({ nodeId }) => nodeId), hasPendingCommands }
        })
        expect(yield* known).toEqual({ answered: [], open: ["a", "b"], hasPendingCommands: false })
        const place = { nodeId: "a", iteration: 0 }
        const told = { runId: "r", at: run.now() }
        yield* storage.deliverResponse({ ...told, id: "else", command: { _tag: "Decide", ...place, iteration: 1, approved: true } })
        yield* storage.deliverResponse({ ...told, id: "kind", command: { _tag: "Answer", ...place, value: 1 } })
        expect(yield* known).toEqual({ answered: [], open: ["a", "b"], hasPendingCommands: true })
        yield* storage.deliverResponse({ ...told, id: "a", command: { _tag: "Decide", ...place, approved: false } })
        yield* storage.deliverResponse({ ...told, id: "c", command: { _tag: "Answer", ...place, nodeId: "c", value: 1 } })
        expect(yield* known).toEqual({ answered: ["a", "c"], open: ["b"], hasPendingCommands: true })
        yield* run.claim()
        yield* run.commit([{ _tag: "WaitEnded", ...place, status: "finished", reason: "decided" }], {
          consumed: ["a", "else", "kind"],
        })
        expect(yield* known).toEqual({ answered: ["c"], open: ["b"], hasPendingCommands: true })
        yield* run.commit([], { consumed: ["c"] })
        expect(yield* known).toMatchObject({ hasPendingCommands: false })
      }),
    )

    holds("a scope that is to be left is known before its run hears of it, and afterwards how it was left", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        const place = { nodeId: "s", iteration: 0 } as const
        yield* run.commit([started, { _tag: "BoundaryStarted", ...place }])
        const known = Effect.gen(function* () {
          const { leaving, nodes } = yield* storage.inspect("r")
          expect((yield* storage.run("r")).leaving).toEqual(leaving)
          return { leaving, ...defined({ leaveRequest: nodes[0]?.leaveRequest, left: nodes[0]?.left, winners: nodes[0]?.winners }) }
        })
        expect(yield* known).toEqual({ leaving: [] })
        const asked = { outcome: "completed", reason: "enough", by: "ann" } as const
        yield* storage.deliver({ id: "leave", runId: "r", at: run.now(), command: { _tag: "Leave", ...place, ...asked } })
        expect(yield* known).toEqual({ leaving: [{ ...place, ...asked }] })
        expect((yield* storage.pending).map(({ command }) => command)).toEqual([{ _tag: "Leave", ...place, ...asked }])
        yield* run.commit([{ _tag: "LeaveRequested", ...place, ...asked }], { consumed: ["leave"] })
        expect(yield* known).toEqual({ leaving: [], leaveRequest: asked })
        const left = { ...asked, trigger: "request" } as const
        yield* run.commit([
          { _tag: "PartsDecided", ...place, winners: ["a"], isDecided: true },
          { _tag: "BoundaryHalted", ...place, isCaught: true, left },
          { _tag: "BoundaryEnded", ...place, status: "completed" },
        ])
        expect(yield* known).toEqual({ leaving: [], left, winners: ["a"] })
      }),
    )

    holds("a cancellation is known before its run hears of it, and until the run has ended", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        yield* run.commit([started])
        const known = Effect.map(storage.inspect("r"), ({ cancel }) => cancel)
        expect(yield* known).toBeNull()
        yield* storage.deliver(cancel("c", "r", "because"))
        expect(yield* known).toEqual({ reason: "because", isDelivered: false })
        yield* run.commit([{ _tag: "CancelRequested", reason: "because" }], { consumed: ["c"] })
        expect(yield* known).toEqual({ reason: "because", isDelivered: true })
        yield* run.commit([{ _tag: "RunCancelled", reason: "because" }])
        expect(yield* known).toBeNull()
        yield* run.claim(["cancelled"])
        yield* run.commit([{ _tag: "RunResumed", epoch: 2, kept: 0, added: 0, removed: 0 }])
        expect(yield* known).toBeNull()
      }),
    )

    holds("a wait whose time was over tells so from one of which something was said", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        const wait = (nodeId: string, kind: "approval" | "human" | "signal" | "timer"): ReadonlyArray<RunEvent> => [
          { _tag: "WaitStarted", nodeId, iteration: 0, kind, digest: "d" },
        ]
        const over = (
          nodeId: string,
          end: Omit<Extract<RunEvent, { readonly _tag: "WaitEnded" }>, "_tag" | "nodeId" | "iteration">,
        ) => ({ _tag: "WaitEnded", nodeId, iteration: 0, ...end }) as const
        const error = { name: "WaitTimedOut", message: "not sent", retryable: true }
        yield* run.commit([
          started,
          ...["denied", "late", "failed"].flatMap((id) => wait(id, "approval")),
          ...["asked", "answered"].flatMap((id) => wait(id, "human")),
          ...["sent", "unsent"].flatMap((id) => wait(id, "signal")),
          ...wait("open", "approval"),
          ...wait("fired", "timer"),
          { _tag: "ApprovalDecided", nodeId: "denied", iteration: 0, approved: false },
        ])
        yield* run.commit([
          over("denied", { reason: "decided", status: "finished" }),
          over("late", { reason: "timed-out", status: "finished" }),
          over("failed", { reason: "timed-out", status: "failed", error }),
          over("asked", { reason: "timed-out", status: "skipped" }),
          over("answered", { reason: "answered", status: "finished", submittedAt: start }),
          over("sent", { reason: "signalled", status: "finished" }),
          over("unsent", { reason: "timed-out", status: "failed", error }),
          over("fired", { reason: "fired", status: "finished" }),
        ])
        const waits = yield* storage.waits({ runId: "r", all: true })
        const late = waits.filter(({ timedOut }) => timedOut).map(({ nodeId }) => nodeId)
        expect(late.sort()).toEqual(["asked", "failed", "late", "unsent"])
        expect((yield* storage.wait({ runId: "r", nodeId: "late", kind: "approval" }))?.timedOut).toBe(true)
      }),
    )

    holds("what was said to one asking of a node says nothing of the next", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        const asks = { _tag: "WaitStarted", nodeId: "a", iteration: 0, kind: "approval", request: null, digest: "d1" } as const
        yield* run.commit([started, asks])
        const [first] = yield* storage.waits({ runId: "r" })
        expect(first).toMatchObject({ requestSeq: 2, requestCount: 1, requestId: "2-d1", decidedAt: null, refusals: 0 })
        const said = {
          _tag: "Decide",
          nodeId: "a",
          iteration: 0,
          approved: true,
          requestSeq: 2,
          digest: "d1",
          by: "ann",
          note: "n",
        } as const
        yield* storage.deliverResponse({ id: "d", runId: "r", at: start, command: said })
        const heard = { isAnswered: true, approved: true, by: "ann", note: "n", decidedAt: start }
        expect(yield* storage.waits({ runId: "r" })).toMatchObject([heard])
        yield* run.commit([{ ...asks, digest: "d2" }])
        const other = {
          requestSeq: 3,
          requestCount: 2,
          requestId: "3-d2",
          isAnswered: false,
          approved: null,
          by: null,
          decidedAt: null,
        }
        expect(yield* storage.waits({ runId: "r", isAnswered: false })).toMatchObject([other])
        yield* run.commit([asks])
        expect(yield* storage.waits({ runId: "r", isAnswered: false })).toMatchObject([
          { ...other, requestSeq: 4, requestCount: 3, requestId: "4-d1" },
        ])
        expectSame(yield* storage.load("r"), run.state())
      }),
    )

    holds("how many answers were refused is known, and why the last was", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        const place = { nodeId: "a", iteration: 0 }
        yield* run.commit([started, { _tag: "WaitStarted", ...place, kind: "human", request: null }])
        const answered = { _tag: "TaskAnswered", ...place, value: 1 } as const
        for (const issue of ["one", "two"]) yield* run.commit([answered, { _tag: "AnswerRefused", ...place, issues: [issue] }])
        expect(yield* storage.waits({ runId: "r" })).toMatchObject([{ refusals: 2, refused: ["two"] }])
        yield* run.commit([{ _tag: "WaitStarted", ...place, kind: "human", request: 1 }])
        expect(yield* storage.waits({ runId: "r" })).toMatchObject([{ refusals: 0, refused: null }])
      }),
    )

    holds("a command that is delivered again does nothing, also once it was taken care of", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        yield* run.commit([started])
        const command = cancel("c", "r", "first")
        yield* storage.deliver(command)
        yield* storage.deliver(cancel("c", "r", "second"))
        expect(yield* storage.pending).toEqual([command])
        yield* run.commit([{ _tag: "CancelRequested", reason: "first" }], { consumed: ["c"] })
        yield* storage.deliver(command)
        expect(yield* storage.pending).toEqual([])
      }),
    )

    holds(
      "a run that has ended and is being resumed hears commands, also where its process died before the first frame",
      (storage) =>
        Effect.gen(function* () {
          const run = yield* journal("r")
          yield* run.commit([started, { _tag: "RunFailed", failure: History.failure }])
          yield* run.claim(["failed"])
          yield* storage.deliver(cancel("c", "r"))
          expect(yield* storage.pending).toEqual([cancel("c", "r")])
          expect((yield* storage.runnable(start + 10 * leaseMs)).runs.map(({ runId }) => runId)).toEqual(["r"])
        }),
    )

    holds("the id of a command is unique in its run, and says nothing about those of other runs", (storage) =>
      Effect.gen(function* () {
        const runs = yield* Effect.forEach(["r", "r:c"], (runId) =>
          Effect.gen(function* () {
            const run = yield* journal(runId)
            yield* run.commit([started])
            return run
          }),
        )
        const said = [cancel("c", "r", "one"), cancel("c", "r:c", "two"), cancel("c:c", "r", "three"), cancel('"c', "r:c", "four")]
        for (const command of said) expect(yield* storage.deliver(command)).toEqual(command.command)
        expect(yield* storage.pending).toEqual(said)
        yield* (runs[0] as (typeof runs)[number]).commit([], { consumed: ["c"] })
        expect(yield* storage.pending).toEqual(said.slice(1))
        // Answered with what stands under it in this run.
        expect(yield* storage.deliver(cancel("c", "r", "again"))).toEqual({ _tag: "Cancel", reason: "one" })
        expect(yield* storage.deliver(cancel("c", "r:c", "again"))).toEqual({ _tag: "Cancel", reason: "two" })
        expect(yield* storage.pending).toEqual(said.slice(1))
      }),
    )

    holds("a run that has ended takes no commands, and forgets those it did not get to", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        yield* storage.deliver(cancel("early", "r"))
        yield* run.commit([started, { _tag: "RunFailed", failure: History.failure }])
        expect(yield* Effect.flip(storage.deliver(cancel("late", "r")))).toEqual(new RunEnded({ runId: "r", status: "failed" }))
        yield* run.claim(["failed"])
        yield* run.commit([{ _tag: "RunResumed", epoch: 2, kept: 0, added: 0, removed: 0 }])
        expect(yield* storage.pending).toEqual([])
        yield* storage.deliver(cancel("new", "r"))
        expect(yield* storage.pending).toEqual([cancel("new", "r")])
      }),
    )

    holds("deliveries, releases and ends of runs wake who waits for changes", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        yield* run.commit([started])
        const versions = [yield* storage.changes(-1)]
        const wakes = (act: Effect.Effect<void, unknown>) =>
          Effect.gen(function* () {
            const before = versions.at(-1) ?? -1
            const waiting = yield* Effect.fork(storage.changes(before))
            yield* Effect.yieldNow()
            yield* act
            const after = yield* Fiber.join(waiting)
            expect(after).toBeGreaterThan(before)
            versions.push(yield* storage.changes(before))
          })
        yield* wakes(storage.deliver(cancel("c", "r")))
        yield* wakes(storage.release("r", 1, start))
        yield* run.claim()
        yield* wakes(run.commit([{ _tag: "RunCancelled" }]))
        // What happened between two calls is not missed.
        expect(yield* storage.changes(versions[0] ?? 0)).toBe(versions.at(-1))
        yield* Fiber.interrupt(yield* Effect.fork(storage.changes(versions.at(-1) ?? 0)))
      }),
    )
  })

  describe(`${name}: queries`, () => {
    holds("runs are listed newest first, filtered, and page by page", (storage) =>
      Effect.gen(function* () {
        for (let index = 0; index < 9; index++) {
          const create = { ...newRun, workflow: index % 3 === 0 ? "other" : "flow", tags: index % 2 === 0 ? ["even", 'a"b'] : [] }
          const run = yield* journal(`r${index}`, create, later(index * 10_000))
          yield* run.commit([started])
          if (index === 4) yield* run.commit([{ _tag: "RunFinished" }])
          if (index === 5) yield* storage.release("r5", 1, run.now())
        }
        const ids = (filter: Parameters<typeof storage.runs>[0]) =>
          Effect.map(storage.runs(filter), (runs) => runs.map(({ runId }) => Number(runId.slice(1))))
        expect(yield* ids({})).toEqual([8, 7, 6, 5, 4, 3, 2, 1, 0])
        expect(yield* ids({ limit: 4 })).toEqual([8, 7, 6, 5])
        expect(yield* ids({ limit: 4, before: "r5" })).toEqual([4, 3, 2, 1])
        expect(yield* ids({ limit: 4, before: "r0" })).toEqual([])
        expect(yield* ids({ workflow: "other" })).toEqual([6, 3, 0])
        expect(yield* ids({ tag: "even" })).toEqual([8, 6, 4, 2, 0])
        expect(yield* ids({ tag: 'a"b', workflow: "flow", before: "r8" })).toEqual([4, 2])
        expect(yield* ids({ status: ["finished", "suspended"] })).toEqual([5, 4])
        expect(yield* ids({ status: [] })).toEqual([])
        expect(yield* ids({ workflow: "none" })).toEqual([])
      }),
    )

    holds("runs are found by how their ids begin, the whole id first", (storage) =>
      Effect.gen(function* () {
        for (const runId of ["abd", "ab", "abc", "b_1", "b-1", "B", "%"]) yield* journal(runId)
        expect(yield* storage.find("ab", 5)).toEqual(["ab", "abc", "abd"])
        expect(yield* storage.find("ab", 2)).toEqual(["ab", "abc"])
        expect(yield* storage.find("b_", 5)).toEqual(["b_1"])
        expect(yield* storage.find("%", 5)).toEqual(["%"])
        expect(yield* storage.find("z", 5)).toEqual([])
        expect(yield* storage.find("", 10)).toHaveLength(7)
      }),
    )

    holds("one wait is read by its name: the open one, or else the last, as it stands in the list of all", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        const ask = (nodeId: string, iteration: number, more: object = {}): RunEvent => ({
          _tag: "WaitStarted",
          ...{ nodeId, iteration, kind: "approval", request: { title: nodeId }, digest: "d".repeat(16) },
          ...more,
        })
        const over = (iteration: number) =>
          ({ _tag: "WaitEnded", nodeId: "a", iteration, reason: "decided", status: "finished", output: 1 }) as const
        const signal = { kind: "signal", name: "paid", request: undefined, digest: undefined }
        yield* run.commit([started, ask("a", 0), ask("b", 0), ask("s", 0, signal), ask("s2", 0, signal)])
        const listed = (nodeId: string, iteration: number) =>
          Effect.map(storage.waits({ runId: "r", all: true }), (all) =>
            all.find((wait) => wait.nodeId === nodeId && wait.iteration === iteration),
          )
        const named = { runId: "r", nodeId: "a", kind: "approval" } as const
        expect(yield* storage.wait(named)).toEqual(yield* listed("a", 0))
        yield* run.commit([over(0), ask("a", 1)])
        expect(yield* storage.wait(named)).toEqual(yield* listed("a", 1))
        expect(yield* storage.wait({ ...named, iteration: 0 })).toMatchObject({ iteration: 0, status: "finished" })
        yield* run.commit([over(1)])
        expect(yield* storage.wait(named)).toMatchObject({ iteration: 1, status: "finished" })
        const first = (yield* storage.wait({ ...named, iteration: 0 }))?.requestSeq
        expect(yield* storage.wait({ ...named, requestSeq: first })).toMatchObject({ iteration: 0 })
        expect(yield* storage.wait({ ...named, requestSeq: 10_000 })).toBe(undefined)
        expect(yield* storage.wait({ ...named, kind: "human" })).toBe(undefined)
        expect(yield* storage.wait({ ...named, runId: "none" })).toBe(undefined)
        // What has come for it, and nobody has taken up, counts as it does in the list; a signal is for one wait.
        yield* storage.release("r", 1, run.now(), "waiting")
        yield* storage.deliver({ id: "s", runId: "r", at: start, command: { _tag: "Signal", name: "paid" } })
        const decide = { _tag: "Decide", nodeId: "b", iteration: 0, approved: true, by: "ann" } as const
        yield* storage.deliverResponse({ id: "d", runId: "r", at: start, command: decide })
        for (const [nodeId, kind, isAnswered] of [
          ["b", "approval", true],
          ["s", "signal", true],
          ["s2", "signal", false],
        ] as const) {
          const found = yield* storage.wait({ runId: "r", nodeId, kind })
          expect(found).toMatchObject({ isAnswered })
          expect(found).toEqual(yield* listed(nodeId, 0))
        }
      }),
    )

    holds("a run is shown by its row, its owner's life and what it was told, one by one as in a list", (storage) =>
      Effect.gen(function* () {
        const place = { iteration: 0 } as const
        const ask = (nodeId: string) => ({ _tag: "WaitStarted", ...place, nodeId, kind: "approval" }) as const
        const approve = (runId: string, nodeId: string): InboxMessage<Response> => ({
          ...{ id: nodeId, runId, at: start },
          command: { _tag: "Decide", nodeId, ...place, approved: true, by: "ann" },
        })
        /** Shows a run, and checks that lists and filters show the same. */
        const shown = (runId: string) =>
          Effect.gen(function* () {
            const { run, seq, hasPendingCommands, cancel, leaving } = yield* storage.inspect(runId)
            expect(seq).toBe((yield* storage.events(runId)).at(-1)?.seq)
            expect(yield* storage.runs({ runIds: [runId] })).toEqual([run])
            expect(yield* storage.run(runId)).toEqual({ run, seq, hasPendingCommands, cancel, leaving })
            for (const status of Status.ShownStatus.literals) {
              const found = (yield* storage.runs({ status: [status] })).filter((one) => one.runId === runId)
              expect(found).toEqual(status === run.status ? [run] : [])
            }
            yield* expectCounted(storage)
            return run.status
          })
        const open = (runId: string, event: RunEvent, released?: "waiting" | "paused" | "suspended") =>
          Effect.gen(function* () {
            const run = yield* journal(runId)
            yield* run.commit([started, event])
            if (released !== undefined) yield* storage.release(runId, 1, run.now(), released)
            return run
          })
        const at = { ...place, nodeId: "a" }
        const working = yield* open("working", { _tag: "AttemptStarted", ...at, attempt: 1 })
        expect(yield* shown("working")).toBe("running")
        yield* working.commit([ask("ok")])
        expect(yield* shown("working")).toBe("running")
        yield* working.commit([{ _tag: "AttemptSucceeded", ...at, attempt: 1 }])
        expect(yield* shown("working")).toBe("waiting-approval")
        yield* working.commit([{ _tag: "RunPaused" }])
        expect(yield* shown("working")).toBe("paused")
        yield* working.commit([{ _tag: "RunUnpaused" }])
        yield* storage.deliverResponse(approve("working", "ok"))
        expect(yield* shown("working")).toBe("running")

        yield* open("retries", { _tag: "AttemptStarted", ...at, attempt: 1 }).pipe(
          Effect.flatMap((run) =>
            run.commit([
              {
                _tag: "AttemptFailed",
                ...at,
                attempt: 1,
                error: { name: "E", message: "e", retryable: true },
                retryAt: later(1e6),
              },
            ]),
          ),
        )
        expect(yield* shown("retries")).toBe("waiting-timer")

        yield* open("stopped", ask("ok"), "suspended")
        expect(yield* shown("stopped")).toBe("suspended")
        yield* open("asks", ask("ok"), "waiting")
        expect(yield* shown("asks")).toBe("waiting-approval")
        expect((yield* storage.inspect("asks")).nodes).toMatchObject([{ nodeId: "ok", status: "waiting" }])
        yield* storage.deliverResponse(approve("asks", "another"))
        expect(yield* shown("asks")).toBe("waiting-approval")
        yield* storage.deliverResponse(approve("asks", "ok"))
        expect(yield* shown("asks")).toBe("suspended")
        expect((yield* storage.inspect("asks")).nodes).toMatchObject([{ nodeId: "ok", status: "decided" }])
        expect(yield* storage.waits({ runId: "asks" })).toMatchObject([
          { isAnswered: true, approved: true, by: "ann", note: null, decidedAt: start },
        ])

        const signal = (correlation: string): RunEvent => ({
          ...{ _tag: "WaitStarted", ...place, nodeId: correlation, kind: "signal", name: "paid", correlation },
        })
        const hears = yield* open("hears", signal("one"))
        yield* hears.commit([signal("two")])
        yield* storage.release("hears", 1, hears.now(), "waiting")
        expect(yield* shown("hears")).toBe("waiting-event")
        const send = (id: string, correlation: string) =>
          storage.deliver({ id, runId: "hears", at: start, command: { _tag: "Signal", name: "paid", correlation } })
        yield* send("1", "one")
        yield* send("2", "one")
        expect(yield* storage.waits({ runId: "hears", isAnswered: false })).toMatchObject([{ nodeId: "two" }])
        expect(yield* shown("hears")).toBe("waiting-event")
        yield* send("3", "two")
        expect(yield* shown("hears")).toBe("suspended")

        yield* open("pauses", { _tag: "RunPaused" }, "paused")
        expect(yield* shown("pauses")).toBe("paused")
        const unpause: InboxMessage<Exclude<Command, Response>> = {
          id: "u",
          runId: "pauses",
          at: start,
          command: { _tag: "Unpause" },
        }
        yield* storage.deliver(unpause)
        expect(yield* shown("pauses")).toBe("suspended")
        yield* storage.deliver({ ...unpause, id: "p", command: { _tag: "Pause" } })
        expect(yield* shown("pauses")).toBe("paused")
        yield* storage.deliver({ ...unpause, id: "c", command: { _tag: "Cancel" } })
        expect(yield* shown("pauses")).toBe("suspended")

        // Of a child run its parent waits for what that one waits for, however deep.
        const waitFor = (name: string): RunEvent => ({ _tag: "WaitStarted", ...place, nodeId: "c", kind: "subflow", name })
        yield* open("bottom", ask("ok"), "waiting")
        yield* open("middle", waitFor("bottom"), "waiting")
        yield* open("top", waitFor("middle"), "waiting")
        expect(yield* shown("top")).toBe("waiting-approval")
        yield* storage.deliverResponse(approve("bottom", "ok"))
        expect(yield* shown("top")).toBe("suspended")

        const ended = yield* open("ended", { _tag: "RunFailed", failure: History.failure })
        expect(yield* shown("ended")).toBe("failed")
        yield* ended.claim(["failed"])
        expect(yield* shown("ended")).toBe("running")

        // Long after their leases.
        yield* TestClock.setTime(later(1e9))
        expect(yield* shown("working")).toBe("orphaned")
        expect(yield* shown("ended")).toBe("orphaned")
        expect(yield* shown("stopped")).toBe("suspended")
        yield* open("crashed", { _tag: "AttemptStarted", ...at, attempt: 1 })
        const crashed = yield* storage.inspect("crashed")
        expect(crashed.nodes).toMatchObject([{ status: "interrupted" }])
        expect(crashed.attempts).toMatchObject([{ status: "interrupted" }])
      }),
    )

    holds("runs, open waits, due runs and commands are counted as they are listed", (storage) =>
      Effect.gen(function* () {
        expect(yield* storage.statistics).toEqual({
          ...{ at: 0, runs: [], waits: [], due: 0, pendingCommands: 0, oldestCommandAt: null },
          bytes: (yield* storage.statistics).bytes,
        })
        for (const [index, workflow] of ["one", "one", "two"].entries()) {
          const run = yield* journal(`r${index}`, { ...newRun, workflow }, later(index * 10_000))
          const wait = { _tag: "WaitStarted", iteration: 0 } as const
          yield* run.commit([{ ...started, workflow } as RunEvent, { ...wait, nodeId: "ok", kind: "approval" }])
          yield* run.commit([{ ...wait, nodeId: "t", kind: "timer", deadline: later(1e6) }])
          yield* storage.release(run.runId, 1, run.now(), "waiting")
        }
        const failed = yield* journal("r3", { ...newRun, workflow: "two" })
        yield* failed.commit([started, { _tag: "RunFailed", failure: History.failure }])
        yield* TestClock.setTime(later(60_000))
        const { due, ...counted } = yield* expectCounted(storage)
        expect(due).toBe(0)
        expect(counted).toMatchObject({
          at: later(60_000),
          waits: expect.arrayContaining([
            { kind: "approval", count: 3, oldestSince: later(1000) },
            { kind: "timer", count: 3, oldestSince: later(2000) },
          ]),
          pendingCommands: 0,
        })
        for (const [id, at] of [
          ["late", 9],
          ["early", 5],
        ] as const)
          yield* storage.deliver({ id, runId: "r1", at: later(at), command: { _tag: "Signal", name: "paid" } })
        expect(yield* expectCounted(storage)).toMatchObject({ due: 1, pendingCommands: 2, oldestCommandAt: later(5) })
        // The timers are due.
        yield* TestClock.setTime(later(1e7))
        expect(yield* expectCounted(storage)).toMatchObject({ due: 3 })
      }),
    )

    holds("runs that others have started are listed apart, and counted", (storage) =>
      Effect.gen(function* () {
        yield* (yield* journal("parent")).commit([started])
        for (const runId of ["one", "two"]) {
          const parent = { runId: "parent", nodeId: "c", iteration: 0, isAttached: true }
          yield* (yield* journal(runId, { ...newRun, parent }, later(10_000))).commit([started])
        }
        const ids = (filter: RunFilter) => Effect.map(storage.runs(filter), (runs) => runs.map(({ runId }) => runId))
        expect(yield* ids({ isChild: false })).toEqual(["parent"])
        expect((yield* ids({ isChild: true })).toSorted()).toEqual(["one", "two"])
        expect(yield* ids({ isChild: true, limit: 1, before: (yield* ids({ limit: 1 }))[0] ?? "" })).toHaveLength(1)
        expect((yield* storage.inspect("parent")).run.children).toBe(2)
        expect((yield* storage.runs({})).map(({ children }) => children)).toEqual([0, 0, 2])
      }),
    )

    holds("waits are listed oldest first, of all runs or of some, and those of some however many older ones there are", (storage) =>
      Effect.gen(function* () {
        for (let index = 0; index < 6; index++) {
          const run = yield* journal(`r${index}`, newRun, later(index * 10_000))
          const wait = { _tag: "WaitStarted", iteration: 0 } as const
          yield* run.commit([started, { ...wait, nodeId: "ok", kind: "approval" }])
          yield* run.commit([{ ...wait, nodeId: "t", kind: "timer", deadline: later(1_000_000) }])
          if (index === 4)
            yield* run.commit([{ _tag: "WaitEnded", nodeId: "t", iteration: 0, status: "finished", reason: "fired" }])
        }
        const ids = (filter: Parameters<typeof storage.waits>[0]) =>
          Effect.map(storage.waits(filter), (waits) => waits.map(({ runId, nodeId }) => `${runId} ${nodeId}`))
        expect(yield* ids({ limit: 3 })).toEqual(["r0 ok", "r0 t", "r1 ok"])
        expect(yield* ids({ runId: "r4" })).toEqual(["r4 ok"])
        expect(yield* ids({ runIds: ["r5", "r3", "none"], limit: 3 })).toEqual(["r3 ok", "r3 t", "r5 ok"])
        expect(yield* ids({ runIds: ["r5", "r4"], kind: ["timer"] })).toEqual(["r5 t"])
        expect(yield* ids({ runIds: ["r5", "r4"], kind: ["timer"], all: true })).toEqual(["r4 t", "r5 t"])
        expect(yield* ids({ runIds: ["r5", "r4"], runId: "r5" })).toEqual(["r5 ok", "r5 t"])
        expect(yield* ids({ runIds: ["r5"], runId: "r4" })).toEqual([])
        expect(yield* ids({ runIds: [] })).toEqual([])
      }),
    )

    holds("a run's summary follows its last frame", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        const [created] = yield* storage.runs({})
        expect(created).toMatchObject({
          ...{ runId: "r", workflow: "flow", version: "1", status: "running", tags: ["nightly"], epoch: 1 },
          ...{ createdAt: start, updatedAt: start, finishedAt: null, leaseUntil: later(leaseMs) },
        })
        yield* run.commit([started])
        expect(yield* storage.runs({})).toMatchObject([{ updatedAt: run.now(), finishedAt: null }])
        yield* run.commit([{ _tag: "RunFailed", failure: History.failure }])
        const details = yield* storage.inspect("r")
        expect(details.run).toMatchObject({ status: "failed", updatedAt: run.now(), finishedAt: run.now() })
        expect(details.input).toEqual(newRun.input)
        expect(details.failure).toEqual(History.failure)
      }),
    )

    holds("a run is told node by node and attempt by attempt", (storage) =>
      Effect.gen(function* () {
        yield* storage.prepareOutputs("flow", History.tables)
        const run = yield* journal("r")
        const error = { name: "Error", message: "no", retryable: true }
        const [one, two] = [1, 2].map((attempt) => ({ nodeId: "a", iteration: 0, attempt }) as const) as [Place, Place]
        yield* run.commit([started, { _tag: "AttemptStarted", ...one }])
        yield* run.commit([{ _tag: "AttemptFailed", ...one, error, retryAt: later(9000), heartbeat: [1] }])
        yield* run.commit([
          { _tag: "AttemptStarted", ...two },
          { _tag: "LoopAdvanced", nodeId: "l", iteration: 0, base: 0, pass: 0 },
        ])
        yield* run.commit([
          { _tag: "AttemptSucceeded", ...two, table: "text", output: "x" },
          { _tag: "NodeSkipped", nodeId: "b", iteration: 1 },
          { _tag: "LoopFinished", nodeId: "l", iteration: 0, reason: "maxIterations" },
          { _tag: "LoopFinished", nodeId: "l", iteration: 1, reason: "until" },
        ])
        yield* run.commit([{ _tag: "NodeFailed", nodeId: "b", iteration: 0, error, isSoft: true }])
        const { nodes, attempts } = yield* storage.inspect("r")
        const seconds = (count: number) => later(count * 1000)
        const none = { retryAt: null, table: null, error: null, isSoft: false, passes: null, isExhausted: null }
        const step = { runId: "r", kind: "step", ...none }
        expect(nodes).toStrictEqual([
          {
            ...step,
            nodeId: "a",
            iteration: 0,
            status: "finished",
            attempt: 2,
            startedAt: seconds(1),
            finishedAt: seconds(4),
            table: "text",
          },
          {
            ...step,
            nodeId: "b",
            iteration: 0,
            status: "failed",
            attempt: 0,
            startedAt: null,
            finishedAt: seconds(5),
            error,
            isSoft: true,
          },
          { ...step, nodeId: "b", iteration: 1, status: "skipped", attempt: 0, startedAt: null, finishedAt: seconds(4) },
          {
            ...step,
            kind: "loop",
            nodeId: "l",
            iteration: 0,
            status: "finished",
            attempt: 0,
            startedAt: seconds(3),
            finishedAt: seconds(4),
            passes: 1,
            isExhausted: true,
          },
          {
            ...step,
            kind: "loop",
            nodeId: "l",
            iteration: 1,
            status: "finished",
            attempt: 0,
            startedAt: null,
            finishedAt: seconds(4),
            passes: 0,
            isExhausted: false,
          },
        ])
        const attempt = { runId: "r", nodeId: "a", iteration: 0 }
        expect(attempts).toStrictEqual([
          {
            ...attempt,
            attempt: 1,
            status: "failed",
            startedAt: seconds(1),
            finishedAt: seconds(2),
            error,
            cachedFrom: null,
            heartbeat: [1],
            heartbeatAt: seconds(2),
            turns: [],
          },
          {
            ...attempt,
            attempt: 2,
            status: "succeeded",
            startedAt: seconds(3),
            finishedAt: seconds(4),
            error: null,
            cachedFrom: null,
            heartbeat: null,
            heartbeatAt: null,
            turns: [],
          },
        ])
      }),
    )

    holds("what was said to agents is told with the attempt, and not repeated in the log", (storage) =>
      Effect.gen(function* () {
        yield* storage.prepareOutputs("flow", History.tables)
        const run = yield* journal("r")
        const error = { name: "Error", message: "no", retryable: true }
        const turn = { agent: "coder", prompt: "Fix \u0000 it", reply: "", model: "m-1", finishReason: "stop", inputTokens: 10 }
        const more = { ...turn, outputTokens: 7, totalTokens: 17, problem: "no JSON" }
        const bare = { agent: "other", prompt: "p" }
        const at = (attempt: number) => ({ nodeId: "a", iteration: 0, attempt })
        yield* run.commit([started, { _tag: "AttemptStarted", ...at(1) }])
        yield* run.commit([
          { _tag: "AttemptFailed", ...at(1), error, retryAt: Millis.zero, turns: [more, turn] },
          { _tag: "AttemptStarted", ...at(2) },
        ])
        yield* run.commit([
          { _tag: "AttemptInterrupted", ...at(2), reason: "shutdown", turns: [bare] },
          { _tag: "AttemptStarted", ...at(3) },
        ])
        yield* run.commit([{ _tag: "AttemptSucceeded", ...at(3), table: "text", output: "x", turns: [turn] }])
        const { attempts } = yield* storage.inspect("r")
        expect(attempts.map(({ turns }) => turns)).toEqual([[more, turn], [bare], [turn]])
        const log = yield* storage.events("r")
        expect(log.filter(({ event }) => "turns" in event)).toEqual([])
      }),
    )

    holds("the plan is told as of any frame, also where each is a line longer than the one before", (storage) =>
      Effect.gen(function* () {
        const run = yield* journal("r")
        const lines = ["[0]", ...Array.from({ length: 250 }, (_, index) => `[1,"é💡${index}"]`)]
        const texts = lines.map((_, index) => [...lines.slice(0, index + 1), "[end]"].join("\n"))
        yield* run.commit([started], { plan: { text: texts[0] as string, base: undefined } })
        for (let index = 1; index < texts.length; index++) {
          const plan = { text: texts[index] as string, base: texts[index - 1] }
          yield* run.commit([{ _tag: "PlanChanged", mounted: [`${index}`], unmounted: [], changed: [] }], { plan })
        }
        yield* run.commit([{ _tag: "PlanChanged", mounted: [], unmounted: ["1"], changed: [] }])
        yield* run.commit([{ _tag: "PlanChanged", mounted: [], unmounted: ["1"], changed: [] }], {
          plan: { text: "quite another", base: texts.at(-1) },
        })
        for (const frame of [1, 2, 100, 101, 102, 150, 251]) expect(yield* storage.plan("r", frame)).toBe(texts[frame - 1])
        expect(yield* storage.plan("r", 252)).toBe(texts[250])
        expect(yield* storage.plan("r")).toBe("quite another")
        expect((yield* Effect.flip(storage.plan("nobody")))._tag).toBe("RunNotFound")
      }),
    )

    holds("the log holds every event but no inputs and outputs, and is read on from anywhere", (storage) =>
      Effect.gen(function* () {
        yield* storage.prepareOutputs("flow", History.tables)
        const run = yield* journal("r")
        yield* run.commit([started, { _tag: "PlanChanged", mounted: ["a"], unmounted: [], changed: [] }], {
          plan: { text: "a plan", base: undefined },
        })
        yield* run.commit([...step("a", "text", "secret"), { _tag: "LoopFinished", nodeId: "l", iteration: 2, reason: "until" }])
        yield* run.commit([
          { _tag: "CancelRequested", reason: "x" },
          { _tag: "RunFailed", failure: History.failure },
        ])
        const log = yield* storage.events("r")
        const a = { nodeId: "a", iteration: 0, attempt: 1 }
        expect(log.map(({ event }) => event)).toEqual([
          { _tag: "RunStarted", workflow: "flow", version: "1" },
          { _tag: "PlanChanged", mounted: ["a"], unmounted: [], changed: [] },
          { _tag: "AttemptStarted", ...a },
          { _tag: "AttemptSucceeded", ...a, table: "text" },
          { _tag: "LoopFinished", nodeId: "l", iteration: 2, reason: "until" },
          { _tag: "CancelRequested", reason: "x" },
          { _tag: "RunFailed", failure: History.failure },
        ])
        expect(log.map(({ runId, seq, frame, at }) => [runId, seq, frame, at - start])).toEqual([
          ...[1, 2].map((seq) => ["r", seq, 1, 1000]),
          ...[3, 4, 5].map((seq) => ["r", seq, 2, 2000]),
          ...[6, 7].map((seq) => ["r", seq, 3, 3000]),
        ])
        expect(yield* storage.events("r", { afterSeq: 3, limit: 2 })).toEqual(log.slice(3, 5))
        expect(yield* storage.events("r", { afterSeq: 7 })).toEqual([])
      }),
    )
  })

  for (const title of reasons.keys()) throw new Error(`there is no case "${title}" to skip`)
}

interface Place {
  readonly nodeId: string
  readonly iteration: number
  readonly attempt: number
}

type Cancel = Extract<Command, { readonly _tag: "Cancel" }>

/** Checks that the statistics of a store are those of its lists. */
const expectCounted = (storage: Storage["Type"]) =>
  Effect.gen(function* () {
    const counted = yield* storage.statistics
    const tally = (keys: ReadonlyArray<string>) =>
      Object.fromEntries([...Map.groupBy(keys, (key) => key)].map(([key, of]) => [key, of.length]))
    const runs = yield* storage.runs({ limit: 1000 })
    const shown = Object.fromEntries(counted.runs.map(({ workflow, status, count }) => [`${workflow} ${status}`, count]))
    expect(shown).toEqual(tally(runs.map(({ workflow, status }) => `${workflow} ${status}`)))
    const waits = yield* storage.waits({ limit: 1000 })
    expect(Object.fromEntries(counted.waits.map(({ kind, count }) => [kind, count]))).toEqual(tally(waits.map(({ kind }) => kind)))
    for (const { kind, oldestSince } of counted.waits) {
      const times = waits.filter((wait) => wait.kind === kind).map(({ since }) => since)
      expect(oldestSince).toBe(Math.min(...times))
    }
    return counted
  })

const cancel = (id: string, runId: string, reason?: string): InboxMessage<Cancel> => ({
  id,
  runId,
  at: start,
  command: { _tag: "Cancel", ...(reason === undefined ? {} : { reason }) },
})

const cut = (choices: ReadonlyArray<History.Choice>): ReadonlyArray<ReadonlyArray<History.Choice>> => {
  const frames: Array<Array<History.Choice>> = [[]]
  for (const choice of choices) {
    frames.at(-1)?.push(choice)
    if (choice.isCut) frames.push([])
  }
  return frames.filter((frame) => frame.length > 0)
}
