/**
 * Sandboxes that several parts of a plan share: nested ones, steps that join one by its id or work outside, and child runs.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import type { SandboxProvider } from "@smithers/core/Sandboxes"
import { local } from "@smithers/sandbox/Sandboxes"
import * as Crashes from "@smithers/testing/Crashes"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createSmithers, Parallel, Sandbox, Sequence, Smithers, Subflow } from "smithers-orchestrator"
import { planText } from "smithers-orchestrator/testing"
import { afterEach, describe } from "vitest"
import { z } from "zod"

const folders: Array<string> = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

const repository = () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "smithers-shared-")))
  folders.push(root)
  const git = (...args: ReadonlyArray<string>) =>
    execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], { cwd: root, encoding: "utf8" })
  git("init", "-q", "-b", "main")
  writeFileSync(join(root, "a.txt"), "one\n")
  writeFileSync(join(root, ".gitignore"), "smithers.db*\n")
  git("add", "a.txt", ".gitignore")
  git("commit", "-qm", "first")
  return root
}

const on = <A, E>(root: string, effect: Effect.Effect<A, E, Smithers.Runtime>, filename = ":memory:") =>
  Effect.provide(effect, Smithers.sqlite({ filename, tools: { root } }))

const Text = Schema.String
const declare = (name = "w") => Smithers.createWorkflow({ name, input: Schema.Struct({}) })
const textOf = (root: string, path: string) => (existsSync(join(root, path)) ? readFileSync(join(root, path), "utf8") : undefined)
const put = (directory: string, path: string): string => {
  writeFileSync(join(directory, path), `${path}\n`)
  return path
}
const append = (directory: string, path: string, text: string): string => {
  writeFileSync(join(directory, path), `${textOf(directory, path) ?? ""}${text}\n`)
  return directory
}
/** Directories in which code ran, by the name that it gives. */
const seen: { [name: string]: string } = {}
const see = (name: string, directory: string): string => {
  seen[name] = directory
  return directory
}
const left = (root: string): ReadonlyArray<string> => readdirSync(join(root, ".smithers/sandboxes"))

