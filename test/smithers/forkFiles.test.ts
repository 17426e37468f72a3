/**
 * Forks with the files of their tasks, in real repositories of git: the moment that files are restored to, what runs again for it, what is
 * refused and why, and what a crash leaves.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import { WorkspaceFailed, Workspaces } from "@smithers/core/Workspaces"
import * as GitWorkspaces from "@smithers/workspace/GitWorkspaces"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { Smithers } from "smithers-orchestrator"
import { afterEach, describe } from "vitest"
import { removeAll, repository } from "./Repository.ts"

afterEach(removeAll)

const on = <A, E>(root: string, effect: Effect.Effect<A, E, Smithers.Runtime>) =>
  Effect.provide(effect, Smithers.sqlite({ filename: ":memory:", tools: { root } }))

const Text = Schema.String
const ids = (nodes: ReadonlyArray<{ readonly nodeId: string }>) => nodes.map(({ nodeId }) => nodeId)
const changed = (files: Smithers.Forked["files"]) =>
  files.map(({ changes }) => changes.map(({ path, change }) => `${change} ${path}`).sort())

/** Three tasks that write a file each, of which the second reads the first, and the third reads none. */
const tasks = ({ read, write }: ReturnType<typeof repository>, snapshots = true) => {
  const ran: Array<string> = []
  const flow = Smithers.createWorkflow({ name: "w", input: Schema.Struct({}), snapshots }).build(($) => {
    const task = (id: string, needs: Record<string, Smithers.Node<string>> = {}) =>
      $.step(id, {
        needs,
        output: Text,
        run: () => {
          ran.push(id)
          write(`${id}.txt`, `${id} ${ran.length}`)
          return `${id} ${ran.length}`
        },
      })
    const plan = task("plan")
    return $.sequence(plan, task("build", { plan }), task("note"))
  })
  return { ran, flow, files: () => ["plan", "build", "note"].map((id) => read(`${id}.txt`)) }
}

