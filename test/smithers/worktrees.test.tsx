/**
 * Regions that work in a work tree of git of their own, in both front ends: where their steps, tools and snapshots are, what is found again, and how a region ends.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import { ToolLoopAgent } from "ai"
import { MockLanguageModelV4 } from "ai/test"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createSmithers, renderPlan, Smithers, Subflow, Worktree, write } from "smithers-orchestrator"
import { crashEverywhere, planText, TestRuntime } from "smithers-orchestrator/testing"
import { afterEach, describe } from "vitest"

const folders: Array<string> = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

/** A repository with one commit. */
const repository = () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "smithers-worktree-")))
  folders.push(root)
  const git = (...args: ReadonlyArray<string>) =>
    execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], { cwd: root, encoding: "utf8" })
  git("init", "-q", "-b", "main")
  writeFileSync(join(root, "a.txt"), "one\n")
  git("add", "-A")
  git("commit", "-qm", "first")
  return {
    root,
    git,
    commit: (directory: string) => git("-C", directory, "add", "-A") + git("-C", directory, "commit", "-qm", "work"),
  }
}

const on = <A, E>(root: string, effect: Effect.Effect<A, E, Smithers.Runtime>, filename = ":memory:") =>
  Effect.provide(effect, Smithers.sqlite({ filename, tools: { root } }))

const Text = Schema.String
const Both = Schema.Struct({ found: Text, out: Text })
const declare = () => Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) })

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
}

/** An agent that writes a file with the tool, and says that it has. */
const writer = (path: string, content: string) => {
  let calls = 0
  const model = new MockLanguageModelV4({
    doGenerate: async () => {
      const isFirst = calls++ === 0
      return {
        content: isFirst
          ? [{ type: "tool-call", toolCallId: "c", toolName: "write", input: JSON.stringify({ path, content }) }]
          : [{ type: "text", text: "written" }],
        finishReason: isFirst ? { unified: "tool-calls", raw: undefined } : { unified: "stop", raw: undefined },
        usage,
        warnings: [],
      }
    },
  })
  return new ToolLoopAgent({ model, tools: { write } })
}