describe("a sandbox around others", () => {
  it.live("is joined by steps that name it, and is what the copies inside are made of and applied to", () => {
    const root = repository()
    const flow = declare().build(($) =>
      $.sandbox({
        id: "planner",
        review: "auto",
        body: $.sequence(
          $.step("plan", { output: Text, run: ({ cwd }) => see("plan", append(cwd, "plan.txt", "plan")) }),
          $.sandbox({
            id: "coder",
            review: "auto",
            body: $.sequence(
              $.step("code", { output: Text, run: ({ cwd }) => see("code", append(cwd, "plan.txt", "code")) }),
              $.step("note", { sandbox: "planner", output: Text, run: ({ cwd }) => see("note", append(cwd, "notes.txt", "note")) }),
              $.step("outside", { sandbox: false, output: Text, run: ({ cwd, sandbox }) => see("outside", `${cwd} ${sandbox}`) }),
            ),
          }),
          $.step("read", {
            output: Text,
            run: ({ cwd }) => see("read", append(cwd, "plan.txt", textOf(cwd, "notes.txt") ?? "nothing")),
          }),
        ),
      }),
    )
    return on(
      root,
      Effect.gen(function* () {
        const { files } = yield* flow.execute({}, { runId: "r" })
        expect(files).toEqual(["notes.txt", "plan.txt"])
        expect([textOf(root, "plan.txt"), textOf(root, "notes.txt")]).toEqual(["plan\ncode\nnote\n\n", "note\n"])
        const { plan: planner = "", note, read, code = "", outside } = seen
        expect([note, read]).toEqual([planner, planner])
        expect(code.startsWith(`${planner}/.smithers/sandboxes/`)).toBe(true)
        expect(outside).toBe(`${process.cwd()} undefined`)
        expect(left(root)).toEqual([".git", ".gitignore"])
      }),
    )
  })

  it.live("holds only those who join it with default={false}, in components too", () => {
    const root = repository()
    const { smithers, outputs, Workflow, Task } = createSmithers({ at: z.string() })
    const flow = smithers(() => (
      <Workflow name="w">
        <Sandbox id="planner" default={false} review="auto">
          <Task id="before" output={outputs.at} sandbox="planner">
            {({ cwd }) => append(cwd, "plan.txt", "first")}
          </Task>
          <Task id="outside" output={outputs.at}>
            {({ cwd }) => see("outside", cwd)}
          </Task>
          <Sandbox id="coder" review="auto">
            <Task id="code" output={outputs.at}>
              {({ cwd }) => append(cwd, "code.txt", textOf(cwd, "plan.txt") ?? "no plan")}
            </Task>
            <Sequence sandbox="planner">
              <Task id="after" output={outputs.at}>
                {({ cwd }) => append(cwd, "plan.txt", "second")}
              </Task>
            </Sequence>
          </Sandbox>
        </Sandbox>
      </Workflow>
    ))
    expect(planText(flow, { input: {} })).toMatchInlineSnapshot(`
      "sequence
        trycatch planner~sandbox (hasFinally: true)
          sequence
            step planner~open (table: untyped)
            sequence (sandbox: { id: planner, provider: local, default: false })
              step before (table: at, joins: planner)
              step outside (table: at)
              trycatch coder~sandbox (hasFinally: true)
                sequence
                  step coder~open (table: untyped)
                  sequence (sandbox: { id: coder, provider: local })
                    step code (table: at)
                    sequence (joins: planner)
                      step after (table: at)
                  step coder~patch (table: untyped, needs: { opened: coder~open })
                  step coder~apply (table: untyped, needs: { patch: coder~patch })
                step coder~close (table: untyped, needs: { result: coder~apply })
            step planner~patch (table: untyped, needs: { opened: planner~open })
            step planner~apply (table: untyped, needs: { patch: planner~patch })
          step planner~close (table: untyped, needs: { result: planner~apply })"
    `)
    return on(
      root,
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        // The copy of the coder was made of the root, in which there was no plan yet.
        expect([textOf(root, "plan.txt"), textOf(root, "code.txt")]).toEqual(["first\nsecond\n", "no plan\n"])
        expect(seen.outside).toBe(process.cwd())
      }),
    )
  })

  it.live("has one of its own for each item of a list in a list", () => {
    const root = repository()
    const flow = declare().build(($) =>
      $.map({
        id: "teams",
        items: () => ["red", "blue"],
        key: (item) => item,
        body: (team) =>
          $.sandbox({
            id: "team",
            review: "auto",
            body: $.map({
              id: "people",
              items: () => ["x", "y"],
              key: (item) => item,
              body: (person) =>
                $.sandbox({
                  id: "desk",
                  review: "auto",
                  body: $.sequence(
                    $.step("write", {
                      output: Text,
                      needs: { team, person },
                      run: ({ cwd, team, person }) => append(cwd, `${team}-${person}.txt`, "own"),
                    }),
                    $.step("share", {
                      output: Text,
                      sandbox: "team",
                      needs: { team, person },
                      run: ({ cwd, team, person }) => append(cwd, `${team}.txt`, person),
                    }),
                  ),
                }),
            }),
          }),
      }),
    )
    return on(
      root,
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        const files = readdirSync(root)
          .filter((file) => /red|blue/.test(file))
          .sort()
        expect(files).toEqual(["blue-x.txt", "blue-y.txt", "blue.txt", "red-x.txt", "red-y.txt", "red.txt"])
        expect(textOf(root, "red.txt")?.split("\n").sort()).toEqual(["", "x", "y"])
        expect(left(root)).toEqual([".git", ".gitignore"])
      }),
    )
  })

  it.live("is joined by groups, of either front end, and from within a fragment and an item that have their own", () => {
    const root = repository()
    const where = (name: string) => ({ output: Text, run: ({ cwd }: { readonly cwd: string }) => see(name, cwd) })
    const flow = declare().build(($) =>
      $.sandbox({
        id: "planner",
        review: "auto",
        body: $.sequence(
          $.step("outer", where("outer")),
          $.sandbox({
            id: "coder",
            review: "auto",
            body: $.sequence(
              $.sequence($.step("a", where("a")), { sandbox: "planner" }),
              $.parallel($.step("b", where("b")), $.step("c", where("c")), { sandbox: "planner", maxConcurrency: 1 }),
              $.parallel($.step("d", where("d")), { sandbox: false }),
            ),
          }),
          $.fragment("part", ($) =>
            $.sandbox({
              id: "planner",
              review: "auto",
              body: $.sequence(
                $.step("own", where("own")),
                $.sandbox({ id: "deep", review: "auto", body: $.step("joined", { ...where("joined"), sandbox: "planner" }) }),
              ),
            }),
          ),
          $.map({
            id: "items",
            items: () => ["x"],
            key: (item) => item,
            body: () =>
              $.fragment("in", ($) =>
                $.sandbox({
                  id: "own",
                  review: "auto",
                  body: $.sequence(
                    $.step("far", { ...where("far"), sandbox: "planner" }),
                    $.sandbox({ id: "deep", review: "auto", body: $.step("near", { ...where("near"), sandbox: "own" }) }),
                  ),
                }),
              ),
          }),
        ),
      }),
    )
    const { smithers, outputs, Workflow, Task } = createSmithers({ at: z.string() })
    const drawn = smithers(() => (
      <Workflow name="w">
        <Sandbox id="planner" review="auto">
          <Sandbox id="coder" review="auto">
            <Parallel sandbox="planner">
              <Task id="b" output={outputs.at}>
                {({ cwd }) => see("drawn", cwd)}
              </Task>
            </Parallel>
          </Sandbox>
        </Sandbox>
      </Workflow>
    ))
    return on(
      root,
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        const { outer, a, b, c, d, own = "", joined, far, near = "" } = seen
        expect([a, b, c, far]).toEqual([outer, outer, outer, outer])
        expect(d).toBe(process.cwd())
        expect([joined, own.startsWith(`${outer}/`), near.startsWith(`${outer}/`)]).toEqual([own, true, true])
        expect(near).not.toBe(own)
        yield* drawn.execute({}, { runId: "drawn" })
        expect(seen.drawn).toMatch(/\.smithers\/sandboxes\/drawn\/planner\//)
        expect(seen.drawn).not.toContain("coder")
      }),
    )
  })

  it.live("is where a compensation works whose saga is in it, and the root where the saga is around it", () => {
    const root = repository()
    const failing = declare().build(($) => {
      const undone = (id: string) =>
        $.step(id, {
          output: Text,
          run: ({ cwd }) => see(id, cwd),
          compensate: ({ cwd }) => void see(`${id} undone`, cwd),
        })
      const failed = $.step("fail", { output: Text, retry: false, run: () => Effect.fail(new Error("no")) })
      return $.saga(
        $.sandbox({
          id: "fix",
          review: "auto",
          body: $.sequence(undone("outer"), $.saga(undone("inner"), failed, { id: "in" })),
        }),
        { id: "out" },
      )
    })
    return on(
      root,
      Effect.gen(function* () {
        yield* Effect.flip(failing.execute({}, { runId: "r" }))
        expect(seen["inner undone"]).toBe(seen.inner)
        expect(seen["outer undone"]).toBe(process.cwd())
      }),
    )
  })

  it.live("is no part of the repository of the root, for the git of code that nothing isolates", () => {
    const root = repository()
    const git = (cwd: string, ...args: ReadonlyArray<string>) => spawnSync("git", args, { cwd, encoding: "utf8" })
    const said: Array<string> = []
    const flow = declare().build(($) =>
      $.sandbox({
        id: "fix",
        review: "auto",
        body: $.step("work", {
          output: Text,
          run: ({ cwd }) => {
            append(cwd, "a.txt", "two")
            for (const place of [cwd, join(cwd, ".."), join(cwd, "../.."), join(cwd, "../../../..")])
              for (const args of [
                ["add", "-A"],
                ["commit", "-qam", "mine"],
                ["reset", "--hard"],
              ])
                said.push(git(place, ...args).stderr)
            return cwd
          },
        }),
      }),
    )
    return on(
      root,
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        expect(said).toHaveLength(12)
        for (const text of said) expect(text).toContain("invalid gitfile format")
        expect(textOf(root, "a.txt")).toBe("one\ntwo\n")
        expect(git(root, "log", "--oneline").stdout.trim().split("\n")).toHaveLength(1)
        expect(git(root, "status", "--porcelain").stdout).toBe(" M a.txt\n")
      }),
    )
  })

  it("is refused where it encloses nothing that names it, with those that are there", () => {
    const build = (sandbox: string) => () =>
      declare().build(($) =>
        $.sequence(
          $.sandbox({ id: "other", body: $.step("a", { output: Text, run: () => "" }) }),
          $.sandbox({
            id: "planner",
            body: $.sandbox({ id: "coder", body: $.step("b", { sandbox, output: Text, run: () => "" }) }),
          }),
        ),
      )
    expect(build("planner")).not.toThrow()
    expect(build("other")).toThrow('its sandbox "other" is not around it. Around it: "coder", "planner"')
    expect(build("")).toThrow('"sandbox" must be the id of a sandbox around it, or false')
    expect(() => declare().build(($) => $.step("a", { sandbox: "x", output: Text, run: () => "" }))).toThrow(
      'its sandbox "x" is not around it. There is none around it',
    )
  })

  it("is refused around a worktree and a detached child run, with the reason", () => {
    const child = declare("child").build(($) => $.step("a", { output: Text, run: () => "" }))
    const detached = (sandbox?: false) =>
      declare().build(($) =>
        $.sandbox({
          id: "fix",
          body: $.subflow("sub", { workflow: child, input: {}, attach: false, ...(sandbox === undefined ? {} : { sandbox }) }),
        }),
      )
    expect(() => detached()).toThrow('its child run is detached, and would outlive sandbox "fix" around it')
    expect(() => detached(false)).not.toThrow()
    const inside = () =>
      declare().build(($) =>
        $.sandbox({ id: "fix", body: $.worktree({ id: "tree", body: $.step("a", { output: Text, run: () => "" }) }) }),
      )
    expect(inside).toThrow('it is a work tree of git inside sandbox "fix", which has no repository')
  })
})

