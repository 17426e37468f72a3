/**
 * Regions in a sandbox, in both front ends: what their steps see, how their work comes back, who reviews it, and what a crash leaves.
 */
import { execFileSync } from "node:child_process"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import { RunReader } from "@smithers/core/RunReader"
import { Sandboxes, type SandboxesShape, type SandboxProvider, type SandboxRequest } from "@smithers/core/Sandboxes"
import { Worktrees } from "@smithers/core/Worktrees"
import { collect, sandboxes } from "@smithers/sandbox/Sandboxes"
import * as Crashes from "@smithers/testing/Crashes"
import { layer as gitWorktrees } from "@smithers/workspace/GitWorktrees"
import { ToolLoopAgent } from "ai"
import { MockLanguageModelV4 } from "ai/test"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { bash, createSmithers, Sandbox, Smithers, write } from "smithers-orchestrator"
import { planText } from "smithers-orchestrator/testing"
import { afterEach, describe } from "vitest"
import { z } from "zod"

const folders: Array<string> = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

/** A repository with one commit, and files that git ignores. */
const repository = () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "smithers-sandbox-")))
  folders.push(root)
  const git = (...args: ReadonlyArray<string>) =>
    execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], { cwd: root, encoding: "utf8" })
  git("init", "-q", "-b", "main")
  writeFileSync(join(root, "a.txt"), "one\n")
  writeFileSync(join(root, "gone.txt"), "old\n")
  writeFileSync(join(root, ".gitignore"), "dist/\n")
  writeFileSync(join(root, ".env"), "KEY=canary\n")
  git("add", "a.txt", "gone.txt", ".gitignore")
  git("commit", "-qm", "first")
  return root
}

const on = <A, E>(root: string, effect: Effect.Effect<A, E, Smithers.Runtime>, filename = ":memory:") =>
  Effect.provide(effect, Smithers.sqlite({ filename, tools: { root } }))

const Text = Schema.String
const declare = () => Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) })
const textOf = (root: string, path: string) => (existsSync(join(root, path)) ? readFileSync(join(root, path), "utf8") : undefined)

/** Changes a file, adds one, and removes one. */
const work = (directory: string): string => {
  writeFileSync(join(directory, "a.txt"), "two\n")
  mkdirSync(join(directory, "lib"), { recursive: true })
  writeFileSync(join(directory, "lib/new.txt"), "new\n")
  rmSync(join(directory, "gone.txt"), { force: true })
  mkdirSync(join(directory, "dist"), { recursive: true })
  writeFileSync(join(directory, "dist/out.js"), "built\n")
  return directory
}
const worked = { "a.txt": "two\n", "lib/new.txt": "new\n", "gone.txt": undefined, "dist/out.js": undefined }
const untouched = { "a.txt": "one\n", "lib/new.txt": undefined, "gone.txt": "old\n", "dist/out.js": undefined }
const filesOf = (root: string) => Object.fromEntries(Object.keys(worked).map((path) => [path, textOf(root, path)]))

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
}
/** An agent that calls these tools, and then answers with the last result. */
const agentOf = (calls: ReadonlyArray<readonly [tool: string, input: object]>) => {
  let next = 0
  const model = new MockLanguageModelV4({
    doGenerate: async ({ prompt }) => {
      const call = calls[next++]
      const last = JSON.stringify(prompt.at(-1))
      return {
        content:
          call === undefined
            ? [{ type: "text", text: last }]
            : [{ type: "tool-call", toolCallId: `c${next}`, toolName: call[0], input: JSON.stringify(call[1]) }],
        finishReason: call === undefined ? { unified: "stop", raw: undefined } : { unified: "tool-calls", raw: undefined },
        usage,
        warnings: [],
      }
    },
  })
  return new ToolLoopAgent({ model, tools: { write, bash } })
}

/** A provider that works on another root. */
const rooted = (provider: SandboxProvider | undefined, at: (request: SandboxRequest) => SandboxRequest): SandboxProvider => {
  if (provider === undefined) throw new Error("there is no provider")
  const { open, patch, close } = provider
  return {
    ...provider,
    open: (request) => open(at(request)),
    patch: (request) => patch(at(request)),
    close: (request) => close(at(request)),
  }
}