describe("a fork with files", () => {
  it.live("has them as they were at its moment, and the files before are kept; the fork then goes on with them", () => {
    const place = repository()
    const { ran, flow, files } = tasks(place)
    return on(
      place.root,
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        place.git("add", "plan.txt")
        const [head, original] = [place.git("rev-parse", "HEAD"), yield* Smithers.inspect("r")]
        const dry = yield* flow.fork("r", { before: "build", files: true, runId: "f", dryRun: true })
        expect(changed(dry.files)).toEqual([["remove build.txt", "remove note.txt"]])
        expect([files(), yield* Smithers.snapshots("f")]).toEqual([["plan 1", "build 2", "note 3"], []])
        const forked = yield* flow.fork("r", { before: "build", files: true, runId: "f" })
        expect([ids(forked.kept), ids(forked.rerun)]).toEqual([["plan"], ["build", "note"]])
        expect(forked.files).toEqual([{ ...dry.files[0], safety: expect.any(String) }])
        expect(files()).toEqual(["plan 1", undefined, undefined])
        expect(place.git("show", `${forked.files[0]?.safety}:note.txt`)).toBe("note 3")
        expect([place.git("rev-parse", "HEAD"), place.git("diff", "--cached", "--name-only").trim()]).toEqual([head, "plan.txt"])
        expect((yield* Smithers.inspect("f")).run).toMatchObject({ status: "suspended", owner: null })
        yield* flow.resume("f")
        expect([ran.slice(3), files()]).toEqual([
          ["build", "note"],
          ["plan 1", "build 4", "note 5"],
        ])
        expect(yield* Smithers.inspect("r")).toEqual(original)
      }),
    )
  })

  it.live("runs the steps again that have worked on them since the moment that they go back to", () => {
    const place = repository()
    const { ran, flow, files } = tasks(place)
    return on(
      place.root,
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        // The third task has read nothing of the first two.
        const alone = yield* flow.fork("r", { set: { plan: "other" }, runId: "f", dryRun: true })
        expect([ids(alone.kept), ids(alone.rerun), alone.files]).toEqual([["note"], ["build"], []])
        const { kept, rerun } = yield* flow.fork("r", { set: { plan: "other" }, files: true, runId: "f" })
        expect([ids(kept), ids(rerun)]).toEqual([[], ["build", "note"]])
        expect(files()).toEqual(["plan 1", undefined, undefined])
        yield* flow.resume("f")
        expect(ran.slice(3)).toEqual(["build", "note"])
      }),
    )
  })

  it.live("is the same on a store in memory", () => {
    const place = repository()
    const { ran, flow, files } = tasks(place)
    const runtime = Layer.merge(Smithers.onStorage(MemoryStorage.layer, { tools: { root: place.root } }), GitWorkspaces.layer())
    return Effect.provide(
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        yield* flow.fork("r", { before: "build", files: true, runId: "f" })
        expect(files()).toEqual(["plan 1", undefined, undefined])
        expect((yield* Smithers.inspect("f")).run).toMatchObject({ status: "suspended", owner: null })
        yield* flow.resume("f")
        expect([ran.slice(3), files()]).toEqual([
          ["build", "note"],
          ["plan 1", "build 4", "note 5"],
        ])
      }),
      runtime,
    )
  })

  it.live("as of now has them as its last step left them, whatever was done to them since", () => {
    const place = repository()
    const { flow, files } = tasks(place)
    return on(
      place.root,
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        place.write("note.txt", "by hand")
        const { files: restored } = yield* flow.fork("r", { files: true, runId: "f" })
        expect([changed(restored), files()]).toEqual([[["replace note.txt"]], ["plan 1", "build 2", "note 3"]])
      }),
    )
  })

  it.live("of a fork goes back to before its own cut, and a revert of a fork finds the snapshots that it has inherited", () => {
    const place = repository()
    const { flow, files } = tasks(place)
    return on(
      place.root,
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        yield* flow.fork("r", { before: "note", runId: "f" })
        yield* flow.resume("f")
        expect((yield* Smithers.snapshots("f")).map(({ runId, nodeId }) => `${runId} ${nodeId}`)).toEqual([
          ...["r plan", "r plan", "r build", "r build"],
          ...["f note", "f note"],
        ])
        const { from } = yield* flow.fork("f", { before: "build", files: true, runId: "g" })
        expect([from, files()]).toEqual(["r", ["plan 1", undefined, undefined]])
        yield* flow.resume("g")
        expect(files()).toEqual(["plan 1", "build 5", "note 6"])
        const reverted = yield* flow.revert("f", { node: "build", files: true })
        expect([ids(reverted.resets).sort(), files()]).toEqual([
          ["build", "note"],
          ["plan 1", undefined, undefined],
        ])
        yield* flow.revert("f", { undo: true })
        expect(files()).toEqual(["plan 1", "build 5", "note 6"])
        yield* flow.fork("f", { before: "note", files: true, runId: "h" })
        expect(yield* Effect.flip(flow.revert("h", { undo: true }))).toMatchObject({ reason: "nothing-to-undo" })
      }),
    )
  })

  it.live("that cannot restore them does not go on without them, and does once they can be", () => {
    const place = repository()
    const { ran, flow, files } = tasks(place)
    return on(
      place.root,
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        const real = yield* Effect.provide(Workspaces, GitWorkspaces.layer())
        const problem = "No space is left on the device."
        const full = { ...real, restore: () => new WorkspaceFailed({ operation: "restore", root: place.root, problem }) }
        const unfinished = { _tag: "RevertUnfinished", runId: "f", isOfFork: true, message: expect.stringContaining(problem) }
        const onFull = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.flip(Effect.provideService(effect, Workspaces, full))
        expect(yield* onFull(flow.fork("r", { before: "build", files: true, runId: "f" }))).toMatchObject(unfinished)
        expect(yield* onFull(flow.resume("f"))).toMatchObject(unfinished)
        expect([ran.length, files()]).toEqual([3, ["plan 1", "build 2", "note 3"]])
        yield* flow.resume("f")
        expect([ran.slice(3), files()]).toEqual([
          ["build", "note"],
          ["plan 1", "build 4", "note 5"],
        ])
        expect((yield* Smithers.snapshots("f", { nodeId: "build" }))[0]?.tree).toBe(
          (yield* Smithers.snapshots("r", { nodeId: "plan" }))[1]?.tree,
        )
      }),
    )
  })

  it.live("is refused where that cannot be, or would lose files, and then nothing is changed", () => {
    const place = repository()
    const { flow, files } = tasks(place)
    const without = tasks(place, false).flow
    return on(
      place.root,
      Effect.gen(function* () {
        yield* without.execute({}, { runId: "bare" })
        yield* flow.execute({}, { runId: "r" })
        const said = (runId: string, options: Smithers.ForkOptions) =>
          Effect.flip(flow.fork(runId, { before: "build", files: true, runId: "f", ...options }))
        expect(yield* said("bare", {})).toMatchObject({
          _tag: "InvalidFork",
          problem: expect.stringContaining("there is no snapshot of its files: its steps ran without them"),
        })
        expect(yield* said("r", { children: "adopt" })).toMatchObject({ _tag: "InvalidFork" })
        // Git ignores it now, so no snapshot of the files as they are would hold it.
        place.write(".gitignore", "note.txt\n")
        place.write("note.txt", "by hand")
        expect(yield* Effect.flip(flow.fork("r", { files: true, runId: "f" }))).toMatchObject({
          _tag: "RestoreRefused",
          overwrites: ["note.txt"],
        })
        expect(files()).toEqual(["plan 1", "build 2", "by hand"])
        expect(yield* Effect.flip(Smithers.inspect("f"))).toMatchObject({ _tag: "RunNotFound" })
        const forked = yield* flow.fork("r", { files: true, force: true, runId: "f" })
        expect(place.git("show", `${forked.files[0]?.safety}:note.txt`)).toBe("by hand")
        expect(files()).toEqual(["plan 1", "build 2", "note 3"])
      }),
    )
  })

  it.live("leaves the worktrees of its original alone, as a revert of a fork does", () => {
    const place = repository()
    const flow = Smithers.createWorkflow({ name: "w", input: Schema.Struct({}), snapshots: true }).build(($) =>
      $.worktree({
        id: "tree",
        body: $.step("write", {
          output: Text,
          run: ({ cwd }) => {
            writeFileSync(join(cwd, "b.txt"), "two")
            return cwd
          },
        }),
      }),
    )
    return on(
      place.root,
      Effect.gen(function* () {
        const directory = yield* flow.execute({}, { runId: "r" })
        expect(yield* Effect.flip(flow.fork("r", { before: "write", files: true }))).toMatchObject({
          _tag: "InvalidFork",
          problem: expect.stringContaining("its steps work in worktrees of its own"),
        })
        yield* flow.fork("r", { runId: "f" })
        expect(yield* Effect.flip(flow.revert("f", { node: "write", files: true }))).toMatchObject({
          _tag: "RevertRefused",
          reason: "no-snapshot",
          problem: expect.stringContaining('worked in a worktree of run "r"'),
        })
        expect((yield* flow.revert("f", { node: "write" })).files).toBeNull()
        expect(readFileSync(join(directory, "b.txt"), "utf8")).toBe("two")
        expect(yield* flow.resume("f")).not.toBe(directory)
      }),
    )
  })

  it.live("leaves the worktrees of its original alone where child runs work in them, at any depth", () => {
    const place = repository()
    const declare = (name: string) => Smithers.createWorkflow({ name, input: Schema.Struct({}), snapshots: true })
    const child = declare("child").build(($) =>
      $.step("write", {
        output: Text,
        run: ({ cwd }) => {
          if (cwd.startsWith(place.root)) writeFileSync(join(cwd, "b.txt"), "two")
          return cwd
        },
      }),
    )
    const between = declare("between").build(($) =>
      $.worktree({ id: "own", body: $.subflow("deep", { workflow: child, input: {} }) }),
    )
    const flow = declare("w").build(($) =>
      $.sequence(
        $.subflow("between", { workflow: between, input: {} }),
        $.worktree({ id: "tree", body: $.subflow("sub", { workflow: child, input: {} }) }),
      ),
    )
    return on(
      place.root,
      Effect.gen(function* () {
        const directory = yield* flow.execute({}, { runId: "r" })
        const { snapshots = [] } = yield* Smithers.inspect("r~sub~0")
        expect(snapshots.map(({ root }) => root)).toEqual([directory, directory])
        for (const before of ["between", "sub"])
          expect(yield* Effect.flip(flow.fork("r", { before, files: true }))).toMatchObject({
            _tag: "InvalidFork",
            problem: expect.stringContaining("its steps work in worktrees of its own"),
          })
        expect(yield* Effect.flip(child.fork("r~sub~0", { before: "write", files: true }))).toMatchObject({ _tag: "InvalidFork" })
        yield* child.fork("r~sub~0", { before: "write", runId: "f" })
        expect(yield* child.resume("f")).toBe(process.cwd())
        expect(readFileSync(join(directory, "b.txt"), "utf8")).toBe("two")
      }),
    )
  })

  it.live("is refused while a process works on the run", () => {
    const place = repository()
    return on(
      place.root,
      Effect.gen(function* () {
        const [begun, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const flow = Smithers.createWorkflow({ name: "w", input: Schema.Struct({}), snapshots: true }).build(($) =>
          $.step("a", {
            output: Text,
            run: () => Effect.as(Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(gate)), "a"),
          }),
        )
        const running = yield* Effect.fork(flow.execute({}, { runId: "r" }))
        yield* Deferred.await(begun)
        expect(yield* Effect.flip(flow.fork("r", { files: true }))).toMatchObject({
          _tag: "InvalidFork",
          problem: "a process works on it, and on its files: stop it first",
        })
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(running)
      }),
    )
  })

  it.live("is refused where a step that is kept had worked in the same directory at the same time", () => {
    const place = repository()
    return on(
      place.root,
      Effect.gen(function* () {
        const begun = yield* Deferred.make<void>()
        const isDone = (nodeId: string) =>
          Effect.map(Smithers.inspect("r"), ({ nodes }) =>
            nodes.some((node) => node.nodeId === nodeId && node.status === "finished"),
          )
        const flow = Smithers.createWorkflow({ name: "w", input: Schema.Struct({}), snapshots: true }).build(($) => {
          const long = $.step("long", { output: Text, run: () => Effect.as(Deferred.await(begun), "long") })
          const first = $.step("first", { output: Text, run: () => "first" })
          const broken = $.step("broken", {
            needs: { first },
            output: Text,
            retry: false,
            run: () =>
              Deferred.succeed(begun, undefined).pipe(
                Effect.zipRight(Effect.repeat(isDone("long"), { until: (done) => done, schedule: Schedule.spaced("10 millis") })),
                Effect.zipRight(Effect.fail(new Error("no"))),
              ),
          })
          return $.parallel(long, $.sequence(first, broken))
        })
        yield* Effect.flip(flow.execute({}, { runId: "r" }))
        expect(yield* Effect.flip(flow.fork("r", { fromFailure: true, files: true }))).toMatchObject({
          _tag: "InvalidFork",
          problem: expect.stringContaining('attempt 1 of "broken" shared its files with attempt 1 of "long"'),
        })
        expect(ids((yield* flow.fork("r", { fromFailure: true })).kept).toSorted()).toEqual(["first", "long"])
      }),
    )
  })
})