describe("steps in a worktree", () => {
  it.live("work in its directory, as do tools of agents; steps beside it work where the runtime does", () => {
    const { root, git } = repository()
    const flow = declare().build(($) => {
      const where = (id: string) => $.step(id, { output: Text, run: ({ cwd }) => cwd })
      const agent = $.step("agent", { output: Text, agent: writer("new.txt", "new\n"), prompt: "Write it." })
      const [found, out] = [where("in"), where("out")]
      const region = $.worktree({ id: "fix", body: $.sequence(found, agent) })
      const both = $.step("both", { output: Both, needs: { found, out }, run: ({ found, out }) => ({ found, out }) })
      return $.sequence(region, out, both)
    })
    return on(
      root,
      Effect.gen(function* () {
        const { found, out } = yield* flow.execute({}, { runId: "r" })
        const path = join(root, ".smithers/worktrees/r/fix")
        expect([found, out]).toEqual([path, process.cwd()])
        const { snapshots = [] } = yield* Smithers.inspect("r")
        expect([readFileSync(join(path, "new.txt"), "utf8"), existsSync(join(root, "new.txt"))]).toEqual(["new\n", false])
        expect(git("-C", path, "branch", "--show-current").trim()).toBe("smithers/r/fix")
        // An agent that can write has snapshots of the tree that it writes in.
        expect(snapshots.map(({ moment, root: of }) => [moment, of])).toEqual([
          ["before", path],
          ["after", path],
        ])
      }),
    )
  })

  it.live("each item of a list has its own, and the same one in all passes of a loop", () => {
    const { root } = repository()
    const flow = declare().build(($) =>
      $.map({
        id: "files",
        items: () => ["a", "b"],
        key: (item) => item,
        body: () =>
          $.worktree({
            id: "tree",
            body: $.loop({
              id: "again",
              maxIterations: 2,
              until: () => false,
              body: $.step("work", {
                output: Text,
                run: ({ cwd, iteration }) => {
                  writeFileSync(join(cwd, `${iteration}.txt`), "")
                  return cwd
                },
              }),
            }),
          }),
      }),
    )
    return on(
      root,
      Effect.gen(function* () {
        const paths = yield* flow.execute({}, { runId: "R 1" })
        expect(paths.map((path) => path?.slice(root.length))).toEqual([
          expect.stringMatching(/^\/\.smithers\/worktrees\/r-1-[0-9a-f]{8}\/files-a-tree-[0-9a-f]{8}$/),
          expect.stringMatching(/^\/\.smithers\/worktrees\/r-1-[0-9a-f]{8}\/files-b-tree-[0-9a-f]{8}$/),
        ])
        for (const path of paths.filter((path) => path !== undefined)) {
          expect([0, 1].map((pass) => existsSync(join(path, `${pass}.txt`)))).toEqual([true, true])
        }
      }),
    )
  })

  it.live("find it again when a run is resumed, and have it made again where it is gone", () => {
    const { root, commit } = repository()
    const seen: Array<boolean> = []
    const path = join(root, "trees/fix")
    const flow = declare().build(($) =>
      $.worktree({
        id: "fix",
        path: "trees/fix",
        branch: "fix",
        body: $.sequence(
          $.step("first", {
            output: Text,
            run: ({ cwd }) => {
              writeFileSync(join(cwd, "work.txt"), "work")
              commit(cwd)
              return cwd
            },
          }),
          $.approval("ok", { request: { title: "Go on?" } }),
          $.step("second", {
            output: Text,
            run: ({ cwd }) => {
              seen.push(existsSync(join(cwd, "work.txt")))
              return cwd
            },
          }),
        ),
      }),
    )
    const filename = join(root, "s.db")
    return Effect.gen(function* () {
      const waiting = Effect.scoped(
        Effect.gen(function* () {
          yield* flow.start({}, { runId: "r" })
          yield* Effect.repeat(Effect.sleep(10), {
            until: () => Effect.map(Smithers.inspect("r"), ({ run }) => run.status === "waiting-approval"),
          })
        }),
      )
      yield* on(root, waiting, filename)
      rmSync(path, { recursive: true })
      const going = Effect.zipRight(Smithers.approve("r", "ok"), flow.resume("r"))
      expect(yield* on(root, going, filename)).toBe(path)
      expect(seen).toEqual([true])
    })
  })

  it.live("fail with the reason and at once where it cannot be opened; the run goes on when that is repaired", () => {
    const { root } = repository()
    mkdirTaken(root)
    const flow = declare().build(($) =>
      $.worktree({
        id: "fix",
        path: "taken",
        body: $.step("in", { output: Text, retry: { maxAttempts: 3 }, run: ({ cwd }) => cwd }),
      }),
    )
    return on(
      root,
      Effect.gen(function* () {
        const failed = yield* Effect.flip(flow.execute({}, { runId: "r" }))
        expect(failed).toMatchObject({ _tag: "StepFailed", nodeId: "in", attempts: 1 })
        expect(String(Object(failed).message)).toContain("no worktree of this repository")
        rmSync(join(root, "taken"), { recursive: true })
        expect(yield* flow.resume("r")).toBe(join(root, "taken"))
      }),
    )
  })
})

const mkdirTaken = (root: string): void => {
  execFileSync("mkdir", ["-p", join(root, "taken")])
  writeFileSync(join(root, "taken/mine.txt"), "mine")
}

