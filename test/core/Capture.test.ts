/**
 * Snapshots around attempts: which attempts get them, what is stored of them, and that nothing of them fails a step; on every store. Their
 * commits are made by a repository in memory; the one of git has tests of its own.
 */
import { expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import { defineTool } from "@smithers/agents/defineTool"
import type { AnyAgent } from "@smithers/core/Agent"
import { writesFilesKey } from "@smithers/core/Agent"
import type { AgentRunner } from "@smithers/core/AgentRunner"
import type { EngineOptions } from "@smithers/core/Engine"
import * as Smithers from "@smithers/core/Smithers"
import { NoGit, WorkspaceFailed, Workspaces, type WorkspacesShape } from "@smithers/core/Workspaces"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { stores } from "./Flows.ts"

const root = process.cwd()

/** A repository in memory, and what was asked of it. */
const repository = (options: { readonly isGit?: boolean; readonly hasNoGit?: boolean; readonly fails?: boolean } = {}) => {
  const asked: Array<string> = []
  const unused = Effect.dieMessage("not a part of capture")
  const shape: WorkspacesShape = {
    identify: (given) =>
      options.hasNoGit === true
        ? new NoGit({ problem: "git was not found" })
        : Effect.succeed({ root: given, isGit: options.isGit ?? true, top: given, store: `${given}/.git` }),
    snapshot: ({ root, runId, label }) =>
      Effect.suspend(() => {
        asked.push(label)
        if (options.fails === true) return new WorkspaceFailed({ operation: "snapshot", root, problem: "The disk is full." })
        const id = `${runId}-${asked.length}`
        return Effect.succeed({
          commit: id,
          tree: `tree-${id}`,
          isNew: true,
          isShadow: false,
          skipped: [{ path: "key.pem", reason: "secret" }] as const,
        })
      }),
    preview: () => unused,
    restore: () => unused,
    diff: () => unused,
    forget: () => unused,
    kept: () => unused,
  }
  return { asked, layer: Layer.succeed(Workspaces, shape) }
}

const answers = (reply: () => Promise<string> = async () => "done") => ({
  generate: async () => ({ text: await reply() }),
})

const tool = (rules: { readonly usesWorkspace?: boolean; readonly isReadOnly?: boolean }) =>
  defineTool({ description: "A tool.", input: Schema.Struct({}), execute: () => "", ...rules })

/** An agent that can write files. */
const writer = (reply?: () => Promise<string>): AnyAgent => ({
  ...answers(reply),
  name: "writer",
  tools: { write: tool({ usesWorkspace: true }) },
})

const workflow = <A, R>(
  build: ($: Smithers.Builder<Record<never, never>>) => Smithers.Node<A, R>,
  options: { readonly snapshots?: boolean } = {},
) => Smithers.createWorkflow({ name: "w", input: Schema.Struct({}), ...options }).build<A, R>(build)

const brief = (runId = "r") =>
  Effect.map(Smithers.snapshots(runId), (all) =>
    all.map(({ nodeId, iteration, attempt, moment, commit }) => `${nodeId}/${iteration}#${attempt} ${moment} ${commit}`),
  )

describe.each(stores)("on %s", (_, store) => {
  const on =
    (found: ReturnType<typeof repository>, options: EngineOptions = {}, tools: AgentProgram.ToolSettings = {}) =>
    <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime | AgentRunner | Workspaces>) =>
      Effect.provide(
        effect,
        Layer.mergeAll(Smithers.onStorage(store, { lease: "100 days", ...options }), AgentProgram.layerWith(tools), found.layer),
      )

  it.effect(
    "an attempt of an agent that can write has a snapshot before it and one after it, with ids of git and the files left out",
    () => {
      const found = repository()
      return on(found)(
        Effect.gen(function* () {
          yield* workflow(($) => $.step("fix", { output: Schema.String, agent: writer(), prompt: () => "Fix it." })).execute(
            {},
            { runId: "r" },
          )
          const row = { runId: "r", nodeId: "fix", iteration: 0, attempt: 1, root, sharedWith: [], failure: null }
          const skipped = [{ path: "key.pem", reason: "secret" }]
          expect(yield* Smithers.snapshots("r")).toEqual([
            { ...row, moment: "before", commit: "r-1", tree: "tree-r-1", at: 0, skipped },
            { ...row, moment: "after", commit: "r-2", tree: "tree-r-2", at: 0, skipped },
          ])
          expect(found.asked).toEqual(["before fix, attempt 1", "after fix, attempt 1"])
        }),
      )
    },
  )

  it.live("each attempt has snapshots of its own, also one that fails or times out, in each iteration", () => {
    const found = repository()
    let calls = 0
    const flaky = writer(async () => {
      calls++
      if (calls === 1) throw new Error("overloaded")
      if (calls === 3) await new Promise(() => {})
      return "done"
    })
    const flow = workflow(($) =>
      $.loop({
        id: "again",
        body: $.step("fix", {
          output: Schema.String,
          agent: flaky,
          prompt: () => "Fix it.",
          timeout: "200 millis",
          retry: { maxAttempts: 2, initialDelay: "1 milli" },
        }),
        until: ({ iteration }) => iteration === 2,
        maxIterations: 3,
      }),
    )
    return on(found)(
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        expect((yield* brief()).map((line) => line.replace(/ r-.*/, ""))).toEqual([
          ...["fix/0#1 before", "fix/0#1 after", "fix/0#2 before", "fix/0#2 after"],
          ...["fix/1#1 before", "fix/1#1 after", "fix/1#2 before", "fix/1#2 after"],
        ])
      }),
    )
  })

  it.effect("a step without an agent, an agent without such tools, and rights to read only have none", () => {
    const found = repository()
    const readOnly: AnyAgent = {
      ...answers(),
      name: "reader",
      tools: { read: tool({ usesWorkspace: true, isReadOnly: true }), web: tool({}) },
    }
    const both: AnyAgent = {
      ...answers(),
      name: "both",
      tools: { write: tool({ usesWorkspace: true }), web: tool({}) },
    }
    const flow = workflow(($) =>
      $.sequence(
        $.step("plain", { output: Schema.Number, run: () => 1 }),
        $.step("bare", { output: Schema.String, agent: { ...answers(), name: "bare" }, prompt: () => "Say." }),
        $.step("reader", { output: Schema.String, agent: readOnly, prompt: () => "Read." }),
        $.step("held", { output: Schema.String, agent: writer(), prompt: () => "Read.", readOnly: true }),
        $.step("listed", {
          output: Schema.String,
          agent: both,
          prompt: () => "Look.",
          allowTools: ["web"],
        }),
      ),
    )
    return on(found)(
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        expect(yield* brief()).toEqual([])
        expect(found.asked).toEqual([])
      }),
    )
  })

  it.effect("an agent that is a program has them, with the root that its step has", () => {
    const found = repository()
    const program: AnyAgent = { ...answers(), name: "program", [writesFilesKey]: true } as AnyAgent
    return on(found)(
      Effect.gen(function* () {
        yield* workflow(($) =>
          $.step("fix", { output: Schema.String, agent: program, prompt: () => "Fix it.", root: "packages" }),
        ).execute({}, { runId: "r" })
        expect((yield* Smithers.snapshots("r")).map((row) => row.root)).toEqual([`${root}/packages`, `${root}/packages`])
      }),
    )
  })

  it.effect("the step decides before its workflow, and that before the engine", () => {
    const found = repository()
    const flow = (snapshots?: boolean) =>
      workflow(
        ($) =>
          $.sequence(
            $.step("usual", { output: Schema.Number, run: () => 1 }),
            $.step("on", { output: Schema.Number, run: () => 1, snapshots: true }),
            $.step("off", { output: Schema.String, agent: writer(), prompt: () => "Fix it.", snapshots: false }),
          ),
        snapshots === undefined ? {} : { snapshots },
      )
    const named = (runId: string) => Effect.map(Smithers.snapshots(runId), (all) => all.map(({ nodeId }) => nodeId))
    return Effect.gen(function* () {
      yield* on(found)(
        Effect.gen(function* () {
          yield* flow().execute({}, { runId: "r" })
          expect(yield* named("r")).toEqual(["on", "on"])
          yield* flow(true).execute({}, { runId: "s" })
          expect((yield* named("s")).sort()).toEqual(["on", "on", "usual", "usual"])
        }),
      )
      yield* on(found, { snapshots: true })(
        Effect.gen(function* () {
          yield* flow().execute({}, { runId: "t" })
          expect((yield* named("t")).sort()).toEqual(["on", "on", "usual", "usual"])
          yield* flow(false).execute({}, { runId: "u" })
          expect(yield* named("u")).toEqual(["on", "on"])
        }),
      )
    })
  })

  it.effect(
    "outside of git, or without git, only a step that asks for snapshots has them, and a failure is stored and fails no step",
    () =>
      Effect.gen(function* () {
        const flow = workflow(($) =>
          $.sequence(
            $.step("usual", { output: Schema.String, agent: writer(), prompt: () => "Fix it." }),
            $.step("asked", { output: Schema.String, agent: writer(), prompt: () => "Fix it.", snapshots: true }),
          ),
        )
        const executed = (found: ReturnType<typeof repository>) =>
          on(found)(
            Effect.gen(function* () {
              expect(yield* flow.execute({}, { runId: "r" })).toBe("done")
              const all = [...(yield* Smithers.snapshots("r"))].sort((left, right) => right.nodeId.localeCompare(left.nodeId))
              return all.map(({ nodeId, moment, commit, failure }) => [nodeId, moment, commit, failure])
            }),
          )
        expect(yield* executed(repository({ isGit: false }))).toEqual([
          ["asked", "before", "r-1", null],
          ["asked", "after", "r-2", null],
        ])
        const { message } = new NoGit({ problem: "git was not found" })
        expect(yield* executed(repository({ hasNoGit: true }))).toEqual([
          ["asked", "before", null, message],
          ["asked", "after", null, message],
        ])
        const failure = expect.stringContaining("The disk is full.")
        expect(yield* executed(repository({ fails: true }))).toEqual([
          ["usual", "before", null, failure],
          ["usual", "after", null, failure],
          ["asked", "before", null, failure],
          ["asked", "after", null, failure],
        ])
      }),
  )

  it.effect("a runtime without workspaces takes none", () =>
    Effect.provide(
      Effect.gen(function* () {
        yield* workflow(($) =>
          $.step("fix", { output: Schema.String, agent: writer(), prompt: () => "Fix it.", snapshots: true }),
        ).execute({}, { runId: "r" })
        expect(yield* Smithers.snapshots("r")).toEqual([])
      }),
      Layer.merge(Smithers.onStorage(store, { lease: "100 days" }), AgentProgram.layer),
    ),
  )

  it.effect(
    "attempts at the same time in one tree say with whom they share it, also those of other runs; one after another share nothing",
    () => {
      const found = repository()
      return on(found)(
        Effect.gen(function* () {
          const [begun, both] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
          let count = 0
          const meets = writer(() =>
            Effect.runPromise(
              Effect.suspend(() => (++count === 3 ? Deferred.succeed(both, undefined) : Deferred.succeed(begun, undefined))).pipe(
                Effect.zipRight(Deferred.await(both)),
                Effect.as("done"),
              ),
            ),
          )
          const flow = workflow(($) =>
            $.sequence(
              $.step("first", { output: Schema.String, agent: writer(), prompt: () => "Fix it." }),
              $.parallel(
                $.step("left", { output: Schema.String, agent: meets, prompt: () => "Fix it." }),
                $.step("right", { output: Schema.String, agent: meets, prompt: () => "Fix it.", root: "packages" }),
              ),
            ),
          )
          const other = workflow(($) => $.step("lone", { output: Schema.String, agent: meets, prompt: () => "Fix it." }))
          yield* Effect.all(
            [flow.execute({}, { runId: "r" }), Effect.zipRight(Deferred.await(begun), other.execute({}, { runId: "s" }))],
            {
              concurrency: 2,
            },
          )
          const shared = (runId: string) =>
            Effect.map(Smithers.snapshots(runId), (all) =>
              all
                .filter(({ moment }) => moment === "after")
                .map(({ nodeId, sharedWith }) => `${nodeId}: ${sharedWith.map((one) => `${one.runId} ${one.nodeId}`).sort()}`)
                .sort(),
            )
          expect(yield* shared("r")).toEqual(["first: ", "left: r right,s lone", "right: r left,s lone"])
          expect(yield* shared("s")).toEqual(["lone: r left,r right"])
        }),
      )
    },
  )
})