const edits = (review: "auto" | "approve" | ((patch: { readonly diff: string }) => boolean), during = (_root: string) => {}) => {
  const root = repository()
  const flow = declare().build(($) =>
    $.sandbox({
      id: "fix",
      review,
      body: $.step("edit", {
        output: Text,
        run: ({ cwd }) => {
          work(cwd)
          during(root)
          return cwd
        },
      }),
    }),
  )
  return { root, flow }
}

describe("the work of a sandbox", () => {
  it.live("comes back as a patch of what git does not ignore, and leaves nothing else behind", () => {
    const { root, flow } = edits("auto")
    return on(
      root,
      Effect.gen(function* () {
        const result = yield* flow.execute({}, { runId: "r" })
        expect(result.status).toBe("applied")
        expect(result.files).toEqual(["a.txt", "gone.txt", "lib/new.txt"])
        expect(result.diff).toContain("--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+two\n")
        expect(filesOf(root)).toEqual(worked)
        expect(readdirSync(join(root, ".smithers/sandboxes"))).toEqual([".git", ".gitignore"])
        const applied = execFileSync("git", ["status", "--porcelain"], { cwd: root, encoding: "utf8" })
        expect(applied).toBe(" M a.txt\n D gone.txt\n?? .env\n?? lib/\n")
      }),
    )
  })

  it.live("gives its outcome to the tasks that depend on it, as the schema of components says", () => {
    const root = repository()
    const Outcome = z.object({ status: z.enum(["applied", "rejected", "unchanged"]), files: z.array(z.string()), diff: z.string() })
    const { smithers, outputs, Workflow, Task } = createSmithers({ at: z.string(), outcome: Outcome, told: z.string() })
    const flow = smithers((ctx) => (
      <Workflow name="drawn">
        <Sandbox id="fix" output={outputs.outcome} review="auto">
          <Task id="work" output={outputs.at}>
            {({ cwd }) => {
              writeFileSync(join(cwd, "b.txt"), "new\n")
              return cwd
            }}
          </Task>
        </Sandbox>
        <Task id="tell" output={outputs.told} deps={{ outcome: outputs.outcome }}>
          {({ outcome }) => `${outcome.status} ${outcome.files.join()}`}
        </Task>
        {ctx.outputMaybe(outputs.outcome)?.status === "applied" ? (
          <Task id="more" output={outputs.told}>
            {(ctx) =>
              `${ctx.output(outputs.told, { nodeId: "tell" })} ${ctx.output(outputs.outcome, { nodeId: "fix~apply" }).diff}`
            }
          </Task>
        ) : null}
      </Workflow>
    ))
    expect(planText(flow, { input: {} })).toContain("step fix~apply (table: outcome")
    return on(
      root,
      Effect.gen(function* () {
        expect(yield* flow.execute({}, { runId: "d" })).toMatch(/^applied b.txt .*\+new/s)
        expect(textOf(root, "b.txt")).toBe("new\n")
      }),
    )
  })

  it("is refused before anything runs where that schema cannot hold it", () => {
    const { smithers, outputs, Workflow, Task } = createSmithers({
      at: z.string(),
      applied: z.object({ status: z.literal("applied") }),
    })
    const of = (output: typeof outputs.at | typeof outputs.applied) =>
      smithers(() => (
        <Workflow name="drawn">
          <Sandbox id="fix" output={output}>
            <Task id="work" output={outputs.at}>
              text
            </Task>
          </Sandbox>
        </Workflow>
      ))
    expect(() => planText(of(outputs.at), { input: {} })).toThrow("its output cannot hold the outcome, which is { status:")
    expect(() => planText(of(outputs.applied), { input: {} })).toThrow('it rejects {"status":"rejected"')
  })

  it.live("waits for an approval in the inbox, and is applied or not as that says", () =>
    Effect.forEach(
      [true, false],
      (isApproved) => {
        const { root, flow } = edits("approve")
        return on(
          root,
          Effect.gen(function* () {
            yield* Effect.flatMap(flow.start({}, { runId: "r" }), (run) => run.waiting)
            expect(filesOf(root)).toEqual(untouched)
            const [asked] = yield* Effect.flatMap(RunReader, (reader) => reader.waits({}))
            expect(asked).toMatchObject({ nodeId: "fix~review", request: { summary: expect.stringContaining("+two") } })
            yield* isApproved ? Smithers.approve("r", "fix~review") : Smithers.deny("r", "fix~review")
            const result = yield* flow.execute({}, { runId: "r" })
            expect([result.status, result.files.length]).toEqual([isApproved ? "applied" : "rejected", 3])
            expect(filesOf(root)).toEqual(isApproved ? worked : untouched)
          }),
        )
      },
      { discard: true },
    ),
  )

  it.live("is reviewed by a function, which sees the diff", () => {
    const { root, flow } = edits(({ diff }) => !diff.includes("+two"))
    return on(
      root,
      Effect.gen(function* () {
        expect((yield* flow.execute({}, { runId: "r" })).status).toBe("rejected")
        expect(filesOf(root)).toEqual(untouched)
      }),
    )
  })

  it.live("is not applied where the root has changed meanwhile, and the patch is kept", () => {
    const { root, flow } = edits("auto", (root) => writeFileSync(join(root, "a.txt"), "mine\n"))
    return on(
      root,
      Effect.gen(function* () {
        const failed = yield* Effect.either(flow.execute({}, { runId: "r" }))
        const error = Either.getOrThrowWith(Either.flip(failed), () => new Error("it was applied"))
        expect(error).toMatchObject({
          _tag: "PatchConflict",
          sandbox: "fix",
          paths: ["a.txt"],
          diff: expect.stringContaining("+two"),
        })
        // None of it was applied, and the files are there for a retry.
        expect(filesOf(root)).toEqual({ ...untouched, "a.txt": "mine\n" })
        expect(readdirSync(join(root, ".smithers/sandboxes/r"))).toEqual(["fix"])
        writeFileSync(join(root, "a.txt"), "one\n")
        yield* Smithers.retryNode("r", "fix~apply")
        expect((yield* flow.execute({}, { runId: "r" })).status).toBe("applied")
        expect(filesOf(root)).toEqual(worked)
        expect(readdirSync(join(root, ".smithers/sandboxes"))).toEqual([".git", ".gitignore"])
      }),
    )
  })

  it.live("is applied once whatever commit a crash comes at", () => {
    const root = repository()
    const flow = declare().build(($) =>
      $.sandbox({
        id: "fix",
        review: "auto",
        body: $.sequence(
          $.step("edit", { output: Text, run: ({ cwd }) => work(cwd) }),
          $.step("count", {
            output: Text,
            run: ({ cwd }) => {
              // Files of a step that has finished are there for the next.
              writeFileSync(join(cwd, "seen.txt"), textOf(cwd, "lib/new.txt") ?? "nothing")
              return ""
            },
          }),
        ),
      }),
    )
    const before = () => {
      execFileSync("git", ["reset", "-q", "--hard"], { cwd: root })
      execFileSync("git", ["clean", "-qfd", "-e", ".env", "-e", ".smithers"], { cwd: root })
    }
    const world = () => ({ ...filesOf(root), seen: textOf(root, "seen.txt"), left: readdirSync(join(root, ".smithers/sandboxes")) })
    // The kit's runtime has no root of its own.
    const here = (request: SandboxRequest) => ({ ...request, root })
    const real = sandboxes({ open: () => Effect.die("no worktrees"), remove: () => Effect.die("no worktrees") })
    const local = rooted(real.providers.local, here)
    const apply: SandboxesShape["apply"] = (request, patch) => real.apply(here(request), patch)
    return Effect.gen(function* () {
      const report = yield* Crashes.everywhere(flow, {}, { before, world })
      expect(report.steps).toEqual(["fix~open", "edit", "count", "fix~patch", "fix~apply", "fix~close"])
      expect(report.crashes).toBeGreaterThan(15)
      expect(world()).toEqual({ ...worked, seen: "new\n", left: [".git", ".gitignore"] })
    }).pipe(Effect.provideService(Sandboxes, { providers: { local }, apply }))
  })
})