describe("a region whose worktree is removed at its end", () => {
  const flow = (act: (cwd: string) => void) =>
    declare().build(($) =>
      $.worktree({
        id: "fix",
        path: "fix",
        branch: "fix",
        onEnd: "remove",
        body: $.step("in", {
          output: Text,
          retry: { maxAttempts: 1 },
          run: ({ cwd }) => {
            act(cwd)
            return "done"
          },
        }),
      }),
    )

  it.live("leaves the branch with what was committed, and gives the value of its body", () => {
    const { root, git, commit } = repository()
    const made = flow((cwd) => {
      writeFileSync(join(cwd, "b.txt"), "b\n")
      commit(cwd)
    })
    return on(
      root,
      Effect.gen(function* () {
        expect(yield* made.execute({}, { runId: "r" })).toBe("done")
        expect([existsSync(join(root, "fix")), git("show", "fix:b.txt")]).toEqual([false, "b\n"])
      }),
    )
  })

  it.live("removes it once, also where a later step fails and another runtime resumes the run", () => {
    const { root } = repository()
    const filename = join(root, "smithers.db")
    let isReady = false
    const later = declare().build(($) =>
      $.sequence(
        $.worktree({ id: "fix", onEnd: "remove", body: $.step("in", { output: Text, run: ({ cwd }) => cwd }) }),
        $.step("later", {
          output: Text,
          retry: false,
          run: () => {
            if (!isReady) throw new Error("not yet")
            return "done"
          },
        }),
      ),
    )
    return Effect.gen(function* () {
      yield* Effect.flip(on(root, later.execute({}, { runId: "r" }), filename))
      isReady = true
      expect(yield* on(root, later.resume("r"), filename)).toBe("done")
      expect(existsSync(join(root, ".smithers/worktrees/r/fix"))).toBe(false)
    })
  })

  it.live("keeps it with work that no commit has, also where the region fails", () => {
    const { root } = repository()
    const made = flow((cwd) => {
      writeFileSync(join(cwd, "b.txt"), "b\n")
      throw new Error("no")
    })
    return on(
      root,
      Effect.gen(function* () {
        yield* Effect.flip(made.execute({}, { runId: "r" }))
        expect(readFileSync(join(root, "fix/b.txt"), "utf8")).toBe("b\n")
      }),
    )
  })
})

describe("components", () => {
  const { Workflow, Task, smithers, outputs } = createSmithers({ where: Schema.String })

  it.live("have the same region, named by its branch", () => {
    const { root } = repository()
    const flow = smithers(() => (
      <Workflow name="w">
        <Worktree path="trees/one" branch="one">
          <Task id="in" output={outputs.where}>
            {(ctx) => ctx.cwd}
          </Task>
        </Worktree>
      </Workflow>
    ))
    expect(planText(flow)).toContain("one")
    return on(
      root,
      Effect.gen(function* () {
        expect(yield* flow.execute({}, { runId: "r" })).toBe(join(root, "trees/one"))
      }),
    )
  })

  it("refuse options that are none", () => {
    const drawn = (props: object) => () =>
      renderPlan(
        smithers(() => (
          <Workflow name="w">
            <Worktree id="t" {...props}>
              <Task id="in" output={outputs.where}>
                {() => ""}
              </Task>
            </Worktree>
          </Workflow>
        )),
        { input: {} },
      )
    expect(drawn({ branch: "-x" })).toThrow('Worktree "t": "branch" must be the name of a branch, and is a string')
    expect(drawn({ path: "" })).toThrow('Worktree "t": "path" must be the path of a directory')
    expect(drawn({ onEnd: "burn" })).toThrow('"onEnd" must be "keep" or "remove"')
    expect(drawn({ pth: "x" })).toThrow("pth")
  })
})

it("a region with a worktree ends as without a crash, wherever a process dies", async () => {
  const flow = declare().build(($) => {
    const noted = (id: string) =>
      $.step(id, {
        output: Text,
        run: ({ cwd }) => {
          const file = join(cwd, "notes.txt")
          const before = existsSync(file) ? readFileSync(file, "utf8") : ""
          if (!before.includes(id)) writeFileSync(file, `${before}${id} `)
          return readFileSync(file, "utf8")
        },
      })
    const after = $.step("after", { output: Text, run: () => "after" })
    return $.sequence($.worktree({ id: "fix", onEnd: "remove", body: $.sequence(noted("one"), noted("two")) }), after)
  })
  const report = await crashEverywhere(flow, {})
  expect(report.crashes).toBeGreaterThan(5)
  expect(report.steps).toContain("fix~remove")
})

it.live("the test runtime makes directories in place of worktrees, and touches no repository", () =>
  Effect.gen(function* () {
    const flow = declare().build(($) =>
      $.worktree({ id: "fix", onEnd: "remove", body: $.step("in", { output: Text, run: ({ cwd }) => cwd }) }),
    )
    const cwd = yield* flow.execute({}, { runId: "r" })
    expect(cwd).not.toContain(process.cwd())
    expect(existsSync(".smithers/worktrees")).toBe(false)
  }).pipe(Effect.provide(TestRuntime.layer())),
)

