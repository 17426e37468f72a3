/**
 * Reverts of runs, with their files in real repositories of git: what is reset, what is refused and why, and what undoes them.
 */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { Smithers } from "smithers-orchestrator"
import { afterEach, describe } from "vitest"
import { removeAll, repository } from "./Repository.ts"

afterEach(removeAll)

const on = <A, E>(root: string, effect: Effect.Effect<A, E, Smithers.Runtime>) =>
  Effect.provide(effect, Smithers.sqlite({ filename: ":memory:", tools: { root } }))

const Text = Schema.String
const declare = (name = "w") => Smithers.createWorkflow({ name, input: Schema.Struct({}) })
const named = (nodes: ReadonlyArray<{ readonly nodeId: string; readonly iteration: number }>) =>
  nodes.map(({ nodeId, iteration }) => (iteration === 0 ? nodeId : `${nodeId}/${iteration}`)).sort()

describe("a revert", () => {
  it.live("resets the node and what has read it, restores the files, and leaves the rest; the run then goes on", () => {
    const { root, read, write, git } = repository()
    const ran: Array<string> = []
    const flow = declare().build(($) => {
      const noted = (id: string, needs: Record<string, Smithers.Node<string>> = {}) =>
        $.step(id, {
          needs,
          output: Text,
          snapshots: true,
          run: () => {
            ran.push(id)
            write(`${id}.txt`, `${id} ${ran.length}`)
            return `${id} ${ran.length}`
          },
        })
      const plan = noted("plan")
      const review = noted("review", { plan })
      return $.sequence(plan, $.step("other", { output: Text, run: () => "other" }), review, noted("publish", { review }))
    })
    return on(
      root,
      Effect.gen(function* () {
        expect(yield* flow.execute({}, { runId: "r" })).toBe("publish 3")
        git("add", "plan.txt")
        const head = git("rev-parse", "HEAD")
        const preview = yield* flow.revert("r", { node: "review", dryRun: true })
        expect(preview).toMatchObject({ nodeId: "review", iteration: 0, attempt: 1, isDryRun: true, restored: [], undoes: null })
        expect(named(preview.resets)).toEqual(["publish", "review"])
        expect(preview.files?.changes.map(({ path, change }) => `${change} ${path}`).sort()).toEqual([
          "remove publish.txt",
          "remove review.txt",
        ])
        expect((yield* Smithers.inspect("r")).run.status).toBe("finished")
        expect(read("review.txt")).toBe("review 2")

        const reverted = yield* flow.revert("r", { node: "review", attempt: 1, iteration: 0, by: "ada" })
        expect({ ...reverted, files: { ...reverted.files, safety: undefined } }).toEqual({
          ...preview,
          files: { ...preview.files, safety: undefined },
          isDryRun: false,
        })
        expect([read("plan.txt"), read("review.txt"), read("publish.txt")]).toEqual(["plan 1", undefined, undefined])
        expect([git("rev-parse", "HEAD"), git("diff", "--cached", "--name-only").trim()]).toEqual([head, "plan.txt"])
        const { run, nodes } = yield* Smithers.inspect("r")
        expect(run).toMatchObject({ status: "suspended", finishedAt: null })
        expect(nodes.map(({ nodeId, status }) => `${nodeId} ${status}`).sort()).toEqual([
          "other finished",
          "plan finished",
          "publish interrupted",
          "review interrupted",
        ])
        expect(yield* flow.execute({}, { runId: "r" })).toBe("publish 5")
        expect(ran).toEqual(["plan", "review", "publish", "review", "publish"])
        expect(read("review.txt")).toBe("review 4")
      }),
    )
  })

  it.live(
    "of an attempt restores what was before it, also where a later attempt succeeded; without files it leaves them alone",
    () => {
      const { root, read, write } = repository()
      let count = 0
      const flow = declare().build(($) =>
        $.step("fix", {
          output: Text,
          snapshots: true,
          retry: { maxAttempts: 2, initialDelay: "1 milli" },
          run: () => {
            count++
            write("a.txt", `attempt ${count}`)
            if (count === 1) throw new Error("not yet")
            return `done ${count}`
          },
        }),
      )
      return on(
        root,
        Effect.gen(function* () {
          yield* flow.execute({}, { runId: "r" })
          yield* flow.revert("r", { node: "fix", files: false })
          expect(read("a.txt")).toBe("attempt 2")
          expect(yield* flow.execute({}, { runId: "r" })).toBe("done 3")
          expect((yield* flow.revert("r", { node: "fix", attempt: 2 })).files?.root).toBe(root)
          expect(read("a.txt")).toBe("attempt 1")
          yield* flow.revert("r", { node: "fix", attempt: 1 })
          expect(read("a.txt")).toBe("one\n")
          expect(yield* Effect.flip(flow.revert("r", { node: "fix", attempt: 9 }))).toMatchObject({
            _tag: "RevertRefused",
            reason: "no-attempt",
          })
        }),
      )
    },
  )

  it.live("is undone: files and outputs are back if nothing has run since, otherwise it says so", () => {
    const { root, read, write } = repository()
    let count = 0
    const flow = declare().build(($) => {
      const fix = $.step("fix", {
        output: Text,
        snapshots: true,
        run: () => {
          write("a.txt", `fixed ${++count}`)
          return `fixed ${count}`
        },
      })
      return $.sequence(fix, $.step("report", { needs: { fix }, output: Text, run: ({ fix }) => `report of ${fix}` }))
    })
    return on(
      root,
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        expect(yield* Effect.flip(flow.revert("r", { undo: true }))).toMatchObject({ reason: "nothing-to-undo" })
        yield* flow.revert("r", { node: "fix" })
        expect(read("a.txt")).toBe("one\n")
        const undone = yield* flow.revert("r", { undo: true })
        expect(undone).toMatchObject({ undoes: 1, notes: [], resets: [] })
        expect(named(undone.restored)).toEqual(["fix", "report"])
        expect(read("a.txt")).toBe("fixed 1")
        expect(yield* flow.execute({}, { runId: "r" })).toBe("report of fixed 1")
        expect(count).toBe(1)
        expect(yield* Effect.flip(flow.revert("r", { undo: true }))).toMatchObject({ reason: "nothing-to-undo" })

        yield* flow.revert("r", { node: "fix" })
        yield* flow.execute({}, { runId: "r" })
        const late = yield* flow.revert("r", { undo: true })
        expect(late.restored).toEqual([])
        expect(late.notes).toEqual([expect.stringContaining("none of them was brought back")])
        expect(read("a.txt")).toBe("fixed 1")
      }),
    )
  })

  it.live("of one of several attempts that shared a tree is refused with that reason, and is made without files", () => {
    const { root, write } = repository()
    const flow = declare().build(($) => {
      const part = (id: string) =>
        $.step(id, {
          output: Text,
          snapshots: true,
          run: () =>
            Effect.sleep("300 millis").pipe(
              Effect.tap(() => Effect.sync(() => write(`${id}.txt`, id))),
              Effect.as(id),
            ),
        })
      return $.parallel(part("left"), part("right"))
    })
    return on(
      root,
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        const refused = yield* Effect.flip(flow.revert("r", { node: "left" }))
        expect(refused).toMatchObject({ _tag: "RevertRefused", reason: "shared" })
        expect(refused.message).toContain('attempt 1 of "right"')
        expect((yield* flow.revert("r", { node: "left", files: false })).files).toBe(null)
        expect((yield* Smithers.inspect("r")).nodes.map(({ status }) => status)).toEqual(["interrupted", "finished"])
      }),
    )
  })

  it.live("takes steps with it that have worked in the files since, so that no record stands for files that are gone", () => {
    const { root, read, write } = repository()
    const ran: Array<string> = []
    const flow = declare().build(($) => {
      const noted = (id: string) =>
        $.step(id, {
          output: Text,
          snapshots: true,
          run: () => {
            ran.push(id)
            write(`${id}.txt`, id)
            return id
          },
        })
      return $.sequence(noted("a"), noted("b"), noted("c"))
    })
    return on(
      root,
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        expect(named((yield* flow.revert("r", { node: "b" })).resets)).toEqual(["b", "c"])
        expect([read("a.txt"), read("b.txt"), read("c.txt")]).toEqual(["a", undefined, undefined])
        yield* flow.execute({}, { runId: "r" })
        expect(ran).toEqual(["a", "b", "c", "b", "c"])
      }),
    )
  })

  it.live("to an earlier iteration withdraws the later passes of its loop", () => {
    const { root, read, write } = repository()
    const ran: Array<string> = []
    const flow = declare().build(($) =>
      $.loop({
        id: "again",
        body: $.step("try", {
          output: Text,
          snapshots: true,
          run: ({ iteration }) => {
            ran.push(`try ${iteration}`)
            write("a.txt", `try ${iteration}`)
            return `try ${iteration}`
          },
        }),
        until: ({ iteration }) => iteration === 3,
        maxIterations: 5,
      }),
    )
    return on(
      root,
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        expect(read("a.txt")).toBe("try 2")
        const reverted = yield* flow.revert("r", { node: "try", iteration: 1 })
        expect(named(reverted.resets)).toEqual(["try/1", "try/2"])
        expect(read("a.txt")).toBe("try 0")
        expect(yield* flow.execute({}, { runId: "r" })).toBe("try 2")
        expect(ran).toEqual(["try 0", "try 1", "try 2", "try 1", "try 2"])
        expect(yield* Effect.flip(flow.revert("r", { node: "try", iteration: 7 }))).toMatchObject({
          _tag: "NodeNotFound",
          known: [0, 1, 2],
        })
      }),
    )
  })

  it.live("asks for decided approvals again that stand behind the node, and starts child runs again", () => {
    const { root } = repository()
    let count = 0
    const child = declare("child").build(($) => $.step("c", { output: Text, run: () => `c ${++count}` }))
    const flow = declare().build(($) => {
      const plan = $.step("plan", { output: Text, run: () => "plan" })
      const ok = $.approval("ok", { needs: { plan }, request: ({ plan }) => ({ title: `Do ${plan}?` }) })
      return $.sequence(plan, ok, $.subflow("sub", { workflow: child, needs: { plan }, input: () => ({}) }))
    })
    return on(
      root,
      Effect.gen(function* () {
        expect((yield* flow.run({}, { runId: "r" })).status).toBe("waiting-approval")
        yield* Smithers.approve("r", "ok", { by: "ada" })
        expect(yield* flow.execute({}, { runId: "r" })).toBe("c 1")
        const childRunId = (yield* Smithers.list({ parent: "r" }))[0]?.runId ?? ""
        const refused = yield* Effect.flip(child.revert(childRunId, { node: "c" }))
        expect(refused).toMatchObject({ _tag: "RevertRefused", reason: "parent" })
        expect(refused.message).toContain('node "sub"')
        expect(named((yield* flow.revert("r", { node: "plan" })).resets)).toEqual(["ok", "plan", "sub"])
        expect((yield* flow.run({}, { runId: "r" })).status).toBe("waiting-approval")
        yield* Smithers.approve("r", "ok", { by: "ada" })
        expect(yield* flow.execute({}, { runId: "r" })).toBe("c 2")
      }),
    )
  })

  it.live("of a failed run goes on as its resume would; of a saga that was undone, its steps run again", () => {
    const { root } = repository()
    const ran: Array<string> = []
    let isBroken = true
    const flow = declare().build(($) => {
      const book = $.step("book", {
        output: Text,
        run: () => {
          ran.push("book")
          return "booked"
        },
        compensate: () => {
          ran.push("cancel")
        },
      })
      const pay = $.step("pay", {
        needs: { book },
        output: Text,
        retry: false,
        run: () => {
          ran.push("pay")
          if (isBroken) throw new Error("no money")
          return "paid"
        },
      })
      return $.saga(book, pay, { id: "trip" })
    })
    return on(
      root,
      Effect.gen(function* () {
        expect((yield* flow.run({}, { runId: "r" })).status).toBe("failed")
        expect(ran).toEqual(["book", "pay", "cancel"])
        isBroken = false
        yield* flow.revert("r", { node: "pay" })
        expect(yield* flow.execute({}, { runId: "r" })).toBe("paid")
        expect(ran).toEqual(["book", "pay", "cancel", "book", "pay"])
      }),
    )
  })

  it.live(
    "is refused while a process works on the run, without a snapshot where files are wanted, and of unknown nodes and options",
    () => {
      const { root } = repository()
      const flow = declare().build(($) => $.step("slow", { output: Text, run: () => Effect.as(Effect.sleep("1 minute"), "x") }))
      const quick = declare("quick").build(($) => $.step("a", { output: Text, run: () => "a" }))
      return on(
        root,
        Effect.gen(function* () {
          const running = yield* Effect.fork(flow.execute({}, { runId: "r" }))
          yield* Effect.sleep("200 millis")
          expect(yield* Effect.flip(flow.revert("r", { node: "slow" }))).toMatchObject({ _tag: "RevertRefused", reason: "owned" })
          yield* Fiber.interrupt(running)
          yield* quick.execute({}, { runId: "q" })
          const refused = (options: Smithers.RevertOptions) => Effect.flip(quick.revert("q", options))
          expect(yield* refused({ node: "a", files: true })).toMatchObject({ reason: "no-snapshot" })
          expect(yield* refused({ node: "b" })).toMatchObject({ _tag: "NodeNotFound" })
          expect(yield* refused({ node: "a", undo: true })).toMatchObject({ reason: "options" })
          expect(yield* refused({})).toMatchObject({ _tag: "InvalidSetting", setting: "node" })
          // @ts-expect-error an option that it has not
          expect(yield* refused({ node: "a", hard: true })).toMatchObject({ _tag: "InvalidSetting" })
          expect(yield* Effect.flip(quick.revert("none", { node: "a" }))).toMatchObject({ _tag: "RunNotFound" })
          expect(yield* Effect.flip(flow.revert("q", { node: "a" }))).toMatchObject({ _tag: "WorkflowMismatch" })
          expect((yield* Smithers.inspect("q")).run.status).toBe("finished")
        }),
      )
    },
  )
})