describe("a child run in a sandbox", () => {
  const childOf = (run: (context: { readonly cwd: string }) => string | Effect.Effect<string>, name = "child") =>
    declare(name).build(($) =>
      $.sequence(
        $.step("work", { output: Text, retry: false, run }),
        $.step("more", { output: Text, run: ({ cwd }) => append(cwd, "b.txt", "child") }),
      ),
    )

  it.live("works in the copy of its parent, whose patch has its changes, and so do its own child runs", () => {
    const root = repository()
    const grandchild = childOf(({ cwd }) => append(cwd, "a.txt", "grandchild"), "grandchild")
    const child = declare("child").build(($) => $.subflow("deeper", { workflow: grandchild, input: {} }))
    const { smithers, outputs, Workflow, Task } = createSmithers({ at: z.string() })
    const flow = smithers(() => (
      <Workflow name="w">
        <Sandbox id="fix" review="auto">
          <Task id="first" output={outputs.at}>
            {({ cwd }) => append(cwd, "a.txt", "parent")}
          </Task>
          <Subflow id="sub" workflow={child} input={{}} />
        </Sandbox>
      </Workflow>
    ))
    return on(
      root,
      Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        expect([textOf(root, "a.txt"), textOf(root, "b.txt")]).toEqual(["one\nparent\ngrandchild\n", "child\n"])
        expect(left(root)).toEqual([".git", ".gitignore"])
      }),
    )
  })

  it.live("finds the copy again when it is resumed alone by another runtime, and says whose provider is not there", () => {
    const root = repository()
    const filename = join(root, "smithers.db")
    let isReady = false
    const child = childOf(({ cwd }) => {
      append(cwd, "a.txt", "child")
      if (!isReady) throw new Error("not yet")
      return see("alone", cwd)
    })
    const parentWith = (provider: "local" | SandboxProvider) =>
      declare().build(($) =>
        $.sandbox({
          id: "fix",
          provider,
          review: "auto",
          limits: { timeout: "20 seconds" },
          body: $.sequence(
            $.step("first", { output: Text, run: ({ cwd }) => append(cwd, "a.txt", "parent") }),
            $.subflow("sub", { workflow: child, input: {} }),
          ),
        }),
      )
    const [named, own] = [parentWith("local"), parentWith({ ...local(), name: "mine" })]
    return Effect.gen(function* () {
      yield* Effect.flip(on(root, named.execute({}, { runId: "named" }), filename))
      yield* Effect.flip(on(root, own.execute({}, { runId: "own" }), filename))
      isReady = true
      const problem = yield* Effect.flip(on(root, child.resume("own~sub~0"), filename))
      expect(String(problem)).toContain('its provider "mine" is code of the workflow of run "own". Resume that run')
      yield* on(root, child.resume("named~sub~0"), filename)
      expect(seen.alone).toContain("/.smithers/sandboxes/named/fix/")
      expect(textOf(root, "a.txt")).toBe("one\n")
      yield* on(root, named.resume("named"), filename)
      expect(textOf(root, "a.txt")).toBe("one\nparent\nchild\nchild\n")
    })
  })

  it.live("is cancelled with it, within a second, and brings nothing into the root", () => {
    const root = repository()
    let hasBegun = false
    const child = childOf(({ cwd }) => {
      append(cwd, "a.txt", "child")
      hasBegun = true
      return Effect.never
    })
    const flow = declare().build(($) =>
      $.sandbox({ id: "fix", review: "auto", body: $.subflow("sub", { workflow: child, input: {} }) }),
    )
    return on(
      root,
      Effect.gen(function* () {
        const run = yield* flow.start({}, { runId: "r" })
        while (!hasBegun) yield* Effect.sleep("20 millis")
        const begun = Date.now()
        yield* Smithers.cancel("r")
        yield* Effect.exit(run.result)
        expect(Date.now() - begun).toBeLessThan(1_000)
        expect(textOf(root, "a.txt")).toBe("one\n")
      }),
    )
  })

  it.live("and joined sandboxes end in the same state whatever commit a crash comes at", () => {
    const child = declare("child").build(($) => $.step("work", { output: Text, run: ({ cwd }) => put(cwd, "a.txt") }))
    const flow = declare().build(($) =>
      $.sandbox({
        id: "planner",
        review: "auto",
        body: $.sequence(
          $.sandbox({
            id: "coder",
            review: "auto",
            body: $.sequence(
              $.step("code", { output: Text, run: ({ cwd }) => put(cwd, "c.txt") }),
              $.step("note", {
                sandbox: "planner",
                output: Text,
                run: ({ cwd }) => put(cwd, "n.txt"),
              }),
            ),
          }),
          $.subflow("sub", { workflow: child, input: {} }),
          $.step("list", { output: Text, run: ({ cwd }) => readdirSync(cwd).sort().join() }),
        ),
      }),
    )
    return Effect.gen(function* () {
      const report = yield* Crashes.everywhere(flow, {})
      expect(report.crashes).toBeGreaterThan(20)
      expect(report.steps).toContain("planner~apply")
    })
  })
})