describe("steps in a sandbox", () => {
  it.live("have tools that work there, with commands that see no secret of the root", () => {
    const root = repository()
    const { smithers, outputs, Workflow, Task } = createSmithers({ said: z.string(), plain: z.string() })
    const agent = agentOf([
      ["write", { path: "b.txt", content: "by the tool\n" }],
      ["bash", { command: "cat b.txt; cat .env ../../../../.env; ls -a; echo by bash > c.txt" }],
    ])
    const flow = smithers(() => (
      <Workflow name="w">
        <Sandbox id="fix" review="auto" limits={{ timeout: "30 seconds" }}>
          <Task id="agent" output={outputs.said} agent={agent}>
            Work.
          </Task>
          <Task id="code" output={outputs.plain}>
            {({ sandbox }) => Effect.map(sandbox?.exec(["cat", "c.txt"]) ?? Effect.die("no sandbox"), ({ stdout }) => stdout.text)}
          </Task>
        </Sandbox>
      </Workflow>
    ))
    return on(
      root,
      Effect.gen(function* () {
        const ended = yield* flow.execute({}, { runId: "r" })
        expect(JSON.stringify(ended)).not.toContain("canary")
        expect([textOf(root, "b.txt"), textOf(root, "c.txt")]).toEqual(["by the tool\n", "by bash\n"])
        const said = yield* Smithers.conversations("r")
        expect(JSON.stringify(said)).toContain("by the tool")
        expect(JSON.stringify(said)).not.toContain("canary")
      }),
    )
  })

  it.live("have tools that work there in a child run as well, and no others", () => {
    const root = repository()
    const agent = agentOf([
      ["write", { path: "b.txt", content: "by the tool\n" }],
      ["bash", { command: "cat b.txt; cat .env ../../../../.env; pwd; echo by bash > c.txt" }],
    ])
    const child = Smithers.createWorkflow({ name: "child", input: Schema.Struct({}) }).build(($) =>
      $.step("agent", {
        output: Schema.Struct({ said: Text }),
        agent,
        prompt: "Work, and answer with JSON.",
        corrections: 0,
        continueOnFail: true,
        retry: false,
      }),
    )
    const flow = declare().build(($) =>
      $.sandbox({ id: "fix", review: "auto", body: $.subflow("sub", { workflow: child, input: {}, onFail: "continue" }) }),
    )
    return on(
      root,
      Effect.gen(function* () {
        const { files, log } = yield* flow.execute({}, { runId: "r" })
        expect(files).toEqual(["b.txt", "c.txt"])
        expect([textOf(root, "b.txt"), textOf(root, "c.txt")]).toEqual(["by the tool\n", "by bash\n"])
        expect(log.map(({ tail }) => tail).join()).toMatch(/by the tool.*sandboxes\/r\/fix.*No such file/s)
        expect(JSON.stringify(log)).not.toContain("canary")
      }),
    )
  })

  it.live("work in a work tree of git with the provider worktree, in each pass of a loop", () => {
    const root = repository()
    const flow = declare().build(($) =>
      $.loop({
        id: "again",
        maxIterations: 2,
        until: () => false,
        body: $.sandbox({
          id: "tree",
          provider: "worktree",
          review: "auto",
          body: $.step("edit", {
            output: Text,
            run: ({ cwd, iteration }) => {
              writeFileSync(join(cwd, `${iteration}.txt`), execFileSync("git", ["log", "--format=%s"], { cwd, encoding: "utf8" }))
              return cwd
            },
          }),
        }),
      }),
    )
    return on(
      root,
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        expect([textOf(root, "0.txt"), textOf(root, "1.txt")]).toEqual(["first\n", "first\n"])
        const listed = execFileSync("git", ["worktree", "list"], { cwd: root, encoding: "utf8" })
        expect(listed.trim().split("\n")).toHaveLength(1)
      }),
    )
  })

  it.live("have one for each item of a list, and what loses a race leaves nothing behind", () => {
    const root = repository()
    const flow = declare().build(($) =>
      $.sequence(
        $.map({
          id: "files",
          items: () => ["x", "y"],
          key: (item) => item,
          body: (item) =>
            $.sandbox({
              id: "one",
              review: "auto",
              body: $.step("write", {
                output: Text,
                needs: { item },
                run: ({ cwd, item }) => {
                  writeFileSync(join(cwd, `${item}.txt`), readdirSync(cwd).sort().join())
                  return cwd
                },
              }),
            }),
        }),
        $.race({
          slow: $.sandbox({ id: "slow", review: "auto", body: $.step("sleep", { output: Text, run: () => Effect.never }) }),
          fast: $.timer("soon", { duration: "300 millis" }),
        }),
      ),
    )
    return on(
      root,
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        expect([textOf(root, "x.txt"), textOf(root, "y.txt")]).toEqual([".gitignore,a.txt,gone.txt", ".gitignore,a.txt,gone.txt"])
        expect(readdirSync(join(root, ".smithers/sandboxes"))).toEqual([".git", ".gitignore"])
      }),
    )
  })

  it.live("find their files when a run is resumed by another runtime, and give no patch where they were lost", () => {
    const root = repository()
    const filename = join(root, "smithers.db")
    let isReady = false
    const flow = declare().build(($) =>
      $.sandbox({
        id: "fix",
        review: "auto",
        body: $.sequence(
          $.step("first", { output: Text, run: ({ cwd }) => work(cwd) }),
          $.step("second", {
            output: Text,
            retry: false,
            run: ({ cwd }) => {
              if (!isReady) throw new Error("not yet")
              return textOf(cwd, "lib/new.txt") ?? "nothing"
            },
          }),
        ),
      }),
    )
    return Effect.gen(function* () {
      yield* Effect.flip(on(root, flow.execute({}, { runId: "found" }), filename))
      yield* Effect.flip(on(root, flow.execute({}, { runId: "lost" }), filename))
      isReady = true
      rmSync(join(root, ".smithers/sandboxes/lost"), { recursive: true })
      const lost = yield* Effect.flip(on(root, flow.resume("lost"), filename))
      expect(String(lost)).toContain("its files were lost while its steps worked")
      expect(filesOf(root)).toEqual(untouched)
      expect((yield* on(root, flow.resume("found"), filename)).status).toBe("applied")
      expect(filesOf(root)).toEqual(worked)
    })
  })

  it.live("are removed with a run that is deleted, unless they were used since", () => {
    const root = repository()
    const flow = declare().build(($) =>
      $.sandbox({
        id: "copy",
        provider: "worktree",
        body: $.step("work", { output: Text, retry: false, run: () => Effect.fail(new Error("no")) }),
      }),
    )
    const list = () => execFileSync("git", ["worktree", "list"], { cwd: root, encoding: "utf8" }).trim().split("\n")
    return Effect.gen(function* () {
      yield* Effect.flip(on(root, flow.execute({}, { runId: "r" })))
      expect(list()).toHaveLength(2)
      const { providers } = sandboxes(yield* Effect.provide(Worktrees, gitWorktrees))
      const given = { root, runIds: ["r", "unknown"], isDryRun: false }
      expect(yield* collect({ ...given, before: Date.now() - 60_000 }, providers)).toEqual([])
      const directory = join(root, ".smithers/sandboxes/r/copy")
      expect(yield* collect({ ...given, before: Date.now() + 1000 }, providers)).toEqual([{ runId: "r", directory }])
      expect(list()).toHaveLength(1)
      expect(readdirSync(join(root, ".smithers/sandboxes"))).toEqual([".git", ".gitignore"])
    })
  })

  it.live("fail where the provider does not hold a limit, with those that it holds", () => {
    const root = repository()
    const flow = declare().build(($) =>
      $.sandbox({ id: "fix", limits: { cpus: 2, timeout: "1 minute" }, body: $.step("a", { output: Text, run: () => "" }) }),
    )
    return Effect.gen(function* () {
      const refused = yield* Effect.flip(on(root, flow.execute({}, { runId: "r" })))
      expect(String(refused)).toContain('its provider "local" holds no limit "cpus". It holds timeout, memoryBytes, cpuTime')
      expect(() =>
        declare().build(($) => $.sandbox({ id: "x", limits: { cpus: 0 }, body: $.step("a", { output: Text, run: () => "" }) })),
      ).toThrow('"limits.cpus" must be a number greater than 0')
    })
  })

  it.live("fail where the provider does not exist, and in a runtime without sandboxes", () => {
    const root = repository()
    expect(() =>
      declare().build(($) =>
        $.sandbox({ id: "x", provider: "moon" as "local", body: $.step("a", { output: Text, run: () => "" }) }),
      ),
    ).toThrow('"provider" must be "local" or "worktree", or a SandboxProvider')
    symlinkSync("/etc", join(root, "etc"))
    return Effect.void
  })
})