describe("a child run of a worktree", () => {
  const children = (run: (context: { readonly cwd: string }) => string) => {
    const named = (name: string) => Smithers.createWorkflow({ name, input: Schema.Struct({}) })
    const deeper = named("deeper").build(($) => $.step("deep", { output: Text, retry: false, run }))
    const child = named("child").build(($) =>
      $.sequence($.step("work", { output: Text, run: ({ cwd }) => cwd }), $.subflow("deeper", { workflow: deeper, input: {} })),
    )
    return { deeper, child }
  }
  const put = (directory: string): string => {
    writeFileSync(join(directory, "child.txt"), "child\n")
    return directory
  }

  it.live("works in it, with its own child runs, in both front ends; a detached one works outside", () => {
    const { root } = repository()
    const { child } = children(({ cwd }) => (cwd === process.cwd() ? cwd : put(cwd)))
    const flow = declare().build(($) =>
      $.worktree({
        id: "fix",
        body: $.sequence(
          $.subflow("away", { workflow: child, input: {}, attach: false }),
          $.subflow("sub", { workflow: child, input: {} }),
        ),
      }),
    )
    const { smithers, Workflow } = createSmithers({})
    const drawn = smithers(() => (
      <Workflow name="drawn">
        <Worktree id="fix">
          <Subflow id="sub" workflow={child} input={{}} />
        </Worktree>
      </Workflow>
    ))
    return on(
      root,
      Effect.gen(function* () {
        const path = join(root, ".smithers/worktrees/r/fix")
        expect(yield* flow.execute({}, { runId: "r" })).toBe(path)
        expect(existsSync(join(path, "child.txt"))).toBe(true)
        expect(yield* child.resume("r~away~0")).toBe(process.cwd())
        expect(yield* drawn.execute({}, { runId: "d" })).toBe(join(root, ".smithers/worktrees/d/fix"))
      }),
    )
  })

  it.live("finds it when it is resumed alone by another runtime, and has it made again where it is gone", () => {
    const { root, git } = repository()
    let isReady = false
    const { child, deeper } = children(({ cwd }) => {
      if (!isReady) throw new Error("not yet")
      return put(cwd)
    })
    const flow = declare().build(($) =>
      $.worktree({ id: "fix", path: "trees/fix", branch: "fix", body: $.subflow("sub", { workflow: child, input: {} }) }),
    )
    const filename = join(root, "s.db")
    const path = join(root, "trees/fix")
    return Effect.gen(function* () {
      yield* Effect.flip(on(root, flow.execute({}, { runId: "r" }), filename))
      isReady = true
      rmSync(path, { recursive: true })
      expect(yield* on(root, deeper.resume("r~sub~0~deeper~0"), filename)).toBe(path)
      expect(git("-C", path, "branch", "--show-current").trim()).toBe("fix")
      expect(yield* on(root, flow.resume("r"), filename)).toBe(path)
    })
  })

  it.live("has a worktree of its own in the repository of the runtime, and not in that of its parent", () => {
    const { root } = repository()
    const child = Smithers.createWorkflow({ name: "child", input: Schema.Struct({}) }).build(($) =>
      $.worktree({ id: "own", body: $.step("work", { output: Text, run: ({ cwd }) => cwd }) }),
    )
    const flow = declare().build(($) => $.worktree({ id: "fix", body: $.subflow("sub", { workflow: child, input: {} }) }))
    return on(
      root,
      Effect.gen(function* () {
        const at = yield* flow.execute({}, { runId: "r" })
        expect(at?.slice(root.length)).toMatch(/^\/\.smithers\/worktrees\/r-sub-0-[0-9a-f]{8}\/own$/)
      }),
    )
  })

  it.live("works in the same place whatever commit a crash comes at", () => {
    const { child } = children(({ cwd }) => cwd)
    const flow = declare().build(($) =>
      $.worktree({ id: "fix", onEnd: "remove", body: $.subflow("sub", { workflow: child, input: {} }) }),
    )
    return Effect.promise(async () => {
      const { crashes } = await crashEverywhere(flow, {})
      expect(crashes).toBeGreaterThan(8)
    })
  })
})
